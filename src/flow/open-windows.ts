import { assert } from '../lib/assert.ts'
import type { Batch } from './batch.ts'

/** From a window's end in µs: the watermark, in whole ms, that closes it. */
export const closeMsOf = (end: number): number => Math.floor(end / 1000) - 1
/** The same of a row, whose column holds the end. */
export function closeMsOfRow(batch: Batch, column: number, row: number): number {
  const end = batch.columns[column]!
  assert(end.kind === 'f64', "a window's end is a time")
  return closeMsOf(end.data[row]!)
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
