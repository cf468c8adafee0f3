/**
 * A broker and our connections to it. `quick` shares one for what is answered at once, `produce` and `commit` one each for
 * what waits for replicas; a lane is for one caller alone, whose request may wait long (fetch, join), and is used again
 * when it is given back.
 */
import { Fault } from '../../../lib/fault.ts'
import type { Address } from '../../../lib/world.ts'
import type { AnyShape, Api, Decoded, Encoded } from '../../../wire/kafka/codec/shape.ts'
import type { ClusterSettings } from '../settings.ts'
import { agreeOnVersions, authenticate } from './handshake.ts'
import type { Versions } from './versions.ts'
import { Disconnected, WireConnection } from './wire-connection.ts'

export type Purpose = 'quick' | 'produce' | 'commit'
const askMs = 30_000
const connectMs = 10_000
/** Lanes kept for the next caller. */
const idleLanesMax = 8
/** After a failed attempt nobody tries for this long: a broker that is down must not be asked a thousand times a second. */
const pauseMs = { first: 20, most: 500 } as const

/** A way to ask, whatever the connection. */
export interface Asking {
  ask<Q extends AnyShape, A extends AnyShape>(
    api: Api<Q, A>,
    request: Encoded<Q>,
    withinMs?: number,
  ): Promise<Decoded<A>>
}
export interface Lane extends Asking {
  /** Given back, once. With an answer on its way the connection is closed. */
  release(): void
}
interface Ready {
  readonly connection: WireConnection
  readonly versions: Versions
}

export class Broker {
  readonly id: number
  readonly address: Address
  readonly #settings: ClusterSettings
  readonly #shared = new Map<Purpose, Promise<Ready>>()
  readonly #open = new Set<WireConnection>()
  readonly #lanes: Ready[] = []
  #failures = 0
  #pausedUntilMs = -Infinity
  #closed = false

  constructor(id: number, address: Address, settings: ClusterSettings) {
    this.id = id
    this.address = address
    this.#settings = settings
  }

  /** Throws Disconnected, or a Fault (cluster.authentication-failed, cluster.too-old, wire.malformed). */
  async ask<Q extends AnyShape, A extends AnyShape>(
    purpose: Purpose,
    api: Api<Q, A>,
    request: Encoded<Q>,
    withinMs = askMs,
  ): Promise<Decoded<A>> {
    return askOn(await this.#sharedFor(purpose), api, request, withinMs)
  }
  /** What it speaks. */
  async versions(): Promise<Versions> {
    return (await this.#sharedFor('quick')).versions
  }
  async lane(): Promise<Lane> {
    const ready = this.#idleLane() ?? (await this.#connect())
    let held = true
    return {
      ask: (api, request, withinMs = askMs) => askOn(ready, api, request, withinMs),
      release: () => {
        if (held) this.#giveBack(ready)
        held = false
      },
    }
  }
  #idleLane(): Ready | null {
    for (let ready = this.#lanes.pop(); ready !== undefined; ready = this.#lanes.pop())
      if (this.#isGood(ready)) return ready
    return null
  }
  #giveBack(ready: Ready): void {
    const { connection } = ready
    if (connection.isIdle && this.#isGood(ready) && this.#lanes.length < idleLanesMax) this.#lanes.push(ready)
    else connection.close()
  }
  #isGood({ connection }: Ready): boolean {
    return connection.isOpen && !this.#closed && this.#settings.world.clock.monotonic() < connection.expiresMs
  }

  async #sharedFor(purpose: Purpose): Promise<Ready> {
    for (;;) {
      const known = this.#shared.get(purpose)
      if (known === undefined) break
      const ready = await known
      if (this.#isGood(ready)) return ready
      // What is under way on an expired one comes to its end there.
      if (this.#shared.get(purpose) === known) this.#shared.delete(purpose)
    }
    const opening = this.#connect()
    this.#shared.set(purpose, opening)
    opening.catch(() => {
      if (this.#shared.get(purpose) === opening) this.#shared.delete(purpose)
    })
    return opening
  }
  async #connect(): Promise<Ready> {
    const { world, tls, sasl } = this.#settings
    const { clock } = world
    const waitMs = this.#pausedUntilMs - clock.monotonic()
    if (waitMs > 0) await clock.sleep(waitMs)
    if (this.#closed) throw new Fault('log.closed', { what: 'the log' })
    const late = new AbortController()
    const cancel = clock.after(connectMs, () => late.abort(new Error(`no connection within ${connectMs} ms`)))
    let connection: WireConnection | null = null
    try {
      const socket = await world.net.connect(this.address, late.signal, tls)
      connection = new WireConnection(clock, socket)
      const opened = connection
      this.#open.add(opened)
      const versions = await agreeOnVersions(opened)
      if (sasl !== undefined) {
        const lifetimeMs = await authenticate(opened, versions, sasl, world.random)
        // Kafka closes it at the end of its life; a new one is made before.
        if (lifetimeMs > 0) opened.expiresMs = clock.monotonic() + lifetimeMs * 0.8
      }
      this.#failures = 0
      return { connection: opened, versions }
    } catch (error) {
      connection?.close()
      const backoffMs = Math.min(pauseMs.most, pauseMs.first * 2 ** this.#failures++)
      this.#pausedUntilMs = clock.monotonic() + backoffMs
      if (error instanceof Fault || error instanceof Disconnected) throw error
      throw new Disconnected(error instanceof Error ? error.message : String(error), error)
    } finally {
      cancel()
      this.#forgetClosed()
      if (this.#closed) connection?.close()
    }
  }
  #forgetClosed(): void {
    for (const connection of this.#open) if (!connection.isOpen) this.#open.delete(connection)
  }
  close(): void {
    this.#closed = true
    for (const connection of this.#open) connection.close()
  }
}

function askOn<Q extends AnyShape, A extends AnyShape>(
  { connection, versions }: Ready,
  api: Api<Q, A>,
  request: Encoded<Q>,
  withinMs: number,
): Promise<Decoded<A>> {
  return connection.ask(api, versions.of(api as Api), request, withinMs)
}
