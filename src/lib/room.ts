/**
 * Bytes of memory that many share: who needs some waits until there are so many, in its turn. More than there are in all are
 * given to who is alone.
 */
export interface Share {
  /** It was less than was thought. */
  shrink(bytes: number): void
  /** Once; what comes later does nothing. */
  give(): void
}
interface Waiting {
  readonly bytes: number
  readonly resolve: (share: Share) => void
}

export class Room {
  readonly #bytesMax: number
  readonly #waiting = new Set<Waiting>()
  #used = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }
  get used(): number {
    return this.#used
  }
  /** Rejects with the signal's reason. */
  take(bytes: number, signal: AbortSignal): Promise<Share> {
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    if (this.#waiting.size === 0 && this.#fits(bytes)) return Promise.resolve(this.#share(bytes))
    const { promise, resolve, reject } = Promise.withResolvers<Share>()
    const waiting: Waiting = { bytes, resolve }
    const aborted = (): void => {
      if (!this.#waiting.delete(waiting)) return
      reject(signal.reason as Error)
      this.#next()
    }
    signal.addEventListener('abort', aborted, { once: true })
    this.#waiting.add(waiting)
    return promise.finally(() => signal.removeEventListener('abort', aborted))
  }
  #fits(bytes: number): boolean {
    return this.#used === 0 || this.#used + bytes <= this.#bytesMax
  }
  #share(bytes: number): Share {
    let held = bytes
    this.#used += bytes
    const become = (less: number): void => {
      const given = held - Math.min(held, less)
      held -= given
      this.#used -= given
      if (given > 0) this.#next()
    }
    return { shrink: become, give: () => become(0) }
  }
  #next(): void {
    for (const one of this.#waiting) {
      if (!this.#fits(one.bytes)) return
      this.#waiting.delete(one)
      one.resolve(this.#share(one.bytes))
    }
  }
}
