/** Answers of a broker: four bytes of length, then as many more. Each is copied once, into a buffer of its own. */
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'

const lengthBytes = 4

export class AnswerFrames {
  readonly #head = Buffer.alloc(lengthBytes)
  #headFilled = 0
  #frame: Buffer | null = null
  #filled = 0

  /** Calls once for each whole frame. Throws Fault wire.malformed, wire.too-large. */
  push(bytes: Uint8Array, call: (frame: Buffer) => void): void {
    for (let at = 0; at < bytes.length;) {
      if (this.#frame === null) {
        const take = Math.min(lengthBytes - this.#headFilled, bytes.length - at)
        this.#head.set(bytes.subarray(at, at + take), this.#headFilled)
        this.#headFilled += take
        at += take
        if (this.#headFilled < lengthBytes) return
        this.#frame = Buffer.allocUnsafeSlow(this.#length())
        this.#filled = 0
      }
      const frame = this.#frame
      const take = Math.min(frame.length - this.#filled, bytes.length - at)
      frame.set(bytes.subarray(at, at + take), this.#filled)
      this.#filled += take
      at += take
      if (this.#filled < frame.length) return
      this.#frame = null
      this.#headFilled = 0
      call(frame)
    }
  }
  #length(): number {
    const bytes = this.#head.readInt32BE(0)
    if (bytes < lengthBytes) throw new Fault('wire.malformed', { what: `an answer of ${bytes} bytes` })
    const bytesMax = limits.kafkaFrameBytes
    if (bytes > bytesMax) throw new Fault('wire.too-large', { what: 'an answer of a broker', bytes, bytesMax })
    return bytes
  }
}
