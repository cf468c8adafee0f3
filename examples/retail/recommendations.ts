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

/** A pair that one customer makes for the first time, or (without partner) the question what goes with `item`. */
const Together = z.object({
  item: z.int(),
  partner: z.int().optional(),
  customer: z.int(),
  seq: z.int(),
  bought_at: z.iso.datetime(),
})

const together = purchases
  .stream()
  .filter(({ kind }) => kind === 'purchase')
  .process({ key: 'customer', output: Together }, (purchase, state: number[] | undefined, emit) => {
    const { customer, items, seq, bought_at } = purchase
    const owned = state ?? []
    if (customer === undefined || items === undefined) return owned
    for (const item of items) {
      if (owned.includes(item)) continue
      for (const partner of owned) {
        emit({ item, partner, customer, seq, bought_at })
        emit({ item: partner, partner: item, customer, seq, bought_at })
      }
      owned.push(item)
    }
    for (const item of new Set(items)) emit({ item, customer, seq, bought_at })
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
    ({ item, partner, customer, seq, bought_at }, state: Partners | undefined, emit) => {
      const known = state ?? { counts: {}, strongest: [], version: 0 }
      if (partner === undefined) {
        emit({ item, customer, partners: known.strongest, seq, version: known.version, bought_at })
        return known
      }
      known.counts[partner] = (known.counts[partner] ?? 0) + 1
      const strongest = promote(known, partner)
      if (strongest.join() !== known.strongest.join()) {
        known.strongest = strongest
        known.version++
        emit({ item, partners: strongest, seq, version: known.version, bought_at })
      }
      return known
    },
  ),
)

/** The strongest partners now that `partner` has one more. */
function promote({ counts, strongest }: Partners, partner: number): number[] {
  const candidates = strongest.includes(partner) ? strongest : [...strongest, partner]
  return candidates.toSorted((a, b) => counts[b]! - counts[a]! || a - b).slice(0, adviceLength)
}
