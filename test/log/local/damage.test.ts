/** Damage below the durable end: read-only up to it, a clear fault past it, the rest of the log goes on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { faults } from '../../../src/lib/fault.ts'
import type { World } from '../../../src/lib/world.ts'
import { decodeBatch } from '../../../src/log/batch.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import type { Partition } from '../../../src/log/log.ts'
import { readBatchHeader } from '../../../src/store/batch-header.ts'
import { openStore } from '../../../src/store/open.ts'
import { at, batch, memoryWorld, off, produceOne, said, withTopic } from './support.ts'

const dir = '/data'
async function open(world: World): Promise<LocalLog> {
  return openLocalLog({ world, dir, store: await openStore({ world, dir, hotBytes: 0 }) })
}
/** Flips a bit in the batch that holds an offset. */
function damage(world: World, topic: string, offset: number): void {
  const folder = world.disk.list(`${dir}/topics`).find((name) => name.startsWith(`${topic}~`))!
  const file = world.disk.open(`${dir}/topics/${folder}/0/00000000000000000000.log`, 'write')
  const bytes = Buffer.alloc(file.size())
  file.read(bytes, 0)
  for (let position = 0; position < bytes.length;) {
    const header = readBatchHeader(bytes, position)
    if (header.baseOffset + header.lastOffsetDelta >= offset) {
      bytes[position + 60]! ^= 1
      file.write([bytes.subarray(position + 60, position + 61)], position + 60)
      file.close()
      return
    }
    position += header.bytes
  }
  assert.fail(`no offset ${offset}`)
}
/** Values up to the end or a fault, and the fault. */
async function read(log: LocalLog, partition: Partition): Promise<{ values: string[]; fault: string | null }> {
  const values: string[] = []
  for (let offset = off(0); ;) {
    const [chunk] = await log.reader({ maxBytes: 1 }).read([{ partition, offset }])
    assert.ok(chunk !== undefined)
    if ('fault' in chunk) return { values, fault: chunk.fault.code }
    if (chunk.next === offset) return { values, fault: null }
    for (const one of chunk.batches) values.push(Buffer.from(decodeBatch(one)[0]!.value!).toString())
    offset = chunk.next
  }
}

for (const finder of ['a reader', 'the partition being opened'] as const)
  test(`damage that ${finder} comes upon closes the partition for appends, also after a restart`, async () => {
    const world = memoryWorld()
    let log = await open(world)
    const [bad, good] = [await withTopic(log, 'bad'), await withTopic(log, 'good')]
    const { producerId } = await log.initProducer()
    for (let i = 0; i < 10; i++)
      for (const partition of [bad, good])
        assert.equal(said(await produceOne(log, partition, batch([`${i}`], { producerId, sequence: i }))), i)
    // While the log is open its headers are known; when it is opened they are read.
    if (finder === 'a reader') damage(world, 'bad', 4)
    else {
      await log.close()
      damage(world, 'bad', 4)
      log = await open(world)
    }
    for (let start = 0; start < 3; start++) {
      assert.deepEqual(await read(log, bad), { values: ['0', '1', '2', '3'], fault: 'store.damaged' }, `start ${start}`)
      assert.equal(said(await produceOne(log, bad, batch(['x'], { producerId, sequence: 10 }))), 'store.damaged')
      const [appended] = await log.writer().append([{ partition: bad, batch: batch(['x']) }])
      assert.ok('fault' in appended! && appended.fault.code === 'store.damaged')
      const tick = (await log.owner()).begin()
      await assert.rejects(tick.append([{ partition: bad, batch: batch(['x']) }]), { code: 'store.damaged' })
      assert.equal(await tick.commit([]), 'retry')
      assert.equal(said(await produceOne(log, good, batch(['x'], { producerId, sequence: 10 + start }))), 10 + start)
      assert.equal((await log.bounds([bad]))[0]!.end, 10)
      assert.deepEqual(
        log.recovery.damaged.map(({ code }) => code),
        ['store.damaged'],
      )
      await log.close()
      log = await open(world)
    }
    await log.close()
    assert.equal(faults['store.damaged'].kafka, 56, 'KAFKA_STORAGE_ERROR')
  })

for (const isNewest of [true, false])
  test(`whether a tick was committed behind damage is ${isNewest ? 'asked of its record' : 'not guessed'}`, async () => {
    const world = memoryWorld()
    let log = await open(world)
    const [partition, other] = [await withTopic(log), await withTopic(log, 'other')]
    await produceOne(log, partition, batch(['before']))
    const owner = await log.owner()
    // Of each owner the newest record is kept.
    for (const to of isNewest ? [partition] : [partition, other]) {
      const tick = owner.begin()
      await tick.append([{ partition: to, batch: batch(['tick']) }])
      assert.equal(await tick.commit([]), 'committed')
      // With its marker durable nothing else repeats that it was committed.
      await produceOne(log, partition, batch(['after']))
    }
    await log.close()
    // The marker.
    damage(world, 't', 2)
    log = await open(world)
    const values = isNewest ? ['before', 'tick'] : ['before']
    assert.deepEqual(await read(log, partition), { values, fault: 'store.damaged' })
    await log.close()
  })

test('a start does not wait for markers that damage keeps from being written', async () => {
  const world = memoryWorld()
  const first = await open(world)
  const [bad, good] = [await withTopic(first, 'bad'), await withTopic(first, 'good')]
  await produceOne(first, bad, batch(['before']))
  const tick = (await first.owner()).begin()
  for (const partition of [bad, good]) await tick.append([{ partition, batch: batch(['tick']) }])
  assert.equal(await tick.commit([]), 'committed')
  await first.close()
  damage(world, 'bad', 0)
  const log = await open(world)
  assert.deepEqual(await read(log, bad), { values: [], fault: 'store.damaged' })
  assert.deepEqual(await read(log, good), { values: ['tick'], fault: null })
  assert.deepEqual(await read(log, at('good')), { values: ['tick'], fault: null })
  await log.close()
})
