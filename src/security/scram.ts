/**
 * SCRAM-SHA-256 and -512 (RFC 5802, RFC 7677), the server's side: what is kept of a password, and the exchange. Names
 * and passwords are taken as the bytes of their UTF-8, without SASLprep, as Kafka's clients send them.
 *
 * An unknown user gets an exchange like any other, with a salt that is always the same for the name, and fails at the
 * end: neither words nor time tell whether a user exists.
 */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'
import { Fault } from '../lib/fault.ts'

export const scramMechanisms = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const
export type ScramMechanism = (typeof scramMechanisms)[number]
/** Kafka's bounds: fewer are broken too fast, more let a stranger keep the server busy. */
const iterationsMin = 4096
const iterationsMax = 16_384
const iterationsDefault = 8192
const saltBytes = 16

/** Base64 texts. Nothing of it gives the password back. */
export interface ScramCredential {
  readonly salt: string
  readonly iterations: number
  readonly storedKey: string
  readonly serverKey: string
}
export const hashOf: Readonly<Record<ScramMechanism, { readonly name: string; readonly bytes: number }>> = {
  'SCRAM-SHA-256': { name: 'sha256', bytes: 32 },
  'SCRAM-SHA-512': { name: 'sha512', bytes: 64 },
}
const derive = promisify(pbkdf2)
const hmac = (hash: string, key: Uint8Array, text: string): Buffer => createHmac(hash, key).update(text).digest()
const digest = (hash: string, bytes: Uint8Array): Buffer => createHash(hash).update(bytes).digest()

interface Salted {
  readonly salt: Uint8Array
  readonly iterations: number
}
async function saltedPassword(mechanism: ScramMechanism, password: string, by: Salted): Promise<Buffer> {
  const { name, bytes } = hashOf[mechanism]
  return derive(Buffer.from(password, 'utf8'), by.salt, by.iterations, bytes, name)
}
/** From what a password was salted to; what Kafka's AlterUserScramCredentials sends is that. */
export function credentialOf(mechanism: ScramMechanism, salted: Uint8Array, by: Salted): ScramCredential {
  const { name } = hashOf[mechanism]
  const text = (bytes: Uint8Array): string => Buffer.from(bytes).toString('base64')
  return {
    salt: text(by.salt),
    iterations: by.iterations,
    storedKey: text(digest(name, hmac(name, salted, 'Client Key'))),
    serverKey: text(hmac(name, salted, 'Server Key')),
  }
}
/** Throws Fault security.unacceptable-credential. */
export async function makeCredential(
  mechanism: ScramMechanism,
  password: string,
  options: { readonly random: (bytes: number) => Uint8Array; readonly iterations?: number },
): Promise<ScramCredential> {
  const { random, iterations = iterationsDefault } = options
  checkIterations(iterations)
  const by = { salt: random(saltBytes), iterations }
  return credentialOf(mechanism, await saltedPassword(mechanism, password, by), by)
}
export function checkIterations(iterations: number): void {
  if (!Number.isInteger(iterations) || iterations < iterationsMin || iterations > iterationsMax)
    throw new Fault('security.unacceptable-credential', { why: `iterations are ${iterationsMin} to ${iterationsMax}` })
}
/** Whether the password is that of the credential; takes as long for a wrong one. */
export async function isPasswordOf(
  mechanism: ScramMechanism,
  credential: ScramCredential,
  password: string,
): Promise<boolean> {
  const by = { salt: Buffer.from(credential.salt, 'base64'), iterations: credential.iterations }
  const { storedKey } = credentialOf(mechanism, await saltedPassword(mechanism, password, by), by)
  return timingSafeEqual(Buffer.from(storedKey, 'base64'), Buffer.from(credential.storedKey, 'base64'))
}

/** What stands in for the credential of a name that has none: the same every time, and no password is its. */
export function decoyCredential(mechanism: ScramMechanism, name: string, secret: Uint8Array): ScramCredential {
  const { name: hash } = hashOf[mechanism]
  const bytes = (what: string): Buffer => hmac(hash, secret, `${what} ${mechanism} ${name}`)
  return {
    salt: bytes('salt').subarray(0, saltBytes).toString('base64'),
    iterations: iterationsDefault,
    storedKey: bytes('stored').toString('base64'),
    serverKey: bytes('server').toString('base64'),
  }
}

export interface ScramServerOptions {
  readonly mechanism: ScramMechanism
  readonly nonce: string
  /** The credential of a name, a decoy for one that has none. */
  readonly lookup: (name: string) => { readonly credential: ScramCredential; readonly known: boolean }
}
const malformed = (what: string): Fault => new Fault('security.authentication-failed', { why: `SCRAM: ${what}` })
const refused = (): Fault => new Fault('security.authentication-failed', { why: 'invalid user name or password' })

/** One exchange: `first`, then `final`. Both throw Fault security.authentication-failed. */
export class ScramServer {
  readonly #options: ScramServerOptions
  #pending: {
    readonly name: string
    readonly known: boolean
    readonly credential: ScramCredential
    readonly header: string
    readonly nonce: string
    /** client-first-message-bare and server-first-message: what both sides sign. */
    readonly signed: string
  } | null = null

  constructor(options: ScramServerOptions) {
    this.#options = options
  }

  first(message: string): string {
    const match = /^(([^,]*),([^,]*),)((?:m=[^,]*,)?n=([^,]*),r=([^,]*)((?:,[a-zA-Z]+=[^,]*)*))$/s.exec(message)
    if (match === null) throw malformed('the first message has another form')
    const [, header = '', flag = '', authzid = '', bare = '', escaped = '', clientNonce = ''] = match
    if (flag.startsWith('p=')) throw malformed('channel binding is not offered')
    if (flag !== 'n' && flag !== 'y') throw malformed('the channel binding flag is none of n, y and p')
    if (bare.startsWith('m=')) throw malformed('an extension that must be understood is not')
    if (/,tokenauth=true/i.test(match[7] ?? '')) throw malformed('there are no delegation tokens')
    if (!/^[\x21-\x2b\x2d-\x7e]+$/.test(clientNonce)) throw malformed('the nonce is not of printable characters')
    const name = unescaped(escaped)
    if (name === null || name === '') throw malformed('the user name has another form')
    if (authzid !== '' && (!authzid.startsWith('a=') || unescaped(authzid.slice(2)) !== name))
      throw malformed('acting as another user is not offered')
    const { credential, known } = this.#options.lookup(name)
    const nonce = clientNonce + this.#options.nonce
    const answer = `r=${nonce},s=${credential.salt},i=${credential.iterations}`
    this.#pending = { name, known, credential, header, nonce, signed: `${bare},${answer}` }
    return answer
  }

  final(message: string): { readonly name: string; readonly answer: string } {
    const pending = this.#pending
    // Once only: nothing that was proved can be proved again.
    this.#pending = null
    const match = /^(c=([^,]*),r=([^,]*)(?:,[a-zA-Z]+=[^,]*)*),p=([A-Za-z0-9+/=]+)$/s.exec(message)
    if (pending === null || match === null) throw malformed('the final message has another form')
    const [, withoutProof = '', binding = '', nonce = '', proofText = ''] = match
    if (binding !== Buffer.from(pending.header, 'utf8').toString('base64'))
      throw malformed('the channel binding is not that of the first message')
    if (nonce !== pending.nonce) throw malformed('the nonce is not that of this exchange')
    const { name: hash, bytes } = hashOf[this.#options.mechanism]
    const proof = Buffer.from(proofText, 'base64')
    if (proof.length !== bytes) throw refused()
    const { credential, known, name } = pending
    const signed = `${pending.signed},${withoutProof}`
    const storedKey = Buffer.from(credential.storedKey, 'base64')
    const signature = hmac(hash, storedKey, signed)
    const clientKey = Buffer.from(proof.map((byte, i) => byte ^ signature[i]!))
    const isProven = timingSafeEqual(digest(hash, clientKey), storedKey)
    const answer = `v=${hmac(hash, Buffer.from(credential.serverKey, 'base64'), signed).toString('base64')}`
    if (!isProven || !known) throw refused()
    return { name, answer }
  }
}
/** `=2C` is a comma, `=3D` an equals sign; null where another `=` stands. */
function unescaped(text: string): string | null {
  if (/=(?!2C|3D)/.test(text)) return null
  return text.replaceAll('=2C', ',').replaceAll('=3D', '=')
}
