/** FOR SYSTEM_TIME AS OF against its definition: the version current at the row's event time, whatever comes in which order. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Expression } from '../../src/flow/expression.ts'
import type { Plan } from '../../src/flow/plan.ts'
import { Bench, type Input, call, column, field, literal, random, show, sorted, source, t } from './plans.ts'

const orders = [field('id', t.int), field('item', t.text), field('at', t.timestamptz)]
const items = [field('item', t.text, false), field('price', t.int), field('since', t.timestamptz)]
const both = [...orders, ...items]
const delayMs = 1_000
const join = (kind: 'inner' | 'left', where: Expression | null = null): Plan => ({
  op: 'temporal-join',
  left: source('orders', orders, { time: { column: 2, delayMs } }),
  right: source('items', items, { mode: 'upsert', key: [0], time: { column: 2, delayMs } }),
  leftKeys: [column(orders, 'item')],
  rightKeys: [0],
  leftTime: 2,
  kind,
  where,
  columns: both,
})
interface Order {
  readonly id: number
  readonly item: string | null
  readonly at: number
}
interface Change {
  readonly item: string
  /** null = gone. */
  readonly price: number | null
  readonly at: number
}
const iso = (ms: number): string => new Date(ms).toISOString()
const orderInput = (o: Order): Input => ({ topic: 'orders', partition: 0, value: { ...o, at: iso(o.at) } })
const changeInput = (c: Change): Input => ({
  topic: 'items',
  partition: 0,
  key: c.item,
  timeMs: c.at,
  value: c.price === null ? null : { item: c.item, price: c.price, since: iso(c.at) },
})
/** Watermark before each, in order of arrival. A row that is gone has no event time: it is as late as what came before. */
function withWatermarks<T extends { at: number; price?: number | null }>(
  list: readonly T[],
): { row: T; before: number }[] {
  let latest = -Infinity
  return list.map((row) => {
    const before = latest - delayMs
    if (row.price === null) return { row: { ...row, at: latest === -Infinity ? row.at : latest }, before }
    latest = Math.max(latest, row.at)
    return { row, before }
  })
}
function expected(
  kind: 'inner' | 'left',
  allOrders: readonly Order[],
  changes: readonly Change[],
  maxPrice = Infinity,
): Map<string, number> {
  // Taking away what is not there is no change.
  const present = new Set<string>()
  const isChange = changes.map(({ item, price }) => {
    const had = present.has(item)
    if (price === null) present.delete(item)
    else present.add(item)
    return price !== null || had
  })
  const versions = withWatermarks(changes).map(({ row, before }, offset) => ({
    ...row,
    from: Math.max(row.at, before + 1),
    offset,
  }))
  const rows = new Map<string, number>()
  for (const { row, before } of withWatermarks(allOrders)) {
    if (row.at <= before) continue
    const version = versions
      .filter((v) => v.item === row.item && v.from <= row.at && isChange[v.offset] === true)
      .sort((a, b) => a.from - b.from || a.offset - b.offset)
      .at(-1)
    const met = version !== undefined && version.price !== null && version.price <= maxPrice
    if (!met && kind === 'inner') continue
    const right = met ? [version.item, version.price, version.at * 1000] : [null, null, null]
    const text = show([row.id, row.item, row.at * 1000, ...right])
    rows.set(text, (rows.get(text) ?? 0) + 1)
  }
  return rows
}
function data(next: () => number): { orders: Order[]; changes: Change[] } {
  const at = (i: number): number => 1_000_000 + i * 100 + Math.floor(next() * 1500) - (next() < 0.1 ? 3000 : 0)
  const item = (): string => 'pqr'[Math.floor(next() * 3)]!
  return {
    orders: Array.from({ length: 120 }, (_, i) => ({ id: i, item: next() < 0.05 ? null : item(), at: at(i) })),
    changes: Array.from({ length: 60 }, (_, i) => ({
      item: item(),
      price: next() < 0.15 ? null : Math.floor(next() * 100),
      at: at(i * 2),
    })),
  }
}
/** Feeds both topics in batches cut at random, one running ahead of the other at times. */
function run(plan: Plan, all: { orders: readonly Order[]; changes: readonly Change[] }, next: () => number): Bench {
  const bench = new Bench(plan)
  const queues = [all.orders.map(orderInput), all.changes.map(changeInput)]
  while (queues.some((q) => q.length > 0))
    bench.step(queues.flatMap((q) => q.splice(0, Math.floor(next() * (next() < 0.5 ? 3 : 30)))))
  bench.finish()
  return bench
}

for (const kind of ['inner', 'left'] as const)
  test(`${kind} join: each row meets the version of its event time and is never restated`, () => {
    for (let seed = 1; seed <= 25; seed++) {
      const next = random(seed)
      const all = data(next)
      const wanted = expected(kind, all.orders, all.changes)
      for (let run_ = 0; run_ < 3; run_++) {
        const bench = run(join(kind), all, next)
        assert.deepEqual(sorted(bench.sum()), sorted(wanted), `seed ${seed}`)
        assert.ok(bench.deltas.flat().every((d) => d.weight === 1))
      }
    }
  })
test('rows come in the order of event time', () => {
  const bench = run(join('left'), data(random(3)), random(5))
  const times = bench.deltas.flat().map((d) => d.values[2] as number)
  assert.deepEqual(
    times,
    times.toSorted((a, b) => a - b),
  )
})
test('a condition refuses pairs; a left join keeps their left rows', () => {
  const where = call('<=', t.boolean, { kind: 'column', index: 4, type: t.int }, literal(50, t.int))
  for (const kind of ['inner', 'left'] as const)
    for (let seed = 1; seed <= 10; seed++) {
      const next = random(seed)
      const all = data(next)
      assert.deepEqual(
        sorted(run(join(kind, where), all, next).sum()),
        sorted(expected(kind, all.orders, all.changes, 50)),
        `seed ${seed}`,
      )
    }
})
test('versions that nobody can ask for any more are forgotten', () => {
  const bench = new Bench(join('inner'))
  for (let i = 0; i < 200; i++) {
    const at = 1_000_000 + i * 1_000
    bench.step([
      changeInput({ item: 'p', price: i, at }),
      changeInput({ item: 'q', price: i % 2 === 0 ? i : null, at }),
      orderInput({ id: i, item: 'p', at }),
    ])
  }
  const [waiting, versions] = bench.graph.nodes.at(-1)!.tables
  assert.ok(waiting!.count <= 3 && versions!.count <= 6, `${waiting!.count} rows wait, ${versions!.count} versions`)
})
test('it waits for the table, and an idle table holds nothing back', () => {
  const bench = new Bench(join('inner'))
  bench.step([changeInput({ item: 'p', price: 1, at: 1_000_000 })])
  assert.deepEqual(
    bench.step([orderInput({ id: 1, item: 'p', at: 1_000_500 }), orderInput({ id: 2, item: 'p', at: 1_009_000 })]),
    [],
  )
  bench.nowMs += 30_000
  bench.graph.markIdle(bench.nowMs)
  // Both are silent now; the order stream wakes up and moves alone.
  assert.deepEqual(
    bench.step([orderInput({ id: 3, item: 'p', at: 1_012_000 })]).map((d) => d.values[0]),
    [1, 2],
  )
})

const emptyTopics = { empty: ['orders', 'items'] }
const far = { price: 0, item: 'far', at: 90_000_000 }
test('a stream that begins after its table came far loses nothing, also over silence and restarts', () => {
  for (const kind of ['inner', 'left'] as const)
    for (let seed = 1; seed <= 10; seed++) {
      const next = random(seed)
      const all = data(next)
      all.changes.push(far)
      const bench = new Bench(join(kind), {}, emptyTopics)
      for (const rows = all.changes.map(changeInput); rows.length > 0;) {
        bench.step(rows.splice(0, 1 + Math.floor(next() * 20)))
        if (next() < 0.3) bench.commit()
      }
      bench.silence(60_000)
      bench.commit()
      if (seed % 2 === 0) bench.restart()
      for (const rows = all.orders.map(orderInput); rows.length > 0;) {
        bench.step(rows.splice(0, 1 + Math.floor(next() * 20)))
        if (next() < 0.2) bench.silence(60_000)
        bench.commit()
        if (seed % 2 === 0 && next() < 0.2) bench.restart()
      }
      bench.finish()
      assert.deepEqual(sorted(bench.sum()), sorted(expected(kind, all.orders, all.changes)), `seed ${seed}`)
      const lateRows = withWatermarks(all.orders).filter(({ row, before }) => row.at <= before)
      assert.equal(bench.late, lateRows.length, `seed ${seed}`)
    }
})
test('whichever topic is filled first, the same comes out', () => {
  for (const kind of ['inner', 'left'] as const)
    for (let seed = 1; seed <= 10; seed++) {
      const next = random(seed)
      const all = data(next)
      const wanted = sorted(expected(kind, all.orders, all.changes))
      for (const order of ['stream first', 'table first', 'mixed']) {
        const bench = new Bench(join(kind), {}, emptyTopics)
        const [stream, table] = [all.orders.map(orderInput), all.changes.map(changeInput)]
        const queues = order === 'mixed' ? [stream, table] : order === 'stream first' ? [stream] : [table]
        const rest = order === 'mixed' ? [] : order === 'stream first' ? [table] : [stream]
        for (const turn of [queues, rest])
          while (turn.some((q) => q.length > 0)) {
            bench.silence(100)
            bench.step(turn.flatMap((q) => q.splice(0, Math.floor(next() * 30))))
          }
        bench.finish()
        assert.deepEqual(sorted(bench.sum()), wanted, `seed ${seed}, ${order}`)
      }
    }
})
const ids = (rows: readonly { values: readonly unknown[] }[]): unknown[] => rows.map((r) => r.values[0])
test('an empty table is waited for, from the first row that asks for it on, and then not again', () => {
  const bench = new Bench(join('left'), {}, emptyTopics)
  bench.silence(600_000)
  assert.deepEqual(bench.step([1, 2].map((id) => orderInput({ id, item: 'p', at: 1_000_000 + id * 5_000 }))), [])
  assert.deepEqual(bench.silence(29_000), [])
  assert.equal(bench.graph.nextTimerMs() - bench.nowMs, 1_000)
  // Both are given up: the table, and the stream, which has been silent for as long.
  assert.deepEqual(ids(bench.silence(1_000)), [1, 2])
  // The stream's own: no row of it is let in before that.
  assert.equal(bench.graph.watermark, 1_010_000 - delayMs)
  bench.commit()
  bench.restart()
  assert.deepEqual(ids(bench.step([orderInput({ id: 3, item: 'p', at: 1_020_000 })])), [])
  assert.deepEqual(ids(bench.step([orderInput({ id: 4, item: 'p', at: 1_030_000 })])), [3])
})
test('each partition of a table that has never held anything is waited for', () => {
  const bench = new Bench(join('left'), { items: 2 }, emptyTopics)
  bench.step([changeInput({ item: 'p', price: 1, at: 1_000_000 }), changeInput({ item: 'p', price: 2, at: 1_050_000 })])
  const asked = ['p', 'q', 'r'].map((item, id) => orderInput({ id, item, at: 1_010_000 + id * 2_000 }))
  assert.deepEqual(bench.step(asked), [])
  const second = [
    { ...changeInput({ item: 'q', price: 7, at: 1_005_000 }), partition: 1 },
    { ...changeInput({ item: 'q', price: 8, at: 1_050_000 }), partition: 1 },
  ]
  assert.deepEqual(
    bench.step(second).map((r) => [r.values[0], r.values[4]]),
    [
      [0, 1],
      [1, 7],
    ],
  )
})
test('a stream that falls silent lets its rows go, and is not late when it goes on', () => {
  const bench = new Bench(join('left'))
  bench.step([
    changeInput({ item: 'p', price: 1, at: 1_000_000 }),
    orderInput({ id: 1, item: 'p', at: 1_002_000 }),
    orderInput({ id: 2, item: 'p', at: 1_002_500 }),
  ])
  bench.silence(20_000)
  for (let i = 1; i <= 20; i++) bench.step([changeInput({ item: 'p', price: 1 + i, at: 1_000_000 + i * 1_000 })])
  // The stream is left out: what only its own delay held goes out.
  assert.deepEqual(ids(bench.silence(10_000)), [1, 2])
  const rows = bench.step([5, 6].map((id) => orderInput({ id, item: 'p', at: 1_000_500 + id * 1_000 })))
  rows.push(...bench.finish())
  assert.deepEqual(
    rows.map((r) => [r.values[0], r.values[4]]),
    [
      [5, 6],
      [6, 7],
    ],
  )
  assert.equal(bench.late, 0)
})
test('the versions of a table are kept for a stream that is behind, and no longer', () => {
  const bench = new Bench(join('inner'), {}, emptyTopics)
  for (let i = 0; i < 50; i++) bench.step([changeInput({ item: 'p', price: i, at: 1_000_000 + i * 1_000 })])
  const [, versions] = bench.graph.nodes.at(-1)!.tables
  assert.equal(versions!.count, 50)
  bench.step([orderInput({ id: 1, item: 'p', at: 1_020_500 })])
  bench.commit()
  // The watermark stands at 1 019 500: a row of that time would ask for version 19.
  assert.equal(versions!.count, 31)
  bench.step([orderInput({ id: 2, item: 'p', at: 1_200_000 })])
  bench.step([changeInput({ item: 'q', price: 0, at: 1_200_000 })])
  bench.commit()
  assert.equal(versions!.count, 2)
})
test('what is behind a join waits for the rows that wait in it', () => {
  const other = [field('id', t.int), field('at', t.timestamptz)]
  const slim = (input: Plan, at: number): Plan => ({
    op: 'project',
    input,
    expressions: [column(input.columns, 'id'), { kind: 'column', index: at, type: t.timestamptz }],
    columns: other,
  })
  const inputs = [slim(join('left'), 2), source('others', other, { time: { column: 1, delayMs: 0 } })]
  const windows: Plan = {
    op: 'window',
    input: { op: 'union', inputs, columns: other },
    window: { kind: 'tumble', sizeMs: 10_000 },
    time: 1,
    columns: [...other, field('ws', t.timestamptz), field('we', t.timestamptz)],
  }
  const plan: Plan = {
    op: 'aggregate',
    input: windows,
    keys: [2, 3],
    aggregates: [{ name: 'count', args: [], distinct: false, filter: null, type: t.bigint }],
    windowEnd: 1,
    emit: 'close',
    columns: [field('ws', t.timestamptz), field('we', t.timestamptz), field('n', t.bigint)],
  }
  const bench = new Bench(plan)
  bench.step([changeInput({ item: 'p', price: 1, at: 1_000_000 }), orderInput({ id: 1, item: 'p', at: 1_003_000 })])
  bench.silence(20_000)
  bench.step([changeInput({ item: 'p', price: 2, at: 1_000_100 })])
  // The stream is idle now, its row waits for the table.
  bench.silence(10_000)
  const late = [2, 3].map((id) => ({ topic: 'others', partition: 0, value: { id, at: iso(1_000_000 + id * 10_000) } }))
  assert.deepEqual(bench.step(late), [])
  bench.step([changeInput({ item: 'p', price: 3, at: 1_100_000 })])
  bench.step([])
  bench.finish()
  assert.equal(bench.late, 0)
  assert.deepEqual(
    bench.deltas.flat().map((r) => [Number(r.values[0]) / 1000, r.values[2]]),
    [
      [1_000_000, 1],
      [1_020_000, 1],
      [1_030_000, 1],
    ],
  )
})
