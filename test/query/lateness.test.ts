/** Allowed lateness: windows that the watermark has passed still take late rows, for as long as the view says. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openHouse } from './house.ts'

test('a late row within the allowance updates its window, a later one does not', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM s (n int, at timestamptz, WATERMARK FOR at AS at)')
  const window = "FROM TUMBLE(s, at, INTERVAL '1 minute') GROUP BY window_start, window_end"
  await house.sql(`CREATE MATERIALIZED VIEW strict AS SELECT window_start, sum(n) AS n ${window}`)
  await house.sql(
    `CREATE MATERIALIZED VIEW lenient WITH (allowed_lateness = '2m') AS SELECT window_start, sum(n) AS n ${window}`,
  )
  await house.sql(
    `CREATE MATERIALIZED VIEW closed WITH (allowed_lateness = '2m') AS SELECT window_start, sum(n) AS n ${window} EMIT ON WINDOW CLOSE`,
  )
  const send = (n: number, at: string): Promise<unknown> =>
    house.sql(`INSERT INTO s VALUES (${n}, '2024-01-01 ${at}Z')`)
  const first = (view: string): string => `SELECT n FROM ${view} WHERE window_start = '2024-01-01 10:00Z'`
  await send(1, '10:00:10')
  await send(2, '10:01:30')
  // The watermark has passed 10:01, and not 10:03.
  await send(4, '10:00:20')
  assert.deepEqual(await house.settled(first('lenient'), [[5]]), [[5]])
  assert.deepEqual(await house.settled(first('strict'), [[1]]), [[1]])
  assert.deepEqual(await house.sql(first('closed')), [])
  await send(8, '10:03:00')
  assert.deepEqual(await house.settled(first('closed'), [[5]]), [[5]])
  await send(16, '10:00:30')
  await house.sql('FLUSH')
  assert.deepEqual(await house.sql(first('lenient')), [[5]])
  assert.deepEqual(await house.sql(first('closed')), [[5]])
  const late = async (view: string): Promise<unknown> =>
    (await house.sql('SHOW VIEWS')).find(([name]) => name === view)?.[5]
  assert.deepEqual([await late('strict'), await late('lenient'), await late('closed')], [2, 1, 1])
})
