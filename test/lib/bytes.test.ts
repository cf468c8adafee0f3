import assert from 'node:assert/strict'
import { test } from 'node:test'
import { ByteReader, ByteWriter } from '../../src/lib/bytes.ts'

test('an int64 that could not be read again is not written', () => {
  const out = new ByteWriter()
  const whole = [0, -1, 2 ** 32, -(2 ** 32) - 1, Number.MAX_SAFE_INTEGER, Number.MIN_SAFE_INTEGER]
  for (const value of whole) out.int64(value)
  for (const value of [2 ** 53, -(2 ** 53), 1.5, Number.NaN, Infinity])
    assert.throws(() => out.int64(value), RangeError)
  const input = new ByteReader(out.done())
  assert.deepEqual(
    whole.map(() => input.int64()),
    whole,
  )
  assert.equal(input.left, 0)
})
