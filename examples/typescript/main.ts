/** The shop runs inside this program: events go in, changes come out, with types from end to end. */
import { start } from 'millrace'
import { expensive, purchases, revenue } from './shop.ts'

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
