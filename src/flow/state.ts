/**
 * State tables: rows by encoded key, in memory. A key is a state key (what the operator groups by) and, for lists, a row
 * key behind it. Keys lead to dense ids by open addressing (linear probing, backward-shift deletion); a row is `numbers`
 * float64 fields in one interleaved array, `values` fields that hold values of any form, replaced but never changed, and,
 * where the table has them, bytes in pages.
 *
 * A tick's changes can be undone and listed. Before the first change of a row in a tick `touch` (or `add`, `remove`)
 * keeps what it was. `commit` forgets that, `undo` goes back to it, `changes` gives the new value of every key that
 * differs, for the changelog. Ids freed in a tick are not used again before it ends; ids mean nothing outside a process.
 *
 * A table that says `found: 'elsewhere'` is one whose operator finds rows by itself: the index is made when it is asked
 * for, by `find` or by `restore`, and given up by `settle`.
 * Long because index, rows and ticks change the same arrays: apart, each would reach into the others.
 */
import { assert } from '../lib/assert.ts'
import { ByteReader, ByteWriter, Copier } from '../lib/bytes.ts'
import { Fault } from '../lib/fault.ts'
import { drop, instead } from '../lib/free.ts'
import type { Value } from './expression.ts'
import { hashKey, type KeyWriter, slotOf } from './key.ts'
import type { TableSpill } from './spill.ts'
import type { RunSpill, RunsSpec } from './spill-runs.ts'
import { Pages, placeOf } from './state-pages.ts'
import type { RowAges } from './state-ages.ts'
import { UndoLog } from './state-undo.ts'
import { readRowNumber, readValue, writeRowNumbers, writeValue } from './value-codec.ts'

export interface TableSpec {
  /** Unique within its operator; shown to people. */
  readonly name: string
  readonly numbers: number
  readonly values: number
  /** The number field that holds where the row's bytes lie; the next one holds how many they are. Absent or −1 = none. */
  readonly bytesAt?: number
  readonly found?: 'elsewhere'
  /** Its operator can do without rows in memory (`Operator.evict`). */
  readonly spills?: boolean
  /** The same, by the keys of rows alone. */
  readonly runs?: RunsSpec
}
/** The new value of a key; null = gone. `key`: length of the state key, state key, row key. */
export interface StateChange {
  readonly slot: number
  readonly key: Buffer
  readonly value: Buffer | null
}

/** Takes changes, one after the other: they are written where they are to stay. */
export interface ChangesTo {
  /** Where a key of so many bytes is to be written, before anything else is asked. */
  key(slot: number, length: number): ByteWriter
  /** Where its value is to be written; not asked for where the key is gone. */
  value(): ByteWriter
  /** `replaces`: the key was there before. */
  end(replaces: boolean): void
}
/** Changes as values. */
export class ChangeList implements ChangesTo {
  readonly changes: StateChange[] = []
  private readonly out = new ByteWriter()
  private slot = 0
  /** −1: there is no value. */
  private middle = -1

  key(slot: number): ByteWriter {
    this.slot = slot
    this.out.at = 0
    this.middle = -1
    return this.out
  }
  value(): ByteWriter {
    this.middle = this.out.at
    return this.out
  }
  end(): void {
    const { slot, middle } = this
    const bytes = this.out.done()
    const key = Buffer.from(middle < 0 ? bytes : bytes.subarray(0, middle))
    this.changes.push({ slot, key, value: middle < 0 ? null : Buffer.from(bytes.subarray(middle)) })
  }
}

const minSlots = 64
/** Of a row, in the arrays of the table and of its operator. */
const besideBytes = 64
// What an id is. Of a row that another took the place of, key for key, the changelog says nothing.
const free = 0
const live = 1
const gone = 2
const replaced = 3
const compactBytesMin = 65_536
const comparedHere = 24
const noPrefix = Buffer.alloc(0)

export class StateTable {
  readonly spec: TableSpec
  /** Rows that are in memory. */
  count = 0
  /** Row id, field f: `numbers[id * spec.numbers + f]`. Growing replaces the array. */
  numbers: Float64Array
  /** Row id, field f: `values[id * spec.values + f]`. */
  values: Value[] = []
  /** Bytes of rows. */
  pages = new Pages()
  /** Where rows are that memory has no room for; null: all are here. */
  spill: TableSpill | null = null
  /** The same of a table that says `runs`. */
  runs: RunSpill | null = null
  /** When rows were written last; null: they are kept however old they are. */
  ages: RowAges | null = null

  private readonly bytesAt: number
  /** null: not kept. Id + 1 by hash, 0 where there is none. */
  private index: Int32Array | null
  private hashes = new Int32Array(minSlots)
  private keyFrom = new Float64Array(minSlots)
  private keyLength = new Int32Array(minSlots)
  /** Length of the state key within the key. */
  private prefix = new Int32Array(minSlots)
  private standing = new Uint8Array(minSlots)
  private arena: Buffer = Buffer.allocUnsafeSlow(1024)
  private arenaUsed = 0
  private arenaDead = 0
  private ids = 0
  private readonly free: number[] = []
  private freedInTick: number[] = []
  /** Rows that came back from files in this tick. */
  private back: number[] = []
  private readonly log: UndoLog
  private readonly keyIn = new Copier()
  private readonly keyOut = new Copier()
  private readonly toKey = new Copier()
  private readonly rowOut = new Copier()

  constructor(spec: TableSpec) {
    this.spec = spec
    this.bytesAt = spec.bytesAt ?? -1
    this.index = spec.found === 'elsewhere' ? null : new Int32Array(minSlots)
    this.numbers = new Float64Array(minSlots * spec.numbers)
    this.log = new UndoLog(spec)
  }

  /** Id of the key, or −1. */
  find(key: KeyWriter): number {
    return this.findBytes(key.bytes, key.length, hashKey(key.bytes, 0, key.length))
  }
  /** The same by the bytes of a key. */
  findKey(key: Uint8Array): number {
    return this.findBytes(key, key.length, hashKey(key, 0, key.length))
  }
  /**
   * A new row, all zero and null, for a key that is not there. `stateKeyLength` bytes of the key are the state key
   * (default: all of it).
   */
  add(key: KeyWriter, stateKeyLength = key.length): number {
    const id = this.insert(key.bytes, key.length, stateKeyLength)
    this.log.addNew(id)
    this.ages?.wrote(id)
    return id
  }
  /**
   * A new row, all zero and null, in the place of one whose key it takes over; the old one stays readable, as if removed.
   * Within the tick the new row may be replaced again, but not removed.
   */
  replace(old: number): number {
    this.touch(old)
    const id = this.newId()
    this.keyFrom[id] = this.keyFrom[old]!
    this.keyLength[id] = this.keyLength[old]!
    this.prefix[id] = this.prefix[old]!
    this.hashes[id] = this.hashes[old]!
    this.clearFields(id)
    this.standing[id] = live
    if (this.index !== null) this.index[this.positionOf(this.index, old)] = id + 1
    this.standing[old] = replaced
    this.freedInTick.push(old)
    this.log.addNew(id, true)
    this.ages?.wrote(id)
    return id
  }
  /** Call before changing a row's fields. */
  touch(id: number): void {
    if (this.log.has(id)) return
    this.log.addCopy(id, this.numbers, this.values)
    this.ages?.wrote(id)
  }
  /** Rows that were not written for so long; each is told once. */
  takeOld(): readonly number[] {
    return this.ages?.takeOld((id) => this.standing[id] === live) ?? []
  }
  isOld(id: number): boolean {
    return this.ages !== null && this.ages.isOld(this.ages.timeOf(id))
  }
  /** Changed or added in this tick. */
  isTouched(id: number): boolean {
    return this.log.has(id)
  }
  remove(id: number): void {
    assert(this.standing[id] === live && !this.log.tookOver(id), 'a row that exists and has its own key')
    this.touch(id)
    this.unlink(id)
    this.standing[id] = gone
    this.count--
    this.freedInTick.push(id)
  }
  /** Ids of all rows, in no order that means anything. Removing the row just given is allowed. */
  *all(): IterableIterator<number> {
    for (let id = 0; id < this.ids; id++) if (this.standing[id] === live) yield id
  }
  /** The key's bytes; valid until the next change of the table. */
  keyOf(id: number): Buffer {
    const from = this.keyFrom[id]!
    return this.arena.subarray(from, from + this.keyLength[id]!)
  }
  stateKeyOf(id: number): Buffer {
    const from = this.keyFrom[id]!
    return this.arena.subarray(from, from + this.prefix[id]!)
  }
  /** Puts the key's bytes into a writer, behind what it holds. */
  writeKeyOf(id: number, out: KeyWriter): void {
    const from = this.keyFrom[id]!
    const length = this.keyLength[id]!
    out.reserve(length)
    this.toKey.copy(this.arena, from, from + length, out.bytes, out.length)
    out.length += length
  }
  /** Orders rows by their whole keys. */
  compareKeys(a: number, b: number): number {
    const { arena } = this
    const fromA = this.keyFrom[a]!
    const fromB = this.keyFrom[b]!
    const lengthA = this.keyLength[a]!
    const lengthB = this.keyLength[b]!
    // Most keys differ early, where asking for a native comparison would take longer than the comparison.
    const early = Math.min(lengthA, lengthB, comparedHere)
    for (let i = 0; i < early; i++) {
      const difference = arena[fromA + i]! - arena[fromB + i]!
      if (difference !== 0) return difference
    }
    return arena.compare(arena, fromB, fromB + lengthB, fromA, fromA + lengthA)
  }
  /** Those in files too. */
  get rows(): number {
    return this.count + (this.spill?.rows ?? 0) + (this.runs?.rows ?? 0)
  }
  get bytes(): number {
    return (
      this.arena.length +
      this.numbers.byteLength +
      (this.index?.byteLength ?? 0) +
      this.hashes.length * 25 +
      this.values.length * 24 +
      this.pages.bytes +
      (this.runs?.bytes ?? 0)
    )
  }
  /** Of the rows alone, without what the arrays could still take; some more with what the operator keeps beside them. */
  get usedBytes(): number {
    const { numbers, values } = this.spec
    const perRow = numbers * 8 + values * 24 + besideBytes
    return this.count * perRow + (this.arenaUsed - this.arenaDead) + this.pages.live
  }

  // Ticks.

  get changed(): boolean {
    return this.log.count > 0
  }
  commit(): void {
    this.countDeadBytes()
    this.log.clear()
    this.ages?.commit()
    for (const id of this.freedInTick) this.release(id)
    this.freedInTick = []
    this.back = []
    this.spill?.commit()
    this.runs?.commit()
    this.compact()
    this.pages.commit()
  }
  private compact(): void {
    if (this.arenaDead > compactBytesMin && this.arenaDead * 2 > this.arenaUsed) this.compactArena()
    if (this.pages.dead > compactBytesMin && this.pages.dead > this.pages.live) this.compactPages()
  }
  /** Back to what the last commit left. Ids of rows may have changed: rebuild what is derived from them. */
  undo(): void {
    const { log } = this
    this.ages?.undo()
    // What is new goes first: a row that was replaced gets its place in the index back.
    for (let n = 0; n < log.count; n++) {
      const id = log.idAt(n)
      if (!log.isNew(n)) continue
      if (this.standing[id] === live) {
        this.unlink(id)
        this.count--
        this.freedInTick.push(id)
      }
      this.standing[id] = log.tookOver(id) ? replaced : gone
    }
    for (let n = 0; n < log.count; n++) {
      const id = log.idAt(n)
      if (log.isNew(n)) continue
      if (this.standing[id] !== live) {
        this.standing[id] = live
        this.place(id)
        this.count++
      }
      log.restore(n, this.numbers, this.values)
    }
    for (const id of this.freedInTick)
      if (this.standing[id] !== live) {
        // Its bytes go with the tick's.
        if (this.bytesAt >= 0) this.numbers[id * this.spec.numbers + this.bytesAt + 1] = 0
        this.release(id)
      }
    this.freedInTick = []
    log.clear()
    this.undoSpill()
    this.ages?.rebuild(this.all())
  }
  private undoSpill(): void {
    for (const id of this.back) this.dropRow(id, 0)
    this.back = []
    this.pages.undo()
    if (this.spill === null && this.runs === null) return
    this.spill?.undo(this)
    this.runs?.undo(this)
    this.back = []
    this.pages.commit()
  }
  /** What differs from the last commit, as values. */
  changes(): StateChange[] {
    const list = new ChangeList()
    this.tellChanges(noPrefix, list)
    return list.changes
  }
  /**
   * What differs from the last commit, the newest of a key last. `prefix` stands before each key; its second byte becomes
   * the slot.
   */
  tellChanges(prefix: Buffer, to: ChangesTo): void {
    const { log } = this
    // Rows that went come first where it cannot be told whether their keys came back.
    const passes = this.index === null && this.freedInTick.length > 0 ? [gone, live] : [null]
    for (const wanted of passes)
      for (let n = 0; n < log.count; n++) {
        const id = log.idAt(n)
        const standing = this.standing[id]!
        if (wanted !== null && standing !== wanted) continue
        // What came and went within the tick was never told of, and what was replaced has the key of another.
        if (standing !== live && (log.isNew(n) || standing === replaced || (wanted === null && this.isBack(id))))
          continue
        this.writeChangeKey(to, id, prefix)
        if (standing === live) this.writeRow(to.value(), id)
        to.end(standing !== live || !log.isNew(n) || log.tookOver(id))
      }
  }
  /** Takes an entry of the changelog, written at `timeMs`; later entries of a key replace earlier ones. */
  restore(key: Uint8Array, value: Uint8Array | null, timeMs = -Infinity): void {
    const input = new ByteReader(key)
    const stateKeyLength = input.uvarint()
    if (stateKeyLength > input.left) throw new Fault('wire.malformed', { what: 'a key of state' })
    const bytes = key.subarray(input.at)
    this.runs?.restoring(this, bytes, stateKeyLength)
    if (this.back.length > 0) this.back = []
    let id = this.findKey(bytes)
    this.spill?.restored(bytes, value === null)
    if (value === null) {
      if (id >= 0) this.dropRow(id, this.bytesOf(id))
      return
    }
    if (id < 0) id = this.insert(bytes, bytes.length, stateKeyLength)
    else this.pages.dead += this.bytesOf(id)
    this.readRow(new ByteReader(value), id)
    this.ages?.note(id, timeMs)
    this.pages.commit()
  }
  /** Without a word to the changelog; `bytes`: how many of its own are dead then. */
  private dropRow(id: number, bytes: number): void {
    this.unlink(id)
    this.standing[id] = gone
    this.count--
    if (this.bytesAt >= 0) this.numbers[id * this.spec.numbers + this.bytesAt + 1] = bytes
    this.release(id)
  }

  // Rows that go to files and come back (`spill.ts`). The changelog hears nothing of it.

  /** Only between ticks. */
  evict(id: number): void {
    assert(this.log.count === 0 && this.standing[id] === live, 'a committed row between ticks')
    this.dropRow(id, this.bytesOf(id))
  }
  /** Gives memory back after rows went. Only between ticks. */
  shrink(): void {
    this.compact()
    if (this.pages.dead > compactBytesMin && this.pages.dead * 4 > this.pages.live) this.compactPages()
    this.pages.commit()
  }
  /** Key and fields, as `takeBack` wants them. */
  writeWhole(out: ByteWriter, id: number): void {
    const length = this.keyLength[id]!
    out.uvarint(this.prefix[id]!)
    out.uvarint(length)
    out.raw(this.keyOf(id))
    const at = out.at
    out.int32(0)
    this.writeRow(out, id)
    out.buffer.writeUInt32BE(out.at - at - 4, at)
    if (this.ages !== null) out.float64(this.ages.timeOf(id))
  }
  takeBack(key: Uint8Array, stateKeyLength: number, row: Uint8Array, timeMs: number | null): number {
    const id = this.insert(key, key.length, stateKeyLength)
    this.readRow(new ByteReader(row), id)
    if (timeMs !== null) this.ages?.note(id, timeMs)
    this.back.push(id)
    this.log.wasUsed(id)
    return id
  }
  /** Ids are below this. */
  get idEnd(): number {
    return this.ids
  }
  isLive(id: number): boolean {
    return this.standing[id] === live
  }
  /** The number of this tick. */
  get tick(): number {
    return this.log.tick
  }
  /** Written, or taken back, in that tick or since. */
  isTouchedSince(id: number, tick: number): boolean {
    return this.log.isTouchedSince(id, tick)
  }
  hashOf(id: number): number {
    const from = this.keyFrom[id]!
    const length = this.keyLength[id]!
    const isKnown = this.index !== null || this.prefix[id] === length
    return isKnown ? this.hashes[id]! : hashKey(this.arena, from, from + length)
  }
  stateHashOf(id: number): number {
    const from = this.keyFrom[id]!
    const stateKey = this.prefix[id]!
    return stateKey === this.keyLength[id] ? this.hashes[id]! : hashKey(this.arena, from, from + stateKey)
  }
  /** All is restored: an index that nobody else asks for goes. */
  settle(): void {
    // Entries of several partitions came one partition after the other.
    this.ages?.rebuild(this.all())
    if (this.spec.found !== 'elsewhere') return
    if (this.index !== null) drop(this.index)
    this.index = null
  }
  clear(): void {
    this.count = 0
    this.ids = 0
    this.values = []
    this.index?.fill(0)
    this.standing.fill(free)
    this.arenaUsed = 0
    this.arenaDead = 0
    this.free.length = 0
    this.freedInTick = []
    this.back = []
    this.log.clear()
    this.pages = new Pages()
    this.spill?.clear()
    this.runs?.clear()
  }

  /** Nobody uses it any more: its memory goes back, not when the collector comes to it. */
  giveBack(): void {
    for (const array of [
      this.numbers,
      this.hashes,
      this.keyFrom,
      this.keyLength,
      this.prefix,
      this.standing,
      this.arena,
    ])
      drop(array)
    if (this.index !== null) drop(this.index)
    this.values = []
    this.pages.release()
  }

  private writeChangeKey(to: ChangesTo, id: number, prefix: Buffer): void {
    const from = this.keyFrom[id]!
    const length = this.keyLength[id]!
    const stateKey = this.prefix[id]!
    const slot = slotOf(stateKey === length ? this.hashes[id]! : hashKey(this.arena, from, from + stateKey))
    const out = to.key(slot, prefix.length + uvarintBytes(stateKey) + length)
    out.reserve(prefix.length + 5 + length)
    const { buffer } = out
    for (let i = 0; i < prefix.length; i++) buffer[out.at + i] = prefix[i]!
    if (prefix.length > 1) buffer[out.at + 1] = slot
    out.at += prefix.length
    out.uvarint(stateKey)
    this.keyOut.copy(this.arena, from, from + length, buffer, out.at)
    out.at += length
  }
  /** The key of a row removed in this tick came back under another id. */
  private isBack(id: number): boolean {
    const from = this.keyFrom[id]!
    const length = this.keyLength[id]!
    return this.findBytes(this.arena.subarray(from, from + length), length, this.hashes[id]!) >= 0
  }
  private equals(id: number, bytes: Uint8Array, length: number): boolean {
    if (this.keyLength[id] !== length) return false
    const { arena } = this
    const from = this.keyFrom[id]!
    for (let i = 0; i < length; i++) if (arena[from + i] !== bytes[i]) return false
    return true
  }
  private findBytes(bytes: Uint8Array, length: number, hash: number): number {
    const index = this.index ?? this.makeIndex(minSlots)
    const mask = index.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = index[slot]! - 1
      if (id < 0) return -1
      if (this.hashes[id] === hash && this.equals(id, bytes, length)) return id
    }
  }
  private newId(): number {
    const id = this.free.length > 0 ? this.free.pop()! : this.ids++
    if (id >= this.hashes.length) this.growRows()
    return id
  }
  private insert(bytes: Uint8Array, length: number, stateKeyLength: number): number {
    const id = this.newId()
    if (this.arenaUsed + length > this.arena.length) this.growArena(length)
    this.keyIn.copy(bytes, 0, length, this.arena, this.arenaUsed)
    this.keyFrom[id] = this.arenaUsed
    this.keyLength[id] = length
    this.arenaUsed += length
    // Of a part of the key it is no slot, and where there is no index nobody else asks for it.
    if (this.index !== null || stateKeyLength === length) this.hashes[id] = hashKey(bytes, 0, length)
    this.prefix[id] = stateKeyLength
    this.clearFields(id)
    this.standing[id] = live
    this.count++
    if (this.index !== null && this.count * 2 > this.index.length) this.makeIndex(this.index.length * 2)
    else this.place(id)
    return id
  }
  private clearFields(id: number): void {
    const { numbers, values } = this.spec
    for (let f = id * numbers, end = f + numbers; f < end; f++) this.numbers[f] = 0
    for (let f = 0; f < values; f++) this.values[id * values + f] = null
  }
  private makeIndex(slots: number): Int32Array {
    while (slots < this.count * 2) slots *= 2
    if (this.index === null) this.hashAll()
    else drop(this.index)
    this.index = new Int32Array(slots)
    for (let id = 0; id < this.ids; id++) if (this.standing[id] === live) this.place(id)
    return this.index
  }
  private hashAll(): void {
    for (let id = 0; id < this.ids; id++) {
      const from = this.keyFrom[id]!
      if (this.standing[id] !== free) this.hashes[id] = hashKey(this.arena, from, from + this.keyLength[id]!)
    }
  }
  private place(id: number): void {
    const { index } = this
    if (index === null) return
    const mask = index.length - 1
    let slot = this.hashes[id]! & mask
    while (index[slot] !== 0) slot = (slot + 1) & mask
    index[slot] = id + 1
  }
  private positionOf(index: Int32Array, id: number): number {
    const mask = index.length - 1
    let slot = this.hashes[id]! & mask
    while (index[slot] !== id + 1) slot = (slot + 1) & mask
    return slot
  }
  /** Takes the id out of the index; key and fields stay readable. */
  private unlink(id: number): void {
    const { index, hashes } = this
    if (index === null) return
    const mask = index.length - 1
    let hole = this.positionOf(index, id)
    for (let slot = (hole + 1) & mask; index[slot] !== 0; slot = (slot + 1) & mask) {
      const home = hashes[index[slot]! - 1]! & mask
      // Move back whatever probing would no longer find across the hole.
      if (((slot - home) & mask) >= ((slot - hole) & mask)) {
        index[hole] = index[slot]!
        hole = slot
      }
    }
    index[hole] = 0
  }
  /** Its key, unless another row has taken that over, and its bytes are dead. */
  private release(id: number): void {
    if (this.standing[id] === gone) this.arenaDead += this.keyLength[id]!
    this.standing[id] = free
    this.pages.dead += this.bytesOf(id)
    for (let f = 0; f < this.spec.values; f++) this.values[id * this.spec.values + f] = null
    this.free.push(id)
  }
  /** Of its texts. */
  bytesOf(id: number): number {
    return this.bytesAt < 0 ? 0 : this.numbers[id * this.spec.numbers + this.bytesAt + 1]!
  }
  /** Bytes that rows had before the tick and do not have any more, though they exist. */
  private countDeadBytes(): void {
    const { log, bytesAt } = this
    if (bytesAt < 0) return
    for (let n = 0; n < log.count; n++) {
      if (log.isNew(n)) continue
      const id = log.idAt(n)
      if (log.numberOf(n, bytesAt) !== this.numbers[id * this.spec.numbers + bytesAt])
        this.pages.dead += log.numberOf(n, bytesAt + 1)
    }
  }
  private writeRow(out: ByteWriter, id: number): void {
    const { numbers, values } = this.spec
    const { bytesAt } = this
    const at = id * numbers
    if (bytesAt < 0) writeRowNumbers(out, this.numbers, at, at + numbers)
    else {
      writeRowNumbers(out, this.numbers, at, at + bytesAt)
      this.writeBytes(out, this.numbers[at + bytesAt]!, this.numbers[at + bytesAt + 1]!)
      writeRowNumbers(out, this.numbers, at + bytesAt + 2, at + numbers)
    }
    for (let f = 0; f < values; f++) writeValue(out, this.values[id * values + f]!)
  }
  private writeBytes(out: ByteWriter, address: number, length: number): void {
    out.uvarint(length)
    if (length === 0) return
    out.reserve(length)
    const from = placeOf(address)
    this.rowOut.copy(this.pages.pageOf(address), from, from + length, out.buffer, out.at)
    out.at += length
  }
  private readRow(input: ByteReader, id: number): void {
    const { numbers, values, name } = this.spec
    const { bytesAt } = this
    const at = id * numbers
    for (let f = 0; f < numbers; f++) {
      if (f === bytesAt) {
        const bytes = input.raw(input.uvarint())
        this.numbers[at + f] = bytes.length === 0 ? 0 : this.pages.add(bytes, 0, bytes.length)
        this.numbers[at + ++f] = bytes.length
      } else this.numbers[at + f] = readRowNumber(input)
    }
    for (let f = 0; f < values; f++) this.values[id * values + f] = readValue(input)
    if (input.left !== 0) throw new Fault('wire.malformed', { what: `a row of state table ${name}` })
  }

  private growRows(): void {
    const size = this.hashes.length * 2
    this.hashes = grownInts(this.hashes, size)
    this.keyLength = grownInts(this.keyLength, size)
    this.prefix = grownInts(this.prefix, size)
    this.standing = instead(new Uint8Array(size), this.standing)
    this.keyFrom = grownDoubles(this.keyFrom, size)
    this.numbers = grownDoubles(this.numbers, size * this.spec.numbers)
  }
  private growArena(needed: number): void {
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.arena.length * 2, this.arenaUsed + needed))
    this.arena.copy(bigger, 0, 0, this.arenaUsed)
    drop(this.arena)
    this.arena = bigger
  }
  private compactArena(): void {
    const compacted = Buffer.allocUnsafeSlow(Math.max(1024, this.arenaUsed - this.arenaDead) * 2)
    let at = 0
    for (let id = 0; id < this.ids; id++) {
      if (this.standing[id] !== live) continue
      const from = this.keyFrom[id]!
      this.arena.copy(compacted, at, from, from + this.keyLength[id]!)
      this.keyFrom[id] = at
      at += this.keyLength[id]!
    }
    drop(this.arena)
    this.arena = compacted
    this.arenaUsed = at
    this.arenaDead = 0
  }
  private compactPages(): void {
    const compacted = new Pages()
    for (const id of this.all()) {
      const length = this.bytesOf(id)
      if (length === 0) continue
      const at = id * this.spec.numbers + this.bytesAt
      const from = placeOf(this.numbers[at]!)
      this.numbers[at] = compacted.add(this.pages.pageOf(this.numbers[at]!), from, from + length)
    }
    this.pages.free()
    this.pages = compacted
  }
}
const uvarintBytes = (value: number): number => {
  let bytes = 1
  for (let rest = value >>> 7; rest > 0; rest >>>= 7) bytes++
  return bytes
}
function grownInts(array: Int32Array, size: number): Int32Array<ArrayBuffer> {
  return instead(new Int32Array(size), array)
}
function grownDoubles(array: Float64Array, size: number): Float64Array<ArrayBuffer> {
  return instead(new Float64Array(size), array)
}
