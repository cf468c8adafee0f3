/** Every call of the TypeScript chain gives what its SQL gives, over the same events. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import {
  type Stream,
  asc,
  avg,
  call,
  count,
  countDistinct,
  defineSqlFunction,
  defineTopic,
  defineView,
  desc,
  every,
  max,
  min,
  some,
  stddev,
  stddevPop,
  sum,
  variance,
  variancePop,
  when,
} from '../../src/dsl/index.ts'
import { testMillrace } from '../../src/testing.ts'
import { random } from '../flow/plans.ts'

const bids = defineTopic('bids', {
  schema: z.object({
    bidder: z.string(),
    item: z.int(),
    price: z.number(),
    note: z.string().optional(),
    at: z.iso.datetime(),
  }),
  eventTime: 'at',
  lateness: '2s',
})
const views = defineTopic('views', {
  schema: z.object({ viewer: z.string(), item: z.int(), seen: z.iso.datetime() }),
  eventTime: 'seen',
  lateness: '2s',
})
const items = defineTopic('items', {
  schema: z.object({ id: z.int(), name: z.string(), floor: z.number(), changed: z.iso.datetime() }),
  key: 'id',
  eventTime: 'changed',
})
const risk = defineSqlFunction('risk', { args: ['double', 'text'], returns: 'double', strict: false }, (price, note) =>
  price === null ? null : price * (note === null ? 1 : note.length),
)
const b = bids.stream()
const v = views.stream()
const i = items.table()
const minutes = "INTERVAL '1 minute'"

const branches = b.branch({
  dear: (row) => row.price.gt(60),
  noted: (row) => row.note.isNotNull(),
  rest: (row) => row.price.le(60),
})
const twins: readonly (readonly [name: string, stream: Stream<never>, sql: string])[] = [
  twin(
    'where',
    b.where((row) => row.price.gt(50).and(row.bidder.ne('ann'))),
    `SELECT * FROM bids WHERE price > 50 AND bidder <> 'ann'`,
  ),
  twin(
    'where_null',
    b.where((row) => row.note.eq('x').not()),
    `SELECT * FROM bids WHERE NOT note = 'x'`,
  ),
  twin(
    'where_in',
    b.where((row) => row.bidder.in(['ann', "o'neil"]).or(row.note.like('x%'))),
    `SELECT * FROM bids WHERE bidder IN ('ann', 'o''neil') OR note LIKE 'x%'`,
  ),
  twin(
    'where_time',
    b.where((row) => row.at.ge(new Date('2026-01-01T00:02:00Z')).and(row.at.lt('2026-01-01T00:09:00Z'))),
    `SELECT * FROM bids WHERE at >= '2026-01-01 00:02+00' AND at < '2026-01-01 00:09+00'`,
  ),
  twin(
    'select',
    b.select((row) => ({
      item: row.item.times(2).plus(1),
      gross: row.price.dividedBy(-3).minus(0.5),
      left: row.item.modulo(3),
      note: row.note.orElse('none').concat('!'),
      at: row.at,
    })),
    `SELECT item * 2 + 1 AS item, price / -3 - 0.5 AS gross, item % 3 AS "left", coalesce(note, 'none') || '!' AS note, at FROM bids`,
  ),
  twin(
    'select_call',
    b.select((row) => ({
      upper: call<string>('upper', row.bidder),
      risk: call(risk, row.price, row.note),
      size: when(row.price.gt(50), 'big', 'small'),
      text: row.price.cast('text'),
    })),
    `SELECT upper(bidder) AS upper, risk(price, note) AS risk, CASE WHEN price > 50 THEN 'big' ELSE 'small' END AS size, price::text AS text FROM bids`,
  ),
  twin(
    'extend',
    b.extend((row) => ({ cents: row.price.times(100).cast('bigint') })),
    `SELECT *, (price * 100)::bigint AS cents FROM bids`,
  ),
  twin('branch_dear', branches.dear, 'SELECT * FROM bids WHERE price > 60'),
  twin('branch_noted', branches.noted, 'SELECT * FROM bids WHERE note IS NOT NULL AND (price > 60) IS NOT TRUE'),
  twin('branch_rest', branches.rest, 'SELECT * FROM bids WHERE price <= 60 AND note IS NULL'),
  twin(
    'merge',
    b
      .where((row) => row.item.lt(3))
      .merge(
        b.where((row) => row.price.gt(90)),
        b,
      ),
    'SELECT * FROM bids WHERE item < 3 UNION ALL SELECT * FROM bids WHERE price > 90 UNION ALL SELECT * FROM bids',
  ),
  twin(
    'distinct',
    b.select((row) => ({ bidder: row.bidder, item: row.item })).distinct(),
    'SELECT DISTINCT bidder, item FROM bids',
  ),
  twin(
    'group',
    b.groupBy('bidder').aggregate({
      n: count(),
      total: sum('price'),
      mean: avg('price'),
      items: countDistinct('item'),
      low: min('price'),
      high: max('price'),
      spread: stddev('price'),
    }),
    'SELECT bidder, count(*) AS n, sum(price) AS total, avg(price) AS mean, count(DISTINCT item) AS items, min(price) AS low, max(price) AS high, stddev(price) AS spread FROM bids GROUP BY bidder',
  ),
  twin(
    'group_exprs',
    b.groupBy('item').aggregate((row) => ({
      noted: count(row.note),
      dear: count().filter(row.price.gt(50)),
      twice: sum(row.price.times(2)).filter(row.note.isNull()),
      first: min(row.bidder),
      last: max(row.at),
      a: variance(row.price),
      c: variancePop(row.price),
      d: stddevPop(row.price),
      e: every(row.price.gt(1)),
      f: some(row.note.isNotNull()),
      g: sum(row.item).distinct(),
    })),
    'SELECT item, count(note) AS noted, count(*) FILTER (WHERE price > 50) AS dear, sum(price * 2) FILTER (WHERE note IS NULL) AS twice, min(bidder) AS first, max(at) AS last, variance(price) AS a, var_pop(price) AS c, stddev_pop(price) AS d, bool_and(price > 1) AS e, bool_or(note IS NOT NULL) AS f, sum(DISTINCT item) AS g FROM bids GROUP BY item',
  ),
  twin('all_rows', b.groupBy().aggregate({ n: count() }), 'SELECT count(*) AS n FROM bids'),
  twin(
    'tumble',
    b.window({ tumbling: '1m' }).groupBy('bidder').aggregate({ n: count() }),
    `SELECT window_start, window_end, bidder, count(*) AS n FROM TUMBLE(bids, at, ${minutes}) GROUP BY window_start, window_end, bidder`,
  ),
  twin(
    'tumble_offset',
    b.window({ tumbling: '1m', offset: '10s' }).groupBy().aggregate({ n: count() }),
    `SELECT window_start, window_end, count(*) AS n FROM TUMBLE(bids, at, ${minutes}, INTERVAL '10 seconds') GROUP BY window_start, window_end`,
  ),
  twin(
    'tumble_close',
    b.window({ tumbling: '1m' }).groupBy('bidder').aggregate({ n: count() }, { emit: 'close' }),
    `SELECT window_start, window_end, bidder, count(*) AS n FROM TUMBLE(bids, at, ${minutes}) GROUP BY window_start, window_end, bidder EMIT ON WINDOW CLOSE`,
  ),
  twin(
    'hop',
    b
      .window({ hopping: '1m', every: '20s' })
      .groupBy('item')
      .aggregate({ total: sum('price') }),
    `SELECT window_start, window_end, item, sum(price) AS total FROM HOP(bids, at, INTERVAL '20 seconds', ${minutes}) GROUP BY window_start, window_end, item`,
  ),
  twin(
    'cumulate',
    b.window({ cumulating: '2m', every: '30s' }).groupBy().aggregate({ n: count() }, { emit: 'close' }),
    `SELECT window_start, window_end, count(*) AS n FROM CUMULATE(bids, at, INTERVAL '30 seconds', INTERVAL '2 minutes') GROUP BY window_start, window_end EMIT ON WINDOW CLOSE`,
  ),
  twin(
    'session',
    b
      .window({ session: '15s' })
      .groupBy('bidder')
      .aggregate({ n: count(), total: sum('price') }),
    `SELECT window_start, window_end, bidder, count(*) AS n, sum(price) AS total FROM SESSION(bids, at, INTERVAL '15 seconds', bidder) GROUP BY window_start, window_end, bidder`,
  ),
  twin(
    'session_close',
    b.window({ session: '15s' }).groupBy('bidder', 'item').aggregate({ n: count() }, { emit: 'close' }),
    `SELECT window_start, window_end, bidder, item, count(*) AS n FROM SESSION(bids, at, INTERVAL '15 seconds', bidder, item) GROUP BY window_start, window_end, bidder, item EMIT ON WINDOW CLOSE`,
  ),
  twin(
    'join_tables',
    b
      .groupBy('item')
      .aggregate({ n: count() })
      .join(
        i,
        (l, r) => l.item.eq(r.id),
        (l, r) => ({ name: r.name, n: l.n }),
      ),
    'SELECT i.name, g.n FROM (SELECT item, count(*) AS n FROM bids GROUP BY item) g JOIN item_rows i ON g.item = i.id',
  ),
  twin(
    'left_join',
    i.leftJoin(
      b.groupBy('item').aggregate({ n: count() }),
      (l, r) => l.id.eq(r.item).and(r.n.gt(3)),
      (l, r) => ({ name: l.name, n: r.n.orElse(0) }),
    ),
    'SELECT i.name, coalesce(g.n, 0) AS n FROM item_rows i LEFT JOIN (SELECT item, count(*) AS n FROM bids GROUP BY item) g ON g.item = i.id AND g.n > 3',
  ),
  twin(
    'outer_join',
    b
      .groupBy('bidder')
      .aggregate({ n: count() })
      .outerJoin(
        v.groupBy('viewer').aggregate({ m: count() }),
        (l, r) => l.bidder.eq(r.viewer),
        (l, r) => ({ who: l.bidder.orElse(r.viewer), n: l.n, m: r.m }),
      ),
    'SELECT coalesce(bidder, viewer) AS who, n, m FROM (SELECT bidder, count(*) AS n FROM bids GROUP BY bidder) x FULL JOIN (SELECT viewer, count(*) AS m FROM views GROUP BY viewer) y ON bidder = viewer',
  ),
  twin(
    'within',
    b.join(
      v,
      (l, r) => l.bidder.eq(r.viewer).and(l.item.eq(r.item)),
      (l, r) => ({ who: l.bidder, item: l.item, at: l.at, seen: r.seen }),
      { within: { before: '30s', after: '5s' } },
    ),
    `SELECT bidder AS who, b.item, at, seen FROM bids b JOIN views v ON bidder = viewer AND b.item = v.item AND seen BETWEEN at - INTERVAL '30 seconds' AND at + INTERVAL '5 seconds'`,
  ),
  twin(
    'left_within',
    b.leftJoin(
      v,
      (l, r) => l.item.eq(r.item),
      (l, r) => ({ who: l.bidder, at: l.at, seen: r.seen }),
      { within: { before: '3s', after: '0s' } },
    ),
    `SELECT bidder AS who, at, seen FROM bids b LEFT JOIN views v ON b.item = v.item AND seen BETWEEN at - INTERVAL '3 seconds' AND at + INTERVAL '0 seconds'`,
  ),
  twin(
    'outer_within',
    b.outerJoin(
      v,
      (l, r) => l.item.eq(r.item),
      (l, r) => ({ who: l.bidder, viewer: r.viewer }),
      { within: { before: '3s', after: '0s' } },
    ),
    `SELECT bidder AS who, viewer FROM bids b FULL JOIN views v ON b.item = v.item AND seen BETWEEN at - INTERVAL '3 seconds' AND at`,
  ),
  twin(
    'semi',
    i.semiJoin(b.groupBy('item').aggregate({ n: count() }), (l, r) => l.id.eq(r.item).and(r.n.gt(5))),
    'SELECT * FROM item_rows i WHERE EXISTS (SELECT 1 FROM (SELECT item, count(*) AS n FROM bids GROUP BY item) g WHERE g.item = i.id AND g.n > 5)',
  ),
  twin(
    'anti',
    i.antiJoin(b.groupBy('item').aggregate({ n: count() }), (l, r) => l.id.eq(r.item).and(r.n.gt(5))),
    'SELECT * FROM item_rows i WHERE NOT EXISTS (SELECT 1 FROM (SELECT item, count(*) AS n FROM bids GROUP BY item) g WHERE g.item = i.id AND g.n > 5)',
  ),
  twin(
    'as_of',
    b.asOf(
      i,
      (l, r) => l.item.eq(r.id),
      (l, r) => ({ who: l.bidder, at: l.at, name: r.name, over: l.price.minus(r.floor) }),
    ),
    'SELECT bidder AS who, at, name, price - floor AS over FROM bids JOIN item_rows FOR SYSTEM_TIME AS OF bids.at AS i ON item = i.id',
  ),
  twin(
    'left_as_of',
    b.leftAsOf(
      i,
      (l, r) => l.item.eq(r.id),
      (l, r) => ({ who: l.bidder, at: l.at, name: r.name }),
    ),
    'SELECT bidder AS who, at, name FROM bids LEFT JOIN item_rows FOR SYSTEM_TIME AS OF bids.at AS i ON item = i.id',
  ),
  twin(
    'top',
    b.top(2, { by: 'item', order: (row) => [desc(row.price), asc(row.bidder)], rank: 'place' }),
    'SELECT bidder, item, price, note, at, n AS place FROM (SELECT *, row_number() OVER (PARTITION BY item ORDER BY price DESC NULLS LAST, bidder) AS n FROM bids) q WHERE n <= 2',
  ),
  twin(
    'top_all',
    b.top(3, { order: (row) => desc(row.note) }),
    'SELECT bidder, item, price, note, at FROM (SELECT *, row_number() OVER (ORDER BY note DESC NULLS LAST) AS n FROM bids) q WHERE n <= 3',
  ),
  twin(
    'dedupe',
    b.dedupe({ by: ['bidder', 'item'] }),
    'SELECT bidder, item, price, note, at FROM (SELECT *, row_number() OVER (PARTITION BY bidder, item ORDER BY at) AS n FROM bids) q WHERE n <= 1',
  ),
  twin(
    'to_table',
    b.toTable('bidder'),
    'SELECT bidder, item, price, note, at FROM (SELECT *, row_number() OVER (PARTITION BY bidder ORDER BY at DESC) AS n FROM bids) q WHERE n <= 1',
  ),
  twin(
    'over_rows',
    b.over({ by: 'bidder', rows: 2 }, (row) => ({ mean: avg(row.price), n: count() })),
    'SELECT *, avg(price) OVER (PARTITION BY bidder ORDER BY at ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS mean, count(*) OVER (PARTITION BY bidder ORDER BY at ROWS BETWEEN 2 PRECEDING AND CURRENT ROW) AS n FROM bids',
  ),
  twin(
    'over_range',
    b.over({ range: '30s' }, (row) => ({ total: sum(row.price) })),
    "SELECT *, sum(price) OVER (ORDER BY at RANGE BETWEEN INTERVAL '30 seconds' PRECEDING AND CURRENT ROW) AS total FROM bids",
  ),
  twin(
    'over_all',
    b.over({ by: 'item' }, () => ({ n: count() })),
    'SELECT *, count(*) OVER (PARTITION BY item ORDER BY at) AS n FROM bids',
  ),
  twin(
    'cogroup',
    b
      .groupBy('item')
      .cogroup((row) => ({ n: count(), dear: count().filter(row.price.gt(50)), total: sum(row.price) }))
      .and(v.groupBy('item'), (row) => ({ seen: count(), last: max(row.viewer) }))
      .aggregate(),
    `SELECT item, count(*) FILTER (WHERE side = 0) AS n, count(*) FILTER (WHERE price > 50) AS dear, sum(price) AS total, count(*) FILTER (WHERE side = 1) AS seen, max(viewer) AS last FROM (SELECT item, 0 AS side, price, NULL::text AS viewer FROM bids UNION ALL SELECT item, 1, NULL::double precision, viewer FROM views) q GROUP BY item`,
  ),
  twin(
    'chained',
    b
      .where((row) => row.price.gt(10))
      .extend((row) => ({ cheap: row.price.lt(30) }))
      .window({ tumbling: '2m' })
      .groupBy('cheap')
      .aggregate((row) => ({ best: max(row.price) }))
      .where((row) => row.best.gt(20))
      .top(1, { order: (row) => desc(row.best), by: 'cheap' }),
    `SELECT window_start, window_end, cheap, best FROM (SELECT *, row_number() OVER (PARTITION BY cheap ORDER BY best DESC NULLS LAST) AS n FROM (SELECT window_start, window_end, cheap, max(price) AS best FROM (SELECT window_start, window_end, price < 30 AS cheap, price FROM TUMBLE(bids, at, INTERVAL '2 minutes') WHERE price > 10) w GROUP BY window_start, window_end, cheap) x WHERE best > 20) y WHERE n <= 1`,
  ),
]
function twin<T>(name: string, stream: Stream<T>, sql: string): readonly [string, Stream<never>, string] {
  return [name, stream as unknown as Stream<never>, sql]
}

interface Bid {
  readonly bidder: string
  readonly item: number
  readonly price: number
  readonly note?: string
  readonly at: string
}
const time = (second: number): string => new Date(Date.UTC(2026, 0, 1, 0, 0, second)).toISOString()
function events(
  seed: number,
  length: number,
): { bids: Bid[]; views: { viewer: string; item: number; seen: string }[] } {
  const next = random(seed)
  const pick = <T>(of: readonly T[]): T => of[Math.floor(next() * of.length)]!
  const who = ['ann', 'bob', "o'neil", 'dora']
  const second = (n: number): number => n * 4 + Math.floor(next() * 5) - 2
  return {
    bids: Array.from({ length }, (_, n) => ({
      bidder: pick(who),
      item: Math.floor(next() * 6),
      price: Math.round(next() * 10_000) / 100,
      ...(next() < 0.5 ? { note: pick(['x', 'xyz', 'other']) } : {}),
      at: time(second(n)),
    })),
    views: Array.from({ length }, (_, n) => ({
      viewer: pick(who),
      item: Math.floor(next() * 6),
      seen: time(second(n)),
    })),
  }
}

test('each call gives the rows of its SQL, also when tables change, and after a crash', async () => {
  const defined = twins.map(([name, stream]) => defineView(`ts_${name}`, stream))
  await using millrace = await testMillrace({ topics: [bids, views, items], views: defined, functions: [risk] })
  await millrace.sql(
    "CREATE TABLE item_rows (id bigint PRIMARY KEY, name text NOT NULL, floor double precision, changed timestamptz, WATERMARK FOR changed AS changed - INTERVAL '1 millisecond') WITH (topic = 'items')",
  )
  for (const [name, , sql] of twins) await millrace.sql(`CREATE MATERIALIZED VIEW sql_${name} AS ${sql}`)
  const given = events(7, 120)
  const item = (id: number, second: number) => ({
    id,
    name: `item ${id} of ${second}`,
    floor: id * second,
    changed: time(second),
  })
  await millrace.topic(items).send([0, 1, 2, 3].map((id) => item(id, 0)))
  const compare = async (when: string): Promise<number> => {
    let rows = 0
    for (const [name] of twins) {
      const [ours, theirs] = await Promise.all(
        ['ts', 'sql'].map((kind) => millrace.sql(`SELECT * FROM ${kind}_${name}`)),
      )
      const shown = (all: readonly object[]): string[] => all.map((row) => JSON.stringify(row)).toSorted()
      assert.deepEqual(shown(ours!), shown(theirs!), `${name} ${when}`)
      rows += ours!.length
      if (when === 'at the end') assert.ok(ours!.length > 0, `${name} has no rows`)
    }
    return rows
  }
  await millrace.topic(bids).send(given.bids.slice(0, 60))
  await millrace.topic(views).send(given.views.slice(0, 60))
  assert.ok((await compare('in the middle')) > 500)
  await millrace.crash()
  await millrace.topic(items).send([item(1, 200), item(2, 240), item(5, 250)])
  await millrace.topic(bids).send(given.bids.slice(60))
  await millrace.topic(views).send(given.views.slice(60))
  await millrace.topic(items).send([item(9, 900)])
  await compare('at the end')
})

test('a lookup meets the row of the moment, as in SQL', async () => {
  const match = (l: { readonly item: Operand }, r: { readonly id: Operand }) => l.item.eq(r.id)
  const found = defineView(
    'ts_lookup',
    b.lookup(i, match, (l, r) => ({ item: l.item, name: r.name })),
  )
  const all = defineView(
    'ts_left_lookup',
    b.leftLookup(i, match, (l, r) => ({ item: l.item, name: r.name })),
  )
  await using millrace = await testMillrace({ topics: [bids, items], views: [found, all] })
  await millrace.sql("CREATE TABLE item_rows (id bigint PRIMARY KEY, name text) WITH (topic = 'items')")
  for (const [name, kind] of [
    ['sql_lookup', 'JOIN'],
    ['sql_left_lookup', 'LEFT JOIN'],
  ])
    await millrace.sql(
      `CREATE MATERIALIZED VIEW ${name} AS SELECT item, name FROM bids ${kind} item_rows FOR SYSTEM_TIME AS OF PROCTIME() AS i ON item = i.id`,
    )
  const bid = (item: number, second: number): Bid => ({ bidder: 'ann', item, price: 1, at: time(second) })
  const named = (id: number, name: string) => ({ id, name, floor: 0, changed: time(0) })
  await millrace.topic(items).send(named(1, 'lamp'))
  await millrace.sql('FLUSH')
  await millrace.topic(bids).send([bid(1, 1), bid(2, 2)])
  await millrace.sql('FLUSH')
  await millrace.topic(items).send(named(1, 'table'))
  await millrace.sql('FLUSH')
  await millrace.topic(bids).send(bid(1, 3))
  const expected = [
    { item: 1, name: 'lamp' },
    { item: 1, name: 'table' },
  ]
  for (const kind of ['ts', 'sql']) {
    assert.deepEqual(await millrace.sql(`SELECT * FROM ${kind}_lookup ORDER BY name`), expected)
    assert.deepEqual(await millrace.sql(`SELECT * FROM ${kind}_left_lookup ORDER BY name`), [
      ...expected,
      { item: 2, name: null },
    ])
  }
})
type Operand = ReturnType<typeof call<number>>

test('a view is a table or a stream to others, and its record key is what selectKey says', async () => {
  const totals = defineView('totals', b.groupBy('item').aggregate({ total: sum('price') }))
  const high = defineView(
    'high',
    totals.stream().where((row) => row.total.gt(10)),
  )
  const history = defineView(
    'history',
    totals.toStream().select((row) => ({ item: row.item, was: row.total })),
  )
  const keyed = defineView('keyed', b.select((row) => ({ who: row.bidder, item: row.item })).selectKey('who'))
  await using millrace = await testMillrace({ topics: [bids], views: [totals, high, history, keyed] })
  const bid = (price: number): Bid => ({ bidder: 'ann', item: 1, price, at: time(price) })
  for (const price of [8, 9]) {
    await millrace.topic(bids).send(bid(price))
    await millrace.sql('FLUSH')
  }
  assert.deepEqual(await millrace.view(high).rows(), [{ item: 1, total: 17 }])
  assert.deepEqual(await millrace.sql('SELECT item, was FROM history ORDER BY was'), [
    { item: 1, was: 8 },
    { item: 1, was: 17 },
  ])
  assert.deepEqual(await millrace.sql('SELECT DISTINCT _key, who FROM keyed'), [{ _key: 'ann', who: 'ann' }])
})

test('what SQL refuses is refused, and says the same', () => {
  const joined = b.join(
    v,
    (l, r) => l.item.eq(r.item),
    (l, r) => ({ item: l.item, who: r.viewer }),
  )
  assert.throws(() => defineView('v', joined).plan(), /a join of streams keeps all of them for ever/)
  assert.ok(defineView('v', joined, { allowUnboundedState: true }).plan())
  assert.throws(
    () =>
      b
        .groupBy('item')
        .aggregate({ n: count() })
        .filter(() => true),
    /may be withdrawn/,
  )
  assert.throws(() => b.window({ hopping: '1m', every: '7s' }).groupBy().aggregate({ n: count() }), /multiple/)
  assert.throws(() => b.groupBy('item').aggregate({ n: count() }, { emit: 'close' }), /only windows close/)
  assert.throws(
    () => b.select((row) => ({ x: call('nothing', row.price) })),
    /function nothing\(double precision\) does not exist/,
  )
  assert.throws(() => b.select(() => ({ x: call('abs(1), 2', 1) })), /no name of a function/)
  assert.throws(() => b.where((row) => row.price.cast('int) OR (1' as 'int').eq(1)), /no type/)
  assert.throws(() => views.table(), /has no key/)
  assert.throws(
    () =>
      b
        .select((row) => ({ at: row.at }))
        .asOf(
          b,
          (l, r) => l.at.eq(r.at),
          (l) => ({ at: l.at }),
        ),
    /is a table/,
  )
  assert.equal(
    defineView(
      'v',
      b.where((row) => row.bidder.eq(`'; DROP "x" --`)).select((row) => ({ 'a"b': row.item })),
    ).plan()!.plan.columns[0]!.name,
    'a"b',
  )
})
