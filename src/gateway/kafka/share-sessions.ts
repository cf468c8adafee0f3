/**
 * Share sessions (KIP-932): which partitions a member of a share group fetches from, so that it names them once. There is
 * one for each member; it ends with the connection that opened it, and what the member holds is given back then. When
 * there is no room for one more, whoever has most of it loses a session, if that is more than the client that asks would
 * have; else the client is told that there is none.
 */
import type { QueueRef } from '../../log/queues/queues.ts'
import { type Taken, TakenByOwner } from './taken.ts'

export interface ShareSession {
  readonly group: string
  readonly member: string
  /** Epoch that the next request must carry. */
  epoch: number
  readonly partitions: Map<string, QueueRef>
  readonly signal: AbortSignal
  /** See `ownerOf`. */
  readonly owner: string
  /** Called when it is over before its member has ended it. */
  gone(session: ShareSession): void
}
export interface ShareSessionBounds {
  readonly sessionsMax: number
  readonly partitionsMax: number
}

export const queueKey = ({ topicId, index }: QueueRef): string => `${topicId}/${index}`
/** Neither of the two may be taken for a part of the other: both are any text. */
const sessionKey = (group: string, member: string): string => `${group.length} ${group}${member}`

export class ShareSessions {
  readonly #bounds: ShareSessionBounds
  readonly #sessions = new Map<string, ShareSession>()
  /** By connection: one listener for all of its sessions. */
  readonly #byConnection = new WeakMap<AbortSignal, Set<ShareSession>>()
  readonly #taken = new TakenByOwner()
  #partitions = 0

  constructor(bounds: ShareSessionBounds) {
    this.#bounds = bounds
  }
  get size(): number {
    return this.#sessions.size
  }
  get(group: string, member: string): ShareSession | null {
    return this.#sessions.get(sessionKey(group, member)) ?? null
  }
  /** In place of the one that the member has. null: there is no room. */
  open(of: Omit<ShareSession, 'epoch' | 'partitions'>, partitions: Map<string, QueueRef>): ShareSession | null {
    const former = this.get(of.group, of.member)
    if (former !== null) this.close(former)
    if (!this.#makeRoom(of.owner, { sessions: 1, partitions: partitions.size })) return null
    const session: ShareSession = { ...of, epoch: 1, partitions }
    this.#sessions.set(sessionKey(of.group, of.member), session)
    this.#take(session, 1, partitions.size)
    this.#ofConnection(of.signal).add(session)
    return session
  }
  #take({ owner }: ShareSession, sessions: number, partitions: number): void {
    this.#taken.add(owner, { sessions, partitions })
    this.#partitions += partitions
  }
  #makeRoom(owner: string, more: Taken): boolean {
    const { sessionsMax, partitionsMax } = this.#bounds
    while (this.#sessions.size + more.sessions > sessionsMax)
      if (!this.#evict('sessions', this.#taken.of(owner).sessions + more.sessions)) return false
    while (this.#partitions + more.partitions > partitionsMax)
      if (!this.#evict('partitions', this.#taken.of(owner).partitions + more.partitions)) return false
    return true
  }
  /** The largest session of whoever has most; false: nobody has more of it than that. */
  #evict(what: keyof Taken, than: number): boolean {
    const most = this.#taken.most(what)
    if (most <= than) return false
    let largest: ShareSession | null = null
    for (const one of this.#sessions.values())
      if (this.#taken.of(one.owner)[what] === most && one.partitions.size > (largest?.partitions.size ?? -1))
        largest = one
    this.close(largest!)
    largest!.gone(largest!)
    return true
  }
  #ofConnection(signal: AbortSignal): Set<ShareSession> {
    const known = this.#byConnection.get(signal)
    if (known !== undefined) return known
    const sessions = new Set<ShareSession>()
    this.#byConnection.set(signal, sessions)
    const closed = (): void => {
      for (const session of sessions) {
        this.close(session)
        session.gone(session)
      }
    }
    signal.addEventListener('abort', closed, { once: true })
    return sessions
  }
  /** False: there is no room for so many. */
  add(session: ShareSession, partitions: readonly QueueRef[]): boolean {
    const before = session.partitions.size
    if (!this.#makeRoom(session.owner, { sessions: 0, partitions: partitions.length })) return false
    for (const of of partitions) session.partitions.set(queueKey(of), of)
    this.#take(session, 0, session.partitions.size - before)
    return true
  }
  forget(session: ShareSession, of: QueueRef): void {
    if (this.#isOpen(session) && session.partitions.delete(queueKey(of))) this.#take(session, 0, -1)
  }
  close(session: ShareSession): void {
    if (!this.#isOpen(session)) return
    this.#sessions.delete(sessionKey(session.group, session.member))
    this.#take(session, -1, -session.partitions.size)
    this.#byConnection.get(session.signal)?.delete(session)
  }
  #isOpen(session: ShareSession): boolean {
    return this.get(session.group, session.member) === session
  }
}
