/**
 * AMQP 1.0's types (OASIS, part 1): values together with their types, so that what came as a `ushort` leaves as one. 64-bit
 * numbers and times are bigints. Nothing is allocated before its bytes are there; depth and empty items are bounded.
 */
import { isUtf8 } from 'node:buffer'
import type { ByteWriter } from '../../lib/bytes.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'

interface Typed<T extends string, V> {
  readonly type: T
  readonly value: V
}
export type Simple =
  | Typed<'null', null>
  | Typed<'boolean', boolean>
  | Typed<'ubyte' | 'ushort' | 'uint' | 'byte' | 'short' | 'int' | 'float' | 'double', number>
  | Typed<'ulong' | 'long' | 'timestamp', bigint>
  | Typed<'char' | 'uuid' | 'string' | 'symbol', string>
  | Typed<'binary' | 'decimal32' | 'decimal64' | 'decimal128', Buffer>
export type Entries = readonly (readonly [key: Value, value: Value])[]
export interface ArrayValue extends Typed<'array', readonly Value[]> {
  /** Type of the items; what describes them, where something does. */
  readonly of: TypeName
  readonly descriptor: Value | null
}
export interface Described extends Typed<'described', Value> {
  readonly descriptor: Value
}
export type Value = Simple | Typed<'list', readonly Value[]> | Typed<'map', Entries> | ArrayValue | Described
export type TypeName = Exclude<Value['type'], 'described'>

export const nothing: Value = { type: 'null', value: null }
export const text = (value: string): Value => ({ type: 'string', value })
export const symbol = (value: string): Value => ({ type: 'symbol', value })
export const int = (value: number): Value => ({ type: 'int', value })
export const long = (value: number | bigint): Value => ({ type: 'long', value: BigInt(value) })
export const timestamp = (ms: number): Value => ({ type: 'timestamp', value: BigInt(Math.trunc(ms)) })
export const bool = (value: boolean): Value => ({ type: 'boolean', value })
export const mapOf = (entries: Entries): Value => ({ type: 'map', value: entries })
export const arrayOf = (of: TypeName, value: readonly Value[]): Value => ({
  type: 'array',
  of,
  value,
  descriptor: null,
})

export const malformed = (what: string): Fault => new Fault('wire.malformed', { what: `AMQP: ${what}` })

/** The constructor of each type that has one form of a fixed width, and how wide that is. */
const fixed: Readonly<Partial<Record<TypeName, readonly [code: number, width: number]>>> = {
  null: [0x40, 0],
  boolean: [0x56, 1],
  ubyte: [0x50, 1],
  ushort: [0x60, 2],
  uint: [0x70, 4],
  ulong: [0x80, 8],
  byte: [0x51, 1],
  short: [0x61, 2],
  int: [0x71, 4],
  long: [0x81, 8],
  float: [0x72, 4],
  double: [0x82, 8],
  decimal32: [0x74, 4],
  decimal64: [0x84, 8],
  decimal128: [0x94, 16],
  char: [0x73, 4],
  timestamp: [0x83, 8],
  uuid: [0x98, 16],
}
/** The constructors of types of any width, with 4 bytes of size; 0x10 below stands that with one byte (lists: 0x10 too). */
const variable: Readonly<Partial<Record<TypeName, number>>> = {
  binary: 0xb0,
  string: 0xb1,
  symbol: 0xb3,
  list: 0xd0,
  map: 0xd1,
  array: 0xf0,
}
const typeOfCode = new Map<number, TypeName>()
for (const [name, entry] of Object.entries(fixed)) typeOfCode.set(entry[0], name as TypeName)
for (const [name, code] of Object.entries(variable)) {
  typeOfCode.set(code, name as TypeName)
  typeOfCode.set(code - 0x10, name as TypeName)
}
for (const [code, name] of [
  [0x41, 'boolean'],
  [0x42, 'boolean'],
  [0x43, 'uint'],
  [0x44, 'ulong'],
  [0x45, 'list'],
  [0x52, 'uint'],
  [0x53, 'ulong'],
  [0x54, 'int'],
  [0x55, 'long'],
] as const)
  typeOfCode.set(code, name)

/** Reads values one behind another. */
export class ValueReader {
  readonly bytes: Buffer
  at: number
  readonly end: number
  /** Items without a byte of their own that may still come, over all values that lie in this one's bytes. */
  #emptyLeft: number = limits.emptyItems

  constructor(bytes: Buffer, at = 0, end = bytes.length) {
    this.bytes = bytes
    this.at = at
    this.end = end
  }
  get left(): number {
    return this.end - this.at
  }
  value(depth = 0): Value {
    if (depth > limits.amqpDepth) throw malformed('values are nested too deeply')
    const code = this.#byte()
    if (code !== 0) return this.#ofCode(code, depth)
    const descriptor = this.value(depth + 1)
    return { type: 'described', descriptor, value: this.value(depth + 1) }
  }

  #take(count: number): number {
    const from = this.at
    if (count > this.end - from) throw malformed(`${count} bytes wanted, ${this.end - from} left`)
    this.at = from + count
    return from
  }
  #byte(): number {
    return this.bytes[this.#take(1)]!
  }
  #size(code: number): number {
    return (code & 0x10) === 0 ? this.#byte() : this.bytes.readUInt32BE(this.#take(4))
  }
  #ofCode(code: number, depth: number): Value {
    const type = typeOfCode.get(code)
    if (type === undefined) throw malformed(`there is no type 0x${code.toString(16)}`)
    if (code >= 0xa0 || code === 0x45) return this.#variable(type, code, depth)
    return this.#fixed(type, code)
  }
  #fixed(type: TypeName, code: number): Value {
    const { bytes } = this
    const at = this.#take(widthOf(code))
    switch (type) {
      case 'null':
        return nothing
      case 'boolean':
        return { type, value: code === 0x56 ? bytes[at] === 1 : code === 0x41 }
      case 'ubyte':
        return { type, value: bytes[at]! }
      case 'ushort':
        return { type, value: bytes.readUInt16BE(at) }
      case 'uint':
        return { type, value: code === 0x70 ? bytes.readUInt32BE(at) : code === 0x52 ? bytes[at]! : 0 }
      case 'ulong':
        return { type, value: code === 0x80 ? bytes.readBigUInt64BE(at) : code === 0x53 ? BigInt(bytes[at]!) : 0n }
      case 'byte':
        return { type, value: bytes.readInt8(at) }
      case 'short':
        return { type, value: bytes.readInt16BE(at) }
      case 'int':
        return { type, value: code === 0x71 ? bytes.readInt32BE(at) : bytes.readInt8(at) }
      case 'long':
        return { type, value: code === 0x81 ? bytes.readBigInt64BE(at) : BigInt(bytes.readInt8(at)) }
      case 'timestamp':
        return { type, value: bytes.readBigInt64BE(at) }
      case 'float':
        return { type, value: bytes.readFloatBE(at) }
      case 'double':
        return { type, value: bytes.readDoubleBE(at) }
      case 'char':
        return { type, value: charOf(bytes.readUInt32BE(at)) }
      case 'uuid':
        return { type, value: uuidText(bytes, at) }
      case 'decimal32':
      case 'decimal64':
      case 'decimal128':
        return { type, value: bytes.subarray(at, this.at) }
      default:
        throw malformed(`0x${code.toString(16)} is no type of a fixed width`)
    }
  }
  #variable(type: TypeName, code: number, depth: number): Value {
    const { bytes } = this
    if (code === 0x45) return { type: 'list', value: [] }
    const size = this.#size(code)
    const from = this.#take(size)
    const to = this.at
    switch (type) {
      case 'binary':
        return { type, value: bytes.subarray(from, to) }
      case 'string':
        if (!isUtf8(bytes.subarray(from, to))) throw malformed('a string that is not UTF-8')
        return { type, value: bytes.toString('utf8', from, to) }
      case 'symbol':
        return { type, value: bytes.toString('latin1', from, to) }
      case 'list':
      case 'map':
      case 'array': {
        const inner = new ValueReader(bytes, from, to)
        inner.#emptyLeft = this.#emptyLeft
        const found = inner.#compound(type, inner.#size(code), depth + 1)
        this.#emptyLeft = inner.#emptyLeft
        if (inner.at !== to) throw malformed(`${to - inner.at} bytes behind the last item of a ${type}`)
        return found
      }
      default:
        throw malformed(`0x${code.toString(16)} is no type of any width`)
    }
  }
  #compound(type: 'list' | 'map' | 'array', count: number, depth: number): Value {
    if (type === 'array') return this.#array(count, depth)
    // Each item is one byte at least.
    if (count > this.left) throw malformed(`${count} items in ${this.left} bytes`)
    if (type === 'list') return { type, value: Array.from({ length: count }, () => this.value(depth)) }
    if (count % 2 !== 0) throw malformed('a map with a key that has no value')
    return {
      type,
      value: Array.from({ length: count / 2 }, () => [this.value(depth), this.value(depth)] as const),
    }
  }
  #array(count: number, depth: number): Value {
    if (depth > limits.amqpDepth) throw malformed('values are nested too deeply')
    let code = this.#byte()
    let descriptor: Value | null = null
    if (code === 0) {
      descriptor = this.value(depth)
      code = this.#byte()
    }
    const of = typeOfCode.get(code)
    if (of === undefined) throw malformed(`there is no type 0x${code.toString(16)}`)
    const isEmpty = code < 0x50
    if (count > (isEmpty ? this.#emptyLeft : this.left)) throw malformed(`${count} items in ${this.left} bytes`)
    if (isEmpty) this.#emptyLeft -= count
    const value = Array.from({ length: count }, () => this.#ofCode(code, depth))
    return { type: 'array', of, descriptor, value }
  }
}
const widthOf = (code: number): number =>
  code < 0x50 ? 0 : code < 0x60 ? 1 : code < 0x70 ? 2 : code < 0x80 ? 4 : code < 0x90 ? 8 : 16
function charOf(point: number): string {
  if (point > 0x10ffff || (point >= 0xd800 && point < 0xe000)) throw malformed(`there is no character ${point}`)
  return String.fromCodePoint(point)
}
function uuidText(bytes: Buffer, at: number): string {
  const hex = bytes.toString('hex', at, at + 16)
  return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
}

/** Where the value that begins at `at` ends, without looking into it. */
export function skipValue(bytes: Buffer, at: number, end: number): number {
  let code = 0
  // A described value is its descriptor and its value: two more to skip, for one.
  for (let left = 1; left > 0; left--) {
    if (at >= end) throw malformed('a value is missing')
    code = bytes[at++]!
    if (code === 0) {
      left += 2
      if (left > limits.amqpDepth) throw malformed('values are nested too deeply')
      continue
    }
    if (code < 0x40) throw malformed(`there is no type 0x${code.toString(16)}`)
    const room = end - at
    if (code < 0xa0) at += widthOf(code)
    else if ((code & 0x10) === 0) at += room < 1 ? 1 : 1 + bytes[at]!
    else at += room < 4 ? 4 : 4 + bytes.readUInt32BE(at)
    if (at > end) throw malformed('a value is longer than what it lies in')
  }
  return at
}

/** Any value with its constructor, in its shortest form. */
export function writeValue(out: ByteWriter, given: Value): void {
  switch (given.type) {
    case 'described':
      byte(out, 0)
      writeValue(out, given.descriptor)
      return writeValue(out, given.value)
    case 'null':
      return byte(out, 0x40)
    case 'boolean':
      return byte(out, given.value ? 0x41 : 0x42)
    case 'uint':
      return writeUint(out, given.value)
    case 'ulong':
      if (given.value === 0n) return byte(out, 0x44)
      if (given.value < 256n) return two(out, 0x53, Number(given.value))
      break
    case 'int':
      if (given.value >= -128 && given.value < 128) return two(out, 0x54, given.value & 0xff)
      break
    case 'long':
      if (given.value >= -128n && given.value < 128n) return two(out, 0x55, Number(given.value) & 0xff)
      break
    case 'string':
      return writeText(out, given.value)
    case 'symbol':
      return writeShort(out, 0xa3, Buffer.from(given.value, 'latin1'))
    case 'binary':
      return writeShort(out, 0xa0, given.value)
    case 'list':
      if (given.value.length === 0) return byte(out, 0x45)
      return writeCompound(out, 0xc0, given.value.length, () => given.value.forEach((item) => writeValue(out, item)))
    case 'map':
      return writeMap(out, given.value)
    case 'array':
      return writeCompound(out, 0xe0, given.value.length, () => writeItems(out, given))
    default:
  }
  byte(out, codeOf(given.type))
  writeFixed(out, given)
}
export function writeMap(out: ByteWriter, entries: Entries): void {
  writeCompound(out, 0xc1, entries.length * 2, () => {
    for (const [key, value] of entries) {
      writeValue(out, key)
      writeValue(out, value)
    }
  })
}
export function writeUint(out: ByteWriter, value: number): void {
  if (value === 0) return byte(out, 0x43)
  if (value < 256) return two(out, 0x52, value)
  byte(out, 0x70)
  out.uint32(value)
}
export function writeText(out: ByteWriter, value: string): void {
  const length = Buffer.byteLength(value)
  out.reserve(5 + length)
  writeSize(out, 0xa1, length)
  out.at += out.buffer.write(value, out.at)
}
function writeShort(out: ByteWriter, code: number, bytes: Uint8Array): void {
  out.reserve(5 + bytes.length)
  writeSize(out, code, bytes.length)
  out.raw(bytes)
}
/** The constructor and size of what has any width; `code` is that of the short form. There is room for 5 bytes. */
export function writeSize(out: ByteWriter, code: number, size: number): void {
  const { buffer } = out
  if (size < 256) {
    buffer[out.at++] = code
    buffer[out.at++] = size
    return
  }
  buffer[out.at++] = code + 0x10
  out.at = buffer.writeUInt32BE(size, out.at)
}
/** Whatever `items` writes, between its constructor with size and count; `code` is that of the short form. */
export function writeCompound(out: ByteWriter, code: number, count: number, items: () => void): void {
  out.reserve(9)
  const start = out.at
  out.at += 3
  items()
  const length = out.at - start - 3
  if (length < 255 && count < 256) {
    const { buffer } = out
    buffer[start] = code
    buffer[start + 1] = length + 1
    buffer[start + 2] = count
    return
  }
  out.reserve(6)
  const { buffer } = out
  buffer.copyWithin(start + 9, start + 3, out.at)
  buffer[start] = code + 0x10
  buffer.writeUInt32BE(length + 4, start + 1)
  buffer.writeUInt32BE(count, start + 5)
  out.at += 6
}
function writeItems(out: ByteWriter, { of, descriptor, value }: ArrayValue): void {
  if (descriptor !== null) {
    byte(out, 0)
    writeValue(out, descriptor)
  }
  byte(out, codeOf(of))
  for (const item of value) {
    if (item.type !== of) throw malformed(`an array of ${of} with a ${item.type}`)
    writeItem(out, item)
  }
}
/** Without a constructor, in the longest form. */
function writeItem(out: ByteWriter, item: Exclude<Value, Described>): void {
  const bytes =
    item.type === 'string'
      ? Buffer.from(item.value)
      : item.type === 'symbol'
        ? Buffer.from(item.value, 'latin1')
        : item.type === 'binary'
          ? item.value
          : null
  if (bytes !== null) {
    out.uint32(bytes.length)
    return out.raw(bytes)
  }
  if (item.type !== 'list' && item.type !== 'map' && item.type !== 'array') return writeFixed(out, item)
  out.reserve(8)
  const start = out.at
  out.at += 4
  out.uint32(item.type === 'map' ? item.value.length * 2 : item.value.length)
  if (item.type === 'array') writeItems(out, item)
  else if (item.type === 'list') item.value.forEach((one) => writeValue(out, one))
  else item.value.forEach((pair) => pair.forEach((one) => writeValue(out, one)))
  out.buffer.writeUInt32BE(out.at - start - 4, start)
}
function writeFixed(out: ByteWriter, given: Exclude<Value, Described>): void {
  out.reserve(16)
  const { buffer } = out
  switch (given.type) {
    case 'null':
      return
    case 'boolean':
      return byte(out, given.value ? 1 : 0)
    case 'ubyte':
    case 'byte':
      return byte(out, given.value & 0xff)
    case 'ushort':
      return out.uint16(given.value)
    case 'short':
      return out.int16(given.value)
    case 'uint':
      return out.uint32(given.value)
    case 'int':
      return out.int32(given.value)
    case 'ulong':
      out.at = buffer.writeBigUInt64BE(given.value, out.at)
      return
    case 'long':
    case 'timestamp':
      out.at = buffer.writeBigInt64BE(given.value, out.at)
      return
    case 'float':
      out.at = buffer.writeFloatBE(given.value, out.at)
      return
    case 'double':
      return out.float64(given.value)
    case 'char':
      return out.uint32(given.value.codePointAt(0) ?? 0)
    case 'uuid':
      out.at += buffer.write(given.value.replaceAll('-', '').padEnd(32, '0').slice(0, 32), out.at, 'hex')
      return
    case 'decimal32':
    case 'decimal64':
    case 'decimal128':
      return out.raw(given.value)
    default:
      throw malformed(`${given.type} has no fixed width`)
  }
}
function codeOf(type: TypeName): number {
  return fixed[type]?.[0] ?? variable[type]!
}
function byte(out: ByteWriter, value: number): void {
  out.reserve(1)
  out.buffer[out.at++] = value
}
function two(out: ByteWriter, first: number, second: number): void {
  out.reserve(2)
  out.buffer[out.at++] = first
  out.buffer[out.at++] = second
}

/** The value of a key in a map, whether it is a symbol or a string. */
export function entryOf(entries: Entries | null, key: string): Value | null {
  if (entries === null) return null
  for (const [name, value] of entries)
    if ((name.type === 'symbol' || name.type === 'string') && name.value === key) return value
  return null
}
export const textOf = (value: Value | null | undefined): string | null =>
  value?.type === 'string' || value?.type === 'symbol' ? value.value : null
/** Of any whole number that a double can hold. */
export function numberOf(value: Value | null | undefined): number | null {
  const found = value?.value
  if (typeof found === 'number') return found
  return typeof found === 'bigint' && found <= Number.MAX_SAFE_INTEGER && found >= Number.MIN_SAFE_INTEGER
    ? Number(found)
    : null
}
