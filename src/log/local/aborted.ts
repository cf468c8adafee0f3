/**
 * Aborted transactions of one partition, by the offsets of their markers. A committed reader needs those that touch the
 * range it reads: it drops the batches of that producer from `first` up to the marker.
 */
import type { Offset } from '../../lib/brand.ts'

export interface AbortedTransaction {
  readonly producerId: number
  readonly first: Offset
  /** Where its marker stands. */
  readonly last: Offset
}

export class AbortedTransactions {
  /** In the order of their markers. */
  readonly all: AbortedTransaction[] = []

  add(aborted: AbortedTransaction): void {
    this.all.push(aborted)
  }
  /** Those with a batch or marker in [from, upTo), by first offset. */
  overlapping(from: Offset, upTo: Offset): AbortedTransaction[] {
    const found: AbortedTransaction[] = []
    for (let i = this.#firstEndingAt(from); i < this.all.length; i++)
      if (this.all[i]!.first < upTo) found.push(this.all[i]!)
    return found.sort((a, b) => a.first - b.first)
  }
  /** Forgets those wholly before `start`. */
  trim(start: Offset): void {
    this.all.splice(0, this.#firstEndingAt(start))
  }
  /** Index of the first whose marker is at or after `offset`. */
  #firstEndingAt(offset: Offset): number {
    let low = 0
    let high = this.all.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.all[middle]!.last < offset) low = middle + 1
      else high = middle
    }
    return low
  }
}
