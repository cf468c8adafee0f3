/**
 * Sessions by client identifier: their beginning and end, wills, and what was there at the start. A client that comes takes
 * the session it had, and the connection that had it before is told so.
 */
import { limits } from '../../lib/limits.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Clock } from '../../lib/world.ts'
import type { Subject } from '../../security/authorizer.ts'
import { user } from '../../security/principal.ts'
import type { Will } from '../../wire/mqtt/packets.ts'
import { MqttError, type Reason, reason } from '../../wire/mqtt/reason.ts'
import { levelsOf, sharedFilter } from '../../wire/mqtt/topics.ts'
import type { Sent } from '../../log/mqtt-message.ts'
import type { Access } from './access.ts'
import { isOfDisk } from './outcome.ts'
import type { PublishOptions, PublishWaiter } from './publishing.ts'
import { type Link, type Outgoing, Session, type SessionHost, never } from './session.ts'
import type { Restored, SavedSession, Store } from './store.ts'
import type { Subscriptions } from './subscriptions.ts'

export interface ConnectRequest {
  readonly subject: Subject
  readonly clean: boolean
  readonly link: Link
  /** Messages with QoS 1 and 2 that it may be sent at once. */
  readonly window: number
  readonly apply: (session: Session) => void
  readonly ready: (session: Session, isPresent: boolean) => void
}
interface Parts {
  readonly host: SessionHost & { publish(sent: Sent, options: PublishOptions, waiter: PublishWaiter): void }
  readonly clock: Clock
  readonly logger: Logger
  readonly access: Access
  readonly store: Store
  readonly subscriptions: Subscriptions
  readonly counts: { subscriptions: number }
  /** None is kept longer without its client, whatever it asked for. */
  readonly expiryMaxS: number
}
/** Kept sessions that are looked at in a second, and records behind which one is saved again. */
const refreshedPerTick = 200
const refreshedAfter = 10_000

export class Sessions {
  readonly #parts: Parts
  readonly #byClient = new Map<string, Session>()
  /** Those that wait for their client, their end, or the time of their will. */
  readonly #absent = new Set<Session>()
  /** Whose will the disk did not take. */
  #owing = new Set<Session>()
  readonly #connecting = new Map<string, Promise<void>>()
  #refreshing: Iterator<Session, undefined> = this.#byClient.values()

  constructor(parts: Parts) {
    this.#parts = parts
  }
  all(): Iterable<Session> {
    return this.#byClient.values()
  }
  get(clientId: string): Session | null {
    return this.#byClient.get(clientId) ?? null
  }
  get count(): number {
    return this.#byClient.size
  }
  /** How long it is kept without its client. */
  expiryOf({ expiryS }: Session): number {
    return Math.min(expiryS, this.#parts.expiryMaxS)
  }
  /** How many nobody is connected to. */
  get unconnected(): number {
    let count = 0
    for (const { link } of this.#byClient.values()) if (link === null) count++
    return count
  }

  /**
   * One after another for a client identifier: who had the session before is gone when the next has it. `apply` is called
   * before it is saved, `ready` when it may be said that the client is connected; then it is given messages.
   */
  connect(clientId: string, request: ConnectRequest): Promise<void> {
    return this.#inTurn(clientId, () => this.#connect(clientId, request))
  }
  async #inTurn<T>(clientId: string, work: () => Promise<T>): Promise<T> {
    const before = this.#connecting.get(clientId)
    const mine = (before ?? Promise.resolve()).then(work)
    const settled = mine.then(
      () => {},
      () => {},
    )
    this.#connecting.set(clientId, settled)
    return mine.finally(() => {
      if (this.#connecting.get(clientId) === settled) this.#connecting.delete(clientId)
    })
  }
  /** Whoever has the connection is told so, and its will is sent. Durable when it resolves; false: there is none. */
  remove(clientId: string): Promise<boolean> {
    return this.#inTurn(clientId, async () => {
      const session = this.get(clientId)
      if (session === null) return false
      session.link?.ended()
      this.end(session)
      if (session.isStored) await this.#parts.store.save(session, true)
      return true
    })
  }
  async #connect(clientId: string, { subject, clean, link, window, apply, ready }: ConnectRequest): Promise<void> {
    if (!link.isOpen) return
    let old = this.#byClient.get(clientId) ?? null
    if (old !== null && !this.#isOwner(subject, old))
      throw new MqttError(reason.notAuthorized, 'the client identifier belongs to another user')
    if (old?.link != null) {
      const { link: other } = old
      other.takenOver()
      this.disconnect(old, other, { will: true })
      old = this.#byClient.get(clientId) ?? null
    }
    if (old?.willDueMs != null && old.willDueMs <= this.#parts.clock.now()) this.#sendWill(old)
    if (old !== null && clean) {
      this.end(old)
      old = null
    }
    if (old === null && this.#byClient.size >= limits.mqttSessions)
      throw new MqttError(reason.quotaExceeded, `${limits.mqttSessions} sessions are there already`)
    if (old === null) this.#parts.subscriptions.checkRoom()
    const session = old ?? new Session(this.#parts.host, clientId, subject)
    this.#byClient.set(clientId, session)
    this.#absent.delete(session)
    session.willDueMs = null
    session.endedMs = null
    const { expiryS, version } = session
    apply(session)
    const isAsStored =
      session.isStored && session.will === null && session.expiryS === expiryS && session.version === version
    this.#parts.subscriptions.weigh(session)
    // A will is to be sent also where nobody is left to send it but the next start.
    if (session.isKept || session.will !== null || session.isStored)
      await this.#saved(session, { isNew: old === null, isAsStored })
    ready(session, old !== null)
    session.connected(link, window)
    for (const subscription of session.subscriptions.values()) subscription.group?.join(session, subscription)
    if (!link.isOpen) this.disconnect(session, link, { will: true })
  }
  /** Throws what went wrong; the client was not let in then, and its will is nobody's. */
  async #saved(session: Session, { isNew, isAsStored }: { isNew: boolean; isAsStored: boolean }): Promise<void> {
    try {
      await this.#parts.store.save(session, true)
    } catch (error) {
      // Its record says all but that somebody is connected, and says that too when the disk takes it: its client can read on.
      if (isAsStored && isOfDisk(error)) return
      session.will = null
      session.endedMs = this.#parts.clock.now()
      if (session.isKept && !isNew) this.#absent.add(session)
      else this.end(session)
      throw error
    }
  }
  #isOwner(subject: Subject, { subject: owner }: Session): boolean {
    return !this.#parts.access.isEnforced || owner.principal.name === subject.principal.name
  }
  /** Its connection is over. */
  disconnect(session: Session, link: Link, { will }: { will: boolean }): void {
    if (session.link !== link) return
    const groups = session.groups
    for (const group of groups) {
      group.leave(session)
      this.#parts.store.touchGroup(group)
    }
    session.disconnected(this.#parts.clock.now())
    for (const group of groups) group.pump()
    if (!will) session.will = null
    const delayS = Math.min(session.will?.properties?.willDelayS ?? 0, this.expiryOf(session))
    if (session.will !== null && delayS > 0) session.willDueMs = this.#parts.clock.now() + delayS * 1_000
    else this.#sendWill(session)
    if (!session.isKept) return this.end(session)
    this.#absent.add(session)
    void this.#parts.store.save(session, true).catch(() => {})
  }
  #sendWill(session: Session): void {
    const { will } = session
    session.will = null
    session.willDueMs = null
    if (will !== null) this.#publishWill(session, will)
  }
  #publishWill(session: Session, will: Will): void {
    const { clientId, subject } = session
    const stored = (): void => {
      if (session.owedWill === will) this.#owes(session, null)
    }
    const refused = (code: Reason, why: string, mayPass: boolean): void => {
      if (mayPass) return this.#owes(session, will)
      this.#parts.logger.warn('mqtt: a will was refused', { client: clientId, code, why })
      stored()
    }
    this.#parts.host.publish(will, { subject, session: null, packetId: null }, { stored, refused })
  }
  /** A will that is tried again every second, also by the next start. */
  #owes(session: Session, will: Will | null): void {
    if (will !== null) this.#owing.add(session)
    if (session.owedWill === will) return
    session.owedWill = will
    this.#parts.subscriptions.weigh(session)
    // The client may have begun another session, whose record it is now.
    if (session.isStored && (!session.isOver || !this.#byClient.has(session.clientId)))
      void this.#parts.store.save(session, true).catch(() => {})
  }
  /** Nothing is left of it. */
  end(session: Session): void {
    if (session.isOver) return
    this.#sendWill(session)
    session.isOver = true
    this.#parts.subscriptions.weigh(session)
    this.#absent.delete(session)
    if (this.#byClient.get(session.clientId) === session) this.#byClient.delete(session.clientId)
    for (const subscription of [...session.subscriptions.values()])
      this.#parts.subscriptions.takeOut(session, subscription)
    if (session.isStored) void this.#parts.store.save(session, true).catch(() => {})
  }
  /** Once a second. */
  tick(): void {
    const nowMs = this.#parts.clock.now()
    const owing = this.#owing
    this.#owing = new Set()
    for (const session of owing) if (session.owedWill !== null) this.#publishWill(session, session.owedWill)
    for (const session of [...this.#absent]) {
      const { willDueMs, endedMs } = session
      const expiryS = this.expiryOf(session)
      if (willDueMs !== null && willDueMs <= nowMs) {
        this.#sendWill(session)
        void this.#parts.store.save(session, true).catch(() => {})
      }
      const isOver = endedMs !== null && expiryS < never && endedMs + expiryS * 1_000 <= nowMs
      if (isOver) this.end(session)
    }
    this.#refresh()
  }
  /** Some sessions in turn: one that nothing comes for would stand, after a crash, where it stood when it was saved last. */
  #refresh(): void {
    for (let looked = 0; looked < refreshedPerTick; looked++) {
      const { value: session, done } = this.#refreshing.next()
      if (done === true) {
        this.#refreshing = this.#byClient.values()
        return
      }
      if (session.isStored && session.isKept && session.sum - session.savedSum > refreshedAfter)
        this.#parts.store.touch(session)
    }
  }

  /** Everybody stands where they stood, before anybody comes. */
  async restore({ sessions, flights, incoming, groups }: Restored): Promise<void> {
    const stand: Promise<void>[] = []
    for (const [clientId, saved] of sessions) {
      const session = this.#restoreOne(clientId, saved, { flights, incoming })
      const own = [...session.subscriptions.values()].filter(({ group }) => group === null)
      stand.push(this.#parts.subscriptions.stand(session, own, flights.get(clientId)?.cursors ?? {}))
    }
    for (const [key, group] of this.#parts.subscriptions.groups) {
      group.isStored = groups.has(key)
      stand.push(this.#parts.subscriptions.stand(group, [], groups.get(key) ?? {}))
    }
    await Promise.all(stand)
  }
  #restoreOne(
    clientId: string,
    saved: SavedSession,
    { flights, incoming }: Pick<Restored, 'flights' | 'incoming'>,
  ): Session {
    const nowMs = this.#parts.clock.now()
    const session = new Session(this.#parts.host, clientId, { principal: user(saved.user), host: saved.host })
    session.isStored = true
    session.version = saved.version
    session.expiryS = saved.expiryS
    session.will = saved.will
    session.endedMs = saved.endedMs ?? nowMs
    session.willDueMs = saved.willDueMs
    for (const { text, ...options } of saved.subscriptions) {
      const shared = sharedFilter(text)
      const group = shared === null ? null : this.#parts.subscriptions.groupOf(shared.group, shared.filter)
      group?.sessions.add(session)
      const filter = shared?.filter ?? text
      session.subscriptions.set(text, { ...options, text, filter, group, feed: group ?? session })
      session.filterBytes += text.length
      session.filterLevels += levelsOf(text)
      this.#parts.counts.subscriptions++
    }
    const flight = flights.get(clientId)
    if (flight !== undefined) {
      const out = flight.out.flatMap(({ group: key, ...one }): Outgoing[] => {
        // What a group gave out is given out again by the group: it stands before that.
        if (key !== null && one.qos === 1) return []
        return [{ ...one, group: null, message: null, wasSent: true }]
      })
      session.restored({ lastId: flight.lastId, out })
      for (const text of flight.retained ?? [])
        if (session.subscriptions.get(text)?.group === null)
          session.oweRetained(text, this.#parts.subscriptions.retainedFor(session, text))
    }
    for (const id of incoming.get(clientId) ?? []) session.incoming.add(id)
    this.#byClient.set(clientId, session)
    this.#absent.add(session)
    this.#parts.subscriptions.weigh(session)
    // Whoever was connected when the process ended has lost the connection then.
    if (saved.endedMs === null && session.will !== null)
      session.willDueMs = nowMs + Math.min(session.will.properties?.willDelayS ?? 0, this.expiryOf(session)) * 1_000
    return session
  }
}
