/**
 * `<topic>.quarantine`: events that were refused, byte for byte, with the reason in headers. Its partitions are those of
 * the topic, so that the order per key survives and repair can put events back in order.
 */
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { Header, RecordInput } from '../log/batch.ts'
import type { Log, TopicInfo } from '../log/log.ts'
import { originHeader } from '../log/origin.ts'

const suffix = '.quarantine'
export const quarantineName = (topic: string): string => `${topic}${suffix}`
export const isQuarantine = (topic: string): boolean => topic.endsWith(suffix)

/** Creates it where it is missing, and widens it where the topic has grown. */
export async function ensureQuarantine(log: Log, topic: TopicInfo): Promise<TopicInfo> {
  const name = quarantineName(topic.name)
  const known = await log.topics.get(name)
  if (known !== null && known.partitions >= topic.partitions) return known
  if (known === null) {
    // An event at the limit of its topic must fit with the headers that say why it was refused.
    const config = { 'retention.ms': '-1', 'max.message.bytes': String(limits.batchBytesMax) }
    const [fault] = await log.topics.create([{ name, partitions: topic.partitions, config }])
    if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
  } else await log.topics.alter(name, { partitions: topic.partitions })
  const made = await log.topics.get(name)
  if (made === null) throw new Fault('log.unknown-topic', { topic: name })
  return made
}

/** `origin`: as `log/origin.ts` encodes it. */
export function quarantined(record: RecordInput, fault: Fault, origin: Uint8Array): RecordInput {
  const headers: Header[] = [
    ...(record.headers ?? []),
    ['mr-reason', Buffer.from(fault.code)],
    ['mr-error', Buffer.from(fault.message)],
    [originHeader, origin],
  ]
  return { key: record.key, value: record.value, timeMs: record.timeMs, headers }
}
