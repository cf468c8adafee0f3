/**
 * A session: its subscriptions, what is under way both ways, and where it stands in the log while nobody is connected. It
 * knows nothing of sockets: `Link` is the connection it has.
 *
 * What is under way to the client (`out`) has its packet identifier and its place in the log. A session that is kept has
 * it in its record: with QoS 2 before the message is sent and before it is released, so that a crash at any moment neither
 * loses nor repeats one; with QoS 1 soon after.
 */
import { limits } from '../../lib/limits.ts'
import type { Subject } from '../../security/authorizer.ts'
import type { AckType, Qos, Version, Will } from '../../wire/mqtt/packets.ts'
import { type Reason, reason } from '../../wire/mqtt/reason.ts'
import { type Cursors, type Delivery, Feed, type FeedHost } from './feed.ts'
import type { Group } from './group.ts'
import { type Message, type Place, bytesOfMessage } from '../../log/mqtt-message.ts'

export interface Subscription {
  /** As the client said it, `$share/…` and all. */
  readonly text: string
  readonly filter: string
  readonly group: Group | null
  readonly qos: Qos
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly id: number | null
  readonly feed: Feed
}
export interface Outgoing {
  readonly id: number
  readonly qos: 1 | 2
  readonly retain: boolean
  readonly ids: readonly number[] | null
  readonly group: Group | null
  readonly place: Place | null
  /** null: it has to be read again, or is not needed any more. */
  message: Message | null
  /** The client has it, and is to be told to let it go (PUBREL). */
  isReleased: boolean
  /** It may have reached the client. */
  wasSent: boolean
}
/** The connection of a session. */
export interface Link {
  readonly version: Version
  readonly isOpen: boolean
  /** False: a message of so many bytes does not fit now. */
  hasRoom(bytes: number): boolean
  /** False: it is larger than the client takes. */
  publish(
    message: Message,
    delivery: { id: number; qos: Qos; retain: boolean; ids: readonly number[] | null },
    again: boolean,
  ): boolean
  acknowledge(type: AckType, id: number, code: Reason): void
  /** What it has to be sent cannot be kept: it is closed, and goes on when the client comes back. */
  failed(error: unknown): void
  /** Another connection has the session. */
  takenOver(): void
  /** Somebody who looks after the server has ended it. */
  ended(): void
}
export interface SessionHost extends FeedHost {
  /** Durable when it resolves. Waits for the disk while there is a connection. */
  saveFlight(session: Session): Promise<void>
  touch(session: Session): void
  /** That a message came is not to be remembered any more. */
  forgetIncoming(session: Session, id: number): void
  fetch(place: Place): Promise<Message | null>
  mayRead(session: Session, message: Message): boolean
  /** A message was not sent. */
  dropped(why: 'slow' | 'too-large' | 'expired'): void
}

export const never = 0xffff_ffff
const sessionBytes = 1_024
const subscriptionBytes = 300
/** Of a tree of topics or filters, where nobody else has this one. */
export const levelBytes = 300
function bytesOf({ topic, payload, properties }: Will): number {
  const users = (properties?.userProperties ?? []).reduce((sum, [name, value]) => sum + name.length + value.length, 0)
  return topic.length + payload.length + users + (properties?.correlationData?.length ?? 0)
}

export class Session extends Feed {
  readonly clientId: string
  readonly subject: Subject
  readonly subscriptions = new Map<string, Subscription>()
  filterBytes = 0
  /** Each may be a node of the tree. */
  filterLevels = 0
  /** As it was weighed last. */
  weighedBytes = 0
  version: Version = 4
  /** 0: it ends with its connection; `never`: it does not end by itself. */
  expiryS = 0
  will: Will | null = null
  /** One that is to be sent as soon as the disk takes it. */
  owedWill: Will | null = null
  /** Since when somebody is; by the wall clock, as the others. */
  connectedMs: number | null = null
  /** When nobody has been connected since, and when the will is due. */
  endedMs: number | null = null
  willDueMs: number | null = null
  isOver = false
  /** It has a record. */
  isStored = false
  link: Link | null = null
  /** Messages with QoS 2 that came and that the client may send again. */
  readonly incoming = new Set<number>()
  /** Those that are on their way into the log, with who wants to know. */
  readonly #arriving = new Map<number, ((code: Reason, why?: string) => void)[]>()
  readonly out = new Map<number, Outgoing>()
  /** Retained messages that a subscription is still to be given, by its text; `next` waits for room. */
  readonly #retained = new Map<string, { readonly rest: Iterator<Delivery, undefined>; next: Delivery | null }>()
  /** Of `out`: not sent on this connection yet, oldest first. */
  #unsent: Outgoing[] = []
  #isResending = false
  #window: number = limits.mqttInFlight
  #lastId = 0
  /** How far it stood in all, when it was saved last. */
  savedSum = 0
  declare protected readonly host: SessionHost

  constructor(host: SessionHost, clientId: string, subject: Subject) {
    super(host)
    this.clientId = clientId
    this.subject = subject
  }
  get isKept(): boolean {
    return this.expiryS > 0
  }
  get isOpen(): boolean {
    return this.link !== null
  }
  /** Of its own, not shared. */
  get filters(): readonly string[] {
    return [...this.subscriptions.values()].filter(({ group }) => group === null).map(({ filter }) => filter)
  }
  get hasNoLocal(): boolean {
    for (const { noLocal } of this.subscriptions.values()) if (noLocal) return true
    return false
  }
  get groups(): Set<Group> {
    const found = new Set<Group>()
    for (const { group } of this.subscriptions.values()) if (group !== null) found.add(group)
    return found
  }
  get places(): Cursors {
    return this.cursors()
  }
  /** About. */
  get heldBytes(): number {
    const { will, owedWill, clientId, filterBytes, filterLevels, subscriptions } = this
    const ofWill = (will === null ? 0 : bytesOf(will)) + (owedWill === null ? 0 : bytesOf(owedWill))
    return (
      sessionBytes +
      clientId.length +
      ofWill +
      filterBytes +
      filterLevels * levelBytes +
      subscriptions.size * subscriptionBytes
    )
  }
  /** How far it stands in all. */
  get sum(): number {
    return Object.values(this.cursors()).reduce((sum, of) => sum + of.reduce((a, b) => a + b, 0), 0)
  }

  /** Begins with `more`, and goes on as there is room: however many there are, none is held here but one. */
  oweRetained(text: string, rest: Iterator<Delivery, undefined>): void {
    this.#retained.set(text, { rest, next: null })
  }
  forgetRetained(text: string): void {
    this.#retained.delete(text)
  }
  get retainedOwed(): readonly string[] {
    return [...this.#retained.keys()]
  }
  protected override giveEarlier(): boolean {
    for (const [text, owed] of this.#retained) {
      for (;;) {
        owed.next ??= owed.rest.next().value ?? null
        if (owed.next === null) break
        if (!this.#give(owed.next, null)) return false
        owed.next = null
      }
      this.#retained.delete(text)
      this.host.touch(this)
    }
    return true
  }

  protected give(delivery: Delivery): boolean {
    return this.#give(delivery, null)
  }
  /** What the group has for one of its members. */
  giveShared(delivery: Delivery, group: Group): boolean {
    return this.queue.length === 0 && this.host.mayRead(this, delivery.message) && this.#give(delivery, group)
  }
  #give({ message, qos, retain, ids }: Delivery, group: Group | null): boolean {
    const { link } = this
    if (link?.hasRoom(bytesOfMessage(message)) !== true) return false
    if (qos === 0) {
      this.pass({ message, qos, retain, ids })
      return true
    }
    if (this.#unsent.length > 0 || this.out.size >= this.#window) return false
    if (message.expiresMs <= this.host.clock.now()) {
      this.host.dropped('expired')
      return true
    }
    const entry = this.#enter(message, { qos, retain, ids, group })
    if (qos === 2 && this.isKept) this.#sendWhenKept(entry, link)
    else {
      this.#send(entry, link)
      this.host.touch(this)
    }
    return true
  }
  #sendWhenKept(entry: Outgoing, link: Link): void {
    this.host.saveFlight(this).then(
      () => {
        if (this.link === link && this.out.get(entry.id) === entry) this.#send(entry, link)
      },
      (error: unknown) => link.failed(error),
    )
  }
  #send(entry: Outgoing, link: Link): void {
    const { message, id, qos, retain, ids } = entry
    if (message === null) return
    const again = entry.wasSent
    entry.wasSent = true
    if (link.publish(message, { id, qos, retain, ids }, again)) return
    this.host.dropped('too-large')
    this.#done(entry)
  }
  pass(delivery: Delivery): void {
    const { link } = this
    if (link === null) return
    const { message, retain, ids } = delivery
    if (!link.hasRoom(bytesOfMessage(message))) return this.host.dropped('slow')
    if (message.expiresMs <= this.host.clock.now()) return this.host.dropped('expired')
    if (!link.publish(message, { id: 0, qos: 0, retain, ids }, false)) this.host.dropped('too-large')
  }
  #nextId(): number {
    do this.#lastId = (this.#lastId % 0xffff) + 1
    while (this.out.has(this.#lastId))
    return this.#lastId
  }
  #done(entry: Outgoing): void {
    this.out.delete(entry.id)
    entry.group?.done(entry)
    this.host.touch(this)
  }

  /** A message with QoS 2. False: it has come before, and `done` is told what became of it. */
  arrives(id: number, done: (code: Reason, why?: string) => void): boolean {
    const waiting = this.#arriving.get(id)
    if (waiting !== undefined) waiting.push(done)
    else if (this.incoming.has(id)) done(reason.success)
    else {
      this.#arriving.set(id, [done])
      return true
    }
    return false
  }
  arrived(id: number, code: Reason, why?: string): void {
    const waiting = this.#arriving.get(id) ?? []
    this.#arriving.delete(id)
    if (code === reason.success) this.incoming.add(id)
    // Its end was written before this: nobody else takes it away.
    if (this.isOver && this.isStored) this.host.forgetIncoming(this, id)
    for (const done of waiting) done(code, why)
  }

  /** PUBACK, PUBREC, PUBCOMP of the client. */
  acknowledged(type: AckType, id: number, code: number): void {
    const entry = this.out.get(id)
    const { link } = this
    if (type === 'pubrec') return this.#received(entry, id, code, link)
    const isDone = type === 'puback' ? entry?.qos === 1 : entry?.qos === 2 && entry.isReleased
    if (entry === undefined || !isDone) return
    this.#done(entry)
    this.more()
  }
  #received(entry: Outgoing | undefined, id: number, code: number, link: Link | null): void {
    if (entry === undefined || entry.qos !== 2) {
      link?.acknowledge('pubrel', id, reason.packetIdNotFound)
      return
    }
    if (code >= reason.unspecified) {
      this.#done(entry)
      return this.more()
    }
    entry.isReleased = true
    entry.message = null
    const release = (): void => {
      if (this.link === link) link?.acknowledge('pubrel', id, reason.success)
    }
    if (this.isKept) this.host.saveFlight(this).then(release, (error: unknown) => link?.failed(error))
    else release()
  }
  /** There is room again. */
  more(): void {
    if (this.#unsent.length > 0) void this.#resend()
    this.pump()
    for (const group of this.groups) group.pump()
  }

  /** A client is there: what is under way is sent again, then what waits. */
  connected(link: Link, window: number): void {
    this.link = link
    this.connectedMs = this.host.clock.now()
    this.endedMs = null
    this.willDueMs = null
    this.#window = Math.min(window, limits.mqttInFlight)
    this.#unsent = [...this.out.values()]
    this.more()
  }
  async #resend(): Promise<void> {
    if (this.#isResending) return
    this.#isResending = true
    const { link } = this
    try {
      while (link !== null && this.link === link && this.#unsent.length > 0 && link.hasRoom(0)) {
        const underWay = this.out.size - this.#unsent.length
        if (underWay >= this.#window) return
        const entry = this.#unsent[0]!
        if (!entry.isReleased && entry.message === null)
          entry.message = entry.place === null ? null : await this.host.fetch(entry.place)
        if (this.link !== link) return
        if (entry.message !== null && !link.hasRoom(bytesOfMessage(entry.message))) {
          // It is read again then: many that wait must not hold what they wait for.
          if (entry.place !== null) entry.message = null
          return
        }
        this.#unsent.shift()
        if (entry.isReleased) link.acknowledge('pubrel', entry.id, reason.success)
        // Retention has taken it, or a newer retained message its place.
        else if (entry.message === null) this.#done(entry)
        else this.#send(entry, link)
      }
    } catch (error) {
      // The client comes back, and what is under way is read again.
      if (this.link === link) link?.failed(error)
    } finally {
      this.#isResending = false
    }
    if (this.link === link && this.#unsent.length === 0) this.more()
  }
  /** Nobody is there any more. Messages stay where they are: in the log. */
  disconnected(endedMs: number): void {
    this.link = null
    this.endedMs = endedMs
    this.standBack()
    for (const entry of this.out.values()) {
      if (entry.group !== null && !entry.isReleased && (entry.qos === 1 || !this.isKept)) {
        this.out.delete(entry.id)
        entry.group.takeBack(entry)
      } else if (entry.place !== null) entry.message = null
    }
    this.#unsent = []
  }
  #enter(message: Message, how: Pick<Outgoing, 'qos' | 'retain' | 'ids' | 'group'>): Outgoing {
    const id = this.#nextId()
    const entry: Outgoing = { ...how, id, place: message.place, message, isReleased: false, wasSent: false }
    this.out.set(id, entry)
    how.group?.given(entry)
    return entry
  }
  /** As its record says. */
  restored({ out, lastId }: { out: readonly Outgoing[]; lastId: number }): void {
    this.#lastId = lastId
    for (const entry of out) this.out.set(entry.id, entry)
  }
  get lastId(): number {
    return this.#lastId
  }
}
