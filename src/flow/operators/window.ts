/**
 * Windows of a size: adds window_start and window_end to each row, a row for each window [s, e) that its time lies in,
 * the first to end first. A tumbling window begins at time − floorMod(time − offset, size), counted from 1970 UTC. A row
 * without an event time lies in no window, nor does one at ±infinity, where no window has bounds: it is handed along as late.
 */
import type { DataType } from '../../schema/types.ts'
import { assert } from '../../lib/assert.ts'
import { type Batch, emptyBatch, gatherBatch, rowsFrom } from '../batch.ts'
import { type Operator, stateless } from '../operator.ts'
import type { Window } from '../plan.ts'
import { LateCollector } from '../row-store.ts'

const dayMicros = 86_400_000_000

export function window(time: number, type: DataType, window: Window): Operator {
  assert(window.sizeMs > 0, 'a window has a size')
  const boundsOf = boundsIn(window, type.kind === 'date' ? dayMicros : 1)
  const perRow = window.kind === 'tumble' ? 1 : Math.ceil(window.sizeMs / window.stepMs)
  const inWindows = (batch: Batch): Batch => {
    const column = batch.columns[time]!
    assert(batch.count === 0 || column.kind === 'f64', 'a window is over a time')
    const bounds = new Bounds(batch.count)
    if (column.kind === 'f64') for (let i = 0; i < batch.count; i++) boundsOf(column.data[i]!, i, bounds)
    const rows = bounds.count === batch.count ? batch : gatherBatch(batch, bounds.rows, bounds.count)
    const columns = [
      ...rows.columns,
      { kind: 'f64', data: bounds.starts, valid: null } as const,
      { kind: 'f64', data: bounds.ends, valid: null } as const,
    ]
    return { ...rows, columns }
  }
  return {
    kind: 'window',
    ...stateless,
    step(_, [input = emptyBatch]) {
      if (input.count === 0) return emptyBatch
      const { batch, late } = withTime(input, time)
      return { ...inWindows(batch), late }
    },
    *pieces(_, [input = emptyBatch], __, room) {
      if (input.count === 0) return emptyBatch
      const { batch, late } = withTime(input, time)
      const most = Math.max(1, Math.floor(room.rows / perRow))
      let from = 0
      for (; batch.count - from > most; from += most) yield inWindows(rowsFrom(batch, from, most))
      return { ...inWindows(from === 0 ? batch : rowsFrom(batch, from, batch.count - from)), late }
    },
  }
}

/** Windows found, and whose they are. */
class Bounds {
  count = 0
  rows: Int32Array<ArrayBuffer>
  starts: Float64Array<ArrayBuffer>
  ends: Float64Array<ArrayBuffer>

  constructor(capacity: number) {
    this.rows = new Int32Array(capacity)
    this.starts = new Float64Array(capacity)
    this.ends = new Float64Array(capacity)
  }
  add(row: number, start: number, end: number): void {
    if (this.count === this.rows.length) this.grow()
    this.rows[this.count] = row
    this.starts[this.count] = start
    this.ends[this.count++] = end
  }
  private grow(): void {
    const { rows, starts, ends } = this
    const size = Math.max(16, this.count * 2)
    this.rows = new Int32Array(size)
    this.rows.set(rows)
    this.starts = new Float64Array(size)
    this.starts.set(starts)
    this.ends = new Float64Array(size)
    this.ends.set(ends)
  }
}
type BoundsOf = (time: number, row: number, found: Bounds) => void
function boundsIn(window: Window, unit: number): BoundsOf {
  const size = (window.sizeMs * 1000) / unit
  const offset = ((window.offsetMs ?? 0) * 1000) / unit
  const floor = (time: number, by: number): number => Math.floor((time - offset) / by) * by + offset
  if (window.kind === 'tumble')
    return (time, row, found) => {
      const start = floor(time, size)
      found.add(row, start, start + size)
    }
  const step = (window.stepMs * 1000) / unit
  if (window.kind === 'cumulate')
    return (time, row, found) => {
      const start = floor(time, size)
      const first = Math.floor((time - start) / step) * step + step
      for (let length = first; length <= size; length += step) found.add(row, start, start + length)
    }
  return (time, row, found) => {
    const last = floor(time, step)
    // The earliest that still holds it: the first multiple of the step after time − size.
    for (let start = floor(time - size, step) + step; start <= last; start += step) found.add(row, start, start + size)
  }
}
function withTime(batch: Batch, time: number): { batch: Batch; late: Batch['late'] } {
  const column = batch.columns[time]!
  const { valid } = column
  const data = column.kind === 'f64' ? column.data : null
  const isThere = (i: number): boolean =>
    (valid === null || valid[i] === 1) && (data === null || Number.isFinite(data[i]))
  let first = 0
  while (first < batch.count && isThere(first)) first++
  if (first === batch.count) return { batch, late: null }
  const rows = new Int32Array(batch.count)
  const late = new LateCollector()
  let count = 0
  for (let i = 0; i < batch.count; i++)
    if (isThere(i)) rows[count++] = i
    else late.add(batch.rows, i, false)
  return { batch: gatherBatch(batch, rows, count), late: late.done() }
}
