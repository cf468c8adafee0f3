import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeBatch, encodeBatch } from '../../../src/log/batch.ts'
import { mergeable, merge } from '../../../src/log/cluster/write/merge.ts'
import { stampFor } from '../../../src/log/cluster/write/produce.ts'
import { cutRecords } from '../../../src/log/cluster/read/records.ts'
import { encodeMarker } from '../../../src/log/local/control-batch.ts'
import { placeBatch, readBatchHeader, sealBatch, writeBatchHeader } from '../../../src/store/batch-header.ts'

const records = (...values: string[]) => values.map((value) => ({ key: null, value: Buffer.from(value), timeMs: 1 }))
function stored(offset: number, producerId: number | null, ...values: string[]): Buffer {
  const batch = Buffer.from(encodeBatch(records(...values)))
  if (producerId !== null) stampFor(batch, { producerId, epoch: 0 }, 0, true)
  placeBatch(batch, offset, 3)
  return batch
}
function marker(offset: number, producerId: number, commits: boolean): Buffer {
  const outcome = commits ? 'commit' : 'abort'
  const batch = Buffer.from(encodeMarker({ producerId, epoch: 1, outcome, timeMs: 1, coordinatorEpoch: 0 }))
  placeBatch(batch, offset, 3)
  return batch
}
const shown = (cut: ReturnType<typeof cutRecords>): string[] =>
  cut.batches.flatMap((batch) => decodeBatch(batch).map(({ value }) => Buffer.from(value!).toString()))

test('what was aborted is left out up to its marker, and no further', () => {
  const fetched = Buffer.concat([
    stored(0, null, 'plain'),
    stored(1, 7, 'aborted'),
    stored(2, 8, 'committed'),
    stored(3, 7, 'aborted too'),
    marker(4, 7, false),
    marker(5, 8, true),
    stored(6, 7, 'the next transaction'),
    marker(7, 7, true),
  ])
  const cut = cutRecords(fetched, 0, [{ producerId: 7, firstOffset: 1 }])
  assert.deepEqual(shown(cut), ['plain', 'committed', 'the next transaction'])
  assert.equal(cut.next, 8)
  assert.deepEqual(shown(cutRecords(fetched, 0, null)).length, 5, 'who reads all sees all but markers')
})

test('reading goes on behind markers and aborted batches alone', () => {
  const cut = cutRecords(Buffer.concat([stored(4, 7, 'aborted', 'x'), marker(6, 7, false)]), 4, [
    { producerId: 7, firstOffset: 4 },
  ])
  assert.deepEqual([cut.batches, cut.next], [[], 7])
})

test('a transaction that began before the fetch is left out as well', () => {
  const cut = cutRecords(stored(10, 7, 'aborted'), 10, [{ producerId: 7, firstOffset: 2 }])
  assert.deepEqual([cut.batches, cut.next], [[], 11])
})

test('the first batch may begin before the position, and the last may be cut off', () => {
  const whole = Buffer.concat([stored(0, null, 'a', 'b', 'c'), stored(3, null, 'd')])
  const cut = cutRecords(whole.subarray(0, whole.length - 1), 2, [])
  assert.deepEqual(shown(cut), ['a', 'b', 'c'])
  assert.equal(cut.next, 3)
  assert.deepEqual(cutRecords(whole.subarray(0, 30), 0, []), { batches: [], next: 0 })
  assert.deepEqual(shown(cutRecords(whole, 3, [])), ['d'], 'a batch that ends before the position is not shown')
})

test('a gap that compaction left is passed over', () => {
  const batch = stored(5, null, 'kept')
  writeBatchHeader(batch, { ...readBatchHeader(batch), lastOffsetDelta: 9 })
  sealBatch(batch)
  assert.equal(cutRecords(batch, 5, []).next, 15)
})

test('a stamped batch keeps its records and carries its producer', () => {
  const batch = stored(40, null, 'x', 'y')
  stampFor(batch, { producerId: 12, epoch: 3 }, 77, true)
  const { baseOffset, leaderEpoch, producerId, producerEpoch, baseSequence, attributes } = readBatchHeader(batch)
  assert.deepEqual([baseOffset, leaderEpoch, producerId, producerEpoch, baseSequence], [0, -1, 12, 3, 77])
  assert.equal(attributes & 0x10, 0x10)
  stampFor(batch, { producerId: 12, epoch: 3 }, 77, false)
  assert.equal(readBatchHeader(batch).attributes & 0x10, 0, 'a batch of a transaction becomes plain again')
  assert.deepEqual(
    decodeBatch(batch).map(({ value }) => Buffer.from(value!).toString()),
    ['x', 'y'],
  )
})

test('small plain batches become one; packed and large ones stand alone', () => {
  const small = encodeBatch(records('a', 'b'))
  const other = encodeBatch(records('c'))
  const packed = encodeBatch(records('d'), 'gzip')
  const large = encodeBatch(records('x'.repeat(300_000)))
  assert.equal(mergeable([small, other, packed, other]), 2)
  assert.equal(mergeable([packed, small]), 1)
  assert.equal(mergeable([small, large]), 1)
  assert.equal(mergeable([large, small]), 1)
  const merged = decodeBatch(merge([small, other]))
  assert.deepEqual(
    merged.map(({ offset, value }) => [offset, Buffer.from(value!).toString()]),
    [
      [0, 'a'],
      [1, 'b'],
      [2, 'c'],
    ],
  )
})
