/** Windows of counts, and global windows with a trigger: their options, and how grouping in them becomes a plan. */
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import type { Expression } from '../flow/expression.ts'
import type { Kept, Plan, PlanOf, Trigger } from '../flow/plan.ts'
import { withInputs } from '../flow/plan-facts.ts'
import type { Field } from '../schema/types.ts'
import type { Rel } from '../sql/plan/relation.ts'
import type { AggregationsOf, Results } from './aggregation.ts'
import { type ColumnsOf, type Condition, columnExprs } from './expr.ts'
import { type Fits, type MakeStream, groupedText } from './grouped.ts'
import { planStep } from './step.ts'
import type { Stream } from './stream.ts'
import { textOf } from './text.ts'

/** So many rows of a key: all that came since the window before, or with `every` the last ones, each time so many have come. */
export interface CountWindow {
  readonly count: number
  readonly every?: number
}
/** All rows of a key; a result each time that the trigger fires. */
export interface GlobalWindow<T> {
  readonly global: TriggerOptions<T>
  /** What the window still holds when it has fired: nothing, all, its last rows, those that long before its newest. */
  readonly keep: 'none' | 'all' | { readonly last: number } | { readonly within: string }
}
/** It fires as soon as one of these holds. */
export interface TriggerOptions<T> {
  /** So many rows since it fired last. */
  readonly count?: number
  /** So long after the first row since it fired last. */
  readonly after?: string
  /** At the end of each such span of time, if there are rows since it fired last. */
  readonly every?: string
  /** Of `after` and `every`. Default: event. */
  readonly clock?: 'event' | 'processing'
  /** A row for which it is true. */
  readonly when?: (row: ColumnsOf<T>) => Condition
}
interface Firing<T> {
  readonly trigger: TriggerOptions<T>
  readonly keep: GlobalWindow<T>['keep']
}

export class TriggeredStream<T> {
  readonly #input: Rel
  readonly #firing: Firing<T>
  readonly #made: MakeStream

  constructor(input: Rel, of: CountWindow | GlobalWindow<T>, made: MakeStream) {
    this.#input = input
    this.#made = made
    if ('global' in of) this.#firing = { trigger: of.global, keep: of.keep }
    else if (of.every === undefined) this.#firing = { trigger: { count: of.count }, keep: 'none' }
    else this.#firing = { trigger: { count: of.every }, keep: { last: of.count } }
  }
  groupBy<K extends keyof T & string>(...keys: readonly K[]): TriggeredGroups<T, Pick<T, K>> {
    const names = this.#input.plan.columns.map(({ name }) => name)
    for (const key of keys) if (!names.includes(key)) throw invalid('column', key, 'the stream has no such column')
    return new TriggeredGroups<T, Pick<T, K>>(this.#input, keys, this.#firing, this.#made)
  }
}

type Flat<T> = { readonly [K in keyof T]: T[K] }
export class TriggeredGroups<T, Keys> {
  readonly #input: Rel
  readonly #keys: readonly string[]
  readonly #firing: Firing<T>
  readonly #made: MakeStream
  /** Only for the types. */
  declare readonly keys: Keys

  constructor(input: Rel, keys: readonly string[], firing: Firing<T>, made: MakeStream) {
    this.#input = input
    this.#keys = keys
    this.#firing = firing
    this.#made = made
  }
  /** A row each time the window of a key fires: the key, then the aggregates. */
  aggregate<A extends AggregationsOf>(aggregations: (row: ColumnsOf<T>) => A): Stream<Flat<Keys & Results<A>>>
  aggregate<A extends AggregationsOf>(aggregations: A & Fits<T, A>): Stream<Flat<Keys & Results<A>>>
  aggregate(
    aggregations: AggregationsOf | ((row: ColumnsOf<T>) => AggregationsOf),
  ): Stream<Flat<Keys & Results<AggregationsOf>>> {
    const { when } = this.#firing.trigger
    const names = this.#input.plan.columns.map(({ name }) => name)
    const input =
      when === undefined
        ? this.#input
        : planStep(textOf`SELECT *, ${when(columnExprs<T>('input', names))} AS "fires" FROM input`, {
            input: this.#input,
          })
    const grouped = planStep(groupedText(this.#keys, this.#input, aggregations), { input })
    const make = (aggregate: PlanOf<'aggregate'>): Plan => globalPlan(aggregate, input, this.#firing)
    return this.#made({
      ...grouped,
      plan: inPlaceOfAggregate(grouped.plan, make),
      key: null,
      appendOnly: true,
      time: null,
      windows: [],
    })
  }
}

function inPlaceOfAggregate(plan: Plan, make: (aggregate: PlanOf<'aggregate'>) => Plan): Plan {
  return plan.op === 'aggregate' ? make(plan) : withInputs(plan, (input) => inPlaceOfAggregate(input, make))
}
function globalPlan<T>({ input, keys, aggregates, columns }: PlanOf<'aggregate'>, rel: Rel, firing: Firing<T>): Plan {
  if (!rel.appendOnly)
    throw invalid('window', 'a trigger', 'its rows may be withdrawn, and what a window has given is not taken back')
  const { trigger, keep, byTime } = firingOf(firing)
  const expressions: Expression[] = []
  const fields: Field[] = []
  const place = (expression: Expression): number => {
    const known = expressions.findIndex(
      (one) => one.kind === 'column' && expression.kind === 'column' && one.index === expression.index,
    )
    if (known >= 0) return known
    const name = expression.kind === 'column' ? input.columns[expression.index]!.name : `argument ${fields.length}`
    fields.push({ name, type: expression.type, nullable: true })
    return expressions.push(expression) - 1
  }
  const placeColumn = (index: number): number => place({ kind: 'column', index, type: input.columns[index]!.type })
  const read = (expression: Expression): Expression => ({
    kind: 'column',
    index: place(expression),
    type: expression.type,
  })
  const keyPlaces = keys.map(placeColumn)
  const over = aggregates.map((one) => ({
    ...one,
    args: one.args.map(read),
    filter: one.filter === null ? null : read(one.filter),
  }))
  if (byTime && rel.time === null) throw invalid('window', 'event time', 'the stream has no event-time column')
  const time = byTime ? placeColumn(rel.time!.column) : null
  const when = firing.trigger.when === undefined ? null : placeColumn(input.columns.length - 1)
  // A window of all rows that counts them reads no column.
  if (expressions.length === 0) placeColumn(0)
  return {
    op: 'global-window',
    input: { op: 'project', input, expressions, columns: fields },
    keys: keyPlaces,
    aggregates: over,
    time,
    trigger: { ...trigger, when },
    keep,
    columns,
  }
}
function firingOf<T>({ trigger, keep }: Firing<T>): {
  readonly trigger: Omit<Trigger, 'when'>
  readonly keep: Kept
  readonly byTime: boolean
} {
  const { count, after, every, clock = 'event', when } = trigger
  if (count === undefined && after === undefined && every === undefined && when === undefined)
    throw invalid('global', '{}', 'it says no count, after, every or when: it would never fire')
  const length = (name: string, text: string | undefined): number | null => {
    if (text === undefined) return null
    const ms = parseDuration(name, text)
    if (ms < 1) throw invalid(name, text, 'it is no time')
    return ms
  }
  const afterMs = length('after', after)
  const everyMs = length('every', every)
  return {
    trigger: { rows: count === undefined ? null : whole('count', count), afterMs, everyMs, clock },
    keep:
      typeof keep === 'string'
        ? { of: keep }
        : 'last' in keep
          ? { of: 'last', rows: whole('last', keep.last) }
          : { of: 'within', ms: length('within', keep.within)! },
    byTime:
      (clock === 'event' && (afterMs !== null || everyMs !== null)) || (typeof keep === 'object' && 'within' in keep),
  }
}
function whole(setting: string, value: number): number {
  if (Number.isSafeInteger(value) && value > 0) return value
  throw invalid(setting, String(value), 'it is a whole number of rows, at least 1')
}
const invalid = (setting: string, value: string, why: string): Fault =>
  new Fault('config.invalid', { setting, value, why })
