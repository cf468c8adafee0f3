/** The newest row of each key of a stream, by event time, as the table of a temporal join: each row has been current from its time on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openHouse } from './house.ts'

const newest = 'SELECT DISTINCT ON (cur) cur, rate, at FROM rates ORDER BY cur, at DESC'
const numbered = `SELECT cur, rate, at FROM (SELECT *, row_number() OVER (PARTITION BY cur ORDER BY at DESC) AS n FROM rates) AS r
  WHERE n = 1`
const joined = (table: string): string =>
  `SELECT o.id, r.rate, r.at FROM orders o LEFT JOIN ${table} FOR SYSTEM_TIME AS OF o.at AS r ON r.cur = o.cur`
const seconds = (second: number): string => new Date(Date.UTC(2024, 0, 1, 10, 0, second)).toISOString()
const shown = (second: number): string => seconds(second).replace('.000', '')

test('an order meets the rate that was the newest at its time, whatever came in one batch', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM rates (cur text, rate int, at timestamptz, WATERMARK FOR at AS at - INTERVAL '15 seconds');
    CREATE STREAM orders (id int, cur text, at timestamptz, WATERMARK FOR at AS at);
    CREATE VIEW newest AS ${newest};
    CREATE VIEW numbered AS ${numbered};
    CREATE MATERIALIZED VIEW a AS ${joined('newest')};
    CREATE MATERIALIZED VIEW b AS ${joined('numbered')};
    CREATE MATERIALIZED VIEW c AS WITH r AS (${newest}) ${joined('r')}`)
  await house.sql(`INSERT INTO rates VALUES ('EUR', 1, '${seconds(0)}'), ('EUR', 3, '${seconds(20)}'), ('EUR', 2, '${seconds(10)}'),
    ('USD', 7, '${seconds(15)}')`)
  const orders = [5, 12, 25, 40].map((second, i) => `(${i}, 'EUR', '${seconds(second)}')`)
  await house.sql(
    `INSERT INTO orders VALUES ${orders.join(', ')}, (4, 'USD', '${seconds(41)}'), (5, 'CHF', '${seconds(42)}')`,
  )
  // Late, and older than what EUR has: it counts for nothing. The last one lets all orders go.
  await house.sql(`INSERT INTO rates VALUES ('EUR', 9, '${seconds(-1)}'), ('JPY', 1, '${seconds(59)}')`)
  const all = [
    [0, 1, shown(0)],
    [1, 2, shown(10)],
    [2, 3, shown(20)],
    [3, 3, shown(20)],
    [4, 7, shown(15)],
    [5, null, null],
  ]
  for (const view of ['a', 'b', 'c'])
    assert.deepEqual(await house.settled(`SELECT * FROM ${view} ORDER BY id`, all), all, view)
  const now = await house.sql(`WITH r AS (${newest}) SELECT * FROM (${joined('r')}) AS q ORDER BY id`)
  assert.deepEqual(now, all)
})

test('a row that comes late does not take the place of a newer one', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM rates (cur text, rate int, at timestamptz, WATERMARK FOR at AS at);
    CREATE STREAM orders (id int, cur text, at timestamptz, WATERMARK FOR at AS at - INTERVAL '1 second');
    CREATE VIEW newest AS ${newest};
    CREATE MATERIALIZED VIEW a AS ${joined('newest')}`)
  const send = (cur: string, rate: number, second: number): Promise<unknown> =>
    house.sql(`INSERT INTO rates VALUES ('${cur}', ${rate}, '${seconds(second)}')`)
  await send('EUR', 1, 10)
  await send('USD', 1, 20)
  await send('EUR', 9, 5)
  await send('USD', 2, 15)
  await send('GBP', 3, 5)
  await send('JPY', 1, 50)
  await house.sql(
    `INSERT INTO orders VALUES (0, 'EUR', '${seconds(30)}'), (1, 'USD', '${seconds(30)}'), (2, 'GBP', '${seconds(30)}')`,
  )
  await house.sql(`INSERT INTO orders VALUES (3, 'EUR', '${seconds(40)}'), (4, 'EUR', '${seconds(45)}')`)
  const all = [
    [0, 1, shown(10)],
    [1, 1, shown(20)],
    [2, 3, shown(5)],
    [3, 1, shown(10)],
  ]
  assert.deepEqual(await house.settled('SELECT * FROM a ORDER BY id', all), all)
})
