import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryCatalog } from '../../schema/memory-catalog.ts'
import { fixture, memoryWorld } from './fixture.ts'

const at = '/v1/topics/t/records'
const keyed = (key: string): { headers: Record<string, string> } => ({ headers: { 'Idempotency-Key': key } })

test('the same key and body give the first answer again and store nothing twice', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: { partitions: 3, keyField: 'id' } })
  const json = [{ id: 1 }, { id: 2 }, { id: 3 }]
  const first = await f.call('POST', at, { json, ...keyed('"k-1"') })
  assert.equal(first.status, 200, first.text)
  assert.equal(first.headers.get('idempotent-replayed'), null)
  const again = await f.call('POST', at, { json, ...keyed('k-1') })
  assert.equal(again.text, first.text)
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  const page = await f.call('GET', at)
  assert.equal(page.json.records.length, 3)
  const places = (list: { partition: number; offset: number }[]): string[] =>
    list.map((one) => `${one.partition}:${one.offset}`).sort()
  assert.deepEqual(places(page.json.records), places(first.json.records), 'the answer names the true places')
})

test('the same key with another body, key or topic setting is refused; on another topic it is another key', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  await f.call('PUT', '/v1/topics/u')
  await f.call('POST', at, { json: { a: 1 }, ...keyed('k') })
  for (const answer of [
    await f.call('POST', at, { json: { a: 2 }, ...keyed('k') }),
    await f.call('POST', `${at}?key=x`, { json: { a: 1 }, ...keyed('k') }),
  ]) {
    assert.equal(answer.status, 422)
    assert.equal(answer.json.code, 'http.idempotency-conflict')
  }
  assert.equal((await f.call('POST', '/v1/topics/u/records', { json: { a: 2 }, ...keyed('k') })).status, 200)
  await f.call('DELETE', '/v1/topics/t')
  await f.call('PUT', '/v1/topics/t')
  assert.equal(
    (await f.call('POST', at, { json: { a: 3 }, ...keyed('k') })).status,
    200,
    'a new topic of the same name',
  )
})

test('a refused request leaves its key free', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t', { json: { schema: { type: 'object' } } })
  assert.equal((await f.call('POST', at, { json: 7, ...keyed('k') })).status, 422)
  assert.equal((await f.call('POST', at, { json: {}, ...keyed('k') })).status, 200)
  for (const key of ['', 'x'.repeat(256)])
    assert.equal((await f.call('POST', at, { json: {}, ...keyed(key) })).status, 400)
})

test('many at once with one key store one', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const answers = await Promise.all(
    Array.from({ length: 20 }, () => f.call('POST', at, { json: { a: 1 }, ...keyed('k') })),
  )
  assert.equal(new Set(answers.map(({ text }) => text)).size, 1)
  assert.equal(answers.filter(({ headers }) => headers.get('idempotent-replayed') === null).length, 1)
  assert.equal((await f.call('GET', at)).json.records.length, 1)
})

test('keys are kept over a restart, with lines and their faults too', async (t) => {
  const world = memoryWorld()
  const catalog = memoryCatalog()
  const before = await fixture(t, { world, catalog })
  await before.call('PUT', '/v1/topics/t', { json: { schema: { type: 'object' } } })
  const request = { headers: { 'content-type': 'application/x-ndjson', 'Idempotency-Key': 'k' }, body: '{}\nx\n{}\n' }
  const first = await before.call('POST', at, request)
  assert.equal(first.status, 207, first.text)
  await before.stop()
  const after = await fixture(t, { world, catalog })
  const again = await after.call('POST', at, request)
  assert.equal(again.status, 207)
  assert.equal(again.text, first.text)
  assert.equal(again.headers.get('idempotent-replayed'), 'true')
  assert.equal((await after.call('GET', at)).json.records.length, 2)
})

test('after 24 hours a key is free again', async (t) => {
  const real = memoryWorld()
  let ahead = 0
  const clock = {
    ...real.clock,
    now: () => (real.clock.now() + ahead) as never,
    monotonic: () => real.clock.monotonic() + ahead,
  }
  const world = { ...real, clock }
  const f = await fixture(t, { world })
  await f.call('PUT', '/v1/topics/t')
  await f.call('POST', at, { json: 1, ...keyed('k') })
  ahead = 24 * 3_600_000 - 10_000
  assert.equal((await f.call('POST', at, { json: 2, ...keyed('k') })).status, 422)
  ahead += 20_000
  assert.equal((await f.call('POST', at, { json: 2, ...keyed('k') })).status, 200)
})
