/** Casts, as PostgreSQL has them. `cast` rows are found by the kinds from and to; the call's type carries precision. */
import { Fault } from '../../lib/fault.ts'
import type { DataType } from '../../schema/types.ts'
import { typeName } from '../../schema/types.ts'
import { decimalFromDouble, decimalText, decimalToDouble, type Decimal, parseDecimal } from '../decimal.ts'
import { canonicalJsonb, checkJson } from '../json-text.ts'
import { toDecimal } from '../memory.ts'
import * as time from '../time-text.ts'
import * as h from './helpers.ts'
import type { CallSite, FunctionRow, Kind } from './table.ts'

const dayMicros = 86_400_000_000
const invalid = (type: string, text: string): never => {
  throw new Fault('value.invalid-text', { type, text: text.length > 80 ? `${text.slice(0, 80)}…` : text })
}
const invalidTime = (type: string, text: string): never => {
  throw new Fault('value.invalid-time', { type, text: text.length > 80 ? `${text.slice(0, 80)}…` : text })
}

// From text.

const integerPattern = /^\s*[+-]?\d+\s*$/
function parseInteger(text: string, type: string): bigint {
  return integerPattern.test(text) && text.length < 400 ? BigInt(text.trim().replace(/^\+/, '')) : invalid(type, text)
}
/** Compared before it becomes a number, so that nothing is rounded into the range. */
function parseSmall(text: string, type: string, max: number): number {
  const value = parseInteger(text, type)
  if (value > BigInt(max) || value < BigInt(-max - 1))
    throw new Fault('value.out-of-range', { type, value: text.trim() })
  return Number(value)
}
const textToSmallint = (s: string): number => parseSmall(s, 'smallint', 32767)
const textToInt = (s: string): number => parseSmall(s, 'integer', 2147483647)
const textToBigint = (s: string): h.Int => h.checkBigint(parseInteger(s, 'bigint'))
const doublePattern = /^\s*[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d+)?\s*$/
const doubleWords: Readonly<Record<string, number>> = {
  nan: NaN,
  infinity: Infinity,
  inf: Infinity,
  '+infinity': Infinity,
  '-infinity': -Infinity,
  '-inf': -Infinity,
}
function textToDouble(s: string): number {
  if (doublePattern.test(s)) {
    const value = Number(s)
    return Number.isFinite(value) ? value : h.checkDouble(value, 0, 0)
  }
  const word = s.trim().toLowerCase()
  return Object.hasOwn(doubleWords, word) ? doubleWords[word]! : invalid('double precision', s)
}
const textToReal = (s: string): number => {
  const value = textToDouble(s)
  return Number.isFinite(value) ? h.checkReal(value, 0, 0) : value
}
const textToDecimal = (s: string): Decimal => parseDecimal(s) ?? invalid('numeric', s)
const booleanWords: readonly (readonly [string, boolean])[] = [
  ['true', true],
  ['false', false],
  ['yes', true],
  ['no', false],
  ['on', true],
  ['off', false],
  ['1', true],
  ['0', false],
]
/** Any unique beginning of the words counts, as in PostgreSQL. */
function textToBoolean(s: string): boolean {
  const word = s.trim().toLowerCase()
  const found = booleanWords.filter(([w]) => word !== '' && w.startsWith(word))
  if (found.length === 0 || new Set(found.map(([, v]) => v)).size > 1) return invalid('boolean', s)
  return found[0]![1]
}
const uuidPattern = /^\{?([0-9a-f]{8})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{4})-?([0-9a-f]{12})\}?$/
export function textToUuid(s: string): string {
  const m = uuidPattern.exec(s.trim().toLowerCase())
  return m === null ? invalid('uuid', s) : m.slice(1).join('-')
}
function textToBytea(s: string): Buffer {
  if (s.startsWith('\\x')) {
    const hex = s.slice(2).replace(/\s+/g, '')
    return /^([0-9a-fA-F]{2})*$/.test(hex) ? Buffer.from(hex, 'hex') : invalid('bytea', s)
  }
  const plain = s.replace(/\\(\\|[0-3][0-7]{2})/g, (_, e: string) =>
    e === '\\' ? '\\' : String.fromCharCode(parseInt(e, 8)),
  )
  return Buffer.from(plain, s.includes('\\') ? 'latin1' : 'utf8')
}
const orInvalid =
  (parse: (s: string) => number | null, type: string) =>
  (s: string): number =>
    parse(s) ?? invalidTime(type, s)

// To text.

/** Shortest digits that read back the same; exponents as PostgreSQL writes them. */
export function doubleText(v: number): string {
  if (!Number.isFinite(v)) return v !== v ? 'NaN' : v > 0 ? 'Infinity' : '-Infinity'
  if (v === 0) return Object.is(v, -0) ? '-0' : '0'
  const [digits = '', exponentText = '0'] = v.toExponential().split('e')
  const exponent = Number(exponentText)
  if (exponent < -4 || exponent >= 15) {
    const sign = exponent < 0 ? '-' : '+'
    return `${digits}e${sign}${String(Math.abs(exponent)).padStart(2, '0')}`
  }
  const plain = String(v)
  return plain.includes('e') ? v.toFixed(20).replace(/0+$/, '') : plain
}
/** Shortest digits that read back the same as a float32. */
export function realText(v: number): string {
  if (!Number.isFinite(v) || v === 0) return doubleText(v)
  for (let digits = 1; digits <= 9; digits++) {
    const text = Number(v.toPrecision(digits))
    if (Math.fround(text) !== v) continue
    const exponent = Math.floor(Math.log10(Math.abs(text)))
    return exponent >= 6 || exponent < -4 ? exponential(text) : doubleText(text)
  }
  return doubleText(v)
}
function exponential(v: number): string {
  const [digits = '', exponent = '0'] = v.toExponential().split('e')
  const e = Number(exponent)
  return `${digits}e${e < 0 ? '-' : '+'}${String(Math.abs(e)).padStart(2, '0')}`
}
const decimalOf = (d: Decimal): string => decimalText(d.digits, d.scale)
export const byteaText = (b: Uint8Array): string =>
  `\\x${Buffer.from(b.buffer, b.byteOffset, b.byteLength).toString('hex')}`

// Between numbers.

const doubleToSmallint = (v: number): number => h.checkSmallint(finite(h.roundHalfEven(v), 'smallint'))
const doubleToInt = (v: number): number => h.checkInt(finite(h.roundHalfEven(v), 'integer'))
function doubleToBigint(v: number): h.Int {
  const rounded = finite(h.roundHalfEven(v), 'bigint')
  return Number.isSafeInteger(rounded) ? rounded + 0 : h.checkBigint(BigInt(rounded))
}
function finite(v: number, type: string): number {
  if (Number.isFinite(v)) return v
  throw new Fault('value.out-of-range', { type, value: String(v) })
}
const intToSmallint = (v: h.Int): number => (v >= -32768 && v <= 32767 ? Number(v) : h.checkSmallint(Number(v)))
const intToInt = (v: h.Int): number => (v >= -2147483648 && v <= 2147483647 ? Number(v) : h.checkInt(Number(v)))
const bigintOf = (v: h.Int): h.Int => (typeof v === 'number' ? v : h.checkBigint(v))
const decimalToDouble_ = (d: Decimal): number => {
  const value = decimalToDouble(d.digits, d.scale)
  return Number.isFinite(value) ? value : h.checkDouble(value, 0, 0)
}
const scaleOf = (type: DataType): number | null => (type.kind === 'numeric' ? type.scale : null)
/** A Decimal, rounded to the type cast to and checked against its precision. */
function toNumeric(c: CallSite, decimal: string): string {
  const scale = scaleOf(c.type)
  if (scale === null) return decimal
  const precision = (c.type as DataType & { kind: 'numeric' }).precision
  return `${c.use(h.checkPrecision)}(${c.use(h.toScaled)}(${decimal}, ${scale}), ${precision}, ${scale})`
}
function numericToNumeric(c: CallSite): string {
  const from = scaleOf(c.types[0]!)
  const to = scaleOf(c.type)
  if (from === null || to === null) return toNumeric(c, from === null ? c.args[0]! : decimalArg(c))
  const precision = (c.type as DataType & { kind: 'numeric' }).precision
  return `${c.use(h.checkPrecision)}(${c.use(h.rescaleInt)}(${c.args[0]}, ${from}, ${to}), ${precision}, ${to})`
}
const decimalArg = (c: CallSite): string => {
  const scale = scaleOf(c.types[0]!)
  return c.types[0]!.kind === 'numeric' && scale === null
    ? c.args[0]!
    : `${c.use(toDecimal)}(${c.args[0]}, ${scale ?? 0})`
}
const wholeOf = (d: Decimal): h.Int => h.toScaled(d, 0)

// Rows.

const call =
  (...chain: readonly unknown[]) =>
  (c: CallSite): string =>
    chain.reduce<string>((code, fn) => `${c.use(fn)}(${code})`, c.args[0]!)
const same = (c: CallSite): string => c.args[0]!
const viaDecimal =
  (...chain: readonly unknown[]) =>
  (c: CallSite): string =>
    chain.reduce<string>((code, fn) => `${c.use(fn)}(${code})`, decimalArg(c))

const names: Readonly<Record<string, string>> = {
  double: 'DOUBLE',
  int: 'INTEGER',
  text: 'VARCHAR',
  bytea: 'BLOB',
  json: 'JSON',
}
const castRow = (from: Kind, to: Kind, code: FunctionRow['code'], twin: string | null = null): FunctionRow => ({
  name: 'cast',
  args: [from],
  to,
  returns: { kind: to } as DataType,
  code,
  duckdb: twin,
  ...(twin === null ? { why: 'DuckDB writes or reads this differently' } : {}),
  about: `${typeName({ kind: from } as DataType)} as ${typeName({ kind: to } as DataType)}`,
})
const plain = (from: Kind, to: Kind, code: FunctionRow['code']): FunctionRow =>
  castRow(from, to, code, `CAST($1 AS ${names[to] ?? to.toUpperCase()})`)

const integers = ['smallint', 'int', 'bigint'] as const
const narrowing = { smallint: intToSmallint, int: intToInt, bigint: bigintOf } as const
const fromDouble = { smallint: doubleToSmallint, int: doubleToInt, bigint: doubleToBigint } as const
const numbers: FunctionRow[] = [
  ...integers.flatMap((from) => integers.map((to) => plain(from, to, call(narrowing[to])))),
  ...integers.flatMap((from) => [
    plain(from, 'double', call(Number)),
    plain(from, 'real', call(Number, Math.fround)),
    castRow(from, 'numeric', (c) => toNumeric(c, decimalArg(c))),
    plain(from, 'boolean', (c) => `(${c.args[0]} !== 0)`),
    plain(from, 'text', (c) => `String(${c.args[0]})`),
  ]),
  ...(['real', 'double'] as const).flatMap((from) => integers.map((to) => plain(from, to, call(fromDouble[to])))),
  plain('real', 'double', same),
  plain('real', 'real', same),
  plain('double', 'double', same),
  plain('double', 'real', (c) => `${c.use(h.checkReal)}(${c.args[0]}, ${c.args[0]}, ${c.args[0]})`),
  castRow('double', 'numeric', (c) => toNumeric(c, `${c.use(decimalFromDouble)}(${c.args[0]})`)),
  castRow('real', 'numeric', (c) => toNumeric(c, `${c.use(realToDecimal)}(${c.args[0]})`)),
  castRow('double', 'text', call(doubleText)),
  castRow('real', 'text', call(realText)),
  castRow('numeric', 'numeric', numericToNumeric),
  ...integers.map((to) => castRow('numeric', to, viaDecimal(wholeOf, narrowing[to]))),
  castRow('numeric', 'double', viaDecimal(decimalToDouble_)),
  castRow('numeric', 'real', viaDecimal(decimalToDouble_, Math.fround)),
  castRow('numeric', 'text', viaDecimal(decimalOf)),
  plain('boolean', 'boolean', same),
  plain('boolean', 'int', (c) => `(${c.args[0]} ? 1 : 0)`),
  plain('boolean', 'text', (c) => `(${c.args[0]} ? 'true' : 'false')`),
]
function realToDecimal(v: number): Decimal {
  // PostgreSQL keeps 6 significant digits of a real.
  return decimalFromDouble(Number(finite(v, 'numeric').toPrecision(6)))
}

const texts: FunctionRow[] = [
  plain('text', 'text', same),
  castRow('text', 'smallint', call(textToSmallint)),
  castRow('text', 'int', call(textToInt)),
  castRow('text', 'bigint', call(textToBigint)),
  castRow('text', 'double', call(textToDouble)),
  castRow('text', 'real', call(textToReal)),
  castRow('text', 'numeric', (c) => toNumeric(c, `${c.use(textToDecimal)}(${c.args[0]})`)),
  castRow('text', 'boolean', call(textToBoolean)),
  castRow('text', 'uuid', call(textToUuid)),
  castRow('text', 'bytea', call(textToBytea)),
  castRow('text', 'date', call(orInvalid(time.parseDate, 'date'))),
  castRow('text', 'time', call(orInvalid(time.parseClock, 'time'))),
  castRow('text', 'timestamp', call(orInvalid(time.parseTimestamp, 'timestamp'))),
  castRow('text', 'timestamptz', call(orInvalid(time.parseInstant, 'timestamptz'))),
  castRow('text', 'json', call(checkJson)),
  castRow('text', 'jsonb', call(canonicalJsonb)),
  plain('uuid', 'text', same),
  plain('uuid', 'uuid', same),
  castRow('bytea', 'bytea', same, '$1'),
  castRow('bytea', 'text', call(byteaText)),
  castRow('json', 'text', same),
  castRow('jsonb', 'text', same),
  castRow('json', 'json', same),
  castRow('jsonb', 'jsonb', same),
  castRow('json', 'jsonb', call(canonicalJsonb)),
  castRow('jsonb', 'json', same),
]

const floorDays = (micros: number): number => Math.floor(micros / dayMicros)
const timeOfDay = (micros: number): number => micros - floorDays(micros) * dayMicros
const times: FunctionRow[] = [
  ...(['date', 'time', 'timestamp', 'timestamptz', 'interval'] as const).map((kind) => castRow(kind, kind, same, '$1')),
  castRow('date', 'text', call(time.dateText), 'CAST($1 AS VARCHAR)'),
  castRow('time', 'text', call(time.clockText), 'CAST($1 AS VARCHAR)'),
  castRow('timestamp', 'text', call(time.timestampText), 'CAST($1 AS VARCHAR)'),
  castRow('timestamptz', 'text', call(time.timestamptzText), 'CAST($1 AS VARCHAR)'),
  plain('date', 'timestamp', (c) => `${c.use(time.checkInstant)}(${c.args[0]} * ${dayMicros})`),
  castRow(
    'date',
    'timestamptz',
    (c) => `${c.use(time.checkInstant)}(${c.args[0]} * ${dayMicros})`,
    'CAST(CAST($1 AS TIMESTAMP) AS TIMESTAMPTZ)',
  ),
  plain('timestamp', 'date', call(floorDays)),
  castRow('timestamptz', 'date', call(floorDays), 'CAST($1 AS DATE)'),
  plain('timestamp', 'time', call(timeOfDay)),
  castRow('timestamptz', 'time', call(timeOfDay), 'CAST($1 AS TIME)'),
  castRow('timestamp', 'timestamptz', same, 'CAST($1 AS TIMESTAMPTZ)'),
  castRow('timestamptz', 'timestamp', same, 'CAST($1 AS TIMESTAMP)'),
]

/** An explicit cast to varchar(n) cuts, as the standard says. */
function cut(s: string, length: number): string {
  return s.length <= length ? s : Array.from(s).slice(0, length).join('')
}
const toVarchar = (row: FunctionRow): FunctionRow => ({
  ...row,
  to: 'varchar',
  returns: { kind: 'varchar', length: null },
  code: (c) => {
    const text = row.code(c)
    const length = c.type.kind === 'varchar' ? c.type.length : null
    return length === null ? text : `${c.use(cut)}(${text}, ${length})`
  },
})
const all = [...numbers, ...texts, ...times]
export const casts: readonly FunctionRow[] = [...all, ...all.filter((row) => row.to === 'text').map(toVarchar)]
