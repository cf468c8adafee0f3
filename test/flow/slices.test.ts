/**
 * Windows that overlap are counted in slices where that can be (`src/flow/slices.ts`), and give what they give without. The
 * oracle is the same plan with a DISTINCT more, which is counted window by window.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Batch } from '../../src/flow/batch.ts'
import type { Aggregate, Expression } from '../../src/flow/expression.ts'
import { Graph } from '../../src/flow/graph.ts'
import { bySource } from '../../src/flow/origins.ts'
import type { Plan, Window } from '../../src/flow/plan.ts'
import type { DataType } from '../../src/schema/types.ts'
import { slicedSteps } from '../../src/flow/slices.ts'
import { Bench, type Input, aggregate, call, column, cuts, field, literal, random, show, source, t } from './plans.ts'

const columns = [
  field('k', t.text),
  field('n', t.bigint),
  field('x', t.double),
  field('d', t.numeric),
  field('at', t.timestamptz),
]
const interval: DataType = { kind: 'interval' }
const time = 4
const stream: Plan = source('s', columns, { time: { column: time, delayMs: 1_500 } })
const bounds = [field('ws', t.timestamptz), field('we', t.timestamptz)]
const windows: readonly Window[] = [
  { kind: 'hop', sizeMs: 10_000, stepMs: 2_000 },
  { kind: 'hop', sizeMs: 4_000, stepMs: 1_000, offsetMs: 300 },
  { kind: 'cumulate', sizeMs: 6_000, stepMs: 2_000 },
  { kind: 'cumulate', sizeMs: 5_000, stepMs: 1_000, offsetMs: -700 },
]
const windowed = (window: Window, input: Plan = stream): Plan => ({
  op: 'window',
  input,
  window,
  time,
  columns: [...input.columns, ...bounds],
})
const at = (of: Plan, index: number): Expression => ({ kind: 'column', index, type: of.columns[index]!.type })
const sums: readonly Aggregate[] = [
  aggregate('count', t.bigint),
  aggregate('sum', t.numeric, [column(columns, 'n')]),
  aggregate('avg', t.double, [column(columns, 'x')]),
  aggregate('sum', t.numeric, [column(columns, 'd')]),
  aggregate('max', t.text, [column(columns, 'k')]),
  aggregate('min', t.double, [column(columns, 'x')]),
  aggregate('stddev_samp', t.double, [column(columns, 'x')]),
  aggregate('count', t.bigint, [column(columns, 'n')], {
    filter: call('>', t.boolean, column(columns, 'n'), literal(3, t.bigint)),
  }),
]
const distinct = aggregate('count', t.bigint, [column(columns, 'n')], { distinct: true })
function grouped(input: Plan, keys: readonly number[], aggregates = sums): Plan {
  const results = aggregates.map(({ type }, i) => field(`a${i}`, type))
  const windowEnd = keys.findIndex((key) => input.columns[key]!.name === 'we')
  const own = keys.map((key) => input.columns[key]!)
  return { op: 'aggregate', input, keys, aggregates, windowEnd, emit: 'close', columns: [...own, ...results] }
}
/** Columns in another order, and what does not look at the bounds. */
function projected(input: Plan): Plan {
  const order = [6, 0, 1, 2, 3, 5]
  const expressions = [
    ...order.map((index) => at(input, index)),
    call('*', t.bigint, at(input, 1), literal(2, t.bigint)),
  ]
  return {
    op: 'project',
    input,
    expressions,
    columns: [...order.map((index) => input.columns[index]!), field('twice', t.bigint)],
  }
}
function shapes(window: Window): [Plan, Plan][] {
  const of = windowed(window)
  const pair = (input: Plan, keys: readonly number[], aggregates = sums): [Plan, Plan] => [
    grouped(input, keys, aggregates),
    grouped(input, keys, [...aggregates, distinct]),
  ]
  const filtered: Plan = {
    op: 'filter',
    input: of,
    where: call('<', t.boolean, at(of, 1), literal(6, t.bigint)),
    columns: of.columns,
  }
  const moved = projected(of)
  const total = (all: Plan, more: readonly Aggregate[]): Plan =>
    grouped(all, [0, 1, 5], [aggregate('sum', t.numeric, [at(all, 6)]), ...more])
  const ofMoved = aggregate('count', t.bigint, [at(moved, 6)], { distinct: true })
  return [
    pair(of, [5, 6, 0]),
    pair(of, [0, 6]),
    pair(of, [6]),
    pair(filtered, [0, 1, 6, 5]),
    [total(moved, []), total(moved, [ofMoved])],
  ]
}

function eventsOf(next: () => number, count: number): Input[] {
  return Array.from({ length: count }, (_, i): Input => {
    const late = next()
    const value = {
      k: next() < 0.1 ? null : 'abc'[Math.floor(next() * 3)],
      n: next() < 0.1 ? null : Math.floor(next() * 9),
      x: next() < 0.1 ? null : (next() - 0.4) * 1000,
      d: next() < 0.1 ? null : (next() * 10).toFixed(2),
      // Milliseconds in JSON.
      at: next() < 0.02 ? null : 1_000_000 + i * 150 - Math.floor(late < 0.25 ? next() * 14_000 : next() * 1_200),
    }
    return { topic: 's', partition: Math.floor(next() * 3), value }
  })
}
interface Seen {
  readonly steps: string[][]
  readonly from: unknown[][]
  readonly late: number
  readonly afterIdle: number
  readonly left: number
}
/** Rows of each step, of their columns so many; and where they are from. */
function run(plan: Plan, pieces: readonly (readonly Input[])[], width: number, shaken: readonly number[] | null): Seen {
  const next = random(pieces.length)
  const seen = { steps: [] as string[][], from: [] as unknown[][], late: 0, afterIdle: 0 }
  let bench = open(shaken?.[0] ?? 1)
  function open(parallelism: number): Bench {
    return new Bench(plan, { s: 3 }, { idleMs: 4_000, parallelism })
  }
  const note = (rows: ReturnType<Bench['step']>): void => {
    seen.steps.push(rows.map(({ weight, values }) => `${weight} ${show(values.slice(0, width))}`))
  }
  const leave = (): void => {
    seen.late += bench.late
    for (const { counts } of bench.graph.nodes) seen.afterIdle += counts.lateAfterIdle
  }
  for (const [i, piece] of pieces.entries()) {
    if (shaken !== null && next() < 0.3) bench.tryOut(() => void bench.step(pieces[(i + 1) % pieces.length]!))
    const told = tellingOrigins(bench, () => note(bench.step(piece)))
    seen.from.push(told)
    // Some partitions are silent now and then.
    if (i % 5 === 4) note(bench.silence(2_500))
    bench.commit()
    if (shaken !== null && i % 6 === 5) {
      leave()
      const after = open(shaken[i % shaken.length]!)
      after.nowMs = bench.nowMs
      after.takeOver(bench)
      bench = after
    }
  }
  note(bench.finish())
  bench.commit()
  leave()
  const left = bench.graph.nodes.at(-1)!.tables.reduce((sum, { count }) => sum + count, 0)
  return { ...seen, left }
}
function tellingOrigins(bench: Bench, act: () => void): unknown[] {
  const { graph } = bench
  const step = graph.step.bind(graph)
  const told: unknown[] = []
  graph.step = (rows, nowMs) => {
    const result = step(rows, nowMs)
    told.push(...Array.from({ length: result.out.count }, (_, row) => origin(result.out, row)))
    return result
  }
  act()
  graph.step = step
  return told
}
function origin({ rows }: Batch, row: number): unknown {
  const { source, offset, time: when, watermark, origins } = rows
  const ranges = origins === null ? [] : [...origins.ranges.subarray(origins.at[row]! * 3, origins.at[row + 1]! * 3)]
  return [source[row], offset[row], when[row], watermark[row], bySource(ranges)]
}

test('slices give what windows one by one give: the same rows in the same order, from the same records, at any cut', () => {
  let rows = 0
  for (const [w, window] of windows.entries())
    for (const [s, [plan, oracle]] of shapes(window).entries()) {
      assert.equal(slicedSteps(plan).groups.size, 1, 'it is counted in slices')
      assert.equal(slicedSteps(oracle).groups.size, 0, 'the oracle is not')
      const next = random(100 * w + s)
      const pieces = cuts(eventsOf(next, 150), next, 20)
      const width = plan.columns.length
      const wanted = run(oracle, pieces, width, null)
      rows += wanted.steps.flat().length
      assert.ok(wanted.late > 0, 'some rows are late')
      const name = `window ${w}, shape ${s}`
      const found = run(plan, pieces, width, null)
      assert.deepEqual(found, { ...wanted, left: 0 }, name)
      for (const parts of [[1], [3], [4, 1, 2]])
        assert.deepEqual(
          run(plan, pieces, width, parts),
          found,
          `${name}, undone and started again, in ${parts.join()} parts`,
        )
    }
  assert.ok(rows > 1_000)
})
test('late to some windows and in time for others: counted in these alone, by the watermark of its own partition', () => {
  const [plan] = shapes(windows[0]!)[1]!
  const bench = new Bench(plan, { s: 2 })
  const event = (partition: number, ms: number): Input => ({
    topic: 's',
    partition,
    value: { k: 'a', n: 1, x: 1, d: '1', at: 1_000_000_000 + ms },
  })
  bench.step([event(0, 1_000), event(1, 1_000)])
  // Partition 0 is at 5.5 s: what it brings for 1 s is in time for windows that end at 6 s, 8 s and 10 s.
  bench.step([event(0, 7_000), event(0, 1_100)])
  bench.finish()
  assert.equal(bench.late, 0)
  const counts = bench.deltas.flat().map(({ values }) => [Number(values[1]) / 1000 - 1_000_000_000, values[2]])
  assert.deepEqual(counts, [
    [2_000, 2],
    [4_000, 2],
    [6_000, 3],
    [8_000, 4],
    [10_000, 4],
    [12_000, 1],
    [14_000, 1],
    [16_000, 1],
  ])
})
test('windows that a watermark has passed which the step had not seen yet are given after a start', () => {
  const table = source('u', columns, { mode: 'upsert', key: [0], time: { column: time, delayMs: 1_500 } })
  const joined: Plan = {
    op: 'temporal-join',
    left: stream,
    right: table,
    leftKeys: [at(stream, 0)],
    rightKeys: [0],
    leftTime: time,
    kind: 'left',
    where: null,
    columns: [...columns, ...columns],
  }
  const narrow: Plan = { op: 'project', input: joined, expressions: columns.map((_, i) => at(joined, i)), columns }
  const plan = grouped(windowed(windows[0]!, narrow), [0, 6])
  const row = (topic: string, ms: number): Input => ({
    topic,
    partition: 0,
    key: 'a',
    value: { k: 'a', n: 1, x: 1, d: '1', at: 1_000_000_000 + ms },
  })
  const steps = (shake: (bench: Bench) => Bench): string[] => {
    let bench = new Bench(plan, { s: 1, u: 1 }, { idleMs: 5_000 })
    const given: string[] = []
    const tell = (rows: ReturnType<Bench['step']>): void => void given.push(...rows.map(({ values }) => show(values)))
    tell(bench.step([row('u', 500), row('s', 1_000)]))
    tell(bench.step([row('s', 9_000), row('u', 4_200)]))
    // The stream is silent: what it leads has no watermark to go by, whatever the table brings.
    tell(bench.silence(6_000))
    tell(bench.step([row('u', 30_000)]))
    bench.commit()
    bench = shake(bench)
    tell(bench.step([row('s', 9_100)]))
    tell(bench.finish())
    return given
  }
  const again = (bench: Bench): Bench => {
    const after = new Bench(plan, { s: 1, u: 1 }, { idleMs: 5_000 })
    after.nowMs = bench.nowMs
    after.takeOver(bench)
    return after
  }
  const wanted = steps((bench) => bench)
  assert.ok(wanted.length > 5)
  assert.deepEqual(steps(again), wanted)
})

const readers: Readonly<Record<string, (of: Plan) => Plan>> = {
  'the windows themselves': (of) => of,
  'a result that is restated': (of) => ({ ...(grouped(of, [0, 6]) as Plan & { op: 'aggregate' }), emit: 'update' }),
  'values that a window must not count twice': (of) => grouped(of, [0, 6], [...sums, distinct]),
  'a condition on the bounds': (of) =>
    grouped(
      { op: 'filter', input: of, where: call('<', t.boolean, at(of, 4), at(of, 5)), columns: of.columns },
      [0, 6],
    ),
  'a bound in an aggregate': (of) => grouped(of, [0, 6], [aggregate('max', t.timestamptz, [at(of, 5)])]),
  'a bound that is computed with': (of) => {
    const expressions = [at(of, 0), at(of, 6), call('-', interval, at(of, 6), at(of, 5))]
    const input: Plan = {
      op: 'project',
      input: of,
      expressions,
      columns: [columns[0]!, bounds[1]!, field('l', interval)],
    }
    return grouped(input, [0, 1, 2], [aggregate('count', t.bigint)])
  },
}
for (const [name, reader] of Object.entries(readers))
  test(`not where the windows are read by ${name}, nor by others beside it`, () => {
    const of = windowed(windows[0]!)
    const counts = (input: Plan): Plan => {
      const closed = grouped(input, [0, 6], [aggregate('count', t.bigint)])
      const expressions = [at(closed, 0)]
      return { op: 'project', input: closed, expressions, columns: [columns[0]!] }
    }
    const other = reader(of)
    const first: Plan = { op: 'project', input: other, expressions: [at(other, 0)], columns: [columns[0]!] }
    assert.equal(slicedSteps(first).groups.size, 0)
    assert.equal(slicedSteps(counts(of)).groups.size, 1)
    assert.equal(slicedSteps({ op: 'union', inputs: [counts(of), first], columns: [columns[0]!] }).groups.size, 0)
  })
test('nor of windows that do not end with a slice, and over rows that go again', () => {
  const hop = (sizeMs: number, stepMs: number): Window => ({ kind: 'hop', sizeMs, stepMs })
  const cases: Plan[] = [hop(5_000, 2_000), hop(1_000, 2_000), hop(1.5, 0.5), hop(2_000, 2_000)].map((window) =>
    windowed(window),
  )
  const table = source('s', columns, { mode: 'upsert', key: [0], time: { column: time, delayMs: 0 } })
  cases.push(windowed({ kind: 'tumble', sizeMs: 1_000 }), windowed(windows[0]!, table))
  for (const of of cases) assert.equal(slicedSteps(grouped(of, [0, 6])).groups.size, 0)
})
test('state that was kept window by window is not taken for slices', () => {
  const of = windowed(windows[0]!)
  const counts = grouped(of, [0, 6])
  const other = grouped(of, [0, 6], [...sums, distinct])
  const first = (input: Plan): Plan => ({ op: 'project', input, expressions: [at(input, 0)], columns: [columns[0]!] })
  // Both read the same windows: neither is in slices.
  const both = new Bench({ op: 'union', inputs: [first(counts), first(other)], columns: [columns[0]!] })
  both.step(eventsOf(random(5), 20).map((one) => ({ ...one, partition: 0 })))
  both.commit()
  const alone = new Bench(first(counts))
  assert.throws(() => alone.takeOver(both), { code: 'flow.state-mismatch', message: /aggregate/ })
  const prints = (plan: Plan): string[] =>
    [...new Graph(plan, { idleMs: 1, maxFutureMs: 1 }).marks.operators.values()].map(({ fingerprint }) => fingerprint)
  assert.deepEqual(
    prints(first(counts)).filter((print) => prints(both.graph.nodes.at(-1)!.plan).includes(print)),
    [],
  )
})
