/** What many partitions and many appends may cost, counted in calls of the disk. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { DiskOperation } from '../../src/lib/sim/disk.ts'
import type { Simulation } from '../../src/lib/sim/world.ts'
import { batch, config, inSimulation, readAll } from './support.ts'

/** Counts calls of the disk, by operation, from now on. */
function counting(machine: Simulation): Map<DiskOperation, number> {
  const counts = new Map<DiskOperation, number>()
  machine.disk.plan = ({ operation }) => {
    counts.set(operation, (counts.get(operation) ?? 0) + 1)
    return null
  }
  return counts
}
const sum = (counts: Map<DiskOperation, number>): number => [...counts.values()].reduce((a, b) => a + b, 0)

test('what arrives in one turn is one write and one sync', () =>
  inSimulation(async ({ open }, machine) => {
    const store = await open()
    const log = store.partition('t~1/0', { ...config, segmentBytes: 1e9 })
    log.append(batch(1))
    await log.whenDurable(log.end)
    const counts = counting(machine)
    await Promise.all(
      Array.from({ length: 1000 }, () => {
        log.append(batch(1))
        return log.whenDurable(log.end)
      }),
    )
    assert.equal(counts.get('datasync'), 1)
    // The batches, the journal's note of the end, and now and then entries of an index.
    assert.ok(counts.get('write')! <= 4, `${counts.get('write')} writes`)
    await store.close()
  }))

test('what arrives while a sync runs shares the next one', () =>
  inSimulation(async ({ open }, machine) => {
    const store = await open()
    const log = store.partition('t~1/0', { ...config, segmentBytes: 1e9 })
    const counts = counting(machine)
    const waits: Promise<void>[] = []
    const begun = machine.clock.monotonic()
    for (let i = 0; i < 200; i++) {
      log.append(batch(1))
      waits.push(log.whenDurable(log.end))
      await machine.clock.sleep(0.1)
    }
    await Promise.all(waits)
    const tookMs = machine.clock.monotonic() - begun
    assert.ok(counts.get('datasync')! < 60, `${counts.get('datasync')} syncs in ${tookMs} ms`)
    await store.close()
  }))

test('a thousand partitions open without a look at their files, and cost nothing while idle', () =>
  inSimulation(async ({ open }, machine) => {
    const names = Array.from({ length: 1000 }, (_, i) => `topic-${i}~1/0`)
    let store = await open()
    for (const name of names) store.partition(name, config).append(batch(1))
    await store.close()
    machine.disk.settle()

    let counts = counting(machine)
    store = await open()
    const logs = names.map((name) => store.partition(name, { ...config, retentionMs: 1e12 }))
    assert.ok(logs.every((log) => log.end === 1 && log.durable === 1))
    assert.ok(sum(counts) < 30, `${sum(counts)} calls: ${[...counts].join(' ')}`)

    counts = counting(machine)
    await machine.clock.sleep(60_000)
    assert.equal(sum(counts), 0, [...counts].join(' '))

    counts = counting(machine)
    assert.equal((await readAll(logs[7]!)).length, 1)
    assert.ok(sum(counts) < 12, `${sum(counts)} calls: ${[...counts].join(' ')}`)
    await store.close()
  }))
