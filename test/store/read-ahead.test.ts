import assert from 'node:assert/strict'
import type { Offset } from '../../src/lib/brand.ts'
import { BufferPool } from '../../src/lib/buffer-pool.ts'
import { readBatchHeader } from '../../src/store/batch-header.ts'
import type { PartitionLog } from '../../src/store/store.ts'
import type { Disk, World } from '../../src/lib/world.ts'
import { openStore } from '../../src/store/open.ts'
import { batch, config, onEachDisk, type Place } from './support.ts'

const at = (offset: number): Offset => offset as Offset
const batches = 200
const recordsEach = 3

/** A store of one partition, all of it on disk and little in memory, and the positions that are read from now on. */
async function written({ world, dir }: Place): Promise<{
  log: PartitionLog
  pool: BufferPool
  sizes: number
  readAt: number[]
  close: () => Promise<void>
}> {
  const readAt: number[] = []
  const open: Disk['open'] = (path, mode) => {
    const file = world.disk.open(path, mode)
    const readLater = file.readLater.bind(file)
    file.readLater = (target, position) => {
      if (path.endsWith('.log')) readAt.push(position)
      return readLater(target, position)
    }
    return file
  }
  const disk = new Proxy(world.disk, {
    get: (of, name: keyof Disk) => (name === 'open' ? open : of[name].bind(of)),
  })
  const { clock, random, net } = world
  const counted: World = { clock, random, net, disk }
  const pool = new BufferPool(1e6, { wipes: true })
  const store = await openStore({ world: counted, dir, hotBytes: 1000, pool })
  const log = store.partition('orders~1/0', { ...config, segmentBytes: 1e9 })
  let sizes = 0
  for (let i = 0; i < batches; i++) {
    const bytes = batch(recordsEach)
    sizes = bytes.length
    log.append(bytes)
  }
  await log.whenDurable(log.end)
  return { log, pool, sizes, readAt, close: () => store.close() }
}
const firstOf = (buffers: readonly Uint8Array[]): number => readBatchHeader(buffers[0]!).baseOffset
const endOf = (buffers: readonly Uint8Array[]): Offset => {
  const { baseOffset, lastOffsetDelta } = readBatchHeader(buffers.at(-1)!)
  return at(baseOffset + lastOffsetDelta + 1)
}
const aMoment = (world: World): Promise<void> => world.clock.sleep(20)

onEachDisk(
  'what a reader wants next is read before it asks, once, and it gets all there is in order',
  async (place) => {
    const { log, sizes, readAt, close } = await written(place)
    let next = at(0)
    let reads = 0
    let seen = 0
    while (next < log.durable) {
      const { buffers, release } = await log.lend(next, 10 * sizes, log.durable)
      await aMoment(place.world)
      reads++
      if (reads >= 2 && next < 300) assert.equal(readAt.length, reads + 1, 'the next piece is there')
      for (const one of buffers) {
        assert.equal(readBatchHeader(one).baseOffset, seen)
        seen += recordsEach
      }
      next = endOf(buffers)
      release()
    }
    assert.equal(seen, batches * recordsEach)
    assert.equal(new Set(readAt).size, readAt.length, 'nothing was read twice')
    await close()
  },
)

onEachDisk('who wants less than was read ahead gets less, and nothing past its limit', async (place) => {
  const { log, sizes, close } = await written(place)
  const first = await log.lend(at(0), 10 * sizes, log.durable)
  const second = await log.lend(endOf(first.buffers), 10 * sizes, log.durable)
  const from = endOf(second.buffers)
  const third = await log.lend(from, 4 * sizes, log.durable)
  assert.equal(firstOf(third.buffers), from)
  assert.equal(third.buffers.length, 4)
  const fourth = await log.lend(endOf(third.buffers), 4 * sizes, log.durable)
  const limit = at(endOf(fourth.buffers) + 2 * recordsEach)
  const fifth = await log.lend(endOf(fourth.buffers), 4 * sizes, limit)
  assert.equal(endOf(fifth.buffers), limit)
  await close()
})

onEachDisk('readers that jump are not read ahead for', async (place) => {
  const { log, sizes, readAt, close } = await written(place)
  for (const from of [0, 300, 30, 150, 90]) (await log.lend(at(from), 2 * sizes, log.durable)).release()
  await aMoment(place.world)
  assert.equal(readAt.length, 5)
  await close()
})

onEachDisk('what was read ahead is given back when nobody comes for it', async (place) => {
  const { log, pool, sizes, readAt, close } = await written(place)
  const first = await log.lend(at(0), 10 * sizes, log.durable)
  const second = await log.lend(endOf(first.buffers), 10 * sizes, log.durable)
  await aMoment(place.world)
  assert.equal(readAt.length, 3)
  first.release()
  second.release()
  const before = pool.idleBytes
  await close()
  await aMoment(place.world)
  assert.ok(pool.idleBytes > before)
})
