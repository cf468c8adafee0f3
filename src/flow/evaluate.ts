/** Expressions over a batch's rows. */
import { type Batch, type Column, type FailedRows, type RowFailure, withoutRows } from './batch.ts'
import { columnBuilder } from './columns.ts'
import { compileProject } from './compile.ts'
import type { Expression } from './expression.ts'

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
