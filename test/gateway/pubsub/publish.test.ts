/** Requests of many messages, which go to the log without being made objects: what comes of them is what comes of few. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import fc from 'fast-check'
import { grpcFrame } from '../../../src/wire/grpc/frames.ts'
import type { Input } from '../../../src/wire/protobuf/message.ts'
import type { PubsubMessage } from '../../../src/wire/pubsub/messages.ts'
import { Calls, type Fixture, startFixture } from './fixture.ts'

let fixture: Fixture
let calls: Calls
before(async () => {
  fixture = await startFixture()
  calls = new Calls(fixture.client)
})
after(() => fixture[Symbol.asyncDispose]())

const publish = (topic: string, messages: readonly Input<PubsubMessage>[]): Promise<readonly string[]> =>
  calls.publish(topic, ...messages)
const plain = ({
  data = new Uint8Array(0),
  attributes = new Map<string, string>(),
  orderingKey = '',
}: Input<PubsubMessage>): unknown => ({
  data: Buffer.from(data).toString('hex'),
  attributes: [...attributes],
  orderingKey,
})
let made = 0
/** What comes out, by id. */
async function through(
  messages: readonly Input<PubsubMessage>[],
  perRequest: number,
): Promise<ReadonlyMap<string, unknown>> {
  const [topic, sub] = [`many${made}`, `many-sub${made++}`]
  await calls.topic(topic)
  await calls.subscription(sub, topic)
  const ids: string[] = []
  for (let at = 0; at < messages.length; at += perRequest)
    ids.push(...(await publish(topic, messages.slice(at, at + perRequest))))
  const found = new Map<string, unknown>()
  while (found.size < messages.length)
    for (const { message } of await calls.pull(sub, 1_000)) found.set(message!.messageId, plain(message!))
  assert.deepEqual([...found.keys()].toSorted(), ids.toSorted())
  return new Map(ids.map((id) => [id, found.get(id)]))
}
const text = (maxLength: number): fc.Arbitrary<string> =>
  fc.string({ unit: 'grapheme', minLength: 1, maxLength }).filter((one) => one.isWellFormed())
const message = fc.record({
  data: fc.uint8Array({ minLength: 1, maxLength: 300 }),
  attributes: fc
    .dictionary(text(10), text(60), { maxKeys: 12, noNullPrototype: true })
    .map((all) => new Map(Object.entries(all))),
  orderingKey: fc.oneof(fc.constantFrom('', 'a', 'b', 'c'), text(40)),
})
test('many messages in one request are stored as they would be one by one, with the ids of each', async () => {
  await fc.assert(
    fc.asyncProperty(fc.array(message, { minLength: 17, maxLength: 60 }), async (messages) => {
      const together = await through(messages, 1_000)
      assert.deepEqual([...together.values()], messages.map(plain))
      const apart = await through(messages, 5)
      assert.deepEqual([...apart.values()], messages.map(plain))
    }),
    { numRuns: 15 },
  )
})
test('messages of one ordering key lie in the order in which they came, in small requests and in large ones', async () => {
  const topic = 'ordered'
  await calls.topic(topic)
  const message = (i: number): Input<PubsubMessage> => ({ data: Buffer.from(String(i)), orderingKey: `key${i % 3}` })
  // None is waited for: they share turns of the event loop.
  let next = 0
  const requests = [3, 40, 2, 2, 100, 1, 17].map((count) =>
    publish(
      topic,
      Array.from({ length: count }, () => message(next++)),
    ),
  )
  const ids = (await Promise.all(requests)).flat()
  assert.equal(new Set(ids).size, next)
  for (const key of [0, 1, 2]) {
    const own = ids.filter((_, i) => i % 3 === key).map((id) => id.split('-').map(Number))
    assert.equal(new Set(own.map(([partition]) => partition)).size, 1)
    const offsets = own.map(([, offset]) => offset!)
    assert.deepEqual(
      offsets,
      offsets.toSorted((a, b) => a - b),
    )
  }
})
test('a request of many is refused as a whole when one of them is at fault', async () => {
  const topic = 'refused'
  await calls.topic(topic)
  await calls.subscription('refused-sub', topic)
  const good = Array.from({ length: 20 }, (_, i) => ({ data: Buffer.from(String(i)) }))
  const bad: Input<PubsubMessage>[] = [
    {},
    { orderingKey: 'k' },
    { data: Buffer.from('x'), orderingKey: 'k'.repeat(1_025) },
    { attributes: new Map([['', 'v']]) },
    { attributes: new Map([['k'.repeat(257), 'v']]) },
    { attributes: new Map([['k', 'v'.repeat(1_025)]]) },
    { attributes: new Map(Array.from({ length: 101 }, (_, i) => [`k${i}`, 'v'])) },
  ]
  for (const one of bad) await assert.rejects(publish(topic, [...good, one]), { status: 3 })
  await assert.rejects(
    publish(
      topic,
      Array.from({ length: 1_001 }, () => good[0]!),
    ),
    { status: 3 },
  )
  await publish(topic, good)
  assert.equal((await calls.pull('refused-sub', 1_000)).length, good.length)
})
test('of an attribute that a message has twice the last counts', async () => {
  const topic = 'twice'
  await calls.topic(topic)
  await calls.subscription('twice-sub', topic)
  // Maps cannot say it: an entry on the wire is a message of its own.
  const entry = (name: string, value: string): Buffer =>
    Buffer.from([
      0x12,
      4 + name.length + value.length,
      0x0a,
      name.length,
      ...Buffer.from(name),
      0x12,
      value.length,
      ...Buffer.from(value),
    ])
  const own = Buffer.concat([entry('a', 'one'), entry('b', 'x'), entry('a', 'two')])
  const path = `projects/p/topics/${topic}`
  const one = Buffer.concat([Buffer.from([0x12, own.length]), own])
  const body = Buffer.concat([
    Buffer.from([0x0a, path.length]),
    Buffer.from(path),
    ...Array.from({ length: 20 }, () => one),
  ])
  await fixture.client.raw('/google.pubsub.v1.Publisher/Publish', grpcFrame(body))
  const received = await calls.pull('twice-sub', 1_000)
  assert.equal(received.length, 20)
  for (const { message } of received)
    assert.deepEqual(
      [...message!.attributes],
      [
        ['a', 'two'],
        ['b', 'x'],
      ],
    )
})
