/**
 * The brokers of the cluster, and asking until there is an answer. Whoever asks through here waits out what passes (a
 * broker that is gone, a leader on its way) with growing pauses, until it is done, a deadline, or the log is closed.
 */
import { Fault } from '../../../lib/fault.ts'
import type { Address, Clock } from '../../../lib/world.ts'
import type { AnyShape, Api, Decoded, Encoded } from '../../../wire/kafka/codec/shape.ts'
import type { ClusterSettings } from '../settings.ts'
import { Broker } from './broker.ts'
import { Disconnected } from './wire-connection.ts'

export interface BrokerPlace {
  readonly nodeId: number
  readonly host: string
  readonly port: number
}
/** How long it is asked again before the caller hears that the cluster does not answer. */
export const patienceMs = 30_000
const pauseMs = { first: 10, most: 500 } as const

/** Pauses that grow, up to a deadline. */
export class Patience {
  readonly #clock: Clock
  readonly #signal: AbortSignal
  readonly #deadlineMs: number
  #next: number = pauseMs.first

  constructor(clock: Clock, signal: AbortSignal, withinMs: number) {
    this.#clock = clock
    this.#signal = signal
    this.#deadlineMs = clock.monotonic() + withinMs
  }
  /** False when it is over. Throws Fault log.closed. */
  async wait(): Promise<boolean> {
    if (this.#signal.aborted) throw closedFault()
    const leftMs = this.#deadlineMs - this.#clock.monotonic()
    if (leftMs <= 0) return false
    const ms = Math.min(this.#next, leftMs)
    this.#next = Math.min(this.#next * 2, pauseMs.most)
    try {
      await this.#clock.sleep(ms, this.#signal)
    } catch {
      throw closedFault()
    }
    return true
  }
}
export const closedFault = (): Fault => new Fault('log.closed', { what: 'the log' })

export class Network {
  readonly settings: ClusterSettings
  readonly #stop = new AbortController()
  readonly #seeds: readonly Broker[]
  readonly #brokers = new Map<number, Broker>()
  #turn: number

  constructor(settings: ClusterSettings) {
    this.settings = settings
    this.#seeds = settings.brokers.map((address) => new Broker(-1, address, settings))
    this.#turn = Math.floor(settings.world.random.fraction() * 1_000)
  }
  get clock(): Clock {
    return this.settings.world.clock
  }
  /** Aborted when the log is closed. */
  get closing(): AbortSignal {
    return this.#stop.signal
  }
  patience(withinMs = patienceMs): Patience {
    return new Patience(this.clock, this.closing, withinMs)
  }

  /** What metadata says of brokers now. */
  learn(places: readonly BrokerPlace[]): void {
    if (places.length === 0) return
    const now = new Set(places.map(({ nodeId }) => nodeId))
    for (const [id, broker] of this.#brokers)
      if (!now.has(id)) {
        broker.close()
        this.#brokers.delete(id)
      }
    for (const { nodeId, host, port } of places) {
      const known = this.#brokers.get(nodeId)
      if (known !== undefined && sameAddress(known.address, { host, port })) continue
      known?.close()
      this.#brokers.set(nodeId, new Broker(nodeId, { host, port }, this.settings))
    }
  }
  broker(id: number): Broker | null {
    return this.#brokers.get(id) ?? null
  }
  all(): readonly Broker[] {
    return [...this.#brokers.values()]
  }

  /** Asks whichever broker answers. Throws Fault cluster.unavailable, log.closed. */
  async askAny<Q extends AnyShape, A extends AnyShape>(
    api: Api<Q, A>,
    request: Encoded<Q>,
    withinMs = patienceMs,
  ): Promise<Decoded<A>> {
    const patience = this.patience(withinMs)
    let why = 'there is no broker'
    do {
      for (const broker of this.#inTurn()) {
        try {
          return await broker.ask('quick', api, request)
        } catch (error) {
          why = disconnection(error)
        }
      }
    } while (await patience.wait())
    throw new Fault('cluster.unavailable', { what: api.name, why })
  }
  /** Brokers that are known, another one first each time, then those it began with. */
  #inTurn(): readonly Broker[] {
    const known = this.all()
    const first = known.length === 0 ? 0 : this.#turn++ % known.length
    return [...known.slice(first), ...known.slice(0, first), ...this.#seeds]
  }
  close(): void {
    this.#stop.abort()
    for (const broker of [...this.#brokers.values(), ...this.#seeds]) broker.close()
  }
}

/** The reason, when asking failed for want of a connection; other errors are thrown on. */
export function disconnection(error: unknown): string {
  if (error instanceof Disconnected) return error.message
  throw error
}
const sameAddress = (a: Address, b: Address): boolean => a.host === b.host && a.port === b.port
