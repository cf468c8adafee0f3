/**
 * The wall clock where age decides what is deleted. It may jump, and what a jump made look old would be gone for good: the
 * time to compare with never runs ahead of the monotonic clock, and the time to stamp with never stays behind it.
 * Both are anchored where this was made; a jump while nobody ran cannot be told from time that passed.
 */
import { type TimeMs, timeMs } from './brand.ts'
import type { Clock } from './world.ts'

export class AgeClock {
  readonly #clock: Clock
  readonly #aheadMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#aheadMs = clock.now() - clock.monotonic()
  }
  /** What is older than something by this is. */
  now(): TimeMs {
    return timeMs(Math.floor(Math.min(this.#clock.now(), this.steady())))
  }
  /** For what begins to age now. */
  stamp(): TimeMs {
    return timeMs(Math.floor(Math.max(this.#clock.now(), this.steady())))
  }
  /** Where the wall clock would be without any jump: for waits that are told in its times and kept by nobody. */
  steady(): number {
    return this.#aheadMs + this.#clock.monotonic()
  }
}
