/** Conditions that say of a pair of rows that their event times lie within an interval of each other. */
import type { Expression } from '../../flow/expression.ts'
import type { Interval } from '../../flow/memory.ts'
import type { JoinInterval, Plan, PlanOf } from '../../flow/plan.ts'
import { neverWithdraws, timeColumn } from '../../flow/plan-facts.ts'

const dayMicros = 86_400_000_000
const mirrored: Readonly<Record<string, string>> = { '<': '>', '<=': '>=', '>': '<', '>=': '<=' }

/**
 * `r.t >= l.t - INTERVAL …` and `r.t <= l.t + INTERVAL …`, both of them and between event times of streams; the other
 * conditions are `rest`. null: the rows are not so bounded.
 */
export function findInterval(
  left: Plan,
  right: Plan,
  kind: PlanOf<'join'>['kind'],
  conditions: readonly Expression[],
): { readonly interval: JoinInterval; readonly rest: readonly Expression[] } | null {
  const [leftTime, rightTime] = [timeColumn(left), timeColumn(right)]
  const isOfStreams = neverWithdraws(left) && neverWithdraws(right) && leftTime >= 0 && rightTime >= 0
  if (!isOfStreams || kind === 'semi' || kind === 'anti') return null
  const rightAt = rightTime + left.columns.length
  let [lowUs, highUs] = [-Infinity, Infinity]
  const rest = conditions.filter((condition) => {
    const bound = boundOf(condition, leftTime, rightAt)
    if (bound === null) return true
    if (bound.isLow) lowUs = Math.max(lowUs, bound.us)
    else highUs = Math.min(highUs, bound.us)
    return false
  })
  return Number.isFinite(lowUs) && Number.isFinite(highUs)
    ? { interval: { leftTime, rightTime, lowUs, highUs }, rest }
    : null
}
/** What a condition says about right time − left time. */
function boundOf(condition: Expression, left: number, right: number): { isLow: boolean; us: number } | null {
  if (condition.kind !== 'call' || mirrored[condition.name] === undefined) return null
  const sides = condition.args.map(shifted)
  const [a, b] = sides
  if (a === undefined || b === undefined || a === null || b === null) return null
  const isLeftFirst = a.column === left && b.column === right
  if (!isLeftFirst && !(a.column === right && b.column === left)) return null
  // right + r OP left + l, as right − left OP l − r.
  const operator = isLeftFirst ? mirrored[condition.name]! : condition.name
  const us = isLeftFirst ? a.us - b.us : b.us - a.us
  switch (operator) {
    case '>=':
      return { isLow: true, us }
    case '>':
      return { isLow: true, us: us + 1 }
    case '<=':
      return { isLow: false, us }
    default:
      return { isLow: false, us: us - 1 }
  }
}
/** A column, plus or minus a constant length of time. */
function shifted(expr: Expression): { readonly column: number; readonly us: number } | null {
  if (expr.kind === 'column') return { column: expr.index, us: 0 }
  if (expr.kind !== 'call' || (expr.name !== '+' && expr.name !== '-')) return null
  const [base, by] = expr.args
  if (base?.kind !== 'column' || by?.kind !== 'literal' || by.type.kind !== 'interval' || by.value === null) return null
  const { months, days, micros } = by.value as unknown as Interval
  if (months !== 0) return null
  const us = days * dayMicros + micros
  return { column: base.index, us: expr.name === '+' ? us : -us }
}
