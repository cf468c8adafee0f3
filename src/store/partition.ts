/**
 * One partition: a list of segments, of which the last one grows.
 *
 * Offsets move through four marks: start ≤ durable ≤ written ≤ end. `append` moves end and only queues; the store's loop
 * calls `writePending` (written) and, around a sync, `capture` and `synced` (durable). A sync that fails fences the
 * partition: it is cut back to durable, the file that failed is never written again, and intake goes on when a new
 * segment has been synced. A write that fails takes back what was not written. Long because the four marks have one
 * owner: every method moves or guards them.
 */
import { type Offset, offset as toOffset, type TimeMs } from '../lib/brand.ts'
import type { Lease } from '../lib/buffer-pool.ts'
import { asFault, Fault } from '../lib/fault.ts'
import type { DiskError, File } from '../lib/world.ts'
import { placeBatch, stampBatch } from './batch-header.ts'
import { batchMaxTime } from './batch-walk.ts'
import { writeCompacted } from './compact.ts'
import type { Core } from './core.ts'
import { diskFault } from './disk-fault.ts'
import { Epochs } from './epochs.ts'
import { headOf } from './head.ts'
import { HotBatches } from './hot-tail.ts'
import type { DamagedPlace, PartitionState } from './journal.ts'
import { Listeners } from './listeners.ts'
import { findTime, largestTime, readBatches, readHeaders } from './read.ts'
import { type Mark, Segment } from './segment.ts'
import { Segments } from './segments.ts'
import { SmallFiles } from './small-files.ts'
import type { Place, SparseIndex } from './sparse-index.ts'
import { newestTime } from './retention.ts'
import type { Lent, PartitionConfig, PartitionLog, SealedSegment } from './store.ts'
import { expectedFiles } from './verify.ts'
import { Waiters } from './waiters.ts'

/** Positions and relative offsets in an index have 32 bits. */
const indexedMax = 0xffff_ffff
const resumeMsFirst = 50
const resumeMsMax = 5_000

interface Run {
  readonly segment: Segment
  readonly buffers: Uint8Array[]
  /** Of the memory that they are in: held until they are written. */
  readonly leases: Lease[]
}
export interface Capture {
  readonly generation: number
  readonly end: number
  readonly parts: readonly { readonly segment: Segment; readonly mark: Mark; readonly file: File }[]
}
export interface Damage {
  readonly at: Offset
  readonly fault: Fault
  readonly place: DamagedPlace
}

/** What is known of a partition when it is opened. */
export interface OpenedPartition {
  readonly state: PartitionState
  readonly damage: Damage | null
  /** Its files have been looked at. */
  readonly verified: boolean
  /** Of the last segment, if it is at hand. */
  readonly index: SparseIndex | null
}

const nothing: Lent = { buffers: [], release: () => {} }
const releaseAll = ({ leases }: Run): void => leases.forEach((lease) => lease.release())

export class Partition implements PartitionLog {
  readonly dir: string
  readonly segments: Segments
  damage: Damage | null
  readonly #core: Core
  readonly #small: SmallFiles
  #config: PartitionConfig
  readonly #epochs: Epochs
  #start: number
  /** A trim has failed half done: it is seen, and may not be durable. */
  #isStartUnsure = false
  /** Where the start is moving to. */
  #startNoted = 0
  #end: number
  #written: number
  #durable: number
  #runs: Run[] = []
  readonly #hot = new HotBatches()
  readonly #whenWritten = new Waiters()
  readonly #whenDurable = new Waiters()
  readonly #onDurable: Listeners<undefined>
  readonly #onCut: Listeners<Offset>
  /** Rises when the log is cut: a sync that began before says nothing about what came after. */
  #generation = 0
  #fence: Fault | null = null
  #isStopped = false
  #gone = false
  #isVerified: boolean
  /** Files that compaction has replaced, to be deleted when a checkpoint says so. */
  readonly #replacedStems: string[] = []
  /** Clock reading when the oldest unsynced bytes were written. */
  unsyncedSinceMs = 0

  constructor(core: Core, opened: OpenedPartition, config: PartitionConfig) {
    const { state } = opened
    this.#core = core
    this.#config = config
    this.dir = state.dir
    this.damage = opened.damage
    this.#isVerified = opened.verified
    this.#start = state.start
    this.#end = this.#written = this.#durable = state.end
    this.#epochs = new Epochs(state.epochs)
    const list = state.segments.map(
      ({ base, generation = 0, createdMs, salts, head, ...mark }) =>
        new Segment({ base, generation, createdMs, salts, ...(head === undefined ? {} : { head }) }, mark),
    )
    const last = list.at(-1)
    if (last !== undefined) {
      last.sealed = state.sealed
      last.index = opened.index
    }
    this.#onDurable = new Listeners(core)
    this.#onCut = new Listeners(core)
    this.#small = new SmallFiles(core, `${core.dir}/topics/${state.dir}`)
    this.segments = new Segments(
      core,
      {
        folder: `${core.dir}/topics/${state.dir}`,
        list,
        epochs: this.#epochs,
        intervalBytes: config.indexIntervalBytes,
      },
      (segment, place, fault) => this.#foundDamage(segment, place, fault),
    )
  }
  get start(): Offset {
    return toOffset(this.#start)
  }
  get end(): Offset {
    return toOffset(this.#end)
  }
  get written(): number {
    return this.#written
  }
  get durable(): Offset {
    return toOffset(this.#durable)
  }
  get leaderEpoch(): number {
    return this.#core.epoch
  }
  get epochStarts(): readonly { readonly epoch: number; readonly from: number }[] {
    return this.#epochs.starts
  }
  get sizeBytes(): number {
    return this.segments.list.reduce((sum, segment) => sum + segment.tail.bytes, 0)
  }
  get config(): PartitionConfig {
    return this.#config
  }
  /** Something is in the page cache that no sync has covered. */
  get hasUnsynced(): boolean {
    return this.#written > this.#durable && !this.#gone
  }
  configure(config: PartitionConfig): void {
    this.#config = config
    this.segments.intervalBytes = config.indexIntervalBytes
  }

  append(
    batch: Uint8Array,
    lease: Lease | null = null,
    reserveKept = this.#config.reserveKept,
  ): { baseOffset: Offset; appendTimeMs: number } {
    if (this.#gone || this.#isStopped) throw new Fault('log.closed', { what: this.dir })
    if (!this.#isVerified) this.#verify()
    if (this.damage !== null) throw this.damage.fault
    if (this.#fence !== null) throw this.#fence
    this.#core.guard.take(batch.length, reserveKept)
    const bytes = Buffer.isBuffer(batch) ? batch : Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength)
    const base = this.#end
    const end = base + bytes.readInt32BE(23) + 1
    const segment = this.#growing(bytes.length, end)
    placeBatch(bytes, base, this.#core.epoch)
    let appendTimeMs = -1
    if (this.#config.timestampType === 'log-append-time') {
      appendTimeMs = this.#core.world.clock.now()
      stampBatch(bytes, appendTimeMs)
    }
    this.#epochs.begin(this.#core.epoch, base)
    this.#queue(segment, bytes, end, lease)
    this.#end = end
    this.#core.hot.add(this.#hot, { base, end, bytes, lease })
    this.#core.resized(bytes.length)
    this.#core.toWrite(this)
    return { baseOffset: base as Offset, appendTimeMs }
  }
  whenWritten(offset: Offset): Promise<void> {
    if (offset <= this.#written) return Promise.resolve()
    if (this.#gone) return Promise.reject(new Fault('log.closed', { what: this.dir }))
    return this.#whenWritten.wait(offset)
  }
  whenDurable(offset: Offset): Promise<void> {
    if (offset <= this.#durable) return Promise.resolve()
    if (this.#gone) return Promise.reject(new Fault('log.closed', { what: this.dir }))
    const waiting = this.#whenDurable.wait(offset)
    this.#core.toSync(this)
    return waiting
  }
  wantDurable(): void {
    if (this.#durable < this.#end) this.#core.toSync(this)
  }
  onDurable(call: () => void): () => void {
    return this.#onDurable.add(call)
  }
  onCut(call: (end: Offset) => void): () => void {
    return this.#onCut.add(call)
  }

  async read(from: Offset, maxBytes: number, upTo: Offset): Promise<readonly Uint8Array[]> {
    return (await this.lend(from, maxBytes, upTo)).buffers
  }
  async lend(from: Offset, maxBytes: number, upTo: Offset): Promise<Lent> {
    this.#checkInside(from)
    this.#verify()
    if (this.damage !== null && from >= this.damage.at) throw this.damage.fault
    const end = Math.min(upTo, this.damage?.at ?? Number.MAX_SAFE_INTEGER)
    const hot = this.#hot.lend(from, Math.min(end, this.#written), maxBytes)
    if (hot !== null) return hot
    const limit = Math.min(end, this.#durable)
    if (from >= limit) return nothing
    try {
      return await this.#core.reads.pass(() => readBatches(this.segments, { from, limit, bytesMax: maxBytes }))
    } catch (error) {
      // Retention may have taken the files meanwhile.
      this.#checkInside(from)
      throw this.#failure(error, this.segments.folder)
    }
  }
  *headers(from: Offset): Iterable<Uint8Array> {
    this.#verify()
    const limit = Math.min(this.#durable, this.damage?.at ?? Number.MAX_SAFE_INTEGER)
    if (from >= limit) return
    try {
      yield* readHeaders(this.segments, Math.max(from, this.#start), limit)
    } catch (error) {
      throw this.#failure(error, this.segments.folder)
    }
  }
  findTime(timeMs: number): Offset | null {
    this.#verify()
    const limit = Math.min(this.#durable, this.damage?.at ?? Number.MAX_SAFE_INTEGER)
    try {
      return findTime(this.segments, timeMs, this.#start, limit)
    } catch (error) {
      throw this.#failure(error, this.segments.folder)
    }
  }
  largestTime(): { offset: Offset; timeMs: TimeMs } | null {
    return largestTime(this.segments)
  }

  trim(offset: Offset): Promise<void> {
    return this.#inTurn(async () => {
      if (offset <= this.#start && !this.#isStartUnsure) return
      if (offset > this.#durable)
        throw new Fault('log.offset-out-of-range', { offset, first: this.#start, next: this.#durable })
      const to = Math.max(offset, this.#start)
      try {
        await this.#small.replace('log-start', { number: to, bytes: new Uint8Array(0) })
      } catch (error) {
        // The file may be in its place all the same: what the next start would find is so from now on.
        if (this.#small.load('log-start')?.number === to) {
          this.#isStartUnsure = true
          this.#start = to
        }
        throw error
      }
      this.#isStartUnsure = true
      await this.#moveStart(to, true)
      this.#isStartUnsure = false
    })
  }
  async saveSnapshot(name: string, at: Offset, bytes: Uint8Array): Promise<void> {
    // What is durable is never cut, so a snapshot of it can never be ahead of the log.
    await this.whenDurable(at)
    await this.#inTurn(() => this.#small.replace(`${name}.snapshot`, { number: at, bytes }))
  }
  loadSnapshot(name: string): { at: Offset; bytes: Uint8Array } | null {
    const found = this.#small.load(`${name}.snapshot`)
    return found === null || found.number > this.#durable ? null : { at: toOffset(found.number), bytes: found.bytes }
  }

  sealed(upTo: Offset): readonly SealedSegment[] {
    this.#verify()
    if (this.damage !== null) return []
    const { list } = this.segments
    const found: SealedSegment[] = []
    for (const segment of list.slice(0, -1)) {
      const { bytes, end } = segment.durable
      // A segment may have been followed by the next one before its own last batches are written.
      if (segment.tail.bytes > bytes || bytes === 0 || end > upTo) break
      found.push({ base: toOffset(segment.base), end: toOffset(end), bytes, newestMs: newestTime(segment) })
    }
    return found
  }
  async replaceSealed(of: readonly SealedSegment[], batches: AsyncIterable<Uint8Array>): Promise<boolean> {
    const old = this.#these(of)
    if (old === null) return false
    let isReplaced = false
    try {
      const fresh = await writeCompacted(this.#core, this.segments, old, batches)
      await this.#inTurn(async () => {
        isReplaced = this.#these(of)?.[0] === old[0] && !this.#isStopped
        if (isReplaced) await this.#putInPlace(fresh, old)
        else this.#core.world.disk.remove(this.segments.path(fresh))
      })
    } catch (error) {
      throw this.#failure(error, this.segments.folder)
    }
    return isReplaced
  }
  /** The segments themselves, if they are still there. */
  #these(of: readonly SealedSegment[]): readonly Segment[] | null {
    const { list } = this.segments
    const at = list.findIndex((segment) => segment.base === of[0]?.base)
    const found = at < 0 ? [] : list.slice(at, at + of.length)
    const isSame =
      found.length > 0 && found.every(({ base, durable }, i) => base === of[i]?.base && durable.end === of[i].end)
    return isSame && found.length === of.length && at + of.length < list.length ? found : null
  }
  async #putInPlace(fresh: Segment, old: readonly Segment[]): Promise<void> {
    const { list } = this.segments
    list.splice(list.indexOf(old[0]!), old.length, fresh)
    this.segments.saveIndex(fresh)
    for (const segment of old) {
      segment.isReplaced = true
      this.#core.handles.close(segment)
      this.#core.resized(-segment.tail.bytes)
      this.#replacedStems.push(this.segments.stem(segment))
    }
    this.#core.resized(fresh.tail.bytes)
    // What is in memory is of the old ones.
    this.#core.hot.cut(this.#hot, 0)
    // Until the journal knows of the new one, the old ones are the log.
    await this.#core.checkpoint()
    for (let stem = this.#replacedStems.pop(); stem !== undefined; stem = this.#replacedStems.pop())
      for (const ending of ['log', 'offsets', 'times']) this.#core.world.disk.remove(`${stem}.${ending}`)
    this.#core.directories.changed(this.segments.folder)
  }

  /** Puts what is pending into the page cache. Throws what the disk throws; then call `failed`. */
  writePending(): void {
    while (this.#runs.length > 0) {
      const { segment, buffers } = this.#runs[0]!
      const mark = segment.tail
      if (segment.isDurable && this.#written === this.#durable)
        this.unsyncedSinceMs = this.#core.world.clock.monotonic()
      const from = segment.written.bytes
      this.segments.fileForWrite(segment).write(buffers, from)
      segment.written = mark
      this.#written = mark.end
      releaseAll(this.#runs.shift()!)
      this.segments.makeRoom(segment, { from, to: mark.bytes, max: this.#config.segmentBytes })
      if (segment !== this.segments.last || segment.index?.wantsSave === true) this.segments.saveIndex(segment)
    }
    if (this.#written > this.#durable) this.#core.unsynced(this)
    this.#whenWritten.reached(this.#written)
  }
  /** What a sync that begins now will make durable; null = everything is. */
  capture(): Capture | null {
    if (this.#gone || this.#fence !== null || this.#written === this.#durable) return null
    const parts = this.segments.list
      .filter((segment) => !segment.isDurable)
      .map((segment) => ({ segment, mark: segment.written, file: this.segments.fileForWrite(segment) }))
    return { generation: this.#generation, end: this.#written, parts }
  }
  /** False = the log was cut meanwhile: the sync says nothing. */
  isCurrent(capture: Capture): boolean {
    return capture.generation === this.#generation && !this.#gone
  }
  synced(capture: Capture): void {
    for (const { segment, mark } of capture.parts) segment.durable = mark
    this.unsyncedSinceMs = this.#core.world.clock.monotonic()
    this.#durable = capture.end
    this.#whenDurable.reached(this.#durable)
    this.#onDurable.tell(undefined)
  }
  /** A write failed: what was not written is taken back. Nothing of it was promised to anyone. */
  writeFailed(error: unknown): void {
    const code = (error as Partial<DiskError>).code
    if (code !== 'ENOSPC' && code !== 'EDQUOT' && code !== 'EMFILE' && code !== 'ENFILE') return this.fence(error)
    const fault =
      code === 'ENOSPC' || code === 'EDQUOT' ? this.#core.guard.hitTheEnd() : this.#failure(error, this.segments.folder)
    this.#cut(this.#written, fault, (segment) => segment.written)
    const last = this.segments.last
    if (last === undefined || !last.exists) return
    try {
      this.segments.fileForWrite(last).truncate(last.written.bytes)
      last.room.end = 0
    } catch (truncateError) {
      // What is left behind the end might pass for batches that follow the next ones.
      this.fence(truncateError)
    }
  }
  /** A sync failed: nobody knows which pages are on disk, and asking again proves nothing. */
  fence(error: unknown): void {
    if (this.#gone || this.#fence !== null) return
    const fault = this.#failure(error, this.segments.folder)
    this.#fence = fault
    this.#core.report(fault)
    // Nothing is done to a file whose sync has failed, not even to its end.
    for (const { room } of this.segments.list) room.end = 0
    this.#cut(this.#durable, fault, (segment) => segment.durable)
    const last = this.segments.last
    if (last !== undefined) {
      last.sealed = true
      this.#core.handles.close(last)
      this.#noteCut(last)
    }
    void this.#resume(resumeMsFirst)
  }
  /** Takes nothing more; what is there is still written and synced. */
  stop(): void {
    this.#isStopped = true
  }
  /** Takes the files away; nothing more is written. */
  close(): void {
    if (this.#gone) return
    this.#gone = true
    const fault = new Fault('log.closed', { what: this.dir })
    this.#whenWritten.fail(fault)
    this.#whenDurable.fail(fault)
    this.#dropRuns()
    this.#core.hot.cut(this.#hot, 0)
    for (const segment of this.segments.list) this.#core.handles.close(segment)
  }
  /** Indexes are saved, and files end where their segments do. */
  tidy(): void {
    for (const segment of this.segments.list) {
      this.segments.saveIndex(segment)
      this.segments.giveRoomBack(segment)
    }
  }
  get isFenced(): boolean {
    return this.#fence !== null
  }
  state(): PartitionState {
    const { list } = this.segments
    const kept = list.filter((segment) => segment.durable.bytes > 0)
    const last = kept.at(-1)
    // With bytes that are on their way to the disk it is not sealed yet.
    const isWhole = last !== undefined && last.tail.bytes === last.durable.bytes
    return {
      dir: this.dir,
      start: Math.max(this.#start, this.#startNoted),
      end: this.#durable,
      epochs: this.#epochs.starts.filter((start) => start.from < this.#durable),
      segments: kept.map((segment) => segment.state()),
      sealed: isWhole && (last !== list.at(-1) || last.sealed),
      ...(this.damage === null ? {} : { damaged: this.damage.place }),
    }
  }

  /** Retention: forgets what lies before `offset`, which is not past durable. */
  forgetBefore(offset: number): Promise<void> {
    return offset <= this.#start ? Promise.resolve() : this.#inTurn(() => this.#moveStart(offset))
  }
  /** Begins a new segment, durably, so that retention may take all before it. */
  async rollNow(): Promise<void> {
    const last = this.segments.last
    if (last === undefined || last.tail.bytes === 0 || this.#fence !== null || this.#gone) return
    const segment = this.#roll()
    this.segments.fileForWrite(segment)
    await this.#core.directories.sync(this.segments.folder)
  }

  async #moveStart(offset: number, isInFile = false): Promise<void> {
    if (isInFile) this.#start = offset
    else if (offset <= this.#start) return
    const { list } = this.segments
    // A checkpoint that is made meanwhile must know of it.
    this.#startNoted = offset
    try {
      this.#core.journal.start(this.dir, offset)
      // From here on the next start may find it, whatever becomes of the sync.
      this.#start = offset
      // A file that is missing without a word about it would be damage.
      if (list.length > 1 && list[1]!.base <= offset) await this.#core.journal.sync()
      while (!this.#gone && list.length > 1 && list[1]!.base <= offset) this.#remove(list.shift()!)
    } catch (error) {
      throw this.#failure(error, this.segments.folder)
    }
  }
  #remove(segment: Segment): void {
    this.#core.handles.close(segment)
    const stem = this.segments.stem(segment)
    for (const ending of ['log', 'offsets', 'times']) this.#core.world.disk.remove(`${stem}.${ending}`)
    this.#core.directories.changed(this.segments.folder)
    this.#core.resized(-segment.tail.bytes)
  }
  #roll(): Segment {
    const before = this.segments.last
    if (before !== undefined) {
      before.sealed = true
      if (before.written.bytes === before.tail.bytes) this.segments.giveRoomBack(before)
    }
    this.#core.rolled(this)
    return this.segments.add(this.#end)
  }
  /** The segment that takes the next batch, its index in memory. */
  #growing(bytes: number, end: number): Segment {
    const last = this.segments.last
    if (last === undefined || last.sealed) return this.#roll()
    if (last.tail.bytes > 0 && this.#isDone(last, bytes, end)) return this.#roll()
    if (last.index === null) this.#loadIndex(last)
    return last
  }
  #isDone({ base, tail, createdMs }: Segment, bytes: number, end: number): boolean {
    if (tail.bytes + bytes > Math.min(this.#config.segmentBytes, indexedMax) || end - base > indexedMax) return true
    return this.#core.retentionNow() - createdMs >= this.#config.segmentMs
  }
  #loadIndex(segment: Segment): void {
    try {
      this.segments.index(segment)
    } catch (error) {
      throw this.#failure(error, this.segments.folder)
    }
  }
  #dropRuns(): void {
    for (const run of this.#runs) releaseAll(run)
    this.#runs = []
  }
  #queue(segment: Segment, bytes: Buffer, end: number, lease: Lease | null): void {
    const { tail } = segment
    const index = segment.index!
    if (tail.bytes - index.lastPosition >= this.#config.indexIntervalBytes)
      index.add(this.#end, tail.bytes, tail.maxTimeMs)
    const timeMs = batchMaxTime(bytes)
    const isLarger = timeMs > tail.maxTimeMs || tail.bytes === 0
    if (tail.bytes === 0) segment.head = headOf(bytes)
    segment.tail = {
      bytes: tail.bytes + bytes.length,
      end,
      maxTimeMs: isLarger ? timeMs : tail.maxTimeMs,
      maxTimeOffset: isLarger ? this.#end : tail.maxTimeOffset,
    }
    let run = this.#runs.at(-1)
    if (run?.segment !== segment) this.#runs.push((run = { segment, buffers: [], leases: [] }))
    run.buffers.push(bytes)
    if (lease === null) return
    lease.hold()
    run.leases.push(lease)
  }
  /** Back to `end`: what was appended from there on is gone. */
  #cut(end: number, fault: Fault, markOf: (segment: Segment) => Mark): void {
    this.#generation++
    const before = this.sizeBytes
    this.#dropRuns()
    this.#end = this.#written = end
    this.#core.hot.cut(this.#hot, end)
    this.segments.cut(markOf)
    this.#epochs.cut(end)
    this.#core.resized(this.sizeBytes - before)
    this.#onCut.tell(end as Offset)
    this.#whenWritten.reached(end)
    this.#whenWritten.failBehind(end, fault)
    this.#whenDurable.failBehind(end, fault)
    // What was written before the write that failed stays, but a sync that is under way may be of the cut log.
    if (this.hasUnsynced) this.#core.unsynced(this)
    if (this.#whenDurable.count > 0) this.#core.toSync(this)
  }
  /** Should the process die before there is a new segment, the next one must not believe the rest of the file. */
  #noteCut({ base, durable }: Segment): void {
    try {
      this.#core.journal.cut(this.dir, { base, bytes: durable.bytes, end: durable.end })
    } catch (error) {
      this.#core.report(this.#failure(error, this.#core.dir))
    }
  }
  /** Intake goes on when a new segment could be synced, name and all. */
  async #resume(waitMs: number): Promise<void> {
    if (this.#gone) return
    try {
      await this.segments.addDurably(this.#end)
      this.#fence = null
    } catch {
      this.#core.world.clock.after(waitMs, () => void this.#resume(Math.min(2 * waitMs, resumeMsMax)))
    }
  }
  #checkInside(from: number): void {
    if (from < this.#start || from > this.#end)
      throw new Fault('log.offset-out-of-range', { offset: from, first: this.#start, next: this.#end })
  }
  /** After a clean stop the files are first looked at when they are first needed. */
  #verify(): void {
    if (this.#isVerified) return
    try {
      const found = expectedFiles(this.#core.world.disk, this.segments)
      this.#isVerified = true
      if (found === null) return
      const { offset, fault, base } = found
      // Where it begins inside of the file was not noted: the whole of it is looked at again.
      const place = { base, bytes: 0, end: base }
      this.damage = { at: toOffset(Math.max(offset, this.#start)), fault, place }
      this.#core.report(fault)
      this.#core.foundDamage(fault)
    } catch (error) {
      throw this.#failure(error, this.segments.folder)
    }
  }
  /** A reader came upon bytes that are not as written: from there on nothing is read, and nothing is appended behind it. */
  #foundDamage(segment: Segment, { position, offset }: Place, fault: Fault): void {
    if (this.damage !== null && this.damage.at <= offset) return
    const place = { base: segment.base, bytes: position, end: offset }
    this.damage = { at: toOffset(Math.max(offset, this.#start)), fault, place }
    this.#core.foundDamage(fault)
  }
  #failure(error: unknown, path: string): Fault {
    return asFault(diskFault(error, path))
  }
  #inTurn(call: () => Promise<void>): Promise<void> {
    return this.#small.inTurn(() => {
      if (this.#gone) throw new Fault('log.closed', { what: this.dir })
      return call()
    })
  }
}
