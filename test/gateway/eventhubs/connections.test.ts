import assert from 'node:assert/strict'
import { once } from 'node:events'
import { Agent, request } from 'node:http'
import { after, before, test } from 'node:test'
import { EventHubConsumerClient, EventHubProducerClient, earliestEventPosition } from '@azure/event-hubs'
import { WebSocket } from 'ws'
import { limits } from '../../../src/lib/limits.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import {
  attach,
  begin,
  close,
  error,
  fieldsOf,
  flow,
  open,
  source,
  target,
  valueOf,
} from '../../../src/wire/amqp/composites.ts'
import { text } from '../../../src/wire/amqp/values.ts'
import { protocolHeader, protocolId } from '../../../src/wire/amqp/frames.ts'
import { type LocalHubs, startHubs } from './local-hubs.ts'
import { RawClient, message, sequenceOf } from './raw-client.ts'

let hubs: LocalHubs
before(async () => {
  hubs = await startHubs({ hubs: { hub: 1, web: 2 }, autoCreate: 3 })
})
after(() => hubs[Symbol.asyncDispose]())
const from = 'hub/ConsumerGroups/$Default/Partitions/0'
const event = message({ body: Buffer.from('x') })
async function closedWith(client: RawClient): Promise<string> {
  const found = fieldsOf((await client.next(close)).value, close)
  return found.error === null ? '' : fieldsOf(found.error, error).condition
}

test('open says what is agreed, with all its fields', async () => {
  await using client = await RawClient.open({ port: hubs.port })
  const { maxFrameSize, channelMax, idleTimeOut } = client.opened!
  assert.deepEqual([maxFrameSize, channelMax, idleTimeOut], [65_536, 4_999, 120_000])
})
test('a protocol that is not ours is answered with ours, then closed', async () => {
  for (const first of [Buffer.from('AMQP\0\0\x09\x01'), protocolHeader(protocolId.tls)]) {
    const client = await RawClient.connect(hubs.port)
    const answer = once(client.socket, 'data')
    client.socket.write(first)
    assert.deepEqual((await answer)[0], protocolHeader(protocolId.sasl))
    await once(client.socket, 'close')
  }
})
test('a connection has as many sessions as the real service gives it, each with its links', async () => {
  await using client = await RawClient.open({ port: hubs.port })
  for (const channel of [1, 256, 1_000, 4_999]) {
    client.write(channel, begin, { nextOutgoingId: 0, incomingWindow: 1, outgoingWindow: 1 })
    assert.equal((await client.next(begin)).channel, channel)
    client.write(channel, attach, {
      ...{ name: 'a', handle: 0, role: true },
      source: valueOf(source, { address: text(from) }),
      target: valueOf(target, { address: text('raw') }),
    })
    const attached = await client.next(attach)
    assert.equal(attached.channel, channel)
    assert.notEqual(fieldsOf(attached.value, attach).source, null)
  }
})
test('frames that break the protocol close the connection with the reason', async () => {
  const cases: readonly (readonly [string, (client: RawClient) => void])[] = [
    ['amqp:decode-error', (client) => client.socket.write(Buffer.from([0xff, 0, 0, 0, 2, 0, 0, 0]))],
    ['amqp:decode-error', (client) => client.socket.write(Buffer.from([0, 0, 0, 9, 2, 0, 0, 0, 0x99]))],
    [
      'amqp:not-allowed',
      (client) => client.write(9, flow, { incomingWindow: 1, nextOutgoingId: 0, outgoingWindow: 1 }),
    ],
    [
      'amqp:not-allowed',
      (client) => client.write(0, begin, { nextOutgoingId: 0, incomingWindow: 1, outgoingWindow: 1 }),
    ],
  ]
  for (const [condition, send] of cases) {
    await using client = await RawClient.open({ port: hubs.port })
    send(client)
    assert.equal(await closedWith(client), condition)
  }
})
test('a client that asks for signs of life gets them', async () => {
  await using client = await RawClient.open({ port: hubs.port, open: { idleTimeOut: 400 } })
  for (let i = 0; i < 3; i++) await client.next('sign of life', 1_000)
})
test('a connection that is not opened in time, or is silent for too long, is closed', async () => {
  const late: (() => void)[] = []
  const real = realWorld().clock
  let aheadMs = 0
  const clock = {
    now: () => real.now(),
    monotonic: () => real.monotonic() + aheadMs,
    sleep: (ms: number, signal?: AbortSignal) => real.sleep(ms, signal),
    soon: (call: () => void) => real.soon(call),
    after: (ms: number, call: () => void) => {
      if (ms === 1_000) late.push(call)
      return real.after(ms, call)
    },
  }
  await using local = await startHubs({ clock })
  const never = await RawClient.connect(local.port)
  never.socket.write('AM')
  const silent = await RawClient.open({ port: local.port })
  aheadMs = 31_000
  await once(never.socket, 'close')
  aheadMs = 241_000
  assert.equal(await closedWith(silent), 'amqp:connection:forced')
})
test('a server that stops says so to its clients', async () => {
  await using local = await startHubs()
  await using client = await RawClient.open({ port: local.port })
  await local.stopListening()
  assert.equal(await closedWith(client), 'amqp:connection:forced')
})
test('opening fields beyond the limits are refused or cut to them', async () => {
  await using client = await RawClient.connect(hubs.port)
  client.socket.write(protocolHeader(protocolId.amqp))
  client.write(0, open, { containerId: 'x', maxFrameSize: 100, channelMax: 65_535 })
  assert.equal(fieldsOf((await client.next(open)).value, open).channelMax, 4_999)
  client.write(5_000, begin, { nextOutgoingId: 0, incomingWindow: 1, outgoingWindow: 1 })
  assert.equal(await closedWith(client), 'amqp:not-allowed')
})

test('owner levels: the same or a higher one takes over, a lower one or none is refused', async () => {
  await using client = await RawClient.open({ port: hubs.port })
  const first = await client.receiver(from, { epoch: 5, name: 'first' })
  const second = await client.receiver(from, { epoch: 5, name: 'second' })
  const stolen = await client.detached()
  assert.deepEqual([stolen.handle, stolen.condition], [first.handle, 'amqp:link:stolen'])
  assert.match(stolen.description!, /New receiver 'second' with higher epoch of '5' is created/)
  for (const epoch of [4, undefined]) {
    const lower = await client.receiver(from, { ...(epoch === undefined ? {} : { epoch }), name: 'lower' })
    const refused = await client.detached()
    assert.deepEqual([refused.handle, refused.condition], [lower.handle, 'amqp:link:stolen'])
  }
  // Another group is another place; and whoever is closed leaves nothing behind.
  await client.receiver('hub/ConsumerGroups/other/Partitions/0', { epoch: 0 })
  second.detach()
  await client.detached()
  const lower = await client.receiver(from, { epoch: 1, credit: 1 })
  const sender = await client.sender('hub')
  await sender.send(event)
  assert.equal((await lower.take(1)).length, 1)
  lower.detach()
  await client.detached()
})
test('without owner levels five receivers read a partition side by side, not six', async () => {
  await using client = await RawClient.open({ port: hubs.port })
  const place = 'hub/ConsumerGroups/five/Partitions/0'
  for (let i = 0; i < 5; i++) await client.receiver(place)
  const sixth = await client.receiver(place)
  const refused = await client.detached()
  assert.deepEqual([refused.handle, refused.condition], [sixth.handle, 'amqp:resource-limit-exceeded'])
})
test('an owner level outlives the process for a while, and that of a closed receiver does not', async () => {
  const disk = memoryDisk()
  const first = await startHubs({ disk })
  const client = await RawClient.open({ port: first.port })
  await client.receiver(from, { epoch: 7 })
  const closed = await client.receiver('hub/ConsumerGroups/closed/Partitions/0', { epoch: 7 })
  closed.detach()
  await client.detached()
  await new Promise((resolve) => setTimeout(resolve, 50))
  await first[Symbol.asyncDispose]()
  await using second = await startHubs({ disk })
  await using again = await RawClient.open({ port: second.port })
  const lower = await again.receiver(from, { epoch: 6 })
  assert.equal((await again.detached()).handle, lower.handle)
  await again.receiver('hub/ConsumerGroups/closed/Partitions/0', { epoch: 6 })
  await again.receiver(from, { epoch: 7 })
  await assert.rejects(again.detached(200))
})

test('a hub that somebody sends to is made where that is asked for, a name that cannot be is refused', async () => {
  await using client = await RawClient.open({ port: hubs.port })
  assert.equal(await (await client.sender('made-by-sending')).send(event), null)
  assert.equal(hubs.log.catalog.byName('made-by-sending')?.partitions, 3)
  await client.sender('no good')
  assert.equal((await client.detached()).condition, 'com.microsoft:argument-error')
})
test('a hub that is removed ends its receivers, and its senders are told', async () => {
  await hubs.log.topics.create([{ name: 'removed', partitions: 1 }])
  await using client = await RawClient.open({ port: hubs.port })
  const sender = await client.sender('removed')
  const receiver = await client.receiver('removed/ConsumerGroups/$Default/Partitions/0', { credit: 5 })
  await hubs.log.topics.remove(['removed'])
  const { handle, condition } = await client.detached(40_000)
  assert.deepEqual([handle, condition], [receiver.handle, 'amqp:not-found'])
  assert.equal(await sender.send(event), 'amqp:not-found')
})
test('what a contract refuses is rejected, or kept in the quarantine', async () => {
  await hubs.log.topics.create([
    { name: 'strict', partitions: 1 },
    { name: 'sorting', partitions: 1 },
  ])
  const schema = { type: 'object', required: ['a'] }
  await hubs.contracts.change('strict', { schema, onInvalid: 'reject' })
  await hubs.contracts.change('sorting', { schema, onInvalid: 'quarantine' })
  await using client = await RawClient.open({ port: hubs.port })
  const strict = await client.sender('strict')
  assert.equal(
    await strict.sendBatch([message({ body: Buffer.from('{"a":1}') }), event]),
    'com.microsoft:argument-error',
  )
  assert.equal(await strict.send(message({ body: Buffer.from('{"a":1}') })), null)
  const sorting = await client.sender('sorting')
  assert.equal(await sorting.send(event), null)
  const [bounds] = await hubs.log.bounds([{ topic: 'sorting.quarantine', index: 0 }])
  assert.equal(bounds!.end, 1)
})

test("Microsoft's client works over a WebSocket as over TCP", async () => {
  const options = {
    webSocketOptions: { webSocket: WebSocket, webSocketConstructorOptions: {} },
    retryOptions: { maxRetries: 0 },
  }
  // The client has TLS for WebSockets always: a port that has none is reached by its own constructor.
  class Plain extends WebSocket {
    constructor(_url: string, protocols: string[]) {
      super(`ws://127.0.0.1:${hubs.port}/$servicebus/websocket`, protocols)
    }
  }
  options.webSocketOptions.webSocket = Plain as never
  const producer = new EventHubProducerClient(hubs.connectionString, 'web', options)
  await producer.sendBatch(
    Array.from({ length: 300 }, (_, i) => ({ body: i })),
    { partitionId: '1' },
  )
  const consumer = new EventHubConsumerClient('$Default', hubs.connectionString, 'web', options)
  const bodies: unknown[] = []
  const done = Promise.withResolvers<void>()
  const subscription = consumer.subscribe(
    {
      async processEvents(events) {
        bodies.push(...events.map(({ body }) => body as unknown))
        if (bodies.length >= 300) done.resolve()
      },
      async processError(problem) {
        done.reject(problem)
      },
    },
    { startPosition: earliestEventPosition },
  )
  await done.promise
  assert.deepEqual(
    bodies,
    Array.from({ length: 300 }, (_, i) => i),
  )
  await subscription.close()
  await consumer.close()
  await producer.close()
})
test('events come in over HTTP, one or several, with key, properties and partition', async () => {
  const post = async (path: string, body: string, headers: Record<string, string> = {}): Promise<number> =>
    (await fetch(`http://127.0.0.1:${hubs.port}${path}`, { method: 'POST', body, headers })).status
  await hubs.log.topics.create([{ name: 'posted', partitions: 2 }])
  const atom = { 'content-type': 'application/atom+xml;type=entry;charset=utf-8' }
  assert.equal(await post('/posted/partitions/1/messages?timeout=60&api-version=2014-01', 'one', atom), 201)
  const batch = [
    { Body: 'two', UserProperties: { n: 1, text: 'x', half: 0.5, yes: true, none: null } },
    { Body: 'three', BrokerProperties: { PartitionKey: 'k' } },
  ]
  const json = { 'content-type': 'application/vnd.microsoft.servicebus.json' }
  assert.equal(await post('/posted/partitions/1/messages', JSON.stringify(batch), json), 201)
  assert.equal(await post('/posted/messages', 'x', { ...atom, brokerproperties: '{"PartitionKey":"k2"}' }), 201)
  assert.equal(await post('/posted/publishers/me/messages', 'x', atom), 201)
  assert.equal(await post('/posted/partitions/7/messages', 'x'), 400)
  assert.equal(await post('/_millrace_catalog/messages', 'x'), 404)
  assert.equal(await post('/posted/messages', '[{}]', json), 400)
  assert.equal(await post('/posted/messages', 'no json', json), 400)
  assert.equal(await post('/posted/messages', 'x'.repeat(2_000_000)), 413)
  assert.equal((await fetch(`http://127.0.0.1:${hubs.port}/elsewhere`)).status, 404)
  await using client = await RawClient.open({ port: hubs.port })
  const receiver = await client.receiver('posted/ConsumerGroups/$Default/Partitions/1', { credit: 3 })
  const events = await receiver.take(3)
  assert.deepEqual(
    events.map(({ data }) => String(data)),
    ['one', 'two', 'three'],
  )
  assert.deepEqual(events.map(sequenceOf), [0, 1, 2])
  assert.deepEqual(
    events[1]!.application.map(([, value]) => [value.type, value.value]),
    [
      ['long', 1n],
      ['string', 'x'],
      ['double', 0.5],
      ['boolean', true],
      ['null', null],
    ],
  )
})
test('headers of a request that are neither of HTTP nor of the service are properties of its event', async () => {
  await hubs.log.topics.create([{ name: 'with-properties', partitions: 1 }])
  const sent = await new Promise<number>((done) => {
    const headers = [
      ...[
        'Host',
        'localhost',
        'Content-Type',
        'text/plain',
        'X-Forwarded-For',
        '10.0.0.1',
        'x-ms-retrypolicy',
        'NoRetry',
      ],
      ...['Alert', 'Strong Wind', 'alert', '"two"', 'St', Buffer.from('ü').toString('latin1')],
      ...[
        'subject',
        's',
        'traceparent',
        '00-1-2-03',
        'Accept-Language',
        'de',
        'Sec-Fetch-Mode',
        'cors',
        'Date',
        'today',
      ],
    ]
    const asked = request({ port: hubs.port, method: 'POST', path: '/with-properties/messages', headers })
    asked.on('response', (answer) => done(answer.statusCode!))
    asked.end('x')
  })
  assert.equal(sent, 201)
  await using client = await RawClient.open({ port: hubs.port })
  const receiver = await client.receiver('with-properties/ConsumerGroups/$Default/Partitions/0', { credit: 1 })
  const [found] = await receiver.take(1)
  assert.deepEqual(
    found!.application.map(([name, value]) => [name.value, value.value]),
    [
      ['Alert', 'Strong Wind, "two"'],
      ['St', 'ü'],
      ['subject', 's'],
      ['traceparent', '00-1-2-03'],
    ],
  )
})

test('what passes is counted, with what was refused', async () => {
  const counts = { connections: 0, sent: 0, bytes: 0, received: 0, refused: [] as string[] }
  const meter = {
    connections: (open: number) => void (counts.connections = open),
    sent(events: number, bytes: number) {
      counts.sent += events
      counts.bytes += bytes
    },
    received: (events: number) => void (counts.received += events),
    refused: (condition: string) => void counts.refused.push(condition),
  }
  await using local = await startHubs({ meter })
  await using client = await RawClient.open({ port: local.port })
  const sender = await client.sender('hub/Partitions/0')
  assert.equal(await sender.sendBatch([event, event, event]), null)
  assert.equal(await sender.send(Buffer.from('none')), 'amqp:decode-error')
  const receiver = await client.receiver(from, { credit: 5 })
  await receiver.take(3)
  assert.deepEqual([counts.connections, counts.sent, counts.received], [1, 3, 3])
  assert.ok(counts.bytes >= 3 * event.length)
  assert.deepEqual(counts.refused, ['amqp:decode-error'])
})
test('who is over its quota is not read, or not written to, until the rate is back', async () => {
  await using local = await startHubs()
  const { users, quotas } = local.security
  await users.change([{ name: 'root', super: true, scram: await users.credentials('password of root') }])
  await quotas.change([
    { entity: { user: 'root' }, values: { producer_byte_rate: 10_000, consumer_byte_rate: 1_000_000 } },
  ])
  const sasl = { mechanism: 'PLAIN', response: Buffer.from('\0root\0password of root') }
  await using client = await RawClient.open({ port: local.port, sasl })
  const sender = await client.sender('hub/Partitions/0')
  const large = message({ body: Buffer.alloc(60_000) })
  const startMs = performance.now()
  assert.equal(await sender.send(large), null)
  assert.equal(await sender.send(large), null)
  // 120 kB at 10 kB/s, of which ten seconds may come at once.
  assert.equal(await sender.send(event), null)
  assert.ok(performance.now() - startMs > 1_500, `${performance.now() - startMs} ms`)
})
test('events of many frames wait for the window in the middle, and come whole', async () => {
  await using local = await startHubs({ hubs: { hub: 1 } })
  await using client = await RawClient.open({ port: local.port, incomingWindow: 0 })
  const sender = await client.sender('hub')
  for (let i = 0; i < 8; i++) assert.equal(await sender.send(message({ body: Buffer.alloc(200_000, i) })), null)
  await using slow = await RawClient.open({ port: local.port, incomingWindow: 1 })
  const receiver = await slow.receiver(from)
  receiver.credit(100, { incomingWindow: 1 })
  await assert.rejects(receiver.take(1, 200))
  receiver.credit(100, { incomingWindow: 1_000, nextIncomingId: 1 })
  const events = await receiver.take(8)
  assert.deepEqual(
    events.map(({ data }) => data![0]),
    [0, 1, 2, 3, 4, 5, 6, 7],
  )
})

test('a request over HTTP whose head or body does not come in time ends its connection; one that comes leaves it open', async () => {
  const real = realWorld().clock
  let isShort = true
  const clock = {
    now: () => real.now(),
    monotonic: () => real.monotonic(),
    sleep: (ms: number, signal?: AbortSignal) => real.sleep(ms, signal),
    soon: (call: () => void) => real.soon(call),
    after: (ms: number, call: () => void) => real.after(ms === limits.httpHeaderMs && isShort ? 100 : ms, call),
  }
  await using local = await startHubs({ clock })
  const heads = ['POST /hub/mess', 'POST /hub/messages HTTP/1.1\r\nhost: localhost\r\ncontent-length: 10\r\n\r\nx']
  for (const head of heads) {
    const client = await RawClient.connect(local.port)
    client.socket.write(head)
    await once(client.socket, 'close')
  }
  isShort = false
  const agent = new Agent({ keepAlive: true, maxSockets: 1 })
  const post = (): Promise<{ status: number; port: number }> =>
    new Promise((done, fail) => {
      const options = { port: local.port, host: '127.0.0.1', path: '/hub/messages', method: 'POST', agent }
      const sent = request(options, (answer) => {
        const found = { status: answer.statusCode!, port: answer.socket.localPort! }
        answer.resume().on('end', () => done(found))
      })
      sent.on('error', fail)
      sent.end('x')
    })
  const [first, second] = [await post(), await post()]
  assert.deepEqual([first.status, second.status, first.port], [201, 201, second.port])
  agent.destroy()
})

test('a hub says when it was made', async () => {
  const earliest = Date.now()
  await hubs.log.topics.create([{ name: 'dated', partitions: 1 }])
  const producer = new EventHubProducerClient(hubs.connectionString, 'dated')
  const { createdOn } = await producer.getEventHubProperties()
  await producer.close()
  assert.ok(createdOn.getTime() >= earliest && createdOn.getTime() <= Date.now())
})

test('a web page of another origin is refused, and so is a name that was pointed here', async () => {
  const asked = (headers: Record<string, string>, path = '/hub/messages'): Promise<number> =>
    new Promise((resolve, reject) => {
      const sent = request({ host: '127.0.0.1', port: hubs.port, path, method: 'POST', headers }, (answer) => {
        answer.resume()
        resolve(answer.statusCode!)
      })
      sent.on('error', reject)
      sent.end('x')
    })
  const own = `127.0.0.1:${hubs.port}`
  assert.equal(await asked({ host: own }), 201)
  assert.equal(await asked({ host: own, origin: `http://${own}` }), 201)
  assert.equal(await asked({ host: own, origin: 'https://evil.example' }), 403)
  assert.equal(await asked({ host: 'evil.example', origin: 'http://evil.example' }), 403)
  assert.equal(await asked({ host: 'evil.example' }), 403)
  assert.equal(await asked({ host: 'evil.example', 'x-ms-version': '2021-08-06' }, '/account/box'), 403)
  const opened = (headers: Record<string, string>): Promise<boolean> =>
    new Promise((resolve) => {
      const socket = new WebSocket(`ws://${own}/$servicebus/websocket`, 'AMQPWSB10', { headers })
      socket.on('open', () => resolve(true))
      socket.on('error', () => resolve(false))
    })
  assert.equal(await opened({}), true)
  assert.equal(await opened({ origin: `http://${own}` }), true)
  assert.equal(await opened({ origin: 'https://evil.example' }), false)
  assert.equal(await opened({ host: 'evil.example', origin: 'http://evil.example' }), false)
})
