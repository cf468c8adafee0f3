/** What binding an expression gives: the typed tree, where it stands in the text, and whether its type is still open. */
import { type Expression, type Value, partsOf } from '../../flow/expression.ts'
import type { DataType } from '../../schema/types.ts'
import type { Span } from '../fault.ts'

export interface Bound extends Span {
  readonly expr: Expression
  /** A bare string, NULL or parameter: takes the type that its neighbours ask for, text if nobody does. */
  readonly unknown: boolean
  readonly nullable: boolean
  /** Of a row or an array that is written out: what it is made of. They take the types that its place asks for. */
  readonly parts?: readonly Bound[]
}

export const textType: DataType = { kind: 'text' }
export const booleanType: DataType = { kind: 'boolean' }

export const literal = (value: Value, type: DataType): Expression => ({ kind: 'literal', value, type })
export const call = (name: string, args: readonly Expression[], type: DataType): Expression => ({
  kind: 'call',
  name,
  args,
  type,
})
export const not = (arg: Expression): Expression => ({ kind: 'not', arg, type: booleanType })
export const isNull = (arg: Expression): Expression => ({ kind: 'is-null', arg, type: booleanType })
/** One branch of a case; its second part is named so by the tree of `flow/`. */
export function branch(when: Expression, result: Expression): { readonly when: Expression; readonly then: Expression } {
  return { when, then: result }
}
export const column = (index: number, type: DataType): Expression => ({ kind: 'column', index, type })

/** So many µs before a time. */
export const earlier = (time: Expression, micros: number): Expression =>
  call('-', [time, literal({ months: 0, days: 0, micros }, { kind: 'interval' })], time.type)

/** One text for each distinct expression: equal texts, equal expressions. */
export function expressionKey(expr: Expression): string {
  return JSON.stringify(expr, (_, value: unknown) => {
    if (typeof value === 'bigint') return `${value}n`
    if (value instanceof Uint8Array) return `x${Buffer.from(value).toString('hex')}`
    return typeof value === 'number' && (Object.is(value, -0) || !Number.isFinite(value))
      ? `#${Object.is(value, -0) ? '-0' : value}`
      : value
  })
}

/** The tree with its columns replaced; what `replace` gives null for is walked into. */
export function mapExpression(expr: Expression, replace: (part: Expression) => Expression | null): Expression {
  const found = replace(expr)
  if (found !== null) return found
  const map = (part: Expression): Expression => mapExpression(part, replace)
  switch (expr.kind) {
    case 'column':
    case 'literal':
    case 'now':
      return expr
    case 'call':
    case 'and':
    case 'or':
      return { ...expr, args: expr.args.map(map) }
    case 'not':
    case 'is-null':
    case 'field':
      return { ...expr, arg: map(expr.arg) }
    case 'case':
      return {
        ...expr,
        branches: expr.branches.map((b) => branch(map(b.when), map(b.then))),
        otherwise: expr.otherwise === null ? null : map(expr.otherwise),
      }
  }
}
const sizes = new WeakMap<Expression, number>()
/** Nodes of the tree. A part that stands in it several times counts each time, and is looked at once. */
export function treeSize(expr: Expression): number {
  const known = sizes.get(expr)
  if (known !== undefined) return known
  const size = partsOf(expr).reduce((sum, part) => sum + treeSize(part), 1)
  sizes.set(expr, size)
  return size
}
/** Calls for every part, outermost first. */
export function visitExpression(expr: Expression, visit: (part: Expression) => void): void {
  mapExpression(expr, (part) => {
    visit(part)
    return null
  })
}
/** Positions of the columns that it reads. */
export function columnsOf(expr: Expression): Set<number> {
  const found = new Set<number>()
  visitExpression(expr, (part) => {
    if (part.kind === 'column') found.add(part.index)
  })
  return found
}
/** It may give another value each time it is computed. */
export const isVolatile = (expr: Expression): boolean =>
  (expr.kind === 'call' && expr.user?.volatile === true) || partsOf(expr).some(isVolatile)
/** The same over other positions. */
export const shiftColumns = (expr: Expression, to: (index: number) => number): Expression =>
  mapExpression(expr, (part) => (part.kind === 'column' ? { ...part, index: to(part.index) } : null))
/** The conditions that all must hold. */
export const conjuncts = (expr: Expression): readonly Expression[] =>
  expr.kind === 'and' ? expr.args.flatMap(conjuncts) : [expr]
export function conjunction(parts: readonly Expression[]): Expression | null {
  if (parts.length < 2) return parts[0] ?? null
  return { kind: 'and', args: parts, type: booleanType }
}
