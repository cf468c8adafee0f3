import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { simulate } from '../../../src/lib/sim/world.ts'
import type { Compression } from '../../../src/log/compression.ts'
import { BatchWriter, type LogRecord, decodeBatch, encodeBatch } from '../../../src/log/batch.ts'
import { Rewriter } from '../../../src/log/local/compaction/rewrite.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { decodeTransactionState, status } from '../../../src/log/local/transactions/state-format.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { placeBatch, readBatchHeader } from '../../../src/store/batch-header.ts'
import { at, batch, off, produceOne, withHeader } from './support.ts'

const text = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString())

test('what is left of batches keeps its offsets, times, keys, values and headers, and covers every offset', () => {
  const codec = fc.constantFrom<Compression>('none', 'gzip', 'snappy')
  const source = fc.array(fc.tuple(fc.array(fc.boolean(), { minLength: 1, maxLength: 5 }), codec), {
    minLength: 1,
    maxLength: 8,
  })
  fc.assert(
    fc.property(source, (batches) => {
      const all: (LogRecord & { kept: boolean })[] = []
      const rewriter = { at: 0 }
      const stored = batches.map(([keeps, compression]) => {
        const records = keeps.map((_, i) => ({
          key: Buffer.from(`k${i}`),
          value: i % 2 === 0 ? Buffer.from(`v${rewriter.at + i}`) : null,
          headers: [['h', Buffer.from([i])]] as [string, Uint8Array][],
          timeMs: 1000 + ((i * 7) % 5),
        }))
        const bytes = encodeBatch(records, compression)
        placeBatch(bytes, rewriter.at, 3)
        decodeBatch(bytes).forEach((record, i) => all.push({ ...record, kept: keeps[i]! }))
        rewriter.at += keeps.length
        return bytes
      })
      const kept = new Set(all.filter((record) => record.kept).map(({ offset }) => offset))
      const rewrite = new Rewriter(
        { from: off(0), to: off(rewriter.at) },
        { isCommitted: () => true, keeps: ({ offset }) => kept.has(offset) },
      )
      const out = [...stored.map((one) => rewrite.take(one)), rewrite.finish()].filter((one) => one !== null)
      let end = 0
      const found: LogRecord[] = []
      for (const one of out) {
        placeBatch(one, end, 3)
        const { lastOffsetDelta, maxTimeMs, recordCount } = readBatchHeader(one)
        end += lastOffsetDelta + 1
        const records = decodeBatch(one)
        assert.equal(records.length, recordCount)
        assert.equal(maxTimeMs, Math.max(-1, ...records.map(({ timeMs }) => timeMs)))
        found.push(...records)
      }
      assert.equal(end, rewriter.at)
      const plain = (record: LogRecord): unknown => [
        record.offset,
        record.timeMs,
        text(record.key),
        text(record.value),
        record.headers.map(([name, value]) => [name, text(value)]),
      ]
      assert.deepEqual(found.map(plain), all.filter((record) => record.kept).map(plain))
    }),
  )
})
test('transactions and producers leave no trace: markers and aborted batches go, committed ones become plain', () => {
  const committed = batch(['yes'], { producerId: 1, sequence: 4, transactional: true, timeMs: 5 })
  const aborted = batch(['no'], { producerId: 2, transactional: true, timeMs: 5 })
  const marker = withHeader(batch(['m'], { producerId: 1, transactional: true, timeMs: 5 }), { attributes: 0x30 })
  const all = [committed, aborted, marker]
  all.forEach((one, i) => placeBatch(one, i, 0))
  const range = { from: off(0), to: off(3) }
  const rewrite = new Rewriter(range, { isCommitted: ({ producerId }) => producerId === 1, keeps: () => true })
  const out = [...all.map((one) => rewrite.take(one)), rewrite.finish()].filter((one) => one !== null)
  assert.deepEqual(
    out.map((one) => readBatchHeader(one)).map((h) => [h.producerId, h.attributes, h.recordCount, h.lastOffsetDelta]),
    [
      [-1, 0, 1, 0],
      [-1, 0, 0, 1],
    ],
  )
  assert.equal(readBatchHeader(committed).producerId, 1, 'the bytes that readers may hold stay as they are')
})

const put = (key: string, value: string | null): Uint8Array =>
  encodeBatch([{ key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timeMs: 1 }])
async function everything(log: LocalLog, topic: string): Promise<[number, string, string | null][]> {
  const found: [number, string, string | null][] = []
  const [bounds] = await log.bounds([at(topic)])
  for (let offset = bounds!.start; offset < bounds!.stable;) {
    const [chunk] = await log.reader().read([{ partition: at(topic), offset }])
    assert.ok(chunk !== undefined && 'batches' in chunk)
    for (const one of chunk.batches)
      for (const record of decodeBatch(one)) found.push([record.offset, text(record.key)!, text(record.value)])
    offset = chunk.next
  }
  return found
}
const compacted = { 'cleanup.policy': 'compact', 'internal.segment.bytes': '400', 'min.cleanable.dirty.ratio': '0' }

async function inTime(
  run: (open: () => Promise<LocalLog>, sleep: (ms: number) => Promise<void>) => Promise<void>,
): Promise<void> {
  const world = simulate(1)
  await world.run(() =>
    run(
      () => openLocalLog({ world, dir: '/data', compactEveryMs: 1_000 }),
      (ms) => world.clock.sleep(ms),
    ),
  )
}

test('of each key the newest record stays, at its offset; the newest segment is not touched', () =>
  inTime(async (open, sleep) => {
    const log = await open()
    await log.topics.create([{ name: 't', partitions: 1, config: compacted }])
    for (let i = 0; i < 60; i++) await produceOne(log, at('t'), put(`k${i % 3}`, String(i)))
    const before = await everything(log, 't')
    await sleep(1_500)
    const after = await everything(log, 't')
    assert.ok(after.length < 15, `${after.length} of ${before.length} records are left`)
    for (const record of after) assert.deepEqual(record, before[record[0]])
    assert.deepEqual(after.slice(-3), before.slice(-3))
    const newest = new Map(after.map(([, key, value]) => [key, value]))
    assert.deepEqual(Object.fromEntries(newest), { k0: '57', k1: '58', k2: '59' })
    assert.equal((await log.bounds([at('t')]))[0]!.end, 60)
    await sleep(5_000)
    assert.deepEqual(await everything(log, 't'), after, 'nothing new, nothing to do')
    await log.close()
    const again = await open()
    assert.deepEqual(await everything(again, 't'), after)
    await again.close()
  }))
test('a record that says that its key is gone goes after delete.retention.ms, and the key stays gone', () =>
  inTime(async (open, sleep) => {
    const log = await open()
    await log.topics.create([{ name: 't', partitions: 1, config: { ...compacted, 'delete.retention.ms': '10000' } }])
    await produceOne(log, at('t'), put('gone', 'here'))
    await produceOne(log, at('t'), put('gone', null))
    const fill = async (from: number): Promise<void> => {
      for (let i = from; i < from + 20; i++) await produceOne(log, at('t'), put('other', String(i)))
    }
    await fill(0)
    await sleep(2_000)
    const ofGone = async (): Promise<unknown> => (await everything(log, 't')).filter(([, key]) => key === 'gone')
    assert.deepEqual(await ofGone(), [[1, 'gone', null]])
    await fill(20)
    await sleep(5_000)
    assert.deepEqual(await ofGone(), [[1, 'gone', null]], 'not before its time')
    await sleep(6_000)
    await fill(40)
    await sleep(2_000)
    assert.deepEqual(await ofGone(), [])
    await log.close()
  }))
test('records wait for min.compaction.lag.ms, and no longer than max.compaction.lag.ms', () =>
  inTime(async (open, sleep) => {
    const log = await open()
    const lazy = { 'cleanup.policy': 'compact', 'internal.segment.bytes': '400', 'min.cleanable.dirty.ratio': '1' }
    await log.topics.create([
      { name: 'slow', partitions: 1, config: { ...compacted, 'min.compaction.lag.ms': '20000' } },
      { name: 'never', partitions: 1, config: { ...lazy, 'min.cleanable.dirty.ratio': '1' } },
      { name: 'soon', partitions: 1, config: { ...lazy, 'max.compaction.lag.ms': '5000' } },
    ])
    const now = 1_700_000_000_000
    const send = (topic: string, i: number): Promise<unknown> =>
      produceOne(log, at(topic), encodeBatch([{ key: Buffer.from('k'), value: Buffer.from(String(i)), timeMs: now }]))
    const counts = async (): Promise<number[]> =>
      Promise.all(['slow', 'soon'].map(async (topic) => (await everything(log, topic)).length))
    for (const topic of ['slow', 'soon']) for (let i = 0; i < 20; i++) await send(topic, i)
    await sleep(2_000)
    const [slow] = await counts()
    assert.equal(slow, 20)
    await sleep(10_000)
    const [stillSlow, soon] = await counts()
    assert.equal(stillSlow, 20)
    assert.ok(soon! < 10)
    await sleep(10_000)
    assert.ok((await counts())[0]! < 10)
    await log.close()
  }))
for (const outcome of ['commit', 'abort'] as const)
  test(`an open transaction holds compaction back, and its ${outcome} is kept to`, () =>
    inTime(async (open, sleep) => {
      const log = await open()
      await log.topics.create([{ name: 't', partitions: 1, config: compacted }])
      const owner = await log.owner()
      await produceOne(log, at('t'), put('a', 'old'))
      const tick = owner.begin()
      await tick.append([{ partition: at('t'), batch: put('a', 'in the tick') }])
      for (let i = 0; i < 30; i++) await produceOne(log, at('t'), put('b', String(i)))
      await sleep(3_000)
      assert.deepEqual(
        (await everything(log, 't')).map(([, , value]) => value),
        ['old'],
      )
      if (outcome === 'abort') await tick.abort()
      else assert.equal(await tick.commit([]), 'committed')
      await sleep(3_000)
      const left = await everything(log, 't')
      assert.ok(left.length < 15)
      assert.deepEqual(left[0], outcome === 'abort' ? [0, 'a', 'old'] : [1, 'a', 'in the tick'])
      await log.close()
    }))
test('a commit whose batches have been compacted is still a commit after a restart', async () => {
  const world = simulate(1)
  const open = (): Promise<LocalLog> => openLocalLog({ world, dir: '/data', compactEveryMs: 1_000 })
  await world.run(async () => {
    const log = await open()
    await log.topics.create([{ name: 't', partitions: 1, config: compacted }])
    const tick = (await log.owner()).begin()
    await tick.append([{ partition: at('t'), batch: put('a', 'in the tick') }])
    assert.equal(await tick.commit([]), 'committed')
    for (let i = 0; i < 30; i++) await produceOne(log, at('t'), put('a', String(i)))
    await world.clock.sleep(3_000)
    assert.ok((await everything(log, 't')).length < 15)
  })
  world.kill()
  await world.run(async () => {
    const log = await open()
    const [chunk] = await log.reader().read([{ partition: at('__transaction_state'), offset: off(0) }])
    assert.ok(chunk !== undefined && 'batches' in chunk)
    const states = chunk.batches
      .flatMap((one) => decodeBatch(one))
      .map(({ value }) => decodeTransactionState(value!).status)
    assert.deepEqual(states, [status.prepareCommit, status.completeCommit])
    await log.close()
  })
})
test('a topic that deletes as well as compacts does both', () =>
  inTime(async (open, sleep) => {
    const log = await open()
    const config = { ...compacted, 'cleanup.policy': 'compact,delete', 'retention.bytes': '600' }
    await log.topics.create([{ name: 't', partitions: 1, config }])
    for (let i = 0; i < 60; i++) await produceOne(log, at('t'), put(`k${i}`, 'x'))
    await sleep(25_000)
    const [bounds] = await log.bounds([at('t')])
    assert.ok(bounds!.start > 0)
    assert.ok((await everything(log, 't')).length < 60)
    await log.close()
  }))
test('a partition whose writers say that nothing is replaced there waits for compaction until enough is', () =>
  inTime(async (open, sleep) => {
    const log = await open()
    const config = { ...compacted, 'internal.segment.bytes': '3000', 'min.cleanable.dirty.ratio': '0.4' }
    await log.topics.create([{ name: 't', partitions: 1, config }])
    const owner = await log.owner()
    const write = async (count: number, replaces: boolean): Promise<void> => {
      for (let i = 0; i < count; i++) {
        const writer = new BatchWriter(0)
        writer.key(2).raw(Buffer.from(`k${i % 3}`))
        writer.value().raw(Buffer.from('v'.repeat(600)))
        writer.end(replaces)
        const tick = owner.begin()
        await tick.append([{ partition: at('t'), batch: writer.done() }])
        assert.equal(await tick.commit([]), 'committed')
      }
    }
    // It is not so, but nobody looks.
    await write(30, false)
    await sleep(3_000)
    assert.equal((await everything(log, 't')).length, 30)
    await write(10, true)
    await sleep(3_000)
    assert.equal((await everything(log, 't')).length, 40, 'a quarter is not enough')
    await write(30, true)
    await sleep(3_000)
    assert.ok((await everything(log, 't')).length < 15)
    // Of what was there when the process began, nobody knows anything.
    await write(20, false)
    await log.close()
    const again = await open()
    await sleep(3_000)
    assert.ok((await everything(again, 't')).length < 15)
    await again.close()
  }))
