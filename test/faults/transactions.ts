/**
 * Transactional producers that go on through every crash, and what must be true of their records.
 *
 * Each has a transactional id and writes numbered transactions, each a record or more in every one of its topics' partitions;
 * some are aborted. It repeats what was not acknowledged with the same sequences, and asks for an end until it is answered.
 * Exactly once means: a committed reader finds every transaction whose commit was answered, whole, in order and once, and
 * nothing of one that was not.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { WireClient } from '../gateway/kafka/wire-client.ts'
import { nullUuid } from '../../src/wire/kafka/codec/shape.ts'
import { decodeBatch, encodeBatch } from '../../src/log/batch.ts'
import { batchesOf } from '../../src/log/local/system-log.ts'
import { attribute, ownBatch, readBatchHeader } from '../../src/store/batch-header.ts'
import { produceApi } from '../../src/wire/kafka/messages/00-produce.ts'
import { fetchApi } from '../../src/wire/kafka/messages/01-fetch.ts'
import { createTopicsApi } from '../../src/wire/kafka/messages/19-create-topics.ts'
import { initProducerIdApi } from '../../src/wire/kafka/messages/22-init-producer-id.ts'
import { endTxnApi } from '../../src/wire/kafka/messages/26-end-txn.ts'

/** Unknown server error, leadership, time-outs, coordinators that are not there, storage, a transaction being changed. */
const passing = new Set([-1, 3, 5, 6, 7, 13, 14, 15, 16, 19, 20, 51, 56])
const invalidProducerEpoch = 47
const retryMs = 20

interface Attempt {
  readonly number: number
  commits: boolean
  fate: 'open' | 'committed' | 'aborted'
}

export class TransactionLoad {
  readonly #address: string
  readonly #config: Readonly<Record<string, string>>
  readonly topics: readonly string[]
  readonly #producers: Producer[]
  #loops: Promise<void>[] = []
  running = false
  #isAbandoned = false
  /** What cannot be written whole is aborted. */
  givesUp = false
  readonly complaints: string[] = []

  constructor(
    address: string,
    name: string,
    producers: number,
    random: () => number,
    config: Readonly<Record<string, string>> = {},
  ) {
    this.#address = address
    this.#config = { 'segment.bytes': '1048576', ...config }
    this.topics = [`${name}-left`, `${name}-right`]
    this.#producers = Array.from({ length: producers }, (_, i) => new Producer(this, i, `${name}-${i}`, random))
  }
  async start(): Promise<void> {
    await this.with(async (client) => {
      const topics = this.topics.map((name) => ({
        name,
        numPartitions: 1,
        replicationFactor: 1,
        assignments: [],
        configs: Object.entries(this.#config).map(([key, value]) => ({ name: key, value })),
      }))
      await client.ask(createTopicsApi, 7, { topics, timeoutMs: 10_000, validateOnly: false })
    })
    this.running = true
    this.#loops = this.#producers.map((producer) => this.#loop(producer))
  }
  /** Everybody comes to the end of what is open. */
  async stop(): Promise<void> {
    this.running = false
    await Promise.all(this.#loops)
  }
  /** The same when nothing more can be written. False: what is open did not come to its end in time. */
  async giveUpWriting(withinMs: number): Promise<boolean> {
    this.givesUp = true
    this.running = false
    const inTime = await Promise.race([
      Promise.all(this.#loops).then(() => true),
      sleep(withinMs, false, { ref: false }),
    ])
    if (!inTime) this.abandon()
    return inTime
  }
  /** When there is nobody left who could answer. */
  abandon(): void {
    this.running = false
    this.#isAbandoned = true
  }
  async with<T>(work: (client: WireClient) => Promise<T>): Promise<T> {
    const [host, port] = this.#address.split(':') as [string, string]
    const client = await WireClient.open({ host, port: Number(port) })
    try {
      return await work(client)
    } finally {
      client.close()
    }
  }
  async #loop(producer: Producer): Promise<void> {
    while (this.running || (producer.isInTransaction && !this.#isAbandoned)) {
      try {
        await this.with((client) => producer.session(client))
      } catch {
        // The connection is gone, as is meant to happen.
        await sleep(retryMs)
      }
    }
  }
  get counts(): { committed: number; aborted: number } {
    const all = this.#producers.flatMap(({ attempts }) => attempts)
    const of = (fate: Attempt['fate']): number => all.filter((one) => one.fate === fate).length
    return { committed: of('committed'), aborted: of('aborted') }
  }
  /** What a committed reader finds, held against what was answered. The load must have been stopped. */
  async check(): Promise<string[]> {
    const problems = [...this.complaints]
    for (const topic of this.topics) {
      const { records } = await this.with((client) => readPartition(client, { topic, partition: 0, committed: true }))
      for (const { name, attempts } of this.#producers) {
        const expected = attempts.filter(({ fate }) => fate === 'committed').map(({ number }) => `${name}:${number}`)
        const mine = records.map(({ value }) => value).filter((value) => value.startsWith(`${name}:`))
        const at = mine.findIndex((value, i) => value !== expected[i])
        if (mine.length !== expected.length || at >= 0)
          problems.push(
            `${topic}: producer ${name} committed ${expected.length} transactions, ${mine.length} are there; ` +
              `the first that differs is ${mine[at]}, expected ${expected[at]}`,
          )
      }
    }
    return problems
  }
}

class Producer {
  readonly name: number
  readonly attempts: Attempt[] = []
  readonly #load: TransactionLoad
  readonly #id: string
  readonly #random: () => number
  #identity: { producerId: number; producerEpoch: number } | null = null
  #current: Attempt | null = null
  /** Topics that the open transaction has yet to be acknowledged in. */
  #left: string[] = []

  constructor(load: TransactionLoad, name: number, id: string, random: () => number) {
    this.#load = load
    this.name = name
    this.#id = id
    this.#random = random
  }
  get isInTransaction(): boolean {
    return this.#current !== null
  }
  async session(client: WireClient): Promise<void> {
    while (this.#load.running || this.#current !== null) {
      const error = await this.#step(client)
      if (error === 0) continue
      if (!passing.has(error)) {
        this.#load.complaints.push(`transactional producer ${this.name}: error ${error}`)
        this.#load.running = false
        this.#current = null
        return
      }
      await sleep(retryMs)
    }
  }
  async #step(client: WireClient): Promise<number> {
    if (this.#identity === null) return this.#init(client)
    if (this.#current === null) {
      this.#current = { number: this.attempts.length, commits: this.#random() < 0.7, fate: 'open' }
      this.attempts.push(this.#current)
      this.#left = [...this.#load.topics]
      if (this.#random() < 0.2) await sleep(this.#random() * 30)
    }
    if (this.#load.givesUp && this.#left.length > 0) {
      this.#current.commits = false
      this.#left = []
    }
    return this.#left.length > 0 ? this.#write(client, this.#left[0]!) : this.#end(client)
  }
  async #init(client: WireClient): Promise<number> {
    const none = { producerId: -1, producerEpoch: -1, enable2Pc: false, keepPreparedTxn: false }
    const asked = { transactionalId: this.#id, transactionTimeoutMs: 600_000, ...none }
    const { errorCode, producerId, producerEpoch } = await client.ask(initProducerIdApi, 5, asked)
    if (errorCode === 0) this.#identity = { producerId, producerEpoch }
    return errorCode
  }
  async #write(client: WireClient, topic: string): Promise<number> {
    const value = Buffer.from(`${this.name}:${this.#current!.number}`)
    const records = encodeBatch([{ key: null, value, timeMs: Date.now() }])
    ownBatch(records, { ...this.#identity!, baseSequence: 0, transactional: true })
    const topicData = [{ topicId: nullUuid, name: topic, partitionData: [{ index: 0, records: [records] }] }]
    const asked = { transactionalId: this.#id, acks: -1, timeoutMs: 10_000, topicData }
    const { responses } = await client.ask(produceApi, 12, asked)
    const { errorCode } = responses[0]!.partitionResponses[0]!
    if (errorCode === 0) this.#left.shift()
    if (errorCode !== invalidProducerEpoch) return errorCode
    // What a crash left without the record that says whose it is was aborted there: as with Kafka's clients, so is the rest.
    this.#current!.commits = false
    this.#left = []
    return 0
  }
  async #end(client: WireClient): Promise<number> {
    const current = this.#current!
    const asked = { transactionalId: this.#id, ...this.#identity!, committed: current.commits }
    const { errorCode, producerId, producerEpoch } = await client.ask(endTxnApi, 5, asked)
    if (errorCode !== 0) return errorCode
    current.fate = current.commits ? 'committed' : 'aborted'
    this.#current = null
    this.#identity = { producerId, producerEpoch }
    return 0
  }
}

export interface Found {
  readonly offset: number
  readonly value: string
}
export interface FoundLog {
  readonly end: number
  readonly records: readonly Found[]
}

/** A partition to its end as a reader of either kind takes it; committed: without what was aborted. Nothing may be open. */
export async function readPartition(
  client: WireClient,
  from: { topic: string; partition: number; committed: boolean },
): Promise<FoundLog> {
  const { topic, committed } = from
  const found: Found[] = []
  const giveUp = performance.now() + 10_000
  for (let offset = 0; ;) {
    const answer = await fetchFrom(client, { ...from, offset })
    const { errorCode, records, abortedTransactions, lastStableOffset, highWatermark } = answer
    if (errorCode !== 0) throw new Error(`reading ${topic} at ${offset}: error ${errorCode}`)
    // The last marker may still be on its way to the disk.
    if (lastStableOffset !== highWatermark && performance.now() < giveUp) {
      await sleep(retryMs)
      continue
    }
    if (lastStableOffset !== highWatermark)
      throw new Error(`${topic} ends at ${highWatermark}, for committed readers at ${lastStableOffset}`)
    if (offset >= lastStableOffset) return { end: offset, records: found }
    const before = offset
    // As clients do: a producer's records are aborted from the first offset told until its next marker.
    const aborted = new Set<number>()
    const waiting = committed ? [...(abortedTransactions ?? [])].sort((a, b) => a.firstOffset - b.firstOffset) : []
    for (const batch of batchesOf(records === null ? [] : [records])) {
      const header = readBatchHeader(batch)
      const end = header.baseOffset + header.lastOffsetDelta + 1
      while (waiting.length > 0 && waiting[0]!.firstOffset < end) aborted.add(waiting.shift()!.producerId)
      if ((header.attributes & attribute.control) !== 0) aborted.delete(header.producerId)
      else if (!aborted.has(header.producerId))
        for (const record of decodeBatch(batch))
          if (record.offset >= offset)
            found.push({ offset: record.offset, value: Buffer.from(record.value!).toString() })
      offset = Math.max(offset, end)
    }
    if (offset === before) throw new Error(`reading ${topic} at ${offset} gives nothing`)
  }
}

async function fetchFrom(
  client: WireClient,
  from: { topic: string; partition: number; committed: boolean; offset: number },
) {
  const partition = {
    partition: from.partition,
    fetchOffset: from.offset,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
    logStartOffset: -1,
    partitionMaxBytes: 4 * 1024 * 1024,
  }
  const { responses } = await client.ask(fetchApi, 11, {
    replicaId: -1,
    maxWaitMs: 0,
    minBytes: 0,
    maxBytes: 4 * 1024 * 1024,
    isolationLevel: from.committed ? 1 : 0,
    sessionId: 0,
    sessionEpoch: -1,
    topics: [{ topic: from.topic, partitions: [partition] }],
    forgottenTopicsData: [],
    rackId: '',
  } as never)
  return responses[0]!.partitions[0]!
}

/** Fences whoever had the id, and so aborts what it left open. */
export async function takeTransactionalId(client: WireClient, transactionalId: string): Promise<void> {
  const none = { producerId: -1, producerEpoch: -1, enable2Pc: false, keepPreparedTxn: false }
  const giveUp = performance.now() + 10_000
  for (;;) {
    const asked = { transactionalId, transactionTimeoutMs: 60_000, ...none }
    const { errorCode } = await client.ask(initProducerIdApi, 5, asked)
    if (errorCode === 0) return
    if (!passing.has(errorCode) || performance.now() > giveUp)
      throw new Error(`taking ${transactionalId}: ${errorCode}`)
    await sleep(retryMs)
  }
}
