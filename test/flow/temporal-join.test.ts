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
