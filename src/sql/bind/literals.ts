/** Constants: numbers as PostgreSQL types them, and strings turned into the type that their place asks for. */
import { compileScalar } from '../../flow/compile.ts'
import type { Expression, Value } from '../../flow/expression.ts'
import { jsonReader } from '../../flow/functions/composites.ts'
import { parseInterval } from '../../flow/functions/interval-text.ts'
import { canonical, type Interval } from '../../flow/memory.ts'
import { Fault } from '../../lib/fault.ts'
import { type DataType, typeName } from '../../schema/types.ts'
import { SqlFault } from '../fault.ts'
import { call, literal, textType } from './bound.ts'

const digitsMax = 1000

/** int, else bigint, else numeric with the scale that is written. */
export function numberLiteral(text: string, whole: boolean): Expression | null {
  if (whole) {
    const value = BigInt(text)
    if (value <= 2147483647n) return literal(Number(value), { kind: 'int' })
    if (value <= 9223372036854775807n) return literal(canonical(value), { kind: 'bigint' })
    return literal(canonical(value), { kind: 'numeric', precision: null, scale: 0 })
  }
  const parsed = decimalDigits(text)
  if (parsed === null) return null
  return literal(canonical(parsed.digits), { kind: 'numeric', precision: null, scale: parsed.scale })
}
function decimalDigits(text: string): { digits: bigint; scale: number } | null {
  const [mantissa = '', exponentText = '0'] = text.toLowerCase().split('e')
  const [before = '', after = ''] = mantissa.split('.')
  const scale = after.length - Number(exponentText)
  if (Math.abs(scale) > digitsMax) return null
  const digits = BigInt(before + after || '0')
  return scale >= 0 ? { digits, scale } : { digits: digits * 10n ** BigInt(-scale), scale: 0 }
}

/** Evaluates an expression over no columns. Faults of values come out as they are. */
export function constantValue(expr: Expression): Value {
  return expr.kind === 'literal' ? expr.value : compileScalar(expr)([], 0)
}

/** A string as a constant of the type. Throws SqlFault at the place of the string. */
export function textConstant(value: string, type: DataType, text: string, at: number): Expression {
  try {
    return literal(parseText(value, type), type)
  } catch (error) {
    throw asSqlFault(error, text, at)
  }
}
function parseText(value: string, type: DataType): Value {
  switch (type.kind) {
    case 'text':
    case 'varchar':
      return constantValue(call('cast', [literal(value, textType)], type))
    case 'interval':
      return intervalConstant(value, null)
    case 'array':
      return value.trimStart().startsWith('[') ? jsonReader(type)(value) : parseArray(value, type)
    case 'composite':
      return parseComposite(value, type)
    default:
      return constantValue(call('cast', [literal(value, textType)], type))
  }
}
export function intervalConstant(value: string, fields: string | null): Interval {
  const parsed = parseInterval(value, fields)
  if (parsed === null) throw new Fault('value.invalid-time', { type: 'interval', text: value })
  return parsed
}

function parseComposite(value: string, type: DataType): Value {
  if (!value.trimStart().startsWith('(')) return jsonReader(type)(value)
  throw new Fault('value.invalid-argument', {
    what: `rows are not written as '(…)': write ROW(…), or JSON as '{"field": 1}'`,
  })
}
/** `{a,"b c",NULL}` */
function parseArray(value: string, type: DataType & { kind: 'array' }): Value {
  const invalid = (): never => {
    throw new Fault('value.invalid-text', { type: typeName(type), text: value })
  }
  const body = /^\s*\{([^]*)\}\s*$/.exec(value)?.[1] ?? invalid()
  if (body.trim() === '') return []
  const item = /\s*(?:"((?:[^"\\]|\\[^])*)"|([^",{}\\]+))\s*(,|$)/y
  const items: Value[] = []
  for (let more = true; more;) {
    const match = item.exec(body)
    if (match === null) return invalid()
    const bare = match[2]?.trim()
    if (bare === '') invalid()
    items.push(bare?.toLowerCase() === 'null' ? null : parseText(bare ?? match[1]!.replace(/\\([^])/g, '$1'), type.of))
    more = match[3] === ','
  }
  return items
}

/** A fault of a value becomes one with a place; all else passes. */
export function asSqlFault(error: unknown, text: string, at: number): unknown {
  if (!(error instanceof Fault) || error instanceof SqlFault) return error
  if (error.code === 'value.out-of-range')
    return new SqlFault('sql.out-of-range', error.message, text, at, { hint: error.hint })
  if (!error.code.startsWith('value.')) return error
  return new SqlFault(codeOf(error), error.message, text, at, { hint: error.hint })
}
function codeOf(error: Fault): 'sql.invalid-text' | 'sql.invalid-time' | 'sql.division-by-zero' | 'sql.invalid-value' {
  if (error.code === 'value.invalid-time') return 'sql.invalid-time'
  if (error.code === 'value.division-by-zero') return 'sql.division-by-zero'
  return error.code === 'value.invalid-text' ? 'sql.invalid-text' : 'sql.invalid-value'
}
