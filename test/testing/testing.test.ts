import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { count, defineAlert, defineTopic, defineView, sql, sum } from '../../src/index.ts'
import { type TestOptions, testMillrace } from '../../src/testing.ts'
import { Fault } from '../../src/lib/fault.ts'

const purchases = defineTopic('purchases', {
  schema: z.object({ customer: z.string(), item: z.string(), amount: z.number(), at: z.iso.datetime() }),
  key: 'customer',
  eventTime: 'at',
  lateness: '5s',
  partitions: 3,
})
const revenue = defineView(
  'revenue',
  purchases
    .stream()
    .groupBy('item')
    .aggregate({ revenue: sum('amount'), sold: count() }),
)
const expensive = defineAlert('expensive', sql`SELECT item, amount FROM ${purchases} WHERE amount > ${1000}`, {
  notify: [{ webhook: 'https://hooks.example.com/expensive' }],
  message: '{item} for {amount}',
})
const definitions: TestOptions = { topics: [purchases], views: [revenue], alerts: [expensive] }
const bought = (customer: string, item: string, amount: number, at = '2026-01-01T10:00:00Z') => ({
  customer,
  item,
  amount,
  at,
})

test('what is asked for sees all that was sent', async () => {
  await using millrace = await testMillrace(definitions)
  await millrace.topic(purchases).send([bought('ann', 'lamp', 19.5), bought('bob', 'lamp', 5)])
  await millrace.topic(purchases).send(bought('ann', 'desk', 300))
  const rows = await millrace.view(revenue).rows()
  assert.deepEqual(
    rows.toSorted((a, b) => a.item.localeCompare(b.item)),
    [
      { item: 'desk', revenue: 300, sold: 1 },
      { item: 'lamp', revenue: 24.5, sold: 2 },
    ],
  )
  assert.deepEqual(await millrace.sql('SELECT count(*) AS n FROM purchases WHERE amount > $1', [10]), [{ n: 2 }])
})

test('several at once share the passing of time', async () => {
  await using millrace = await testMillrace(definitions)
  const sent = await Promise.all(
    Array.from({ length: 20 }, (_, i) => millrace.topic(purchases).send(bought(`c${i}`, 'lamp', 1))),
  )
  assert.equal(new Set(sent.flat().map(({ partition, offset }) => `${partition}:${offset}`)).size, 20)
  const [rows] = await Promise.all([millrace.view(revenue).rows(), millrace.clock.advance('1m')])
  assert.deepEqual(rows, [{ item: 'lamp', revenue: 20, sold: 20 }])
})

test('time stands still until it is asked to pass, then a day passes', async () => {
  await using millrace = await testMillrace({ ...definitions, startAt: '2026-03-01T00:00:00Z' })
  const before = millrace.clock.now()
  assert.ok(before - Date.UTC(2026, 2, 1) < 1_000)
  await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(millrace.clock.now(), before)
  await millrace.clock.advance('1d')
  assert.equal(millrace.clock.now(), before + 86_400_000)
  await assert.rejects(async () => millrace.clock.advance('a day'), { code: 'config.invalid' })
  await assert.rejects(testMillrace({ startAt: 'yesterday' }), RangeError)
})

test('events leave with the clock: now() is the virtual one', async () => {
  await using millrace = await testMillrace(definitions)
  await millrace.sql(
    `CREATE MATERIALIZED VIEW recent AS SELECT item, at FROM purchases WHERE at > now() - INTERVAL '1 hour'`,
  )
  await millrace.topic(purchases).send(bought('ann', 'lamp', 1, new Date(millrace.clock.now()).toISOString()))
  assert.equal((await millrace.sql('SELECT * FROM recent')).length, 1)
  await millrace.clock.advance('59m')
  assert.equal((await millrace.sql('SELECT * FROM recent')).length, 1)
  await millrace.clock.advance('2m')
  assert.equal((await millrace.sql('SELECT * FROM recent')).length, 0)
})

for (const how of ['kill', 'power'] as const)
  test(`a crash (${how}) loses nothing that was acknowledged and counts nothing twice`, async () => {
    await using millrace = await testMillrace({ ...definitions, seed: 7 })
    for (let i = 0; i < 5; i++) {
      await millrace.topic(purchases).send(bought('ann', 'lamp', 1))
      if (i % 2 === 0) await millrace.view(revenue).rows()
      await millrace.crash(how)
    }
    assert.deepEqual(await millrace.view(revenue).rows(), [{ item: 'lamp', revenue: 5, sold: 5 }])
  })

test('who waits while it crashes gets a fault', async () => {
  await using millrace = await testMillrace(definitions)
  const changes = millrace.view(revenue).changes()[Symbol.asyncIterator]()
  const next = changes.next()
  const heard = assert.rejects(next, (error: unknown) => error instanceof Fault && error.code === 'log.closed')
  await millrace.clock.advance(10)
  await millrace.crash()
  await heard
})

test('changes come as they are committed', async () => {
  await using millrace = await testMillrace(definitions)
  const changes = millrace.view(revenue).changes()[Symbol.asyncIterator]()
  await millrace.topic(purchases).send(bought('ann', 'lamp', 2))
  assert.deepEqual((await changes.next()).value?.row, { item: 'lamp', revenue: 2, sold: 1 })
  await millrace.topic(purchases).send(bought('bob', 'lamp', 3))
  const two = [(await changes.next()).value, (await changes.next()).value]
  assert.deepEqual(
    two.map((change) => [change?.op, change?.row.revenue]),
    [
      ['-', 2],
      ['+', 5],
    ],
  )
  await changes.return?.()
})

test('alerts call the test, also again after an error', async () => {
  let failures = 2
  await using millrace = await testMillrace({
    ...definitions,
    http: () => ({ status: failures-- > 0 ? 503 : 200, headers: {}, body: new Uint8Array() }),
  })
  await millrace.topic(purchases).send(bought('ann', 'desk', 1200))
  await millrace.clock.advance('1h')
  assert.equal(millrace.requests.length, 3)
  const ids = new Set(millrace.requests.map(({ headers }) => headers['webhook-id']))
  assert.equal(ids.size, 1, 'every attempt has the id of the alert')
  assert.match(Buffer.from(millrace.requests[2]!.body).toString(), /desk for 1200/)
  assert.equal(millrace.requests[0]!.url, 'https://hooks.example.com/expensive')
})

test('the same seed and the same test give the same run', async () => {
  const run = async (seed: number): Promise<unknown> => {
    await using millrace = await testMillrace({ ...definitions, seed })
    for (let i = 0; i < 10; i++) await millrace.topic(purchases).send(bought(`c${i % 3}`, 'lamp', i))
    await millrace.crash('power')
    await millrace.clock.advance('10m')
    return {
      rows: await millrace.sql('SELECT _partition, _offset, _timestamp, amount FROM purchases'),
      held: await millrace.view(revenue).rows(),
      now: millrace.clock.now(),
    }
  }
  assert.deepEqual(await run(3), await run(3))
})

test('a closed one says so', async () => {
  const millrace = await testMillrace(definitions)
  await millrace.close()
  await millrace.close()
  await assert.rejects(async () => millrace.view(revenue).rows(), { code: 'log.closed' })
})
