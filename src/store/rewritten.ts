/** What a segment that is written anew is made of: its marks, and batches without records in the place of what is lost. */
import { batchHeaderBytes, placeBatch, sealBatch, writeBatchHeader } from './batch-header.ts'
import { batchBase, batchEnd, batchMaxTime } from './batch-walk.ts'
import { headOf } from './head.ts'
import type { SegmentState } from './segment.ts'

/** What a segment holds, batch after batch. */
export class Marks {
  bytes = 0
  end: number
  #head: number | undefined
  #maxTimeMs = -1
  #maxTimeOffset = -1

  constructor(base: number) {
    this.end = base
  }
  add(batch: Buffer): void {
    if (this.bytes === 0) this.#head = headOf(batch)
    if (batchMaxTime(batch) > this.#maxTimeMs || this.bytes === 0) {
      this.#maxTimeMs = batchMaxTime(batch)
      this.#maxTimeOffset = batchBase(batch)
    }
    this.bytes += batch.length
    this.end = batchEnd(batch)
  }
  get state(): Pick<SegmentState, 'bytes' | 'end' | 'maxTimeMs' | 'maxTimeOffset' | 'head'> {
    const marks = { bytes: this.bytes, end: this.end, maxTimeMs: this.#maxTimeMs, maxTimeOffset: this.#maxTimeOffset }
    return this.#head === undefined ? marks : { ...marks, head: this.#head }
  }
}

export const nothingFrom = (base: number): SegmentState => ({
  base,
  createdMs: 0,
  salts: [],
  bytes: 0,
  end: base,
  maxTimeMs: -1,
  maxTimeOffset: -1,
})
/** A batch's last offset delta has 31 bits. */
export const spanMax = 0x7fff_ffff

/** A batch without records that covers offsets from `base` up to, not with, `end`. */
export function emptyBatch(base: number, end: number, leaderEpoch: number): Buffer {
  const batch = Buffer.alloc(batchHeaderBytes)
  writeBatchHeader(batch, {
    baseOffset: base,
    bytes: batch.length,
    leaderEpoch,
    magic: 2,
    attributes: 0,
    lastOffsetDelta: end - 1 - base,
    baseTimeMs: -1,
    maxTimeMs: -1,
    producerId: -1,
    producerEpoch: -1,
    baseSequence: -1,
    recordCount: 0,
  })
  sealBatch(batch)
  placeBatch(batch, base, leaderEpoch)
  return batch
}
