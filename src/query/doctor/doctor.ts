/** Why a view gives nothing: looks at what runs, at what its topics hold, and names the causes it knows. */
import { sourcesOf } from '../../flow/plan-facts.ts'
import type { ViewPlan } from '../../flow/plan.ts'
import type { Fault } from '../../lib/fault.ts'
import type { EngineParts } from '../engine-parts.ts'
import type { Diagnosis } from '../engine.ts'
import type { ViewState } from '../runner.ts'
import { diagnose, restarting } from './diagnose.ts'
import { gather } from './facts.ts'

interface Patient {
  readonly name: string
  /** null: its definition cannot be planned, and why. */
  readonly view: ViewPlan | null
  readonly fault: Fault | null
}

export async function examineView(
  parts: EngineParts,
  { name, view, fault }: Patient,
  samples: boolean,
): Promise<Diagnosis[]> {
  if (view === null) return [cannotRun(name, fault)]
  const { runner, definitions, log, world } = parts
  const state = runner.state(view.name)
  // Of one whose thread has ended nobody can say more.
  const examined = await runner.examine(view.name).catch(() => null)
  if (state === null || examined === null) return [cannotRun(name, state?.fault ?? fault, state)]
  const upstream = sourcesOf(view.plan).flatMap((source) => {
    const running = definitions.get('view', source.name)?.view
    const of = running === undefined || running === null ? null : runner.state(running.name)
    return of === null ? [] : [{ name: source.name, status: of.status, fault: of.fault }]
  })
  const found = diagnose(await gather({ log, clock: world.clock }, examined, { name, state, upstream }))
  return samples ? found : found.map((one) => ({ ...one, evidence: [] }))
}
function cannotRun(name: string, fault: Fault | null, state: ViewState | null = null): Diagnosis {
  const at = { node: null, sure: 'yes' } as const
  if (state?.status === 'restarting' && state.restarts !== null) return restarting(name, state.restarts, null)
  if (state?.status === 'paused')
    return {
      ...at,
      code: 'paused',
      says: 'The view is paused.',
      evidence: [],
      remedy: `ALTER MATERIALIZED VIEW ${name} RESUME`,
    }
  if (state?.status === 'running')
    return {
      ...at,
      code: 'unseen',
      says: 'The view runs, but could not be looked at.',
      evidence: [],
      remedy: 'Ask again; EXPLAIN ANALYZE shows what goes through its steps.',
    }
  return {
    ...at,
    code: 'stopped',
    says: `The view cannot run: ${fault?.message ?? 'why is not known'}.`,
    evidence: fault === null ? [] : [fault.code, fault.hint],
    remedy: 'Mend what it reads, or drop it and create it anew.',
  }
}
