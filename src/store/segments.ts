/** The segments of one partition, oldest first: their files, and the index of each, made again when it is not right. */
import type { BufferPool } from '../lib/buffer-pool.ts'
import { BatchWalk, batchMaxTime, type EpochAt } from './batch-walk.ts'
import { Fault } from '../lib/fault.ts'
import type { File, Random } from '../lib/world.ts'
import type { Core } from './core.ts'
import type { Epochs } from './epochs.ts'
import { headIn, isOther, otherFile } from './head.ts'
import { zerosOf } from './room.ts'
import { type Mark, Segment, segmentName } from './segment.ts'
import { setAside } from './set-aside.ts'
import { type Place, type Salt, SparseIndex } from './sparse-index.ts'

export class Segments {
  readonly list: Segment[]
  readonly folder: string
  readonly epochAt: EpochAt
  readonly pool: BufferPool
  intervalBytes: number
  readonly #core: Core
  readonly #onDamage: (segment: Segment, place: Place, fault: Fault) => void
  /** Files that must not stay under the name of a segment. */
  #strays: string[] = []

  constructor(
    core: Core,
    of: { folder: string; list: Segment[]; epochs: Epochs; intervalBytes: number },
    onDamage: (segment: Segment, place: Place, fault: Fault) => void,
  ) {
    this.#core = core
    this.pool = core.pool
    this.folder = of.folder
    this.list = of.list
    this.intervalBytes = of.intervalBytes
    this.epochAt = (offset) => of.epochs.at(offset)
    this.#onDamage = onDamage
  }
  get last(): Segment | undefined {
    return this.list.at(-1)
  }
  get durableBytes(): number {
    return this.list.reduce((sum, segment) => sum + segment.durable.bytes, 0)
  }
  stem(segment: Segment): string {
    return `${this.folder}/${segmentName(segment.base, segment.generation)}`
  }
  path(segment: Segment): string {
    return `${this.stem(segment)}.log`
  }
  file(segment: Segment): File {
    const file = this.#core.handles.open(segment, this.path(segment), 'read')
    if (!segment.isOwn) this.#recognise(segment, file)
    return file
  }
  /** Once. Throws Fault store.damaged. */
  #recognise(segment: Segment, file: File): void {
    const { base, head, written } = segment
    if (head === undefined) segment.head = headIn(file, base) ?? undefined
    else if (isOther(file, { base, head, bytes: written.bytes }))
      throw this.foundDamage(segment, { position: 0, offset: base }, otherFile)
    segment.isOwn = true
  }
  /** Makes the file when there is none; one that is in its place is moved aside. */
  fileForWrite(segment: Segment): File {
    const path = this.path(segment)
    if (!segment.exists) {
      this.#core.directories.make(this.folder)
      if (this.#core.world.disk.stat(path) !== null) setAside(this.#core, path)
      // From here on the name is that of a file that must stay.
      this.#strays = this.#strays.filter((stray) => stray !== path)
      this.#core.directories.changed(this.folder)
    }
    const file = this.#core.handles.open(segment, path, 'write')
    segment.exists = true
    return file
  }
  /** After a write: zeros behind it, if many small ones follow each other. The next sync takes them along. */
  makeRoom(segment: Segment, write: { from: number; to: number; max: number }): void {
    const { room } = segment
    const { clock, disk } = this.#core.world
    if (segment !== this.last) return this.giveRoomBack(segment)
    const bytes = Math.min(disk.roomBytes, write.max - write.to)
    if (!room.wants(write, clock.monotonic()) || bytes <= 0 || !this.#core.guard.takeSpare(bytes)) return
    try {
      this.fileForWrite(segment).write([zerosOf(bytes)], write.to)
      room.end = write.to + bytes
    } catch {
      // The batches before them are written: what is wrong with the disk the sync says, or the next write.
      room.end = Number.POSITIVE_INFINITY
    }
  }
  /** The file ends where the segment does. That it does not costs space, no more. */
  giveRoomBack(segment: Segment): void {
    const { room, written } = segment
    if (room.end <= written.bytes) return
    room.end = 0
    try {
      this.fileForWrite(segment).truncate(written.bytes)
    } catch {
      // Recovery knows zeros behind the end for what they are.
    }
  }
  /** Adds a new segment once its file and name are durable. */
  async addDurably(base: number): Promise<void> {
    this.#clearStrays()
    const segment = this.create(base)
    try {
      const file = this.fileForWrite(segment)
      await Promise.all([file.datasync(), this.#core.directories.sync(this.folder)])
      this.list.push(segment)
    } catch (error) {
      this.#core.handles.close(segment)
      if (segment.exists) this.#strays.push(this.path(segment))
      throw error
    }
  }
  /** Takes every segment back to one of its marks; those that hold nothing then are no longer part of the log. */
  cut(markOf: (segment: Segment) => Mark): void {
    while (this.list.length > 0 && markOf(this.list.at(-1)!).bytes === 0) {
      const segment = this.list.pop()!
      this.#core.handles.close(segment)
      if (segment.exists) this.#strays.push(this.path(segment))
    }
    for (const segment of this.list) {
      segment.tail = segment.written = markOf(segment)
      segment.index?.cut(segment.tail.bytes)
    }
    try {
      this.#clearStrays()
    } catch {
      // Tried again before the next segment is made.
    }
  }
  #clearStrays(): void {
    for (let path = this.#strays.at(-1); path !== undefined; path = this.#strays.at(-1)) {
      if (this.#core.world.disk.stat(path) !== null) setAside(this.#core, path)
      this.#strays.pop()
    }
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
    const { random } = this.#core.world
    const segment = new Segment({ base, createdMs: this.#core.retentionStamp(), salts: [newSalt(random, 0)] }, null)
    segment.index = new SparseIndex(base, segment.salts)
    return segment
  }
  /** Loads the index when it is not in memory, and completes it by what was written after it was saved. */
  index(segment: Segment): SparseIndex {
    segment.index ??= this.#complete(
      segment,
      SparseIndex.load(this.#core.world.disk, this.stem(segment), this.#indexed(segment)),
    )
    return segment.index
  }
  /** The same without blocking the thread. */
  async indexLater(segment: Segment): Promise<SparseIndex> {
    if (segment.index !== null) return segment.index
    const loaded = await SparseIndex.loadLater(this.#core.world.disk, this.stem(segment), this.#indexed(segment))
    const complete = await this.#completeLater(segment, loaded)
    // Whoever needed it at once has made one meanwhile.
    segment.index ??= complete
    return segment.index
  }
  /** From the batches alone, whatever the files say. */
  rebuildIndex(segment: Segment): SparseIndex {
    segment.index = this.#complete(segment, new SparseIndex(segment.base, segment.salts))
    return segment.index
  }
  async rebuildIndexLater(segment: Segment): Promise<SparseIndex> {
    segment.index = await this.#completeLater(segment, new SparseIndex(segment.base, segment.salts))
    return segment.index
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
  /** Told once; whoever reads on gets the same answer without another look at the file. */
  foundDamage(segment: Segment, place: Place, what: string): Fault {
    if (segment.unreadable !== null && segment.unreadable.offset <= place.offset) return segment.unreadable.fault
    const fault = this.damageAt(segment, place.position, what)
    segment.unreadable = { offset: place.offset, fault }
    this.#core.report(fault)
    // One that compaction or retention has taken away says nothing about the log.
    if (this.list.includes(segment)) this.#onDamage(segment, place, fault)
    return fault
  }
  #indexed({ base, salts, written }: Segment): { base: number; salts: readonly Salt[]; bytes: number } {
    return { base, salts, bytes: written.bytes }
  }
  #complete(segment: Segment, index: SparseIndex): SparseIndex {
    const walk = this.#walkOn(segment, index)
    if (walk === null) return index
    const indexer = new Indexer(index, { intervalBytes: this.intervalBytes })
    while (indexer.take(walk));
    return index
  }
  async #completeLater(segment: Segment, index: SparseIndex): Promise<SparseIndex> {
    const walk = this.#walkOn(segment, index)
    if (walk === null) return index
    const indexer = new Indexer(index, { intervalBytes: this.intervalBytes })
    do {
      if (!walk.isPrepared) await walk.prepare()
    } while (indexer.take(walk))
    return index
  }
  /** From the last entry of an index on; null when not even one more entry is missing. */
  #walkOn(segment: Segment, index: SparseIndex): BatchWalk | null {
    const from = index.last
    if (segment.written.bytes - from.position <= this.intervalBytes) return null
    return new BatchWalk(this.file(segment), { ...from, limit: segment.written.bytes, epochAt: this.epochAt })
  }
}

/** Adds entries to an index while a walk goes on from its last one. */
export class Indexer {
  readonly #index: SparseIndex
  readonly #intervalBytes: number
  #maxTimeMs: number

  /** `maxTimeMs`: of the batches before the walk, as far as they lie behind the last entry. */
  constructor(index: SparseIndex, options: { intervalBytes: number; maxTimeMs?: number }) {
    this.#index = index
    this.#intervalBytes = options.intervalBytes
    this.#maxTimeMs = Math.max(index.maxTimeMs, options.maxTimeMs ?? -1)
  }
  /** The next batch; null at the end of the walk. */
  take(walk: BatchWalk): Buffer | null {
    const { position, offset } = walk
    const batch = walk.next()
    if (batch === null) return null
    if (position - this.#index.lastPosition >= this.#intervalBytes) this.#index.add(offset, position, this.#maxTimeMs)
    this.#maxTimeMs = Math.max(this.#maxTimeMs, batchMaxTime(batch))
    return batch
  }
}

export const newSalt = (random: Random, from: number): Salt => ({
  from,
  salt: Buffer.from(random.bytes(4)).readUInt32BE(),
})
