/** Room for fetch sessions is shared out: whoever takes most of it makes room, and takes nothing from those who take less. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { FetchSessions, type SessionPartition, partitionKey } from '../../../src/gateway/kafka/fetch-sessions.ts'
import { fetch } from '../../../src/gateway/kafka/handlers/01-fetch.ts'
import { SeededRandom } from '../../../src/lib/sim/random.ts'
import { user } from '../../../src/security/principal.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { ask, everyAccess, exchangeFor } from './ask.ts'
import { fakeBroker } from './fake-broker.ts'

const random = new SeededRandom(1, 'sessions')
const partition = (index: number): SessionPartition => ({
  topic: 't',
  index,
  offset: 0,
  maxBytes: 1,
  leaderEpoch: -1,
  highWatermark: -1,
  start: -1,
})
const partitions = (count: number): Map<string, SessionPartition> =>
  new Map(Array.from({ length: count }, (_, i) => [partitionKey('t', i), partition(i)]))

test('one session of all partitions, opened again and again, takes nobody else a session away', () => {
  const sessions = new FetchSessions(random, { sessionsMax: 100, partitionsMax: 1_000 })
  const others = Array.from({ length: 20 }, (_, i) => sessions.open(`other ${i}`, false, partitions(10))!)
  for (let i = 0; i < 50; i++) {
    sessions.open('greedy', false, partitions(1_000))
    sessions.open('greedy', false, partitions(700))
  }
  for (const one of others) assert.notEqual(sessions.use(one.id), null)
  // What is left is for whoever wants it: of one owner, the largest goes first.
  const [small] = [sessions.open('greedy', false, partitions(100))!]
  assert.equal(sessions.open('greedy', false, partitions(900)), null)
  assert.notEqual(sessions.use(small.id), null)
})

test('a session that grows does so at the cost of its own', () => {
  const sessions = new FetchSessions(random, { sessionsMax: 100, partitionsMax: 1_000 })
  const mine = sessions.open('other', false, partitions(100))!
  const growing = sessions.open('greedy', false, partitions(800))!
  let taken = 0
  while (sessions.put(growing, partition(800 + taken))) taken++
  assert.equal(taken, 100)
  assert.equal(sessions.use(growing.id), null)
  assert.equal(sessions.put(growing, partition(5_000)), false, 'it is over')
  sessions.forget(growing, 't', 1)
  assert.notEqual(sessions.use(mine.id), null)
  assert.notEqual(sessions.open('other', false, partitions(900)), null, 'all of it is free again')
})

test('a thousand small sessions of one owner make room for those of others, the one idle longest first', () => {
  const sessions = new FetchSessions(random, { sessionsMax: 100, partitionsMax: 1_000 })
  const [first, second] = Array.from({ length: 100 }, () => sessions.open('greedy', false, partitions(1))!)
  sessions.use(first!.id)
  const others = Array.from({ length: 30 }, (_, i) => sessions.open(`other ${i % 10}`, false, partitions(5))!)
  assert.equal(sessions.use(second!.id), null)
  assert.notEqual(sessions.use(first!.id), null)
  for (let i = 0; i < 1_000; i++) sessions.open('greedy', false, partitions(1))
  for (const one of others) assert.notEqual(sessions.use(one.id), null)
  assert.equal(sessions.size, 100)
})

test('an owner is a principal at an address', async () => {
  const broker = fakeBroker()
  broker.create({ name: 't', partitions: 10 })
  const sessions = new FetchSessions(random, { sessionsMax: 100, partitionsMax: 10 })
  const exchange = exchangeFor(broker, { sessions })
  const open = async (name: string, count: number) => {
    const access = everyAccess(exchange.security, user(name))
    const asked = {
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 1,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: 0,
      forgottenTopicsData: [],
      rackId: '',
      topics: [
        {
          topicId: nullUuid,
          topic: 't',
          partitions: Array.from({ length: count }, (_, i) => ({ partition: i, fetchOffset: 0, partitionMaxBytes: 1 })),
        },
      ],
    }
    return (await ask(fetch, 12, asked, { ...exchange, access })).sessionId
  }
  const [mine, greedy] = [await open('mine', 3), await open('greedy', 7)]
  assert.notEqual(sessions.use(greedy), null)
  // It has eleven with this one, the other three: the seven go.
  const second = await open('greedy', 4)
  assert.equal(sessions.use(greedy), null)
  for (const id of [mine, second]) assert.notEqual(sessions.use(id), null)
  assert.equal(await open('greedy', 8), 0)
  for (const id of [mine, second]) assert.notEqual(sessions.use(id), null)
})
