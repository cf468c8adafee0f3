/** Who wants what: subscriptions by filter, of sessions and of groups that share one. */
import { limits } from '../../lib/limits.ts'
import type { Subject } from '../../security/authorizer.ts'
import { MqttError, reason } from '../../wire/mqtt/reason.ts'
import { isFilter, levelsOf, sharedFilter } from '../../wire/mqtt/topics.ts'
import type { Message } from '../../log/mqtt-message.ts'
import type { Access } from './access.ts'
import type { Cursors, Delivery } from './feed.ts'
import { Group, type GroupHost } from './group.ts'
import type { LogTopics } from './log-topics.ts'
import { reasonOf } from './outcome.ts'
import type { Retained } from './retained.ts'
import { type Link, Session, type Subscription } from './session.ts'
import type { Store } from './store.ts'
import { type Sys, sysPrefix } from './sys.ts'
import type { TopicMap } from './topic-map.ts'
import { FilterTree } from './tree.ts'

interface Parts {
  readonly host: GroupHost
  readonly topics: LogTopics
  readonly map: TopicMap
  readonly access: Access
  readonly store: Store
  readonly retained: Retained
  readonly sys: Sys
  readonly counts: { subscriptions: number }
}
/** What SUBSCRIBE says of one. */
export type Asked = Pick<Subscription, 'text' | 'qos' | 'noLocal' | 'retainAsPublished'> & {
  readonly retainHandling: number
}
/** Topics whose subscribers are remembered; then all are looked up again. Long ones are looked up each time. */
const matchesMax = 20_000
const matchedLengthMax = 1_024
const nobody: readonly Subscription[] = []

export class Subscriptions {
  readonly #parts: Parts
  readonly #tree = new FilterTree<Subscription>()
  readonly #matches = new Map<string, readonly Subscription[]>()
  readonly #groups = new Map<string, Group>()
  readonly #groupSubscriptions = new Map<Group, Subscription>()
  /** Of all sessions, with what else is held of them. */
  heldBytes = 0

  constructor(parts: Parts) {
    this.#parts = parts
  }

  match(topic: string): readonly Subscription[] {
    const known = this.#matches.get(topic)
    if (known !== undefined) return known
    const found = this.#tree.match(topic)
    if (topic.length > matchedLengthMax) return found
    if (this.#matches.size >= matchesMax) this.#matches.clear()
    this.#matches.set(topic, found.length === 0 ? nobody : found)
    return found
  }

  /** Throws MqttError where sessions hold too much already. */
  checkRoom(): void {
    if (this.heldBytes > limits.mqttSessionsBytes)
      throw new MqttError(reason.quotaExceeded, 'sessions and their subscriptions hold too much already')
  }
  /** What is held of the session has changed. */
  weigh(session: Session): void {
    const bytes = session.isOver ? 0 : session.heldBytes
    this.heldBytes += bytes - session.weighedBytes
    session.weighedBytes = bytes
  }

  // SUBSCRIBE, UNSUBSCRIBE.

  /** The codes of SUBACK, and what to do when it is sent: give what is retained. */
  async subscribe(
    session: Session,
    asked: readonly Asked[],
    id: number | null,
  ): Promise<{ codes: number[]; afterwards: () => void }> {
    const { link } = session
    const { store } = this.#parts
    const codes: number[] = []
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
        if (wants) session.oweRetained(text, this.retainedFor(session, text))
      } catch (error) {
        codes.push(reasonOf(error)[0])
      }
    }
    if (session.isKept && session.link === link) {
      await store.save(session, true)
      for (const group of session.groups) await store.saveGroup(group)
    }
    return { codes, afterwards: () => session.more() }
  }
  #checked(session: Session, text: string): { filter: string; group: Group | null } {
    const { filter, group: name } = sharedFilter(text) ?? { filter: text, group: null }
    if (!isFilter(filter)) throw new MqttError(reason.topicFilterInvalid, 'the topic filter is not valid')
    checkFilter(filter)
    const isNew = !session.subscriptions.has(text)
    const { mqttSubscriptions: most, mqttFilterBytes: bytesMax } = limits
    if (isNew && (session.subscriptions.size >= most || session.filterBytes + text.length > bytesMax))
      throw new MqttError(reason.quotaExceeded, `a session has at most ${most} subscriptions`)
    if (isNew) this.checkRoom()
    this.#checkRead(session.subject, filter)
    if (name === null) return { filter, group: null }
    return { filter, group: this.groupOf(name, filter) }
  }
  /** Of all log topics that it may bring messages of; those that are not there yet are asked about by their name. */
  #checkRead(subject: Subject, filter: string): void {
    if (!this.#parts.access.isEnforced || filter.startsWith(sysPrefix)) return
    const names = this.#parts.topics.mayHold([filter]).map(({ name }) => name)
    const [first = ''] = filter.split('/')
    if (first !== '+' && first !== '#') names.push(this.#parts.map.logTopic(filter))
    const refused = names.length === 0 || names.some((name) => !this.#parts.access.may(subject, 'read', name))
    if (refused) throw new MqttError(reason.notAuthorized, 'you may not read what it matches')
  }
  /** False: the connection is gone meanwhile. */
  async #enter(session: Session, subscription: Subscription, link: Link | null): Promise<boolean> {
    const { text, filter, group } = subscription
    const planted = group === null ? subscription : this.#ofGroup(group)
    if (group !== null) group.entering++
    if (planted !== null) await this.#parts.topics.listen(filter)
    await this.#parts.topics.settled([filter])
    if (group !== null) group.entering--
    if (session.link !== link || session.isOver) {
      if (group === null) this.#parts.topics.leave(filter)
      else this.#dropUnused(group)
      return false
    }
    const old = session.subscriptions.get(text)
    // Of a group nothing changes but the member's own options.
    if (old !== undefined && group === null) this.takeOut(session, old)
    if (old === undefined || group === null) {
      this.#parts.counts.subscriptions++
      session.filterBytes += text.length
      session.filterLevels += levelsOf(text)
    }
    session.subscriptions.set(text, subscription)
    if (planted !== null && group === null) this.#plant(planted)
    this.weigh(session)
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
    if (group.sessions.size > 0 || group.entering > 0) return
    if (this.#groups.get(group.key) === group) this.#groups.delete(group.key)
    const shared = this.#groupSubscriptions.get(group)
    if (shared !== undefined) {
      this.#groupSubscriptions.delete(group)
      this.#uproot(shared)
      this.#parts.topics.leave(group.filter)
    }
    void this.#parts.store.saveGroup(group).catch(() => {})
  }
  #plant(subscription: Subscription): void {
    this.#tree.add(subscription.filter, subscription)
    this.#matches.clear()
  }
  #uproot(subscription: Subscription): void {
    this.#tree.remove(subscription.filter, subscription)
    this.#matches.clear()
  }
  takeOut(session: Session, subscription: Subscription): void {
    const { text, filter, group } = subscription
    session.subscriptions.delete(text)
    session.filterBytes -= text.length
    session.filterLevels -= levelsOf(text)
    this.#parts.counts.subscriptions--
    this.weigh(session)
    if (group === null) {
      this.#uproot(subscription)
      this.#parts.topics.leave(filter)
      return
    }
    group.leave(session)
    group.sessions.delete(session)
    this.#dropUnused(group)
  }
  /** One after another, by what the subscription says then; nothing more when it is gone. */
  *retainedFor(session: Session, text: string): Generator<Delivery, undefined> {
    const { subscriptions, subject } = session
    const { access, map } = this.#parts
    const { filter } = subscriptions.get(text)!
    for (const found of [this.#parts.retained.find(filter), this.#parts.sys.find(filter)])
      for (const message of found) {
        const subscription = subscriptions.get(text)
        if (subscription === undefined) return
        // It may be older than the grants, and outlasts its log topic.
        if (message.place !== null && !access.allows(subject, 'read', map.logTopic(message.topic))) continue
        const delivery = deliveryBy(message, [subscription])
        if (delivery !== null) yield { ...delivery, retain: true }
      }
  }
  async unsubscribe(session: Session, filters: readonly string[]): Promise<number[]> {
    const codes = filters.map((text) => {
      const subscription = session.subscriptions.get(text)
      if (subscription === undefined) return reason.noSubscriptionExisted
      this.takeOut(session, subscription)
      session.forgetRetained(text)
      return reason.success
    })
    if (session.isKept) await this.#parts.store.save(session, true)
    return codes
  }

  get groups(): Iterable<readonly [string, Group]> {
    return this.#groups
  }
  groupOf(name: string, filter: string): Group {
    const key = `${name}/${filter}`
    let group = this.#groups.get(key)
    if (group === undefined) this.#groups.set(key, (group = new Group(this.#parts.host, name, filter)))
    return group
  }
  /** It stands where it stood, before anybody comes. */
  async stand(feed: Session | Group, own: readonly Subscription[], cursors: Cursors): Promise<void> {
    await Promise.all(feed.filters.map((filter) => this.#parts.topics.listen(filter)))
    for (const subscription of own) this.#plant(subscription)
    if (feed instanceof Group) this.#ofGroup(feed)
    feed.standAt(cursors)
  }
}

function checkFilter(filter: string): void {
  if (levelsOf(filter) > limits.mqttTopicLevels)
    throw new MqttError(reason.topicFilterInvalid, `a filter has at most ${limits.mqttTopicLevels} levels`)
}
/** Subscriptions of one feed that a message fits: it is given once, with the highest QoS and all their identifiers. */
export function deliveryBy(message: Message, subscriptions: readonly Subscription[]): Delivery | null {
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
