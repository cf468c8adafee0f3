/**
 * What the process dies in the middle of: a gateway whose log does not answer a certain call any more, and then another one
 * over the same log, as after a restart. And what happens while such a call is under way.
 */
import assert from 'node:assert/strict'
import { afterEach, beforeEach, test } from 'node:test'
import { listenPubsub } from '../../../src/gateway/pubsub/index.ts'
import { silent } from '../../../src/lib/logger.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import type { TopicSpec } from '../../../src/log/log.ts'
import { resolveConfig } from '../../../src/node/config.ts'
import { type Running, startMillrace } from '../../../src/node/millrace.ts'
import * as m from '../../../src/wire/pubsub/messages.ts'
import * as s from '../../../src/wire/pubsub/schema-messages.ts'
import { empty } from '../../../src/wire/protobuf/well-known.ts'
import { Calls, GrpcClient, textOf } from './fixture.ts'

/** Called in place of a method of the log, with what does what the method does. */
type Instead = (real: () => Promise<unknown>, of: unknown) => Promise<unknown>
const forever = new Promise<never>(() => undefined)
const diesBefore = (): Promise<never> => forever
const diesAfter = (real: () => Promise<unknown>): Promise<never> => real().then(() => forever)
const isOrders = (specs: unknown): boolean => (specs as readonly TopicSpec[])[0]!.name === 'orders'

let running: Running
const closing: (() => Promise<void> | void)[] = []
beforeEach(async () => {
  const { config } = resolveConfig({ data: ':memory:', listen: ['http=off', 'kafka=off'], workers: '0' }, {}, {})
  running = await startMillrace({ config, world: realWorld(), logger: silent })
  closing.push(() => running.close())
})
afterEach(async () => {
  for (const close of closing.splice(0).toReversed()) await close()
})
async function gateway(instead: Readonly<Record<string, Instead>> = {}): Promise<{ client: GrpcClient; calls: Calls }> {
  const { world, commits, contracts, security, telemetry, engine } = running
  const log = changed(running.local!, instead)
  const at = { host: '127.0.0.1', port: 0 }
  const parts = { world, commits, contracts, security, logger: silent, meter: telemetry.pubsub, uses: engine }
  const listener = await listenPubsub({ ...parts, log, partitions: 2, at, pushAllow: [] })
  const client = new GrpcClient(`${listener.at.host}:${listener.at.port}`)
  closing.push(() => listener.close())
  closing.push(() => client.close())
  return { client, calls: new Calls(client) }
}
/** Names are as `topics.create`. */
function changed(log: LocalLog, instead: Readonly<Record<string, Instead>>): LocalLog {
  const part = <T extends object>(real: T, of: string): T =>
    new Proxy(real, {
      get(_, name) {
        const value = Reflect.get(real, name, real) as unknown
        if (typeof value !== 'function') return value
        const run = value.bind(real) as (...args: unknown[]) => Promise<unknown>
        const other = instead[`${of}.${String(name)}`]
        return other === undefined ? run : (...args: unknown[]) => other(() => run(...args), args[0])
      },
    })
  const [topics, queues] = [part(log.topics, 'topics'), part(log.queues, 'queues')]
  return new Proxy(log, {
    get(_, name) {
      if (name === 'topics') return topics
      if (name === 'queues') return queues
      const value = Reflect.get(log, name, log) as unknown
      return typeof value === 'function' ? (value.bind(log) as unknown) : value
    },
  })
}
const pause = (ms: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
const unanswered = async (call: Promise<unknown>): Promise<void> => {
  const first = await Promise.race([call.then(() => 'answered'), pause(200).then(() => 'not')])
  assert.equal(first, 'not')
  call.catch(() => undefined)
}
const topicName = 'projects/p/topics/orders'
const subscription = 'projects/p/subscriptions/mail'
const getSubscription = [m.getSubscriptionRequest, m.subscriptionMessage] as const
const getTopic = [m.getTopicRequest, m.topicMessage] as const
const removeTopic = (client: GrpcClient): Promise<object> =>
  client.call('Publisher/DeleteTopic', [m.deleteTopicRequest, empty], { topic: topicName })
const removeSubscription = (client: GrpcClient): Promise<object> =>
  client.call('Subscriber/DeleteSubscription', [m.deleteSubscriptionRequest, empty], { subscription })

test('a topic that was being made is there as it was described, or not at all', async () => {
  const before = await gateway({ 'topics.create': (real, specs) => (isOrders(specs) ? diesAfter(real) : real()) })
  await unanswered(before.calls.topic('orders', { labels: new Map([['team', 'a']]) }))
  const after = await gateway()
  const { labels } = await after.client.call('Publisher/GetTopic', getTopic, { topic: topicName })
  assert.deepEqual([...labels], [['team', 'a']])
})
test('a topic that was being made and is not there is forgotten', async () => {
  const before = await gateway({ 'topics.create': (real, specs) => (isOrders(specs) ? forever : real()) })
  await unanswered(before.calls.topic('orders', { labels: new Map([['team', 'a']]) }))
  const after = await gateway()
  await assert.rejects(after.client.call('Publisher/GetTopic', getTopic, { topic: topicName }), { status: 5 })
  await after.calls.topic('orders')
  const { labels } = await after.client.call('Publisher/GetTopic', getTopic, { topic: topicName })
  assert.deepEqual([...labels], [])
})
test('a subscription whose topic was being deleted has none, also when there is another of its name', async () => {
  const before = await gateway({ 'topics.remove': diesAfter })
  await before.calls.topic('orders')
  await before.calls.subscription('mail', 'orders')
  await unanswered(removeTopic(before.client))
  const { calls, client } = await gateway()
  const topicOf = async (): Promise<string> =>
    (await client.call('Subscriber/GetSubscription', getSubscription, { subscription })).topic
  assert.equal(await topicOf(), '_deleted-topic_')
  await calls.topic('orders')
  assert.equal(await topicOf(), '_deleted-topic_')
  await assert.rejects(calls.snapshot('moment', 'mail'), { status: 9 })
  await calls.publish('orders', 'a')
  assert.deepEqual(await calls.pull('mail', 1, true), [])
})
test('a subscription that was being deleted leaves nothing behind', async () => {
  const before = await gateway({ 'queues.forget': diesBefore })
  await before.calls.topic('orders')
  await before.calls.subscription('mail', 'orders')
  await unanswered(removeSubscription(before.client))
  const { calls, client } = await gateway()
  await assert.rejects(client.call('Subscriber/GetSubscription', getSubscription, { subscription }), { status: 5 })
  assert.deepEqual(running.local!.queues.states('pubsub.mail'), [])
  await calls.subscription('mail', 'orders')
})
test('a subscription that is deleted while its topic is stays deleted', async () => {
  const held = Promise.withResolvers<void>()
  const { calls, client } = await gateway({ 'topics.remove': (real) => held.promise.then(real) })
  await calls.topic('orders')
  await calls.subscription('mail', 'orders')
  const removing = removeTopic(client)
  await unanswered(removing)
  await removeSubscription(client)
  held.resolve()
  await removing
  await assert.rejects(client.call('Subscriber/GetSubscription', getSubscription, { subscription }), { status: 5 })
})
test('a snapshot is not of a seek that is not yet for good', async () => {
  const held = Promise.withResolvers<void>()
  let holds = false
  const { calls } = await gateway({
    'queues.reset': (real) => (holds ? real().then(() => held.promise) : real()),
  })
  await calls.topic('orders')
  await calls.subscription('mail', 'orders')
  await calls.publish('orders', 'a')
  holds = true
  const seeking = calls.seek('mail', { time: { seconds: 4e9, nanos: 0 }, snapshot: '' })
  await pause(20)
  const made = calls.snapshot('moment', 'mail')
  await unanswered(made)
  held.resolve()
  await Promise.all([seeking, made])
})
test('a snapshot is of the topic that its subscription has, whatever is left of an earlier one', async () => {
  const first = await gateway()
  await first.calls.topic('other')
  await first.calls.topic('orders')
  await first.calls.subscription('mail', 'other')
  await first.calls.publish('other', 'x', 'y', 'z')
  const left = running.local!.queues.states('pubsub.mail')
  await removeSubscription(first.client)
  await running.local!.queues.reset(
    'pubsub.mail',
    left.map(({ of, start }) => ({ of, offset: start })),
  )
  const second = await gateway()
  await second.calls.subscription('mail', 'orders')
  await second.calls.publish('orders', 'a', 'b')
  await second.calls.snapshot('moment', 'mail')
  await second.calls.seek('mail', { time: null, snapshot: 'projects/p/snapshots/moment' })
  assert.deepEqual((await second.calls.pull('mail')).map(textOf), ['a', 'b'])
  const third = await gateway()
  await third.calls.subscription('other', 'other')
  const topics = running.local!.queues.states('pubsub.mail').map(({ of }) => of.topicId)
  assert.equal(new Set(topics).size, 1)
})
test('a schema that is deleted is said to be by its topics, for good', async () => {
  const { calls, client } = await gateway()
  const name = 'projects/p/schemas/order'
  const schema = { name, type: 'AVRO', definition: '{"type":"record","name":"R","fields":[]}' } as const
  const create = [s.createSchemaRequest, s.schemaMessage] as const
  const made = { parent: 'projects/p', schemaId: 'order', schema }
  await client.call('SchemaService/CreateSchema', create, made)
  await calls.topic('orders', { schemaSettings: { schema: name, encoding: 'JSON' } })
  await calls.publish('orders', '{}')
  await client.call('SchemaService/DeleteSchema', [s.deleteSchemaRequest, empty], { name })
  await client.call('SchemaService/CreateSchema', create, made)
  for (const one of [client, (await gateway()).client]) {
    const { schemaSettings } = await one.call('Publisher/GetTopic', getTopic, { topic: topicName })
    assert.deepEqual([schemaSettings!.schema, schemaSettings!.encoding], ['_deleted-schema_', 'JSON'])
  }
  await assert.rejects(calls.publish('orders', '{}'), { status: 9 })
  const update = (given: object, ...paths: string[]): Promise<m.TopicMessage> =>
    client.call('Publisher/UpdateTopic', [m.updateTopicRequest, m.topicMessage], {
      topic: { name: topicName, ...given },
      updateMask: { paths },
    })
  await update({ labels: new Map([['a', 'b']]) }, 'labels')
  await update({ schemaSettings: { schema: name, encoding: 'JSON' } }, 'schema_settings')
  await calls.publish('orders', '{}')
})
