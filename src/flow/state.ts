/**
 * State tables: rows by encoded key, in memory. A key is a state key (what the operator groups by) and, for lists, a row
 * key behind it. Keys lead to dense ids by open addressing (linear probing, backward-shift deletion); a row is `numbers`
 * float64 fields in one interleaved array and `values` fields that hold values of any form, replaced but never changed.
 *
 * A tick's changes can be undone and listed. Before the first change of a row in a tick `touch` (or `add`, `remove`)
 * keeps what it was. `commit` forgets that, `undo` goes back to it, `changes` gives the new value of every key that
 * differs, for the changelog. Ids freed in a tick are not used again before it ends; ids mean nothing outside a process.
 */
import { assert } from '../lib/assert.ts'
import { ByteReader, ByteWriter } from '../lib/bytes.ts'
import { Fault } from '../lib/fault.ts'
import type { Value } from './expression.ts'
import { hashKey, type KeyWriter, slotOf } from './key.ts'
import { readValue, writeNumber, writeValue } from './value-codec.ts'

export interface TableSpec {
  /** Unique within its operator; shown to people. */
  readonly name: string
  readonly numbers: number
  readonly values: number
}
/** The new value of a key; null = gone. `key`: length of the state key, state key, row key. */
export interface StateChange {
  readonly slot: number
  readonly key: Uint8Array
  readonly value: Uint8Array | null
}
interface Before {
  readonly numbers: Float64Array | null
  readonly values: Value[] | null
}
/** The row did not exist. */
const nothing: Before = { numbers: null, values: null }

const minSlots = 64

export class StateTable {
  readonly spec: TableSpec
  /** Rows that exist. */
  count = 0
  /** Row id, field f: `numbers[id * spec.numbers + f]`. Growing replaces the array. */
  numbers: Float64Array
  /** Row id, field f: `values[id * spec.values + f]`. */
  values: Value[] = []

  private index = new Int32Array(minSlots)
  private hashes = new Int32Array(minSlots)
  private keyFrom = new Float64Array(minSlots)
  private keyLength = new Int32Array(minSlots)
  /** Length of the state key within the key; −1 where the id is free. */
  private prefix = new Int32Array(minSlots).fill(-1)
  private arena: Buffer = Buffer.allocUnsafeSlow(1024)
  private arenaUsed = 0
  private arenaDead = 0
  private ids = 0
  private readonly free: number[] = []
  private freedInTick: number[] = []
  private before = new Map<number, Before>()

  constructor(spec: TableSpec) {
    this.spec = spec
    this.numbers = new Float64Array(minSlots * spec.numbers)
  }

  /** Id of the key, or −1. */
  find(key: KeyWriter): number {
    const hash = hashKey(key.bytes, 0, key.length)
    const mask = this.index.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.index[slot]! - 1
      if (id < 0) return -1
      if (this.hashes[id] === hash && this.equals(id, key.bytes, key.length)) return id
    }
  }
  /** The same by the bytes of a key. */
  findKey(key: Uint8Array): number {
    return this.findBytes(key, hashKey(key, 0, key.length))
  }
  /**
   * A new row, all zero and null, for a key that is not there. `stateKeyLength` bytes of the key are the state key
   * (default: all of it).
   */
  add(key: KeyWriter, stateKeyLength = key.length): number {
    return this.insert(key.bytes, key.length, stateKeyLength)
  }
  /** Call before changing a row's fields. */
  touch(id: number): void {
    if (!this.before.has(id)) this.before.set(id, this.image(id))
  }
  /** Changed or added in this tick. */
  isTouched(id: number): boolean {
    return this.before.has(id)
  }
  remove(id: number): void {
    assert(this.prefix[id]! >= 0, 'a row that exists')
    this.touch(id)
    this.unlink(id)
    this.count--
    this.freedInTick.push(id)
  }
  /** Ids of all rows, in no order that means anything. Removing the row just given is allowed. */
  *all(): IterableIterator<number> {
    for (let id = 0; id < this.ids; id++) if (this.prefix[id]! >= 0) yield id
  }
  /** The key's bytes; valid until the next change of the table. */
  keyOf(id: number): Buffer {
    const from = this.keyFrom[id]!
    return this.arena.subarray(from, from + this.keyLength[id]!)
  }
  stateKeyOf(id: number): Buffer {
    const from = this.keyFrom[id]!
    return this.arena.subarray(from, from + Math.max(0, this.prefix[id]!))
  }
  /** Orders rows by their whole keys. */
  compareKeys(a: number, b: number): number {
    const fromA = this.keyFrom[a]!
    const fromB = this.keyFrom[b]!
    return this.arena.compare(this.arena, fromB, fromB + this.keyLength[b]!, fromA, fromA + this.keyLength[a]!)
  }
  get bytes(): number {
    return (
      this.arena.length +
      this.numbers.byteLength +
      this.index.byteLength +
      this.hashes.byteLength * 5 +
      this.values.length * 24
    )
  }

  // Ticks.

  get changed(): boolean {
    return this.before.size > 0
  }
  commit(): void {
    this.before.clear()
    for (const id of this.freedInTick) this.release(id)
    this.freedInTick = []
    if (this.arenaDead > 65_536 && this.arenaDead * 2 > this.arenaUsed) this.compactArena()
  }
  /** Back to what the last commit left. Ids of rows may have changed: rebuild what is derived from them. */
  undo(): void {
    const gone = new Set(this.freedInTick)
    for (const [id, before] of this.before)
      if (before === nothing && !gone.has(id)) {
        this.unlink(id)
        this.count--
        this.release(id)
      }
    for (const [id, before] of this.before) {
      if (before === nothing) continue
      if (gone.has(id)) {
        this.relink(id)
        this.count++
        gone.delete(id)
      }
      this.setImage(id, before)
    }
    for (const id of gone) this.release(id)
    this.freedInTick = []
    this.before.clear()
  }
  /** What differs from the last commit, each key once. */
  *changes(): IterableIterator<StateChange> {
    const gone = new Set(this.freedInTick)
    const out = new ByteWriter(256)
    for (const [id, before] of this.before) {
      if (!gone.has(id)) {
        out.at = 0
        this.writeRow(out, id)
        yield { slot: this.slot(id), key: this.exportKey(id), value: Buffer.from(out.done()) }
      } else if (before !== nothing && !this.replaced(id))
        yield { slot: this.slot(id), key: this.exportKey(id), value: null }
    }
  }
  /** Takes an entry of the changelog; later entries of a key replace earlier ones. */
  restore(key: Uint8Array, value: Uint8Array | null): void {
    const input = new ByteReader(key)
    const stateKeyLength = input.uvarint()
    if (stateKeyLength > input.left) throw new Fault('wire.malformed', { what: 'a key of state' })
    const bytes = key.subarray(input.at)
    const hash = hashKey(bytes, 0, bytes.length)
    let id = this.findBytes(bytes, hash)
    if (value === null) {
      if (id < 0) return
      this.unlink(id)
      this.count--
      this.release(id)
      return
    }
    if (id < 0) id = this.insert(bytes, bytes.length, stateKeyLength)
    this.readRow(new ByteReader(value), id)
    this.before.delete(id)
  }
  clear(): void {
    this.count = 0
    this.ids = 0
    this.values = []
    this.index.fill(0)
    this.prefix.fill(-1)
    this.arenaUsed = 0
    this.arenaDead = 0
    this.free.length = 0
    this.freedInTick = []
    this.before.clear()
  }

  private slot(id: number): number {
    const from = this.keyFrom[id]!
    return slotOf(hashKey(this.arena, from, from + this.stateKeyLength(id)))
  }
  /** Also of a row removed in this tick. */
  private stateKeyLength(id: number): number {
    const prefix = this.prefix[id]!
    return prefix >= 0 ? prefix : -2 - prefix
  }
  private exportKey(id: number): Uint8Array {
    const from = this.keyFrom[id]!
    const out = new ByteWriter(this.keyLength[id]! + 5)
    out.uvarint(this.stateKeyLength(id))
    out.raw(this.arena.subarray(from, from + this.keyLength[id]!))
    return Buffer.from(out.done())
  }
  /** The key of a row removed in this tick came back under another id. */
  private replaced(id: number): boolean {
    const from = this.keyFrom[id]!
    return this.findBytes(this.arena.subarray(from, from + this.keyLength[id]!), this.hashes[id]!) >= 0
  }
  private equals(id: number, bytes: Uint8Array, length: number): boolean {
    if (this.keyLength[id] !== length) return false
    const { arena } = this
    const from = this.keyFrom[id]!
    for (let i = 0; i < length; i++) if (arena[from + i] !== bytes[i]) return false
    return true
  }
  private findBytes(bytes: Uint8Array, hash: number): number {
    const mask = this.index.length - 1
    for (let slot = hash & mask; ; slot = (slot + 1) & mask) {
      const id = this.index[slot]! - 1
      if (id < 0) return -1
      if (this.hashes[id] === hash && this.equals(id, bytes, bytes.length)) return id
    }
  }
  private insert(bytes: Uint8Array, length: number, stateKeyLength: number): number {
    const id = this.free.pop() ?? this.ids++
    if (id >= this.hashes.length) this.growRows()
    if (this.arenaUsed + length > this.arena.length) this.growArena(length)
    this.arena.set(bytes.subarray(0, length), this.arenaUsed)
    this.keyFrom[id] = this.arenaUsed
    this.keyLength[id] = length
    this.arenaUsed += length
    this.hashes[id] = hashKey(bytes, 0, length)
    this.prefix[id] = stateKeyLength
    this.clearFields(id)
    this.place(id)
    this.count++
    this.before.set(id, nothing)
    if (this.count * 2 > this.index.length) this.growIndex()
    return id
  }
  private clearFields(id: number): void {
    this.numbers.fill(0, id * this.spec.numbers, (id + 1) * this.spec.numbers)
    for (let f = 0; f < this.spec.values; f++) this.values[id * this.spec.values + f] = null
  }
  private place(id: number): void {
    const mask = this.index.length - 1
    let slot = this.hashes[id]! & mask
    while (this.index[slot] !== 0) slot = (slot + 1) & mask
    this.index[slot] = id + 1
  }
  /** Takes the id out of the index; key and fields stay readable. */
  private unlink(id: number): void {
    const { index, hashes } = this
    const mask = index.length - 1
    let hole = hashes[id]! & mask
    while (index[hole] !== id + 1) hole = (hole + 1) & mask
    for (let slot = (hole + 1) & mask; index[slot] !== 0; slot = (slot + 1) & mask) {
      const home = hashes[index[slot]! - 1]! & mask
      // Move back whatever probing would no longer find across the hole.
      if (((slot - home) & mask) >= ((slot - hole) & mask)) {
        index[hole] = index[slot]!
        hole = slot
      }
    }
    index[hole] = 0
    this.prefix[id] = -2 - this.prefix[id]!
  }
  private relink(id: number): void {
    this.prefix[id] = -2 - this.prefix[id]!
    this.place(id)
  }
  private release(id: number): void {
    this.arenaDead += this.keyLength[id]!
    for (let f = 0; f < this.spec.values; f++) this.values[id * this.spec.values + f] = null
    this.free.push(id)
  }
  private image(id: number): Before {
    const { numbers, values } = this.spec
    return {
      numbers: this.numbers.slice(id * numbers, (id + 1) * numbers),
      values: values === 0 ? null : this.values.slice(id * values, (id + 1) * values),
    }
  }
  private setImage(id: number, before: Before): void {
    this.numbers.set(before.numbers!, id * this.spec.numbers)
    for (let f = 0; f < this.spec.values; f++) this.values[id * this.spec.values + f] = before.values![f]!
  }
  private writeRow(out: ByteWriter, id: number): void {
    for (let f = 0; f < this.spec.numbers; f++) writeNumber(out, this.numbers[id * this.spec.numbers + f]!)
    for (let f = 0; f < this.spec.values; f++) writeValue(out, this.values[id * this.spec.values + f]!)
  }
  private readRow(input: ByteReader, id: number): void {
    for (let f = 0; f < this.spec.numbers; f++) {
      const number = readValue(input)
      if (typeof number !== 'number')
        throw new Fault('wire.malformed', { what: `a row of state table ${this.spec.name}` })
      this.numbers[id * this.spec.numbers + f] = number
    }
    for (let f = 0; f < this.spec.values; f++) this.values[id * this.spec.values + f] = readValue(input)
    if (input.left !== 0) throw new Fault('wire.malformed', { what: `a row of state table ${this.spec.name}` })
  }

  private growRows(): void {
    const size = this.hashes.length * 2
    this.hashes = grownInts(this.hashes, size)
    this.keyLength = grownInts(this.keyLength, size)
    const prefix = new Int32Array(size).fill(-1)
    prefix.set(this.prefix)
    this.prefix = prefix
    this.keyFrom = grownDoubles(this.keyFrom, size)
    this.numbers = grownDoubles(this.numbers, size * this.spec.numbers)
  }
  private growIndex(): void {
    this.index = new Int32Array(this.index.length * 2)
    for (let id = 0; id < this.ids; id++) if (this.prefix[id]! >= 0) this.place(id)
  }
  private growArena(needed: number): void {
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.arena.length * 2, this.arenaUsed + needed))
    this.arena.copy(bigger, 0, 0, this.arenaUsed)
    this.arena = bigger
  }
  private compactArena(): void {
    const compacted = Buffer.allocUnsafeSlow(Math.max(1024, this.arenaUsed - this.arenaDead) * 2)
    let at = 0
    for (let id = 0; id < this.ids; id++) {
      if (this.prefix[id]! < 0) continue
      const from = this.keyFrom[id]!
      this.arena.copy(compacted, at, from, from + this.keyLength[id]!)
      this.keyFrom[id] = at
      at += this.keyLength[id]!
    }
    this.arena = compacted
    this.arenaUsed = at
    this.arenaDead = 0
  }
}
function grownInts(array: Int32Array, size: number): Int32Array<ArrayBuffer> {
  const bigger = new Int32Array(size)
  bigger.set(array)
  return bigger
}
function grownDoubles(array: Float64Array, size: number): Float64Array<ArrayBuffer> {
  const bigger = new Float64Array(size)
  bigger.set(array)
  return bigger
}
