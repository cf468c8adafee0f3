/**
 * AMQP 1.0's frames (part 2.3) and protocol headers: a stream of bytes cut into frames, and frames written. A frame is a
 * view of the bytes that came, where it came in one piece.
 */
import type { ByteWriter } from '../../lib/bytes.ts'
import { malformed } from './values.ts'

export const frameHeaderBytes = 8
/** No peer may announce less (part 2.3.1). */
export const frameBytesMin = 512
export const frameType = { amqp: 0, sasl: 1 } as const
export const protocolId = { amqp: 0, tls: 2, sasl: 3 } as const

export const protocolHeader = (id: number): Buffer => Buffer.from([0x41, 0x4d, 0x51, 0x50, id, 1, 0, 0])
/** The protocol that 8 bytes ask for; null: they are no header of AMQP 1.0. */
export function protocolOf(bytes: Buffer): number | null {
  const isOurs =
    bytes.length === 8 &&
    bytes.toString('latin1', 0, 4) === 'AMQP' &&
    bytes[5] === 1 &&
    bytes[6] === 0 &&
    bytes[7] === 0
  return isOurs ? bytes[4]! : null
}

export interface Frame {
  readonly type: number
  readonly channel: number
  /** The performative and what comes behind it; empty in a sign of life. */
  readonly body: Buffer
}

/** Cuts what comes into pieces: first headers of 8 bytes, then frames, as whoever uses it asks. */
export class FrameReader {
  readonly #bytesMax: number
  #bytes: Buffer = Buffer.alloc(0)
  #at = 0
  /** A piece that did not come whole: memory of its size, and how much of it is there. */
  #piece: Buffer | null = null
  #filled = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }
  /** Everything given before has been asked for until there was no more. */
  give(bytes: Buffer): void {
    this.#bytes = bytes
    this.#at = 0
  }
  /** The next 8 bytes; null: they are not there yet. */
  header(): Buffer | null {
    return this.#take(8)
  }
  /** The next frame; null: it is not there yet. Throws Fault wire.malformed. */
  frame(): Frame | null {
    const size = this.#size()
    const whole = size === null ? null : this.#take(size)
    if (whole === null) return null
    const body = whole[4]! * 4
    return { type: whole[5]!, channel: whole.readUInt16BE(6), body: whole.subarray(body) }
  }
  #size(): number | null {
    const head = this.#piece ?? this.#bytes.subarray(this.#at)
    const known = this.#piece === null ? head.length : this.#filled
    if (known < frameHeaderBytes) {
      // The header itself came in pieces.
      const whole = this.#take(frameHeaderBytes)
      if (whole === null) return null
      this.#piece = whole
      this.#filled = frameHeaderBytes
      return this.#checked(whole)
    }
    return this.#checked(head)
  }
  #checked(head: Buffer): number {
    const size = head.readUInt32BE(0)
    const offset = head[4]! * 4
    if (size > this.#bytesMax)
      throw malformed(`a frame of ${size} bytes, more than the ${this.#bytesMax} that were agreed`)
    if (offset < frameHeaderBytes || offset > size) throw malformed('a frame whose data lies outside of it')
    return size
  }
  #take(size: number): Buffer | null {
    const left = this.#bytes.length - this.#at
    let piece = this.#piece
    if (piece === null && left >= size) {
      const from = this.#at
      this.#at += size
      return this.#bytes.subarray(from, this.#at)
    }
    if (piece === null || piece.length < size) {
      const grown = Buffer.allocUnsafe(size)
      piece?.copy(grown, 0, 0, this.#filled)
      this.#piece = piece = grown
    }
    const count = Math.min(size - this.#filled, left)
    this.#bytes.copy(piece, this.#filled, this.#at, this.#at + count)
    this.#at += count
    this.#filled += count
    if (this.#filled < size) return null
    this.#piece = null
    this.#filled = 0
    return piece
  }
}

/** Begins a frame: what is written until `endFrame` is its body. Gives where it begins. */
export function beginFrame(out: ByteWriter, type: number, channel: number): number {
  out.reserve(frameHeaderBytes)
  const start = out.at
  const { buffer } = out
  buffer[start + 4] = 2
  buffer[start + 5] = type
  buffer.writeUInt16BE(channel, start + 6)
  out.at += frameHeaderBytes
  return start
}
export function endFrame(out: ByteWriter, start: number): void {
  out.buffer.writeUInt32BE(out.at - start, start)
}
