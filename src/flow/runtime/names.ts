/** Names of what a view keeps in the log, and the making of its topics. */
import { limits } from '../../lib/limits.ts'
import { Fault } from '../../lib/fault.ts'
import type { Log, TopicInfo } from '../../log/log.ts'
import { outputMode } from '../output-mode.ts'
import { sourcesOf } from '../plan-facts.ts'
import type { Plan, ViewPlan } from '../plan.ts'

export const stateTopic = (view: string): string => `_millrace_state.${view}`
export const viewGroup = (view: string): string => `_millrace_view.${view}`

export const sourceTopics = (plan: Plan): string[] => [...new Set(sourcesOf(plan).map((s) => s.topic))]

/** Throws Fault log.unknown-topic. */
export async function topicInfo(log: Log, name: string): Promise<TopicInfo> {
  const info = await log.topics.get(name)
  if (info === null) throw new Fault('log.unknown-topic', { topic: name })
  return info
}
/** Creates a topic where it is missing. */
export async function ensureTopic(
  log: Log,
  name: string,
  partitions: number,
  config: Readonly<Record<string, string>>,
): Promise<TopicInfo> {
  const known = await log.topics.get(name)
  if (known !== null) return known
  const [fault] = await log.topics.create([{ name, partitions, config }])
  if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
  return topicInfo(log, name)
}
/** Rows and states are larger than the events they come from. */
export const largeRecords = { 'max.message.bytes': String(limits.batchBytesMax), 'retention.ms': '-1' }
export const ensureOutput = (log: Log, view: ViewPlan): Promise<TopicInfo> =>
  ensureTopic(
    log,
    view.name,
    1,
    outputMode(view) === 'upsert' ? { ...largeRecords, 'cleanup.policy': 'compact' } : largeRecords,
  )
/** Its partition count stays what it was at its creation: that of the widest input. */
export const ensureState = (log: Log, view: ViewPlan, partitions: number): Promise<TopicInfo> =>
  ensureTopic(log, stateTopic(view.name), partitions, { ...largeRecords, 'cleanup.policy': 'compact' })
