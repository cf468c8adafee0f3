/** The fraud rules under virtual time, the power going between two purchases. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { testMillrace } from 'millrace/testing'
import { fraud } from './fraud.ts'
import { purchases } from './purchases.ts'

const shop = { topics: [purchases], views: [fraud] }
const purchase = (line: number, amount: number, day: string) => ({
  kind: 'purchase' as const,
  seq: line,
  line,
  customer: 7,
  amount,
  bought_at: `${day}T10:00:00Z`,
})

test('the third purchase of a day is reported, with those before it', async () => {
  await using millrace = await testMillrace(shop)
  for (const line of [1, 2, 3]) {
    await millrace.topic(purchases).send(purchase(line, 10, '1997-01-01'))
    await millrace.crash('power')
  }
  const rows = await millrace.view(fraud).rows()
  assert.deepEqual(
    rows.map(({ reason, line, because }) => ({ reason, line, because })),
    [{ reason: 'busy day', line: 3, because: [1, 2, 3] }],
  )
})

test('an amount far above the earlier ones is reported, one that is usual is not', async () => {
  await using millrace = await testMillrace(shop)
  const days = [1, 2, 3, 4, 5].map((day) => purchase(day, 10 + day, `1997-01-0${day}`))
  await millrace.topic(purchases).send([...days, purchase(6, 15, '1997-02-01')])
  assert.deepEqual(await millrace.view(fraud).rows(), [])
  await millrace.topic(purchases).send(purchase(7, 500, '1997-03-01'))
  const rows = await millrace.view(fraud).rows()
  assert.deepEqual(
    rows.map(({ reason, line }) => ({ reason, line })),
    [{ reason: 'unusual amount', line: 7 }],
  )
})
