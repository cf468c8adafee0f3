/** HTTP on the same port: AMQP over WebSocket, single and batched sends, and the blobs of checkpoint stores. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { TLSSocket } from 'node:tls'
import { WebSocketServer } from 'ws'
import { asFault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Pages } from '../../../lib/pages.ts'
import { http } from '../../../lib/real/http.ts'
import { subjectOf } from '../../../lib/real/tls.ts'
import { BlobService, isAboutBlobs } from '../blob-http.ts'
import type { Transport } from '../connection.ts'
import type { HttpAnswer, HttpRequest } from '../exchange.ts'
import { answerSend, wantedOf } from '../http-send.ts'
import type { Hubs } from '../hubs.ts'

/** How what carries a connection tells it what happens. */
export interface Opened {
  received(bytes: Buffer): void
  drained(): void
  gone(): void
}
const webSocketPath = '/$servicebus/websocket'
const webSocketProtocol = 'AMQPWSB10'
const plainHost = (host: string | undefined): string => (host ?? '').replace(/^::ffff:/i, '')

export class HttpShell {
  readonly #hubs: Hubs
  readonly #pages: Pages
  readonly #blobs: BlobService
  readonly #server: Server
  readonly #open: (transport: Transport) => Opened
  #bodyBytes = 0
  /** node:http looks after times only where it listens itself. How to stop the time of a socket that a request is to come on. */
  readonly #awaited = new Map<Duplex, () => void>()
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.amqpMessageBytes * 2,
    handleProtocols: (offered) =>
      offered.has(webSocketProtocol) ? webSocketProtocol : offered.has('amqp') ? 'amqp' : false,
  })

  constructor(hubs: Hubs, pages: Pages, open: (transport: Transport) => Opened) {
    this.#hubs = hubs
    this.#pages = pages
    this.#open = open
    this.#blobs = new BlobService(hubs)
    this.#server = http.createServer({
      keepAliveTimeout: limits.httpIdleMs,
      maxHeaderSize: limits.httpHeaderBytes,
      noDelay: true,
    })
    this.#server.on('request', (request, response) => void this.#serve(request, response))
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#server.on('clientError', (_error, socket) => void socket.destroy())
  }
  serve(socket: Socket): void {
    this.#await(socket, limits.httpHeaderMs)
    socket.once('close', () => this.#came(socket))
    this.#server.emit('connection', socket)
  }
  /** A request has so long to come. */
  #await(socket: Duplex, ms: number): void {
    this.#came(socket)
    this.#awaited.set(
      socket,
      this.#hubs.parts.world.clock.after(ms, () => socket.destroy()),
    )
  }
  #came(socket: Duplex): void {
    this.#awaited.get(socket)?.()
    this.#awaited.delete(socket)
  }
  /** Those on which nothing is under way. */
  close(): void {
    this.#blobs.close()
    for (const socket of this.#awaited.keys()) socket.destroy()
  }

  async #serve(incoming: IncomingMessage, response: ServerResponse): Promise<void> {
    let answer: HttpAnswer
    let taken = 0
    const { socket } = incoming
    this.#came(socket)
    const tooLate = this.#hubs.parts.world.clock.after(limits.httpBodyMs, () => socket.destroy())
    try {
      const url = URL.parse(incoming.url ?? '/', 'http://localhost')
      const why = this.#refusalOf(incoming)
      const body = url === null || why !== null ? null : await this.#body(incoming, (bytes) => (taken += bytes))
      answer =
        url === null
          ? badRequest
          : why !== null
            ? { status: 403, headers: { connection: 'close' }, body: why }
            : body === null
              ? tooLarge
              : await this.#answer(requestOf(incoming, url, body))
    } catch (error) {
      // A client that goes away in the middle is no fault of anybody.
      if (incoming.destroyed || response.destroyed) return void response.destroy()
      this.#hubs.parts.logger.error('eventhubs: a fault of Millrace', { error: asFault(error) })
      answer = { status: 500, headers: {}, body: '' }
    } finally {
      tooLate()
      this.#bodyBytes -= taken
    }
    if (answer.headers['connection'] === 'close') response.shouldKeepAlive = false
    const bytes = Buffer.from(answer.body as string)
    response.writeHead(answer.status, { 'content-length': String(bytes.length), ...answer.headers })
    response.end(incoming.method === 'HEAD' ? undefined : bytes)
    if (!socket.destroyed) this.#await(socket, limits.httpIdleMs)
  }
  /** A page of somebody else's must not reach a server that is open to whoever is on this machine. null: it does not. */
  #refusalOf({ headers: { host = '', origin } }: IncomingMessage): string | null {
    try {
      this.#pages.admit({ host, origin }, !this.#hubs.parts.security.authorizer.enforced)
      return null
    } catch (error) {
      return (error as Error).message
    }
  }
  /** null: it is more than anything here takes. */
  async #body(incoming: IncomingMessage, took: (bytes: number) => void): Promise<Buffer | null> {
    const bytesMax = limits.amqpMessageBytes + limits.blobBytes
    const declared = Number(incoming.headers['content-length'] ?? 0)
    if (declared > bytesMax) return null
    const parts: Buffer[] = []
    let bytes = 0
    for await (const part of incoming as AsyncIterable<Buffer>) {
      bytes += part.length
      if (bytes > bytesMax || this.#bodyBytes + part.length > limits.httpBodyBytesInFlight) return null
      this.#bodyBytes += part.length
      took(part.length)
      parts.push(part)
    }
    return Buffer.concat(parts)
  }
  async #answer(request: HttpRequest): Promise<HttpAnswer> {
    const wanted = isAboutBlobs(request) ? null : wantedOf(request)
    if (wanted !== null) return answerSend(this.#hubs, request, wanted)
    if (isAboutBlobs(request)) return this.#blobs.answer(request)
    return notFound
  }

  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    this.#came(socket)
    const url = URL.parse(request.url ?? '/', 'http://localhost')
    const path = (url?.pathname ?? '').replaceAll(/%24/gi, '$').replace(/\/$/, '')
    if (path.toLowerCase() !== webSocketPath)
      // Not left to the client to close.
      return void socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n', () => socket.destroy())
    if (this.#refusalOf(request) !== null)
      return void socket.end('HTTP/1.1 403 Forbidden\r\nconnection: close\r\n\r\n', () => socket.destroy())
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const transport: Transport = {
        host: plainHost(request.socket.remoteAddress),
        peerSubject: request.socket instanceof TLSSocket ? subjectOf(request.socket) : null,
        get backlogBytes() {
          return webSocket.bufferedAmount
        },
        write: (bytes) => webSocket.send(bytes),
        pause: () => webSocket.pause(),
        resume: () => webSocket.resume(),
        end: () => webSocket.close(1000),
        destroy: () => webSocket.terminate(),
      }
      const { received, drained, gone } = this.#open(transport)
      const came = this.#partly(socket, () => webSocket.terminate())
      webSocket.on('ping', came)
      webSocket.on('pong', came)
      webSocket.on('message', (data) => {
        came()
        received(Buffer.isBuffer(data) ? data : Buffer.concat(data as Buffer[]))
      })
      webSocket.on('error', () => {})
      webSocket.on('close', () => {
        came()
        gone()
      })
      socket.on('drain', drained)
    })
  }
  /**
   * Counts what has come of a message over a WebSocket, with what others hold of theirs: where that is too much, who has more
   * than a frame goes. Answers how to say that the message is whole.
   */
  #partly(socket: Duplex, cut: () => void): () => void {
    let held = 0
    // Before the WebSocket takes them: then it says which message they end.
    socket.prependListener('data', (piece: Buffer) => {
      held += piece.length
      this.#hubs.bytesPartial += piece.length
      if (held > limits.amqpFrameBytes && this.#hubs.bytesPartial > limits.amqpBytesWaitingInAll) cut()
    })
    return () => {
      this.#hubs.bytesPartial -= held
      held = 0
    }
  }
}
const notFound: HttpAnswer = { status: 404, headers: {}, body: '' }
const badRequest: HttpAnswer = { status: 400, headers: { connection: 'close' }, body: '' }
const tooLarge: HttpAnswer = { status: 413, headers: { connection: 'close' }, body: '' }

function requestOf(incoming: IncomingMessage, url: URL, body: Buffer): HttpRequest {
  const { rawHeaders, method = 'GET', headers } = incoming
  const pairs = Array.from(
    { length: rawHeaders.length / 2 },
    (_, i) => [rawHeaders[2 * i]!, rawHeaders[2 * i + 1]!] as const,
  )
  const plain = Object.fromEntries(
    Object.entries(headers).map(([name, value]) => [name, Array.isArray(value) ? value.join(',') : value]),
  )
  return { method, url, headers: plain, rawHeaders: pairs, body, host: plainHost(incoming.socket.remoteAddress) }
}
