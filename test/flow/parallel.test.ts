/**
 * A plan gives the same at any parallelism. Random plans over random rows of several partitions run as one part and as
 * several, cut into the same steps: each step gives the same rows (in the same order, where the order is certain), what is
 * late, fails and is counted is the same, and so is the state, entry for entry. On the way steps are undone, and the
 * process starts again with another number of parts.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Aggregate, Expression } from '../../src/flow/expression.ts'
import type { Plan } from '../../src/flow/plan.ts'
import { inputsOf } from '../../src/flow/plan-facts.ts'
import { rowsOf } from '../../src/flow/batch.ts'
import { type Exchange, exchangesOf } from '../../src/flow/spread.ts'
import type { Columns } from '../../src/schema/types.ts'
import { clonedLinks } from './far-links.ts'
import {
  Bench,
  type Input,
  type Output,
  aggregate,
  call,
  column,
  cuts,
  field,
  literal,
  overCall,
  overPlan,
  random,
  show,
  sorted,
  source,
  t,
  total,
} from './plans.ts'

const columns: Columns = [
  field('id', t.int, false),
  field('k', t.text),
  field('n', t.int),
  field('x', t.double),
  field('at', t.timestamptz),
]
const partitions = { s: 3, r: 2, u: 2 }
type Next = () => number
const pick = <T>(next: Next, list: readonly T[]): T => list[Math.floor(next() * list.length)]!
const streamOf = (name: string): Plan => source(name, columns, { time: { column: 4, delayMs: 800 } })
const table: Plan = source('u', columns, { mode: 'upsert', key: [0], time: { column: 4, delayMs: 800 } })
const at = (of: Columns, index: number): Expression => ({ kind: 'column', index, type: of[index]!.type })
const sumsOf = (of: Columns) => [
  aggregate('count', t.bigint),
  aggregate('sum', t.bigint, [column(of, 'n')]),
  aggregate('avg', t.double, [column(of, 'x')]),
  aggregate('max', t.double, [column(of, 'x')]),
  aggregate('count', t.bigint, [column(of, 'n')], { distinct: true }),
]
/** The five columns again, so that every step can stand on every other. */
function asRows(plan: Plan, expressions: readonly Expression[]): Plan {
  return { op: 'project', input: plan, expressions, columns }
}
const of = (plan: Plan, name: string): Expression => column(plan.columns, name)
function windowed(input: Plan, next: Next): Plan {
  const window = pick(next, [
    { kind: 'tumble', sizeMs: 3_000 } as const,
    { kind: 'hop', sizeMs: 4_000, stepMs: 1_000 } as const,
    { kind: 'cumulate', sizeMs: 4_000, stepMs: 2_000 } as const,
  ])
  const bounds = [field('ws', t.timestamptz), field('we', t.timestamptz)]
  return { op: 'window', input, window, time: 4, columns: [...input.columns, ...bounds] }
}
function grouped(
  input: Plan,
  keys: readonly number[],
  windowEnd: number | null,
  emit: 'update' | 'close',
  aggregates: readonly Aggregate[] = sumsOf(input.columns),
): Plan {
  const results = aggregates.map((a, i) => field(`a${i}`, a.type))
  const of = keys.map((key) => input.columns[key]!)
  return { op: 'aggregate', input, keys, aggregates, windowEnd, emit, columns: [...of, ...results] }
}

/** Streams that only grow and still have their event time. */
function stream(next: Next, depth: number): Plan {
  const kind =
    depth === 0 ? 'source' : pick(next, ['source', 'filter', 'union', 'failing', 'over', 'temporal', 'lookup'])
  if (kind === 'source') return streamOf(pick(next, ['s', 'r']))
  const input = stream(next, depth - 1)
  switch (kind) {
    case 'filter':
      return { op: 'filter', input, where: call('>', t.boolean, of(input, 'n'), literal(2, t.int)), columns }
    case 'union':
      return { op: 'union', inputs: [input, stream(next, depth - 1)], columns }
    case 'failing':
      return asRows(
        input,
        columns.map((_, i) => (i === 2 ? call('/', t.int, literal(60, t.int), of(input, 'n')) : at(columns, i))),
      )
    case 'over': {
      const ranked = overPlan(input, [pick(next, [0, 1])], 4, [
        [overCall(aggregate('row_number', t.bigint)), t.bigint],
        [overCall(aggregate('sum', t.bigint, [column(columns, 'n')]), 'rows', -2, 0), t.bigint],
      ])
      return asRows(
        ranked,
        columns.map((_, i) => at(columns, i)),
      )
    }
    case 'temporal':
    case 'lookup': {
      const key = next() < 0.3 ? call('mod', t.int, of(input, 'id'), of(input, 'n')) : of(input, 'id')
      const both = { left: input, right: table, leftKeys: [key], rightKeys: [0], where: null }
      const shape = { kind: pick(next, ['inner', 'left'] as const), columns: [...columns, ...columns] }
      const joined: Plan =
        kind === 'lookup'
          ? { op: 'lookup', ...both, ...shape }
          : { op: 'temporal-join', ...both, leftTime: 4, ...shape }
      return asRows(
        joined,
        [0, 6, 2, 3, 4].map((index) => at(joined.columns, index)),
      )
    }
  }
  throw new Error(kind)
}
/** What may withdraw. */
function changing(next: Next, depth: number): Plan {
  if (depth === 0) return next() < 0.5 ? table : stream(next, 1)
  const input = changing(next, depth - 1)
  const kind = pick(next, ['group', 'top', 'over', 'join', 'filter'])
  if (kind === 'filter')
    return { op: 'filter', input, where: call('<', t.boolean, of(input, 'n'), literal(8, t.int)), columns }
  if (kind === 'group') {
    const by = pick(next, [[1], [0], [0, 1], []])
    const group = grouped(input, by, null, 'update')
    const id = by.includes(0) ? of(group, 'id') : literal(1, t.int)
    const k = by.includes(1) ? of(group, 'k') : literal('all', t.text)
    return asRows(group, [id, k, id, of(group, 'a2'), literal(1_000_000_000, t.timestamptz)])
  }
  if (kind === 'top')
    return {
      op: 'top',
      input,
      partitionBy: pick(next, [[1], [0], []]),
      order: [{ column: pick(next, [2, 3]), descending: next() < 0.5, nullsFirst: false }],
      limit: pick(next, [1, 3]),
      rank: false,
      columns,
    }
  if (kind === 'over') {
    const calls = [[overCall(aggregate('count', t.bigint), 'rows', '..', 0), t.bigint]] as const
    const ranked = overPlan(input, [1], 2, calls, { time: null })
    return asRows(
      ranked,
      columns.map((_, i) => at(columns, i)),
    )
  }
  const right = changing(next, depth - 1)
  const join = pick(next, ['inner', 'left', 'right', 'full', 'semi', 'anti'] as const)
  const keys = pick(next, [[0], [1], [0, 1]])
  const width = join === 'semi' || join === 'anti' ? columns : [...columns, ...columns]
  const joined: Plan = {
    op: 'join',
    left: input,
    right,
    kind: join,
    leftKeys: keys,
    rightKeys: keys,
    windowEnd: null,
    where: null,
    columns: width,
  }
  return asRows(
    joined,
    columns.map((_, i) => at(width, i)),
  )
}
/** What ends with the time of streams. */
function closing(next: Next): Plan {
  const input = stream(next, 2)
  const emit = pick(next, ['close', 'update'] as const)
  switch (pick(next, ['window', 'window', 'session', 'global', 'sliding', 'interval', 'process', 'chain'])) {
    case 'window': {
      const window = windowed(input, next)
      // Without a DISTINCT, windows that overlap are counted in slices.
      const aggregates = sumsOf(columns).filter(({ distinct }) => !distinct || next() < 0.5)
      return grouped(window, next() < 0.6 ? [6, 1, 5] : [6], 0, emit, aggregates)
    }
    case 'session': {
      // With a DISTINCT it is not cut.
      const aggregates = sumsOf(columns).filter(({ distinct }) => !distinct || next() < 0.3)
      const bounds = [field('ws', t.timestamptz), field('we', t.timestamptz)]
      const results = aggregates.map((a, i) => field(`a${i}`, a.type))
      const keys = pick(next, [[1], [0]])
      const rows = [...keys.map((key) => columns[key]!), ...bounds, ...results]
      return { op: 'session', input, time: 4, gapMs: 700, keys, aggregates, emit, columns: rows }
    }
    case 'global':
      return fired(input, next)
    case 'sliding': {
      const bounds = [field('ws', t.timestamptz), field('we', t.timestamptz)]
      const rows = [...columns, ...bounds]
      const windows: Plan = { op: 'sliding-window', input, keys: [1], time: 4, sizeMs: 1_100, columns: rows }
      return grouped(windows, [6, 1, 5], 0, emit)
    }
    case 'interval':
      return within(input, stream(next, 1), pick(next, ['inner', 'left', 'full'] as const))
    case 'chain': {
      // What a function sees has an order: rows of many keys, in the rows of another key.
      const from = pick(next, ['windows', 'function', 'join'])
      if (from === 'windows') {
        const closed = grouped(windowed(input, next), [6, 1, 5, 0], 0, 'close')
        const rows = [of(closed, 'id'), of(closed, 'k'), of(closed, 'id'), of(closed, 'a2'), of(closed, 'we')]
        return collected(asRows(closed, rows), 0)
      }
      const below = from === 'join' ? within(input, stream(next, 1), 'inner') : collected(input, 1)
      const halves = [0, 1, 0, 3, 4].map((i) =>
        i === 0 ? call('%', t.int, at(columns, 0), literal(3, t.int)) : at(columns, i),
      )
      return collected(asRows(below, halves), 0)
    }
    default:
      return collected(input, pick(next, [1, 0]))
  }
}
/** Global windows; those with timers are not cut. */
function fired(input: Plan, next: Next): Plan {
  const keys = pick(next, [[1], [0]])
  const aggregates = sumsOf(columns)
  const afterMs = next() < 0.15 ? 900 : null
  const keep = pick(next, [
    { of: 'none' },
    { of: 'all' },
    { of: 'last', rows: 3 },
    { of: 'within', ms: 1_500 },
  ] as const)
  return {
    op: 'global-window',
    input,
    keys,
    aggregates,
    time: 4,
    trigger: { rows: pick(next, [1, 3]), when: null, afterMs, everyMs: null, clock: 'event' },
    keep,
    columns: [...keys.map((key) => columns[key]!), ...aggregates.map((a, i) => field(`a${i}`, a.type))],
  }
}
function within(left: Plan, right: Plan, kind: 'inner' | 'left' | 'full'): Plan {
  return {
    op: 'join',
    left,
    right,
    kind,
    leftKeys: [1],
    rightKeys: [1],
    windowEnd: null,
    interval: { leftTime: 4, rightTime: 4, lowUs: -500_000, highUs: 900_000 },
    where: null,
    columns: [...columns, ...columns],
  }
}
/** A function by a key that keeps what it has seen; its rows are those of the input again. */
function collected(input: Plan, key: number): Plan {
  return {
    op: 'process',
    input,
    key: [key],
    fn: (event, state, emit) => {
      const seen = [...((state as unknown[] | undefined) ?? []), event['k']]
      if (event['n'] === 7) throw new Error('seven')
      if (seen.length % 2 === 0) emit({ ...event, k: seen.join() })
      return seen.length === 6 ? undefined : seen
    },
    columns,
  }
}
const planOf = (next: Next): Plan => (next() < 0.5 ? closing(next) : changing(next, 1 + Math.floor(next() * 2)))

function eventsOf(next: Next, count: number): Input[] {
  return Array.from({ length: count }, (_, i): Input => {
    const topic = pick(next, ['s', 's', 'r', 'u'] as const)
    const id = Math.floor(next() * 15)
    // Milliseconds in JSON.
    const time = 1_000_000 + i * 90 - Math.floor(next() < 0.15 ? next() * 6_000 : next() * 700)
    const value = {
      id,
      k: next() < 0.1 ? null : 'abcdefg'[Math.floor(next() * 7)],
      n: next() < 0.1 ? null : Math.floor(next() * 9),
      x: next() < 0.1 ? null : (next() - 0.3) * 1000,
      at: time,
    }
    const isGone = topic === 'u' && next() < 0.2
    const key = topic === 'u' ? String(id) : null
    // A key of a table stays in its partition.
    const partition = topic === 'u' ? id % 2 : Math.floor(next() * partitions[topic])
    return { topic, partition, key, timeMs: time, value: isGone ? null : value }
  })
}
/** Where the rows of each step come in one order whatever happens: nothing is joined, and no result is changed. */
function isInOrder(plan: Plan): boolean {
  const exchanges = exchangesOf(plan)
  const certain = (exchange: Exchange, step: Plan): boolean =>
    exchange.order.by === 'made' ||
    step.op === 'temporal-join' ||
    (step.op === 'over' && step.time !== null) ||
    ((step.op === 'aggregate' || step.op === 'session') && step.emit === 'close')
  return [...exchanges].every(([step, exchange]) => certain(exchange, step)) && !isOfMany(plan)
}

/** Rows that are of one record, or of none, say nothing of their order: windows that close in one moment, pairs of a join. */
const isOfMany = (plan: Plan): boolean =>
  (plan.op === 'process' || plan.op === 'global-window') && hasMany(plan.input) ? true : inputsOf(plan).some(isOfMany)
const hasMany = (plan: Plan): boolean => plan.op === 'aggregate' || plan.op === 'join' || inputsOf(plan).some(hasMany)

interface Seen {
  readonly steps: readonly (readonly Output[])[]
  readonly late: number
  readonly failed: readonly string[]
  readonly counts: readonly unknown[]
  readonly state: readonly string[]
  readonly content: readonly unknown[]
}
/** `parts`: how many from each start on; the random things on the way are those of the seed. */
function run(
  plan: Plan,
  pieces: readonly (readonly Input[])[],
  parts: readonly number[],
  shakes: boolean,
  threads = 0,
): Seen {
  const next = random(pieces.length)
  const far = threads === 0 ? {} : { far: clonedLinks(plan, threads) }
  const open = (parallelism: number): Bench => new Bench(plan, partitions, { idleMs: 5_000, parallelism, ...far })
  let bench = open(parts[0]!)
  const steps: (readonly Output[])[] = []
  let late = 0
  const failed: string[] = []
  const counts = new Map<number, Record<string, number>>()
  const leave = (): void => {
    late += bench.late
    failed.push(...bench.failed)
    for (const node of bench.graph.nodes) {
      const sums = counts.get(node.id) ?? {}
      for (const [name, count] of Object.entries(node.counts)) sums[name] = (sums[name] ?? 0) + count
      counts.set(node.id, sums)
    }
  }
  let starts = 0
  for (const [i, piece] of pieces.entries()) {
    if (shakes && next() < 0.3) bench.tryOut(() => void bench.step(pieces[(i + 1) % pieces.length]!))
    steps.push(bench.step(piece))
    // Both runs commit at the same places: a start begins at one.
    bench.commit()
    if (i % 7 === 6 && shakes) {
      leave()
      const after = open(parts[++starts % parts.length]!)
      after.nowMs = bench.nowMs
      after.takeOver(bench)
      bench = after
    }
  }
  steps.push(bench.silence(6_000))
  bench.commit()
  const types = (columns: Columns) => columns.map(({ type }) => type)
  const content = bench.graph.nodes.map(({ operator, tables, columns }) => {
    const rows = operator?.content?.(tables)
    return rows === undefined || rows.count === 0 ? [] : sorted(total(rowsOf(rows, types(columns))))
  })
  steps.push(bench.finish())
  bench.commit()
  leave()
  const state = [...bench.changelog].map(([key, { value }]) => `${key} ${Buffer.from(value).toString('hex')}`)
  return { steps, late, failed: failed.sort(), counts: [...counts], state: state.sort(), content }
}
const inOrder = ({ steps }: Seen): string[][] => steps.map((rows) => rows.map((r) => `${r.weight} ${show(r.values)}`))
const asSets = ({ steps }: Seen): unknown[] => steps.map((rows) => sorted(total(rows)))

test('random plans give the same as one part and as several, undone and started again with others', () => {
  const cut = new Map<string, number>()
  let inCertainOrder = 0
  for (let seed = 1; seed <= 100; seed++) {
    const next = random(seed)
    const plan = planOf(next)
    for (const step of exchangesOf(plan).keys()) cut.set(step.op, (cut.get(step.op) ?? 0) + 1)
    const pieces = cuts(eventsOf(next, 140), next, 14)
    const one = run(plan, pieces, [1], false)
    for (const [parts, shakes, threads] of [
      [[2], false, 0],
      [[7], false, 0],
      [[1], true, 0],
      [[4, 1, 7, 2], true, 0],
      [[2], false, 1],
      [[7], false, 2],
      [[4, 1, 7, 2], true, 2],
    ] as const) {
      const several = run(plan, pieces, parts, shakes, threads)
      const what = `seed ${seed}, ${parts.join()} parts of ${plan.op}, ${threads} other threads`
      assert.deepEqual(asSets(several), asSets(one), what)
      if (isInOrder(plan)) assert.deepEqual(inOrder(several), inOrder(one), `${what}: order`)
      assert.equal(several.late, one.late, `${what}: late`)
      assert.deepEqual(several.failed, one.failed, `${what}: failed`)
      assert.deepEqual(several.counts, one.counts, `${what}: counts`)
      assert.deepEqual(several.content, one.content, `${what}: content`)
      if (isInOrder(plan)) assert.deepEqual(several.state, one.state, `${what}: state`)
    }
    if (isInOrder(plan)) inCertainOrder++
  }
  assert.ok(inCertainOrder > 12, 'enough plans whose order is certain')
  for (const op of [
    'source',
    'aggregate',
    'session',
    'join',
    'temporal-join',
    'lookup',
    'over',
    'top',
    'process',
    'global-window',
    'sliding-window',
  ])
    assert.ok((cut.get(op) ?? 0) > 3, `${op} was cut: ${cut.get(op)}`)
})
