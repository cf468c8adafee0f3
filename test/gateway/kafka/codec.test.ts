import assert from 'node:assert/strict'
import { readdirSync } from 'node:fs'
import { test } from 'node:test'
import fc from 'fast-check'
import { codecOf } from '../../../src/wire/kafka/codec/compile.ts'
import {
  type AnyShape,
  type Encoded,
  array,
  bytes,
  int32,
  int64,
  int8,
  nullable,
  or,
  records,
  since,
  string,
  struct,
  tagged,
  until,
  uuid,
} from '../../../src/wire/kafka/codec/shape.ts'
import { WireReader, WireWriter } from '../../../src/wire/kafka/codec/wire.ts'
import { handlers } from '../../../src/gateway/kafka/handlers/index.ts'
import { messages } from '../../../src/wire/kafka/messages/index.ts'
import { isFlexible } from '../../../src/wire/kafka/header.ts'
import { Fault } from '../../../src/lib/fault.ts'
import { sampleOf } from './arbitrary.ts'

function encode<S extends AnyShape>(shape: S, version: number, flexible: boolean, value: Encoded<S>): Buffer {
  const out = new WireWriter()
  codecOf(shape, version, flexible).encode(value, out)
  return Buffer.concat(out.take())
}
const decode = (shape: AnyShape, version: number, flexible: boolean, frame: Buffer): unknown =>
  codecOf(shape, version, flexible).decode(new WireReader(frame))
const malformed = (call: () => unknown, code = 'wire.malformed'): void =>
  assert.throws(call, (error) => error instanceof Fault && error.code === code)
/** Views of a frame compare as the bytes they show. */
function plain(value: unknown): unknown {
  if (value instanceof Uint8Array) return Buffer.from(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value === 'object' && value !== null)
    return Object.fromEntries(Object.entries(value).map(([name, part]) => [name, plain(part)]))
  return value
}

for (const api of messages)
  test(`${api.name}: what is encoded is decoded again, in every version`, () => {
    const [first, last] = api.versions
    for (let version = first; version <= last; version++)
      for (const shape of [api.request, api.response]) {
        const flexible = isFlexible(api, version)
        fc.assert(
          fc.property(sampleOf(shape, version, flexible), ({ encoded, decoded }) => {
            const frame = encode(shape, version, flexible, encoded)
            const input = new WireReader(frame)
            assert.deepEqual(plain(codecOf(shape, version, flexible).decode(input)), plain(decoded))
            assert.equal(input.left, 0)
          }),
          { numRuns: 25 },
        )
      }
  })

test('every handler and every message has its file, numbered by its key', () => {
  const src = new URL('../../../src/', import.meta.url)
  const files = (name: string): string[] => readdirSync(new URL(name, src)).filter((file) => /^\d\d-.*\.ts$/.test(file))
  assert.ok(handlers.length > 20)
  const offered = files('gateway/kafka/handlers/')
  const declared = files('wire/kafka/messages/')
  assert.deepEqual(
    offered.filter((file) => !declared.includes(file)),
    [],
  )
  assert.deepEqual(
    offered.map((file) => Number(file.slice(0, 2))),
    handlers.map(({ api }) => api.key),
  )
  assert.deepEqual(
    declared.map((file) => Number(file.slice(0, 2))),
    messages.map(({ key }) => key),
  )
  for (const { api, versions } of handlers)
    assert.ok(versions[0] >= api.versions[0] && versions[1] <= api.versions[1], api.name)
})

test('a produce request is the bytes that the protocol says', () => {
  const { api } = handlers[0]!
  const request = {
    transactionalId: null,
    acks: -1,
    timeoutMs: 1500,
    topicData: [{ topicId: '', name: 'hi', partitionData: [{ index: 2, records: [Buffer.from('abc')] }] }],
  }
  assert.equal(
    encode(api.request, 7, false, request).toString('hex'),
    'ffff' + 'ffff' + '000005dc' + '00000001' + '00026869' + '00000001' + '00000002' + '00000003' + '616263',
  )
  assert.equal(
    encode(api.request, 9, true, request).toString('hex'),
    '00' + 'ffff' + '000005dc' + '02' + '036869' + '02' + '00000002' + '04' + '616263' + '00' + '00' + '00',
  )
})

const versioned = struct({
  always: int32,
  late: since(2, or(-7, int64)),
  early: until(1, string),
  maybe: nullable(string, 1),
  extra: tagged(3, or('none', string)),
  id: since(2, uuid),
})
test('a field is on the wire only in its versions, and its fallback stands in elsewhere', () => {
  const id = '00112233-4455-6677-8899-aabbccddeeff'
  const all = { always: 1, late: 5, early: 'e', maybe: null, extra: 'x', id }
  assert.equal(encode(versioned, 0, false, { ...all, maybe: 'm' }).length, 4 + 3 + 3)
  assert.deepEqual(decode(versioned, 1, false, encode(versioned, 1, false, all)), {
    ...all,
    late: -7,
    extra: 'none',
    id: '00000000-0000-0000-0000-000000000000',
  })
  assert.deepEqual(decode(versioned, 2, true, encode(versioned, 2, true, all)), { ...all, early: '' })
})
test('a tagged field is written only where it says something', () => {
  const one = struct({ extra: tagged(3, or('none', string)) })
  assert.equal(encode(one, 0, true, {}).toString('hex'), '00')
  assert.equal(encode(one, 0, true, { extra: 'none' }).toString('hex'), '00')
  assert.equal(encode(one, 0, true, { extra: 'x' }).toString('hex'), '01' + '03' + '02' + '0278')
})
test('tags that nobody knows are passed over; a tag that lies about its length is malformed', () => {
  const one = struct({ extra: tagged(3, or('none', string)) })
  assert.deepEqual(decode(one, 0, true, Buffer.from('02' + '0102abcd' + '03020278', 'hex')), { extra: 'x' })
  malformed(() => decode(one, 0, true, Buffer.from('0103030278', 'hex')))
  malformed(() => decode(one, 0, true, Buffer.from('017fff', 'hex')))
})
test('null where it is not allowed is malformed', () => {
  const one = struct({ name: string, list: array(int32), body: bytes })
  malformed(() => decode(one, 0, false, Buffer.from('ffff', 'hex')))
  malformed(() => decode(one, 0, false, Buffer.from('0000' + 'ffffffff', 'hex')))
  malformed(() => decode(one, 0, false, Buffer.from('0000' + '00000000' + 'ffffffff', 'hex')))
  malformed(() => decode(one, 0, true, Buffer.from('00', 'hex')))
})
test('lengths and counts are checked against the bytes left, before memory is taken', () => {
  const one = struct({ list: array(struct({ a: int64 })), body: nullable(records) })
  malformed(() => decode(one, 0, false, Buffer.from('7fffffff', 'hex')))
  malformed(() => decode(one, 0, false, Buffer.from('00000002' + '0000000000000001', 'hex')))
  malformed(() => decode(one, 0, false, Buffer.from('00000000' + '7fffffff', 'hex')))
  malformed(() => decode(one, 0, false, Buffer.from('00000000' + 'fffffffe', 'hex')))
  malformed(() => decode(one, 0, true, Buffer.from('ffffffff0f', 'hex')))
})
test('small items do not become a crowd of objects', () => {
  const one = struct({ list: array(struct({ a: int8 })) })
  const frame = Buffer.alloc(4 + 1_000_000)
  frame.writeInt32BE(1_000_000)
  malformed(() => decode(one, 0, false, frame), 'wire.too-large')
})
test('an int64 beyond 2^53 is read as the largest that is safe', () => {
  const one = struct({ a: int64, b: int64 })
  assert.deepEqual(decode(one, 0, false, Buffer.from('7fffffffffffffff' + '8000000000000000', 'hex')), {
    a: Number.MAX_SAFE_INTEGER,
    b: Number.MIN_SAFE_INTEGER,
  })
})
test('text that is not UTF-8 is malformed; a replacement character that was sent is not', () => {
  const one = struct({ name: string })
  malformed(() => decode(one, 0, false, Buffer.from('0002c328', 'hex')))
  assert.deepEqual(decode(one, 0, false, Buffer.from('0003efbfbd', 'hex')), { name: '\ufffd' })
})
test('records go out as the buffers they came in', () => {
  const one = struct({ before: int32, body: records, after: int32 })
  const batch = Buffer.alloc(4000, 'x')
  const out = new WireWriter()
  codecOf(one, 0, false).encode({ before: 1, body: [batch, batch], after: 2 }, out)
  assert.equal(out.written, 4 + 4 + 8000 + 4)
  const pieces = out.take()
  assert.equal(pieces.filter((piece) => piece === batch).length, 2)
  assert.equal(Buffer.concat(pieces).readInt32BE(4), 8000)
})
test('a message longer than a slab comes out whole', () => {
  const one = struct({ list: array(string) })
  const value = { list: Array.from({ length: 5000 }, (_, i) => `name number ${i}`) }
  assert.deepEqual(decode(one, 0, true, encode(one, 0, true, value)), value)
})
