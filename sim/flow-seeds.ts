/**
 * Many simulated lives of views, one seed after another. `node sim/flow-seeds.ts FIRST COUNT` runs them in a process of its own,
 * without the test runner, whose hooks around each promise take a quarter of the time; a failure names its seed.
 */
import assert from 'node:assert/strict'
import { runFlow } from './flow-workload.ts'

/** What was done, in words. Throws an error that names the seed, or says what the seeds together have not reached. */
export async function runSeeds(first: number, count: number): Promise<string> {
  const views = new Set<string>()
  const sum = { lives: 0, twice: 0, rows: 0, restarts: 0 }
  for (let seed = first; seed < first + count; seed++)
    try {
      const run = await runFlow(seed, { failures: seed % 2 === 0 })
      for (const view of run.views) views.add(view)
      for (const key of ['lives', 'twice', 'rows', 'restarts'] as const) sum[key] += run[key]
    } catch (error) {
      throw new Error(`seed ${seed}`, { cause: error })
    }
  assert.ok(count < 40 || views.size > 7, `only ${[...views].join(', ')} were run`)
  assert.ok(sum.rows > count * 5, `${sum.rows} rows were compared in ${count} seeds`)
  assert.ok(count < 40 || sum.restarts > 0, 'no view had to come back')
  const { lives, twice, rows, restarts } = sum
  return `${count} seeds, ${lives} deaths, ${twice} pieces sent again, ${rows} rows compared, ${restarts} starts by themselves`
}

if (import.meta.main) console.log(await runSeeds(Number(process.argv[2]), Number(process.argv[3])))
