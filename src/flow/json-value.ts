/** Values in memory form to JSON: as text for topics, as JavaScript values for people and user functions; and back. */
import { Fault } from '../lib/fault.ts'
import type { Columns, DataType } from '../schema/types.ts'
import { type Batch, type Column, valueAt } from './batch.ts'
import { type Decimal, decimalText } from './decimal.ts'
import { Misfit, valueReader } from './decode-value.ts'
import type { Value } from './expression.ts'
import { byteaText, realText } from './functions/casts.ts'
import { intervalText } from './functions/time-parts.ts'
import { valueEnd } from './json-scan.ts'
import type { Interval } from './memory.ts'
import { clockText, dateText, isoText } from './time-text.ts'

/** Memory form to JSON text, NULL as null. */
export type JsonWriter = (value: Value) => string

function doubleJson(v: number): string {
  if (!Number.isFinite(v)) return v !== v ? '"NaN"' : v > 0 ? '"Infinity"' : '"-Infinity"'
  return Object.is(v, -0) ? '-0' : String(v)
}
function numericText(value: Value, scale: number | null): string {
  if (typeof value === 'object') return decimalText((value as Decimal).digits, (value as Decimal).scale)
  return decimalText(value as number | bigint, scale ?? 0)
}
/** Of values that are present. */
function presentWriter(type: DataType): JsonWriter {
  switch (type.kind) {
    case 'boolean':
    case 'smallint':
    case 'int':
    case 'bigint':
      return String
    case 'numeric':
      return (v) => numericText(v, type.scale)
    case 'real':
      return (v) => (Number.isFinite(v) ? realText(v as number) : doubleJson(v as number))
    case 'double':
      return (v) => doubleJson(v as number)
    case 'text':
    case 'varchar':
    case 'uuid':
      return JSON.stringify
    case 'json':
    case 'jsonb':
      return (v) => v as string
    case 'bytea':
      return (v) => JSON.stringify(byteaText(v as Uint8Array))
    case 'date':
      return (v) => `"${dateText(v as number)}"`
    case 'time':
      return (v) => `"${clockText(v as number)}"`
    case 'timestamp':
    case 'timestamptz':
      return (v) => `"${isoText(v as number)}"`
    case 'interval':
      return (v) => JSON.stringify(intervalText(v as Interval))
    case 'array': {
      const item = jsonWriter(type.of)
      return (v) => `[${(v as readonly Value[]).map(item).join(',')}]`
    }
    case 'composite': {
      const fields = type.fields.map((f) => ({
        label: `${JSON.stringify(f.name)}:`,
        name: f.name,
        write: jsonWriter(f.type),
      }))
      return (v) => {
        const values = v as { readonly [name: string]: Value }
        return `{${fields.map((f) => f.label + f.write(values[f.name] ?? null)).join(',')}}`
      }
    }
  }
}
export function jsonWriter(type: DataType): JsonWriter {
  const write = presentWriter(type)
  return (v) => (v === null ? 'null' : write(v))
}
/** A batch's row as a JSON object, fields in the order of the columns. */
export function rowWriter(columns: Columns): (batch: { readonly columns: readonly Column[] }, row: number) => string {
  const fields = columns.map((c, i) => ({
    label: `${i === 0 ? '{' : ','}${JSON.stringify(c.name)}:`,
    type: c.type,
    write: jsonWriter(c.type),
  }))
  return (batch, row) => {
    if (fields.length === 0) return '{}'
    let text = ''
    for (let c = 0; c < fields.length; c++) {
      const field = fields[c]!
      text += field.label + field.write(valueAt(batch.columns[c]!, row, field.type))
    }
    return `${text}}`
  }
}

/** JSON form for JavaScript: numbers, text, ISO 8601; what a number cannot hold exactly as bigint (integers) or text. */
export function toJson(value: Value, type: DataType): unknown {
  if (value === null) return null
  switch (type.kind) {
    case 'numeric': {
      const text = numericText(value, type.scale)
      return text.replace(/[-.]/g, '').replace(/^0+/, '').length <= 15 ? Number(text) : text
    }
    case 'real':
      // As topics say it: 1.1, and not 1.100000023841858, which is the double nearest to it.
      return Number.isFinite(value) ? Number(realText(value as number)) : value
    case 'bytea':
      return byteaText(value as Uint8Array)
    case 'json':
    case 'jsonb':
      return exactJson(value as string)
    case 'date':
      return dateText(value as number)
    case 'time':
      return clockText(value as number)
    case 'timestamp':
    case 'timestamptz':
      return isoText(value as number)
    case 'interval':
      return intervalText(value as Interval)
    case 'array':
      return (value as readonly Value[]).map((item) => toJson(item, type.of))
    case 'composite':
      return Object.fromEntries(
        type.fields.map((f) => [f.name, toJson((value as { readonly [name: string]: Value })[f.name] ?? null, f.type)]),
      )
    default:
      return value
  }
}
/** Whole numbers inside JSON that a number cannot hold are bigints, as those of a bigint column are. */
function exactJson(text: string): unknown {
  if (!/\d{16}/.test(text)) return JSON.parse(text) as unknown
  return JSON.parse(text, (_, member: unknown, context?: { readonly source?: string }) => {
    const source = context?.source ?? ''
    return typeof member === 'number' && /^-?\d+$/.test(source) && !Number.isSafeInteger(member)
      ? BigInt(source)
      : member
  })
}
/** A batch's row as an object in JSON form. */
export function rowObject(batch: Batch, row: number, columns: Columns): { [column: string]: unknown } {
  return Object.fromEntries(columns.map((c, i) => [c.name, toJson(valueAt(batch.columns[i]!, row, c.type), c.type)]))
}

/** JSON text of what JavaScript holds; bigints as numbers. Undefined is null. */
function textOf(value: unknown): string {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value === 'number' && !Number.isFinite(value)) return doubleJson(value)
  if (value instanceof Uint8Array) return JSON.stringify(byteaText(value))
  if (Array.isArray(value)) return `[${value.map(textOf).join(',')}]`
  if (value !== null && typeof value === 'object' && !(value instanceof Date) && !('toJSON' in value))
    return `{${Object.entries(value)
      .map(([name, field]) => `${JSON.stringify(name)}:${textOf(field)}`)
      .join(',')}}`
  return JSON.stringify(value) ?? 'null'
}
/** What user code gives, by the rules by which JSON is read. Throws Fault value.invalid-text. */
export function fromJs(type: DataType): (value: unknown) => Value {
  const read = valueReader(type)
  const any = type.kind === 'json' || type.kind === 'jsonb'
  return (value) => {
    if (value === null || value === undefined) return null
    const bytes = Buffer.from(textOf(value))
    try {
      valueEnd(bytes, 0, bytes.length)
      return any && bytes.toString() === 'null' ? null : read(bytes, 0, bytes.length)
    } catch (error) {
      if (error instanceof Misfit) throw new Fault('value.invalid-argument', { what: error.message }, error)
      throw error
    }
  }
}
