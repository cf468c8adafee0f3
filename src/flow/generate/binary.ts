/** What generated decoders of Avro and Protobuf call: for numbers of many bytes, and for what is not worth its own text. */
import { isUtf8 } from 'node:buffer'
import type { AvroNode } from '../../schema/formats/avro.ts'
import type { ProtoEnum, ProtoField } from '../../schema/formats/protobuf.ts'
import type { DataType } from '../../schema/types.ts'
import type { BytesBuilder, ColumnBuilder, NumberBuilder } from '../columns.ts'
import { Malformed, Misfit, type ValueReader } from '../decode-value.ts'
import { appended } from './json-scalars.ts'
import type { Value } from '../expression.ts'
import { skipAvro } from '../formats/avro.ts'
import { BinaryReader } from '../formats/binary.ts'
import { wire, wireOf } from '../formats/protobuf.ts'

/** Beside a number that a function gives: where it ended, and the number where no double holds it; both null: malformed. */
export const cursor = { at: 0, wide: null as bigint | null }
const malformed = (): number => {
  cursor.wide = null
  return NaN
}
const wide = (value: bigint): number => {
  if (value >= -9007199254740991n && value <= 9007199254740991n) return Number(value)
  cursor.wide = value
  return NaN
}
const perFour = 2 ** 28
/** What is left of a varint behind its first 28 bits, as a multiple of them; −1: it is longer than 64 bits. */
function restOf(b: Buffer, at: number): number {
  let high = 0
  for (let i = 0; i < 6; i++) {
    const c = b[at++]
    if (c === undefined) break
    high += (c & 127) * 2 ** (7 * i)
    if (c < 128) {
      cursor.at = at
      return high
    }
  }
  cursor.at = at
  return -1
}
const whole = (low: number, high: number): bigint => BigInt.asUintN(64, BigInt(low) + (BigInt(high) << 28n))
const safeHigh = 2 ** 24
export function restUint64(b: Buffer, at: number, low: number): number {
  const high = restOf(b, at)
  if (high < 0) return malformed()
  return high < safeHigh ? low + high * perFour : wide(whole(low, high))
}
export function restInt64(b: Buffer, at: number, low: number): number {
  const high = restOf(b, at)
  if (high < 0) return malformed()
  return high < safeHigh ? low + high * perFour : wide(BigInt.asIntN(64, whole(low, high)))
}
export function restSint64(b: Buffer, at: number, low: number): number {
  const high = restOf(b, at)
  if (high < 0) return malformed()
  if (high < safeHigh) {
    const v = low + high * perFour
    return v % 2 === 0 ? v / 2 : -(v + 1) / 2
  }
  const v = whole(low, high)
  return wide((v & 1n) === 0n ? v >> 1n : -((v + 1n) >> 1n))
}
export function restInt32(b: Buffer, at: number, low: number): number {
  const high = restOf(b, at)
  return high < 0 ? malformed() : low | ((high % 16) << 28)
}
export function restUint32(b: Buffer, at: number, low: number): number {
  return restInt32(b, at, low) >>> 0
}
export function restSint32(b: Buffer, at: number, low: number): number {
  const v = restInt32(b, at, low)
  return (v >>> 1) ^ -(v & 1)
}
export function restBool(b: Buffer, at: number, low: number): number {
  const high = restOf(b, at)
  if (high < 0) return malformed()
  return whole(low, high) === 0n ? 0 : 1
}
/** Behind a varint whose first byte is passed; −1: longer than 64 bits. */
export function varintPassed(b: Buffer, at: number): number {
  for (let i = 0; i < 9; i++) if (!(b[at++]! > 127)) return at
  return -1
}
/** The tag whose first 14 bits are known; −1: it is none. */
export function restTag(b: Buffer, at: number, low: number): number {
  let tag = low
  for (let i = 2; i < 10; i++) {
    const c = b[at++]
    if (c === undefined) return -1
    tag += (c & 127) * 2 ** (7 * i)
    if (c < 128) {
      cursor.at = at
      return tag > 0xffffffff ? -1 : tag
    }
  }
  return -1
}
export function fixedInt64(view: DataView, at: number): number {
  const high = view.getInt32(at + 4, true)
  const isSafe = high >= -0x20_0000 && high < 0x20_0000
  return isSafe ? high * 0x1_0000_0000 + view.getUint32(at, true) : wide(view.getBigInt64(at, true))
}
export function fixedUint64(view: DataView, at: number): number {
  const high = view.getUint32(at + 4, true)
  return high < 0x20_0000 ? high * 0x1_0000_0000 + view.getUint32(at, true) : wide(view.getBigUint64(at, true))
}

/** All of it is UTF-8: four bytes at a time as long as they are ASCII. */
export function isText(b: Buffer, view: DataView, from: number, to: number): boolean {
  let at = from
  for (; at + 4 <= to; at += 4) if ((view.getInt32(at, true) & 0x80808080) !== 0) return isUtf8(b.subarray(at, to))
  for (; at < to; at++) if (b[at]! > 127) return isUtf8(b.subarray(at, to))
  return true
}
/** The key says this number, as its text. */
export function isKeyNumber(b: Buffer, from: number, to: number, value: number): boolean {
  return b.toString('latin1', from, to) === String(value)
}
/** Two's complement of few bytes, the highest first; NaN: none, or too many. */
export function decimalNumber(b: Buffer, from: number, to: number): number {
  return to > from && to - from <= 6 ? b.readIntBE(from, to - from) : NaN
}

const reader = new BinaryReader()
/** Behind a value; −1: it is malformed, or deeper than it may be. */
export function avroPassed(b: Buffer, at: number, end: number, node: AvroNode, depth: number): number {
  try {
    skipAvro(reader.open(b, at, end), node, depth)
    return reader.at
  } catch (error) {
    if (error instanceof Malformed || error instanceof Misfit) return -1
    throw error
  }
}
/** Behind the occurrences of one field that follow each other, from the first one's tag on; −1: malformed. */
export function occurrencesPassed(b: Buffer, at: number, end: number, field: ProtoField): number {
  const tag = field.number * 8 + wireOf(field.kind)
  const packed = field.form === 'repeated' ? field.number * 8 + wire.bytes : tag
  const r = reader.open(b, at, end)
  try {
    while (r.at < end) {
      at = r.at
      const next = Number(r.varint())
      if (next !== tag && next !== packed) return at
      const type = next % 8
      if (type === wire.varint) r.skipVarint()
      else if (type === wire.fixed64) r.take(8)
      else if (type === wire.fixed32) r.take(4)
      else {
        const length = Number(r.varint())
        if (length > end - r.at) return -1
        r.take(length)
      }
    }
    return r.at
  } catch (error) {
    if (error instanceof Malformed) return -1
    throw error
  }
}
/** µs of a Timestamp as everybody writes it; NaN: written in another way, or no time. */
export function instantOf(b: Buffer, from: number, to: number): number {
  let seconds = 0
  let nanos = 0
  let at = from
  if (at < to && b[at] === 8) {
    let low = 0
    let shift = 0
    for (at++; ; shift += 7) {
      const c = b[at++]!
      low += (c & 127) * 2 ** shift
      if (c < 128) break
      if (shift === 42) return NaN
    }
    seconds = low
  }
  if (at < to && b[at] === 16) {
    let low = 0
    let shift = 0
    for (at++; ; shift += 7) {
      const c = b[at++]!
      low += (c & 127) * 2 ** shift
      if (c < 128) break
      if (shift === 28) return NaN
    }
    nanos = low
  }
  if (at !== to || nanos > 999_999_999 || seconds > 9_007_199_254) return NaN
  return seconds * 1_000_000 + Math.floor(nanos / 1000)
}
export const enumName = ({ byNumber, isClosed }: ProtoEnum, value: number): string | null =>
  byNumber.get(value) ?? (isClosed ? null : String(value))

// Puts a value into a row as a complete reader does.

/** Of a column whose rows are written into arrays. */
export function put(
  read: ValueReader,
  b: Buffer,
  from: number,
  to: number,
  builder: ColumnBuilder,
  row: number,
): boolean {
  ;(builder as NumberBuilder | BytesBuilder).count = row
  return appended(read, b, from, to, builder)
}
export function putValue(value: Value, builder: ColumnBuilder, row: number): void {
  ;(builder as NumberBuilder | BytesBuilder).count = row
  builder.push(value)
}
export const isNull = (builder: ColumnBuilder, type: DataType): boolean => builder.last(type) === null
