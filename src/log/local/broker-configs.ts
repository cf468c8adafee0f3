/**
 * Settings of the broker that can be changed while it runs, with Kafka's names: for all brokers (the name '') and for this
 * one, which goes before. Most are what a topic has that does not say otherwise. Kafka's other settings of brokers have no
 * counterpart that could be changed here, and are refused.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import { type BrokerConfigs, type ConfigEntry, brokerName } from '../broker.ts'
import type { PartitionState } from './partition.ts'
import { LocalResourceConfigs, type ResourceSetting, whole } from './resource-configs.ts'
import { isOwn, isSystemTopic } from './system-topics.ts'
import { wrongWith } from './topic-config.ts'
import { settings as topicSettings } from './topic-settings.ts'

type Config = Readonly<Record<string, string>>

/** Setting of a topic → what the broker calls it. */
export const brokerSynonyms: Readonly<Record<string, string>> = {
  'cleanup.policy': 'log.cleanup.policy',
  'compression.gzip.level': 'compression.gzip.level',
  'compression.lz4.level': 'compression.lz4.level',
  'compression.type': 'compression.type',
  'compression.zstd.level': 'compression.zstd.level',
  'delete.retention.ms': 'log.cleaner.delete.retention.ms',
  'file.delete.delay.ms': 'log.segment.delete.delay.ms',
  'flush.messages': 'log.flush.interval.messages',
  'flush.ms': 'log.flush.interval.ms',
  'index.interval.bytes': 'log.index.interval.bytes',
  'local.retention.bytes': 'log.local.retention.bytes',
  'local.retention.ms': 'log.local.retention.ms',
  'max.compaction.lag.ms': 'log.cleaner.max.compaction.lag.ms',
  'max.message.bytes': 'message.max.bytes',
  'message.timestamp.after.max.ms': 'log.message.timestamp.after.max.ms',
  'message.timestamp.before.max.ms': 'log.message.timestamp.before.max.ms',
  'message.timestamp.type': 'log.message.timestamp.type',
  'min.cleanable.dirty.ratio': 'log.cleaner.min.cleanable.ratio',
  'min.compaction.lag.ms': 'log.cleaner.min.compaction.lag.ms',
  'min.insync.replicas': 'min.insync.replicas',
  preallocate: 'log.preallocate',
  'retention.bytes': 'log.retention.bytes',
  'retention.ms': 'log.retention.ms',
  'segment.bytes': 'log.segment.bytes',
  'segment.index.bytes': 'log.index.size.max.bytes',
  'segment.jitter.ms': 'log.roll.jitter.ms',
  'segment.ms': 'log.roll.ms',
  'unclean.leader.election.enable': 'unclean.leader.election.enable',
}
/** Kafka's brokers have no default of that name for these: they work it out of settings in hours, or of none. */
const withoutDefault: ReadonlySet<string> = new Set(['flush.ms', 'retention.ms', 'segment.jitter.ms', 'segment.ms'])
function ofTopics(): Record<string, ResourceSetting> {
  const found: Record<string, ResourceSetting> = {}
  for (const setting of topicSettings) {
    const name = brokerSynonyms[setting.name]
    if (name === undefined) continue
    found[name] = {
      default: setting.default,
      type: setting.type,
      documentation: `${setting.name} of topics that do not say otherwise. ${setting.documentation}`,
      wrong: (value) => wrongWith(setting, value),
    }
  }
  return found
}
const ofKerberos = (type: 'long' | 'double', byDefault: string, form: RegExp, what: string): ResourceSetting => ({
  default: byDefault,
  type,
  documentation: `${what} Kept, and without effect where Kerberos is not offered, as here.`,
  wrong: (value) => (form.test(value) ? null : 'it must be a number'),
})
/** Whoever moves partitions sets it before and takes it back after: nothing moves here, so the limit is always kept. */
const ofReplicas = (what: string): ResourceSetting => ({
  default: '9223372036854775807',
  type: 'long',
  documentation: `Bytes a second that ${what}. Kept, and without effect where partitions have one copy, as here.`,
  wrong: (value) => (/^\d{1,18}$|^[1-8]\d{18}$/.test(value) ? null : 'it must be a whole number from 0'),
})
const integer = /^-?\d{1,15}$/
const decimal = /^-?\d{1,15}(\.\d{1,15})?$/
/** As in Kafka, these are described only while they are set. */
const replicaLimits: Readonly<Record<string, ResourceSetting>> = {
  'leader.replication.throttled.rate': ofReplicas('leaders send to followers'),
  'follower.replication.throttled.rate': ofReplicas('followers take from leaders'),
  'replica.alter.log.dirs.io.max.bytes.per.second': ofReplicas('move between folders'),
}
const settings: Readonly<Record<string, ResourceSetting>> = {
  ...replicaLimits,
  ...ofTopics(),
  'max.connections': whole({
    default: limits.kafkaConnections,
    min: 1,
    max: limits.kafkaConnections,
    documentation: 'Open connections of Kafka clients; further ones are refused.',
  }),
  'max.connections.per.ip': whole({
    default: limits.kafkaConnectionsPerAddress,
    min: 1,
    max: limits.kafkaConnectionsPerAddress,
    documentation: 'The same from one address.',
  }),
  'sasl.kerberos.min.time.before.relogin': ofKerberos('long', '60000', integer, 'Between two logins to Kerberos.'),
  'sasl.kerberos.ticket.renew.jitter': ofKerberos('double', '0.05', decimal, 'Added to the time of renewal by chance.'),
  'sasl.kerberos.ticket.renew.window.factor': ofKerberos(
    'double',
    '0.8',
    decimal,
    "When in a ticket's life it is renewed.",
  ),
}
const forAll = ''

export class LocalBrokerConfigs extends LocalResourceConfigs implements BrokerConfigs {
  constructor(clock: Clock, catalog: PartitionState) {
    const noun = 'brokers that can be changed while they run'
    super({ prefix: 'broker/', noun, settings, checkName }, clock, catalog)
  }
  effective(name: string): string {
    return this.current(brokerName)[name] ?? this.value(forAll, name)
  }
  isSet(name: string): boolean {
    return (this.current(brokerName)[name] ?? this.current(forAll)[name]) !== undefined
  }
  /** What topics have that do not say otherwise, by the names that topics have for it. */
  topicDefaults(topic: string): Config {
    if (isKept(topic) || this.names().length === 0) return {}
    const found: Record<string, string> = {}
    for (const [name, synonym] of Object.entries(brokerSynonyms)) {
      const value = this.current(brokerName)[synonym] ?? this.current(forAll)[synonym]
      if (value !== undefined) found[name] = value
    }
    return found
  }
  /** Of a setting of a topic, without its own. */
  topicSynonyms(topic: string, name: string): NonNullable<ConfigEntry['synonyms']> {
    const synonym = brokerSynonyms[name]
    if (synonym === undefined) return []
    const all = isKept(topic) ? this.synonyms(synonym).slice(-1) : this.synonyms(synonym)
    return withoutDefault.has(name) ? all.filter(({ source }) => source !== 'default') : all
  }
  override describe(resource: string): readonly ConfigEntry[] {
    checkName(resource)
    const entries = Object.entries(settings).map(([name, { type, documentation }]) => {
      const synonyms = this.synonyms(name, resource)
      return { name, value: synonyms[0]?.value ?? null, isDefault: synonyms.length < 2, type, documentation, synonyms }
    })
    // For all brokers nothing is shown but what was set.
    if (resource === forAll) return entries.filter(({ synonyms }) => synonyms.length > 0)
    return entries.filter(({ name, isDefault }) => !isDefault || replicaLimits[name] === undefined)
  }
  /** Where a value comes from, first what counts. */
  synonyms(name: string, resource: string = brokerName): NonNullable<ConfigEntry['synonyms']> {
    const all = this.current(forAll)[name]
    const shared = all === undefined ? [] : [{ name, value: all, source: 'all-brokers' as const }]
    if (resource === forAll) return shared
    const own = this.current(brokerName)[name]
    const mine = own === undefined ? [] : [{ name, value: own, source: 'broker' as const }]
    return [...mine, ...shared, { name, value: settings[name]!.default, source: 'default' as const }]
  }
}
/** What Millrace keeps for itself is as Millrace needs it. */
const isKept = (topic: string): boolean => isSystemTopic(topic) || isOwn(topic)
function checkName(name: string): void {
  if (name === forAll || name === brokerName) return
  throw new Fault('log.invalid-config', {
    name: 'broker',
    value: name.slice(0, 64),
    why: `there is one broker, ${brokerName}`,
  })
}
