/** What the newest batches keep of the memory that they came in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { HotBatches, HotTail } from '../../src/store/hot-tail.ts'

const bytesMax = 1024 * 1024

test('small batches keep no more than their bytes, whatever they were cut from', () => {
  const tail = new HotTail(bytesMax)
  const of = new HotBatches()
  for (let base = 0; base < 500; base++)
    tail.add(of, {
      base,
      end: base + 1,
      bytes: Buffer.allocUnsafeSlow(8192)
        .fill(base % 256, 0, 200)
        .subarray(0, 200),
      lease: null,
    })
  const { buffers } = of.lend(0, 500, Infinity)!
  assert.equal(buffers.length, 500)
  buffers.forEach((bytes, base) => assert.ok(bytes.length === 200 && bytes.every((byte) => byte === base % 256)))
  const held = [...new Set(buffers.map(({ buffer }) => buffer))].reduce((sum, { byteLength }) => sum + byteLength, 0)
  assert.ok(held <= 2 * 64 * 1024, `${held} bytes are kept of 100,000`)
})

test('large ones lie where they came', () => {
  const tail = new HotTail(bytesMax)
  const of = new HotBatches()
  const bytes = Buffer.alloc(10_000, 7)
  tail.add(of, { base: 0, end: 1, bytes, lease: null })
  assert.equal(of.lend(0, 1, Infinity)!.buffers[0], bytes)
})
