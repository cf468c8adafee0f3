import assert from 'node:assert/strict'
import { test } from 'node:test'
import { limits } from '../../../src/lib/limits.ts'
import { broker, quiet } from './fixture.ts'
import { RawClient } from './raw.ts'

async function open(t: Parameters<typeof broker>[0], port: number): Promise<RawClient> {
  const client = new RawClient(port, 5)
  t.after(() => client.socket.destroy())
  await client.connect('limits')
  return client
}
const granted = (packet: object): readonly number[] => (packet as { granted: number[] }).granted

test('a session has so many subscriptions, and the next is refused by itself', async (t) => {
  const { port } = await broker(t)
  const client = await open(t, port)
  const filters = (from: number, count: number) =>
    Array.from({ length: count }, (_, i) => ({ topic: `l/${from + i}`, qos: 1 as const }))
  const half = limits.mqttSubscriptions / 2
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: filters(0, half) })
  assert.deepEqual(
    granted(await client.next()),
    Array.from({ length: half }, () => 1),
  )
  client.send({ cmd: 'subscribe', messageId: 2, subscriptions: [...filters(half, half), { topic: 'l/more', qos: 1 }] })
  assert.deepEqual(granted(await client.next()).slice(-2), [1, 0x97])
  // The same again takes no more room, and what is given up makes some.
  client.send({ cmd: 'subscribe', messageId: 3, subscriptions: filters(0, 1) })
  assert.deepEqual(granted(await client.next()), [1])
  client.send({ cmd: 'unsubscribe', messageId: 4, unsubscriptions: ['l/0'] })
  await client.next()
  client.send({ cmd: 'subscribe', messageId: 5, subscriptions: [{ topic: 'l/more', qos: 1 }] })
  assert.deepEqual(granted(await client.next()), [1])
})

test('filters that are none are refused each, and those beside them stand', async (t) => {
  const { port } = await broker(t)
  const client = await open(t, port)
  const deep = Array.from({ length: limits.mqttTopicLevels + 1 }, () => 'a').join('/')
  const topics = ['a/#/b', 'a+', '#a', '$share/g', '$share/+/a', '$share//a', deep, 'good/+']
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: topics.map((topic) => ({ topic, qos: 2 })) })
  assert.deepEqual(granted(await client.next()), [...topics.slice(1).map(() => 0x8f), 2])
})

test('a shared subscription with no-local is against the protocol', async (t) => {
  const { port } = await broker(t)
  const client = await open(t, port)
  client.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: '$share/g/a', qos: 1, nl: true }] })
  const said = (await client.next()) as { cmd: string; reasonCode?: number }
  assert.deepEqual([said.cmd, said.reasonCode], ['disconnect', 0x82])
})

test('more filters or user properties than a packet may have', async (t) => {
  const { port } = await broker(t)
  const many = await open(t, port)
  const subscriptions = Array.from({ length: limits.mqttFiltersPerRequest + 1 }, () => ({
    topic: 'a',
    qos: 0 as const,
  }))
  many.send({ cmd: 'subscribe', messageId: 1, subscriptions })
  assert.equal(((await many.next()) as { reasonCode?: number }).reasonCode, 0x82)
  const wordy = await open(t, port)
  const a = Array.from({ length: limits.mqttUserProperties + 1 }, () => 'x')
  const properties = { userProperties: { a } }
  wordy.send({ cmd: 'publish', topic: 'a', payload: '', qos: 0, dup: false, retain: false, properties })
  assert.equal(((await wordy.next()) as { reasonCode?: number }).reasonCode, 0x82)
})

test('a client that takes nothing costs no more than a limit, and loses what has QoS 0 alone', async (t) => {
  const { port, client, listener } = await broker(t)
  assert.ok(listener)
  const slow = new RawClient(port, 5)
  t.after(() => slow.socket.destroy())
  await slow.connect('slow')
  slow.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'big/#', qos: 1 }] })
  await slow.next()
  slow.socket.pause()
  const from = await client()
  const payload = Buffer.alloc(100_000, 0x78)
  for (let i = 0; i < 100; i++) await from.mqtt.publishAsync('big/0', payload, { qos: 0 })
  for (let i = 0; i < 100; i++) await from.mqtt.publishAsync('big/1', `${i}`, { qos: 1 })
  await quiet(300)
  slow.socket.resume()
  const firsts = new Set<string>()
  const ofTopic = (): string[] =>
    slow.packets.flatMap((packet) =>
      packet.cmd === 'publish' && packet.topic === 'big/1' ? [packet.payload.toString()] : [],
    )
  for (let turn = 0; turn < 100 && firsts.size < 100; turn++) {
    await quiet(20)
    for (const packet of slow.packets)
      if (packet.cmd === 'publish' && packet.qos === 1) slow.send({ cmd: 'puback', messageId: packet.messageId! })
    for (const text of ofTopic()) firsts.add(text)
  }
  assert.equal(firsts.size, 100)
  const big = slow.packets.filter((packet) => packet.cmd === 'publish' && packet.topic === 'big/0').length
  assert.ok(big < 100, `${big} of 100 large messages came`)
})
