/** The audit says what an act changed, not only what it was about. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import kafkajs from 'kafkajs'
import { decodeBatch } from '../../src/log/batch.ts'
import { createTopicsApi } from '../../src/wire/kafka/messages/19-create-topics.ts'
import { incrementalAlterConfigsApi } from '../../src/wire/kafka/messages/44-incremental-alter-configs.ts'
import { saslHandshakeApi } from '../../src/wire/kafka/messages/17-sasl-handshake.ts'
import { saslAuthenticateApi } from '../../src/wire/kafka/messages/36-sasl-authenticate.ts'
import { alterClientQuotasApi } from '../../src/wire/kafka/messages/49-alter-client-quotas.ts'
import { alterUserScramCredentialsApi } from '../../src/wire/kafka/messages/51-alter-user-scram-credentials.ts'
import { until } from '../gateway/kafka/local-gateway.ts'
import { WireClient } from '../gateway/kafka/wire-client.ts'
import { type Platform, makeUser, platform } from './platform.ts'

const { AclOperationTypes, AclPermissionTypes, AclResourceTypes, ConfigResourceTypes, Kafka, ResourcePatternTypes } =
  kafkajs

interface Entry {
  readonly action: string
  readonly outcome: string
  readonly changes?: readonly string[]
}
async function audited(p: Platform): Promise<Entry[]> {
  const partition = { topic: '_millrace_audit', index: 0 }
  const [chunk] = await p.log.reader().read([{ partition, offset: 0 as never }], { ms: 0 })
  if (chunk === undefined || 'fault' in chunk) return []
  return chunk.batches.flatMap((batch) =>
    [...decodeBatch(batch)].map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as Entry),
  )
}
/** Of the acts that were noted so far, those of one name. */
async function changesOf(p: Platform, action: string): Promise<readonly (readonly string[] | undefined)[]> {
  return (await audited(p)).filter((entry) => entry.action === action).map(({ changes }) => changes)
}
async function said(p: Platform, action: string, ...wanted: readonly (readonly string[] | undefined)[]): Promise<void> {
  await until(`the record of ${action}`, async () => (await changesOf(p, action)).length >= wanted.length)
  assert.deepEqual(await changesOf(p, action), wanted)
}

test('acts over Kafka say what they changed, and no secret', async (t) => {
  const p = await platform(t)
  await makeUser(p, 'root', 'root-secret', true)
  const sasl = { mechanism: 'plain', username: 'root', password: 'root-secret' } as const
  const client = new Kafka({ brokers: [`127.0.0.1:${p.kafka.port}`], sasl, logLevel: kafkajs.logLevel.NOTHING })
  const admin = client.admin()
  await admin.connect()
  t.after(() => admin.disconnect())
  const configEntries = [{ name: 'retention.ms', value: '1000' }]
  await admin.createTopics({ topics: [{ topic: 'orders', numPartitions: 2, configEntries }] })
  await said(p, 'CreateTopics', ['topic:orders partitions=2', 'topic:orders retention.ms=1000'])
  await admin.createPartitions({ topicPartitions: [{ topic: 'orders', count: 3 }] })
  await said(p, 'CreatePartitions', ['topic:orders partitions=3'])
  const resource = { type: ConfigResourceTypes.TOPIC, name: 'orders' }
  const resources = [{ ...resource, configEntries: [{ name: 'retention.bytes', value: '5' }] }]
  await admin.alterConfigs({ validateOnly: true, resources })
  await admin.alterConfigs({ validateOnly: false, resources })
  // AlterConfigs takes back what it does not name. What was only asked about changed nothing.
  await said(p, 'AlterConfigs', undefined, [
    'topic:orders retention.ms back to its default',
    'topic:orders retention.bytes=5',
  ])
  const grant = { principal: 'User:alice', host: '*', permissionType: AclPermissionTypes.ALLOW }
  const topic = { resourceType: AclResourceTypes.TOPIC, resourceName: 'ord' }
  const prefixed = { ...topic, resourcePatternType: ResourcePatternTypes.PREFIXED, operation: AclOperationTypes.READ }
  await admin.createAcls({ acl: [{ ...grant, ...prefixed }] })
  await said(p, 'CreateAcls', ['allow User:alice from * read topic:ord*'])
  await admin.deleteAcls({ filters: [{ ...prefixed, permissionType: AclPermissionTypes.ANY }] })
  await said(p, 'DeleteAcls', ['allow User:alice from * read topic:ord*'])
  await admin.deleteTopicRecords({ topic: 'orders', partitions: [{ partition: 0, offset: '0' }] })
  await said(p, 'DeleteRecords', ['topic:orders/0 records before 0 deleted'])

  const root = await WireClient.open(p.kafka)
  t.after(() => root.close())
  await root.ask(saslHandshakeApi, 1, { mechanism: 'PLAIN' })
  await root.ask(saslAuthenticateApi, 2, { authBytes: Buffer.from('\0root\0root-secret') })
  const entity = [
    { entityType: 'user', entityName: 'alice' },
    { entityType: 'client-id', entityName: null },
  ]
  const ops = [{ key: 'producer_byte_rate', value: 1000, remove: false }]
  await root.ask(alterClientQuotasApi, 1, { entries: [{ entity, ops }], validateOnly: false })
  await said(p, 'AlterClientQuotas', ['user:alice client-id:default producer_byte_rate=1000'])
  const credential = { salt: Buffer.from('salt'), saltedPassword: Buffer.alloc(64, 7), iterations: 8192 }
  await root.ask(alterUserScramCredentialsApi, 0, {
    deletions: [],
    upsertions: [{ name: 'bob', mechanism: 2, ...credential }],
  })
  await said(p, 'AlterUserScramCredentials', ['user:bob another SCRAM-SHA-512'])
})

test('acts over HTTP say what they changed, and no password', async (t) => {
  const p = await platform(t)
  const call = (method: string, path: string, body: object, password: string | null = 'root-secret') =>
    fetch(`${p.http}${path}`, {
      method,
      body: JSON.stringify(body),
      headers: {
        'content-type': 'application/json',
        ...(password === null ? {} : { authorization: `Basic ${Buffer.from(`root:${password}`).toString('base64')}` }),
      },
    })
  assert.equal((await call('PUT', '/v1/users/root', { password: 'root-secret', super: true }, null)).status, 201)
  await said(p, 'createUser', ['user:root super=true', 'user:root another password'])
  assert.equal((await call('PUT', '/v1/topics/t', { partitions: 2, config: { 'retention.ms': 7 } })).status, 201)
  await said(p, 'putTopic', ['topic:t partitions=2', 'topic:t retention.ms=7'])
  assert.equal((await call('PATCH', '/v1/topics/t', { config: { 'retention.ms': null }, schema: {} })).status, 200)
  await said(p, 'changeTopic', ['topic:t retention.ms back to its default', 'topic:t another schema'])
  const all = JSON.stringify(await audited(p))
  assert.ok(!all.includes('secret'), all)
})

test('an act that failed, wholly or in part, is not said to be done', async (t) => {
  const p = await platform(t)
  await makeUser(p, 'root', 'root-secret', true)
  const root = await WireClient.open(p.kafka)
  t.after(() => root.close())
  await root.ask(saslHandshakeApi, 1, { mechanism: 'PLAIN' })
  await root.ask(saslAuthenticateApi, 2, { authBytes: Buffer.from('\0root\0root-secret') })
  const make = async (...names: string[]): Promise<void> => {
    const topics = names.map((name) => ({ name, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }))
    await root.ask(createTopicsApi, 7, { topics, timeoutMs: 1_000, validateOnly: false })
  }
  await make('orders')
  await make('orders', 'bills')
  await make('orders', 'bad name')
  const alter = async (value: string): Promise<void> => {
    const configs = [{ name: 'retention.ms', configOperation: 0, value }]
    const resources = [{ resourceType: 2, resourceName: 'orders', configs }]
    await root.ask(incrementalAlterConfigsApi, 1, { resources, validateOnly: false })
  }
  await alter('soon')
  await alter('5')
  await until('the records', async () => (await changesOf(p, 'IncrementalAlterConfigs')).length === 2)
  const outcomes = (await audited(p)).map(({ action, outcome }) => [action, outcome])
  assert.deepEqual(outcomes, [
    ['CreateTopics', 'done'],
    ['CreateTopics', 'partly'],
    ['CreateTopics', 'failed'],
    ['IncrementalAlterConfigs', 'failed'],
    ['IncrementalAlterConfigs', 'done'],
  ])
})

test('a request that changes very much is kept short', async (t) => {
  const p = await platform(t)
  await makeUser(p, 'root', 'root-secret', true)
  const sasl = { mechanism: 'plain', username: 'root', password: 'root-secret' } as const
  const client = new Kafka({ brokers: [`127.0.0.1:${p.kafka.port}`], sasl, logLevel: kafkajs.logLevel.NOTHING })
  const admin = client.admin()
  await admin.connect()
  t.after(() => admin.disconnect())
  await admin.createTopics({ topics: Array.from({ length: 130 }, (_, i) => ({ topic: `t${i}`, numPartitions: 1 })) })
  await until('its record', async () => (await changesOf(p, 'CreateTopics')).length > 0)
  const [entry] = (await audited(p)).filter(({ action }) => action === 'CreateTopics')
  assert.equal(entry!.changes!.length, 100)
  assert.equal((entry as unknown as { moreChanges: number }).moreChanges, 30)
})
