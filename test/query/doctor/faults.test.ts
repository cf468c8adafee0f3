/** Faults that users make, each planted; the doctor must name the cause first, and say nothing of the healthy twin. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Clinic, type Sent, clinic } from './fixture.ts'

interface Planted {
  readonly fault: string
  readonly code: string
  readonly sql: string
  /** The view that is asked about; `v` unless given. */
  readonly view?: string
  /** What every finding must be like. */
  readonly says?: RegExp
  readonly evidence?: RegExp
  sick(on: Clinic): Promise<void>
  /** Without the fault; null where it is the definition itself. */
  readonly healthy: ((on: Clinic) => Promise<void>) | { readonly sql: string; run(on: Clinic): Promise<void> }
}

const start = Date.UTC(2026, 0, 1)
const iso = (ms: number): string => new Date(ms).toISOString()
const clicks = `CREATE STREAM clicks (page text, at timestamptz, WATERMARK FOR at AS at - INTERVAL '2 seconds')
  WITH (topic = 'clicks', partitions = 2)`
const perMinute = `CREATE MATERIALIZED VIEW v AS SELECT page, window_end, count(*) AS n
  FROM TUMBLE(clicks, at, INTERVAL '1 minute') GROUP BY page, window_start, window_end EMIT ON WINDOW CLOSE`
const click = (seconds: number, partition = 0, arrived = seconds): Sent => ({
  partition,
  value: { page: '/', at: iso(start + seconds * 1000) },
  timeMs: start + arrived * 1000,
})
const every = (step: number, to: number, make: (second: number) => Sent[]): Sent[] =>
  Array.from({ length: Math.floor(to / step) + 1 }, (_, i) => make(i * step)).flat()

const orders = `CREATE STREAM orders (customer text, amount double precision) WITH (topic = 'orders');
  CREATE STREAM payments (customer text, paid double precision) WITH (topic = 'payments');
  CREATE MATERIALIZED VIEW v WITH (allow_unbounded_state = true) AS
  SELECT o.customer, o.amount, p.paid FROM orders o JOIN payments p ON o.customer = p.customer`
const prices = `CREATE STREAM sales (item text, at timestamptz, WATERMARK FOR at AS at) WITH (topic = 'sales');
  CREATE TABLE prices (item text PRIMARY KEY, price double precision, at timestamptz, WATERMARK FOR at AS at) WITH (topic = 'prices');
  CREATE MATERIALIZED VIEW v AS SELECT s.item, p.price FROM sales s JOIN prices FOR SYSTEM_TIME AS OF s.at AS p ON s.item = p.item`
const sale = (item: string, second: number): Sent => ({ value: { item, at: iso(start + second * 1000) } })
const price = (item: string, second: number): Sent => ({
  key: item,
  value: { item, price: 3, at: iso(start + second * 1000) },
})

const within = `CREATE STREAM sent (id text, at timestamptz, WATERMARK FOR at AS at - INTERVAL '1 hour') WITH (topic = 'sent');
  CREATE STREAM got (id text, at timestamptz, WATERMARK FOR at AS at - INTERVAL '1 hour') WITH (topic = 'got');
  CREATE MATERIALIZED VIEW v AS SELECT s.id FROM sent s JOIN got g ON g.id = s.id
    AND g.at BETWEEN s.at - INTERVAL '1 minute' AND s.at + INTERVAL '1 minute'`
const step = (id: string, second: number): Sent => ({ value: { id, at: iso(start + second * 1000) }, timeMs: start })

const aligned = ['fast', 'slow']
  .map(
    (name) => `CREATE STREAM ${name} (n int, at timestamptz, WATERMARK FOR at AS at)
    WITH (topic = '${name}', watermark_alignment_group = 'g', watermark_alignment_max_drift = '1m')`,
  )
  .concat('CREATE MATERIALIZED VIEW v AS SELECT n FROM fast UNION ALL SELECT n FROM slow')
  .join('; ')
const one = (second: number): Sent => ({ value: { n: second, at: iso(start + second * 1000) }, timeMs: start })

const planted: readonly Planted[] = [
  {
    fault: 'an input is far ahead of another that it is aligned with',
    code: 'input-held-back',
    sql: aligned,
    says: /fast is read no further for now: it is more than 1m ahead of slow/,
    evidence: /slow has come to|events of fast wait/,
    async sick(on) {
      await on.post('slow', [one(0)])
      await on.post(
        'fast',
        every(10, 600, (s) => [one(s)]),
      )
      await on.advance(1_000)
    },
    async healthy(on) {
      await on.post('slow', [one(0)])
      await on.post(
        'fast',
        every(10, 600, (s) => [one(s)]),
      )
      await on.send(
        'slow',
        every(10, 600, (s) => [one(s)]),
      )
    },
  },
  {
    fault: 'one partition is silent and holds the watermark',
    code: 'partition-silent',
    sql: `${clicks}; ${perMinute.replace('VIEW v AS', `VIEW v WITH (idle = '10m') AS`)}`,
    says: /clicks:1/,
    async sick(on) {
      await on.send('clicks', [click(0, 1), ...every(10, 300, (s) => [click(s, 0)])])
      await on.advance(20_000)
    },
    healthy: (on) =>
      on.send(
        'clicks',
        every(10, 300, (s) => [click(s, 0), click(s, 1)]),
      ),
  },
  {
    fault: 'one event lies far in the future and is not believed',
    code: 'event-from-future',
    sql: `${clicks}; ${perMinute}`,
    sick: (on) => on.send('clicks', [click(0), click(10), click(7 * 86_400, 0, 20), click(30)]),
    healthy: (on) =>
      on.send(
        'clicks',
        every(10, 300, (s) => [click(s)]),
      ),
  },
  {
    fault: 'one event is ahead, is believed, and makes the others late',
    code: 'event-from-future',
    sql: `${clicks}; ${perMinute}`,
    sick: (on) => on.send('clicks', [click(0), click(1800, 0, 5), ...every(5, 200, (s) => [click(s + 10)])]),
    healthy: (on) =>
      on.send(
        'clicks',
        every(5, 200, (s) => [click(s)]),
      ),
  },
  {
    fault: 'event times are seconds, read as milliseconds',
    code: 'time-unit',
    says: /seconds that are read as milliseconds/,
    sql: `CREATE STREAM clicks (page text, ms bigint, at timestamptz GENERATED ALWAYS AS (to_timestamp(ms / 1000.0)),
      WATERMARK FOR at AS at - INTERVAL '2 seconds') WITH (topic = 'clicks'); ${perMinute}`,
    sick: (on) =>
      on.send(
        'clicks',
        every(10, 300, (s) => [{ value: { page: '/', ms: start / 1000 + s }, timeMs: start + s * 1000 }]),
      ),
    healthy: (on) =>
      on.send(
        'clicks',
        every(10, 300, (s) => [{ value: { page: '/', ms: start + s * 1000 }, timeMs: start + s * 1000 }]),
      ),
  },
  {
    fault: 'event times are microseconds, read as milliseconds',
    code: 'time-unit',
    says: /microseconds that are read as milliseconds/,
    sql: `CREATE STREAM clicks (page text, ms bigint, at timestamptz GENERATED ALWAYS AS (to_timestamp(ms / 1000.0)),
      WATERMARK FOR at AS at - INTERVAL '2 seconds') WITH (topic = 'clicks'); ${perMinute}`,
    sick: (on) =>
      on.send(
        'clicks',
        every(10, 300, (s) => [{ value: { page: '/', ms: (start + s * 1000) * 1000 }, timeMs: start + s * 1000 }]),
      ),
    healthy: (on) =>
      on.send(
        'clicks',
        every(10, 300, (s) => [{ value: { page: '/', ms: start + s * 1000 }, timeMs: start + s * 1000 }]),
      ),
  },
  ...(
    [
      ['leading zeros', ['0017', '0018'], ['17', '18']],
      ['case', ['ANN', 'BOB'], ['ann', 'bob']],
      ['spaces', ['ann ', 'bob '], ['ann', 'bob']],
    ] as const
  ).map(([how, left, right]): Planted => ({
    fault: `keys of a join differ by ${how}`,
    code: 'join-finds-nothing',
    evidence: /differ in spelling alone/,
    sql: orders,
    async sick(on) {
      await on.send(
        'orders',
        left.map((customer) => ({ value: { customer, amount: 1 } })),
      )
      await on.send(
        'payments',
        right.map((customer) => ({ value: { customer, paid: 1 } })),
      )
    },
    healthy: async (on) => {
      await on.send(
        'orders',
        right.map((customer) => ({ value: { customer, amount: 1 } })),
      )
      await on.send(
        'payments',
        right.map((customer) => ({ value: { customer, paid: 1 } })),
      )
    },
  })),
  {
    fault: 'keys of a join are of two kinds',
    code: 'join-finds-nothing',
    sql: orders,
    async sick(on) {
      await on.send('orders', [{ value: { customer: 'c-1', amount: 1 } }])
      await on.send('payments', [{ value: { customer: '8f1c', paid: 1 } }])
    },
    healthy: async (on) => {
      await on.send('orders', [{ value: { customer: 'c-1', amount: 1 } }])
      await on.send('payments', [{ value: { customer: 'c-1', paid: 1 } }])
    },
  },
  {
    fault: 'times of one source are local: late by whole hours',
    code: 'time-zone',
    says: /2 hours behind/,
    sql: `${clicks}; ${perMinute}`,
    sick: (on) =>
      on.send(
        'clicks',
        every(5, 200, (s) => [click(s), click(s - 7200, 0, s)]),
      ),
    healthy: (on) =>
      on.send(
        'clicks',
        every(5, 200, (s) => [click(s), click(s, 1)]),
      ),
  },
  {
    fault: 'times are local, and a filter by the clock leaves them out',
    code: 'time-zone',
    says: /5 hours ahead/,
    sql: `${clicks}; CREATE MATERIALIZED VIEW v WITH (max_future = '1d') AS SELECT page FROM clicks WHERE at < now()`,
    sick: (on) =>
      on.send(
        'clicks',
        every(5, 60, (s) => [click(s + 5 * 3600, 0, s)]),
      ),
    healthy: async (on) => {
      await on.advance(60_000)
      await on.send(
        'clicks',
        every(5, 60, (s) => [click(s)]),
      )
    },
  },
  {
    fault: 'rows come after their window has closed',
    code: 'rows-late',
    sql: `${clicks}; ${perMinute}`,
    evidence: /behind what came before it/,
    sick: (on) =>
      on.send(
        'clicks',
        every(30, 600, (s) => [click(s), ...(s > 100 ? [click(s - 90, 0, s)] : [])]),
      ),
    healthy: (on) =>
      on.send(
        'clicks',
        every(10, 600, (s) => [click(s), click(s - 1, 0, s)]),
      ),
  },
  {
    fault: 'a filter lets nothing through',
    code: 'filter-passes-nothing',
    evidence: /'PAID' is asked for, 'paid' is there/,
    sql: `CREATE STREAM orders (id int, status text) WITH (topic = 'orders');
      CREATE MATERIALIZED VIEW v AS SELECT id FROM orders WHERE status = 'PAID'`,
    sick: (on) =>
      on.send(
        'orders',
        [1, 2, 3].map((id) => ({ value: { id, status: id === 2 ? 'open' : 'paid' } })),
      ),
    healthy: (on) =>
      on.send(
        'orders',
        [1, 2, 3].map((id) => ({ value: { id, status: id === 2 ? 'open' : 'PAID' } })),
      ),
  },
  {
    fault: 'a column is spelt unlike its field',
    code: 'field-misspelt',
    says: /customerId/,
    sql: `CREATE STREAM orders (id int, customer_id text) WITH (topic = 'orders');
      CREATE MATERIALIZED VIEW v AS SELECT customer_id, count(*) AS n FROM orders WHERE customer_id IS NOT NULL GROUP BY customer_id`,
    sick: (on) => on.send('orders', [{ value: { id: 1, customerId: 'ann' } }]),
    healthy: (on) => on.send('orders', [{ value: { id: 1, customer_id: 'ann' } }]),
  },
  {
    fault: 'all events are invalid',
    code: 'events-invalid',
    sql: `CREATE STREAM orders (id int, amount double precision) WITH (topic = 'orders', on_invalid = 'quarantine');
      CREATE MATERIALIZED VIEW v AS SELECT sum(amount) AS total FROM orders`,
    sick: (on) => on.send('orders', [{ value: { id: 1, amount: 'much' } }, { value: 'no JSON' }]),
    healthy: (on) => on.send('orders', [{ value: { id: 1, amount: 3 } }]),
  },
  {
    fault: 'the view is paused',
    code: 'paused',
    sql: `${clicks}; ${perMinute}`,
    async sick(on) {
      await on.sql('ALTER MATERIALIZED VIEW v PAUSE')
    },
    healthy: (on) =>
      on.send(
        'clicks',
        every(10, 300, (s) => [click(s)]),
      ),
  },
  {
    fault: 'an event stopped the view',
    code: 'stopped',
    says: /division by zero/i,
    sql: `CREATE STREAM orders (id int) WITH (topic = 'orders');
      CREATE MATERIALIZED VIEW v AS SELECT 10 / id AS n FROM orders`,
    sick: (on) => on.send('orders', [{ value: { id: 0 } }]),
    healthy: (on) => on.send('orders', [{ value: { id: 2 } }]),
  },
  {
    fault: 'what the view reads has stopped',
    code: 'input-stopped',
    sql: `CREATE STREAM orders (id int) WITH (topic = 'orders');
      CREATE MATERIALIZED VIEW w AS SELECT 10 / id AS n FROM orders;
      CREATE MATERIALIZED VIEW v AS SELECT n + 1 AS m FROM w`,
    sick: (on) => on.send('orders', [{ value: { id: 0 } }]),
    healthy: (on) => on.send('orders', [{ value: { id: 2 } }]),
  },
  {
    fault: 'nothing came after the window',
    code: 'window-open',
    sql: `${clicks}; ${perMinute}`,
    sick: (on) => on.send('clicks', [click(0), click(10), click(59)]),
    healthy: (on) => on.send('clicks', [click(0), click(10), click(59), click(70)]),
  },
  {
    fault: 'the table of a temporal join is empty',
    code: 'table-empty',
    sql: prices,
    sick: (on) => on.send('sales', [sale('lamp', 1)]),
    healthy: async (on) => {
      await on.send('prices', [price('lamp', 0), price('desk', 10)])
      await on.send('sales', [sale('lamp', 1)])
    },
  },
  {
    fault: 'the table of a temporal join is behind',
    code: 'table-behind',
    sql: prices,
    async sick(on) {
      await on.send('prices', [price('lamp', 0)])
      await on.send('sales', [sale('lamp', 10), sale('lamp', 20)])
    },
    healthy: async (on) => {
      await on.send('prices', [price('lamp', 0), price('desk', 30)])
      await on.send('sales', [sale('lamp', 10), sale('lamp', 20)])
    },
  },
  {
    fault: 'all events came before the view was made, which begins with what comes from then on',
    code: 'no-events',
    sql: clicks,
    says: /^The view takes in what came to topic clicks since it was made, and nothing has/,
    sick: async (on) => {
      await on.send('clicks', [click(-60, 0, -60)])
      await on.sql('CREATE MATERIALIZED VIEW v AS SELECT page FROM clicks START FROM NOW')
    },
    healthy: async (on) => {
      await on.sql('CREATE MATERIALIZED VIEW v AS SELECT page FROM clicks START FROM NOW')
      await on.advance(1_000)
      await on.send('clicks', [click(1)])
    },
  },
  {
    fault: 'no row is new enough for a condition on now()',
    code: 'filter-passes-nothing',
    sql: `${clicks}; CREATE MATERIALIZED VIEW v AS SELECT page, count(*) AS n FROM clicks WHERE at > now() - INTERVAL '1 hour' GROUP BY page`,
    says: /^None of 2 rows is there now, at 2026-01-01T00:00:.*now\(\): until at/,
    evidence: /^at is between 2025-12-31T21:13:20.000Z and 2025-12-31T21:30:00.000Z/,
    sick: (on) => on.send('clicks', [click(-10_000, 0, 0), click(-9_000, 0, 0)]),
    healthy: (on) => on.send('clicks', [click(-10_000, 0, 0), click(-60, 0, 0)]),
  },
  {
    fault: 'events of both sides have the keys, and are never within the interval',
    code: 'join-finds-nothing',
    sql: within,
    says: /within the interval/,
    evidence: /^left: 2025-12-31T23:03:20.000Z to 2025-12-31T23:06:40.000Z, .*\nright: 2025-12-31T23:43:20.000Z to /,
    sick: async (on) => {
      await on.send('sent', [step('a', -3_400), step('b', -3_200)])
      await on.send('got', [step('a', -1_000), step('b', -900)])
    },
    healthy: async (on) => {
      await on.send('sent', [step('a', -3_400), step('b', -1_020)])
      await on.send('got', [step('a', -1_000), step('b', -1_000)])
    },
  },
  {
    fault: 'the table of a temporal join has no event time, and the rows of the stream are of earlier',
    code: 'join-finds-nothing',
    sql: prices.replace(", WATERMARK FOR at AS at) WITH (topic = 'prices')", ") WITH (topic = 'prices')"),
    says: /count from their times, the times of their records, on/,
    sick: async (on) => {
      await on.send('prices', [price('lamp', -100)])
      await on.send('sales', [sale('lamp', -50), sale('lamp', -40)])
      await on.advance(60_000)
    },
    healthy: {
      sql: prices,
      run: async (on) => {
        await on.send('prices', [price('lamp', -100), price('desk', 0)])
        await on.send('sales', [sale('lamp', -50), sale('lamp', -40)])
      },
    },
  },
  {
    fault: 'the topic is empty',
    code: 'no-events',
    sql: `${clicks}; ${perMinute}`,
    sick: async () => {},
    healthy: (on) =>
      on.send(
        'clicks',
        every(10, 300, (s) => [click(s)]),
      ),
  },
]

for (const { fault, code, sql, view = 'v', says, evidence, sick, healthy } of planted) {
  test(`${fault}: ${code}`, async () => {
    const on = await clinic(sql)
    try {
      await sick(on)
      const [first, ...others] = await on.doctor(view)
      assert.equal(first?.code, code, JSON.stringify([first, ...others], null, 1))
      assert.match(first.says, says ?? /./)
      if (evidence !== undefined) assert.match(first.evidence.join('\n'), evidence)
      assert.ok(first.remedy.length > 0)
    } finally {
      await on.close()
    }
  })
  test(`healthy twin of: ${fault}`, async () => {
    const on = await clinic(typeof healthy === 'function' ? sql : healthy.sql)
    try {
      await (typeof healthy === 'function' ? healthy(on) : healthy.run(on))
      assert.deepEqual(await on.doctor(view), [])
    } finally {
      await on.close()
    }
  })
}

test('without samples no value of an event is told', async () => {
  const on = await clinic(`CREATE STREAM orders (id int, status text) WITH (topic = 'orders');
    CREATE MATERIALIZED VIEW v AS SELECT id FROM orders WHERE status = 'PAID'`)
  await on.send('orders', [{ value: { id: 1, status: 'secret' } }])
  const told = JSON.stringify(await on.withoutSamples('v'))
  assert.match(told, /filter-passes-nothing/)
  assert.doesNotMatch(told, /secret/)
  await on.close()
})
test('a view that is not there', async () => {
  const on = await clinic('')
  await assert.rejects(on.doctor('nothing'), { code: 'flow.unknown-view' })
  await on.close()
})
