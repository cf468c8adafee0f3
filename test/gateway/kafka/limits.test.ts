/** Time, memory and numbers: what a client may take, and what happens to one that takes more. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { listenKafka } from '../../../src/gateway/kafka/index.ts'
import { produceApi } from '../../../src/wire/kafka/messages/00-produce.ts'
import { fetchApi } from '../../../src/wire/kafka/messages/01-fetch.ts'
import { apiVersionsApi } from '../../../src/wire/kafka/messages/18-api-versions.ts'
import { metadataApi } from '../../../src/wire/kafka/messages/03-metadata.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { limits } from '../../../src/lib/limits.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import { fakeBroker } from './fake-broker.ts'
import { HandClock, type MemoryConnection, MemoryNet } from './memory-net.ts'
import { requestFrame } from './wire-client.ts'

async function start(t: TestContext) {
  const [net, clock, broker] = [new MemoryNet(), new HandClock(), fakeBroker()]
  const complaints: string[] = []
  const note = (message: string, facts?: object): void => void complaints.push(`${message} ${JSON.stringify(facts)}`)
  const listener = await listenKafka({
    world: { net: net.asNet, clock, random: realWorld().random },
    broker,
    at: { host: '127.0.0.1', port: 9092 },
    log: { info: note, warn: note, error: note },
  })
  t.after(async () => {
    const closed = listener.close()
    clock.advance(60_000)
    await closed
  })
  return { net, clock, broker, complaints }
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const asked = { topics: [], includeClusterAuthorizedOperations: false, includeTopicAuthorizedOperations: false }
const metadataFrame = requestFrame(metadataApi, 12, 1, asked)
async function said(connection: MemoryConnection): Promise<void> {
  connection.send(metadataFrame)
  for (let i = 0; connection.written.length === 0 && i < 100; i++) await turn()
  assert.equal(connection.written.length, 1)
}

test('a client that says nothing is let go', async (t) => {
  const { net, clock, complaints } = await start(t)
  const connection = net.connect()
  clock.advance(limits.kafkaFirstRequestMs - 2000)
  assert.ok(connection.open)
  clock.advance(4000)
  assert.ok(!connection.open)
  assert.match(complaints[0]!, /no request in time/)
})
test('so is one that says it letter by letter', async (t) => {
  const { net, clock } = await start(t)
  const connection = net.connect()
  for (let at = 0; connection.open && at < metadataFrame.length; at++) {
    connection.send(metadataFrame.subarray(at, at + 1))
    clock.advance(5000)
  }
  assert.ok(!connection.open)
  assert.equal(connection.written.length, 0)
})
test('a request that stops in the middle is given up', async (t) => {
  const { net, clock } = await start(t)
  const connection = net.connect()
  await said(connection)
  clock.advance(300_000)
  assert.ok(connection.open, 'between requests there is more time')
  connection.send(metadataFrame.subarray(0, 10))
  clock.advance(limits.kafkaFrameMs - 5000)
  assert.ok(connection.open)
  clock.advance(10_000)
  assert.ok(!connection.open)
})
test('an idle client is let go without a word; one that waits for an answer is not idle', async (t) => {
  const { net, clock, broker, complaints } = await start(t)
  broker.create({ name: 't', partitions: 1 })
  const [idle, waiting] = [net.connect(), net.connect()]
  await said(idle)
  await said(waiting)
  const gate = Promise.withResolvers<void>()
  broker.gate = gate.promise
  waiting.send(produceFrame(10))
  clock.advance(limits.kafkaIdleMs + 5000)
  assert.ok(!idle.open)
  assert.ok(waiting.open)
  gate.resolve()
  assert.deepEqual(complaints, [])
})
test('a client that does not take its answers gets no further ones, and is let go in the end', async (t) => {
  const { net, clock } = await start(t)
  const connection = net.connect()
  await said(connection)
  connection.backlogBytes = limits.kafkaBacklogBytes + 1
  connection.send(Buffer.concat([metadataFrame, metadataFrame, metadataFrame]))
  for (let i = 0; i < 50; i++) await turn()
  assert.equal(connection.written.length, 2, 'the answer that found the line full was the last')
  connection.drained()
  for (let i = 0; i < 50; i++) await turn()
  assert.equal(connection.written.length, 4)
  connection.backlogBytes = limits.kafkaBacklogBytes + 1
  connection.send(metadataFrame)
  for (let i = 0; i < 50; i++) await turn()
  clock.advance(limits.kafkaStalledMs + 5000)
  assert.ok(!connection.open)
})
test('connections are limited for an address and in all', async (t) => {
  const { net } = await start(t)
  const from = (host: string, count: number): MemoryConnection[] =>
    Array.from({ length: count }, () => net.connect(host))
  const first = from('10.0.0.1', limits.kafkaConnectionsPerAddress + 1)
  assert.deepEqual([first.at(-2)!.open, first.at(-1)!.open], [true, false])
  first[0]!.destroy()
  await turn()
  assert.ok(net.connect('10.0.0.1').open, 'one went, one comes')
  from('10.0.0.2', limits.kafkaConnections - limits.kafkaConnectionsPerAddress)
  assert.ok(!net.connect('10.0.0.3').open)
})
test('complaints are counted when there are too many to be said', async (t) => {
  const { net, clock, complaints } = await start(t)
  for (let i = 0; i < 500; i++) net.connect().send(Buffer.from('ffffffff', 'hex'))
  clock.advance(1000)
  assert.equal(complaints.length, 11)
  assert.match(complaints.at(-1)!, /490/)
})

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const held = (): number => {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}
test('an idle connection costs little; one that announces much, no more', async (t) => {
  const { net } = await start(t)
  const count = 5000
  const [connections, before] = [[] as MemoryConnection[], held()]
  for (let i = 0; i < count; i++) connections.push(net.connect())
  const idle = (held() - before) / count
  assert.ok(idle < 3000, `${idle} bytes for an idle connection`)
  for (const connection of connections) connection.send(Buffer.from('00100000' + '0003', 'hex'))
  const announced = (held() - before) / count
  assert.ok(announced < 20_000, `${announced} bytes for one that announced a megabyte`)
  for (const connection of connections) assert.ok(connection.open)
})
test('bytes in flight of all together stop those who begin; those who have begun finish', async (t) => {
  const { net, broker } = await start(t)
  broker.create({ name: 't', partitions: 1 })
  const gate = Promise.withResolvers<void>()
  broker.gate = gate.promise
  const frame = produceFrame(20_000_000)
  const busy: MemoryConnection[] = []
  const late = net.connect()
  await said(late)
  late.send(frame.subarray(0, 1000))
  for (let sum = 0; sum <= limits.kafkaBytesInFlight; sum += frame.length) {
    const connection = net.connect()
    await said(connection)
    connection.send(frame)
    busy.push(connection)
  }
  const next = net.connect()
  await said(next)
  next.send(frame.subarray(0, 1000))
  assert.ok(next.paused, 'a new one waits')
  const ordinary = net.connect()
  ordinary.send(metadataFrame)
  await turn()
  assert.ok(!ordinary.paused, 'one that is not large does not')
  assert.equal(ordinary.written.length, 1)
  assert.ok(!late.paused, 'one in the middle of a frame does not')
  gate.resolve()
  for (let i = 0; i < 50; i++) await turn()
  assert.ok(!next.paused)
  assert.ok(busy.every((connection) => connection.open && connection.written.length === 2))
})
function produceFrame(bytes: number): Buffer {
  const records = [encodeBatch([{ key: null, value: Buffer.alloc(bytes), timeMs: 1 }])]
  const topicData = [{ topicId: nullUuid, name: 't', partitionData: [{ index: 0, records }] }]
  return requestFrame(produceApi, 9, 1, { acks: -1, timeoutMs: 1000, topicData })
}
test('a fetch asks the log for no more than its bounds, whatever the client asks', async (t) => {
  const { net, broker } = await start(t)
  broker.create({ name: 't', partitions: 1 })
  const seen: unknown[] = []
  const { fetch } = broker
  broker.fetch = (request, signal) => {
    seen.push([request.maxBytes, request.minBytes, request.maxWaitMs])
    return fetch.call(broker, { ...request, maxWaitMs: 0 }, signal)
  }
  const connection = net.connect()
  const most = 0x7fff_ffff
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: most }]
  connection.send(
    requestFrame(fetchApi, 11, 1, {
      maxWaitMs: most,
      minBytes: most,
      maxBytes: most,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [{ topicId: nullUuid, topic: 't', partitions }],
      forgottenTopicsData: [],
      rackId: '',
    }),
  )
  for (let i = 0; connection.written.length === 0 && i < 100; i++) await turn()
  assert.deepEqual(seen, [[limits.kafkaFetchBytes, limits.kafkaFetchBytes, limits.kafkaFetchWaitMs]])
})

test('answers that nobody takes leave less for the next ones', async (t) => {
  const { net, broker } = await start(t)
  broker.create({ name: 't', partitions: 1 })
  const seen: number[] = []
  broker.fetch = async ({ entries, maxBytes }) => {
    seen.push(maxBytes)
    const [{ partition, offset }] = entries as [(typeof entries)[0]]
    const bounds = { start: offset, highWatermark: offset, stable: offset }
    return [{ partition, ...bounds, records: [], aborted: [], fault: null, release: () => {} }]
  }
  const partitions = [{ partition: 0, fetchOffset: 0, partitionMaxBytes: 1 }]
  const frame = requestFrame(fetchApi, 11, 1, {
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 0x7fff_ffff,
    isolationLevel: 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [{ topicId: nullUuid, topic: 't', partitions }],
    forgottenTopicsData: [],
    rackId: '',
  })
  const ask = async (owed: number): Promise<MemoryConnection> => {
    const connection = net.connect()
    connection.backlogBytes = owed
    connection.send(frame)
    for (let i = 0; connection.written.length === 0 && i < 100; i++) await turn()
    return connection
  }
  const owing = [await ask(limits.kafkaAnswerBytes - 1_000_000), await ask(990_000)]
  await ask(0)
  for (const connection of owing) connection.drained()
  await ask(0)
  assert.deepEqual(seen, [limits.kafkaFetchBytes, 1_000_000, limits.kafkaAnswerBytesMin, limits.kafkaFetchBytes])
})

test('thousands of requests in one piece are answered one by one', async (t) => {
  const { net, complaints } = await start(t)
  const connection = net.connect()
  const count = 20_000
  connection.send(Buffer.concat(Array.from({ length: count }, () => requestFrame(apiVersionsApi, 0, 1, noSoftware))))
  const answerBytes = (): number => connection.written.reduce((sum, bytes) => sum + bytes.length, 0)
  let before = -1
  while (answerBytes() !== before) {
    before = answerBytes()
    for (let i = 0; i < 20; i++) await turn()
  }
  assert.deepEqual(complaints, [])
  assert.equal(answerBytes() / count, connection.written[0]!.readInt32BE(0) + 4)
})
const noSoftware = { clientSoftwareName: '', clientSoftwareVersion: '' }
