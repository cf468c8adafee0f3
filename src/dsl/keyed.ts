/** `process` with named states, timers and side outputs: its types, and its plan. */
import type {
  BroadcastAccess,
  KeyedAccess,
  KeyedFunction,
  ListState,
  MapState,
  NamedState,
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
import type { Stream } from './stream.ts'

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
type ReadersOf<S> = { readonly [K in keyof S]: S[K] extends StateSpec<infer H> ? ReaderOf<H> : never }
type ReaderOf<H> =
  H extends ListState<infer V>
    ? Pick<ListState<V>, 'get' | 'length'>
    : H extends MapState<infer K, infer V>
      ? Pick<MapState<K, V>, 'get' | 'has' | 'keys' | 'entries'>
      : H extends ValueState<infer V>
        ? Pick<ValueState<V>, 'get'>
        : never

export interface KeyedContext<Out, S, Sides, BS = {}> extends Omit<KeyedAccess, 'state' | 'broadcast' | 'emit'> {
  readonly state: HandlesOf<S>
  /** State of no key, as the events of `broadcast` have left it. */
  readonly broadcast: ReadersOf<BS>
  readonly timers: Timers
  emit(row: Out): void
  /** Rows for another stream than the one that `process` gives. */
  readonly side: { readonly [K in keyof Sides]: (row: Sides[K]) => void }
}
export interface Broadcast<B, BS extends StateSpecs> {
  /** Its events are for all keys. They come before events that are there at the same time; all that are there first before any other. */
  readonly input: Stream<B>
  readonly state: BS
  /** Events in order: what they write here is what all keys read. */
  readonly onEvent: (event: B, context: Omit<BroadcastAccess, 'state'> & { readonly state: HandlesOf<BS> }) => void
}
export interface KeyedOptions<T, Out, S extends StateSpecs, Sides, B = unknown, BS extends StateSpecs = {}> {
  readonly key: (keyof T & string) | readonly (keyof T & string)[]
  readonly output: Schema<Out> | Output<Out>
  readonly state?: S
  /** States of a key go when it had no call for so long, by the clock: `7d`. Default: they stay until they are cleared. */
  readonly ttl?: string
  readonly sides?: { readonly [K in keyof Sides]: Schema<Sides[K]> | Output<Sides[K]> }
  /** A second input, whose events reach every key. */
  readonly broadcast?: Broadcast<B, BS>
  /** Events in order for each key. */
  readonly onEvent: (event: T, context: KeyedContext<Out, S, Sides, BS>) => void
  readonly onTimer?: (timer: Timer, context: KeyedContext<Out, S, Sides, BS>) => void
}

/** Which output a row is for. */
export const sideColumn = 'output of a row'
export const columnOfSide = (side: string, name: string): string => `${side}.${name}`

export interface Shaped {
  readonly columns: Columns
}
/** With sides each output has columns of its own, and a column says which of them a row is for. */
export function keyedPlan<T, Out, S extends StateSpecs, Sides, B, BS extends StateSpecs>(
  input: Plan,
  key: readonly number[],
  options: KeyedOptions<T, Out, S, Sides, B, BS>,
  {
    main,
    sides,
    optional,
  }: { readonly main: Shaped; readonly sides: ReadonlyMap<string, Shaped>; readonly optional: readonly string[] },
): Plan {
  const { state = {} as S, onEvent, onTimer, broadcast } = options
  const context = (access: KeyedAccess): KeyedContext<Out, S, Sides, BS> => {
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
    } as unknown as KeyedContext<Out, S, Sides, BS>
  }
  const fn: KeyedFunction['fn'] = {
    onEvent: (event, access) => onEvent(withoutNulls(event, optional) as T, context(access)),
    ...(onTimer === undefined
      ? {}
      : { onTimer: (timer: Timer, access: KeyedAccess) => onTimer(timer, context(access)) }),
    ...(broadcast === undefined
      ? {}
      : {
          onBroadcast: (event: Row, access: BroadcastAccess) =>
            broadcast.onEvent(withoutNulls(event, broadcast.input.shape.optional) as B, access as never),
        }),
  }
  return {
    op: 'process',
    input,
    key,
    fn: () => undefined,
    keyed: {
      states: statesOf('state', state),
      ...(broadcast === undefined ? {} : { broadcast: statesOf('broadcast.state', broadcast.state) }),
      ...(options.ttl === undefined ? {} : { ttlMs: parseDuration('ttl', options.ttl) }),
      fn,
    },
    ...(broadcast === undefined ? {} : { broadcast: broadcast.input.growing('broadcast').plan }),
    columns: sides.size === 0 ? main.columns : [sideField, ...[['', main] as const, ...sides].flatMap(prefixed)],
  }
}
function statesOf(setting: string, specs: StateSpecs): NamedState[] {
  const named = Object.entries<StateSpec<object>>(specs)
  if (named.length <= statesMax) return named.map(([name, { kind }]) => ({ name, kind }))
  throw new Fault('config.invalid', { setting, value: String(named.length), why: `more than ${statesMax} states` })
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
