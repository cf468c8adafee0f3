/**
 * R4: a system call fails once under load (fdatasync, write, fsync of a directory; EIO, ENOSPC). Producers get an error
 * that says so or nothing at all, never a wrong acknowledgement; the log goes on by itself; and after a power cut (kill -9
 * where there are no loop devices) every acknowledged and every seen record is there: a sync that failed counted for none.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Millrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { diskFailures, inject, nameOfFailure as nameOf, type Rule, tracingMissing } from '../inject.ts'
import { describeViolations, Verifier } from '../verify.ts'
import { Volume, volumesMissing } from '../volume.ts'
import { kafkaError } from '../wire.ts'
import { Workload } from '../workload.ts'

export const diskError: FaultCase = {
  name: 'disk-error',
  says: 'system calls that fail once under load',
  run: diskErrors,
}

const rules: readonly Omit<Rule, 'when'>[] = [...diskFailures, { calls: 'fsync', effect: 'error=EIO' }]
const roundsOf = ({ times }: Context): number => times(2, 40)
/** Directories are synced rarely, by any of many threads: their first call is taken. */
const whenMaxOf = (calls: string): number => (calls === 'fsync' ? 1 : 40)
/** Rolls often, so that new segments and their directories are met. */
const config = { 'segment.bytes': '1048576' }
const injectedWithinMs = 10_000
const goesOnWithinMs = 15_000
/** Nothing is removed: what was written at the first failure is looked at after the last one too. The file is sparse. */
const volumeMegabytes = 8192

async function diskErrors(context: Context): Promise<Outcome> {
  const { random } = context
  const noTracing = await tracingMissing(context.folder)
  if (noTracing !== null) return { skipped: noTracing }
  const noVolumes = await volumesMissing(context.folder)
  const volume = noVolumes === null ? await Volume.make(join(context.folder, 'xfs'), 'xfs', volumeMegabytes) : null
  if (noVolumes !== null) context.note(`kill -9 instead of power cuts: ${noVolumes}`)
  let product: Millrace = await startFirst({ data: join(volume?.path ?? context.folder, 'data') })
  const load = new Workload({
    address: product.kafka,
    topic: 'errors',
    partitions: 3,
    leaderCounts: false,
    random,
    config,
  })
  const verifier = new Verifier(load.history, load.places)
  const problems: string[] = []
  const injected = new Map<string, number>()
  try {
    await load.start()
    for (let round = 0; round < roundsOf(context) && problems.length === 0; round++)
      for (const kind of rules) {
        const rule = { ...kind, when: 1 + Math.floor(between(random, 0, whenMaxOf(kind.calls))) }
        const name = nameOf(rule)
        await load.progress(5, 30_000)
        const count = await failOnce(product, load, rule, join(context.folder, 'strace.log'))
        injected.set(name, (injected.get(name) ?? 0) + count)
        const before = product.kafka
        problems.push(...describeViolations(await load.whilePaused(() => verifier.look(before))))
        // At once again under load, then the end of the process.
        await load.progress(5, 30_000)
        if (volume === null) await product.kill('SIGKILL')
        else await volume.cutAndRemount(product)
        product = await startAgain(product)
        await load.progress(5, 30_000)
        const { kafka } = product
        problems.push(...load.complaints, ...describeViolations(await load.whilePaused(() => verifier.look(kafka))))
        context.note(`${name} at call ${rule.when}: ${count} injected`)
        if (problems.length > 0) break
      }
    await load.stop()
    problems.push(...describeViolations(await verifier.fromStart().look(product.kafka)))
  } finally {
    await load.stop()
    await product[Symbol.asyncDispose]()
    await volume?.unmount()
  }
  for (const name of rules.map(nameOf))
    if (problems.length === 0 && !((injected.get(name) ?? 0) > 0))
      problems.push(`${name} was never injected: nothing was tested`)
  const { acknowledged, seen } = load.history.counts
  const storageErrors = load.errors.get(kafkaError.storage) ?? 0
  return {
    problems: [...new Set(problems)],
    figures: { ...Object.fromEntries(injected), acknowledged, seen, 'answers with KAFKA_STORAGE_ERROR': storageErrors },
  }
}

/** Injects until the call was met, then waits until producers are served again. Gives how many calls failed. */
async function failOnce(product: Millrace, load: Workload, rule: Rule, logFile: string): Promise<number> {
  const injection = await inject(product.pid, rule, logFile)
  try {
    const giveUpAt = performance.now() + injectedWithinMs
    while (injection.count === 0 && performance.now() < giveUpAt && product.running) await sleep(20)
    if (!product.running) throw new Error(`${nameOf(rule)} ended the process\n${product.log()}`)
    await load.progress(20, goesOnWithinMs)
    return injection.count
  } finally {
    await injection.stop()
  }
}
