/**
 * Event time: what is late and when windows close depends on the records alone, not on how they were cut into batches or
 * how the partitions' batches were interleaved.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import {
  Bench,
  type Input,
  type Output,
  aggregate,
  column,
  cuts,
  field,
  random,
  show,
  sorted,
  source,
  t,
  total,
} from './plans.ts'

const columns = [field('k', t.text), field('n', t.int), field('at', t.timestamptz)]
const delayMs = 2_000
const sizeMs = 10_000
const stream = source('s', columns, { time: { column: 2, delayMs } })
const windowed: Plan = {
  op: 'window',
  input: stream,
  window: { kind: 'tumble', sizeMs },
  time: 2,
  columns: [...columns, field('window_start', t.timestamptz), field('window_end', t.timestamptz)],
}
const grouped = (emit: 'update' | 'close'): Plan => ({
  op: 'aggregate',
  input: windowed,
  keys: [3, 4, 0],
  aggregates: [aggregate('count', t.bigint), aggregate('sum', t.bigint, [column(columns, 'n')])],
  windowEnd: 1,
  emit,
  columns: [...windowed.columns.slice(3), field('k', t.text), field('count', t.bigint), field('sum', t.bigint)],
})

interface Event {
  readonly k: string
  readonly n: number
  readonly at: number
}
/** Events that advance in time, some of them late by up to 12 s. */
const eventsOf = (next: () => number, count: number): Event[] =>
  Array.from({ length: count }, (_, i) => ({
    k: 'ab'[Math.floor(next() * 2)]!,
    n: Math.floor(next() * 10),
    at: 1_000_000_000 + i * 400 - Math.floor(next() < 0.2 ? next() * 14_000 : next() * 1500),
  }))
/** By the definition: an event is late if its window had closed by the watermark before it in its partition. */
function accepted(partition: readonly Event[]): { taken: Event[]; late: number; watermark: number } {
  let watermark = -Infinity
  const taken: Event[] = []
  for (const event of partition) {
    const end = (Math.floor(event.at / sizeMs) + 1) * sizeMs
    if (end - 1 > watermark) taken.push(event)
    watermark = Math.max(watermark, event.at - delayMs)
  }
  return { taken, late: partition.length - taken.length, watermark }
}
function windowsOf(events: readonly Event[], closedBy: number): Map<string, number> {
  const groups = new Map<string, { start: number; k: string; count: number; sum: number }>()
  for (const { k, n, at } of events) {
    const start = Math.floor(at / sizeMs) * sizeMs
    if (start + sizeMs - 1 > closedBy) continue
    const group = groups.get(`${start}/${k}`) ?? { start, k, count: 0, sum: 0 }
    group.count++
    group.sum += n
    groups.set(`${start}/${k}`, group)
  }
  return new Map(
    [...groups.values()].map(({ start, k, count, sum }) => [
      show([start * 1000, (start + sizeMs) * 1000, k, count, sum]),
      1,
    ]),
  )
}
const input = (partition: number, event: Event): Input => ({
  topic: 's',
  partition,
  value: { ...event, at: new Date(event.at).toISOString() },
})

/** Feeds partitions in batches cut and interleaved at random; each keeps its own order. */
function feed(bench: Bench, partitions: readonly (readonly Event[])[], next: () => number, longest: number): void {
  const at = partitions.map(() => 0)
  while (at.some((a, p) => a < partitions[p]!.length)) {
    const batch: Input[] = []
    for (let p = 0; p < partitions.length; p++) {
      const size = Math.floor(next() * (longest + 1))
      for (const event of partitions[p]!.slice(at[p], at[p]! + size)) batch.push(input(p, event))
      at[p]! += size
    }
    bench.step(batch)
  }
}

for (const parts of [1, 3])
  test(`${parts} partition(s): the same rows are late and the same windows close, however the input is cut`, () => {
    for (let seed = 1; seed <= 15; seed++) {
      const next = random(seed)
      const partitions = Array.from({ length: parts }, () => eventsOf(next, 150))
      const each = partitions.map(accepted)
      const taken = each.flatMap((e) => e.taken)
      const late = each.reduce((sum, e) => sum + e.late, 0)
      const watermark = Math.min(...each.map((e) => e.watermark))
      assert.ok(late > 0, 'the events are late now and then')
      for (const longest of [1, 7, 60]) {
        const bench = new Bench(grouped('close'), { s: parts })
        feed(bench, partitions, next, longest)
        assert.equal(bench.late, late, `seed ${seed}, batches up to ${longest}`)
        assert.deepEqual(
          sorted(bench.sum()),
          sorted(windowsOf(taken, watermark)),
          `seed ${seed}, batches up to ${longest}`,
        )
        bench.finish()
        assert.deepEqual(sorted(bench.sum()), sorted(windowsOf(taken, Infinity)))
        assert.equal(bench.graph.nodes.at(-1)!.tables[0]!.count, 0, 'no state is left')
      }
    }
  })
test('windows close oldest first, groups in the order of their keys, each once', () => {
  const next = random(4)
  const orders = [1, 5, 200].map((longest) => {
    const bench = new Bench(grouped('close'))
    for (const piece of cuts(eventsOf(random(11), 300), next, longest)) bench.step(piece.map((e) => input(0, e)))
    bench.finish()
    return bench.deltas.flat().map((o) => show(o.values))
  })
  assert.deepEqual(orders[1], orders[0])
  assert.deepEqual(orders[2], orders[0])
  assert.equal(new Set(orders[0]).size, orders[0]!.length)
  const keys = orders[0]!.map((o) => (JSON.parse(o) as unknown[]).slice(0, 3) as [number, number, string])
  assert.deepEqual(
    keys,
    keys.toSorted(([a, , x], [b, , y]) => a - b || (x < y ? -1 : 1)),
  )
})
test('updated windows hold what was not late, and their state goes when they close', () => {
  for (let seed = 1; seed <= 10; seed++) {
    const next = random(seed)
    const events = eventsOf(next, 200)
    const { taken, late } = accepted(events)
    const bench = new Bench(grouped('update'))
    feed(bench, [events], next, 20)
    assert.deepEqual(sorted(bench.sum()), sorted(windowsOf(taken, Infinity)))
    assert.equal(bench.late, late)
    const open = bench.graph.nodes.at(-1)!.tables[0]!
    for (const id of open.all()) assert.ok(open.numbers[id * open.spec.numbers + 1]! > bench.graph.watermark)
  }
})
test('an idle partition holds nothing back; what it brings then is late after idle, and counted apart', () => {
  const bench = new Bench(grouped('close'), { s: 2 })
  const at = (ms: number): Event => ({ k: 'a', n: 1, at: 1_000_000_000 + ms })
  bench.step([input(0, at(0)), input(1, at(0))])
  assert.deepEqual(bench.step([input(0, at(30_000))]), [], 'the other partition holds the window open')
  bench.nowMs += 29_999
  bench.graph.markIdle(bench.nowMs)
  assert.deepEqual(bench.step([]), [])
  bench.nowMs += 1
  bench.step([input(0, at(30_500))])
  bench.graph.markIdle(bench.nowMs)
  assert.equal(bench.step([]).length, 1, 'left out as idle, it closes')
  const before = bench.late
  bench.step([input(1, at(1_000))])
  assert.equal(bench.late, before + 1)
  assert.equal(bench.graph.nodes.at(-1)!.pending.lateAfterIdle, 1)
})
test('a partition that never held a record is idle from the start; one with unread records is not', () => {
  const fresh = new Bench(grouped('close'), { s: 2 })
  fresh.graph.open(
    () => [
      { partition: 0, unread: true },
      { partition: 1, unread: false },
    ],
    0,
  )
  const at = (ms: number): Event => ({ k: 'a', n: 1, at: 1_000_000_000 + ms })
  fresh.step([input(0, at(0)), input(0, at(30_000))])
  assert.equal(fresh.deltas.flat().length, 1)
  const unread = new Bench(grouped('close'), { s: 2 })
  unread.step([input(0, at(0)), input(0, at(30_000))])
  assert.equal(unread.deltas.flat().length, 0)
})
test('an event too far in the future moves no watermark and is counted', () => {
  const far = (ms: number, timeMs: number): Input => ({ ...input(0, { k: 'a', n: 1, at: ms }), timeMs })
  const strict = new Bench(grouped('close'), {}, { maxFutureMs: 3_600_000 })
  strict.step([far(1_000_000, 1_000_000), far(1_000_000 + 3_600_001, 1_000_000)])
  assert.equal(strict.graph.watermark, 1_000_000 - delayMs)
  assert.equal(strict.graph.sources[0]!.clock.future, 1)
  strict.step([far(1_000_000 + 3_600_000, 1_000_000)])
  assert.equal(strict.graph.watermark, 1_000_000 + 3_600_000 - delayMs)
})
test('without a declared watermark records of one millisecond are not late', () => {
  const undeclared: Plan = {
    ...grouped('close'),
    input: {
      ...windowed,
      input: source('s', columns, { fields: [...stream.fields.slice(0, 2), { from: 'timestamp' }] }),
    },
  } as Plan
  const bench = new Bench(undeclared)
  const at = (timeMs: number): Input => ({ topic: 's', partition: 0, value: { k: 'a', n: 1 }, timeMs })
  bench.step([at(9_999), at(9_999), at(9_999)])
  assert.equal(bench.late, 0)
  bench.step([at(10_000)])
  assert.deepEqual(total(bench.deltas.flat()), new Map([[show([0, 1e7, 'a', 3, 3]), 1]]))
})
test('a row without an event time lies in no window', () => {
  const plan: Plan = { ...windowed, input: { ...stream, onInvalid: 'null' } }
  const bench = new Bench(plan)
  const rows: Output[] = bench.step([
    { topic: 's', partition: 0, value: { k: 'a', n: 1 } },
    input(0, { k: 'b', n: 1, at: 5 }),
  ])
  assert.deepEqual(
    rows.map((r) => r.values[0]),
    ['b'],
  )
  assert.equal(bench.late, 1)
})

test('standing, nothing is late and everything closes at the end', () => {
  const next = random(8)
  const events = eventsOf(next, 200)
  const bench = new Bench(grouped('close'), {}, { standing: true })
  for (const piece of cuts(events, next, 30)) assert.deepEqual(bench.step(piece.map((e) => input(0, e))), [])
  bench.finish()
  assert.deepEqual(sorted(bench.sum()), sorted(windowsOf(events, Infinity)))
  assert.equal(bench.late, 0)
})

const hopMs = 4_000
const sliding = (kind: 'hop' | 'cumulate', emit: 'update' | 'close'): Plan => ({
  ...(grouped(emit) as Plan & { op: 'aggregate' }),
  input: {
    ...(windowed as Plan & { op: 'window' }),
    window: { kind, sizeMs: kind === 'hop' ? 12_000 : 8_000, stepMs: hopMs, offsetMs: 1_000 },
  },
})
/** Bounds of all windows that hold a time. */
function windowsAt(kind: 'hop' | 'cumulate', at: number): [number, number][] {
  const size = kind === 'hop' ? 12_000 : 8_000
  const found: [number, number][] = []
  for (let start = 1_000 + Math.floor((at - 30_000) / hopMs) * hopMs; start <= at; start += hopMs)
    if (kind === 'hop' && at < start + size) found.push([start, start + size])
    else if (kind === 'cumulate' && (start - 1_000) % size === 0 && at < start + size)
      for (let end = start + hopMs; end <= start + size; end += hopMs) if (at < end) found.push([start, end])
  return found
}
for (const kind of ['hop', 'cumulate'] as const)
  test(`${kind}: a row counts in those of its windows that were open before it, and is late when none was`, () => {
    for (let seed = 1; seed <= 10; seed++) {
      const next = random(seed)
      const partitions = Array.from({ length: 2 }, () => eventsOf(next, 120))
      const wanted = new Map<string, { start: number; end: number; k: string; count: number; sum: number }>()
      let late = 0
      const watermarks = partitions.map((partition) => {
        let watermark = -Infinity
        for (const { k, n, at } of partition) {
          const open = windowsAt(kind, at).filter(([, end]) => end - 1 > watermark)
          if (open.length === 0) late++
          for (const [start, end] of open) {
            const group = wanted.get(`${start}/${end}/${k}`) ?? { start, end, k, count: 0, sum: 0 }
            group.count++
            group.sum += n
            wanted.set(`${start}/${end}/${k}`, group)
          }
          watermark = Math.max(watermark, at - delayMs)
        }
        return watermark
      })
      const closedBy = Math.min(...watermarks)
      assert.ok(late > 0, 'some are late')
      for (const emit of ['update', 'close'] as const)
        for (const longest of [1, 50]) {
          const bench = new Bench(sliding(kind, emit), { s: 2 })
          feed(bench, partitions, next, longest)
          const rows = [...wanted.values()].filter(({ end }) => emit === 'update' || end - 1 <= closedBy)
          assert.deepEqual(
            sorted(bench.sum()),
            sorted(new Map(rows.map((g) => [show([g.start * 1000, g.end * 1000, g.k, g.count, g.sum]), 1]))),
            `seed ${seed}, ${emit}, batches up to ${longest}`,
          )
          assert.equal(bench.late, late)
        }
    }
  })
