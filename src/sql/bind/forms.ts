/** Forms of expressions whose parts are bound already: COALESCE, NULLIF, lists of alternatives, clocks. */
import type { Expression } from '../../flow/expression.ts'
import type { DataType } from '../../schema/types.ts'
import { SqlFault, type Span } from '../fault.ts'
import { type Bound, booleanType, branch, isNull, literal, not, textType } from './bound.ts'
import { coerce, explicitCast, unify } from './coerce.ts'
import { noSuchFunction, resolveUniform } from './functions.ts'

type Text = { readonly text: string }

export const shown = (type: DataType): string => (type.kind === 'double' ? 'double precision' : type.kind)

/** As drivers send it: a text; null = NULL. */
export function parameterText(value: unknown): string | null {
  if (value === null || value === undefined) return null
  if (value instanceof Date) return value.toISOString()
  if (value instanceof Uint8Array) return `\\x${Buffer.from(value).toString('hex')}`
  return typeof value === 'object' ? JSON.stringify(value) : String(value)
}

/** arg op item₁ OR arg op item₂ …; all are brought to one type first, as PostgreSQL does for lists. */
export function anyOf(ctx: Text, op: string, arg: Bound, items: readonly Bound[], span: Span, negated: boolean): Bound {
  const together = unify([arg, ...items], ctx.text)
  const [first, ...rest] = together?.items ?? [arg, ...items]
  const tests = rest.map((item) => resolveUniform(op, [first!, item], span, ctx.text))
  const tree: Expression =
    tests.length === 1 ? tests[0]!.expr : { kind: 'or', args: tests.map((test) => test.expr), type: booleanType }
  const nullable = tests.some((test) => test.nullable)
  return { expr: negated ? not(tree) : tree, unknown: false, nullable, at: span.at, end: span.end }
}

export function mismatch(ctx: Text, what: string, items: readonly Bound[]): SqlFault {
  const typed = items.filter((item) => !item.unknown)
  const [first] = typed
  const other = typed.find((item) => unify([first!, item], ctx.text) === null) ?? typed.at(-1)!
  const message = `${what} types ${shown(first!.expr.type)} and ${shown(other.expr.type)} cannot be matched`
  return new SqlFault('sql.type-mismatch', message, ctx.text, other.at)
}

const timestamptz: DataType = { kind: 'timestamptz' }
export const clocks: Readonly<Record<string, DataType>> = {
  now: timestamptz,
  current_timestamp: timestamptz,
  transaction_timestamp: timestamptz,
  statement_timestamp: timestamptz,
  localtimestamp: { kind: 'timestamp' },
  current_date: { kind: 'date' },
  localtime: { kind: 'time' },
}

/** PostgreSQL lets these types be called like functions. */
export const castFunctions = new Map<string, DataType>([
  ['text', textType],
  ['bool', booleanType],
  ['int2', { kind: 'smallint' }],
  ['int4', { kind: 'int' }],
  ['int8', { kind: 'bigint' }],
  ['float4', { kind: 'real' }],
  ['float8', { kind: 'double' }],
  ['numeric', { kind: 'numeric', precision: null, scale: null }],
  ['date', { kind: 'date' }],
  ['timestamptz', timestamptz],
])

export function clock(ctx: Text, type: DataType, span: Span): Bound {
  const now: Bound = {
    expr: { kind: 'now', type: timestamptz },
    unknown: false,
    nullable: false,
    at: span.at,
    end: span.end,
  }
  return type.kind === 'timestamptz' ? now : explicitCast(now, type, ctx.text)
}
export function coalesce(ctx: Text, args: readonly Bound[], span: Span): Bound {
  const same = unify(args, ctx.text)
  if (same === null) throw mismatch(ctx, 'COALESCE', args)
  const last = same.items.at(-1)!
  if (same.items.length === 1) return last
  const branches = same.items.slice(0, -1).map((item) => branch(not(isNull(item.expr)), item.expr))
  const nullable = same.items.every((item) => item.nullable)
  return {
    expr: { kind: 'case', branches, otherwise: last.expr, type: same.type },
    unknown: false,
    nullable,
    at: span.at,
    end: span.end,
  }
}
/** The result has the type of the first argument, as in PostgreSQL. */
export function nullif(ctx: Text, args: readonly Bound[], span: Span): Bound {
  if (args.length !== 2) throw noSuchFunction('nullif', args, ctx.text, span.at)
  const equal = resolveUniform('=', args, span, ctx.text).expr
  const first = args[0]!.unknown ? coerce(args[0]!, textType, 'implicit', ctx.text)! : args[0]!
  const type = first.expr.type
  return {
    expr: { kind: 'case', branches: [branch(equal, literal(null, type))], otherwise: first.expr, type },
    unknown: false,
    nullable: true,
    at: span.at,
    end: span.end,
  }
}
/** The table has them for two arguments. */
export function extreme(ctx: Text, functionName: string, args: readonly Bound[], span: Span): Bound {
  const same = unify(args, ctx.text)
  if (same === null) throw mismatch(ctx, functionName.toUpperCase(), args)
  return extremeOf(same.items)

  /** Of halves: so a long list is no deep tree. */
  function extremeOf(items: readonly Bound[]): Bound {
    if (items.length === 1) return items[0]!
    const half = Math.ceil(items.length / 2)
    const halves = [extremeOf(items.slice(0, half)), extremeOf(items.slice(half))]
    return resolveUniform(functionName, halves, span, ctx.text)
  }
}
