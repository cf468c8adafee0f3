/**
 * The socket shell: one port for AMQP, AMQP over WebSocket and HTTPS, told apart by their first byte. What is here is about
 * sockets: counts, times, TLS, back-pressure, the end.
 */
import type { Doctor } from '../../query/engine.ts'
import type { ReadersOf } from '../../telemetry/topic-reader.ts'
import { type Socket, Server as TcpServer } from 'node:net'
import { TLSSocket, Server as TlsServer } from 'node:tls'
import { bind } from '../../lib/real/listening.ts'
import { limits } from '../../lib/limits.ts'
import { Pages } from '../../lib/pages.ts'
import { requireLoopback } from '../../lib/loopback.ts'
import { contextOf, failedHandshake, isWelcome, limitHandshakes, serverOptions, subjectOf } from '../../lib/real/tls.ts'
import type { Address, FailedHandshake, TlsServer as Tls } from '../../lib/world.ts'
import { KeptMap } from '../../log/kept-map.ts'
import { anonymous } from '../../security/principal.ts'
import { Connection, type Transport } from './connection.ts'
import { diagnose, readersOfHub, receiverFacts } from './doctor.ts'
import { Hubs, type HubParts } from './hubs.ts'
import { HttpShell, type Opened } from './shell/http.ts'

export interface EventHubsOptions extends HubParts {
  /** Port 0 picks one. */
  readonly at: Address
  /** Host names beside the loopback ones and the bound one. */
  readonly hosts?: readonly string[]
  /** Origins (`https://…`) whose pages may send requests and open WebSockets; none by default. */
  readonly origins?: readonly string[]
  /** As it is read first. */
  readonly tls?: Tls
}
export interface EventHubsListener {
  readonly at: Address
  /** Another certificate, for connections from now on. Throws when it is none. */
  renew(tls: Tls): void
  readonly readersOf: ReadersOf
  readonly doctor: Doctor
  /** Stops accepting, then closes every connection. Idempotent. */
  close(): Promise<void>
}

export const keptTopic = '_millrace_eventhubs'
const tickMs = 1_000
const complaintsPerTick = 10
const amqpFirstByte = 0x41
const tlsFirstByte = 0x16

/** Throws Fault config.not-loopback, and what the system says about the address. */
export async function listenEventHubs(options: EventHubsOptions): Promise<EventHubsListener> {
  // Beyond loopback whoever asks says so in clear: only encrypted, and never to a server that is open to all.
  if (options.tls === undefined || !options.security.authorizer.enforced) requireLoopback('eventhubs', options.at)
  const { clock } = options.world
  const kept = await KeptMap.open({ log: options.log, topic: keptTopic, now: () => clock.now() })
  const hubs = new Hubs(options, kept)
  const shell = new Shell(options, hubs)
  const at = await shell.listen(options.at)
  const readersOf: ReadersOf = (topic) => {
    const info = options.log.catalog.byName(topic)
    return info === null ? [] : readersOfHub(options.log, info, hubs.epochs.receivers(info.id))
  }
  const doctor: Doctor = async () =>
    diagnose(await receiverFacts(options.log, hubs.epochs.receivers(null)), clock.now())
  return { at, renew: (tls) => shell.renew(tls), readersOf, doctor, close: () => shell.close() }
}

class Shell {
  readonly #options: EventHubsOptions
  readonly #hubs: Hubs
  readonly #server: TcpServer | TlsServer
  readonly #http: HttpShell
  readonly #sockets = new Map<Socket, string>()
  readonly #connections = new Set<Connection>()
  readonly #perAddress = new Map<string, number>()
  #complaints = 0
  #cancelTick = (): void => {}
  #closed: Promise<void> | null = null

  constructor(options: EventHubsOptions, hubs: Hubs) {
    this.#options = options
    this.#hubs = hubs
    const { tls, at, hosts = [], origins = [] } = options
    const pages = new Pages({ hosts: [at.host, ...hosts], origins, everybody: false })
    this.#http = new HttpShell(hubs, pages, (transport) => this.#open(transport))
    this.#server =
      tls === undefined ? new TcpServer({ noDelay: true }) : new TlsServer({ ...serverOptions(tls), noDelay: true })
    this.#server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => this.#accept(socket))
    if (this.#server instanceof TlsServer) limitHandshakes(this.#server)
    this.#server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      const handshake = failedHandshake(error, socket)
      if (handshake !== null) this.#noTls(handshake)
      socket.destroy()
    })
  }
  #noTls({ host, why, ofCertificate }: FailedHandshake): void {
    this.#complain('eventhubs: no TLS with a client', { client: host, why })
    if (!ofCertificate) return
    const subject = { principal: anonymous, host: plainHost(host) }
    const { audit } = this.#options.security
    audit.note({ subject, via: 'eventhubs', action: 'authenticate', resources: [], outcome: 'refused', detail: why })
  }
  #complain(message: string, facts: Readonly<Record<string, unknown>>): void {
    if (this.#complaints++ < complaintsPerTick) this.#options.logger.warn(message, facts)
  }

  #accept(socket: Socket): void {
    const host = plainHost(socket.remoteAddress ?? '')
    socket.on('error', () => {})
    if (socket instanceof TLSSocket && !isWelcome(socket)) {
      this.#noTls({ host, why: String(socket.authorizationError), ofCertificate: true })
      return void socket.destroy()
    }
    const ofAddress = this.#perAddress.get(host) ?? 0
    if (this.#sockets.size >= limits.amqpConnections || ofAddress >= limits.amqpConnectionsPerAddress) {
      this.#complain('eventhubs: connection refused', { client: host, connections: this.#sockets.size })
      return void socket.destroy()
    }
    if (this.#options.security.quotas.connected(host) > 0) return void socket.destroy()
    this.#sockets.set(socket, host)
    this.#options.meter?.connections(this.#sockets.size)
    this.#perAddress.set(host, ofAddress + 1)
    socket.on('close', () => {
      this.#sockets.delete(socket)
      this.#options.meter?.connections(this.#sockets.size)
      const left = (this.#perAddress.get(host) ?? 1) - 1
      if (left > 0) this.#perAddress.set(host, left)
      else this.#perAddress.delete(host)
    })
    const tooLate = this.#options.world.clock.after(limits.amqpOpenMs, () => socket.destroy())
    socket.once('close', tooLate)
    socket.once('data', (first: Buffer) => {
      tooLate()
      if (first[0] === amqpFirstByte) return this.#amqp(socket, host, first)
      if (first[0] === tlsFirstByte) {
        this.#complain('eventhubs: a client speaks TLS, and there is none here: --tls-cert and --tls-key make it', {
          client: host,
        })
        return void socket.destroy()
      }
      socket.pause()
      socket.unshift(first)
      this.#http.serve(socket)
      socket.resume()
    })
  }
  #amqp(socket: Socket, host: string, first: Buffer): void {
    const transport: Transport = {
      host,
      peerSubject: socket instanceof TLSSocket ? subjectOf(socket) : null,
      get backlogBytes() {
        return socket.writableLength
      },
      write: (bytes) => void (socket.writable && socket.write(bytes)),
      pause: () => void socket.pause(),
      resume: () => void socket.resume(),
      end: () => void socket.end(),
      destroy: () => void socket.destroy(),
    }
    const { received, drained, gone } = this.#open(transport)
    socket.on('data', received)
    socket.on('drain', drained)
    socket.on('close', gone)
    received(first)
  }
  /** A connection of AMQP over whatever carries it. */
  #open(transport: Transport): Opened {
    const connection = new Connection(this.#hubs, transport, (facts) => this.#complain('eventhubs: refused', facts))
    this.#connections.add(connection)
    return {
      received: (bytes) => connection.received(bytes),
      drained: () => connection.drained(),
      gone: () => {
        this.#connections.delete(connection)
        connection.gone()
      },
    }
  }

  renew(tls: Tls): void {
    if (this.#server instanceof TlsServer) this.#server.setSecureContext(contextOf(tls))
  }
  async listen(at: Address): Promise<Address> {
    const failed = (error: Error): void => this.#options.logger.warn('the Event Hubs listener failed', { error })
    const bound = await bind(this.#server, at, failed)
    this.#tick()
    return bound
  }
  #tick(): void {
    this.#cancelTick = this.#options.world.clock.after(tickMs, () => {
      const unsaid = this.#complaints - complaintsPerTick
      if (unsaid > 0) this.#options.logger.warn('eventhubs: more was refused', { count: unsaid })
      this.#complaints = 0
      for (const connection of this.#connections) connection.check()
      this.#tick()
    })
  }
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }
  async #close(): Promise<void> {
    this.#cancelTick()
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#http.close()
    for (const connection of this.#connections)
      connection.closeWith({ condition: 'amqp:connection:forced', description: 'The server stops.' })
    const cancel = this.#options.world.clock.after(closeMs, () => {
      for (const socket of this.#sockets.keys()) socket.destroy()
    })
    await closed
    cancel()
  }
}
const closeMs = 1_000
const plainHost = (host: string): string => host.replace(/^::ffff:/i, '')
