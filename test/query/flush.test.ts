/** FLUSH: what was there before it is in every view behind it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openHouse } from './house.ts'

test('FLUSH waits for views, and for views on them; not for those that are paused', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM s (k text, n int) WITH (partitions = 3, key = 'k');
    CREATE MATERIALIZED VIEW sums AS SELECT k, sum(n) AS total FROM s GROUP BY k;
    CREATE MATERIALIZED VIEW big AS SELECT total, count(*) AS n FROM sums WHERE total > 10 GROUP BY total;
    CREATE MATERIALIZED VIEW still AS SELECT k FROM s;
    FLUSH; ALTER VIEW still PAUSE`)
  for (let round = 1; round <= 20; round++) {
    const values = Array.from({ length: 30 }, (_, i) => `('k${i}', 1)`).join(', ')
    await house.sql(`INSERT INTO s VALUES ${values}; FLUSH`)
    assert.deepEqual(await house.sql('SELECT count(*), min(total), max(total) FROM sums'), [[30, round, round]])
    assert.deepEqual(await house.sql('SELECT * FROM big'), round > 10 ? [[round, 30]] : [])
  }
  assert.deepEqual(await house.sql('SELECT count(*) FROM still'), [[0]])
  await house.sql('ALTER VIEW still RESUME; FLUSH')
  assert.deepEqual(await house.sql('SELECT count(*) FROM still'), [[600]])
})

test('FLUSH waits for the row that an aggregate gives of nothing', async () => {
  await using house = await openHouse()
  await house.sql('CREATE TABLE t (id int PRIMARY KEY)')
  for (let round = 0; round < 5; round++) {
    await house.sql(
      'CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n FROM t; CREATE MATERIALIZED VIEW m AS SELECT max(id) AS m FROM t; FLUSH',
    )
    assert.deepEqual([await house.sql('SELECT * FROM n'), await house.sql('SELECT * FROM m')], [[[0]], [[null]]])
    await house.sql('DROP MATERIALIZED VIEW n, m')
  }
})
