/**
 * CBOR (RFC 8949) as far as AWS's protocols go: values of JSON, bytes, and times (tag 1, here in milliseconds). Whole or in
 * pieces (Java's clients send maps and texts of indefinite length). What else there is in CBOR is refused.
 */
import { ByteReader, ByteWriter } from '../../lib/bytes.ts'
import { Fault } from '../../lib/fault.ts'

/** A point in time: written with tag 1, read as its number. */
export class CborTime {
  readonly ms: number

  constructor(ms: number) {
    this.ms = ms
  }
}

const depthMax = 32
const major = { unsigned: 0, negative: 1, bytes: 2, text: 3, list: 4, map: 5, tag: 6, other: 7 } as const
const indefinite = 31
const breakByte = 0xff
const utf8 = new TextDecoder('utf-8', { fatal: true })
const malformed = (what: string): Fault => new Fault('wire.malformed', { what: `CBOR: ${what}` })

/** Bytes that hold so many values and pieces at most: each takes far more memory than it has bytes. */
class Input extends ByteReader {
  #left: number

  constructor(bytes: Uint8Array, itemsMax: number) {
    super(bytes)
    this.#left = itemsMax
  }
  item(): void {
    if (this.#left-- <= 0) throw malformed('too many values')
  }
}

/** One value that takes all the bytes. Throws Fault wire.malformed. */
export function decodeCbor(bytes: Uint8Array, itemsMax = Infinity): unknown {
  const input = new Input(bytes, itemsMax)
  const value = decode(input, 0)
  if (input.left > 0) throw malformed(`${input.left} bytes behind the value`)
  return value
}
function decode(input: Input, depth: number): unknown {
  if (depth > depthMax) throw malformed(`more than ${depthMax} levels`)
  input.item()
  const first = input.uint8()
  const kind = first >> 5
  const low = first & 31
  switch (kind) {
    case major.unsigned:
      return length(input, low)
    case major.negative:
      return -1 - length(input, low)
    case major.bytes:
      return low === indefinite ? Buffer.concat(pieces(input, kind)) : input.raw(length(input, low))
    case major.text:
      return textOf(low === indefinite ? Buffer.concat(pieces(input, kind)) : input.raw(length(input, low)))
    case major.list:
      return list(input, low, depth)
    case major.map:
      return map(input, low, depth)
    case major.tag:
      length(input, low)
      return decode(input, depth + 1)
    default:
      return simple(input, low)
  }
}
function length(input: Input, low: number): number {
  if (low < 24) return low
  if (low === 24) return input.uint8()
  if (low === 25) return input.uint16()
  if (low === 26) return input.uint32()
  if (low === 27) {
    const value = input.uint32() * 0x1_0000_0000 + input.uint32()
    if (Number.isSafeInteger(value)) return value
    throw malformed('a number beyond 2^53')
  }
  throw malformed(`the length ${low}`)
}
function textOf(bytes: Uint8Array): string {
  try {
    return utf8.decode(bytes)
  } catch {
    throw malformed('a text that is no UTF-8')
  }
}
function pieces(input: Input, kind: number): Uint8Array[] {
  const found: Uint8Array[] = []
  for (;;) {
    const first = input.uint8()
    if (first === breakByte) return found
    if (first >> 5 !== kind || (first & 31) === indefinite) throw malformed('a piece of another kind')
    input.item()
    found.push(input.raw(length(input, first & 31)))
  }
}
/** Whether the break of something of indefinite length stands here; it is passed over. */
function ended(input: Input): boolean {
  if (input.left > 0 && input.buffer[input.at] !== breakByte) return false
  input.uint8()
  return true
}
function list(input: Input, low: number, depth: number): unknown[] {
  const found: unknown[] = []
  if (low === indefinite) {
    while (!ended(input)) found.push(decode(input, depth + 1))
    return found
  }
  const count = length(input, low)
  // Each takes a byte at least.
  if (count > input.left) throw malformed(`a list of ${count} in ${input.left} bytes`)
  for (let i = 0; i < count; i++) found.push(decode(input, depth + 1))
  return found
}
function map(input: Input, low: number, depth: number): Record<string, unknown> {
  // Without a prototype: a key may be any text.
  const found = Object.create(null) as Record<string, unknown>
  const entry = (): void => {
    const key = decode(input, depth + 1)
    if (typeof key !== 'string') throw malformed('a key that is no text')
    found[key] = decode(input, depth + 1)
  }
  if (low === indefinite) {
    while (!ended(input)) entry()
    return found
  }
  const count = length(input, low)
  if (count * 2 > input.left) throw malformed(`a map of ${count} in ${input.left} bytes`)
  for (let i = 0; i < count; i++) entry()
  return found
}
function simple(input: Input, low: number): unknown {
  switch (low) {
    case 20:
      return false
    case 21:
      return true
    case 22:
    case 23:
      return null
    case 25:
      return half(input.uint16())
    case 26:
      return input.raw(4).readFloatBE(0)
    case 27:
      return input.float64()
    default:
      throw malformed(`the simple value ${low}`)
  }
}
function half(bits: number): number {
  const exponent = (bits >> 10) & 31
  const mantissa = bits & 1023
  const sign = bits >> 15 === 0 ? 1 : -1
  if (exponent === 0) return sign * mantissa * 2 ** -24
  if (exponent === 31) return mantissa === 0 ? sign * Infinity : Number.NaN
  return sign * (1024 + mantissa) * 2 ** (exponent - 25)
}

export function encodeCbor(value: unknown): Buffer {
  const out = new ByteWriter(512)
  encode(out, value)
  return Buffer.from(out.done())
}
function encode(out: ByteWriter, value: unknown): void {
  if (value === null || value === undefined) return out.int8(0xf6 - 256)
  if (typeof value === 'boolean') return out.int8((value ? 0xf5 : 0xf4) - 256)
  if (typeof value === 'number') return encodeNumber(out, value)
  if (typeof value === 'string') {
    const bytes = Buffer.from(value, 'utf8')
    head(out, major.text, bytes.length)
    return out.raw(bytes)
  }
  if (value instanceof Uint8Array) {
    head(out, major.bytes, value.length)
    return out.raw(value)
  }
  if (value instanceof CborTime) {
    head(out, major.tag, 1)
    return encodeNumber(out, value.ms)
  }
  if (Array.isArray(value)) {
    head(out, major.list, value.length)
    for (const one of value) encode(out, one)
    return
  }
  const entries = Object.entries(value as object).filter(([, one]) => one !== undefined)
  head(out, major.map, entries.length)
  for (const [key, one] of entries) {
    encode(out, key)
    encode(out, one)
  }
}
function encodeNumber(out: ByteWriter, value: number): void {
  if (!Number.isSafeInteger(value)) {
    out.int8(0xfb - 256)
    return out.float64(value)
  }
  if (value >= 0) head(out, major.unsigned, value)
  else head(out, major.negative, -1 - value)
}
function head(out: ByteWriter, kind: number, value: number): void {
  const first = (low: number): void => {
    out.reserve(9)
    out.buffer[out.at++] = (kind << 5) | low
  }
  if (value < 24) return first(value)
  if (value < 0x100) {
    first(24)
    out.buffer[out.at++] = value
    return
  }
  if (value < 0x1_0000) {
    first(25)
    return out.uint16(value)
  }
  if (value < 0x1_0000_0000) {
    first(26)
    return out.uint32(value)
  }
  first(27)
  out.uint32(Math.floor(value / 0x1_0000_0000))
  out.uint32(value % 0x1_0000_0000)
}
