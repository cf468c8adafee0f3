/** What planning knows of the streams, tables and views that a text may name, and of the rows between two steps. */
import type { Expression } from '../../flow/expression.ts'
import type { Plan, SourcePlan } from '../../flow/plan.ts'
import type { Columns, Field } from '../../schema/types.ts'
import { column, earlier, expressionKey } from '../bind/bound.ts'
import { SqlFault } from '../fault.ts'
import { suggestion } from '../../lib/suggestion.ts'
import type { Name, QualifiedName, Query } from '../syntax/ast.ts'
import type { UserFunctions } from '../bind/user-functions.ts'
import { type Scope, type ScopeColumn, matchesName, quoteIfNeeded } from '../bind/scope.ts'

/** A stream, table or view as a source: its columns, then all pseudo-columns. */
export interface Relation {
  readonly name: string
  readonly kind: 'stream' | 'table' | 'view'
  readonly source: SourcePlan
  /** How many of the source's columns were declared; the rest are pseudo-columns. */
  readonly declared: number
  readonly appendOnly: boolean
  /** Positions of columns that no two current rows share; null = none known. */
  readonly key: readonly number[] | null
}
/** A plain view: wherever it is named its query is planned, as a derived table would be. */
export interface PlainView {
  readonly name: string
  /** Places in the query are places in this. */
  readonly text: string
  readonly query: Query
  readonly columns: readonly Name[]
}
export interface Schema {
  relations(): Iterable<Relation>
  /** Those that a program gave. */
  readonly functions?: UserFunctions
  plainViews?(): Iterable<PlainView>
  /** Why a name that is defined has no relation; null = it is not defined. */
  broken?(name: Name): string | null
}

/** The name in the catalogue: schema `public` is silent, another one is part of the name. */
export function catalogName(name: QualifiedName): string {
  const parts = name.parts.map((part) => part.text)
  const words = parts.length > 2 ? parts.slice(-2) : parts
  return words.length > 1 && words[0]!.toLowerCase() === 'public' ? words[1]! : words.join('.')
}
/** The name as one that matches as it was written: exactly if any part of it was quoted. */
export function matcher(name: QualifiedName): Name {
  return { text: catalogName(name), quoted: name.parts.some((part) => part.quoted), at: name.at, end: name.end }
}

/** The one of these that a name means; null = none. Throws SqlFault when it may mean several. */
export function pickNamed<T extends { readonly name: string }>(
  items: Iterable<T>,
  name: QualifiedName,
  text: string,
): T | null {
  const wanted = matcher(name)
  const found = [...items].filter((item) => matchesName(wanted, item.name))
  if (found.length < 2) return found[0] ?? null
  const hint = `It may mean ${found.map((item) => `"${item.name}"`).join(' or ')}: quote the one you mean.`
  throw new SqlFault('sql.ambiguous-name', `"${wanted.text}" is ambiguous`, text, name.at, { hint })
}

export function findRelation(schema: Schema, name: QualifiedName, text: string): Relation {
  const all = [...schema.relations()]
  const found = pickNamed(all, name, text)
  if (found !== null) return found
  const why = schema.broken?.(matcher(name)) ?? null
  if (why !== null) {
    throw new SqlFault('sql.unknown-relation', `"${catalogName(name)}" cannot be read: ${why}`, text, name.at, {
      hint: 'Make right what its definition needs, or drop it.',
    })
  }
  throw unknownRelation(
    catalogName(name),
    all.map((r) => r.name),
    text,
    name.at,
  )
}
export function unknownRelation(name: string, known: Iterable<string>, text: string, at: number): SqlFault {
  const near = suggestion(name, known)
  const options = near === null ? {} : { hint: `Perhaps you meant ${quoteIfNeeded(near)}.` }
  return new SqlFault('sql.unknown-relation', `stream, table or view "${name}" does not exist`, text, at, options)
}

export const pseudoColumns: readonly {
  readonly from: 'topic' | 'partition' | 'offset' | 'timestamp' | 'key' | 'headers'
  readonly field: Field
}[] = [
  { from: 'topic', field: { name: '_topic', type: { kind: 'text' }, nullable: false } },
  { from: 'partition', field: { name: '_partition', type: { kind: 'int' }, nullable: false } },
  { from: 'offset', field: { name: '_offset', type: { kind: 'bigint' }, nullable: false } },
  { from: 'timestamp', field: { name: '_timestamp', type: { kind: 'timestamptz' }, nullable: false } },
  { from: 'key', field: { name: '_key', type: { kind: 'text' }, nullable: true } },
  { from: 'headers', field: { name: '_headers', type: { kind: 'jsonb' }, nullable: false } },
]

/** Each part of a key may be read from any of some columns that always hold the same. */
export type Key = readonly (readonly number[])[]

/** Rows between two steps of a query, with what is known about them. */
export interface Rel {
  readonly plan: Plan
  /** What the next step may name; indices are positions in the plan's columns. */
  readonly scope: Scope
  /** Unique among the current rows; [] = at most one row; null = not known. */
  readonly key: Key | null
  readonly appendOnly: boolean
  /** Where the event time stands, and how far behind the newest the watermark stays; Infinity: rows say it, nobody knows how far. */
  readonly time: { readonly column: number; readonly delayMs: number } | null
  /** Columns that hold the bounds of a window; paired: either says what the other is. */
  readonly windows: readonly { readonly start: number; readonly end: number; readonly isPaired: boolean }[]
  /** The event time that stays where only rank 1 of that column is kept: it counts from the newest row of a key. */
  readonly newest?: { readonly rank: number; readonly time: NonNullable<Rel['time']> }
  readonly versions?: Versions
  /** SESSION(…) whose GROUP BY is still to come: its bounds are two columns behind the plan's. */
  readonly session?: SessionRequest
}

/** Rows that are the newest of each key by event time: all rows, each of which was the newest from its time on. */
export interface Versions {
  /** The plan whose rows these were: of any other they are not. */
  readonly of: Plan
  readonly plan: Plan
  readonly key: Key
}
export const versionsOf = ({ plan, versions }: Rel): Versions | null => (versions?.of === plan ? versions : null)

export interface SessionRequest {
  readonly time: number
  readonly gapMs: number
  readonly partitionBy: readonly number[]
  readonly at: number
}

/** Whether the event time of the rows is the end of a window. */
export const endsWindow = ({ time, windows }: Pick<Rel, 'time' | 'windows'>): boolean =>
  windows.some(({ end }) => end === time?.column)
/** The rows with the last moment of their window as their event time, behind their columns. */
export function byLastMoment(rel: Rel, name: string): Rel {
  const { time, plan } = rel
  const end = plan.columns[time!.column]!
  const own = plan.columns.map((field, i) => column(i, field.type))
  const moment = earlier(column(time!.column, end.type), momentMicros)
  return projectRel(rel, [...own, moment], [...plan.columns, { ...end, name }])
}
function newestAt({ newest }: Rel, at: (position: number) => number | undefined): Pick<Rel, 'newest'> {
  if (newest === undefined) return {}
  const [rank, column] = [at(newest.rank), at(newest.time.column)]
  return rank === undefined || column === undefined ? {} : { newest: { rank, time: { ...newest.time, column } } }
}
function versionsAt(
  rel: Rel,
  plan: Plan & { op: 'project' },
  at: (position: number) => number[],
): Pick<Rel, 'versions'> {
  const versions = versionsOf(rel)
  const key = mapKey(versions?.key ?? null, at)
  return versions === null || key === null
    ? {}
    : { versions: { of: plan, plan: { ...plan, input: versions.plan }, key } }
}
/** Where the last moment stands of windows whose end is the event time: it goes before the end. */
function momentAt(rel: Rel, expressions: readonly Expression[]): number | undefined {
  const at = endsWindow(rel) ? expressions.findIndex((expr) => isWindowTime(expr, rel.time!.column)) : -1
  return at < 0 ? undefined : at
}

/** A source with a column behind all others that says its watermark. */
export function withWatermark(source: SourcePlan, expression: Expression | null): SourcePlan {
  if (expression === null) return source
  return {
    ...source,
    watermark: source.columns.length,
    columns: [...source.columns, { name: watermarkColumn, type: expression.type, nullable: true }],
    fields: [...source.fields, { from: 'computed', expression }],
  }
}
const watermarkColumn = 'watermark said by a row'
/** Fields of composite columns as columns of a source: `"bid.price"` is `price` of `bid`, read from the value itself. */
export function withFields(source: SourcePlan): SourcePlan {
  const columns: Field[] = [...source.columns]
  const fields = [...source.fields]
  for (let i = 0; i < columns.length; i++) {
    const { type, name } = columns[i]!
    const from = fields[i]!
    if (type.kind !== 'composite' || from.from !== 'value') continue
    for (const field of type.fields) {
      columns.push({ ...field, name: `${name}.${field.name}`, nullable: true })
      fields.push({ from: 'value', path: [...from.path, field.name] })
    }
  }
  return { ...source, columns, fields }
}
/** What may be named of a source; `visible` columns and their fields, and the pseudo-columns. */
export function sourceScope(name: string | null, source: SourcePlan, visible: number): Scope {
  const isPart = (path: readonly string[], of: readonly string[]): boolean =>
    path.length === of.length + 1 && of.every((word, i) => path[i] === word)
  const scopeColumn = (index: number): ScopeColumn => {
    const field = source.columns[index]!
    const from = source.fields[index]!
    const base = { ...field, index, hidden: index >= visible }
    if (field.type.kind !== 'composite' || from.from !== 'value') return base
    const fields = source.fields.flatMap((other, i) =>
      other.from === 'value' && i >= visible && isPart(other.path, from.path)
        ? [{ ...scopeColumn(i), name: other.path.at(-1)! }]
        : [],
    )
    return fields.length === 0 ? base : { ...base, fields }
  }
  const isNamed = (i: number): boolean => i < visible || (source.fields[i]!.from !== 'value' && i !== source.watermark)
  const named = source.fields.flatMap((_, i) => (isNamed(i) ? [i] : []))
  return [{ name, schema: null, columns: named.map(scopeColumn) }]
}

export const columnsToScope = (name: string | null, columns: Columns, visible = columns.length): Scope => [
  { name, schema: null, columns: columns.map((field, index) => ({ ...field, index, hidden: index >= visible })) },
]

/** Positions after a step; what is gone is left out. */
export function mapKey(key: Key | null, to: (position: number) => readonly number[]): Key | null {
  if (key === null) return null
  const mapped = key.map((part) => part.flatMap(to))
  return mapped.every((part) => part.length > 0) ? mapped : null
}
/** The last moment of a window is this long before its end. */
export const momentMicros = 1000
/** `window_time` of the window that ends in that column. */
export function isWindowTime(expr: Expression, end: number): boolean {
  if (expr.kind !== 'call' || expr.args[0]?.kind !== 'column' || expr.args[0].index !== end) return false
  return expressionKey(expr) === expressionKey(earlier(column(end, expr.type), momentMicros))
}
/** The expressions as columns; what is known about the rows follows the columns that are kept as they are. */
export function projectRel(rel: Rel, expressions: readonly Expression[], columns: Columns): Rel {
  const keptAt = (position: number): number[] =>
    expressions.flatMap((expr, i) => (expr.kind === 'column' && expr.index === position ? [i] : []))
  const time = rel.time === null ? undefined : (momentAt(rel, expressions) ?? keptAt(rel.time.column)[0])
  const plan: Plan = { op: 'project', input: rel.plan, expressions, columns }
  return {
    ...newestAt(rel, (position) => keptAt(position)[0]),
    ...versionsAt(rel, plan, keptAt),
    plan,
    scope: columnsToScope(null, columns),
    key: mapKey(rel.key, keptAt),
    appendOnly: rel.appendOnly,
    time: time === undefined ? null : { column: time, delayMs: rel.time!.delayMs },
    windows: rel.windows.flatMap((w) => {
      const [start] = keptAt(w.start)
      const [end] = keptAt(w.end)
      return start === undefined || end === undefined ? [] : [{ start, end, isPaired: w.isPaired }]
    }),
  }
}
