/** A file of batches. Three marks move through it: `tail` (given out), `written` (page cache), `durable`. */
import type { Fault } from '../lib/fault.ts'
import type { Disk } from '../lib/world.ts'
import { Room } from './room.ts'
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
  /** How often its records have been compacted; absent = never. */
  readonly generation?: number
  readonly createdMs: number
  /** They tell index entries about these bytes from those about bytes that were here before. */
  readonly salts: readonly Salt[]
  /** By this its file is known: see `head.ts`. Absent = not looked at since such were noted. */
  readonly head?: number
}

type SegmentMade = Pick<SegmentState, 'base' | 'generation' | 'createdMs' | 'salts' | 'head'>

export class Segment {
  readonly base: number
  readonly generation: number
  readonly createdMs: number
  readonly salts: readonly Salt[]
  head: number | undefined
  /** The file is known to be this one. */
  isOwn: boolean
  tail: Mark
  written: Mark
  durable: Mark
  /** Nothing is appended to it any more, even if it is the last one. */
  sealed = false
  /** False until its file has been made. */
  exists: boolean
  index: SparseIndex | null = null
  readonly room = new Room()
  /** Compaction has put another one in its place; its file may be gone. */
  isReplaced = false
  /** What a reader has found: from this batch on nothing of it is readable. */
  unreadable: { readonly offset: number; readonly fault: Fault } | null = null

  /** `mark` is null for a segment that has no file yet. */
  constructor(made: SegmentMade, mark: Mark | null) {
    this.base = made.base
    this.generation = made.generation ?? 0
    this.createdMs = made.createdMs
    this.salts = made.salts
    this.head = made.head
    this.exists = mark !== null
    this.isOwn = mark === null
    this.tail = this.written = this.durable = mark ?? { bytes: 0, end: made.base, maxTimeMs: -1, maxTimeOffset: -1 }
  }
  get isDurable(): boolean {
    return this.written.bytes === this.durable.bytes
  }
  state(): SegmentState {
    const { base, generation, createdMs, salts, head } = this
    const compacted = generation === 0 ? {} : { generation }
    return { base, createdMs, salts, ...this.durable, ...compacted, ...(head === undefined ? {} : { head }) }
  }
}

/**
 * Kafka's own file names, so that Kafka's own tools read them: they take what stands before the first dot for the base.
 * A compacted segment has a name of its own, so that a checkpoint can tell it from the one that it replaces.
 */
export const segmentName = (base: number, generation = 0): string =>
  String(base).padStart(20, '0') + (generation === 0 ? '' : `.c${generation}`)

const pattern = /^(\d{20})(?:\.c([1-9]\d*))?\.log$/
/** Files of a folder that are segments by their name. */
export const segmentsIn = (disk: Disk, folder: string): { base: number; generation: number }[] =>
  disk
    .list(folder)
    .filter((name) => pattern.test(name) && disk.stat(`${folder}/${name}`)?.directory === false)
    .map(segmentOf)
    .filter((one) => one !== null)
/** What a segment's file is of; null when it is some other file. */
function segmentOf(fileName: string): { base: number; generation: number } | null {
  const found = pattern.exec(fileName)
  return found === null ? null : { base: Number(found[1]), generation: Number(found[2] ?? 0) }
}
