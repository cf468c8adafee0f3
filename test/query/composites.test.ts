/** Composite columns from the payload to a view and to an answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeBatch } from '../../src/log/batch.ts'
import type { SqlFault } from '../../src/sql/fault.ts'
import { defineSqlFunction } from '../../src/flow/user-functions.ts'
import { openHouse } from './house.ts'

test('fields of composite columns, in streams, views and one-off queries', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM events (kind int,
    bid STRUCT<auction bigint, price numeric(10,2), at timestamp, who STRUCT<id int, name text>>,
    person STRUCT<id bigint, at timestamp>,
    at timestamp GENERATED ALWAYS AS (CASE kind WHEN 2 THEN (bid).at ELSE (person).at END),
    WATERMARK FOR at AS at - INTERVAL '4 seconds')`)
  await house.sql(
    'CREATE MATERIALIZED VIEW bids AS SELECT (bid).auction, (bid).who, (bid).price * 2 AS twice, at FROM events WHERE kind = 2',
  )
  await house.sql(
    'CREATE MATERIALIZED VIEW names AS SELECT (who).name, count(*) AS n, max((who).id) AS most FROM bids GROUP BY (who).name',
  )
  const bid = (id: number | null, name: string, second: number): string =>
    JSON.stringify({
      kind: 2,
      bid: {
        auction: 2 ** 53,
        price: 1.25,
        at: `2024-01-01 00:00:0${second}`,
        who: id === null ? null : { name, id },
      },
      person: null,
    }).replace('9007199254740992', '9007199254740993')
  const person = JSON.stringify({ kind: 0, person: { id: 1, at: '2024-01-01 00:00:09' }, bid: null })
  const values = [bid(1, 'a', 1), person, bid(7, 'b', 2), bid(4, 'b', 3), bid(null, 'x', 4)]
  const records = values.map((value) => ({ key: null, value: Buffer.from(value), timeMs: 5 }))
  await house.log.writer().append([{ partition: { topic: 'events', index: 0 }, batch: encodeBatch(records) }])
  assert.deepEqual(
    await house.settled('SELECT * FROM names ORDER BY n, name', [
      ['a', 1, 1],
      [null, 1, null],
      ['b', 2, 7],
    ]),
    [
      ['a', 1, 1],
      [null, 1, null],
      ['b', 2, 7],
    ],
  )
  assert.deepEqual(
    await house.sql(
      'SELECT (bid).auction, (bid).who.name, (bid).price FROM events WHERE (bid).who.id > 1 ORDER BY (bid).at',
    ),
    [
      [9007199254740993n, 'b', 1.25],
      [9007199254740993n, 'b', 1.25],
    ],
  )
  assert.deepEqual(await house.sql("SELECT auction, twice FROM bids WHERE (who).name = 'a'"), [
    [9007199254740993n, 2.5],
  ])
})

test('composite columns are inserted into, as rows and as JSON', async () => {
  await using house = await openHouse()
  await house.sql(
    `CREATE STREAM s (id int, c STRUCT<x int, y text, who STRUCT<id bigint, at timestamp>>, l STRUCT<x int>[])`,
  )
  await house.sql(`INSERT INTO s VALUES
    (1, ROW(1, 'a', ROW(9007199254740993, '2026-01-01 00:00:00')), ARRAY[ROW(1), ROW(2)]),
    (2, '{"y": "b", "x": 2, "other": 1}', '[{"x": 3}, null]'),
    (3, (3, NULL, NULL), NULL),
    (4, NULL, ARRAY[NULL])`)
  await house.sql(`INSERT INTO s (id, c, l) VALUES (5, '{"x": 5}'::jsonb, '[{"x": 5}]'::jsonb)`)
  await house.sql(
    `INSERT INTO s SELECT 6, '{"x": 6, "who": {"id": 7}}'::STRUCT<x int, y text, who STRUCT<id bigint, at timestamp>>`,
  )
  await house.sql('INSERT INTO s SELECT id + 6, ROW((c).x + 1, upper((c).y), (c).who) FROM s WHERE id < 3')
  await house.sql('INSERT INTO s (id, c) VALUES ($1, $2)', [9, '{"x": 9}'])
  const who = { id: 9007199254740993n, at: '2026-01-01T00:00:00Z' }
  assert.deepEqual(await house.sql('SELECT * FROM s ORDER BY id'), [
    [1, { x: 1, y: 'a', who }, [{ x: 1 }, { x: 2 }]],
    [2, { x: 2, y: 'b', who: null }, [{ x: 3 }, null]],
    [3, { x: 3, y: null, who: null }, null],
    [4, null, [null]],
    [5, { x: 5, y: null, who: null }, [{ x: 5 }]],
    [6, { x: 6, y: null, who: { id: 7, at: null } }, null],
    [7, { x: 2, y: 'A', who }, null],
    [8, { x: 3, y: 'B', who: null }, null],
    [9, { x: 9, y: null, who: null }, null],
  ])
  assert.deepEqual(await house.sql("SELECT c::jsonb, c::text, (ROW(1, 'x')).f2 FROM s WHERE id = 6"), [
    [{ x: 6, y: null, who: { id: 7, at: null } }, '{"x":6,"y":null,"who":{"id":7,"at":null}}', 'x'],
  ])
})
test('what does not fit into a composite column says where and why', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM s (id int, c STRUCT<x int, y text>)')
  for (const [value, code, message] of [
    [`ROW(1)`, 'sql.type-mismatch', /a row of 1 values .* which has 2 fields/],
    [`ROW('a', 'b')`, 'sql.invalid-text', /invalid input for type integer: "a"/],
    [`ROW(true, 'b')`, 'sql.type-mismatch', /field "x" is of type boolean, not int/],
    [`'{"x": "a"}'`, 'sql.invalid-text', /is a text/],
    [`'{"x": '`, 'sql.invalid-text', /json/],
    [`'(1,b)'`, 'sql.invalid-value', /ROW/],
    [`ARRAY[1]`, 'sql.type-mismatch', /an array is no/],
    [`7`, 'sql.type-mismatch', /column "c" is of type/],
  ] as const)
    await assert.rejects(
      house.sql(`INSERT INTO s VALUES (1, ${value})`),
      (fault: SqlFault) => {
        assert.equal(fault.code, code, value)
        assert.match(fault.message, message)
        assert.ok(fault.position.column > 1)
        return true
      },
      value,
    )
  assert.deepEqual(await house.sql('SELECT * FROM s'), [])
})
test('a row whose generated column has no value is not inserted', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM s (a int, b int GENERATED ALWAYS AS (a + 1), c int NOT NULL GENERATED ALWAYS AS (a * 2));
    CREATE STREAM timed (t text, at timestamp GENERATED ALWAYS AS (t::timestamp), WATERMARK FOR at AS at)`)
  await assert.rejects(house.sql('INSERT INTO s VALUES (1), (2147483647)'), {
    code: 'sql.out-of-range',
    message: /generated column "b" has no value/,
  })
  await assert.rejects(house.sql('INSERT INTO s VALUES (NULL)'), { code: 'sql.not-null', message: /"c"/ })
  await assert.rejects(house.sql("INSERT INTO timed VALUES ('soon')"), { code: 'sql.invalid-time' })
  await assert.rejects(house.sql('INSERT INTO timed VALUES (NULL)'), { code: 'sql.not-null', message: /"at"/ })
  assert.deepEqual(await house.sql('SELECT * FROM s'), [])
  await house.sql('INSERT INTO s VALUES (1)')
  assert.deepEqual(await house.sql('SELECT * FROM s'), [[1, 2, 2]])
})
test('digits inside JSON are all there, wherever it comes out', async () => {
  await using house = await openHouse({
    functions: [
      defineSqlFunction('first', { args: ['jsonb'], returns: 'jsonb', version: 1 }, (v) => (v as { n: unknown }).n),
    ],
  })
  await house.sql('CREATE STREAM s (j jsonb)')
  await house.sql(`INSERT INTO s VALUES ('{"n": 9007199254740993}')`)
  assert.deepEqual(await house.sql('SELECT j, first(j) FROM s'), [[{ n: 9007199254740993n }, 9007199254740993n]])
  const stop = new AbortController()
  const { changes } = await house.engine.subscribe('SELECT j FROM s', { signal: stop.signal })
  for await (const change of changes) {
    assert.deepEqual(change, { op: '+', row: { j: { n: 9007199254740993n } }, at: change.at })
    stop.abort()
    break
  }
})

test('a composite is the key of a view, alone and with others, and of what reads that', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM s (k int, c STRUCT<a int, b text>);
    CREATE MATERIALIZED VIEW distinct_c AS SELECT DISTINCT c FROM s;
    CREATE MATERIALIZED VIEW counts AS SELECT c, count(*) AS n FROM s GROUP BY c;
    CREATE MATERIALIZED VIEW pairs AS SELECT c, k, count(*) AS n FROM s GROUP BY c, k;
    CREATE MATERIALIZED VIEW read AS SELECT (c).a, n FROM counts`)
  const values = [
    '{"k":1,"c":{"a":1,"b":"x]"}}',
    '{"k":2,"c":{"b":"x]","a":1}}',
    '{"k":2,"c":null}',
    '{"k":2,"c":{"a":null}}',
  ]
  const records = values.map((value) => ({ key: null, value: Buffer.from(value), timeMs: 5 }))
  await house.log.writer().append([{ partition: { topic: 's', index: 0 }, batch: encodeBatch(records) }])
  await house.sql('FLUSH')
  const first = { a: 1, b: 'x]' }
  const none = { a: null, b: null }
  const rows = async (text: string): Promise<string[]> => (await house.sql(text)).map((r) => JSON.stringify(r)).sort()
  const sorted = (wanted: unknown[]): string[] => wanted.map((row) => JSON.stringify(row)).sort()
  assert.deepEqual(await rows('SELECT * FROM distinct_c'), sorted([[first], [null], [none]]))
  assert.deepEqual(
    await rows('SELECT * FROM counts'),
    sorted([
      [first, 2],
      [null, 1],
      [none, 1],
    ]),
  )
  assert.deepEqual(
    await rows('SELECT * FROM pairs'),
    sorted([
      [first, 1, 1],
      [first, 2, 1],
      [null, 2, 1],
      [none, 2, 1],
    ]),
  )
  assert.deepEqual(
    await rows('SELECT * FROM read'),
    sorted([
      [1, 2],
      [null, 1],
      [null, 1],
    ]),
  )
  assert.deepEqual(house.faults, [])
})
