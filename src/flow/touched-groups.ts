/**
 * The groups that a step has met, in the order of their first rows: what they were before, their last row, and where their
 * rows came from. Where a group tells but once, when its window closes, the last goes into its row of state: `toldNumbers`
 * number fields and `toldValues` values.
 *
 * Nearly always all rows of a group are from one source partition: then a range of offsets is three numbers.
 */
import type { RowFields } from './aggregates/accumulator.ts'
import type { Provenance, ProvenanceBuilder } from './batch.ts'
import type { Value } from './expression.ts'
import { instead } from '../lib/free.ts'
import { longerInts } from './key-index.ts'
import { addOrigins, bySource, mergeRanges, type Ranges } from './origins.ts'
import type { StateTable } from './state.ts'

// Told fields: the largest watermark of the rows, the source partition + 1, first and last offset.
const watermarkAt = 0
const sourceAt = 1
const firstAt = 2
const lastAt = 3

export class TouchedGroups {
  static readonly toldNumbers = 4
  /** Ranges of further source partitions. */
  static readonly toldValues = 1

  count = 0
  /** Fields of the groups before the step, one behind the other. */
  readonly copies: { numbers: Float64Array; values: Value[] }
  /** Results before the step, where an operator keeps them. */
  results: (readonly Value[] | undefined)[] = []
  private readonly stride: number
  private readonly width: number
  /** By group: 1 + its position in this step, if that is its. */
  private positions = new Int32Array(64)
  private ids = new Int32Array(64)
  private had = new Uint8Array(64)
  private rows = new Int32Array(64)
  private sources = new Int32Array(64)
  // Per group the largest watermark, first and last offset.
  private marks = new Float64Array(64 * 3)
  private more = new Map<number, Ranges>()

  constructor(stride: number, width: number) {
    this.stride = stride
    this.width = width
    this.copies = { numbers: new Float64Array(64 * stride), values: [] }
  }
  clear(): void {
    this.count = 0
    if (this.copies.values.length > 0) this.copies.values = []
    if (this.results.length > 0) this.results = []
    if (this.more.size > 0) this.more = new Map()
  }
  has(group: number): boolean {
    const t = this.positions[group]! - 1
    return t >= 0 && t < this.count && this.ids[t] === group
  }
  /** Gives the group's position. */
  add(table: StateTable, group: number, exists: boolean): number {
    const t = this.count++
    if (t === this.ids.length) this.grow()
    if (group >= this.positions.length) this.positions = longerInts(this.positions, group + 1)
    this.positions[group] = t + 1
    this.ids[t] = group
    this.had[t] = exists ? 1 : 0
    this.rows[t] = -1
    this.sources[t] = -1
    this.marks[t * 3] = -Infinity
    const { stride, width, copies } = this
    const { numbers } = table
    for (let f = 0, from = group * stride, to = t * stride; f < stride; f++) copies.numbers[to + f] = numbers[from + f]!
    for (let f = 0; f < width; f++) copies.values.push(table.values[group * width + f]!)
    return t
  }
  /** A row of a group that was added. */
  note(group: number, from: Provenance, row: number): void {
    const t = this.positions[group]! - 1
    const { marks } = this
    this.rows[t] = row
    if (from.watermark[row]! > marks[t * 3]!) marks[t * 3] = from.watermark[row]!
    const source = from.source[row]!
    const offset = from.offset[row]!
    if (from.origins !== null || (this.sources[t] !== source && this.sources[t] !== -1))
      return this.noteMore(t, from, row)
    if (source < 0) return
    if (this.sources[t] === -1) {
      this.sources[t] = source
      marks[t * 3 + 1] = offset
      marks[t * 3 + 2] = offset
    } else if (offset > marks[t * 3 + 2]!) marks[t * 3 + 2] = offset
    else if (offset < marks[t * 3 + 1]!) marks[t * 3 + 1] = offset
  }
  private noteMore(t: number, from: Provenance, row: number): void {
    let ranges = this.more.get(t)
    if (ranges === undefined) this.more.set(t, (ranges = []))
    addOrigins(ranges, from, row)
  }
  groupAt(t: number): number {
    return this.ids[t]!
  }
  existed(t: number): boolean {
    return this.had[t] === 1
  }
  /** −1 = none. */
  lastRow(t: number): number {
    return this.rows[t]!
  }
  watermark(t: number): number {
    return this.marks[t * 3]!
  }
  /** To the row just pushed. */
  tellOrigins(t: number, to: ProvenanceBuilder): void {
    to.origins(this.originsOf(t), true)
  }
  private readonly three: number[] = [0, 0, 0]
  private originsOf(t: number): readonly number[] {
    const more = this.more.get(t)
    if (this.sources[t] === -1) return more ?? []
    const { three } = this
    three[0] = this.sources[t]!
    three[1] = this.marks[t * 3 + 1]!
    three[2] = this.marks[t * 3 + 2]!
    if (more === undefined) return three
    const all = [...three]
    mergeRanges(all, more)
    return all
  }

  /** Puts what the group's one result will say into its row. */
  remember(t: number, groups: StateTable, toldAt: number): void {
    const group = this.ids[t]!
    const { numbers } = groups
    const at = group * groups.spec.numbers + toldAt
    const isFirst = numbers[at + sourceAt] === 0 && groups.values[group * groups.spec.values] === null
    numbers[at + watermarkAt] = isFirst ? this.watermark(t) : Math.max(numbers[at + watermarkAt]!, this.watermark(t))
    const source = this.sources[t]!
    const isOne = !this.more.has(t) && source >= 0
    if (isOne && (isFirst || numbers[at + sourceAt] === source + 1)) {
      const [first, last] = [this.marks[t * 3 + 1]!, this.marks[t * 3 + 2]!]
      numbers[at + firstAt] = isFirst ? first : Math.min(numbers[at + firstAt]!, first)
      numbers[at + lastAt] = isFirst ? last : Math.max(numbers[at + lastAt]!, last)
      numbers[at + sourceAt] = source + 1
      return
    }
    const place = group * groups.spec.values
    const ranges = [...((groups.values[place] as readonly number[] | null) ?? [])]
    mergeRanges(ranges, this.originsOf(t))
    groups.values[place] = ranges
  }
  /** The same before the step is over; what comes then is told anew. */
  settle(group: number, groups: StateTable, toldAt: number): void {
    const t = this.positions[group]! - 1
    if (this.watermark(t) === -Infinity && this.sources[t] === -1 && !this.more.has(t)) return
    this.remember(t, groups, toldAt)
    this.sources[t] = -1
    this.marks[t * 3] = -Infinity
    this.more.delete(t)
  }
  /** Adds what one row tells to another; ranges of several source partitions then lie in the order of these. */
  static mergeTold(to: RowFields, into: number, of: RowFields, from: number, toldAt: number): void {
    const { numbers, values } = to
    const at = into * to.spec.numbers + toldAt
    const other = from * of.spec.numbers + toldAt
    const place = into * to.spec.values
    numbers[at + watermarkAt] = Math.max(numbers[at + watermarkAt]!, of.numbers[other + watermarkAt]!)
    const isOne = numbers[at + sourceAt] === of.numbers[other + sourceAt] && numbers[at + sourceAt]! > 0
    if (isOne && values[place] === null && of.values[from * of.spec.values] === null) {
      numbers[at + firstAt] = Math.min(numbers[at + firstAt]!, of.numbers[other + firstAt]!)
      numbers[at + lastAt] = Math.max(numbers[at + lastAt]!, of.numbers[other + lastAt]!)
      return
    }
    const ranges = TouchedGroups.toldOrigins(to, into, toldAt)
    mergeRanges(ranges, TouchedGroups.toldOrigins(of, from, toldAt))
    const sorted = bySource(ranges)
    numbers[at + sourceAt] = sorted.length === 0 ? 0 : sorted[0]! + 1
    numbers[at + firstAt] = sorted[1] ?? 0
    numbers[at + lastAt] = sorted[2] ?? 0
    values[place] = sorted.length > 3 ? sorted.slice(3) : null
  }
  static toldWatermark(groups: RowFields, group: number, toldAt: number): number {
    return groups.numbers[group * groups.spec.numbers + toldAt + watermarkAt]!
  }
  static toldOrigins(groups: RowFields, group: number, toldAt: number): Ranges {
    const at = group * groups.spec.numbers + toldAt
    const ranges: Ranges = []
    const source = groups.numbers[at + sourceAt]! - 1
    if (source >= 0) ranges.push(source, groups.numbers[at + firstAt]!, groups.numbers[at + lastAt]!)
    mergeRanges(ranges, (groups.values[group * groups.spec.values] as readonly number[] | null) ?? [])
    return ranges
  }
  private grow(): void {
    const size = this.ids.length * 2
    this.ids = longerInts(this.ids, size)
    this.rows = longerInts(this.rows, size)
    this.sources = longerInts(this.sources, size)
    const had = new Uint8Array(size)
    had.set(this.had)
    this.had = had
    this.marks = longerDoubles(this.marks, size * 3)
    this.copies.numbers = longerDoubles(this.copies.numbers, size * this.stride)
  }
}
export function longerDoubles(array: Float64Array, length: number): Float64Array<ArrayBuffer> {
  return instead(new Float64Array(length), array)
}
