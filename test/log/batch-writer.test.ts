import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BatchWriter, encodeBatch } from '../../src/log/batch.ts'

test('a batch written from bytes that lie somewhere is the one that its records make', () => {
  const lengths = [0, 1, 31, 32, 33, 63, 64, 127, 128, 8_191, 8_192, 70_000, 1_100_000]
  const records = lengths.flatMap((length) => [
    { key: Buffer.alloc(length, 1), value: Buffer.alloc(5, 2), timeMs: 17 },
    { key: Buffer.alloc(3, 3), value: Buffer.alloc(length, 4), timeMs: 17 },
    { key: Buffer.alloc(length, 5), value: null, timeMs: 17 },
  ])
  // More records than a byte of their number holds.
  for (let i = 0; i < 200; i++) records.push({ key: Buffer.from([i]), value: Buffer.from([i]), timeMs: 17 })
  const writer = new BatchWriter(17)
  for (const { key, value } of records) {
    const bytes = Buffer.concat([Buffer.from('xyz'), key, value ?? Buffer.from('rest')])
    writer.add(bytes, 3, 3 + key.length, value === null ? -1 : bytes.length)
  }
  assert.equal(writer.count, records.length)
  const batch = writer.done()
  assert.ok(Buffer.from(batch).equals(Buffer.from(encodeBatch(records))))
})
