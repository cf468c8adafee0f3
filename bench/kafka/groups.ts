/** Rows of consumer groups: two members get their partitions, then a third gets its share. */
import type { RowSpec } from '../lib/rows.ts'
import { type Pair, type Work, client, inTurns } from './pair.ts'

interface Rebalanced {
  readonly group_forms_ms: number | null
  readonly even_ms: number | null
}
/** The second is KIP-848. */
const protocols = ['classic', 'consumer'] as const
const formed = (protocol: string): string => `group of two formed, ${protocol}`
const even = (protocol: string): string => `third member even, ${protocol}`

export const groupsWork: readonly Work[] = protocols.map((protocol) => {
  const rows: RowSpec[] = [
    { row: formed(protocol), unit: 'ms', better: 'lower', goal: 500, alone: true },
    { row: even(protocol), unit: 'ms', better: 'lower', goal: 2 },
  ]
  return { rows, run: (pair) => measure(pair, protocol) }
})

async function measure(pair: Pair, protocol: string): Promise<void> {
  const { report, plan } = pair
  await inTurns(
    pair,
    async (broker) => {
      try {
        const words = ['--protocol', protocol, '--before', '1', '--after', '0.2']
        const said = await client<Rebalanced>('rebalance.py', broker, words)
        report.raw({ protocol, side: broker.side, said })
        console.error(`groups, ${protocol} ${broker.side}`, said)
        if (said.group_forms_ms === null || said.even_ms === null) throw new Error('the group did not become even')
        report.sample(formed(protocol), broker.side, said.group_forms_ms)
        report.sample(even(protocol), broker.side, said.even_ms)
      } catch (error) {
        report.failed(`${formed(protocol)}, ${broker.side}`, error)
      }
    },
    Math.min(plan.runs, 3),
  )
}
