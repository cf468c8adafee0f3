/**
 * What to show a customer next to what was just bought: the CDs that most other customers bought with it.
 *
 * Two steps, each with a state by key. By customer: what has this customer bought so far? A CD that is new makes a pair
 * with each of those. By CD: how many customers bought it together with each other one? The five strongest partners are
 * the advice; among equals the smaller id goes first.
 */
import { defineView } from 'millrace'
import { z } from 'zod'
import { purchases } from './purchases.ts'

const adviceLength = 5

/** Partners that a customer gives an item for the first time; `shown`: the customer is shown what goes with it. */
const Together = z.object({
  item: z.int(),
  partners: z.array(z.int()),
  shown: z.boolean(),
  customer: z.int(),
  seq: z.int(),
  bought_at: z.iso.datetime(),
})

const together = purchases
  .stream()
  .where(({ kind }) => kind.eq('purchase'))
  .process({ key: 'customer', output: Together }, (purchase, state: number[] | undefined, emit) => {
    const { customer, items, seq, bought_at } = purchase
    const before = state ?? []
    if (customer === undefined || items === undefined) return before
    const bought = [...new Set(items)]
    const fresh = bought.filter((item) => !before.includes(item))
    const owned = [...before, ...fresh]
    for (const item of owned) {
      const isFresh = fresh.includes(item)
      const partners = isFresh ? owned.filter((other) => other !== item) : fresh
      const shown = bought.includes(item)
      if (shown || partners.length > 0) emit({ item, partners, shown, customer, seq, bought_at })
    }
    return owned
  })

interface Partners {
  /** How many customers bought both; by the partner's id. */
  readonly counts: Record<string, number>
  strongest: number[]
  version: number
}

/** With `customer`: the answer to that customer. Without: the item's strongest partners have changed. */
export const advice = defineView(
  'advice',
  together.process(
    {
      key: 'item',
      output: z.object({
        item: z.int(),
        customer: z.int().optional(),
        partners: z.array(z.int()),
        seq: z.int(),
        version: z.int(),
        bought_at: z.iso.datetime(),
      }),
    },
    ({ item, partners, shown, customer, seq, bought_at }, state: Partners | undefined, emit) => {
      const known = state ?? { counts: {}, strongest: [], version: 0 }
      const strongest = partners.reduce((best, partner) => promote(known.counts, best, partner), known.strongest)
      if (strongest.join() !== known.strongest.join()) {
        known.strongest = strongest
        known.version++
        emit({ item, partners: strongest, seq, version: known.version, bought_at })
      }
      if (shown) emit({ item, customer, partners: strongest, seq, version: known.version, bought_at })
      return known
    },
  ),
)

/** The strongest partners, now that `partner` has one more. */
function promote(counts: Record<string, number>, strongest: number[], partner: number): number[] {
  counts[partner] = (counts[partner] ?? 0) + 1
  const candidates = strongest.includes(partner) ? strongest : [...strongest, partner]
  return candidates.toSorted((a, b) => counts[b]! - counts[a]! || a - b).slice(0, adviceLength)
}
