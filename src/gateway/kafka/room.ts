/**
 * Memory for requests that are taken in and not answered, over all connections. Large requests have a room of their own:
 * a few of them that do not end may take all of it, and then ordinary ones go on.
 *
 * A request that has begun is read to its end even when its room is full: it may be what frees it. One that begins in a
 * full room waits with what has come of it, which is a piece at most and counted by itself, so that there is room again
 * when the others are done. Who holds room and sends next to nothing, or has not finished after a time that
 * is long for that, gives it up, the oldest first, until there is room.
 */
import { limits } from '../../lib/limits.ts'
import type { FrameReader } from './frame.ts'

/** A connection. */
export interface Guest {
  readonly arrival: Arrival
  /** When its request that is not whole yet began. */
  readonly frameTick: number
  /** It is not read. */
  readonly waits: boolean
  resumeIfRoom(): void
  failUnfinished(): void
}
/** One tick may follow a hold-up of this process, in which nothing was read. */
const stalledTicksMax = 2

export class Room {
  bytes = 0
  /** Of those that wait for room. */
  waitingBytes = 0
  readonly bytesMax: number
  /** The last tick at which there was room. */
  #fullSinceTick = 1
  readonly #waiting = new Set<Guest>()

  constructor(bytesMax: number) {
    this.bytesMax = bytesMax
  }
  get isFull(): boolean {
    return this.bytes > this.bytesMax
  }
  /** Memory need not be earned by what has come. */
  get isRoomy(): boolean {
    return this.bytes < this.bytesMax / 2
  }
  take(bytes: number): void {
    this.bytes += bytes
  }
  release(bytes: number): void {
    this.bytes -= bytes
    // Each takes of it what it holds.
    for (const guest of this.#waiting) {
      if (this.isFull) return
      this.#waiting.delete(guest)
      guest.resumeIfRoom()
    }
  }
  wait(guest: Guest): void {
    this.#waiting.add(guest)
  }
  forget(guest: Guest): void {
    this.#waiting.delete(guest)
  }
  tick(tick: number, tickMs: number, guests: Iterable<Guest>): void {
    if (!this.isFull) this.#fullSinceTick = tick
    if (this.#fullSinceTick === tick) return
    const since = tick - limits.kafkaFullMs / tickMs
    const isLong = this.#fullSinceTick <= since
    const slow = [...guests].filter(
      ({ arrival, waits, frameTick }) =>
        arrival.room === this && !waits && (arrival.stalledTicks >= stalledTicksMax || (isLong && frameTick <= since)),
    )
    for (const one of slow.toSorted((a, b) => a.frameTick - b.frameTick)) if (this.isFull) one.failUnfinished()
  }
}

/** By the length of a request. */
export class Rooms {
  readonly ordinary = new Room(limits.kafkaOrdinaryBytesInFlight)
  readonly large = new Room(limits.kafkaBytesInFlight)
  readonly all = [this.ordinary, this.large] as const

  for(length: number): Room {
    return length > limits.kafkaOrdinaryFrameBytes ? this.large : this.ordinary
  }
}

/** The request of a connection that is not whole yet, and the room that it takes. */
export class Arrival {
  /** Whose memory it takes; null = there is none. */
  room: Room | null = null
  /** Ticks in a row in which next to nothing of it came, though it was read. */
  stalledTicks = 0
  readonly #frames: FrameReader
  readonly #rooms: Rooms
  #heldBytes = 0
  /** It began in a full room: it waits. */
  #beganInFull = false
  #begun = 0
  /** At the last tick: which one it was, and how much of it had come. */
  #begunAtTick = 0
  #filledAtTick = 0

  constructor(frames: FrameReader, rooms: Rooms) {
    this.#frames = frames
    this.#rooms = rooms
  }
  /** Bytes have come. */
  note(): void {
    const { heldBytes, length, begun } = this.#frames
    this.#hold(0)
    this.room = heldBytes === 0 ? null : this.#rooms.for(length)
    if (begun !== this.#begun) this.#beganInFull = this.room?.isFull === true
    this.#begun = begun
    this.#hold(heldBytes)
  }
  #hold(bytes: number): void {
    const more = bytes - this.#heldBytes
    if (this.room !== null && this.#beganInFull) this.room.waitingBytes += more
    else this.room?.take(more)
    this.#heldBytes = bytes
  }
  /**
   * It must go: too many wait, or twice the limit is taken, which only those do that had begun before it was reached.
   * Returns how much they hold.
   */
  get overfullBytes(): number | null {
    if (this.room === null) return null
    const { bytes, waitingBytes, bytesMax } = this.room
    if (this.#beganInFull) return waitingBytes > bytesMax ? waitingBytes : null
    return bytes > 2 * bytesMax ? bytes : null
  }
  /** The room that it has to wait for; where nothing is known of the next one yet, that of ordinary ones. */
  waitsFor(): Room | null {
    if (this.room !== null && !this.#beganInFull) return null
    const room = this.room ?? this.#rooms.ordinary
    return room.isFull ? room : null
  }
  goOn(): void {
    const bytes = this.#heldBytes
    this.#hold(0)
    this.#beganInFull = false
    this.#hold(bytes)
  }
  tick(tickMs: number, waits: boolean): void {
    const { begun, filledBytes } = this.#frames
    const isRead = this.room !== null && !waits && begun === this.#begunAtTick
    const isStalled = isRead && filledBytes - this.#filledAtTick < (limits.kafkaFrameBytesPerSecond * tickMs) / 1_000
    this.stalledTicks = isStalled ? this.stalledTicks + 1 : 0
    this.#begunAtTick = begun
    this.#filledAtTick = filledBytes
  }
  drop(): void {
    const { room } = this
    this.#hold(0)
    this.room = null
    room?.release(0)
  }
}
