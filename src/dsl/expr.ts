/**
 * Typed expressions over the columns of a row. `Expr<V>`: its values are V in JavaScript, null where it may be NULL. They
 * mean what SQL means by them: a comparison with NULL is NULL, and a row passes where a condition is true.
 */
import { Fault } from '../lib/fault.ts'
import { type JsOf, SqlFunctionDefinition, type SqlType } from '../flow/user-functions.ts'
import { type Literal, Text, listOf, literalText, quoted, textOf } from './text.ts'

type Known<V> = NonNullable<V>
/** What stands beside a V: an expression of it, or a value. */
export type Operand<V> = Value<Known<V> | null | undefined> | Extract<Known<V>, Literal> | DateFor<V>
type DateFor<V> = string extends V ? Date : never
/** null if one of them may be. */
type NullOf<V> = [Extract<V, null | undefined>] extends [never] ? never : null
type OptionalNumber = number | bigint | null | undefined
type OptionalText = string | null | undefined
type OptionalBoolean = boolean | null | undefined
export type Condition = Value<OptionalBoolean>
type ValueOf<O> = O extends Value<infer V> ? V : O
type Compared<V, O> = Expr<boolean | NullOf<V> | NullOf<ValueOf<O>>>
type Computed<V, O> = Expr<number | NullOf<V> | NullOf<ValueOf<O>>>

/** Text whose values are V: what an expression is to others. */
export class Value<V> extends Text {
  /** Only for the type. */
  declare readonly value: V
}
export class Expr<V> extends Value<V> {
  static of<V>(text: Text | string): Expr<V> {
    return typeof text === 'string' ? new Expr<V>(text) : new Expr<V>(text.text, text.functions)
  }

  eq<O extends Operand<V>>(other: O): Compared<V, O> {
    return binary(this, '=', other)
  }
  ne<O extends Operand<V>>(other: O): Compared<V, O> {
    return binary(this, '<>', other)
  }
  lt<O extends Operand<V>>(other: O): Compared<V, O> {
    return binary(this, '<', other)
  }
  le<O extends Operand<V>>(other: O): Compared<V, O> {
    return binary(this, '<=', other)
  }
  gt<O extends Operand<V>>(other: O): Compared<V, O> {
    return binary(this, '>', other)
  }
  ge<O extends Operand<V>>(other: O): Compared<V, O> {
    return binary(this, '>=', other)
  }
  in(values: readonly Operand<V>[]): Expr<boolean | NullOf<V>> {
    return values.length === 0 ? Expr.of('FALSE') : Expr.of(textOf`(${this} IN (${listOf(values.map(operand))}))`)
  }
  isNull(): Expr<boolean> {
    return Expr.of(textOf`(${this} IS NULL)`)
  }
  isNotNull(): Expr<boolean> {
    return Expr.of(textOf`(${this} IS NOT NULL)`)
  }
  /** The other value where this is NULL. */
  orElse<O extends Operand<V>>(other: O): Expr<Known<V> | NullOf<ValueOf<O>>> {
    return Expr.of(textOf`coalesce(${this}, ${operand(other)})`)
  }
  /** As another type of SQL. */
  cast<T extends SqlType>(type: T): Expr<JsOf<T> | NullOf<V>> {
    if (!/^[a-z]+(\[\])?$/.test(type)) throw invalid(type, 'it is no type')
    return Expr.of(textOf`CAST(${this} AS ${type.replace('double', 'double precision')})`)
  }

  and(this: Value<OptionalBoolean>, ...others: readonly Condition[]): Expr<boolean | null> {
    return Expr.of(textOf`(${listOf([this, ...others], ' AND ')})`)
  }
  or(this: Value<OptionalBoolean>, ...others: readonly Condition[]): Expr<boolean | null> {
    return Expr.of(textOf`(${listOf([this, ...others], ' OR ')})`)
  }
  not(this: Value<OptionalBoolean>): Expr<boolean | NullOf<V>> {
    return Expr.of(textOf`(NOT ${this})`)
  }

  plus<O extends Operand<number | bigint>>(this: Value<OptionalNumber>, other: O): Computed<V, O> {
    return binary(this, '+', other)
  }
  minus<O extends Operand<number | bigint>>(this: Value<OptionalNumber>, other: O): Computed<V, O> {
    return binary(this, '-', other)
  }
  times<O extends Operand<number | bigint>>(this: Value<OptionalNumber>, other: O): Computed<V, O> {
    return binary(this, '*', other)
  }
  /** Of whole numbers the whole quotient, as in SQL. */
  dividedBy<O extends Operand<number | bigint>>(this: Value<OptionalNumber>, other: O): Computed<V, O> {
    return binary(this, '/', other)
  }
  modulo<O extends Operand<number | bigint>>(this: Value<OptionalNumber>, other: O): Computed<V, O> {
    return binary(this, '%', other)
  }

  /** % is any text, _ any character. */
  like(this: Value<OptionalText>, pattern: string): Expr<boolean | NullOf<V>> {
    return binary(this, 'LIKE', pattern)
  }
  concat<O extends Operand<string>>(
    this: Value<OptionalText>,
    other: O,
  ): Expr<string | NullOf<V> | NullOf<ValueOf<O>>> {
    return binary(this, '||', other)
  }
}

function operand(value: Value<unknown> | Literal): Text | string {
  return value instanceof Text ? value : literalText(value)
}
const binary = <R>(left: Text, operator: string, right: Value<unknown> | Literal): Expr<R> =>
  Expr.of<R>(textOf`(${left} ${operator} ${operand(right)})`)
const invalid = (value: string, why: string): Fault =>
  new Fault('config.invalid', { setting: 'expression', value, why })

type AnyOperand = Value<unknown> | Literal
/** A function of SQL by its name, or one of `defineSqlFunction`: `call<number>('round', row.amount)`. */
export function call<V>(fn: string, ...args: readonly AnyOperand[]): Expr<V>
export function call<A extends readonly SqlType[], R extends SqlType>(
  fn: SqlFunctionDefinition<A, R>,
  ...args: { readonly [I in keyof A]: Operand<JsOf<A[I]>> }
): Expr<JsOf<R> | null>
export function call(fn: string | SqlFunctionDefinition, ...args: readonly AnyOperand[]): Expr<unknown> {
  const name = typeof fn === 'string' ? fn : fn.name
  if (!/^[a-z_][a-z0-9_]*$/.test(name)) throw invalid(name, 'it is no name of a function')
  const { text, functions } = textOf`${name}(${listOf(args.map(operand))})`
  return Expr.of(new Text(text, typeof fn === 'string' ? functions : [...new Set([fn, ...functions])]))
}
/** One of two values; NULL where there is no other. */
export function when<A extends AnyOperand, B extends AnyOperand>(
  condition: Condition,
  then: A,
  otherwise: B,
): Expr<Plain<ValueOf<A>> | Plain<ValueOf<B>>>
export function when<A extends AnyOperand>(condition: Condition, then: A): Expr<Plain<ValueOf<A>> | null>
export function when(condition: Condition, then: AnyOperand, otherwise?: AnyOperand): Expr<unknown> {
  const other = otherwise === undefined ? '' : textOf` ELSE ${operand(otherwise)}`
  return Expr.of(textOf`CASE WHEN ${condition} THEN ${operand(then)}${other} END`)
}
type Plain<V> = V extends string ? string : V extends number ? number : V extends boolean ? boolean : V

/** A row's columns as expressions. */
export type ColumnsOf<T> = { readonly [K in keyof T & string]-?: Expr<T[K]> }
/** What a selection gives. */
export type Selection = { readonly [name: string]: Value<unknown> }
export type RowOf<S extends Selection> = { readonly [K in keyof S]: NoUndefined<S[K]['value']> }
type NoUndefined<V> = undefined extends V ? Exclude<V, undefined> | null : V
/** A row that may be missing on its side of a join. */
export type Nullable<T> = { readonly [K in keyof T]: T[K] | null }

export function columnExprs<T>(alias: string, names: readonly string[], prefix = ''): ColumnsOf<T> {
  const all: { [name: string]: Expr<unknown> } = Object.create(null) as {}
  for (const name of names) all[name] = Expr.of(`${alias}.${quoted(prefix + name)}`)
  return all as unknown as ColumnsOf<T>
}
export const selectionText = (selection: Selection): Text =>
  listOf(Object.entries(selection).map(([name, expr]) => textOf`${expr} AS ${quoted(name)}`))

/** How rows are ordered. */
export class Ordering extends Text {
  declare readonly isOrdering: true
}
export const asc = (by: Value<unknown>): Ordering => ordering(by, 'ASC NULLS LAST')
/** NULL comes last. */
export const desc = (by: Value<unknown>): Ordering => ordering(by, 'DESC NULLS LAST')
function ordering(by: Value<unknown>, how: string): Ordering {
  const { text, functions } = textOf`${by} ${how}`
  return new Ordering(text, functions)
}
