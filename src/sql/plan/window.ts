/** TUMBLE, HOP and CUMULATE in FROM: they add window_start and window_end, and window_time by its name alone. */
import { durationText } from '../../lib/duration.ts'
import { limits } from '../../lib/limits.ts'
import type { Window } from '../../flow/plan.ts'
import type { Columns, Field } from '../../schema/types.ts'
import { bindExpression } from '../bind/expressions.ts'
import { intervalMs } from '../bind/durations.ts'
import type { ScopeColumn } from '../bind/scope.ts'
import { functionsElsewhere } from '../bind/elsewhere.ts'
import { SqlFault } from '../fault.ts'
import type { Alias, Name, QualifiedName, Query, TableArgument, TableFunction } from '../syntax/ast.ts'
import { bindContext, type PlanContext } from './context.ts'
import { notEventTime } from './event-time.ts'
import { momentMicros, type Rel } from './relation.ts'

interface Shape {
  /** Names of the arguments, in order; the last is optional. */
  readonly takes: readonly string[]
  readonly says: string
  readonly example: string
}
const shapes: Readonly<Record<string, Shape>> = {
  tumble: {
    takes: ['data', 'timecol', 'size', 'offset'],
    says: 'TUMBLE takes a stream, its time column and a size',
    example: "TUMBLE(purchases, bought_at, INTERVAL '1 minute')",
  },
  hop: {
    takes: ['data', 'timecol', 'slide', 'size', 'offset'],
    says: 'HOP takes a stream, its time column, a slide and a size',
    example: "HOP(purchases, bought_at, INTERVAL '10 seconds', INTERVAL '1 minute')",
  },
  cumulate: {
    takes: ['data', 'timecol', 'step', 'size', 'offset'],
    says: 'CUMULATE takes a stream, its time column, a step and a size',
    example: "CUMULATE(purchases, bought_at, INTERVAL '1 hour', INTERVAL '1 day')",
  },
}

/** What a window may stand over. */
interface Inputs {
  named(ctx: PlanContext, name: QualifiedName, alias: Alias | null): Rel
  query(ctx: PlanContext, query: Query): Rel
  aliased(ctx: PlanContext, rel: Rel, alias: Alias): Rel
}

export function planWindow(ctx: PlanContext, ref: TableFunction, inputs: Inputs): Rel {
  const name = ref.name.parts.at(-1)!.text.toLowerCase()
  if (name === 'session') return planSession(ctx, ref, inputs)
  const shape = shapes[name]
  if (shape === undefined)
    throw new SqlFault('sql.unknown-function', `table function ${name} does not exist`, ctx.text, ref.at, {
      hint: functionsElsewhere[name] ?? 'TUMBLE, HOP, CUMULATE and SESSION are those there are.',
    })
  const args = orderedArguments(ctx, ref, shape)
  const [data, timeArgument] = args
  if (args.slice(0, -1).some((argument) => argument === undefined))
    throw new SqlFault('sql.syntax', shape.says, ctx.text, ref.at, { hint: `For example ${shape.example}.` })
  const input = windowInput(ctx, data!, name.toUpperCase(), inputs)
  const time = timeColumn(ctx, input, timeArgument!, name.toUpperCase())
  const rel = addWindow(ctx, input, time, sizes(ctx, input, args, name), timeArgument!.at)
  return ref.alias === null ? rel : inputs.aliased(ctx, rel, ref.alias)
}
const session: Shape = {
  takes: ['data', 'timecol', 'gap'],
  says: 'SESSION takes a stream, its time column, a gap, and the columns that sessions are of',
  example: "SESSION(clicks, clicked_at, INTERVAL '10 minutes', customer_id)",
}
function planSession(ctx: PlanContext, ref: TableFunction, inputs: Inputs): Rel {
  const count = session.takes.length
  const [data, timeArgument, gap] = orderedArguments(ctx, { ...ref, args: ref.args.slice(0, count) }, session)
  if (data === undefined || timeArgument === undefined || gap === undefined)
    throw new SqlFault('sql.syntax', session.says, ctx.text, ref.at, { hint: `For example ${session.example}.` })
  const input = windowInput(ctx, data, 'SESSION', inputs)
  if (!input.appendOnly)
    throw new SqlFault('sql.unsupported', 'SESSION takes rows that are only ever added', ctx.text, data.at)
  const time = timeColumn(ctx, input, timeArgument, 'SESSION')
  const gapMs = length(ctx, input, gap, 'the gap of sessions', 1)
  const columns = [
    ...(data.kind === 'table' || data.kind === 'query'
      ? data.partitionBy.map((name) => ({ parts: [name], at: name.at, end: name.end }))
      : []),
    ...ref.args.slice(count).map((argument) => {
      const isName = argument.kind === 'value' && argument.value.kind === 'name' && argument.name === null
      if (!isName) throw new SqlFault('sql.syntax', session.says, ctx.text, argument.at)
      return { parts: argument.value.parts, at: argument.at, end: argument.end }
    }),
  ]
  const partitionBy = columns.map((name) => {
    const { expr } = bindExpression(bindContext(ctx, input.scope, 'SESSION'), { kind: 'name', ...name })
    if (expr.kind !== 'column') throw new SqlFault('sql.syntax', session.says, ctx.text, name.at)
    return expr.index
  })
  const { plan, windows, scope } = addWindow(ctx, input, time, { kind: 'tumble', sizeMs: gapMs }, timeArgument.at)
  const rel: Rel = {
    ...input,
    scope,
    key: null,
    windows: windows.map((w) => (w.end === plan.columns.length - 1 ? { ...w, isPaired: false } : w)),
    session: { time, gapMs, partitionBy, at: ref.at },
  }
  return ref.alias === null ? rel : inputs.aliased(ctx, rel, ref.alias)
}
/** In the order of the shape; all of its length, what is not given undefined. */
function orderedArguments(ctx: PlanContext, ref: TableFunction, shape: Shape): (TableArgument | undefined)[] {
  const ordered = shape.takes.map((): TableArgument | undefined => undefined)
  for (const [i, argument] of ref.args.entries()) {
    const position = argument.name === null ? i : shape.takes.indexOf(argument.name.text.toLowerCase())
    if (position < 0 || position >= shape.takes.length)
      throw new SqlFault('sql.syntax', shape.says, ctx.text, argument.at, { hint: `For example ${shape.example}.` })
    ordered[position] = argument
  }
  return ordered
}
function windowInput(ctx: PlanContext, argument: TableArgument, name: string, { named, query }: Inputs): Rel {
  if (argument.kind === 'table' || argument.kind === 'query') {
    const [column] = argument.partitionBy
    if (column !== undefined && name !== 'SESSION')
      throw new SqlFault(
        'sql.syntax',
        `${name} is the same for all rows: it takes no PARTITION BY`,
        ctx.text,
        column.at,
      )
    return argument.kind === 'table' ? named(ctx, argument.table, null) : query(ctx, argument.query)
  }
  if (argument.kind === 'value' && argument.value.kind === 'name')
    return named(ctx, { parts: argument.value.parts, at: argument.at, end: argument.end }, null)
  throw new SqlFault(
    'sql.syntax',
    `the first argument of ${name} is a stream, a view or a query in parentheses`,
    ctx.text,
    argument.at,
  )
}
function timeColumn(ctx: PlanContext, input: Rel, argument: TableArgument, name: string): number {
  const parts: readonly Name[] | null =
    argument.kind === 'descriptor' && argument.columns.length === 1
      ? argument.columns
      : argument.kind === 'value' && argument.value.kind === 'name'
        ? argument.value.parts
        : null
  if (parts === null)
    throw new SqlFault('sql.syntax', `the second argument of ${name} is the event-time column`, ctx.text, argument.at)
  const bound = bindExpression(bindContext(ctx, input.scope, name), {
    kind: 'name',
    parts,
    at: argument.at,
    end: argument.end,
  })
  const position = bound.expr.kind === 'column' ? bound.expr.index : -1
  if (input.time === null || position !== input.time.column) throw notEventTime(ctx, input, argument.at)
  return position
}

function sizes(ctx: PlanContext, input: Rel, args: readonly (TableArgument | undefined)[], name: string): Window {
  const given = (at: number, what: string): number => length(ctx, input, args[at]!, what, 1)
  const offsetAt = args.length - 1
  const offset =
    args[offsetAt] === undefined ? 0 : length(ctx, input, args[offsetAt], 'the offset of windows', -Infinity)
  const more = offset === 0 ? {} : { offsetMs: offset }
  if (name === 'tumble') return { kind: 'tumble', sizeMs: given(2, 'the size of a window'), ...more }
  const kind = name === 'hop' ? 'hop' : 'cumulate'
  const stepMs = given(2, name === 'hop' ? 'the slide of windows' : 'the step of windows')
  const sizeMs = given(3, 'the size of a window')
  const invalid = (why: string, hint: string): never => {
    throw new SqlFault('sql.invalid-value', why, ctx.text, args[2]!.at, { hint })
  }
  if (sizeMs % stepMs !== 0) {
    const step = kind === 'hop' ? 'slide' : 'step'
    const near = durationText(Math.ceil(sizeMs / stepMs) * stepMs)
    invalid(`the size of a window must be a multiple of its ${step}`, `With this ${step} a size of ${near} is.`)
  }
  if (sizeMs / stepMs > limits.windowsPerRow)
    invalid(`a row may lie in ${limits.windowsPerRow} windows, not in more`, 'Take a longer slide or a shorter size.')
  return { kind, sizeMs, stepMs, ...more }
}
function length(ctx: PlanContext, input: Rel, argument: TableArgument, what: string, least: number): number {
  if (argument.kind !== 'value') throw new SqlFault('sql.syntax', `${what} is an interval`, ctx.text, argument.at)
  const ms = intervalMs(bindExpression(bindContext(ctx, input.scope, 'a window'), argument.value), ctx.text)
  if (ms === null || !(ms >= least)) {
    const positive = least > 0 ? 'a positive interval' : 'an interval'
    throw new SqlFault(
      'sql.invalid-value',
      `${what} is ${positive} of whole milliseconds, without months`,
      ctx.text,
      argument.at,
    )
  }
  return ms
}

const isShadowed = (column: ScopeColumn): boolean =>
  !column.hidden && (column.name === 'window_start' || column.name === 'window_end')
/** The last moment of a window, 1 ms before its end: the event time of what it gives, as windows over windows want it. */
const lastMoment = 'window_time'

function addWindow(ctx: PlanContext, input: Rel, time: number, window: Window, timeAt: number): Rel {
  const start = input.plan.columns.length
  const { type } = input.plan.columns[time]!
  if (type.kind !== 'timestamp' && type.kind !== 'timestamptz') {
    throw new SqlFault(
      'sql.type-mismatch',
      'a window needs a time column of type timestamp or timestamptz',
      ctx.text,
      timeAt,
    )
  }
  const bound = (name: string): Field => ({ name, type, nullable: false })
  const columns: Columns = [...input.plan.columns, bound('window_start'), bound('window_end')]
  const [relation] = input.scope
  const scoped = [
    { ...bound('window_start'), index: start, hidden: false },
    { ...bound('window_end'), index: start + 1, hidden: false },
  ]
  // A window_time that rows bring as their event time is that of the windows before; any other is a column like all.
  const isPast = (c: ScopeColumn): boolean => c.name === lastMoment && (c.index === time || c.lessMicros !== undefined)
  const before = relation!.columns.filter((c) => !isPast(c))
  const moment: ScopeColumn = { ...scoped[1]!, name: lastMoment, hidden: true, lessMicros: momentMicros }
  const moments = before.some((c) => c.name === lastMoment) ? [] : [moment]
  const visible = before.filter((c) => !c.hidden && !isShadowed(c))
  // A view of windows has columns of these names already: the new ones stand before them.
  const hidden = [...before.filter((c) => c.hidden), ...before.filter(isShadowed).map((c) => ({ ...c, hidden: true }))]
  return {
    ...input,
    plan: { op: 'window', input: input.plan, window, time, columns },
    scope: [{ ...relation!, columns: [...visible, ...scoped, ...moments, ...hidden] }],
    // A row that lies in several windows is there once in each.
    key: window.kind === 'tumble' || input.key === null ? input.key : [...input.key, [start + 1]],
    windows: [...input.windows, { start, end: start + 1, isPaired: window.kind !== 'cumulate' }],
  }
}
