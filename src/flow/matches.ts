/** Left rows that meet at most one right row each: what of the pairs made is in the result, by condition and kind. */
import type { Columns } from '../schema/types.ts'
import { type Batch, type FailedRows, type RowFailure, gatherBatch, withoutRows } from './batch.ts'
import { columnBuilder } from './columns.ts'
import type { FilterFunction } from './compile.ts'
import { concatenate } from './concatenate.ts'
import type { Plan } from './plan.ts'

interface Join {
  readonly left: Plan
  readonly right: Plan
  readonly kind: 'inner' | 'left'
}
/** A pair a left row; the right columns of one that met nothing are NULL. */
interface Pairs {
  readonly pairs: Batch
  readonly matched: readonly boolean[]
}

export function keepMatches(
  { left, right, kind }: Join,
  where: FilterFunction | null,
  { pairs: batch, matched }: Pairs,
  nowUs: number,
): { batch: Batch; failed: FailedRows | null } {
  if (batch.count === 0) return { batch, failed: null }
  const failures: RowFailure[] = []
  const passes = new Uint8Array(batch.count)
  if (where === null) matched.forEach((m, i) => (passes[i] = m ? 1 : 0))
  else {
    const rows = new Int32Array(batch.count)
    const count = where(batch.columns, batch.count, nowUs, rows, failures)
    for (let i = 0; i < count; i++) if (matched[rows[i]!] === true) passes[rows[i]!] = 1
  }
  // Without a partner there was nothing to compare.
  const failed = failures.filter(({ row }) => matched[row] === true)
  const kept = kind === 'inner' ? batch : padded(batch, passes, matched, left.columns.length, right.columns)
  const bad = new Set(failed.map(({ row }) => row))
  const rows = Int32Array.from(
    Array.from(passes.keys()).filter((i) => !bad.has(i) && (kind === 'left' || passes[i] === 1)),
  )
  return {
    batch: rows.length === batch.count ? kept : gatherBatch(kept, rows, rows.length),
    failed: withoutRows(batch, failed).failed,
  }
}
/** Left join: a pair that the condition refuses becomes its left row with NULLs. */
function padded(batch: Batch, passes: Uint8Array, matched: readonly boolean[], width: number, right: Columns): Batch {
  if (matched.every((m, i) => !m || passes[i] === 1)) return batch
  const rights = right.map((c, i) => {
    const builder = columnBuilder(c.type, batch.count)
    const column = batch.columns[width + i]!
    for (let row = 0; row < batch.count; row++)
      if (passes[row] === 1) builder.pushFrom(column, row)
      else builder.pushNull()
    return builder.done()
  })
  return { ...batch, columns: [...batch.columns.slice(0, width), ...rights] }
}
/** Failed rows of both causes; joined ones as their left columns. */
export function joinFailures(a: FailedRows | null, b: FailedRows | null, left: Columns): FailedRows | null {
  if (b === null) return a
  const rows = { ...b.batch, columns: b.batch.columns.slice(0, left.length) }
  if (a === null) return { batch: rows, faults: b.faults }
  return { batch: concatenate([a.batch, rows], left), faults: [...a.faults, ...b.faults] }
}
