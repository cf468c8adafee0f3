import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '../../../src/lib/fault.ts'
import { fromJson, toJson } from '../../../src/wire/protobuf/json.ts'
import {
  type Of,
  bool,
  bytes,
  decode,
  encode,
  enumOf,
  int32,
  int64,
  list,
  message,
  string,
  stringMap,
  sub,
} from '../../../src/wire/protobuf/message.ts'
import { duration, fieldMask, timestamp } from '../../../src/wire/protobuf/well-known.ts'

const inner = message('Inner', { text: string(1), number: int64(2) })
const whole = message('Whole', {
  someText: string(1),
  data: bytes(2),
  isSo: bool(3),
  small: int32(4),
  large: int64(5),
  kind: enumOf(6, { NONE: 0, ONE: 1, TWO: 2 }),
  one: sub(7, inner),
  many: list(8, inner),
  texts: list(string(9)),
  numbers: list(int32(10)),
  labels: stringMap(11),
  at: sub(12, timestamp),
  took: sub(13, duration),
  mask: sub(14, fieldMask),
})
const proto = `syntax = "proto3";
  message Inner { string text = 1; int64 number = 2; }
  enum Kind { NONE = 0; ONE = 1; TWO = 2; }
  message At { int64 seconds = 1; int32 nanos = 2; }
  message Mask { repeated string paths = 1; }
  message Whole { string some_text = 1; bytes data = 2; bool is_so = 3; int32 small = 4; int64 large = 5; Kind kind = 6;
    Inner one = 7; repeated Inner many = 8; repeated string texts = 9; repeated int32 numbers = 10;
    map<string, string> labels = 11; At at = 12; At took = 13; Mask mask = 14; }`
/** As far as it is used here. */
interface Peer {
  decode(bytes: Uint8Array): object
  encode(value: object): { finish(): Uint8Array }
  fromObject(value: object): object
  toObject(value: object, options: object): Record<string, unknown>
}
const { parse } = createRequire(import.meta.url)('protobufjs') as {
  parse(text: string): { root: { lookupType(name: string): Peer } }
}
const peer = parse(proto).root.lookupType('Whole')

const text = fc.string({ unit: 'grapheme', maxLength: 200 })
const plainly = { noNullPrototype: true } as const
const innerValue = fc.record({ text, number: fc.maxSafeInteger() }, plainly)
const seconds = fc.record(
  {
    seconds: fc.integer({ min: 0, max: 4e9 }),
    nanos: fc.integer({ min: 0, max: 999_999_999 }),
  },
  plainly,
)
const value = fc.record(
  {
    someText: text,
    data: fc.uint8Array({ maxLength: 300 }),
    isSo: fc.boolean(),
    small: fc.integer(),
    large: fc.maxSafeInteger(),
    kind: fc.constantFrom('NONE', 'ONE', 'TWO'),
    one: fc.option(innerValue),
    many: fc.array(innerValue, { maxLength: 3 }),
    texts: fc.array(text, { maxLength: 3 }),
    numbers: fc.array(fc.integer(), { maxLength: 5 }),
    labels: fc.dictionary(text, text, { maxKeys: 3 }).map((all) => new Map(Object.entries(all))),
    at: fc.option(seconds),
    took: fc.option(seconds),
    mask: fc.option(fc.record({ paths: fc.array(fc.constantFrom('a', 'b_c', 'd.e_f'), { maxLength: 2 }) }, plainly)),
  },
  plainly,
) as fc.Arbitrary<Of<typeof whole>>
const plain = (held: Of<typeof whole>) => ({ ...held, data: Buffer.from(held.data) })

test('what is encoded is decoded again, and protobufjs reads it the same', () => {
  fc.assert(
    fc.property(value, (held) => {
      const encoded = encode(whole, held)
      assert.deepEqual(plain(decode(whole, encoded)), plain(held))
      const read = peer.toObject(peer.decode(encoded), { longs: Number, enums: String, defaults: true })
      assert.deepEqual(
        [read['someText'], read['small'], read['large'], read['kind']],
        [held.someText, held.small, held.large, held.kind],
      )
      assert.deepEqual(read['numbers'], held.numbers)
      assert.deepEqual({ ...(read['labels'] as object) }, Object.fromEntries(held.labels))
    }),
  )
})
test('what protobufjs has written is read', () => {
  fc.assert(
    fc.property(value, (held) => {
      const given = peer.fromObject({ ...held, labels: Object.fromEntries(held.labels) })
      assert.deepEqual(plain(decode(whole, peer.encode(given).finish())), plain(held))
    }),
  )
})
test('as JSON and back nothing changes', () => {
  fc.assert(
    fc.property(value, (held) => {
      const json = JSON.parse(JSON.stringify(toJson(whole, held))) as unknown
      assert.deepEqual(plain(fromJson(whole, json)), plain(held))
    }),
  )
})
test('unknown fields are passed over; the last value of a field counts', () => {
  const more = message('More', { text: string(1), extra: string(99), other: int64(98), deep: sub(97, inner) })
  const written = encode(more, { text: 'a', extra: 'x'.repeat(500), other: -5, deep: { text: 'y' } })
  assert.deepEqual(decode(inner, Buffer.concat([written, encode(inner, { text: 'b' })])), { text: 'b', number: 0 })
})
test('bytes that are no message are a fault, whatever they are', () => {
  fc.assert(
    fc.property(value, fc.nat(), fc.nat(255), (held, at, byte) => {
      const changed = Buffer.from(encode(whole, held))
      if (changed.length === 0) return
      changed[at % changed.length] = byte
      try {
        decode(whole, changed.subarray(0, Math.max(1, at % (2 * changed.length))))
      } catch (error) {
        assert.ok(error instanceof Fault, String(error))
        assert.equal(error.code, 'wire.malformed')
      }
    }),
  )
})
test('JSON that does not fit says where', () => {
  for (const [json, says] of [
    [[], /the body is no object/],
    [{ nonsense: 1 }, /Unknown name "nonsense"/],
    [{ one: { nonsense: 1 } }, /Unknown name "nonsense" at 'one'/],
    [{ someText: 1 }, /someText is no text/],
    [{ many: {} }, /many is no list/],
    [{ many: [{ number: 'x' }] }, /many\[0\]\.number/],
    [{ kind: 'THREE' }, /Invalid value at 'kind'/],
    [{ small: 2 ** 40 }, /beyond 32 bits/],
    [{ at: 'yesterday' }, /no time/],
    [{ took: 5 }, /no duration/],
    [{ data: 'ä' }, /Base64/],
    [{ labels: { a: 1 } }, /labels\.a/],
  ] as const)
    assert.throws(
      () => fromJson(whole, json),
      (error: Error) => error instanceof TypeError && says.test(error.message),
    )
  assert.equal(fromJson(whole, { some_text: 'snake' }).someText, 'snake')
  assert.equal(fromJson(whole, { large: '12' }).large, 12)
})
