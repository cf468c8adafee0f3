/** Client quotas over HTTP: whole requests are told to wait, streams in and out go on at the rate that is allowed. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setTimeout } from 'node:timers/promises'
import { openEvents } from '../gateway/http/sse.ts'
import { type Platform, hastened, makeUser, platform } from './platform.ts'

type Quota = 'producer_byte_rate' | 'consumer_byte_rate' | 'request_percentage'
const json = { 'content-type': 'application/json' }
const ndjson = 'application/x-ndjson'
/** Ten seconds' worth are let through at once; what is beyond takes its time. */
const burst = 10
const text = (bytes: number): string => JSON.stringify({ text: 'x'.repeat(bytes) })

/** Ten seconds are one here. */
const times = 10
async function limited(t: TestContext, quota: Quota | null, value = 0): Promise<Platform> {
  const p = await platform(t, {}, hastened(times))
  await p.log.topics.create([{ name: 't', partitions: 1, config: {} }])
  if (quota !== null) await p.security.quotas.change([{ entity: { user: null }, values: { [quota]: value } }])
  return p
}
const produce = (p: Platform, body: string, type = 'application/json'): Promise<Response> =>
  fetch(`${p.http}/v1/topics/t/records`, { method: 'POST', headers: { 'content-type': type }, body })
const sql = (p: Platform, body: string, accept = 'application/json'): Promise<Response> =>
  fetch(`${p.http}/v1/sql`, { method: 'POST', headers: { 'content-type': 'application/sql', accept }, body })
async function throttled(response: Response, quota: Quota): Promise<void> {
  assert.equal(response.status, 429)
  assert.ok(Number(response.headers.get('retry-after')) >= 1)
  const problem = (await response.json()) as { code: string; detail: string }
  assert.equal(problem.code, 'security.throttled')
  assert.ok(problem.detail.includes(quota), problem.detail)
}
async function took(work: () => Promise<unknown>): Promise<number> {
  const started = performance.now()
  await work()
  return performance.now() - started
}
const rate = 2_000
/** What took so long (of the real clock) was no faster than the rate, of which the first ten seconds come at once. */
const fits = (ms: number, bytes: number, last: number): void => {
  assert.ok(bytes > rate * burst)
  const seconds = (ms * times) / 1_000
  // Behind the last piece nobody waits, and what was sent eleven seconds ago does not count any more.
  const least = Math.min((bytes - last) / rate, 11)
  assert.ok(seconds > least - 1 && seconds < least + 10, `${seconds} s for ${bytes} bytes`)
}

test('a tail (SSE) goes on at the rate that is allowed', async (t) => {
  const p = await limited(t, 'consumer_byte_rate', rate)
  const events = await openEvents(`${p.http}/v1/topics/t/records?from=earliest`)
  t.after(() => events.close())
  let bytes = 0
  const ms = await took(async () => {
    for (let i = 0; i < 24; i++) {
      assert.equal((await produce(p, text(1_000))).status, 200)
      bytes += JSON.stringify((await events.next('record')).data).length
    }
  })
  fits(ms, bytes, 1_200)
})

test('lines go on at the rate that is allowed, and whoever comes meanwhile is told to wait', async (t) => {
  const p = await limited(t, null)
  const big = JSON.stringify(Array.from({ length: 90 }, () => ({ text: 'x'.repeat(1_000) })))
  assert.equal((await produce(p, big)).status, 200)
  await sql(p, `CREATE STREAM rows (text text) WITH (topic = 't', format = 'json')`)
  await p.security.quotas.change([{ entity: { user: null }, values: { consumer_byte_rate: 8_000 } }])
  const url = `${p.http}/v1/topics/t/records`
  const first = await fetch(url, { headers: { accept: ndjson } })
  let bytes = 0
  const ms = await took(async () => {
    for await (const piece of first.body!) {
      bytes += piece.length
      // The second piece is over it.
      if (bytes < 90_000) continue
      await throttled(await sql(p, 'SELECT * FROM rows', ndjson), 'consumer_byte_rate')
      await throttled(await fetch(url, { headers: { accept: 'text/event-stream' } }), 'consumer_byte_rate')
      const socket = new WebSocket(`${p.http.replace('http', 'ws')}/v1/topics/t/records?from=earliest`)
      await new Promise((resolve) => socket.addEventListener('error', resolve))
    }
  })
  assert.ok((ms * times) / 1_000 > bytes / 8_000 - 1, `${ms} ms for ${bytes} bytes`)
})

test('Retry-After says when the rate is back', async (t) => {
  const p = await limited(t, 'producer_byte_rate', 100)
  assert.equal((await produce(p, text(1_300))).status, 200)
  const told = await produce(p, text(10))
  const seconds = Number(told.headers.get('retry-after'))
  await throttled(told, 'producer_byte_rate')
  assert.ok(seconds > 5 && seconds < 16, `${seconds}`)
  await setTimeout((seconds * 1_000) / times)
  assert.equal((await produce(p, text(10))).status, 200)
})

test('a stream of lines is taken in at the rate that is allowed', async (t) => {
  const p = await limited(t, 'producer_byte_rate', rate)
  const lines = Array.from({ length: 26 }, () => `${text(1_000)}\n`)
  async function* body(): AsyncGenerator<Uint8Array> {
    for (const line of lines) {
      yield Buffer.from(line)
      await setTimeout(10)
    }
  }
  const ms = await took(async () => {
    const response = await fetch(`${p.http}/v1/topics/t/records`, {
      method: 'POST',
      headers: { 'content-type': ndjson },
      body: body() as never,
      duplex: 'half',
    } as RequestInit)
    assert.equal(response.status, 200)
    assert.equal(((await response.json()) as { records: unknown[] }).records.length, 26)
  })
  fits(ms, lines.join('').length, 0)
})

test('INSERT writes by the quota of producers', async (t) => {
  const p = await limited(t, null)
  await sql(p, `CREATE STREAM rows (text text) WITH (topic = 't', format = 'json')`)
  await p.security.quotas.change([{ entity: { user: null }, values: { producer_byte_rate: 100 } }])
  assert.equal((await sql(p, `INSERT INTO rows VALUES ('${'x'.repeat(1_200)}')`)).status, 200)
  await throttled(await sql(p, `INSERT INTO rows VALUES ('x')`), 'producer_byte_rate')
  assert.equal((await sql(p, 'SELECT 1')).status, 200)
})

test('request_percentage: whoever keeps the server busy is told to wait, by records and by queries', async (t) => {
  const p = await limited(t, null)
  const million = JSON.stringify(Array.from({ length: 20_000 }, (_, n) => ({ n })))
  assert.equal((await produce(p, million)).status, 200)
  await sql(p, `CREATE STREAM rows (n int) WITH (topic = 't', format = 'json')`)
  const percent = 0.02
  // Two milliseconds in ten seconds.
  const afresh = async (user: string): Promise<Record<string, string>> => {
    await makeUser(p, user, `${user}-secret`, true)
    await p.security.quotas.change([{ entity: { user }, values: { request_percentage: percent } }])
    return { authorization: `Basic ${Buffer.from(`${user}:${user}-secret`).toString('base64')}` }
  }
  const busy: Readonly<Record<string, (headers: Record<string, string>) => Promise<Response>>> = {
    records: (headers) =>
      fetch(`${p.http}/v1/topics/t/records`, { method: 'POST', headers: { ...headers, ...json }, body: million }),
    page: (headers) => fetch(`${p.http}/v1/topics/t/records?limit=10000`, { headers }),
    query: (headers) =>
      fetch(`${p.http}/v1/sql`, {
        method: 'POST',
        headers: { ...headers, 'content-type': 'application/sql' },
        body: 'SELECT count(*) FROM rows',
      }),
  }
  for (const [name, ask] of Object.entries(busy)) {
    const headers = await afresh(name)
    const first = await ask(headers)
    assert.equal(first.status, 200, name)
    await first.arrayBuffer()
    await throttled(await fetch(`${p.http}/v1/topics`, { headers }), 'request_percentage')
  }
  assert.equal((await fetch(`${p.http}/health/live`)).status, 200)
})

test('a stream ends when the right to read is taken away', async (t) => {
  const p = await limited(t, null)
  await makeUser(p, 'root', 'root-secret', true)
  await makeUser(p, 'alice', 'alice-secret')
  const grant = {
    resource: 'topic',
    name: 't',
    pattern: 'literal',
    principal: 'User:alice',
    host: '*',
    permission: 'allow',
    operation: 'read',
  } as const
  await p.security.grants.add([grant])
  const as = (user: string): Record<string, string> => ({
    authorization: `Basic ${Buffer.from(`${user}:${user}-secret`).toString('base64')}`,
  })
  const write = (): Promise<Response> =>
    fetch(`${p.http}/v1/topics/t/records`, { method: 'POST', headers: { ...json, ...as('root') }, body: '{"n":1}' })
  const events = await openEvents(`${p.http}/v1/topics/t/records`, as('alice'))
  t.after(() => events.close())
  await write()
  await events.next('record')
  await p.security.grants.remove([grant])
  await write()
  assert.equal((await events.next('fault')).data.code, 'security.not-authorized')
})
