/** The newest records of a live tail: bounded, newest first on demand, with a pause that loses nothing within its bound. */
export class TailBuffer<T> {
  /** All that ever came. */
  received = 0
  /** Came during the pause and could not be held. */
  skipped = 0
  paused = false
  #items: T[] = []
  #waiting: T[] = []
  readonly #itemsMax: number

  constructor(itemsMax: number) {
    this.#itemsMax = itemsMax
  }

  push(items: readonly T[]): void {
    this.received += items.length
    if (!this.paused) return this.#show(items)
    this.#waiting.push(...items)
    const over = this.#waiting.length - this.#itemsMax
    if (over <= 0) return
    this.#waiting.splice(0, over)
    this.skipped += over
  }

  resume(): void {
    this.paused = false
    const waiting = this.#waiting
    this.#waiting = []
    this.skipped = 0
    this.#show(waiting)
  }

  get waiting(): number {
    return this.#waiting.length + this.skipped
  }

  /** Oldest first; the same array until something comes. */
  get items(): readonly T[] {
    return this.#items
  }

  #show(items: readonly T[]): void {
    if (items.length === 0) return
    const joined = [...this.#items, ...items]
    this.#items = joined.length > this.#itemsMax ? joined.slice(joined.length - this.#itemsMax) : joined
  }
}
