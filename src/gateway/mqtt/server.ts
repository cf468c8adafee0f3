/**
 * The MQTT listener: what its connections share. One tick a second looks for those that are idle or slow, for sessions and
 * wills whose time has come.
 */
import type { MqttSessions } from '../../telemetry/mqtt-sessions.ts'
import type { ReadersOf } from '../../telemetry/topic-reader.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { type Logger, silent } from '../../lib/logger.ts'
import { isLoopback } from '../../lib/loopback.ts'
import type { Address, Connection, FailedHandshake, Listener, TlsServer, World } from '../../lib/world.ts'
import type { Commits } from '../../log/commits.ts'
import type { Log } from '../../log/log.ts'
import type { Contracts } from '../../schema/contracts.ts'
import type { Doctor } from '../../query/engine.ts'
import { anonymous } from '../../security/principal.ts'
import type { Security } from '../../security/security.ts'
import type { MqttMeter } from '../../telemetry/traffic.ts'
import type { Connect } from '../../wire/mqtt/packets.ts'
import { MqttError } from '../../wire/mqtt/reason.ts'
import type { Handshake } from '../../wire/mqtt/web-socket.ts'
import { PacketWriter } from '../../wire/mqtt/writer.ts'
import { ClientConnection } from './connection.ts'
import { diagnose, sessionFacts } from './doctor.ts'
import { Exchange, type Step } from './exchange.ts'
import { Hub } from './hub.ts'
import { type Identity, identify } from './identity.ts'
import type { Outbox } from './outbox.ts'
import { never } from './session.ts'
import { sessionList } from './session-list.ts'
import type { TopicRule } from './topic-map.ts'

export interface MqttOptions {
  readonly world: Pick<World, 'net' | 'clock' | 'random'>
  readonly log: Log
  readonly commits: Commits
  readonly contracts: Contracts
  readonly security: Security
  /** The view that alone writes the topic; null: there is none. */
  readonly writerOf?: (topic: string) => string | null
  readonly at: Address
  readonly logger?: Logger
  readonly meter?: MqttMeter
  readonly rules?: readonly TopicRule[]
  /** Of a log topic that is made because somebody publishes. */
  readonly partitions?: number
  /** Nobody gets in who has not said who they are. */
  readonly asksWho?: boolean
  /** Clients are told to be heard at least as often; 0: as they want. */
  readonly keepAliveMaxS?: number
  /** No session is kept longer without its client; absent: as long as it wants. */
  readonly sessionExpiryMaxS?: number
  /** Host names and origins from which web pages may come, beside the server's own. */
  readonly hosts?: readonly string[]
  readonly origins?: readonly string[]
  readonly version?: string
  readonly tls?: TlsServer
}
export interface MqttListener {
  readonly at: Address
  /** Another certificate, for connections from now on. Throws when it is none. */
  renew(tls: TlsServer): void
  readonly readersOf: ReadersOf
  readonly mqttSessions: MqttSessions
  readonly doctor: Doctor
  /** Stops accepting, tells every client, then closes. Idempotent. */
  close(): Promise<void>
}

export async function listenMqtt(options: MqttOptions): Promise<MqttListener> {
  const { world, log, commits, contracts, security, logger = silent, rules = [], partitions = 1 } = options
  const { sessionExpiryMaxS = never, writerOf = () => null } = options
  const parts = { world, log, commits, contracts, security, writerOf, logger }
  const hub = await Hub.open({ ...parts, rules, partitions, sessionExpiryMaxS })
  const server = new Server(options, hub)
  try {
    await server.listen(options.at)
  } catch (error) {
    await hub.close()
    throw error
  }
  return server
}

const tickMs = 1_000
const sysEveryTicks = 10
const sweepEveryTicks = 60
const closeMs = 2_000
const complaintsPerTick = 10
const writersKept = 64

export class Server implements MqttListener {
  readonly hub: Hub
  readonly clock: World['clock']
  readonly security: Security
  readonly keepAliveMaxS: number
  readonly sessionExpiryMaxS: number
  readonly #options: MqttOptions
  readonly #logger: Logger
  readonly #connections = new Set<ClientConnection>()
  readonly #writers: PacketWriter[] = []
  #dirty: Outbox[] = []
  #isFlushing = false
  #bytesInFlight = 0
  #bytesHeld = 0
  #backlogBytes = 0
  /** Connections with messages that wait until others have taken theirs. */
  readonly #waiting = new Set<ClientConnection>()
  #isWaking = false
  #listener: Listener | null = null
  #stopTicking: () => void = () => {}
  #ticks = 0
  #complaints = 0
  #startedMs: number
  #clientsMost = 0
  #closing: Promise<void> | null = null
  #onLastGone: (() => void) | null = null

  readonly mqttSessions: MqttSessions
  readonly doctor: Doctor = () =>
    diagnose(sessionFacts(this.hub.sessions, this.hub.subscriptions.heldBytes, this.clock.now()))
  readonly readersOf: ReadersOf = (topic) => this.hub.readersOf(topic)

  constructor(options: MqttOptions, hub: Hub) {
    this.hub = hub
    this.#options = options
    this.clock = options.world.clock
    this.security = options.security
    this.keepAliveMaxS = options.keepAliveMaxS ?? 0
    this.sessionExpiryMaxS = options.sessionExpiryMaxS ?? never
    this.mqttSessions = sessionList(hub.sessions)
    this.#logger = options.logger ?? silent
    this.#startedMs = this.clock.monotonic()
  }
  async listen(at: Address): Promise<void> {
    const failed = (handshake: FailedHandshake): void => this.#noTls(handshake)
    const accept = (connection: Connection): void => this.#accept(connection)
    this.#listener = await this.#options.world.net.listen(at, accept, this.#options.tls, failed)
    this.#say()
    this.#tick()
  }
  get at(): Address {
    if (this.#listener === null) throw new Error('not listening')
    return this.#listener.at
  }
  renew(tls: TlsServer): void {
    this.#listener?.renew(tls)
  }
  #accept(connection: Connection): void {
    const host = plainHost(connection.remote.host)
    if (this.#closing !== null || this.#connections.size >= limits.mqttConnections) {
      this.complain('mqtt: connection refused', { client: host, connections: this.#connections.size })
      return connection.destroy()
    }
    if (this.security.quotas.connected(host) > 0) {
      this.complain('mqtt: connection over the quota of its address', { client: host })
      return connection.destroy()
    }
    this.#connections.add(new ClientConnection(this, connection, host))
    this.#options.meter?.connections(this.#connections.size)
  }
  #noTls({ host, why, ofCertificate }: FailedHandshake): void {
    this.complain('mqtt: no TLS with a client', { client: host, why })
    if (!ofCertificate) return
    const subject = { principal: anonymous, host: plainHost(host) }
    const outcome = 'refused' as const
    this.security.audit.note({ subject, via: 'mqtt', action: 'authenticate', resources: [], outcome, detail: why })
  }
  opened(): void {
    this.#clientsMost = Math.max(this.#clientsMost, this.#connections.size)
  }
  forget(connection: ClientConnection): void {
    if (!this.#connections.delete(connection)) return
    this.#waiting.delete(connection)
    this.#options.meter?.connections(this.#connections.size)
    if (this.#connections.size === 0) this.#onLastGone?.()
  }
  newClientId(): string {
    return `millrace-${this.#options.world.random.uuid()}`
  }

  /** Throws MqttError, Fault. */
  authenticate(connect: Connect, from: { host: string; certificate: string | null }): Promise<Identity> {
    return this.#audited(from.host, () => identify(this.security, connect, { ...from, asksWho: this.#asksWho }))
  }
  /** Of the method that a client asks for. Throws MqttError. */
  exchange(method: string): Exchange {
    return Exchange.of(method, this.security, this.#asksWho)
  }
  /** Throws MqttError, Fault. */
  prove(exchange: Exchange, message: Uint8Array, host: string): Promise<Step> {
    return this.#audited(host, () => exchange.step(message, host))
  }
  get #asksWho(): boolean {
    return this.#options.asksWho === true
  }
  async #audited<T>(host: string, work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      if (error instanceof MqttError) {
        const subject = { principal: anonymous, host }
        const { audit } = this.security
        const detail = error.message
        audit.note({ subject, via: 'mqtt', action: 'authenticate', resources: [], outcome: 'refused', detail })
      }
      throw error
    }
  }
  /** A page of somebody else's must not reach a server that is open to whoever is on this machine. */
  admits({ host, origin }: Handshake): boolean {
    if (origin === null) return true
    const { hosts = [], origins = [], at } = this.#options
    if (origins.includes(origin)) return true
    const name = host.replace(/:\d+$/, '')
    if (URL.parse(origin)?.host !== host) return false
    return isLoopback(name.replace(/^\[|\]$/g, '')) || name === 'localhost' || name === at.host || hosts.includes(name)
  }

  // Memory and turns.

  get isFull(): boolean {
    return this.#bytesInFlight > limits.mqttBytesInFlight
  }
  took(bytes: number): void {
    this.#bytesInFlight += bytes
    this.#options.meter?.received(bytes)
  }
  letGo(bytes: number): void {
    const wasFull = this.isFull
    this.#bytesInFlight -= bytes
    if (wasFull && !this.isFull) for (const connection of this.#connections) connection.read()
  }
  /** So much more, or less, is written and not taken by clients, over all. */
  backlog(bytes: number): void {
    this.#backlogBytes += bytes
    if (bytes < 0 && !this.isBehind && this.#waiting.size > 0) this.#wakeWaiting()
  }
  get isBehind(): boolean {
    const { mqttBacklogBytesInAll, mqttQueuedBytesInAll } = limits
    return this.#backlogBytes > mqttBacklogBytesInAll || this.hub.queued.bytes > 2 * mqttQueuedBytesInAll
  }
  waitsForRoom(connection: ClientConnection): void {
    this.#waiting.add(connection)
  }
  /** In turn: who comes too late waits for the next time. */
  #wakeWaiting(): void {
    if (this.#isWaking) return
    this.#isWaking = true
    this.clock.soon(() => {
      this.#isWaking = false
      for (const connection of this.#waiting) {
        if (this.isBehind) return
        this.#waiting.delete(connection)
        connection.roomAgain()
      }
    })
  }
  /** So much more, or less, is held of what has not come whole. True: it is too much over all. */
  holds(bytes: number): boolean {
    this.#bytesHeld += bytes
    return this.#bytesHeld > limits.mqttHeldBytesInAll
  }
  writer(): PacketWriter {
    return this.#writers.pop() ?? new PacketWriter()
  }
  giveBack(writer: PacketWriter): void {
    writer.cut(0)
    if (this.#writers.length < writersKept) this.#writers.push(writer)
  }
  flushLater(outbox: Outbox): void {
    this.#dirty.push(outbox)
    if (this.#isFlushing) return
    this.#isFlushing = true
    this.clock.soon(() => {
      this.#isFlushing = false
      const dirty = this.#dirty
      this.#dirty = []
      for (const one of dirty) one.flush()
    })
  }

  /** Says it in the log, but not a thousand times a second. */
  complain(message: string, facts: Readonly<Record<string, unknown>>): void {
    this.#options.meter?.refused()
    if (this.#complaints++ < complaintsPerTick) this.#logger.warn(message, facts)
  }
  /** Something that cannot happen did. */
  failed(error: unknown): void {
    if (error instanceof Fault && error.code !== 'internal') return
    this.#logger.error('mqtt: a packet failed', { error })
  }
  #tick(): void {
    this.#stopTicking = this.clock.after(tickMs, () => {
      const unsaid = this.#complaints - complaintsPerTick
      if (unsaid > 0) this.#logger.warn('mqtt: more connections closed or refused', { count: unsaid })
      this.#complaints = 0
      const nowMs = this.clock.monotonic()
      for (const connection of this.#connections) connection.check(nowMs)
      this.hub.tick()
      if (!this.isBehind && this.#waiting.size > 0) this.#wakeWaiting()
      this.#ticks++
      if (this.#ticks % sysEveryTicks === 0) this.#say()
      if (this.#ticks % sweepEveryTicks === 0) this.hub.retained.sweep().catch((error: unknown) => this.failed(error))
      this.#tick()
    })
  }
  #say(): void {
    const { counts, sessions, retained } = this.hub
    const kept = sessions.unconnected
    this.hub.say({
      version: `millrace ${this.#options.version ?? ''}`.trim(),
      uptime: `${Math.floor((this.clock.monotonic() - this.#startedMs) / 1_000)} seconds`,
      'clients/connected': sessions.count - kept,
      'clients/disconnected': kept,
      'clients/total': sessions.count,
      'clients/maximum': this.#clientsMost,
      'messages/received': counts.received,
      'messages/sent': counts.sent,
      'messages/dropped': counts.dropped,
      'subscriptions/count': counts.subscriptions,
      'retained messages/count': retained.count,
    })
  }

  close(): Promise<void> {
    this.#closing ??= this.#shut()
    return this.#closing
  }
  async #shut(): Promise<void> {
    this.#stopTicking()
    await this.#listener?.close()
    if (this.#connections.size > 0)
      await new Promise<void>((resolve) => {
        const giveUp = this.clock.after(closeMs, () => {
          for (const connection of this.#connections) connection.destroy()
        })
        this.#onLastGone = () => {
          giveUp()
          resolve()
        }
        for (const connection of this.#connections) connection.shutDown()
      })
    await this.hub.close()
  }
}

/** An IPv4 client of an IPv6 socket, as IPv4. */
function plainHost(host: string): string {
  const mapped = '::ffff:'
  return host.startsWith(mapped) ? host.slice(mapped.length) : host
}
