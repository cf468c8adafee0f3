/** What can be read off a plan without running it. */
import { durationText } from '../lib/duration.ts'
import { type Expression, type UserFunction, partsOf } from './expression.ts'
import { expressionText } from './expression-text.ts'
import { looksAhead } from './over-calls.ts'
import type { JoinInterval, Plan, PlanOf, SourcePlan, Window } from './plan.ts'

export function inputsOf(plan: Plan): readonly Plan[] {
  switch (plan.op) {
    case 'source':
      return []
    case 'union':
      return plan.inputs
    case 'temporal-join':
    case 'lookup':
    case 'join':
      return [plan.left, plan.right]
    case 'process':
      return plan.broadcast === undefined ? [plan.input] : [plan.input, plan.broadcast]
    default:
      return [plan.input]
  }
}
/** The plan with other inputs. */
export function withInputs(plan: Plan, map: (input: Plan) => Plan): Plan {
  switch (plan.op) {
    case 'source':
      return plan
    case 'union':
      return { ...plan, inputs: plan.inputs.map(map) }
    case 'temporal-join':
    case 'lookup':
    case 'join':
      return { ...plan, left: map(plan.left), right: map(plan.right) }
    case 'process':
      return {
        ...plan,
        input: map(plan.input),
        ...(plan.broadcast === undefined ? {} : { broadcast: map(plan.broadcast) }),
      }
    default:
      return { ...plan, input: map(plan.input) }
  }
}
/** Every source of a plan, in the order of the graph; one that is read at several places once. */
export function sourcesOf(plan: Plan): SourcePlan[] {
  if (plan.op === 'source') return [plan]
  return [...new Set(inputsOf(plan).flatMap(sourcesOf))]
}
const numbered = new WeakMap<object, number>()
let nextNumber = 0
function numberOf(code: object): number {
  const number = numbered.get(code) ?? nextNumber++
  numbered.set(code, number)
  return number
}
/** The plan with equal steps over equal inputs as one object: the graph makes one node of it, whatever reads it. */
export function shareSteps(plan: Plan): Plan {
  const known = new Map<string, Plan>()
  const numbers = new Map<Plan, number>()
  const share = (step: Plan): Plan => {
    const shared = withInputs(step, share)
    const inputs = inputsOf(shared).map((input) => numbers.get(input) ?? -1)
    if (inputs.includes(-1)) return shared
    const none = { input: null, inputs: null, left: null, right: null, broadcast: null }
    // Of user code, only what is the same object is the same.
    const code = shared.op === 'process' ? numberOf(shared.keyed?.fn ?? shared.fn) : ''
    const text = `${inputs.join()} ${code} ${planText({ ...shared, ...none })}`
    const one = known.get(text) ?? shared
    known.set(text, one)
    if (!numbers.has(one)) numbers.set(one, numbers.size)
    return one
  }
  return share(plan)
}
/** What the step itself computes. */
export function expressionsOf(plan: Plan): readonly Expression[] {
  switch (plan.op) {
    case 'source':
      return plan.fields.flatMap((field) => (field.from === 'computed' ? [field.expression] : []))
    case 'filter':
      return [plan.where]
    case 'project':
      return plan.expressions
    case 'expire':
      return [plan.from, plan.until].filter((bound) => bound !== null)
    case 'aggregate':
    case 'session':
    case 'global-window':
      return plan.aggregates.flatMap(({ args, filter }) => (filter === null ? args : [...args, filter]))
    case 'temporal-join':
    case 'lookup':
      return plan.where === null ? plan.leftKeys : [...plan.leftKeys, plan.where]
    case 'join':
      return plan.where === null ? [] : [plan.where]
    case 'union':
    case 'window':
    case 'sliding-window':
    case 'over':
    case 'top':
    case 'conflict':
    case 'from-changelog':
    case 'to-changelog':
    case 'process':
      return []
  }
}
/** Functions of the program that it calls, by name and types of their arguments. */
export function userFunctionsOf(plan: Plan): ReadonlyMap<string, UserFunction> {
  const found = new Map<string, UserFunction>()
  const look = (expr: Expression): void => {
    if (expr.kind === 'call' && expr.user !== undefined)
      found.set(`${expr.name}(${expr.user.fn.args.join(', ')})`, expr.user)
    partsOf(expr).forEach(look)
  }
  const walk = (step: Plan): void => {
    expressionsOf(step).forEach(look)
    inputsOf(step).forEach(walk)
  }
  walk(plan)
  return found
}
/** Topics of tables that lookups read, and of what is broadcast: their rows are wanted before any other. */
export function lookupTopics(plan: Plan): Set<string> {
  const found = new Set(inputsOf(plan).flatMap((input) => [...lookupTopics(input)]))
  const first = plan.op === 'lookup' ? plan.right : plan.op === 'process' ? plan.broadcast : undefined
  if (first !== undefined) for (const { topic } of sourcesOf(first)) found.add(topic)
  return found
}
/** True where no weight is ever negative. */
export function neverWithdraws(plan: Plan): boolean {
  switch (plan.op) {
    case 'source':
      return plan.mode === 'append'
    case 'filter':
    case 'project':
    case 'window':
    case 'sliding-window':
    case 'process':
      return neverWithdraws(plan.input)
    case 'conflict':
    case 'from-changelog':
      return false
    case 'to-changelog':
      return true
    case 'over':
      return plan.emit === 'close' || (plan.time !== null && neverWithdraws(plan.input))
    case 'expire':
      return plan.until === null && neverWithdraws(plan.input)
    case 'union':
      return plan.inputs.every(neverWithdraws)
    case 'temporal-join':
    case 'lookup':
      return neverWithdraws(plan.left)
    case 'join':
      return (
        (plan.kind === 'inner' || plan.kind === 'semi' || plan.interval !== undefined) &&
        inputsOf(plan).every(neverWithdraws)
      )
    case 'aggregate':
    case 'session':
      return plan.emit === 'close'
    case 'global-window':
      return true
    case 'top':
      return false
  }
}
/** Where a plan's rows carry the event time of their source; −1 = nowhere. */
export function timeColumn(plan: Plan): number {
  switch (plan.op) {
    case 'source':
      return plan.time?.column ?? plan.fields.findIndex((f) => f.from === 'timestamp')
    case 'filter':
    case 'window':
    case 'sliding-window':
      return timeColumn(plan.input)
    case 'over':
      return plan.emit === 'close' || (plan.time !== null && looksAhead(plan.calls)) ? -1 : timeColumn(plan.input)
    case 'temporal-join':
    case 'lookup':
      return timeColumn(plan.left)
    case 'project': {
      const input = timeColumn(plan.input)
      return plan.expressions.findIndex((e) => e.kind === 'column' && e.index === input)
    }
    case 'union': {
      const columns = plan.inputs.map(timeColumn)
      return columns.every((c) => c === columns[0]) ? (columns[0] ?? -1) : -1
    }
    case 'join': {
      const { interval, kind, left } = plan
      if (interval === undefined || kind === 'full') return -1
      return kind === 'right' ? left.columns.length + interval.rightTime : interval.leftTime
    }
    case 'aggregate':
    case 'expire':
    case 'session':
    case 'global-window':
    case 'top':
    case 'conflict':
    case 'from-changelog':
    case 'to-changelog':
    case 'process':
      return -1
  }
}
/** How far the event time of an interval join's rows may lie behind the watermark that lets them go. */
export function intervalDelayMs(kind: PlanOf<'join'>['kind'], { lowUs, highUs }: JoinInterval): number {
  if (kind === 'full') return 0
  return Math.max(0, Math.ceil((kind === 'right' ? -lowUs : highUs) / 1000))
}
/** A plan, or a part of one, as text: equal ones are equal. User functions are left out. */
export const planText = (plan: object): string =>
  JSON.stringify(plan, (name, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`
    if (typeof value === 'number' && (!Number.isFinite(value) || Object.is(value, -0))) return `${1 / value} ${value}`
    if (value instanceof Uint8Array) return `x${Buffer.from(value).toString('hex')}`
    return typeof value === 'function' || name === 'fn' ? undefined : value
  })
const labelLength = 200
const shortened = (text: string): string => (text.length <= labelLength ? text : `${text.slice(0, labelLength - 1)}…`)
/** A few words for people. */
export function label(plan: Plan): string {
  const names = (positions: readonly number[], of: Plan): string =>
    positions.map((p) => of.columns[p]?.name ?? '?').join(', ')
  switch (plan.op) {
    case 'source':
      return plan.name
    case 'filter':
      return shortened(expressionText(plan.where, plan.input.columns))
    case 'project':
      return plan.columns.map((c) => c.name).join(', ')
    case 'expire': {
      const bound = (name: string, at: typeof plan.from): string[] =>
        at === null ? [] : [`${name} ${expressionText(at, plan.input.columns)}`]
      return shortened([...bound('from', plan.from), ...bound('until', plan.until)].join(', '))
    }
    case 'union':
      return 'union all'
    case 'window':
      return windowLabel(plan.window)
    case 'sliding-window':
      return `sliding ${durationText(plan.sizeMs)} by ${names(plan.keys, plan.input)}`
    case 'session':
      return `sessions of ${names(plan.keys, plan.input)}, gap ${durationText(plan.gapMs)}${plan.emit === 'close' ? ', on close' : ''}`
    case 'aggregate': {
      const keys = plan.keys.length === 0 ? '' : ` by ${names(plan.keys, plan.input)}`
      return `${plan.aggregates.map((a) => a.name).join(', ')}${keys}${plan.emit === 'close' ? ', on close' : ''}`
    }
    case 'global-window':
      return `${plan.aggregates.map((a) => a.name).join(', ')} by ${names(plan.keys, plan.input)}, ${triggerText(plan)}`
    case 'temporal-join':
      return `${plan.kind} join as of ${plan.left.columns[plan.leftTime]?.name ?? '?'}`
    case 'lookup':
      return `${plan.kind} join as of now`
    case 'join':
      return joinLabel(plan)
    case 'over': {
      const by = plan.partitionBy.length === 0 ? 'all rows' : names(plan.partitionBy, plan.input)
      return `${plan.calls.map((a) => a.name).join(', ')} over ${by}`
    }
    case 'top':
      return `first ${plan.limit} by ${plan.order.map((o) => plan.input.columns[o.column]?.name ?? '?').join(', ')}`
    case 'conflict':
      return `on conflict of ${names(plan.key, plan)} do ${plan.policy}`
    case 'from-changelog':
      return `from changelog by ${names([plan.code], plan.input)}`
    case 'to-changelog':
      return 'to changelog'
    case 'process':
      return plan.key.length === 0 ? 'process' : `process by ${names(plan.key, plan.input)}`
  }
}
function joinLabel({ kind, left, right, leftKeys, rightKeys, where }: PlanOf<'join'>): string {
  const keys = leftKeys.map((key, i) => `${left.columns[key]?.name} = ${right.columns[rightKeys[i]!]?.name}`)
  const conditions = where === null ? keys : [...keys, expressionText(where, [...left.columns, ...right.columns])]
  return shortened(`${kind} join${conditions.length === 0 ? '' : ` on ${conditions.join(' and ')}`}`)
}
/** When a global window fires, in words. */
export function triggerText({ trigger, input }: PlanOf<'global-window'>): string {
  const { rows, when, afterMs, everyMs, clock } = trigger
  const by = clock === 'event' ? 'event time' : 'the clock'
  return [
    ...(rows === null ? [] : [rows === 1 ? 'with every row' : `with every ${rows} rows`]),
    ...(when === null ? [] : [`where ${input.columns[when]?.name ?? '?'}`]),
    ...(afterMs === null ? [] : [`${durationText(afterMs)} after the first row by ${by}`]),
    ...(everyMs === null ? [] : [`every ${durationText(everyMs)} of ${by}`]),
  ].join(', ')
}
/** tumble 1m; hop 1m every 10s; cumulate 1d every 1h. */
export function windowLabel(window: Window): string {
  const size = `${window.kind} ${durationText(window.sizeMs)}`
  const offset = window.offsetMs === undefined ? '' : ` from ${durationText(window.offsetMs)}`
  return `${size}${window.kind === 'tumble' ? '' : ` every ${durationText(window.stepMs)}`}${offset}`
}
