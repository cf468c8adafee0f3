/**
 * Frames: four bytes of length, then a request. A frame has a buffer of its own, which its record batches stay views of;
 * whoever is called with it may give it back for the next one. The rest of a large frame is read from the socket right
 * into it (`room`); other bytes are copied once.
 *
 * A length is not believed: a little memory is taken at once, then the buffer grows with what has come. The first valid
 * request earns longer frames, and, as long as there is room, more at once.
 */
import type { BufferPool, Lease } from '../../lib/buffer-pool.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'

const lengthBytes = 4
const atOnceBytes = { stranger: 16 * 1024, known: 2 * 1024 * 1024 } as const
/** Less than this is better read together with what follows it. */
const roomBytesMin = 32 * 1024

export interface Frame {
  readonly bytes: Buffer
  readonly lease: Lease
}

export class FrameReader {
  private readonly pool: BufferPool
  private head = 0
  private headFilled = 0
  private frame: Lease | null = null
  private frameFilled = 0
  private frameBytes = 0
  private isKnown = false
  private readonly isRoomy: (length: number) => boolean
  /** How many frames have begun. */
  begun = 0

  /** `isRoomy`: whether one of that length may have more memory at once than has come of it. */
  constructor(pool: BufferPool, isRoomy: (length: number) => boolean = () => true) {
    this.pool = pool
    this.isRoomy = isRoomy
  }

  /** From now on: a client that has sent something valid. */
  trust(): void {
    this.isKnown = true
  }
  /** Lets go of a frame that will not be whole. Not back to the pool: the socket may know of its room still. */
  drop(): void {
    this.frame = null
  }

  /** A frame has begun and is not whole yet. */
  get partial(): boolean {
    return this.headFilled > 0
  }

  /** Of the frame that is not whole yet, and what has come of it; 0 = there is none, or its length is not known. */
  get length(): number {
    return this.frame === null ? 0 : this.frameBytes
  }
  get filledBytes(): number {
    return this.frame === null ? 0 : this.frameFilled
  }
  /** Memory that the frame which is not whole yet takes. */
  get heldBytes(): number {
    return this.frame === null ? 0 : this.frame.bytes.length
  }

  /** Where the next bytes are best put: the rest of the frame under way, if it is large. */
  get room(): Uint8Array | null {
    if (this.frame === null) return null
    const end = Math.min(this.frameBytes, this.frame.bytes.length)
    return end - this.frameFilled < roomBytesMin ? null : this.frame.bytes.subarray(this.frameFilled, end)
  }

  /** Takes bytes in and calls once for each whole frame. Throws Fault wire.too-large or wire.malformed. */
  push(bytes: Uint8Array, call: (frame: Frame) => void): void {
    let at = 0
    while (at < bytes.length) {
      if (this.frame === null) {
        at += this.readLength(bytes, at)
        continue
      }
      const take = Math.min(this.frameBytes - this.frameFilled, bytes.length - at)
      const frame = this.grown(this.frame, this.frameFilled + take)
      const isInPlace =
        bytes.buffer === frame.bytes.buffer && bytes.byteOffset + at === frame.bytes.byteOffset + this.frameFilled
      if (!isInPlace)
        frame.bytes.set(at === 0 && take === bytes.length ? bytes : bytes.subarray(at, at + take), this.frameFilled)
      this.frameFilled += take
      at += take
      if (this.frameFilled === this.frameBytes) {
        this.frame = null
        this.head = 0
        this.headFilled = 0
        call({ bytes: frame.bytes.subarray(0, this.frameBytes), lease: frame })
      }
    }
  }
  private readLength(bytes: Uint8Array, at: number): number {
    const take = Math.min(lengthBytes - this.headFilled, bytes.length - at)
    for (let i = at; i < at + take; i++) this.head = (this.head << 8) | bytes[i]!
    this.headFilled += take
    if (this.headFilled === lengthBytes) {
      const length = this.head
      const bytesMax = this.isKnown ? limits.kafkaFrameBytes : limits.kafkaFirstFrameBytes
      const other = otherProtocol(length)
      if (other !== null) throw new Fault('wire.malformed', { what: `${other} on the port of Kafka` })
      if (length <= 0) throw new Fault('wire.malformed', { what: `a frame of ${length} bytes` })
      if (length > bytesMax) throw new Fault('wire.too-large', { what: 'a frame', bytes: length, bytesMax })
      this.frameBytes = length
      this.frameFilled = 0
      this.begun++
      const atOnce = this.isKnown && this.isRoomy(length) ? atOnceBytes.known : atOnceBytes.stranger
      this.frame = this.pool.take(Math.min(length, atOnce))
    }
    return take
  }
  private grown(frame: Lease, needed: number): Lease {
    const { length } = frame.bytes
    if (needed <= length) return frame
    const bigger = this.pool.take(Math.min(this.frameBytes, Math.max(needed, length * 4)))
    frame.bytes.copy(bigger.bytes, 0, 0, this.frameFilled)
    frame.release()
    this.frame = bigger
    return bigger
  }
}

const beginnings: Readonly<Record<string, string>> = {
  'GET ': 'HTTP',
  POST: 'HTTP',
  'PUT ': 'HTTP',
  HEAD: 'HTTP',
  'PRI ': 'HTTP/2',
}
/** What the first four bytes are when they are no length: frames are shorter than this by far. */
function otherProtocol(length: number): string | null {
  // TLS: a record of a handshake (22), major version 3.
  if (length >> 16 === 0x1603) return 'TLS'
  const text = String.fromCharCode(length >>> 24, (length >>> 16) & 255, (length >>> 8) & 255, length & 255)
  return beginnings[text] ?? null
}
