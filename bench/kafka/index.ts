/**
 * Millrace beside a real Kafka: both run all the time, the same client loads one after the other in turns, so that what
 * else the machine does falls on both. Kafka is warmed first: a cold JVM is no yardstick.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { residentBytes, residentBytesMax } from '../../test/faults/process.ts'
import type { Report, RowSpec } from '../lib/rows.ts'
import { type Running, sides, startSide } from '../lib/sides.ts'
import { consumeOverTls, consumeWork } from './consume.ts'
import { endToEndWork } from './end-to-end.ts'
import { groupsWork } from './groups.ts'
import { type Pair, type Work, client, valueBytes, withTopic } from './pair.ts'
import { type Plan, type PlanOptions, planOf } from './plan.ts'
import { produceOverTls, produceWork } from './produce.ts'
import { topicsWork } from './topics.ts'

const megabyte = 1024 * 1024
const warmUpPartitions = 6

const start = 'start to first acknowledged produce'
const idle = 'memory idle'
const highest = 'memory loaded, highest'
const after = 'memory after the load'
const startRow: RowSpec = { row: start, unit: 'ms', better: 'lower', goal: 5 }
const memoryRows = [idle, highest, after].map((row): RowSpec => ({ row, unit: 'MB', better: 'lower', goal: 2.5 }))

/** In this order, by one pair of brokers. The memory rows are about what stands before them. */
const loads: readonly Work[] = [...produceWork, ...consumeWork]
const afterLoads: readonly Work[] = [...endToEndWork, ...groupsWork, topicsWork]
const overTls: readonly Work[] = [produceOverTls, consumeOverTls]

const rowsOf = (works: readonly Work[]): RowSpec[] => works.flatMap(({ rows }) => rows)
export const kafkaRows: readonly RowSpec[] = [
  startRow,
  memoryRows[0]!,
  ...rowsOf(loads),
  ...memoryRows.slice(1),
  ...rowsOf(afterLoads),
  ...rowsOf(overTls),
]

export async function benchKafka(report: Report, options: PlanOptions): Promise<void> {
  const plan = planOf(options)
  const wanted = (works: readonly Work[]): Work[] => works.filter(({ rows }) => report.wantsAny(rows))
  const [first, second] = [wanted(loads), wanted(afterLoads)]
  if (report.wantsAny([startRow, ...memoryRows]) || first.length + second.length > 0) {
    const both = await startBoth(report, plan)
    await withBoth(report, both, plan, async (pair) => {
      await sleep(plan.idleAfterMs)
      for (const broker of both) report.sample(idle, broker.side, residentBytes(broker.pid) / megabyte)
      await warmUp(pair)
      for (const work of first) await work.run(pair)
      for (const broker of both) {
        report.sample(highest, broker.side, residentBytesMax(broker.pid) / megabyte)
        report.sample(after, broker.side, residentBytes(broker.pid) / megabyte)
      }
      for (const work of second) await work.run(pair)
    })
  }
  const encrypted = wanted(overTls)
  if (encrypted.length === 0) return
  const both = await startEach(true)
  await withBoth(report, both, plan, async (pair) => {
    await warmUp(pair)
    for (const work of encrypted) await work.run(pair)
  })
}

async function withBoth(
  report: Report,
  both: readonly Running[],
  plan: Plan,
  work: (pair: Pair) => Promise<void>,
): Promise<void> {
  try {
    await work({ report, both, plan })
  } finally {
    for (const broker of both) await broker.stop()
  }
}

/** Starts each side as often as the plan says, in turns; the last of each goes on. */
async function startBoth(report: Report, plan: Plan): Promise<Running[]> {
  const starts = report.wantsAny([startRow]) ? plan.starts : 1
  for (let left = starts; ; left--) {
    const both = await startEach(false)
    for (const { side, firstProduceMs } of both) report.sample(start, side, firstProduceMs)
    if (left === 1) return both
    for (const broker of both) await broker.stop()
  }
}
async function startEach(tls: boolean): Promise<Running[]> {
  const both: Running[] = []
  try {
    for (const side of sides) both.push(await startSide(side, { tls }))
  } catch (error) {
    for (const broker of both) await broker.stop()
    throw error
  }
  return both
}

async function warmUp({ both, plan }: Pair): Promise<void> {
  for (const broker of both) {
    console.error(`warming up ${broker.side}, ${plan.warmUpSeconds} s`)
    const load = ['--warmup', '0', '--seconds', String(plan.warmUpSeconds), '--size', String(valueBytes)]
    await withTopic(broker, 'warm-up', { partitions: warmUpPartitions }, (topic) =>
      client('librdkafka.py', broker, ['--topic', topic, ...load]),
    )
  }
}
