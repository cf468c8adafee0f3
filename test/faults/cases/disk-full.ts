/**
 * R5: the disk fills up under load, three ways: by the records themselves, to the last byte by someone else while intake
 * is already stopped, and all at once by someone else in the middle of writes. Producers get an error that clients retry,
 * reads go on, nothing acknowledged is lost, and with space again intake resumes within 5 s without a restart. Transactions
 * that are open when records fill it up are ended while it is full.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Millrace } from '../../interop/setup/index.ts'
import { Ballast } from '../ballast.ts'
import type { Context, FaultCase, Outcome } from '../case.ts'
import { startAgain, startFirst } from '../case.ts'
import { TransactionLoad } from '../transactions.ts'
import { describeViolations, Verifier } from '../verify.ts'
import { Volume, volumesMissing } from '../volume.ts'
import { kafkaError } from '../wire.ts'
import { Workload } from '../workload.ts'

export const diskFull: FaultCase = { name: 'disk-full', says: 'a disk that fills up and is freed', run: fillAndFree }

const volumeMegabytes = 192
/** Left to the product at first: more than its reserve, little enough to be filled in seconds. */
const leftMegabytes = 48
const fullWithinMs = 120_000
const resumesWithinMs = 5_000
const endsWithinMs = 5_000

async function fillAndFree(context: Context): Promise<Outcome> {
  const reason = await volumesMissing(context.folder)
  if (reason !== null) return { skipped: reason }
  const volume = await Volume.make(join(context.folder, 'ext4'), 'ext4', volumeMegabytes)
  const ballast = new Ballast(volume)
  let product: Millrace = await startFirst({ data: join(volume.path, 'data') })
  const { random } = context
  const load = new Workload({ address: product.kafka, topic: 'full', partitions: 3, leaderCounts: true, random })
  const verifier = new Verifier(load.history, load.places)
  const transactions = new TransactionLoad(product.kafka, 'full-tx', 4, random)
  const problems: string[] = []
  const resumed: Record<string, number> = {}
  /** Reads while the disk is full, frees it, and waits until records are taken again. */
  const readThenFree = async (how: string): Promise<void> => {
    problems.push(...describeViolations(await load.whilePaused(() => verifier.look(product.kafka))))
    const health = await fetch(`http://${product.http}/health/live`)
    if (!health.ok) problems.push(`${how}: /health/live answers ${health.status} while the disk is full`)
    await refused(load)
    ballast.free()
    resumed[how] = Math.round(await load.progress(1, 30_000))
    context.note(`${how}: resumed ${resumed[how]} ms after there was space`)
    if (resumed[how]! > resumesWithinMs) problems.push(`${how}: intake resumed after ${resumed[how]} ms`)
  }
  try {
    ballast.leave(leftMegabytes)
    await transactions.start()
    await load.start()
    await refused(load)
    await endAll(transactions, problems)
    await readThenFree('by records')
    problems.push(...(await transactions.check()))

    ballast.leave(leftMegabytes)
    await refused(load)
    ballast.leave(0)
    await sleep(500)
    await readThenFree('to the last byte')

    await load.progress(20, 30_000)
    ballast.leave(0)
    await refused(load)
    await readThenFree('in the middle of writes')

    problems.push(...load.complaints)
    await load.progress(20, 30_000)
    await load.stop()
    problems.push(...describeViolations(await verifier.look(product.kafka)))
    await product.kill('SIGKILL')
    product = await startAgain(product)
    problems.push(...describeViolations(await verifier.fromStart().look(product.kafka)))
    problems.push(...(await transactions.check()))
  } finally {
    await load.stop()
    await product[Symbol.asyncDispose]()
    await volume.unmount()
  }
  const { acknowledged, seen } = load.history.counts
  const figures = Object.fromEntries(Object.entries(resumed).map(([how, ms]) => [`${how}: resumed ms`, ms]))
  return {
    problems: [...new Set(problems)],
    figures: { ...figures, acknowledged, seen, refused: load.errors.get(kafkaError.storage) ?? 0 },
  }
}

/** No new one can be begun, and each that is open comes to its end: those that lack records of a partition by an abort. */
async function endAll(transactions: TransactionLoad, problems: string[]): Promise<void> {
  const began = performance.now()
  if (!(await transactions.giveUpWriting(endsWithinMs)))
    problems.push(`transactions could not be ended in ${Math.round(performance.now() - began)} ms on a full disk`)
}

/** Waits until producers are told that there is no space and none is acknowledged any more. */
async function refused(load: Workload): Promise<void> {
  const giveUpAt = performance.now() + fullWithinMs
  while (performance.now() < giveUpAt) {
    const batches = load.acknowledgedBatches
    const errors = load.errors.get(kafkaError.storage) ?? 0
    await sleep(400)
    const told = (load.errors.get(kafkaError.storage) ?? 0) > errors
    if (told && load.acknowledgedBatches === batches) return
  }
  throw new Error(`the disk is full and producers were not told within ${fullWithinMs} ms`)
}
