/** Filter, project and union: each output row comes from one input row and has its weight. No state. */
import type { Columns } from '../../schema/types.ts'
import { type RowFailure, emptyBatch, gatherBatch, withoutRows } from '../batch.ts'
import { compileFilter } from '../compile.ts'
import { concatenate } from '../concatenate.ts'
import { evaluator } from '../evaluate.ts'
import type { Expression } from '../expression.ts'
import { lentInts } from '../lent-arrays.ts'
import { type Operator, stateless } from '../operator.ts'

export function filter(where: Expression): Operator {
  const run = compileFilter(where)
  return {
    kind: 'filter',
    ...stateless,
    step(_, [batch = emptyBatch], time) {
      if (batch.count === 0) return emptyBatch
      const rows = lentInts(batch.count)
      const failures: RowFailure[] = []
      const kept = run(batch.columns, batch.count, time.nowUs, rows, failures)
      if (kept === batch.count) return batch
      return { ...gatherBatch(batch, rows, kept), failed: withoutRows(batch, failures).failed }
    },
  }
}

/** Columns passed through are shared; only what is computed runs generated code. */
export function project(expressions: readonly Expression[]): Operator {
  const evaluate = evaluator(expressions)
  return {
    kind: 'project',
    ...stateless,
    step(_, [input = emptyBatch], time) {
      if (input.count === 0) return emptyBatch
      const { batch, columns, failed } = evaluate(input, time.nowUs)
      return { ...batch, columns, failed }
    },
  }
}
/** Rows of all inputs, input by input. */
export function union(columns: Columns): Operator {
  return {
    kind: 'union',
    ...stateless,
    step(_, batches) {
      const filled = batches.filter((b) => b.count > 0)
      if (filled.length <= 1) return filled[0] ?? emptyBatch
      return concatenate(filled, columns)
    },
  }
}
