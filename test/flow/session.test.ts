/** Sessions against their definition: rows of a key within a gap of one another, in whatever order and cuts they come. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import { aggregate, Bench, column, cuts, field, type Input, random, show, sorted, source, t } from './plans.ts'

const columns = [field('k', t.text), field('n', t.int), field('at', t.timestamptz)]
const delayMs = 3_000
const gapMs = 2_000
const sessions = (emit: 'update' | 'close'): Plan => ({
  op: 'session',
  input: source('s', columns, { time: { column: 2, delayMs } }),
  time: 2,
  gapMs,
  keys: [0],
  aggregates: [
    aggregate('count', t.bigint),
    aggregate('max', t.int, [column(columns, 'n')]),
    aggregate('count', t.bigint, [column(columns, 'n')], { distinct: true }),
  ],
  emit,
  columns: [
    columns[0]!,
    field('window_start', t.timestamptz, false),
    field('window_end', t.timestamptz, false),
    field('count', t.bigint),
    field('max', t.int),
    field('distinct', t.bigint),
  ],
})
interface Event {
  readonly k: string
  readonly n: number
  readonly at: number
}
interface Session {
  readonly k: string
  readonly start: number
  readonly end: number
  readonly values: readonly number[]
}
/** In plain loops, a row after the other, each with the watermark that stood before it. */
function expected(events: readonly Event[]): { all: Session[]; late: number; watermark: number } {
  let open: Session[] = []
  const closed: Session[] = []
  let late = 0
  let watermark = -Infinity
  for (const { k, n, at } of events) {
    closed.push(...open.filter(({ end }) => end - 1 <= watermark))
    open = open.filter(({ end }) => end - 1 > watermark)
    const met = open.filter((s) => s.k === k && s.start <= at + gapMs && at <= s.end)
    const start = Math.min(at, ...met.map((s) => s.start))
    const end = Math.max(at + gapMs, ...met.map((s) => s.end))
    if (end - 1 <= watermark) late++
    else
      open = [...open.filter((s) => !met.includes(s)), { k, start, end, values: [n, ...met.flatMap((s) => s.values)] }]
    watermark = Math.max(watermark, at - delayMs)
  }
  return { all: [...closed, ...open], late, watermark }
}
const rows = (list: readonly Session[]): Map<string, number> => {
  const sums = new Map<string, number>()
  for (const { k, start, end, values } of list) {
    const key = show([k, start * 1000, end * 1000, values.length, Math.max(...values), new Set(values).size])
    sums.set(key, (sums.get(key) ?? 0) + 1)
  }
  return sums
}
const input = (event: Event): Input => ({
  topic: 's',
  partition: 0,
  value: { ...event, at: new Date(event.at).toISOString() },
})
const eventsOf = (next: () => number): Event[] =>
  Array.from({ length: 150 }, (_, i) => ({
    k: 'pqr'[Math.floor(next() * 3)]!,
    n: Math.floor(next() * 5),
    at: 1_000_000 + i * 500 - Math.floor(next() < 0.2 ? next() * 9_000 : next() * 1_500),
  }))

for (const emit of ['update', 'close'] as const)
  test(`${emit}: the sessions there are, over cuts, undone steps and restarts`, () => {
    let merged = 0
    for (let seed = 1; seed <= 25; seed++) {
      const next = random(seed)
      const events = eventsOf(next)
      const wanted = expected(events)
      assert.ok(wanted.late > 0)
      for (const longest of [1, 9, 150]) {
        const bench = new Bench(sessions(emit))
        for (const piece of cuts(events, next, longest)) {
          bench.step(piece.map(input))
          if (next() > 0.4) continue
          bench.commit()
          if (next() < 0.3) bench.tryOut(() => void bench.step(eventsOf(next).slice(0, 20).map(input)))
          if (next() < 0.3) bench.restart()
        }
        const list = wanted.all.filter(({ end }) => emit === 'update' || end - 1 <= wanted.watermark)
        assert.deepEqual(sorted(bench.sum()), sorted(rows(list)), `seed ${seed}, batches up to ${longest}`)
        assert.equal(bench.late, wanted.late)
        if (emit === 'close') assert.ok(bench.deltas.flat().every(({ weight }) => weight === 1))
        else merged += bench.deltas.flat().filter(({ weight }) => weight < 0).length
        bench.finish()
        assert.deepEqual(sorted(bench.sum()), sorted(rows(wanted.all)))
        assert.deepEqual(
          bench.graph.nodes.at(-1)!.tables.map(({ count }) => count),
          [0, 0],
        )
      }
    }
    assert.ok(emit === 'close' || merged > 100, 'sessions grew and became one')
  })

test('rows that touch are of one session, and one that joins two makes them one', () => {
  const bench = new Bench(sessions('update'))
  const at = (ms: number): Input => input({ k: 'p', n: 1, at: 1_000_000 + ms })
  bench.step([at(0)])
  bench.step([at(gapMs)])
  bench.step([at(2.2 * gapMs)])
  const values = (from: number, to: number, count: number): string =>
    show(['p', (1_000_000 + from) * 1000, (1_000_000 + to) * 1000, count, 1, 1])
  assert.deepEqual(
    sorted(bench.sum()),
    [
      [values(0, 2 * gapMs, 2), 1],
      [values(2.2 * gapMs, 3.2 * gapMs, 1), 1],
    ].toSorted(),
  )
  bench.step([at(1.5 * gapMs)])
  assert.deepEqual(sorted(bench.sum()), [[values(0, 3.2 * gapMs, 4), 1]])
})
