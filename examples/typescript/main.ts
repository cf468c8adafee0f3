/** Purchases in, revenue per item and minute out: topics, views and changes with types from end to end. */
import { defineAlert, defineTopic, defineView, sql, start, sum } from 'millrace'
import { z } from 'zod'

export const purchases = defineTopic('purchases', {
  schema: z.object({ customerId: z.string(), item: z.string(), amount: z.number(), boughtAt: z.iso.datetime() }),
  key: 'customerId',
  eventTime: 'boughtAt',
  lateness: '5s',
  partitions: 6,
})

export const revenue = defineView(
  'revenue',
  purchases
    .stream()
    .window({ tumbling: '1m' })
    .groupBy('item')
    .aggregate({ revenue: sum('amount') }),
)

export const expensive = defineAlert('expensive', sql`SELECT item, amount FROM ${purchases} WHERE amount > ${1000}`, {
  notify: ['console'],
  message: '{item} for {amount}',
})

await using millrace = await start({ data: ':memory:', topics: [purchases], views: [revenue], alerts: [expensive] })

await millrace.topic(purchases).send([
  { customerId: 'ann', item: 'lamp', amount: 19.5, boughtAt: '2026-01-01T10:00:00Z' },
  { customerId: 'bob', item: 'lamp', amount: 5, boughtAt: '2026-01-01T10:00:30Z' },
  { customerId: 'ann', item: 'desk', amount: 1200, boughtAt: '2026-01-01T10:00:40Z' },
])

for await (const { op, row } of millrace.view(revenue).changes()) {
  console.log(`${op} revenue of ${row.item}: ${row.revenue}, from ${row.window_start}`)
  if (op === '+' && row.item === 'lamp' && row.revenue === 24.5) break
}
