/**
 * What a topic gets that a Kafka client creates without saying more: Kafka's own defaults, where ours differ. (Ours keep
 * everything, because replayed history would die at the first roll.)
 */
import type { Broker } from '../../log/broker.ts'
import type { TopicSpec } from '../../log/log.ts'

export const defaultPartitions = 1
const weekMs = 7 * 24 * 60 * 60 * 1000

export function topicSpec(
  name: string,
  { partitions = defaultPartitions, config = {} }: { partitions?: number; config?: Readonly<Record<string, string>> },
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
