/** CREATE SAVEPOINT, SHOW SAVEPOINTS, DROP SAVEPOINT; what becomes of a view that starts from one. Its topic stands for the view's. */
import { timeDefaults } from '../flow/clock.ts'
import { Graph } from '../flow/graph.ts'
import type { Adopts, ViewPlan } from '../flow/plan.ts'
import { type PlanChange, planChange } from '../flow/plan-change.ts'
import { type Savepoint, checkInputs, dropSavepoint, readSavepoint, savepoints } from '../flow/runtime/savepoints.ts'
import { Fault } from '../lib/fault.ts'
import type { Definition, Stored } from './definitions.ts'
import { type EngineParts, timeText } from './engine-parts.ts'
import type { Rights, SavepointInfo } from './engine.ts'
import { topicOf } from './rights.ts'

/** Throws Fault flow.unknown-view, flow.savepoint-exists … */
export async function createSavepoint(parts: EngineParts, found: Definition, name: string): Promise<SavepointInfo> {
  const { view } = found
  if (view === null || found.kind !== 'view') throw found.fault ?? new Fault('flow.unknown-view', { view: found.name })
  parts.rights.demand('alter', topicOf(found))
  const made = await parts.runner.savepoint(view, name)
  if (parts.definitions.get('view', found.name)?.view === view) return shownTo(parts.rights, infoOf(made))
  await dropSavepoint(parts.log, name)
  throw new Fault('flow.savepoint-busy', { view: found.name })
}
/** Those of views that may be seen. */
export async function listSavepoints({ log, rights }: EngineParts): Promise<readonly SavepointInfo[]> {
  return (await savepoints(log)).filter(({ view }) => rights.sees(view)).map((one) => shownTo(rights, infoOf(one)))
}
/** False: there is none of that name, or none that may be seen. */
export async function removeSavepoint({ log, rights, definitions }: EngineParts, name: string): Promise<boolean> {
  const known = await readSavepoint(log, name)
  if (known !== null && !rights.sees(known.view)) {
    rights.missed(known.view)
    return false
  }
  if (known === null) rights.demandCluster('alter')
  else rights.demand('alter', known.view)
  const user = definitions.all().find(({ stored }) => stored?.load?.savepoint === name)
  if (user !== undefined) throw new Fault('flow.savepoint-busy', { view: user.name })
  return dropSavepoint(log, name)
}
/** What operators do is told to who sees all that the view reads. */
const shownTo = (rights: Rights, info: SavepointInfo): SavepointInfo =>
  info.positions.every(({ topic }) => rights.sees(topic))
    ? info
    : { ...info, positions: [], operators: info.operators.map((one) => ({ ...one, label: '' })) }
const infoOf = ({ name, view, atMs, operators, stateBytes, rowBytes, positions }: Savepoint): SavepointInfo => ({
  name,
  view,
  at: timeText(atMs)!,
  stateBytes,
  rowBytes,
  operators: operators.map(({ kind, label, rows }) => ({ kind, label, rows })),
  positions: positions.map(({ topic, partition, offset }) => ({ topic, partition, offset })),
})

export interface FromSavepoint {
  readonly change: PlanChange
  readonly stored: Pick<Stored, 'load' | 'adopts'>
}
/** What the view would have of it. Throws Fault flow.unknown-savepoint, flow.savepoint-input-gone. */
export async function fromSavepoint(
  { log, rights }: EngineParts,
  next: ViewPlan,
  name: string,
): Promise<FromSavepoint> {
  const savepoint = await readSavepoint(log, name)
  if (savepoint === null || !rights.sees(savepoint.view)) {
    if (savepoint !== null) rights.missed(savepoint.view)
    throw new Fault('flow.unknown-savepoint', { savepoint: name })
  }
  rights.demand('read', savepoint.view)
  await checkInputs(log, savepoint, next.plan)
  const { print } = new Graph(next.plan, timeDefaults).marks
  const change = planChange(savepoint.marks, savepoint.rows, next)
  const isSame = savepoint.marks.print === print
  const adopts: Adopts | undefined = isSame ? undefined : { into: print, rows: change.rows }
  // What is given anew is not copied first.
  const load = { savepoint: name, rows: isSame || change.rows === 'stay' }
  return {
    change: isSame && savepoint.rows.envelope === next.envelope ? { ...change, rows: 'stay', refusal: null } : change,
    stored: { load, ...(adopts === undefined ? {} : { adopts }) },
  }
}
