/**
 * One client's connection. Requests are handled and answered in the order they came, as Kafka does; produce requests
 * alone begin before the one before them is answered, so that many wait for the same sync.
 *
 * Back-pressure: what is taken in and not answered is counted for the connection and over all of them. Beyond the limit
 * the socket is not read until answers have gone out; a client that does not fetch its answers gets no further ones.
 */
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { Turns } from '../../lib/turns.ts'
import type { Address, Connection } from '../../lib/world.ts'
import type { ClientQuota } from '../../security/quotas.ts'
import { codecOf } from '../../wire/kafka/codec/compile.ts'
import { WireReader, totalBytes } from '../../wire/kafka/codec/wire.ts'
import { RequestAccess } from './access.ts'
import { type Frame, FrameReader } from './frame.ts'
import { type Answer, type Exchange, type Handler, code } from './handler.ts'
import type { AnyShape } from '../../wire/kafka/codec/shape.ts'
import { apiVersionsApi } from '../../wire/kafka/messages/18-api-versions.ts'
import { isFlexible, readClientId, readHead, writeResponseHead } from '../../wire/kafka/header.ts'
import { saslAuthenticate } from './handlers/36-sasl-authenticate.ts'
import { Arrival } from './room.ts'
import type { Server } from './server.ts'
import { Session } from './session.ts'

interface Pending {
  readonly handler: Handler
  readonly version: number
  readonly correlationId: number
  readonly clientId: string
  readonly request: unknown
  readonly frame: Frame
  /** A message of SASL without a header: so is its answer. */
  readonly isRaw?: boolean
  readonly access: RequestAccess
  /** Called when the answer has left. */
  sent: (() => void) | null
  /** The connection ends then. */
  isLast: boolean
  /** Milliseconds for which the client has to be silent, because of a quota. */
  throttleMs: number
  startedMs: number
  busyMs: number
  /** undefined: not answered yet. */
  answer: Answer<AnyShape> | undefined
}
const apiVersionsKey = 18
/** Requests that one who has not said who it is may have under way. */
const strangersRequests = 4

export class ClientConnection {
  private readonly server: Server
  private readonly connection: Connection
  private readonly frames: FrameReader
  private readonly node: Address
  /** Without a port. */
  private readonly host: string
  private readonly session: Session
  private isStranger: boolean
  private readonly aborter = new AbortController()
  /** Taken in and not answered, oldest first; the first `running` of them have begun. */
  private readonly queue: Pending[] = []
  private running = 0
  private bytesInFlight = 0
  private hadRequest = false
  private starting = false
  private flushing = false
  private paused = false
  private blocked = false
  /** Over a quota: nothing is begun or read for a while. */
  private muted = false
  private ending = false
  private closed = false
  /** Ticks of the server's clock: when it was opened, when the last bytes came, when the open frame began. */
  private readonly openedTick: number
  private activeTick: number
  frameTick: number
  readonly arrival: Arrival
  /** Of answers: what was written, what of it the client had taken when last looked at, and when that last grew. */
  private writtenBytes = 0
  private takenBytes = 0
  takenTick = 0
  /** Of answers that the client has not taken. */
  owedBytes = 0

  constructor(server: Server, connection: Connection) {
    this.server = server
    this.connection = connection
    this.frames = new FrameReader(server.pool, (length) => server.rooms.for(length).isRoomy)
    this.arrival = new Arrival(this.frames, server.rooms)
    this.node = server.advertise ?? plainAddress(connection.local)
    this.host = plainHost(connection.remote.host)
    const { security, sasl, clock } = server
    this.session = new Session({ security, sasl, clock, subject: connection.peerSubject })
    this.isStranger = !this.session.isKnown
    this.openedTick = this.activeTick = this.frameTick = server.tick
    connection.onBytes(
      (bytes) => this.take(bytes),
      () => this.frames.room,
    )
    connection.onDrain(() => this.drained())
    connection.onClose(() => this.gone())
  }

  private take(bytes: Uint8Array): void {
    if (this.closed || this.ending) return
    this.activeTick = this.server.tick
    try {
      const wasPartial = this.frames.partial
      this.frames.push(bytes, (frame) => this.accept(frame))
      if (this.frames.partial && !wasPartial) this.frameTick = this.server.tick
    } catch (error) {
      return this.fail(asFault(error))
    }
    this.arrival.note()
    const { room, overfullBytes: sum } = this.arrival
    if (room !== null && sum !== null) {
      const what = 'the sum of requests under way'
      return this.fail(new Fault('wire.too-large', { what, bytes: sum, bytesMax: room.bytesMax }))
    }
    this.start()
    this.pauseIfFull()
  }

  /** Throws Fault for what no request can be. */
  private accept(frame: Frame): void {
    if (this.closed) return
    this.frameTick = this.server.tick
    if (this.session.isRaw) return this.acceptRaw(frame)
    const input = new WireReader(frame.bytes)
    const { key, version, correlationId } = readHead(input)
    const refusal = this.session.refusal(key)
    if (refusal !== null) throw new Fault('wire.malformed', { what: refusal })
    const handler = this.server.handlers.get(key)
    if (handler === undefined) throw new Fault('wire.malformed', { what: `API ${key} is not offered` })
    const [first, last] = handler.versions
    if (version < first || version > last) {
      if (key === apiVersionsKey) return this.answerUnknownVersion(handler, correlationId, frame)
      throw new Fault('wire.malformed', { what: `${handler.api.name} v${version} is not offered` })
    }
    const flexible = isFlexible(handler.api, version)
    const clientId = readClientId(input, flexible)
    const request = codecOf(handler.api.request, version, flexible).decode(input)
    this.trust()
    this.enqueue({ handler, version, correlationId, clientId, request, frame })
  }
  private acceptRaw(frame: Frame): void {
    const request = { authBytes: frame.bytes }
    const version = 0
    this.enqueue({ handler: saslAuthenticate, version, correlationId: 0, clientId: '', request, frame, isRaw: true })
  }
  /** How a client finds out what we speak when its own version is too new for us. */
  private answerUnknownVersion(handler: Handler, correlationId: number, frame: Frame): void {
    const [minVersion, maxVersion] = handler.versions
    const answer = { errorCode: code.unsupportedVersion, apiKeys: [{ apiKey: apiVersionsKey, minVersion, maxVersion }] }
    const { versions, access } = handler
    const fixed: Handler = { api: apiVersionsApi, versions, access, handle: () => answer }
    this.trust()
    this.enqueue({ handler: fixed, version: 0, correlationId, clientId: '', request: null, frame })
  }
  /** Who has to say who it is earns nothing before it has. */
  private trust(): void {
    this.hadRequest = true
    if (this.session.isKnown) this.frames.trust()
  }
  private enqueue(
    asked: Omit<Pending, 'access' | 'sent' | 'isLast' | 'throttleMs' | 'startedMs' | 'busyMs' | 'answer'>,
  ): void {
    const subject = { principal: this.session.principal, host: this.host }
    const access = new RequestAccess(subject, this.server.security, asked.handler.access)
    const begun = { sent: null, isLast: false, throttleMs: 0, startedMs: 0, busyMs: 0, answer: undefined }
    const pending: Pending = { ...asked, ...begun, access }
    this.queue.push(pending)
    const { length } = pending.frame.bytes
    this.bytesInFlight += length
    this.server.rooms.for(length).take(length)
  }

  /** Begins what may begin. An answer given at once comes back here while the loop runs: it goes on by itself. */
  private start(): void {
    if (this.starting) return
    this.starting = true
    for (let next = this.startable(); next !== null; next = this.startable()) {
      this.running++
      this.server.ran(1)
      this.begin(next)
    }
    this.starting = false
  }
  private startable(): Pending | null {
    if (this.running >= this.queue.length || this.blocked || this.muted || this.closed) return null
    const next = this.queue[this.running]!
    const before = this.queue[this.running - 1]
    const mustWait = before !== undefined && (next.handler.pipelined !== true || before.handler !== next.handler)
    return mustWait ? null : next
  }
  private begin(pending: Pending): void {
    const { clock } = this.server
    pending.startedMs = clock.monotonic()
    try {
      const answer = pending.handler.handle(pending.request, this.exchange(pending))
      pending.busyMs = clock.monotonic() - pending.startedMs
      if (answer instanceof Promise)
        answer.then(
          (value) => this.finish(pending, value),
          (error: unknown) => this.failInside(pending, error),
        )
      else this.finish(pending, answer)
    } catch (error) {
      this.failInside(pending, error)
    }
  }
  private exchange(pending: Pending): Exchange {
    const { version, clientId, access } = pending
    const { lease } = pending.frame
    const { broker, sessions, shareSessions, supported, topicDefaults, uses, answerBytesMax, log } = this.server
    const { security, listenerProtocol, clientTelemetry } = this.server
    const { node, session } = this
    const turns = new Turns(this.server.clock)
    return {
      broker,
      sessions,
      shareSessions,
      supported,
      topicDefaults,
      uses,
      turns,
      answerBytesMax,
      log,
      version,
      clientId,
      clientHost: `/${this.host}`,
      clientPort: this.connection.remote.port,
      clientTelemetry,
      node,
      session,
      access,
      security,
      listenerProtocol,
      lease,
      mutations: (count, strict) => {
        if (strict && this.charge(pending, 'controller_mutation_rate', 0) > 0) return false
        this.charge(pending, 'controller_mutation_rate', count)
        return true
      },
      whenSent: (call) => void (pending.sent = call),
      endAfter: () => void (pending.isLast = true),
      signal: this.aborter.signal,
    }
  }
  private charge(pending: Pending, quota: ClientQuota, amount: number): number {
    const { access, clientId } = pending
    const client = { user: access.subject.principal.name, clientId }
    const ms = this.server.security.quotas.charge(quota, client, amount)
    pending.throttleMs = Math.max(pending.throttleMs, ms)
    return ms
  }
  /** What the request was to the quotas: bytes, and the share of a second that it kept this thread busy. */
  private chargeFor(pending: Pending, answer: Answer<AnyShape>): void {
    const { handler, frame, busyMs } = pending
    if (handler.quota !== undefined) {
      const answered = answer === null || answer === 'close' ? 0 : (handler.answerBytes?.(answer) ?? 0)
      this.charge(pending, handler.quota, handler.answerBytes === undefined ? frame.bytes.length : answered)
    }
    this.charge(pending, 'request_percentage', busyMs / 10)
  }
  private finish(pending: Pending, answer: Answer<AnyShape>): void {
    if (this.closed) return
    this.chargeFor(pending, answer)
    const isObject = answer !== null && answer !== 'close'
    pending.answer = isObject && pending.throttleMs > 0 ? { ...answer, throttleTimeMs: pending.throttleMs } : answer
    if (this.isStranger && this.session.isKnown) this.becomeKnown()
    if (this.closed || this.queue[0] !== pending || this.flushing) return
    if (this.running === 1) return this.flush()
    // Answers to pipelined requests come in crowds: one write for all of this turn.
    this.flushing = true
    this.server.clock.soon(() => {
      this.flushing = false
      this.flush()
    })
  }

  private becomeKnown(): void {
    this.isStranger = false
    this.server.known(this.connection.remote.host)
    this.frames.trust()
  }
  private mute(ms: number): void {
    this.muted = true
    this.pauseIfFull()
    this.server.clock.after(ms, () => {
      if (this.closed) return
      this.muted = false
      this.start()
      this.resumeIfRoom()
    })
  }

  /** Sends every answer whose turn has come, then goes on with what waits. */
  private flush(): void {
    if (this.closed) return
    const { writer } = this.server
    let mustEnd = false
    let throttleMs = 0
    const sent: (() => void)[] = []
    try {
      while (!mustEnd && this.queue.length > 0 && this.queue[0]!.answer !== undefined) {
        const pending = this.queue.shift()!
        this.running--
        this.server.ran(-1)
        const { length } = pending.frame.bytes
        this.bytesInFlight -= length
        this.server.rooms.for(length).release(length)
        throttleMs = Math.max(throttleMs, pending.throttleMs)
        if (pending.answer === 'close' || pending.isLast) mustEnd = true
        if (pending.answer !== null && pending.answer !== 'close') this.encode(pending)
        if (pending.sent !== null) sent.push(pending.sent)
        this.count(pending)
      }
    } catch (error) {
      writer.take()
      return this.failInside(null, error)
    }
    const pieces = writer.take()
    const whenSent = sent.length === 0 ? undefined : () => sent.forEach((call) => call())
    this.writtenBytes += totalBytes(pieces)
    if (pieces.length > 0 && !this.connection.write(pieces, whenSent)) {
      this.blocked = this.connection.backlogBytes > limits.kafkaBacklogBytes
      if (this.owedBytes === 0) this.takenTick = this.server.tick
      this.owe(this.connection.backlogBytes)
    }
    if (this.closed) return
    if (mustEnd || (this.ending && this.queue.length === 0)) return this.end()
    if (throttleMs > 0 && !this.muted) this.mute(throttleMs)
    this.start()
    this.resumeIfRoom()
  }
  private count({ handler, version, startedMs, answer, access }: Pending): void {
    const { meter, clock } = this.server
    const error = answer === null || answer === 'close' || answer === undefined ? code.none : errorOf(handler, answer)
    access.note(handler.api.name, answer)
    meter?.request(handler.api.name, version, (clock.monotonic() - startedMs) / 1000, error)
  }
  private encode({ handler, version, correlationId, answer, isRaw }: Pending): void {
    const { writer } = this.server
    const place = writer.placeInt32()
    const before = writer.written
    // Without a header there is no way to tell an error but to end.
    if (isRaw === true) {
      writer.splice([(answer as { readonly authBytes: Uint8Array }).authBytes])
      return place(writer.written - before)
    }
    writeResponseHead(writer, handler.api, version, correlationId)
    codecOf(handler.api.response, version, isFlexible(handler.api, version)).encode(answer, writer)
    place(writer.written - before)
  }

  private owe(bytes: number): void {
    this.server.owed(bytes - this.owedBytes)
    this.owedBytes = bytes
  }
  private drained(): void {
    this.blocked = false
    this.owe(0)
    this.start()
    this.resumeIfRoom()
  }
  private isFull(): boolean {
    return (
      this.bytesInFlight > (this.isStranger ? limits.kafkaFirstFrameBytes : limits.kafkaConnectionBytesInFlight) ||
      this.queue.length > (this.isStranger ? strangersRequests : limits.kafkaConnectionRequestsInFlight)
    )
  }
  /** True: it is not to be read now. */
  private waitsForRoom(): boolean {
    const room = this.arrival.waitsFor()
    room?.wait(this)
    return room !== null || this.muted || this.isFull()
  }
  private pauseIfFull(): void {
    if (this.paused || this.closed || !this.waitsForRoom()) return
    this.paused = true
    this.connection.pause()
  }
  get waits(): boolean {
    return this.paused
  }
  resumeIfRoom(): void {
    if (!this.paused || this.closed || this.waitsForRoom()) return
    this.paused = false
    this.arrival.goOn()
    this.connection.resume()
  }

  /** Called once a tick: closes what is idle, or too slow to say what it wants. */
  check(tick: number): void {
    if (this.closed) return
    const ms = (since: number): number => (tick - since) * this.server.tickMs
    if (this.owedBytes > 0) {
      this.owe(this.connection.backlogBytes)
      const takenBytes = this.writtenBytes - this.owedBytes
      if (takenBytes > this.takenBytes) this.takenTick = tick
      else if (ms(this.takenTick) > limits.kafkaStalledMs) return this.failUnread()
      this.takenBytes = takenBytes
    }
    this.arrival.tick(this.server.tickMs, this.paused)
    if (this.isStranger && ms(this.openedTick) > limits.kafkaAuthenticationMs)
      return this.fail(new Fault('wire.malformed', { what: 'no authentication in time' }))
    if (this.paused || this.queue.length > 0) return
    if (!this.hadRequest && ms(this.openedTick) > limits.kafkaFirstRequestMs)
      return this.fail(new Fault('wire.malformed', { what: 'no request in time' }))
    if (this.frames.partial && ms(this.frameTick) > limits.kafkaFrameMs)
      return this.fail(new Fault('wire.malformed', { what: 'a request that does not go on' }))
    if (ms(this.activeTick) > limits.kafkaIdleMs) this.end()
  }

  /** Others wait for the memory that its unfinished request holds. */
  failUnfinished(): void {
    this.fail(new Fault('wire.malformed', { what: 'a request that does not go on while others wait for room' }))
  }
  /** The client takes nothing of its answers, or others need the memory of them. */
  failUnread(): void {
    this.fail(new Fault('wire.malformed', { what: 'answers that are not read' }))
  }
  private fail(fault: Fault): void {
    if (this.closed) return
    this.server.complain('kafka: connection closed', { client: this.host, why: fault.message })
    this.connection.destroy()
    this.gone()
  }
  /** Something that cannot happen did: this client is let go, the others do not notice. */
  private failInside(pending: Pending | null, error: unknown): void {
    if (this.closed) return
    if (!(error instanceof Fault && error.code === 'log.closed'))
      this.server.log.error('kafka: a request failed', { api: pending?.handler.api.name, error })
    this.connection.destroy()
    this.gone()
  }
  /** Takes nothing more in; what is under way is answered first. */
  finishAndEnd(): void {
    this.ending = true
    this.aborter.abort()
    if (this.queue.length === 0) this.end()
  }
  private end(): void {
    this.connection.end()
    this.gone()
  }
  destroy(): void {
    this.connection.destroy()
    this.gone()
  }
  private gone(): void {
    if (this.closed) return
    this.closed = true
    this.aborter.abort()
    this.arrival.drop()
    for (const { frame } of this.queue) this.server.rooms.for(frame.bytes.length).release(frame.bytes.length)
    this.server.ran(-this.running)
    this.owe(0)
    this.queue.length = 0
    this.frames.drop()
    if (this.isStranger) this.server.known(this.connection.remote.host)
    this.server.forget(this, this.connection.remote.host)
  }
}

function errorOf(handler: Handler, answer: { readonly errorCode?: number }): number {
  return handler.firstError?.(answer) ?? answer.errorCode ?? code.none
}

/** An IPv4 client of an IPv6 socket, as IPv4. */
export function plainHost(host: string): string {
  const mapped = '::ffff:'
  return host.startsWith(mapped) ? host.slice(mapped.length) : host
}
const plainAddress = ({ host, port }: Address): Address => ({ host: plainHost(host), port })
