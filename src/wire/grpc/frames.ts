/** Messages of gRPC over HTTP/2: one byte that says whether it is compressed, four of its length, the message. */
import { Fault } from '../../lib/fault.ts'

const prefixBytes = 5
export interface GrpcFrame {
  readonly compressed: boolean
  readonly body: Buffer
}

export function grpcFrame(body: Uint8Array): Buffer {
  const framed = Buffer.allocUnsafe(prefixBytes + body.length)
  framed[0] = 0
  framed.writeUInt32BE(body.length, 1)
  framed.set(body, prefixBytes)
  return framed
}

/** Cuts what arrives into messages. A length over the limit is refused before anything is kept for it. */
export class GrpcReader {
  readonly #bytesMax: number
  #pieces: Buffer[] = []
  #held = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }
  /** Whether a message has begun and not ended. */
  get isOpen(): boolean {
    return this.#held > 0
  }
  /** Throws Fault wire.malformed, wire.too-large. */
  push(piece: Buffer): GrpcFrame[] {
    this.#pieces.push(piece)
    this.#held += piece.length
    const found: GrpcFrame[] = []
    while (this.#held >= prefixBytes) {
      const head = this.#head()
      const flag = head[0]!
      if (flag > 1) throw new Fault('wire.malformed', { what: `a gRPC message that begins with ${flag}` })
      const length = head.readUInt32BE(1)
      if (length > this.#bytesMax)
        throw new Fault('wire.too-large', { what: 'a message', bytes: length, bytesMax: this.#bytesMax })
      if (this.#held < prefixBytes + length) break
      const whole = this.#take(prefixBytes + length)
      found.push({ compressed: flag === 1, body: whole.subarray(prefixBytes) })
    }
    return found
  }
  #head(): Buffer {
    const [first] = this.#pieces
    if (first!.length < prefixBytes) this.#pieces = [Buffer.concat(this.#pieces)]
    return this.#pieces[0]!
  }
  #take(count: number): Buffer {
    if (this.#pieces[0]!.length < count) this.#pieces = [Buffer.concat(this.#pieces)]
    const first = this.#pieces[0]!
    if (first.length === count) this.#pieces.shift()
    else this.#pieces[0] = first.subarray(count)
    this.#held -= count
    return first.subarray(0, count)
  }
}
