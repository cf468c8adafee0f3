/**
 * R4: writes that take some of their bytes only, and reads that give some, without an error: every third call of the
 * process. Under load with rolls, compaction, transactions and views, killed again and again: all that was acknowledged
 * or seen is there, views are right, and `millrace log verify` finds nothing.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Millrace, millraceCommand, run } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { clicks, expectedOutputs, feedClicks } from '../flow-input.ts'
import { compare, defineViews, settledOutputs } from '../flow-output.ts'
import { ShortCalls } from '../short-calls.ts'
import { TransactionLoad } from '../transactions.ts'
import { describeViolations, Verifier } from '../verify.ts'
import { Workload } from '../workload.ts'

export const shortCalls: FaultCase = {
  name: 'short-calls',
  says: 'writes and reads that move a part of their bytes',
  run: moveParts,
}

const every = 3
/** Rolls often. */
const config = { 'segment.bytes': '1048576' }

async function moveParts(context: Context): Promise<Outcome> {
  const { random, note, folder, times } = context
  const short = await ShortCalls.make(folder, every)
  const data = join(folder, 'data')
  const options = { data, env: short.env }
  let product: Millrace = await startFirst(options)
  const common = { address: product.kafka, partitions: 3, leaderCounts: true, random, config }
  const load = new Workload({ ...common, topic: 'short' })
  const transactions = new TransactionLoad(product.kafka, 'short-exactly', 2, random)
  const verifier = new Verifier(load.history, load.places)
  const problems: string[] = []
  const cycles = times(3, 60)
  try {
    const input = clicks(1_000 * cycles, random)
    await defineViews(product, input)
    const feeding = Promise.all(
      input.map((part, i) =>
        feedClicks(
          () => product.kafka,
          i,
          part,
          () => sleep(between(random, 0, 100)),
        ),
      ),
    )
    feeding.catch(() => {})
    await load.start()
    await transactions.start()
    for (let cycle = 1; cycle <= cycles && problems.length === 0; cycle++) {
      await load.progress(1, 30_000)
      await sleep(between(random, 200, 1_500))
      await product.kill('SIGKILL')
      product = await startAgain(product, options)
      await load.progress(1, 30_000)
      problems.push(...load.complaints, ...transactions.complaints)
      const { kafka } = product
      problems.push(...describeViolations(await load.whilePaused(() => verifier.look(kafka))))
      note(`kill ${cycle} of ${cycles}: ${short.counts.writes} short writes, ${short.counts.reads} short reads`)
    }
    await feeding
    problems.push(...compare(await settledOutputs(product, input), expectedOutputs(input)))
    await load.stop()
    await transactions.stop()
    await product.stop()
    // From the files alone, by whole reads.
    product = await startAgain(product, { data })
    problems.push(...describeViolations(await verifier.fromStart().look(product.kafka)), ...load.complaints)
    problems.push(...(await transactions.check()))
    await product.stop()
    const [command, ...words] = millraceCommand()
    await run(command!, [...words, 'log', 'verify', data]).catch((error: unknown) => problems.push(String(error)))
  } finally {
    await load.stop()
    await transactions.stop()
    await product[Symbol.asyncDispose]()
  }
  const { writes, reads } = short.counts
  if (writes === 0 || reads === 0) problems.push(`${writes} short writes and ${reads} short reads: nothing was tested`)
  const { acknowledged, seen } = load.history.counts
  return {
    problems: [...new Set(problems)],
    figures: { 'short writes': writes, 'short reads': reads, kills: cycles, acknowledged, seen },
  }
}
