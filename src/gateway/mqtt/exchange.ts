/**
 * Enhanced authentication (MQTT 5, 4.12): SASL's mechanisms by their own names as methods, one exchange with CONNECT and AUTH, and
 * others on the same connection with AUTH alone. PLAIN is none of them: it is what CONNECT's user name and password are.
 */
import { type SaslMechanism, type SaslServer, saslMechanisms } from '../../security/sasl.ts'
import type { Security } from '../../security/security.ts'
import { MqttError, protocolError, reason } from '../../wire/mqtt/reason.ts'
import { type Identity, orRefused } from './identity.ts'

export interface Step {
  /** What the client is to be sent. */
  readonly reply: Uint8Array
  /** null: the exchange goes on. */
  readonly identity: Identity | null
}

export class Exchange {
  readonly method: string
  readonly #begin: () => SaslServer
  /** null: there is none under way. */
  #sasl: SaslServer | null

  private constructor(method: SaslMechanism, security: Security) {
    this.method = method
    this.#begin = () => security.sasl(method)
    this.#sasl = this.#begin()
  }
  /** Throws MqttError where the method is not offered: what it is, or that nobody has anything to show by it. */
  static of(method: string, security: Security, asksWho: boolean): Exchange {
    const known = saslMechanisms.find((one) => one === method)
    const hasUsers = security.authorizer.enforced || asksWho
    const isOffered = known === 'OAUTHBEARER' ? security.oauth !== null : known !== 'PLAIN' && hasUsers
    if (known === undefined || !isOffered)
      throw new MqttError(
        reason.badAuthenticationMethod,
        `the method ${method.slice(0, 100)} is not offered; give a user name and a password`,
      )
    return new Exchange(known, security)
  }
  again(): void {
    this.#sasl = this.#begin()
  }
  /** Throws MqttError, Fault; then another exchange has to begin. */
  async step(message: Uint8Array, host: string): Promise<Step> {
    const sasl = this.#sasl
    if (sasl === null) throw protocolError('AUTH goes on with an exchange that has not begun')
    this.#sasl = null
    const { reply, identity } = await orRefused('the proof of who it is does not hold', () => sasl.step(message))
    if (identity === null) {
      this.#sasl = sasl
      return { reply, identity }
    }
    const { principal, expiresMs } = identity
    return { reply, identity: { subject: { principal, host }, expiresMs } }
  }
}
