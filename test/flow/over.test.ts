/** OVER against its definition: rows in the order of (event time, ordinal), aggregates over what lies before. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import {
  Bench,
  type Input,
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
  source,
  t,
} from './plans.ts'

const columns = [field('k', t.text), field('n', t.int), field('at', t.timestamptz)]
const delayMs = 1_000
const stream = source('s', columns, { time: { column: 2, delayMs } })
const n = [column(columns, 'n')]
const plan = overPlan(stream, [0], 2, [
  [overCall(aggregate('count', t.bigint), 'rows', '..', 0), t.bigint],
  [overCall(aggregate('sum', t.bigint, n), 'rows', '..', -1), t.bigint],
  [overCall(aggregate('max', t.int, n), 'rows', '..', 0), t.int],
  [overCall(aggregate('count', t.bigint, n, { distinct: true }), 'rows', '..', 0), t.bigint],
])
interface Event {
  readonly k: string
  readonly n: number | null
  readonly at: number
}
const eventsOf = (next: () => number, count: number): Event[] =>
  Array.from({ length: count }, (_, i) => ({
    k: 'ab'[Math.floor(next() * 2)]!,
    n: next() < 0.1 ? null : Math.floor(next() * 10),
    at: 1_000_000 + i * 100 - Math.floor(next() < 0.1 ? next() * 4000 : next() * 700),
  }))
function expected(events: readonly Event[]): { rows: string[]; late: number } {
  let watermark = -Infinity
  const taken: (Event & { offset: number })[] = []
  events.forEach((event, offset) => {
    if (event.at > watermark) taken.push({ ...event, offset })
    watermark = Math.max(watermark, event.at - delayMs)
  })
  const inOrder = taken.toSorted((a, b) => a.at - b.at || a.offset - b.offset)
  const seen = new Map<string, (number | null)[]>()
  const rows = inOrder.map(({ k, n, at }) => {
    const before = seen.get(k) ?? []
    const upTo = [...before, n]
    seen.set(k, upTo)
    const present = (list: readonly (number | null)[]): number[] => list.filter((v) => v !== null)
    const sum = (list: readonly number[]): number | null => (list.length === 0 ? null : list.reduce((a, b) => a + b, 0))
    const max = present(upTo).length === 0 ? null : Math.max(...present(upTo))
    return show([k, n, at * 1000, upTo.length, sum(present(before)), max, new Set(present(upTo)).size])
  })
  return { rows, late: events.length - taken.length }
}
const input = (e: Event): Input => ({ topic: 's', partition: 0, value: { ...e, at: new Date(e.at).toISOString() } })

test('each row sees its partition up to itself, in event-time order, however the input is cut', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const next = random(seed)
    const events = eventsOf(next, 150)
    const wanted = expected(events)
    for (const longest of [1, 9, 100]) {
      const bench = new Bench(plan)
      for (const piece of cuts(events, next, longest)) bench.step(piece.map(input))
      bench.finish()
      assert.deepEqual(
        bench.deltas.flat().map((d) => show(d.values)),
        wanted.rows,
        `seed ${seed}`,
      )
      assert.equal(bench.late, wanted.late)
      // The row before is not in the next one's frame until that has come.
      assert.equal(bench.graph.nodes.at(-1)!.tables[0]!.count, new Set(events.map(({ k }) => k)).size)
    }
  }
})
test('a row goes out as soon as the watermark passes it, and not before', () => {
  const bench = new Bench(plan)
  const at = (ms: number): Input => input({ k: 'a', n: 1, at: 1_000_000 + ms })
  assert.equal(bench.step([at(0)]).length, 0)
  assert.equal(bench.step([at(999)]).length, 0)
  assert.equal(bench.step([at(1_000)]).length, 1)
})
test('a row that cannot be computed is left out, its neighbours are not', () => {
  const divided = call('/', t.int, literal(100, t.int), column(columns, 'n'))
  const own = columns.map((c) => column(columns, c.name))
  const computed: Plan = {
    op: 'project',
    input: stream,
    expressions: [...own, divided],
    columns: [...columns, field('d', t.int)],
  }
  const failing = overPlan(computed, [0], 2, [
    [overCall(aggregate('sum', t.bigint, [column(computed.columns, 'd')]), 'rows', '..', 0), t.bigint],
  ])
  const bench = new Bench(failing)
  bench.step([0, 1, 2].map((n) => input({ k: 'a', n: [5, 0, 10][n]!, at: 1_000_000 + n })))
  bench.finish()
  assert.deepEqual(
    bench.deltas.flat().map((d) => [d.values[1], d.values[4]]),
    [
      [5, 20],
      [10, 30],
    ],
  )
  assert.deepEqual(bench.failed, ['division by zero'])
})
