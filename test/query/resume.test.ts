/** START FROM RESUME: what both queries have in common is kept, what is new begins as it was said, rows are right. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testMillrace } from '../../src/testing.ts'
import { openHouse } from './house.ts'

type Millrace = Awaited<ReturnType<typeof testMillrace>>
const setUp = `CREATE STREAM s (k text, n int) WITH (topic = 's', partitions = 2);
  CREATE TABLE t (k text PRIMARY KEY, label text);
  INSERT INTO t VALUES ('a', 'A'), ('b', 'B');
  INSERT INTO s VALUES ('a', 1), ('b', 2), ('a', 3), ('c', 9)`
async function opened(seed = 1): Promise<Millrace> {
  const millrace = await testMillrace({ seed })
  await millrace.sql(setUp)
  return millrace
}
const text = async (millrace: Millrace, query = 'SELECT * FROM v'): Promise<string[]> =>
  (await millrace.sql(query)).map((row) => Object.values(row).join(' ')).sort()
const view = (query: string): string => `CREATE MATERIALIZED VIEW v AS ${query}`
const resume = (query: string): string => `CREATE OR REPLACE MATERIALIZED VIEW v AS ${query} START FROM RESUME`
const sums = 'SELECT k, sum(n) AS x FROM s GROUP BY k'

test('another condition behind GROUP BY: rows that do not hold go, others come, readers follow', async () => {
  await using millrace = await opened()
  await millrace.sql(`${view(`${sums} HAVING sum(n) > 3`)}; CREATE MATERIALIZED VIEW w AS SELECT sum(x) AS x FROM v`)
  await millrace.sql('FLUSH')
  assert.deepEqual(await text(millrace), ['a 4', 'c 9'])
  await millrace.sql(resume(`${sums} HAVING sum(n) < 5`))
  await millrace.sql('FLUSH')
  assert.deepEqual(await text(millrace), ['a 4', 'b 2'])
  assert.deepEqual(await text(millrace, 'SELECT * FROM w'), ['6'])
  await millrace.crash('power')
  await millrace.sql(`INSERT INTO s VALUES ('a', 5), ('b', 1); FLUSH`)
  assert.deepEqual(await text(millrace), ['b 3'])
  assert.deepEqual(await text(millrace, 'SELECT * FROM w'), ['3'])
})
test('a row that came and went does not come again when the rows are restated', async () => {
  await using millrace = await opened()
  await millrace.sql(`${view(`${sums} HAVING sum(n) % 2 = 0`)}; FLUSH`)
  assert.deepEqual(await text(millrace), ['a 4', 'b 2'])
  await millrace.sql(`INSERT INTO s VALUES ('a', 1); FLUSH`)
  assert.deepEqual(await text(millrace), ['b 2'])
  await millrace.sql(resume(`${sums} HAVING sum(n) > 8`))
  await millrace.sql('FLUSH')
  assert.deepEqual(await text(millrace), ['c 9'])
})
test('another operator behind one that is kept is filled from it, also over a topic made anew', async () => {
  await using millrace = await opened()
  await millrace.sql(`${view(sums)}; FLUSH`)
  await millrace.sql(resume('SELECT k, x FROM (SELECT k, sum(n) AS x FROM s GROUP BY k) g ORDER BY x DESC LIMIT 2'))
  assert.deepEqual(await text(millrace), ['a 4', 'c 9'])
  await millrace.sql(`INSERT INTO s VALUES ('b', 20), ('a', 2)`)
  assert.deepEqual(await text(millrace), ['b 22', 'c 9'])
  await millrace.sql(
    resume('SELECT count(*) AS groups, sum(x) AS all_of FROM (SELECT k, sum(n) AS x FROM s GROUP BY k) g'),
  )
  assert.deepEqual(await text(millrace), ['3 37'])
  await millrace.crash('kill')
  await millrace.sql(`INSERT INTO s VALUES ('d', 1)`)
  assert.deepEqual(await text(millrace), ['4 38'])
})
test('what is new over a stream begins with nothing, and takes in what comes', async () => {
  await using millrace = await opened()
  await millrace.sql(`${view(`${sums} UNION ALL SELECT k, count(*) AS x FROM s GROUP BY k`)}; FLUSH`)
  await millrace.sql(resume(`${sums} UNION ALL SELECT k, max(n) AS x FROM s GROUP BY k`))
  assert.deepEqual(await text(millrace), ['a 4', 'b 2', 'c 9'])
  await millrace.sql(`INSERT INTO s VALUES ('a', 1)`)
  assert.deepEqual(await text(millrace), ['a 1', 'a 5', 'b 2', 'c 9'])
  // What was given up does not come back with it.
  await millrace.sql(resume(`${sums} UNION ALL SELECT k, count(*) AS x FROM s GROUP BY k`))
  assert.deepEqual(await text(millrace), ['a 5', 'b 2', 'c 9'])
  await millrace.sql(`INSERT INTO s VALUES ('c', 1)`)
  assert.deepEqual(await text(millrace), ['a 5', 'b 2', 'c 1', 'c 10'])
})
test('a table that the query did not read before is read whole, again after it was left out', async () => {
  await using millrace = await opened()
  const joined = `SELECT g.k, g.x, t.label FROM (${sums}) g JOIN t ON g.k = t.k`
  await millrace.sql(`${view(sums)}; FLUSH; ${resume(joined)}; FLUSH`)
  assert.deepEqual(await text(millrace), ['a 4 A', 'b 2 B'])
  await millrace.sql(`INSERT INTO t VALUES ('c', 'C'), ('a', 'AA'); FLUSH`)
  assert.deepEqual(await text(millrace), ['a 4 AA', 'b 2 B', 'c 9 C'])
  await millrace.sql(`${resume(sums)}; INSERT INTO s VALUES ('b', 5); FLUSH`)
  assert.deepEqual(await text(millrace), ['a 4', 'b 7', 'c 9'])
  await millrace.sql(`${resume(joined)}; FLUSH`)
  assert.deepEqual(await text(millrace), ['a 4 AA', 'b 7 B', 'c 9 C'])
})
test('windows that are open go on under another condition; rows that were given stay', async () => {
  await using millrace = await testMillrace({ startAt: '2026-01-01T00:00:00Z' })
  await millrace.sql(`CREATE STREAM e (k text, at timestamptz, WATERMARK FOR at AS at) WITH (topic = 'e');
    INSERT INTO e VALUES ('a', '2026-01-01 00:00:01'), ('a', '2026-01-01 00:00:02'), ('b', '2026-01-01 00:01:01'),
      ('c', '2026-01-01 00:01:02'), ('c', '2026-01-01 00:01:03')`)
  const windows = (
    having: string,
  ): string => `SELECT k, window_end, count(*) AS n FROM TUMBLE(e, at, INTERVAL '1 minute')
    GROUP BY k, window_start, window_end ${having} EMIT ON WINDOW CLOSE`
  await millrace.sql(`${view(windows(''))}; FLUSH`)
  const counts = (): Promise<string[]> => text(millrace, 'SELECT k, n FROM v')
  assert.deepEqual(await counts(), ['a 2'])
  await millrace.sql(resume(windows('HAVING count(*) > 1')))
  await millrace.sql(`INSERT INTO e VALUES ('x', '2026-01-01 00:02:01'); FLUSH`)
  assert.deepEqual(await counts(), ['a 2', 'c 2'])
})
test('where rows of the old query could not be told, it is refused', async () => {
  await using millrace = await opened()
  const windows = (what: string): string => `SELECT k, window_end, ${what} AS n FROM
    TUMBLE(s, _timestamp, INTERVAL '1 minute') GROUP BY k, window_start, window_end`
  await millrace.sql(`${view(windows('count(*)'))}; FLUSH`)
  await assert.rejects(millrace.sql(resume(windows('count(*) * 2'))), {
    code: 'sql.cannot-resume',
    message: /what project .* has given is not all in its state/,
  })
  await assert.rejects(millrace.sql(resume(`SELECT sum(n) AS n FROM (${windows('count(*)')}) g`)), {
    code: 'sql.cannot-resume',
    message: /aggregate sum would be new/,
  })
  assert.equal((await text(millrace)).length, 3)
})
test('ALTER … AS keeps name, columns and options; EXPLAIN says before what the answer says after', async () => {
  await using house = await openHouse()
  await house.sql(`${setUp}; CREATE MATERIALIZED VIEW v (key, x) WITH (idle = '7s') AS ${sums} START FROM NOW; FLUSH`)
  await house.sql(`INSERT INTO s VALUES ('a', 1); FLUSH`)
  const alter = `ALTER MATERIALIZED VIEW v AS SELECT k, sum(n) * 2 FROM s GROUP BY k
    UNION ALL SELECT k, count(*) FROM s GROUP BY k START FROM RESUME`
  const explained = (await house.sql(`EXPLAIN ${alter}`)).map(([line]) => String(line))
  const { command, notices = [] } = await house.engine.run(alter)
  assert.equal(command, 'ALTER MATERIALIZED VIEW')
  assert.deepEqual(
    notices.filter((line) => /keeps|starts|rows/.test(line)).map((line) => line.trim()),
    ['keeps: aggregate sum by k', 'starts empty: aggregate count by k', 'rows: are made anew of what is kept'],
  )
  for (const line of notices.slice(1)) assert.ok(explained.includes(line), line)
  assert.match(
    house.engine.relation('v')!.sql!,
    /^CREATE MATERIALIZED VIEW v \(key, x\) WITH \(idle = '7s'\) AS SELECT k/,
  )
  assert.deepEqual(await house.settled('SELECT key, x FROM v', [['a', 2]]), [['a', 2]])
  await assert.rejects(house.sql('ALTER MATERIALIZED VIEW nothing AS SELECT 1 AS x FROM s'), {
    code: 'sql.unknown-relation',
  })
  await assert.rejects(house.sql('ALTER MATERIALIZED VIEW s AS SELECT 1 AS x FROM s'), { code: 'sql.wrong-kind' })
  await house.sql('ALTER MATERIALIZED VIEW v START FROM BEGINNING; FLUSH')
  assert.deepEqual((await house.sql('SELECT key, x FROM v')).map((row) => row.join(' ')).sort(), [
    'a 10',
    'a 3',
    'b 1',
    'b 4',
    'c 1',
    'c 18',
  ])
})
test('a row that cannot be computed stops the new query before anything is changed; another one helps', async () => {
  await using millrace = await opened()
  await millrace.sql(`${view(sums)}; FLUSH`)
  await assert.rejects(millrace.sql(resume('SELECT k, sum(n) / (sum(n) - 4) AS x FROM s GROUP BY k')), {
    code: 'flow.step-failed',
  })
  await millrace.sql(resume('SELECT k, sum(n) + 1 AS x FROM s GROUP BY k'))
  assert.deepEqual(await text(millrace), ['a 5', 'b 3', 'c 10'])
})
test('a paused view is changed when it goes on; what is inserted meanwhile is taken in', async () => {
  await using millrace = await opened()
  await millrace.sql(`${view(sums)}; FLUSH; ALTER MATERIALIZED VIEW v PAUSE`)
  await millrace.sql(`INSERT INTO s VALUES ('a', 1); ${resume(`${sums} HAVING sum(n) > 4`)}`)
  await millrace.crash('power')
  await millrace.sql('ALTER MATERIALIZED VIEW v RESUME; FLUSH')
  assert.deepEqual(await text(millrace), ['a 5', 'c 9'])
})
test('a crash at any moment leaves the rows of the old query or of the new one, and it goes on from there', async () => {
  const ways: readonly (readonly [string, RegExp, RegExp])[] = [
    [`${sums} HAVING sum(n) > 3`, /^a 4,c 9$/, /^a 104,c 9$/],
    [
      'SELECT count(*) AS groups, sum(x) AS total FROM (SELECT k, sum(n) AS x FROM s GROUP BY k) g',
      /^3 15$/,
      /^3 115$/,
    ],
  ]
  let [old, made] = [0, 0]
  for (let seed = 1; seed <= 40; seed++) {
    const [query, rows, later] = ways[seed % 2]!
    await using millrace = await opened(seed)
    await millrace.sql(`${view(sums)}; FLUSH`)
    const replacing = millrace.sql(resume(query))
    replacing.catch(() => undefined)
    await millrace.clock.advance(seed % 3 === 0 ? (seed % 5) / 4 : seed / 2)
    await millrace.crash(seed % 4 === 3 ? 'kill' : 'power')
    await millrace.sql('FLUSH')
    const found = (await text(millrace)).join()
    if (found === 'a 4,b 2,c 9') old++
    else {
      assert.match(found, rows, `seed ${seed}`)
      made++
    }
    await millrace.sql(`INSERT INTO s VALUES ('a', 100); FLUSH`)
    const after = (await text(millrace)).join()
    assert.match(after, found === 'a 4,b 2,c 9' ? /^a 104,b 2,c 9$/ : later, `seed ${seed}`)
  }
  assert.ok(old > 0 && made > 0, `${old} old, ${made} new`)
})
test('state that lies in files for want of memory is found too', async () => {
  await using millrace = await testMillrace({ seed: 5 })
  await millrace.sql(`CREATE STREAM s (k text, n int) WITH (topic = 's')`)
  for (let from = 0; from < 12_000; from += 3_000) {
    const rows = Array.from({ length: 3_000 }, (_, i) => `('key number ${(from + i) % 5_000}', ${i % 10})`)
    await millrace.sql(`INSERT INTO s VALUES ${rows.join(', ')}`)
  }
  const all = 'SELECT k, sum(n) AS x FROM s GROUP BY k'
  await millrace.sql(`CREATE MATERIALIZED VIEW v WITH (memory_budget = '1MB') AS ${all}; FLUSH`)
  const behind = `SELECT x, count(*) AS c FROM (${all}) g GROUP BY x`
  for (const query of [`${all} HAVING sum(n) % 2 = 0`, behind, all]) {
    await millrace.sql(`ALTER MATERIALIZED VIEW v AS ${query} START FROM RESUME; FLUSH`)
    assert.deepEqual(await text(millrace), await text(millrace, query), query)
  }
})
