/** What random queries found wrong: each as small as it gets. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Bench } from '../flow/plans.ts'
import { plan } from '../sql/fixture.ts'

const { relations } = plan(`
  CREATE STREAM s (id int, k int, b bigint, m numeric(12,2), u numeric, x double precision, t text, f boolean,
    c STRUCT<a int, b text>, at timestamptz, WATERMARK FOR at AS at - INTERVAL '1 hour');
  CREATE TABLE t (id int PRIMARY KEY, k int, x double precision, t text);`)
type Row = Readonly<Record<string, unknown>>
/** What a view of the query holds after these rows, as JSON texts. */
function kept(query: string, rows: { readonly s?: readonly Row[]; readonly t?: readonly Row[] }): string[] {
  const text = `CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS ${query}`
  const bench = new Bench(plan(text, relations).views[0]!.plan)
  for (const row of rows.t ?? []) bench.step([{ topic: 't', partition: 0, key: String(row['id']), value: row }])
  for (const row of rows.s ?? [])
    bench.step([{ topic: 's', partition: 0, value: { at: '2024-03-01T10:00:00Z', ...row } }])
  assert.deepEqual(bench.failed, [])
  return [...bench.sum()].flatMap(([row, weight]) => Array.from({ length: weight }, () => row)).toSorted()
}

test('a field of a composite column on the right side of a join', () => {
  const s = [
    { id: 1, c: { a: 1 } },
    { id: 2, c: { a: 7 } },
  ]
  assert.deepEqual(
    kept('SELECT s.id FROM t JOIN s ON t.k = s.id WHERE (s.c).a > 5', {
      s,
      t: [
        { id: 1, k: 1 },
        { id: 2, k: 2 },
      ],
    }),
    ['[2]'],
  )
  assert.deepEqual(kept('SELECT s.id FROM t JOIN s ON t.k = (s.c).a', { s, t: [{ id: 1, k: 7 }] }), ['[2]'])
})

test('USING: the merged column stands first and alone, each side has its own under its name', () => {
  const rows = {
    s: [{ id: 1, k: 5, t: 'a' }],
    t: [
      { id: 1, k: 7, t: 'x' },
      { id: 2, k: 8, t: 'y' },
    ],
  }
  const both = 'SELECT id, a.id AS l, b.id AS r'
  assert.deepEqual(kept(`${both} FROM s a RIGHT JOIN t b USING (id)`, rows), ['[1,1,1]', '[2,null,2]'])
  assert.deepEqual(kept(`${both} FROM t a LEFT JOIN s b USING (id)`, rows), ['[1,1,1]', '[2,2,null]'])
  assert.deepEqual(kept(`${both} FROM s a FULL JOIN t b USING (id)`, rows), ['[1,1,1]', '[2,null,2]'])
  assert.deepEqual(
    kept('SELECT * FROM (SELECT k AS q, id FROM s) a RIGHT JOIN (SELECT k, id FROM t) b USING (id)', rows),
    ['[1,5,7]', '[2,null,8]'],
  )
  assert.deepEqual(kept('SELECT b.* FROM (SELECT id FROM s) a JOIN (SELECT k, id FROM t) b USING (id)', rows), [
    '[7,1]',
  ])
  assert.deepEqual(kept('SELECT a.*, b.k FROM (SELECT id FROM s) a RIGHT JOIN t b USING (id)', rows), [
    '[1,7]',
    '[null,8]',
  ])
  // A number that is wider on the other side.
  assert.deepEqual(kept('SELECT id FROM (SELECT 1::numeric AS id FROM s) a FULL JOIN t b USING (id)', rows), [
    '[{"digits":"1n","scale":0}]',
    '[{"digits":"2n","scale":0}]',
  ])
  const three =
    'SELECT id, a.id AS x, b.id AS y, c.id AS z FROM s a FULL JOIN t b USING (id) FULL JOIN (SELECT 3 AS id FROM s) c USING (id)'
  assert.deepEqual(kept(three, rows), ['[1,1,1,null]', '[2,null,2,null]', '[3,null,null,3]'])
})

test('numbers that come as texts may be written with escapes', () => {
  const s = [
    '{"x":"\\u004eaN","at":0}',
    '{"x":"-Infinit\\u0079","b":"\\u0031\\u0037","at":0}',
    '{"b":"-9223372036854775808","at":0}',
  ]
  const bench = new Bench(plan('CREATE MATERIALIZED VIEW v AS SELECT x, b FROM s', relations).views[0]!.plan)
  bench.step(s.map((value) => ({ topic: 's', partition: 0, value })))
  assert.equal(bench.invalid, 0)
  assert.deepEqual([...bench.sum().keys()], ['["NaN",null]', '["-Infinity",17]', '[null,"-9223372036854775808n"]'])
})

test('a join by numerics of different scales, whichever side comes later', () => {
  const query = 'SELECT b.id FROM (SELECT floor(u) AS c FROM s) a JOIN (SELECT id, u FROM s) b ON a.c = b.u'
  assert.deepEqual(
    kept(query, {
      s: [
        { id: 1, u: 1 },
        { id: 2, u: '1.00' },
      ],
    }),
    ['[1]', '[1]', '[2]', '[2]'],
  )
  assert.deepEqual(
    kept('SELECT a.id FROM s a JOIN s b ON a.u = b.m', {
      s: [
        { id: 1, m: 1, u: '1.000' },
        { id: 2, u: '1.0' },
      ],
    }),
    ['[1]', '[2]'],
  )
})
