/** Tells many readers what happens; one that reads too slowly loses the oldest of what waits for it. */
const waitingMax = 1_000

interface Watcher<T> {
  readonly waiting: T[]
  wake: (() => void) | null
}

export class Watchers<T> {
  readonly #watchers = new Set<Watcher<T>>()
  #closed = false

  tell(value: T): void {
    for (const watcher of this.#watchers) {
      if (watcher.waiting.push(value) > waitingMax) watcher.waiting.shift()
      watcher.wake?.()
    }
  }
  /** What is told from now on; ends when the signal aborts. */
  watch(signal: AbortSignal): AsyncIterable<T> {
    const watcher: Watcher<T> = { waiting: [], wake: null }
    if (!this.#closed && !signal.aborted) this.#watchers.add(watcher)
    return this.#read(watcher, signal)
  }
  close(): void {
    this.#closed = true
    for (const { wake } of this.#watchers) wake?.()
    this.#watchers.clear()
  }
  async *#read(watcher: Watcher<T>, signal: AbortSignal): AsyncGenerator<T> {
    const aborted = (): void => watcher.wake?.()
    signal.addEventListener('abort', aborted)
    try {
      while (this.#watchers.has(watcher) && !signal.aborted) {
        const next = watcher.waiting.shift()
        if (next !== undefined) yield next
        else await new Promise<void>((resolve) => (watcher.wake = resolve))
      }
    } finally {
      this.#watchers.delete(watcher)
      signal.removeEventListener('abort', aborted)
    }
  }
}
