import assert from 'node:assert/strict'
import { crc32 } from 'node:zlib'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '../../../src/lib/fault.ts'
import { aggregated, userRecords } from '../../../src/wire/kinesis/aggregation.ts'
import { CborTime, decodeCbor, encodeCbor } from '../../../src/wire/kinesis/cbor.ts'
import { encodeEvent } from '../../../src/wire/kinesis/event-stream.ts'
import { endIndex, parseSequenceNumber, sequenceNumber } from '../../../src/wire/kinesis/sequence-number.ts'
import { isSignedBy, signatureOf } from '../../../src/wire/kinesis/signature.ts'

const plain = (value: unknown): unknown => JSON.parse(JSON.stringify(value)) as unknown

test('CBOR gives back what was written', () => {
  const value = fc
    .jsonValue({ maxDepth: 4 })
    .filter((one) => !JSON.stringify(one).includes('-0') && !JSON.stringify(one).includes('__proto__'))
  fc.assert(fc.property(value, (one) => assert.deepEqual(plain(decodeCbor(encodeCbor(one))), plain(one))))
  const bytes = Buffer.from([1, 2, 255])
  assert.deepEqual(
    decodeCbor(encodeCbor({ bytes, at: new CborTime(1_700_000_000_123) })),
    Object.assign(Object.create(null), { bytes, at: 1_700_000_000_123 }),
  )
})
test('CBOR of RFC 8949: examples of its appendix, pieces among them', () => {
  const examples: readonly (readonly [string, unknown])[] = [
    ['1903e8', 1_000],
    ['1b000000e8d4a51000', 1_000_000_000_000],
    ['3903e7', -1_000],
    ['f93e00', 1.5],
    ['f90001', 5.960464477539063e-8],
    ['fa47c35000', 100_000],
    ['fbc010666666666666', -4.1],
    ['5f42010243030405ff', Buffer.from([1, 2, 3, 4, 5])],
    ['7f657374726561646d696e67ff', 'streaming'],
    ['9f018202039f0405ffff', [1, [2, 3], [4, 5]]],
    ['bf6161019f', Fault],
    ['c11a514b67b0', 1_363_896_240],
    ['f6', null],
    ['f5', true],
    ['ff', Fault],
    ['9a00ffffff', Fault],
    ['1bffffffffffffffff', Fault],
  ]
  for (const [hex, wanted] of examples) {
    const read = (): unknown => decodeCbor(Buffer.from(hex, 'hex'))
    if (wanted === Fault) assert.throws(read, Fault, hex)
    else assert.deepEqual(read(), wanted, hex)
  }
  assert.throws(() => decodeCbor(Buffer.alloc(100_000, 0x81)), Fault)
})

test('aggregated records come apart as they were put together, and nothing else does', () => {
  const record = fc.record(
    {
      partitionKey: fc.string({ unit: 'binary', minLength: 1, maxLength: 20 }).filter((text) => text.isWellFormed()),
      explicitHashKey: fc.option(fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }).map(String)),
      data: fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
    },
    { noNullPrototype: true },
  )
  fc.assert(
    fc.property(fc.array(record, { minLength: 1, maxLength: 20 }), fc.nat(), (records, place) => {
      const bytes = aggregated(records)
      assert.deepEqual(userRecords(bytes), records)
      bytes[place % bytes.length]! ^= 1
      assert.equal(userRecords(bytes), null)
    }),
  )
  assert.equal(userRecords(Buffer.from('plain')), null)
})
test('an aggregated record of another program is read (bytes by protobuf’s rules, written by hand)', () => {
  const message = Buffer.from('0a026b311a0708001a0376616c', 'hex')
  const inside = aggregated([{ partitionKey: 'k1', explicitHashKey: null, data: Buffer.from('val') }])
  assert.equal(inside.subarray(4, -16).toString('hex'), message.toString('hex'))
})

test('sequence numbers say where a record lies, and sort as records do', () => {
  const shardCreatedMs = 1_700_000_000_000
  fc.assert(
    fc.property(fc.nat(2 ** 31 - 1), fc.nat(2 ** 40), fc.nat(10 ** 9), (shard, index, later) => {
      const of = { shard, shardCreatedMs, index: BigInt(index), timeMs: shardCreatedMs + later }
      const parsed = parseSequenceNumber(sequenceNumber(of))!
      assert.deepEqual(
        [parsed.version, parsed.shard, parsed.index, parsed.shardCreatedMs],
        [2, shard, BigInt(index), shardCreatedMs],
      )
      assert.equal(parsed.timeMs, Math.floor((shardCreatedMs + later) / 1_000) * 1_000)
      // Whatever its time is.
      const next = sequenceNumber({ ...of, index: BigInt(index) + 1n, timeMs: 0 })
      assert.ok(BigInt(next) > BigInt(sequenceNumber(of)))
      assert.ok(BigInt(sequenceNumber({ ...of, index: endIndex })) > BigInt(next))
    }),
  )
  for (const text of ['', 'x', '-1', '9'.repeat(57), '1'.repeat(129)])
    assert.equal(parseSequenceNumber(text), null, text)
})

test('a message of an event stream has its lengths and its two checks', () => {
  const bytes = encodeEvent({ headers: { ':event-type': 'initial-response' }, payload: Buffer.from('{}') })
  assert.equal(bytes.readUInt32BE(0), bytes.length)
  assert.equal(bytes.readUInt32BE(4), 1 + 11 + 1 + 2 + 16)
  assert.equal(bytes.readUInt32BE(8), crc32(bytes.subarray(0, 8)))
  assert.equal(bytes.readUInt32BE(bytes.length - 4), crc32(bytes.subarray(0, -4)))
})

test('a signature is that of AWS’s own example (get-vanilla-query-order-key-case of its test suite)', () => {
  const request = {
    method: 'GET',
    target: '/?Param2=value2&Param1=value1',
    headers: { host: 'example.amazonaws.com', 'x-amz-date': '20150830T123600Z' },
    body: Buffer.alloc(0),
  }
  const signed = {
    keyId: 'AKIDEXAMPLE',
    scope: ['20150830', 'us-east-1', 'service', 'aws4_request'] as const,
    signedHeaders: ['host', 'x-amz-date'],
    at: '20150830T123600Z',
    inQuery: false,
    signature: 'b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500',
  }
  const secret = 'wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY'
  assert.equal(signatureOf(secret, request, signed), signed.signature)
  assert.ok(isSignedBy(secret, request, signed))
  assert.ok(!isSignedBy(`${secret}x`, request, signed))
  assert.ok(!isSignedBy(secret, { ...request, body: Buffer.from('x') }, signed))
})
