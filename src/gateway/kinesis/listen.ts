/**
 * The socket shell. On one port HTTP/1.1 and HTTP/2 without a handshake about it (AWS's SDKs for JavaScript and Java begin so):
 * the first three bytes of a connection say which. Encrypted, ALPN does.
 */
import type { Doctor } from '../../query/engine.ts'
import type { ReadersOf } from '../../telemetry/topic-reader.ts'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Http2SecureServer, Http2Server, Http2ServerRequest, Http2ServerResponse } from 'node:http2'
import { type Server as NetServer, type Socket, createServer } from 'node:net'
import { bind, byVersion, drained, endIdle, endStalled, lookAfterTimes } from '../../lib/real/listening.ts'
import { limits } from '../../lib/limits.ts'
import type { Logger } from '../../lib/logger.ts'
import { requireLoopback } from '../../lib/loopback.ts'
import { http } from '../../lib/real/http.ts'
import { contextOf, limitHandshakes, serverOptions } from '../../lib/real/tls.ts'
import type { Address, Clock, TlsServer, World } from '../../lib/world.ts'
import type { Broker } from '../../log/broker.ts'
import type { Commits } from '../../log/commits.ts'
import type { Contracts } from '../../schema/contracts.ts'
import type { Security } from '../../security/security.ts'
import type { KinesisMeter } from '../../telemetry/traffic.ts'
import type { TopicUses } from './call.ts'
import { consumerFacts, diagnose } from './doctor.ts'
import { type Answer, Gateway } from './gateway.ts'
import { Pages } from '../../lib/pages.ts'
import { openService } from './service.ts'
import type { KinesisSettings } from './settings.ts'
import type { Stalled } from './stalled.ts'

export interface KinesisOptions {
  readonly world: World
  readonly log: Broker
  readonly commits: Commits
  readonly contracts: Contracts
  readonly security: Security
  readonly uses: TopicUses
  readonly settings: KinesisSettings
  readonly meter: KinesisMeter
  readonly logger: Logger
  /** Port 0 picks one. */
  readonly at: Address
  readonly tls?: TlsServer
  /** Host names beside the loopback ones and the bound one. */
  readonly hosts?: readonly string[]
  /** Origins (`https://…`) whose pages may call; none by default. */
  readonly origins?: readonly string[]
}
export interface KinesisListener {
  readonly at: Address
  renew(tls: TlsServer): void
  readonly readersOf: ReadersOf
  readonly doctor: Doctor
  close(): Promise<void>
}
type Request = IncomingMessage | Http2ServerRequest
type Response = ServerResponse | Http2ServerResponse

const http2 = process.getBuiltinModule('node:http2')
/** What is still running after this is cut off at a stop. */
const drainMs = 3_000
const streamsAtOnce = 256

/** Throws Fault config.not-loopback, and what the system says about the address. */
export async function listenKinesis(options: KinesisOptions): Promise<KinesisListener> {
  // Beyond loopback only who signs: never a server that is open to all.
  if (!options.security.authorizer.enforced) requireLoopback('kinesis', options.at)
  const service = await openService(options)
  const { hosts = [], origins = [], logger, settings } = options
  const pages = new Pages({ hosts: [options.at.host, ...hosts], origins, everybody: settings.model === '2020' })
  const shell = new Shell(options, new Gateway(service, logger, pages), service.stalled)
  const at = await shell.listen(options.at)
  return {
    at,
    renew: (tls) => shell.renew(tls),
    readersOf: (topic) => {
      const stream = service.streams.find(topic)
      return Object.keys(stream?.consumers ?? {}).map((name) => {
        const shards = service.subscriptions.open(stream!.topicId, name)
        const about = shards === 0 ? 'registered' : `${shards} ${shards === 1 ? 'shard' : 'shards'} subscribed to`
        return { protocol: 'kinesis', kind: 'consumer', name, about, isConnected: shards > 0, lag: null }
      })
    },
    doctor: () => diagnose(consumerFacts(service)),
    close: async () => {
      await shell.close()
      service.streams.close()
    },
  }
}

class Shell {
  readonly #options: KinesisOptions
  readonly #clock: Clock
  readonly #gateway: Gateway
  readonly #stalled: Stalled
  readonly #plain: Server
  readonly #framed: Http2Server
  readonly #secure: Http2SecureServer | null
  readonly #server: NetServer
  readonly #open = new Set<Socket>()
  readonly #stopping = new AbortController()
  /** Bytes of bodies that are being read or answered. */
  #bytes = 0
  #running = 0
  #closed: Promise<void> | null = null

  constructor(options: KinesisOptions, gateway: Gateway, stalled: Stalled) {
    this.#options = options
    this.#clock = options.world.clock
    this.#gateway = gateway
    this.#stalled = stalled
    const settings = {
      headersTimeout: limits.httpHeaderMs,
      requestTimeout: limits.httpBodyMs * 2,
      keepAliveTimeout: limits.httpIdleMs,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: limits.httpHeaderBytes,
      noDelay: true,
    }
    const framing = { settings: { maxConcurrentStreams: streamsAtOnce }, maxSessionMemory: 64 }
    const serve = (request: Request, response: Response): void => void this.#serve(request, response)
    this.#plain = lookAfterTimes(http.createServer(settings, serve))
    this.#plain.timeout = limits.httpStalledMs
    this.#framed = http2.createServer(framing, serve)
    this.#plain.on('clientError', (_, socket) => void socket.destroy())
    this.#secure =
      options.tls === undefined
        ? null
        : http2.createSecureServer({ ...framing, ...serverOptions(options.tls), allowHTTP1: true }, serve)
    this.#server =
      this.#secure ??
      createServer({ noDelay: true }, (socket) =>
        byVersion(socket, this.#clock, { http1: this.#plain, http2: this.#framed }),
      )
    this.#server.maxConnections = limits.httpConnections
    this.#server.on(this.#secure === null ? 'connection' : 'secureConnection', (socket: Socket) => this.#adopt(socket))
    for (const server of [this.#framed, this.#secure]) {
      server?.on('sessionError', () => options.meter.refused())
      server?.on('session', (session) => endIdle(session, this.#clock))
      // What is subscribed to has an event every few seconds.
      server?.on('stream', endStalled)
    }
    if (this.#secure !== null) limitHandshakes(this.#secure)
    this.#secure?.on('tlsClientError', () => options.meter.refused())
  }
  #adopt(socket: Socket): void {
    socket.on('error', () => {})
    // Over the quota of its address.
    const { quotas } = this.#options.security
    if (quotas.connected(plainAddress(socket.remoteAddress ?? '')) > 0) return void socket.destroy()
    this.#open.add(socket)
    this.#options.meter.connections(this.#open.size)
    socket.on('close', () => {
      this.#open.delete(socket)
      this.#options.meter.connections(this.#open.size)
    })
  }
  renew(tls: TlsServer): void {
    this.#secure?.setSecureContext(contextOf(tls))
  }
  listen(at: Address): Promise<Address> {
    return bind(this.#server, at, (error) => this.#options.logger.warn('the Kinesis listener failed', { error }))
  }
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }
  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#stopping.abort()
    this.#plain.close()
    this.#framed.close()
    const cut = (): void => {
      for (const socket of this.#open) socket.destroy()
    }
    const cancel = this.#clock.after(this.#running === 0 ? 0 : drainMs, cut)
    await closed
    cancel()
  }

  async #serve(request: Request, response: Response): Promise<void> {
    const startedMs = this.#clock.monotonic()
    const gone = new AbortController()
    const leave = (): void => gone.abort()
    response.on('close', leave)
    request.on('error', leave)
    this.#stopping.signal.addEventListener('abort', leave, { once: true })
    this.#running++
    let held = 0
    try {
      const body = await this.#body(request, (bytes) => {
        held += bytes
        this.#bytes += bytes
        return this.#bytes <= limits.httpBodyBytesInFlight
      })
      if (body === null) {
        this.#options.meter.refused()
        return refuse(request, response)
      }
      const answer = await this.#gateway.handle({
        method: request.method ?? '',
        target: request.url ?? '/',
        headers: headersOf(request),
        body,
        host: plainAddress(request.socket.remoteAddress ?? ''),
        client: connectionOf(request),
        signal: gone.signal,
      })
      try {
        await this.#send(response, answer, gone.signal)
      } finally {
        answer.done?.()
      }
      const live = !(answer.body instanceof Uint8Array)
      const seconds = live ? -1 : (this.#clock.monotonic() - startedMs) / 1_000
      this.#options.meter.request(answer.operation, answer.error, seconds)
    } catch (error) {
      if (!gone.signal.aborted) this.#options.logger.error('a Kinesis answer broke off', { error })
      response.destroy()
    } finally {
      this.#bytes -= held
      this.#running--
      this.#stopping.signal.removeEventListener('abort', leave)
      leave()
    }
  }
  /** null: it is longer than a request may be, or there is no room for it now. */
  async #body(request: Request, take: (bytes: number) => boolean): Promise<Buffer | null> {
    const length = Number(request.headers['content-length'] ?? 0)
    if (length > limits.kinesisRequestBytes) return null
    const parts: Buffer[] = []
    let bytes = 0
    const cancel = this.#clock.after(limits.httpBodyMs, () => request.destroy())
    try {
      for await (const part of request as AsyncIterable<Buffer>) {
        bytes += part.length
        if (bytes > limits.kinesisRequestBytes || !take(part.length)) return null
        parts.push(part)
      }
    } finally {
      cancel()
    }
    return parts.length === 1 ? parts[0]! : Buffer.concat(parts)
  }
  async #send(response: Response, { status, headers, body }: Answer, signal: AbortSignal): Promise<void> {
    if (response.destroyed) return
    const open = response as ServerResponse
    if (body instanceof Uint8Array) {
      open.writeHead(status, { ...headers, 'content-length': body.length })
      if (body.length > limits.answerPieceBytes) return this.#sendLarge(open, body)
      open.end(body)
      return
    }
    open.writeHead(status, headers)
    for await (const part of body) {
      if (open.destroyed || signal.aborted) break
      if (!open.write(part) && !(await this.#drained(open))) return
    }
    open.end()
  }
  #drained(open: ServerResponse): Promise<boolean> {
    return this.#stalled.during(
      () => open.destroy(),
      () => drained(open, this.#clock),
    )
  }
  /** Resolves when the client has taken it, or is gone. */
  async #sendLarge(open: ServerResponse, body: Uint8Array): Promise<void> {
    for (let at = 0; at < body.length; at += limits.answerPieceBytes) {
      const piece = body.subarray(at, at + limits.answerPieceBytes)
      if (open.destroyed || (!open.write(piece) && !(await this.#drained(open)))) return
    }
    open.end()
  }
}

/** The rest of the body is not read: the connection cannot go on, a stream of HTTP/2 can. */
function refuse(request: Request, response: Response): void {
  const open = response as ServerResponse
  const isFramed = request.httpVersionMajor === 2
  open.writeHead(413, isFramed ? {} : { connection: 'close', 'transfer-encoding': 'chunked' })
  open.end()
  if (!isFramed) request.resume()
}
function headersOf(request: Request): Record<string, string | undefined> {
  const found: Record<string, string | undefined> = {}
  for (const [name, value] of Object.entries(request.headers))
    found[name] = Array.isArray(value) ? value.join(',') : value
  // Some sign it by the one name, some by the other.
  found['host'] ??= found[':authority']
  return found
}
/** The same for all requests of a connection: with HTTP/2, `socket` is not. */
const connectionOf = (request: Request): object =>
  ('stream' in request ? request.stream.session : undefined) ?? request.socket
/** An IPv4 address as it is, also where the socket is one of IPv6. */
const plainAddress = (address: string): string => address.replace(/^::ffff:/, '')
