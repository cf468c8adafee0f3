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
  /** Sessions that are about to join. */
  entering = 0
  readonly #outstanding = new Set<Outgoing>()
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
    return this.cursors(this.#held())
  }
  /** With QoS 2 a message is its member's own: nobody else may be given it. */
  *#held(): Iterable<Place> {
    for (const { place, qos } of this.#outstanding) if (place !== null && qos === 1) yield place
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

  join(session: Session, subscription: Subscription): void {
    this.sessions.add(session)
    this.#members.set(session, subscription)
    this.pump()
  }
  /** With nobody left it goes on from where it stood before what nobody has acknowledged. */
  leave(session: Session): void {
    if (!this.#members.has(session)) return
    if (this.#members.size === 1) {
      const held = [...this.#held()]
      this.#members.clear()
      this.standBack(held)
      this.#outstanding.clear()
    } else this.#members.delete(session)
  }
}
