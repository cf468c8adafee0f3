import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../../src/lib/sim/random.ts'
import { fixture } from './fixture.ts'
import { raw } from './raw.ts'

const seed = Number(process.env['SEED'] ?? 20260801)

const seeds = [
  '{"id":"a","amount":12.5,"tags":["x","y"],"n":null,"t":true}',
  '[{"id":"a"},{"id":"b","x":[1,2,3]},"text",12345678901234567890]',
  '{"records":[{"key":"a","value":{"n":1},"headers":{"h":"v"},"timestamp":"2020-01-01T00:00:00Z","partition":0}]}',
  '{"specversion":"1.0","id":"1","source":"/s","type":"t","time":"2020-01-01T00:00:00Z","data":{"a":1}}',
  '[{"specversion":"1.0","id":"1","source":"/s","type":"t","data_base64":"AAEC"}]',
  '{"a":1}\n{"b":2}\n\n{"c":"\\u00e9"}\n',
]
const types = [
  'application/json',
  'application/vnd.millrace.records+json',
  'application/cloudevents+json',
  'application/cloudevents-batch+json',
  'application/x-ndjson',
  'text/plain',
  'application/json;charset=utf-16',
  '',
]
const pieces = [
  '{',
  '}',
  '[',
  ']',
  '"',
  ',',
  ':',
  '\\',
  '\\u',
  '\\ud800',
  'null',
  '1e999',
  '-',
  '0',
  '\0',
  '\n',
  '\r\n',
  '\ufeff',
  '__proto__',
  '{"base64":"',
  'é'.repeat(3),
  ' '.repeat(10),
]

function mutate(random: SeededRandom, text: string): Buffer {
  const below = (count: number): number => Math.floor(random.fraction() * count)
  let bytes = Buffer.from(text)
  for (let i = below(4) + 1; i > 0; i--) {
    const at = below(bytes.length + 1)
    switch (below(6)) {
      case 0:
        bytes = bytes.subarray(0, at)
        break
      case 1:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from(pieces[below(pieces.length)]!), bytes.subarray(at)])
        break
      case 2:
        if (at < bytes.length) bytes[at] = below(256)
        break
      case 3:
        bytes = Buffer.concat([bytes.subarray(0, at), bytes.subarray(Math.min(bytes.length, at + below(8)))])
        break
      case 4:
        bytes = Buffer.concat([bytes, bytes.subarray(at)])
        break
      case 5:
        bytes = Buffer.concat([bytes.subarray(0, at), Buffer.from('['.repeat(below(200))), bytes.subarray(at)])
    }
  }
  return bytes
}

test(`1,000 malformed bodies: each a clear answer, nothing broken (seed ${seed})`, async (t) => {
  const f = await fixture(t)
  const random = new SeededRandom(seed)
  await f.call('PUT', '/v1/topics/t', {
    json: { partitions: 2, keyField: 'id', schema: { type: 'object', required: ['id'] } },
  })
  await f.call('PUT', '/v1/topics/q', { json: { onInvalid: 'quarantine', schema: { type: 'object' } } })
  await f.call('PUT', '/v1/topics/p', { json: { partitions: 3 } })
  const before = process.memoryUsage().rss
  const statuses = new Map<number, number>()
  for (let i = 0; i < 1000; i++) {
    const body = mutate(random, seeds[Math.floor(random.fraction() * seeds.length)]!)
    const type = types[Math.floor(random.fraction() * types.length)]!
    const topic = ['t', 'q', 'p'][Math.floor(random.fraction() * 3)]!
    const headers: Record<string, string> = type === '' ? {} : { 'content-type': type }
    if (random.fraction() < 0.1) headers['idempotency-key'] = `k${Math.floor(random.fraction() * 20)}`
    const answer = await f.call('POST', `/v1/topics/${topic}/records`, { headers, body })
    statuses.set(answer.status, (statuses.get(answer.status) ?? 0) + 1)
    const what = `#${i} ${type}: ${body.toString('latin1').slice(0, 200)}: ${answer.text}`
    assert.ok([200, 207, 400, 413, 415, 422].includes(answer.status), what)
    assert.doesNotMatch(answer.text, /"internal"/, what)
    if (answer.headers.get('content-type') === 'application/problem+json') {
      assert.equal(answer.json.status, answer.status, what)
      assert.ok(answer.json.detail.length > 0 && answer.json.hint.length > 0, what)
    } else assert.ok(Array.isArray(answer.json.records), what)
  }
  assert.ok((statuses.get(400) ?? 0) > 100 && (statuses.get(200) ?? 0) > 50, JSON.stringify([...statuses]))
  assert.ok(process.memoryUsage().rss - before < 150 * 1024 * 1024)
  for (const topic of ['t', 'p', 'q', 'q.quarantine']) {
    const page = await f.call('GET', `/v1/topics/${topic}/records?limit=10000`)
    assert.equal(page.status, 200)
    assert.equal(page.json.atEnd, true)
  }
})

test(`1,000 mutated requests: an answer or a closed connection (seed ${seed})`, async (t) => {
  const f = await fixture(t)
  const random = new SeededRandom(seed + 1)
  await f.call('PUT', '/v1/topics/t')
  const requests = [
    'POST /v1/topics/t/records?key=a HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 7\r\nConnection: close\r\n\r\n{"a":1}',
    'POST /v1/topics/t/records HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\nContent-Type: application/x-ndjson\r\nConnection: close\r\n\r\n8\r\n{"a":1}\n\r\n0\r\n\r\n',
    'GET /v1/topics/t/records?from=earliest&limit=5&where=value%20contains%20x HTTP/1.1\r\nHost: localhost\r\nAccept: application/json;q=0.5, text/plain\r\nConnection: close\r\n\r\n',
    'PUT /v1/topics/u HTTP/1.1\r\nHost: localhost\r\nContent-Type: application/json\r\nContent-Length: 16\r\nConnection: close\r\n\r\n{"partitions":2}',
  ]
  for (let round = 0; round < 50; round++)
    await Promise.all(
      Array.from({ length: 20 }, async () => {
        const bytes = mutate(random, requests[Math.floor(random.fraction() * requests.length)]!)
        const answer = await raw(f.url, bytes, { endMs: 300, half: true })
        assert.match(answer, /^(HTTP\/1\.1 (?!500)\d{3} |$)/, `${bytes.toString('latin1')}\n→ ${answer}`)
      }),
    )
  assert.equal((await f.call('GET', '/health/live')).status, 200)
})
