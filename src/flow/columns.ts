/** Builds columns row by row; what generated code and operators write their output into. */
import type { BytesColumn, Column } from './batch.ts'
import { storageOf } from './memory.ts'
import type { DataType } from '../schema/types.ts'
import type { Value } from './expression.ts'
import { assert } from '../lib/assert.ts'
import { Copier } from '../lib/bytes.ts'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { lentBytes, lentDoubles, lentInts } from './lent-arrays.ts'

export interface ColumnBuilder {
  readonly count: number
  pushNull(): void
  /** In memory form; null = NULL. */
  push(value: Value): void
  /** The value of another column of the same type. */
  pushFrom(column: Column, row: number): void
  /** Forgets the rows from `count` on. */
  truncate(count: number): void
  /** The value pushed last, in memory form. */
  last(type: DataType): Value
  done(): Column
}
/** `input`: bytes that texts may be slices of (`BytesBuilder`). */
export function columnBuilder(type: DataType, capacity = 64, input: Buffer | null = null): ColumnBuilder {
  switch (storageOf(type)) {
    case 'f64':
      return new NumberBuilder(capacity)
    case 'bytes':
      return new BytesBuilder(capacity, 1024, input)
    case 'value':
      return new ValueBuilder()
  }
}

/** Validity that costs nothing until the first NULL. */
export class Validity {
  private bytes: Uint8Array | null = null
  private readonly capacity: number

  constructor(capacity: number) {
    this.capacity = capacity
  }
  nullAt(row: number): void {
    if (this.bytes === null || row >= this.bytes.length) this.grow(row)
    this.bytes![row] = 0
  }
  isNull(row: number): boolean {
    return this.bytes !== null && row < this.bytes.length && this.bytes[row] === 0
  }
  /** Rows from `count` on may be pushed again, with other values. */
  truncate(count: number): void {
    this.bytes?.fill(1, count)
  }
  private grow(row: number): void {
    const bigger = lentBytes(row < this.capacity ? this.capacity : (row + 1) * 2).fill(1)
    if (this.bytes !== null) bigger.set(this.bytes)
    this.bytes = bigger
  }
  /** Rows pushed after the last NULL lie beyond the array as long as it is short. */
  done(count: number): Uint8Array | null {
    if (this.bytes !== null && this.bytes.length < count) this.grow(count)
    return this.bytes
  }
}

/**
 * f64; turns to i64 where a value needs it, and to values beyond 64 bits. Generated loops write rows straight into `data`,
 * as far as it was asked to hold, and set `count` when they are done.
 */
export class NumberBuilder implements ColumnBuilder {
  count = 0
  data: Float64Array<ArrayBuffer>
  readonly validity: Validity
  /** Values that no double holds, by row. */
  private wide: Map<number, bigint> | null = null

  constructor(capacity = 64) {
    this.data = lentDoubles(Math.max(1, capacity))
    this.validity = new Validity(capacity)
  }
  pushNull(): void {
    this.validity.nullAt(this.count)
    this.pushNumber(0)
  }
  pushNumber(value: number): void {
    if (this.count === this.data.length) this.grow()
    this.data[this.count++] = value
  }
  pushInt(value: number | bigint): void {
    if (typeof value === 'number') return this.pushNumber(value)
    this.pushNumber(0)
    this.putWide(this.count - 1, value)
  }
  /** As a loop writes to `data`: a value that no double holds. */
  putWide(row: number, value: bigint): void {
    this.wide ??= new Map()
    this.wide.set(row, value)
    this.data[row] = 0
  }
  /** Of a row that is not to be. */
  forgetWide(row: number): void {
    this.wide?.delete(row)
  }
  push(value: Value): void {
    if (value === null) return this.pushNull()
    if (typeof value === 'boolean') return this.pushNumber(value ? 1 : 0)
    assert(typeof value === 'number' || typeof value === 'bigint', 'a number column takes numbers')
    this.pushInt(value)
  }
  pushFrom(column: Column, row: number): void {
    if (column.valid !== null && column.valid[row] === 0) return this.pushNull()
    if (column.kind === 'f64') return this.pushNumber(column.data[row]!)
    if (column.kind === 'i64') {
      const value = column.data[row]!
      return value >= -9007199254740991n && value <= 9007199254740991n
        ? this.pushNumber(Number(value))
        : this.pushInt(value)
    }
    assert(column.kind === 'value', 'a number column takes numbers')
    this.push(column.data[row]!)
  }
  last(type: DataType): Value {
    const row = this.count - 1
    if (this.validity.isNull(row)) return null
    const value = this.wide?.get(row) ?? this.data[row]!
    return type.kind === 'boolean' ? value !== 0 : value
  }
  truncate(count: number): void {
    for (let row = count; row < this.count; row++) this.forgetWide(row)
    this.count = count
    this.validity.truncate(count)
  }
  private grow(): void {
    const bigger = lentDoubles(this.data.length * 2)
    bigger.set(this.data)
    this.data = bigger
  }
  done(): Column {
    const valid = this.validity.done(this.count)
    const { wide } = this
    if (wide === null || wide.size === 0) return { kind: 'f64', data: this.data, valid }
    const data = Array.from(this.data.subarray(0, this.count), (v, row): number | bigint => wide.get(row) ?? v)
    const fits = data.every((v) => (typeof v === 'number' ? Number.isSafeInteger(v) : BigInt.asIntN(64, v) === v))
    return fits ? { kind: 'i64', data: BigInt64Array.from(data, BigInt), valid } : { kind: 'value', data, valid }
  }
}

/**
 * Slices of one arena. Those that lie in the input are not copied: positions below its length are its, later ones are of
 * what was pushed. Generated loops write rows straight into `from` and `to`, and set `count` when they are done.
 */
export class BytesBuilder implements ColumnBuilder {
  count = 0
  from: Int32Array
  to: Int32Array
  readonly validity: Validity
  private readonly input: Buffer | null
  /** Length of the input: where what is pushed begins. */
  private readonly base: number
  private arena: Buffer = empty
  private readonly copier = new Copier()
  private readonly leastBytes: number
  /** Of the arena. */
  private used = 0

  constructor(capacity = 64, arenaBytes = 1024, input: Buffer | null = null) {
    this.input = input
    this.base = input?.length ?? 0
    this.leastBytes = input === null ? arenaBytes : 64
    this.from = lentInts(Math.max(1, capacity))
    this.to = lentInts(Math.max(1, capacity))
    this.validity = new Validity(capacity)
  }
  pushNull(): void {
    this.validity.nullAt(this.count)
    this.end(this.used)
  }
  pushText(text: string): void {
    const from = this.used
    this.write(text)
    this.end(from)
  }
  /** As a loop writes to `from` and `to`: a text that is not in the input as it is. */
  putText(row: number, text: string): void {
    this.from[row] = this.base + this.used
    this.write(text)
    this.to[row] = this.base + this.used
  }
  private write(text: string): void {
    this.reserve(text.length * 3)
    if (text.length <= writtenHere && this.writeAscii(text)) this.used += text.length
    else this.used += this.arena.write(text, this.used)
  }
  /** False: it is something else. */
  private writeAscii(text: string): boolean {
    const { arena, used } = this
    for (let i = 0; i < text.length; i++) {
      const code = text.charCodeAt(i)
      if (code >= 0x80) return false
      arena[used + i] = code
    }
    return true
  }
  pushBytes(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const from = this.used
    this.reserve(end - start)
    this.copier.copy(bytes, start, end, this.arena, from)
    this.used += end - start
    this.end(from)
  }
  push(value: Value): void {
    if (value === null) this.pushNull()
    else if (typeof value === 'string') this.pushText(value)
    else {
      assert(value instanceof Uint8Array, 'a column of bytes takes text or bytes')
      this.pushBytes(value)
    }
  }
  pushFrom(column: Column, row: number): void {
    if (column.valid !== null && column.valid[row] === 0) return this.pushNull()
    if (column.kind === 'value') return this.push(column.data[row]!)
    assert(column.kind === 'bytes', 'a column of bytes takes text or bytes')
    this.pushBytes(column.arena, column.from[row], column.to[row])
  }
  last(type: DataType): Value {
    const row = this.count - 1
    if (this.validity.isNull(row)) return null
    const [from, to] = [this.from[row]! - this.base, this.to[row]! - this.base]
    if (from < 0) return valueOf(this.input!, from + this.base, to + this.base, type)
    return valueOf(this.arena, from, to, type)
  }
  truncate(count: number): void {
    this.count = count
    this.validity.truncate(count)
  }
  private reserve(bytes: number): void {
    if (this.used + bytes <= this.arena.length) return
    // Places beyond would wrap round, and name other bytes.
    if (this.base + this.used + bytes > limits.columnBytes)
      throw new Fault('value.invalid-argument', {
        what: `the texts of one column, worked on together, are more than ${limits.columnBytes} bytes`,
      })
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.leastBytes, this.arena.length * 2, this.used + bytes))
    this.arena.copy(bigger, 0, 0, this.used)
    this.arena = bigger
  }
  private end(from: number): void {
    const row = this.count++
    if (row === this.from.length) {
      const starts = lentInts(row * 2)
      starts.set(this.from)
      this.from = starts
      const ends = lentInts(row * 2)
      ends.set(this.to)
      this.to = ends
    }
    this.from[row] = this.base + from
    this.to[row] = this.base + this.used
  }
  done(): BytesColumn {
    const { input, used } = this
    const arena =
      input === null ? this.arena : used === 0 ? input : Buffer.concat([input, this.arena.subarray(0, used)])
    return { kind: 'bytes', arena, from: this.from, to: this.to, valid: this.validity.done(this.count) }
  }
}
const empty = Buffer.alloc(0)
/** What is short takes less time to write than to ask for a native call. */
const writtenHere = 32
const valueOf = (bytes: Buffer, from: number, to: number, type: DataType): Value =>
  type.kind === 'bytea' ? bytes.subarray(from, to) : bytes.toString('utf8', from, to)

export class ValueBuilder implements ColumnBuilder {
  private readonly data: Value[] = []
  private readonly validity = new Validity(64)

  get count(): number {
    return this.data.length
  }
  pushNull(): void {
    this.validity.nullAt(this.data.length)
    this.data.push(null)
  }
  push(value: Value): void {
    if (value === null) this.pushNull()
    else this.data.push(value)
  }
  pushFrom(column: Column, row: number): void {
    assert(column.kind === 'value', 'a column of values takes values')
    this.push(column.data[row]!)
  }
  last(): Value {
    return this.data.at(-1) ?? null
  }
  truncate(count: number): void {
    this.data.length = count
    this.validity.truncate(count)
  }
  done(): Column {
    return { kind: 'value', data: this.data, valid: this.validity.done(this.data.length) }
  }
}
