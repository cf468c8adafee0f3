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
    says: `WITH (topic = 'a_b')`,
    instead: `CREATE STREAM "a b" (x int) WITH (topic = 'a_b')`,
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

/** Spelt as others do: the hint holds the whole statement, or `says`. */
const spellings: readonly Advice[] = [
  ['CREATE TABLE t2 AS SELECT k FROM s', 'CREATE MATERIALIZED VIEW name AS SELECT k FROM s'],
  [
    'CREATE STREAM t2 WITH (partitions = 1) AS SELECT k FROM s',
    'CREATE MATERIALIZED VIEW name AS SELECT k FROM s',
    'DROP VIEW name; CREATE MATERIALIZED VIEW name AS SELECT k FROM s',
  ],
  [`CREATE SOURCE src (a int) WITH (connector = 'kafka')`, `CREATE STREAM src (a int) WITH (topic = 'src')`],
  ['CREATE SINK snk FROM v', 'CREATE MATERIALIZED VIEW snk AS SELECT k FROM s'],
  ['CREATE INDEX i ON items (k)', 'CREATE MATERIALIZED VIEW byk AS SELECT k, count(*) AS c FROM s GROUP BY k'],
  ['CREATE TYPE p AS (x int)', 'c STRUCT<x int, y text>', 'CREATE STREAM typed (c STRUCT<x int, y text>)'],
  [
    'CREATE STREAM q (a int, b AS a + 1)',
    'b int GENERATED ALWAYS AS (a + 1)',
    'CREATE STREAM q1 (a int, b int GENERATED ALWAYS AS (a + 1))',
  ],
  [
    'CREATE STREAM q (a int, p AS PROCTIME())',
    'JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k',
    'SELECT s.k, i.name FROM s JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k',
  ],
  ['CREATE STREAM q (a int, m map<text, int>)', 'm jsonb', 'CREATE STREAM q2 (a int, m jsonb)'],
  ['CREATE STREAM q (a array<text>)', 'text[]', 'CREATE STREAM q3 (a text[])'],
  ['CREATE STREAM q (a tinyint)', 'smallint', 'CREATE STREAM q4 (a smallint)'],
  ['CREATE STREAM q (a datetime)', 'timestamp', 'CREATE STREAM q5 (a timestamp)'],
  [
    'CREATE STREAM q (t timestamp, WATERMARK FOR t)',
    `WATERMARK FOR t AS t - INTERVAL '5 seconds'`,
    `CREATE STREAM q6 (t timestamp, WATERMARK FOR t AS t - INTERVAL '5 seconds')`,
  ],
  [`CREATE STREAM q (a int) WITH (kafka_topic = 'q')`, `topic = 'q'`, `CREATE STREAM q7 (a int) WITH (topic = 'q')`],
  [
    `CREATE STREAM q (a int) WITH (value_format = 'json')`,
    `format = 'json'`,
    `CREATE STREAM q8 (a int) WITH (format = 'json')`,
  ],
  [
    `CREATE STREAM q (a int) WITH ('connector' = 'kafka')`,
    `WITH (topic = 'q')`,
    `CREATE STREAM q9 (a int) WITH (topic = 'q')`,
  ],
  ['SELECT k, n FROM s EMIT CHANGES', 'SELECT k, n FROM s'],
  [
    'CREATE MATERIALIZED VIEW e AS SELECT k, count(*) AS c FROM s GROUP BY k EMIT CHANGES',
    'Leave it out',
    'CREATE MATERIALIZED VIEW e AS SELECT k, count(*) AS c FROM s GROUP BY k -- Leave it out',
  ],
  [
    `CREATE MATERIALIZED VIEW f AS SELECT window_start, count(*) AS c FROM TUMBLE(s, t, INTERVAL '1 minute') GROUP BY window_start, window_end EMIT FINAL`,
    'EMIT ON WINDOW CLOSE',
    `CREATE MATERIALIZED VIEW f AS SELECT window_start, count(*) AS c FROM TUMBLE(s, t, INTERVAL '1 minute') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE`,
  ],
  [
    'SELECT k, count(*) FROM s WINDOW TUMBLING (SIZE 1 MINUTE) GROUP BY k',
    `SELECT window_start, k, count(*) AS c FROM TUMBLE(s, t, INTERVAL '1 minute') GROUP BY window_start, window_end, k`,
  ],
  [
    'SELECT k, count(*) FROM s WINDOW HOPPING (SIZE 1 MINUTE) GROUP BY k',
    `SELECT window_start, k, count(*) AS c FROM HOP(s, t, INTERVAL '10 seconds', INTERVAL '1 minute') GROUP BY window_start, window_end, k`,
  ],
  [
    'SELECT k, count(*) FROM s WINDOW SESSION (1 MINUTE) GROUP BY k',
    `SELECT window_start, k, count(*) AS c FROM SESSION(s, t, INTERVAL '1 minute', k) GROUP BY window_start, window_end, k`,
  ],
  [
    `SELECT count(*) FROM s GROUP BY TUMBLE(t, INTERVAL '1' MINUTE)`,
    `SELECT window_start, count(*) AS c FROM TUMBLE(s, t, INTERVAL '1 minute') GROUP BY window_start, window_end`,
  ],
  [
    `SELECT TUMBLE_START(t, INTERVAL '1' MINUTE) FROM s`,
    `SELECT window_start, count(*) AS c FROM TUMBLE(s, t, INTERVAL '1 minute') GROUP BY window_start, window_end`,
  ],
  ['DESCRIBE EXTENDED v', 'DESCRIBE v'],
  ['SELECT TIMESTAMPADD(DAY, 1, t) FROM s', `t + INTERVAL '1 day'`, `SELECT t + INTERVAL '1 day' FROM s`],
  [
    'SELECT TIMESTAMPDIFF(SECOND, t, t) FROM s',
    'extract(epoch FROM t - t0)',
    'SELECT extract(epoch FROM t - t0) FROM (SELECT t, t AS t0 FROM s) q',
  ],
  ['CREATE STREAM q (k text KEY, n int)', `CREATE STREAM keyed (k text, n int) WITH (key = 'k')`],
  ['SELECT k FROM s SAMPLE 0.1', `WHERE md5(k) < '1a'`, `SELECT k FROM s WHERE md5(k) < '1a'`],
  ['SELECT to_timestamp_ltz(n, 3) FROM s', 'to_timestamp(n / 1000.0)', 'SELECT to_timestamp(n / 1000.0) FROM s'],
  ['SELECT parse_json(k) FROM s', 'k::jsonb', `SELECT k::jsonb FROM (SELECT '1' AS k FROM s) q`],
  ['SELECT random()', 'volatile', 'SELECT 1 -- volatile'],
  [
    'CREATE MATERIALIZED VIEW ne AS SELECT k FROM s WHERE NOT EXISTS (SELECT 1 FROM o WHERE o.k = s.k)',
    `LEFT JOIN b ON b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 hour' WHERE b.k IS NULL`,
    `CREATE MATERIALIZED VIEW ne AS WITH b AS (SELECT * FROM o) SELECT a.k FROM s AS a LEFT JOIN b ON b.k = a.k AND b.t BETWEEN a.t AND a.t + INTERVAL '1 hour' WHERE b.k IS NULL`,
  ],
  [
    `SELECT count(*) FROM TUMBLE((SELECT DISTINCT ON (k) k, t, n FROM s ORDER BY k, n), t, INTERVAL '1 minute') GROUP BY window_start`,
    `GROUP BY date_bin('1 minute', t, '2000-01-01')`,
    `SELECT count(*) FROM (SELECT DISTINCT ON (k) k, t, n FROM s ORDER BY k, n) q GROUP BY date_bin('1 minute', t, '2000-01-01')`,
  ],
  [
    'ALTER MATERIALIZED VIEW v SET (parallelism = 2)',
    'CREATE OR REPLACE MATERIALIZED VIEW v WITH (parallelism = 2) AS SELECT k, count(*) AS c FROM s GROUP BY k',
    'CREATE OR REPLACE MATERIALIZED VIEW v WITH (parallelism = 2) AS SELECT k, count(*) AS c FROM s GROUP BY k; DROP VIEW v; CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS c FROM s GROUP BY k',
  ],
  ['ALTER MATERIALIZED VIEW v SUSPEND', 'ALTER MATERIALIZED VIEW v PAUSE'],
  ['PAUSE v', 'ALTER MATERIALIZED VIEW v PAUSE'],
  ['RESUME v', 'ALTER MATERIALIZED VIEW v RESUME'],
  ['TERMINATE v', 'DROP MATERIALIZED VIEW v', 'DROP MATERIALIZED VIEW w3; -- DROP MATERIALIZED VIEW v'],
  ['LIST STREAMS', 'SHOW STREAMS'],
  ['SELEC 1', 'SELECT', 'SELECT 1'],
  ['PRINT s', 'SELECT * FROM s'],
  [`UPDATE items SET name = 'new'`, `INSERT INTO items VALUES ('a', 'new', 2)`],
  ['DELETE FROM s', `WITH ('retention.ms' = 86400000)`, `CREATE STREAM kept (a int) WITH ('retention.ms' = 86400000)`],
  ['SELECT TOP 5 k FROM s', 'SELECT k FROM s LIMIT 5'],
  [
    'SELECT k FROM s QUALIFY row_number() OVER (PARTITION BY k ORDER BY t) = 1',
    'SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY t) AS r FROM s) AS q WHERE r = 1',
  ],
  [
    'SELECT k FROM s WHERE n > 0 QUALIFY row_number() OVER (PARTITION BY k ORDER BY t) = 1',
    'SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY t) AS r FROM s) AS q WHERE r = 1',
  ],
  [
    'SELECT k FROM s LIMIT 5 BY k',
    'SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY t) AS r FROM s) AS q WHERE r <= 5',
  ],
  ['SELECT * EXCEPT (t) FROM s', 'SELECT k, n FROM s'],
  ['SELECT * EXCLUDE (t) FROM s', 'SELECT k, n FROM s'],
  ['SELECT k, count(*) FROM s GROUP BY ALL', 'GROUP BY 1', 'SELECT k, count(*) FROM s GROUP BY 1'],
  ['SELECT k FROM s WHERE k = ?', 'WHERE k = $1', undefined],
  ['SELECT k FROM s WHERE k=?', '$1', undefined],
  [
    'SELECT k FROM s WHERE k = ANY (SELECT k FROM items)',
    'k IN (SELECT k FROM items)',
    'SELECT k FROM s WHERE k IN (SELECT k FROM items)',
  ],
  ['SELECT k FROM s WHERE n > ANY (a)', 'n < ANY (ARRAY[1, 2])', 'SELECT k FROM s WHERE n < ANY (ARRAY[1, 2])'],
  ['SELECT k FROM s WHERE n = ANY (n)', '= ANY (ARRAY[1, 2])', 'SELECT k FROM s WHERE n = ANY (ARRAY[1, 2])'],
  [`SELECT JSON_VALUE(j, '$.a') FROM s`, `j ->> 'a'`, `SELECT j ->> 'a', j #>> '{a,b}' FROM s`],
  [`SELECT json_extract(j, '$.a') FROM s`, `j #>> '{a,b}'`, `SELECT j ->> 'a', j #>> '{a,b}' FROM s`],
  [`SELECT JSON_OBJECT('a': 1)`, `jsonb_build_object('a', n)`, `SELECT jsonb_build_object('a', n) FROM s`],
  [
    `SELECT jsonb_build_object('a') FROM s`,
    `jsonb_build_object('a', 1, 'b', n)`,
    `SELECT jsonb_build_object('a', 1, 'b', n) FROM s`,
  ],
  ['SELECT unnest(a) FROM s', 'a[1]', 'SELECT a[1] FROM s'],
  ['SELECT k FROM s, unnest(a) x', 'a[1]', 'SELECT a[1] FROM s'],
  ['SELECT k, latest_by_offset(n) FROM s GROUP BY k', 'SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, t DESC'],
  ['SELECT k, last_value(n) FROM s GROUP BY k', 'SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, t DESC'],
  ['SELECT k, arg_max(n, t) FROM s GROUP BY k', 'SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, n DESC'],
  ['SELECT k, max_by(n, t) FROM s GROUP BY k', 'SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, n DESC'],
  [`SELECT array_contains(a, 'x') FROM s`, `'x' = ANY (a)`, `SELECT 'x' = ANY (a) FROM s`],
  [`SELECT ifnull(k, 'x') FROM s`, `coalesce(k, 'x')`, `SELECT coalesce(k, 'x') FROM s`],
  [
    `SELECT if(n > 1, 'a', 'b') FROM s`,
    `CASE WHEN n > 1 THEN 'a' ELSE 'b' END`,
    `SELECT CASE WHEN n > 1 THEN 'a' ELSE 'b' END FROM s`,
  ],
  ['SELECT len(k) FROM s', 'length(k)', 'SELECT length(k) FROM s'],
  ['SELECT count_if(n > 1) FROM s', 'count(*) FILTER (WHERE n > 1)', 'SELECT count(*) FILTER (WHERE n > 1) FROM s'],
  ['SELECT approx_count_distinct(k) FROM s', 'count(DISTINCT k)', 'SELECT count(DISTINCT k) FROM s'],
  ['SELECT any_value(k) FROM s', 'min(k)', 'SELECT min(k) FROM s'],
  [
    `SELECT date_format(t, 'yyyy') FROM s`,
    `to_char(t, 'YYYY-MM-DD HH24:MI')`,
    `SELECT to_char(t, 'YYYY-MM-DD HH24:MI') FROM s`,
  ],
  ['SELECT from_unixtime(n) FROM s', 'to_timestamp(n)', 'SELECT to_timestamp(n) FROM s'],
  ['SELECT unix_timestamp(t) FROM s', 'extract(epoch FROM t)', 'SELECT extract(epoch FROM t) FROM s'],
  [
    `SELECT datediff('day', t, t) FROM s`,
    'extract(epoch FROM t - t0) / 86400',
    'SELECT extract(epoch FROM t - t0) / 86400 FROM (SELECT t, t AS t0 FROM s) q',
  ],
  [`SELECT date_add(t, 1) FROM s`, `t + INTERVAL '1 day'`, `SELECT t + INTERVAL '1 day' FROM s`],
  [
    'SELECT try_cast(k AS int) FROM s',
    `CASE WHEN k ~ '^[0-9]+$' THEN k::int END`,
    `SELECT CASE WHEN k ~ '^[0-9]+$' THEN k::int END FROM s`,
  ],
  ['SELECT group_concat(k) FROM s', 'count(DISTINCT k)', 'SELECT max(k), count(DISTINCT k) FROM s'],
  [
    'SELECT k FROM s FOR SYSTEM_TIME AS OF PROCTIME()',
    'SELECT s.k, i.name FROM s JOIN items FOR SYSTEM_TIME AS OF PROCTIME() AS i ON i.k = s.k',
  ],
  ['ALTER TABLE items ADD COLUMN x int', 'DROP TABLE', undefined],
].map(([wrong, says, instead = says === 'DROP TABLE' || says!.includes('$1') ? '' : says]) => ({
  wrong: wrong!,
  message: /./,
  says: says!,
  instead: instead!,
}))
for (const { wrong, says, instead } of spellings)
  test(`elsewhere: ${wrong}`, async () => {
    await assert.rejects(millrace.sql(wrong), (fault: unknown) => {
      assert.ok(fault instanceof SqlFault, `${String(fault)} has no place`)
      assert.ok(fault.hint.includes(says), fault.hint)
      return true
    })
    if (instead === '') return
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
  [
    `SELECT n, 'x' = ANY (a) AS x, 'y' <> ALL (a) AS y FROM s ORDER BY n`,
    [
      { n: 1, x: true, y: false },
      { n: 2, x: null, y: null },
    ],
  ],
  [`SELECT n FROM s WHERE k = ANY ('{a,c}')`, [{ n: 1 }]],
  [`SELECT n FROM s WHERE k = ANY (string_to_array('b,c', ','))`, [{ n: 2 }]],
  ['SELECT n FROM s WHERE n <> ALL (ARRAY[1, 3]::bigint[])', [{ n: 2 }]],
  [
    `SELECT 1.50 = ANY ('{1.5,2}'::numeric[]) AS x, 'NaN'::double precision = ANY ('{NaN}'::double precision[]) AS y`,
    [{ x: true, y: true }],
  ],
  [
    `SELECT jsonb_build_object('b', n, 'a', NULL, k, j['a']) AS o, jsonb_build_array(n, t, 'x') AS l FROM s WHERE n = 2`,
    [{ o: { a: null, b: [1, 2] }, l: [2, '2026-01-01T00:01:00Z', 'x'] }],
  ],
  ['CREATE STREAM doubles (d double)', []],
  ['SHOW CREATE items', [{ name: 'items', sql: 'CREATE TABLE items (k text PRIMARY KEY, name text, price int)' }]],
  [
    'SHOW CREATE MATERIALIZED VIEW v',
    [{ name: 'v', sql: 'CREATE MATERIALIZED VIEW v AS SELECT k, count(*) AS c FROM s GROUP BY k' }],
  ],
]
for (const [text, rows] of taken) test(text, async () => assert.deepEqual(await millrace.sql(text), rows))
test('EXPLAIN of a name is that of what defines it', async () => {
  const of = async (text: string): Promise<unknown> => millrace.sql(text)
  const said = await of('EXPLAIN CREATE MATERIALIZED VIEW v9 AS SELECT k, count(*) AS c FROM s GROUP BY k')
  const named = await of('EXPLAIN v')
  assert.deepEqual(JSON.parse(JSON.stringify(named).replace('View v:', 'View v9:')), said)
  assert.deepEqual(await of('EXPLAIN MATERIALIZED VIEW v'), named)
  assert.deepEqual(await of('EXPLAIN s'), await of('EXPLAIN SELECT * FROM s'))
})
test('DELETE takes rows of a table away, by their keys', async () => {
  await millrace.sql(`CREATE TABLE parts (a int, b text, c int, PRIMARY KEY (a, b));
    CREATE MATERIALIZED VIEW sums AS SELECT a, sum(c) AS s FROM parts GROUP BY a;
    INSERT INTO parts VALUES (1, 'x', 1), (1, 'y', 2), (2, 'x', 4)`)
  await millrace.sql(`DELETE FROM parts WHERE c > 1 AND a = $1`, [1])
  assert.deepEqual(await millrace.sql('SELECT * FROM parts ORDER BY a'), [
    { a: 1, b: 'x', c: 1 },
    { a: 2, b: 'x', c: 4 },
  ])
  assert.deepEqual(await millrace.sql('SELECT * FROM sums ORDER BY a'), [
    { a: 1, s: 1 },
    { a: 2, s: 4 },
  ])
  await millrace.sql('DELETE FROM parts')
  assert.deepEqual(await millrace.sql('SELECT * FROM sums'), [])
  await assert.rejects(millrace.sql('DELETE FROM v'), { code: 'sql.wrong-kind' })
  await assert.rejects(millrace.sql('DELETE FROM parts WHERE d = 1'), { code: 'sql.unknown-column' })
})
test('EXPLAIN PLAN FOR is EXPLAIN', async () => {
  const query = 'SELECT k, count(*) AS c FROM s GROUP BY k'
  assert.deepEqual(await millrace.sql(`EXPLAIN PLAN FOR ${query}`), await millrace.sql(`EXPLAIN ${query}`))
})
