/** Which row of the function table a call means: PostgreSQL's rules of overload resolution (`func_select_candidate`). */
import type { Expression } from '../../flow/expression.ts'
import { functions } from '../../flow/functions/index.ts'
import { type ArgumentKind, type FunctionRow, returnType } from '../../flow/functions/table.ts'
import type { SqlFunctionDefinition } from '../../flow/user-functions.ts'
import { type DataType, typeName } from '../../schema/types.ts'
import { SqlFault, type Span } from '../fault.ts'
import { suggestion } from '../../lib/suggestion.ts'
import { type Bound, call, textType } from './bound.ts'
import { canCoerce, coerce, unify } from './coerce.ts'
import { functionsElsewhere, windowsInFrom } from './elsewhere.ts'
import { type Category, castContext, category, isPreferred, typeOfKind } from './types.ts'

/** A call of a function or operator by name, its arguments cast as the chosen row asks. Throws SqlFault. */
export function resolveCall(
  name: string,
  args: readonly Bound[],
  span: Span,
  text: string,
  at = span.at,
  /** Names to suggest beside those of the table. */
  more: Iterable<string> = [],
): Bound {
  const row = chooseRow(functions.named(name), name, args, text, at, more)
  return callOf(row, castTo(row, args, text), span)
}
/** The same of a function that a program gave; `among`: those of the name. */
export function resolveUserCall(
  among: readonly SqlFunctionDefinition[],
  args: readonly Bound[],
  span: Span,
  text: string,
): Bound {
  const { name } = among[0]!
  // Kinds alone do not tell arrays apart.
  const fitting = among.filter((one) => one.args.every((type, i) => type.kind !== 'array' || isArrayOf(type, args[i])))
  const row = chooseRow(
    (fitting.length === 0 ? among : fitting).map(({ user }) => user.fn),
    name,
    args,
    text,
    span.at,
  )
  const chosen = among.find(({ user }) => user.fn === row)!
  const cast = castTo(row, args, text).map((arg, i) => coerce(arg, chosen.args[i]!, 'implicit', text) ?? arg)
  const bound = callOf(row, cast, span)
  return { ...bound, expr: { ...(bound.expr as Expression & { kind: 'call' }), user: chosen.user } }
}
const isArrayOf = (type: DataType, arg: Bound | undefined): boolean =>
  arg !== undefined && !arg.unknown && castContext(arg.expr.type, type) === 'implicit'
function castTo(row: FunctionRow, args: readonly Bound[], text: string): Bound[] {
  return args.map((arg, i) => {
    const wanted = kindAt(row, i)
    const type =
      wanted === 'any' ? arg.expr.type : accepts(wanted, arg) ? arg.expr.type : typeOfKind(wanted, arg.expr.type)
    return coerce(arg, arg.unknown && wanted === 'any' ? textType : type, 'implicit', text)!
  })
}
function callOf(row: FunctionRow, args: readonly Bound[], span: Span): Bound {
  const type = returnType(
    row,
    args.map((arg) => arg.expr.type),
  )
  const nullable = row.nulls === 'called' || row.mayBeNull === true || args.some((arg) => arg.nullable)
  return {
    expr: call(
      row.name,
      args.map((arg) => arg.expr),
      type,
    ),
    unknown: false,
    nullable,
    at: span.at,
    end: span.end,
  }
}

/** For operators over two or more values of one type, whatever it is: both sides are brought to it first. */
export function resolveUniform(name: string, args: readonly Bound[], span: Span, text: string, at = span.at): Bound {
  // Numerics of any scale compare as they are.
  if (comparisons.has(name) && args.every((arg) => !arg.unknown && arg.expr.type.kind === 'numeric')) {
    const row = functions.find(
      name,
      args.map((arg) => arg.expr.type),
    )
    if (row !== null) return callOf(row, args, span)
  }
  const same = unify(args, text)
  const types = same === null ? [] : same.items.map((item) => item.expr.type)
  const row = same === null ? null : functions.find(name, types)
  if (same === null || row === null) throw noSuchFunction(name, args, text, at)
  return callOf(row, same.items, span)
}

const comparisons = new Set(['=', '<>', '<', '<=', '>', '>=', 'is-distinct', 'is-not-distinct'])

const kindAt = (row: FunctionRow, i: number): ArgumentKind => row.args[Math.min(i, row.args.length - 1)]!
const accepts = (wanted: ArgumentKind, arg: Bound): boolean =>
  !arg.unknown && (wanted === arg.expr.type.kind || (wanted === 'text' && arg.expr.type.kind === 'varchar'))

function chooseRow(
  named: readonly FunctionRow[],
  name: string,
  args: readonly Bound[],
  text: string,
  at: number,
  more: Iterable<string> = [],
): FunctionRow {
  const rows = named.filter((row) => countFits(row, args.length))
  const exact = rows.filter((row) => args.every((arg, i) => accepts(kindAt(row, i), arg)))
  if (exact.length > 0) return exact[0]!
  let candidates = rows.filter((row) => args.every((arg, i) => fits(kindAt(row, i), arg)))
  if (candidates.length === 0) throw noSuchFunction(name, args, text, at, { rows: named, more })
  candidates = sameTypeForUnknown(candidates, args)
  candidates = most(candidates, (row) => count(args, (arg, i) => accepts(kindAt(row, i), arg)))
  candidates = most(candidates, (row) =>
    count(args, (arg, i) => !arg.unknown && (accepts(kindAt(row, i), arg) || preferred(kindAt(row, i)))),
  )
  if (candidates.length > 1) candidates = byUnknownCategory(candidates, args)
  if (candidates.length > 1) candidates = most(candidates, (row) => -count(args, (_, i) => kindAt(row, i) === 'any'))
  if (candidates.length > 1) {
    const shown = signature(name, args)
    throw new SqlFault('sql.ambiguous-function', `${shown.what} is not unique: ${shown.call}`, text, at)
  }
  return candidates[0]!
}
const countFits = (row: FunctionRow, given: number): boolean =>
  row.variadic === true ? given >= row.args.length - 1 : given === row.args.length
const preferred = (kind: ArgumentKind): boolean => kind !== 'any' && isPreferred(kind)
const count = (args: readonly Bound[], test: (arg: Bound, i: number) => boolean): number => args.filter(test).length

function fits(wanted: ArgumentKind, arg: Bound): boolean {
  if (wanted === 'any' || accepts(wanted, arg)) return true
  if (wanted === 'array' || wanted === 'composite') return false
  return canCoerce(arg, typeOfKind(wanted, arg.expr.type), 'implicit')
}
function most(candidates: readonly FunctionRow[], score: (row: FunctionRow) => number): FunctionRow[] {
  const scores = candidates.map(score)
  const best = Math.max(...scores)
  return candidates.filter((_, i) => scores[i] === best)
}

/** An untyped argument is first taken for the type of the other ones, if they have one type. */
function sameTypeForUnknown(candidates: readonly FunctionRow[], args: readonly Bound[]): FunctionRow[] {
  const kinds = new Set(args.filter((arg) => !arg.unknown).map((arg) => arg.expr.type.kind))
  if (kinds.size !== 1 || !args.some((arg) => arg.unknown)) return [...candidates]
  const [kind] = kinds
  const same = candidates.filter((row) =>
    args.every((_, i) => kindAt(row, i) === kind || (kindAt(row, i) === 'text' && kind === 'varchar')),
  )
  return same.length > 0 ? same : [...candidates]
}

/** Where candidates differ in an untyped argument: text if any takes text, else the one category, its preferred type. */
function byUnknownCategory(candidates: readonly FunctionRow[], args: readonly Bound[]): FunctionRow[] {
  let left = [...candidates]
  for (const [i, arg] of args.entries()) {
    if (!arg.unknown) continue
    const categories = left.map((row) => categoryAt(row, i))
    const chosen: Category | 'any' | undefined = categories.includes('text') ? 'text' : categories[0]
    if (chosen !== 'text' && categories.some((c) => c !== chosen)) return left
    const of = left.filter((_, n) => categories[n] === chosen)
    const favourites = of.filter((row) => preferred(kindAt(row, i)))
    left = favourites.length > 0 ? favourites : of
  }
  return left
}
function categoryAt(row: FunctionRow, i: number): Category | 'any' {
  const kind = kindAt(row, i)
  return kind === 'any' ? 'any' : category(kind)
}

const symbols = /^[^a-z_]/
function signature(name: string, args: readonly Bound[]): { what: string; call: string } {
  const types = args.map((arg) => (arg.unknown ? 'unknown' : typeName(arg.expr.type)))
  if (!symbols.test(name) && !operatorWords.has(name)) return { what: 'function', call: `${name}(${types.join(', ')})` }
  const symbol = operatorWords.get(name) ?? name
  return { what: 'operator', call: types.length === 1 ? `${symbol} ${types[0]}` : `${types[0]} ${symbol} ${types[1]}` }
}
const operatorWords = new Map([
  ['neg', '-'],
  ['like', '~~'],
  ['not-like', '!~~'],
  ['ilike', '~~*'],
  ['not-ilike', '!~~*'],
  ['is-distinct', 'IS DISTINCT FROM'],
  ['is-not-distinct', 'IS NOT DISTINCT FROM'],
])

/** PostgreSQL's sentence, with the nearest name or the argument types that exist. */
export function noSuchFunction(
  name: string,
  args: readonly Bound[],
  text: string,
  at: number,
  { rows = functions.named(name), more = [] }: { rows?: readonly FunctionRow[]; more?: Iterable<string> } = {},
): SqlFault {
  const { what, call: shown } = signature(name, args)
  if (what === 'operator') {
    return new SqlFault('sql.unknown-function', `operator does not exist: ${shown}`, text, at)
  }
  const options = rows.length > 0 ? { hint: `It exists as ${forms(rows)}; add explicit casts.` } : nearest(name, more)
  return new SqlFault('sql.unknown-function', `function ${shown} does not exist`, text, at, options)
}
const forms = (rows: readonly FunctionRow[]): string =>
  rows
    .slice(0, 4)
    .map((row) => `${row.name}(${row.args.map(shownKind).join(', ')}${row.variadic === true ? ' …' : ''})`)
    .join(', ')
const shownKind = (kind: ArgumentKind): string => (kind === 'double' ? 'double precision' : kind)
export const windowFunctions = new Set(['tumble', 'hop', 'cumulate', 'session'])
function nearest(name: string, more: Iterable<string>): { hint?: string } {
  if (windowFunctions.has(name)) return { hint: windowsInFrom }
  const here = Object.hasOwn(functionsElsewhere, name) ? functionsElsewhere[name] : undefined
  if (here !== undefined) return { hint: here }
  const names = [...functions.names(), ...more].filter((n) => /^[a-z_0-9]+$/.test(n) && n !== 'neg' && n !== 'cast')
  const near = suggestion(name, names)
  return near === null ? {} : { hint: `Perhaps you meant ${near}.` }
}
