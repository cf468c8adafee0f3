/**
 * Names in reach of an expression. Unquoted names match ignoring case, quoted ones exactly; a name that fits more than
 * one column is an error. Pseudo-columns (`_offset` …) are found only where no column of that name is.
 */
import type { Expression } from '../../flow/expression.ts'
import type { DataType } from '../../schema/types.ts'
import { SqlFault } from '../fault.ts'
import { suggestion } from '../../lib/suggestion.ts'
import type { Name } from '../syntax/ast.ts'
import { column, earlier } from './bound.ts'

export interface ScopeColumn {
  readonly name: string
  readonly type: DataType
  readonly nullable: boolean
  /** Position in the rows that the expression is computed over. */
  readonly index: number
  /** Not part of `*`: pseudo-columns. */
  readonly hidden: boolean
  /** One of two that USING merged: it is there where its table is named, `t.c` and `t.*`. */
  readonly merged?: true
  /** So many µs less than what stands at `index`: `window_time`, the last moment of a window. */
  readonly lessMicros?: number
  /** Of a composite column: fields that the rows hold as columns of their own. */
  readonly fields?: readonly ScopeColumn[]
}
export interface ScopeRelation {
  /** The alias, or the name itself; null for a derived table without one. */
  readonly name: string | null
  readonly schema: string | null
  readonly columns: readonly ScopeColumn[]
}
export type Scope = readonly ScopeRelation[]

/** As many columns further right, the fields of composites too. */
export const shiftScope = (scope: Scope, by: number): Scope =>
  scope.map((relation) => ({ ...relation, columns: relation.columns.map((c) => shiftedColumn(c, by)) }))
const shiftedColumn = (c: ScopeColumn, by: number): ScopeColumn => ({
  ...c,
  index: c.index + by,
  ...(c.fields === undefined ? {} : { fields: c.fields.map((field) => shiftedColumn(field, by)) }),
})

export const matchesName = (name: Name, declared: string): boolean =>
  name.quoted ? name.text === declared : name.text.toLowerCase() === declared.toLowerCase()

export const emptyScope: Scope = []

/** What a column of these rows is as an expression. */
export function columnValue({ index, type, lessMicros }: ScopeColumn, shift = 0): Expression {
  const reference = column(index + shift, type)
  return lessMicros === undefined ? reference : earlier(reference, lessMicros)
}

/** The column that a name means. Throws SqlFault. */
export function findColumn(scope: Scope, parts: readonly Name[], text: string): ScopeColumn {
  const name = parts.at(-1)!
  const relations = parts.length === 1 ? scope.map(withoutMerged) : findRelations(scope, parts, text)
  const visible = relations.flatMap((relation) =>
    relation.columns.filter((c) => !c.hidden && matchesName(name, c.name)),
  )
  const found =
    visible.length > 0
      ? visible
      : relations.flatMap((r) => r.columns.filter((c) => c.hidden && matchesName(name, c.name)))
  const [first] = found
  if (first === undefined) throw unknownColumn(relations, parts, text)
  if (found.length > 1) throw ambiguous(found, parts, text)
  return first
}

const withoutMerged = (relation: ScopeRelation): ScopeRelation => ({
  ...relation,
  columns: relation.columns.filter((c) => c.merged === undefined),
})

/** The relations that the words before the last name: by alias, or by schema and name. */
function findRelations(scope: Scope, parts: readonly Name[], text: string): Scope {
  const table = parts.at(-2)!
  const name = parts.at(-1)!.text
  const schema = parts.length > 2 ? parts.at(-3)! : null
  const found = scope.filter(
    (relation) =>
      relation.name !== null &&
      matchesName(table, relation.name) &&
      (schema === null || matchesName(schema, relation.schema ?? 'public')),
  )
  if (found.length === 0) {
    const near = suggestion(
      table.text,
      scope.map((r) => r.name ?? ''),
    )
    const column = scope.flatMap((r) => r.columns).find((c) => matchesName(table, c.name))
    const isJson = column?.type.kind === 'json' || column?.type.kind === 'jsonb'
    const hint = isJson
      ? `Reach into JSON with ${column.name} ->> '${name}'.`
      : near === null
        ? 'Name it in FROM, or use its alias.'
        : `Perhaps you meant "${near}".`
    const message = `missing FROM-clause entry for table "${table.text}"`
    throw new SqlFault('sql.unknown-relation', message, text, parts[0]!.at, { hint })
  }
  if (found.length > 1) {
    throw new SqlFault('sql.ambiguous-name', `table reference "${table.text}" is ambiguous`, text, parts[0]!.at)
  }
  return found
}

function unknownColumn(relations: Scope, parts: readonly Name[], text: string): SqlFault {
  const name = parts.at(-1)!
  const shown = parts.map((part) => part.text).join('.')
  const columns = relations.flatMap((relation) => relation.columns)
  const otherCase = columns.find((c) => c.name.toLowerCase() === name.text.toLowerCase())
  const near =
    otherCase?.name ??
    suggestion(
      name.text,
      columns.filter((c) => !c.hidden).map((c) => c.name),
    )
  const ofWindow = name.text.toLowerCase() === 'window_time' && columns.some((c) => c.name === 'window_end')
  const options = ofWindow
    ? { hint: 'A window has it where it stands in FROM, and * leaves it out: SELECT *, window_time FROM TUMBLE(…).' }
    : near === null || near === undefined
      ? {}
      : { hint: `Perhaps you meant ${quoteIfNeeded(near)}.` }
  return new SqlFault('sql.unknown-column', `column "${shown}" does not exist`, text, parts[0]!.at, options)
}
function ambiguous(found: readonly ScopeColumn[], parts: readonly Name[], text: string): SqlFault {
  const spellings = [...new Set(found.map((c) => c.name))]
  const hint =
    spellings.length > 1
      ? `It may mean ${spellings.map((s) => `"${s}"`).join(' or ')}: quote the one you mean.`
      : 'Write it with its table: table.column.'
  return new SqlFault(
    'sql.ambiguous-name',
    `column reference "${parts.at(-1)!.text}" is ambiguous`,
    text,
    parts[0]!.at,
    { hint },
  )
}

/** As it must be written so that only it is meant. */
export const quoteIfNeeded = (name: string): string =>
  /^[a-z_][a-z0-9_$]*$/i.test(name) ? name : `"${name.replaceAll('"', '""')}"`

/** `*` and `t.*`: what they stand for. Throws SqlFault. */
export function starColumns(scope: Scope, qualifier: readonly Name[], text: string): readonly ScopeColumn[] {
  const relations =
    qualifier.length === 0 ? scope.map(withoutMerged) : findRelations(scope, [...qualifier, qualifier[0]!], text)
  return relations.flatMap((relation) => relation.columns.filter((column) => !column.hidden))
}
