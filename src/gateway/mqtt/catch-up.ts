/**
 * What lies behind subscribers is read for all of them together: a piece of a partition is read and looked through once for
 * everybody who stands in it, and they go on from its end. So thousands that come back at once cost the log one pass, not one each.
 *
 * Every other read is for who stands lowest: that brings together those who stand apart, since it meets each of them on its way
 * up. The reads between are for who has waited longest: nobody waits for one that is very far behind. A pass that takes all along is at most
 * twice as many reads as the lowest alone would need.
 */
import { asFault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import type { LogRecord } from '../../log/batch.ts'
import type { Partition } from '../../log/log.ts'
import type { Delivery, Feed } from './feed.ts'
import type { Followed } from './log-topics.ts'

interface Waiting {
  readonly feed: Feed
  readonly from: number
  readonly done: () => void
}
interface Parts {
  readonly clock: Clock
  /** Some records from there on, and where to go on; null: there is no such partition any more. */
  readonly read: (
    partition: Partition,
    from: number,
  ) => Promise<{ readonly records: readonly LogRecord[]; readonly next: number } | null>
  /** How a record is for those of the feeds that it is for. */
  readonly deliveriesOf: (
    record: LogRecord,
    from: Followed,
    isAsked: (feed: Feed) => boolean,
  ) => Iterable<readonly [Feed, Delivery]>
  readonly failed: (error: unknown) => void
}
const afterFaultMs = 500

export class CatchUp {
  readonly #parts: Parts
  /** In the order in which they came. */
  readonly #waiting = new Map<Followed, Waiting[]>()

  constructor(parts: Parts) {
    this.#parts = parts
  }
  /** Resolves when the feed has been moved on from there, as far as it had room. */
  read(feed: Feed, followed: Followed, from: number): Promise<void> {
    return new Promise((done) => {
      const waiting = this.#waiting.get(followed)
      if (waiting !== undefined) return void waiting.push({ feed, from, done })
      this.#waiting.set(followed, [{ feed, from, done }])
      void this.#serve(followed)
    })
  }
  async #serve(followed: Followed): Promise<void> {
    for (let isLowest = true; ; isLowest = !isLowest) {
      // Others have their turn, also where all lies in memory; and who goes on asks again meanwhile.
      await new Promise<void>((resolve) => this.#parts.clock.soon(resolve))
      const waiting = this.#waiting.get(followed)!
      if (waiting.length === 0) {
        this.#waiting.delete(followed)
        return
      }
      const at = isLowest ? waiting.reduce((low, { from }) => Math.min(low, from), Infinity) : waiting[0]!.from
      const next = await this.#pass(followed, at)
      const isServed = ({ from }: Waiting): boolean => from >= at && from < next
      const served = waiting.filter(isServed)
      this.#waiting.set(
        followed,
        waiting.filter((one) => !isServed(one)),
      )
      for (const { done } of served) done()
    }
  }
  /** Returns the end of what has been read: who stands before it has been moved on. */
  async #pass(followed: Followed, at: number): Promise<number> {
    let found: Awaited<ReturnType<Parts['read']>>
    try {
      found = await this.#parts.read(followed.partition, at)
    } catch (error) {
      if (asFault(error).code !== 'log.closed') this.#parts.failed(error)
      await this.#parts.clock.sleep(afterFaultMs)
      return Infinity
    }
    const end = followed.next
    const next = found === null || end === null ? Infinity : Math.min(found.next, end)
    // Who stands beyond the end is sent back there.
    const upTo = Math.max(next, at + 1)
    const here = new Map<Feed, number>()
    for (const { feed, from } of this.#waiting.get(followed)!)
      if (from >= at && from < upTo && feed.standsAt(followed) === from) here.set(feed, from)
    if (found !== null && end !== null) this.#give(found.records, followed, end, here)
    for (const feed of here.keys()) feed.moveTo(followed, next)
    return upTo
  }
  /** Who has no more room stands at what it could not take, and is not among the others any more. */
  #give(records: readonly LogRecord[], followed: Followed, end: number, here: Map<Feed, number>): void {
    let offset = 0
    const isAsked = (feed: Feed): boolean => (here.get(feed) ?? Infinity) <= offset
    for (const record of records) {
      offset = record.offset
      if (offset >= end || here.size === 0) return
      for (const [feed, delivery] of this.#parts.deliveriesOf(record, followed, isAsked)) {
        if (feed.takeBehind(delivery)) continue
        here.delete(feed)
        feed.moveTo(followed, offset)
      }
    }
  }
}
