/** Expressions as SQL would write them, for people: EXPLAIN and the labels of a dataflow. */
import { type Columns, type DataType, typeName } from '../schema/types.ts'
import { compileScalar } from './compile.ts'
import type { Expression, Value } from './expression.ts'

const infix = /^(?:[-+*/%^=<>|~!@#&?]+|like|ilike|not-like|not-ilike)$/
export function expressionText(expr: Expression, columns: Columns): string {
  const part = (inner: Expression): string => expressionText(inner, columns)
  const operand = (inner: Expression): string => (isCompound(inner) ? `(${part(inner)})` : part(inner))
  switch (expr.kind) {
    case 'column':
      return columns[expr.index]?.name ?? `#${expr.index}`
    case 'literal':
      return shownValue(expr.value, expr.type)
    case 'now':
      return 'now()'
    case 'and':
    case 'or':
      return expr.args.map(operand).join(` ${expr.kind} `)
    case 'not':
      return `not ${operand(expr.arg)}`
    case 'is-null':
      return `${operand(expr.arg)} is null`
    case 'field':
      return `(${part(expr.arg)}).${expr.name}`
    case 'case':
      return `case ${expr.branches.map((b) => `when ${part(b.when)} then ${part(b.then)}`).join(' ')}${expr.otherwise === null ? '' : ` else ${part(expr.otherwise)}`} end`
    case 'call': {
      if (expr.name === 'cast') return `${operand(expr.args[0]!)}::${typeName(expr.type)}`
      if (expr.name === 'equals-any') return `${operand(expr.args[0]!)} = any (${part(expr.args[1]!)})`
      if (expr.name === 'row-of') return `row(${expr.args.map(part).join(', ')})`
      if (expr.name === 'neg') return `-${operand(expr.args[0]!)}`
      if (expr.args.length === 2 && (infix.test(expr.name) || expr.name.startsWith('is-')))
        return `${operand(expr.args[0]!)} ${/[a-z]/.test(expr.name) ? expr.name.replaceAll('-', ' ') : expr.name} ${operand(expr.args[1]!)}`
      return `${expr.name}(${expr.args.map(part).join(', ')})`
    }
  }
}
const isCompound = (expr: Expression): boolean =>
  expr.kind === 'and' ||
  expr.kind === 'or' ||
  expr.kind === 'case' ||
  expr.kind === 'not' ||
  (expr.kind === 'call' && expr.args.length === 2 && infix.test(expr.name))

function shownValue(value: Value, type: DataType): string {
  if (value === null) return 'null'
  if (type.kind === 'text' || type.kind === 'varchar') return `'${String(value).replaceAll("'", "''")}'`
  if (type.kind === 'boolean' || type.kind === 'int' || type.kind === 'bigint' || type.kind === 'smallint')
    return String(value)
  if (type.kind === 'array')
    return `array[${(value as readonly Value[]).map((item) => shownValue(item, type.of)).join(', ')}]`
  const text = compileScalar({
    kind: 'call',
    name: 'cast',
    args: [{ kind: 'literal', value, type }],
    type: { kind: 'text' },
  })([], 0)
  return type.kind === 'numeric' || type.kind === 'double' || type.kind === 'real'
    ? String(text)
    : `${typeName(type)} '${String(text)}'`
}
