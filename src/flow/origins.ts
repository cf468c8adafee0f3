/**
 * Where a derived row came from, as ranges of offsets per source partition, collected while an operator folds rows. In
 * the log it is the header `mr-origin` (`log/origin.ts`).
 */
import type { Provenance } from './batch.ts'

/** Triples: source partition, first and last offset; one per source partition. */
export type Ranges = number[]

function addRange(ranges: Ranges, source: number, first: number, last: number): void {
  for (let i = 0; i < ranges.length; i += 3) {
    if (ranges[i] !== source) continue
    if (first < ranges[i + 1]!) ranges[i + 1] = first
    if (last > ranges[i + 2]!) ranges[i + 2] = last
    return
  }
  ranges.push(source, first, last)
}
/** Adds what a row came from. */
export function addOrigins(ranges: Ranges, rows: Provenance, row: number): void {
  if (rows.origins !== null && rows.origins.at[row + 1]! > rows.origins.at[row]!) {
    for (let r = rows.origins.at[row]!; r < rows.origins.at[row + 1]!; r++)
      addRange(ranges, rows.origins.ranges[r * 3]!, rows.origins.ranges[r * 3 + 1]!, rows.origins.ranges[r * 3 + 2]!)
  } else if (rows.source[row]! >= 0) addRange(ranges, rows.source[row]!, rows.offset[row]!, rows.offset[row]!)
}
export function mergeRanges(into: Ranges, from: ArrayLike<number>): void {
  for (let i = 0; i < from.length; i += 3) addRange(into, from[i]!, from[i + 1]!, from[i + 2]!)
}
export function bySource(ranges: Ranges): Ranges {
  if (ranges.length <= 3) return ranges
  const triples = Array.from({ length: ranges.length / 3 }, (_, i) => ranges.slice(i * 3, i * 3 + 3))
  return triples.sort(([a], [b]) => a! - b!).flat()
}
