/**
 * What stands several times in expressions that are computed together: worth computing once a row. Calls, and texts of
 * columns, which are made of bytes each time they are asked for. What may give another value each time is not among them,
 * nor what calls it: a call without arguments, a function of a program.
 */
import { type Expression, partsOf } from './expression.ts'

export class Repeated {
  private readonly numbers = new Map<string, number>()
  private readonly known = new Map<Expression, number>()
  private readonly counts = new Map<number, number>()
  private next = 0

  constructor(expressions: readonly Expression[]) {
    for (const expression of expressions) this.number(expression)
  }
  /** The same for all that are equal; null: it stands there once, or is not to be computed once. */
  of(expression: Expression): number | null {
    const number = this.known.get(expression)
    return number !== undefined && number >= 0 && this.counts.get(number)! > 1 ? number : null
  }
  /** −1: never equal to another. An object that stands at several places is counted at each. */
  private number(expression: Expression): number {
    const parts = partsOf(expression).map((part) => this.number(part))
    const own = parts.includes(-1) ? null : nameOf(expression)
    let number = -1
    if (own !== null) {
      const name = `${own} ${JSON.stringify(expression.type)} ${parts.join()}`
      number = this.numbers.get(name) ?? this.next++
      this.numbers.set(name, number)
      if (isWorthIt(expression)) this.counts.set(number, (this.counts.get(number) ?? 0) + 1)
    }
    this.known.set(expression, number)
    return number
  }
}
const isWorthIt = ({ kind, type }: Expression): boolean =>
  kind === 'call' || (kind === 'column' && (type.kind === 'text' || type.kind === 'varchar'))
/** Without its parts; null: it has no name that only equal ones have. */
function nameOf(expression: Expression): string | null {
  switch (expression.kind) {
    case 'column':
      return `column ${expression.index}`
    case 'literal': {
      const { value } = expression
      if (typeof value === 'object' && value !== null) return null
      return `literal ${typeof value} ${Object.is(value, -0) ? '-0' : String(value)}`
    }
    case 'call':
      return expression.user !== undefined || expression.args.length === 0 ? null : `call ${expression.name}`
    case 'field':
      return `field ${expression.name}`
    case 'case':
      return `case ${expression.branches.length}`
    case 'and':
    case 'or':
    case 'not':
    case 'is-null':
    case 'now':
      return expression.kind
  }
}
