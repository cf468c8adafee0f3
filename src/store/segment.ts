/** A file of batches. Three marks move through it: `tail` (given out), `written` (page cache), `durable`. */
import type { Fault } from '../lib/fault.ts'
import type { Salt, SparseIndex } from './sparse-index.ts'

export interface Mark {
  readonly bytes: number
  /** First offset after the last batch. */
  readonly end: number
  /** −1 = no batch yet. */
  readonly maxTimeMs: number
  readonly maxTimeOffset: number
}

export interface SegmentState extends Mark {
  readonly base: number
  readonly createdMs: number
  /** They tell index entries about these bytes from those about bytes that were here before. */
  readonly salts: readonly Salt[]
}

export class Segment {
  readonly base: number
  readonly createdMs: number
  readonly salts: readonly Salt[]
  tail: Mark
  written: Mark
  durable: Mark
  /** Nothing is appended to it any more, even if it is the last one. */
  sealed = false
  /** False until its file has been made. */
  exists: boolean
  index: SparseIndex | null = null
  /** What a reader has found: from this batch on nothing of it is readable. */
  unreadable: { readonly offset: number; readonly fault: Fault } | null = null

  /** `mark` is null for a segment that has no file yet. */
  constructor(made: { base: number; createdMs: number; salts: readonly Salt[] }, mark: Mark | null) {
    this.base = made.base
    this.createdMs = made.createdMs
    this.salts = made.salts
    this.exists = mark !== null
    this.tail = this.written = this.durable = mark ?? { bytes: 0, end: made.base, maxTimeMs: -1, maxTimeOffset: -1 }
  }
  get isDurable(): boolean {
    return this.written.bytes === this.durable.bytes
  }
  state(): SegmentState {
    return { base: this.base, createdMs: this.createdMs, salts: this.salts, ...this.durable }
  }
}

/** Kafka's own file names, so that Kafka's own tools read them. */
export const segmentName = (base: number): string => String(base).padStart(20, '0')

const pattern = /^(\d{20})\.log$/
/** Base offset of a segment's file; null when it is some other file. */
export function segmentBase(fileName: string): number | null {
  const found = pattern.exec(fileName)
  return found === null ? null : Number(found[1])
}
