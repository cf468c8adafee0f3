/** What types a condition suggests for names that nobody declared: those of the constants that they meet. */
import type { DataType } from '../schema/types.ts'
import type { Expr, TypeRef } from '../sql/syntax/ast.ts'

const text: DataType = { kind: 'text' }
const number: DataType = { kind: 'numeric', precision: null, scale: null }
const boolean: DataType = { kind: 'boolean' }
const json: DataType = { kind: 'jsonb' }
const arithmetic = new Set(['+', '-', '*', '/', '%', '^'])
const jsonOperators = new Set(['->', '->>', '#>', '#>>', '@>', '<@', '?', '?|', '?&'])

/** Types by dotted name; the first suggestion counts. */
export function fieldTypes(expr: Expr, resolve: (type: TypeRef) => DataType): Map<string, DataType> {
  const found = new Map<string, DataType>()
  const suggest = (part: Expr, type: DataType | null): void => {
    if (type === null) return
    if (part.kind === 'name') {
      const name = part.parts.map((p) => p.text).join('.')
      if (!found.has(name)) found.set(name, type)
    } else if (part.kind === 'binary' && arithmetic.has(part.op)) {
      suggest(part.left, type)
      suggest(part.right, type)
    } else if (part.kind === 'unary') suggest(part.arg, type)
  }
  const typeOf = (part: Expr): DataType | null => {
    switch (part.kind) {
      case 'number':
        return number
      case 'boolean':
        return boolean
      case 'string':
        return text
      case 'typed':
      case 'cast':
        return resolve(part.type)
      case 'binary':
        return arithmetic.has(part.op) ? (typeOf(part.left) ?? typeOf(part.right) ?? number) : null
      case 'unary':
        return typeOf(part.arg)
      case 'call':
        return clocks.has(part.name.parts.at(-1)!.text.toLowerCase()) ? { kind: 'timestamptz' } : null
      default:
        return null
    }
  }
  const visit = (part: Expr): void => {
    switch (part.kind) {
      case 'and':
      case 'or':
        for (const arg of part.args) {
          visit(arg)
          suggest(arg, boolean)
        }
        return
      case 'not':
        visit(part.arg)
        suggest(part.arg, boolean)
        return
      case 'is':
        visit(part.arg)
        if (part.what !== 'null') suggest(part.arg, boolean)
        return
      case 'binary':
        visit(part.left)
        visit(part.right)
        if (jsonOperators.has(part.op)) suggest(part.left, json)
        else if (arithmetic.has(part.op)) suggest(part, typeOf(part))
        else {
          suggest(part.left, typeOf(part.right))
          suggest(part.right, typeOf(part.left))
        }
        return
      case 'distinct':
        suggest(part.left, typeOf(part.right))
        suggest(part.right, typeOf(part.left))
        return
      case 'between':
        suggest(part.arg, typeOf(part.low) ?? typeOf(part.high))
        return
      case 'in':
        suggest(part.arg, part.list.map(typeOf).find((type) => type !== null) ?? null)
        return
      case 'case':
        for (const branch of part.branches) visit(branch.when)
        return
      case 'call':
        for (const arg of part.args) visit(arg.value)
        return
      default:
    }
  }
  visit(expr)
  suggest(expr, boolean)
  return found
}
const clocks = new Set(['now', 'current_timestamp', 'localtimestamp', 'transaction_timestamp', 'statement_timestamp'])
