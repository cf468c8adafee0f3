/** One failure at every call that a run makes of the disk, of each kind: no wrong answer, nothing lost, it goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DiskCall, DiskFailure } from '../../src/lib/sim/disk.ts'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'
import type { Offset } from '../../src/lib/brand.ts'
import { Fault } from '../../src/lib/fault.ts'
import { openStore } from '../../src/store/open.ts'
import type { PartitionLog, Store } from '../../src/store/store.ts'
import { batch, config, readAll } from './support.ts'

const names = ['orders~1/0', 'orders~1/1']
const small = { ...config, segmentBytes: 1500, retentionBytes: 6000 }

/** What was promised: batches known to be durable, by partition. */
type Promised = Map<string, { end: number; batches: Map<number, Buffer> }>

const open = (machine: Simulation): Promise<Store> => openStore({ world: machine, dir: '/data', hotBytes: 1000 })

async function attempt(promised: Promised, log: PartitionLog, timeMs: number): Promise<void> {
  const before = log.durable
  try {
    const bytes = batch(3, timeMs)
    const { baseOffset } = log.append(bytes)
    const end = log.end
    await log.whenDurable(end)
    assert.ok(log.durable >= end)
    const known = promised.get(log.dir)!
    known.batches.set(baseOffset, Buffer.from(bytes))
    known.end = Math.max(known.end, end)
  } catch (error) {
    assert.ok(error instanceof Fault, String(error))
    assert.ok(['store.failed', 'store.full', 'log.closed'].includes(error.code), error.message)
    assert.ok(log.durable >= before)
  }
}

/** Everything a store does in its life. Failures that reach the caller are Faults, and end the run at most. */
async function life(machine: Simulation, promised: Promised): Promise<void> {
  const store = await open(machine)
  const logs = names.map((name) => store.partition(name, small))
  for (let i = 0; i < 14; i++) for (const log of logs) await attempt(promised, log, 1_700_000_000_000 + i)
  const [log] = logs as [PartitionLog]
  await tolerate(() => log.saveSnapshot('state', log.durable, Buffer.from('state')))
  await tolerate(() => log.trim(Math.max(log.start, log.durable - 6) as Offset))
  await machine.clock.sleep(11_000)
  for (const each of logs) await attempt(promised, each, 1_700_000_001_000)
  for (const each of logs) {
    if (each.start < each.durable) await tolerate(() => readAll(each).then(() => {}))
    await tolerate(async () => void each.findTime(1_700_000_000_005))
  }
  promised.delete(names[1]!)
  await tolerate(() => store.drop(names[1]!))
  await store.close()
}
async function tolerate(call: () => Promise<void>): Promise<void> {
  try {
    await call()
  } catch (error) {
    if (!(error instanceof Fault)) throw error
  }
}

async function verify(machine: Simulation, promised: Promised): Promise<void> {
  const store = await open(machine)
  assert.deepEqual(store.recovery.damaged.map(String), [])
  for (const [name, known] of promised) {
    const log = store.partition(name, small)
    assert.ok(log.durable >= known.end, `${name}: ${known.end} was promised, ${log.durable} is there`)
    const found = new Map((await readAll(log)).map((bytes) => [Number(bytes.readBigInt64BE(0)), bytes]))
    for (const [base, bytes] of known.batches)
      if (base >= log.start) assert.deepEqual(found.get(base), bytes, `${name}: batch ${base}`)
    await attempt(promised, log, 1_700_000_002_000)
    assert.equal(log.durable, log.end, `${name} takes nothing more`)
    assert.ok(known.batches.has(log.end - 3), `${name} takes nothing more`)
  }
  await store.close()
}

const fresh = (): Promised => new Map(names.map((name) => [name, { end: 0, batches: new Map<number, Buffer>() }]))

/** Runs the life with `failure` at call `at`; true when there was such a call. */
async function runWith(at: number, failure: DiskFailure, end: 'kill' | 'powerCut'): Promise<boolean> {
  const machine = simulate(at)
  const promised = fresh()
  let isReached = false
  machine.disk.plan = (call: DiskCall) => {
    if (call.number !== at) return null
    isReached = true
    return failure
  }
  const running = life(machine, promised).catch((error: unknown) => {
    assert.ok(error instanceof Fault, String(error))
  })
  // With the power off some waits never end.
  await machine.run(() => Promise.race([running, machine.clock.sleep(60_000)]))
  machine.disk.plan = null
  machine[end]()
  await machine.run(() => verify(machine, promised))
  // And what the second start left is fit for a third.
  machine[end]()
  await machine.run(() => verify(machine, promised))
  return isReached
}

const kinds: readonly { name: string; failure: DiskFailure; end: 'kill' | 'powerCut' }[] = [
  { name: 'a power cut', failure: { code: 'power', written: 200 }, end: 'powerCut' },
  { name: 'a kill', failure: { code: 'power', written: 200 }, end: 'kill' },
  { name: 'EIO', failure: { code: 'EIO', written: 100 }, end: 'kill' },
  { name: 'EIO and then a power cut', failure: { code: 'EIO', written: 100 }, end: 'powerCut' },
  { name: 'ENOSPC', failure: { code: 'ENOSPC', written: 300 }, end: 'powerCut' },
]
for (const { name, failure, end } of kinds)
  test(`${name} at every call of the disk`, async (t) => {
    let at = 0
    for (; ; at++) {
      try {
        if (!(await runWith(at, failure, end))) break
      } catch (error) {
        throw new Error(`at call ${at}`, { cause: error })
      }
    }
    assert.ok(at > 100, 'too few calls to mean anything')
    t.diagnostic(`${at} calls`)
  })

test('what a killed process wrote is written once more before it is synced: a sync that failed in between would be forgotten', async () => {
  const machine = simulate(1)
  await machine.run(async () => {
    const log = (await open(machine)).partition(names[0]!, small)
    for (let i = 0; i < 2; i++) {
      log.append(batch(3))
      await machine.clock.sleep(1)
    }
  })
  machine.kill()
  const calls: string[] = []
  machine.disk.plan = ({ operation, path }) => {
    if (/orders~1\/0\/\d+\.log$/.test(path) && /^(write|datasync)$/.test(operation)) calls.push(operation)
    return null
  }
  await machine.run(async () => {
    const store = await open(machine)
    assert.deepEqual(calls, ['write', 'datasync'])
    assert.equal((await readAll(store.partition(names[0]!, small))).length, 2)
    await store.close()
  })
  calls.length = 0
  await machine.run(async () => void (await open(machine)))
  assert.deepEqual(calls, [], 'after an orderly stop nothing is')
})
