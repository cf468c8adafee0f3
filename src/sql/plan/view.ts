/** CREATE MATERIALIZED VIEW as a plan for the runtime, and as a relation that other texts can name. */
import { slotCount } from '../../flow/key.ts'
import { timeDefaults } from '../../flow/clock.ts'
import { outputMode } from '../../flow/output-mode.ts'
import { sourcesOf, withInputs } from '../../flow/plan-facts.ts'
import type { Plan, SourcePlan, ViewPlan } from '../../flow/plan.ts'
import { parseInstant } from '../../flow/time-text.ts'
import type { Columns } from '../../schema/types.ts'
import { column } from '../bind/bound.ts'
import { matchesName } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Name, Query, Statement } from '../syntax/ast.ts'
import type { PlanContext } from './context.ts'
import type { TopicWish } from './definitions.ts'
import { Options, type OptionSpecs } from './options.ts'
import { refuseSession } from './session.ts'
import { restartOf, restartOptions } from './restart.ts'
import { firstColumns, planAnswer, planQuery } from './query.ts'
import {
  catalogName,
  type Key,
  type PlainView,
  pseudoColumns,
  type Rel,
  type Relation,
  projectRel,
} from './relation.ts'
import { type HistoryKeeper, historyFault } from './history.ts'
import { keepsHistory } from './join-keys.ts'
import { rewrite } from './rewrite.ts'
import { refuseVolatile } from './volatile.ts'

type CreateView = Extract<Statement, { kind: 'create-view' }>
type CreatePlainView = Extract<Statement, { kind: 'create-plain-view' }>

export interface PlannedView {
  readonly view: ViewPlan
  readonly relation: Relation
  readonly topic: TopicWish
  readonly ifNotExists: boolean
}

export const viewOptions: OptionSpecs = {
  topic: { kind: 'text', about: 'the topic of its changes; it is always the name of the view' },
  format: {
    kind: 'choice',
    choices: ['json', 'debezium-json'],
    about: 'how its changes are written: as rows, or as change events of Debezium; default json',
  },
  delivery: {
    kind: 'choice',
    choices: ['exactly_once', 'at_least_once'],
    about: 'whether its rows wait for its tick, or go out before and may come twice; default exactly_once',
  },
  late_topic: { kind: 'text', about: 'the topic that rows go to which came too late' },
  idle: {
    kind: 'duration',
    about: 'how long a partition may be silent before it no longer holds the watermark back; default 30s',
  },
  max_future: { kind: 'duration', about: 'event times further ahead of arrival do not move the watermark; default 1h' },
  on_error: {
    kind: 'choice',
    choices: ['stop', 'quarantine', 'skip'],
    about: 'what happens to a row that cannot be computed; default stop',
  },
  allowed_lateness: {
    kind: 'duration',
    about: 'how long windows stay open for late rows after the watermark has passed them; default 0s',
  },
  memory_budget: {
    kind: 'bytes',
    about:
      'how much memory its state may take, as 256MB; beyond it rows go to disk, or the view ends where they cannot',
  },
  state_ttl: {
    kind: 'duration',
    about:
      'state of joins, groups and first rows without windows goes when it was not written for so long; default: it stays',
  },
  parallelism: {
    kind: 'count',
    about: `into how many parts steps with state are cut by their keys, at most ${slotCount}; default 1`,
  },
  standbys: {
    kind: 'count',
    about: 'how many other processes on the same log keep a copy of its state, to take over at once; default 0',
  },
  allow_unbounded_state: { kind: 'flag', about: 'accept a state that grows with history' },
  ...restartOptions,
}

export function planView(ctx: PlanContext, statement: CreateView): PlannedView {
  const name = catalogName(statement.name)
  const options = new Options(statement.options, viewOptions, ctx.text)
  const topic = options.textOf('topic')
  if (topic !== null && topic !== name) {
    throw new SqlFault(
      'sql.unsupported',
      'the topic of a view has the name of the view',
      ctx.text,
      options.at('topic'),
      { hint: 'Leave the option out.' },
    )
  }
  const inner = { ...ctx, allowUnbounded: options.flag('allow_unbounded_state'), joinsEnd: options.has('state_ttl') }
  const rel = keyed(ctx, statement, named(ctx, planViewQuery(inner, statement.query), statement.columns))
  checkNames(ctx, rel.plan.columns, statement)
  const key = flatKey(rel.key)
  const plan = rewrite(rel.plan)
  refuseVolatile(plan, ctx.text, statement.query.at)
  const restart = restartOf(options, ctx.text)
  const view: ViewPlan = {
    name,
    plan: withLateness(plan, options.duration('allowed_lateness') ?? 0),
    key,
    appendOnly: rel.appendOnly,
    ...(options.textOf('format')?.toLowerCase() === 'debezium-json' ? { envelope: 'debezium' as const } : {}),
    lateTopic: options.textOf('late_topic'),
    idleMs: options.duration('idle') ?? timeDefaults.idleMs,
    maxFutureMs: options.duration('max_future') ?? timeDefaults.maxFutureMs,
    onError: (options.textOf('on_error')?.toLowerCase() as ViewPlan['onError'] | undefined) ?? 'stop',
    ...(restart === null ? {} : { restart }),
    ...deliveryOf(ctx, options, { key, appendOnly: rel.appendOnly }),
    ...startOf(ctx, statement.start),
    ...(options.has('state_ttl') ? { ttlMs: options.duration('state_ttl')! } : {}),
    ...(options.has('memory_budget') ? { memoryBytes: options.bytes('memory_budget')! } : {}),
    ...parallelismOf(ctx, options),
    ...(options.has('standbys') ? { standbys: options.count('standbys')! } : {}),
  }
  return {
    view,
    relation: viewRelation(view, rel),
    topic: { name, partitions: null, config: options.topicConfig() },
    ifNotExists: statement.ifNotExists,
  }
}

function deliveryOf(
  ctx: PlanContext,
  options: Options,
  rows: Pick<ViewPlan, 'key' | 'appendOnly'>,
): Pick<ViewPlan, 'delivery'> {
  if (options.textOf('delivery')?.toLowerCase() !== 'at_least_once') return {}
  if (outputMode(rows) !== 'weighted') return { delivery: 'at least once' }
  const what = 'rows of this view come and go without a key: one that came twice would count twice'
  throw new SqlFault('sql.invalid-definition', what, ctx.text, options.at('delivery'), {
    hint: 'Leave the option out, or give the view a key: GROUP BY, or a PRIMARY KEY behind its columns.',
  })
}
/** By PRIMARY KEY; where the query's rows are told apart by more than that, ON CONFLICT says which one of them counts. */
function keyed(ctx: PlanContext, { primaryKey, onConflict }: CreateView, rel: Rel): Rel {
  if (primaryKey.length === 0) {
    if (onConflict === null) return rel
    throw new SqlFault('sql.invalid-definition', 'ON CONFLICT needs a PRIMARY KEY', ctx.text, onConflict.at, {
      hint: 'Name it among the columns: CREATE MATERIALIZED VIEW v (a, b, PRIMARY KEY (a)) AS …',
    })
  }
  const { columns } = rel.plan
  const key = primaryKey.map((wanted) => {
    const found = columns.flatMap(({ name }, i) => (matchesName(wanted, name) ? [i] : []))
    if (found.length === 1) return found[0]!
    throw new SqlFault(
      'sql.unknown-column',
      `column "${wanted.text}" is not among those of the view`,
      ctx.text,
      wanted.at,
    )
  })
  const withKey = { ...rel, key: key.map((position) => [position]) }
  if (rel.key !== null && rel.key.every((part) => part.some((position) => key.includes(position)))) return withKey
  const own = flatKey(rel.key)
  const named = (positions: readonly number[]): string => positions.map((i) => columns[i]!.name).join(', ')
  if (onConflict === null)
    throw new SqlFault(
      'sql.invalid-definition',
      `several rows of the query may have the same ${named(key)}: ${own === null ? 'it has no key' : `its key is (${named(own)})`}`,
      ctx.text,
      primaryKey[0]!.at,
      {
        hint: 'Say which one counts: ON CONFLICT DO NOTHING (the first), DO DEDUPLICATE (the one that changed last), or DO ERROR.',
      },
    )
  return {
    ...withKey,
    plan: { op: 'conflict', input: rel.plan, key, identity: own, policy: onConflict.does, columns },
    appendOnly: false,
    time: null,
    windows: [],
  }
}
function parallelismOf(ctx: PlanContext, options: Options): Pick<ViewPlan, 'parallelism'> {
  const parallelism = options.count('parallelism')
  if (parallelism === null) return {}
  if (parallelism <= slotCount) return { parallelism }
  const what = `option parallelism must be a whole number from 1 to ${slotCount}`
  throw new SqlFault('sql.invalid-value', what, ctx.text, options.at('parallelism'))
}
function startOf(ctx: PlanContext, start: CreateView['start']): Pick<ViewPlan, 'start'> {
  if (start?.from === 'now') return { start: { from: 'now' } }
  if (start?.from !== 'timestamp') return {}
  const micros = parseInstant(start.text)
  if (micros === null || !Number.isFinite(micros))
    throw new SqlFault('sql.invalid-value', `"${start.text}" is no timestamp`, ctx.text, start.at, {
      hint: "START FROM TIMESTAMP '2026-01-31 12:00:00', in UTC unless an offset is given.",
    })
  return { start: { from: 'time', timeMs: Math.floor(micros / 1000) } }
}
/** Whatever closes with the watermark closes later. */
const withLateness = (plan: Plan, latenessMs: number): Plan => {
  if (latenessMs === 0) return plan
  return plan.op === 'source' ? { ...plan, latenessMs } : withInputs(plan, (input) => withLateness(input, latenessMs))
}

/** ORDER BY without LIMIT would promise an order that a view does not have. */
export function planViewQuery(ctx: PlanContext, query: Query): Rel {
  const isDistinctOn = query.body.kind === 'select' && Array.isArray(query.body.distinct)
  if (query.orderBy.length > 0 && query.limit === null && query.offset === null && !isDistinctOn) {
    throw new SqlFault('sql.unsupported', 'a view has no order of its own', ctx.text, query.orderBy[0]!.at, {
      hint: 'Add LIMIT to keep the first rows, or order when you read the view.',
    })
  }
  const rel = planQuery(ctx, query)
  refuseSession(ctx, rel)
  const keeper = ctx.allowUnbounded ? null : keepsHistory(rewrite(rel.plan), ctx.joinsEnd === true)
  if (keeper !== null) {
    throw historyFault(keeper, ctx.text, keeperIn(query, keeper))
  }
  return rel
}
/** Where the first join, or OVER, stands. */
function keeperIn(query: Query, keeper: HistoryKeeper): number {
  const find = (node: unknown): number | null => {
    if (typeof node !== 'object' || node === null) return null
    const { kind, at, right, from, over } = node as {
      kind?: string
      over?: unknown
      at?: number
      right?: { at: number }
      from?: { at: number }[]
    }
    if (keeper === 'over') {
      if (kind === 'call' && over !== null) return at!
    } else if (kind === 'join') return right!.at
    else if (kind === 'in-query' || kind === 'exists' || kind === 'subquery') return at!
    else if (kind === 'select' && from![1] !== undefined) return from![1].at
    for (const part of Object.values(node)) {
      const found = find(part)
      if (found !== null) return found
    }
    return null
  }
  return find(query) ?? query.at
}

export interface PlannedPlainView {
  readonly view: PlainView
  readonly fields: Columns
  /** Sources and plain views that it reads. */
  readonly reads: readonly SourcePlan[]
}
export function planPlainView(ctx: PlanContext, statement: CreatePlainView): PlannedPlainView {
  const { query, columns } = statement
  const rel = named(ctx, planQuery({ ...ctx, mode: 'once' }, query), columns)
  refuseSession(ctx, rel)
  checkNames(ctx, rel.plan.columns, statement)
  const text = ctx.text
  const view = { name: catalogName(statement.name), text, query, columns }
  return { view, fields: rel.plan.columns, reads: sourcesOf(rel.plan) }
}

/** The rewritten plan of any query, with the columns that only ORDER BY needs behind the others. */
export function planOnce(ctx: PlanContext, query: Query): ReturnType<typeof planAnswer> {
  const answer = planAnswer(ctx, query)
  refuseSession(ctx, answer.rel)
  const rel =
    answer.rel.plan.columns.length === answer.visible && answer.order.length === 0
      ? firstColumns(answer.rel, answer.visible)
      : answer.rel
  const plan = rewrite(rel.plan)
  refuseVolatile(plan, ctx.text, query.at)
  return { ...answer, rel: { ...rel, plan } }
}

function named(ctx: PlanContext, rel: Rel, names: readonly Name[]): Rel {
  const { columns } = rel.plan
  if (names.length === 0) return rel
  if (names.length > columns.length) {
    throw new SqlFault(
      'sql.invalid-definition',
      'the view specifies more column names than columns',
      ctx.text,
      names[columns.length]!.at,
    )
  }
  const renamed: Columns = columns.map((field, i) => ({ ...field, name: names[i]?.text ?? field.name }))
  return projectRel(
    rel,
    columns.map((field, i) => column(i, field.type)),
    renamed,
  )
}
function checkNames(ctx: PlanContext, columns: Columns, statement: CreateView | CreatePlainView): void {
  const seen = new Set<string>()
  for (const { name } of columns) {
    if (seen.has(name))
      throw new SqlFault(
        'sql.duplicate-column',
        `column "${name}" specified more than once`,
        ctx.text,
        statement.query.at,
      )
    if (pseudoColumns.some((p) => p.field.name === name)) {
      throw new SqlFault(
        'sql.invalid-definition',
        `a view's column cannot be named "${name}"`,
        ctx.text,
        statement.query.at,
        { hint: 'Give it another name with AS.' },
      )
    }
    seen.add(name)
  }
}
/** One column for each part; the first that has it. */
export const flatKey = (key: Key | null): readonly number[] | null => key?.map((part) => part[0]!) ?? null

/** Reads what a view with these rows has written to its topic. */
export function viewRelation(view: ViewPlan, rel: Pick<Rel, 'time' | 'key'>): Relation {
  const { columns } = view.plan
  const source: SourcePlan = {
    op: 'source',
    name: view.name,
    topic: view.name,
    mode: view.appendOnly ? 'append' : view.key === null ? 'weighted' : 'upsert',
    format: 'json',
    ...(view.envelope === undefined ? {} : { envelope: view.envelope }),
    columns: [...columns, ...pseudoColumns.map((p) => p.field)],
    fields: [
      ...columns.map((field) => ({ from: 'value' as const, path: [field.name] })),
      ...pseudoColumns.map((p) => ({ from: p.from })),
    ],
    key: view.appendOnly ? [] : (view.key ?? []),
    time: rel.time !== null && rel.time.delayMs < Infinity && isTime(columns, rel.time.column) ? rel.time : null,
    onInvalid: 'quarantine',
  }
  return {
    name: view.name,
    kind: 'view',
    source,
    declared: columns.length,
    appendOnly: view.appendOnly,
    key: view.key,
  }
}
const isTime = (columns: Columns, position: number): boolean => {
  const kind = columns[position]?.type.kind
  return kind === 'timestamp' || kind === 'timestamptz'
}
