/** FROM_CHANGELOG and TO_CHANGELOG, as Flink 2.3 has them. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { SqlFault } from '../../src/sql/fault.ts'
import { readAll, textOf } from '../flow/house.ts'
import { type House, openHouse } from './house.ts'

const stream = 'CREATE STREAM cdc (name text, id int, op text, doc text)'
const insert = (house: House, rows: readonly (readonly [number, string | null, string])[]): Promise<unknown> =>
  house.sql(
    `INSERT INTO cdc (id, op, name) VALUES ${rows.map(([id, op, name]) => `(${id}, ${op === null ? 'NULL' : `'${op}'`}, '${name}')`).join(', ')}; FLUSH`,
  )
const names = ({ engine }: House, view: string): string[] => engine.relation(view)!.columns.map(({ name }) => name)

describe('FROM_CHANGELOG', () => {
  const standard = [
    [1, 'INSERT', 'Alice'],
    [2, 'INSERT', 'Bob'],
    [1, 'UPDATE_BEFORE', 'Alice'],
    [1, 'UPDATE_AFTER', 'Alice2'],
    [2, 'DELETE', 'Bob'],
  ] as const

  test('by the standard names: rows come and go, the column of codes is gone', async () => {
    await using house = await openHouse()
    await house.sql(`${stream};
      CREATE MATERIALIZED VIEW v AS SELECT * FROM FROM_CHANGELOG(input => TABLE cdc);
      CREATE MATERIALIZED VIEW n AS SELECT count(*) AS n, count(DISTINCT id) AS ids FROM FROM_CHANGELOG(TABLE cdc)`)
    await insert(house, standard.slice(0, 2))
    assert.deepEqual(await house.sql('SELECT * FROM n'), [[2, 2]])
    await insert(house, standard.slice(2))
    assert.deepEqual(names(house, 'v'), ['name', 'id', 'doc'])
    assert.deepEqual(await house.sql('SELECT id, name FROM v'), [[1, 'Alice2']])
    assert.deepEqual(await house.sql('SELECT * FROM n'), [[1, 1]])
    assert.deepEqual(await house.sql('SELECT id, name FROM FROM_CHANGELOG(input => TABLE cdc) AS c'), [[1, 'Alice2']])
  })
  test('with codes of one’s own, several for one operation, and PARTITION BY: the key stands first', async () => {
    await using house = await openHouse()
    await house.sql(`${stream}; CREATE MATERIALIZED VIEW v AS SELECT * FROM FROM_CHANGELOG(
      input => TABLE cdc PARTITION BY id, op => DESCRIPTOR(op),
      op_mapping => MAP['c, r', 'INSERT', 'ub', 'UPDATE_BEFORE', 'ua', 'UPDATE_AFTER', 'd', 'DELETE'])`)
    await insert(house, [
      [1, 'c', 'a'],
      [2, 'r', 'b'],
      [1, 'ub', 'a'],
      [1, 'ua', 'x'],
      [2, 'd', 'b'],
    ])
    assert.deepEqual(names(house, 'v'), ['id', 'name', 'doc'])
    assert.deepEqual(await house.sql('SELECT id, name FROM v'), [[1, 'x']])
    assert.equal(house.engine.relation('v')!.key, null)
  })
  const byKey = `SELECT * FROM FROM_CHANGELOG(input => TABLE cdc PARTITION BY id, op => DESCRIPTOR(op),
    op_mapping => MAP['c, r', 'INSERT', 'u', 'UPDATE_AFTER', 'd', 'DELETE'])`
  test('without rows before updates: the newest row per key, over restarts, in random cuts', async () => {
    const random = new SeededRandom(4, 'changelog')
    for (let round = 0; round < 6; round++) {
      const disk = memoryDisk()
      const rows = new Map<number, string>()
      let house = await openHouse({ disk })
      await house.sql(`${stream}; CREATE MATERIALIZED VIEW v AS ${byKey};
        CREATE MATERIALIZED VIEW n AS SELECT name, count(*) AS n FROM (${byKey}) q GROUP BY name`)
      assert.deepEqual(house.engine.relation('v')!.key, ['id'])
      for (let step = 0; step < 10; step++) {
        const events = Array.from({ length: random.between(1, 9) }, (): [number, string, string] => {
          const id = random.between(1, 6)
          const name = random.pick(['a', 'b', 'c'])
          const op = random.pick(rows.has(id) ? ['u', 'u', 'd', 'c'] : ['c', 'r', 'u', 'd'])
          if (op === 'd') rows.delete(id)
          else rows.set(id, name)
          return [id, op, name]
        })
        await insert(house, events)
        if (random.chance(0.3)) {
          await house[Symbol.asyncDispose]()
          house = await openHouse({ disk })
        }
      }
      await house.sql('FLUSH')
      const expected = [...rows].toSorted(([a], [b]) => a - b)
      assert.deepEqual(await house.sql('SELECT id, name FROM v ORDER BY id'), expected)
      const counted = [...Map.groupBy(rows.values(), (name) => name)].map(([name, some]) => [name, some.length])
      assert.deepEqual(await house.sql('SELECT * FROM n ORDER BY name'), counted.toSorted())
      await house[Symbol.asyncDispose]()
    }
  })

  const bad = [
    [1, 'INSERT', 'a'],
    [2, 'upsert', 'b'],
    [3, null, 'c'],
    [4, 'INSERT', 'd'],
  ] as const
  test('a row with another code, or none, goes by the policy of its view: kept byte for byte, or the view stops', async () => {
    await using house = await openHouse()
    const of = (name: string, policy: string): string =>
      `CREATE MATERIALIZED VIEW ${name} WITH (on_error = '${policy}') AS SELECT id FROM FROM_CHANGELOG(input => TABLE cdc)`
    await house.sql(`${stream}; ${of('kept', 'quarantine')}; ${of('stopped', 'stop')}`)
    await insert(house, bad)
    assert.deepEqual(await house.sql('SELECT id FROM kept ORDER BY id'), [[1], [4]])
    const records = await readAll(house.log, 'cdc')
    assert.deepEqual(
      (await readAll(house.log, 'cdc.quarantine')).map(({ value }) => textOf(value)),
      records.slice(1, 3).map(({ value }) => textOf(value)),
    )
    const stopped = house.engine.relation('stopped')!
    assert.equal(stopped.status, 'failed')
    assert.match(
      stopped.error!.message,
      /stopped at cdc:0:1: FROM_CHANGELOG: the operation code "upsert" is not in the mapping/,
    )
    assert.deepEqual(stopped.restarts?.attempts, 0)
  })
  test("with error_handling => 'SKIP' it is left out", async () => {
    await using house = await openHouse()
    await house.sql(`${stream}; CREATE MATERIALIZED VIEW v AS
      SELECT id FROM FROM_CHANGELOG(input => TABLE cdc, error_handling => 'SKIP')`)
    await insert(house, bad)
    assert.deepEqual(await house.sql('SELECT id FROM v ORDER BY id'), [[1], [4]])
  })
})

describe('TO_CHANGELOG', () => {
  const source = `CREATE TABLE t (id int PRIMARY KEY, k text, n int);
    CREATE MATERIALIZED VIEW g AS SELECT k, count(*) AS c, sum(n) AS s FROM t GROUP BY k`
  test('of a view: insertions, updates with the row before them, deletions, as rows that stay', async () => {
    await using house = await openHouse()
    await house.sql(`${source}; CREATE MATERIALIZED VIEW l AS SELECT * FROM TO_CHANGELOG(input => TABLE g)`)
    for (const row of [`(1, 'a', 5)`, `(2, 'a', 7)`]) await house.sql(`INSERT INTO t VALUES ${row}; FLUSH`)
    await house.sql('DELETE FROM t WHERE id = 1; FLUSH; DELETE FROM t WHERE id = 2; FLUSH')
    assert.deepEqual(names(house, 'l'), ['op', 'k', 'c', 's'])
    assert.deepEqual(await house.sql('SELECT * FROM l'), [
      ['INSERT', 'a', 1, 5],
      ['UPDATE_BEFORE', 'a', 1, 5],
      ['UPDATE_AFTER', 'a', 2, 12],
      ['UPDATE_BEFORE', 'a', 2, 12],
      ['UPDATE_AFTER', 'a', 1, 7],
      ['DELETE', 'a', 1, 7],
    ])
    assert.equal(
      (await readAll(house.log, 'l')).every(({ value }) => value !== null),
      true,
    )
  })
  test('what is not mapped is left out; PARTITION BY stands first; the column has the name that is asked for', async () => {
    await using house = await openHouse()
    await house.sql(`${source}; CREATE MATERIALIZED VIEW l AS SELECT * FROM TO_CHANGELOG(
      input => TABLE g PARTITION BY k, op => DESCRIPTOR(deleted),
      op_mapping => MAP['INSERT, UPDATE_AFTER', 'false', 'DELETE', 'true'])`)
    for (const row of [`(1, 'a', 5)`, `(2, 'a', 7)`]) await house.sql(`INSERT INTO t VALUES ${row}; FLUSH`)
    await house.sql(`DELETE FROM t WHERE k = 'a'; FLUSH`)
    assert.deepEqual(names(house, 'l'), ['k', 'deleted', 'c', 's'])
    assert.deepEqual(await house.sql('SELECT * FROM l'), [
      ['a', 'false', 1, 5],
      ['a', 'false', 2, 12],
      ['a', 'true', 2, 12],
    ])
  })
  test('adds up to the rows of the view, and comes back as them by FROM_CHANGELOG, over restarts', async () => {
    const random = new SeededRandom(9, 'to')
    for (let round = 0; round < 5; round++) {
      const disk = memoryDisk()
      let house = await openHouse({ disk })
      await house.sql(`${source}; CREATE MATERIALIZED VIEW l AS SELECT * FROM TO_CHANGELOG(input => TABLE g);
        CREATE MATERIALIZED VIEW back AS SELECT * FROM FROM_CHANGELOG(input => TABLE l)`)
      for (let step = 0; step < 15; step++) {
        const id = random.between(1, 5)
        if (random.chance(0.3)) await house.sql(`DELETE FROM t WHERE id = ${id}`)
        else await house.sql(`INSERT INTO t VALUES (${id}, '${random.pick(['a', 'b'])}', ${random.between(0, 9)})`)
        if (random.chance(0.4)) await house.sql('FLUSH')
        if (random.chance(0.2)) {
          await house[Symbol.asyncDispose]()
          house = await openHouse({ disk })
        }
      }
      await house.sql('FLUSH')
      const now = await house.sql('SELECT k, c, s FROM g ORDER BY k')
      assert.deepEqual(await house.sql('SELECT k, c, s FROM back ORDER BY k'), now)
      const held = new Map<string, number>()
      for (const [op, ...row] of await house.sql('SELECT op, k, c, s FROM l')) {
        const text = JSON.stringify(row)
        held.set(text, (held.get(text) ?? 0) + (op === 'INSERT' || op === 'UPDATE_AFTER' ? 1 : -1))
      }
      const left = [...held].filter(([, weight]) => weight !== 0)
      assert.deepEqual(
        left.toSorted(),
        now.map((row) => [JSON.stringify(row), 1]),
      )
      await house[Symbol.asyncDispose]()
    }
  })
})

test('what has no meaning is refused, and says what is meant', async () => {
  await using house = await openHouse()
  await house.sql(`${stream}; CREATE TABLE t (id int PRIMARY KEY, op text)`)
  for (const [from, message] of [
    ['FROM_CHANGELOG(TABLE t)', /only ever added/],
    ['FROM_CHANGELOG(input => TABLE cdc, op => DESCRIPTOR(code))', /"code" is not among/],
    ['FROM_CHANGELOG(input => TABLE cdc, op => DESCRIPTOR(id))', /"id" is none/],
    [`FROM_CHANGELOG(input => TABLE cdc, op_mapping => MAP['u', 'UPDATE_AFTER'])`, /need a key.*PARTITION BY/],
    [`FROM_CHANGELOG(input => TABLE cdc, op_mapping => MAP['c', 'CREATE'])`, /"CREATE" is none of INSERT/],
    [`FROM_CHANGELOG(input => TABLE cdc, op_mapping => MAP['c', 'INSERT', 'r', 'INSERT'])`, /INSERT is there twice/],
    [`FROM_CHANGELOG(input => TABLE cdc, op_mapping => MAP['c', 'INSERT', 'c', 'DELETE'])`, /"c" is there twice/],
    [`FROM_CHANGELOG(input => TABLE cdc, op_mapping => MAP[])`, /empty/],
    [`FROM_CHANGELOG(input => TABLE cdc, error_handling => 'LOG')`, /'FAIL' or 'SKIP'/],
    [`FROM_CHANGELOG(input => TABLE cdc PARTITION BY x)`, /"x" is not among/],
    [`FROM_CHANGELOG(input => 5)`, /TABLE and the name/],
    [`FROM_CHANGELOG(output => TABLE cdc)`, /takes input, op, op_mapping, error_handling/],
    ['TO_CHANGELOG(TABLE t)', /has a column "op" already.*another name/],
    [`TO_CHANGELOG(TABLE t, DESCRIPTOR(o), MAP['UPDATE', 'U'])`, /"UPDATE" is none of/],
  ] as const)
    await assert.rejects(
      house.sql(`SELECT * FROM ${from}`),
      (error: unknown) => error instanceof SqlFault && message.test(`${error.message} ${error.hint}`),
      from,
    )
})
