/** SEEDS=400 SEED=1 node --test test/flow/simulation.test.ts runs more; `npm run test:simulation` runs many. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runSeeds } from '../../sim/flow-seeds.ts'
import { runFlow } from '../../sim/flow-workload.ts'

const seeds = Number(process.env['SEEDS'] ?? 40)
const firstSeed = Number(process.env['SEED'] ?? 1)

test('views through kills, power cuts, failing disks, repeated and reordered events equal their query', async (t) => {
  t.diagnostic(await runSeeds(firstSeed, seeds))
})
test('a seed replays a run event for event', async () => {
  const [first, second] = [
    await runFlow(firstSeed + 1, { failures: true }),
    await runFlow(firstSeed + 1, { failures: true }),
  ]
  assert.equal(second.trace, first.trace)
})
