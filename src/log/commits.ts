/**
 * One owner's ticks, shared by everyone in the process who needs a few appends and positions to stand or fall together.
 * Whatever asks while a tick is being committed goes into the next one (group commit). Work is a function because it may
 * run again: when the tick was rolled back, when a neighbour in the tick fails, and when a neighbour's claim is lost.
 */
import { Fault, asFault } from '../lib/fault.ts'
import type { Clock } from '../lib/world.ts'
import type { Offset } from '../lib/brand.ts'
import type { At, Batch, Claim, Owner, Partition, Tick } from './log.ts'

export interface Part {
  readonly claim: Claim
  readonly positions: readonly At[]
}
export interface Work<T> {
  /** Appends, and says what to commit with them and what to answer. May run more than once; the last run counts. */
  (append: Tick['append']): Promise<{ readonly parts: readonly Part[]; readonly result: T }>
}
export interface Commits {
  /** The same of work that is known: these appends and these parts. Answers where each batch lies. */
  put(
    entries: readonly { readonly partition: Partition; readonly batch: Batch }[],
    parts: readonly Part[],
  ): Promise<readonly { readonly offset: Offset; readonly timeMs: number }[]>
  /** Resolves when all of it is durable. Throws what the work throws, or Fault log.claim-lost; then nothing of it stands. */
  run<T>(work: Work<T>): Promise<T>
  /** After what was asked before. */
  close(): Promise<void>
}

/** A tick that is rolled back so often, each time after a longer wait (a second in all), will not succeed soon. */
const retriesMax = 10

/** Works in one tick: enough to share a sync, few enough that one failure repeats little. */
const worksMax = 64

interface Asked {
  readonly work: Work<unknown>
  readonly resolve: (result: unknown) => void
  readonly reject: (error: unknown) => void
  retries: number
}

/** With a clock, a tick that was rolled back waits before it is tried again. */
export function openCommits(owner: Owner, clock?: Clock): Commits {
  return new SharedOwner(owner, clock ?? null)
}

class SharedOwner implements Commits {
  readonly #owner: Owner
  readonly #clock: Clock | null
  #asked: Asked[] = []
  #running: Promise<void> | null = null
  #closed = false

  constructor(owner: Owner, clock: Clock | null) {
    this.#owner = owner
    this.#clock = clock
  }
  run<T>(work: Work<T>): Promise<T> {
    if (this.#closed) return Promise.reject(new Fault('log.closed', { what: 'the log' }))
    return new Promise<unknown>((resolve, reject) => {
      this.#asked.push({ work, resolve, reject, retries: 0 })
      this.#running ??= this.#loop()
    }) as Promise<T>
  }
  put(entries: Parameters<Commits['put']>[0], parts: readonly Part[]): ReturnType<Commits['put']> {
    return this.run(async (append) => ({ parts, result: entries.length === 0 ? [] : await append(entries) }))
  }
  async close(): Promise<void> {
    this.#closed = true
    await this.#running
    await this.#owner.close()
  }

  async #loop(): Promise<void> {
    // What arrives in this turn shares the first tick.
    await Promise.resolve()
    while (this.#asked.length > 0) await this.#tick(this.#asked.splice(0, worksMax))
    this.#running = null
  }
  /** Until each of these is answered. */
  async #tick(asked: readonly Asked[]): Promise<void> {
    let left = asked
    while (left.length > 0) left = await this.#attempt(left)
  }
  /** One tick; returns those to try again. */
  async #attempt(asked: readonly Asked[]): Promise<readonly Asked[]> {
    let tick: Tick
    try {
      tick = this.#owner.begin()
    } catch (error) {
      for (const { reject } of asked) reject(asFault(error))
      return []
    }
    const done: { asked: Asked; parts: readonly Part[]; result: unknown }[] = []
    for (const one of asked) {
      try {
        done.push({ asked: one, ...(await one.work((entries) => tick.append(entries))) })
      } catch (error) {
        await tick.abort().catch(() => {})
        // Nobody's fault: all of it again, as when the commit says so.
        if (error instanceof Fault && error.code === 'log.rolled-back') return this.#again(asked)
        one.reject(error)
        return asked.filter((other) => other !== one)
      }
    }
    try {
      const outcome = await tick.commit(done.flatMap(({ parts }) => parts))
      return outcome === 'retry' ? await this.#again(asked) : this.#settle(done, outcome)
    } catch (error) {
      for (const { asked: one } of done) one.reject(asFault(error))
      return []
    }
  }
  async #again(asked: readonly Asked[]): Promise<readonly Asked[]> {
    const left = asked.filter((one) => ++one.retries <= retriesMax)
    for (const one of asked)
      if (!left.includes(one))
        one.reject(new Fault('store.failed', { what: 'a commit was rolled back again and again', path: 'the log' }))
    const waitMs = 2 ** Math.min(...left.map(({ retries }) => retries - 1))
    if (left.length > 0) await this.#clock?.sleep(waitMs)
    return left
  }
  #settle(
    done: readonly { asked: Asked; parts: readonly Part[]; result: unknown }[],
    outcome: 'committed' | { lost: Claim[] },
  ): readonly Asked[] {
    if (outcome === 'committed') {
      for (const { asked, result } of done) asked.resolve(result)
      return []
    }
    const again: Asked[] = []
    for (const { asked, parts } of done)
      if (parts.some(({ claim }) => outcome.lost.includes(claim)))
        asked.reject(new Fault('log.claim-lost', { what: 'partitions of a group' }))
      else again.push(asked)
    return again
  }
}
