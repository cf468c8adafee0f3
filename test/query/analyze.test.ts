import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clinic } from './doctor/fixture.ts'

test('EXPLAIN ANALYZE runs the query and says what went through each step', async () => {
  const on = await clinic(`CREATE STREAM sales (item text, amount int) WITH (topic = 'sales');
    CREATE MATERIALIZED VIEW totals AS SELECT item, sum(amount) AS total FROM sales GROUP BY item`)
  await on.sql(`INSERT INTO sales VALUES ('lamp', 1), ('lamp', 2), ('desk', 3), ('pen', 0); FLUSH`)
  const lines = async (query: string): Promise<string> => (await on.sql(`EXPLAIN ANALYZE ${query}`)).join('\n')
  const text = await lines('SELECT item, count(*) AS n FROM sales WHERE amount > 0 GROUP BY item ORDER BY item LIMIT 1')
  assert.match(text, /^Limit 1\nSort by item\nProject\n/)
  assert.match(text, /rows in 3, out \d; state 2 entries, \d+ bytes; \d+\.\d ms/)
  assert.match(text, /where amount > 0\n +rows in 4, out 3; /)
  assert.match(text, /watermark: record timestamp\n +rows 4; /)
  assert.match(text, /\nRows: 1\nTime: \d+\.\d ms$/)
  assert.match(await lines('SELECT 1 + 1'), /^Constant rows\nRows: 1\n/)
  assert.match(await lines('SELECT * FROM totals'), /\nRows: 3\n/)
  await assert.rejects(lines('SELECT 1 / amount FROM sales'), { code: 'value.division-by-zero' })
  await assert.rejects(lines('CREATE MATERIALIZED VIEW v AS SELECT item FROM sales'), { code: 'sql.unsupported' })
  assert.equal((await on.sql('SHOW VIEWS')).length, 1)
  await on.close()
})
