/**
 * Purchases that look like fraud, and why, at the moment they happen:
 *
 * - an amount above the mean + 4 standard deviations of this customer's earlier purchases (at least 5 of them),
 * - three or more purchases of one customer in one day.
 */
import { defineView } from 'millrace'
import { z } from 'zod'
import { purchases } from './purchases.ts'

const earlierMin = 5
const deviationsMax = 4
const purchasesPerDayMax = 2

interface History {
  /** Amounts and lines of all purchases so far. */
  readonly amounts: number[]
  readonly lines: number[]
  /** The day of the newest purchase, and its purchases. */
  day: string
  today: number[]
}

export const fraud = defineView(
  'fraud',
  purchases
    .stream()
    .where(({ kind }) => kind.eq('purchase'))
    .process(
      {
        key: 'customer',
        output: z.object({
          customer: z.int(),
          reason: z.enum(['unusual amount', 'busy day']),
          why: z.string(),
          line: z.int(),
          amount: z.number(),
          day: z.string(),
          /** Lines of the purchases that caused it: the earlier ones, then this one. */
          because: z.array(z.int()),
          bought_at: z.iso.datetime(),
        }),
      },
      (purchase, state: History | undefined, emit) => {
        const { customer, amount, line, bought_at } = purchase
        const history = state ?? { amounts: [], lines: [], day: '', today: [] }
        if (customer === undefined || amount === undefined || line === undefined) return history
        const day = bought_at.slice(0, 10)
        const found = { customer, line, amount, day, bought_at }

        const usual = statistics(history.amounts)
        if (history.amounts.length >= earlierMin && amount > usual.mean + deviationsMax * usual.deviation) {
          const why = `${amount.toFixed(2)} is above ${usual.mean.toFixed(2)} + ${deviationsMax} × ${usual.deviation.toFixed(2)} of ${history.amounts.length} earlier purchases`
          emit({ ...found, reason: 'unusual amount', why, because: [...history.lines, line] })
        }

        history.today = history.day === day ? [...history.today, line] : [line]
        history.day = day
        if (history.today.length > purchasesPerDayMax)
          emit({
            ...found,
            reason: 'busy day',
            why: `purchase ${history.today.length} on ${day}`,
            because: history.today,
          })

        history.amounts.push(amount)
        history.lines.push(line)
        return history
      },
    ),
)

/** Mean and sample standard deviation. */
function statistics(values: readonly number[]): { mean: number; deviation: number } {
  const mean = values.reduce((sum, value) => sum + value, 0) / values.length
  const squares = values.reduce((sum, value) => sum + (value - mean) ** 2, 0)
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) }
}
