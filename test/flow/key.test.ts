import assert from 'node:assert/strict'
import { test } from 'node:test'
import { columnBuilder } from '../../src/flow/columns.ts'
import { type Batch, emptyBatch } from '../../src/flow/batch.ts'
import type { Value } from '../../src/flow/expression.ts'
import { compareDoubles, compareTexts } from '../../src/flow/functions/helpers.ts'
import { KeyWriter, keyEncoder, writeKey } from '../../src/flow/key.ts'
import type { DataType } from '../../src/schema/types.ts'
import { random } from './plans.ts'

function encoded(value: Value, type: DataType, order: { descending?: boolean; nullsFirst?: boolean } = {}): Buffer {
  const builder = columnBuilder(type)
  builder.push(value)
  const batch: Batch = { ...emptyBatch, count: 1, columns: [builder.done()] }
  const out = new KeyWriter()
  keyEncoder([{ column: 0, type, ...order }])(out, batch, 0)
  const alone = new KeyWriter()
  if (order.descending !== true && order.nullsFirst !== true) {
    writeKey(alone, value, type)
    assert.deepEqual(Buffer.from(out.done()), Buffer.from(alone.done()), 'from a column and from a value')
  }
  return Buffer.from(out.done())
}
function checkOrder(values: readonly Value[], type: DataType, compare: (a: never, b: never) => number): void {
  for (const a of values)
    for (const b of values) {
      const wanted = a === null ? (b === null ? 0 : 1) : b === null ? -1 : Math.sign(compare(a as never, b as never))
      assert.equal(Buffer.compare(encoded(a, type), encoded(b, type)), wanted, `${String(a)} and ${String(b)}`)
      const reversed = Buffer.compare(encoded(a, type, { descending: true }), encoded(b, type, { descending: true }))
      assert.equal(reversed, wanted === 0 ? 0 : -wanted, `${String(a)} and ${String(b)}, descending`)
    }
}
test('doubles: −0 is 0, NaN is NaN and the largest, NULL behind it', () => {
  checkOrder(
    [null, NaN, Infinity, -Infinity, 0, -0, 1.5, -1.5, 5e-324, -5e-324, 1e308, -1e308],
    { kind: 'double' },
    compareDoubles,
  )
})
test('bigints, narrow and wide', () => {
  const values = [
    null,
    0,
    -1,
    1,
    2 ** 53 - 1,
    -(2 ** 53) + 1,
    9007199254740993n,
    -9007199254740993n,
    9223372036854775807n,
    -9223372036854775808n,
    4294967296,
    -4294967297,
  ]
  checkOrder(values, { kind: 'bigint' }, (a: number, b: number) => (a < b ? -1 : a > b ? 1 : 0))
})
test('numerics are equal whatever their scale', () => {
  const next = random(3)
  const type: DataType = { kind: 'numeric', precision: null, scale: null }
  const values = Array.from({ length: 60 }, (_, i) => ({
    digits: BigInt(Math.floor((next() - 0.5) * 10 ** (i % 7))) * 10n ** BigInt(i % 3),
    scale: i % 5,
  }))
  checkOrder([null, ...values], type, (a: { digits: bigint; scale: number }, b: { digits: bigint; scale: number }) => {
    const x = a.digits * 10n ** BigInt(10 - a.scale)
    const y = b.digits * 10n ** BigInt(10 - b.scale)
    return x < y ? -1 : x > y ? 1 : 0
  })
  const fixed = encoded(150, { kind: 'numeric', precision: 5, scale: 2 })
  assert.deepEqual(fixed, encoded({ digits: 15n, scale: 1 }, type))
})
test('texts in the order of their bytes, none a prefix of another', () => {
  const values = [null, '', 'a', 'ab', 'a\u0000', 'a\u0000b', 'b', 'é', '\uffff', '😀', 'Z', 'a\u0001']
  checkOrder(values, { kind: 'text' }, compareTexts)
  checkOrder(values, { kind: 'text' }, (a: string, b: string) => Buffer.compare(Buffer.from(a), Buffer.from(b)))
})
test('several columns: their encodings never run into each other', () => {
  const type: DataType = { kind: 'text' }
  const two = (a: string, b: string): string => {
    const out = new KeyWriter()
    writeKey(out, a, type)
    writeKey(out, b, type)
    return out.done().toString('hex')
  }
  const parts = ['', 'a', '\u0000', 'a\u0000', '\u0000a', '\u0000\u0000']
  const seen = new Map<string, string>()
  for (const a of parts)
    for (const b of parts) {
      const key = two(a, b)
      assert.equal(seen.get(key), undefined, `${JSON.stringify([a, b])} and ${seen.get(key)}`)
      seen.set(key, JSON.stringify([a, b]))
    }
})
test('NULL goes where it is asked to', () => {
  const type: DataType = { kind: 'int' }
  const before = (a: Value, b: Value, order: object): boolean =>
    Buffer.compare(encoded(a, type, order), encoded(b, type, order)) < 0
  assert.ok(before(5, null, {}))
  assert.ok(before(null, 5, { nullsFirst: true }))
  assert.ok(before(null, 5, { descending: true }))
  assert.ok(before(5, null, { descending: true, nullsFirst: false }))
})
