import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CloudEvent, HTTP } from 'cloudevents'
import { type Fixture, type Json, fixture } from './fixture.ts'

const at = '/v1/topics/t/records'
const structured = { 'content-type': 'application/cloudevents+json; charset=utf-8' }
async function only(f: Fixture): Promise<{ record: Json; headers: Record<string, string> }> {
  const { records } = (await f.call('GET', at)).json
  const record = records.at(-1)
  return {
    record,
    headers: Object.fromEntries(
      record.headers.map((one: Json) => [one.name, one.value?.text ?? JSON.stringify(one.value?.json)]),
    ),
  }
}

/** The examples of the specification's JSON format and HTTP binding. */
const example = {
  specversion: '1.0',
  type: 'com.example.someevent',
  source: '/mycontext',
  subject: null,
  id: 'C234-1234-1234',
  time: '2018-04-05T17:31:00Z',
  comexampleextension1: 'value',
  comexampleothervalue: 5,
  datacontenttype: 'application/json',
  data: { appinfoA: 'abc', appinfoB: 123, appinfoC: true },
}

test('a structured event becomes headers and data as the Kafka binding has it', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  assert.equal((await f.call('POST', at, { headers: structured, body: JSON.stringify(example) })).status, 200)
  const { record, headers } = await only(f)
  assert.deepEqual(headers, {
    ce_specversion: '1.0',
    ce_type: 'com.example.someevent',
    ce_source: '/mycontext',
    ce_id: 'C234-1234-1234',
    ce_time: '2018-04-05T17:31:00Z',
    ce_comexampleextension1: 'value',
    ce_comexampleothervalue: '5',
    'content-type': 'application/json',
  })
  assert.deepEqual(record.value.json, example.data)
})

test('data is kept as its type says: XML in a string, bytes in base64, JSON digit by digit', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const event = (data: string): string => `{"specversion":"1.0","id":"1","source":"s","type":"t",${data}}`
  const send = async (data: string): Promise<Json> => {
    const answer = await f.call('POST', `${at}`, { headers: structured, body: event(data) })
    assert.equal(answer.status, 200, answer.text)
    return (await only(f)).record.value
  }
  assert.deepEqual(await send('"datacontenttype":"text/xml","data":"<much wow=\\"xml\\"/>"'), {
    text: '<much wow="xml"/>',
  })
  assert.deepEqual(await send('"datacontenttype":"application/octet-stream","data_base64":"/w=="'), { base64: '/w==' })
  assert.deepEqual(await send('"datacontenttype":"application/vnd.x+json","data":"text"'), { json: 'text' })
  assert.deepEqual(await send('"subject":"no data"'), { text: '' })
  await send('"data":{"n":12345678901234567890}')
  assert.ok((await f.call('GET', at)).text.includes('12345678901234567890'))
})

test('a binary event has its attributes in headers, percent-encoded, and its data in the body', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: { partitions: 2 } })
  const headers = {
    'ce-specversion': '1.0',
    'ce-id': '1',
    'ce-source': '/s',
    'ce-type': 'x',
    'ce-subject': 'Euro%20%E2%82%AC%20%F0%9F%98%80 100%',
    'ce-partitionkey': 'p1',
    'content-type': 'application/json',
    'millrace-header-own': '1',
  }
  assert.equal((await f.call('POST', at, { headers, body: '{"a": 1}' })).status, 200)
  const { record, headers: got } = await only(f)
  assert.equal(got['ce_subject'], 'Euro € 😀 100%')
  assert.equal(got['content-type'], 'application/json')
  assert.equal(got['own'], '1')
  assert.equal(record.key.text, 'p1')
  assert.deepEqual(record.value.json, { a: 1 })
})

test('a batch is all or nothing', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const headers = { 'content-type': 'application/cloudevents-batch+json' }
  const event = { specversion: '1.0', id: '1', source: 's', type: 't' }
  assert.equal(
    (await f.call('POST', at, { headers, body: JSON.stringify([event, { ...event, id: '2' }]) })).json.records.length,
    2,
  )
  const fieldOf = async (body: Json): Promise<string> =>
    (await f.call('POST', at, { headers, body: JSON.stringify(body) })).json.field
  assert.equal(await fieldOf([event, { ...event, id: '' }]), '[1].id')
  assert.equal(await fieldOf([event, event, 7]), '[2]')
  assert.equal(await fieldOf(event), 'the batch')
  assert.equal((await f.call('POST', at, { headers, body: '[]' })).status, 200)
  assert.equal((await f.call('GET', at)).json.records.length, 2)
})

test('what the official SDK sends is taken in all modes', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const event = new CloudEvent({ type: 'a.b', source: 'urn:x', subject: 'ü', data: { n: 1 }, ext1: 'x' })
  for (const message of [HTTP.binary(event), HTTP.structured(event)]) {
    const answer = await f.call('POST', at, {
      headers: message.headers as Record<string, string>,
      body: String(message.body),
    })
    assert.equal(answer.status, 200, answer.text)
    const { record, headers } = await only(f)
    assert.equal(headers['ce_id'], event.id)
    assert.equal(headers['ce_subject'], 'ü')
    assert.equal(headers['ce_ext1'], 'x')
    assert.deepEqual(record.value.json, { n: 1 })
  }
})

test('what is no CloudEvent is refused with the attribute that is wrong', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const good = { specversion: '1.0', id: '1', source: 's', type: 't' }
  const cases: [Json, string][] = [
    [{ id: '1' }, 'specversion'],
    [{ ...good, specversion: '0.3' }, 'specversion'],
    [{ ...good, id: undefined }, 'id'],
    [{ ...good, id: '' }, 'id'],
    [{ ...good, id: null }, 'id'],
    [{ ...good, source: '' }, 'source'],
    [{ ...good, source: 'a b' }, 'source'],
    [{ ...good, type: { a: 1 } }, 'type'],
    [{ ...good, time: 'yesterday' }, 'time'],
    [{ ...good, time: '2020-13-01T00:00:00Z' }, 'time'],
    [{ ...good, subject: '' }, 'subject'],
    [{ ...good, dataschema: 'relative' }, 'dataschema'],
    [{ ...good, datacontenttype: 'nonsense' }, 'datacontenttype'],
    [{ ...good, Upper: 'x' }, 'Upper'],
    [{ ...good, 'with-dash': 'x' }, 'with-dash'],
    [{ ...good, number: 1.5 }, 'number'],
    [{ ...good, text: 'a\u0000b' }, 'text'],
    [{ ...good, data: 1, data_base64: 'AA==' }, 'data'],
    [{ ...good, data_base64: '*' }, 'data_base64'],
    [[good], 'the event'],
    [7, 'the event'],
  ]
  for (const [event, field] of cases) {
    const answer = await f.call('POST', at, { headers: structured, body: JSON.stringify(event) })
    assert.equal(answer.status, 400, JSON.stringify(event))
    assert.equal(answer.json.code, 'http.invalid-event', answer.text)
    assert.equal(answer.json.field, field, JSON.stringify(event))
  }
  const binary = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': 's', 'ce-type': 't' }
  for (const [headers, field] of [
    [{ ...binary, 'ce-time': 'x' }, 'time'],
    [{ ...binary, 'ce-datacontenttype': 'text/plain' }, 'datacontenttype'],
    [{ 'ce-specversion': '1.0' }, 'id'],
    [{ ...binary, 'ce-subject': '%ff' }, 'ce-subject'],
  ] as const) {
    const answer = await f.call('POST', at, { headers, body: '' })
    assert.equal(answer.json.field, field, answer.text)
  }
  assert.equal(
    (await f.call('POST', at, { headers: { 'content-type': 'application/cloudevents+avro' }, body: 'x' })).status,
    415,
  )
  assert.equal((await f.call('GET', at)).json.records.length, 0)
})
