/**
 * Rows of state that memory has no room for, in files. What goes is all rows that are in memory of a key which was not asked for lately;
 * what comes back is all of a key, when it is asked for. The files are no copy to start from: the changelog is. They are
 * emptied at every start.
 *
 * A piece is written once and read once, behind a checksum: the place of the piece before it of the same key (float64), how long
 * that is, and how many rows follow (uint32 each), then the rows as the table writes them. Its place is kept by the operator's
 * number of the key. When most of the bytes in the files are dead, what is left is written anew. What the disk refuses, or gives
 * back otherwise, is a passing fault: the view starts again from its changelog.
 *
 * While state is restored, rows and removals of a key may come although older rows of it have gone. When those come back,
 * what is in memory counts, and later pieces before earlier ones (`isMixed`).
 */
import { crc32c } from '@node-rs/crc32'
import { ByteReader, ByteWriter } from '../lib/bytes.ts'
import { Fault } from '../lib/fault.ts'
import type { Disk, File } from '../lib/world.ts'
import { diskFault } from '../store/disk-fault.ts'
import type { KeyIndex } from './key-index.ts'
import type { StateTable } from './state.ts'

/** Files are not written anew for less than half of one. */
const fileBytesDefault = 64 << 20
const none = -1
/** Before each piece. */
const checksumBytes = 4

export interface SpillOptions {
  readonly disk: Disk
  readonly folder: string
  readonly fileBytes?: number
}
/** Pieces of one task. Addresses are numbers of bytes from the beginning of the first file. */
export class SpillFiles {
  private readonly disk: Disk
  private readonly folder: string
  private files: File[] = []
  /** First one that still exists. */
  private firstFile = 0
  private end = 0
  private dead = 0
  private live = 0
  /** Bytes that came back so far. */
  readBytes = 0
  private readonly owners = new Set<{ writeAnew(): void }>()

  private readonly fileBytes: number

  constructor({ disk, folder, fileBytes = fileBytesDefault }: SpillOptions) {
    this.disk = disk
    this.folder = folder
    this.fileBytes = fileBytes
    this.tryToRemove(folder)
  }
  /** What is left lies there in vain, until the next start. */
  private tryToRemove(path: string): void {
    try {
      this.disk.remove(path)
    } catch (error) {
      if (!(diskFault(error, path) instanceof Fault)) throw error
    }
  }
  add(owner: { writeAnew(): void }): void {
    this.owners.add(owner)
  }
  /** Bytes on disk that stand for rows. */
  get bytes(): number {
    return this.live
  }
  /** Gives its address. A piece never lies in two files. Throws Fault store.failed. */
  write(bytes: Uint8Array): number {
    const { fileBytes } = this
    const length = checksumBytes + bytes.length
    const left = fileBytes - (this.end % fileBytes)
    if (length > left && this.end % fileBytes !== 0) this.end += left
    const at = this.end
    const number = Math.floor(at / fileBytes)
    const checksum = Buffer.allocUnsafe(checksumBytes)
    checksum.writeUInt32BE(crc32c(bytes))
    this.onDisk(number, () => this.fileOf(number).write([checksum, bytes], at % fileBytes))
    // What is longer than a file goes on behind its end: the addresses up to there are its own.
    this.end = at + length
    this.live += bytes.length
    return at
  }
  /** All of a piece. Throws Fault store.failed, also where it is not what was written. */
  read(at: number, length: number): Buffer {
    const whole = Buffer.allocUnsafe(checksumBytes + length)
    const { fileBytes } = this
    const number = Math.floor(at / fileBytes)
    const count = this.onDisk(number, () => this.fileOf(number).read(whole, at % fileBytes))
    this.readBytes += length
    const bytes = whole.subarray(checksumBytes)
    if (count === whole.length && whole.readUInt32BE() === crc32c(bytes)) return bytes
    const what = `a piece of state at byte ${at % fileBytes} is not what was written`
    throw new Fault('store.failed', { what, path: this.pathOf(number) })
  }
  private onDisk<T>(number: number, work: () => T): T {
    try {
      return work()
    } catch (error) {
      throw diskFault(error, this.pathOf(number))
    }
  }
  free(length: number): void {
    this.live -= length
    this.dead += length
  }
  /** Between ticks: writes what is alive anew where most is dead. */
  compact(): void {
    if (this.dead * 2 < this.fileBytes || this.dead < this.live) return
    const old = this.files.length
    this.end = old * this.fileBytes
    this.live = 0
    this.dead = 0
    for (const owner of this.owners) owner.writeAnew()
    for (let n = this.firstFile; n < old; n++) this.drop(n)
    this.firstFile = old
  }
  clear(): void {
    for (let n = this.firstFile; n < this.files.length; n++) this.drop(n)
    this.files = []
    this.firstFile = 0
    this.end = 0
    this.dead = 0
    this.live = 0
  }
  private fileOf(number: number): File {
    const known = this.files[number]
    if (known !== undefined) return known
    this.disk.makeDirectory(this.folder)
    while (this.files.length <= number) this.files.push(this.disk.open(this.pathOf(this.files.length), 'write'))
    return this.files[number]!
  }
  private drop(number: number): void {
    this.files[number]!.close()
    this.tryToRemove(this.pathOf(number))
  }
  private readonly pathOf = (number: number): string => `${this.folder}/${number}`
}

interface Piece {
  readonly at: number
  readonly length: number
}
/** What one holds; the reader stands before its first row. */
interface Held {
  readonly piece: Piece
  readonly input: ByteReader
  readonly count: number
}
let out = new ByteWriter()
const keptBytes = 1 << 20

/** Of one table: which keys have rows in the files. Keys are known by the operator's numbers of them. */
export class TableSpill {
  /** Rows in the files. */
  rows = 0
  private readonly files: SpillFiles
  /** By key: where its newest piece lies; −1 = it has none. */
  private at = new Float64Array(16).fill(none)
  private length = new Float64Array(16)
  /** By key: asked for since the hand came by. */
  private used = new Uint8Array(16)
  private hand = 0
  /** Pieces that this tick took back. */
  private taken: Piece[] = []
  /** Rows came or went of keys that are not in memory. */
  private isMixed = false
  /** Keys of rows that are removed and may still lie in the files. */
  private readonly removed = new Set<string>()

  constructor(files: SpillFiles) {
    this.files = files
    files.add(this)
  }
  isAway(entry: number): boolean {
    return entry < this.at.length && this.at[entry] !== none
  }
  /** Whoever was used is not the first to go. */
  use(entry: number): void {
    if (entry >= this.used.length) this.grow(entry)
    this.used[entry] = 1
  }
  /** The next key that was not used lately, of `count` of which the hand is to look at two rounds at most; −1: none. */
  *unused(count: number): IterableIterator<number> {
    for (let looked = 0; looked < count * 2; looked++) {
      if (this.hand >= count) this.hand = 0
      const entry = this.hand++
      if (entry < this.used.length && this.used[entry] === 1) this.used[entry] = 0
      else yield entry
    }
  }

  /** Writes rows of a key and takes them out of the table. Only between ticks. Throws Fault store.failed; the rows are then still there. */
  put(table: StateTable, entry: number, ids: readonly number[]): void {
    if (entry >= this.at.length) this.grow(entry)
    beginPiece({ at: this.at[entry]!, length: this.length[entry]! }, ids.length)
    for (const id of ids) {
      table.writeWhole(out, id)
      if (this.removed.size > 0) this.removed.delete(nameOf(table.keyOf(id)))
    }
    this.at[entry] = this.files.write(out.buffer.subarray(0, out.at))
    this.length[entry] = out.at
    for (const id of ids) table.evict(id)
    this.rows += ids.length
    if (out.buffer.length > keptBytes) out = new ByteWriter()
  }
  /** Brings all rows of a key back into the table. Throws Fault store.failed. */
  take(table: StateTable, entry: number): number[] {
    const ids: number[] = []
    for (const held of this.pieces(entry)) {
      this.takeRows(table, held, ids)
      this.taken.push(held.piece)
    }
    this.at[entry] = none
    this.use(entry)
    return ids
  }
  /** The newest first. */
  private *pieces(entry: number): IterableIterator<Held> {
    let piece: Piece = { at: this.at[entry]!, length: this.length[entry]! }
    while (piece.at !== none) {
      const held = this.open(piece)
      piece = held.before
      yield held
    }
  }
  private open(piece: Piece): Held & { readonly before: Piece } {
    const input = new ByteReader(this.files.read(piece.at, piece.length))
    const before = { at: input.float64(), length: input.uint32() }
    return { piece, before, count: input.uint32(), input }
  }
  private takeRows(table: StateTable, { input, count }: Held, ids: number[]): void {
    for (let n = 0; n < count; n++) {
      const stateKeyLength = input.uvarint()
      const key = input.raw(input.uvarint())
      const row = input.raw(input.uint32())
      const timeMs = table.ages === null ? null : input.float64()
      const isOld = this.isMixed && (this.removed.has(nameOf(key)) || table.findKey(key) >= 0)
      if (!isOld) ids.push(table.takeBack(key, stateKeyLength, row, timeMs))
    }
    this.rows -= count
  }

  // Of the table, in the course of ticks.

  commit(): void {
    if (this.taken.length === 0) return
    for (const { length } of this.taken) this.files.free(length)
    this.taken = []
    if (this.rows > 0) return
    this.isMixed = false
    this.removed.clear()
  }
  /** After the table went back: what was taken is taken again, and stays. */
  undo(table: StateTable): void {
    const { taken } = this
    for (const piece of taken) {
      const held = this.open(piece)
      this.rows += held.count
      this.takeRows(table, held, [])
    }
    this.commit()
  }
  clear(): void {
    this.at.fill(none)
    this.used.fill(0)
    this.rows = 0
    this.taken = []
    this.isMixed = false
    this.removed.clear()
    this.files.clear()
  }
  /** The changelog gave a row, or the removal of one, of a key that may have rows in the files. */
  restored(key: Uint8Array, isRemoval: boolean): void {
    if (this.rows === 0) return
    this.isMixed = true
    if (isRemoval) this.removed.add(nameOf(key))
    else this.removed.delete(nameOf(key))
  }
  /** For `SpillFiles.compact`. The pieces of a key stay as they are but for where they lie. */
  writeAnew(): void {
    for (let entry = 0; entry < this.at.length; entry++) {
      if (this.at[entry] === none) continue
      let before: Piece = { at: none, length: 0 }
      for (const { input, count } of [...this.pieces(entry)].toReversed()) {
        beginPiece(before, count)
        out.raw(input.raw(input.left))
        before = { at: this.files.write(out.buffer.subarray(0, out.at)), length: out.at }
      }
      this.at[entry] = before.at
      this.length[entry] = before.length
    }
    if (out.buffer.length > keptBytes) out = new ByteWriter()
  }
  private grow(entry: number): void {
    const size = Math.max(entry + 1, this.at.length * 2)
    const at = new Float64Array(size).fill(none)
    at.set(this.at)
    this.at = at
    const length = new Float64Array(size)
    length.set(this.length)
    this.length = length
    const used = new Uint8Array(size)
    used.set(this.used)
    this.used = used
  }
}
const nameOf = (key: Uint8Array): string => Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
function beginPiece(before: Piece, count: number): void {
  out.at = 0
  out.float64(before.at)
  out.int32(before.at === none ? 0 : before.length)
  out.int32(count)
}

/** For `Operator.rebuild`: keys of which rows are in files keep their numbers, the others go. */
export function keepAway(index: KeyIndex, { spill }: StateTable): void {
  if (spill === null || spill.rows === 0) index.clear()
  else index.keepOnly((entry) => spill.isAway(entry))
}
/**
 * Moves rows of keys that were not used lately to files until so many bytes are gone. `rowsOf` gives the rows of a key that
 * are in memory, and forgets them.
 */
export function evictKeys(
  table: StateTable,
  index: KeyIndex,
  bytes: number,
  rowsOf: (entry: number) => readonly number[],
): void {
  const { spill } = table
  if (spill === null) return
  const goal = table.usedBytes - bytes
  for (const entry of spill.unused(index.end)) {
    if (table.usedBytes <= goal) break
    if (!index.has(entry)) continue
    const ids = rowsOf(entry)
    if (ids.length > 0) spill.put(table, entry, ids)
  }
  table.shrink()
}
