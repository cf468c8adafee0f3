/**
 * A data folder that no process holds, looked at and mended. It is opened as a start would open it, recovery and all; to
 * look only, on a disk that keeps every change in memory.
 *
 * Damage is a range of a segment's bytes that hold no batch which is as written, from the end of the last good one to the
 * beginning of the next: the first place behind it at which a whole batch stands, with a later offset and a checksum that
 * is right. The offsets between the two are lost.
 *
 * To mend a partition is to write each of its damaged segments anew: good batches byte for byte, one without records in the
 * place of what is lost, so that no offset is ever given out twice. The damaged bytes are first copied to
 * `<segment>.damaged`; a segment is only replaced by a durable checkpoint that names the new one. A process that dies
 * before that has changed nothing.
 */
import { Fault } from '../lib/fault.ts'
import type { File, World } from '../lib/world.ts'
import { batchBase, BatchWalk } from './batch-walk.ts'
import { parentOf } from './directories.ts'
import { diskFault } from './disk-fault.ts'
import { Epochs } from './epochs.ts'
import { headIn, isOther, otherFile } from './head.ts'
import type { PartitionState } from './journal.ts'
import { nextBatch } from './next-batch.ts'
import { type Opened, Opening } from './opening.ts'
import type { OpenedPartition } from './partition.ts'
import { Marks, emptyBatch, nothingFrom, spanMax } from './rewritten.ts'
import { scratchDisk } from './scratch-disk.ts'
import { segmentName, segmentsIn, type SegmentState } from './segment.ts'
import { newSalt } from './segments.ts'
import { freeName } from './set-aside.ts'
import { ownerOf, readWhole, unpackSmallFile } from './small-file.ts'
import { SparseIndex } from './sparse-index.ts'

/** Bytes that are not as written, and the offsets that are lost with them: from `from` up to, not with, `to`. */
export interface DamagedRange {
  readonly file: string
  readonly position: number
  /** 0 = they are not there at all. */
  readonly bytes: number
  readonly from: number
  readonly to: number
  readonly what: string
}
export interface GoodBatch {
  readonly file: string
  readonly position: number
  /** A view that the next step may overwrite. */
  readonly batch: Buffer
}
export type Found = { readonly good: GoodBatch } | { readonly damaged: DamagedRange }

/** `keptAs`: where the damaged bytes are now; null = there are none. */
export type Mended = DamagedRange & { readonly keptAs: string | null }
export interface PartitionReport {
  readonly dir: string
  readonly start: number
  readonly end: number
  readonly segments: number
  readonly batches: number
  readonly records: number
  /** Of good batches. */
  readonly bytes: number
  readonly damaged: readonly DamagedRange[]
  /** Small files (log-start, snapshots) that are not what was written. */
  readonly badFiles: readonly string[]
  /** Entries of index files, and how many of them point at no batch. Whatever is wrong with an index, it is made again. */
  readonly indexEntries: number
  readonly badIndexEntries: number
  /** What was set aside: tails that a crash tore, bytes that a repair replaced. */
  readonly setAside: readonly { readonly file: string; readonly bytes: number }[]
}

export interface ExamineOptions {
  readonly world: World
  readonly dir: string
  /** 'look': nothing of the folder is changed. */
  readonly mode: 'look' | 'mend'
}
const copyBytes = 1024 * 1024
const writtenTogether = 1024 * 1024

/** Throws Fault store.locked, store.format-too-new, store.failed. */
export async function examine({ world: real, dir, mode }: ExamineOptions): Promise<Examination> {
  const world = mode === 'look' ? { ...real, disk: scratchDisk(real.disk) } : real
  try {
    const lock = world.disk.lock(`${dir}/lock`)
    try {
      return new Examination(world, await new Opening({ world, dir }, dir, { mendsMeta: true }).open(lock))
    } catch (error) {
      lock.release()
      throw error
    }
  } catch (error) {
    throw diskFault(error, dir)
  }
}

/** A segment as it should be; where its state is not known, as its file is. */
interface Segment {
  readonly state: SegmentState
  readonly file: string
  /** Bytes and offset at which it has to end. */
  readonly bytes: number
  readonly end: number
}

export class Examination {
  readonly #world: World
  readonly #opened: Opened

  constructor(world: World, opened: Opened) {
    this.#world = world
    this.#opened = opened
  }
  /** What opening the folder did, or would do. */
  get recovery(): Opened['recovery'] {
    return this.#opened.recovery
  }
  /** What is wrong with the files of the folder itself, `meta.json` and `synced.log`; opening it to mend it has made them anew. */
  get damagedFiles(): readonly Fault<'store.damaged'>[] {
    const isOfFolder = (fault: Fault): fault is Fault<'store.damaged'> =>
      fault.code === 'store.damaged' && parentOf((fault.facts as { file: string }).file) === this.#opened.dir
    return this.recovery.damaged.filter(isOfFolder)
  }
  partitions(): string[] {
    return [...this.#opened.found.keys()].sort()
  }
  /** Everything of a partition in order, from the start of the segment that holds `from`. */
  *walk(dir: string, from = 0): Generator<Found> {
    const { state } = this.#found(dir)
    const segments = this.#segments(state)
    let end = segments[0]?.state.base ?? state.start
    for (const segment of segments) {
      if (segment.end > from) yield* this.#walkSegment(segment, new Epochs(state.epochs))
      end = segment.end
    }
    if (end < state.end) {
      const file = segments.at(-1)?.file ?? this.#folder(dir)
      const position = segments.at(-1)?.bytes ?? 0
      yield { damaged: { file, position, bytes: 0, from: end, to: state.end, what: 'nothing is there' } }
    }
  }
  check(dir: string): PartitionReport {
    const { state } = this.#found(dir)
    const segments = this.#segments(state)
    const damaged: DamagedRange[] = []
    const pointed = new Map(segments.map((segment) => [segment.file, this.#indexEntries(segment)]))
    const indexEntries = [...pointed.values()].reduce((sum, { size }) => sum + size, 0)
    let [batches, records, bytes] = [0, 0, 0]
    for (const found of this.walk(dir)) {
      if ('damaged' in found) {
        damaged.push(found.damaged)
        continue
      }
      const { file, position, batch } = found.good
      batches++
      records += batch.readInt32BE(57)
      bytes += batch.length
      const entries = pointed.get(file)
      if (entries?.get(position) === batchBase(batch)) entries.delete(position)
    }
    const names = this.#world.disk.list(this.#folder(dir))
    return {
      dir,
      start: state.start,
      end: state.end,
      segments: segments.length,
      batches,
      records,
      bytes,
      damaged,
      badFiles: names.filter((name) => this.#isBadSmallFile(dir, name)),
      indexEntries,
      badIndexEntries: [...pointed.values()].reduce((sum, { size }) => sum + size, 0),
      setAside: names
        .filter((name) => /\.(torn|damaged)(\.\d+)?$/.test(name))
        .map((file) => ({ file, bytes: this.#world.disk.stat(`${this.#folder(dir)}/${file}`)?.size ?? 0 })),
    }
  }
  /** Position → base offset of the batch that is said to begin there. */
  #indexEntries({ state, file }: Segment): Map<number, number> {
    const index = SparseIndex.load(this.#world.disk, file.replace(/\.log$/, ''), state)
    return new Map(index.places.map(({ offset, position }) => [position, offset]))
  }
  #isBadSmallFile(dir: string, name: string): boolean {
    if (name !== 'log-start' && !name.endsWith('.snapshot')) return false
    const packed = readWhole(this.#world.disk, `${this.#folder(dir)}/${name}`)
    return packed === null || unpackSmallFile(packed, ownerOf(this.#folder(dir))) === null
  }

  /** Makes a partition whole but for what is lost. Returns that, and where the damaged bytes are now. Durable. */
  async mend(dir: string): Promise<readonly Mended[]> {
    await this.#setBadFilesAside(dir)
    const found = this.#found(dir)
    const { state } = found
    const segments = this.#segments(state)
    const epochs = new Epochs(state.epochs)
    const kept: Mended[] = []
    const mended: SegmentState[] = []
    const replaced: string[] = []
    for (const [i, segment] of segments.entries()) {
      const isLast = i === segments.length - 1
      const end = isLast ? Math.max(segment.end, state.end) : segment.end
      const ranges: DamagedRange[] = []
      const marks = new Marks(segment.state.base)
      for (const one of this.#walkSegment(segment, epochs))
        if ('damaged' in one) ranges.push(one.damaged)
        else marks.add(one.good.batch)
      if (end > segment.end)
        ranges.push({ ...nothingThere, file: segment.file, position: segment.bytes, from: segment.end, to: end })
      if (ranges.length === 0) {
        mended.push(segment.state.end === segment.end ? segment.state : await this.#whole(segment, marks))
        continue
      }
      for (const range of ranges) kept.push({ ...range, keptAs: await this.#keep(range) })
      mended.push(await this.#rewrite(dir, { ...segment, end }, epochs))
      replaced.push(segment.file.replace(/\.log$/, ''))
    }
    if (kept.length === 0) return kept
    const { start, end, epochs: starts } = state
    const whole: PartitionState = { dir, start, end, epochs: starts, segments: mended, sealed: true }
    this.#opened.found.set(dir, { ...found, state: whole, damage: null, verified: true, index: null })
    await this.#checkpoint(false)
    for (const stem of replaced)
      for (const ending of ['log', 'offsets', 'times']) this.#world.disk.remove(`${stem}.${ending}`)
    this.#opened.directories.changed(this.#folder(dir))
    await this.#opened.directories.sync(this.#folder(dir))
    return kept
  }
  /** As a clean stop leaves it. */
  async close(): Promise<void> {
    const { journal, lock, directories } = this.#opened
    try {
      await directories.syncAll()
      await this.#checkpoint(true)
    } finally {
      journal.close()
      lock.release()
    }
  }

  async #setBadFilesAside(dir: string): Promise<void> {
    const folder = this.#folder(dir)
    const { disk } = this.#world
    const bad = disk.list(folder).filter((name) => this.#isBadSmallFile(dir, name))
    for (const name of bad) disk.rename(`${folder}/${name}`, freeName(this.#world, `${folder}/${name}`, 'damaged'))
    if (bad.length === 0) return
    this.#opened.directories.changed(folder)
    await this.#opened.directories.sync(folder)
  }
  #found(dir: string): OpenedPartition {
    const found = this.#opened.found.get(dir)
    if (found === undefined) throw new Fault('internal', { what: `no partition ${dir}` })
    return found
  }
  #folder(dir: string): string {
    return `${this.#opened.dir}/topics/${dir}`
  }
  #checkpoint(clean: boolean): Promise<void> {
    const partitions = Array.from(this.#opened.found.values(), ({ state }) => state).filter(({ end }) => end > 0)
    return this.#opened.journal.replace(() => ({ clean, epoch: this.#opened.epoch, partitions }))
  }
  /** Those of the state, and behind damage those that only their files tell of. */
  #segments(state: PartitionState): Segment[] {
    const folder = this.#folder(state.dir)
    const states = [...state.segments]
    const isDamaged = state.damaged !== undefined
    if (isDamaged)
      for (const { base, generation } of segmentsIn(this.#world.disk, folder))
        if (generation === 0 && base < state.end && base > (states.at(-1)?.base ?? -1)) states.push(nothingFrom(base))
    const known = state.segments.length
    // The first of them is gone: its offsets are lost like any others.
    const first = states[0]?.base ?? state.end
    const gaps = isDamaged && first > state.start ? 1 : 0
    if (gaps > 0) states.unshift(nothingFrom(state.start))
    return states.map((segment, i) => {
      const file = `${folder}/${segmentName(segment.base, segment.generation)}.log`
      const size = this.#world.disk.stat(file)?.size ?? 0
      const next = states[i + 1]?.base ?? state.end
      // The last one of which something is known ends at the damage, as far as the state knows.
      const isCut = isDamaged && (i < gaps || i >= gaps + Math.max(0, known - 1))
      return { state: segment, file, bytes: isCut ? size : segment.bytes, end: isCut ? next : segment.end }
    })
  }
  *#walkSegment(segment: Segment, epochs: Epochs): Generator<Found> {
    const { file: path, bytes, end } = segment
    const size = this.#world.disk.stat(path)?.size ?? null
    let place = { position: 0, offset: segment.state.base }
    const lost = (to: { position: number; offset: number }, what: string): Found => ({
      damaged: {
        file: path,
        position: place.position,
        bytes: to.position - place.position,
        from: place.offset,
        to: to.offset,
        what,
      },
    })
    if (size === null) {
      if (end > place.offset) yield lost({ position: 0, offset: end }, 'the file is missing')
      return
    }
    const limit = Math.min(size, bytes)
    const file = this.#world.disk.open(path, 'read')
    const epochAt = (offset: number): number => epochs.at(offset)
    try {
      if (isOther(file, segment.state)) {
        yield lost({ position: size, offset: end }, this.#whose(file, segment.state.base))
        return
      }
      while (place.position < limit && place.offset < end) {
        const walk = new BatchWalk(file, { ...place, limit, epochAt })
        // What a cut left behind the end is no part of the log.
        while (walk.offset < end) {
          const batch = walk.next()
          if (batch === null) break
          yield { good: { file: path, position: place.position, batch } }
          place = { position: walk.position, offset: walk.offset }
        }
        if (walk.problem === null) break
        const next = nextBatch(file, { ...place, limit, end, epochAt }) ?? { position: limit, offset: end }
        yield lost(next, walk.problem)
        place = next
      }
      if (place.offset < end) yield lost({ position: limit, offset: end }, `the file ends here, of ${bytes} bytes`)
    } finally {
      file.close()
    }
  }
  /** Whose file it is, if a checkpoint knows of it. */
  #whose(file: File, base: number): string {
    const head = headIn(file, base)
    for (const [dir, { state }] of this.#opened.found)
      for (const one of state.segments)
        if (one.base === base && one.head === head) return `the file begins as that of ${dir} did`
    return otherFile
  }
  /** Copies damaged bytes beside their segment; null when there are none. Durable. */
  async #keep({ file: path, position, bytes }: DamagedRange): Promise<string | null> {
    if (bytes === 0) return null
    const { disk } = this.#world
    const to = freeName(this.#world, path, 'damaged')
    const source = disk.open(path, 'read')
    const target = disk.open(to, 'write')
    try {
      const piece = Buffer.allocUnsafeSlow(Math.min(copyBytes, bytes))
      for (let done = 0; done < bytes;) {
        const count = source.read(piece.subarray(0, Math.min(piece.length, bytes - done)), position + done)
        if (count === 0) break
        target.write([piece.subarray(0, count)], done)
        done += count
      }
      await target.datasync()
    } finally {
      source.close()
      target.close()
    }
    this.#opened.directories.changed(parentOf(to))
    await this.#opened.directories.sync(parentOf(to))
    return to
  }
  /** The segment under its next generation, without what is damaged. Durable, but not named by a checkpoint yet. */
  async #rewrite(dir: string, segment: Segment, epochs: Epochs): Promise<SegmentState> {
    const { disk, random } = this.#world
    const { base, createdMs, generation = 0 } = segment.state
    const path = `${this.#folder(dir)}/${segmentName(base, generation + 1)}.log`
    this.#opened.directories.make(this.#folder(dir))
    disk.remove(path)
    const file = disk.open(path, 'write')
    const marks = new Marks(base)
    let pending: Buffer[] = []
    let pendingBytes = 0
    const flush = (): void => {
      if (pending.length > 0) file.write(pending, marks.bytes - pendingBytes)
      pending = []
      pendingBytes = 0
    }
    const add = (batch: Buffer): void => {
      pending.push(batch)
      pendingBytes += batch.length
      marks.add(batch)
      if (pendingBytes >= writtenTogether) flush()
    }
    const fillTo = (to: number): void => {
      while (marks.end < to) add(emptyBatch(marks.end, Math.min(to, marks.end + spanMax), epochs.at(marks.end)))
    }
    try {
      for (const found of this.#walkSegment(segment, epochs))
        if ('damaged' in found) fillTo(found.damaged.to)
        else add(Buffer.from(found.good.batch))
      fillTo(segment.end)
      flush()
      await file.datasync()
    } finally {
      file.close()
    }
    this.#opened.directories.changed(parentOf(path))
    await this.#opened.directories.sync(parentOf(path))
    return { base, createdMs, generation: generation + 1, salts: [newSalt(random, 0)], ...marks.state }
  }
  /** A segment behind damage, of which nobody has noted what it holds. */
  async #whole({ state, file: path }: Segment, marks: Marks): Promise<SegmentState> {
    const { disk, random } = this.#world
    const file = disk.open(path, 'write')
    try {
      await file.datasync()
    } finally {
      file.close()
    }
    const createdMs = disk.stat(path)?.modifiedMs ?? 0
    return { base: state.base, createdMs, salts: [newSalt(random, 0)], ...marks.state }
  }
}

const nothingThere = { bytes: 0, what: 'nothing is there' }
