/**
 * A complete JSON scanner over bytes (RFC 8259, as strict as JSON.parse): checks everything it passes and gives where
 * values lie. UTF-8 is checked once for the whole text by the caller.
 */
import { limits } from '../lib/limits.ts'

/** A JSON text that is none. `at` is the byte where it stopped making sense; null where that says nothing. */
export class JsonSyntax extends Error {
  readonly what: string
  readonly at: number | null
  constructor(what: string, at: number | null) {
    super(at === null ? `not JSON: ${what}` : `not JSON: ${what} at byte ${at}`)
    this.name = 'JsonSyntax'
    this.what = what
    this.at = at
  }
}
const fail = (what: string, at: number): never => {
  throw new JsonSyntax(what, at)
}

const quote = 34
const backslash = 92
const minus = 45
const point = 46
const zero = 48
const openArray = 91
const closeArray = 93
const openObject = 123
const closeObject = 125

/** First byte at or after `at` that is not white space. */
export function skipSpace(b: Uint8Array, at: number): number {
  for (;;) {
    const c = b[at]
    if (c !== 32 && c !== 10 && c !== 13 && c !== 9) return at
    at++
  }
}
/** `at` is behind the opening quote; gives the position of the closing one, negative (−1 − position) if there are escapes. */
export function stringEnd(b: Uint8Array, at: number, end: number): number {
  let escaped = false
  for (;;) {
    if (at >= end) fail('a string without an end', end)
    const c = b[at]!
    if (c === quote) return escaped ? -1 - at : at
    if (c < 32) fail('a control character in a string', at)
    if (c === backslash) {
      escaped = true
      at = escapeEnd(b, at + 1)
    } else at++
  }
}
function escapeEnd(b: Uint8Array, at: number): number {
  const c = b[at]
  if (c === 117) {
    for (let i = 1; i <= 4; i++) if (!isHex(b[at + i])) fail('a malformed \\u escape', at)
    return at + 5
  }
  // " \ / b f n r t
  if (c === 34 || c === 92 || c === 47 || c === 98 || c === 102 || c === 110 || c === 114 || c === 116) return at + 1
  return fail('an unknown escape', at)
}
const isHex = (c: number | undefined): boolean =>
  c !== undefined && ((c >= 48 && c <= 57) || (c >= 97 && c <= 102) || (c >= 65 && c <= 70))
const isDigit = (c: number | undefined): boolean => c !== undefined && c >= zero && c <= 57

function digitsEnd(b: Uint8Array, at: number): number {
  if (!isDigit(b[at])) fail('a number without digits', at)
  while (isDigit(b[at])) at++
  return at
}
export function numberEnd(b: Uint8Array, at: number): number {
  if (b[at] === minus) at++
  if (b[at] === zero) at++
  else at = digitsEnd(b, at)
  if (b[at] === point) at = digitsEnd(b, at + 1)
  if (b[at] === 101 || b[at] === 69) {
    at++
    if (b[at] === 43 || b[at] === minus) at++
    at = digitsEnd(b, at)
  }
  return at
}
const words = [Buffer.from('true'), Buffer.from('false'), Buffer.from('null')]
function wordEnd(b: Uint8Array, at: number): number {
  for (const word of words) {
    let i = 0
    while (i < word.length && b[at + i] === word[i]) i++
    if (i === word.length) return at + i
  }
  return fail('an unexpected character', at)
}
/** End of the value that begins at `at` (no white space before it). */
export function valueEnd(b: Uint8Array, at: number, end: number, depth = 0): number {
  if (at >= end) return fail('it ends too early', end)
  const c = b[at]!
  if (c === quote) {
    const close = stringEnd(b, at + 1, end)
    return (close < 0 ? -1 - close : close) + 1
  }
  if (c === openObject) return objectEnd(b, at, end, depth)
  if (c === openArray) return arrayEnd(b, at, end, depth)
  const stop = c === minus || isDigit(c) ? numberEnd(b, at) : wordEnd(b, at)
  return stop <= end ? stop : fail('it ends too early', end)
}
function arrayEnd(b: Uint8Array, at: number, end: number, depth: number): number {
  if (depth >= limits.jsonDepth) fail(`nested deeper than ${limits.jsonDepth} levels`, at)
  at = skipSpace(b, at + 1)
  if (b[at] === closeArray && at < end) return at + 1
  for (;;) {
    at = skipSpace(b, valueEnd(b, at, end, depth + 1))
    if (at >= end) fail('an array without an end', end)
    if (b[at] === closeArray) return at + 1
    if (b[at] !== 44) fail('a missing comma', at)
    at = skipSpace(b, at + 1)
  }
}
function objectEnd(b: Uint8Array, at: number, end: number, depth: number): number {
  return scanObject(b, at, end, depth, null)
}
/** Called per field: the key between its quotes (`escaped`: it holds escapes), and the value's bytes. */
export interface FieldVisitor {
  field(keyFrom: number, keyTo: number, escaped: boolean, valueFrom: number, valueTo: number): void
}
/** End of the object that begins at `at`. */
export function scanObject(b: Uint8Array, at: number, end: number, depth: number, visit: FieldVisitor | null): number {
  if (depth >= limits.jsonDepth) fail(`nested deeper than ${limits.jsonDepth} levels`, at)
  at = skipSpace(b, at + 1)
  if (b[at] === closeObject && at < end) return at + 1
  for (;;) {
    if (b[at] !== quote || at >= end) fail('a missing field name', at)
    const keyFrom = at + 1
    const close = stringEnd(b, keyFrom, end)
    const keyTo = close < 0 ? -1 - close : close
    at = skipSpace(b, keyTo + 1)
    if (b[at] !== 58) fail('a missing colon', at)
    const valueFrom = skipSpace(b, at + 1)
    const valueTo = valueEnd(b, valueFrom, end, depth + 1)
    visit?.field(keyFrom, keyTo, close < 0, valueFrom, valueTo)
    at = skipSpace(b, valueTo)
    if (at >= end) fail('an object without an end', end)
    if (b[at] === closeObject) return at + 1
    if (b[at] !== 44) fail('a missing comma', at)
    at = skipSpace(b, at + 1)
  }
}
/** The items of an array that was scanned before: calls with each value's bytes. */
export function eachItem(b: Uint8Array, at: number, end: number, item: (from: number, to: number) => void): void {
  at = skipSpace(b, at + 1)
  while (b[at] !== closeArray) {
    const to = valueEnd(b, at, end)
    item(at, to)
    at = skipSpace(b, to)
    if (b[at] === 44) at = skipSpace(b, at + 1)
  }
}
/** The text of a string whose quotes lie just outside [from, to). */
export function stringText(b: Buffer, from: number, to: number, escaped: boolean): string {
  if (!escaped) return b.toString('utf8', from, to)
  return JSON.parse(b.toString('utf8', from - 1, to + 1)) as string
}
