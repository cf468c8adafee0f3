/** Reading a partition's files. Nothing leaves here that was not checked, see `batch-walk.ts`. */
import { type Offset, offset as toOffset, type TimeMs, timeMs as toTimeMs } from '../lib/brand.ts'
import { Fault } from '../lib/fault.ts'
import { batchHeaderBytes } from './batch-header.ts'
import {
  batchBase,
  batchBytes,
  batchEnd,
  batchMaxTime,
  batchProblem,
  type BatchWalk,
  lengthProblem,
} from './batch-walk.ts'
import type { Segment } from './segment.ts'
import type { Segments } from './segments.ts'
import type { Place } from './sparse-index.ts'

/** A disk is asked for at least this much at a time. */
const pieceBytesMin = 64 * 1024

interface Wanted {
  readonly from: number
  /** No batch that begins at or after it. */
  readonly limit: number
  readonly bytesMax: number
}

/** Whole batches from the one that holds `from`: see PartitionLog.read. */
export async function readBatches(segments: Segments, wanted: Wanted): Promise<Uint8Array[]> {
  for (const segment of segments.durableFrom(wanted.from)) {
    const found = await readSegment(segments, segment, wanted)
    if (found.length > 0) return found
  }
  return []
}

async function readSegment(segments: Segments, segment: Segment, wanted: Wanted): Promise<Uint8Array[]> {
  const place = segments.index(segment).before(wanted.from)
  try {
    return await readFrom(segments, segment, place, wanted)
  } catch (error) {
    if (!(error instanceof Fault) || error.code !== 'store.damaged') throw error
    // An index may point into the middle of a batch after a power cut took back what it was made from.
    const again = segments.rebuildIndex(segment).before(wanted.from)
    return readFrom(segments, segment, again, wanted)
  }
}

async function readFrom(segments: Segments, segment: Segment, from: Place, wanted: Wanted): Promise<Uint8Array[]> {
  const out: Uint8Array[] = []
  const limit = segment.durable.bytes
  let bytes = 0
  let { position, offset } = from
  let pieceBytes = Math.max(pieceBytesMin, wanted.bytesMax + segments.intervalBytes)
  while (out.length === 0 && position < limit && offset < wanted.limit) {
    const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, limit - position))
    const got = await segments.file(segment).readLater(piece, position)
    if (got < piece.length) throw segments.damageAt(segment, position + got, 'the file ends before what was written')
    let at = 0
    for (;;) {
      if (offset >= wanted.limit || (out.length > 0 && bytes >= wanted.bytesMax)) return out
      if (piece.length - at < batchHeaderBytes) break
      const size = batchBytes(piece, at)
      const wrong = lengthProblem(size)
      if (wrong !== null) throw segments.damageAt(segment, position + at, wrong)
      if (size > piece.length - at) {
        pieceBytes = Math.max(pieceBytes, size)
        break
      }
      const batch = piece.subarray(at, at + size)
      const problem = batchProblem(batch, offset, segments.epochAt)
      if (problem !== null) throw segments.damageAt(segment, position + at, problem)
      if (out.length > 0 && bytes + size > wanted.bytesMax) return out
      at += size
      offset = batchEnd(batch)
      if (offset <= wanted.from) continue
      out.push(batch)
      bytes += size
    }
    if (at === 0 && piece.length === limit - position)
      throw segments.damageAt(segment, position, `a batch of which ${piece.length} bytes are there`)
    position += at
  }
  return out
}

/** Headers of all batches from the one that holds `from`, none from `limit` on. */
export function* readHeaders(segments: Segments, from: number, limit: number): Generator<Uint8Array> {
  for (const segment of segments.durableFrom(from)) {
    for (const batch of checkedBatches(segments, segment, (s) => segments.index(s).before(from))) {
      if (batchBase(batch) >= limit) return
      if (batchEnd(batch) > from) yield Buffer.from(batch.subarray(0, batchHeaderBytes))
    }
  }
}

/** Base offset of the first batch with a time of at least `timeMs` in from..limit. */
export function findTime(segments: Segments, timeMs: number, from: number, limit: number): Offset | null {
  for (const segment of segments.durableFrom(from)) {
    if (segment.durable.end <= from || segment.durable.maxTimeMs < timeMs) continue
    for (const batch of checkedBatches(segments, segment, (s) => segments.index(s).beforeTime(timeMs))) {
      if (batchBase(batch) >= limit) return null
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

/** Batches from the place that the index gives; from the start of the segment when that place turns out to be none. */
function* checkedBatches(segments: Segments, segment: Segment, placeOf: (s: Segment) => Place): Generator<Buffer> {
  let walk: BatchWalk = segments.walk(segment, placeOf(segment))
  let batch = walk.next()
  if (batch === null && walk.problem !== null) {
    segments.rebuildIndex(segment)
    walk = segments.walk(segment, placeOf(segment))
    batch = walk.next()
  }
  for (; batch !== null; batch = walk.next()) yield batch
  if (walk.problem !== null) throw segments.damageAt(segment, walk.position, walk.problem)
}
