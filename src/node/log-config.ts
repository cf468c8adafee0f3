/**
 * Which log: `local`, or a Kafka cluster: `kafka://HOST:PORT,HOST:PORT?ca=FILE&sasl=MECHANISM&user=NAME`. In a project's
 * file it may be an object. The password stands in MILLRACE_LOG_PASSWORD, or in the file, never on the command line.
 */
import { Fault } from '../lib/fault.ts'
import type { Address } from '../lib/world.ts'
import type { SaslMechanism } from '../log/cluster/settings.ts'
import { parseAddress } from './addresses.ts'

export interface KafkaLog {
  readonly brokers: readonly Address[]
  /** `ca`: file with the certificates of who may vouch for the brokers; null: the system's own. */
  readonly tls: { readonly ca: string | null } | null
  readonly sasl: { readonly mechanism: SaslMechanism; readonly username: string; readonly password: string } | null
}
export type LogConfig = 'local' | KafkaLog

/** As a project's file has it. */
export interface LogSettings {
  /** HOST:PORT of some of its brokers. */
  readonly kafka: readonly string[]
  readonly tls?: { readonly ca?: string }
  readonly sasl?: { readonly mechanism: SaslMechanism; readonly username: string; readonly password?: string }
}
const mechanisms: readonly SaslMechanism[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
const scheme = 'kafka://'

/** Throws Fault config.invalid. */
export function resolveLog(said: string | LogSettings, password: string | undefined): LogConfig {
  if (said === 'local') return 'local'
  const settings = typeof said === 'string' ? parseLog(said) : said
  const config: KafkaLog = {
    brokers: settings.kafka.map((at) => parseAddress('log', at)),
    tls: settings.tls === undefined ? null : { ca: settings.tls.ca ?? null },
    sasl: saslOf(settings.sasl, password),
  }
  if (config.brokers.length === 0) throw invalid(scheme, 'it names at least one broker')
  if (config.sasl?.mechanism === 'PLAIN' && config.tls === null)
    throw invalid('PLAIN', 'it sends the password as it is: use TLS with it, or SCRAM')
  return config
}
function saslOf(said: LogSettings['sasl'], password: string | undefined): KafkaLog['sasl'] {
  if (said === undefined) return null
  const { mechanism, username } = said
  if (!mechanisms.includes(mechanism)) throw invalid(mechanism, `the mechanism is one of ${mechanisms.join(', ')}`)
  if (typeof username !== 'string' || username === '') throw invalid('sasl', 'it needs a user')
  const secret = password ?? said.password
  if (secret === undefined) throw invalid(username, 'its password is missing: set MILLRACE_LOG_PASSWORD')
  return { mechanism, username, password: secret }
}
function parseLog(text: string): LogSettings {
  if (!text.startsWith(scheme)) throw invalid(text, `it is local or ${scheme}HOST:PORT,…`)
  const [brokers = '', query = ''] = text.slice(scheme.length).split('?', 2)
  const options = new URLSearchParams(query)
  for (const name of options.keys())
    if (!['tls', 'ca', 'sasl', 'user'].includes(name)) throw invalid(text, `${name} is none of tls, ca, sasl, user`)
  const ca = options.get('ca')
  const sasl = options.get('sasl')
  return {
    kafka: brokers.replace(/\/$/, '').split(','),
    ...(ca === null && options.get('tls') !== 'true' ? {} : { tls: ca === null ? {} : { ca } }),
    ...(sasl === null ? {} : { sasl: { mechanism: sasl as SaslMechanism, username: options.get('user') ?? '' } }),
  }
}
const invalid = (value: string, why: string): Fault => new Fault('config.invalid', { setting: 'log', value, why })

/** Without its password. */
export function logText(said: string | LogSettings): string {
  if (typeof said === 'string') return said
  const options = new URLSearchParams()
  if (said.tls?.ca !== undefined) options.set('ca', said.tls.ca)
  else if (said.tls !== undefined) options.set('tls', 'true')
  if (said.sasl !== undefined) {
    options.set('sasl', said.sasl.mechanism)
    options.set('user', said.sasl.username)
  }
  return `${scheme}${said.kafka.join(',')}${options.size === 0 ? '' : `?${options.toString()}`}`
}
