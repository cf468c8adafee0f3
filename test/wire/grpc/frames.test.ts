import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { GrpcReader, grpcFrame } from '../../../src/wire/grpc/frames.ts'
import { statusMessage, timeoutMs } from '../../../src/wire/grpc/status.ts'

test('messages come out as they went in, wherever the bytes are cut', () => {
  fc.assert(
    fc.property(
      fc.array(fc.uint8Array({ maxLength: 60 }), { maxLength: 8 }),
      fc.integer({ min: 1, max: 40 }),
      (all, size) => {
        const bytes = Buffer.concat(all.map((one) => grpcFrame(one)))
        const reader = new GrpcReader(100)
        const found: Buffer[] = []
        for (let at = 0; at < bytes.length; at += size)
          found.push(...reader.push(bytes.subarray(at, at + size)).map(({ body }) => Buffer.from(body)))
        assert.deepEqual(
          found,
          all.map((one) => Buffer.from(one)),
        )
        assert.equal(reader.isOpen, false)
      },
    ),
  )
})
test('a message over the limit is refused by its length alone, and so is one that begins wrong', () => {
  const head = Buffer.from([0, 0xff, 0xff, 0xff, 0xff])
  assert.throws(() => new GrpcReader(100).push(head), { code: 'wire.too-large' })
  assert.throws(() => new GrpcReader(100).push(Buffer.from([2, 0, 0, 0, 0])), { code: 'wire.malformed' })
})
test('a status is said in printable ASCII; deadlines are read in each unit', () => {
  assert.equal(statusMessage('50 % of ü\n'), '50 %25 of %C3%BC%0A')
  assert.deepEqual(
    ['1H', '2M', '3S', '4m', '5u', '6n', '', 'x', '123456789S'].map((one) => timeoutMs(one)),
    [3_600_000, 120_000, 3_000, 4, 0.005, 0.000006, null, null, null],
  )
})
