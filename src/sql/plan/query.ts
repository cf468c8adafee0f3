/** Queries: WITH, set operations, ORDER BY and LIMIT around SELECTs. */
import type { Columns, Field } from '../../schema/types.ts'
import type { Aggregate, Expression } from '../../flow/expression.ts'
import type { Plan } from '../../flow/plan.ts'
import { type Bound, call, column, literal } from '../bind/bound.ts'
import { coerce, unify } from '../bind/coerce.ts'
import { bindExpression } from '../bind/expressions.ts'
import { matchesName } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Cte, OrderItem, Query, QueryBody } from '../syntax/ast.ts'
import { constantRel } from './constant-rows.ts'
import { bindContext, type PlanContext } from './context.ts'
import { refuseSession } from './session.ts'
import { columnsToScope, type Rel, projectRel } from './relation.ts'
import { rowCount } from './row-count.ts'
import { distinctRel, planSelect, type Selected, type SortKey } from './select.ts'

/** A query on its own: the order and limit of its answer are left to whoever asks. */
export interface Answer {
  readonly rel: Rel
  readonly visible: number
  readonly order: readonly SortKey[]
  readonly limit: number | null
  readonly offset: number
}

/** A query inside another, or a view's: ORDER BY with LIMIT keeps the first rows, without it means nothing. */
export function planQuery(ctx: PlanContext, query: Query): Rel {
  return keepFirst(ctx, query, planAnswer(ctx, query))
}

export function planAnswer(outer: PlanContext, query: Query): Answer {
  if (query.locking !== null)
    throw new SqlFault('sql.unsupported', 'row locks do not exist here', outer.text, query.locking.at)
  if (query.ties) throw new SqlFault('sql.unsupported', 'WITH TIES is not supported yet', outer.text, query.at)
  if (query.recursive && query.with.length > 0)
    throw new SqlFault('sql.unsupported', 'WITH RECURSIVE is not supported yet', outer.text, query.with[0]!.at)
  const close = query.emit === null ? outer.close : { at: query.emit.at, obeyed: false }
  const ctx = withCtes({ ...outer, close, size: outer.size ?? { steps: 0, nodes: 0 } }, query.with)
  const selected = planBody(ctx, query.body, query.orderBy)
  if (query.emit !== null && close !== null && !close.obeyed) {
    throw new SqlFault(
      'sql.windowing',
      'EMIT ON WINDOW CLOSE needs a window in GROUP BY or PARTITION BY',
      ctx.text,
      query.emit.at,
      {
        hint: "SELECT … FROM TUMBLE(stream, time, INTERVAL '1 minute') GROUP BY window_start, window_end, …",
      },
    )
  }
  const limit = query.limit === null ? null : rowCount(ctx, query.limit, 'LIMIT')
  return { ...selected, limit, offset: query.offset === null ? 0 : (rowCount(ctx, query.offset, 'OFFSET') ?? 0) }
}

function withCtes(ctx: PlanContext, ctes: readonly Cte[]): PlanContext {
  let inner = ctx
  const seen: string[] = []
  for (const cte of ctes) {
    if (seen.some((name) => matchesName(cte.name, name))) {
      throw new SqlFault(
        'sql.duplicate-alias',
        `WITH query name "${cte.name.text}" specified more than once`,
        ctx.text,
        cte.name.at,
      )
    }
    seen.push(cte.name.text)
    const rel = renameColumns(ctx, planQuery(inner, cte.query), cte)
    inner = { ...inner, ctes: [{ name: cte.name.text, rel }, ...inner.ctes] }
  }
  return inner
}
function renameColumns(ctx: PlanContext, rel: Rel, cte: Cte): Rel {
  const [relation] = rel.scope
  const columns = relation!.columns
  if (cte.columns.length > columns.length) {
    const message = `WITH query "${cte.name.text}" has ${columns.length} columns available but ${cte.columns.length} columns specified`
    throw new SqlFault('sql.invalid-definition', message, ctx.text, cte.columns[columns.length]!.at)
  }
  return {
    ...rel,
    scope: [{ ...relation!, columns: columns.map((c, i) => ({ ...c, name: cte.columns[i]?.text ?? c.name })) }],
  }
}

function planBody(ctx: PlanContext, body: QueryBody, orderBy: readonly OrderItem[]): Selected {
  switch (body.kind) {
    case 'select':
      return constantBody(ctx, body, orderBy) ?? planSelect(ctx, body, orderBy, planQuery)
    case 'nested': {
      const rel = planQuery(ctx, body.query)
      return { rel, visible: rel.plan.columns.length, order: orderOfOutput(ctx, rel.plan.columns, orderBy) }
    }
    case 'values':
      return constantBody(ctx, body, orderBy)!
    case 'set': {
      const rel = planSet(ctx, body)
      return { rel, visible: rel.plan.columns.length, order: orderOfOutput(ctx, rel.plan.columns, orderBy) }
    }
  }
}
function constantBody(ctx: PlanContext, body: QueryBody, orderBy: readonly OrderItem[]): Selected | null {
  const rel = constantRel(ctx, body)
  if (rel === null) return null
  return { rel, visible: rel.plan.columns.length, order: orderOfOutput(ctx, rel.plan.columns, orderBy) }
}
/** Behind a set operation ORDER BY sees the columns of the result only. */
export function orderOfOutput(ctx: PlanContext, columns: Columns, orderBy: readonly OrderItem[]): SortKey[] {
  return orderBy.map(({ expr, descending, nullsFirst }) => {
    const base = { descending, nullsFirst: nullsFirst ?? descending }
    if (expr.kind === 'number' && expr.whole) {
      const position = Number(expr.text) - 1
      if (columns[position] === undefined)
        throw new SqlFault('sql.syntax', `ORDER BY position ${expr.text} is not in select list`, ctx.text, expr.at)
      return { ...base, column: position }
    }
    const bound = bindExpression(bindContext(ctx, columnsToScope(null, columns), 'ORDER BY'), expr)
    if (bound.expr.kind !== 'column') {
      throw new SqlFault(
        'sql.unsupported',
        'behind a set operation ORDER BY takes columns of the result, not expressions',
        ctx.text,
        expr.at,
      )
    }
    return { ...base, column: bound.expr.index }
  })
}

type SetBody = Extract<QueryBody, { kind: 'set' }>
function planSet(ctx: PlanContext, body: SetBody): Rel {
  const name = body.op.toUpperCase()
  if (body.op !== 'union' && body.all)
    throw new SqlFault('sql.unsupported', `${name} ALL is not supported yet`, ctx.text, body.at)
  const queries = body.all ? flattenUnion(body) : [body.left, body.right]
  const rels = queries.map((query) => planQuery(ctx, query))
  for (const rel of rels) refuseSession(ctx, rel)
  const width = rels[0]!.plan.columns.length
  for (const [i, rel] of rels.entries()) {
    if (rel.plan.columns.length !== width)
      throw new SqlFault(
        'sql.syntax',
        `each ${name} query must have the same number of columns`,
        ctx.text,
        queries[i]!.at,
      )
  }
  if (body.op !== 'union') return setOfBoth(body.op, unionRel(ctx, rels.map(marked), queries, name))
  const union = unionRel(ctx, rels, queries, name)
  return body.all ? union : distinctRel(ctx, union)
}
const intType = { kind: 'int' } as const
const bigintType = { kind: 'bigint' } as const
const booleanType = { kind: 'boolean' } as const
/** Which side a row is of, behind its columns. */
function marked(rel: Rel, side: number): Rel {
  const own = rel.plan.columns.map((field, i) => column(i, field.type))
  const columns: Columns = [...rel.plan.columns, { name: 'side', type: intType, nullable: false }]
  return projectRel(rel, [...own, literal(side, intType)], columns)
}
/** Rows of the one side that the other has too, or has not; equal rows once. NULLs are the same here. */
function setOfBoth(op: 'intersect' | 'except', { plan }: Rel): Rel {
  const width = plan.columns.length - 1
  const isOf = (side: number): Expression => call('=', [column(width, intType), literal(side, intType)], booleanType)
  const countOf = (side: number): Aggregate => ({
    name: 'count',
    args: [],
    distinct: false,
    filter: isOf(side),
    type: bigintType,
  })
  const counts: Columns = ['left', 'right'].map((name) => ({ name, type: bigintType, nullable: false }))
  const columns = plan.columns.slice(0, width)
  const grouped: Plan = {
    op: 'aggregate',
    input: plan,
    keys: columns.map((_, i) => i),
    aggregates: [countOf(0), countOf(1)],
    windowEnd: null,
    emit: 'update',
    columns: [...columns, ...counts],
  }
  const has = (at: number, name: '>' | '='): Expression =>
    call(name, [column(width + at, bigintType), literal(0, bigintType)], booleanType)
  const args = [has(0, '>'), has(1, op === 'intersect' ? '>' : '=')]
  const where: Expression = { kind: 'and', args, type: booleanType }
  const rel: Rel = {
    plan: { op: 'filter', input: grouped, where, columns: grouped.columns },
    scope: columnsToScope(null, grouped.columns),
    key: columns.map((_, i) => [i]),
    appendOnly: false,
    time: null,
    windows: [],
  }
  return firstColumns(rel, width)
}
/** `a UNION ALL b UNION ALL c` is one union of three. */
function flattenUnion(body: SetBody): Query[] {
  const parts = (query: Query): Query[] => {
    const inner = query.body
    const plain =
      query.with.length === 0 &&
      query.orderBy.length === 0 &&
      query.limit === null &&
      query.offset === null &&
      query.emit === null
    return plain && inner.kind === 'set' && inner.op === 'union' && inner.all ? flattenUnion(inner) : [query]
  }
  return [...parts(body.left), ...parts(body.right)]
}
function unionRel(ctx: PlanContext, rels: readonly Rel[], queries: readonly Query[], name: string): Rel {
  const [first] = rels
  const columns: Columns = first!.plan.columns.map((field, i): Field => {
    const sides = rels.map((rel, n): Bound => ({
      expr: column(i, rel.plan.columns[i]!.type),
      unknown: false,
      nullable: rel.plan.columns[i]!.nullable,
      at: queries[n]!.at,
      end: queries[n]!.end,
    }))
    const same = unify(sides, ctx.text)
    if (same === null)
      throw new SqlFault(
        'sql.type-mismatch',
        `${name} types of column ${i + 1} ("${field.name}") cannot be matched`,
        ctx.text,
        queries[1]!.at,
      )
    return { name: field.name, type: same.type, nullable: sides.some((side) => side.nullable) }
  })
  const inputs = rels.map((rel, n) => castTo(ctx, rel, columns, queries[n]!.at))
  const delays = rels.map((rel) => (rel.time?.column === first!.time?.column ? (rel.time?.delayMs ?? -1) : -1))
  const time =
    first!.time !== null && delays.every((delay) => delay >= 0)
      ? { column: first!.time.column, delayMs: Math.max(...delays) }
      : null
  return {
    plan: { op: 'union', inputs, columns },
    scope: columnsToScope(null, columns),
    key: null,
    appendOnly: rels.every((rel) => rel.appendOnly),
    time,
    windows: first!.windows.filter((w) =>
      rels.every((rel) => rel.windows.some((other) => other.start === w.start && other.end === w.end)),
    ),
  }
}
function castTo(ctx: PlanContext, rel: Rel, columns: Columns, at: number): Plan {
  const expressions = columns.map((field, i) => {
    const bound: Bound = { expr: column(i, rel.plan.columns[i]!.type), unknown: false, nullable: true, at, end: at }
    return (coerce(bound, field.type, 'assignment', ctx.text) ?? bound).expr
  })
  const same = expressions.every((expr) => expr.kind === 'column')
  return same ? rel.plan : { op: 'project', input: rel.plan, expressions, columns }
}

/** ORDER BY … LIMIT inside a view or another query. */
function keepFirst(ctx: PlanContext, query: Query, { rel, visible, order, limit, offset }: Answer): Rel {
  const hidden = rel.plan.columns.length > visible
  if (limit === null && offset === 0) return hidden ? firstColumns(rel, visible) : rel
  refuseSession(ctx, rel)
  if (limit === null)
    throw new SqlFault('sql.unsupported', 'OFFSET without LIMIT is not supported here', ctx.text, query.offset!.at)
  if (order.length === 0) {
    throw new SqlFault(
      'sql.unsupported',
      'LIMIT without ORDER BY would keep no certain rows',
      ctx.text,
      query.limit!.at,
      { hint: 'Add ORDER BY.' },
    )
  }
  const rank = offset > 0
  const columns: Columns = rank
    ? [...rel.plan.columns, { name: 'row_number', type: { kind: 'bigint' }, nullable: false }]
    : rel.plan.columns
  const top: Rel = {
    ...rel,
    plan: { op: 'top', input: rel.plan, partitionBy: [], order, limit: limit + offset, rank, columns },
    key: limit + offset === 1 ? [] : rel.key,
    appendOnly: false,
    time: null,
  }
  return firstColumns(rank ? skip(top, offset) : top, visible)
}
function skip(rel: Rel, offset: number): Rel {
  const rank = rel.plan.columns.length - 1
  const bigint = { kind: 'bigint' } as const
  const where = call('>', [column(rank, bigint), literal(offset, bigint)], { kind: 'boolean' })
  return { ...rel, plan: { op: 'filter', input: rel.plan, where, columns: rel.plan.columns } }
}
export function firstColumns(rel: Rel, count: number): Rel {
  const columns = rel.plan.columns.slice(0, count)
  if (columns.length === rel.plan.columns.length) return { ...rel, scope: columnsToScope(null, columns) }
  return projectRel(
    rel,
    columns.map((field, i) => column(i, field.type)),
    columns,
  )
}
