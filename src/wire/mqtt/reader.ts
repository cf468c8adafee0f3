/** Reads the body of one packet. What is read beyond its end, or is not in its form, is an MqttError. */
import { isUtf8 } from 'node:buffer'
import { malformed } from './reason.ts'

export class PacketReader {
  readonly buffer: Buffer
  at: number
  readonly end: number

  constructor(buffer: Buffer, at: number, end: number) {
    this.buffer = buffer
    this.at = at
    this.end = end
  }
  get left(): number {
    return this.end - this.at
  }
  byte(): number {
    this.#need(1)
    return this.buffer[this.at++]!
  }
  two(): number {
    this.#need(2)
    const value = this.buffer.readUInt16BE(this.at)
    this.at += 2
    return value
  }
  four(): number {
    this.#need(4)
    const value = this.buffer.readUInt32BE(this.at)
    this.at += 4
    return value
  }
  varint(): number {
    let value = 0
    for (let shift = 0; shift < 28; shift += 7) {
      const byte = this.byte()
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
    throw malformed('a variable byte integer has more than four bytes')
  }
  /** A view. */
  bytes(): Buffer {
    const length = this.two()
    this.#need(length)
    const from = this.at
    this.at += length
    return this.buffer.subarray(from, this.at)
  }
  rest(): Buffer {
    const from = this.at
    this.at = this.end
    return this.buffer.subarray(from, this.end)
  }
  text(): string {
    const length = this.two()
    this.#need(length)
    const from = this.at
    this.at += length
    const text = this.buffer.toString('utf8', from, this.at)
    // Either may stand for what is not allowed: a closer look is taken where one is found.
    if (text.includes('\0')) throw malformed('a text has the character U+0000')
    if (text.includes('\ufffd') && !isUtf8(this.buffer.subarray(from, this.at))) throw malformed('a text is not UTF-8')
    return text
  }
  done(): void {
    if (this.at !== this.end) throw malformed(`${this.end - this.at} bytes behind the end of the packet's content`)
  }
  #need(bytes: number): void {
    if (this.at + bytes > this.end) throw malformed('the packet ends too early')
  }
}
