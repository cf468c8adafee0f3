/** Offsets by a question: the first, the end, the first that is not settled, the first at or after a time. */
import { offset as asOffset, type Offset } from '../../lib/brand.ts'
import { listOffsetsApi } from '../../wire/kafka/messages/02-list-offsets.ts'
import type { Bounds, Partition } from '../log.ts'
import { code } from './errors.ts'
import { askLeaders, byTopic, orThrow } from './net/leaders.ts'
import type { Metadata } from './net/metadata.ts'
import type { Network } from './net/network.ts'

/** Kafka's special times, and isolation levels. */
const latest = -1
const earliest = -2
const isolation = { uncommitted: 0, committed: 1 } as const

export interface Found {
  readonly offset: number
  readonly timeMs: number
}
interface Host {
  readonly network: Network
  readonly metadata: Metadata
}

async function listOffsets(
  host: Host,
  of: readonly Partition[],
  timestamp: number,
  isolationLevel: number,
): Promise<Found[]> {
  const items = of.map((partition) => ({ partition }))
  const answers = await askLeaders<{ partition: Partition }, Found>(
    host,
    'asking for offsets',
    items,
    async (broker, asked) => {
      const epochs = new Map(asked.map(({ item, epoch }) => [item, epoch]))
      const { topics } = await broker.ask('quick', listOffsetsApi, {
        replicaId: -1,
        isolationLevel,
        topics: byTopic(asked.map(({ item }) => item)).map(({ topic, items: there }) => ({
          name: topic,
          partitions: there.map((item) => ({
            partitionIndex: item.partition.index,
            currentLeaderEpoch: epochs.get(item) ?? -1,
            timestamp,
          })),
        })),
        timeoutMs: 10_000,
      })
      const found = new Map(
        topics.flatMap(({ name, partitions }) =>
          partitions.map((one) => [`${name}/${one.partitionIndex}`, one] as const),
        ),
      )
      return asked.map(({ item: { partition } }) => {
        const one = found.get(`${partition.topic}/${partition.index}`)
        if (one === undefined) return { error: code.unknownServerError }
        return one.errorCode === code.none
          ? { value: { offset: one.offset, timeMs: one.timestamp } }
          : { error: one.errorCode }
      })
    },
  )
  return orThrow(answers)
}

export async function boundsOf(host: Host, of: readonly Partition[]): Promise<Bounds[]> {
  const [starts, stables, ends] = await Promise.all([
    listOffsets(host, of, earliest, isolation.uncommitted),
    listOffsets(host, of, latest, isolation.committed),
    listOffsets(host, of, latest, isolation.uncommitted),
  ])
  return of.map((partition, i) => {
    // Asked one beside the other: each may have moved on since.
    const start = starts[i]!.offset
    const end = Math.max(start, ends[i]!.offset)
    const stable = Math.min(end, Math.max(start, stables[i]!.offset))
    return { partition, start: asOffset(start), stable: asOffset(stable), end: asOffset(end) }
  })
}
/** The high watermark: nothing that was ever acknowledged lies at or behind it, whoever settles it. */
export async function endOf(host: Host, partition: Partition): Promise<Offset> {
  const [found] = await listOffsets(host, [partition], latest, isolation.uncommitted)
  return asOffset(found!.offset)
}
export async function startOf(host: Host, partition: Partition): Promise<Offset> {
  const [found] = await listOffsets(host, [partition], earliest, isolation.uncommitted)
  return asOffset(found!.offset)
}
export async function findByTime(
  host: Host,
  of: readonly Partition[],
  timeMs: number,
): Promise<({ offset: Offset; timeMs: number } | null)[]> {
  // A negative time would be one of Kafka's special ones.
  const found = await listOffsets(host, of, Math.max(0, timeMs), isolation.uncommitted)
  return found.map((one) => (one.offset < 0 ? null : { offset: asOffset(one.offset), timeMs: one.timeMs }))
}
