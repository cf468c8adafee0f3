import assert from 'node:assert/strict'
import { test } from 'node:test'
import { clinic } from './doctor/fixture.ts'
import { openHouse } from './house.ts'

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

test('EXPLAIN ANALYZE of a view says what went through it since it runs, and what its steps hold', async () => {
  const on = await clinic(`CREATE STREAM sales (item text, amount int, at timestamptz, WATERMARK FOR at AS at);
    CREATE MATERIALIZED VIEW minutes AS SELECT window_start, item, sum(amount) AS total
      FROM TUMBLE(sales, at, INTERVAL '1 minute') WHERE amount <> 9 GROUP BY window_start, window_end, item;
    CREATE MATERIALIZED VIEW parts AS SELECT 10 / amount AS part FROM sales`)
  const sale = (amount: number, at: string): string => `('lamp', ${amount}, '2025-12-31 10:${at}Z')`
  await on.sql(
    `INSERT INTO sales VALUES ${[sale(1, '00:00'), sale(9, '00:01'), sale(2, '01:30'), sale(3, '00:20')].join(', ')}; FLUSH`,
  )
  const text = (await on.sql('EXPLAIN ANALYZE minutes')).join('\n')
  assert.match(text, /^View minutes: newest row per key \(window_start, item\)\n  running; rows in 4, out 2, late 1\n/)
  assert.match(
    text,
    /Aggregate by [^]*?rows in 3, out 2, late 1; state 1 entries, \d+ bytes; watermark 2025-12-31T10:01:30/,
  )
  assert.match(text, /where amount <> 9\n +rows in 4, out 3; watermark/)
  assert.match(text, /watermark: at\n +rows 4; watermark 2025-12-31T10:01:30/)
  assert.equal((await on.sql('EXPLAIN ANALYZE MATERIALIZED VIEW minutes')).length, text.split('\n').length)
  await on.sql('INSERT INTO sales VALUES ' + sale(0, '02:00'))
  await on.advance(1_000)
  assert.match((await on.sql('EXPLAIN ANALYZE parts')).join('\n'), /failed: .*division by zero/)
  await on.close()
})

test('a query of a view that has stopped or is paused, or that reads such a one, says so', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM sales (item text, amount int);
    CREATE MATERIALIZED VIEW shares AS SELECT item, 10 / amount AS share FROM sales;
    CREATE MATERIALIZED VIEW most AS SELECT item, max(share) AS share FROM shares GROUP BY item;
    CREATE MATERIALIZED VIEW sums AS SELECT item, sum(amount) AS total FROM sales GROUP BY item`)
  await house.sql(`INSERT INTO sales VALUES ('lamp', 2); FLUSH`)
  const notices = async (query: string): Promise<readonly string[]> => {
    const result = await house.engine.run(query)
    for await (const _ of result.rows);
    return result.notices ?? []
  }
  assert.deepEqual(await notices('SELECT * FROM most'), [])
  await house.sql(`INSERT INTO sales VALUES ('lamp', 0); ALTER MATERIALIZED VIEW sums PAUSE`)
  const stopped = /^view shares has stopped: its rows are those of before \(.*division by zero\)$/
  for (let i = 0; i < 300 && house.faults.length === 0; i++) await new Promise((resolve) => setTimeout(resolve, 10))
  for (const query of ['SELECT * FROM shares', 'SELECT * FROM most']) {
    const [one, ...more] = await notices(query)
    assert.match(one!, stopped)
    assert.deepEqual(more, [])
  }
  assert.deepEqual(await notices('SELECT * FROM sums'), ['view sums is paused: its rows are those of before'])
  await assert.rejects(house.sql('CREATE OR REPLACE MATERIALIZED VIEW shares AS SELECT item FROM sales'), {
    code: 'sql.dependent',
    message: /cannot make view "shares" anew because other objects depend on it: view most/,
  })
})
