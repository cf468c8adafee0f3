/**
 * When rows of a table were written last, by the clock of ticks, and which were not for `ttlMs`. A row stands in a queue once
 * for each tick that wrote it; what is at the front is old if that was its last time. Times come from the changelog again
 * when it is restored.
 */
import { longerInts } from './key-index.ts'

const minRows = 64

export class RowAges {
  /** Of the tick. */
  nowMs = -Infinity
  private readonly ttlMs: number
  /** By row. */
  private times = new Float64Array(minRows)
  private ids = new Int32Array(minRows)
  private whens = new Float64Array(minRows)
  private head = 0
  private tail = 0

  constructor(ttlMs: number) {
    this.ttlMs = ttlMs
  }
  /** The row is written. `atMs`: when it was, of one that comes back. */
  note(id: number, atMs = this.nowMs): void {
    if (id >= this.times.length) this.times = longer(this.times, id)
    this.times[id] = atMs
    if (this.tail === this.ids.length) this.makeRoom()
    this.ids[this.tail] = id
    this.whens[this.tail++] = atMs
  }
  timeOf(id: number): number {
    return this.times[id]!
  }
  isOld(atMs: number): boolean {
    return atMs + this.ttlMs <= this.nowMs
  }
  /** Rows that became old; each is told once. */
  takeOld(isRow: (id: number) => boolean): number[] {
    const old: number[] = []
    for (; this.head < this.tail && this.isOld(this.whens[this.head]!); this.head++) {
      const id = this.ids[this.head]!
      if (this.times[id] === this.whens[this.head] && isRow(id)) old.push(id)
    }
    return old
  }
  /** The queue anew: of these rows. */
  rebuild(ids: Iterable<number>): void {
    const rows = [...ids].sort((a, b) => this.times[a]! - this.times[b]!)
    this.head = 0
    this.tail = 0
    for (const id of rows) this.note(id, this.times[id])
  }
  private makeRoom(): void {
    const count = this.tail - this.head
    if (this.head > this.tail / 2) {
      this.ids.copyWithin(0, this.head, this.tail)
      this.whens.copyWithin(0, this.head, this.tail)
    } else {
      this.ids = longerInts(this.ids.subarray(this.head), this.ids.length * 2)
      const whens = new Float64Array(this.ids.length)
      whens.set(this.whens.subarray(this.head, this.tail))
      this.whens = whens
    }
    this.head = 0
    this.tail = count
  }
}
function longer(array: Float64Array, index: number): Float64Array<ArrayBuffer> {
  const bigger = new Float64Array(Math.max(array.length * 2, index + 1))
  bigger.set(array)
  return bigger
}
