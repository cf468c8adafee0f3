/** The log's simulation finds faults that were planted on purpose; without them the same seeds pass. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runLog } from '../../../sim/log-workload.ts'
import { type Planted, unheardCuts } from '../../../sim/planted.ts'

const seeds = 20

const planted: readonly { name: string; fault: Planted }[] = [
  { name: 'a log that does not hear of cuts is found', fault: unheardCuts },
]
for (const { name, fault } of planted)
  test(name, async (t) => {
    for (let seed = 1; seed <= seeds; seed++) {
      const found = await failureOf(seed, fault)
      if (found === null) continue
      t.diagnostic(`seed ${seed}: ${found}`)
      await runLog(seed, { failures: true })
      return
    }
    assert.fail(`not found by ${seeds} seeds`)
  })

async function failureOf(seed: number, tamper: Planted): Promise<string | null> {
  try {
    await runLog(seed, { failures: true, tamper })
    return null
  } catch (error) {
    return error instanceof Error ? error.message.split('\n')[0]! : String(error)
  }
}
