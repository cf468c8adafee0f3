/** SEED=… replays one run, RUNS=… does more of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runQueue } from '../../../sim/queue-workload.ts'

const first = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
const runs = Number(process.env['RUNS'] ?? (process.env['SEED'] === undefined ? 15 : 1))

for (const failures of [false, true])
  test(`queues lose nothing and give nothing twice${failures ? ', with a disk that fails' : ''}`, async (t) => {
    const sums = { written: 0, accepted: 0, again: 0, dead: 0 }
    for (let seed = first; seed < first + runs; seed++)
      try {
        const run = await runQueue(seed, { failures })
        for (const name of Object.keys(sums) as (keyof typeof sums)[]) sums[name] += run[name]
      } catch (error) {
        t.diagnostic(`SEED=${seed} node --test test/log/queues/simulation.test.ts`)
        throw error
      }
    t.diagnostic(`SEED=${first}: ${JSON.stringify(sums)}`)
    assert.ok(sums.accepted > runs && sums.again > runs, 'the runs did some work')
    assert.ok(runs === 1 || sums.dead > 0, 'something was given up')
  })

test('a seed replays a run event for event', async () => {
  assert.deepEqual(await runQueue(first, { failures: true }), await runQueue(first, { failures: true }))
})
