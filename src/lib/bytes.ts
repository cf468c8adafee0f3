/** A growing output buffer and an input cursor: the only two places that move through bytes by hand. */
import { Fault } from './fault.ts'

const utf8Decoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

const viewOf = ({ buffer, byteOffset, length }: Buffer): DataView => new DataView(buffer, byteOffset, length)

/** Writes big-endian numbers, varints and raw bytes; grows by doubling. */
export class ByteWriter {
  buffer: Buffer
  /** Of the buffer. */
  view: DataView
  at = 0

  constructor(initialBytes = 256) {
    this.buffer = Buffer.allocUnsafeSlow(initialBytes)
    this.view = viewOf(this.buffer)
  }

  reserve(bytes: number): void {
    const needed = this.at + bytes
    if (needed <= this.buffer.length) return
    const bigger = Buffer.allocUnsafeSlow(Math.max(this.buffer.length * 2, needed))
    this.buffer.copy(bigger, 0, 0, this.at)
    this.buffer = bigger
    this.view = viewOf(bigger)
  }
  int8(value: number): void {
    this.reserve(1)
    this.at = this.buffer.writeInt8(value, this.at)
  }
  int16(value: number): void {
    this.reserve(2)
    this.at = this.buffer.writeInt16BE(value, this.at)
  }
  uint16(value: number): void {
    this.reserve(2)
    this.at = this.buffer.writeUInt16BE(value, this.at)
  }
  int32(value: number): void {
    this.reserve(4)
    this.at = this.buffer.writeInt32BE(value, this.at)
  }
  uint32(value: number): void {
    this.reserve(4)
    this.at = this.buffer.writeUInt32BE(value, this.at)
  }
  /** A whole number of magnitude below 2^53 as 8 bytes. Throws RangeError for any other: it could not be read again. */
  int64(value: number): void {
    if (!Number.isSafeInteger(value)) throw new RangeError(`${value} is no int64 that can be read again`)
    this.reserve(8)
    const high = Math.floor(value / 0x1_0000_0000)
    this.buffer.writeInt32BE(high, this.at)
    this.buffer.writeUInt32BE(value - high * 0x1_0000_0000, this.at + 4)
    this.at += 8
  }
  bigInt64(value: bigint): void {
    this.reserve(8)
    this.at = this.buffer.writeBigInt64BE(value, this.at)
  }
  float64(value: number): void {
    this.reserve(8)
    this.at = this.buffer.writeDoubleBE(value, this.at)
  }
  /** Unsigned LEB128 of a 32-bit number. */
  uvarint(value: number): void {
    this.reserve(5)
    while (value > 0x7f) {
      this.buffer[this.at++] = (value & 0x7f) | 0x80
      value >>>= 7
    }
    this.buffer[this.at++] = value
  }
  /** Zigzag LEB128 of a whole number from −2^52 to 2^53 − 1. */
  varint(value: number): void {
    this.reserve(10)
    // Zigzag beyond 32 bits without BigInt: 2v is exact for every whole number, −2v − 1 down to −2^52.
    let rest = value >= 0 ? value * 2 : -value * 2 - 1
    while (rest > 0x7f) {
      this.buffer[this.at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.buffer[this.at++] = rest
  }
  raw(bytes: Uint8Array): void {
    this.reserve(bytes.length)
    this.buffer.set(bytes, this.at)
    this.at += bytes.length
  }
  utf8(text: string): void {
    this.reserve(text.length * 3)
    this.at += this.buffer.write(text, this.at)
  }
  /** What was written, as a view of the buffer; writing on may move it. */
  done(): Buffer {
    return this.buffer.subarray(0, this.at)
  }
}

/** Reads what ByteWriter writes. Anything missing or too long is Fault 'wire.malformed'; nothing is allocated before it is there. */
export class ByteReader {
  at: number
  readonly end: number
  readonly buffer: Buffer

  constructor(bytes: Uint8Array, start = 0, end = bytes.length) {
    this.buffer = Buffer.isBuffer(bytes) ? bytes : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    this.at = start
    this.end = end
  }

  get left(): number {
    return this.end - this.at
  }
  private take(count: number): number {
    const from = this.at
    if (count < 0 || count > this.end - from)
      throw new Fault('wire.malformed', { what: `${count} bytes wanted, ${this.end - from} left` })
    this.at = from + count
    return from
  }
  int8(): number {
    return this.buffer.readInt8(this.take(1))
  }
  uint8(): number {
    return this.buffer.readUInt8(this.take(1))
  }
  int16(): number {
    return this.buffer.readInt16BE(this.take(2))
  }
  uint16(): number {
    return this.buffer.readUInt16BE(this.take(2))
  }
  int32(): number {
    return this.buffer.readInt32BE(this.take(4))
  }
  uint32(): number {
    return this.buffer.readUInt32BE(this.take(4))
  }
  /** 8 bytes as a number; beyond 2^53 in magnitude it is malformed. */
  int64(): number {
    const from = this.take(8)
    const value = this.buffer.readInt32BE(from) * 0x1_0000_0000 + this.buffer.readUInt32BE(from + 4)
    if (!Number.isSafeInteger(value)) throw new Fault('wire.malformed', { what: `int64 beyond 2^53: ${value}` })
    return value
  }
  bigInt64(): bigint {
    return this.buffer.readBigInt64BE(this.take(8))
  }
  float64(): number {
    return this.buffer.readDoubleBE(this.take(8))
  }
  uvarint(): number {
    let value = 0
    for (let shift = 0; shift < 35; shift += 7) {
      const byte = this.uint8()
      value += (byte & 0x7f) * 2 ** shift
      if (byte < 0x80) {
        if (value > 0xffff_ffff) break
        return value
      }
    }
    throw new Fault('wire.malformed', { what: 'a varint longer than 32 bits' })
  }
  varint(): number {
    const { buffer, end } = this
    let at = this.at
    // Up to four bytes, which nearly all are, in whole numbers of 32 bits.
    for (let value = 0, shift = 0; shift < 28 && at < end; shift += 7) {
      const byte = buffer[at++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) {
        this.at = at
        return (value >>> 1) ^ -(value & 1)
      }
    }
    return this.longVarint()
  }
  private longVarint(): number {
    let value = 0
    let scale = 1
    for (let i = 0; i < 10; i++) {
      const byte = this.uint8()
      value += (byte & 0x7f) * scale
      if (byte < 0x80) {
        if (value > 2 * Number.MAX_SAFE_INTEGER) break
        return value % 2 === 0 ? value / 2 : -(value + 1) / 2
      }
      scale *= 128
    }
    throw new Fault('wire.malformed', { what: 'a varint beyond 2^53' })
  }
  /** A view, no copy. */
  raw(count: number): Buffer {
    const from = this.take(count)
    return this.buffer.subarray(from, from + count)
  }
  /** Invalid UTF-8 is malformed. */
  utf8(count: number): string {
    const bytes = this.raw(count)
    try {
      return utf8Decoder.decode(bytes)
    } catch {
      throw new Fault('wire.malformed', { what: 'text that is not UTF-8' })
    }
  }
}

/** A loop for what is short: a call costs more than it copies. */
export function copyBytes(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
  if (end - start <= 24) for (let i = start; i < end; i++) to[at++] = from[i]!
  else if (from instanceof Buffer) from.copy(to, at, start, end)
  else to.set(from.subarray(start, end), at)
}

/** Beyond so many bytes a native copy is faster. */
const copiedByWords = 112
const copiedByBytes = 8
const noBytes = new Uint8Array(0)
const noView = new DataView(noBytes.buffer)
/**
 * Copies pieces of some ten bytes, again and again between the same two arrays that do not overlap: four bytes at a time,
 * which takes a fraction of what a native call does before it copies the first. Between others it copies as `copyBytes` does.
 */
export class Copier {
  private from: Uint8Array = noBytes
  private to: Uint8Array = noBytes
  private fromView: DataView = noView
  private toView: DataView = noView

  copy(from: Uint8Array, start: number, end: number, to: Uint8Array, at: number): void {
    if (end - start <= copiedByBytes) for (let i = start; i < end; i++) to[at++] = from[i]!
    else if (end - start <= copiedByWords && this.knows(from, to)) this.words(start, end, at)
    else copyBytes(from, start, end, to, at)
  }
  /** Views are made when two arrays are met for the second time. */
  private knows(from: Uint8Array, to: Uint8Array): boolean {
    if (from !== this.from || to !== this.to) {
      this.from = from
      this.to = to
      this.fromView = noView
      return false
    }
    if (this.fromView === noView) {
      this.fromView = new DataView(from.buffer, from.byteOffset, from.length)
      this.toView = new DataView(to.buffer, to.byteOffset, to.length)
    }
    return true
  }
  private words(start: number, end: number, at: number): void {
    const { fromView, toView } = this
    let i = start
    for (; i + 8 <= end; i += 8, at += 8) {
      toView.setInt32(at, fromView.getInt32(i, true), true)
      toView.setInt32(at + 4, fromView.getInt32(i + 4, true), true)
    }
    if (i === end) return
    // The last eight once more, of which some are left.
    at += end - 8 - i
    i = end - 8
    toView.setInt32(at, fromView.getInt32(i, true), true)
    toView.setInt32(at + 4, fromView.getInt32(i + 4, true), true)
  }
}
