/**
 * Bytes of memory that many share: who needs some waits until there are so many, in its turn. Clients take turns: who asks for
 * much waits for itself. More than there are in all are given to who is alone.
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
  /** Of each client what it asks for, in order; the client whose turn is next comes first. */
  readonly #waiting = new Map<object, Set<Waiting>>()
  #used = 0

  constructor(bytesMax: number) {
    this.#bytesMax = bytesMax
  }
  get used(): number {
    return this.#used
  }
  /** Rejects with the signal's reason. Without a client: all those are one. */
  take(bytes: number, signal: AbortSignal, client: object = this): Promise<Share> {
    if (signal.aborted) return Promise.reject(signal.reason as Error)
    if (this.#waiting.size === 0 && this.#fits(bytes)) return Promise.resolve(this.#share(bytes))
    const { promise, resolve, reject } = Promise.withResolvers<Share>()
    const waiting: Waiting = { bytes, resolve }
    const aborted = (): void => {
      if (!this.#leave(client, waiting)) return
      reject(signal.reason as Error)
      this.#next()
    }
    signal.addEventListener('abort', aborted, { once: true })
    const own = this.#waiting.get(client)
    if (own === undefined) this.#waiting.set(client, new Set([waiting]))
    else own.add(waiting)
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
  /** False: it does not wait any more. */
  #leave(client: object, waiting: Waiting): boolean {
    const own = this.#waiting.get(client)
    if (own?.delete(waiting) !== true) return false
    if (own.size === 0) this.#waiting.delete(client)
    return true
  }
  #next(): void {
    for (const [client, own] of this.#waiting) {
      const [one] = own
      if (one === undefined || !this.#fits(one.bytes)) return
      this.#leave(client, one)
      // Behind all others: the iteration comes to it again after them.
      if (this.#waiting.delete(client)) this.#waiting.set(client, own)
      one.resolve(this.#share(one.bytes))
    }
  }
}
