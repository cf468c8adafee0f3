/**
 * Who is at the other end of a connection. By certificate from the start, by SASL from when it has succeeded; where a
 * listener wants to know, nothing else is answered before (KIP-152), and nothing after the time that was given for it is
 * over (KIP-368) until the client has proved itself again, by the same mechanism as the same principal.
 */
import { type Fault, asFault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import { type Principal, anonymous, principalText } from '../../security/principal.ts'
import type { SaslMechanism, SaslServer } from '../../security/sasl.ts'
import type { Security } from '../../security/security.ts'

export interface SaslSettings {
  readonly mechanisms: readonly SaslMechanism[]
  /** Nobody gets in without. */
  readonly required: boolean
  /** How long a proof holds at most; 0 = as long as the connection, or the token. Kafka's `connections.max.reauth.ms`. */
  readonly reauthMs: number
}
export const noSasl: SaslSettings = { mechanisms: [], required: false, reauthMs: 0 }

/** SaslHandshake, ApiVersions, SaslAuthenticate. */
const beforeAuthentication = new Set([17, 18, 36])
/** From one renewal to the next, as in Kafka: who proves it more often keeps the server busy. */
const renewalMinMs = 1_000

export const saslCode = { none: 0, unsupportedMechanism: 33, illegalState: 34, failed: 58 } as const
type Authenticated =
  | { readonly reply: Uint8Array; readonly lifetimeMs: number }
  | { readonly error: number; readonly message: string }
const failed = (why: string): Authenticated => ({ error: saslCode.failed, message: `authentication failed: ${why}` })

export class Session {
  principal: Principal
  /** What the client says it is (ApiVersions 3 and later). */
  software = { name: '', version: '' }
  readonly #security: Security
  readonly #settings: SaslSettings
  readonly #clock: Clock
  #mechanism: SaslMechanism | null = null
  #server: SaslServer | null = null
  /** By the monotonic clock. */
  #endMs = Infinity
  #provedMs = -Infinity
  #renewalMs = -Infinity
  #isKnown: boolean
  /** The messages of the exchange come without a header (SaslHandshake version 0). */
  isRaw = false

  constructor(options: { security: Security; sasl: SaslSettings; clock: Clock; subject: string | null }) {
    const { security, sasl, clock, subject } = options
    this.#security = security
    this.#settings = sasl
    this.#clock = clock
    this.principal = (subject === null ? null : security.bySubject(subject)) ?? anonymous
    this.#isKnown = !sasl.required
  }
  get isKnown(): boolean {
    return this.#isKnown
  }
  /** Why a request of this API is not answered; null = it is. */
  refusal(apiKey: number): string | null {
    if (beforeAuthentication.has(apiKey)) return null
    if (!this.#isKnown) return 'a request before authentication'
    return this.#endMs !== Infinity && this.#clock.monotonic() > this.#endMs
      ? 'the session is over and was not renewed'
      : null
  }

  handshake(
    mechanism: string,
    version: number,
  ): { readonly error: number; readonly mechanisms: readonly SaslMechanism[] } {
    const { mechanisms } = this.#settings
    this.#server = null
    if (mechanisms.length === 0) return { error: saslCode.illegalState, mechanisms }
    const known = mechanisms.find((one) => one === mechanism)
    if (known === undefined) return { error: saslCode.unsupportedMechanism, mechanisms }
    const isOther = this.#mechanism !== null && this.#mechanism !== known
    if (isOther || !this.#mayBegin()) return { error: saslCode.illegalState, mechanisms }
    this.#mechanism = known
    this.#server = this.#security.sasl(known)
    this.isRaw = version === 0
    return { error: saslCode.none, mechanisms }
  }

  /** The first time always; again only where a proof holds for a time, and the first renewal at once. */
  #mayBegin(): boolean {
    if (this.#provedMs === -Infinity) return true
    const now = this.#clock.monotonic()
    if (this.#endMs === Infinity || now - this.#renewalMs < renewalMinMs) return false
    this.#renewalMs = now
    return true
  }

  async authenticate(message: Uint8Array): Promise<Authenticated> {
    const server = this.#server
    if (server === null) return { error: saslCode.illegalState, message: 'SaslAuthenticate comes after SaslHandshake' }
    try {
      const { reply, identity } = await server.step(message)
      if (identity === null) return { reply, lifetimeMs: 0 }
      this.#end()
      return this.#admit(reply, identity.principal, identity.expiresMs)
    } catch (error) {
      this.#end()
      const fault = asFault(error)
      return isForStrangers(fault)
        ? { error: saslCode.failed, message: fault.message }
        : failed('it could not be tried')
    }
  }
  #end(): void {
    this.#server = null
    this.isRaw = false
  }
  #admit(reply: Uint8Array, principal: Principal, expiresMs: number | null): Authenticated {
    const isAgain = this.#provedMs !== -Infinity
    if (isAgain && principalText(principal) !== principalText(this.principal))
      return failed('a connection stays with its principal')
    const { reauthMs } = this.#settings
    const own = reauthMs > 0 ? reauthMs : Infinity
    const lifetimeMs = Math.min(own, expiresMs === null ? Infinity : expiresMs - this.#clock.now())
    if (lifetimeMs <= 0) return failed('the token is over')
    this.principal = principal
    this.#isKnown = true
    this.#provedMs = this.#clock.monotonic()
    this.#endMs = this.#provedMs + lifetimeMs
    return { reply, lifetimeMs: lifetimeMs === Infinity ? 0 : Math.floor(lifetimeMs) }
  }
}
/** What went wrong inside is not. */
const isForStrangers = ({ code }: Fault): boolean =>
  code === 'security.authentication-failed' || code === 'http.too-many'
