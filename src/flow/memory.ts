/**
 * Values in memory, by type. Generated code, state and literals all hold them so:
 *
 * - boolean: boolean; smallint, int, real, double: number; date: days since 1970; time: µs since midnight; timestamp,
 *   timestamptz: µs since 1970 UTC (all numbers);
 * - bigint: a number while |v| < 2^53, else a bigint; never a bigint where a number would do (`canonical`);
 * - numeric of a fixed scale s (`type.scale` is a number, precision may still be null): the integer v × 10^s, canonical;
 * - numeric without a scale: Decimal, which carries its own scale;
 * - text, varchar, uuid (lower case, with hyphens), json, jsonb (their text): string; bytea: bytes;
 * - interval: Interval; array: array of values; composite: object by field name.
 */
import type { DataType } from '../schema/types.ts'
import { type Decimal, decimalFromNumber } from './decimal.ts'

/** PostgreSQL's interval: its three parts do not convert into each other. */
export type Interval = { readonly months: number; readonly days: number; readonly micros: number }

export type Storage = 'f64' | 'bytes' | 'value'
/** Where a type is stored as long as its values allow. */
export function storageOf(type: DataType): Storage {
  switch (type.kind) {
    case 'boolean':
    case 'smallint':
    case 'int':
    case 'bigint':
    case 'real':
    case 'double':
    case 'date':
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return 'f64'
    case 'numeric':
      return type.scale === null ? 'value' : 'f64'
    case 'text':
    case 'varchar':
    case 'uuid':
    case 'json':
    case 'jsonb':
    case 'bytea':
      return 'bytes'
    case 'interval':
    case 'array':
    case 'composite':
      return 'value'
  }
}

/** How generated code holds a value of the type. 'int': number or bigint, canonical. */
export type Form = 'bool' | 'num' | 'int' | 'decimal' | 'text' | 'bytes' | 'value'
export function formOf(type: DataType): Form {
  switch (type.kind) {
    case 'boolean':
      return 'bool'
    case 'bigint':
      return 'int'
    case 'numeric':
      return type.scale === null ? 'decimal' : 'int'
    case 'bytea':
      return 'bytes'
    default:
      return storageOf(type) === 'f64' ? 'num' : storageOf(type) === 'bytes' ? 'text' : 'value'
  }
}

/** A number where it is exact, else a bigint. */
export function canonical(value: bigint): number | bigint {
  return value >= -9007199254740991n && value <= 9007199254740991n ? Number(value) : value
}
/** What integer arithmetic on numbers gave, if it is exact. */
export const isExact = (value: number): boolean => value >= -9007199254740991 && value <= 9007199254740991

/** A numeric in memory form as a Decimal, whatever its type's scale. */
export function toDecimal(value: number | bigint | Decimal, scale: number | null): Decimal {
  if (typeof value === 'object') return value
  const digits = typeof value === 'number' ? BigInt(value) : value
  return scale === null ? decimalFromNumber(digits) : { digits, scale }
}
