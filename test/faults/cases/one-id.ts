/**
 * Very many transactions on one transactional id, one after another, every third aborted: memory and what lies on the disk
 * for them stay bounded, and a restart after kill -9 takes no longer for it.
 */
import { globSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Millrace, startMillrace } from '../../interop/setup/index.ts'
import { type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { megabytes, residentBytes } from '../process.ts'
import { TransactionLoad } from '../transactions.ts'

export const oneId: FaultCase = {
  name: 'one-id',
  says: 'very many transactions on one transactional id',
  run: manyOnOneId,
}
/** In one go: what grows is seen over the last quarter, when what is kept for readers, and the heap, have come to their size. */
const countOf = ({ quick }: Context): number => (quick ? 5_000 : 100_000)
/** Of the process beyond what it had after three quarters of them: until then garbage comes to what the collector lets lie. */
const growthMax = 64 * 1024 * 1024
/** What was not compacted yet, and the newest segment, which never is. */
const stateBytesMax = 48 * 1024 * 1024
const startMsMore = 2_000

async function manyOnOneId(context: Context): Promise<Outcome> {
  const { folder, note } = context
  const count = countOf(context)
  const empty = await startMillrace({ data: join(folder, 'empty') })
  await empty.stop()
  let product: Millrace = await startFirst({ data: join(folder, 'data') })
  let turn = 0
  const load = new TransactionLoad(product.kafka, 'one', 1, () => (turn++ % 3 === 0 ? 0.9 : 0.5))
  const problems: string[] = []
  const done = (): number => load.counts.committed + load.counts.aborted
  const start = performance.now()
  try {
    await load.start()
    let early = 0
    let last = -1
    while (done() < count && load.complaints.length === 0) {
      await sleep(50)
      if (early === 0 && done() >= count * 0.75) early = residentBytes(product.pid)
      const now = Math.floor((10 * done()) / count)
      if (now > last) note(`${done()} of ${count}, ${megabytes(residentBytes(product.pid))} MB`)
      last = now
    }
    await load.stop()
    const seconds = (performance.now() - start) / 1000
    const late = residentBytes(product.pid)
    if (late - early > growthMax) problems.push(`memory grew from ${megabytes(early)} to ${megabytes(late)} MB`)
    const stateBytes = bytesOf(product.data, '__transaction_state')
    if (stateBytes > stateBytesMax) problems.push(`__transaction_state holds ${megabytes(stateBytes)} MB`)
    await product.kill('SIGKILL')
    product = await startAgain(product)
    const emptyAgain = await startMillrace({ data: join(folder, 'empty') })
    await emptyAgain.stop()
    // The machine may have more to do than it had at first.
    const more = product.startedInMs - Math.max(empty.startedInMs, emptyAgain.startedInMs)
    if (more > startMsMore) problems.push(`the start took ${Math.round(more)} ms more than that of an empty folder`)
    problems.push(...(await load.check()))
    await product.stop()
    return {
      problems,
      figures: {
        ...load.counts,
        'per second': Math.round(done() / seconds),
        'MB early': megabytes(early),
        'MB late': megabytes(late),
        'MB of states': megabytes(stateBytes),
        'start ms more': Math.round(more),
      },
    }
  } finally {
    await load.stop().catch(() => {})
    await product[Symbol.asyncDispose]()
  }
}

function bytesOf(data: string, topic: string): number {
  const files = globSync(`topics/${topic}~*/**/*.log`, { cwd: data })
  if (files.length === 0) throw new Error(`no segment of ${topic} in ${data}`)
  return files.reduce((sum, file) => sum + statSync(join(data, file)).size, 0)
}
