import assert from 'node:assert/strict'
import { test } from 'node:test'
import { broker, memoryWorld, quiet } from './fixture.ts'

for (const protocolVersion of [4, 5] as const) {
  test(`version ${protocolVersion}: a message arrives with the lower of both QoS`, async (t) => {
    const { client, complaints } = await broker(t)
    const to = await client({ protocolVersion })
    await to.mqtt.subscribeAsync({ 'q/0': { qos: 0 }, 'q/1': { qos: 1 }, 'q/2': { qos: 2 } })
    const from = await client({ protocolVersion })
    for (const topic of ['q/0', 'q/1', 'q/2'])
      for (const qos of [0, 1, 2] as const) await from.mqtt.publishAsync(topic, `${qos}`, { qos })
    const got = (await to.received(9)).map(({ topic, payload, qos }) => `${topic} ${payload.toString()} ${qos}`)
    assert.deepEqual(got.toSorted(), [
      'q/0 0 0',
      'q/0 1 0',
      'q/0 2 0',
      'q/1 0 0',
      'q/1 1 1',
      'q/1 2 1',
      'q/2 0 0',
      'q/2 1 1',
      'q/2 2 2',
    ])
    assert.deepEqual(complaints, [])
  })

  test(`version ${protocolVersion}: a retained message is given to who comes later, until an empty one takes it away`, async (t) => {
    const { client } = await broker(t)
    const from = await client({ protocolVersion })
    await from.mqtt.publishAsync('r/a', 'kept', { qos: 1, retain: true })
    await from.mqtt.publishAsync('r/b', 'gone', { qos: 2, retain: true })
    await from.mqtt.publishAsync('r/b', '', { qos: 1, retain: true })
    const to = await client({ protocolVersion })
    await to.mqtt.subscribeAsync('r/#', { qos: 1 })
    const [message] = await to.received(1)
    await quiet()
    assert.equal(to.messages.length, 1)
    assert.deepEqual([message!.topic, message!.payload.toString(), message!.retain], ['r/a', 'kept', true])
  })

  test(`version ${protocolVersion}: a session that is kept gets what came while its client was away`, async (t) => {
    const { client } = await broker(t)
    const kept = { protocolVersion, clientId: 'away', clean: false, properties: { sessionExpiryInterval: 600 } }
    const first = await client(kept)
    assert.equal(first.sessionPresent, false)
    await first.mqtt.subscribeAsync('away/#', { qos: 2 })
    await first.mqtt.endAsync()
    const from = await client({ protocolVersion })
    for (const qos of [0, 1, 2] as const) await from.mqtt.publishAsync('away/x', `${qos}`, { qos })
    const again = await client(kept)
    assert.equal(again.sessionPresent, true)
    await again.received(2)
    await quiet()
    assert.deepEqual(again.texts(), ['1', '2'])
  })

  test(`version ${protocolVersion}: a will is sent when the connection breaks, and not after a proper goodbye`, async (t) => {
    const { client } = await broker(t)
    const to = await client({ protocolVersion })
    await to.mqtt.subscribeAsync('will/#', { qos: 1 })
    const will = (topic: string) => ({ topic, payload: Buffer.from('dead'), qos: 1 as const, retain: false })
    const polite = await client({ protocolVersion, will: will('will/polite') })
    await polite.mqtt.endAsync()
    const broken = await client({ protocolVersion, will: will('will/broken') })
    broken.mqtt.stream.destroy()
    await to.received(1)
    await quiet()
    assert.deepEqual(
      to.messages.map(({ topic }) => topic),
      ['will/broken'],
    )
  })
}

test('a message is acknowledged when its record is in the log, with its topic as key', async (t) => {
  const { client, records } = await broker(t)
  const from = await client()
  await from.mqtt.publishAsync('plant/3/temp', '21', { qos: 1 })
  const [record] = await records('mqtt.plant')
  assert.equal(Buffer.from(record!.key!).toString(), 'plant/3/temp')
  assert.equal(Buffer.from(record!.value!).toString(), '21')
  assert.deepEqual(record!.headers, [])
})

test('a record that somebody else writes reaches subscribers of its topic', async (t) => {
  const { client, write, log } = await broker(t, { rules: [{ filter: 'orders/#', topic: 'orders' }] })
  await log.topics.create([{ name: 'orders', partitions: 1 }])
  const to = await client({ protocolVersion: 5 })
  await to.mqtt.subscribeAsync(['orders/#', 'sensors/#'], { qos: 2 })
  await write('orders', 'orders/7', 'by topic')
  await write('orders', '8', 'by key')
  await write('orders', null, 'without key', [['trace', 'abc']])
  await log.topics.create([{ name: 'mqtt.sensors', partitions: 1 }])
  await write('mqtt.sensors', 'dev1', 'default')
  const got = await to.received(4)
  assert.deepEqual(got.map(({ topic, payload, qos }) => `${topic} ${payload.toString()} ${qos}`).toSorted(), [
    'orders without key 1',
    'orders/7 by topic 1',
    'orders/8 by key 1',
    'sensors/dev1 default 1',
  ])
  assert.deepEqual({ ...got.find(({ topic }) => topic === 'orders')?.properties?.userProperties }, { trace: 'abc' })
})

test('properties of a message go into its record and out of it, user properties in order', async (t) => {
  const { client, records } = await broker(t)
  const to = await client({ protocolVersion: 5 })
  await to.mqtt.subscribeAsync('p/#', { qos: 1 })
  const from = await client({ protocolVersion: 5 })
  await from.mqtt.publishAsync('p/x', 'v', {
    qos: 1,
    properties: {
      payloadFormatIndicator: true,
      messageExpiryInterval: 60,
      contentType: 'text/plain',
      responseTopic: 'p/answers',
      correlationData: Buffer.from([1, 2, 255]),
      userProperties: { a: ['1', '2'], 'content-type': 'not it', 'mr-ttl': '1' },
    },
  })
  const [message] = await to.received(1)
  const properties = { ...message!.properties } as Record<string, unknown>
  assert.equal(properties['contentType'], 'text/plain')
  assert.equal(properties['responseTopic'], 'p/answers')
  assert.deepEqual(properties['correlationData'], Buffer.from([1, 2, 255]))
  assert.ok((properties['messageExpiryInterval'] as number) <= 60)
  assert.deepEqual(
    { ...(properties['userProperties'] as object) },
    { a: ['1', '2'], 'content-type': 'not it', 'mr-ttl': '1' },
  )
  const [record] = await records('mqtt.p')
  assert.deepEqual(
    record!.headers.map(([name, value]) => [name, Buffer.from(value!).toString('latin1')]),
    [
      ['mr-ttl', '60s'],
      ['mqtt-payload-format', '1'],
      ['content-type', 'text/plain'],
      ['reply-to', 'p/answers'],
      ['correlation-id', '\x01\x02\xff'],
      ['a', '1'],
      ['a', '2'],
      ['mqtt-user-content-type', 'not it'],
      ['mqtt-user-mr-ttl', '1'],
    ],
  )
})

test('a message whose time is over is not delivered, and its record is not read', async (t) => {
  const { client, records } = await broker(t)
  const kept = {
    protocolVersion: 5 as const,
    clientId: 'late',
    clean: false,
    properties: { sessionExpiryInterval: 600 },
  }
  const first = await client(kept)
  await first.mqtt.subscribeAsync('late/#', { qos: 1 })
  await first.mqtt.endAsync()
  const from = await client({ protocolVersion: 5 })
  await from.mqtt.publishAsync('late/a', 'short', { qos: 1, properties: { messageExpiryInterval: 1 } })
  await from.mqtt.publishAsync('late/a', 'long', { qos: 1, properties: { messageExpiryInterval: 100 } })
  await quiet(1_200)
  const again = await client(kept)
  await again.received(1)
  await quiet()
  assert.deepEqual(again.texts(), ['long'])
  assert.equal((await records('mqtt.late')).length, 1)
})

test('of a shared subscription each message goes to one member, and what a member leaves goes to another', async (t) => {
  const { client } = await broker(t)
  const members = await Promise.all([client({ protocolVersion: 5 }), client({ protocolVersion: 5 })])
  for (const one of members) await one.mqtt.subscribeAsync('$share/g/jobs/#', { qos: 1 })
  const from = await client()
  for (let i = 0; i < 20; i++) await from.mqtt.publishAsync(`jobs/${i}`, `${i}`, { qos: 1 })
  while (members[0]!.messages.length + members[1]!.messages.length < 20) await quiet(20)
  await quiet()
  const all = members.flatMap((one) => one.texts())
  assert.equal(all.length, 20)
  assert.equal(new Set(all).size, 20)
  assert.ok(members.every(({ messages }) => messages.length > 5))
  await members[0]!.mqtt.endAsync()
  await from.mqtt.publishAsync('jobs/x', 'last', { qos: 1 })
  while (!members[1]!.texts().includes('last')) await quiet(20)
})

test('a slow session falls behind in the log and loses nothing', async (t) => {
  const { client } = await broker(t)
  const to = await client({ protocolVersion: 5, properties: { receiveMaximum: 5 } })
  await to.mqtt.subscribeAsync('many/#', { qos: 1 })
  const from = await client()
  const count = 5_000
  await Promise.all(
    Array.from({ length: count }, (_, i) => from.mqtt.publishAsync(`many/${i % 7}`, `${i}`, { qos: 1 })),
  )
  const got = await to.received(count)
  assert.equal(got.length, count)
  assert.equal(new Set(to.texts()).size, count)
  const ofOne = got.filter(({ topic }) => topic === 'many/3').map(({ payload }) => Number(payload.toString()))
  assert.deepEqual(
    ofOne,
    ofOne.toSorted((a, b) => a - b),
  )
})

for (const [says, restarts] of [
  ['', false],
  [', also over a restart', true],
] as const)
  test(`a session that was away gets what is its own among much else, in order${says}`, async (t) => {
    const world = memoryWorld()
    let here = await broker(t, { world })
    const kept = {
      protocolVersion: 5 as const,
      clientId: 'away',
      clean: false,
      properties: { sessionExpiryInterval: 600, receiveMaximum: 50 },
    }
    const first = await here.client(kept)
    await first.mqtt.subscribeAsync({ 'fleet/7/#': { qos: 1 }, '$share/g/fleet/8': { qos: 1 } })
    await first.mqtt.endAsync()
    const from = await here.client()
    // More of its own than the offsets that are noted for it.
    const count = 4_500
    await Promise.all(
      Array.from({ length: count }, (_, i) =>
        from.mqtt.publishAsync(`fleet/${i % 3 === 0 ? 7 : 9}`, `${i}`, { qos: 1 }),
      ),
    )
    await from.mqtt.publishAsync('fleet/8', 'shared', { qos: 1 })
    if (restarts) {
      await here.stop()
      here = await broker(t, { world })
      const more = await here.client()
      await more.mqtt.publishAsync('fleet/7', `${count}`, { qos: 1 })
    } else await from.mqtt.publishAsync('fleet/7', `${count}`, { qos: 1 })
    const again = await here.client(kept)
    await again.received(count / 3 + 2)
    await quiet()
    const own = again.messages
      .filter(({ topic }) => topic === 'fleet/7')
      .map(({ payload }) => Number(payload.toString()))
    assert.deepEqual(
      own,
      Array.from({ length: count / 3 + 1 }, (_, i) => i * 3),
    )
    assert.equal(again.messages.length, own.length + 1)
    assert.deepEqual(here.complaints, [])
  })

test('a burst with QoS 0 reaches a client that reads', async (t) => {
  const { client } = await broker(t)
  const to = await client()
  await to.mqtt.subscribeAsync('burst', { qos: 0 })
  const from = await client()
  const payload = Buffer.alloc(400, 0x78)
  await Promise.all(Array.from({ length: 1_000 }, () => from.mqtt.publishAsync('burst', payload, { qos: 0 })))
  await to.received(1_000)
})

test('who connects with a client identifier takes its session over', async (t) => {
  const { client } = await broker(t)
  const first = await client({ protocolVersion: 5, clientId: 'same' })
  const told = new Promise<number | undefined>((resolve) =>
    first.mqtt.once('disconnect', ({ reasonCode }) => resolve(reasonCode)),
  )
  await client({ protocolVersion: 5, clientId: 'same' })
  assert.equal(await told, 0x8e)
})

test('sessions, what is retained and what waits live through a restart', async (t) => {
  const world = memoryWorld()
  const before = await broker(t, { world })
  const kept = {
    protocolVersion: 5 as const,
    clientId: 'kept',
    clean: false,
    properties: { sessionExpiryInterval: 600 },
  }
  const first = await before.client(kept)
  await first.mqtt.subscribeAsync({ 'x/#': { qos: 2 }, '$share/g/y': { qos: 1 } })
  await first.mqtt.endAsync()
  const from = await before.client()
  await from.mqtt.publishAsync('x/1', 'one', { qos: 1 })
  await from.mqtt.publishAsync('x/2', 'two', { qos: 2 })
  await from.mqtt.publishAsync('y', 'shared', { qos: 1 })
  await from.mqtt.publishAsync('r', 'retained', { qos: 1, retain: true })
  await before.stop()

  const after = await broker(t, { world })
  const again = await after.client(kept)
  assert.equal(again.sessionPresent, true)
  await again.received(3)
  await again.mqtt.subscribeAsync('r', { qos: 1 })
  await again.received(4)
  await quiet()
  assert.deepEqual(again.texts().toSorted(), ['one', 'retained', 'shared', 'two'])
  assert.deepEqual(after.complaints, [])
})

test("$SYS says what the server does, and is nobody else's", async (t) => {
  const { client } = await broker(t)
  const to = await client({ protocolVersion: 5 })
  await to.mqtt.subscribeAsync(['$SYS/#', '#'], { qos: 1 })
  const got = await to.received(5)
  assert.ok(got.some(({ topic }) => topic === '$SYS/broker/clients/connected'))
  await assert.rejects(to.mqtt.publishAsync('$SYS/broker/version', 'mine', { qos: 1 }), /Topic Name invalid/)
})

test('a key that is longer than a topic may be is cut, and what comes after it is delivered', async (t) => {
  const { client, write, log, complaints } = await broker(t)
  await log.topics.create([{ name: 'mqtt.plant', partitions: 1 }])
  const one = await client({ protocolVersion: 5 })
  const two = await client()
  for (const { mqtt } of [one, two]) await mqtt.subscribeAsync('plant/#', { qos: 1 })
  await write('mqtt.plant', 'ä'.repeat(70_000), 'long', [['correlation-id', 'y'.repeat(70_000)]])
  await write('mqtt.plant', 'k'.repeat(70_000), 'long too')
  await write('mqtt.plant', '7', 'after')
  for (const { received } of [one, two]) {
    const [first, second, third] = await received(3)
    for (const { topic } of [first!, second!]) {
      assert.ok(Buffer.byteLength(topic) < 0x10000)
      assert.match(topic, /^plant\/.*-[0-9a-f]{1,8}$/)
    }
    assert.equal(third!.payload.toString(), 'after')
  }
  assert.deepEqual(complaints, [])
})
