/** What the shop's till sends: one event for each purchase. */
import { defineTopic, defineView } from 'millrace'
import { z } from 'zod'

export const purchases = defineTopic('purchases', {
  schema: z.object({
    kind: z.enum(['purchase', 'marker']),
    seq: z.int(),
    line: z.int().optional(),
    customer: z.int().optional(),
    items: z.array(z.int()).optional(),
    cds: z.int().optional(),
    amount: z.number().optional(),
    bought_at: z.iso.datetime(),
  }),
  key: 'customer',
  eventTime: 'bought_at',
  lateness: '5s',
  partitions: 1,
})

/** One row for each CD. */
export const sold = defineView(
  'sold',
  purchases
    .stream()
    .flatMap(
      z.object({ item: z.int(), customer: z.int(), line: z.int(), bought_at: z.iso.datetime() }),
      ({ customer, items = [], line, bought_at }, emit) => {
        if (customer === undefined || line === undefined) return
        for (const item of items) emit({ item, customer, line, bought_at })
      },
    ),
)
