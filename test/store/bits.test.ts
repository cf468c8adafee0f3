/**
 * One flipped bit anywhere in a small data folder: it is detected or harmless. No wrong byte is served, nothing is
 * deleted because it could not be read. Every 8th bit; MILLRACE_BITS=all takes all.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'
import type { Offset } from '../../src/lib/brand.ts'
import { Fault } from '../../src/lib/fault.ts'
import { openStore } from '../../src/store/open.ts'
import type { PartitionLog, Store } from '../../src/store/store.ts'
import { batch, config, fill } from './support.ts'

const name = 'orders~1/0'
const start = 1_700_000_000_000
const everyBit = process.env['MILLRACE_BITS'] === 'all'

/** A folder with two segments, their indexes, a trim, a snapshot, and what it must say. */
async function folder(isClean: boolean): Promise<{ machine: Simulation; batches: Map<number, Buffer> }> {
  const machine = simulate(2)
  const batches = new Map<number, Buffer>()
  await machine.run(async () => {
    const store = await open(machine)
    const log = store.partition(name, { ...config, segmentBytes: 1200, indexIntervalBytes: 200 })
    for (const bytes of await fill(log, 6, start)) batches.set(Number(bytes.readBigInt64BE(0)), bytes)
    await log.trim(4 as Offset)
    await log.saveSnapshot('state', 9 as Offset, Buffer.from('a snapshot'))
    if (isClean) await store.close()
  })
  machine.kill()
  return { machine, batches }
}
const open = (machine: Simulation): Promise<Store> =>
  openStore({ world: machine, dir: '/data', hotBytes: 0, onFault: () => {} })

/** All, or one in each byte: another one in its neighbour. */
const chosenBits = (bits: number): number[] =>
  everyBit
    ? Array.from({ length: bits }, (_, i) => i)
    : Array.from({ length: bits / 8 }, (_, byte) => byte * 8 + (byte % 8))

async function attempt<T>(call: () => Promise<T> | T): Promise<T | null> {
  try {
    return await call()
  } catch (error) {
    if (!(error instanceof Fault)) throw error
    return null
  }
}

/** Reads all that can be read; everything that comes must be what was written. */
async function checkReads(log: PartitionLog, batches: Map<number, Buffer>): Promise<void> {
  assert.ok(log.end <= 18)
  for (let from = 0; from < 18; from += 3) {
    const found = await attempt(() => log.read(Math.max(from, log.start) as Offset, 1, log.durable))
    for (const bytes of found ?? []) {
      const base = Number(Buffer.from(bytes).readBigInt64BE(0))
      assert.deepEqual(Buffer.from(bytes), batches.get(base), `other bytes at ${base}`)
    }
  }
  const found = await attempt(() => log.findTime(start + 4))
  assert.ok(found === null || found === 6 || log.damage !== null, `time found at ${found}`)
  const snapshot = log.loadSnapshot('state')
  if (snapshot !== null) assert.deepEqual([snapshot.at, Buffer.from(snapshot.bytes).toString()], [9, 'a snapshot'])
}

async function withBit(machine: Simulation, batches: Map<number, Buffer>, path: string, bit: number): Promise<boolean> {
  machine.disk.flipBit(path, bit)
  let isDetected = false
  const store = await attempt(() =>
    openStore({ world: machine, dir: '/data', hotBytes: 0, onFault: () => (isDetected = true) }),
  )
  if (store === null) return true
  const log = store.partition(name, { ...config, segmentBytes: 1200, indexIntervalBytes: 200 })
  if (store.recovery.torn.length > 0 || log.damage !== null) isDetected = true
  assert.ok(log.start >= 4, `trimmed to 4, starts at ${log.start}`)
  await checkReads(log, batches)
  const appended = await attempt(() => log.append(batch(1, start + 100)))
  if (appended !== null) await attempt(() => log.whenDurable(log.end))
  await store.close()
  return isDetected
}

for (const isClean of [true, false])
  test(`a flipped bit after ${isClean ? 'a clean stop' : 'a kill'} is detected or harmless`, async (t) => {
    const { machine, batches } = await folder(isClean)
    const paths = machine.disk.paths('/data').filter((path) => !path.endsWith('/lock'))
    const before = new Map(paths.map((path) => [path, machine.disk.contents(path)]))
    const detected = new Map<string, number>()
    let count = 0
    for (const path of paths) {
      const bits = before.get(path)!.length * 8
      for (const bit of chosenBits(bits)) {
        try {
          const isDetected = await machine.run(() => withBit(machine, batches, path, bit))
          if (isDetected) detected.set(path, (detected.get(path) ?? 0) + 1)
        } catch (error) {
          throw new Error(`${path}, bit ${bit}`, { cause: error })
        }
        assert.ok(keptSegments(machine, before), `${path}, bit ${bit}: a segment was deleted`)
        machine.kill()
        restore(machine, before)
        count++
      }
    }
    t.diagnostic(
      `${count} bits; detected ${[...detected].map(([path, n]) => `${path.split('/').at(-1)} ${n}`).join(', ')}`,
    )
    assert.ok(count > 1000)
    // Whatever is read: no flipped bit of it may pass.
    for (const file of ['meta.json', '00000000000000000009.log', 'state.snapshot']) {
      const path = paths.find((each) => each.endsWith(file))!
      assert.equal(detected.get(path), chosenBits(before.get(path)!.length * 8).length, file)
    }
  })

/** The bytes of each segment are still somewhere, as far as the trim lets them be. */
function keptSegments(machine: Simulation, before: Map<string, Buffer>): boolean {
  const now = machine.disk.paths('/data').length
  const segments = (paths: readonly string[]): number => paths.filter((path) => /\.(log|torn)/.test(path)).length
  return (
    now > 0 &&
    segments(machine.disk.paths('/data/topics')) >=
      segments([...before.keys()].filter((path) => path.includes('/topics/')))
  )
}
function restore(machine: Simulation, before: Map<string, Buffer>): void {
  machine.disk.remove('/data')
  for (const [path, bytes] of before) {
    machine.disk.makeDirectory(path.slice(0, path.lastIndexOf('/')))
    const file = machine.disk.open(path, 'write')
    file.write([bytes], 0)
    file.close()
  }
  machine.disk.settle()
}
