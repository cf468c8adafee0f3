import assert from 'node:assert/strict'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import { limits } from '../../../src/lib/limits.ts'
import { batchHeaderBytes, readBatchHeader } from '../../../src/store/batch-header.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import { at, batch, memoryLog, produceOne, said, withHeader, withTopic } from './support.ts'

const good = batch(['a', 'b', 'c'])
const bytes = (change: (copy: Buffer) => void): Uint8Array => {
  const copy = Buffer.from(good)
  change(copy)
  return copy
}
/** A batch with a right checksum around any bytes. */
function withRecords(records: Uint8Array, recordCount: number, attributes = 0): Uint8Array {
  const whole = Buffer.concat([good.subarray(0, batchHeaderBytes), records])
  return withHeader(whole, { bytes: whole.length, recordCount, lastOffsetDelta: recordCount - 1, attributes })
}
const one = batch(['a']).subarray(batchHeaderBytes)
function varint(value: number): Buffer {
  const out = new ByteWriter()
  out.varint(value)
  return out.done()
}
const badHeader = Buffer.from([24, 0, 0, 0, 1, 1, 2, 4, 0xff, 0xfe, 1])
badHeader[0] = (badHeader.length - 1) * 2
const wrong: Readonly<Record<string, readonly [Uint8Array, string]>> = {
  'nothing at all': [new Uint8Array(0), 'log.invalid-batch'],
  'fewer bytes than a header': [good.subarray(0, 60), 'log.corrupt-batch'],
  'cut short': [good.subarray(0, good.length - 1), 'log.corrupt-batch'],
  'bytes behind it': [Buffer.concat([good, Buffer.from('x')]), 'log.corrupt-batch'],
  'a record changed': [bytes((b) => (b[b.length - 2]! ^= 1)), 'log.corrupt-batch'],
  'a flag changed': [bytes((b) => (b[22]! ^= 8)), 'log.corrupt-batch'],
  'a negative length': [bytes((b) => b.writeInt32BE(-5, 8)), 'log.corrupt-batch'],
  'a length of 2 GiB': [bytes((b) => b.writeInt32BE(0x7fffffff, 8)), 'log.corrupt-batch'],
  'magic 1': [bytes((b) => b.writeInt8(1, 16)), 'log.invalid-batch'],
  'magic 3': [bytes((b) => b.writeInt8(3, 16)), 'log.corrupt-batch'],
  'a base offset': [withHeader(good, { baseOffset: 5 }), 'log.invalid-batch'],
  'no records': [withHeader(good, { recordCount: 0, lastOffsetDelta: -1 }), 'log.invalid-batch'],
  'a count that does not match': [withHeader(good, { recordCount: 2 }), 'log.invalid-batch'],
  'a negative delta': [withHeader(good, { lastOffsetDelta: -1 }), 'log.invalid-batch'],
  'a control batch': [withHeader(good, { attributes: 0x20 }), 'log.invalid-batch'],
  'append time set by the client': [withHeader(good, { attributes: 0x08 }), 'log.invalid-timestamp'],
  'codec 5': [withHeader(good, { attributes: 5 }), 'log.unsupported-compression'],
  'a producer without a sequence': [withHeader(good, { producerId: 1, producerEpoch: 0 }), 'log.invalid-batch'],
  'records that are none': [withRecords(Buffer.from('not records'), 3), 'log.invalid-batch'],
  'more records counted than there are': [withRecords(good.subarray(batchHeaderBytes), 1000), 'log.invalid-batch'],
  'fewer records counted than there are': [withRecords(good.subarray(batchHeaderBytes), 2), 'log.invalid-batch'],
  'offsets that repeat': [withRecords(Buffer.concat([one, one]), 2), 'log.invalid-batch'],
  'a header whose name is no text': [withRecords(badHeader, 1), 'log.invalid-batch'],
  'a record with bytes left over': [withRecords(Buffer.from([16, 0, 0, 0, 1, 1, 0, 9, 9]), 1), 'log.invalid-batch'],
  'a key longer than its record': [withRecords(Buffer.from([14, 0, 0, 0, 60, 1, 0, 0]), 1), 'log.invalid-batch'],
  'a key of length −2': [withRecords(Buffer.from([12, 0, 0, 0, 3, 1, 0]), 1), 'log.invalid-batch'],
  'what gzip does not unpack': [withRecords(Buffer.from('not gzip'), 1, 1), 'log.corrupt-batch'],
  'packed records that are none': [withRecords(gzipSync('not records'), 1, 1), 'log.invalid-batch'],
  'a bomb': [withRecords(gzipSync(Buffer.alloc(limits.expansion * limits.batchBytes + 1)), 1, 1), 'wire.too-large'],
  'too many records': [withRecords(gzipSync(Buffer.alloc(8)), limits.batchRecords + 1, 1), 'wire.too-large'],
  'a record ahead of the largest time that is said': [
    withRecords(Buffer.concat([Buffer.from([20, 0]), varint(2 ** 40), Buffer.from([0, 1, 1, 0])]), 1),
    'log.invalid-timestamp',
  ],
  'a transaction nobody began': [
    withHeader(good, { producerId: 1, producerEpoch: 0, baseSequence: 0, attributes: 0x10 }),
    'log.missing-transactional-id',
  ],
}

test('what is no good batch is refused with its own fault, and nothing of it is stored', async (t) => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  for (const [title, [records, code]] of Object.entries(wrong))
    await t.test(title, async () => assert.equal(said(await produceOne(log, partition, records)), code))
  const [bounds] = await log.bounds([partition])
  assert.equal(bounds!.end, 0)
  assert.equal(said(await produceOne(log, partition, good)), 0)
  await log.close()
})
test('several batches for one partition are refused: none of them is there', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const gap = Buffer.concat([batch(['a'], { producerId: 5 }), batch(['b'], { producerId: 5, sequence: 9 })])
  assert.equal(said(await produceOne(log, partition, gap)), 'log.invalid-batch')
  assert.equal(said(await produceOne(log, partition, Buffer.concat([good, batch(['d'])]))), 'log.invalid-batch')
  const [bounds] = await log.bounds([partition])
  assert.equal(bounds!.end, 0)
  await log.close()
})
test('record times are bounded as the topic says', async () => {
  const log = await memoryLog()
  const now = Date.now()
  const partition = await withTopic(log, 't', { 'message.timestamp.before.max.ms': '60000' })
  const times = async (timeMs: number): Promise<number | string> =>
    said(await produceOne(log, partition, batch(['x'], { timeMs })))
  assert.equal(await times(now + 2 * 3_600_000), 'log.invalid-timestamp')
  assert.equal(await times(now - 120_000), 'log.invalid-timestamp')
  assert.equal(await times(now), 0)
  const stamped = await withTopic(log, 'stamped', { 'message.timestamp.type': 'LogAppendTime' })
  const answer = await produceOne(log, stamped, batch(['x'], { timeMs: 5 }))
  assert.ok('baseOffset' in answer && answer.appendTimeMs >= now)
  await log.close()
})
test('a compacted topic takes no record without a key, and says which', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log, 't', { 'cleanup.policy': 'compact' })
  for (const codec of ['none', 'gzip'] as const) {
    const record = (key: string | null) => ({
      key: key === null ? null : Buffer.from(key),
      value: null,
      timeMs: Date.now(),
    })
    const answer = await produceOne(log, partition, encodeBatch([record('a'), record(null), record('')], codec))
    assert.ok('fault' in answer && answer.fault.code === 'log.invalid-batch')
    assert.deepEqual(
      answer.records?.map(({ index }) => index),
      [1],
    )
  }
  await log.close()
})
test('a batch over max.message.bytes is refused, as stored', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log, 't', { 'max.message.bytes': '200' })
  assert.equal(said(await produceOne(log, partition, batch(['x'.repeat(200)]))), 'log.batch-too-large')
  assert.equal(said(await produceOne(log, partition, batch(['x'.repeat(20)]))), 0)
  await log.close()
})
test('compression.type packs every batch again, records untouched', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log, 't', { 'compression.type': 'gzip' })
  await produceOne(log, partition, batch(['x'.repeat(1000)]))
  const [chunk] = await log.reader().read([{ partition, offset: 0 as never }])
  assert.ok(chunk !== undefined && 'batches' in chunk)
  const header = readBatchHeader(chunk.batches[0]!)
  assert.equal(header.attributes & 7, 1)
  assert.ok(header.bytes < 300)
  await log.close()
})
test('what an intake refuses is answered per record and not stored', async () => {
  const log = await memoryLog({
    intake: (topic, records) => (topic === 't' && records.length > 100 ? [{ index: 1, message: 'too long' }] : null),
  })
  const partition = await withTopic(log)
  const answer = await produceOne(log, partition, batch(['x'.repeat(100)]))
  assert.ok('fault' in answer && answer.fault.code === 'log.invalid-batch')
  assert.deepEqual(answer.records, [{ index: 1, message: 'too long' }])
  assert.equal(said(await produceOne(log, partition, batch(['x']))), 0)
  await log.close()
})
test('topics that the log keeps for itself take nothing from clients', async () => {
  const log = await memoryLog()
  for (const topic of ['_millrace_catalog', '__consumer_offsets', '__transaction_state'])
    assert.equal(said(await produceOne(log, at(topic), good)), 'log.topic-kept')
  const forged = encodeBatch([{ key: Buffer.from('topic/x'), value: Buffer.from('{}'), timeMs: 1 }])
  for (const [topic, records] of [
    ['__consumer_offsets', good],
    ['_millrace_catalog', forged],
  ] as const) {
    const [appended] = await log.writer().append([{ partition: at(topic), batch: records }])
    assert.ok(appended !== undefined && 'fault' in appended && appended.fault.code === 'log.topic-kept')
  }
  await log.close()
})
test('what the log remembers cannot be set to be forgotten', async () => {
  const log = await memoryLog()
  for (const config of [{ 'cleanup.policy': 'delete' }, { 'retention.ms': '1' }, { 'retention.bytes': '1' }])
    await assert.rejects(log.topics.alter('__consumer_offsets', { config }), { code: 'log.topic-kept' })
  await log.topics.alter('__consumer_offsets', { config: { 'segment.bytes': '1048576' } })
  await log.close()
})
