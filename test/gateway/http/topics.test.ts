import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixture } from './fixture.ts'

test('a topic is made, shown, changed and deleted', async (t) => {
  const { call } = await fixture(t)
  const made = await call('PUT', '/v1/topics/purchases', {
    json: { partitions: 3, keyField: 'id', schema: { type: 'object' } },
  })
  assert.equal(made.status, 201, made.text)
  assert.equal(made.headers.get('location'), '/v1/topics/purchases')
  assert.equal(made.json.partitions, 3)
  assert.equal(made.json.retentionMs, -1)
  assert.equal(made.json.hasSchema, true)
  assert.deepEqual(made.json.schema, { type: 'object' })
  assert.equal(made.json.onInvalid, null)
  assert.equal(made.json.partitionDetails.length, 3)
  const again = await call('PUT', '/v1/topics/purchases', { json: { partitions: 3, onInvalid: 'quarantine' } })
  assert.equal(again.status, 200)
  assert.equal(again.json.onInvalid, 'quarantine')
  assert.equal(again.json.keyField, 'id')
  const changed = await call('PATCH', '/v1/topics/purchases', {
    json: { config: { 'retention.ms': 1000, 'cleanup.policy': 'compact' }, schema: null },
  })
  assert.equal(changed.json.retentionMs, 1000)
  assert.equal(changed.json.cleanupPolicy, 'compact')
  assert.equal(changed.json.hasSchema, false)
  assert.deepEqual(
    (await call('GET', '/v1/topics')).json.map((one: { name: string }) => one.name),
    ['purchases'],
  )
  assert.ok((await call('GET', '/v1/topics?internal=true')).json.length > 1)
  assert.equal((await call('DELETE', '/v1/topics/purchases')).status, 204)
  const gone = await call('GET', '/v1/topics/purchases')
  assert.equal(gone.status, 404)
  assert.equal(gone.json.code, 'log.unknown-topic')
  assert.equal(gone.headers.get('content-type'), 'application/problem+json')
})

test('a change that cannot be names its field and changes nothing', async (t) => {
  const { call, contracts } = await fixture(t)
  for (const [json, code, field] of [
    [{ partitons: 3 }, 'http.invalid-body', 'partitons'],
    [{ partitions: 'x' }, 'http.invalid-body', 'partitions'],
    [{ partitions: 0 }, 'log.invalid-partitions', undefined],
    [{ config: { 'no.such.setting': 1 } }, 'log.invalid-config', undefined],
    [{ config: [] }, 'http.invalid-body', 'config'],
    [{ schema: { type: 'objct' } }, 'schema.invalid-schema', 'type'],
    [{ onInvalid: 'drop' }, 'http.invalid-body', 'onInvalid'],
    [{ keyField: 7 }, 'http.invalid-body', 'keyField'],
    [[], 'http.invalid-body', undefined],
  ] as const) {
    const answer = await call('PUT', '/v1/topics/t', { json })
    assert.equal(answer.json.code, code, answer.text)
    assert.equal(answer.json.field, field)
    assert.equal(answer.status, 400)
  }
  assert.equal((await call('PUT', '/v1/topics/t', { json: { partitions: 0, schema: { type: 'number' } } })).status, 400)
  assert.equal(contracts.get('t'), null)
  assert.equal((await call('GET', '/v1/topics/t')).status, 404)
  for (const name of ['a%20b', '..%2fx', '.', '_millrace_x', '__x', 'a'.repeat(300)])
    assert.equal((await call('PUT', `/v1/topics/${name}`)).status >= 400, true, name)
})

test('what Millrace keeps for itself is left alone', async (t) => {
  const { call } = await fixture(t)
  for (const [method, path] of [
    ['DELETE', '/v1/topics/_millrace_catalog'],
    ['PATCH', '/v1/topics/_millrace_catalog'],
    ['POST', '/v1/topics/_millrace_catalog/records'],
  ] as const) {
    const answer = await call(method, path, { json: {} })
    assert.equal(answer.status, 409, answer.text)
    assert.equal(answer.json.code, 'log.topic-kept')
  }
})

test('a topic that a stream is made of is not deleted under it', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const stats = { rowsIn: 0, rowsOut: 0, late: 0, invalid: 0, stateBytes: 0 }
  const stream = { name: 's', kind: 'stream', columns: [], key: null, topic: 't', sql: '', status: 'idle' } as const
  f.engine.relations = [{ ...stream, error: null, watermark: null, stats }]
  const refused = await f.call('DELETE', '/v1/topics/t')
  assert.equal(refused.status, 409)
  assert.match(refused.json.detail, /read by the stream s/)
  f.engine.relations = []
  assert.equal((await f.call('DELETE', '/v1/topics/t')).status, 204)
})
