/** Answers that clients do not take just now. Who waits for room ends the one that has stood for the longest. */
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'

/** One at a time: what it frees may be enough, and those that stand for less are perhaps only slow. */
const cutEveryMs = 500

interface Standing {
  readonly sinceMs: number
  readonly cut: () => void
}

export class Stalled {
  readonly #clock: Clock
  /** The longest first. */
  readonly #standing = new Set<Standing>()
  #cutMs = -cutEveryMs

  constructor(clock: Clock) {
    this.#clock = clock
  }
  /** An answer stands for as long as the work goes on. */
  async during<T>(cut: () => void, work: () => Promise<T>): Promise<T> {
    const one = { sinceMs: this.#clock.monotonic(), cut }
    this.#standing.add(one)
    try {
      return await work()
    } finally {
      this.#standing.delete(one)
    }
  }
  /** Until the function that it gives is called, now and then one that has stood too long is ended. */
  press(): () => void {
    let stop = (): void => {}
    const again = (): void => {
      stop = this.#clock.after(cutEveryMs, () => {
        this.#cutOldest()
        again()
      })
    }
    again()
    return () => stop()
  }
  #cutOldest(): void {
    const nowMs = this.#clock.monotonic()
    const [oldest] = this.#standing
    if (oldest === undefined || nowMs - oldest.sinceMs < limits.answerYieldMs || nowMs - this.#cutMs < cutEveryMs)
      return
    this.#cutMs = nowMs
    this.#standing.delete(oldest)
    oldest.cut()
  }
}
