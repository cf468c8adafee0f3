/** What a full disk does to clients: the one status that each of them sends every call again after, and nothing that stands halfway. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { Calls, startFixture, textOf } from './fixture.ts'

/** The guard of the disk asks again after this. */
const askedAgainMs = 400
const roomBytes = 1024 * 1024 * 1024
const unavailable = 14

test('a full disk refuses by itself, and all goes on when there is room', async () => {
  let free = roomBytes
  const world = { ...realWorld(), disk: memoryDisk({ free: () => free }) }
  await using fixture = await startFixture('data', {}, world)
  const calls = new Calls(fixture.client)
  await calls.topic('topic')
  await calls.subscription('plain', 'topic')
  await calls.subscription('once', 'topic', { enableExactlyOnceDelivery: true })
  await calls.publish('topic', 'one', 'two')
  const [once] = await calls.pull('once', 1)
  const acts = {
    publish: () => calls.publish('topic', 'three'),
    acknowledge: () => calls.acknowledge('once', once!.ackId),
    subscribe: () => calls.subscription('late', 'topic'),
    snapshot: () => calls.snapshot('snapshot', 'plain'),
    seek: () => calls.seek('plain', { time: { seconds: 1, nanos: 0 } }),
  }

  free = 0
  await sleep(askedAgainMs)
  for (const [name, act] of Object.entries(acts)) await assert.rejects(act(), { status: unavailable }, name)
  assert.deepEqual((await calls.pull('plain')).map(textOf).toSorted(), ['one', 'two'])

  free = roomBytes
  await sleep(askedAgainMs)
  for (const act of Object.values(acts)) await act()
  assert.deepEqual((await calls.pull('plain')).map(textOf).toSorted(), ['one', 'three', 'two'])
})
