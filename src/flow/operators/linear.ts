/** Filter, project and union: each output row comes from one input row and has its weight. No state. */
import type { Columns } from '../../schema/types.ts'
import {
  type Batch,
  type Column,
  type FailedRows,
  type RowFailure,
  emptyBatch,
  gatherBatch,
  withoutRows,
} from '../batch.ts'
import { columnBuilder } from '../columns.ts'
import { compileFilter, compileProject } from '../compile.ts'
import type { Expression } from '../expression.ts'
import { type Operator, stateless } from '../operator.ts'
import { Output } from '../row-store.ts'

export function filter(where: Expression): Operator {
  const run = compileFilter(where)
  return {
    kind: 'filter',
    ...stateless,
    step(_, [batch = emptyBatch], time) {
      if (batch.count === 0) return emptyBatch
      const rows = new Int32Array(batch.count)
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
export interface Evaluated {
  /** The input without the rows that could not be computed. */
  readonly batch: Batch
  readonly failed: FailedRows | null
  /** One per expression, over the rows of `batch`. */
  readonly columns: Column[]
}
/** Expressions over a batch's rows. */
export function evaluator(expressions: readonly Expression[]): (batch: Batch, nowUs: number) => Evaluated {
  const computed = expressions.flatMap((e, i) => (e.kind === 'column' ? [] : [i]))
  const run = compileProject(computed.map((i) => expressions[i]!))
  return (input, nowUs) => {
    const builders = computed.map((i) => columnBuilder(expressions[i]!.type, input.count))
    const failures: RowFailure[] = []
    if (computed.length > 0) run(input.columns, input.count, nowUs, builders, failures)
    const { batch, failed } = withoutRows(input, failures)
    let next = 0
    const columns = expressions.map((e) => (e.kind === 'column' ? batch.columns[e.index]! : builders[next++]!.done()))
    return { batch, columns, failed }
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
export function concatenate(batches: readonly Batch[], columns: Columns): Batch {
  const out = new Output(columns)
  for (const batch of batches)
    for (let row = 0; row < batch.count; row++) {
      for (let c = 0; c < columns.length; c++) out.builders[c]!.pushFrom(batch.columns[c]!, row)
      out.endFrom(batch.weights === null ? 1 : batch.weights[row]!, batch.rows, row)
    }
  return out.done()
}
