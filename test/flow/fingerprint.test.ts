/**
 * What names state: equal for queries that keep the same, different for others, and the same from version to version. The
 * golden file `fingerprints.txt` holds those of one query for each operator: a line that changes is state of users that a
 * new version does not find. UPDATE_GOLDEN=1 writes what is now; then `stateVersion` has to grow, or nobody may have such state.
 */
import assert from 'node:assert/strict'
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'
import { definitions, queries } from '../../bench/nexmark/queries.ts'
import { isSamePlan } from '../../src/flow/plan-change.ts'
import { Graph } from '../../src/flow/graph.ts'
import type { Plan } from '../../src/flow/plan.ts'
import { type Input, Bench } from './plans.ts'
import { plan, shop } from '../sql/fixture.ts'

const options = { idleMs: 30_000, maxFutureMs: 3_600_000 }
const viewOf = (query: string, relations = shop): Plan =>
  plan(`${relations} CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS ${query}`).views.at(-1)!.plan
/** Of each operator with state: what it is, and its fingerprint. */
const marksOf = (query: string): string[] =>
  [...new Graph(viewOf(query), options).marks.operators.values()].map(
    ({ kind, fingerprint }) => `${kind} ${fingerprint}`,
  )

const base = 'SELECT item, sum(amount) AS total FROM purchases WHERE quantity > 1 GROUP BY item'
const same: readonly string[] = [
  'SELECT item AS thing, sum(amount) AS s FROM purchases WHERE quantity > 1 GROUP BY item',
  'SELECT sum(p.amount) * 2 AS twice, p.item FROM purchases AS p WHERE p.quantity > 1 GROUP BY p.item',
  `WITH many AS (SELECT note, amount, quantity AS q, item FROM purchases)
    SELECT item, sum(amount) FROM many WHERE q > 1 GROUP BY item HAVING sum(amount) > 10`,
  `SELECT a.item, a.s + a.s AS d FROM (SELECT x.item, sum(x.amount) AS s FROM (SELECT * FROM purchases) AS x
    WHERE x.quantity > 1 GROUP BY x.item) AS a WHERE a.s IS NOT NULL`,
]
const others: readonly string[] = [
  'SELECT item, sum(amount) AS total FROM purchases WHERE quantity > 2 GROUP BY item',
  'SELECT item, sum(amount) AS total FROM purchases GROUP BY item',
  'SELECT item, avg(amount) AS total FROM purchases WHERE quantity > 1 GROUP BY item',
  'SELECT item, sum(quantity) AS total FROM purchases WHERE quantity > 1 GROUP BY item',
  'SELECT customerId, sum(amount) AS total FROM purchases WHERE quantity > 1 GROUP BY customerId',
  'SELECT item, sum(amount) AS total, count(*) AS n FROM purchases WHERE quantity > 1 GROUP BY item',
]
test('names, projections, what stands behind and the order of conditions do not change what is kept', () => {
  const [mark] = marksOf(base)
  for (const query of same) assert.equal(marksOf(query)[0], mark, query)
  const conditions = (where: string): string[] =>
    marksOf(`SELECT item, sum(amount) AS total FROM purchases WHERE ${where} GROUP BY item`)
  assert.deepEqual(conditions('quantity > 1 AND amount < 5'), conditions('amount < 5 AND quantity > 1'))
})
test('what changes rows or how they lie does', () => {
  const all = [base, ...others].map((query) => marksOf(query).join())
  assert.equal(new Set(all).size, all.length)
  const late = shop.replace(`INTERVAL '5 seconds'`, `INTERVAL '6 seconds'`)
  const [a, b] = [viewOf(base), viewOf(base, late)].map((one) => [...new Graph(one, options).marks.operators.values()])
  assert.notEqual(a![0]!.fingerprint, b![0]!.fingerprint)
})
test('sides of a join of a stream with itself are told apart', () => {
  const join = (where: string): string =>
    marksOf(`SELECT a.item FROM purchases a JOIN purchases b ON a.item = b.item AND ${where}`).join()
  assert.notEqual(join('a.quantity < b.amount'), join('b.quantity < a.amount'))
})
test('the same plan gives the same rows under the same names', () => {
  assert.ok(isSamePlan(viewOf(base), viewOf(base.replace('FROM purchases', 'FROM purchases AS p'))))
  for (const query of [...same, ...others]) assert.ok(!isSamePlan(viewOf(base), viewOf(query)), query)
})

const events = (from: number): Input[] =>
  Array.from({ length: 40 }, (_, i) => ({
    topic: i % 3 === 0 ? 'clicks' : 'purchases',
    partition: 0,
    value:
      i % 3 === 0
        ? { page: `p${i % 2}`, user: 'u', ms: i + from }
        : { item: `i${i % 4}`, customerId: 'c', quantity: i % 5, amount: i + from, bought_at: '2026-01-01T00:00:00Z' },
  })) as Input[]
const counts = `SELECT page AS k, count(*) AS n FROM clicks GROUP BY page`
const sums = `SELECT item AS k, sum(quantity) AS n FROM purchases GROUP BY item`
test('a plan that numbers its operators and sources otherwise finds the state of another', () => {
  const both = new Bench(viewOf(`${counts} UNION ALL ${sums}`), { clicks: 1, purchases: 1 })
  const turned = new Bench(viewOf(`SELECT k, n + 0 AS n FROM (${sums}) AS s WHERE n > -1 UNION ALL ${counts}`))
  const whole = new Bench(viewOf(`${counts} UNION ALL ${sums}`), { clicks: 1, purchases: 1 })
  for (const bench of [both, whole]) {
    bench.step(events(0))
    bench.commit()
  }
  turned.takeOver(both)
  assert.deepEqual(turned.graph.sources.map(({ index, plan: { topic } }) => [topic, index]).toSorted(), [
    ['clicks', 0],
    ['purchases', 1],
  ])
  const after = (bench: Bench): string[] =>
    bench
      .step(events(7))
      .map((row) => JSON.stringify(row))
      .toSorted()
  assert.deepEqual(after(turned), after(whole))
})
test('without the state of one of its operators a plan does not start; what it does not have goes', () => {
  const both = new Bench(viewOf(`${counts} UNION ALL ${sums}`), { clicks: 1, purchases: 1 })
  both.step(events(0))
  both.commit()
  const more = new Bench(viewOf(`${sums} UNION ALL ${sums.replace('sum(', 'max(')}`))
  assert.throws(() => more.takeOver(both), { code: 'flow.state-mismatch', message: /aggregate max/ })
  const one = new Bench(viewOf(sums))
  one.takeOver(both)
  one.step(events(3))
  one.commit()
  const operators = new Set([...one.changelog.values()].map(({ key }) => key.toString('hex', 2, 6)))
  assert.equal([...operators].filter((text) => !text.startsWith('00')).length, 1)
})

const more: Readonly<Record<string, string>> = {
  distinct: 'SELECT DISTINCT page FROM clicks',
  semi: 'SELECT item FROM purchases WHERE item IN (SELECT item FROM items WHERE stock > 0)',
  outer: 'SELECT p.item, i.price FROM purchases p LEFT JOIN items i ON p.item = i.item',
  temporal:
    'SELECT p.item, i.price FROM purchases p JOIN items FOR SYSTEM_TIME AS OF p.bought_at AS i ON p.item = i.item',
  interval: `SELECT a.item FROM purchases a JOIN purchases b ON a.item = b.item AND
    b.bought_at BETWEEN a.bought_at AND a.bought_at + INTERVAL '1 minute'`,
  over: 'SELECT item, sum(amount) OVER (PARTITION BY item ORDER BY bought_at) AS s FROM purchases',
  restated: 'SELECT item, rank() OVER (ORDER BY stock) AS r FROM items',
  cumulate: `SELECT window_end, count(*) AS n FROM CUMULATE(purchases, bought_at, INTERVAL '1 minute', INTERVAL '1 hour')
    GROUP BY window_start, window_end EMIT ON WINDOW CLOSE`,
  clock: `SELECT count(*) AS n FROM purchases WHERE bought_at > now() - INTERVAL '1 day'`,
  top: 'SELECT item, price FROM items ORDER BY price DESC LIMIT 3',
  global: 'SELECT count(DISTINCT item) AS n, min(price) AS least FROM items',
}
test('fingerprints are those of the versions before', () => {
  const cases: [string, Plan][] = [
    ...Object.entries(queries).map(([name, query]): [string, Plan] => [name, viewOf(query, definitions)]),
    ...Object.entries(more).map(([name, query]): [string, Plan] => [name, viewOf(query)]),
  ]
  const lines = cases.flatMap(([name, of]) =>
    [...new Graph(of, options).marks.operators.values()].map(
      ({ kind, fingerprint, number }) => `${name} ${kind} ${fingerprint} ${number}`,
    ),
  )
  const file = join(import.meta.dirname, 'fingerprints.txt')
  if (process.env['UPDATE_GOLDEN'] === '1') writeFileSync(file, `${lines.join('\n')}\n`)
  assert.deepEqual(lines, readFileSync(file, 'utf8').trimEnd().split('\n'))
})
