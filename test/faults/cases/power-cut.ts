/**
 * R2: power cuts under load, on XFS and ext4. What was acknowledged with acks=all and what any consumer saw stays, at its
 * offset, with its bytes; every partition takes records again. acks=1 promises nothing here. A file that is written
 * beside it and never synced shows that each cut really forgets.
 */
import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import type { Millrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, quantile, startAgain, startFirst } from '../case.ts'
import { inject, tracingMissing } from '../inject.ts'
import { describeViolations, Verifier } from '../verify.ts'
import { type FileSystem, Volume, volumesMissing } from '../volume.ts'
import { Workload } from '../workload.ts'

export const powerCutXfs: FaultCase = {
  name: 'power-cut-xfs',
  says: 'power cuts under load, XFS',
  run: (context) => powerCuts(context, 'xfs'),
}
export const powerCutExt4: FaultCase = {
  name: 'power-cut-ext4',
  says: 'power cuts under load, ext4',
  run: (context) => powerCuts(context, 'ext4'),
}

export const lyingDisk: FaultCase = {
  name: 'power-cut-control',
  says: 'the same with a disk that lies about fdatasync: this must be noticed',
  run: mustNotice,
}

const cyclesOf = ({ times }: Context): number => times(5, 200)
const volumeMegabytes = (quick: boolean): number => (quick ? 512 : 4096)
const config = { 'segment.bytes': '1048576' }
const controlBytes = 1 << 20

async function powerCuts(context: Context, fileSystem: FileSystem): Promise<Outcome> {
  const reason = await volumesMissing(context.folder)
  if (reason !== null) return { skipped: reason }
  const cycles = cyclesOf(context)
  const volume = await Volume.make(join(context.folder, fileSystem), fileSystem, volumeMegabytes(context.quick))
  let product: Millrace = await startFirst({ data: join(volume.path, 'data') })
  const { random } = context
  const load = new Workload({
    address: product.kafka,
    topic: 'cut',
    partitions: 3,
    leaderCounts: false,
    random,
    config,
  })
  const verifier = new Verifier(load.history, load.places)
  const ready: number[] = []
  const problems: string[] = []
  let forgotten = 0
  try {
    await load.start()
    for (let cycle = 1; cycle <= cycles && problems.length === 0; cycle++) {
      await load.progress(1, 30_000)
      await sleep(between(random, 100, 1_500))
      if (await cut(volume, product)) forgotten++
      product = await startAgain(product)
      ready.push(product.spawnToReadyMs)
      // Every partition takes records again, whatever the cut tore.
      await load.progress(20, 30_000)
      const { kafka } = product
      problems.push(...load.complaints, ...describeViolations(await load.whilePaused(() => verifier.look(kafka))))
      context.note(`cut ${cycle} of ${cycles}: ready in ${Math.round(product.spawnToReadyMs)} ms`)
    }
    await load.stop()
    problems.push(...describeViolations(await verifier.fromStart().look(product.kafka)))
    if (forgotten === 0) problems.push('no cut made the file system forget an unsynced file: nothing was tested')
  } finally {
    await load.stop()
    await product[Symbol.asyncDispose]()
    await volume.unmount()
  }
  const { acknowledged, seen } = load.history.counts
  const [p50, p99] = [quantile(ready, 0.5), quantile(ready, 0.99)].map(Math.round)
  const figures = { cuts: ready.length, forgotten, acknowledged, seen, records: verifier.records }
  return { problems: [...new Set(problems)], figures: { ...figures, 'ready p50 ms': p50!, 'ready p99 ms': p99! } }
}

/**
 * The check of the check: fdatasync does nothing and reports success. If the cut loses nothing then, the cases above prove
 * nothing.
 */
async function mustNotice(context: Context): Promise<Outcome> {
  const reason = (await volumesMissing(context.folder)) ?? (await tracingMissing(context.folder))
  if (reason !== null) return { skipped: reason }
  const volume = await Volume.make(join(context.folder, 'xfs'), 'xfs', volumeMegabytes(true))
  let product: Millrace = await startFirst({ data: join(volume.path, 'data') })
  const { random } = context
  const load = new Workload({
    address: product.kafka,
    topic: 'cut',
    partitions: 3,
    leaderCounts: false,
    random,
    config,
  })
  let noticed: string[]
  try {
    await load.start()
    // Its topic is safe; from now on nothing is.
    await inject(product.pid, { calls: 'fdatasync', effect: 'retval=0' }, join(context.folder, 'strace.log'))
    await load.progress(200, 30_000)
    await cut(volume, product)
    noticed = await whatIsWrong(async () => {
      product = await startAgain(product)
      const { kafka } = product
      const verifier = new Verifier(load.history, load.places)
      return describeViolations(await load.whilePaused(() => verifier.look(kafka)))
    })
  } finally {
    await load.stop()
    await product[Symbol.asyncDispose]()
    await volume.unmount()
  }
  const problems = noticed.length === 0 ? ['a disk that lied about every fdatasync lost nothing in a power cut'] : []
  return { problems, figures: { noticed: noticed[0]?.split('\n')[0]?.slice(0, 100) ?? 'nothing' } }
}

/** Losing the catalogue or failing to start is noticed too. */
async function whatIsWrong(look: () => Promise<string[]>): Promise<string[]> {
  try {
    return await look()
  } catch (error) {
    return [error instanceof Error ? error.message : String(error)]
  }
}

/** Cuts the power, ends the process, mounts again. True when the unsynced file beside the data was forgotten. */
async function cut(volume: Volume, product: Millrace): Promise<boolean> {
  const control = join(volume.path, 'unsynced')
  const bytes = Buffer.alloc(controlBytes, 0x5a)
  await volume.cutAndRemount(product, () => writeFileSync(control, bytes))
  try {
    return !readFileSync(control).equals(bytes)
  } catch {
    return true
  }
}
