/** What a full disk does to clients: the one status that each of them sends every call again after, and nothing that stands halfway. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../../../src/lib/limits.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { deleteTopicRequest, seekResponse } from '../../../src/wire/pubsub/messages.ts'
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

test('when records are refused for want of space, subscribers go on, and topics are deleted', async () => {
  let free = roomBytes
  const world = { ...realWorld(), disk: memoryDisk({ free: () => free }) }
  await using fixture = await startFixture('data', {}, world)
  const calls = new Calls(fixture.client)
  await calls.topic('topic')
  await calls.subscription('once', 'topic', { enableExactlyOnceDelivery: true })
  await calls.publish('topic', 'one', 'two')
  free = limits.diskReserveBytes - 1
  await sleep(askedAgainMs)
  await assert.rejects(calls.publish('topic', 'three'), { status: unavailable })
  const received = await calls.pull('once')
  await calls.acknowledge('once', ...received.map(({ ackId }) => ackId))
  await calls.subscription('late', 'topic')
  await calls.snapshot('snapshot', 'once')
  await calls.seek('once', { snapshot: 'projects/p/snapshots/snapshot' })
  const types = [deleteTopicRequest, seekResponse] as const
  await fixture.client.call('Publisher/DeleteTopic', types, { topic: 'projects/p/topics/topic' })
})
