/** Queries that read nothing: SELECT without FROM, and VALUES on its own. */
import type { Expression } from '../../flow/expression.ts'
import type { Columns, DataType, Field } from '../../schema/types.ts'
import type { Bound } from '../bind/bound.ts'
import { coerce, unify } from '../bind/coerce.ts'
import { bindBoolean, bindExpression } from '../bind/expressions.ts'
import { mismatch } from '../bind/forms.ts'
import { emptyScope } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Query, Select } from '../syntax/ast.ts'
import { bindContext, type PlanContext } from './context.ts'
import { orderOfOutput } from './query.ts'
import { rowCount } from './row-count.ts'
import { defaultName, type SortKey } from './select.ts'

export interface ConstantAnswer {
  readonly columns: Columns
  readonly rows: readonly (readonly Expression[])[]
  /** Rows appear only where it is true; null = always. */
  readonly where: Expression | null
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
  const made =
    body.kind === 'values'
      ? values(ctx, body.rows)
      : body.kind === 'select' && body.from.length === 0
        ? select(ctx, body)
        : null
  if (made === null) return null
  const limit = query.limit === null ? null : rowCount(ctx, query.limit, 'LIMIT')
  const offset = query.offset === null ? 0 : (rowCount(ctx, query.offset, 'OFFSET') ?? 0)
  return { ...made, order: orderOfOutput(ctx, made.columns, query.orderBy), limit, offset }
}

type Rows = Pick<ConstantAnswer, 'columns' | 'rows' | 'where'>

/** Each column has the common type of its values. */
function values(ctx: PlanContext, written: Extract<Query['body'], { kind: 'values' }>['rows']): Rows {
  const bind = bindContext(ctx, emptyScope, 'VALUES')
  const rows = written.map((row) => row.map((expr) => bindExpression(bind, expr)))
  const columns: Field[] = []
  const typed: Bound[][] = rows.map(() => [])
  for (let c = 0; c < rows[0]!.length; c++) {
    const wanted = ctx.expected?.[c]
    const items = rows.map((row) => (wanted === undefined ? row[c]! : asWanted(ctx, row[c]!, wanted)))
    const same = unify(items, ctx.text)
    if (same === null) throw mismatch(ctx, 'VALUES', items)
    columns.push({ name: `column${c + 1}`, type: same.type, nullable: same.items.some((item) => item.nullable) })
    for (const [r, item] of same.items.entries()) typed[r]!.push(item)
  }
  return { columns, rows: typed.map((row) => row.map((item) => item.expr)), where: null }
}

/** What has no type of its own takes that of its place. */
function asWanted(ctx: PlanContext, bound: Bound, wanted: DataType): Bound {
  if (bound.unknown) return coerce(bound, wanted, 'assignment', ctx.text)!
  const takesParts = wanted.kind === 'composite' || wanted.kind === 'array'
  return takesParts && bound.parts !== undefined ? coerce(bound, wanted, 'assignment', ctx.text)! : bound
}
function select(ctx: PlanContext, body: Select): Rows | null {
  if (body.groupBy.length > 0 || body.having !== null || body.windows.length > 0 || Array.isArray(body.distinct)) {
    throw new SqlFault('sql.unsupported', 'grouping without FROM is not supported', ctx.text, body.at)
  }
  const bind = bindContext(ctx, emptyScope, 'a SELECT without FROM')
  const items = body.items.map((item, i) => {
    const bound = bindExpression(bind, item.expr)
    const wanted = ctx.expected?.[i] ?? { kind: 'text' }
    const typed = asWanted(ctx, bound, wanted)
    const field: Field = {
      name: item.alias?.text ?? defaultName(item.expr, bind),
      type: typed.expr.type,
      nullable: typed.nullable,
    }
    return { field, expr: typed.expr }
  })
  if (items.length === 0) throw new SqlFault('sql.syntax', 'the SELECT list is empty', ctx.text, body.at)
  const where = body.where === null ? null : bindBoolean(bind, body.where, 'WHERE').expr
  return { columns: items.map((item) => item.field), rows: [items.map((item) => item.expr)], where }
}
