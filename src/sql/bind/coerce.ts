/** Turning a bound expression into one of another type. */
import type { Expression } from '../../flow/expression.ts'
import { functions } from '../../flow/functions/index.ts'
import { type Columns, type DataType, typeName } from '../../schema/types.ts'
import { SqlFault } from '../fault.ts'
import { asSqlFault, constantValue, textConstant } from './literals.ts'
import { type Bound, branch, call, isNull, literal } from './bound.ts'
import { type CastContext, castContext, category, commonType, sameType } from './types.ts'

const strength: Readonly<Record<CastContext, number>> = { implicit: 0, assignment: 1, explicit: 2 }

/** Whether the value may become the type where only casts of this freedom are made. */
export function canCoerce(from: Bound, to: DataType, context: CastContext): boolean {
  if (from.unknown) return true
  const needed = castContext(from.expr.type, to)
  return needed !== null && strength[needed] <= strength[context]
}

/** The value as the type, or null where PostgreSQL would not cast. Throws SqlFault for a text that does not fit. */
export function coerce(from: Bound, to: DataType, context: CastContext, text: string): Bound | null {
  const made = (expr: Expression): Bound => ({ ...from, expr, unknown: false })
  const { expr } = from
  if (from.unknown) return made(unknownConstant(expr, to, text, from.at))
  if (sameType(expr.type, to)) return from
  if (from.parts !== undefined && (to.kind === 'composite' || to.kind === 'array'))
    return { ...from, ...ofParts(from, from.parts, to, context, text) }
  if (!canCoerce(from, to, context)) return null
  if (to.kind === 'varchar' && to.length === null && (expr.type.kind === 'text' || expr.type.kind === 'varchar'))
    return made(retyped(expr, to))
  if (to.kind === 'text' && expr.type.kind === 'varchar') return made(retyped(expr, to))
  if (isWider(expr.type, to)) return made(retyped(expr, to))
  const cast = castExpression(expr, to)
  return cast === null ? null : made(folded(cast, text, from.at))
}
/** A row or array that is written out: part by part. Throws SqlFault at the part that does not fit. */
function ofParts(
  { expr, at }: Bound,
  parts: readonly Bound[],
  to: DataType & { kind: 'composite' | 'array' },
  context: CastContext,
  text: string,
): Pick<Bound, 'expr' | 'parts'> {
  const isRow = expr.kind === 'call' && expr.name === 'row-of'
  if (isRow !== (to.kind === 'composite'))
    throw new SqlFault('sql.type-mismatch', `${isRow ? 'a row' : 'an array'} is no ${typeName(to)}`, text, at)
  if (to.kind === 'composite' && parts.length !== to.fields.length)
    throw new SqlFault(
      'sql.type-mismatch',
      `a row of ${parts.length} values is no ${typeName(to)}, which has ${to.fields.length} fields`,
      text,
      at,
    )
  const made = parts.map((part, i) => {
    const type = to.kind === 'array' ? to.of : to.fields[i]!.type
    const what = to.kind === 'array' ? 'the element of the array' : `field "${to.fields[i]!.name}"`
    return coerceOrFail(part, type, context === 'implicit' ? 'implicit' : 'assignment', text, what)
  })
  const args = made.map((part) => part.expr)
  return { parts: made, expr: call(isRow ? 'row-of' : 'array-of', args, to) }
}
function unknownConstant(expr: Expression, to: DataType, text: string, at: number): Expression {
  if (expr.kind !== 'literal' || expr.value === null) return literal(null, to)
  return textConstant(String(expr.value), to, text, at)
}
/** The same scale and no limit of digits: the same in memory. */
const isWider = (from: DataType, to: DataType): boolean =>
  from.kind === 'numeric' && to.kind === 'numeric' && to.precision === null && to.scale === from.scale
/** Text and varchar are the same in memory. */
const retyped = (expr: Expression, type: DataType): Expression => ({ ...expr, type })

function castExpression(expr: Expression, to: DataType): Expression | null {
  if (functions.find('cast', [expr.type], to.kind) !== null) return call('cast', [expr], to)
  if (expr.type.kind === 'composite' && to.kind === 'composite') return byPosition(expr, expr.type.fields, to)
  if (to.kind === 'array' || expr.type.kind === 'array' || to.kind === 'composite') return null
  const viaText =
    functions.find('cast', [expr.type], 'text') !== null && functions.find('cast', [{ kind: 'text' }], to.kind) !== null
  return viaText ? call('cast', [call('cast', [expr], { kind: 'text' })], to) : null
}
/** One composite as another of as many fields. */
function byPosition(expr: Expression, from: Columns, to: DataType & { kind: 'composite' }): Expression | null {
  const parts: Expression[] = []
  for (const [i, { name, type }] of from.entries()) {
    const part: Expression = { kind: 'field', arg: expr, name, type }
    const cast = sameType(type, to.fields[i]!.type) ? part : castExpression(part, to.fields[i]!.type)
    if (cast === null) return null
    parts.push(cast)
  }
  const missing = branch(isNull(expr), literal(null, to))
  return { kind: 'case', branches: [missing], otherwise: call('row-of', parts, to), type: to }
}
/** A cast of a constant is done now, once, and its error has a place. */
function folded(cast: Expression, text: string, at: number): Expression {
  if (cast.kind !== 'call' || cast.args[0]!.kind !== 'literal') return cast
  try {
    return literal(constantValue(cast), cast.type)
  } catch (error) {
    throw asSqlFault(error, text, at)
  }
}

/** As `coerce`, where it must succeed. */
export function coerceOrFail(from: Bound, to: DataType, context: CastContext, text: string, what: string): Bound {
  const done = coerce(from, to, context, text)
  if (done !== null) return done
  const types = `${typeName(from.expr.type)}, not ${typeName(to)}`
  throw new SqlFault('sql.type-mismatch', `${what} is of type ${types}`, text, from.at)
}

/** A cast that was written. */
export function explicitCast(from: Bound, to: DataType, text: string): Bound {
  const done = coerce(from, to, 'explicit', text)
  if (done !== null) return done
  throw new SqlFault(
    'sql.cannot-cast',
    `cannot cast type ${typeName(from.expr.type)} to ${typeName(to)}`,
    text,
    from.at,
  )
}

/** A number written in the text takes the scale of its neighbours where it fits without loss. */
function atCommonScale(items: readonly Bound[]): DataType | null {
  let scale: number | null = null
  for (const { expr, unknown } of items) {
    if (unknown || expr.kind === 'literal' || expr.type.kind !== 'numeric') continue
    if (expr.type.scale === null || (scale !== null && scale !== expr.type.scale)) return null
    scale = expr.type.scale
  }
  if (scale === null) return null
  const fits = items.every(({ expr, unknown }) => {
    if (unknown)
      return (
        expr.kind === 'literal' && (expr.value === null || (decimalPlaces(String(expr.value)) ?? Infinity) <= scale)
      )
    if (expr.type.kind === 'numeric') return expr.type.scale !== null && expr.type.scale <= scale
    return category(expr.type.kind) === 'number' && expr.type.kind !== 'real' && expr.type.kind !== 'double'
  })
  return fits ? { kind: 'numeric', precision: null, scale } : null
}
const decimalPlaces = (text: string): number | null => {
  const match = /^\s*[+-]?\d*\.?(\d*)\s*$/.exec(text)
  return match === null || !/\d/.test(text) ? null : match[1]!.length
}

/** All items as one type: branches of CASE, both sides of a comparison, rows of UNION. Null where there is none. */
export function unify(items: readonly Bound[], text: string): { items: Bound[]; type: DataType } | null {
  const typed = items.filter((item) => !item.unknown).map((item) => item.expr.type)
  const type = atCommonScale(items) ?? commonType(typed)
  if (type === null) return null
  const coerced: Bound[] = []
  for (const item of items) {
    const done = coerce(item, type, 'implicit', text) ?? numericAssignment(item, type, text)
    if (done === null) return null
    coerced.push(done)
  }
  return { items: coerced, type }
}
/** Numerics of different scales are one type in PostgreSQL. */
const numericAssignment = (item: Bound, type: DataType, text: string): Bound | null =>
  item.expr.type.kind === 'numeric' && type.kind === 'numeric' ? coerce(item, type, 'assignment', text) : null
