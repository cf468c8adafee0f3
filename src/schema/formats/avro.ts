/**
 * Avro schemas as trees that readers walk (Avro 1.12). avsc reads and checks the schema's text; resolution of what was
 * written by one schema for readers of another is ours: a branch or a field that cannot be read is an error where a value
 * of it is wanted, not for the whole schema.
 */
import { createRequire } from 'node:module'
import type * as avsc from 'avsc'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Columns, DataType } from '../types.ts'

export type Logical =
  | { readonly name: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly name: (typeof plainLogical)[number] }
const plainLogical = [
  ...(['date', 'time-millis', 'time-micros', 'timestamp-millis', 'timestamp-micros', 'timestamp-nanos'] as const),
  ...(['local-timestamp-millis', 'local-timestamp-micros', 'local-timestamp-nanos', 'uuid', 'duration'] as const),
] as const

export type AvroNode =
  | {
      readonly kind: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string'
      readonly logical: Logical | null
    }
  | { readonly kind: 'fixed'; readonly size: number; readonly name: string; readonly logical: Logical | null }
  /** By index as written; null: the reader has no such symbol. */
  | { readonly kind: 'enum'; readonly symbols: readonly (string | null)[] }
  | { readonly kind: 'array'; readonly items: AvroNode }
  | { readonly kind: 'map'; readonly values: AvroNode }
  | { readonly kind: 'union'; readonly branches: readonly AvroNode[] }
  | {
      readonly kind: 'record'
      readonly name: string
      /** As written; null names: nobody reads it. */
      readonly fields: readonly { readonly name: string | null; readonly node: AvroNode }[]
      /** Of fields that were not written: the value as Avro of `node`. */
      readonly defaults: readonly { readonly name: string; readonly node: AvroNode; readonly bytes: Buffer }[]
    }
  /** It can be passed over as `writer`, and not read. */
  | { readonly kind: 'unreadable'; readonly writer: AvroNode; readonly why: string }

export interface AvroSchema {
  readonly type: avsc.Type
  readonly logicals: ReadonlyMap<avsc.Type, Logical>
}

const load = createRequire(import.meta.url)
let loaded: typeof avsc | null = null
/** Loaded with the first schema: a program without any starts without it. */
const library = (): typeof avsc => (loaded ??= load('avsc') as typeof avsc)

const invalid = (why: string, cause?: unknown): Fault => new Fault('schema.invalid-schema', { field: '', why }, cause)

/** `references`: texts of schemas whose names it uses, each before those that use it. Throws Fault schema.invalid-schema. */
export function parseAvro(text: string, references: readonly string[] = []): AvroSchema {
  const bytes = [text, ...references].reduce((sum, one) => sum + one.length, 0)
  if (bytes > limits.schemaBytes) throw invalid(`it is longer than ${limits.schemaBytes} bytes`)
  const logicals = new Map<avsc.Type, Logical>()
  const logicalTypes = Object.fromEntries(
    ['decimal', ...plainLogical].map((name) => [name, logicalClass(name, logicals)]),
  )
  const options = { logicalTypes, registry: {}, omitRecordMethods: true, wrapUnions: 'always' as const }
  try {
    for (const reference of references) library().Type.forSchema(schemaOf(reference), options)
    return { type: library().Type.forSchema(schemaOf(text), options), logicals }
  } catch (error) {
    if (error instanceof Fault) throw error
    const why = error instanceof RangeError ? 'it is nested too deeply' : error instanceof Error ? error.message : ''
    throw invalid(`it is no Avro schema: ${why}`, error)
  }
}
/** A schema is JSON; the name of a primitive type may stand without quotes. */
function schemaOf(text: string): avsc.Schema {
  const trimmed = text.trim()
  if (/^[a-z]+$/.test(trimmed)) return trimmed as avsc.Schema
  try {
    return JSON.parse(trimmed) as avsc.Schema
  } catch (error) {
    throw invalid('it is no JSON', error)
  }
}
/** Notes what is said; values stay those of the type below. A logical type that does not fit that one is ignored. */
function logicalClass(
  name: string,
  logicals: Map<avsc.Type, Logical>,
): new (schema: avsc.Schema) => avsc.types.LogicalType {
  return class extends library().types.LogicalType {
    constructor(schema: avsc.Schema, options?: unknown) {
      super(schema, options)
      const logical = logicalOf(name, schema as Readonly<Record<string, unknown>>, this.underlyingType)
      if (logical === null) throw new Error('not for this type')
      logicals.set(this, logical)
    }
    protected override _fromValue(value: unknown): unknown {
      return value
    }
    protected override _toValue(value: unknown): unknown {
      return value
    }
    protected override _resolve(): undefined {
      return undefined
    }
  }
}
const bases: Readonly<Record<(typeof plainLogical)[number], readonly string[]>> = {
  date: ['int'],
  'time-millis': ['int'],
  'time-micros': ['long'],
  'timestamp-millis': ['long'],
  'timestamp-micros': ['long'],
  'timestamp-nanos': ['long'],
  'local-timestamp-millis': ['long'],
  'local-timestamp-micros': ['long'],
  'local-timestamp-nanos': ['long'],
  uuid: ['string', 'fixed'],
  duration: ['fixed'],
}
function logicalOf(name: string, schema: Readonly<Record<string, unknown>>, under: avsc.Type): Logical | null {
  const kind = under.typeName as string
  const size = kind === 'fixed' ? (under as avsc.types.FixedType).size : 0
  if (name !== 'decimal') {
    const known = name as (typeof plainLogical)[number]
    const fits = bases[known].includes(kind) && (kind !== 'fixed' || size === (known === 'uuid' ? 16 : 12))
    return fits ? { name: known } : null
  }
  const { precision, scale = 0 } = schema as { precision?: unknown; scale?: unknown }
  const isCount = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0
  if ((kind !== 'bytes' && kind !== 'fixed') || !isCount(precision) || !isCount(scale)) return null
  return precision === 0 || scale > precision || precision > 1_000 ? null : { name: 'decimal', precision, scale }
}

// Trees.

type Named = avsc.Type & { readonly name?: string; readonly aliases?: readonly string[] }
interface Mutable {
  kind: 'record'
  name: string
  fields: { name: string | null; node: AvroNode }[]
  defaults: { name: string; node: AvroNode; bytes: Buffer }[]
}
const kindOf = (type: avsc.Type): string => {
  const name = type.typeName as string
  return name.startsWith('union') ? 'union' : name === 'error' ? 'record' : name
}
const under = (type: avsc.Type): avsc.Type =>
  (type.typeName as string).startsWith('logical:') ? (type as avsc.types.LogicalType).underlyingType : type

/** What reads values of the schema as they are. */
export function nodeOf({ type, logicals }: AvroSchema): AvroNode {
  const known = new Map<avsc.Type, AvroNode>()
  const make = (any: avsc.Type): AvroNode => {
    const one = under(any)
    const logical = logicals.get(any) ?? null
    const before = known.get(any)
    if (before !== undefined) return before
    switch (kindOf(one)) {
      case 'fixed': {
        const { size, name } = one as avsc.types.FixedType & { name: string }
        return { kind: 'fixed', size, name, logical }
      }
      case 'enum':
        return { kind: 'enum', symbols: (one as avsc.types.EnumType).symbols }
      case 'array':
        return { kind: 'array', items: make((one as avsc.types.ArrayType).itemsType) }
      case 'map':
        return { kind: 'map', values: make((one as avsc.types.MapType).valuesType) }
      case 'union':
        return { kind: 'union', branches: (one as avsc.types.WrappedUnionType).types.map(make) }
      case 'record': {
        const record: Mutable = { kind: 'record', name: (one as Named).name ?? '', fields: [], defaults: [] }
        known.set(any, record)
        for (const field of (one as avsc.types.RecordType).fields)
          record.fields.push({ name: field.name, node: make(field.type) })
        return record
      }
      default:
        return { kind: one.typeName as 'int', logical }
    }
  }
  return make(type)
}

/** What reads values that were written by one schema as the other has them. */
export function resolve(writer: AvroSchema, reader: AvroSchema): AvroNode {
  return new Resolver(writer, reader).resolve(writer.type, reader.type)
}
const promotions: Readonly<Record<string, readonly string[]>> = {
  int: ['long', 'float', 'double'],
  long: ['float', 'double'],
  float: ['double'],
  string: ['bytes'],
  bytes: ['string'],
}
/** Of a branch of a union: its kind, of named types with its name, and those that it had before. */
function namesOf(type: avsc.Type): string[] {
  const kind = kindOf(type)
  if (kind !== 'record' && kind !== 'enum' && kind !== 'fixed') return [kind]
  const { name, aliases = [] } = type as Named
  return [name, ...aliases].flatMap((one) => [`${kind} ${one}`, `${kind} ${shortName(one)}`])
}
const shortName = (name = ''): string => name.slice(name.lastIndexOf('.') + 1)

class Resolver {
  private readonly writer: AvroSchema
  private readonly reader: AvroSchema
  private readonly branches = new Map<avsc.Type, Map<string, avsc.Type>>()
  private readonly pairs = new Map<avsc.Type, Map<avsc.Type, AvroNode>>()

  constructor(writer: AvroSchema, reader: AvroSchema) {
    this.writer = writer
    this.reader = reader
  }
  resolve(from: avsc.Type, to: avsc.Type): AvroNode {
    const w = under(from)
    const r = under(to)
    if (kindOf(w) === 'union')
      return { kind: 'union', branches: (w as avsc.types.WrappedUnionType).types.map((t) => this.resolve(t, to)) }
    if (kindOf(r) === 'union') {
      const found = this.branchFor(w, r as avsc.types.WrappedUnionType)
      return found === undefined ? this.unreadable(from, to) : this.resolve(from, found)
    }
    return this.isSame(w, r) || promotes(w, r) ? this.both(from, to) : this.unreadable(from, to)
  }
  /** The branch of a reader's union for what was written; one of its own kind before one that it is promoted to. */
  private branchFor(w: avsc.Type, union: avsc.types.WrappedUnionType): avsc.Type | undefined {
    let byName = this.branches.get(union)
    if (byName === undefined) {
      byName = new Map()
      for (const branch of union.types)
        for (const name of namesOf(under(branch))) if (!byName.has(name)) byName.set(name, branch)
      this.branches.set(union, byName)
    }
    // Its whole name, then without the namespace.
    for (const name of namesOf(w).slice(0, 2)) {
      const same = byName.get(name)
      if (same !== undefined && this.isSame(w, under(same))) return same
    }
    for (const kind of promotions[kindOf(w)] ?? []) {
      const branch = byName.get(kind)
      if (branch !== undefined) return branch
    }
    return undefined
  }
  private unreadable(from: avsc.Type, to: avsc.Type): AvroNode {
    const writer = nodeOf({ type: from, logicals: this.writer.logicals })
    const name = (type: avsc.Type): string => (under(type) as Named).name ?? kindOf(under(type))
    return { kind: 'unreadable', writer, why: `was written as ${name(from)}, the schema to read by has ${name(to)}` }
  }
  /** One kind; of named types one name, or a name that the reader's had before. */
  private isSame(w: avsc.Type, r: avsc.Type): boolean {
    const kind = kindOf(w)
    if (kind !== kindOf(r)) return false
    if (kind !== 'record' && kind !== 'enum' && kind !== 'fixed') return true
    if (kind === 'fixed' && (w as avsc.types.FixedType).size !== (r as avsc.types.FixedType).size) return false
    const { name, aliases = [] } = r as Named
    return [name, ...aliases].some((one) => shortName(one) === shortName((w as Named).name))
  }
  private both(from: avsc.Type, to: avsc.Type): AvroNode {
    const w = under(from)
    const r = under(to)
    const logical = this.reader.logicals.get(to) ?? null
    switch (kindOf(w)) {
      case 'fixed': {
        const { size, name } = w as avsc.types.FixedType & { name: string }
        return { kind: 'fixed', size, name, logical }
      }
      case 'enum':
        return { kind: 'enum', symbols: this.symbols(w as avsc.types.EnumType, r as avsc.types.EnumType) }
      case 'array': {
        const [one, other] = [w as avsc.types.ArrayType, r as avsc.types.ArrayType]
        return { kind: 'array', items: this.resolve(one.itemsType, other.itemsType) }
      }
      case 'map': {
        const [one, other] = [w as avsc.types.MapType, r as avsc.types.MapType]
        return { kind: 'map', values: this.resolve(one.valuesType, other.valuesType) }
      }
      case 'record':
        return this.record(w as avsc.types.RecordType, r as avsc.types.RecordType)
      case 'string':
      case 'bytes':
        // Both are written the same.
        return { kind: kindOf(r) as 'string', logical }
      default:
        return { kind: kindOf(w) as 'int', logical }
    }
  }
  private symbols(w: avsc.types.EnumType, r: avsc.types.EnumType): (string | null)[] {
    const otherwise = (r as avsc.types.EnumType & { default?: string }).default ?? null
    const known = new Set(r.symbols)
    return w.symbols.map((symbol) => (known.has(symbol) ? symbol : otherwise))
  }
  private record(w: avsc.types.RecordType, r: avsc.types.RecordType): AvroNode {
    const known = this.pairs.get(w)?.get(r)
    if (known !== undefined) return known
    const node: Mutable = { kind: 'record', name: r.name ?? '', fields: [], defaults: [] }
    if (!this.pairs.has(w)) this.pairs.set(w, new Map())
    this.pairs.get(w)!.set(r, node)
    const taken = new Map<string, avsc.types.Field>()
    const names = new Set(w.fields.map(({ name }) => name))
    for (const field of r.fields) {
      const written = [field.name, ...field.aliases].find((name) => names.has(name))
      if (written !== undefined && !taken.has(written)) taken.set(written, field)
      else node.defaults.push(this.missing(field))
    }
    for (const field of w.fields) {
      const wanted = taken.get(field.name)
      const type = { type: field.type, logicals: this.writer.logicals }
      if (wanted === undefined) node.fields.push({ name: null, node: nodeOf(type) })
      else node.fields.push({ name: wanted.name, node: this.resolve(field.type, wanted.type) })
    }
    return node
  }
  private missing(field: avsc.types.Field): Mutable['defaults'][number] {
    const { name, type } = field
    const value: unknown = field.defaultValue()
    const node = nodeOf({ type, logicals: this.reader.logicals })
    if (value !== undefined) return { name, node, bytes: type.toBuffer(value) }
    const why = 'was not written, and the schema to read by has no default for it'
    return { name, node: { kind: 'unreadable', writer: { kind: 'null', logical: null }, why }, bytes: Buffer.alloc(0) }
  }
}
function promotes(w: avsc.Type, r: avsc.Type): boolean {
  return promotions[kindOf(w)]?.includes(kindOf(r)) ?? false
}

const empties = new WeakMap<AvroNode, boolean>()
/** No value of it takes a byte. */
export function isEmpty(node: AvroNode): boolean {
  if (node.kind === 'null') return true
  if (node.kind === 'fixed') return node.size === 0
  if (node.kind === 'unreadable') return isEmpty(node.writer)
  if (node.kind !== 'record') return false
  const known = empties.get(node)
  if (known !== undefined) return known
  // Also the answer for a record that holds itself without a union between: it has no value at all.
  empties.set(node, false)
  const found = node.fields.every((field) => isEmpty(field.node))
  empties.set(node, found)
  return found
}

// Columns.

/** The columns of events of the schema. Throws Fault schema.invalid-schema where events are no records. */
export function avroColumns(schema: AvroSchema): Columns {
  const node = nodeOf(schema)
  if (node.kind !== 'record') throw invalid('events are records')
  return new AvroColumns().fieldsOf(node, [])
}
const mayBeNull = (node: AvroNode): boolean =>
  node.kind === 'null' || (node.kind === 'union' && node.branches.some(mayBeNull))
/** A schema of a few lines may have a million fields: one record stands in the next twice, and so on. */
const fieldsMax = 10_000
class AvroColumns {
  private count = 0

  fieldsOf(node: AvroNode & { kind: 'record' }, above: readonly AvroNode[]): Columns {
    this.count += node.fields.length
    if (this.count > fieldsMax) throw invalid(`it has more than ${fieldsMax} fields`)
    return node.fields.map((field) => ({
      name: field.name!,
      type: this.typeOf(field.node, [...above, node]),
      nullable: mayBeNull(field.node),
    }))
  }
  private typeOf(node: AvroNode, above: readonly AvroNode[]): DataType {
    switch (node.kind) {
      case 'boolean':
      case 'double':
        return { kind: node.kind }
      case 'float':
        return { kind: 'real' }
      case 'int':
      case 'long':
      case 'bytes':
      case 'string':
      case 'fixed':
        return node.logical === null ? { kind: plainTypes[node.kind] } : logicalType(node.logical)
      case 'enum':
        return { kind: 'text' }
      case 'union': {
        const present = node.branches.filter((branch) => branch.kind !== 'null')
        return present.length === 1 ? this.typeOf(present[0]!, above) : { kind: 'jsonb' }
      }
      case 'array': {
        const of = this.typeOf(node.items, above)
        return of.kind === 'jsonb' || of.kind === 'array' ? { kind: 'jsonb' } : { kind: 'array', of }
      }
      case 'record':
        return above.includes(node) || node.fields.length === 0
          ? { kind: 'jsonb' }
          : { kind: 'composite', fields: this.fieldsOf(node, above) }
      case 'map':
      case 'null':
      case 'unreadable':
        return { kind: 'jsonb' }
    }
  }
}
const plainTypes = { int: 'int', long: 'bigint', bytes: 'bytea', string: 'text', fixed: 'bytea' } as const
function logicalType(logical: Logical): DataType {
  switch (logical.name) {
    case 'decimal':
      return { kind: 'numeric', precision: logical.precision, scale: logical.scale }
    case 'date':
    case 'uuid':
      return { kind: logical.name }
    case 'duration':
      return { kind: 'interval' }
    case 'time-millis':
    case 'time-micros':
      return { kind: 'time' }
    default:
      return { kind: logical.name.startsWith('local-') ? 'timestamp' : 'timestamptz' }
  }
}
