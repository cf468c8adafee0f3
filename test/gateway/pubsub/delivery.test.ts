import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type Header, encodeBatch } from '../../../src/log/batch.ts'
import { decode } from '../../../src/wire/protobuf/message.ts'
import { bytes, int32, list, message, string } from '../../../src/wire/protobuf/message.ts'
import { errorInfo } from '../../../src/wire/grpc/status.ts'
import { Calls, type Fixture, type RpcFailure, startFixture, textOf } from './fixture.ts'

let fixture: Fixture
let calls: Calls
before(async () => {
  fixture = await startFixture()
  calls = new Calls(fixture.client)
})
after(() => fixture[Symbol.asyncDispose]())
let made = 0
async function pair(more: Parameters<Calls['subscription']>[2] = {}): Promise<{ topic: string; sub: string }> {
  const [topic, sub] = [`topic${made}`, `sub${made++}`]
  await calls.topic(topic)
  await calls.subscription(sub, topic, more)
  return { topic, sub }
}
const path = (sub: string): string => `projects/p/subscriptions/${sub}`
const idsOf = (all: readonly { ackId: string }[]): string[] => all.map(({ ackId }) => ackId)

test('a pull gives what was published after the subscription was made, and not what is out', async () => {
  const { topic, sub } = await pair()
  await calls.publish(topic, 'a', 'b')
  assert.deepEqual((await calls.pull(sub)).map(textOf), ['a', 'b'])
  assert.deepEqual(await calls.pull(sub, 10, true), [])
})
test('what is acknowledged does not come back; what is nacked does, with the same id', async () => {
  const { topic, sub } = await pair()
  await calls.publish(topic, 'a', 'b')
  const [a, b] = await calls.pull(sub)
  await calls.acknowledge(sub, a!.ackId)
  await calls.modifyDeadline(sub, 0, b!.ackId)
  const [again, ...rest] = await calls.pull(sub)
  assert.deepEqual([textOf(again!), again!.message!.messageId, rest], ['b', b!.message!.messageId, []])
  assert.notEqual(again!.ackId, b!.ackId)
})
test('an ack id that was made up is refused, wherever it was changed', async () => {
  const { topic, sub } = await pair()
  await calls.publish(topic, 'a')
  const { ackId } = (await calls.pull(sub))[0]!
  for (let i = 0; i < ackId.length; i += 3) {
    const forged = `${ackId.slice(0, i)}${ackId[i] === 'A' ? 'B' : 'A'}${ackId.slice(i + 1)}`
    await assert.rejects(calls.acknowledge(sub, forged), { status: 3 })
  }
  const other = await pair()
  await assert.rejects(calls.acknowledge(other.sub, ackId), { status: 3 })
  await calls.acknowledge(sub, ackId)
})
test('where exactly once is promised, an ack id that is over is named in the details of the error', async () => {
  const { topic, sub } = await pair({ enableExactlyOnceDelivery: true })
  await calls.publish(topic, 'a', 'b')
  const [a, b] = idsOf(await calls.pull(sub))
  await calls.acknowledge(sub, a!)
  const failure = await calls.acknowledge(sub, a!, b!, 'nonsense').then(
    () => null,
    (error: RpcFailure) => error,
  )
  assert.equal(failure?.status, 9)
  const any = message('Any', { typeUrl: string(1), value: bytes(2) })
  const status = message('Status', { code: int32(1), message: string(2), details: list(3, any) })
  const [detail] = decode(status, failure.details!).details
  assert.equal(detail!.typeUrl, 'type.googleapis.com/google.rpc.ErrorInfo')
  const { metadata } = decode(errorInfo, detail!.value)
  const reason = 'PERMANENT_FAILURE_INVALID_ACK_ID'
  assert.deepEqual(
    [...metadata].toSorted(),
    [
      ['nonsense', reason],
      [a!, reason],
    ].toSorted(),
  )
  // The other one is done with.
  await assert.rejects(calls.modifyDeadline(sub, 30, b!), { status: 9 })
})
test('where it is not, an acknowledgement of an earlier delivery counts', async () => {
  const { topic, sub } = await pair()
  await calls.publish(topic, 'a')
  const [first] = await calls.pull(sub)
  await calls.modifyDeadline(sub, 0, first!.ackId)
  const [second] = await calls.pull(sub)
  await calls.acknowledge(sub, first!.ackId)
  await calls.modifyDeadline(sub, 0, second!.ackId)
  assert.deepEqual(await calls.pull(sub, 1, true), [])
})
test('where it is, an earlier delivery is over', async () => {
  const { topic, sub } = await pair({ enableExactlyOnceDelivery: true })
  await calls.publish(topic, 'a')
  const [first] = await calls.pull(sub)
  await calls.modifyDeadline(sub, 0, first!.ackId)
  const [second] = await calls.pull(sub)
  await assert.rejects(calls.acknowledge(sub, first!.ackId), { status: 9 })
  await calls.acknowledge(sub, second!.ackId)
})
test('a stream says what its subscription promises, first and in every answer, and answers a ping', async () => {
  const { topic, sub } = await pair({ enableMessageOrdering: true, enableExactlyOnceDelivery: true })
  const stream = fixture.client.stream({ subscription: path(sub), streamAckDeadlineSeconds: 10, protocolVersion: 1 })
  await stream.until(() => stream.answers.length === 1)
  stream.send({})
  await stream.until(() => stream.answers.length === 2)
  await calls.publish(topic, 'a')
  await stream.until(() => stream.received.length === 1)
  stream.send({ ackIds: idsOf(stream.received) })
  await stream.until(() => stream.answers.some((one) => one.acknowledgeConfirmation !== null))
  // Go's client takes an answer that does not say so for one of a subscription without order.
  for (const { subscriptionProperties } of stream.answers)
    assert.deepEqual(subscriptionProperties, { exactlyOnceDeliveryEnabled: true, messageOrderingEnabled: true })
  stream.close()
})
test('a stream has no more out than its client allows, and goes on as that is acknowledged', async () => {
  const { topic, sub } = await pair()
  await calls.publish(topic, ...Array.from({ length: 25 }, (_, i) => `m${i}`))
  const stream = fixture.client.stream({
    subscription: path(sub),
    streamAckDeadlineSeconds: 60,
    maxOutstandingMessages: 10,
  })
  await stream.until(() => stream.received.length >= 10)
  await new Promise((resolve) => setTimeout(resolve, 200))
  assert.equal(stream.received.length, 10)
  // Here by the stream itself, then by a call of its own.
  stream.send({ ackIds: idsOf(stream.received.slice(0, 4)) })
  await stream.until(() => stream.received.length >= 14)
  await new Promise((resolve) => setTimeout(resolve, 100))
  assert.equal(stream.received.length, 14)
  await calls.acknowledge(sub, ...idsOf(stream.received.slice(4, 14)))
  await stream.until(() => stream.received.length >= 24)
  stream.send({ modifyDeadlineAckIds: idsOf(stream.received.slice(14, 15)), modifyDeadlineSeconds: [0] })
  await stream.until(() => stream.received.length >= 25)
  stream.close()
})
test('a stream of a subscription with exactly once is told what became of its acknowledgements', async () => {
  const { topic, sub } = await pair({ enableExactlyOnceDelivery: true })
  await calls.publish(topic, 'a')
  const stream = fixture.client.stream({ subscription: path(sub), streamAckDeadlineSeconds: 60 })
  await stream.until(() => stream.received.length === 1)
  const [ackId] = idsOf(stream.received)
  stream.send({ ackIds: [ackId!, 'nonsense'] })
  await stream.until(() => stream.answers.some((one) => one.acknowledgeConfirmation !== null))
  const said = stream.answers.find((one) => one.acknowledgeConfirmation !== null)!.acknowledgeConfirmation!
  assert.deepEqual([said.ackIds, said.invalidAckIds], [[ackId], ['nonsense']])
  stream.close()
})
const keyed = (...texts: string[]) => texts.map((text) => ({ data: Buffer.from(text), orderingKey: text[0]! }))
test('of one key, several messages are out, in order, with one client', async () => {
  const { topic, sub } = await pair({ enableMessageOrdering: true })
  await calls.publish(topic, ...keyed('k1', 'k2', 'k3'), 'free')
  const first = await calls.pull(sub, 2)
  assert.deepEqual(first.map(textOf), ['k1', 'k2'])
  assert.deepEqual((await calls.pull(sub, 10, true)).map(textOf), ['free'], 'no other client gets the next')
  await calls.acknowledge(sub, ...idsOf(first))
  assert.deepEqual((await calls.pull(sub)).map(textOf), ['k3'])
})
test('what is nacked takes with it what came after it of its key, acknowledged or not', async () => {
  const { topic, sub } = await pair({ enableMessageOrdering: true })
  await calls.publish(topic, ...keyed('k1', 'k2', 'k3', 'j1'))
  const [stream, other] = [0, 1].map(() =>
    fixture.client.stream({ subscription: path(sub), streamAckDeadlineSeconds: 60, maxOutstandingMessages: 10 }),
  )
  const all = (): string[] => [...stream!.received, ...other!.received].map(textOf)
  await stream!.until(() => all().length === 4)
  const k = stream!.received.length > 1 ? stream! : other!
  const [k1, k2] = k.received.filter((one) => textOf(one).startsWith('k')).map(({ ackId }) => ackId)
  await calls.acknowledge(sub, k2!)
  await calls.modifyDeadline(sub, 0, k1!)
  await stream!.until(() => all().length === 7)
  assert.deepEqual(
    [...stream!.received, ...other!.received]
      .filter((one) => one.message!.orderingKey === 'k')
      .map(textOf)
      .slice(-3),
    ['k1', 'k2', 'k3'],
  )
  for (const one of [stream!, other!]) one.close()
})
test('with exactly once and order, an acknowledgement out of order is to be tried again', async () => {
  const { topic, sub } = await pair({ enableMessageOrdering: true, enableExactlyOnceDelivery: true })
  await calls.publish(topic, ...keyed('k1', 'k2'))
  const [k1, k2] = idsOf(await calls.pull(sub))
  const failure = await calls.acknowledge(sub, k2!).then(
    () => null,
    (error: RpcFailure) => error,
  )
  assert.match(String(failure?.details), /TRANSIENT_FAILURE_UNORDERED_ACK_ID/)
  const stream = fixture.client.stream({ subscription: path(sub), streamAckDeadlineSeconds: 60 })
  stream.send({ ackIds: [k2!] })
  await stream.until(() => stream.answers.some((one) => one.acknowledgeConfirmation !== null))
  const said = stream.answers.find((one) => one.acknowledgeConfirmation !== null)!.acknowledgeConfirmation!
  assert.deepEqual([said.ackIds, said.invalidAckIds, said.unorderedAckIds], [[], [], [k2]])
  stream.close()
  await calls.acknowledge(sub, k1!, k2!)
})
test('seek to a snapshot restores what was acknowledged out of order', async () => {
  const { topic, sub } = await pair({ retainAckedMessages: true })
  await calls.publish(topic, 'a', 'b', 'c')
  const [, b] = await calls.pull(sub)
  await calls.acknowledge(sub, b!.ackId)
  await calls.snapshot(`snap-${sub}`, sub)
  await calls.seek(sub, { time: { seconds: Math.floor(Date.now() / 1000) + 60, nanos: 0 } })
  assert.deepEqual(await calls.pull(sub, 10, true), [])
  await calls.seek(sub, { snapshot: `projects/p/snapshots/snap-${sub}` })
  assert.deepEqual((await calls.pull(sub)).map(textOf), ['a', 'c'])
})
test('seek to an earlier time brings back nothing that was acknowledged and is not kept', async () => {
  const { topic, sub } = await pair()
  await calls.publish(topic, 'a', 'b', 'c')
  const all = await calls.pull(sub)
  await calls.acknowledge(sub, all[0]!.ackId, all[1]!.ackId)
  await calls.seek(sub, { time: { seconds: 1, nanos: 0 } })
  assert.deepEqual((await calls.pull(sub)).map(textOf), ['c'])
})
test('a topic with a contract refuses what does not fit it', async () => {
  const { topic, sub } = await pair()
  const schema = { type: 'object', required: ['n'], properties: { n: { type: 'integer' } } }
  await fixture.running.contracts.change(topic, { schema, onInvalid: 'reject' })
  await assert.rejects(calls.publish(topic, '{"n":"one"}'), { status: 3 })
  await calls.publish(topic, '{"n":1}')
  assert.deepEqual((await calls.pull(sub)).map(textOf), ['{"n":1}'])
})
test('a record that came another way is a message, with what is no text as base64', async () => {
  const { topic, sub } = await pair()
  const headers: Header[] = [
    ['text', Buffer.from('ü')],
    ['bytes', Buffer.from([0xff, 0])],
    ['none', null],
  ]
  const batch = encodeBatch([{ key: Buffer.from([0xfe]), value: null, headers, timeMs: Date.now() }])
  await fixture.running.log.writer().append([{ partition: { topic, index: 0 }, batch }])
  const [received] = await calls.pull(sub)
  const { attributes, orderingKey, data, messageId } = received!.message!
  assert.deepEqual(
    [...attributes],
    [
      ['text', 'ü'],
      ['bytes-base64', Buffer.from([0xff, 0]).toString('base64')],
      ['none', ''],
    ],
  )
  assert.deepEqual([orderingKey, data.length, messageId], [Buffer.from([0xfe]).toString('base64'), 0, '0-0'])
})
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
test('what is not acknowledged in time comes again, to whoever asks', async () => {
  const { topic, sub } = await pair()
  await calls.publish(topic, 'a')
  const [first] = await calls.pull(sub)
  await calls.modifyDeadline(sub, 1, first!.ackId)
  assert.deepEqual(await calls.pull(sub, 1, true), [])
  await pause(1_200)
  const [again] = await calls.pull(sub, 1, true)
  assert.deepEqual([again!.message!.messageId, textOf(again!)], [first!.message!.messageId, 'a'])
  // An extension of the delivery that is over does not touch this one, nor does giving it back.
  await calls.modifyDeadline(sub, 1, again!.ackId)
  await calls.modifyDeadline(sub, 600, first!.ackId)
  await calls.modifyDeadline(sub, 0, first!.ackId)
  assert.deepEqual(await calls.pull(sub, 1, true), [])
  await pause(1_200)
  assert.equal((await calls.pull(sub, 1, true)).length, 1)
})
test('with exactly once, an acknowledgement after the deadline is refused, and before an extended one taken', async () => {
  const { topic, sub } = await pair({ enableExactlyOnceDelivery: true })
  await calls.publish(topic, 'a')
  const [late] = await calls.pull(sub)
  await calls.modifyDeadline(sub, 1, late!.ackId)
  await pause(1_200)
  await assert.rejects(calls.acknowledge(sub, late!.ackId), { status: 9 })
  const [kept] = await calls.pull(sub)
  await calls.modifyDeadline(sub, 1, kept!.ackId)
  await calls.modifyDeadline(sub, 30, kept!.ackId)
  await pause(1_200)
  await calls.acknowledge(sub, kept!.ackId)
  assert.deepEqual(await calls.pull(sub, 1, true), [])
})
test('a stream whose messages are over has room again, and gets them again', async () => {
  const { topic, sub } = await pair()
  await calls.publish(topic, 'a', 'b', 'c')
  const first = { subscription: path(sub), streamAckDeadlineSeconds: 60, maxOutstandingMessages: 2 }
  const stream = fixture.client.stream(first)
  await stream.until(() => stream.received.length === 2)
  await calls.modifyDeadline(sub, 1, ...idsOf(stream.received))
  await stream.until(() => stream.received.length >= 4, 8_000)
  // Which of the three first, is open: one of those that were out at least.
  assert.equal(new Set(stream.received.slice(2, 4).map(textOf)).size, 2)
  stream.close()
})
test('attempts are counted by deadlines too, and the last one ends among the dead letters', async () => {
  const dead = `dead${made}`
  await calls.topic(dead)
  await calls.subscription(`${dead}-sub`, dead)
  const deadLetterPolicy = { deadLetterTopic: `projects/p/topics/${dead}`, maxDeliveryAttempts: 5 }
  const { topic, sub } = await pair({ deadLetterPolicy })
  await calls.publish(topic, 'poison')
  for (let attempt = 1; attempt <= 5; attempt++) {
    const [one] = await calls.pull(sub)
    assert.equal(one!.deliveryAttempt, attempt)
    await calls.modifyDeadline(sub, attempt === 3 ? 1 : 0, one!.ackId)
  }
  const [letter] = await calls.pull(`${dead}-sub`)
  assert.equal(letter!.message!.attributes.get('CloudPubSubDeadLetterSourceDeliveryCount'), '5')
})
