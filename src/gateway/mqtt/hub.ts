/**
 * What all connections share, put together, and the way of a message from the log to who wants it. A message goes to subscribers when its record is durable, whoever wrote it; there is no other way.
 */
import { sharedFilter } from '../../wire/mqtt/topics.ts'
import { limits } from '../../lib/limits.ts'
import type { TopicReader } from '../../telemetry/topic-reader.ts'
import type { Logger } from '../../lib/logger.ts'
import type { World } from '../../lib/world.ts'
import type { LogRecord } from '../../log/batch.ts'
import type { Commits } from '../../log/commits.ts'
import type { Log } from '../../log/log.ts'
import type { Contracts } from '../../schema/contracts.ts'
import type { Security } from '../../security/security.ts'
import { Access } from './access.ts'
import { CatchUp } from './catch-up.ts'
import type { Delivery, Feed } from './feed.ts'
import type { Group, GroupHost } from './group.ts'
import { type Followed, LogTopics } from './log-topics.ts'
import { type Message, type Place, type Sent, messageOf, ownMessage } from '../../log/mqtt-message.ts'
import { type PublishOptions, type PublishWaiter, Publishing } from './publishing.ts'
import { Retained, retainedTopic } from './retained.ts'
import { Session, type SessionHost, type Subscription } from './session.ts'
import { Sessions } from './sessions.ts'
import { Store } from './store.ts'
import { Subscriptions, deliveryBy } from './subscriptions.ts'
import { Sys } from './sys.ts'
import { type TopicRule, TopicMap } from './topic-map.ts'

const filtersShown = 5

export interface HubOptions {
  readonly world: Pick<World, 'clock' | 'random'>
  readonly log: Log
  readonly commits: Commits
  readonly contracts: Contracts
  readonly security: Security
  /** The view that alone writes the topic; null: there is none. */
  readonly writerOf: (topic: string) => string | null
  readonly logger: Logger
  readonly rules: readonly TopicRule[]
  /** Of a log topic that is made because somebody publishes. */
  readonly partitions: number
  /** No session is kept longer without its client. */
  readonly sessionExpiryMaxS: number
}

export class Hub implements SessionHost, GroupHost {
  readonly clock: World['clock']
  readonly topics: LogTopics
  readonly catchUp: CatchUp
  readonly retained: Retained
  readonly store: Store
  readonly sessions: Sessions
  readonly subscriptions: Subscriptions
  readonly counts = { received: 0, sent: 0, dropped: 0, refused: 0, subscriptions: 0 }
  readonly sys = new Sys()
  readonly queued = { bytes: 0 }
  readonly #map: TopicMap
  readonly #access: Access
  readonly #publishing: Publishing
  readonly #logger: Logger

  private constructor(options: HubOptions, store: Store, retained: Retained) {
    const { world, log, logger, rules, partitions, security } = options
    this.#logger = logger
    this.clock = world.clock
    this.store = store
    this.retained = retained
    this.#map = new TopicMap(rules)
    this.#access = new Access(security)
    const take = (record: LogRecord, from: Followed): void => this.#dispatch(record, from)
    this.topics = new LogTopics({ log, clock: world.clock, logger, map: this.#map, partitions, take })
    const { clock, topics, counts, sys } = this
    this.catchUp = new CatchUp({
      clock,
      read: (partition, at) => topics.read(partition, at),
      deliveriesOf: (...of) => this.#deliveriesOf(...of),
      failed: (error) => logger.error('mqtt: the log cannot be read', { error }),
    })
    const parts = { host: this, clock, logger, map: this.#map, access: this.#access, topics, counts, store, retained }
    this.#publishing = new Publishing({ ...options, ...parts })
    this.subscriptions = new Subscriptions({ ...parts, sys })
    const { sessionExpiryMaxS: expiryMaxS } = options
    this.sessions = new Sessions({ ...parts, subscriptions: this.subscriptions, expiryMaxS })
  }
  static async open(options: HubOptions): Promise<Hub> {
    const { log, world, logger } = options
    const [store, restored] = await Store.open({ log, clock: world.clock, logger })
    const hub = new Hub(options, store, await Retained.open(log, world.clock))
    await hub.topics.open()
    await hub.sessions.restore(restored)
    return hub
  }
  async close(): Promise<void> {
    await this.store.close()
    await this.topics.close()
  }

  /** Sessions that would be given what is written to the log topic. */
  readersOf(logTopic: string): readonly TopicReader[] {
    if (!this.#map.isMapped(logTopic)) return []
    const found: TopicReader[] = []
    for (const { clientId, link, subscriptions } of this.sessions.all()) {
      const filters = [...subscriptions.keys()].filter((one) =>
        this.#map.mayHold(logTopic, sharedFilter(one)?.filter ?? one),
      )
      if (filters.length === 0) continue
      if (found.length === limits.shownReaders) break
      const about = filters.slice(0, filtersShown).join(' ')
      found.push({ protocol: 'mqtt', kind: 'session', name: clientId, about, isConnected: link !== null, lag: null })
    }
    return found
  }
  publish(sent: Sent, options: PublishOptions, waiter: PublishWaiter): void {
    this.#publishing.publish(sent, options, waiter)
  }

  #dispatch(record: LogRecord, from: Followed): void {
    const { topic: name, index } = from.partition
    const topic = this.#map.mqttTopic(name, record.key)
    const found = this.subscriptions.match(topic)
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
    try {
      if (delivery !== null) feed.offer(delivery, from)
    } catch (error) {
      // One that cannot take it must not keep it from the others.
      this.#logger.error('mqtt: a message was not delivered', { error })
    }
  }
  /** Topics come after a subscription, and grants go. */
  mayRead({ subject }: Session, { place }: Message): boolean {
    return place === null || place.topic === retainedTopic || this.#access.allows(subject, 'read', place.topic)
  }
  *#deliveriesOf(
    record: LogRecord,
    from: Followed,
    isAsked: (feed: Feed) => boolean,
  ): Generator<readonly [Feed, Delivery], undefined> {
    const { topic: name, index } = from.partition
    const topic = this.#map.mqttTopic(name, record.key)
    const found = this.subscriptions.match(topic).filter(({ feed }) => isAsked(feed))
    if (found.length === 0) return
    const message = ownMessage(messageOf(record, topic, { topic: name, index, offset: record.offset }))
    for (const [feed, subscriptions] of Map.groupBy(found, (one) => one.feed)) {
      if (feed instanceof Session && !this.mayRead(feed, message)) continue
      const delivery = deliveryBy(message, subscriptions)
      if (delivery !== null) yield [feed, delivery]
    }
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
    const { link } = session
    return this.store.saveFlight(session, () => session.link === link && link?.isOpen === true)
  }
  touch(session: Session): void {
    this.store.touch(session)
  }
  forgetIncoming(session: Session, id: number): void {
    this.store
      .released(session, id, () => true)
      .catch((error: unknown) => this.#logger.error('mqtt: a session was not saved', { error }))
  }
  touchGroup(group: Group): void {
    this.store.touchGroup(group)
  }

  /** Once a second. */
  tick(): void {
    this.sessions.tick()
    this.store.tick()
  }
  say(values: Readonly<Record<string, string | number>>): void {
    for (const message of this.sys.update(values, this.clock.now())) {
      const found = this.subscriptions.match(message.topic)
      if (found.length > 0) this.#offer(message, found, null)
    }
  }
}
