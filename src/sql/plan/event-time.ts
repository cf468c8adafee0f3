/** What to say where a column is not the event time of the rows. */
import { SqlFault } from '../fault.ts'
import type { PlanContext } from './context.ts'
import type { Rel } from './relation.ts'

export function notEventTime(ctx: PlanContext, input: Rel, at: number): SqlFault {
  const column = input.time === null ? null : input.plan.columns[input.time.column]!.name
  return new SqlFault('sql.windowing', 'this is not the event-time column', ctx.text, at, {
    hint:
      column === null && !input.appendOnly
        ? "Rows that may be withdrawn have no event time any more: put the window first, or leave it out: GROUP BY date_bin('1 minute', t, '2000-01-01')."
        : column === null
          ? 'The rows here have no event time any more; keep its column in the SELECT list below.'
          : `Event time is ${column}: the column with the WATERMARK, else _timestamp.`,
  })
}
