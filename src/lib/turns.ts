/**
 * For work on lists that a client may have made long: a hundred thousand small steps, each of which is done at once, would
 * keep everybody else waiting until the last. After some milliseconds the others have their turn.
 *
 * One for each request: parts of it that run side by side share its turn.
 */
import type { Clock } from './world.ts'

const turnMs = 10
/** What was begun goes on by itself, in nobody's turn: so much of it at once. */
const begunMax = 64

export class Turns {
  readonly #clock: Clock
  #endMs: number
  #next: Promise<void> | null = null

  constructor(clock: Clock) {
    this.#clock = clock
    this.#endMs = clock.monotonic() + turnMs
  }
  get isOver(): boolean {
    return this.#clock.monotonic() >= this.#endMs
  }
  /** For one at a time; of those side by side, who goes on first may use the turn up. */
  next(): Promise<void> {
    this.#next ??= new Promise<void>((resolve) =>
      this.#clock.soon(() => {
        this.#next = null
        this.#endMs = this.#clock.monotonic() + turnMs
        resolve()
      }),
    )
    return this.#next
  }
  async #begin(): Promise<void> {
    while (this.isOver) await this.next()
  }

  /** As `Promise.all(list.map(call))`. */
  async map<T, R>(list: readonly T[], call: (one: T, index: number) => R | Promise<R>): Promise<R[]> {
    const done: R[] = []
    for (let from = 0; from < list.length; from = done.length) {
      await this.#begin()
      const begun: (R | Promise<R>)[] = []
      for (let i = from; i < list.length && begun.length < begunMax && (begun.length === 0 || !this.isOver); i++)
        begun.push(call(list[i]!, i))
      for (const one of await Promise.all(begun)) done.push(one)
    }
    return done
  }
  /** The same for a list in each of a list, as if they were one. */
  async mapEach<T, P, R>(
    list: readonly T[],
    partsOf: (one: T) => readonly P[],
    call: (part: P, one: T) => R | Promise<R>,
  ): Promise<R[][]> {
    const parts = list.flatMap((one) => partsOf(one).map((part) => ({ part, one })))
    const done = await this.map(parts, ({ part, one }) => call(part, one))
    let from = 0
    return list.map((one) => done.slice(from, (from += partsOf(one).length)))
  }
  /** For what takes a list: it is given pieces of this length, one after the other. */
  async inPieces<T, R>(
    list: readonly T[],
    length: number,
    call: (piece: readonly T[]) => Promise<readonly R[]>,
  ): Promise<R[]> {
    const done: R[] = []
    for (let from = 0; from < list.length; from += length) {
      await this.#begin()
      for (const one of await call(list.slice(from, from + length))) done.push(one)
    }
    return done
  }
}
