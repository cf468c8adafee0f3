/**
 * Conditions on now() in a view: a row comes and goes as time goes by. `t > now() - INTERVAL '1 day'` holds until t + 1 day,
 * `t <= now() + INTERVAL '1 hour'` from t − 1 hour on.
 */
import type { Expression } from '../../flow/expression.ts'
import { call, conjuncts, literal, visitExpression } from '../bind/bound.ts'
import { SqlFault } from '../fault.ts'
import type { PlanContext } from './context.ts'
import type { Rel } from './relation.ts'

export function readsClock(expr: Expression): boolean {
  let found = false
  visitExpression(expr, (part) => {
    if (part.kind === 'now') found = true
  })
  return found
}
const refused = (ctx: PlanContext, at: number): SqlFault =>
  new SqlFault('sql.unsupported', 'now() in this place of a view', ctx.text, at, {
    hint: "In WHERE and HAVING a time may be compared with now(), or now() plus or minus an interval: t > now() - INTERVAL '1 day'.",
  })
/** In a view, where a condition or a value must not change by the clock alone. */
export function refuseClock(ctx: PlanContext, exprs: readonly Expression[], at: number): void {
  if (ctx.mode === 'view' && exprs.some(readsClock)) throw refused(ctx, at)
}

/** The rows for which all of it holds. */
export function filterRel(ctx: PlanContext, rel: Rel, where: Expression, at: number): Rel {
  const all = conjuncts(where)
  const byClock = ctx.mode === 'view' ? all.filter(readsClock) : []
  const others = all.filter((condition) => !byClock.includes(condition))
  const plain = others.length === 0 ? rel : plainFilter(rel, others)
  return byClock.reduce((input, condition) => expiring(ctx, input, condition, at), plain)
}
function plainFilter(rel: Rel, conditions: readonly Expression[]): Rel {
  const [first, ...more] = conditions
  const where: Expression = more.length === 0 ? first! : { kind: 'and', args: conditions, type: { kind: 'boolean' } }
  return { ...rel, plan: { op: 'filter', input: rel.plan, where, columns: rel.plan.columns } }
}

function expiring(ctx: PlanContext, rel: Rel, condition: Expression, at: number): Rel {
  const bound = boundOf(condition)
  if (bound === null) throw refused(ctx, at)
  const { from, until } = bound
  return {
    ...rel,
    plan: { op: 'expire', input: rel.plan, from, until, columns: rel.plan.columns },
    appendOnly: rel.appendOnly && until === null,
    // Rows come and go by the clock, not by event time.
    time: null,
    windows: [],
  }
}
const mirrored: Readonly<Record<string, string>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' }
const opposite: Readonly<Record<string, string>> = { '+': '-', '-': '+' }
/** t on one side; now(), plus or minus an interval, on the other. */
function boundOf(condition: Expression): { from: Expression | null; until: Expression | null } | null {
  if (condition.kind !== 'call' || mirrored[condition.name] === undefined) return null
  const [a, b] = condition.args as [Expression, Expression]
  const isClockFirst = readsClock(a)
  if (isClockFirst && readsClock(b)) return null
  const operator = isClockFirst ? mirrored[condition.name]! : condition.name
  const [time, clock] = isClockFirst ? [b, a] : [a, b]
  const moved = againstNow(time, clock)
  if (moved === null) return null
  // time OP now() − interval, as now() < time + interval …
  switch (operator) {
    case '>':
      return { from: null, until: moved }
    case '>=':
      return { from: null, until: afterwards(moved) }
    case '<':
      return { from: afterwards(moved), until: null }
    default:
      return { from: moved, until: null }
  }
}
/** What now() is compared with: the interval moved to the other side. */
function againstNow(time: Expression, clock: Expression): Expression | null {
  const { kind } = time.type
  if (kind !== 'timestamp' && kind !== 'timestamptz') return null
  if (isNow(clock)) return time
  if (clock.kind !== 'call' || opposite[clock.name] === undefined || clock.args.length !== 2) return null
  const [base, interval] = clock.args as [Expression, Expression]
  const isFixed = interval.kind === 'literal' && interval.type.kind === 'interval' && !hasMonths(interval.value)
  return isNow(base) && isFixed ? call(opposite[clock.name]!, [time, interval], time.type) : null
}
/** Days are as long as each other in UTC; months are not. */
const hasMonths = (value: unknown): boolean => (value as { months: number }).months !== 0
/** now(), also as a timestamp without time zone: the time zone is UTC. */
const isNow = (expr: Expression): boolean =>
  expr.kind === 'now' ||
  (expr.kind === 'call' && expr.name === 'cast' && expr.args.length === 1 && expr.args[0]!.kind === 'now')
const microsecond = { months: 0, days: 0, micros: 1 }
const afterwards = (time: Expression): Expression =>
  call('+', [time, literal(microsecond, { kind: 'interval' })], time.type)
