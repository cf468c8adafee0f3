import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '../../../src/lib/fault.ts'
import { decode, encode } from '../../../src/wire/protobuf/message.ts'
import { publishRequest } from '../../../src/wire/pubsub/messages.ts'
import { readPublishRequest } from '../../../src/wire/pubsub/publish-request.ts'

const text = fc.string({ unit: 'grapheme', maxLength: 40 })
const message = fc.record({
  data: fc.oneof(fc.uint8Array({ maxLength: 20 }), fc.uint8Array({ minLength: 120, maxLength: 200 })),
  attributes: fc.dictionary(text, text, { maxKeys: 2 }).map((all) => new Map(Object.entries(all))),
  orderingKey: text,
  messageId: fc.constantFrom('', 'x'),
})
const request = fc.record({ topic: text, messages: fc.array(message, { maxLength: 4 }) })

test('it reads what every message is read by', () => {
  fc.assert(
    fc.property(request, (given) => {
      const body = encode(publishRequest, given)
      assert.deepEqual(readPublishRequest(body), decode(publishRequest, body))
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
      const mine = outcome(() => readPublishRequest(body))
      if (mine === null) return
      assert.deepEqual(
        mine,
        outcome(() => decode(publishRequest, body)),
      )
    }),
    { numRuns: 500 },
  )
})
