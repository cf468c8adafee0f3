/**
 * For work on lists that a client may have made long: a hundred thousand small steps, each of which is done at once, would
 * keep everybody else waiting until the last. After some milliseconds the others have their turn.
 */
import type { Clock } from './world.ts'

const turnMs = 10

export class Turns {
  readonly #clock: Clock
  #endMs: number

  constructor(clock: Clock) {
    this.#clock = clock
    this.#endMs = clock.monotonic() + turnMs
  }
  get isOver(): boolean {
    return this.#clock.monotonic() >= this.#endMs
  }
  async next(): Promise<void> {
    await new Promise<void>((resolve) => this.#clock.soon(resolve))
    this.#endMs = this.#clock.monotonic() + turnMs
  }
}
