/** What a change of a view's query does to what the view has. */
import { timeDefaults } from './clock.ts'
import { Fingerprints } from './fingerprint.ts'
import { Graph } from './graph.ts'
import type { Plan } from './plan.ts'
import { missing } from './state-marks.ts'

/** They give the same rows out of the same state, now and later. */
export function isSamePlan(before: Plan, next: Plan): boolean {
  const of = (plan: Plan): string => new Fingerprints().ofResult(plan)
  const [a, b] = [new Graph(before, timeDefaults).marks, new Graph(next, timeDefaults).marks]
  return of(before) === of(next) && missing(a, b.saved).length === 0 && missing(b, a.saved).length === 0
}
