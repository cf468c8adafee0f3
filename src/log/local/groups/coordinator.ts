/**
 * The groups of one log: state machines in memory, `__consumer_offsets` behind them. Gives the state machines what they
 * have not: a clock, member ids, and records that are durable before they are answered. Those of the consumer protocol
 * are in `consumer/`; a name is a group of one protocol at a time. Long because every request of a group comes through
 * here, and each must be durable before it is answered.
 */
import { AgeClock } from '../../../lib/age-clock.ts'
import type { Offset } from '../../../lib/brand.ts'
import { Fault, asFault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { World } from '../../../lib/world.ts'
import type { LogRecord, RecordInput } from '../../batch.ts'
import type {
  ConsumerHeartbeat,
  DescribedConsumerGroup,
  DescribedGroup,
  GroupCoordinator,
  ListedGroup,
  ShareHeartbeat,
  ShareOffsets,
  TransactionalProducer,
  Transactions,
} from '../../broker.ts'
import { DeadlineTimer } from '../../deadline-timer.ts'
import { Journal } from '../../journal.ts'
import type { At, Partition } from '../../log.ts'
import type { Queues } from '../../queues/queues.ts'
import type { PartitionState } from '../partition.ts'
import { placeDurably } from '../system-log.ts'
import { ClassicGroup } from './classic-group.ts'
import type { ConsumerGroupSettings } from './consumer/consumer-group.ts'
import { ConsumerGroups, type ConsumerGroupsHost } from './consumer/consumer-groups.ts'
import type { ClassicSeed } from './consumer/migration.ts'
import { readSubscription } from './embedded.ts'
import { ShareGroups } from './share/share-groups.ts'
import { type Committed, decodeGroup, decodeKey, encodeGroup, encodeKey } from './formats.ts'
import { isIdle, isLapsed } from './expiry.ts'
import { type GroupBounds, GroupMemory, bytesPerGroup } from './memory.ts'
import { bytesOfWishes } from './member.ts'
import type { CommitRequest, JoinAnswer, JoinRequest, SyncAnswer, SyncRequest } from './messages.ts'
import { GroupOffsets, type OffsetEntry, offsetRecord, offsetTombstone } from './offsets.ts'

export interface GroupsOptions {
  /** The first rebalance of a group begins when nobody has come for so long. */
  readonly initialDelayMs: number
  /** Kafka's `offsets.retention.minutes`: positions of a group without members are kept this long. */
  readonly offsetsRetentionMs: number
  readonly bounds: GroupBounds
  readonly topics: ConsumerGroupsHost['topics']
  /** What share groups stand on. */
  readonly queues: Queues
  settings(group: string): ConsumerGroupSettings
  shareSettings(group: string): ConsumerGroupSettings
  /** Member count of a group that tasks of this process have joined; 0 for none. */
  taskMembers(group: string): number
}
/** Positions that the log's own tasks commit carry this as metadata: they never lapse. */
export const taskMetadata = '_millrace'

const expiryEveryMs = 10 * 60 * 1000
const retryFirstMs = 10
const retryLastMs = 1_000

export class LocalGroups implements GroupCoordinator {
  readonly initialRebalanceDelayMs: number
  readonly offsetsLog: PartitionState
  readonly positions = new GroupOffsets()
  readonly #world: World
  readonly #ages: AgeClock
  readonly #options: GroupsOptions
  readonly #groups = new Map<string, { group: ClassicGroup; timer: DeadlineTimer }>()
  readonly #journal: Journal
  readonly #consumers: ConsumerGroups
  readonly #memory: GroupMemory
  readonly #shares: ShareGroups
  /** How often each group has asked to be stored: a newer record makes an older one that failed needless. */
  readonly #stores = new WeakMap<ClassicGroup, number>()
  #stopExpiry: () => void = () => undefined
  #closed = false

  constructor(world: World, offsetsLog: PartitionState, options: GroupsOptions) {
    this.#world = world
    this.#ages = new AgeClock(world.clock)
    this.offsetsLog = offsetsLog
    this.#options = options
    this.initialRebalanceDelayMs = options.initialDelayMs
    this.#journal = new Journal((records) => placeDurably(offsetsLog, records))
    this.#memory = new GroupMemory(options.bounds)
    this.#consumers = new ConsumerGroups(world, this.#journal, {
      topics: options.topics,
      memory: this.#memory,
      settings: (group) => options.settings(group),
      classic: {
        get: (name) => this.#groups.get(name)?.group ?? null,
        take: (name) => this.#take(name),
        put: (name, seed, rebalance) => this.#put(name, seed, rebalance),
      },
    })
    this.#shares = new ShareGroups(world, this.#journal, {
      topics: options.topics,
      memory: this.#memory,
      queues: options.queues,
      settings: (group) => options.shareSettings(group),
    })
  }

  get shareOffsets(): ShareOffsets {
    const shares = this.#shares
    return {
      positions: (name) => shares.positions(name),
      reset: async (name, to) => {
        const refused = this.#refused(name) ?? this.#otherThanShare(name)
        if (refused !== null) throw refused
        await shares.reset(name, to)
      },
      forget: (name, topics) => shares.forget(name, topics),
    }
  }
  /** A name is a group of one protocol at a time. */
  #otherThanShare(name: string): Fault | null {
    const isOther = this.#shares.get(name) === null && this.#isKnown(name)
    return isOther ? new Fault('log.unknown-group', { group: name }) : null
  }

  // --- members

  async shareHeartbeat(request: ShareHeartbeat): ReturnType<GroupCoordinator['shareHeartbeat']> {
    const { group } = request
    const refused = this.#refused(group) ?? this.#otherThanShare(group)
    return refused === null ? this.#shares.heartbeat(request) : { fault: refused }
  }

  async consumerHeartbeat(request: ConsumerHeartbeat): ReturnType<GroupCoordinator['consumerHeartbeat']> {
    const { group } = request
    const refused = this.#refused(group)
    if (refused !== null) return { fault: refused }
    if (this.#options.taskMembers(group) > 0) return { fault: usedByTasks(group) }
    if (this.#shares.get(group) !== null) return { fault: new Fault('log.unknown-group', { group }) }
    return this.#consumers.heartbeat(request)
  }
  async join(request: JoinRequest): Promise<JoinAnswer> {
    const { group: name, memberId, sessionTimeoutMs: timeoutMs } = request
    const refuse = (fault: Fault): JoinAnswer => ({ fault, memberId })
    const refused = this.#refused(name)
    if (refused !== null) return refuse(refused)
    const { sessionTimeoutMinMs: min, sessionTimeoutMaxMs: max } = limits
    if (timeoutMs < min || timeoutMs > max)
      return refuse(new Fault('log.invalid-session-timeout', { timeoutMs, min, max }))
    if (this.#options.taskMembers(name) > 0) return refuse(usedByTasks(name))
    if (this.#shares.get(name) !== null)
      return refuse(new Fault('log.inconsistent-protocol', { group: name, why: 'it is a share group' }))
    const consumers = this.#consumers.get(name)
    if (consumers !== null && !consumers.isEmpty) return this.#consumers.join(request)
    if (consumers !== null) {
      const fault = await this.#consumers.dissolve(name)
      if (fault !== null) return refuse(fault)
    }
    if (memberId !== '' && !this.#groups.has(name))
      return refuse(new Fault('log.unknown-member', { group: name, member: memberId }))
    const group = this.#groups.get(name)?.group ?? null
    const more = group?.bytesMore(request) ?? bytesPerGroup + bytesOfWishes(request)
    const full = this.#memory.refuses(name, group, more)
    if (full !== null) return refuse(full)
    return this.#ask<JoinAnswer>(name, (group, nowMs, answer) => group.join(request, nowMs, answer))
  }
  sync(request: SyncRequest): Promise<SyncAnswer> {
    if (!this.#closed && this.#consumers.get(request.group) !== null) return this.#consumers.sync(request)
    const refused = this.#refused(request.group) ?? this.#unknownGroup(request.group, request.memberId)
    if (refused !== null) return Promise.resolve({ fault: refused })
    const group = this.#groups.get(request.group)?.group ?? null
    const full = this.#memory.refuses(request.group, group, group?.assignedBytesMore(request) ?? 0)
    if (full !== null) return Promise.resolve({ fault: full })
    return this.#ask<SyncAnswer>(request.group, (group, nowMs, answer) => group.sync(request, nowMs, answer))
  }
  async heartbeat(request: Parameters<GroupCoordinator['heartbeat']>[0]): Promise<Fault | null> {
    if (!this.#closed && this.#consumers.get(request.group) !== null) return this.#consumers.classicHeartbeat(request)
    const refused = this.#refused(request.group) ?? this.#unknownGroup(request.group, request.memberId)
    if (refused !== null) return refused
    return this.#change(request.group, (group, nowMs) => group.heartbeat(request, nowMs))
  }
  async leave(
    name: string,
    members: readonly { memberId: string; instanceId: string | null; reason: string | null }[],
  ): Promise<(Fault | null)[]> {
    if (!this.#closed && this.#consumers.get(name) !== null) return this.#consumers.leave(name, members)
    return members.map((member) => {
      const refused = this.#refused(name) ?? this.#unknownGroup(name, member.memberId)
      return refused ?? this.#change(name, (group, nowMs) => group.leave(member, nowMs))
    })
  }

  hasMembers(name: string): boolean {
    return this.#memberCount(name) > 0
  }
  #memberCount(name: string): number {
    const assigned = this.#consumers.get(name) ?? this.#shares.get(name)
    return assigned?.state.infos.size ?? this.#groups.get(name)?.group.members.size ?? 0
  }

  // --- positions

  async commit(request: CommitRequest): Promise<(Fault | null)[]> {
    const { group, offsets } = request
    const refused = this.#refused(group) ?? this.#refusesCommit(request)
    if (refused !== null) return offsets.map(() => refused)
    const nowMs = this.#ages.stamp()
    const faults = this.#wrongWith(group, offsets)
    const retentionMs = request.retentionMs ?? -1
    const expires = retentionMs < 0 ? {} : { expiresMs: Math.min(nowMs + retentionMs, Number.MAX_SAFE_INTEGER) }
    const taken = offsets
      .filter((_, i) => faults[i] === null)
      .map(({ partition, offset, leaderEpoch, metadata }) => ({
        partition,
        committed: { offset, leaderEpoch, metadata: metadata ?? '', committedMs: nowMs, ...expires } as Committed,
      }))
    if (taken.length === 0) return faults
    const stored = await this.#store(taken.map((one) => offsetRecord(group, one.partition, one.committed)))
    if (stored instanceof Fault) return faults.map((own) => own ?? stored)
    for (const one of taken) this.positions.set(group, one.partition, { ...one.committed, place: stored })
    return faults
  }
  /** Who commits in a client's transaction, and what; Faults of all of it, or of one. */
  checkTransactional(
    request: Omit<Parameters<Transactions['commitOffsets']>[0], keyof TransactionalProducer | 'joins'>,
  ): Fault | { readonly faults: readonly (Fault | null)[]; readonly taken: readonly OffsetEntry[] } {
    const { group, offsets } = request
    const refused = this.#refused(group) ?? this.#refusesTransactional(request)
    if (refused !== null) return refused
    const committedMs = this.#ages.stamp()
    const faults = this.#wrongWith(group, offsets)
    const taken = offsets
      .filter((_, i) => faults[i] === null)
      .map(({ partition, offset, leaderEpoch, metadata }) => ({
        partition,
        committed: { offset, leaderEpoch, metadata: metadata ?? '', committedMs },
      }))
    return { faults, taken }
  }
  #refusesTransactional(request: Parameters<LocalGroups['checkTransactional']>[0]): Fault | null {
    const { group, generation, memberId: member, offsets } = request
    if (this.#options.taskMembers(group) > 0) return new Fault('log.unknown-member', { group, member })
    const consumers = this.#consumers.get(group)
    if (consumers !== null)
      return faultOf(() =>
        consumers.checkCommit({
          ...request,
          epoch: generation,
          knowsEpochs: true,
          transactional: true,
          partitions: offsets.map(({ partition }) => partition),
        }),
      )
    const classic = this.#groups.get(group)?.group
    if (classic !== undefined) return classic.commitsInTransaction(request)
    return generation < 0 ? null : new Fault('log.illegal-generation', { group, found: generation, current: -1 })
  }
  #refusesCommit(request: CommitRequest): Fault | null {
    const { group, generation, memberId: member, knowsEpochs = false } = request
    if (this.#options.taskMembers(group) > 0) return new Fault('log.unknown-member', { group, member })
    if (this.#shares.get(group) !== null) return new Fault('log.unknown-group', { group })
    const consumers = this.#consumers.get(group)
    if (consumers !== null)
      return faultOf(() =>
        consumers.checkCommit({
          ...request,
          epoch: generation,
          knowsEpochs,
          transactional: false,
          partitions: request.offsets.map(({ partition }) => partition),
        }),
      )
    if (this.#groups.has(group)) return this.#change(group, (found, nowMs) => found.commits(request, nowMs))
    if (generation < 0) return null
    return knowsEpochs
      ? new Fault('log.unknown-group', { group })
      : new Fault('log.illegal-generation', { group, found: generation, current: -1 })
  }
  #wrongWith(group: string, offsets: readonly { partition: Partition; metadata: string | null }[]): (Fault | null)[] {
    let left = this.#options.bounds.positionsBytes - this.positions.bytes
    return offsets.map((one) => {
      const fault = this.#wrongWithOne(one)
      if (fault !== null) return fault
      const more = this.positions.bytesMore(group, one.partition, one.metadata)
      if (more > 0) left -= more
      return more <= 0 || left >= 0 ? null : this.#positionsFull(group)
    })
  }
  #positionsFull(group: string): Fault {
    return new Fault('log.positions-full', { group, bytesMax: this.#options.bounds.positionsBytes })
  }
  #wrongWithOne({ partition, metadata }: { partition: Partition; metadata: string | null }): Fault | null {
    if (!this.#hasPartition(partition))
      return new Fault('log.unknown-partition', { topic: partition.topic, partition: partition.index })
    const bytes = metadata === null ? 0 : Buffer.byteLength(metadata)
    const bytesMax = limits.offsetMetadataBytes
    return bytes > bytesMax ? new Fault('log.offset-metadata-too-large', { bytes, bytesMax }) : null
  }
  #hasPartition({ topic, index }: Partition): boolean {
    return index >= 0 && index < (this.#options.topics.byName(topic)?.partitions ?? 0)
  }
  async offsets(
    group: string,
    of: readonly Partition[] | null,
    requireStable: boolean,
    by?: { memberId: string | null; epoch: number },
  ): ReturnType<GroupCoordinator['offsets']> {
    if (by !== undefined) this.#consumers.get(group)?.checkFetch(by.memberId, by.epoch)
    const asked = of ?? Array.from(this.positions.all(group), ({ partition }) => partition)
    return asked.map((partition) => {
      const none = { partition, offset: -1 as const, leaderEpoch: -1, metadata: null, fault: null }
      if (requireStable && this.positions.isHeld(group, partition))
        return { ...none, fault: new Fault('log.unstable-offset', { group }) }
      const found = this.positions.get(group, partition)
      if (found === null) return none
      return { ...none, offset: found.offset, leaderEpoch: found.leaderEpoch, metadata: found.metadata }
    })
  }
  /** Only for a group without members. Throws Fault. */
  async reset(name: string, to: readonly At[]): Promise<void> {
    this.#requireEmpty(name)
    const committedMs = this.#ages.stamp()
    const taken = to.map(({ partition, offset }) => ({
      partition,
      committed: { offset: offset as Offset, leaderEpoch: -1, metadata: taskMetadata, committedMs },
    }))
    if (taken.length === 0) return
    const more = taken.reduce((sum, one) => sum + this.positions.bytesMore(name, one.partition, taskMetadata), 0)
    if (more > 0 && this.positions.bytes + more > this.#options.bounds.positionsBytes) throw this.#positionsFull(name)
    const place = await placeDurably(
      this.offsetsLog,
      taken.map((one) => offsetRecord(name, one.partition, one.committed)),
    )
    for (const one of taken) this.positions.set(name, one.partition, { ...one.committed, place })
  }
  #requireEmpty(name: string): void {
    if (this.#options.taskMembers(name) + this.#memberCount(name) > 0)
      throw new Fault('log.group-not-empty', { group: name })
  }

  // --- administration

  async describe(name: string): Promise<DescribedGroup | null> {
    const group = this.#groups.get(name)?.group
    if (group === undefined)
      return this.positions.has(name) && this.#consumers.get(name) === null
        ? { group: name, state: 'Empty', protocolType: '', protocol: '', members: [] }
        : null
    const isSettled = group.state === 'Stable'
    return {
      group: name,
      state: group.state,
      protocolType: group.protocolType ?? '',
      protocol: isSettled ? (group.protocol ?? '') : '',
      members: Array.from(group.members.values(), (member) => ({
        id: member.id,
        instanceId: member.instanceId,
        clientId: member.clientId,
        host: member.host,
        metadata: isSettled
          ? (member.protocols.find((one) => one.name === group.protocol)?.metadata ?? new Uint8Array())
          : new Uint8Array(),
        assignment: isSettled ? member.assignment : new Uint8Array(),
      })),
    }
  }
  async describeConsumer(name: string): Promise<DescribedConsumerGroup | null> {
    return this.#consumers.get(name)?.describe() ?? null
  }
  async describeShare(name: string): Promise<DescribedConsumerGroup | null> {
    return this.#shares.describe(name)
  }
  async list(): Promise<readonly ListedGroup[]> {
    const names = new Set([
      ...this.#groups.keys(),
      ...this.#consumers.names(),
      ...this.#shares.names(),
      ...this.positions.groups(),
    ])
    return Array.from(names, (name): ListedGroup => {
      const consumers = this.#consumers.get(name)
      if (consumers !== null)
        return { group: name, protocolType: 'consumer', state: consumers.state.state(), type: 'consumer' }
      const share = this.#shares.get(name)
      if (share !== null)
        return { group: name, protocolType: 'share', state: share.kind.stateName(share.state), type: 'share' }
      const group = this.#groups.get(name)?.group
      return { group: name, protocolType: group?.protocolType ?? '', state: group?.state ?? 'Empty', type: 'classic' }
    })
  }
  readonly removed = new Set<(group: string) => void>()
  remove(names: readonly string[]): Promise<(Fault | null)[]> {
    return Promise.all(
      names.map(async (name) => {
        const fault = await this.#remove(name)
        if (fault === null) for (const heard of this.removed) heard(name)
        return fault
      }),
    )
  }
  async #remove(name: string): Promise<Fault | null> {
    const refused = this.#refused(name)
    if (refused !== null) return refused
    if (!this.#isKnown(name)) return new Fault('log.unknown-group', { group: name })
    const occupied = faultOf(() => this.#requireEmpty(name))
    if (occupied !== null) return occupied
    if (this.#shares.get(name) !== null) return this.#removeShare(name)
    const tombstones = this.#tombstones(name)
    const isConsumers = this.#consumers.get(name) !== null
    const fault = isConsumers ? await this.#consumers.dissolve(name, tombstones) : await this.#journal.write(tombstones)
    if (fault !== null) return fault
    this.#forget(name)
    return null
  }
  async #removeShare(name: string): Promise<Fault | null> {
    try {
      return await this.#shares.dissolve(name)
    } catch (error) {
      return asFault(error)
    }
  }
  #isKnown(name: string): boolean {
    const isAssigned = this.#consumers.get(name) !== null || this.#shares.get(name) !== null
    const isThere = this.#groups.has(name) || isAssigned || this.positions.has(name)
    return isThere || this.#options.taskMembers(name) > 0
  }
  #tombstones(name: string): RecordInput[] {
    const timeMs = this.#world.clock.now()
    const records = Array.from(this.positions.all(name), ({ partition }) => offsetTombstone(name, partition, timeMs))
    records.push({ key: encodeKey({ kind: 'group', group: name }), value: null, timeMs })
    return records
  }
  #forget(name: string): void {
    this.positions.deleteGroup(name)
    this.#close(name)
  }
  #close(name: string): void {
    const opened = this.#groups.get(name)
    if (opened === undefined) return
    opened.timer.stop()
    this.#memory.forget(opened.group)
    this.#groups.delete(name)
  }
  async removeOffsets(name: string, of: readonly Partition[]): Promise<(Fault | null)[]> {
    const refused = this.#refused(name) ?? this.#keepsOffsets(name)
    if (refused !== null) throw refused
    const faults = of.map(({ topic }) =>
      this.#isSubscribed(name, topic) ? new Fault('log.group-uses-topic', { group: name, topic }) : null,
    )
    const taken = of.filter((_, i) => faults[i] === null)
    const timeMs = this.#world.clock.now()
    if (taken.length === 0) return faults
    const stored = await this.#store(taken.map((partition) => offsetTombstone(name, partition, timeMs)))
    if (stored instanceof Fault) return faults.map((own) => own ?? stored)
    for (const partition of taken) this.positions.delete(name, partition)
    return faults
  }
  /** Why no position of the group may be taken away now. */
  #keepsOffsets(name: string): Fault | null {
    if (!this.#isKnown(name) || this.#shares.get(name) !== null) return new Fault('log.unknown-group', { group: name })
    const group = this.#groups.get(name)?.group
    const isForeign = group !== undefined && group.members.size > 0 && group.protocolType !== 'consumer'
    const isInUse = isForeign || this.#options.taskMembers(name) > 0
    return isInUse ? new Fault('log.group-not-empty', { group: name }) : null
  }
  /** Members of the group read the topic, or may do so. */
  #isSubscribed(name: string, topic: string): boolean {
    const consumers = this.#consumers.get(name)
    if (consumers !== null) return consumers.state.subscribesTo(topic)
    return [...(this.#groups.get(name)?.group.members.values() ?? [])].some((member) =>
      member.protocols.some(({ metadata }) => readSubscription(metadata)?.topics.includes(topic) ?? true),
    )
  }
  /** A topic is gone: positions in it mean nothing any more, and must not be there again after a restart. */
  async forgetTopic(topic: string): Promise<void> {
    let gone = [...this.positions.ofTopic(topic)]
    for (const { group, partition } of gone) this.positions.delete(group, partition)
    for (let waitMs = retryFirstMs; gone.length > 0 && !this.#closed; waitMs = Math.min(2 * waitMs, retryLastMs)) {
      const timeMs = this.#world.clock.now()
      const stored = await this.#store(gone.map(({ group, partition }) => offsetTombstone(group, partition, timeMs)))
      if (!(stored instanceof Fault)) return
      await this.#world.clock.sleep(waitMs)
      // A new topic of this name may have got positions meanwhile.
      gone = gone.filter(({ group, partition }) => this.positions.get(group, partition) === null)
    }
  }

  // --- life

  restore(record: LogRecord): void {
    const key = record.key === null ? null : decodeKey(record.key)
    if (key?.kind === 'offset') return this.positions.restore(record)
    if (key?.kind !== 'group') {
      this.#consumers.restore(record)
      return this.#shares.restore(record)
    }
    this.#close(key.group)
    if (record.value === null) return
    const { group } = this.#open(key.group)
    group.restore(decodeGroup(record.value), this.#world.clock.monotonic())
    this.#count(group)
  }
  start(): void {
    for (const { timer } of this.#groups.values()) timer.set()
    this.#consumers.start()
    this.#shares.start()
    // A crash came between the end of a topic and that of the positions in it.
    for (const topic of this.positions.topics())
      if (!this.#hasPartition({ topic, index: 0 })) void this.forgetTopic(topic)
    const expire = (): void => {
      void this.#expire().catch(() => undefined)
      this.#stopExpiry = this.#world.clock.after(expiryEveryMs, expire)
    }
    this.#stopExpiry = this.#world.clock.after(expiryEveryMs, expire)
  }
  close(): void {
    this.#closed = true
    this.#stopExpiry()
    this.#consumers.close()
    this.#shares.close()
    this.#journal.close()
    const fault = new Fault('log.closed', { what: 'the log' })
    for (const { group, timer } of this.#groups.values()) {
      timer.stop()
      group.close(fault)
    }
  }
  /** Positions lapse that nobody reads on from; a group without members and positions is forgotten. */
  async #expire(): Promise<void> {
    const { offsetsRetentionMs: retentionMs } = this.#options
    for (const { group: name } of await this.list()) {
      // Share groups stay until they are deleted, as in Kafka.
      if (this.#options.taskMembers(name) > 0 || this.#shares.get(name) !== null) continue
      const classic = this.#groups.get(name)?.group ?? null
      const consumers = this.#consumers.get(name)
      const rules = { nowMs: this.#ages.now(), retentionMs, classic, consumers }
      const lapsed = Array.from(this.positions.all(name)).flatMap(({ partition, committed }) =>
        !committed.metadata.startsWith(taskMetadata) &&
        !this.positions.isHeld(name, partition) &&
        !(this.#memberCount(name) > 0 && this.#isSubscribed(name, partition.topic)) &&
        isLapsed(committed, rules)
          ? [partition]
          : [],
      )
      if (lapsed.length > 0) await this.removeOffsets(name, lapsed)
      if (!this.positions.has(name) && isIdle(classic, consumers)) await this.#remove(name)
    }
  }

  #refused(name: string): Fault | null {
    if (this.#closed) return new Fault('log.closed', { what: 'the log' })
    if (name === '') return new Fault('log.invalid-group', { group: name, why: 'it is empty' })
    if (name.length > limits.groupIdLength)
      return new Fault('log.invalid-group', { group: name.slice(0, 32), why: 'it is too long' })
    return null
  }
  #unknownGroup(name: string, member: string): Fault | null {
    return this.#groups.has(name) ? null : new Fault('log.unknown-member', { group: name, member })
  }
  #open(name: string): { group: ClassicGroup; timer: DeadlineTimer } {
    const found = this.#groups.get(name)
    if (found !== undefined) return found
    const { clock, random } = this.#world
    const effects = {
      wallMs: (): number => this.#ages.stamp(),
      newMemberId: (prefix: string): string => `${prefix}-${random.uuid()}`,
      store: (group: ClassicGroup): void => void this.#storeGroup(group),
    }
    const { initialDelayMs } = this.#options
    const options = { initialDelayMs, membersMax: limits.groupMembers }
    const group = new ClassicGroup(name, effects, options)
    const pass = (nowMs: number): void => {
      group.pass(nowMs)
      this.#count(group)
    }
    const opened = { group, timer: new DeadlineTimer(clock, { nextMs: () => group.nextMs(), pass }) }
    this.#groups.set(name, opened)
    return opened
  }
  #count(group: ClassicGroup): void {
    if (this.#groups.get(group.name)?.group === group) this.#memory.count(group, group.bytes)
  }
  /** For a group that changes its protocol: see `ClassicSide`. */
  #take(name: string): () => void {
    const taken = this.#groups.get(name)
    if (taken === undefined) return () => undefined
    this.#close(name)
    taken.group.close(new Fault('log.rebalance-in-progress', { group: name }))
    return () => {
      this.#groups.set(name, taken)
      this.#count(taken.group)
      taken.timer.set()
    }
  }
  #put(name: string, { stored, protocols }: ClassicSeed, rebalance: boolean): () => void {
    const { group, timer } = this.#open(name)
    const nowMs = this.#world.clock.monotonic()
    group.restore(stored, nowMs, protocols)
    if (rebalance) group.rebalance(nowMs)
    this.#count(group)
    timer.set()
    return this.#take.bind(this, name)
  }
  async #storeGroup(group: ClassicGroup): Promise<void> {
    const { generation } = group
    const number = (this.#stores.get(group) ?? 0) + 1
    this.#stores.set(group, number)
    const key = encodeKey({ kind: 'group', group: group.name })
    for (let waitMs = retryFirstMs; ; waitMs = Math.min(2 * waitMs, retryLastMs)) {
      const timeMs = this.#world.clock.now()
      const fault = await this.#journal.write([{ key, value: encodeGroup(group.toStored()), timeMs }])
      group.stored(generation, fault, this.#world.clock.monotonic())
      this.#count(group)
      this.#groups.get(group.name)?.timer.set()
      if (fault === null) return
      await this.#world.clock.sleep(waitMs)
      // In a rebalance the group is stored at its end; until then what was stored last is as good as this.
      const isCurrent = this.#stores.get(group) === number && this.#groups.get(group.name)?.group === group
      if (this.#closed || !isCurrent || (group.state !== 'Stable' && group.state !== 'Empty')) return
    }
  }
  /** Resolves with where they begin. */
  async #store(records: readonly RecordInput[]): Promise<Fault | Offset> {
    try {
      return await placeDurably(this.offsetsLog, records)
    } catch (error) {
      return asFault(error)
    }
  }
  #change<T>(name: string, change: (group: ClassicGroup, nowMs: number) => T): T {
    const { group, timer } = this.#open(name)
    const result = change(group, this.#world.clock.monotonic())
    this.#count(group)
    timer.set()
    return result
  }
  /** A topic was created, changed or removed. */
  topicChanged(topic: string): void {
    this.#consumers.topicChanged(topic)
    this.#shares.topicChanged(topic)
  }
  #ask<T>(name: string, ask: (group: ClassicGroup, nowMs: number, answer: (answer: T) => void) => void): Promise<T> {
    return new Promise((resolve) => this.#change(name, (group, nowMs) => ask(group, nowMs, resolve)))
  }
}

const usedByTasks = (group: string): Fault =>
  new Fault('log.inconsistent-protocol', { group, why: 'tasks of this instance use it' })
function faultOf(check: () => unknown): Fault | null {
  try {
    check()
    return null
  } catch (error) {
    return asFault(error)
  }
}
