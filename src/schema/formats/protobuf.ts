/**
 * Protobuf files as messages that readers walk. protobufjs reads the text; imports come from what is given beside it, or
 * are Google's own of the well-known types. Groups are refused.
 */
import { createRequire } from 'node:module'
import type * as pb from 'protobufjs'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Columns, DataType } from '../types.ts'

export type ProtoKind =
  | ('double' | 'float' | 'bool' | 'string' | 'bytes' | 'enum' | 'message')
  | ('int32' | 'sint32' | 'uint32' | 'fixed32' | 'sfixed32' | 'int64' | 'sint64' | 'uint64' | 'fixed64' | 'sfixed64')

export interface ProtoField {
  readonly name: string
  readonly number: number
  readonly kind: ProtoKind
  readonly message: ProtoMessage | null
  readonly values: ProtoEnum | null
  readonly form: 'one' | 'repeated' | 'map'
  /** implicit: what was not written is the default. */
  readonly presence: 'explicit' | 'implicit' | 'required'
  /** What stands for a value that was not written: JSON; null: none was declared. */
  readonly declared: string | null
  /** Its number among the message's oneofs; −1: it is in none. */
  readonly oneof: number
}
export interface ProtoEnum {
  readonly byNumber: ReadonlyMap<number, string>
  readonly first: number
  /** Numbers that it does not name are no values. */
  readonly isClosed: boolean
}
export interface ProtoMessage {
  /** With its package. */
  readonly name: string
  readonly fields: readonly ProtoField[]
  readonly byNumber: ReadonlyMap<number, ProtoField>
  /** Messages inside it, in order; null: their order cannot be told. */
  readonly inner: readonly ProtoMessage[] | null
  /** Which of Google's messages with a meaning of its own. */
  readonly known: Known | null
}
export type Known = 'timestamp' | 'duration' | 'wrapper' | 'struct' | 'value' | 'list'
export interface ProtoFile {
  /** Of the file itself, in order. */
  readonly messages: readonly ProtoMessage[]
  readonly byName: ReadonlyMap<string, ProtoMessage>
}

const load = createRequire(import.meta.url)
let loaded: typeof pb | null = null
const library = (): typeof pb => (loaded ??= load('protobufjs') as typeof pb)

const invalid = (why: string, cause?: unknown): Fault => new Fault('schema.invalid-schema', { field: '', why }, cause)

/** `imports`: by the names that they are imported by. Throws Fault schema.invalid-schema. */
export function parseProtobuf(text: string, imports: ReadonlyMap<string, string> = new Map()): ProtoFile {
  const bytes = [text, ...imports.values()].reduce((sum, one) => sum + one.length, 0)
  if (bytes > limits.schemaBytes) throw invalid(`it is longer than ${limits.schemaBytes} bytes`)
  let statements = 0
  for (const one of [text, ...imports.values()]) for (const c of one) if (c === ';' || c === '{') statements++
  if (statements > limits.protobufStatements) throw invalid(`it has more than ${limits.protobufStatements} statements`)
  try {
    return read(text, imports)
  } catch (error) {
    if (error instanceof Fault) throw error
    const why = error instanceof RangeError ? 'it is nested too deeply' : error instanceof Error ? error.message : ''
    throw invalid(`it is no Protobuf file: ${why}`, error)
  }
}
function read(text: string, imports: ReadonlyMap<string, string>): ProtoFile {
  const { parse, Root, common, Type } = library()
  const root = new Root()
  const parsed = parse(text, root, { keepCase: true })
  // Before those of imports stand beside them.
  const own = typesIn(root)
  const seen = new Set<string>()
  const open = [...(parsed.imports ?? []), ...(parsed.weakImports ?? [])]
  for (let name = open.pop(); name !== undefined; name = open.pop()) {
    if (seen.has(name)) continue
    seen.add(name)
    const given = imports.get(name)
    const google = common.get(name)
    if (given !== undefined) {
      const more = parse(given, root, { keepCase: true })
      open.push(...(more.imports ?? []), ...(more.weakImports ?? []))
    } else if (google?.nested !== undefined && google.nested !== null) root.addJSON(google.nested)
    else throw invalid(`it imports ${JSON.stringify(name)}, which is not given`)
  }
  root.resolveAll()
  const messages = new Messages()
  const made = own.map((type) => messages.of(type))
  const byName = new Map<string, ProtoMessage>()
  const visit = (space: pb.NamespaceBase): void => {
    for (const one of space.nestedArray) {
      if (one instanceof Type) byName.set(fullName(one), messages.of(one))
      if ('nestedArray' in one) visit(one as pb.NamespaceBase)
    }
  }
  visit(root)
  return { messages: made, byName }
}
/** Messages of the file, not those inside others. */
function typesIn(space: pb.NamespaceBase): pb.Type[] {
  const { Type, Namespace } = library()
  return space.nestedArray.flatMap((one) =>
    one instanceof Type ? [one] : one instanceof Namespace ? typesIn(one) : [],
  )
}
const fullName = (object: pb.ReflectionObject): string => object.fullName.replace(/^\./, '')

const known: Readonly<Record<string, Known>> = {
  'google.protobuf.Timestamp': 'timestamp',
  'google.protobuf.Duration': 'duration',
  'google.protobuf.Struct': 'struct',
  'google.protobuf.Value': 'value',
  'google.protobuf.ListValue': 'list',
  ...Object.fromEntries(
    ['Double', 'Float', 'Int64', 'UInt64', 'Int32', 'UInt32', 'Bool', 'String', 'Bytes'].map((name) => [
      `google.protobuf.${name}Value`,
      'wrapper' as const,
    ]),
  ),
}
const isMap = (field: object): field is pb.MapField => field instanceof library().MapField
type Mutable<T> = { -readonly [K in keyof T]: T[K] }
class Messages {
  private readonly made = new Map<pb.Type, ProtoMessage>()
  private readonly enums = new Map<pb.Enum, ProtoEnum>()

  of(type: pb.Type): ProtoMessage {
    const before = this.made.get(type)
    if (before !== undefined) return before
    const name = fullName(type)
    const message: Mutable<ProtoMessage> = {
      ...{ name, fields: [], byNumber: new Map<number, ProtoField>(), inner: null },
      known: known[name] ?? null,
    }
    this.made.set(type, message)
    const fields = type.fieldsArray.map((field) => this.field(field, type))
    message.fields = fields
    message.byNumber = new Map(fields.map((field) => [field.number, field]))
    // The message of a map's entries counts too, and where it stood among the others is not kept.
    if (!fields.some((field) => field.form === 'map'))
      message.inner = type.nestedArray.filter((one) => one instanceof library().Type).map((one) => this.of(one))
    return message
  }
  private field(field: pb.Field, type: pb.Type): ProtoField {
    const { Type, Enum } = library()
    const { name, id, resolvedType } = field.resolve()
    if (field.delimited === true) throw invalid(`${fullName(type)}.${name} is a group, which is not read`)
    const oneofs = type.oneofsArray.filter((one) => !one.isProto3Optional)
    const base = {
      ...{ name, number: id, oneof: field.partOf === null ? -1 : oneofs.indexOf(field.partOf) },
      declared: declaredDefault(field),
    }
    if (isMap(field)) {
      const message = this.entry(field, type)
      return { ...base, kind: 'message', values: null, presence: 'implicit', form: 'map', message }
    }
    // Of one in a oneof it is the oneof.
    const isExplicit = Boolean(field.hasPresence) || resolvedType instanceof Type
    const presence = field.required ? 'required' : isExplicit ? 'explicit' : 'implicit'
    return {
      ...base,
      kind: resolvedType instanceof Type ? 'message' : resolvedType instanceof Enum ? 'enum' : kindOf(field, type),
      message: resolvedType instanceof Type ? this.of(resolvedType) : null,
      values: resolvedType instanceof Enum ? this.values(resolvedType) : null,
      form: field.repeated ? 'repeated' : 'one',
      presence: field.repeated ? 'implicit' : presence,
    }
  }
  /** As protoc makes it: key 1, value 2. */
  private entry(field: pb.MapField, type: pb.Type): ProtoMessage {
    const { Type, Enum } = library()
    const { resolvedType } = field
    const plain = { message: null, values: null, form: 'one', presence: 'implicit', declared: null, oneof: -1 } as const
    const key: ProtoField = { ...plain, name: 'key', number: 1, kind: scalarKind(field.keyType, type, field.name) }
    const value: ProtoField = {
      ...{ ...plain, name: 'value', number: 2 },
      kind: resolvedType instanceof Type ? 'message' : resolvedType instanceof Enum ? 'enum' : kindOf(field, type),
      message: resolvedType instanceof Type ? this.of(resolvedType) : null,
      values: resolvedType instanceof Enum ? this.values(resolvedType) : null,
    }
    return {
      ...{ name: `${fullName(type)}.${field.name}`, fields: [key, value], inner: [], known: null },
      byNumber: new Map([
        [1, key],
        [2, value],
      ]),
    }
  }
  private values(type: pb.Enum): ProtoEnum {
    const before = this.enums.get(type)
    if (before !== undefined) return before
    const byNumber = new Map<number, string>()
    // Of two names of a number the first one is shown.
    for (const [name, number] of Object.entries(type.values)) if (!byNumber.has(number)) byNumber.set(number, name)
    const features = (type as unknown as { _features: { enum_type?: string } })._features
    const made = {
      ...{ byNumber, first: Object.values(type.values)[0] ?? 0 },
      isClosed: features.enum_type?.toUpperCase() === 'CLOSED',
    }
    this.enums.set(type, made)
    return made
  }
}
const scalars = new Set<string>(
  'double float bool string bytes int32 sint32 uint32 fixed32 sfixed32 int64 sint64 uint64 fixed64 sfixed64'.split(' '),
)
function scalarKind(name: string, type: pb.Type, field: string): ProtoKind {
  if (!scalars.has(name)) throw invalid(`${fullName(type)}.${field} has the unknown type ${name}`)
  return name as ProtoKind
}
const kindOf = (field: pb.FieldBase, type: pb.Type): ProtoKind => scalarKind(field.type, type, field.name)

/** proto2's `[default = …]`, as JSON. */
function declaredDefault(field: pb.Field): string | null {
  const value: unknown = (field.options as Readonly<Record<string, unknown>> | undefined)?.['default']
  if (value === undefined || field.repeated) return null
  if (typeof value === 'number') return Number.isFinite(value) ? String(value) : JSON.stringify(String(value))
  if (typeof value === 'boolean') return String(value)
  if (typeof value !== 'string') return null
  if (field.type === 'bytes') return JSON.stringify(Buffer.from(value, 'latin1').toString('base64'))
  const special = { inf: 'Infinity', '-inf': '-Infinity', nan: 'NaN' }[value]
  return JSON.stringify((field.type === 'double' || field.type === 'float') && special !== undefined ? special : value)
}

/** The message of this name, with or without its package; null: the file's only one. Throws Fault schema.invalid-schema. */
export function messageNamed(file: ProtoFile, name: string | null): ProtoMessage {
  if (name === null) {
    if (file.messages.length === 1) return file.messages[0]!
    const names = file.messages.map((message) => message.name).join(', ')
    throw invalid(names === '' ? 'it has no message' : `it has several messages, of which one must be named: ${names}`)
  }
  const full = file.byName.get(name)
  if (full !== undefined) return full
  const ends = [...file.byName.values()].filter((message) => message.name.endsWith(`.${name}`))
  if (ends.length === 1) return ends[0]!
  throw invalid(ends.length === 0 ? `it has no message ${name}` : `it has several messages ${name}`)
}
/** As Confluent's framing names it: the place in the file, then in the message above. */
export function messageAt(file: ProtoFile, indexes: readonly number[]): ProtoMessage | null {
  let messages: readonly ProtoMessage[] | null = file.messages
  let found: ProtoMessage | null = null
  for (const index of indexes) {
    found = messages?.[index] ?? null
    if (found === null) return null
    messages = found.inner
  }
  return found
}

// Columns.

/** A file of a few lines may have a million fields: one message stands in the next twice, and so on. */
const fieldsMax = 10_000
/** The columns of events that are such messages. Throws Fault schema.invalid-schema. */
export const protobufColumns = (message: ProtoMessage): Columns => new ProtoColumns().fieldsOf(message, [])

class ProtoColumns {
  private count = 0

  fieldsOf(message: ProtoMessage, above: readonly ProtoMessage[]): Columns {
    this.count += message.fields.length
    if (this.count > fieldsMax) throw invalid(`it has more than ${fieldsMax} fields`)
    return message.fields.map((field) => ({
      name: field.name,
      type: this.typeOf(field, [...above, message]),
      nullable: field.presence === 'explicit' && field.declared === null,
    }))
  }
  private typeOf(field: ProtoField, above: readonly ProtoMessage[]): DataType {
    if (field.form === 'map') return { kind: 'jsonb' }
    const one = field.message === null ? scalarType(field.kind) : this.messageType(field.message, above)
    if (field.form === 'one') return one
    return one.kind === 'jsonb' ? one : { kind: 'array', of: one }
  }
  private messageType(message: ProtoMessage, above: readonly ProtoMessage[]): DataType {
    switch (message.known) {
      case 'timestamp':
        return { kind: 'timestamptz' }
      case 'duration':
        return { kind: 'interval' }
      case 'wrapper':
        return scalarType(message.byNumber.get(1)!.kind)
      case 'struct':
      case 'value':
      case 'list':
        return { kind: 'jsonb' }
      case null:
        return above.includes(message) || message.fields.length === 0
          ? { kind: 'jsonb' }
          : { kind: 'composite', fields: this.fieldsOf(message, above) }
    }
  }
}
function scalarType(kind: ProtoKind): DataType {
  switch (kind) {
    case 'double':
      return { kind: 'double' }
    case 'float':
      return { kind: 'real' }
    case 'bool':
      return { kind: 'boolean' }
    case 'bytes':
      return { kind: 'bytea' }
    case 'int32':
    case 'sint32':
    case 'sfixed32':
      return { kind: 'int' }
    case 'uint32':
    case 'fixed32':
    case 'int64':
    case 'sint64':
    case 'sfixed64':
      return { kind: 'bigint' }
    case 'uint64':
    case 'fixed64':
      return { kind: 'numeric', precision: 20, scale: 0 }
    default:
      return { kind: 'text' }
  }
}
