import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FetchSessions } from '../../../src/gateway/kafka/fetch-sessions.ts'
import { fetch } from '../../../src/gateway/kafka/handlers/01-fetch.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import { ask, exchangeFor } from './ask.ts'
import { type FakeBroker, fakeBroker } from './fake-broker.ts'

const { random } = realWorld()
const write = (broker: FakeBroker, topic: string, index = 0): Promise<unknown> =>
  broker.produce({
    acks: 'all',
    transactionalId: null,
    entries: [
      { partition: { topic, index }, records: encodeBatch([{ key: null, value: Buffer.from('v'), timeMs: 1 }]) },
    ],
  })
type Asked = readonly (readonly [topic: string, partition: number, offset: number])[]
const request = (sessionId: number, sessionEpoch: number, asked: Asked = [], forgotten: Asked = []) => ({
  maxWaitMs: 0,
  minBytes: 0,
  maxBytes: 1_000_000,
  isolationLevel: 0,
  sessionId,
  sessionEpoch,
  topics: asked.map(([topic, partition, fetchOffset]) => ({
    topicId: nullUuid,
    topic,
    partitions: [{ partition, fetchOffset, partitionMaxBytes: 1000 }],
  })),
  forgottenTopicsData: forgotten.map(([topic, partition]) => ({ topicId: nullUuid, topic, partitions: [partition] })),
  rackId: '',
})
function setUp() {
  const broker = fakeBroker()
  broker.create({ name: 'a', partitions: 2 })
  broker.create({ name: 'b', partitions: 1 })
  const exchange = exchangeFor(broker)
  const version = 12
  const call = (...args: Parameters<typeof request>) => ask(fetch, version, request(...args), exchange)
  return { broker, exchange, call }
}
const partitionsOf = (answer: Awaited<ReturnType<ReturnType<typeof setUp>['call']>>): string[] =>
  answer.responses.flatMap(({ topic, partitions }) => partitions.map((one) => `${topic}/${one.partitionIndex}`))

test('a full fetch without a session answers every partition and opens none', async () => {
  const { call, exchange } = setUp()
  const answer = await call(0, -1, [
    ['a', 0, 0],
    ['b', 0, 0],
  ])
  assert.equal(answer.sessionId, 0)
  assert.deepEqual(partitionsOf(answer), ['a/0', 'b/0'])
  assert.equal(exchange.sessions.size, 0)
})
test('a session answers what has news only: records, errors, moved bounds', async () => {
  const { call, broker } = setUp()
  const opened = await call(0, 0, [
    ['a', 0, 0],
    ['a', 1, 0],
    ['b', 0, 0],
  ])
  assert.ok(opened.sessionId > 0)
  assert.equal(partitionsOf(opened).length, 3)
  const id = opened.sessionId
  assert.deepEqual(partitionsOf(await call(id, 1)), [])
  await write(broker, 'a', 1)
  assert.deepEqual(partitionsOf(await call(id, 2)), ['a/1'])
  assert.deepEqual(partitionsOf(await call(id, 3, [['a', 1, 1]])), [], 'the high watermark was told before')
  assert.deepEqual(partitionsOf(await call(id, 4, [['b', 0, 99]])), ['b/0'], 'an error is told')
  assert.deepEqual(partitionsOf(await call(id, 5)), ['b/0'], 'and told again as long as it lasts')
  assert.deepEqual(partitionsOf(await call(id, 6, [['b', 0, 0]])), ['b/0'], 'the bounds are news after an error')
})
test('partitions that gave records go to the end of the line', async () => {
  const { call, broker } = setUp()
  await write(broker, 'a', 0)
  const { sessionId } = await call(0, 0, [
    ['a', 0, 0],
    ['a', 1, 0],
    ['b', 0, 0],
  ])
  await call(sessionId, 1)
  await write(broker, 'b')
  await write(broker, 'a', 1)
  assert.deepEqual(partitionsOf(await call(sessionId, 2)), ['a/1', 'a/0', 'b/0'])
})
test('forgotten partitions are not answered; a session without any ends', async () => {
  const { call, broker, exchange } = setUp()
  const { sessionId } = await call(0, 0, [
    ['a', 0, 0],
    ['b', 0, 0],
  ])
  await write(broker, 'a')
  await write(broker, 'b')
  assert.deepEqual(partitionsOf(await call(sessionId, 1, [], [['b', 0, 0]])), ['a/0'])
  const last = await call(sessionId, 2, [], [['a', 0, 0]])
  assert.equal(last.sessionId, 0)
  assert.equal(exchange.sessions.size, 0)
})
test('an unknown session, a wrong epoch and a change to topic ids are told apart', async () => {
  const { call, exchange } = setUp()
  assert.equal((await call(12345, 1)).errorCode, 70)
  const { sessionId } = await call(0, 0, [['a', 0, 0]])
  assert.equal((await call(sessionId, 7)).errorCode, 71)
  assert.equal((await ask(fetch, 13, request(sessionId, 1), exchange)).errorCode, 106)
})
test('epoch −1 with a session id ends the session', async () => {
  const { call, exchange } = setUp()
  const { sessionId } = await call(0, 0, [['a', 0, 0]])
  assert.deepEqual(partitionsOf(await call(sessionId, -1, [['a', 0, 0]])), ['a/0'])
  assert.equal(exchange.sessions.size, 0)
})
test('a topic that was deleted and created again is unknown by its old id', async () => {
  const { broker, exchange } = setUp()
  const old = broker.infos.get('a')!.id
  const asked = (topicId: string) => ({
    ...request(0, -1),
    topics: [{ topicId, topic: '', partitions: [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 10 }] }],
  })
  assert.equal((await ask(fetch, 16, asked(old), exchange)).responses[0]!.partitions[0]!.errorCode, 0)
  broker.infos.delete('a')
  broker.create({ name: 'a', partitions: 1 })
  assert.equal((await ask(fetch, 16, asked(old), exchange)).responses[0]!.partitions[0]!.errorCode, 100)
})

const partitions = (count: number) =>
  new Map(
    Array.from({ length: count }, (_, index) => [
      `t/${index}`,
      { topic: 't', index, offset: 0, maxBytes: 1, leaderEpoch: -1, highWatermark: -1, start: -1 },
    ]),
  )
test('sessions are bounded in number and in partitions: the one idle longest goes, or the largest', () => {
  const sessions = new FetchSessions(random, { sessionsMax: 2, partitionsMax: 10 })
  const open = (count: number) => sessions.open('me', false, partitions(count))
  const [first, second] = [open(2)!, open(2)!]
  assert.notEqual(sessions.use(first.id), null)
  open(2)
  assert.equal(sessions.use(second.id), null)
  assert.notEqual(sessions.use(first.id), null)
  assert.equal(open(11), null)
  assert.equal(sessions.size, 2)
  assert.equal(open(9), null)
  assert.equal(sessions.size, 1)
  assert.notEqual(sessions.use(first.id), null)
})
test('the epoch of a session goes on at 1 after the largest', async () => {
  const { call, exchange } = setUp()
  const { sessionId } = await call(0, 0, [['a', 0, 0]])
  exchange.sessions.use(sessionId)!.epoch = 0x7fff_ffff
  assert.equal((await call(sessionId, 0x7fff_ffff)).errorCode, 0)
  assert.equal((await call(sessionId, 1)).errorCode, 0)
})
