/** Who asks for a new topic does not change one that is there. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { fixture } from './fixture.ts'

test('with If-None-Match: * a topic that is there is a conflict, and stays as it is', async (t) => {
  const { call } = await fixture(t)
  const headers = { 'if-none-match': '*' }
  const make = (json: object) => call('PUT', '/v1/topics/purchases', { json, headers })
  assert.equal((await make({ partitions: 2 })).status, 201)
  const again = await make({ partitions: 5, config: { 'retention.ms': 7 } })
  assert.equal(again.status, 409, again.text)
  assert.equal(again.json.code, 'log.topic-exists')
  const { json } = await call('GET', '/v1/topics/purchases')
  assert.deepEqual([json.partitions, json.retentionMs], [2, -1])
  const changed = await call('PUT', '/v1/topics/purchases', { json: { partitions: 5 } })
  assert.deepEqual([changed.status, changed.json.partitions], [200, 5])
})

test('of many that make a topic at once one does', async (t) => {
  const { call } = await fixture(t)
  const headers = { 'if-none-match': '*' }
  const asked = Array.from({ length: 8 }, (_, i) =>
    call('PUT', '/v1/topics/t', { json: { partitions: i + 1 }, headers }),
  )
  const answers = await Promise.all(asked)
  const statuses = answers.map(({ status }) => status).toSorted((a, b) => a - b)
  assert.deepEqual(statuses, [201, ...Array.from({ length: 7 }, () => 409)])
  const made = answers.findIndex(({ status }) => status === 201)
  assert.equal((await call('GET', '/v1/topics/t')).json.partitions, made + 1)
})

test('what a view or Millrace writes is refused with the reason and a way out, not as a bad name', async (t) => {
  const f = await fixture(t)
  for (const [method, path] of [
    ['DELETE', '/v1/topics/_millrace_catalog'],
    ['POST', '/v1/topics/_millrace_catalog/records'],
  ] as const) {
    const { status, json } = await f.call(method, path, { json: {} })
    assert.deepEqual([status, json.code], [409, 'log.topic-kept'])
    assert.equal(json.detail, 'topic _millrace_catalog cannot be changed from outside: Millrace keeps it for itself')
    assert.match(json.hint, /goes with the view/)
  }
  const named = await f.call('PUT', '/v1/topics/a%20b', { json: {} })
  assert.deepEqual([named.status, named.json.code], [400, 'log.invalid-topic'])
})
