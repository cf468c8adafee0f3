/** Where a function that may give another value for the same row may be called: where no row is computed twice. */
import { expressionsOf, inputsOf, neverWithdraws } from '../../flow/plan-facts.ts'
import type { Plan } from '../../flow/plan.ts'
import { isVolatile } from '../bind/bound.ts'
import { SqlFault } from '../fault.ts'

/** Throws SqlFault. A withdrawn row is computed anew; with another value it would not be found where it is to be taken from. */
export function refuseVolatile(plan: Plan, text: string, at: number): void {
  if (expressionsOf(plan).some(isVolatile) && !computesOnce(plan))
    throw new SqlFault(
      'sql.unsupported',
      'a volatile function over rows that may be withdrawn, or are computed several times, is not supported',
      text,
      at,
      {
        hint: 'Call it in a view over streams of events alone, whose rows others read; or declare it without volatile.',
      },
    )
  for (const input of inputsOf(plan)) refuseVolatile(input, text, at)
}
function computesOnce(plan: Plan): boolean {
  switch (plan.op) {
    // Each view would compute another value.
    case 'source':
    case 'expire':
      return false
    case 'join':
      return (plan.kind === 'inner' || plan.interval !== undefined) && inputsOf(plan).every(neverWithdraws)
    case 'temporal-join':
    case 'lookup':
      return neverWithdraws(plan.left)
    default:
      return inputsOf(plan).every(neverWithdraws)
  }
}
