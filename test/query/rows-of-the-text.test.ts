/** VALUES and SELECT without FROM inside queries of now: derived tables, WITH, joins, set operations. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type House, openHouse } from './house.ts'

let house: House
before(async () => {
  house = await openHouse()
  await house.sql(`CREATE STREAM s (k text, n int); CREATE TABLE items (k text PRIMARY KEY, price int);
    INSERT INTO s VALUES ('a', 1), ('b', 2), ('a', 3), (NULL, 4); INSERT INTO items VALUES ('a', 10)`)
})
after(() => house[Symbol.asyncDispose]())

for (const [query, rows] of [
  [
    `SELECT sum(x) AS s, avg(x)::text AS a, count(*) AS n FROM (VALUES (1), (2), (NULL)) AS t(x)`,
    [[3, '1.5000000000000000', 3]],
  ],
  [`SELECT count(*) AS n FROM (VALUES (1, 2), (3, 4)) AS t`, [[2]]],
  [
    `SELECT y, x || '!' AS x FROM (VALUES (1, 'a'), (2, 'b'), (2, NULL)) AS t(y, x) WHERE y = 2 ORDER BY x`,
    [
      [2, 'b!'],
      [2, null],
    ],
  ],
  [
    `SELECT s.n, l.label FROM s JOIN (VALUES ('a', 'Alpha'), ('b', 'Beta')) AS l(k, label) ON l.k = s.k ORDER BY n`,
    [
      [1, 'Alpha'],
      [2, 'Beta'],
      [3, 'Alpha'],
    ],
  ],
  [
    `WITH l(k, label) AS (VALUES ('a', 'Alpha')) SELECT n, label FROM s LEFT JOIN l USING (k) ORDER BY n`,
    [
      [1, 'Alpha'],
      [2, null],
      [3, 'Alpha'],
      [4, null],
    ],
  ],
  [`SELECT x + 1 AS y FROM (SELECT 41 AS x) q`, [[42]]],
  [`SELECT x FROM (SELECT 41 AS x WHERE false) q`, []],
  [`SELECT 1 AS x UNION ALL SELECT n FROM s WHERE n > 2 UNION ALL VALUES (9) ORDER BY x`, [[1], [3], [4], [9]]],
  [`SELECT 1 AS x INTERSECT SELECT n FROM s`, [[1]]],
  [`VALUES (1), (2) EXCEPT VALUES (2)`, [[1]]],
  [
    `SELECT k, row_number() OVER (ORDER BY v DESC) AS r FROM (VALUES ('x', 1.5), ('y', 2)) AS t(k, v) ORDER BY r`,
    [
      ['y', 1],
      ['x', 2],
    ],
  ],
  [
    `SELECT a.x, b.x AS z FROM (VALUES (1), (2)) AS a(x), (VALUES (3), (4)) AS b(x) ORDER BY 1, 2`,
    [
      [1, 3],
      [1, 4],
      [2, 3],
      [2, 4],
    ],
  ],
  [`SELECT a.x, b.x AS z FROM (VALUES (1), (2)) AS a(x) JOIN (VALUES (1), (2)) AS b(x) ON a.x < b.x`, [[1, 2]]],
  [`SELECT upper(k) AS u FROM (VALUES ($1), ($2)) AS t(k) ORDER BY 1`, [['P', 'Q']].flat().map((one) => [one])],
  [`SELECT price, d::text AS d FROM items CROSS JOIN (SELECT date '2026-01-31' + 1 AS d) q`, [[10, '2026-02-01']]],
] as const)
  test(query, async () => {
    const found = await house.sql(query, query.includes('$1') ? ['p', 'q'] : [])
    assert.deepEqual(JSON.parse(JSON.stringify(found)), rows)
  })

test('a view and a subscription have none', async () => {
  for (const query of ['SELECT * FROM (VALUES (1)) AS t(x)', 'SELECT 1 AS x', 'SELECT n FROM s UNION ALL SELECT 1'])
    await assert.rejects(house.sql(`CREATE MATERIALIZED VIEW v AS ${query}`), {
      code: 'sql.unsupported',
      hint: /INSERT them into a TABLE/,
    })
  await house.sql('CREATE VIEW plain AS SELECT * FROM (VALUES (1), (2)) AS t(x)')
  assert.deepEqual(await house.sql('SELECT sum(x)::int AS s FROM plain'), [[3]])
  await assert.rejects(house.sql('CREATE MATERIALIZED VIEW v AS SELECT x FROM plain'), { code: 'sql.unsupported' })
})
test('INSERT takes them', async () => {
  await house.sql(`INSERT INTO items SELECT k, n * 2 FROM (VALUES ('c', 3), ('d', 4)) AS t(k, n) WHERE n > 3`)
  assert.deepEqual(await house.sql(`SELECT price FROM items WHERE k IN ('c', 'd')`), [[8]])
  const plan = (await house.sql('EXPLAIN SELECT sum(x) FROM (VALUES (1), (2)) AS t(x)')).join('\n')
  assert.match(plan, /Rows of the text: 2\n/)
  const ran = (await house.sql('EXPLAIN ANALYZE SELECT sum(x) FROM (VALUES (1), (2)) AS t(x)')).join('\n')
  assert.match(ran, /Rows of the text: 2\n +reads column1 int\n +rows 2;/)
})
