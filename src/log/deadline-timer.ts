/** Wakes something when its next deadline has come. A deadline that moves away costs nothing until the old one is reached. */
import type { Clock } from '../lib/world.ts'

interface Timed {
  nextMs(): number
  pass(nowMs: number): void
}

export class DeadlineTimer {
  readonly #clock: Clock
  readonly #timed: Timed
  #cancel: (() => void) | null = null
  #atMs = Infinity

  constructor(clock: Clock, timed: Timed) {
    this.#clock = clock
    this.#timed = timed
  }
  set(): void {
    const nextMs = this.#timed.nextMs()
    if (nextMs >= this.#atMs || nextMs === Infinity) return
    this.#cancel?.()
    this.#atMs = nextMs
    this.#cancel = this.#clock.after(Math.max(0, nextMs - this.#clock.monotonic()), () => {
      this.#cancel = null
      this.#atMs = Infinity
      this.#timed.pass(this.#clock.monotonic())
      this.set()
    })
  }
  stop(): void {
    this.#cancel?.()
    this.#cancel = null
    this.#atMs = Infinity
  }
}
