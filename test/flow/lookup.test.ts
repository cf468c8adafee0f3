/** Lookup joins against their definition: the table as it stands when the row comes, and no row ever restated. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import { Bench, call, column, field, type Input, literal, random, show, sorted, source, t } from './plans.ts'

const orders = [field('id', t.int), field('item', t.text), field('at', t.timestamptz)]
const items = [field('item', t.text, false), field('price', t.int)]
const planOf = (kind: 'inner' | 'left', where: boolean): Plan => ({
  op: 'lookup',
  left: source('orders', orders, { time: { column: 2, delayMs: 0 } }),
  right: source('items', items, { mode: 'upsert', key: [0] }),
  leftKeys: [column(orders, 'item')],
  rightKeys: [0],
  kind,
  where: where ? call('>', t.boolean, { kind: 'column', index: 4, type: t.int }, literal(40, t.int)) : null,
  columns: [...orders, ...items],
})

for (const kind of ['inner', 'left'] as const)
  for (const where of [false, true])
    test(`${kind}${where ? ' with a condition' : ''}: each row meets the table of its step, also when it is late`, () => {
      for (let seed = 1; seed <= 30; seed++) {
        const next = random(seed)
        const item = (): string => 'pqr'[Math.floor(next() * 3)]!
        const bench = new Bench(planOf(kind, where))
        const table = new Map<string, number>()
        const wanted = new Map<string, number>()
        for (let step = 0, id = 0; step < 40; step++) {
          const changes = Array.from({ length: Math.floor(next() * 3) }, (): Input => {
            const key = item()
            const price = next() < 0.2 ? null : Math.floor(next() * 100)
            if (price === null) table.delete(key)
            else table.set(key, price)
            return { topic: 'items', partition: 0, key, value: price === null ? null : { item: key, price } }
          })
          const rows = Array.from({ length: Math.floor(next() * 4) }, (): Input => {
            const at = 1_000_000 + Math.floor(next() * 100_000)
            const row = { id: id++, item: next() < 0.1 ? null : item(), at: new Date(at).toISOString() }
            const price = row.item === null ? undefined : table.get(row.item)
            const isMet = price !== undefined && (!where || price > 40)
            if (isMet || kind === 'left')
              wanted.set(show([row.id, row.item, at * 1000, ...(isMet ? [row.item, price] : [null, null])]), 1)
            return { topic: 'orders', partition: 0, value: row }
          })
          const out = bench.step([...changes, ...rows])
          assert.ok(out.every(({ weight }) => weight === 1))
          assert.deepEqual(sorted(bench.sum()), sorted(wanted), `seed ${seed}, step ${step}`)
          if (next() < 0.4) {
            bench.commit()
            if (next() < 0.4) bench.restart()
          }
        }
        assert.equal(bench.late, 0)
      }
    })

test('a table that is silent holds no watermark back', () => {
  const bench = new Bench(planOf('left', false))
  bench.step([{ topic: 'orders', partition: 0, value: { id: 1, item: 'p', at: new Date(5_000_000).toISOString() } }])
  assert.equal(bench.graph.watermark, 5_000_000)
})
