/** What operators say they have given: always the sum of what they gave. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rowsOf } from '../../src/flow/batch.ts'
import type { Plan } from '../../src/flow/plan.ts'
import { type Input, Bench, random, sorted, total } from './plans.ts'
import { plan } from '../sql/fixture.ts'

const relations = `CREATE STREAM s (id int NOT NULL, k text, n int); CREATE STREAM r (id int, k text, n int);
  CREATE TABLE t (id int PRIMARY KEY, k text, n int); CREATE TABLE u (id int PRIMARY KEY, k text, n int);`
const queries: Readonly<Record<string, string>> = {
  'GROUP BY': 'SELECT k, count(*) AS c, sum(n) AS s, max(n) AS m, count(DISTINCT n) AS d FROM t GROUP BY k',
  'GROUP BY of a stream': 'SELECT k, count(*) AS c, min(n) AS m FROM s GROUP BY k',
  'one group': 'SELECT count(*) AS c, sum(n) AS s FROM t',
  table: 'SELECT * FROM t',
  'inner join': 'SELECT t.id, u.n FROM t JOIN u ON t.k = u.k AND t.n < u.n',
  'inner join of streams': 'SELECT s.id, r.n FROM s JOIN r ON s.k = r.k',
  'left join': 'SELECT s.id, u.n FROM s LEFT JOIN u ON s.id = u.id',
  'full join': 'SELECT t.id, u.n FROM t FULL JOIN u ON t.id = u.id',
  semi: 'SELECT id FROM t WHERE k IN (SELECT k FROM u)',
  anti: 'SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.id = t.id)',
  'top of a stream': `SELECT * FROM (SELECT id, k, n, row_number() OVER (PARTITION BY k ORDER BY n DESC) AS r FROM s) x WHERE r <= 3`,
  'top of a table': `SELECT * FROM (SELECT id, k, n, row_number() OVER (PARTITION BY k ORDER BY n) AS r FROM t) x WHERE r <= 2`,
  'first on conflict': 'SELECT id, k, n FROM t ON CONFLICT DO NOTHING',
  'last on conflict': 'SELECT id, k, n FROM t ON CONFLICT DO DEDUPLICATE',
  'last of a stream on conflict': 'SELECT id, k, n FROM s ON CONFLICT DO DEDUPLICATE',
  changelog: `SELECT * FROM FROM_CHANGELOG(input => TABLE s PARTITION BY id, op => DESCRIPTOR(k),
    op_mapping => MAP['k0', 'INSERT', 'k1', 'UPDATE_AFTER', 'k2', 'DELETE'], error_handling => 'SKIP')`,
  over: 'SELECT id, k, sum(n) OVER (PARTITION BY k ORDER BY id) AS s, rank() OVER (PARTITION BY k ORDER BY n) AS r FROM t',
}
const planOf = (query: string): Plan => {
  const key = query.includes('ON CONFLICT') ? ' (PRIMARY KEY (k))' : ''
  const text = `${relations} CREATE MATERIALIZED VIEW v${key} WITH (allow_unbounded_state = true) AS ${query}`
  return plan(text).views.at(-1)!.plan
}
/** The plan of the last operator that has tables: what is behind it only turns rows around. */
function stateful(of: Plan): Plan {
  return of.op === 'project' ? stateful(of.input) : of
}
for (const [name, query] of Object.entries(queries))
  test(name, () => {
    for (let seed = 1; seed <= 15; seed++) {
      const next = random(seed)
      const int = (below: number): number => Math.floor(next() * below)
      const of = stateful(planOf(query))
      const bench = new Bench(of)
      for (let tick = 0; tick < 4; tick++) {
        const input = Array.from({ length: int(30) }, (): Input => {
          const topic = 'srtu'[int(4)]!
          const id = int(8)
          const gone = (topic === 't' || topic === 'u') && int(5) === 0
          const value = gone ? null : { id, k: int(6) === 0 ? null : `k${int(3)}`, n: int(5) }
          return { topic, partition: 0, key: String(id), value }
        })
        bench.step(input)
        bench.commit()
        if (tick === 2) bench.restart()
        const node = bench.graph.nodes.at(-1)!
        const types = of.columns.map(({ type }) => type)
        const content = node.operator!.content!(node.tables)
        const rows = content.count === 0 ? [] : rowsOf(content, types)
        assert.deepEqual(sorted(total(rows)), sorted(bench.sum()), `seed ${seed}, tick ${tick}`)
      }
    }
  })
test('where state does not say what was given, nothing is said', () => {
  for (const query of [
    'SELECT t.id, u.n FROM t LEFT JOIN u ON t.k = u.k',
    'SELECT id FROM t WHERE NOT EXISTS (SELECT 1 FROM u WHERE u.k = t.k)',
    `SELECT k, count(*) AS c, window_end FROM TUMBLE(s, _timestamp, INTERVAL '1 minute') GROUP BY k, window_start, window_end`,
  ]) {
    const of = stateful(planOf(query))
    assert.equal(new Bench(of).graph.nodes.at(-1)!.operator!.content, undefined, query)
  }
})
