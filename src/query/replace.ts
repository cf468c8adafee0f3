/**
 * CREATE OR REPLACE MATERIALIZED VIEW. What has the same plan keeps state, positions and changes, and only its options are
 * new. What has no state and only adds rows may go on with other steps (RESUME). Everything else begins anew: what the one
 * before left goes, behind a mark in the catalogue, so that a crash in between leaves the old definition or the new one.
 */
import { timeDefaults } from '../flow/clock.ts'
import { isSamePlan } from '../flow/plan-change.ts'
import { Graph } from '../flow/graph.ts'
import type { ViewPlan } from '../flow/plan.ts'
import { sourcesOf } from '../flow/plan-facts.ts'
import { SqlFault } from '../sql/fault.ts'
import type { Statement } from '../sql/syntax/ast.ts'
import type { Definition } from './definitions.ts'
import type { EngineParts } from './engine-parts.ts'
import { demandDependents, isShown, topicOf, wordOf } from './rights.ts'
import { begin, clearView, dependents } from './running.ts'

interface Replacing {
  readonly known: Definition
  readonly planned: Definition
  readonly statement: Extract<Statement, { kind: 'create-view' }>
  readonly text: string
}
/** What becomes of what the view has. */
export type Change = 'keeps' | 'goes on' | 'begins anew'

/** Throws SqlFault. */
export async function replace(parts: EngineParts, replacing: Replacing): Promise<void> {
  const { known, planned, statement, text } = replacing
  const change = changeOf(parts, replacing)
  const sql = text.slice(statement.at, statement.end)
  if (change === 'begins anew') {
    const others = { text, at: statement.name.at, cascade: false }
    demandDependents(parts.rights, known, dependents(parts, known), others)
  } else parts.rights.demand('alter', topicOf(known))
  const kept = await parts.definitions.replace(known, planned, sql, change === 'begins anew')
  await parts.live.drop(known.name)
  if (change === 'begins anew') {
    await begin(parts, await finishReplacing(parts, kept))
    return
  }
  await parts.runner.leave(known.name)
  await begin(parts, kept)
}
/** Takes away what the one before left, where that is still to be done. */
export async function finishReplacing(parts: EngineParts, definition: Definition): Promise<Definition> {
  if (definition.stored?.replacing !== true) return definition
  await clearView(parts, definition.name)
  return parts.definitions.settle(definition)
}

/** Throws SqlFault where that cannot be. */
export function changeOf(parts: EngineParts, { known, planned, statement, text }: Replacing): Change {
  const { start, name } = statement
  if (known.kind !== 'view')
    throw new SqlFault('sql.wrong-kind', `${wordOf(known)} "${known.name}" already exists`, text, name.at, {
      hint: 'OR REPLACE takes the place of a materialized view alone.',
    })
  if (known.stored === null)
    throw new SqlFault('sql.relation-exists', `view "${known.name}" is defined by the program`, text, name.at, {
      hint: 'Change it there.',
    })
  const next = planned.view!
  const before = known.fault === null ? known.view : null
  const resumes = start?.from === 'resume'
  if (before !== null && (start === null || resumes) && isSamePlan(before.plan, next.plan)) return 'keeps'
  if (!resumes) return 'begins anew'
  const why = before === null ? 'what it was cannot be planned any more' : whyNot(parts, known, before, next)
  if (why === null) return 'goes on'
  throw new SqlFault('sql.cannot-resume', `view "${known.name}" cannot go on with this query: ${why}`, text, start.at, {
    hint: 'Without START FROM RESUME it begins anew, from the beginning of what it reads; START FROM NOW or TIMESTAMP leave earlier events out.',
  })
}
function whyNot(parts: EngineParts, known: Definition, before: ViewPlan, next: ViewPlan): string | null {
  const held = [...stateOf(parts, before), ...stateOf(parts, next)]
  if (held.length > 0) return `state would not be that of the new one (${[...new Set(held)].join(', ')})`
  if (!before.appendOnly || !next.appendOnly) return 'rows that were withdrawn could not be told from others'
  if (JSON.stringify(before.key) !== JSON.stringify(next.key)) return 'its key is another'
  const readers = dependents(parts, known).filter((one) => one !== known)
  const names = readers.map((one) =>
    isShown(parts.rights, one) ? `${wordOf(one)} ${one.name}` : 'what may not be seen',
  )
  return names.length === 0 ? null : `${[...new Set(names)].join(', ')} would read both`
}
/** Operators that hold something; what they do, to who sees what the view reads. */
function stateOf({ rights }: EngineParts, { plan }: ViewPlan): string[] {
  const isSeen = sourcesOf(plan).every(({ topic }) => rights.sees(topic))
  return new Graph(plan, timeDefaults).nodes
    .filter(({ tables }) => tables.length > 0)
    .map(({ kind, label }) => (isSeen ? `${kind} ${label}` : kind))
}
