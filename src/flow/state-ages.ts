/**
 * When rows of a table were written last, by the clock of ticks, and which were not for `ttlMs`. A row stands in a queue once
 * for each tick that wrote it; what is at the front is old if that was its last time. Rows that come back from files have
 * their time from before: they wait in a heap beside the queue. Times come from the changelog again when it is restored.
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
  /** Binary heap, the oldest first. */
  private readonly back: Back[] = []
  /** Of rows that the tick wrote, when they were written before. */
  private readonly before: Back[] = []

  constructor(ttlMs: number) {
    this.ttlMs = ttlMs
  }
  /** The row is written in this tick. */
  wrote(id: number): void {
    this.before.push({ id, atMs: this.times[id] ?? -Infinity })
    this.note(id, this.nowMs)
  }
  commit(): void {
    this.before.length = 0
  }
  /** Times are what they were before the tick; then `rebuild`. */
  undo(): void {
    for (const { id, atMs } of this.before.toReversed()) this.times[id] = atMs
    this.before.length = 0
  }
  /** When a row that comes back was written. */
  note(id: number, atMs: number): void {
    if (id >= this.times.length) this.times = longer(this.times, id)
    this.times[id] = atMs
    if (this.tail > this.head && atMs < this.whens[this.tail - 1]!) return pushBack(this.back, { id, atMs })
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
    // A row that went to a file and came back more than once waits as often.
    const old = new Set<number>()
    const tell = (id: number, atMs: number): void => {
      if (this.times[id] === atMs && isRow(id)) old.add(id)
    }
    for (;;) {
      const first = this.head < this.tail ? this.whens[this.head]! : Infinity
      const [back] = this.back
      const next = Math.min(first, back?.atMs ?? Infinity)
      if (next === Infinity || !this.isOld(next)) return [...old]
      if (back !== undefined && back.atMs < first) {
        popBack(this.back)
        tell(back.id, back.atMs)
      } else tell(this.ids[this.head++]!, first)
    }
  }
  /** The queue anew: of these rows. */
  rebuild(ids: Iterable<number>): void {
    const rows = [...ids].sort((a, b) => this.times[a]! - this.times[b]!)
    this.head = 0
    this.tail = 0
    this.back.length = 0
    for (const id of rows) this.note(id, this.times[id]!)
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
interface Back {
  readonly id: number
  readonly atMs: number
}
function pushBack(heap: Back[], one: Back): void {
  let at = heap.push(one) - 1
  for (let above = (at - 1) >> 1; at > 0 && heap[above]!.atMs > one.atMs; above = (at - 1) >> 1) {
    heap[at] = heap[above]!
    at = above
  }
  heap[at] = one
}
function popBack(heap: Back[]): void {
  const last = heap.pop()!
  if (heap.length === 0) return
  let at = 0
  for (;;) {
    let below = at * 2 + 1
    if (below >= heap.length) break
    if (below + 1 < heap.length && heap[below + 1]!.atMs < heap[below]!.atMs) below++
    if (heap[below]!.atMs >= last.atMs) break
    heap[at] = heap[below]!
    at = below
  }
  heap[at] = last
}
function longer(array: Float64Array, index: number): Float64Array<ArrayBuffer> {
  const bigger = new Float64Array(Math.max(array.length * 2, index + 1))
  bigger.set(array)
  return bigger
}
