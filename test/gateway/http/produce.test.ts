import assert from 'node:assert/strict'
import { gzipSync } from 'node:zlib'
import { test } from 'node:test'
import { keyPartition } from '../../../src/lib/murmur2.ts'
import { type Fixture, type Json, fixture } from './fixture.ts'

const purchase = { type: 'object', required: ['id', 'amount'], properties: { amount: { type: 'number' } } }
async function records(f: Fixture, topic: string): Promise<Json[]> {
  return (await f.call('GET', `/v1/topics/${topic}/records?limit=10000`)).json.records
}
const values = (list: Json[]): Json[] =>
  list.map((one) => one.value?.json ?? one.value?.text ?? one.value?.base64 ?? null)

test('a JSON object is one record, byte for byte', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const body = '{ "n" : 12345678901234567890, "x":1.10 , "s":"\\u00e9" }'
  const answer = await f.call('POST', '/v1/topics/t/records', {
    headers: { 'content-type': 'application/json' },
    body: `\n${body}  `,
  })
  assert.equal(answer.status, 200, answer.text)
  assert.equal(answer.json.records.length, 1)
  assert.equal(answer.json.records[0].partition, 0)
  assert.equal(answer.json.records[0].offset, 0)
  assert.match(answer.json.records[0].timestamp, /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/)
  const page = await f.call('GET', '/v1/topics/t/records?bytes=true')
  assert.equal(Buffer.from(page.json.records[0].value.base64, 'base64').toString(), body)
  const shown = await f.call('GET', '/v1/topics/t/records')
  assert.ok(shown.text.includes('12345678901234567890'))
})

test('an array is several records, all or nothing, spread by key over partitions', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', {
    json: { partitions: 4, keyField: 'id', schema: purchase, onInvalid: 'reject' },
  })
  const json = Array.from({ length: 50 }, (_, i) => ({ id: `c${i}`, amount: i }))
  const answer = await f.call('POST', '/v1/topics/t/records', { json })
  assert.equal(answer.status, 200, answer.text)
  const found = new Map<string, Json>((await records(f, 't')).map((one) => [`${one.partition}:${one.offset}`, one]))
  assert.equal(found.size, 50)
  answer.json.records.forEach((place: Json, i: number) => {
    const record = found.get(`${place.partition}:${place.offset}`)
    assert.deepEqual(record.value.json, json[i])
    assert.equal(record.key.text, `c${i}`)
    assert.equal(place.partition, keyPartition(Buffer.from(`c${i}`), 4))
  })
  const bad = await f.call('POST', '/v1/topics/t/records', { json: [json[0], { id: 'x' }, json[1]] })
  assert.equal(bad.status, 422)
  assert.equal(bad.json.code, 'schema.invalid')
  assert.equal(bad.json.field, '[1].amount')
  assert.equal((await records(f, 't')).length, 50)
  assert.deepEqual((await f.call('POST', '/v1/topics/t/records', { json: [] })).json, { records: [] })
})

test('one bad event names its field', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: { schema: purchase } })
  const answer = await f.call('POST', '/v1/topics/t/records', { json: { id: 1, amount: 'much' } })
  assert.equal(answer.status, 422)
  assert.equal(answer.headers.get('content-type'), 'application/problem+json')
  assert.equal(answer.json.field, 'amount')
  assert.equal(answer.json.status, 422)
  assert.ok(answer.json.hint.length > 0)
  assert.equal((await f.call('GET', answer.json.docs)).status, 200)
})

test('records+json gives each record its key, headers, time and partition', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: { partitions: 3 } })
  const body = `{"records":[
    {"key":"a","value":{"n":9007199254740993},"headers":{"x":"1","y":{"base64":"/w=="},"z":null},"timestamp":"2020-01-02T03:04:05.678Z","partition":2},
    {"key":12345678901234567890,"value":{"base64":"AAEC"},"headers":[{"name":"h","value":"1"},{"name":"h","value":"2"}],"timestamp":1000},
    {"key":{"base64":"/w=="},"value":null},
    {"value":"text"}]}`
  const headers = { 'content-type': 'application/vnd.millrace.records+json' }
  const answer = await f.call('POST', '/v1/topics/t/records', { headers, body })
  assert.equal(answer.status, 200, answer.text)
  const found = new Map((await records(f, 't')).map((one) => [`${one.partition}:${one.offset}`, one]))
  const [a, b, c, d] = answer.json.records.map((one: Json) => found.get(`${one.partition}:${one.offset}`))
  assert.equal(a.partition, 2)
  assert.equal(a.timestamp, '2020-01-02T03:04:05.678Z')
  assert.deepEqual(a.headers, [
    { name: 'x', value: { text: '1' } },
    { name: 'y', value: { base64: '/w==' } },
    { name: 'z', value: null },
  ])
  assert.equal(b.key.text, '12345678901234567890')
  assert.equal(b.timestamp, '1970-01-01T00:00:01.000Z')
  assert.deepEqual(
    b.headers.map((one: Json) => one.value.text),
    ['1', '2'],
  )
  assert.equal(c.key.base64, '/w==')
  assert.equal(c.value, null)
  assert.equal(d.value.json, 'text')
  for (const [wrong, field] of [
    ['{"records":[{"valeu":1}]}', 'records[0].valeu'],
    ['{"records":{}}', 'records'],
    ['{"record":[]}', 'record'],
    ['[]', undefined],
    ['{"records":[1]}', 'records[0]'],
    ['{"records":[{"timestamp":"soon"}]}', 'records[0].timestamp'],
    ['{"records":[{"partition":-1}]}', 'records[0].partition'],
    ['{"records":[{"value":{"base64":"*"}}]}', 'records[0].value'],
    ['{"records":[{"headers":7}]}', 'records[0].headers'],
  ] as const) {
    const refused = await f.call('POST', '/v1/topics/t/records', { headers, body: wrong })
    assert.equal(refused.status, 400, wrong)
    assert.equal(refused.json.field, field, wrong)
  }
  const missing = await f.call('POST', '/v1/topics/t/records', {
    headers,
    body: '{"records":[{"value":1,"partition":3}]}',
  })
  assert.equal(missing.json.code, 'log.unknown-partition')
})

test('key, time, partition and headers come from query and headers', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: { partitions: 3 } })
  const at = '/v1/topics/t/records'
  await f.call('POST', `${at}?key=a%20b&timestamp=2020-01-01`, {
    json: 1,
    headers: { 'Millrace-Header-Trace': 'x y', traceparent: `00-${'a'.repeat(32)}-${'b'.repeat(16)}-01` },
  })
  await f.call('POST', `${at}?partition=1`, { json: 2, headers: { 'Millrace-Key': 'kä', 'Millrace-Timestamp': '5' } })
  const [first, second] = (await records(f, 't')).toSorted((x, y) => x.value.json - y.value.json)
  assert.equal(first.key.text, 'a b')
  assert.equal(first.timestamp, '2020-01-01T00:00:00.000Z')
  assert.equal(first.headers[0].name, 'trace')
  assert.equal(first.headers[0].value.text, 'x y')
  assert.equal(first.headers[1].name, 'traceparent')
  assert.equal(second.partition, 1)
  assert.equal(second.timestamp, '1970-01-01T00:00:00.005Z')
  for (const [query, name] of [
    ['?key=a&key=b', 'key'],
    ['?kye=a', 'kye'],
    ['?partition=x', 'partition'],
    ['?timestamp=2020-02-30', 'timestamp'],
    ['?acks=most', 'acks'],
  ] as const) {
    const answer = await f.call('POST', at + query, { json: 1 })
    assert.equal(answer.status, 400, query)
    assert.ok(answer.json.detail.startsWith(name), answer.json.detail)
  }
  const both = await f.call('POST', `${at}?key=a`, { json: 1, headers: { 'Millrace-Key': 'b' } })
  assert.equal(both.status, 400)
})

test('other bodies are raw bytes, gzip is unpacked', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const at = '/v1/topics/t/records'
  await f.call('POST', at, {
    body: new Uint8Array([0xff, 0, 1]),
    headers: { 'content-type': 'application/octet-stream' },
  })
  await f.call('POST', at, { body: 'plain' })
  const zipped = await f.call('POST', at, {
    body: gzipSync('{"z":1}'),
    headers: { 'content-type': 'application/json', 'content-encoding': 'gzip' },
  })
  assert.equal(zipped.status, 200, zipped.text)
  assert.deepEqual(values(await records(f, 't')), [Buffer.from([0xff, 0, 1]).toString('base64'), 'plain', { z: 1 }])
  const broken = await f.call('POST', at, { body: 'not gzip', headers: { 'content-encoding': 'gzip' } })
  assert.equal(broken.status, 400)
  const other = await f.call('POST', at, { body: 'x', headers: { 'content-encoding': 'br' } })
  assert.equal(other.status, 415)
})

test('NDJSON lines are answered one by one, a bad one in the middle stops nothing', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: { schema: purchase, keyField: 'id' } })
  const headers = { 'content-type': 'application/x-ndjson' }
  const body = '{"id":1,"amount":1}\n\r\n{"id":2}\r\n{oops\n{"id":3,"amount":3}'
  const answer = await f.call('POST', '/v1/topics/t/records', { headers, body })
  assert.equal(answer.status, 207, answer.text)
  assert.deepEqual(
    answer.json.records.map((one: Json) => one.fault?.code ?? one.offset),
    [0, 'schema.invalid', 'json.malformed', 1],
  )
  assert.equal(answer.json.records[1].fault.field, 'amount')
  const lines = await f.call('POST', '/v1/topics/t/records', {
    headers: { ...headers, accept: 'application/x-ndjson' },
    body,
  })
  assert.equal(lines.status, 207)
  assert.equal(lines.text.trim().split('\n').length, 4)
  const good = await f.call('POST', '/v1/topics/t/records', { headers, body: '{"id":4,"amount":1}\n' })
  assert.equal(good.status, 200)
  const allBad = await f.call('POST', '/v1/topics/t/records', { headers, body: 'x\ny\n' })
  assert.equal(allBad.status, 400)
  assert.equal(allBad.json.records.length, 2)
})

test('a long stream of lines is taken in order with its memory bounded', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const total = 30_000
  let sent = 0
  const body = new ReadableStream({
    pull(controller) {
      if (sent >= total) return controller.close()
      let text = ''
      for (let i = 0; i < 1000; i++) text += `{"n":${sent++},"pad":"${'x'.repeat(50)}"}\n`
      controller.enqueue(Buffer.from(text))
    },
  })
  const answer = await f.call('POST', '/v1/topics/t/records', {
    headers: { 'content-type': 'application/x-ndjson' },
    body,
  })
  assert.equal(answer.status, 207, 'longer than what is held back for an exact status')
  const placed = answer.json.records
  assert.equal(placed.length, total)
  assert.deepEqual(
    placed.map((one: Json) => one.offset),
    Array.from({ length: total }, (_, i) => i),
  )
  const read = await f.call('GET', '/v1/topics/t/records', { headers: { accept: 'application/x-ndjson' } })
  const lines = read.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line).value.json.n)
  assert.deepEqual(
    lines,
    Array.from({ length: total }, (_, i) => i),
  )
})

test('a line that is too long is answered, and the stream goes on', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const headers = { 'content-type': 'application/x-ndjson' }
  const body = `1\n"${'x'.repeat(1_100_000)}"\n2\n`
  const answer = await f.call('POST', '/v1/topics/t/records', { headers, body })
  assert.deepEqual(
    answer.json.records.map((one: Json) => one.fault?.code ?? 'stored'),
    ['stored', 'wire.too-large', 'stored'],
  )
})

test('onInvalid decides: refused, kept byte for byte in the quarantine, or let in', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', {
    json: { partitions: 2, schema: purchase, keyField: 'id', onInvalid: 'quarantine' },
  })
  const at = '/v1/topics/t/records'
  const kept = await f.call('POST', at, {
    headers: { 'content-type': 'application/json', 'Millrace-Header-h': '1' },
    body: '{"id":"k" , "amount":"x"}',
  })
  assert.equal(kept.status, 207, kept.text)
  assert.equal(kept.json.records[0].fault.field, 'amount')
  const mixed = await f.call('POST', at, { json: [{ id: 'a', amount: 1 }, { id: 'b' }] })
  assert.equal(mixed.status, 207)
  assert.equal(mixed.json.records[0].offset, 0)
  assert.equal(mixed.json.records[1].fault.code, 'schema.invalid')
  const unreadable = await f.call('POST', at, { headers: { 'content-type': 'application/json' }, body: '{nope' })
  assert.equal(unreadable.status, 207)
  const mismatch = await f.call('POST', `${at}?key=z`, { json: { id: 'c', amount: 1 } })
  assert.equal(mismatch.json.records[0].fault.code, 'schema.key-mismatch')
  assert.deepEqual(values(await records(f, 't')), [{ id: 'a', amount: 1 }])
  const bad = await f.call('GET', '/v1/topics/t.quarantine/records?bytes=true')
  const first = bad.json.records.find((one: Json) => one.headers[0].name === 'h')
  assert.equal(Buffer.from(first.value.base64, 'base64').toString(), '{"id":"k" , "amount":"x"}')
  assert.equal(Buffer.from(first.key.base64, 'base64').toString(), 'k')
  const named = new Map(
    first.headers.map((one: Json) => [one.name, Buffer.from(one.value.base64, 'base64').toString()]),
  )
  assert.deepEqual([...named.keys()], ['h', 'mr-reason', 'mr-error', 'mr-origin'])
  assert.equal(named.get('mr-reason'), 'schema.invalid')
  assert.match(String(named.get('mr-error')), /amount must be number/)
  assert.equal(bad.json.records.length, 4)
  assert.equal((await f.call('GET', '/v1/overview')).json.quarantined, 5, 'four records and the marker of a tick')
  await f.call('PATCH', '/v1/topics/t', { json: { onInvalid: 'null' } })
  assert.equal((await f.call('POST', at, { json: { id: 'n' } })).status, 200)
  await f.call('PATCH', '/v1/topics/t', { json: { onInvalid: 'reject' } })
  assert.equal((await f.call('POST', at, { json: { id: 'n' } })).status, 422)
})

test('a key given for a keyed topic must be that of the payload', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: { keyField: 'id' } })
  assert.equal((await f.call('POST', '/v1/topics/t/records?key=1', { json: { id: 1 } })).status, 200)
  const answer = await f.call('POST', '/v1/topics/t/records?key=2', { json: { id: 1 } })
  assert.equal(answer.status, 422)
  assert.equal(answer.json.code, 'schema.key-mismatch')
  assert.equal(answer.json.field, 'id')
})

test('without a key field, the key columns of the stream over the topic give the key', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const key = async (json: unknown, query = ''): Promise<Json> => {
    const answer = await f.call('POST', `/v1/topics/t/records${query}`, { json })
    const { offset } = answer.json.records[0]
    return (await f.call('GET', `/v1/topics/t/records?from=${offset}&limit=1`)).json.records[0].key
  }
  f.engine.keys = { t: ['a'] }
  assert.deepEqual(await key({ a: 'x', b: 1 }), { text: 'x' })
  assert.deepEqual(await key({ a: 1 }, '?key=other'), { text: 'other' })
  assert.equal(await key({ b: 1 }), null)
  assert.equal(await key('text'), null)
  f.engine.keys = { t: ['a', 'b'] }
  assert.deepEqual(await key({ b: 1.5, a: 'x' }), { json: ['x', 1.5] })
  assert.deepEqual(await key({ a: 'x' }), { json: ['x', null] })
})

test('more than a batch holds goes by a tick, a record beyond the limit is refused', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const json = Array.from({ length: 5 }, (_, i) => ({ i, pad: 'x'.repeat(400_000) }))
  const answer = await f.call('POST', '/v1/topics/t/records', { json })
  assert.equal(answer.status, 200, answer.text)
  const found = await f.call('GET', '/v1/topics/t/records')
  assert.deepEqual(
    found.json.records.map((one: Json) => one.value.json.i),
    [0, 1, 2, 3, 4],
  )
  assert.deepEqual(
    found.json.records.map((one: Json) => one.offset),
    answer.json.records.map((one: Json) => one.offset),
  )
  const big = await f.call('POST', '/v1/topics/t/records', { json: [1, 'x'.repeat(1_100_000)] })
  assert.equal(big.status, 413)
  assert.equal(big.json.code, 'log.batch-too-large')
  const huge = await f.call('POST', '/v1/topics/t/records', { json: 'x'.repeat(17_000_000) })
  assert.equal(huge.status, 413)
  assert.equal((await f.call('GET', '/v1/topics/t')).json.records, 6, 'five records and the marker that commits them')
})

test('many small requests at once are stored once each, each with its own offset', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: { partitions: 2 } })
  const answers = await Promise.all(
    Array.from({ length: 200 }, (_, i) =>
      f.call('POST', `/v1/topics/t/records?acks=${i % 3 === 0 ? 'leader' : 'all'}`, { json: i }),
    ),
  )
  // Nothing is shown before it is durable, whatever was asked: what these two wait for, everything before them has too.
  for (const partition of [0, 1]) await f.call('POST', `/v1/topics/t/records?partition=${partition}`, { json: -1 })
  const places = answers.map(({ json }) => `${json.records[0].partition}:${json.records[0].offset}`)
  const found = new Map((await records(f, 't')).map((one) => [`${one.partition}:${one.offset}`, one.value.json]))
  places.forEach((place, i) => assert.equal(found.get(place), i))
})

test('a topic that is not there is 404, one that a view writes is not written to', async (t) => {
  const f = await fixture(t)
  assert.equal((await f.call('POST', '/v1/topics/none/records', { json: 1 })).status, 404)
  await f.call('PUT', '/v1/topics/v')
  f.engine.relations = [
    {
      name: 'v',
      kind: 'view',
      columns: [],
      key: null,
      topic: 'v',
      sql: '',
      status: 'running',
      error: null,
      watermark: null,
      stats: { rowsIn: 0, rowsOut: 0, late: 0, invalid: 0, stateBytes: 0 },
    },
  ]
  assert.equal((await f.call('POST', '/v1/topics/v/records', { json: 1 })).json.code, 'log.topic-kept')
})
test('what is too much for one request is not worth waiting for', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: {} })
  const headers = Object.fromEntries(Array.from({ length: 1_001 }, (_, i) => [`h${i}`, 'v']))
  for (const [type, json] of [
    ['application/json', Array(100_001).fill(1)],
    ['application/vnd.millrace.records+json', { records: Array(100_001).fill({ value: 1 }) }],
    ['application/vnd.millrace.records+json', { records: [{ value: 1, headers }] }],
  ] as const) {
    const answer = await f.call('POST', '/v1/topics/t/records', {
      body: JSON.stringify(json),
      headers: { 'content-type': type },
    })
    assert.equal(answer.status, 413)
    assert.equal(answer.json.code, 'http.over-limit')
    assert.equal(answer.headers.get('retry-after'), null)
  }
})

test('a header that the topic gives a meaning is checked, for each request by itself', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: { config: { 'record.ttl.enable': 'true' } } })
  const send = (n: number, ttl: string) =>
    f.call('POST', '/v1/topics/t/records', { json: { n }, headers: { 'Millrace-Header-mr-ttl': ttl } })
  const answers = await Promise.all([send(1, '1h'), send(2, 'soon'), send(3, '1h'), send(4, '0')])
  assert.deepEqual(
    answers.map(({ status }) => status),
    [200, 400, 200, 200],
  )
  assert.match(answers[1]!.text, /mr-ttl/)
  const shown = values(await records(f, 't')).map(({ n }) => n)
  assert.deepEqual(shown.toSorted(), [1, 3], 'what was over when it came is shown to nobody')
})
