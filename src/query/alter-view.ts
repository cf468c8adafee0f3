/** ALTER MATERIALIZED VIEW v AS …: the definition that is there, with another query or another beginning. */
import { SqlFault } from '../sql/fault.ts'
import { catalogName } from '../sql/plan/relation.ts'
import type { Statement } from '../sql/syntax/ast.ts'
import { parseStatements } from '../sql/syntax/parse.ts'
import type { EngineParts } from './engine-parts.ts'
import { pickShown, wordOf } from './rights.ts'

type CreateView = Extract<Statement, { kind: 'create-view' }>

/** As CREATE OR REPLACE would say it. Throws SqlFault. */
export function alteredView(
  { definitions, rights }: EngineParts,
  { name, query, start }: Extract<Statement, { kind: 'alter-view' }>,
  text: string,
): { readonly statement: CreateView; readonly text: string } {
  const found = pickShown(
    rights,
    definitions.all().filter(({ kind }) => kind !== 'alert'),
    name,
    text,
  )
  if (found === null)
    throw new SqlFault('sql.unknown-relation', `view "${catalogName(name)}" does not exist`, text, name.at)
  if (found.kind !== 'view')
    throw new SqlFault(
      'sql.wrong-kind',
      `"${found.name}" is a ${wordOf(found)}: only materialized views run`,
      text,
      name.at,
    )
  if (found.stored === null)
    throw new SqlFault('sql.relation-exists', `view "${found.name}" is defined by the program`, text, name.at, {
      hint: 'Change it there.',
    })
  const { sql } = found.stored
  const was = createOf(sql)
  // Its name, columns and options stay; where it began before is of no matter.
  const head = sql.slice(0, was.query.at)
  const options = sql.slice(was.query.end, was.start?.at ?? was.end).trim()
  const asked = query === null ? sql.slice(was.query.at, was.query.end) : text.slice(query.at, query.end)
  const begins = start === null ? '' : text.slice(start.at, start.end)
  const made = [head + asked, options, begins].filter((part) => part !== '').join(' ')
  return { statement: { ...createOf(made), orReplace: true }, text: made }
}
function createOf(text: string): CreateView {
  const [statement] = parseStatements(text)
  if (statement?.kind !== 'create-view') throw new SqlFault('sql.invalid-definition', 'it is no view', text, 0)
  return statement
}
