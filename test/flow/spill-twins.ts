/** Two graphs of one plan, one of which has hardly any memory for its state: row for row they give the same. */
import assert from 'node:assert/strict'
import type { Plan } from '../../src/flow/plan.ts'
import { simulate } from '../../src/lib/sim/world.ts'
import { clonedLinks } from './far-links.ts'
import { Bench, type Input, type Output, random, total } from './plans.ts'

export type Next = () => number
export const whole = (next: Next, below: number): number => Math.floor(next() * below)
/** Both run the same; gives how many rows lay in files at most. */
export function twins(
  plan: Plan,
  inputsOf: (next: Next, count: number) => Input,
  seed: number,
  what: string,
  { steps = 40, bytesMax = 20_000 } = {},
): number {
  const next = random(seed)
  const { disk } = simulate(seed)
  const roomy = new Bench(plan)
  const tight = new Bench(
    plan,
    {},
    { memory: { bytes: 1 + whole(next, bytesMax), disk, folder: 'spill', fileBytes: 1_000 } },
  )
  let count = 0
  let most = 0
  for (let step = 0; step < steps; step++) {
    const inputs = Array.from({ length: whole(next, 9) }, () => inputsOf(next, count++))
    assert.deepEqual(tight.step(inputs), roomy.step(inputs), `${what} seed ${seed} step ${step}`)
    if (next() < 0.5) continue
    for (const bench of [roomy, tight]) bench.commit()
    most = Math.max(most, spilled(tight))
    assert.equal(tight.graph.waits(), roomy.graph.waits(), `${what} seed ${seed} step ${step}: waits for time`)
    if (tablesOf(tight).every(({ runs }) => runs === null))
      assert.ok(tight.graph.spilledBytes <= 1_000 || disk.list('spill').length > 1, 'several files')
    assert.deepEqual([...tight.changelog].sort(), [...roomy.changelog].sort(), `${what} seed ${seed}: the changelog`)
    const undone = Array.from({ length: whole(next, 9) }, () => inputsOf(next, count++))
    if (next() < 0.3) for (const bench of [roomy, tight]) bench.tryOut(() => void bench.step(undone))
    else if (next() < 0.2) for (const bench of [roomy, tight]) bench.restart()
  }
  assert.deepEqual(tight.finish(), roomy.finish(), `${what} seed ${seed}: at the end of the input`)
  assert.deepEqual([tight.late, tight.failed], [roomy.late, roomy.failed], `${what} seed ${seed}: late and failed rows`)
  return most
}
/**
 * Starts again from a changelog that was never compacted, so long that rows go to files while it is read: newer rows of the same keys,
 * and removals, come after they have gone.
 */
export function restored(
  plan: Plan,
  inputsOf: (next: Next, count: number) => Input,
  seed: number,
  what: string,
  threads = 0,
  ttl: { readonly ttlMs?: number } = {},
  { entries = 14_000, inputs: inputsMax = Infinity } = {},
): void {
  const next = random(seed)
  const { disk } = simulate(seed)
  const roomy = new Bench(plan, {}, ttl)
  const tight = new Bench(
    plan,
    {},
    {
      ...ttl,
      memory: { bytes: 1 + whole(next, 4_000), disk, folder: 'spill', fileBytes: 10_000 },
      // Four parts: of two threads each has two.
      ...(threads === 0 ? {} : { parallelism: 4, far: clonedLinks(plan, threads) }),
    },
  )
  let count = 0
  const some = (most: number): Input[] => Array.from({ length: whole(next, most) }, () => inputsOf(next, count++))
  const both = (act: (bench: Bench) => void): void => [roomy, tight].forEach(act)
  // Rows go to files after some thousand entries.
  while (roomy.history.length < entries && count < inputsMax) {
    const inputs = some(400)
    assert.equal(tight.step(inputs).length, roomy.step(inputs).length)
    both((bench) => bench.commit())
    both((bench) => (bench.nowMs += 1_000))
  }
  both((bench) => bench.restart(bench.history))
  assert.ok(tight.graph.spilledBytes > 0, `${what} seed ${seed}: rows in files`)
  // Of parts only the order within a key is certain.
  const shown = (rows: readonly Output[]): unknown => (threads === 0 ? rows : [...total(rows)].sort())
  for (let step = 0; step < 40; step++) {
    both((bench) => (bench.nowMs += 1_000))
    const inputs = some(9)
    assert.deepEqual(
      shown(tight.step(inputs)),
      shown(roomy.step(inputs)),
      `${what} seed ${seed} step ${step} after the start`,
    )
    if (next() < 0.5) both((bench) => bench.commit())
    // A row that was written in a tick that was undone is as young as that.
    else if (ttl.ttlMs === undefined && next() < 0.3) {
      both((bench) => bench.commit())
      const undone = some(9)
      both((bench) => bench.tryOut(() => void bench.step(undone)))
    }
  }
  both((bench) => bench.commit())
  // What is forgotten goes later from files.
  if (ttl.ttlMs !== undefined) return
  assert.deepEqual([...tight.changelog].sort(), [...roomy.changelog].sort(), `${what} seed ${seed}: the changelog`)
}
const tablesOf = ({ graph }: Bench) => graph.nodes.flatMap(({ tables }) => tables)
export const spilled = (bench: Bench): number =>
  tablesOf(bench).reduce((sum, { spill, runs }) => sum + (spill?.rows ?? 0) + (runs?.rows ?? 0), 0)
