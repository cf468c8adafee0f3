/**
 * Which log: `local`, or a Kafka cluster: `kafka://HOST:PORT,HOST:PORT?ca=FILE&cert=FILE&key=FILE&sasl=MECHANISM&user=NAME`.
 * In a project's file it may be an object. The password stands in the environment or in a file, never on the command line.
 */
import { Fault } from '../lib/fault.ts'
import type { Address } from '../lib/world.ts'
import type { SaslMechanism } from '../log/cluster/settings.ts'
import { parseAddress } from './addresses.ts'

export interface KafkaLog {
  readonly brokers: readonly Address[]
  readonly tls: KafkaTls | null
  readonly sasl: KafkaSasl | null
}
/** PEM files. */
export interface KafkaTls {
  /** Who may vouch for the brokers; null: the system's own authorities. */
  readonly ca: string | null
  /** What we show the brokers when they ask who we are. */
  readonly own: { readonly cert: string; readonly key: string } | null
}
export interface KafkaSasl {
  readonly mechanism: SaslMechanism
  readonly username: string
  readonly password: { readonly text: string } | { readonly file: string }
}
export type LogConfig = 'local' | KafkaLog

/** As a project's file has it. */
export interface LogSettings {
  /** HOST:PORT of some of its brokers. */
  readonly kafka: readonly string[]
  readonly tls?: { readonly ca?: string; readonly cert?: string; readonly key?: string }
  readonly sasl?: { readonly mechanism: SaslMechanism; readonly username: string; readonly password?: string }
}
const mechanisms: readonly SaslMechanism[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']
const scheme = 'kafka://'
const optionNames = ['tls', 'ca', 'cert', 'key', 'sasl', 'user']

/** What stands beside it: the password, or the file that holds it. */
export interface Password {
  readonly text: string
  readonly file: string
}

/** Throws Fault config.invalid. */
export function resolveLog(said: string | LogSettings, password: Password): LogConfig {
  if (said === 'local') return 'local'
  const settings = typeof said === 'string' ? parseLog(said) : said
  const config: KafkaLog = {
    brokers: settings.kafka.map((at) => parseAddress('log', at)),
    tls: tlsOf(settings.tls),
    sasl: saslOf(settings.sasl, password),
  }
  if (config.brokers.length === 0) throw invalid(scheme, 'it names at least one broker')
  if (config.sasl?.mechanism === 'PLAIN' && config.tls === null)
    throw invalid('PLAIN', 'it sends the password as it is: use TLS with it, or SCRAM')
  return config
}
function tlsOf(said: LogSettings['tls']): KafkaTls | null {
  if (said === undefined) return null
  const { ca = null, cert, key } = said
  if ((cert === undefined) !== (key === undefined)) throw invalid('tls', 'a certificate and its key go together')
  return { ca, own: cert === undefined || key === undefined ? null : { cert, key } }
}
function saslOf(said: LogSettings['sasl'], password: Password): KafkaSasl | null {
  if (said === undefined) return null
  const { mechanism, username } = said
  if (!mechanisms.includes(mechanism)) throw invalid(mechanism, `the mechanism is one of ${mechanisms.join(', ')}`)
  if (typeof username !== 'string' || username === '') throw invalid('sasl', 'it needs a user')
  if (password.text !== '') return { mechanism, username, password: { text: password.text } }
  if (password.file !== '') return { mechanism, username, password: { file: password.file } }
  if (typeof said.password === 'string') return { mechanism, username, password: { text: said.password } }
  throw invalid(username, 'its password is missing: set MILLRACE_LOG_PASSWORD or logPasswordFile')
}
function parseLog(text: string): LogSettings {
  if (!text.startsWith(scheme)) throw invalid(text, `it is local or ${scheme}HOST:PORT,…`)
  const [brokers = '', query = ''] = text.slice(scheme.length).split('?', 2)
  const options = new URLSearchParams(query)
  for (const name of options.keys())
    if (!optionNames.includes(name)) throw invalid(text, `${name} is none of ${optionNames.join(', ')}`)
  const files = ['ca', 'cert', 'key'].flatMap((name) => {
    const value = options.get(name)
    return value === null ? [] : [[name, value]]
  })
  const tls = options.get('tls') ?? (files.length > 0 ? 'true' : 'false')
  if (tls !== 'true' && (tls !== 'false' || files.length > 0)) throw invalid(text, 'tls is true or left out')
  const sasl = options.get('sasl')
  return {
    kafka: brokers.replace(/\/$/, '').split(','),
    ...(tls === 'true' && { tls: Object.fromEntries(files) as NonNullable<LogSettings['tls']> }),
    ...(sasl === null ? {} : { sasl: { mechanism: sasl as SaslMechanism, username: options.get('user') ?? '' } }),
  }
}
const invalid = (value: string, why: string): Fault => new Fault('config.invalid', { setting: 'log', value, why })

/** Without its password. */
export function logText(said: string | LogSettings): string {
  if (typeof said === 'string') return said
  const options = new URLSearchParams()
  for (const [name, file] of Object.entries(said.tls ?? {})) options.set(name, file)
  if (said.tls !== undefined && options.size === 0) options.set('tls', 'true')
  if (said.sasl !== undefined) {
    options.set('sasl', said.sasl.mechanism)
    options.set('user', said.sasl.username)
  }
  return `${scheme}${said.kafka.join(',')}${options.size === 0 ? '' : `?${options.toString()}`}`
}
