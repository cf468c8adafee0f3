/**
 * The chain of calls that builds a plan in TypeScript. What can be said in SQL is a query over what the chain has come to
 * (`step.ts`), planned by the planner of SQL; closures are process steps. So there is one plan and one engine, and a call
 * is refused where its SQL would be. Long because each call is a few lines of SQL here.
 */
import type { Plan, ProcessFunction } from '../flow/plan.ts'
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import type { Columns } from '../schema/types.ts'
import { type Rel, byLastMoment, columnsToScope, endsWindow } from '../sql/plan/relation.ts'
import { type AggregationsOf, type Results, aggregateText } from './aggregation.ts'
import {
  type ColumnsOf,
  type Condition,
  type Nullable,
  type Ordering,
  type RowOf,
  type Selection,
  columnExprs,
  selectionText,
} from './expr.ts'
import { type CountWindow, type GlobalWindow, TriggeredStream } from './global-window.ts'
import { type Grouping, GroupedStream, WindowedStream, type WindowOptions, windowOf } from './grouped.ts'
import {
  type KeyedOptions,
  type Output,
  type StateSpecs,
  columnOfSide,
  keyedPlan,
  sideColumn,
  withoutNulls,
} from './keyed.ts'
import { columnsOfJsonSchema, optionalFields } from './json-schema-columns.ts'
import { type Schema, jsonSchemaOf } from './standard-schema.ts'
import { planStep } from './step.ts'
import { Text, intervalText, listOf, literalText, quoted, textOf } from './text.ts'

export interface StreamShape {
  readonly rel: Rel
  /** Fields that are missing where their column is NULL. */
  readonly optional: readonly string[]
  /** Columns of the record key, where rows are only added. */
  readonly recordKey?: readonly string[]
}
/** Windows over windows go by it: what a window gave lies in the longer one that it lies in. */
const lastMoment = 'last moment of the window'
/** Events of one millisecond are not late for each other. */
export const delayMsMin = 1
export interface Context {
  /** Event time of the event, ms. */
  readonly timeMs: number
  readonly watermarkMs: number
  readonly key: readonly unknown[]
}
/** JSON-able: it is kept with the stream's positions and comes back after a restart. */
export type Process<In, Out, S> = (
  event: In,
  state: S | undefined,
  emit: (row: Out) => void,
  context: Context,
) => S | undefined

type Flat<T> = { readonly [K in keyof T]: T[K] }
type Names<T> = (keyof T & string) | readonly (keyof T & string)[]
/** How far the event time of the other side lies before this one's, and after it, at most. */
export interface Within {
  readonly before: string
  readonly after: string
}
export interface JoinOptions {
  /** How far the event times may be apart: `1m`, before or after. */
  readonly within?: Within | string
}
/** Rows in order of event time, each with what is said of it and the rows before it. */
export interface OverOptions<T> {
  readonly by?: Names<T>
  /** This row and so many before it. */
  readonly rows?: number
  /** This row and those that long before it. */
  readonly range?: string
}

export class Stream<T> {
  readonly shape: StreamShape
  /** Only for the type. */
  declare readonly row: (value: T) => T

  constructor(shape: StreamShape) {
    this.shape = shape
  }
  get #columns(): Columns {
    return this.shape.rel.plan.columns
  }
  get #names(): readonly string[] {
    return this.#columns.map(({ name }) => name)
  }
  /** The columns as expressions. */
  #row(alias: string): ColumnsOf<T> {
    return columnExprs<T>(alias, this.#names)
  }
  #step<Out>(text: Text, more: Readonly<Record<string, Rel>> = {}): Stream<Out> {
    return new Stream<Out>({ rel: planStep(text, { input: this.shape.rel, ...more }), optional: [] })
  }
  /** A step that gives the same columns. */
  #kept(text: Text, more: Readonly<Record<string, Rel>> = {}): Stream<T> {
    const { shape } = this.#step<T>(text, more)
    return new Stream<T>({ ...this.shape, rel: shape.rel })
  }

  /** Rows for which it is true. */
  where(holds: (row: ColumnsOf<T>) => Condition): Stream<T> {
    return this.#kept(textOf`SELECT * FROM input WHERE ${holds(this.#row('input'))}`)
  }
  /** A row of these for each row. */
  select<S extends Selection>(make: (row: ColumnsOf<T>) => S): Stream<RowOf<S>> {
    return this.#step(textOf`SELECT ${selectionText(make(this.#row('input')))} FROM input`)
  }
  /** The row with these beside its columns. */
  extend<S extends Selection>(make: (row: ColumnsOf<T>) => S): Stream<Flat<T & RowOf<S>>> {
    return this.#step(textOf`SELECT *, ${selectionText(make(this.#row('input')))} FROM input`)
  }
  /** Each row to the first whose condition is true. */
  branch<B extends { readonly [name: string]: (row: ColumnsOf<T>) => Condition }>(
    branches: B,
  ): { readonly [K in keyof B]: Stream<T> } {
    const row = this.#row('input')
    const conditions = Object.entries(branches).map(([name, holds]) => ({ name, holds: holds(row) as Text }))
    return Object.fromEntries(
      conditions.map(({ name, holds }, i) => {
        const none = conditions.slice(0, i).map((earlier) => textOf`(${earlier.holds}) IS NOT TRUE`)
        return [name, this.#kept(textOf`SELECT * FROM input WHERE ${listOf([holds, ...none], ' AND ')}`)]
      }),
    ) as { readonly [K in keyof B]: Stream<T> }
  }
  /** The rows of all. */
  merge(...others: readonly Stream<T>[]): Stream<T> {
    const list = listOf(this.#names.map(quoted))
    const all = others.map((_, i) => textOf`SELECT ${list} FROM input${String(i)}`)
    const more = Object.fromEntries(others.map(({ shape }, i) => [`input${i}`, shape.rel]))
    return this.#kept(listOf([textOf`SELECT ${list} FROM input`, ...all], ' UNION ALL '), more)
  }
  /** Rows without those that there are already. */
  distinct(): Stream<T> {
    return this.#kept(new Text('SELECT DISTINCT * FROM input'))
  }
  /** The columns that the record key of a view's rows is made of, where they are only added. */
  selectKey(...names: readonly (keyof T & string)[]): Stream<T> {
    for (const name of names) this.#checked(name)
    return new Stream<T>({ ...this.shape, recordKey: names })
  }

  /** Pairs for which the condition is true, restated when either side changes; streams only `within` a time. */
  join<R, S extends Selection>(
    other: Stream<R>,
    on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition,
    make: (left: ColumnsOf<T>, right: ColumnsOf<R>) => S,
    options: JoinOptions = {},
  ): Stream<RowOf<S>> {
    return this.#join('JOIN', other, on, make as never, options)
  }
  /** The same, and rows of this side without partner. */
  leftJoin<R, S extends Selection>(
    other: Stream<R>,
    on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition,
    make: (left: ColumnsOf<T>, right: ColumnsOf<Nullable<R>>) => S,
    options: JoinOptions = {},
  ): Stream<RowOf<S>> {
    return this.#join('LEFT JOIN', other, on, make as never, options)
  }
  /** The same, and rows of either side without partner. */
  outerJoin<R, S extends Selection>(
    other: Stream<R>,
    on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition,
    make: (left: ColumnsOf<Nullable<T>>, right: ColumnsOf<Nullable<R>>) => S,
    options: JoinOptions = {},
  ): Stream<RowOf<S>> {
    return this.#join('FULL JOIN', other, on, make as never, options)
  }
  /** Rows of this side that have a partner, once. */
  semiJoin<R>(other: Stream<R>, on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition): Stream<T> {
    return this.#exists('EXISTS', other, on)
  }
  /** Rows of this side that have none. */
  antiJoin<R>(other: Stream<R>, on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition): Stream<T> {
    return this.#exists('NOT EXISTS', other, on)
  }
  /** Each row with the table's row that was current at its event time; never restated. */
  asOf<R, S extends Selection>(
    table: Stream<R>,
    on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition,
    make: (left: ColumnsOf<T>, right: ColumnsOf<R>) => S,
  ): Stream<RowOf<S>> {
    return this.#atTime('JOIN', quoted(this.#time()), table, on, make as never)
  }
  /** The same, and rows for which the table had none. */
  leftAsOf<R, S extends Selection>(
    table: Stream<R>,
    on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition,
    make: (left: ColumnsOf<T>, right: ColumnsOf<Nullable<R>>) => S,
  ): Stream<RowOf<S>> {
    return this.#atTime('LEFT JOIN', quoted(this.#time()), table, on, make as never)
  }
  /** Each row with the table's row of the moment at which it is worked on; never restated. */
  lookup<R, S extends Selection>(
    table: Stream<R>,
    on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition,
    make: (left: ColumnsOf<T>, right: ColumnsOf<R>) => S,
  ): Stream<RowOf<S>> {
    return this.#atTime('JOIN', null, table, on, make as never)
  }
  /** The same, and rows for which the table has none. */
  leftLookup<R, S extends Selection>(
    table: Stream<R>,
    on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition,
    make: (left: ColumnsOf<T>, right: ColumnsOf<Nullable<R>>) => S,
  ): Stream<RowOf<S>> {
    return this.#atTime('LEFT JOIN', null, table, on, make as never)
  }

  /** The first `count` rows of each `by` in this order; `rank`: a column with the place. Rows give way to better ones. */
  top<R extends string = never>(
    count: number,
    options: {
      readonly by?: Names<T>
      readonly order: (row: ColumnsOf<T>) => Ordering | readonly Ordering[]
      readonly rank?: R
    },
  ): Stream<Flat<T & { readonly [K in R]: number }>> {
    const order = options.order(this.#row('input'))
    const place = options.rank === undefined ? '' : `, "place of a row" AS ${quoted(options.rank)}`
    const text = textOf`SELECT ${listOf(this.#names.map(quoted))}${place} FROM (SELECT *, row_number() OVER (${this.#partition(options.by)} ORDER BY ${listOf(Array.isArray(order) ? (order as readonly Ordering[]) : [order as Ordering])}) AS "place of a row" FROM input) AS ranked WHERE "place of a row" <= ${String(count)}`
    return this.#step(text)
  }
  /** The row of each key that comes first by event time, or last; among equal times the one that arrived first. */
  dedupe(options: { readonly by: Names<T>; readonly keep?: 'first' | 'last' }): Stream<T> {
    const how = options.keep === 'last' ? 'DESC' : 'ASC'
    const list = listOf(this.#names.map(quoted))
    return this.#kept(
      textOf`SELECT ${list} FROM (SELECT *, row_number() OVER (${this.#partition(options.by)} ORDER BY ${quoted(this.#time())} ${how}) AS "place of a row" FROM input) AS ranked WHERE "place of a row" <= 1`,
    )
  }
  /** The newest row of each key by event time, as a table that changes. */
  toTable(...by: readonly (keyof T & string)[]): Stream<T> {
    return this.dedupe({ by, keep: 'last' })
  }
  /**
   * Adds aggregates over a frame that slides with the rows, in order of event time: `rows` counts, `range` reaches back in
   * time, neither is all rows so far. A row is given once, when the watermark has passed it.
   */
  over<A extends AggregationsOf>(
    options: OverOptions<T>,
    make: (row: ColumnsOf<T>) => A,
  ): Stream<Flat<T & Results<A>>> {
    const { rows, range, by } = options
    const frame =
      rows !== undefined
        ? `ROWS BETWEEN ${rows} PRECEDING AND CURRENT ROW`
        : range === undefined
          ? ''
          : `RANGE BETWEEN ${intervalText(parseDuration('range', range))} PRECEDING AND CURRENT ROW`
    const window = `(${this.#partition(by)} ORDER BY ${quoted(this.#time())} ${frame})`
    const calls = Object.entries(make(this.#row('input'))).map(
      ([name, one]) => textOf`${aggregateText(one)} OVER ${window} AS ${quoted(name)}`,
    )
    return this.#step(textOf`SELECT *, ${listOf(calls)} FROM input`)
  }

  /** Windows of event time. */
  window(of: WindowOptions): WindowedStream<T>
  /** Windows of so many rows of a key, or of all with a trigger: in the order in which rows come. */
  window(of: CountWindow | GlobalWindow<T>): TriggeredStream<T>
  window(of: WindowOptions | CountWindow | GlobalWindow<T>): WindowedStream<T> | TriggeredStream<T> {
    if ('count' in of || 'global' in of) return new TriggeredStream<T>(this.shape.rel, of, streamOf)
    const { rel } = this.shape
    if (!endsWindow(rel)) return new WindowedStream<T>(rel, { ...windowOf(of), time: this.#time() }, streamOf)
    const moments = byLastMoment(rel, lastMoment)
    return new WindowedStream<T>(moments, { ...windowOf(of), time: lastMoment }, streamOf)
  }
  groupBy<K extends keyof T & string>(...keys: readonly K[]): GroupedStream<T, Pick<T, K>> {
    const grouping: Grouping = { keys: keys.map((name) => this.#checked(name)), window: null }
    return new GroupedStream<T, Pick<T, K>>(this.shape.rel, grouping, streamOf)
  }

  /** Events for which it holds. */
  filter(holds: (event: T) => boolean): Stream<T> {
    const fn = (event: T, _state: unknown, emit: (row: T) => void): undefined => {
      if (holds(event)) emit(event)
    }
    const { rel, optional } = this.shape
    return this.#process([], { columns: this.#columns, time: rel.time, optional }, fn as unknown as ProcessFunction)
  }
  /** Any number of rows for each event. */
  flatMap<Out>(
    output: Schema<Out> | Output<Out>,
    make: (event: T, emit: (row: Out) => void, context: Context) => void,
  ): Stream<Out> {
    const fn = (event: T, _state: unknown, emit: (row: Out) => void, context: Context): undefined => {
      make(event, emit, context)
    }
    return this.#shaped([], output, fn as unknown as ProcessFunction)
  }
  /** One row for each event. */
  map<Out>(output: Schema<Out> | Output<Out>, make: (event: T) => Out): Stream<Out> {
    return this.flatMap(output, (event, emit) => emit(make(event)))
  }
  /** Events in order for each key, with named states, timers, and outputs beside the one of the stream. */
  process<Out, S extends StateSpecs = {}, Sides = {}, B = unknown, BS extends StateSpecs = {}>(
    options: KeyedOptions<T, Out, S, Sides, B, BS>,
  ): ProcessedStream<Out, Sides>
  /** The same with one state: what `fn` returns is the state that the key's next event finds. */
  process<Out, S = unknown>(
    options: { readonly key: Names<T>; readonly output: Schema<Out> | Output<Out> },
    fn: Process<T, Out, S>,
  ): Stream<Out>
  process<Out>(
    options:
      | KeyedOptions<T, Out, StateSpecs, {}>
      | { readonly key: Names<T>; readonly output: Schema<Out> | Output<Out> },
    fn?: Process<T, Out, unknown>,
  ): Stream<Out> {
    if ('onEvent' in options) return this.#keyed(options)
    return this.#shaped(
      namesOf(options.key).map((name) => this.#names.indexOf(this.#checked(name))),
      options.output,
      fn as unknown as ProcessFunction,
    )
  }

  #checked(name: string): string {
    if (!this.#names.includes(name))
      throw new Fault('config.invalid', { setting: 'column', value: name, why: 'the stream has no such column' })
    return name
  }
  #time(): string {
    const { time } = this.shape.rel
    if (time === null)
      throw new Fault('config.invalid', {
        setting: 'window',
        value: 'event time',
        why: 'the stream has no event-time column',
      })
    return this.#columns[time.column]!.name
  }
  #partition(by: Names<T> | undefined): string {
    const names = by === undefined ? [] : namesOf(by)
    return names.length === 0 ? '' : `PARTITION BY ${names.map((name) => quoted(this.#checked(name))).join(', ')}`
  }
  #join<R, Out>(
    kind: string,
    other: Stream<R>,
    on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition,
    make: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Selection,
    { within }: JoinOptions,
  ): Stream<Out> {
    const [left, right] = [this.#row('input'), other.#row('other')]
    const times = [`input.${quoted(this.#timeIf(within))}`, `other.${quoted(other.#timeIf(within))}`]
    const apart = typeof within === 'string' ? { before: within, after: within } : within
    const near =
      apart === undefined
        ? ''
        : ` AND ${times[1]} BETWEEN ${times[0]} - ${intervalText(parseDuration('within.before', apart.before))} AND ${times[0]} + ${intervalText(parseDuration('within.after', apart.after))}`
    const text = textOf`SELECT ${selectionText(make(left, right))} FROM input ${kind} other ON ${on(left, right) as Text}${near}`
    return this.#step(text, { other: other.shape.rel })
  }
  #timeIf(within: JoinOptions['within']): string {
    return within === undefined ? '' : this.#time()
  }
  #exists<R>(test: string, other: Stream<R>, on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition): Stream<T> {
    const condition = on(this.#row('input'), other.#row('other')) as Text
    return this.#kept(textOf`SELECT * FROM input WHERE ${test} (SELECT 1 FROM other WHERE ${condition})`, {
      other: other.shape.rel,
    })
  }
  #atTime<R, Out>(
    kind: string,
    time: string | null,
    table: Stream<R>,
    on: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Condition,
    make: (left: ColumnsOf<T>, right: ColumnsOf<R>) => Selection,
  ): Stream<Out> {
    const [left, right] = [this.#row('input'), table.#row('other')]
    const at = time === null ? 'PROCTIME()' : `input.${time}`
    const text = textOf`SELECT ${selectionText(make(left, right))} FROM input ${kind} other FOR SYSTEM_TIME AS OF ${at} AS other ON ${on(left, right) as Text}`
    return this.#step(text, { other: table.shape.rel })
  }
  /** For functions. */
  growing(setting: string): Rel {
    const { rel } = this.shape
    if (rel.appendOnly) return rel
    throw new Fault('config.invalid', {
      setting,
      value: 'a function',
      why: 'its rows may be withdrawn, and a function cannot take back what it has done',
    })
  }
  #keyed<Out, S extends StateSpecs, Sides, B, BS extends StateSpecs>(
    options: KeyedOptions<T, Out, S, Sides, B, BS>,
  ): ProcessedStream<Out, Sides> {
    const rel = this.growing('stream')
    const key = namesOf(options.key).map((name) => this.#names.indexOf(this.#checked(name)))
    const main = this.#form(options.output)
    const outputs = Object.entries<Schema<unknown> | Output<unknown>>((options.sides ?? {}) as {})
    const sides = new Map(outputs.map(([name, output]) => [name, this.#form(output)]))
    const plan = keyedPlan(rel.plan, key, options, { main, sides, optional: this.shape.optional })
    const scope = columnsToScope(null, plan.columns)
    const all: Rel = { plan, scope, time: null, key: null, appendOnly: true, windows: [] }
    if (sides.size === 0)
      return new ProcessedStream({ rel: { ...all, time: main.time }, optional: main.optional }, sideless)
    const of = (name: string, { columns, time, optional }: Form): StreamShape => {
      const list = columns.map((field) => `${quoted(columnOfSide(name, field.name))} AS ${quoted(field.name)}`)
      const where = `${quoted(sideColumn)} = ${literalText(name)}`
      const side = planStep(new Text(`SELECT ${list.join(', ')} FROM input WHERE ${where}`), { input: all })
      return { rel: { ...side, time }, optional }
    }
    return new ProcessedStream(of('', main), (name) => {
      const side = sides.get(name)
      if (side === undefined)
        throw new Fault('config.invalid', { setting: 'side', value: name, why: 'the function has no such output' })
      return of(name, side)
    })
  }
  #shaped<Out>(key: readonly number[], output: Schema<Out> | Output<Out>, fn: ProcessFunction): Stream<Out> {
    return this.#process(key, this.#form(output), fn)
  }
  #form<Out>(output: Schema<Out> | Output<Out>): Form {
    const { schema, eventTime, jsonSchema } =
      '~standard' in output ? { schema: output, eventTime: undefined, jsonSchema: undefined } : output
    // The event time goes on under its name, where the output has it.
    const from = this.shape.rel.time
    const inherited = from === null ? undefined : this.#columns[from.column]!.name
    const json = jsonSchema ?? jsonSchemaOf('output', schema)
    const known = columnsOfJsonSchema('output', json)
    const timeName = eventTime ?? (known.some(({ name }) => name === inherited) ? inherited : undefined)
    const columns = columnsOfJsonSchema('output', json, timeName)
    const column = columns.findIndex(({ name }) => name === timeName)
    const time = column < 0 ? null : { column, delayMs: from?.delayMs ?? delayMsMin }
    return { columns, time, optional: optionalFields(json) }
  }
  #process<Out>(key: readonly number[], output: Form, fn: ProcessFunction): Stream<Out> {
    const { columns, time, optional } = output
    const rel = this.growing('stream')
    const missing = this.shape.optional
    const called: ProcessFunction =
      missing.length === 0 ? fn : (event, ...more) => fn(withoutNulls(event, missing), ...more)
    const plan: Plan = { op: 'process', input: rel.plan, key, fn: called, columns }
    const scope = columnsToScope(null, columns)
    return new Stream<Out>({ rel: { plan, scope, time, key: null, appendOnly: true, windows: [] }, optional })
  }
}
/** What a function gives. */
interface Form {
  readonly columns: Columns
  readonly time: Rel['time']
  readonly optional: readonly string[]
}
/** The rows that a function emits, and those for its sides. */
export class ProcessedStream<T, Sides> extends Stream<T> {
  readonly #side: (name: string) => StreamShape

  constructor(shape: StreamShape, side: (name: string) => StreamShape) {
    super(shape)
    this.#side = side
  }
  side<K extends keyof Sides & string>(name: K): Stream<Sides[K]> {
    return new Stream<Sides[K]>(this.#side(name))
  }
}
const sideless = (name: string): never => {
  throw new Fault('config.invalid', { setting: 'side', value: name, why: 'the function has no side outputs' })
}
const streamOf = <Row>(rel: Rel): Stream<Row> => new Stream<Row>({ rel, optional: [] })
const namesOf = (names: string | readonly string[]): readonly string[] => (typeof names === 'string' ? [names] : names)
