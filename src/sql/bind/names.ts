/** What a name or a field in an expression means. */
import { suggestion } from '../../lib/suggestion.ts'
import { SqlFault } from '../fault.ts'
import type { Expr, Name } from '../syntax/ast.ts'
import { findColumn, matchesName, quoteIfNeeded, type Scope, type ScopeColumn } from './scope.ts'

interface Names {
  readonly text: string
  readonly scope: Scope
  /** Names of the query around this one, where this one may use them. */
  readonly outer?: Scope
}
/** The column that a field of a composite column is, where there is one. */
export function columnField(ctx: Names, expr: Expr): ScopeColumn | null {
  if (expr.kind === 'name') return findName(ctx, expr.parts)
  if (expr.kind !== 'field') return null
  const outer = columnField(ctx, expr.arg)
  return outer?.fields === undefined ? null : fieldOf(ctx, outer.fields, expr.name)
}
/** Throws SqlFault for none, and for several. */
export function fieldOf<F extends { readonly name: string }>(ctx: Names, fields: readonly F[], name: Name): F {
  const found = fields.filter((one) => matchesName(name, one.name))
  if (found.length === 1) return found[0]!
  const [code, what] =
    found.length === 0
      ? (['sql.unknown-column', 'does not exist'] as const)
      : (['sql.ambiguous-name', 'is ambiguous'] as const)
  const near = suggestion(
    name.text,
    fields.map((one) => one.name),
  )
  const hint = found.length > 0 || near === null ? {} : { hint: `Perhaps you meant ${quoteIfNeeded(near)}.` }
  throw new SqlFault(code, `field "${name.text}" ${what}`, ctx.text, name.at, hint)
}

/** In the query itself, else in the one around it. */
export function findName(ctx: Names, parts: readonly Name[]): ScopeColumn {
  if (ctx.outer === undefined) return findColumn(ctx.scope, parts, ctx.text)
  try {
    return findColumn(ctx.scope, parts, ctx.text)
  } catch (error) {
    const isUnknown =
      error instanceof SqlFault && (error.code === 'sql.unknown-column' || error.code === 'sql.unknown-relation')
    if (!isUnknown) throw error
    try {
      return findColumn(ctx.outer, parts, ctx.text)
    } catch {
      throw error
    }
  }
}
