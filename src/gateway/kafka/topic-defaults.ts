/**
 * What a topic gets that a Kafka client creates without saying more: Kafka's own defaults, where ours differ. (Ours keep
 * everything, because replayed history would die at the first roll.)
 */
import type { Broker, ConfigEntry } from '../../log/broker.ts'
import type { TopicSpec } from '../../log/log.ts'

/** What Kafka's brokers are told at their start, of topics that nobody describes. */
export interface TopicDefaults {
  /** Whether a topic that a client asks for by name is made: Kafka's `auto.create.topics.enable`. */
  readonly autoCreate: boolean
  /** Of a topic that is made without a count: Kafka's `num.partitions`. */
  readonly partitions: number
}
export const kafkaDefaults: TopicDefaults = { autoCreate: true, partitions: 1 }
const weekMs = 7 * 24 * 60 * 60 * 1000

export function topicSpec(
  name: string,
  { partitions, config = {} }: { partitions: number; config?: Readonly<Record<string, string>> },
  { brokerConfigs }: Pick<Broker, 'brokerConfigs'>,
): TopicSpec {
  const keepsAll = config['cleanup.policy'] === 'compact'
  // Somebody said how long topics keep records: this one follows, also when that is changed.
  const retention =
    keepsAll || brokerConfigs.isSet('log.retention.ms') || 'retention.ms' in config
      ? {}
      : { 'retention.ms': String(weekMs) }
  return { name, partitions, config: { ...retention, ...config } }
}

/** The settings of a topic as Kafka shows them: a week of retention is its default, whoever wrote it down. */
export function topicConfig(name: string, { broker }: { readonly broker: Broker }): readonly ConfigEntry[] {
  const entries = broker.describeConfig(name)
  if (broker.brokerConfigs.isSet('log.retention.ms')) return entries
  return entries.map((entry) => {
    if (entry.name !== 'retention.ms' || entry.value !== String(weekMs) || entry.isDefault) return entry
    const synonyms = [{ name: 'log.retention.ms', value: String(weekMs), source: 'default' as const }]
    return { ...entry, isDefault: true, synonyms }
  })
}
