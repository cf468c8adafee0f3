/** Builds columns row by row; what generated code and operators write their output into. */
import type { BytesColumn, Column } from './batch.ts'
import { storageOf } from './memory.ts'
import type { DataType } from '../schema/types.ts'
import type { Value } from './expression.ts'
import { assert } from '../lib/assert.ts'

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
export function columnBuilder(type: DataType, capacity = 64): ColumnBuilder {
  switch (storageOf(type)) {
    case 'f64':
      return new NumberBuilder(capacity)
    case 'bytes':
      return new BytesBuilder(capacity)
    case 'value':
      return new ValueBuilder()
  }
}

/** Validity that costs nothing until the first NULL. */
class Validity {
  private bytes: Uint8Array | null = null

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
    const bigger = new Uint8Array(Math.max(64, (row + 1) * 2)).fill(1)
    if (this.bytes !== null) bigger.set(this.bytes)
    this.bytes = bigger
  }
  /** Rows pushed after the last NULL lie beyond the array as long as it is short. */
  done(count: number): Uint8Array | null {
    if (this.bytes !== null && this.bytes.length < count) this.grow(count)
    return this.bytes
  }
}

/** f64; turns to i64 at the first value that needs it, and to values beyond 64 bits. */
export class NumberBuilder implements ColumnBuilder {
  count = 0
  private data: Float64Array<ArrayBuffer>
  private wide: (number | bigint)[] | null = null
  private readonly validity = new Validity()

  constructor(capacity = 64) {
    this.data = new Float64Array(Math.max(1, capacity))
  }
  pushNull(): void {
    this.validity.nullAt(this.count)
    this.pushNumber(0)
  }
  pushNumber(value: number): void {
    if (this.wide !== null) {
      this.wide.push(value)
      this.count++
      return
    }
    if (this.count === this.data.length) this.grow()
    this.data[this.count++] = value
  }
  pushInt(value: number | bigint): void {
    if (typeof value === 'number') return this.pushNumber(value)
    this.wide ??= Array.from(this.data.subarray(0, this.count))
    this.wide.push(value)
    this.count++
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
    const value = this.wide === null ? this.data[row]! : this.wide[row]!
    return type.kind === 'boolean' ? value !== 0 : value
  }
  truncate(count: number): void {
    this.count = count
    if (this.wide !== null) this.wide.length = count
    this.validity.truncate(count)
  }
  private grow(): void {
    const bigger = new Float64Array(this.data.length * 2)
    bigger.set(this.data)
    this.data = bigger
  }
  done(): Column {
    const valid = this.validity.done(this.count)
    if (this.wide === null) return { kind: 'f64', data: this.data, valid }
    const fits = this.wide.every((v) => typeof v === 'number' || BigInt.asIntN(64, v) === v)
    if (fits && this.wide.every((v) => typeof v === 'bigint' || Number.isSafeInteger(v)))
      return { kind: 'i64', data: BigInt64Array.from(this.wide, BigInt), valid }
    return { kind: 'value', data: this.wide, valid }
  }
}

export class BytesBuilder implements ColumnBuilder {
  count = 0
  private arena: Buffer
  private used = 0
  private from: Int32Array
  private to: Int32Array
  private readonly validity = new Validity()

  constructor(capacity = 64, arenaBytes = 1024) {
    this.arena = Buffer.allocUnsafeSlow(arenaBytes)
    this.from = new Int32Array(Math.max(1, capacity))
    this.to = new Int32Array(Math.max(1, capacity))
  }
  pushNull(): void {
    this.validity.nullAt(this.count)
    this.end(this.used)
  }
  pushText(text: string): void {
    const from = this.used
    this.reserve(text.length * 3)
    this.used += this.arena.write(text, from)
    this.end(from)
  }
  pushBytes(bytes: Uint8Array, start = 0, end = bytes.length): void {
    const from = this.used
    this.reserve(end - start)
    if (Buffer.isBuffer(bytes)) bytes.copy(this.arena, from, start, end)
    else this.arena.set(bytes.subarray(start, end), from)
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
    const [from, to] = [this.from[row]!, this.to[row]!]
    return type.kind === 'bytea' ? this.arena.subarray(from, to) : this.arena.toString('utf8', from, to)
  }
  truncate(count: number): void {
    this.count = count
    this.validity.truncate(count)
  }
  private reserve(bytes: number): void {
    if (this.used + bytes <= this.arena.length) return
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.arena.length * 2, this.used + bytes))
    this.arena.copy(bigger, 0, 0, this.used)
    this.arena = bigger
  }
  private end(from: number): void {
    const row = this.count++
    if (row === this.from.length) {
      const starts = new Int32Array(row * 2)
      starts.set(this.from)
      this.from = starts
      const ends = new Int32Array(row * 2)
      ends.set(this.to)
      this.to = ends
    }
    this.from[row] = from
    this.to[row] = this.used
  }
  done(): BytesColumn {
    return { kind: 'bytes', arena: this.arena, from: this.from, to: this.to, valid: this.validity.done(this.count) }
  }
}

export class ValueBuilder implements ColumnBuilder {
  private readonly data: Value[] = []
  private readonly validity = new Validity()

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
