/**
 * Where in a segment to begin looking for an offset or a time. One entry per `indexIntervalBytes` of batches. Both files
 * are hints: every entry has its own checksum, an entry that fails it is as if the files were missing, and what is
 * missing is made again from the segment. Nothing of it is ever synced.
 *
 *   .offsets   offset − base 4 · position 4 · CRC-32C 4             a batch with this base offset begins there
 *   .times     time 8 · offset − base 4 · position 4 · CRC-32C 4    no batch before that place has a larger time
 *
 * A checksum covers the segment's base, its salt and the entry's number as well: an entry of another place, or of an
 * earlier file of the same name, is a wrong one.
 */
import { crc32c } from '@node-rs/crc32'
import type { Disk } from '../lib/world.ts'
import { readWhole } from './small-file.ts'

const offsetEntryBytes = 12
const timeEntryBytes = 20
/** Entries kept in memory before they are appended to the files. */
const unsavedMax = 512

export interface Place {
  readonly offset: number
  readonly position: number
}

export class SparseIndex {
  readonly #base: number
  readonly #salt: number
  readonly #offsets: number[] = []
  readonly #positions: number[] = []
  readonly #times: number[] = []
  /** For each time the number of its entry in `offsets` and `positions`. */
  readonly #timeEntries: number[] = []
  #savedOffsets = 0
  #savedTimes = 0

  constructor(base: number, salt: number) {
    this.#base = base
    this.#salt = salt
  }
  /** Where the last entry points; the start of the segment when there is none. */
  get last(): Place {
    return this.#place(this.#offsets.length - 1)
  }
  get lastPosition(): number {
    return this.#positions.at(-1) ?? 0
  }
  /** Of the batches before the last entry, as far as it was noted. */
  get maxTimeMs(): number {
    return this.#times.at(-1) ?? -1
  }
  /** A batch begins here; no batch before it has a time above `maxTimeMs`. Places and times only grow. */
  add(offset: number, position: number, maxTimeMs: number): void {
    if (maxTimeMs > this.maxTimeMs) {
      this.#times.push(maxTimeMs)
      this.#timeEntries.push(this.#offsets.length)
    }
    this.#offsets.push(offset)
    this.#positions.push(position)
  }
  /** The last known place at or before `offset`. */
  before(offset: number): Place {
    return this.#place(lastAtMost(this.#offsets, offset))
  }
  /** The last known place before which every batch is older than `timeMs`. */
  beforeTime(timeMs: number): Place {
    const found = lastAtMost(this.#times, timeMs - 1)
    return this.#place(found < 0 ? -1 : this.#timeEntries[found]!)
  }
  /** Forgets what points at or behind `bytes`. */
  cut(bytes: number): void {
    while (this.#positions.length > 0 && this.#positions.at(-1)! >= bytes) {
      this.#positions.pop()
      this.#offsets.pop()
      if (this.#timeEntries.at(-1) === this.#positions.length) {
        this.#timeEntries.pop()
        this.#times.pop()
      }
    }
    this.#savedOffsets = Math.min(this.#savedOffsets, this.#offsets.length)
    this.#savedTimes = Math.min(this.#savedTimes, this.#times.length)
  }
  get wantsSave(): boolean {
    return this.#offsets.length - this.#savedOffsets >= unsavedMax
  }
  get isSaved(): boolean {
    return this.#savedOffsets === this.#offsets.length
  }
  /** The files are in an unknown state: the next save writes them whole. */
  forgetSaved(): void {
    this.#savedOffsets = this.#savedTimes = 0
  }
  /** Appends what the files do not have yet of what points before `bytes`. `stem`: the segment's path without ending. */
  save(disk: Disk, stem: string, bytes: number): void {
    const count = lastAtMost(this.#positions, bytes - 1) + 1
    this.#savedOffsets = appendEntries(disk, `${stem}.offsets`, {
      entryBytes: offsetEntryBytes,
      saved: this.#savedOffsets,
      count,
      fill: (out, at, i) => this.#fillOffset(out, at, i),
    })
    this.#savedTimes = appendEntries(disk, `${stem}.times`, {
      entryBytes: timeEntryBytes,
      saved: this.#savedTimes,
      count: lastAtMost(this.#timeEntries, count - 1) + 1,
      fill: (out, at, i) => this.#fillTime(out, at, i),
    })
  }
  /** What the files hold, in as far as it points before `bytes`; null when an entry of them is wrong. */
  static load(disk: Disk, stem: string, segment: { base: number; salt: number; bytes: number }): SparseIndex | null {
    const offsets = readWhole(disk, `${stem}.offsets`)
    const times = readWhole(disk, `${stem}.times`)
    if (offsets === null || times === null) return null
    if (offsets.length % offsetEntryBytes !== 0 || times.length % timeEntryBytes !== 0) return null
    const index = new SparseIndex(segment.base, segment.salt)
    if (!index.#readOffsets(offsets) || !index.#readTimes(times)) return null
    index.#savedOffsets = index.#offsets.length
    index.#savedTimes = index.#times.length
    index.cut(segment.bytes)
    return index
  }
  #place(entry: number): Place {
    return entry < 0
      ? { offset: this.#base, position: 0 }
      : { offset: this.#offsets[entry]!, position: this.#positions[entry]! }
  }
  #fillOffset(out: Buffer, at: number, entry: number): void {
    out.writeUInt32BE(this.#offsets[entry]! - this.#base, at)
    out.writeUInt32BE(this.#positions[entry]!, at + 4)
    out.writeUInt32BE(this.#checksum(entry, out.subarray(at, at + 8)), at + 8)
  }
  #fillTime(out: Buffer, at: number, entry: number): void {
    const place = this.#place(this.#timeEntries[entry]!)
    out.writeDoubleBE(this.#times[entry]!, at)
    out.writeUInt32BE(place.offset - this.#base, at + 8)
    out.writeUInt32BE(place.position, at + 12)
    out.writeUInt32BE(this.#checksum(entry, out.subarray(at, at + 16)), at + 16)
  }
  #checksum(entry: number, bytes: Buffer): number {
    checked.writeDoubleBE(this.#base, 0)
    checked.writeUInt32BE(this.#salt, 8)
    checked.writeUInt32BE(entry, 12)
    bytes.copy(checked, 16)
    return crc32c(checked.subarray(0, 16 + bytes.length))
  }
  #readOffsets(bytes: Buffer): boolean {
    for (let at = 0, entry = 0; at < bytes.length; at += offsetEntryBytes, entry++) {
      if (this.#checksum(entry, bytes.subarray(at, at + 8)) !== bytes.readUInt32BE(at + 8)) return false
      this.#offsets.push(this.#base + bytes.readUInt32BE(at))
      this.#positions.push(bytes.readUInt32BE(at + 4))
    }
    return true
  }
  #readTimes(bytes: Buffer): boolean {
    let from = 0
    for (let at = 0, entry = 0; at < bytes.length; at += timeEntryBytes, entry++) {
      if (this.#checksum(entry, bytes.subarray(at, at + 16)) !== bytes.readUInt32BE(at + 16)) return false
      const position = bytes.readUInt32BE(at + 12)
      while (from < this.#positions.length && this.#positions[from]! < position) from++
      // A time whose place is not among the offsets: the two files are not of one moment.
      if (this.#positions[from] !== position) return false
      this.#times.push(bytes.readDoubleBE(at))
      this.#timeEntries.push(from)
    }
    return true
  }
}

const checked = Buffer.alloc(32)

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

interface Entries {
  readonly entryBytes: number
  readonly saved: number
  readonly count: number
  fill(out: Buffer, at: number, entry: number): void
}
/** Writes the entries from `saved` on, drops whatever a file held behind them, and returns the new count of saved ones. */
function appendEntries(disk: Disk, path: string, entries: Entries): number {
  const { entryBytes, saved, count } = entries
  if (count === 0 && disk.stat(path) === null) return 0
  const out = Buffer.alloc((count - saved) * entryBytes)
  for (let i = saved; i < count; i++) entries.fill(out, (i - saved) * entryBytes, i)
  const file = disk.open(path, 'write')
  try {
    if (out.length > 0) file.write([out], saved * entryBytes)
    if (file.size() !== count * entryBytes) file.truncate(count * entryBytes)
  } finally {
    file.close()
  }
  return count
}
