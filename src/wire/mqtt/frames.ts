/**
 * Cuts a stream of bytes into packets. A length is looked at before memory is taken for it, and memory grows with what has
 * come, not with what was announced.
 */
import { MqttError, malformed, reason } from './reason.ts'

/** `first` is type and flags. The body is a view, only valid during the call. */
type Take = (first: number, buffer: Buffer, from: number, to: number) => void

export class FrameReader {
  /** The largest packet, with its header. */
  bytesMax: number
  #rest: Buffer | null = null
  #have = 0

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }
  get heldBytes(): number {
    return this.#rest?.length ?? 0
  }
  /** Calls for each whole packet, in order, as long as `goesOn`. Throws MqttError. */
  feed(bytes: Uint8Array, take: Take, goesOn: () => boolean): void {
    let buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
    if (this.#rest !== null) {
      this.#append(buffer)
      buffer = this.#rest.subarray(0, this.#have)
      // Nothing of it can be taken yet: the common case of a large packet.
      if (frameEnd(buffer, 0, this.bytesMax) > buffer.length) return
      this.#rest = null
    }
    let at = 0
    while (at < buffer.length && goesOn()) {
      const end = frameEnd(buffer, at, this.bytesMax)
      if (end > buffer.length) {
        this.#keep(buffer.subarray(at))
        return
      }
      let from = at + 1
      while (buffer[from]! >= 0x80) from++
      take(buffer[at]!, buffer, from + 1, end)
      at = end
    }
  }
  #keep(bytes: Buffer): void {
    this.#rest = Buffer.allocUnsafeSlow(Math.max(bytes.length, 64))
    bytes.copy(this.#rest)
    this.#have = bytes.length
  }
  #append(bytes: Buffer): void {
    const wanted = this.#have + bytes.length
    if (wanted > this.#rest!.length) {
      const grown = Buffer.allocUnsafeSlow(Math.max(wanted, Math.min(this.#rest!.length * 2, this.bytesMax)))
      this.#rest!.copy(grown, 0, 0, this.#have)
      this.#rest = grown
    }
    bytes.copy(this.#rest!, this.#have)
    this.#have = wanted
  }
}

/** Where the packet that begins at `at` ends; Infinity while that cannot be known. */
function frameEnd(buffer: Buffer, at: number, bytesMax: number): number {
  let length = 0
  for (let i = 0; i < 4; i++) {
    const byte = buffer[at + 1 + i]
    if (byte === undefined) return Infinity
    length |= (byte & 0x7f) << (7 * i)
    if (byte >= 0x80) continue
    const bytes = 2 + i + length
    if (bytes > bytesMax)
      throw new MqttError(reason.packetTooLarge, `a packet of ${bytes} bytes; at most ${bytesMax} are taken`)
    return at + bytes
  }
  throw malformed('the length of a packet has more than four bytes')
}
