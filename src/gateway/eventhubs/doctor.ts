/** What may be wrong with receivers that are connected. Of one that is not, only its own checkpoints say where it stands. */
import { about } from '../../lib/duration.ts'
import { firstTimeMs } from '../../log/first-time.ts'
import type { TopicInfo } from '../../log/log.ts'
import type { LocalLog } from '../../log/local/local-log.ts'
import type { Diagnosis } from '../../query/engine.ts'
import type { TopicReader } from '../../telemetry/topic-reader.ts'
import type { Placed } from './epochs.ts'

export interface ReceiverFacts {
  readonly hub: string
  readonly group: string
  readonly partition: number
  readonly name: string
  /** Events that it has not been sent. */
  readonly lag: number
  /** Time of the first of them; null: it is not known. */
  readonly oldestMs: number | null
  /** It has said that it takes more. */
  readonly wantsMore: boolean
}
const oldMs = 10 * 60_000

async function endOf(log: LocalLog, topic: string, index: number): Promise<number> {
  const [bounds] = await log.bounds([{ topic, index }])
  return bounds?.stable ?? 0
}
const nameOf = ({ group, receiver }: Placed): string => (receiver.receiver === '' ? group : receiver.receiver)

/** As the list of a topic's readers has them. */
export function readersOfHub(log: LocalLog, { name: hub }: TopicInfo, all: readonly Placed[]): Promise<TopicReader[]> {
  return Promise.all(
    all.map(async (placed): Promise<TopicReader> => {
      const { group, index, receiver } = placed
      const level = receiver.epoch === null ? '' : `, owner level ${receiver.epoch}`
      const about = `group ${group}, partition ${index}${level}`
      const lag = Math.max(0, (await endOf(log, hub, index)) - receiver.position)
      return { protocol: 'eventhubs', kind: 'receiver', name: nameOf(placed), about, isConnected: true, lag }
    }),
  )
}
export async function receiverFacts(log: LocalLog, all: readonly Placed[]): Promise<ReceiverFacts[]> {
  const found: ReceiverFacts[] = []
  // One after another: each may have to read a batch.
  for (const placed of all) {
    const { topicId, group, index, receiver } = placed
    const hub = log.catalog.byId(topicId)?.name
    if (hub === undefined) continue
    const { position, wantsMore } = receiver
    const lag = Math.max(0, (await endOf(log, hub, index)) - position)
    const oldestMs = lag === 0 ? null : await firstTimeMs(log, { topic: hub, index }, position)
    found.push({ hub, group, partition: index, name: nameOf(placed), lag, oldestMs, wantsMore })
  }
  return found
}
export const diagnose = (facts: readonly ReceiverFacts[], nowMs: number): Diagnosis[] =>
  facts
    .filter(({ lag, oldestMs }) => lag > 0 && oldestMs !== null && nowMs - oldestMs >= oldMs)
    .map(({ hub, group, partition, name, lag, oldestMs, wantsMore }) => ({
      code: 'receiver-behind',
      sure: 'likely',
      node: null,
      says: `The receiver ${name} of partition ${partition} of ${hub}, group ${group}, is ${lag} ${lag === 1 ? 'event' : 'events'} behind.`,
      evidence: [
        `the next one for it is ${about(nowMs - oldestMs!)} old`,
        wantsMore ? 'it takes more' : 'it takes no more at the moment: it has given no credit',
      ],
      remedy: wantsMore
        ? 'One that reads what lay there before gets there by itself; else give the group more partitions and receivers.'
        : 'What it does with events takes too long, or hangs: look at its own log.',
    }))
