/** Records that say how long they live, in virtual time. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../../src/lib/sim/world.ts'
import { type RecordInput, decodeBatch, encodeBatch } from '../../../src/log/batch.ts'
import type { Compression } from '../../../src/log/compression.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { durationOf, expiryMs } from '../../../src/log/record-headers.ts'
import { batchesOf } from '../../../src/log/local/system-log.ts'
import { readBatchHeader } from '../../../src/store/batch-header.ts'
import { at, off, produceOne, said, withTopic } from './support.ts'

const record = (value: string, timeMs: number, ttl?: string): RecordInput => ({
  key: Buffer.from(value),
  value: Buffer.from(value),
  timeMs,
  ...(ttl === undefined ? {} : { headers: [['mr-ttl', Buffer.from(ttl)]] as [string, Uint8Array][] }),
})
async function inWorld(work: (log: LocalLog, world: ReturnType<typeof simulate>) => Promise<void>): Promise<void> {
  const world = simulate(3)
  await world.run(async () => {
    const log = await openLocalLog({ world, dir: '/data', compactEveryMs: 10_000 })
    await work(log, world)
    await log.close()
  })
}
const put = async (log: LocalLog, records: readonly RecordInput[], codec: Compression = 'none', topic = 't') =>
  said(await produceOne(log, at(topic), encodeBatch(records, codec)))
const readers = {
  async fetch(log: LocalLog, topic = 't'): Promise<{ values: string[]; next: number }> {
    const entries = [{ partition: at(topic), offset: off(0), maxBytes: 1e6, leaderEpoch: -1 }]
    const limits = { committedOnly: true, maxBytes: 1e6, minBytes: 0, maxWaitMs: 0 }
    const [answer] = await log.fetch({ entries, ...limits }, new AbortController().signal)
    assert.equal(answer!.fault, null)
    const batches = [...batchesOf(answer!.records)]
    const last = readBatchHeader(batches.at(-1)!)
    return { values: batches.flatMap(valuesOf), next: last.baseOffset + last.lastOffsetDelta + 1 }
  },
  async read(log: LocalLog, topic = 't'): Promise<{ values: string[]; next: number }> {
    const [chunk] = await log.reader().read([{ partition: at(topic), offset: off(0) }])
    assert.ok(chunk !== undefined && !('fault' in chunk))
    return { values: chunk.batches.flatMap(valuesOf), next: chunk.next }
  },
}
const valuesOf = (batch: Uint8Array): string[] => decodeBatch(batch).map(({ value }) => Buffer.from(value!).toString())

for (const [name, read] of Object.entries(readers))
  for (const codec of ['none', 'zstd'] as const)
    test(`${name}: a record is there for its time and not longer, in a ${codec} batch with others`, () =>
      inWorld(async (log, world) => {
        await withTopic(log, 't', { 'record.ttl.enable': 'true' })
        const now = world.clock.now()
        const batch = [
          record('a', now, '10s'),
          record('b', now),
          record('c', now - 5_000, '10s'),
          record('d', now, '20000'),
        ]
        assert.equal(await put(log, batch, codec), 0)
        assert.equal(await put(log, [record('e', now, '15s')], codec), 4)
        const seen = async (): Promise<string> => {
          const { values, next } = await read(log)
          assert.equal(next, 5, 'a reader goes on behind what is over')
          return values.join('')
        }
        assert.equal(await seen(), 'abcde')
        await world.clock.sleep(4_900)
        assert.equal(await seen(), 'abcde')
        await world.clock.sleep(200)
        assert.equal(await seen(), 'abde')
        await world.clock.sleep(5_000)
        assert.equal(await seen(), 'bde')
        await world.clock.sleep(5_000)
        assert.equal(await seen(), 'bd')
        await world.clock.sleep(10_000)
        assert.equal(await seen(), 'b')
      }))
test('a topic that does not allow it gives records as they came; allowing it later counts for what is there', () =>
  inWorld(async (log, world) => {
    await withTopic(log, 't')
    await put(log, [record('a', world.clock.now(), '1s'), record('b', world.clock.now(), 'nonsense')])
    await world.clock.sleep(5_000)
    assert.deepEqual((await readers.fetch(log)).values, ['a', 'b'])
    await log.topics.alter('t', { config: { 'record.ttl.enable': 'true' } })
    assert.deepEqual((await readers.fetch(log)).values, ['b'], 'what cannot be understood stays')
    await log.topics.alter('t', { config: { 'record.ttl.enable': null } })
    assert.deepEqual((await readers.fetch(log)).values, ['a', 'b'])
  }))
test('a time to live that cannot be understood is refused with the record that has it', () =>
  inWorld(async (log, world) => {
    await withTopic(log, 't', { 'record.ttl.enable': 'true' })
    const now = world.clock.now()
    const batch = encodeBatch([record('a', now, '1s'), record('b', now, 'soon')])
    const answer = await produceOne(log, at('t'), batch)
    assert.ok('fault' in answer && answer.fault.code === 'log.invalid-batch')
    assert.equal(answer.records?.length, 1)
    assert.equal(answer.records[0]!.index, 1)
    const [ours] = await log.writer().append([{ partition: at('t'), batch }])
    assert.ok(ours !== undefined && 'fault' in ours)
    for (const [text, ms] of [
      ['0', 0],
      ['15', 15],
      ['2m', 120_000],
      [' 1h ', 3_600_000],
      ['1d', 86_400_000],
    ] as const)
      assert.equal(durationOf(text), ms)
    for (const text of ['', '-1s', '1.5s', '1w', '99999999999999', 's', '100000001d'])
      assert.equal(durationOf(text), null, text)
    const twice = {
      ...record('a', 100),
      headers: [
        ['mr-ttl', Buffer.from('1')],
        ['mr-ttl', Buffer.from('5')],
      ] as [string, Uint8Array][],
    }
    assert.equal(expiryMs(twice), 105, 'the last one counts')
  }))
for (const policy of ['delete', 'compact,delete'])
  test(`what is over is no longer on the disk either, once its segment is sealed (cleanup.policy=${policy})`, () =>
    inWorld(async (log, world) => {
      const config = { 'record.ttl.enable': 'true', 'internal.segment.bytes': '2000', 'cleanup.policy': policy }
      await withTopic(log, 't', config)
      const filler = 'x'.repeat(300)
      for (let i = 0; i < 40; i++)
        await put(log, [record(`${i}${filler}`, world.clock.now(), '30s'), record(`keep${i}`, world.clock.now())])
      const before = log.sizeBytes(at('t'))
      await world.clock.sleep(120_000)
      const after = log.sizeBytes(at('t'))
      assert.ok(after < before / 2, `${before} bytes, then ${after}`)
      await log.topics.alter('t', { config: { 'record.ttl.enable': null } })
      const raw = { values: [] as string[], next: 0 }
      while (raw.next < 80) {
        const [chunk] = await log.reader().read([{ partition: at('t'), offset: off(raw.next) }])
        assert.ok(chunk !== undefined && !('fault' in chunk) && chunk.next > raw.next)
        raw.values.push(...chunk.batches.flatMap(valuesOf))
        raw.next = chunk.next
      }
      assert.ok(raw.values.filter((value) => value.includes(filler)).length < 5, 'only the newest segment has them')
      assert.equal(raw.values.filter((value) => value.startsWith('keep')).length, 40)
    }))
test('a committed reader gets nothing of an aborted transaction because a record of it is over', () =>
  inWorld(async (log, world) => {
    await withTopic(log, 't', { 'record.ttl.enable': 'true' })
    const owner = await log.owner()
    for (const [value, ends] of [
      ['gone', 'abort'],
      ['stays', 'commit'],
    ] as const) {
      const tick = owner.begin()
      const records = [record(value, world.clock.now(), '1s'), record(`${value} longer`, world.clock.now())]
      await tick.append([{ partition: at('t'), batch: encodeBatch(records) }])
      await (ends === 'abort' ? tick.abort() : tick.commit([]))
    }
    await world.clock.sleep(5_000)
    assert.deepEqual((await readers.read(log)).values, ['stays longer'])
    await owner.close()
  }))
