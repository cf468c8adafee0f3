/**
 * What is refused, or spelt as other systems do, says what to write here: that stands in the hint, and it runs. `says` is part
 * of the hint and of `instead`, so that a hint cannot be of something that does not work.
 */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { SqlFault } from '../../src/sql/fault.ts'
import { testMillrace } from '../../src/testing.ts'

let millrace: Awaited<ReturnType<typeof testMillrace>>
before(async () => {
  millrace = await testMillrace()
  await millrace.sql(`
    CREATE STREAM s (k text, n int, u uuid, i interval, j jsonb, t timestamp, a text[], b boolean, WATERMARK FOR t AS t);
    CREATE STREAM o (k text, n int, t timestamp, WATERMARK FOR t AS t);
    CREATE TABLE items (k text PRIMARY KEY, name text, price int);
    CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS c FROM s GROUP BY k;
    INSERT INTO s VALUES ('a', 1, NULL, '1 hour', '{"a": {"b": "x"}}', '2026-01-01 00:00:00', '{x,y}', true),
      ('b', 2, NULL, '2 hours', '{"a": [1, 2]}', '2026-01-01 00:01:00', '{z,NULL}', false)`)
})
after(() => millrace.close())

interface Advice {
  readonly wrong: string
  /** Of the sentence. */
  readonly message: RegExp
  readonly says: string
  readonly instead: string
}
const advice: readonly Advice[] = [
  {
    wrong: 'SELECT k, (SELECT max(price) FROM items WHERE items.k = s.k) FROM s',
    message: /cannot use "s" of the query around it/,
    says: 'LEFT JOIN (SELECT k, max(price) AS top FROM items GROUP BY k) AS m ON m.k = s.k',
    instead: 'SELECT s.k, m.top FROM s LEFT JOIN (SELECT k, max(price) AS top FROM items GROUP BY k) AS m ON m.k = s.k',
  },
  {
    wrong: 'CREATE STREAM g (a int, b int GENERATED ALWAYS AS (a + 1), c int GENERATED ALWAYS AS (b + 1))',
    message: /column "b" is generated: another generated column cannot use it/,
    says: '(a + 1)',
    instead: 'CREATE STREAM g (a int, b int GENERATED ALWAYS AS (a + 1), c int GENERATED ALWAYS AS ((a + 1) + 1))',
  },
  {
    wrong: 'CREATE MATERIALIZED VIEW w AS SELECT s.k, items.name FROM s JOIN items ON s.k = items.k',
    message: /a join of a stream and a table keeps the whole stream/,
    says: 'JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k',
    instead:
      'CREATE MATERIALIZED VIEW w1 AS SELECT s.k, i.name FROM s JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k',
  },
  {
    wrong: 'CREATE MATERIALIZED VIEW w AS SELECT k FROM s WHERE k IN (SELECT k FROM items)',
    message: /a join of a stream and a table/,
    says: 'FOR SYSTEM_TIME AS OF s.t',
    instead: 'CREATE MATERIALIZED VIEW w2 AS SELECT s.k FROM s JOIN items FOR SYSTEM_TIME AS OF s.t AS i ON i.k = s.k',
  },
  {
    wrong: 'SELECT min(u) FROM s',
    message: /min\(uuid\) does not exist/,
    says: 'min(x::text)',
    instead: 'SELECT min(x::text) FROM (SELECT u AS x FROM s) q',
  },
  {
    wrong: 'SELECT max(b) FROM s',
    message: /max\(boolean\)/,
    says: 'bool_or(x)',
    instead: 'SELECT bool_or(x) FROM (SELECT b AS x FROM s) q',
  },
  {
    wrong: 'SELECT avg(i) FROM s',
    message: /avg\(interval\) does not exist/,
    says: 'avg(extract(epoch FROM x))',
    instead: 'SELECT avg(extract(epoch FROM x)) FROM (SELECT i AS x FROM s) q',
  },
  {
    wrong: 'SELECT sum(k) FROM s',
    message: /sum\(text\) does not exist/,
    says: 'sum(x::double precision)',
    instead: `SELECT sum(x::double precision) FROM (SELECT '1' AS x FROM s) q`,
  },
  {
    wrong: 'SELECT sum(n, n) FROM s',
    message: /sum\(int, int\)/,
    says: 'sum(x)',
    instead: 'SELECT sum(x) FROM (SELECT n AS x FROM s) q',
  },
  {
    wrong: 'SELECT k FROM s WHERE (k, n) IN (SELECT k, price FROM items)',
    message: /of a row is not supported/,
    says: 'WHERE EXISTS (SELECT 1 FROM items i WHERE i.k = s.k AND i.price = s.n)',
    instead: 'SELECT k FROM s WHERE EXISTS (SELECT 1 FROM items i WHERE i.k = s.k AND i.price = s.n)',
  },
  {
    wrong: `SELECT k FROM s WHERE (k, n) < ('a', 1)`,
    message: /rows compared by </,
    says: 'a < x OR (a = x AND b < y)',
    instead: `SELECT k FROM (SELECT k, k AS a, n AS b, 'a' AS x, 1 AS y FROM s) q WHERE a < x OR (a = x AND b < y)`,
  },
  {
    wrong: 'CREATE STREAM "a b" (x int)',
    message: /"a b" cannot be a topic name/,
    says: `WITH (topic = 'name')`,
    instead: `CREATE STREAM "a b" (x int) WITH (topic = 'name')`,
  },
  {
    wrong: 'CREATE MATERIALIZED VIEW w WITH (state_ttl = 60) AS SELECT k, count(*) AS c FROM s GROUP BY k',
    message: /state_ttl must be a duration/,
    says: '',
    instead: `CREATE MATERIALIZED VIEW w3 WITH (state_ttl = '1h') AS SELECT k, count(*) AS c FROM s GROUP BY k`,
  },
  {
    wrong: 'CREATE SAVEPOINT p FOR s',
    message: /"s" is a stream: savepoints are of materialized views/,
    says: '',
    instead: 'CREATE SAVEPOINT p FOR v',
  },
  { wrong: 'SHOW COLUMNS FROM s', message: /no setting/, says: 'DESCRIBE', instead: 'DESCRIBE s' },
]
for (const { wrong, message, says, instead } of advice)
  test(wrong, async () => {
    await assert.rejects(millrace.sql(wrong), (fault: unknown) => {
      assert.ok(fault instanceof SqlFault, `${String(fault)} has no place`)
      assert.match(fault.message, message)
      assert.ok(fault.hint.includes(says), fault.hint)
      return true
    })
    assert.ok(instead.includes(says), 'what is said is what runs')
    await millrace.sql(instead)
  })

/** What others write and is written so here, too, with what it gives. */
const taken: readonly (readonly [string, unknown])[] = [
  [`SELECT j['a'] AS x FROM s WHERE n = 1`, [{ x: { b: 'x' } }]],
  [
    `SELECT j['a']['b'] AS x, j['a'][1] AS y FROM s ORDER BY n`,
    [
      { x: 'x', y: null },
      { x: null, y: 2 },
    ],
  ],
  [`SELECT n FROM s WHERE (k, n) IN (('a', 1), ('b', 1))`, [{ n: 1 }]],
  [`SELECT n FROM s WHERE (k, n) NOT IN (('a', 1), ('b', 1))`, [{ n: 2 }]],
  ['SHOW CREATE items', [{ name: 'items', sql: 'CREATE TABLE items (k text PRIMARY KEY, name text, price int)' }]],
  [
    'SHOW CREATE MATERIALIZED VIEW v',
    [{ name: 'v', sql: 'CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS c FROM s GROUP BY k' }],
  ],
]
for (const [text, rows] of taken) test(text, async () => assert.deepEqual(await millrace.sql(text), rows))
