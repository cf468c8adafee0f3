import { assert } from '../lib/assert.ts'
import type { Batch, LateRows } from './batch.ts'
import { LateCollector } from './row-store.ts'
import type { SliceTimes } from './slices.ts'

/** From a window's end in µs: the watermark, in whole ms, that closes it. */
export const closeMsOf = (end: number): number => Math.floor(end / 1000) - 1
/** The same of a row, whose column holds the end; with `times` that of a slice, and the last of its windows is meant. */
export function closeMsOfRow(batch: Batch, column: number, row: number, times?: SliceTimes): number {
  const end = batch.columns[column]!
  assert(end.kind === 'f64', "a window's end is a time")
  return closeMsOf(times === undefined ? end.data[row]! : times.lastEnd(end.data[row]!))
}

/** By the ordinal; what comes from the clock alone is of no record. */
export function isSameRecord({ rows }: Batch, a: number, b: number): boolean {
  return rows.source[a]! >= 0 && rows.source[a] === rows.source[b] && rows.offset[a] === rows.offset[b]
}
/** Of rows of records, one a window: the records all of whose windows have closed, each once. `closeOf`: when that of a row does. */
export function lateRecords(batch: Batch, closeOf: (row: number) => number, before: number): LateRows | null {
  const late = new LateCollector()
  const { watermark } = batch.rows
  for (let from = 0, row = 0; from < batch.count; from = row) {
    let isLate = true
    do {
      const closeMs = closeOf(row)
      if (closeMs > watermark[row]! && closeMs > before) isLate = false
      row++
    } while (row < batch.count && isSameRecord(batch, from, row))
    const last = row - 1
    if (isLate) late.add(batch.rows, last, closeOf(last) > watermark[last]!)
  }
  return late.done()
}

/** Which groups wait for which watermark: by closing time, a few times at once, many groups each. */
export class OpenWindows {
  private readonly groups = new Map<number, Set<number>>()
  /** Closing times, ascending. */
  private times: number[] = []
  count = 0

  add(closeMs: number, group: number): void {
    let groups = this.groups.get(closeMs)
    if (groups === undefined) {
      this.groups.set(closeMs, (groups = new Set()))
      this.times.splice(this.position(closeMs), 0, closeMs)
    }
    groups.add(group)
    this.count++
  }
  remove(closeMs: number, group: number): void {
    const groups = this.groups.get(closeMs)
    if (groups?.delete(group) !== true) return
    this.count--
    if (groups.size > 0) return
    this.groups.delete(closeMs)
    this.times.splice(this.position(closeMs), 1)
  }
  /** Takes the groups of the oldest window that the watermark has passed; null: there is none. */
  takeClosed(watermark: number): number[] | null {
    const [closeMs] = this.times
    if (closeMs === undefined || closeMs > watermark) return null
    const groups = [...this.groups.get(closeMs)!]
    this.groups.delete(closeMs)
    this.times.shift()
    this.count -= groups.length
    return groups
  }
  /** When the oldest closes; Infinity: there is none. */
  get first(): number {
    return this.times[0] ?? Infinity
  }
  private position(closeMs: number): number {
    let low = 0
    let high = this.times.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.times[middle]! < closeMs) low = middle + 1
      else high = middle
    }
    return low
  }
}
