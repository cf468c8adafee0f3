/**
 * Share sessions (KIP-932): which partitions a member of a share group fetches from, so that it names them once. There is
 * one for each member; it ends with the connection that opened it, and what the member holds is given back then. When
 * there is no room for one more, a client is told so: nobody's session is taken from it.
 */
import type { QueueRef } from '../../log/queues/queues.ts'

export interface ShareSession {
  readonly group: string
  readonly member: string
  /** Epoch that the next request must carry. */
  epoch: number
  readonly partitions: Map<string, QueueRef>
  readonly signal: AbortSignal
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
  /** In place of the one that the member has. `gone` is called when the connection closes. null: there is no room. */
  open(
    of: { group: string; member: string; signal: AbortSignal },
    partitions: Map<string, QueueRef>,
    gone: (session: ShareSession) => void,
  ): ShareSession | null {
    const former = this.get(of.group, of.member)
    if (former !== null) this.close(former)
    const { sessionsMax, partitionsMax } = this.#bounds
    if (this.#sessions.size >= sessionsMax || this.#partitions + partitions.size > partitionsMax) return null
    const session: ShareSession = { ...of, epoch: 1, partitions }
    this.#sessions.set(sessionKey(of.group, of.member), session)
    this.#partitions += partitions.size
    this.#ofConnection(of.signal, gone).add(session)
    return session
  }
  #ofConnection(signal: AbortSignal, gone: (session: ShareSession) => void): Set<ShareSession> {
    const known = this.#byConnection.get(signal)
    if (known !== undefined) return known
    const sessions = new Set<ShareSession>()
    this.#byConnection.set(signal, sessions)
    const closed = (): void => {
      for (const session of sessions) {
        this.close(session)
        gone(session)
      }
    }
    signal.addEventListener('abort', closed, { once: true })
    return sessions
  }
  /** False: there is no room for so many. */
  add(session: ShareSession, partitions: readonly QueueRef[]): boolean {
    const before = session.partitions.size
    if (this.#partitions + partitions.length > this.#bounds.partitionsMax) return false
    for (const of of partitions) session.partitions.set(queueKey(of), of)
    this.#partitions += session.partitions.size - before
    return true
  }
  forget(session: ShareSession, of: QueueRef): void {
    if (session.partitions.delete(queueKey(of))) this.#partitions--
  }
  close(session: ShareSession): void {
    const key = sessionKey(session.group, session.member)
    if (this.#sessions.get(key) !== session) return
    this.#sessions.delete(key)
    this.#partitions -= session.partitions.size
    this.#byConnection.get(session.signal)?.delete(session)
  }
}
