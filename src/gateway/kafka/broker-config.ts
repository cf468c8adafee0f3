/** What DescribeConfigs says of the broker itself: the few settings that clients and tools ask for. None can be changed. */
import { limits } from '../../lib/limits.ts'
import type { ConfigEntry } from '../../log/broker.ts'
import { type Exchange, nodeId } from './handler.ts'
import { defaultPartitions } from './topic-defaults.ts'

/** null: no such broker. The empty name is the default of all brokers, which has nothing set. */
export function brokerConfig(name: string, { node, autoCreate, listenerProtocol }: Exchange): ConfigEntry[] | null {
  if (name === '') return []
  if (name !== String(nodeId)) return null
  const entry = (
    setting: string,
    type: ConfigEntry['type'],
    value: string | number | boolean,
    documentation: string,
  ): ConfigEntry => ({ name: setting, value: String(value), isDefault: true, type, documentation })
  return [
    entry(
      'advertised.listeners',
      'string',
      `${listenerProtocol}://${node.host}:${node.port}`,
      'Where clients reach this broker.',
    ),
    entry('auto.create.topics.enable', 'boolean', autoCreate, 'Whether a topic asked for by name is created.'),
    entry('broker.id', 'int', nodeId, 'The number of this broker.'),
    entry('connections.max.idle.ms', 'long', limits.kafkaIdleMs, 'An idle connection is closed after this time.'),
    entry('default.replication.factor', 'int', 1, 'There is one broker, so there is one replica.'),
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
    entry('message.max.bytes', 'int', limits.batchBytes, 'The largest record batch, unless its topic says otherwise.'),
    entry('node.id', 'int', nodeId, 'The number of this node.'),
    entry('num.partitions', 'int', defaultPartitions, 'Partitions of a topic that is created without a count.'),
    entry('offset.metadata.max.bytes', 'int', limits.offsetMetadataBytes, 'The longest note at a committed offset.'),
    entry('offsets.topic.replication.factor', 'int', 1, 'There is one broker, so there is one replica.'),
    entry('socket.request.max.bytes', 'int', limits.kafkaFrameBytes, 'The largest request.'),
  ]
}
