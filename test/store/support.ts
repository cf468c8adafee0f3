/** The same cases on the real disk, the simulated one and the one in memory. */
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { simulate } from '../../src/lib/sim/world.ts'
import type { Offset } from '../../src/lib/brand.ts'
import type { Fault } from '../../src/lib/fault.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { World } from '../../src/lib/world.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { readBatchHeader } from '../../src/store/batch-header.ts'
import { openStore, type StoreOptions } from '../../src/store/open.ts'
import type { PartitionConfig, PartitionLog, Store } from '../../src/store/store.ts'

export const config: PartitionConfig = {
  segmentBytes: 10_000,
  segmentMs: 1e12,
  retentionBytes: -1,
  retentionMs: -1,
  flushMs: 10,
  timestampType: 'create-time',
  indexIntervalBytes: 500,
}

export interface Place {
  readonly world: World
  readonly dir: string
  open(options?: Partial<StoreOptions>): Promise<Store>
  /** What stores opened here reported. */
  readonly faults: Fault[]
}

const placeIn = (world: World, dir: string): Place => {
  const faults: Fault[] = []
  return {
    world,
    dir,
    faults,
    open: (options) => openStore({ world, dir, onFault: (fault) => faults.push(fault), ...options }),
  }
}

export async function inTemporary(run: (place: Place) => Promise<void>): Promise<void> {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-store-'))
  try {
    await run(placeIn(realWorld(), join(dir, 'data')))
  } finally {
    rmSync(dir, { recursive: true, force: true })
  }
}
export async function inSimulation(
  run: (place: Place, machine: ReturnType<typeof simulate>) => Promise<void>,
): Promise<void> {
  const machine = simulate(1)
  await machine.run(() => run(placeIn(machine, '/data'), machine))
}

/** A folder as a killed process left it: the store that was open in it is never heard of again. */
export function afterKill(name: string, run: (place: Place, kill: () => Place) => Promise<void>): void {
  test(`${name} (real disk)`, () =>
    inTemporary((place) =>
      run(place, () => {
        const copy = `${place.dir}-after`
        cpSync(place.dir, copy, { recursive: true, filter: (path) => !path.endsWith('/lock') })
        return placeIn(place.world, copy)
      }),
    ))
  test(`${name} (simulated disk)`, () =>
    inSimulation((place, machine) =>
      run(place, () => {
        machine.kill()
        return placeIn(machine, place.dir)
      }),
    ))
}

/** Overwrites bytes of a file. */
export function overwrite(place: Place, path: string, position: number, bytes: Uint8Array): void {
  const file = place.world.disk.open(`${place.dir}/${path}`, 'write')
  file.write([bytes], position)
  file.close()
}
export function truncate(place: Place, path: string, size: number): void {
  const file = place.world.disk.open(`${place.dir}/${path}`, 'write')
  file.truncate(size)
  file.close()
}
export function fileBytes(place: Place, path: string): Buffer {
  const file = place.world.disk.open(`${place.dir}/${path}`, 'read')
  const out = Buffer.alloc(file.size())
  file.read(out, 0)
  file.close()
  return out
}
export const flip = (bytes: Uint8Array, at: number, mask = 1): Buffer => {
  const out = Buffer.from(bytes)
  out[at]! ^= mask
  return out
}

/** One test for each disk. */
export function onEachDisk(name: string, run: (place: Place) => Promise<void>): void {
  test(`${name} (real disk)`, () => inTemporary(run))
  test(`${name} (simulated disk)`, () => inSimulation(run))
  test(`${name} (memory)`, () => run(placeIn({ ...realWorld(), disk: memoryDisk() }, '/data')))
}

/** A batch of `count` records of about `bytes` each, with times from `timeMs` on. */
export function batch(count = 3, timeMs = 1_700_000_000_000, bytes = 100): Buffer {
  const records = Array.from({ length: count }, (_, i) => ({
    key: null,
    value: Buffer.alloc(bytes, `${timeMs} ${i} `),
    timeMs: timeMs + i,
  }))
  return Buffer.from(encodeBatch(records))
}

/** Appends batches of 3 records, one a millisecond, and waits until they are durable. */
export async function fill(log: PartitionLog, count: number, timeMs = 1_700_000_000_000): Promise<Buffer[]> {
  const out: Buffer[] = []
  for (let i = 0; i < count; i++) {
    const bytes = batch(3, timeMs + i)
    log.append(bytes)
    out.push(Buffer.from(bytes))
  }
  await log.whenDurable(log.end)
  return out
}

export async function readAll(
  log: PartitionLog,
  from: number = log.start,
  upTo: number = log.durable,
): Promise<Buffer[]> {
  const out: Buffer[] = []
  for (let at = from; at < upTo;) {
    const found = await log.read(at as Offset, 4000, upTo as Offset)
    if (found.length === 0) throw new Error(`nothing at ${at}`)
    for (const bytes of found) {
      out.push(Buffer.from(bytes))
      const header = readBatchHeader(bytes)
      at = header.baseOffset + header.lastOffsetDelta + 1
    }
  }
  return out
}
