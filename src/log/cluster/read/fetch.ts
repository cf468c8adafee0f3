/** One fetch: positions of partitions with one leader, and what came for each. */
import { fetchApi } from '../../../wire/kafka/messages/01-fetch.ts'
import type { At } from '../../log.ts'
import { code } from '../errors.ts'
import type { Lane } from '../net/broker.ts'
import { byTopic } from '../net/leaders.ts'
import type { AbortedTransaction } from './records.ts'

export interface Position extends At {
  /** The leader's, as we know it. */
  readonly epoch: number
}
export interface FetchWishes {
  readonly committedOnly: boolean
  readonly waitMs: number
  readonly bytesMin: number
  readonly bytesMax: number
}
export interface Fetched {
  readonly error: number
  readonly stable: number
  readonly records: Uint8Array
  readonly aborted: readonly AbortedTransaction[]
}
const nothing: Uint8Array = new Uint8Array(0)
const missing: Fetched = { error: code.unknownServerError, stable: -1, records: nothing, aborted: [] }
/** Beyond what the broker was told to wait. */
const answerMs = 30_000
const isolation = { uncommitted: 0, committed: 1 } as const

/** In the order of `from`. Throws Disconnected. */
export async function askFetch(
  lane: Lane,
  from: readonly Position[],
  wishes: FetchWishes,
): Promise<readonly Fetched[]> {
  const answer = await lane.ask(
    fetchApi,
    {
      maxWaitMs: wishes.waitMs,
      minBytes: wishes.bytesMin,
      maxBytes: wishes.bytesMax,
      isolationLevel: wishes.committedOnly ? isolation.committed : isolation.uncommitted,
      // No session: each fetch says all it wants, so that leaving a partition out is a pause.
      sessionId: 0,
      sessionEpoch: -1,
      topics: byTopic(from).map(({ topic, items }) => ({
        topicId: '00000000-0000-0000-0000-000000000000',
        topic,
        partitions: items.map(({ partition, offset, epoch }) => ({
          partition: partition.index,
          currentLeaderEpoch: epoch,
          fetchOffset: offset,
          partitionMaxBytes: wishes.bytesMax,
        })),
      })),
      forgottenTopicsData: [],
      rackId: '',
    },
    wishes.waitMs + answerMs,
  )
  if (answer.errorCode !== code.none) return from.map(() => ({ ...missing, error: answer.errorCode }))
  const found = new Map(
    answer.responses.flatMap(({ topic, partitions }) =>
      partitions.map((one) => [`${topic}/${one.partitionIndex}`, one] as const),
    ),
  )
  return from.map(({ partition: { topic, index } }) => {
    const one = found.get(`${topic}/${index}`)
    if (one === undefined) return missing
    return {
      error: one.errorCode,
      stable: wishes.committedOnly ? one.lastStableOffset : one.highWatermark,
      records: one.records ?? nothing,
      aborted: one.abortedTransactions ?? [],
    }
  })
}
