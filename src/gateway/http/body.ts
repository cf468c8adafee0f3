/** The body of a request: taken in piece by piece, inflated where it is gzip, never past its limits. */
import { createGunzip } from 'node:zlib'
import { Readable, pipeline } from 'node:stream'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'

/** Bytes of bodies held in memory by all requests together. */
export class Intake {
  #held = 0

  take(bytes: number): void {
    if (this.#held + bytes > limits.httpBodyBytesInFlight)
      throw new Fault('http.too-many', { what: 'bytes of bodies at once', max: limits.httpBodyBytesInFlight })
    this.#held += bytes
  }
  give(bytes: number): void {
    this.#held -= bytes
  }
}

export interface BodySource {
  /** Waiting between pieces is back-pressure on the client. Throws Fault http.timeout, http.incomplete-body. */
  pieces(options: { readonly wholeMs: number | null }): AsyncIterable<Uint8Array>
  readonly length: number | null
  readonly encoding: string | undefined
}

export class Body {
  readonly #source: BodySource
  readonly #intake: Intake
  #held = 0
  #count: (bytes: number) => void = () => {}
  #pace: () => Promise<void> = () => Promise.resolve()

  constructor(source: BodySource, intake: Intake) {
    this.#source = source
    this.#intake = intake
  }
  /** `count` gets the bytes of each piece that is taken, inflated; `pace` is waited for before a further piece of lines. */
  countWith(count: (bytes: number) => void, pace: () => Promise<void>): void {
    this.#count = count
    this.#pace = pace
  }
  /** As declared, before inflation; null = unknown. */
  get length(): number | null {
    return this.#source.length
  }

  /** All of it, at most `bytesMax`. Throws Fault wire.too-large before memory is taken for more. */
  async whole(bytesMax: number = limits.httpBodyBytes): Promise<Buffer> {
    const { length } = this.#source
    if (length !== null && length > bytesMax) throw tooLarge(length, bytesMax)
    const parts: Uint8Array[] = []
    let bytes = 0
    for await (const part of this.#inflated(limits.httpBodyMs)) {
      this.#count(part.length)
      if (bytes + part.length > bytesMax) throw tooLarge(bytes + part.length, bytesMax)
      this.#intake.take(part.length)
      this.#held += part.length
      bytes += part.length
      parts.push(part)
    }
    return parts.length === 1 ? asBuffer(parts[0]!) : Buffer.concat(parts, bytes)
  }
  /** When the request has been answered. */
  release(): void {
    this.#intake.give(this.#held)
    this.#held = 0
  }

  /**
   * Lines as they come, those of one piece together; a line that is too long comes as a Fault. Empty lines are left out.
   * Ends with the signal's reason when nobody waits for the answer any more: a little gzip goes on for very long.
   */
  async *lines(signal: AbortSignal, bytesMax: number = limits.httpLineBytes): AsyncIterable<(Uint8Array | Fault)[]> {
    const cutter = new LineCutter(bytesMax)
    for await (const part of this.#inflated(null)) {
      signal.throwIfAborted()
      this.#count(part.length)
      const lines = cutter.push(part)
      if (lines.length > 0) yield lines
      await this.#pace()
    }
    const last = cutter.end()
    if (last.length > 0) yield last
  }

  #inflated(wholeMs: number | null): AsyncIterable<Uint8Array> {
    const pieces = this.#source.pieces({ wholeMs })
    switch (this.#source.encoding?.trim().toLowerCase()) {
      case undefined:
      case '':
      case 'identity':
        return pieces
      case 'gzip':
      case 'x-gzip':
        return inflate(pieces)
      default:
        throw new Fault('http.unsupported-body', { what: `Content-Encoding ${this.#source.encoding}`, takes: 'gzip' })
    }
  }
}
const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
const tooLarge = (bytes: number, bytesMax: number): Fault =>
  new Fault('wire.too-large', { what: 'the body', bytes, bytesMax })

/** Inflates as fast as the result is read: a bomb is met by the reader's limit, 64 KiB at a time. */
async function* inflate(pieces: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  const unzip = createGunzip({ chunkSize: 64 * 1024 })
  let failed: Error | null = null
  pipeline(Readable.from(pieces, { objectMode: true, highWaterMark: 1 }), unzip, (error) => (failed = error ?? null))
  try {
    for await (const part of unzip) yield part as Buffer
  } catch (error) {
    const cause = failed ?? error
    if (cause instanceof Fault) throw cause
    throw new Fault('wire.malformed', { what: 'the body is not gzip' }, cause)
  } finally {
    unzip.destroy()
  }
}

class LineCutter {
  readonly #bytesMax: number
  #parts: Uint8Array[] = []
  #bytes = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }
  push(part: Uint8Array): (Uint8Array | Fault)[] {
    const lines: (Uint8Array | Fault)[] = []
    let from = 0
    for (let to = part.indexOf(0x0a); to >= 0; to = part.indexOf(0x0a, from)) {
      if (to > from || this.#bytes > 0) {
        this.#keep(part.subarray(from, to))
        this.#cut(lines)
      }
      from = to + 1
      while (part[from] === 0x0a) from++
    }
    this.#keep(part.subarray(from))
    return lines
  }
  end(): (Uint8Array | Fault)[] {
    const lines: (Uint8Array | Fault)[] = []
    this.#cut(lines)
    return lines
  }
  /** Past the limit only the count goes on. */
  #keep(part: Uint8Array): void {
    this.#bytes += part.length
    if (this.#bytes > this.#bytesMax) this.#parts = []
    else if (part.length > 0) this.#parts.push(part)
  }
  #cut(lines: (Uint8Array | Fault)[]): void {
    const { length } = this.#parts
    if (this.#bytes > this.#bytesMax)
      lines.push(new Fault('wire.too-large', { what: 'a line', bytes: this.#bytes, bytesMax: this.#bytesMax }))
    else if (length > 0) {
      const line = length === 1 ? this.#parts[0]! : Buffer.concat(this.#parts)
      if (!isBlank(line)) lines.push(line)
    }
    this.#parts = []
    this.#bytes = 0
  }
}
function isBlank(line: Uint8Array): boolean {
  for (const byte of line) if (byte !== 0x20 && byte !== 0x0d && byte !== 0x09) return false
  return true
}
