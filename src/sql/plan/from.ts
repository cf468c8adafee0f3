/** FROM: sources, derived tables, windows over streams, joins. */
import type { Columns, Field } from '../../schema/types.ts'
import { bindExpression } from '../bind/expressions.ts'
import { matchesName, type Scope, type ScopeColumn } from '../bind/scope.ts'
import { intervalMs } from '../bind/durations.ts'
import { SqlFault } from '../fault.ts'
import type { Alias, Name, Query, QualifiedName, TableArgument, TableFunction, TableRef } from '../syntax/ast.ts'
import { bindContext, type PlanContext } from './context.ts'
import { notEventTime } from './event-time.ts'
import { planJoin, planTemporalJoin } from './join.ts'
import { columnsToScope, findRelation, type Rel, type Relation } from './relation.ts'

/** Ties the knot: FROM holds queries and queries hold FROM. */
export type PlanQuery = (ctx: PlanContext, query: Query) => Rel

export function planFrom(ctx: PlanContext, from: readonly TableRef[], planQuery: PlanQuery, at: number): Rel {
  const [first, ...more] = from
  if (first === undefined) {
    throw new SqlFault('sql.unsupported', 'a SELECT without FROM is not supported here', ctx.text, at, {
      hint: 'Only a SELECT on its own may leave FROM out.',
    })
  }
  let rel = planTable(ctx, first, planQuery)
  for (const right of more) {
    const cross = { kind: 'join', type: 'cross', natural: false, on: null, using: [], left: first, right } as const
    rel = planJoin(ctx, rel, planTable(ctx, right, planQuery), { ...cross, at: first.at, end: right.end })
  }
  return rel
}

function planTable(ctx: PlanContext, ref: TableRef, planQuery: PlanQuery): Rel {
  switch (ref.kind) {
    case 'table':
      if (ref.asOf !== null) {
        throw new SqlFault(
          'sql.unsupported',
          'FOR SYSTEM_TIME AS OF is supported on the right side of a JOIN',
          ctx.text,
          ref.asOf.at,
        )
      }
      return named(ctx, ref.name, ref.alias)
    case 'derived':
      if (ref.lateral) throw new SqlFault('sql.unsupported', 'LATERAL is not supported yet', ctx.text, ref.at)
      return aliased(ctx, planQuery({ ...ctx }, ref.query), ref.alias)
    case 'function':
      return tableFunction(ctx, ref)
    case 'join':
      return join(ctx, ref, planQuery)
  }
}

/** A common table expression, stream, table or view by its name. */
export function named(ctx: PlanContext, name: QualifiedName, alias: Alias | null): Rel {
  const cte = name.parts.length === 1 ? ctx.ctes.find((c) => matchesName(name.parts[0]!, c.name)) : undefined
  const rel =
    cte === undefined
      ? sourceRel(findRelation(ctx.schema, name, ctx.text))
      : { ...cte.rel, scope: renamed(cte.rel.scope, cte.name) }
  return alias === null ? rel : aliased(ctx, rel, alias)
}

/** The rows of a relation as it is stored. */
export function sourceRel(relation: Relation): Rel {
  const { source } = relation
  const timestamp = source.columns.findIndex((_, i) => source.fields[i]!.from === 'timestamp')
  const time = source.time ?? (timestamp < 0 ? null : { column: timestamp, delayMs: 1 })
  return {
    plan: source,
    scope: columnsToScope(relation.name, source.columns, relation.declared),
    key: relation.key?.map((position) => [position]) ?? null,
    appendOnly: relation.appendOnly,
    time,
    windows: [],
    rank: null,
  }
}

const renamed = (scope: Scope, name: string | null): Scope => [
  { name, schema: null, columns: scope.flatMap((relation) => relation.columns) },
]

function aliased(ctx: PlanContext, rel: Rel, alias: Alias | null): Rel {
  const [relation] = renamed(rel.scope, alias?.name.text ?? null)
  if (alias === null || alias.columns.length === 0) return { ...rel, scope: [relation!] }
  const visible = relation!.columns.filter((column) => !column.hidden)
  if (alias.columns.length > visible.length) {
    const message = `table "${alias.name.text}" has ${visible.length} columns available but ${alias.columns.length} columns specified`
    throw new SqlFault('sql.invalid-definition', message, ctx.text, alias.columns[visible.length]!.at)
  }
  const columns = visible.map((column, i) => ({ ...column, name: alias.columns[i]?.text ?? column.name }))
  return {
    ...rel,
    scope: [{ ...relation!, columns: [...columns, ...relation!.columns.filter((column) => column.hidden)] }],
  }
}

const laterWindows = new Set(['hop', 'cumulate', 'session'])

/** TUMBLE(t, time, size) adds window_start and window_end. */
function tableFunction(ctx: PlanContext, ref: TableFunction): Rel {
  const name = ref.name.parts.at(-1)!.text.toLowerCase()
  if (laterWindows.has(name))
    throw new SqlFault('sql.unsupported', `${name.toUpperCase()} windows are not supported yet`, ctx.text, ref.at, {
      hint: 'TUMBLE(t, time, size) is.',
    })
  if (name !== 'tumble')
    throw new SqlFault('sql.unknown-function', `table function ${name} does not exist`, ctx.text, ref.at, {
      hint: 'TUMBLE(t, time, size) is the one there is.',
    })
  const [data, timeArgument, sizeArgument, offset] = orderedArguments(ctx, ref)
  if (data === undefined || timeArgument === undefined || sizeArgument === undefined) {
    throw new SqlFault('sql.syntax', 'TUMBLE takes a stream, its time column and a size', ctx.text, ref.at, {
      hint: "For example TUMBLE(purchases, bought_at, INTERVAL '1 minute').",
    })
  }
  if (offset !== undefined)
    throw new SqlFault('sql.unsupported', 'an offset of windows is not supported yet', ctx.text, offset.at)
  const input = windowInput(ctx, data)
  const time = timeColumn(ctx, input, timeArgument)
  return addWindow(ctx, input, time, windowSize(ctx, input, sizeArgument), ref)
}
const parameterNames = ['data', 'timecol', 'size', 'offset']
function orderedArguments(ctx: PlanContext, ref: TableFunction): (TableArgument | undefined)[] {
  const ordered: (TableArgument | undefined)[] = []
  for (const [i, argument] of ref.args.entries()) {
    const position = argument.name === null ? i : parameterNames.indexOf(argument.name.text.toLowerCase())
    if (position < 0 || position > 3)
      throw new SqlFault('sql.syntax', 'TUMBLE takes a stream, its time column and a size', ctx.text, argument.at)
    ordered[position] = argument
  }
  return ordered
}
function windowInput(ctx: PlanContext, argument: TableArgument): Rel {
  if (argument.kind === 'table') return named(ctx, argument.table, null)
  if (argument.kind === 'value' && argument.value.kind === 'name')
    return named(ctx, { parts: argument.value.parts, at: argument.at, end: argument.end }, null)
  throw new SqlFault(
    'sql.syntax',
    'the first argument of TUMBLE is the name of a stream or view',
    ctx.text,
    argument.at,
    {
      hint: 'Give a query a name with WITH name AS (…) and use that.',
    },
  )
}
function timeColumn(ctx: PlanContext, input: Rel, argument: TableArgument): number {
  const parts: readonly Name[] | null =
    argument.kind === 'descriptor' && argument.columns.length === 1
      ? argument.columns
      : argument.kind === 'value' && argument.value.kind === 'name'
        ? argument.value.parts
        : null
  if (parts === null)
    throw new SqlFault('sql.syntax', 'the second argument of TUMBLE is the event-time column', ctx.text, argument.at)
  const bound = bindExpression(bindContext(ctx, input.scope, 'TUMBLE'), {
    kind: 'name',
    parts,
    at: argument.at,
    end: argument.end,
  })
  const position = bound.expr.kind === 'column' ? bound.expr.index : -1
  if (input.time === null || position !== input.time.column) throw notEventTime(ctx, input, argument.at)
  return position
}
function windowSize(ctx: PlanContext, input: Rel, argument: TableArgument): number {
  if (argument.kind !== 'value')
    throw new SqlFault('sql.syntax', 'the size of a window is an interval', ctx.text, argument.at)
  const ms = intervalMs(bindExpression(bindContext(ctx, input.scope, 'TUMBLE'), argument.value), ctx.text)
  if (ms === null || ms <= 0) {
    throw new SqlFault(
      'sql.invalid-value',
      'the size of a window is a positive interval of whole milliseconds, without months',
      ctx.text,
      argument.at,
    )
  }
  return ms
}

const isShadowed = (column: ScopeColumn): boolean =>
  !column.hidden && (column.name === 'window_start' || column.name === 'window_end')

function addWindow(ctx: PlanContext, input: Rel, time: number, sizeMs: number, ref: TableFunction): Rel {
  const start = input.plan.columns.length
  const { type } = input.plan.columns[time]!
  if (type.kind !== 'timestamp' && type.kind !== 'timestamptz') {
    throw new SqlFault(
      'sql.type-mismatch',
      'a window needs a time column of type timestamp or timestamptz',
      ctx.text,
      ref.args[1]!.at,
    )
  }
  const bound = (name: string): Field => ({ name, type, nullable: false })
  const columns: Columns = [...input.plan.columns, bound('window_start'), bound('window_end')]
  const [relation] = input.scope
  const scoped = [
    { ...bound('window_start'), index: start, hidden: false },
    { ...bound('window_end'), index: start + 1, hidden: false },
  ]
  const visible = relation!.columns.filter((c) => !c.hidden && !isShadowed(c))
  // A view of windows has columns of these names already: the new ones stand before them.
  const hidden = [
    ...relation!.columns.filter((c) => c.hidden),
    ...relation!.columns.filter(isShadowed).map((c) => ({ ...c, hidden: true })),
  ]
  const rel: Rel = {
    ...input,
    plan: { op: 'window', input: input.plan, window: { kind: 'tumble', sizeMs }, time, columns },
    scope: [{ ...relation!, columns: [...visible, ...scoped, ...hidden] }],
    windows: [...input.windows, { start, end: start + 1 }],
  }
  return ref.alias === null ? rel : aliased(ctx, rel, ref.alias)
}

function join(ctx: PlanContext, ref: Extract<TableRef, { kind: 'join' }>, planQuery: PlanQuery): Rel {
  const { right } = ref
  const left = planTable(ctx, ref.left, planQuery)
  if (right.kind !== 'table' || right.asOf === null) return planJoin(ctx, left, planTable(ctx, right, planQuery), ref)
  if (ref.type !== 'inner' && ref.type !== 'left') {
    throw new SqlFault(
      'sql.unsupported',
      `a ${ref.type.toUpperCase()} JOIN with FOR SYSTEM_TIME AS OF has no meaning`,
      ctx.text,
      right.at,
      { hint: 'Use JOIN or LEFT JOIN.' },
    )
  }
  const table = named(ctx, right.name, right.alias)
  return planTemporalJoin(ctx, left, table, { ...ref, type: ref.type, asOf: right.asOf })
}
