/** A step in pieces gives what it gives in one go, and what is behind an operator that makes many rows sees few at a time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan } from '../../src/flow/plan.ts'
import { plan } from '../sql/fixture.ts'
import { Bench, type Input, cuts, random, sorted } from './plans.ts'

const schema = `
  CREATE STREAM a (k int, n int, t timestamp, WATERMARK FOR t AS t - INTERVAL '5 seconds');
  CREATE STREAM b (k int, n int, t timestamp, WATERMARK FOR t AS t - INTERVAL '5 seconds');
  CREATE TABLE items (k int PRIMARY KEY, name text);`
const planOf = (query: string): Plan =>
  plan(`${schema} CREATE MATERIALIZED VIEW q WITH (allow_unbounded_state = true) AS ${query}`).views[0]!.plan

const queries = [
  'SELECT x.k, x.n, y.n AS m FROM a x, b y',
  'SELECT x.n, y.n AS m, z.n AS o FROM a x JOIN a y ON x.k = y.k JOIN b z ON z.k <> x.k',
  'SELECT x.n, y.n AS m FROM a x LEFT JOIN b y ON x.k = y.k AND x.n < y.n',
  'SELECT x.n, y.n AS m FROM a x FULL JOIN b y ON x.k = y.k',
  `SELECT x.n, y.n AS m FROM a x JOIN b y ON x.k = y.k AND y.t BETWEEN x.t - INTERVAL '9 seconds' AND x.t + INTERVAL '9 seconds'`,
  `SELECT x.n, y.n AS m FROM a x FULL JOIN b y ON x.k = y.k AND y.t BETWEEN x.t AND x.t + INTERVAL '4 seconds'`,
  `SELECT k, count(*) AS c, window_start FROM HOP(a, t, INTERVAL '2 seconds', INTERVAL '20 seconds')
     GROUP BY k, window_start, window_end EMIT ON WINDOW CLOSE`,
  `SELECT k, count(*) AS c, window_start FROM HOP(a, t, INTERVAL '2 seconds', INTERVAL '20 seconds')
     GROUP BY k, window_start, window_end`,
  // What is made of pieces: sums, the first of many, a lookup, both sides of a join from one join.
  'SELECT x.k, count(*) AS c, min(y.n) AS low, sum(DISTINCT y.n) AS s FROM a x, b y GROUP BY x.k',
  'SELECT * FROM (SELECT x.k, x.n, y.n AS m, row_number() OVER (PARTITION BY x.k ORDER BY y.n, x.n) AS r FROM a x, b y) s WHERE r <= 2',
  'SELECT x.k, x.n, y.n AS m, i.name FROM a x JOIN b y ON x.k = y.k JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = y.n',
  `WITH p AS (SELECT x.k, x.n, y.n AS m FROM a x JOIN b y ON x.k <> y.k)
     SELECT l.n, r.m, c.c FROM p l JOIN p r ON l.n = r.m JOIN (SELECT k, count(*) AS c FROM p GROUP BY k) c ON c.k = l.k`,
  `SELECT window_start, x.k, count(*) AS c FROM TUMBLE(a, t, INTERVAL '10 seconds') x
     JOIN TUMBLE(b, t, INTERVAL '10 seconds') y USING (window_start, window_end)
     GROUP BY window_start, window_end, x.k EMIT ON WINDOW CLOSE`,
  'SELECT x.n FROM a x WHERE EXISTS (SELECT 1 FROM b y WHERE y.k = x.k) AND x.n NOT IN (SELECT n FROM b)',
]
const events = (next: () => number, count: number): Input[] =>
  Array.from({ length: count }, (_, i) => {
    const k = Math.floor(next() * 4)
    const topic = ['a', 'b', 'items'][Math.floor(next() * 2.2)]!
    if (topic === 'items') return { topic, partition: 0, key: String(k), value: { k, name: `i${i}` } }
    return {
      topic,
      partition: 0,
      value: { k, n: Math.floor(next() * 6), t: 1_000_000 + i * 300 - Math.floor(next() * 4000) },
    }
  })

for (const query of queries)
  test(`in pieces: ${query.replace(/\s+/g, ' ')}`, () => {
    const of = planOf(query)
    for (let seed = 1; seed <= 6; seed++) {
      const next = random(seed)
      const steps = cuts(events(next, query.startsWith('WITH') ? 18 : 40), next, 12)
      const whole = new Bench(of)
      const pieces = new Bench(of, {}, { room: { rows: 1 + (seed % 4), bytes: Infinity } })
      for (const [i, step] of steps.entries()) {
        whole.step(step)
        pieces.step(step)
        assert.deepEqual(sorted(pieces.sum()), sorted(whole.sum()), `seed ${seed}, step ${i}`)
        if (i % 3 !== 2) continue
        pieces.commit()
        whole.commit()
        pieces.tryOut(() => pieces.step(events(next, 5)))
        if (i % 2 === 0) pieces.restart()
      }
      whole.finish()
      pieces.finish()
      assert.deepEqual(sorted(pieces.sum()), sorted(whole.sum()), `seed ${seed}, at the end`)
      assert.equal(pieces.late, whole.late, `late, seed ${seed}`)
    }
  })

test('no piece is larger than there is room for, by rows or by the bytes of texts', () => {
  const rows = (topic: string, n: number, size: number): Input[] =>
    Array.from({ length: n }, (_, i) => ({ topic, partition: 0, value: { k: i, n: i, s: 'x'.repeat(size) } }))
  const crossed = plan(`CREATE STREAM a (n int, s text); CREATE STREAM b (n int, s text);
    CREATE MATERIALIZED VIEW q WITH (allow_unbounded_state = true) AS SELECT x.s, y.s AS o FROM a x, b y`).views[0]!
    .plan
  const byRows = new Bench(crossed, {}, { room: { rows: 50, bytes: Infinity } })
  byRows.step(rows('a', 40, 1))
  assert.equal(byRows.step(rows('b', 40, 1)).length, 1600)
  assert.equal(byRows.largest, 50)
  const byBytes = new Bench(crossed, {}, { room: { rows: Infinity, bytes: 5_000 } })
  byBytes.step(rows('a', 10, 1_000))
  assert.equal(byBytes.step(rows('b', 10, 1_000)).length, 100)
  assert.ok(byBytes.largest <= 5, String(byBytes.largest))
})
