/** Views in parts: the same rows as in one, on state that any number of parts takes up, also after a crash. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testMillrace } from '../../src/testing.ts'

type Millrace = Awaited<ReturnType<typeof testMillrace>>
const rowsOf = async (millrace: Millrace, query: string): Promise<string[]> =>
  (await millrace.sql(query)).map((row) => Object.values(row).join(' ')).sort()
const joined = `SELECT s.k, count(*) AS c, sum(s.n) AS t, max(u.w) AS w
  FROM s LEFT JOIN u ON s.k = u.k GROUP BY s.k`
const make = (name: string, parts: number, query = joined, start = ''): string =>
  `CREATE OR REPLACE MATERIALIZED VIEW ${name}
    WITH (allow_unbounded_state = true, parallelism = ${parts}) AS ${query} ${start}`
async function opened(seed: number): Promise<Millrace> {
  const millrace = await testMillrace({ seed })
  await millrace.sql(`CREATE STREAM s (k text, n int) WITH (topic = 's', partitions = 3);
    CREATE TABLE u (k text, w int, PRIMARY KEY (k)) WITH (topic = 'u', partitions = 2)`)
  return millrace
}
const insert = (millrace: Millrace, from: number, count: number): Promise<unknown> =>
  millrace.sql(`INSERT INTO s VALUES ${Array.from({ length: count }, (_, i) => `('k${(from + i) % 23}', ${from + i})`).join(', ')};
    INSERT INTO u VALUES ${Array.from({ length: 5 }, (_, i) => `('k${(from + i * 3) % 23}', ${from + i})`).join(', ')}`)

test('parts take up what other numbers of parts have left, after crashes too', async () => {
  for (const seed of [1, 2]) {
    await using millrace = await opened(seed)
    await millrace.sql(make('one', 1))
    await millrace.sql(make('several', 4))
    let from = 0
    for (const parts of [4, 7, 1, 64, 2]) {
      await millrace.sql(make('several', parts))
      await insert(millrace, from, 30)
      if (parts !== 1) await millrace.crash(parts === 7 ? 'power' : undefined)
      await insert(millrace, from + 30, 10)
      from += 40
      await millrace.sql('FLUSH')
      const expected = await rowsOf(millrace, 'SELECT * FROM one')
      assert.equal(expected.length, 23)
      assert.deepEqual(await rowsOf(millrace, 'SELECT * FROM several'), expected, `seed ${seed}, ${parts} parts`)
    }
  }
})
test('a changed query goes on from the state of parts, with parts', async () => {
  await using millrace = await opened(3)
  await insert(millrace, 0, 60)
  const groups = 'SELECT k, count(*) AS c, sum(n) AS t FROM s GROUP BY k'
  await millrace.sql(make('several', 4, groups))
  await millrace.sql('FLUSH')
  // The new step begins with what the parts of the old one hold.
  const more = `SELECT c, count(*) AS n, sum(t) AS t FROM (${groups}) GROUP BY c`
  await millrace.sql(make('several', 7, more, 'START FROM RESUME'))
  await insert(millrace, 60, 20)
  await millrace.sql(make('one', 1, more))
  await millrace.sql('FLUSH')
  assert.deepEqual(await rowsOf(millrace, 'SELECT * FROM several'), await rowsOf(millrace, 'SELECT * FROM one'))
})
test('state that was not written for so long goes from parts as from one', async () => {
  await using millrace = await opened(5)
  const kept = (name: string, parts: number): string =>
    make(name, parts, 'SELECT k, count(*) AS c FROM s GROUP BY k').replace(
      'parallelism',
      `state_ttl = '1h', parallelism`,
    )
  await millrace.sql(kept('one', 1))
  await millrace.sql(kept('several', 5))
  await insert(millrace, 0, 23)
  await millrace.clock.advance('50m')
  await insert(millrace, 3, 5)
  await millrace.crash()
  await millrace.clock.advance('20m')
  await insert(millrace, 0, 23)
  await millrace.sql('FLUSH')
  const expected = await rowsOf(millrace, 'SELECT * FROM one')
  assert.equal(expected.filter((row) => row.endsWith(' 1')).length, 18, expected.join(', '))
  assert.deepEqual(await rowsOf(millrace, 'SELECT * FROM several'), expected)
})
test('EXPLAIN says which steps are in parts; a number that is none is refused', async () => {
  await using millrace = await opened(4)
  const lines = (await rowsOf(millrace, `EXPLAIN ${make('v', 4)}`)).join('\n')
  assert.equal(lines.match(/in 4 parts, by key/g)?.length, 3, lines)
  assert.ok(!(await rowsOf(millrace, `EXPLAIN ${make('v', 1)}`)).join('\n').includes('parts'))
  for (const bad of ['0', '65', '1.5', "'many'"])
    await assert.rejects(millrace.sql(make('v', bad as never)), /option parallelism must be a whole number from 1/)
})
