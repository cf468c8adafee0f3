/** Values of expressions over nothing, as PostgreSQL's text. */
import { compileScalar } from '../../src/flow/compile.ts'
import type { Value } from '../../src/flow/expression.ts'
import { planConstant } from '../../src/sql/plan/constant.ts'
import type { PlanContext } from '../../src/sql/plan/context.ts'
import { parseLoneQuery } from '../../src/sql/syntax/parse.ts'

export const emptyContext = (text: string, parameters: readonly unknown[] = []): PlanContext => ({
  text,
  schema: { relations: () => [] },
  parameters,
  mode: 'once',
  ctes: [],
  close: null,
  allowUnbounded: false,
})
export function evaluate(expression: string, parameters: readonly unknown[] = []): Value {
  const text = `SELECT ${expression}`
  const answer = planConstant(emptyContext(text, parameters), parseLoneQuery(text))
  const expr = answer!.rows[0]![0]!
  return expr.kind === 'literal' ? expr.value : compileScalar(expr)([], 1_700_000_000_123_456)
}
export const textOf = (expression: string, parameters: readonly unknown[] = []): string | null =>
  evaluate(`CAST((${expression}) AS text)`, parameters) as string | null
