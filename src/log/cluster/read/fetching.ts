/** A fetch under way on a lane of its own, or answered and not taken yet. */
import type { Broker, Lane } from '../net/broker.ts'
import { disconnection } from '../net/network.ts'
import { type Fetched, type FetchWishes, type Position, askFetch } from './fetch.ts'

export class Fetching {
  readonly from: readonly Position[]
  /** null while it is under way; [] when the connection was lost. */
  answer: readonly Fetched[] | null = null
  /** What is wrong with the broker beyond a lost connection. */
  error: unknown = null
  readonly done: Promise<void>
  #lane: Lane | null = null
  #cancelled = false

  constructor(broker: Broker, from: readonly Position[], wishes: FetchWishes) {
    this.from = from
    this.done = this.#run(broker, wishes)
  }
  async #run(broker: Broker, wishes: FetchWishes): Promise<void> {
    try {
      const lane = await broker.lane()
      this.#lane = lane
      if (!this.#cancelled) this.answer = await askFetch(lane, this.from, wishes)
    } catch (error) {
      try {
        disconnection(error)
      } catch {
        this.error = error
      }
    } finally {
      this.answer ??= []
      this.#lane?.release()
      this.#lane = null
    }
  }
  /** Nobody wants the answer any more. */
  cancel(): void {
    this.#cancelled = true
    this.#lane?.release()
  }
}
