/** Statements made to hurt whoever runs them: what would never end, feed itself, or fill the memory is refused by a fault. */
import assert from 'node:assert/strict'
import { getHeapStatistics } from 'node:v8'
import { describe, test } from 'node:test'
import { BytesBuilder } from '../../src/flow/columns.ts'
import { limits } from '../../src/lib/limits.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import type { Rights } from '../../src/query/engine.ts'
import { Held, MemoryShare } from '../../src/query/held.ts'
import { testMillrace } from '../../src/testing.ts'
import { openHouse } from './house.ts'

type Millrace = Awaited<ReturnType<typeof testMillrace>>
async function opened(): Promise<Millrace> {
  const millrace = await testMillrace({ seed: 1 })
  await millrace.sql(`CREATE STREAM s (k text, n double precision, t timestamptz, WATERMARK FOR t AS t)
      WITH (topic = 's', partitions = 1);
    INSERT INTO s VALUES ('a', 1, '2026-01-01T10:00:00Z'), ('b', 2, '2026-01-01T10:00:01Z')`)
  return millrace
}

describe('texts that double with each line', () => {
  test('WITH queries that name one another twice', async () => {
    await using millrace = await opened()
    const doubled = (n: number): string =>
      `WITH c0 AS (SELECT n FROM s)${Array.from({ length: n }, (_, i) => `, c${i + 1} AS (SELECT n FROM c${i} UNION ALL SELECT n FROM c${i})`).join('')} SELECT count(*) AS n FROM c${n}`
    assert.deepEqual(await millrace.sql(doubled(6)), [{ n: 128 }])
    await assert.rejects(millrace.sql(doubled(40)), { code: 'sql.too-complex' })
    await assert.rejects(millrace.sql(`CREATE MATERIALIZED VIEW v AS ${doubled(40)}`), { code: 'sql.too-complex' })
  })
  test('plain views that name one another twice', async () => {
    await using millrace = await opened()
    await millrace.sql('CREATE VIEW p0 AS SELECT n FROM s')
    const double = async (i: number): Promise<unknown> =>
      millrace.sql(`CREATE VIEW p${i} AS SELECT n FROM p${i - 1} UNION ALL SELECT n FROM p${i - 1}`)
    await assert.rejects(
      async () => {
        for (let i = 1; i <= 40; i++) await double(i)
      },
      { code: 'sql.too-complex' },
    )
    assert.deepEqual(await millrace.sql('SELECT count(*) AS n FROM p5'), [{ n: 64 }])
  })
  test('forms that need what they test several times', async () => {
    await using millrace = await opened()
    const forms: readonly [string, string][] = [
      ['coalesce(', ', 1)'],
      ['nullif(', ', 7)'],
      ['CASE ', ' WHEN 1 THEN 2.0 WHEN 2 THEN 3 ELSE 1 END'],
      ['(', ' BETWEEN 1 AND 2)::int'],
      ['(', ' IN (1, 2, 3))::int'],
    ]
    for (const [before, after] of forms) {
      const nested = (n: number): string => `SELECT ${before.repeat(n)}n${after.repeat(n)} AS x FROM s`
      assert.equal((await millrace.sql(nested(4))).length, 2, before)
      const began = performance.now()
      await assert.rejects(millrace.sql(nested(60)), { code: 'sql.too-complex' }, before)
      assert.ok(performance.now() - began < 3_000, before)
    }
    // Each of them passes, all together do not.
    const one = `${'nullif('.repeat(13)}n${', 7)'.repeat(13)}`
    await assert.rejects(millrace.sql(`SELECT ${Array(100).fill(one).join()} FROM s`), { code: 'sql.too-complex' })
  })
  test('columns that double with each level', async () => {
    await using millrace = await opened()
    const twice = (n: number): string => (n === 0 ? 's' : `(SELECT *, * FROM ${twice(n - 1)} q${n})`)
    assert.equal((await millrace.sql(`SELECT count(*) AS n FROM ${twice(6)} q`)).length, 1)
    const began = performance.now()
    await assert.rejects(millrace.sql(`SELECT * FROM ${twice(18)} q`), { code: 'sql.too-complex' })
    assert.ok(performance.now() - began < 3_000)
  })
})

describe('views that would feed themselves', () => {
  test('OR REPLACE does not make a view that reads itself', async () => {
    await using millrace = await opened()
    await millrace.sql('CREATE MATERIALIZED VIEW v AS SELECT k, n FROM s; FLUSH')
    const itself = 'CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, n + 1 AS n FROM v'
    for (const text of [itself, `${itself} START FROM RESUME`])
      await assert.rejects(millrace.sql(text), { code: 'sql.invalid-definition', message: /would read itself/ })
    assert.equal((await millrace.sql('SELECT * FROM v')).length, 2)
    await millrace.sql(`CREATE STREAM x (k text, n double precision) WITH (topic = 'v', format = 'json');
      CREATE MATERIALIZED VIEW w AS SELECT k, n FROM x`)
    for (const from of ['x', 'w'])
      await assert.rejects(millrace.sql(itself.replace('FROM v', `FROM ${from}`)), { message: /would read itself/ })
  })
  test('late rows go to no topic that is read by the view, written by another, or of Millrace itself', async () => {
    await using millrace = await opened()
    await millrace.sql('CREATE MATERIALIZED VIEW other AS SELECT k, n FROM s')
    const late = (topic: string): string =>
      `CREATE MATERIALIZED VIEW w WITH (late_topic = '${topic}') AS SELECT window_start, count(*) AS c
        FROM TUMBLE(s, t, INTERVAL '1 minute') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE`
    for (const topic of ['s', 'w', 'other', '_millrace_catalog', '__consumer_offsets'])
      await assert.rejects(millrace.sql(late(topic)), { code: 'sql.invalid-definition' }, topic)
    await millrace.sql(late('late'))
    // What is late for one must not come round through the other.
    await millrace.sql(`CREATE STREAM r (t timestamptz, WATERMARK FOR t AS t) WITH (topic = 'late')`)
    const round = late('s').replace('VIEW w', 'VIEW w2').replace('TUMBLE(s', 'TUMBLE(r')
    await assert.rejects(millrace.sql(round), { code: 'sql.invalid-definition', message: /come in again/ })
  })
})

test('INSERT writes nothing into the changes of a view, whatever stream or table its topic is given to', async () => {
  await using millrace = await opened()
  await millrace.sql(`CREATE MATERIALIZED VIEW sums AS SELECT k, sum(n) AS n FROM s GROUP BY k;
    CREATE MATERIALIZED VIEW rows AS SELECT k, n FROM s;
    CREATE STREAM x (k text, n double precision) WITH (topic = 'rows');
    CREATE STREAM y (k text, n double precision) WITH (topic = 'sums', key = 'k');
    CREATE TABLE z (k text PRIMARY KEY, n double precision) WITH (topic = 'sums')`)
  for (const into of ['x', 'y', 'z'])
    await assert.rejects(millrace.sql(`INSERT INTO ${into} VALUES ('planted', 7)`), { code: 'log.topic-kept' }, into)
  for (const view of ['sums', 'rows']) assert.equal((await millrace.sql(`SELECT * FROM ${view}`)).length, 2, view)
})

test('no view is written to where the invalid events of another topic are kept', async () => {
  await using millrace = await opened()
  const named = (name: string): string => `CREATE MATERIALIZED VIEW "${name}" AS SELECT k, n FROM s`
  await assert.rejects(millrace.sql(named('s.quarantine')), { code: 'sql.invalid-definition' })
  await millrace.sql(named('s.quarantined'))
})

test('what would stop at its first invalid event, as no quarantine can be named, is not made', async () => {
  await using millrace = await opened()
  const topic = 't'.repeat(limits.topicNameLength - 5)
  const stream = (name: string, onInvalid: string): string =>
    `CREATE STREAM ${name} (a int) WITH (topic = '${topic}', on_invalid = '${onInvalid}')`
  await assert.rejects(millrace.sql(stream('r', 'quarantine')), { message: /can have no quarantine/ })
  await millrace.sql(`${stream('w', 'null')}; INSERT INTO w VALUES (5)`)
  const view = "CREATE MATERIALIZED VIEW v WITH (on_error = 'quarantine') AS SELECT 10 / a AS x FROM w"
  await assert.rejects(millrace.sql(view), { message: /can have no quarantine/ })
  await millrace.sql(view.replace("'quarantine'", "'skip'"))
  assert.deepEqual(await millrace.sql('SELECT x FROM v'), [{ x: 2 }])
})

test('what becomes of a changed view names nothing that may not be seen', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM secret (ssn text, n int); CREATE STREAM known (ssn text, n int);
    CREATE MATERIALIZED VIEW sums AS SELECT ssn AS k, sum(n) AS n FROM secret GROUP BY ssn;
    CREATE MATERIALIZED VIEW rows AS SELECT ssn AS k, n FROM known;
    CREATE MATERIALIZED VIEW hidden AS SELECT count(*) AS c FROM rows;
    INSERT INTO secret VALUES ('a', 1); INSERT INTO known VALUES ('a', 1); FLUSH`)
  const rights: Rights = {
    sees: (topic) => ['known', 'sums', 'rows'].includes(topic),
    seesCluster: () => false,
    demand: () => {},
    demandCluster: () => {},
    missed: () => {},
  }
  for (const view of ['sums', 'rows'])
    for (const before of ['EXPLAIN ', '']) {
      const text = `${before}CREATE OR REPLACE MATERIALIZED VIEW ${view} AS SELECT ssn AS k, n * 2 AS n FROM known START FROM RESUME`
      const { notices = [], rows } = await house.engine.run(text, { rights })
      const said: unknown[] = [...notices]
      for await (const row of rows) said.push(...row)
      assert.match(said.join('\n'), /rows: (are made anew|stay as they are)/)
      assert.doesNotMatch(said.join('\n'), /hidden|secret|GROUP BY/i)
    }
})

describe('memory', () => {
  test('a one-off query holds so many bytes of rows, however few they are', () => {
    const held = new Held()
    const row = ['x'.repeat(limits.textBytes), 1]
    const most = Math.floor(limits.queryBytes / (limits.textBytes + 100))
    for (let i = 0; i < most; i++) held.add(row)
    for (let i = 0; i < 100; i++) {
      held.remove(row)
      held.add(row)
    }
    assert.throws(
      () => {
        held.add(row)
        held.add(row)
      },
      { code: 'query.too-large', message: 'the query holds more than 512 MiB in memory' },
    )
    held.free()
    for (let i = 1; i < most; i++) held.add(row)
    held.free()
  })
  test('rows that become ten thousand each are worked on a few at a time', async () => {
    await using house = await openHouse()
    await house.sql(`CREATE STREAM s (n int, t timestamptz, WATERMARK FOR t AS t)`)
    const rows = Array.from({ length: 200 }, (_, i) => `(${i}, '2026-01-01T10:00:00Z')`)
    await house.sql(`INSERT INTO s VALUES ${rows.join()}`)
    let turns = 0
    const usage = { worked: (): unknown => turns++, mayWrite: (): void => {}, wrote: (): void => {} }
    const query = `SELECT count(*) AS n FROM HOP(s, t, INTERVAL '1 second', INTERVAL '10000 seconds')
      GROUP BY window_start, window_end`
    const sums = await house.engine.run(`SELECT sum(n) AS n FROM (${query}) AS q`, { usage })
    const answer: unknown[] = []
    for await (const row of sums.rows) answer.push(row)
    assert.deepEqual(answer, [[2_000_000]])
    assert.ok(turns >= 4, `200 rows in ${turns} turns`)
  })
  test('a product of numerics has no more digits than one that is read', async () => {
    await using millrace = await opened()
    const wide = `repeat('9', 60000)::numeric`
    const lengths = await millrace.sql(`SELECT length((${wide} * ${wide} * 0.001)::text) AS n FROM s LIMIT 1`)
    assert.deepEqual(lengths, [{ n: 120_001 }])
    for (const text of [`${wide} * ${wide} * ${wide}`, `-${wide} * ${wide} * ${wide}`])
      await assert.rejects(millrace.sql(`SELECT ${text} AS x FROM s`), { code: 'value.out-of-range' }, text)
  })
  test('texts of a column that 32 bits cannot tell apart are refused', () => {
    // Nothing is written to it: it takes addresses, not memory.
    const input = Buffer.allocUnsafeSlow(limits.columnBytes - 3_999)
    const builder = new BytesBuilder(4, 0, input)
    builder.pushText('x'.repeat(1_000))
    assert.equal(builder.last({ kind: 'text' }), 'x'.repeat(1_000))
    assert.throws(() => builder.pushText('y'.repeat(1_000)), { code: 'value.invalid-argument' })
  })
})

test('a plain view is known to other processes', async () => {
  await using one = await openHouse()
  await using two = await openHouse({ beside: one })
  const until = async (what: string, holds: () => boolean | Promise<boolean>): Promise<void> => {
    for (let i = 0; i < 300; i++) {
      if (await holds()) return
      await new Promise((resolve) => setTimeout(resolve, 10))
    }
    assert.fail(`never came: ${what}`)
  }
  await one.sql('CREATE STREAM s (n int)')
  await until('the stream', () => two.engine.relation('s') !== null)
  await one.sql('CREATE VIEW p AS SELECT n FROM s')
  await until('the plain view', () => two.engine.relation('p') !== null)
})

async function all(items: AsyncIterable<unknown>): Promise<void> {
  for await (const _ of items);
}
describe('few rows that make very many', () => {
  const crossed = (n: number): string =>
    `SELECT count(*) AS c FROM ${Array.from({ length: n }, (_, i) => `e x${i}`).join(', ')}`
  test('a query that multiplies its rows lets others have their turn, and ends when it is cancelled', async () => {
    await using house = await openHouse()
    await house.sql('CREATE STREAM e (n int)')
    await house.sql('INSERT INTO e VALUES (1), (2), (3), (4), (5), (6)')
    assert.deepEqual(await house.sql(crossed(5)), [[7776]])
    for (const text of [crossed(12), 'SELECT x0.n FROM '.concat(crossed(12).split('FROM ')[1]!, ' ORDER BY 1')]) {
      const cancel = new AbortController()
      let turns = 0
      const timer = setInterval(() => void (++turns === 20 && cancel.abort()), 5)
      const { rows } = await house.engine.run(text, { signal: cancel.signal })
      await assert.rejects(all(rows), { code: 'query.cancelled' })
      clearInterval(timer)
    }
  })
  test('a subscription to one ends, too', async () => {
    await using house = await openHouse()
    await house.sql('CREATE STREAM e (n int)')
    await house.sql('INSERT INTO e VALUES (1), (2), (3), (4), (5), (6)')
    const cancel = new AbortController()
    setTimeout(() => cancel.abort(), 100)
    const { changes } = await house.engine.subscribe(crossed(12), { signal: cancel.signal })
    await all(changes)
  })
  test('a program gives a signal', async () => {
    await using millrace = await opened()
    await assert.rejects(millrace.sql('SELECT 1 AS one FROM s', [], { signal: AbortSignal.abort() }), {
      code: 'query.cancelled',
    })
  })
})

describe('times at the end of the world', () => {
  test('an event at infinity lies in no window and moves no watermark', async () => {
    await using house = await openHouse()
    await house.sql('CREATE STREAM e (n int, t timestamptz, WATERMARK FOR t AS t)')
    const windows = [
      'TUMBLE(e, t, INTERVAL 1 HOUR)',
      'HOP(e, t, INTERVAL 1 HOUR, INTERVAL 3 HOUR)',
      'CUMULATE(e, t, INTERVAL 1 HOUR, INTERVAL 3 HOUR)',
    ]
    const asked = windows.map(
      (one) =>
        `SELECT window_start, window_end, count(*) AS c FROM ${one.replaceAll(/INTERVAL (\d HOUR)/g, "INTERVAL '$1'")} GROUP BY window_start, window_end`,
    )
    asked.push(
      `SELECT n, window_start, window_end, count(*) AS c FROM SESSION(e, t, INTERVAL '1 hour', n) GROUP BY n, window_start, window_end`,
    )
    for (const [i, query] of asked.entries()) await house.sql(`CREATE MATERIALIZED VIEW v${i} AS ${query}`)
    await house.sql(`INSERT INTO e VALUES (1, '-infinity'), (1, 'infinity'), (1, '2026-01-01T10:30:00Z'); FLUSH;
      INSERT INTO e VALUES (1, '2026-01-01T10:31:00Z'); FLUSH`)
    for (const [i, query] of asked.entries()) {
      const rows = await house.sql(`SELECT * FROM v${i} ORDER BY 1, 2, 3`)
      assert.deepEqual(
        rows.map((row) => row.at(-1)),
        i === 1 ? [2, 2, 2] : i === 2 ? [2, 2] : [2],
        query,
      )
      assert.deepEqual(await house.sql(`${query} ORDER BY 1, 2, 3`), rows, query)
      assert.equal(house.flow.view(`v${i}`).late, 2, query)
    }
  })
  test('what is written of a time is read again, or was refused', async () => {
    await using house = await openHouse()
    await house.sql(
      'CREATE STREAM e (n int, t timestamptz, d date); CREATE MATERIALIZED VIEW v AS SELECT n, t, d FROM e',
    )
    const times = [
      '9223372036854775808',
      '-9223372036854775809',
      '1e300',
      '9e15',
      '-9e15',
      '8640000000000000',
      '"294276-12-31T23:59:59Z"',
      '"999999-01-01T00:00:00Z"',
      '"infinity"',
    ]
    const dates = ['"5874897-12-31"', '"5874898-01-01"', '"9999999-01-01"', '"1000000-01-01"', '"-infinity"']
    const records = [...times.map((t) => `{"n":1,"t":${t}}`), ...dates.map((d) => `{"n":2,"d":${d}}`)]
    const batch = encodeBatch(records.map((value) => ({ key: null, value: Buffer.from(value), timeMs: 1 })))
    await house.log.writer().append([{ partition: { topic: 'e', index: 0 }, batch }])
    await house.sql('FLUSH')
    const rows = await house.sql('SELECT n, t, d FROM v')
    assert.deepEqual(rows, await house.sql('SELECT n, t, d FROM e'))
    assert.equal(rows.length, house.flow.view('v').rowsOut)
    assert.equal(house.flow.view('v').invalid, 6)
    for (const text of [
      "'5874897-12-31'::date::timestamp",
      "'5874897-12-31'::date + time '10:00'",
      'make_date(2147483647, 1, 1)',
      'make_timestamp(5000000, 1, 1, 0, 0, 0)',
    ])
      await assert.rejects(
        house.sql(`SELECT ${text} AS x FROM e LIMIT 1`),
        { code: /value\.(out-of-range|invalid-)|sql\.out-of-range/ },
        text,
      )
    assert.equal(
      (await house.sql("SELECT timestamptz '294276-01-01Z' AT TIME ZONE 'America/New_York' AS x FROM e LIMIT 1"))
        .length,
      1,
    )
  })
})

test('a long list of arguments is no deep tree', async () => {
  await using millrace = await opened()
  const list = Array.from({ length: 8_000 }, (_, i) => `n + ${i}`).join()
  assert.deepEqual(await millrace.sql(`SELECT greatest(${list}) AS a, least(${list}) AS b FROM s WHERE n = 1`), [
    { a: 8_000, b: 1 },
  ])
})

test('the name of an alert is that of a topic, and of no folder elsewhere', async () => {
  await using millrace = await opened()
  for (const name of ['x/../../topics', '../x', 'a b', 'x'.repeat(230)])
    await assert.rejects(
      millrace.sql(`CREATE ALERT "${name}" AS SELECT k FROM s NOTIFY LOG`),
      { code: 'sql.invalid-definition', message: /cannot be a topic name/ },
      name,
    )
  await assert.rejects(millrace.sql(`CREATE MATERIALIZED VIEW "${'v'.repeat(240)}" AS SELECT k FROM s`), {
    code: 'sql.invalid-definition',
  })
})

describe('rows in memory', () => {
  test('all queries together hold so much, rows that nobody uses give way, and what ends gives back', async () => {
    await using house = await openHouse()
    await house.sql("CREATE TABLE t (id int PRIMARY KEY, v text); INSERT INTO t VALUES (1, 'a'), (2, 'b')")
    assert.deepEqual(await house.sql('SELECT count(*) FROM t'), [[2]])
    const shares: MemoryShare[] = []
    try {
      assert.throws(
        () => {
          for (let i = 0; i < 100; i++) {
            const share = new MemoryShare()
            shares.push(share)
            share.add(limits.queryBytes - 1_000_000)
          }
        },
        { code: 'query.memory-full', retry: true },
      )
      await assert.rejects(house.sql('SELECT id FROM t ORDER BY id'), { code: 'query.memory-full' })
    } finally {
      for (const share of shares) share.free()
    }
    assert.deepEqual(await house.sql('SELECT id FROM t ORDER BY id'), [[1], [2]])
    // Many that end, however they do, leave nothing behind.
    for (let i = 0; i < 20; i++) {
      const { rows } = await house.engine.run('SELECT id, v FROM t ORDER BY v')
      for await (const _ of rows) if (i % 2 === 0) break
    }
    const rest = new MemoryShare(limits.queriesBytes)
    rest.set(Math.min(limits.queriesBytes, getHeapStatistics().heap_size_limit / 2) - 100_000)
    rest.free()
  })
})

test('topics for what is late and what cannot be read are made again where somebody has deleted them', async () => {
  await using house = await openHouse()
  await house.sql(`CREATE STREAM e (n int, t timestamptz, WATERMARK FOR t AS t);
    CREATE MATERIALIZED VIEW v WITH (late_topic = 'late') AS SELECT window_start, count(*) AS c
      FROM TUMBLE(e, t, INTERVAL '1 minute') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE`)
  const send = async (...texts: string[]): Promise<void> => {
    const batch = encodeBatch(
      texts.map((value) => ({ key: null, value: Buffer.from(value), timeMs: 1_767_300_000_000 })),
    )
    await house.log.writer().append([{ partition: { topic: 'e', index: 0 }, batch }])
    await house.sql('FLUSH')
  }
  const late = '{"n":1,"t":"2026-01-01T09:00:00Z"}'
  const count = async (topic: string): Promise<number> =>
    (await house.log.bounds([{ topic, index: 0 }])).reduce((sum, { end }) => sum + end, 0)
  await send('{"n":1,"t":"2026-01-01T10:00:00Z"}', 'no JSON', late)
  for (const topic of ['e.quarantine', 'late']) {
    assert.ok((await count(topic)) > 0, topic)
    assert.deepEqual(await house.log.topics.remove([topic]), [null])
  }
  await send('no JSON either', late)
  for (const topic of ['e.quarantine', 'late']) assert.ok((await count(topic)) > 0, topic)
  assert.equal(house.flow.view('v').status, 'running')
})
