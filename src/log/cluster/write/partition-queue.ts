/**
 * Appends of one partition, one request at a time: so they keep their order and their sequence whatever has to be sent
 * again. The producer's identity and sequence let the broker see what it has already; after an outcome that stays unknown
 * a new identity begins.
 */
import { offset as asOffset } from '../../../lib/brand.ts'
import { Fault, asFault } from '../../../lib/fault.ts'
import type { Appended, Batch, Partition } from '../../log.ts'
import { code, faultOf, isPassing } from '../errors.ts'
import type { Metadata } from '../net/metadata.ts'
import { type Network, type Patience, disconnection } from '../net/network.ts'
import { configInForce } from '../topic-configs.ts'
import { merge, mergeable } from './merge.ts'
import { type Identity, type Produced, sequenceAfter, stampFor } from './produce.ts'
import type { Senders } from './senders.ts'

/** Kafka's `delivery.timeout.ms`. */
const deliveryMs = 120_000
/** The broker has lost what it knew of the producer, or has never known it. */
const isForgotten = (error: number): boolean =>
  error === code.outOfOrderSequence || error === code.unknownProducerId || error === code.invalidProducerEpoch

export interface Item {
  readonly batch: Batch
  readonly records: number
  readonly resolve: (appended: Appended) => void
}
export interface QueueHost {
  readonly network: Network
  readonly metadata: Metadata
  readonly senders: Senders
  /** One that is not this one. */
  identity(not: Identity | null): Promise<Identity>
}
type Outcome = Produced | Fault

export class PartitionQueue {
  readonly #partition: Partition
  readonly #host: QueueHost
  readonly #drained: () => void
  #waiting: Item[] = []
  #running = false
  #identity: Identity | null = null
  #spent: Identity | null = null
  #sequence = 0
  /** Merged batches were too large for the topic. */
  #mergesOff = false

  constructor(partition: Partition, host: QueueHost, drained: () => void) {
    this.#partition = partition
    this.#host = host
    this.#drained = drained
  }
  get isIdle(): boolean {
    return !this.#running
  }
  add(item: Item): void {
    this.#waiting.push(item)
    if (this.#running) return
    this.#running = true
    // What else comes in this turn may share the batch.
    queueMicrotask(() => void this.#run())
  }
  async #run(): Promise<void> {
    while (this.#waiting.length > 0) {
      const count = this.#mergesOff ? 1 : mergeable(this.#waiting.map(({ batch }) => batch))
      const items = this.#waiting.slice(0, count)
      const outcome = await this.#deliver(items).catch(asFault)
      if (!(outcome instanceof Fault) && outcome.error === code.messageTooLarge && count > 1) {
        this.#mergesOff = true
        continue
      }
      this.#waiting = this.#waiting.slice(count)
      await this.#settle(items, outcome)
    }
    this.#running = false
    this.#drained()
  }
  async #settle(items: readonly Item[], outcome: Outcome): Promise<void> {
    let offset = outcome instanceof Fault ? 0 : outcome.offset
    const fault = await this.#faultOf(items, outcome)
    for (const { resolve, records } of items) {
      if (fault !== null) resolve({ fault })
      else resolve({ offset: asOffset(offset), timeMs: (outcome as Produced).timeMs })
      offset += records
    }
  }
  async #faultOf(items: readonly Item[], outcome: Outcome): Promise<Fault | null> {
    if (outcome instanceof Fault) return outcome
    const { error, message } = outcome
    if (error === code.none) return null
    const { topic } = this.#partition
    if (error !== code.messageTooLarge) return faultOf(error, { what: `appending to ${topic}`, topic }, message)
    const set = await configInForce(this.#host.network, topic, 'max.message.bytes').catch(() => null)
    return new Fault('log.batch-too-large', { bytes: items[0]!.batch.length, bytesMax: Number(set ?? 0) })
  }

  /** Until the broker says what became of it. Throws Fault. */
  async #deliver(items: readonly Item[]): Promise<Produced> {
    const batch = items.length === 1 ? items[0]!.batch : merge(items.map((item) => item.batch))
    const records = items.reduce((sum, item) => sum + item.records, 0)
    const patience = this.#host.network.patience(deliveryMs)
    /** An attempt was never answered: it may have been stored. */
    let isUnknown = false
    for (;;) {
      this.#identity ??= await this.#host.identity(this.#spent)
      stampFor(batch, this.#identity, this.#sequence, false)
      let why: string
      const produced = await this.#attempt(batch).catch((error: unknown) => {
        why = disconnection(error)
        isUnknown = true
        return null
      })
      if (produced?.error === code.none) {
        this.#sequence = sequenceAfter(this.#sequence, records)
        return produced
      }
      why = produced === null ? why! : `error ${produced.error}`
      if (produced !== null && isForgotten(produced.error)) {
        this.#forget()
        if (isUnknown) throw this.#unavailable('whether it was stored is not known')
      } else if (produced !== null && !isPassing(produced.error)) return produced
      await this.#pause(patience, why)
    }
  }
  /** null: there is no leader now. Throws Disconnected, Fault. */
  async #attempt(batch: Batch): Promise<Produced | null> {
    const route = await this.#host.metadata.route(this.#partition)
    return route === null ? null : this.#host.senders.send(route.broker, this.#partition, batch)
  }
  async #pause(patience: Patience, why: string): Promise<void> {
    if (!(await patience.wait())) {
      this.#forget()
      throw this.#unavailable(why)
    }
    await this.#host.metadata.refresh([this.#partition.topic])
  }
  #forget(): void {
    this.#spent = this.#identity
    this.#identity = null
    this.#sequence = 0
  }
  #unavailable(why: string): Fault {
    return new Fault('cluster.unavailable', { what: `appending to ${this.#partition.topic}`, why })
  }
}
