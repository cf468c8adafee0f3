/** Views with a filter by the clock: rows come and go while nothing else happens, also over a restart. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { openHouse } from './house.ts'

const sleep = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))

test('rows of the last seconds, and those that are due', async () => {
  const disk = memoryDisk()
  const soon = (ms: number): string => new Date(Date.now() + ms).toISOString()
  {
    await using house = await openHouse({ disk })
    await house.sql(`CREATE STREAM s (k text, at timestamptz);
      CREATE MATERIALIZED VIEW recent AS SELECT k, count(*) AS n FROM s WHERE at > now() - INTERVAL '2 seconds' GROUP BY k;
      CREATE MATERIALIZED VIEW due AS SELECT k FROM s WHERE at <= now()`)
    await house.sql(
      `INSERT INTO s VALUES ('old', '${soon(-60_000)}'), ('a', '${soon(0)}'), ('b', '${soon(2_500)}'); FLUSH`,
    )
    assert.deepEqual(await house.sql('SELECT * FROM recent ORDER BY k'), [
      ['a', 1],
      ['b', 1],
    ])
    assert.deepEqual(await house.sql('SELECT * FROM due ORDER BY k'), [['a'], ['old']])
    await sleep(2_300)
    assert.deepEqual(await house.settled('SELECT * FROM recent', [['b', 1]]), [['b', 1]])
  }
  await using house = await openHouse({ disk })
  assert.deepEqual(await house.settled('SELECT count(*) FROM due', [[3]]), [[3]])
  assert.deepEqual(await house.sql('SELECT * FROM recent'), [['b', 1]])
  await sleep(2_000)
  assert.deepEqual(await house.settled('SELECT * FROM recent', []), [])
})
