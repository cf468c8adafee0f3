/**
 * R1: kill -9 at random instants under load. Nothing acknowledged lost (acks=1 and acks=all: the page cache outlives the
 * process), nothing a consumer saw lost or changed, nothing doubled by an idempotent producer, no gaps; every transaction
 * whose commit was answered there whole and once, and nothing of any other. One cycle in five is also killed while it
 * recovers.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import type { Millrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, quantile, startAgain, startFirst } from '../case.ts'
import { describeViolations, Verifier } from '../verify.ts'
import { TransactionLoad } from '../transactions.ts'
import { Workload } from '../workload.ts'

export const kill: FaultCase = {
  name: 'kill',
  says: 'kill -9 under load, at random instants',
  run: killUnderLoad,
}

const cyclesOf = ({ times }: Context): number => times(25, 1000)
/** Rolls every few cycles, so that kills meet segment rolls too. */
const config = { 'segment.bytes': '1048576' }
/** The log is checked in between, so that a failure is near its cycle. */
const checkEvery = 5

async function killUnderLoad(context: Context): Promise<Outcome> {
  const { random, note } = context
  const cycles = cyclesOf(context)
  let product: Millrace = await startFirst({ data: context.folder })
  const load = new Workload({
    address: product.kafka,
    topic: 'kill',
    partitions: 3,
    leaderCounts: true,
    random,
    config,
  })
  const transactions = new TransactionLoad(product.kafka, 'kill-exactly', 4, random)
  const verifier = new Verifier(load.history, load.places)
  const ready: number[] = []
  const firstAcknowledged: number[] = []
  let kills = 0
  const problems: string[] = []
  try {
    await load.start()
    await transactions.start()
    for (let cycle = 1; cycle <= cycles && problems.length === 0; cycle++) {
      await load.progress(1, 30_000)
      await sleep(between(random, 20, 1_200))
      await product.kill('SIGKILL')
      kills++
      if (cycle % 5 === 0) kills += await killWhileRecovering(product, between(random, 50, 700))
      product = await startAgain(product)
      ready.push(product.spawnToReadyMs)
      firstAcknowledged.push(product.spawnToReadyMs + (await load.progress(1, 30_000)))
      problems.push(...load.complaints, ...transactions.complaints)
      const { kafka } = product
      if (cycle % checkEvery === 0)
        problems.push(...describeViolations(await load.whilePaused(() => verifier.look(kafka))))
      note(`cycle ${cycle} of ${cycles}: ready in ${Math.round(product.spawnToReadyMs)} ms`)
    }
    await load.stop()
    await transactions.stop()
    problems.push(...load.complaints, ...describeViolations(await verifier.look(product.kafka)))
    problems.push(...(await transactions.check()))
    await product.stop()
    // And once more after a clean stop, from the files alone.
    product = await startAgain(product)
    problems.push(...describeViolations(await verifier.fromStart().look(product.kafka)))
    problems.push(...(await transactions.check()))
  } finally {
    await load.stop()
    await product[Symbol.asyncDispose]()
  }
  const { acknowledged, seen } = load.history.counts
  return {
    problems: [...new Set(problems)],
    figures: {
      kills,
      acknowledged,
      seen,
      'transactions committed': transactions.counts.committed,
      'and aborted': transactions.counts.aborted,
      records: verifier.records,
      'ready p50 ms': Math.round(quantile(ready, 0.5)),
      'ready p99 ms': Math.round(quantile(ready, 0.99)),
      'first ack p99 ms': Math.round(quantile(firstAcknowledged, 0.99)),
    },
  }
}

/** Starts the product and kills it before or just after it is ready. Returns the number of kills. */
async function killWhileRecovering(before: Millrace, killAfterMs: number): Promise<number> {
  try {
    const early = await startAgain(before, { killAfterMs })
    await early.ended
  } catch {
    // It was killed before it could say that it is ready: that is what was wanted. A start that fails by itself fails
    // again right after this.
  }
  return 1
}
