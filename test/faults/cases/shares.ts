/**
 * Share groups under kill -9: what a member accepted or rejected, and was told so, is never given out again; what was
 * written, and acknowledged so, is in the end accepted or rejected by somebody. Members acknowledge with the next fetch and
 * by themselves, release, let locks end, and come back after each kill.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeBatch } from '../../../src/log/batch.ts'
import type { AnyShape, Api, Decoded, Encoded } from '../../../src/wire/kafka/codec/shape.ts'
import { nullUuid } from '../../../src/wire/kafka/codec/shape.ts'
import { produceApi } from '../../../src/wire/kafka/messages/00-produce.ts'
import { metadataApi } from '../../../src/wire/kafka/messages/03-metadata.ts'
import { createTopicsApi } from '../../../src/wire/kafka/messages/19-create-topics.ts'
import { incrementalAlterConfigsApi } from '../../../src/wire/kafka/messages/44-incremental-alter-configs.ts'
import { shareGroupHeartbeatApi } from '../../../src/wire/kafka/messages/76-share-group-heartbeat.ts'
import { shareFetchApi } from '../../../src/wire/kafka/messages/78-share-fetch.ts'
import { shareAcknowledgeApi } from '../../../src/wire/kafka/messages/79-share-acknowledge.ts'
import { describeShareGroupOffsetsApi } from '../../../src/wire/kafka/messages/90-describe-share-group-offsets.ts'
import { WireClient } from '../../gateway/kafka/wire-client.ts'
import type { Millrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'

export const shares: FaultCase = {
  name: 'shares',
  says: 'kill -9 under share groups, at random instants',
  run: killUnderShares,
}

const topic = 'shares'
const group = 'workers'
const partitions = 3
const members = 4
const lockMs = 1_000
const cyclesOf = ({ times }: Context): number => times(12, 300)
const type = { gap: 0, accept: 1, release: 2, reject: 3 } as const
const isFinal = (of: number): boolean => of === type.accept || of === type.reject
const drainMs = 60_000

interface Held {
  readonly partition: number
  readonly first: number
  readonly last: number
}
interface Ack extends Held {
  readonly type: number
}

async function killUnderShares(context: Context): Promise<Outcome> {
  const { random, note } = context
  const cycles = cyclesOf(context)
  let product: Millrace = await startFirst({ data: context.folder })
  const load = new Load(product.kafka, random)
  try {
    await load.prepare()
    load.start()
    for (let cycle = 1; cycle <= cycles && load.problems.size === 0; cycle++) {
      await load.progress(30_000)
      await sleep(between(random, 50, 1_200))
      await product.kill('SIGKILL')
      product = await startAgain(product)
      note(`cycle ${cycle} of ${cycles}: ready in ${Math.round(product.spawnToReadyMs)} ms`)
    }
    await load.drain()
    await product.stop()
  } finally {
    await load.stop()
    await product[Symbol.asyncDispose]()
  }
  return { problems: [...load.problems], figures: { kills: cycles, ...load.figures() } }
}

class Load {
  readonly problems = new Set<string>()
  readonly #at: { host: string; port: number }
  readonly #random: () => number
  #topicId = ''
  #producing = true
  #stopped = false
  #running: Promise<unknown> = Promise.resolve()
  /** Written and acknowledged so: partition/offset. */
  readonly #written = new Set<string>()
  /** Done with, and answered so. */
  readonly #over = new Set<string>()
  /** Somebody said so, and no answer came. */
  readonly #maybe = new Set<string>()
  #delivered = 0
  #again = 0

  constructor(address: string, random: () => number) {
    const [host, port] = address.split(':') as [string, string]
    this.#at = { host, port: Number(port) }
    this.#random = random
  }
  figures(): Record<string, number> {
    return {
      written: this.#written.size,
      'done with': this.#over.size,
      deliveries: this.#delivered,
      again: this.#again,
    }
  }
  async prepare(): Promise<void> {
    const client = await WireClient.open(this.#at)
    const made = { name: topic, numPartitions: partitions, replicationFactor: 1, assignments: [], configs: [] }
    await client.ask(createTopicsApi, 7, { topics: [made], timeoutMs: 10_000, validateOnly: false })
    const configs = Object.entries({
      'share.auto.offset.reset': 'earliest',
      'share.record.lock.duration.ms': String(lockMs),
      'share.delivery.count.limit': '25',
    }).map(([name, value]) => ({ name, configOperation: 0, value }))
    const resources = [{ resourceType: 32, resourceName: group, configs }]
    await client.ask(incrementalAlterConfigsApi, 1, { resources, validateOnly: false })
    const { topics } = await client.ask(metadataApi, 12, {
      topics: [{ topicId: nullUuid, name: topic }],
      allowAutoTopicCreation: false,
      includeClusterAuthorizedOperations: false,
      includeTopicAuthorizedOperations: false,
    })
    this.#topicId = topics[0]!.topicId
    client.close()
  }
  start(): void {
    const actors = [this.#forever((client) => this.#produce(client))]
    for (let i = 0; i < members; i++) actors.push(this.#forever((client) => this.#consume(client, `member-${i}`)))
    this.#running = Promise.all(actors)
  }
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }
  /** Something more was done with. */
  async progress(withinMs: number): Promise<void> {
    const before = this.#over.size
    const giveUp = performance.now() + withinMs
    while (this.#over.size === before && this.problems.size === 0) {
      if (performance.now() > giveUp) {
        this.problems.add(`nothing was done with for ${withinMs} ms`)
        return
      }
      await sleep(10)
    }
  }
  /** Comes back after each end of the connection. */
  async #forever(act: (client: WireClient) => Promise<void>): Promise<void> {
    while (!this.#stopped) {
      let client: WireClient | null = null
      try {
        client = await WireClient.open(this.#at)
        while (!this.#stopped) await act(client)
      } catch {
        await sleep(20)
      } finally {
        client?.close()
      }
    }
  }
  async #ask<Q extends AnyShape, A extends AnyShape>(
    client: WireClient,
    api: Api<Q, A>,
    version: number,
    request: Encoded<Q>,
  ): Promise<Decoded<A>> {
    if (client.isClosed) throw new Error('closed')
    return client.ask(api, version, request)
  }

  async #produce(client: WireClient): Promise<void> {
    if (!this.#producing) return sleep(20)
    const index = Math.floor(this.#random() * partitions)
    const count = 1 + Math.floor(this.#random() * 30)
    const records = Array.from({ length: count }, (_, i) => ({
      key: null,
      value: Buffer.from(`v${i}`),
      timeMs: Date.now(),
    }))
    const data = [{ index, records: [encodeBatch(records)] }]
    const answer = await this.#ask(client, produceApi, 11, {
      transactionalId: null,
      acks: -1,
      timeoutMs: 10_000,
      topicData: [{ topicId: nullUuid, name: topic, partitionData: data }],
    })
    const [said] = answer.responses[0]!.partitionResponses
    if (said!.errorCode === 0) for (let i = 0; i < count; i++) this.#written.add(`${index}/${said!.baseOffset + i}`)
    await sleep(between(this.#random, 1, 20))
  }

  async #consume(client: WireClient, memberId: string): Promise<void> {
    const joined = await this.#ask(client, shareGroupHeartbeatApi, 1, {
      groupId: group,
      memberId,
      memberEpoch: 0,
      subscribedTopicNames: [topic],
    })
    if (joined.errorCode !== 0) return sleep(50)
    let acks: Ack[] = []
    for (let epoch = 0; !this.#stopped; epoch++) {
      const asked = epoch === 0 ? [] : acks
      const answer = await this.#ask(client, shareFetchApi, 2, {
        groupId: group,
        memberId,
        shareSessionEpoch: epoch,
        maxWaitMs: 50,
        minBytes: 1,
        maxBytes: 1_000_000,
        maxRecords: 50,
        batchSize: 50,
        shareAcquireMode: this.#random() < 0.5 ? 1 : 0,
        isRenewAck: false,
        topics: this.#topics(asked, epoch === 0),
        forgottenTopicsData: [],
      })
      if (answer.errorCode !== 0) return sleep(20)
      const parts = answer.responses.flatMap((one) => one.partitions)
      this.#settled(asked, new Map(parts.map((one) => [one.partitionIndex, one.acknowledgeErrorCode])))
      const held = parts.flatMap(({ partitionIndex: partition, acquiredRecords }) =>
        acquiredRecords.map(({ firstOffset: first, lastOffset: last, deliveryCount }) => {
          this.#given({ partition, first, last }, deliveryCount)
          return { partition, first, last }
        }),
      )
      acks = this.#decide(held)
      if (this.#random() < 0.05) await sleep(2 * lockMs)
      if (this.#random() < 0.4) {
        acks = await this.#acknowledge(client, { memberId, epoch: ++epoch, acks })
      }
    }
  }
  async #acknowledge(
    client: WireClient,
    { memberId, epoch, acks }: { memberId: string; epoch: number; acks: readonly Ack[] },
  ): Promise<Ack[]> {
    const topics = this.#topics(acks, false)
    const answer = await this.#ask(client, shareAcknowledgeApi, 2, {
      groupId: group,
      memberId,
      shareSessionEpoch: epoch,
      isRenewAck: false,
      topics,
    })
    const parts = answer.responses.flatMap((one) => one.partitions)
    if (answer.errorCode === 0) this.#settled(acks, new Map(parts.map((one) => [one.partitionIndex, one.errorCode])))
    return []
  }
  #topics(acks: readonly Ack[], names: boolean) {
    for (const ack of acks)
      if (isFinal(ack.type)) for (const place of places(ack)) if (!this.#over.has(place)) this.#maybe.add(place)
    const found = Array.from({ length: partitions }, (_, partitionIndex) => ({
      partitionIndex,
      acknowledgementBatches: acks
        .filter(({ partition }) => partition === partitionIndex)
        .map(({ first, last, type: of }) => ({ firstOffset: first, lastOffset: last, acknowledgeTypes: [of] })),
    })).filter(({ acknowledgementBatches }) => names || acknowledgementBatches.length > 0)
    return found.length === 0 ? [] : [{ topicId: this.#topicId, partitions: found }]
  }
  #settled(acks: readonly Ack[], errors: ReadonlyMap<number, number>): void {
    for (const ack of acks) {
      if (!isFinal(ack.type) || errors.get(ack.partition) !== 0) continue
      for (const place of places(ack)) {
        this.#maybe.delete(place)
        this.#over.add(place)
      }
    }
  }
  #given(held: Held, deliveries: number): void {
    for (const place of places(held)) {
      this.#delivered++
      if (deliveries > 1) this.#again++
      if (this.#over.has(place)) this.problems.add(`${place} was done with, and is given out again (${deliveries})`)
    }
  }
  #decide(held: readonly Held[]): Ack[] {
    const acks: Ack[] = []
    for (const { partition, first, last } of held) {
      if (this.#random() < 0.05) continue
      // In two parts, so that ranges are cut.
      const middle = first + Math.floor(this.#random() * (last - first + 1))
      acks.push({ partition, first, last: middle, type: this.#type() })
      if (middle < last) acks.push({ partition, first: middle + 1, last, type: this.#type() })
    }
    return acks
  }
  #type(): number {
    const dice = this.#random()
    if (!this.#producing || dice < 0.75) return type.accept
    return dice < 0.9 ? type.release : type.reject
  }

  /** Nothing more is written; everything is done with in the end. */
  async drain(): Promise<void> {
    this.#producing = false
    const giveUp = performance.now() + drainMs
    for (;;) {
      if (this.problems.size > 0) return
      const lag = await this.#lag().catch(() => -1)
      if (lag === 0) break
      if (performance.now() > giveUp) {
        this.problems.add(`${lag} records were not done with within ${drainMs} ms`)
        return
      }
      await sleep(50)
    }
    await this.stop()
    for (const place of this.#written)
      if (!this.#over.has(place) && !this.#maybe.has(place)) this.problems.add(`${place} was written and lost`)
  }
  async #lag(): Promise<number> {
    const client = await WireClient.open(this.#at)
    try {
      const request = { groups: [{ groupId: group, topics: null }] }
      const { groups } = await client.ask(describeShareGroupOffsetsApi, 1, request)
      const found = groups[0]!.topics.flatMap((one) => one.partitions)
      return found.length < partitions ? -1 : found.reduce((sum, { lag }) => sum + lag, 0)
    } finally {
      client.close()
    }
  }
}
function* places({ partition, first, last }: Held): Iterable<string> {
  for (let offset = first; offset <= last; offset++) yield `${partition}/${offset}`
}
