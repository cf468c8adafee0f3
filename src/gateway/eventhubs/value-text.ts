/** AMQP values as the text of a record's header and back, and as JSON for readers that know no AMQP. */
import { isUtf8 } from 'node:buffer'
import { ByteWriter } from '../../lib/bytes.ts'
import { type Value, ValueReader, nothing, writeValue } from '../../wire/amqp/values.ts'

/** What is not one simple value is kept as its bytes. */
export function plainText(given: Value): Buffer {
  switch (given.type) {
    case 'binary':
    case 'decimal32':
    case 'decimal64':
    case 'decimal128':
      return given.value
    case 'timestamp':
      return Buffer.from(timeText(given.value))
    case 'described':
    case 'list':
    case 'map':
    case 'array': {
      const out = new ByteWriter(64)
      writeValue(out, given)
      return Buffer.from(out.done())
    }
    case 'double':
    case 'float':
      return Buffer.from(Object.is(given.value, -0) ? '-0' : String(given.value))
    default:
      return Buffer.from(String(given.value))
  }
}
/** The other way; text that is not of the type it is said to be stays text. */
export function valueOfText(bytes: Buffer, type: string): Value {
  const text = bytes.toString()
  switch (type) {
    case 'null':
      return nothing
    case 'boolean':
      return text === 'true' || text === 'false' ? { type, value: text === 'true' } : asIs(bytes)
    case 'ubyte':
    case 'ushort':
    case 'uint':
    case 'byte':
    case 'short':
    case 'int':
      return inRange(type, Number(text)) ? { type, value: Number(text) } : asIs(bytes)
    case 'float':
    case 'double':
      return text !== '' && (text === 'NaN' || !Number.isNaN(Number(text)))
        ? { type, value: Number(text) }
        : asIs(bytes)
    case 'ulong':
    case 'long': {
      if (!/^-?\d{1,20}$/.test(text)) return asIs(bytes)
      const value = BigInt(text)
      const fits = type === 'long' ? BigInt.asIntN(64, value) === value : BigInt.asUintN(64, value) === value
      return fits ? { type, value } : asIs(bytes)
    }
    case 'timestamp': {
      const ms = /^-?\d{1,19}$/.test(text) ? BigInt.asIntN(64, BigInt(text)) : Date.parse(text)
      return Number.isNaN(Number(ms)) ? asIs(bytes) : { type, value: BigInt(ms) }
    }
    case 'uuid':
      return /^[\da-f]{8}(-[\da-f]{4}){3}-[\da-f]{12}$/i.test(text) ? { type, value: text } : asIs(bytes)
    case 'char':
      return text !== '' && String.fromCodePoint(text.codePointAt(0)!) === text ? { type, value: text } : asIs(bytes)
    case 'symbol':
      return { type, value: text }
    case 'binary':
      return { type, value: bytes }
    case 'decimal32':
    case 'decimal64':
    case 'decimal128':
      return bytes.length === Number(type.slice(7)) / 8 ? { type, value: bytes } : asIs(bytes)
    case 'described':
    case 'list':
    case 'map':
    case 'array':
      return decoded(bytes)
    default:
      return asIs(bytes)
  }
}
/** Text, or bytes where it is none. */
export const asIs = (bytes: Buffer): Value =>
  isUtf8(bytes) ? { type: 'string', value: bytes.toString() } : { type: 'binary', value: bytes }
function decoded(bytes: Buffer): Value {
  try {
    const reader = new ValueReader(bytes)
    const value = reader.value()
    return reader.left === 0 ? value : asIs(bytes)
  } catch {
    return asIs(bytes)
  }
}
const ranges: Readonly<Record<string, readonly [number, number]>> = {
  ubyte: [0, 0xff],
  ushort: [0, 0xffff],
  uint: [0, 0xffff_ffff],
  byte: [-0x80, 0x7f],
  short: [-0x8000, 0x7fff],
  int: [-0x8000_0000, 0x7fff_ffff],
}
const inRange = (type: string, value: number): boolean =>
  Number.isInteger(value) && value >= ranges[type]![0] && value <= ranges[type]![1]
/** As a date where it is one. */
function timeText(ms: bigint): string {
  const date = new Date(Number(ms))
  return Number.isNaN(date.getTime()) ? String(ms) : date.toISOString()
}

/** Whole numbers beyond what JSON readers hold exactly, and what JSON has no form for, are text; bytes are base64. */
export function jsonOf(given: Value): unknown {
  switch (given.type) {
    case 'described':
      return jsonOf(given.value)
    case 'list':
    case 'array':
      return given.value.map(jsonOf)
    case 'map':
      return Object.fromEntries(given.value.map(([key, value]) => [plainText(key).toString(), jsonOf(value)]))
    case 'ulong':
    case 'long':
      return Number.isSafeInteger(Number(given.value)) ? Number(given.value) : String(given.value)
    case 'float':
    case 'double':
      return Number.isFinite(given.value) ? given.value : String(given.value)
    case 'timestamp':
      return timeText(given.value)
    case 'binary':
    case 'decimal32':
    case 'decimal64':
    case 'decimal128':
      return { base64: given.value.toString('base64') }
    default:
      return given.value
  }
}
