/** Requests that begin and do not end: together they may take all the room there is, but not for long. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { listenKafka } from '../../../src/gateway/kafka/index.ts'
import { limits } from '../../../src/lib/limits.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { apiVersionsApi } from '../../../src/wire/kafka/messages/18-api-versions.ts'
import { fakeBroker } from './fake-broker.ts'
import { HandClock, type MemoryConnection, MemoryNet } from './memory-net.ts'
import { requestFrame } from './wire-client.ts'

const frame = requestFrame(apiVersionsApi, 0, 1, { clientSoftwareName: '', clientSoftwareVersion: '' })
const turns = async (): Promise<void> => {
  for (let i = 0; i < 20; i++) await new Promise((resolve) => setImmediate(resolve))
}

test('who holds all the room with requests that do not end gives it up after some seconds, the oldest first', async (t) => {
  const [net, clock] = [new MemoryNet(), new HandClock()]
  const world = { net: net.asNet, clock, random: realWorld().random }
  const listener = await listenKafka({ world, broker: fakeBroker(), at: { host: '127.0.0.1', port: 9092 } })
  t.after(async () => {
    const closed = listener.close()
    clock.advance(60_000)
    await closed
  })
  const known = async (): Promise<MemoryConnection> => {
    const connection = net.connect()
    connection.send(frame)
    await turns()
    assert.equal(connection.written.length, 1)
    return connection
  }
  const piece = Buffer.alloc(1024 * 1024)
  /** A third of all room and more. */
  const begin = (connection: MemoryConnection): void => {
    const length = Buffer.alloc(4)
    length.writeInt32BE(limits.kafkaFrameBytes)
    connection.send(length)
    for (let sent = 0; sent < 40; sent++) connection.send(piece)
  }
  const good = await known()
  const [first, second, third] = [await known(), await known(), await known()]
  begin(first)
  clock.advance(1_000)
  begin(second)
  clock.advance(1_000)
  begin(third)
  good.send(frame)
  await turns()
  assert.ok(good.paused, 'nobody else is read any more')
  for (let ms = 0; ms < limits.kafkaFullMs + 1_000; ms += 500) {
    // Some bytes now and then are no reason to keep everybody waiting.
    for (const one of [first, second, third]) if (one.open) one.send(piece.subarray(0, 10))
    clock.advance(500)
  }
  assert.deepEqual([first.open, second.open, third.open], [false, true, true])
  assert.ok(!good.paused)
  good.send(frame)
  await turns()
  assert.equal(good.written.length, 3)
})

test('with room for all an unfinished request has its full time', async (t) => {
  const [net, clock] = [new MemoryNet(), new HandClock()]
  const world = { net: net.asNet, clock, random: realWorld().random }
  const listener = await listenKafka({ world, broker: fakeBroker(), at: { host: '127.0.0.1', port: 9092 } })
  t.after(async () => {
    const closed = listener.close()
    clock.advance(60_000)
    await closed
  })
  const connection = net.connect()
  connection.send(frame)
  await turns()
  connection.send(frame.subarray(0, 10))
  clock.advance(limits.kafkaFrameMs - 5_000)
  assert.ok(connection.open)
})
