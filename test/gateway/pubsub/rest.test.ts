import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { request } from 'node:http'
import { after, before, test } from 'node:test'
import { Calls, type Fixture, startFixture, textOf } from './fixture.ts'

let fixture: Fixture
let calls: Calls
before(async () => {
  fixture = await startFixture()
  calls = new Calls(fixture.client)
})
after(() => fixture[Symbol.asyncDispose]())

interface Answered {
  readonly status: number
  readonly json: Record<string, unknown>
}
async function rest(verb: string, path: string, body?: object | string): Promise<Answered> {
  const answer = await fetch(`http://${fixture.address}/v1/${path}`, {
    method: verb,
    ...(body === undefined ? {} : { body: typeof body === 'string' ? body : JSON.stringify(body) }),
  })
  return { status: answer.status, json: (await answer.json()) as Record<string, unknown> }
}
const errorOf = ({ json }: Answered): { code: number; status: string; message: string } =>
  json['error'] as { code: number; status: string; message: string }

test('a topic and a subscription are made, a message goes through them, all as JSON', async () => {
  const topic = await rest('PUT', 'projects/p/topics/one', { labels: { a: 'b' }, messageRetentionDuration: '86400s' })
  assert.deepEqual(topic, {
    status: 200,
    json: { name: 'projects/p/topics/one', labels: { a: 'b' }, messageRetentionDuration: '86400s', state: 'ACTIVE' },
  })
  const made = await rest('PUT', 'projects/p/subscriptions/one-sub', { topic: 'projects/p/topics/one' })
  assert.deepEqual(made.json, {
    name: 'projects/p/subscriptions/one-sub',
    topic: 'projects/p/topics/one',
    pushConfig: {},
    ackDeadlineSeconds: 10,
    messageRetentionDuration: '604800s',
    expirationPolicy: { ttl: '2678400s' },
    topicMessageRetentionDuration: '86400s',
    state: 'ACTIVE',
  })
  const data = Buffer.from('hello').toString('base64')
  const published = await rest('POST', 'projects/p/topics/one:publish', {
    messages: [{ data, attributes: { k: 'v' } }],
  })
  const [id] = published.json['messageIds'] as string[]
  const pulled = await rest('POST', 'projects/p/subscriptions/one-sub:pull', { maxMessages: 10 })
  const [received] = pulled.json['receivedMessages'] as { ackId: string; message: Record<string, unknown> }[]
  const { publishTime, ...message } = received!.message
  assert.deepEqual(message, { data, attributes: { k: 'v' }, messageId: id })
  assert.ok(!Number.isNaN(Date.parse(String(publishTime))))
  const done = await rest('POST', 'projects/p/subscriptions/one-sub:acknowledge', { ackIds: [received!.ackId] })
  assert.deepEqual(done, { status: 200, json: {} })
})
test('what REST has made, gRPC sees, and the other way round', async () => {
  await rest('PUT', 'projects/p/topics/both')
  await calls.subscription('both-sub', 'both')
  await rest('POST', 'projects/p/topics/both:publish', { messages: [{ data: 'eA==' }] })
  assert.deepEqual((await calls.pull('both-sub')).map(textOf), ['x'])
})
test('updates by a mask in camel case, lists with pages, deletion', async () => {
  for (const name of ['page-a', 'page-b', 'page-c']) await rest('PUT', `projects/q/topics/${name}`)
  const names: string[] = []
  let token = ''
  do {
    const { json } = await rest('GET', `projects/q/topics?pageSize=2${token === '' ? '' : `&pageToken=${token}`}`)
    names.push(...(json['topics'] as { name: string }[]).map(({ name }) => name))
    token = String(json['nextPageToken'] ?? '')
  } while (token !== '')
  for (const name of ['page-a', 'page-b', 'page-c'])
    assert.ok(names.includes(`projects/q/topics/${name}`), names.join())
  await rest('PUT', 'projects/q/subscriptions/page-sub', { topic: 'projects/q/topics/page-a' })
  const changed = await rest('PATCH', 'projects/q/subscriptions/page-sub', {
    subscription: { ackDeadlineSeconds: 77, labels: { not: 'this' } },
    updateMask: 'ackDeadlineSeconds',
  })
  assert.deepEqual([changed.json['ackDeadlineSeconds'], changed.json['labels']], [77, undefined])
  assert.deepEqual(await rest('DELETE', 'projects/q/subscriptions/page-sub'), { status: 200, json: {} })
  assert.equal((await rest('GET', 'projects/q/subscriptions/page-sub')).status, 404)
})
test('errors are those of the service', async () => {
  const missing = await rest('GET', 'projects/p/topics/absent')
  assert.equal(missing.status, 404)
  assert.deepEqual(errorOf(missing), {
    code: 404,
    status: 'NOT_FOUND',
    message: 'Resource not found (resource=absent).',
  })
  for (const [verb, path, body, code, says] of [
    ['PUT', 'projects/p/topics/one', {}, 409, /already exists/],
    ['PUT', 'projects/p/topics/new-one', '{"labels":', 400, /Invalid JSON payload/],
    ['PUT', 'projects/p/topics/new-one', { nonsense: 1 }, 400, /Unknown name "nonsense"/],
    ['PUT', 'projects/p/topics/new-one', { messageRetentionDuration: '1' }, 400, /duration/],
    ['POST', 'projects/p/topics/one:publish', { messages: [{ data: '***' }] }, 400, /Base64/],
    ['POST', 'projects/p/topics/one:nonsense', {}, 404, /was not found/],
    ['GET', 'projects/p/topics/%E0%A4%A', undefined, 400, /percent-encoded/],
    ['GET', 'projects/p/topics?pageSize=x', undefined, 400, /whole number/],
    ['GET', 'projects/p/topics?__proto__.polluted=x', undefined, 400, /Unknown name/],
  ] as const) {
    const answer = await rest(verb, path, body)
    assert.equal(answer.status, code, JSON.stringify(answer.json))
    assert.match(errorOf(answer).message, says)
  }
  assert.equal(({} as Record<string, unknown>)['polluted'], undefined)
})
test('the REST form is there over HTTP/2 as well', async () => {
  const session = connect(`http://${fixture.address}`)
  const stream = session.request({ ':method': 'GET', ':path': '/v1/projects/p/topics/absent' })
  const status = await new Promise((resolve) => stream.on('response', (headers) => resolve(headers[':status'])))
  assert.equal(status, 404)
  session.destroy()
})
test('pages of browsers are refused, by their origin and by a name that is not this machine', async () => {
  const [host, port] = fixture.address.split(':')
  const ask = (headers: Record<string, string>): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request({ host, port, path: '/v1/projects/p/topics', headers }, (answer) => {
        answer.resume()
        resolve(answer.statusCode ?? 0)
      })
      sent.on('error', reject)
      sent.end()
    })
  assert.equal(await ask({}), 200)
  assert.equal(await ask({ origin: 'https://example.org' }), 403)
  assert.equal(await ask({ host: 'rebound.example.org' }), 403)
})
