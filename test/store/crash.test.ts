/** Random work, random deaths: `sim/store-workload.ts`. A seed that failed runs alone with MILLRACE_SEED=n. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FileContent } from '../../src/lib/sim/file-content.ts'
import { Namespace } from '../../src/lib/sim/namespace.ts'
import { runStore, type StoreRunOptions } from '../../sim/store-workload.ts'
import { Journal } from '../../src/store/journal.ts'

const only = process.env['MILLRACE_SEED']

async function runSeeds(count: number, options: StoreRunOptions): Promise<{ acknowledged: number; torn: number }> {
  const sum = { acknowledged: 0, torn: 0 }
  const seeds = only === undefined ? Array.from({ length: count }, (_, i) => i) : [Number(only)]
  for (const seed of seeds) {
    try {
      const run = await runStore(seed, options)
      sum.acknowledged += run.acknowledged
      sum.torn += run.torn
    } catch (error) {
      throw new Error(`seed ${seed} (run it alone with MILLRACE_SEED=${seed})`, { cause: error })
    }
  }
  return sum
}
async function failingSeeds(seeds: readonly number[]): Promise<number> {
  let failed = 0
  for (const seed of seeds) await runStore(seed).catch(() => failed++)
  return failed
}

test('nothing durable is lost, nothing torn is seen, the log stays writable: random deaths', async (t) => {
  const { acknowledged, torn } = await runSeeds(200, {})
  if (only === undefined) assert.ok(acknowledged > 10_000 && torn > 20, `${acknowledged} acknowledged, ${torn} torn`)
  t.diagnostic(`${acknowledged} batches acknowledged, ${torn} torn tails`)
})

test('the same with a disk that fails now and then', async (t) => {
  const { acknowledged, torn } = await runSeeds(120, { failures: true })
  t.diagnostic(`${acknowledged} batches acknowledged, ${torn} torn tails`)
})

test('a seed gives the same run, event for event', async () => {
  for (const seed of [3, 4, 5]) {
    const first = await runStore(seed)
    assert.deepEqual(await runStore(seed), first)
    assert.notEqual((await runStore(seed + 100)).trace, first.trace)
  }
})

// What the workload must be able to see, or its silence means nothing.
const seeds = Array.from({ length: 25 }, (_, i) => i)

test('a disk that lies about fdatasync is caught', async (t) => {
  t.mock.method(FileContent.prototype, 'endFlush', () => {})
  assert.ok((await failingSeeds(seeds)) > 5)
})

test('directories that are never synced are caught', async (t) => {
  t.mock.method(Namespace.prototype, 'makeDurable', () => {})
  assert.ok((await failingSeeds(seeds)) > 5)
})

test('a journal that claims what is not durable is caught', async (t) => {
  const { durable } = Journal.prototype
  t.mock.method(Journal.prototype, 'durable', function (this: Journal, ends: { dir: string; end: number }[]) {
    durable.call(
      this,
      ends.map(({ dir, end }) => ({ dir, end: end + 3 })),
    )
  })
  assert.ok((await failingSeeds(seeds)) > 5)
})
