/**
 * Protocol Buffers messages (proto3) as values: declared once, the TypeScript type, encoder and decoder are derived. Names
 * are those of the proto file in camel case. What was not sent is its default: '' or 0, an empty list or map, null for a
 * message. Unknown fields are passed over.
 */
import { isUtf8 } from 'node:buffer'
import { ByteReader, ByteWriter } from '../../lib/bytes.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'

type ScalarName = 'string' | 'bytes' | 'bool' | 'int32' | 'int64'
export type FieldType =
  | { readonly is: 'scalar'; readonly scalar: ScalarName }
  | { readonly is: 'enum'; readonly names: ReadonlyMap<number, string>; readonly numbers: ReadonlyMap<string, number> }
  | { readonly is: 'message'; readonly message: Message<object> }
type Label = 'one' | 'list' | 'map'
/** `T` is what it holds when decoded. */
export interface Field<T> {
  readonly number: number
  readonly type: FieldType
  readonly label: Label
  readonly empty: () => T
}
type Fields = Readonly<Record<string, Field<unknown>>>
type Decoded<F extends Fields> = { readonly [K in keyof F]: F[K] extends Field<infer T> ? T : never }

export interface NamedField {
  /** In camel case. */
  readonly name: string
  /** As in the proto file. */
  readonly protoName: string
  readonly field: Field<unknown>
}
export interface Message<T> {
  readonly name: string
  readonly fields: readonly NamedField[]
  readonly byNumber: readonly (NamedField | undefined)[]
  /** In place of an object of its fields in JSON. */
  readonly json: JsonForm | null
  /** Never set: carries the type. */
  readonly __type?: T
}
export interface JsonForm {
  to(value: object): unknown
  /** Throws TypeError with what is wrong. */
  from(json: unknown): object
}
export type Of<M> = M extends Message<infer T> ? T : never
/** To encode, what is left out is the default. */
export type Input<T> = { readonly [K in keyof T]?: T[K] extends object | null ? InputValue<T[K]> : T[K] }
type InputValue<V> = V extends Uint8Array | ReadonlyMap<string, string> | null | string | number | boolean
  ? V
  : V extends readonly (infer I)[]
    ? readonly InputValue<I>[]
    : V extends object
      ? Input<V>
      : V

const noBytes: Uint8Array = new Uint8Array(0)
const noList: readonly never[] = []
const noMap: ReadonlyMap<string, string> = new Map<string, string>()
const scalar =
  <T>(name: ScalarName, empty: T) =>
  (number: number): Field<T> => ({ number, type: { is: 'scalar', scalar: name }, label: 'one', empty: () => empty })
export const string = scalar<string>('string', '')
export const bytes = scalar<Uint8Array>('bytes', noBytes)
export const bool = scalar<boolean>('bool', false)
export const int32 = scalar<number>('int32', 0)
/** Beyond 2^53 not exact. */
export const int64 = scalar<number>('int64', 0)
export const stringMap = (number: number): Field<ReadonlyMap<string, string>> => ({
  number,
  type: { is: 'scalar', scalar: 'string' },
  label: 'map',
  empty: () => noMap,
})
/** The name of a number; the number as text where it has none. */
export function enumOf<N extends string>(number: number, names: Readonly<Record<N, number>>): Field<N> {
  const entries = Object.entries<number>(names)
  const type = {
    is: 'enum' as const,
    names: new Map(entries.map(([name, value]) => [value, name])),
    numbers: new Map(entries),
  }
  const [first] = entries[0]!
  return { number, type, label: 'one', empty: () => first as N }
}
export const sub = <T extends object>(number: number, message: Message<T>): Field<T | null> => ({
  number,
  type: { is: 'message', message },
  label: 'one',
  empty: () => null,
})
/** Of a scalar or of messages. */
export function list<T extends object>(number: number, of: Message<T>): Field<readonly T[]>
export function list<T>(of: Field<T>): Field<readonly T[]>
export function list(of: number | Field<unknown>, message?: Message<object>): Field<readonly unknown[]> {
  const field = typeof of === 'number' ? sub(of, message!) : of
  return { number: field.number, type: field.type, label: 'list', empty: () => noList }
}

const snake = (name: string): string => name.replaceAll(/[A-Z]/g, (letter) => `_${letter.toLowerCase()}`)
export function message<F extends Fields>(name: string, fields: F, json: JsonForm | null = null): Message<Decoded<F>> {
  const named = Object.entries(fields).map(([field, value]) => ({
    name: field,
    protoName: snake(field),
    field: value,
  }))
  const byNumber: NamedField[] = []
  for (const one of named) byNumber[one.field.number] = one
  return { name, fields: named, byNumber, json }
}

// --- writing

const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

export function encode<T extends object>(type: Message<T>, value: Input<T>): Buffer {
  const out = new ByteWriter(256)
  writeMessage(out, type, value as Record<string, unknown>)
  return out.done()
}
/** A whole number as a varint of 64 bits, negative ones as two's complement. */
function writeVarint(out: ByteWriter, value: number): void {
  if (value >= 0 && value <= 0xffff_ffff) return out.uvarint(value)
  out.reserve(10)
  let rest = BigInt.asUintN(64, BigInt(Math.trunc(value)))
  while (rest > 0x7fn) {
    out.buffer[out.at++] = Number(rest & 0x7fn) | 0x80
    rest >>= 7n
  }
  out.buffer[out.at++] = Number(rest)
}
const writeTag = (out: ByteWriter, number: number, type: number): void => out.uvarint(number * 8 + type)
/** The length before it is known when it is written: one byte is kept for it, and more made where it is longer. */
export function nested(out: ByteWriter, write: () => void): void {
  out.reserve(1)
  const from = ++out.at
  write()
  const length = out.at - from
  if (length < 0x80) {
    out.buffer[from - 1] = length
    return
  }
  const size = Math.ceil((32 - Math.clz32(length)) / 7)
  out.reserve(size - 1)
  out.buffer.copyWithin(from + size - 1, from, out.at)
  out.at = from - 1
  out.uvarint(length)
  out.at += length
}
function writeMessage(out: ByteWriter, type: Message<object>, value: Readonly<Record<string, unknown>>): void {
  for (const { name, field } of type.fields) {
    const held = value[name]
    if (held === undefined || held === null) continue
    if (field.label === 'one') writeField(out, field, held, false)
    else if (field.label === 'list') for (const item of held as readonly unknown[]) writeField(out, field, item, true)
    else for (const entry of held as ReadonlyMap<string, string>) writeEntry(out, field.number, entry)
  }
}
export function writeEntry(out: ByteWriter, number: number, [key, value]: readonly [string, string]): void {
  writeTag(out, number, wire.bytes)
  nested(out, () => {
    writeText(out, 1, key)
    writeText(out, 2, value)
  })
}
export function writeText(out: ByteWriter, number: number, text: string): void {
  writeTag(out, number, wire.bytes)
  if (text.length > shortText) return nested(out, () => out.utf8(text))
  out.reserve(1 + 3 * text.length)
  const { buffer, at } = out
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i)
    if (code >= 0x80) return nested(out, () => out.utf8(text))
    buffer[at + 1 + i] = code
  }
  buffer[at] = text.length
  out.at = at + 1 + text.length
}
/** What takes less time letter by letter than as a native call; its length is one byte. */
const shortText = 42
export function writeBytes(out: ByteWriter, number: number, held: Uint8Array): void {
  writeTag(out, number, wire.bytes)
  out.uvarint(held.length)
  out.raw(held)
}
export function writeNumber(out: ByteWriter, number: number, value: number): void {
  writeTag(out, number, wire.varint)
  writeVarint(out, value)
}
export function writeNested(out: ByteWriter, number: number, write: () => void): void {
  writeTag(out, number, wire.bytes)
  nested(out, write)
}
/** Defaults are not written but as items of a list. */
function writeField(out: ByteWriter, { number, type }: Field<unknown>, value: unknown, isItem: boolean): void {
  if (type.is === 'message')
    return writeNested(out, number, () => writeMessage(out, type.message, value as Record<string, unknown>))
  if (type.is === 'enum') {
    const code = type.numbers.get(value as string) ?? Number(value)
    if (isItem || code !== 0) writeNumber(out, number, code)
    return
  }
  switch (type.scalar) {
    case 'string':
      if (isItem || value !== '') writeText(out, number, value as string)
      return
    case 'bytes':
      if (isItem || (value as Uint8Array).length > 0) writeBytes(out, number, value as Uint8Array)
      return
    case 'bool':
      if (isItem || value === true) writeNumber(out, number, value === true ? 1 : 0)
      return
    case 'int32':
    case 'int64':
      if (isItem || value !== 0) writeNumber(out, number, value as number)
  }
}

// --- reading

const malformed = (what: string): Fault => new Fault('wire.malformed', { what })

/** Items of lists and maps that may come still: each takes far more memory than it has bytes. */
export class ItemsLeft {
  #left: number = limits.protobufItems
  /** Throws Fault wire.malformed. */
  take(): void {
    if (this.#left-- <= 0) throw malformed(`more than ${limits.protobufItems} items of lists and maps`)
  }
}
/** Throws Fault wire.malformed. Bytes are views of what is given. */
export function decode<T extends object>(type: Message<T>, from: Uint8Array, left = new ItemsLeft()): T {
  return readMessage(new ByteReader(from), type, left) as T
}
function readMessage(from: ByteReader, type: Message<object>, left: ItemsLeft): object {
  const value: Record<string, unknown> = {}
  for (const { name, field } of type.fields) value[name] = field.empty()
  while (from.left > 0) {
    const tag = from.uvarint()
    const known = type.byNumber[tag >>> 3]
    if (tag >>> 3 === 0) throw malformed('a field without a number')
    if (known === undefined) skip(from, tag & 7)
    else readField(from, tag & 7, { known, left }, value)
  }
  return value
}
function readField(
  from: ByteReader,
  given: number,
  { known, left }: { known: NamedField; left: ItemsLeft },
  into: Record<string, unknown>,
): void {
  const { name, field } = known
  const { type, label } = field
  if (label !== 'one' || type.is === 'message') left.take()
  if (label === 'map') {
    const [key, value] = readEntry(nestedReader(from, given))
    if (into[name] === noMap) into[name] = new Map<string, string>()
    ;(into[name] as Map<string, string>).set(key, value)
    return
  }
  if (label === 'one') {
    into[name] = readValue(from, given, type, left)
    return
  }
  if (into[name] === noList) into[name] = []
  const items = into[name] as unknown[]
  const isPacked = given === wire.bytes && isNumber(type)
  if (!isPacked) return void items.push(readValue(from, given, type, left))
  const packed = nestedReader(from, given)
  while (packed.left > 0) {
    left.take()
    items.push(readValue(packed, wire.varint, type, left))
  }
}
const isNumber = (type: FieldType): boolean =>
  type.is === 'enum' || (type.is === 'scalar' && type.scalar !== 'string' && type.scalar !== 'bytes')
function readEntry(from: ByteReader): [key: string, value: string] {
  const entry: [string, string] = ['', '']
  while (from.left > 0) {
    const tag = from.uvarint()
    const place = (tag >>> 3) - 1
    if (place === 0 || place === 1) entry[place] = readString(from, tag & 7)
    else skip(from, tag & 7)
  }
  return entry
}
function readValue(from: ByteReader, given: number, type: FieldType, left: ItemsLeft): unknown {
  if (type.is === 'message') return readMessage(nestedReader(from, given), type.message, left)
  if (type.is === 'enum') {
    const number = Number(BigInt.asIntN(32, readVarint(from, given)))
    return type.names.get(number) ?? String(number)
  }
  switch (type.scalar) {
    case 'string':
      return readString(from, given)
    case 'bytes':
      return readBytes(from, given)
    case 'bool':
      return readVarint(from, given) !== 0n
    case 'int32':
      return Number(BigInt.asIntN(32, readVarint(from, given)))
    case 'int64':
      return Number(BigInt.asIntN(64, readVarint(from, given)))
  }
}
function expect(given: number, wanted: number): void {
  if (given !== wanted) throw malformed(`a field of wire type ${given} in place of ${wanted}`)
}
function readBytes(from: ByteReader, given: number): Buffer {
  expect(given, wire.bytes)
  return from.raw(from.uvarint())
}
function readString(from: ByteReader, given: number): string {
  const found = readBytes(from, given)
  if (!isUtf8(found)) throw malformed('text that is not UTF-8')
  return found.toString('utf8')
}
function nestedReader(from: ByteReader, given: number): ByteReader {
  expect(given, wire.bytes)
  const length = from.uvarint()
  const start = from.at
  void from.raw(length)
  return new ByteReader(from.buffer, start, start + length)
}
function readVarint(from: ByteReader, given: number): bigint {
  expect(given, wire.varint)
  let low = 0
  for (let shift = 0; shift < 28; shift += 7) {
    const byte = from.uint8()
    low |= (byte & 0x7f) << shift
    if (byte < 0x80) return BigInt(low)
  }
  let value = BigInt(low)
  for (let shift = 28n; shift < 70n; shift += 7n) {
    const byte = from.uint8()
    value |= BigInt(byte & 0x7f) << shift
    if (byte < 0x80) return BigInt.asUintN(64, value)
  }
  throw malformed('a number of more than ten bytes')
}
function skip(from: ByteReader, given: number): void {
  switch (given) {
    case wire.varint:
      return void readVarint(from, given)
    case wire.fixed64:
      return void from.raw(8)
    case wire.bytes:
      return void readBytes(from, given)
    case wire.fixed32:
      return void from.raw(4)
    default:
      throw malformed(`a field of wire type ${given}`)
  }
}
