/** SEEDS=10000 SEED=1 node --test test/flow/simulation.test.ts runs many; a failure names its seed. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runFlow } from '../../sim/flow-workload.ts'

const seeds = Number(process.env['SEEDS'] ?? 40)
const firstSeed = Number(process.env['SEED'] ?? 1)

test('views through kills, power cuts, failing disks, repeated and reordered events equal their query', async (t) => {
  const seen = new Set<string>()
  let lives = 0
  let twice = 0
  let rows = 0
  let restarts = 0
  for (let seed = firstSeed; seed < firstSeed + seeds; seed++)
    try {
      const run = await runFlow(seed, { failures: seed % 2 === 0 })
      for (const view of run.views) seen.add(view)
      lives += run.lives
      twice += run.twice
      rows += run.rows
      restarts += run.restarts
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  t.diagnostic(
    `${seeds} seeds, ${lives} deaths, ${twice} pieces sent again, ${rows} rows compared, ${restarts} starts by themselves`,
  )
  assert.ok(seeds < 40 || seen.size > 7, `only ${[...seen].join(', ')} were run`)
  assert.ok(rows > seeds * 5)
  assert.ok(seeds < 40 || restarts > 0, 'no view had to come back')
})
test('a seed replays a run event for event', async () => {
  const [first, second] = [
    await runFlow(firstSeed + 1, { failures: true }),
    await runFlow(firstSeed + 1, { failures: true }),
  ]
  assert.equal(second.trace, first.trace)
})
