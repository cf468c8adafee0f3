/**
 * OVER: running aggregates in the order of event time, and row_number(), whose limit the query around it must give
 * (`WHERE rn <= 3`). As with groups, calls are bound as stand-ins first and become columns then.
 */
import type { Aggregate, Expression } from '../../flow/expression.ts'
import type { OverFrame, Plan } from '../../flow/plan.ts'
import type { Columns, Field } from '../../schema/types.ts'
import { isAggregate } from '../bind/aggregates.ts'
import { type Bound, column, conjunction, expressionKey, mapExpression } from '../bind/bound.ts'
import { type BindContext, bindExpression } from '../bind/expressions.ts'
import { SqlFault } from '../fault.ts'
import type { Call, Frame, Name, WindowSpec } from '../syntax/ast.ts'
import { bindContext, type PlanContext } from './context.ts'
import { notEventTime } from './event-time.ts'
import { bindAggregate } from './group.ts'
import type { Rel } from './relation.ts'
import { ungroupedSession } from './session.ts'

const standIn = 2_000_000
interface Order {
  readonly expr: Expression
  readonly descending: boolean
  readonly nullsFirst: boolean
}
interface WindowCall {
  readonly call: Call
  readonly partitionBy: readonly Expression[]
  readonly order: readonly Order[]
  /** null: row_number(). */
  readonly aggregate: (Aggregate & { readonly frame: OverFrame }) | null
}

export class WindowCalls {
  readonly list: WindowCall[] = []
  private readonly ctx: PlanContext
  private readonly input: Rel
  private readonly named: readonly { readonly name: Name; readonly spec: WindowSpec }[]

  constructor(ctx: PlanContext, input: Rel, named: WindowCalls['named']) {
    this.ctx = ctx
    this.input = input
    this.named = named
  }

  bind(call: Call, name: string, outer: BindContext): Bound {
    const spec = this.specOf(call)
    const inner = bindContext(this.ctx, outer.scope, 'a window')
    const partitionBy = spec.partitionBy.map((expr) => bindExpression(inner, expr).expr)
    const order = spec.orderBy.map((item): Order => ({
      expr: bindExpression(inner, item.expr).expr,
      descending: item.descending,
      nullsFirst: item.nullsFirst ?? item.descending,
    }))
    const made: WindowCall =
      name === 'row_number'
        ? this.rowNumber(call, spec, partitionBy, order)
        : this.running(call, name, spec, partitionBy, order, outer)
    const position = this.list.push(made) - 1
    const type = made.aggregate?.type ?? { kind: 'bigint' as const }
    const nullable = made.aggregate !== null && made.aggregate.name !== 'count'
    return { expr: column(standIn + position, type), unknown: false, nullable, at: call.at, end: call.end }
  }

  private specOf(call: Call): WindowSpec {
    const { over } = call
    if (over === null || !('kind' in over)) {
      const found = this.named.find(
        (w) => over !== null && w.name.text.toLowerCase() === (over as Name).text.toLowerCase(),
      )
      if (found === undefined)
        throw new SqlFault(
          'sql.windowing',
          `window "${(over as Name).text}" does not exist`,
          this.ctx.text,
          (over as Name).at,
        )
      return found.spec
    }
    if (over.base !== null)
      throw new SqlFault(
        'sql.unsupported',
        'a window that builds on another one is not supported yet',
        this.ctx.text,
        over.base.at,
      )
    return over
  }

  private rowNumber(
    call: Call,
    spec: WindowSpec,
    partitionBy: readonly Expression[],
    order: readonly Order[],
  ): WindowCall {
    if (call.args.length > 0 || call.star)
      throw new SqlFault('sql.unknown-function', 'row_number() takes no arguments', this.ctx.text, call.at)
    if (order.length === 0) {
      throw new SqlFault('sql.windowing', 'row_number() needs an ORDER BY in its window', this.ctx.text, spec.at)
    }
    return { call, partitionBy, order, aggregate: null }
  }

  private running(
    call: Call,
    name: string,
    spec: WindowSpec,
    partitionBy: readonly Expression[],
    order: readonly Order[],
    outer: BindContext,
  ): WindowCall {
    const { text } = this.ctx
    if (!isAggregate(name)) {
      throw new SqlFault('sql.unsupported', `${name} OVER (…) is not supported yet`, text, call.at, {
        hint: 'Aggregates and row_number() are.',
      })
    }
    const frame = frameOf(text, call, spec)
    this.checkOrder(spec, order)
    const aggregate = bindAggregate(this.ctx, call, name, outer)
    if (aggregate.distinct)
      throw new SqlFault('sql.unsupported', 'DISTINCT is not supported for window functions', text, call.at)
    return { call, partitionBy, order, aggregate: { ...aggregate, frame } }
  }
  private checkOrder(spec: WindowSpec, order: readonly Order[]): void {
    const [by] = order
    const { time } = this.input
    if (by === undefined) {
      throw new SqlFault(
        'sql.windowing',
        'a running aggregate needs ORDER BY the event-time column',
        this.ctx.text,
        spec.at,
      )
    }
    const place = spec.orderBy[0]!.at
    if (time === null || order.length > 1 || by.expr.kind !== 'column' || by.expr.index !== time.column)
      throw notEventTime(this.ctx, this.input, spec.orderBy[order.length > 1 ? 1 : 0]!.at)
    if (by.descending)
      throw new SqlFault(
        'sql.unsupported',
        'a running aggregate goes forward in time: ORDER BY … DESC is not supported',
        this.ctx.text,
        place,
      )
  }
}

/** ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW | 1 PRECEDING */
function frameOf(text: string, call: Call, spec: WindowSpec): OverFrame {
  const { frame } = spec
  const hint = 'Write ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW, or … AND 1 PRECEDING.'
  if (frame === null) {
    throw new SqlFault(
      'sql.unsupported',
      'without a frame, rows of the same time would count together (RANGE); this is not supported yet',
      text,
      call.at,
      { hint },
    )
  }
  const unbounded = frame.unit === 'rows' && frame.from.kind === 'unbounded-preceding' && frame.exclude === null
  if (unbounded && frame.to.kind === 'current-row') return { from: 'unbounded-preceding', to: 'current-row' }
  if (unbounded && isOnePreceding(frame)) return { from: 'unbounded-preceding', to: '1-preceding' }
  throw new SqlFault('sql.unsupported', 'this frame is not supported yet', text, frame.at, { hint })
}
const isOnePreceding = ({ to }: Frame): boolean =>
  to.kind === 'preceding' && to.offset.kind === 'number' && to.offset.text === '1'

/** Adds the columns of all calls behind the input's; `place` turns stand-ins into them. */
export function planWindows(
  ctx: PlanContext,
  input: Rel,
  calls: readonly WindowCall[],
): { rel: Rel; place: (bound: Bound) => Bound } {
  if (calls.length === 0) return { rel: input, place: (bound) => bound }
  const positions = new Map<number, number>()
  let rel = input
  for (const group of grouped(calls)) rel = addWindow(ctx, rel, group, calls, positions)
  const place = (bound: Bound): Bound => ({
    ...bound,
    expr: mapExpression(bound.expr, (part) =>
      part.kind === 'column' && part.index >= standIn ? { ...part, index: positions.get(part.index - standIn)! } : null,
    ),
  })
  return { rel, place }
}
function grouped(calls: readonly WindowCall[]): WindowCall[][] {
  const groups = new Map<string, WindowCall[]>()
  for (const call of calls) {
    const order =
      call.aggregate === null
        ? call.order.map((o) => `${expressionKey(o.expr)}${o.descending}${o.nullsFirst}`).join()
        : 'time'
    const key = `${call.partitionBy.map(expressionKey).join()}/${order}`
    const known = groups.get(key)
    if (known === undefined) groups.set(key, [call])
    else known.push(call)
  }
  return [...groups.values()]
}

function addWindow(
  ctx: PlanContext,
  input: Rel,
  group: readonly WindowCall[],
  all: readonly WindowCall[],
  positions: Map<number, number>,
): Rel {
  const [first] = group
  const order = first!.aggregate === null ? first!.order.map((o) => o.expr) : []
  const { plan, at } = withColumns(input.plan, [...first!.partitionBy, ...order])
  const partitionBy = at.slice(0, first!.partitionBy.length)
  const width = plan.columns.length
  for (const [i, call] of group.entries())
    positions.set(all.indexOf(call), first!.aggregate === null ? width : width + i)
  if (first!.aggregate === null)
    return addRank(ctx, input, plan, first!, partitionBy, at.slice(first!.partitionBy.length))
  if (!input.appendOnly) {
    throw new SqlFault(
      'sql.unsupported',
      'running aggregates over rows that may be withdrawn are not supported yet',
      ctx.text,
      first!.call.at,
    )
  }
  const aggregates = group.map((call) => call.aggregate!)
  const fields = aggregates.map((aggregate): Field => ({
    name: aggregate.name,
    type: aggregate.type,
    nullable: aggregate.name !== 'count',
  }))
  const columns: Columns = [...plan.columns, ...fields]
  return { ...input, plan: { op: 'over', input: plan, partitionBy, orderBy: input.time!.column, aggregates, columns } }
}

/** The columns as they are, and those expressions behind them that are no columns yet. */
export function withColumns(input: Plan, wanted: readonly Expression[]): { plan: Plan; at: number[] } {
  const extra: Expression[] = []
  const at = wanted.map((expr) => (expr.kind === 'column' ? expr.index : input.columns.length + extra.push(expr) - 1))
  if (extra.length === 0) return { plan: input, at }
  const expressions = [...input.columns.map((field, i) => column(i, field.type)), ...extra]
  const columns: Columns = [
    ...input.columns,
    ...extra.map((expr, i): Field => ({ name: `_${i}`, type: expr.type, nullable: true })),
  ]
  return { plan: { op: 'project', input, expressions, columns }, at }
}

function addRank(
  ctx: PlanContext,
  input: Rel,
  plan: Plan,
  call: WindowCall,
  partitionBy: readonly number[],
  orderAt: readonly number[],
): Rel {
  if (input.rank !== null)
    throw new SqlFault(
      'sql.unsupported',
      'a second row_number() in one query is not supported yet',
      ctx.text,
      call.call.at,
    )
  const order = call.order.map((o, i) => ({ column: orderAt[i]!, descending: o.descending, nullsFirst: o.nullsFirst }))
  const columns: Columns = [...plan.columns, { name: 'row_number', type: { kind: 'bigint' }, nullable: false }]
  const rank = columns.length - 1
  return {
    ...input,
    plan: { op: 'top', input: plan, partitionBy, order, limit: Infinity, rank: true, columns },
    key: input.key ?? [...partitionBy.map((position) => [position]), [rank]],
    appendOnly: false,
    time: null,
    rank: { column: rank, at: call.call.at },
  }
}

/**
 * Finds `rank <= n` among conditions and sets it as the limit of the row_number() below; the rest still filter. Null
 * when there is no such condition.
 */
export function limitRank(rel: Rel, conditions: readonly Expression[]): { rel: Rel; rest: Expression | null } | null {
  if (rel.rank === null) return null
  let limit = Infinity
  const rest: Expression[] = []
  for (const condition of conditions) {
    const bound = upperBound(condition, rel.rank.column)
    if (bound === null) rest.push(condition)
    else {
      limit = Math.min(limit, bound.limit)
      if (!bound.whole) rest.push(condition)
    }
  }
  if (limit === Infinity) return null
  const plan = setLimit(rel.plan, Math.max(0, limit))
  const { column: rank } = rel.rank
  const key = limit === 1 && rel.key !== null ? rel.key.filter((part) => !part.includes(rank)) : rel.key
  return { rel: { ...rel, plan, rank: null, key }, rest: conjunction(rest) }
}
/** What the condition says about the column from above; `whole` when it says no more than that. */
function upperBound(condition: Expression, rank: number): { limit: number; whole: boolean } | null {
  if (condition.kind !== 'call' || condition.args.length !== 2) return null
  const [a, b] = condition.args
  const forward = a!.kind === 'column' && a!.index === rank && b!.kind === 'literal'
  const backward = b!.kind === 'column' && b!.index === rank && a!.kind === 'literal'
  if (!forward && !backward) return null
  const constant = forward ? b! : a!
  const value = constant.kind === 'literal' && typeof constant.value === 'number' ? constant.value : NaN
  if (!Number.isSafeInteger(value)) return null
  const name = forward ? condition.name : mirrored[condition.name]
  if (name === '<=') return { limit: value, whole: true }
  if (name === '<') return { limit: value - 1, whole: true }
  return name === '=' ? { limit: value, whole: value === 1 } : null
}
const mirrored: Readonly<Record<string, string>> = { '<=': '>=', '<': '>', '>=': '<=', '>': '<', '=': '=' }

function setLimit(plan: Plan, limit: number): Plan {
  if (plan.op === 'top' && plan.limit === Infinity) return { ...plan, limit }
  if (plan.op === 'project' || plan.op === 'filter' || plan.op === 'over' || plan.op === 'top')
    return { ...plan, input: setLimit(plan.input, limit) }
  return plan
}
/** A row_number() that nothing limits would keep and renumber everything; sessions are there only where they are grouped. */
export function refuseUnfinished(ctx: PlanContext, rel: Rel): void {
  if (rel.session !== undefined) throw ungroupedSession(ctx, rel.session.at)
  if (rel.rank === null) return
  throw new SqlFault('sql.unbounded-state', 'row_number() without a limit keeps every row', ctx.text, rel.rank.at, {
    hint: 'Put it in a derived table and keep the first few: SELECT … FROM (SELECT …, row_number() OVER (…) AS n FROM …) WHERE n <= 3.',
  })
}
