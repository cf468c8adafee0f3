/** CREATE VIEW: a query that stands for its name, in questions and in what runs; durable, and never dropped under a reader. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { SqlFault } from '../../src/sql/fault.ts'
import { openHouse } from './house.ts'

const fault =
  (code: string, message: RegExp, at?: string) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof SqlFault, String(error))
    assert.equal(error.code, code)
    assert.match(error.message, message)
    if (at !== undefined) assert.ok(error.excerpt.includes(at), error.excerpt)
    return true
  }

test('a plain view is its query, over others too, in questions and in materialized views', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM sales (item text, n int)')
  await house.sql('CREATE VIEW big AS SELECT item, n FROM sales WHERE n > 2')
  await house.sql('CREATE VIEW Renamed (what, "How many") AS SELECT * FROM big')
  await house.sql(
    'CREATE MATERIALIZED VIEW totals AS SELECT what, sum("How many") AS total FROM renamed r GROUP BY what',
  )
  await house.sql("INSERT INTO sales VALUES ('a', 1), ('a', 3), ('b', 4), ('a', 5)")
  assert.deepEqual(await house.sql('SELECT * FROM big ORDER BY n'), [
    ['a', 3],
    ['b', 4],
    ['a', 5],
  ])
  assert.deepEqual(await house.sql('SELECT r.what, b.n FROM renamed r JOIN big b ON b.item = r.what WHERE b.n = 4'), [
    ['b', 4],
  ])
  await house.settled('SELECT what, total FROM totals ORDER BY what', [
    ['a', 8],
    ['b', 4],
  ])
  assert.deepEqual(await house.sql('DESCRIBE renamed'), [
    ['what', 'text', true, null],
    ['How many', 'int', true, null],
  ])
  assert.deepEqual(
    (await house.sql('SHOW VIEWS')).map((row) => row.slice(0, 2)),
    [
      ['Renamed', 'plain'],
      ['big', 'plain'],
      ['totals', 'running'],
    ],
  )
  // Names of the query around it are not seen inside.
  assert.deepEqual(await house.sql("WITH sales AS (SELECT 'x' AS item, 9 AS n FROM sales) SELECT count(*) FROM big"), [
    [3],
  ])
})

test('what a plain view cannot be is refused with the place in its text', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM sales (item text, n int)')
  await assert.rejects(house.sql('CREATE VIEW v AS SELECT wrong FROM sales'), fault('sql.unknown-column', /"wrong"/))
  await assert.rejects(
    house.sql('CREATE VIEW v AS SELECT n AS a, n AS a FROM sales'),
    fault('sql.duplicate-column', /"a"/),
  )
  await assert.rejects(
    house.sql("CREATE VIEW v WITH (idle = '1s') AS SELECT n FROM sales"),
    fault('sql.unsupported', /a VIEW with options/),
  )
  await assert.rejects(
    house.sql('CREATE VIEW v AS SELECT n FROM sales WHERE n > $1'),
    fault('sql.unknown-parameter', /\$1|parameter/),
  )
  await house.sql('CREATE VIEW v AS SELECT n FROM sales')
  await assert.rejects(house.sql('CREATE VIEW v AS SELECT n FROM sales'), fault('sql.relation-exists', /view "v"/))
  await house.sql('CREATE VIEW IF NOT EXISTS v AS SELECT n FROM sales')
  await assert.rejects(
    house.sql('CREATE MATERIALIZED VIEW v AS SELECT n FROM sales'),
    fault('sql.relation-exists', /view "v"/),
  )
  await assert.rejects(house.sql('INSERT INTO v VALUES (1)'), fault('sql.wrong-kind', /is a view/))
  await assert.rejects(house.sql('ALTER VIEW v PAUSE'), fault('sql.wrong-kind', /plain view/))
  // What grows with history does so behind a plain view too, and the fault names the place where it is read.
  await assert.rejects(
    house.sql('CREATE MATERIALIZED VIEW j AS SELECT a.n FROM v a JOIN v b ON a.n = b.n'),
    fault('sql.unbounded-state', /join of streams/),
  )
})

test('it stays over a restart, and goes only with those that read it', async () => {
  const disk = memoryDisk()
  {
    await using house = await openHouse({ disk })
    await house.sql('CREATE TABLE items (item text PRIMARY KEY, n int)')
    await house.sql('CREATE VIEW v AS SELECT item, n * 2 AS twice FROM items')
    await house.sql('CREATE VIEW w AS SELECT * FROM v WHERE twice > 2')
    await house.sql('CREATE MATERIALIZED VIEW m AS SELECT count(*) AS n FROM w')
    await house.sql("INSERT INTO items VALUES ('a', 1), ('b', 2)")
  }
  await using house = await openHouse({ disk })
  assert.deepEqual(house.faults, [])
  assert.deepEqual(await house.settled('SELECT n FROM m', [[1]]), [[1]])
  assert.deepEqual(await house.sql('SELECT twice FROM w'), [[4]])
  await assert.rejects(house.sql('DROP VIEW v'), fault('sql.dependent', /view m, view w|view w, view m/))
  await assert.rejects(house.sql('DROP TABLE items'), fault('sql.dependent', /view v/))
  // A topic of its name is not its own.
  await house.log.topics.create([{ name: 'w', partitions: 1, config: {} }])
  await house.sql('DROP VIEW w CASCADE')
  assert.notEqual(await house.log.topics.get('w'), null)
  assert.deepEqual(
    (await house.sql('SHOW VIEWS')).map(([name]) => name),
    ['v'],
  )
  await house.sql('DROP VIEW v')
  await house.sql('DROP TABLE items')
})
