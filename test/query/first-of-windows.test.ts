/** The first rows of each window: they are kept until the window closes, and what comes then is late. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openHouse } from './house.ts'

const at = (second: number): string => new Date(Date.UTC(2024, 0, 1, 10) + second * 1000).toISOString()
const shown = (second: number): string => at(second).replace('.000', '')
/** Of minute m: prices m, m + 1 … m + 5. */
const minutes = 20
const events = Array.from({ length: minutes * 6 }, (_, i) => {
  const minute = Math.floor(i / 6)
  return { price: minute + (i % 6), at: at(minute * 60 + (i % 6) * 10) }
})
const dearest = `SELECT window_start, price, n FROM (SELECT *, row_number() OVER (PARTITION BY window_start, window_end ORDER BY price DESC)
  AS n FROM TUMBLE(bids, at, INTERVAL '1 minute')) AS w WHERE n <= 2`
const busiest = `SELECT window_start, price, c FROM (SELECT *, row_number() OVER (PARTITION BY window_start, window_end ORDER BY price DESC)
  AS n FROM (SELECT window_start, window_end, price, count(*) AS c FROM TUMBLE(bids, at, INTERVAL '1 minute')
  GROUP BY window_start, window_end, price) AS g) AS w WHERE n = 1`

test('rows of windows that have closed are no state any more, and late rows change nothing', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM bids (price int, at timestamptz, WATERMARK FOR at AS at - INTERVAL '1 second');
    CREATE MATERIALIZED VIEW dearest WITH (late_topic = 'late') AS ${dearest};
    CREATE MATERIALIZED VIEW busiest AS ${busiest};
    CREATE MATERIALIZED VIEW closed AS ${busiest} EMIT ON WINDOW CLOSE;
    CREATE MATERIALIZED VIEW lone AS SELECT DISTINCT ON (window_start, window_end) window_start, window_end, price
      FROM TUMBLE(bids, at, INTERVAL '1 minute') ORDER BY window_start, window_end, price DESC;
    CREATE MATERIALIZED VIEW lone_closed AS SELECT DISTINCT ON (window_end) window_start, window_end, price
      FROM TUMBLE(bids, at, INTERVAL '1 minute') ORDER BY window_end, price DESC EMIT ON WINDOW CLOSE;
    CREATE MATERIALIZED VIEW final AS ${dearest} EMIT ON WINDOW CLOSE;
    CREATE MATERIALIZED VIEW hours AS SELECT window_start, max(price) AS price, count(*) AS c FROM TUMBLE((SELECT window_time, price FROM
      (SELECT *, window_time, row_number() OVER (PARTITION BY window_start, window_end ORDER BY price DESC) AS n
      FROM TUMBLE(bids, at, INTERVAL '1 minute')) AS w WHERE n <= 2), window_time, INTERVAL '5 minutes')
      GROUP BY window_start, window_end EMIT ON WINDOW CLOSE`)
  for (let i = 0; i < events.length; i += 7) {
    const some = events.slice(i, i + 7).map(({ price, at: time }) => `(${price}, '${time}')`)
    await house.sql(`INSERT INTO bids VALUES ${some.join(', ')}; FLUSH`)
  }
  const first = Array.from({ length: minutes }, (_, m) => m)
  const two = first.flatMap((m) => [
    [shown(m * 60), m + 5, 1],
    [shown(m * 60), m + 4, 2],
  ])
  const one = first.map((m) => [shown(m * 60), m + 5, 1])
  const check = async (): Promise<void> => {
    assert.deepEqual(await house.sql('SELECT * FROM dearest ORDER BY 1, 3'), two)
    assert.deepEqual(await house.sql('SELECT * FROM busiest ORDER BY 1'), one)
    assert.deepEqual(await house.sql('SELECT * FROM closed ORDER BY 1'), one.slice(0, -1))
    const onlyOne = one.map(([start, price]) => [start, price])
    assert.deepEqual(await house.sql('SELECT window_start, price FROM lone ORDER BY 1'), onlyOne)
    assert.deepEqual(await house.sql('SELECT window_start, price FROM lone_closed'), onlyOne.slice(0, -1))
    assert.deepEqual(await house.sql('SELECT * FROM final'), two.slice(0, -2))
    assert.deepEqual(
      await house.sql('SELECT * FROM hours'),
      [0, 5, 10].map((m) => [shown(m * 60), m + 9, 10]),
    )
  }
  await check()
  await house.sql(`INSERT INTO bids VALUES (1000, '${at(5)}'); FLUSH`)
  await check()
  for (const [view, most] of [
    ['dearest', 2],
    ['busiest', 6],
    ['closed', 0],
    ['final', 2],
    ['lone', 1],
    ['lone_closed', 1],
  ] as const) {
    const lines = (await house.sql(`EXPLAIN ANALYZE ${view}`)).flat().map(String)
    const over = lines.slice(lines.findIndex((line) => /Over each window_/.test(line)))
    const [, held = '0'] = /state (\d+) entries/.exec(over.find((line) => /rows in \d+, out/.test(line))!) ?? []
    assert.ok(Number(held) <= most, `${view} holds ${held}:\n${lines.join('\n')}`)
  }
  await assert.rejects(house.sql(`SELECT window_time FROM (${dearest.replace('price, n', '*')}) AS q`), {
    hint: /SELECT \*, window_time FROM/,
  })
  const [head] = (await house.sql('EXPLAIN final')).flat()
  assert.match(String(head), /^View final: rows are only ever added/)
  const late = (await house.sql('SHOW VIEWS')).map(([name, , , , , count]) => [name, count])
  assert.deepEqual(Object.fromEntries(late), {
    dearest: 1,
    busiest: 1,
    closed: 1,
    final: 1,
    hours: 1,
    lone: 1,
    lone_closed: 1,
  })
})
