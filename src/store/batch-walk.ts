/**
 * Walks the batches of a segment file and believes none that it has not checked. Everything in a batch from its
 * attributes on is under its CRC-32C; what lies before is known otherwise: the base offset is the end of the batch
 * before, the leader epoch follows from the offset, a wrong length fails the CRC.
 */
import type { File } from '../lib/world.ts'
import { limits } from '../lib/limits.ts'
import { batchCrc, batchHeaderBytes, batchPrefixBytes } from './batch-header.ts'

/** The leader epoch expected at an offset; null = any. */
export type EpochAt = (offset: number) => number | null

const pieceBytes = 256 * 1024

const int64 = (b: Buffer, at: number): number => b.readInt32BE(at) * 0x1_0000_0000 + b.readUInt32BE(at + 4)

export const batchBase = (bytes: Buffer, at = 0): number => int64(bytes, at)
/** Of the whole batch. Not checked. */
export const batchBytes = (bytes: Buffer, at = 0): number => bytes.readInt32BE(at + 8) + batchPrefixBytes
/** First offset after the batch. */
export const batchEnd = (bytes: Buffer, at = 0): number => int64(bytes, at) + bytes.readInt32BE(at + 23) + 1
export const batchMaxTime = (bytes: Buffer, at = 0): number => int64(bytes, at + 35)
export const batchAttributes = (bytes: Buffer, at = 0): number => bytes.readInt16BE(at + 21)
export const batchEpoch = (bytes: Buffer, at = 0): number => bytes.readInt32BE(at + 12)

/** What is wrong with a length, before anything is read by it; null = nothing. */
export function lengthProblem(bytes: number): string | null {
  return bytes >= batchHeaderBytes && bytes <= limits.batchBytesMax ? null : `a batch length of ${bytes}`
}

/** What is wrong with a whole batch that must begin at `offset`; null = nothing. */
export function batchProblem(batch: Buffer, offset: number, epochAt: EpochAt): string | null {
  if (batchBase(batch) !== offset) return `base offset ${batchBase(batch)} where ${offset} belongs`
  if (batch.readInt8(16) !== 2) return `magic ${batch.readInt8(16)}`
  const epoch = epochAt(offset)
  if (epoch !== null && batchEpoch(batch) !== epoch) return `leader epoch ${batchEpoch(batch)} where ${epoch} belongs`
  if (batchCrc(batch) !== batch.readUInt32BE(17)) return 'the checksum is wrong'
  if (batch.readInt32BE(23) < 0) return `last offset delta ${batch.readInt32BE(23)}`
  return null
}

export class BatchWalk {
  /** Of the batch that `next` gives next, or of the first one that is wrong. */
  position: number
  offset: number
  /** Why the walk stopped before `limit`; null = it did not. */
  problem: string | null = null
  readonly #file: File
  readonly #limit: number
  readonly #epochAt: EpochAt
  #piece: Buffer
  /** The part of the file that the piece holds. */
  #from = 0
  #to = 0

  /** `position` and `offset` are of the same batch; nothing at or after byte `limit` is read. */
  constructor(file: File, range: { position: number; offset: number; limit: number; epochAt: EpochAt }) {
    this.#file = file
    this.position = range.position
    this.offset = range.offset
    this.#limit = range.limit
    this.#epochAt = range.epochAt
    this.#piece = Buffer.allocUnsafeSlow(Math.max(0, Math.min(pieceBytes, range.limit - range.position)))
  }
  /** The next whole checked batch, a view that the next call may overwrite; null at the end or at a problem. */
  next(): Buffer | null {
    if (this.problem !== null || this.position >= this.#limit) return null
    const problem = this.#nextProblem()
    if (problem !== null) {
      this.problem = problem
      return null
    }
    const at = this.position - this.#from
    const batch = this.#piece.subarray(at, at + batchBytes(this.#piece, at))
    this.position += batch.length
    this.offset = batchEnd(batch)
    return batch
  }
  /** `next` would read nothing: the next batch is in memory. */
  get isPrepared(): boolean {
    if (this.problem !== null || this.position >= this.#limit) return true
    if (!this.#holds(batchHeaderBytes)) return false
    const bytes = batchBytes(this.#piece, this.position - this.#from)
    return lengthProblem(bytes) !== null || this.position + bytes > this.#limit || this.#holds(bytes)
  }
  /** Brings the next batch into memory without blocking the thread. */
  async prepare(): Promise<void> {
    while (!this.isPrepared) {
      const header = this.#holds(batchHeaderBytes)
      const wanted = header ? batchBytes(this.#piece, this.position - this.#from) : batchHeaderBytes
      const before = this.#to - this.#from
      const target = this.#room(wanted)
      this.#to = this.#from + (await this.#file.readLater(target, this.#from))
      // The file is shorter than it should be: `next` says so.
      if (this.#to - this.#from < wanted && this.#to - this.#from <= before) return
    }
  }
  #nextProblem(): string | null {
    if (!this.#has(batchHeaderBytes)) return 'less than a batch header is left'
    const bytes = batchBytes(this.#piece, this.position - this.#from)
    const wrong = lengthProblem(bytes)
    if (wrong !== null) return wrong
    if (!this.#has(bytes)) return `a batch of ${bytes} bytes, of which ${this.#limit - this.position} are there`
    const at = this.position - this.#from
    return batchProblem(this.#piece.subarray(at, at + bytes), this.offset, this.#epochAt)
  }
  #holds(count: number): boolean {
    return this.position >= this.#from && this.position + count <= this.#to
  }
  /** Makes the piece hold `count` bytes from the position on. */
  #has(count: number): boolean {
    if (this.#holds(count)) return true
    if (this.position + count > this.#limit) return false
    const target = this.#room(count)
    this.#to = this.#from + this.#file.read(target, this.#from)
    return this.position + count <= this.#to
  }
  /** The piece, emptied, to be filled from the position on. */
  #room(count: number): Buffer {
    if (count > this.#piece.length) this.#piece = Buffer.allocUnsafeSlow(count)
    this.#from = this.#to = this.position
    return this.#piece.subarray(0, Math.min(this.#piece.length, this.#limit - this.position))
  }
}
