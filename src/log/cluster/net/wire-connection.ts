/**
 * One connection to a broker: requests out, answers in, in order. A broker works on one request of a connection at a time,
 * so what waits there (a fetch, a join) has a connection of its own (`broker.ts`). When an answer does not come in time the
 * connection is given up: what was asked on it is unknown.
 */
import { Fault, asFault } from '../../../lib/fault.ts'
import type { Clock, Connection } from '../../../lib/world.ts'
import { codecOf } from '../../../wire/kafka/codec/compile.ts'
import type { AnyShape, Api, Decoded, Encoded } from '../../../wire/kafka/codec/shape.ts'
import { WireReader, WireWriter } from '../../../wire/kafka/codec/wire.ts'
import { isFlexible, readResponseHead, writeRequestHead } from '../../../wire/kafka/header.ts'
import { AnswerFrames } from './frames.ts'

/** The connection ended, or was given up. Whether the broker did what it was asked is not known. */
export class Disconnected extends Error {
  constructor(why: string, cause?: unknown) {
    super(why, cause === undefined ? undefined : { cause })
    this.name = 'Disconnected'
  }
}

interface Pending {
  readonly api: Api
  readonly version: number
  readonly correlationId: number
  readonly resolve: (answer: unknown) => void
  readonly reject: (error: Error) => void
  readonly cancelTimer: () => void
}
const clientId = 'millrace'

export class WireConnection {
  readonly #clock: Clock
  readonly #connection: Connection
  readonly #pending: Pending[] = []
  readonly #frames = new AnswerFrames()
  #correlationId = 0
  #ended: Disconnected | null = null
  #drained: { readonly promise: Promise<void>; readonly resolve: () => void } | null = null
  /** Until when the broker takes it, by the monotonic clock. */
  expiresMs = Infinity

  constructor(clock: Clock, connection: Connection) {
    this.#clock = clock
    this.#connection = connection
    connection.onBytes((bytes) => this.#take(bytes))
    connection.onClose((error) =>
      this.#end(new Disconnected(error?.message ?? 'the broker closed the connection', error)),
    )
    connection.onDrain(() => {
      this.#drained?.resolve()
      this.#drained = null
    })
  }
  get isOpen(): boolean {
    return this.#ended === null
  }
  get isIdle(): boolean {
    return this.#pending.length === 0
  }

  /** Throws Disconnected, or the Fault of an answer that cannot be read (then the connection is given up). */
  async ask<Q extends AnyShape, A extends AnyShape>(
    api: Api<Q, A>,
    version: number,
    request: Encoded<Q>,
    withinMs: number,
  ): Promise<Decoded<A>> {
    await this.#drained?.promise
    if (this.#ended !== null) throw new Disconnected(this.#ended.message, this.#ended)
    const correlationId = this.#correlationId++
    const pieces = frameOf(api, version, correlationId, request)
    return new Promise<unknown>((resolve, reject) => {
      const cancelTimer = this.#clock.after(withinMs, () =>
        this.#giveUp(new Disconnected(`${api.name} was not answered within ${withinMs} ms`)),
      )
      this.#pending.push({ api, version, correlationId, resolve, reject, cancelTimer })
      if (this.#connection.write(pieces)) return
      const { promise, resolve: drained } = Promise.withResolvers<void>()
      this.#drained ??= { promise, resolve: drained }
    }) as Promise<Decoded<A>>
  }
  close(): void {
    this.#giveUp(new Disconnected('the connection was closed here'))
  }

  #take(bytes: Uint8Array): void {
    if (this.#ended !== null) return
    try {
      this.#frames.push(bytes, (frame) => this.#answer(frame))
    } catch (error) {
      const fault = asFault(error)
      this.#giveUp(new Disconnected(fault.message, fault))
    }
  }
  #answer(frame: Buffer): void {
    const pending = this.#pending.shift()
    if (pending === undefined) throw new Fault('wire.malformed', { what: 'an answer that nobody asked for' })
    const { api, version, correlationId, cancelTimer } = pending
    cancelTimer()
    try {
      const input = new WireReader(frame)
      const found = readResponseHead(input, api, version)
      if (found !== correlationId)
        throw new Fault('wire.malformed', { what: `answer ${found} where ${correlationId} is due` })
      pending.resolve(codecOf(api.response, version, isFlexible(api, version)).decode(input))
    } catch (error) {
      pending.reject(asFault(error))
      throw error
    }
  }
  #giveUp(why: Disconnected): void {
    this.#end(why)
    this.#connection.destroy()
  }
  #end(why: Disconnected): void {
    if (this.#ended !== null) return
    this.#ended = why
    this.#drained?.resolve()
    for (const { reject, cancelTimer } of this.#pending.splice(0)) {
      cancelTimer()
      reject(why)
    }
  }
}

function frameOf<Q extends AnyShape, A extends AnyShape>(
  api: Api<Q, A>,
  version: number,
  correlationId: number,
  request: Encoded<Q>,
): readonly Uint8Array[] {
  const out = new WireWriter()
  const setLength = out.placeInt32()
  writeRequestHead(out, api as Api, version, correlationId, clientId)
  codecOf(api.request, version, isFlexible(api as Api, version)).encode(request, out)
  setLength(out.written - 4)
  return out.take()
}
