/** What GROUP BY over slices (`operators/slices.ts`) keeps beside its table: which slices are open, and sums of them. */
import type { RowFields } from './aggregates/accumulator.ts'
import type { Fold } from './aggregates/fold.ts'
import type { Value } from './expression.ts'
import { longerInts } from './key-index.ts'
import type { SliceTimes } from './slices.ts'
import type { StateTable } from './state.ts'
import { TouchedGroups, longerDoubles } from './touched-groups.ts'

/** Groups of one slice whose first window is the same. Ends in µs. */
interface Lot {
  readonly sliceEnd: number
  readonly firstEnd: number
  readonly lastEnd: number
  /** Of the windows that it is part of the one that closes next. */
  nextEnd: number
  /** Those in memory. */
  groups: number[]
  /** Some may be in files. */
  hasAway: boolean
}

export class OpenSlices {
  /** By their slices, then by first windows. */
  private lots: Lot[] = []
  /** The window that closes next ends there; Infinity: there is none. */
  nextEnd = Infinity
  private readonly times: SliceTimes

  constructor(times: SliceTimes) {
    this.times = times
  }
  get isEmpty(): boolean {
    return this.lots.length === 0
  }
  /** To begin anew; of what is in files it is still known to be there. */
  clear(hasAway: boolean): void {
    this.lots = hasAway ? this.lots.filter((lot) => lot.hasAway) : []
    this.nextEnd = Infinity
    for (const lot of this.lots) {
      lot.groups = []
      lot.nextEnd = lot.firstEnd
      if (lot.firstEnd < this.nextEnd) this.nextEnd = lot.firstEnd
    }
  }
  /** Lets so many groups go to files, or some more: whole lots, the oldest slices first. */
  letGo(count: number): number[] {
    const gone: number[] = []
    for (const lot of this.lots) {
      if (gone.length >= count) break
      if (lot.groups.length === 0) continue
      for (const group of lot.groups) gone.push(group)
      lot.groups = []
      lot.hasAway = true
    }
    return gone
  }
  add(sliceEnd: number, firstEnd: number, group: number): void {
    const at = this.position(sliceEnd, firstEnd)
    const known = this.lots[at]
    if (known?.sliceEnd === sliceEnd && known.firstEnd === firstEnd) {
      known.groups.push(group)
      return
    }
    const lastEnd = this.times.lastEnd(sliceEnd)
    this.lots.splice(at, 0, { sliceEnd, firstEnd, lastEnd, nextEnd: firstEnd, groups: [group], hasAway: false })
    if (firstEnd < this.nextEnd) this.nextEnd = firstEnd
  }
  private position(sliceEnd: number, firstEnd: number): number {
    let low = 0
    let high = this.lots.length
    while (low < high) {
      const middle = (low + high) >> 1
      const lot = this.lots[middle]!
      if (lot.sliceEnd < sliceEnd || (lot.sliceEnd === sliceEnd && lot.firstEnd < firstEnd)) low = middle + 1
      else high = middle
    }
    return low
  }
  /** Groups of the window that closes next, in the order of their slices. */
  *groups(): IterableIterator<number> {
    for (const lot of this.lots) if (lot.nextEnd === this.nextEnd) yield* lot.groups
  }
  /** Of that window the slices that may have groups in files. */
  away(): Set<number> {
    const lots = this.lots.filter(({ nextEnd, hasAway }) => hasAway && nextEnd === this.nextEnd)
    return new Set(lots.map(({ sliceEnd }) => sliceEnd))
  }
  /** It has closed. Gives the groups whose last window it was, and the slices that may have more of them in files. */
  pass(): { readonly groups: number[]; readonly away: ReadonlySet<number> } {
    const passed = this.nextEnd
    const done = this.lots.filter(({ nextEnd, lastEnd }) => nextEnd === passed && lastEnd === passed)
    if (done.length > 0) this.lots = this.lots.filter((lot) => !done.includes(lot))
    this.nextEnd = Infinity
    for (const lot of this.lots) {
      if (lot.nextEnd === passed) lot.nextEnd += this.times.step
      if (lot.nextEnd < this.nextEnd) this.nextEnd = lot.nextEnd
    }
    const away = new Set(done.flatMap(({ sliceEnd, hasAway }) => (hasAway ? [sliceEnd] : [])))
    return { groups: done.flatMap(({ groups }) => groups), away }
  }
}

/**
 * Sums of groups by key, in the order in which their first groups came. What is but one group stays where it is. Groups may be of
 * several tables.
 */
export class SliceSums {
  count = 0
  private readonly fold: Fold
  private readonly toldAt: number
  private readonly fields: { numbers: Float64Array; values: Value[]; readonly spec: RowFields['spec'] }
  /** By entry of the key: 1 + the position of its sum, if that is its. */
  private positions = new Int32Array(64)
  private entries = new Int32Array(64)
  private firsts = new Int32Array(64)
  private tables: StateTable[] = []
  private added = new Uint8Array(64)

  constructor(fold: Fold, toldAt: number) {
    this.fold = fold
    this.toldAt = toldAt
    const { numbers, values } = fold
    this.fields = { numbers: new Float64Array(64 * numbers), values: [], spec: { numbers, values } }
  }
  clear(): void {
    this.count = 0
    this.fields.values = []
    this.tables = []
  }
  /** True where it is the first of its key: its row has to stay until `clear`. */
  add(groups: StateTable, entry: number, group: number): boolean {
    if (entry >= this.positions.length) this.positions = longerInts(this.positions, entry + 1)
    const at = this.positions[entry]! - 1
    if (at < 0 || at >= this.count || this.entries[at] !== entry) {
      this.begin(groups, entry, group)
      return true
    }
    if (this.added[at] === 0) this.copy(at)
    this.fold.mergeRows(this.fields, at, groups, group)
    TouchedGroups.mergeTold(this.fields, at, groups, group, this.toldAt)
    return false
  }
  private begin(groups: StateTable, entry: number, group: number): void {
    const at = this.count++
    if (at >= this.entries.length) this.grow()
    this.positions[entry] = at + 1
    this.entries[at] = entry
    this.firsts[at] = group
    this.tables[at] = groups
    this.added[at] = 0
  }
  private copy(at: number): void {
    const groups = this.tables[at]!
    const { numbers, values } = groups.spec
    const group = this.firsts[at]!
    for (let f = 0; f < numbers; f++) this.fields.numbers[at * numbers + f] = groups.numbers[group * numbers + f]!
    while (this.fields.values.length < at * values) this.fields.values.push(null)
    for (let f = 0; f < values; f++) this.fields.values[at * values + f] = groups.values[group * values + f]!
    this.added[at] = 1
  }
  private grow(): void {
    const size = this.entries.length * 2
    this.entries = longerInts(this.entries, size)
    this.firsts = longerInts(this.firsts, size)
    const added = new Uint8Array(size)
    added.set(this.added)
    this.added = added
    this.fields.numbers = longerDoubles(this.fields.numbers, size * this.fields.spec.numbers)
  }
  /** Positions, in the order of the keys. */
  inOrder(): Int32Array {
    const order = Int32Array.from({ length: this.count }, (_, at) => at)
    const { tables, firsts } = this
    return order.sort((a, b) =>
      tables[a] === tables[b]
        ? tables[a]!.compareKeys(firsts[a]!, firsts[b]!)
        : tables[a]!.keyOf(firsts[a]!).compare(tables[b]!.keyOf(firsts[b]!)),
    )
  }
  /** A group of the key. */
  groupAt(at: number): { readonly groups: StateTable; readonly group: number } {
    return { groups: this.tables[at]!, group: this.firsts[at]! }
  }
  /** Where the sum is, and as which row. */
  rowAt(at: number): { readonly fields: RowFields; readonly row: number } {
    return this.added[at] === 0 ? { fields: this.tables[at]!, row: this.firsts[at]! } : { fields: this.fields, row: at }
  }
}
