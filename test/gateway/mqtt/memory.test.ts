/** What clients can make the gateway hold: each has a limit, over all of them too. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { Server } from '../../../src/gateway/mqtt/server.ts'
import { limits } from '../../../src/lib/limits.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import { type Broker, broker, memoryWorld, quiet } from './fixture.ts'
import { RawClient } from './raw.ts'

const retainedTopic = '_millrace_mqtt_retained'
/** A broker with so many retained messages `r/0`, `r/1` … */
async function withRetained(t: TestContext, count: number, value = 'x'): Promise<Broker> {
  const world = memoryWorld()
  const before = await broker(t, { world })
  for (let from = 0; from < count; from += 1_000) {
    const records = Array.from({ length: Math.min(1_000, count - from) }, (_, i) => ({
      key: Buffer.from(`r/${from + i}`),
      value: Buffer.from(value),
      timeMs: world.clock.now(),
    }))
    await before.log.writer().append([{ partition: { topic: retainedTopic, index: 0 }, batch: encodeBatch(records) }])
  }
  await before.stop()
  return broker(t, { world })
}
async function raw(t: TestContext, port: number, id: string, more: object = {}): Promise<RawClient> {
  const client = new RawClient(port, 4)
  t.after(() => client.socket.destroy())
  await client.connect(id, more)
  return client
}
const subscribe = (client: RawClient, messageId: number, topic: string, qos: 0 | 1 | 2): void =>
  client.send({ cmd: 'subscribe', messageId, subscriptions: [{ topic, qos }] })
const published = (client: RawClient): string[] =>
  client.packets.flatMap((packet) => (packet.cmd === 'publish' ? [packet.topic] : []))
async function until(isSo: () => boolean, withinMs = 8_000): Promise<void> {
  for (const end = performance.now() + withinMs; !isSo();) {
    assert.ok(performance.now() < end, 'it does not come to that')
    await quiet(10)
  }
}

test('more retained messages than packet identifiers: a client that goes away amid them stops nobody', async (t) => {
  const { port, client } = await withRetained(t, 66_000)
  for (const clean of [true, false]) {
    const slow = await raw(t, port, `slow-${clean}`, { clean })
    subscribe(slow, 1, '#', 1)
    await until(() => published(slow).length >= limits.mqttInFlight)
    slow.socket.destroy()
  }
  await quiet(50)
  const other = await client()
  await other.mqtt.publishAsync('still/there', 'x', { qos: 1 })
})

test('retained messages come one window after another, all of them, over connections and restarts', async (t) => {
  const world = memoryWorld()
  const count = 1_500
  const first = await broker(t, { world })
  for (let i = 0; i < count; i += 500) {
    const records = Array.from({ length: 500 }, (_, n) => ({
      key: Buffer.from(`r/${i + n}`),
      value: Buffer.from('x'),
      timeMs: world.clock.now(),
    }))
    await first.log.writer().append([{ partition: { topic: retainedTopic, index: 0 }, batch: encodeBatch(records) }])
  }
  await first.stop()
  let here = await broker(t, { world })
  const got = new Set<string>()
  const take = async (client: RawClient, wanted: number): Promise<void> => {
    let seen = 0
    await until(() => {
      for (; seen < client.packets.length && got.size < wanted; seen++) {
        const packet = client.packets[seen]!
        if (packet.cmd !== 'publish') continue
        got.add(packet.topic)
        client.send({ cmd: 'puback', messageId: packet.messageId! })
      }
      return got.size >= wanted
    })
  }
  const one = await raw(t, here.port, 'kept', { clean: false })
  subscribe(one, 1, 'r/#', 1)
  await take(one, 400)
  one.socket.destroy()
  await quiet(50)
  const two = await raw(t, here.port, 'kept', { clean: false })
  await take(two, 800)
  two.socket.destroy()
  await here.stop()
  here = await broker(t, { world })
  await take(await raw(t, here.port, 'kept', { clean: false }), count)
  assert.equal(got.size, count)
})

test('who subscribes again and again and takes nothing makes no copies of what is retained', async (t) => {
  const { port } = await withRetained(t, 20_000)
  const slow = await raw(t, port, 'slow')
  slow.socket.pause()
  const before = process.memoryUsage().heapUsed
  for (let i = 1; i <= 500; i++) subscribe(slow, i, i % 2 === 0 ? '#' : 'r/+', 1)
  await quiet(1_500)
  const grown = process.memoryUsage().heapUsed - before
  // A delivery for each of them would be ten million objects.
  assert.ok(grown < 200_000_000, `${grown} bytes`)
})

test('a retained message that grows counts against what may be retained', async (t) => {
  const { client, listener } = await withRetained(t, 1)
  assert.ok(listener)
  const { mqtt } = await client({ protocolVersion: 5 })
  const payload = Buffer.alloc(1_000_000, 0x78)
  const most = Math.floor(limits.mqttRetainedBytes / payload.length) + 2
  for (let i = 0; i < most; i++) await mqtt.publishAsync(`g/${i}`, 'x', { qos: 1, retain: true })
  let refused = 0
  for (let i = 0; i < most; i++)
    await mqtt.publishAsync(`g/${i}`, payload, { qos: 1, retain: true }).catch((error: { code: number }) => {
      assert.equal(error.code, 0x97)
      refused++
    })
  assert.ok(refused > 0, 'all were taken')
  // What makes it smaller is taken.
  await mqtt.publishAsync('g/0', 'x', { qos: 1, retain: true })
})

test('who asks for answers and takes none is not read any more', async (t) => {
  const { port, client } = await broker(t)
  const deaf = await raw(t, port, 'deaf')
  deaf.socket.pause()
  const pings = Buffer.alloc(64 * 1024)
  for (let at = 0; at < pings.length; at += 2) pings[at] = 0xc0
  const before = process.memoryUsage().arrayBuffers
  for (let i = 0; i < 800; i++) if (!deaf.socket.write(pings)) await quiet(2)
  await quiet(300)
  // 52 MB of requests; those that were not read lie in the client's own socket.
  const held = deaf.socket.writableLength
  assert.ok(held > 20_000_000, `${held} bytes are left with the client`)
  assert.ok(process.memoryUsage().arrayBuffers - before - held < 30_000_000)
  const other = await client()
  await other.mqtt.publishAsync('still/there', 'x', { qos: 1 })
})

test('one large message for many devices that take nothing is not there once for each', async (t) => {
  const { port, client } = await broker(t)
  const device = async (_: unknown, i: number): Promise<RawClient> => {
    const found = await raw(t, port, `device-${i}`)
    subscribe(found, 1, 'firmware', 1)
    await found.next()
    found.socket.pause()
    return found
  }
  const devices = await Promise.all(Array.from({ length: 300 }, device))
  const before = process.memoryUsage().arrayBuffers
  const from = await client()
  const payload = Buffer.alloc(1_000_000, 0x78)
  for (let i = 0; i < 6; i++) await from.mqtt.publishAsync('firmware', payload, { qos: 1 })
  await quiet(500)
  const grown = process.memoryUsage().arrayBuffers - before
  assert.ok(grown < limits.mqttBacklogBytesInAll + 200_000_000, `${grown} bytes`)
  // Who takes gets all of them, when there is room again.
  let taken = 0
  const good = devices.at(-1)!
  for (const device of devices.slice(0, -1)) device.socket.destroy()
  good.socket.resume()
  await until(() => {
    for (const packet of good.packets.splice(0))
      if (packet.cmd === 'publish') {
        good.send({ cmd: 'puback', messageId: packet.messageId! })
        taken++
      }
    return taken >= 6
  })
})

test('filters and retained messages of many levels count with what the levels cost', async (t) => {
  const { port, listener } = await broker(t)
  assert.ok(listener instanceof Server)
  const { hub } = listener
  const deep = (i: number): string => Array.from({ length: limits.mqttTopicLevels }, (_, at) => `${i}-${at}`).join('/')
  const one = await raw(t, port, 'deep')
  one.send({ cmd: 'publish', topic: deep(0), payload: 'x', qos: 1, messageId: 1, dup: false, retain: true })
  await until(() => hub.retained.count === 1)
  assert.ok(hub.retained.bytes > limits.mqttTopicLevels * 200, `${hub.retained.bytes} bytes`)
  for (let i = 1; i <= 100; i++)
    subscribe(
      one,
      i,
      deep(i)
        .slice(0, 1_000)
        .replace(/\/[^/]*$/, ''),
      1,
    )
  await until(() => hub.counts.subscriptions === 100)
  assert.ok(hub.subscriptions.heldBytes > 100 * 100 * 200, `${hub.subscriptions.heldBytes} bytes`)
  one.send({
    cmd: 'unsubscribe',
    messageId: 200,
    unsubscriptions: Array.from({ length: 100 }, (_, i) =>
      deep(i + 1)
        .slice(0, 1_000)
        .replace(/\/[^/]*$/, ''),
    ),
  })
  await until(() => hub.counts.subscriptions === 0)
  one.socket.destroy()
  await until(() => hub.sessions.count === 0)
  assert.equal(hub.subscriptions.heldBytes, 0)
})
