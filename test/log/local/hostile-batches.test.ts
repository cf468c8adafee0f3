/** Batches that no client of Kafka sends: what a broken or hostile one may make of fields that others believe. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { zstdCompressSync } from 'node:zlib'
import { batchHeaderBytes, readBatchHeader, sealBatch } from '../../../src/store/batch-header.ts'
import { decodeBatch, encodeBatch } from '../../../src/log/batch.ts'
import { limits } from '../../../src/lib/limits.ts'
import { at, batch, memoryLog, off, produceOne, said, withHeader, withTopic } from './support.ts'

/** With 64-bit fields as they are, also where no number of JavaScript is that large. */
function with64(bytes: Uint8Array, fields: Readonly<Record<number, bigint>>): Buffer {
  const copy = Buffer.from(bytes)
  for (const [place, value] of Object.entries(fields)) copy.writeBigInt64BE(value, Number(place))
  sealBatch(copy)
  return copy
}
const [baseTimeAt, maxTimeAt, producerIdAt] = [27, 35, 43]
const longMax = 2n ** 63n - 1n

test('a producer id that no number can tell from its neighbour is refused', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const of = (id: bigint): Buffer => with64(batch(['a'], { producerId: 1 }), { [producerIdAt]: id })
  for (const id of [longMax, 2n ** 60n + 1n, 2n ** 53n, -(2n ** 60n)])
    assert.equal(said(await produceOne(log, partition, of(id))), 'log.invalid-batch', String(id))
  assert.equal(said(await produceOne(log, partition, of(2n ** 53n - 1n))), 0)
  assert.equal(said(await produceOne(log, partition, of(2n ** 53n - 2n))), 1, 'another producer')
  await log.close()
})

test('a time without a date is refused, whatever the topic takes', async () => {
  const log = await memoryLog()
  const any = await withTopic(log, 'any', { 'message.timestamp.after.max.ms': String(longMax) })
  const timed = (ms: bigint): Buffer => with64(batch(['a']), { [baseTimeAt]: ms, [maxTimeAt]: ms })
  for (const ms of [longMax, -longMax, 8_640_000_000_000_001n, -8_640_000_000_000_001n, 2n ** 60n])
    assert.equal(said(await produceOne(log, any, timed(ms))), 'log.invalid-timestamp', String(ms))
  assert.equal(said(await produceOne(log, any, timed(8_640_000_000_000_000n))), 0)
  assert.equal(said(await produceOne(log, any, timed(-1n))), 1)
  const [largest] = await log.listOffsets([{ partition: any, timeMs: -3 }], false)
  assert.ok('offset' in largest! && largest.offset === 0)
  const stamped = await withTopic(log, 'stamped', { 'message.timestamp.type': 'LogAppendTime' })
  assert.equal(said(await produceOne(log, stamped, timed(longMax))), 0, 'there the log says when')
  await log.close()
})

test('a largest time that is none of the records is put right: they are found by time, and kept for as long as they are new', async () => {
  const log = await memoryLog()
  const now = Date.now()
  const partition = await withTopic(log, 't', { 'retention.ms': '3600000' })
  await produceOne(log, partition, batch(['old'], { timeMs: now - 60_000 }))
  const lied = withHeader(batch(['new'], { timeMs: now }), { maxTimeMs: 1 })
  assert.equal(said(await produceOne(log, partition, lied)), 1)
  const high = withHeader(batch(['older'], { timeMs: now - 120_000 }), { maxTimeMs: now + 60_000 })
  assert.equal(said(await produceOne(log, partition, high)), 2)
  const list = async (timeMs: number): Promise<unknown> => {
    const [answer] = await log.listOffsets([{ partition, timeMs }], false)
    return 'offset' in answer! ? [answer.offset, answer.timeMs] : answer!.fault.code
  }
  assert.deepEqual(await list(now - 1000), [1, now])
  assert.deepEqual(await list(-3), [1, now])
  const [read] = await log.fetch(
    {
      entries: [{ partition, offset: off(0), maxBytes: 10_000, leaderEpoch: -1 }],
      committedOnly: false,
      maxBytes: 10_000,
      minBytes: 0,
      maxWaitMs: 0,
    },
    new AbortController().signal,
  )
  const stored = read!.records.flatMap((bytes) => {
    const all: { maxTimeMs: number; times: number[] }[] = []
    for (let from = 0; from < bytes.length; from += readBatchHeader(bytes, from).bytes) {
      const one = bytes.subarray(from, from + readBatchHeader(bytes, from).bytes)
      all.push({ maxTimeMs: readBatchHeader(one).maxTimeMs, times: decodeBatch(one).map(({ timeMs }) => timeMs) })
    }
    return all
  })
  assert.deepEqual(
    stored.map(({ maxTimeMs }) => maxTimeMs),
    [now - 60_000, now, now - 120_000],
  )
  for (const { maxTimeMs, times } of stored) assert.deepEqual(times, [maxTimeMs])
  await log.close()
})

test('the batches of one request unpack to no more than a request may: the rest is refused unopened', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const largest = limits.expansion * limits.batchBytes
  const packed = zstdCompressSync(Buffer.alloc(largest - 100))
  const bomb = withHeader(Buffer.concat([batch(['a']).subarray(0, batchHeaderBytes), packed]), {
    bytes: batchHeaderBytes + packed.length,
    attributes: 4,
  })
  const many = 5_000
  const good = batch(['still taken'])
  const began = performance.now()
  const answers = await log.produce({
    acks: 'all',
    transactionalId: null,
    entries: [
      ...Array.from({ length: many }, () => ({ partition, records: Buffer.from(bomb) })),
      { partition, records: good },
    ],
  })
  const ms = performance.now() - began
  const codes = answers.map(said)
  const unpacked = codes.filter((code) => code === 'log.invalid-batch').length
  // All of them take two minutes.
  assert.ok(unpacked <= 10, `${unpacked} were unpacked`)
  assert.equal(codes.filter((code) => code === 'wire.too-large').length, many - unpacked)
  assert.equal(codes.at(-1), 0)
  assert.ok(ms < 20_000, `${Math.round(ms)} ms`)
  await log.close()
})

const packedBatch = (packed: Uint8Array, attributes: number): Uint8Array =>
  withHeader(Buffer.concat([batch(['a']).subarray(0, batchHeaderBytes), packed]), {
    bytes: batchHeaderBytes + packed.length,
    attributes,
  })
test('a batch of many pieces that hold nothing counts as what they take to unpack', async () => {
  const log = await memoryLog()
  const partition = await withTopic(log)
  const frame = zstdCompressSync(Buffer.alloc(1))
  const xerial = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0, 0, 0, 0, 1, 0, 0, 0, 1])
  const block = Buffer.from([0, 0, 0, 3, 1, 0, 65])
  for (const [name, records] of [
    ['zstd', packedBatch(Buffer.concat(Array.from({ length: 1_000 }, () => frame)), 4)],
    ['snappy', packedBatch(Buffer.concat([xerial, ...Array.from({ length: 1_000 }, () => block)]), 2)],
  ] as const) {
    const entries = Array.from({ length: 1_000 }, () => ({ partition, records: Buffer.from(records) }))
    const codes = (await log.produce({ acks: 'all', transactionalId: null, entries })).map(said)
    const unpacked = codes.filter((code) => code === 'log.invalid-batch').length
    assert.ok(unpacked > 0 && unpacked <= 20, `${name}: ${unpacked} were unpacked`)
    assert.equal(codes.filter((code) => code === 'wire.too-large').length, entries.length - unpacked)
  }
  const much = packedBatch(Buffer.concat([xerial, ...Array.from({ length: 60_000 }, () => block)]), 2)
  assert.equal(said(await produceOne(log, partition, much)), 'wire.too-large')
  for (const codec of ['zstd', 'snappy', 'gzip', 'lz4'] as const) {
    const value = Buffer.alloc(20_000_000, 'some text')
    const good = encodeBatch([{ key: null, value, timeMs: Date.now() }], codec)
    assert.ok(
      typeof said(await produceOne(log, partition, good)) === 'number' || good.length > limits.batchBytes,
      codec,
    )
  }
  await log.close()
})

test('a request of a hundred packed batches that unpack to a MiB each is taken', async () => {
  const log = await memoryLog()
  await log.topics.create([{ name: 'wide', partitions: 100 }])
  const records = encodeBatch([{ key: null, value: Buffer.alloc(1_000_000), timeMs: Date.now() }], 'zstd')
  const entries = Array.from({ length: 100 }, (_, index) => ({
    partition: at('wide', index),
    records: Buffer.from(records),
  }))
  const answers = await log.produce({ acks: 'all', transactionalId: null, entries })
  assert.deepEqual([...new Set(answers.map(said))], [0])
  await log.close()
})
