/** How many bytes lie before an offset that moves forward: marks are set as batches are appended, and passed later. */
import type { Offset } from '../../lib/brand.ts'

export class ByteMarks {
  /** Of everything appended since the process began. */
  appended = 0
  /** Of what the offset has passed. */
  passed = 0
  #ends: number[] = []
  #sums: number[] = []
  #head = 0

  append(end: Offset, bytes: number): void {
    this.appended += bytes
    this.#ends.push(end)
    this.#sums.push(this.appended)
  }
  pass(offset: Offset): void {
    while (this.#head < this.#ends.length && this.#ends[this.#head]! <= offset) this.passed = this.#sums[this.#head++]!
    if (this.#head < this.#ends.length && this.#head < 1024) return
    this.#ends.splice(0, this.#head)
    this.#sums.splice(0, this.#head)
    this.#head = 0
  }
  /** The log was cut: nothing is on its way any more. */
  clear(): void {
    this.#ends.length = this.#sums.length = this.#head = 0
    this.passed = this.appended
  }
}
