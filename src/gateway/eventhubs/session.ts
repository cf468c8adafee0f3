/**
 * A session (part 2.5): windows of frames in both directions, and the links. Our handles and channels are those that the
 * client has chosen for itself.
 */
import { limits } from '../../lib/limits.ts'
import {
  type Fields,
  accepted,
  attach,
  begin,
  detach,
  disposition,
  end,
  fieldsOf,
  flow,
  isOf,
  rejected,
  source,
  target,
  transfer,
  valueOf,
} from '../../wire/amqp/composites.ts'
import { type Value, nothing, textOf } from '../../wire/amqp/values.ts'
import { addressOf } from './address.ts'
import { type Refusal, Refused, condition, errorValue, refusalOf } from './conditions.ts'
import type { Connection } from './connection.ts'
import { Consumer } from './consumer.ts'
import { type Attach, Link } from './link.ts'
import { Publisher } from './publisher.ts'
import { AnswerLink, RequestLink } from './request-links.ts'

/** Ends the session with the reason. */
export class SessionRefused extends Refused {}

export class Session {
  readonly connection: Connection
  readonly channel: number
  /** Frames of transfers that we may still send. */
  remoteWindow: number
  nextOutgoingId = 0
  /** Of deliveries that we send. */
  nextDeliveryId = 0
  readonly links = new Map<number, Link>()
  isEnded = false
  #nextIncomingId: number
  #window = limits.amqpWindow
  readonly #handleMax: number
  /** Deliveries whose outcome is to be told at the end of this turn: all of one outcome, in order. */
  #settled: { first: number; last: number }[] = []
  #isTelling = false

  constructor(connection: Connection, channel: number, asked: Fields<typeof begin>) {
    this.connection = connection
    this.channel = channel
    this.remoteWindow = asked.incomingWindow
    this.#nextIncomingId = asked.nextOutgoingId
    this.#handleMax = Math.min(asked.handleMax ?? Infinity, limits.amqpLinks - 1)
    connection.write(channel, begin, {
      remoteChannel: channel,
      nextOutgoingId: 0,
      incomingWindow: limits.amqpWindow,
      outgoingWindow: limits.amqpWindow,
      handleMax: this.#handleMax,
    })
  }

  /** `bytes`: of the performative. Throws SessionRefused, Fault wire.malformed. */
  on(performative: Value, payload: Buffer, bytes: number): void {
    // The one that comes most.
    if (isOf(performative, transfer)) this.#transfer(fieldsOf(performative, transfer), payload)
    else if (isOf(performative, flow)) this.#flow(fieldsOf(performative, flow))
    else if (isOf(performative, disposition)) fieldsOf(performative, disposition)
    else if (isOf(performative, attach)) this.#attach(fieldsOf(performative, attach), bytes)
    else if (isOf(performative, detach)) this.#detach(fieldsOf(performative, detach))
    else if (isOf(performative, end)) this.#end()
    else throw new SessionRefused(condition.notImplemented, 'That performative is not known here.')
  }

  #attach(asked: Attach, bytes: number): void {
    const { handle } = asked
    if (handle > this.#handleMax)
      throw new SessionRefused(condition.framing, `Handle ${handle} is above the ${this.#handleMax} that were agreed.`)
    if (this.links.has(handle)) throw new SessionRefused(condition.handleInUse, `Handle ${handle} is in use.`)
    if (bytes > limits.amqpAttachBytes)
      throw new SessionRefused(condition.argument, `An attach has ${limits.amqpAttachBytes} bytes at most.`)
    this.connection.countLinks(1)
    let link: Link
    try {
      link = this.#linkOf(asked)
    } catch (error) {
      link = new RefusedLink(this, asked, refusalOf(error))
    }
    this.links.set(handle, link)
    this.connection.run(async () => {
      try {
        await link.start()
      } catch (error) {
        this.refuse(link, refusalOf(error))
      }
    })
  }
  #linkOf(asked: Attach): Link {
    // `role` false: the client sends.
    if (!asked.role) {
      const address = addressOf(addressIn(asked.target))
      if (address.node === 'hub') return new Publisher(this, asked, address)
      if (address.node === 'group') throw new Refused(condition.notAllowed, 'Nobody sends to a consumer group.')
      return new RequestLink(this, asked, address)
    }
    const address = addressOf(addressIn(asked.source))
    if (address.node === 'group') return new Consumer(this, asked, address)
    if (address.node === 'hub')
      throw new Refused(condition.notAllowed, 'Events are received from HUB/ConsumerGroups/GROUP/Partitions/PARTITION.')
    return new AnswerLink(this, asked, address)
  }
  /** The link is as the client asked for it. */
  attached(link: Link, more: Partial<Attach> = {}): void {
    const { name, handle, role, sndSettleMode, rcvSettleMode, source: from, target: to } = link.asked
    if (link.state === 'gone' || this.isEnded) return
    link.state = 'open'
    this.connection.write(this.channel, attach, {
      name,
      handle,
      role: !role,
      sndSettleMode,
      rcvSettleMode,
      source: from ?? valueOf(source, {}),
      target: to ?? valueOf(target, {}),
      initialDeliveryCount: role ? 0 : null,
      ...more,
    })
  }
  /** It never was: attached without ends, as the standard has it, then detached with the reason. */
  refuse(link: Link, refusal: Refusal): void {
    if (link.state === 'gone' || this.isEnded) return
    if (link.state === 'attaching') {
      const { role } = link.asked
      // Those of Java and Go take a link that has all its ends for one that they can use. That a partition is somebody
      // else's, the one of Go knows only of a link that had been attached for it: with the client's own end.
      const isStolen = refusal.condition === condition.stolen
      if (this.connection.needsEnds)
        this.attached(link, role ? { source: valueOf(source, {}) } : { target: valueOf(target, {}) })
      else this.attached(link, isStolen ? { source: null } : { source: null, target: null })
    }
    this.detachLink(link, refusal)
  }
  detachLink(link: Link, refusal: Refusal | null): void {
    if (link.state === 'gone') return
    link.state = 'gone'
    if (!this.isEnded) {
      const error = refusal === null ? null : errorValue(refusal)
      this.connection.write(this.channel, detach, { handle: link.handle, closed: true, error })
    }
    if (refusal !== null) this.connection.noteRefusal(link.name, refusal)
    link.onGone(false)
  }
  #detach({ handle, closed }: Fields<typeof detach>): void {
    const link = this.#link(handle)
    this.links.delete(handle)
    this.connection.countLinks(-1)
    if (link.state === 'gone') return
    const wasOpen = link.state === 'open'
    link.state = 'gone'
    link.onGone(true)
    // An attach that is not answered yet is answered first.
    if (!wasOpen) {
      link.state = 'attaching'
      this.attached(link)
      link.state = 'gone'
    }
    this.connection.write(this.channel, detach, { handle, closed: closed ?? false })
  }
  #link(handle: number | null): Link {
    const link = handle === null ? undefined : this.links.get(handle)
    if (link === undefined)
      throw new SessionRefused(condition.unattached, `There is no link with the handle ${handle}.`)
    return link
  }

  #flow(asked: Fields<typeof flow>): void {
    // What we sent and the client had not seen counts against its window.
    const seen = asked.nextIncomingId ?? 0
    this.remoteWindow = Math.max(0, Math.min(0xffff_ffff, seen + asked.incomingWindow - this.nextOutgoingId))
    if (asked.handle !== null) {
      const link = this.#link(asked.handle)
      if (link.state !== 'gone') link.onFlow(asked)
    }
    if (asked.echo === true && asked.handle === null) this.#tellWindow()
    this.resume()
  }
  resume(): void {
    for (const link of this.links.values()) if (link.state === 'open') link.resume()
  }
  #tellWindow(): void {
    this.#window = limits.amqpWindow
    this.writeFlow({})
  }
  writeFlow(ofLink: Partial<Fields<typeof flow>>): void {
    this.connection.write(this.channel, flow, {
      nextIncomingId: this.#nextIncomingId,
      incomingWindow: this.#window,
      nextOutgoingId: this.nextOutgoingId,
      outgoingWindow: limits.amqpWindow,
      ...ofLink,
    })
  }

  #transfer(asked: Fields<typeof transfer>, payload: Buffer): void {
    this.#nextIncomingId = (this.#nextIncomingId + 1) >>> 0
    if (--this.#window < 0)
      throw new SessionRefused(condition.windowViolation, `More than ${limits.amqpWindow} frames were sent ahead.`)
    const link = this.#link(asked.handle)
    try {
      if (link.state !== 'gone') link.onTransfer(asked, payload)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      this.detachLink(link, error.refusal)
    }
    if (this.#window < limits.amqpWindow / 2 && !this.isEnded) this.#tellWindow()
  }
  /** What was sent is stored. Told at the end of the turn, neighbours together. */
  accept(deliveryId: number): void {
    const last = this.#settled.at(-1)
    if (last !== undefined && last.last + 1 === deliveryId) last.last = deliveryId
    else this.#settled.push({ first: deliveryId, last: deliveryId })
    if (this.#isTelling) return
    this.#isTelling = true
    this.connection.soon(() => {
      this.#isTelling = false
      const settled = this.#settled
      this.#settled = []
      for (const { first, last: to } of settled) this.#dispose(first, to, valueOf(accepted, {}))
    })
  }
  reject(deliveryId: number, refusal: Refusal): void {
    this.#dispose(deliveryId, deliveryId, valueOf(rejected, { error: errorValue(refusal) }))
  }
  #dispose(first: number, last: number, state: Value): void {
    if (this.isEnded) return
    this.connection.write(this.channel, disposition, { role: true, first, last, settled: true, state })
  }

  #end(): void {
    this.ended()
    this.connection.write(this.channel, end, {})
    this.connection.forget(this)
  }
  /** Its links are gone; nothing is said. */
  ended(): void {
    if (this.isEnded) return
    this.isEnded = true
    for (const link of this.links.values()) {
      if (link.state === 'gone') continue
      link.state = 'gone'
      link.onGone(false)
    }
    this.connection.countLinks(-this.links.size)
    this.links.clear()
  }
  /** Detaches what may not go on. */
  check(): void {
    for (const link of this.links.values()) {
      const why = link.state === 'open' ? link.expired() : null
      if (why !== null) this.detachLink(link, why)
    }
  }
}

/** Throws Refused. */
function addressIn(terminus: Value | null): string {
  const found = terminus === null || terminus.type === 'null' ? null : addressValue(terminus)
  const address = textOf(found)
  if (address === null || address === '') throw new Refused(condition.invalidField, 'The link names no address.')
  return address
}
function addressValue(terminus: Value): Value {
  if (isOf(terminus, source)) return fieldsOf(terminus, source).address ?? nothing
  if (isOf(terminus, target)) return fieldsOf(terminus, target).address ?? nothing
  throw new Refused(condition.notImplemented, 'Transactions and other kinds of ends are not offered.')
}

/** Whose address was nothing that is here. */
class RefusedLink extends Link {
  readonly #refusal: Refusal
  constructor(session: Session, asked: Attach, refusal: Refusal) {
    super(session, asked)
    this.#refusal = refusal
  }
  start(): void {
    this.session.refuse(this, this.#refusal)
  }
  onFlow(): void {}
  onGone(): void {}
}
