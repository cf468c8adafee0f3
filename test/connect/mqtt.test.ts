/** The mqtt connector beside the MQTT gateway of another Millrace of this process; mqtt.js stands for everybody else. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt, { type IPublishPacket, type MqttClient } from 'mqtt'
import { intoOf } from '../../src/connect/mqtt/source.ts'
import { mqttTopic } from '../../src/connect/mqtt/sink.ts'
import { limits } from '../../src/lib/limits.ts'
import type { Running } from '../../src/node/millrace.ts'
import { readAll, text } from './fixture.ts'
import { opened, plain, put, until } from './millraces.ts'

const urlOf = (running: Running): string => `mqtt://${running.listening().mqtt!}`
async function client(stack: AsyncDisposableStack, running: Running): Promise<MqttClient> {
  const made = await mqtt.connectAsync(urlOf(running), { protocolVersion: 5 })
  stack.defer(() => made.endAsync(true))
  return made
}
const source = { name: 'in', kind: 'mqtt', direction: 'source' } as const
const sink = { name: 'out', kind: 'mqtt', direction: 'sink' } as const

for (const version of ['5', '3.1.1'])
  test(`a source of version ${version} takes messages, their topic as the key, and what came while it was paused`, async () => {
    await using stack = new AsyncDisposableStack()
    const [there, here] = [await opened(stack, 'mqtt'), await opened(stack, 'kafka')]
    const sender = await client(stack, there)
    const settings = { url: urlOf(there), topics: 'sensors/+/t, alarms/#', version }
    await here.connectors.create({ ...source, settings })
    // Subscribed is subscribed when a message comes through.
    await until('it is there', async () => {
      await sender.publishAsync('alarms/ping', 'ping', { qos: 1 })
      return (await plain(here, 'mqtt.alarms')).length > 0
    })
    for (let i = 0; i < 50; i++) await sender.publishAsync(`sensors/${i % 3}/t`, `v${i}`, { qos: i % 2 === 0 ? 1 : 0 })
    await sender.publishAsync('sensors/1/other', 'no', { qos: 1 })
    await until('all came', async () => (await plain(here, 'mqtt.sensors')).length === 50)
    const records = await readAll(here.log, 'mqtt.sensors')
    assert.deepEqual(
      records.map(({ key, value }) => [text(key), text(value)]),
      Array.from({ length: 50 }, (_, i) => [`sensors/${i % 3}/t`, `v${i}`]),
    )
    await here.connectors.alter('in', { paused: true })
    for (let i = 0; i < 20; i++) await sender.publishAsync('sensors/0/t', `late${i}`, { qos: 1 })
    await here.connectors.alter('in', { paused: false })
    await until('the late ones came', async () => (await plain(here, 'mqtt.sensors')).length === 70)
    const late = (await plain(here, 'mqtt.sensors')).slice(50)
    assert.deepEqual(
      late,
      Array.from({ length: 20 }, (_, i) => `late${i}`),
    )
    const info = (await here.connectors.get('in'))!
    assert.deepEqual([info.status, info.fault, info.lag], ['running', null, null])
  })

test('what goes along with a message goes along with its record, and comes back from a sink as it was', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'mqtt'), await opened(stack, 'kafka')]
  const sender = await client(stack, there)
  await here.connectors.create({ ...source, settings: { url: urlOf(there), topics: 'a/b', into: 'both' } })
  await here.connectors.create({ ...sink, settings: { url: urlOf(there), topics: 'both', into: 'copy/{key}' } })
  const got: IPublishPacket[] = []
  sender.on('message', (_topic, _payload, packet) => got.push(packet))
  await sender.subscribeAsync('copy/#', { qos: 1 })
  const properties = {
    contentType: 'application/json',
    responseTopic: 'answers/1',
    correlationData: Buffer.from([1, 2, 255]),
    userProperties: { a: '1', b: ['2', '3'] },
    payloadFormatIndicator: true,
  }
  await until('it came back', async () => {
    await sender.publishAsync('a/b', '{"n":1}', { qos: 1, properties })
    return got.length > 0
  })
  const [first] = got
  assert.equal(first?.topic, 'copy/a/b')
  assert.equal(first.payload.toString(), '{"n":1}')
  assert.deepEqual(
    { ...first.properties, userProperties: { ...first.properties?.userProperties } },
    { ...properties, userProperties: properties.userProperties },
  )
  const [record] = await readAll(here.log, 'both')
  assert.deepEqual(
    record?.headers.map(([name]) => name),
    ['mqtt-payload-format', 'content-type', 'reply-to', 'correlation-id', 'a', 'b', 'b'],
  )
})

test('a sink keeps the order with a window of two, and goes on where it was', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'mqtt'), await opened(stack, 'kafka')]
  const receiver = await client(stack, there)
  const got: string[] = []
  receiver.on('message', (topic, payload) => got.push(`${topic}=${payload.toString()}`))
  await receiver.subscribeAsync('#', { qos: 1 })
  await here.log.topics.create([{ name: 'totals', partitions: 1 }])
  const record = (key: string | null, value: string | null) => ({
    key: key === null ? null : Buffer.from(key),
    value: value === null ? null : Buffer.from(value),
    timeMs: 1_700_000_000_000,
  })
  await put(here, 'totals', 0, ...Array.from({ length: 500 }, (_, i) => record('t/x', String(i))))
  await here.connectors.create({ ...sink, settings: { url: urlOf(there), topics: 'totals', 'in.flight': '2' } })
  await until('all are there', () => got.length === 500)
  assert.deepEqual(
    got,
    Array.from({ length: 500 }, (_, i) => `t/x=${i}`),
  )
  await until('it is noted', async () => (await here.connectors.get('out'))!.lag === 0)
  await here.connectors.alter('out', { paused: true })
  await put(here, 'totals', 0, record(null, 'none'), record('a+b/#', 'wild'), record('gone', null))
  await here.connectors.alter('out', { paused: false })
  await until('the rest is there', () => got.length === 503)
  assert.deepEqual(got.slice(500), ['totals=none', 'a%2Bb/%23=wild', 'gone='])
})

test('who sends under very many names takes the topics of nobody else: the rest is kept with the reason', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'mqtt'), await opened(stack, 'kafka')]
  const sender = await client(stack, there)
  const settings = { url: urlOf(there), topics: 'd/#', into: 't.{2}' }
  await here.connectors.create({ ...source, settings })
  await until('it is there', async () => {
    await sender.publishAsync('d/first', 'ping', { qos: 1 })
    return (await plain(here, 't.first')).length > 0
  })
  const names = Array.from({ length: limits.connectorTopics + 4 }, (_, i) => `d/${i}`)
  await Promise.all(names.map((name) => sender.publishAsync(name, 'x', { qos: 1 })))
  await sender.publishAsync('d/first', 'after', { qos: 1 })
  await until('what is behind them came', async () => (await plain(here, 't.first')).includes('after'))
  await until('the rest is kept', async () => (await plain(here, 'in.dlq')).length === 5)
  const info = (await here.connectors.get('in'))!
  assert.deepEqual([info.status, info.refused, info.fault], ['running', 5, null])
})

for (const version of ['5', '3.1.1'])
  test(`of QoS 2 each message of version ${version} comes once, however often the source is opened anew`, async () => {
    await using stack = new AsyncDisposableStack()
    const [there, here] = [await opened(stack, 'mqtt'), await opened(stack, 'kafka')]
    const sender = await client(stack, there)
    const settings = { url: urlOf(there), topics: 'd/#', into: 'once', version, qos: '2', 'restart.delay': '50ms' }
    await here.connectors.create({ ...source, settings })
    await until('it is there', async () => {
      await sender.publishAsync('d/ping', 'ping', { qos: 1 })
      return (await plain(here, 'once')).length > 0
    })
    const count = 1_000
    const sending = (async () => {
      const under: Promise<unknown>[] = []
      for (let i = 0; i < count; i++) {
        under.push(sender.publishAsync('d/x', String(i), { qos: 2 }))
        if (i % 20 === 19) await sleep(5)
      }
      await Promise.all(under)
    })()
    for (let turn = 0; turn < 8; turn++) {
      await here.connectors.alter('in', { paused: true })
      await here.connectors.alter('in', { paused: false })
      await sleep(50)
    }
    await sending
    const came = async () => (await plain(here, 'once')).filter((value) => value !== 'ping')
    await until('all came', async () => (await came()).length >= count)
    await sleep(300)
    assert.deepEqual(
      await came(),
      Array.from({ length: count }, (_, i) => String(i)),
    )
    // Identifiers are given back: nothing is held for ever.
    const kept = new Map((await readAll(here.log, '_millrace_connect')).map(({ key, value }) => [text(key), value]))
    assert.deepEqual(
      [...kept].filter(([key, value]) => key.includes('/held/') && value !== null),
      [],
    )
  })

test('filters that are taken away bring nothing more, also in the session that lives on', async () => {
  await using stack = new AsyncDisposableStack()
  const [there, here] = [await opened(stack, 'mqtt'), await opened(stack, 'kafka')]
  const sender = await client(stack, there)
  await here.connectors.create({ ...source, settings: { url: urlOf(there), topics: 'a/#,b/#', into: 'all' } })
  await until('it is there', async () => {
    await sender.publishAsync('a/1', 'ping', { qos: 1 })
    return (await plain(here, 'all')).length > 0
  })
  await here.connectors.alter('in', { settings: { topics: 'b/#' } })
  await until('it runs', async () => {
    await sender.publishAsync('b/1', 'pong', { qos: 1 })
    return (await plain(here, 'all')).includes('pong')
  })
  await sender.publishAsync('a/1', 'no', { qos: 1 })
  await sender.publishAsync('b/1', 'last', { qos: 1 })
  await until('the last came', async () => (await plain(here, 'all')).includes('last'))
  assert.ok(!(await plain(here, 'all')).includes('no'))
})

test('a broker that is away or ends the connection is waited for; settings that cannot be are refused', async () => {
  await using stack = new AsyncDisposableStack()
  const here = await opened(stack, 'kafka')
  for (const settings of [
    { url: 'http://a', topics: 'a' },
    { url: 'mqtt://u:p@a', topics: 'a' },
    { url: 'mqtt://a', topics: 'a/#/b' },
    { url: 'mqtt://a', topics: 'a', 'tls.ca': '/x' },
    { url: 'mqtt://a', topics: 'a', password: 'x' },
    { url: 'mqtt://a', topics: 'a', 'in.flight': '0' },
  ])
    await assert.rejects(here.connectors.create({ ...source, settings }), { code: 'connect.invalid-setting' })
  const settings = { url: 'mqtt://127.0.0.1:9', topics: 'a', 'restart.delay': '100ms' }
  await here.connectors.create({ ...source, settings })
  await until('it says so', async () => (await here.connectors.get('in'))!.restarts > 1)
  const { fault } = (await here.connectors.get('in'))!
  assert.equal(fault?.code, 'connect.unavailable')
  const there = await opened(stack, 'mqtt')
  await here.connectors.alter('in', { settings: { url: urlOf(there) } })
  const sender = await client(stack, there)
  await until('it came', async () => {
    await sender.publishAsync('a', 'x', { qos: 1 })
    return (await plain(here, 'mqtt.a')).length > 0
  })
})

test('topics here and there have names that they can have', () => {
  assert.equal(intoOf('mqtt.{1}', 'a/b'), 'mqtt.a')
  assert.equal(intoOf('{topic}', 'a b/ü/c'), 'a_b._.c')
  assert.equal(intoOf('{2}-{3}', 'a/b'), 'b-')
  assert.equal(intoOf('{1}', '__consumer_offsets/x'), 'mqtt.__consumer_offsets')
  assert.equal(intoOf('{1}', ''), '_')
  assert.equal(mqttTopic('{topic}/{key}', 't', Buffer.from('a+')), 't/a%2B')
  assert.equal(mqttTopic('{key}', 't', null), 't')
  assert.equal(mqttTopic('{key}', 't', Buffer.from([255, 254])), '//4=')
})
