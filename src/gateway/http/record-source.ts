/**
 * Records of a topic's partitions for people: where to begin, merged by time, filtered, with the place to go on. Merging
 * takes the earliest head of all partitions that are not at their end, ties by partition; within a partition the order is
 * that of offsets.
 */
import { type Offset, offset as asOffset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import { type LogRecord, Unread } from '../../log/batch.ts'
import type { At, Bounds, Log, Partition, Reader, TopicInfo } from '../../log/log.ts'
import type { Engine, RecordView } from '../../query/engine.ts'
import { invalid, readTime, wholeNumber } from './parameters.ts'

/** Where to read next in each partition, by partition number. */
export type Places = Map<number, number>

const places = /^\d+:-?\d+(?:,\d+:-?\d+)*$/

/** `0:12,1:33`; null when the text is no such list. */
export function readPlaces(text: string): Places | null {
  if (!places.test(text) || text.length > 100_000) return null
  return new Map(text.split(',').map((part) => part.split(':').map(Number) as [number, number]))
}
export const placesText = (at: Places): string =>
  [...at].map(([partition, offset]) => `${partition}:${offset}`).join(',')

export interface Range {
  /** First offset to look at, per partition asked for. */
  readonly from: Places
  readonly bounds: ReadonlyMap<number, Bounds>
}

/**
 * `from`: earliest, latest, an offset (negative: counted back from the end), a time, or places. An offset before the
 * start begins at the start; one past the end is Fault log.offset-out-of-range.
 */
export async function startOf(log: Log, topic: TopicInfo, from: string, only: number | null): Promise<Range> {
  if (only !== null && only >= topic.partitions)
    throw new Fault('log.unknown-partition', { topic: topic.name, partition: only })
  const indexes = only === null ? Array.from({ length: topic.partitions }, (_, i) => i) : [only]
  const partitions = indexes.map((index) => ({ topic: topic.name, index }))
  const found = await log.bounds(partitions)
  const bounds = new Map(found.map((one) => [one.partition.index, one]))
  const start = await starts(log, partitions, bounds, from)
  return { from: start, bounds }
}
async function starts(
  log: Log,
  partitions: readonly Partition[],
  bounds: ReadonlyMap<number, Bounds>,
  from: string,
): Promise<Places> {
  const at = (pick: (bounds: Bounds) => number): Places =>
    new Map(partitions.map(({ index }) => [index, pick(bounds.get(index)!)]))
  if (from === 'earliest') return at(({ start }) => start)
  if (from === 'latest') return at(({ stable }) => stable)
  const given = readPlaces(from)
  if (given !== null) return at((b) => within(b, given.get(b.partition.index) ?? b.start, false))
  if (/^-\d+$/.test(from)) {
    const back = -wholeNumber('from', from, { min: -Number.MAX_SAFE_INTEGER, max: 0 })
    return at(({ start, stable }) => Math.max(start, stable - back))
  }
  if (/^\d+$/.test(from)) {
    const offset = wholeNumber('from', from, { min: 0, max: Number.MAX_SAFE_INTEGER })
    // Of one partition it means that very offset; over several it is a wish that each meets as it can.
    return at((b) => within(b, offset, partitions.length === 1))
  }
  const timeMs = readTime(from)
  if (timeMs === null)
    throw invalid('from', from, 'earliest, latest, an offset, a time (ISO 8601) or partition:offset,… is wanted')
  const found = await log.findTime(partitions, timeMs)
  const byIndex = new Map(partitions.map(({ index }, i) => [index, found[i] ?? null]))
  return at(({ partition, stable }) => byIndex.get(partition.index)?.offset ?? stable)
}
function within({ start, stable, end }: Bounds, offset: number, strict: boolean): number {
  if (offset > end && strict) throw new Fault('log.offset-out-of-range', { offset, first: start, next: end })
  return Math.min(Math.max(offset, start), Math.max(stable, start))
}

export type Filter = (record: RecordView) => boolean
/** Throws what the engine says about the text. */
export function readFilter(engine: Engine, topic: string, where: string | null): Filter | null {
  return where === null || where.trim() === '' ? null : engine.recordFilter(topic, where)
}
export function passes(filter: Filter | null, partition: Partition, record: LogRecord): boolean {
  return filter === null || filter({ topic: partition.topic, partition: partition.index, ...record })
}

interface Lane {
  readonly partition: Partition
  readonly until: number
  /** Next to read from the log. */
  read: number
  /** Read and not decoded. */
  unread: Unread
  /** Decoded and not yet given. */
  records: LogRecord[]
  given: number
  /** Where to go on when those are given. */
  next: number
}
export interface Found {
  readonly partition: Partition
  readonly record: LogRecord
}

const readBytes = 512 * 1024
/** A lane holds at least a batch, so only so many are merged at once; further ones follow behind. */
const lanesAtOnce = 128

/** Reads lanes of one topic up to fixed ends, merged by time. */
export class Merge {
  readonly #reader: Reader
  readonly #lanes: Lane[]
  /** First of the lanes that are being merged, and those lanes. */
  #first = 0
  #merged: readonly Lane[]

  constructor(log: Log, topic: string, { from, bounds }: Range, until: Places | null) {
    this.#reader = log.reader({
      maxBytes: Math.max(16 * 1024, Math.floor(readBytes / Math.min(from.size, lanesAtOnce))),
    })
    this.#lanes = [...from].map(([index, next]) => {
      const stable = bounds.get(index)!.stable
      const wanted = until?.get(index) ?? stable
      const at = { read: next, unread: new Unread([]), records: [], given: 0, next }
      return { partition: { topic, index }, until: Math.min(stable, wanted), ...at }
    })
    this.#merged = this.#lanes.slice(0, lanesAtOnce)
  }
  /** null: every lane is at its end. */
  async next(): Promise<Found | null> {
    for (;;) {
      for (const lane of this.#merged) if (lane.given === lane.records.length) await this.#fill(lane)
      const found = this.#earliest()
      if (found !== null) return found
      this.#first += lanesAtOnce
      if (this.#first >= this.#lanes.length) return null
      this.#merged = this.#lanes.slice(this.#first, this.#first + lanesAtOnce)
    }
  }
  /** The same without waiting, where nothing must be read for it; null: ask `next`. */
  ready(): Found | null {
    for (const lane of this.#merged) if (lane.given === lane.records.length && lane.next < lane.until) return null
    return this.#earliest()
  }
  #earliest(): Found | null {
    let best: Lane | null = null
    for (const lane of this.#merged) {
      if (lane.given === lane.records.length) continue
      if (best === null || lane.records[lane.given]!.timeMs < best.records[best.given]!.timeMs) best = lane
    }
    return best === null ? null : { partition: best.partition, record: best.records[best.given++]! }
  }
  /** Where to go on after what was given. */
  places(): Places {
    return new Map(this.#lanes.map((lane) => [lane.partition.index, lane.records[lane.given]?.offset ?? lane.next]))
  }
  get atEnd(): boolean {
    return this.#lanes.every((lane) => lane.given === lane.records.length && lane.next >= lane.until)
  }
  async #fill(lane: Lane): Promise<void> {
    lane.records = []
    lane.given = 0
    while (lane.next < lane.until) {
      if (lane.unread.isEmpty && !(await this.#read(lane))) return
      lane.records = lane.unread.next().filter(({ offset }) => offset >= lane.next && offset < lane.until)
      const last = lane.records.at(-1)
      if (lane.unread.isEmpty) lane.next = Math.min(lane.read, lane.until)
      else if (last !== undefined) lane.next = last.offset + 1
      if (last !== undefined) return
    }
  }
  async #read(lane: Lane): Promise<boolean> {
    const [chunk] = await this.#reader.read([{ partition: lane.partition, offset: asOffset(lane.read) }])
    if (chunk === undefined) return false
    if ('fault' in chunk) throw chunk.fault
    if (chunk.next <= lane.read) return false
    lane.unread = new Unread(chunk.batches)
    lane.read = chunk.next
    return true
  }
}

/** Records of batches from `from` to before `until`. */
export function chunkRecords(batches: readonly Uint8Array[], from: number, until = Infinity): LogRecord[] {
  const out: LogRecord[] = []
  for (const unread = new Unread(batches); !unread.isEmpty;)
    for (const record of unread.next()) if (record.offset >= from && record.offset < until) out.push(record)
  return out
}

/** Follows partitions as they grow, from `from` on, until the signal aborts. */
export async function* follow(options: {
  log: Log
  topic: string
  from: Places
  signal: AbortSignal
}): AsyncIterable<readonly Found[]> {
  const { log, topic, signal } = options
  const reader = log.reader({ maxBytes: readBytes })
  const next = new Map(options.from)
  while (!signal.aborted) {
    const at: At[] = [...next].map(([index, offset]) => ({ partition: { topic, index }, offset: asOffset(offset) }))
    const chunks = await reader.read(at, { ms: 10_000 }, signal)
    for (const chunk of chunks) {
      if ('fault' in chunk) {
        next.set(chunk.partition.index, await behindGap(log, chunk.partition, chunk.fault))
        continue
      }
      const { partition, batches } = chunk
      const from = next.get(partition.index)!
      for (const unread = new Unread(batches); !unread.isEmpty;) {
        const records = unread.next().filter(({ offset }) => offset >= from)
        if (records.length > 0) yield records.map((record) => ({ partition, record }))
      }
      next.set(partition.index, Math.max(from, chunk.next))
    }
  }
}
/** What retention removed while the reader was away is gone: it goes on at the start. Any other fault ends it. */
async function behindGap(log: Log, partition: Partition, fault: Fault): Promise<Offset> {
  if (fault.code !== 'log.offset-out-of-range') throw fault
  const [bounds] = await log.bounds([partition])
  return bounds!.start
}
