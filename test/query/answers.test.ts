/** What a value looks like in an answer: the same as in the topic of a view, and every digit of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { stringifyJson } from '../../src/schema/json-text.ts'
import { encodeBatch } from '../../src/log/batch.ts'
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
