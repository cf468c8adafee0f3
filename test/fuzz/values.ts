/** Values of both sides as texts that are the same where the values are. */
import { type Decimal, parseDecimal, trimScale } from '../../src/flow/decimal.ts'
import type { Value } from '../../src/flow/expression.ts'
import { clockText, dateText } from '../../src/flow/time-text.ts'
import type { DataType } from '../../src/schema/types.ts'
import type { Kind } from './node.ts'

const decimal = (d: Decimal): string => {
  const { digits, scale } = trimScale(d)
  return `${digits}e-${scale}`
}
const double = (value: number): string => (Object.is(value, -0) ? '0' : String(value))
const stable = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) =>
    v !== null && typeof v === 'object' && !Array.isArray(v)
      ? Object.fromEntries(Object.entries(v).toSorted(([a], [b]) => (a < b ? -1 : 1)))
      : v,
  )

/** Of our memory form. */
export function ourText(value: Value, type: DataType): string {
  if (value === null) return 'NULL'
  switch (type.kind) {
    case 'numeric':
      return decimal(
        typeof value === 'object'
          ? (value as unknown as Decimal)
          : { digits: BigInt(value as number), scale: type.scale ?? 0 },
      )
    case 'real':
    case 'double':
      return double(value as number)
    case 'text':
    case 'varchar':
      return JSON.stringify(value)
    case 'bytea':
      return Buffer.from(value as Uint8Array).toString('hex')
    case 'date':
      return dateText(value as number)
    case 'time':
      return clockText(value as number)
    case 'json':
    case 'jsonb':
      return stable(JSON.parse(value as string))
    case 'composite':
      return stable(value)
    default:
      return String(value)
  }
}
/** SQL of DuckDB that gives a column as `theirText` reads it. */
export function theirForm(name: string, type: DataType): string {
  switch (type.kind) {
    case 'boolean':
      return name
    case 'real':
    case 'double':
      return `CAST(${name} AS DOUBLE)`
    case 'bytea':
      return `hex(${name})`
    case 'timestamp':
    case 'timestamptz':
      return `CAST(epoch_us(${name}) AS VARCHAR)`
    case 'composite':
      return `CAST(to_json(${name}) AS VARCHAR)`
    default:
      return `CAST(${name} AS VARCHAR)`
  }
}
export function theirText(value: unknown, type: DataType): string {
  if (value === null || value === undefined) return 'NULL'
  const text = String(value)
  switch (type.kind) {
    case 'numeric': {
      const parsed = parseDecimal(text)
      return parsed === null ? text : decimal(parsed)
    }
    case 'real':
    case 'double':
      return double(Number(value))
    case 'text':
    case 'varchar':
      return JSON.stringify(text)
    case 'bytea':
      return text.toLowerCase()
    case 'json':
    case 'jsonb':
    case 'composite':
      return stable(JSON.parse(text))
    default:
      return text
  }
}
/** What is compared to so many digits. */
export function numberOf(text: string): number {
  const match = /^(-?\d+)e-(\d+)$/.exec(text)
  return match === null ? Number(text) : Number(`${match[1]}e-${match[2]}`)
}

export const ourTypes: Readonly<Record<Kind, string>> = {
  boolean: 'boolean',
  smallint: 'smallint',
  int: 'int',
  bigint: 'bigint',
  numeric: 'numeric',
  real: 'real',
  double: 'double precision',
  text: 'text',
  bytea: 'bytea',
  uuid: 'uuid',
  date: 'date',
  time: 'time',
  timestamp: 'timestamp',
  timestamptz: 'timestamptz',
  jsonb: 'jsonb',
  struct: 'STRUCT<a int, b text>',
}
/** An instant is a TIMESTAMP of UTC there. */
export const theirTypes: Readonly<Record<Kind, string>> = {
  boolean: 'BOOLEAN',
  smallint: 'SMALLINT',
  int: 'INTEGER',
  bigint: 'BIGINT',
  numeric: 'DECIMAL(38,4)',
  real: 'REAL',
  double: 'DOUBLE',
  text: 'VARCHAR',
  bytea: 'BLOB',
  uuid: 'UUID',
  date: 'DATE',
  time: 'TIME',
  timestamp: 'TIMESTAMP',
  timestamptz: 'TIMESTAMP',
  jsonb: 'JSON',
  struct: 'STRUCT(a INTEGER, b VARCHAR)',
}
export const decimalType = (scale: number): string => `DECIMAL(38,${scale})`
export const quoted = (text: string): string => `'${text.replaceAll("'", "''")}'`
