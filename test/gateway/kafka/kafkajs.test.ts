/** kafkajs on its defaults, against the gateway over the local log. Only the address is given (and less logging). */
import assert from 'node:assert/strict'
import { type TestContext, after, before, test } from 'node:test'
import kafkajs, { type Consumer, type KafkaMessage } from 'kafkajs'
import { zstdCompressSync, zstdDecompressSync } from 'node:zlib'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { compressSync, uncompressSync } from 'snappy'
import { freshName, sharedGateway, until } from './local-gateway.ts'

const { CompressionCodecs, CompressionTypes, ConfigResourceTypes, Kafka, logLevel } = kafkajs
process.env['KAFKAJS_NO_PARTITIONER_WARNING'] = '1'
const gateway = sharedGateway({ before, after })
const kafka = (clientId?: string) =>
  new Kafka({
    brokers: [gateway().address],
    logLevel: logLevel.NOTHING,
    ...(clientId === undefined ? {} : { clientId }),
  })

// kafkajs brings gzip; the others are given by whoever uses it, as its documentation shows.
CompressionCodecs[CompressionTypes.Snappy] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => compressSync(buffer),
  decompress: async (buffer: Buffer) => uncompressSync(buffer, { asBuffer: true }) as Buffer,
})
CompressionCodecs[CompressionTypes.LZ4] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => compressFrameSync(buffer),
  decompress: async (buffer: Buffer) => decompressFrameSync(buffer),
})
CompressionCodecs[CompressionTypes.ZSTD] = () => ({
  compress: async ({ buffer }: { buffer: Buffer }) => zstdCompressSync(buffer),
  decompress: async (buffer: Buffer) => zstdDecompressSync(buffer),
})

async function producer(t: TestContext, options = {}) {
  const connected = kafka().producer(options)
  await connected.connect()
  t.after(() => connected.disconnect())
  return connected
}
async function admin(t: TestContext) {
  const connected = kafka().admin()
  await connected.connect()
  t.after(() => connected.disconnect())
  return connected
}
interface Seen {
  readonly partition: number
  readonly message: KafkaMessage
}
async function consume(
  t: TestContext,
  topic: string,
  groupId: string,
  options: { fromBeginning?: boolean } = { fromBeginning: true },
): Promise<{ consumer: Consumer; seen: Seen[] }> {
  // Leaving waits for the fetch under way: on the default of 5 s every test would take as long.
  const consumer = kafka().consumer({ groupId, maxWaitTimeInMs: 100 })
  t.after(() => consumer.disconnect())
  await consumer.connect()
  await consumer.subscribe({ topic, ...options })
  const seen: Seen[] = []
  await consumer.run({ eachMessage: async ({ partition, message }) => void seen.push({ partition, message }) })
  return { consumer, seen }
}
const values = (seen: readonly Seen[]): string[] => seen.map(({ message }) => message.value!.toString())

test('topics are created, listed, described and deleted', async (t) => {
  const name = freshName(t)
  const it = await admin(t)
  assert.equal(await it.createTopics({ topics: [{ topic: name, numPartitions: 3 }] }), true)
  assert.equal(await it.createTopics({ topics: [{ topic: name, numPartitions: 3 }] }), false, 'it is there already')
  assert.ok((await it.listTopics()).includes(name))
  const [described] = (await it.fetchTopicMetadata({ topics: [name] })).topics
  assert.deepEqual(
    described!.partitions.map(({ partitionId, leader, replicas, isr }) => [partitionId, leader, replicas, isr]).sort(),
    [0, 1, 2].map((index) => [index, 1, [1], [1]]),
  )
  await it.createPartitions({ topicPartitions: [{ topic: name, count: 5 }] })
  assert.equal((await it.fetchTopicMetadata({ topics: [name] })).topics[0]!.partitions.length, 5)
  await it.deleteTopics({ topics: [name] })
  assert.ok(!(await it.listTopics()).includes(name))
})
test('settings are described and changed; unknown ones are refused', async (t) => {
  const name = freshName(t)
  const it = await admin(t)
  await it.createTopics({ topics: [{ topic: name, configEntries: [{ name: 'retention.ms', value: '60000' }] }] })
  const valueOf = async (setting: string): Promise<string | undefined> => {
    const resources = [{ type: ConfigResourceTypes.TOPIC, name, configNames: [setting] }]
    const found = await it.describeConfigs({ resources, includeSynonyms: false })
    return found.resources[0]!.configEntries.find((entry) => entry.configName === setting)?.configValue
  }
  assert.equal(await valueOf('retention.ms'), '60000')
  const change = (configName: string, value: string) =>
    it.alterConfigs({
      validateOnly: false,
      resources: [{ type: ConfigResourceTypes.TOPIC, name, configEntries: [{ name: configName, value }] }],
    })
  await change('retention.ms', '120000')
  assert.equal(await valueOf('retention.ms'), '120000')
  await assert.rejects(change('no.such.setting', '1'))
})
test('a topic that nobody created is there with the first message', async (t) => {
  const name = freshName(t)
  const it = await producer(t)
  const [sent] = await it.send({ topic: name, messages: [{ value: 'first' }] })
  assert.deepEqual([sent!.partition, sent!.baseOffset, sent!.errorCode], [0, '0', 0])
  const { seen } = await consume(t, name, name)
  await until('the message', () => seen.length === 1)
  assert.deepEqual(values(seen), ['first'])
})
test('keys, values, headers and timestamps come back as they were', async (t) => {
  const name = freshName(t)
  const it = await producer(t)
  const messages = [
    { key: 'k', value: 'v', headers: { one: '1', two: Buffer.from([0, 255]) }, timestamp: '1700000000000' },
    { key: null, value: 'no key', timestamp: '1700000000001' },
    { key: 'tombstone', value: null, timestamp: '1700000000002' },
    { key: 'naïve ☃', value: 'snow', timestamp: '1700000000003' },
    { key: 'many', value: 'x', headers: { tags: ['a', 'b'] }, timestamp: '1700000000004' },
  ]
  await it.send({ topic: name, messages })
  const { seen } = await consume(t, name, name)
  await until('all messages', () => seen.length === messages.length)
  assert.deepEqual(
    seen.map(({ message }) => [message.key?.toString() ?? null, message.value?.toString() ?? null, message.timestamp]),
    messages.map(({ key, value, timestamp }) => [key, value, timestamp]),
  )
  assert.deepEqual(seen[0]!.message.headers, { one: Buffer.from('1'), two: Buffer.from([0, 255]) })
  assert.deepEqual(seen[4]!.message.headers, { tags: [Buffer.from('a'), Buffer.from('b')] })
})
for (const [codec, compression] of Object.entries(CompressionTypes))
  test(`messages compressed with ${codec} are read again`, async (t) => {
    const name = freshName(t)
    const it = await producer(t)
    const messages = Array.from({ length: 50 }, (_, i) => ({ key: `k${i}`, value: `value ${i} `.repeat(20) }))
    await it.send({ topic: name, compression: compression as number, messages })
    const { seen } = await consume(t, name, name)
    await until('all messages', () => seen.length === messages.length)
    assert.deepEqual(
      values(seen),
      messages.map(({ value }) => value),
    )
  })
test('many topics and partitions in one request', async (t) => {
  const names = [freshName(t), freshName(t)]
  const it = await producer(t)
  const topicMessages = names.map((topic) => ({ topic, messages: [{ value: 'a' }, { value: 'b' }] }))
  const answers = await it.sendBatch({ topicMessages })
  assert.deepEqual(answers.map(({ topicName }) => topicName).sort(), names.toSorted())
})
test('every acknowledgement level writes', async (t) => {
  const name = freshName(t)
  const it = await producer(t)
  for (const acks of [-1, 1, 0]) await it.send({ topic: name, acks, messages: [{ value: `acks ${acks}` }] })
  const { seen } = await consume(t, name, name)
  await until('all messages', () => seen.length === 3)
  assert.deepEqual(values(seen), ['acks -1', 'acks 1', 'acks 0'])
})
test('an idempotent producer writes in order', async (t) => {
  const name = freshName(t)
  const it = await producer(t, { idempotent: true })
  for (let i = 0; i < 20; i++) await it.send({ topic: name, messages: [{ value: String(i) }] })
  const { seen } = await consume(t, name, name)
  await until('all messages', () => seen.length === 20)
  assert.deepEqual(values(seen), [...Array(20).keys()].map(String))
})
test('transactions: what is committed is there, with the positions; what is aborted is not', async (t) => {
  const [name, group] = [freshName(t), freshName(t)]
  const it = await producer(t, { transactionalId: freshName(t), maxInFlightRequests: 1, idempotent: true })
  for (let i = 0; i < 9; i++) {
    const transaction = await it.transaction()
    await transaction.send({ topic: name, messages: [{ value: String(i) }, { value: `${i} more` }] })
    const partitions = [{ partition: 0, offset: String(i) }]
    await transaction.sendOffsets({ consumerGroupId: group, topics: [{ topic: name, partitions }] })
    if (i % 3 === 2) await transaction.abort()
    else await transaction.commit()
  }
  const { seen } = await consume(t, name, freshName(t))
  await until('all messages', () => seen.length === 12)
  assert.deepEqual(
    values(seen),
    [0, 1, 3, 4, 6, 7].flatMap((i) => [String(i), `${i} more`]),
  )
  const [position] = (await (await admin(t)).fetchOffsets({ groupId: group, topics: [name] }))[0]!.partitions
  assert.equal(position!.offset, '7')
})
test('a message beyond the limit is refused, and the next one passes', async (t) => {
  const name = freshName(t)
  const it = await producer(t)
  const huge = { topic: name, messages: [{ value: Buffer.alloc(2_000_000) }] }
  await assert.rejects(it.send(huge), /larger than the max|too large|MESSAGE_TOO_LARGE/i)
  await it.send({ topic: name, messages: [{ value: 'small' }] })
})
test('a group goes on where it stopped; its lag is what is left', async (t) => {
  const [name, group] = [freshName(t), freshName(t)]
  const [writer, it] = [await producer(t), await admin(t)]
  await writer.send({ topic: name, messages: [{ value: '1' }, { value: '2' }] })
  const first = await consume(t, name, group)
  await until('two messages', () => first.seen.length === 2)
  await first.consumer.disconnect()
  await writer.send({ topic: name, messages: [{ value: '3' }, { value: '4' }, { value: '5' }] })
  const [committed] = (await it.fetchOffsets({ groupId: group, topics: [name] }))[0]!.partitions
  const [end] = await it.fetchTopicOffsets(name)
  assert.equal(Number(end!.high) - Number(committed!.offset), 3)
  const second = await consume(t, name, group)
  await until('three messages', () => second.seen.length === 3)
  assert.deepEqual(values(second.seen), ['3', '4', '5'])
})
test('partitions move when a member comes and when it goes', async (t) => {
  const [name, group] = [freshName(t), freshName(t)]
  const it = await admin(t)
  await it.createTopics({ topics: [{ topic: name, numPartitions: 4 }] })
  const held = new Map<Consumer, number[]>()
  const member = async (): Promise<Consumer> => {
    const consumer = kafka().consumer({ groupId: group, maxWaitTimeInMs: 100 })
    t.after(() => consumer.disconnect())
    await consumer.connect()
    await consumer.subscribe({ topic: name })
    consumer.on('consumer.group_join', ({ payload }) => void held.set(consumer, payload.memberAssignment[name] ?? []))
    await consumer.run({ eachMessage: async () => {} })
    return consumer
  }
  const counts = (): string => [...held.values()].map((partitions) => partitions.length).join()
  const one = await member()
  await until('all four', () => counts() === '4')
  const two = await member()
  await until('two each', () => counts() === '2,2')
  const described = await it.describeGroups([group])
  assert.deepEqual(
    [described.groups[0]!.state, described.groups[0]!.members.length, described.groups[0]!.protocolType],
    ['Stable', 2, 'consumer'],
  )
  await one.disconnect()
  held.delete(one)
  await until('all four again', () => counts() === '4')
  await two.disconnect()
  await until('nobody', async () => (await it.describeGroups([group])).groups[0]!.state === 'Empty')
  assert.ok((await it.listGroups()).groups.some(({ groupId }) => groupId === group))
  await it.deleteGroups([group])
  assert.ok(!(await it.listGroups()).groups.some(({ groupId }) => groupId === group))
})
test('a group in use cannot be deleted', async (t) => {
  const [name, group] = [freshName(t), freshName(t)]
  const [writer, it] = [await producer(t), await admin(t)]
  await writer.send({ topic: name, messages: [{ value: '1' }] })
  const { seen } = await consume(t, name, group)
  await until('the message', () => seen.length === 1)
  await assert.rejects(it.deleteGroups([group]))
})
test('positions are found by time, and set', async (t) => {
  const [name, group] = [freshName(t), freshName(t)]
  const [writer, it] = [await producer(t), await admin(t)]
  for (const [i, timestamp] of ['1000', '2000', '3000'].entries())
    await writer.send({ topic: name, messages: [{ value: String(i), timestamp }] })
  assert.equal((await it.fetchTopicOffsetsByTimestamp(name, 1500))[0]!.offset, '1')
  assert.equal((await it.fetchTopicOffsetsByTimestamp(name, 1))[0]!.offset, '0')
  await it.setOffsets({ groupId: group, topic: name, partitions: [{ partition: 0, offset: '2' }] })
  const { seen } = await consume(t, name, group)
  await until('the last', () => seen.length === 1)
  assert.deepEqual(values(seen), ['2'])
})
test('positions are reset to the beginning and to the end, which a consumer then goes on from', async (t) => {
  const [name, group] = [freshName(t), freshName(t)]
  const [writer, it] = [await producer(t), await admin(t)]
  await writer.send({ topic: name, messages: ['a', 'b'].map((value) => ({ value })) })
  await it.setOffsets({ groupId: group, topic: name, partitions: [{ partition: 0, offset: '1' }] })
  const reset = async (earliest: boolean): Promise<string> => {
    await it.resetOffsets({ groupId: group, topic: name, earliest })
    return (await it.fetchOffsets({ groupId: group, topics: [name] }))[0]!.partitions[0]!.offset
  }
  // So kafkajs says it, and Kafka keeps it.
  assert.equal(await reset(false), '-1')
  assert.equal(await reset(true), '-2')
  const { seen } = await consume(t, name, group)
  await until('all of it', () => seen.length === 2)
})
test('a consumer seeks', async (t) => {
  const [name, group] = [freshName(t), freshName(t)]
  const writer = await producer(t)
  await writer.send({ topic: name, messages: ['a', 'b', 'c'].map((value) => ({ value })) })
  const { consumer, seen } = await consume(t, name, group)
  await until('all', () => seen.length === 3)
  consumer.seek({ topic: name, partition: 0, offset: '1' })
  await until('two again', () => seen.length === 5)
  assert.deepEqual(values(seen), ['a', 'b', 'c', 'b', 'c'])
})
test('records are deleted up to an offset; a reader from the beginning starts there', async (t) => {
  const [name, group] = [freshName(t), freshName(t)]
  const [writer, it] = [await producer(t), await admin(t)]
  await writer.send({ topic: name, messages: ['a', 'b', 'c'].map((value) => ({ value })) })
  assert.equal((await it.fetchTopicOffsets(name))[0]!.high, '3')
  await it.deleteTopicRecords({ topic: name, partitions: [{ partition: 0, offset: '2' }] })
  assert.equal((await it.fetchTopicOffsets(name))[0]!.low, '2')
  const { seen } = await consume(t, name, group)
  await until('the last', () => seen.length === 1)
  assert.deepEqual(values(seen), ['c'])
})
test('a consumer that waits gets a message soon after it is written', async (t) => {
  const [name, group] = [freshName(t), freshName(t)]
  const writer = await producer(t)
  await writer.send({ topic: name, messages: [{ value: 'before' }] })
  const { seen } = await consume(t, name, group)
  await until('the first', () => seen.length === 1)
  const from = performance.now()
  await writer.send({ topic: name, messages: [{ value: 'now' }] })
  await until('the second', () => seen.length === 2)
  assert.ok(performance.now() - from < 1000)
})
test('the cluster is one broker with our id', async (t) => {
  const cluster = await (await admin(t)).describeCluster()
  assert.equal(cluster.clusterId, gateway().log.clusterId)
  assert.deepEqual(
    cluster.brokers.map(({ nodeId, host }) => [nodeId, host]),
    [[1, '127.0.0.1']],
  )
})
test('nothing of all this made the gateway complain', () => {
  assert.deepEqual(gateway().complaints, [])
})
