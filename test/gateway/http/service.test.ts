import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Ajv2020 } from 'ajv/dist/2020.js'
import ajvFormats from 'ajv-formats'
import { Fault } from '../../../src/lib/fault.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { Diagnosis, RelationInfo } from '../../../src/query/engine.ts'
import type { MqttSession, MqttSessions } from '../../../src/telemetry/mqtt-sessions.ts'
import { Outside, outsideKind } from '../../connect/fixture.ts'
import { type Fixture, type Json, fixture, rowsOf } from './fixture.ts'
import { openEvents } from './sse.ts'

const view: RelationInfo = {
  name: 'revenue',
  kind: 'view',
  columns: [{ name: 'item', type: { kind: 'text' }, nullable: false }],
  key: ['item'],
  topic: 'revenue',
  sql: 'SELECT 1',
  status: 'running',
  error: null,
  watermark: '2026-01-01T00:00:00.000Z',
  stats: { rowsIn: 5, rowsOut: 3, late: 2, invalid: 1, stateBytes: 10 },
}
const rule = {
  name: 'low',
  sql: 'CREATE ALERT',
  destinations: ['log'],
  fired: 2,
  suppressed: 1,
  deliveryFailures: 0,
  status: 'running' as const,
}
const fired = {
  id: 'a1',
  alert: 'low',
  key: 'x',
  row: { item: 'x' },
  message: 'low: x',
  firedAt: '2026-01-01T00:00:00.000Z',
  origin: ['t:0:1..2'],
  deliveries: [{ destination: 'log', status: 'delivered' as const, attempts: 1, error: null }],
}
const session: MqttSession = {
  client: 'till-7',
  user: 'ANONYMOUS',
  version: '3.1.1',
  connectedAt: null,
  leftAt: '2026-01-01T00:00:00.000Z',
  expirySeconds: null,
  expiresAt: null,
  subscriptions: 1,
  waiting: 3,
  moreWaiting: false,
  inFlight: 0,
  will: { topic: 'gone', qos: 1, retain: false, delaySeconds: 5, dueAt: '2026-01-01T00:00:05.000Z' },
}
const cause: Diagnosis = {
  code: 'away-and-waiting',
  sure: 'likely',
  node: null,
  says: 'A session waits.',
  evidence: ['till-7'],
  remedy: 'End it.',
}
async function busy(f: Fixture): Promise<void> {
  f.engine.relations = [view]
  f.engine.results = () => ({
    command: 'SELECT',
    columns: [
      { name: 'item', type: { kind: 'text' }, nullable: false },
      { name: 'n', type: { kind: 'bigint' }, nullable: false },
    ],
    rows: rowsOf([['x', 9007199254740993n]]),
  })
  f.engine.changes = [
    { op: '+', row: { item: 'x' }, at: '1' },
    { op: 'progress', at: '1', watermark: null },
  ]
  f.alerts.rules = [rule]
  f.alerts.log = [fired]
  await f.call('PUT', '/v1/topics/t', { json: { partitions: 2 } })
  await f.call('POST', '/v1/topics/t/records', { json: [{ a: 1 }, { a: 2 }] })
  await f.log.groups.reset('readers', [{ partition: { topic: 't', index: 0 }, offset: 0 as never }])
}

test('openapi.json is true: each operation answers in the form it says', async (t) => {
  const mqttSessions = (): MqttSessions => ({
    page: () => ({ sessions: [session], next: null }),
    find: () => ({ ...session, filters: [{ filter: '#', qos: 1 }] }),
    end: () => Promise.resolve(true),
  })
  const f = await fixture(t, {
    kinds: [outsideKind(new Outside())],
    http: { mqttSessions, doctors: () => new Map([['mqtt', () => [cause]]]) },
  })
  await busy(f)
  const api = (await f.call('GET', '/openapi.json')).json
  assert.equal(api.openapi, '3.1.0')
  const ajv = new Ajv2020({ strict: false, logger: false })
  ajvFormats.default(ajv)
  ajv.addSchema(api, 'api')
  const fits = (pointer: string, value: Json, what: string): void => {
    const validate = ajv.compile({ $ref: `api#${pointer}` })
    assert.ok(validate(value), `${what}: ${JSON.stringify(validate.errors)} in ${JSON.stringify(value).slice(0, 500)}`)
  }
  const escape = (text: string): string => encodeURIComponent(text.replaceAll('~', '~0').replaceAll('/', '~1'))
  const names: Readonly<Record<string, string>> = {
    topic: 't',
    view: 'revenue',
    group: 'readers',
    alert: 'low',
    code: 'log.closed',
    user: 'root',
    savepoint: 'before',
    key: 'AKTEST',
    connector: 'in',
    client: 'till-7',
    gateway: 'mqtt',
  }
  const bodies: Readonly<Record<string, Json>> = {
    produce: { a: 1 },
    runSql: { sql: 'SELECT 1' },
    putTopic: {},
    changeTopic: {},
    createSavepoint: { view: 'revenue' },
    createUser: { password: 'x', super: true },
    changeUser: { super: true },
    createConnector: { kind: 'outside', direction: 'source', settings: { into: 't' } },
    changeConnector: { paused: true },
    createAccessKey: { user: 'root', id: 'AKTEST' },
  }
  const seen: string[] = []
  const keys = ['createAccessKey', 'listAccessKeys', 'getAccessKey', 'deleteAccessKey']
  const users = ['listUsers', 'createUser', ...keys, 'getUser', 'changeUser', 'deleteUser']
  const connectors = [
    'createConnector',
    'listConnectors',
    'getConnector',
    'examineConnector',
    'changeConnector',
    'deleteConnector',
  ]
  const last = [...connectors, 'dropView', 'deleteGroup', 'dropAlert', 'deleteTopic', ...users]
  // Who asks matters from when there is a user.
  const authorization = `Basic ${Buffer.from('root:x').toString('base64')}`
  const operations = Object.entries<Json>(api.paths).flatMap(([path, methods]) =>
    Object.entries<Json>(methods).map(([method, operation]) => ({ path, method, operation })),
  )
  operations.sort((a, b) => last.indexOf(a.operation.operationId) - last.indexOf(b.operation.operationId))
  for (const { path, method, operation } of operations) {
    const url = path.replaceAll(/\{(\w+)\}/g, (_, name: string) => names[name]!)
    const body = bodies[operation.operationId]
    for (const type of Object.keys(operation.responses['200']?.content ?? { none: 0 })) {
      const what = `${method} ${url} as ${type}`
      seen.push(operation.operationId)
      if (type === 'text/event-stream') {
        // What is given as events by GET is given over a WebSocket; the tests of web-socket.test.ts open some.
        assert.equal(operation.responses['101'] !== undefined, method === 'get', what)
        if (operation.operationId === 'listFired' || operation.operationId === 'getOverview')
          await (await openEvents(f.url + url)).step()
        continue
      }
      const answer = await f.call(method.toUpperCase(), url, {
        headers: { accept: type === 'none' ? '*/*' : type, authorization },
        ...(body === undefined ? {} : { json: body }),
      })
      assert.ok(operation.responses[answer.status] !== undefined, `${what}: ${answer.status} ${answer.text}`)
      if (type === 'application/json')
        fits(`/paths/${escape(path)}/${method}/responses/200/content/application~1json/schema`, answer.json, what)
    }
    const fault = await f.call(method.toUpperCase(), `${url}?nonsense=1`, {
      headers: { authorization },
      ...(body === undefined ? {} : { json: body }),
    })
    fits('/components/schemas/Problem', fault.json, `${method} ${url} with nonsense`)
    assert.equal(fault.json.code, 'http.invalid-parameter')
  }
  assert.deepEqual(
    [...new Set(seen)].sort(),
    f.listener.gateway.routes.map((route) => route.id).sort(),
    'every route is in it',
  )
  assert.deepEqual(f.engine.dropped, ['view revenue', 'alert low'])
})

test('numbers of any size come whole out of SQL, as rows and as lines', async (t) => {
  const f = await fixture(t)
  await busy(f)
  const rows = await f.call('POST', '/v1/sql', { json: { sql: 'SELECT 1', params: [1, 'x'] } })
  assert.equal(
    rows.text,
    '{"command":"SELECT","columns":[{"name":"item","type":"text"},{"name":"n","type":"bigint"}],"rows":[["x",9007199254740993]]}',
  )
  const lines = await f.call('POST', '/v1/sql', {
    json: { sql: 'SELECT 1' },
    headers: { accept: 'application/x-ndjson' },
  })
  assert.deepEqual(lines.text.trim().split('\n')[1], '["x",9007199254740993]')
  assert.equal(
    (await f.call('POST', '/v1/sql', { body: 'SELECT 1', headers: { 'content-type': 'application/sql' } })).status,
    200,
  )
  for (const json of [{}, { sql: 1 }, { sql: 'x', parms: [] }, { sql: 'x', params: 1 }, [], 'x'])
    assert.equal((await f.call('POST', '/v1/sql', { json })).json.code, 'http.invalid-body', JSON.stringify(json))
  assert.equal((await f.call('POST', '/v1/sql', { json: { sql: 'x'.repeat(1_100_000) } })).status, 413)
})

test('a fault of SQL says where', async (t) => {
  const f = await fixture(t)
  await busy(f)
  const answer = await f.call('GET', '/v1/topics/t/records?where=nonsense')
  assert.equal(answer.status, 400)
  assert.deepEqual(answer.json.position, { line: 1, column: 3 })
  assert.equal(answer.json.hint, 'Write value contains.')
})

test('SUBSCRIBE, changes, alerts and the overview are live events', async (t) => {
  const f = await fixture(t)
  await busy(f)
  const subscribed = await openEvents(
    `${f.url}/v1/sql`,
    { 'content-type': 'application/json' },
    { method: 'POST', body: '{"sql":"SUBSCRIBE TO revenue"}' },
  )
  assert.deepEqual((await subscribed.next('columns')).data, [{ name: 'item', type: 'text' }])
  assert.deepEqual((await subscribed.next('change')).data, { op: '+', row: { item: 'x' }, at: '1' })
  await subscribed.next('end')
  const changes = await openEvents(`${f.url}/v1/views/revenue/changes`)
  assert.equal((await changes.next('change')).data.op, '+')
  const alerts = await openEvents(`${f.url}/v1/alerts/fired?alert=low`)
  assert.equal((await alerts.next('alert')).data.id, 'a1')
  const overview = await openEvents(`${f.url}/v1/overview`)
  assert.equal((await overview.next('overview')).data.views, 1)
  assert.equal((await overview.next('overview')).data.topics, 1)
  for (const one of [subscribed, changes, alerts, overview]) one.close()
})

test('groups show lag in records and in seconds by record time', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const headers = { 'content-type': 'application/vnd.millrace.records+json' }
  const records = [0, 1, 2, 3].map((i) => ({ value: i, timestamp: 1_000_000 + i * 10_000 }))
  await f.call('POST', '/v1/topics/t/records', { headers, body: JSON.stringify({ records }) })
  await f.log.groups.reset('g', [{ partition: { topic: 't', index: 0 }, offset: 1 as never }])
  const { json } = await f.call('GET', '/v1/groups/g')
  assert.equal(json.lag, 3)
  assert.equal(json.lagSeconds, 20)
  assert.deepEqual(json.positions, [{ topic: 't', partition: 0, offset: 1, end: 4, lag: 3, lagSeconds: 20 }])
  assert.equal((await f.call('GET', '/v1/groups')).json.length, 1)
  assert.equal((await f.call('GET', '/v1/groups/none')).status, 404)
  const { text } = await f.call('GET', '/metrics')
  assert.match(text, /millrace_consumer_group_lag_records\{group="g",topic="t"\} 3/)
  assert.match(text, /millrace_consumer_group_lag_seconds\{group="g",topic="t"\} 20/)
  assert.equal((await f.call('DELETE', '/v1/groups/g')).status, 204)
})

test('metrics follow what happens', async (t) => {
  const f = await fixture(t)
  await busy(f)
  await f.call('GET', '/v1/none')
  const { text, headers } = await f.call('GET', '/metrics')
  assert.match(headers.get('content-type')!, /^text\/plain/)
  for (const line of [
    /^millrace_topic_records_in_total\{topic="t"\} [2-4]$/m,
    /^millrace_topic_bytes_in_total\{topic="t"\} \d+$/m,
    /^millrace_http_requests_total\{route="\/v1\/topics\/\{topic\}\/records",method="POST",status="200"\} 1$/m,
    /^millrace_http_requests_total\{route="\(files\)",method="GET",status="404"\} 1$/m,
    /^millrace_http_request_duration_seconds_bucket\{le="\+Inf",route="\/v1\/topics\/\{topic\}"\} 1$/m,
    /^millrace_view_late_rows_total\{view="revenue"\} 2$/m,
    /^millrace_view_watermark_lag_seconds\{view="revenue"\} \d/m,
    /^millrace_alerts_fired_total\{alert="low"\} 2$/m,
    /^process_resident_memory_bytes \d+$/m,
    /^millrace_build_info\{version="0.0.0-test"\} 1$/m,
  ])
    assert.match(text, line)
  const again = (await f.call('GET', '/metrics')).text
  assert.match(
    again,
    /^millrace_view_late_rows_total\{view="revenue"\} 2$/m,
    'a total kept elsewhere is not added twice',
  )
})

test('ready says which part is not, and why', async (t) => {
  const f = await fixture(t)
  assert.equal((await f.call('GET', '/health/live')).status, 200)
  const ready = await f.call('GET', '/health/ready')
  assert.equal(ready.status, 200)
  assert.deepEqual(
    ready.json.parts.map((part: Json) => part.name),
    ['http', 'log', 'views'],
  )
  f.engine.relations = [{ ...view, status: 'restoring' }]
  const restoring = await f.call('GET', '/health/ready')
  assert.equal(restoring.status, 503)
  assert.equal(restoring.json.parts[2].reason, 'revenue is restoring its state')
  f.engine.relations = []
  f.telemetry.health.part('kafka', () => 'it does not listen')
  const answer = await f.call('GET', '/health/ready')
  assert.equal(answer.status, 503)
  assert.deepEqual(answer.json.parts[3], { name: 'kafka', ready: false, reason: 'it does not listen' })
})

test('a damaged log and a full disk are not ready', async (t) => {
  let free = Number.MAX_SAFE_INTEGER
  const world = { ...realWorld(), disk: memoryDisk({ free: () => free }) }
  const damaged = [new Fault('store.damaged', { file: 'x.log', position: 5, what: 'a wrong checksum' })]
  const local = { recovery: { damaged }, sizeBytes: () => 0, describeConfig: () => [] }
  const f = await fixture(t, { world, http: { local, dataPath: 'data' } })
  const broken = await f.call('GET', '/health/ready')
  assert.equal(broken.status, 503)
  assert.match(broken.json.parts[1].reason, /x\.log is damaged at byte 5/)
  damaged.pop()
  assert.equal((await f.call('GET', '/health/ready')).status, 200)
  free = 1_000
  assert.match((await f.call('GET', '/health/ready')).json.parts[3].reason, /1000 bytes are free/)
})

test("the console's files: types, caching, compression, its own pages, and nothing outside", async (t) => {
  const disk = memoryDisk()
  const write = (path: string, text: string): void => {
    const file = disk.open(path, 'write')
    file.write([Buffer.from(text)], 0)
    file.close()
  }
  disk.makeDirectory('/app/assets')
  write('/app/index.html', '<!doctype html><title>Millrace</title>')
  write('/app/assets/console-a1.js', 'x'.repeat(5_000))
  write('/secret', 'secret')
  write('/app/.hidden', 'secret')
  const f = await fixture(t, { http: { consoleDir: '/app', consoleDisk: disk } })
  const page = { headers: { accept: 'text/html,*/*' } }
  const index = await f.call('GET', '/')
  assert.equal(index.headers.get('content-type'), 'text/html; charset=utf-8')
  assert.match(index.headers.get('content-security-policy')!, /default-src 'none'.*frame-ancestors 'none'/)
  assert.equal(index.headers.get('x-content-type-options'), 'nosniff')
  assert.equal(index.headers.get('cache-control'), 'no-cache')
  const script = await f.call('GET', '/assets/console-a1.js')
  assert.equal(script.headers.get('content-type'), 'text/javascript; charset=utf-8')
  assert.match(script.headers.get('cache-control')!, /immutable/)
  assert.equal(script.headers.get('content-encoding'), 'gzip')
  assert.equal(script.text.length, 5_000)
  const unchanged = await f.call('GET', '/', { headers: { 'if-none-match': index.headers.get('etag')! } })
  assert.equal(unchanged.status, 304)
  assert.equal((await f.call('GET', '/topics/purchases.v1', page)).text, index.text)
  assert.equal((await f.call('GET', '/assets/none.js')).status, 404)
  assert.equal((await f.call('POST', '/')).status, 404)
  for (const path of [
    '/../secret',
    '/..%2fsecret',
    '/%2e%2e/secret',
    '/assets/../../secret',
    '/assets/..%5c..%5csecret',
    '//secret',
    '/.hidden',
    '/assets/%00',
    '/app/../secret',
  ]) {
    const answer = await f.call('GET', path, { headers: { accept: '*/*' } })
    assert.ok(answer.status >= 400, path)
    assert.doesNotMatch(answer.text, /secret$/, path)
  }
  write('/app/index.html', '<!doctype html><title>New</title>')
  assert.match((await f.call('GET', '/')).text, /New/)
})
