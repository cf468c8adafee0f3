/**
 * Views that a program defines, given anew at each start. Nothing of them is in the catalogue: whether one is still what it was
 * is known by what its state says of itself. One whose plan is another is made anew, with what reads it, or goes on with the state
 * that both plans have (`START FROM RESUME`). A crash in between leaves what is decided again, and alike, at the next start.
 */
import { timeDefaults } from '../flow/clock.ts'
import { Graph } from '../flow/graph.ts'
import type { Adopts, SourcePlan, ViewPlan } from '../flow/plan.ts'
import { planChange } from '../flow/plan-change.ts'
import { Fault } from '../lib/fault.ts'
import { viewRelation } from '../sql/plan/view.ts'
import { SqlFault } from '../sql/fault.ts'
import { dropAll } from './ddl.ts'
import { type Definition, ofView } from './definitions.ts'
import type { EngineParts } from './engine-parts.ts'
import { begin, clearView, dependents, ensureTopics, removeTopic } from './running.ts'

export interface ProgramView {
  readonly view: ViewPlan
  /** The column that says when a row happened, for views that read this one. */
  readonly time?: SourcePlan['time']
  /** Of another plan than its state, it goes on with what both have. Default: it is made anew. */
  readonly resumes?: boolean
}
export interface ChangedView {
  readonly name: string
  readonly becomes: 'anew' | 'resumed'
}

export function programView({ view, time = null }: ProgramView): Definition {
  const relation = viewRelation(view, { time, key: null })
  return ofView({ view, relation, topic: { name: view.name, partitions: null, config: {} } })
}

export interface BegunViews {
  readonly changed: readonly ChangedView[]
  /** Resolves when all of them run: all at once, as each may wait for others that share its group. */
  readonly started: Promise<void>
}

/**
 * Views that read one another in their order, inputs first. `mayDrop`: a reader of one that is made anew may go as well.
 * Throws Fault project.has-reader, SqlFault sql.cannot-resume.
 */
export async function beginViews(
  parts: EngineParts,
  views: readonly ProgramView[],
  mayDrop: (reader: Definition) => boolean,
): Promise<BegunViews> {
  const changed = new Map<string, Adopts | 'anew'>()
  for (const one of views) {
    const change = await changeOf(parts, one)
    if (change !== null) changed.set(one.view.name, change)
  }
  const ours = new Set(views.map(({ view }) => view.name))
  const drops: Definition[] = []
  for (const { view } of views) {
    const change = changed.get(view.name)
    if (change === undefined || (change !== 'anew' && change.rows !== 'anew')) continue
    // Where its rows begin anew, nobody can go on reading them.
    for (const reader of readersOf(parts, view.name)) {
      if (ours.has(reader.name) && reader.stored === null) changed.set(reader.name, 'anew')
      else if (mayDrop(reader)) drops.push(reader)
      else
        throw new Fault('project.has-reader', {
          changed: `view ${view.name}`,
          reader: `${reader.kind} ${reader.name}`,
        })
    }
  }
  for (const reader of drops)
    if (parts.definitions.get(reader.kind, reader.name) !== null)
      await dropAll(parts, reader, { text: '', at: 0, cascade: true })
  for (const { view } of views.toReversed()) await clear(parts, view.name, changed.get(view.name))
  const ready = views.map(({ view }): Definition => {
    const change = changed.get(view.name)
    const definition = parts.definitions.get('view', view.name)!
    const adopts = change === undefined || change === 'anew' ? {} : { adopts: change }
    return { ...definition, view: { ...view, ...adopts } }
  })
  for (const definition of ready) await ensureTopics(parts, definition)
  const started = Promise.all(ready.map((definition) => begin(parts, definition))).then(() => {})
  started.catch(() => {})
  return {
    changed: Array.from(changed, ([name, change]) => ({ name, becomes: change === 'anew' ? 'anew' : 'resumed' })),
    started,
  }
}
function readersOf(parts: EngineParts, name: string): Definition[] {
  const definition = parts.definitions.get('view', name)!
  return dependents(parts, definition).filter((one) => one.name !== name)
}
async function clear(parts: EngineParts, name: string, change: Adopts | 'anew' | undefined): Promise<void> {
  if (change === 'anew') return clearView(parts, name)
  if (change?.rows !== 'anew') return
  await parts.live.drop(name)
  await parts.runner.vacate(name)
  await removeTopic(parts, name)
}

/** null: the state is of this plan, or there is none. */
async function changeOf(parts: EngineParts, { view, resumes = false }: ProgramView): Promise<Adopts | 'anew' | null> {
  const saved = await parts.runner.saved(view.name)
  const { print } = new Graph(view.plan, timeDefaults).marks
  if (saved === null || saved.print === print) return null
  if (!resumes) return 'anew'
  const { refusal, rows } = planChange(saved, null, view)
  if (refusal === null) return { into: print, rows }
  throw new SqlFault('sql.cannot-resume', `view "${view.name}" cannot go on with this query: ${refusal}`, '', 0, {
    hint: "Without startFrom: 'resume' it begins anew.",
  })
}
