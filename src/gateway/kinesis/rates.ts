/** The service's limits of a shard, where the gateway is told to keep to them: so much a second, counted second by second. */
import type { Clock } from '../../lib/world.ts'

const writes = { records: 1_000, bytes: 1024 * 1024 }
const reads = { records: 5, bytes: 2 * 1024 * 1024 }
const shardsMax = 100_000

interface Counted {
  second: number
  records: number
  bytes: number
}

export class Rates {
  readonly #clock: Clock
  readonly #counted = new Map<string, Counted>()

  constructor(clock: Clock) {
    this.#clock = clock
  }
  /** False when the shard has taken what it takes in a second; a record that is too large for that is let in alone. */
  mayWrite(shard: string, bytes: number): boolean {
    const now = this.#of(`w/${shard}`)
    if (now.records >= writes.records || (now.records > 0 && now.bytes + bytes > writes.bytes)) return false
    now.records++
    now.bytes += bytes
    return true
  }
  /** False when it was asked, or has given, as much as it may. */
  mayRead(shard: string): boolean {
    const now = this.#of(`r/${shard}`)
    if (now.records >= reads.records || now.bytes >= reads.bytes) return false
    now.records++
    return true
  }
  hasRead(shard: string, bytes: number): void {
    this.#of(`r/${shard}`).bytes += bytes
  }
  #of(key: string): Counted {
    const second = Math.floor(this.#clock.monotonic() / 1_000)
    let counted = this.#counted.get(key)
    if (counted === undefined) {
      if (this.#counted.size >= shardsMax) this.#counted.clear()
      this.#counted.set(key, (counted = { second, records: 0, bytes: 0 }))
    }
    if (counted.second !== second) Object.assign(counted, { second, records: 0, bytes: 0 })
    return counted
  }
}
