/** CREATE OR REPLACE MATERIALIZED VIEW: what is kept, what begins anew, and crashes in between. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testMillrace } from '../../src/testing.ts'

type Millrace = Awaited<ReturnType<typeof testMillrace>>
async function opened(seed = 1): Promise<Millrace> {
  const millrace = await testMillrace({ seed })
  await millrace.sql(`CREATE STREAM s (k text, n int) WITH (topic = 's', partitions = 2);
    INSERT INTO s VALUES ('a', 1), ('b', 2), ('a', 3)`)
  return millrace
}
const text = async (millrace: Millrace, query: string): Promise<string[]> =>
  (await millrace.sql(query)).map((row) => Object.values(row).join(' ')).sort()
const sums = 'CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, sum(n) AS t FROM s GROUP BY k'
const counts = 'CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, count(*) AS c FROM s GROUP BY k'
const plain = 'CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, n FROM s'

test('where nothing is, it makes the view', async () => {
  await using millrace = await opened()
  await millrace.sql(sums)
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['a 4', 'b 2'])
})
test('the same plan keeps rows and state: other options do not read anything again', async () => {
  await using millrace = await opened()
  await millrace.sql(`${sums} START FROM NOW`)
  await millrace.sql(`INSERT INTO s VALUES ('a', 10)`)
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['a 10'])
  await millrace.sql(sums.replace('v AS', `v WITH (on_error = 'skip', idle = '3s') AS`))
  await millrace.sql(`INSERT INTO s VALUES ('a', 5)`)
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['a 15'])
  await millrace.crash('power')
  await millrace.sql(`INSERT INTO s VALUES ('b', 1)`)
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['a 15', 'b 1'])
})
test('another plan begins anew, from the beginning or from where it is told', async () => {
  await using millrace = await opened()
  await millrace.sql(sums)
  await millrace.sql('FLUSH')
  await millrace.sql(counts)
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['a 2', 'b 1'])
  await millrace.sql(`${sums} START FROM NOW`)
  await millrace.sql(`INSERT INTO s VALUES ('b', 7)`)
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['b 7'])
  // The same plan, and told where to begin: what is there is made again.
  await millrace.sql(`${sums} START FROM BEGINNING`)
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['a 4', 'b 9'])
})
test('RESUME: steps without state go on where the others had come to', async () => {
  await using millrace = await opened()
  await millrace.sql(plain)
  await millrace.sql('FLUSH')
  await millrace.sql(`${plain.replace('n FROM s', 'n * 10 AS n FROM s WHERE n > 1')} START FROM RESUME`)
  await millrace.sql(`INSERT INTO s VALUES ('c', 1), ('c', 2)`)
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['a 1', 'a 3', 'b 2', 'c 20'])
  await millrace.crash()
  await millrace.sql(`INSERT INTO s VALUES ('d', 5)`)
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['a 1', 'a 3', 'b 2', 'c 20', 'd 50'])
})
test('what is read by others begins anew with none of them; what is no view is not replaced', async () => {
  await using millrace = await opened()
  await millrace.sql(`${sums}; CREATE MATERIALIZED VIEW w AS SELECT sum(t) AS all_of FROM v`)
  await assert.rejects(millrace.sql(counts), { code: 'sql.dependent' })
  await millrace.sql(sums.replace('v AS', `v WITH (idle = '1s') AS`))
  await millrace.sql(`INSERT INTO s VALUES ('a', 10)`)
  assert.deepEqual(await text(millrace, 'SELECT * FROM w'), ['16'])
  await assert.rejects(millrace.sql('CREATE OR REPLACE MATERIALIZED VIEW s AS SELECT 1 AS x FROM v'), {
    code: 'sql.wrong-kind',
  })
  await assert.rejects(millrace.sql('CREATE OR REPLACE STREAM q (a int)'), { code: 'sql.unsupported' })
  // A text that cannot be planned leaves everything as it is.
  await assert.rejects(millrace.sql('CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT nothing FROM s'))
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['a 14', 'b 2'])
})
test('EXPLAIN says what would become of the view', async () => {
  await using millrace = await opened()
  await millrace.sql(sums)
  const last = async (query: string): Promise<string> =>
    (await millrace.sql<{ 'QUERY PLAN': string }>(`EXPLAIN ${query}`)).map((row) => row['QUERY PLAN']).join('\n')
  assert.match(await last(sums), /Replaces view v: the plan is the same, state and rows are kept/)
  assert.match(await last(counts), /Replaces view v: state and rows are made anew/)
})
test('a paused view stays paused', async () => {
  await using millrace = await opened()
  await millrace.sql(`${sums}; ALTER MATERIALIZED VIEW v PAUSE; ${counts}`)
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), [])
  await millrace.sql('ALTER MATERIALIZED VIEW v RESUME')
  assert.deepEqual(await text(millrace, 'SELECT * FROM v'), ['a 2', 'b 1'])
})
test('a crash at any moment leaves the old view or the new one, whole', async () => {
  let [old, made] = [0, 0]
  for (let seed = 1; seed <= 40; seed++) {
    await using millrace = await opened(seed)
    await millrace.sql(`${sums}; FLUSH`)
    const replacing = millrace.sql(counts)
    replacing.catch(() => undefined)
    // The record of the catalogue is durable after some 2 ms; what comes behind it takes longer.
    await millrace.clock.advance(seed % 2 === 0 ? (seed % 5) / 4 : seed / 2)
    await millrace.crash(seed % 4 === 3 ? 'kill' : 'power')
    const [{ sql } = { sql: '' }] = await millrace.sql<{ sql: string }>(
      `SELECT CASE WHEN count(*) = 0 THEN 'none' ELSE 'some' END AS sql FROM v`,
    )
    assert.equal(sql, 'some', `seed ${seed}`)
    const rows = await text(millrace, 'SELECT * FROM v')
    if (rows.join() === 'a 4,b 2') old++
    else {
      assert.deepEqual(rows, ['a 2', 'b 1'], `seed ${seed}`)
      made++
    }
    await millrace.sql(`INSERT INTO s VALUES ('a', 100)`)
    const [first] = await text(millrace, 'SELECT * FROM v')
    assert.equal(first, rows[0] === 'a 4' ? 'a 104' : 'a 3')
  }
  assert.ok(old > 0 && made > 0, `${old} old, ${made} new`)
})
