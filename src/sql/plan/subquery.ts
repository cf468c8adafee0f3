/**
 * Queries within conditions and expressions, as joins: IN (SELECT …) and EXISTS (SELECT …) among the conditions of a WHERE
 * are semi joins, their negations anti joins; a query as a value, of at most one row, is a column behind the others. EXISTS
 * and IN may name columns of the query around them.
 */
import type { Expression } from '../../flow/expression.ts'
import type { Columns } from '../../schema/types.ts'
import { isAggregate } from '../bind/aggregates.ts'
import { type Bound, booleanType, column, conjunction, conjuncts, isNull } from '../bind/bound.ts'
import { bindBoolean, bindExpression } from '../bind/expressions.ts'
import { resolveUniform } from '../bind/functions.ts'
import { shiftScope, starColumns } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Expr, Query, Select } from '../syntax/ast.ts'
import { refuseClock } from './clock-filter.ts'
import { bindContext, type PlanContext } from './context.ts'
import { planFrom, type PlanQuery } from './from.ts'
import { refuseSession } from './session.ts'
import { columnsToScope, type Rel } from './relation.ts'

interface Test {
  readonly query: Query
  /** What IN looks for; null of EXISTS. */
  readonly arg: Expr | null
  readonly isNegated: boolean
}

/** The rows for which the subqueries of the condition hold; `rest` is what else it says, null = nothing. */
export function planTests(
  ctx: PlanContext,
  input: Rel,
  where: Expr,
  planQuery: PlanQuery,
): { rel: Rel; rest: readonly Expr[] } {
  const rest: Expr[] = []
  let rel = input
  for (const condition of written(where)) {
    const test = testOf(condition, false)
    if (test === null) rest.push(condition)
    else rel = testJoin(ctx, rel, test, planQuery)
  }
  return { rel, rest }
}
const written = (expr: Expr): readonly Expr[] => (expr.kind === 'and' ? expr.args.flatMap(written) : [expr])
function testOf(expr: Expr, isNegated: boolean): Test | null {
  switch (expr.kind) {
    case 'not':
      return testOf(expr.arg, !isNegated)
    case 'exists':
      return { query: expr.query, arg: null, isNegated }
    case 'in-query':
      return { query: expr.query, arg: expr.arg, isNegated: expr.negated !== isNegated }
    default:
      return null
  }
}

function testJoin(ctx: PlanContext, left: Rel, { query, arg, isNegated }: Test, planQuery: PlanQuery): Rel {
  refuseSession(ctx, left)
  if (arg?.kind === 'row') throw rowIn(ctx, arg)
  const { rel: right, conditions, item } = inner(ctx, left, query, arg !== null, planQuery)
  refuseSession(ctx, right)
  const all = [...conditions]
  if (arg !== null) {
    const looked = bindExpression(bindContext(ctx, left.scope, 'WHERE'), arg)
    const same = resolveUniform('=', [looked, item!], arg, ctx.text)
    // NOT IN is unknown where a NULL is involved, and so no row passes.
    const unknown = [looked, item!].filter(({ nullable }) => isNegated && nullable).map(({ expr }) => isNull(expr))
    all.push(unknown.length === 0 ? same.expr : { kind: 'or', args: [same.expr, ...unknown], type: booleanType })
  }
  refuseClock(ctx, all, query.at)
  return {
    ...left,
    plan: {
      op: 'join',
      left: left.plan,
      right: right.plan,
      kind: isNegated ? 'anti' : 'semi',
      leftKeys: [],
      rightKeys: [],
      windowEnd: null,
      where: conjunction(all.flatMap(conjuncts)),
      columns: left.plan.columns,
    },
    appendOnly: !isNegated && left.appendOnly && right.appendOnly,
    // A row may come long after its time: when what it waits for comes.
    time: null,
    windows: [],
  }
}

interface Inner {
  readonly rel: Rel
  /** Over the columns around it, then its own. */
  readonly conditions: readonly Expression[]
  /** What IN compares; null of EXISTS. */
  readonly item: Bound | null
}
function inner(ctx: PlanContext, left: Rel, query: Query, needsItem: boolean, planQuery: PlanQuery): Inner {
  const select = plainSelect(query)
  const width = left.plan.columns.length
  if (select === null) {
    const rel = planQuery(ctx, query)
    return { rel, conditions: [], item: needsItem ? onlyColumn(ctx, rel.plan.columns, width, query) : null }
  }
  const from = planFrom(ctx, select.from, planQuery, select.at)
  const { rel, rest } = select.where === null ? { rel: from, rest: [] } : planTests(ctx, from, select.where, planQuery)
  const scope = shiftScope(rel.scope, width)
  const bind = { ...bindContext(ctx, scope, 'WHERE'), outer: left.scope }
  const conditions = rest.map((condition) => bindBoolean(bind, condition, 'WHERE').expr)
  if (!needsItem) return { rel, conditions, item: null }
  const [first, second] = select.items
  if (first === undefined || second !== undefined) throw oneColumn(ctx, query)
  if (first.expr.kind !== 'star') return { rel, conditions, item: bindExpression(bind, first.expr) }
  const visible = starColumns(rel.scope, [], ctx.text)
  const fields = visible.map(({ index }) => rel.plan.columns[index]!)
  const item = onlyColumn(ctx, fields, width, query)
  return { rel, conditions, item: { ...item, expr: column(visible[0]!.index + width, visible[0]!.type) } }
}
/** A SELECT whose rows are those of its FROM and WHERE; null: what it gives must be planned as a whole. */
function plainSelect({ with: ctes, body, limit, offset }: Query): Select | null {
  if (ctes.length > 0 || limit !== null || offset !== null || body.kind !== 'select') return null
  const isGrouped = body.groupBy.length > 0 || body.having !== null
  return isGrouped || Array.isArray(body.distinct) || body.items.some((item) => hasAggregate(item.expr)) ? null : body
}
function hasAggregate(node: unknown): boolean {
  if (typeof node !== 'object' || node === null) return false
  const { kind, name, over } = node as { kind?: string; name?: { parts: { text: string }[] }; over?: unknown }
  if (kind === 'query') return false
  if (kind === 'call' && (over !== null || isAggregate(name!.parts.at(-1)!.text.toLowerCase()))) return true
  return Object.values(node).some(hasAggregate)
}
function onlyColumn(ctx: PlanContext, columns: Columns, width: number, query: Query): Bound {
  const [field] = columns
  if (field === undefined || columns.length > 1) throw oneColumn(ctx, query)
  const { type, nullable } = field
  return { expr: column(width, type), unknown: false, nullable, at: query.at, end: query.end }
}
const rowIn = (ctx: PlanContext, { at }: Expr): SqlFault =>
  new SqlFault('sql.unsupported', 'IN (SELECT …) of a row is not supported yet', ctx.text, at, {
    hint: 'Write WHERE EXISTS (SELECT 1 FROM items i WHERE i.k = s.k AND i.price = s.n).',
  })
const oneColumn = (ctx: PlanContext, { at }: Query): SqlFault =>
  new SqlFault('sql.syntax', 'subquery must return only one column', ctx.text, at)

/** Queries as values: each is joined to the rows, and its column stands behind theirs. */
export class Values {
  rel: Rel
  readonly #ctx: PlanContext
  readonly #planQuery: PlanQuery

  constructor(ctx: PlanContext, input: Rel, planQuery: PlanQuery) {
    this.#ctx = ctx
    this.rel = input
    this.#planQuery = planQuery
  }
  #plan(query: Query): Rel {
    try {
      return this.#planQuery(this.#ctx, query)
    } catch (error) {
      if (!(error instanceof SqlFault) || error.code !== 'sql.unknown-relation') throw error
      const [, table] = /^missing FROM-clause entry for table "(.*)"$/.exec(error.facts.message) ?? []
      const outer = this.rel.scope.find(({ name }) => name !== null && name.toLowerCase() === table?.toLowerCase())
      if (outer === undefined) throw error
      throw new SqlFault(
        'sql.unsupported',
        `a query as a value cannot use "${table}" of the query around it`,
        this.#ctx.text,
        query.at,
        {
          hint: 'Group it by what ties the two together, and join it: LEFT JOIN (SELECT k, max(price) AS top FROM items GROUP BY k) AS m ON m.k = s.k.',
        },
      )
    }
  }
  bind(query: Query): Bound {
    const ctx = this.#ctx
    const value = this.#plan(query)
    refuseSession(ctx, value)
    const width = this.rel.plan.columns.length
    const found = onlyColumn(ctx, value.plan.columns, width, query)
    if (value.key?.length !== 0)
      throw new SqlFault('sql.unsupported', 'a query as a value must give one row', ctx.text, query.at, {
        hint: 'Aggregate without GROUP BY, or ORDER BY … LIMIT 1.',
      })
    refuseSession(ctx, this.rel)
    const [field] = value.plan.columns
    const columns: Columns = [...this.rel.plan.columns, { ...field!, nullable: true }]
    this.rel = {
      ...this.rel,
      plan: {
        op: 'join',
        left: this.rel.plan,
        right: value.plan,
        kind: 'left',
        leftKeys: [],
        rightKeys: [],
        windowEnd: null,
        where: null,
        columns,
      },
      scope: [
        ...this.rel.scope,
        ...columnsToScope(null, columns).map((relation) => ({
          ...relation,
          columns: relation.columns.slice(width).map((c) => ({ ...c, name: '', hidden: true })),
        })),
      ],
      appendOnly: false,
      time: null,
      windows: [],
    }
    return { ...found, nullable: true }
  }
}
