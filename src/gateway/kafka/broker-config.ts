/**
 * What DescribeConfigs says of the broker itself: what can be changed while it runs, and the few settings besides that
 * clients and tools ask for.
 */
import { limits } from '../../lib/limits.ts'
import { type ConfigEntry, initialRebalanceDelayMs } from '../../log/broker.ts'
import { type Exchange, nodeId } from './handler.ts'
import { kafkaDefaults } from './topic-defaults.ts'

/** null: no such broker. The empty name is what all brokers have that do not say otherwise. */
export function brokerConfig(name: string, exchange: Exchange): readonly ConfigEntry[] | null {
  const { node, topicDefaults, listenerProtocol, broker } = exchange
  if (name === '') return broker.brokerConfigs.describe('')
  if (name !== String(nodeId)) return null
  const entry = (
    setting: string,
    type: ConfigEntry['type'],
    value: string | number | boolean,
    documentation: string,
  ): ConfigEntry => ({ name: setting, value: String(value), isDefault: true, type, documentation, readOnly: true })
  const ofStart = (...words: Parameters<typeof entry>): ConfigEntry => ({ ...entry(...words), isDefault: false })
  const given = (
    name: string,
    type: ConfigEntry['type'],
    value: number | boolean,
    byDefault: number | boolean,
    documentation: string,
  ): ConfigEntry => ({ ...entry(name, type, value, documentation), isDefault: value === byDefault })
  return [
    ...broker.brokerConfigs.describe(name),
    ofStart(
      'advertised.listeners',
      'string',
      `${listenerProtocol}://${node.host}:${node.port}`,
      'Where clients reach this broker.',
    ),
    given(
      'auto.create.topics.enable',
      'boolean',
      topicDefaults.autoCreate,
      kafkaDefaults.autoCreate,
      'Whether a topic asked for by name is created.',
    ),
    ofStart('broker.id', 'int', nodeId, 'The number of this broker.'),
    entry('connections.max.idle.ms', 'long', limits.kafkaIdleMs, 'An idle connection is closed after this time.'),
    entry('default.replication.factor', 'int', 1, 'There is one broker, so there is one replica.'),
    given(
      'group.initial.rebalance.delay.ms',
      'int',
      broker.coordinator.initialRebalanceDelayMs,
      initialRebalanceDelayMs,
      'The first rebalance of a classic group begins when no member has come for so long.',
    ),
    entry(
      'group.max.session.timeout.ms',
      'int',
      limits.sessionTimeoutMaxMs,
      "The longest session of a group's member.",
    ),
    entry(
      'group.min.session.timeout.ms',
      'int',
      limits.sessionTimeoutMinMs,
      "The shortest session of a group's member.",
    ),
    ofStart('node.id', 'int', nodeId, 'The number of this node.'),
    given(
      'num.partitions',
      'int',
      topicDefaults.partitions,
      kafkaDefaults.partitions,
      'Partitions of a topic that is created without a count.',
    ),
    entry('offset.metadata.max.bytes', 'int', limits.offsetMetadataBytes, 'The longest note at a committed offset.'),
    entry('offsets.topic.replication.factor', 'int', 1, 'There is one broker, so there is one replica.'),
    entry('socket.request.max.bytes', 'int', limits.kafkaFrameBytes, 'The largest request.'),
    entry('telemetry.max.bytes', 'int', limits.telemetryBytes, 'The largest push of what a client measured of itself.'),
    entry('transaction.max.timeout.ms', 'int', limits.transactionTimeoutMaxMs, 'The longest transaction of a client.'),
    entry(
      'transactional.id.expiration.ms',
      'int',
      limits.transactionalIdIdleMs,
      'A transactional id that was silent for longer is forgotten.',
    ),
  ]
}
