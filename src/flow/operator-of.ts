/** Which operator does a step of a plan. Throws Fault flow.unsupported where its input may not withdraw rows and does. */
import { Fault } from '../lib/fault.ts'
import type { Operator } from './operator.ts'
import { aggregate } from './operators/aggregate.ts'
import { fromChangelog, toChangelog } from './operators/changelog.ts'
import { conflict } from './operators/conflict.ts'
import { expire } from './operators/expire.ts'
import { globalWindow } from './operators/global-window.ts'
import { intervalJoin } from './operators/interval-join.ts'
import { join } from './operators/join.ts'
import { filter, project, union } from './operators/linear.ts'
import { keyedProcess } from './operators/keyed-process.ts'
import { lookup } from './operators/lookup.ts'
import { over } from './operators/over.ts'
import { overRestated } from './operators/over-restated.ts'
import { process } from './operators/process.ts'
import { session } from './operators/session.ts'
import { sliced } from './operators/slices.ts'
import { slidingWindow } from './operators/sliding-window.ts'
import { temporalJoin } from './operators/temporal-join.ts'
import { top } from './operators/top.ts'
import { upsert } from './operators/upsert.ts'
import { window } from './operators/window.ts'
import type { Plan, SourcePlan } from './plan.ts'
import { neverWithdraws, timeColumn } from './plan-facts.ts'
import { type SlicedSteps, sliceOf } from './slices.ts'
import { maySpill } from './spill-runs.ts'

/** `atEnd`: nothing is given before the input has ended. `slices`: which steps of the whole plan have to do with slices. */
export function operatorOf(plan: Exclude<Plan, SourcePlan>, atEnd: boolean, slices: SlicedSteps): Operator {
  switch (plan.op) {
    case 'filter':
      return filter(plan.where)
    case 'project':
      return project(plan.expressions)
    case 'expire':
      return expire(plan, plan.input.columns, neverWithdraws(plan.input))
    case 'union':
      return union(plan.columns)
    case 'window':
      return window(
        plan.time,
        plan.input.columns[plan.time]!.type,
        slices.windows.has(plan) ? sliceOf(plan.window) : plan.window,
      )
    case 'sliding-window':
      needGrowth(plan.input, 'the input of sliding windows')
      return slidingWindow(plan, plan.input.columns)
    case 'aggregate':
      if (slices.groups.has(plan)) return sliced(plan, plan.input.columns, slices.groups.get(plan)!)
      return aggregate(plan, plan.input.columns, neverWithdraws(plan.input))
    case 'session':
      needGrowth(plan.input, 'the input of SESSION')
      return session(plan, plan.input.columns)
    case 'global-window':
      needGrowth(plan.input, 'the input of a global window')
      return globalWindow(plan, plan.input.columns)
    case 'temporal-join':
      needGrowth(plan.left, 'the left side of a temporal join')
      return temporalJoin(plan, plan.left.columns, plan.right.columns)
    case 'lookup':
      needGrowth(plan.left, 'the left side of a lookup join')
      return lookup(plan, plan.left.columns, plan.right.columns)
    case 'join':
      if (plan.interval !== undefined) {
        needGrowth(plan.left, 'the left side of an interval join')
        needGrowth(plan.right, 'the right side of an interval join')
        return intervalJoin(plan, plan.interval)
      }
      return join(plan, [neverWithdraws(plan.left), neverWithdraws(plan.right)])
    case 'over':
      if (plan.time === null) {
        const grows = neverWithdraws(plan.input)
        return overRestated(plan, plan.input.columns, { grows, timeColumn: timeColumn(plan.input), atEnd })
      }
      needGrowth(plan.input, 'the input of OVER by event time')
      return over(plan, plan.input.columns)
    case 'top':
      return top(plan, plan.input.columns, neverWithdraws(plan.input), timeColumn(plan.input))
    case 'conflict':
      return conflict(plan, neverWithdraws(plan.input))
    case 'from-changelog':
      needGrowth(plan.input, 'the input of FROM_CHANGELOG')
      return fromChangelog(plan)
    case 'to-changelog':
      return toChangelog(plan)
    case 'process':
      needGrowth(plan.input, 'the input of process')
      if (plan.broadcast !== undefined) needGrowth(plan.broadcast, 'what is broadcast to process')
      return plan.keyed === undefined
        ? process(plan, plan.input.columns)
        : keyedProcess(plan, plan.keyed, plan.input.columns)
  }
}
/**
 * How much of a step's state goes to files where memory has no room for it; null: it has none. What functions in TypeScript keep
 * stays in memory.
 */
export function spillOf(plan: Plan, slices: SlicedSteps): 'all' | 'some' | 'none' | null {
  if (plan.op === 'process') return 'none'
  if (plan.op === 'source' && plan.mode !== 'upsert') return null
  const operator =
    plan.op === 'source' ? upsert(plan.columns, plan.key, plan.columns.length) : operatorOf(plan, false, slices)
  const { tables, evict } = operator
  if (tables.length === 0) return null
  const spilling = evict === undefined ? [] : tables.filter((table) => maySpill(table))
  // Rows that wait for their time are asked for soon.
  if (plan.op === 'over' && plan.time !== null) return 'some'
  return spilling.length === 0 ? 'none' : spilling.length < tables.length ? 'some' : 'all'
}
function needGrowth(plan: Plan, what: string): void {
  if (!neverWithdraws(plan))
    throw new Fault('flow.unsupported', { what: `${what} must be append-only: it may not withdraw rows` })
}
