/** @platformatic/kafka on its defaults, against the gateway over the local log. Only addresses and names are given. */
import assert from 'node:assert/strict'
import { type TestContext, after, before, test } from 'node:test'
import {
  Admin,
  Consumer,
  MessagesStreamFallbackModes,
  MessagesStreamModes,
  Producer,
  type ProducerOptions,
  stringDeserializers,
  stringSerializers,
} from '@platformatic/kafka'
import { freshName, sharedGateway, startGateway, until } from './local-gateway.ts'

const gateway = sharedGateway({ before, after })
const base = () => ({ clientId: 'test', bootstrapBrokers: [gateway().address] })
type Strings = ProducerOptions<string, string, string, string>

function producer(t: TestContext, options: Partial<Strings> = {}) {
  const made = new Producer<string, string, string, string>({ ...base(), serializers: stringSerializers, ...options })
  t.after(() => made.close(true))
  return made
}
function admin(t: TestContext): Admin {
  const made = new Admin(base())
  t.after(() => made.close())
  return made
}
interface Seen {
  readonly key: string | null
  readonly value: string | null
  readonly offset: bigint
  readonly partition: number
  readonly timestamp: bigint
  readonly headers: ReadonlyMap<string, string>
}
function newConsumer(t: TestContext, groupId: string) {
  const made = new Consumer<string, string, string, string>({
    ...base(),
    groupId,
    deserializers: stringDeserializers,
    // Leaving waits for the fetch under way: on the default of 5 s every test would take as long.
    maxWaitTime: 100,
  })
  t.after(() => made.close(true))
  return made
}
async function consume(t: TestContext, topic: string, groupId: string, options = {}) {
  const consumer = newConsumer(t, groupId)
  const seen: Seen[] = []
  const stream = await consumer.consume({
    topics: [topic],
    mode: MessagesStreamModes.COMMITTED,
    fallbackMode: MessagesStreamFallbackModes.EARLIEST,
    autocommit: true,
    ...options,
  })
  stream.on('data', (message) => void seen.push(message as unknown as Seen))
  stream.on('error', () => {})
  return { consumer, stream, seen }
}
const values = (seen: readonly Seen[]): (string | null)[] => seen.map(({ value }) => value)
/** This client makes no topic unless told to; so most tests make theirs. */
async function topic(t: TestContext, partitions = 1): Promise<string> {
  const name = freshName(t)
  await admin(t).createTopics({ topics: [name], partitions, replicas: 1 })
  return name
}

test('topics are created, listed, described, grown and deleted', async (t) => {
  const it = admin(t)
  const name = freshName(t)
  const [created] = await it.createTopics({ topics: [name], partitions: 3, replicas: 1 })
  assert.deepEqual([created!.name, created!.partitions, created!.replicas], [name, 3, 1])
  await assert.rejects(it.createTopics({ topics: [name], partitions: 3, replicas: 1 }))
  assert.ok((await it.listTopics()).includes(name))
  const described = (await it.metadata({ topics: [name] })).topics.get(name)!
  assert.deepEqual([described.partitionsCount, described.id], [3, created!.id])
  await it.createPartitions({ topics: [{ name, count: 4, assignments: [] }] }).catch(async () => {
    // An empty list of assignments means none given here, but one too few in the protocol.
    await it.createPartitions({ topics: [{ name, count: 4, assignments: [{ brokerIds: [1] }] }] })
  })
  assert.equal((await it.metadata({ topics: [name], forceUpdate: true })).topics.get(name)!.partitionsCount, 4)
  await it.deleteTopics({ topics: [name] })
  assert.ok(!(await it.listTopics()).includes(name))
})
test('settings are described and changed', async (t) => {
  const [it, name] = [admin(t), await topic(t)]
  const valueOf = async (setting: string): Promise<string | null | undefined> => {
    const resources = [{ resourceType: 2 as const, resourceName: name, configurationKeys: [setting] }]
    const [found] = await it.describeConfigs({ resources })
    return found!.configs.find((config) => config.name === setting)?.value
  }
  const configs = [{ name: 'retention.ms', configOperation: 0 as const, value: '1234567' }]
  await it.incrementalAlterConfigs({ resources: [{ resourceType: 2 as const, resourceName: name, configs }] })
  assert.equal(await valueOf('retention.ms'), '1234567')
  const all = [{ name: 'segment.bytes', value: '1048576' }]
  await it.alterConfigs({ resources: [{ resourceType: 2 as const, resourceName: name, configs: all }] })
  assert.equal(await valueOf('segment.bytes'), '1048576')
})
test('a topic that nobody created is there with the first message, if the client asks for it', async (t) => {
  const name = freshName(t)
  const it = producer(t, { autocreateTopics: true })
  await it.send({ messages: [{ topic: name, key: 'k', value: 'first' }] })
  const { seen } = await consume(t, name, name)
  await until('the message', () => seen.length === 1)
  assert.deepEqual(values(seen), ['first'])
})
test('keys, values, headers and timestamps come back as they were', async (t) => {
  const name = await topic(t)
  const it = producer(t)
  await it.send({
    messages: [
      { topic: name, key: 'k', value: 'v', headers: { a: '1', b: '' }, timestamp: 1_700_000_000_000n },
      { topic: name, value: 'no key', timestamp: 1_700_000_000_001n },
      { topic: name, key: 'naïve ☃', value: 'snow', timestamp: 1_700_000_000_002n },
    ],
  })
  const { seen } = await consume(t, name, name)
  await until('all', () => seen.length === 3)
  assert.deepEqual(values(seen), ['v', 'no key', 'snow'])
  assert.deepEqual(
    seen.map(({ timestamp }) => timestamp),
    [1_700_000_000_000n, 1_700_000_000_001n, 1_700_000_000_002n],
  )
  assert.deepEqual(
    [...seen[0]!.headers],
    [
      ['a', '1'],
      ['b', ''],
    ],
  )
  assert.equal(seen[2]!.key, 'naïve ☃')
})
for (const compression of ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const)
  test(`messages compressed with ${compression} are read again`, async (t) => {
    const name = await topic(t)
    const it = producer(t, { compression })
    const messages = Array.from({ length: 50 }, (_, i) => ({
      topic: name,
      key: `k${i}`,
      value: `value ${i} `.repeat(20),
    }))
    await it.send({ messages })
    const { seen } = await consume(t, name, name)
    await until('all', () => seen.length === 50)
    assert.deepEqual(
      values(seen),
      messages.map(({ value }) => value),
    )
  })
test('every acknowledgement level writes; offsets are told', async (t) => {
  const name = await topic(t)
  const it = producer(t)
  const offsets: (bigint | undefined)[] = []
  for (const acks of [-1, 1, 0]) {
    const answer = await it.send({ acks, messages: [{ topic: name, value: `acks ${acks}` }] })
    offsets.push(answer.offsets?.[0]?.offset)
  }
  assert.deepEqual(offsets.slice(0, 2), [0n, 1n])
  const { seen } = await consume(t, name, name)
  await until('all', () => seen.length === 3)
})
test('an idempotent producer writes in order', async (t) => {
  const name = await topic(t)
  const it = producer(t, { idempotent: true })
  for (let i = 0; i < 20; i++) await it.send({ messages: [{ topic: name, value: String(i) }] })
  const { seen } = await consume(t, name, name)
  await until('all', () => seen.length === 20)
  assert.deepEqual(values(seen), [...Array(20).keys()].map(String))
})
test('a group goes on where it stopped; its lag is what is left', async (t) => {
  const name = await topic(t)
  const it = producer(t)
  const send = (...texts: string[]) => it.send({ messages: texts.map((value) => ({ topic: name, value })) })
  await send('1', '2')
  const first = await consume(t, name, name)
  await until('two', () => first.seen.length === 2)
  await first.stream.close()
  await first.consumer.close(true)
  await send('3', '4', '5')
  const observer = newConsumer(t, name)
  const committed = await observer.listCommittedOffsets({ topics: [{ topic: name, partitions: [0] }] })
  assert.deepEqual(committed.get(name), [2n])
  const ends = await observer.listOffsets({ topics: [name], timestamp: -1n })
  assert.equal(ends.get(name)![0]! - committed.get(name)![0]!, 3n)
  const second = await consume(t, name, name)
  await until('three', () => second.seen.length === 3)
  assert.deepEqual(values(second.seen), ['3', '4', '5'])
})
test('partitions move when a member comes and when it goes', async (t) => {
  const [it, name] = [admin(t), await topic(t, 4)]
  const one = await consume(t, name, name)
  const countOf = (consumer: typeof one.consumer): number => consumer.assignments?.[0]?.partitions.length ?? 0
  await until('all four', () => countOf(one.consumer) === 4)
  const two = await consume(t, name, name)
  await until('two each', () => countOf(one.consumer) === 2 && countOf(two.consumer) === 2)
  const group = (await it.describeGroups({ groups: [name] })).get(name)!
  assert.deepEqual([group.members.size, group.protocolType], [2, 'consumer'])
  await two.stream.close()
  await two.consumer.close(true)
  await until('all four again', () => countOf(one.consumer) === 4)
  assert.ok((await it.listGroups()).has(name))
  await one.stream.close()
  await one.consumer.close(true)
  await until('empty', async () => (await it.describeGroups({ groups: [name] })).get(name)!.members.size === 0)
  await it.deleteGroups({ groups: [name] })
  assert.ok(!(await it.listGroups()).has(name))
})
test('positions are found by time, and set from outside', async (t) => {
  const [it, name] = [admin(t), await topic(t)]
  const writer = producer(t)
  for (const [i, timestamp] of [1000n, 2000n, 3000n].entries())
    await writer.send({ messages: [{ topic: name, value: String(i), timestamp }] })
  const at = async (timestamp: bigint): Promise<bigint> => {
    const topics = [{ name, partitions: [{ partitionIndex: 0, timestamp }] }]
    return (await it.listOffsets({ topics }))[0]!.partitions[0]!.offset
  }
  assert.deepEqual([await at(-2n), await at(1500n), await at(9999n), await at(-1n)], [0n, 1n, -1n, 3n])
  await it.alterConsumerGroupOffsets({
    groupId: name,
    topics: [{ name, partitionOffsets: [{ partition: 0, offset: 2n }] }],
  })
  const { seen } = await consume(t, name, name)
  await until('the last', () => seen.length === 1)
  assert.deepEqual(values(seen), ['2'])
})
test('a reader starts at offsets of its own choice', async (t) => {
  const name = await topic(t)
  await producer(t).send({ messages: ['a', 'b', 'c'].map((value) => ({ topic: name, value })) })
  const { seen } = await consume(t, name, name, {
    mode: MessagesStreamModes.MANUAL,
    offsets: [{ topic: name, partition: 0, offset: 1n }],
  })
  await until('two', () => seen.length === 2)
  assert.deepEqual(values(seen), ['b', 'c'])
})
test('records are deleted up to an offset', async (t) => {
  const [it, name] = [admin(t), await topic(t)]
  await producer(t).send({ messages: ['a', 'b', 'c'].map((value) => ({ topic: name, value })) })
  const [deleted] = await it.deleteRecords({ topics: [{ name, partitions: [{ partition: 0, offset: 2n }] }] })
  assert.equal(deleted!.partitions[0]!.lowWatermark, 2n)
  const { seen } = await consume(t, name, name)
  await until('the last', () => seen.length === 1)
  assert.deepEqual(values(seen), ['c'])
})
test('sizes on disk are told', async (t) => {
  const [it, name] = [admin(t), await topic(t)]
  await producer(t).send({ messages: [{ topic: name, value: 'x'.repeat(1000) }] })
  const [broker] = await it.describeLogDirs({ topics: [{ name, partitions: [0] }] })
  const size = broker!.results[0]!.topics[0]!.partitions[0]!.partitionSize
  assert.ok(Number(size) > 1000)
})
test('committed positions of a group are listed and deleted', async (t) => {
  const [it, name] = [admin(t), await topic(t)]
  await producer(t).send({ messages: [{ topic: name, value: 'a' }] })
  const { consumer, stream, seen } = await consume(t, name, name)
  await until('the message', () => seen.length === 1)
  await stream.close()
  await consumer.close(true)
  const groups = [{ groupId: name, topics: [{ name, partitionIndexes: [0] }] }]
  const committed = async (): Promise<bigint | undefined> =>
    (await it.listConsumerGroupOffsets({ groups }))[0]!.topics[0]?.partitions[0]?.committedOffset
  assert.equal(await committed(), 1n)
  await it.deleteConsumerGroupOffsets({ groupId: name, topics: [{ name, partitionIndexes: [0] }] })
  assert.equal(await committed(), -1n)
})
test('a reader that waits gets a message soon after it is written', async (t) => {
  const name = await topic(t)
  const writer = producer(t)
  await writer.send({ messages: [{ topic: name, value: 'before' }] })
  const { seen } = await consume(t, name, name)
  await until('the first', () => seen.length === 1)
  const from = performance.now()
  await writer.send({ messages: [{ topic: name, value: 'now' }] })
  await until('the second', () => seen.length === 2)
  assert.ok(performance.now() - from < 1000)
})
test('a gateway that closes under its clients does so soon and without complaint', async () => {
  const own = await startGateway()
  const it = new Producer<string, string, string, string>({
    clientId: 'test',
    bootstrapBrokers: [own.address],
    serializers: stringSerializers,
    autocreateTopics: true,
    retries: false,
  })
  await it.send({ messages: [{ topic: 'closing', value: 'x' }] })
  const reader = new Consumer({ clientId: 'test', bootstrapBrokers: [own.address], groupId: 'closing', retries: false })
  const stream = await reader.consume({ topics: ['closing'], maxWaitTime: 30_000 })
  stream.on('error', () => {})
  stream.on('data', () => {})
  await new Promise((resolve) => setTimeout(resolve, 500))
  const from = performance.now()
  await own[Symbol.asyncDispose]()
  assert.ok(performance.now() - from < 3000)
  assert.deepEqual(own.complaints, [])
  await Promise.allSettled([it.close(true), stream.close(), reader.close(true)])
})
test('nothing of all this made the gateway complain', () => {
  assert.deepEqual(gateway().complaints, [])
})
