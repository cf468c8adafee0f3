/** OVER as text: its calls, their frames, what bounds its state. */
import { expressionText } from '../../flow/expression-text.ts'
import type { Aggregate } from '../../flow/expression.ts'
import type { FrameEnd, Order, OverCall, PlanOf } from '../../flow/plan.ts'
import { looksAhead, reach } from '../../flow/over-calls.ts'
import { durationText } from '../../lib/duration.ts'
import type { Columns } from '../../schema/types.ts'

export function describeOver(plan: PlanOf<'over'>): string[] {
  const { columns } = plan.input
  const by = plan.partitionBy.map((i) => columns[i]!.name).join(', ')
  const order = plan.order.length === 0 ? '' : `, in order of ${shownOrder(plan.order, columns)}`
  return [
    `Over ${by === '' ? 'all rows' : `each ${by}`}${order}`,
    plan.calls.map((call) => shownCall(call, plan)).join(', '),
    ...(plan.keep === null ? [] : [`keeps rows with ${plan.calls[plan.keep.call]!.name} up to ${plan.keep.rank}`]),
    plan.emit === 'close'
      ? 'gives the rows of a window once, when the watermark has passed it'
      : plan.time === null
        ? 'gives a row at once, and again whenever its result changes'
        : `gives a row once, when the watermark has passed it${looksAhead(plan.calls) ? ' and what it looks ahead to' : ''}`,
    `state: ${stateOf(plan)}`,
  ]
}
function stateOf(plan: PlanOf<'over'>): string {
  if (plan.keep !== null) {
    const kept = 'the first rows of each partition, and all of its rows where the input may withdraw some'
    return plan.windowEnd === null ? kept : `${kept}, until its window closes`
  }
  if (plan.time === null) return plan.windowEnd === null ? 'all rows' : 'all rows, until their window closes'
  const { rows, range } = reach(plan.calls.filter(isFramed), 'preceding')
  const kept = [
    ...(rows > 0 ? [`the last ${rows} rows`] : []),
    ...(range !== null && range > 0 ? [`the rows of the last ${durationText(range / 1000)}`] : []),
  ]
  const isOfTime = rows === 0 && plan.calls.every(isFramed)
  const all = isOfTime ? kept.join('') || 'nothing' : `${['one entry', ...kept].join(' and ')} per partition`
  return `${all}; rows that wait for the watermark`
}
/** Those that reach back to the beginning keep their sums alone. */
const isFramed = (call: OverCall): boolean => !reach([call], 'preceding').all

function shownCall(call: OverCall, plan: PlanOf<'over'>): string {
  const { columns } = plan.input
  const isRank = ['row_number', 'rank', 'dense_rank', 'percent_rank', 'cume_dist'].includes(call.name)
  const shown = isRank ? `${call.name}()` : shownAggregate(call, columns)
  if (isRank || ['ntile', 'lag', 'lead'].includes(call.name)) return shown
  const [first] = plan.order
  const end = (at: FrameEnd, from: boolean): string => {
    if (!('value' in at)) return at.at === 'current' ? 'current row' : `unbounded ${from ? 'preceding' : 'following'}`
    const isTime = first !== undefined && columns[first.column]!.type.kind.startsWith('timestamp')
    return `${call.frame.unit === 'range' && isTime ? durationText(at.value / 1000) : at.value} ${at.at}`
  }
  return `${shown} ${call.frame.unit} ${end(call.frame.from, true)} to ${end(call.frame.to, false)}`
}
export const shownOrder = (order: readonly Order[], columns: Columns): string =>
  order
    .map(({ column, descending, nullsFirst }) => {
      const nulls = nullsFirst === descending ? '' : nullsFirst ? ' nulls first' : ' nulls last'
      return `${columns[column]!.name}${descending ? ' desc' : ''}${nulls}`
    })
    .join(', ')

export function shownAggregate(aggregate: Aggregate, columns: Columns): string {
  const args = aggregate.args.length === 0 ? '*' : aggregate.args.map((arg) => expressionText(arg, columns)).join(', ')
  const filter = aggregate.filter === null ? '' : ` filter (where ${expressionText(aggregate.filter, columns)})`
  return `${aggregate.name}(${aggregate.distinct ? 'distinct ' : ''}${args})${filter}`
}
