/**
 * PostgreSQL's rules about types: which name means which type, what casts to what and when, and the common type of
 * several expressions (`select_common_type`).
 */
import type { DataType, Field } from '../../schema/types.ts'
import { SqlFault } from '../fault.ts'
import { suggestion } from '../../lib/suggestion.ts'
import type { TypeRef } from '../syntax/ast.ts'

type Kind = DataType['kind']

const simple: Readonly<Record<string, DataType>> = {
  boolean: { kind: 'boolean' },
  smallint: { kind: 'smallint' },
  int: { kind: 'int' },
  bigint: { kind: 'bigint' },
  real: { kind: 'real' },
  'double precision': { kind: 'double' },
  text: { kind: 'text' },
  bytea: { kind: 'bytea' },
  uuid: { kind: 'uuid' },
  json: { kind: 'json' },
  jsonb: { kind: 'jsonb' },
  date: { kind: 'date' },
  time: { kind: 'time' },
  timestamp: { kind: 'timestamp' },
  timestamptz: { kind: 'timestamptz' },
  interval: { kind: 'interval' },
}
const parameterised = ['numeric', 'varchar']
const known = [...Object.keys(simple), ...parameterised, 'integer', 'double precision']

/** The type that a name in the text means. Throws SqlFault. */
export function resolveType(ref: TypeRef, text: string): DataType {
  let type = scalar(ref, text)
  for (let i = 0; i < ref.dimensions; i++) type = { kind: 'array', of: type }
  return type
}

function scalar(ref: TypeRef, text: string): DataType {
  if (ref.members !== undefined) return composite(ref.members, text)
  switch (ref.name) {
    case 'numeric':
      return numericType(ref, text)
    case 'varchar':
      return { kind: 'varchar', length: varcharLength(ref, text) }
    case 'time':
    case 'timestamp':
    case 'timestamptz':
    case 'interval':
      return timeType(ref, text)
    default: {
      const type = Object.hasOwn(simple, ref.name) ? simple[ref.name]! : unknownType(ref, text)
      if (ref.modifiers.length > 0) {
        throw new SqlFault('sql.unknown-type', `type modifier is not allowed for type "${ref.name}"`, text, ref.at)
      }
      return type
    }
  }
}

function composite(members: NonNullable<TypeRef['members']>, text: string): DataType {
  const fields: Field[] = []
  for (const { name, type } of members) {
    if (fields.some((field) => field.name === name.text))
      throw new SqlFault('sql.duplicate-column', `field "${name.text}" specified more than once`, text, name.at)
    fields.push({ name: name.text, type: resolveType(type, text), nullable: true })
  }
  return { kind: 'composite', fields }
}

/** Names that other systems have. */
const typesElsewhere: Readonly<Record<string, string>> = {
  tinyint: 'smallint',
  bytes: 'bytea',
  binary: 'bytea',
  varbinary: 'bytea',
  blob: 'bytea',
  datetime: 'timestamp',
  timestamp_ltz: 'timestamptz',
  number: 'numeric',
  map: 'jsonb',
  object: 'jsonb',
  variant: 'jsonb',
  array: 'text[]',
  long: 'bigint',
  float32: 'real',
  float64: 'double precision',
  hugeint: 'numeric(38, 0)',
}
function unknownType(ref: TypeRef, text: string): never {
  if (ref.name === 'char' || ref.name === 'bpchar') {
    throw new SqlFault('sql.unsupported', 'the type char(n), padded with blanks, is not supported', text, ref.at, {
      hint: 'Use text or varchar(n).',
    })
  }
  if (ref.name === 'timetz') {
    throw new SqlFault('sql.unsupported', 'the type time with time zone is not supported', text, ref.at, {
      hint: 'Use timestamptz, or time.',
    })
  }
  const here = Object.hasOwn(typesElsewhere, ref.name) ? typesElsewhere[ref.name] : undefined
  const near = here ?? suggestion(ref.name, known)
  const options = near === null ? {} : { hint: `Perhaps you meant ${near}.` }
  throw new SqlFault('sql.unknown-type', `type "${ref.name}" does not exist`, text, ref.at, options)
}

function numericType(ref: TypeRef, text: string): DataType {
  const [precision, scale = 0] = ref.modifiers
  if (precision === undefined) return { kind: 'numeric', precision: null, scale: null }
  if (ref.modifiers.length > 2)
    throw new SqlFault('sql.invalid-value', 'numeric takes a precision and a scale', text, ref.at)
  if (precision < 1 || precision > 1000) {
    throw new SqlFault('sql.invalid-value', `NUMERIC precision ${precision} must be between 1 and 1000`, text, ref.at)
  }
  if (scale < 0 || scale > precision) {
    throw new SqlFault(
      'sql.invalid-value',
      `NUMERIC scale ${scale} must be between 0 and precision ${precision}`,
      text,
      ref.at,
    )
  }
  return { kind: 'numeric', precision, scale }
}
function varcharLength(ref: TypeRef, text: string): number | null {
  const [length] = ref.modifiers
  if (length === undefined) return null
  if (ref.modifiers.length > 1 || length < 1) {
    throw new SqlFault('sql.invalid-value', 'length for type varchar must be at least 1', text, ref.at)
  }
  return length
}
function timeType(ref: TypeRef, text: string): DataType {
  const [precision] = ref.modifiers
  if (precision !== undefined && precision !== 6) {
    throw new SqlFault('sql.unsupported', `${ref.name}(${precision}) is not supported`, text, ref.at, {
      hint: `Leave the precision out: ${ref.name} keeps microseconds.`,
    })
  }
  return simple[ref.name]!
}

/** How freely a cast is applied: by itself, when storing into a column, or only when written. */
export type CastContext = 'implicit' | 'assignment' | 'explicit'

const numbers: readonly Kind[] = ['smallint', 'int', 'bigint', 'numeric', 'real', 'double']
const texts: readonly Kind[] = ['text', 'varchar']
const implicitTimes: Readonly<Record<string, readonly Kind[]>> = {
  date: ['timestamp', 'timestamptz'],
  timestamp: ['timestamptz'],
  time: ['interval'],
}
const assignedTimes: Readonly<Record<string, readonly Kind[]>> = {
  timestamp: ['date', 'time'],
  timestamptz: ['date', 'time', 'timestamp'],
  interval: ['time'],
}

/** PostgreSQL's pg_cast, and its conversions through text; null = there is no cast. */
export function castContext(from: DataType, to: DataType): CastContext | null {
  const [a, b] = [from.kind, to.kind]
  if (a === b) return sameKind(from, to)
  if (numbers.includes(a) && numbers.includes(b))
    return numbers.indexOf(a) < numbers.indexOf(b) ? 'implicit' : 'assignment'
  if (texts.includes(a) && texts.includes(b)) return 'implicit'
  if (a in implicitTimes && implicitTimes[a]!.includes(b)) return 'implicit'
  if (a in assignedTimes && assignedTimes[a]!.includes(b)) return 'assignment'
  if ((a === 'json' && b === 'jsonb') || (a === 'jsonb' && b === 'json')) return 'assignment'
  if ((a === 'json' || a === 'jsonb') && (b === 'composite' || b === 'array')) return 'assignment'
  if (a === 'composite' && (b === 'json' || b === 'jsonb')) return 'explicit'
  if ((a === 'boolean' && b === 'int') || (a === 'int' && b === 'boolean')) return 'explicit'
  if (a === 'jsonb' && (numbers.includes(b) || b === 'boolean')) return 'explicit'
  if (texts.includes(b)) return 'assignment'
  return texts.includes(a) ? 'explicit' : null
}
function sameKind(from: DataType, to: DataType): CastContext | null {
  if (from.kind === 'array' && to.kind === 'array') return castContext(from.of, to.of)
  if (from.kind === 'composite') return sameType(from, to) ? 'implicit' : betweenComposites(from, to)
  return 'implicit'
}

/** Field by field, whatever their names. */
function betweenComposites(from: DataType & { kind: 'composite' }, to: DataType): CastContext | null {
  if (to.kind !== 'composite' || to.fields.length !== from.fields.length) return null
  const casts = from.fields.map((field, i) => castContext(field.type, to.fields[i]!.type))
  return casts.includes(null) ? null : casts.includes('explicit') ? 'explicit' : 'assignment'
}

export function sameType(a: DataType, b: DataType): boolean {
  if (a.kind !== b.kind) return false
  switch (a.kind) {
    case 'numeric':
      return b.kind === 'numeric' && a.precision === b.precision && a.scale === b.scale
    case 'varchar':
      return b.kind === 'varchar' && a.length === b.length
    case 'array':
      return b.kind === 'array' && sameType(a.of, b.of)
    case 'composite':
      return (
        b.kind === 'composite' &&
        a.fields.length === b.fields.length &&
        a.fields.every((field, i) => field.name === b.fields[i]!.name && sameType(field.type, b.fields[i]!.type))
      )
    default:
      return true
  }
}

export type Category = 'boolean' | 'number' | 'text' | 'time' | 'interval' | 'array' | 'other'
export function category(kind: Kind): Category {
  if (numbers.includes(kind)) return 'number'
  if (texts.includes(kind)) return 'text'
  if (kind === 'date' || kind === 'time' || kind === 'timestamp' || kind === 'timestamptz') return 'time'
  if (kind === 'boolean' || kind === 'interval' || kind === 'array') return kind
  return 'other'
}
/** The type of its category that PostgreSQL prefers when it must choose. */
export const isPreferred = (kind: Kind): boolean =>
  kind === 'double' || kind === 'text' || kind === 'timestamptz' || kind === 'boolean' || kind === 'interval'

/** The type that all can take without being asked; null when there is none. An empty list gives text. */
export function commonType(types: readonly DataType[]): DataType | null {
  let chosen: DataType | null = null
  for (const type of types) {
    if (chosen === null) chosen = type
    else {
      const next = commonOfTwo(chosen, type)
      if (next === null) return null
      chosen = next
    }
  }
  return chosen ?? { kind: 'text' }
}
function commonOfTwo(a: DataType, b: DataType): DataType | null {
  if (sameType(a, b)) return a
  if (a.kind === 'numeric' || b.kind === 'numeric') {
    if (category(a.kind) !== 'number' || category(b.kind) !== 'number') return null
    if (a.kind === 'real' || a.kind === 'double') return a
    if (b.kind === 'real' || b.kind === 'double') return b
    return { kind: 'numeric', precision: null, scale: commonScale(a, b) }
  }
  if (a.kind === b.kind) return a.kind === 'varchar' ? { kind: 'varchar', length: null } : commonOfArrays(a, b)
  if (category(a.kind) !== category(b.kind)) return null
  const forward = castContext(a, b) === 'implicit'
  const backward = castContext(b, a) === 'implicit'
  if (forward && backward) return isPreferred(b.kind) ? b : a
  if (forward) return b
  return backward ? a : null
}
function commonOfArrays(a: DataType, b: DataType): DataType | null {
  if (a.kind !== 'array' || b.kind !== 'array') return null
  const of = commonOfTwo(a.of, b.of)
  return of === null ? null : { kind: 'array', of }
}
/**
 * PostgreSQL lets every numeric keep its own scale; a column here has one scale or carries it per value. Whole numbers
 * fit any scale, so a fixed one stays fixed beside them.
 */
function commonScale(a: DataType, b: DataType): number | null {
  if (a.kind !== 'numeric') return b.kind === 'numeric' ? b.scale : null
  if (b.kind !== 'numeric') return a.scale
  return a.scale === b.scale ? a.scale : null
}

/** What a value of this type is cast to where a row of the function table asks for the kind. */
export function typeOfKind(kind: Kind, from: DataType): DataType {
  if (from.kind === kind) return from
  switch (kind) {
    case 'numeric':
      return {
        kind,
        precision: null,
        scale: category(from.kind) === 'number' && from.kind !== 'real' && from.kind !== 'double' ? 0 : null,
      }
    case 'varchar':
      return { kind, length: null }
    case 'array':
    case 'composite':
      return from
    default:
      return { kind }
  }
}
