/**
 * Which messages are out, how large they are and through which stream they went: what flow control counts. The queue knows
 * whose locks hold; here a lease whose time has passed is taken back when somebody looks.
 */
import type { Clock } from '../../lib/world.ts'

/** A stream, or whoever else limits what it has out. */
export interface Holder {
  messages: number
  bytes: number
  /** Called when it has less out. */
  freed(): void
}
export interface Lease {
  readonly bytes: number
  readonly holder: Holder | null
  untilMs: number
}

export class Leases {
  readonly #clock: Clock
  readonly #byPartition = new Map<number, Map<number, Lease>>()

  constructor(clock: Clock) {
    this.#clock = clock
  }
  add(partition: number, offset: number, lease: Lease): void {
    const { holder, bytes } = lease
    if (holder === null) return
    let leases = this.#byPartition.get(partition)
    if (leases === undefined) this.#byPartition.set(partition, (leases = new Map()))
    const before = leases.get(offset)
    if (before !== undefined) release(before)
    leases.set(offset, lease)
    holder.messages++
    holder.bytes += bytes
  }
  remove(partition: number, offset: number): void {
    const leases = this.#byPartition.get(partition)
    const lease = leases?.get(offset)
    if (lease === undefined) return
    leases!.delete(offset)
    release(lease)
  }
  extend(partition: number, offset: number, ms: number): void {
    const lease = this.#byPartition.get(partition)?.get(offset)
    if (lease !== undefined) lease.untilMs = this.#clock.monotonic() + ms
  }
  /** Those that are over, and all of a holder that is gone. */
  sweep(gone: Holder | null = null): void {
    const nowMs = this.#clock.monotonic()
    for (const leases of this.#byPartition.values())
      for (const [offset, lease] of leases)
        if (lease.untilMs <= nowMs || lease.holder === gone) {
          leases.delete(offset)
          release(lease)
        }
  }
  clear(): void {
    for (const leases of this.#byPartition.values()) for (const lease of leases.values()) release(lease)
    this.#byPartition.clear()
  }
}
function release({ holder, bytes }: Lease): void {
  if (holder === null) return
  holder.messages--
  holder.bytes -= bytes
  holder.freed()
}
