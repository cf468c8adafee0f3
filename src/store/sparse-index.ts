/**
 * Where in a segment to begin looking for an offset or a time. One entry per `indexIntervalBytes` of batches. Both files
 * are hints: they count up to the first entry that fails its checksum, and what is missing is made again from the segment.
 * Nothing of them is ever synced; so after a power cut they may hold entries of several moments, and each entry has to be
 * true for itself:
 *
 *   .offsets   offset − base 4 · position 4 · time 8 · CRC-32C 4     a batch with this base offset begins there, and
 *                                                                   no batch before it has a larger time
 *   .times     time 8 · offset − base 4 · position 4 · CRC-32C 4     the same, noted only where the time has grown
 *
 * A checksum covers the segment's base, the salt of that part of the segment and the entry's number as well: an entry of
 * another place, of an earlier file of the same name, or about bytes that a power cut took back is a wrong one.
 */
import { crc32c } from '@node-rs/crc32'
import type { Disk } from '../lib/world.ts'
import { readWhole, readWholeLater } from './small-file.ts'

const entryBytes = 20
/** Entries kept in memory before they are appended to the files. */
const unsavedMax = 512

/** Holds for the bytes of a segment from a position on, up to that of the next one. */
export interface Salt {
  readonly from: number
  readonly salt: number
}
export interface Place {
  readonly offset: number
  readonly position: number
}

export class SparseIndex {
  readonly base: number
  readonly #salts: readonly Salt[]
  readonly #places: Entries
  readonly #times: Entries
  #savedPlaces = 0
  #savedTimes = 0

  constructor(base: number, salts: readonly Salt[]) {
    this.base = base
    this.#salts = salts
    this.#places = new Entries()
    this.#times = new Entries()
  }
  /** Where the last entry points; the start of the segment when there is none. */
  get last(): Place {
    return this.#place(this.#places, this.#places.count - 1)
  }
  get places(): readonly Place[] {
    return this.#places.offsets.map((_, i) => this.#place(this.#places, i))
  }
  get lastPosition(): number {
    return this.#places.positions.at(-1) ?? 0
  }
  /** No batch before the last entry has a larger time. */
  get maxTimeMs(): number {
    return this.#places.times.at(-1) ?? -1
  }
  /** A batch begins here; no batch before it has a time above `maxTimeMs`. Places and times only grow. */
  add(offset: number, position: number, maxTimeMs: number): void {
    if (maxTimeMs > (this.#times.times.at(-1) ?? -1)) this.#times.add(offset, position, maxTimeMs)
    this.#places.add(offset, position, maxTimeMs)
  }
  /** The last known place at or before `offset`. */
  before(offset: number): Place {
    return this.#place(this.#places, lastAtMost(this.#places.offsets, offset))
  }
  /** The last known place before which every batch is older than `timeMs`. */
  beforeTime(timeMs: number): Place {
    return this.#place(this.#times, lastAtMost(this.#times.times, timeMs - 1))
  }
  /** Forgets what points at or behind `bytes`. */
  cut(bytes: number): void {
    this.#places.cut(bytes)
    this.#times.cut(bytes)
    this.#savedPlaces = Math.min(this.#savedPlaces, this.#places.count)
    this.#savedTimes = Math.min(this.#savedTimes, this.#times.count)
  }
  get wantsSave(): boolean {
    return this.#places.count - this.#savedPlaces >= unsavedMax
  }
  get isSaved(): boolean {
    return this.#savedPlaces === this.#places.count
  }
  /** The files are in an unknown state: the next save writes them whole. */
  forgetSaved(): void {
    this.#savedPlaces = this.#savedTimes = 0
  }
  /** Appends what the files do not have yet of what points before `bytes`. `stem`: the segment's path without ending. */
  save(disk: Disk, stem: string, bytes: number): void {
    this.#savedPlaces = this.#saveTo(disk, `${stem}.offsets`, this.#savedPlaces, this.#places, bytes)
    this.#savedTimes = this.#saveTo(disk, `${stem}.times`, this.#savedTimes, this.#times, bytes)
  }
  /** What the files hold, in as far as it is right and points before `bytes`. */
  static load(disk: Disk, stem: string, segment: IndexedPart): SparseIndex {
    const offsets = readWhole(disk, `${stem}.offsets`)
    return SparseIndex.#parse(offsets, readWhole(disk, `${stem}.times`), segment)
  }
  /** The same without blocking the thread. */
  static async loadLater(disk: Disk, stem: string, segment: IndexedPart): Promise<SparseIndex> {
    const offsets = await readWholeLater(disk, `${stem}.offsets`)
    return SparseIndex.#parse(offsets, await readWholeLater(disk, `${stem}.times`), segment)
  }
  static #parse(offsets: Buffer | null, times: Buffer | null, segment: IndexedPart): SparseIndex {
    const index = new SparseIndex(segment.base, segment.salts)
    if (offsets !== null) index.#read(offsets, index.#places, { read: readPlace, bytes: segment.bytes })
    if (times !== null) index.#read(times, index.#times, { read: readTime, bytes: segment.bytes })
    index.#savedPlaces = index.#places.count
    index.#savedTimes = index.#times.count
    return index
  }
  #place(entries: Entries, i: number): Place {
    return i < 0 ? { offset: this.base, position: 0 } : { offset: entries.offsets[i]!, position: entries.positions[i]! }
  }
  /** Writes the entries from `saved` on, drops what the file held behind them, returns the new count of saved ones. */
  #saveTo(disk: Disk, path: string, saved: number, entries: Entries, bytes: number): number {
    const count = lastAtMost(entries.positions, bytes - 1) + 1
    if (count === 0 && disk.stat(path) === null) return 0
    const fill = entries === this.#places ? writePlace : writeTime
    const out = Buffer.alloc((count - saved) * entryBytes)
    for (let i = saved; i < count; i++) {
      const entry = out.subarray((i - saved) * entryBytes, (i - saved + 1) * entryBytes)
      fill(entry, entries.offsets[i]! - this.base, entries.positions[i]!, entries.times[i]!)
      entry.writeUInt32BE(this.#checksum(i, entry, entries.positions[i]!), 16)
    }
    const file = disk.open(path, 'write')
    try {
      if (out.length > 0) file.write([out], saved * entryBytes)
      if (file.size() !== count * entryBytes) file.truncate(count * entryBytes)
    } finally {
      file.close()
    }
    return count
  }
  #read(file: Buffer, into: Entries, { read, bytes }: { read: typeof readPlace; bytes: number }): void {
    for (let at = 0, i = 0; at + entryBytes <= file.length; at += entryBytes, i++) {
      const entry = file.subarray(at, at + entryBytes)
      const { offset, position, timeMs } = read(entry)
      if (position >= bytes || this.#checksum(i, entry, position) !== entry.readUInt32BE(16)) return
      // Entries of several moments need not follow each other.
      if (i > 0 && (position <= into.positions[i - 1]! || timeMs < into.times[i - 1]!)) return
      into.add(this.base + offset, position, timeMs)
    }
  }
  #checksum(i: number, entry: Buffer, position: number): number {
    checked.writeDoubleBE(this.base, 0)
    checked.writeUInt32BE(this.#saltAt(position), 8)
    checked.writeUInt32BE(i, 12)
    entry.copy(checked, 16, 0, 16)
    return crc32c(checked)
  }
  #saltAt(position: number): number {
    for (let i = this.#salts.length - 1; i >= 0; i--) if (this.#salts[i]!.from <= position) return this.#salts[i]!.salt
    return 0
  }
}
interface IndexedPart {
  readonly base: number
  readonly salts: readonly Salt[]
  /** Nothing behind them is taken. */
  readonly bytes: number
}
const checked = Buffer.alloc(32)

/** A column each: an index of a large segment has tens of thousands of entries. */
class Entries {
  readonly offsets: number[] = []
  readonly positions: number[] = []
  readonly times: number[] = []

  get count(): number {
    return this.offsets.length
  }
  add(offset: number, position: number, timeMs: number): void {
    this.offsets.push(offset)
    this.positions.push(position)
    this.times.push(timeMs)
  }
  cut(bytes: number): void {
    const count = lastAtMost(this.positions, bytes - 1) + 1
    this.offsets.length = this.positions.length = this.times.length = count
  }
}

function writePlace(entry: Buffer, offset: number, position: number, timeMs: number): void {
  entry.writeUInt32BE(offset, 0)
  entry.writeUInt32BE(position, 4)
  entry.writeDoubleBE(timeMs, 8)
}
function writeTime(entry: Buffer, offset: number, position: number, timeMs: number): void {
  entry.writeDoubleBE(timeMs, 0)
  entry.writeUInt32BE(offset, 8)
  entry.writeUInt32BE(position, 12)
}
function readPlace(entry: Buffer): { offset: number; position: number; timeMs: number } {
  return { offset: entry.readUInt32BE(0), position: entry.readUInt32BE(4), timeMs: entry.readDoubleBE(8) }
}
function readTime(entry: Buffer): { offset: number; position: number; timeMs: number } {
  return { offset: entry.readUInt32BE(8), position: entry.readUInt32BE(12), timeMs: entry.readDoubleBE(0) }
}

/** The last entry of an ascending list that is at most `value`; −1 = none. */
function lastAtMost(list: readonly number[], value: number): number {
  let low = -1
  let high = list.length - 1
  while (low < high) {
    const middle = (low + high + 1) >> 1
    if (list[middle]! <= value) low = middle
    else high = middle - 1
  }
  return low
}
