/** What a full disk does to clients: they are told, nothing is lost that was acknowledged, nothing is left behind of who was not let in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { diskError } from '../../../src/lib/sim/disk.ts'
import type { Disk } from '../../../src/lib/world.ts'
import { Server } from '../../../src/gateway/mqtt/server.ts'
import { broker, memoryWorld, quiet } from './fixture.ts'
import { RawClient } from './raw.ts'

/** The guard of the disk asks again after this. */
const askedAgainMs = 400

test('a full disk refuses by itself, and all goes on when there is room', async (t) => {
  let free = 1024 * 1024 * 1024
  const world = { ...memoryWorld(), disk: memoryDisk({ free: () => free }) }
  const here = await broker(t, { world })
  const kept = { protocolVersion: 5, clean: false, properties: { sessionExpiryInterval: 600 } } as const
  const reader = await here.client({ ...kept, clientId: 'reader' })
  await reader.mqtt.subscribeAsync('a/#', { qos: 2 })
  const from = await here.client({ protocolVersion: 5 })
  await from.mqtt.publishAsync('a/1', '0', { qos: 2 })
  await reader.received(1)

  free = 0
  await quiet(askedAgainMs)
  for (const qos of [1, 2] as const)
    await assert.rejects(from.mqtt.publishAsync('a/1', 'lost', { qos, retain: true }), { code: 0x97 })
  for (let i = 0; i < 20; i++) await assert.rejects(here.client({ ...kept, clientId: `new-${i}` }), { code: 0x97 })
  assert.ok(here.listener instanceof Server)
  assert.equal(here.listener.hub.sessions.count, 2)

  free = 1024 * 1024 * 1024
  await quiet(askedAgainMs)
  for (let i = 1; i <= 3; i++) await from.mqtt.publishAsync('a/1', `${i}`, { qos: 2 })
  await here.client({ ...kept, clientId: 'new-0' })
  const again = reader.mqtt.connected ? reader : await here.client({ ...kept, clientId: 'reader' })
  const texts = (): string[] => [...new Set([...reader.texts(), ...again.texts()])]
  for (let turn = 0; turn < 100 && texts().length < 4; turn++) await quiet(20)
  assert.deepEqual(texts(), ['0', '1', '2', '3'])
  assert.equal((await here.client({ protocolVersion: 5 })).sessionPresent, false)
})

const roomBytes = 1024 * 1024 * 1024
const will = { topic: 'gone/one', payload: Buffer.from('bye'), qos: 1 as const, retain: false }
/** Writes and syncs of its files fail meanwhile. */
function fails(disk: Disk, isFailing: () => boolean): void {
  const open = disk.open.bind(disk)
  disk.open = (path, mode) => {
    const file = open(path, mode)
    const [write, datasync] = [file.write.bind(file), file.datasync.bind(file)]
    file.write = (buffers, position) => {
      if (isFailing()) throw diskError('EIO', path)
      write(buffers, position)
    }
    file.datasync = async () => {
      if (isFailing()) throw diskError('EIO', path)
      await datasync()
    }
    return file
  }
}
const texts = (packets: readonly { readonly payload: string | Buffer }[]): string[] =>
  packets.map(({ payload }) => payload.toString())

test('a will that finds no room is sent when there is some', async (t) => {
  let free = roomBytes
  const here = await broker(t, { world: { ...memoryWorld(), disk: memoryDisk({ free: () => free }) } })
  const to = await here.client({ protocolVersion: 5 })
  await to.mqtt.subscribeAsync('gone/#', { qos: 1 })
  const from = await here.client({ clientId: 'mortal', will })
  free = 0
  await quiet(askedAgainMs)
  from.mqtt.stream.destroy()
  await quiet(askedAgainMs)
  free = roomBytes
  assert.deepEqual(texts(await to.received(1)), ['bye'])
  await quiet(1_500)
  assert.equal(to.messages.length, 1)
})

test('a will that finds no room is sent by the next start, once', async (t) => {
  let free = roomBytes
  const disk = memoryDisk({ free: () => free })
  const before = await broker(t, { world: { ...memoryWorld(), disk } })
  const kept = { protocolVersion: 5, clientId: 'reader', clean: false } as const
  const reader = await before.client({ ...kept, properties: { sessionExpiryInterval: 600 } })
  await reader.mqtt.subscribeAsync('gone/#', { qos: 1 })
  const from = await before.client({ clientId: 'mortal', will })
  free = 0
  await quiet(askedAgainMs)
  from.mqtt.stream.destroy()
  await quiet(1_200)
  await before.stop()
  free = roomBytes
  for (let start = 1; start <= 2; start++) {
    const here = await broker(t, { world: { ...memoryWorld(), disk } })
    const again = await here.client({ ...kept, properties: { sessionExpiryInterval: 600 } })
    await quiet(2_500)
    assert.deepEqual(texts(again.messages), start === 1 ? ['bye'] : [])
    await here.stop()
  }
})

test('a session that is ended while the disk is full stays ended over a restart', async (t) => {
  let free = roomBytes
  const disk = memoryDisk({ free: () => free })
  const before = await broker(t, { world: { ...memoryWorld(), disk } })
  const kept = {
    protocolVersion: 5,
    clientId: 'one',
    clean: false,
    properties: { sessionExpiryInterval: 600 },
  } as const
  const first = await before.client(kept)
  await first.mqtt.endAsync()
  free = 0
  await quiet(askedAgainMs)
  const clean = await before.client({ protocolVersion: 5, clientId: 'one', clean: true })
  assert.equal(clean.sessionPresent, false)
  await clean.mqtt.endAsync()
  free = roomBytes
  await quiet(askedAgainMs + 1_200)
  await before.stop()
  const after = await broker(t, { world: { ...memoryWorld(), disk } })
  assert.equal((await after.client(kept)).sessionPresent, false)
})

test('an administrator who ends a session while the disk is full is told so; it has ended all the same', async (t) => {
  let free = roomBytes
  const disk = memoryDisk({ free: () => free })
  const before = await broker(t, { world: { ...memoryWorld(), disk } })
  const settings = { clientId: 'one', clean: false } as const
  await (await before.client(settings)).mqtt.endAsync()
  free = 0
  await quiet(askedAgainMs)
  await assert.rejects(before.listener.mqttSessions.end('one'), { code: 'store.full' })
  assert.equal(before.listener.mqttSessions.find('one'), null)
  free = roomBytes
  await quiet(askedAgainMs + 1_200)
  await before.stop()
  const after = await broker(t, { world: { ...memoryWorld(), disk } })
  assert.equal((await after.client(settings)).sessionPresent, false)
})

for (const how of ['is full', 'fails'] as const)
  test(`what goes out and comes in with QoS 2 waits on its connection while the disk ${how}`, async (t) => {
    let isWell = true
    const disk = memoryDisk({ free: () => (isWell || how === 'fails' ? roomBytes : 0) })
    if (how === 'fails') fails(disk, () => !isWell)
    const here = await broker(t, { world: { ...memoryWorld(), disk } })
    const properties = { sessionExpiryInterval: 600 }
    const reader = new RawClient(here.port, 5)
    await reader.connect('reader', { clean: false, properties })
    reader.send({ cmd: 'subscribe', messageId: 1, subscriptions: [{ topic: 'a/#', qos: 2 }] })
    await reader.next()
    const writer = new RawClient(here.port, 5)
    await writer.connect('writer', { clean: false, properties })
    writer.send({ cmd: 'publish', topic: 'a/1', payload: 'x', qos: 2, messageId: 7, dup: false, retain: false })
    assert.equal((await writer.next()).cmd, 'pubrec')
    const given = await reader.next()
    assert.equal(given.cmd, 'publish')

    isWell = false
    await quiet(askedAgainMs)
    writer.send({ cmd: 'pubrel', messageId: 7 })
    reader.send({ cmd: 'pubrec', messageId: given.messageId! })
    await quiet(1_200)
    assert.deepEqual([writer.isClosed, reader.isClosed], [false, false])
    assert.deepEqual([writer.packets.length, reader.packets.length], [2, 3])

    isWell = true
    assert.equal((await writer.next()).cmd, 'pubcomp')
    assert.equal((await reader.next()).cmd, 'pubrel')
    writer.socket.destroy()
    reader.socket.destroy()
  })

test('a session that stands comes back while the disk is full, and reads on', async (t) => {
  let free = roomBytes
  const here = await broker(t, { world: { ...memoryWorld(), disk: memoryDisk({ free: () => free }) } })
  const kept = {
    protocolVersion: 5,
    clientId: 'one',
    clean: false,
    properties: { sessionExpiryInterval: 600 },
  } as const
  const first = await here.client(kept)
  await first.mqtt.subscribeAsync('a/#', { qos: 1 })
  await first.mqtt.endAsync()
  const from = await here.client({ protocolVersion: 5 })
  await from.mqtt.publishAsync('a/1', 'waits', { qos: 1 })
  free = 0
  await quiet(askedAgainMs)
  const again = await here.client(kept)
  assert.equal(again.sessionPresent, true)
  assert.deepEqual(texts(await again.received(1)), ['waits'])
  await again.mqtt.endAsync()
  // What would have to be remembered is not confirmed.
  for (const more of [{ will }, { properties: { sessionExpiryInterval: 6_000 } }])
    await assert.rejects(here.client({ ...kept, ...more }), { code: 0x97 })
})
