/** The settings of security: certificates, authentication, super users. Each is a text or a list, as all settings are. */
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import type { OAuthOptions } from '../security/oauth.ts'
import { type Principal, parsePrincipal } from '../security/principal.ts'
import { type SaslMechanism, saslMechanisms } from '../security/sasl.ts'
import type { TlsFiles } from '../security/tls.ts'

export interface SecuritySettings {
  /** PEM files. */
  readonly tlsCert?: string | undefined
  readonly tlsKey?: string | undefined
  readonly tlsClientCa?: string | undefined
  /** none, requested or required. */
  readonly tlsClientAuth?: string | undefined
  /** Protocols that are encrypted; all that listen, where there is a certificate. */
  readonly tls?: readonly string[] | undefined
  readonly kafkaSasl?: readonly string[] | undefined
  /** How long a client that has proved who it is need not do so again. */
  readonly kafkaReauth?: string | undefined
  readonly superUsers?: readonly string[] | undefined
  /** Holds the password of the super user `admin`, who is made where there is no user at all. */
  readonly adminPasswordFile?: string | undefined
  readonly principalMapping?: string | undefined
  readonly oauthJwks?: string | undefined
  readonly oauthIssuer?: string | undefined
  readonly oauthAudience?: readonly string[] | undefined
  readonly oauthPrincipal?: string | undefined
  readonly oauthClockSkew?: string | undefined
  readonly oauthAllow?: readonly string[] | undefined
}
export interface SecurityConfig {
  readonly tls: TlsFiles | null
  isEncrypted(protocol: string): boolean
  readonly kafkaSasl: readonly SaslMechanism[]
  readonly kafkaReauthMs: number
  readonly superUsers: readonly Principal[]
  /** null: nobody is made. */
  readonly adminPasswordFile: string | null
  readonly principalMapping: string
  readonly oauth: OAuthOptions | null
  /** Nobody gets in by the protocol who has not said who they are. */
  asksWho(protocol: string): boolean
}

export const securityDefaults: Required<SecuritySettings> = {
  tlsCert: '',
  tlsKey: '',
  tlsClientCa: '',
  tlsClientAuth: '',
  tls: [],
  kafkaSasl: [],
  kafkaReauth: '0s',
  superUsers: [],
  adminPasswordFile: '',
  principalMapping: 'DEFAULT',
  oauthJwks: '',
  oauthIssuer: '',
  oauthAudience: [],
  oauthPrincipal: 'sub',
  oauthClockSkew: '30s',
  oauthAllow: [],
}

/** Parts of a list in one text, separated by commas, of which the names of principals may have some themselves. */
export const listed = (setting: string, text: string): string[] =>
  text.split(setting === 'superUsers' ? /,(?=User:)/ : ',').filter((part) => part !== '')

/** MILLRACE_TLS_CERT, MILLRACE_KAFKA_SASL (comma separated), … */
export function securityEnvironment(env: Readonly<Record<string, string | undefined>>): SecuritySettings {
  const found: Record<string, string | readonly string[] | undefined> = {}
  for (const [setting, value] of Object.entries(securityDefaults)) {
    const text = env[`MILLRACE_${setting.replaceAll(/[A-Z]/g, (letter) => `_${letter}`).toUpperCase()}`]
    found[setting] = typeof value === 'string' || text === undefined ? text : listed(setting, text)
  }
  return found as SecuritySettings
}

const invalid = (setting: string, value: string, why: string): Fault =>
  new Fault('config.invalid', { setting, value, why })

type Single = (
  setting:
    | 'tlsCert'
    | 'tlsKey'
    | 'tlsClientCa'
    | 'tlsClientAuth'
    | 'kafkaReauth'
    | 'principalMapping'
    | 'adminPasswordFile'
    | 'oauthJwks'
    | 'oauthIssuer'
    | 'oauthPrincipal'
    | 'oauthClockSkew',
) => string
type List = (setting: 'tls' | 'kafkaSasl' | 'superUsers' | 'oauthAudience' | 'oauthAllow') => readonly string[]

/** Throws Fault config.invalid. */
export function securityOf(single: Single, list: List): SecurityConfig {
  const tls = tlsOf(single)
  const encrypted = list('tls')
  if (tls === null && encrypted.length > 0) throw invalid('tls', encrypted.join(','), 'tlsCert and tlsKey are missing')
  const isEncrypted = (protocol: string): boolean =>
    tls !== null && (encrypted.length === 0 || encrypted.includes(protocol))
  const oauth = oauthOf(single, list)
  const kafkaSasl = list('kafkaSasl').map((text) => {
    const found = saslMechanisms.find((mechanism) => mechanism === text.toUpperCase())
    if (found === undefined) throw invalid('kafkaSasl', text, `mechanisms are ${saslMechanisms.join(', ')}`)
    if (found === 'OAUTHBEARER' && oauth === null) throw invalid('kafkaSasl', text, 'oauthJwks is missing')
    return found
  })
  const adminPasswordFile = single('adminPasswordFile')
  const hasCertificates = tls?.clientAuth === 'required'
  return {
    tls,
    isEncrypted,
    kafkaSasl,
    kafkaReauthMs: parseDuration('kafkaReauth', single('kafkaReauth')),
    superUsers: list('superUsers').map((text) => {
      const principal = parsePrincipal(text)
      if (principal === null) throw invalid('superUsers', text, 'it has the form User:NAME')
      return principal
    }),
    adminPasswordFile: adminPasswordFile === '' ? null : adminPasswordFile,
    principalMapping: single('principalMapping'),
    oauth,
    asksWho(protocol) {
      // What is signed shows no secret.
      if (protocol === 'kinesis') return true
      // Others have passwords and tokens in clear: they ask wherever they are encrypted, and only there.
      if (protocol !== 'kafka') return isEncrypted(protocol)
      if (hasCertificates && isEncrypted('kafka')) return true
      const inClear = kafkaSasl.find((mechanism) => mechanism === 'PLAIN' || mechanism === 'OAUTHBEARER')
      if (inClear !== undefined && !isEncrypted('kafka'))
        throw invalid(
          'kafkaSasl',
          inClear,
          'it sends the secret itself: beyond loopback it needs TLS (tlsCert, tlsKey)',
        )
      return kafkaSasl.length > 0
    },
  }
}

function tlsOf(single: Single): TlsFiles | null {
  const [cert, key, clientCa, auth] = [
    single('tlsCert'),
    single('tlsKey'),
    single('tlsClientCa'),
    single('tlsClientAuth'),
  ]
  if (cert === '' && key === '' && clientCa === '' && (auth === '' || auth === 'none')) return null
  if (cert === '') throw invalid('tlsCert', '', 'a certificate and its key go together')
  if (key === '') throw invalid('tlsKey', '', 'a certificate and its key go together')
  const clientAuth = auth === '' ? (clientCa === '' ? 'none' : 'required') : auth
  if (clientAuth !== 'none' && clientAuth !== 'requested' && clientAuth !== 'required')
    throw invalid('tlsClientAuth', auth, 'it is none, requested or required')
  if (clientAuth !== 'none' && clientCa === '')
    throw invalid('tlsClientCa', '', 'nobody would vouch for the certificates of clients')
  return { cert, key, clientCa: clientCa === '' ? null : clientCa, clientAuth }
}

function oauthOf(single: Single, list: List): OAuthOptions | null {
  const settings = {
    jwks: single('oauthJwks'),
    issuer: single('oauthIssuer'),
    audiences: list('oauthAudience'),
    principalClaim: single('oauthPrincipal'),
    clockSkewMs: parseDuration('oauthClockSkew', single('oauthClockSkew')),
    allow: list('oauthAllow'),
  }
  if (settings.jwks !== '') return settings
  if (settings.issuer !== '') throw invalid('oauthJwks', '', 'the keys of the issuer are missing')
  return null
}
