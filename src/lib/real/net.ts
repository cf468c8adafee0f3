/** The network over node:net and node:http. */
import { lookup } from 'node:dns/promises'
import type { IncomingMessage } from 'node:http'
import type { RequestOptions } from 'node:https'
import { type AddressInfo, Server, Socket, type SocketConstructorOpts, isIP } from 'node:net'
import { Server as TlsListener, type TLSSocket, checkServerIdentity, connect as connectTls } from 'node:tls'
import type {
  Address,
  Connection,
  FailedHandshake,
  HttpAnswer,
  HttpRequest,
  Listener,
  Net,
  TlsClient,
  TlsServer,
} from '../world.ts'
import { http, https } from './http.ts'
import { contextOf, failedHandshake, isWelcome, limitHandshakes, serverOptions, subjectOf } from './tls.ts'

export const realNet: Net = {
  listen(at, accept, tls, failed) {
    return new Promise((resolve, reject) => {
      const server =
        tls === undefined
          ? new Server({ noDelay: true, pauseOnConnect: true }, (socket) => accept(adopt(socket)))
          : securedServer(tls, accept, failed)
      server.once('error', reject)
      server.listen(at.port, at.host, () => {
        server.off('error', reject)
        // Accepting can fail for a while (no file handles left); the listener lives on.
        server.on('error', () => {})
        resolve(listenerOf(server))
      })
    })
  },
  connect(to, signal, tls) {
    return new Promise((resolve, reject) => {
      if (signal?.aborted === true) return reject(signal.reason)
      const reading = new Reading()
      const socket =
        tls === undefined
          ? new Socket({ onread: reading.onread }).connect({ host: to.host, port: to.port })
          : secured(to, tls)
      const failed = (error: Error): void => {
        signal?.removeEventListener('abort', aborted)
        reject(error)
      }
      const aborted = (): void => {
        socket.destroy()
        failed(signal?.reason as Error)
      }
      signal?.addEventListener('abort', aborted, { once: true })
      socket.once('error', failed)
      socket.setNoDelay(true)
      socket.once(tls === undefined ? 'connect' : 'secureConnect', () => {
        signal?.removeEventListener('abort', aborted)
        socket.off('error', failed)
        if (tls !== undefined) readInto(socket, reading)
        resolve(new RealConnection(socket, reading))
      })
    })
  },
  async resolve(host) {
    if (isIP(host) !== 0) return [host]
    return (await lookup(host, { all: true })).map((found) => found.address)
  },
  request,
}

function secured(to: Address, tls: TlsClient): TLSSocket {
  const { ca, cert, key, serverName = to.host } = tls
  return connectTls({
    host: to.host,
    port: to.port,
    minVersion: 'TLSv1.2',
    // An address is no server name; the certificate is checked for it all the same.
    ...(isIP(serverName) === 0 ? { servername: serverName } : {}),
    checkServerIdentity: (_, certificate) => checkServerIdentity(serverName, certificate),
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  })
}

function securedServer(
  tls: TlsServer,
  accept: (connection: Connection) => void,
  failed: (handshake: FailedHandshake) => void = () => {},
): TlsListener {
  const server = new TlsListener({ ...serverOptions(tls), noDelay: true })
  limitHandshakes(server)
  server.on('secureConnection', (socket) => {
    if (!isWelcome(socket)) {
      failed({ host: socket.remoteAddress ?? '', why: String(socket.authorizationError), ofCertificate: true })
      return void socket.destroy()
    }
    const reading = new Reading()
    readInto(socket, reading)
    accept(new RealConnection(socket, reading, subjectOf(socket)))
  })
  // A client that speaks something else, or shows a wrong certificate.
  server.on('tlsClientError', (error, socket) => {
    const handshake = failedHandshake(error, socket)
    if (handshake !== null) failed(handshake)
    socket.destroy()
  })
  return server
}

function listenerOf(server: Server): Listener {
  const { address, port } = server.address() as AddressInfo
  return {
    at: { host: address, port },
    renew: (tls) => {
      if (server instanceof TlsListener) server.setSecureContext(contextOf(tls))
    },
    close: () =>
      new Promise((resolve) => {
        // The callback waits for open connections as well; no longer listening is all that is promised.
        server.close()
        setImmediate(resolve)
      }),
  }
}

/**
 * Where all sockets are read into. Node's own way is a fresh buffer a read, which costs more than the reading: the memory
 * is collected by marking the whole heap (see `buffer-pool.ts`). Reads are handled one after another on this thread.
 */
const shared = Buffer.allocUnsafeSlow(64 * 1024)

/** What a socket is read into, and who takes it: known to the socket before there is a handler. */
class Reading {
  /** A record of TLS may have been unpacked, with what came before it, when there is nobody yet to take it. */
  readonly early: Uint8Array[] = []
  handler: (bytes: Uint8Array) => void = (bytes) => void this.early.push(bytes.slice())
  room: () => Uint8Array | null = () => null
  readonly onread = {
    buffer: (): Uint8Array => this.room() ?? shared,
    callback: (count: number, target: Uint8Array): boolean => {
      this.handler(count === target.length ? target : target.subarray(0, count))
      return true
    },
  }
}

/**
 * A socket over the handle of the accepted one: only a new socket can be told where to read to, and a server makes its
 * own. The accepted one, which has read nothing, is left empty.
 */
function adopt(accepted: Socket): RealConnection {
  const shell = accepted as Socket & { _handle: unknown }
  const reading = new Reading()
  const { _handle: handle } = shell
  shell._handle = undefined
  accepted.destroy()
  return new RealConnection(new Socket({ handle, onread: reading.onread } as SocketConstructorOpts), reading)
}

/**
 * The same for what TLS has unpacked, record by record of 16 KB. Node has it for clients' sockets that it connects itself;
 * on any other it is three fields and a call of the handle. Where a later Node has them no more, what is unpacked comes in
 * buffers of its own.
 */
function readInto(socket: Socket, reading: Reading): void {
  const { _handle: handle } = socket as Socket & { _handle?: { useUserBuffer?: (target: Uint8Array) => void } }
  const symbols = Object.getOwnPropertySymbols(socket)
  const [buffer, callback, next] = ['kBuffer', 'kBufferCb', 'kBufferGen'].map((name) =>
    symbols.find(({ description }) => description === name),
  )
  const isThere = buffer !== undefined && callback !== undefined && next !== undefined
  if (!isThere || typeof handle?.useUserBuffer !== 'function' || socket.readableLength > 0) {
    socket.on('data', (bytes: Buffer) => reading.handler(bytes)).pause()
    return
  }
  Object.assign(socket, {
    [buffer]: shared,
    [callback]: reading.onread.callback,
    [next]: reading.onread.buffer,
  })
  handle.useUserBuffer(shared)
}

class RealConnection implements Connection {
  readonly local: Address
  readonly remote: Address
  readonly peerSubject: string | null
  readonly #socket: Socket
  readonly #reading: Reading
  #error: Error | null = null

  constructor(socket: Socket, reading: Reading, peerSubject: string | null = null) {
    this.peerSubject = peerSubject
    this.#socket = socket
    this.#reading = reading
    // Until somebody takes what comes.
    socket.pause()
    this.local = { host: socket.localAddress ?? '', port: socket.localPort ?? 0 }
    this.remote = { host: socket.remoteAddress ?? '', port: socket.remotePort ?? 0 }
    socket.on('error', (error) => (this.#error = error))
  }
  get backlogBytes(): number {
    return this.#socket.writableLength
  }
  onBytes(handler: (bytes: Uint8Array) => void, room: () => Uint8Array | null = () => null): void {
    this.#reading.handler = handler
    this.#reading.room = room
    for (const bytes of this.#reading.early.splice(0)) handler(bytes)
    this.#socket.resume()
  }
  onClose(handler: (error: Error | null) => void): void {
    this.#socket.on('close', () => handler(this.#error))
  }
  onDrain(handler: () => void): void {
    this.#socket.on('drain', handler)
  }
  write(buffers: readonly Uint8Array[], sent?: () => void): boolean {
    const socket = this.#socket
    if (socket.destroyed || socket.writableEnded) return true
    if (buffers.length > 1) socket.cork()
    let ready = !socket.writableNeedDrain
    const last = buffers.length - 1
    buffers.forEach((bytes, i) => {
      if (i < last || sent === undefined) ready = socket.write(bytes)
      else ready = socket.write(bytes, (error) => (error ? undefined : sent()))
    })
    if (buffers.length > 1) socket.uncork()
    return ready
  }
  pause(): void {
    this.#socket.pause()
  }
  resume(): void {
    this.#socket.resume()
  }
  end(): void {
    this.#socket.end()
  }
  destroy(): void {
    this.#socket.destroy()
  }
}

/**
 * The connection goes to `address` alone: it stands where the host would, so nothing is looked up, and Host header,
 * server name and certificate check keep the URL's host.
 */
function request(asked: HttpRequest, address: string, signal: AbortSignal): Promise<HttpAnswer> {
  const url = new URL(asked.url)
  const secure = url.protocol === 'https:'
  const host = url.hostname.replace(/^\[|\]$/g, '')
  const options: RequestOptions = {
    method: asked.method,
    host: address,
    port: url.port === '' ? (secure ? 443 : 80) : Number(url.port),
    path: url.pathname + url.search,
    headers: { host: url.host, 'content-length': String(asked.body.length), ...asked.headers },
    agent: false,
    signal,
    ...(secure && isIP(host) === 0 ? { servername: host } : {}),
    ...(secure ? { checkServerIdentity: (_, certificate) => checkServerIdentity(host, certificate) } : {}),
  }
  return new Promise((resolve, reject) => {
    const sent = (secure ? https : http).request(options, (answer) => {
      collect(answer, asked.answerBytesMax).then(resolve, reject)
    })
    sent.on('error', reject)
    sent.end(asked.body)
  })
}

function collect(answer: IncomingMessage, bytesMax: number): Promise<HttpAnswer> {
  return new Promise((resolve, reject) => {
    const parts: Uint8Array[] = []
    let bytes = 0
    const done = (): void => {
      const headers: Record<string, string> = Object.create(null) as Record<string, string>
      for (const [name, value] of Object.entries(answer.headers))
        headers[name] = Array.isArray(value) ? value.join(', ') : (value ?? '')
      resolve({ status: answer.statusCode ?? 0, headers, body: Buffer.concat(parts) })
    }
    answer.on('data', (part: Buffer) => {
      const kept = part.subarray(0, bytesMax - bytes)
      if (kept.length > 0) parts.push(kept)
      bytes += kept.length
      if (kept.length === part.length) return
      done()
      answer.destroy()
    })
    answer.on('end', done)
    answer.on('error', reject)
    answer.on('aborted', () => reject(new Error('the answer was cut off')))
  })
}
