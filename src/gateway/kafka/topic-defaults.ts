/**
 * What a topic gets that a Kafka client creates without saying more: Kafka's own defaults, where ours differ. (Ours keep
 * everything, because replayed history would die at the first roll.)
 */
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
const defaults = { 'retention.ms': String(weekMs) }

export const topicSpec = (
  name: string,
  { partitions, config = {} }: { partitions: number; config?: Readonly<Record<string, string>> },
): TopicSpec => ({ name, partitions, config, defaults })
