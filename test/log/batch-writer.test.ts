import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { BatchWriter, type RecordInput, decodeBatch, encodeBatch } from '../../src/log/batch.ts'
import { type RecordsInPlace, inPlaceBytes } from '../../src/log/records-in-place.ts'
import { batchHeaderBytes } from '../../src/store/batch-header.ts'

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
/** Records one behind another in one buffer. */
function inPlace(records: readonly RecordInput[]): RecordsInPlace {
  const pieces: Uint8Array[] = [Buffer.from('xyz')]
  let at = 3
  const put = (bytes: Uint8Array | null): [number, number] => {
    if (bytes === null) return [-1, -1]
    pieces.push(bytes)
    return [at, (at += bytes.length)]
  }
  const headers: number[] = []
  const places = records.flatMap(({ key, value, headers: own = [] }) => {
    const numbers = [...put(key), ...put(value)]
    for (const [name, content] of own) headers.push(...put(Buffer.from(name)), ...put(content))
    return [...numbers, headers.length / 4]
  })
  return { bytes: Buffer.concat(pieces), count: records.length, places: Int32Array.from(places), headers }
}
test('a batch written from bytes that lie somewhere is the one that its records make', () => {
  const names = ['', 'a', 'ä'.repeat(40), 'x'.repeat(8_192)]
  const records: RecordInput[] = [...manyRecords()]
    .filter(({ value }) => value !== null)
    .map((record, i) =>
      i % 3 === 0
        ? record
        : { ...record, key: i % 3 === 1 ? null : record.key, headers: names.map((name) => [name, Buffer.alloc(i, 6)]) },
    )
  const placed = inPlace(records)
  const writer = new BatchWriter(17)
  for (let i = 0; i < records.length; i++) writer.add(placed, i)
  assert.equal(writer.count, records.length)
  const batch = Buffer.from(writer.done())
  assert.ok(batch.equals(Buffer.from(encodeBatch(records))))
  const bounds = records.reduce((sum, _, i) => sum + inPlaceBytes(placed, i), batchHeaderBytes)
  assert.ok(batch.length <= bounds)
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
test('what is written comes back: times before and after the first, headers of any name, lengths of every size', () => {
  const bytes = fc.option(fc.oneof(fc.uint8Array({ maxLength: 200 }), fc.constant(new Uint8Array(9_000).fill(7))))
  const record = fc.record({
    key: bytes,
    value: bytes,
    timeMs: fc.oneof(fc.integer({ min: -1, max: 3 }), fc.integer({ min: 0, max: 4_000_000_000_000 })),
    headers: fc.array(
      fc.tuple(
        fc.oneof(
          fc.string({ unit: 'grapheme' }).filter((text) => text.isWellFormed()),
          fc.constant('x'.repeat(100)),
        ),
        bytes,
      ),
      { maxLength: 3 },
    ),
  })
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 150 }), (records) => {
      const found = decodeBatch(encodeBatch(records))
      const plain = (of: Uint8Array | null): number[] | null => (of === null ? null : [...of])
      const facts = ({ key, value, timeMs, headers = [] }: RecordInput): unknown => ({
        key: plain(key),
        value: plain(value),
        timeMs,
        headers: headers.map(([name, content]) => [name, plain(content)]),
      })
      assert.deepEqual(found.map(facts), records.map(facts))
    }),
    { numRuns: 200 },
  )
})
