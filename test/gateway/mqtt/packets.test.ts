/** Packets that no client library sends: what is not allowed, and what a broken connection leaves half done. */
import assert from 'node:assert/strict'
import { test, type TestContext } from 'node:test'
import { broker, memoryWorld, quiet } from './fixture.ts'
import { RawClient } from './raw.ts'

const raw = (t: TestContext, port: number, version: 3 | 4 | 5): RawClient => {
  const client = new RawClient(port, version)
  t.after(() => client.socket.destroy())
  return client
}
const code = (packet: object): number | undefined => (packet as { reasonCode?: number }).reasonCode

const bad: readonly (readonly [what: string, bytes: number[], reason: number])[] = [
  ['a type that clients do not send', [0x20, 2, 0, 0], 0x82],
  ['flags that are reserved', [0x81, 2, 0, 1], 0x81],
  ['a length of more than four bytes', [0x30, 0xff, 0xff, 0xff, 0xff, 0x01], 0x81],
  ['QoS 3', [0x36, 5, 0, 1, 0x61, 0, 1], 0x81],
  ['a topic that is not UTF-8', [0x30, 4, 0, 1, 0xff, 0], 0x81],
  ['a topic with U+0000', [0x30, 4, 0, 1, 0, 0], 0x81],
  ['a topic with a wildcard', [0x30, 5, 0, 2, 0x61, 0x23, 0], 0x90],
  ['a packet identifier 0', [0x32, 6, 0, 1, 0x61, 0, 0, 0], 0x82],
  ['SUBSCRIBE without a filter', [0x82, 3, 0, 1, 0], 0x82],
  ['a topic alias that nobody gave', [0x30, 6, 0, 0, 3, 0x23, 0, 1], 0x94],
  ['an unknown property', [0x30, 6, 0, 1, 0x61, 2, 0x7f, 0], 0x81],
  ['a property twice', [0x30, 8, 0, 1, 0x61, 4, 0x01, 0, 0x01, 0], 0x82],
  ['a property of another packet', [0x30, 9, 0, 1, 0x61, 5, 0x11, 0, 0, 0, 1], 0x82],
  ['AUTH without a method', [0xf0, 2, 0x18, 0], 0x82],
  ['a packet that is too large', [0x30, 0xff, 0xff, 0xff, 0x7f], 0x95],
]
for (const [what, bytes, reason] of bad) {
  test(`${what}: version 5 is told 0x${reason.toString(16)}${what.includes('property') ? '' : ', version 4 is closed'}`, async (t) => {
    const { port } = await broker(t)
    const five = raw(t, port, 5)
    await five.connect('five')
    five.send(Uint8Array.from(bytes))
    const said = await five.next()
    assert.equal(said.cmd, 'disconnect')
    assert.equal(code(said), reason)
    await five.closed()
    // Before version 5 there are no properties: they are the message.
    if (what.includes('property')) return
    const four = raw(t, port, 4)
    await four.connect('four')
    four.send(Uint8Array.from(bytes))
    await four.closed()
    assert.equal(four.packets.length, 1)
  })
}

test('before CONNECT nothing is answered; twice it ends the connection', async (t) => {
  const { port } = await broker(t)
  const early = raw(t, port, 4)
  early.send({ cmd: 'pingreq' })
  await early.closed()
  assert.deepEqual(early.packets, [])
  const twice = raw(t, port, 5)
  await twice.connect('twice')
  const said = await twice.connect('twice')
  assert.deepEqual([said.cmd, code(said)], ['disconnect', 0x82])
})

test('a version that is not spoken and a method of authentication are refused by name', async (t) => {
  const { port } = await broker(t)
  const six = raw(t, port, 4)
  six.send(Uint8Array.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 6, 2, 0, 0, 0, 1, 0x61]))
  assert.equal(((await six.next()) as { returnCode?: number }).returnCode, 1)
  await six.closed()
  const scram = raw(t, port, 5)
  const said = await scram.connect('x', { properties: { authenticationMethod: 'SCRAM-SHA-256' } })
  assert.deepEqual([said.cmd, code(said)], ['connack', 0x8c])
  await scram.closed()
})

test('answers come in the order of what they answer', async (t) => {
  const { port } = await broker(t)
  const client = raw(t, port, 4)
  await client.connect('order')
  for (let id = 1; id <= 100; id++)
    client.send({
      cmd: 'publish',
      topic: `t${id % 9}/x`,
      payload: `${id}`,
      qos: id % 3 === 0 ? 2 : 1,
      messageId: id,
      dup: false,
      retain: false,
    })
  for (let id = 1; id <= 100; id++) {
    const answer = await client.next()
    assert.deepEqual([answer.cmd, answer.messageId], [id % 3 === 0 ? 'pubrec' : 'puback', id])
  }
})

for (const restarts of [false, true])
  test(`QoS 2 to us is taken once${restarts ? ', also over a restart' : ''}`, async (t) => {
    const world = memoryWorld()
    let here = await broker(t, { world })
    const connect = { clean: false, properties: { sessionExpiryInterval: 600 } }
    const publish = { cmd: 'publish', topic: 'once/a', payload: 'x', qos: 2, messageId: 7, retain: false } as const
    const first = raw(t, here.port, 5)
    await first.connect('once', connect)
    first.send({ ...publish, dup: false })
    assert.equal((await first.next()).cmd, 'pubrec')
    first.socket.destroy()
    if (restarts) {
      await here.stop()
      here = await broker(t, { world })
    }
    const second = raw(t, here.port, 5)
    await second.connect('once', connect)
    second.send({ ...publish, dup: true })
    assert.equal((await second.next()).cmd, 'pubrec')
    second.send({ cmd: 'pubrel', messageId: 7 })
    assert.equal((await second.next()).cmd, 'pubcomp')
    assert.equal((await here.records('mqtt.once')).length, 1)
    // The number is free again.
    second.send({ ...publish, dup: false })
    assert.equal((await second.next()).cmd, 'pubrec')
    assert.equal((await here.records('mqtt.once')).length, 2)
  })

for (const restarts of [false, true])
  test(`QoS 2 from us goes on where it was${restarts ? ', also over a restart' : ''}`, async (t) => {
    const world = memoryWorld()
    let here = await broker(t, { world })
    const connect = { clean: false, properties: { sessionExpiryInterval: 600 } }
    const first = raw(t, here.port, 5)
    await first.connect('half', connect)
    first.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'half/#', qos: 2 }] })
    assert.equal((await first.next()).cmd, 'suback')
    const from = await here.client()
    await from.mqtt.publishAsync('half/1', 'one', { qos: 2 })
    await from.mqtt.publishAsync('half/2', 'two', { qos: 2 })
    const one = (await first.next()) as { messageId: number }
    const two = (await first.next()) as { messageId: number }
    first.send({ cmd: 'pubrec', messageId: one.messageId })
    assert.equal((await first.next()).cmd, 'pubrel')
    first.socket.destroy()
    await quiet()
    if (restarts) {
      await here.stop()
      here = await broker(t, { world })
    }
    const second = raw(t, here.port, 5)
    assert.equal(((await second.connect('half', connect)) as { sessionPresent: boolean }).sessionPresent, true)
    const release = await second.next()
    assert.deepEqual([release.cmd, release.messageId], ['pubrel', one.messageId])
    const again = (await second.next()) as { cmd: string; messageId: number; dup: boolean; payload: Buffer }
    assert.deepEqual(
      [again.cmd, again.messageId, again.dup, again.payload.toString()],
      ['publish', two.messageId, true, 'two'],
    )
    second.send({ cmd: 'pubcomp', messageId: one.messageId })
    second.send({ cmd: 'pubrec', messageId: two.messageId })
    assert.equal((await second.next()).cmd, 'pubrel')
    second.send({ cmd: 'pubcomp', messageId: two.messageId })
    await quiet()
    assert.equal(second.packets.length, 4)
  })

test('a client that has more under way than we take is told so', async (t) => {
  const { port } = await broker(t)
  const client = raw(t, port, 5)
  const connack = (await client.connect('greedy')) as { properties?: { receiveMaximum?: number } }
  const most = connack.properties!.receiveMaximum!
  for (let id = 1; id <= most + 1; id++)
    client.send({ cmd: 'publish', topic: 'g', payload: 'x', qos: 2, messageId: id, dup: false, retain: false })
  await client.closed()
  const last = client.packets.at(-1)!
  assert.deepEqual([last.cmd, code(last)], ['disconnect', 0x93])
})

test('what a client sends behind SUBSCRIBE, whole or in part, is done after it', async (t) => {
  const { port } = await broker(t)
  const client = raw(t, port, 4)
  await client.connect('behind')
  const { generate } = await import('mqtt-packet')
  const bytes = Buffer.concat([
    generate({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'b/#', qos: 1 }] }),
    generate({ cmd: 'publish', topic: 'b/1', payload: 'one', qos: 0, dup: false, retain: false }),
    generate({ cmd: 'publish', topic: 'b/2', payload: 'two', qos: 0, dup: false, retain: false }),
  ])
  client.send(bytes.subarray(0, bytes.length - 3))
  await quiet(20)
  client.send(bytes.subarray(bytes.length - 3))
  const got = [await client.next(), await client.next(), await client.next()]
  assert.deepEqual(
    got.map(({ cmd }) => cmd),
    ['suback', 'publish', 'publish'],
  )
})

test('a client that is silent for one and a half times its keep alive is told so', async (t) => {
  const { port } = await broker(t)
  const client = raw(t, port, 5)
  await client.connect('silent', { keepalive: 1 })
  const said = await client.next(4_000)
  assert.deepEqual([said.cmd, code(said)], ['disconnect', 0x8d])
})
