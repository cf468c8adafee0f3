/**
 * Incremental fetch (KIP-227): a client names its partitions once, then sends and gets only what changed. A session is a
 * list of partitions with what the client was last told of each.
 *
 * Bounded, over all clients. Whose sessions take most makes room, and its client is sent back to full fetches: of too many
 * sessions the one that was idle longest, of too many partitions the largest. So nobody loses a session to somebody who
 * holds more, and who holds more than there is room for goes without.
 *
 * Partitions that gave data go to the end of the list, so that a small `maxBytes` starves none of them.
 */
import type { Random } from '../../lib/world.ts'
import { type Taken, TakenByOwner } from './taken.ts'

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
  /** Principal and address of the client that opened it. */
  readonly owner: string
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
  private readonly taken = new TakenByOwner()

  constructor(random: Random, bounds: { readonly sessionsMax: number; readonly partitionsMax: number }) {
    this.random = random
    this.sessionsMax = bounds.sessionsMax
    this.partitionsMax = bounds.partitionsMax
  }

  get size(): number {
    return this.sessions.size
  }
  /** null: there is no room for a session of so many partitions; the client goes on with full fetches. */
  open(owner: string, byId: boolean, partitions: Map<string, SessionPartition>): FetchSession | null {
    if (partitions.size === 0 || partitions.size > this.partitionsMax) return null
    let id = 0
    while (id === 0 || this.sessions.has(id)) id = 1 + Math.floor(this.random.fraction() * (epochMax - 1))
    const session: FetchSession = { id, owner, byId, epoch: 1, partitions }
    this.sessions.set(id, session)
    this.take(session, 1, partitions.size)
    this.makeRoom()
    return this.sessions.has(id) ? session : null
  }
  private take({ owner }: FetchSession, sessions: number, partitions: number): void {
    this.taken.add(owner, { sessions, partitions })
    this.partitionCount += partitions
  }
  private makeRoom(): void {
    while (this.sessions.size > this.sessionsMax) this.close(this.ofGreatest('sessions').next().value!.id)
    while (this.partitionCount > this.partitionsMax) {
      let largest: FetchSession | null = null
      for (const one of this.ofGreatest('partitions'))
        if (largest === null || one.partitions.size > largest.partitions.size) largest = one
      this.close(largest!.id)
    }
  }
  /** Of those owners that take most of it, oldest use first. */
  private *ofGreatest(what: keyof Taken): Generator<FetchSession, undefined> {
    const most = this.taken.most(what)
    for (const one of this.sessions.values()) if (this.taken.of(one.owner)[what] === most) yield one
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
    this.sessions.delete(id)
    this.take(session, -1, -session.partitions.size)
  }
  /** False: the session has no room for so many, or has had to make room for others'. */
  put(session: FetchSession, partition: SessionPartition): boolean {
    if (!this.sessions.has(session.id)) return false
    const key = partitionKey(partition.topic, partition.index)
    const known = session.partitions.get(key)
    if (known !== undefined) {
      known.offset = partition.offset
      known.maxBytes = partition.maxBytes
      known.leaderEpoch = partition.leaderEpoch
      return true
    }
    session.partitions.set(key, partition)
    this.take(session, 0, 1)
    this.makeRoom()
    return this.sessions.has(session.id)
  }
  forget(session: FetchSession, topic: string, index: number): void {
    if (this.sessions.has(session.id) && session.partitions.delete(partitionKey(topic, index)))
      this.take(session, 0, -1)
  }
}
