/**
 * Another query, or another beginning, for a view that is there: CREATE OR REPLACE and ALTER … AS. What has the same plan keeps
 * everything. START FROM RESUME keeps what both plans have in common (`flow/plan-change.ts`). Everything else begins anew. The
 * definition changes in one record of the catalogue, and the state in one tick of the log: a crash at any moment leaves the
 * old query or the new one. What has to go first goes behind a mark in the catalogue.
 */
import { timeDefaults } from '../flow/clock.ts'
import { Graph } from '../flow/graph.ts'
import type { Adopts, ViewPlan } from '../flow/plan.ts'
import {
  type OperatorChange,
  type PlanChange,
  isSamePlan,
  planChange,
  sameColumns,
  viewRowsOf,
} from '../flow/plan-change.ts'
import { sourcesOf } from '../flow/plan-facts.ts'
import type { SavedMarks } from '../flow/state-marks.ts'
import { SqlFault } from '../sql/fault.ts'
import type { Statement } from '../sql/syntax/ast.ts'
import type { Definition } from './definitions.ts'
import type { EngineParts } from './engine-parts.ts'
import { demandDependents, isShown, topicOf, wordOf } from './rights.ts'
import { begin, clearView, dependents, ensureTopics, removeTopic } from './running.ts'
import { type FromSavepoint, fromSavepoint } from './savepoints.ts'

interface Replacing {
  readonly known: Definition
  readonly planned: Definition
  readonly statement: Extract<Statement, { kind: 'create-view' }>
  readonly text: string
}
/** What becomes of what the view has. */
export type Change =
  | { readonly does: 'keeps'; readonly operators: readonly OperatorChange[] }
  | { readonly does: 'goes on'; readonly change: PlanChange; readonly adopts: Adopts }
  | { readonly does: 'goes back'; readonly change: PlanChange; readonly stored: FromSavepoint['stored'] }
  | { readonly does: 'begins anew'; readonly operators: readonly OperatorChange[] }

/** Says what it did, a line each. Throws SqlFault. */
export async function replace(parts: EngineParts, replacing: Replacing): Promise<readonly string[]> {
  const { known, planned, statement, text } = replacing
  const change = await changeOf(parts, replacing)
  const says = changeLines(change)
  const sql = text.slice(statement.at, statement.end)
  const takesTopic =
    change.does === 'begins anew' ||
    change.does === 'goes back' ||
    (change.does === 'goes on' && change.adopts.rows === 'anew')
  if (takesTopic) {
    const others = { text, at: statement.name.at, cascade: false, does: 'make anew' } as const
    demandDependents(parts.rights, known, dependents(parts, known), others)
  } else parts.rights.demand('alter', topicOf(known))
  const kept = await parts.definitions.replace(known, planned, sql, {
    isSame: change.does === 'keeps',
    ...(change.does === 'goes on' ? { adopts: change.adopts } : change.does === 'goes back' ? change.stored : {}),
    ...(takesTopic ? { replacing: change.does === 'goes on' ? 'rows' : 'all' } : {}),
  })
  await parts.live.drop(known.name)
  await parts.runner.leave(known.name)
  await begin(parts, await finishReplacing(parts, kept))
  return says
}
/** Takes away what the one before left, where that is still to be done. */
export async function finishReplacing(parts: EngineParts, definition: Definition): Promise<Definition> {
  const replacing = definition.stored?.replacing
  if (replacing === undefined) return definition
  if (replacing === 'all') {
    await clearView(parts, definition.name)
    const { load } = definition.stored!
    if (load !== undefined) {
      await ensureTopics(parts, definition)
      await parts.runner.load(definition.view!, load.savepoint, load.rows)
    }
  } else {
    await parts.live.drop(definition.name)
    await parts.runner.vacate(definition.name)
    await removeTopic(parts, definition.name)
  }
  return parts.definitions.settle(definition)
}

/** Throws SqlFault where that cannot be. */
export async function changeOf(
  parts: EngineParts,
  { known, planned, statement, text }: Omit<Replacing, 'text'> & { readonly text: string },
): Promise<Change> {
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
  const isRewritten = before !== null && before.envelope !== next.envelope
  if (start === null && before !== null && !isRewritten && isSamePlan(before.plan, next.plan))
    return { does: 'keeps', operators: operatorsOf(next, 'keeps') }
  if (start?.from === 'savepoint') return goneBack(parts, next, { text, start })
  if (start?.from !== 'resume') {
    const isRead = start === null || start.from === 'beginning'
    return { does: 'begins anew', operators: operatorsOf(next, isRead ? 'rebuilds' : 'starts empty') }
  }
  const saved = await parts.runner.saved(known.name)
  const { print } = new Graph(next.plan, timeDefaults).marks
  if (saved?.print === print && !isRewritten) return { does: 'keeps', operators: operatorsOf(next, 'keeps') }
  const change = resumed(parts, saved ?? nothingSaved, { known, before, next })
  if (change.refusal === null) return { does: 'goes on', change, adopts: { into: print, rows: change.rows } }
  const message = `view "${known.name}" cannot go on with this query: ${change.refusal}`
  throw new SqlFault('sql.cannot-resume', message, text, start.at, {
    hint: anewHint,
  })
}
/** Throws SqlFault, and faults of savepoints. */
export async function goneBack(
  parts: EngineParts,
  next: ViewPlan,
  { text, start }: { readonly text: string; readonly start: { readonly at: number; readonly text: string } },
): Promise<Change & { readonly does: 'goes back' }> {
  const { change, stored } = await fromSavepoint(parts, next, start.text)
  if (change.refusal !== null) {
    const message = `view "${next.name}" cannot go on from savepoint "${start.text}": ${change.refusal}`
    throw new SqlFault('sql.cannot-resume', message, text, start.at, { hint: anewHint })
  }
  return { does: 'goes back', change, stored }
}
const anewHint =
  'Without START FROM it begins anew, from the beginning of what it reads; START FROM NOW or TIMESTAMP leave earlier events out.'
const nothingSaved: SavedMarks = { print: '', operators: [], sources: [] }

function resumed(
  parts: EngineParts,
  saved: SavedMarks,
  { known, before, next }: { readonly known: Definition; readonly before: ViewPlan | null; readonly next: ViewPlan },
): PlanChange {
  // What stands in its topic is of the plan that its state is of, which may not be the one defined last.
  const isOf = before !== null && new Graph(before.plan, timeDefaults).marks.print === saved.print
  const change = planChange(
    saved,
    before !== null && (isOf || saved === nothingSaved) ? viewRowsOf(before) : null,
    next,
  )
  const readers = dependents(parts, known).filter((one) => one !== known)
  const isOther = before === null || !sameColumns(viewRowsOf(before), viewRowsOf(next))
  const refusal =
    change.rows === 'stay' && isOther && readers.length > 0 ? `${namesOf(parts, readers)} would read both` : null
  return { ...hidden(parts, change, before), refusal: change.refusal ?? refusal }
}
function namesOf({ rights }: EngineParts, readers: readonly Definition[]): string {
  const names = readers.map((one) => (isShown(rights, one) ? `${wordOf(one)} ${one.name}` : 'what may not be seen'))
  return [...new Set(names)].join(', ')
}
/** What operators of the old plan do is told to who sees all that it reads. */
function hidden({ rights }: EngineParts, change: PlanChange, before: ViewPlan | null): PlanChange {
  if (before !== null && sourcesOf(before.plan).every(({ topic }) => rights.sees(topic))) return change
  if (before === null && rights.seesCluster()) return change
  const operators = change.operators.map((one) => (one.does === 'goes' ? { ...one, label: '' } : one))
  return { ...change, operators }
}
function operatorsOf(view: ViewPlan, does: OperatorChange['does']): OperatorChange[] {
  const graph = new Graph(view.plan, timeDefaults)
  return [...graph.marks.operators.values()].map(({ kind, label, number }) => ({ does, kind, label, number, from: [] }))
}

/** A line for what becomes of the view, and one for each operator. */
export function changeLines(change: Change): string[] {
  const operators = 'change' in change ? change.change.operators : change.operators
  const lines = operators.map(({ does, kind, label, from }) => {
    const source = from.length === 0 ? '' : `, from ${from.join(' and ')}`
    return `  ${does}: ${kind} ${label}${source}`.trimEnd()
  })
  if (!('change' in change)) return [`${headlines[change.does]}`, ...lines]
  const { rows, readAnew } = change.change
  return [
    headlines[change.does],
    ...lines,
    ...readAnew.map((topic) => `  read from the beginning: topic ${topic}`),
    `  rows: ${rowLines[rows]}`,
  ]
}
const headlines: Readonly<Record<Change['does'], string>> = {
  keeps: 'the plan is the same, state and rows are kept',
  'goes on': 'it goes on where the one before has come to',
  'goes back': 'it goes on from the savepoint; state and rows that are there go',
  'begins anew': 'state and rows are made anew',
}
const rowLines: Readonly<Record<Adopts['rows'], string>> = {
  stay: 'stay as they are',
  restated: 'what does not hold any more is withdrawn',
  anew: 'are made anew of what is kept',
}
