/** What the rows share: both brokers in turns, topics that last for one run, the load generators. */
import { spawnSync } from 'node:child_process'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { createTopic, deleteTopic } from '../../test/faults/wire.ts'
import { cpuSeconds } from '../../test/faults/process.ts'
import { python, run } from '../../test/interop/setup/index.ts'
import type { Report, RowSpec } from '../lib/rows.ts'
import type { Running } from '../lib/sides.ts'
import type { Plan } from './plan.ts'

export interface Pair {
  readonly report: Report
  /** Ours, theirs. */
  readonly both: readonly Running[]
  readonly plan: Plan
}
/** What is measured in one go. */
export interface Work {
  readonly rows: readonly RowSpec[]
  run(pair: Pair): Promise<void>
}

/** Bytes of a value where a row says 1 KB. */
export const valueBytes = 1024
const bytesPerGigabyte = 1e9
const megabyte = 1024 * 1024

/** A B, B A, A B, …: neither side always runs after the other. */
export async function inTurns(
  { both, plan }: Pair,
  work: (broker: Running, turn: number) => Promise<void>,
  turns = plan.runs,
): Promise<void> {
  for (let turn = 1; turn <= turns; turn++)
    for (const broker of turn % 2 === 1 ? both : both.toReversed()) await work(broker, turn)
}

/** What a load generator prints, as far as it is used here. */
export interface Said {
  readonly mb_s: number
  readonly total_mb: number
  readonly errors: number
  readonly missing?: number
}
type Generator =
  | 'librdkafka.py'
  | 'librdkafka_consume.py'
  | 'platformatic.ts'
  | 'batches.ts'
  | 'paced.py'
  | 'rebalance.py'

export async function client<Result = Said>(
  script: Generator,
  broker: Pick<Running, 'address' | 'ca'>,
  args: readonly string[],
): Promise<Result> {
  const path = fileURLToPath(new URL(`../peers/kafka/load/${script}`, import.meta.url))
  const command = script.endsWith('.py') ? await python() : process.execPath
  const tls = broker.ca === null ? [] : ['--ca', broker.ca]
  return JSON.parse(await run(command, [path, '--bootstrap', broker.address, ...tls, ...args])) as Result
}
export async function withCpu<Result>(
  broker: Running,
  work: () => Promise<Result>,
): Promise<Result & { cpuSeconds: number }> {
  const before = cpuSeconds(broker.pid)
  const said = await work()
  return { ...said, cpuSeconds: cpuSeconds(broker.pid) - before }
}

const cpuOf = (row: string): string => `${row}, broker CPU`
export const throughputRows = (row: string, goal: number | null, cpuGoal: number | null = null): RowSpec[] => [
  { row, unit: 'MB/s', better: 'higher', goal },
  { row: cpuOf(row), unit: 's/GB', better: 'lower', goal: cpuGoal },
]
export function noteThroughput(
  report: Report,
  row: string,
  broker: Running,
  said: Said & { readonly cpuSeconds: number },
): void {
  report.raw({ row, side: broker.side, said })
  if (said.errors > 0) throw new Error(`${said.errors} messages failed`)
  if (said.missing !== undefined && said.missing > 0) throw new Error(`${said.missing} messages did not come`)
  report.sample(row, broker.side, said.mb_s)
  const gigabytes = (said.total_mb * megabyte) / bytesPerGigabyte
  report.sample(cpuOf(row), broker.side, said.cpuSeconds / gigabytes)
  console.error(`${row} ${broker.side}: ${said.mb_s} MB/s, ${(said.cpuSeconds / gigabytes).toFixed(2)} s/GB`)
}

export interface TopicOptions {
  readonly partitions: number
  readonly config?: Readonly<Record<string, string>>
}
/** A topic of its own for a run, gone after it, its pages written or forgotten: the next run starts even. */
export async function withTopic<T>(
  broker: Running,
  topic: string,
  options: TopicOptions,
  work: (topic: string) => Promise<T>,
): Promise<T> {
  await addTopic(broker, topic, options)
  try {
    return await work(topic)
  } finally {
    await dropTopic(broker, topic)
    await settle()
  }
}
export async function addTopic(broker: Running, topic: string, { partitions, config }: TopicOptions): Promise<void> {
  const wire = await broker.wire()
  await createTopic(wire, topic, partitions, config)
  wire.close()
}
export async function dropTopic(broker: Running, topic: string): Promise<void> {
  const wire = await broker.wire()
  await deleteTopic(wire, topic)
  wire.close()
}
export async function settle(): Promise<void> {
  spawnSync('sync')
  await sleep(200)
}
