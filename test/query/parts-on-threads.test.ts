/** What is done to a view from outside while parts of its steps are on other threads: another query, savepoints, what is shown of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { feedEvents, openNexmark } from '../../bench/nexmark/engine.ts'
import { nexmarkEvents } from '../../bench/nexmark/generate.ts'
import type { Running } from '../../src/node/millrace.ts'

const events = [...nexmarkEvents({ events: 6_000, seed: 5, rate: 500 })]
const bidders = `SELECT (bid).bidder AS bidder, count(*) AS n, count(DISTINCT (bid).auction) AS auctions, max((bid).url) AS url
  FROM events WHERE event_type = 2 GROUP BY (bid).bidder`
const make = (name: string, parts: number, query: string, start = ''): string =>
  `CREATE OR REPLACE MATERIALIZED VIEW ${name} WITH (allow_unbounded_state = true, parallelism = ${parts}) AS ${query} ${start}; FLUSH`
async function rowsOf(running: Running, name: string): Promise<string[]> {
  const lines: string[] = []
  for await (const row of (await running.engine.run(`SELECT * FROM ${name}`)).rows)
    lines.push(row.map(String).join(' | '))
  return lines.sort()
}
const same = async (running: Running, what: string): Promise<void> => {
  const [one, several] = [await rowsOf(running, 'one'), await rowsOf(running, 'several')]
  assert.ok(one.length > 3, `${what}: ${one.length} rows`)
  assert.deepEqual(several, one, what)
}

test('a changed query goes on from the state of parts on other threads, and back from a savepoint of them', async () => {
  const running = await openNexmark(':memory:', {}, { workers: '3' })
  try {
    await feedEvents(running, events.slice(0, 2_000), { closes: false })
    await running.engine.run(make('several', 3, bidders))
    await running.engine.run('CREATE SAVEPOINT before FOR several')
    // Of all its columns: of less, the step before would be another.
    const more = `SELECT n, count(*) AS bidders, max(auctions) AS most, max(bidder) AS last, min(url) AS url FROM (${bidders}) GROUP BY n`
    await running.engine.run(make('several', 3, more, 'START FROM RESUME'))
    await running.engine.run(make('one', 1, more))
    await same(running, 'after another query')
    await feedEvents(running, events.slice(2_000, 4_000), { closes: false })
    await running.engine.run('FLUSH')
    await same(running, 'after more events')
    await running.engine.run(make('one', 1, bidders))
    await running.engine.run(make('several', 2, bidders, 'START FROM SAVEPOINT before'))
    await feedEvents(running, events.slice(4_000), { closes: false })
    await running.engine.run('FLUSH')
    await same(running, 'from a savepoint')
  } finally {
    await running.close()
  }
})
