/**
 * What generated decoders call for pieces of JSON. Each gives a position behind what it read, or −1 (NaN for values)
 * where the complete parser is to look at the record: because it is no JSON, or because it is written in a rare way.
 */
import { isUtf8 } from 'node:buffer'
import type { BytesBuilder, ColumnBuilder, NumberBuilder } from '../columns.ts'
import { type ValueReader, misfitOf } from '../decode-value.ts'
import { JsonSyntax, stringEnd, stringText, valueEnd } from '../json-scan.ts'
import { canonical } from '../memory.ts'

const quote = 34
const backslash = 92
/** `null`, as its four bytes read in one. */
export const nullWord = 0x6c6c756e

/**
 * The closing quote of a text that begins at `at`: without escapes, all of it UTF-8. Four bytes at a time, as long as
 * none of them is a quote, a backslash, a control character or beyond ASCII.
 */
export function textEnd(b: Buffer, view: DataView, at: number, end: number): number {
  const from = at
  for (; at + 4 <= end; at += 4) {
    const word = view.getInt32(at, true)
    const quotes = word ^ 0x22222222
    const backslashes = word ^ 0x5c5c5c5c
    if ((((word - 0x20202020) | (quotes - 0x01010101) | (backslashes - 0x01010101) | word) & 0x80808080) !== 0) break
  }
  for (; at < end; at++) {
    const c = b[at]!
    if (c === quote) return at
    if (c < 32 || c === backslash) return -1
    if (c >= 128) return wideTextEnd(b, from, at, end)
  }
  return -1
}
function wideTextEnd(b: Buffer, from: number, at: number, end: number): number {
  for (; at < end; at++) {
    const c = b[at]!
    if (c === quote) return isUtf8(b.subarray(from, at)) ? at : -1
    if (c < 32 || c === backslash) return -1
  }
  return -1
}
/** Behind a whole number that is nothing more; −1 = it may be. */
function wholeEnd(b: Buffer, from: number): number {
  let at = from + 1
  let c = b[at]!
  while (c >= 48 && c <= 57) c = b[++at]!
  return c === 46 || c === 101 || c === 69 || (b[from] === 48 && at > from + 1) ? -1 : at
}
/** Behind a value of any kind that nobody reads. */
export function valuePassed(b: Buffer, view: DataView, at: number, end: number, depth: number): number {
  const c = b[at]!
  if (c === quote) {
    const close = textEnd(b, view, at + 1, end)
    if (close >= 0) return close + 1
  } else if (c >= 48 && c <= 57) {
    const to = wholeEnd(b, at)
    if (to >= 0) return to
  } else if (c === 110) return at + 4 <= end && view.getInt32(at, true) === nullWord ? at + 4 : -1
  let to: number
  try {
    to = valueEnd(b, at, end, depth)
  } catch (error) {
    if (error instanceof JsonSyntax) return -1
    throw error
  }
  const mayBeWide = c === quote || c === 123 || c === 91
  return mayBeWide && !isUtf8(b.subarray(at, to)) ? -1 : to
}
/** Appends what a complete reader makes of the value; false where it does not fit. */
export function appended(read: ValueReader, b: Buffer, from: number, to: number, builder: ColumnBuilder): boolean {
  try {
    read(b, from, to, builder)
    return true
  } catch (error) {
    if (misfitOf(error) !== null) return false
    throw error
  }
}
/** The same of a text with escapes, which is put into its row. */
export function escapedTextEnd(b: Buffer, at: number, end: number, builder: BytesBuilder, row: number): number {
  let close: number
  try {
    close = stringEnd(b, at, end)
  } catch (error) {
    if (error instanceof JsonSyntax) return -1
    throw error
  }
  if (close >= 0) return -1
  close = -1 - close
  if (!isUtf8(b.subarray(at, close))) return -1
  builder.putText(row, stringText(b, at, close, true))
  return close
}
/** Puts a bigint of more than 15 digits into its row; false where it is none. */
export function putLargeInteger(
  b: Buffer,
  from: number,
  to: number,
  { isNegative, builder, row }: { isNegative: boolean; builder: NumberBuilder; row: number },
): boolean {
  if (to - from > 19) return false
  let high = 0
  let low = 0
  for (let at = from; at < to - 9; at++) high = high * 10 + (b[at]! - 48)
  for (let at = to - 9; at < to; at++) low = low * 10 + (b[at]! - 48)
  const size = BigInt(high) * 1_000_000_000n + BigInt(low)
  const value = isNegative ? -size : size
  if (BigInt.asIntN(64, value) !== value) return false
  const held = canonical(value)
  if (typeof held === 'bigint') builder.putWide(row, held)
  else builder.data[row] = held
  return true
}
/** A text without escapes as a number: a time in a form that is not the commonest. */
export const parsed = (parse: (text: string) => number | null, b: Buffer, from: number, to: number): number =>
  parse(b.toString('utf8', from, to)) ?? NaN
export function sameBytes(b: Buffer, from: number, to: number, other: number, otherEnd: number): boolean {
  if (to - from !== otherEnd - other) return false
  for (let i = 0; from + i < to; i++) if (b[from + i] !== b[other + i]) return false
  return true
}
/** A uuid in the form that it is kept in: lower case, with hyphens. */
export function isPlainUuid(b: Buffer, from: number, to: number): boolean {
  if (to - from !== 36) return false
  for (let i = 0; i < 36; i++) {
    const c = b[from + i]!
    const isHyphen = i === 8 || i === 13 || i === 18 || i === 23
    if (isHyphen ? c !== 45 : !((c >= 48 && c <= 57) || (c >= 97 && c <= 102))) return false
  }
  return true
}
