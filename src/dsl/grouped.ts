/** Grouping: by keys, in windows, and several streams together. */
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import { typeName } from '../schema/types.ts'
import type { Rel } from '../sql/plan/relation.ts'
import {
  type AggregationsOf,
  type AnyAggregation,
  type Aggregation,
  type OptionalResults,
  type Results,
  aggregateText,
} from './aggregation.ts'
import { type ColumnsOf, Expr, columnExprs } from './expr.ts'
import { slidingRel, slidingSize } from './sliding-window.ts'
import { planStep } from './step.ts'
import type { Stream } from './stream.ts'
import { Text, intervalText, listOf, quoted, textOf } from './text.ts'

export type WindowOptions =
  /** Windows that follow one another. */
  | { readonly tumbling: string; readonly offset?: string }
  /** Windows of this size, one beginning every so often. */
  | { readonly hopping: string; readonly every: string; readonly offset?: string }
  /** Windows of this size, with one that ends every so often after their beginning. */
  | { readonly cumulating: string; readonly every: string; readonly offset?: string }
  /** Rows of a key that follow one another within the gap. */
  | { readonly session: string }
  /** Windows of this size that end with a row of a key, or begin right behind one: all whose rows differ. */
  | { readonly sliding: string }
/** What makes a stream of rows; the class itself would be known to this file and know it. */
export type MakeStream = <Row>(rel: Rel) => Stream<Row>
type Windowed = { readonly window_start: string; readonly window_end: string }

interface Window {
  readonly kind: 'TUMBLE' | 'HOP' | 'CUMULATE' | 'SESSION' | 'SLIDING'
  readonly lengths: readonly string[]
  /** Of one that slides. */
  readonly sizeMs?: number
  readonly time: string
}
export interface Grouping {
  readonly keys: readonly string[]
  readonly window: Window | null
}
export function windowOf(of: WindowOptions): Omit<Window, 'time'> {
  if ('sliding' in of) return { kind: 'SLIDING', lengths: [], sizeMs: slidingSize(of.sliding) }
  const length = (name: string, text: string): string => intervalText(parseDuration(name, text))
  if ('session' in of) return { kind: 'SESSION', lengths: [length('session', of.session)] }
  const offset = of.offset === undefined ? [] : [length('offset', of.offset)]
  if ('tumbling' in of) return { kind: 'TUMBLE', lengths: [length('tumbling', of.tumbling), ...offset] }
  const [kind, name, size] =
    'hopping' in of ? (['HOP', 'hopping', of.hopping] as const) : (['CUMULATE', 'cumulating', of.cumulating] as const)
  return { kind, lengths: [length('every', of.every), length(name, size), ...offset] }
}

/** Each aggregation whose field is missing or of the wrong type becomes `never`, so that the call does not type-check. */
export type Fits<T, A> = {
  [N in keyof A]: A[N] extends Aggregation<infer C, infer Needs, infer R>
    ? [C] extends [keyof T]
      ? [T[C]] extends [Needs]
        ? Aggregation<C, Needs, R>
        : never
      : never
    : never
}
type Flat<T> = { readonly [K in keyof T]: T[K] }

export class WindowedStream<T> {
  readonly #input: Rel
  readonly #window: Window
  readonly #made: MakeStream

  constructor(input: Rel, window: Window, made: MakeStream) {
    this.#made = made
    this.#input = input
    this.#window = window
  }
  groupBy<K extends keyof T & string>(...keys: readonly K[]): GroupedStream<T, Windowed & Pick<T, K>> {
    return new GroupedStream<T, Windowed & Pick<T, K>>(this.#input, { keys, window: this.#window }, this.#made)
  }
}

export class GroupedStream<T, Keys> {
  readonly input: Rel
  readonly grouping: Grouping
  /** Only for the types. */
  declare readonly keys: Keys
  declare readonly row: T

  readonly #made: MakeStream

  constructor(input: Rel, grouping: Grouping, made: MakeStream) {
    this.#made = made
    this.input = input
    this.grouping = grouping
  }
  /**
   * A row for each group: window_start and window_end, the keys, then the aggregates. `emit: 'close'` gives it once, when its
   * window is over.
   */
  aggregate<A extends AggregationsOf>(
    aggregations: (row: ColumnsOf<T>) => A,
    options?: { readonly emit?: 'update' | 'close' },
  ): Stream<Flat<Keys & Results<A>>>
  aggregate<A extends AggregationsOf>(
    aggregations: A & Fits<T, A>,
    options?: { readonly emit?: 'update' | 'close' },
  ): Stream<Flat<Keys & Results<A>>>
  aggregate(
    aggregations: AggregationsOf | ((row: ColumnsOf<T>) => AggregationsOf),
    { emit = 'update' }: { readonly emit?: 'update' | 'close' } = {},
  ): Stream<Flat<Keys & Results<AggregationsOf>>> {
    const { window } = this.grouping
    if (emit === 'close' && window === null)
      throw new Fault('config.invalid', { setting: 'emit', value: 'close', why: 'only windows close' })
    const text = groupText(this.grouping, aggregatesOf(this.input, aggregations), emit === 'close')
    const { keys } = this.grouping
    const input = window?.sizeMs === undefined ? this.input : slidingRel(this.input, keys, window.sizeMs)
    return this.#made(planStep(text, { input }))
  }
  /** Together with groups of the same keys of other streams: `and` adds those, `aggregate` gives a row for each key. */
  cogroup<A extends AggregationsOf>(make: (row: ColumnsOf<T>) => A): Cogrouped<Keys, OptionalResults<A>> {
    return new Cogrouped<Keys, {}>([], this.#made).and(this, make)
  }
}
/** Aggregates over the columns of `input`, each under its name. */
function aggregatesOf<T>(
  input: Rel,
  aggregations: AggregationsOf | ((row: ColumnsOf<T>) => AggregationsOf),
): readonly Text[] {
  const names = input.plan.columns.map(({ name }) => name)
  const made = typeof aggregations === 'function' ? aggregations(columnExprs<T>('input', names)) : aggregations
  for (const { name, over } of Object.values<AnyAggregation>(made))
    if (typeof over === 'string' && !names.includes(over))
      throw new Fault('config.invalid', { setting: name, value: over, why: 'the stream has no such column' })
  return Object.entries(made).map(([name, one]) => textOf`${aggregateText(one)} AS ${quoted(name)}`)
}
/** A row for each group of these keys. */
export const groupedText = <T>(
  keys: readonly string[],
  input: Rel,
  aggregations: AggregationsOf | ((row: ColumnsOf<T>) => AggregationsOf),
): Text => groupText({ keys, window: null }, aggregatesOf(input, aggregations), false)
function groupText({ keys, window }: Grouping, aggregates: readonly Text[], close: boolean): Text {
  const by = [...(window === null ? [] : ['window_start', 'window_end']), ...keys.map(quoted)]
  const group = by.length === 0 ? '' : ` GROUP BY ${by.join(', ')}`
  const emit = close ? ' EMIT ON WINDOW CLOSE' : ''
  return textOf`SELECT ${listOf([...by, ...aggregates])} FROM ${window === null ? 'input' : windowText(window, keys)}${group}${emit}`
}
function windowText({ kind, lengths, time }: Window, keys: readonly string[]): string {
  // Its columns are there already.
  if (kind === 'SLIDING') return 'input'
  const partition = kind !== 'SESSION' || keys.length === 0 ? '' : ` PARTITION BY ${keys.map(quoted).join(', ')}`
  return `${kind}(TABLE input${partition}, DESCRIPTOR(${quoted(time)}), ${lengths.join(', ')})`
}

interface Part {
  readonly input: Rel
  readonly keys: readonly string[]
  /** Over the columns under `prefix`. */
  readonly aggregates: readonly Text[]
  readonly names: readonly string[]
  readonly prefix: string
}
/** Groups of several streams that have the same keys: the rows of all, each aggregate over those of its own. */
export class Cogrouped<Keys, Row> {
  readonly #parts: readonly Part[]
  /** Only for the types. */
  declare readonly keys: Keys

  readonly #made: MakeStream

  constructor(parts: readonly Part[], made: MakeStream) {
    this.#made = made
    this.#parts = parts
  }
  and<T, A extends AggregationsOf>(
    grouped: GroupedStream<T, Keys>,
    make: (row: ColumnsOf<T>) => A,
  ): Cogrouped<Keys, Row & OptionalResults<A>> {
    const { input, grouping } = grouped
    if (grouping.window !== null)
      throw new Fault('config.invalid', {
        setting: 'cogroup',
        value: 'a window',
        why: 'streams are grouped together by keys alone',
      })
    const index = this.#parts.length
    const prefix = `${index}.`
    const names = input.plan.columns.map(({ name }) => name)
    const isOurs = Expr.of<boolean>(`"side of a row" = ${index}`)
    const made = make(columnExprs<T>('rows_of_all', names, prefix))
    const aggregates = Object.entries<AnyAggregation>(made).map(
      ([name, one]) => textOf`${aggregateText(one.filter(isOurs))} AS ${quoted(name)}`,
    )
    return new Cogrouped<Keys, Row & OptionalResults<A>>(
      [...this.#parts, { input, keys: grouping.keys, aggregates, names, prefix }],
      this.#made,
    )
  }
  /** A row for each key that is in any of the streams. */
  aggregate(): Stream<Flat<Keys & Row>> {
    const parts = this.#parts
    const columns = parts.flatMap(({ input, prefix }, side) =>
      input.plan.columns.map(({ name, type }) => ({ side, type, name, as: quoted(prefix + name) })),
    )
    const [first] = parts
    const keys = first!.keys.map(quoted)
    const selects = parts.map((part, side) => {
      const list = columns.map((column) =>
        column.side === side
          ? `${quoted(column.name)} AS ${column.as}`
          : `CAST(NULL AS ${typeName(column.type)}) AS ${column.as}`,
      )
      const named = part.keys.map((name, i) => `${quoted(name)} AS ${keys[i]!}`)
      return `SELECT ${[...named, `${side} AS "side of a row"`, ...list].join(', ')} FROM input${side}`
    })
    const aggregates = parts.flatMap((part) => part.aggregates)
    const group = keys.length === 0 ? '' : ` GROUP BY ${keys.join(', ')}`
    const text = textOf`SELECT ${listOf([...keys, ...aggregates])} FROM (${selects.join(' UNION ALL ')}) AS rows_of_all${group}`
    const inputs = Object.fromEntries(parts.map(({ input }, side) => [`input${side}`, input]))
    return this.#made(planStep(text, inputs))
  }
}
