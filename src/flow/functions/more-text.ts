/** Texts, continued: joining, codes, digests, encodings, numbers as text by a pattern. */
import { createHash } from 'node:crypto'
import { limits } from '../../lib/limits.ts'
import type { DataType } from '../../schema/types.ts'
import { asDecimal } from './arithmetic.ts'
import { type Decimal, decimalFromDouble } from '../decimal.ts'
import { invalidArgument } from './helpers.ts'
import { formatNumber } from './number-format.ts'
import { chosen, row, twin, type } from './rows.ts'
import type { FunctionRow } from './table.ts'

function bounded(text: string): string {
  return text.length > limits.textBytes ? invalidArgument(`a text of more than ${limits.textBytes} characters`) : text
}
const concat = (...parts: (string | null)[]): string => bounded(parts.join(''))
const concatWith = (separator: string | null, ...parts: (string | null)[]): string | null =>
  separator === null ? null : bounded(parts.filter((part) => part !== null).join(separator))

/** %s a value, %I a name, %L a literal, %% a percent sign; %2$s takes the second value. */
function format(template: string | null, ...values: (string | null)[]): string | null {
  if (template === null) return null
  let next = 0
  return bounded(
    template.replace(
      /%(?:(\d+)\$)?(-)?(\d+)?([a-zA-Z%])/g,
      (_, position: string | undefined, left: string | undefined, width: string | undefined, kind: string) => {
        if (kind === '%') return '%'
        const at = position === undefined ? next : Number(position) - 1
        if (at < 0 || at >= values.length) invalidArgument('too few arguments for format()')
        next = at + 1
        const shown = formatted(kind, values[at]!)
        return width === undefined
          ? shown
          : left === undefined
            ? shown.padStart(Math.min(Number(width), limits.textBytes))
            : shown.padEnd(Math.min(Number(width), limits.textBytes))
      },
    ),
  )
}
function formatted(kind: string, value: string | null): string {
  if (kind === 's') return value ?? ''
  if (kind === 'I')
    return value === null ? invalidArgument('null values cannot be formatted as an SQL identifier') : quoteName(value)
  if (kind === 'L') return value === null ? 'NULL' : quoteLiteral(value)
  return invalidArgument(`unrecognized format() type specifier "${kind}"`)
}
const quoteName = (name: string): string =>
  /^[a-z_][a-z0-9_$]*$/.test(name) ? name : `"${name.replaceAll('"', '""')}"`
const quoteLiteral = (text: string): string => {
  const doubled = text.replaceAll("'", "''")
  return text.includes('\\') ? `E'${doubled.replaceAll('\\', '\\\\')}'` : `'${doubled}'`
}

function character(code: number): string {
  if (code === 0) return invalidArgument('null character not permitted')
  return code < 0 || code > 0x10ffff || (code >= 0xd800 && code <= 0xdfff)
    ? invalidArgument(`requested character not valid for encoding: ${code}`)
    : String.fromCodePoint(code)
}
function translate(text: string, from: string, to: string): string {
  const targets = Array.from(to)
  const map = new Map<string, string>()
  for (const [i, c] of Array.from(from).entries()) if (!map.has(c)) map.set(c, targets[i] ?? '')
  return Array.from(text, (c) => map.get(c) ?? c).join('')
}
function overlay(text: string, by: string, start: number, count = Array.from(by).length): string {
  if (start <= 0) return invalidArgument('negative substring length not allowed')
  const all = Array.from(text)
  return all.slice(0, start - 1).join('') + by + all.slice(Math.max(0, start - 1 + count)).join('')
}
const digest =
  (algorithm: string) =>
  (data: string | Uint8Array): Buffer =>
    createHash(algorithm).update(data).digest()
const md5 = (data: string | Uint8Array): string => createHash('md5').update(data).digest('hex')

function encode(bytes: Uint8Array, form: string): string {
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  switch (form.toLowerCase()) {
    case 'hex':
      return buffer.toString('hex')
    case 'base64':
      // Lines of 76 characters, as MIME and PostgreSQL have it.
      return buffer.toString('base64').replace(/.{76}(?=.)/g, '$&\n')
    case 'escape':
      return Array.from(buffer, (b) =>
        b === 92 ? '\\\\' : b === 0 || b > 127 ? `\\${b.toString(8).padStart(3, '0')}` : String.fromCharCode(b),
      ).join('')
    default:
      return invalidArgument(`unrecognized encoding: "${form}"`)
  }
}
function decode(text: string, form: string): Buffer {
  const compact = text.replace(/\s+/g, '')
  switch (form.toLowerCase()) {
    case 'hex':
      return /^(?:[0-9a-fA-F]{2})*$/.test(compact)
        ? Buffer.from(compact, 'hex')
        : invalidArgument('invalid hexadecimal data')
    case 'base64':
      return /^[A-Za-z0-9+/]*={0,2}$/.test(compact) && compact.length % 4 === 0
        ? Buffer.from(compact, 'base64')
        : invalidArgument('invalid base64 data')
    case 'escape':
      return Buffer.from(
        text.replace(/\\(\\|[0-3][0-7]{2})/g, (_, e: string) =>
          e === '\\' ? e : String.fromCharCode(Number.parseInt(e, 8)),
        ),
        'latin1',
      )
    default:
      return invalidArgument(`unrecognized encoding: "${form}"`)
  }
}
const bigHex = (value: number | bigint): string => BigInt.asUintN(64, BigInt(value)).toString(16)
const codeOf = (text: string): number => text.codePointAt(0) ?? 0
const partsOf = (text: string, by: string | null): string[] =>
  by === null ? Array.from(text) : by === '' ? [text] : text === '' ? [] : text.split(by)

const textBytes = (['text', 'bytea'] as const).flatMap((kind) => [
  row('md5', [kind], type.text, md5, 'MD5 as hexadecimal text'),
])
const hashes = ['sha224', 'sha256', 'sha384', 'sha512'].map((name) =>
  row(name, ['bytea'], type.bytea, digest(name), `${name.toUpperCase()} of bytes`),
)
const called = { nulls: 'called', variadic: true } as const

const numbersAsText: FunctionRow[] = (['int', 'bigint', 'numeric', 'double'] as const).map((kind): FunctionRow => ({
  name: 'to_char',
  args: [kind, 'text'],
  returns: type.text,
  code: (c) => {
    const value =
      kind === 'numeric'
        ? asDecimal(c, 0)
        : kind === 'double'
          ? `${c.use(decimalFromDouble)}(${c.args[0]})`
          : `${c.use(wholeDecimal)}(${c.args[0]})`
    return `${c.use(formatNumber)}(${value}, ${c.args[1]})`
  },
  duckdb: null,
  why: chosen,
  about: 'A number by a pattern like FM999,990.00',
}))
const wholeDecimal = (value: number | bigint): Decimal => ({ digits: BigInt(value), scale: 0 })

const returnsInt: DataType = type.int
export const moreTexts: readonly FunctionRow[] = [
  row('concat', ['text'], type.text, concat, 'All values as one text; NULLs are left out', called),
  row(
    'concat_ws',
    ['text', 'text'],
    type.text,
    concatWith,
    'Values with a separator between; NULLs are left out',
    called,
  ),
  row('format', ['text', 'text'], type.text, format, 'A text with values in it: %s, %I, %L', called),
  twin(
    'ascii',
    ['text'],
    returnsInt,
    codeOf,
    "CASE WHEN $1 = '' THEN 0 ELSE unicode($1) END",
    'Code of the first character',
  ),
  row('chr', ['int'], type.text, character, 'The character of a code'),
  twin(
    'translate',
    ['text', 'text', 'text'],
    type.text,
    translate,
    'translate($1, $2, $3)',
    'Characters replaced one by one',
  ),
  row(
    'overlay',
    ['text', 'text', 'int', 'int'],
    type.text,
    overlay,
    'A part replaced, from a position, so many characters',
  ),
  row('overlay', ['text', 'text', 'int'], type.text, overlay, 'A part of the same length replaced'),
  row('quote_literal', ['text'], type.text, quoteLiteral, 'As a literal of SQL'),
  row('quote_ident', ['text'], type.text, quoteName, 'As a name of SQL'),
  twin(
    'bit_length',
    ['text'],
    returnsInt,
    (s: string) => Buffer.byteLength(s) * 8,
    'bit_length($1)',
    'Count of bits in UTF-8',
  ),
  row('length', ['bytea'], returnsInt, (b: Uint8Array) => b.length, 'Count of bytes'),
  twin('octet_length', ['bytea'], returnsInt, (b: Uint8Array) => b.length, 'octet_length($1)', 'Count of bytes'),
  twin(
    '^@',
    ['text', 'text'],
    type.boolean,
    (s: string, p: string) => s.startsWith(p),
    'starts_with($1, $2)',
    'Whether it begins so',
  ),
  row('to_hex', ['int'], type.text, (n: number) => (n >>> 0).toString(16), 'As hexadecimal text'),
  row('to_hex', ['bigint'], type.text, bigHex, 'As hexadecimal text'),
  row('string_to_array', ['text', 'text'], type.texts, partsOf, 'The parts between separators'),
  row('encode', ['bytea', 'text'], type.text, encode, "Bytes as text: 'hex', 'base64' or 'escape'"),
  row('decode', ['text', 'text'], type.bytea, decode, "Text as bytes: 'hex', 'base64' or 'escape'"),
  row('convert_from', ['bytea', 'text'], type.text, fromUtf8, "Bytes as text, 'UTF8'"),
  row(
    'convert_to',
    ['text', 'text'],
    type.bytea,
    (s: string, name: string) => (checkUtf8(name), Buffer.from(s)),
    "Text as bytes, 'UTF8'",
  ),
  ...textBytes,
  ...hashes,
  ...numbersAsText,
]
function checkUtf8(name: string): void {
  if (!/^utf-?8$/i.test(name)) invalidArgument(`encoding "${name}" is not supported`)
}
const strict = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
function fromUtf8(bytes: Uint8Array, name: string): string {
  checkUtf8(name)
  try {
    return strict.decode(bytes)
  } catch {
    return invalidArgument('invalid byte sequence for encoding "UTF8"')
  }
}
