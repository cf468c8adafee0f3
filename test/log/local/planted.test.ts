/** The log's simulations find faults that were planted on purpose. SEEDS=… tries more runs for each. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { runLog } from '../../../sim/log-workload.ts'
import * as planted from '../../../sim/planted.ts'
import * as plantedTransactions from '../../../sim/planted-transactions.ts'
import type { Planted } from '../../../sim/planting.ts'
import { runTransactions } from '../../../sim/transaction-workload.ts'

const seeds = Number(process.env['SEEDS'] ?? 60)

type Workload = (seed: number, options: { failures: boolean; tamper: Planted }) => Promise<unknown>
function finds(workload: Workload, name: string, fault: Planted): void {
  test(`a log with ${name.replaceAll(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`)} is found out`, async (t) => {
    for (let seed = 1; seed <= seeds; seed++) {
      const found = await failureOf(workload, seed, fault)
      if (found === null) continue
      t.diagnostic(`seed ${seed}: ${found}`)
      return
    }
    assert.fail(`not found by ${seeds} seeds`)
  })
}
for (const [name, fault] of Object.entries(planted)) finds(runLog, name, fault)
for (const [name, fault] of Object.entries(plantedTransactions)) finds(runTransactions, name, fault)

async function failureOf(workload: Workload, seed: number, tamper: Planted): Promise<string | null> {
  try {
    await workload(seed, { failures: true, tamper })
    return null
  } catch (error) {
    return error instanceof Error ? error.message.split('\n')[0]! : String(error)
  }
}
