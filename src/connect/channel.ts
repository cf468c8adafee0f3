/** From several who bring to one who takes: who brings waits while as many lie there as it holds. */
export class Channel<T> {
  readonly #capacity: number
  readonly #items: T[] = []
  #failed: { readonly error: unknown } | null = null
  #wanted: (() => void) | null = null
  readonly #room: (() => void)[] = []

  constructor(capacity: number) {
    this.#capacity = capacity
  }
  /** Throws what it has failed with. */
  async put(item: T): Promise<void> {
    while (this.#items.length >= this.#capacity && this.#failed === null)
      await new Promise<void>((resolve) => this.#room.push(resolve))
    if (this.#failed !== null) throw this.#failed.error
    this.#items.push(item)
    this.#wanted?.()
  }
  /** The first stands; whoever takes hears it when what lies there is taken. */
  fail(error: unknown): void {
    this.#failed ??= { error }
    this.#wanted?.()
    for (const call of this.#room.splice(0)) call()
  }
  /** For one at a time. */
  async next(): Promise<T> {
    while (this.#items.length === 0) {
      if (this.#failed !== null) throw this.#failed.error
      await new Promise<void>((resolve) => (this.#wanted = resolve))
      this.#wanted = null
    }
    const item = this.#items.shift()!
    this.#room.shift()?.()
    return item
  }
}
