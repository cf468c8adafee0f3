/** Grants, users, quotas and the audit through the protocol that Kafka's tools speak, over the whole program. */
import assert from 'node:assert/strict'
import { randomBytes } from 'node:crypto'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { decodeBatch, encodeBatch } from '../../src/log/batch.ts'
import { produceApi } from '../../src/wire/kafka/messages/00-produce.ts'
import { fetchApi } from '../../src/wire/kafka/messages/01-fetch.ts'
import { apiVersionsApi } from '../../src/wire/kafka/messages/18-api-versions.ts'
import { saslHandshakeApi } from '../../src/wire/kafka/messages/17-sasl-handshake.ts'
import { createTopicsApi } from '../../src/wire/kafka/messages/19-create-topics.ts'
import { describeConfigsApi } from '../../src/wire/kafka/messages/32-describe-configs.ts'
import { saslAuthenticateApi } from '../../src/wire/kafka/messages/36-sasl-authenticate.ts'
import { alterClientQuotasApi } from '../../src/wire/kafka/messages/49-alter-client-quotas.ts'
import { describeClientQuotasApi } from '../../src/wire/kafka/messages/48-describe-client-quotas.ts'
import { describeUserScramCredentialsApi } from '../../src/wire/kafka/messages/50-describe-user-scram-credentials.ts'
import { alterUserScramCredentialsApi } from '../../src/wire/kafka/messages/51-alter-user-scram-credentials.ts'
import { until } from '../gateway/kafka/local-gateway.ts'
import { WireClient } from '../gateway/kafka/wire-client.ts'
import { type Platform, makeUser, platform } from './platform.ts'

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, Kafka, ResourcePatternTypes, logLevel } = kafkajs

async function comeIn(t: { after(call: () => void): void }, p: Platform, name: string): Promise<WireClient> {
  const client = await WireClient.open(p.kafka)
  t.after(() => client.close())
  await client.ask(saslHandshakeApi, 1, { mechanism: 'PLAIN' })
  const authBytes = Buffer.from(`\0${name}\0${name}-secret`)
  assert.equal((await client.ask(saslAuthenticateApi, 2, { authBytes })).errorCode, 0)
  return client
}
const clientOf = (p: Platform, name: string): kafkajs.Kafka =>
  new Kafka({
    brokers: [`127.0.0.1:${p.kafka.port}`],
    sasl: { mechanism: 'plain', username: name, password: `${name}-secret` },
    logLevel: logLevel.NOTHING,
    retry: { retries: 0 },
  })
async function audited(p: Platform): Promise<Record<string, unknown>[]> {
  const partition = { topic: '_millrace_audit', index: 0 }
  if ((await p.log.topics.get(partition.topic)) === null) return []
  const [chunk] = await p.log.reader().read([{ partition, offset: 0 as never }], { ms: 0 })
  if (chunk === undefined || 'fault' in chunk) return []
  return chunk.batches.flatMap((batch) =>
    [...decodeBatch(batch)].map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as Record<string, unknown>),
  )
}

test('grants are given, found and taken, and hold at once', async (t) => {
  const p = await platform(t)
  await makeUser(p, 'root', 'root-secret', true)
  await makeUser(p, 'alice', 'alice-secret')
  const admin = clientOf(p, 'root').admin()
  await admin.connect()
  t.after(() => admin.disconnect())
  await admin.createTopics({ topics: [{ topic: 'orders-1' }, { topic: 'orders-secret' }, { topic: 'other' }] })
  const alice = clientOf(p, 'alice')
  const own = alice.admin()
  await own.connect()
  t.after(() => own.disconnect())
  assert.deepEqual(await own.listTopics(), [])
  const acl = {
    resourceType: AclResourceTypes.TOPIC,
    resourceName: 'orders-',
    resourcePatternType: ResourcePatternTypes.PREFIXED,
    principal: 'User:alice',
    host: '*',
    operation: AclOperationTypes.ALL,
    permissionType: AclPermissionTypes.ALLOW,
  }
  const deny = {
    ...acl,
    resourceName: 'orders-secret',
    resourcePatternType: ResourcePatternTypes.LITERAL,
    permissionType: AclPermissionTypes.DENY,
  }
  await admin.createAcls({ acl: [acl, deny] })
  assert.deepEqual(await own.listTopics(), ['orders-1'])
  const producer = alice.producer()
  await producer.connect()
  t.after(() => producer.disconnect())
  await producer.send({ topic: 'orders-1', messages: [{ value: 'x' }] })
  await assert.rejects(producer.send({ topic: 'orders-secret', messages: [{ value: 'x' }] }), /[Nn]ot authorized/)
  await assert.rejects(own.createTopics({ topics: [{ topic: 'else' }] }))
  const any = {
    resourceType: AclResourceTypes.ANY,
    resourcePatternType: ResourcePatternTypes.ANY,
    operation: AclOperationTypes.ANY,
    permissionType: AclPermissionTypes.ANY,
  }
  await assert.rejects(own.describeAcls({ ...any, resourceName: 'x' }), /Cluster authorization failed/)
  const found = await admin.describeAcls({
    ...any,
    resourceName: 'orders-secret',
    resourcePatternType: ResourcePatternTypes.MATCH,
  })
  assert.deepEqual(found.resources.map(({ resourceName }) => resourceName).toSorted(), ['orders-', 'orders-secret'])
  const { filterResponses } = await admin.deleteAcls({
    filters: [{ ...any, resourceName: 'orders-', resourcePatternType: ResourcePatternTypes.PREFIXED }],
  })
  assert.equal(filterResponses[0]!.matchingAcls.length, 1)
  assert.deepEqual(await own.listTopics(), [])
  await until('the record of what was done and refused', async () => {
    const entries = await audited(p)
    const has = (wanted: Record<string, unknown>): boolean =>
      entries.some((entry) =>
        Object.entries(wanted).every(([key, value]) => JSON.stringify(entry[key]) === JSON.stringify(value)),
      )
    return (
      has({ action: 'CreateAcls', principal: 'User:root', outcome: 'done' }) &&
      has({ action: 'CreateTopics', principal: 'User:alice', outcome: 'refused', resources: ['create topic:else'] }) &&
      has({ action: 'Metadata', principal: 'User:alice', resources: ['describe topic:orders-secret'] })
    )
  })
})

test('the catalogue and the audit are read by those alone who may change them', async (t) => {
  const p = await platform(t)
  await makeUser(p, 'root', 'root-secret', true)
  await makeUser(p, 'alice', 'alice-secret')
  const grant = { host: '*', permission: 'allow', principal: 'User:alice', pattern: 'literal' } as const
  await p.security.grants.add([{ ...grant, resource: 'topic', name: '*', operation: 'all' }])
  const alice = await comeIn(t, p, 'alice')
  const read = async (): Promise<number> => {
    const partitions = [
      {
        partition: 0,
        currentLeaderEpoch: -1,
        fetchOffset: 0,
        logStartOffset: -1,
        partitionMaxBytes: 9_999,
        lastFetchedEpoch: -1,
      },
    ]
    const answer = await alice.ask(fetchApi, 12, {
      replicaId: -1,
      maxWaitMs: 0,
      minBytes: 0,
      maxBytes: 9_999,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [{ topic: '_millrace_catalog', topicId: '', partitions }],
      forgottenTopicsData: [],
      rackId: '',
    })
    return answer.responses[0]!.partitions[0]!.errorCode
  }
  assert.equal(await read(), 29)
  await p.security.grants.add([{ ...grant, resource: 'cluster', name: 'kafka-cluster', operation: 'alter' }])
  assert.equal(await read(), 0)
})

test('SCRAM credentials: made, described without their secrets, refused outside the bounds, taken away', async (t) => {
  const p = await platform(t)
  await makeUser(p, 'root', 'root-secret', true)
  const root = await comeIn(t, p, 'root')
  const upsert = (name: string, iterations: number, mechanism = 2, bytes = 64) => ({
    deletions: [],
    upsertions: [{ name, mechanism, iterations, salt: randomBytes(16), saltedPassword: randomBytes(bytes) }],
  })
  const alter = async (request: ReturnType<typeof upsert>) =>
    (await root.ask(alterUserScramCredentialsApi, 0, request)).results.map(({ errorCode }) => errorCode)
  assert.deepEqual(await alter(upsert('bob', 4096)), [0])
  assert.deepEqual(await alter(upsert('bob', 4095)), [93])
  assert.deepEqual(await alter(upsert('bob', 16_385)), [93])
  assert.deepEqual(await alter(upsert('bob', 4096, 2, 32)), [93])
  assert.deepEqual(await alter(upsert('bob', 4096, 3)), [33])
  assert.deepEqual(await alter(upsert('', 4096)), [93])
  const describe = async (names: readonly string[]) =>
    (await root.ask(describeUserScramCredentialsApi, 0, { users: names.map((name) => ({ name })) })).results
  assert.deepEqual(await describe(['bob', 'nobody']), [
    { user: 'bob', errorCode: 0, errorMessage: null, credentialInfos: [{ mechanism: 2, iterations: 4096 }] },
    {
      user: 'nobody',
      errorCode: 91,
      errorMessage: 'Attempt to describe a user credential that does not exist: nobody',
      credentialInfos: [],
    },
  ])
  const { results } = await root.ask(alterUserScramCredentialsApi, 0, {
    deletions: [
      { name: 'bob', mechanism: 2 },
      { name: 'nobody', mechanism: 1 },
    ],
    upsertions: [],
  })
  assert.deepEqual(
    results.map(({ user, errorCode }) => [user, errorCode]),
    [
      ['bob', 0],
      ['nobody', 91],
    ],
  )
  assert.equal(p.security.users.get('bob'), null)
  const configs = await root.ask(describeConfigsApi, 4, {
    resources: [{ resourceType: 4, resourceName: '1', configurationKeys: null }],
    includeSynonyms: true,
    includeDocumentation: true,
  })
  assert.ok(!/secret|salt|password/i.test(JSON.stringify(configs)))
})

test('quotas: described as they were set, and kept to by throttling', async (t) => {
  const p = await platform(t)
  await makeUser(p, 'root', 'root-secret', true)
  const root = await comeIn(t, p, 'root')
  const set = async (entity: object[], key: string, value: number): Promise<number> => {
    const ops = [{ key, value, remove: false }]
    const request = { entries: [{ entity: entity as never, ops }], validateOnly: false }
    return (await root.ask(alterClientQuotasApi, 1, request)).entries[0]!.errorCode
  }
  assert.equal(await set([{ entityType: 'user', entityName: 'root' }], 'producer_byte_rate', 10_000), 0)
  assert.equal(await set([{ entityType: 'user', entityName: null }], 'controller_mutation_rate', 1), 0)
  assert.equal(await set([{ entityType: 'ip', entityName: '127.0.0.9' }], 'connection_creation_rate', 1), 0)
  assert.equal(await set([{ entityType: 'user', entityName: 'x' }], 'nonsense', 1), 42)
  assert.equal(await set([{ entityType: 'user', entityName: 'x' }], 'producer_byte_rate', -1), 42)
  assert.equal(await set([{ entityType: 'user', entityName: 'x' }], 'consumer_byte_rate', 1024.5), 42)
  assert.equal(await set([{ entityType: 'ip', entityName: '127.0.0.9' }], 'connection_creation_rate', 0.5), 42)
  assert.equal(await set([{ entityType: 'planet', entityName: 'x' }], 'producer_byte_rate', 1), 42)
  const described = await root.ask(describeClientQuotasApi, 1, {
    components: [{ entityType: 'user', matchType: 2, match: null }],
    strict: true,
  })
  assert.deepEqual(
    described.entries!.map(({ values }) => values[0]),
    [
      { key: 'producer_byte_rate', value: 10_000 },
      { key: 'controller_mutation_rate', value: 1 },
    ],
  )
  await p.log.topics.create([{ name: 't', partitions: 1, config: {} }])
  const produce = async (bytes: number): Promise<number> => {
    const records = [encodeBatch([{ key: null, value: Buffer.alloc(bytes), timeMs: 1 }])]
    const answer = await root.ask(produceApi, 9, {
      transactionalId: null,
      acks: 1,
      timeoutMs: 1_000,
      topicData: [{ name: 't', topicId: '', partitionData: [{ index: 0, records }] }],
    })
    assert.equal(answer.responses[0]!.partitionResponses[0]!.errorCode, 0)
    return answer.throttleTimeMs
  }
  // Ten seconds' worth are let through at once, as Kafka's samples do; half a second more has to be waited for.
  assert.equal(await produce(90_000), 0)
  const throttleMs = await produce(15_000)
  assert.ok(throttleMs > 300 && throttleMs < 1_500, String(throttleMs))
  const started = performance.now()
  await root.ask(apiVersionsApi, 0, { clientSoftwareName: '', clientSoftwareVersion: '' })
  const silentMs = performance.now() - started
  assert.ok(silentMs > throttleMs - 200, `silent for ${silentMs} of ${throttleMs} ms`)
  // So many partitions at once are the worth of ten seconds; then strict clients are told, and nothing is made.
  const create = async (name: string, numPartitions: number) => {
    const request = { topics: [{ name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }] }
    return root.ask(createTopicsApi, 7, { ...request, timeoutMs: 1_000, validateOnly: false })
  }
  assert.equal((await create('many', 12)).topics[0]!.errorCode, 0)
  const told = await create('one-more', 1)
  assert.deepEqual([told.topics[0]!.errorCode, told.throttleTimeMs > 0], [89, true])
  assert.equal(p.local?.catalog.byName('one-more'), null)
})

test('connections from an address are made no faster than its quota', async (t) => {
  const p = await platform(t)
  await p.security.quotas.change([{ entity: { ip: '127.0.0.1' }, values: { connection_creation_rate: 1 } }])
  const clients = await Promise.all(Array.from({ length: 15 }, () => WireClient.open(p.kafka)))
  t.after(() => clients.forEach((client) => client.close()))
  await until('the end of those beyond', () => clients.filter(({ isClosed }) => isClosed).length === 5)
})

test('HTTP: who is over a quota is told to wait', async (t) => {
  const p = await platform(t)
  await p.security.quotas.change([
    { entity: { user: null }, values: { producer_byte_rate: 100, consumer_byte_rate: 1_000_000 } },
  ])
  await p.log.topics.create([{ name: 't', partitions: 1, config: {} }])
  const url = `${p.http}/v1/topics/t/records`
  const produce = (): Promise<Response> =>
    fetch(url, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ text: 'x'.repeat(1_200) }),
    })
  assert.equal((await produce()).status, 200)
  const told = await produce()
  assert.equal(told.status, 429)
  assert.equal(((await told.json()) as { code: string }).code, 'security.throttled')
  assert.ok(Number(told.headers.get('retry-after')) >= 1)
  assert.equal((await fetch(url)).status, 200)
})
