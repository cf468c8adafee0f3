/** HTTP on the same port: AMQP over WebSocket, single and batched sends, and the blobs of checkpoint stores. */
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import type { Socket } from 'node:net'
import type { Duplex } from 'node:stream'
import { WebSocketServer } from 'ws'
import { limits } from '../../../lib/limits.ts'
import { http } from '../../../lib/real/http.ts'
import type { Transport } from '../connection.ts'
import type { Opened } from '../listen.ts'

export const webSocketPath = '/$servicebus/websocket'
const webSocketProtocol = 'AMQPWSB10'

export class HttpShell {
  readonly #server: Server
  readonly #open: (transport: Transport) => Opened
  readonly #webSockets = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    perMessageDeflate: false,
    maxPayload: limits.amqpMessageBytes * 2,
    handleProtocols: (offered) =>
      offered.has(webSocketProtocol) ? webSocketProtocol : offered.has('amqp') ? 'amqp' : false,
  })

  constructor(open: (transport: Transport) => Opened) {
    this.#open = open
    this.#server = http.createServer({
      headersTimeout: limits.httpHeaderMs,
      requestTimeout: limits.httpBodyMs,
      keepAliveTimeout: limits.httpIdleMs,
      maxHeaderSize: limits.httpHeaderBytes,
      noDelay: true,
    })
    this.#server.on('request', (request, response) => void this.#serve(request, response))
    this.#server.on('upgrade', (request, socket, head) => this.#upgrade(request, socket, head))
    this.#server.on('clientError', (_error, socket) => void socket.destroy())
  }
  serve(socket: Socket): void {
    this.#server.emit('connection', socket)
  }
  close(): void {
    this.#server.closeIdleConnections()
  }
  async #serve(_request: IncomingMessage, response: ServerResponse): Promise<void> {
    response.statusCode = 404
    response.end()
  }
  #upgrade(request: IncomingMessage, socket: Duplex, head: Buffer): void {
    const path = decodeURIComponent(new URL(request.url ?? '/', 'http://localhost').pathname).replace(/\/$/, '')
    if (path.toLowerCase() !== webSocketPath)
      return void socket.end('HTTP/1.1 404 Not Found\r\nconnection: close\r\n\r\n')
    this.#webSockets.handleUpgrade(request, socket, head, (webSocket) => {
      const transport: Transport = {
        host: (request.socket.remoteAddress ?? '').replace(/^::ffff:/i, ''),
        peerSubject: null,
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
      webSocket.on('message', (data) => received(Buffer.isBuffer(data) ? data : Buffer.concat(data as Buffer[])))
      webSocket.on('error', () => {})
      webSocket.on('close', gone)
      socket.on('drain', drained)
    })
  }
}
