/** The chain of calls that builds a plan in TypeScript: filter, map, process, window, group, aggregate. */
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import type { Columns, DataType } from '../schema/types.ts'
import type { Aggregate, Expression } from './expression.ts'
import { columnsOfJsonSchema, optionalFields } from './json-schema-columns.ts'
import type { Plan, ProcessFunction, SourcePlan } from './plan.ts'
import { type Schema, jsonSchemaOf } from './standard-schema.ts'

export type EventTime = NonNullable<SourcePlan['time']>
export interface StreamShape {
  readonly plan: Plan
  /** The event-time column, and how far events may come behind the newest; null = the record's timestamp. */
  readonly time: EventTime | null
  readonly key: readonly number[] | null
  readonly appendOnly: boolean
  /** Fields that are missing where their column is NULL. */
  readonly optional: readonly string[]
}
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

/** An aggregate over the field `Column`, which must be of type `Needs`. */
export interface Aggregation<Column extends string, Needs, Result> {
  readonly name: string
  readonly column: Column | null
  readonly distinct: boolean
  /** Only for the types. */
  readonly needs?: (value: Needs) => void
  readonly result?: Result
}
type Windowed = { readonly window_start: string; readonly window_end: string }
type AnyAggregation = Aggregation<string, never, unknown>
type ResultOf<A> = A extends Aggregation<string, never, infer R> ? R : never
/** Each aggregation whose field is missing or of the wrong type becomes `never`, so that the call does not type-check. */
type Fits<T, A> = {
  [N in keyof A]: A[N] extends Aggregation<infer C, infer Needs, infer R>
    ? [C] extends [keyof T]
      ? [T[C]] extends [Needs]
        ? Aggregation<C, Needs, R>
        : never
      : never
    : never
}
type Flat<T> = { readonly [K in keyof T]: T[K] }

export class Stream<T> {
  readonly shape: StreamShape
  /** Only for the type. */
  declare readonly row: (value: T) => T

  constructor(shape: StreamShape) {
    this.shape = shape
  }
  private get columns(): Columns {
    return this.shape.plan.columns
  }

  /** Events for which it holds. */
  filter(holds: (event: T) => boolean): Stream<T> {
    const fn = (event: T, _state: unknown, emit: (row: T) => void): undefined => {
      if (holds(event)) emit(event)
    }
    return this.#process([], { ...this.shape, columns: this.columns }, fn as unknown as ProcessFunction)
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
  /** Events in order for each key, with a state of its own: what `fn` returns is the state that the next event finds. */
  process<Out, S = unknown>(
    options: {
      readonly key: (keyof T & string) | readonly (keyof T & string)[]
      readonly output: Schema<Out> | Output<Out>
    },
    fn: Process<T, Out, S>,
  ): Stream<Out> {
    const keys = (Array.isArray(options.key) ? options.key : [options.key]) as readonly string[]
    return this.#shaped(
      keys.map((name) => this.#position(name)),
      options.output,
      fn as unknown as ProcessFunction,
    )
  }
  /** Windows of event time that follow one another. */
  window(of: { readonly tumbling: string }): WindowedStream<T> {
    return new WindowedStream<T>(this.shape, parseDuration('tumbling', of.tumbling))
  }
  groupBy<K extends keyof T & string>(...keys: readonly K[]): GroupedStream<T, Pick<T, K>> {
    return new GroupedStream<T, Pick<T, K>>(
      this.shape,
      keys.map((name) => this.#position(name)),
      null,
    )
  }

  #position(name: string): number {
    const position = this.columns.findIndex((column) => column.name === name)
    if (position < 0)
      throw new Fault('config.invalid', { setting: 'column', value: name, why: 'the stream has no such column' })
    return position
  }
  #shaped<Out>(key: readonly number[], output: Schema<Out> | Output<Out>, fn: ProcessFunction): Stream<Out> {
    const { schema, eventTime, jsonSchema } =
      '~standard' in output ? { schema: output, eventTime: undefined, jsonSchema: undefined } : output
    // The event time goes on under its name, where the output has it.
    const inherited = this.shape.time === null ? undefined : this.columns[this.shape.time.column]!.name
    const json = jsonSchema ?? jsonSchemaOf('output', schema)
    const known = columnsOfJsonSchema('output', json)
    const timeName = eventTime ?? (known.some(({ name }) => name === inherited) ? inherited : undefined)
    const columns = columnsOfJsonSchema('output', json, timeName)
    const time = columns.findIndex(({ name }) => name === timeName)
    const delayMs = this.shape.time?.delayMs ?? delayMsMin
    return this.#process(
      key,
      { columns, time: time < 0 ? null : { column: time, delayMs }, optional: optionalFields(json) },
      fn,
    )
  }
  #process<Out>(
    key: readonly number[],
    output: { readonly columns: Columns } & Pick<StreamShape, 'time' | 'optional'>,
    fn: ProcessFunction,
  ): Stream<Out> {
    const { columns, time, optional } = output
    const plan: Plan = {
      op: 'process',
      input: this.shape.plan,
      key,
      fn: withoutNulls(fn, this.shape.optional),
      columns,
    }
    return new Stream<Out>({ plan, time, key: null, appendOnly: true, optional })
  }
}
/** An event of the function's own type: what is optional there is missing, not null. */
function withoutNulls(fn: ProcessFunction, optional: readonly string[]): ProcessFunction {
  if (optional.length === 0) return fn
  return (event, state, emit, context) => {
    const given: { [column: string]: unknown } = { ...event }
    for (const field of optional) if (given[field] === null) delete given[field]
    return fn(given, state, emit, context)
  }
}
export interface Output<Out> {
  readonly schema: Schema<Out>
  readonly jsonSchema?: object
  /** The field that says when the row happened. Default: the input's event-time field, where the output has one of that name. */
  readonly eventTime?: keyof Out & string
}

export class WindowedStream<T> {
  readonly #input: StreamShape
  readonly #sizeMs: number

  constructor(input: StreamShape, sizeMs: number) {
    this.#input = input
    this.#sizeMs = sizeMs
  }
  groupBy<K extends keyof T & string>(...keys: readonly K[]): GroupedStream<T, Windowed & Pick<T, K>> {
    const { plan, time } = this.#input
    if (time === null)
      throw new Fault('config.invalid', {
        setting: 'window',
        value: 'event time',
        why: 'the stream has no event-time column',
      })
    const { type } = plan.columns[time.column]!
    const columns: Columns = [
      ...plan.columns,
      { name: 'window_start', type, nullable: false },
      { name: 'window_end', type, nullable: false },
    ]
    const windowed: Plan = {
      op: 'window',
      input: plan,
      window: { kind: 'tumble', sizeMs: this.#sizeMs },
      time: time.column,
      columns,
    }
    const positions = keys.map((name) => plan.columns.findIndex((column) => column.name === name))
    const start = plan.columns.length
    return new GroupedStream({ ...this.#input, plan: windowed }, [start, start + 1, ...positions], 1)
  }
}

export class GroupedStream<T, Keys> {
  readonly #input: StreamShape
  readonly #keys: readonly number[]
  readonly #windowEnd: number | null

  constructor(input: StreamShape, keys: readonly number[], windowEnd: number | null) {
    this.#input = input
    this.#keys = keys
    this.#windowEnd = windowEnd
  }
  /** A row for each group: the keys, then the aggregates. `emit: 'close'` gives it once, when its window is over. */
  aggregate<A extends Record<string, AnyAggregation>>(
    aggregations: A & Fits<T, A>,
    options: { readonly emit?: 'update' | 'close' } = {},
  ): Stream<Flat<Keys & { [N in keyof A]: ResultOf<A[N]> }>> {
    const { plan } = this.#input
    const emit = options.emit ?? 'update'
    if (emit === 'close' && this.#windowEnd === null)
      throw new Fault('config.invalid', { setting: 'emit', value: 'close', why: 'only windows close' })
    const aggregates = Object.values<AnyAggregation>(aggregations).map((one) => this.#aggregate(one))
    const columns: Columns = [
      ...this.#keys.map((position) => plan.columns[position]!),
      ...Object.keys(aggregations).map((name, i) => ({
        name,
        type: aggregates[i]!.type,
        nullable: aggregates[i]!.name !== 'count',
      })),
    ]
    return new Stream({
      plan: { op: 'aggregate', input: plan, keys: this.#keys, aggregates, windowEnd: this.#windowEnd, emit, columns },
      time: null,
      key: emit === 'close' ? null : this.#keys.map((_, i) => i),
      appendOnly: emit === 'close',
      optional: [],
    })
  }
  #aggregate({ name, column, distinct }: AnyAggregation): Aggregate {
    const { columns } = this.#input.plan
    if (column === null) return { name, args: [], distinct, filter: null, type: { kind: 'bigint' } }
    const index = columns.findIndex((one) => one.name === column)
    if (index < 0)
      throw new Fault('config.invalid', { setting: name, value: column, why: 'the stream has no such column' })
    const arg: Expression = { kind: 'column', index, type: columns[index]!.type }
    return { name, args: [arg], distinct, filter: null, type: resultType(name, arg.type) }
  }
}

/** PostgreSQL's result types. */
function resultType(name: string, of: DataType): DataType {
  if (name === 'count') return { kind: 'bigint' }
  if (name === 'min' || name === 'max') return of
  const isDouble = of.kind === 'double' || of.kind === 'real'
  if (isDouble) return { kind: 'double' }
  if (name === 'sum' && (of.kind === 'int' || of.kind === 'smallint')) return { kind: 'bigint' }
  return { kind: 'numeric', precision: null, scale: null }
}

const aggregation = <C extends string, Needs, R>(
  name: string,
  column: C | null,
  distinct = false,
): Aggregation<C, Needs, R> => ({ name, column, distinct })
/** Rows. */
export const count = (): Aggregation<never, never, number> => aggregation<never, never, number>('count', null)
/** Different values, NULL aside. */
export const countDistinct = <C extends string>(column: C): Aggregation<C, unknown, number> =>
  aggregation('count', column, true)
export const sum = <C extends string>(column: C): Aggregation<C, number | null | undefined, number> =>
  aggregation('sum', column)
export const avg = <C extends string>(column: C): Aggregation<C, number | null | undefined, number> =>
  aggregation('avg', column)
export const min = <C extends string>(column: C): Aggregation<C, number | null | undefined, number> =>
  aggregation('min', column)
export const max = <C extends string>(column: C): Aggregation<C, number | null | undefined, number> =>
  aggregation('max', column)
/** Sample standard deviation. */
export const stddev = <C extends string>(column: C): Aggregation<C, number | null | undefined, number> =>
  aggregation('stddev_samp', column)
