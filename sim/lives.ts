/**
 * A local log through several lives of one data folder: each ends in a kill, a power cut or a clean stop at a random moment,
 * and its disk may fail. Actors are those outside, who live as long as their log does.
 */
import { Fault } from '../src/lib/fault.ts'
import { openStore } from '../src/store/open.ts'
import type { Store } from '../src/store/store.ts'
import type { LocalLog } from '../src/log/local/local-log.ts'
import { type LocalLogOptions, openLocalLog } from '../src/log/local/open.ts'
import type { DiskCall, DiskFailure } from '../src/lib/sim/disk.ts'
import type { SeededRandom } from '../src/lib/sim/random.ts'
import type { Simulation } from '../src/lib/sim/world.ts'

export interface LivesOptions {
  readonly log?: Partial<LocalLogOptions>
  /** Puts something between the log and its store: a fault of the log, planted. */
  readonly tamper?: (store: Store) => Store
  /** What else has to be done before a life begins. */
  prepare?(log: LocalLog): Promise<void>
  start(log: LocalLog): void
  /** Actors never hear of a fault while their log lives. */
  readonly faultless?: boolean
}
export interface Life {
  /** Which calls of the disk fail; null: none. */
  readonly plan: ((call: DiskCall) => DiskFailure | null) | null
  readonly ms: readonly [from: number, to: number]
  /** How often it dies before it is open. */
  readonly stillborn?: number
  /** It ends between two of these. */
  readonly stepMs?: number
  /** A moment worth dying in has come. */
  readonly isDying?: () => boolean
  readonly death: () => Death
}
export type Death = 'stop' | 'kill' | 'power cut'

export class Lives {
  readonly faults = new Set<string>()
  /** That of the present life; null while it opens, and between two. */
  log: LocalLog | null = null
  /** Rises with every death. */
  number = 0
  readonly #machine: Simulation
  readonly #random: SeededRandom
  readonly #options: LivesOptions
  #violation: unknown = null

  constructor(machine: Simulation, random: SeededRandom, options: LivesOptions) {
    this.#machine = machine
    this.#random = random
    this.#options = options
  }
  /** From a start to a death. Throws what an actor has found wrong. */
  async live({ plan, ms: [from, to], stillborn = 0, stepMs, isDying, death }: Life): Promise<void> {
    const machine = this.#machine
    const random = this.#random
    machine.disk.plan = plan
    const opening = this.open()
    opening.catch(() => undefined)
    if (stillborn > 0 && random.chance(stillborn)) await machine.advance(random.between(0, 20))
    else if (await machine.run(() => isFulfilled(opening))) {
      this.#options.start(this.log!)
      const ms = random.between(from, to)
      for (let left = ms; left > 0 && isDying?.() !== true; left -= stepMs ?? ms)
        await machine.advance(Math.min(left, stepMs ?? ms))
    }
    machine.disk.plan = null
    await this.#die(death())
    this.check()
  }
  async open(): Promise<LocalLog> {
    const { log: options, tamper, prepare } = this.#options
    const { number } = this
    const store = await openStore({ world: this.#machine, dir: '/data' })
    const log = await openLocalLog({
      ...options,
      world: this.#machine,
      dir: '/data',
      store: tamper?.(store) ?? store,
      onFault: (fault) => this.faults.add(fault.code),
    })
    await prepare?.(log)
    if (number === this.number) this.log = log
    return log
  }
  async #die(how: Death): Promise<void> {
    const { log } = this
    this.log = null
    this.number++
    if (how === 'stop' && log !== null) await this.#machine.run(() => log.close())
    if (how === 'power cut') this.#machine.powerCut()
    else this.#machine.kill()
  }
  /** Runs until its log dies. What the log throws while it dies says nothing; a broken promise does. */
  actor(act: (alive: () => boolean) => Promise<void>): void {
    const { number } = this
    const alive = (): boolean => this.number === number
    act(alive).catch((error: unknown) => {
      if (!alive()) return
      if (error instanceof Fault && this.#options.faultless !== true) this.faults.add(`actor: ${error.code}`)
      else this.broken(error)
    })
  }
  broken(error: unknown): void {
    this.#violation ??= error
  }
  check(): void {
    if (this.#violation !== null) throw this.#violation
  }
}

const isFulfilled = (promise: Promise<unknown>): Promise<boolean> =>
  promise.then(
    () => true,
    () => false,
  )

/** A disk of which some syncs and writes fail. */
export const failing =
  (random: SeededRandom, { syncs = 0.02, writes = 0.004 } = {}) =>
  ({ operation }: DiskCall): DiskFailure | null => {
    if (operation === 'datasync' && random.chance(syncs)) return { code: 'EIO' }
    if (operation === 'write' && random.chance(writes))
      return { code: random.pick(['EIO', 'ENOSPC'] as const), written: random.between(0, 60) }
    return null
  }
