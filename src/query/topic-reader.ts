/** Reads topics up to a frontier: the ends that were committed at one instant. Nobody here sees less or more. */
import { type Facts, Fault } from '../lib/fault.ts'
import { Unread } from '../log/batch.ts'
import { offset } from '../lib/brand.ts'
import type { Chunk, Log, Partition, Reader } from '../log/log.ts'
import type { RawRecords } from '../log/raw-records.ts'

export interface Range {
  readonly partition: Partition
  /** Next offset to read. */
  from: number
  /** First offset that is not part of it. */
  to: number
}
export interface Piece {
  readonly partition: Partition
  readonly records: RawRecords
}

/** All that is committed in a topic now. Throws Fault log.unknown-topic. */
export async function frontier(log: Log, topic: string): Promise<Range[]> {
  const info = await log.topics.get(topic)
  if (info === null) throw new Fault('log.unknown-topic', { topic })
  const partitions = Array.from({ length: info.partitions }, (_, index): Partition => ({ topic, index }))
  const bounds = await log.bounds(partitions)
  return bounds.map(({ partition, start, stable }) => ({ partition, from: start, to: Math.max(start, stable) }))
}

/** The records of the ranges, a piece of one partition at a time; moves `from` as it goes. Throws the log's faults. */
export async function* readRanges(
  reader: Reader,
  ranges: readonly Range[],
  signal?: AbortSignal,
): AsyncGenerator<Piece> {
  for (let waitMs = 0; ;) {
    const open = ranges.filter((range) => range.from < range.to)
    if (open.length === 0) return
    const asked = open.map(({ partition, from }) => ({ partition, offset: offset(from) }))
    const chunks = await reader.read(asked, { ms: waitMs }, signal)
    signal?.throwIfAborted()
    const before = open.map((range) => range.from)
    yield* takeChunks(open, chunks)
    waitMs = open.some((range, i) => range.from > before[i]!) ? 0 : retryMs
  }
}
const retryMs = 100

/** The records a few at a time, as many as `size` says before each: a row may become ten thousand (`windowsPerRow`). */
export function* slices(records: RawRecords, size: () => number): Generator<RawRecords> {
  for (let at = records.from; at < records.to;) {
    const to = Math.min(records.to, at + size())
    yield records.slice(at, to)
    at = to
  }
}

/** What chunks hold of the ranges; moves `from`. A range that retention has overtaken goes on where the topic begins now. */
export function* takeChunks(ranges: readonly Range[], chunks: readonly Chunk[]): Generator<Piece> {
  for (const chunk of chunks) {
    const range = ranges.find(
      (r) => r.partition.index === chunk.partition.index && r.partition.topic === chunk.partition.topic,
    )
    if (range === undefined) continue
    if ('fault' in chunk) {
      restart(range, chunk.fault)
      continue
    }
    for (const unread = new Unread(chunk.batches); !unread.isEmpty;) {
      const records = unread.nextRaw().between(range.from, range.to)
      if (records.count === 0) continue
      range.from = records.offsets[records.to - 1]! + 1
      yield { partition: range.partition, records }
    }
    range.from = Math.max(range.from, chunk.next)
  }
}
function restart(range: Range, fault: Fault): void {
  if (fault.code !== 'log.offset-out-of-range') throw fault
  const { first } = fault.facts as Facts<'log.offset-out-of-range'>
  if (first <= range.from) throw fault
  range.from = first
}
