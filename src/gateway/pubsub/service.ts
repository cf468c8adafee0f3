/**
 * What the gateway is about: topics (which are the log's), subscriptions, snapshots and schemas. What they are beyond the log
 * is kept in the compacted topic `_millrace_pubsub`, as JSON by `kind/id`.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { Room } from '../../lib/room.ts'
import type { TopicReader } from '../../telemetry/topic-reader.ts'
import type { Clock, World } from '../../lib/world.ts'
import { isKeptTopic } from '../../log/topic-rules.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Commits } from '../../log/commits.ts'
import { KeptMap } from '../../log/kept-map.ts'
import type { Log, TopicInfo } from '../../log/log.ts'
import { Placing } from '../../log/placing.ts'
import type { Queues } from '../../log/queues/queues.ts'
import type { Contracts } from '../../schema/contracts.ts'
import type { Security } from '../../security/security.ts'
import type { PubsubMeter } from '../../telemetry/pubsub-meter.ts'
import { fromJson, toJson } from '../../wire/protobuf/json.ts'
import { subscriptionMessage, topicMessage, type TopicMessage } from '../../wire/pubsub/messages.ts'
import type { Access } from './access.ts'
import { notFound } from './errors.ts'
import { type Kind, deletedSchema, deletedTopic, nameOf, parseName } from './names.ts'
import type { Pushers } from './push.ts'
import { SchemaStore, schemaIdOf } from './schema-store.ts'
import { SnapshotStore } from './snapshot-store.ts'
import { type KeptSubscription, Subscription, groupOf, retentionDefaultMs, topicOf } from './subscription.ts'
import { msOf } from '../../wire/protobuf/well-known.ts'
import { Transforms } from './transforms.ts'

/** What is said of a subscription's use is written so seldom. */
const keptActiveMs = 3_600_000
export const keptTopic = '_millrace_pubsub'

export interface TopicUses {
  /** The view that alone writes it. */
  writerOf(topic: string): string | null
  /** A stream or table over it. */
  readerOf(topic: string): { readonly kind: string; readonly name: string } | null
}
export interface Parts {
  readonly world: Pick<World, 'clock' | 'random' | 'net' | 'threads'>
  /** A log of our own: subscriptions are its queues. */
  readonly log: Log & { readonly queues: Queues }
  readonly commits: Commits
  readonly contracts: Contracts
  readonly security: Security
  readonly logger: Logger
  readonly meter: PubsubMeter
  /** What clients may not write to or delete. */
  readonly uses: TopicUses
  /** Of topics that are made. */
  readonly partitions: number
}
/** What a topic is beyond the log's. */
interface KeptTopic {
  readonly topicId: string
  readonly message: TopicMessage
}
export interface FoundTopic {
  readonly info: TopicInfo
  readonly message: TopicMessage
}

export class Service {
  readonly parts: Parts
  readonly placing: Placing
  readonly schemas: SchemaStore
  readonly snapshots: SnapshotStore
  readonly transforms: Transforms
  readonly subscriptions = new Map<string, Subscription>()
  readonly kept: KeptMap
  /** For messages that are on their way to clients. */
  readonly room = new Room(limits.pubsubAnswerBytes)
  pushers: Pushers | null = null
  readonly #topics = new Map<string, KeptTopic>()

  private constructor(parts: Parts, kept: KeptMap) {
    this.parts = parts
    this.kept = kept
    this.transforms = new Transforms(parts.world)
    this.placing = new Placing({ world: { ...parts.world } as World, log: parts.log, commits: parts.commits })
    this.schemas = new SchemaStore(kept, parts.world)
    this.snapshots = new SnapshotStore(kept, parts.world.clock)
  }
  static async open(parts: Parts): Promise<Service> {
    const { clock } = parts.world
    const kept = await KeptMap.open({ log: parts.log, topic: keptTopic, now: () => clock.now() })
    const service = new Service(parts, kept)
    await service.#restore()
    return service
  }
  get clock(): Clock {
    return this.parts.world.clock
  }
  async #restore(): Promise<void> {
    const entries = [...this.kept.entries()]
    const begun: [id: string, message: TopicMessage][] = []
    const removed: string[] = []
    for (const [key, bytes] of entries) {
      const cut = key.indexOf('/')
      const kind = key.slice(0, cut)
      const id = key.slice(cut + 1)
      const value = JSON.parse(Buffer.from(bytes).toString()) as Record<string, unknown>
      if (kind === 'topics') {
        const message = fromJson(topicMessage, value['message'])
        const topicId = String(value['topicId'])
        if (topicId === '') begun.push([id, message])
        else this.#topics.set(id, { topicId, message })
      }
      if (kind === 'schemas') this.schemas.restore(id, value)
      if (kind === 'snapshots') this.snapshots.restore(id, value)
      if (kind === 'subscriptions' && value['removed'] === true) removed.push(id)
      else if (kind === 'subscriptions') {
        const message = fromJson(subscriptionMessage, value['message'])
        this.#add(id, { ...(value as unknown as KeptSubscription), message })
      }
    }
    await this.#finish(begun, removed)
  }
  /** What the process died in the middle of. */
  async #finish(begun: readonly (readonly [id: string, message: TopicMessage])[], removed: readonly string[]) {
    const { log } = this.parts
    for (const [id, message] of begun) {
      const info = await log.topics.get(id)
      if (info === null) await this.forgetTopic(id)
      else await this.keepTopic(info, message)
    }
    for (const id of removed) {
      await log.queues.forget(groupOf(id), null)
      await this.forget('subscriptions', id)
    }
    for (const { group, kept } of this.subscriptions.values()) {
      const others = log.queues.states(group).flatMap(({ of }) => (of.topicId === kept.topicId ? [] : [of.topicId]))
      if (others.length > 0) await log.queues.forget(group, others)
    }
  }

  // --- topics

  /** null: there is none. What Millrace and Kafka's tools keep for themselves is none. */
  async findTopic(name: string): Promise<FoundTopic | null> {
    const { id } = parseName('topics', name)
    const info = isKeptTopic(id) ? null : await this.parts.log.topics.get(id)
    if (info === null) return null
    return { info, message: { ...this.#topicMessage(info), name } }
  }
  /** Throws RpcError NOT_FOUND. */
  async topic(name: string): Promise<FoundTopic> {
    const found = await this.findTopic(name)
    if (found === null) throw notFound(nameOnly(name))
    return found
  }
  async topics(): Promise<FoundTopic[]> {
    const all = await this.parts.log.topics.list()
    return all
      .filter(({ name }) => !name.startsWith('_'))
      .map((info) => ({ info, message: this.#topicMessage(info) }))
      .toSorted((a, b) => (a.info.name < b.info.name ? -1 : 1))
  }
  /** A topic that came another way is as the service makes one that nothing was said about. */
  #topicMessage({ name, id }: TopicInfo): TopicMessage {
    const kept = this.#topics.get(name)
    return kept?.topicId === id ? kept.message : fromJson(topicMessage, { state: 'ACTIVE' })
  }
  /** Before it is made: if the process dies in between, it is as it was described. */
  async beginTopic(name: string, message: TopicMessage): Promise<void> {
    await this.keep('topics', name, { topicId: '', message: toJson(topicMessage, message) })
  }
  async keepTopic(info: TopicInfo, message: TopicMessage): Promise<void> {
    await this.keep('topics', info.name, { topicId: info.id, message: toJson(topicMessage, message) })
    this.#topics.set(info.name, { topicId: info.id, message })
    await this.#keepRecords(info, message)
  }
  async forgetTopic(name: string): Promise<void> {
    await this.forget('topics', name)
    this.#topics.delete(name)
  }
  /** Topics that have it say from then on that it is gone, also when there is another of its name. */
  async removeSchema(id: string): Promise<void> {
    const having = [...this.#topics].flatMap(([name, { message }]) => (hasSchema(message, id) ? [name] : []))
    const remove = async (): Promise<void> => {
      const changed = having.flatMap((name): [name: string, topic: KeptTopic][] => {
        const topic = this.#topics.get(name)
        if (topic === undefined || !hasSchema(topic.message, id)) return []
        const schemaSettings = { ...topic.message.schemaSettings!, schema: deletedSchema }
        return [[name, { ...topic, message: { ...topic.message, schemaSettings } }]]
      })
      const others = changed.map(([name, { topicId, message }]) => ({
        key: `topics/${name}`,
        value: Buffer.from(JSON.stringify({ topicId, message: toJson(topicMessage, message) })),
      }))
      await this.schemas.remove(id, others)
      for (const [name, topic] of changed) this.#topics.set(name, topic)
    }
    await having.reduceRight((next, name) => () => this.turn('topics', name, next), remove)()
  }
  subscriptionsOf({ id }: TopicInfo): Subscription[] {
    return [...this.subscriptions.values()].filter(({ kept, message }) => kept.topicId === id && !message.detached)
  }
  /** null: it is gone, whatever has its name by now. */
  async topicFor({ kept, message }: Subscription): Promise<TopicInfo | null> {
    const info = kept.topicId === '' ? null : await this.parts.log.topics.get(topicOf(message))
    return info?.id === kept.topicId ? info : null
  }
  /** Its topic is gone: it stays, and gets nothing any more. */
  loseTopic({ id }: Subscription, { id: topicId }: TopicInfo): Promise<void> {
    return this.turn('subscriptions', id, async () => {
      const now = this.subscriptions.get(id)
      if (now?.kept.topicId !== topicId) return
      const { kept, group } = now
      await this.keepSubscription(id, { ...kept, topicId: '', message: { ...kept.message, topic: deletedTopic } })
      await this.parts.log.queues.forget(group, [topicId])
    })
  }
  /** Records stay as long as somebody may want them; what other protocols have set is not shortened. */
  async #keepRecords(info: TopicInfo, message: TopicMessage): Promise<void> {
    const { messageRetentionDuration: own } = message
    const wanted = Math.max(
      own === null ? 0 : msOf(own),
      ...this.subscriptionsOf(info).map(({ retentionMs }) => retentionMs),
      retentionDefaultMs,
    )
    const now = Number(info.config['retention.ms'] ?? info.defaults?.['retention.ms'] ?? -1)
    if (now >= 0 && now < wanted)
      await this.parts.log.topics.alter(info.name, { config: { 'retention.ms': String(wanted) } })
  }

  // --- subscriptions

  async readersOf(topic: string): Promise<readonly TopicReader[]> {
    const info = await this.parts.log.topics.get(topic)
    const all = info === null ? [] : this.subscriptionsOf(info).slice(0, limits.shownReaders)
    return Promise.all(
      all.map(async ({ id, group, message }): Promise<TopicReader> => {
        const positions = await this.parts.log.queues.positions(group)
        const lag = positions.reduce((sum, one) => sum + (one.lag ?? 0), 0)
        const about =
          (message.pushConfig?.pushEndpoint ?? '') === '' ? 'pull' : `push to ${message.pushConfig!.pushEndpoint}`
        return { protocol: 'pubsub', kind: 'subscription', name: id, about, isConnected: null, lag }
      }),
    )
  }

  /** Throws RpcError NOT_FOUND. */
  subscription(name: string): Subscription {
    const { id } = parseName('subscriptions', name)
    const found = this.subscriptions.get(id)
    if (found === undefined) throw notFound(nameOnly(name))
    return found
  }
  has(subscription: Subscription): boolean {
    return this.subscriptions.get(subscription.id) === subscription
  }
  /** Durable, and there, when it resolves. */
  async keepSubscription(id: string, kept: KeptSubscription): Promise<Subscription> {
    const message = toJson(subscriptionMessage, kept.message)
    await this.keep('subscriptions', id, { ...kept, message })
    const known = this.subscriptions.get(id)
    if (known === undefined) return this.#added(id, kept)
    known.change(kept)
    this.pushers?.look(known)
    return known
  }
  async #added(id: string, kept: KeptSubscription): Promise<Subscription> {
    const subscription = this.#add(id, kept)
    const info = await this.parts.log.topics.get(topicOf(kept.message))
    if (info !== null) await this.#keepRecords(info, this.#topicMessage(info))
    this.pushers?.look(subscription)
    return subscription
  }
  #add(id: string, kept: KeptSubscription): Subscription {
    const { log, logger, world } = this.parts
    const subscription = new Subscription(id, kept, {
      queues: log.queues,
      log,
      clock: world.clock,
      transformOf: ({ messageTransforms }) => this.transforms.of(messageTransforms),
      topicKeepsMs: ({ topicId, message }) => {
        const topic = this.#topics.get(topicOf(message))
        const own = topic?.topicId === topicId ? topic.message.messageRetentionDuration : null
        return own === null ? 0 : msOf(own)
      },
      onFault: (what, fault) => logger.warn(`pubsub: subscription ${what}: ${fault.message}`, { code: fault.code }),
    })
    this.subscriptions.set(id, subscription)
    return subscription
  }
  async removeSubscription(subscription: Subscription): Promise<void> {
    const { id, group } = subscription
    await this.keep('subscriptions', id, { removed: true })
    this.subscriptions.delete(id)
    subscription.end()
    this.pushers?.look(subscription)
    await this.parts.log.queues.forget(group, null)
    await this.forget('subscriptions', id)
  }
  /** What is delivered is what stands in the topic. */
  demandRead(access: Access, { message }: Subscription): void {
    access.demand('read', 'topic', topicOf(message))
  }

  /** Subscriptions that nobody has used for as long as they say, and snapshots that are over. */
  async sweep(): Promise<void> {
    const nowMs = this.clock.now()
    for (const subscription of this.subscriptions.values()) {
      const { id, activeMs, kept, message } = subscription
      const ttl = message.expirationPolicy?.ttl ?? null
      if (ttl !== null && nowMs - activeMs > msOf(ttl))
        await this.turn('subscriptions', id, () => this.#expire(subscription))
      else if (activeMs - kept.activeMs > keptActiveMs)
        await this.turn('subscriptions', id, async () => {
          const now = this.subscriptions.get(id)
          if (now !== undefined) await this.#keepActive(now)
        })
    }
    for (const id of this.snapshots.over()) await this.turn('snapshots', id, () => this.snapshots.removeOver(id))
  }
  async #expire(subscription: Subscription): Promise<void> {
    if (!this.has(subscription)) return
    const { id } = subscription
    this.parts.logger.info('pubsub: a subscription has expired', { subscription: id })
    await this.removeSubscription(subscription)
  }
  async #keepActive(subscription: Subscription): Promise<void> {
    const { id, kept, activeMs } = subscription
    const next = { ...kept, activeMs }
    await this.keep('subscriptions', id, { ...next, message: toJson(subscriptionMessage, kept.message) })
    subscription.keptActive(next)
  }

  // --- kept

  async keep(kind: Kind | 'keys', id: string, value: object): Promise<void> {
    await this.kept.change([{ key: `${kind}/${id}`, value: Buffer.from(JSON.stringify(value)) }])
  }
  async forget(kind: Kind, id: string): Promise<void> {
    await this.kept.change([{ key: `${kind}/${id}`, value: null }])
  }
  /** One change of a resource at a time. */
  turn<T>(kind: Kind, id: string, run: () => Promise<T>): Promise<T> {
    return this.kept.turn(`${kind}/${id}`, run)
  }
  close(): void {
    for (const subscription of this.subscriptions.values()) subscription.end()
    this.transforms.close()
  }
}

const hasSchema = ({ schemaSettings }: TopicMessage, id: string): boolean => {
  const name = schemaSettings?.schema ?? ''
  return name !== '' && name !== deletedSchema && schemaIdOf(name) === id
}
/** As the service says it of what is not there. */
export const nameOnly = (name: string): string => name.split('/').at(-1) ?? name
export const named = <T extends { readonly name: string }>(kind: Kind, project: string, id: string, message: T): T => ({
  ...message,
  name: nameOf(kind, project, id),
})
/** Throws Fault log.topic-kept. */
export function refuseOwned({ parts }: Service, name: string): void {
  if (parts.uses.writerOf(name) !== null)
    throw new Fault('log.topic-kept', { topic: name, why: 'it holds the changes of a view, which alone writes it' })
}
