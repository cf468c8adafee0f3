/** Behind bytes that are no batch: the first place at which a whole one stands that belongs there. */
import type { File } from '../lib/world.ts'
import { batchHeaderBytes } from './batch-header.ts'
import { batchBase, batchBytes, batchEnd, batchProblem, type EpochAt, lengthProblem } from './batch-walk.ts'
import type { Place } from './sparse-index.ts'

const pieceBytes = 1024 * 1024

export interface Behind extends Place {
  /** Byte and offset that it ends at or before. */
  readonly limit: number
  readonly end: number
  readonly epochAt: EpochAt
  /** What else is asked of it. */
  accepts?(batch: Buffer): boolean
}

/** null: there is none. */
export function nextBatch(file: File, from: Behind): Place | null {
  const piece = Buffer.allocUnsafeSlow(Math.min(pieceBytes, Math.max(0, from.limit - from.position)))
  for (let start = from.position + 1; start + batchHeaderBytes <= from.limit;) {
    const count = file.read(piece.subarray(0, Math.min(piece.length, from.limit - start)), start)
    for (let at = 0; at + batchHeaderBytes <= count; at++) {
      // Cheap before dear: the magic, then what an offset and a length may be, then the checksum over the whole.
      if (piece.readInt8(at + 16) !== 2) continue
      const base = batchBase(piece, at)
      const bytes = batchBytes(piece, at)
      if (base < from.offset || base >= from.end || lengthProblem(bytes) !== null) continue
      if (start + at + bytes > from.limit) continue
      const batch = Buffer.allocUnsafeSlow(bytes)
      file.read(batch, start + at)
      const belongs = batchProblem(batch, base, from.epochAt) === null && batchEnd(batch) <= from.end
      if (belongs && from.accepts?.(batch) !== false) return { position: start + at, offset: base }
    }
    if (count < batchHeaderBytes) return null
    start += count - batchHeaderBytes + 1
  }
  return null
}
