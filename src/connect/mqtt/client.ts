/**
 * A client of MQTT 3.1.1 and 5 that leaves it to its owner when a message is acknowledged: the usual clients acknowledge one
 * after another before the next is looked at, so that a window of messages cannot become durable together. It takes every QoS and
 * publishes with QoS 1.
 */
import { Fault } from '../../lib/fault.ts'
import type { Address, Clock, Connection, TlsClient, World } from '../../lib/world.ts'
import {
  type Answer,
  type Connack,
  readAnswer,
  writeConnect,
  writeGoodbye,
  writePingreq,
  writeSubscribe,
  writeUnsubscribe,
} from '../../wire/mqtt/client-packets.ts'
import { FrameReader } from '../../wire/mqtt/frames.ts'
import { type Ack, type Publish, writeAck, writePublish } from '../../wire/mqtt/packets.ts'
import type { Properties } from '../../wire/mqtt/properties.ts'
import { PacketReader } from '../../wire/mqtt/reader.ts'
import { MqttError, reason } from '../../wire/mqtt/reason.ts'
import { PacketWriter } from '../../wire/mqtt/writer.ts'

export interface ClientOptions {
  readonly world: World
  readonly at: Address
  readonly tls: TlsClient | null
  readonly version: 4 | 5
  readonly clientId: string
  readonly clean: boolean
  readonly userName: string | null
  readonly password: string | null
  readonly keepAliveMs: number
  readonly sessionExpiryS: number
  /** Of both directions. */
  readonly inFlight: number
  /** Closes it, also while it is being opened. */
  readonly signal: AbortSignal
  /** A message came: a view, only valid during the call. */
  readonly took: (publish: Publish) => void
  /** The sender's end of QoS 2: the message of this identifier comes no more. */
  readonly released?: (id: number) => void
  readonly ended?: () => void
}

const packetBytesMax = 64 * 1024 * 1024
const packetLimits = { userProperties: 1_000, filters: 0 }
const answerMs = 30_000
const connectMs = 10_000
/** More than this on its way out: whoever publishes waits. */
const backlogBytesMax = 4 * 1024 * 1024

const away = (what: string, why: string): Fault => new Fault('connect.unavailable', { what, why })
const refused = (what: string, why: string): Fault => new Fault('connect.refused', { what, why })

/** Throws Fault connect.unavailable, connect.refused. */
export async function openClient(options: ClientOptions): Promise<MqttClient> {
  const { world, at, tls, signal } = options
  const what = `connecting to ${at.host}:${at.port}`
  const late = new AbortController()
  const cancel = world.clock.after(connectMs, () => late.abort(new Error(`no connection within ${connectMs} ms`)))
  let connection: Connection
  try {
    connection = await world.net.connect(at, AbortSignal.any([late.signal, signal]), tls ?? undefined)
  } catch (error) {
    signal.throwIfAborted()
    throw away(what, error instanceof Error ? error.message : String(error))
  } finally {
    cancel()
  }
  const client = new MqttClient(options, connection)
  await client.begin()
  return client
}

interface Waiting {
  readonly resolve: (answer: Answer) => void
  readonly reject: (fault: Fault) => void
}

export class MqttClient {
  sessionPresent = false
  readonly #options: ClientOptions
  readonly #clock: Clock
  readonly #connection: Connection
  readonly #out = new PacketWriter()
  readonly #frames = new FrameReader(packetBytesMax)
  /** By packet identifier; 0: CONNACK. */
  readonly #waiting = new Map<number, Waiting>()
  #nextId = 1
  #window: number
  #roomWanted: (() => void)[] = []
  #ended: Fault | null = null
  #heardMs: number
  #cancelPing: () => void = () => {}
  #isFlushing = false

  constructor(options: ClientOptions, connection: Connection) {
    this.#options = options
    this.#clock = options.world.clock
    this.#connection = connection
    this.#window = options.inFlight
    this.#heardMs = this.#clock.monotonic()
    connection.onBytes((bytes) => this.#take(bytes))
    connection.onClose((error) => this.#end(away('the connection', error?.message ?? 'the broker closed it')))
    connection.onDrain(() => this.#room())
    options.signal.addEventListener('abort', () => this.#end(new Fault('log.closed', { what: 'the connector' })), {
      once: true,
    })
  }
  async begin(): Promise<void> {
    const { version, clientId, clean, keepAliveMs, userName, password, sessionExpiryS, inFlight } = this.#options
    const properties: Properties = { sessionExpiryS, receiveMaximum: inFlight, maximumPacketBytes: packetBytesMax }
    const keepAliveS = Math.round(keepAliveMs / 1_000)
    writeConnect(this.#out, { version, clientId, clean, keepAliveS, userName, password, properties })
    const connack = (await this.#ask(0, 'logging in')) as Connack
    if (connack.code !== 0) {
      const fault = connackFault(version, connack)
      this.#end(fault)
      throw fault
    }
    this.sessionPresent = connack.sessionPresent
    const { receiveMaximum = 65_535, serverKeepAliveS } = connack.properties ?? {}
    this.#window = Math.min(inFlight, receiveMaximum)
    this.#keepAlive((serverKeepAliveS ?? keepAliveS) * 1_000)
  }
  /** Why the connection has ended; null: it stands. */
  get ended(): Fault | null {
    return this.#ended
  }
  pause(): void {
    this.#connection.pause()
  }
  resume(): void {
    this.#connection.resume()
  }

  /** Throws Fault connect.refused. */
  async subscribe(filters: readonly string[], qos: 1 | 2): Promise<void> {
    const id = this.#freeId()
    const asked = filters.map((filter) => ({
      filter,
      qos,
      noLocal: false,
      retainAsPublished: true,
      // What is kept of a topic comes once, not with each start.
      retainHandling: 1,
    }))
    writeSubscribe(this.#out, this.#options.version, id, asked)
    const answer = await this.#ask(id, 'subscribing')
    if (answer.type !== 'suback') throw refused('subscribing', 'the broker answers with another packet')
    filters.forEach((filter, i) => {
      const code = answer.codes[i] ?? reason.unspecified
      if (code >= reason.unspecified) throw refused(`subscribing to ${filter}`, reasonText(code))
    })
  }
  async unsubscribe(filters: readonly string[]): Promise<void> {
    const id = this.#freeId()
    writeUnsubscribe(this.#out, this.#options.version, id, filters)
    await this.#ask(id, 'unsubscribing')
  }
  /** What it holds is durable. */
  acknowledge(type: 'puback' | 'pubrec' | 'pubcomp', id: number): void {
    if (this.#ended !== null) return
    writeAck(this.#out, this.#options.version, { type, id, reason: reason.success })
    this.#flush()
  }
  /** Resolves when one more may be published. */
  async room(): Promise<void> {
    while (this.#waiting.size >= this.#window || this.#connection.backlogBytes > backlogBytesMax) {
      if (this.#ended !== null) throw this.#ended
      await new Promise<void>((resolve) => this.#roomWanted.push(resolve))
    }
  }
  /** With QoS 1, in the order of the calls: resolves when the broker has it; the reason where it does not take it. */
  async publish(topic: string, payload: Uint8Array, retain: boolean, properties: Properties | null): Promise<number> {
    const id = this.#freeId()
    writePublish(this.#out, this.#options.version, {
      ...{ type: 'publish', topic, payload, qos: 1, retain, isDuplicate: false, id, properties },
    })
    return ((await this.#ask(id, 'publishing')) as Ack).reason
  }
  /** In good order. */
  close(): void {
    if (this.#ended === null) {
      writeGoodbye(this.#out)
      this.#connection.write([this.#out.take()])
    }
    this.#end(new Fault('log.closed', { what: 'the connector' }))
  }

  #freeId(): number {
    for (;;) {
      const id = this.#nextId
      this.#nextId = (id % 65_535) + 1
      if (!this.#waiting.has(id)) return id
    }
  }
  #ask(id: number, what: string): Promise<Answer> {
    if (this.#ended !== null) return Promise.reject(this.#ended)
    return new Promise<Answer>((resolve, reject) => {
      const cancel = this.#clock.after(answerMs, () => this.#end(away(what, `no answer within ${answerMs} ms`)))
      this.#waiting.set(id, {
        resolve: (answer) => {
          cancel()
          resolve(answer)
        },
        reject: (fault) => {
          cancel()
          reject(fault)
        },
      })
      this.#flush()
    })
  }
  /** What is written in one turn goes out in one piece. */
  #flush(): void {
    if (this.#isFlushing) return
    this.#isFlushing = true
    this.#clock.soon(() => {
      this.#isFlushing = false
      if (this.#ended === null && this.#out.at > 0) this.#connection.write([this.#out.take()])
    })
  }
  #take(bytes: Uint8Array): void {
    this.#heardMs = this.#clock.monotonic()
    try {
      this.#frames.feed(
        bytes,
        (first, buffer, from, to) => {
          const { version } = this.#options
          this.#answered(readAnswer(first, new PacketReader(buffer, from, to), version, packetLimits))
        },
        () => this.#ended === null,
      )
    } catch (error) {
      const isTheirs = error instanceof MqttError
      this.#end(away('reading from the broker', isTheirs ? error.message : `it failed: ${String(error)}`))
    }
  }
  #answered(answer: Answer): void {
    switch (answer.type) {
      case 'publish':
        this.#options.took(answer)
        return
      case 'pubrel':
        this.#options.released?.(answer.id)
        return
      case 'disconnect':
        this.#end(away('the connection', `the broker ended it: ${reasonText(answer.reason)}`))
        return
      case 'pingresp':
        return
      case 'connack':
        return this.#settle(0, answer)
      default:
        return this.#settle(answer.id, answer)
    }
  }
  #settle(id: number, answer: Answer): void {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    waiting?.resolve(answer)
    this.#room()
  }
  #room(): void {
    for (const call of this.#roomWanted.splice(0)) call()
  }
  #keepAlive(ms: number): void {
    if (ms === 0 || this.#ended !== null) return
    this.#cancelPing = this.#clock.after(ms / 2, () => {
      if (this.#clock.monotonic() - this.#heardMs > ms)
        return this.#end(away('the connection', `the broker was silent for ${ms} ms`))
      writePingreq(this.#out)
      this.#flush()
      this.#keepAlive(ms)
    })
  }
  #end(fault: Fault): void {
    if (this.#ended !== null) return
    this.#ended = fault
    this.#cancelPing()
    if (fault.code === 'log.closed') this.#connection.end()
    else this.#connection.destroy()
    for (const { reject } of this.#waiting.values()) reject(fault)
    this.#waiting.clear()
    this.#room()
    this.#options.ended?.()
  }
}

/** Of what an attempt again cannot mend. */
const lasting: ReadonlySet<number> = new Set([
  reason.unsupportedVersion,
  reason.clientIdNotValid,
  reason.badUserOrPassword,
  reason.notAuthorized,
  reason.badAuthenticationMethod,
])
function connackFault(version: 4 | 5, { code, properties }: Connack): Fault {
  if (version === 4) {
    const why = ['', 'the version', 'the client id', 'it is unavailable', 'the name or password', 'not authorized'][
      code
    ]
    return (code === 3 ? away : refused)('logging in', `the broker refuses it: ${why ?? `code ${code}`}`)
  }
  const why = `the broker refuses it: ${reasonText(code)}${properties?.reasonString === undefined ? '' : ` (${properties.reasonString})`}`
  return (lasting.has(code) ? refused : away)('logging in', why)
}
const names = new Map(Object.entries(reason).map(([name, code]) => [code as number, name]))
/** `notAuthorized` as words. */
export const reasonText = (code: number): string =>
  (names.get(code) ?? `reason ${code}`).replaceAll(/[A-Z]/g, (letter) => ` ${letter.toLowerCase()}`)
