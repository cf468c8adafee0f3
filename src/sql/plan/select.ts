/** One SELECT: FROM → WHERE → GROUP BY → HAVING → OVER → list → DISTINCT. */
import { limits } from '../../lib/limits.ts'
import type { Plan } from '../../flow/plan.ts'
import type { Field } from '../../schema/types.ts'
import { type Bound, column, columnsOf, conjunction, conjuncts, expressionKey, treeSize } from '../bind/bound.ts'
import { coerce } from '../bind/coerce.ts'
import { type BindContext, bindBoolean, bindExpression, fieldName } from '../bind/expressions.ts'
import { matchesName, starColumns } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Expr, OrderItem, Query, Select, SelectItem } from '../syntax/ast.ts'
import { filterRel, refuseClock } from './clock-filter.ts'
import { bindContext, type PlanContext } from './context.ts'
import { defaultFrame } from './frames.ts'
import { planFrom, type PlanQuery } from './from.ts'
import { Aggregates, type GroupKey, planGroups } from './group.ts'
import { planWindows, WindowCalls } from './over.ts'
import { limitRank } from './rank-limit.ts'
import { columnsToScope, projectRel, type Rel } from './relation.ts'
import { refuseSession } from './session.ts'
import { planTests, Values } from './subquery.ts'

export interface SortKey {
  readonly column: number
  readonly descending: boolean
  readonly nullsFirst: boolean
}
/** What a SELECT gives: the list's columns, then those that only ORDER BY reads. */
export interface Selected {
  readonly rel: Rel
  /** Count of the list's columns. */
  readonly visible: number
  readonly order: readonly SortKey[]
}
interface Item {
  readonly bound: Bound
  readonly name: string
  /** What was written; null for a column of `*`. */
  readonly written: Expr | null
}

export function planSelect(
  ctx: PlanContext,
  select: Select,
  orderBy: readonly OrderItem[],
  planQuery: PlanQuery,
): Selected {
  const input = planWhere(ctx, planFrom(ctx, select.from, planQuery, select.at), select, planQuery)
  const values = new Values(ctx, input, planQuery)
  const aggregates = new Aggregates(ctx)
  const windows = new WindowCalls(ctx, select.windows)
  const bind: BindContext = {
    ...bindContext(ctx, input.scope, 'SELECT'),
    aggregate: (call, name) => aggregates.bind(call, name, { ...bind, window: null }),
    window: (call, name) => windows.bind(call, name, bind),
    subquery: (query) => values.bind(query),
  }
  const items = selectItems(ctx, bind, select.items)
  if (items.length === 0)
    throw new SqlFault('sql.syntax', 'the SELECT list is empty', ctx.text, select.at, {
      hint: 'Name columns, or write SELECT *.',
    })
  const having =
    select.having === null ? null : bindBoolean({ ...bind, window: null, clause: 'HAVING' }, select.having, 'HAVING')
  const groupKeys = select.groupBy.map((item) => groupKey(ctx, bind, item, items))
  // What DISTINCT ON names is found as ORDER BY finds it, and comes first.
  const on = Array.isArray(select.distinct) ? (select.distinct as readonly Expr[]) : []
  const distinctOn = on.map((expr) => ({ expr, descending: false, nullsFirst: null, at: expr.at, end: expr.end }))
  const order = [...distinctOn, ...orderBy].map((item) => orderItem(ctx, bind, item, items))
  const grouped = groupKeys.length > 0 || aggregates.list.length > 0 || having !== null
  if (!grouped) {
    refuseSession(ctx, input)
    if (values.rel !== input && windows.list.length > 0)
      throw new SqlFault('sql.unsupported', 'OVER beside a query as a value', ctx.text, windows.list[0]!.call.at)
    return finish(ctx, values.rel, items, order, windows, select)
  }
  if (values.rel !== input)
    throw new SqlFault(
      'sql.unsupported',
      'a query as a value beside GROUP BY is not supported yet',
      ctx.text,
      select.at,
      {
        hint: 'Put the grouping into a derived table.',
      },
    )
  const { rel, regroup } = planGroups(ctx, input, groupKeys, aggregates, bind.places, select.at)
  const kept = having === null ? rel : filterRel(ctx, rel, regroup(having).expr, having.at)
  const regrouped = items.map((item) => ({ ...item, bound: regroup(item.bound) }))
  const reordered = order.map((key) => (key.bound === null ? key : { ...key, bound: regroup(key.bound) }))
  return finish(ctx, kept, regrouped, reordered, windows.regrouped(regroup), select)
}

function planWhere(ctx: PlanContext, from: Rel, select: Select, planQuery: PlanQuery): Rel {
  if (select.where === null) return from
  const { rel, rest } = planTests(ctx, from, select.where, planQuery)
  if (rest.length === 0) return rel
  const values = new Values(ctx, rel, planQuery)
  const bind = { ...bindContext(ctx, rel.scope, 'WHERE'), subquery: (query: Query) => values.bind(query) }
  const where = conjunction(rest.map((condition) => bindBoolean(bind, condition, 'WHERE').expr).flatMap(conjuncts))!
  const input = values.rel
  if (
    input.session !== undefined &&
    ![...columnsOf(where)].every((index) => input.session!.partitionBy.includes(index))
  )
    throw new SqlFault(
      'sql.unsupported',
      'WHERE behind SESSION leaves whole keys out only',
      ctx.text,
      select.where.at,
      {
        hint: 'Filter before: WITH t AS (SELECT … WHERE …) … FROM SESSION(t, …); or use HAVING.',
      },
    )
  const limited = limitRank(input, conjuncts(where))
  const { at } = select.where
  if (limited !== null) return limited.rest === null ? limited.rel : filterRel(ctx, limited.rel, limited.rest, at)
  return filterRel(ctx, input, where, at)
}

function selectItems(ctx: PlanContext, bind: BindContext, items: readonly SelectItem[]): Item[] {
  const found = items.flatMap((item): Item[] => {
    if (item.expr.kind !== 'star') {
      const bound = bindExpression(bind, item.expr)
      const typed = bound.unknown ? coerce(bound, { kind: 'text' }, 'implicit', ctx.text)! : bound
      ctx.size!.nodes += treeSize(typed.expr)
      if (ctx.size!.nodes > limits.sqlSelectedNodes)
        throw new SqlFault(
          'sql.too-complex',
          `SELECT lists of more than ${limits.sqlSelectedNodes} parts together, with those that are needed several times`,
          ctx.text,
          item.at,
        )
      return [{ bound: typed, name: item.alias?.text ?? defaultName(item.expr, bind), written: item.expr }]
    }
    const { at, end } = item
    return starColumns(bind.scope, item.expr.qualifier, ctx.text).map((found) => {
      const reference = column(found.index, found.type)
      bind.places.set(reference, { at, end })
      return {
        bound: { expr: reference, unknown: false, nullable: found.nullable, at, end },
        name: found.name,
        written: null,
      }
    })
  })
  if (found.length > limits.sqlColumns)
    throw new SqlFault(
      'sql.too-complex',
      `a SELECT list of more than ${limits.sqlColumns} columns`,
      ctx.text,
      items[0]!.at,
    )
  return found
}

/** PostgreSQL's names for columns without an alias; a column keeps its declared spelling. */
export function defaultName(expr: Expr, bind: BindContext): string {
  switch (expr.kind) {
    case 'name': {
      const last = expr.parts.at(-1)!
      const declared = bind.scope.flatMap((relation) => relation.columns).find((c) => matchesName(last, c.name))
      return declared?.name ?? last.text
    }
    case 'field':
      return fieldName(bind, expr)
    case 'call': {
      const last = expr.name.parts.at(-1)!
      return last.quoted ? last.text : last.text.toLowerCase()
    }
    case 'cast': {
      const inner = defaultName(expr.arg, bind)
      return inner === unnamed ? expr.type.name.replace('double precision', 'float8') : inner
    }
    case 'extract':
      return 'extract'
    case 'at-time-zone':
      return 'timezone'
    case 'case':
      return expr.otherwise === null ? 'case' : caseName(defaultName(expr.otherwise, bind))
    case 'typed':
      return expr.type.name
    default:
      return unnamed
  }
}
const unnamed = '?column?'
const caseName = (inner: string): string => (inner === unnamed ? 'case' : inner)

/** A position in the list, the name of an input column, else of a list item, else an expression. */
function groupKey(ctx: PlanContext, bind: BindContext, item: Expr, items: readonly Item[]): GroupKey {
  const inner: BindContext = { ...bind, aggregate: null, window: null, clause: 'GROUP BY' }
  const found = ordinal(ctx, item, items, 'GROUP BY') ?? namedItem(bind, item, items, false)
  if (found !== null) {
    if (found.written !== null) bindExpression(inner, found.written)
    return { bound: found.bound, name: found.name }
  }
  const bound = bindExpression(inner, item)
  return {
    bound: bound.unknown ? coerce(bound, { kind: 'text' }, 'implicit', ctx.text)! : bound,
    name: defaultName(item, bind),
  }
}
function ordinal(ctx: PlanContext, expr: Expr, items: readonly Item[], clause: string): Item | null {
  if (expr.kind !== 'number' || !expr.whole) return null
  const found = items[Number(expr.text) - 1]
  if (found === undefined)
    throw new SqlFault('sql.syntax', `${clause} position ${expr.text} is not in select list`, ctx.text, expr.at)
  return found
}
/** An item by its alias. ORDER BY prefers aliases, GROUP BY the columns of the input. */
function namedItem(bind: BindContext, expr: Expr, items: readonly Item[], aliasFirst: boolean): Item | null {
  if (expr.kind !== 'name' || expr.parts.length > 1) return null
  const [name] = expr.parts
  const inInput = starColumns(bind.scope, [], bind.text).some((c) => matchesName(name!, c.name))
  if (!aliasFirst && inInput) return null
  const found = items.filter((item) => matchesName(name!, item.name))
  const distinct = new Set(
    found.map((item) => JSON.stringify(item.bound.expr, (_, v: unknown) => (typeof v === 'bigint' ? `${v}n` : v))),
  )
  if (distinct.size > 1)
    throw new SqlFault('sql.ambiguous-name', `ORDER BY "${name!.text}" is ambiguous`, bind.text, expr.at)
  return found[0] ?? null
}

interface OrderKey {
  /** Of the list; null bound then. */
  readonly item: number
  readonly bound: Bound | null
  readonly descending: boolean
  readonly nullsFirst: boolean
}
function orderItem(ctx: PlanContext, bind: BindContext, order: OrderItem, items: readonly Item[]): OrderKey {
  const base = { descending: order.descending, nullsFirst: order.nullsFirst ?? order.descending }
  const found = ordinal(ctx, order.expr, items, 'ORDER BY') ?? namedItem(bind, order.expr, items, true)
  if (found !== null) return { ...base, item: items.indexOf(found), bound: null }
  return { ...base, item: -1, bound: bindExpression({ ...bind, clause: 'ORDER BY' }, order.expr) }
}

/** The list over the rows that WHERE and GROUP BY left. */
function finish(
  ctx: PlanContext,
  input: Rel,
  items: readonly Item[],
  order: readonly OrderKey[],
  calls: WindowCalls,
  select: Select,
): Selected {
  const { rel, place } = planWindows(input, calls.list, ctx.close)
  const extra: Bound[] = []
  const keys = order.map((key): SortKey => {
    const { descending, nullsFirst } = key
    if (key.bound === null) return { column: key.item, descending, nullsFirst }
    return { column: items.length + extra.push(place(key.bound)) - 1, descending, nullsFirst }
  })
  if (select.distinct === true && extra.length > 0) {
    throw new SqlFault(
      'sql.syntax',
      'for SELECT DISTINCT, ORDER BY expressions must appear in select list',
      ctx.text,
      extra[0]!.at,
    )
  }
  const list = [...items.map((item) => place(item.bound)), ...extra]
  const fields = list.map((bound, i): Field => ({
    name: items[i]?.name ?? `_${i}`,
    type: bound.expr.type,
    nullable: bound.nullable,
  }))
  const expressions = list.map((bound) => bound.expr)
  // What is withdrawn is computed once more, at another time.
  if (!rel.appendOnly) refuseClock(ctx, expressions, select.at)
  const projected = projectRel(rel, expressions, fields)
  if (Array.isArray(select.distinct)) {
    const made = firstOfEach(ctx, projected, keys, { count: select.distinct.length, at: select.at })
    return { rel: made, visible: items.length, order: keys.slice(select.distinct.length) }
  }
  const made = select.distinct === true ? distinctRel(ctx, projected) : projected
  return { rel: made, visible: items.length, order: keys }
}

/** DISTINCT ON: the first `count` keys say of which rows one is kept, the others which. */
function firstOfEach(ctx: PlanContext, rel: Rel, keys: readonly SortKey[], on: { count: number; at: number }): Rel {
  const { plan } = rel
  const texts = plan.op === 'project' ? plan.expressions.map(expressionKey) : []
  const isSame = (a: SortKey, b: SortKey): boolean => a.column === b.column || texts[a.column] === texts[b.column]
  const named = keys.slice(0, on.count)
  const isNamed = (key: SortKey): boolean => named.some((one) => isSame(one, key))
  const order = keys.slice(on.count)
  const first = order.findIndex((key) => !isNamed(key))
  if (first < 0)
    throw new SqlFault('sql.unsupported', 'DISTINCT ON needs an order that says which row is kept', ctx.text, on.at, {
      hint: 'SELECT DISTINCT ON (k) … FROM … ORDER BY k, x DESC keeps the row with the largest x of each k.',
    })
  if (!named.every((one) => order.slice(0, first).some((key) => isSame(one, key))) || order.slice(first).some(isNamed))
    throw new SqlFault(
      'sql.syntax',
      'SELECT DISTINCT ON expressions must match initial ORDER BY expressions',
      ctx.text,
      on.at,
    )
  const partitionBy = named.map(({ column: position }) => position)
  const by = order[first]!
  const key = partitionBy.map((position) => [position])
  const windows = rel.windows.filter((window) => partitionBy.includes(window.end))
  if (windows.length > 0) return { ...firstOfWindows(ctx, rel, partitionBy, order.slice(first)), key, windows }
  // Of the newest row of each there is a newer one or none: as of a table, its time is that of the change.
  const isNewest = rel.appendOnly && by.column === rel.time?.column && by.descending
  const made: Plan = {
    op: 'top',
    input: plan,
    partitionBy,
    order: order.slice(first),
    limit: 1,
    rank: false,
    columns: plan.columns,
  }
  return {
    ...rel,
    ...(isNewest ? { versions: { of: made, plan, key } } : {}),
    plan: made,
    key,
    appendOnly: false,
    time: isNewest ? rel.time : null,
    windows,
  }
}
/** The same of windows: kept until they close, and given then where that is asked for. */
function firstOfWindows(ctx: PlanContext, rel: Rel, partitionBy: readonly number[], order: readonly SortKey[]): Rel {
  const { columns } = rel.plan
  const windowEnd = partitionBy.findIndex((position) => rel.windows.some(({ end }) => end === position))
  const type = { kind: 'bigint' } as const
  const closes = ctx.close !== null
  if (closes) ctx.close.obeyed = true
  const ranked: Plan = {
    op: 'over',
    input: rel.plan,
    partitionBy,
    order,
    time: null,
    calls: [{ name: 'row_number', args: [], distinct: false, filter: null, type, frame: defaultFrame }],
    windowEnd,
    keep: { call: 0, rank: 1 },
    ...(closes ? { emit: 'close' } : {}),
    columns: [...columns, { name: 'row_number', type, nullable: false }],
  }
  const expressions = columns.map((field, i) => column(i, field.type))
  const plan: Plan = { op: 'project', input: ranked, expressions, columns }
  return { ...rel, plan, appendOnly: closes, time: closes ? { column: partitionBy[windowEnd]!, delayMs: 1 } : null }
}

/** Groups by all columns and keeps the keys. */
export function distinctRel(ctx: PlanContext, rel: Rel): Rel {
  const { columns } = rel.plan
  refuseSession(ctx, rel)
  const positions = columns.map((_, i) => i)
  const windowEnd = rel.windows[0]?.end ?? null
  const close = ctx.close !== null && windowEnd !== null
  if (close) ctx.close!.obeyed = true
  return {
    ...rel,
    plan: {
      op: 'aggregate',
      input: rel.plan,
      keys: positions,
      aggregates: [],
      windowEnd,
      emit: close ? 'close' : 'update',
      columns,
    },
    scope: columnsToScope(null, columns),
    key: rel.key ?? positions.map((position) => [position]),
    appendOnly: close,
    time: close ? { column: windowEnd, delayMs: 1 } : null,
  }
}
