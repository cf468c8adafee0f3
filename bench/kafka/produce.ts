/** Rows of producing: MB/s of values acknowledged, and the broker's CPU for a gigabyte of them. */
import {
  type Pair,
  type Work,
  client,
  inTurns,
  noteThroughput,
  throughputRows,
  valueBytes,
  withCpu,
  withTopic,
} from './pair.ts'

interface Load {
  readonly row: string
  readonly goal: number | null
  readonly cpuGoal?: number
  readonly generator?: 'platformatic.ts' | 'batches.ts'
  readonly acks: '1' | 'all'
  readonly partitions: number
  readonly valueBytes?: number
  readonly args?: readonly string[]
  /** Kafka is told to sync before it acknowledges, as we do with acks=all. */
  readonly theyFlush?: boolean
}

const counts = [1, 6] as const
const syncCounts = [1, 6, 100] as const
const compressions = ['gzip', 'snappy', 'lz4', 'zstd'] as const
const producersOfSmall = 50
const smallBatchBytes = 16_384

const acksOne = counts.map((partitions): Load => ({
  row: `produce 1 KB acks=1 ${partitions}p`,
  goal: partitions === 1 ? 1.4 : 1.2,
  cpuGoal: 1 / 0.45,
  acks: '1',
  partitions,
}))
const acksAll = counts.map((partitions): Load => ({
  row: `produce 1 KB acks=all ${partitions}p`,
  goal: 1.2,
  acks: 'all',
  partitions,
}))
const byPlatformatic = counts.map((partitions): Load => ({
  row: `@platformatic/kafka produce 1 KB acks=1 ${partitions}p`,
  goal: 1.2,
  generator: 'platformatic.ts',
  acks: '1',
  partitions,
  args: ['--partitions', String(partitions)],
}))
const syncedLarge = syncCounts.map((partitions): Load => ({
  row: `both synced, 1 MB batches ${partitions}p`,
  goal: 1.2,
  acks: 'all',
  partitions,
  theyFlush: true,
}))
const syncedSmall = syncCounts.map((partitions): Load => ({
  row: `both synced, 16 KB batches of 50 producers ${partitions}p`,
  goal: 4,
  generator: 'batches.ts',
  acks: 'all',
  partitions,
  theyFlush: true,
  args: [
    ...['--partitions', String(partitions), '--producers', String(producersOfSmall)],
    ...['--batchbytes', String(smallBatchBytes)],
  ],
}))
const smallValues: Load = { row: 'produce 100 B acks=1 6p', goal: 1.2, acks: '1', partitions: 6, valueBytes: 100 }
const compressed = compressions.map((compression): Load => ({
  row: `produce 1 KB acks=1 6p ${compression}`,
  goal: 1,
  acks: '1',
  partitions: 6,
  args: ['--compression', compression],
}))

export const produceWork: readonly Work[] = [
  ...[...acksOne, ...acksAll, ...byPlatformatic, ...syncedLarge, ...syncedSmall, smallValues, ...compressed].map(
    workOf,
  ),
]
export const produceOverTls: Work = workOf({ row: 'produce 1 KB acks=1 6p TLS', goal: 1, acks: '1', partitions: 6 })

function workOf(load: Load): Work {
  return { rows: throughputRows(load.row, load.goal, load.cpuGoal ?? null), run: (pair) => measure(pair, load) }
}

async function measure(pair: Pair, load: Load): Promise<void> {
  const { plan, report } = pair
  const { row, generator = 'librdkafka.py', acks, partitions } = load
  const size = String(load.valueBytes ?? valueBytes)
  const timing = ['--warmup', String(plan.leadInSeconds), '--seconds', String(plan.seconds)]
  await inTurns(pair, async (broker, turn) => {
    const flushes = load.theyFlush === true && broker.side === 'theirs'
    const options = { partitions, config: flushes ? { 'flush.messages': '1' } : {} }
    try {
      const said = await withTopic(broker, `produce-${turn}`, options, (topic) =>
        withCpu(broker, () =>
          client(generator, broker, [
            '--topic',
            topic,
            '--size',
            size,
            '--acks',
            acks,
            ...timing,
            ...(load.args ?? []),
          ]),
        ),
      )
      noteThroughput(report, row, broker, said)
    } catch (error) {
      report.failed(`${row}, ${broker.side}`, error)
    }
  })
}
