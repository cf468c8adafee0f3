/**
 * Records of unpacked batches, found and not made objects: where each one's key, value and headers lie in bytes that are
 * not copied. Whoever keeps one keeps the bytes of its batches. Made for the loops that read every record of a topic.
 */
import { isUtf8 } from 'node:buffer'
import { ByteReader } from '../lib/bytes.ts'
import { Fault } from '../lib/fault.ts'
import type { Header, LogRecord } from './batch.ts'

/** What `places` holds of a record, `stride` numbers each: positions in the bytes of its part. */
export const place = {
  /** −1: no key. */
  keyFrom: 0,
  keyTo: 1,
  /** −1: no value. */
  valueFrom: 2,
  valueTo: 3,
  /** Where its headers begin; −1: it has none. */
  headers: 4,
  stride: 5,
} as const
/** A run of records whose places are positions in the same bytes. */
export interface Part {
  readonly bytes: Buffer
  /** Number of the record behind its last one. */
  readonly until: number
}

/** Records [from, to) of what was found; slices share everything. */
export class RawRecords {
  readonly parts: readonly Part[]
  readonly offsets: Float64Array
  readonly timesMs: Float64Array
  readonly places: Int32Array
  readonly from: number
  readonly to: number

  constructor(found: Pick<RawRecords, 'parts' | 'offsets' | 'timesMs' | 'places'>, from: number, to: number) {
    this.parts = found.parts
    this.offsets = found.offsets
    this.timesMs = found.timesMs
    this.places = found.places
    this.from = from
    this.to = to
  }
  get count(): number {
    return this.to - this.from
  }
  /** Records by their numbers, which are those of the arrays. */
  slice(from: number, to: number): RawRecords {
    return new RawRecords(this, from, to)
  }
  /** Those with offsets in [first, end). */
  between(first: number, end = Infinity): RawRecords {
    return this.slice(this.#numberOf(first), this.#numberOf(end))
  }
  /** Number of the first record at or behind the offset; offsets rise. */
  #numberOf(offset: number): number {
    let low = this.from
    let high = this.to
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.offsets[middle]! < offset) low = middle + 1
      else high = middle
    }
    return low
  }
  /** The record with this offset, if it is here. */
  find(offset: number): LogRecord | undefined {
    const number = this.#numberOf(offset)
    return number < this.to && this.offsets[number] === offset ? this.record(number) : undefined
  }
  timeAt(offset: number): number | undefined {
    const number = this.#numberOf(offset)
    return number < this.to && this.offsets[number] === offset ? this.timesMs[number] : undefined
  }
  /** The bytes that its places are positions in. */
  bytesOf(number: number): Buffer {
    const { parts } = this
    let low = 0
    let high = parts.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (parts[middle]!.until <= number) low = middle + 1
      else high = middle
    }
    return parts[low]!.bytes
  }
  record(number: number): LogRecord {
    return this.#record(number, this.bytesOf(number))
  }
  /** Views of the bytes. */
  records(): LogRecord[] {
    const out: LogRecord[] = []
    let number = this.from
    for (const { bytes, until } of this.parts)
      for (const end = Math.min(until, this.to); number < end; number++) out.push(this.#record(number, bytes))
    return out
  }
  #record(number: number, bytes: Buffer): LogRecord {
    const { places } = this
    const at = number * place.stride
    const headers = places[at + place.headers]!
    return {
      offset: this.offsets[number]!,
      timeMs: this.timesMs[number]!,
      key: view(bytes, places[at + place.keyFrom]!, places[at + place.keyTo]!),
      value: view(bytes, places[at + place.valueFrom]!, places[at + place.valueTo]!),
      headers: headers < 0 ? [] : readHeaders(bytes, headers),
    }
  }
}
const view = (bytes: Buffer, from: number, to: number): Buffer | null => (from < 0 ? null : bytes.subarray(from, to))
function readHeaders(bytes: Buffer, at: number): Header[] {
  const input = new ByteReader(bytes.subarray(at))
  const out: Header[] = []
  for (let left = input.varint(); left > 0; left--) {
    const name = input.utf8(input.varint())
    const length = input.varint()
    out.push([name, length < 0 ? null : input.raw(length)])
  }
  return out
}

/** Behind the varint that `longVarint` read last. */
let behind = 0
/** A varint, zigzag, of any length. Throws wire.malformed at the end. */
function longVarint(b: Buffer, at: number, end: number): number {
  const input = new ByteReader(b.subarray(at, Math.max(at, end)))
  const value = input.varint()
  behind = at + input.at
  return value
}
const malformed = (what: string): Fault => new Fault('log.corrupt-batch', { what })

export interface BatchFacts {
  readonly baseOffset: number
  readonly baseTimeMs: number
  /** One time for all of them; null = each has its own. */
  readonly appendTimeMs: number | null
  readonly recordCount: number
}
/** Finds the records of batch after batch. */
export class RawBuilder {
  #parts: { bytes: Buffer; until: number }[] = []
  #offsets = new Float64Array(0)
  #timesMs = new Float64Array(0)
  #places = new Int32Array(0)
  #count = 0

  /** About so many records are to come. */
  expect(count: number): void {
    this.#reserve(count)
  }
  /** Records of one batch, unpacked. Throws Fault log.corrupt-batch; nothing of the batch is there then. */
  batch(records: Uint8Array, facts: BatchFacts): void {
    // Each takes 7 bytes at least; a count that cannot be is found out below.
    this.#reserve(Math.min(facts.recordCount, records.length))
    const isNear = records.byteOffset + records.length < 0x7fffffff
    const from = isNear ? records.byteOffset : 0
    const last = this.#parts.at(-1)
    // Batches of one read mostly lie in the same memory.
    const known = isNear && last?.bytes.buffer === records.buffer && last.bytes.byteOffset === 0 ? last : null
    const bytes = known?.bytes ?? (isNear ? Buffer.from(records.buffer) : bufferOf(records))
    try {
      this.#walk(bytes, from, from + records.length, facts)
    } catch (error) {
      if (error instanceof Fault && error.code === 'wire.malformed')
        throw new Fault('log.corrupt-batch', { what: error.message }, error)
      throw error
    }
    this.#count += facts.recordCount
    if (known === null) this.#parts.push({ bytes, until: this.#count })
    else known.until = this.#count
  }
  done(): RawRecords {
    const found = { parts: this.#parts, offsets: this.#offsets, timesMs: this.#timesMs, places: this.#places }
    return new RawRecords(found, 0, this.#count)
  }
  /**
   * Varints of one and two bytes, which nearly all are, are read here and not in a function: `at` stays in a register. Reading
   * too far is found out at each record's end.
   */
  #walk(b: Buffer, from: number, end: number, { baseOffset, baseTimeMs, appendTimeMs, recordCount }: BatchFacts): void {
    const offsets = this.#offsets
    const timesMs = this.#timesMs
    const places = this.#places
    let at = from
    let c = 0
    let d = 0
    for (let i = this.#count, to = i + recordCount, put = i * place.stride; i < to; i++, put += place.stride) {
      let length: number
      if ((c = b[at]!) < 0x80) {
        length = (c >>> 1) ^ -(c & 1)
        at++
      } else if ((d = b[at + 1]!) < 0x80) {
        length = (((c & 0x7f) | (d << 7)) >>> 1) ^ -(c & 1)
        at += 2
      } else {
        length = longVarint(b, at, end)
        at = behind
      }
      const recordEnd = at + length
      if (length < 0 || recordEnd > end) throw malformed(`a record of ${length} bytes`)
      // Attributes, of which there are none.
      at++
      let timeDelta: number
      if ((c = b[at]!) < 0x80) {
        timeDelta = (c >>> 1) ^ -(c & 1)
        at++
      } else {
        timeDelta = longVarint(b, at, recordEnd)
        at = behind
      }
      let offsetDelta: number
      if ((c = b[at]!) < 0x80) {
        offsetDelta = (c >>> 1) ^ -(c & 1)
        at++
      } else if ((d = b[at + 1]!) < 0x80) {
        offsetDelta = (((c & 0x7f) | (d << 7)) >>> 1) ^ -(c & 1)
        at += 2
      } else {
        offsetDelta = longVarint(b, at, recordEnd)
        at = behind
      }
      offsets[i] = baseOffset + offsetDelta
      timesMs[i] = appendTimeMs ?? baseTimeMs + timeDelta
      let key: number
      if ((c = b[at]!) < 0x80) {
        key = (c >>> 1) ^ -(c & 1)
        at++
      } else {
        key = longVarint(b, at, recordEnd)
        at = behind
      }
      places[put] = key < 0 ? -1 : at
      if (key > 0) at += key
      places[put + 1] = at
      let value: number
      if ((c = b[at]!) < 0x80) {
        value = (c >>> 1) ^ -(c & 1)
        at++
      } else if ((d = b[at + 1]!) < 0x80) {
        value = (((c & 0x7f) | (d << 7)) >>> 1) ^ -(c & 1)
        at += 2
      } else {
        value = longVarint(b, at, recordEnd)
        at = behind
      }
      places[put + 2] = value < 0 ? -1 : at
      if (value > 0) at += value
      places[put + 3] = at
      if (at + 1 === recordEnd && b[at] === 0) {
        places[put + 4] = -1
        at++
      } else {
        places[put + 4] = at
        at = headersEnd(b, at, recordEnd)
      }
      if (at !== recordEnd) throw malformed('a record with a wrong length')
    }
    if (at !== end) throw malformed(`${end - at} bytes after the last record`)
  }
  #reserve(count: number): void {
    const wanted = this.#count + count
    if (wanted <= this.#offsets.length) return
    const size = this.#count === 0 ? wanted : Math.max(wanted, this.#count * 2)
    this.#offsets = grown(this.#offsets, new Float64Array(size))
    this.#timesMs = grown(this.#timesMs, new Float64Array(size))
    this.#places = grown(this.#places, new Int32Array(size * place.stride))
  }
}
function grown<A extends { set(from: A): void }>(from: A, to: A): A {
  to.set(from)
  return to
}
const bufferOf = (bytes: Uint8Array): Buffer =>
  Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
function headersEnd(b: Buffer, at: number, end: number): number {
  const count = longVarint(b, at, end)
  if (count < 0 || count > end - behind) throw malformed(`${count} headers`)
  for (let i = 0; i < count; i++) {
    const name = longVarint(b, behind, end)
    if (name < 0) throw malformed('a header without a name')
    const valueAt = behind + name
    if (valueAt > end || !isUtf8(b.subarray(behind, valueAt))) throw malformed('a header whose name is not UTF-8')
    const value = longVarint(b, valueAt, end)
    if (value > 0) behind += value
  }
  return behind
}
