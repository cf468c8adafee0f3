/**
 * The one place that decides equality, order and hash of values: a value is turned into bytes such that equal values
 * have equal bytes and bytes compare (unsigned, one by one) as PostgreSQL orders the values. NULL equals NULL here
 * (grouping, DISTINCT; joins test for NULL before) and comes last unless asked; −0 equals 0; NaN equals NaN and is the
 * largest; numerics are equal whatever their scale (1.0 = 1.00); text is in C collation (UTF-8 bytes).
 *
 * No encoding is a prefix of another of the same type, so encodings of several columns may simply follow each other.
 */
import { assert } from '../lib/assert.ts'
import type { DataType } from '../schema/types.ts'
import type { Batch, Column } from './batch.ts'
import type { Decimal } from './decimal.ts'
import type { Value } from './expression.ts'
import type { Interval } from './memory.ts'

/** A buffer that is written again and again; `length` bytes of it count. */
export class KeyWriter {
  bytes: Buffer = Buffer.allocUnsafeSlow(256)
  length = 0

  reserve(count: number): void {
    if (this.length + count <= this.bytes.length) return
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.bytes.length * 2, this.length + count))
    this.bytes.copy(bigger, 0, 0, this.length)
    this.bytes = bigger
  }
  byte(value: number): void {
    this.reserve(1)
    this.bytes[this.length++] = value
  }
  /** A double in order: sign flipped, negatives inverted. */
  double(value: number): void {
    this.reserve(8)
    scratch[0] = value === 0 ? 0 : value
    let high = words[1]!
    let low = words[0]!
    if (value !== value) {
      high = 0x7ff80000
      low = 0
    }
    if (high >>> 31 === 1) {
      high = ~high
      low = ~low
    } else high ^= 0x80000000
    this.word(high)
    this.word(low)
  }
  word(value: number): void {
    const { bytes } = this
    let at = this.length
    bytes[at++] = value >>> 24
    bytes[at++] = value >>> 16
    bytes[at++] = value >>> 8
    bytes[at++] = value
    this.length = at
  }
  /** A 64-bit integer in order. */
  integer(value: number | bigint): void {
    this.reserve(8)
    if (typeof value === 'number') {
      const high = Math.floor(value / 0x1_0000_0000)
      this.word(high ^ 0x80000000)
      this.word(value - high * 0x1_0000_0000)
      return
    }
    this.word(Number(BigInt.asIntN(32, value >> 32n)) ^ 0x80000000)
    this.word(Number(BigInt.asIntN(32, value)))
  }
  /** Bytes of any length: 0 becomes 0 255, the end is 0 0. */
  slice(from: Uint8Array, start: number, end: number): void {
    this.reserve((end - start) * 2 + 2)
    const { bytes } = this
    let at = this.length
    for (let i = start; i < end; i++) {
      const byte = from[i]!
      bytes[at++] = byte
      if (byte === 0) bytes[at++] = 255
    }
    bytes[at++] = 0
    bytes[at++] = 0
    this.length = at
  }
  text(value: string): void {
    const encoded = Buffer.from(value, 'utf8')
    this.slice(encoded, 0, encoded.length)
  }
  /** digits × 10^−scale: sign, decimal exponent, digits without zeros around them, an end. */
  decimal(digits: number | bigint, scale: number): void {
    if (digits === 0 || digits === 0n) return this.byte(0x80)
    const negative = digits < 0
    const text = negative ? digits.toString().slice(1) : digits.toString()
    let count = text.length
    while (text.charCodeAt(count - 1) === 48) count--
    this.reserve(count + 6)
    const { bytes } = this
    const flip = negative ? 0xff : 0
    bytes[this.length++] = negative ? 0x40 : 0xc0
    this.word((text.length - scale + 0x40000000) ^ (negative ? -1 : 0))
    let at = this.length
    for (let i = 0; i < count; i++) bytes[at++] = (text.charCodeAt(i) - 47) ^ flip
    bytes[at++] = flip
    this.length = at
  }
  done(): Buffer {
    return this.bytes.subarray(0, this.length)
  }
}
const scratch = new Float64Array(1)
const words = new Int32Array(scratch.buffer)

/** What `KeyWriter.double` wrote. */
export function readKeyDouble(key: Buffer, at: number): number {
  let high = key.readInt32BE(at)
  let low = key.readInt32BE(at + 4)
  if (high >= 0) {
    high = ~high
    low = ~low
  } else high ^= 0x80000000
  words[1] = high
  words[0] = low
  return scratch[0]!
}

const nullFirst = 0
const present = 1
const nullLast = 2

/** Microseconds of an interval as PostgreSQL compares it: months of 30 days, days of 24 hours. */
export const intervalMicros = (i: Interval): bigint =>
  (BigInt(i.months) * 30n + BigInt(i.days)) * 86_400_000_000n + BigInt(i.micros)

/** Appends a value's encoding. */
export function writeKey(out: KeyWriter, value: Value, type: DataType, nullsFirst = false): void {
  if (value === null) return out.byte(nullsFirst ? nullFirst : nullLast)
  out.byte(present)
  writePresent(out, value, type)
}
function writePresent(out: KeyWriter, value: Value, type: DataType): void {
  switch (type.kind) {
    case 'boolean':
      return out.byte(value === true || value === 1 ? 1 : 0)
    case 'smallint':
    case 'int':
    case 'real':
    case 'double':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return out.double(value as number)
    case 'bigint':
      return out.integer(value as number | bigint)
    case 'numeric':
      if (typeof value === 'object') return out.decimal((value as Decimal).digits, (value as Decimal).scale)
      return out.decimal(value as number | bigint, type.scale ?? 0)
    case 'text':
    case 'varchar':
    case 'uuid':
    case 'json':
    case 'jsonb':
      return out.text(value as string)
    case 'bytea': {
      const bytes = value as Uint8Array
      return out.slice(bytes, 0, bytes.length)
    }
    case 'interval':
      return out.decimal(intervalMicros(value as Interval), 0)
    case 'array':
      for (const item of value as readonly Value[]) {
        out.byte(1)
        writeKey(out, item, type.of)
      }
      return out.byte(0)
    case 'composite': {
      const fields = value as { readonly [name: string]: Value }
      for (const field of type.fields) writeKey(out, fields[field.name] ?? null, field.type)
    }
  }
}

/** Appends the encoding of a column's row, without making a value of it where the column's storage allows. */
export function writeColumn(out: KeyWriter, column: Column, row: number, type: DataType, nullsFirst = false): void {
  if (column.valid !== null && column.valid[row] === 0) return out.byte(nullsFirst ? nullFirst : nullLast)
  out.byte(present)
  switch (column.kind) {
    case 'f64':
      if (type.kind === 'bigint') return out.integer(column.data[row]!)
      if (type.kind === 'numeric') return out.decimal(column.data[row]!, type.scale ?? 0)
      if (type.kind === 'boolean') return out.byte(column.data[row]!)
      return out.double(column.data[row]!)
    case 'i64':
      if (type.kind === 'numeric') return out.decimal(column.data[row]!, type.scale ?? 0)
      return out.integer(column.data[row]!)
    case 'bytes':
      return out.slice(column.arena, column.from[row]!, column.to[row]!)
    case 'value':
      return writePresent(out, column.data[row]!, type)
  }
}

export interface KeyPart {
  /** Position in the batch's columns. */
  readonly column: number
  readonly type: DataType
  readonly descending?: boolean
  /** Default: NULL is the largest value, so last ascending and first descending. */
  readonly nullsFirst?: boolean
}
/** Encodes columns of a batch's row behind what `out` holds. */
export function keyEncoder(
  parts: readonly KeyPart[],
): (out: KeyWriter, batch: Pick<Batch, 'columns'>, row: number) => void {
  return (out, batch, row) => {
    for (let p = 0; p < parts.length; p++) {
      const part = parts[p]!
      const column = batch.columns[part.column]
      assert(column !== undefined, 'a key column of the batch')
      const nullsFirst = part.nullsFirst ?? part.descending === true
      if (part.descending !== true) {
        writeColumn(out, column, row, part.type, nullsFirst)
        continue
      }
      const from = out.length
      writeColumn(out, column, row, part.type, nullsFirst)
      // The NULL tag stays: it has been chosen for the order wanted.
      for (let i = from + 1; i < out.length; i++) out.bytes[i]! ^= 0xff
    }
  }
}
/** True where one of the columns is NULL: such a row meets nothing in a join. */
export function anyNull(parts: readonly KeyPart[], batch: Batch, row: number): boolean {
  for (let p = 0; p < parts.length; p++) {
    const valid = batch.columns[parts[p]!.column]!.valid
    if (valid !== null && valid[row] === 0) return true
  }
  return false
}

/** Four bytes at a time, mixed as murmur3 does. Part of the state's format: slots are made from it. */
export function hashKey(bytes: Uint8Array, from: number, to: number): number {
  let hash = to - from
  let i = from
  for (; i + 4 <= to; i += 4)
    hash = mixWord(hash, bytes[i]! | (bytes[i + 1]! << 8) | (bytes[i + 2]! << 16) | (bytes[i + 3]! << 24))
  let rest = 0
  for (let shift = 0; i < to; i++, shift += 8) rest |= bytes[i]! << shift
  return mixEnd(mixWord(hash, rest))
}
export function mixWord(hash: number, word: number): number {
  let mixed = Math.imul(word, -862048943)
  mixed = Math.imul((mixed << 15) | (mixed >>> 17), 461845907) ^ hash
  return (Math.imul((mixed << 13) | (mixed >>> 19), 5) - 430675100) | 0
}
export function mixEnd(hash: number): number {
  let mixed = hash ^ (hash >>> 16)
  mixed = Math.imul(mixed, -2048144789)
  mixed ^= mixed >>> 13
  mixed = Math.imul(mixed, -1028477387)
  return mixed ^ (mixed >>> 16)
}
export const slotCount = 64
export const slotOf = (hash: number): number => hash & (slotCount - 1)
