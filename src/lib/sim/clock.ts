/**
 * Time that moves only when it is told to. Everything that waits stands in one queue, ordered by when it is due and then
 * by when it was asked for; between two of its entries all promises settle.
 */
import { type TimeMs, timeMs } from '../brand.ts'
import { sleepBy } from '../sleep.ts'
import type { Clock } from '../world.ts'

interface Event {
  readonly dueMs: number
  readonly number: number
  readonly call: () => void
  cancelled: boolean
}

export class VirtualClock implements Clock {
  readonly #startMs: number
  /** Milliseconds since the start. */
  #atMs = 0
  /** What the wall clock is off by. */
  #jumpMs = 0
  #number = 0
  #stepping: Promise<void> | null = null
  #whenStill: (() => void)[] = []
  /** A binary heap. */
  #queue: Event[] = []
  readonly #onEvent: (number: number, atMs: number) => void

  constructor(startMs: number, onEvent: (number: number, atMs: number) => void = () => {}) {
    this.#startMs = startMs
    this.#onEvent = onEvent
  }
  now(): TimeMs {
    return timeMs(Math.floor(this.#startMs + this.#atMs + this.#jumpMs))
  }
  monotonic(): number {
    return this.#atMs
  }
  sleep(ms: number, signal?: AbortSignal): Promise<void> {
    return sleepBy(this, ms, signal)
  }
  after(ms: number, call: () => void): () => void {
    const event = { dueMs: this.#atMs + Math.max(0, ms), number: this.#number++, call, cancelled: false }
    this.#push(event)
    return () => {
      event.cancelled = true
    }
  }
  soon(call: () => void): void {
    this.after(0, call)
  }
  /** Time passes: whatever falls due happens, in order. */
  async advance(ms: number): Promise<void> {
    const endMs = this.#atMs + ms
    await settled()
    // Somebody else may let more time pass: what is beyond the end is not waited for.
    const isUnderWay = (): boolean => this.#stepping !== null && this.#atMs <= endMs
    while (isUnderWay() || (this.#queue.length > 0 && this.#queue[0]!.dueMs <= endMs)) await this.#step()
    this.#atMs = Math.max(this.#atMs, endMs)
  }
  /** Lets time pass, from event to event, until `promise` is settled; answers as it does. */
  async until<T>(promise: Promise<T>): Promise<T> {
    let isSettled = false
    const settle = (): void => {
      isSettled = true
    }
    promise.then(settle, settle)
    await settled()
    while (!isSettled) {
      if (this.#queue.length === 0 && this.#stepping === null)
        throw new Error('nothing is left that could settle the promise')
      await this.#step()
    }
    return promise
  }
  /**
   * Calls when all that can happen without time passing has, also where somebody else lets time pass: a process that dies
   * between two events has nothing under way that would go on after its death.
   */
  async still(call: () => void): Promise<void> {
    await settled()
    if (this.#stepping === null) return call()
    await new Promise<void>((resolve) =>
      this.#whenStill.push(() => {
        call()
        resolve()
      }),
    )
  }
  /** The wall clock is set to another time. */
  jump(ms: number): void {
    this.#jumpMs += ms
  }
  /** Whatever waited will never happen: its process is dead. */
  forgetAll(): void {
    this.#queue = []
  }
  /** Several may let time pass at once: they share the steps. */
  #step(): Promise<void> {
    this.#stepping ??= this.#next().finally(() => {
      this.#stepping = null
      for (const call of this.#whenStill.splice(0)) call()
    })
    return this.#stepping
  }
  async #next(): Promise<void> {
    const event = this.#pop()
    if (event.cancelled) return
    this.#atMs = Math.max(this.#atMs, event.dueMs)
    this.#onEvent(event.number, this.#atMs)
    event.call()
    await settled()
  }
  #push(event: Event): void {
    const queue = this.#queue
    let at = queue.push(event) - 1
    while (at > 0) {
      const above = (at - 1) >> 1
      if (!isBefore(event, queue[above]!)) break
      queue[at] = queue[above]!
      at = above
    }
    queue[at] = event
  }
  #pop(): Event {
    const queue = this.#queue
    const first = queue[0]!
    const last = queue.pop()!
    if (queue.length === 0) return first
    let at = 0
    for (;;) {
      let below = 2 * at + 1
      if (below >= queue.length) break
      if (below + 1 < queue.length && isBefore(queue[below + 1]!, queue[below]!)) below++
      if (!isBefore(queue[below]!, last)) break
      queue[at] = queue[below]!
      at = below
    }
    queue[at] = last
    return first
  }
}

const isBefore = (a: Event, b: Event): boolean => a.dueMs < b.dueMs || (a.dueMs === b.dueMs && a.number < b.number)

/** Every promise that can settle without time passing has. */
const settled = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
