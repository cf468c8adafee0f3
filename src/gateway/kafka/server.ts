/**
 * The Kafka listener: what its connections share. Bytes in flight and connections are counted here against the limits;
 * one clock tick a second looks for connections that are idle or slow, so that none needs a timer of its own.
 */
import { BufferPool } from '../../lib/buffer-pool.ts'
import { limits } from '../../lib/limits.ts'
import { type Logger, silent } from '../../lib/logger.ts'
import type { Address, Clock, Connection, FailedHandshake, Listener, TlsServer, World } from '../../lib/world.ts'
import type { Broker } from '../../log/broker.ts'
import { anonymous } from '../../security/principal.ts'
import { type Security, openToAll } from '../../security/security.ts'
import type { ClientMetrics } from '../../telemetry/client-metrics.ts'
import type { KafkaMeter } from '../../telemetry/traffic.ts'
import { WireWriter } from '../../wire/kafka/codec/wire.ts'
import { ClientTelemetry } from './client-telemetry.ts'
import { ClientConnection, plainHost } from './connection.ts'
import { FetchSessions } from './fetch-sessions.ts'
import { type Handler, type SupportedApi, type TopicUses, unused } from './handler.ts'
import { handlers } from './handlers/index.ts'
import { type SaslSettings, noSasl } from './session.ts'
import { Rooms } from './room.ts'
import { ShareSessions } from './share-sessions.ts'
import { type TopicDefaults, kafkaDefaults } from './topic-defaults.ts'

export interface KafkaOptions {
  readonly world: Pick<World, 'net' | 'clock' | 'random'>
  readonly broker: Broker
  readonly at: Address
  /** Where clients are told to come; default: the address and port of the socket they came by. */
  readonly advertise?: Address
  readonly topicDefaults?: TopicDefaults
  /** What clients may not change or delete; default: nothing computes on topics. */
  readonly uses?: TopicUses
  readonly meter?: KafkaMeter
  /** Takes what clients measure of themselves. */
  readonly clients?: ClientMetrics
  readonly log?: Logger
  /** Who may do what; everybody everything by default. */
  readonly security?: Security
  readonly sasl?: SaslSettings
  /** Of the listener, as it is read first. */
  readonly tls?: TlsServer
  /** Of the buffers that requests are read into. */
  readonly pool?: BufferPool
}
export interface KafkaListener {
  readonly at: Address
  /** Another certificate, for connections from now on. Throws when it is none. */
  renew(tls: TlsServer): void
  /** Stops accepting, answers what is under way, then closes every connection. */
  close(): Promise<void>
}

export async function listenKafka(options: KafkaOptions): Promise<KafkaListener> {
  const server = new Server(options)
  await server.listen(options.at)
  return server
}

/** What ApiVersions announces. */
export function supportedApis(list: readonly Handler[]): SupportedApi[] {
  return list.map(({ api, versions: [first, last], announcedFrom }) => ({
    apiKey: api.key,
    minVersion: announcedFrom ?? first,
    maxVersion: last,
  }))
}

const closeMs = 2_000
const complaintsPerTick = 10

export class Server implements KafkaListener {
  readonly broker: Broker
  readonly clock: Clock
  readonly log: Logger
  readonly meter: KafkaMeter | undefined
  readonly advertise: Address | undefined
  readonly topicDefaults: TopicDefaults
  readonly uses: TopicUses
  readonly security: Security
  readonly sasl: SaslSettings
  readonly listenerProtocol: string
  readonly sessions: FetchSessions
  readonly shareSessions: ShareSessions
  readonly clientTelemetry: ClientTelemetry
  readonly handlers: ReadonlyMap<number, Handler> = new Map(handlers.map((handler) => [handler.api.key, handler]))
  readonly supported: readonly SupportedApi[] = supportedApis(handlers)
  readonly pool: BufferPool
  /** One for all: an answer is encoded in one go. */
  readonly writer = new WireWriter()
  readonly tickMs = 1_000
  tick = 1
  private readonly world: KafkaOptions['world']
  private readonly connections = new Set<ClientConnection>()
  private readonly perAddress = new Counts()
  /** Connections that have to say who they are and have not yet, by address. */
  private readonly strangers = new Counts()
  /** Over the quota for new connections: held for a while, then closed. */
  private delayed = 0
  private readonly tls: TlsServer | undefined
  readonly rooms = new Rooms()
  private owedBytes = 0
  private running = 0
  private complaints = 0
  private listener: Listener | null = null
  private stopTicking: (() => void) | null = null
  private closing: Promise<void> | null = null
  private onLastGone: (() => void) | null = null

  constructor(options: KafkaOptions) {
    const {
      world,
      broker,
      advertise,
      topicDefaults = kafkaDefaults,
      uses = unused,
      meter,
      log = silent,
      pool,
    } = options
    const { security = openToAll, sasl = noSasl, tls } = options
    this.security = security
    this.sasl = sasl
    this.tls = tls
    this.listenerProtocol = `${sasl.required ? 'SASL_' : ''}${tls === undefined ? 'PLAINTEXT' : 'SSL'}`
    this.world = world
    const { clients: sink = null } = options
    const { clock, random } = world
    this.clientTelemetry = new ClientTelemetry({ clock, random, configs: broker.clientMetrics, sink, log })
    this.clock = world.clock
    this.broker = broker
    this.advertise = advertise
    this.topicDefaults = topicDefaults
    this.uses = uses
    this.meter = meter
    this.log = log
    this.pool = pool ?? new BufferPool(limits.poolIdleBytes)
    this.sessions = new FetchSessions(world.random, {
      sessionsMax: limits.kafkaFetchSessions,
      partitionsMax: limits.kafkaFetchSessionPartitions,
    })
    this.shareSessions = new ShareSessions({
      sessionsMax: limits.kafkaShareSessions,
      partitionsMax: limits.kafkaFetchSessionPartitions,
    })
  }

  async listen(at: Address): Promise<void> {
    const failed = (handshake: FailedHandshake): void => this.noTls(handshake)
    this.listener = await this.world.net.listen(at, (connection) => this.accept(connection), this.tls, failed)
    this.scheduleTick()
  }
  get at(): Address {
    if (this.listener === null) throw new Error('not listening')
    return this.listener.at
  }
  renew(tls: TlsServer): void {
    this.listener?.renew(tls)
  }
  private accept(connection: Connection): void {
    const { host } = connection.remote
    const why = this.noRoomFor(host)
    if (why !== null) {
      this.complain('kafka: connection refused', { client: host, connections: this.connections.size, why })
      connection.destroy()
      return
    }
    const waitMs = this.security.quotas.connected(plainHost(host))
    if (waitMs > 0) return this.refuseLater(connection, waitMs)
    this.perAddress.add(host)
    if (this.sasl.required) this.strangers.add(host)
    this.connections.add(new ClientConnection(this, connection))
    this.meter?.connections(this.connections.size)
  }
  /** Who shows a wrong certificate was refused; who speaks something else has lost its way. */
  private noTls({ host, why, ofCertificate }: FailedHandshake): void {
    this.complain('kafka: no TLS with a client', { client: host, why })
    if (!ofCertificate) return
    const subject = { principal: anonymous, host: plainHost(host) }
    const outcome = 'refused' as const
    this.security.audit.note({ subject, via: 'kafka', action: 'authenticate', resources: [], outcome, detail: why })
  }
  /** Which limit is reached. */
  private noRoomFor(host: string): string | null {
    if (this.closing !== null) return 'the server stops'
    const most = (setting: string): number => Number(this.broker.brokerConfigs.effective(setting))
    for (const [setting, open] of [
      ['max.connections', this.connections.size],
      ['max.connections.per.ip', this.perAddress.of(host)],
    ] as const)
      if (open >= most(setting)) return `${setting} is ${most(setting)}`
    const { kafkaStrangers: inAll, kafkaStrangersPerAddress: ofOne } = limits
    if (this.strangers.total >= inAll) return `${inAll} connections have not said who they are`
    if (this.strangers.of(host) >= ofOne) return `${ofOne} connections of this address have not said who they are`
    return null
  }
  /** As Kafka does: a client that is refused at once comes back at once. */
  private refuseLater(connection: Connection, waitMs: number): void {
    this.complain('kafka: connection over the quota of its address', { client: connection.remote.host })
    if (this.delayed >= limits.kafkaStrangers) return connection.destroy()
    this.delayed++
    connection.pause()
    this.clock.after(Math.min(waitMs, this.tickMs), () => {
      this.delayed--
      connection.destroy()
    })
  }
  /** A stranger has said who it is, or is gone. */
  known(host: string): void {
    this.strangers.remove(host)
  }
  forget(connection: ClientConnection, host: string): void {
    if (!this.connections.delete(connection)) return
    for (const room of this.rooms.all) room.forget(connection)
    this.perAddress.remove(host)
    this.meter?.connections(this.connections.size)
    if (this.connections.size === 0) this.onLastGone?.()
  }

  /** A connection's answers that were not taken yet changed by so much. */
  owed(bytes: number): void {
    this.owedBytes += bytes
    while (this.owedBytes > limits.kafkaOwedBytes) {
      const slowest = this.slowest()
      if (slowest === null) return
      slowest.failUnread()
    }
  }
  /** Who has gone longest without taking anything; of those who take, who owes most. */
  private slowest(): ClientConnection | null {
    let found: ClientConnection | null = null
    for (const one of this.connections) {
      if (one.owedBytes === 0) continue
      const isSlower =
        found === null ||
        one.takenTick < found.takenTick ||
        (one.takenTick === found.takenTick && one.owedBytes > found.owedBytes)
      if (isSlower) found = one
    }
    return found
  }
  ran(requests: number): void {
    this.running += requests
  }
  get answerBytesMax(): number {
    const share = (limits.kafkaAnswerBytes - this.owedBytes) / Math.max(1, this.running)
    return Math.floor(Math.min(limits.kafkaFetchBytes, Math.max(limits.kafkaAnswerBytesMin, share)))
  }

  /** Says it in the log, but not a thousand times a second. */
  complain(message: string, facts: Readonly<Record<string, unknown>>): void {
    this.meter?.refused()
    if (this.complaints++ < complaintsPerTick) this.log.warn(message, facts)
  }
  private scheduleTick(): void {
    this.stopTicking = this.clock.after(this.tickMs, () => {
      this.tick++
      const unsaid = this.complaints - complaintsPerTick
      if (unsaid > 0) this.log.warn('kafka: more connections closed or refused', { count: unsaid })
      this.complaints = 0
      for (const connection of this.connections) connection.check(this.tick)
      for (const room of this.rooms.all) room.tick(this.tick, this.tickMs, this.connections)
      this.scheduleTick()
    })
  }

  close(): Promise<void> {
    this.closing ??= this.shut()
    return this.closing
  }
  private async shut(): Promise<void> {
    this.stopTicking?.()
    await this.listener?.close()
    if (this.connections.size === 0) return
    await new Promise<void>((resolve) => {
      const giveUp = this.clock.after(closeMs, () => {
        for (const connection of this.connections) connection.destroy()
      })
      this.onLastGone = () => {
        giveUp()
        resolve()
      }
      for (const connection of this.connections) connection.finishAndEnd()
    })
  }
}

/** How many there are for each address. */
class Counts {
  total = 0
  readonly #counts = new Map<string, number>()
  of(host: string): number {
    return this.#counts.get(host) ?? 0
  }
  add(host: string): void {
    this.total++
    this.#counts.set(host, this.of(host) + 1)
  }
  remove(host: string): void {
    const left = this.of(host) - 1
    this.total--
    if (left > 0) this.#counts.set(host, left)
    else this.#counts.delete(host)
  }
}
