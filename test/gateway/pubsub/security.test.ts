/** Who calls, and what they may: tokens, passwords, certificates, grants. */
import assert from 'node:assert/strict'
import { writeFileSync } from 'node:fs'
import { get as httpsGet } from 'node:https'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import type { AnyMethod } from '../../../src/gateway/pubsub/method.ts'
import { methods } from '../../../src/gateway/pubsub/methods/index.ts'
import { decodeBatch } from '../../../src/log/batch.ts'
import { grpcFrame } from '../../../src/wire/grpc/frames.ts'
import { fromJson } from '../../../src/wire/protobuf/json.ts'
import { decode, encode } from '../../../src/wire/protobuf/message.ts'
import * as messages from '../../../src/wire/pubsub/messages.ts'
import * as schemaMessages from '../../../src/wire/pubsub/schema-messages.ts'
import { type Authority, authority, temporaryFolder } from '../../security/certificates.ts'
import { Calls, type Fixture, GrpcClient, startFixture } from './fixture.ts'

const issuer = 'https://issuer.example'
async function secured(t: TestContext) {
  const folder = temporaryFolder(t)
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const oauthJwks = join(folder, 'keys.json')
  writeFileSync(oauthJwks, JSON.stringify({ keys: [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }] }))
  const f = await startFixture(':memory:', { oauthJwks, oauthIssuer: issuer, oauthAudience: ['millrace'] })
  t.after(() => f[Symbol.asyncDispose]())
  const { users } = f.running.security
  const scram = await users.credentials('a password')
  await users.change([{ name: 'root', super: true, scram }])
  await users.change([{ name: 'alice', scram }])
  const token = async (sub: string, claims: object = {}, key = privateKey): Promise<Record<string, string>> => {
    const payload = { iss: issuer, aud: 'millrace', sub, exp: Math.floor(Date.now() / 1000) + 60, ...claims }
    const signed = await new SignJWT(payload).setProtectedHeader({ alg: 'ES256', kid: 'one' }).sign(key)
    return { authorization: `Bearer ${signed}` }
  }
  return { f, token }
}
const basic = (name: string, password: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${name}:${password}`).toString('base64')}`,
})
const getTopic = (f: Fixture, headers: Record<string, string>, client = f.client) =>
  client.call('Publisher/GetTopic', [messages.getTopicRequest, messages.topicMessage], topicName, headers)
const topicName = { topic: 'projects/p/topics/orders' }
const createTopic = (f: Fixture, headers: Record<string, string>) =>
  f.client.call(
    'Publisher/CreateTopic',
    [messages.topicMessage, messages.topicMessage],
    { name: topicName.topic },
    headers,
  )
const unauthenticated = { status: 16 }
const denied = { status: 7 }

test('a token of the issuer, or a password, says who calls; nothing else does', async (t) => {
  const { f, token } = await secured(t)
  await createTopic(f, await token('root'))
  await getTopic(f, basic('root', 'a password'))
  const other = (await generateKeyPair('ES256')).privateKey
  const minute = Math.floor(Date.now() / 1000) - 120
  const none = Buffer.from('{"alg":"none"}').toString('base64url')
  const claims = Buffer.from(JSON.stringify({ iss: issuer, aud: 'millrace', sub: 'root' })).toString('base64url')
  const wrong = [
    {},
    basic('root', 'another'),
    basic('nobody', 'a password'),
    await token('root', {}, other),
    await token('root', { exp: minute }),
    await token('root', { aud: 'somebody else' }),
    await token('root', { iss: 'https://other.example' }),
    { authorization: `Bearer ${none}.${claims}.` },
    { authorization: 'Bearer ' },
    { authorization: 'Digest x' },
  ]
  for (const headers of wrong) await assert.rejects(getTopic(f, headers), unauthenticated, JSON.stringify(headers))
})
test('publishing and subscribing need their grants; a stream ends when they are taken away', async (t) => {
  const { f, token } = await secured(t)
  const [root, alice] = [await token('root'), await token('alice')]
  await createTopic(f, root)
  const subscription = { name: 'projects/p/subscriptions/sub', topic: topicName.topic }
  const types = [messages.subscriptionMessage, messages.subscriptionMessage] as const
  await f.client.call('Subscriber/CreateSubscription', types, subscription, root)
  const publish = (headers: Record<string, string>) =>
    f.client.call(
      'Publisher/Publish',
      [messages.publishRequest, messages.publishResponse],
      { ...topicName, messages: [{ data: Buffer.from('x') }] },
      headers,
    )
  await assert.rejects(publish(alice), denied)
  const grant = { principal: 'User:alice', host: '*', pattern: 'literal', permission: 'allow' } as const
  await f.running.security.grants.add([{ ...grant, resource: 'topic', name: 'orders', operation: 'write' }])
  await publish(alice)
  const first = { subscription: subscription.name, streamAckDeadlineSeconds: 10 }
  assert.equal((await f.client.stream(first, alice).ended)?.status, 7)
  const read = [
    { ...grant, resource: 'topic', name: 'orders', operation: 'read' },
    { ...grant, resource: 'group', name: 'pubsub.sub', operation: 'read' },
  ] as const
  await f.running.security.grants.add(read)
  const stream = f.client.stream(first, alice)
  await stream.until(() => stream.received.length === 1)
  await f.running.security.grants.remove([read[0]])
  await publish(alice)
  assert.equal((await stream.ended)?.status, 7)
  assert.equal(stream.received.length, 1)
})
test('a stream ends with its token, so that clients open another with a new one', async (t) => {
  const { f, token } = await secured(t)
  const root = await token('root')
  await createTopic(f, root)
  const types = [messages.subscriptionMessage, messages.subscriptionMessage] as const
  const subscription = { name: 'projects/p/subscriptions/sub', topic: topicName.topic }
  await f.client.call('Subscriber/CreateSubscription', types, subscription, root)
  const first = { subscription: subscription.name, streamAckDeadlineSeconds: 10 }
  const long = f.client.stream(first, root)
  const exp = Math.ceil(Date.now() / 1000) + 1
  const short = f.client.stream(first, await token('root', { exp }))
  await short.until(() => short.answers.length === 1)
  const ended = await short.ended
  assert.equal(ended?.status, 14)
  assert.match(ended.message, /token of the stream has expired/)
  assert.ok(Date.now() >= exp * 1000)
  await long.until(() => long.answers.length === 1)
  assert.equal(await Promise.race([long.ended, Promise.resolve('open')]), 'open')
  long.close()
})
test('encrypted: who is certified by the authority is who the certificate says', async (t) => {
  const folder = temporaryFolder(t)
  const ca: Authority = authority(folder, 'ca')
  const server = ca.issue('server', '/CN=localhost')
  const client = ca.issue('client', '/CN=alice')
  const f = await startFixture(':memory:', {
    tlsCert: server.certFile,
    tlsKey: server.keyFile,
    tlsClientCa: ca.certFile,
    tlsClientAuth: 'requested',
  })
  t.after(() => f[Symbol.asyncDispose]())
  const { users } = f.running.security
  await users.change([{ name: 'root', super: true, scram: await users.credentials('a password') }])
  const address = f.address.replace('127.0.0.1', 'localhost')
  const open = (more: object = {}): GrpcClient => {
    const made = new GrpcClient(address, { ca: ca.cert, ...more })
    t.after(() => made.close())
    return made
  }
  const calls = new Calls(open({ cert: client.cert, key: client.key }))
  await assert.rejects(calls.topic('orders'), (error: Error) => /alice may not create/.test(error.message))
  await assert.rejects(new Calls(open()).topic('orders'), unauthenticated)
  await open().call(
    'Publisher/CreateTopic',
    [messages.topicMessage, messages.topicMessage],
    { name: topicName.topic },
    basic('root', 'a password'),
  )
  // The REST form, over HTTP/1.1.
  const [host, port] = address.split(':')
  const status = await new Promise((resolve, reject) => {
    const at = { host, port, path: '/.well-known/jwks.json', ca: ca.cert, headers: { host: 'localhost' } }
    httpsGet(at, (answer) => resolve(answer.resume().statusCode)).on('error', reject)
  })
  assert.equal(status, 200)
  // Without encryption nobody is spoken to.
  await assert.rejects(new Calls(f.client).topic('orders'))
})

test('each method is refused to who has no grant, and that is in the audit; lists are empty', async (t) => {
  const { f, token } = await secured(t)
  const [root, alice] = [await token('root'), await token('alice')]
  await createTopic(f, root)
  const topic = topicName.topic
  const [subscription = '', snapshot = '', schema = ''] = ['subscriptions/sub', 'snapshots/snap', 'schemas/sch'].map(
    (name) => `projects/p/${name}`,
  )
  const definition = { type: 'AVRO', definition: '{"type":"string"}' }
  const requests: Record<string, object> = {
    CreateTopic: { name: 'projects/p/topics/new' },
    UpdateTopic: { topic: { name: topic, labels: { a: 'b' } }, updateMask: 'labels' },
    Publish: { topic, messages: [{ data: 'eA==' }] },
    GetTopic: { topic },
    ListTopics: { project: 'projects/p' },
    ListTopicSubscriptions: { topic },
    ListTopicSnapshots: { topic },
    DeleteTopic: { topic },
    CreateSubscription: { name: 'projects/p/subscriptions/new', topic },
    GetSubscription: { subscription },
    UpdateSubscription: {
      subscription: { name: subscription, ackDeadlineSeconds: 20 },
      updateMask: 'ackDeadlineSeconds',
    },
    ListSubscriptions: { project: 'projects/p' },
    ModifyAckDeadline: { subscription, ackIds: ['x'], ackDeadlineSeconds: 10 },
    Acknowledge: { subscription, ackIds: ['x'] },
    Pull: { subscription, maxMessages: 1, returnImmediately: true },
    ModifyPushConfig: { subscription, pushConfig: { pushEndpoint: 'https://example.com/' } },
    DetachSubscription: { subscription },
    CreateSnapshot: { name: 'projects/p/snapshots/new', subscription },
    GetSnapshot: { snapshot },
    ListSnapshots: { project: 'projects/p' },
    UpdateSnapshot: { snapshot: { name: snapshot, labels: { a: 'b' } }, updateMask: 'labels' },
    DeleteSnapshot: { snapshot },
    Seek: { subscription, time: '2026-01-01T00:00:00Z' },
    DeleteSubscription: { subscription },
    CreateSchema: { parent: 'projects/p', schema: definition, schemaId: 'new' },
    GetSchema: { name: schema },
    ListSchemas: { parent: 'projects/p' },
    ListSchemaRevisions: { name: schema },
    CommitSchema: { name: schema, schema: definition },
    RollbackSchema: { name: schema, revisionId: 'x' },
    DeleteSchemaRevision: { name: schema, revisionId: 'x' },
    DeleteSchema: { name: schema },
    ValidateSchema: { parent: 'projects/p', schema: definition },
    ValidateMessage: { parent: 'projects/p', schema: definition, message: 'IngiIg==', encoding: 'JSON' },
  }
  const ask = async ({ service, name, request, response }: AnyMethod, headers: Record<string, string>) => {
    const body = encode(request, fromJson(request, requests[name]!) as never)
    return decode(response, await f.client.raw(`/google.pubsub.v1.${service}/${name}`, grpcFrame(body), headers))
  }
  const named = (name: string): AnyMethod => methods.find((one) => one.name === name)!
  const given = { name: subscription, topic }
  await f.client.call(
    'Subscriber/CreateSubscription',
    [messages.subscriptionMessage, messages.subscriptionMessage],
    given,
    root,
  )
  const snap = { name: snapshot, subscription }
  await f.client.call(
    'Subscriber/CreateSnapshot',
    [messages.createSnapshotRequest, messages.snapshotMessage],
    snap,
    root,
  )
  await f.client.call(
    'SchemaService/CreateSchema',
    [schemaMessages.createSchemaRequest, schemaMessages.schemaMessage],
    { parent: 'projects/p', schemaId: 'sch', schema: definition as never },
    root,
  )
  const lists = new Set(['ListTopics', 'ListSubscriptions', 'ListSnapshots'])
  for (const method of methods) {
    assert.ok(method.name in requests, method.name)
    if (lists.has(method.name))
      assert.ok(!/orders|\/sub|\/snap/.test(JSON.stringify(await ask(method, alice))), method.name)
    else await assert.rejects(ask(method, alice), denied, method.name)
    // Nobody at all is told to say who they are.
    if (!lists.has(method.name)) await assert.rejects(ask(method, {}), unauthenticated, method.name)
    // The audit takes twenty refusals a second.
    await new Promise((resolve) => setTimeout(resolve, 120))
  }
  // What was asked in vain has failed, and is said so.
  await assert.rejects(ask(named('DeleteSchemaRevision'), root))
  await new Promise((resolve) => setTimeout(resolve, 2_500))
  const entries = await audited(f)
  for (const method of methods)
    if (!lists.has(method.name)) assert.ok(entries.has(`User:alice ${method.name} refused`), method.name)
  assert.ok(entries.has('User:root CreateSubscription done'))
  assert.ok(entries.has('User:root DeleteSchemaRevision failed'))
})
async function audited(f: Fixture): Promise<Set<string>> {
  const partition = { topic: '_millrace_audit', index: 0 }
  const [chunk] = await f.running.log.reader().read([{ partition, offset: 0 as never }], { ms: 1_000 })
  assert.ok(chunk !== undefined && !('fault' in chunk))
  const texts = chunk.batches.flatMap((batch) =>
    [...decodeBatch(batch)].map(({ value }) => Buffer.from(value!).toString()),
  )
  const found = texts.map((text) => JSON.parse(text) as { principal: string; action: string; outcome: string })
  return new Set(found.map(({ principal, action, outcome }) => `${principal} ${action} ${outcome}`))
}
test('who may read may not write by way of dead letters', async (t) => {
  const { f, token } = await secured(t)
  const [root, alice] = [await token('root'), await token('alice')]
  await createTopic(f, root)
  const dead = 'projects/p/topics/payments'
  await f.client.call('Publisher/CreateTopic', [messages.topicMessage, messages.topicMessage], { name: dead }, root)
  const grant = (operation: 'read' | 'write', resource: 'topic' | 'group', name: string) =>
    ({
      principal: 'User:alice',
      host: '*',
      pattern: 'literal',
      permission: 'allow',
      operation,
      resource,
      name,
    }) as const
  await f.running.security.grants.add([grant('read', 'topic', 'orders'), grant('read', 'group', 'pubsub.sub')])
  const types = [messages.subscriptionMessage, messages.subscriptionMessage] as const
  const name = 'projects/p/subscriptions/sub'
  const policy = { deadLetterPolicy: { deadLetterTopic: dead, maxDeliveryAttempts: 5 } }
  const create = (more: object) =>
    f.client.call('Subscriber/CreateSubscription', types, { name, topic: topicName.topic, ...more }, alice)
  const update = (subscription: object, path: string) =>
    f.client.call(
      'Subscriber/UpdateSubscription',
      [messages.updateSubscriptionRequest, messages.subscriptionMessage],
      { subscription: { name, ...subscription }, updateMask: { paths: [path] } },
      alice,
    )
  await assert.rejects(create(policy), denied)
  await create({})
  await assert.rejects(update(policy, 'dead_letter_policy'), denied)
  await f.running.security.grants.add([grant('write', 'topic', 'payments')])
  await update(policy, 'dead_letter_policy')
  await f.running.security.grants.remove([grant('write', 'topic', 'payments')])
  // What is so already may stay.
  await update({ ackDeadlineSeconds: 30 }, 'ack_deadline_seconds')
})
test('topics that the log keeps for itself are none', async (t) => {
  const f = await startFixture()
  t.after(() => f[Symbol.asyncDispose]())
  const calls = new Calls(f.client)
  await calls.topic('own')
  for (const kept of ['__consumer_offsets', '_schemas', '_millrace_audit']) {
    await assert.rejects(calls.subscription(`of-${kept}`, kept), { status: 5 }, kept)
    const deadLetterPolicy = { deadLetterTopic: `projects/p/topics/${kept}` }
    await assert.rejects(calls.subscription(`dead-${kept}`, 'own', { deadLetterPolicy }), { status: 5 }, kept)
    await assert.rejects(calls.publish(kept, 'x'), { status: 5 }, kept)
  }
})
test('who is over a quota is told to come again, or waits', async (t) => {
  const { f, token } = await secured(t)
  const root = await token('root')
  await createTopic(f, root)
  const subscription = { name: 'projects/p/subscriptions/sub', topic: topicName.topic }
  const types = [messages.subscriptionMessage, messages.subscriptionMessage] as const
  await f.client.call('Subscriber/CreateSubscription', types, subscription, root)
  const publish = () =>
    f.client.call(
      'Publisher/Publish',
      [messages.publishRequest, messages.publishResponse],
      { ...topicName, messages: Array.from({ length: 20 }, () => ({ data: Buffer.alloc(5_000) })) },
      root,
    )
  const { quotas } = f.running.security
  await quotas.change([{ entity: { user: 'root' }, values: { producer_byte_rate: 5_000, consumer_byte_rate: 8_000 } }])
  await publish()
  await assert.rejects(publish(), { status: 8 })
  const pull = () =>
    f.client.call(
      'Subscriber/Pull',
      [messages.pullRequest, messages.pullResponse],
      { subscription: subscription.name, maxMessages: 100, returnImmediately: true },
      { ...root, 'grpc-timeout': '2S' },
    )
  assert.equal((await pull()).receivedMessages.length, 20)
  const beganMs = performance.now()
  assert.equal((await pull()).receivedMessages.length, 0)
  assert.ok(performance.now() - beganMs > 500)
  const stream = f.client.stream({ subscription: subscription.name, streamAckDeadlineSeconds: 10 }, root)
  await quotas.change([{ entity: { user: 'root' }, values: { producer_byte_rate: null, consumer_byte_rate: null } }])
  await publish()
  await stream.until(() => stream.received.length >= 20, 20_000)
  stream.close()
})
test('connections of an address have a quota', async (t) => {
  const { f } = await secured(t)
  await f.running.security.quotas.change([{ entity: { ip: '127.0.0.1' }, values: { connection_creation_rate: 1 } }])
  const refused = async (): Promise<boolean> => {
    const client = new GrpcClient(f.address)
    const why = await getTopic(f, {}, client).catch((error: unknown) => error)
    client.close()
    return (why as { status?: number }).status !== 16
  }
  let count = 0
  for (let i = 0; i < 30; i++) count += Number(await refused())
  assert.ok(count > 5 && count < 30, `${count} of 30 were refused`)
})
