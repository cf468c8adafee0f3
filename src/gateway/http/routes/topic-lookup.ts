/** Topics by name for the routes. */
import { Fault } from '../../../lib/fault.ts'
import type { TopicInfo } from '../../../log/log.ts'
import type { Parts } from '../parts.ts'

/** Topics that Millrace or Kafka's tools keep for themselves. */
export const isInternal = (topic: string): boolean =>
  topic.startsWith('_millrace_') || topic.startsWith('__') || topic === '_schemas'

/** Throws Fault log.unknown-topic. */
export async function existingTopic({ log }: Pick<Parts, 'log'>, name: string): Promise<TopicInfo> {
  const topic = await log.topics.get(name)
  if (topic === null) throw new Fault('log.unknown-topic', { topic: name.slice(0, 300) })
  return topic
}

/** One that people may write to: not what Millrace keeps for itself, not what a view writes. */
export async function writableTopic(parts: Parts, name: string): Promise<TopicInfo> {
  const topic = await existingTopic(parts, name)
  if (isInternal(name)) throw new Fault('log.topic-kept', { topic: name, why: 'Millrace keeps it for itself' })
  if (parts.engine.writerOf(name) !== null)
    throw new Fault('log.topic-kept', { topic: name, why: 'it holds the changes of a view, which alone writes it' })
  return topic
}
