/** Rows that stand in the text: VALUES, and SELECT without FROM. */
import type { Expression } from '../../flow/expression.ts'
import type { SourcePlan } from '../../flow/plan.ts'
import type { Columns, DataType, Field } from '../../schema/types.ts'
import type { Bound } from '../bind/bound.ts'
import { coerce, unify } from '../bind/coerce.ts'
import { bindBoolean, bindExpression } from '../bind/expressions.ts'
import { mismatch } from '../bind/forms.ts'
import { emptyScope } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Query, QueryBody, Select } from '../syntax/ast.ts'
import { bindContext, type PlanContext } from './context.ts'
import { columnsToScope, type Rel } from './relation.ts'
import { defaultName } from './select.ts'

export interface ConstantRows {
  readonly columns: Columns
  readonly rows: readonly (readonly Expression[])[]
  /** Rows appear only where it is true; null = always. */
  readonly where: Expression | null
}
/** null: it reads something. Throws SqlFault. */
export function constantRows(ctx: PlanContext, body: QueryBody): ConstantRows | null {
  if (body.kind === 'values') return values(ctx, body.rows)
  return body.kind === 'select' && body.from.length === 0 ? select(ctx, body) : null
}
/** The same inside a query. null: it reads something, or is no part of a query of now. */
export function constantRel(ctx: PlanContext, body: QueryBody): Rel | null {
  const isConstant = body.kind === 'values' || (body.kind === 'select' && body.from.length === 0)
  if (!isConstant) return null
  if (ctx.mode === 'view')
    throw new SqlFault('sql.unsupported', 'rows that stand in the text of a view', ctx.text, body.at, {
      hint: 'INSERT them into a TABLE, and read that.',
    })
  const { expected: _, ...inner } = ctx
  const { columns, rows, where } = constantRows(inner, body)!
  const source: SourcePlan = {
    op: 'source',
    name: 'values',
    topic: '',
    mode: 'append',
    format: 'json',
    columns,
    fields: columns.map((_, i) => ({ from: 'value', path: [String(i)] })),
    rows,
    key: [],
    time: null,
    onInvalid: 'reject',
  }
  const plan = where === null ? source : ({ op: 'filter', input: source, where, columns } as const)
  return { plan, scope: columnsToScope(null, columns), key: null, appendOnly: true, time: null, windows: [] }
}

/** Each column has the common type of its values. */
function values(ctx: PlanContext, written: Extract<Query['body'], { kind: 'values' }>['rows']): ConstantRows {
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
function select(ctx: PlanContext, body: Select): ConstantRows {
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
