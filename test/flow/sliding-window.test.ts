/** Sliding windows against their definition: every span that ends with a row, or begins right behind one, with its rows. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import { aggregate, Bench, column, cuts, field, type Input, random, show, sorted, source, t } from './plans.ts'

const columns = [field('k', t.text), field('n', t.int), field('at', t.timestamptz)]
const sizeMs = 1_200
const bounds = [field('window_start', t.timestamptz, false), field('window_end', t.timestamptz, false)]
const sliding = (emit: 'update' | 'close', delayMs: number): Plan => {
  const input: Plan = {
    op: 'sliding-window',
    input: source('s', columns, { time: { column: 2, delayMs } }),
    keys: [0],
    time: 2,
    sizeMs,
    columns: [...columns, ...bounds],
  }
  return {
    op: 'aggregate',
    input,
    keys: [3, 4, 0],
    aggregates: [
      aggregate('count', t.bigint),
      aggregate('sum', t.bigint, [column(columns, 'n')]),
      aggregate('max', t.int, [column(columns, 'n')]),
    ],
    windowEnd: 1,
    emit,
    columns: [...bounds, columns[0]!, field('count', t.bigint), field('sum', t.bigint), field('max', t.int)],
  }
}
interface Event {
  readonly k: string
  readonly n: number
  readonly at: number
  readonly partition: number
}
const input = ({ partition, ...event }: Event): Input => ({
  topic: 's',
  partition,
  value: { ...event, at: new Date(event.at).toISOString() },
})
const eventsOf = (next: () => number, partitions: number, count = 120): Event[] =>
  Array.from({ length: count }, (_, i) => ({
    k: 'pq'[Math.floor(next() * 2)]!,
    n: Math.floor(next() * 9),
    // Often exactly one size apart, or a millisecond more.
    at: 1_000_000 + i * 200 + Math.floor(next() * 3) - Math.floor(next() < 0.25 ? next() * 5_000 : next() * 400),
    partition: Math.floor(next() * partitions),
  }))

/** Which windows there are, and who is in them: by the times and the watermarks of the rows alone. */
function expected(events: readonly Event[], delayMs: number) {
  const watermarks = new Map<number, number>()
  const rows = events.map((event) => {
    const before = watermarks.get(event.partition) ?? -Infinity
    watermarks.set(event.partition, Math.max(before, event.at - delayMs))
    return { ...event, before }
  })
  const taken = rows.filter(({ at, before }) => at + sizeMs > before)
  const windows = new Map<string, string>()
  const ends = new Map<string, number>()
  for (const k of new Set(taken.map((row) => row.k))) {
    const own = taken.filter((row) => row.k === k)
    const all = own.flatMap(({ at, before }) => [...(at > before ? [at] : []), at + 1 + sizeMs])
    for (const end of new Set(all)) {
      const inside = own.filter(({ at, before }) => at >= end - sizeMs && at <= end && end > before)
      if (inside.length === 0) continue
      const ns = inside.map(({ n }) => n)
      const sum = ns.reduce((a, b) => a + b)
      const row = [(end - sizeMs) * 1000, (end + 1) * 1000, k, ns.length, sum, Math.max(...ns)]
      windows.set(`${k} ${end}`, show(row))
      ends.set(`${k} ${end}`, end)
    }
  }
  return {
    late: rows.length - taken.length,
    until: (watermark: number): [string, number][] =>
      sorted(
        new Map([...windows].filter(([name]) => ends.get(name)! <= watermark).map(([, row]) => [row, 1] as const)),
      ),
    watermark: Math.min(...watermarks.values()),
  }
}

for (const emit of ['update', 'close'] as const)
  for (const [partitions, delayMs] of [
    [1, 6_000],
    [1, 900],
    [3, 900],
  ] as const)
    test(`${emit}: the windows there are, of ${partitions} partitions, ${delayMs} ms of delay, over cuts and restarts`, () => {
      let late = 0
      for (let seed = 1; seed <= 12; seed++) {
        const next = random(seed)
        const events = eventsOf(next, partitions)
        const wanted = expected(events, delayMs)
        for (const [longest, rows, parallelism] of [
          [1, Infinity, 1],
          [9, 3, 1],
          [120, Infinity, 3],
        ] as const) {
          const room = rows === Infinity ? null : { rows, bytes: Infinity }
          const bench = new Bench(sliding(emit, delayMs), { s: partitions }, { room, parallelism })
          for (const piece of cuts(events, next, longest)) {
            bench.step(piece.map(input))
            if (next() > 0.4) continue
            bench.commit()
            if (next() < 0.3) bench.tryOut(() => void bench.step(eventsOf(next, partitions, 20).map(input)))
            if (next() < 0.3) bench.restart()
          }
          const what = `seed ${seed}, batches up to ${longest}`
          assert.deepEqual(sorted(bench.sum()), wanted.until(emit === 'close' ? wanted.watermark : Infinity), what)
          assert.equal(bench.late, wanted.late, what)
          if (emit === 'close') assert.ok(bench.deltas.flat().every(({ weight }) => weight === 1))
          bench.finish()
          assert.deepEqual(sorted(bench.sum()), wanted.until(Infinity), `${what}, at the end`)
          for (const { tables } of bench.graph.nodes) for (const { count } of tables) assert.equal(count, 0, what)
        }
        late += wanted.late
      }
      assert.ok(delayMs > 5_000 ? late === 0 : late > 20, `${late} rows were late`)
    })

test('the example of the documentation of Kafka Streams: five windows over three rows', () => {
  const plan = sliding('update', 20_000) as Plan & { op: 'aggregate' }
  const bench = new Bench({ ...plan, input: { ...plan.input, sizeMs: 5_000 } as Plan })
  for (const at of [8_000, 9_200, 12_400]) bench.step([input({ k: 'alice', n: 1, at, partition: 0 })])
  const spans = [...bench.sum().keys()].map((row) => JSON.parse(row) as number[])
  assert.deepEqual(
    spans.map(([start, end, , count]) => [start! / 1000, end! / 1000 - 1, count]).toSorted(([a], [b]) => a! - b!),
    [
      [3_000, 8_000, 1],
      [4_200, 9_200, 2],
      [7_400, 12_400, 3],
      [8_001, 13_001, 2],
      [9_201, 14_201, 1],
    ],
  )
})
