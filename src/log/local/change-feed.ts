/** Names that changed, to whoever listens: at once by a call, or later by an iteration that may take several together. */
import { type AsyncQueue, asyncQueue } from './async-queue.ts'

export class ChangeFeed {
  readonly #calls = new Set<(name: string) => void>()
  readonly #ends = new Set<() => void>()

  tell(name: string): void {
    for (const call of this.#calls) call(name)
  }
  onChange(call: (name: string) => void): () => void {
    this.#calls.add(call)
    return () => this.#calls.delete(call)
  }
  /** Listens from the call on, until the signal. */
  watch(signal: AbortSignal): AsyncIterable<{ readonly changed: readonly string[] }> {
    const names = asyncQueue<string>()
    const stop = this.onChange((name) => names.push(name))
    const end = (): void => {
      stop()
      this.#ends.delete(end)
      signal.removeEventListener('abort', end)
      names.end()
    }
    this.#ends.add(end)
    signal.addEventListener('abort', end)
    if (signal.aborted) end()
    return iterate(names, end)
  }
  close(): void {
    for (const end of this.#ends) end()
  }
}

async function* iterate(names: AsyncQueue<string>, end: () => void): AsyncIterable<{ changed: readonly string[] }> {
  try {
    for (let next = await names.take(); next.length > 0; next = await names.take())
      yield { changed: [...new Set(next)] }
  } finally {
    end()
  }
}
