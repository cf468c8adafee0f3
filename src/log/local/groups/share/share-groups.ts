/** Share groups: who is in them (a kind of the groups that are assigned here), and where they are (their queues). */
import type { Offset } from '../../../../lib/brand.ts'
import { Fault } from '../../../../lib/fault.ts'
import type { World } from '../../../../lib/world.ts'
import type { LogRecord } from '../../../batch.ts'
import type {
  ConsumerHeartbeatAnswer,
  DescribedConsumerGroup,
  ShareHeartbeat,
  ShareOffset,
  ShareOffsets,
} from '../../../broker.ts'
import type { Journal } from '../../../journal.ts'
import type { Partition } from '../../../log.ts'
import type { QueueRef, Queues } from '../../../queues/queues.ts'
import type { ConsumerGroup, ConsumerGroupSettings } from '../consumer/consumer-group.ts'
import { ConsumerGroups, type ConsumerGroupsHost } from '../consumer/consumer-groups.ts'
import { shareKind } from './kind.ts'

export interface ShareGroupsHost {
  readonly topics: ConsumerGroupsHost['topics']
  readonly queues: Queues
  readonly memory: ConsumerGroupsHost['memory']
  settings(group: string): ConsumerGroupSettings
}
/** No classic group becomes a share group, nor the other way. */
const noClassics: ConsumerGroupsHost['classic'] = {
  get: () => null,
  take: () => () => undefined,
  put: () => () => undefined,
}

export class ShareGroups implements ShareOffsets {
  readonly #host: ShareGroupsHost
  readonly #groups: ConsumerGroups

  constructor(world: World, journal: Journal, host: ShareGroupsHost) {
    this.#host = host
    this.#groups = new ConsumerGroups(
      world,
      journal,
      {
        topics: host.topics,
        memory: host.memory,
        settings: (group) => host.settings(group),
        classic: noClassics,
        left: (group, member) => void host.queues.release(group, member),
      },
      shareKind,
    )
  }
  get(name: string): ConsumerGroup | null {
    return this.#groups.get(name)
  }
  names(): Iterable<string> {
    return this.#groups.names()
  }
  heartbeat(request: ShareHeartbeat): Promise<ConsumerHeartbeatAnswer | { fault: Fault }> {
    return this.#groups.heartbeat({
      ...request,
      instanceId: null,
      rebalanceTimeoutMs: -1,
      pattern: null,
      assignor: null,
      owned: null,
    })
  }
  describe(name: string): DescribedConsumerGroup | null {
    return this.get(name)?.describe() ?? null
  }
  /** The end of the group, which nobody is in, and of its queues. */
  async dissolve(name: string): Promise<Fault | null> {
    // The queues first: a group without them begins anew, queues without a group would never be forgotten.
    await this.#host.queues.forget(name, null)
    const group = this.get(name)
    if (group === null) return null
    // Somebody may have joined meanwhile.
    return group.isEmpty ? this.#groups.dissolve(name) : new Fault('log.group-not-empty', { group: name })
  }

  // --- where they are

  async positions(name: string): Promise<ShareOffset[]> {
    const group = this.#required(name)
    const found = new Map<string, ShareOffset>()
    for (const topic of new Set([...group.state.infos.values()].flatMap(({ topics }) => topics))) {
      const info = this.#host.topics.byName(topic)
      for (let index = 0; index < (info?.partitions ?? 0); index++)
        found.set(`${topic}/${index}`, { partition: { topic, index }, start: null, lag: null })
    }
    for (const { of, start, lag } of await this.#host.queues.positions(name)) {
      const topic = this.#host.topics.byId(of.topicId)?.name
      if (topic !== undefined) found.set(`${topic}/${of.index}`, { partition: { topic, index: of.index }, start, lag })
    }
    return [...found.values()]
  }
  async reset(name: string, to: readonly { partition: Partition; offset: Offset }[]): Promise<void> {
    const fault = await this.#groups.ensure(name)
    if (fault !== null) throw fault
    this.#requireEmpty(name)
    await this.#host.queues.reset(
      name,
      to.map(({ partition, offset }) => ({ of: this.#refOf(partition), offset })),
    )
  }
  async forget(name: string, topics: readonly string[]): Promise<void> {
    this.#requireEmpty(name)
    const ids = topics.flatMap((topic) => this.#host.topics.byName(topic)?.id ?? [])
    if (ids.length > 0) await this.#host.queues.forget(name, ids)
  }
  #refOf({ topic, index }: Partition): QueueRef {
    const info = this.#host.topics.byName(topic)
    if (info === null) throw new Fault('log.unknown-topic', { topic })
    return { topicId: info.id, index }
  }
  #required(name: string): ConsumerGroup {
    const group = this.get(name)
    if (group === null) throw new Fault('log.unknown-group', { group: name })
    return group
  }
  #requireEmpty(name: string): void {
    if (!this.#required(name).isEmpty) throw new Fault('log.group-not-empty', { group: name })
  }

  // --- life

  topicChanged(topic: string): void {
    this.#groups.topicChanged(topic)
  }
  restore(record: LogRecord): void {
    this.#groups.restore(record)
  }
  start(): void {
    this.#groups.start()
  }
  close(): void {
    this.#groups.close()
  }
}
