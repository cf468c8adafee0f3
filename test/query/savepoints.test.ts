/** Savepoints: made while the view goes on, gone back to by itself, by another query and under another name. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testMillrace } from '../../src/testing.ts'
import { openHouse } from './house.ts'

type Millrace = Awaited<ReturnType<typeof testMillrace>>
const setUp = `CREATE STREAM s (k text, n int) WITH (topic = 's', partitions = 2);
  INSERT INTO s VALUES ('a', 1), ('b', 2), ('a', 3)`
async function opened(seed = 1): Promise<Millrace> {
  const millrace = await testMillrace({ seed })
  await millrace.sql(setUp)
  return millrace
}
const text = async (millrace: Millrace, query = 'SELECT * FROM v'): Promise<string[]> =>
  (await millrace.sql(query)).map((row) => Object.values(row).join(' ')).sort()
const sums = 'SELECT k, sum(n) AS x FROM s GROUP BY k'
const more = `INSERT INTO s VALUES ('a', 10), ('c', 5); FLUSH`

test('back to a savepoint: rows as they were then, and what came since is taken in again', async () => {
  await using millrace = await opened()
  await millrace.sql(`CREATE MATERIALIZED VIEW v AS ${sums}; FLUSH; CREATE SAVEPOINT first FOR v; ${more}`)
  assert.deepEqual(await text(millrace), ['a 14', 'b 2', 'c 5'])
  await millrace.sql('ALTER MATERIALIZED VIEW v PAUSE; ALTER MATERIALIZED VIEW v START FROM SAVEPOINT first')
  assert.deepEqual(await text(millrace), ['a 4', 'b 2'])
  await millrace.sql('ALTER MATERIALIZED VIEW v RESUME; FLUSH')
  assert.deepEqual(await text(millrace), ['a 14', 'b 2', 'c 5'])
  await millrace.crash('power')
  await millrace.sql(`INSERT INTO s VALUES ('b', 1); FLUSH`)
  assert.deepEqual(await text(millrace), ['a 14', 'b 3', 'c 5'])
})
test('rows that are only added are those of the savepoint, none twice', async () => {
  await using millrace = await opened()
  await millrace.sql(
    `CREATE MATERIALIZED VIEW v AS SELECT k, n FROM s WHERE n > 1; FLUSH; CREATE SAVEPOINT p FOR v; ${more}`,
  )
  const rows = ['a 10', 'a 3', 'b 2', 'c 5']
  assert.deepEqual(await text(millrace), rows)
  await millrace.sql('ALTER MATERIALIZED VIEW v START FROM SAVEPOINT p; FLUSH')
  assert.deepEqual(await text(millrace), rows)
})
test('another query begins with what it has in common with the savepoint', async () => {
  await using millrace = await opened()
  await millrace.sql(`CREATE MATERIALIZED VIEW v AS ${sums}; FLUSH; CREATE SAVEPOINT p FOR v`)
  // Only state holds these now.
  await millrace.sql('ALTER MATERIALIZED VIEW v PAUSE')
  await millrace.sql(`CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, sum(n) * 10 AS x FROM s GROUP BY k HAVING sum(n) > 3
    START FROM SAVEPOINT p; ALTER MATERIALIZED VIEW v RESUME; FLUSH`)
  assert.deepEqual(await text(millrace), ['a 40'])
  await millrace.sql(more)
  assert.deepEqual(await text(millrace), ['a 140', 'c 50'])
})
test('it outlives its view; a new one of another name begins with it', async () => {
  await using millrace = await opened()
  await millrace.sql(
    `CREATE MATERIALIZED VIEW v AS ${sums}; FLUSH; CREATE SAVEPOINT p FOR v; DROP MATERIALIZED VIEW v; ${more}`,
  )
  await millrace.crash('kill')
  await millrace.sql(`CREATE MATERIALIZED VIEW w AS ${sums} START FROM SAVEPOINT p; FLUSH`)
  assert.deepEqual(await text(millrace, 'SELECT * FROM w'), ['a 14', 'b 2', 'c 5'])
  await millrace.sql('DROP SAVEPOINT p; DROP SAVEPOINT IF EXISTS p')
  await assert.rejects(millrace.sql('DROP SAVEPOINT p'), { code: 'flow.unknown-savepoint' })
  await assert.rejects(millrace.sql(`CREATE MATERIALIZED VIEW u AS ${sums} START FROM SAVEPOINT p`), {
    code: 'flow.unknown-savepoint',
  })
  await assert.rejects(text(millrace, 'SELECT * FROM u'), { code: 'sql.unknown-relation' })
})
test('SHOW SAVEPOINTS: of which view, when, how much; names are given once', async () => {
  await using millrace = await opened()
  await millrace.sql(
    `CREATE MATERIALIZED VIEW v AS ${sums}; FLUSH; CREATE SAVEPOINT one FOR v; CREATE SAVEPOINT two FOR v`,
  )
  const [one, two, ...others] = await millrace.sql<Record<string, unknown>>('SHOW SAVEPOINTS')
  assert.deepEqual([one!['name'], two!['name'], others.length], ['one', 'two', 0])
  assert.equal(one!['view'], 'v')
  assert.equal(one!['operators'], 'aggregate sum by k: 2 rows')
  assert.ok(Number(one!['state_bytes']) > 0 && Number(one!['row_bytes']) > 0)
  await assert.rejects(millrace.sql('CREATE SAVEPOINT one FOR v'), { code: 'flow.savepoint-exists' })
  await assert.rejects(millrace.sql('CREATE SAVEPOINT three FOR nothing'), { code: 'sql.unknown-relation' })
  await assert.rejects(millrace.sql('CREATE SAVEPOINT three FOR s'), { code: 'sql.wrong-kind' })
})
test('of a view that is paused since it was started, and of one that has failed', async () => {
  await using millrace = await opened()
  await millrace.sql(`CREATE MATERIALIZED VIEW v AS SELECT k, sum(10 / n) AS x FROM s GROUP BY k; FLUSH`)
  await millrace.sql('ALTER MATERIALIZED VIEW v PAUSE')
  await millrace.crash('kill')
  await millrace.sql('CREATE SAVEPOINT paused FOR v; ALTER MATERIALIZED VIEW v RESUME')
  await millrace.sql(`INSERT INTO s VALUES ('a', 0)`)
  await millrace.clock.advance('2s')
  await millrace.sql('CREATE SAVEPOINT failed FOR v')
  for (const name of ['paused', 'failed']) {
    await millrace.sql(`CREATE MATERIALIZED VIEW ${name} WITH (on_error = 'skip') AS SELECT k, sum(10 / n) AS x FROM s GROUP BY k
      START FROM SAVEPOINT ${name}; FLUSH`)
    assert.deepEqual(await text(millrace, `SELECT * FROM ${name}`), ['a 13', 'b 5'], name)
  }
})
test('where its input was deleted since, going back is refused; the view stays as it is', async () => {
  await using house = await openHouse()
  await house.sql(`${setUp}; CREATE MATERIALIZED VIEW v AS ${sums}; FLUSH; CREATE SAVEPOINT p FOR v; ${more}`)
  const ends = await house.log.bounds([0, 1].map((index) => ({ topic: 's', index })))
  await house.log.topics.trim(ends.map(({ partition, end }) => ({ partition, offset: end })))
  await assert.rejects(house.sql('ALTER MATERIALIZED VIEW v START FROM SAVEPOINT p'), {
    code: 'flow.savepoint-input-gone',
    message: /events before \d+ were deleted/,
  })
  assert.deepEqual((await house.sql('SELECT * FROM v')).map((row) => row.join(' ')).sort(), ['a 14', 'b 2', 'c 5'])
  await house.sql(`CREATE STREAM r (k text) WITH (topic = 'r'); INSERT INTO r VALUES ('x');
    CREATE MATERIALIZED VIEW u AS SELECT k, count(*) AS c FROM r GROUP BY k; FLUSH; CREATE SAVEPOINT q FOR u;
    DROP MATERIALIZED VIEW u; DROP STREAM r; DROP TOPIC r; CREATE STREAM r (k text) WITH (topic = 'r')`)
  await assert.rejects(
    house.sql('CREATE MATERIALIZED VIEW u AS SELECT k, count(*) AS c FROM r GROUP BY k START FROM SAVEPOINT q'),
    { code: 'flow.savepoint-input-gone', message: /deleted and made again/ },
  )
})
test('a topic that has more partitions since, and so a state of more of them', async () => {
  await using house = await openHouse()
  await house.sql(`${setUp}; CREATE MATERIALIZED VIEW v AS ${sums}; FLUSH; CREATE SAVEPOINT p FOR v`)
  await house.log.topics.alter('s', { partitions: 5 })
  await house.sql(`ALTER MATERIALIZED VIEW v START FROM SAVEPOINT p; ${more}`)
  assert.equal((await house.log.topics.get('_millrace_state.v'))?.partitions, 5)
  const rows = ['a 14', 'b 2', 'c 5']
  assert.deepEqual((await house.sql('SELECT * FROM v')).map((row) => row.join(' ')).sort(), rows)
})
test('taken at any moment under load it is of one moment: its rows are the sums of the events before its positions', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM s (k text, n int) WITH (topic = 's', partitions = 2);
    CREATE MATERIALIZED VIEW v AS ${sums}; FLUSH`)
  let isOver = false
  let sent = 0
  const feed = (async () => {
    while (!isOver) {
      const rows = Array.from({ length: 200 }, () => `('k${sent % 7}', ${sent++ % 10})`)
      await house.sql(`INSERT INTO s VALUES ${rows.join(', ')}`)
    }
  })()
  for (let i = 0; i < 5; i++) {
    await new Promise((resolve) => setTimeout(resolve, 40))
    await house.sql(`CREATE SAVEPOINT p${i} FOR v`)
  }
  isOver = true
  await feed
  for (const { name, positions } of await house.engine.savepoints()) {
    await house.sql(`CREATE MATERIALIZED VIEW w AS ${sums} START FROM SAVEPOINT ${name}`)
    await house.sql('FLUSH; ALTER MATERIALIZED VIEW w PAUSE')
    const end = (partition: number): number => positions.find((one) => one.partition === partition)?.offset ?? 0
    const [then] = await house.sql(
      `SELECT coalesce(sum(n), 0) AS t FROM s WHERE _offset < CASE _partition WHEN 0 THEN ${end(0)} ELSE ${end(1)} END`,
    )
    const all = await house.sql('SELECT k, sum(n) AS x FROM s GROUP BY k ORDER BY k')
    assert.deepEqual(await house.sql('SELECT k, x FROM w ORDER BY k'), all, name)
    await house.sql('ALTER MATERIALIZED VIEW w START FROM NOW')
    await house.sql(`ALTER MATERIALIZED VIEW w START FROM SAVEPOINT ${name}`)
    const [kept] = await house.sql('SELECT coalesce(sum(x), 0) AS t FROM w')
    assert.deepEqual(kept, then, name)
    await house.sql('DROP MATERIALIZED VIEW w')
  }
  assert.ok(sent > 1_000)
})
test('a crash at any moment of going back leaves the view as it was or as it was to be; a broken savepoint is none', async () => {
  let [old, made] = [0, 0]
  for (let seed = 1; seed <= 24; seed++) {
    await using millrace = await opened(seed)
    await millrace.sql(`CREATE MATERIALIZED VIEW v AS ${sums}; FLUSH; CREATE SAVEPOINT p FOR v; ${more}`)
    await millrace.sql('ALTER MATERIALIZED VIEW v PAUSE')
    const going = millrace.sql('ALTER MATERIALIZED VIEW v START FROM SAVEPOINT p')
    going.catch(() => undefined)
    await millrace.clock.advance(seed % 2 === 0 ? (seed % 5) / 4 : seed / 2)
    await millrace.crash(seed % 4 === 3 ? 'kill' : 'power')
    await millrace.clock.advance('1s')
    const rows = (await text(millrace)).join()
    if (rows === 'a 14,b 2,c 5') old++
    else {
      assert.equal(rows, 'a 4,b 2', `seed ${seed}`)
      made++
    }
    await millrace.sql('ALTER MATERIALIZED VIEW v RESUME; FLUSH')
    assert.deepEqual(await text(millrace), ['a 14', 'b 2', 'c 5'], `seed ${seed}`)
  }
  assert.ok(old > 0 && made > 0, `${old} old, ${made} made`)
  let [none, whole] = [0, 0]
  for (let seed = 1; seed <= 16; seed++) {
    await using millrace = await opened(seed)
    await millrace.sql(`CREATE MATERIALIZED VIEW v AS ${sums}; FLUSH`)
    const making = millrace.sql('CREATE SAVEPOINT p FOR v')
    making.catch(() => undefined)
    await millrace.clock.advance(seed / 2)
    await millrace.crash(seed % 2 === 0 ? 'kill' : 'power')
    const found = await millrace.sql('SHOW SAVEPOINTS')
    if (found.length === 0) none++
    else whole++
    await millrace.sql(`CREATE SAVEPOINT ${found.length === 0 ? 'p' : 'q'} FOR v; ${more}`)
    await millrace.sql(`ALTER MATERIALIZED VIEW v START FROM SAVEPOINT ${found.length === 0 ? 'p' : 'q'}; FLUSH`)
    assert.deepEqual(await text(millrace), ['a 14', 'b 2', 'c 5'], `seed ${seed}`)
  }
  assert.ok(none > 0 && whole > 0, `${none} none, ${whole} whole`)
})
test('in TypeScript: made, listed, dropped', async () => {
  await using millrace = await opened()
  await millrace.sql(`CREATE MATERIALIZED VIEW v AS ${sums}; FLUSH`)
  const made = await millrace.savepoints.create('p', 'v')
  assert.deepEqual(
    [made.name, made.view, made.operators],
    ['p', 'v', [{ kind: 'aggregate', label: 'sum by k', rows: 2 }]],
  )
  assert.deepEqual(await millrace.savepoints.list(), [made])
  await assert.rejects(millrace.savepoints.create('q', 'nothing'), { code: 'flow.unknown-view' })
  await millrace.savepoints.drop('p')
  await assert.rejects(millrace.savepoints.drop('p'), { code: 'flow.unknown-savepoint' })
})
test('a view in several parts is changed, saved and goes back, with another number of parts too', async () => {
  await using millrace = await opened()
  await millrace.sql(`CREATE MATERIALIZED VIEW v WITH (parallelism = 3) AS ${sums}; FLUSH; CREATE SAVEPOINT p FOR v`)
  await millrace.sql(`ALTER MATERIALIZED VIEW v AS ${sums} HAVING sum(n) > 3 START FROM RESUME; FLUSH`)
  assert.deepEqual(await text(millrace), ['a 4'])
  for (const parts of [1, 4]) {
    await millrace.sql(`CREATE OR REPLACE MATERIALIZED VIEW v WITH (parallelism = ${parts}) AS
      SELECT count(*) AS k, sum(x) AS x FROM (${sums}) g START FROM SAVEPOINT p; FLUSH`)
    assert.deepEqual(await text(millrace), ['2 6'])
    await millrace.sql(`ALTER MATERIALIZED VIEW v AS ${sums} START FROM RESUME; FLUSH`)
    assert.deepEqual(await text(millrace), ['a 4', 'b 2'])
  }
})
