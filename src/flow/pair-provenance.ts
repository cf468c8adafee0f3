/**
 * Where pairs of rows come from: a row of a batch and one from state. A pair is as late as the later of the two, and stands
 * behind what both came from.
 */
import type { Origins, Provenance } from './batch.ts'
import { lentDoubles, lentInts } from './lent-arrays.ts'
import { addOrigins, mergeRanges, type Ranges } from './origins.ts'

/** Of a row in state: time (µs) and ordinal of what it came from last, and the watermark that stood before that. */
export interface Ordinal {
  time: number
  source: number
  offset: number
  watermark: number
}

/** Of so many rows at most, each what a row of a batch came from and one record more. */
export class PairOrigins {
  private count = 0
  private readonly at: Int32Array<ArrayBuffer>
  private ranges: Float64Array<ArrayBuffer>
  private ranged = 0
  private state = false

  constructor(count: number) {
    this.at = lentInts(count + 1)
    this.at[0] = 0
    this.ranges = lentDoubles(count * 6)
  }
  /** `source` −1: the other one is from the clock alone. */
  push(rows: Provenance, row: number, source: number, offset: number): void {
    if (source < 0 || rows.origins?.state === true) this.state = true
    if (rows.origins !== null || rows.source[row] === source) this.addAll(rows, row, source, offset)
    else {
      if (rows.source[row]! >= 0) this.addRange(rows.source[row]!, rows.offset[row]!, rows.offset[row]!)
      if (source >= 0) this.addRange(source, offset, offset)
    }
    this.at[++this.count] = this.ranged
  }
  /** A row that met no other. */
  pushAlone(rows: Provenance, row: number): void {
    if (rows.origins?.state === true) this.state = true
    const ranges: Ranges = []
    addOrigins(ranges, rows, row)
    this.addRanges(ranges)
    this.at[++this.count] = this.ranged
  }
  private addAll(rows: Provenance, row: number, source: number, offset: number): void {
    const ranges: Ranges = []
    addOrigins(ranges, rows, row)
    if (source >= 0) mergeRanges(ranges, [source, offset, offset])
    this.addRanges(ranges)
  }
  private addRanges(ranges: Ranges): void {
    for (let r = 0; r < ranges.length; r += 3) this.addRange(ranges[r]!, ranges[r + 1]!, ranges[r + 2]!)
  }
  private addRange(source: number, first: number, last: number): void {
    const at = this.ranged++ * 3
    if (at + 3 > this.ranges.length) {
      const longer = new Float64Array(this.ranges.length * 2 + 3)
      longer.set(this.ranges)
      this.ranges = longer
    }
    this.ranges[at] = source
    this.ranges[at + 1] = first
    this.ranges[at + 2] = last
  }
  done(): Origins {
    const { at, ranges, state } = this
    return { at, ranges, state }
  }
}

export class PairProvenance {
  private count = 0
  private readonly source: Int32Array<ArrayBuffer>
  private readonly offset: Float64Array<ArrayBuffer>
  private readonly time: Float64Array<ArrayBuffer>
  private readonly watermark: Float64Array<ArrayBuffer>
  private readonly origins: PairOrigins

  constructor(count: number) {
    this.source = lentInts(count)
    this.offset = lentDoubles(count)
    this.time = lentDoubles(count)
    this.watermark = lentDoubles(count)
    this.origins = new PairOrigins(count)
  }
  push(rows: Provenance, row: number, stored: Ordinal): void {
    const i = this.count++
    const { time, source, offset } = stored
    this.watermark[i] = Math.max(rows.watermark[row]!, stored.watermark)
    if (isAfter(stored, rows, row)) {
      this.source[i] = source
      this.offset[i] = offset
      this.time[i] = time
    } else {
      this.source[i] = rows.source[row]!
      this.offset[i] = rows.offset[row]!
      this.time[i] = rows.time[row]!
    }
    this.origins.push(rows, row, source, offset)
  }
  done(): Provenance {
    const { source, offset, time, watermark } = this
    return { source, offset, time, watermark, origins: this.origins.done() }
  }
}
/** The stored row is the later of the two. */
export function isAfter({ time, source, offset }: Omit<Ordinal, 'watermark'>, rows: Provenance, row: number): boolean {
  if (time !== rows.time[row]) return time > rows.time[row]!
  if (source !== rows.source[row]) return source > rows.source[row]!
  return offset > rows.offset[row]!
}
