/** GROUP BY over SESSION(…): the sessions and their aggregates are one step. */
import type { Aggregate } from '../../flow/expression.ts'
import type { Columns, Field } from '../../schema/types.ts'
import { column, columnsOf } from '../bind/bound.ts'
import { SqlFault } from '../fault.ts'
import type { PlanContext } from './context.ts'
import type { GroupKey } from './group.ts'
import type { Rel, SessionRequest } from './relation.ts'

/** Sessions are there only where they are grouped. */
export function refuseSession(ctx: PlanContext, { session }: Rel): void {
  if (session === undefined) return
  throw new SqlFault('sql.windowing', 'the rows of a session are there only together', ctx.text, session.at, {
    hint: "SELECT k, window_start, window_end, count(*) FROM SESSION(stream, time, INTERVAL '10 minutes', k) GROUP BY k, window_start, window_end",
  })
}

/** Output: the keys as they were written, then the aggregates. */
export function planSessions(
  ctx: PlanContext,
  input: Rel & { readonly session: SessionRequest },
  keys: readonly GroupKey[],
  list: readonly Aggregate[],
  of: { readonly columns: Columns; readonly close: boolean },
): Rel['plan'] {
  const { session, plan } = input
  const width = plan.columns.length
  const at = keys.map(({ bound }) => (bound.expr.kind === 'column' ? bound.expr.index : -1))
  const partition = new Set(at.filter((index) => index < width))
  const isWhole =
    at.includes(width) &&
    at.includes(width + 1) &&
    !partition.has(-1) &&
    partition.size === new Set(session.partitionBy).size &&
    session.partitionBy.every((index) => partition.has(index))
  if (!isWhole)
    throw new SqlFault(
      'sql.windowing',
      'sessions are grouped by window_start, window_end and the columns that SESSION names, no others',
      ctx.text,
      session.at,
      {
        hint: 'SESSION(stream, time, gap, k) GROUP BY k, window_start, window_end. Group its result once more if needed.',
      },
    )
  for (const { args, filter } of list)
    for (const expr of filter === null ? args : [...args, filter])
      if ([...columnsOf(expr)].some((index) => index >= width))
        throw new SqlFault('sql.unsupported', 'an aggregate over the bounds of its session', ctx.text, session.at)
  const bounds = at.flatMap((index, i) => (index >= width ? [of.columns[i]!] : []))
  const sessionKeys = [...partition]
  const bound = (name: string): Field => ({ ...bounds[0]!, name, nullable: false })
  const columns: Columns = [
    ...sessionKeys.map((index) => plan.columns[index]!),
    bound('window_start'),
    bound('window_end'),
    ...of.columns.slice(keys.length),
  ]
  const place = (index: number): number =>
    index >= width ? sessionKeys.length + index - width : sessionKeys.indexOf(index)
  const expressions = of.columns.map((field, i) =>
    column(i < keys.length ? place(at[i]!) : sessionKeys.length + 2 + i - keys.length, field.type),
  )
  return {
    op: 'project',
    input: {
      op: 'session',
      input: plan,
      time: session.time,
      gapMs: session.gapMs,
      keys: sessionKeys,
      aggregates: list,
      emit: of.close ? 'close' : 'update',
      columns,
    },
    expressions,
    columns: of.columns,
  }
}
