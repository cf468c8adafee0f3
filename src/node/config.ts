/**
 * Configuration: flag over environment over file over default. Every value remembers where it came from
 * (`millrace config` prints it).
 */
import { availableParallelism } from 'node:os'
import type { Address } from '../lib/world.ts'
import { durationText, parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { isLoopback } from '../lib/loopback.ts'
import { initialRebalanceDelayMs } from '../log/broker.ts'
import type { TopicDefaults } from '../gateway/kafka/index.ts'
import type { TopicRule } from '../gateway/mqtt/index.ts'
import { isFilter } from '../wire/mqtt/topics.ts'
import {
  type SecurityConfig,
  type SecuritySettings,
  securityDefaults,
  securityEnvironment,
  securityOf,
} from './security-config.ts'
import { addressText, parseAddress } from './addresses.ts'
import type { KinesisSettings } from '../gateway/kinesis/settings.ts'
import { kinesisOf } from './kinesis-config.ts'
import { type LogConfig, type LogSettings, type Password, logText, resolveLog } from './log-config.ts'

/** In the order in which they begin to listen; `listeners.ts` has how. */
export const protocols = ['kafka', 'http', 'eventhubs', 'kinesis', 'mqtt', 'pubsub', 'peer'] as const
export type Protocol = (typeof protocols)[number]

export interface Config {
  /** Folder of everything that is kept, or ':memory:'. */
  readonly data: string
  /** null = off. */
  readonly listen: Readonly<Record<Protocol, Address | null>>
  /** Those that do without their port where it is taken. */
  readonly listensUnasked: readonly Protocol[]
  /** What clients are told instead of the address they connected to. */
  readonly advertise: Readonly<Partial<Record<Protocol, Address>>>
  /** Of topics that Kafka clients make without describing them. */
  readonly kafkaTopics: TopicDefaults
  /** Partitions of a hub that is made because somebody sends to it; null: none is made. */
  readonly eventhubsAutoCreate: number | null
  /** The first rebalance of a group of Kafka clients begins when nobody has come for so long. */
  readonly kafkaRebalanceDelayMs: number
  /** Which log topics messages of MQTT lie in, where it is not `mqtt.` and the first level. */
  readonly mqttTopics: readonly TopicRule[]
  /** Clients of MQTT 5 are told to be heard as often; 0: as they want. */
  readonly mqttKeepAliveS: number
  /** Sessions of MQTT whose client has been away for so long end; null: as it asked for. */
  readonly mqttSessionExpiryMaxS: number | null
  readonly log: LogConfig
  /** Files that settings of connectors name lie in this folder; null: anywhere. */
  readonly connectFiles: string | null
  /** CIDR ranges that webhooks may reach although they are private. */
  readonly webhooksAllow: readonly string[]
  /** Names that the Host of an HTTP request may have, beside those of loopback. */
  readonly httpHosts: readonly string[]
  /** Origins whose pages may call, beside the server's own. */
  readonly httpOrigins: readonly string[]
  readonly kinesis: KinesisSettings
  readonly security: SecurityConfig
  /** Threads that views may take beside the one of the log and the listeners; 0: they run on that one. */
  readonly workers: number
}
export type Origin = 'flag' | 'environment' | 'file' | 'default'

/** What one source says; undefined = nothing. Texts as typed. */
export interface Settings extends SecuritySettings {
  readonly data?: string | undefined
  /** PROTOCOL=HOST:PORT or PROTOCOL=off */
  readonly listen?: readonly string[] | undefined
  readonly advertise?: readonly string[] | undefined
  /** `on` or `off` */
  readonly kafkaAutoCreate?: string | undefined
  readonly kafkaPartitions?: string | undefined
  readonly eventhubsAutoCreate?: string | undefined
  /** A duration. */
  readonly kafkaRebalanceDelay?: string | undefined
  /** FILTER=TOPIC */
  readonly mqttTopics?: readonly string[] | undefined
  /** Durations. */
  readonly mqttKeepAlive?: string | undefined
  readonly mqttPersistentClientExpiration?: string | undefined
  /** `local`, `kafka://HOST:PORT,…`, or in a file an object. */
  readonly log?: string | LogSettings | undefined
  readonly logPassword?: string | undefined
  /** Holds it, in place of the password itself. */
  readonly logPasswordFile?: string | undefined
  readonly connectFiles?: string | undefined
  readonly webhooksAllow?: readonly string[] | undefined
  readonly httpHosts?: readonly string[] | undefined
  readonly httpOrigins?: readonly string[] | undefined
  /** NAME=VALUE: region, account, shards, change-time, limits, model. */
  readonly kinesis?: readonly string[] | undefined
  /** A whole number, or `auto`: one less than the machine has cores, at least one. */
  readonly workers?: string | undefined
}

/** What listens besides, unless it is said: clients come to a log of our own; processes that share a cluster watch each other. */
const listensByLog = { local: ['kafka=127.0.0.1:9092'], cluster: ['peer=127.0.0.1:0'] } as const
/** The same where nobody says where anything listens. A port that is taken is no reason not to start. */
const listensUnasked = [
  'mqtt=127.0.0.1:1883',
  'kinesis=127.0.0.1:4567',
  'pubsub=127.0.0.1:8085',
  'eventhubs=127.0.0.1:5672',
] as const

const defaults: Required<Settings> = {
  ...securityDefaults,
  data: './.millrace',
  listen: ['http=127.0.0.1:8080'],
  advertise: [],
  kafkaAutoCreate: 'on',
  kafkaPartitions: '1',
  eventhubsAutoCreate: '0',
  kafkaRebalanceDelay: durationText(initialRebalanceDelayMs),
  mqttTopics: [],
  mqttKeepAlive: '0s',
  mqttPersistentClientExpiration: '0s',
  log: 'local',
  logPassword: '',
  logPasswordFile: '',
  connectFiles: '',
  webhooksAllow: [],
  httpHosts: [],
  httpOrigins: [],
  kinesis: [],
  workers: 'auto',
}

type SettingOf<V> = { [K in keyof Required<Settings>]: Required<Settings>[K] extends V ? K : never }[keyof Settings]
type SingleSetting = SettingOf<string | undefined>
type ListSetting = Exclude<SettingOf<readonly string[] | undefined>, 'listen' | 'advertise'>

export interface ResolvedConfig {
  readonly config: Config
  /** Setting (for lists with the protocol: `listen.kafka`), its text and its source. */
  readonly origins: readonly { readonly setting: string; readonly value: string; readonly origin: Origin }[]
}

/** Throws Fault config.invalid naming the setting and where it was given. */
export function resolveConfig(flags: Settings, environment: Settings, file: Settings): ResolvedConfig {
  const sources: readonly (readonly [Origin, Settings])[] = [
    ['flag', flags],
    ['environment', environment],
    ['file', file],
    ['default', defaults],
  ]
  const origins: { setting: string; value: string; origin: Origin }[] = []

  function single(setting: SingleSetting): string {
    for (const [origin, source] of sources) {
      const value = source[setting]
      if (value === undefined) continue
      origins.push({ setting, value, origin })
      return value
    }
    throw new Fault('internal', { what: `no default for ${setting}` })
  }
  function list(setting: ListSetting): readonly string[] {
    for (const [origin, source] of sources) {
      const value = source[setting]
      if (value === undefined || (value.length === 0 && origin !== 'default')) continue
      origins.push({ setting, value: value.join(','), origin })
      return value
    }
    return []
  }
  function onOff(setting: 'kafkaAutoCreate'): boolean {
    const value = single(setting)
    if (value !== 'on' && value !== 'off') throw new Fault('config.invalid', { setting, value, why: 'it is on or off' })
    return value === 'on'
  }
  function partitionCount(setting: 'kafkaPartitions' | 'eventhubsAutoCreate'): number {
    const value = single(setting)
    if (/^[1-9]\d{0,9}$/.test(value) && Number(value) <= limits.partitionsPerTopic) return Number(value)
    const why = `it is a whole number from 1 to ${limits.partitionsPerTopic}`
    throw new Fault('config.invalid', { setting, value, why })
  }
  function rebalanceDelay(setting: 'kafkaRebalanceDelay'): number {
    const value = single(setting)
    const ms = parseDuration(setting, value)
    if (ms <= limits.rebalanceDelayMaxMs) return ms
    const why = `it is at most ${durationText(limits.rebalanceDelayMaxMs)}`
    throw new Fault('config.invalid', { setting, value, why })
  }
  function threadCount(): number {
    const value = single('workers')
    if (value === 'auto') return Math.min(limits.viewThreads, Math.max(1, availableParallelism() - 1))
    if (/^\d{1,9}$/.test(value) && Number(value) <= limits.viewThreads) return Number(value)
    const why = `it is auto, or a whole number from 0 to ${limits.viewThreads}`
    throw new Fault('config.invalid', { setting: 'workers', value, why })
  }
  function logOf(): LogConfig {
    // Whichever of the two is said nearer by, so that what is given for one run wins.
    const [, nearest] = sources.find(([, source]) => source.logPassword ?? source.logPasswordFile) ?? [
      'default',
      defaults,
    ]
    const password: Password = { text: nearest.logPassword ?? '', file: nearest.logPasswordFile ?? '' }
    for (const [origin, { log }] of sources) {
      if (log === undefined) continue
      origins.push({ setting: 'log', value: logText(log), origin })
      return resolveLog(log, password)
    }
    throw new Fault('internal', { what: 'no default for log' })
  }
  /** Protocol by protocol: a flag for one leaves the others as the file has them. */
  function addresses(
    setting: 'listen' | 'advertise',
    from: readonly (readonly [Origin, Settings])[],
  ): Partial<Record<Protocol, Address | null>> {
    const found: Partial<Record<Protocol, Address | null>> = {}
    for (const [origin, source] of from)
      for (const text of source[setting] ?? []) {
        const { protocol, address } = parseListen(setting, text)
        if (protocol in found) continue
        found[protocol] = address
        origins.push({ setting: `${setting}.${protocol}`, value: text.slice(protocol.length + 1), origin })
      }
    return found
  }

  const data = single('data')
  if (data.trim() === '')
    throw new Fault('config.invalid', { setting: 'data', value: data, why: 'a folder is wanted, or :memory:' })
  const log = logOf()
  const others: Settings = { listen: listensByLog[log === 'local' ? 'local' : 'cluster'] }
  const isAsked = [flags, environment, file].some((source) => source.listen !== undefined && source.listen.length > 0)
  const unasked: Settings = { listen: isAsked || log !== 'local' ? [] : listensUnasked }
  const listen = addresses('listen', [...sources, ['default', others], ['default', unasked]])
  const advertise = addresses('advertise', sources)
  refuseIdle(log, listen)
  const config: Config = {
    data,
    listen: Object.fromEntries(protocols.map((one) => [one, listen[one] ?? null])) as Config['listen'],
    listensUnasked: isAsked ? [] : protocols.filter((one) => listensUnasked.some((text) => text.startsWith(`${one}=`))),
    advertise: Object.fromEntries(Object.entries(advertise).filter(([, address]) => address !== null)),
    kafkaTopics: { autoCreate: onOff('kafkaAutoCreate'), partitions: partitionCount('kafkaPartitions') },
    eventhubsAutoCreate: single('eventhubsAutoCreate') === '0' ? null : partitionCount('eventhubsAutoCreate'),
    kafkaRebalanceDelayMs: rebalanceDelay('kafkaRebalanceDelay'),
    mqttTopics: list('mqttTopics').map(topicRule),
    mqttKeepAliveS: keepAliveSeconds(single('mqttKeepAlive')),
    mqttSessionExpiryMaxS: sessionExpirySeconds(single('mqttPersistentClientExpiration')),
    log,
    connectFiles: single('connectFiles') === '' ? null : single('connectFiles'),
    webhooksAllow: list('webhooksAllow'),
    httpHosts: list('httpHosts').map(hostName),
    httpOrigins: list('httpOrigins').map(originText),
    kinesis: kinesisOf(list('kinesis')),
    security: securityOf(single, list),
    workers: threadCount(),
  }
  for (const protocol of protocols) {
    const at = config.listen[protocol]
    // A peer port takes nothing in and says a random name: there is nothing to protect.
    if (at === null || protocol === 'peer') continue
    if (!isLoopback(at.host) && !config.security.asksWho(protocol))
      throw new Fault('config.not-loopback', { protocol, host: at.host })
  }
  return { config, origins }
}

function parseListen(setting: string, text: string): { protocol: Protocol; address: Address | null } {
  const [name, where] = split(text, '=')
  const protocol = protocols.find((known) => known === name)
  if (protocol === undefined)
    throw new Fault('config.invalid', { setting, value: text, why: `the protocol is one of ${protocols.join(', ')}` })
  if (where === 'off' && setting === 'listen') return { protocol, address: null }
  return { protocol, address: parseAddress(setting, where) }
}

/** A listener that would have nothing to do. */
function refuseIdle(log: LogConfig, listen: Partial<Record<Protocol, Address | null>>): void {
  const refuse = (protocol: Protocol, why: string): void => {
    const at = listen[protocol]
    if (at != null) throw new Fault('config.invalid', { setting: `listen.${protocol}`, value: addressText(at), why })
  }
  if (log === 'local') return refuse('peer', 'it is for processes that share a Kafka cluster')
  refuse('kafka', 'with a Kafka cluster, clients talk to its brokers')
  for (const protocol of ['eventhubs', 'kinesis', 'mqtt', 'pubsub'] as const)
    refuse(protocol, 'with a Kafka cluster there is none: it needs a log of our own')
}

function topicRule(text: string): TopicRule {
  const at = text.lastIndexOf('=')
  const rule = { filter: text.slice(0, at), topic: text.slice(at + 1) }
  if (at > 0 && isFilter(rule.filter) && !rule.filter.startsWith('$') && /^[a-zA-Z0-9._-]{1,249}$/.test(rule.topic))
    return rule
  const why = 'it has the form FILTER=TOPIC, such as factory/+/temperature=temperatures'
  throw new Fault('config.invalid', { setting: 'mqttTopics', value: text, why })
}
function keepAliveSeconds(value: string): number {
  const ms = parseDuration('mqttKeepAlive', value)
  if (ms % 1_000 === 0 && ms <= 65_535_000) return ms / 1_000
  const why = 'it is a whole number of seconds, at most 65535s'
  throw new Fault('config.invalid', { setting: 'mqttKeepAlive', value, why })
}
/** null: it does not hold. */
function sessionExpirySeconds(value: string): number | null {
  const ms = parseDuration('mqttPersistentClientExpiration', value)
  if (ms % 1_000 === 0 && ms < 0xffff_ffff * 1_000) return ms === 0 ? null : ms / 1_000
  const why = 'it is a whole number of seconds, less than 4294967295s; 0s: as long as clients ask for'
  throw new Fault('config.invalid', { setting: 'mqttPersistentClientExpiration', value, why })
}

function hostName(text: string): string {
  if (/^(?:[\w-]+(?:\.[\w-]+)*|\[[\da-f:.]+\])$/i.test(text)) return text
  throw new Fault('config.invalid', { setting: 'httpHosts', value: text, why: 'it is a host name without port' })
}
/** As browsers send it: no path, no default port, lower case. */
function originText(text: string): string {
  const url = URL.parse(text)
  if (url !== null && /^https?:$/.test(url.protocol) && url.href === `${url.origin}/`) return url.origin
  throw new Fault('config.invalid', { setting: 'httpOrigins', value: text, why: 'it has the form https://HOST[:PORT]' })
}

const split = (text: string, at: string): [string, string] => {
  const index = text.indexOf(at)
  return index < 0 ? [text, ''] : [text.slice(0, index), text.slice(index + 1)]
}

/** MILLRACE_DATA, MILLRACE_LISTEN (comma separated), … */
export function environmentSettings(env: Readonly<Record<string, string | undefined>>): Settings {
  const list = (text: string | undefined): readonly string[] | undefined =>
    text?.split(',').filter((part) => part !== '')
  return {
    data: env['MILLRACE_DATA'],
    listen: list(env['MILLRACE_LISTEN']),
    advertise: list(env['MILLRACE_ADVERTISE']),
    kafkaAutoCreate: env['MILLRACE_KAFKA_AUTO_CREATE'],
    kafkaPartitions: env['MILLRACE_KAFKA_PARTITIONS'],
    eventhubsAutoCreate: env['MILLRACE_EVENTHUBS_AUTO_CREATE'],
    kafkaRebalanceDelay: env['MILLRACE_KAFKA_REBALANCE_DELAY'],
    mqttTopics: list(env['MILLRACE_MQTT_TOPICS']),
    mqttKeepAlive: env['MILLRACE_MQTT_KEEP_ALIVE'],
    mqttPersistentClientExpiration: env['MILLRACE_MQTT_PERSISTENT_CLIENT_EXPIRATION'],
    log: env['MILLRACE_LOG'],
    logPassword: env['MILLRACE_LOG_PASSWORD'],
    logPasswordFile: env['MILLRACE_LOG_PASSWORD_FILE'],
    connectFiles: env['MILLRACE_CONNECT_FILES'],
    webhooksAllow: list(env['MILLRACE_WEBHOOKS_ALLOW']),
    httpHosts: list(env['MILLRACE_HTTP_HOSTS']),
    httpOrigins: list(env['MILLRACE_HTTP_ORIGINS']),
    kinesis: list(env['MILLRACE_KINESIS']),
    workers: env['MILLRACE_WORKERS'],
    ...securityEnvironment(env),
  }
}
