import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { type TestContext, test } from 'node:test'
import { encodeBatch } from '../../../src/log/batch.ts'
import { type KafkaListener, type KafkaOptions, listenKafka } from '../../../src/gateway/kafka/index.ts'
import { produceApi } from '../../../src/wire/kafka/messages/00-produce.ts'
import { fetchApi } from '../../../src/wire/kafka/messages/01-fetch.ts'
import { metadataApi } from '../../../src/wire/kafka/messages/03-metadata.ts'
import { findCoordinatorApi } from '../../../src/wire/kafka/messages/10-find-coordinator.ts'
import { apiVersionsApi } from '../../../src/wire/kafka/messages/18-api-versions.ts'
import { describeClusterApi } from '../../../src/wire/kafka/messages/60-describe-cluster.ts'
import { handlers } from '../../../src/gateway/kafka/handlers/index.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import type { Logger } from '../../../src/lib/logger.ts'
import { limits } from '../../../src/lib/limits.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { type FakeBroker, fakeBroker } from './fake-broker.ts'
import { WireClient, readAnswer, requestFrame } from './wire-client.ts'

interface Setting {
  readonly broker: FakeBroker
  readonly listener: KafkaListener
  readonly complaints: string[]
  client(): Promise<WireClient>
}
async function start(t: TestContext, options: Partial<KafkaOptions> = {}): Promise<Setting> {
  const broker = fakeBroker()
  const complaints: string[] = []
  const note = (message: string, facts?: Readonly<Record<string, unknown>>): void =>
    void complaints.push(`${message} ${JSON.stringify(facts)}`)
  const log: Logger = { info: note, warn: note, error: note }
  const world = realWorld()
  const listener = await listenKafka({ world, broker, at: { host: '127.0.0.1', port: 0 }, log, ...options })
  const clients: WireClient[] = []
  t.after(async () => {
    for (const client of clients) client.close()
    await listener.close()
  })
  const client = async (): Promise<WireClient> => {
    const opened = await WireClient.open(listener.at)
    clients.push(opened)
    return opened
  }
  return { broker, listener, complaints, client }
}
const batch = (text: string): Uint8Array => encodeBatch([{ key: null, value: Buffer.from(text), timeMs: 1000 }])
const produceTo = (topic: string, texts: readonly string[], acks = -1) => ({
  acks,
  timeoutMs: 1000,
  topicData: [
    {
      topicId: nullUuid,
      name: topic,
      partitionData: texts.map((text) => ({ index: 0, records: [batch(text)] })),
    },
  ],
})
const fetchFrom = (topic: string, fetchOffset: number, maxWaitMs: number) => ({
  maxWaitMs,
  minBytes: 1,
  maxBytes: 1_000_000,
  isolationLevel: 0,
  sessionId: 0,
  sessionEpoch: -1,
  topics: [{ topicId: nullUuid, topic, partitions: [{ partition: 0, fetchOffset, partitionMaxBytes: 1_000_000 }] }],
  forgottenTopicsData: [],
  rackId: '',
})
const allTopics = { topics: null, includeClusterAuthorizedOperations: false, includeTopicAuthorizedOperations: false }
const topic = (broker: FakeBroker, name = 't', partitions = 1): void =>
  assert.equal(broker.create({ name, partitions }), null)

test('what ApiVersions says is computed from the handlers', async (t) => {
  const { client } = await start(t)
  const answer = await (
    await client()
  ).ask(apiVersionsApi, 4, {
    clientSoftwareName: 'test',
    clientSoftwareVersion: '1.0',
  })
  assert.equal(answer.errorCode, 0)
  assert.deepEqual(
    answer.apiKeys.map(({ apiKey, maxVersion }) => [apiKey, maxVersion]),
    handlers.map(({ api, versions }) => [api.key, versions[1]]),
  )
  assert.equal(answer.apiKeys.find(({ apiKey }) => apiKey === 0)?.minVersion, 0, 'librdkafka looks for Produce v0')
})
test('an ApiVersions request of a version to come is answered in version 0, with what we speak', async (t) => {
  const { client } = await start(t)
  const wire = await client()
  const frame = requestFrame(apiVersionsApi, 4, 77, { clientSoftwareName: 'x', clientSoftwareVersion: '1' })
  frame.writeInt16BE(99, 6)
  wire.socket.write(frame)
  const { correlationId, value } = readAnswer(apiVersionsApi, 0, await wire.frame())
  assert.equal(correlationId, 77)
  assert.equal(value.errorCode, 35)
  assert.deepEqual(value.apiKeys, [{ apiKey: 18, minVersion: 0, maxVersion: 4 }])
  assert.equal((await wire.ask(metadataApi, 12, allTopics)).brokers.length, 1)
})
test('a client without a proper software name is told so', async (t) => {
  const { client } = await start(t)
  const wire = await client()
  const asked = { clientSoftwareName: 'no spaces', clientSoftwareVersion: '' }
  assert.equal((await wire.ask(apiVersionsApi, 3, asked)).errorCode, 42)
})

for (const [what, frame] of [
  ['an API that is not offered', Buffer.from('0000000a' + '03e8' + '0000' + '00000001' + 'ffff', 'hex')],
  ['a version that is not offered', Buffer.from('0000000a' + '0003' + '0063' + '00000001' + 'ffff', 'hex')],
  ['a negative length', Buffer.from('ffffffff', 'hex')],
  ['a length of zero', Buffer.from('00000000', 'hex')],
  ['a first frame of 2 GiB', Buffer.from('7fffffff', 'hex')],
  ['a first frame of 2 MiB', Buffer.from('00200000', 'hex')],
  ['a frame that ends too soon', Buffer.from('00000004' + '0003' + '0000', 'hex')],
  ['HTTP', Buffer.from('GET / HTTP/1.1\r\nHost: x\r\n\r\n')],
  ['TLS', Buffer.from('160301020001000001fc0303', 'hex')],
] as const)
  test(`${what} closes the connection with a line in the log, and no other`, async (t) => {
    const { client, complaints } = await start(t)
    const [bad, good] = [await client(), await client()]
    bad.socket.write(frame)
    await bad.closed
    assert.equal(complaints.length, 1)
    assert.match(complaints[0]!, /connection closed .*127\.0\.0\.1/)
    assert.equal((await good.ask(metadataApi, 12, allTopics)).topics.length, 0)
  })

test('who speaks another protocol is named in the log', async (t) => {
  const { client, complaints } = await start(t)
  for (const bytes of [Buffer.from('GET / HTTP/1.1\r\n'), Buffer.from('160301020001000001fc0303', 'hex')]) {
    const bad = await client()
    bad.socket.write(bytes)
    await bad.closed
  }
  assert.match(complaints[0]!, /HTTP on the port of Kafka/)
  assert.match(complaints[1]!, /TLS on the port of Kafka/)
})
test('a frame beyond 1 MiB is taken once the client has said something valid', async (t) => {
  const { client, broker } = await start(t)
  topic(broker)
  const wire = await client()
  await wire.ask(metadataApi, 12, allTopics)
  const answer = await wire.ask(produceApi, 7, produceTo('t', ['x'.repeat(3_000_000)]))
  assert.equal(answer.responses[0]!.partitionResponses[0]!.errorCode, 0)
  assert.equal(broker.stored({ topic: 't', index: 0 })!.batches[0]!.bytes.length > 3_000_000, true)
})
test('frames may come byte by byte, or many in one piece', async (t) => {
  const { client } = await start(t)
  const wire = await client()
  const frame = requestFrame(metadataApi, 12, 1, allTopics)
  for (const byte of frame) {
    wire.socket.write(Buffer.from([byte]))
    await new Promise((resolve) => setImmediate(resolve))
  }
  assert.equal(readAnswer(metadataApi, 12, await wire.frame()).correlationId, 1)
  wire.socket.write(Buffer.concat([2, 3, 4, 5].map((id) => requestFrame(metadataApi, 12, id, allTopics))))
  for (const id of [2, 3, 4, 5]) assert.equal(readAnswer(metadataApi, 12, await wire.frame()).correlationId, id)
})
test('the next produce request begins before the one before it is durable; answers keep their order', async (t) => {
  const { client, broker } = await start(t)
  topic(broker)
  const wire = await client()
  const gate = Promise.withResolvers<void>()
  broker.gate = gate.promise
  const ids = ['a', 'b', 'c'].map((text) => wire.send(produceApi, 9, produceTo('t', [text])))
  const after = wire.send(metadataApi, 12, allTopics)
  while (broker.produced.length < 3) await sleep(1)
  assert.equal(wire.unread, 0)
  gate.resolve()
  for (const [i, id] of ids.entries()) {
    const { correlationId, value } = readAnswer(produceApi, 9, await wire.frame())
    assert.equal(correlationId, id)
    assert.equal(value.responses[0]!.partitionResponses[0]!.baseOffset, i)
  }
  assert.equal(readAnswer(metadataApi, 12, await wire.frame()).correlationId, after)
})
test('a waiting fetch holds up its own connection only', async (t) => {
  const { client, broker } = await start(t)
  topic(broker)
  const [reader, writer] = [await client(), await client()]
  const waiting = reader.ask(fetchApi, 11, fetchFrom('t', 0, 10_000))
  await writer.ask(produceApi, 9, produceTo('t', ['one']))
  const answer = await waiting
  assert.equal(answer.responses[0]!.partitions[0]!.highWatermark, 1)
  assert.ok(answer.responses[0]!.partitions[0]!.records!.length > 61)
})
test('a client that goes away takes its waiting fetch with it', async (t) => {
  const { client, broker, listener } = await start(t)
  topic(broker)
  const reader = await client()
  reader.send(fetchApi, 11, fetchFrom('t', 0, 60_000))
  await sleep(20)
  reader.close()
  const from = performance.now()
  await listener.close()
  assert.ok(performance.now() - from < 1000)
})
test('acks 0 is not answered; an error there closes the connection', async (t) => {
  const { client, broker } = await start(t)
  topic(broker)
  const wire = await client()
  wire.send(produceApi, 9, produceTo('t', ['quiet'], 0))
  const next = wire.send(metadataApi, 12, allTopics)
  assert.equal(readAnswer(metadataApi, 12, await wire.frame()).correlationId, next)
  assert.equal(broker.stored({ topic: 't', index: 0 })!.end, 1)
  wire.send(produceApi, 9, produceTo('nowhere', ['lost'], 0))
  await wire.closed
})
test('clients are told the address they came by, or the one given', async (t) => {
  const plain = await start(t)
  const given = await start(t, { advertise: { host: 'broker.example', port: 4242 } })
  const nodeOf = async ({ client }: Setting): Promise<unknown[]> => {
    const wire = await client()
    const [metadata] = (await wire.ask(metadataApi, 12, allTopics)).brokers
    const [coordinator] = (await wire.ask(findCoordinatorApi, 4, { key: '', keyType: 0, coordinatorKeys: ['g'] }))
      .coordinators
    const [cluster] = (
      await wire.ask(describeClusterApi, 1, { includeClusterAuthorizedOperations: false, includeFencedBrokers: false })
    ).brokers
    return [metadata!, coordinator!, cluster!].map(({ host, port }) => `${host}:${port}`)
  }
  const own = `127.0.0.1:${plain.listener.at.port}`
  assert.deepEqual(await nodeOf(plain), [own, own, own])
  const other = 'broker.example:4242'
  assert.deepEqual(await nodeOf(given), [other, other, other])
})
test('requests beyond the bytes in flight wait in the socket, and all are answered', async (t) => {
  const { client, broker } = await start(t)
  topic(broker)
  const wire = await client()
  await wire.ask(metadataApi, 12, allTopics)
  const gate = Promise.withResolvers<void>()
  broker.gate = gate.promise
  const big = 'x'.repeat(1_000_000)
  const count = Math.ceil((3 * limits.kafkaConnectionBytesInFlight) / big.length)
  for (let i = 0; i < count; i++) wire.send(produceApi, 9, produceTo('t', [big]))
  let before = -1
  while (broker.produced.length !== before || before === 0) {
    before = broker.produced.length
    await sleep(50)
  }
  assert.ok(before * big.length < limits.kafkaConnectionBytesInFlight + 3 * big.length, `${before} requests taken in`)
  gate.resolve()
  for (let i = 0; i < count; i++) await wire.frame()
  assert.equal(broker.stored({ topic: 't', index: 0 })!.end, count)
})
test('closing answers what is under way and then ends every connection', async (t) => {
  const { client, broker, listener } = await start(t)
  topic(broker)
  const [busy, idle] = [await client(), await client()]
  await idle.ask(metadataApi, 12, allTopics)
  const gate = Promise.withResolvers<void>()
  broker.gate = gate.promise
  const answer = busy.ask(produceApi, 9, produceTo('t', ['last']))
  while (broker.produced.length === 0) await sleep(1)
  const closed = listener.close()
  await idle.closed
  gate.resolve()
  assert.equal((await answer).responses[0]!.partitionResponses[0]!.baseOffset, 0)
  await closed
  await busy.closed
})
test('closing wakes waiting fetches, without complaint', async (t) => {
  const { client, broker, listener, complaints } = await start(t)
  topic(broker)
  const reader = await client()
  reader.send(fetchApi, 11, fetchFrom('t', 0, 60_000))
  await sleep(20)
  const from = performance.now()
  await listener.close()
  assert.ok(performance.now() - from < 1500)
  assert.deepEqual(complaints, [])
})
