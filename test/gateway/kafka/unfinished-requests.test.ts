/** Requests that begin and do not end: together they may take all the room there is, but not for long. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
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

async function gateway(t: TestContext) {
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
  return { clock, known }
}
const piece = Buffer.alloc(1024 * 1024)
const lengthOf = (bytes: number): Buffer => {
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes)
  return length
}
/** A third of all room and more. */
function begin(connection: MemoryConnection): void {
  connection.send(lengthOf(limits.kafkaFrameBytes))
  for (let sent = 0; sent < 40; sent++) connection.send(piece)
}
/** As long as it is read. */
function more(connection: MemoryConnection, bytes: number): void {
  if (connection.open && !connection.paused) connection.send(piece.subarray(0, bytes))
}

test('large requests that do not end hold up large ones alone: nobody else waits', async (t) => {
  const { known } = await gateway(t)
  const good = await known()
  for (const one of [await known(), await known(), await known()]) begin(one)
  for (let i = 0; i < 100; i++) good.send(frame)
  await turns()
  assert.ok(!good.paused)
  assert.equal(good.written.length > 1 && Buffer.concat(good.written).length, 101 * good.written[0]!.length)
  const large = await known()
  large.send(lengthOf(10_000_000))
  large.send(piece.subarray(0, 60_000))
  assert.ok(large.paused, 'one more large one waits')
  const produce = await known()
  produce.send(lengthOf(limits.kafkaOrdinaryFrameBytes))
  produce.send(piece)
  assert.ok(!produce.paused, 'one of a MiB or two does not')
})

test('of those that hold all the room who sends next to nothing gives it up in three seconds, the oldest first', async (t) => {
  const { clock, known } = await gateway(t)
  const [first, second, third] = [await known(), await known(), await known()]
  for (const one of [first, second, third]) {
    begin(one)
    clock.advance(100)
  }
  const waiting = await known()
  waiting.send(lengthOf(10_000_000))
  waiting.send(piece.subarray(0, 10))
  assert.ok(waiting.paused)
  for (let ms = 0; ms < 3_000; ms += 500) {
    // Some bytes now and then are no reason to keep everybody waiting.
    more(first, 10)
    more(second, 10)
    more(third, 1024 * 100)
    clock.advance(500)
  }
  assert.deepEqual([first.open, second.open, third.open], [false, true, true])
  assert.ok(waiting.open && !waiting.paused, 'it goes on, and has not been slow')
  for (let ms = 0; ms < 5_000; ms += 500) {
    more(waiting, 100_000)
    clock.advance(500)
  }
  assert.ok(waiting.open && second.open, 'there is room: nobody has to go')
})

test('who holds all the room and does send gives it up after some seconds, the oldest first', async (t) => {
  const { clock, known } = await gateway(t)
  const [first, second, third] = [await known(), await known(), await known()]
  for (const one of [first, second, third]) {
    begin(one)
    clock.advance(100)
  }
  const steady = (ms: number): void => {
    for (let at = 0; at < ms; at += 500) {
      for (const one of [first, second, third]) more(one, 50_000)
      clock.advance(500)
    }
  }
  steady(limits.kafkaFullMs - 2_000)
  assert.deepEqual([first.open, second.open, third.open], [true, true, true])
  steady(3_000)
  assert.deepEqual([first.open, second.open, third.open], [false, true, true])
})

test('what waits for room takes none of it: when the others are gone, all that waited go on', async (t) => {
  const { clock, known } = await gateway(t)
  const holders = [await known(), await known(), await known()]
  for (const one of holders) begin(one)
  const waiting: MemoryConnection[] = []
  for (let i = 0; i < 3_000; i++) {
    const one = await known()
    one.send(lengthOf(3_000_000))
    one.send(piece.subarray(0, 60_000))
    waiting.push(one)
  }
  assert.ok(waiting.every(({ paused, open }) => paused && open))
  clock.advance(10_000)
  assert.ok(holders.some(({ open }) => !open))
  const left = new Set(waiting)
  for (let round = 0; round < 200 && left.size > 0; round++) {
    for (const one of left) {
      if (one.paused) continue
      // The rest of it: no request at all, which ends this connection and frees what it held.
      one.send(Buffer.alloc(2_940_000))
      assert.ok(!one.open)
      left.delete(one)
    }
    await turns()
  }
  assert.equal(left.size, 0, 'all had their turn')
})

test('more waits for room than there is room: the last are refused', async (t) => {
  const { known } = await gateway(t)
  for (const one of [await known(), await known(), await known()]) begin(one)
  const waiting: MemoryConnection[] = []
  for (let i = 0; i < 4_200; i++) {
    const one = await known()
    one.send(lengthOf(3_000_000))
    one.send(piece.subarray(0, 60_000))
    waiting.push(one)
  }
  await turns()
  const open = waiting.filter((one) => one.open).length
  assert.ok(open > 3_900 && open < 4_150, `${open} of them`)
  assert.ok(waiting.slice(0, 3_900).every((one) => one.open))
})

test('where room is scarce nobody has more of it by a length alone', async (t) => {
  const { known } = await gateway(t)
  const announced: MemoryConnection[] = []
  for (let i = 0; i < 1_000; i++) {
    const one = await known()
    one.send(lengthOf(limits.kafkaOrdinaryFrameBytes))
    announced.push(one)
  }
  const good = await known()
  good.send(frame)
  await turns()
  assert.ok(!good.paused && announced.every(({ open }) => open))
  assert.equal(good.written.length, 2)
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
