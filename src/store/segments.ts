/** The segments of one partition, oldest first: their files, and the index of each, made again when it is not right. */
import { BatchWalk, batchMaxTime, type EpochAt } from './batch-walk.ts'
import { Fault } from '../lib/fault.ts'
import type { File } from '../lib/world.ts'
import type { Core } from './core.ts'
import type { Epochs } from './epochs.ts'
import { Segment, segmentName } from './segment.ts'
import { type Place, SparseIndex } from './sparse-index.ts'

export class Segments {
  readonly list: Segment[]
  readonly folder: string
  readonly epochAt: EpochAt
  intervalBytes: number
  readonly #core: Core

  constructor(core: Core, folder: string, list: Segment[], epochs: Epochs, intervalBytes: number) {
    this.#core = core
    this.folder = folder
    this.list = list
    this.intervalBytes = intervalBytes
    this.epochAt = (offset) => epochs.at(offset)
  }
  get last(): Segment | undefined {
    return this.list.at(-1)
  }
  get durableBytes(): number {
    return this.list.reduce((sum, segment) => sum + segment.durable.bytes, 0)
  }
  stem(segment: Segment): string {
    return `${this.folder}/${segmentName(segment.base)}`
  }
  path(segment: Segment): string {
    return `${this.stem(segment)}.log`
  }
  file(segment: Segment): File {
    return this.#core.handles.open(segment, this.path(segment), 'read')
  }
  /** Number in `list` of the segment that holds `offset`; 0 when it lies before all. */
  holding(offset: number): number {
    let low = 0
    let high = this.list.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.list[middle]!.base <= offset) low = middle
      else high = middle - 1
    }
    return low
  }
  /** A new one at the end, whose file is made by its first write. */
  add(base: number): Segment {
    const segment = this.create(base)
    this.list.push(segment)
    return segment
  }
  create(base: number): Segment {
    const { clock, random } = this.#core.world
    const salt = Buffer.from(random.bytes(4)).readUInt32BE()
    const segment = new Segment({ base, createdMs: clock.now(), salt }, null)
    segment.index = new SparseIndex(base, salt)
    return segment
  }
  /** Loads the index when it is not in memory, and completes it by what was written after it was saved. */
  index(segment: Segment): SparseIndex {
    if (segment.index !== null) return segment.index
    const { base, salt, written } = segment
    const loaded = SparseIndex.load(this.#core.world.disk, this.stem(segment), { base, salt, bytes: written.bytes })
    return this.#complete(segment, loaded ?? new SparseIndex(base, salt))
  }
  /** From the batches alone, whatever the files say. */
  rebuildIndex(segment: Segment): SparseIndex {
    return this.#complete(segment, new SparseIndex(segment.base, segment.salt))
  }
  /** Those that may hold something durable from `offset` on. */
  durableFrom(offset: number): Segment[] {
    return this.list.slice(this.holding(offset)).filter((segment) => segment.durable.bytes > 0)
  }
  /** Checked batches from a place on, up to what is durable. */
  walk(segment: Segment, from: Place): BatchWalk {
    const range = { ...from, limit: segment.durable.bytes, epochAt: this.epochAt }
    return new BatchWalk(this.file(segment), range)
  }
  /** The index is a hint: failing to write it costs a scan later, no more. */
  saveIndex(segment: Segment): void {
    if (segment.index === null || segment.index.isSaved) return
    try {
      segment.index.save(this.#core.world.disk, this.stem(segment), segment.written.bytes)
      this.#core.directories.changed(this.folder)
    } catch {
      segment.index.forgetSaved()
    }
  }
  damageAt(segment: Segment, position: number, what: string): Fault<'store.damaged'> {
    return new Fault('store.damaged', { file: this.path(segment), position, what })
  }
  #complete(segment: Segment, index: SparseIndex): SparseIndex {
    segment.index = index
    const from = index.last
    if (segment.written.bytes - from.position <= this.intervalBytes) return index
    const walk = new BatchWalk(this.file(segment), { ...from, limit: segment.written.bytes, epochAt: this.epochAt })
    let maxTimeMs = index.maxTimeMs
    for (;;) {
      const { position, offset } = walk
      const batch = walk.next()
      if (batch === null) return index
      if (position - index.lastPosition >= this.intervalBytes) index.add(offset, position, maxTimeMs)
      maxTimeMs = Math.max(maxTimeMs, batchMaxTime(batch))
    }
  }
}
