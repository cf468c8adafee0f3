import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../../src/lib/sim/world.ts'
import { readBatchHeader } from '../../../src/store/batch-header.ts'
import type { FetchAnswer } from '../../../src/log/broker.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import type { Partition } from '../../../src/log/log.ts'
import { at, batch, memoryLog, memoryWorld, off, produceOne, said, withTopic } from './support.ts'

const never = new AbortController().signal
async function fetchOne(
  log: LocalLog,
  partition: Partition,
  offset: number,
  how: { committedOnly?: boolean; maxBytes?: number; minBytes?: number; maxWaitMs?: number; leaderEpoch?: number } = {},
): Promise<FetchAnswer> {
  const { committedOnly = false, maxBytes = 1_000_000, minBytes = 0, maxWaitMs = 0, leaderEpoch = -1 } = how
  const entries = [{ partition, offset: off(offset), maxBytes, leaderEpoch }]
  const [answer] = await log.fetch({ entries, committedOnly, maxBytes, minBytes, maxWaitMs }, never)
  return answer!
}
/** First offsets of the batches. */
function offsetsOf(bytes: Uint8Array): number[] {
  const found: number[] = []
  for (let rest = bytes; rest.length > 0; rest = rest.subarray(readBatchHeader(rest).bytes))
    found.push(readBatchHeader(rest).baseOffset)
  return found
}
const bytesOf = (answer: FetchAnswer): number => answer.records.reduce((sum, { length }) => sum + length, 0)

test('a producer that repeats is answered again, after a restart too', async () => {
  const world = memoryWorld()
  let log = await openLocalLog({ world, dir: '/data' })
  const partition = await withTopic(log)
  const { producerId } = await log.initProducer()
  const send = (sequence: number): Promise<number | string> =>
    produceOne(log, partition, batch(['x', 'y'], { producerId, sequence })).then(said)
  assert.deepEqual([await send(0), await send(2), await send(0), await send(6)], [0, 2, 0, 'log.out-of-order-sequence'])
  await log.close()
  log = await openLocalLog({ world, dir: '/data' })
  assert.deepEqual([await send(0), await send(2), await send(4)], [0, 2, 4])
  assert.notEqual((await log.initProducer()).producerId, producerId)
  const [bounds] = await log.bounds([partition])
  assert.equal(bounds!.end, 6)
  await log.close()
})
test('batches sent at once keep their order, whatever has to be opened first', async () => {
  const world = memoryWorld()
  let log = await openLocalLog({ world, dir: '/data' })
  await withTopic(log)
  await log.close()
  log = await openLocalLog({ world, dir: '/data' })
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, i) => produceOne(log, at('t'), batch([String(i)], { producerId: 5, sequence: i }))),
  )
  assert.deepEqual(
    answers.map(said),
    Array.from({ length: 20 }, (_, i) => i),
  )
  await log.close()
})
test('one request to many partitions is answered per partition, in its order', async () => {
  const log = await memoryLog()
  await withTopic(log, 't', {}, 2)
  const answers = await log.produce({
    acks: 'leader',
    transactionalId: null,
    entries: [at('t', 1), at('nope'), at('t', 9), at('t', 0)].map((partition) => ({
      partition,
      records: batch(['x']),
    })),
  })
  assert.deepEqual(answers.map(said), [0, 'log.unknown-topic', 'log.unknown-partition', 0])
  await log.close()
})
test('a fetch waits for minBytes, no longer than maxWait, and is woken by what comes', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const began = performance.now()
  const nothing = await fetchOne(log, partition, 0, { minBytes: 1, maxWaitMs: 100 })
  assert.ok(performance.now() - began >= 90)
  assert.deepEqual([nothing.fault, nothing.highWatermark, nothing.records.length], [null, 0, 0])
  const waiting = fetchOne(log, partition, 0, { minBytes: 1, maxWaitMs: 60_000 })
  await produceOne(log, partition, batch(['x']), 'none')
  assert.equal((await waiting).highWatermark, 1)
  const one = batch(['y']).length
  const both = fetchOne(log, partition, 1, { minBytes: 2 * one, maxWaitMs: 60_000 })
  await produceOne(log, partition, batch(['y']))
  await produceOne(log, partition, batch(['y']))
  assert.equal(bytesOf(await both), 2 * one)
  const aborted = new AbortController()
  const entries = [{ partition, offset: off(3), maxBytes: 100, leaderEpoch: -1 }]
  const cut = log.fetch(
    { entries, committedOnly: false, maxBytes: 100, minBytes: 1, maxWaitMs: 60_000 },
    aborted.signal,
  )
  aborted.abort()
  assert.equal((await cut)[0]!.records.length, 0)
  await log.close()
})
test('a fetch keeps to its limits, but always brings one batch', async () => {
  const log = await memoryLog()
  await withTopic(log, 't', {}, 2)
  for (const index of [0, 1])
    for (let i = 0; i < 5; i++) await produceOne(log, at('t', index), batch(['x'.repeat(500)]))
  const one = batch(['x'.repeat(500)]).length
  const entries = [0, 1].map((index) => ({ partition: at('t', index), offset: off(0), maxBytes: 10, leaderEpoch: -1 }))
  const request = { entries, committedOnly: false, maxBytes: 3 * one, minBytes: 1, maxWaitMs: 0 }
  assert.deepEqual((await log.fetch(request, never)).map(bytesOf), [one, 0])
  const wide = entries.map((entry) => ({ ...entry, maxBytes: 2 * one + 5 }))
  const sizes = (await log.fetch({ ...request, entries: wide }, never)).map(bytesOf)
  assert.deepEqual(sizes, [2 * one, one])
  await log.close()
})
test('offsets and leader epochs outside are faults', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  await produceOne(log, partition, batch(['x']))
  const codes: (string | undefined)[] = []
  for (const [offset, leaderEpoch] of [
    [2, -1],
    [-1, -1],
    [1, -1],
    [0, 99],
    [0, log.leaderEpoch(partition)],
  ] as const)
    codes.push((await fetchOne(log, partition, offset, { leaderEpoch })).fault?.code)
  assert.deepEqual(codes, [
    'log.offset-out-of-range',
    'log.offset-out-of-range',
    undefined,
    'log.unknown-leader-epoch',
    undefined,
  ])
  assert.equal((await fetchOne(log, at('nope'), 0)).fault?.code, 'log.unknown-topic')
  await log.close()
})
test('a committed fetch stops at the stable offset and lists what was aborted', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const owner = await log.owner()
  const aborted = owner.begin()
  await aborted.append([{ partition, batch: batch(['a', 'b']) }])
  await produceOne(log, partition, batch(['between']))
  await aborted.abort()
  const open = owner.begin()
  await open.append([{ partition, batch: batch(['open']) }])
  await produceOne(log, partition, batch(['after']))
  const committed = await fetchOne(log, partition, 0, { committedOnly: true })
  assert.deepEqual([committed.stable, committed.highWatermark], [4, 6])
  assert.equal(readBatchHeader(committed.records.at(-1)!).baseOffset <= 3, true)
  assert.deepEqual(committed.aborted, [{ producerId: committed.aborted[0]?.producerId, firstOffset: 0 }])
  const all = await fetchOne(log, partition, 0)
  assert.deepEqual([bytesOf(all) > bytesOf(committed), all.aborted], [true, []])
  assert.equal(await open.commit([]), 'committed')
  assert.equal((await fetchOne(log, partition, 4, { committedOnly: true })).aborted.length, 0)
  await log.close()
})
test('what was aborted is shown together with the marker that says so', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const owner = await log.owner()
  for (let position = 0; position < 40; position += 2) {
    const tick = owner.begin()
    await tick.append([{ partition, batch: batch(['a']) }])
    // Durable before it ends, so that its marker alone is still to come.
    await fetchOne(log, partition, position, { minBytes: 1, maxWaitMs: 5_000 })
    const waiting = fetchOne(log, partition, position, { committedOnly: true, minBytes: 1, maxWaitMs: 5_000 })
    await Promise.all([tick.abort(), waiting])
    const { records, aborted, stable } = await waiting
    const offsets = records.flatMap(offsetsOf)
    assert.deepEqual([offsets, aborted.length, stable], [[position, position + 1], 1, position + 2])
  }
  await log.close()
})
test('offsets are listed by place and by time', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const base = Date.now() - 1000
  for (const times of [
    [10, 40, 20],
    [30, 25],
  ]) {
    for (const ms of times) await produceOne(log, partition, batch([String(ms)], { timeMs: base + ms }))
  }
  const list = async (timeMs: number): Promise<unknown> => {
    const [answer] = await log.listOffsets([{ partition, timeMs }], false)
    return 'fault' in answer! ? answer.fault.code : [answer!.offset, answer!.timeMs < 0 ? -1 : answer!.timeMs - base]
  }
  assert.deepEqual(await list(-1), [5, -1])
  assert.deepEqual(await list(-2), [0, -1])
  assert.deepEqual(await list(-3), [1, 40])
  assert.deepEqual(await list(base + 11), [1, 40])
  assert.deepEqual(await list(base + 41), [-1, -1])
  const owner = await log.owner()
  const tick = owner.begin()
  await tick.append([{ partition, batch: batch(['open'], { timeMs: base + 99 }) }])
  const [latest, byTime] = await log.listOffsets(
    [-1, base + 99].map((timeMs) => ({ partition, timeMs })),
    true,
  )
  assert.ok('offset' in latest! && latest.offset === 5)
  assert.ok('offset' in byTime! && byTime.offset === -1)
  const [none] = await log.listOffsets([{ partition: at('nope'), timeMs: -1 }], false)
  assert.ok('fault' in none!)
  await log.close()
})
test('a topic that shows what is written shows it before it is durable', async () => {
  const world = simulate(1, { syncMsMax: 10_000 })
  await world.run(async () => {
    const log = await openLocalLog({ world, dir: '/data' })
    const partition = await withTopic(log, 't', { 'ack.before.sync': 'true' })
    const began = world.clock.monotonic()
    for (let i = 0; i < 10; i++) {
      await produceOne(log, partition, batch([String(i)], { timeMs: 1 }), 'leader')
      const answer = await fetchOne(log, partition, i, { minBytes: 1, maxWaitMs: 1000 })
      assert.equal(answer.highWatermark, i + 1)
      assert.ok(bytesOf(answer) > 0)
    }
    assert.ok(world.clock.monotonic() - began < 1_000, 'it did not wait for the disk')
    await log.close()
  })
})
