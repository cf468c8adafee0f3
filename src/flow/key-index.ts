/**
 * Which rows have equal keys: key columns of a batch's row lead to a dense number, an entry, from which an operator finds
 * what it keeps. Derived: rebuilt from the tables, known to no changelog.
 *
 * A key that is all numbers is held as those numbers and compared as such; any other (a text, a NULL, NaN, an integer
 * beyond 2^53) as its encoding (`key.ts`). Which form a key has depends on its values alone, so equal keys have the same. The
 * last bit of a hash says which it is.
 *
 * A place of the index holds entry + 1 (0 = it is free) and the hash, side by side: in a large index nearly each look at
 * another array is one at memory that is in no cache.
 */
import { copyBytes } from '../lib/bytes.ts'
import { drop, instead } from '../lib/free.ts'
import type { DataType } from '../schema/types.ts'
import type { Column } from './batch.ts'
import { KeyWriter, hashKey, keyEncoder, mixEnd, mixWord } from './key.ts'
import { canonical, storageOf } from './memory.ts'

const minEntries = 16
/** Length of the encoding of a key that is numbers. */
const isNumbers = -1
const isFree = -2
/** Of less, most is in the caches anyhow. */
const largeSlots = 1 << 17

export class KeyIndex {
  /** Entries that exist. */
  count = 0
  /** Entries are below this: arrays beside the index are at least this long. */
  capacity = minEntries
  /** Whether the last `add` made an entry. */
  isNew = false
  private readonly width: number
  private readonly mayBeNumbers: boolean
  private readonly encode
  private readonly writer = new KeyWriter()

  private slots = new Int32Array(minEntries * 2 * 2)
  private hashes = new Int32Array(minEntries)
  private numbers: Float64Array<ArrayBuffer>
  private from = new Float64Array(minEntries)
  private length = new Int32Array(minEntries).fill(isFree)
  private arena: Buffer = Buffer.allocUnsafeSlow(64)
  private arenaUsed = 0
  private arenaDead = 0
  private used = 0
  private free: number[] = []

  private source: { readonly columns: readonly Column[] } = { columns: [] }
  /** The columns' numbers, where all are such; and which are NULL. */
  private data: readonly Float64Array[] | null = null
  private valid: readonly (Uint8Array | null)[] = []
  private readonly key: Float64Array
  private hash = 0

  constructor(types: readonly DataType[]) {
    this.width = types.length
    this.mayBeNumbers = types.every((type) => storageOf(type) === 'f64')
    this.encode = keyEncoder(types.map((type, column) => ({ column, type })))
    this.numbers = new Float64Array(minEntries * this.width)
    this.key = new Float64Array(this.width)
  }
  /** Columns of the rows that `find` and `add` ask about from now on, one per part of the key. */
  use(columns: readonly Column[]): void {
    this.source = { columns }
    const data: Float64Array[] = []
    for (const column of columns) if (column.kind === 'f64') data.push(column.data)
    this.valid = columns.map(({ valid }) => valid)
    this.data = this.mayBeNumbers && data.length === this.width ? data : null
  }
  /**
   * Looks at the places of all rows' keys: in a large index each look waits for memory, and here many wait at once, because
   * none needs what another finds. Then `find` and `add` find them near. Gives entry + 1 for each row, about: another key may
   * lie where it looked, and 0 is none. null: the index is small.
   */
  bringNear(count: number): Int32Array | null {
    const { data, slots, numbers, width } = this
    if (data === null || slots.length < largeSlots) return null
    if (this.near.length < count) this.near = new Int32Array(Math.max(count, this.near.length * 2))
    const { near } = this
    const mask = slots.length - 1
    near.fill(width, 0, count)
    for (let p = 0; p < width; p++) {
      const column = data[p]!
      for (let row = 0; row < count; row++) near[row] = mixNumber(near[row]!, column[row]! + 0)
    }
    for (let row = 0; row < count; row++) near[row] = slots[(mixEnd(near[row]!) | 1) & mask & ~1]!
    let sum = 0
    for (let row = 0; row < count; row++) sum += numbers[Math.max(0, near[row]! - 1) * width]!
    this.seen = sum
    return near
  }
  private near = new Int32Array(0)
  /** What was looked at; so that the looking is not left out. */
  seen = 0
  /** The entry of the row's key; −1 = none. */
  find(row: number): number {
    return this.load(row) ? this.findNumbers() : this.findBytes()
  }
  /** The same; makes one where there is none. */
  add(row: number): number {
    const asNumbers = this.load(row)
    const found = asNumbers ? this.findNumbers() : this.findBytes()
    this.isNew = found < 0
    return found >= 0 ? found : this.insert(asNumbers)
  }
  remove(entry: number): void {
    this.unlink(entry)
    if (this.length[entry]! > 0) this.arenaDead += this.length[entry]!
    this.length[entry] = isFree
    this.free.push(entry)
    this.count--
    if (this.arenaDead > 65_536 && this.arenaDead * 2 > this.arenaUsed) this.compact()
  }
  /** All but those entries go; their numbers stay what they are. */
  keepOnly(isKept: (entry: number) => boolean): void {
    for (let entry = 0; entry < this.used; entry++)
      if (this.length[entry] !== isFree && !isKept(entry)) this.remove(entry)
  }
  /** Numbers of entries are below this. */
  get end(): number {
    return this.used
  }
  has(entry: number): boolean {
    return entry < this.used && this.length[entry] !== isFree
  }
  clear(): void {
    this.count = 0
    this.used = 0
    this.free = []
    this.slots.fill(0)
    this.length.fill(isFree)
    this.arenaUsed = 0
    this.arenaDead = 0
  }
  get bytes(): number {
    return this.slots.byteLength + this.capacity * 16 + this.numbers.byteLength + this.arena.length
  }

  /** Makes the row's key the one asked for; false: it is in the writer, as bytes. */
  private load(row: number): boolean {
    const { data, key, width, valid } = this
    if (data === null) return this.loadSlowly(row)
    let hash = width
    for (let p = 0; p < width; p++) {
      const known = valid[p]!
      if (known !== null && known[row] === 0) return this.loadBytes(row)
      // −0 is 0.
      const number = data[p]![row]! + 0
      if (number !== number) return this.loadBytes(row)
      key[p] = number
      hash = mixNumber(hash, number)
    }
    this.hash = mixEnd(hash) | 1
    return true
  }
  private loadSlowly(row: number): boolean {
    if (!this.mayBeNumbers) return this.loadBytes(row)
    let hash = this.width
    for (let p = 0; p < this.width; p++) {
      const number = numberAt(this.source.columns[p]!, row)
      if (number !== number) return this.loadBytes(row)
      this.key[p] = number
      hash = mixNumber(hash, number)
    }
    this.hash = mixEnd(hash) | 1
    return true
  }
  private loadBytes(row: number): false {
    const { writer } = this
    writer.length = 0
    this.encode(writer, this.source, row)
    this.hash = hashKey(writer.bytes, 0, writer.length) & ~1
    return false
  }
  private findNumbers(): number {
    const { slots, hash, numbers, key, width } = this
    const mask = slots.length - 1
    probing: for (let slot = hash & mask & ~1; ; slot = (slot + 2) & mask) {
      const entry = slots[slot]! - 1
      if (entry < 0) return -1
      if (slots[slot + 1] !== hash) continue
      for (let p = 0, at = entry * width; p < width; p++) if (numbers[at + p] !== key[p]) continue probing
      return entry
    }
  }
  private findBytes(): number {
    const { slots, hash, arena } = this
    const { bytes, length } = this.writer
    const mask = slots.length - 1
    probing: for (let slot = hash & mask & ~1; ; slot = (slot + 2) & mask) {
      const entry = slots[slot]! - 1
      if (entry < 0) return -1
      if (slots[slot + 1] !== hash || this.length[entry] !== length) continue
      const from = this.from[entry]!
      for (let i = 0; i < length; i++) if (arena[from + i] !== bytes[i]) continue probing
      return entry
    }
  }
  private insert(asNumbers: boolean): number {
    const entry = this.free.length > 0 ? this.free.pop()! : this.used++
    if (entry >= this.capacity) this.growEntries()
    this.hashes[entry] = this.hash
    if (asNumbers) {
      this.length[entry] = isNumbers
      for (let p = 0, at = entry * this.width; p < this.width; p++) this.numbers[at + p] = this.key[p]!
    } else {
      const { bytes, length } = this.writer
      if (this.arenaUsed + length > this.arena.length) this.growArena(length)
      copyBytes(bytes, 0, length, this.arena, this.arenaUsed)
      this.from[entry] = this.arenaUsed
      this.length[entry] = length
      this.arenaUsed += length
    }
    this.count++
    if (this.count * 4 > this.slots.length) this.growSlots()
    else this.place(entry)
    return entry
  }
  private place(entry: number): void {
    const { slots } = this
    const mask = slots.length - 1
    const hash = this.hashes[entry]!
    let slot = hash & mask & ~1
    while (slots[slot] !== 0) slot = (slot + 2) & mask
    slots[slot] = entry + 1
    slots[slot + 1] = hash
  }
  private unlink(entry: number): void {
    const { slots, hashes } = this
    const mask = slots.length - 1
    let hole = hashes[entry]! & mask & ~1
    while (slots[hole] !== entry + 1) hole = (hole + 2) & mask
    for (let slot = (hole + 2) & mask; slots[slot] !== 0; slot = (slot + 2) & mask) {
      const home = slots[slot + 1]! & mask & ~1
      // Move back whatever probing would no longer find across the hole.
      if (((slot - home) & mask) >= ((slot - hole) & mask)) {
        slots[hole] = slots[slot]!
        slots[hole + 1] = slots[slot + 1]!
        hole = slot
      }
    }
    slots[hole] = 0
  }
  private growEntries(): void {
    this.capacity *= 2
    const { capacity } = this
    this.hashes = longerInts(this.hashes, capacity)
    const length = new Int32Array(capacity).fill(isFree)
    this.length = instead(length, this.length)
    this.from = instead(new Float64Array(capacity), this.from)
    this.numbers = instead(new Float64Array(capacity * this.width), this.numbers)
  }
  private growSlots(): void {
    const { slots } = this
    this.slots = new Int32Array(slots.length * 2)
    drop(slots)
    for (let entry = 0; entry < this.used; entry++) if (this.length[entry] !== isFree) this.place(entry)
  }
  private growArena(needed: number): void {
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.arena.length * 2, this.arenaUsed + needed))
    this.arena.copy(bigger, 0, 0, this.arenaUsed)
    drop(this.arena)
    this.arena = bigger
  }
  private compact(): void {
    const compacted = Buffer.allocUnsafeSlow(Math.max(64, this.arenaUsed - this.arenaDead) * 2)
    let at = 0
    for (let entry = 0; entry < this.used; entry++) {
      const length = this.length[entry]!
      if (length < 0) continue
      this.arena.copy(compacted, at, this.from[entry], this.from[entry]! + length)
      this.from[entry] = at
      at += length
    }
    drop(this.arena)
    this.arena = compacted
    this.arenaUsed = at
    this.arenaDead = 0
  }
}

const scratch = new Float64Array(1)
const words = new Int32Array(scratch.buffer)
function mixNumber(hash: number, number: number): number {
  const whole = number | 0
  if (whole === number) return mixWord(hash, whole)
  scratch[0] = number
  return mixWord(mixWord(hash, words[0]!), words[1]!)
}
/** NaN: not held as a number. */
function numberAt(column: Column, row: number): number {
  if (column.valid !== null && column.valid[row] === 0) return NaN
  if (column.kind === 'f64') return column.data[row]! + 0
  if (column.kind === 'bytes') return NaN
  const value = column.kind === 'i64' ? canonical(column.data[row]!) : column.data[row]
  return typeof value === 'number' ? value + 0 : NaN
}
/** At least as long as asked, with room to grow; in the place of the array given. */
export function longerInts(array: Int32Array, length: number): Int32Array<ArrayBuffer> {
  return instead(new Int32Array(Math.max(length, array.length * 2)), array)
}
