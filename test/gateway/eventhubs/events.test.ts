/** Messages into records and back, without a connection; rhea reads what comes out. */
import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import fc from 'fast-check'
import { recordsOf } from '../../../src/gateway/eventhubs/event-in.ts'
import { writeEvent } from '../../../src/gateway/eventhubs/event-out.ts'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import { type RecordInput, encodeBatch, rawRecords } from '../../../src/log/batch.ts'
import { batchFormat } from '../../../src/wire/amqp/sections.ts'
import { type Entries, type Value, symbol, text } from '../../../src/wire/amqp/values.ts'
import { anyValue, simple } from '../../wire/amqp/arbitrary.ts'
import { batchOf, eventOf, message } from './raw-client.ts'

const rhea = createRequire(import.meta.url)('rhea') as { message: { decode(bytes: Buffer): { body: unknown } } }

function out(records: readonly RecordInput[]): Buffer[] {
  const raw = rawRecords([encodeBatch(records)])
  return records.map((_, i) => {
    const writer = new ByteWriter(16)
    writeEvent(writer, raw, i, null)
    return Buffer.from(writer.done())
  })
}
/** rhea reads every section of it. */
const readable = (bytes: Buffer): void => void rhea.message.decode(bytes)

const names = fc.oneof(
  fc.string({ minLength: 1, maxLength: 20 }),
  fc.constantFrom(
    'content-type',
    'mr-ttl',
    'amqp-body',
    'amqp-types',
    'amqp-property-x',
    '__proto__',
    'constructor',
    'ü',
  ),
)
/** A map has a name once; what is no simple value is let through as well. */
const properties = fc
  .uniqueArray(fc.tuple(names, fc.oneof(simple, anyValue)), { selector: ([name]) => name, maxLength: 6 })
  .map((pairs): Entries => pairs.map(([name, value]) => [text(name), value] as const))
const bytes = fc.uint8Array({ maxLength: 300 }).map((found) => Buffer.from(found))

test('application properties, bodies and keys come out as they went in', () => {
  fc.assert(
    fc.property(properties, fc.oneof(bytes, anyValue), fc.option(fc.string({ maxLength: 100 })), (given, body, key) => {
      const sent = message({ body, application: given })
      const records = recordsOf(batchOf([sent, sent], key ?? undefined), batchFormat, 1_700_000_000_000)
      for (const event of out(records)) {
        const found = eventOf(event)
        assert.deepEqual(found.application, given)
        if (body instanceof Uint8Array) assert.ok(found.data!.equals(body))
        else assert.deepEqual(found.body, body)
        const shown = found.annotations.find(([name]) => name.value === 'x-opt-partition-key')?.[1].value ?? null
        assert.equal(shown, key)
      }
    }),
    { numRuns: 2_000 },
  )
})
test('properties of a message and its annotations come out as they went in', () => {
  const id = fc.oneof(
    fc.string().map(text),
    fc.uuid().map((value): Value => ({ type: 'uuid', value })),
    fc.bigInt({ min: 0n, max: 2n ** 64n - 1n }).map((value): Value => ({ type: 'ulong', value })),
    bytes.map((value): Value => ({ type: 'binary', value })),
  )
  const times = fc.bigInt({ min: -(2n ** 60n), max: 2n ** 60n })
  const given = fc.record(
    {
      messageId: id,
      userId: bytes,
      to: id,
      subject: fc.string(),
      replyTo: id,
      correlationId: id,
      contentType: fc.stringMatching(/^[ -~]{0,30}$/),
      contentEncoding: fc.stringMatching(/^[ -~]{0,30}$/),
      absoluteExpiryTime: times,
      creationTime: times,
      groupId: fc.string(),
      groupSequence: fc.integer({ min: 0, max: 0xffff_ffff }),
      replyToGroupId: fc.string(),
    },
    { requiredKeys: [] },
  )
  fc.assert(
    fc.property(given, anyValue, (properties, annotation) => {
      const annotations: Entries = [[symbol('x-own'), annotation]]
      const [record] = recordsOf(message({ body: Buffer.from('b'), properties, annotations }), 0, 0)
      const [event] = out([record!])
      const found = eventOf(event!)
      const shown = Object.fromEntries(Object.entries(found.properties ?? {}).filter(([, value]) => value !== null))
      assert.deepEqual(shown, { ...properties })
      assert.deepEqual(found.annotations.find(([name]) => name.value === 'x-own')?.[1], annotation)
    }),
    { numRuns: 2_000 },
  )
})
test('whatever others write into headers, a message comes out that can be read', () => {
  const special = fc.constantFrom(
    ...['amqp-types', 'amqp-body', 'amqp-annotations', 'amqp-footer', 'amqp-durable', 'amqp-priority', 'mr-ttl'],
    ...['content-type', 'message-id', 'amqp-creation-time', 'amqp-group-sequence', 'amqp-user-id', 'subject', 'x'],
  )
  const value = fc.option(
    fc.oneof(
      bytes,
      fc.string().map(Buffer.from),
      fc.constantFrom('{"x":"int"}', '5', 'null').map((one) => Buffer.from(one)),
    ),
  )
  const headers = fc.array(fc.tuple(special, value), { maxLength: 8 })
  fc.assert(
    fc.property(
      headers,
      fc.option(bytes),
      fc.option(bytes),
      fc.integer({ min: -1, max: 2 ** 45 }),
      (given, key, body, timeMs) => {
        const [event] = out([{ key, value: body, headers: given, timeMs }])
        readable(event!)
        const found = eventOf(event!)
        assert.ok(found.annotations.length >= 3)
      },
    ),
    { numRuns: 4_000 },
  )
})
