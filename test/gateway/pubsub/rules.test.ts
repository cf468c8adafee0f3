/** What the service's documentation says of requests that few send: names that are left out, fields, what is gone, streams. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { encodeBatch } from '../../../src/log/batch.ts'
import { empty } from '../../../src/wire/protobuf/well-known.ts'
import * as messages from '../../../src/wire/pubsub/messages.ts'
import * as schemas from '../../../src/wire/pubsub/schema-messages.ts'
import type { Input } from '../../../src/wire/protobuf/message.ts'
import { Calls, type Fixture, PullStream, type RpcFailure, startFixture, textOf } from './fixture.ts'

let fixture: Fixture
let calls: Calls
before(async () => {
  fixture = await startFixture()
  calls = new Calls(fixture.client)
})
after(() => fixture[Symbol.asyncDispose]())

const [invalidArgument, notFound, failedPrecondition] = [3, 5, 9]
const refused =
  (status: number, why = /./) =>
  (error: RpcFailure): boolean =>
    error.status === status && why.test(error.message)
const getSubscription = (name: string) =>
  fixture.client.call('Subscriber/GetSubscription', [messages.getSubscriptionRequest, messages.subscriptionMessage], {
    subscription: `projects/p/subscriptions/${name}`,
  })
const getTopic = (name: string) =>
  fixture.client.call('Publisher/GetTopic', [messages.getTopicRequest, messages.topicMessage], {
    topic: `projects/p/topics/${name}`,
  })
const update = (paths: string[], subscription: Input<messages.SubscriptionMessage>) =>
  fixture.client.call(
    'Subscriber/UpdateSubscription',
    [messages.updateSubscriptionRequest, messages.subscriptionMessage],
    { subscription, updateMask: { paths } },
  )
const avro = (...fields: object[]): string => JSON.stringify({ type: 'record', name: 'R', fields })
const schemaName = (id: string): string => `projects/p/schemas/${id}`
const createSchema = (schemaId: string) =>
  fixture.client.call('SchemaService/CreateSchema', [schemas.createSchemaRequest, schemas.schemaMessage], {
    parent: 'projects/p',
    schemaId,
    schema: { type: 'AVRO', definition: avro({ name: 'a', type: 'string' }) },
  })
const commit = (name: string) =>
  fixture.client.call('SchemaService/CommitSchema', [schemas.commitSchemaRequest, schemas.schemaMessage], {
    name,
    schema: {
      type: 'AVRO',
      definition: avro({ name: 'a', type: 'string' }, { name: 'b', type: 'int', default: 1 }),
    },
  })
const deleteSchema = (name: string) =>
  fixture.client.call('SchemaService/DeleteSchema', [schemas.deleteSchemaRequest, empty], { name })

test('subscriptions and snapshots that are given no name get one', async () => {
  await calls.topic('unnamed')
  const types = [messages.subscriptionMessage, messages.subscriptionMessage] as const
  const create = () =>
    fixture.client.call('Subscriber/CreateSubscription', types, { topic: 'projects/q/topics/unnamed' })
  const [one, other] = [await create(), await create()]
  assert.match(one.name, /^projects\/q\/subscriptions\/[a-z][a-z0-9-]+$/)
  assert.notEqual(one.name, other.name)
  assert.equal((await getSubscription(one.name.split('/').at(-1)!)).topic, 'projects/q/topics/unnamed')
  const snapshot = await fixture.client.call(
    'Subscriber/CreateSnapshot',
    [messages.createSnapshotRequest, messages.snapshotMessage],
    { subscription: one.name },
  )
  assert.match(snapshot.name, /^projects\/q\/snapshots\/[a-z][a-z0-9-]+$/)
})

test('fields have the values that the service fills in, and tags are taken and not shown', async () => {
  const topic = await calls.topic('filled', { tags: new Map([['a', 'b']]) })
  assert.equal(topic.tags.size, 0)
  const seconds = (value: { seconds: number } | null): number | undefined => value?.seconds
  const subscription = await calls.subscription('filled-sub', 'filled', {
    tags: new Map([['a', 'b']]),
    retryPolicy: {},
    pushConfig: { pushEndpoint: 'http://127.0.0.1:1/' },
  })
  assert.equal(subscription.tags.size, 0)
  assert.deepEqual(
    [seconds(subscription.retryPolicy!.minimumBackoff), seconds(subscription.retryPolicy!.maximumBackoff)],
    [10, 600],
  )
  assert.deepEqual([...subscription.pushConfig!.attributes], [['x-goog-version', 'v1']])
  const name = subscription.name
  await assert.rejects(update(['tags'], { name }), refused(invalidArgument, /tags/))
  // A version that is not said stays.
  await update(['push_config'], {
    name,
    pushConfig: { pushEndpoint: 'http://127.0.0.1:1/', attributes: new Map([['x-goog-version', 'v1beta2']]) },
  })
  await fixture.client.call('Subscriber/ModifyPushConfig', [messages.modifyPushConfigRequest, empty], {
    subscription: name,
    pushConfig: { pushEndpoint: 'http://127.0.0.1:1/other' },
  })
  const { pushConfig } = await getSubscription('filled-sub')
  assert.deepEqual(
    [pushConfig!.pushEndpoint, pushConfig!.attributes.get('x-goog-version')],
    ['http://127.0.0.1:1/other', 'v1beta2'],
  )
  const day = { seconds: 86_400, nanos: 0 }
  await assert.rejects(
    update(['expiration_policy'], { name, expirationPolicy: { ttl: day } }),
    refused(invalidArgument, /message_retention_duration/),
  )
  await update(['expiration_policy', 'message_retention_duration'], {
    name,
    expirationPolicy: { ttl: day },
    messageRetentionDuration: day,
  })
  await assert.rejects(calls.topic('nowhere', { messageStoragePolicy: {} }), refused(invalidArgument, /regions/))
})

test('what is pushed cannot be pulled, and a stream ends when its subscription is to be pushed', async () => {
  await calls.topic('pushed')
  const { name } = await calls.subscription('pushed-sub', 'pushed')
  const stream = new PullStream(fixture.client.session, { subscription: name, streamAckDeadlineSeconds: 10 })
  await stream.until(() => stream.answers.length > 0)
  await update(['push_config'], { name, pushConfig: { pushEndpoint: 'http://127.0.0.1:1/' } })
  assert.equal((await stream.ended)?.status, failedPrecondition)
  await assert.rejects(calls.pull('pushed-sub', 1, true), refused(failedPrecondition))
})

test('only the first request of a stream says how much is out, and which protocol it speaks', async () => {
  await calls.topic('later')
  const { name } = await calls.subscription('later-sub', 'later')
  for (const more of [{ maxOutstandingMessages: 1 }, { maxOutstandingBytes: 1 }, { protocolVersion: 1 }]) {
    const stream = new PullStream(fixture.client.session, { subscription: name, streamAckDeadlineSeconds: 10 })
    await stream.until(() => stream.answers.length > 0)
    stream.send(more)
    assert.equal((await stream.ended)?.status, invalidArgument)
  }
})

test('a topic that is gone is _deleted-topic_, whoever removed it and whatever has its name since', async () => {
  await calls.topic('gone')
  await calls.subscription('gone-sub', 'gone')
  await calls.snapshot('gone-snap', 'gone-sub')
  await fixture.running.log.topics.remove(['gone'])
  assert.equal((await getSubscription('gone-sub')).topic, '_deleted-topic_')
  await calls.topic('gone')
  assert.equal((await getSubscription('gone-sub')).topic, '_deleted-topic_')
  const listed = await fixture.client.call(
    'Subscriber/ListSubscriptions',
    [messages.listSubscriptionsRequest, messages.listSubscriptionsResponse],
    { project: 'projects/p' },
  )
  const found = listed.subscriptions.find(({ name }) => name.endsWith('/gone-sub'))
  assert.equal(found?.topic, '_deleted-topic_')
  const snapshot = await fixture.client.call(
    'Subscriber/GetSnapshot',
    [messages.getSnapshotRequest, messages.snapshotMessage],
    { snapshot: 'projects/p/snapshots/gone-snap' },
  )
  assert.equal(snapshot.topic, '_deleted-topic_')
})

test('a topic keeps its messages for every subscription that seeks, longer than the subscription itself would', async () => {
  const days = (count: number) => ({ seconds: count * 86_400, nanos: 0 })
  const daysAgo = (count: number): number => Date.now() - count * 86_400_000
  await calls.topic('keeps', { messageRetentionDuration: days(31) })
  await calls.topic('forgets')
  for (const topic of ['keeps', 'forgets']) {
    const batch = encodeBatch([20, 1].map((age) => ({ key: null, value: Buffer.from(`${age}`), timeMs: daysAgo(age) })))
    await fixture.running.log.writer().append([{ partition: { topic, index: 0 }, batch }])
    await calls.subscription(`${topic}-sub`, topic)
    await calls.seek(`${topic}-sub`, { time: { seconds: Math.floor(daysAgo(25) / 1_000), nanos: 0 } })
  }
  const old = await calls.pull('keeps-sub')
  assert.deepEqual(old.map(textOf), ['20', '1'])
  // Without it nothing from before the subscription.
  assert.deepEqual(await calls.pull('forgets-sub', 1, true), [])
})

test('a revision in a name changes no other schema, and a topic’s range of revisions is one', async () => {
  const { revisionId: first } = await createSchema('ranged')
  const { revisionId: last } = await commit(schemaName('ranged'))
  const named = schemaName(`ranged@${first}`)
  await assert.rejects(commit(named), refused(invalidArgument, /revision/))
  await assert.rejects(deleteSchema(named), refused(invalidArgument, /revision/))
  const all = await fixture.client.call(
    'SchemaService/ListSchemas',
    [schemas.listSchemasRequest, schemas.listSchemasResponse],
    { parent: 'projects/p' },
  )
  assert.deepEqual(
    all.schemas.map(({ name }) => name),
    [schemaName('ranged')],
  )
  const settings = { schema: schemaName('ranged'), encoding: 'JSON' } as const
  const backwards = { ...settings, firstRevisionId: last, lastRevisionId: first }
  await assert.rejects(calls.topic('backwards', { schemaSettings: backwards }), refused(invalidArgument, /newer/))
  const atRevision = { ...settings, schema: named }
  await assert.rejects(calls.topic('at-revision', { schemaSettings: atRevision }), refused(invalidArgument))
  await calls.topic('bounded', { schemaSettings: { ...settings, firstRevisionId: first } })
  // A rollback is a revision too, and there are twenty at most.
  const rollback = () =>
    fixture.client.call('SchemaService/RollbackSchema', [schemas.rollbackSchemaRequest, schemas.schemaMessage], {
      name: schemaName('ranged'),
      revisionId: last,
    })
  for (let revisions = 2; revisions < 20; revisions++) await rollback()
  await assert.rejects(rollback(), refused(failedPrecondition, /20 revisions/))
  await fixture.client.call(
    'SchemaService/DeleteSchemaRevision',
    [schemas.deleteSchemaRevisionRequest, schemas.schemaMessage],
    { name: named },
  )
  await assert.rejects(calls.publish('bounded', '{"a":"x","b":1}'), refused(invalidArgument, /no revision/))
})

test('a schema that is deleted is _deleted-schema_ to its topics, also when another takes its name', async (t) => {
  await createSchema('fleeting')
  const schemaSettings = { schema: schemaName('fleeting'), encoding: 'JSON' } as const
  await calls.topic('of-fleeting', { schemaSettings })
  await deleteSchema(schemaName('fleeting'))
  await assert.rejects(deleteSchema(schemaName('fleeting')), refused(notFound))
  await createSchema('fleeting')
  t.after(() => deleteSchema(schemaName('fleeting')))
  assert.equal((await getTopic('of-fleeting')).schemaSettings?.schema, '_deleted-schema_')
  await assert.rejects(calls.publish('of-fleeting', '{"a":"x"}'), refused(failedPrecondition))
  // What has nothing to do with it can be changed, and the schema too.
  const change = (paths: string[], topic: Input<messages.TopicMessage>) =>
    fixture.client.call('Publisher/UpdateTopic', [messages.updateTopicRequest, messages.topicMessage], {
      topic: { name: 'projects/p/topics/of-fleeting', ...topic },
      updateMask: { paths },
    })
  await change(['labels'], { labels: new Map([['a', 'b']]) })
  await change(['schema_settings'], { schemaSettings })
  assert.equal((await calls.publish('of-fleeting', '{"a":"x"}')).length, 1)
})
