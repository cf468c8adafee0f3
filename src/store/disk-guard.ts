/** Stops intake before the disk is full, and lets it go on when there is space again. Asks the disk only now and then. */
import { Fault } from '../lib/fault.ts'
import type { World } from '../lib/world.ts'

const askEveryMs = 250
const askEveryMsWhileFull = 100
const askEveryBytesMax = 64 * 1024 * 1024

export class DiskGuard {
  readonly #world: World
  readonly #path: string
  readonly #reserveBytes: number
  #free = 0
  /** Bytes that may be taken before the disk is asked again. */
  #allowance = 0
  #askAtMs = 0
  #isFull = false

  constructor(world: World, path: string, reserveBytes: number) {
    this.#world = world
    this.#path = path
    this.#reserveBytes = reserveBytes
  }
  /** Throws Fault store.full when `bytes` more would not leave the reserve free, or this part of it. */
  take(bytes: number, reserveKept = 1): void {
    if (bytes > this.#allowance || this.#world.clock.monotonic() >= this.#askAtMs) this.#ask(bytes)
    if (bytes <= this.#allowance) this.#allowance -= bytes
    else if (this.#free - bytes >= this.#reserveBytes * reserveKept && reserveKept < 1) this.#free -= bytes
    else throw this.fault()
  }
  /** Takes what nobody needs, if there is plenty. */
  takeSpare(bytes: number): boolean {
    if (this.#isFull || bytes > this.#allowance) return false
    this.#allowance -= bytes
    return true
  }
  /** The disk itself said that it is full. */
  hitTheEnd(): Fault {
    this.#allowance = 0
    this.#isFull = true
    this.#askAtMs = this.#world.clock.monotonic() + askEveryMsWhileFull
    this.#free = 0
    return this.fault()
  }
  fault(): Fault {
    return new Fault('store.full', { path: this.#path, freeBytes: this.#free })
  }
  /** A disk that does not even answer this will say so when it is written to. */
  #freeNow(): number {
    try {
      return this.#world.disk.free(this.#path)
    } catch {
      return Number.MAX_SAFE_INTEGER
    }
  }
  #ask(bytes: number): void {
    const nowMs = this.#world.clock.monotonic()
    if (bytes > this.#allowance && this.#isFull && nowMs < this.#askAtMs) return
    this.#free = this.#freeNow()
    const spare = this.#free - this.#reserveBytes
    this.#isFull = spare < bytes
    // Half of what is spare: others write to the disk as well.
    this.#allowance = this.#isFull ? 0 : Math.max(bytes, Math.min(askEveryBytesMax, spare / 2))
    this.#askAtMs = nowMs + (this.#isFull ? askEveryMsWhileFull : askEveryMs)
  }
}
