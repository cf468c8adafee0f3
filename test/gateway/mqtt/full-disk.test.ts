/** What a full disk does to clients: they are told, nothing is lost that was acknowledged, nothing is left behind of who was not let in. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { Server } from '../../../src/gateway/mqtt/server.ts'
import { broker, memoryWorld, quiet } from './fixture.ts'

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
