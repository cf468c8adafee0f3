/** The window of an OVER clause: what of it another one gives, and its frame as rows or as a range along the order. */
import { toDecimal, type Interval } from '../../flow/memory.ts'
import type { Expression } from '../../flow/expression.ts'
import type { FrameEnd, OverFrame } from '../../flow/plan.ts'
import { typeName } from '../../schema/types.ts'
import { coerce } from '../bind/coerce.ts'
import { isConstant } from '../bind/durations.ts'
import { bindExpression } from '../bind/expressions.ts'
import { constantValue } from '../bind/literals.ts'
import { emptyScope } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Call, Expr, Frame, FrameBound, Name, WindowSpec } from '../syntax/ast.ts'
import { bindContext, type PlanContext } from './context.ts'
import { rowCount } from './row-count.ts'

type NamedWindows = readonly { readonly name: Name; readonly spec: WindowSpec }[]

/** OVER (…), OVER name, and OVER (name …), which may add an order and a frame. */
export function windowOf(ctx: PlanContext, over: NonNullable<Call['over']>, named: NamedWindows): WindowSpec {
  if (!('kind' in over)) return windowOf(ctx, find(ctx, over, named), before(named, over))
  const { base } = over
  if (base === null) return over
  const found = windowOf(ctx, find(ctx, base, named), before(named, base))
  const name = `window "${base.text}"`
  const fail = (message: string, at: number): never => {
    throw new SqlFault('sql.windowing', message, ctx.text, at)
  }
  if (over.partitionBy.length > 0) fail(`cannot override the PARTITION BY of ${name}`, over.partitionBy[0]!.at)
  if (over.orderBy.length > 0 && found.orderBy.length > 0)
    fail(`cannot override the ORDER BY of ${name}`, over.orderBy[0]!.at)
  if (found.frame !== null) fail(`cannot copy ${name}: it has a frame`, base.at)
  return {
    ...over,
    base: null,
    partitionBy: found.partitionBy,
    orderBy: over.orderBy.length > 0 ? over.orderBy : found.orderBy,
  }
}
const same = (a: Name, b: Name): boolean => a.text.toLowerCase() === b.text.toLowerCase()
function find(ctx: PlanContext, name: Name, named: NamedWindows): WindowSpec {
  const found = named.find((window) => same(window.name, name))
  if (found !== undefined) return found.spec
  throw new SqlFault('sql.windowing', `window "${name.text}" does not exist`, ctx.text, name.at)
}
/** A window may build on those that are named before it. */
const before = (named: NamedWindows, name: Name): NamedWindows =>
  named.slice(
    0,
    named.findIndex((window) => same(window.name, name)),
  )

/** Without a frame: up to the current row and its peers, which without an order are all rows. */
export const defaultFrame: OverFrame = { unit: 'range', from: { at: 'unbounded' }, to: { at: 'current' } }

export function frameOf(ctx: PlanContext, spec: WindowSpec, order: readonly Expression[]): OverFrame {
  const { frame } = spec
  if (frame === null) return defaultFrame
  if (frame.unit === 'groups' || frame.exclude !== null) {
    const what = frame.unit === 'groups' ? 'GROUPS' : 'EXCLUDE'
    throw new SqlFault('sql.unsupported', `${what} in a frame is not supported yet`, ctx.text, frame.at, {
      hint: 'ROWS and RANGE are, from … PRECEDING, CURRENT ROW or … FOLLOWING to one of these.',
    })
  }
  const unit = frame.unit
  const end = (bound: FrameBound): FrameEnd => frameEnd(ctx, bound, frame, order)
  return { unit, from: end(frame.from), to: end(frame.to) }
}
function frameEnd(ctx: PlanContext, bound: FrameBound, frame: Frame, order: readonly Expression[]): FrameEnd {
  if (!('offset' in bound)) return { at: bound.kind === 'current-row' ? 'current' : 'unbounded' }
  const value = frame.unit === 'rows' ? rowsOf(ctx, bound.offset) : rangeOf(ctx, bound.offset, frame, order)
  return { at: bound.kind, value }
}
function rowsOf(ctx: PlanContext, expr: Expr): number {
  const rows = rowCount(ctx, expr, 'a frame')
  if (rows === null) throw new SqlFault('sql.invalid-value', 'a frame offset must not be NULL', ctx.text, expr.at)
  return rows
}

const dayMicros = 86_400_000_000
/** What is added to a value of the order's column, in its memory form. */
function rangeOf(ctx: PlanContext, expr: Expr, frame: Frame, order: readonly Expression[]): number {
  const [by] = order
  if (by === undefined || order.length > 1) {
    const message = 'RANGE with an offset needs exactly one ORDER BY column'
    throw new SqlFault('sql.windowing', message, ctx.text, frame.at)
  }
  const offset = offsetAs(ctx, expr, by)
  if (offset < 0) throw new SqlFault('sql.invalid-value', 'a frame offset must not be negative', ctx.text, expr.at)
  return offset
}
function offsetAs(ctx: PlanContext, expr: Expr, { type }: Expression): number {
  const bound = bindExpression(bindContext(ctx, emptyScope, 'a frame'), expr)
  const constant = (to: Parameters<typeof coerce>[1]): unknown => {
    const cast = isConstant(bound) ? coerce(bound, to, 'assignment', ctx.text) : null
    const value = cast === null ? null : constantValue(cast.expr)
    if (value !== null) return value
    const message = `RANGE over ${typeName(type)} needs a constant offset of type ${to.kind}`
    throw new SqlFault('sql.type-mismatch', message, ctx.text, expr.at)
  }
  switch (type.kind) {
    case 'timestamp':
    case 'timestamptz':
    case 'date': {
      const { months, days, micros } = constant({ kind: 'interval' }) as Interval
      if (months !== 0)
        throw new SqlFault('sql.unsupported', 'months are not all of one length', ctx.text, expr.at, {
          hint: "Write days: RANGE BETWEEN INTERVAL '30 days' PRECEDING AND CURRENT ROW.",
        })
      const offset = days * dayMicros + micros
      return type.kind === 'date' ? offset / dayMicros : offset
    }
    case 'smallint':
    case 'int':
    case 'bigint':
      return Number(constant({ kind: 'bigint' }))
    case 'real':
    case 'double':
      return constant({ kind: 'double' }) as number
    case 'numeric':
      if (type.scale !== null) {
        const { digits, scale } = toDecimal(
          constant({ kind: 'numeric', precision: null, scale: null }) as Parameters<typeof toDecimal>[0],
          null,
        )
        const places = type.scale - scale
        return places >= 0 ? Number(digits * 10n ** BigInt(places)) : Number(digits) / 10 ** -places
      }
      break
    default:
  }
  throw new SqlFault(
    'sql.unsupported',
    `RANGE with an offset over ${typeName(type)} is not supported`,
    ctx.text,
    expr.at,
    {
      hint: 'It is over times, dates, integers, double precision and numeric(p,s): cast the ORDER BY column.',
    },
  )
}
