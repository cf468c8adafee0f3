/**
 * Tumbling windows: adds window_start and window_end to each row. A window is [s, s + size) with s = time − floorMod(time,
 * size), counted from 1970 UTC. A row without an event time lies in no window: it is handed along as late.
 */
import type { DataType } from '../../schema/types.ts'
import { assert } from '../../lib/assert.ts'
import { type Batch, emptyBatch, gatherBatch } from '../batch.ts'
import { type Operator, stateless } from '../operator.ts'
import { LateCollector } from '../row-store.ts'

const dayMicros = 86_400_000_000

export function tumble(time: number, type: DataType, sizeMs: number): Operator {
  assert(sizeMs > 0, 'a window has a size')
  const unit = type.kind === 'date' ? dayMicros : 1
  const size = (sizeMs * 1000) / unit
  return {
    kind: 'window',
    ...stateless,
    step(_, [input = emptyBatch]) {
      if (input.count === 0) return emptyBatch
      const { batch, late } = withTime(input, time)
      const column = batch.columns[time]!
      assert(batch.count === 0 || column.kind === 'f64', 'a window is over a time')
      const starts = new Float64Array(batch.count)
      const ends = new Float64Array(batch.count)
      if (column.kind === 'f64')
        for (let i = 0; i < batch.count; i++) {
          const start = Math.floor(column.data[i]! / size) * size
          starts[i] = start
          ends[i] = start + size
        }
      const columns = [
        ...batch.columns,
        { kind: 'f64', data: starts, valid: null } as const,
        { kind: 'f64', data: ends, valid: null } as const,
      ]
      return { ...batch, columns, late }
    },
  }
}
function withTime(batch: Batch, time: number): { batch: Batch; late: Batch['late'] } {
  const valid = batch.columns[time]!.valid
  if (valid === null) return { batch, late: null }
  const rows = new Int32Array(batch.count)
  const late = new LateCollector()
  let count = 0
  for (let i = 0; i < batch.count; i++)
    if (valid[i] === 1) rows[count++] = i
    else late.add(batch.rows, i, false)
  return count === batch.count ? { batch, late: null } : { batch: gatherBatch(batch, rows, count), late: late.done() }
}
