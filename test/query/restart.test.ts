/** `restart_strategy` of views in SQL and in TypeScript, and what the engine and the doctor tell of a view that starts again. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { Fault } from '../../src/lib/fault.ts'
import { count, defineTopic, defineView, sql } from '../../src/index.ts'
import type { ViewPlan } from '../../src/flow/plan.ts'
import { restartDefault } from '../../src/flow/restart.ts'
import { SqlFault } from '../../src/sql/fault.ts'
import { openHouse } from './house.ts'

const events = defineTopic('events', { schema: z.object({ k: z.string() }) })
const create = (options: string): string =>
  `CREATE OR REPLACE MATERIALIZED VIEW v WITH (${options}) AS SELECT count(*) AS n FROM s`

test('options of a strategy are Flink’s, with its defaults', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM s (a int)')
  const cases: readonly (readonly [string, ViewPlan['restart']])[] = [
    [`restart_strategy = 'none'`, { kind: 'none' }],
    [`restart_strategy = 'fixed-delay'`, { kind: 'fixed-delay', attempts: 1, delayMs: 1_000 }],
    [
      `'restart-strategy' = 'fixed-delay', restart_attempts = 3, restart_delay = '10s'`,
      { kind: 'fixed-delay', attempts: 3, delayMs: 10_000 },
    ],
    [`restart_strategy = 'failure-rate'`, { kind: 'failure-rate', failures: 1, intervalMs: 60_000, delayMs: 1_000 }],
    [
      `restart_strategy = 'failure-rate', restart_failures = 5, restart_interval = '1h', restart_delay = '2s'`,
      { kind: 'failure-rate', failures: 5, intervalMs: 3_600_000, delayMs: 2_000 },
    ],
    [`restart_strategy = 'exponential-delay'`, restartDefault],
    [
      `restart_strategy = 'exponential-delay', restart_attempts = 7, restart_delay = '2s', restart_delay_max = '5m',
        restart_multiplier = 2, restart_jitter = 0.2, restart_reset = '10m'`,
      {
        kind: 'exponential-delay',
        attempts: 7,
        initialMs: 2_000,
        mostMs: 300_000,
        multiplier: 2,
        jitter: 0.2,
        resetMs: 600_000,
      },
    ],
    [`idle = '1s'`, undefined],
  ]
  for (const [options, restart] of cases) {
    await house.sql(create(options))
    assert.deepEqual(house.flow.plan('v').restart, restart, options)
  }
})
test('options that do not belong to the strategy, or make none, are refused', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM s (a int)')
  for (const [options, message] of [
    [`restart_attempts = 3`, /needs the option restart_strategy.*fixed-delay and exponential-delay/],
    [
      `restart_strategy = 'fixed-delay', restart_multiplier = 2`,
      /has no meaning with restart_strategy = 'fixed-delay'/,
    ],
    [`restart_strategy = 'always'`, /one of none, fixed-delay, exponential-delay, failure-rate/],
    [`restart_strategy = 'fixed-delay', restart_attempts = 0`, /a whole number from 1/],
    [`restart_strategy = 'exponential-delay', restart_multiplier = 0.5`, /a number from 1/],
    [`restart_strategy = 'exponential-delay', restart_jitter = 2`, /from 0 to 1/],
    [`restart_strategy = 'exponential-delay', restart_jitter = 'much'`, /a number from 0/],
    [`restart_strategy = 'exponential-delay', restart_delay = '2m'`, /longer than the longest/],
  ] as const)
    await assert.rejects(
      house.sql(create(options)),
      (error: unknown) => error instanceof SqlFault && message.test(`${error.message} ${error.hint}`),
      options,
    )
})
test('a program says the same', () => {
  const inSql = defineView('a', sql`SELECT 1 AS x`, {
    restart: { strategy: 'exponential-delay', delayMax: '5m', multiplier: 2 },
  })
  assert.deepEqual(inSql.options.restart, { strategy: 'exponential-delay', delayMax: '5m', multiplier: 2 })
  const counted = events.stream().groupBy('k').aggregate({ n: count() })
  const view = defineView('b', counted, { restart: { strategy: 'fixed-delay', attempts: 4, delay: '3s' } })
  assert.deepEqual(view.plan()?.restart, { kind: 'fixed-delay', attempts: 4, delayMs: 3_000 })
  assert.throws(
    () => defineView('c', counted, { restart: { strategy: 'fixed-delay', delay: 'soon' } }).plan(),
    /duration/,
  )
})

test('a view that waits for its next start says so, why and when; the doctor too; then it goes on', async () => {
  await using house = await openHouse()
  const away = { now: false }
  const open = house.log.reader.bind(house.log)
  house.log.reader = (...how) => {
    const reader = open(...how)
    return {
      restore: (...of) => reader.restore(...of),
      read: async (...of) => {
        const chunks = await reader.read(...of)
        const [[first]] = [of[0]]
        if (!away.now || first?.partition.topic !== 's') return chunks
        return of[0].map(({ partition }) => ({
          partition,
          fault: new Fault('store.failed', { what: 'EIO', path: '/d' }),
        }))
      },
    }
  }
  await house.sql('CREATE STREAM s (a int)')
  await house.sql(create(`restart_strategy = 'fixed-delay', restart_attempts = 2, restart_delay = '250ms'`))
  await house.sql('INSERT INTO s VALUES (1); FLUSH')
  const info = () => house.engine.relation('v')!
  assert.deepEqual([info().status, info().restarts], ['running', undefined])
  away.now = true
  await house.sql('INSERT INTO s VALUES (2)')
  for (let i = 0; i < 100 && info().status !== 'restarting'; i++) await new Promise((done) => setTimeout(done, 5))
  const { status, error, restarts } = info()
  assert.deepEqual([status, error?.code, restarts?.attempts], ['restarting', 'store.failed', 1])
  assert.deepEqual(restarts?.lastFault.code, 'store.failed')
  assert.equal(Date.parse(restarts!.nextAt!) - Date.parse(restarts!.lastFaultAt), 250)
  assert.deepEqual(
    (await house.sql('SHOW VIEWS')).map(([name, is]) => [name, is]),
    [['v', 'restarting']],
  )
  away.now = false
  const [cause] = await house.engine.doctor('v')
  assert.equal(cause?.code, 'restarting')
  assert.match(cause!.says, /starts again by itself at 20.*EIO/)
  await house.settled('SELECT n FROM v', [[2]])
  assert.deepEqual(await house.sql('SELECT n FROM v'), [[2]])
  assert.deepEqual(
    [info().status, info().error, info().restarts?.attempts, info().restarts?.nextAt],
    ['running', null, 1, null],
  )
})
