/** Who has waited for a view reads all that came of its input, also where a disk that failed has held up what says that it stands. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LocalFlow } from '../../src/flow/runtime/flow.ts'
import { asFault } from '../../src/lib/fault.ts'
import type { DiskCall } from '../../src/lib/sim/disk.ts'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { type House, newest, openHouse } from './house.ts'
import { sumsOf } from './plans.ts'

const sums = sumsOf('events', 'v')
const isOfView = ({ path }: DiskCall): boolean => path.includes('/topics/v~')
const rows = async (house: House): Promise<unknown> => Object.fromEntries(newest(await house.read('v')))

/** A view whose rows were committed behind a tick that died with its process, started again. What comes after is another view's. */
async function started(machine: Simulation): Promise<House<LocalFlow>> {
  const house = await machine.run(() => openHouse(machine, '/data'))
  await machine.run(async () => {
    await house.topic('events')
    await house.topic('others')
    await house.flow.start(sums)
    const dead = (await house.log.owner()).begin()
    const batch = encodeBatch([{ key: Buffer.from('x'), value: Buffer.from('{"k":"x","n":99}'), timeMs: 1 }])
    await dead.append([{ partition: { topic: 'v', index: 0 }, batch }])
    await house.send('events', [{ k: 'x', n: 1 }])
    await house.send('events', [{ k: 'y', n: 2 }])
    await machine.clock.sleep(200)
    await house.commits.put([{ partition: { topic: 'others', index: 0 }, batch }], [])
    await machine.clock.sleep(200)
  })
  machine.kill()
  const again = await machine.run(() => openHouse(machine, '/data'))
  await machine.run(() => again.flow.start(sums))
  return again
}

test('what a view committed before a crash, behind what the crash left open, can be read after FLUSH', async () => {
  for (let seed = 1; seed <= 10; seed++) {
    const machine = simulate(seed, { syncMsMax: 5 })
    const house = await started(machine)
    await machine.run(() => house.flow.flush())
    assert.deepEqual(await machine.run(() => rows(house)), { x: { k: 'x', n: 1 }, y: { k: 'y', n: 2 } })
    await machine.run(() => house.close())
  }
})
test('FLUSH waits for as long as the disk takes no marker', async () => {
  const machine = simulate(1)
  const house = await started(machine)
  machine.disk.plan = (call) =>
    isOfView(call) && ['write', 'datasync'].includes(call.operation) ? { code: 'EIO' } : null
  const flushed = { is: false }
  const flushing = house.flow.flush().then(() => (flushed.is = true))
  await machine.advance(10_000)
  assert.equal(flushed.is, false)
  machine.disk.plan = null
  await machine.run(() => flushing)
  assert.deepEqual(await machine.run(() => rows(house)), { x: { k: 'x', n: 1 }, y: { k: 'y', n: 2 } })
  await machine.run(() => house.close())
})
test('FLUSH that waits ends by its signal, and when the view ends', async () => {
  const machine = simulate(1)
  const house = await started(machine)
  machine.disk.plan = (call) =>
    isOfView(call) && ['write', 'datasync'].includes(call.operation) ? { code: 'EIO' } : null
  const enough = new AbortController()
  const outcomes = Promise.allSettled([house.flow.flush(enough.signal), house.flow.flush()])
  await machine.advance(5_000)
  enough.abort(new Error('enough'))
  await machine.advance(2_000)
  await machine.run(() => house.flow.stop('v'))
  const [cancelled, stopped] = await machine.run(() => outcomes)
  assert.equal(
    cancelled.status === 'rejected' && asFault(cancelled.reason).message,
    asFault(new Error('enough')).message,
  )
  assert.equal(stopped.status, 'fulfilled')
  machine.disk.plan = null
  await machine.run(() => house.close())
})
test('FLUSH says that a topic of rows cannot be read', async () => {
  const machine = simulate(1)
  const house = await started(machine)
  machine.disk.plan = (call) => (isOfView(call) && call.operation.startsWith('read') ? { code: 'EIO' } : null)
  const code = await machine.run(() =>
    house.flow.flush().then(
      () => 'flushed',
      (error: unknown) => asFault(error).code,
    ),
  )
  assert.equal(code, 'store.failed')
  machine.disk.plan = null
  await machine.run(() => house.flow.flush())
  assert.deepEqual(await machine.run(() => rows(house)), { x: { k: 'x', n: 1 }, y: { k: 'y', n: 2 } })
  await machine.run(() => house.close())
})
