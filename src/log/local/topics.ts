/**
 * Topics and their settings, as records of the catalogue topic. A change is answered when its record is durable, and
 * seen by others from then on.
 *
 * Keys: `topic/<name>` holds id, partitions and settings; `drop/<topic id>` says that a removed topic's files are to be
 * deleted, until they are. Both are written in one batch on removal, so files are never deleted but by a durable wish,
 * and a crash between the two leaves nothing behind.
 */
import type { Offset } from '../../lib/brand.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { World } from '../../lib/world.ts'
import type { Store } from '../../store/store.ts'
import type { RecordInput } from '../batch.ts'
import type { At, TopicInfo, TopicSpec, Topics } from '../log.ts'
import { ChangeFeed } from './change-feed.ts'
import type { PartitionState } from './partition.ts'
import type { Registry } from './registry.ts'
import { appendDurably } from './system-log.ts'
import { isOwn, isSystemTopic } from './system-topics.ts'
import { checkConfig } from './topic-config.ts'
import { checkTopicName, idOfFolder, newTopicId } from './topic-name.ts'

const topicPrefix = 'topic/'
const dropPrefix = 'drop/'
/** Keys that only the log itself may write. */
export const isReservedKey = (key: string): boolean => /^(topic|drop|log|group|client-metrics|broker)\//.test(key)

type TopicChange = { partitions?: number; config?: Readonly<Record<string, string | null>> }
type Stored = Omit<TopicInfo, 'name'>

const weekMs = '604800000'
/** Topics of Kafka clients once had their default written down as if it had been set. */
function withDefaults(stored: Stored): Stored {
  const { 'retention.ms': retention, ...config } = stored.config
  if (stored.defaults !== undefined || retention !== weekMs) return stored
  return { ...stored, config, defaults: { 'retention.ms': weekMs } }
}

export class LocalTopics implements Topics {
  readonly #world: World
  readonly #store: Store
  readonly #registry: Registry
  readonly #catalog: PartitionState
  readonly #feed = new ChangeFeed()
  /** Names being created, altered or removed: one change at a time each. */
  readonly #busy = new Map<string, Promise<void>>()
  readonly #dropping = new Set<string>()
  /** Partitions being made, which no registry knows yet. */
  #growing = 0
  /** Called with what was removed. */
  onRemoved: (topic: string) => void = () => undefined

  constructor(world: World, of: { store: Store; registry: Registry; catalog: PartitionState }) {
    this.#world = world
    this.#store = of.store
    this.#registry = of.registry
    this.#catalog = of.catalog
  }

  /** Takes in one entry of the catalogue while it is read back. */
  restore(key: string, value: Uint8Array | null): void {
    if (key.startsWith(topicPrefix)) {
      const name = key.slice(topicPrefix.length)
      if (value === null) this.#registry.delete(name)
      else this.#registry.set({ name, ...withDefaults(JSON.parse(text(value)) as Stored) })
    } else if (key.startsWith(dropPrefix)) {
      const id = key.slice(dropPrefix.length)
      if (value === null) this.#dropping.delete(id)
      else this.#dropping.add(id)
    }
  }
  /** Deletes what a crash left of removed topics. */
  async finishDrops(): Promise<void> {
    for (const id of this.#dropping) await this.#dropFiles(id)
  }

  create(specs: readonly TopicSpec[]): Promise<(Fault | null)[]> {
    // All at once: their records share a sync round.
    return Promise.all(specs.map((spec) => outcome(this.#alone(spec.name, () => this.#create(spec)))))
  }
  async #create(spec: TopicSpec): Promise<void> {
    this.#checkNew(spec)
    const id = newTopicId(this.#world.random)
    const { name, partitions, config, defaults } = spec
    const createdMs = this.#world.clock.now()
    await this.#grow(partitions, { name, id, partitions, config: { ...config }, defaults: { ...defaults }, createdMs })
  }
  #checkNew(spec: TopicSpec): void {
    checkTopicName(spec.name)
    if (this.#registry.byName(spec.name) !== null) throw new Fault('log.topic-exists', { topic: spec.name })
    checkPartitions(spec.partitions)
    this.#checkRoom(spec.partitions)
    checkConfig({ ...spec.defaults, ...spec.config })
    this.#checkDelivery(spec.name, spec.config ?? {})
  }
  /** Copies go one step: a ring would never end. */
  #checkDelivery(topic: string, config: TopicInfo['config']): void {
    const value = config['deliver.to'] ?? ''
    if (value === '') return
    const refuse = (why: string): Fault => new Fault('log.invalid-config', { name: 'deliver.to', value, why })
    const target = this.#registry.byName(value)
    if (target === null) throw refuse('there is no such topic')
    if (value === topic || (target.config['deliver.to'] ?? '') !== '')
      throw refuse('records are delivered one step on, not further')
    if (this.#registry.all().some((other) => other.config['deliver.to'] === topic))
      throw refuse('records are delivered to this topic')
    if (isSystemTopic(value) || isOwn(value) || isSystemTopic(topic) || isOwn(topic))
      throw refuse('Millrace keeps it for itself')
  }
  /** What `create` would answer. */
  checkCreate(specs: readonly TopicSpec[]): (Fault | null)[] {
    return specs.map((spec) => faultOf(() => this.#checkNew(spec)))
  }

  alter(name: string, change: TopicChange): Promise<void> {
    return this.#alone(name, () => {
      const more = Math.max(0, (change.partitions ?? 0) - (this.#registry.byName(name)?.partitions ?? 0))
      return this.#grow(more, this.#altered(name, change))
    })
  }
  #checkRoom(more: number): void {
    const all = this.#registry.partitionCount + this.#growing
    if (more > 0 && all + more > limits.partitions)
      throw new Fault('log.invalid-partitions', {
        partitions: more,
        why: `there are ${all} of all topics, and at most ${limits.partitions}`,
      })
  }
  async #grow(partitions: number, info: TopicInfo): Promise<void> {
    this.#growing += partitions
    try {
      await this.#save(info)
    } finally {
      this.#growing -= partitions
    }
  }
  /** What `alter` would throw. */
  checkAlter(name: string, change: TopicChange): Fault | null {
    return faultOf(() => this.#altered(name, change))
  }
  #altered(name: string, change: TopicChange): TopicInfo {
    const info = this.#info(name)
    const partitions = change.partitions ?? info.partitions
    checkPartitions(partitions)
    if (partitions < info.partitions)
      throw new Fault('log.invalid-partitions', { partitions, why: `there are ${info.partitions} already` })
    this.#checkRoom(partitions - info.partitions)
    if (partitions > 1 && isSystemTopic(name))
      throw new Fault('log.invalid-partitions', { partitions, why: `${name} has one` })
    // What the log remembers in it would be gone.
    if (
      isSystemTopic(name) &&
      Object.keys(change.config ?? {}).some((key) => /^(cleanup\.policy|retention\.)/.test(key))
    )
      throw new Fault('log.topic-kept', { topic: name, why: 'the log itself needs what it holds' })
    const config = changed(info.config, change.config ?? {})
    checkConfig(config)
    if (change.config?.['deliver.to'] !== undefined) this.#checkDelivery(name, config)
    return { ...info, partitions, config }
  }

  remove(names: readonly string[]): Promise<(Fault | null)[]> {
    return Promise.all(names.map((name) => outcome(this.#alone(name, () => this.#remove(name)))))
  }
  async #remove(name: string): Promise<void> {
    const { id } = this.#info(name)
    if (isSystemTopic(name)) throw new Fault('log.topic-kept', { topic: name, why: 'the log itself needs it' })
    await appendDurably(this.#catalog, [
      this.#record(topicPrefix + name, null),
      this.#record(dropPrefix + id, { name }),
    ])
    this.#registry.delete(name)
    this.onRemoved(name)
    this.#feed.tell(name)
    await this.#dropFiles(id)
  }
  async #dropFiles(id: string): Promise<void> {
    for (const folder of this.#store.partitions()) if (idOfFolder(folder) === id) await this.#store.drop(folder)
    await appendDurably(this.#catalog, [this.#record(dropPrefix + id, null)])
    this.#dropping.delete(id)
  }

  async list(): Promise<TopicInfo[]> {
    return this.#registry.all()
  }
  async get(name: string): Promise<TopicInfo | null> {
    return this.#registry.byName(name)
  }
  async trim(to: readonly At[]): Promise<void> {
    const found = to.map((at) => ({ at, partition: this.#registry.partition(at.partition) }))
    for (const { at, partition } of found) {
      if (isSystemTopic(partition.partition.topic))
        throw new Fault('log.topic-kept', { topic: partition.partition.topic, why: 'the log itself needs it' })
      await partition.perform(() => checkWithin(partition, at.offset))
    }
    await Promise.all(found.map(({ at, partition }) => partition.log.trim(at.offset)))
  }
  watch(signal: AbortSignal): AsyncIterable<{ readonly changed: readonly string[] }> {
    return this.#feed.watch(signal)
  }
  /** Called after each change, in the same turn. */
  onChange(call: (name: string) => void): () => void {
    return this.#feed.onChange(call)
  }
  close(): void {
    this.#feed.close()
  }

  #info(topic: string): TopicInfo {
    const info = this.#registry.byName(topic)
    if (info === null) throw new Fault('log.unknown-topic', { topic })
    return info
  }
  async #save(info: TopicInfo): Promise<void> {
    const { name, ...stored } = info
    await appendDurably(this.#catalog, [this.#record(topicPrefix + name, stored)])
    this.#registry.set(info)
    this.#feed.tell(name)
  }
  #record(key: string, value: unknown): RecordInput {
    return {
      key: Buffer.from(key),
      value: value === null ? null : Buffer.from(JSON.stringify(value)),
      timeMs: this.#world.clock.now(),
    }
  }
  /** Runs after the changes of this name that came before. */
  async #alone(name: string, change: () => Promise<void>): Promise<void> {
    const before = this.#busy.get(name)
    const mine = (before ?? Promise.resolve()).then(change)
    const settled = mine.then(
      () => undefined,
      () => undefined,
    )
    this.#busy.set(name, settled)
    try {
      await mine
    } finally {
      if (this.#busy.get(name) === settled) this.#busy.delete(name)
    }
  }
}

const text = (bytes: Uint8Array): string => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')

async function outcome(done: Promise<void>): Promise<Fault | null> {
  try {
    await done
    return null
  } catch (error) {
    return asFault(error)
  }
}
function faultOf(check: () => unknown): Fault | null {
  try {
    check()
    return null
  } catch (error) {
    return asFault(error)
  }
}
function checkPartitions(partitions: number): void {
  if (!Number.isInteger(partitions) || partitions < 1)
    throw new Fault('log.invalid-partitions', { partitions, why: 'a topic has at least one' })
  if (partitions > limits.partitionsPerTopic)
    throw new Fault('log.invalid-partitions', { partitions, why: `at most ${limits.partitionsPerTopic}` })
}
function changed(config: TopicInfo['config'], change: Readonly<Record<string, string | null>>): Record<string, string> {
  const merged = new Map(Object.entries(config))
  for (const [name, value] of Object.entries(change))
    if (value === null) merged.delete(name)
    else merged.set(name, value)
  return Object.fromEntries(merged)
}
function checkWithin(partition: PartitionState, offset: Offset): void {
  const first = partition.log.start
  const next = partition.highWatermark
  if (offset > next) throw new Fault('log.offset-out-of-range', { offset, first, next })
}
