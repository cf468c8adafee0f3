import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { gzipSync } from 'node:zlib'
import { listenHttp } from '../../../src/gateway/http/listen.ts'
import { openToAll } from '../../../src/security/security.ts'
import { Fault } from '../../../src/lib/fault.ts'
import { isLoopback } from '../../../src/lib/loopback.ts'
import { fixture } from './fixture.ts'
import { raw } from './raw.ts'

const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)
const get = (path: string, headers: string): string => `GET ${path} HTTP/1.1\r\n${headers}Connection: close\r\n\r\n`

test('only names of this machine are answered', async (t) => {
  const f = await fixture(t, { http: { hosts: ['events.example'] } })
  const { port } = new URL(f.url)
  for (const host of [
    'localhost',
    `localhost:${port}`,
    `127.0.0.1:${port}`,
    '127.0.0.1:9',
    '[::1]:80',
    'LOCALHOST',
    'events.example',
  ])
    assert.equal(statusOf(await raw(f.url, get('/health/live', `Host: ${host}\r\n`))), 200, host)
  for (const host of [
    'evil.example',
    `evil.example:${port}`,
    'localhost.evil.example',
    '127.0.0.1.evil.example',
    'a@localhost',
    '',
    'localhost, evil',
    '0.0.0.0',
    '[::]',
    '127.0.0.2',
  ])
    assert.equal(statusOf(await raw(f.url, get('/v1/topics', `Host: ${host}\r\n`))), 421, host)
  assert.equal(statusOf(await raw(f.url, get('/v1/topics', ''))), 400, 'no Host at all')
  const twice = await raw(f.url, get('/v1/topics', 'Host: localhost\r\nHost: evil.example\r\n'))
  assert.equal(statusOf(twice), 421, 'two of them')
  assert.equal(
    statusOf(
      await raw(f.url, 'GET http://evil.example/v1/topics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n'),
    ),
    400,
  )
})

test('pages of other origins may neither write nor read', async (t) => {
  const f = await fixture(t, { http: { origins: ['https://app.example'] } })
  await f.call('PUT', '/v1/topics/t')
  const { host, port } = new URL(f.url)
  const post = async (origin: string): Promise<number> =>
    (await f.call('POST', '/v1/topics/t/records', { body: '1', headers: { 'content-type': 'text/plain', origin } }))
      .status
  for (const origin of [
    'http://evil.example',
    'null',
    `http://localhost:${port}`,
    'http://127.0.0.1',
    `http://127.0.0.1:${Number(port) + 1}`,
    `http://${host}.evil.example`,
    'file://',
  ])
    assert.equal(await post(origin), 403, origin)
  assert.equal(await post(`http://${host}`), 200)
  const allowed = await f.call('GET', '/v1/topics', { headers: { origin: 'https://app.example' } })
  assert.equal(allowed.status, 200)
  assert.equal(allowed.headers.get('access-control-allow-origin'), 'https://app.example')
  const foreign = await f.call('GET', '/v1/topics', { headers: { origin: 'http://evil.example' } })
  assert.equal(foreign.status, 403)
  assert.equal(foreign.headers.get('access-control-allow-origin'), null)
  assert.equal(foreign.json.code, 'http.origin-refused')
  assert.equal((await f.call('GET', '/v1/topics')).headers.get('access-control-allow-origin'), null)
  assert.equal((await f.call('GET', '/v1/topics/t/records')).json.records.length, 1)
})

test('an address that other machines can reach is refused', async (t) => {
  const f = await fixture(t)
  for (const host of [
    '0.0.0.0',
    '::',
    '192.168.1.1',
    'example.com',
    '127.0.0.1.example',
    '128.0.0.1',
    '::ffff:8.8.8.8',
    '127.0.0.999',
  ])
    assert.equal(isLoopback(host), false, host)
  for (const host of ['127.0.0.1', '127.8.9.10', '::1', 'localhost', '::ffff:127.0.0.1'])
    assert.equal(isLoopback(host), true, host)
  const parts = {
    ...f,
    alerts: f.alerts,
    commits: null as never,
    logger: null as never,
    security: openToAll,
    version: '',
    local: null,
    dataPath: null,
  }
  await assert.rejects(
    listenHttp({
      readersOf: () => [],
      mqttSessions: () => null,
      doctors: () => new Map(),
      ...parts,
      at: { host: '0.0.0.0', port: 0 },
    }),
    (error: unknown) => error instanceof Fault && error.code === 'config.not-loopback',
  )
})

test('methods: what is offered, what is not, HEAD and OPTIONS', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const wrong = await f.call('PUT', '/v1/topics/t/records', { json: 1 })
  assert.equal(wrong.status, 405)
  assert.equal(wrong.headers.get('allow'), 'POST, GET, HEAD, OPTIONS')
  const options = await f.call('OPTIONS', '/v1/topics/t')
  assert.equal(options.status, 204)
  assert.equal(options.headers.get('allow'), 'GET, PUT, PATCH, DELETE, HEAD, OPTIONS')
  const head = await f.call('HEAD', '/v1/topics/t')
  assert.equal(head.status, 200)
  assert.equal(head.text, '')
  assert.ok(Number(head.headers.get('content-length')) > 50)
  assert.equal(
    (await f.call('HEAD', '/v1/topics/t/records', { headers: { accept: 'application/x-ndjson' } })).status,
    200,
  )
  assert.equal((await f.call('GET', '/v1/nothing')).status, 404)
  assert.equal((await f.call('GET', '/v1/topics', { headers: { accept: 'text/html' } })).status === 200, true)
  assert.equal((await f.call('GET', '/v1/topics/t/records', { headers: { accept: 'image/png' } })).status, 406)
  assert.equal(
    statusOf(await raw(f.url, 'TRACE /v1/topics HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n')),
    405,
  )
})

test('lengths that lie are met before memory is taken', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const head = 'POST /v1/topics/t/records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  const before = process.memoryUsage().rss
  for (const lie of ['Content-Length: 2147483648\r\n\r\n', 'Content-Length: 99999999999\r\n\r\n']) {
    const answer = await raw(f.url, `${head}${lie}[1,2`)
    assert.equal(statusOf(answer), 413, answer)
    assert.ok(answer.includes('wire.too-large'))
  }
  for (const bad of [
    'Content-Length: -1\r\n\r\n',
    'Content-Length: 5\r\nContent-Length: 6\r\n\r\n',
    'Content-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n',
    'Transfer-Encoding: chunked\r\n\r\nFFFFFFFFFFFFFFFFFF\r\n',
  ])
    assert.equal(statusOf(await raw(f.url, head + bad)), 400, bad)
  const deep = await f.call('POST', '/v1/topics/t/records', {
    headers: { 'content-type': 'application/json' },
    body: '['.repeat(1_000_000),
  })
  assert.equal(deep.json.code, 'json.malformed')
  assert.ok(process.memoryUsage().rss - before < 64 * 1024 * 1024)
})

test('a gzip bomb is met at the limit', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const bomb = gzipSync(Buffer.alloc(300 * 1024 * 1024))
  const before = process.memoryUsage().rss
  const headers = { 'content-type': 'application/json', 'content-encoding': 'gzip' }
  const whole = await f.call('POST', '/v1/topics/t/records', { headers, body: bomb })
  assert.equal(whole.status, 413, whole.text)
  const lines = await f.call('POST', '/v1/topics/t/records', {
    headers: { ...headers, 'content-type': 'application/x-ndjson' },
    body: bomb,
  })
  assert.equal(lines.json.records[0].fault.code, 'wire.too-large')
  assert.ok(process.memoryUsage().rss - before < 100 * 1024 * 1024, `${process.memoryUsage().rss - before}`)
})

test('headers: too many or too long are refused, none can be smuggled into an answer', async (t) => {
  const f = await fixture(t)
  const long = await raw(f.url, get('/v1/topics', `Host: localhost\r\nX: ${'x'.repeat(20_000)}\r\n`))
  assert.equal(statusOf(long), 431)
  assert.ok(long.includes('application/problem+json'))
  for (const path of ['/v1/topics/a%0d%0aX-Evil:%201', '/errors/a%0d%0aX-Evil:%201', '/v1/topics/x?a=%0d%0aX-Evil:1']) {
    const answer = await raw(f.url, get(path, 'Host: localhost\r\n'))
    assert.doesNotMatch(answer.split('\r\n\r\n')[0]!, /x-evil/i, path)
    assert.ok(statusOf(answer) >= 400)
  }
  const injected = await f.call('PUT', '/v1/topics/a%0d%0aSet-Cookie:%20x')
  assert.equal(injected.status, 400)
})

test('names of the prototype are only names', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  for (const body of ['{"__proto__":{"polluted":1}}', '{"constructor":{"prototype":{"polluted":1}}}'])
    for (const type of ['application/json', 'application/vnd.millrace.records+json', 'application/cloudevents+json'])
      await f.call('POST', '/v1/topics/t/records', { body, headers: { 'content-type': type } })
  for (const body of [
    '{"config":{"__proto__":"x","constructor":"y"}}',
    '{"__proto__":{"partitions":4}}',
    '{"schema":{"properties":{"__proto__":{"type":"number"}}}}',
  ])
    await f.call('PATCH', '/v1/topics/t', { body, headers: { 'content-type': 'application/json' } })
  await f.call('POST', '/v1/topics/t/records?key=__proto__', {
    json: 1,
    headers: { 'Millrace-Header-__proto__': 'x', 'Idempotency-Key': '__proto__' },
  })
  assert.equal(({} as { polluted?: number }).polluted, undefined)
  for (const path of [
    '/v1/topics/__proto__',
    '/v1/topics/constructor',
    '/v1/views/__proto__',
    '/v1/groups/__proto__',
    '/errors/toString',
    '/errors/__proto__',
  ])
    assert.ok((await f.call('GET', path)).status >= 400, path)
})

test('who sends nothing is cut off, who waits for 100 Continue gets it, and a body that stops is no event', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const post = 'POST /v1/topics/t/records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n'
  const cut = await raw(f.url, `${post}Content-Length: 10\r\n\r\n{"a":`, { half: true })
  assert.ok([0, 400].includes(statusOf(cut)), cut)
  const { port } = new URL(f.url)
  const answer = await new Promise<string>((resolve) => {
    const socket = connect(Number(port), '127.0.0.1')
    let text = ''
    socket.on('data', (part) => {
      text += part.toString()
      if (text.endsWith('HTTP/1.1 100 Continue\r\n\r\n')) socket.write('{"a":1}')
    })
    socket.on('close', () => resolve(text))
    socket.write(`${post}Content-Length: 7\r\nExpect: 100-continue\r\nConnection: close\r\n\r\n`)
  })
  assert.match(answer, /^HTTP\/1\.1 100 Continue\r\n\r\nHTTP\/1\.1 200 OK/)
  const refused = await raw(
    f.url,
    `${post.replace('/t/', '/none/')}Content-Length: 7\r\nExpect: 100-continue\r\n\r\n`,
    { endMs: 3_000 },
  )
  assert.equal(statusOf(refused), 404, 'refused before the body is asked for')
  const tooBig = await raw(f.url, `${post}Content-Length: 99999999\r\nExpect: 100-continue\r\n\r\n`, { endMs: 3_000 })
  assert.doesNotMatch(tooBig, /413[^]*100 Continue/)
  assert.equal((await f.call('GET', '/v1/topics/t/records')).json.records.length, 1)
})

test('a transfer coding beneath chunked is refused, not stored as it is', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const post = (coding: string): Promise<string> =>
    raw(
      f.url,
      `POST /v1/topics/t/records HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\n` +
        `Transfer-Encoding: ${coding}\r\nConnection: close\r\n\r\n1\r\n7\r\n0\r\n\r\n`,
    )
  assert.equal(statusOf(await post('chunked')), 200)
  assert.equal(statusOf(await post('Chunked')), 200)
  for (const coding of ['gzip, chunked', 'identity, chunked']) {
    const answer = await post(coding)
    assert.equal(statusOf(answer), 415, coding)
    assert.match(answer, /http\.unsupported-body/)
  }
})
