/**
 * A subscription: a group of the log's queues over all partitions of its topic. All its clients are one member of the group,
 * because whoever has an ack id may use it; which delivery an ack id is about, it says itself.
 */
import { type Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import { type LogRecord, decodeBatch } from '../../log/batch.ts'
import type { Log } from '../../log/log.ts'
import type { Acquired, QueueRef, QueueSettings, QueueState, Queues, Settlement } from '../../log/queues/queues.ts'
import { expiryMs } from '../../log/record-headers.ts'
import { msOf } from '../../wire/protobuf/well-known.ts'
import type { SubscriptionMessage } from '../../wire/pubsub/messages.ts'
import { type AckId, AckIds } from './ack-ids.ts'
import { type Carried, carriedOf } from './carried.ts'
import { precondition } from './errors.ts'
import { type Filter, parseFilter } from './filter.ts'
import { Leases, type Holder } from './leases.ts'
import type { Transform } from './transforms.ts'

export interface SubscriptionParts {
  readonly queues: Queues
  readonly log: Log
  readonly clock: Clock
  /** Of the messages it delivers; null: they are as they are. */
  transformOf(subscription: SubscriptionMessage): Transform | null
  /** So long its topic keeps every message for whoever seeks; 0: as long as subscriptions do. */
  topicKeepsMs(kept: KeptSubscription): number
  onFault(what: string, fault: Fault): void
}
/** What is kept of it. `message` has the project in its names under which it was made. */
export interface KeptSubscription {
  readonly message: SubscriptionMessage
  /** '' once its topic is gone, or it is detached. */
  readonly topicId: string
  readonly ackKey: string
  readonly createdMs: number
  /** When somebody was last seen to use it; now and then kept. */
  readonly activeMs: number
  /** Where each partition of the topic ended then; what was added later begins at its start. */
  readonly born: readonly number[]
}
export interface Delivery {
  readonly ackId: string
  readonly partition: number
  readonly offset: number
  /** How often it was tried to deliver it. */
  readonly attempt: number
  readonly message: Carried
  readonly bytes: number
}
export interface Pull {
  readonly messagesMax: number
  readonly bytesMax: number
  readonly waitMs: number
  readonly deadlineMs: number
  readonly holder: Holder | null
  /** Who may have several messages of a key out; null: one of a key at a time. */
  readonly keyHolder: string | null
  readonly signal: AbortSignal
}
/** What is handed out lies in the log's memory until `release`. */
export interface Pulled {
  readonly deliveries: readonly Delivery[]
  release(): void
}

export const member = 'pubsub'
export const groupOf = (id: string): string => `pubsub.${id}`
/** Of the service, where the subscription says nothing. */
export const retentionDefaultMs = 7 * 24 * 3_600_000
const deadlineDefaultMs = 10_000
/** Of a retry policy that leaves them out. */
export const backoffMinDefaultMs = 10_000
export const backoffMaxDefaultMs = 600_000
const rangeRecords = 500
/** Of messages that a function of the user's changes, before their deadlines begin to matter. */
const transformedMax = 50
/** A message that a transform has failed with comes again after this. */
const failedMs = 1_000

export class Subscription {
  readonly id: string
  readonly leases: Leases
  #kept: KeptSubscription
  #filter: Filter | null = null
  #transform: Transform | null = null
  readonly #parts: SubscriptionParts
  readonly #ackIds: AckIds
  #activeMs: number
  /** Aborted when it is changed in a way that streams should know of, or gone. */
  #changed = new AbortController()

  constructor(id: string, kept: KeptSubscription, parts: SubscriptionParts) {
    this.id = id
    this.#parts = parts
    this.#ackIds = new AckIds(Buffer.from(kept.ackKey, 'base64'))
    this.leases = new Leases(parts.clock)
    this.#kept = kept
    this.#activeMs = kept.activeMs
    this.change(kept)
  }
  get kept(): KeptSubscription {
    return this.#kept
  }
  get message(): SubscriptionMessage {
    return this.#kept.message
  }
  get group(): string {
    return groupOf(this.id)
  }
  get changed(): AbortSignal {
    return this.#changed.signal
  }
  get isExact(): boolean {
    return this.message.enableExactlyOnceDelivery
  }
  get deadlineMs(): number {
    return this.message.ackDeadlineSeconds * 1000 || deadlineDefaultMs
  }
  get activeMs(): number {
    return this.#activeMs
  }
  /** Whoever waits for messages, or says what became of them, uses it. */
  used(): void {
    this.#activeMs = this.#parts.clock.now()
  }
  get retentionMs(): number {
    const { messageRetentionDuration: set } = this.message
    return set === null ? retentionDefaultMs : msOf(set)
  }
  /** What was published longer ago is delivered no more. */
  get keepsMs(): number {
    return Math.max(this.retentionMs, this.#parts.topicKeepsMs(this.#kept))
  }
  change(kept: KeptSubscription): void {
    this.#kept = kept
    const { message } = kept
    this.#filter = message.filter === '' ? null : parseFilter(message.filter)
    this.#transform = this.#parts.transformOf(message)
    this.#parts.queues.configure(this.group, settingsOf(this))
    this.#changed.abort()
    this.#changed = new AbortController()
  }
  /** Nothing that its clients would see. */
  keptActive(kept: KeptSubscription): void {
    this.#kept = kept
  }
  /** Whoever waits for messages learns that there will be none. */
  end(): void {
    this.#parts.queues.configure(this.group, null)
    this.#changed.abort()
  }

  /** Throws RpcError FAILED_PRECONDITION: what is pushed cannot be pulled. */
  demandPull(): void {
    if ((this.message.pushConfig?.pushEndpoint ?? '') !== '')
      throw precondition('This method is not supported for this subscription type.')
  }
  /** Throws RpcError FAILED_PRECONDITION where it has no topic any more. */
  async partitions(): Promise<readonly QueueRef[]> {
    const { topicId, message } = this.#kept
    if (message.detached) throw precondition(`Subscription is detached (resource=${message.name}).`)
    const topic = topicId === '' ? null : await this.#parts.log.topics.get(topicOf(message))
    if (topic === null || topic.id !== topicId) return []
    return Array.from({ length: topic.partitions }, (_, index) => ({ topicId, index }))
  }

  // --- handing out

  /** What there is, or the first that comes within the time. */
  async pull(options: Pull): Promise<Pulled> {
    const { clock } = this.#parts
    const untilMs = clock.monotonic() + options.waitMs
    this.used()
    for (;;) {
      const waitMs = Math.max(0, untilMs - clock.monotonic())
      const of = await this.partitions()
      if (of.length === 0) {
        if (waitMs > 0) await clock.sleep(waitMs, options.signal).catch(() => undefined)
        return nothing
      }
      const acquired = await this.#parts.queues.acquire(
        {
          group: this.group,
          member,
          of: turned(of, this.#turn++),
          recordsMax: this.#transform === null ? options.messagesMax : Math.min(options.messagesMax, transformedMax),
          bytesMax: options.bytesMax,
          exact: true,
          rangeRecords,
          waitMs,
          lockMs: options.deadlineMs,
          ...(options.keyHolder === null ? {} : { keyHolder: options.keyHolder }),
        },
        options.signal,
      )
      const pulled = await this.#handOut(acquired, options)
      if (pulled.deliveries.length > 0) return pulled
      pulled.release()
      for (const { fault } of acquired) if (fault !== null) throw fault
      if (acquired.length === 0 || options.signal.aborted || clock.monotonic() >= untilMs) return nothing
    }
  }
  /** Of a stream or a pull. */
  newHolder(): string {
    return String(++this.#holders)
  }
  #holders = 0
  /** Which partition is looked at first: each in its turn. */
  #turn = 0
  async #handOut(acquired: readonly Acquired[], { holder, deadlineMs }: Pull): Promise<Pulled> {
    const deliveries: Delivery[] = []
    for (const one of acquired) if (one.fault === null) await this.#decode(one, deliveries)
    for (const { partition, offset, bytes } of deliveries)
      this.leases.add(partition, offset, { bytes, holder, untilMs: this.#parts.clock.monotonic() + deadlineMs })
    const release = (): void => {
      for (const one of acquired) one.release()
    }
    return { deliveries, release }
  }
  async #decode({ of, epoch, batches, ranges }: Acquired, into: Delivery[]): Promise<void> {
    const partition = of.index
    const nowMs = this.#parts.clock.now()
    const fromMs = nowMs - this.keepsMs
    const done: Settlement[] = []
    const pass = (first: number, last: number): void => {
      const known = done.at(-1)
      if (known?.last === first - 1) done[done.length - 1] = { ...known, last }
      else done.push({ first, last, outcomes: ['gap'] })
    }
    // A function of the user's has failed with it: it comes again, and ends as other messages that cannot be worked on.
    const failed: Settlement[] = []
    const records = batches.flatMap((batch) => decodeBatch(batch))
    let next = 0
    for (const { first, last, deliveries, spared } of ranges) {
      const prefix = this.#ackIds.prefix({ partition, epoch, deliveries, first, last })
      let at: number = first
      while (next < records.length && records[next]!.offset < first) next++
      for (; next < records.length && records[next]!.offset <= last; next++) {
        const record = records[next]!
        const { offset } = record
        if (offset > at) pass(at, offset - 1)
        at = offset + 1
        const wanted = this.#wanted(partition, record, { nowMs, fromMs })
        const transform = wanted === null ? null : this.#transform
        const message = transform === null ? wanted : await this.#transformed(transform, wanted!)
        if (message === null) pass(offset, offset)
        else if (message === 'failed')
          failed.push({ first: offset, last: offset, outcomes: ['release'], delayMs: failedMs })
        else {
          const ackId = this.#ackIds.id(prefix, first, offset)
          into.push({ ackId, partition, offset, attempt: deliveries - spared, message, bytes: sizeOf(message) })
        }
      }
      if (at <= last) pass(at, last)
    }
    if (done.length + failed.length > 0) void this.#settle(of, [...done, ...failed])
  }
  /** null: it is not for this subscription, or not any more. */
  #wanted(
    partition: number,
    record: LogRecord,
    { nowMs, fromMs }: { readonly nowMs: number; readonly fromMs: number },
  ): Carried | null {
    if (record.timeMs < fromMs || expiryMs(record) <= nowMs) return null
    const carried = carriedOf(partition, record)
    if (this.#filter !== null && !this.#filter(carried.attributes)) return null
    return carried
  }
  async #transformed(transform: Transform, carried: Carried): Promise<Carried | 'failed' | null> {
    try {
      return await transform(carried)
    } catch (error) {
      this.#parts.onFault(this.id, asFault(error))
      return 'failed'
    }
  }
  async #settle(of: QueueRef, settlements: readonly Settlement[]): Promise<Fault | null> {
    const [fault = null] = await this.#parts.queues.settle(this.group, member, [{ of, settlements }])
    if (fault !== null && fault.code !== 'log.record-not-held') this.#parts.onFault(this.id, fault)
    return fault
  }

  // --- what became of it

  /** Those that nothing became of, where exactly once is promised. Durable when it resolves. Throws RpcError. */
  acknowledge(ids: readonly string[]): Promise<Refused> {
    return this.#became(ids, (exact) => ({ outcomes: ['accept'], late: !exact }), 'over')
  }
  /** 0: it is to be delivered again. */
  modifyDeadline(ids: readonly string[], seconds: number): Promise<Refused> {
    if (seconds === 0) return this.#became(ids, (exact) => ({ outcomes: ['release'], late: !exact }), 'over')
    const lockMs = seconds * 1000
    return this.#became(ids, (exact) => ({ outcomes: ['renew'], late: !exact, lockMs }), lockMs)
  }
  async #became(
    ids: readonly string[],
    how: (exact: boolean) => Pick<Settlement, 'outcomes' | 'late' | 'lockMs'>,
    lease: 'over' | number,
  ): Promise<Refused> {
    this.used()
    const exact = this.isExact
    const settlement = how(exact)
    const refused = new Map<string, 'invalid' | 'unordered'>()
    const byPartition = new Map<number, Map<number, AckId & { readonly id: string }>>()
    for (const id of ids) {
      const parsed = this.#ackIds.parse(id)
      if (parsed === null) {
        if (!exact) throw new InvalidAckId(id)
        refused.set(id, 'invalid')
        continue
      }
      let ofPartition = byPartition.get(parsed.partition)
      if (ofPartition === undefined) byPartition.set(parsed.partition, (ofPartition = new Map()))
      const known = ofPartition.get(parsed.offset)
      if (known === undefined || known.deliveries < parsed.deliveries) ofPartition.set(parsed.offset, { ...parsed, id })
    }
    const { topicId } = this.#kept
    const waits = Array.from(byPartition, async ([index, found]) => {
      const of = { topicId, index }
      let all = [...found.values()]
      const isAccepted = settlement.outcomes[0] === 'accept'
      if (exact && isAccepted) await this.#parts.queues.learn(this.group, of)
      if (exact) {
        const held = this.#parts.queues.held(this.group, member, of, all)
        all.forEach(({ id }, i) => held[i] === true || refused.set(id, 'invalid'))
        all = all.filter((_, i) => held[i] === true)
      }
      if (exact && isAccepted) {
        const isNext = this.#parts.queues.inOrder(
          this.group,
          of,
          all.map(({ offset }) => offset),
        )
        all.forEach(({ id }, i) => isNext[i] === true || refused.set(id, 'unordered'))
        all = all.filter((_, i) => isNext[i] === true)
      }
      if (all.length === 0) return
      for (const { offset } of all)
        if (lease === 'over') this.leases.remove(index, offset)
        else this.leases.extend(index, offset, lease)
      // A late acknowledgement is one of the message, whichever delivery it was.
      const byDelivery = exact || !isAccepted
      const fault = await this.#settle(of, rangesOf(all, settlement, byDelivery))
      if (fault === null) return
      if (fault.code !== 'log.record-not-held') throw fault
      if (exact) for (const { id } of all) refused.set(id, 'invalid')
    })
    await Promise.all(waits)
    return refused
  }

  // --- where it is

  /** In its topic. */
  states(): QueueState[] {
    const { topicId } = this.#kept
    return this.#parts.queues.states(this.group).filter(({ of }) => of.topicId === topicId)
  }
  /** A message that is younger was not acknowledged; null: all were. */
  async oldestUnackedMs(): Promise<number | null> {
    const { clock, log } = this.#parts
    const topic = topicOf(this.message)
    let oldest: number | null = null
    for (const { of, start } of this.states()) {
      const partition = { topic, index: of.index }
      const [bounds] = await log.bounds([partition])
      if (bounds === undefined || start >= bounds.end) continue
      const [chunk] = await log.reader({ maxBytes: 1, uncommitted: true }).read([{ partition, offset: start }])
      if (chunk === undefined || 'fault' in chunk) continue
      const first = chunk.batches.flatMap((batch) => decodeBatch(batch)).find(({ offset }) => offset >= start)
      if (first !== undefined) oldest = Math.min(oldest ?? clock.now(), first.timeMs)
    }
    return oldest
  }
}

/** Ack ids: one that is not valid (any more), or one whose message has an older one of its key that is not acknowledged. */
export type Refused = ReadonlyMap<string, 'invalid' | 'unordered'>
/** An ack id that was never given out by this subscription. */
export class InvalidAckId extends Error {
  readonly id: string
  constructor(id: string) {
    super(`You have passed an invalid ack ID to the service (ack_id=${id.slice(0, 200)}).`)
    this.id = id
  }
}
export const topicOf = ({ topic }: SubscriptionMessage): string => topic.split('/').at(-1) ?? ''
const nothing: Pulled = { deliveries: [], release: () => undefined }
const turned = <T>(all: readonly T[], by: number): readonly T[] => {
  const cut = by % all.length
  return cut === 0 ? all : [...all.slice(cut), ...all.slice(0, cut)]
}
export const bytesOf = (deliveries: readonly Delivery[]): number =>
  deliveries.reduce((sum, { bytes }) => sum + bytes, 0)
function sizeOf({ data, attributes, orderingKey }: Carried): number {
  let bytes = data.length + orderingKey.length + 20
  for (const [name, value] of attributes) bytes += name.length + value.length
  return bytes
}
/** Neighbours of the same delivery as one. */
function rangesOf(
  all: readonly AckId[],
  settlement: Pick<Settlement, 'outcomes' | 'late' | 'lockMs'>,
  byDelivery: boolean,
): Settlement[] {
  const ranges: { first: number; last: number; deliveries: number }[] = []
  for (const { offset, deliveries } of all.toSorted((a, b) => a.offset - b.offset)) {
    const known = ranges.at(-1)
    if (known?.last === offset - 1 && (!byDelivery || known.deliveries === deliveries)) known.last = offset
    else ranges.push({ first: offset, last: offset, deliveries })
  }
  return ranges.map(({ first, last, deliveries }) => ({
    ...settlement,
    first,
    last,
    ...(byDelivery ? { deliveries } : {}),
  }))
}
function settingsOf(subscription: Subscription): QueueSettings {
  const { message, deadlineMs, isExact } = subscription
  const { retryPolicy, deadLetterPolicy } = message
  const min = retryPolicy?.minimumBackoff ?? null
  const max = retryPolicy?.maximumBackoff ?? null
  return {
    lockMs: deadlineMs,
    deliveriesMax: deadLetterPolicy === null ? Infinity : deadLetterPolicy.maxDeliveryAttempts,
    locksMax: message.enableMessageOrdering ? limits.pubsubOrderedOutstanding : limits.pubsubOutstanding,
    // Partitions that were added after the subscription was made.
    reset: 'earliest',
    committedOnly: true,
    mayRenew: true,
    orderByKey: message.enableMessageOrdering,
    releaseDelayMs: retryPolicy === null ? 0 : min === null ? backoffMinDefaultMs : msOf(min),
    releaseDelayMaxMs: retryPolicy === null ? 0 : max === null ? backoffMaxDefaultMs : msOf(max),
    keepsLocks: isExact,
    deadLetter: deadLetterPolicy === null ? null : deadLettersOf(message, deadLetterPolicy.deadLetterTopic),
  }
}
function deadLettersOf({ name }: SubscriptionMessage, topic: string): NonNullable<QueueSettings['deadLetter']> {
  const [, project = '', , id = ''] = name.split('/')
  return {
    topic: topic.split('/').at(-1) ?? '',
    copiesRecord: true,
    says: ({ deliveries, timeMs }) =>
      Object.entries({
        CloudPubSubDeadLetterSourceDeliveryCount: String(deliveries),
        CloudPubSubDeadLetterSourceSubscription: id,
        CloudPubSubDeadLetterSourceSubscriptionProject: project,
        CloudPubSubDeadLetterSourceTopicPublishTime: new Date(timeMs).toISOString(),
      }).map(([header, value]) => [header, Buffer.from(value)]),
  }
}
