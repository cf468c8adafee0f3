import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { limits } from '../../../src/lib/limits.ts'
import { type Fixture, type Json, fixture, memoryWorld } from './fixture.ts'
import { raw } from './raw.ts'
import { openWebSocket } from './web-socket.ts'

const handshake = (path: string, headers = 'Host: localhost\r\n', method = 'GET'): string =>
  `${method} ${path} HTTP/1.1\r\n${headers}Connection: Upgrade\r\nUpgrade: websocket\r\n` +
  'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n'
const statusOf = (answer: string): number => Number(/^HTTP\/1\.1 (\d+)/.exec(answer)?.[1] ?? 0)
const problemIn = (answer: string): Json => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n') + 4))

async function fill(f: Fixture, topic: string, partitions: number, count: number): Promise<void> {
  await f.call('PUT', `/v1/topics/${topic}`, { json: { partitions } })
  const records = Array.from({ length: count }, (_, i) => ({ value: { i }, partition: i % partitions }))
  const headers = { 'content-type': 'application/vnd.millrace.records+json' }
  const { status } = await f.call('POST', `/v1/topics/${topic}/records`, { headers, body: JSON.stringify({ records }) })
  assert.equal(status, 200)
}
const metric = async (f: Fixture, name: string): Promise<number> =>
  Number(new RegExp(`^${name} (\\d+)$`, 'm').exec((await f.call('GET', '/metrics')).text)?.[1])

test('a WebSocket tails a topic, and goes on behind the last id over all partitions', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 3, 9)
  const at = `${f.url}/v1/topics/t/records`
  const seen: number[] = []
  const first = await openWebSocket(`${at}?from=earliest`)
  for (let i = 0; i < 5; i++) seen.push((await first.next('record')).value.json.i)
  const last = first.lastId
  assert.match(last, /^0:-?\d+,1:-?\d+,2:-?\d+$/)
  first.close()
  assert.equal((await first.closed).clean, true)
  const second = await openWebSocket(`${at}?lastEventId=${last}`)
  for (let i = 0; i < 4; i++) seen.push((await second.next('record')).value.json.i)
  assert.deepEqual(
    seen.toSorted((a, b) => a - b),
    [0, 1, 2, 3, 4, 5, 6, 7, 8],
  )
  await f.call('POST', '/v1/topics/t/records', { json: { i: 9 } })
  const live = await second.next('record')
  assert.deepEqual(live.value, { json: { i: 9 } })
  assert.equal(typeof live.offset, 'number')
  second.close()
  const filtered = await openWebSocket(`${at}?from=earliest&where=${encodeURIComponent('value contains "i":7')}`)
  assert.equal((await filtered.next('record')).value.json.i, 7)
  filtered.close()
})

test('a new WebSocket says at once where it stands', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 1, 4)
  const tail = await openWebSocket(`${f.url}/v1/topics/t/records`)
  assert.deepEqual(await tail.next('position'), { event: 'position', id: '0:3' })
  tail.close()
})

test('changes of a view, alerts and the overview come over WebSockets too, and one that is complete ends well', async (t) => {
  const f = await fixture(t)
  f.engine.relations = [
    {
      name: 'revenue',
      kind: 'view',
      columns: [],
      key: ['item'],
      topic: 'revenue',
      sql: 'SELECT 1',
      status: 'running',
      error: null,
      watermark: null,
      stats: { rowsIn: 0, rowsOut: 0, late: 0, invalid: 0, stateBytes: 0 },
    },
  ]
  f.engine.changes = [
    { op: '+', row: { item: 'x', n: 9007199254740993n }, at: '1' },
    { op: 'progress', at: '1', watermark: null },
  ]
  const view = await openWebSocket(`${f.url}/v1/views/revenue/changes`)
  assert.deepEqual(await view.next('change'), {
    event: 'change',
    op: '+',
    row: { item: 'x', n: Number('9007199254740993') },
    at: '1',
  })
  assert.equal((await view.next('change')).op, 'progress')
  assert.deepEqual(await view.next('end'), { event: 'end' })
  assert.deepEqual(await view.closed, { code: 1000, reason: '', clean: true })
  const overview = await openWebSocket(`${f.url}/v1/overview`)
  assert.equal((await overview.next('overview')).version, '0.0.0-test')
  overview.close()
  await overview.closed
})

test('what is no live stream refuses the handshake with a problem document', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 1, 1)
  const refused = async (path: string, status: number, code: string, headers?: string): Promise<void> => {
    const answer = await raw(f.url, handshake(path, headers))
    assert.equal(statusOf(answer), status, answer)
    assert.match(answer, /content-type: application\/problem\+json/)
    assert.match(answer, /connection: close/i)
    assert.equal(problemIn(answer).code, code)
    assert.equal(problemIn(answer).status, status)
  }
  await refused('/v1/topics/none/records', 404, 'log.unknown-topic')
  await refused('/v1/topics/t/records?from=soon', 400, 'http.invalid-parameter')
  await refused('/v1/topics/t/records?lastEventId=nonsense', 400, 'http.invalid-parameter')
  await refused('/v1/topics/t/records?where=x', 400, 'sql.syntax')
  await refused('/v1/topics/t/records?partition=7', 404, 'log.unknown-partition')
  await refused('/v1/topics', 406, 'http.not-acceptable')
  await refused('/nothing', 404, 'http.not-found')
  await refused('/', 404, 'http.not-found')
  await refused('/v1/topics/t/records', 421, 'http.host-refused', 'Host: evil.example\r\n')
  await refused(
    '/v1/topics/t/records',
    403,
    'http.origin-refused',
    'Host: localhost\r\nOrigin: http://evil.example\r\n',
  )
  await refused('/v1/topics/t/records', 403, 'http.origin-refused', 'Host: localhost\r\nOrigin: null\r\n')
  const twice = 'Host: localhost\r\nHost: localhost\r\n'
  await refused('/v1/topics/t/records', 421, 'http.host-refused', twice)
  const own = await raw(f.url, handshake('/v1/topics/t/records', 'Host: localhost\r\nOrigin: http://localhost\r\n'), {
    endMs: 300,
  })
  assert.equal(statusOf(own), 101)
  const page = (await f.call('GET', '/v1/topics/t/records?lastEventId=0:1')).json
  assert.equal(page.code, 'http.invalid-parameter', 'a page has no last event')
})

test('a handshake that is none is refused, and says which version is spoken', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 1, 1)
  const good = handshake('/v1/topics/t/records')
  for (const bad of [
    good.replace('Version: 13', 'Version: 7'),
    good.replace(/Sec-WebSocket-Key: \S+/, 'Sec-WebSocket-Key: short'),
    good.replace(/Sec-WebSocket-Key: \S+\r\n/, ''),
    good.replace('\r\n\r\n', '\r\nSec-WebSocket-Protocol: ,\r\n\r\n'),
  ]) {
    const answer = await raw(f.url, bad)
    assert.equal(statusOf(answer), 400, answer)
    assert.match(answer, /sec-websocket-version: 13/)
    assert.equal(problemIn(answer).code, 'http.bad-request')
  }
  assert.equal(await metric(f, 'millrace_http_websockets'), 0)
})

test('any other upgrade is served as if it had not been asked for', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const h2c =
    'Host: localhost\r\nConnection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAMAAABkAAQAAP__\r\n'
  const get = await raw(f.url, `GET /v1/topics HTTP/1.1\r\n${h2c}\r\n`, { endMs: 300 })
  assert.equal(statusOf(get), 200)
  const post = await raw(
    f.url,
    `POST /v1/topics/t/records HTTP/1.1\r\n${h2c}Content-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}`,
    { endMs: 300 },
  )
  assert.equal(statusOf(post), 200, post)
  const posted = handshake('/v1/topics/t/records', 'Host: localhost\r\nContent-Length: 1\r\n', 'POST')
  assert.equal(statusOf(await raw(f.url, `${posted}1`, { endMs: 300 })), 200)
  assert.equal((await f.call('GET', '/v1/topics/t/records')).json.records.length, 2)
})

test('a fault ends the stream with its code; the server going away has the code for that', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 1, 1)
  await fill(f, 'u', 1, 1)
  const tail = await openWebSocket(`${f.url}/v1/topics/t/records?from=earliest`)
  const other = await openWebSocket(`${f.url}/v1/topics/u/records?from=earliest`)
  await tail.next('record')
  await other.next('record')
  assert.equal(await metric(f, 'millrace_http_websockets'), 2)
  await f.call('DELETE', '/v1/topics/t')
  const fault = await tail.next('fault')
  assert.equal(fault.code, 'log.unknown-topic')
  assert.equal(fault.docs, '/errors/log.unknown-topic')
  assert.deepEqual(await tail.closed, { code: 4404, reason: 'log.unknown-topic', clean: true })
  const before = process.hrtime.bigint()
  await f.stop()
  assert.deepEqual(await other.closed, { code: 1001, reason: 'log.closed', clean: true })
  assert.ok(process.hrtime.bigint() - before < 2_000_000_000n, 'a WebSocket does not hold up the stop')
})

test('a client that never answers the close does not hold up the stop for ever', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 1, 1)
  const answer = raw(f.url, handshake('/v1/topics/t/records?from=earliest'), { endMs: 20_000 })
  while ((await metric(f, 'millrace_http_websockets')) !== 1) await f.world.clock.sleep(10)
  const before = process.hrtime.bigint()
  await f.stop()
  assert.ok(process.hrtime.bigint() - before < 6_000_000_000n)
  assert.equal(statusOf(await answer), 101)
})

test('a message of the client is not taken, whatever its size', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 1, 1)
  const small = await openWebSocket(`${f.url}/v1/topics/t/records`)
  small.send('{"hello":1}')
  assert.equal((await small.next('fault')).code, 'http.unsupported-body')
  assert.deepEqual(await small.closed, { code: 1003, reason: 'http.unsupported-body', clean: true })
  const large = await openWebSocket(`${f.url}/v1/topics/t/records`)
  large.send('x'.repeat(limits.httpMessageBytes + 1))
  assert.equal((await large.closed).code, 1009)
  assert.equal(await metric(f, 'millrace_http_websockets'), 0)
})

test('frames that break the protocol end their connection only', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 1, 1)
  const path = '/v1/topics/t/records'
  const masked = [0x81, 0x80 | 1, 1, 2, 3, 4, 0x41]
  for (const frame of [
    [0x81, 0x01, 0x41], // not masked
    [0xf1, 0x80, 1, 2, 3, 4], // reserved bits
    [0x83, 0x80, 1, 2, 3, 4], // an opcode that is none
    [0x89, 0xfe, 0x7f, 0xff, 1, 2, 3, 4], // a ping of 32 KiB
    [0x81, 0xff, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], // 2^63 bytes
    [0x88, 0x81, 1, 2, 3, 4, 5], // a close of one byte
    masked,
  ]) {
    const answer = await raw(f.url, Buffer.concat([Buffer.from(handshake(path)), Buffer.from(frame)]), { endMs: 8_000 })
    assert.equal(statusOf(answer), 101)
    assert.ok(answer.includes('\x88'), `a close frame is sent for ${frame.join(' ')}`)
  }
  while ((await metric(f, 'millrace_http_websockets')) !== 0) await f.world.clock.sleep(10)
  const fine = await openWebSocket(f.url + path)
  fine.close()
})

test('there are so many WebSockets at once and no more', async (t) => {
  const f = await fixture(t, { http: { webSocketsMax: 2 } })
  await fill(f, 't', 1, 1)
  const at = `${f.url}/v1/topics/t/records`
  const open = [await openWebSocket(at), await openWebSocket(at)]
  const answer = await raw(f.url, handshake('/v1/topics/t/records'))
  assert.equal(statusOf(answer), 429)
  assert.match(answer, /retry-after: 1/)
  assert.equal(problemIn(answer).code, 'http.too-many')
  for (const one of open) one.close()
  await Promise.all(open.map((one) => one.closed))
  while ((await metric(f, 'millrace_http_websockets')) !== 0) await f.world.clock.sleep(10)
  const again = await openWebSocket(at)
  again.close()
})

test('a client that stops reading holds back its stream, not the memory, and then gets everything', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const count = 1_500
  const pad = 'x'.repeat(10_000)
  for (let i = 0; i < count; i += 500) {
    const json = Array.from({ length: 500 }, (_, j) => ({ i: i + j, pad }))
    assert.equal((await f.call('POST', '/v1/topics/t/records', { json })).status, 200)
  }
  const { hostname, port } = new URL(f.url)
  const socket = connect(Number(port), hostname)
  socket.pause()
  socket.write(handshake('/v1/topics/t/records?from=earliest'))
  await f.world.clock.sleep(300)
  const before = process.memoryUsage().arrayBuffers
  await f.world.clock.sleep(700)
  assert.ok(process.memoryUsage().arrayBuffers - before < 10_000_000, 'nothing is read ahead for it')
  let seen = 0
  let rest = ''
  socket.on('data', (part) => {
    rest += part.toString('latin1')
    seen += rest.match(/"i":\d+,"pad"/g)?.length ?? 0
    rest = rest.slice(Math.max(rest.lastIndexOf('"pad"') + 5, rest.length - 30))
    if (seen === count) socket.destroy()
  })
  socket.resume()
  await new Promise((resolve) => socket.on('close', resolve))
  assert.equal(seen, count)
})

test('a client that is silently gone is cut off, one that answers pings is not', async (t) => {
  const { clock } = memoryWorld()
  // Timers run a thousand times as fast; nothing else does.
  const quick = { ...clock, after: (ms: number, call: () => void) => clock.after(ms >= 5_000 ? ms / 100 : ms, call) }
  const f = await fixture(t, { http: { world: { ...memoryWorld(), clock: quick } } })
  await fill(f, 't', 1, 1)
  const alive = await openWebSocket(`${f.url}/v1/topics/t/records`)
  const dead = raw(f.url, handshake('/v1/topics/t/records'), { endMs: 20_000 })
  const before = performance.now()
  const text = await dead
  const ms = performance.now() - before
  assert.ok(text.includes('\x89\x00'), 'it was pinged')
  assert.ok(ms > 500 && ms < 5_000, `${ms} ms`)
  await f.call('POST', '/v1/topics/t/records', { json: { i: 1 } })
  assert.equal((await alive.next('record')).value.json.i, 1)
  alive.close()
  await alive.closed
})
