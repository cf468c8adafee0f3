/**
 * A connection (part 2.4): protocol headers, SASL, open and close, signs of life, and the sessions on its channels. It knows
 * no socket: bytes come in by `received` and go out by its transport.
 */
import { ByteWriter } from '../../lib/bytes.ts'
import { asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Subject } from '../../security/authorizer.ts'
import { anonymous } from '../../security/principal.ts'
import {
  type Composite,
  type Fields,
  type Given,
  begin,
  close,
  fieldsOf,
  isOf,
  open,
  saslInit,
  saslMechanisms,
  saslOutcome,
  end as sessionEnd,
  write,
} from '../../wire/amqp/composites.ts'
import type { Shape } from '../../wire/amqp/composites.ts'
import {
  type Frame,
  FrameReader,
  beginFrame,
  endFrame,
  frameBytesMin,
  frameType,
  protocolHeader,
  protocolId,
  protocolOf,
} from '../../wire/amqp/frames.ts'
import { ValueReader, entryOf, textOf } from '../../wire/amqp/values.ts'
import { type Refusal, Refused, condition, errorValue, refusalOf } from './conditions.ts'
import type { Hubs } from './hubs.ts'
import type { AnswerLink } from './request-links.ts'
import { Session } from './session.ts'
import { type Claim, Claims } from './tokens.ts'

export interface Transport {
  /** Without a port. */
  readonly host: string
  /** Of the certificate that the client has shown. */
  readonly peerSubject: string | null
  readonly backlogBytes: number
  write(bytes: Buffer): void
  pause(): void
  resume(): void
  /** Sends what is written, then closes. */
  end(): void
  destroy(): void
}
type State = 'header' | 'sasl' | 'open' | 'running' | 'closed'

const flushBytes = 64 * 1024
const outBytes = 4 * 1024
/** A client that was told of the end has so long to say the same. */
const closeMs = 2_000
const mechanisms = ['ANONYMOUS', 'PLAIN', 'EXTERNAL', 'MSSBCBS']

export class Connection {
  readonly hubs: Hubs
  readonly claims: Claims
  /** What is to be sent. Another one after a flush: nobody keeps it. */
  out = new ByteWriter(outBytes)
  remoteFrameMax = limits.amqpFrameBytes
  /** Microsoft's Python client, which gives up on an attach without ends, before it hears why. */
  needsEnds = false
  /** The client takes less than we write. */
  isCongested = false
  readonly #transport: Transport
  readonly #onRefusal: (facts: Readonly<Record<string, unknown>>) => void
  readonly #reader = new FrameReader(limits.amqpFrameBytes)
  readonly #sessions = new Map<number, Session>()
  readonly #answers = new Set<AnswerLink>()
  #links = 0
  #bytesPartial = 0
  #backlogCounted = 0
  #stalledSinceMs: number | null = null
  /** Channels that had a session. */
  readonly #ended = new Set<number>()
  #state: State = 'header'
  #saslDone = false
  #containerId = ''
  #channelMax = limits.amqpChannels - 1
  /** Bytes that came while something had to be waited for. */
  #queue: Buffer[] = []
  #isBusy = false
  #isFlushing = false
  #bytesWaiting = 0
  #isPaused = false
  #heldUntilMs = 0
  #heardMs: number
  #saidMs: number
  #openedMs: number
  #cancelBeat = (): void => {}

  constructor(hubs: Hubs, transport: Transport, onRefusal: (facts: Readonly<Record<string, unknown>>) => void) {
    this.hubs = hubs
    this.#transport = transport
    this.#onRefusal = onRefusal
    this.claims = new Claims(hubs.parts.world.clock)
    this.#heardMs = this.#saidMs = this.#openedMs = this.#now()
    const subject = transport.peerSubject
    if (subject !== null) this.claims.known = hubs.parts.security.bySubject(subject)
  }
  #now(): number {
    return this.hubs.parts.world.clock.monotonic()
  }
  soon(call: () => void): void {
    this.hubs.parts.world.clock.soon(call)
  }
  /** Nobody waits for it; what nobody foresaw ends the connection. */
  run(work: () => Promise<unknown>): void {
    work().catch((error: unknown) => {
      this.hubs.parts.logger.error('eventhubs: a fault of Millrace', { error: asFault(error) })
      this.closeWith({ condition: condition.internal, description: 'The service was unable to process the request.' })
    })
  }

  /** The bytes belong to the connection from here on. */
  received(bytes: Buffer): void {
    this.#heardMs = this.#now()
    if (this.#state === 'closed') return
    this.#queue.push(bytes)
    this.#work()
  }
  #work(): void {
    while (!this.#isBusy && this.#queue.length > 0 && this.#state !== 'closed') {
      this.#reader.give(this.#queue.shift()!)
      this.#take()
    }
  }
  #take(): void {
    try {
      while (!this.#isBusy && this.#state !== 'closed' && this.#one());
    } catch (error) {
      this.closeWith(refusalOf(error))
    }
  }
  /** Handles the next piece; false when it has not come yet. */
  #one(): boolean {
    if (this.#state === 'header') {
      const bytes = this.#reader.header()
      if (bytes !== null) this.#header(protocolOf(bytes))
      return bytes !== null
    }
    const frame = this.#reader.frame()
    if (frame === null) return false
    if (this.#state === 'sasl') this.#sasl(frame)
    else this.#frame(frame)
    return true
  }

  #header(id: number | null): void {
    if (id === protocolId.sasl && !this.#saslDone) {
      this.#state = 'sasl'
      this.#raw(protocolHeader(protocolId.sasl))
      return this.#writeFrame(frameType.sasl, 0, saslMechanisms, { mechanisms })
    }
    if (id === protocolId.amqp) {
      this.#state = 'open'
      return this.#raw(protocolHeader(protocolId.amqp))
    }
    // What we would have liked, then the end (part 2.2).
    this.#raw(protocolHeader(this.#saslDone ? protocolId.amqp : protocolId.sasl))
    this.#finish()
  }
  #sasl({ type, body }: Frame): void {
    const init = fieldsOf(new ValueReader(body).value(), saslInit)
    if (type !== frameType.sasl) throw new Refused(condition.framing, 'A frame of SASL was to come.')
    this.#isBusy = true
    this.#transport.pause()
    this.run(async () => {
      const isIn = await this.#authenticated(init)
      this.#writeFrame(frameType.sasl, 0, saslOutcome, { code: isIn ? 0 : 1 })
      this.#isBusy = false
      if (!isIn) return this.#finish()
      this.#saslDone = true
      this.#state = 'header'
      this.#transport.resume()
      this.#take()
      this.#work()
    })
  }
  async #authenticated({ mechanism, initialResponse }: Fields<typeof saslInit>): Promise<boolean> {
    // ANONYMOUS says who it is by a token, later.
    if (mechanism === 'ANONYMOUS' || mechanism === 'MSSBCBS') return true
    if (mechanism === 'EXTERNAL') return this.claims.known !== null || this.#transport.peerSubject === null
    if (mechanism !== 'PLAIN') return false
    try {
      this.claims.known = await this.hubs.tokens.plain(initialResponse ?? Buffer.alloc(0))
      return true
    } catch (error) {
      const refusal = refusalOf(error)
      this.noteRefusal('sasl', refusal)
      this.hubs.unknown(this.#transport.host, refusal.description)
      return false
    }
  }

  #frame({ type, channel, body }: Frame): void {
    if (type !== frameType.amqp) throw new Refused(condition.framing, 'A frame of AMQP was to come.')
    if (body.length === 0) return
    const reader = new ValueReader(body)
    const performative = reader.value()
    if (this.#state === 'open') return this.#open(fieldsOf(performative, open))
    if (isOf(performative, close)) return this.#closed()
    if (isOf(performative, begin)) return this.#begin(channel, fieldsOf(performative, begin))
    const session = this.#sessions.get(channel)
    // Microsoft's Python client detaches its links after it has ended their session.
    if (session === undefined && this.#ended.has(channel)) return
    if (session === undefined) throw new Refused(condition.notAllowed, `There is no session on channel ${channel}.`)
    try {
      session.on(performative, body.subarray(reader.at), reader.at)
    } catch (error) {
      if (!(error instanceof Refused)) throw error
      session.ended()
      this.write(channel, sessionEnd, { error: errorValue(error.refusal) })
      this.noteRefusal(`session ${channel}`, error.refusal)
      this.forget(session)
    }
  }
  #open(asked: Fields<typeof open>): void {
    this.#state = 'running'
    this.#containerId = asked.containerId
    this.needsEnds = textOf(entryOf(asked.properties, 'product'))?.startsWith('azsdk-python') === true
    this.remoteFrameMax = Math.max(frameBytesMin, Math.min(asked.maxFrameSize ?? Infinity, limits.amqpFrameBytes))
    this.#channelMax = Math.min(asked.channelMax ?? Infinity, limits.amqpChannels - 1)
    this.write(0, open, {
      containerId: 'millrace',
      maxFrameSize: limits.amqpFrameBytes,
      channelMax: this.#channelMax,
      idleTimeOut: limits.amqpIdleMs / 2,
    })
    if (asked.idleTimeOut !== null && asked.idleTimeOut > 0) this.#beat(asked.idleTimeOut / 2)
  }
  /** A sign of life in time, whatever else is sent. */
  #beat(everyMs: number): void {
    this.#cancelBeat = this.hubs.parts.world.clock.after(Math.max(everyMs, beatMsMin), () => {
      if (this.#state !== 'running') return
      if (this.#now() - this.#saidMs >= everyMs / 2) {
        endFrame(this.out, beginFrame(this.out, frameType.amqp, 0))
        this.wrote()
      }
      this.#beat(everyMs)
    })
  }
  #begin(channel: number, asked: Fields<typeof begin>): void {
    if (channel > this.#channelMax || this.#sessions.has(channel))
      throw new Refused(
        condition.notAllowed,
        `Channel ${channel} is in use, or above the ${this.#channelMax} that were agreed.`,
      )
    if (this.hubs.sessions >= limits.amqpSessionsInAll)
      throw new Refused(condition.resourceLimit, `There are ${limits.amqpSessionsInAll} sessions already.`)
    this.hubs.sessions++
    this.#sessions.set(channel, new Session(this, channel, asked))
  }
  forget(session: Session): void {
    if (this.#sessions.delete(session.channel)) this.hubs.sessions--
    this.#ended.add(session.channel)
  }

  write<S extends Shape>(channel: number, of: Composite<S>, given: Given<Composite<S>>): void {
    if (this.#state !== 'closed') this.#writeFrame(frameType.amqp, channel, of, given)
  }
  #writeFrame<S extends Shape>(type: number, channel: number, of: Composite<S>, given: Given<Composite<S>>): void {
    const start = beginFrame(this.out, type, channel)
    write(this.out, of, given)
    endFrame(this.out, start)
    this.wrote()
  }
  #raw(bytes: Buffer): void {
    this.out.raw(bytes)
    this.wrote()
  }
  /** A frame has been written to `out`: it is sent soon, or now where there is much. */
  wrote(): void {
    if (this.out.at >= flushBytes) return this.#flush()
    if (this.#isFlushing) return
    this.#isFlushing = true
    this.soon(() => {
      this.#isFlushing = false
      this.#flush()
    })
  }
  #flush(): void {
    const { out } = this
    if (out.at === 0) return
    const bytes = Buffer.allocUnsafeSlow(out.at)
    out.buffer.copy(bytes, 0, 0, out.at)
    out.at = 0
    // A large event does not leave its room behind with every connection.
    if (out.buffer.length > 4 * flushBytes) this.out = new ByteWriter(outBytes)
    this.#saidMs = this.#now()
    this.#transport.write(bytes)
    this.#countBacklog()
    if (this.#backlogCounted > 2 * limits.amqpBacklogBytes) this.#regulate()
  }
  #countBacklog(): void {
    const bytes = this.#state === 'closed' ? 0 : this.#transport.backlogBytes
    const { hubs } = this
    hubs.bytesBacklog += bytes - this.#backlogCounted
    if (bytes < this.#backlogCounted) this.#stalledSinceMs = null
    this.#backlogCounted = bytes
    const { amqpBacklogBytes, amqpBacklogBytesInAll, amqpBacklogBytesFew } = limits
    const most = hubs.bytesBacklog > amqpBacklogBytesInAll ? amqpBacklogBytesFew : amqpBacklogBytes
    this.isCongested = bytes > most
    if (bytes === 0) this.#stalledSinceMs = null
    else this.#stalledSinceMs ??= this.#now()
  }
  /** The client has taken what was written. */
  drained(): void {
    const wasCongested = this.isCongested
    this.#countBacklog()
    this.#regulate()
    if (!wasCongested || this.isCongested) return
    for (const session of this.#sessions.values()) session.resume()
  }

  /** So many links more, or less. Throws Refused where there are too many. */
  countLinks(more: number): void {
    const { amqpLinksOfConnection: ofConnection, amqpLinksInAll: inAll } = limits
    if (more > 0 && (this.#links >= ofConnection || this.hubs.links >= inAll))
      throw new Refused(
        condition.resourceLimit,
        `A connection has ${ofConnection} links at most, and all of them ${inAll}.`,
      )
    this.#links += more
    this.hubs.links += more
  }
  /** So many bytes more, or less, of messages that have not come whole. Throws Refused where they are too many. */
  countPartial(bytes: number): void {
    this.#bytesPartial += bytes
    this.hubs.bytesPartial += bytes
    const { amqpBytesWaiting, amqpBytesWaitingInAll, amqpFrameBytes } = limits
    if (bytes <= 0 || this.#bytesPartial <= amqpFrameBytes) return
    if (this.#bytesPartial > amqpBytesWaiting || this.hubs.bytesPartial > amqpBytesWaitingInAll)
      throw new Refused(condition.resourceLimit, 'Too much is held of messages that have not come whole.')
  }
  /** So many bytes more, or less, wait to be stored. */
  waiting(bytes: number): void {
    this.#bytesWaiting += bytes
    this.hubs.bytesWaiting += bytes
    this.#regulate()
  }
  #regulate(): void {
    const isOver =
      this.#bytesWaiting > limits.amqpBytesWaiting ||
      this.hubs.bytesWaiting > limits.amqpBytesWaitingInAll ||
      this.#heldUntilMs > this.#now() ||
      // Who does not take answers gets no more of them; events end before that.
      this.#backlogCounted > 2 * limits.amqpBacklogBytes
    if (isOver === this.#isPaused || this.#state === 'closed') return
    // Not at every message around the limit.
    if (!isOver && this.#bytesWaiting > limits.amqpBytesWaiting / 2) return
    this.#isPaused = isOver
    if (isOver) this.#transport.pause()
    else this.#transport.resume()
  }
  /** Counts against a quota; over it, nothing is read until the rate is back, or whoever asks waits so many milliseconds. */
  charge(quota: 'producer_byte_rate' | 'consumer_byte_rate', { principal }: Subject, bytes: number): number {
    const { quotas } = this.hubs.parts.security
    const waitMs = quotas.charge(quota, { user: principal.name, clientId: this.#containerId }, bytes)
    if (waitMs > 0 && quota === 'producer_byte_rate') {
      this.#heldUntilMs = this.#now() + waitMs
      this.#regulate()
      this.hubs.parts.world.clock.after(waitMs + 1, () => this.#regulate())
    }
    return waitMs
  }

  /** Who asks about this path. Without a token it is nobody in particular. */
  subjectFor(path: readonly string[]): Subject {
    return { principal: this.claims.of(path) ?? anonymous, host: this.#transport.host }
  }
  subjectOf({ principal }: Claim): Subject {
    return { principal, host: this.#transport.host }
  }
  subjectForHub(hub: string): Subject {
    return { principal: this.claims.ofHub(hub) ?? anonymous, host: this.#transport.host }
  }
  /** Why a link of this path may not go on: it came by a token, which is over. */
  expired(path: readonly string[]): Refusal | null {
    if (this.claims.isEmpty || this.claims.of(path) !== null) return null
    return { condition: condition.unauthorized, description: 'ExpiredToken: The token for this link is over.' }
  }
  addAnswerLink(link: AnswerLink): void {
    this.#answers.add(link)
  }
  removeAnswerLink(link: AnswerLink): void {
    this.#answers.delete(link)
  }
  /** Where the client said its answer goes, else where it listens for those of this node last. */
  answerLink(node: string, replyTo: string | null): AnswerLink | null {
    let found: AnswerLink | null = null
    for (const link of this.#answers) {
      if (link.node !== node) continue
      if (replyTo !== null && link.replyAddress === replyTo) return link
      found = link
    }
    return found
  }
  /** A token was shown that does not hold. */
  tokenRefused(refusal: Refusal): void {
    this.hubs.unknown(this.#transport.host, refusal.description)
  }
  noteRefusal(what: string, refusal: Refusal): void {
    this.hubs.parts.meter?.refused(refusal.condition)
    this.#onRefusal({ client: this.#transport.host, what, ...refusal })
  }

  /** Once a second or so: connections that are not opened in time or silent, links whose tokens are over. */
  check(): void {
    const now = this.#now()
    // What it has taken is told when it has taken all; here it is looked at in between.
    if (this.#backlogCounted > 0) this.drained()
    this.#regulate()
    if (this.#state === 'closed') return
    if (this.#stalledSinceMs !== null && now - this.#stalledSinceMs > limits.amqpStalledMs) {
      this.noteRefusal('connection', {
        condition: condition.forced,
        description: 'It takes nothing of what it is sent.',
      })
      return this.#transport.destroy()
    }
    if (this.#state !== 'running') {
      if (now - this.#openedMs > limits.amqpOpenMs) this.#transport.destroy()
      return
    }
    if (now - this.#heardMs > limits.amqpIdleMs && !this.#isPaused) {
      const seconds = limits.amqpIdleMs / 1000
      return this.closeWith({
        condition: condition.forced,
        description: `The connection was inactive for ${seconds} s.`,
      })
    }
    for (const session of this.#sessions.values()) session.check()
  }
  /** The client says so. */
  #closed(): void {
    this.write(0, close, {})
    this.#finish()
  }
  /** We do. */
  closeWith(refusal: Refusal): void {
    if (this.#state === 'closed') return
    this.noteRefusal('connection', refusal)
    if (this.#state === 'running' || this.#state === 'open') {
      if (this.#state === 'open') this.write(0, open, { containerId: 'millrace' })
      this.write(0, close, { error: errorValue(refusal) })
    }
    this.#finish()
  }
  #finish(): void {
    this.#flush()
    this.#state = 'closed'
    this.gone()
    this.#transport.end()
    this.hubs.parts.world.clock.after(closeMs, () => this.#transport.destroy())
  }
  /** The socket is closed, or about to be. */
  gone(): void {
    this.#state = 'closed'
    this.#cancelBeat()
    this.#queue = []
    this.#countBacklog()
    for (const session of this.#sessions.values()) session.ended()
    this.hubs.sessions -= this.#sessions.size
    this.#sessions.clear()
  }
}
const beatMsMin = 50
