/**
 * What comes to one subscriber: a session, or a group of sessions that share a subscription.
 *
 * Messages with QoS 1 and 2 wait in a short queue. Where it is full, its owner falls behind in the partition: it notes the
 * offset, and what follows stays in the log. With room again it reads on from there by itself, until it meets the reader
 * that all share. So a slow or absent subscriber holds a cursor for each partition, and no copies. It remembers the offsets
 * of what passed for it meanwhile, as far as they are not too many: then it reads there, and nowhere between.
 *
 * Invariant: of each partition, what is before the cursor (or before what all have been offered) has been given, waits in
 * the queue, or was not for this subscriber.
 */
import type { Offset } from '../../lib/brand.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import type { Qos } from '../../wire/mqtt/packets.ts'
import type { CatchUp } from './catch-up.ts'
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
  /** Bytes that wait in all feeds; each counts its own. */
  readonly queued: { bytes: number }
  readonly catchUp: CatchUp
}
/** Offsets, in order, of everything for a feed from `from` on, and before `until`; null: they are still being noted. */
interface Hints {
  from: number
  offsets: number[]
  until: number | null
}
/** Cursors by topic, in the order of its partitions. */
export type Cursors = Readonly<Record<string, readonly number[]>>

/** Until it is looked again whether others have taken theirs. */
const waitMs = 500

export abstract class Feed {
  protected readonly host: FeedHost
  protected queue: Delivery[] = []
  #queuedBytes = 0
  /** Where it goes on by itself, and what it knows of what comes then. */
  readonly #behind = new Map<Followed, Offset>()
  readonly #hints = new Map<Followed, Hints>()
  #catching = false

  constructor(host: FeedHost) {
    this.host = host
  }
  /** Somebody is there to take something. */
  abstract get isOpen(): boolean
  /** False: there is no room now. */
  protected abstract give(delivery: Delivery): boolean
  /** What goes before all that waits. False: there is no room for the rest of it. */
  protected giveEarlier(): boolean {
    return true
  }
  /** With QoS 0: now or never. */
  protected abstract pass(delivery: Delivery): void
  abstract get filters(): readonly string[]

  /** From the reader that all share, or from nowhere (`$SYS`, retained messages). */
  offer(delivery: Delivery, from: Followed | null): void {
    if (from !== null && (this.#behind.has(from) || !this.isOpen)) return this.#note(delivery, from)
    if (delivery.qos === 0) return this.pass(delivery)
    if (this.queue.length === 0 && this.giveEarlier() && this.give(delivery)) return
    if (from !== null && this.#isFull) this.#note(delivery, from)
    else this.#push(delivery)
  }
  /** It passes while it cannot be taken. With QoS 0 it is gone. */
  #note({ qos, message }: Delivery, from: Followed): void {
    if (qos === 0) return
    const { offset } = message.place!
    if (!this.#behind.has(from)) {
      this.#behind.set(from, offset as Offset)
      this.#hints.set(from, { from: offset, offsets: [offset], until: null })
      return
    }
    const hints = this.#hints.get(from)
    if (hints === undefined || hints.until !== null) return
    if (hints.offsets.length < limits.mqttQueued) hints.offsets.push(offset)
    else hints.until = offset
  }
  /** Where much waits over all, each has less. */
  get #isFull(): boolean {
    const { mqttQueued, mqttQueuedBytes, mqttQueuedBytesInAll, mqttQueuedBytesFew } = limits
    const bytesMax = this.host.queued.bytes > mqttQueuedBytesInAll ? mqttQueuedBytesFew : mqttQueuedBytes
    return this.queue.length >= mqttQueued || this.#queuedBytes >= bytesMax
  }
  #push(delivery: Delivery): void {
    this.queue.push(delivery)
    this.#count(bytesOfMessage(delivery.message))
  }
  #count(bytes: number): void {
    this.#queuedBytes += bytes
    this.host.queued.bytes += bytes
  }
  /** Before what waits. */
  protected unshift(delivery: Delivery): void {
    this.queue.unshift(delivery)
    this.#count(bytesOfMessage(delivery.message))
  }
  /** There may be room. */
  pump(): void {
    if (!this.giveEarlier()) return
    let given = 0
    while (given < this.queue.length && this.give(this.queue[given]!)) {
      this.#count(-bytesOfMessage(this.queue[given]!.message))
      given++
    }
    if (given > 0) this.queue.splice(0, given)
    if (this.#behind.size > 0 && !this.#catching) void this.#catchUp()
  }

  async #catchUp(): Promise<void> {
    this.#catching = true
    try {
      while (this.isOpen && this.#behind.size > 0 && this.queue.length < limits.mqttQueued / 2) {
        // One large message may be read for each, but not for all at once.
        if (this.host.queued.bytes > 2 * limits.mqttQueuedBytesInAll) await this.host.clock.sleep(waitMs)
        else await this.#readOn()
      }
    } finally {
      this.#catching = false
    }
  }
  async #readOn(): Promise<void> {
    const [[followed, from]] = this.#behind as unknown as [[Followed, Offset]]
    if (followed.next === null || from >= followed.next) return this.#caughtUp(followed)
    const next = this.#nextFrom(followed, from)
    if (next > from) return void this.#behind.set(followed, next as Offset)
    await this.host.catchUp.read(this, followed, from)
    this.pump()
  }
  /** Where it is to be read on for; null: it is not. */
  standsAt(followed: Followed): number | null {
    return this.isOpen ? (this.#behind.get(followed) ?? null) : null
  }
  /** What lay behind. False: there is no room for it now. */
  takeBehind(delivery: Delivery): boolean {
    if (delivery.qos === 0) return true
    if (this.#isFull) return false
    this.#push(delivery)
    return true
  }
  /** What is before that has been taken. Infinity: there is nothing more to read. */
  moveTo(followed: Followed, to: number): void {
    if (to === Infinity) this.#caughtUp(followed)
    else this.#behind.set(followed, to as Offset)
  }
  #caughtUp(followed: Followed): void {
    this.#behind.delete(followed)
    this.#hints.delete(followed)
  }
  /** The first place from there on where something may be for it. */
  #nextFrom(followed: Followed, from: number): number {
    const hints = this.#hints.get(followed)
    if (hints === undefined || from < hints.from || (hints.until !== null && from >= hints.until)) return from
    return hints.offsets.find((offset) => offset >= from) ?? hints.until ?? followed.next!
  }

  /** Messages that are known to wait for it; `isAll`: there are no others. */
  get waiting(): { readonly messages: number; readonly isAll: boolean } {
    let messages = this.queue.length
    let isAll = true
    for (const [followed, from] of this.#behind) {
      const hints = this.#hints.get(followed)
      isAll &&= hints !== undefined && hints.from <= from && hints.until === null
      const first = hints?.offsets.findIndex((offset) => offset >= from) ?? -1
      if (first >= 0) messages += hints!.offsets.length - first
    }
    return { messages, isAll }
  }

  /** Stands there from now on, whatever is known of what lies before; topics that are not named came later. */
  standAt(cursors: Cursors): void {
    for (const topic of this.host.topics.mayHold(this.filters))
      for (const followed of topic.partitions) {
        const { next } = followed
        const at = cursors[topic.name]?.[followed.partition.index] ?? 0
        if (next === null || at >= next) continue
        this.#behind.set(followed, at as Offset)
        this.#hints.set(followed, { from: next, offsets: [], until: null })
      }
  }
  /** Nobody is there any more: what waits, and what is `held`, is read again. */
  protected standBack(held: readonly Place[] = []): void {
    const waiting = [...held, ...this.queue.flatMap(({ message: { place } }) => (place === null ? [] : [place]))]
    this.queue = []
    this.#count(-this.#queuedBytes)
    for (const topic of this.host.topics.mayHold(this.filters))
      for (const followed of topic.partitions) {
        const { topic: name, index } = followed.partition
        const own = waiting.filter((place) => place.topic === name && place.index === index)
        if (own.length > 0 && followed.next !== null)
          this.#goBack(
            followed,
            own.map(({ offset }) => offset),
          )
      }
  }
  #goBack(followed: Followed, offsets: readonly number[]): void {
    const sorted = offsets.toSorted((a, b) => a - b)
    const was = this.#behind.get(followed)
    const hints = this.#hints.get(followed)
    const first = Math.min(sorted[0]!, was ?? Infinity)
    this.#behind.set(followed, first as Offset)
    if (was === undefined) this.#hints.set(followed, { from: first, offsets: sorted, until: null })
    else if (hints !== undefined && hints.from <= was) {
      hints.from = first
      hints.offsets = [...sorted, ...hints.offsets.filter((offset) => offset >= was)]
    }
  }
  /** What has been given and is not done counts as not given where it is `held`. */
  protected cursors(held: Iterable<Place> = []): Record<string, number[]> {
    const found: Record<string, number[]> = {}
    for (const topic of this.host.topics.mayHold(this.filters))
      found[topic.name] = topic.partitions.map((one) => this.#cursorOf(one))
    const notBefore = ({ topic, index, offset }: Place): void => {
      const of = found[topic]
      if (of?.[index] !== undefined && offset < of[index]) of[index] = offset
    }
    for (const { message } of this.queue) if (message.place !== null) notBefore(message.place)
    for (const place of held) notBefore(place)
    return found
  }
  #cursorOf(followed: Followed): number {
    const at = this.#behind.get(followed)
    if (at === undefined || followed.next === null) return at ?? followed.next ?? 0
    return this.#nextFrom(followed, at)
  }
}
