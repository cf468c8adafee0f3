import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import {
  detach,
  disposition,
  end,
  fieldsOf,
  flow,
  transactionalState,
  transfer,
  valueOf,
} from '../../../src/wire/amqp/composites.ts'
import { batchFormat } from '../../../src/wire/amqp/sections.ts'
import { type Entries, type Value, entryOf, numberOf, symbol, text, textOf } from '../../../src/wire/amqp/values.ts'
import { limits } from '../../../src/lib/limits.ts'
import { decodeBatch } from '../../../src/log/batch.ts'
import type { Offset } from '../../../src/lib/brand.ts'
import { type LocalHubs, startHubs } from './local-hubs.ts'
import { RawClient, type ReceivedEvent, batchOf, message, sequenceOf } from './raw-client.ts'

let hubs: LocalHubs
before(async () => {
  hubs = await startHubs({ hubs: { hub: 2, view: 1 }, viewTopics: ['view'] })
})
after(() => hubs[Symbol.asyncDispose]())
let names = 0
async function freshHub(partitions = 1, config: Readonly<Record<string, string>> = {}): Promise<string> {
  const name = `hub-${names++}`
  await hubs.log.topics.create([{ name, partitions, config }])
  return name
}
const open = (): Promise<RawClient> => RawClient.open({ port: hubs.port })
const from = (hub: string, partition = 0): string => `${hub}/ConsumerGroups/$Default/Partitions/${partition}`
const start = "amqp.annotation.x-opt-offset > '-1'"
const body = (text: string): Buffer => message({ body: Buffer.from(text) })
const bodies = (events: readonly ReceivedEvent[]): string[] => events.map(({ data }) => String(data))
async function recordsIn(topic: string, index = 0) {
  const chunks = await hubs.log.reader().read([{ partition: { topic, index }, offset: 0 as Offset }])
  return chunks.flatMap((chunk) => ('fault' in chunk ? [] : chunk.batches.flatMap(decodeBatch)))
}

test('one message, a batch and a keyed batch are stored and come out with their numbers', async () => {
  const hub = await freshHub()
  await using client = await open()
  const sender = await client.sender(hub)
  assert.equal(sender.attached.maxMessageSize, 1024n * 1024n)
  assert.equal(await sender.send(body('one')), null)
  assert.equal(await sender.sendBatch([body('two'), body('three')]), null)
  assert.equal(await sender.sendBatch([body('four')], 'a key'), null)
  const receiver = await client.receiver(from(hub), { selector: start, credit: 10 })
  const events = await receiver.take(4)
  assert.deepEqual(bodies(events), ['one', 'two', 'three', 'four'])
  assert.deepEqual(events.map(sequenceOf), [0, 1, 2, 3])
  const { annotations } = events[3]!
  assert.equal(textOf(entryOf(annotations, 'x-opt-partition-key')), 'a key')
  assert.equal(textOf(entryOf(annotations, 'x-opt-offset')), '3')
  assert.ok(numberOf(entryOf(annotations, 'x-opt-enqueued-time'))! > Date.now() - 60_000)
  assert.equal(entryOf(events[0]!.annotations, 'x-opt-partition-key'), null)
})
test('events of one key go to one partition, that of its murmur2, and one that names its partition there', async () => {
  const hub = await freshHub(4)
  await using client = await open()
  const sender = await client.sender(hub)
  for (let i = 0; i < 8; i++) assert.equal(await sender.sendBatch([body(`${i}`)], 'same'), null)
  const third = await client.sender(`amqps://host.example/${hub}/Partitions/3`)
  assert.equal(await third.send(body('there')), null)
  const counts = await Promise.all([0, 1, 2, 3].map(async (index) => (await recordsIn(hub, index)).length))
  assert.deepEqual(counts.filter((count) => count >= 8).length, 1)
  assert.ok((await recordsIn(hub, 3)).some(({ value }) => String(value) === 'there'))
})

const everyType: readonly (readonly [string, Value])[] = [
  ['text', text('ä')],
  ['content-type', text('looks like a property of the message')],
  ['amqp-types', text('{')],
  ['mr-ttl', text('5s')],
  ['__proto__', { type: 'int', value: 5 }],
  ['int', { type: 'int', value: -7 }],
  ['long', { type: 'long', value: 2n ** 60n }],
  ['ulong', { type: 'ulong', value: 2n ** 63n }],
  ['double', { type: 'double', value: 1.5 }],
  ['float', { type: 'float', value: -0 }],
  ['no', { type: 'boolean', value: false }],
  ['nothing', { type: 'null', value: null }],
  ['time', { type: 'timestamp', value: 1_700_000_000_123n }],
  ['uuid', { type: 'uuid', value: '01234567-89ab-cdef-0123-456789abcdef' }],
  ['bytes', { type: 'binary', value: Buffer.from([0, 255]) }],
  ['symbol', symbol('s')],
  ['char', { type: 'char', value: '😀' }],
  ['decimal', { type: 'decimal64', value: Buffer.from('12345678') }],
]
test('application properties of every type, properties and annotations come back as they were', async () => {
  const hub = await freshHub()
  await using client = await open()
  const sender = await client.sender(hub)
  const application = everyType.map(([name, value]) => [text(name), value] as const)
  const properties = {
    messageId: { type: 'ulong', value: 99n },
    userId: Buffer.from('me'),
    to: text('there'),
    subject: 'about',
    replyTo: text('back'),
    correlationId: { type: 'uuid', value: '01234567-89ab-cdef-0123-456789abcdef' },
    contentType: 'application/json',
    contentEncoding: 'gzip',
    absoluteExpiryTime: 1_700_000_000_000n,
    creationTime: -1n,
    groupId: 'g',
    groupSequence: 4_000_000_000,
    replyToGroupId: 'r',
  } as const
  const annotations = [[symbol('x-own'), { type: 'list', value: [text('a'), { type: 'int', value: 1 }] }]] as const
  assert.equal(await sender.send(message({ body: Buffer.from('b'), application, properties, annotations })), null)
  const receiver = await client.receiver(from(hub), { selector: start, credit: 1 })
  const [event] = await receiver.take(1)
  assert.deepEqual(event!.application, application)
  assert.deepEqual({ ...event!.properties }, properties)
  assert.deepEqual(entryOf(event!.annotations, 'x-own'), annotations[0][1])
  const [record] = await recordsIn(hub)
  const headers = new Map(record!.headers.map(([name, value]) => [name, value === null ? null : String(value)]))
  assert.equal(headers.get('content-type'), 'application/json')
  assert.equal(headers.get('int'), '-7')
  assert.equal(headers.get('time'), '2023-11-14T22:13:20.123Z')
})
test('a body that is a value or several data sections comes back as it was, and is plain for others', async () => {
  const hub = await freshHub()
  await using client = await open()
  const sender = await client.sender(hub)
  const value: Value = {
    type: 'map',
    value: [[text('a'), { type: 'list', value: [{ type: 'ushort', value: 7 }, text('x')] }]],
  }
  assert.equal(await sender.send(message({ body: value })), null)
  const two = Buffer.concat([body('ab'), body('cd')])
  assert.equal(await sender.send(two), null)
  assert.equal(await sender.send(message({ body: { type: 'null', value: null } })), null)
  const receiver = await client.receiver(from(hub), { selector: start, credit: 3 })
  const [first, second, third] = await receiver.take(3)
  assert.deepEqual(first!.body, value)
  assert.ok(second!.bytes.includes(two))
  assert.deepEqual(third!.body, { type: 'null', value: null })
  const records = await recordsIn(hub)
  assert.deepEqual(
    records.map((one) => (one.value === null ? null : String(one.value))),
    ['{"a":[7,"x"]}', 'abcd', null],
  )
})

test('a receiver begins where its selector says', async () => {
  const hub = await freshHub()
  await using client = await open()
  const sender = await client.sender(hub)
  for (let i = 0; i < 5; i++) {
    await sender.send(body(`${i}`))
    await new Promise((resolve) => setTimeout(resolve, 3))
  }
  const times = (await recordsIn(hub)).map(({ timeMs }) => timeMs)
  const cases: readonly (readonly [selector: string, first: string])[] = [
    ["amqp.annotation.x-opt-offset > '2'", '3'],
    ["amqp.annotation.x-opt-offset >= '2'", '2'],
    ["amqp.annotation.x-opt-sequence-number > '1'", '2'],
    ["amqp.annotation.x-opt-sequence-number >= '1'", '1'],
    [`amqp.annotation.x-opt-enqueued-time > '${times[2]}'`, '3'],
    [`amqp.annotation.x-opt-enqueued-time >= '${times[2]}'`, '2'],
    [`amqp.annotation.x-opt-enqueued-time > ${times[4]! - 1}`, '4'],
  ]
  for (const [selector, first] of cases) {
    const receiver = await client.receiver(from(hub), { selector, credit: 1 })
    assert.deepEqual(bodies(await receiver.take(1)), [first], selector)
    receiver.detach()
    await client.next(detach)
  }
  const latest = await client.receiver(from(hub), { selector: "amqp.annotation.x-opt-offset > '@latest'", credit: 5 })
  await sender.send(body('new'))
  assert.deepEqual(bodies(await latest.take(1)), ['new'])
  const none = await client.receiver(from(hub), { credit: 1 })
  assert.deepEqual(bodies(await none.take(1)), ['0'])
})
test('a link that is refused has no ends; for the client that cannot do without it has empty ones', async () => {
  const properties: Entries = [[symbol('product'), text('azsdk-python-eventhubs')]]
  for (const [open, hasEnds] of [
    [{}, false],
    [{ properties }, true],
  ] as const) {
    await using client = await RawClient.open({ port: hubs.port, open })
    const sender = await client.sender('nowhere')
    const receiver = await client.receiver(from('nowhere'))
    for (const { attached } of [sender, receiver])
      assert.deepEqual([attached!.source !== null, attached!.target !== null], [hasEnds, hasEnds])
    assert.equal((await client.detached()).condition, 'amqp:not-found')
  }
})
test('transactions are refused: their coordinator, and messages that belong to one', async () => {
  const hub = await freshHub()
  await using client = await open()
  const coordinator = { type: 'described', descriptor: { type: 'ulong', value: 0x30n } } as const
  const { attached } = await client.sender('', { target: { ...coordinator, value: { type: 'list', value: [] } } })
  assert.equal(attached.target, null)
  assert.equal((await client.detached()).condition, 'amqp:not-implemented')
  const sender = await client.sender(hub)
  const state = valueOf(transactionalState, { txnId: Buffer.from('t') })
  const given = { handle: sender.handle, deliveryId: client.nextDelivery(), deliveryTag: Buffer.from('1'), state }
  client.write(0, transfer, { ...given, messageFormat: 0, settled: false, more: false }, body('in a transaction'))
  const { handle, condition } = await client.detached()
  assert.deepEqual([handle, condition], [sender.handle, 'amqp:not-implemented'])
  assert.equal(await (await client.sender(hub)).send(body('by itself')), null)
  assert.deepEqual(
    (await recordsIn(hub)).map(({ value }) => String(value)),
    ['by itself'],
  )
})
test('a receiver of a lower level is refused on a link with its own end alone', async () => {
  const hub = await freshHub()
  await using client = await open()
  await client.receiver(from(hub), { epoch: 2 })
  const { attached } = await client.receiver(from(hub), { epoch: 1 })
  assert.deepEqual([attached!.source, attached!.target === null], [null, false])
  assert.equal((await client.detached()).condition, 'amqp:link:stolen')
})
test('what cannot be attached is refused with the condition that clients know', async () => {
  const hub = await freshHub(2)
  await using client = await open()
  const refused = async (attach: Promise<unknown>): Promise<string | null> => {
    await attach
    return (await client.detached()).condition
  }
  assert.equal(await refused(client.sender('nowhere')), 'amqp:not-found')
  assert.equal(await refused(client.sender('_millrace_catalog')), 'amqp:not-found')
  assert.equal(await refused(client.sender(`${hub}/Partitions/2`)), 'com.microsoft:argument-out-of-range')
  assert.equal(await refused(client.sender(`${hub}/Partitions/x`)), 'com.microsoft:argument-out-of-range')
  assert.equal(await refused(client.sender('view')), 'com.microsoft:argument-error')
  assert.equal(await refused(client.receiver(from('nowhere'))), 'amqp:not-found')
  assert.equal(await refused(client.receiver(from(hub, 9))), 'com.microsoft:argument-out-of-range')
  assert.equal(await refused(client.receiver(hub)), 'amqp:not-allowed')
  const beyond = client.receiver(from(hub), { selector: "amqp.annotation.x-opt-offset > '99'" })
  assert.equal(await refused(beyond), 'com.microsoft:argument-out-of-range')
  const odd = client.receiver(from(hub), { selector: "amqp.annotation.x-opt-offset < '99'" })
  assert.equal(await refused(odd), 'com.microsoft:argument-error')
  const group = client.receiver(`${hub}/ConsumerGroups/a b/Partitions/0`)
  assert.equal(await refused(group), 'com.microsoft:argument-error')
  // The connection lives on.
  assert.equal(await (await client.sender(hub)).send(body('x')), null)
})

test('no more comes than there is credit for, and draining takes what is left of it away', async () => {
  const hub = await freshHub()
  await using client = await open()
  const sender = await client.sender(hub)
  await sender.sendBatch(Array.from({ length: 10 }, (_, i) => body(`${i}`)))
  const receiver = await client.receiver(from(hub), { selector: start, credit: 3 })
  assert.deepEqual(bodies(await receiver.take(3)), ['0', '1', '2'])
  await assert.rejects(receiver.take(1, 100))
  receiver.credit(100, { drain: true })
  assert.equal((await receiver.take(7)).length, 7)
  let drained = fieldsOf((await client.next(flow)).value, flow)
  while (drained.handle !== receiver.handle) drained = fieldsOf((await client.next(flow)).value, flow)
  assert.equal(drained.linkCredit, 0)
  assert.equal(drained.drain, true)
  assert.equal(drained.deliveryCount, 3 + 100)
})
test("a session's window holds events back until it is open again", async () => {
  const hub = await freshHub()
  await using client = await RawClient.open({ port: hubs.port, incomingWindow: 2 })
  const sender = await client.sender(hub)
  await sender.sendBatch(Array.from({ length: 5 }, (_, i) => body(`${i}`)))
  const receiver = await client.receiver(from(hub), { selector: start })
  receiver.credit(100, { incomingWindow: 2 })
  assert.equal((await receiver.take(2)).length, 2)
  await assert.rejects(receiver.take(1, 100))
  client.write(0, flow, { nextIncomingId: 2, incomingWindow: 2, nextOutgoingId: 0, outgoingWindow: 100 })
  assert.equal((await receiver.take(2)).length, 2)
  await assert.rejects(receiver.take(1, 100))
})
test('a message of many frames goes in and comes out whole; one that is too large ends its link', async () => {
  const hub = await freshHub()
  await using client = await RawClient.open({ port: hubs.port, open: { maxFrameSize: 1024 } })
  const sender = await client.sender(hub)
  const large = Buffer.alloc(900_000, 'abcdefg')
  assert.equal(await sender.send(message({ body: large }), 0, 30_000), null)
  const receiver = await client.receiver(from(hub), { selector: start, credit: 1 })
  const [event] = await receiver.take(1)
  assert.ok(event!.data!.equals(large))
  sender.post(message({ body: Buffer.alloc(1_100_000) }))
  assert.equal((await client.detached()).condition, 'amqp:link:message-size-exceeded')
})
test('a message that is none is rejected by itself, and others are stored', async () => {
  const hub = await freshHub()
  await using client = await open()
  const sender = await client.sender(hub)
  assert.equal(await sender.send(Buffer.from('no message')), 'amqp:decode-error')
  assert.equal(await sender.send(Buffer.from([0, 0x53, 0x75, 0xa0, 200, 1]), batchFormat), 'amqp:decode-error')
  assert.equal(await sender.send(batchOf([]), batchFormat), 'amqp:decode-error')
  assert.equal(await sender.send(body('good')), null)
  assert.equal((await recordsIn(hub)).length, 1)
})
test('a settled message is stored without an answer, one that was given up is not stored', async () => {
  const hub = await freshHub()
  await using client = await open()
  const { handle } = await client.sender(hub)
  client.write(0, transfer, { handle, deliveryId: 0, deliveryTag: Buffer.from('0'), settled: true }, body('settled'))
  client.write(0, transfer, { handle, deliveryId: 1, deliveryTag: Buffer.from('1'), more: true }, body('given up'))
  client.write(0, transfer, { handle, deliveryId: 1, aborted: true })
  client.write(0, transfer, { handle, deliveryId: 2, deliveryTag: Buffer.from('2') }, body('last'))
  const { first, settled } = fieldsOf((await client.next(disposition)).value, disposition)
  assert.deepEqual([first, settled], [2, true])
  assert.deepEqual(
    (await recordsIn(hub)).map(({ value }) => String(value)),
    ['settled', 'last'],
  )
})
test('what a topic has that Kafka made is a hub, and a lost beginning is passed over', async () => {
  const hub = await freshHub()
  await using client = await open()
  const sender = await client.sender(hub)
  await sender.sendBatch([body('0'), body('1'), body('2')])
  await hubs.log.topics.trim([{ partition: { topic: hub, index: 0 }, offset: 2 as Offset }])
  const receiver = await client.receiver(from(hub), { selector: "amqp.annotation.x-opt-offset > '0'", credit: 5 })
  assert.deepEqual(bodies(await receiver.take(1)), ['2'])
})
test('a handle that is not attached ends its session, and the connection goes on', async () => {
  await using client = await open()
  client.write(0, transfer, { handle: 5, deliveryId: 0, deliveryTag: Buffer.from('0') }, body('x'))
  const why = fieldsOf((await client.next(end)).value, end).error
  assert.match(
    JSON.stringify(why, (_, value: unknown) => (typeof value === 'bigint' ? `${value}` : value)),
    /unattached-handle/,
  )
  assert.equal(client.isClosed, false)
})

test("a publisher's own address is the key of all its events", async () => {
  const hub = await freshHub(4)
  await using client = await open()
  const sender = await client.sender(`${hub}/Publishers/device-7`)
  for (let i = 0; i < 3; i++) assert.equal(await sender.send(body(`${i}`)), null)
  const found = await Promise.all([0, 1, 2, 3].map((index) => recordsIn(hub, index)))
  const [records, ...others] = found.filter(({ length }) => length > 0)
  assert.deepEqual(
    records?.map(({ key, value }) => `${String(key)} ${String(value)}`),
    ['device-7 0', 'device-7 1', 'device-7 2'],
  )
  assert.equal(others.length, 0)
  await client.sender(`${hub}/Publishers/${'x'.repeat(limits.amqpKeyLength + 1)}`)
  assert.equal((await client.detached()).condition, 'com.microsoft:argument-error')
})
