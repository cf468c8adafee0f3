/**
 * Typed expressions over the columns of one row: what `sql/` binds to and the TypeScript DSL builds. Compiled to
 * generated code by `flow/compile.ts`, from this tree alone, never from user text.
 */
import type { DataType } from '../schema/types.ts'

/** A value in memory form: what form a type has is said in `memory.ts`. */
export type Value =
  | null
  | boolean
  | number
  | bigint
  | string
  | Uint8Array
  | readonly Value[]
  | { readonly [name: string]: Value }

export type Expression =
  | { readonly kind: 'column'; readonly index: number; readonly type: DataType }
  | { readonly kind: 'literal'; readonly value: Value; readonly type: DataType }
  /** `name` and the argument types pick one row of the function table (`functions/`); operators and casts are functions too. */
  | {
      readonly kind: 'call'
      readonly name: string
      readonly args: readonly Expression[]
      readonly type: DataType
      /** A function of a program: no row of the table is meant. */
      readonly user?: UserFunction
    }
  /** Evaluated in order, only as far as needed. `otherwise` null = NULL. */
  | {
      readonly kind: 'case'
      readonly branches: readonly { readonly when: Expression; readonly then: Expression }[]
      readonly otherwise: Expression | null
      readonly type: DataType
    }
  /** Three-valued logic, short-circuit. */
  | { readonly kind: 'and' | 'or'; readonly args: readonly Expression[]; readonly type: DataType }
  | { readonly kind: 'not' | 'is-null'; readonly arg: Expression; readonly type: DataType }
  /** Of a composite value. */
  | { readonly kind: 'field'; readonly arg: Expression; readonly name: string; readonly type: DataType }
  /** Drawn once per tick and recorded. */
  | { readonly kind: 'now'; readonly type: DataType }

/** What an expression is made of, one level down. */
export function partsOf(expr: Expression): readonly Expression[] {
  switch (expr.kind) {
    case 'column':
    case 'literal':
    case 'now':
      return []
    case 'call':
    case 'and':
    case 'or':
      return expr.args
    case 'not':
    case 'is-null':
    case 'field':
      return [expr.arg]
    case 'case': {
      const otherwise = expr.otherwise === null ? [] : [expr.otherwise]
      return [...expr.branches.flatMap((one) => [one.when, one.then]), ...otherwise]
    }
  }
}

/** What a plan keeps of a function that a program gave (`user-functions.ts`). */
export interface UserFunction {
  readonly version: string
  /** It may give another value for the same arguments. */
  readonly volatile: boolean
  /** Its code is not part of what the plan is. */
  readonly fn: import('./functions/table.ts').FunctionRow
}

/** An aggregate over a group or a window of rows. */
export interface Aggregate {
  /** count, sum, avg, min, max, stddev_samp, stddev_pop, var_samp, var_pop, bool_and, bool_or, first, last, string_agg, array_agg … */
  readonly name: string
  readonly args: readonly Expression[]
  readonly distinct: boolean
  readonly filter: Expression | null
  readonly type: DataType
}
