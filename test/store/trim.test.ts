import assert from 'node:assert/strict'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { offset } from '../../src/lib/brand.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import type { Disk } from '../../src/lib/world.ts'
import { openStore } from '../../src/store/open.ts'
import { config, fill } from './support.ts'

const name = 'orders~1/0'

for (const at of [30, 400])
  test(`what a trim to ${at} that could not be synced has done is what a start after a kill finds`, async () => {
    const folder = mkdtempSync(join(tmpdir(), 'millrace-trim-'))
    try {
      const { disk, ...world } = realWorld()
      let failing = false
      // Names are changed, and then nobody knows whether that is on the disk.
      const failingDisk: Disk = new Proxy(disk, {
        get(target, method) {
          const value: unknown = Reflect.get(target, method, target)
          if (typeof value !== 'function') return value
          if (method !== 'syncDirectory') return value.bind(target) as unknown
          return (path: string): Promise<void> =>
            failing ? Promise.reject(Object.assign(new Error('EIO'), { code: 'EIO' })) : target.syncDirectory(path)
        },
      })
      const dir = join(folder, 'data')
      const store = await openStore({ world: { ...world, disk: failingDisk }, dir })
      const log = store.partition(name, config)
      await fill(log, 200)
      failing = true
      await assert.rejects(log.trim(offset(at)), { code: 'store.failed' })
      failing = false
      const seen = log.start
      const copy = join(folder, 'after')
      cpSync(dir, copy, { recursive: true, filter: (path) => !path.endsWith('/lock') })
      const again = await openStore({ world: realWorld(), dir: copy })
      assert.equal(again.partition(name, config).start, seen)
      await again.close()
      // Asked for again it is done as a whole: it may not be answered before it is durable.
      failing = true
      await assert.rejects(log.trim(offset(at)), { code: 'store.failed' })
      failing = false
      await log.trim(offset(at))
      assert.equal(log.start, at)
      await log.trim(offset(at + 1))
      assert.equal(log.start, at + 1)
      await store.close()
    } finally {
      rmSync(folder, { recursive: true, force: true })
    }
  })
