import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { LogRecord } from '../../src/log/batch.ts'
import { messageOf } from '../../src/log/mqtt-message.ts'

const place = { topic: 'mqtt.a', index: 0, offset: 0 }
const properties = (name: string, value: Uint8Array | string) =>
  messageOf(
    { key: null, value: null, timeMs: 0, offset: 0, headers: [[name, Buffer.from(value)]] } as unknown as LogRecord,
    'a',
    place,
  ).properties

test('what MQTT has a property for is one where its value may stand there', () => {
  assert.deepEqual(properties('content-type', 'text/plain'), { contentType: 'text/plain' })
  assert.deepEqual(properties('reply-to', 'answers/1'), { responseTopic: 'answers/1' })
  const longest = Buffer.alloc(0xffff, 1)
  assert.deepEqual(properties('correlation-id', longest), { correlationData: longest })
})

test('where it may not, nothing is lost without a word: it is a user property', () => {
  const noText = Buffer.from([0xff, 0xfe])
  assert.deepEqual(properties('content-type', noText), { userProperties: [['content-type-base64', '//4=']] })
  assert.deepEqual(properties('reply-to', noText), { userProperties: [['reply-to-base64', '//4=']] })
  assert.deepEqual(properties('reply-to', 'answers/#'), { userProperties: [['reply-to', 'answers/#']] })
  assert.deepEqual(properties('reply-to', ''), { userProperties: [['reply-to', '']] })
  const [user] = properties('correlation-id', Buffer.alloc(0x10000, 1))!.userProperties!
  assert.equal(user![0], 'correlation-id-base64')
  assert.deepEqual(Buffer.from(user![1], 'base64'), Buffer.alloc(0xbffc, 1))
  assert.ok(user![1].length <= 0xffff)
})
