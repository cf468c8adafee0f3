import assert from 'node:assert/strict'
import { test } from 'node:test'
import { BatchWriter, encodeBatch } from '../../src/log/batch.ts'

function* manyRecords(): Iterable<{ key: Buffer; value: Buffer | null; timeMs: number }> {
  const lengths = [0, 1, 31, 32, 33, 63, 64, 127, 128, 8_191, 8_192, 70_000, 1_100_000]
  for (const length of lengths) {
    yield { key: Buffer.alloc(length, 1), value: Buffer.alloc(5, 2), timeMs: 17 }
    yield { key: Buffer.alloc(3, 3), value: Buffer.alloc(length, 4), timeMs: 17 }
    yield { key: Buffer.alloc(length, 5), value: null, timeMs: 17 }
  }
  // More records than a byte of their number holds.
  for (let i = 0; i < 200; i++) yield { key: Buffer.from([i]), value: Buffer.from([i]), timeMs: 17 }
}
function writeInPlace(writer: BatchWriter, { key, value }: { key: Buffer; value: Buffer | null }): void {
  writer.key(key.length).raw(key)
  if (value !== null) {
    const out = writer.value()
    const middle = value.length >> 1
    out.raw(value.subarray(0, middle))
    out.raw(value.subarray(middle))
  }
  writer.end(false)
}
test('a batch written from bytes that lie somewhere is the one that its records make', () => {
  const records = [...manyRecords()]
  const writer = new BatchWriter(17)
  for (const { key, value } of records) {
    const bytes = Buffer.concat([Buffer.from('xyz'), key, value ?? Buffer.from('rest')])
    writer.add(bytes, 3, 3 + key.length, value === null ? -1 : bytes.length)
  }
  assert.equal(writer.count, records.length)
  const batch = writer.done()
  assert.ok(Buffer.from(batch).equals(Buffer.from(encodeBatch(records))))
})
test('and so is one whose records are written where they stay', () => {
  const records = [...manyRecords()]
  const writer = new BatchWriter(17)
  for (const record of records) writeInPlace(writer, record)
  assert.equal(writer.count, records.length)
  assert.ok(Buffer.from(writer.done()).equals(Buffer.from(encodeBatch(records))))
})
test('the record written last is taken out again, whatever it is', () => {
  const records = [...manyRecords()]
  for (const [i, record] of records.entries()) {
    const before = records.slice(0, i + 1)
    const writer = new BatchWriter(17)
    for (const one of before) writeInPlace(writer, one)
    writeInPlace(writer, record)
    const alone = writer.split()
    assert.ok(Buffer.from(alone.done()).equals(Buffer.from(encodeBatch([record]))))
    assert.ok(Buffer.from(writer.done()).equals(Buffer.from(encodeBatch(before))))
    if (i > 60) return
  }
})
