/**
 * The complete parser of Avro. It walks a value by the schema that it was written by, and notes where what is wanted
 * lies; what is not wanted is passed over. A value is then read as the JSON that says the same: so one set of rules holds
 * for what fits a column, whatever the format.
 */
import { limits } from '../../lib/limits.ts'
import { type AvroNode, type Logical, isEmpty } from '../../schema/formats/avro.ts'
import type { DataType } from '../../schema/types.ts'
import { decimalText } from '../decimal.ts'
import { Misfit, type ValueReader, readerOf } from '../decode-value.ts'
import { clockText, dateText, isoText } from '../time-text.ts'
import { BinaryReader, JsonOut, type Wants } from './binary.ts'

/** Where a value lies and how it is written; null: there is none. */
export interface AvroPlace {
  readonly node: AvroNode
  readonly bytes: Buffer
  readonly from: number
  readonly to: number
}
type Record = AvroNode & { readonly kind: 'record' }

const written = new WeakMap<Record, Record['fields']>()
/** Fields that take bytes: a record may have thousands that do not. */
function writtenFields(node: Record): Record['fields'] {
  let fields = written.get(node)
  if (fields === undefined) written.set(node, (fields = node.fields.filter((field) => !isEmpty(field.node))))
  return fields
}
export function deeper(depth: number): number {
  if (depth >= limits.jsonDepth) throw new Misfit(`is nested deeper than ${limits.jsonDepth}`)
  return depth + 1
}
function branchOf(r: BinaryReader, node: AvroNode & { kind: 'union' }): AvroNode {
  return node.branches[Number(r.zigzag())] ?? r.fail('a branch that the union does not have')
}
function lengthOf(r: BinaryReader): number {
  const length = Number(r.zigzag())
  return length < 0 || length > r.end - r.at ? r.fail('a length beyond the end') : length
}
/** Items of the next block of an array or map; 0: there is none. With `sized` its bytes may be passed at once. */
function blockOf(r: BinaryReader, items: AvroNode, isMap: boolean): { count: number; bytes: number | null } {
  const count = Number(r.zigzag())
  let bytes: number | null = null
  if (count < 0) bytes = lengthOf(r)
  const size = Math.abs(count)
  // Each item takes a byte at least, or none of them does.
  const most = isMap || !isEmpty(items) ? r.end - r.at : limits.emptyItems
  if (size > most) r.fail('a block of more items than there can be')
  return { count: size, bytes }
}

/** Goes behind a value. */
export function skipAvro(r: BinaryReader, node: AvroNode, depth: number): void {
  switch (node.kind) {
    case 'null':
      return
    case 'boolean':
      r.take(1)
      return
    case 'int':
    case 'long':
    case 'enum':
      return r.skipVarint()
    case 'float':
      r.take(4)
      return
    case 'double':
      r.take(8)
      return
    case 'bytes':
    case 'string':
      r.take(lengthOf(r))
      return
    case 'fixed':
      r.take(node.size)
      return
    case 'unreadable':
      return skipAvro(r, node.writer, depth)
    case 'union':
      return skipAvro(r, branchOf(r, node), deeper(depth))
    case 'record':
      if (isEmpty(node)) return
      for (const field of writtenFields(node)) skipAvro(r, field.node, deeper(depth))
      return
    case 'array':
    case 'map': {
      const items = node.kind === 'array' ? node.items : node.values
      for (;;) {
        const { count, bytes } = blockOf(r, items, node.kind === 'map')
        if (count === 0) return
        if (bytes !== null) r.take(bytes)
        else if (node.kind === 'map' || !isEmpty(items))
          for (let i = 0; i < count; i++) {
            if (node.kind === 'map') r.take(lengthOf(r))
            skipAvro(r, items, deeper(depth))
          }
      }
    }
  }
}

export class AvroLocator {
  readonly places: (AvroPlace | null)[]
  private readonly wants: Wants
  private readonly r = new BinaryReader()

  constructor(wants: Wants, columns: number) {
    this.wants = wants
    this.places = Array.from({ length: columns }, () => null)
  }
  clear(): void {
    this.places.fill(null)
  }
  /** Throws Malformed, or Misfit where fields are wanted and it is no record. */
  locate(b: Buffer, from: number, node: AvroNode): void {
    this.clear()
    const r = this.r.open(b, from, b.length)
    const { wants } = this
    if (wants.columns.length === 0 && node.kind !== 'record' && node.kind !== 'union' && node.kind !== 'map')
      throw new Misfit('is not a record')
    this.walk(r, wants, node, 0)
    if (r.at !== r.end) r.fail('something after the value')
  }
  private walk(r: BinaryReader, wants: Wants, node: AvroNode, depth: number): void {
    const from = r.at
    if (node.kind === 'union') this.walk(r, wants, branchOf(r, node), deeper(depth))
    else if (node.kind === 'record' && wants.children.size > 0) this.record(r, wants, node, depth)
    else if (node.kind === 'map' && wants.children.size > 0) this.map(r, wants, node, depth)
    else skipAvro(r, node, depth)
    if (node.kind !== 'union') this.take(wants, { node, bytes: r.b, from, to: r.at })
  }
  private take({ columns }: Wants, place: AvroPlace): void {
    for (const column of columns) this.places[column] = place.node.kind === 'null' ? null : place
  }
  private record(r: BinaryReader, wants: Wants, node: Record, depth: number): void {
    for (const { name, node: field } of node.fields) {
      const child = name === null ? undefined : wants.children.get(name)
      if (child !== undefined) this.walk(r, child, field, deeper(depth))
      else if (!isEmpty(field)) skipAvro(r, field, deeper(depth))
    }
    for (const { name, node: field, bytes } of node.defaults) {
      const child = wants.children.get(name)
      if (child !== undefined) this.walk(new BinaryReader().open(bytes, 0, bytes.length), child, field, deeper(depth))
    }
  }
  /** Read as an object would be; of equal keys the last one counts. */
  private map(r: BinaryReader, wants: Wants, node: AvroNode & { kind: 'map' }, depth: number): void {
    for (;;) {
      const { count } = blockOf(r, node.values, true)
      if (count === 0) return
      for (let i = 0; i < count; i++) {
        const length = lengthOf(r)
        const at = r.take(length)
        const child = wants.children.get(r.b.toString('utf8', at, at + length))
        if (child === undefined) skipAvro(r, node.values, deeper(depth))
        else {
          this.forget(child)
          this.walk(r, child, node.values, deeper(depth))
        }
      }
    }
  }
  private forget(wants: Wants): void {
    for (const column of wants.columns) this.places[column] = null
    for (const child of wants.children.values()) this.forget(child)
  }
}

// Values.

const isWhole = (type: DataType): boolean => type.kind === 'smallint' || type.kind === 'int' || type.kind === 'bigint'
const isText = (type: DataType): boolean => type.kind === 'text' || type.kind === 'varchar'

/** Appends the value that lies at [from, to), which is not null. Throws Misfit and Malformed. */
export function avroReader(node: AvroNode, type: DataType): ValueReader {
  const r = new BinaryReader()
  if (type.kind === 'bytea' && (node.kind === 'bytes' || node.kind === 'fixed'))
    return (b, from, to, builder) => {
      const length = node.kind === 'fixed' ? r.open(b, from, to).end - from : lengthOf(r.open(b, from, to))
      builder.push(b.subarray(to - length, to))
    }
  const read = readerOf(type)
  const as = shownAs(node, type)
  return (b, from, to, builder) => {
    const out = new JsonOut()
    avroJson(r.open(b, from, to), as, 0, out)
    if (out.text === 'null') return builder.pushNull()
    const json = Buffer.from(out.text)
    read(json, 0, json.length, builder)
  }
}
/** Times as numbers are what they were written as; bytes as text are UTF-8. */
function shownAs(node: AvroNode, type: DataType): AvroNode {
  if (isWhole(type) && (node.kind === 'int' || node.kind === 'long')) return { ...node, logical: null }
  if (isText(type) && node.kind === 'bytes' && node.logical === null) return { kind: 'string', logical: null }
  return node
}

/** A value as JSON. */
function avroJson(r: BinaryReader, node: AvroNode, depth: number, out: JsonOut): void {
  switch (node.kind) {
    case 'null':
      return out.add('null')
    case 'boolean': {
      const c = r.byte()
      if (c > 1) r.fail('a boolean that is neither')
      return out.add(c === 1 ? 'true' : 'false')
    }
    case 'int':
    case 'long': {
      const value = r.zigzag()
      if (node.kind === 'int' && (value < -2147483648 || value > 2147483647)) r.fail('an int of more than 32 bits')
      return node.logical === null ? out.addNumber(value) : out.add(`"${timeText(value, node.logical)}"`)
    }
    case 'float':
      return out.addNumber(r.float())
    case 'double':
      return out.addNumber(r.double())
    case 'string': {
      const length = lengthOf(r)
      const at = r.take(length)
      return out.addText(r.b, at, at + length)
    }
    case 'bytes':
    case 'fixed': {
      const length = node.kind === 'fixed' ? node.size : lengthOf(r)
      const at = r.take(length)
      return bytesJson(r.b, at, at + length, node.logical, out)
    }
    case 'enum': {
      const symbol = node.symbols[Number(r.zigzag())]
      if (symbol === undefined) r.fail('a symbol that the enum does not have')
      if (symbol === null) throw new Misfit('has a symbol that the schema to read by does not know')
      return out.add(JSON.stringify(symbol))
    }
    case 'union':
      return avroJson(r, branchOf(r, node), deeper(depth), out)
    case 'unreadable':
      throw new Misfit(node.why)
    case 'record':
      return recordJson(r, node, depth, out)
    case 'array':
    case 'map':
      return itemsJson(r, node, depth, out)
  }
}
const labels = new WeakMap<Record, readonly string[]>()
/** Names as they stand in JSON, of fields and then of defaults. */
function labelsOf(node: Record): readonly string[] {
  let known = labels.get(node)
  if (known === undefined) {
    const names = [...node.fields, ...node.defaults].map(({ name }) => name)
    labels.set(node, (known = names.map((name) => (name === null ? '' : `${JSON.stringify(name)}:`))))
  }
  return known
}
function recordJson(r: BinaryReader, node: Record, depth: number, out: JsonOut): void {
  const names = labelsOf(node)
  const inside = deeper(depth)
  let between = '{'
  const label = (i: number): void => {
    out.add(between + names[i]!)
    between = ','
  }
  for (let i = 0; i < node.fields.length; i++) {
    const { name, node: field } = node.fields[i]!
    if (name === null) {
      skipAvro(r, field, inside)
      continue
    }
    label(i)
    avroJson(r, field, inside, out)
  }
  for (const [i, { node: field, bytes }] of node.defaults.entries()) {
    label(node.fields.length + i)
    avroJson(new BinaryReader().open(bytes, 0, bytes.length), field, inside, out)
  }
  out.add(between === '{' ? '{}' : '}')
}
function itemsJson(r: BinaryReader, node: AvroNode & { kind: 'array' | 'map' }, depth: number, out: JsonOut): void {
  const isMap = node.kind === 'map'
  const items = isMap ? node.values : node.items
  let between = isMap ? '{' : '['
  for (;;) {
    const { count } = blockOf(r, items, isMap)
    if (count === 0) break
    for (let i = 0; i < count; i++) {
      out.add(between)
      between = ','
      if (isMap) {
        const length = lengthOf(r)
        const at = r.take(length)
        out.addText(r.b, at, at + length)
        out.add(':')
      }
      avroJson(r, items, deeper(depth), out)
    }
  }
  if (between !== ',') out.add(between)
  out.add(isMap ? '}' : ']')
}
/** Of a decimal that any schema may have. */
const decimalBytesMax = 512
/** Two's complement, the highest byte first. */
export function unscaled(b: Buffer, from: number, to: number): bigint {
  const value = BigInt(`0x${b.toString('hex', from, to)}`)
  return BigInt.asIntN((to - from) * 8, value)
}
function bytesJson(b: Buffer, from: number, to: number, logical: Logical | null, out: JsonOut): void {
  switch (logical?.name) {
    case 'decimal': {
      if (to === from || to - from > decimalBytesMax) throw new Misfit(`is a decimal of ${to - from} bytes`)
      return out.add(decimalText(unscaled(b, from, to), (logical as Logical & { scale: number }).scale))
    }
    case 'uuid': {
      const hex = b.toString('hex', from, to)
      return out.add(`"${hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5')}"`)
    }
    case 'duration':
      return out.add(`"${durationText(b.readUInt32LE(from), b.readUInt32LE(from + 4), b.readUInt32LE(from + 8))}"`)
    default:
      return out.addBytes(b, from, to)
  }
}
const durationText = (months: number, days: number, ms: number): string =>
  `${months} months ${days} days ${decimalText(BigInt(ms), 3)} seconds`

/** Beyond it no calendar reaches: as far as JavaScript's dates do. */
const dayMost = 100_000_000
const dayMs = 86_400_000
function timeText(value: number | bigint, { name }: Logical): string {
  if (name === 'date') return Math.abs(Number(value)) > dayMost ? outside(value) : dateText(Number(value))
  if (name === 'time-millis' || name === 'time-micros') {
    const micros = Number(value) * (name === 'time-millis' ? 1000 : 1)
    return micros < 0 || micros >= dayMs * 1000 ? outside(value) : clockText(micros)
  }
  const perMs = name.endsWith('millis') ? 1n : name.endsWith('micros') ? 1000n : 1_000_000n
  const wide = BigInt(value)
  const micros = perMs === 1_000_000n ? (wide - (((wide % 1000n) + 1000n) % 1000n)) / 1000n : (wide * 1000n) / perMs
  if (micros > BigInt(dayMost * dayMs) * 1000n || micros < BigInt(-dayMost * dayMs) * 1000n) return outside(value)
  const text = isoText(Number(micros))
  return name.startsWith('local-') ? text.slice(0, -1) : text
}
function outside(value: number | bigint): never {
  throw new Misfit(`is ${value}, which is outside of all times`)
}
