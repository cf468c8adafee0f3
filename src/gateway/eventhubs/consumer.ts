/**
 * A link on which a client receives the events of one partition. Batches are read when there is credit, and their records
 * written as frames straight into the connection's buffer, as long as credit, the session's window and the socket allow.
 */
import type { Offset } from '../../lib/brand.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { Unread } from '../../log/batch.ts'
import type { Batch, LentChunks, Reader } from '../../log/log.ts'
import type { RawRecords } from '../../log/raw-records.ts'
import type { Subject } from '../../security/authorizer.ts'
import { fieldsOf, isOf, source } from '../../wire/amqp/composites.ts'
import { endFrame } from '../../wire/amqp/frames.ts'
import { entryOf, numberOf, textOf } from '../../wire/amqp/values.ts'
import { type Address, groupOf, partitionOf } from './address.ts'
import { type Refusal, Refused, condition, refusalOf } from './conditions.ts'
import { type Receiver, placeOf } from './epochs.ts'
import { type RuntimeFacts, writeEvent } from './event-out.ts'
import { type Attach, type Flow, Link } from './link.ts'
import { type Position, positionOf } from './position.ts'
import type { Session } from './session.ts'
import { type Delivery, beginTransfer, setMore, transferOverheadBytes } from './transfers.ts'

const epochProperty = 'com.microsoft:epoch'
const nameProperty = 'com.microsoft:receiver-name'
const metricCapability = 'com.microsoft:enable-receiver-runtime-metric'
const unsettledMode = 0
const settledMode = 1
/** One question to the log waits this long for news; then it is asked again. */
const waitMs = 30_000
/** Written in one go; then others have their turn. */
const burstBytes = 256 * 1024

export class Consumer extends Link implements Receiver {
  readonly epoch: number | null
  readonly #address: Extract<Address, { node: 'group' }>
  readonly #path: readonly string[]
  readonly #isSettled: boolean
  readonly #wantsFacts: boolean
  #subject: Subject | null = null
  #topic = ''
  #groupText = ''
  #place = ''
  #partition = { topic: '', index: 0 }
  #readers: { readonly large: Reader; readonly small: Reader } | null = null
  #credit = 0
  /** Events since they were counted last. */
  #written = 0
  #deliveryCount = 0
  #drains = false
  /** Where to read on when what is held is sent. */
  #offset = 0
  #held: { readonly lent: LentChunks; readonly unread: Unread; readonly next: number; readonly bytes: number } | null =
    null
  #raw: RawRecords | null = null
  #at = 0
  /** What is left of an event that did not fit its frame. */
  #rest: { readonly payload: Buffer; at: number; readonly delivery: Delivery } | null = null
  #facts: RuntimeFacts | null = null
  #isReading = false
  #isQueued = false
  #isThrottled = false
  #wait = new AbortController()
  #cancel = (): void => {}

  constructor(session: Session, asked: Attach, address: Extract<Address, { node: 'group' }>) {
    super(session, asked)
    this.#address = address
    const { hub, group, partition } = address
    this.#path = [hub, 'consumergroups', group, 'partitions', partition].map((part) => part.toLowerCase())
    this.epoch = numberOf(entryOf(asked.properties, epochProperty))
    this.#isSettled = asked.sndSettleMode !== unsettledMode
    this.#wantsFacts = asked.desiredCapabilities?.includes(metricCapability) === true
  }
  get receiver(): string {
    return textOf(entryOf(this.asked.properties, nameProperty)) ?? this.name
  }
  get position(): number {
    return this.#offset
  }
  get wantsMore(): boolean {
    return this.#credit > 0
  }

  async start(): Promise<void> {
    const { connection } = this.session
    const { hubs } = connection
    const { hub, group: groupText, partition: partitionText } = this.#address
    this.#subject = connection.subjectFor(this.#path)
    const topic = hubs.topicFor(this.#subject, 'read', hub)
    const group = groupOf(groupText)
    this.#groupText = groupText
    hubs.allow(this.#subject, 'read', 'group', groupText)
    const index = partitionOf(partitionText, topic.partitions)
    const { source: from } = this.asked
    const filters = from !== null && isOf(from, source) ? fieldsOf(from, source).filter : null
    this.#topic = topic.name
    this.#partition = { topic: topic.name, index }
    this.#offset = await this.#begin(positionOf(filters))
    const { log } = hubs.parts
    const { amqpReadBytes: large, amqpSmallReadBytes: small } = limits
    this.#readers = { large: log.reader({ maxBytes: large }), small: log.reader({ maxBytes: small }) }
    this.#place = placeOf(topic.id, group, index)
    await hubs.epochs.join(this.#place, this)
    if (this.state === 'gone') return void hubs.epochs.leave(this.#place, this, true)
    this.session.attached(this, {
      sndSettleMode: this.#isSettled ? settledMode : unsettledMode,
      maxMessageSize: BigInt(limits.batchBytesMax),
      ...(this.#wantsFacts ? { offeredCapabilities: [metricCapability] } : {}),
    })
    this.#pump()
  }
  async #begin(position: Position): Promise<number> {
    const { hubs } = this.session.connection
    const topic = hubs.topic(this.#topic)
    const { start, end } = await hubs.facts(topic, this.#partition.index)
    switch (position.by) {
      case 'start':
        return start
      case 'latest':
        return end
      case 'offset': {
        const wanted = position.isInclusive ? position.offset : position.offset + 1
        if (wanted <= end) return Math.max(wanted, start)
        throw new Refused(
          condition.outOfRange,
          `The supplied offset '${position.offset}' is invalid. The last offset in the system is '${end - 1}'.`,
        )
      }
      case 'time': {
        const timeMs = position.isInclusive ? position.timeMs : position.timeMs + 1
        const [found] = await hubs.parts.log.findTime([this.#partition], timeMs)
        return found?.offset ?? end
      }
    }
  }
  stolen(refusal: Refusal): void {
    this.session.detachLink(this, refusal)
  }
  override expired(): Refusal | null {
    const { connection } = this.session
    const over = connection.expired(this.#path)
    if (over !== null) return over
    // Grants go, too.
    const subject = connection.subjectFor(this.#path)
    try {
      connection.hubs.allow(subject, 'read', 'topic', this.#topic)
      connection.hubs.allow(subject, 'read', 'group', this.#groupText)
      return null
    } catch (error) {
      return refusalOf(error)
    }
  }

  onFlow({ deliveryCount, linkCredit, drain, echo }: Flow): void {
    if (linkCredit !== null) {
      // Counted from what the client had seen (part 2.6.7); numbers go round.
      const until = ((deliveryCount ?? 0) + linkCredit) >>> 0
      const credit = (until - this.#deliveryCount) >>> 0
      this.#credit = credit > 0x7fff_ffff ? 0 : credit
    }
    this.#drains = drain === true
    // Who drains wants to hear at once whether there is anything.
    if (this.#drains) this.#wait.abort()
    if (this.state === 'open') this.#pump()
    if (echo === true && this.state === 'open' && !this.#drains) this.#tellCredit()
  }
  #tellCredit(): void {
    this.session.writeFlow({
      handle: this.handle,
      deliveryCount: this.#deliveryCount,
      linkCredit: this.#credit,
      available: this.#raw === null ? 0 : this.#raw.to - this.#at,
      drain: this.#drains,
    })
  }
  #drained(): void {
    this.#deliveryCount = (this.#deliveryCount + this.#credit) >>> 0
    this.#credit = 0
    this.#tellCredit()
    this.#drains = false
  }
  override resume(): void {
    this.#pump()
  }

  #pump(): void {
    const { session } = this
    const { connection } = session
    if (this.state !== 'open' || this.#isThrottled) return
    let written = 0
    while (session.remoteWindow > 0 && !connection.isCongested) {
      const { out } = connection
      const before = out.at
      if (this.#rest !== null) this.#sendRest()
      else if (this.#credit > 0 && this.#raw !== null) this.#sendNext(this.#raw)
      else break
      written += out.at - before
      connection.wrote()
      if (written > burstBytes) {
        this.#later()
        break
      }
    }
    if (written > 0) this.#charge(written)
    if (this.#written > 0) connection.hubs.parts.meter?.received(this.#written)
    this.#written = 0
    if (this.#raw === null && this.#credit > 0) this.#read()
    else if (this.#drains && this.#credit === 0 && this.#rest === null) this.#drained()
  }
  #later(): void {
    if (this.#isQueued) return
    this.#isQueued = true
    this.session.connection.soon(() => {
      this.#isQueued = false
      this.#pump()
    })
  }
  #charge(bytes: number): void {
    const { connection } = this.session
    const ms = connection.charge('consumer_byte_rate', this.#subject!, bytes)
    if (ms === 0) return
    this.#isThrottled = true
    this.#cancel = connection.hubs.parts.world.clock.after(ms, () => {
      this.#isThrottled = false
      this.#pump()
    })
  }
  #sendNext(raw: RawRecords): void {
    const { session } = this
    const { connection, channel } = session
    const { out } = connection
    const delivery = { channel, handle: this.handle, deliveryId: session.nextDeliveryId, isSettled: this.#isSettled }
    const start = beginTransfer(out, delivery, false)
    const payloadAt = out.at
    writeEvent(out, raw, this.#at, this.#facts)
    session.nextDeliveryId = (session.nextDeliveryId + 1) >>> 0
    this.#deliveryCount = (this.#deliveryCount + 1) >>> 0
    this.#credit--
    this.#written++
    const frameMax = connection.remoteFrameMax
    if (out.at - start > frameMax) {
      const payload = Buffer.from(out.buffer.subarray(payloadAt, out.at))
      out.at = start + frameMax
      setMore(out, start, true)
      this.#rest = { payload, at: frameMax - transferOverheadBytes, delivery }
    }
    endFrame(out, start)
    this.#sent()
    if (++this.#at === raw.to) this.#next()
  }
  #sendRest(): void {
    const rest = this.#rest!
    const { out, remoteFrameMax } = this.session.connection
    const left = rest.payload.length - rest.at
    const count = Math.min(left, remoteFrameMax - transferOverheadBytes)
    const start = beginTransfer(out, rest.delivery, count < left)
    out.raw(rest.payload.subarray(rest.at, rest.at + count))
    endFrame(out, start)
    rest.at += count
    if (count === left) this.#rest = null
    this.#sent()
  }
  #sent(): void {
    this.session.remoteWindow--
    this.session.nextOutgoingId = (this.session.nextOutgoingId + 1) >>> 0
  }
  /** To the next records of what was read; when there are none, nobody looks at it any more. */
  #next(): void {
    const held = this.#held
    this.#raw = null
    if (held === null) return
    while (!held.unread.isEmpty) {
      const raw = held.unread.nextRaw().between(this.#offset)
      if (raw.count === 0) continue
      this.#raw = raw
      this.#at = raw.from
      return
    }
    this.#offset = held.next
    this.#release()
  }
  #release(): void {
    if (this.#held === null) return
    this.session.connection.hubs.bytesHeld -= this.#held.bytes
    this.#held.lent.release()
    this.#held = null
  }

  /** Asked anew: what was waited for may have taken it away. */
  #isGone(): boolean {
    return this.state === 'gone'
  }
  #read(): void {
    if (this.#isReading) return
    this.#isReading = true
    this.session.connection.run(async () => {
      try {
        await this.#readOn()
      } catch (error) {
        if (!this.#isGone()) this.session.detachLink(this, refusalOf(error))
      } finally {
        this.#isReading = false
      }
      // What came while it was looked at.
      if (this.state === 'open' && this.#raw !== null) this.#pump()
    })
  }
  /** Until there is something to send, or nobody wants any. */
  async #readOn(): Promise<void> {
    while (this.state === 'open' && this.#credit > 0 && this.#raw === null) {
      const isDraining = this.#drains
      this.#wait = new AbortController()
      const lent = await this.#lend(isDraining ? 0 : waitMs)
      if (lent === null) continue
      const chunk = lent.chunks[0]
      if (this.#isGone() || chunk === undefined) return lent.release()
      if ('fault' in chunk) {
        lent.release()
        await this.#missed(chunk.fault)
        continue
      }
      this.#hold(lent, chunk.batches, Math.max(chunk.next, this.#offset))
      if (this.#wantsFacts) await this.#ask()
      if (this.#isGone()) return
      this.#next()
      if (this.#raw === null && isDraining && this.#drains) this.#drained()
    }
  }
  #hold(lent: LentChunks, batches: readonly Batch[], next: number): void {
    const bytes = batches.reduce((sum, { length }) => sum + length, 0)
    this.session.connection.hubs.bytesHeld += bytes
    this.#held = { lent, unread: new Unread(batches), next, bytes }
  }
  /** null: something else is wanted by now. */
  async #lend(ms: number): Promise<LentChunks | null> {
    const { signal } = this.#wait
    try {
      const from = [{ partition: this.#partition, offset: this.#offset as Offset }]
      // Many who take slowly must not hold much together.
      const isMuch = this.session.connection.hubs.bytesHeld > limits.amqpHeldBytes
      const { large, small } = this.#readers!
      return await (isMuch ? small : large).lend!(from, { ms }, signal)
    } catch (error) {
      if (signal.aborted) return null
      throw error
    }
  }
  /** What retention took away is passed over, as the real service does. */
  async #missed(fault: Fault): Promise<void> {
    if (fault.code !== 'log.offset-out-of-range') throw fault
    const { hubs } = this.session.connection
    const { start, end } = await hubs.facts(hubs.topic(this.#topic), this.#partition.index)
    this.#offset = this.#offset < start ? start : end
  }
  async #ask(): Promise<void> {
    const { hubs } = this.session.connection
    const { lastSequence, lastTimeMs } = await hubs.facts(hubs.topic(this.#topic), this.#partition.index)
    this.#facts = { lastSequence, lastTimeMs, readMs: hubs.parts.world.clock.now() }
  }

  onGone(isClosed: boolean): void {
    this.#wait.abort()
    this.#cancel()
    this.#release()
    this.#raw = this.#rest = null
    if (this.#place === '') return
    const { connection } = this.session
    const { epochs, parts } = connection.hubs
    connection.run(() =>
      epochs.leave(this.#place, this, isClosed).catch((thrown: unknown) => {
        // Its level stands for a while then, or is over with the next start.
        const error = asFault(thrown)
        if (error.code !== 'log.closed') parts.logger.warn('eventhubs: that a receiver left was not noted', { error })
      }),
    )
  }
}
