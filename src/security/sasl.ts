/**
 * SASL, the server's side, whatever protocol carries it: messages in, messages out, in the end who it is. PLAIN (RFC
 * 4616), SCRAM (`scram.ts`), OAUTHBEARER (RFC 7628). A server is for one exchange; after a fault it is of no more use.
 */
import { Fault } from '../lib/fault.ts'
import type { Random } from '../lib/world.ts'
import type { OAuth } from './oauth.ts'
import { type Principal, user } from './principal.ts'
import { ScramServer, scramMechanisms } from './scram.ts'
import type { Users } from './users.ts'

export const saslMechanisms = ['PLAIN', ...scramMechanisms, 'OAUTHBEARER'] as const
export type SaslMechanism = (typeof saslMechanisms)[number]

interface Identity {
  readonly principal: Principal
  /** By the wall clock; null: as long as the connection. */
  readonly expiresMs: number | null
}
interface SaslStep {
  readonly reply: Uint8Array
  /** null: the exchange goes on. */
  readonly identity: Identity | null
}
export interface SaslServer {
  /** Throws Fault security.authentication-failed, http.too-many. */
  step(message: Uint8Array): Promise<SaslStep>
}
interface SaslParts {
  readonly users: Users
  readonly oauth: OAuth | null
  readonly random: Random
}

const nonceBytes = 24
const messageBytesMax = 32 * 1024
const nothing = new Uint8Array(0)
const failed = (why: string): Fault => new Fault('security.authentication-failed', { why })

export function saslServer(mechanism: SaslMechanism, { users, oauth, random }: SaslParts): SaslServer {
  if (mechanism === 'PLAIN') return { step: (message) => plain(message, users) }
  if (mechanism === 'OAUTHBEARER') return new Bearer(oauth)
  return new Scram(
    new ScramServer({
      mechanism,
      nonce: Buffer.from(random.bytes(nonceBytes)).toString('base64url'),
      lookup: (name) => users.scram(mechanism, name),
    }),
  )
}

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
function textOf(message: Uint8Array): string {
  if (message.length > messageBytesMax) throw failed('the message is too long')
  try {
    return utf8.decode(message)
  } catch {
    throw failed('the message is not UTF-8')
  }
}

async function plain(message: Uint8Array, users: Users): Promise<SaslStep> {
  const [actAs, name, password, ...more] = textOf(message).split('\0')
  if (name === undefined || password === undefined || more.length > 0)
    throw failed('PLAIN: the message has another form')
  if (name === '' || password === '') throw failed('PLAIN: the user name or the password is empty')
  if (actAs !== '' && actAs !== name) throw failed('PLAIN: acting as another user is not offered')
  if (!(await users.hasPassword(name, password))) throw failed('invalid user name or password')
  return { reply: nothing, identity: { principal: user(name), expiresMs: null } }
}

class Scram implements SaslServer {
  readonly #server: ScramServer
  #isFirst = true

  constructor(server: ScramServer) {
    this.#server = server
  }
  async step(message: Uint8Array): Promise<SaslStep> {
    const text = textOf(message)
    if (this.#isFirst) {
      this.#isFirst = false
      return { reply: Buffer.from(this.#server.first(text)), identity: null }
    }
    const { name, answer } = this.#server.final(text)
    return { reply: Buffer.from(answer), identity: { principal: user(name), expiresMs: null } }
  }
}

const bearerForm = /^n,(?:a=([^,]*))?,\x01auth=Bearer +([^\x01 ]+)\x01(?:[a-z]+=[^\x01]*\x01)*\x01$/i

/** A refusal is said in a message that the client answers before the exchange ends (RFC 7628, 3.2.3). */
class Bearer implements SaslServer {
  readonly #oauth: OAuth | null
  #refusal: Fault | null = null

  constructor(oauth: OAuth | null) {
    this.#oauth = oauth
  }
  async step(message: Uint8Array): Promise<SaslStep> {
    if (this.#refusal !== null) throw this.#refusal
    const match = bearerForm.exec(textOf(message))
    if (match === null) throw failed('OAUTHBEARER: the message has another form')
    if (this.#oauth === null) throw failed('OAUTHBEARER: no issuer is configured')
    const [, actAs = '', token = ''] = match
    try {
      const { name, expiresMs } = await this.#oauth.check(token)
      if (actAs !== '' && actAs !== name) throw failed('OAUTHBEARER: acting as another user is not offered')
      return { reply: nothing, identity: { principal: user(name), expiresMs } }
    } catch (error) {
      if (!(error instanceof Fault) || error.code !== 'security.authentication-failed') throw error
      this.#refusal = error
      return { reply: Buffer.from('{"status":"invalid_token"}'), identity: null }
    }
  }
}
