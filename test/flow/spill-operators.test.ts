/**
 * Windows, sessions, DISTINCT, OVER, ON CONFLICT and first rows of tables with hardly any memory: row for row what they give with
 * enough of it, also undone, started again and at the end of the input.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Aggregate } from '../../src/flow/expression.ts'
import type { Plan, PlanOf, SourcePlan, Window } from '../../src/flow/plan.ts'
import { aggregate, column, field, type Input, overCall, overPlan, source, t } from './plans.ts'
import { type Next, restored, twins, whole } from './spill-twins.ts'

const columns = [
  field('id', t.int, false),
  field('k', t.text),
  field('n', t.int),
  field('s', t.text),
  field('at', t.timestamptz),
]
const [id, key, number, time] = [0, 1, 2, 4]
const delayMs = 2_000
const stream = source('l', columns, { time: { column: time, delayMs } })
const table = source('l', columns, { mode: 'upsert', key: [id] })
const seeds = Number(process.env['RUNS'] ?? 2)

type Of = (next: Next, count: number) => Input
/** Later and later, some of it late. `keys`: how many there are. */
const events =
  (keys: number): Of =>
  (next, count) => {
    const at = count * 200 + whole(next, 3_000) - (next() < 0.05 ? 8_000 : 0)
    const k = next() < 0.05 ? null : `key ${whole(next, keys)}`
    const n = next() < 0.1 ? null : whole(next, 40)
    const value = { id: count, k, n, s: 'x'.repeat(whole(next, 30)), at: new Date(1e12 + at).toISOString() }
    return { topic: 'l', partition: 0, key: null, value }
  }
const changes =
  (ids: number): Of =>
  (next) => {
    const one = whole(next, ids)
    const key = String(one)
    if (next() < 0.3) return { topic: 'l', partition: 0, key, value: null }
    const at = new Date(1e12 + whole(next, 20_000)).toISOString()
    const k = next() < 0.1 ? null : `key ${whole(next, 8)}`
    const value = { id: one, k, n: next() < 0.1 ? null : whole(next, 12), s: 'x'.repeat(whole(next, 30)), at }
    return { topic: 'l', partition: 0, key, value }
  }
function check(plan: Plan, of: Of, what: string, least = 5): void {
  let most = 0
  for (let seed = 1; seed <= seeds; seed++)
    most = Math.max(most, twins(plan, of, seed, what, { steps: 120, bytesMax: 3_000 }))
  assert.ok(most >= least, `${what}: ${most} rows in files`)
  restored(plan, of, 1, what, 0, {}, { entries: 4_400, inputs: 4_400 })
}

const countOf = (name: 'n' | 's', more: Partial<Aggregate> = {}): Aggregate =>
  aggregate('count', t.bigint, [column(columns, name)], { distinct: true, ...more })
function grouped(input: Plan, keys: readonly number[], aggregates: readonly Aggregate[]): PlanOf<'aggregate'> {
  const results = aggregates.map(({ type }, i) => field(`a${i}`, type))
  return {
    op: 'aggregate',
    input,
    keys,
    aggregates,
    windowEnd: null,
    emit: 'update',
    columns: [...keys.map((k) => input.columns[k]!), ...results],
  }
}

for (const [what, input, of] of [
  ['of a stream', stream, events(6)],
  ['of a table', table, changes(60)],
] as const)
  test(`DISTINCT values ${what}, by key and over all`, () => {
    const calls = [
      aggregate('count', t.bigint),
      countOf('n'),
      countOf('s'),
      aggregate('sum', t.bigint, [column(columns, 'n')], { distinct: true }),
    ]
    check(grouped(input, [key], calls), of, `DISTINCT ${what}`)
    check(grouped(input, [], calls), of, `DISTINCT over all ${what}`)
    // Few values each: groups go with theirs.
    check(grouped(input, [id], calls), of, `DISTINCT of small groups ${what}`)
  })
test('smallest and largest values of a table, which may go again, beside DISTINCT ones', () => {
  const calls = [
    aggregate('min', t.int, [column(columns, 'n')]),
    aggregate('max', t.text, [column(columns, 's')]),
    countOf('n'),
  ]
  check(grouped(table, [key], calls), changes(60), 'extremes')
  check(grouped(table, [id], calls), changes(60), 'extremes of small groups')
})

const bounds = [field('ws', t.timestamptz), field('we', t.timestamptz)]
const [start, end] = [columns.length, columns.length + 1]
const windowed = (window: Window): Plan => ({
  op: 'window',
  input: stream,
  window,
  time,
  columns: [...columns, ...bounds],
})
const plain = [
  aggregate('count', t.bigint),
  aggregate('sum', t.bigint, [column(columns, 'n')]),
  aggregate('max', t.text, [column(columns, 's')]),
]
for (const emit of ['update', 'close'] as const)
  test(`groups of tumbling windows that give their rows ${emit === 'close' ? 'when they close' : 'at once'}`, () => {
    const input = windowed({ kind: 'tumble', sizeMs: 5_000 })
    for (const calls of [plain, [...plain, countOf('n')]]) {
      const plan = { ...grouped(input, [key, start, end], calls), windowEnd: 2, emit }
      check(plan, events(30), `tumbling windows, ${emit}, ${calls.length} results`)
    }
  })
for (const window of [
  { kind: 'hop', sizeMs: 10_000, stepMs: 2_000 },
  { kind: 'cumulate', sizeMs: 6_000, stepMs: 2_000 },
] as const)
  test(`${window.kind} windows, in slices and one by one`, () => {
    for (const calls of [plain, [...plain, countOf('n')]]) {
      const plan = { ...grouped(windowed(window), [key, end], calls), windowEnd: 1, emit: 'close' as const }
      check(plan, events(30), `${window.kind} windows, ${calls.length} results`)
    }
  })

for (const emit of ['update', 'close'] as const)
  test(`sessions that give their rows ${emit === 'close' ? 'when they close' : 'at once'}`, () => {
    const plan: Plan = {
      op: 'session',
      input: stream,
      time,
      gapMs: 2_500,
      keys: [key],
      aggregates: plain,
      emit,
      columns: [columns[key]!, ...bounds, ...plain.map(({ type }, i) => field(`a${i}`, type))],
    }
    check(plan, events(40), `sessions, ${emit}`, 5)
  })

const sumOf = (...frame: Parameters<typeof overCall> extends [unknown, ...infer F] ? F : never) =>
  [overCall(aggregate('sum', t.bigint, [column(columns, 'n')]), ...frame), t.bigint] as const
test('OVER by event time: frames of a time and of rows, from the beginning, and ranks', () => {
  const rank = [overCall(aggregate('row_number', t.bigint)), t.bigint] as const
  const most = [overCall(aggregate('max', t.int, [column(columns, 'n')]), 'range', -4_000_000, 0), t.int] as const
  check(overPlan(stream, [key], time, [sumOf('range', -4_000_000, 0)]), events(30), 'OVER a time', 5)
  check(overPlan(stream, [key], time, [sumOf('rows', -3, 0)]), events(30), 'OVER rows')
  check(overPlan(stream, [key], time, [sumOf('range', '..', 0), rank]), events(60), 'OVER all before', 10)
  check(overPlan(stream, [key], time, [most]), events(30), 'the largest OVER a time', 5)
})
test('OVER that restates: over a stream, a table, and within windows', () => {
  const restated = { time: null, order: [{ column: number, descending: false, nullsFirst: true }] }
  const rank = [overCall(aggregate('row_number', t.bigint)), t.bigint] as const
  for (const call of [sumOf('rows', -2, 1), rank]) {
    check(overPlan(stream, [key], number, [call], restated), events(60), 'restated OVER of a stream')
    check(overPlan(table, [key], number, [call], restated), changes(60), 'restated OVER of a table')
  }
  const input = windowed({ kind: 'tumble', sizeMs: 5_000 })
  check(
    overPlan(input, [key, end], number, [rank], { ...restated, windowEnd: 1 }),
    events(20),
    'restated OVER within windows',
  )
})

for (const policy of ['nothing', 'deduplicate', 'error'] as const)
  test(`one row for each key, ON CONFLICT ${policy}`, () => {
    const plan = (input: SourcePlan): Plan =>
      ({ op: 'conflict', input, key: [key, number], policy, identity: null, columns }) as Plan
    check(plan(stream), events(20), `ON CONFLICT ${policy} of a stream`)
    check(plan(table), changes(60), `ON CONFLICT ${policy} of a table`)
  })

for (const rank of [false, true])
  test(`the first rows of each partition of a table${rank ? ', with their ranks' : ''}`, () => {
    const plan = (input: Plan, limit: number): Plan => ({
      op: 'top',
      input,
      partitionBy: [key],
      order: [{ column: number, descending: true, nullsFirst: false }],
      limit,
      rank,
      columns: rank ? [...columns, field('rank', t.bigint)] : columns,
    })
    check(plan(table, 3), changes(60), 'first rows of a table')
    check(plan(stream, 100), events(20), 'many first rows of a stream')
  })

test('joins of rows of equal windows', () => {
  const right = source('r', columns, { time: { column: time, delayMs } })
  const of: Of = (next, count) => ({ ...events(10)(next, count), topic: next() < 0.5 ? 'l' : 'r' })
  for (const kind of ['inner', 'full', 'anti'] as const) {
    const input = windowed({ kind: 'tumble', sizeMs: 5_000 })
    const other: Plan = { ...input, input: right } as Plan
    const plan: Plan = {
      op: 'join',
      left: input,
      right: other,
      kind,
      leftKeys: [key, end],
      rightKeys: [key, end],
      windowEnd: 1,
      where: null,
      columns: kind === 'anti' ? input.columns : [...input.columns, ...other.columns],
    }
    check(plan, of, `${kind} join of windows`)
  }
})
test('tables that are looked up', () => {
  const right = source('r', columns, { mode: 'upsert', key: [id] })
  const of: Of = (next, count) => {
    if (next() < 0.3) return events(10)(next, count)
    return { ...changes(80)(next, count), topic: 'r' }
  }
  const plan: Plan = {
    op: 'lookup',
    left: stream,
    right,
    leftKeys: [column(columns, 'n')],
    rightKeys: [id],
    kind: 'left',
    where: null,
    columns: [...columns, ...columns],
  }
  check(plan, of, 'a table that is looked up')
})
