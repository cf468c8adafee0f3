import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { KeptMap } from '../../src/log/kept-map.ts'
import { openLocalLog } from '../../src/log/local/open.ts'

const topic = '_millrace_test'
const text = (value: Uint8Array | null): string | null => (value === null ? null : Buffer.from(value).toString())

test('what was changed is there after a restart, and what was forgotten is not', async () => {
  const world = { ...realWorld(), disk: memoryDisk() }
  const now = (): number => world.clock.now()
  let log = await openLocalLog({ world, dir: 'data' })
  let map = await KeptMap.open({ log, topic, now })
  assert.equal(map.size, 0)
  for (let i = 0; i < 50; i++) await map.change([{ key: `k${i % 10}`, value: Buffer.from(`v${i}`) }])
  await map.change([
    { key: 'k0', value: null },
    { key: 'other', value: Buffer.alloc(0) },
  ])
  assert.equal(text(map.get('k1')), 'v41')
  await log.close()
  log = await openLocalLog({ world, dir: 'data' })
  map = await KeptMap.open({ log, topic, now })
  assert.equal(map.get('k0'), null)
  assert.equal(text(map.get('k9')), 'v49')
  assert.equal(text(map.get('other')), '')
  assert.equal([...map.entries()].length, map.size)
  await log.close()
})
test('turns of one key follow one another, also behind one that failed; those of others do not wait', async () => {
  const world = { ...realWorld(), disk: memoryDisk() }
  const log = await openLocalLog({ world, dir: 'data' })
  const map = await KeptMap.open({ log, topic, now: () => 0 })
  const add = (key: string): Promise<void> =>
    map.turn(key, async () => {
      const count = Number(text(map.get(key)) ?? 0)
      await map.change([{ key, value: Buffer.from(String(count + 1)) }])
    })
  const failed = map.turn('a', () => Promise.reject(new Error('on purpose')))
  const many = Array.from({ length: 20 }, (_, i) => add(i % 2 === 0 ? 'a' : 'b'))
  await assert.rejects(failed, /on purpose/)
  await Promise.all(many)
  assert.equal(text(map.get('a')), '10')
  assert.equal(text(map.get('b')), '10')
  await log.close()
})
test('a change that the log refuses is not in the map', async () => {
  const world = { ...realWorld(), disk: memoryDisk() }
  const log = await openLocalLog({ world, dir: 'data' })
  const map = await KeptMap.open({ log, topic, now: () => 0 })
  await log.close()
  await assert.rejects(map.change([{ key: 'a', value: Buffer.from('1') }]))
  assert.equal(map.get('a'), null)
})
