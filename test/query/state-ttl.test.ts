/** `state_ttl` of views in SQL and in TypeScript, under the virtual clock. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testMillrace } from '../../src/testing.ts'

test('a join of streams is taken with state_ttl, and meets what was written within it', async () => {
  await using millrace = await testMillrace()
  await millrace.sql(
    `CREATE STREAM l (k int, n int) WITH (topic = 'l'); CREATE STREAM r (k int, n int) WITH (topic = 'r')`,
  )
  await assert.rejects(
    async () => millrace.sql('CREATE MATERIALIZED VIEW j AS SELECT l.k, l.n, r.n AS m FROM l JOIN r ON l.k = r.k'),
    ({ hint }: { hint?: string }) => hint?.includes('state_ttl') === true,
  )
  await assert.rejects(
    async () =>
      millrace.sql(
        `CREATE MATERIALIZED VIEW o WITH (state_ttl = '1d') AS SELECT k, sum(n) OVER (PARTITION BY k ORDER BY n) AS s FROM l`,
      ),
    /keeps every row/,
  )
  await millrace.sql(
    `CREATE MATERIALIZED VIEW j WITH (state_ttl = '1d') AS SELECT l.k, l.n, r.n AS m FROM l JOIN r ON l.k = r.k`,
  )
  await millrace.sql('INSERT INTO l VALUES (1, 1); FLUSH')
  await millrace.clock.advance('20h')
  await millrace.sql('INSERT INTO l VALUES (1, 2); INSERT INTO r VALUES (1, 10); FLUSH')
  await millrace.crash()
  await millrace.clock.advance('5h')
  await millrace.sql('INSERT INTO r VALUES (1, 20); FLUSH')
  assert.deepEqual(await millrace.sql('SELECT n, m FROM j ORDER BY m, n'), [
    { n: 1, m: 10 },
    { n: 2, m: 10 },
    { n: 2, m: 20 },
  ])
})
