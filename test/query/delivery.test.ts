/** `delivery` of views: at least once rows go out before their tick. What is lost with a tick then comes again, and nothing else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { openFlow } from '../../src/flow/runtime/flow.ts'
import { Fault } from '../../src/lib/fault.ts'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import { SqlFault } from '../../src/sql/fault.ts'
import { openHouse as openFlowHouse, openHouseWith, newest, readAll, textOf } from '../flow/house.ts'
import { field, source, sumsOf, t } from '../flow/plans.ts'
import { openHouse } from './house.ts'
import type { ViewPlan } from '../../src/flow/plan.ts'

const columns = [field('k', t.text), field('n', t.int)]
const base = {
  lateTopic: null,
  idleMs: 30_000,
  maxFutureMs: 3_600_000,
  onError: 'stop',
  delivery: 'at least once',
} as const
const passing: ViewPlan = { ...base, name: 'v', plan: source('events', columns), key: null, appendOnly: true }
const sums: ViewPlan = { ...sumsOf('events', 'g'), ...base }
const numbers = (records: Awaited<ReturnType<typeof readAll>>): number[] =>
  records.map(({ value }) => (JSON.parse(textOf(value)!) as { n: number }).n)

test('a tick that comes to nothing leaves its rows, and they come again; sums count each event once', async () => {
  const world = simulate(3)
  let failures = 3
  await world.run(async () => {
    await using house = await openHouseWith(world, '/data', (options) =>
      openFlow({
        ...options,
        commits: {
          put: (entries, parts) =>
            entries.length > 0 && failures-- > 0
              ? Promise.reject(new Fault('log.rolled-back', { why: 'a test says so' }))
              : options.commits.put(entries, parts),
        },
      }),
    )
    await house.topic('events')
    await house.flow.start(passing)
    await house.flow.start(sums)
    for (let n = 1; n <= 20; n++) await house.send('events', [{ k: 'x', n }])
    await house.flow.flush()
    const seen = numbers(await house.read('v'))
    assert.deepEqual(
      [...new Set(seen)].toSorted((a, b) => a - b),
      Array.from({ length: 20 }, (_, i) => i + 1),
    )
    assert.deepEqual(Object.fromEntries(newest(await house.read('g'))), { x: { k: 'x', n: 210 } })
  })
})

test('through kills at random moments nothing is lost; rows may come twice, sums are exact', async () => {
  let twice = 0
  for (let seed = 1; seed <= 40; seed++) {
    const random = new SeededRandom(seed, 'delivery')
    const machine = simulate(seed, { syncMsMax: 3 })
    let sent = 0
    for (let life = 0; life < 4; life++) {
      const house = await machine.run(() => openFlowHouse(machine, '/data'))
      if (life === 0) await machine.run(() => house.topic('events'))
      await machine.run(() => house.flow.start(passing))
      await machine.run(() => house.flow.start(sums))
      for (let i = 0; i < 10; i++) {
        const n = ++sent
        await machine.run(() => house.send('events', [{ k: 'x', n }]))
        await machine.advance(random.between(0, 4))
      }
      if (random.chance(0.5)) machine.kill()
      else machine.powerCut()
    }
    await machine.run(async () => {
      await using house = await openFlowHouse(machine, '/data')
      await house.flow.start(passing)
      await house.flow.start(sums)
      await house.flow.flush()
      const seen = numbers(await house.read('v'))
      assert.deepEqual(
        [...new Set(seen)].toSorted((a, b) => a - b),
        Array.from({ length: sent }, (_, i) => i + 1),
        `seed ${seed}`,
      )
      twice += seen.length - sent
      const { x } = Object.fromEntries(newest(await house.read('g'))) as { x: { n: number } }
      assert.equal(x.n, (sent * (sent + 1)) / 2, `seed ${seed}`)
    })
  }
  assert.ok(twice > 0, 'no kill came between rows and their tick')
})

test('it is said in SQL; rows that add up without a key are refused, and so is another promise', async () => {
  await using house = await openHouse()
  await house.sql('CREATE STREAM s (id int, k text); CREATE TABLE t (id int PRIMARY KEY, k text)')
  const of = (delivery: string, query: string): string =>
    `CREATE OR REPLACE MATERIALIZED VIEW v WITH (delivery = '${delivery}') AS ${query}`
  await house.sql(of('at_least_once', 'SELECT id FROM s'))
  assert.equal(house.flow.plan('v').delivery, 'at least once')
  await house.sql(
    `${of('AT_LEAST_ONCE', 'SELECT k, count(*) AS n FROM s GROUP BY k')}; INSERT INTO s VALUES (1, 'a'); FLUSH`,
  )
  assert.deepEqual(await house.sql('SELECT * FROM v'), [['a', 1]])
  await house.sql(of('exactly_once', 'SELECT k, count(*) AS n FROM s GROUP BY k'))
  assert.equal(house.flow.plan('v').delivery, undefined)
  for (const [delivery, query, message] of [
    ['at_least_once', 'SELECT k FROM t', /would count twice/],
    ['at_most_once', 'SELECT id FROM s', /one of exactly_once, at_least_once/],
  ] as const)
    await assert.rejects(
      house.sql(of(delivery, query)),
      (error: unknown) => error instanceof SqlFault && message.test(error.message),
    )
})
