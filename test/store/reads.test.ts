import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../src/lib/limits.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { Disk, File } from '../../src/lib/world.ts'
import type { Offset } from '../../src/lib/brand.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { openStore } from '../../src/store/open.ts'
import { config } from './support.ts'

test('of a thousand readers at once only some wait for the disk, and hold memory for it', async () => {
  const disk = memoryDisk()
  const counts = { now: 0, most: 0 }
  const slow = (file: File): File =>
    new Proxy(file, {
      get(target, name) {
        const value: unknown = Reflect.get(target, name, target)
        if (typeof value !== 'function') return value
        if (name !== 'readLater') return value.bind(target) as unknown
        return async (into: Uint8Array, position: number): Promise<number> => {
          counts.most = Math.max(counts.most, ++counts.now)
          await new Promise((resolve) => setImmediate(resolve))
          counts.now--
          return target.readLater(into, position)
        }
      },
    })
  const slowDisk: Disk = new Proxy(disk, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      if (name !== 'open') return value.bind(target) as unknown
      return (...args: Parameters<Disk['open']>): File => slow(target.open(...args))
    },
  })
  const store = await openStore({ world: { ...realWorld(), disk: slowDisk }, dir: '/data', hotBytes: 0 })
  const log = store.partition('t', { ...config, segmentBytes: 1e9 })
  for (let i = 0; i < 100; i++) log.append(encodeBatch([{ key: null, value: Buffer.alloc(1000, i), timeMs: 1 }]))
  await log.whenDurable(log.end)
  const readers = Array.from({ length: 1000 }, (_, i) => log.read((i % 100) as Offset, 1, log.end))
  const found = await Promise.all(readers)
  assert.ok(found.every((batches) => batches.length === 1))
  assert.ok(counts.most > 1 && counts.most <= limits.storeReads, `${counts.most}`)
  await store.close()
})
