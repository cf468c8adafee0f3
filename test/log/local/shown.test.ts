/** Who asks where a partition ends is shown all that is decided, as long as the disk takes the markers that say so. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../../src/lib/fault.ts'
import type { DiskCall } from '../../../src/lib/sim/disk.ts'
import { type Simulation, simulate } from '../../../src/lib/sim/world.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { openStore } from '../../../src/store/open.ts'
import { at, batch, produceOne, withTopic, textsBeforeStable } from './support.ts'

const t = at('t')
/** Nothing is kept in memory: every read goes to a file. */
const open = async (machine: Simulation): Promise<LocalLog> => {
  const store = await openStore({ world: machine, dir: '/data', hotBytes: 0 })
  return openLocalLog({ world: machine, dir: '/data', store })
}
const isOf = ({ path }: DiskCall, topic: string): boolean => path.includes(`/topics/${topic}~`)
/** A tick that dies with its process, and what was committed behind it; no start has to do with either: the last tick is of another topic. */
async function withDeadTick(machine: Simulation): Promise<LocalLog> {
  const log = await machine.run(() => open(machine))
  await machine.run(async () => {
    await withTopic(log)
    await produceOne(log, t, batch(['before'], { timeMs: 1 }))
    await (await log.owner()).begin().append([{ partition: t, batch: batch(['never'], { timeMs: 1 }) }])
    await withTopic(log, 'u')
    const owner = await log.owner()
    for (const [partition, value] of [[t, 'behind'] as const, [at('u'), 'last'] as const]) {
      const tick = owner.begin()
      await tick.append([{ partition, batch: batch([value], { timeMs: 1 }) }])
      assert.equal(await tick.commit([]), 'committed')
      await machine.clock.sleep(100)
    }
    assert.deepEqual(await textsBeforeStable(log, t), ['before'], 'it may yet be committed')
  })
  machine.kill()
  return machine.run(() => open(machine))
}

test('what was committed behind a tick that died is shown at once after a start', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const machine = simulate(seed, { syncMsMax: 5 })
    const log = await withDeadTick(machine)
    assert.deepEqual(await machine.run(() => textsBeforeStable(log, t)), ['before', 'behind'], `seed ${seed}`)
    await machine.run(() => log.close())
  }
})
test('the same where the disk fails until the marker is written for the second or third time', async () => {
  for (let seed = 1; seed <= 20; seed++) {
    const machine = simulate(seed, { syncMsMax: 5 })
    const log = await withDeadTick(machine)
    let failures = 1 + (seed % 2)
    machine.disk.plan = (call) =>
      call.operation === (seed % 3 === 0 ? 'write' : 'datasync') && isOf(call, 't') && failures-- > 0
        ? { code: 'EIO' }
        : null
    assert.deepEqual(await machine.run(() => textsBeforeStable(log, t)), ['before', 'behind'], `seed ${seed}`)
    assert.ok(failures <= 0)
    await machine.run(() => log.close())
  }
})
test('a tick that commits while its marker is refused is shown when the disk has room again', async () => {
  const machine = simulate(1, { syncMsMax: 20 })
  const log = await machine.run(() => open(machine))
  await machine.run(async () => {
    await withTopic(log)
    await withTopic(log, 'u')
    const tick = (await log.owner()).begin()
    await tick.append([{ partition: t, batch: batch(['committed'], { timeMs: 1 }) }])
    const committing = tick.commit([])
    let isFull = false
    // What is on its way to the disk arrives; of anything else the disk says that it is full.
    machine.disk.plan = (call) => {
      if (call.operation !== 'write' || !isOf(call, 'u')) return null
      isFull = true
      return { code: 'ENOSPC' }
    }
    await machine.clock.sleep(1)
    await produceOne(log, at('u'), batch(['x'], { timeMs: 1 }))
    assert.ok(isFull)
    assert.equal(await committing, 'committed')
    assert.deepEqual(await textsBeforeStable(log, t), ['committed'])
    await log.close()
  })
})
test('a disk that takes no marker keeps nobody from reading what lies before it for longer than a second', async () => {
  const machine = simulate(1)
  const log = await withDeadTick(machine)
  machine.disk.plan = (call) =>
    isOf(call, 't') && ['write', 'datasync'].includes(call.operation) ? { code: 'EIO' } : null
  const beganMs = machine.clock.monotonic()
  assert.deepEqual(await machine.run(() => textsBeforeStable(log, t)), ['before'])
  const tookMs = machine.clock.monotonic() - beganMs
  assert.ok(tookMs >= 900 && tookMs <= 1_500, `${tookMs} ms`)
  machine.disk.plan = null
  assert.deepEqual(await machine.run(() => textsBeforeStable(log, t)), ['before', 'behind'])
  await machine.run(() => log.close())
})
test('a partition that cannot be opened is a fault for who asks, not a wait', async () => {
  const machine = simulate(1)
  const log = await withDeadTick(machine)
  machine.disk.plan = (call) => (isOf(call, 't') && call.operation.startsWith('read') ? { code: 'EIO' } : null)
  await machine.run(() =>
    assert.rejects(log.bounds([t]), (error) => error instanceof Fault && error.code === 'store.failed'),
  )
  machine.disk.plan = null
  assert.deepEqual(await machine.run(() => textsBeforeStable(log, t)), ['before', 'behind'])
  await machine.run(() => log.close())
})
