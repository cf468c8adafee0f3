/**
 * One JSON value's bytes into a column, by the column's type. Numbers are read from their bytes, so that no digit of a
 * bigint or numeric is lost. What does not fit is Misfit, which says what was found.
 */
import { Fault } from '../lib/fault.ts'
import { typeName, type DataType } from '../schema/types.ts'
import type { BytesBuilder, ColumnBuilder, NumberBuilder } from './columns.ts'
import { decimalText, parseDecimal, rescaleDigits } from './decimal.ts'
import type { Value } from './expression.ts'
import { canonicalJsonb } from './json-text.ts'
import { eachItem, scanObject, stringEnd, stringText } from './json-scan.ts'
import { canonical } from './memory.ts'
import { instantOfMs, parseClock, parseDate, parseInstant, parseTimestamp, readPlainInstant } from './time-text.ts'
import { checkPrecision } from './functions/helpers.ts'
import { textToUuid } from './functions/casts.ts'
import { parseInterval } from './functions/interval-text.ts'

export class Misfit extends Error {
  /** Where in the value; '' is the value itself. */
  readonly field: string
  constructor(what: string, field = '') {
    super(what)
    this.name = 'Misfit'
    this.field = field
  }
}
/** Bytes that are not of their format. */
export class Malformed extends Error {
  readonly what: string
  readonly at: number | null
  constructor(what: string, at: number | null = null) {
    super(at === null ? what : `${what} at byte ${at}`)
    this.name = 'Malformed'
    this.what = what
    this.at = at
  }
}
/** What a reader threw because the value is not of its type: beyond what it holds, too, is such a Fault. null: it is a mistake of ours. */
export function misfitOf(error: unknown): Misfit | null {
  if (error instanceof Misfit) return error
  if (error instanceof Malformed) return new Misfit(`is malformed: ${error.what}`)
  return error instanceof Fault ? new Misfit(error.message) : null
}
/** Appends the value at [from, to) of a scanned JSON text, which is not `null`. */
export type ValueReader = (b: Buffer, from: number, to: number, builder: ColumnBuilder) => void

const found = (b: Buffer, from: number, to: number): string => {
  const c = b[from]!
  const kind =
    c === 34
      ? 'a text'
      : c === 123
        ? 'an object'
        : c === 91
          ? 'an array'
          : c === 116 || c === 102
            ? 'a boolean'
            : 'a number'
  const shown = b.toString('utf8', from, Math.min(to, from + 40))
  return `${kind} (${to - from > 40 ? `${shown}…` : shown})`
}
const misfit = (type: DataType, b: Buffer, from: number, to: number): never => {
  throw new Misfit(`is ${found(b, from, to)}, expected ${typeName(type)}`)
}
const isNumber = (c: number): boolean => c === 45 || (c >= 48 && c <= 57)

const powersOf10 = Array.from({ length: 23 }, (_, i) => 10 ** i)
/** At most 15 digits and a power of ten up to 22 are one exact operation; all else goes to the engine's own parser. */
export function readDouble(b: Buffer, from: number, to: number): number {
  let at = from
  const negative = b[at] === 45
  if (negative) at++
  let value = 0
  let digits = 0
  let fraction = 0
  for (let behind = false; at < to; at++) {
    const c = b[at]!
    if (c === 46) {
      behind = true
      continue
    }
    if (c < 48 || c > 57) return Number(b.toString('latin1', from, to))
    value = value * 10 + (c - 48)
    if (value > 0) digits++
    if (behind) fraction++
  }
  if (digits > 15 || fraction > 22) return Number(b.toString('latin1', from, to))
  const result = fraction === 0 ? value : value / powersOf10[fraction]!
  return negative ? -result : result
}
/** A whole number, canonical; null if it has a fraction. */
function readInteger(b: Buffer, from: number, to: number): number | bigint | null {
  if (to - from <= 15) {
    let value = 0
    const negative = b[from] === 45
    let at = negative ? from + 1 : from
    for (; at < to; at++) {
      const c = b[at]!
      if (c < 48 || c > 57) break
      value = value * 10 + (c - 48)
    }
    if (at === to) return negative ? 0 - value : value
  }
  const d = parseDecimal(b.toString('latin1', from, to))
  if (d === null) return null
  const whole = rescaleDigits(d.digits, d.scale, 0)
  return rescaleDigits(whole, 0, d.scale) === d.digits ? canonical(whole) : null
}
/** The text between the quotes; numbers may come as text where JavaScript could not send them exactly. */
function quoted(b: Buffer, from: number, to: number): string {
  const close = stringEnd(b, from + 1, to)
  return stringText(b, from + 1, to - 1, close < 0)
}

const ranges: Readonly<Record<string, readonly [number | bigint, number | bigint]>> = {
  smallint: [-32768, 32767],
  int: [-2147483648, 2147483647],
  bigint: [-9223372036854775808n, 9223372036854775807n],
}
function integerReader(type: DataType): ValueReader {
  const [least, most] = ranges[type.kind]!
  return (b, from, to, builder) => {
    let value: number | bigint | null = null
    if (isNumber(b[from]!)) value = readInteger(b, from, to)
    else if (b[from] === 34 && type.kind === 'bigint') {
      const text = quoted(b, from, to)
      if (/^-?\d{1,19}$/.test(text)) value = canonical(BigInt(text))
    }
    if (value === null || value < least || value > most) return misfit(type, b, from, to)
    ;(builder as NumberBuilder).pushInt(value)
  }
}
function numericReader(type: DataType & { kind: 'numeric' }): ValueReader {
  return (b, from, to, builder) => {
    const text = isNumber(b[from]!) ? b.toString('latin1', from, to) : b[from] === 34 ? quoted(b, from, to) : ''
    const d = parseDecimal(text)
    if (d === null) return misfit(type, b, from, to)
    if (type.scale === null) return builder.push(d)
    const scaled = canonical(rescaleDigits(d.digits, d.scale, type.scale))
    try {
      builder.push(checkPrecision(scaled, type.precision, type.scale))
    } catch {
      throw new Misfit(`is ${decimalText(d.digits, d.scale)}, expected ${typeName(type)}`)
    }
  }
}
function doubleReader(type: DataType): ValueReader {
  const real = type.kind === 'real'
  return (b, from, to, builder) => {
    if (!isNumber(b[from]!)) {
      const word = b[from] === 34 ? quoted(b, from, to) : ''
      // JSON has no numbers for these; this is how they are written.
      if (word !== 'NaN' && word !== 'Infinity' && word !== '-Infinity') return misfit(type, b, from, to)
      return (builder as NumberBuilder).pushNumber(Number(word))
    }
    const value = readDouble(b, from, to)
    const kept = real ? Math.fround(value) : value
    if (!Number.isFinite(kept)) return misfit(type, b, from, to)
    ;(builder as NumberBuilder).pushNumber(kept)
  }
}
function hasEscape(b: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) if (b[i] === 92) return true
  return false
}
const textReader = (type: DataType): ValueReader => {
  const length = type.kind === 'varchar' ? type.length : null
  return (b, from, to, builder) => {
    if (b[from] !== 34) return misfit(type, b, from, to)
    if (length === null && !hasEscape(b, from, to)) return (builder as BytesBuilder).pushBytes(b, from + 1, to - 1)
    const text = quoted(b, from, to)
    if (length !== null && text.length > length && Array.from(text).length > length) return misfit(type, b, from, to)
    ;(builder as BytesBuilder).pushText(text)
  }
}
/** Text in the form of its type; numbers as milliseconds where `numbers` takes them. */
function timeReader(
  type: DataType,
  parse: (text: string) => number | null,
  numbers: ((ms: number) => number) | null,
): ValueReader {
  return (b, from, to, builder) => {
    let value: number | null = null
    // Only the types that take milliseconds are instants.
    const plain = numbers === null ? NaN : readPlainInstant(b, from + 1, to - 1)
    if (plain === plain) value = plain
    else if (b[from] === 34) value = parse(quoted(b, from, to))
    else if (numbers !== null && isNumber(b[from]!)) value = numbers(readDouble(b, from, to))
    if (value === null || value !== value) return misfit(type, b, from, to)
    ;(builder as NumberBuilder).pushNumber(value)
  }
}
function byteaReader(type: DataType): ValueReader {
  return (b, from, to, builder) => {
    if (b[from] !== 34) return misfit(type, b, from, to)
    const text = quoted(b, from, to)
    if (/^\\x([0-9a-fA-F]{2})*$/.test(text)) return builder.push(Buffer.from(text.slice(2), 'hex'))
    if (!/^[A-Za-z0-9+/]*={0,2}$/.test(text) || text.length % 4 !== 0) return misfit(type, b, from, to)
    builder.push(Buffer.from(text, 'base64'))
  }
}
function uuidReader(type: DataType): ValueReader {
  return (b, from, to, builder) => {
    if (b[from] !== 34) return misfit(type, b, from, to)
    try {
      builder.push(textToUuid(quoted(b, from, to)))
    } catch {
      misfit(type, b, from, to)
    }
  }
}
function intervalReader(type: DataType): ValueReader {
  return (b, from, to, builder) => {
    const value = b[from] === 34 ? parseInterval(quoted(b, from, to)) : null
    if (value === null) return misfit(type, b, from, to)
    builder.push(value)
  }
}

/** Collects what a reader appends, for values inside values. */
class OneValue implements ColumnBuilder {
  count = 0
  value: Value = null
  private readonly type: DataType
  constructor(type: DataType) {
    this.type = type
  }
  pushNull(): void {
    this.value = null
  }
  push(value: Value): void {
    this.value = value
  }
  pushNumber(value: number): void {
    this.value = this.type.kind === 'boolean' ? value !== 0 : value
  }
  pushInt(value: number | bigint): void {
    this.value = value
  }
  pushText(value: string): void {
    this.value = value
  }
  pushBytes(bytes: Buffer, from = 0, to = bytes.length): void {
    this.value = this.type.kind === 'bytea' ? Buffer.from(bytes.subarray(from, to)) : bytes.toString('utf8', from, to)
  }
  pushFrom(): never {
    throw new Error('not a column')
  }
  truncate(): void {
    this.value = null
  }
  last(): Value {
    return this.value
  }
  done(): never {
    throw new Error('not a column')
  }
}
const isNullWord = (b: Buffer, from: number): boolean => b[from] === 110
/** Reads a value on its own, null where it is JSON's null. */
export function valueReader(type: DataType): (b: Buffer, from: number, to: number) => Value {
  const read = readerOf(type)
  const one = new OneValue(type)
  return (b, from, to) => {
    if (isNullWord(b, from)) return null
    read(b, from, to, one)
    return one.value
  }
}
function arrayReader(type: DataType & { kind: 'array' }): ValueReader {
  const item = valueReader(type.of)
  return (b, from, to, builder) => {
    if (b[from] !== 91) return misfit(type, b, from, to)
    const items: Value[] = []
    eachItem(b, from, to, (start, end) => items.push(item(b, start, end)))
    builder.push(items)
  }
}
function compositeReader(type: DataType & { kind: 'composite' }): ValueReader {
  const readers = new Map(type.fields.map((field) => [field.name, valueReader(field.type)]))
  return (b, from, to, builder) => {
    if (b[from] !== 123) return misfit(type, b, from, to)
    const values = new Map<string, Value>(type.fields.map((field) => [field.name, null]))
    scanObject(b, from, to, 0, {
      field: (keyFrom, keyTo, escaped, start, end) => {
        const name = stringText(b, keyFrom, keyTo, escaped)
        const reader = readers.get(name)
        if (reader !== undefined) values.set(name, reader(b, start, end))
      },
    })
    builder.push(Object.fromEntries(values))
  }
}

export function readerOf(type: DataType): ValueReader {
  switch (type.kind) {
    case 'boolean':
      return (b, from, to, builder) => {
        const c = b[from]
        if (c !== 116 && c !== 102) return misfit(type, b, from, to)
        ;(builder as NumberBuilder).pushNumber(c === 116 ? 1 : 0)
      }
    case 'smallint':
    case 'int':
    case 'bigint':
      return integerReader(type)
    case 'real':
    case 'double':
      return doubleReader(type)
    case 'numeric':
      return numericReader(type)
    case 'text':
    case 'varchar':
      return textReader(type)
    case 'uuid':
      return uuidReader(type)
    case 'bytea':
      return byteaReader(type)
    case 'json':
      return (b, from, to, builder) => (builder as BytesBuilder).pushBytes(b, from, to)
    case 'jsonb':
      return (b, from, to, builder) => builder.push(canonicalJsonb(b.toString('utf8', from, to)))
    case 'date':
      return timeReader(type, parseDate, null)
    case 'time':
      return timeReader(type, parseClock, null)
    case 'timestamp':
      return timeReader(type, parseTimestamp, instantOfMs)
    case 'timestamptz':
      return timeReader(type, parseInstant, instantOfMs)
    case 'interval':
      return intervalReader(type)
    case 'array':
      return arrayReader(type)
    case 'composite':
      return compositeReader(type)
  }
}
