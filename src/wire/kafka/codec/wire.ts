/**
 * Kafka's primitive types over the byte cursor and buffer of `lib/bytes.ts`.
 *
 * Reader: lengths and counts are checked against the bytes left, and all items of a message against a limit, before
 * anything is allocated for them (small items become large objects: a frame of 1-byte items would cost gigabytes).
 * Writer: pieces of buffers instead of one that grows, so that nothing written is copied again and record batches are
 * put between them as they are. Pieces are cut from slabs: an answer of a hundred bytes costs no allocation of its own.
 */
import { ByteReader, ByteWriter } from '../../../lib/bytes.ts'
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'

const malformed = (what: string): Fault => new Fault('wire.malformed', { what })
const strictDecoder = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
const highest = Number.MAX_SAFE_INTEGER
const textBytesMax = 0x7fff

export class WireReader extends ByteReader {
  private itemsLeft = limits.kafkaItems

  bool(): boolean {
    return this.uint8() !== 0
  }
  longInt(): number {
    const value = this.int32() * 0x1_0000_0000 + this.uint32()
    return value > highest ? highest : value < -highest ? -highest : value
  }
  uuid(): string {
    const hex = this.raw(16).toString('hex')
    return `${hex.slice(0, 8)}-${hex.slice(8, 12)}-${hex.slice(12, 16)}-${hex.slice(16, 20)}-${hex.slice(20)}`
  }
  text(length: number): string {
    if (length > this.left) throw malformed(`a text of ${length} bytes, ${this.left} left`)
    // As in Kafka, also where the length could say more: what has been read can be written back.
    if (length > textBytesMax) throw malformed(`a text of ${length} bytes`)
    const from = this.at
    this.at = from + length
    const text = this.buffer.toString('utf8', from, this.at)
    // A replacement character is rare enough to look closer: it was sent as such, or stands for bytes that are no text.
    return text.includes('\ufffd') ? strictText(this.buffer.subarray(from, this.at)) : text
  }
  /** −1 for null; the length of what follows otherwise. */
  nullableLength(length: number): number {
    if (length < -1) throw malformed(`a length of ${length}`)
    return length
  }
  length(length: number): number {
    if (length < 0) throw malformed(`a length of ${length} where null is not allowed`)
    return length
  }
  /** Count of items of at least `itemBytes` each. */
  count(count: number, itemBytes: number): number {
    if (count * itemBytes > this.left) throw malformed(`${count} items in ${this.left} bytes`)
    this.itemsLeft -= count
    if (this.itemsLeft < 0)
      throw new Fault('wire.too-large', {
        what: 'a message by its items',
        bytes: limits.kafkaItems - this.itemsLeft,
        bytesMax: limits.kafkaItems,
      })
    return count
  }
  /** Where the tagged field of so many bytes ends. */
  taggedEnd(size: number): number {
    if (size > this.left) throw malformed(`a tagged field of ${size} bytes, ${this.left} left`)
    return this.at + size
  }
  taggedDone(end: number): void {
    if (this.at !== end) throw malformed('a tagged field with a wrong length')
  }
  nullFlag(): boolean {
    const flag = this.int8()
    if (flag !== 1 && flag !== -1) throw malformed(`a null flag of ${flag}`)
    return flag === -1
  }
}

function strictText(bytes: Uint8Array): string {
  try {
    return strictDecoder.decode(bytes)
  } catch {
    throw malformed('text that is not UTF-8')
  }
}

const slabBytes = 16 * 1024
/** Buffers shorter than this are copied between their neighbours: a piece of its own costs more. */
const spliceBytesMin = 512

export class WireWriter extends ByteWriter {
  private pieces: Uint8Array[] = []
  private pieceFrom = 0
  private piecesBytes = 0

  constructor(firstBytes = slabBytes) {
    super(firstBytes)
  }
  override reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return
    this.cut()
    this.buffer = Buffer.allocUnsafeSlow(Math.max(slabBytes, bytes))
    this.at = 0
    this.pieceFrom = 0
  }
  private cut(): void {
    if (this.at === this.pieceFrom) return
    this.pieces.push(this.buffer.subarray(this.pieceFrom, this.at))
    this.piecesBytes += this.at - this.pieceFrom
    this.pieceFrom = this.at
  }
  /** Bytes since the last `take`. */
  get written(): number {
    return this.piecesBytes + this.at - this.pieceFrom
  }
  /** Four bytes to be filled in later by the returned call. */
  placeInt32(): (value: number) => void {
    this.reserve(4)
    const { buffer, at } = this
    this.at += 4
    return (value) => void buffer.writeInt32BE(value, at)
  }
  /** What was written since the last call. The pieces are the caller's; writing goes on behind them. */
  take(): Uint8Array[] {
    this.cut()
    const pieces = this.pieces
    this.pieces = []
    this.piecesBytes = 0
    return pieces
  }
  splice(buffers: readonly Uint8Array[]): void {
    for (const bytes of buffers) {
      if (bytes.length < spliceBytesMin) {
        this.raw(bytes)
        continue
      }
      this.cut()
      this.pieces.push(bytes)
      this.piecesBytes += bytes.length
    }
  }
  bool(value: boolean): void {
    this.int8(value ? 1 : 0)
  }
  longInt(value: number): void {
    this.int64(value)
  }
  uuid(value: string): void {
    this.reserve(16)
    const hex = value.replaceAll('-', '')
    if (this.buffer.write(hex, this.at, 16, 'hex') !== 16) throw new RangeError(`not a UUID: ${value}`)
    this.at += 16
  }
  text(value: string): void {
    this.int16(textLength(value, textBytesMax))
    this.utf8(value)
  }
  compactText(value: string): void {
    this.uvarint(textLength(value, textBytesMax) + 1)
    this.utf8(value)
  }
}

function textLength(value: string, bytesMax: number): number {
  const length = Buffer.byteLength(value)
  if (length > bytesMax) throw new RangeError(`a text of ${length} bytes on the wire`)
  return length
}

export const totalBytes = (buffers: readonly Uint8Array[]): number => {
  let total = 0
  for (const bytes of buffers) total += bytes.length
  return total
}
