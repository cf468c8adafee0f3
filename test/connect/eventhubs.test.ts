/** The eventhubs connector beside the Event Hubs gateway of another Millrace of this process; the official library is what it stands on. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { EventHubProducerClient } from '@azure/event-hubs'
import type { Running } from '../../src/node/millrace.ts'
import { readAll, text } from './fixture.ts'
import { opened, plain, put, until } from './millraces.ts'

const connectionOf = (running: Running): string =>
  `Endpoint=sb://${running.listening().eventhubs!};SharedAccessKeyName=key;SharedAccessKey=secret;UseDevelopmentEmulator=true`
const headersOf = (record: Awaited<ReturnType<typeof readAll>>[number]): Record<string, string> =>
  Object.fromEntries(record.headers.map(([name, value]) => [name, text(value)]))
const source = { name: 'in', kind: 'eventhubs', direction: 'source' } as const
const sink = { name: 'out', kind: 'eventhubs', direction: 'sink' } as const

test('a source takes all events once, in their partitions, with what goes along, over a pause', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'eventhubs'), await opened(stack, 'kafka')]
  await there.log.topics.create([{ name: 'orders', partitions: 2 }])
  const producer = new EventHubProducerClient(connectionOf(there), 'orders')
  stack.defer(() => producer.close())
  const body = (one: unknown) => ({ body: one })
  await producer.sendBatch(
    [
      {
        body: Buffer.from('{"n":1}'),
        properties: { color: 'red', size: 3 },
        contentType: 'application/json',
        messageId: 'm1',
        correlationId: 'c1',
      },
    ],
    { partitionKey: 'key' },
  )
  for (let i = 0; i < 40; i++) await producer.sendBatch([body(Buffer.from(`v${i}`))], { partitionId: String(i % 2) })
  const settings = { hub: 'orders', 'connection.string': connectionOf(there), into: 'west.{topic}' }
  const made = await here.connectors.create({ ...source, settings })
  assert.equal(made.settings['connection.string'], '…')
  await until('all came', async () => (await plain(here, 'west.orders')).length === 41)
  await here.connectors.alter('in', { paused: true })
  for (let i = 40; i < 60; i++) await producer.sendBatch([body(Buffer.from(`v${i}`))], { partitionId: String(i % 2) })
  await here.connectors.alter('in', { paused: false })
  await until('the rest came', async () => (await plain(here, 'west.orders')).length >= 61)
  await sleep(500)
  assert.deepEqual(await plain(here, 'west.orders'), await plain(there, 'orders'))
  const first = (await readAll(here.log, 'west.orders')).find(({ key }) => text(key) === 'key')!
  assert.equal(text(first.value), '{"n":1}')
  assert.deepEqual(headersOf(first), {
    'content-type': 'application/json',
    'correlation-id': 'c1',
    'message-id': 'm1',
    color: 'red',
    size: '3',
  })
  const info = (await here.connectors.get('in'))!
  assert.deepEqual([info.status, info.fault], ['running', null])
  await until('nothing is left', async () => (await here.connectors.get('in'))!.lag === 0)
})

test('from latest it leaves out what was there, also when nothing came before a pause', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'eventhubs'), await opened(stack, 'kafka')]
  await there.log.topics.create([{ name: 'orders', partitions: 1 }])
  const producer = new EventHubProducerClient(connectionOf(there), 'orders')
  stack.defer(() => producer.close())
  await producer.sendBatch([{ body: Buffer.from('old') }])
  const settings = { hub: 'orders', 'connection.string': connectionOf(there), start: 'latest' }
  await here.connectors.create({ ...source, settings })
  await until('it has begun', async () => (await readAll(here.log, '_millrace_connect')).length > 0)
  await here.connectors.alter('in', { paused: true })
  await producer.sendBatch([{ body: Buffer.from('new') }])
  await here.connectors.alter('in', { paused: false })
  await until('it came', async () => (await plain(here, 'orders')).length > 0)
  assert.deepEqual(await plain(here, 'orders'), ['new'])
})

for (const partitions of ['key', 'keep'])
  test(`a sink sends what is there and what comes, by ${partitions}, in the order of the keys`, async () => {
    await using stack = new AsyncDisposableStack()
    const [there, here] = [await opened(stack, 'eventhubs'), await opened(stack, 'kafka')]
    await there.log.topics.create([{ name: 'copy-totals', partitions: 2 }])
    await here.log.topics.create([{ name: 'totals', partitions: 2 }])
    const record = (key: string | null, value: string) => ({
      key: key === null ? null : Buffer.from(key),
      value: Buffer.from(value),
      headers: [
        ['content-type', Buffer.from('text/plain')],
        ['bytes', Buffer.from([255, 0])],
      ] as const,
      timeMs: 1_700_000_000_000,
    })
    for (const index of [0, 1])
      await put(
        here,
        'totals',
        index,
        ...Array.from({ length: 300 }, (_, i) => record(i % 4 === 0 ? null : `k${index}${i % 3}`, `${index}-${i}`)),
      )
    const settings = { 'connection.string': connectionOf(there), topics: 'totals', hub: 'copy-{topic}', partitions }
    await here.connectors.create({ ...sink, settings })
    await until('all are there', async () => (await plain(there, 'copy-totals')).length === 600)
    await put(here, 'totals', 1, record('k', 'last'))
    await until('the last is there', async () => (await plain(there, 'copy-totals')).includes('last'))
    const records = await readAll(there.log, 'copy-totals')
    assert.equal(new Set(records.map(({ value }) => text(value))).size, 601)
    // Some batches of the client say that their events are durable, others do not.
    const { 'amqp-durable': _, ...headers } = headersOf(records[0]!)
    assert.deepEqual(headers, { 'content-type': 'text/plain', 'bytes-base64': '/wA=' })
    if (partitions === 'keep') {
      const theirs = (await plain(there, 'copy-totals')).filter((value) => value !== 'last')
      assert.deepEqual(
        theirs,
        (await plain(here, 'totals')).filter((value) => value !== 'last'),
      )
    } else
      for (const [key, of] of Map.groupBy(records, (one) => text(one.key))) {
        if (key === '') continue
        const numbers = of.map(({ value }) => Number(text(value).split('-')[1]))
        assert.deepEqual(
          numbers,
          numbers.toSorted((a, b) => a - b),
          key,
        )
      }
    await until('it is noted', async () => (await here.connectors.get('out'))!.lag === 0)
  })

test('a hub that is not there is a fault that says so; a connection string that is none is refused', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'eventhubs'), await opened(stack, 'kafka')]
  const wrong = { hub: 'x', 'connection.string': 'sb://nothing' }
  await assert.rejects(here.connectors.create({ ...source, settings: wrong }), { code: 'connect.invalid-setting' })
  const settings = { topics: 'totals', hub: 'nothing', 'connection.string': connectionOf(there) }
  await here.log.topics.create([{ name: 'totals', partitions: 1 }])
  await put(here, 'totals', 0, { key: null, value: Buffer.from('x'), timeMs: 1 })
  await here.connectors.create({ ...sink, settings })
  await until('it says so', async () => (await here.connectors.get('out'))!.fault !== null)
  const { fault } = (await here.connectors.get('out'))!
  assert.match(fault!.message, /asking for the partitions of nothing/)
})
