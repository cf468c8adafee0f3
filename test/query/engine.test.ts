/** The engine end to end over a local log in memory: definitions, queries, subscriptions, restarts. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { Fault } from '../../src/lib/fault.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import type { Change, RecordView } from '../../src/query/engine.ts'
import { SqlFault } from '../../src/sql/fault.ts'
import { type House, openHouse } from './house.ts'

const shop = `
  CREATE STREAM purchases (customerId text, item text, amount numeric(12,2), at timestamptz,
    WATERMARK FOR at AS at - INTERVAL '5 seconds') WITH (key = 'customerid', partitions = 2);
  CREATE TABLE items (item text PRIMARY KEY, stock int, price numeric(12,2));
  CREATE MATERIALIZED VIEW totals AS SELECT item, count(*) AS n, sum(amount) AS total FROM purchases GROUP BY item`
const some = `INSERT INTO purchases VALUES ('c1', 'a', 10.5, '2024-01-01 10:00'), ('c2', 'b', 20, '2024-01-01 11:00'), ('c1', 'a', 1.25, '2024-01-02 11:00')`

async function fails(promise: Promise<unknown>, code: string, message?: RegExp): Promise<Fault> {
  let caught: unknown
  await promise.catch((error: unknown) => (caught = error))
  assert.ok(caught instanceof Fault, `expected ${code}, got ${String(caught)}`)
  assert.equal(caught.code, code, caught.message)
  if (message !== undefined) assert.match(caught.message, message)
  return caught
}
const collect = async (changes: AsyncIterable<Change>, count: number): Promise<Change[]> => {
  const out: Change[] = []
  for await (const change of changes) if (out.push(change) === count) break
  return out
}
const shape = (changes: readonly Change[]): string[] =>
  changes.map((change) => (change.op === 'progress' ? '.' : `${change.op}${JSON.stringify(Object.values(change.row))}`))

describe('definitions', () => {
  test('a stream, a table and a view are made, described and listed', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    assert.deepEqual(await house.sql('SHOW STREAMS'), [['purchases', 'purchases', 'customerId', 'at']])
    assert.deepEqual(await house.sql('SHOW TABLES'), [['items', 'items', 'item']])
    assert.deepEqual(
      (await house.sql('SHOW VIEWS')).map(([name, , key]) => [name, key]),
      [['totals', 'item']],
    )
    assert.deepEqual((await house.sql('DESCRIBE purchases'))[3], [
      'at',
      'timestamptz',
      true,
      'event time, 5000 ms late at most',
    ])
    assert.deepEqual((await house.log.topics.get('purchases'))?.partitions, 2)
    assert.equal((await house.log.topics.get('items'))?.config['cleanup.policy'], 'compact')
  })
  test('the last of several statements is answered, and an error in one of them stops before any has run', async () => {
    await using house = await openHouse()
    assert.deepEqual(await house.sql('SELECT 1; SELECT 2;'), [[2]])
    await fails(house.sql('CREATE STREAM s (a int); SELEKT'), 'sql.syntax')
    assert.deepEqual(await house.sql('SHOW STREAMS'), [])
    assert.deepEqual(await house.sql(''), [])
  })
  test('a name is taken once, whatever has it', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await fails(house.sql('CREATE TABLE purchases (a int PRIMARY KEY)'), 'sql.relation-exists')
    assert.equal((await house.engine.run('CREATE STREAM IF NOT EXISTS purchases (a int)')).command, 'CREATE STREAM')
    await fails(house.sql('CREATE TABLE IF NOT EXISTS purchases (a int PRIMARY KEY)'), 'sql.relation-exists')
    await house.log.topics.create([{ name: 'taken', partitions: 1 }])
    await fails(
      house.sql('CREATE MATERIALIZED VIEW taken AS SELECT item FROM purchases'),
      'sql.relation-exists',
      /topic/,
    )
    await fails(house.sql('CREATE STREAM taken (a int) WITH (partitions = 4)'), 'sql.invalid-value', /1 partitions/)
    await house.sql('CREATE STREAM taken (a int)')
  })
  test('what others read cannot be dropped, but for CASCADE', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await house.sql('CREATE MATERIALIZED VIEW best AS SELECT item, total FROM totals WHERE total > 5')
    await house.sql('CREATE ALERT rich AS SELECT item FROM best NOTIFY LOG')
    await fails(house.sql('DROP STREAM purchases'), 'sql.dependent', /view totals|view best/)
    await fails(house.sql('DROP TABLE purchases'), 'sql.wrong-kind', /is a stream/)
    await fails(house.engine.drop('view', 'totals'), 'sql.dependent')
    await fails(house.sql('DROP TOPIC purchases'), 'sql.dependent')
    await house.sql('DROP STREAM purchases CASCADE')
    assert.deepEqual(await house.sql('SHOW VIEWS'), [])
    assert.deepEqual(await house.sql('SHOW ALERTS'), [])
    assert.equal(await house.log.topics.get('totals'), null)
    assert.notEqual(await house.log.topics.get('purchases'), null, 'events stay')
    await house.sql('DROP STREAM IF EXISTS purchases; DROP TOPIC purchases')
    assert.equal(await house.log.topics.get('purchases'), null)
  })
  test('a view over an existing topic reads its history', async () => {
    await using house = await openHouse()
    await house.log.topics.create([{ name: 'old', partitions: 1 }])
    const value = Buffer.from('{"A":1,"b":"x","extra":true}')
    await house.log
      .writer()
      .append([{ partition: { topic: 'old', index: 0 }, batch: encodeBatch([{ key: null, value, timeMs: 5 }]) }])
    await house.sql(
      'CREATE STREAM old ("A" int, b text); CREATE MATERIALIZED VIEW v AS SELECT b, sum(a) AS s FROM old GROUP BY b',
    )
    assert.deepEqual(await house.settled('SELECT * FROM v', [['x', 1]]), [['x', 1]])
  })
})

describe('restarts', () => {
  test('definitions, state and the pause of a view come back', async () => {
    const disk = memoryDisk()
    {
      await using house = await openHouse({ disk })
      await house.sql(shop)
      await house.sql(
        'CREATE MATERIALIZED VIEW quiet AS SELECT item FROM purchases; ALTER MATERIALIZED VIEW quiet PAUSE',
      )
      await house.sql(
        "CREATE ALERT big AS SELECT item FROM purchases WHERE amount > 15 NOTIFY WEBHOOK 'https://x.test/' SECRET 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'",
      )
      await house.sql(some)
      await house.settled('SELECT * FROM totals ORDER BY item', [
        ['a', 2, 11.75],
        ['b', 1, 20],
      ])
    }
    await using house = await openHouse({ disk })
    assert.deepEqual(house.faults, [])
    assert.equal(house.engine.relation('quiet')?.status, 'paused')
    const [rule] = house.engine.alertRules.all()
    assert.equal(rule?.planned?.rule.destinations[0]?.kind, 'webhook')
    assert.ok(!rule.planned.rule.sql.includes('whsec_'), rule.planned.rule.sql)
    assert.ok(!JSON.stringify(await house.sql('DESCRIBE big')).includes('whsec_'))
    await house.sql("INSERT INTO purchases VALUES ('c3', 'a', 100, '2024-01-03')")
    assert.deepEqual(
      await house.settled('SELECT * FROM totals ORDER BY item', [
        ['a', 3, 111.75],
        ['b', 1, 20],
      ]),
      [
        ['a', 3, 111.75],
        ['b', 1, 20],
      ],
    )
    assert.deepEqual(await house.sql('SELECT * FROM quiet'), [])
    await house.sql('ALTER VIEW quiet RESUME')
    assert.equal((await house.settled('SELECT count(*) FROM quiet', [[4]]))[0]![0], 4)
  })
  test('what a program defines is given again, and texts that need it wait for it', async () => {
    const disk = memoryDisk()
    const source = {
      kind: 'stream',
      source: {
        op: 'source',
        name: 'events',
        topic: 'events',
        mode: 'append',
        format: 'json',
        columns: [{ name: 'n', type: { kind: 'int' }, nullable: true }],
        fields: [{ from: 'value', path: ['n'] }],
        key: [],
        time: null,
        onInvalid: 'reject',
      },
      keyColumns: [],
    } as const
    {
      await using house = await openHouse({ disk })
      await house.engine.define(source)
      await house.sql(
        'CREATE MATERIALIZED VIEW total AS SELECT sum(n) AS s FROM events; INSERT INTO events VALUES (1), (2)',
      )
      await house.settled('SELECT * FROM total', [[3]])
    }
    await using house = await openHouse({ disk })
    assert.equal(house.engine.relation('total')?.status, 'failed')
    await fails(
      house.sql('SELECT * FROM total'),
      'sql.unknown-relation',
      /"total" cannot be read: .*"events" does not exist/,
    )
    await house.engine.define(source)
    assert.deepEqual(await house.settled('SELECT * FROM total', [[3]]), [[3]])
    assert.equal(house.engine.relation('total')?.error, null)
  })
})

describe('queries', () => {
  test('names match ignoring case, quoted ones exactly, and two that fit are ambiguous', async () => {
    await using house = await openHouse()
    await house.sql('CREATE STREAM "Odd" ("Value" int, value int, "Other" int)')
    await house.sql('INSERT INTO odd ("Value", "value", other) VALUES (1, 2, 3)')
    assert.deepEqual(await house.sql('SELECT "Value", "value", OTHER FROM odd'), [[1, 2, 3]])
    await fails(house.sql('SELECT value FROM odd'), 'sql.ambiguous-name')
    await fails(house.sql('SELECT "other" FROM odd'), 'sql.unknown-column')
    const { columns } = await house.engine.run('SELECT other, "Value" AS "x Y" FROM odd')
    assert.deepEqual(
      columns.map((c) => c.name),
      ['Other', 'x Y'],
    )
  })
  test('parameters take the type of their place', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await house.sql(some)
    assert.deepEqual(
      await house.sql('SELECT item FROM purchases WHERE amount > $1 AND item = ANY($2) AND at < $3', [
        5,
        ['a', 'b'],
        new Date('2024-01-01T10:30:00Z'),
      ]),
      [['a']],
    )
    assert.deepEqual(await house.sql('SELECT $1::int + 1, $2, $3 IS NULL', ['41', 'x', null]), [[42, 'x', true]])
    await fails(house.sql('SELECT $2', ['x']), 'sql.unknown-parameter')
    await fails(house.sql('SELECT $1::int', ['x']), 'sql.invalid-text')
  })
  test('a query can be cancelled while its rows are read', async () => {
    await using house = await openHouse()
    await house.sql('CREATE STREAM n (i int)')
    await house.sql(`INSERT INTO n VALUES ${Array.from({ length: 500 }, (_, i) => `(${i})`).join()}`)
    const stop = new AbortController()
    const { rows } = await house.engine.run('SELECT i FROM n', { signal: stop.signal })
    let seen = 0
    await fails(
      (async () => {
        for await (const _ of rows) if (++seen === 10) stop.abort()
      })(),
      'query.cancelled',
    )
    assert.equal(seen, 10)
  })
  test('a key in WHERE reads one row, whatever else is asked of it', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await house.sql("INSERT INTO items VALUES ('a', 1, 2.5), ('b', 2, 3)")
    assert.deepEqual(await house.sql("SELECT price FROM items WHERE item = 'b' AND stock > 1"), [[3]])
    assert.deepEqual(await house.sql("SELECT price FROM items WHERE item = 'b' AND stock > 5"), [])
    await house.sql("INSERT INTO items VALUES ('b', 9, 3)")
    assert.deepEqual(await house.sql("SELECT stock FROM items WHERE 'b' = item"), [[9]])
    assert.deepEqual(await collectRows(house, 'items', { key: ['b'] }), [['b', 9, 3]])
    await fails(house.engine.rows('items', { key: [] }), 'value.invalid-argument')
  })
  test('values keep their digits: bigint beyond 2^53, numerics, times', async () => {
    await using house = await openHouse()
    await house.sql(
      'CREATE STREAM n (big bigint, exact numeric(40,10), free numeric, at timestamptz, day date, raw jsonb, flag boolean)',
    )
    await house.sql(
      `INSERT INTO n VALUES (9007199254740993, 12345678901234567890.0123456789, 1.10, '2024-02-29 12:00:00.123456+01', '2024-02-29', '{"b": 1, "a": 12.5}', true)`,
    )
    assert.deepEqual(await house.sql('SELECT * FROM n'), [
      [
        9007199254740993n,
        '12345678901234567890.0123456789',
        1.1,
        '2024-02-29T11:00:00.123456Z',
        '2024-02-29',
        { a: 12.5, b: 1 },
        true,
      ],
    ])
    assert.deepEqual(await house.sql('SELECT big + 1, raw ->> $1 FROM n', ['a']), [[9007199254740994n, '12.5']])
  })
  test('an error while rows are computed comes with them', async () => {
    await using house = await openHouse()
    await house.sql('CREATE STREAM n (i int); INSERT INTO n VALUES (0)')
    await fails(house.sql('SELECT 1 / i FROM n'), 'value.division-by-zero')
  })
  test('SHOW, DESCRIBE and EXPLAIN refuse what they do not know', async () => {
    await using house = await openHouse()
    await fails(house.sql('SHOW nothing'), 'sql.unknown-parameter')
    await fails(house.sql('DESCRIBE nothing'), 'sql.unknown-relation')
    await fails(house.sql('EXPLAIN ANALYZE CREATE MATERIALIZED VIEW v AS SELECT 1 AS one'), 'sql.unsupported')
    await fails(house.sql('SUBSCRIBE TO x'), 'sql.unsupported')
    assert.deepEqual(await house.sql('SHOW server_version'), [['16.0']])
    assert.ok((await house.sql('SHOW FUNCTIONS')).length > 300)
  })
})
const collectRows = async (
  house: House,
  name: string,
  options: { key?: readonly unknown[]; limit?: number } = {},
): Promise<unknown[][]> => {
  const rows: unknown[][] = []
  for await (const row of (await house.engine.rows(name, options)).rows) rows.push([...row])
  return rows
}

describe('INSERT', () => {
  test('columns by name and by order, NULL where none is given, and the types of the columns', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await house.sql("INSERT INTO items (price, item) VALUES ('1.5', 'a'), (2, 'b')")
    await house.sql("INSERT INTO items SELECT 'c', 1 + 1, 3.999")
    await house.sql("INSERT INTO items SELECT item || '2', stock, price FROM items WHERE stock IS NOT NULL")
    assert.deepEqual(await house.sql('SELECT * FROM items ORDER BY item'), [
      ['a', null, 1.5],
      ['b', null, 2],
      ['c', 2, 4],
      ['c2', 2, 4],
    ])
  })
  test('what does not fit is refused and nothing is written', async () => {
    await using house = await openHouse()
    await house.sql('CREATE TABLE t (id int PRIMARY KEY, name varchar(3), n int GENERATED ALWAYS AS (id + 1))')
    await house.sql('CREATE STREAM s (at timestamptz, WATERMARK FOR at AS at)')
    await house.sql('CREATE MATERIALIZED VIEW v AS SELECT id FROM t')
    await fails(house.sql("INSERT INTO t VALUES (1, 'abc'), (2, 'abcd')"), 'value.too-long')
    await fails(house.sql("INSERT INTO t (name) VALUES ('a')"), 'sql.not-null')
    await fails(house.sql('INSERT INTO t VALUES (NULL)'), 'sql.not-null')
    await fails(house.sql('INSERT INTO s VALUES (NULL)'), 'sql.not-null')
    await fails(house.sql('INSERT INTO t (n) VALUES (1)'), 'sql.wrong-kind')
    await fails(house.sql('INSERT INTO t (id, id) VALUES (1, 1)'), 'sql.duplicate-column')
    await fails(house.sql('INSERT INTO t (idd) VALUES (1)'), 'sql.unknown-column')
    await fails(house.sql('INSERT INTO t VALUES (1, 2, 3, 4)'), 'sql.syntax')
    await fails(house.sql('INSERT INTO t (id, name) VALUES (1)'), 'sql.syntax')
    await fails(house.sql('INSERT INTO t VALUES (now())'), 'sql.type-mismatch')
    await fails(house.sql('INSERT INTO t VALUES (2147483648)'), 'value.out-of-range')
    await fails(house.sql('INSERT INTO v VALUES (1)'), 'sql.wrong-kind')
    assert.deepEqual(await house.sql('SELECT * FROM t'), [])
    await house.sql("INSERT INTO t VALUES (1, 'abc')")
    assert.deepEqual(await house.sql('SELECT * FROM t'), [[1, 'abc', 2]])
  })
  test('rows go to the partition of their key, several columns as a JSON array', async () => {
    await using house = await openHouse()
    await house.sql('CREATE TABLE t (a int, b text, PRIMARY KEY (a, b)) WITH (partitions = 4)')
    await house.sql(`INSERT INTO t VALUES ${Array.from({ length: 40 }, (_, i) => `(${i}, 'x')`).join()}`)
    const rows = await house.sql('SELECT _key, _partition, a FROM t ORDER BY a')
    assert.equal(rows[7]![0], '[7,"x"]')
    assert.equal(new Set(rows.map((row) => row[1])).size, 4)
  })
})

describe('SUBSCRIBE', () => {
  test('to a keyed view: its rows, then each change of them', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await house.sql(some)
    await house.settled('SELECT * FROM totals ORDER BY item', [
      ['a', 2, 11.75],
      ['b', 1, 20],
    ])
    const stop = new AbortController()
    const { columns, changes } = await house.engine.subscribe('SUBSCRIBE TO totals', { signal: stop.signal })
    assert.deepEqual(
      columns.map((c) => c.name),
      ['item', 'n', 'total'],
    )
    const iterator = changes[Symbol.asyncIterator]()
    const next = async (): Promise<string> => shape([(await iterator.next()).value as Change])[0]!
    assert.deepEqual([await next(), await next(), await next()].toSorted(), ['+["a",2,11.75]', '+["b",1,20]', '.'])
    await house.sql("INSERT INTO purchases VALUES ('c9', 'b', 5, '2024-01-03')")
    assert.deepEqual([await next(), await next(), await next()], ['-["b",1,20]', '+["b",2,25]', '.'])
    stop.abort()
    assert.equal((await iterator.next()).done, true)
  })
  test('to a query over a table: rows that begin and cease to fit', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await house.sql("INSERT INTO items VALUES ('a', 1, 1), ('b', 9, 1)")
    const { changes } = await house.engine.subscribe('SELECT item FROM items WHERE stock < $1', { params: [5] })
    const seen = collect(changes, 6)
    await new Promise((resolve) => setTimeout(resolve, 30))
    await house.sql("INSERT INTO items VALUES ('b', 2, 1)")
    await new Promise((resolve) => setTimeout(resolve, 30))
    await house.sql("INSERT INTO items VALUES ('a', 7, 1)")
    assert.deepEqual(shape(await seen), ['+["a"]', '.', '+["b"]', '.', '-["a"]', '.'])
  })
  test('to a stream, and an aggregate over one, without a snapshot where asked', async () => {
    await using house = await openHouse()
    await house.sql('CREATE STREAM n (i int); INSERT INTO n VALUES (1), (2)')
    const all = collect((await house.engine.subscribe('n')).changes, 4)
    const fresh = collect((await house.engine.subscribe('SUBSCRIBE TO n WITH (snapshot = false)')).changes, 2)
    const sums = collect((await house.engine.subscribe('SELECT sum(i) AS s FROM n')).changes, 5)
    await new Promise((resolve) => setTimeout(resolve, 30))
    await house.sql('INSERT INTO n VALUES (3)')
    assert.deepEqual(shape(await all), ['+[1]', '+[2]', '.', '+[3]'])
    assert.deepEqual(shape(await fresh), ['.', '+[3]'])
    assert.deepEqual(shape(await sums), ['+[3]', '.', '-[3]', '+[6]', '.'])
  })
  test('ends when its signal aborts, and with a fault when the engine closes', async () => {
    const house = await openHouse()
    await house.sql(shop)
    const stop = new AbortController()
    const one = collect((await house.engine.subscribe('items', { signal: stop.signal })).changes, 99)
    const other = collect((await house.engine.subscribe('items')).changes, 99)
    await new Promise((resolve) => setTimeout(resolve, 20))
    stop.abort()
    assert.deepEqual(shape(await one), ['.'])
    await house[Symbol.asyncDispose]()
    assert.deepEqual(shape(await other), ['.'])
  })
  test('refuses what it cannot promise', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await fails(house.engine.subscribe('SELECT item FROM items ORDER BY item'), 'sql.unsupported')
    await fails(house.engine.subscribe('SUBSCRIBE TO nothing'), 'sql.unknown-relation')
    await fails(house.engine.subscribe('SUBSCRIBE TO items WITH (speed = 3)'), 'sql.invalid-value')
    await fails(house.engine.subscribe('SUBSCRIBE TO items; DROP TABLE items'), 'sql.syntax')
  })
})

describe('views', () => {
  test('with weights where no key is left: rows are counted, queries and subscribers see them', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await house.sql(
      'CREATE MATERIALIZED VIEW levels AS SELECT stock FROM items; CREATE MATERIALIZED VIEW per AS SELECT stock, count(*) AS n FROM levels GROUP BY stock',
    )
    await house.sql("INSERT INTO items VALUES ('a', 1, 1), ('b', 1, 1), ('c', 2, 1)")
    assert.deepEqual(await house.settled('SELECT * FROM levels ORDER BY 1', [[1], [1], [2]]), [[1], [1], [2]])
    await house.sql("INSERT INTO items VALUES ('b', 2, 1)")
    assert.deepEqual(await house.settled('SELECT * FROM levels ORDER BY 1', [[1], [2], [2]]), [[1], [2], [2]])
    assert.deepEqual(
      await house.settled('SELECT * FROM per ORDER BY 1', [
        [1, 1],
        [2, 2],
      ]),
      [
        [1, 1],
        [2, 2],
      ],
    )
  })
  test('a view of closed windows is appended to, read by key, and read by other windows', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await house.sql(`CREATE MATERIALIZED VIEW hours AS SELECT window_start, window_end, item, sum(amount) AS total
      FROM TUMBLE(purchases, at, INTERVAL '1 hour') GROUP BY window_start, window_end, item EMIT ON WINDOW CLOSE`)
    await house.sql(`CREATE MATERIALIZED VIEW days AS SELECT window_start, sum(total) AS total
      FROM TUMBLE(hours, window_end, INTERVAL '1 day') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE`)
    await house.sql(
      "INSERT INTO purchases VALUES ('c1', 'a', 1, '2024-01-01 10:10'), ('c2', 'a', 2, '2024-01-01 10:20'), ('c1', 'a', 4, '2024-01-01 11:10'), ('c2', 'a', 4, '2024-01-01 11:10')",
    )
    const hours = [['2024-01-01T10:00:00Z', '2024-01-01T11:00:00Z', 'a', 3]]
    assert.deepEqual(await house.settled('SELECT * FROM hours', hours), hours)
    assert.deepEqual(await collectRows(house, 'hours', { key: ['2024-01-01T10:00:00Z', 'a'] }), hours)
    await house.sql(
      "INSERT INTO purchases VALUES ('c1', 'a', 0, '2024-01-03'), ('c2', 'a', 0, '2024-01-03'), ('c1', 'a', 0, '2024-01-04'), ('c2', 'a', 0, '2024-01-04')",
    )
    const days = [['2024-01-01T00:00:00Z', 11]]
    assert.deepEqual(await house.settled('SELECT * FROM days', days), days)
  })
  for (const first of ['prices', 'orders'] as const)
    test(`a temporal join meets the row that was current at the event time, ${first} first, with a restart in between`, async () => {
      const disk = memoryDisk()
      const insert = {
        prices: "INSERT INTO prices VALUES ('a', 1, '2024-01-01'), ('a', 2, '2024-01-03'), ('a', 3, '2024-01-09')",
        orders:
          "INSERT INTO orders VALUES (1, 'a', '2023-12-31'), (2, 'a', '2024-01-02'), (3, 'a', '2024-01-04'), (4, 'b', '2024-01-05'), (5, 'a', '2024-01-06')",
      }
      {
        await using house = await openHouse({ disk })
        await house.sql(`CREATE TABLE prices (item text PRIMARY KEY, price int, since timestamptz, WATERMARK FOR since AS since);
          CREATE STREAM orders (id int, item text, at timestamptz, WATERMARK FOR at AS at);
          CREATE MATERIALIZED VIEW priced AS SELECT id, price FROM orders o LEFT JOIN prices FOR SYSTEM_TIME AS OF o.at AS p ON p.item = o.item`)
        await house.sql(insert[first])
        const taken = first === 'prices' ? 3 : 5
        while (house.engine.relation('priced')!.stats.rowsIn < taken)
          await new Promise((resolve) => setTimeout(resolve, 5))
      }
      await using house = await openHouse({ disk })
      await house.sql(insert[first === 'prices' ? 'orders' : 'prices'])
      const rows = [
        [1, null],
        [2, 1],
        [3, 2],
        [4, null],
        [5, 2],
      ]
      assert.deepEqual(await house.settled('SELECT id, price FROM priced ORDER BY id', rows), rows)
      assert.deepEqual(
        await house.sql(
          'SELECT id, price FROM orders o LEFT JOIN prices FOR SYSTEM_TIME AS OF o.at AS p ON p.item = o.item ORDER BY id',
        ),
        rows,
      )
      assert.equal(house.engine.relation('priced')!.stats.late, 0)
    })
  test('a view is what writes its topic and can be paused; a stream of the same kind of name is not', async () => {
    await using house = await openHouse()
    await house.sql(
      'CREATE STREAM n (i int); CREATE TABLE k (i int PRIMARY KEY); CREATE MATERIALIZED VIEW v AS SELECT i FROM n',
    )
    assert.deepEqual(
      ['n', 'k', 'v', 'none'].map((topic) => house.engine.writerOf(topic)),
      [null, null, 'v', null],
    )
    for (const name of ['n', 'k']) {
      await assert.rejects(house.engine.pause(name), (e: Fault) => e.code === 'flow.unknown-view')
      await assert.rejects(house.engine.drop('view', name), (e: Fault) => e.code === 'flow.unknown-view')
    }
    await house.engine.pause('v')
    assert.equal(house.engine.relation('v')!.status, 'paused')
  })
  test('the graph of a view shows its steps and what runs through them', async () => {
    await using house = await openHouse()
    await house.sql(shop)
    await house.sql(some)
    await house.settled('SELECT * FROM totals ORDER BY item', [
      ['a', 2, 11.75],
      ['b', 1, 20],
    ])
    const { nodes, edges } = await house.engine.graph('totals')
    assert.deepEqual(
      nodes.map((node) => node.kind),
      ['source', 'aggregate', 'project', 'sink'],
    )
    assert.equal(edges.length, 3)
    assert.equal(edges[0]!.rows, 3)
    // A rate is the mean over full seconds: that of the rows is over at most a second later.
    const rate = async (): Promise<number> => (await house.engine.graph('totals')).edges[0]!.rowsPerSecond
    for (let i = 0; i < 500 && (await rate()) === 0; i++) await new Promise((resolve) => setTimeout(resolve, 10))
    assert.ok((await rate()) > 0)
    assert.ok(nodes.filter((node) => node.kind !== 'sink').every(({ busy }) => busy !== undefined && busy <= 1))
    await assert.rejects(house.engine.graph('items'), Fault)
    await house.sql(
      `CREATE STREAM ticks (a int, b text, at timestamptz, WATERMARK FOR at AS at);
       CREATE MATERIALIZED VIEW days AS SELECT window_start, count(*) AS n
       FROM TUMBLE(ticks, at, INTERVAL '1 day') WHERE a > 3 AND b = 'it''s' GROUP BY window_start, window_end`,
    )
    const labels = (await house.engine.graph('days')).nodes.map((node) => node.label)
    assert.ok(labels.includes('tumble 1d'), labels.join(' | '))
    assert.ok(labels.includes("(a > 3) and (b = 'it''s')"), labels.join(' | '))
  })
  test('a failing row stops its view, which says why and goes on when it is resumed', async () => {
    await using house = await openHouse()
    await house.sql('CREATE STREAM n (i int); CREATE MATERIALIZED VIEW v AS SELECT 10 / i AS q FROM n')
    await house.sql('INSERT INTO n VALUES (5), (0)')
    for (let i = 0; i < 100 && house.engine.relation('v')?.status !== 'failed'; i++)
      await new Promise((resolve) => setTimeout(resolve, 10))
    assert.equal(house.engine.relation('v')?.status, 'failed')
    assert.match(house.engine.relation('v')?.error?.message ?? '', /division by zero/)
  })
})

describe('record filters', () => {
  const record = (value: unknown, more: Partial<RecordView> = {}): RecordView => ({
    topic: 't',
    partition: 2,
    offset: 17,
    timeMs: Date.UTC(2024, 0, 1),
    key: Buffer.from('k1'),
    value: value === null ? null : Buffer.from(typeof value === 'string' ? value : JSON.stringify(value)),
    headers: [['trace', Buffer.from('abc')]],
    ...more,
  })
  const cases: readonly (readonly [string, unknown, boolean])[] = [
    ['amount > 100', { amount: 150 }, true],
    ['amount > 100', { amount: '150' }, true],
    ['amount > 100', { amount: 'much' }, false],
    ['amount > 100', {}, false],
    ['amount > 100', 'not json', false],
    ['amount > 100', null, false],
    ['amount IS NULL', {}, true],
    ['AMOUNT = 1', { amount: 1 }, true],
    ["status IN ('a', 'b') AND NOT deleted", { status: 'b', deleted: false }, true],
    ["customer.name LIKE 'A%'", { customer: { name: 'Ada' } }, true],
    ['customer.age + 1 >= 30', { customer: { age: 29 } }, true],
    ['tags @> \'["x"]\'', { tags: ['x', 'y'] }, true],
    ["payload -> 'a' ->> 'b' = 'c'", { payload: { a: { b: 'c' } } }, true],
    ["at > timestamptz '2024-01-01'", { at: '2024-02-01T00:00:00Z' }, true],
    ["at BETWEEN '2024-01-01' AND '2024-12-31'", { at: '2024-02-01T00:00:00Z' }, true],
    ["_key = 'k1' AND _offset = 17 AND _partition = 2", {}, true],
    ["_timestamp >= '2024-01-01' AND _topic = 't'", {}, true],
    ["_headers ->> 'trace' = 'abc'", {}, true],
    ['10 / n > 1', { n: 0 }, false],
    ['n = 9007199254740993', '{"n":9007199254740993}', true],
    ['"Case" = 1', { Case: 1 }, true],
    ['n = 3', '{"N":1,"n":3}', true],
    ['n = 3 AND m = 4', '{"N":3,"m":4}', true],
    ["customer.name = 'A'", '{"Customer":{"NAME":"A"}}', true],
    ['n = 3', '{"n":1,"n":3}', true],
    ['n = 3', '{"\\u006e":3}', true],
    ['n = 3', ' { "n" : 3 } ', true],
    ['n = 3', '{"n":3', false],
    ['n = 3', '{"n":3} x', false],
    ['n = 3', `{"n":3,"deep":${'['.repeat(100)}${']'.repeat(100)}}`, true],
    ['n IS NULL', '[{"n":3}]', true],
    ['n IS NULL AND customer.n IS NULL', 'no JSON', true],
    ["_headers ->> 'trace' = 'abc' AND n IS NULL", {}, true],
    ['true', {}, true],
  ]
  for (const [where, value, expected] of cases) {
    test(`${where} over ${typeof value === 'string' ? value : JSON.stringify(value)}`, async () => {
      await using house = await openHouse()
      assert.equal(house.engine.recordFilter('t', where)(record(value)), expected)
    })
  }
  test('a misspelt name of a declared column is a fault; another name, or one in quotes, is a field', async () => {
    await using house = await openHouse()
    await house.sql('CREATE STREAM t (amount int, customer text)')
    for (const [where, column, hint] of [
      ['amuont > 100', 1, 'amount'],
      ["amount > 1 AND custommer.name = 'x'", 16, 'customer'],
    ] as const)
      assert.throws(
        () => house.engine.recordFilter('t', where),
        (error: unknown) =>
          error instanceof SqlFault &&
          error.code === 'sql.unknown-column' &&
          error.position.column === column &&
          error.hint.includes(`Perhaps you meant ${hint}.`),
      )
    assert.equal(house.engine.recordFilter('t', '"amuont" > 100')(record({ amuont: 150 })), true)
    assert.equal(house.engine.recordFilter('t', 'discount > 100')(record({ discount: 150 })), true)
    assert.throws(() => house.engine.recordFilter('other', '_offest > 3'), /nothing declares a field "_offest"/)
    // Where nothing is declared every name is a field.
    assert.equal(house.engine.recordFilter('other', 'amuont > 100')(record({ amount: 150 })), false)
  })
  test('declared columns have their types, and errors their place', async () => {
    await using house = await openHouse()
    await house.sql('CREATE STREAM t (code text, n int)')
    assert.equal(house.engine.recordFilter('t', 'code = 5::text')(record({ code: '5' })), true)
    assert.throws(
      () => house.engine.recordFilter('t', 'n ='),
      (error: unknown) => error instanceof SqlFault && error.position.column === 4,
    )
    assert.throws(
      () => house.engine.recordFilter('t', 'n + 1'),
      (error: unknown) => error instanceof SqlFault && error.code === 'sql.type-mismatch',
    )
    assert.throws(
      () => house.engine.recordFilter('t', 'count(*) > 1'),
      (error: unknown) => error instanceof SqlFault && error.code === 'sql.grouping',
    )
    assert.throws(
      () => house.engine.recordFilter('t', '(SELECT 1) = 1'),
      (error: unknown) => error instanceof SqlFault && error.code === 'sql.unsupported',
    )
  })
})

test('what cannot be begun is not kept: a name that no topic can have', async () => {
  const disk = memoryDisk()
  const house = await openHouse({ disk })
  await house.sql('CREATE STREAM t (k text)')
  await assert.rejects(house.sql('CREATE MATERIALIZED VIEW "a b" AS SELECT k FROM t'), /cannot be a topic name/)
  await assert.rejects(house.sql('CREATE STREAM "c d" (k text)'), /cannot be a topic name/)
  await assert.rejects(house.sql('CREATE ALERT "e f" AS SELECT k FROM t NOTIFY LOG'), /cannot be a topic name/)
  const left = async (one: House): Promise<unknown[]> => [
    ...(await one.sql('SHOW VIEWS')),
    ...(await one.sql('SHOW ALERTS')),
    ...(await one.sql('SHOW STREAMS')).map(([name]) => name),
  ]
  assert.deepEqual(await left(house), ['t'])
  await house[Symbol.asyncDispose]()
  await using again = await openHouse({ disk })
  assert.deepEqual(await left(again), ['t'])
})

describe('a drop that was broken off', () => {
  const names = async (house: House): Promise<unknown[]> => (await house.sql('SHOW VIEWS')).map(([name]) => name)
  for (const restarts of [true, false])
    test(`is finished ${restarts ? 'at the next start' : 'before the next definition'}, and leaves nothing to a new one`, async () => {
      const disk = memoryDisk()
      await using open = new AsyncDisposableStack()
      const first = open.use(new AsyncDisposableStack())
      const house = first.use(await openHouse({ disk }))
      await house.sql('CREATE STREAM t (k text)')
      const create = 'CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS n FROM t GROUP BY k'
      await house.sql(create)
      await house.sql('CREATE ALERT a AS SELECT k FROM t NOTIFY LOG')
      await house.sql(`INSERT INTO t VALUES ('x'), ('x')`)
      assert.deepEqual(await house.settled('SELECT * FROM v', [['x', 2]]), [['x', 2]])
      const { topics } = house.log
      const remove = topics.remove.bind(topics)
      topics.remove = () => Promise.reject(new Fault('log.closed', { what: 'the log, at this moment' }))
      await assert.rejects(house.sql('DROP MATERIALIZED VIEW v'), /at this moment/)
      await assert.rejects(house.sql('DROP ALERT a'), /at this moment/)
      topics.remove = remove
      assert.deepEqual(await names(house), [])
      if (restarts) await first.disposeAsync()
      const later = restarts ? open.use(await openHouse({ disk })) : house
      assert.deepEqual(await names(later), [])
      await later.sql(create)
      await later.sql('CREATE ALERT a AS SELECT k FROM t NOTIFY LOG')
      // Of all that it reads, once: neither the rows nor the state of the one before.
      assert.deepEqual(await later.settled('SELECT * FROM v', [['x', 2]]), [['x', 2]])
      await later.sql(`INSERT INTO t VALUES ('y')`)
      const both = [
        ['x', 2],
        ['y', 1],
      ]
      assert.deepEqual(await later.settled('SELECT * FROM v ORDER BY k', both), both)
    })
})

test('an alert tells others from now on: its query, its name and what it said before stay', async () => {
  const disk = memoryDisk()
  const secret = (n: number): string => `whsec_${Buffer.alloc(24, n).toString('base64')}`
  const tells = (house: House): unknown => house.engine.alertRules.all()[0]?.planned?.rule.destinations
  {
    await using house = await openHouse({ disk })
    await house.sql('CREATE STREAM t (k text, n int)')
    await house.sql(
      `CREATE ALERT a AS SELECT k FROM t WHERE n > 1 NOTIFY WEBHOOK 'https://x.test/' SECRET '${secret(1)}', LOG KEY (k) MESSAGE '{k}'`,
    )
    let heard = 0
    house.engine.alertRules.onChange(() => heard++)
    await house.sql(
      `ALTER ALERT a NOTIFY WEBHOOK 'https://x.test/' SECRET '${secret(2)}' WITH (secret.previous = '${secret(1)}', header.token = 'hush'), CONSOLE`,
    )
    assert.ok(heard > 0)
    await assert.rejects(house.sql('ALTER ALERT b NOTIFY LOG'), /alert "b" does not exist/)
    await assert.rejects(house.sql("ALTER ALERT a NOTIFY WEBHOOK 'ftp://x.test'"), /http or https/)
    const shown = JSON.stringify([...(await house.sql('DESCRIBE a')), ...(await house.sql('SHOW CREATE a'))])
    assert.ok(!shown.includes('whsec_') && !shown.includes('hush'), shown)
  }
  await using house = await openHouse({ disk })
  assert.deepEqual(house.faults, [])
  assert.deepEqual(tells(house), [
    {
      kind: 'webhook',
      url: 'https://x.test/',
      secret: secret(2),
      previousSecret: secret(1),
      headers: { token: 'hush' },
    },
    { kind: 'console' },
  ])
  const [rule] = house.engine.alertRules.all()
  assert.deepEqual([rule?.planned?.rule.key, rule?.planned?.rule.message], [['k'], [{ column: 0 }]])
})

test('a long query gives others their turn', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM t (k text, n int)')
  const rows = Array.from({ length: 10_000 }, (_, n) => ({
    key: null,
    value: Buffer.from(`{"k":"k${n % 100}","n":${n}}`),
    timeMs: 1,
  }))
  const partition = { topic: 't', index: 0 }
  for (let i = 0; i < 80; i++) await house.log.writer().append([{ partition, batch: encodeBatch(rows) }])
  let turns = 0
  let over = false
  const turn = (): void => {
    turns++
    if (!over) setImmediate(turn)
  }
  const asked = house.sql('SELECT k, count(*), sum(n) FROM t GROUP BY k')
  turn()
  assert.equal((await asked).length, 100)
  over = true
  assert.ok(turns > 5, `${turns} turns`)
})
