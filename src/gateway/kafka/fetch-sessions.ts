/**
 * Incremental fetch (KIP-227): a client names its partitions once, then sends and gets only what changed. A session is a
 * list of partitions with what the client was last told of each.
 *
 * Bounded: the session that was idle longest makes room for a new one, and its client is sent back to a full fetch.
 * Partitions that gave data go to the end of the list, so that a small `maxBytes` starves none of them.
 */
import type { Random } from '../../lib/world.ts'

export interface SessionPartition {
  /** The topic's name, or its id in a session by ids. */
  readonly topic: string
  readonly index: number
  offset: number
  maxBytes: number
  leaderEpoch: number
  /** As last told; −1 at first. */
  highWatermark: number
  start: number
}
export interface FetchSession {
  readonly id: number
  readonly byId: boolean
  /** Epoch that the next request must carry. */
  epoch: number
  readonly partitions: Map<string, SessionPartition>
}

export const partitionKey = (topic: string, index: number): string => `${topic}/${index}`
const epochMax = 0x7fff_ffff
export const nextEpoch = (epoch: number): number => (epoch === epochMax ? 1 : epoch + 1)

export class FetchSessions {
  private readonly random: Random
  private readonly sessionsMax: number
  private readonly partitionsMax: number
  private partitionCount = 0
  /** Oldest use first. */
  private readonly sessions = new Map<number, FetchSession>()

  constructor(random: Random, bounds: { readonly sessionsMax: number; readonly partitionsMax: number }) {
    this.random = random
    this.sessionsMax = bounds.sessionsMax
    this.partitionsMax = bounds.partitionsMax
  }

  get size(): number {
    return this.sessions.size
  }
  /** null: there is no room for a session of so many partitions; the client goes on with full fetches. */
  open(byId: boolean, partitions: Map<string, SessionPartition>): FetchSession | null {
    if (partitions.size === 0 || partitions.size > this.partitionsMax) return null
    let id = 0
    while (id === 0 || this.sessions.has(id)) id = 1 + Math.floor(this.random.fraction() * (epochMax - 1))
    const session: FetchSession = { id, byId, epoch: 1, partitions }
    this.sessions.set(id, session)
    this.partitionCount += partitions.size
    this.makeRoom()
    return session
  }
  private makeRoom(): void {
    while (
      this.sessions.size > 1 &&
      (this.sessions.size > this.sessionsMax || this.partitionCount > this.partitionsMax)
    )
      this.close(this.sessions.keys().next().value!)
  }
  /** The session, as used just now. */
  use(id: number): FetchSession | null {
    const session = this.sessions.get(id)
    if (session === undefined) return null
    this.sessions.delete(id)
    this.sessions.set(id, session)
    return session
  }
  close(id: number): void {
    const session = this.sessions.get(id)
    if (session === undefined) return
    this.partitionCount -= session.partitions.size
    this.sessions.delete(id)
  }
  /** False: no session has room for so many. */
  put(session: FetchSession, partition: SessionPartition): boolean {
    const key = partitionKey(partition.topic, partition.index)
    const known = session.partitions.get(key)
    if (known !== undefined) {
      known.offset = partition.offset
      known.maxBytes = partition.maxBytes
      known.leaderEpoch = partition.leaderEpoch
      return true
    }
    if (session.partitions.size >= this.partitionsMax) return false
    session.partitions.set(key, partition)
    this.partitionCount++
    this.makeRoom()
    return true
  }
  forget(session: FetchSession, topic: string, index: number): void {
    if (session.partitions.delete(partitionKey(topic, index))) this.partitionCount--
  }
}
