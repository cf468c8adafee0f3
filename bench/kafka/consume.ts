/** Rows of consuming: MB/s of values from the first message to the last, and the broker's CPU for a gigabyte of them. */
import { fileURLToPath } from 'node:url'
import { python, run } from '../../test/interop/setup/index.ts'
import type { Running } from '../lib/sides.ts'
import {
  type Pair,
  type Work,
  addTopic,
  client,
  dropTopic,
  inTurns,
  noteThroughput,
  settle,
  throughputRows,
  valueBytes,
  withCpu,
} from './pair.ts'

interface Reading {
  readonly row: string
  readonly goal: number
  readonly partitions: number
  /** Groups that read all of it at once; each of them a part of what one alone reads. */
  readonly groups?: number
  /** From a disk whose pages the kernel was told to forget before each run. */
  readonly isCold?: boolean
}
/** What we keep in our own memory of a topic is its end: with so much more behind what is read, none of it is read. */
const behindCold = 0.25
const counts = [1, 6] as const

export const consumeWork: readonly Work[] = [
  ...counts.map((partitions) => ({ row: `consume 1 KB ${partitions}p`, goal: 1.3, partitions })),
  ...counts.map((partitions) => ({ row: `cold consume 1 KB ${partitions}p`, goal: 1, partitions, isCold: true })),
  { row: 'consume 1 KB 6p by 10 groups', goal: 1, partitions: 6, groups: 10 },
].map(workOf)
export const consumeOverTls: Work = workOf({ row: 'consume 1 KB 6p TLS', goal: 1, partitions: 6 })

function workOf(reading: Reading): Work {
  return { rows: throughputRows(reading.row, reading.goal), run: (pair) => measure(pair, reading) }
}

async function measure(pair: Pair, { row, partitions, groups = 1, isCold = false }: Reading): Promise<void> {
  const { both, plan, report } = pair
  const read = Math.round(plan.consumeMessages / groups)
  const written = isCold ? Math.round(read * (1 + behindCold)) : read
  const topic = 'consume'
  const of = ['--topic', topic, '--size', String(valueBytes)]
  try {
    for (const broker of both) {
      await addTopic(broker, topic, { partitions })
      await client('librdkafka.py', broker, [...of, '--acks', 'all', '--messages', String(written)])
    }
    await settle()
    await inTurns(pair, async (broker) => {
      if (isCold) await forgetPages(broker)
      const words = [...of, '--messages', String(read), '--groups', String(groups)]
      noteThroughput(report, row, broker, await withCpu(broker, () => client('librdkafka_consume.py', broker, words)))
    })
  } catch (error) {
    report.failed(row, error)
  }
  for (const broker of both) await dropTopic(broker, topic)
  await settle()
}

async function forgetPages(broker: Running): Promise<void> {
  const path = fileURLToPath(new URL('../peers/kafka/tools/forget_pages.py', import.meta.url))
  await run(await python(), [path, broker.folder])
}
