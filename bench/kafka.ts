/**
 * Millrace beside a real Kafka: both run all the time, the same client (librdkafka) loads one after the other in turns,
 * so that what else the machine does falls on both. Kafka is warmed first: a cold JVM is no yardstick.
 */
import { spawnSync } from 'node:child_process'
import { fileURLToPath } from 'node:url'
import { setTimeout as sleep } from 'node:timers/promises'
import { createTopic, deleteTopic, Wire } from '../test/faults/wire.ts'
import { cpuSeconds, residentBytes, residentBytesMax } from '../test/faults/process.ts'
import { python, run } from '../test/interop/setup/index.ts'
import type { Report, RowSpec } from './lib/rows.ts'
import { type Running, type Side, sides, startSide } from './lib/sides.ts'

interface Plan {
  readonly runs: number
  readonly warmUpSeconds: number
  /** Of one produce run: not counted, counted. */
  readonly leadInSeconds: number
  readonly seconds: number
  readonly consumeMessages: number
  readonly consumeRuns: number
  readonly idleAfterMs: number
  readonly starts: number
}
const full: Plan = {
  runs: 5,
  warmUpSeconds: 25,
  leadInSeconds: 2,
  seconds: 8,
  consumeMessages: 2_000_000,
  consumeRuns: 5,
  idleAfterMs: 10_000,
  starts: 3,
}
const quick: Plan = {
  runs: 1,
  warmUpSeconds: 2,
  leadInSeconds: 0.5,
  seconds: 1.5,
  consumeMessages: 200_000,
  consumeRuns: 1,
  idleAfterMs: 1_500,
  starts: 1,
}
const valueBytes = 1024
const bytesPerGigabyte = 1e9
const megabyte = 1024 * 1024

const loads = [
  { acks: '1', partitions: 1, goal: 1 },
  { acks: '1', partitions: 6, goal: 1 },
  { acks: 'all', partitions: 1, goal: null },
  { acks: 'all', partitions: 6, goal: null },
] as const
const consumed = [1, 6] as const

const produceRow = (acks: string, partitions: number): string => `produce 1 KB acks=${acks} ${partitions}p`
const consumeRow = (partitions: number): string => `consume 1 KB ${partitions}p`
const cpuOf = (row: string): string => `${row}, broker CPU`

const cpuRow = (row: string): RowSpec => ({ row: cpuOf(row), unit: 's/GB', better: 'lower', goal: null })
export const kafkaRows: readonly RowSpec[] = [
  { row: 'start to first acknowledged produce', unit: 'ms', better: 'lower', goal: null },
  { row: 'memory idle', unit: 'MB', better: 'lower', goal: null },
  ...loads.flatMap(({ acks, partitions, goal }): RowSpec[] => {
    const row = produceRow(acks, partitions)
    return [{ row, unit: 'MB/s', better: 'higher', goal }, cpuRow(row)]
  }),
  ...consumed.flatMap((partitions): RowSpec[] => {
    const row = consumeRow(partitions)
    return [{ row, unit: 'MB/s', better: 'higher', goal: null }, cpuRow(row)]
  }),
  { row: 'memory loaded, highest', unit: 'MB', better: 'lower', goal: null },
  { row: 'memory after the load', unit: 'MB', better: 'lower', goal: null },
]

export async function benchKafka(report: Report, isQuick: boolean): Promise<void> {
  const plan = isQuick ? quick : full
  const both = await startBoth(report, plan)
  try {
    await sleep(plan.idleAfterMs)
    for (const broker of both) report.sample('memory idle', broker.side, residentBytes(broker.pid) / megabyte)
    for (const broker of both) await warmUp(broker, plan.warmUpSeconds)
    for (const load of loads.filter(({ acks, partitions }) => report.wants(produceRow(acks, partitions))))
      await inTurns(both, plan.runs, (broker, turn) => measure(report, broker, load, turn, plan))
    for (const partitions of consumed.filter((count) => report.wants(consumeRow(count))))
      await measureConsume(report, both, partitions, plan)
    for (const broker of both) {
      report.sample('memory loaded, highest', broker.side, residentBytesMax(broker.pid) / megabyte)
      report.sample('memory after the load', broker.side, residentBytes(broker.pid) / megabyte)
    }
  } finally {
    for (const broker of both) await broker.stop()
  }
}

/** Starts each side as often as the plan says, in turns; the last of each goes on. */
async function startBoth(report: Report, plan: Plan): Promise<Running[]> {
  const running = new Map<Side, Running>()
  for (let turn = 1; turn <= plan.starts; turn++)
    for (const side of sides) {
      const broker = await startSide(side)
      report.sample('start to first acknowledged produce', side, broker.firstProduceMs)
      if (turn < plan.starts) await broker.stop()
      else running.set(side, broker)
    }
  return sides.map((side) => running.get(side)!)
}

/** A B, B A, A B, …: neither side always runs after the other. */
async function inTurns(
  both: readonly Running[],
  turns: number,
  work: (broker: Running, turn: number) => Promise<void>,
): Promise<void> {
  for (let turn = 1; turn <= turns; turn++)
    for (const broker of turn % 2 === 1 ? both : both.toReversed()) await work(broker, turn)
}

async function warmUp(broker: Running, seconds: number): Promise<void> {
  console.error(`warming up ${broker.side}, ${seconds} s`)
  await withTopic(broker, 'warm-up', 6, (topic) =>
    client('librdkafka.py', broker, topic, ['--warmup', '0', '--seconds', String(seconds)]),
  )
}

async function measure(
  report: Report,
  broker: Running,
  { acks, partitions }: { acks: string; partitions: number },
  turn: number,
  plan: Plan,
): Promise<void> {
  const row = produceRow(acks, partitions)
  try {
    const timing = ['--warmup', String(plan.leadInSeconds), '--seconds', String(plan.seconds)]
    const said = await withTopic(broker, `p-${acks}-${partitions}-${turn}`, partitions, (topic) =>
      loaded(broker, () => client('librdkafka.py', broker, topic, ['--acks', acks, ...timing])),
    )
    note(report, row, broker, said)
  } catch (error) {
    report.failed(`${row}, ${broker.side}`, error)
  }
}

async function measureConsume(report: Report, both: readonly Running[], partitions: number, plan: Plan): Promise<void> {
  const row = consumeRow(partitions)
  const messages = ['--messages', String(plan.consumeMessages)]
  const topic = `c-${partitions}`
  try {
    for (const broker of both) {
      await addTopic(broker, topic, partitions)
      await client('librdkafka.py', broker, topic, ['--acks', 'all', ...messages])
    }
    await settle()
    await inTurns(both, plan.consumeRuns, async (broker) => {
      const said = await loaded(broker, () => client('librdkafka_consume.py', broker, topic, messages))
      if (said.missing !== 0) throw new Error(`${said.missing} messages did not come`)
      note(report, row, broker, said)
    })
    for (const broker of both) await dropTopic(broker, topic)
  } catch (error) {
    report.failed(row, error)
  }
}

function note(report: Report, row: string, broker: Running, said: Said & { cpuSeconds: number }): void {
  report.raw({ row, side: broker.side, said })
  if (said.errors > 0) throw new Error(`${said.errors} messages failed`)
  report.sample(row, broker.side, said.mb_s)
  const gigabytes = (said.total_mb * megabyte) / bytesPerGigabyte
  report.sample(cpuOf(row), broker.side, said.cpuSeconds / gigabytes)
  console.error(`${row} ${broker.side}: ${said.mb_s} MB/s, ${(said.cpuSeconds / gigabytes).toFixed(2)} s/GB`)
}

/** What a load generator prints, as far as it is used here. */
interface Said {
  readonly mb_s: number
  readonly total_mb: number
  readonly errors: number
  readonly missing?: number
}

async function loaded(broker: Running, work: () => Promise<Said>): Promise<Said & { cpuSeconds: number }> {
  const before = cpuSeconds(broker.pid)
  const said = await work()
  return { ...said, cpuSeconds: cpuSeconds(broker.pid) - before }
}

async function client(script: string, broker: Running, topic: string, args: readonly string[]): Promise<Said> {
  const path = fileURLToPath(new URL(`peers/kafka/load/${script}`, import.meta.url))
  const words = [path, '--bootstrap', broker.address, '--topic', topic, '--size', String(valueBytes), ...args]
  return JSON.parse(await run(await python(), words)) as Said
}

/** A topic of its own for a run, gone after it, its pages written or forgotten: the next run starts even. */
async function withTopic<T>(broker: Running, topic: string, partitions: number, work: (topic: string) => Promise<T>) {
  await addTopic(broker, topic, partitions)
  try {
    return await work(topic)
  } finally {
    await dropTopic(broker, topic)
    await settle()
  }
}

async function addTopic(broker: Running, topic: string, partitions: number): Promise<void> {
  const wire = await Wire.open(broker.address)
  await createTopic(wire, topic, partitions)
  wire.close()
}
async function dropTopic(broker: Running, topic: string): Promise<void> {
  const wire = await Wire.open(broker.address)
  await deleteTopic(wire, topic)
  wire.close()
}
async function settle(): Promise<void> {
  spawnSync('sync')
  await sleep(200)
}
