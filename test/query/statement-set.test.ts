/** Statement sets: several INSERTs, all or nothing, with one reading of what they read. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { SqlFault } from '../../src/sql/fault.ts'
import { readAll } from '../flow/house.ts'
import { type House, openHouse } from './house.ts'

const tables = `CREATE STREAM s (k text, n int, note text); CREATE TABLE names (k text PRIMARY KEY, name text);
  CREATE STREAM big (k text, n int); CREATE STREAM small (n int, note text);
  CREATE TABLE totals (k text PRIMARY KEY, t bigint, name text); CREATE STREAM log (what text)`
const inserts = [
  'INSERT INTO big SELECT k, n FROM s WHERE n >= 5',
  'INSERT INTO small (note, n) SELECT note, n FROM s WHERE n < 5',
  'INSERT INTO totals SELECT s.k, sum(n), max(name) FROM s LEFT JOIN names ON s.k = names.k GROUP BY s.k',
  `INSERT INTO log VALUES ('moved')`,
  'INSERT INTO log SELECT k FROM s ORDER BY n DESC, k LIMIT 2',
]
const outputs = async (house: House): Promise<unknown> =>
  Promise.all([
    house.sql('SELECT k, n FROM big ORDER BY k, n'),
    house.sql('SELECT n, note FROM small ORDER BY n, note'),
    house.sql('SELECT k, t, name FROM totals ORDER BY k'),
    house.sql('SELECT what FROM log ORDER BY what'),
  ])
async function filled(): Promise<House> {
  const house = await openHouse()
  const random = new SeededRandom(3, 'set')
  await house.sql(`${tables}; INSERT INTO names VALUES ('a', 'Ada'), ('b', 'Bob')`)
  const rows = Array.from(
    { length: 200 },
    (_, i) => `('${random.pick(['a', 'b', 'c'])}', ${random.between(0, 9)}, 'note ${i % 7}')`,
  )
  await house.sql(`INSERT INTO s VALUES ${rows.join(', ')}`)
  return house
}
/** How often records of a topic are read from their beginning. */
function countReads(house: House, topic: string): { readonly count: number } {
  const counted = { count: 0 }
  const open = house.log.reader.bind(house.log)
  house.log.reader = (...how) => {
    const reader = open(...how)
    return {
      restore: (...of) => reader.restore(...of),
      read: (...of) => {
        if (of[0].some(({ partition, offset }) => partition.topic === topic && offset === 0)) counted.count++
        return reader.read(...of)
      },
    }
  }
  return counted
}

for (const [how, text] of [
  ['EXECUTE STATEMENT SET', `EXECUTE STATEMENT SET BEGIN ${inserts.join(';\n')}; END`],
  ['BEGIN STATEMENT SET', `BEGIN STATEMENT SET;\n${inserts.join(';\n')};\nEND;`],
] as const)
  test(`${how}: what the statements one by one would write`, async () => {
    await using apart = await filled()
    for (const insert of inserts) await apart.sql(insert)
    await using house = await filled()
    const { command } = await house.engine.run(text)
    assert.deepEqual(await outputs(house), await outputs(apart))
    assert.equal(command, 'INSERT 0 206')
  })

test('what several read is read once; views read for themselves', async () => {
  await using house = await filled()
  const apart = countReads(house, 's')
  for (const insert of inserts.slice(0, 3)) await house.sql(insert)
  assert.equal(apart.count, 3)
  const together = countReads(house, 's')
  await house.sql(`EXECUTE STATEMENT SET BEGIN ${inserts.slice(0, 3).join(';')}; END`)
  assert.equal(together.count, 1)
  const views = countReads(house, 's')
  for (const [i, select] of [
    'k, n FROM s WHERE n >= 5',
    'n, note FROM s WHERE n < 5',
    'count(*) AS n FROM s',
  ].entries())
    await house.sql(`CREATE MATERIALIZED VIEW v${i} AS SELECT ${select}`)
  await house.sql('FLUSH')
  assert.equal(views.count, 3)
})

test('all or nothing: where one statement fails none has written', async () => {
  await using house = await filled()
  const before = await outputs(house)
  const set = `EXECUTE STATEMENT SET BEGIN ${inserts[0]!}; INSERT INTO small SELECT 10 / n, note FROM s; ${inserts[3]!}; END`
  await assert.rejects(house.sql(set), /division by zero/)
  await assert.rejects(
    house.sql(`EXECUTE STATEMENT SET BEGIN ${inserts[3]!}; INSERT INTO nowhere VALUES (1); END`),
    /nowhere/,
  )
  assert.deepEqual(await outputs(house), before)
  assert.equal((await readAll(house.log, 'log')).length, 0)
})

test('what is no statement set is refused, and says what stands in one', async () => {
  await using house = await openHouse()
  for (const [text, message] of [
    ['EXECUTE STATEMENT SET BEGIN END', /one INSERT at least/],
    ['EXECUTE STATEMENT SET BEGIN SELECT 1; END', /INSERT or END.*runs by itself/],
    ['EXECUTE STATEMENT SET BEGIN INSERT INTO s VALUES (1)', /END/],
    ['EXECUTE STATEMENT BEGIN', /SET/],
    ['EXECUTE plan', /EXECUTE is not supported/],
    ['BEGIN', /BEGIN is not supported/],
  ] as const)
    await assert.rejects(
      house.sql(text),
      (error: unknown) => error instanceof SqlFault && message.test(`${error.message} ${error.hint}`),
      text,
    )
})
