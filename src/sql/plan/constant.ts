/** Queries that read nothing: SELECT without FROM, and VALUES on its own. */
import type { Query } from '../syntax/ast.ts'
import { type ConstantRows, constantRows } from './constant-rows.ts'
import type { PlanContext } from './context.ts'
import { orderOfOutput } from './query.ts'
import { rowCount } from './row-count.ts'
import type { SortKey } from './select.ts'

export interface ConstantAnswer extends ConstantRows {
  readonly order: readonly SortKey[]
  readonly limit: number | null
  readonly offset: number
}

/** null: the query reads something. Throws SqlFault. */
export function planConstant(ctx: PlanContext, query: Query): ConstantAnswer | null {
  const { body } = query
  if (query.with.length > 0 || query.emit !== null) return null
  if (body.kind === 'nested' && query.orderBy.length === 0 && query.limit === null && query.offset === null)
    return planConstant(ctx, body.query)
  const made = constantRows(ctx, body)
  if (made === null) return null
  const limit = query.limit === null ? null : rowCount(ctx, query.limit, 'LIMIT')
  const offset = query.offset === null ? 0 : (rowCount(ctx, query.offset, 'OFFSET') ?? 0)
  return { ...made, order: orderOfOutput(ctx, made.columns, query.orderBy), limit, offset }
}
