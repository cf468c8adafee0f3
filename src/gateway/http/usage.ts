/**
 * What a request uses of its client's quotas. A request that comes while one is used up is answered 429; a stream that
 * uses one up, in or out, goes on when the rate is back: HTTP cannot take back what it has begun to answer.
 */
import { Fault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import type { QueryUsage } from '../../query/engine.ts'
import type { Subject } from '../../security/authorizer.ts'
import type { ClientQuota, Quotas } from '../../security/quotas.ts'
import type { Body } from './body.ts'
import { type Answer, type LiveEvent, isLive } from './exchange.ts'

export type RequestQuota = Exclude<ClientQuota, 'controller_mutation_rate'>

export class Usage implements QueryUsage {
  readonly #client: { readonly user: string; readonly clientId: string }
  readonly #quotas: Quotas
  readonly #clock: Clock
  readonly #signal: AbortSignal

  constructor({ principal }: Subject, options: { quotas: Quotas; clock: Clock; signal: AbortSignal }) {
    this.#client = { user: principal.name, clientId: '' }
    this.#quotas = options.quotas
    this.#clock = options.clock
    this.#signal = options.signal
  }
  /** Throws Fault security.throttled while it is used up. */
  demand(quota: RequestQuota): void {
    const ms = this.#quotas.wait(quota, this.#client)
    if (ms > 0) throw new Fault('security.throttled', { what: quota, ms })
  }
  charge(quota: RequestQuota, amount: number): number {
    return this.#quotas.charge(quota, this.#client, amount)
  }
  /** This thread was busy with it for so long. */
  worked(ms: number): void {
    this.charge('request_percentage', ms / 10)
  }
  mayWrite(): void {
    this.demand('producer_byte_rate')
  }
  wrote(bytes: number): void {
    this.charge('producer_byte_rate', bytes)
  }
  timed<T>(work: () => T): T {
    const done = this.busy()
    try {
      return work()
    } finally {
      done()
    }
  }
  /** From now until what it returns is called. Never over a wait. */
  busy(): () => void {
    const startedMs = this.#clock.monotonic()
    return () => this.worked(this.#clock.monotonic() - startedMs)
  }

  /** Counts what is taken in; a body that is read line by line waits when it comes too fast. */
  takeIn(body: Body): void {
    body.countWith(
      (bytes) => void this.charge('producer_byte_rate', bytes),
      () => this.#pause('producer_byte_rate'),
    )
  }
  /** Counts what goes out. `check` is asked before each piece of a stream: it throws what ends it. */
  sendOut(answer: Answer, check: () => void): Answer {
    const { body } = answer
    if (body === null) return answer
    if (typeof body === 'string' || body instanceof Uint8Array) {
      this.charge('consumer_byte_rate', body.length)
      return answer
    }
    if (isLive(body)) return { ...answer, body: { events: this.#paced(body.events, bytesOfEvents, check) } }
    return { ...answer, body: this.#paced(body, ({ length }) => length, check) }
  }
  async *#paced<T>(pieces: AsyncIterable<T>, bytesOf: (piece: T) => number, check: () => void): AsyncGenerator<T> {
    for await (const piece of pieces) {
      check()
      this.charge('consumer_byte_rate', bytesOf(piece))
      yield piece
      await this.#pause('consumer_byte_rate')
    }
  }
  /** Until neither the bytes nor the work are more than allowed, or nobody waits any more. */
  async #pause(quota: RequestQuota): Promise<void> {
    for (;;) {
      const ms = Math.max(...[quota, 'request_percentage' as const].map((one) => this.#quotas.wait(one, this.#client)))
      if (ms === 0 || this.#signal.aborted) return
      await this.#after(ms)
    }
  }
  #after(ms: number): Promise<void> {
    return new Promise((resolve) => {
      const done = (): void => {
        cancel()
        this.#signal.removeEventListener('abort', done)
        resolve()
      }
      const cancel = this.#clock.after(ms, done)
      this.#signal.addEventListener('abort', done, { once: true })
    })
  }
}

function bytesOfEvents(piece: LiveEvent | readonly LiveEvent[]): number {
  if ('length' in piece) return piece.reduce((sum, one) => sum + bytesOfEvents(one), 0)
  return (piece.json?.length ?? 0) + (piece.id?.length ?? 0) + (piece.event?.length ?? 0)
}
