/** SEED=… replays one run, RUNS=… does more of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runGroup } from '../../../../sim/group-workload.ts'

const first = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
const runs = Number(process.env['RUNS'] ?? (process.env['SEED'] === undefined ? 12 : 1))

for (const failures of [false, true])
  test(`members of both protocols share through kills and power cuts${failures ? ', on a disk that fails' : ''}`, async (t) => {
    let heartbeats = 0
    let commits = 0
    for (let seed = first; seed < first + runs; seed++)
      try {
        const run = await runGroup(seed, { failures })
        heartbeats += run.heartbeats
        commits += run.commits
      } catch (error) {
        t.diagnostic(`SEED=${seed} node --test test/log/local/consumer/simulation.test.ts`)
        throw error
      }
    t.diagnostic(`SEED=${first}: ${heartbeats} heartbeats, ${commits} commits`)
    assert.ok(heartbeats > 10 * runs && commits > runs, 'the runs did some work')
  })
test('a seed replays a run event for event', async () => {
  const [a, b] = [await runGroup(first, { failures: true }), await runGroup(first, { failures: true })]
  assert.deepEqual(a, b)
})
