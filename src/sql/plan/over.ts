/**
 * OVER. As with groups, calls are bound as stand-ins first and become columns then. Calls of one window are one step of
 * the plan. Where its rows are only added, its order begins with the event time, and nothing looks at all that may still
 * come, each row waits for the watermark and is given once; else it is given at once and restated.
 */
import type { Expression } from '../../flow/expression.ts'
import type { OverCall, Plan } from '../../flow/plan.ts'
import { looksAhead, looksAtAll } from '../../flow/over-calls.ts'
import type { Columns, DataType, Field } from '../../schema/types.ts'
import { isAggregate } from '../bind/aggregates.ts'
import { type Bound, column, expressionKey, literal, mapExpression } from '../bind/bound.ts'
import { coerce, unify } from '../bind/coerce.ts'
import { type BindContext, bindExpression } from '../bind/expressions.ts'
import { isConstant } from '../bind/durations.ts'
import { noSuchFunction } from '../bind/functions.ts'
import { constantValue } from '../bind/literals.ts'
import { SqlFault } from '../fault.ts'
import type { Call, Name, WindowSpec } from '../syntax/ast.ts'
import type { PlanContext } from './context.ts'
import { defaultFrame, frameOf, windowOf } from './frames.ts'
import { bindAggregate, overStandIn } from './group.ts'
import type { Rel } from './relation.ts'

interface Order {
  readonly expr: Expression
  readonly descending: boolean
  readonly nullsFirst: boolean
}
interface WindowCall {
  readonly call: Call
  readonly partitionBy: readonly Expression[]
  readonly order: readonly Order[]
  readonly made: OverCall
  readonly nullable: boolean
}
const types = { rank: { kind: 'bigint' }, ntile: { kind: 'int' }, share: { kind: 'double' } } as const
const rankTypes: Readonly<Record<string, DataType>> = {
  row_number: types.rank,
  rank: types.rank,
  dense_rank: types.rank,
  percent_rank: types.share,
  cume_dist: types.share,
  ntile: types.ntile,
}
/** Those that would name rows by chance without an order. */
const needOrder = new Set(['row_number', 'ntile', 'lag', 'lead', 'first_value', 'last_value'])

export class WindowCalls {
  readonly list: WindowCall[] = []
  private readonly ctx: PlanContext
  private readonly named: readonly { readonly name: Name; readonly spec: WindowSpec }[]

  constructor(ctx: PlanContext, named: WindowCalls['named']) {
    this.ctx = ctx
    this.named = named
  }

  /** `outer`: where the call stands; what may stand there may stand in its arguments and its window, but OVER. */
  bind(call: Call, name: string, outer: BindContext): Bound {
    const spec = windowOf(this.ctx, call.over!, this.named)
    const inner: BindContext = { ...outer, window: null, clause: 'a window' }
    const partitionBy = spec.partitionBy.map((expr) => bindExpression(inner, expr).expr)
    const order = spec.orderBy.map((item): Order => ({
      expr: bindExpression(inner, item.expr).expr,
      descending: item.descending,
      nullsFirst: item.nullsFirst ?? item.descending,
    }))
    if (needOrder.has(name) && order.length === 0)
      throw new SqlFault('sql.windowing', `${name}() needs an ORDER BY in its window`, this.ctx.text, spec.at)
    const frame = frameOf(
      this.ctx,
      spec,
      order.map((o) => o.expr),
    )
    const made = isAggregate(name) ? this.aggregate(call, name, inner) : this.ranking(call, name, inner)
    const nullable = made.name !== 'count' && rankTypes[made.name] === undefined
    const looksAtFrame = isAggregate(name) || name === 'first_value' || name === 'last_value'
    const position =
      this.list.push({
        call,
        partitionBy,
        order,
        made: { ...made, frame: looksAtFrame ? frame : defaultFrame },
        nullable,
      }) - 1
    return { expr: column(overStandIn + position, made.type), unknown: false, nullable, at: call.at, end: call.end }
  }
  private aggregate(call: Call, name: string, inner: BindContext): Omit<OverCall, 'frame'> {
    if (call.distinct)
      throw new SqlFault('sql.unsupported', 'DISTINCT is not supported for window functions', this.ctx.text, call.at)
    return bindAggregate(this.ctx, call, name, inner, inner.aggregate)
  }
  private ranking(call: Call, name: string, inner: BindContext): Omit<OverCall, 'frame'> {
    const { text } = this.ctx
    const wrong = call.distinct ? 'DISTINCT' : call.orderBy.length > 0 ? 'ORDER BY' : call.star ? '*' : null
    if (wrong !== null)
      throw new SqlFault(
        'sql.wrong-kind',
        `${wrong} specified, but ${name} is not an aggregate function`,
        text,
        call.at,
      )
    if (call.filter !== null)
      throw new SqlFault(
        'sql.unsupported',
        'FILTER is only for aggregates among the functions of a window',
        text,
        call.at,
      )
    const args = call.args.map((arg) => bindExpression({ ...inner, clause: 'a window' }, arg.value))
    const made = (type: DataType, list: readonly Expression[]): Omit<OverCall, 'frame'> => ({
      name,
      args: list,
      distinct: false,
      filter: null,
      type,
    })
    const counts: Readonly<Record<string, readonly [number, number]>> = {
      ntile: [1, 1],
      lag: [1, 3],
      lead: [1, 3],
      first_value: [1, 1],
      last_value: [1, 1],
    }
    const isRank = rankTypes[name] !== undefined
    const range = isRank && name !== 'ntile' ? ([0, 0] as const) : counts[name]
    if (range === undefined)
      throw new SqlFault('sql.unsupported', `${name} OVER (…) is not supported yet`, text, call.at, {
        hint: `Aggregates and ${[...Object.keys(rankTypes), 'lag', 'lead', 'first_value', 'last_value'].join(', ')} are.`,
      })
    if (args.length < range[0] || args.length > range[1]) throw noSuchFunction(name, args, text, call.at)
    if (name === 'ntile') return made(types.ntile, [this.whole(args[0]!, 'ntile', 1)])
    if (isRank) return made(rankTypes[name]!, [])
    if (name === 'lag' || name === 'lead') return this.move(name, args, made)
    const [value] = args
    const typed = value!.unknown ? coerce(value!, { kind: 'text' }, 'implicit', text)! : value!
    return made(typed.expr.type, [typed.expr])
  }
  private move(
    written: 'lag' | 'lead',
    args: readonly Bound[],
    made: (type: DataType, list: readonly Expression[]) => Omit<OverCall, 'frame'>,
  ): Omit<OverCall, 'frame'> {
    const { text } = this.ctx
    const offset = args[1] === undefined ? literal(1, { kind: 'int' }) : this.whole(args[1], written, -Infinity)
    const rows = offset.kind === 'literal' ? (offset.value as number) : 1
    const name = rows < 0 ? (written === 'lag' ? 'lead' : 'lag') : written
    const values = args[2] === undefined ? [args[0]!] : [args[0]!, args[2]]
    const same = unify(values, text)
    if (same === null)
      throw new SqlFault('sql.type-mismatch', `the default of ${written} has another type`, text, args[2]!.at)
    const [value, otherwise] = same.items.map((item) => item.expr)
    const list = [value!, literal(Math.abs(rows), { kind: 'int' }), ...(otherwise === undefined ? [] : [otherwise])]
    return { ...made(same.type, list), name }
  }
  /** A constant, as its place asks for: it decides how much is kept. */
  private whole(bound: Bound, name: string, least: number): Expression {
    const typed = coerce(bound, { kind: 'int' }, 'assignment', this.ctx.text)
    const value = typed !== null && isConstant(typed) ? constantValue(typed.expr) : null
    if (typeof value !== 'number')
      throw new SqlFault('sql.unsupported', `${name} needs a constant whole number here`, this.ctx.text, bound.at)
    if (value < least)
      throw new SqlFault(
        'sql.invalid-value',
        `the argument of ${name} must be at least ${least}`,
        this.ctx.text,
        bound.at,
      )
    return literal(value, { kind: 'int' })
  }
  /** The same over other columns: of groups. */
  regrouped(regroup: (bound: Bound) => Bound): WindowCalls {
    const moved = new WindowCalls(this.ctx, this.named)
    for (const { call, partitionBy, order, made, nullable } of this.list) {
      const map = (expr: Expression): Expression =>
        regroup({ expr, unknown: false, nullable: true, at: call.at, end: call.end }).expr
      moved.list.push({
        call,
        partitionBy: partitionBy.map(map),
        order: order.map((o) => ({ ...o, expr: map(o.expr) })),
        made: { ...made, args: made.args.map(map), filter: made.filter === null ? null : map(made.filter) },
        nullable,
      })
    }
    return moved
  }
}

/** Adds the columns of all calls behind the input's; `place` turns stand-ins into them. */
export function planWindows(
  input: Rel,
  calls: readonly WindowCall[],
  close: PlanContext['close'],
): { rel: Rel; place: (bound: Bound) => Bound } {
  if (calls.length === 0) return { rel: input, place: (bound) => bound }
  const positions = new Map<number, number>()
  let rel = input
  for (const group of grouped(calls)) rel = addWindow(rel, group, { calls, positions, close })
  const place = (bound: Bound): Bound => ({
    ...bound,
    expr: mapExpression(bound.expr, (part) =>
      part.kind === 'column' && part.index >= overStandIn
        ? { ...part, index: positions.get(part.index - overStandIn)! }
        : null,
    ),
  })
  return { rel, place }
}
/** By window. Behind one that looks ahead there is no event time; what may be limited comes last. */
function grouped(calls: readonly WindowCall[]): WindowCall[][] {
  const groups = Map.groupBy(calls, ({ partitionBy, order }) => {
    const by = order.map((o) => `${expressionKey(o.expr)}${o.descending}${o.nullsFirst}`).join()
    return `${partitionBy.map(expressionKey).join()}/${by}`
  })
  const weight = (group: readonly WindowCall[]): number =>
    group.some(({ made }) => limitable.has(made.name)) ? 2 : looksAhead(group.map(({ made }) => made)) ? 1 : 0
  return [...groups.values()].toSorted((a, b) => weight(a) - weight(b))
}
/** Whose first few a condition may keep. */
export const limitable = new Set(['row_number', 'rank', 'dense_rank'])

function addWindow(
  input: Rel,
  group: readonly WindowCall[],
  all: {
    readonly calls: readonly WindowCall[]
    readonly positions: Map<number, number>
    readonly close: PlanContext['close']
  },
): Rel {
  const [first] = group
  const order = first!.order.map((o) => o.expr)
  // What is computed is a column first: a row that cannot be computed fails before it is kept.
  const read = group.flatMap(({ made }) => [...made.args, ...(made.filter === null ? [] : [made.filter])])
  const computed = read.filter((expr) => expr.kind !== 'literal')
  const { plan, at } = withColumns(input.plan, [...first!.partitionBy, ...order, ...computed])
  const placed = new Map<Expression, Expression>(
    computed.map((expr, i) => [expr, column(at[first!.partitionBy.length + order.length + i]!, expr.type)]),
  )
  const moved = (expr: Expression): Expression => placed.get(expr) ?? expr
  const partitionBy = at.slice(0, first!.partitionBy.length)
  const orderAt = at.slice(first!.partitionBy.length)
  const calls = group.map(({ made }): OverCall => ({
    ...made,
    args: made.args.map(moved),
    filter: made.filter === null ? null : moved(made.filter),
  }))
  const width = plan.columns.length
  for (const [i, call] of group.entries()) all.positions.set(all.calls.indexOf(call), width + i)
  const fields = group.map(({ made, nullable }): Field => ({ name: made.name, type: made.type, nullable }))
  const columns: Columns = [...plan.columns, ...fields]
  const waits =
    input.appendOnly &&
    input.time !== null &&
    orderAt[0] === input.time.column &&
    !first!.order[0]!.descending &&
    !looksAtAll(calls)
  const windowEnd = partitionBy.findIndex((position) => input.windows.some((window) => window.end === position))
  const closes = all.close !== null && !waits && windowEnd >= 0
  if (closes) all.close.obeyed = true
  const isOfWindow = (window: Rel['windows'][number]): boolean => partitionBy.includes(window.end)
  const number = calls.findIndex(({ name }) => name === 'row_number')
  const fromNewest = input.appendOnly && orderAt[0] === input.time?.column && first!.order[0]?.descending === true
  return {
    ...input,
    ...(number >= 0 && fromNewest ? { newest: { rank: width + number, time: input.time! } } : {}),
    plan: {
      op: 'over',
      input: plan,
      partitionBy,
      order: first!.order.map((o, i) => ({
        column: orderAt[i]!,
        descending: o.descending,
        nullsFirst: o.nullsFirst,
      })),
      time: waits ? input.time!.column : null,
      calls,
      windowEnd: waits || windowEnd < 0 ? null : windowEnd,
      keep: null,
      ...(closes ? { emit: 'close' } : {}),
      columns,
    },
    key: input.key ?? (number < 0 ? null : [...partitionBy.map((position) => [position]), [width + number]]),
    appendOnly: waits || closes,
    // A row that waits for others comes when the watermark has long passed it.
    time: closes ? { column: partitionBy[windowEnd]!, delayMs: 1 } : waits && !looksAhead(calls) ? input.time : null,
    windows: waits ? (looksAhead(calls) ? [] : input.windows) : input.windows.filter(isOfWindow),
  }
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
