/**
 * The socket shell: node:http on one side, `Gateway` on the other. What is here is about connections: times, counts,
 * sizes, back-pressure, the end of a client.
 */
import type { IncomingMessage, Server, ServerOptions, ServerResponse } from 'node:http'
import type { Server as HttpsServer } from 'node:https'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { Fault } from '../../lib/fault.ts'
import { bind, drained } from '../../lib/real/listening.ts'
import type { Logger } from '../../lib/logger.ts'
import { limits } from '../../lib/limits.ts'
import { requireLoopback } from '../../lib/loopback.ts'
import { http, https } from '../../lib/real/http.ts'
import { contextOf, failedHandshake, isWelcome, serverOptions, subjectOf } from '../../lib/real/tls.ts'
import type { Address, Clock, Disk, FailedHandshake, TlsServer } from '../../lib/world.ts'
import { anonymous } from '../../security/principal.ts'
import { Body, type BodySource, Intake } from './body.ts'
import { type Answer, isLive } from './exchange.ts'
import { Gateway, type Request, type Routed } from './gateway.ts'
import { sseText } from './live.ts'
import { admission } from './origin.ts'
import type { Parts } from './parts.ts'
import { readinessInto } from './readiness.ts'
import { rawAnswer, unreadable } from './shell/raw-answer.ts'
import { WebSockets, asksForWebSocket } from './shell/web-sockets.ts'
import { StaticFiles } from './static-files.ts'

export interface HttpOptions extends Parts {
  /** Port 0 picks one. */
  readonly at: Address
  /** Folder of the console's files; without one nothing is served at `/`. */
  readonly consoleDir?: string | null
  /** The disk it lies on, where the data lies on another (in memory). */
  readonly consoleDisk?: Disk
  /** Host names beside the loopback ones and the bound one. */
  readonly hosts?: readonly string[]
  /** Origins (`https://…`) whose pages may call; none by default. */
  readonly origins?: readonly string[]
  readonly webSocketsMax?: number
  /** As it is read first. */
  readonly tls?: TlsServer
}
export interface HttpListener {
  readonly at: Address
  readonly gateway: Gateway
  /** Another certificate, for connections from now on. Throws when it is none. */
  renew(tls: TlsServer): void
  /** Stops accepting, ends live streams, lets running requests finish for a while, then cuts them off. Idempotent. */
  close(): Promise<void>
}

/** One for all: to make one costs more than a small request. */
const clientGone = new Fault('http.incomplete-body', {})

/** What is still running after this is cut off at a stop. */
const drainMs = 3_000
const complaintsPerSecond = 10

/** Throws Fault config.not-loopback, and what the system says about the address. */
export async function listenHttp(options: HttpOptions): Promise<HttpListener> {
  // Beyond loopback whoever asks says so in clear: only encrypted, and never to a server that is open to all.
  if (options.tls === undefined || !options.security.authorizer.enforced) requireLoopback('http', options.at)
  const { consoleDir = null, consoleDisk = options.world.disk, hosts = [], origins = [] } = options
  const { webSocketsMax = limits.httpWebSockets, at, tls, ...parts } = options
  const files = consoleDir === null ? null : new StaticFiles(consoleDisk, consoleDir)
  const gateway = new Gateway(parts, { admission: admission(at.host, hosts, origins), files })
  const shell = new Shell(parts, gateway, { webSocketsMax, tls })
  const bound = await shell.listen(at)
  const leave = readinessInto(parts)
  const close = (): Promise<void> => {
    leave()
    return shell.close()
  }
  return { at: bound, gateway, renew: (next) => shell.renew(next), close }
}

class Shell {
  readonly #parts: Parts
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #gateway: Gateway
  readonly #server: Server | HttpsServer
  readonly #intake = new Intake()
  readonly #webSockets: WebSockets
  /** Aborted when the server stops: live streams end. */
  readonly #stopping = new AbortController()
  /** Open connections and how many requests each is being answered. */
  readonly #open = new Map<Socket, number>()
  #complaints = { second: 0, count: 0 }
  #closed: Promise<void> | null = null

  constructor(
    parts: Parts,
    gateway: Gateway,
    { webSocketsMax, tls }: { webSocketsMax: number; tls: TlsServer | undefined },
  ) {
    this.#parts = parts
    this.#clock = parts.world.clock
    this.#logger = parts.logger
    this.#gateway = gateway
    this.#webSockets = new WebSockets({
      clock: this.#clock,
      max: webSocketsMax,
      counted: (open) => parts.telemetry.http.webSockets(open),
    })
    const settings: ServerOptions = {
      headersTimeout: limits.httpHeaderMs,
      // A body may stream for hours; its own clock stands in `pieces`.
      requestTimeout: 0,
      keepAliveTimeout: limits.httpIdleMs,
      connectionsCheckingInterval: 1_000,
      maxHeaderSize: limits.httpHeaderBytes,
      // Repeated headers are joined, so a second Host or Content-Type is seen and refused, not silently dropped.
      joinDuplicateHeaders: true,
      noDelay: true,
      // Java's own client asks every server for HTTP/2 this way: it is served as if it had not.
      shouldUpgradeCallback: asksForWebSocket,
    }
    this.#server =
      tls === undefined ? http.createServer(settings) : new https.Server({ ...settings, ...serverOptions(tls) })
    this.#server.maxHeadersCount = 200
    this.#server.maxConnections = limits.httpConnections
    this.#server.on('request', (request, response) => void this.#serve(request, response, false))
    this.#server.on('checkContinue', (request, response) => void this.#serve(request, response, true))
    this.#server.on('upgrade', (request, socket, head) => void this.#upgrade(request, socket, head))
    // Encrypted, a connection counts when its handshake is done; before, it may take no more than a moment.
    this.#server.on(tls === undefined ? 'connection' : 'secureConnection', (socket: Socket) => {
      if (socket instanceof TLSSocket && !isWelcome(socket)) {
        this.#noTls({ host: socket.remoteAddress ?? '', why: String(socket.authorizationError), ofCertificate: true })
        return void socket.destroy()
      }
      this.#open.set(socket, 0)
      parts.telemetry.http.connections(this.#open.size)
      socket.on('close', () => {
        this.#open.delete(socket)
        parts.telemetry.http.connections(this.#open.size)
      })
    })
    // A socket knows whose it is once it is over, too, if it was asked before.
    if (tls !== undefined) this.#server.on('connection', (socket: Socket) => void socket.remoteAddress)
    // The connection itself is ended as a `clientError`: node:https tells both.
    this.#server.on('tlsClientError', (error: Error, socket: TLSSocket) => {
      const handshake = failedHandshake(error, socket)
      if (handshake !== null) this.#noTls(handshake)
    })
    this.#server.on('drop', () => parts.telemetry.http.refused('too-many'))
    this.#server.on('clientError', (error: NodeJS.ErrnoException, socket) => {
      parts.telemetry.http.refused('malformed')
      if (socket.writable && error.code !== 'ECONNRESET') socket.end(unreadable(error.code))
      else socket.destroy()
    })
  }

  /** Said in the log, so often in a second; kept where it is the client's certificate that is refused. */
  #noTls({ host: from, why, ofCertificate }: FailedHandshake): void {
    const host = plain(from)
    const second = Math.floor(this.#clock.monotonic() / 1_000)
    if (second !== this.#complaints.second) this.#complaints = { second, count: 0 }
    if (this.#complaints.count++ < complaintsPerSecond)
      this.#logger.warn('http: no TLS with a client', { client: host, why })
    if (!ofCertificate) return
    const subject = { principal: anonymous, host }
    const outcome = 'refused' as const
    const { audit } = this.#parts.security
    audit.note({ subject, via: 'http', action: 'authenticate', resources: [], outcome, detail: why })
  }
  renew(tls: TlsServer): void {
    if (this.#server instanceof https.Server) this.#server.setSecureContext(contextOf(tls))
  }
  listen(at: Address): Promise<Address> {
    return bind(this.#server, at, (error) => this.#logger.warn('the HTTP listener failed', { error }))
  }
  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }
  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#stopping.abort(new Fault('log.closed', { what: 'the server' }))
    for (const [socket, running] of this.#open) if (running === 0) socket.destroy()
    const cancel = this.#clock.after(drainMs, () => {
      for (const socket of this.#open.keys()) socket.destroy()
    })
    await closed
    cancel()
  }

  async #serve(request: IncomingMessage, response: ServerResponse, waits: boolean): Promise<void> {
    const started = this.#clock.monotonic()
    const { gone, end } = this.#begin(request.socket)
    response.on('close', () => !response.writableEnded && gone.abort(clientGone))
    // What it says is read where the body is.
    request.on('error', () => {})
    const source = new RequestBody(request, this.#clock, () => waits && response.writeContinue())
    const body = new Body(source, this.#intake)
    let routed: Routed | null = null
    try {
      routed = await this.#gateway.handle(asRequest(request, body, gone.signal))
      await this.#send(request, response, routed.answer, source, gone.signal)
    } catch (error) {
      if (!gone.signal.aborted) this.#parts.logger.error('an HTTP answer broke off', { route: routed?.route, error })
      response.destroy()
    } finally {
      body.release()
      // What still works for an answer that ended early, or for a live stream nobody reads (HEAD), is let go.
      const live = routed !== null && isLive(routed.answer.body)
      if (live || !response.writableEnded) gone.abort(clientGone)
      end()
      const seconds = live ? -1 : (this.#clock.monotonic() - started) / 1000
      if (routed !== null)
        this.#parts.telemetry.http.request(routed.route, methodLabel(request.method), routed.answer.status, seconds)
    }
  }
  /** A request is under way on this socket until `end`; `gone` is aborted when the server stops. */
  #begin(socket: Socket): { readonly gone: AbortController; end(): void } {
    this.#count(socket, 1)
    const gone = new AbortController()
    const { signal } = this.#stopping
    const stop = (): void => gone.abort(signal.reason)
    signal.addEventListener('abort', stop, { once: true })
    if (signal.aborted) stop()
    const end = (): void => {
      signal.removeEventListener('abort', stop)
      // A connection kept alive would keep the server open.
      if (this.#count(socket, -1) === 0 && signal.aborted) socket.destroySoon()
    }
    return { gone, end }
  }
  #count(socket: Socket, change: number): number {
    const running = (this.#open.get(socket) ?? 0) + change
    if (this.#open.has(socket)) this.#open.set(socket, running)
    return running
  }

  /** The socket is no longer node:http's: it becomes a WebSocket, or gets one answer that says why not. */
  async #upgrade(request: IncomingMessage, stream: Duplex, head: Buffer): Promise<void> {
    const { socket } = request
    socket.on('error', () => {})
    const { gone, end } = this.#begin(socket)
    const leave = (): void => gone.abort(clientGone)
    const body = new Body(new RequestBody(request, this.#clock, () => {}), this.#intake)
    try {
      const { route, answer } = await this.#gateway.handle({
        ...asRequest(request, body, gone.signal),
        live: () => this.#webSockets.admit(asksForWebSocket(request)),
      })
      const opened = isLive(answer.body)
      this.#parts.telemetry.http.request(route, methodLabel(request.method), opened ? 101 : answer.status, -1)
      if (!isLive(answer.body)) socket.end(rawAnswer(answer))
      else await this.#webSockets.serve({ request, stream, head }, answer.body, { signal: gone.signal, leave })
    } catch (error) {
      this.#parts.logger.error('a WebSocket broke off', { error })
      socket.destroy()
    } finally {
      leave()
      end()
    }
  }

  async #send(
    request: IncomingMessage,
    response: ServerResponse,
    { status, headers = {}, body }: Answer,
    source: RequestBody,
    signal: AbortSignal,
  ): Promise<void> {
    if (response.destroyed) return
    // What is left of the body would have to be read to use the connection again.
    if (!source.complete || this.#stopping.signal.aborted) response.setHeader('connection', 'close')
    if (body === null || typeof body === 'string' || body instanceof Uint8Array) {
      const bytes = typeof body === 'string' ? Buffer.from(body, 'utf8') : body
      if (bytes !== null || (status !== 204 && status !== 304)) response.setHeader('content-length', bytes?.length ?? 0)
      response.writeHead(status, headers)
      if (request.method === 'HEAD' || bytes === null) response.end()
      else response.end(bytes)
    } else {
      response.writeHead(status, headers)
      if (request.method === 'HEAD') response.end()
      else await this.#stream(response, isLive(body) ? sseText(body, this.#clock, signal) : body)
    }
    if (!source.complete) this.#lingerThenCut(request)
  }
  /** The client is still sending: it gets a moment to read the answer before its connection is cut. */
  #lingerThenCut(request: IncomingMessage): void {
    request.resume()
    const cancel = this.#clock.after(1_000, () => request.destroy())
    request.on('close', cancel)
  }
  async #stream(response: ServerResponse, body: AsyncIterable<string | Uint8Array>): Promise<void> {
    for await (const part of body) {
      if (response.destroyed || part.length === 0) {
        if (response.destroyed) return
        continue
      }
      if (!response.write(part) && !(await drained(response, this.#clock))) return
    }
    response.end()
  }
}

function asRequest(request: IncomingMessage, body: Body, signal: AbortSignal): Request {
  const { method = 'GET', url = '/' } = request
  return { method, target: url, headers: request.headers as Request['headers'], body, signal, peer: peerOf(request) }
}

const plain = (host: string): string => host.replace(/^::ffff:/, '')
function peerOf({ socket }: IncomingMessage): Request['peer'] {
  const host = plain(socket.remoteAddress ?? '')
  return { host, subject: socket instanceof TLSSocket ? subjectOf(socket) : null }
}

const methods = new Set(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE', 'OPTIONS'])
/** A label that strangers cannot fill with names of their own. */
const methodLabel = (method: string | undefined): string => (methods.has(method ?? '') ? method! : 'other')

class RequestBody implements BodySource {
  readonly #request: IncomingMessage
  readonly #clock: Clock
  readonly #begin: () => void

  constructor(request: IncomingMessage, clock: Clock, begin: () => void) {
    this.#request = request
    this.#clock = clock
    this.#begin = begin
  }
  get length(): number | null {
    const declared = this.#request.headers['content-length']
    if (declared !== undefined) return Number(declared)
    return this.#request.headers['transfer-encoding'] === undefined ? 0 : null
  }
  get encoding(): string | undefined {
    return this.#request.headers['content-encoding']
  }
  /** Everything that the client meant to send has arrived. */
  get complete(): boolean {
    return this.#request.complete || this.length === 0
  }

  async *pieces({ wholeMs }: { wholeMs: number | null }): AsyncIterable<Uint8Array> {
    const request = this.#request
    // Node takes apart the last coding, which must be chunked; one beneath it would be stored as if it were the event.
    const coding = request.headers['transfer-encoding']?.trim().toLowerCase() ?? 'chunked'
    if (coding !== 'chunked')
      throw new Fault('http.unsupported-body', { what: `Transfer-Encoding ${coding}`, takes: 'chunked' })
    this.#begin()
    const end = wholeMs === null ? Infinity : this.#clock.monotonic() + wholeMs
    for (;;) {
      const part = request.read() as Buffer | null
      if (part !== null) {
        yield part
        continue
      }
      if (request.readableEnded) return
      if (request.destroyed) throw new Fault('http.incomplete-body', {})
      const left = end - this.#clock.monotonic()
      const waitMs = Math.max(0, Math.min(left, limits.httpIdleMs))
      if (await this.#more(waitMs)) continue
      const whole = left < limits.httpIdleMs
      throw new Fault(
        'http.timeout',
        whole ? { what: 'the whole body', ms: wholeMs! } : { what: 'more of the body', ms: limits.httpIdleMs },
      )
    }
  }
  /** False when nothing happened in time. */
  #more(ms: number): Promise<boolean> {
    const request = this.#request
    return new Promise((resolve) => {
      const done = (happened: boolean): void => {
        cancel()
        for (const event of ['readable', 'end', 'close', 'error']) request.off(event, some)
        resolve(happened)
      }
      const some = (): void => done(true)
      const cancel = this.#clock.after(ms, () => done(false))
      for (const event of ['readable', 'end', 'close', 'error']) request.on(event, some)
    })
  }
}
