/**
 * GROUP BY, aggregates and HAVING. Expressions are bound over the input with aggregate calls as stand-ins (columns far
 * behind the input's own); then every part that equals a grouping expression becomes that key's column, every stand-in
 * its aggregate's, and a column that is left over is the error that PostgreSQL reports.
 */
import type { Aggregate, Expression } from '../../flow/expression.ts'
import type { Plan } from '../../flow/plan.ts'
import type { Columns, DataType, Field } from '../../schema/types.ts'
import { resolveAggregate } from '../bind/aggregates.ts'
import { type Bound, column, columnsOf, expressionKey, mapExpression, shiftColumns } from '../bind/bound.ts'
import { type BindContext, bindBoolean, bindExpression } from '../bind/expressions.ts'
import { SqlFault, type Span } from '../fault.ts'
import type { Call } from '../syntax/ast.ts'
import { refuseClock } from './clock-filter.ts'
import type { PlanContext } from './context.ts'
import { isWindowTime, type Key, type Rel } from './relation.ts'
import { planSessions } from './session.ts'

/** Stand-ins for aggregates are columns from here on. */
const standIn = 1_000_000
/** Stand-ins for calls with OVER, which come after the groups, from here on. */
export const overStandIn = 2_000_000

export class Aggregates {
  readonly list: Aggregate[] = []
  readonly nullable: boolean[] = []
  private readonly known = new Map<string, number>()
  private readonly ctx: PlanContext

  constructor(ctx: PlanContext) {
    this.ctx = ctx
  }
  /** A call becomes its stand-in; equal calls share one. */
  bind(call: Call, name: string, outer: BindContext): Bound {
    const aggregate = bindAggregate(this.ctx, call, name, outer)
    const key = `${aggregate.name}/${aggregate.distinct}/${aggregate.args.map(expressionKey).join()}/${aggregate.filter === null ? '' : expressionKey(aggregate.filter)}`
    const position = this.known.get(key) ?? this.list.push(aggregate) - 1
    this.known.set(key, position)
    const nullable = aggregate.name !== 'count'
    this.nullable[position] = nullable
    return { expr: column(standIn + position, aggregate.type), unknown: false, nullable, at: call.at, end: call.end }
  }
}
/** The aggregate of a call; `nested` binds aggregates in its arguments, which only those over windows have. */
export function bindAggregate(
  ctx: PlanContext,
  call: Call,
  name: string,
  outer: BindContext,
  nested: BindContext['aggregate'] = null,
): Aggregate {
  const fail = (message: string, at: number): never => {
    throw new SqlFault('sql.unsupported', message, ctx.text, at)
  }
  if (call.within !== null) fail('WITHIN GROUP is not supported yet', call.at)
  if (call.variadic || call.args.some((arg) => arg.name !== null))
    fail('named arguments are not supported yet', call.at)
  const inner: BindContext = { ...outer, aggregate: nested, window: null, clause: 'the arguments of an aggregate' }
  const args = call.args.map((arg) => bindExpression(inner, arg.value))
  const resolved = resolveAggregate(name, call.star, args, ctx.text, call.at)
  for (const item of call.orderBy) bindExpression(inner, item.expr)
  if (call.distinct && call.star) throw new SqlFault('sql.syntax', 'DISTINCT needs an argument', ctx.text, call.at)
  const filter = call.filter === null ? null : bindBoolean({ ...inner, clause: 'FILTER' }, call.filter, 'FILTER').expr
  return {
    name: resolved.name,
    args: resolved.args.map((arg) => arg.expr),
    distinct: call.distinct,
    filter,
    type: resolved.type,
  }
}

export interface GroupKey {
  readonly bound: Bound
  readonly name: string
}
export interface Grouped {
  readonly rel: Rel
  /** Turns an expression over the input and stand-ins into one over the groups. Throws SqlFault. */
  readonly regroup: (bound: Bound) => Bound
}

export function planGroups(
  ctx: PlanContext,
  input: Rel,
  written: readonly GroupKey[],
  aggregates: Aggregates,
  places: BindContext['places'],
  at: number,
): Grouped {
  const keys = withWindowBounds(ctx, input, dedupe(written.map((key) => endOfMoment(input, key))))
  const read = aggregates.list.flatMap(({ args, filter }) => (filter === null ? args : [...args, filter]))
  refuseClock(ctx, input.appendOnly ? read : [...read, ...keys.map((key) => key.bound.expr)], at)
  const { plan, keyColumns, moved } =
    input.session === undefined ? prepare(input, keys, aggregates.list) : asTheyAre(input)
  const list = aggregates.list.map((aggregate) => moveAggregate(aggregate, moved))
  const windowEnd = keys.findIndex((key) =>
    isColumn(
      key.bound,
      input.windows.map((w) => w.end),
    ),
  )
  const close = closes(ctx, windowEnd >= 0, at)
  const columns: Columns = [
    ...keys.map((key): Field => ({ name: key.name, type: key.bound.expr.type, nullable: key.bound.nullable })),
    ...list.map((aggregate, i): Field => ({
      name: aggregate.name,
      type: aggregate.type,
      nullable: aggregates.nullable[i]!,
    })),
  ]
  const { session } = input
  const rel: Rel = {
    plan:
      session === undefined
        ? {
            op: 'aggregate',
            input: plan,
            keys: keyColumns,
            aggregates: list,
            windowEnd: windowEnd < 0 ? null : windowEnd,
            emit: close ? 'close' : 'update',
            columns,
          }
        : planSessions(ctx, { ...input, session }, keys, list, { columns, close }),
    scope: [],
    key: groupKey(input, keys),
    appendOnly: close,
    time: close ? { column: windowEnd, delayMs: 1 } : null,
    windows: keptWindows(input, keys),
  }
  return { rel, regroup: regrouper(ctx, keys, places) }
}

/** Who groups by the last moment of a window groups by its end. */
function endOfMoment({ plan, windows, session }: Rel, key: GroupKey): GroupKey {
  const window = windows.find(({ end }) => isWindowTime(key.bound.expr, end))
  if (window === undefined) return key
  const { type } = key.bound.expr
  const name = session === undefined ? plan.columns[window.end]!.name : 'window_end'
  return { bound: { ...key.bound, expr: column(window.end, type), nullable: false }, name }
}
const asTheyAre = ({ plan }: Rel): ReturnType<typeof prepare> => ({ plan, keyColumns: [], moved: (index) => index })
function dedupe(keys: readonly GroupKey[]): GroupKey[] {
  const seen = new Set<string>()
  return keys.filter((key) => {
    const text = expressionKey(key.bound.expr)
    return !seen.has(text) && seen.add(text) !== undefined
  })
}
const isColumn = (bound: Bound, positions: readonly number[]): boolean =>
  bound.expr.kind === 'column' && positions.includes(bound.expr.index)
/** A window's start decides its end: whoever groups by one may use both, and the end bounds the state. */
function withWindowBounds(ctx: PlanContext, input: Rel, keys: readonly GroupKey[]): GroupKey[] {
  const all = [...keys]
  for (const { start, end, isPaired } of input.windows) {
    if (!isPaired) {
      const alone = all.find((key) => isColumn(key.bound, [start]))
      if (alone === undefined || all.some((key) => isColumn(key.bound, [end]))) continue
      throw new SqlFault('sql.windowing', 'windows of one start have several ends', ctx.text, alone.bound.at, {
        hint: 'GROUP BY window_start, window_end.',
      })
    }
    const here = all.find((key) => isColumn(key.bound, [start, end]))
    if (here === undefined) continue
    for (const position of [start, end]) {
      if (all.some((key) => isColumn(key.bound, [position]))) continue
      const { name, type } = input.plan.columns[position]!
      all.push({ bound: { ...here.bound, expr: column(position, type), nullable: false }, name })
    }
  }
  return all
}

/** Keys must be columns: expressions are computed first, beside the columns that the aggregates read. */
function prepare(
  input: Rel,
  keys: readonly GroupKey[],
  aggregates: readonly Aggregate[],
): { plan: Plan; keyColumns: number[]; moved: (index: number) => number } {
  const expressions = keys.map((key) => key.bound.expr)
  if (expressions.every((expr) => expr.kind === 'column')) {
    return {
      plan: input.plan,
      keyColumns: expressions.map((expr) => (expr.kind === 'column' ? expr.index : 0)),
      moved: (index) => index,
    }
  }
  const read = new Set<number>()
  for (const { args, filter } of aggregates)
    for (const expr of [...args, ...(filter === null ? [] : [filter])])
      for (const index of columnsOf(expr)) read.add(index)
  const kept = [...read].toSorted((a, b) => a - b)
  const fields = kept.map((index) => input.plan.columns[index]!)
  const columns: Columns = [
    ...keys.map((key): Field => ({ name: key.name, type: key.bound.expr.type, nullable: key.bound.nullable })),
    ...fields,
  ]
  const all = [...expressions, ...kept.map((index) => column(index, input.plan.columns[index]!.type))]
  return {
    plan: { op: 'project', input: input.plan, expressions: all, columns },
    keyColumns: keys.map((_, i) => i),
    moved: (index) => keys.length + kept.indexOf(index),
  }
}
export const moveAggregate = (aggregate: Aggregate, to: (index: number) => number): Aggregate => ({
  ...aggregate,
  args: aggregate.args.map((arg) => shiftColumns(arg, to)),
  filter: aggregate.filter === null ? null : shiftColumns(aggregate.filter, to),
})

function closes(ctx: PlanContext, windowed: boolean, at: number): boolean {
  if (ctx.close === null) return false
  if (!windowed) {
    throw new SqlFault('sql.windowing', 'EMIT ON WINDOW CLOSE needs a window in GROUP BY', ctx.text, at, {
      hint: "SELECT … FROM TUMBLE(stream, time, INTERVAL '1 minute') GROUP BY window_start, window_end, …",
    })
  }
  ctx.close.obeyed = true
  return true
}

/** The keys are unique; of a window's two bounds either will do. */
function groupKey(input: Rel, keys: readonly GroupKey[]): Key {
  const parts: number[][] = []
  const partOfWindow = new Map<number, number[]>()
  for (const [i, key] of keys.entries()) {
    const window = input.windows.findIndex((w) => w.isPaired && isColumn(key.bound, [w.start, w.end]))
    const shared = partOfWindow.get(window)
    if (window >= 0 && shared !== undefined) shared.push(i)
    else {
      const part = [i]
      parts.push(part)
      if (window >= 0) partOfWindow.set(window, part)
    }
  }
  return parts
}
const keptWindows = (input: Rel, keys: readonly GroupKey[]): Rel['windows'] =>
  input.windows.flatMap(({ start, end, isPaired }) => {
    const at = (position: number): number => keys.findIndex((key) => isColumn(key.bound, [position]))
    return at(start) >= 0 && at(end) >= 0 ? [{ start: at(start), end: at(end), isPaired }] : []
  })

function regrouper(
  ctx: PlanContext,
  keys: readonly GroupKey[],
  places: BindContext['places'],
): (bound: Bound) => Bound {
  const keyTexts = keys.map((key) => expressionKey(key.bound.expr))
  const type = (i: number): DataType => keys[i]!.bound.expr.type
  return (bound) => {
    const expr = mapExpression(bound.expr, (part: Expression) => {
      if (part.kind === 'column' && part.index >= overStandIn) return part
      if (part.kind === 'column' && part.index >= standIn) return { ...part, index: keys.length + part.index - standIn }
      const key = part.kind === 'literal' ? -1 : keyTexts.indexOf(expressionKey(part))
      if (key >= 0) return column(key, type(key))
      if (part.kind === 'column') throw ungrouped(ctx, places.get(part) ?? bound)
      return null
    })
    return { ...bound, expr }
  }
}
function ungrouped(ctx: PlanContext, place: Span): SqlFault {
  const name = ctx.text.slice(place.at, place.end)
  const message = `column "${name}" must appear in the GROUP BY clause or be used in an aggregate function`
  return new SqlFault('sql.grouping', message, ctx.text, place.at)
}
