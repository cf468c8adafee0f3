/**
 * Topics that the log keeps for itself. One partition each; ids are fixed, because they must be found before the
 * catalogue can be read. They are shown once something stands in them.
 */
import { catalogTopic } from '../catalog.ts'
import type { TopicInfo } from '../log.ts'

export { catalogTopic } from '../catalog.ts'
export const offsetsTopic = '__consumer_offsets'
export const transactionsTopic = '__transaction_state'
export const queuesTopic = '__share_group_state'

/** Small segments: what is compacted is never in the newest one. */
const config = { 'cleanup.policy': 'compact', 'segment.bytes': '16777216', 'max.message.bytes': '67108864' }
/** Changes add up: what is not needed any more is trimmed, as Kafka does. */
const trimmedConfig = { ...config, 'cleanup.policy': 'delete', 'retention.ms': '-1' }

export const systemTopics: readonly TopicInfo[] = [
  { name: catalogTopic, id: '6d696c6c-7261-4365-8000-000000000001', partitions: 1, config },
  { name: offsetsTopic, id: '6d696c6c-7261-4365-8000-000000000002', partitions: 1, config },
  { name: transactionsTopic, id: '6d696c6c-7261-4365-8000-000000000003', partitions: 1, config },
  { name: queuesTopic, id: '6d696c6c-7261-4365-8000-000000000004', partitions: 1, config: trimmedConfig },
]

/**
 * Where readers stand, and what is remembered of them: positions, what became of the records of queues, the gateways'
 * sessions, subscriptions, checkpoints, shards. Retained messages are records.
 */
const positionTopics: ReadonlySet<string> = new Set([
  offsetsTopic,
  queuesTopic,
  ...['connect', 'eventhubs', 'kinesis', 'mqtt', 'pubsub'].map((part) => `_millrace_${part}`),
])

/**
 * The part of the disk's reserve that is left when intake of a topic stops. Deleting a topic, keeping one for less long and
 * going on in one make room, and each is a record: so the catalogue goes on longest, and positions go on when records stop.
 */
export function reserveKept(topic: string): number {
  if (topic === catalogTopic) return 1 / 4
  return positionTopics.has(topic) ? 1 / 2 : 1
}

/**
 * The same of what ends a transaction: its record and its markers. A client has to come out of what it has begun, and
 * readers wait for that; what can be ended was begun while there was room, so it is not much.
 */
export const reserveKeptByEnds = 3 / 8

/** Written by the log alone; a client that could write here could forge commits. */
export const isSealed = (topic: string): boolean =>
  topic === offsetsTopic || topic === transactionsTopic || topic === queuesTopic
export const isSystemTopic = (topic: string): boolean => topic === catalogTopic || isSealed(topic)
/** Left out of patterns that groups subscribe to; Kafka's own internal topics are found by them, as with Kafka. */
export const isOwn = (topic: string): boolean => topic.startsWith('_millrace_')
