/** Intervals that must be a plain length of time. */
import { intervalMs as milliseconds } from '../../flow/functions/interval-text.ts'
import type { Interval } from '../../flow/memory.ts'
import type { Bound } from './bound.ts'
import { coerce } from './coerce.ts'
import { constantValue } from './literals.ts'
import { visitExpression } from './bound.ts'

/** Milliseconds of a constant interval; null when it is none, has months, or is finer than a millisecond. */
export function intervalMs(bound: Bound, text: string): number | null {
  const typed = coerce(bound, { kind: 'interval' }, 'implicit', text)
  if (typed === null || !isConstant(typed)) return null
  const value = constantValue(typed.expr)
  return value === null ? null : milliseconds(value as Interval)
}
export function isConstant({ expr }: Bound): boolean {
  let constant = true
  visitExpression(expr, (part) => {
    if (part.kind === 'column' || part.kind === 'now') constant = false
  })
  return constant
}
