/**
 * The complete parser of Protobuf. A message's fields may come in any order and several times: of single values the last
 * one counts, lists go on, messages are merged. So what is noted of a wanted field is a message of that field alone, all
 * its occurrences one behind the other, which means the same. A value is then read as the JSON that says the same.
 */
import { isUtf8 } from 'node:buffer'
import type { ProtoEnum, ProtoField, ProtoKind, ProtoMessage } from '../../schema/formats/protobuf.ts'
import type { DataType } from '../../schema/types.ts'
import { decimalText } from '../decimal.ts'
import { Misfit, type ValueReader, readerOf } from '../decode-value.ts'
import { isoText } from '../time-text.ts'
import { deeper } from './avro.ts'
import { BinaryReader, JsonOut, type Wants } from './binary.ts'

export const wire = { varint: 0, fixed64: 1, bytes: 2, fixed32: 5 } as const

export function wireOf(kind: ProtoKind): number {
  switch (kind) {
    case 'double':
    case 'fixed64':
    case 'sfixed64':
      return wire.fixed64
    case 'float':
    case 'fixed32':
    case 'sfixed32':
      return wire.fixed32
    case 'string':
    case 'bytes':
    case 'message':
      return wire.bytes
    default:
      return wire.varint
  }
}
const mayBePacked = ({ form, kind }: ProtoField): boolean => form === 'repeated' && wireOf(kind) !== wire.bytes
/** A field written in another way than its own is not known, as in Google's own parsers. */
const isWritten = (field: ProtoField, type: number): boolean =>
  type === wireOf(field.kind) || (type === wire.bytes && mayBePacked(field))

/** Its number and how it is written; goes behind the tag. */
function tagOf(r: BinaryReader): { number: number; type: number } {
  const tag = Number(r.varint())
  const number = Math.floor(tag / 8)
  if (number === 0 || tag > 0xffffffff) r.fail('a field without a number')
  return { number, type: tag % 8 }
}
function lengthOf(r: BinaryReader): number {
  const length = Number(r.varint())
  return length > r.end - r.at ? r.fail('a length beyond the end') : length
}
/** Goes behind a field's value. */
function skipField(r: BinaryReader, type: number): void {
  switch (type) {
    case wire.varint:
      return r.skipVarint()
    case wire.fixed64:
      r.take(8)
      return
    case wire.bytes:
      r.take(lengthOf(r))
      return
    case wire.fixed32:
      r.take(4)
      return
    case 3:
    case 4:
      return r.fail('a group, which is not read')
    default:
      return r.fail('a field of an unknown kind')
  }
}

/** Occurrences of one field, tags included, as one run of bytes. */
export class Occurrences {
  readonly field: ProtoField
  private readonly b: Buffer
  /** From and to, in turns. */
  private readonly runs: number[] = []

  constructor(field: ProtoField, b: Buffer) {
    this.field = field
    this.b = b
  }
  add(from: number, to: number): void {
    const { runs } = this
    if (runs.length > 0 && runs.at(-1) === from) runs[runs.length - 1] = to
    else runs.push(from, to)
  }
  /** A single value was written anew. */
  replace(from: number, to: number): void {
    this.runs.length = 0
    this.runs.push(from, to)
  }
  get bytes(): Buffer {
    const { b, runs } = this
    if (runs.length === 2) return b.subarray(runs[0], runs[1])
    return Buffer.concat(Array.from({ length: runs.length / 2 }, (_, i) => b.subarray(runs[i * 2], runs[i * 2 + 1])))
  }
}
/** Of an enum that is closed the last number counts that it names. */
const isReplaced = ({ form, kind, values }: ProtoField): boolean =>
  form === 'one' && kind !== 'message' && values?.isClosed !== true

/** What is wanted of a message. */
interface Wanted {
  readonly field: ProtoField
  readonly wants: Wants
  readonly inside: WantedMessage | null
}
export interface WantedMessage {
  readonly message: ProtoMessage
  readonly byNumber: ReadonlyMap<number, Wanted>
}
export function wantedOf(message: ProtoMessage, wants: Wants): WantedMessage {
  const byNumber = new Map<number, Wanted>()
  for (const field of message.fields) {
    const child = wants.children.get(field.name)
    if (child === undefined) continue
    const isInside = child.children.size > 0 && field.form === 'one' && field.message !== null
    const inside = isInside ? wantedOf(field.message!, child) : null
    byNumber.set(field.number, { field, wants: child, inside })
  }
  return { message, byNumber }
}

export class ProtoLocator {
  /** By column; null: missing. */
  readonly found: (Occurrences | null)[]

  constructor(columns: number) {
    this.found = Array.from({ length: columns }, () => null)
  }
  clear(): void {
    this.found.fill(null)
  }
  /** Throws Malformed and Misfit. */
  locate(b: Buffer, from: number, wanted: WantedMessage): void {
    this.clear()
    this.enter(wanted, b)
    this.message(new BinaryReader().open(b, from, b.length), wanted, 0)
  }
  /** What a message that is there has, as long as it does not say otherwise. */
  private enter({ byNumber }: WantedMessage, b: Buffer): void {
    for (const { field, wants } of byNumber.values())
      if (field.presence === 'implicit' || field.declared !== null)
        for (const column of wants.columns) this.found[column] ??= new Occurrences(field, b)
  }
  private message(r: BinaryReader, wanted: WantedMessage, depth: number): void {
    while (r.at < r.end) {
      const from = r.at
      const { number, type } = tagOf(r)
      const valueAt = r.at
      skipField(r, type)
      const field = wanted.message.byNumber.get(number)
      if (field === undefined || !isWritten(field, type)) continue
      if (field.oneof >= 0) this.forgetOthers(wanted, field)
      const one = wanted.byNumber.get(number)
      if (one === undefined) continue
      for (const column of one.wants.columns) {
        const known = (this.found[column] ??= new Occurrences(field, r.b))
        if (isReplaced(field)) known.replace(from, r.at)
        else known.add(from, r.at)
      }
      if (one.inside === null) {
        if (one.wants.children.size > 0 && field.form !== 'one')
          throw new Misfit('is a list or a map, and cannot be read as one message', field.name)
        continue
      }
      const inner = new BinaryReader().open(r.b, valueAt, r.at)
      lengthOf(inner)
      this.enter(one.inside, r.b)
      this.message(inner, one.inside, deeper(depth))
    }
  }
  /** Of a oneof the last one written is there. */
  private forgetOthers({ byNumber }: WantedMessage, field: ProtoField): void {
    for (const other of byNumber.values())
      if (other.field.oneof === field.oneof && other.field !== field) this.forget(other)
  }
  private forget({ wants, inside }: Wanted): void {
    for (const column of wants.columns) this.found[column] = null
    if (inside !== null) for (const one of inside.byNumber.values()) this.forget(one)
  }
}

// Values.

const isWhole = (type: DataType): boolean => type.kind === 'smallint' || type.kind === 'int' || type.kind === 'bigint'
const isText = (type: DataType): boolean => type.kind === 'text' || type.kind === 'varchar'

/** Appends what the occurrences of the field at [from, to) say; none are the default. Throws Misfit and Malformed. */
export function protoReader(field: ProtoField, type: DataType): ValueReader {
  if (type.kind === 'bytea' && field.kind === 'bytes' && field.form === 'one')
    return (b, from, to, builder) => {
      const place = lastOf(b, from, to)
      if (place === null) readDefault(field, type, builder)
      else builder.push(b.subarray(place.from, place.to))
    }
  const read = readerOf(type)
  const shown = shownAs(field, type)
  return (b, from, to, builder) => {
    const out = new JsonOut()
    fieldJson(b, collect(b, from, to, field.number), shown, 0, out)
    if (out.text === 'null') return builder.pushNull()
    const json = Buffer.from(out.text)
    read(json, 0, json.length, builder)
  }
}
function readDefault(field: ProtoField, type: DataType, builder: Parameters<ValueReader>[3]): void {
  const json = Buffer.from(field.declared ?? '""')
  readerOf(type)(json, 0, json.length, builder)
}
function lastOf(b: Buffer, from: number, to: number): { from: number; to: number } | null {
  const r = new BinaryReader().open(b, from, to)
  let found: { from: number; to: number } | null = null
  while (r.at < r.end) {
    tagOf(r)
    const length = lengthOf(r)
    const at = r.take(length)
    found = { from: at, to: at + length }
  }
  return found
}
/** An enum as a number is what it was written as; bytes as text are UTF-8. */
function shownAs(field: ProtoField, type: DataType): ProtoField {
  if (field.form !== 'one') return field
  if (isWhole(type) && field.kind === 'enum') {
    const first = field.values?.first ?? 0
    const declared = [...(field.values?.byNumber ?? [])].find(([, name]) => JSON.stringify(name) === field.declared)
    return { ...field, kind: 'int32', declared: String(declared?.[0] ?? first) }
  }
  if (isText(type) && field.kind === 'bytes') return { ...field, kind: 'string' }
  return field
}
/** Where the values of a field lie in a message, behind their tags, and how each is written: three numbers each. */
function collect(b: Buffer, from: number, to: number, number: number): number[] {
  const r = new BinaryReader().open(b, from, to)
  const places: number[] = []
  while (r.at < r.end) {
    const tag = tagOf(r)
    const at = r.at
    skipField(r, tag.type)
    if (tag.number === number) places.push(at, r.at, tag.type)
  }
  return places
}
const zero = (field: ProtoField): string => {
  switch (field.kind) {
    case 'bool':
      return 'false'
    case 'string':
    case 'bytes':
      return '""'
    case 'enum':
      return enumText(field.values!, field.values!.first)
    default:
      return '0'
  }
}
const enumText = ({ byNumber }: ProtoEnum, value: number): string =>
  JSON.stringify(byNumber.get(value) ?? String(value))
/** A number that a closed enum does not name was not written. */
const isKnown = ({ values }: ProtoField, value: number): boolean =>
  values?.isClosed !== true || values.byNumber.has(value)

/** What the places say: a value, an array or an object; null where it is not there. */
function fieldJson(b: Buffer, places: readonly number[], field: ProtoField, depth: number, out: JsonOut): void {
  const r = new BinaryReader()
  if (field.form === 'map') return mapJson(b, places, field, depth, out)
  if (field.form === 'repeated') {
    let between = '['
    for (let i = 0; i < places.length; i += 3) {
      r.open(b, places[i]!, places[i + 1]!)
      const isPacked = places[i + 2] === wire.bytes && mayBePacked(field)
      if (isPacked) lengthOf(r)
      do {
        if (isPacked && r.at === r.end) break
        const text = valueText(r, field, depth)
        if (text === null) continue
        out.add(between)
        between = ','
        if (text === '') messageJson(r.b, [r.at, r.end], field.message!, deeper(depth), out)
        else out.add(text)
      } while (isPacked && r.at < r.end)
    }
    return out.add(between === '[' ? '[]' : ']')
  }
  if (field.message !== null) {
    if (places.length === 0) return out.add('null')
    const parts: number[] = []
    for (let i = 0; i < places.length; i += 3) {
      lengthOf(r.open(b, places[i]!, places[i + 1]!))
      parts.push(r.at, r.end)
    }
    return messageJson(b, parts, field.message, deeper(depth), out)
  }
  let text: string | null = null
  for (let i = places.length - 3; i >= 0 && text === null; i -= 3)
    text = valueText(r.open(b, places[i]!, places[i + 1]!), field, depth)
  if (text !== null) return out.add(text)
  if (field.presence === 'required') throw new Misfit('is required')
  out.add(field.declared ?? (field.presence === 'implicit' ? zero(field) : 'null'))
}
/** JSON of a value; null: it is none; '' of a message, which lies between r.at and r.end then. */
function valueText(r: BinaryReader, field: ProtoField, depth: number): string | null {
  const { kind } = field
  switch (kind) {
    case 'message':
      lengthOf(r)
      deeper(depth)
      return ''
    case 'double':
      return numberText(r.double())
    case 'float':
      return numberText(r.float())
    case 'bool':
      return Number(r.varint()) === 0 ? 'false' : 'true'
    case 'string': {
      const length = lengthOf(r)
      const at = r.take(length)
      const bytes = r.b.subarray(at, at + length)
      if (!isUtf8(bytes)) throw new Misfit('is not UTF-8')
      return JSON.stringify(bytes.toString('utf8'))
    }
    case 'bytes': {
      const length = lengthOf(r)
      const at = r.take(length)
      return `"${r.b.toString('base64', at, at + length)}"`
    }
    case 'enum': {
      const value = Number(BigInt.asIntN(32, BigInt(r.varint())))
      return isKnown(field, value) ? enumText(field.values!, value) : null
    }
    default:
      return String(wholeOf(r, kind))
  }
}
function numberText(value: number): string {
  if (!Number.isFinite(value)) return `"${value}"`
  return Object.is(value, -0) ? '-0' : String(value)
}
type WholeKind = Exclude<ProtoKind, 'double' | 'float' | 'bool' | 'string' | 'bytes' | 'enum' | 'message'>
function wholeOf(r: BinaryReader, kind: WholeKind): number | bigint {
  switch (kind) {
    case 'int32':
      return BigInt.asIntN(32, BigInt(r.varint()))
    case 'uint32':
      return BigInt.asUintN(32, BigInt(r.varint()))
    case 'sint32': {
      const v = Number(BigInt.asUintN(32, BigInt(r.varint())))
      return (v >>> 1) ^ -(v & 1)
    }
    case 'int64':
      return BigInt.asIntN(64, BigInt(r.varint()))
    case 'uint64':
      return r.varint()
    case 'sint64':
      return r.zigzag()
    case 'fixed32':
      return r.b.readUInt32LE(r.take(4))
    case 'sfixed32':
      return r.b.readInt32LE(r.take(4))
    case 'fixed64':
      return r.b.readBigUInt64LE(r.take(8))
    case 'sfixed64':
      return r.b.readBigInt64LE(r.take(8))
  }
}
/** Of equal keys the last one counts. */
function mapJson(b: Buffer, places: readonly number[], field: ProtoField, depth: number, out: JsonOut): void {
  const [keyField, valueField] = field.message!.fields as [ProtoField, ProtoField]
  const r = new BinaryReader()
  const entries = new Map<string, number>()
  const keyOf = (i: number): string => {
    lengthOf(r.open(b, places[i]!, places[i + 1]!))
    const key = new JsonOut()
    fieldJson(b, written(b, r.at, r.end, keyField), keyField, depth, key)
    return key.text.startsWith('"') ? key.text : `"${key.text}"`
  }
  for (let i = 0; i < places.length; i += 3) {
    if (places[i + 2] !== wire.bytes) continue
    const key = keyOf(i)
    entries.delete(key)
    entries.set(key, i)
  }
  let between = '{'
  for (const [key, i] of entries) {
    lengthOf(r.open(b, places[i]!, places[i + 1]!))
    out.add(`${between}${key}:`)
    between = ','
    const value = written(b, r.at, r.end, valueField)
    // A message that was not written is one without fields.
    if (value.length === 0 && valueField.message !== null) messageJson(b, [], valueField.message, deeper(depth), out)
    else fieldJson(b, value, valueField, depth, out)
  }
  out.add(between === '{' ? '{}' : '}')
}
/** Places of a field in a message, as far as they are written as that field is. */
function written(b: Buffer, from: number, to: number, field: ProtoField): number[] {
  const places = collect(b, from, to, field.number)
  const kept: number[] = []
  for (let i = 0; i < places.length; i += 3)
    if (isWritten(field, places[i + 2]!)) kept.push(places[i]!, places[i + 1]!, places[i + 2]!)
  return kept
}

/** A message that lies in parts, from and to in turns. */
function messageJson(b: Buffer, parts: readonly number[], message: ProtoMessage, depth: number, out: JsonOut): void {
  const found = fieldsOf(b, parts, message)
  if (message.known !== null) return knownJson(b, found, message, depth, out)
  let between = '{'
  for (const field of message.fields) {
    const places = found.get(field.number) ?? []
    const isThere = places.length > 0 || field.presence !== 'explicit' || field.declared !== null
    if (!isThere) continue
    out.add(`${between}${JSON.stringify(field.name)}:`)
    between = ','
    fieldJson(b, places, field, depth, out)
  }
  out.add(between === '{' ? '{}' : '}')
}
/** By number the places of what is there. */
function fieldsOf(b: Buffer, parts: readonly number[], message: ProtoMessage): Map<number, number[]> {
  const found = new Map<number, number[]>()
  /** Of each oneof the member that is there. */
  const members = new Map<number, number>()
  const r = new BinaryReader()
  for (let i = 0; i < parts.length; i += 2) {
    r.open(b, parts[i]!, parts[i + 1]!)
    while (r.at < r.end) {
      const { number, type } = tagOf(r)
      const at = r.at
      skipField(r, type)
      const field = message.byNumber.get(number)
      if (field === undefined || !isWritten(field, type)) continue
      if (field.oneof >= 0) {
        const before = members.get(field.oneof)
        if (before !== undefined && before !== number) found.delete(before)
        members.set(field.oneof, number)
      }
      const places = found.get(number)
      if (places === undefined) found.set(number, [at, r.at, type])
      else places.push(at, r.at, type)
    }
  }
  return found
}
type Found = ReadonlyMap<number, readonly number[]>
function knownJson(b: Buffer, found: Found, message: ProtoMessage, depth: number, out: JsonOut): void {
  const field = (number: number): ProtoField => message.byNumber.get(number)!
  const whole = (number: number): bigint => {
    const text = new JsonOut()
    fieldJson(b, found.get(number) ?? [], field(number), depth, text)
    return BigInt(text.text)
  }
  switch (message.known) {
    case 'timestamp':
      return out.add(instantJson(whole(1), whole(2)))
    case 'duration':
      return out.add(durationJson(whole(1), whole(2)))
    case 'wrapper':
    case 'struct':
    case 'list':
      return fieldJson(b, found.get(1) ?? [], field(1), depth, out)
    case 'value': {
      const [set] = message.fields.filter(({ number }) => found.has(number))
      if (set === undefined || set.number === 1) return out.add('null')
      return fieldJson(b, found.get(set.number)!, set, depth, out)
    }
    case null:
  }
}
const secondsMost = 8_640_000_000_000n
function instantJson(seconds: bigint, nanos: bigint): string {
  if (nanos < 0n || nanos > 999_999_999n || seconds > secondsMost || seconds < -secondsMost)
    throw new Misfit(`is ${seconds} s and ${nanos} ns, which is no time`)
  return `"${isoText(Number(seconds * 1_000_000n + nanos / 1000n))}"`
}
/** As PostgreSQL reads an interval. */
function durationJson(seconds: bigint, nanos: bigint): string {
  if (nanos < -999_999_999n || nanos > 999_999_999n || seconds > 315_576_000_000n || seconds < -315_576_000_000n)
    throw new Misfit(`is ${seconds} s and ${nanos} ns, which is no duration`)
  return `"${decimalText((seconds * 1_000_000_000n + nanos) / 1000n, 6)} seconds"`
}
