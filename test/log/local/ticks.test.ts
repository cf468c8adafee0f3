import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../../src/lib/sim/world.ts'
import { Fault } from '../../../src/lib/fault.ts'
import { BatchWriter, decodeBatch } from '../../../src/log/batch.ts'
import { batchCrc, readBatchHeader } from '../../../src/store/batch-header.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { decodeTransactionState } from '../../../src/log/local/transactions/state-format.ts'
import type { World } from '../../../src/lib/world.ts'
import type { Claim } from '../../../src/log/log.ts'
import { at, batch, memoryLog, memoryWorld, off, produceOne, withTopic, textsBeforeStable } from './support.ts'

const everything = async (log: LocalLog): Promise<number> => {
  const topics = await log.topics.list()
  const partitions = topics.flatMap(({ name, partitions: count }) =>
    Array.from({ length: count }, (_, i) => at(name, i)),
  )
  return (await log.bounds(partitions)).reduce((sum, { end }) => sum + end, 0)
}
async function claimOf(log: LocalLog, group: string, topic: string): Promise<Claim> {
  const changes = log
    .join(group, { topics: [topic], warm: () => [] })
    .changes()
    [Symbol.asyncIterator]()
  const { value } = await changes.next()
  value!.accept()
  return value!.claim
}

test('an owner with nothing to do writes nothing', async () => {
  const log = await memoryLog()
  await withTopic(log)
  const owner = await log.owner()
  const before = await everything(log)
  for (let i = 0; i < 100; i++) assert.equal(await owner.begin().commit([]), 'committed')
  assert.equal(await everything(log), before)
  await owner.close()
  await log.close()
})
test('the commit record names every end and the input positions', async () => {
  const log = await memoryLog()
  await withTopic(log, 't', {}, 2)
  const claim = await claimOf(log, 'g', 't')
  const owner = await log.owner()
  const tick = owner.begin()
  await tick.append([
    { partition: at('t', 0), batch: batch(['a', 'b']) },
    { partition: at('t', 1), batch: batch(['c']) },
  ])
  await tick.commit([{ claim, positions: [{ partition: at('t', 1), offset: off(9) }] }])
  const [chunk] = await log.reader().read([{ partition: at('__transaction_state'), offset: off(0) }])
  assert.ok(chunk !== undefined && 'batches' in chunk)
  const { value } = decodeBatch(chunk.batches[0]!)[0]!
  const { ends, inputs, status } = decodeTransactionState(value!)
  assert.equal(status, 2)
  assert.deepEqual(
    ends.map(({ topic, index, last, end }) => [topic, index, last, end]),
    [
      ['t', 0, 0, 2],
      ['t', 1, 0, 1],
      ['__consumer_offsets', 0, 0, 1],
    ],
  )
  assert.deepEqual(inputs, [{ group: 'g', topic: 't', index: 1, offset: 9 }])
  await log.close()
})
test('a used-up epoch is followed by a new producer id', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const ids = new Set<number>()
  const near = await log.owner({ epoch: 0x7ffc })
  for (let i = 0; i < 6; i++) {
    const tick = near.begin()
    await tick.append([{ partition, batch: batch([String(i)]) }])
    assert.equal(await tick.commit([]), 'committed')
  }
  const [chunk] = await log.reader().read([{ partition, offset: off(0) }])
  assert.ok(chunk !== undefined && 'batches' in chunk)
  for (const one of chunk.batches) ids.add(Number(Buffer.from(one).readBigInt64BE(43)))
  assert.deepEqual(await textsBeforeStable(log, partition), ['0', '1', '2', '3', '4', '5'])
  assert.equal(ids.size, 2)
  await log.close()
})
test('a tick over its bytes is refused, and can be rolled back', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log, 't', { 'max.message.bytes': String(64 * 1024 * 1024) })
  const owner = await log.owner()
  const tick = owner.begin()
  const big = batch(['x'.repeat(63 * 1024 * 1024)])
  for (let i = 0; i < 4; i++) await tick.append([{ partition, batch: big }])
  await assert.rejects(
    tick.append([{ partition, batch: big }]),
    (error) => error instanceof Fault && error.code === 'wire.too-large',
  )
  assert.equal(await tick.commit([]), 'retry')
  await log.close()
})
test('what a dead owner left open ends when its partition is opened', async () => {
  const world = simulate(3)
  const log = await world.run(() => openLocalLog({ world, dir: '/data' }))
  await world.run(async () => {
    const partition = await withTopic(log)
    const tick = (await log.owner()).begin()
    await tick.append([{ partition, batch: batch(['never'], { timeMs: 1 }) }])
    await produceOne(log, partition, batch(['after'], { timeMs: 1 }))
    assert.deepEqual(await textsBeforeStable(log, partition), [])
  })
  world.kill()
  await world.run(async () => {
    const again = await openLocalLog({ world, dir: '/data' })
    const partition = at('t')
    assert.deepEqual(await textsBeforeStable(again, partition), ['after'])
    await again.close()
  })
})
test('files of a topic removed just before a crash are gone after it', async () => {
  for (let died = 0; died < 40; died++) {
    const world = simulate(died)
    let log = await world.run(() => openLocalLog({ world, dir: '/data' }))
    await world.run(async () => produceOne(log, await withTopic(log), batch(['x'], { timeMs: 1 })))
    const from = world.disk.calls + died
    world.disk.plan = ({ number }) => (number >= from ? { code: 'power' } : null)
    log.topics.remove(['t']).catch(() => undefined)
    await world.advance(100)
    world.disk.plan = null
    world.powerCut()
    log = await world.run(() => openLocalLog({ world, dir: '/data' }))
    const named = world.disk.list('/data/topics').filter((name) => name.startsWith('t~'))
    // A folder without anything in it may stay.
    const folders = named.filter((name) => world.disk.list(`/data/topics/${name}`).length > 0)
    assert.equal(folders.length, log.catalog.byName('t') === null ? 0 : 1, `died at call ${died}`)
    if (log.catalog.byName('t') !== null)
      assert.deepEqual(await world.run(() => textsBeforeStable(log, at('t'))), ['x'])
    await world.run(() => log.close())
  }
})
test('a closed log refuses everything, and those who wait are told', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const reading = log.reader().read([{ partition, offset: off(0) }], { ms: 60_000 })
  reading.catch(() => undefined)
  const closed = (error: unknown): boolean => error instanceof Fault && error.code === 'log.closed'
  await log.close()
  await assert.rejects(reading, closed)
  await assert.rejects(log.owner(), closed)
  await assert.rejects(log.initProducer(), closed)
  assert.throws(() => log.join('g', { topics: [], warm: () => [] }), closed)
  const answer = await produceOne(log, partition, batch(['x']))
  assert.ok('fault' in answer && answer.fault.code === 'log.closed')
  await log.close()
})
/** Another bit at a byte of the first segment of a topic. */
function damage(world: World, topic: string, position: number): void {
  const folder = world.disk.list('/data/topics').find((name) => name.startsWith(topic))!
  const file = world.disk.open(`/data/topics/${folder}/0/00000000000000000000.log`, 'write')
  const byte = Buffer.alloc(1)
  file.read(byte, position)
  byte[0]! ^= 1
  file.write([byte], position)
  file.close()
}
test('damage in a topic that the last tick wrote to leaves the others served', async () => {
  const world = memoryWorld()
  {
    const log = await openLocalLog({ world, dir: '/data' })
    await withTopic(log, 'broken')
    await withTopic(log, 'whole')
    const owner = await log.owner()
    const tick = owner.begin()
    await tick.append([
      { partition: at('broken'), batch: batch(['a']) },
      { partition: at('whole'), batch: batch(['b']) },
    ])
    assert.equal(await tick.commit([]), 'committed')
    await log.close()
  }
  damage(world, 'broken', 65)
  const log = await openLocalLog({ world, dir: '/data' })
  assert.deepEqual(await textsBeforeStable(log, at('whole')), ['b'])
  const [chunk] = await log.reader().read([{ partition: at('broken'), offset: off(0) }])
  assert.ok(chunk !== undefined && 'fault' in chunk && chunk.fault.code === 'store.damaged')
  const owner = await log.owner()
  const tick = owner.begin()
  await tick.append([{ partition: at('whole'), batch: batch(['c']) }])
  assert.equal(await tick.commit([]), 'committed')
  assert.deepEqual(await textsBeforeStable(log, at('whole')), ['b', 'c'])
  await log.close()
})
test('damage in a topic that the log needs stops the start with a word about it', async () => {
  const world = memoryWorld()
  const log = await openLocalLog({ world, dir: '/data' })
  await withTopic(log)
  await withTopic(log, 'u')
  await log.close()
  damage(world, '_millrace_catalog', 70)
  await assert.rejects(
    openLocalLog({ world, dir: '/data' }),
    (error) => error instanceof Fault && error.code === 'store.damaged',
  )
})
test('a batch that was handed over is right wherever it is appended, also again after its tick was rolled back', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const owner = await log.owner()
  const writer = new BatchWriter(5)
  for (const value of ['one', 'two']) {
    writer.key(3).raw(Buffer.from('key'))
    writer.value().raw(Buffer.from(value))
    writer.end(false)
  }
  const bytes = writer.done()
  for (const ends of ['abort', 'commit', 'commit']) {
    const tick = owner.begin()
    await tick.append([{ partition, batch: bytes }])
    if (ends === 'abort') await tick.abort()
    else assert.equal(await tick.commit([]), 'committed')
  }
  assert.deepEqual(await textsBeforeStable(log, partition), ['one', 'two', 'one', 'two'])
  const [chunk] = await log.reader().read([{ partition, offset: off(0) }])
  assert.ok(chunk !== undefined && 'batches' in chunk && chunk.batches.length > 0)
  for (const one of chunk.batches) assert.equal(readBatchHeader(one).crc, batchCrc(one))
  await log.close()
})
test('a tick takes no batch whose checksum is wrong', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const owner = await log.owner()
  const wrong = Buffer.from(batch(['x']))
  wrong[wrong.length - 1]! ^= 1
  await assert.rejects(owner.begin().append([{ partition, batch: wrong }]), { code: 'log.corrupt-batch' })
  await log.close()
})
