/** What aggregates say: over a field by its name, or over an expression. */
import type { Condition, Value } from './expr.ts'
import { Text, quoted, textOf } from './text.ts'

/** An aggregate over the field `Column`, which must be of type `Needs`; over an expression both are never. */
export class Aggregation<Column extends string, Needs, Result> {
  readonly name: string
  readonly over: Column | Value<unknown> | null
  readonly isDistinct: boolean
  readonly condition: Text | null
  /** Only for the types. */
  declare readonly needs: (value: Needs) => void
  declare readonly result: Result

  constructor(name: string, over: Column | Value<unknown> | null, isDistinct = false, condition: Text | null = null) {
    this.name = name
    this.over = over
    this.isDistinct = isDistinct
    this.condition = condition
  }
  /** Over the rows alone for which it holds. */
  filter(holds: Condition): Aggregation<Column, Needs, Filtered<Result>> {
    const both = this.condition === null ? holds : textOf`(${this.condition} AND ${holds})`
    return new Aggregation(this.name, this.over, this.isDistinct, both)
  }
  /** Over different values. */
  distinct(): Aggregation<Column, Needs, Result> {
    return new Aggregation(this.name, this.over, true, this.condition)
  }
}
/** Without any row there is none; a count is 0. */
type Filtered<R> = R extends Counted ? R : R | null
declare const counted: unique symbol
type Counted = number & { readonly [counted]: true }
export type AnyAggregation = Aggregation<string, never, unknown>
export type ResultOf<A> = A extends Aggregation<string, never, infer R> ? (R extends Counted ? number : R) : never
export type AggregationsOf = { readonly [name: string]: AnyAggregation }
export type Results<A> = { readonly [N in keyof A]: ResultOf<A[N]> }

/** The same where a group may have no row of theirs. */
export type OptionalResults<A> = {
  readonly [N in keyof A]: A[N] extends Aggregation<string, never, infer R>
    ? ResultOf<Aggregation<never, never, Filtered<R>>>
    : never
}

export function aggregateText({ name, over, isDistinct, condition }: AnyAggregation): Text {
  const argument = over === null ? '*' : over instanceof Text ? over : quoted(over)
  const call = textOf`${name}(${isDistinct ? 'DISTINCT ' : ''}${argument})`
  return condition === null ? call : textOf`${call} FILTER (WHERE ${condition})`
}

type OptionalNumber = number | bigint | null | undefined
type NullOf<V> = [Extract<V, null | undefined>] extends [never] ? never : null
/** Over a field by its name, or an expression. */
interface NumberAggregate {
  <C extends string>(column: C): Aggregation<C, number | null | undefined, number>
  <V extends OptionalNumber>(of: Value<V>): Aggregation<never, never, number | NullOf<V>>
}
const overNumbers = (name: string): NumberAggregate =>
  ((over: string | Value<unknown>) => new Aggregation(name, over)) as NumberAggregate

/** Rows; of an expression those where it is not NULL. */
export const count = (of: Value<unknown> | null = null): Aggregation<never, never, Counted> =>
  new Aggregation<never, never, Counted>('count', of)
/** Different values, NULL aside. */
export const countDistinct = <C extends string>(column: C | Value<unknown>): Aggregation<C, unknown, Counted> =>
  new Aggregation('count', column, true)
export const sum = overNumbers('sum')
export const avg = overNumbers('avg')
/** Sample standard deviation. */
export const stddev = overNumbers('stddev_samp')
export const stddevPop = overNumbers('stddev_pop')
/** Sample variance. */
export const variance = overNumbers('var_samp')
export const variancePop = overNumbers('var_pop')

interface Extreme {
  <C extends string>(column: C): Aggregation<C, number | null | undefined, number>
  <V>(of: Value<V>): Aggregation<never, never, NonNullable<V> | NullOf<V>>
}
const extreme = (name: string): Extreme => ((over: string | Value<unknown>) => new Aggregation(name, over)) as Extreme
export const min = extreme('min')
export const max = extreme('max')

type OptionalBoolean = boolean | null | undefined
const overBooleans =
  (name: string) =>
  <V extends OptionalBoolean>(of: Value<V>): Aggregation<never, never, boolean | NullOf<V>> =>
    new Aggregation<never, never, boolean | NullOf<V>>(name, of)
/** Whether all are true. */
export const every = overBooleans('bool_and')
/** Whether one is true. */
export const some = overBooleans('bool_or')
