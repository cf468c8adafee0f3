/** Values of any form as bytes that describe themselves: rows of state in changelogs, partials of aggregates. */
import { ByteReader, ByteWriter } from '../lib/bytes.ts'
import { Fault } from '../lib/fault.ts'
import type { Value } from './expression.ts'

const tag = {
  null: 0,
  false: 1,
  true: 2,
  integer: 3,
  double: 4,
  bigint: 5,
  text: 6,
  bytes: 7,
  array: 8,
  object: 9,
} as const

export function writeValue(out: ByteWriter, value: Value): void {
  if (value === null) return out.int8(tag.null)
  switch (typeof value) {
    case 'boolean':
      return out.int8(value ? tag.true : tag.false)
    case 'number':
      return writeNumber(out, value)
    case 'bigint': {
      out.int8(tag.bigint)
      return writeText(out, value.toString(36))
    }
    case 'string':
      out.int8(tag.text)
      return writeText(out, value)
    default:
      return writeObject(out, value)
  }
}
/** Small where it is a whole number; −0 stays −0. */
export function writeNumber(out: ByteWriter, value: number): void {
  // A varint is exact below 2^52: its sign takes a bit.
  if (Math.abs(value) < 2 ** 52 && Number.isInteger(value) && !Object.is(value, -0)) {
    out.int8(tag.integer)
    return out.varint(value)
  }
  out.int8(tag.double)
  out.float64(value)
}
/** Numbers up to this are their own first byte. */
const smallMax = 0xf0
const ofTwo = 0xf1
const ofFour = 0xf2
const ofEight = 0xf3
/** Number fields of a row of state: small whole numbers in 1, 3 or 5 bytes, everything else as a double. */
export function writeRowNumbers(out: ByteWriter, numbers: Float64Array, from: number, to: number): void {
  out.reserve((to - from) * 9)
  const { buffer, view } = out
  let { at } = out
  for (let i = from; i < to; i++) {
    const value = numbers[i]!
    const small = value | 0
    if (small !== value || (small === 0 && Object.is(value, -0))) {
      buffer[at] = ofEight
      view.setFloat64(at + 1, value, true)
      at += 9
    } else if (small >= 0 && small <= smallMax) buffer[at++] = small
    else if (small === (small << 16) >> 16) {
      buffer[at] = ofTwo
      buffer[at + 1] = small
      buffer[at + 2] = small >> 8
      at += 3
    } else {
      buffer[at] = ofFour
      view.setInt32(at + 1, small, true)
      at += 5
    }
  }
  out.at = at
}
export function readRowNumber(input: ByteReader): number {
  const first = input.uint8()
  if (first <= smallMax) return first
  switch (first) {
    case ofTwo:
      return input.raw(2).readInt16LE(0)
    case ofFour:
      return input.raw(4).readInt32LE(0)
    case ofEight:
      return input.raw(8).readDoubleLE(0)
    default:
      throw new Fault('wire.malformed', { what: `a number of kind ${first}` })
  }
}
function writeText(out: ByteWriter, text: string): void {
  const bytes = Buffer.from(text, 'utf8')
  out.uvarint(bytes.length)
  out.raw(bytes)
}
function writeObject(out: ByteWriter, value: Exclude<Value, null | boolean | number | bigint | string>): void {
  if (value instanceof Uint8Array) {
    out.int8(tag.bytes)
    out.uvarint(value.length)
    return out.raw(value)
  }
  if (Array.isArray(value)) {
    out.int8(tag.array)
    out.uvarint(value.length)
    for (const item of value as readonly Value[]) writeValue(out, item)
    return
  }
  const fields = Object.entries(value as { readonly [name: string]: Value })
  out.int8(tag.object)
  out.uvarint(fields.length)
  for (const [name, field] of fields) {
    writeText(out, name)
    writeValue(out, field)
  }
}

export function readValue(input: ByteReader): Value {
  const kind = input.int8()
  switch (kind) {
    case tag.null:
      return null
    case tag.false:
      return false
    case tag.true:
      return true
    case tag.integer:
      return input.varint()
    case tag.double:
      return input.float64()
    case tag.bigint:
      return parseBase36(input.utf8(input.uvarint()))
    case tag.text:
      return input.utf8(input.uvarint())
    case tag.bytes:
      // A copy: what it was read from is not kept for it.
      return Buffer.from(input.raw(input.uvarint()))
    case tag.array: {
      const items: Value[] = []
      for (let count = input.uvarint(); count > 0; count--) items.push(readValue(input))
      return items
    }
    case tag.object: {
      const fields: [string, Value][] = []
      for (let count = input.uvarint(); count > 0; count--) fields.push([input.utf8(input.uvarint()), readValue(input)])
      return Object.fromEntries(fields)
    }
    default:
      throw new Fault('wire.malformed', { what: `a value of kind ${kind}` })
  }
}
function parseBase36(text: string): bigint {
  const negative = text.startsWith('-')
  let value = 0n
  for (let i = negative ? 1 : 0; i < text.length; i += 10) {
    const part = text.slice(i, i + 10)
    value = value * 36n ** BigInt(part.length) + BigInt(Number.parseInt(part, 36))
  }
  return negative ? -value : value
}
