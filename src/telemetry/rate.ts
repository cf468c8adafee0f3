/** Events per second over the last seconds: one slot a second, no timer. */
import type { Clock } from '../lib/world.ts'

const slots = 8
/** Full seconds that a rate is taken over. */
const window = 5

export class Rate {
  readonly #clock: Clock
  readonly #counts = new Float64Array(slots)
  #second: number
  readonly #born: number
  total = 0

  constructor(clock: Clock) {
    this.#clock = clock
    this.#second = this.#now()
    this.#born = this.#second
  }
  add(count: number): void {
    this.#turn()
    this.#counts[this.#second % slots]! += count
    this.total += count
  }
  /** Mean over the last full seconds; the running one stands in while there is no full one. */
  perSecond(): number {
    this.#turn()
    const seconds = Math.min(window, this.#second - this.#born)
    if (seconds === 0) return this.#counts[this.#second % slots]!
    let sum = 0
    for (let back = 1; back <= seconds; back++) sum += this.#counts[(this.#second - back + slots) % slots]!
    return sum / seconds
  }
  #turn(): void {
    const now = this.#now()
    if (now - this.#second >= slots) this.#counts.fill(0)
    else for (let second = this.#second + 1; second <= now; second++) this.#counts[second % slots] = 0
    this.#second = now
  }
  #now(): number {
    return Math.floor(this.#clock.monotonic() / 1000) + slots
  }
}
