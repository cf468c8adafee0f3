/**
 * What loops over Avro and Protobuf have in common. Values are read where they lie, and nothing is checked twice: a number or a
 * length may be read beyond the record's end, out of the next one, as long as the position only moves on; whoever has gone
 * beyond the end is found out there, and the record is left to the complete parser.
 */
import { place } from '../../log/raw-records.ts'
import type { DataType } from '../../schema/types.ts'
import type { ValueReader } from '../decode-value.ts'
import { storageOf } from '../memory.ts'
import { cursor, isKeyNumber, isNull, isText, put, varintPassed } from './binary.ts'
import { appended, isPlainUuid, sameBytes } from './json-scalars.ts'
import { LoopText, type RecordLoop } from './loop.ts'

/** The source wants something that no loop is made for. */
export class NoLoop extends Error {}

export const ranges: Readonly<Record<string, readonly [least: number, most: number]>> = {
  smallint: [-32_768, 32_767],
  int: [-2_147_483_648, 2_147_483_647],
}
/** Whole numbers up to here are exact, also when three digits are added. */
export const safeMs = 9_007_199_254_740
const safeDigits = 15
export const isWhole = ({ kind }: DataType): boolean => kind === 'smallint' || kind === 'int' || kind === 'bigint'
export const isInstant = ({ kind }: DataType): boolean => kind === 'timestamp' || kind === 'timestamptz'

export abstract class BinaryText extends LoopText {
  protected override isDirect(c: number): boolean {
    return storageOf(this.columns[c]!.type) !== 'value'
  }
  /** `header`: what stands before each value that the loop takes. */
  protected frame(header: Buffer, weighted: boolean, body: () => void, absent?: (c: number) => string): RecordLoop {
    this.line(
      'for (; at < to; at++) {',
      ...this.words.map((word) => `let ${word} = 0`),
      'row: {',
      `const base = at * ${place.stride}`,
      `p = places[base + ${place.valueFrom}]`,
      'if (p < 0) break row',
    )
    if (weighted) this.line(`if (places[base + ${place.headers}] >= 0) break row`)
    this.line(`const end = places[base + ${place.valueTo}] + shift`, 'p += shift')
    if (header.length > 0) {
      const bytes = [...header].map((byte, i) => `b[p + ${i}] !== ${byte}`)
      this.line(`if (p + ${header.length} > end || ${bytes.join(' || ')}) break row`, `p += ${header.length}`)
    }
    body()
    this.line('if (p !== end) break row')
    this.missing(absent)
    this.line('numbers[n++] = at', 'continue', '}')
    for (const c of this.read)
      if (this.isDirect(c)) this.line(`g${c}.count = n + 1`, `g${c}.truncate(n)`)
      else this.line(`if (g${c}.count > n) g${c}.truncate(n)`)
    this.line('break', '}')
    for (const c of this.read) if (this.isDirect(c)) this.line(`g${c}.count = n`)
    this.line('input.rows = n', 'return at', '}')
    return this.made()
  }

  /**
   * A varint into x, from the first four bytes as `short` has it, from more as `rest` reads it; NaN where a double does
   * not hold it (`wide` then does), or where it is none.
   */
  protected varint(short: string, rest: (b: Buffer, at: number, low: number) => number): void {
    const k = this.use(cursor)
    this.line(
      'c = b[p++]; v = c & 127',
      'if (c > 127) { v |= ((c = b[p++]) & 127) << 7',
      'if (c > 127) { v |= ((c = b[p++]) & 127) << 14',
      'if (c > 127) { v |= ((c = b[p++]) & 127) << 21 } } }',
      `if (c <= 127) x = ${short}`,
      `else { ${k}.wide = null; x = ${this.use(rest)}(b, p, v); p = ${k}.at }`,
    )
  }
  protected passVarint(): void {
    this.line(`if (b[p++] > 127 && (p = ${this.use(varintPassed)}(b, p)) < 0) break row`)
  }
  /** x is a length: of bytes before `end`, from p on. */
  protected checkLength(end: string): void {
    this.line(`if (!(x >= 0 && x <= ${end} - p)) break row`)
  }
  /** x is a whole number; false: nothing was written, it is none for the type. */
  protected putWhole(c: number, isMs: boolean): boolean {
    const { type, isKey } = this.columns[c]!
    const k = this.use(cursor)
    if (isWhole(type)) {
      if (isKey) this.checkKeyNumber()
      const range = ranges[type.kind]
      if (range === undefined)
        this.line(`if (x !== x) { if (${k}.wide === null || BigInt.asIntN(64, ${k}.wide) !== ${k}.wide) break row`)
      if (range === undefined) this.line(`g${c}.putWide(n, ${k}.wide) } else d${c}[n] = x`)
      else this.line(`if (!(x >= ${range[0]} && x <= ${range[1]})) break row`, `d${c}[n] = x`)
    } else if (type.kind === 'double' || type.kind === 'real') {
      this.line('if (x !== x) break row', `d${c}[n] = ${type.kind === 'real' ? 'Math.fround(x)' : 'x'}`)
    } else if (type.kind === 'numeric' && type.scale !== null && type.scale >= 0 && type.scale <= safeDigits)
      this.putDigits(c, type, 0)
    else if (isMs && isInstant(type))
      this.line(`if (!(x >= ${-safeMs} && x <= ${safeMs})) break row`, `d${c}[n] = x * 1000`)
    else return false
    return true
  }
  /** x has so many digits behind the point. */
  protected putDigits(c: number, type: DataType & { kind: 'numeric' }, scale: number): void {
    const more = type.scale! - scale
    const digits = Math.min(safeDigits, type.precision ?? safeDigits)
    this.line(`x *= ${10 ** more}`, `if (!(x > ${-(10 ** digits)} && x < ${10 ** digits})) break row`, `d${c}[n] = x`)
  }
  private checkKeyNumber(): void {
    const key = `places[base + ${place.keyFrom}] + shift, places[base + ${place.keyTo}] + shift`
    this.line(
      `if (places[base + ${place.keyFrom}] >= 0 && (x !== x || !${this.use(isKeyNumber)}(b, ${key}, x))) break row`,
    )
  }
  /** x is a floating-point number. */
  protected putFloat(c: number): boolean {
    const { kind } = this.columns[c]!.type
    if (kind === 'double') this.line(`d${c}[n] = x`)
    else if (kind === 'real')
      this.line(
        'fraction = Math.fround(x)',
        'if (x - x === 0 && fraction - fraction !== 0) break row',
        `d${c}[n] = fraction`,
      )
    else return false
    return true
  }
  /** A text of x bytes from p on, within the record; goes behind it. */
  protected putText(c: number): boolean {
    const { type, isKey } = this.columns[c]!
    if (type.kind === 'uuid') this.line(`if (!${this.use(isPlainUuid)}(b, p, p + x)) break row`)
    else if (type.kind === 'text' || type.kind === 'varchar') {
      this.line(`if (!${this.use(isText)}(b, view, p, p + x)) break row`)
      if (type.kind === 'varchar' && type.length !== null) this.line(`if (x > ${type.length}) break row`)
    } else return false
    if (isKey) {
      const key = `places[base + ${place.keyFrom}] + shift, places[base + ${place.keyTo}] + shift`
      const same = `${this.use(sameBytes)}(b, p, p + x, ${key})`
      this.line(`if (places[base + ${place.keyFrom}] >= 0 && !${same}) break row`)
    }
    this.line(`f${c}[n] = p`, `t${c}[n] = p += x`)
    return true
  }
  protected putBytes(c: number): void {
    this.line(`f${c}[n] = p`, `t${c}[n] = p += x`)
  }
  /** What the complete reader makes of the bytes from s to p. */
  protected putRead(c: number, read: ValueReader): void {
    const { type, isNeeded, isKey } = this.columns[c]!
    const k = this.use(read)
    if (isKey) this.line(`if (places[base + ${place.keyFrom}] >= 0) break row`)
    if (this.isDirect(c)) this.line(`if (!${this.use(put)}(${k}, b, s, p, g${c}, n)) break row`)
    else this.line(`if (!${this.use(appended)}(${k}, b, s, p, g${c})) break row`)
    if (isNeeded) this.line(`if (${this.use(isNull)}(g${c}, ${this.use(type)})) break row`)
  }
}
