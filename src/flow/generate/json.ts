/**
 * A loop over records with JSON payloads, generated for the columns of a source and the shape of its payloads: names are
 * compared with those that come next in the shape, four bytes at a time; wanted values go straight into the columns'
 * arrays, others are passed. It stops at the first record that it does not know for valid and plain: the caller reads that
 * one with the complete parser. What it takes is what that parser takes, to the same values.
 * Names of fields are in it as the numbers that their bytes make.
 */
import { place } from '../../log/raw-records.ts'
import type { DataType } from '../../schema/types.ts'
import { readDouble, readerOf } from '../decode-value.ts'
import { skipSpace } from '../json-scan.ts'
import { storageOf } from '../memory.ts'
import type { ObjectShape, ShapeField } from '../shape.ts'
import { type LoopColumn, LoopText, type RecordLoop } from './loop.ts'
import { parseClock, parseDate, parseInstant, parseTimestamp, readPlainInstant } from '../time-text.ts'
import {
  appended,
  escapedTextEnd,
  isPlainUuid,
  putLargeInteger,
  nullWord,
  parsed,
  sameBytes,
  textEnd,
  valuePassed,
} from './json-scalars.ts'

/** Is the value of such a key the same whenever its text is? */
export const keyIsText = (type: DataType): boolean =>
  type.kind === 'text' || type.kind === 'smallint' || type.kind === 'int' || type.kind === 'bigint'

/** `weighted`: records with headers are not taken. */
export function jsonLoop(columns: readonly LoopColumn[], shape: ObjectShape, weighted: boolean): RecordLoop {
  return new JsonText(columns).loop(shape, weighted)
}

const int32 = (b: Buffer, at: number): string => String(b.readInt32LE(at))
const integerRange: Readonly<Record<string, readonly [least: number, most: number]>> = {
  smallint: [-32_768, 32_767],
  int: [-2_147_483_648, 2_147_483_647],
}
/** Digits that are exact in a double, whatever they are. */
const exactDigits = 15

class JsonText extends LoopText {
  protected override isDirect(c: number): boolean {
    return directReader(this.columns[c]!.type) !== null
  }

  loop(shape: ObjectShape, weighted: boolean): RecordLoop {
    const { read } = this
    this.line(
      'for (; at < to; at++) {',
      ...this.words.map((word) => `let ${word} = 0`),
      'row: {',
      `const base = at * ${place.stride}`,
      `p = places[base + ${place.valueFrom}]`,
      'if (p < 0) break row',
    )
    if (weighted) this.line(`if (places[base + ${place.headers}] >= 0) break row`)
    this.line(
      `const end = places[base + ${place.valueTo}] + shift`,
      'p += shift; c = b[p]',
      this.space(),
      'if (c !== 123) break row',
    )
    this.object(shape)
    this.line(`if (p !== end && ${this.use(skipSpace)}(b, p) !== end) break row`)
    this.missing()
    this.line('numbers[n++] = at', 'continue', '}')
    for (const c of read)
      if (!this.isDirect(c)) this.line(`if (g${c}.count > n) g${c}.truncate(n)`)
      else if (this.columns[c]!.type.kind === 'bigint') this.line(`g${c}.forgetWide(n)`)
    this.line('break', '}')
    for (const c of read) if (this.isDirect(c)) this.line(`g${c}.count = n`)
    this.line('input.rows = n', 'return at', '}')
    return this.made()
  }
  /** White space before `c`, the byte at p. */
  private space(): string {
    return `if (c <= 32) { p = ${this.use(skipSpace)}(b, p); c = b[p] }`
  }

  /** p is at the opening brace; goes behind the closing one. */
  private object(shape: ObjectShape): void {
    const label = this.label()
    this.line(`${label}: {`, 'c = b[++p]', this.space(), `if (c === 125) { p++; break ${label} }`)
    for (const field of shape.fields) {
      this.line(`if (${this.isName(field.name)}) {`, `p += ${field.name.length + 3}; c = b[p]`, this.space())
      this.value(field, shape.depth)
      this.line('if ((c = b[p]) !== 44) {', this.space(), `if (c === 125) { p++; break ${label} }`)
      this.line('if (c !== 44) break row', '}', 'c = b[++p]', this.space(), '}')
    }
    this.line('break row', '}')
  }
  /** The name with its quotes and the colon stands at p. */
  private isName(name: Buffer): string {
    const literal = Buffer.concat([Buffer.from('"'), name, Buffer.from('":')])
    const last = literal.length - 4
    const places = Array.from({ length: Math.ceil(literal.length / 4) }, (_, i) => Math.min(i * 4, last))
    const words = places.map((at) => `view.getInt32(p + ${at}, true) === ${int32(literal, at)}`)
    return [`p + ${literal.length} <= end`, ...words].join(' && ')
  }
  private value({ column, child }: ShapeField, depth: number): void {
    if (child !== null) {
      this.line('if (c === 123) {')
      this.object(child)
      this.line(`} else ${this.passNull()}`)
    } else if (column >= 0) this.column(column, depth)
    else this.pass(depth)
  }
  /** Behind `null`, or the record is not known. */
  private passNull(): string {
    return `if (p + 4 <= end && view.getInt32(p, true) === ${nullWord}) p += 4; else break row`
  }
  private pass(depth: number): void {
    this.line(
      `if (c === 34 && (q = ${this.use(textEnd)}(b, view, p + 1, end)) >= 0) p = q + 1`,
      `else if ((p = ${this.use(valuePassed)}(b, view, p, end, ${depth + 1})) < 0) break row`,
    )
  }
  private column(c: number, depth: number): void {
    const { type, isKey } = this.columns[c]!
    const direct = directReader(type)
    this.line('if (c === 110) {', this.passNull(), '} else {')
    if (direct === null) {
      this.line('s = p')
      this.pass(depth)
      this.line(`if (!${this.use(appended)}(${this.use(readerOf(type))}, b, s, p, g${c})) break row`)
    } else {
      this[direct](c, type, depth)
      if (isKey) {
        const [from, to] = storageOf(type) === 'bytes' ? ['s + 1', 'p - 1'] : ['s', 'p']
        const key = `places[base + ${place.keyFrom}] + shift, places[base + ${place.keyTo}] + shift`
        const same = `${this.use(sameBytes)}(b, ${from}, ${to}, ${key})`
        this.line(`if (places[base + ${place.keyFrom}] >= 0 && !${same}) break row`)
      }
    }
    this.line(this.see(c), '}')
  }
  // Values: p is at the first byte, which is c; s is set to it, p goes behind the value.

  /** Digits into x, and how many there are behind a point into `fraction`. JSON has no 01 and no 1. */
  private digits(withFraction: boolean): void {
    this.line(
      's = p; negative = c === 45',
      'if (negative) c = b[++p]',
      'if (c < 48 || c > 57) break row',
      // Up to nine digits are a whole number of 32 bits, which is faster.
      'q = p; v = c - 48',
      'while ((c = b[++p]) >= 48 && c <= 57 && p - q < 9) v = (v * 10 + (c - 48)) | 0',
      'x = v',
      'if (c >= 48 && c <= 57) do x = x * 10 + (c - 48); while ((c = b[++p]) >= 48 && c <= 57)',
      'if (b[q] === 48 && p - q > 1) break row',
    )
    if (!withFraction) return
    this.line(
      'fraction = 0',
      'if (c === 46) {',
      'while ((c = b[++p]) >= 48 && c <= 57) { x = x * 10 + (c - 48); fraction++ }',
      'if (fraction === 0) break row',
      '}',
    )
  }
  integer(c: number, type: DataType): void {
    this.digits(false)
    this.line('if (c === 46 || c === 101 || c === 69) break row', `if (p - q > ${exactDigits}) {`)
    if (type.kind === 'bigint') {
      const into = `{ isNegative: negative, builder: g${c}, row: n }`
      this.line(`if (!${this.use(putLargeInteger)}(b, q, p, ${into})) break row`)
    } else this.line('break row')
    this.line('} else {', 'if (negative) x = 0 - x')
    const range = integerRange[type.kind]
    if (range !== undefined) this.line(`if (x < ${range[0]} || x > ${range[1]}) break row`)
    this.line(`d${c}[n] = x`, '}')
  }
  double(c: number, type: DataType): void {
    const powers = this.use(powersOf10)
    this.digits(true)
    this.line(
      `if (p - q <= ${exactDigits} && c !== 101 && c !== 69) {`,
      `if (fraction !== 0) x = x / ${powers}[fraction]`,
      'if (negative) x = -x',
      '} else {',
      `p = ${this.use(valuePassed)}(b, view, s, end, 1)`,
      'if (p < 0) break row',
      `x = ${this.use(readDouble)}(b, s, p)`,
      '}',
    )
    if (type.kind === 'real') this.line('x = Math.fround(x)')
    this.line('if (x - x !== 0) break row', `d${c}[n] = x`)
  }
  numeric(c: number, type: DataType): void {
    const { precision, scale } = type as DataType & { kind: 'numeric' }
    this.digits(true)
    // Digits with those that the scale adds must be exact too.
    this.line(
      `if (c === 101 || c === 69 || fraction > ${scale!} || p - q + ${scale!} - fraction > ${exactDigits}) break row`,
      `x = x * ${this.use(powersOf10)}[${scale!} - fraction]`,
    )
    if (precision !== null && precision <= exactDigits) this.line(`if (x >= ${10 ** precision}) break row`)
    this.line(`d${c}[n] = negative ? 0 - x : x`)
  }
  boolean(c: number): void {
    const [t, f] = ['true', 'alse'].map((word) => Buffer.from(word).readInt32LE(0))
    this.line(
      `if (p + 4 <= end && view.getInt32(p, true) === ${t!}) { p += 4; d${c}[n] = 1 }`,
      `else if (c === 102 && p + 5 <= end && view.getInt32(p + 1, true) === ${f!}) { p += 5; d${c}[n] = 0 }`,
      'else break row',
    )
  }
  /** Between its quotes: s + 1 to p − 1. */
  private quoted(): void {
    this.line(
      'if (c !== 34) break row',
      's = p',
      `q = ${this.use(textEnd)}(b, view, p + 1, end)`,
      'if (q < 0) break row',
      'p = q + 1',
    )
  }
  string(c: number, type: DataType): void {
    if (type.kind === 'text' && !this.columns[c]!.isKey) return this.text(c)
    this.quoted()
    if (type.kind === 'varchar' && type.length !== null) this.line(`if (q - s - 1 > ${type.length}) break row`)
    if (type.kind === 'uuid') this.line(`if (!${this.use(isPlainUuid)}(b, s + 1, q)) break row`)
    this.line(`f${c}[n] = s + 1`, `t${c}[n] = q`)
  }
  private text(c: number): void {
    this.line('if (c !== 34) break row')
    this.line(`if ((q = ${this.use(textEnd)}(b, view, p + 1, end)) >= 0) { f${c}[n] = p + 1; t${c}[n] = q }`)
    this.line(`else if ((q = ${this.use(escapedTextEnd)}(b, p + 1, end, g${c}, n)) < 0) break row`)
    this.line('p = q + 1')
  }
  json(c: number, _type: DataType, depth: number): void {
    this.line('s = p')
    this.pass(depth)
    this.line(`f${c}[n] = s`, `t${c}[n] = p`)
  }
  instant(c: number, type: DataType): void {
    this.line('if (c === 34) {')
    this.quoted()
    this.line(`x = ${this.use(readPlainInstant)}(b, s + 1, q)`)
    const parse = type.kind === 'timestamp' ? parseTimestamp : parseInstant
    this.line(`if (x !== x && (x = ${this.use(parsed)}(${this.use(parse)}, b, s + 1, q)) !== x) break row`, '} else {')
    this.digits(false)
    this.line(`if (p - q > ${exactDigits} || c === 46 || c === 101 || c === 69) break row`)
    this.line('x = Math.round((negative ? -x : x) * 1000)', '}', `d${c}[n] = x`)
  }
  clock(c: number, type: DataType): void {
    this.quoted()
    const parse = type.kind === 'date' ? parseDate : parseClock
    this.line(`if ((x = ${this.use(parsed)}(${this.use(parse)}, b, s + 1, q)) !== x) break row`, `d${c}[n] = x`)
  }
}
const powersOf10 = Array.from({ length: exactDigits + 1 }, (_, i) => 10 ** i)

type Direct = 'integer' | 'double' | 'numeric' | 'boolean' | 'string' | 'json' | 'instant' | 'clock'
/** How values of the type are read into arrays; null = by the complete reader, into the builder. */
function directReader(type: DataType): Direct | null {
  switch (type.kind) {
    case 'smallint':
    case 'int':
    case 'bigint':
      return 'integer'
    case 'real':
    case 'double':
      return 'double'
    case 'numeric':
      return type.scale !== null && type.scale >= 0 && type.scale <= exactDigits ? 'numeric' : null
    case 'boolean':
      return 'boolean'
    case 'text':
    case 'varchar':
    case 'uuid':
      return 'string'
    case 'json':
      return 'json'
    case 'timestamp':
    case 'timestamptz':
      return 'instant'
    case 'date':
    case 'time':
      return 'clock'
    case 'jsonb':
    case 'bytea':
    case 'interval':
    case 'array':
    case 'composite':
      return null
  }
}
