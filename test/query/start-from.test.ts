/** START FROM: which events of streams a new view takes in; kept over restarts, tables read whole. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { count, defineTopic, defineView, sql } from '../../src/index.ts'
import { testMillrace } from '../../src/testing.ts'

const at = '2026-01-01T00:00:00Z'
const setUp = `CREATE STREAM sales (item text, amount int) WITH (topic = 'sales', partitions = 3);
  CREATE TABLE items (item text PRIMARY KEY, price int) WITH (topic = 'items');
  INSERT INTO items VALUES ('lamp', 3), ('desk', 5);
  INSERT INTO sales VALUES ('lamp', 1), ('desk', 2)`
const view = (start: string): string =>
  `CREATE MATERIALIZED VIEW v AS SELECT item, sum(amount) AS total FROM sales GROUP BY item ${start}`

async function opened(): ReturnType<typeof testMillrace> {
  const millrace = await testMillrace({ startAt: at })
  await millrace.sql(setUp)
  return millrace
}
const totals = async (millrace: Awaited<ReturnType<typeof opened>>): Promise<string[]> =>
  (await millrace.sql<{ item: string; total: number }>('SELECT * FROM v'))
    .map(({ item, total }) => `${item} ${total}`)
    .sort()

test('BEGINNING, and nothing said: all that is there', async () => {
  for (const start of ['', 'START FROM BEGINNING']) {
    await using millrace = await opened()
    await millrace.sql(view(start))
    assert.deepEqual(await totals(millrace), ['desk 2', 'lamp 1'])
  }
})
test('NOW: what comes after the statement was answered', async () => {
  await using millrace = await opened()
  await millrace.sql(view('START FROM NOW'))
  assert.deepEqual(await totals(millrace), [])
  await millrace.sql(`INSERT INTO sales VALUES ('lamp', 10)`)
  assert.deepEqual(await totals(millrace), ['lamp 10'])
})
test('NOW is the time of the statement, not that of a restart', async () => {
  for (const how of ['kill', 'power'] as const) {
    await using millrace = await opened()
    await millrace.sql(view('START FROM NOW'))
    await millrace.sql('ALTER MATERIALIZED VIEW v PAUSE')
    await millrace.sql(`INSERT INTO sales VALUES ('lamp', 10)`)
    await millrace.crash(how)
    await millrace.sql('ALTER MATERIALIZED VIEW v RESUME')
    assert.deepEqual(await totals(millrace), ['lamp 10'], how)
  }
})
test('TIMESTAMP: from the first record of that time on', async () => {
  await using millrace = await opened()
  await millrace.clock.advance('1h')
  await millrace.sql(`INSERT INTO sales VALUES ('lamp', 10)`)
  await millrace.sql(view(`START FROM TIMESTAMP '2026-01-01 00:30:00'`))
  assert.deepEqual(await totals(millrace), ['lamp 10'])
  await millrace.sql('DROP MATERIALIZED VIEW v')
  await millrace.sql(view(`START FROM TIMESTAMP '2025-01-01'`))
  assert.deepEqual(await totals(millrace), ['desk 2', 'lamp 11'])
  await millrace.sql('DROP MATERIALIZED VIEW v')
  await millrace.sql(view(`START FROM TIMESTAMP '2026-01-01 05:00:00+01'`))
  assert.deepEqual(await totals(millrace), [])
})
test('tables are read whole, whatever the start of the streams', async () => {
  await using millrace = await opened()
  await millrace.sql(`CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS
    SELECT s.item, sum(s.amount * i.price) AS total FROM sales s JOIN items i ON s.item = i.item GROUP BY s.item
    START FROM NOW`)
  await millrace.sql(`INSERT INTO sales VALUES ('desk', 10)`)
  assert.deepEqual(await totals(millrace), ['desk 50'])
})
test('EXPLAIN says where it starts; what is no start is a fault', async () => {
  await using millrace = await opened()
  const shown = await millrace.sql<{ 'QUERY PLAN': string }>(`EXPLAIN ${view('START FROM NOW')}`)
  assert.ok(shown.some((row) => /starts from now/.test(row['QUERY PLAN'])))
  await assert.rejects(millrace.sql(view(`START FROM TIMESTAMP 'soon'`)), { code: 'sql.invalid-value' })
  await assert.rejects(millrace.sql(view(`START FROM TIMESTAMP 'infinity'`)), { code: 'sql.invalid-value' })
  await assert.rejects(millrace.sql(view('START FROM MONDAY')), { code: 'sql.syntax' })
  assert.deepEqual(await millrace.sql('SELECT start.item FROM sales start WHERE start.amount = 1'), [{ item: 'lamp' }])
})
test('views in TypeScript say it too, with their other options also where they are SQL', async () => {
  const sales = defineTopic('sales', { schema: z.object({ item: z.string(), amount: z.int() }), partitions: 1 })
  const all = defineView('all_sales', sales.stream().groupBy('item').aggregate({ n: count() }))
  const later = defineView('later', sales.stream().groupBy('item').aggregate({ n: count() }), { startFrom: 'now' })
  const text = defineView('text', sql<{ n: number }>`SELECT 10 / amount AS n FROM ${sales}`, {
    startFrom: new Date('2025-12-01T00:00:00Z'),
    onError: 'skip',
    idle: '7s',
  })
  await using millrace = await testMillrace({ startAt: at, topics: [sales], views: [all, later, text] })
  await millrace.topic(sales).send([
    { item: 'lamp', amount: 0 },
    { item: 'lamp', amount: 5 },
  ])
  assert.deepEqual(await millrace.view(all).rows(), [{ item: 'lamp', n: 2 }])
  assert.deepEqual(await millrace.view(later).rows(), [{ item: 'lamp', n: 2 }])
  assert.deepEqual(await millrace.view(text).rows(), [{ n: 2 }])
})
