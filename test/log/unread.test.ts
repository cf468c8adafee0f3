import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../src/lib/limits.ts'
import { Unread, decodeBatch, encodeBatch } from '../../src/log/batch.ts'
import { readBatchHeader, sealBatch, writeBatchHeader } from '../../src/store/batch-header.ts'

const batchOf = (count: number, valueBytes: number): Uint8Array =>
  encodeBatch(
    Array.from({ length: count }, () => ({ key: null, value: Buffer.alloc(valueBytes, 'x'), timeMs: 1 })),
    'zstd',
  )
function sizes(unread: Unread): number[] {
  const out: number[] = []
  while (!unread.isEmpty) out.push(unread.next().length)
  return out
}

test('batches are decoded together while they are small, one by one where they unpack to much', () => {
  const small = batchOf(3, 10)
  assert.deepEqual(sizes(new Unread([small, small, small])), [9])
  const large = batchOf(2, limits.decodedBytes / 2)
  assert.ok(large.length < 10_000)
  assert.deepEqual(sizes(new Unread([large, large, small, large])), [2, 2, 5])
})
test('many records count although they are small', () => {
  const many = batchOf(50_000, 0)
  assert.deepEqual(sizes(new Unread([many, many])), [50_000, 50_000])
})
test('the records are those of the batches, in order, without markers', () => {
  const batch = batchOf(2, 5)
  const marker = Buffer.from(batch)
  writeBatchHeader(marker, { ...readBatchHeader(marker), attributes: 0x24 })
  sealBatch(marker)
  assert.deepEqual(new Unread([marker, batch, marker]).next(), decodeBatch(batch))
  assert.deepEqual(new Unread([marker]).next(), [])
  assert.deepEqual(sizes(new Unread([])), [])
})
