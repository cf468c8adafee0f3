import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '../../../src/lib/fault.ts'
import { decode, encode } from '../../../src/wire/protobuf/message.ts'
import { publishRequest, pubsubMessage } from '../../../src/wire/pubsub/messages.ts'
import { readPublishRequest } from '../../../src/wire/pubsub/publish-request.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const message = fc.record({
  data: fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 120, maxLength: 200 })),
  attributes: fc.dictionary(text, text, { maxKeys: 2 }).map((all) => new Map(Object.entries(all))),
  orderingKey: text,
  messageId: fc.constantFrom('', '', '', '', '', 'x'),
})
/** What it is read to, whoever read it. */
const plain = <T extends { topic: string; messages: unknown }>(read: T | null): unknown =>
  read === null ? null : { topic: read.topic, messages: read.messages }
const request = fc.record({ topic: text, messages: fc.array(message, { maxLength: 4 }) })

test('it reads what every message is read by', () => {
  fc.assert(
    fc.property(request, (given) => {
      const body = encode(publishRequest, given)
      // Clients do not give ids: such a request is read by the other.
      const isSeldom = given.messages.some(({ messageId }) => messageId !== '')
      assert.deepEqual(plain(readPublishRequest(body)), isSeldom ? null : decode(publishRequest, body))
    }),
  )
})
test('bytes that were made wrong are left to the other, or read the same', () => {
  const outcome = (read: () => unknown): unknown => {
    try {
      return read()
    } catch (error) {
      assert.ok(error instanceof Fault, String(error))
      return error.code
    }
  }
  fc.assert(
    fc.property(request, fc.nat(), fc.nat(255), (given, at, byte) => {
      const body = Buffer.from(encode(publishRequest, given))
      if (body.length > 0) body[at % body.length] = byte
      const mine = outcome(() => plain(readPublishRequest(body)))
      if (mine === null) return
      assert.deepEqual(
        mine,
        outcome(() => decode(publishRequest, body)),
      )
    }),
    { numRuns: 500 },
  )
})
test('many small items are refused before they take memory, whoever reads them', () => {
  const empty = (count: number): Buffer => Buffer.alloc(2 * count, Buffer.from([0x12, 0]))
  assert.equal(readPublishRequest(empty(1_001))!.messages.length, 1_001)
  const one = Buffer.from(encode(pubsubMessage, { attributes: new Map([['a', 'b']]) }))
  const attributes = Buffer.concat(Array.from({ length: 160_000 }, () => one))
  const length = Buffer.alloc(3)
  for (let i = 0, left = attributes.length; i < 3; i++, left >>>= 7) length[i] = (left & 0x7f) | (i < 2 ? 0x80 : 0)
  const long = Buffer.concat([Buffer.from([0x12]), length, attributes])
  const isTooMany = (error: unknown): boolean => error instanceof Fault && /more than 150000 items/.test(error.message)
  for (const body of [empty(150_001), long])
    for (const read of [readPublishRequest, (some: Buffer) => decode(publishRequest, some)]) {
      const beganMs = performance.now()
      assert.throws(() => read(body), isTooMany)
      assert.ok(performance.now() - beganMs < 2_000)
    }
})
