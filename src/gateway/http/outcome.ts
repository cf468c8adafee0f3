/** What became of one record of a request, and the answer about many. */
import type { Fault } from '../../lib/fault.ts'
import type { ProducedJson } from './api.ts'
import { problemOf } from './problem.ts'
import type { Placed } from '../../log/producer.ts'

/** One record's outcome: where it lies, or why it does not; `kept`: it lies in the quarantine. */
export type Outcome = Placed | { readonly fault: Fault; readonly kept: boolean }
export function outcomeJson(outcome: Outcome): ProducedJson['records'][number] {
  if ('fault' in outcome) return { fault: problemOf(outcome.fault) }
  const { partition, offset, timeMs } = outcome
  return { partition, offset, timestamp: new Date(timeMs).toISOString() }
}
/** 200 when all are stored as sent, 207 when some went elsewhere or nowhere, the fault's own status when all did. */
export function statusOf(outcomes: readonly Outcome[]): number {
  const faults = outcomes.flatMap((outcome) => ('fault' in outcome ? [outcome] : []))
  if (faults.length === 0) return 200
  if (faults.length < outcomes.length || faults.some(({ kept }) => kept)) return 207
  return problemOf(faults[0]!.fault).status
}
