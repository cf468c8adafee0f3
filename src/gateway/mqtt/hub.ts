/**
 * What all connections share: sessions, subscriptions, retained messages, and the way of a message into the log and from it
 * to who wants it. A message goes to subscribers when its record is durable, whoever wrote it; there is no other way.
 */
import { limits } from '../../lib/limits.ts'
import type { Logger } from '../../lib/logger.ts'
import type { World } from '../../lib/world.ts'
import type { LogRecord } from '../../log/batch.ts'
import type { Commits } from '../../log/commits.ts'
import type { Log } from '../../log/log.ts'
import type { Contracts } from '../../schema/contracts.ts'
import type { Subject } from '../../security/authorizer.ts'
import { user } from '../../security/principal.ts'
import type { Security } from '../../security/security.ts'
import { MqttError, type Reason, reason } from '../../wire/mqtt/reason.ts'
import { isFilter, levelsOf, sharedFilter } from '../../wire/mqtt/topics.ts'
import { Access } from './access.ts'
import type { Cursors, Delivery, Feed } from './feed.ts'
import { Group, type GroupHost } from './group.ts'
import { type Followed, LogTopics } from './log-topics.ts'
import { type Message, type Place, type Sent, messageOf, ownMessage } from '../../log/mqtt-message.ts'
import { reasonOf } from './outcome.ts'
import { type PublishOptions, type PublishWaiter, Publishing } from './publishing.ts'
import { Retained, retainedTopic } from './retained.ts'
import { type Link, type Outgoing, Session, type SessionHost, type Subscription } from './session.ts'
import { type Restored, type SavedSession, Store } from './store.ts'
import { Sys, sysPrefix } from './sys.ts'
import { type TopicRule, TopicMap } from './topic-map.ts'
import { FilterTree } from './tree.ts'

export interface HubOptions {
  readonly world: Pick<World, 'clock' | 'random'>
  readonly log: Log
  readonly commits: Commits
  readonly contracts: Contracts
  readonly security: Security
  readonly logger: Logger
  readonly rules: readonly TopicRule[]
  /** Of a log topic that is made because somebody publishes. */
  readonly partitions: number
}
export interface ConnectRequest {
  readonly subject: Subject
  readonly clean: boolean
  readonly link: Link
  /** Messages with QoS 1 and 2 that it may be sent at once. */
  readonly window: number
  readonly apply: (session: Session) => void
  readonly ready: (session: Session, isPresent: boolean) => void
}
/** Topics whose subscribers are remembered; then all are looked up again. */
const matchesMax = 20_000
const nobody: readonly Subscription[] = []
/** Kept sessions that are looked at in a second, and records behind which one is saved again. */
const refreshedPerTick = 200
const refreshedAfter = 10_000

export class Hub implements SessionHost, GroupHost {
  readonly clock: World['clock']
  readonly topics: LogTopics
  readonly retained: Retained
  readonly store: Store
  readonly sessions = new Map<string, Session>()
  readonly counts = { received: 0, sent: 0, dropped: 0, refused: 0, subscriptions: 0 }
  readonly sys = new Sys()
  readonly #options: HubOptions
  readonly #map: TopicMap
  readonly #access: Access
  readonly #publishing: Publishing
  readonly #tree = new FilterTree<Subscription>()
  readonly #matches = new Map<string, readonly Subscription[]>()
  readonly #groups = new Map<string, Group>()
  readonly #groupSubscriptions = new Map<Group, Subscription>()
  /** Sessions that wait for their client, their end, or the time of their will. */
  readonly #absent = new Set<Session>()
  readonly #connecting = new Map<string, Promise<void>>()
  #refreshing: Iterator<Session, undefined> = this.sessions.values()

  private constructor(options: HubOptions, store: Store, retained: Retained) {
    const { world, log, logger, rules, partitions, security } = options
    this.#options = options
    this.clock = world.clock
    this.store = store
    this.retained = retained
    this.#map = new TopicMap(rules)
    this.#access = new Access(security)
    const take = (record: LogRecord, from: Followed): void => this.#dispatch(record, from)
    this.topics = new LogTopics({ log, clock: world.clock, logger, map: this.#map, partitions, take })
    const { clock, topics, counts } = this
    this.#publishing = new Publishing({
      ...options,
      ...{ clock, topics, counts, store, retained },
      access: this.#access,
      map: this.#map,
    })
  }
  static async open(options: HubOptions): Promise<Hub> {
    const { log, world, logger } = options
    const [store, restored] = await Store.open({ log, clock: world.clock, logger })
    const hub = new Hub(options, store, await Retained.open(log, world.clock))
    await hub.topics.open()
    await hub.#restore(restored)
    return hub
  }
  async close(): Promise<void> {
    await this.store.close()
    await this.topics.close()
  }

  publish(sent: Sent, options: PublishOptions, waiter: PublishWaiter): void {
    this.#publishing.publish(sent, options, waiter)
  }

  // What goes.

  #dispatch(record: LogRecord, from: Followed): void {
    const { topic: name, index } = from.partition
    const topic = this.#map.mqttTopic(name, record.key)
    const found = this.#match(topic)
    if (found.length === 0) return
    this.#offer(messageOf(record, topic, { topic: name, index, offset: record.offset }), found, from)
  }
  #offer(message: Message, found: readonly Subscription[], from: Followed | null): void {
    const own = ownMessage(message)
    if (found.length === 1) return this.#offerTo(found[0]!.feed, own, found, from)
    for (const [feed, subscriptions] of Map.groupBy(found, (one) => one.feed))
      this.#offerTo(feed, own, subscriptions, from)
  }
  #offerTo(feed: Feed, message: Message, subscriptions: readonly Subscription[], from: Followed | null): void {
    if (feed instanceof Session && !this.mayRead(feed, message)) return
    const delivery = deliveryBy(message, subscriptions)
    if (delivery !== null) feed.offer(delivery, from)
  }
  /** Topics come after a subscription, and grants go. */
  mayRead({ subject }: Session, { place }: Message): boolean {
    return place === null || place.topic === retainedTopic || this.#access.allows(subject, 'read', place.topic)
  }
  #match(topic: string): readonly Subscription[] {
    const known = this.#matches.get(topic)
    if (known !== undefined) return known
    const found = this.#tree.match(topic)
    if (this.#matches.size >= matchesMax) this.#matches.clear()
    this.#matches.set(topic, found.length === 0 ? nobody : found)
    return found
  }
  deliveryOf(feed: Feed, record: LogRecord, from: Followed): Delivery | null {
    const { topic: name, index } = from.partition
    const topic = this.#map.mqttTopic(name, record.key)
    const found = this.#match(topic).filter((one) => one.feed === feed)
    if (found.length === 0) return null
    const message = ownMessage(messageOf(record, topic, { topic: name, index, offset: record.offset }))
    return feed instanceof Session && !this.mayRead(feed, message) ? null : deliveryBy(message, found)
  }
  /** A message that is under way, read again. */
  async fetch({ topic: name, index, offset }: Place): Promise<Message | null> {
    const found = await this.topics.read({ topic: name, index }, offset)
    const record = found?.records.find((one) => one.offset === offset)
    if (record === undefined || (record.value === null && name === retainedTopic)) return null
    const topic =
      name === retainedTopic ? Buffer.from(record.key ?? []).toString() : this.#map.mqttTopic(name, record.key)
    return ownMessage(messageOf(record, topic, { topic: name, index, offset }))
  }
  dropped(): void {
    this.counts.dropped++
  }
  saveFlight(session: Session): Promise<void> {
    return this.store.save(session, false)
  }
  touch(session: Session): void {
    this.store.touch(session)
  }
  touchGroup(group: Group): void {
    this.store.touchGroup(group)
  }

  // Subscriptions.

  /** The codes of SUBACK, and what to do when it is sent: give what is retained. */
  async subscribe(
    session: Session,
    asked: readonly (Omit<Subscription, 'text' | 'filter' | 'group' | 'feed' | 'id'> & {
      readonly text: string
      readonly retainHandling: number
    })[],
    id: number | null,
  ): Promise<{ codes: number[]; afterwards: () => void }> {
    const { link } = session
    const codes: number[] = []
    const give: (() => void)[] = []
    for (const one of asked) {
      try {
        const { filter, group } = this.#checked(session, one.text)
        const feed = group ?? session
        const { text, qos, noLocal, retainAsPublished } = one
        const subscription: Subscription = { text, filter, group, qos, noLocal, retainAsPublished, id, feed }
        const isNew = !session.subscriptions.has(text)
        if (!(await this.#enter(session, subscription, link))) break
        codes.push(qos)
        const wants = group === null && (one.retainHandling === 0 || (one.retainHandling === 1 && isNew))
        if (wants) give.push(() => this.#giveRetained(session, subscription))
      } catch (error) {
        codes.push(reasonOf(error)[0])
      }
    }
    if (session.isKept && session.link === link) {
      await this.store.save(session, true)
      for (const group of session.groups) await this.store.saveGroup(group)
    }
    return { codes, afterwards: () => give.forEach((call) => call()) }
  }
  #checked(session: Session, text: string): { filter: string; group: Group | null } {
    const { filter, group: name } = sharedFilter(text) ?? { filter: text, group: null }
    if (!isFilter(filter)) throw new MqttError(reason.topicFilterInvalid, 'the topic filter is not valid')
    checkFilter(filter)
    const isNew = !session.subscriptions.has(text)
    const { mqttSubscriptions: most, mqttFilterBytes: bytesMax } = limits
    if (isNew && (session.subscriptions.size >= most || session.filterBytes + text.length > bytesMax))
      throw new MqttError(reason.quotaExceeded, `a session has at most ${most} subscriptions`)
    this.#checkRead(session.subject, filter)
    if (name === null) return { filter, group: null }
    const key = `${name}/${filter}`
    let group = this.#groups.get(key)
    if (group === undefined) this.#groups.set(key, (group = new Group(this, name, filter)))
    return { filter, group }
  }
  /** Of all log topics that it may bring messages of; those that are not there yet are asked about by their name. */
  #checkRead(subject: Subject, filter: string): void {
    if (!this.#access.isEnforced || filter.startsWith(sysPrefix)) return
    const names = this.topics.mayHold([filter]).map(({ name }) => name)
    const [first = ''] = filter.split('/')
    if (first !== '+' && first !== '#') names.push(this.#map.logTopic(filter))
    const refused = names.length === 0 || names.some((name) => !this.#access.may(subject, 'read', name))
    if (refused) throw new MqttError(reason.notAuthorized, 'you may not read what it matches')
  }
  /** False: the connection is gone meanwhile. */
  async #enter(session: Session, subscription: Subscription, link: Link | null): Promise<boolean> {
    const { text, filter, group } = subscription
    const planted = group === null ? subscription : this.#ofGroup(group)
    if (planted !== null) await this.topics.listen(filter)
    await this.topics.settled([filter])
    if (session.link !== link || session.isOver) {
      if (group === null) this.topics.leave(filter)
      else this.#dropUnused(group)
      return false
    }
    const old = session.subscriptions.get(text)
    // Of a group nothing changes but the member's own options.
    if (old !== undefined && group === null) this.#takeOut(session, old)
    if (old === undefined || group === null) {
      this.counts.subscriptions++
      session.filterBytes += text.length
    }
    session.subscriptions.set(text, subscription)
    if (planted !== null && group === null) this.#plant(planted)
    group?.join(session, subscription)
    return true
  }
  /** The subscription of a group, which is planted now where it was not; null: it was. */
  #ofGroup(group: Group): Subscription | null {
    if (this.#groupSubscriptions.has(group)) return null
    const { filter } = group
    const options = { qos: 2, noLocal: false, retainAsPublished: true, id: null, group: null } as const
    const shared: Subscription = { ...options, text: filter, filter, feed: group }
    this.#groupSubscriptions.set(group, shared)
    this.#plant(shared)
    return shared
  }
  #dropUnused(group: Group): void {
    if (group.sessions.size > 0) return
    if (this.#groups.get(group.key) === group) this.#groups.delete(group.key)
    const shared = this.#groupSubscriptions.get(group)
    if (shared !== undefined) {
      this.#groupSubscriptions.delete(group)
      this.#uproot(shared)
      this.topics.leave(group.filter)
    }
    void this.store.saveGroup(group).catch(() => {})
  }
  #plant(subscription: Subscription): void {
    this.#tree.add(subscription.filter, subscription)
    this.#matches.clear()
  }
  #uproot(subscription: Subscription): void {
    this.#tree.remove(subscription.filter, subscription)
    this.#matches.clear()
  }
  #takeOut(session: Session, subscription: Subscription): void {
    const { text, filter, group } = subscription
    session.subscriptions.delete(text)
    session.filterBytes -= text.length
    this.counts.subscriptions--
    if (group === null) {
      this.#uproot(subscription)
      this.topics.leave(filter)
      return
    }
    group.leave(session)
    group.sessions.delete(session)
    this.#dropUnused(group)
  }
  #giveRetained(session: Session, subscription: Subscription): void {
    const { filter } = subscription
    if (session.subscriptions.get(subscription.text) !== subscription) return
    for (const message of [...this.retained.find(filter), ...this.sys.find(filter)]) {
      const delivery = deliveryBy(message, [subscription])
      if (delivery !== null) session.offerRetained({ ...delivery, retain: true })
    }
  }
  async unsubscribe(session: Session, filters: readonly string[]): Promise<number[]> {
    const codes = filters.map((text) => {
      const subscription = session.subscriptions.get(text)
      if (subscription === undefined) return reason.noSubscriptionExisted
      this.#takeOut(session, subscription)
      return reason.success
    })
    if (session.isKept) await this.store.save(session, true)
    return codes
  }

  // Sessions.

  /**
   * One after another for a client identifier: who had the session before is gone when the next has it. `apply` is called
   * before it is saved, `ready` when it may be said that the client is connected; then it is given messages.
   */
  async connect(clientId: string, request: ConnectRequest): Promise<void> {
    const before = this.#connecting.get(clientId)
    const mine = (before ?? Promise.resolve()).then(() => this.#connect(clientId, request))
    const settled = mine.catch(() => {})
    this.#connecting.set(clientId, settled)
    await mine.finally(() => {
      if (this.#connecting.get(clientId) === settled) this.#connecting.delete(clientId)
    })
  }
  async #connect(clientId: string, { subject, clean, link, window, apply, ready }: ConnectRequest): Promise<void> {
    if (!link.isOpen) return
    let old = this.sessions.get(clientId) ?? null
    if (old !== null && !this.#isOwner(subject, old))
      throw new MqttError(reason.notAuthorized, 'the client identifier belongs to another user')
    if (old?.link != null) {
      const { link: other } = old
      other.takenOver()
      this.disconnect(old, other, { will: true })
      old = this.sessions.get(clientId) ?? null
    }
    if (old?.willDueMs != null && old.willDueMs <= this.clock.now()) this.#sendWill(old)
    if (old !== null && clean) {
      this.end(old)
      old = null
    }
    if (old === null && this.sessions.size >= limits.mqttSessions)
      throw new MqttError(reason.quotaExceeded, `${limits.mqttSessions} sessions are there already`)
    const session = old ?? new Session(this, clientId, subject)
    this.sessions.set(clientId, session)
    this.#absent.delete(session)
    session.willDueMs = null
    session.endedMs = null
    apply(session)
    // A will is to be sent also where nobody is left to send it but the next start.
    if (session.isKept || session.will !== null || session.isStored) await this.store.save(session, true)
    ready(session, old !== null)
    session.connected(link, window)
    for (const subscription of session.subscriptions.values()) subscription.group?.join(session, subscription)
    if (!link.isOpen) this.disconnect(session, link, { will: true })
  }
  #isOwner(subject: Subject, { subject: owner }: Session): boolean {
    return !this.#access.isEnforced || owner.principal.name === subject.principal.name
  }
  /** Its connection is over. */
  disconnect(session: Session, link: Link, { will }: { will: boolean }): void {
    if (session.link !== link) return
    const groups = session.groups
    for (const group of groups) {
      group.leave(session)
      this.store.touchGroup(group)
    }
    session.disconnected(this.clock.now())
    for (const group of groups) group.pump()
    if (!will) session.will = null
    const delayS = Math.min(session.will?.properties?.willDelayS ?? 0, session.expiryS)
    if (session.will !== null && delayS > 0) session.willDueMs = this.clock.now() + delayS * 1_000
    else this.#sendWill(session)
    if (!session.isKept) return this.end(session)
    this.#absent.add(session)
    void this.store.save(session, true).catch(() => {})
  }
  #sendWill(session: Session): void {
    const { will, subject } = session
    session.will = null
    session.willDueMs = null
    if (will === null) return
    const refused = (code: Reason, why: string): void =>
      this.#options.logger.warn('mqtt: a will was refused', { client: session.clientId, code, why })
    this.publish(will, { subject, session: null, packetId: null }, { stored: () => {}, refused })
  }
  /** Nothing is left of it. */
  end(session: Session): void {
    if (session.isOver) return
    this.#sendWill(session)
    session.isOver = true
    this.#absent.delete(session)
    if (this.sessions.get(session.clientId) === session) this.sessions.delete(session.clientId)
    for (const subscription of [...session.subscriptions.values()]) this.#takeOut(session, subscription)
    if (session.isStored) void this.store.save(session, true).catch(() => {})
  }
  /** Once a second. */
  tick(): void {
    const nowMs = this.clock.now()
    for (const session of [...this.#absent]) {
      const { willDueMs, endedMs, expiryS } = session
      if (willDueMs !== null && willDueMs <= nowMs) {
        this.#sendWill(session)
        void this.store.save(session, true).catch(() => {})
      }
      const isOver = endedMs !== null && expiryS < 0xffff_ffff && endedMs + expiryS * 1_000 <= nowMs
      if (isOver) this.end(session)
    }
    this.#refresh()
    this.store.tick()
  }
  /** Some sessions in turn: one that nothing comes for would stand, after a crash, where it stood when it was saved last. */
  #refresh(): void {
    for (let looked = 0; looked < refreshedPerTick; looked++) {
      const { value: session, done } = this.#refreshing.next()
      if (done === true) {
        this.#refreshing = this.sessions.values()
        return
      }
      if (session.isStored && session.isKept && session.sum - session.savedSum > refreshedAfter)
        this.store.touch(session)
    }
  }
  say(values: Readonly<Record<string, string | number>>): void {
    for (const message of this.sys.update(values, this.clock.now())) {
      const found = this.#match(message.topic)
      if (found.length > 0) this.#offer(message, found, null)
    }
  }

  /** Everybody stands where they stood, before anybody comes. */
  async #restore({ sessions, flights, incoming, groups }: Restored): Promise<void> {
    const stand: Promise<void>[] = []
    for (const [clientId, saved] of sessions) {
      const session = this.#restoreOne(clientId, saved, { flights, incoming })
      const own = [...session.subscriptions.values()].filter(({ group }) => group === null)
      stand.push(this.#stand(session, own, flights.get(clientId)?.cursors ?? {}))
    }
    for (const [key, group] of this.#groups) {
      group.isStored = groups.has(key)
      stand.push(this.#stand(group, [], groups.get(key) ?? {}))
    }
    await Promise.all(stand)
  }
  async #stand(feed: Session | Group, own: readonly Subscription[], cursors: Cursors): Promise<void> {
    await Promise.all(feed.filters.map((filter) => this.topics.listen(filter)))
    for (const subscription of own) this.#plant(subscription)
    if (feed instanceof Group) this.#ofGroup(feed)
    feed.standAt(cursors)
  }
  #restoreOne(
    clientId: string,
    saved: SavedSession,
    { flights, incoming }: Pick<Restored, 'flights' | 'incoming'>,
  ): Session {
    const nowMs = this.clock.now()
    const session = new Session(this, clientId, { principal: user(saved.user), host: saved.host })
    session.isStored = true
    session.version = saved.version
    session.expiryS = saved.expiryS
    session.will = saved.will
    session.endedMs = saved.endedMs ?? nowMs
    session.willDueMs = saved.willDueMs
    for (const { text, ...options } of saved.subscriptions) {
      const shared = sharedFilter(text)
      const group = shared === null ? null : this.#restoredGroup(shared.group, shared.filter)
      group?.sessions.add(session)
      const filter = shared?.filter ?? text
      session.subscriptions.set(text, { ...options, text, filter, group, feed: group ?? session })
      session.filterBytes += text.length
      this.counts.subscriptions++
    }
    const flight = flights.get(clientId)
    if (flight !== undefined) {
      const out = flight.out.flatMap(({ group: key, ...one }): Outgoing[] => {
        // What a group gave out is given out again by the group: it stands before that.
        if (key !== null && one.qos === 1) return []
        return [{ ...one, group: null, message: null, wasSent: true }]
      })
      session.restored({ lastId: flight.lastId, out })
    }
    for (const id of incoming.get(clientId) ?? []) session.incoming.add(id)
    this.sessions.set(clientId, session)
    this.#absent.add(session)
    // Whoever was connected when the process ended has lost the connection then.
    if (saved.endedMs === null && session.will !== null)
      session.willDueMs = nowMs + Math.min(session.will.properties?.willDelayS ?? 0, session.expiryS) * 1_000
    return session
  }
  #restoredGroup(name: string, filter: string): Group {
    const key = `${name}/${filter}`
    let group = this.#groups.get(key)
    if (group === undefined) this.#groups.set(key, (group = new Group(this, name, filter)))
    return group
  }
}

function checkFilter(filter: string): void {
  if (levelsOf(filter) > limits.mqttTopicLevels)
    throw new MqttError(reason.topicFilterInvalid, `a filter has at most ${limits.mqttTopicLevels} levels`)
}
/** Subscriptions of one feed that a message fits: it is given once, with the highest QoS and all their identifiers. */
function deliveryBy(message: Message, subscriptions: readonly Subscription[]): Delivery | null {
  let qos = -1
  let retain = false
  let ids: number[] | null = null
  for (const one of subscriptions) {
    if (
      one.noLocal &&
      message.publisher !== null &&
      one.feed instanceof Session &&
      one.feed.clientId === message.publisher
    )
      continue
    qos = Math.max(qos, Math.min(message.qos, one.qos))
    retain ||= one.retainAsPublished && message.retain
    if (one.id !== null) (ids ??= []).push(one.id)
  }
  return qos < 0 ? null : { message, qos: qos as Delivery['qos'], retain, ids }
}
