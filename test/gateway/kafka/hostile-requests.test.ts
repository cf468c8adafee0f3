/** Requests that are well formed and meant to do harm: very long lists and texts, sessions that only grow. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { FetchSessions } from '../../../src/gateway/kafka/fetch-sessions.ts'
import { fetch } from '../../../src/gateway/kafka/handlers/01-fetch.ts'
import { repeated } from '../../../src/gateway/kafka/handler.ts'
import { createPartitions } from '../../../src/gateway/kafka/handlers/37-create-partitions.ts'
import { Turns } from '../../../src/lib/turns.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { metadataApi } from '../../../src/wire/kafka/messages/03-metadata.ts'
import { findCoordinatorApi } from '../../../src/wire/kafka/messages/10-find-coordinator.ts'
import { apiVersionsApi } from '../../../src/wire/kafka/messages/18-api-versions.ts'
import { createTopicsApi } from '../../../src/wire/kafka/messages/19-create-topics.ts'
import { deleteTopicsApi } from '../../../src/wire/kafka/messages/20-delete-topics.ts'
import { describeConfigsApi } from '../../../src/wire/kafka/messages/32-describe-configs.ts'
import { createPartitionsApi } from '../../../src/wire/kafka/messages/37-create-partitions.ts'
import { electLeadersApi } from '../../../src/wire/kafka/messages/43-elect-leaders.ts'
import { describeUserScramCredentialsApi } from '../../../src/wire/kafka/messages/50-describe-user-scram-credentials.ts'
import { updateFeaturesApi } from '../../../src/wire/kafka/messages/57-update-features.ts'
import type { AnyShape, Api, Encoded } from '../../../src/wire/kafka/codec/shape.ts'
import { ask, exchangeFor } from './ask.ts'
import { fakeBroker } from './fake-broker.ts'
import { startGateway } from './local-gateway.ts'
import { WireClient } from './wire-client.ts'

const partitionsOf = (from: number, count: number) =>
  Array.from({ length: count }, (_, i) => ({ partition: from + i, fetchOffset: 0, partitionMaxBytes: 1 }))
const fetchOf = (sessionId: number, sessionEpoch: number, from: number, count: number, topic = 'none') => ({
  maxWaitMs: 0,
  minBytes: 0,
  maxBytes: 1,
  isolationLevel: 0,
  sessionId,
  sessionEpoch,
  topics: [{ topicId: nullUuid, topic, partitions: partitionsOf(from, count) }],
  forgottenTopicsData: [],
  rackId: '',
})

test('a fetch session takes no more partitions than all may have, and its client starts anew', async () => {
  const broker = fakeBroker()
  const sessions = new FetchSessions(realWorld().random, { sessionsMax: 10, partitionsMax: 100 })
  const exchange = exchangeFor(broker, { sessions })
  const { sessionId } = await ask(fetch, 12, fetchOf(0, 0, 0, 90), exchange)
  assert.notEqual(sessionId, 0)
  const full = await ask(fetch, 12, fetchOf(sessionId, 1, 90, 50), exchange)
  assert.equal(full.errorCode, 70)
  assert.equal(sessions.size, 0)
  const again = await ask(fetch, 12, fetchOf(0, 0, 0, 90), exchange)
  assert.equal((await ask(fetch, 12, fetchOf(again.sessionId, 1, 90, 10), exchange)).errorCode, 0)
})

test('partitions that are not there are answered without asking the log', async () => {
  const broker = fakeBroker()
  broker.create({ name: 'a', partitions: 2 })
  let asked = 0
  const { fetch: toLog } = broker
  broker.fetch = (request, signal) => {
    asked += request.entries.length
    return toLog.call(broker, request, signal)
  }
  const unknown = await ask(fetch, 12, fetchOf(0, -1, 0, 5_000), exchangeFor(broker))
  assert.deepEqual([...new Set(unknown.responses[0]!.partitions.map(({ errorCode }) => errorCode))], [3])
  assert.equal(asked, 0)
  const some = await ask(fetch, 12, fetchOf(0, -1, 0, 5_000, 'a'), exchangeFor(broker))
  assert.equal(some.responses[0]!.partitions.filter(({ errorCode }) => errorCode === 0).length, 2)
  assert.equal(asked, 2)
})

test('work on a long list lets others have their turn', async () => {
  let nowMs = 0
  let turns = 0
  const { clock } = realWorld()
  const slow = { ...clock, monotonic: () => nowMs++, soon: (call: () => void) => (turns++, clock.soon(call)) }
  const mine = new Turns(slow)
  for (let i = 0; i < 1_000; i++) if (mine.isOver) await mine.next()
  assert.ok(turns >= 50 && turns <= 200, `${turns}`)
})

test('what is named twice in one request is found in a time that does not grow with the square of its names', async () => {
  const names = Array.from({ length: 200_000 }, (_, i) => `x${i}`)
  const began = performance.now()
  assert.deepEqual([...repeated([...names, 'x1', 'x7', 'x1'])], ['x1', 'x7'])
  // Minutes with a search for each name.
  assert.ok(performance.now() - began < 5_000)
  const topics = ['a', 'b', 'a'].map((name) => ({ name, count: 2, assignments: null }))
  const request = { topics, timeoutMs: 0, validateOnly: true }
  const { results } = await ask(createPartitions, 2, request, exchangeFor(fakeBroker()))
  assert.deepEqual(
    results.map(({ errorCode }) => errorCode),
    [42, 3, 42],
  )
})

async function gateway(t: TestContext) {
  const started = await startGateway()
  t.after(() => started[Symbol.asyncDispose]())
  const [host, port] = started.address.split(':')
  const open = () => WireClient.open({ host: host!, port: Number(port) })
  return { open, complaints: started.complaints }
}
interface Case {
  readonly name: string
  send(client: WireClient, text: string): Promise<unknown>
}
const ofApi = <Q extends AnyShape, A extends AnyShape>(
  api: Api<Q, A>,
  version: number,
  request: (text: string) => Encoded<Q>,
): Case => ({ name: api.name, send: (client, text) => client.ask(api, version, request(text)) })
const cases: readonly Case[] = [
  ofApi(metadataApi, 9, (name) => ({
    topics: [{ topicId: nullUuid, name }],
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  })),
  ofApi(createTopicsApi, 7, (name) => ({
    topics: [{ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [{ name, value: null }] }],
    timeoutMs: 0,
    validateOnly: false,
  })),
  ofApi(createTopicsApi, 7, (name) => ({
    topics: [{ name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [{ name, value: name }] }],
    timeoutMs: 0,
    validateOnly: false,
  })),
  ofApi(deleteTopicsApi, 6, (name) => ({ topics: [{ name, topicId: nullUuid }], topicNames: [], timeoutMs: 0 })),
  ofApi(describeConfigsApi, 4, (resourceName) => ({
    resources: [2, 4, 32].map((resourceType) => ({ resourceType, resourceName, configurationKeys: null })),
    includeSynonyms: false,
    includeDocumentation: false,
  })),
  ofApi(createPartitionsApi, 3, (name) => ({
    topics: [{ name, count: 2, assignments: null }],
    timeoutMs: 0,
    validateOnly: false,
  })),
  ofApi(electLeadersApi, 2, (topic) => ({
    electionType: 0,
    topicPartitions: [{ topic, partitions: [0] }],
    timeoutMs: 0,
  })),
  ofApi(describeUserScramCredentialsApi, 0, (name) => ({ users: [{ name }] })),
  ofApi(updateFeaturesApi, 2, (feature) => ({
    timeoutMs: 0,
    featureUpdates: [{ feature, maxVersionLevel: 1, upgradeType: 1 }],
    validateOnly: false,
  })),
  ofApi(findCoordinatorApi, 6, (key) => ({ key: '', keyType: 0, coordinatorKeys: [key] })),
]

test('a text as long as the wire allows is answered; a longer one ends the connection, not more', async (t) => {
  const { open, complaints } = await gateway(t)
  const longest = 'x'.repeat(32_767)
  for (const { name, send } of cases) {
    const client = await open()
    await send(client, longest).catch((error: unknown) => assert.fail(`${name}: ${String(error)} ${complaints.at(-1)}`))
    client.close()
  }
  assert.deepEqual(
    complaints.filter((line) => line.includes('failed')),
    [],
  )
  const client = await open()
  // What the length of a compact text could say, and no answer could repeat.
  const frame = tooLong()
  await client.ask(apiVersionsApi, 0, { clientSoftwareName: '', clientSoftwareVersion: '' })
  client.socket.write(frame)
  await client.closed
  assert.match(complaints.at(-1)!, /connection closed.*a text of 32768 bytes/)
})
test('tagged fields are counted as items are', async (t) => {
  const { open, complaints } = await gateway(t)
  const client = await open()
  await client.ask(apiVersionsApi, 0, { clientSoftwareName: '', clientSoftwareVersion: '' })
  // 300,000 fields of nothing in the header of a Metadata request.
  const head = Buffer.from([0, 3, 0, 9, 0, 0, 0, 1, 0, 0, 0xe0, 0xa7, 0x12])
  const body = Buffer.concat([head, Buffer.alloc(600_000), Buffer.from([0, 0, 0, 0, 0])])
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  client.socket.write(Buffer.concat([length, body]))
  await client.closed
  assert.match(complaints.at(-1)!, /by its items of 300000/)
})
function tooLong(): Buffer {
  const name = Buffer.from('x'.repeat(32_768))
  // Metadata v9, correlation 1, client id '', no tags; one topic, its name's length as a varint.
  const head = Buffer.from([0, 3, 0, 9, 0, 0, 0, 1, 0, 0, 0, 2, 0x81, 0x80, 0x02])
  const body = Buffer.concat([head, name, Buffer.from([0, 0, 0, 0, 0])])
  const length = Buffer.alloc(4)
  length.writeInt32BE(body.length)
  return Buffer.concat([length, body])
}
