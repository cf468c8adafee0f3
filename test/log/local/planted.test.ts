/** The log's simulation finds faults that were planted on purpose. SEEDS=… tries more runs for each. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runLog } from '../../../sim/log-workload.ts'
import * as planted from '../../../sim/planted.ts'

const seeds = Number(process.env['SEEDS'] ?? 60)

for (const [name, fault] of Object.entries(planted))
  test(`a log with ${name.replaceAll(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`)} is found out`, async (t) => {
    for (let seed = 1; seed <= seeds; seed++) {
      const found = await failureOf(seed, fault)
      if (found === null) continue
      t.diagnostic(`seed ${seed}: ${found}`)
      return
    }
    assert.fail(`not found by ${seeds} seeds`)
  })

async function failureOf(seed: number, tamper: planted.Planted): Promise<string | null> {
  try {
    await runLog(seed, { failures: true, tamper })
    return null
  } catch (error) {
    return error instanceof Error ? error.message.split('\n')[0]! : String(error)
  }
}
