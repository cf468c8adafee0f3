/**
 * Rows of the way from send to receive at a steady rate: ours (visible = durable) beside Kafka as it comes, and beside
 * Kafka that syncs every message of the topic (`flush.messages=1`).
 */
import type { Running } from '../lib/sides.ts'
import type { RowSpec } from '../lib/rows.ts'
import { type Pair, type Work, client, inTurns, valueBytes, withTopic } from './pair.ts'

interface Pace {
  readonly rate: number
  readonly acks: '1' | 'all'
}
interface Latency {
  readonly p50_ms: number
  readonly p99_ms: number
  readonly missing: number
}
const quantiles = ['p50', 'p99'] as const
/** Of Kafka; the goals as times ours may take of theirs: p50, p99. */
const peers = [
  { name: '', config: {}, goals: { p50: 1.4, p99: 1 } },
  { name: ' beside flush.messages=1', config: { 'flush.messages': '1' }, goals: { p50: 0.5, p99: 0.5 } },
] as const

const rowOf = ({ rate, acks }: Pace, peer: string, quantile: string): string =>
  `end to end ${rate}/s acks=${acks}${peer}, ${quantile}`

export const endToEndWork: readonly Work[] = [1_000, 10_000].flatMap((rate) =>
  (['1', 'all'] as const).map((acks): Work => {
    const pace = { rate, acks }
    const rows = peers.flatMap(({ name, goals }) =>
      quantiles.map((quantile): RowSpec => {
        return { row: rowOf(pace, name, quantile), unit: 'ms', better: 'lower', goal: 1 / goals[quantile] }
      }),
    )
    return { rows, run: (pair) => measure(pair, pace) }
  }),
)

async function measure(pair: Pair, pace: Pace): Promise<void> {
  await inTurns(pair, async (broker) => {
    if (broker.side === 'ours') return one(pair, broker, pace, {}, ['', peers[1].name])
    for (const { name, config } of peers) await one(pair, broker, pace, config, [name])
  })
}

async function one(
  { plan, report }: Pair,
  broker: Running,
  pace: Pace,
  config: Readonly<Record<string, string>>,
  asPeers: readonly string[],
): Promise<void> {
  const timing = ['--warmup', String(Math.max(1, plan.leadInSeconds)), '--seconds', String(plan.seconds)]
  const load = ['--rate', String(pace.rate), '--acks', pace.acks, '--size', String(valueBytes), ...timing]
  try {
    const said = await withTopic(broker, 'paced', { partitions: 1, config }, (topic) =>
      client<Latency>('paced.py', broker, ['--topic', topic, ...load]),
    )
    report.raw({ ...pace, side: broker.side, config, said })
    if (said.missing > 0) throw new Error(`${said.missing} messages did not come`)
    console.error(`end to end ${pace.rate}/s acks=${pace.acks} ${broker.side}`, said)
    for (const peer of asPeers) {
      report.sample(rowOf(pace, peer, 'p50'), broker.side, said.p50_ms)
      report.sample(rowOf(pace, peer, 'p99'), broker.side, said.p99_ms)
    }
  } catch (error) {
    report.failed(`end to end ${pace.rate}/s acks=${pace.acks}, ${broker.side}`, error)
  }
}
