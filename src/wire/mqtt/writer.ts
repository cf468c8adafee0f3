/** Writes packets one behind another; what is written goes out in one piece. */
const firstBytes = 1024
const littleBytes = 256
/** A writer that has grown for one large packet does not keep its memory. */
const keptBytes = 256 * 1024

export class PacketWriter {
  #buffer = Buffer.allocUnsafeSlow(firstBytes)
  at = 0

  byte(value: number): void {
    this.#reserve(1)
    this.#buffer[this.at++] = value
  }
  two(value: number): void {
    this.#reserve(2)
    this.at = this.#buffer.writeUInt16BE(value, this.at)
  }
  four(value: number): void {
    this.#reserve(4)
    this.at = this.#buffer.writeUInt32BE(value, this.at)
  }
  varint(value: number): void {
    this.#reserve(4)
    let rest = value
    for (; rest > 0x7f; rest >>>= 7) this.#buffer[this.at++] = (rest & 0x7f) | 0x80
    this.#buffer[this.at++] = rest
  }
  text(text: string): void {
    const most = text.length * 3
    this.#reserve(2 + most)
    const written = this.#buffer.write(text, this.at + 2, most, 'utf8')
    this.#buffer.writeUInt16BE(written, this.at)
    this.at += 2 + written
  }
  bytes(bytes: Uint8Array): void {
    this.two(bytes.length)
    this.raw(bytes)
  }
  raw(bytes: Uint8Array): void {
    this.#reserve(bytes.length)
    this.#buffer.set(bytes, this.at)
    this.at += bytes.length
  }
  /** What `write` writes, with its length before it. */
  measured(write: () => void): void {
    const from = this.at
    // A guess of one byte is right for most packets; the rest is moved.
    this.byte(0)
    write()
    const length = this.at - from - 1
    const more = lengthBytes(length) - 1
    if (more > 0) {
      this.#reserve(more)
      this.#buffer.copyWithin(from + 1 + more, from + 1, this.at)
    }
    this.at = from
    this.varint(length)
    this.at += length
  }
  /** Takes back what was written from there on. */
  cut(at: number): void {
    this.at = at
  }
  /** What was written since the last time. `shares`: a little may lie in memory that it shares with others. */
  take(shares = false): Buffer {
    const isLittle = shares && this.at <= littleBytes
    const taken = isLittle ? Buffer.allocUnsafe(this.at) : Buffer.allocUnsafeSlow(this.at)
    taken.set(this.#buffer.subarray(0, this.at))
    this.at = 0
    if (this.#buffer.length > keptBytes) this.#buffer = Buffer.allocUnsafeSlow(firstBytes)
    return taken
  }
  #reserve(bytes: number): void {
    const wanted = this.at + bytes
    if (wanted <= this.#buffer.length) return
    const grown = Buffer.allocUnsafeSlow(Math.max(wanted, this.#buffer.length * 2))
    this.#buffer.copy(grown, 0, 0, this.at)
    this.#buffer = grown
  }
}
const lengthBytes = (length: number): number => (length < 0x80 ? 1 : length < 0x4000 ? 2 : length < 0x200000 ? 3 : 4)
