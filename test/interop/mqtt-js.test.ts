/** MQTT.js, versions 3.1.1 and 5, over TCP and over WebSockets, against the product as a process. */
import assert from 'node:assert/strict'
import { setTimeout as sleep } from 'node:timers/promises'
import { after, before, describe, test } from 'node:test'
import type { IClientOptions, MqttClient } from 'mqtt'
import { type Client, connect } from '../gateway/mqtt/fixture.ts'
import { type MqttTarget, startTarget } from './mqtt/target.ts'

let target: MqttTarget
before(async () => {
  target = await startTarget()
})
after(() => target.millrace?.[Symbol.asyncDispose]())

let names = 0
const fresh = (): string => `js-${process.pid}-${names++}`

for (const [says, scheme, path, protocolVersion] of [
  ['3.1.1 over TCP', 'mqtt', '', 4],
  ['5 over TCP', 'mqtt', '', 5],
  ['3.1.1 over a WebSocket', 'ws', '/mqtt', 4],
  ['5 over a WebSocket', 'ws', '/mqtt', 5],
] as const)
  describe(`MQTT.js, version ${says}`, () => {
    const open: MqttClient[] = []
    after(() => open.forEach((client) => client.end(true)))
    const isFive = protocolVersion === 5
    async function client(options: IClientOptions = {}): Promise<Client> {
      const { properties, ...others } = options
      const settings = {
        protocolVersion,
        clientId: fresh(),
        ...others,
        ...(isFive && properties ? { properties } : {}),
      }
      const found = await connect(`${scheme}://${target.host}:${target.port}${path}`, settings)
      open.push(found.mqtt)
      return found
    }
    const kept = (clientId: string): IClientOptions => ({
      clientId,
      clean: false,
      properties: { sessionExpiryInterval: 600 },
    })

    for (const qos of [0, 1, 2] as const)
      test(`QoS ${qos}: a hundred messages arrive, in order`, async () => {
        const topic = fresh()
        const to = await client()
        await to.mqtt.subscribeAsync(topic, { qos })
        const from = await client()
        await Promise.all(Array.from({ length: 100 }, (_, i) => from.mqtt.publishAsync(topic, `${i}`, { qos })))
        await to.received(100)
        assert.deepEqual(
          to.texts(),
          Array.from({ length: 100 }, (_, i) => `${i}`),
        )
        assert.ok(to.messages.every((message) => message.qos === qos))
      })
    test('wildcards of one and of many levels', async () => {
      const topic = fresh()
      const to = await client()
      await to.mqtt.subscribeAsync([`${topic}/+/end`, `${topic}/deep/#`], { qos: 1 })
      for (const tail of ['a/end', 'a/b/end', 'deep', 'deep/1/2', 'end'])
        await to.mqtt.publishAsync(`${topic}/${tail}`, tail, { qos: 1 })
      await to.received(3)
      await sleep(100)
      assert.deepEqual(to.texts().toSorted(), ['a/end', 'deep', 'deep/1/2'])
    })
    test('overlapping subscriptions give a message once', async () => {
      const topic = fresh()
      const to = await client()
      await to.mqtt.subscribeAsync({ [`${topic}/a`]: { qos: 0 }, [`${topic}/#`]: { qos: 2 } })
      await to.mqtt.publishAsync(`${topic}/a`, 'x', { qos: 2 })
      await to.received(1)
      await sleep(100)
      assert.deepEqual(
        to.messages.map(({ qos }) => qos),
        [2],
      )
    })
    test('what is granted is said', async () => {
      const to = await client()
      const granted = await to.mqtt.subscribeAsync({
        [fresh()]: { qos: 0 },
        [fresh()]: { qos: 1 },
        [fresh()]: { qos: 2 },
      })
      assert.deepEqual(
        granted.map(({ qos }) => qos),
        [0, 1, 2],
      )
    })
    test('after unsubscribing nothing comes', async () => {
      const topic = fresh()
      const to = await client()
      await to.mqtt.subscribeAsync(topic, { qos: 1 })
      await to.mqtt.unsubscribeAsync(topic)
      await to.mqtt.publishAsync(topic, 'x', { qos: 1 })
      await sleep(150)
      assert.equal(to.messages.length, 0)
    })
    test('retained: replaced, given with its flag, taken away', async () => {
      const topic = fresh()
      const from = await client()
      for (const text of ['old', 'new']) await from.mqtt.publishAsync(topic, text, { qos: 1, retain: true })
      const to = await client()
      await to.mqtt.subscribeAsync(topic, { qos: 1 })
      const [message] = await to.received(1)
      assert.deepEqual([message!.payload.toString(), message!.retain], ['new', true])
      await from.mqtt.publishAsync(topic, '', { qos: 1, retain: true })
      const late = await client()
      await late.mqtt.subscribeAsync(topic, { qos: 1 })
      await sleep(150)
      assert.equal(late.messages.length, 0)
    })
    test('a will, when the connection breaks', async () => {
      const topic = fresh()
      const to = await client()
      await to.mqtt.subscribeAsync(topic, { qos: 1 })
      const dying = await client({ will: { topic, payload: Buffer.from('gone'), qos: 1, retain: false } })
      dying.mqtt.stream.destroy()
      await to.received(1)
      assert.deepEqual(to.texts(), ['gone'])
    })
    test('a session that is kept: what came meanwhile, once, and the session is said to be there', async () => {
      const topic = fresh()
      const id = fresh()
      const first = await client(kept(id))
      assert.equal(first.sessionPresent, false)
      await first.mqtt.subscribeAsync(topic, { qos: 2 })
      await first.mqtt.endAsync()
      const from = await client()
      for (const qos of [1, 2] as const) await from.mqtt.publishAsync(topic, `${qos}`, { qos })
      const again = await client(kept(id))
      assert.equal(again.sessionPresent, true)
      await again.received(2)
      await sleep(150)
      assert.deepEqual(again.texts().toSorted(), ['1', '2'])
    })
    test('a clean start ends the session before', async () => {
      const topic = fresh()
      const id = fresh()
      const first = await client(kept(id))
      await first.mqtt.subscribeAsync(topic, { qos: 1 })
      await first.mqtt.endAsync()
      const clean = await client({ clientId: id, clean: true })
      assert.equal(clean.sessionPresent, false)
      await clean.mqtt.publishAsync(topic, 'x', { qos: 1 })
      await sleep(150)
      assert.equal(clean.messages.length, 0)
    })
    test('the second connection with an identifier ends the first', async () => {
      const id = fresh()
      const first = await client({ clientId: id })
      const closed = new Promise((resolve) => first.mqtt.once('close', () => resolve('closed')))
      await client({ clientId: id })
      assert.equal(await Promise.race([closed, sleep(3_000, 'open')]), 'closed')
    })
    test('a message of a megabyte', async () => {
      const topic = fresh()
      const to = await client()
      await to.mqtt.subscribeAsync(topic, { qos: 1 })
      await to.mqtt.publishAsync(topic, Buffer.alloc(1_000_000, 7), { qos: 2 })
      const [message] = await to.received(1)
      assert.deepEqual(message!.payload, Buffer.alloc(1_000_000, 7))
    })
    test('bytes, an empty message, and topics of any script go through', async () => {
      const topic = `${fresh()}/Ångström/温度 🌡`
      const to = await client()
      await to.mqtt.subscribeAsync(topic, { qos: 1 })
      for (const payload of [Buffer.from([0, 255, 128]), Buffer.alloc(0)])
        await to.mqtt.publishAsync(topic, payload, { qos: 1 })
      const got = await to.received(2)
      assert.deepEqual(
        got.map((message) => [message.topic, message.payload]),
        [
          [topic, Buffer.from([0, 255, 128])],
          [topic, Buffer.alloc(0)],
        ],
      )
    })
    test('pings keep an idle connection', async () => {
      const idle = await client({ keepalive: 1 })
      await sleep(2_600)
      assert.equal(idle.mqtt.connected, true)
    })
    if (!isFive) return

    test('properties, user properties among them', async () => {
      const topic = fresh()
      const to = await client()
      await to.mqtt.subscribeAsync(topic, { qos: 1 })
      const properties = {
        contentType: 'application/json',
        responseTopic: 'answers',
        correlationData: Buffer.from('id-1'),
        userProperties: { tenant: 'a', tag: ['x', 'y'] },
      }
      await to.mqtt.publishAsync(topic, '{}', { qos: 1, properties })
      const got = { ...(await to.received(1))[0]!.properties }
      assert.deepEqual({ ...got, userProperties: { ...got.userProperties } }, properties)
    })
    test('a subscription identifier, no-local and retain-as-published', async () => {
      const topic = fresh()
      const to = await client()
      await to.mqtt.subscribeAsync(topic, { qos: 1, nl: true, properties: { subscriptionIdentifier: 5 } })
      await to.mqtt.publishAsync(topic, 'own', { qos: 1 })
      const other = await client()
      await other.mqtt.subscribeAsync(topic, { qos: 1, rap: true })
      await other.mqtt.publishAsync(topic, 'other', { qos: 1, retain: true })
      await to.received(1)
      await other.received(1)
      await sleep(100)
      assert.deepEqual(to.texts(), ['other'])
      assert.equal(to.messages[0]!.properties?.subscriptionIdentifier, 5)
      assert.equal(other.messages[0]!.retain, true)
    })
    test('a shared subscription divides messages', async () => {
      const topic = fresh()
      const members = [await client(), await client()]
      for (const one of members) await one.mqtt.subscribeAsync(`$share/team/${topic}/#`, { qos: 1 })
      for (let i = 0; i < 20; i++) await members[0]!.mqtt.publishAsync(`${topic}/${i}`, `${i}`, { qos: 1 })
      await sleep(300)
      const counts = members.map(({ messages }) => messages.length)
      assert.equal(counts[0]! + counts[1]!, 20)
      assert.ok(Math.min(...counts) >= 5, String(counts))
    })
    test('topic aliases, chosen by the client itself', async () => {
      const topic = fresh()
      const to = await client({ properties: { topicAliasMaximum: 10 } })
      await to.mqtt.subscribeAsync(topic, { qos: 1 })
      const from = await client({ autoAssignTopicAlias: true })
      for (const text of ['1', '2', '3']) await from.mqtt.publishAsync(topic, text, { qos: 1 })
      const got = await to.received(3)
      assert.deepEqual(
        got.map((message) => message.properties?.topicAlias !== undefined),
        [true, true, true],
      )
      assert.deepEqual(to.texts(), ['1', '2', '3'])
    })
    test('reasons: a filter and a topic that are not valid, an authentication method', async () => {
      const one = await client()
      await assert.rejects(one.mqtt.publishAsync('$SYS/mine', 'x', { qos: 1 }), { code: 0x90 })
      await assert.rejects(
        client({ properties: { authenticationMethod: 'none-such' } }),
        (error: Error & { code?: number }) => error.code === 0x8c || /closed|Bad authentication/.test(error.message),
      )
    })
  })
