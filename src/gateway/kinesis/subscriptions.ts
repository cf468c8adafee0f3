/** Who is subscribed to which shard: of a consumer one at a time, the newer takes the place of the older. */
import type { Clock } from '../../lib/world.ts'
import { inUse } from './errors.ts'
import { shardId } from './shards.ts'

/** So soon nobody takes the place of another: that would be a loop of clients that push each other out. */
const settledMs = 5_000

interface Subscription {
  readonly consumer: string
  readonly sinceMs: number
  readonly ended: AbortController
}

export class Subscriptions {
  readonly #clock: Clock
  readonly #open = new Map<string, Subscription>()

  constructor(clock: Clock) {
    this.#clock = clock
  }
  /** Aborted when it is over, whoever ends it. Throws ServiceError ResourceInUseException. */
  begin(topicId: string, consumer: string, shard: number, gone: AbortSignal): AbortSignal {
    const key = `${topicId}/${shard}/${consumer}`
    const nowMs = this.#clock.monotonic()
    const before = this.#open.get(key)
    if (before !== undefined && nowMs - before.sinceMs < settledMs)
      throw inUse(`Another active subscription exists for this consumer: ${consumer}, ${shardId(shard)}.`)
    before?.ended.abort()
    const ended = new AbortController()
    const mine: Subscription = { consumer: `${topicId}/${consumer}`, sinceMs: nowMs, ended }
    this.#open.set(key, mine)
    const end = (): void => ended.abort()
    gone.addEventListener('abort', end, { once: true })
    ended.signal.addEventListener(
      'abort',
      () => {
        gone.removeEventListener('abort', end)
        if (this.#open.get(key) === mine) this.#open.delete(key)
      },
      { once: true },
    )
    if (gone.aborted) end()
    return ended.signal
  }
  /** How many shards a consumer is subscribed to now. */
  open(topicId: string, consumer: string): number {
    return [...this.#open.values()].filter((one) => one.consumer === `${topicId}/${consumer}`).length
  }
  endAll(topicId: string, consumer: string): void {
    for (const one of [...this.#open.values()]) if (one.consumer === `${topicId}/${consumer}`) one.ended.abort()
  }
}
