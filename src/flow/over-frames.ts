/**
 * Where frames begin and end. The rows of a partition lie in order; for each row the first row of its frame and the row
 * behind its last, which never go back from one row to the next. A range is measured along the order: `2 PRECEDING` of a
 * descending order reaches to what is larger by 2. Rows whose order is NULL are each other's range, and nobody else's.
 */
import type { DataType } from '../schema/types.ts'
import type { Batch } from './batch.ts'
import type { Value } from './expression.ts'
import * as h from './functions/helpers.ts'
import type { FrameEnd, Order, OverFrame } from './plan.ts'

/** Rows of a partition in their order, as far as they are kept. */
export interface PartitionRows {
  readonly count: number
  value(row: number, column: number): Value
  /** Equal in all that the order looks at. */
  isPeer(a: number, b: number): boolean
  batch(from: number, to: number): Batch
}

/** The rows that are equal to a row in all that the order looks at. */
export class Peers {
  private readonly rows: PartitionRows
  private readonly isOrdered: boolean
  private from = 0
  private to = 0

  constructor(rows: PartitionRows, isOrdered: boolean) {
    this.rows = rows
    this.isOrdered = isOrdered
  }
  start(row: number): number {
    this.find(row)
    return this.from
  }
  end(row: number): number {
    this.find(row)
    return this.to
  }
  private find(row: number): void {
    if (row >= this.from && row < this.to) return
    const { rows } = this
    if (!this.isOrdered) {
      this.to = rows.count
      return
    }
    let from = row
    if (row !== this.to || row === 0) while (from > 0 && rows.isPeer(from - 1, row)) from--
    let to = row + 1
    while (to < rows.count && rows.isPeer(to, row)) to++
    this.from = from
    this.to = to
  }
}

/** What a range is measured along. */
export class RangeAxis {
  private readonly order: Order
  private readonly isExact: boolean

  constructor(order: Order, type: DataType) {
    this.order = order
    this.isExact = type.kind !== 'double' && type.kind !== 'real'
  }
  get column(): number {
    return this.order.column
  }
  /** Whether `value` comes before (−1), at (0) or behind (1) what lies `offset` further along the order than `from`. */
  compare(value: Value, from: Value, offset: number): number {
    const { descending, nullsFirst } = this.order
    if (value === null) return nullsFirst ? -1 : 1
    const bound = this.moved(from as h.Int, descending ? -offset : offset)
    const order =
      typeof value === 'number' && typeof bound === 'number'
        ? h.compareDoubles(value, bound)
        : h.compareInts(value as h.Int, bound)
    return descending ? -order : order
  }
  private moved(from: h.Int, by: number): h.Int {
    return this.isExact && Number.isInteger(by) ? h.addInts(from, by) : Number(from) + by
  }
}

const signed = (end: FrameEnd): number => (end.at === 'preceding' ? -end.value : end.at === 'following' ? end.value : 0)

export interface Edges {
  /** For each row from `first` on: the first row of its frame, and the one behind its last. */
  readonly starts: Int32Array
  readonly ends: Int32Array
}
/** Frames of the rows from `from` to `to`; those of the rows before began and ended no later than `startAt` and `endAt`. */
export function frameEdges(
  frame: OverFrame,
  axis: RangeAxis | null,
  rows: PartitionRows,
  { from, to, peers, startAt, endAt }: { from: number; to: number; peers: Peers; startAt: number; endAt: number },
): Edges {
  const starts = new Int32Array(to - from)
  const ends = new Int32Array(to - from)
  const clamped = (row: number): number => Math.max(0, Math.min(rows.count, row))
  /** The first row that is not before the edge (`behind`: that is behind it). */
  const scan = (row: number, end: FrameEnd, at: number, behind: boolean): number => {
    const value = rows.value(row, axis!.column)
    if (value === null) return behind ? peers.end(row) : peers.start(row)
    const offset = signed(end)
    let edge = at
    while (edge < rows.count) {
      const order = axis!.compare(rows.value(edge, axis!.column), value, offset)
      if (order > 0 || (order === 0 && !behind)) break
      edge++
    }
    return edge
  }
  let start = startAt
  let end = endAt
  for (let row = from; row < to; row++) {
    if (frame.from.at === 'unbounded') start = 0
    else if (frame.unit === 'rows') start = clamped(row + signed(frame.from))
    else start = frame.from.at === 'current' ? peers.start(row) : scan(row, frame.from, start, false)
    if (frame.to.at === 'unbounded') end = rows.count
    else if (frame.unit === 'rows') end = clamped(row + 1 + signed(frame.to))
    else end = frame.to.at === 'current' ? peers.end(row) : scan(row, frame.to, end, true)
    starts[row - from] = start
    ends[row - from] = end
  }
  return { starts, ends }
}
