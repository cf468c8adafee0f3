/** What the shop keeps and asks: purchases in, revenue per item and minute out, an alert. Definitions are inert. */
import { defineAlert, defineTopic, defineView, sql, sum } from 'millrace'
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
