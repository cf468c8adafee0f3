/** Watermarks that rows say (punctuated): what is late and what closes goes by them alone, and idleness goes with them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import { z } from 'zod'
import { count, defineTopic, defineView, when } from '../../src/dsl/index.ts'
import { testMillrace } from '../../src/testing.ts'
import { aggregate, Bench, cuts, field, type Input, random, show, sorted, source, t } from './plans.ts'

const columns = [field('k', t.text), field('at', t.timestamptz), field('upto', t.timestamptz)]
const plain = source('s', columns, {
  time: { column: 1, delayMs: 0 },
  watermark: 2,
  fields: columns.map(({ name }) => ({ from: 'value', path: [name] })),
})
const windowed = (input: Plan): Plan => ({
  op: 'aggregate',
  input: {
    op: 'window',
    input,
    window: { kind: 'tumble', sizeMs: 2_000 },
    time: 1,
    columns: [...columns, field('ws', t.timestamptz), field('we', t.timestamptz)],
  },
  keys: [4, 0],
  aggregates: [aggregate('count', t.bigint)],
  windowEnd: 0,
  emit: 'close',
  columns: [field('we', t.timestamptz), columns[0]!, field('count', t.bigint)],
})
interface Event {
  readonly k: string
  readonly at: number
  readonly upto: number | null
  readonly partition: number
}
const eventsOf = (next: () => number, partitions: number): Event[] =>
  Array.from({ length: 150 }, (_, i) => {
    const at = 1_000_000 + i * 200 - Math.floor(next() * 3_000)
    // Now and then one goes back, or is ahead of the rows: only the largest counts.
    const upto = next() < 0.15 ? at - Math.floor(next() * 4_000) + 1_500 : null
    return { k: 'ab'[Math.floor(next() * 2)]!, at, upto, partition: Math.floor(next() * partitions) }
  })
const iso = (ms: number): string => new Date(ms).toISOString()
const input = ({ k, at, upto, partition }: Event): Input => ({
  topic: 's',
  partition,
  value: { k, at: iso(at), upto: upto === null ? null : iso(upto) },
})
function expected(events: readonly Event[]) {
  const watermarks = new Map<number, number>(events.map(({ partition }) => [partition, -Infinity]))
  const groups = new Map<string, { end: number; k: string; rows: number }>()
  let late = 0
  for (const { k, at, upto, partition } of events) {
    const end = at - (at % 2_000) + 2_000
    const before = watermarks.get(partition)!
    if (end - 1 <= before) late++
    else {
      const group = groups.get(`${end} ${k}`) ?? { end, k, rows: 0 }
      groups.set(`${end} ${k}`, { ...group, rows: group.rows + 1 })
    }
    if (upto !== null) watermarks.set(partition, Math.max(before, upto))
  }
  const least = Math.min(...watermarks.values())
  const closed = [...groups.values()].filter(({ end }) => end - 1 <= least)
  return { late, rows: sorted(new Map(closed.map(({ end, k, rows }) => [show([end * 1000, k, rows]), 1] as const))) }
}

test('windows close, and rows are late, by what rows say', () => {
  let late = 0
  for (const partitions of [1, 3])
    for (let seed = 1; seed <= 12; seed++) {
      const next = random(seed)
      const events = eventsOf(next, partitions)
      const wanted = expected(events)
      for (const longest of [1, 9, 150]) {
        const bench = new Bench(windowed(plain), { s: partitions })
        for (const piece of cuts(events, next, longest)) {
          bench.step(piece.map(input))
          if (next() > 0.4) continue
          bench.commit()
          if (next() < 0.3) bench.tryOut(() => void bench.step(eventsOf(next, partitions).slice(0, 20).map(input)))
          if (next() < 0.3) bench.restart()
        }
        assert.deepEqual(sorted(bench.sum()), wanted.rows, `seed ${seed}, batches up to ${longest}`)
        assert.equal(bench.late, wanted.late)
      }
      late += wanted.late
    }
  assert.ok(late > 100)
})
test('a partition that says nothing holds the watermark until it is idle', () => {
  const bench = new Bench(windowed(plain), { s: 2 }, { idleMs: 5_000 })
  const row = (partition: number, at: number, upto: number | null): Input => input({ k: 'a', at, upto, partition })
  bench.step([row(0, 1_000_000, 1_010_000), row(1, 1_000_500, null)])
  assert.deepEqual([...bench.sum().keys()], [])
  bench.silence(3_000)
  bench.step([row(0, 1_011_000, 1_011_000)])
  assert.deepEqual([...bench.sum().keys()], [])
  bench.silence(3_000)
  assert.deepEqual([...bench.sum().keys()], [show([1_002_000_000, 'a', 2])])
  // It is late for what has been closed without it.
  bench.step([row(1, 1_001_000, null)])
  assert.equal(bench.late, 1)
})
test('a watermark too far ahead of its arrival does not count', () => {
  const bench = new Bench(windowed(plain), {}, { maxFutureMs: 60_000 })
  const row = (at: number, upto: number | null, timeMs: number): Input => ({
    ...input({ k: 'a', at, upto, partition: 0 }),
    timeMs,
  })
  bench.step([row(1_000_000, 1_500_000, 1_000_000), row(1_001_000, null, 1_000_000)])
  assert.deepEqual([...bench.sum().keys()], [])
  assert.equal(bench.graph.sources[0]!.clock.future, 1)
  bench.step([row(1_002_000, 1_002_000, 1_000_000)])
  assert.deepEqual([...bench.sum().keys()], [show([1_002_000_000, 'a', 2])])
})

test('in SQL and in TypeScript an expression over a row says the watermark, also over a crash', async () => {
  const trips = defineTopic('trips', {
    schema: z.object({ car: z.string(), at: z.iso.datetime(), done: z.boolean() }),
    eventTime: 'at',
    watermark: (event) => when(event.done, event.at),
  })
  const perMinute = defineView(
    'per_minute',
    trips.stream().window({ tumbling: '1m' }).groupBy('car').aggregate({ n: count() }, { emit: 'close' }),
  )
  await using millrace = await testMillrace({ topics: [trips], views: [perMinute] })
  await millrace.sql(`
    CREATE STREAM rides (car text, at timestamptz, done boolean, WATERMARK FOR at AS CASE WHEN done THEN at END)
      WITH (topic = 'trips')`)
  for (const [view, from] of [
    ['of_rides', 'rides'],
    ['of_trips', 'trips'],
  ])
    await millrace.sql(`CREATE MATERIALIZED VIEW ${view} AS SELECT car, window_end, count(*) AS n
      FROM TUMBLE(${from}, at, INTERVAL '1 minute') GROUP BY car, window_start, window_end EMIT ON WINDOW CLOSE`)
  const counts = async (): Promise<unknown[]> => {
    await millrace.sql('FLUSH')
    const all = []
    for (const view of ['per_minute', 'of_rides', 'of_trips'])
      all.push((await millrace.sql<{ n: number }>(`SELECT n FROM ${view} ORDER BY window_end`)).map(({ n }) => n))
    return all
  }
  const trip = (second: number, done = false) => ({ car: 'a', at: iso(Date.UTC(2026, 0, 1) + second * 1000), done })
  await millrace.topic(trips).send([trip(10), trip(500), trip(30)])
  assert.deepEqual(await counts(), [[], [], []])
  await millrace.crash('power')
  await millrace.topic(trips).send([trip(20), trip(120, true)])
  assert.deepEqual(await counts(), [[3], [3], [3]])
  await millrace.topic(trips).send([trip(5), trip(119), trip(599.999, true)])
  assert.deepEqual(await counts(), [
    [3, 1, 1, 1],
    [3, 1, 1, 1],
    [3, 1, 1, 1],
  ])
  const [described] = await millrace.sql<{ notes: string }>('DESCRIBE rides').then((rows) => rows.slice(1))
  assert.match(JSON.stringify(described), /rows say the watermark/)
  assert.match(
    JSON.stringify(await millrace.sql('EXPLAIN SELECT * FROM rides')),
    /watermark: case when done then at end/,
  )
})
