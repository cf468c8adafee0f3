/**
 * One connector in this process: it waits until its partitions fall to it, starts it, and when it throws decides with the
 * strategies of `flow/restart.ts` whether and when it starts again. Nothing that it throws goes further.
 */
import { type RestartHistory, noRestarts, restartAfter } from '../flow/restart.ts'
import type { RestartStrategy } from '../flow/plan.ts'
import { type Fault, asFault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { World } from '../lib/world.ts'
import type { LogRecord } from '../log/batch.ts'
import type { Commits } from '../log/commits.ts'
import type { Claim, Log, Membership, Partition } from '../log/log.ts'
import type { Placing } from '../log/placing.ts'
import type { ConnectorInfo } from './connectors.ts'
import type { DeadLetters } from './dead-letters.ts'
import type { Direction, Sink, SinkHost, Source, SourceHost } from './kind.ts'
import type { LoadPackage } from './packages.ts'
import { positionsTopic, readPositions } from './positions.ts'
import type { Settings } from './settings.ts'
import { SinkTask } from './sink-task.ts'
import { type Carried, SourceTask } from './source-task.ts'

export interface RunHost {
  readonly world: World
  readonly log: Log
  readonly commits: Commits
  readonly placing: Placing
  readonly deadLetters: DeadLetters
  readonly load: LoadPackage
  readonly logger: Logger
  readonly name: string
  readonly id: string
  /** Why a topic's contract keeps a record out; null = it does not. */
  refuses(topic: string, record: Pick<LogRecord, 'key' | 'value'>): Fault | null
  ensureTopic(name: string, partitions: number, widen: boolean): Promise<void>
}
export type Way =
  | { readonly of: Direction<SourceHost, Source>; readonly topics: null }
  | {
      readonly of: Direction<SinkHost, Sink>
      readonly topics: readonly string[]
      readonly from: 'earliest' | 'latest'
    }
export interface RunOptions {
  readonly way: Way
  readonly settings: Settings
  readonly strategy: RestartStrategy
  /** As it was when it last ran in this process: counts go on. */
  readonly before: State
}
export type State = Pick<
  ConnectorInfo,
  'status' | 'fault' | 'faultAt' | 'restartsAt' | 'lag' | 'records' | 'bytes' | 'refused' | 'restarts' | 'carriedAt'
>
export const atRest: State = {
  status: 'paused',
  fault: null,
  faultAt: null,
  restartsAt: null,
  lag: null,
  records: 0,
  bytes: 0,
  refused: 0,
  restarts: 0,
  carriedAt: null,
}
/** Faults that say that this process is to carry it no more, or stops. */
const ends = new Set(['log.closed', 'log.claim-lost'])

/** Packages may wait minutes for a service that says nothing. */
const stopWithinMs = 5_000

export const groupOf = (connector: string): string => `_millrace_connector.${connector}`

export class ConnectorRun {
  readonly #host: RunHost
  readonly #options: RunOptions
  readonly #membership: Membership
  readonly #running: Promise<void>
  #loop: { readonly stop: AbortController; readonly done: Promise<void> } | null = null
  #state: State
  #lag: (() => number | null | Promise<number | null>) | null = null
  #hasCommitted = false
  #isClosing = false

  constructor(host: RunHost, options: RunOptions) {
    this.#host = host
    this.#options = options
    this.#state = { ...options.before, status: 'running', restartsAt: null }
    const topics = options.way.topics ?? [positionsTopic]
    this.#membership = host.log.join(groupOf(host.name), { topics, warm: () => [], whole: true })
    this.#running = this.#follow().catch((error: unknown) => {
      if (!ends.has(asFault(error).code)) this.#failed(asFault(error), null)
    })
  }
  async info(): Promise<State> {
    const lag = await Promise.resolve(this.#lag?.() ?? null).catch(() => null)
    return { ...this.#state, lag }
  }
  /** It is for this process to run it, and it has begun to: null; else what it waits for. */
  waitsFor(): 'its turn' | 'the other side' | null {
    return this.#lag !== null ? null : this.#loop === null ? 'its turn' : 'the other side'
  }
  /** What is being written is finished first. */
  async close(): Promise<void> {
    this.#isClosing = true
    await this.#stopLoop()
    await this.#membership.leave()
    await this.#running
  }

  async #follow(): Promise<void> {
    for await (const { claim, active, accept } of this.#membership.changes()) {
      await this.#stopLoop()
      accept()
      if (this.#isClosing || active.length === 0) continue
      const stop = new AbortController()
      this.#loop = { stop, done: this.#keep(claim, active, stop.signal) }
    }
  }
  /** One that does not hear of its end is left behind: it holds up nobody, and the claim that it commits by is worth nothing any more. */
  async #stopLoop(): Promise<void> {
    const loop = this.#loop
    this.#loop = null
    if (loop === null) return
    loop.stop.abort()
    const { world, logger, name } = this.#host
    let cancel = (): void => {}
    const late = new Promise<'late'>((resolve) => (cancel = world.clock.after(stopWithinMs, () => resolve('late'))))
    const outcome = await Promise.race([loop.done, late])
    cancel()
    if (outcome === 'late') logger.warn(`connector ${name} does not stop: it is left behind`, { afterMs: stopWithinMs })
  }

  /** Until told to stop, or nothing is left but to stay failed. */
  async #keep(claim: Claim, partitions: readonly Partition[], signal: AbortSignal): Promise<void> {
    const { world } = this.#host
    let history: RestartHistory = noRestarts
    while (!signal.aborted) {
      this.#hasCommitted = false
      try {
        this.#state = { ...this.#state, status: 'running', restartsAt: null }
        await this.#once(claim, partitions, signal)
      } catch (error) {
        const fault = asFault(error)
        if (signal.aborted || ends.has(fault.code)) return
        const nowMs = world.clock.monotonic()
        const failure = { fault, nowMs, hasCommitted: this.#hasCommitted, chance: world.random.fraction() }
        const again = restartAfter(this.#options.strategy, history, failure)
        this.#failed(fault, again?.delayMs ?? null)
        if (again === null) return
        history = again.history
        await world.clock.sleep(again.delayMs, signal).catch(() => {})
        this.#state = { ...this.#state, restarts: this.#state.restarts + 1 }
      } finally {
        this.#lag = null
      }
    }
  }
  #failed(fault: Fault, delayMs: number | null): void {
    const { world, logger, name } = this.#host
    const now = world.clock.now()
    const restartsAt = delayMs === null ? null : new Date(now + delayMs).toISOString()
    this.#state = { ...this.#state, status: 'failed', fault, faultAt: new Date(now).toISOString(), restartsAt }
    const more = { code: fault.code, why: fault.message, restartsAt }
    if (delayMs === null) logger.error(`connector ${name} has failed`, more)
    else logger.warn(`connector ${name} has failed and starts again`, more)
  }

  async #once(claim: Claim, partitions: readonly Partition[], outer: AbortSignal): Promise<void> {
    const { world, log, logger, name, id } = this.#host
    const { way, settings } = this.#options
    // Ends with this attempt, whatever of it is still under way.
    const stop = new AbortController()
    const abort = (): void => stop.abort()
    outer.addEventListener('abort', abort, { once: true })
    const common = { world, logger, name, id, signal: stop.signal, load: this.#host.load }
    const carried = (more: Carried): void => this.#carried(more)
    try {
      outer.throwIfAborted()
      if (way.topics === null) {
        const positions = await readPositions(log, claim, id)
        const ensureTopic: SourceHost['ensureTopic'] = (...of) => this.#host.ensureTopic(...of)
        const source = await way.of.open({ ...common, positions, ensureTopic }, settings)
        this.#lag = () => source.lag()
        await new SourceTask(this.#host, claim, carried).run(source, stop.signal)
      } else {
        const partitionsOf: SinkHost['partitionsOf'] = async (topic) =>
          (await log.topics.get(topic))?.partitions ?? null
        const sink = await way.of.open({ ...common, partitionsOf }, settings)
        const start = { claim, membership: this.#membership, partitions, from: way.from }
        const task = new SinkTask(this.#host, start, carried)
        this.#lag = () => task.lag()
        await task.run(sink, stop.signal)
      }
    } finally {
      stop.abort()
      outer.removeEventListener('abort', abort)
    }
  }
  #carried({ records, bytes, refused }: Carried): void {
    this.#hasCommitted = true
    const state = this.#state
    this.#state = {
      ...state,
      records: state.records + records,
      bytes: state.bytes + bytes,
      refused: state.refused + refused,
      carriedAt: new Date(this.#host.world.clock.now()).toISOString(),
    }
  }
}
