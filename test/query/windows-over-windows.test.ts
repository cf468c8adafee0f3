/** Windows over what windows gave: by window_time a short window counts in the long one that it lies in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openHouse } from './house.ts'

/** An event every second for two minutes. */
const events = Array.from({ length: 120 }, (_, second) => ({ n: second, at: at(second) }))
function at(second: number): string {
  return new Date(Date.UTC(2024, 0, 1, 10) + second * 1000).toISOString()
}
const short = `SELECT window_time, window_start, window_end, count(*) AS n, sum(n) AS total
  FROM TUMBLE(TABLE s, DESCRIPTOR(at), INTERVAL '10' SECOND) GROUP BY window_start, window_end, window_time`
const long = (from: string): string => `SELECT window_start, window_end, window_time, sum(n) AS n, sum(total) AS total
  FROM TUMBLE(${from}, DESCRIPTOR(window_time), INTERVAL '1' MINUTE) GROUP BY window_start, window_end, window_time
  EMIT ON WINDOW CLOSE`
const minutes = [
  ['2024-01-01T10:00:00Z', '2024-01-01T10:01:00Z', '2024-01-01T10:00:59.999Z', '60', '1770'],
  ['2024-01-01T10:01:00Z', '2024-01-01T10:02:00Z', '2024-01-01T10:01:59.999Z', '60', '5370'],
]

test('in one query, over a view and in a query of now, minutes are the sums of their ten seconds', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM s (n int, at timestamptz, WATERMARK FOR at AS at)')
  await house.sql(`CREATE MATERIALIZED VIEW whole AS WITH short AS (${short}) ${long('TABLE short')}`)
  await house.sql(`CREATE MATERIALIZED VIEW inlined AS ${long(`(${short})`)}`)
  await house.sql(`CREATE MATERIALIZED VIEW short_view AS ${short} EMIT ON WINDOW CLOSE`)
  await house.sql(`CREATE MATERIALIZED VIEW over_view AS ${long('TABLE short_view')}`)
  const rows = events.map(({ n, at: time }) => `(${n}, '${time}')`)
  await house.sql(`INSERT INTO s VALUES ${rows.join(', ')}`)
  await house.sql(`INSERT INTO s VALUES (0, '${at(600)}')`)
  const first = (view: string): string =>
    `SELECT window_start, window_end, window_time, n::text, total::text FROM ${view} ORDER BY 1 LIMIT 2`
  for (const view of ['whole', 'inlined']) assert.deepEqual(await house.settled(first(view), minutes), minutes, view)
  // A view's rows close windows of the views over it: one of a later minute has to come.
  await house.sql(`INSERT INTO s VALUES (0, '${at(700)}')`)
  assert.deepEqual(await house.settled(first('over_view'), minutes), minutes)
  const now = await house.sql(`SELECT * FROM (${long(`TABLE (${short})`)}) AS minutes ORDER BY 1 LIMIT 2`)
  assert.deepEqual(
    now.map(([start, end, moment, ...sums]) => [start, end, moment, ...sums.map(String)]),
    minutes,
  )
})

test('* leaves window_time out, and a column of that name stays what it is', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM s (n int, at timestamptz, window_time text, WATERMARK FOR at AS at)')
  await house.sql(`INSERT INTO s VALUES (1, '${at(0)}', 'mine')`)
  assert.deepEqual(await house.sql("SELECT window_time FROM TUMBLE(s, at, INTERVAL '1 minute')"), [['mine']])
  const [row] = await house.sql("SELECT * FROM TUMBLE((SELECT n, at FROM s), at, INTERVAL '1 minute')")
  assert.deepEqual(row, [1, at(0).replace('.000', ''), '2024-01-01T10:00:00Z', '2024-01-01T10:01:00Z'])
})
