/**
 * A live stream over a WebSocket (RFC 6455): the same events as server-sent events give, one a message. The handshake and
 * the frames are the library's; what is here is when to send, when to wait, and how it ends.
 */
import type { IncomingMessage } from 'node:http'
import type { Duplex } from 'node:stream'
import { type WebSocket, WebSocketServer } from 'ws'
import { Fault, asFault, faults } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Clock } from '../../../lib/world.ts'
import type { Live, LiveEvent, LiveEvents } from '../exchange.ts'
import { faultEvent, heartbeatMs, messageText } from '../live.ts'
import { problemOf } from '../problem.ts'
import { badHandshake } from './raw-answer.ts'

export const asksForWebSocket = ({ method, headers }: IncomingMessage): boolean =>
  method === 'GET' && headers.upgrade?.toLowerCase() === 'websocket'

/** A client that was told of the end has so long to say the same. */
const closeMs = 3_000

export class WebSockets {
  readonly #clock: Clock
  readonly #max: number
  readonly #counted: (open: number) => void
  readonly #server = new WebSocketServer({
    noServer: true,
    clientTracking: false,
    // Memory for each connection, and a small message that inflates to a large one.
    perMessageDeflate: false,
    maxPayload: limits.httpMessageBytes,
    // Nobody asks for one of ours: a client that offers protocols gets none, and may go.
    handleProtocols: () => false,
  })
  #open = 0

  constructor({ clock, max, counted }: { clock: Clock; max: number; counted: (open: number) => void }) {
    this.#clock = clock
    this.#max = max
    this.#counted = counted
    this.#server.on('wsClientError', (error, socket) => socket.end(badHandshake(error.message)))
  }
  /** Throws Fault http.too-many, and http.bad-request where something else is asked for. */
  admit(asked: boolean): void {
    // Node before 24.9 hands over every upgrade.
    if (!asked) throw new Fault('http.bad-request', { what: 'a connection becomes a WebSocket by GET, nothing else' })
    if (this.#open >= this.#max) throw new Fault('http.too-many', { what: 'WebSockets', max: this.#max })
  }
  /**
   * Shakes hands and sends events until they end, the signal aborts, or the client leaves: then it calls `leave`, which
   * must abort the signal.
   */
  async serve(
    { request, stream, head }: { request: IncomingMessage; stream: Duplex; head: Buffer },
    { events }: Live,
    { signal, leave }: { signal: AbortSignal; leave: () => void },
  ): Promise<void> {
    let opened: WebSocket | null = null
    // It calls before it returns, or not at all.
    this.#server.handleUpgrade(request, stream, head, (webSocket) => (opened = webSocket))
    if (opened === null) return
    this.#counted(++this.#open)
    try {
      await new Sender(opened, stream, this.#clock).run(events, signal, leave)
    } finally {
      this.#counted(--this.#open)
    }
  }
}

class Sender {
  readonly #webSocket: WebSocket
  readonly #socket: Duplex
  readonly #clock: Clock
  readonly #closed: Promise<void>
  /** Why we end it, when the client gave the reason. */
  #refused: Fault | null = null
  #pongMissing = 0

  constructor(webSocket: WebSocket, socket: Duplex, clock: Clock) {
    this.#webSocket = webSocket
    this.#socket = socket
    this.#clock = clock
    this.#closed = new Promise((resolve) => webSocket.on('close', () => resolve()))
    // Frames that break the protocol or a limit: the library has answered with the close code, 'close' follows.
    webSocket.on('error', () => {})
    webSocket.on('pong', () => (this.#pongMissing = 0))
  }

  async run(events: LiveEvents, signal: AbortSignal, leave: () => void): Promise<void> {
    this.#webSocket.on('close', leave)
    this.#webSocket.on('message', () => {
      this.#refused = new Fault('http.unsupported-body', { what: 'a message of the client', takes: 'none' })
      leave()
    })
    const cancel = this.#beat()
    try {
      for await (const piece of events) if (!(await this.#send(piece))) break
      if (signal.aborted) this.#end(this.#refused ?? asFault(signal.reason))
      else {
        await this.#send({ event: 'end' })
        this.#webSocket.close(1000)
      }
    } catch (error) {
      this.#end(this.#refused ?? (signal.aborted ? asFault(signal.reason) : asFault(error)))
    }
    cancel()
    const cut = this.#clock.after(closeMs, () => this.#webSocket.terminate())
    await this.#closed
    cut()
  }
  /** The last word is why; the code says it to who looks at no messages. */
  #end(fault: Fault): void {
    if (this.#webSocket.readyState !== this.#webSocket.OPEN) return
    this.#webSocket.send(messageText(faultEvent(problemOf(fault))))
    this.#webSocket.close(closeCode(fault), fault.code)
  }
  /** Asks for a sign of life; a client that gives none for too long is cut off. Returns how to stop. */
  #beat(): () => void {
    let cancel = (): void => {}
    const next = (): void => {
      cancel = this.#clock.after(heartbeatMs, () => {
        if (this.#pongMissing * heartbeatMs >= limits.httpStalledMs) return this.#webSocket.terminate()
        this.#pongMissing++
        this.#webSocket.ping()
        next()
      })
    }
    next()
    return () => cancel()
  }

  /** False when the client is gone. Comes back when the client's kernel has taken all of it: nothing is read ahead. */
  async #send(piece: LiveEvent | readonly LiveEvent[]): Promise<boolean> {
    const messages = ('length' in piece ? piece : [piece]).map(messageText)
    this.#socket.cork()
    for (const message of messages) this.#webSocket.send(message)
    this.#socket.uncork()
    if (this.#socket.writableNeedDrain) await this.#taken()
    return this.#webSocket.readyState === this.#webSocket.OPEN
  }
  async #taken(): Promise<void> {
    const cancel = this.#clock.after(limits.httpStalledMs, () => this.#webSocket.terminate())
    const drained = Promise.withResolvers<void>()
    const done = (): void => drained.resolve()
    this.#socket.once('drain', done)
    await Promise.race([this.#closed, drained.promise])
    this.#socket.off('drain', done)
    cancel()
  }
}

/** The codes that RFC 6455 and its registry have, else 4000 and the fault's HTTP status. */
function closeCode({ code, retry }: Fault): number {
  if (code === 'log.closed') return 1001
  if (code === 'http.unsupported-body') return 1003
  if (retry) return 1013
  const { http } = faults[code]
  return http >= 500 ? 1011 : 4000 + http
}
