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
  type Ack,
  type AckType,
  type Connect,
  type Disconnect,
  type Packet,
  type Publish,
  type Qos,
  type Subscribe,
  type Unsubscribe,
  type Version,
  isConnect,
  readPacket,
  writeAck,
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
import { WebSocketReader, binaryHead } from '../../wire/mqtt/web-socket.ts'
import type { PacketWriter } from '../../wire/mqtt/writer.ts'
import { type Message, carriedProperties, deliveredProperties } from '../../log/mqtt-message.ts'
import { reasonOf } from './outcome.ts'
import type { Server } from './server.ts'
import { type Link, type Session, never } from './session.ts'
import { TopicAliases } from './topic-aliases.ts'

const packetLimits = { userProperties: limits.mqttUserProperties, filters: limits.mqttFiltersPerRequest }
/** An answer that is owed, in order. */
interface Owed {
  readonly id: number
  readonly qos: Qos
  readonly bytes: number
  code: Reason | null
  why: string | undefined
}
const webSocketFirst = 0x47
/** So much goes out at once, at the end of a turn at the latest. */
const writeBytes = 64 * 1024
/** For the client's end after ours. */
const hangUpMs = 3_000

export class ClientConnection implements Link {
  version: Version = 4
  readonly #server: Server
  readonly #connection: Connection
  readonly #host: string
  readonly #frames = new FrameReader(limits.mqttFirstPacketBytes)
  #webSocket: WebSocketReader | null = null
  #hadBytes = false
  #state: 'new' | 'connecting' | 'open' | 'closed' = 'new'
  #session: Session | null = null
  #clientId = ''
  #subject: Subject
  #keepAliveMs = 0
  #activeMs: number
  #stalledSinceMs: number | null = null
  /** Of the client: what it takes. */
  #packetBytesMax = Infinity
  #problemInformation = true
  readonly #aliases = new TopicAliases()
  /** Something is being done that what follows has to wait for. */
  #isBusy = false
  #deferred: { readonly first: number; readonly body: Buffer }[] = []
  #owed: Owed[] = []
  #bytesInFlight = 0
  /** Messages with QoS 0 on their way. */
  #loose = 0
  #onSettled: (() => void) | null = null
  #out: PacketWriter | null = null
  #isPaused = false
  #throttledUntilMs = 0

  constructor(server: Server, connection: Connection, host: string) {
    this.#server = server
    this.#connection = connection
    this.#host = host
    this.#subject = { principal: anonymous, host }
    this.#activeMs = server.clock.monotonic()
    connection.onBytes((bytes) => this.#received(bytes))
    connection.onClose(() => this.#gone(true))
    connection.onDrain(() => {
      this.#stalledSinceMs = null
      this.#session?.more()
    })
    connection.resume()
  }
  get isOpen(): boolean {
    return this.#state !== 'closed'
  }

  // Bytes.

  #received(bytes: Uint8Array): void {
    if (this.#state === 'closed') return
    if (this.#state === 'open') this.#activeMs = this.#server.clock.monotonic()
    if (!this.#hadBytes && bytes.length > 0) {
      this.#hadBytes = true
      if (bytes[0] === webSocketFirst) this.#webSocket = this.#openWebSocket()
    }
    if (this.#webSocket === null) this.#feed(bytes)
    else this.#webSocket.feed(bytes)
  }
  #openWebSocket(): WebSocketReader {
    return new WebSocketReader({
      bytes: (bytes) => this.#feed(bytes),
      answer: (bytes) => void this.#connection.write([bytes]),
      end: () => {
        this.#hangUp()
        this.#gone(true)
      },
      admits: (handshake) => this.#server.admits(handshake),
    })
  }
  #feed(bytes: Uint8Array): void {
    if (this.#state === 'closed') return
    try {
      this.#frames.feed(bytes, this.#take, this.#goesOn)
    } catch (error) {
      this.#fail(error)
    }
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
    switch (packet.type) {
      case 'publish':
        return this.#publish(packet, bytes)
      case 'puback':
      case 'pubrec':
      case 'pubcomp':
        return this.#session!.acknowledged(packet.type, packet.id, packet.reason)
      case 'pubrel':
        return this.#release(packet)
      case 'pingreq':
        this.#write((out) => writePingresp(out))
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
        throw protocolError('AUTH without an authentication method')
    }
  }
  /** What follows waits until it is done. */
  #alone(work: () => Promise<void>): void {
    this.#isBusy = true
    this.#read()
    work().then(
      () => this.#goOn(),
      (error: unknown) => this.#fail(error),
    )
  }
  #goOn(): void {
    this.#isBusy = false
    const deferred = this.#deferred
    this.#deferred = []
    try {
      for (const { first, body } of deferred) if (this.isOpen) this.#take(first, body, 0, body.length)
    } catch (error) {
      this.#fail(error)
    }
    this.#read()
  }
  /** Reads, or does not: by what is under way. */
  #read(): void {
    if (this.#state === 'closed') return
    const wants =
      this.#isBusy ||
      this.#owed.length >= limits.mqttReceiveMaximum * 2 ||
      this.#loose >= limits.mqttReceiveMaximum * 2 ||
      (this.#bytesInFlight > 0 && this.#server.isFull) ||
      this.#throttledUntilMs > 0
    if (wants === this.#isPaused) return
    this.#isPaused = wants
    if (wants) this.#connection.pause()
    else this.#connection.resume()
  }
  /** The server has room again. */
  resumeIfRoom(): void {
    this.#read()
  }

  // CONNECT.

  async #connect(connect: Connect): Promise<void> {
    this.#state = 'connecting'
    this.version = connect.version
    const properties = connect.properties ?? {}
    this.#problemInformation = properties.requestProblemInformation !== 0
    this.#packetBytesMax = properties.maximumPacketBytes ?? Infinity
    this.#aliases.allow(properties.topicAliasMaximum ?? 0)
    try {
      if (properties.authenticationMethod !== undefined)
        throw new MqttError(
          reason.badAuthenticationMethod,
          'enhanced authentication is not offered; give a user name and a password',
        )
      if (connect.will !== null && !isTopicName(connect.will.topic))
        throw new MqttError(reason.topicNameInvalid, 'the topic of the will is not a topic name')
      const clientId = this.#clientIdOf(connect)
      this.#subject = await this.#server.authenticate(connect, {
        host: this.#host,
        certificate: this.#connection.peerSubject,
      })
      if (!this.isOpen) return
      await this.#server.hub.connect(clientId, {
        subject: this.#subject,
        clean: connect.clean,
        link: this,
        window: properties.receiveMaximum ?? 0xffff,
        apply: (session) => this.#apply(session, connect),
        ready: (session, isPresent) => this.#ready(session, connect, { clientId, isPresent }),
      })
    } catch (error) {
      if (this.#state === 'connecting') this.#refuse(error)
      else throw error
    }
  }
  #clientIdOf({ clientId, version, clean }: Connect): string {
    if (clientId !== '') return clientId
    if (version === 3 || (version === 4 && !clean))
      throw new MqttError(reason.clientIdNotValid, 'a session that is to be kept needs a client identifier')
    return this.#server.newClientId()
  }
  #apply(session: Session, { version, clean, will, properties }: Connect): void {
    session.version = version
    session.will = will
    session.expiryS = version === 5 ? (properties?.sessionExpiryS ?? 0) : clean ? 0 : never
  }
  #ready(session: Session, connect: Connect, { clientId, isPresent }: { clientId: string; isPresent: boolean }): void {
    if (!this.isOpen) return
    this.#session = session
    this.#clientId = clientId
    this.#state = 'open'
    this.#activeMs = this.#server.clock.monotonic()
    this.#frames.bytesMax = limits.mqttPacketBytes
    const most = this.#server.keepAliveMaxS
    const keepAliveS = most > 0 && (connect.keepAliveS === 0 || connect.keepAliveS > most) ? most : connect.keepAliveS
    const isChanged = connect.version === 5 && keepAliveS !== connect.keepAliveS
    this.#keepAliveMs = (isChanged ? keepAliveS : connect.keepAliveS) * 1_500
    const properties: Properties = {
      receiveMaximum: limits.mqttReceiveMaximum,
      maximumPacketBytes: limits.mqttPacketBytes,
      topicAliasMaximum: limits.mqttTopicAliases,
      ...(connect.clientId === '' ? { assignedClientId: clientId } : {}),
      ...(isChanged ? { serverKeepAliveS: keepAliveS } : {}),
    }
    const { version } = this
    this.#write((out) => writeConnack(out, { version, sessionPresent: isPresent, code: reason.success, properties }))
    this.#server.opened()
  }
  #refuse(error: unknown): void {
    const [code, why] = reasonOf(error)
    this.#server.complain('mqtt: a client was refused', { client: this.#host, why })
    const { version } = this
    const properties = this.#problemInformation ? { reasonString: why } : null
    this.#write((out) => writeConnack(out, { version, sessionPresent: false, code, properties }))
    this.#end()
  }

  // What comes.

  #publish(publish: Publish, bytes: number): void {
    const topic = this.#aliases.topicOf(publish)
    const { qos, id } = publish
    const session = this.#session!
    const owed: Owed | null = qos === 0 ? null : { id, qos, bytes, code: null, why: undefined }
    if (owed !== null) {
      if (this.version === 5 && this.#owed.length + session.incoming.size >= limits.mqttReceiveMaximum)
        throw new MqttError(reason.receiveMaximumExceeded, `more than ${limits.mqttReceiveMaximum} messages under way`)
      this.#owed.push(owed)
    } else this.#loose++
    this.#bytesInFlight += bytes
    this.#server.took(bytes)
    this.#throttle(bytes)
    const done = (code: Reason, why?: string): void => {
      this.#server.letGo(bytes)
      this.#bytesInFlight -= bytes
      if (owed !== null) this.#settle(owed, code, why)
      else {
        this.#loose--
        if (code !== reason.success) this.#server.complain('mqtt: a message with QoS 0 was refused', { topic, why })
      }
      this.#after()
    }
    if (qos === 2 && !session.arrives(id, done)) return
    const { payload, retain, properties } = publish
    this.#server.hub.publish(
      { topic, payload: Buffer.from(payload), qos, retain, properties: carriedProperties(properties) },
      { subject: this.#subject, session, packetId: qos === 2 && session.isKept ? id : null },
      {
        stored: () => (qos === 2 ? session.arrived(id, reason.success) : done(reason.success)),
        refused: (code, why) => (qos === 2 ? session.arrived(id, code, why) : done(code, why)),
      },
    )
    this.#read()
  }
  #throttle(bytes: number): void {
    const { quotas } = this.#server.security
    const waitMs = quotas.charge(
      'producer_byte_rate',
      { user: this.#subject.principal.name, clientId: this.#clientId },
      bytes,
    )
    if (waitMs <= 0) return
    const until = this.#server.clock.monotonic() + waitMs
    this.#throttledUntilMs = until
    this.#server.clock.after(waitMs, () => {
      if (this.#throttledUntilMs !== until) return
      this.#throttledUntilMs = 0
      this.#read()
    })
  }
  #settle(owed: Owed, code: Reason, why?: string): void {
    owed.code = code
    owed.why = this.#problemInformation ? why : undefined
    if (this.#state !== 'open') return
    let sent = 0
    while (sent < this.#owed.length && this.#owed[sent]!.code !== null) {
      if (!this.#answer(this.#owed[sent++]!)) return
    }
    if (sent > 0) this.#owed.splice(0, sent)
  }
  /** False: the connection is over. A refusal has no form in 3.1.1: the client must not believe that it was taken. */
  #answer({ id, qos, code, why }: Owed): boolean {
    if (this.version !== 5 && code !== reason.success) {
      this.#fail(new MqttError(code!, why ?? 'a message was refused'))
      return false
    }
    const type = qos === 1 ? 'puback' : 'pubrec'
    const { version } = this
    this.#write((out) => writeAck(out, version, { type, id, reason: code! }, why))
    return true
  }
  #after(): void {
    if (this.#owed.length === 0 && this.#loose === 0) {
      const settled = this.#onSettled
      this.#onSettled = null
      settled?.()
    }
    this.#read()
  }
  #release({ id }: Ack): void {
    const session = this.#session!
    const isKnown = session.incoming.delete(id)
    const { version } = this
    // Also of a number that is free already: the client did not get our word for it, and is right to say it again.
    const answer = (): void => {
      if (this.#state !== 'open') return
      this.#write((out) => writeAck(out, version, { type: 'pubcomp', id, reason: reason.success }))
    }
    if (!isKnown || !session.isKept) return answer()
    // The client may use the number for another message then.
    this.#server.hub.store.released(session, id).then(answer, (error: unknown) => {
      session.incoming.add(id)
      this.#fail(error)
    })
  }

  async #subscribe({ id, asked, properties }: Subscribe): Promise<void> {
    await this.#settled()
    const session = this.#session
    if (session === null || this.#state !== 'open') return
    for (const { filter, noLocal } of asked)
      if (noLocal && filter.startsWith('$share/')) throw protocolError('a shared subscription with no-local')
    const { codes, afterwards } = await this.#server.hub.subscribe(
      session,
      asked.map(({ filter, ...options }) => ({ ...options, text: filter })),
      properties?.subscriptionIds?.[0] ?? null,
    )
    if (this.#state !== 'open') return
    const { version } = this
    this.#write((out) => writeSuback(out, version, id, codes))
    afterwards()
  }
  async #unsubscribe({ id, filters }: Unsubscribe): Promise<void> {
    await this.#settled()
    const session = this.#session
    if (session === null || this.#state !== 'open') return
    const codes = await this.#server.hub.unsubscribe(session, filters)
    const { version } = this
    if (this.#state === 'open') this.#write((out) => writeUnsuback(out, version, id, codes))
  }
  /** What came before is in the log. */
  #settled(): Promise<void> {
    if (this.#owed.length === 0 && this.#loose === 0) return Promise.resolve()
    return new Promise((resolve) => (this.#onSettled = resolve))
  }
  #disconnect({ reason: code, properties }: Disconnect): void {
    const session = this.#session!
    const expiryS = properties?.sessionExpiryS
    if (expiryS !== undefined) {
      if (session.expiryS === 0 && expiryS > 0)
        throw protocolError('a session that ends with its connection cannot be kept')
      session.expiryS = expiryS
    }
    this.#hangUp()
    this.#gone(code === reason.disconnectWithWill)
  }

  // What goes.

  get isFull(): boolean {
    return this.#connection.backlogBytes > limits.mqttBacklogBytes
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
      properties = deliveredProperties(message, this.#server.clock.now(), ids)
      short = this.#aliases.for(topic)
      if (short.alias > 0) properties = { ...properties, topicAlias: short.alias }
    }
    const packet = { topic: short.topic, payload, qos, retain, isDuplicate: again, id, properties }
    if (!this.#write((out) => writePublish(out, this.version, { type: 'publish', ...packet }))) return false
    if (short.isNew) this.#aliases.given(topic, short.alias)
    this.#server.hub.counts.sent++
    return true
  }
  acknowledge(type: AckType, id: number, code: Reason): void {
    this.#write((out) => writeAck(out, this.version, { type, id, reason: code }))
  }
  /** Goes out at the end of this turn, with what else there is by then. False: it is larger than the client takes. */
  #write(write: (out: PacketWriter) => void): boolean {
    if (this.#out === null) {
      this.#out = this.#server.writer()
      this.#server.flushLater(this)
    }
    const from = this.#out.at
    write(this.#out)
    const isTaken = this.#out.at - from <= this.#packetBytesMax
    if (!isTaken) this.#out.cut(from)
    // What has come together for one write goes: only what the client does not take may make it slow.
    if (this.#out.at >= writeBytes) this.flush()
    return isTaken
  }
  flush(): void {
    const out = this.#out
    if (out === null) return
    this.#out = null
    const bytes = out.take()
    this.#server.giveBack(out)
    if (bytes.length === 0 || this.#state === 'closed') return
    const pieces = this.#webSocket === null ? [bytes] : [binaryHead(bytes.length), bytes]
    if (!this.#connection.write(pieces)) this.#stalledSinceMs ??= this.#server.clock.monotonic()
  }

  // Ends.

  takenOver(): void {
    this.#leave(reason.sessionTakenOver, 'another connection has taken the session')
  }
  shutDown(): void {
    this.#leave(reason.serverShuttingDown, 'the server stops')
  }
  #leave(code: Reason, why: string): void {
    if (this.#state === 'open' && this.version === 5)
      this.#write((out) => writeDisconnect(out, code, this.#problemInformation ? why : null))
    this.#end()
  }
  /** The client broke the protocol, or something inside failed: it is told why where its version can say so. */
  #fail(error: unknown): void {
    if (this.#state === 'closed') return
    const [code, why] = reasonOf(error)
    if (!(error instanceof MqttError)) this.#server.failed(error)
    this.#server.complain('mqtt: connection closed', { client: this.#host, clientId: this.#clientId, why })
    if (this.#state === 'new' && (this.version === 5 || code === reason.unsupportedVersion)) {
      const { version } = this
      const properties = { reasonString: why }
      this.#write((out) => writeConnack(out, { version, sessionPresent: false, code, properties }))
    }
    this.#leave(code, why)
  }
  #end(): void {
    this.flush()
    this.#hangUp()
    this.#gone(true)
  }
  /** The client's own end is heard only by who reads; one that does not end is cut off. */
  #hangUp(): void {
    this.#connection.end()
    this.#connection.resume()
    this.#server.clock.after(hangUpMs, () => this.#connection.destroy())
  }
  destroy(): void {
    this.#connection.destroy()
    this.#gone(true)
  }
  #gone(will: boolean): void {
    if (this.#state === 'closed') return
    this.#state = 'closed'
    if (this.#out !== null) this.#server.giveBack(this.#out)
    this.#out = null
    this.#deferred = []
    const settled = this.#onSettled
    this.#onSettled = null
    settled?.()
    if (this.#session !== null) this.#server.hub.disconnect(this.#session, this, { will })
    this.#server.forget(this)
  }
  /** Once a second: who has gone silent. */
  check(nowMs: number): void {
    if (this.#state === 'new' || this.#state === 'connecting') {
      if (nowMs - this.#activeMs > limits.mqttConnectMs) this.#fail(protocolError('no CONNECT in time'))
      return
    }
    if (this.#stalledSinceMs !== null && nowMs - this.#stalledSinceMs > limits.mqttStalledMs) {
      this.#server.complain('mqtt: connection closed', {
        client: this.#host,
        why: 'it takes nothing of what it is sent',
      })
      return this.destroy()
    }
    if (this.#keepAliveMs > 0 && !this.#isPaused && nowMs - this.#activeMs > this.#keepAliveMs)
      this.#fail(new MqttError(reason.keepAliveTimeout, 'nothing was heard for one and a half times the keep alive'))
  }
}

/** What a CONNECT says, before it is looked at whole. */
function saidVersion(buffer: Buffer, from: number): Version {
  const level = buffer[from + 2 + ((buffer[from] ?? 0) << 8) + (buffer[from + 1] ?? 0)]
  return level === 5 ? 5 : 4
}
