import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../../src/lib/limits.ts'
import { openStore } from '../../../src/store/open.ts'
import type { Store } from '../../../src/store/store.ts'
import { at, memoryLog, memoryWorld } from './support.ts'

const large: number = limits.partitionsPerTopic
const spec = (name: string, partitions = large) => ({ name, partitions })

test('partitions are bounded over all topics, also those that are being made', async () => {
  const log = await memoryLog()
  const own = (await log.topics.list()).reduce((sum, { partitions }) => sum + partitions, 0)
  const fits = Math.floor((limits.partitions - own - 10) / large)
  const asked = Array.from({ length: fits + 3 }, (_, i) => spec(`t${i}`))
  const codes = (await log.topics.create(asked)).map((fault) => fault?.code ?? 'made')
  assert.equal(codes.filter((code) => code === 'made').length, fits)
  assert.equal(codes.filter((code) => code === 'log.invalid-partitions').length, 3)
  await log.topics.create([spec('small', 1)])
  await assert.rejects(log.topics.alter('small', { partitions: large }), { code: 'log.invalid-partitions' })
  assert.equal(log.checkAlter('small', { partitions: large })?.code, 'log.invalid-partitions')
  await log.topics.alter('small', { config: { 'retention.ms': '5' } })
  assert.deepEqual(await log.topics.remove(['t0']), [null])
  await log.topics.alter('small', { partitions: large })
  assert.equal((await log.topics.create([spec('again')]))[0]?.code, 'log.invalid-partitions')
  await log.close()
})

test('who asks for the leaders of all partitions opens none of them', async () => {
  const world = memoryWorld()
  const real = await openStore({ world, dir: '/data' })
  const opened: string[] = []
  const store: Store = new Proxy(real, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name, target)
      if (typeof value !== 'function') return value
      return (...args: unknown[]): unknown => {
        if (name === 'partition') opened.push(String(args[0]))
        return (value as (...given: unknown[]) => unknown).apply(target, args)
      }
    },
  })
  const log = await memoryLog({ world, store })
  await log.topics.create([spec('wide')])
  opened.length = 0
  for (let index = 0; index < large; index++) assert.equal(log.leaderEpoch(at('wide', index)), real.leaderEpoch)
  assert.throws(() => log.leaderEpoch(at('wide', large)), { code: 'log.unknown-partition' })
  assert.deepEqual(opened, [])
  await log.close()
})
