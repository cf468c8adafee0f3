import assert from 'node:assert/strict'
import { connect } from 'node:net'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { encodeBatch } from '../../../src/log/batch.ts'
import { type Fixture, type Json, fixture } from './fixture.ts'
import { openEvents } from './sse.ts'

async function fill(f: Fixture, topic: string, partitions: number, count: number): Promise<void> {
  await f.call('PUT', `/v1/topics/${topic}`, { json: { partitions } })
  const records = Array.from({ length: count }, (_, i) => ({
    value: { i },
    timestamp: 1000 + i,
    partition: i % partitions,
  }))
  const headers = { 'content-type': 'application/vnd.millrace.records+json' }
  assert.equal(
    (await f.call('POST', `/v1/topics/${topic}/records`, { headers, body: JSON.stringify({ records }) })).status,
    200,
  )
}
const numbers = (records: Json[]): number[] => records.map((one) => one.value.json.i)
const upTo = (count: number, from = 0): number[] => Array.from({ length: count }, (_, i) => from + i)
const placesOf = (next: Json[]): string => next.map((one) => `${one.partition}:${one.offset}`).join(',')

test('pages go on where the last one ended, merged by time, until the end', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 3, 25)
  const seen: number[] = []
  let from = 'earliest'
  for (let i = 0; i < 10; i++) {
    const { json } = await f.call('GET', `/v1/topics/t/records?limit=7&from=${from}`)
    seen.push(...numbers(json.records))
    from = placesOf(json.next)
    if (json.atEnd) break
  }
  assert.deepEqual(seen, upTo(25))
  const rest = await f.call('GET', `/v1/topics/t/records?from=${from}`)
  assert.deepEqual(rest.json.records, [])
  assert.equal(rest.json.atEnd, true)
})

test('a topic of very many partitions is read to its end, place by place', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 300, 900)
  const seen = new Set<number>()
  let from = 'earliest'
  for (let i = 0; i < 20; i++) {
    const { json } = await f.call('GET', `/v1/topics/t/records?limit=100&from=${from}`)
    for (const one of numbers(json.records)) seen.add(one)
    from = placesOf(json.next)
    if (json.atEnd) break
  }
  assert.equal(seen.size, 900)
})

test('a page begins where it is told', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 1, 10)
  const at = async (query: string): Promise<number[]> =>
    numbers((await f.call('GET', `/v1/topics/t/records?${query}`)).json.records)
  assert.deepEqual(await at('from=earliest&limit=2'), [0, 1])
  assert.deepEqual(await at('from=latest'), [])
  assert.deepEqual(await at('from=7'), [7, 8, 9])
  assert.deepEqual(await at('from=-2'), [8, 9])
  assert.deepEqual(await at('from=1970-01-01T00:00:01.008Z'), [8, 9])
  assert.deepEqual(await at('from=2030-01-01'), [])
  assert.deepEqual(await at('from=0:4&until=0:6'), [4, 5])
  assert.deepEqual(await at('limit=0'), [])
  const beyond = await f.call('GET', '/v1/topics/t/records?from=99')
  assert.equal(beyond.status, 416)
  assert.equal(beyond.json.code, 'log.offset-out-of-range')
  for (const query of [
    'from=soon',
    'from=0:1,',
    'limit=-1',
    'limit=20000',
    'partition=1',
    'until=5',
    'bytes=maybe',
    'form=1',
  ])
    assert.ok((await f.call('GET', `/v1/topics/t/records?${query}`)).status >= 400, query)
})

test('a filter looks at many and shows few, saying how many it saw', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 2, 100)
  const found = await f.call('GET', '/v1/topics/t/records?where=value%20contains%20%22i%22%3A42')
  assert.deepEqual(numbers(found.json.records), [42])
  assert.equal(found.json.scanned, 100)
  assert.equal(found.json.atEnd, true)
})

test('lines give everything there is, and nothing that came later', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 2, 500)
  const headers = { accept: 'application/x-ndjson' }
  const all = await f.call('GET', '/v1/topics/t/records', { headers })
  assert.equal(all.headers.get('content-type'), 'application/x-ndjson')
  assert.deepEqual(
    numbers(
      all.text
        .trim()
        .split('\n')
        .map((line) => JSON.parse(line)),
    ),
    upTo(500),
  )
  const few = await f.call('GET', '/v1/topics/t/records?limit=3', { headers })
  assert.equal(few.text.trim().split('\n').length, 3)
})

test('payloads show as JSON, text or bytes, and a value with line breaks stays on one line', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const key = Buffer.from('007')
  const values = ['{\n "a": "x\\ny"\n}', 'plain\ntext', '12', '"q"', '', '{broken', 'true']
  const batch = encodeBatch([
    ...values.map((text) => ({ key, value: Buffer.from(text), timeMs: 5 })),
    { key: null, value: Buffer.from([0xff]), timeMs: 1 },
    {
      key: Buffer.from('["a",1]'),
      value: null,
      timeMs: 0,
      headers: [['n', null] as const, ['7', Buffer.from('7')] as const],
    },
  ])
  const [appended] = await f.log.writer().append([{ partition: { topic: 't', index: 0 }, batch }])
  assert.ok('offset' in appended!, JSON.stringify(appended))
  const read = await f.call('GET', '/v1/topics/t/records', { headers: { accept: 'application/x-ndjson' } })
  const records = read.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line))
  const byValue = (wanted: unknown): Json => records.find((one) => JSON.stringify(one.value) === JSON.stringify(wanted))
  for (const wanted of [
    { json: { a: 'x\ny' } },
    { text: 'plain\ntext' },
    { json: 12 },
    { json: 'q' },
    { text: '' },
    { text: '{broken' },
    { json: true },
  ])
    assert.equal(byValue(wanted)?.key.text, '007', JSON.stringify(wanted))
  assert.equal(byValue({ base64: '/w==' }).timestamp, '1970-01-01T00:00:00.001Z')
  const gone = byValue(null)
  assert.deepEqual(gone.key, { json: ['a', 1] })
  assert.deepEqual(gone.headers, [
    { name: 'n', value: null },
    { name: '7', value: { text: '7' } },
  ])
})

test('a tail shows what comes, and goes on behind Last-Event-ID over all partitions', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 3, 9)
  const at = `${f.url}/v1/topics/t/records`
  const first = await openEvents(`${at}?from=earliest`)
  const seen: number[] = []
  let last = ''
  for (let i = 0; i < 5; i++) {
    const event = await first.next('record')
    seen.push(event.data.value.json.i)
    last = event.id
  }
  first.close()
  const second = await openEvents(at, { 'last-event-id': last })
  for (let i = 0; i < 4; i++) seen.push((await second.next('record')).data.value.json.i)
  assert.deepEqual(
    seen.toSorted((a, b) => a - b),
    upTo(9),
  )
  await f.call('POST', '/v1/topics/t/records', { json: { i: 9 } })
  assert.equal((await second.next('record')).data.value.json.i, 9)
  second.close()
  const fresh = await openEvents(at)
  await fresh.open
  await f.call('POST', '/v1/topics/t/records', { json: { i: 10 } })
  assert.equal((await fresh.next('record')).data.value.json.i, 10)
  fresh.close()
})

test('a tail that shows nothing still moves its place', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 1, 5)
  const tail = await openEvents(`${f.url}/v1/topics/t/records?from=earliest&where=value%20contains%20nothing`)
  while (tail.lastId !== '0:4') await tail.step()
  tail.close()
})

test('a tail ends with a fault when its topic goes, and with the server', async (t) => {
  const f = await fixture(t)
  await fill(f, 't', 1, 1)
  await fill(f, 'u', 1, 1)
  const tail = await openEvents(`${f.url}/v1/topics/t/records?from=earliest`)
  const other = await openEvents(`${f.url}/v1/topics/u/records?from=earliest`)
  await tail.next('record')
  await other.next('record')
  await f.call('DELETE', '/v1/topics/t')
  assert.equal((await tail.next('fault')).data.code, 'log.unknown-topic')
  const before = process.hrtime.bigint()
  await f.stop()
  await other.end
  assert.ok(process.hrtime.bigint() - before < 2_000_000_000n, 'a live stream does not hold up the stop')
})

test('a reader that stops reading holds back its stream, not the memory, and then gets everything', async (t) => {
  const f = await fixture(t)
  await f.call('PUT', '/v1/topics/t')
  const count = 3_000
  const pad = 'x'.repeat(10_000)
  for (let i = 0; i < count; i += 500) {
    const json = Array.from({ length: 500 }, (_, j) => ({ i: i + j, pad }))
    assert.equal((await f.call('POST', '/v1/topics/t/records', { json })).status, 200)
  }
  setFlagsFromString('--expose_gc')
  const collect = runInNewContext('gc') as () => void
  const held = (): number => {
    collect()
    return process.memoryUsage().external + process.memoryUsage().heapUsed
  }
  const { hostname, port } = new URL(f.url)
  for (const accept of ['text/event-stream', 'application/x-ndjson']) {
    const socket = connect(Number(port), hostname)
    socket.pause()
    socket.write(
      `GET /v1/topics/t/records?from=earliest HTTP/1.1\r\nHost: localhost\r\nAccept: ${accept}\r\nConnection: close\r\n\r\n`,
    )
    const before = held()
    await f.world.clock.sleep(500)
    assert.ok(held() - before < 10_000_000, `${held() - before} bytes are held for it`)
    let seen = 0
    let rest = ''
    socket.on('data', (part) => {
      rest += part.toString('latin1')
      const found = rest.match(/"i":\d+,"pad"/g)?.length ?? 0
      seen += found
      if (found > 0) rest = rest.slice(rest.lastIndexOf('"pad"') + 5)
      if (seen === count) socket.destroy()
    })
    socket.resume()
    await new Promise((resolve) => socket.on('close', resolve))
    assert.equal(seen, count)
  }
})
