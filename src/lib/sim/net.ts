/**
 * A network inside the process: every write arrives after a while, in pieces of any size, in order, unless the connection
 * is cut first. A peer that pauses makes the writer's backlog grow. Nothing is encrypted: TLS is tested on the real one.
 */
import type { Address, Clock, Connection, HttpAnswer, HttpRequest, Listener, Net, TlsServer } from '../world.ts'
import type { SeededRandom } from './random.ts'

const windowBytes = 64 * 1024
const firstFreePort = 49_152

type Accept = (connection: Connection) => void
export type HttpHandler = (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>

export interface SimNetOptions {
  readonly delayMsMax?: number
}

export class SimNet implements Net {
  /** Names that resolve to something else than 127.0.0.1. */
  readonly names = new Map<string, string[]>()
  readonly #clock: Clock
  readonly #random: SeededRandom
  readonly #note: (text: string) => void
  readonly #delayMsMax: number
  readonly #listeners = new Map<string, Accept>()
  readonly #web = new Map<string, HttpHandler>()
  readonly #connections = new Set<SimConnection>()
  #nextPort = firstFreePort

  constructor(
    world: { clock: Clock; random: SeededRandom; note: (text: string) => void },
    options: SimNetOptions = {},
  ) {
    this.#clock = world.clock
    this.#random = world.random
    this.#note = world.note
    this.#delayMsMax = options.delayMsMax ?? 1
  }
  async listen(at: Address, accept: Accept, tls?: TlsServer): Promise<Listener> {
    if (tls !== undefined) throw noTls()
    const address = { host: at.host, port: at.port === 0 ? this.#nextPort++ : at.port }
    if (this.#listeners.has(nameOf(address))) throw netError('EADDRINUSE', address)
    this.#listeners.set(nameOf(address), accept)
    return {
      at: address,
      renew: () => {
        throw noTls()
      },
      close: async () => {
        if (this.#listeners.get(nameOf(address)) === accept) this.#listeners.delete(nameOf(address))
      },
    }
  }
  async connect(to: Address, signal?: AbortSignal): Promise<Connection> {
    await this.#clock.sleep(this.delayMs(), signal)
    const accept = this.#listeners.get(nameOf(to))
    if (accept === undefined) throw netError('ECONNREFUSED', to)
    const from = { host: '127.0.0.1', port: this.#nextPort++ }
    const wire = {
      clock: this.#clock,
      random: this.#random,
      delayMs: () => this.delayMs(),
      closed: (end: SimConnection) => void this.#connections.delete(end),
    }
    const near = new SimConnection(wire, from, to)
    const far = new SimConnection(wire, to, from)
    near.join(far)
    this.#connections.add(near).add(far)
    this.#note(`connect ${nameOf(from)} → ${nameOf(to)}`)
    accept(far)
    return near
  }
  async resolve(host: string): Promise<string[]> {
    if (/^[\d.]+$|:/.test(host)) return [host]
    return this.names.get(host) ?? ['127.0.0.1']
  }
  async request(request: HttpRequest, address: string, signal: AbortSignal): Promise<HttpAnswer> {
    await this.#clock.sleep(this.delayMs(), signal)
    const url = new URL(request.url)
    const port = url.port === '' ? (url.protocol === 'https:' ? 443 : 80) : Number(url.port)
    const at = { host: address, port }
    const handler = this.#web.get(nameOf(at))
    if (handler === undefined) throw netError('ECONNREFUSED', at)
    this.#note(`${request.method} ${request.url} at ${address}`)
    const answer = await handler(request)
    await this.#clock.sleep(this.delayMs(), signal)
    return { ...answer, body: answer.body.subarray(0, request.answerBytesMax) }
  }

  /** Answers HTTP requests to an address, until the returned function is called. */
  serveHttp(at: Address, handler: HttpHandler): () => void {
    this.#web.set(nameOf(at), handler)
    return () => void this.#web.delete(nameOf(at))
  }
  get connections(): readonly Connection[] {
    return [...this.#connections]
  }
  /** Breaks connections (all, or those chosen): both ends hear ECONNRESET, what was under way is lost. */
  cut(which: (connection: Connection) => boolean = () => true): void {
    for (const connection of [...this.#connections]) if (which(connection)) connection.reset()
  }
  /** The process died: nobody listens any more, nobody is told. */
  forgetAll(): void {
    this.#listeners.clear()
    this.#web.clear()
    this.#connections.clear()
  }
  delayMs(): number {
    return this.#random.fraction() * this.#delayMsMax
  }
}

const noTls = (): Error => new Error('the simulated network has no TLS')
const nameOf = (address: Address): string => `${address.host}:${address.port}`
const netError = (code: string, address: Address): Error =>
  Object.assign(new Error(`${code}: ${nameOf(address)}`), { code })

interface Wire {
  readonly clock: Clock
  readonly random: SeededRandom
  delayMs(): number
  closed(end: SimConnection): void
}

class SimConnection implements Connection {
  readonly local: Address
  readonly remote: Address
  readonly peerSubject = null
  readonly #wire: Wire
  #peer: SimConnection | null = null
  #handlers: {
    bytes?: (bytes: Uint8Array) => void
    room?: () => Uint8Array | null
    close?: (error: Error | null) => void
    drain?: () => void
  } = {}
  /** Written here, not yet delivered there: the writer's own bytes until the first of them are on their way. */
  #outgoing: Uint8Array[] = []
  #sent: (() => void)[] = []
  #backlogBytes = 0
  #isDelivering = false
  #isPaused = false
  #isEnding = false
  #isClosed = false
  #wantsDrain = false

  constructor(wire: Wire, local: Address, remote: Address) {
    this.#wire = wire
    this.local = local
    this.remote = remote
  }
  join(peer: SimConnection): void {
    this.#peer = peer
    peer.#peer = this
  }
  get backlogBytes(): number {
    return this.#backlogBytes
  }
  onBytes(handler: (bytes: Uint8Array) => void, room: () => Uint8Array | null = () => null): void {
    this.#handlers.bytes = handler
    this.#handlers.room = room
  }
  onClose(handler: (error: Error | null) => void): void {
    this.#handlers.close = handler
  }
  onDrain(handler: () => void): void {
    this.#handlers.drain = handler
  }
  write(buffers: readonly Uint8Array[], sent?: () => void): boolean {
    if (this.#isClosed || this.#isEnding) return true
    for (const bytes of buffers) {
      this.#outgoing.push(bytes)
      this.#backlogBytes += bytes.length
    }
    if (sent !== undefined) this.#sent.push(sent)
    this.#deliver()
    if (this.#backlogBytes <= windowBytes) return true
    this.#wantsDrain = true
    return false
  }
  pause(): void {
    this.#isPaused = true
  }
  resume(): void {
    if (!this.#isPaused) return
    this.#isPaused = false
    this.#peer!.#deliver()
  }
  end(): void {
    this.#isEnding = true
    this.#deliver()
  }
  destroy(): void {
    this.#close(null)
    const peer = this.#peer!
    this.#wire.clock.after(this.#wire.delayMs(), () => peer.#close(null))
  }
  reset(): void {
    for (const end of [this, this.#peer!])
      end.#close(Object.assign(new Error('ECONNRESET: the connection was cut'), { code: 'ECONNRESET' }))
  }
  #deliver(): void {
    if (this.#isDelivering || this.#isClosed || this.#peer === null || this.#peer.#isPaused) return
    if (this.#outgoing.length === 0 && !this.#isEnding) return
    this.#isDelivering = true
    this.#wire.clock.after(this.#wire.delayMs(), () => {
      this.#isDelivering = false
      if (this.#isClosed || this.#peer === null || this.#peer.#isPaused) return
      const piece = this.#nextPiece()
      if (piece === null) return this.#finish()
      this.#backlogBytes -= piece.length
      this.#peer.#take(piece)
      for (const sent of this.#sent.splice(0)) sent()
      if (this.#wantsDrain && this.#backlogBytes <= windowBytes / 4) {
        this.#wantsDrain = false
        this.#handlers.drain?.()
      }
      this.#deliver()
    })
  }
  /** Into the handler's own room as far as that goes, as a socket does. */
  #take(piece: Buffer): void {
    for (let at = 0; at < piece.length && !this.#isClosed;) {
      const room = this.#handlers.room?.() ?? null
      const part = piece.subarray(at, at + (room?.length ?? piece.length))
      room?.set(part)
      this.#handlers.bytes?.(room === null ? part : room.subarray(0, part.length))
      // What is read into for the next connection.
      part.fill(0xdb)
      at += part.length
    }
  }
  /** Some bytes from the front, cut anywhere. */
  #nextPiece(): Buffer | null {
    if (this.#outgoing.length === 0) return null
    const all = Buffer.concat(this.#outgoing)
    const isWhole = this.#wire.random.chance(0.7)
    const bytes = isWhole ? all.length : this.#wire.random.between(1, Math.max(1, Math.min(all.length, windowBytes)))
    this.#outgoing = bytes === all.length ? [] : [all.subarray(bytes)]
    return all.subarray(0, bytes)
  }
  #finish(): void {
    if (!this.#isEnding) return
    this.#close(null)
    this.#peer!.#close(null)
  }
  #close(error: Error | null): void {
    if (this.#isClosed) return
    this.#isClosed = true
    this.#outgoing = []
    this.#sent = []
    this.#backlogBytes = 0
    this.#wire.closed(this)
    this.#handlers.close?.(error)
  }
}
