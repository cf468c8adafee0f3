/** Sessions as who looks after the server sees them: listed, shown, ended, and what ends by itself. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { IClientOptions, IConnackPacket } from 'mqtt'
import { timeMs } from '../../../src/lib/brand.ts'
import type { World } from '../../../src/lib/world.ts'
import { broker, memoryWorld, quiet } from './fixture.ts'
import { RawClient } from './raw.ts'

const all = { limit: 100, after: null, isConnected: null }
/** A world whose wall clock can be put forward. */
function shifting(): { readonly world: World; forward(ms: number): void } {
  const world = memoryWorld()
  let shiftMs = 0
  const clock = { ...world.clock, now: () => timeMs(world.clock.now() + shiftMs) }
  for (const name of ['after', 'soon', 'sleep', 'monotonic'] as const)
    Object.assign(clock, { [name]: (world.clock[name] as () => void).bind(world.clock) })
  return { world: { ...world, clock }, forward: (ms) => void (shiftMs += ms) }
}
async function until(what: string, isSo: () => boolean, withinMs = 5_000): Promise<void> {
  for (const end = performance.now() + withinMs; !isSo();) {
    assert.ok(performance.now() < end, what)
    await quiet(10)
  }
}

test('a session says who is there, since when it is not, and what waits for it', async (t) => {
  const { client, listener, write, log } = await broker(t)
  await log.topics.create([{ name: 'mqtt.plant', partitions: 1 }])
  const will = { topic: 'gone/till', payload: Buffer.from('x'), qos: 1 as const, retain: false }
  const settings: IClientOptions = { clientId: 'till', clean: false, will }
  const till = await client(settings)
  await till.mqtt.subscribeAsync(['plant/#', 'shop/+'], { qos: 1 })
  await client({ clientId: 'new', protocolVersion: 5, properties: { sessionExpiryInterval: 60 } })
  const { sessions } = listener.mqttSessions.page(all)
  assert.deepEqual(
    sessions.map(({ client, version, expirySeconds, subscriptions }) => [
      client,
      version,
      expirySeconds,
      subscriptions,
    ]),
    [
      ['new', '5', 60, 0],
      ['till', '3.1.1', null, 2],
    ],
  )
  const { connectedAt, leftAt, expiresAt, will: said } = sessions[1]!
  assert.ok(Math.abs(Date.parse(connectedAt!) - Date.now()) < 10_000)
  assert.deepEqual([leftAt, expiresAt], [null, null])
  assert.deepEqual(said, { topic: 'gone/till', qos: 1, retain: false, delaySeconds: 0, dueAt: null })

  till.mqtt.stream.destroy()
  await until('it is away', () => listener.mqttSessions.find('till')?.leftAt !== null)
  for (let i = 0; i < 3; i++) await write('mqtt.plant', 'plant/1', `${i}`)
  await until('they wait', () => listener.mqttSessions.find('till')?.waiting === 3)
  const away = listener.mqttSessions.find('till')!
  assert.deepEqual([away.connectedAt, away.moreWaiting, away.expiresAt], [null, false, null])
  assert.deepEqual(away.filters, [
    { filter: 'plant/#', qos: 1 },
    { filter: 'shop/+', qos: 1 },
  ])
  assert.equal(away.will, null, 'it has been sent')
  assert.equal(listener.mqttSessions.find('nobody'), null)
})

test('after a restart more may wait than is known of', async (t) => {
  const world = memoryWorld()
  const first = await broker(t, { world })
  const { mqtt } = await first.client({ clientId: 'kept', clean: false })
  await mqtt.subscribeAsync('plant/#', { qos: 1 })
  await mqtt.endAsync()
  await (await first.client()).mqtt.publishAsync('plant/1', 'x', { qos: 1 })
  await first.stop()
  const { listener } = await broker(t, { world })
  const { waiting, moreWaiting, leftAt } = listener.mqttSessions.find('kept')!
  assert.deepEqual([waiting, moreWaiting], [0, true])
  assert.notEqual(leftAt, null)
})

test('pages bring each session once, in order, and those of one kind', async (t) => {
  const { client, listener } = await broker(t)
  const names = Array.from({ length: 25 }, (_, i) => `d-${(i * 7) % 25}`)
  for (const clientId of names) {
    const one = await client({ clientId, clean: false })
    if (clientId.endsWith('3')) await one.mqtt.endAsync()
  }
  const found: string[] = []
  for (let after: string | null = null, pages = 1; ; pages++) {
    const page = listener.mqttSessions.page({ ...all, limit: 4, after })
    found.push(...page.sessions.map(({ client }) => client))
    after = page.next
    if (after !== null) continue
    assert.equal(pages, 7)
    break
  }
  assert.deepEqual(found, names.toSorted())
  await until('they are away', () => listener.mqttSessions.page({ ...all, isConnected: false }).sessions.length === 3)
  const there = listener.mqttSessions.page({ ...all, isConnected: true }).sessions
  assert.equal(there.length, 22)
  assert.equal(listener.mqttSessions.page({ ...all, limit: 25 }).next, null)
})

test('who is connected is told that its session was ended; its will is sent, nothing of it is kept', async (t) => {
  const world = memoryWorld()
  const here = await broker(t, { world })
  const watch = await here.client()
  await watch.mqtt.subscribeAsync('gone/#', { qos: 1 })
  const raw = new RawClient(here.port, 5)
  t.after(() => raw.socket.destroy())
  const properties = { sessionExpiryInterval: 600 }
  const will = { topic: 'gone/a', payload: Buffer.from('bye'), qos: 1, retain: false, properties: {} }
  await raw.connect('a', { properties, will: { ...will, properties: { willDelayInterval: 300 } } })
  raw.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'plant/#', qos: 1 }] })
  await raw.next()
  assert.equal(await here.listener.mqttSessions.end('a'), true)
  const said = await raw.next()
  assert.deepEqual([said.cmd, 'reasonCode' in said && said.reasonCode], ['disconnect', 0x98])
  await raw.closed()
  // With the session its will is due, whatever its delay.
  assert.equal((await watch.received(1))[0]!.payload.toString(), 'bye')
  assert.equal(here.listener.mqttSessions.find('a'), null)
  assert.equal(await here.listener.mqttSessions.end('a'), false)
  await here.stop()
  const again = await broker(t, { world })
  assert.equal(again.listener.mqttSessions.find('a'), null)
  const back = await again.client({ clientId: 'a', protocolVersion: 5, clean: false })
  assert.equal(back.sessionPresent, false)
})

test('one that is away is ended, and stays so over a restart', async (t) => {
  const world = memoryWorld()
  const here = await broker(t, { world })
  const { mqtt } = await here.client({ clientId: 'old', clean: false })
  await mqtt.subscribeAsync('plant/#', { qos: 1 })
  await mqtt.endAsync()
  await until('it is away', () => here.listener.mqttSessions.find('old')?.connectedAt === null)
  assert.equal(await here.listener.mqttSessions.end('old'), true)
  assert.deepEqual(here.listener.mqttSessions.page(all).sessions, [])
  await here.stop()
  const again = await broker(t, { world })
  assert.equal((await again.client({ clientId: 'old', clean: false })).sessionPresent, false)
})

test('no session is kept longer without its client than the setting says, also one of before', async (t) => {
  const { world, forward } = shifting()
  const before = await broker(t, { world })
  const { mqtt } = await before.client({ clientId: 'for-ever', clean: false })
  await mqtt.endAsync()
  await before.stop()
  const here = await broker(t, { world, sessionExpiryMaxS: 100 })
  const raw = new RawClient(here.port, 5)
  t.after(() => raw.socket.destroy())
  const connack = await raw.connect('long', { properties: { sessionExpiryInterval: 0xffff_ffff } })
  assert.equal((connack as IConnackPacket).properties?.sessionExpiryInterval, 100)
  const short = new RawClient(here.port, 5)
  t.after(() => short.socket.destroy())
  const other = await short.connect('short', { properties: { sessionExpiryInterval: 60 } })
  assert.equal((other as IConnackPacket).properties?.sessionExpiryInterval, undefined)
  assert.equal(here.listener.mqttSessions.find('for-ever')!.expirySeconds, 100)
  assert.equal(here.listener.mqttSessions.find('short')!.expirySeconds, 60)

  forward(90_000)
  await quiet(1_200)
  assert.notEqual(here.listener.mqttSessions.find('for-ever'), null)
  forward(20_000)
  await until('it has ended', () => here.listener.mqttSessions.find('for-ever') === null)
  assert.notEqual(here.listener.mqttSessions.find('long'), null, 'its client is there')
})
