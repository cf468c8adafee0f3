/**
 * The records of a window of offsets, as runs of neighbours that are alike: sorted, without holes between them. Pure. A run
 * is a value; what changes is which runs there are.
 */
import { assert } from '../../lib/assert.ts'

export type RunState = 'available' | 'acquired' | 'accepted' | 'archived'
export interface Run {
  readonly first: number
  readonly last: number
  readonly state: RunState
  /** Deliveries so far. */
  readonly count: number
  /** Of them, those that do not count towards the limit. */
  readonly spared: number
  /** When it was given out first, by the wall clock; 0: it was not, or nobody asks. */
  readonly firstMs: number
  /** Who holds it, while it is acquired. */
  readonly member: string
  /** By the monotonic clock. Of an acquired run: its lock ends; of an available one: not to be given out before. */
  readonly untilMs: number
  /** The change that is being stored: until it is, nothing else becomes of the run. */
  readonly pending: object | null
}
export const isOver = ({ state }: Run): boolean => state === 'accepted' || state === 'archived'
const sizeOf = ({ first, last }: Run): number => last - first + 1
const isAlike = (a: Run, b: Run): boolean =>
  a.state === b.state &&
  a.count === b.count &&
  a.spared === b.spared &&
  a.firstMs === b.firstMs &&
  a.member === b.member &&
  a.untilMs === b.untilMs &&
  a.pending === b.pending

export class Runs {
  #runs: Run[] = []
  /** Offsets that are not done with. */
  #open = 0

  get open(): number {
    return this.#open
  }
  get count(): number {
    return this.#runs.length
  }
  get firstRun(): Run | null {
    return this.#runs[0] ?? null
  }
  /** The last offset; null when there is none. */
  get last(): number | null {
    return this.#runs.at(-1)?.last ?? null
  }
  [Symbol.iterator](): Iterator<Run> {
    return this.#runs[Symbol.iterator]()
  }
  /** Index of the run that holds the offset, or of the first one after it. */
  #indexOf(offset: number): number {
    let low = 0
    let high = this.#runs.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#runs[middle]!.last < offset) low = middle + 1
      else high = middle
    }
    return low
  }
  /** What lies in this range, cut to it. */
  between(first: number, last: number): Run[] {
    const found: Run[] = []
    for (let i = this.#indexOf(first); i < this.#runs.length; i++) {
      const run = this.#runs[i]!
      if (run.first > last) break
      found.push(run.first >= first && run.last <= last ? run : clip(run, first, last))
    }
    return found
  }
  append(run: Run): void {
    assert(this.last === null || run.first === this.last + 1, 'runs have no holes between them')
    this.#insert(this.#runs.length, 0, [run])
  }
  /** Puts these, which are neighbours, in the place of what is there. */
  replace(runs: readonly Run[]): void {
    const first = runs[0]!.first
    const last = runs.at(-1)!.last
    const from = this.#indexOf(first)
    let to = from
    const put: Run[] = []
    const before = this.#runs[from]
    assert(before !== undefined && before.first <= first && last <= this.last!, 'only what is there is replaced')
    if (before.first < first) put.push(clip(before, before.first, first - 1))
    put.push(...runs)
    while (to < this.#runs.length && this.#runs[to]!.first <= last) to++
    const after = this.#runs[to - 1]!
    if (after.last > last) put.push(clip(after, last + 1, after.last))
    this.#insert(from, to - from, put)
  }
  /** Neighbours that are alike become one. */
  #insert(at: number, removed: number, put: readonly Run[]): void {
    const from = at > 0 ? at - 1 : at
    const to = Math.min(this.#runs.length, at + removed + 1)
    const all = [...this.#runs.slice(from, at), ...put, ...this.#runs.slice(at + removed, to)]
    const merged: Run[] = []
    for (const run of all) {
      const known = merged.at(-1)
      if (known !== undefined && isAlike(known, run)) merged[merged.length - 1] = { ...known, last: run.last }
      else merged.push(run)
    }
    const gone = this.#runs.splice(from, to - from, ...merged)
    for (const run of gone) if (!isOver(run)) this.#open -= sizeOf(run)
    for (const run of merged) if (!isOver(run)) this.#open += sizeOf(run)
  }
  /** Forgets what lies before the offset. */
  dropBefore(offset: number): void {
    const index = this.#indexOf(offset)
    const cut = this.#runs[index]
    const gone = this.#runs.splice(0, index)
    for (const run of gone) if (!isOver(run)) this.#open -= sizeOf(run)
    if (cut !== undefined && cut.first < offset) {
      if (!isOver(cut)) this.#open -= offset - cut.first
      this.#runs[0] = clip(cut, offset, cut.last)
    }
  }
  clear(): void {
    this.#runs = []
    this.#open = 0
  }
}

const clip = (run: Run, first: number, last: number): Run => ({
  ...run,
  first: Math.max(run.first, first),
  last: Math.min(run.last, last),
})
