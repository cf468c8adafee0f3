/** A contract holds on every way in: HTTP in each form, SQL, and Kafka with each compression. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { ProduceAcks, Producer, stringSerializers } from '@platformatic/kafka'
import { silent } from '../../src/lib/logger.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { resolveConfig } from '../../src/node/config.ts'
import { startMillrace } from '../../src/node/millrace.ts'

const compressions = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const
const schema = { type: 'object', required: ['id'], properties: { id: { type: 'integer' }, note: { type: 'string' } } }
const good = '{"id":1}'
// What is kept is kept byte for byte: this is not how anything here would write it.
const bad = '{ "id" : "x",\t"note":"\\u00fc" }'

type Json = ReturnType<typeof JSON.parse>
interface Running {
  readonly url: string
  readonly kafka: string
  call(method: string, path: string, body?: string, headers?: Record<string, string>): Promise<[number, Json]>
  /** The values of a topic as they were sent. */
  values(topic: string): Promise<string[]>
}
async function start(t: TestContext, flags: Parameters<typeof resolveConfig>[0] = {}): Promise<Running> {
  const listen = ['http=127.0.0.1:0', 'kafka=127.0.0.1:0']
  const { config } = resolveConfig({ data: ':memory:', listen, ...flags }, {}, {})
  const running = await startMillrace({ config, world: realWorld(), logger: silent })
  t.after(() => running.close())
  const { http, kafka } = running.listening()
  const url = `http://${http}`
  const call: Running['call'] = async (method, path, body, headers = {}) => {
    const type = body === undefined ? {} : { 'content-type': 'application/json' }
    const init = { method, headers: { ...type, ...headers }, ...(body === undefined ? {} : { body }) }
    const response = await fetch(url + path, init)
    const text = await response.text()
    return [response.status, text === '' ? null : JSON.parse(text)]
  }
  const values = async (topic: string): Promise<string[]> => {
    const [status, page] = await call('GET', `/v1/topics/${topic}/records?bytes=true`)
    if (status === 404) return []
    return page.records.map((one: Json) => Buffer.from(one.value.base64, 'base64').toString())
  }
  return { url, kafka: kafka!, call, values }
}
async function produce(t: TestContext, { kafka }: Running, options: object, values: readonly string[], topic: string) {
  const producer = new Producer<string, string, string, string>({
    clientId: 'test',
    bootstrapBrokers: [kafka],
    serializers: stringSerializers,
    retries: 0,
    ...options,
  })
  t.after(() => producer.close(true))
  await producer.send({ acks: ProduceAcks.ALL, messages: values.map((value) => ({ topic, value })) })
}
async function until<T>(look: () => Promise<T>, wanted: (found: T) => boolean): Promise<T> {
  for (;;) {
    const found = await look()
    if (wanted(found)) return found
    await new Promise((resolve) => setTimeout(resolve, 20))
  }
}

test('reject: every way in says what is wrong, and nothing of it is stored', { timeout: 60_000 }, async (t) => {
  const m = await start(t)
  await m.call('PUT', '/v1/topics/t', JSON.stringify({ schema, onInvalid: 'reject' }))
  const event = { specversion: '1.0', id: '1', source: 's', type: 't' }
  const data = JSON.parse(bad)
  for (const [what, type, body, field] of [
    ['a value', 'application/json', bad, 'id'],
    ['an array', 'application/json', `[${good},${bad}]`, '[1].id'],
    ['records', 'application/vnd.millrace.records+json', `{"records":[{"value":${good}},{"value":${bad}}]}`, '[1].id'],
    ['an event', 'application/cloudevents+json', JSON.stringify({ ...event, data }), 'id'],
    ['a batch', 'application/cloudevents-batch+json', JSON.stringify([{ ...event, data }]), '[0].id'],
    ['lines', 'application/x-ndjson', `${bad}\n`, 'id'],
    ['bytes', 'application/octet-stream', bad, 'id'],
  ] as const) {
    const [status, problem] = await m.call('POST', '/v1/topics/t/records', body, { 'content-type': type })
    const fault = what === 'lines' ? problem.records[0].fault : problem
    assert.deepEqual([status, fault.code, fault.field], [422, 'schema.invalid', field], what)
  }
  const binary = { 'ce-specversion': '1.0', 'ce-id': '1', 'ce-source': 's', 'ce-type': 't' }
  assert.equal((await m.call('POST', '/v1/topics/t/records', bad, binary))[0], 422)
  for (const compression of compressions)
    await assert.rejects(produce(t, m, { compression }, [good, bad], 't'), (error: Error) => {
      assert.match(JSON.stringify(error, ['errors', 'message', 'apiId', 'cause']), /INVALID_RECORD/, compression)
      return true
    })
  const ddl = `CREATE STREAM t (id text, note text) WITH (topic = 't', format = 'json')`
  assert.equal((await m.call('POST', '/v1/sql', ddl, { 'content-type': 'application/sql' }))[0], 200)
  const insert = { 'content-type': 'application/sql' }
  const [status, problem] = await m.call('POST', '/v1/sql', `INSERT INTO t VALUES ('x', 'y')`, insert)
  assert.deepEqual([status, problem.code], [422, 'schema.invalid'])
  assert.deepEqual(await m.values('t'), [])
  assert.deepEqual(await m.values('t.quarantine'), [])
})

test(
  'copies by deliver.to are asked about too: what the target refuses is kept beside',
  { timeout: 60_000 },
  async (t) => {
    const m = await start(t)
    await m.call('PUT', '/v1/topics/t', JSON.stringify({ schema, onInvalid: 'reject' }))
    await m.call('PUT', '/v1/topics/later', JSON.stringify({ config: { 'deliver.to': 't' } }))
    assert.equal((await m.call('POST', '/v1/topics/later/records', `[${good},${bad},${good}]`))[0], 200)
    const counted = (topic: string, count: number): Promise<string[]> =>
      until(
        () => m.values(topic),
        ({ length }) => length >= count,
      )
    assert.deepEqual(await counted('t', 2), [good, good])
    assert.deepEqual(await counted('later.dlq', 1), [bad])
    const [, page] = await m.call('GET', '/v1/topics/later.dlq/records')
    assert.equal(page.records[0].headers.find((one: Json) => one.name === 'mr-reason').value.text, 'schema.invalid')
  },
)

test('where: names that the contract does not know', { timeout: 60_000 }, async (t) => {
  const m = await start(t)
  await m.call('PUT', '/v1/topics/open', JSON.stringify({ schema }))
  const closed = { ...schema, additionalProperties: false }
  await m.call('PUT', '/v1/topics/closed', JSON.stringify({ schema: closed }))
  await m.call('PUT', '/v1/topics/free', JSON.stringify({ schema: { ...closed, allOf: [schema] } }))
  for (const topic of ['open', 'closed', 'free']) await m.call('POST', `/v1/topics/${topic}/records`, good)
  const asked = async (topic: string, where: string): Promise<string> => {
    const [status, answer] = await m.call('GET', `/v1/topics/${topic}/records?where=${encodeURIComponent(where)}`)
    return status === 200 ? `${answer.records.length} found` : `${answer.code}: ${answer.hint}`
  }
  const misspelt = 'sql.unknown-column: Perhaps you meant note. In double quotes a name is taken as it is.'
  assert.equal(await asked('open', "noet = 'x'"), misspelt)
  assert.equal(await asked('closed', "noet = 'x'"), misspelt)
  assert.match(await asked('closed', 'elsewhere IS NULL'), /^sql.unknown-column: The fields are id, note\./)
  // A contract that lets in more lets a filter ask for more; so does one whose fields cannot be read off it.
  assert.equal(await asked('open', 'elsewhere IS NULL'), '1 found')
  assert.equal(await asked('closed', '"elsewhere" IS NULL AND id = 1'), '1 found')
  assert.equal(await asked('free', 'noet IS NULL'), '1 found')
})

test('quarantine: what is bad is kept with reason, origin and its own bytes', { timeout: 60_000 }, async (t) => {
  const m = await start(t)
  await m.call('PUT', '/v1/topics/t', JSON.stringify({ schema, onInvalid: 'quarantine' }))
  const [status, answer] = await m.call('POST', '/v1/topics/t/records', `[${good},${bad}]`)
  assert.equal(status, 207)
  assert.equal(answer.records[1].fault.code, 'schema.invalid')
  for (const compression of compressions) await produce(t, m, { compression }, [good, bad], 't')
  const kept = await until(
    () => m.values('t.quarantine'),
    (found) => found.length >= 1 + compressions.length,
  )
  assert.deepEqual(kept, Array(1 + compressions.length).fill(bad))
  // HTTP sorts out before the topic, Kafka after it: there the batch stays as it was sent.
  assert.deepEqual(await m.values('t'), [good, ...compressions.flatMap(() => [good, bad])])
  const [, { records }] = await m.call('GET', '/v1/topics/t.quarantine/records')
  const headers = records.map((one: Json) =>
    Object.fromEntries(one.headers.map(({ name, value }: Json) => [name, value?.text ?? value?.base64])),
  )
  for (const one of headers) {
    assert.equal(one['mr-reason'], 'schema.invalid')
    assert.match(one['mr-error'], /id must be integer/)
    assert.ok(one['mr-origin'] !== undefined)
  }
  assert.equal(new Set(headers.map((one: Json) => one['mr-origin'])).size, headers.length, 'each says where it lay')
})

test('null lets everything in; no word about it is reject for HTTP and quarantine for Kafka', async (t) => {
  const m = await start(t)
  await m.call('PUT', '/v1/topics/open', JSON.stringify({ schema, onInvalid: 'null' }))
  assert.equal((await m.call('POST', '/v1/topics/open/records', bad))[0], 200)
  for (const compression of compressions) await produce(t, m, { compression }, [bad], 'open')
  assert.deepEqual(await m.values('open'), Array(1 + compressions.length).fill(bad))
  await m.call('PUT', '/v1/topics/silent', JSON.stringify({ schema }))
  assert.equal((await m.call('POST', '/v1/topics/silent/records', bad))[0], 422)
  await produce(t, m, {}, [bad], 'silent')
  await until(
    () => m.values('silent.quarantine'),
    (found) => found.length === 1,
  )
  assert.deepEqual(await m.values('open.quarantine'), [])
})

test('hosts and origins that the configuration names are let in', async (t) => {
  const m = await start(t, { httpOrigins: ['https://app.example'] })
  assert.equal((await m.call('GET', '/v1/topics', undefined, { origin: 'https://app.example' }))[0], 200)
  assert.equal((await m.call('GET', '/v1/topics', undefined, { origin: 'https://other.example' }))[0], 403)
})
