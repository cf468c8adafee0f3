/**
 * One client's connection: bytes into packets, packets into calls, answers in the order of what they answer. Messages come
 * one behind another without waiting; CONNECT, SUBSCRIBE and UNSUBSCRIBE are done before what follows them is looked at.
 *
 * Back-pressure: a client whose messages are not in the log yet is not read beyond a limit; one that does not take what it
 * is sent gets nothing more until it does.
 */
import { limits } from '../../lib/limits.ts'
import type { Connection } from '../../lib/world.ts'
import type { Subject } from '../../security/authorizer.ts'
import { anonymous } from '../../security/principal.ts'
import { FrameReader } from '../../wire/mqtt/frames.ts'
import {
  type AckType,
  type Auth,
  type Connect,
  type Disconnect,
  type Packet,
  type Qos,
  type Subscribe,
  type Unsubscribe,
  type Version,
  isConnect,
  readPacket,
  writeAck,
  writeAuth,
  writeConnack,
  writeDisconnect,
  writePingresp,
  writePublish,
  writeSuback,
  writeUnsuback,
} from '../../wire/mqtt/packets.ts'
import type { Properties } from '../../wire/mqtt/properties.ts'
import { PacketReader } from '../../wire/mqtt/reader.ts'
import { MqttError, type Reason, protocolError, reason } from '../../wire/mqtt/reason.ts'
import { isTopicName } from '../../wire/mqtt/topics.ts'
import { WebSocketReader } from '../../wire/mqtt/web-socket.ts'
import type { PacketWriter } from '../../wire/mqtt/writer.ts'
import { type Message, deliveredProperties } from '../../log/mqtt-message.ts'
import { Arrivals } from './arrivals.ts'
import type { Exchange } from './exchange.ts'
import type { Identity } from './identity.ts'
import { keepAliveOf, connackProperties, clientIdOf, saidVersion } from './opening.ts'
import { Outbox } from './outbox.ts'
import { reasonOf } from './outcome.ts'
import type { Server } from './server.ts'
import { type Link, type Session, never } from './session.ts'
import { TopicAliases } from './topic-aliases.ts'

const packetLimits = { userProperties: limits.mqttUserProperties, filters: limits.mqttFiltersPerRequest }
const webSocketFirst = 0x47
const empty = new Uint8Array(0)
/** For the client's end after ours. */
const hangUpMs = 3_000

export class ClientConnection implements Link {
  version: Version = 4
  readonly server: Server
  readonly #connection: Connection
  readonly #outbox: Outbox
  readonly #host: string
  readonly #frames = new FrameReader(limits.mqttFirstPacketBytes)
  #webSocket: WebSocketReader | null = null
  #hadBytes = false
  #state: 'new' | 'connecting' | 'open' | 'closed' = 'new'
  session: Session | null = null
  clientId = ''
  subject: Subject
  /** By which it shows who it is, where it asked for that; and its CONNECT, until it has been answered. */
  #exchange: Exchange | null = null
  #asked: Connect | null = null
  #keepAliveMs = 0
  /** By the wall clock: its token is over then. */
  #expiresMs: number | null = null
  #activeMs: number
  #heldCounted = 0
  /** Of the client. */
  saysWhy = true
  readonly aliases = new TopicAliases()
  /** Something is being done that what follows has to wait for. */
  #isBusy = false
  #deferred: { readonly first: number; readonly body: Buffer }[] = []
  readonly #arrivals: Arrivals
  #isPaused = false

  constructor(server: Server, connection: Connection, host: string) {
    this.server = server
    this.#connection = connection
    this.#host = host
    this.subject = { principal: anonymous, host }
    this.#activeMs = server.clock.monotonic()
    this.#arrivals = new Arrivals(this)
    connection.onBytes((bytes) => this.#received(bytes))
    connection.onClose(() => this.#gone(true))
    this.#outbox = new Outbox(connection, this)
    connection.resume()
  }
  /** CONNACK has been sent, and it is not over. */
  get isRunning(): boolean {
    return this.#state === 'open'
  }
  get isOpen(): boolean {
    return this.#state !== 'closed'
  }

  // Bytes.

  #received(bytes: Uint8Array): void {
    if (this.#state === 'closed') return
    if (this.#state === 'open') this.#activeMs = this.server.clock.monotonic()
    if (!this.#hadBytes && bytes.length > 0) {
      this.#hadBytes = true
      if (bytes[0] === webSocketFirst) this.#webSocket = this.#openWebSocket()
      this.#outbox.isFramed = this.#webSocket !== null
    }
    if (this.#webSocket === null) this.#feed(bytes)
    else this.#webSocket.feed(bytes)
  }
  #openWebSocket(): WebSocketReader {
    return new WebSocketReader({
      bytes: (bytes) => this.#feed(bytes),
      answer: (bytes) => this.#outbox.send([bytes]),
      end: () => {
        this.#hangUp()
        this.#gone(true)
      },
      admits: (handshake) => this.server.admits(handshake),
    })
  }
  #feed(bytes: Uint8Array): void {
    if (this.#state === 'closed') return
    try {
      this.#frames.feed(bytes, this.#take, this.#goesOn)
      this.#countHeld()
    } catch (error) {
      this.failed(error)
    }
  }
  /** Of a packet that has not come whole, and of topics that have a number. Throws MqttError. */
  #countHeld(): void {
    const held = this.#state === 'closed' ? 0 : this.#frames.heldBytes + this.aliases.heldBytes
    const more = held - this.#heldCounted
    if (more === 0) return
    this.#heldCounted = held
    if (this.server.holds(more) && more > 0 && held > limits.mqttHeldBytesFew)
      throw new MqttError(reason.serverBusy, 'too much is held of packets that have not come whole')
  }
  #goesOn = (): boolean => this.#state !== 'closed'
  #take = (first: number, buffer: Buffer, from: number, to: number): void => {
    if (this.#isBusy) {
      this.#deferred.push({ first, body: Buffer.from(buffer.subarray(from, to)) })
      return
    }
    const isFirst = this.#state === 'new'
    if (isFirst) this.version = saidVersion(buffer, from)
    if (isFirst !== isConnect(first))
      throw protocolError(isFirst ? 'the first packet is not CONNECT' : 'CONNECT for the second time')
    this.#handle(readPacket(first, new PacketReader(buffer, from, to), this.version, packetLimits), to - from)
  }
  #handle(packet: Packet, bytes: number): void {
    if (this.#state === 'connecting' && packet.type !== 'auth' && packet.type !== 'disconnect')
      throw protocolError('before it is connected a client sends nothing but AUTH')
    switch (packet.type) {
      case 'publish':
        return this.#arrivals.publish(packet, bytes)
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        return this.session!.acknowledged(packet.type, packet.id, packet.reason)
      case 'pubrel':
        return this.#arrivals.release(packet)
      case 'pingreq':
        this.write((out) => writePingresp(out))
        return
      case 'subscribe':
        return this.#alone(() => this.#subscribe(packet))
      case 'unsubscribe':
        return this.#alone(() => this.#unsubscribe(packet))
      case 'connect':
        return this.#alone(() => this.#connect(packet))
      case 'disconnect':
        return this.#disconnect(packet)
      case 'auth':
        return this.#alone(() => this.#auth(packet))
    }
  }
  /** What follows waits until it is done. */
  #alone(work: () => Promise<void>): void {
    this.#isBusy = true
    this.read()
    work().then(
      () => this.#goOn(),
      (error: unknown) => this.failed(error),
    )
  }
  #goOn(): void {
    this.#isBusy = false
    const deferred = this.#deferred
    this.#deferred = []
    let at = 0
    try {
      for (; at < deferred.length && this.isOpen && !this.#isBusy; at++) {
        const { first, body } = deferred[at]!
        this.#take(first, body, 0, body.length)
      }
      this.#deferred = deferred.slice(at)
    } catch (error) {
      this.failed(error)
    }
    this.read()
  }
  /** Reads, or does not: by what is under way. Asked again when that changes. */
  read(): void {
    if (this.#state === 'closed') return
    const wants =
      this.#isBusy ||
      this.#arrivals.isFull ||
      // Who does not take answers gets no more of them: messages end before that.
      this.#outbox.backlogBytes > 2 * limits.mqttBacklogBytes
    if (wants === this.#isPaused) return
    this.#isPaused = wants
    if (wants) this.#connection.pause()
    else this.#connection.resume()
  }

  // CONNECT.

  async #connect(connect: Connect): Promise<void> {
    this.#state = 'connecting'
    this.version = connect.version
    const properties = connect.properties ?? {}
    this.saysWhy = properties.requestProblemInformation !== 0
    this.#outbox.packetBytesMax = properties.maximumPacketBytes ?? Infinity
    this.aliases.allow(properties.topicAliasMaximum ?? 0)
    try {
      if (connect.will !== null && !isTopicName(connect.will.topic))
        throw new MqttError(reason.topicNameInvalid, 'the topic of the will is not a topic name')
      if (properties.authenticationMethod !== undefined) {
        this.#exchange = this.server.exchange(properties.authenticationMethod)
        this.#asked = connect
        return await this.#prove(connect, properties.authenticationData)
      }
      const from = { host: this.#host, certificate: this.#connection.peerSubject }
      await this.#admit(connect, await this.server.authenticate(connect, from), null)
    } catch (error) {
      if (this.#state === 'connecting') this.#refuse(error)
      else throw error
    }
  }
  async #admit(connect: Connect, { subject, expiresMs }: Identity, proof: Properties | null): Promise<void> {
    this.subject = subject
    this.#expiresMs = expiresMs
    this.#asked = null
    if (!this.isOpen) return
    const clientId = clientIdOf(connect) ?? this.server.newClientId()
    await this.server.hub.sessions.connect(clientId, {
      subject,
      clean: connect.clean,
      link: this,
      window: connect.properties?.receiveMaximum ?? 0xffff,
      apply: (session) => this.#apply(session, connect),
      ready: (session, isPresent) => this.#ready(session, connect, { clientId, isPresent, proof }),
    })
  }

  // AUTH.

  async #auth({ reason: code, properties }: Auth): Promise<void> {
    const data = properties?.authenticationData
    const asked = this.#asked
    try {
      const exchange = this.#exchange
      if (exchange === null) throw protocolError('AUTH without an authentication method')
      if (properties?.authenticationMethod !== exchange.method)
        throw protocolError('AUTH names another method than CONNECT')
      const isNew = code === reason.reAuthenticate && asked === null
      if (!isNew && code !== reason.continueAuthentication) throw protocolError('a reason of AUTH that does not fit')
      if (asked !== null) return await this.#prove(asked, data)
      if (isNew) exchange.again()
      await this.#proveAgain(exchange, data)
    } catch (error) {
      if (asked !== null && this.#state === 'connecting') this.#refuse(error)
      else throw error
    }
  }
  /** With CONNACK it is over, or with an AUTH it goes on. */
  async #prove(connect: Connect, data: Uint8Array = empty): Promise<void> {
    const exchange = this.#exchange!
    const { reply, identity } = await this.server.prove(exchange, data, this.#host)
    if (identity === null) return this.#sendAuth(reason.continueAuthentication, exchange, reply)
    await this.#admit(connect, identity, { authenticationMethod: exchange.method, authenticationData: reply })
  }
  /** On a connection that goes on meanwhile: who it is stays, how long it may be so changes. */
  async #proveAgain(exchange: Exchange, data: Uint8Array = empty): Promise<void> {
    const { reply, identity } = await this.server.prove(exchange, data, this.#host).catch((error: unknown) => {
      // DISCONNECT has no word for a wrong password.
      if (!(error instanceof MqttError) || error.reason !== reason.badUserOrPassword) throw error
      throw new MqttError(reason.notAuthorized, error.message)
    })
    if (identity === null) return this.#sendAuth(reason.continueAuthentication, exchange, reply)
    if (identity.subject.principal.name !== this.subject.principal.name)
      throw new MqttError(reason.notAuthorized, 'the connection belongs to another user')
    this.#expiresMs = identity.expiresMs
    this.#sendAuth(reason.success, exchange, reply)
  }
  #sendAuth(code: Reason, { method }: Exchange, data: Uint8Array): void {
    if (!this.isOpen) return
    this.write((out) => writeAuth(out, code, { authenticationMethod: method, authenticationData: data }))
  }
  #apply(session: Session, { version, clean, will, properties }: Connect): void {
    session.version = version
    session.will = will
    session.expiryS = version === 5 ? (properties?.sessionExpiryS ?? 0) : clean ? 0 : never
  }
  #ready(
    session: Session,
    connect: Connect,
    { clientId, isPresent, proof }: { clientId: string; isPresent: boolean; proof: Properties | null },
  ): void {
    if (!this.isOpen) return
    this.session = session
    this.clientId = clientId
    this.#state = 'open'
    this.#activeMs = this.server.clock.monotonic()
    this.#frames.bytesMax = limits.mqttPacketBytes
    const keepAliveS = keepAliveOf(connect, this.server.keepAliveMaxS)
    this.#keepAliveMs = keepAliveS * 1_500
    const { sessionExpiryMaxS: expiryMaxS } = this.server
    const properties = { ...connackProperties(connect, { clientId, keepAliveS, expiryMaxS }), ...proof }
    const { version } = this
    this.write((out) => writeConnack(out, { version, sessionPresent: isPresent, code: reason.success, properties }))
    this.server.opened()
  }
  #refuse(error: unknown): void {
    const [code, why] = reasonOf(error)
    this.server.complain('mqtt: a client was refused', { client: this.#host, why })
    const { version } = this
    const properties = this.saysWhy ? { reasonString: why } : null
    this.write((out) => writeConnack(out, { version, sessionPresent: false, code, properties }))
    this.#end()
  }

  // What comes.

  async #subscribe({ id, asked, properties }: Subscribe): Promise<void> {
    await this.#arrivals.settled()
    const session = this.session
    if (session === null || this.#state !== 'open') return
    for (const { filter, noLocal } of asked)
      if (noLocal && filter.startsWith('$share/')) throw protocolError('a shared subscription with no-local')
    const { codes, afterwards } = await this.server.hub.subscriptions.subscribe(
      session,
      asked.map(({ filter, ...options }) => ({ ...options, text: filter })),
      properties?.subscriptionIds?.[0] ?? null,
    )
    if (this.#state !== 'open') return
    const { version } = this
    this.write((out) => writeSuback(out, version, id, codes))
    afterwards()
  }
  async #unsubscribe({ id, filters }: Unsubscribe): Promise<void> {
    await this.#arrivals.settled()
    const session = this.session
    if (session === null || this.#state !== 'open') return
    const codes = await this.server.hub.subscriptions.unsubscribe(session, filters)
    const { version } = this
    if (this.#state === 'open') this.write((out) => writeUnsuback(out, version, id, codes))
  }
  #disconnect({ reason: code, properties }: Disconnect): void {
    const { session } = this
    const expiryS = properties?.sessionExpiryS
    if (session !== null && expiryS !== undefined) {
      if (session.expiryS === 0 && expiryS > 0)
        throw protocolError('a session that ends with its connection cannot be kept')
      session.expiryS = expiryS
    }
    this.#hangUp()
    this.#gone(code === reason.disconnectWithWill)
  }

  // What goes.

  hasRoom(bytes: number): boolean {
    return this.#outbox.hasRoom(bytes)
  }
  /** The client takes less than is written. */
  stalled(): void {
    this.read()
  }
  /** It has taken all, or others have taken theirs. */
  roomAgain(): void {
    this.read()
    this.session?.more()
  }
  publish(
    message: Message,
    { id, qos, retain, ids }: { id: number; qos: Qos; retain: boolean; ids: readonly number[] | null },
    again: boolean,
  ): boolean {
    const { topic, payload } = message
    let properties: Properties | null = null
    let short = { topic, alias: 0, isNew: false }
    if (this.version === 5) {
      properties = deliveredProperties(message, this.server.clock.now(), ids)
      short = this.aliases.for(topic)
      if (short.alias > 0) properties = { ...properties, topicAlias: short.alias }
    }
    const packet = { topic: short.topic, payload, qos, retain, isDuplicate: again, id, properties }
    if (!this.write((out) => writePublish(out, this.version, { type: 'publish', ...packet }))) return false
    if (short.isNew) {
      this.aliases.given(topic, short.alias)
      this.#countHeld()
    }
    this.server.hub.counts.sent++
    return true
  }
  acknowledge(type: AckType, id: number, code: Reason): void {
    this.write((out) => writeAck(out, this.version, { type, id, reason: code }))
  }
  write(write: (out: PacketWriter) => void): boolean {
    return this.#outbox.write(write)
  }

  // Ends.

  takenOver(): void {
    this.#leave(reason.sessionTakenOver, 'another connection has taken the session')
  }
  ended(): void {
    this.#leave(reason.administrativeAction, 'the session was ended by an administrator')
  }
  shutDown(): void {
    this.#leave(reason.serverShuttingDown, 'the server stops')
  }
  #leave(code: Reason, why: string): void {
    if (this.#state === 'open' && this.version === 5)
      this.write((out) => writeDisconnect(out, code, this.saysWhy ? why : null))
    this.#end()
  }
  /** The client broke the protocol, or something inside failed: it is told why where its version can say so. */
  failed(error: unknown): void {
    if (this.#state === 'closed') return
    const [code, why] = reasonOf(error)
    if (!(error instanceof MqttError)) this.server.failed(error)
    this.server.complain('mqtt: connection closed', { client: this.#host, clientId: this.clientId, why })
    const isUnanswered = this.#state === 'new' || this.#state === 'connecting'
    if (isUnanswered && (this.version === 5 || code === reason.unsupportedVersion)) {
      const { version } = this
      const properties = { reasonString: why }
      this.write((out) => writeConnack(out, { version, sessionPresent: false, code, properties }))
    }
    this.#leave(code, why)
  }
  #end(): void {
    this.#outbox.flush()
    this.#hangUp()
    this.#gone(true)
  }
  /** The client's own end is heard only by who reads; one that does not end is cut off. */
  #hangUp(): void {
    this.#connection.end()
    this.#connection.resume()
    this.server.clock.after(hangUpMs, () => this.#connection.destroy())
  }
  destroy(): void {
    this.#connection.destroy()
    this.#gone(true)
  }
  #gone(will: boolean): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    this.#outbox.close()
    this.#countHeld()
    this.#deferred = []
    this.#arrivals.end()
    if (this.session !== null) this.server.hub.sessions.disconnect(this.session, this, { will })
    this.server.forget(this)
  }
  /** Once a second: who has gone silent. */
  check(nowMs: number): void {
    if (this.#state === 'new' || this.#state === 'connecting') {
      if (nowMs - this.#activeMs > limits.mqttConnectMs) this.failed(protocolError('no CONNECT in time'))
      return
    }
    if (this.#outbox.isStalled(nowMs)) {
      this.server.complain('mqtt: connection closed', {
        client: this.#host,
        why: 'it takes nothing of what it is sent',
      })
      return this.destroy()
    }
    if (this.#expiresMs !== null && this.#expiresMs <= this.server.clock.now())
      return this.failed(new MqttError(reason.maximumConnectTime, 'the token is over'))
    if (this.#keepAliveMs > 0 && !this.#isPaused && nowMs - this.#activeMs > this.#keepAliveMs)
      this.failed(new MqttError(reason.keepAliveTimeout, 'nothing was heard for one and a half times the keep alive'))
  }
}
