/** ALTER ALERT a NOTIFY …: the rule that is there tells others; what it has fired, and what waits, stays. */
import { SqlFault } from '../sql/fault.ts'
import { catalogName } from '../sql/plan/relation.ts'
import type { Statement } from '../sql/syntax/ast.ts'
import { parseStatements } from '../sql/syntax/parse.ts'
import type { EngineParts } from './engine-parts.ts'
import { pickShown } from './rights.ts'

/** Durable when it resolves. Throws SqlFault. */
export async function alterAlert(
  { definitions, rights }: EngineParts,
  { name, destinations }: Extract<Statement, { kind: 'alter-alert' }>,
  text: string,
): Promise<void> {
  const found = pickShown(
    rights,
    definitions.all().filter(({ kind }) => kind === 'alert'),
    name,
    text,
  )
  if (found === null)
    throw new SqlFault('sql.unknown-relation', `alert "${catalogName(name)}" does not exist`, text, name.at)
  rights.demandCluster('alter')
  if (found.stored === null)
    throw new SqlFault('sql.relation-exists', `alert "${found.name}" is defined by the program`, text, name.at, {
      hint: 'Change it there.',
    })
  const { before, behind } = parted(found.stored.sql)
  const made = before + text.slice(destinations[0]!.at, destinations.at(-1)!.end) + behind
  await definitions.replace(found, definitions.plan(createOf(made), made), made, { isSame: true })
}
/** The text of an alert, cut where it says whom it tells. Throws SqlFault. */
export function parted(text: string): { readonly before: string; readonly told: string; readonly behind: string } {
  const { destinations } = createOf(text)
  const [from, to] = [destinations[0]!.at, destinations.at(-1)!.end]
  return { before: text.slice(0, from), told: text.slice(from, to), behind: text.slice(to) }
}
function createOf(text: string): Extract<Statement, { kind: 'create-alert' }> {
  const [statement] = parseStatements(text)
  if (statement?.kind !== 'create-alert') throw new SqlFault('sql.invalid-definition', 'it is no alert', text, 0)
  return statement
}
