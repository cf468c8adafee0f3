import assert from 'node:assert/strict'
import { type IncomingMessage, createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { after, before, test } from 'node:test'
import { createRemoteJWKSet, jwtVerify } from 'jose'
import { Calls, type Fixture, startFixture } from './fixture.ts'

interface Pushed {
  readonly headers: IncomingMessage['headers']
  readonly body: Buffer
  readonly atMs: number
}
let fixture: Fixture
let calls: Calls
const pushed: Pushed[] = []
/** What the endpoint answers, one after another; then 204. */
let answers: number[] = []
const endpoint = createServer((request, response) => {
  const pieces: Buffer[] = []
  request.on('data', (piece: Buffer) => pieces.push(piece))
  request.on('end', () => {
    pushed.push({ headers: request.headers, body: Buffer.concat(pieces), atMs: performance.now() })
    response.statusCode = answers.shift() ?? 204
    response.end()
  })
})
let url = ''
before(async () => {
  await new Promise<void>((resolve) => endpoint.listen(0, '127.0.0.1', resolve))
  url = `http://127.0.0.1:${(endpoint.address() as AddressInfo).port}/push?token=x`
  fixture = await startFixture(':memory:', { webhooksAllow: ['127.0.0.0/8'] })
  calls = new Calls(fixture.client)
})
after(async () => {
  await fixture[Symbol.asyncDispose]()
  endpoint.closeAllConnections()
  endpoint.close()
})
async function until(count: number): Promise<Pushed[]> {
  const late = performance.now() + 20_000
  while (pushed.length < count) {
    assert.ok(performance.now() < late, `only ${pushed.length} of ${count} came`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
  return pushed.splice(0)
}
let made = 0
async function pushing(pushConfig: object, more: object = {}): Promise<{ topic: string; sub: string }> {
  const [topic, sub] = [`topic${made}`, `sub${made++}`]
  await calls.topic(topic)
  await calls.subscription(sub, topic, { pushConfig: { pushEndpoint: url, ...pushConfig }, ...more })
  return { topic, sub }
}
const oidcToken = { serviceAccountEmail: 'pusher@example.iam.gserviceaccount.com', audience: '' }

test('a message is posted as the service wraps it, and is done with when the endpoint has taken it', async () => {
  const { topic, sub } = await pushing({})
  const [id] = await calls.publish(topic, {
    data: Buffer.from('hello'),
    attributes: new Map([['a', 'b']]),
    orderingKey: 'k',
  })
  const [one] = await until(1)
  const { message, subscription } = JSON.parse(one!.body.toString()) as {
    message: Record<string, unknown>
    subscription: string
  }
  const { publishTime, publish_time: same, ...rest } = message
  assert.deepEqual(rest, {
    attributes: { a: 'b' },
    data: Buffer.from('hello').toString('base64'),
    messageId: id,
    message_id: id,
    orderingKey: 'k',
  })
  assert.equal(publishTime, same)
  assert.equal(subscription, `projects/p/subscriptions/${sub}`)
  assert.equal(one!.headers.authorization, undefined)
  await new Promise((resolve) => setTimeout(resolve, 300))
  assert.equal(pushed.length, 0)
})
test('a token is signed by a key that anybody can look up', async () => {
  const { topic } = await pushing({ oidcToken })
  await calls.publish(topic, 'x')
  const [one] = await until(1)
  const [scheme, token = ''] = one!.headers.authorization!.split(' ')
  assert.equal(scheme, 'Bearer')
  const issuer = `http://${fixture.address}`
  const found = (await (await fetch(`${issuer}/.well-known/openid-configuration`)).json()) as Record<string, string>
  const { payload } = await jwtVerify(token, createRemoteJWKSet(new URL(found['jwks_uri']!)), { issuer, audience: url })
  assert.deepEqual([payload['email'], payload['email_verified']], [oidcToken.serviceAccountEmail, true])
  assert.ok(payload.exp! > Date.now() / 1000 + 3_000)
})
test('without a wrapper the data is the body, and attributes are headers where that is asked for', async () => {
  const { topic, sub } = await pushing({ noWrapper: { writeMetadata: true } })
  const attributes = new Map([
    ['color', 'red'],
    ['host', 'evil.example.org'],
    ['not a header', 'x'],
  ])
  const [id] = await calls.publish(topic, { data: Buffer.from('raw'), attributes })
  const [one] = await until(1)
  assert.equal(one!.body.toString(), 'raw')
  const { headers } = one!
  assert.equal(headers['color'], 'red')
  assert.match(headers.host!, /^127\.0\.0\.1:/)
  assert.equal(headers['x-goog-pubsub-message-id'], id)
  assert.equal(headers['x-goog-pubsub-subscription-name'], `projects/p/subscriptions/${sub}`)
})
test('what is not taken comes again, later each time, and goes to the dead letters in the end', async () => {
  await calls.topic('letters')
  await calls.subscription('letters-sub', 'letters')
  answers = [500, 500, 500, 500, 500]
  const deadLetterPolicy = { deadLetterTopic: 'projects/p/topics/letters', maxDeliveryAttempts: 5 }
  const { topic } = await pushing({}, { deadLetterPolicy })
  await calls.publish(topic, 'poison')
  const all = await until(5)
  assert.deepEqual(
    all.map(({ body }) => (JSON.parse(body.toString()) as { deliveryAttempt: number }).deliveryAttempt),
    [1, 2, 3, 4, 5],
  )
  const waits = all.slice(1).map(({ atMs }, i) => atMs - all[i]!.atMs)
  assert.ok(waits[0]! > 90 && waits[3]! > 700, waits.join())
  const [letter] = await calls.pull('letters-sub')
  assert.equal(Buffer.from(letter!.message!.data).toString(), 'poison')
})
test('of an ordering key the next is posted when the one before was taken', async () => {
  answers = [500]
  const { topic } = await pushing({}, { enableMessageOrdering: true })
  await calls.publish(topic, ...[1, 2, 3].map((n) => ({ data: Buffer.from(String(n)), orderingKey: 'k' })))
  const all = await until(4)
  const data = all.map(({ body }) => (JSON.parse(body.toString()) as { message: { data: string } }).message.data)
  assert.deepEqual(
    data.map((one) => Buffer.from(one, 'base64').toString()),
    ['1', '1', '2', '3'],
  )
})
test('a subscription that pushes gives nothing to streams, and one that no longer pushes is pulled from', async () => {
  const { topic, sub } = await pushing({})
  const stream = fixture.client.stream({
    subscription: `projects/p/subscriptions/${sub}`,
    streamAckDeadlineSeconds: 10,
  })
  assert.equal((await stream.ended)?.status, 9)
  await fetch(`http://${fixture.address}/v1/projects/p/subscriptions/${sub}:modifyPushConfig`, {
    method: 'POST',
    body: JSON.stringify({ pushConfig: {} }),
  })
  await calls.publish(topic, 'pulled')
  assert.equal((await calls.pull(sub)).length, 1)
  assert.equal(pushed.length, 0)
})
test('an endpoint that may not be called is not called', async () => {
  await using other = await startFixture()
  const elsewhere = new Calls(other.client)
  await elsewhere.topic('closed')
  await elsewhere.subscription('closed-sub', 'closed', { pushConfig: { pushEndpoint: url } })
  await elsewhere.publish('closed', 'x')
  await new Promise((resolve) => setTimeout(resolve, 500))
  assert.equal(pushed.length, 0)
  await assert.rejects(
    elsewhere.subscription('odd-sub', 'closed', { pushConfig: { pushEndpoint: 'ftp://example.org' } }),
    { status: 3 },
  )
})
