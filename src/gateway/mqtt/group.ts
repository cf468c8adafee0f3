/**
 * A shared subscription (`$share/GROUP/FILTER`): each message goes to one of the sessions that are connected, in turn. What
 * a member has not acknowledged when it goes is another's. With nobody connected the group stands where it is in the log.
 */
import type { Cursors, Delivery } from './feed.ts'
import { Feed, type FeedHost } from './feed.ts'
import type { Place } from '../../log/mqtt-message.ts'
import type { Outgoing, Session, Subscription } from './session.ts'

export interface GroupHost extends FeedHost {
  touchGroup(group: Group): void
}

export class Group extends Feed {
  readonly name: string
  readonly filter: string
  /** Connected or not. */
  readonly sessions = new Set<Session>()
  /** Those that are connected. */
  readonly #members = new Map<Session, Subscription>()
  #turn = 0
  readonly #outstanding = new Set<Outgoing>()
  /** Where it stands while nobody is connected; null: nobody has been yet. */
  #cursors: Cursors | null = null
  isStored = false
  declare protected readonly host: GroupHost

  constructor(host: GroupHost, name: string, filter: string) {
    super(host)
    this.name = name
    this.filter = filter
  }
  get key(): string {
    return `${this.name}/${this.filter}`
  }
  get filters(): readonly string[] {
    return [this.filter]
  }
  get isOpen(): boolean {
    return this.#members.size > 0
  }
  get places(): Cursors {
    return this.isOpen ? this.cursors(this.#held()) : (this.#cursors ?? {})
  }
  *#held(): Iterable<Place> {
    for (const { place } of this.#outstanding) if (place !== null) yield place
  }

  protected give(delivery: Delivery): boolean {
    for (const [session, { qos, id }] of this.#inTurn()) {
      const given = { ...delivery, qos: Math.min(delivery.qos, qos) as Delivery['qos'], ids: id === null ? null : [id] }
      if (given.qos === 0) {
        session.pass(given)
        return true
      }
      if (session.giveShared(given, this)) return true
    }
    return false
  }
  pass(delivery: Delivery): void {
    const [next] = this.#inTurn()
    if (next === undefined) return
    const [session, { id }] = next
    session.pass({ ...delivery, ids: id === null ? null : [id] })
  }
  #inTurn(): [Session, Subscription][] {
    const members = [...this.#members]
    if (members.length === 0) return []
    const first = this.#turn++ % members.length
    return [...members.slice(first), ...members.slice(0, first)]
  }
  given(entry: Outgoing): void {
    this.#outstanding.add(entry)
  }
  done(entry: Outgoing): void {
    this.#outstanding.delete(entry)
    this.host.touchGroup(this)
  }
  /** Its member is gone. */
  takeBack(entry: Outgoing): void {
    this.#outstanding.delete(entry)
    const { message, retain } = entry
    if (message !== null && this.isOpen) this.unshift({ message, qos: entry.qos, retain, ids: null })
  }

  /** Returns whether it was the first. */
  join(session: Session, subscription: Subscription): boolean {
    const isFirst = this.#members.size === 0
    this.sessions.add(session)
    this.#members.set(session, subscription)
    return isFirst
  }
  /** After the first has joined and what comes is offered. */
  open(): void {
    if (this.#cursors !== null) this.goOnFrom(this.#cursors)
    this.pump()
  }
  /** Returns whether it was the last. It goes on from where it stood before what the session had not acknowledged. */
  leave(session: Session): boolean {
    if (!this.#members.has(session)) return false
    if (this.#members.size > 1) {
      this.#members.delete(session)
      return false
    }
    this.#cursors = this.cursors(this.#held())
    this.#members.delete(session)
    this.clear()
    this.behind.clear()
    return true
  }
  restored(cursors: Cursors): void {
    this.#cursors = cursors
    this.isStored = true
  }
}
