/** Reading a partition's files. Nothing leaves here that was not checked, see `batch-walk.ts`. */
import { type Offset, offset as toOffset, type TimeMs, timeMs as toTimeMs } from '../lib/brand.ts'
import type { Lease } from '../lib/buffer-pool.ts'
import { attribute, batchHeaderBytes } from './batch-header.ts'
import {
  batchAttributes,
  batchBase,
  batchBytes,
  batchEnd,
  batchMaxTime,
  batchProblem,
  lengthProblem,
} from './batch-walk.ts'
import type { Segment } from './segment.ts'
import type { Segments } from './segments.ts'
import type { Place } from './sparse-index.ts'
import type { Lent } from './store.ts'

/** A disk is asked for at least this much at a time, and for no more than that. */
const pieceBytesMin = 64 * 1024
const pieceBytesMax = 4 * 1024 * 1024

export interface Wanted {
  readonly from: number
  /** No batch that begins at or after it. */
  readonly limit: number
  readonly bytesMax: number
}

/** Whole batches from the one that holds `from`: see PartitionLog.lend. */
export async function readBatches(segments: Segments, wanted: Wanted): Promise<Lent> {
  for (;;) {
    const list = segments.durableFrom(wanted.from)
    try {
      for (const segment of list) {
        const found = await readSegment(segments, segment, wanted)
        if (found.buffers.length > 0) return found
        found.release()
      }
      return { buffers: [], release: () => {} }
    } catch (error) {
      // Compaction may have taken the file meanwhile; what took its place is in the list.
      if (!list.some((segment) => segment.isReplaced)) throw error
    }
  }
}

async function readSegment(segments: Segments, segment: Segment, wanted: Wanted): Promise<Lent> {
  const { unreadable } = segment
  if (unreadable !== null && wanted.from >= unreadable.offset) throw unreadable.fault
  const first = new Reading(segments, segment, wanted)
  if (await first.read((await segments.indexLater(segment)).before(wanted.from))) return first.lent
  // The index may have led into the middle of a batch: only what is wrong from the start of the segment on is damage.
  const second = new Reading(segments, segment, wanted)
  if (await second.read((await segments.rebuildIndexLater(segment)).before(wanted.from))) return second.lent
  throw segments.foundDamage(segment, second.place, second.problem!)
}

/** One read of one segment. */
class Reading {
  /** All of one piece. */
  readonly batches: Uint8Array[] = []
  #piece: Lease | null = null
  /** Of the next batch, or of the one that is wrong. */
  place: Place = { offset: 0, position: 0 }
  problem: string | null = null
  readonly #segments: Segments
  readonly #segment: Segment
  readonly #wanted: Wanted
  #pieceBytes: number
  #bytes = 0
  #isDone = false

  constructor(segments: Segments, segment: Segment, wanted: Wanted) {
    this.#segments = segments
    this.#segment = segment
    this.#wanted = wanted
    const bytes = wanted.bytesMax + segments.intervalBytes
    this.#pieceBytes = Math.min(pieceBytesMax, Math.max(pieceBytesMin, bytes))
  }
  get lent(): Lent {
    return {
      buffers: this.batches,
      release: () => this.#piece?.release(),
      own: () => (this.#piece === null || this.#bytes < this.#piece.bytes.length / 2 ? null : this.#piece.own()),
    }
  }
  /** False when something is wrong before any batch could be read. */
  async read(from: Place): Promise<boolean> {
    this.place = from
    const limit = this.#segment.durable.bytes
    while (!this.#isDone && this.batches.length === 0 && this.place.position < limit) {
      const { position } = this.place
      const bytes = Math.min(this.#pieceBytes, limit - position)
      // Of the piece before no batch was wanted.
      this.#piece?.release()
      this.#piece = this.#segments.pool.take(bytes)
      const piece = this.#piece.bytes.subarray(0, bytes)
      const got = await this.#segments.file(this.#segment).readLater(piece, position)
      this.#take(piece.subarray(0, got))
      if (this.problem === null && this.place.position === position && !this.#isDone)
        this.#takeMore(got < bytes || position + bytes === limit)
      if (this.problem !== null) return this.batches.length > 0
    }
    return true
  }
  /** Not even one batch was whole in the piece: a larger one, unless there is no more. */
  #takeMore(isAll: boolean): void {
    if (isAll) this.problem = 'the file ends inside of a batch'
    else this.#pieceBytes = Math.max(this.#pieceBytes, this.#nextBytes)
  }
  #nextBytes = 0
  #take(piece: Buffer): void {
    const { from, limit, bytesMax } = this.#wanted
    let { position, offset } = this.place
    for (let at = 0; piece.length - at >= batchHeaderBytes;) {
      const size = (this.#nextBytes = batchBytes(piece, at))
      this.problem = lengthProblem(size)
      this.#isDone = offset >= limit || (this.batches.length > 0 && this.#bytes + size > bytesMax)
      if (this.problem !== null || this.#isDone || size > piece.length - at) break
      const batch = piece.subarray(at, at + size)
      this.problem = batchProblem(batch, offset, this.#segments.epochAt)
      if (this.problem !== null) break
      at += size
      position += size
      offset = batchEnd(batch)
      if (offset <= from) continue
      this.batches.push(batch)
      this.#bytes += size
    }
    this.place = { position, offset }
  }
}

/** Headers of all batches from the one that holds `from`, none from `limit` on; of markers all that they say. */
export function* readHeaders(segments: Segments, from: number, limit: number): Generator<Uint8Array> {
  for (const segment of segments.durableFrom(from)) {
    for (const batch of checkedBatches(segments, segment, limit, (s) => segments.index(s).before(from))) {
      if (batchEnd(batch) > from) yield Buffer.from(batch.subarray(0, headerBytes(batch)))
    }
  }
}

/** A marker is one record of some twenty bytes; reading each by itself later would cost a read of the file each. */
const markerBytesMax = 1024
const headerBytes = (batch: Buffer): number =>
  (batchAttributes(batch) & attribute.control) !== 0 && batch.length <= markerBytesMax ? batch.length : batchHeaderBytes

/** Base offset of the first batch with a time of at least `timeMs` in from..limit. */
export function findTime(segments: Segments, timeMs: number, from: number, limit: number): Offset | null {
  for (const segment of segments.durableFrom(from)) {
    if (segment.durable.end <= from || segment.durable.maxTimeMs < timeMs) continue
    for (const batch of checkedBatches(segments, segment, limit, (s) => segments.index(s).beforeTime(timeMs))) {
      if (batchMaxTime(batch) >= timeMs && batchEnd(batch) > from) return toOffset(batchBase(batch))
    }
  }
  return null
}

export function largestTime(segments: Segments): { offset: Offset; timeMs: TimeMs } | null {
  let best: Segment | null = null
  for (const segment of segments.list)
    if (segment.durable.bytes > 0 && (best === null || segment.durable.maxTimeMs > best.durable.maxTimeMs))
      best = segment
  if (best === null) return null
  return { offset: toOffset(best.durable.maxTimeOffset), timeMs: toTimeMs(best.durable.maxTimeMs) }
}

/**
 * Batches from the place that the index gives; from the start of the segment when that place turns out to be none. None
 * from `limit` on, which may not even be looked at: damage may begin there.
 */
function* checkedBatches(
  segments: Segments,
  segment: Segment,
  limit: number,
  placeOf: (s: Segment) => Place,
): Generator<Buffer> {
  const next = (): Buffer | null => (walk.offset < limit ? walk.next() : null)
  let walk = segments.walk(segment, placeOf(segment))
  let batch = next()
  if (batch === null && walk.problem !== null) {
    segments.rebuildIndex(segment)
    walk = segments.walk(segment, placeOf(segment))
    batch = next()
  }
  for (; batch !== null; batch = next()) yield batch
  if (walk.problem !== null) throw segments.foundDamage(segment, walk, walk.problem)
}
