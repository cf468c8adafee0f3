import assert from 'node:assert/strict'
import { test } from 'node:test'
import { batch, config, fill, inSimulation, readAll } from './support.ts'

const name = 'orders~1/0'
const hour = 3_600_000
const sweepMs = 11_000

test('by size the oldest segments go, and what is kept is at least the bound', () =>
  inSimulation(async ({ open }, machine) => {
    const store = await open()
    const log = store.partition(name, { ...config, retentionBytes: 30_000 })
    const batches = await fill(log, 200, machine.clock.now())
    assert.ok(log.sizeBytes > 60_000)
    await machine.clock.sleep(sweepMs)
    assert.ok(log.sizeBytes >= 30_000 && log.sizeBytes < 30_000 + config.segmentBytes, String(log.sizeBytes))
    assert.ok(log.start > 0)
    assert.deepEqual(await readAll(log), batches.slice(log.start / 3))
    assert.equal(store.sizeBytes(), log.sizeBytes)
    await store.close()
  }))

test('by time a segment goes when its newest record is too old, not before', () =>
  inSimulation(async ({ open }, machine) => {
    const store = await open()
    const log = store.partition(name, { ...config, retentionMs: hour })
    await fill(log, 100, machine.clock.now())
    await machine.clock.sleep(hour / 2)
    const kept = await fill(log, 100, machine.clock.now())
    await machine.clock.sleep(hour / 2 + sweepMs)
    assert.ok(log.start > 250 && log.start <= 300, String(log.start))
    assert.deepEqual((await readAll(log, 300)).length, kept.length)
    // The segment that grows goes too, when all of it is too old.
    await machine.clock.sleep(hour / 2 - 2 * sweepMs)
    assert.ok(log.start < log.end)
    await machine.clock.sleep(3 * sweepMs)
    assert.deepEqual([log.start, log.end, log.sizeBytes], [600, 600, 0])
    await store.close()
  }))

test('a segment that grows and has expired goes too, and the end stays', () =>
  inSimulation(async ({ open }, machine) => {
    let store = await open()
    let log = store.partition(name, { ...config, retentionMs: hour, segmentMs: 2 * hour })
    await fill(log, 10, machine.clock.now())
    await machine.clock.sleep(hour - sweepMs)
    assert.equal(log.start, 0)
    await machine.clock.sleep(2 * sweepMs)
    assert.equal(log.start, 30)
    assert.equal(log.end, 30)
    assert.equal(log.sizeBytes, 0)
    machine.powerCut()
    store = await open()
    log = store.partition(name, config)
    assert.deepEqual(store.recovery.damaged, [])
    assert.equal(log.start, 30)
    assert.equal(log.append(batch(1)).baseOffset, 30)
    await store.close()
  }))

test('a segment older than segmentMs is rolled at the next append', () =>
  inSimulation(async ({ open, world, dir }, machine) => {
    const store = await open()
    const log = store.partition(name, { ...config, segmentMs: 1000 })
    await fill(log, 1)
    await machine.clock.sleep(900)
    await fill(log, 1)
    await machine.clock.sleep(1001)
    await fill(log, 1)
    const segments = world.disk.list(`${dir}/topics/${name}`).filter((file) => file.endsWith('.log'))
    assert.deepEqual(segments, ['00000000000000000000.log', '00000000000000000006.log'])
    await store.close()
  }))

test('a wall clock that jumps ahead deletes nothing early', () =>
  inSimulation(async ({ open }, machine) => {
    const store = await open()
    const log = store.partition(name, { ...config, retentionMs: hour, segmentMs: hour })
    await fill(log, 100, machine.clock.now())
    machine.clock.jump(10 * 365 * 24 * hour)
    await machine.clock.sleep(hour / 2)
    assert.equal(log.start, 0)
    machine.clock.jump(-20 * 365 * 24 * hour)
    await machine.clock.sleep(sweepMs)
    assert.equal(log.start, 0)
    await store.close()
  }))

test('old records that have just come in are there for five minutes, or for segmentMs', () =>
  inSimulation(async ({ open }, machine) => {
    const store = await open()
    const old = machine.clock.now() - 100 * hour
    const long = store.partition(name, { ...config, retentionMs: hour })
    const short = store.partition('orders~1/1', { ...config, retentionMs: hour, segmentMs: 60_000 })
    for (const log of [long, short]) await fill(log, 3, old)
    await machine.clock.sleep(50_000)
    assert.deepEqual([long.start, short.start], [0, 0])
    await machine.clock.sleep(10_000 + sweepMs)
    assert.deepEqual([long.start, short.start], [0, 9])
    await machine.clock.sleep(4 * 60_000 - 2 * sweepMs)
    assert.equal(long.start, 0)
    await machine.clock.sleep(2 * sweepMs)
    assert.deepEqual([long.start, long.end], [9, 9])
    await store.close()
  }))

test('a wall clock that jumps begins no segment early', () =>
  inSimulation(async ({ open, world, dir }, machine) => {
    const store = await open()
    const week = 7 * 24 * hour
    const log = store.partition(name, { ...config, retentionMs: 200 * week, segmentMs: week, segmentBytes: 10_000_000 })
    const old = machine.clock.now() - 100 * week
    for (const jump of [520 * week, -520 * week, -520 * week, 520 * week]) {
      await fill(log, 3, old)
      machine.clock.jump(jump)
      await machine.clock.sleep(2 * sweepMs)
      await fill(log, 3, old)
      await machine.clock.sleep(2 * sweepMs)
      assert.equal(log.start, 0)
      const segments = world.disk.list(`${dir}/topics/${name}`).filter((file) => file.endsWith('.log'))
      assert.equal(segments.length, 1)
    }
    await store.close()
  }))

test('a damaged log is left alone', () =>
  inSimulation(async ({ open, faults }, machine) => {
    await fill((await open()).partition(name, config), 100, machine.clock.now())
    machine.kill()
    machine.disk.flipBit(`/data/topics/${name}/00000000000000000000.log`, 8000)
    const store = await open()
    const log = store.partition(name, { ...config, retentionMs: 1, retentionBytes: 0, segmentMs: 1 })
    const before = machine.disk.paths('/data/topics')
    await machine.clock.sleep(hour)
    assert.deepEqual(machine.disk.paths('/data/topics'), before)
    assert.notEqual(log.damage, null)
    assert.equal(faults.length, 1)
    await store.close()
  }))
