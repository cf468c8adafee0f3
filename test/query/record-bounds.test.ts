/** Conditions on partition, offset and time of records: what need not be read is not, and the answer is the same. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeBatch } from '../../src/log/batch.ts'
import { type House, openHouse } from './house.ts'

const dayMs = Date.UTC(2026, 0, 2)
const perPartition = 200

/** Times go up by a second a record, some are late. */
async function filled(): Promise<House> {
  const house = await openHouse()
  await house.sql('CREATE STREAM s (n int) WITH (partitions = 3)')
  for (let index = 0; index < 3; index++) {
    const records = Array.from({ length: perPartition }, (_, n) => ({
      key: null,
      value: Buffer.from(JSON.stringify({ n })),
      timeMs: dayMs + (n % 17 === 5 ? n - 40 : n) * 1_000,
    }))
    for (let from = 0; from < perPartition; from += 20)
      await house.log
        .writer()
        .append([{ partition: { topic: 's', index }, batch: encodeBatch(records.slice(from, from + 20)) }])
  }
  return house
}
/** How many events the source of a query gave. */
async function readBy(house: House, query: string): Promise<number> {
  const lines = (await house.sql(`EXPLAIN ANALYZE ${query}`)).map(String)
  const at = lines.findIndex((line) => line.includes('Events of s'))
  const [, rows] = /rows (\d+);/.exec(lines.slice(at).join('\n')) ?? []
  assert.ok(rows !== undefined, lines.join('\n'))
  return Number(rows)
}
const time = (second: number): string => `'${new Date(dayMs + second * 1_000).toISOString()}'::timestamptz`

for (const [where, most] of [
  ['_partition = 1', 200],
  ['_partition IN (0, 2)', 400],
  ['_partition = 0 AND _partition = 2', 0],
  ['_partition = 7', 0],
  ['_offset >= 150', 150],
  ['190 < _offset', 27],
  ['_offset < 7', 21],
  ['_offset BETWEEN 3 AND 9', 21],
  ['_offset = 5 AND _partition = 2', 1],
  ['_offset > 1000', 0],
  ['_offset >= 10 AND _offset < 5', 0],
  [`_timestamp >= ${time(180)}`, 75],
  [`_timestamp > ${time(150)} AND _offset < 170`, 75],
  [`_timestamp = ${time(100)}`, 315],
  [`_timestamp > ${time(100_000)}`, 0],
  [`_timestamp > now() - INTERVAL '1 minute'`, 0],
  [`_timestamp < ${time(10)}`, 600],
  [`_timestamp > '1960-01-01'::timestamptz`, 600],
  ['_partition = 1 OR n = 3', 600],
  ["_offset::text < '5'", 600],
  ['n > 3', 600],
] as const)
  test(`WHERE ${where}`, async () => {
    await using house = await filled()
    const query = (condition: string): string =>
      `SELECT _partition, _offset, n FROM s WHERE ${condition} ORDER BY _partition, _offset`
    // Nothing is known of the same behind a CASE.
    const whole = `CASE WHEN ${where} THEN true ELSE false END`
    assert.deepEqual(await house.sql(query(where)), await house.sql(query(whole)))
    const read = await readBy(house, query(where))
    assert.ok(read <= most, `${read} events were read`)
    assert.equal(await readBy(house, query(whole)), 3 * perPartition)
  })

test('a stream that is read in two ways gives both; what goes by the time of rows reads all', async () => {
  await using house = await filled()
  const both = `SELECT count(*), min(n), max(n) FROM
    (SELECT n FROM s WHERE _offset < 10 UNION ALL SELECT n FROM s WHERE _offset >= 195 UNION ALL SELECT n FROM s WHERE n = 100) u`
  assert.deepEqual(await house.sql(both), [[48, 0, 199]])
  const joined = 'SELECT count(*) FROM (SELECT n FROM s WHERE _offset < 10) a JOIN s ON s.n = a.n'
  assert.deepEqual(await house.sql(joined), [[90]])
  const ranked = `SELECT n, lag(n) OVER (PARTITION BY _partition ORDER BY _timestamp) FROM s WHERE _offset < 2 AND _partition = 0`
  assert.deepEqual(await house.sql(ranked), [
    [0, null],
    [1, 0],
  ])
})
