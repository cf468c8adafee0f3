/** `process` with named states, timers and side outputs: its types, and its plan. */
import type {
  KeyedAccess,
  KeyedFunction,
  ListState,
  MapState,
  Plan,
  Row,
  Timer,
  Timers,
  ValueState,
} from '../flow/plan.ts'
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import type { Columns, Field } from '../schema/types.ts'
import type { Schema } from './standard-schema.ts'

export interface Output<Out> {
  readonly schema: Schema<Out>
  readonly jsonSchema?: object
  /** The field that says when the row happened. Default: the input's event-time field, where the output has one of that name. */
  readonly eventTime?: keyof Out & string
}

export interface StateSpec<Handle> {
  readonly kind: 'value' | 'list' | 'map'
  /** Only for the type. */
  readonly handle?: Handle
}
/** One value, or none. */
export const valueState = <V>(): StateSpec<ValueState<V>> => ({ kind: 'value' })
/** Elements in order, each an entry of its own. */
export const listState = <V>(): StateSpec<ListState<V>> => ({ kind: 'list' })
/** Values by key, each an entry of its own. */
export const mapState = <K extends string | number, V>(): StateSpec<MapState<K, V>> => ({ kind: 'map' })
export type StateSpecs = { readonly [name: string]: StateSpec<object> }
type HandlesOf<S> = { readonly [K in keyof S]: S[K] extends StateSpec<infer H> ? H : never }

export interface KeyedContext<Out, S, Sides> extends Omit<KeyedAccess, 'state' | 'emit'> {
  readonly state: HandlesOf<S>
  readonly timers: Timers
  emit(row: Out): void
  /** Rows for another stream than the one that `process` gives. */
  readonly side: { readonly [K in keyof Sides]: (row: Sides[K]) => void }
}
export interface KeyedOptions<T, Out, S extends StateSpecs, Sides> {
  readonly key: (keyof T & string) | readonly (keyof T & string)[]
  readonly output: Schema<Out> | Output<Out>
  readonly state?: S
  /** States of a key go when it had no call for so long, by the clock: `7d`. Default: they stay until they are cleared. */
  readonly ttl?: string
  readonly sides?: { readonly [K in keyof Sides]: Schema<Sides[K]> | Output<Sides[K]> }
  /** Events in order for each key. */
  readonly onEvent: (event: T, context: KeyedContext<Out, S, Sides>) => void
  readonly onTimer?: (timer: Timer, context: KeyedContext<Out, S, Sides>) => void
}

/** Which output a row is for. */
export const sideColumn = 'output of a row'
export const columnOfSide = (side: string, name: string): string => `${side}.${name}`

export interface Shaped {
  readonly columns: Columns
}
/** With sides each output has columns of its own, and a column says which of them a row is for. */
export function keyedPlan<T, Out, S extends StateSpecs, Sides>(
  input: Plan,
  key: readonly number[],
  options: KeyedOptions<T, Out, S, Sides>,
  {
    main,
    sides,
    optional,
  }: { readonly main: Shaped; readonly sides: ReadonlyMap<string, Shaped>; readonly optional: readonly string[] },
): Plan {
  const { state = {} as S, onEvent, onTimer } = options
  const specs = Object.entries<StateSpec<object>>(state)
  if (specs.length > statesMax)
    throw new Fault('config.invalid', {
      setting: 'state',
      value: String(specs.length),
      why: `more than ${statesMax} states`,
    })
  const context = (access: KeyedAccess): KeyedContext<Out, S, Sides> => {
    const emitTo =
      (side: string) =>
      (row: object): void =>
        access.emit(
          Object.fromEntries([
            [sideColumn, side],
            ...Object.entries(row).map(([name, value]) => [columnOfSide(side, name), value as unknown]),
          ]),
        )
    return {
      ...access,
      emit: sides.size === 0 ? (row: Out) => access.emit(row as Row) : (emitTo('') as (row: Out) => void),
      side: Object.fromEntries([...sides.keys()].map((name) => [name, emitTo(name)])),
    } as unknown as KeyedContext<Out, S, Sides>
  }
  const fn: KeyedFunction['fn'] = {
    onEvent: (event, access) => onEvent(withoutNulls(event, optional) as T, context(access)),
    ...(onTimer === undefined
      ? {}
      : { onTimer: (timer: Timer, access: KeyedAccess) => onTimer(timer, context(access)) }),
  }
  return {
    op: 'process',
    input,
    key,
    fn: () => undefined,
    keyed: {
      states: specs.map(([name, { kind }]) => ({ name, kind })),
      ...(options.ttl === undefined ? {} : { ttlMs: parseDuration('ttl', options.ttl) }),
      fn,
    },
    columns: sides.size === 0 ? main.columns : [sideField, ...[['', main] as const, ...sides].flatMap(prefixed)],
  }
}
/** A state is a byte of a key. */
const statesMax = 100
const sideField: Field = { name: sideColumn, type: { kind: 'text' }, nullable: false }
const prefixed = ([side, { columns }]: readonly [string, Shaped]): Field[] =>
  columns.map((field) => ({ ...field, name: columnOfSide(side, field.name), nullable: true }))

/** An event of the function's own type: what is optional there is missing, not null. */
export function withoutNulls(event: Row, optional: readonly string[]): Row {
  if (optional.length === 0) return event
  const given: { [column: string]: unknown } = { ...event }
  for (const field of optional) if (given[field] === null) delete given[field]
  return given
}
