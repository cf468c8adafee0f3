import { coerce } from '../bind/coerce.ts'
import { isConstant } from '../bind/durations.ts'
import { bindExpression } from '../bind/expressions.ts'
import { constantValue } from '../bind/literals.ts'
import { emptyScope } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Expr } from '../syntax/ast.ts'
import { bindContext, type PlanContext } from './context.ts'

/** A number of rows, as LIMIT takes it: a constant; null = NULL. */
export function rowCount(ctx: PlanContext, expr: Expr, clause: string): number | null {
  const bound = bindExpression(bindContext(ctx, emptyScope, clause), expr)
  const typed = coerce(bound, { kind: 'bigint' }, 'assignment', ctx.text)
  if (typed === null || !isConstant(typed))
    throw new SqlFault('sql.type-mismatch', `argument of ${clause} must be a whole number`, ctx.text, expr.at)
  const value = constantValue(typed.expr)
  if (value === null) return null
  if (Number(value) < 0) throw new SqlFault('sql.invalid-value', `${clause} must not be negative`, ctx.text, expr.at)
  return Number(value)
}
