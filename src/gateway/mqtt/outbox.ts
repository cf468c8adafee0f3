/**
 * What goes to a client. All of one turn of the event loop is one write; what the client has not taken is counted, for it
 * alone and over all.
 */
import { limits } from '../../lib/limits.ts'
import type { Connection } from '../../lib/world.ts'
import { binaryHead } from '../../wire/mqtt/web-socket.ts'
import type { PacketWriter } from '../../wire/mqtt/writer.ts'
import type { ClientConnection } from './connection.ts'

/** So much goes out at once, at the end of a turn at the latest. */
const writeBytes = 64 * 1024

export class Outbox {
  /** Of the client: what it takes. */
  packetBytesMax = Infinity
  /** Each write is a message of a WebSocket. */
  isFramed = false
  /** Written and not taken, as far as it is known. */
  backlogBytes = 0
  readonly #connection: Connection
  readonly #owner: ClientConnection
  #out: PacketWriter | null = null
  #isClosed = false
  #stalledSinceMs: number | null = null

  constructor(connection: Connection, owner: ClientConnection) {
    this.#connection = connection
    this.#owner = owner
    connection.onDrain(() => {
      this.#stalledSinceMs = null
      this.#count()
      owner.roomAgain()
    })
  }
  hasRoom(bytes: number): boolean {
    if (this.backlogBytes > limits.mqttBacklogBytes) return false
    if (!this.#owner.server.isBehind || this.backlogBytes + bytes <= limits.mqttBacklogBytesFew) return true
    this.#owner.server.waitsForRoom(this.#owner)
    return false
  }
  /** Goes out at the end of this turn, with what else there is by then. False: it is larger than the client takes. */
  write(write: (out: PacketWriter) => void): boolean {
    const { server } = this.#owner
    if (this.#out === null) {
      this.#out = server.writer()
      server.flushLater(this)
    }
    const from = this.#out.at
    try {
      write(this.#out)
    } catch (error) {
      // Half a packet would spoil all that follows.
      this.#out.cut(from)
      throw error
    }
    const isTaken = this.#out.at - from <= this.packetBytesMax
    if (!isTaken) this.#out.cut(from)
    // What has come together for one write goes: only what the client does not take may make it slow.
    if (this.#out.at >= writeBytes) this.flush()
    return isTaken
  }
  flush(): void {
    const out = this.#out
    if (out === null) return
    this.#out = null
    // What waits to be taken must hold nothing but itself.
    const bytes = out.take(this.backlogBytes === 0)
    this.#owner.server.giveBack(out)
    if (bytes.length > 0 && !this.#isClosed) this.send(this.isFramed ? [binaryHead(bytes.length), bytes] : [bytes])
  }
  send(pieces: readonly Uint8Array[]): void {
    if (this.#connection.write(pieces)) return
    this.#stalledSinceMs ??= this.#owner.server.clock.monotonic()
    this.#count()
    this.#owner.stalled()
  }
  #count(): void {
    const bytes = this.#isClosed ? 0 : this.#connection.backlogBytes
    const more = bytes - this.backlogBytes
    this.backlogBytes = bytes
    if (more !== 0) this.#owner.server.backlog(more)
  }
  /** Asked once a second. */
  isStalled(nowMs: number): boolean {
    if (this.#stalledSinceMs === null) return false
    const before = this.backlogBytes
    this.#count()
    // What it has taken shows when it has taken a whole piece.
    if (this.backlogBytes < before) this.#stalledSinceMs = nowMs
    const { mqttStalledMs, mqttStalledMsBehind } = limits
    return nowMs - this.#stalledSinceMs > (this.#owner.server.isBehind ? mqttStalledMsBehind : mqttStalledMs)
  }
  close(): void {
    this.#isClosed = true
    this.#count()
    if (this.#out !== null) this.#owner.server.giveBack(this.#out)
    this.#out = null
  }
}
