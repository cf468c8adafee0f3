/** SEED=… replays one run, RUNS=… does more of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runLog } from '../../../sim/log-workload.ts'

const first = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
const runs = Number(process.env['RUNS'] ?? (process.env['SEED'] === undefined ? 40 : 1))

for (const failures of [false, true])
  test(`nothing promised is lost, doubled, torn or taken back${failures ? ', with a disk that fails' : ''}`, async (t) => {
    let acknowledged = 0
    let repeated = 0
    let ticks = 0
    for (let seed = first; seed < first + runs; seed++)
      try {
        const run = await runLog(seed, { failures })
        acknowledged += run.acknowledged
        repeated += run.repeated
        ticks += run.ticks
      } catch (error) {
        t.diagnostic(`SEED=${seed} node --test test/log/local/simulation.test.ts`)
        throw error
      }
    t.diagnostic(`SEED=${first}: ${acknowledged} acknowledged, ${repeated} repeated, ${ticks} ticks`)
    assert.ok(acknowledged > runs && ticks > runs, 'the runs did some work')
  })

test('a seed replays a run event for event', async () => {
  const [a, b] = [await runLog(first, { failures: true }), await runLog(first, { failures: true })]
  assert.deepEqual(a, b)
})
