/** Sliding windows in TypeScript: after every prefix, through kills and power cuts, what DuckDB finds over all that came. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { z } from 'zod'
import { count, defineTopic, defineView, max, sum } from '../../src/dsl/index.ts'
import { testMillrace } from '../../src/testing.ts'
import { random } from '../flow/plans.ts'

let instance: DuckDBInstance
let duckdb: DuckDBConnection
before(async () => {
  instance = await DuckDBInstance.create(':memory:')
  duckdb = await instance.connect()
})
after(() => {
  duckdb.closeSync()
  instance.closeSync()
})

const clicks = defineTopic('clicks', {
  schema: z.object({ k: z.string(), n: z.int(), at: z.iso.datetime() }),
  eventTime: 'at',
  lateness: '10s',
})
const start = Date.UTC(2026, 0, 1)
const grouped = clicks.stream().window({ sliding: '2s' }).groupBy('k')
const shown = (rows: readonly object[]): string[] => rows.map((row) => JSON.stringify(row)).toSorted()

/** A window ends with each row, and one begins 1 ms behind it: those of them that have rows. */
const query = (where: string): string => `
  SELECT to_ms(e.t - 2000) AS window_start, to_ms(e.t + 1) AS window_end, e.k AS k,
    count(*)::int AS c, sum(r.n)::int AS total, max(r.n) AS top
  FROM (SELECT k, t FROM clicks UNION SELECT k, t + 2001 FROM clicks) e
  JOIN clicks r ON r.k = e.k AND r.t BETWEEN e.t - 2000 AND e.t
  ${where} GROUP BY ALL`

test('sliding windows, updated and on close, are what DuckDB finds', async (context) => {
  const seeds = Number(process.env['SEEDS'] ?? 4)
  const first = Number(process.env['SEED'] ?? 1)
  let compared = 0
  for (let seed = first; seed < first + seeds; seed++) {
    const next = random(seed)
    const stream = grouped.aggregate((row) => ({ c: count(), total: sum(row.n), top: max(row.n) }))
    const closed = grouped.aggregate((row) => ({ c: count(), total: sum(row.n), top: max(row.n) }), { emit: 'close' })
    const options = { parallelism: 1 + (seed % 3) }
    const views = [defineView('updated', stream, options), defineView('closed', closed, options)]
    await using millrace = await testMillrace({ seed, topics: [clicks], views })
    await duckdb.run(`CREATE OR REPLACE TABLE clicks (k VARCHAR, n INTEGER, t BIGINT);
      CREATE OR REPLACE MACRO to_ms(ms) AS strftime(make_timestamp(ms * 1000), '%Y-%m-%dT%H:%M:%S.%g') || 'Z'`)
    const asMs = (text: string): string => new Date(text).toISOString()
    let newest = -Infinity
    for (let i = 0; i < 60;) {
      const piece = Array.from({ length: 1 + Math.floor(next() * 9) }, () => ({
        k: 'ab'[Math.floor(next() * 2)]!,
        n: Math.floor(next() * 9),
        t: start + i++ * 300 - Math.floor(next() * 5) * 500,
      }))
      newest = Math.max(newest, ...piece.map(({ t }) => t))
      await millrace.topic(clicks).send(piece.map(({ k, n, t }) => ({ k, n, at: new Date(t).toISOString() })))
      await duckdb.run(`INSERT INTO clicks VALUES ${piece.map(({ k, n, t }) => `('${k}', ${n}, ${t})`).join(', ')}`)
      await millrace.sql('FLUSH')
      if (next() < 0.4) await millrace.crash(next() < 0.5 ? 'kill' : 'power')
      for (const [view, where] of [
        ['updated', ''],
        ['closed', `WHERE e.t <= ${newest - 10_000}`],
      ] as const) {
        const ours = await millrace.sql<{ window_start: string; window_end: string }>(`SELECT * FROM ${view}`)
        const theirs = await duckdb.runAndReadAll(query(where))
        assert.deepEqual(
          shown(
            ours.map((row) => ({ ...row, window_start: asMs(row.window_start), window_end: asMs(row.window_end) })),
          ),
          shown(theirs.getRowObjects()),
          `seed ${seed}, ${view} after ${i} rows`,
        )
        compared += ours.length
      }
    }
  }
  context.diagnostic(`${compared} rows compared`)
  assert.ok(compared > seeds * 500)
})

test('sliding windows of what cannot slide are refused', () => {
  const timeless = defineTopic('timeless', { schema: z.object({ k: z.string(), n: z.int() }), key: 'k' })
  const kept = defineTopic('kept', {
    schema: z.object({ k: z.string(), at: z.iso.datetime() }),
    key: 'k',
    eventTime: 'at',
  })
  const made = grouped.aggregate({ c: count() }, { emit: 'close' })
  const cases: readonly (readonly [() => unknown, RegExp])[] = [
    [() => clicks.stream().window({ sliding: '0s' }), /no time/],
    [() => clicks.stream().window({ sliding: 'soon' }), /sliding/],
    [() => timeless.stream().window({ sliding: '1m' }), /no event-time column/],
    [() => kept.table().window({ sliding: '1m' }).groupBy('k').aggregate({ c: count() }), /withdrawn/],
    [() => made.window({ sliding: '1m' }).groupBy('k').aggregate({ n: count() }), /under another name/],
    [
      () =>
        clicks
          .stream()
          .window({ sliding: '1m' })
          .groupBy('nobody' as 'k')
          .aggregate({ c: count() }),
      /does not exist/,
    ],
  ]
  for (const [make, message] of cases) assert.throws(make, message)
})
