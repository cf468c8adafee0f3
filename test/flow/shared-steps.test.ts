/** Equal steps of a query are one node of its graph, and the rows are the same as if each stood for itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Graph } from '../../src/flow/graph.ts'
import { sourcesOf, withInputs } from '../../src/flow/plan-facts.ts'
import type { Plan } from '../../src/flow/plan.ts'
import { plan } from '../sql/fixture.ts'
import { Bench, type Input } from './plans.ts'

const stream = `CREATE STREAM events (k bigint, v bigint, x double precision, t timestamp, WATERMARK FOR t AS t);`
const planOf = (query: string): Plan =>
  plan(`${stream} CREATE MATERIALIZED VIEW q WITH (allow_unbounded_state = true) AS ${query}`).views[0]!.plan
const options = { idleMs: Infinity, maxFutureMs: Infinity }
const kinds = (query: string): string[] => new Graph(planOf(query), options).nodes.map(({ kind }) => kind)

test('a count that is read twice is counted once', () => {
  const query = `WITH counted AS (SELECT k, count(*) AS n, window_end AS we FROM TUMBLE(events, t, INTERVAL '10 seconds')
      GROUP BY k, window_start, window_end),
    most AS (SELECT max(n) AS n, we FROM counted GROUP BY we)
    SELECT c.k, c.n FROM counted c JOIN most m ON c.we = m.we AND c.n >= m.n`
  const all = kinds(query)
  assert.deepEqual(
    all.filter((kind) => kind === 'aggregate' || kind === 'source' || kind === 'window'),
    ['source', 'window', 'aggregate', 'aggregate'],
  )
  assert.equal(sourcesOf(planOf(query)).length, 1)
})

test('steps that differ stay apart', () => {
  for (const [one, other] of [
    [`x < 'NaN'`, `x < 'Infinity'`],
    [`x > 0`, `x > 1`],
    [`x = '0'`, `x = '-0'`],
  ])
    assert.equal(
      kinds(`SELECT k FROM events WHERE ${one} UNION ALL SELECT k FROM events WHERE ${other}`).filter(
        (kind) => kind === 'filter',
      ).length,
      2,
      `${one}, ${other}`,
    )
})

test('state of a plan whose steps are not shared yet goes on where they are', () => {
  const both = 'SELECT k, v FROM events UNION ALL SELECT k, v FROM events'
  const shared = planOf(`SELECT k, sum(v) AS s FROM (${both}) x GROUP BY k`)
  const apart = (plan: Plan): Plan => withInputs(plan, (input) => structuredClone(apart(input)))
  const rows = (from: number): Input[] =>
    Array.from({ length: 6 }, (_, i) => ({ topic: 'events', partition: 0, value: { k: i % 2, v: from + i } }))
  const before = new Bench(apart(shared))
  before.step(rows(0))
  before.commit()
  const after = new Bench(shared)
  for (const { key, value } of before.changelog.values()) after.graph.restore(key, value)
  after.graph.commit()
  after.graph.restored('v')
  const straight = new Bench(shared)
  straight.step(rows(0))
  straight.commit()
  assert.deepEqual(after.step(rows(10)), straight.step(rows(10)))
})
