/**
 * Records of a topic's partitions for people: where to begin, merged by time, filtered, with the place to go on. Merging
 * takes the earliest head of all partitions that are not at their end, ties by partition; within a partition the order is
 * that of offsets.
 */
import { type Offset, offset as asOffset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { type LogRecord, Unread, bytesOfRecord, ownRecord } from '../../log/batch.ts'
import type { At, Bounds, Chunk, Log, Partition, Reader, TopicInfo } from '../../log/log.ts'
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
  /** Decoded and not yet given. */
  records: LogRecord[]
  given: number
  /** Where to go on when those are given. */
  next: number
  /** Time of the record there, when it alone is more than the lane may hold: it is read once more when its turn comes. */
  largeMs: number | null
}
export interface Found {
  readonly partition: Partition
  readonly record: LogRecord
}

const readBytes = 512 * 1024
/** Only so many are merged at once; further ones follow behind. */
const lanesAtOnce = 128

/**
 * Reads lanes of one topic up to fixed ends, merged by time. A batch may unpack to a thousand times its size: a lane holds
 * a share of what all merges of the process may, and decodes a batch again for what did not fit. To be closed.
 */
export class Merge implements Disposable {
  static #running = 0
  readonly #heldMax: number
  readonly #reader: Reader
  readonly #lanes: Lane[]
  /** First of the lanes that are being merged, and those lanes. */
  #first = 0
  #merged: readonly Lane[]

  constructor(log: Log, topic: string, { from, bounds }: Range, until: Places | null, heldMax = limits.mergedBytes) {
    Merge.#running++
    this.#heldMax = heldMax
    this.#reader = log.reader({
      maxBytes: Math.max(16 * 1024, Math.floor(readBytes / Math.min(from.size, lanesAtOnce))),
    })
    this.#lanes = [...from].map(([index, next]) => {
      const stable = bounds.get(index)!.stable
      const wanted = until?.get(index) ?? stable
      const at = { records: [], given: 0, next, largeMs: null }
      return { partition: { topic, index }, until: Math.min(stable, wanted), ...at }
    })
    this.#merged = this.#lanes.slice(0, lanesAtOnce)
  }
  [Symbol.dispose](): void {
    Merge.#running--
  }
  /** null: every lane is at its end. */
  async next(): Promise<Found | null> {
    for (;;) {
      for (const lane of this.#merged) if (isSpent(lane)) await this.#fill(lane)
      const lane = this.#earliest()
      if (lane !== null) {
        if (lane.largeMs === null) return give(lane)
        const record = await this.#large(lane)
        if (record !== null) return { partition: lane.partition, record }
        continue
      }
      this.#first += lanesAtOnce
      if (this.#first >= this.#lanes.length) return null
      this.#merged = this.#lanes.slice(this.#first, this.#first + lanesAtOnce)
    }
  }
  /** The same without waiting, where nothing must be read for it; null: ask `next`. */
  ready(): Found | null {
    for (const lane of this.#merged) if (isSpent(lane) && lane.next < lane.until) return null
    const lane = this.#earliest()
    return lane === null || lane.largeMs !== null ? null : give(lane)
  }
  #earliest(): Lane | null {
    let best: Lane | null = null
    let bestMs = Infinity
    for (const lane of this.#merged) {
      const timeMs = lane.records[lane.given]?.timeMs ?? lane.largeMs
      if (timeMs === null || (best !== null && timeMs >= bestMs)) continue
      best = lane
      bestMs = timeMs
    }
    return best
  }
  /** Where to go on after what was given. */
  places(): Places {
    return new Map(this.#lanes.map((lane) => [lane.partition.index, lane.records[lane.given]?.offset ?? lane.next]))
  }
  get atEnd(): boolean {
    return this.#lanes.every((lane) => isSpent(lane) && lane.next >= lane.until)
  }
  async #fill(lane: Lane): Promise<void> {
    lane.records = []
    lane.given = 0
    while (isSpent(lane) && lane.next < lane.until) {
      const chunk = await this.#read(lane)
      if (chunk === null) return
      this.#hold(lane, chunk)
    }
  }
  get #share(): number {
    const share = this.#heldMax / (Merge.#running * this.#merged.length)
    return Math.max(limits.mergedShareMin, share)
  }
  /** As much as the lane may. Small batches are held whole, of large ones records without their batch. */
  #hold(lane: Lane, { batches, next }: ReadChunk): void {
    let left = this.#share
    for (const unread = new Unread(batches); !unread.isEmpty;) {
      const records = unread.next().filter((record) => isOf(lane, record))
      const isWhole = unread.bytes <= left
      if (isWhole) left -= unread.bytes
      for (const record of records) {
        if (!isWhole) left -= bytesOfRecord(record)
        if (left < 0) {
          lane.next = record.offset
          if (lane.records.length === 0) lane.largeMs = record.timeMs
          return
        }
        lane.records.push(isWhole ? record : ownRecord(record))
      }
    }
    lane.next = Math.min(next, lane.until)
  }
  async #large(lane: Lane): Promise<LogRecord | null> {
    const chunk = await this.#read(lane)
    lane.largeMs = null
    if (chunk === null) return null
    for (const unread = new Unread(chunk.batches); !unread.isEmpty;) {
      const record = unread.next().find((one) => isOf(lane, one))
      if (record === undefined) continue
      lane.next = record.offset + 1
      return record
    }
    // It was compacted away meanwhile.
    lane.next = Math.min(chunk.next, lane.until)
    return null
  }
  /** null: nothing more can be read now. */
  async #read({ partition, next }: Lane): Promise<ReadChunk | null> {
    const [chunk] = await this.#reader.read([{ partition, offset: asOffset(next) }])
    if (chunk === undefined) return null
    if ('fault' in chunk) throw chunk.fault
    return chunk.next <= next ? null : chunk
  }
}
type ReadChunk = Exclude<Chunk, { fault: Fault }>
const isSpent = (lane: Lane): boolean => lane.given === lane.records.length && lane.largeMs === null
const isOf = (lane: Lane, { offset }: LogRecord): boolean => offset >= lane.next && offset < lane.until
const give = (lane: Lane): Found => ({ partition: lane.partition, record: lane.records[lane.given++]! })

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
