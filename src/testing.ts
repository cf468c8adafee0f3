/**
 * `millrace/testing`: the same platform on a machine with a seed. Time is virtual and passes only when a test asks for
 * something, so a day takes milliseconds; the disk survives a crash and loses what was not durable; HTTP requests of
 * alerts are answered by the test. The same seed and the same test give the same run.
 */
import type { ViewDefinition } from './dsl/index.ts'
import { parseDuration } from './lib/duration.ts'
import { Fault } from './lib/fault.ts'
import { Simulation } from './lib/sim/world.ts'
import type { HttpAnswer, HttpRequest, Net } from './lib/world.ts'
import { type EmbeddedOptions, type Millrace, type RowChange, type ViewHandle, startIn } from './node/embedded.ts'

export type { HttpAnswer, HttpRequest } from './lib/world.ts'

export interface TestOptions extends Omit<EmbeddedOptions, 'data' | 'listen' | 'advertise'> {
  /** Chooses what is left to chance: how long a sync takes, what a power cut leaves. Default: 1. */
  readonly seed?: number
  /** What the clock shows at first: ISO 8601 or a Date. Default: 2026-01-01T00:00:00Z. */
  readonly startAt?: string | Date
  /** Answers the HTTP requests that are sent to the outside. Default: 200. */
  readonly http?: (request: HttpRequest) => HttpAnswer | Promise<HttpAnswer>
}
export interface TestClock {
  /** Lets time pass, `500ms`, `5s`, `1m`, `1h`, `7d` or milliseconds, with all that falls due in it, in order. */
  advance(by: string | number): Promise<void>
  /** Milliseconds since 1970. */
  now(): number
}
/**
 * What is asked for lets as much time pass as it needs, some milliseconds. `rows`, `changes` and `sql` first wait until the
 * views have taken in all that was sent.
 */
export interface TestMillrace extends Millrace {
  readonly seed: number
  readonly clock: TestClock
  /** All HTTP requests that were sent to the outside, oldest first. */
  readonly requests: readonly HttpRequest[]
  /**
   * The process dies at once and is started again on what its disk holds. By `power`, what was not synced is lost in
   * part. Whoever waits for an answer, or listens to changes, gets a Fault log.closed.
   */
  crash(how?: 'kill' | 'power'): Promise<void>
}

const defaultStart = '2026-01-01T00:00:00Z'
/** A public address, so that the check of addresses is the real one. Nothing is ever sent there. */
const outside = '8.8.8.8'

/** Throws the first Fault met; then nothing is left running. */
export async function testMillrace(options: TestOptions = {}): Promise<TestMillrace> {
  const { seed = 1, startAt = defaultStart, http = () => answered, ...rest } = options
  const startMs = new Date(startAt).getTime()
  if (!Number.isFinite(startMs)) throw new RangeError(`startAt is no time: ${String(startAt)}`)
  const machine = new Simulation(seed, { startMs })
  const millrace = new Virtual(machine, rest, http)
  await millrace.boot()
  return millrace
}
const answered: HttpAnswer = { status: 200, headers: {}, body: new Uint8Array() }

class Life {
  readonly #ending = Promise.withResolvers<never>()
  readonly ended = this.#ending.promise

  constructor() {
    this.ended.catch(() => undefined)
  }
  end(): void {
    this.#ending.reject(new Fault('log.closed', { what: 'this Millrace' }))
  }
}

class Virtual implements TestMillrace {
  readonly requests: HttpRequest[] = []
  readonly clock: TestClock
  readonly #machine: Simulation
  readonly #options: EmbeddedOptions
  readonly #http: NonNullable<TestOptions['http']>
  #inner: Millrace | null = null
  /** Ends with the process that now runs. */
  #life = new Life()

  constructor(machine: Simulation, options: EmbeddedOptions, http: NonNullable<TestOptions['http']>) {
    this.#machine = machine
    this.#options = options
    this.#http = http
    this.clock = {
      advance: (by) => machine.clock.advance(typeof by === 'number' ? by : parseDuration('advance', by)),
      now: () => machine.clock.now(),
    }
  }
  get seed(): number {
    return this.#machine.seed
  }
  get listen(): Millrace['listen'] {
    return {}
  }
  async boot(): Promise<void> {
    const { clock, random, disk } = this.#machine
    const world = { clock, random, disk, net: this.#net() }
    this.#inner = await this.#machine.run(() => startIn(world, { ...this.#options, data: '/data' }))
  }
  topic: Millrace['topic'] = (topic) => ({
    send: (events, options) => this.#drive(() => this.#running.topic(topic).send(events, options)),
  })
  view: Millrace['view'] = <Row>(view: ViewDefinition<Row>): ViewHandle<Row> => ({
    rows: () => this.#caughtUp(() => this.#running.view(view).rows()),
    changes: (options) => this.#changes(this.#running.view(view).changes(options)),
  })
  sql: Millrace['sql'] = (text, params, options) => this.#caughtUp(() => this.#running.sql(text, params, options))

  doctor: Millrace['doctor'] = (view) => this.#caughtUp(() => this.#running.doctor(view))

  savepoints: Millrace['savepoints'] = {
    create: (name, view) => this.#caughtUp(() => this.#running.savepoints.create(name, view)),
    list: () => this.#drive(() => this.#running.savepoints.list()),
    drop: (name) => this.#drive(() => this.#running.savepoints.drop(name)),
  }
  async crash(how: 'kill' | 'power' = 'kill'): Promise<void> {
    this.#inner = null
    this.#life.end()
    this.#life = new Life()
    await this.#machine.clock.still(() => (how === 'power' ? this.#machine.powerCut() : this.#machine.kill()))
    await this.boot()
  }
  async close(): Promise<void> {
    const inner = this.#inner
    this.#inner = null
    if (inner !== null) await this.#drive(() => inner.close())
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #running(): Millrace {
    if (this.#inner === null) throw new Fault('log.closed', { what: 'this Millrace' })
    return this.#inner
  }
  #drive<T>(work: () => Promise<T>): Promise<T> {
    const { ended } = this.#life
    return this.#machine.run(() => Promise.race([work(), ended]))
  }
  #caughtUp<T>(work: () => Promise<T>): Promise<T> {
    return this.#drive(async () => {
      await this.#running.sql('FLUSH')
      return work()
    })
  }
  /** Time passes until the views have caught up; what has not changed by then waits for whoever lets more pass. */
  async *#changes<Row>(changes: AsyncIterable<RowChange<Row>>): AsyncGenerator<RowChange<Row>> {
    const iterator = changes[Symbol.asyncIterator]()
    const { ended } = this.#life
    try {
      for (;;) {
        const next = iterator.next()
        await this.#drive(() => Promise.race([next, this.#running.sql('FLUSH')]))
        const { done, value } = await Promise.race([next, ended])
        if (done === true) return
        yield value
      }
    } finally {
      // What waits for a process that died is never answered.
      iterator.return?.().catch(() => undefined)
    }
  }
  #net(): Net {
    const { net } = this.#machine
    return {
      listen: (at, accept, tls) => net.listen(at, accept, tls),
      connect: (to, signal) => net.connect(to, signal),
      resolve: async (host) => (/^[\d.]+$|:/.test(host) ? [host] : [outside]),
      request: async (request) => {
        this.requests.push(request)
        return this.#http(request)
      },
    }
  }
}
