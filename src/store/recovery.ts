/**
 * What an unclean stop left of one partition. The journal says what was there at its last checkpoint (that is not looked
 * at again) and up to where more was durable. From the checkpoint on every batch is read and checked:
 *
 * - all is well up to the end of the files: that is the log;
 * - something is wrong below the durable end: damage. Nothing is touched, the log is readable up to there. The next starts
 *   look at that place again: whoever puts the file back has the whole log back;
 * - something is wrong at or above it: a torn tail. Unsynced pages reach the disk in any order, so whatever follows is
 *   worth nothing even where it is valid; it is moved to `<segment>.torn` and the log ends there. Zeros alone are no tail:
 *   they were written ahead (`room.ts`), and the file is ended before them.
 *
 * A segment ends where the next one begins, whatever its file still holds: a log that was cut back after a failed sync
 * leaves such bytes behind and must not touch them.
 *
 * Long because each case of a break is told apart by what was found before it, in one pass over the segments.
 */
import { offset as toOffset } from '../lib/brand.ts'
import { Fault } from '../lib/fault.ts'
import type { File, World } from '../lib/world.ts'
import { batchBase, batchEpoch, batchMaxTime, BatchWalk } from './batch-walk.ts'
import type { Directories } from './directories.ts'
import { Epochs } from './epochs.ts'
import { headOf, isOtherFile, otherFile } from './head.ts'
import type { DamagedPlace, KnownPartition, PartitionState } from './journal.ts'
import { nextBatch } from './next-batch.ts'
import type { Damage } from './partition.ts'
import { isRoom } from './room.ts'
import { segmentName, segmentsIn, type SegmentState } from './segment.ts'
import { Indexer, newSalt } from './segments.ts'
import { setAside, tornPath } from './set-aside.ts'
import { type Place, SparseIndex } from './sparse-index.ts'
import { ownerOf, readWhole, unpackSmallFile } from './small-file.ts'

/** A file with bytes that may be in the page cache only. */
export interface Unsynced {
  readonly path: string
  /** What an earlier process wrote begins here; none of it: the end of the file. */
  readonly from: number
}
export interface Recovered {
  readonly state: PartitionState
  readonly damage: Damage | null
  readonly scannedBytes: number
  readonly torn: readonly { readonly file: string; readonly keptAs: string; readonly bytes: number }[]
  /** Of the last segment, when the scan went over all that it did not hold. */
  readonly index: SparseIndex | null
  readonly unsynced: readonly Unsynced[]
  /** Segments, without ending, to be deleted when a durable checkpoint says that they are not needed. */
  readonly forgotten: readonly string[]
}
export interface RecoveryContext {
  readonly world: World
  readonly directories: Directories
  /** Leader epoch under which everything after the checkpoint was written; null = the journal is lost. */
  readonly epoch: number | null
}

const copyBytes = 1024 * 1024
/** The setting of the topic is not known here; Kafka's default does. */
const indexIntervalBytes = 4096
const unindexedBytesMax = 64 * 1024

export function recoverPartition(context: RecoveryContext, folder: string, known: KnownPartition): Recovered {
  return new PartitionRecovery(context, folder, known).run()
}

/** Where the log stops being as it should. */
interface Break {
  readonly path: string
  readonly position: number
  readonly what: string
}

class PartitionRecovery {
  readonly #context: RecoveryContext
  readonly #folder: string
  readonly #known: KnownPartition
  readonly #epochs: Epochs
  readonly #segments: SegmentState[] = []
  readonly #torn: { file: string; keptAs: string; bytes: number }[] = []
  readonly #unsynced: Unsynced[] = []
  readonly #forgotten: string[] = []
  /** Which of the files of one base it is: compacted segments have names of their own. */
  readonly #generations: ReadonlyMap<number, number>
  /** Bases of segment files, ascending. */
  #files: number[]
  #start: number
  #end: number
  #durable: number
  #scannedBytes = 0
  #index: SparseIndex | null = null
  #sealed = false

  constructor(context: RecoveryContext, folder: string, known: KnownPartition) {
    this.#context = context
    this.#folder = folder
    this.#known = known
    this.#epochs = new Epochs(known.state.epochs)
    this.#generations = this.#chooseGenerations()
    this.#files = [...this.#generations.keys()].sort((a, b) => a - b)
    this.#start = Math.max(known.start, this.#savedStart())
    this.#end = known.state.end
    this.#durable = Math.max(known.durable, this.#start)
  }
  run(): Recovered {
    this.#passForgotten()
    if (this.#context.epoch === null) this.#assumeSealedDurable()
    // Behind damage nobody has looked which files are the log.
    else if (this.#known.state.damaged === undefined) this.#passStrangers()
    let broken = this.#takeKnown() ?? this.#takeNew()
    if (this.#end < this.#start && this.#known.durable <= this.#start) broken = this.#beginAtStart()
    const damage = broken === null ? this.#checkEnd() : this.#handle(broken)
    if (damage !== null) this.#keepDamaged()
    return {
      state: {
        dir: this.#known.state.dir,
        start: this.#start,
        end: this.#end,
        epochs: this.#epochs.starts,
        segments: this.#segments,
        sealed: this.#sealed && this.#segments.length > 0,
        ...(damage === null ? {} : { damaged: damage.place }),
      },
      damage,
      scannedBytes: this.#scannedBytes,
      torn: this.#torn,
      index: this.#index?.base === this.#segments.at(-1)?.base ? this.#index : null,
      unsynced: this.#unsynced,
      forgotten: this.#forgotten,
    }
  }
  /**
   * Of several files with one base the checkpoint names the right one: a compaction that died before its checkpoint left
   * a file that is not needed, one that died after it left those that are not needed any more.
   */
  #chooseGenerations(): Map<number, number> {
    const found = segmentsIn(this.#context.world.disk, this.#folder)
    const chosen = new Map<number, number>()
    for (const [base, files] of Map.groupBy(found, (each) => each.base)) {
      const known = this.#known.state.segments.find((segment) => segment.base === base)
      const largest = Math.max(...files.map(({ generation }) => generation))
      const right = known?.generation ?? (known === undefined && this.#context.epoch === null ? largest : 0)
      const isThere = files.some(({ generation }) => generation === right)
      if (isThere) chosen.set(base, right)
      // Without the right one nobody can say that the others are not needed.
      if (this.#context.epoch === null || !isThere) continue
      for (const { generation } of files)
        if (generation !== right) this.#forgotten.push(`${this.#folder}/${segmentName(base, generation)}`)
    }
    return chosen
  }
  #stem(base: number): string {
    const known = this.#known.state.segments.find((segment) => segment.base === base)
    return `${this.#folder}/${segmentName(base, this.#generations.get(base) ?? known?.generation)}`
  }
  #path(base: number): string {
    return `${this.#stem(base)}.log`
  }
  #savedStart(): number {
    const packed = readWhole(this.#context.world.disk, `${this.#folder}/log-start`)
    return (packed === null ? null : unpackSmallFile(packed, ownerOf(this.#folder)))?.number ?? 0
  }
  /** Segments that lie before the start as a whole: retention had decided, but not deleted yet. */
  #passForgotten(): void {
    while (this.#files.length > 1 && this.#files[1]! <= this.#start)
      this.#forgotten.push(this.#stem(this.#files.shift()!))
  }
  /**
   * A file that lies before the end of the checkpoint and is not in it is no part of the log: its deletion, or its
   * moving aside, was forgotten.
   */
  #passStrangers(): void {
    const { segments, end, start } = this.#known.state
    for (const base of [...this.#files]) {
      if (base >= end || segments.some((segment) => segment.base === base)) continue
      const isCompacted = segments.some((segment) => segment.generation !== undefined && holds(segment, base))
      if (base >= start && !isCompacted) this.#moveAway(base)
      else this.#forgotten.push(this.#stem(base))
      this.#files = this.#files.filter((each) => each !== base)
    }
  }
  /** Without a journal: a segment that was followed by another one is not a tail. */
  #assumeSealedDurable(): void {
    const first = this.#files[0]
    if (first === undefined) return
    this.#start = Math.max(this.#start, first)
    this.#end = first
    this.#durable = Math.max(this.#durable, this.#files.at(-1)!)
  }
  /** What was there at the checkpoint: is it still? Its batches are checked when they are read. */
  #takeKnown(): Break | null {
    const { segments, sealed, damaged } = this.#known.state
    for (const segment of segments) {
      const isNeeded = segment.bytes > 0 && !this.#isForgotten(segment.base)
      if (!this.#files.includes(segment.base) && !isNeeded) continue
      const path = this.#path(segment.base)
      const size = this.#context.world.disk.stat(path)?.size ?? -1
      if (size >= 0 && this.#mayBeOther(segment, size) && isOtherFile(this.#context.world.disk, path, segment)) {
        this.#end = segment.base
        return { path, position: 0, what: otherFile }
      }
      if (size < segment.bytes) return this.#shorter(path, segment, size)
      if (segment.base === damaged?.base) {
        const broken = this.#lookAgain(segment, damaged)
        if (broken !== null) return broken
        continue
      }
      this.#segments.push(segment)
      this.#end = segment.end
    }
    this.#sealed = sealed
    const last = this.#segments.at(-1)
    // There was damage before anything that a checkpoint knew: it is looked for again.
    if (last === undefined && damaged !== undefined) this.#end = damaged.end
    else if (last === undefined) this.#beginWithFiles()
    if (last === undefined || sealed) return null
    return this.#scan(last)
  }
  /** What is read on from here, or from its beginning; the others are looked at when somebody reads them. */
  #mayBeOther(segment: SegmentState, size: number): boolean {
    const { segments, damaged } = this.#known.state
    return size < segment.bytes || segment.base === damaged?.base || segment === segments.at(-1)
  }
  /** A later segment holds the start, or nothing before the start was ever needed. */
  #isForgotten(base: number): boolean {
    return this.#start >= this.#known.durable || this.#files.some((each) => each > base && each <= this.#start)
  }
  /** Nothing of the checkpoint is left: the log goes on with what was made since. */
  #beginWithFiles(): void {
    const first = this.#files[0] ?? Number.MAX_SAFE_INTEGER
    this.#end = first <= this.#start ? first : Math.max(this.#known.state.end, this.#start)
  }
  /** Of what lies before the start nothing is needed, and nothing from there on was durable. */
  #beginAtStart(): Break | null {
    const isBefore = (base: number): boolean => base < this.#start
    for (const base of this.#files.filter(isBefore)) this.#forgotten.push(this.#stem(base))
    this.#files = this.#files.filter((base) => !isBefore(base))
    this.#segments.length = 0
    this.#unsynced.length = 0
    this.#sealed = false
    this.#end = this.#start
    return this.#takeNew()
  }
  #shorter(path: string, segment: SegmentState, size: number): Break {
    this.#end = segment.base
    if (size < 0) return { path, position: 0, what: 'the file is missing' }
    const begin = { ...segment, bytes: 0, end: segment.base, maxTimeMs: -1, maxTimeOffset: -1 }
    this.#segments.push(begin)
    const broken = this.#scan(begin, this.#epochs)
    return broken ?? { path, position: size, what: `the file ends here, of ${segment.bytes} bytes` }
  }
  /** Is the segment in which there was damage whole again? */
  #lookAgain(segment: SegmentState, { bytes, end }: DamagedPlace): Break | null {
    this.#end = segment.base
    this.#segments.push({ ...segment, bytes, end })
    const broken = this.#scan({ ...segment, bytes, end }, this.#epochs)
    if (broken !== null || this.#end >= segment.end) return broken
    return {
      path: this.#path(segment.base),
      position: bytes,
      what: `offsets ${this.#end} to ${segment.end} are missing`,
    }
  }
  /** The log ends where it ended; which files it had behind the damage is not forgotten. */
  #keepDamaged(): void {
    this.#end = Math.max(this.#end, this.#durable)
    const last = this.#segments.at(-1)?.base ?? -1
    for (const segment of this.#known.state.segments) {
      if (segment.base === last && this.#segments.at(-1)!.bytes < segment.bytes) this.#segments.splice(-1, 1, segment)
      if (segment.base > last) this.#segments.push(segment)
    }
    if (this.#context.epoch === null) this.#lookBehind(last)
    // Everything behind it was written under the epoch that every later start must expect there.
    if (this.#context.epoch !== null && this.#known.state.damaged === undefined)
      this.#epochs.begin(this.#context.epoch, this.#known.state.end)
  }
  /**
   * Without a journal only the files say what lies behind the damage, in its own segment and in later ones: under which
   * epochs it was written, and where the last of them ends. What is as written there was not lost, and its offsets are given
   * to nothing else.
   */
  #lookBehind(last: number): void {
    const from = this.#segments.at(-1)
    const heads = this.#files.map((base) => (base > last ? this.#headEpoch(base) : null))
    this.#files.forEach((base, i) => {
      if (base < last) return
      const place = base === last ? { position: from!.bytes, offset: from!.end } : { position: 0, offset: base }
      const next = this.#files[i + 1] ?? Number.MAX_SAFE_INTEGER
      // Epochs only rise: behind damage one above that of a later segment is a flipped bit, or of a batch inside of a record.
      const epochMax = heads.slice(i + 1).find((epoch) => epoch !== null) ?? Number.MAX_SAFE_INTEGER
      this.#end = Math.max(this.#end, this.#lookThrough(base, place, { end: next, epochMax }))
    })
  }
  #headEpoch(base: number): number | null {
    return this.#withFile(base, (file) => {
      const batch = new BatchWalk(file, { position: 0, offset: base, limit: file.size(), epochAt: () => null }).next()
      return batch === null ? null : batchEpoch(batch)
    })
  }
  /** Notes the epochs of its good batches; returns where the last of them ends. */
  #lookThrough(base: number, begin: Place, { end, epochMax }: { end: number; epochMax: number }): number {
    return this.#withFile(base, (file) => {
      const limit = file.size()
      const epochAt = (): null => null
      const accepts = (batch: Buffer): boolean => {
        const floor = this.#epochs.last <= epochMax ? this.#epochs.last : -1
        return batchEpoch(batch) >= floor && batchEpoch(batch) <= epochMax
      }
      let place = begin
      for (;;) {
        const walk = new BatchWalk(file, { ...place, limit, epochAt })
        for (let batch = walk.next(); batch !== null; batch = walk.next()) {
          this.#epochs.begin(batchEpoch(batch), batchBase(batch))
          place = { position: walk.position, offset: walk.offset }
        }
        const found =
          place.position >= limit || place.offset >= end
            ? null
            : nextBatch(file, { ...place, limit, end, epochAt, accepts })
        if (found === null) break
        place = found
      }
      this.#scannedBytes += place.position - begin.position
      return place.offset
    })
  }
  #withFile<T>(base: number, look: (file: File) => T): T {
    const file = this.#context.world.disk.open(this.#path(base), 'read')
    try {
      return look(file)
    } finally {
      file.close()
    }
  }
  /** Segments made after the checkpoint. */
  #takeNew(): Break | null {
    for (const base of this.#files) {
      if (this.#segments.some((segment) => segment.base === base)) continue
      if (base < this.#end) {
        // No segment of this log: what a failed sync or an earlier recovery could not move away.
        this.#moveAway(base)
        continue
      }
      if (base > this.#end) {
        const last = this.#segments.at(-1)
        const path = this.#path(last?.base ?? base)
        return { path, position: last?.bytes ?? 0, what: `offsets ${this.#end} to ${base} are missing` }
      }
      const createdMs = this.#context.world.disk.stat(this.#path(base))?.modifiedMs ?? 0
      const fresh = { base, createdMs, salts: [], bytes: 0, end: base, maxTimeMs: -1, maxTimeOffset: -1 }
      this.#segments.push(fresh)
      this.#sealed = false
      const broken = this.#scan(fresh)
      if (broken !== null) return broken
    }
    return null
  }
  /** Reads on from where the state ends; leaves the longer state in its place as the last segment. */
  #scan(from: SegmentState, epochs?: Epochs): Break | null {
    const path = this.#path(from.base)
    const cut = this.#known.cuts.get(from.base)
    const next = this.#files.find((base) => base > from.base) ?? Number.MAX_SAFE_INTEGER
    const file = this.#context.world.disk.open(path, 'read')
    try {
      const limit = Math.min(file.size(), cut?.bytes ?? Number.MAX_SAFE_INTEGER)
      const known = epochs ?? (this.#known.state.damaged === undefined ? undefined : this.#epochs)
      const epochAt = known === undefined ? () => this.#context.epoch : (offset: number) => known.at(offset)
      const walk = new BatchWalk(file, { position: from.bytes, offset: from.end, limit, epochAt })
      const grown = this.#salted(from)
      const indexer = this.#indexer(grown)
      let { maxTimeMs, maxTimeOffset, head } = from
      while (walk.offset < next) {
        const batch = indexer.take(walk)
        if (batch === null) break
        if (batchMaxTime(batch) > maxTimeMs || walk.position === batch.length) {
          maxTimeMs = batchMaxTime(batch)
          maxTimeOffset = batchBase(batch)
        }
        if (walk.position === batch.length) head ??= headOf(batch)
        if (known === undefined) this.#epochs.begin(batchEpoch(batch), batchBase(batch))
      }
      this.#scannedBytes += walk.position - from.bytes
      this.#end = walk.offset
      if (cut !== undefined) this.#sealed = true
      const marks = { bytes: walk.position, end: walk.offset, maxTimeMs, maxTimeOffset }
      this.#segments[this.#segments.length - 1] = { ...grown, ...marks, ...(head === undefined ? {} : { head }) }
      if (walk.position > from.bytes && (walk.offset > this.#durable || this.#context.epoch === null))
        this.#unsynced.push({ path, from: from.bytes })
      if (walk.problem === null || walk.offset === next) return null
      if (
        cut === undefined &&
        walk.offset >= this.#durable &&
        isRoom(file, walk.position, this.#context.world.disk.roomBytes)
      ) {
        this.#endFile(path, walk.position)
        return null
      }
      return { path, position: walk.position, what: walk.problem }
    } finally {
      file.close()
    }
  }
  /** Of a file that goes on in zeros: see `room.ts`. */
  #endFile(path: string, bytes: number): void {
    try {
      const file = this.#context.world.disk.open(path, 'write')
      try {
        file.truncate(bytes)
      } finally {
        file.close()
      }
    } catch {
      // The next batches are written over them.
    }
  }
  /** What an index file says about bytes that were not durable may be about other bytes: a new salt makes it void. */
  #salted(segment: SegmentState): SegmentState {
    const salts = segment.salts.filter((salt) => salt.from < segment.bytes)
    return { ...segment, salts: [...salts, newSalt(this.#context.world.random, segment.bytes)] }
  }
  /** The index as far as it was saved; kept when nothing of any size is missing between that and the scan. */
  #indexer(segment: SegmentState): Indexer {
    const stem = this.#stem(segment.base)
    const index =
      segment.bytes === 0
        ? new SparseIndex(segment.base, segment.salts)
        : SparseIndex.load(this.#context.world.disk, stem, segment)
    this.#index = segment.bytes - index.lastPosition <= unindexedBytesMax ? index : null
    return new Indexer(index, { intervalBytes: indexIntervalBytes, maxTimeMs: segment.maxTimeMs })
  }
  #checkEnd(): Damage | null {
    if (this.#end >= this.#durable) return null
    const last = this.#segments.at(-1)
    const what = `offsets ${this.#end} to ${this.#durable} are missing`
    return this.#damage({ path: this.#path(last?.base ?? this.#end), position: last?.bytes ?? 0, what })
  }
  #handle(broken: Break): Damage | null {
    if (this.#end < this.#durable) return this.#damage(broken)
    try {
      this.#setTailAside(broken)
      return null
    } catch (error) {
      const what = `a torn tail could not be moved away: ${error instanceof Error ? error.message : String(error)}`
      return this.#damageAt(broken, new Fault('store.failed', { what, path: broken.path }, error))
    }
  }
  #damage(broken: Break): Damage {
    const { path, position, what } = broken
    return this.#damageAt(broken, new Fault('store.damaged', { file: path, position, what }))
  }
  #damageAt({ path, position }: Break, fault: Fault): Damage {
    const last = this.#segments.at(-1)
    const isInLast = last !== undefined && this.#path(last.base) === path
    const place = isInLast
      ? { base: last.base, bytes: Math.min(position, last.bytes), end: last.end }
      : { base: this.#end, bytes: 0, end: this.#end }
    return { at: toOffset(Math.max(this.#end, this.#start)), fault, place }
  }
  /** Later segments first: as long as one is there, the break before it can be found again. */
  #setTailAside(broken: Break): void {
    for (const base of this.#files.filter((each) => each >= this.#end).reverse())
      if (this.#path(base) !== broken.path || broken.position === 0) this.#moveAway(base)
    if (this.#segments.at(-1)?.bytes === 0) this.#segments.pop()
    if (broken.position === 0) return
    const { disk } = this.#context.world
    const bytes = (disk.stat(broken.path)?.size ?? 0) - broken.position
    if (bytes <= 0) return
    const keptAs = tornPath(this.#context, broken.path)
    this.#copyTail(broken.path, broken.position, keptAs)
    const file = disk.open(broken.path, 'write')
    try {
      file.truncate(broken.position)
    } finally {
      file.close()
    }
    if (!this.#unsynced.some(({ path }) => path === broken.path))
      this.#unsynced.push({ path: broken.path, from: broken.position })
    this.#torn.push({ file: broken.path, keptAs, bytes })
  }
  #moveAway(base: number): void {
    const path = this.#path(base)
    const bytes = this.#context.world.disk.stat(path)?.size ?? 0
    const keptAs = setAside(this.#context, path)
    this.#files = this.#files.filter((each) => each !== base)
    if (this.#segments.at(-1)?.base === base) this.#segments.pop()
    this.#torn.push({ file: path, keptAs, bytes })
  }
  #copyTail(path: string, from: number, to: string): void {
    const { disk } = this.#context.world
    const source = disk.open(path, 'read')
    const target = disk.open(to, 'write')
    try {
      const piece = Buffer.allocUnsafeSlow(copyBytes)
      for (let position = from; ;) {
        const count = source.read(piece, position)
        if (count === 0) break
        target.write([piece.subarray(0, count)], position - from)
        position += count
      }
      this.#unsynced.push({ path: to, from: Infinity })
      this.#context.directories.changed(this.#folder)
    } finally {
      source.close()
      target.close()
    }
  }
}

const holds = ({ base, end }: SegmentState, offset: number): boolean => base < offset && offset < end
