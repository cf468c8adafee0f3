import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Offset } from '../../src/lib/brand.ts'
import type { Disk, DiskError, File } from '../../src/lib/world.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { openStore } from '../../src/store/open.ts'
import type { PartitionLog } from '../../src/store/store.ts'
import { afterKill, batch, config, fileBytes, inTemporary, onEachDisk, overwrite, readAll } from './support.ts'

const large = { ...config, segmentBytes: 10_000_000 }
const first = 'topics/orders~1/0/00000000000000000000.log'

/** Small batches, each written before the next is appended. */
async function trickle(log: PartitionLog, count: number): Promise<Buffer[]> {
  const out: Buffer[] = []
  for (let i = 0; i < count; i++) {
    const bytes = batch(3, 1_700_000_000_000 + i)
    log.append(bytes)
    out.push(Buffer.from(bytes))
    await log.whenWritten(log.end)
  }
  await log.whenDurable(log.end)
  return out
}
const bytesOf = (batches: readonly Buffer[]): number => batches.reduce((sum, each) => sum + each.length, 0)

onEachDisk('many small writes: zeros are written ahead, and taken back at a clean stop', async (place) => {
  const { roomBytes } = place.world.disk
  const store = await place.open()
  const log = store.partition('orders~1/0', large)
  const batches = await trickle(log, 31)
  assert.equal(fileBytes(place, first).length, bytesOf(batches), 'few writes: nothing ahead')
  batches.push(...(await trickle(log, 1)))
  const written = fileBytes(place, first)
  assert.equal(written.length, bytesOf(batches) + roomBytes)
  assert.ok(written.subarray(bytesOf(batches)).equals(Buffer.alloc(roomBytes)))
  assert.equal(log.sizeBytes, bytesOf(batches), 'it is not counted')
  batches.push(...(await trickle(log, 3)))
  if (roomBytes > 0) assert.equal(fileBytes(place, first).length, written.length, 'written over, not made longer')
  assert.deepEqual(await readAll(log), batches)
  await store.close()
  assert.equal(fileBytes(place, first).length, bytesOf(batches))
  const again = await place.open()
  const more = again.partition('orders~1/0', large)
  assert.equal(again.recovery.clean, true)
  batches.push(...(await trickle(more, 2)))
  assert.deepEqual(await readAll(more), batches)
  assert.equal(more.sizeBytes, bytesOf(batches))
  await again.close()
})

onEachDisk('large writes have nothing ahead of them', async (place) => {
  const store = await place.open()
  const log = store.partition('orders~1/0', large)
  for (let i = 0; i < 40; i++) {
    log.append(batch(2, 1_700_000_000_000 + i, 9_000))
    await log.whenDurable(log.end)
  }
  assert.equal(fileBytes(place, first).length, log.sizeBytes)
  await store.close()
})

onEachDisk('a segment that is followed by another has nothing behind its end', async (place) => {
  const store = await place.open()
  const log = store.partition('orders~1/0', config)
  const batches = await trickle(log, 60)
  const folder = `${place.dir}/topics/orders~1/0`
  const files = place.world.disk.list(folder).filter((name) => name.endsWith('.log'))
  assert.ok(files.length > 1)
  const sealed = files.slice(0, -1).map((name) => fileBytes(place, `topics/orders~1/0/${name}`))
  assert.deepEqual(Buffer.concat(sealed), Buffer.concat(batches).subarray(0, bytesOf(sealed)))
  await store.close()
})

afterKill('zeros behind the end are no torn tail, and the file ends before them', async (place, kill) => {
  const store = await place.open()
  const batches = await trickle(store.partition('orders~1/0', large), 40)
  assert.ok(fileBytes(place, first).length > bytesOf(batches))
  const after = kill()
  const again = await after.open()
  assert.equal(again.recovery.clean, false)
  assert.deepEqual(again.recovery.torn, [])
  assert.deepEqual(again.recovery.damaged, [])
  const log = again.partition('orders~1/0', large)
  assert.equal(fileBytes(after, first).length, bytesOf(batches))
  batches.push(...(await trickle(log, 40)))
  assert.deepEqual(await readAll(log), batches)
  await again.close()
})

afterKill('zeros where something durable was are damage', async (place, kill) => {
  const store = await place.open()
  const batches = await trickle(store.partition('orders~1/0', large), 40)
  const after = kill()
  const last = batches.at(-1)!.length
  overwrite(after, first, bytesOf(batches) - last, Buffer.alloc(last))
  const length = fileBytes(after, first).length
  const again = await after.open()
  assert.equal(again.recovery.damaged.length, 1)
  assert.equal(fileBytes(after, first).length, length, 'nothing of it is touched')
  await again.close()
})

/** The real disk, on which writes of zeros alone, or syncs, fail. */
function failing(what: () => 'zeros' | 'sync' | null, touched: string[]): Disk {
  const { disk } = realWorld()
  const error = (code: string): DiskError => Object.assign(new Error(code), { code })
  return {
    ...disk,
    open(path, mode) {
      const file = disk.open(path, mode)
      if (!path.endsWith('.log') || path.endsWith('synced.log')) return file
      return new Proxy(file, {
        get(target: File, name: keyof File) {
          if (name === 'write')
            return (buffers: readonly Uint8Array[], position: number) => {
              if (what() === 'zeros' && buffers[0]![16] === 0) throw error('ENOSPC')
              target.write(buffers, position)
            }
          if (name === 'truncate')
            return (size: number) => {
              touched.push(path)
              target.truncate(size)
            }
          if (name === 'datasync' && what() === 'sync') return () => Promise.reject(error('EIO'))
          const found = target[name]
          return typeof found === 'function' ? found.bind(target) : found
        },
      })
    },
  }
}

test('no space for zeros: what is written before them is taken all the same', () =>
  inTemporary(async (place) => {
    const disk = failing(() => 'zeros', [])
    const store = await openStore({ world: { ...place.world, disk }, dir: place.dir })
    const log = store.partition('orders~1/0', large)
    const batches = await trickle(log, 80)
    assert.deepEqual(await readAll(log), batches)
    assert.equal(fileBytes(place, first).length, bytesOf(batches))
    await store.close()
  }))

test('a file whose sync has failed keeps its zeros: nothing is done to it', () =>
  inTemporary(async (place) => {
    let fails = false
    const touched: string[] = []
    const disk = failing(() => (fails ? 'sync' : null), touched)
    const store = await openStore({ world: { ...place.world, disk }, dir: place.dir, onFault: () => {} })
    const log = store.partition('orders~1/0', large)
    const batches = await trickle(log, 40)
    fails = true
    log.append(batch(3))
    await assert.rejects(log.whenDurable(log.end), { code: 'store.failed' })
    fails = false
    while (log.end === (120 as Offset)) {
      try {
        batches.push(...(await trickle(log, 1)))
      } catch {
        await place.world.clock.sleep(20)
      }
    }
    assert.deepEqual(await readAll(log), batches)
    await store.close()
    assert.deepEqual(
      touched.filter((path) => path.endsWith(first)),
      [],
    )
  }))
