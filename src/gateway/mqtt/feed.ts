/**
 * What comes to one subscriber: a session, or a group of sessions that share a subscription.
 *
 * Messages with QoS 1 and 2 wait in a short queue. Where it is full, its owner falls behind in the partition: it notes the
 * offset, and what follows stays in the log. With room again it reads on from there by itself, until it meets the reader
 * that all share. So a slow or absent subscriber holds a cursor for each partition, and no copies.
 *
 * Invariant: of each partition, what is before the cursor (or before what all have been offered) has been given, waits in
 * the queue, or was not for this subscriber.
 */
import type { Offset } from '../../lib/brand.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import type { LogRecord } from '../../log/batch.ts'
import type { Qos } from '../../wire/mqtt/packets.ts'
import type { Followed, LogTopics } from './log-topics.ts'
import { type Message, type Place, bytesOfMessage } from '../../log/mqtt-message.ts'

export interface Delivery {
  readonly message: Message
  /** The lower of the message's and the subscription's. */
  readonly qos: Qos
  readonly retain: boolean
  /** Of the subscriptions that it fits. */
  readonly ids: readonly number[] | null
}
/** What a feed needs of everything. */
export interface FeedHost {
  readonly clock: Clock
  readonly topics: LogTopics
  /** How a record is for this feed; null: it is not. */
  deliveryOf(feed: Feed, record: LogRecord, from: Followed): Delivery | null
}
/** Cursors by topic, in the order of its partitions. */
export type Cursors = Readonly<Record<string, readonly number[]>>

export abstract class Feed {
  protected readonly host: FeedHost
  protected queue: Delivery[] = []
  #queuedBytes = 0
  protected readonly behind = new Map<Followed, Offset>()
  #catching = false

  constructor(host: FeedHost) {
    this.host = host
  }
  /** Somebody is there to take something. */
  abstract get isOpen(): boolean
  /** False: there is no room now. */
  protected abstract give(delivery: Delivery): boolean
  /** With QoS 0: now or never. */
  protected abstract pass(delivery: Delivery): void
  abstract get filters(): readonly string[]

  /** From the reader that all share, or from nowhere (`$SYS`, retained messages). */
  offer(delivery: Delivery, from: Followed | null): void {
    if (from !== null && this.behind.has(from)) return
    if (delivery.qos === 0) return this.pass(delivery)
    if (this.queue.length === 0 && this.give(delivery)) return
    if (from !== null && this.#isFull) this.behind.set(from, delivery.message.place!.offset as Offset)
    else this.#push(delivery)
  }
  /** One that lies in memory anyway: it waits behind the others, however many there are. */
  offerRetained(delivery: Delivery): void {
    if (this.queue.length > 0 || !this.give(delivery)) this.#push(delivery)
  }
  get #isFull(): boolean {
    return this.queue.length >= limits.mqttQueued || this.#queuedBytes >= limits.mqttQueuedBytes
  }
  #push(delivery: Delivery): void {
    this.queue.push(delivery)
    this.#queuedBytes += bytesOfMessage(delivery.message)
  }
  /** Before what waits. */
  protected unshift(delivery: Delivery): void {
    this.queue.unshift(delivery)
    this.#queuedBytes += bytesOfMessage(delivery.message)
  }
  protected clear(): void {
    this.queue = []
    this.#queuedBytes = 0
  }
  /** There may be room. */
  pump(): void {
    let given = 0
    while (given < this.queue.length && this.give(this.queue[given]!)) {
      this.#queuedBytes -= bytesOfMessage(this.queue[given]!.message)
      given++
    }
    if (given > 0) this.queue.splice(0, given)
    if (this.behind.size > 0 && !this.#catching) void this.#catchUp()
  }

  async #catchUp(): Promise<void> {
    this.#catching = true
    try {
      while (this.isOpen && this.behind.size > 0 && this.queue.length < limits.mqttQueued / 2) await this.#readOn()
    } finally {
      this.#catching = false
    }
  }
  async #readOn(): Promise<void> {
    const [[followed, from]] = this.behind as unknown as [[Followed, Offset]]
    if (followed.next === null || from >= followed.next) return void this.behind.delete(followed)
    const found = await this.host.topics.read(followed.partition, from)
    // Others have their turn, also where all of it lay in memory.
    await new Promise<void>((resolve) => this.host.clock.soon(resolve))
    if (!this.isOpen || this.behind.get(followed) !== from) return
    if (found === null || followed.next === null) return void this.behind.delete(followed)
    this.behind.set(followed, this.#takeIn(found.records, followed, found.next) as Offset)
    this.pump()
  }
  /** Returns where to go on. */
  #takeIn(records: readonly LogRecord[], followed: Followed, next: number): number {
    const end = followed.next!
    for (const record of records) {
      if (record.offset >= end) return end
      if (this.#isFull) return record.offset
      const delivery = this.host.deliveryOf(this, record, followed)
      if (delivery !== null && delivery.qos > 0) this.#push(delivery)
    }
    return Math.min(next, end)
  }

  /** From these on; what is not among them is of topics that came later. */
  protected goOnFrom(cursors: Cursors): void {
    this.behind.clear()
    for (const topic of this.host.topics.mayHold(this.filters))
      for (const followed of topic.partitions) {
        const at = cursors[topic.name]?.[followed.partition.index] ?? 0
        if (followed.next !== null && at < followed.next) this.behind.set(followed, at as Offset)
      }
  }
  /** `held`: places of what has been given and is not done, where it counts as not given. */
  protected cursors(held: Iterable<Place> = []): Record<string, number[]> {
    const found: Record<string, number[]> = {}
    for (const topic of this.host.topics.mayHold(this.filters))
      found[topic.name] = topic.partitions.map((one) => this.behind.get(one) ?? one.next ?? 0)
    const notBefore = ({ topic, index, offset }: Place): void => {
      const of = found[topic]
      if (of?.[index] !== undefined && offset < of[index]) of[index] = offset
    }
    for (const { message } of this.queue) if (message.place !== null) notBefore(message.place)
    for (const place of held) notBefore(place)
    return found
  }
}
