/** Composite columns from the payload to a view and to an answer. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { encodeBatch } from '../../src/log/batch.ts'
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
