/**
 * Gateway and log in a simulated machine: pieces of any size on the wire, waits, power cuts. Whatever the seed: what was
 * acknowledged is read again after the cut, in order and once; and one seed gives one run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Simulation, simulate } from '../../../src/lib/sim/world.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import type { Api, AnyShape, Decoded, Encoded } from '../../../src/wire/kafka/codec/shape.ts'
import { BufferPool } from '../../../src/lib/buffer-pool.ts'
import { FrameReader } from '../../../src/gateway/kafka/frame.ts'
import { listenKafka } from '../../../src/gateway/kafka/index.ts'
import { produceApi } from '../../../src/wire/kafka/messages/00-produce.ts'
import { fetchApi } from '../../../src/wire/kafka/messages/01-fetch.ts'
import { metadataApi } from '../../../src/wire/kafka/messages/03-metadata.ts'
import { initProducerIdApi } from '../../../src/wire/kafka/messages/22-init-producer-id.ts'
import type { Connection } from '../../../src/lib/world.ts'
import { decodeBatch, encodeBatch } from '../../../src/log/batch.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { openStore } from '../../../src/store/open.ts'
import { ownBatch, readBatchHeader } from '../../../src/store/batch-header.ts'
import { readAnswer, requestFrame } from './wire-client.ts'

class SimClient {
  private readonly connection: Connection
  private readonly waiting: ((frame: Buffer) => void)[] = []
  private correlationId = 0

  constructor(connection: Connection) {
    this.connection = connection
    const frames = new FrameReader(new BufferPool(0))
    frames.trust()
    connection.onBytes((bytes) => frames.push(bytes, ({ bytes: frame }) => this.waiting.shift()?.(frame)))
  }
  async ask<Q extends AnyShape, A extends AnyShape>(
    api: Api<Q, A>,
    version: number,
    request: Encoded<Q>,
  ): Promise<Decoded<A>> {
    const id = ++this.correlationId
    const answered = new Promise<Buffer>((resolve) => this.waiting.push(resolve))
    this.connection.write([requestFrame(api, version, id, request)])
    const { correlationId, value } = readAnswer(api, version, await answered)
    assert.equal(correlationId, id)
    return value
  }
}

const at = { host: '127.0.0.1', port: 9092 }
async function boot(machine: Simulation): Promise<SimClient> {
  const pool = new BufferPool(1_000_000, { wipes: true })
  const store = await openStore({ world: machine, dir: '/data', pool, hotBytes: 20_000 })
  const log = await openLocalLog({ world: machine, dir: '/data', store })
  await listenKafka({ world: machine, broker: log, at, pool })
  return new SimClient(await machine.net.connect(at))
}

const asTopic = (partitionData: { index: number; records: readonly Uint8Array[] }[]) => ({
  acks: -1,
  timeoutMs: 30_000,
  topicData: [{ topicId: nullUuid, name: 'events', partitionData }],
})
const partitions = 1
/** Sends without waiting, as pipelining clients do; each acknowledged value is noted. */
async function write(machine: Simulation, client: SimClient, acknowledged: Map<string, number>): Promise<void> {
  await client.ask(metadataApi, 12, {
    topics: [{ topicId: nullUuid, name: 'events' }],
    allowAutoTopicCreation: true,
    includeClusterAuthorizedOperations: false,
    includeTopicAuthorizedOperations: false,
  })
  const { producerId } = await client.ask(initProducerIdApi, 4, {
    transactionalId: null,
    transactionTimeoutMs: 0,
    enable2Pc: false,
    keepPreparedTxn: false,
  })
  const answers: Promise<void>[] = []
  for (let sequence = 0; sequence < 60; sequence++) {
    const value = `${producerId}-${sequence}`
    const size = 1 + Math.floor(machine.random.fraction() * 3000)
    const batch = encodeBatch([{ key: null, value: Buffer.from(value.padEnd(size)), timeMs: sequence }])
    ownBatch(batch, { producerId, producerEpoch: 0, baseSequence: sequence, transactional: false })
    const request = asTopic([{ index: sequence % partitions, records: [batch] }])
    answers.push(
      client.ask(produceApi, 9, request).then(({ responses }) => {
        const [one] = responses[0]!.partitionResponses
        assert.equal(one!.errorCode, 0)
        acknowledged.set(value, one!.baseOffset)
      }),
    )
    if (machine.random.fraction() < 0.4) await machine.clock.sleep(machine.random.fraction() * 5)
  }
  await Promise.all(answers)
}
async function readAll(client: SimClient): Promise<Map<string, number>> {
  const found = new Map<string, number>()
  let next = 0
  for (;;) {
    const answer = await client.ask(fetchApi, 11, {
      maxWaitMs: 50,
      minBytes: 1,
      maxBytes: 100_000,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [
        {
          topicId: nullUuid,
          topic: 'events',
          partitions: [{ partition: 0, fetchOffset: next, partitionMaxBytes: 20_000 }],
        },
      ],
      forgottenTopicsData: [],
      rackId: '',
    })
    const [one] = answer.responses[0]!.partitions
    assert.equal(one!.errorCode, 0)
    const records = one!.records!
    for (let from = 0; from < records.length;) {
      const { bytes } = readBatchHeader(records, from)
      for (const { offset, value } of decodeBatch(records.subarray(from, from + bytes)))
        if (offset >= next) {
          const text = Buffer.from(value!).toString().trim()
          assert.ok(!found.has(text), `${text} is there twice`)
          found.set(text, offset)
          next = offset + 1
        }
      from += bytes
    }
    if (next >= one!.highWatermark) return found
  }
}

async function live(seed: number): Promise<{ trace: string; acknowledged: number }> {
  const machine = simulate(seed)
  const acknowledged = new Map<string, number>()
  for (let round = 0; round < 3; round++) {
    const client = await machine.run(() => boot(machine))
    const writing = write(machine, client, acknowledged)
    writing.catch(() => {})
    await machine.advance(20 + machine.random.fraction() * 100)
    if (machine.random.fraction() < 0.5) machine.powerCut()
    else machine.kill()
  }
  const client = await machine.run(() => boot(machine))
  const found = await machine.run(() => readAll(client))
  for (const [value, offset] of acknowledged) assert.equal(found.get(value), offset, `${value} at ${offset}`)
  const order = [...found.keys()].map((value) => value.split('-').map(Number))
  for (const [i, [producer, sequence]] of order.entries()) {
    const before = order.slice(0, i).findLast(([other]) => other === producer)
    assert.equal(sequence, before === undefined ? 0 : before[1]! + 1, 'a producer is stored in order and without a gap')
  }
  return { trace: machine.trace(), acknowledged: acknowledged.size }
}

test('acknowledged over the wire, then a power cut: there, in order, once', async () => {
  const first = Number(process.env['MILLRACE_SEED'] ?? Math.floor(Math.random() * 1e9))
  let acknowledged = 0
  for (let seed = first; seed < first + 8; seed++)
    try {
      acknowledged += (await live(seed)).acknowledged
    } catch (error) {
      throw new Error(`MILLRACE_SEED=${seed}`, { cause: error })
    }
  assert.ok(acknowledged > 100, `${acknowledged} acknowledged in all`)
})
test('one seed is one run', async () => {
  assert.deepEqual(await live(42), await live(42))
})
