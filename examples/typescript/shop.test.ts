/** The shop under virtual time: no waiting, and the same run every time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testMillrace } from 'millrace/testing'
import { expensive, purchases, revenue } from './shop.ts'

const shop = { topics: [purchases], views: [revenue], alerts: [expensive] }
const lamp = { customerId: 'ann', item: 'lamp', amount: 19.5, boughtAt: '2026-01-01T10:00:00Z' }

test('a minute has the revenue of its purchases, and a crash changes nothing', async () => {
  await using millrace = await testMillrace(shop)
  await millrace.topic(purchases).send(lamp)
  await millrace.crash('power')
  await millrace.topic(purchases).send({ ...lamp, customerId: 'bob', amount: 5 })
  const [row] = await millrace.view(revenue).rows()
  assert.equal(row?.revenue, 24.5)
})

test('an hour passes at once', async () => {
  await using millrace = await testMillrace(shop)
  await millrace.topic(purchases).send(lamp)
  const recent = `SELECT count(*) AS sold FROM purchases WHERE _timestamp > now() - INTERVAL '1 hour'`
  assert.deepEqual(await millrace.sql(recent), [{ sold: 1 }])
  await millrace.clock.advance('61m')
  assert.deepEqual(await millrace.sql(recent), [{ sold: 0 }])
})
