/** All topics of this log in memory, and their partitions, opened as they are asked for. */
import { assert } from '../../lib/assert.ts'
import { Fault } from '../../lib/fault.ts'
import type { Store } from '../../store/store.ts'
import type { Partition, TopicInfo } from '../log.ts'
import { type PartitionHost, PartitionState } from './partition.ts'
import { isSystemTopic, reserveKept } from './system-topics.ts'
import { type TopicPolicy, policyOf } from './topic-config.ts'
import { partitionFolder } from './topic-name.ts'

interface Entry {
  info: TopicInfo
  /** Made when it is first asked for: of a thousand topics few are used at once. */
  policy: TopicPolicy | null
  readonly partitions: (PartitionState | undefined)[]
}

export class Registry {
  readonly #store: Store
  readonly #host: PartitionHost
  readonly #byName = new Map<string, Entry>()
  readonly #byId = new Map<string, Entry>()
  #partitionCount = 0
  /** What a topic has that does not say otherwise. */
  topicDefaults: (topic: string) => TopicInfo['config'] = () => ({})

  constructor(store: Store, host: PartitionHost) {
    this.#store = store
    this.#host = host
  }

  /** Over all topics. */
  get partitionCount(): number {
    return this.#partitionCount
  }
  byName(name: string): TopicInfo | null {
    return this.#byName.get(name)?.info ?? null
  }
  byId(id: string): TopicInfo | null {
    return this.#byId.get(id)?.info ?? null
  }
  /** The log's own topics are left out while nothing stands in them. */
  all(): TopicInfo[] {
    const found: TopicInfo[] = []
    for (const { info, partitions } of this.#byName.values())
      if (!isSystemTopic(info.name) || (partitions[0]?.log.end ?? 0) > 0) found.push(info)
    return found
  }
  policy(name: string): TopicPolicy {
    return this.#policyOf(this.#entry(name))
  }
  /** Throws Fault log.unknown-topic, log.unknown-partition. */
  partition({ topic, index }: Partition): PartitionState {
    const entry = this.#entry(topic)
    const found = entry.partitions[index]
    if (found !== undefined) return found
    if (!Number.isInteger(index) || index < 0 || index >= entry.info.partitions)
      throw new Fault('log.unknown-partition', { topic, partition: index })
    return (entry.partitions[index] = this.#open(entry, index))
  }
  /** Throws as `partition` does, and opens nothing: clients ask for this of every partition there is. */
  leaderEpoch({ topic, index }: Partition): number {
    const { info } = this.#entry(topic)
    if (!Number.isInteger(index) || index < 0 || index >= info.partitions)
      throw new Fault('log.unknown-partition', { topic, partition: index })
    return this.#store.leaderEpoch
  }
  /** The same by topic id; null when there is no such topic any more. */
  partitionById(id: string, index: number): PartitionState | null {
    const entry = this.#byId.get(id)
    if (entry === undefined || index >= entry.info.partitions) return null
    return this.partition({ topic: entry.info.name, index })
  }
  /** Every partition of a topic that has been opened. */
  opened(name: string): PartitionState[] {
    return this.#entry(name).partitions.filter((partition) => partition !== undefined)
  }
  *allOpened(): Iterable<PartitionState> {
    for (const entry of this.#byName.values())
      for (const partition of entry.partitions) if (partition !== undefined) yield partition
  }
  #entry(topic: string): Entry {
    const entry = this.#byName.get(topic)
    if (entry === undefined) throw new Fault('log.unknown-topic', { topic })
    return entry
  }
  #policyOf(entry: Entry): TopicPolicy {
    const { id, name, config, defaults } = entry.info
    if (entry.policy !== null) return entry.policy
    const policy = policyOf({ ...defaults, ...this.topicDefaults(name), ...config }, spreadOf(id))
    return (entry.policy = { ...policy, store: { ...policy.store, reserveKept: reserveKept(name) } })
  }
  #open(entry: Entry, index: number): PartitionState {
    const { info } = entry
    const policy = this.#policyOf(entry)
    const log = this.#store.partition(partitionFolder(info.name, info.id, index), policy.store)
    return new PartitionState(this.#host, { partition: { topic: info.name, index }, topicId: info.id, policy, log })
  }

  /** A new topic, or new settings or more partitions of one that is there. */
  set(info: TopicInfo): void {
    const entry = this.#byName.get(info.name)
    this.#partitionCount += info.partitions - (entry?.info.partitions ?? 0)
    if (entry === undefined) {
      const added: Entry = { info, policy: null, partitions: [] }
      this.#byName.set(info.name, added)
      this.#byId.set(info.id, added)
      return
    }
    assert(entry.info.id === info.id, 'a topic keeps its id')
    entry.info = info
    entry.policy = null
    for (const partition of entry.partitions) partition?.configure(this.#policyOf(entry))
  }
  /** What topics have that do not say otherwise has changed. */
  configureAll(): void {
    for (const { info } of Array.from(this.#byName.values())) this.set(info)
  }
  /** Forgets a topic; its files are the caller's affair. */
  delete(name: string): void {
    const entry = this.#byName.get(name)
    if (entry === undefined) return
    this.#partitionCount -= entry.info.partitions
    this.#byName.delete(name)
    this.#byId.delete(entry.info.id)
    for (const partition of entry.partitions) partition?.remove()
  }
  close(): void {
    for (const partition of this.allOpened()) partition.close()
  }
}

/** A fixed number in [0, 1) for each topic. */
const spreadOf = (id: string): number => Number.parseInt(id.slice(0, 8), 16) / 2 ** 32
