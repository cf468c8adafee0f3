/** @google-cloud/pubsub, unmodified, against Millrace. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { type NodeMessage, type NodePubSub, type NodeSubscription, connect } from './pubsub/node-client.ts'
import { type PubsubTarget, startPubsub } from './pubsub/target.ts'

let target: PubsubTarget
let pubsub: NodePubSub
let made = 0
before(async () => {
  target = await startPubsub()
  pubsub = await connect(target.address)
})
after(async () => {
  await pubsub.close()
  await target[Symbol.asyncDispose]()
})
const fresh = (what: string): string => `${what}-${process.pid}-${made++}`
const bytes = (text: string): Buffer => Buffer.from(text)

/** Until there are so many; what each does with it, the caller says. */
function take(
  subscription: NodeSubscription,
  count: number,
  each: (message: NodeMessage) => void = (one) => one.ack(),
) {
  return new Promise<NodeMessage[]>((resolve, reject) => {
    const found: NodeMessage[] = []
    const late = setTimeout(() => reject(new Error(`only ${found.length} of ${count} messages came`)), 30_000)
    subscription.on('error', reject)
    subscription.on('message', (message) => {
      found.push(message)
      each(message)
      if (found.length < count) return
      clearTimeout(late)
      subscription.removeAllListeners('message')
      resolve(found)
    })
  })
}
async function pair(options: object = {}, topicOptions: object = {}) {
  const [topic] = await pubsub.createTopic({ name: fresh('topic'), ...topicOptions })
  const [subscription] = await topic.createSubscription(fresh('subscription'), options)
  return { topic, subscription }
}
const failsWith = (code: number, message: RegExp) => (error: Error & { code?: number }) => {
  assert.equal(error.code, code, error.message)
  assert.match(error.message, message)
  return true
}

test('what is published is received, with its attributes and its id', async () => {
  const { topic, subscription } = await pair()
  const id = await topic.publishMessage({ data: bytes('hello'), attributes: { origin: 'here', empty: '' } })
  const [message] = await take(subscription, 1)
  assert.deepEqual(
    [message!.id, message!.data.toString(), { ...message!.attributes }],
    [id, 'hello', { origin: 'here', empty: '' }],
  )
  assert.ok(Math.abs(message!.publishTime.getTime() - Date.now()) < 60_000)
  await subscription.close()
})
test('a message of attributes alone arrives; an empty one is refused', async () => {
  const { topic, subscription } = await pair()
  await topic.publishMessage({ data: Buffer.alloc(0), attributes: { only: 'this' } })
  const [message] = await take(subscription, 1)
  assert.equal(message!.attributes['only'], 'this')
  await assert.rejects(topic.publishMessage({ data: Buffer.alloc(0) }), failsWith(3, /is empty/))
  await subscription.close()
})
test('a thousand messages arrive, each once', async () => {
  const { topic, subscription } = await pair()
  const sent = await Promise.all(
    Array.from({ length: 1_000 }, (_, i) => topic.publishMessage({ data: bytes(`m${i}`) })),
  )
  const found = await take(subscription, 1_000)
  assert.deepEqual(found.map(({ id }) => id).toSorted(), sent.toSorted())
  await subscription.close()
})
test('two subscriptions each have every message; two clients of one share them', async () => {
  const { topic, subscription } = await pair()
  const [other] = await topic.createSubscription(fresh('other'))
  await Promise.all(Array.from({ length: 20 }, (_, i) => topic.publishMessage({ data: bytes(`m${i}`) })))
  const [all, rest] = await Promise.all([take(subscription, 20), take(other, 20)])
  assert.equal(new Set(all.map(({ id }) => id)).size, 20)
  assert.equal(new Set(rest.map(({ id }) => id)).size, 20)
  await Promise.all([subscription.close(), other.close()])
})
test('what is nacked is delivered again', async () => {
  const { topic, subscription } = await pair()
  await topic.publishMessage({ data: bytes('again') })
  let times = 0
  const found = await take(subscription, 3, (message) => (++times < 3 ? message.nack() : message.ack()))
  assert.equal(new Set(found.map(({ id }) => id)).size, 1)
  await subscription.close()
})
test('messages of an ordering key arrive in their order, also again', async () => {
  const { topic, subscription } = await pair({ enableMessageOrdering: true })
  const ordered = pubsub.topic(topic.name, { messageOrdering: true })
  for (let i = 0; i < 12; i++)
    await ordered.publishMessage({ data: bytes(String(i)), orderingKey: i % 2 === 0 ? 'even' : 'odd' })
  let nacked = false
  // Those behind it are there already: they come again after it, acknowledged or not.
  const found = await take(subscription, 16, (message) => {
    const again = !nacked && message.data.toString() === '4'
    if (again) nacked = true
    if (again) message.nack()
    else message.ack()
  })
  const of = (key: string): string[] =>
    found.filter((one) => one.orderingKey === key).map(({ data }) => data.toString())
  assert.deepEqual(of('even'), ['0', '2', '4', '6', '8', '10', '4', '6', '8', '10'])
  assert.deepEqual(of('odd'), ['1', '3', '5', '7', '9', '11'])
  await subscription.close()
})
test('exactly once: acknowledgements are confirmed, and what is nacked comes again', async () => {
  const { topic, subscription } = await pair({ enableExactlyOnceDelivery: true, ackDeadlineSeconds: 10 })
  await Promise.all(['a', 'b'].map((text) => topic.publishMessage({ data: bytes(text) })))
  const nacked = new Set<string>()
  const outcomes: string[] = []
  await new Promise<void>((resolve, reject) => {
    subscription.on('error', reject)
    subscription.on('message', (message) => {
      const { id } = message
      if (!nacked.has(id)) {
        nacked.add(id)
        return message.nack()
      }
      void message.ackWithResponse().then((outcome) => {
        outcomes.push(outcome)
        if (outcomes.length === 2) resolve()
      }, reject)
    })
  })
  assert.deepEqual(outcomes, ['SUCCESS', 'SUCCESS'])
  await subscription.close()
})
test('a filter lets through what fits it', async () => {
  const { topic, subscription } = await pair({ filter: 'attributes.kind = "a" AND NOT attributes:skip' })
  await topic.publishMessage({ data: bytes('1'), attributes: { kind: 'b' } })
  await topic.publishMessage({ data: bytes('2'), attributes: { kind: 'a', skip: '' } })
  await topic.publishMessage({ data: bytes('3'), attributes: { kind: 'a' } })
  const [message] = await take(subscription, 1)
  assert.equal(message!.data.toString(), '3')
  await subscription.close()
})
test('after five deliveries a message goes to the topic of dead letters, and says where it was', async () => {
  const { topic: letters, subscription: dead } = await pair()
  const { topic, subscription } = await pair({
    deadLetterPolicy: { deadLetterTopic: letters.name, maxDeliveryAttempts: 5 },
  })
  await topic.publishMessage({ data: bytes('poison'), attributes: { mine: 'x' } })
  const attempts = await take(subscription, 5, (message) => message.nack())
  assert.deepEqual(
    attempts.map(({ deliveryAttempt }) => deliveryAttempt),
    [1, 2, 3, 4, 5],
  )
  const [letter] = await take(dead, 1)
  assert.equal(letter!.data.toString(), 'poison')
  assert.equal(letter!.attributes['mine'], 'x')
  assert.equal(letter!.attributes['CloudPubSubDeadLetterSourceDeliveryCount'], '5')
  assert.equal(letter!.attributes['CloudPubSubDeadLetterSourceSubscription'], subscription.name.split('/').at(-1))
  assert.equal(letter!.attributes['CloudPubSubDeadLetterSourceSubscriptionProject'], 'interop')
  await Promise.all([subscription.close(), dead.close()])
})
test('a retry policy holds back what was nacked', async () => {
  const { topic, subscription } = await pair({
    retryPolicy: { minimumBackoff: { seconds: 2 }, maximumBackoff: { seconds: 4 } },
  })
  await topic.publishMessage({ data: bytes('later') })
  const times: number[] = []
  await take(subscription, 2, (message) => {
    times.push(performance.now())
    if (times.length < 2) message.nack()
    else message.ack()
  })
  assert.ok(times[1]! - times[0]! > 1_900, `it came after ${times[1]! - times[0]!} ms`)
  await subscription.close()
})
test('seek to a time brings back what was acknowledged, where it is kept', async () => {
  const { topic, subscription } = await pair({ retainAckedMessages: true })
  const before = new Date(Date.now() - 60_000)
  await topic.publishMessage({ data: bytes('kept') })
  await take(subscription, 1)
  await new Promise((resolve) => setTimeout(resolve, 500))
  await subscription.seek(before)
  const [again] = await take(subscription, 1)
  assert.equal(again!.data.toString(), 'kept')
  await subscription.close()
})
test('seek to a snapshot brings back what was not acknowledged then', async () => {
  const { topic, subscription } = await pair({ retainAckedMessages: true })
  await topic.publishMessage({ data: bytes('before') })
  await take(subscription, 1)
  await new Promise((resolve) => setTimeout(resolve, 500))
  await topic.publishMessage({ data: bytes('after') })
  const name = fresh('snapshot')
  const [snapshot] = await subscription.createSnapshot(name)
  await take(subscription, 1)
  await new Promise((resolve) => setTimeout(resolve, 500))
  await subscription.seek(name)
  const [again] = await take(subscription, 1)
  assert.equal(again!.data.toString(), 'after')
  const [all] = await pubsub.getSnapshots()
  assert.ok(all.some((one) => one.name.endsWith(name)))
  await snapshot.delete()
  await subscription.close()
})
test('a schema is made, read, enforced on publish, and listed', async () => {
  const id = fresh('schema')
  const definition = JSON.stringify({ type: 'record', name: 'R', fields: [{ name: 'n', type: 'int' }] })
  const schema = await pubsub.createSchema(id, 'AVRO', definition)
  const read = await schema.get('FULL')
  assert.equal(read.definition, definition)
  const { topic, subscription } = await pair({}, { schemaSettings: { schema: read.name, encoding: 'JSON' } })
  await topic.publishMessage({ data: bytes('{"n":7}') })
  await assert.rejects(topic.publishMessage({ data: bytes('{"n":"seven"}') }), failsWith(3, /schema/))
  const [message] = await take(subscription, 1)
  assert.equal(message!.attributes['googclient_schemaencoding'], 'JSON')
  assert.equal(message!.attributes['googclient_schemarevisionid'], read.revisionId)
  const names: string[] = []
  for await (const one of pubsub.listSchemas()) names.push(one.name)
  assert.ok(names.includes(read.name))
  await subscription.close()
})
test('what is not there, is there already or is malformed is said in the words of the service', async () => {
  const { topic } = await pair()
  await assert.rejects(
    pubsub.topic('no-such-topic').getMetadata(),
    failsWith(5, /Resource not found \(resource=no-such-topic\)\./),
  )
  await assert.rejects(pubsub.createTopic(topic.name), failsWith(6, /Resource already exists in the project/))
  await assert.rejects(pubsub.createTopic('1x'), failsWith(3, /Invalid resource name given/))
  await assert.rejects(
    topic.createSubscription(fresh('s'), { ackDeadlineSeconds: 5 }),
    failsWith(3, /ack_deadline_seconds/),
  )
  await assert.rejects(topic.createSubscription(fresh('s'), { filter: 'nonsense' }), failsWith(3, /filter/))
})
test('a subscription is described, changed by a mask, listed by its topic and deleted', async () => {
  const { topic, subscription } = await pair({ labels: { team: 'a' } })
  const [metadata] = await subscription.getMetadata()
  assert.deepEqual([metadata.topic, metadata.ackDeadlineSeconds, metadata.labels['team']], [topic.name, 10, 'a'])
  const [changed] = await subscription.setMetadata({ ackDeadlineSeconds: 42 })
  assert.deepEqual([changed.ackDeadlineSeconds, changed.labels['team']], [42, 'a'])
  const [listed] = await topic.getSubscriptions()
  assert.deepEqual(
    listed.map(({ name }) => name),
    [subscription.name],
  )
  await subscription.delete()
  assert.deepEqual(await subscription.exists(), [false])
})
test('lists come in pages', async () => {
  const names = await Promise.all(
    Array.from({ length: 7 }, async () => (await pubsub.createTopic(fresh('page')))[0].name),
  )
  const [topics] = await pubsub.getTopics({ pageSize: 3, autoPaginate: true })
  const found = new Set(topics.map(({ name }) => name))
  assert.ok(names.every((name) => found.has(name)))
})
test('a subscription whose topic was deleted says so; one that was detached gives nothing', async () => {
  const { topic, subscription } = await pair()
  await topic.delete()
  const [metadata] = await subscription.getMetadata()
  assert.equal(metadata.topic, '_deleted-topic_')
  const { topic: other, subscription: detached } = await pair()
  await pubsub.detachSubscription(detached.name)
  const [listed] = await other.getSubscriptions()
  assert.deepEqual(listed, [])
})
test('a streaming pull learns that its subscription is gone', async () => {
  const { subscription } = await pair()
  const failed = new Promise<Error & { code?: number }>((resolve) => subscription.on('error', resolve))
  subscription.on('message', () => undefined)
  await new Promise((resolve) => setTimeout(resolve, 300))
  await pubsub.subscription(subscription.name).delete()
  assert.equal((await failed).code, 5)
  await subscription.close()
})
