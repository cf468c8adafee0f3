import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Outside, outsideKind } from '../../connect/fixture.ts'
import { fixture } from './fixture.ts'

const path = '/v1/connectors/in'
const given = { kind: 'outside', direction: 'source', settings: { into: 'events', password: 'hunter2' } }

test('a connector is made, shown without its secret, changed, paused, resumed and deleted', async (t) => {
  const outside = new Outside()
  const f = await fixture(t, { kinds: [outsideKind(outside)] })
  await f.call('PUT', '/v1/topics/events')
  outside.send('1', '2')
  const made = await f.call('PUT', path, { json: given })
  assert.equal(made.status, 201, made.text)
  assert.deepEqual(made.json.settings, { into: 'events', password: '…' })
  assert.deepEqual(
    [made.json.name, made.json.kind, made.json.direction, made.json.fault],
    ['in', 'outside', 'source', null],
  )
  for (let tries = 0; tries < 100 && (await f.call('GET', path)).json.records < 2; tries++)
    await new Promise((resolve) => setTimeout(resolve, 20))
  const shown = await f.call('GET', path)
  assert.deepEqual([shown.json.status, shown.json.records, shown.json.lag], ['running', 2, 0])
  const all = await f.call('GET', '/v1/connectors')
  assert.deepEqual(
    all.json.map(({ name }: { name: string }) => name),
    ['in'],
  )
  const metrics = (await f.call('GET', '/metrics')).text
  const place = 'connector="in",direction="source",kind="outside"'
  for (const line of [
    `millrace_connector_records_total{${place}} 2`,
    `millrace_connector_refused_total{${place}} 0`,
    `millrace_connector_lag_records{${place}} 0`,
    `millrace_connector_state{${place},state="running"} 1`,
    `millrace_connector_state{${place},state="paused"} 0`,
  ])
    assert.ok(metrics.includes(`${line}\n`), line)
  const paused = await f.call('PATCH', path, { json: { paused: true } })
  const causes = await f.call('GET', `${path}/doctor`)
  assert.deepEqual(
    causes.json.map(({ code }: { code: string }) => code),
    ['paused'],
  )
  assert.match((await f.call('GET', '/metrics')).text, /connector_state\{[^}]*state="paused"\} 1\n/)
  assert.deepEqual([paused.status, paused.json.status], [200, 'paused'])
  const changed = await f.call('PATCH', path, { json: { settings: { password: null, size: 5 }, paused: false } })
  assert.deepEqual([changed.json.status, changed.json.settings], ['running', { into: 'events', size: '5' }])
  for (const answer of [made, shown, all, paused, changed]) assert.ok(!answer.text.includes('hunter2'))
  assert.equal((await f.call('DELETE', path)).status, 204)
  assert.equal((await f.call('GET', path)).status, 404)
  assert.equal((await f.call('GET', `${path}/doctor`)).status, 404)
  await f.call('GET', '/metrics')
  await f.call('PUT', path, { json: given })
  for (let tries = 0; tries < 100 && (await f.call('GET', path)).json.records < 2; tries++)
    await new Promise((resolve) => setTimeout(resolve, 20))
  // Made anew it counts from zero, and the series goes on.
  assert.ok((await f.call('GET', '/metrics')).text.includes(`millrace_connector_records_total{${place}} 4\n`))
})

test('what cannot be a connector is refused with a fault that names it', async (t) => {
  const f = await fixture(t, { kinds: [outsideKind(new Outside())] })
  const refused = async (method: string, at: string, json: unknown, status: number, code: string, detail: RegExp) => {
    const answer = await f.call(method, at, { json })
    assert.deepEqual([answer.status, answer.json.code], [status, code], answer.text)
    assert.match(answer.json.detail, detail)
  }
  await refused('PUT', path, [], 400, 'http.invalid-body', /not an object/)
  await refused('PUT', path, { ...given, kind: undefined }, 400, 'http.invalid-body', /missing/)
  await refused('PUT', path, { ...given, kind: 'oracle' }, 400, 'connect.unknown-kind', /oracle/)
  await refused('PUT', path, { ...given, direction: 'both' }, 400, 'http.invalid-body', /neither source nor sink/)
  await refused('PUT', path, { ...given, color: 1 }, 400, 'http.invalid-body', /color/)
  await refused('PUT', path, { ...given, settings: { into: {} } }, 400, 'http.invalid-body', /not a text/)
  await refused('PUT', path, { ...given, settings: {} }, 400, 'connect.invalid-setting', /into/)
  await refused('PUT', '/v1/connectors/_own', given, 400, 'connect.invalid-setting', /_own/)
  await refused('PATCH', path, { paused: true }, 404, 'connect.unknown-connector', /in/)
  await refused('DELETE', path, undefined, 404, 'connect.unknown-connector', /in/)
  assert.equal((await f.call('PUT', path, { json: given })).status, 201)
  await refused('PUT', path, given, 409, 'connect.exists', /in/)
  await refused('PATCH', path, { paused: 1 }, 400, 'http.invalid-body', /true nor false/)
  const many = Object.fromEntries(Array.from({ length: 101 }, (_, i) => [`s${i}`, '1']))
  await refused('PATCH', path, { settings: many }, 400, 'http.invalid-body', /more than 100/)
})
