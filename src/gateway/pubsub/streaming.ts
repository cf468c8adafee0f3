/**
 * One streaming pull: messages out as far as its client's flow control lets them, acknowledgements and deadlines in. It ends
 * when its client, its subscription or the server does.
 */
import { ByteWriter } from '../../lib/bytes.ts'
import { limits } from '../../lib/limits.ts'
import type { Share } from '../../lib/room.ts'
import { type Input, type Of, encode } from '../../wire/protobuf/message.ts'
import { type StreamingPullRequest, streamingPullResponse } from '../../wire/pubsub/messages.ts'
import { writeReceived } from './carried.ts'
import { RpcError, invalid, notFound, rpcErrorOf } from './errors.ts'
import type { Holder } from './leases.ts'
import type { Call } from './method.ts'
import { parseName } from './names.ts'
import { acknowledged, checkDeadline, deadlineModified } from './settling.ts'
import { type Delivery, type Pulled, type Subscription, bytesOf, groupOf } from './subscription.ts'

/** The other side of the stream. */
export interface StreamPeer {
  /** Resolves when the client has taken enough for more to be written. */
  send(message: Buffer): Promise<void>
  end(error: RpcError | null): void
}

/** A timer has not room for every time to come. */
const tokenLooksMs = 24 * 3_600_000
type Answer = Input<Of<typeof streamingPullResponse>>

export class StreamingPull implements Holder {
  messages = 0
  bytes = 0
  readonly #call: Call
  readonly #peer: StreamPeer
  #subscription: Subscription | null = null
  #keyHolder = ''
  #deadlineMs = 0
  #messagesMax = 0
  #bytesMax = 0
  #protocolVersion = 0
  #wake: (() => void) | null = null
  #cancelEnd: (() => void) | null = null
  #ended = false

  constructor(call: Call, peer: StreamPeer) {
    this.#call = call
    this.#peer = peer
    call.signal.addEventListener('abort', () => this.end(null), { once: true })
    this.#endWithToken()
  }
  /** With the status on which official clients open another stream, which has another token; UNAUTHENTICATED is their last. */
  #endWithToken(): void {
    const { access, service } = this.#call
    const leftMs = access.expiresMs - service.clock.now()
    if (leftMs <= 0)
      return this.end(new RpcError('UNAVAILABLE', 'The token of the stream has expired: open another with a new one.'))
    if (leftMs < Infinity)
      this.#cancelEnd = service.clock.after(Math.min(leftMs, tokenLooksMs), () => this.#endWithToken())
  }
  freed(): void {
    this.#wake?.()
  }
  /** One after another: it resolves when this one is answered. */
  async received(request: StreamingPullRequest): Promise<void> {
    try {
      if (!this.#ended) await this.#received(request)
    } catch (error) {
      this.end(rpcErrorOf(error))
    }
  }
  /** Its client has no more to say, and will not acknowledge anything here. */
  finished(): void {
    this.end(null)
  }
  end(error: RpcError | null): void {
    if (this.#ended) return
    this.#ended = true
    this.#cancelEnd?.()
    this.#subscription?.leases.sweep(this)
    this.#peer.end(error)
    this.#wake?.()
  }

  async #received(request: StreamingPullRequest): Promise<void> {
    const isFirst = this.#subscription === null
    if (isFirst) await this.#open(request)
    else checkLater(request)
    const { streamAckDeadlineSeconds: seconds } = request
    if (isFirst || seconds !== 0) {
      checkDeadline(seconds, 'stream_ack_deadline_seconds')
      this.#deadlineMs = seconds * 1000
    }
    await this.#settle(request)
    const isPing = request.ackIds.length === 0 && request.modifyDeadlineAckIds.length === 0
    if (!isFirst && isPing && this.#protocolVersion >= 1) await this.#answer({})
    if (isFirst) void this.#run().catch((error: unknown) => this.end(rpcErrorOf(error)))
  }
  async #open(request: StreamingPullRequest): Promise<void> {
    const { service, access } = this.#call
    const { id } = parseName('subscriptions', request.subscription)
    access.demand('read', 'group', groupOf(id))
    const subscription = service.subscription(request.subscription)
    this.#demand(subscription)
    subscription.demandPull()
    await subscription.partitions()
    this.#subscription = subscription
    this.#keyHolder = subscription.newHolder()
    this.#messagesMax = bound(request.maxOutstandingMessages, limits.pubsubOutstanding)
    this.#bytesMax = bound(request.maxOutstandingBytes, limits.pubsubStreamBytes)
    this.#protocolVersion = request.protocolVersion
    await this.#answer({})
  }
  /** Throws RpcError PERMISSION_DENIED, UNAUTHENTICATED. */
  #demand(subscription: Subscription): void {
    const { service, access } = this.#call
    access.demand('read', 'group', subscription.group)
    service.demandRead(access, subscription)
  }
  /** In every answer: clients take one that says nothing of order or of exactly once for one without. */
  #encodedAnswer(given: Answer): Buffer {
    const { enableExactlyOnceDelivery, enableMessageOrdering } = this.#subscription!.message
    const subscriptionProperties = {
      exactlyOnceDeliveryEnabled: enableExactlyOnceDelivery,
      messageOrderingEnabled: enableMessageOrdering,
    }
    return encode(streamingPullResponse, { ...given, subscriptionProperties })
  }
  #answer(given: Answer): Promise<void> {
    return this.#peer.send(this.#encodedAnswer(given))
  }
  async #settle({ ackIds, modifyDeadlineAckIds: ids, modifyDeadlineSeconds }: StreamingPullRequest): Promise<void> {
    const subscription = this.#subscription!
    if (ids.length !== modifyDeadlineSeconds.length)
      throw invalid('modify_deadline_ack_ids and modify_deadline_seconds are of different sizes.')
    const { isExact } = subscription
    if (ackIds.length > 0) {
      const refused = await acknowledged(subscription, ackIds)
      const confirmation = {
        ackIds: ackIds.filter((id) => !refused.has(id)),
        invalidAckIds: ackIds.filter((id) => refused.get(id) === 'invalid'),
        unorderedAckIds: ackIds.filter((id) => refused.get(id) === 'unordered'),
      }
      if (isExact) await this.#answer({ acknowledgeConfirmation: confirmation })
    }
    if (ids.length === 0) return
    const bySeconds = Map.groupBy(ids, (_, i) => modifyDeadlineSeconds[i]!)
    const bad = new Set<string>()
    for (const [seconds, some] of bySeconds)
      for (const id of (await deadlineModified(subscription, some, seconds)).keys()) bad.add(id)
    const confirmation = { ackIds: ids.filter((id) => !bad.has(id)), invalidAckIds: [...bad] }
    if (isExact) await this.#answer({ modifyAckDeadlineConfirmation: confirmation })
  }

  async #run(): Promise<void> {
    const { service, signal, access } = this.#call
    const subscription = this.#subscription!
    const out = new ByteWriter(64 * 1024)
    while (!this.#ended) {
      const messagesMax = Math.min(this.#messagesMax - this.messages, limits.pubsubPullMessages)
      const bytesMax = Math.min(this.#bytesMax - this.bytes, limits.pubsubPullBytes)
      if (messagesMax <= 0 || bytesMax <= 0) {
        await this.#room(subscription)
        continue
      }
      const overMs = access.overQuotaMs('consumer_byte_rate')
      if (overMs > 0) {
        await service.clock.sleep(overMs, signal)
        continue
      }
      const { changed } = subscription
      const pulled = await subscription.pull({
        messagesMax,
        bytesMax,
        waitMs: limits.pubsubStreamWaitMs,
        deadlineMs: this.#deadlineMs,
        holder: this,
        keyHolder: this.#keyHolder,
        signal: AbortSignal.any([signal, changed]),
      })
      await this.#sendAll(subscription, pulled, out)
      if (changed.aborted && !this.#ended) {
        if (!service.has(subscription)) throw notFound(subscription.message.name)
        subscription.demandPull()
        await this.#answer({})
      }
    }
  }
  async #sendAll(subscription: Subscription, pulled: Pulled, out: ByteWriter): Promise<void> {
    const { service, signal } = this.#call
    let share: Share | null = null
    try {
      let encoded: Buffer | null = null
      try {
        // What it may, it may have lost since it began.
        this.#demand(subscription)
        const bytes = bytesOf(pulled.deliveries)
        this.#call.access.used('consumer_byte_rate', bytes)
        share = await service.room.take(bytes, signal).catch(() => null)
        if (!this.#ended && share !== null) encoded = this.#encoded(subscription, pulled.deliveries, out)
      } finally {
        // The bytes go back to the log before they are sent.
        pulled.release()
      }
      if (encoded !== null) await this.#peer.send(encoded)
    } finally {
      share?.give()
    }
  }
  #encoded(subscription: Subscription, deliveries: readonly Delivery[], out: ByteWriter): Buffer | null {
    if (deliveries.length === 0) return null
    this.#call.service.parts.meter.delivered(deliveries.length)
    out.at = 0
    const counts = subscription.message.deadLetterPolicy !== null
    for (const { ackId, attempt, message } of deliveries)
      writeReceived(out, 1, { ackId, attempt: counts ? attempt : 0, message })
    out.raw(this.#encodedAnswer({}))
    return Buffer.from(out.done())
  }
  /** Until something of what is out is done with, or its time is over. */
  async #room(subscription: Subscription): Promise<void> {
    subscription.leases.sweep()
    if (this.messages < this.#messagesMax && this.bytes < this.#bytesMax) return
    const { clock } = this.#call.service
    await new Promise<void>((resolve) => {
      const cancel = clock.after(limits.pubsubSweepMs, resolve)
      this.#wake = () => {
        cancel()
        resolve()
      }
    })
    this.#wake = null
  }
}
const firstAlone = {
  subscription: 'subscription',
  maxOutstandingMessages: 'max_outstanding_messages',
  maxOutstandingBytes: 'max_outstanding_bytes',
  protocolVersion: 'protocol_version',
} as const
/** Throws RpcError INVALID_ARGUMENT. */
function checkLater(request: StreamingPullRequest): void {
  for (const [name, said] of Object.entries(firstAlone))
    if (request[name as keyof typeof firstAlone] !== (name === 'subscription' ? '' : 0))
      throw invalid(`Only the first request of a stream may set the field ${said}.`)
}
const bound = (asked: number, most: number): number => (asked > 0 ? Math.min(asked, most) : most)
