/** Who a client is: by user name and password, by a token in place of the password, or by the certificate it has shown. */
import { Fault } from '../../lib/fault.ts'
import type { Subject } from '../../security/authorizer.ts'
import { anonymous, user } from '../../security/principal.ts'
import type { Security } from '../../security/security.ts'
import type { Connect } from '../../wire/mqtt/packets.ts'
import { MqttError, reason } from '../../wire/mqtt/reason.ts'

export interface Identity {
  readonly subject: Subject
  /** By the wall clock; null: as long as the connection. */
  readonly expiresMs: number | null
}
interface From {
  readonly host: string
  readonly certificate: string | null
  /** Nobody gets in who has not said who they are. */
  readonly asksWho: boolean
}
const refused = (why: string): MqttError => new MqttError(reason.badUserOrPassword, why)
/** A JWT: its first part is a JSON object. */
const tokenForm = /^eyJ[\w-]*\.[\w-]+\.[\w-]+$/

/** Throws MqttError, Fault. */
export async function identify(
  security: Security,
  { userName, password }: Connect,
  { host, certificate, asksWho }: From,
): Promise<Identity> {
  const shown = certificate === null ? null : security.bySubject(certificate)
  if (userName === null && password === null) {
    if (shown === null && asksWho) throw refused('a user name and a password are needed')
    return { subject: { principal: shown ?? anonymous, host }, expiresMs: null }
  }
  // Where nothing is refused to anybody, names mean nothing.
  if (!security.authorizer.enforced && !asksWho)
    return { subject: { principal: shown ?? anonymous, host }, expiresMs: null }
  const text = Buffer.from(password ?? []).toString()
  if (security.oauth !== null && tokenForm.test(text)) return byToken(security, { userName, token: text, host })
  const message = Buffer.from(`\0${userName ?? ''}\0${text}`)
  const identity = await orRefused('the user name or the password is wrong', async () => {
    const step = await security.sasl('PLAIN').step(message)
    return step.identity
  })
  if (identity === null) throw refused('the user name or the password is wrong')
  return { subject: { principal: identity.principal, host }, expiresMs: null }
}
/** A user name beside it is that of the token, or empty. */
async function byToken(
  { oauth }: Security,
  { userName, token, host }: { userName: string | null; token: string; host: string },
): Promise<Identity> {
  const { name, expiresMs } = await orRefused('the token does not hold', () => oauth!.check(token))
  if (userName !== null && userName !== '' && userName !== name) throw refused('the token is of another user')
  return { subject: { principal: user(name), host }, expiresMs }
}
export async function orRefused<T>(why: string, call: () => Promise<T>): Promise<T> {
  try {
    return await call()
  } catch (error) {
    if (error instanceof Fault && error.code !== 'security.authentication-failed') throw error
    throw refused(why)
  }
}
