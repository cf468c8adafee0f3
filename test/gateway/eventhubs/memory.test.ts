/** What clients can make the gateway hold: each has a limit, over all of them too. */
import assert from 'node:assert/strict'
import { once } from 'node:events'
import { connect } from 'node:net'
import { after, before, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import { limits } from '../../../src/lib/limits.ts'
import { attach, begin, end, error, fieldsOf, flow, transfer, valueOf } from '../../../src/wire/amqp/composites.ts'
import { source, target, write } from '../../../src/wire/amqp/composites.ts'
import { beginFrame, endFrame, frameType } from '../../../src/wire/amqp/frames.ts'
import { ValueReader, symbol, text } from '../../../src/wire/amqp/values.ts'
import { type LocalHubs, startHubs } from './local-hubs.ts'
import { RawClient, message } from './raw-client.ts'

let hubs: LocalHubs
before(async () => {
  hubs = await startHubs({ hubs: { hub: 1 } })
})
after(() => hubs[Symbol.asyncDispose]())
const stillServes = async (): Promise<void> => {
  await using client = await RawClient.open({ port: hubs.port })
  const sender = await client.sender('hub')
  assert.equal(await sender.send(message({ body: Buffer.from('x') })), null)
}

test('arrays of items without a byte are counted together, however they are nested', async () => {
  // A list of arrays, each of ten bytes and as many nulls as one may have.
  const array = Buffer.from([0xf0, 0, 0, 0, 5, 0, 0, 0xff, 0xff, 0x40])
  const items = Buffer.concat(Array.from({ length: 6_000 }, () => array))
  const list = Buffer.alloc(9)
  list[0] = 0xd0
  list.writeUInt32BE(4 + items.length, 1)
  list.writeUInt32BE(6_000, 5)
  const bytes = Buffer.concat([list, items])
  const before = process.memoryUsage().heapUsed
  assert.throws(() => new ValueReader(bytes).value(), { code: 'wire.malformed' })
  assert.ok(process.memoryUsage().heapUsed - before < 20_000_000)
  // As the first frame of a connection.
  await using client = await RawClient.connect(hubs.port)
  const head = Buffer.from([0, 0, 0, 0, 2, 0, 0, 0])
  head.writeUInt32BE(head.length + bytes.length)
  client.socket.write(Buffer.concat([Buffer.from('AMQP\0\x01\0\0'), head, bytes]))
  await once(client.socket, 'close')
  await stillServes()
})

test('a connection has so many links, over all its sessions', async () => {
  await using client = await RawClient.open({ port: hubs.port })
  client.intercept = ({ value }) =>
    value.type === 'described' &&
    value.descriptor.type === 'ulong' &&
    value.descriptor.value !== 0x17n &&
    value.descriptor.value !== 0x11n &&
    value.descriptor.value !== 0x10n
  const per = limits.amqpLinks
  const sessions = Math.ceil(limits.amqpLinksOfConnection / per) + 1
  for (let channel = 0; channel < sessions; channel++) {
    if (channel > 0)
      client.write(channel, begin, {
        nextOutgoingId: 0,
        incomingWindow: 1_000,
        outgoingWindow: 1_000,
        handleMax: per - 1,
      })
    for (let handle = 0; handle < per; handle++)
      client.write(channel, attach, {
        name: `${channel} ${handle}`,
        handle,
        role: false,
        initialDeliveryCount: 0,
        source: valueOf(source, { address: text('raw') }),
        target: valueOf(target, { address: text('$cbs') }),
      })
  }
  const ended = await client.next(end, 10_000)
  assert.equal(ended.channel, sessions - 1)
  const { error: why } = fieldsOf(ended.value, end)
  assert.equal(why === null ? '' : fieldsOf(why, error).condition, 'amqp:resource-limit-exceeded')
  await stillServes()
})

test('what is asked for with an attach has a limit', async () => {
  await using client = await RawClient.open({ port: hubs.port })
  client.write(0, attach, {
    name: 'x',
    handle: 0,
    role: false,
    initialDeliveryCount: 0,
    target: valueOf(target, { address: text('hub') }),
    properties: [[symbol('a'), text('x'.repeat(limits.amqpAttachBytes))]],
  })
  assert.ok(fieldsOf((await client.next(end)).value, end).error)
})

test('messages that do not end are counted over all links, and nothing of what they came with is held', async () => {
  await using client = await RawClient.open({ port: hubs.port })
  const links = 40
  const senders = []
  for (let i = 0; i < links; i++) senders.push(await client.sender('hub'))
  const part = Buffer.alloc(50_000)
  let refused = 0
  for (const { handle } of senders)
    for (let sent = 0; sent + part.length < limits.amqpMessageBytes; sent += part.length) {
      client.write(0, transfer, { handle, deliveryId: handle, deliveryTag: Buffer.from([handle]), more: true }, part)
    }
  for (const _ of senders) {
    const detached = await client.detached(500).catch(() => null)
    if (detached === null) break
    assert.equal(detached.condition, 'amqp:resource-limit-exceeded')
    refused++
  }
  assert.ok(refused >= links - limits.amqpBytesWaiting / 1_000_000 - 2, `${refused} of ${links}`)
  // The room of those that were refused is there again, and a message in many small pieces is whole.
  const sender = await client.sender('hub')
  assert.equal(await sender.send(message({ body: Buffer.alloc(3_000, 0x61) }), 0, 7), null)
})

test('who asks for answers and takes none is not read any more', async () => {
  await using client = await RawClient.open({ port: hubs.port })
  const before = process.memoryUsage().arrayBuffers
  client.socket.pause()
  const out = new ByteWriter(512)
  const start = beginFrame(out, frameType.amqp, 0)
  write(out, flow, { nextIncomingId: 0, incomingWindow: 1_000, nextOutgoingId: 0, outgoingWindow: 1_000, echo: true })
  endFrame(out, start)
  const one = Buffer.from(out.done())
  const many = Buffer.concat(Array.from({ length: 2_000 }, () => one))
  for (let i = 0; i < 1_000; i++) if (!client.socket.write(many)) await sleep(2)
  await sleep(300)
  const held = client.socket.writableLength
  assert.ok(held > 10_000_000, `${held} bytes are left with the client`)
  assert.ok(process.memoryUsage().arrayBuffers - before - held < 60_000_000)
  client.intercept = () => true
  client.socket.resume()
  // It is read on when it takes them.
  for (let turn = 0; client.socket.writableLength === held; turn++) {
    assert.ok(turn < 500, 'it is not read on')
    await sleep(20)
  }
})

test('messages over WebSockets that do not come whole are held for so many bytes, over all connections', async (t) => {
  const own = limits as { -readonly [K in keyof typeof limits]: number }
  const before = own.amqpBytesWaitingInAll
  t.after(() => (own.amqpBytesWaitingInAll = before))
  own.amqpBytesWaitingInAll = 4_000_000
  const head = Buffer.from([0x82, 0xff, 0, 0, 0, 0, 0, 0x1e, 0x84, 0x80, 0, 0, 0, 0])
  const key = 'Sec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=='
  const ask = 'GET /$servicebus/websocket HTTP/1.1\r\nHost: localhost\r\nUpgrade: websocket\r\nConnection: Upgrade'
  const sockets = Array.from({ length: 10 }, () => connect({ port: hubs.port, host: '127.0.0.1' }))
  t.after(() => sockets.forEach((socket) => socket.destroy()))
  let cut = 0
  for (const socket of sockets) {
    socket.on('error', () => undefined)
    socket.on('close', () => cut++)
    socket.write(`${ask}\r\nSec-WebSocket-Protocol: AMQPWSB10\r\n${key}\r\n\r\n`)
    await once(socket, 'data')
    socket.write(Buffer.concat([head, Buffer.alloc(1_000_000)]))
  }
  const late = Date.now() + 10_000
  while (cut < 6 && Date.now() < late) await sleep(20)
  assert.ok(cut >= 6 && cut < 10, `${cut} of them were cut off`)
  // Whole messages do not add up to anything.
  own.amqpBytesWaitingInAll = 100_000
  for (const socket of sockets) socket.destroy()
  const { WebSocket } = await import('ws')
  const socket = new WebSocket(`ws://127.0.0.1:${hubs.port}/$servicebus/websocket`, 'AMQPWSB10')
  await once(socket, 'open')
  for (let i = 0; i < 20; i++) socket.ping(Buffer.alloc(100))
  socket.send(Buffer.from('AMQP\0\x01\0\0'))
  await once(socket, 'message')
  socket.close()
  await once(socket, 'close')
  own.amqpBytesWaitingInAll = before
  await stillServes()
})
