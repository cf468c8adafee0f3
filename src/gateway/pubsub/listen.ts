/**
 * The listener: gRPC (HTTP/2) and the REST form (HTTP/1.1, and HTTP/2) on one port. A connection that is not encrypted says
 * by its first bytes which it speaks; an encrypted one by ALPN.
 */
import type { Doctor } from '../../query/engine.ts'
import type { ReadersOf } from '../../telemetry/topic-reader.ts'
import type { IncomingMessage, Server as HttpServer, ServerResponse } from 'node:http'
import type { Http2Server, IncomingHttpHeaders, ServerHttp2Session, ServerHttp2Stream } from 'node:http2'
import { type AddressInfo, type Server, type Socket, createServer } from 'node:net'
import { type Server as SecureServer, TLSSocket, createServer as createSecureServer } from 'node:tls'
import { webhookRules } from '../../act/addresses.ts'
import { bind, byVersion, endIdle, endStalled, lookAfterTimes } from '../../lib/real/listening.ts'
import { limits } from '../../lib/limits.ts'
import { requireLoopback } from '../../lib/loopback.ts'
import { http } from '../../lib/real/http.ts'
import { contextOf, isWelcome, limitHandshakes, serverOptions, subjectOf } from '../../lib/real/tls.ts'
import type { Address, TlsServer } from '../../lib/world.ts'
import type { Peer } from './access.ts'
import { diagnose, subscriptionFacts } from './doctor.ts'
import { RpcError, rpcErrorOf } from './errors.ts'
import { type CallFacts, Gateway } from './gateway.ts'
import { OidcTokens } from './oidc.ts'
import { Pushers } from './push.ts'
import { type RestAnswer, answerRest, errorAnswer } from './rest.ts'
import { isLoopback } from '../../lib/loopback.ts'
import { type Parts, Service } from './service.ts'
import { serveGrpc } from './shell/grpc.ts'
import { Intake } from './shell/intake.ts'

export interface PubsubOptions extends Parts {
  /** Port 0 picks one. */
  readonly at: Address
  /** Where receivers of pushes find the keys of their tokens; default: where it listens. */
  readonly advertise?: Address
  readonly tls?: TlsServer
  /** Private ranges that pushes may go to. */
  readonly pushAllow: readonly string[]
}
export interface PubsubListener {
  readonly at: Address
  renew(tls: TlsServer): void
  readonly readersOf: ReadersOf
  readonly doctor: Doctor
  close(): Promise<void>
}

interface RestHead {
  readonly verb: string
  readonly target: string
  readonly origin: string | string[] | undefined
  readonly host: string | undefined
}
/** Calls that are still running after this are cut off at a stop. */
const drainMs = 2_000
const http2 = process.getBuiltinModule('node:http2')
const hostText = ({ host, port }: Address): string => `${host.includes(':') ? `[${host}]` : host}:${port}`

/** Throws Fault config.not-loopback, and what the system says about the address. */
export async function listenPubsub(options: PubsubOptions): Promise<PubsubListener> {
  const { at, tls, advertise, pushAllow, ...parts } = options
  if (tls === undefined || !parts.security.authorizer.enforced) requireLoopback('pubsub', at)
  const service = await Service.open(parts)
  let shown: Address = advertise ?? at
  const scheme = tls === undefined ? 'http' : 'https'
  const tokens = new OidcTokens(service.kept, service.clock, () => `${scheme}://${hostText(shown)}`)
  const shell = new Shell(new Gateway(service), tokens, tls)
  const bound = await shell.listen(at)
  shown = advertise ?? bound
  const pushers = new Pushers(service, tokens, webhookRules(pushAllow, false))
  service.pushers = pushers
  const sweeping = new Sweeping(service)
  return {
    at: bound,
    renew: (next) => shell.renew(next),
    readersOf: (topic) => service.readersOf(topic),
    doctor: async () => diagnose(await subscriptionFacts(service), service.clock.now()),
    async close() {
      sweeping.stop()
      await Promise.all([shell.close(), pushers.close()])
      service.close()
    },
  }
}

/** Looks now and then for what has expired. */
class Sweeping {
  #cancel: () => void
  constructor(service: Service) {
    const again = (): void => {
      this.#cancel = service.clock.after(limits.pubsubExpiryMs, () => {
        void service
          .sweep()
          .catch((error: unknown) =>
            service.parts.logger.warn('pubsub: looking for what has expired failed', { error }),
          )
        again()
      })
    }
    this.#cancel = () => undefined
    again()
  }
  stop(): void {
    this.#cancel()
  }
}

class Shell {
  readonly #gateway: Gateway
  readonly #tokens: OidcTokens
  readonly #h1: HttpServer
  readonly #h2: Http2Server
  readonly #secure: SecureServer | null
  readonly #server: Server
  readonly #intake = new Intake()
  readonly #sockets = new Set<Socket>()
  readonly #sessions = new Set<ServerHttp2Session>()
  readonly #stopping = new AbortController()
  #closed: Promise<void> | null = null

  constructor(gateway: Gateway, tokens: OidcTokens, tls: TlsServer | undefined) {
    this.#gateway = gateway
    this.#tokens = tokens
    this.#h1 = http.createServer({
      keepAliveTimeout: limits.httpIdleMs,
      headersTimeout: limits.httpHeaderMs,
      requestTimeout: limits.httpBodyMs * 2,
      connectionsCheckingInterval: 1_000,
      noDelay: true,
    })
    lookAfterTimes(this.#h1).timeout = limits.httpStalledMs
    this.#h1.on('request', (request, response) => void this.#rest(request, response))
    this.#h1.on('clientError', (_, socket) => socket.destroy())
    const settings = {
      settings: { initialWindowSize: limits.pubsubWindowBytes, maxConcurrentStreams: limits.pubsubStreams },
      maxSessionMemory: 64,
    }
    this.#h2 = http2.createServer(settings)
    this.#h2.on('session', (session) => this.#session(session))
    this.#h2.on('sessionError', () => undefined)
    this.#h2.on('stream', (stream, headers) => this.#stream(stream, headers))
    // Not a server of HTTP/2 that allows HTTP/1.1 as well: that one would answer each stream of HTTP/2 once more, as a request.
    this.#secure =
      tls === undefined
        ? null
        : createSecureServer({ ...serverOptions(tls), ALPNProtocols: ['h2', 'http/1.1'] }, (socket) =>
            this.#encrypted(socket),
          )
    this.#secure?.on('tlsClientError', (_, socket) => socket.destroy())
    if (this.#secure !== null) limitHandshakes(this.#secure)
    this.#server = this.#secure ?? createServer((socket) => this.#sniff(socket))
    this.#server.maxConnections = limits.pubsubConnections
  }
  renew(tls: TlsServer): void {
    this.#secure?.setSecureContext(contextOf(tls))
  }
  listen(at: Address): Promise<Address> {
    const { logger } = this.#gateway.service.parts
    return bind(this.#server, at, (error) => logger.warn('the Pub/Sub listener failed', { error }))
  }

  // --- connections

  #take(socket: Socket): void {
    const { meter } = this.#gateway.service.parts
    this.#sockets.add(socket)
    meter.connections(this.#sockets.size)
    socket.on('error', () => undefined)
    socket.once('close', () => {
      this.#sockets.delete(socket)
      meter.connections(this.#sockets.size)
    })
  }
  #sniff(socket: Socket): void {
    this.#take(socket)
    if (this.#isTooMany(socket)) return
    socket.setNoDelay(true)
    byVersion(socket, this.#gateway.service.clock, { http1: this.#h1, http2: this.#h2 })
  }
  #encrypted(socket: TLSSocket): void {
    this.#take(socket)
    if (this.#isTooMany(socket)) return
    if (!isWelcome(socket)) return void socket.destroy()
    socket.setNoDelay(true)
    const server = socket.alpnProtocol === 'h2' ? this.#h2 : this.#h1
    server.emit('connection', socket)
  }
  /** Over the quota of its address: then it is closed. */
  #isTooMany(socket: Socket): boolean {
    const { quotas } = this.#gateway.service.parts.security
    if (quotas.connected(this.#peerOf(socket).host) === 0) return false
    socket.destroy()
    return true
  }
  #session(session: ServerHttp2Session): void {
    this.#sessions.add(session)
    session.setLocalWindowSize(limits.pubsubSessionWindowBytes)
    session.on('error', () => undefined)
    endIdle(session, this.#gateway.service.clock)
    session.once('close', () => this.#sessions.delete(session))
  }
  #peerOf(socket: Socket | undefined): Peer {
    const host = (socket?.remoteAddress ?? '').replace(/^::ffff:/, '')
    return { host, subject: socket instanceof TLSSocket ? subjectOf(socket) : null }
  }

  // --- calls

  #stream(stream: ServerHttp2Stream, headers: IncomingHttpHeaders): void {
    const peer = this.#peerOf(stream.session?.socket as Socket | undefined)
    const isGrpc = String(headers['content-type'] ?? '').startsWith('application/grpc')
    if (isGrpc && headers[':method'] === 'POST') {
      const stopping = this.#stopping.signal
      return serveGrpc(stream, headers, { gateway: this.#gateway, intake: this.#intake, peer, stopping })
    }
    const gone = new AbortController()
    stream.on('error', () => undefined)
    stream.once('close', () => gone.abort())
    endStalled(stream)
    const request = { verb: String(headers[':method']), target: String(headers[':path']) }
    const facts = this.#facts(headers.authorization, peer, gone.signal)
    const { origin } = headers
    const host = headers[':authority'] ?? headers.host
    void this.#restAnswer(stream, { ...request, origin, host }, facts).then((answer) => {
      if (stream.destroyed) return
      stream.respond({ ':status': answer.status, 'content-type': 'application/json; charset=UTF-8' })
      stream.end(JSON.stringify(answer.body))
    })
  }
  async #rest(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const gone = new AbortController()
    response.once('close', () => gone.abort())
    const { method = 'GET', url = '/' } = request
    const facts = this.#facts(request.headers.authorization, this.#peerOf(request.socket), gone.signal)
    const { origin, host } = request.headers
    const { status, body } = await this.#restAnswer(request, { verb: method, target: url, origin, host }, facts)
    if (response.destroyed) return
    response.writeHead(status, { 'content-type': 'application/json; charset=UTF-8' })
    response.end(JSON.stringify(body))
  }
  #facts(authorization: string | undefined, peer: Peer, gone: AbortSignal): CallFacts {
    return { authorization, peer, signal: AbortSignal.any([gone, this.#stopping.signal]), timeoutMs: null }
  }
  async #restAnswer(
    source: AsyncIterable<Buffer>,
    { verb, target, origin, host }: RestHead,
    facts: CallFacts,
  ): Promise<RestAnswer> {
    let held = 0
    try {
      this.#admit(origin, host)
      if (verb === 'GET' && (target === '/.well-known/jwks.json' || target === '/oauth2/v3/certs'))
        return { status: 200, body: await this.#tokens.jwks() }
      if (verb === 'GET' && target === '/.well-known/openid-configuration')
        return { status: 200, body: this.#tokens.configuration() }
      const pieces: Buffer[] = []
      for await (const piece of source) {
        held += piece.length
        this.#intake.take(piece.length)
        if (held > limits.pubsubRestBytes)
          throw new RpcError(
            'INVALID_ARGUMENT',
            `Request payload size exceeds the limit: ${limits.pubsubRestBytes} bytes.`,
          )
        pieces.push(piece)
      }
      return await answerRest(this.#gateway, { verb, target, body: Buffer.concat(pieces) }, facts)
    } catch (error) {
      return errorAnswer(rpcErrorOf(error))
    } finally {
      this.#intake.release(held)
    }
  }

  /**
   * Pages of browsers have nothing to say here, whatever name they have found for this address. Throws RpcError
   * PERMISSION_DENIED.
   */
  #admit(origin: string | string[] | undefined, host: string | undefined): void {
    if (origin !== undefined) throw new RpcError('PERMISSION_DENIED', 'Requests of web pages are not served here.')
    const name = URL.parse(`http://${host ?? ''}`)?.hostname ?? ''
    const { address } = this.#server.address() as AddressInfo
    if (isLoopback(address) && !isLoopback(name))
      throw new RpcError('PERMISSION_DENIED', 'The Host of the request is not this machine.')
  }

  close(): Promise<void> {
    return (this.#closed ??= this.#close())
  }
  async #close(): Promise<void> {
    const closed = new Promise<void>((resolve) => this.#server.close(() => resolve()))
    this.#stopping.abort()
    for (const session of this.#sessions) session.close()
    this.#h1.closeIdleConnections()
    const cancel = this.#gateway.service.clock.after(drainMs, () => {
      for (const socket of this.#sockets) socket.destroy()
    })
    await closed
    cancel()
  }
}
