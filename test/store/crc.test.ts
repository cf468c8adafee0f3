import assert from 'node:assert/strict'
import { test } from 'node:test'
import { crc32c } from '@node-rs/crc32'
import { encodeBatch } from '../../src/log/batch.ts'
import { batchCrc, ownBatch, readBatchHeader, setMaxTime, stampBatch } from '../../src/store/batch-header.ts'
import { crcDifference } from '../../src/store/crc.ts'

test('what a checksum differs by is told from the bytes that changed and the count of those behind', () => {
  for (const count of [0, 1, 2, 3, 7, 61, 255, 256, 4_095, 65_537, 1_048_588, 67_108_863]) {
    const rest = Buffer.alloc(count, 0xa7)
    const [before, after] = [Buffer.from('some bytes'), Buffer.from('other byte')]
    const [old, now] = [before, after].map((front) => crc32c(rest, crc32c(front)))
    const difference = crcDifference((crc32c(before) ^ crc32c(after)) >>> 0, count)
    assert.equal((old! ^ difference) >>> 0, now, `${count} bytes behind`)
  }
})
test('a header that changes keeps the checksum right, and does not make a wrong one right', () => {
  const changes: [string, (batch: Uint8Array) => void][] = [
    ['owner', (b) => ownBatch(b, { producerId: 2 ** 40, producerEpoch: 7, baseSequence: 12, transactional: true })],
    ['no owner', (b) => ownBatch(b, { producerId: -1, producerEpoch: -1, baseSequence: -1, transactional: false })],
    ['append time', (b) => stampBatch(b, 1_700_000_000_000)],
    ['largest time', (b) => setMaxTime(b, 99)],
  ]
  for (const size of [0, 1, 10, 1_000, 300_000])
    for (const [what, change] of changes) {
      const batch = encodeBatch([{ key: null, value: Buffer.alloc(size, 3), timeMs: 5 }])
      change(batch)
      assert.equal(readBatchHeader(batch).crc, batchCrc(batch), `${what}, ${size} bytes`)
      batch[batch.length - 1]! ^= 1
      change(batch)
      ownBatch(batch, { producerId: 1, producerEpoch: 1, baseSequence: 1, transactional: true })
      assert.notEqual(readBatchHeader(batch).crc, batchCrc(batch), `${what}, ${size} bytes, one flipped`)
    }
})
