import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Idempotency, fingerprintOf } from '../../../src/gateway/http/idempotency.ts'
import { offset } from '../../../src/lib/brand.ts'
import { decodeBatch, encodeBatch, isControl } from '../../../src/log/batch.ts'
import { openCommits } from '../../../src/log/commits.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import type { Log } from '../../../src/log/log.ts'
import { type Simulation, simulate } from '../../../src/lib/sim/world.ts'

const partition = { topic: 't', index: 0 }

async function start(machine: Simulation) {
  const log = await openLocalLog({ world: machine, dir: '/data' })
  const commits = openCommits(await log.owner(), machine.clock)
  const keys = new Idempotency({ clock: machine.clock, log, commits })
  const send = (key: string): Promise<string> =>
    keys
      .once({ topicId: 'id', key, fingerprint: fingerprintOf([key]) }, async (append) => {
        const batch = encodeBatch([{ key: null, value: Buffer.from(key), timeMs: machine.clock.now() }])
        const [at] = await append([{ partition, batch }])
        return { status: 200, body: String(at!.offset) }
      })
      .then(({ answer }) => answer.body)
  return { log, send }
}
async function stored(log: Log): Promise<Map<string, number[]>> {
  const found = new Map<string, number[]>()
  const [bounds] = await log.bounds([partition])
  for (let at = bounds!.start; at < bounds!.stable;) {
    const [chunk] = await log.reader().read([{ partition, offset: offset(at) }])
    if (chunk === undefined || 'fault' in chunk) throw new Error('cannot read')
    for (const batch of chunk.batches)
      for (const record of isControl(batch) ? [] : decodeBatch(batch)) {
        if (record.offset < at) continue
        const key = Buffer.from(record.value!).toString()
        found.set(key, [...(found.get(key) ?? []), record.offset])
      }
    at = chunk.next
  }
  return found
}

for (const seed of [31, 32, 33, 34, 35, 36])
  test(`a key is stored once and answered alike, however often the machine dies between retries (seed ${seed})`, async () => {
    const machine = simulate(seed)
    let run = await machine.run(() => start(machine))
    await machine.run(async () => {
      await run.log.topics.create([{ name: 't', partitions: 1 }])
    })
    const answers = new Map<string, string>()
    const asked = new Set<string>()
    let next = 0
    for (let life = 0; life < 8; life++) {
      for (let step = 0; step < 6; step++) {
        // Some are new, some are tried again because no answer came, or although one came.
        const key = machine.random.fraction() < 0.5 ? `k${next++}` : `k${Math.floor(machine.random.fraction() * next)}`
        asked.add(key)
        run.send(key).then(
          (answer) => {
            assert.equal(answers.get(key) ?? answer, answer)
            answers.set(key, answer)
          },
          () => undefined,
        )
        await machine.advance(machine.random.fraction() * 6)
      }
      if (machine.random.fraction() < 0.5) machine.kill()
      else machine.powerCut()
      run = await machine.run(() => start(machine))
    }
    await machine.run(async () => {
      for (const key of asked) {
        const answer = await run.send(key)
        assert.equal(answers.get(key) ?? answer, answer, key)
        answers.set(key, answer)
      }
      const found = await stored(run.log)
      assert.deepEqual([...found.keys()].sort(), [...asked].sort())
      for (const [key, offsets] of found) assert.deepEqual(offsets.map(String), [answers.get(key)], key)
    })
  })
