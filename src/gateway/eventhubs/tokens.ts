/**
 * Who a connection is, by what it has shown: tokens for paths (shared access signatures, JWTs), or SASL's PLAIN or a
 * certificate for everything. A token covers its path and all below it until it expires.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import type { Security } from '../../security/security.ts'
import { type Principal, anonymous, user } from '../../security/principal.ts'
import { segmentsOf } from './address.ts'
import { Refused, condition } from './conditions.ts'

export interface Claim {
  readonly principal: Principal
  /** By the wall clock; Infinity: as long as the connection. */
  readonly expiresMs: number
  readonly path: readonly string[]
}
export type TokenType = 'sas' | 'jwt'
export function tokenTypeOf(type: string | null): TokenType | null {
  if (type === null) return null
  if (/sastoken$/i.test(type)) return 'sas'
  return /jwt$/i.test(type) ? 'jwt' : null
}

/** Where nothing but the token says so. */
export const tokenTypeIn = (token: string): TokenType => (/^\s*SharedAccessSignature\s/i.test(token) ? 'sas' : 'jwt')

export const pathOf = (audience: string): string[] => segmentsOf(audience).map((part) => part.toLowerCase())
/** All of `path`, or what lies below it. */
const covers = (path: readonly string[], of: readonly string[]): boolean =>
  path.length <= of.length && path.every((part, i) => part === of[i])

const unauthorized = (why: string): Refused => new Refused(condition.unauthorized, why)

export class Tokens {
  readonly #security: Security
  readonly #clock: Clock

  constructor({ security, clock }: { readonly security: Security; readonly clock: Clock }) {
    this.#security = security
    this.#clock = clock
  }
  /** Throws Refused. */
  async check(type: TokenType, token: string, audience: string): Promise<Claim> {
    if (token.length > limits.amqpTokenLength) throw unauthorized('The token is too long.')
    return type === 'sas' ? this.sas(token, audience) : this.jwt(token, audience)
  }
  /** `audience` null: it is for what it says itself. Throws Refused. */
  sas(token: string, audience: string | null): Claim {
    const fields = sasFields(token)
    const { sr, sig, se, skn } = fields
    if (sr === undefined || sig === undefined || se === undefined || skn === undefined)
      throw unauthorized('The token is no shared access signature: it has sr, sig, se and skn.')
    if (!/^\d{1,12}$/.test(se)) throw unauthorized('The expiry (se) of the token is no time.')
    const expiresMs = Number(se) * 1000
    const path = pathOf(audience ?? decoded(sr))
    const key = this.#security.accessKeys.secret(skn)
    if (key === null) {
      // Where everybody may do everything, a name that nobody has given a key is no reason to refuse.
      if (this.#security.authorizer.enforced) throw unauthorized('Invalid signature.')
    } else if (!isSignature(sig, `${sr}\n${se}`, key.secret)) throw unauthorized('Invalid signature.')
    if (expiresMs <= this.#clock.now())
      throw unauthorized(`ExpiredToken: The token is expired since ${new Date(expiresMs).toISOString()}.`)
    if (!covers(pathOf(decoded(sr)), path)) throw unauthorized(`The token is not for '${audience?.slice(0, 300)}'.`)
    return { principal: key === null ? anonymous : user(key.user), expiresMs, path }
  }
  async jwt(token: string, audience: string): Promise<Claim> {
    const { oauth, authorizer } = this.#security
    const path = pathOf(audience)
    if (oauth === null) {
      if (authorizer.enforced) throw unauthorized('Tokens of an issuer are not set up here.')
      return { principal: anonymous, expiresMs: expiryOf(token), path }
    }
    try {
      const { name, expiresMs } = await oauth.check(token)
      return { principal: user(name), expiresMs, path }
    } catch (error) {
      if (error instanceof Fault) throw unauthorized(error.message)
      throw error
    }
  }
  /** A name and a password of a user, or an access key. Throws Refused. */
  async plain(message: Uint8Array): Promise<Principal> {
    const [actAs, name, password] = Buffer.from(message).toString().split('\0')
    if (name === undefined || password === undefined) throw unauthorized('PLAIN: the message has another form.')
    const key = this.#security.accessKeys.secret(name)
    if (key !== null && (actAs === '' || actAs === name) && isSame(key.secret, password)) return user(key.user)
    if (!this.#security.authorizer.enforced && this.#security.users.all().length === 0 && key === null) return anonymous
    try {
      const { identity } = await this.#security.sasl('PLAIN').step(message)
      if (identity !== null) return identity.principal
    } catch (error) {
      if (error instanceof Fault) throw unauthorized(error.message)
      throw error
    }
    throw unauthorized('invalid user name or password')
  }
}

/** What one connection has shown. */
export class Claims {
  readonly #clock: Clock
  readonly #byPath = new Map<string, Claim>()
  /** By SASL: for everything. */
  known: Principal | null = null

  constructor(clock: Clock) {
    this.#clock = clock
  }
  /** A newer one for a path takes the place of the older. Throws Refused. */
  put(claim: Claim): void {
    const key = claim.path.join('/')
    if (!this.#byPath.has(key) && this.#byPath.size >= limits.amqpTokens)
      throw new Refused(condition.resourceLimit, `A connection shows ${limits.amqpTokens} tokens at most.`)
    this.#byPath.set(key, claim)
  }
  get isEmpty(): boolean {
    return this.#byPath.size === 0 && this.known === null
  }
  /** Who may speak for the path, now; null: nobody has shown anything that holds. */
  of(path: readonly string[]): Principal | null {
    const now = this.#clock.now()
    for (const claim of this.#byPath.values())
      if (claim.expiresMs > now && covers(claim.path, path)) return claim.principal
    return this.known
  }
  /** The same for what is told of a hub: any token for it or for a part of it will do. */
  ofHub(hub: string): Principal | null {
    const now = this.#clock.now()
    const name = hub.toLowerCase()
    for (const claim of this.#byPath.values())
      if (
        claim.expiresMs > now &&
        (claim.path.length === 0 || claim.path[0] === name || claim.path[0] === '$management')
      )
        return claim.principal
    return this.known
  }
}

interface SasFields {
  readonly sr?: string
  readonly sig?: string
  readonly se?: string
  readonly skn?: string
}
/** `sr` as it was sent, which is what was signed. */
function sasFields(token: string): SasFields {
  const [, fields] = /^\s*SharedAccessSignature\s+(.*)$/is.exec(token) ?? []
  const found: Record<string, string> = {}
  for (const part of (fields ?? '').split('&')) {
    const cut = part.indexOf('=')
    const name = part.slice(0, cut)
    if (cut > 0 && /^(sr|sig|se|skn)$/.test(name))
      found[name] = name === 'sr' ? part.slice(cut + 1) : decoded(part.slice(cut + 1))
  }
  return found
}
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}
const isSignature = (signature: string, of: string, secret: string): boolean =>
  isSame(createHmac('sha256', secret).update(of).digest('base64'), signature)
export function isSame(a: string, b: string): boolean {
  const digest = (text: string): Buffer => createHmac('sha256', 'compare').update(text).digest()
  return timingSafeEqual(digest(a), digest(b))
}
/** What an unchecked token says of itself; where everybody may do everything it still ends then. */
function expiryOf(token: string): number {
  try {
    const { exp } = JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) as { exp?: unknown }
    return typeof exp === 'number' ? exp * 1000 : Infinity
  } catch {
    return Infinity
  }
}
