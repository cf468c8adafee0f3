/** SEED=… replays one run, RUNS=… does more of them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runTransactions } from '../../../sim/transaction-workload.ts'

const first = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
const runs = Number(process.env['RUNS'] ?? (process.env['SEED'] === undefined ? 25 : 1))

for (const failures of [false, true])
  test(`clients' transactions are whole or not there${failures ? ', with a disk that fails' : ''}`, async (t) => {
    const sum = { committed: 0, aborted: 0, unknown: 0, survived: 0 }
    for (let seed = first; seed < first + runs; seed++)
      try {
        const run = await runTransactions(seed, { failures })
        for (const name of ['committed', 'aborted', 'unknown', 'survived'] as const) sum[name] += run[name]
      } catch (error) {
        t.diagnostic(`SEED=${seed} node --test test/log/local/transaction-simulation.test.ts`)
        throw error
      }
    t.diagnostic(`SEED=${first}: ${JSON.stringify(sum)}`)
    assert.ok(sum.committed > runs && sum.aborted > runs, 'the runs did some work')
  })

test('a seed replays a run event for event', async () => {
  const [a, b] = [await runTransactions(first, { failures: true }), await runTransactions(first, { failures: true })]
  assert.deepEqual(a, b)
})
