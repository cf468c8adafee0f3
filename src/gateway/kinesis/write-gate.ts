/** Keeps writes to a stream and changes of its shards apart: a change waits for what is being written, what comes then waits for it. */
export class WriteGate {
  #inside = 0
  #shut: { readonly opened: Promise<void>; open(): void } | null = null
  #empty: (() => void) | null = null

  async enter(): Promise<void> {
    while (this.#shut !== null) await this.#shut.opened
    this.#inside++
  }
  leave(): void {
    this.#inside--
    if (this.#inside === 0) this.#empty?.()
  }
  /** Resolves when nothing is being written. One at a time. */
  async shut(): Promise<void> {
    const { promise: opened, resolve: open } = Promise.withResolvers<void>()
    this.#shut = { opened, open }
    if (this.#inside > 0) await new Promise<void>((resolve) => (this.#empty = resolve))
    this.#empty = null
  }
  open(): void {
    this.#shut?.open()
    this.#shut = null
  }
}
