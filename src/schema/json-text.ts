/**
 * JSON as bytes. What users send is kept byte for byte (so no digit of a number is lost): arrays and objects are cut
 * into slices of the text, never written again. `parseJson` is the gate: depth first, then UTF-8, then the grammar; the
 * cutters trust a text that has passed it.
 */
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const quote = 0x22
const backslash = 0x5c
const comma = 0x2c
const colon = 0x3a
const openArray = 0x5b
const closeArray = 0x5d
const openObject = 0x7b
const closeObject = 0x7d

const isSpace = (byte: number): boolean => byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09

/** The value of a JSON text. Throws Fault json.malformed: not JSON, not UTF-8, or nested deeper than limits.jsonDepth. */
export function parseJson(bytes: Uint8Array): unknown {
  checkDepth(bytes)
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch (error) {
    throw new Fault('json.malformed', { what: 'it is not UTF-8', position: null }, error)
  }
  try {
    return JSON.parse(text) as unknown
  } catch (error) {
    throw malformed(text, error)
  }
}

function malformed(text: string, error: unknown): Fault {
  const message = error instanceof Error ? error.message : ''
  const at = /at position (\d+)/.exec(message)
  const position = at === null ? null : Buffer.byteLength(text.slice(0, Number(at[1])))
  // The engine's sentence may quote the text; what matters is what it met and where.
  const token = /^Unexpected token '(.)'/su.exec(message)
  if (text.trim() === '') return new Fault('json.malformed', { what: 'it is empty', position: null }, error)
  if (token !== null)
    return new Fault('json.malformed', { what: `unexpected ${JSON.stringify(token[1])}`, position }, error)
  const what = message.replace(/ in JSON at position.*$/s, '').replace(/^([A-Z])/, (c) => c.toLowerCase())
  return new Fault('json.malformed', { what: what.slice(0, 120), position }, error)
}

function checkDepth(bytes: Uint8Array): void {
  let depth = 0
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at]!
    if (byte === quote) at = stringEnd(bytes, at) - 1
    else if (byte === openArray || byte === openObject) {
      if (++depth > limits.jsonDepth)
        throw new Fault('json.malformed', { what: `nested deeper than ${limits.jsonDepth} levels`, position: at })
    } else if (byte === closeArray || byte === closeObject) depth--
  }
}

/** Position behind the string that begins at `at`; the end of the text when it never closes. */
function stringEnd(bytes: Uint8Array, at: number): number {
  for (let i = at + 1; i < bytes.length; i++) {
    const byte = bytes[i]!
    if (byte === backslash) i++
    else if (byte === quote) return i + 1
  }
  return bytes.length
}

/** Without the white space around it. */
export function trimJson(bytes: Uint8Array): Uint8Array {
  let from = 0
  let to = bytes.length
  while (from < to && isSpace(bytes[from]!)) from++
  while (to > from && isSpace(bytes[to - 1]!)) to--
  return from === 0 && to === bytes.length ? bytes : bytes.subarray(from, to)
}

export const isJsonArray = (trimmed: Uint8Array): boolean => trimmed[0] === openArray
export const isJsonObject = (trimmed: Uint8Array): boolean => trimmed[0] === openObject
export const isJsonNull = (trimmed: Uint8Array): boolean => trimmed.length === 4 && trimmed[0] === 0x6e

/** The text of each element of a valid array, trimmed. */
export function jsonElements(array: Uint8Array): Uint8Array[] {
  const text = trimJson(array)
  const out: Uint8Array[] = []
  let from = 1
  while (from < text.length) {
    const to = valueEnd(text, from)
    const element = trimJson(text.subarray(from, to))
    if (element.length > 0) out.push(element)
    from = to + 1
  }
  return out
}

/** Name and text of each member of a valid object, in order; a name that comes twice comes twice. */
export function jsonMembers(object: Uint8Array): { name: string; value: Uint8Array }[] {
  const text = trimJson(object)
  const out: { name: string; value: Uint8Array }[] = []
  eachMember(text, (from, nameEnd, value, to) => {
    out.push({ name: nameOf(text, from, nameEnd), value: trimJson(text.subarray(value, to)) })
  })
  return out
}

/** Text of the member of that name in a valid object, as JSON.parse would pick it (the last); null when it has none. */
export function jsonMember(object: Uint8Array, name: string): Uint8Array | null {
  const text = trimJson(object)
  const plain = Buffer.from(name, 'utf8')
  let found: Uint8Array | null = null
  eachMember(text, (from, nameEnd, value, to) => {
    if (isName(text, from, nameEnd, plain, name)) found = trimJson(text.subarray(value, to))
  })
  return found
}
/** Whether the quoted name at `from` is this one: byte by byte, decoded only where it holds escapes. */
function isName(text: Uint8Array, from: number, end: number, plain: Uint8Array, name: string): boolean {
  for (let at = from + 1, i = 0; at < end - 1; at++, i++) {
    if (text[at] === backslash) return nameOf(text, from, end) === name
    if (text[at] !== plain[i]) return false
  }
  return end - from - 2 === plain.length
}
const nameOf = (text: Uint8Array, from: number, end: number): string =>
  JSON.parse(utf8.decode(text.subarray(from, end))) as string

/** Calls with the places of each name and of each value's text (white space around it included). */
function eachMember(text: Uint8Array, call: (from: number, nameEnd: number, value: number, to: number) => void): void {
  let from = 1
  for (;;) {
    while (from < text.length && (isSpace(text[from]!) || text[from] === comma)) from++
    if (from >= text.length - 1) return
    const nameEnd = stringEnd(text, from)
    let value = nameEnd
    while (text[value] !== colon) value++
    const to = valueEnd(text, value + 1)
    call(from, nameEnd, value + 1, to)
    from = to
  }
}

/** Position of the comma or bracket that ends the value beginning at or after `from`. */
function valueEnd(text: Uint8Array, from: number): number {
  let depth = 0
  for (let at = from; at < text.length; at++) {
    const byte = text[at]!
    if (byte === quote) at = stringEnd(text, at) - 1
    else if (byte === openArray || byte === openObject) depth++
    else if (byte === closeArray || byte === closeObject) {
      if (depth-- === 0) return at
    } else if (byte === comma && depth === 0) return at
  }
  return text.length
}

/** JSON with sorted member names and no white space (RFC 8785 for what JSON.parse gives): equal values, equal text. */
export function canonicalJson(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(canonicalJson).join(',')}]`
  if (value === null || typeof value !== 'object') return JSON.stringify(value)
  const members = Object.entries(value).sort(([a], [b]) => (a < b ? -1 : a > b ? 1 : 0))
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${canonicalJson(member)}`).join(',')}}`
}

/** Writes bigint as a number of all its digits, which JSON.stringify refuses, and NaN and Infinity as texts, as topics do. */
export function stringifyJson(value: unknown): string {
  return JSON.stringify(value, (_, member: unknown) => {
    if (typeof member === 'bigint') return rawJson(String(member))
    return typeof member === 'number' && !Number.isFinite(member) ? String(member) : member
  })
}
const rawJson = (JSON as unknown as { rawJSON(text: string): unknown }).rawJSON
