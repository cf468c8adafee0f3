import { asFault } from '../lib/fault.ts'
import type { Core } from './core.ts'

/** Those who are told of something in the turn it happens. One that throws stops neither the log nor the others. */
export class Listeners<T> {
  readonly #core: Core
  readonly #calls = new Set<(value: T) => void>()

  constructor(core: Core) {
    this.#core = core
  }
  /** Returns the way to stop. */
  add(call: (value: T) => void): () => void {
    const own = (value: T): void => call(value)
    this.#calls.add(own)
    return () => void this.#calls.delete(own)
  }
  tell(value: T): void {
    for (const call of this.#calls) {
      try {
        call(value)
      } catch (error) {
        this.#core.report(asFault(error))
      }
    }
  }
}
