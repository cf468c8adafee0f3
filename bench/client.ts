/**
 * What the load generators of `kafka` do by themselves on this machine: against a broker that keeps nothing
 * (`peers/kafka/load/forgets.ts`). No broker can make a row of `kafka` larger than this.
 */
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
import { fileURLToPath } from 'node:url'
import { client, valueBytes } from './kafka/pair.ts'
import { type PlanOptions, planOf } from './kafka/plan.ts'
import type { Report, RowSpec } from './lib/rows.ts'

interface Load {
  readonly row: string
  readonly generator: 'librdkafka.py' | 'platformatic.ts' | 'batches.ts' | 'librdkafka_consume.py'
  readonly partitions: number
  readonly args?: readonly string[]
}
const loads: readonly Load[] = [
  ...[1, 6].map((partitions): Load => ({
    row: `librdkafka 1 KB ${partitions}p`,
    generator: 'librdkafka.py',
    partitions,
  })),
  { row: 'librdkafka 100 B 6p', generator: 'librdkafka.py', partitions: 6, args: ['--size', '100'] },
  ...['snappy', 'lz4'].map((compression): Load => ({
    row: `librdkafka 1 KB 6p ${compression}`,
    generator: 'librdkafka.py',
    partitions: 6,
    args: ['--compression', compression],
  })),
  ...[1, 6].map((partitions): Load => ({
    row: `@platformatic/kafka 1 KB ${partitions}p`,
    generator: 'platformatic.ts',
    partitions,
    args: ['--partitions', String(partitions)],
  })),
  ...[1, 6].map((partitions): Load => ({
    row: `librdkafka, consume 1 KB ${partitions}p`,
    generator: 'librdkafka_consume.py',
    partitions,
  })),
  {
    row: '16 KB batches of 50 producers 6p',
    generator: 'batches.ts',
    partitions: 6,
    args: ['--partitions', '6', '--producers', '50', '--batchbytes', '16384'],
  },
]
export const clientRows: readonly RowSpec[] = loads.map(({ row }) => ({
  row,
  unit: 'MB/s',
  better: 'higher',
  goal: null,
  alone: true,
}))

export async function benchClient(report: Report, options: PlanOptions): Promise<void> {
  const plan = planOf(options)
  const timing = ['--acks', '1', '--warmup', String(plan.leadInSeconds), '--seconds', String(plan.seconds)]
  const reading = ['--messages', String(plan.consumeMessages)]
  for (const { row, generator, partitions, args = [] } of loads) {
    if (!report.wantsAny(clientRows.filter((spec) => spec.row === row))) continue
    for (let run = 0; run < plan.runs; run++) {
      await using broker = await startForgetful(partitions)
      const size = args.includes('--size') ? [] : ['--size', String(valueBytes)]
      const said = await client(generator, broker, [
        ...['--topic', 'gone', ...size, ...args],
        ...(generator === 'librdkafka_consume.py' ? reading : timing),
      ])
      if (said.errors > 0) report.failed(row, new Error(`${said.errors} messages failed`))
      report.sample(row, 'ours', said.mb_s)
      console.error(`${row}: ${said.mb_s} MB/s`)
    }
  }
}

async function startForgetful(partitions: number) {
  const script = fileURLToPath(new URL('peers/kafka/load/forgets.ts', import.meta.url))
  const child = spawn(process.execPath, [script, '--partitions', String(partitions)], {
    stdio: ['ignore', 'pipe', 'inherit'],
  })
  for await (const port of createInterface({ input: child.stdout }))
    return {
      address: `127.0.0.1:${port}`,
      ca: null,
      [Symbol.asyncDispose]: async () => void child.kill('SIGKILL'),
    }
  throw new Error('the broker that forgets did not start')
}
