/** What a value looks like in an answer: the same as in the topic of a view, and every digit of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringifyJson } from '../../src/schema/json-text.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { start } from '../../src/index.ts'
import { openHouse } from './house.ts'

test('NaN, infinities, reals and whole numbers inside JSON are in an answer what they are in a topic', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM events (d double precision, r real, extra jsonb)')
  const value = '{"d":"NaN","r":1.1,"extra":{"id":9007199254740993,"n":[1.5,-12345678901234567890]}}'
  await house.log.writer().append([
    {
      partition: { topic: 'events', index: 0 },
      batch: encodeBatch([{ key: null, value: Buffer.from(value), timeMs: 5 }]),
    },
  ])
  await house.sql("CREATE MATERIALIZED VIEW v AS SELECT d, -d AS e, 'Infinity'::real AS f, r, extra FROM events")
  await house.sql('FLUSH')
  const expected = '["NaN","NaN","Infinity",1.1,{"n":[1.5,-12345678901234567890],"id":9007199254740993}]'
  const view = await house.sql('SELECT * FROM v')
  assert.equal(view.map(stringifyJson).join('\n'), expected)
  const stream = await house.sql("SELECT d, -d, 'Infinity'::real, r, extra FROM events")
  assert.equal(stream.map(stringifyJson).join('\n'), expected)
})

test('rows by key of a view that only grows, where the key is no number that JSON can hold', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM events (k bigint, d double precision, at timestamptz, WATERMARK FOR at AS at)')
  await house.sql(`CREATE MATERIALIZED VIEW w AS SELECT window_start, k, d, count(*) AS n
    FROM TUMBLE(events, at, INTERVAL '1 minute') GROUP BY window_start, window_end, k, d EMIT ON WINDOW CLOSE`)
  await house.sql(`INSERT INTO events VALUES (9007199254740993, 'NaN', '2026-01-01T00:00:01Z'),
    (9007199254740992, NULL, '2026-01-01T00:00:02Z'), (1, 1, '2026-01-01T00:05:00Z')`)
  await house.sql('FLUSH')
  const rowsOf = async (key: readonly unknown[]): Promise<unknown[]> => {
    const rows: unknown[] = []
    for await (const row of (await house.engine.rows('w', { key })).rows) rows.push(row.slice(1))
    return rows
  }
  assert.deepEqual(await rowsOf(['2026-01-01T00:00:00Z', 9007199254740993n, NaN]), [[9007199254740993n, NaN, 1]])
  assert.deepEqual(await rowsOf(['2026-01-01T00:00:00Z', 9007199254740992n, null]), [[9007199254740992n, null, 1]])
  assert.deepEqual(await rowsOf(['2026-01-01T00:00:00Z', 9007199254740993n, null]), [])
})

test('events that cannot be read are left out, and the answer says so', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM events (k text, n int)')
  await house.sql('CREATE TABLE items (id int PRIMARY KEY, name text)')
  const send = (topic: string, ...values: readonly string[]): Promise<unknown> =>
    house.log.writer().append([
      {
        partition: { topic, index: 0 },
        batch: encodeBatch(
          values.map((value) => ({ key: Buffer.from('1'), value: Buffer.from(value), timeMs: Date.now() })),
        ),
      },
    ])
  const asked = async (text: string): Promise<{ rows: unknown[]; notices: readonly string[] }> => {
    const result = await house.engine.run(text)
    const rows: unknown[] = []
    for await (const row of result.rows) rows.push(row)
    return { rows, notices: result.notices ?? [] }
  }
  await send('events', '{"k":"a","n":1}', '{"k":"b","n":"many"}', 'no JSON')
  await send('items', '{"id":1,"name":"one"}', '{"id":')
  const counted = await asked('SELECT n FROM events')
  assert.deepEqual(counted.rows, [[1]])
  assert.equal(counted.notices.length, 1)
  assert.match(
    counted.notices[0]!,
    /^2 events of topic events cannot be read and are left out, the first at events:0:1: /,
  )
  for (let i = 0; i < 2; i++) {
    const both = await asked('SELECT k, name FROM events JOIN items ON n = id')
    assert.deepEqual(both.rows, [['a', 'one']])
    assert.match(
      both.notices.toSorted().join('\n'),
      /^1 event of topic items .* is left out.*\n2 events of topic events /,
    )
  }
  await send('events', '{"k":"c","n":2}')
  assert.equal((await asked("SELECT k FROM events WHERE k = 'c'")).notices.length, 1)
  assert.deepEqual((await asked('SELECT 1')).notices, [])
})

test('a WITH query that is mentioned several times, over a table and a stream, beside another table', async () => {
  await using house = await openHouse()
  await house.sql('CREATE TABLE items (id int PRIMARY KEY, name text)')
  await house.sql('CREATE TABLE others (id int PRIMARY KEY, a int, b int, word text)')
  await house.sql('CREATE STREAM events (id int, n int)')
  await house.sql("INSERT INTO items VALUES (1, 'one'), (2, 'two')")
  await house.sql("INSERT INTO others VALUES (1, 7, 8, 'un'), (2, 9, 10, 'deux')")
  await house.sql('INSERT INTO events VALUES (1, 10), (2, 20)')
  const text = `WITH w AS (SELECT sum(id) AS sum FROM items WHERE 100 >= (SELECT max(n) FROM events))
    SELECT x.sum, z.sum, word, a FROM w x JOIN w y ON x.sum = y.sum JOIN w z ON y.sum = z.sum
    JOIN others ON others.id < x.sum ORDER BY a`
  for (let i = 0; i < 2; i++)
    assert.deepEqual(await house.sql(text), [
      [3, 3, 'un', 7],
      [3, 3, 'deux', 9],
    ])
})

test('a program hears of events that were left out', async () => {
  await using millrace = await start({ data: ':memory:' })
  await millrace.sql('CREATE STREAM events (n int)')
  await millrace.sql("CREATE STREAM bytes (t text) WITH (topic = 'events')")
  await millrace.sql("INSERT INTO bytes VALUES ('no number')")
  await millrace.sql('INSERT INTO events VALUES (1)')
  await millrace.sql("CREATE STREAM texts (n text) WITH (topic = 'events')")
  await millrace.sql("INSERT INTO texts VALUES ('many')")
  const notices: string[] = []
  const rows = await millrace.sql('SELECT n FROM events WHERE n IS NOT NULL', [], {
    onNotice: (one) => notices.push(one),
  })
  assert.deepEqual(rows, [{ n: 1 }])
  assert.equal(notices.length, 1)
  assert.match(notices[0]!, /^1 event of topic events cannot be read/)
})
