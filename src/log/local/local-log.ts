/** The local log put together: `Log` for everything above, `Broker` for the Kafka gateway. */
import type { Offset } from '../../lib/brand.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { Turns } from '../../lib/turns.ts'
import type { World } from '../../lib/world.ts'
import type { Recovery, Store } from '../../store/store.ts'
import type {
  Broker,
  BrokerConfigs,
  ConfigEntry,
  FetchAnswer,
  FetchRequest,
  GroupCoordinator,
  Intake,
  LogMeter,
  ProduceAnswer,
  ProduceRequest,
  ProducerIdentity,
  ResourceConfigs,
  Transactions,
} from '../broker.ts'
import type {
  Bounds,
  Groups,
  JoinOptions,
  Membership,
  Owner,
  Partition,
  Reader,
  ReaderOptions,
  ReaderPort,
  TopicInfo,
  Topics,
  Writer,
} from '../log.ts'
import type { Queues } from '../queues/queues.ts'
import type { QueueService } from '../queues/service.ts'
import type { LocalBrokerConfigs } from './broker-configs.ts'
import type { Compactor } from './compaction/compactor.ts'
import { checkEpoch, fetch } from './fetch.ts'
import { findByTime, findLargestTime } from './find-offset.ts'
import type { LocalGroups } from './groups/coordinator.ts'
import type { Memberships } from './groups/memberships.ts'
import { type LocalGroupsView, groupsView } from './groups/view.ts'
import { type ClientProduceHost, LocalWriter, produce } from './produce.ts'
import { LocalReader, type ReaderHost } from './reader.ts'
import { type PortServer, servePort } from './reader-port.ts'
import type { Registry } from './registry.ts'
import { LocalOwner, type TickHost } from './ticks.ts'
import { describeConfig } from './topic-config.ts'
import type { LocalTopics } from './topics.ts'
import type { ClientTransactions } from './transactions/clients.ts'
import type { TransactionCoordinator } from './transactions/coordinator.ts'
import { LocalTransactions } from './transactions/local-transactions.ts'
import type { ProducerIds } from './transactions/producer-ids.ts'
import { bytesOfUuid } from './transactions/uuid.ts'
import { whenShown } from './visible.ts'

export interface LocalLogParts {
  readonly world: World
  readonly store: Store
  readonly registry: Registry
  readonly topics: LocalTopics
  readonly transactions: TransactionCoordinator
  readonly clients: ClientTransactions
  readonly producerIds: ProducerIds
  readonly groups: LocalGroups
  readonly groupConfigs: ResourceConfigs
  readonly clientMetrics: ResourceConfigs
  readonly brokerConfigs: LocalBrokerConfigs
  readonly queues: QueueService
  readonly memberships: Memberships
  readonly compactor: Compactor
  readonly intake: Intake | null
  readonly meter: LogMeter | null
}

/** A tick costs a sync round here; below this, syncs would only queue. */
const tickFloorMs = 1

export class LocalLog implements Broker {
  readonly topics: Topics
  readonly groups: Groups
  readonly coordinator: GroupCoordinator
  readonly brokerConfigs: BrokerConfigs
  readonly groupConfigs: ResourceConfigs
  readonly clientMetrics: ResourceConfigs
  readonly queues: Queues
  readonly transactions: Transactions
  readonly clusterId: string
  readonly limits = {
    batchBytes: limits.batchBytes,
    tickFloorMs,
    transactionBytes: limits.transactionBytes,
  }
  readonly catalog: Broker['catalog']
  readonly #parts: LocalLogParts
  readonly #owners = new Set<LocalOwner>()
  readonly #ports = new Set<PortServer>()
  #closing: Promise<void> | null = null

  constructor(parts: LocalLogParts) {
    const { registry } = parts
    this.#parts = parts
    this.topics = parts.topics
    this.coordinator = parts.groups
    this.groupConfigs = parts.groupConfigs
    this.clientMetrics = parts.clientMetrics
    this.brokerConfigs = parts.brokerConfigs
    this.queues = parts.queues
    const { clients, transactions: coordinator, groups } = parts
    this.transactions = new LocalTransactions({ clock: parts.world.clock, clients, coordinator, registry, groups })
    const view: LocalGroupsView = { coordinator: parts.groups, memberships: parts.memberships }
    this.groups = groupsView(view)
    this.clusterId = bytesOfUuid(parts.store.instanceId).toString('base64url')
    this.catalog = {
      all: (): readonly TopicInfo[] => registry.all(),
      byName: (name: string): TopicInfo | null => registry.byName(name),
      byId: (id: string): TopicInfo | null => registry.byId(id),
    }
  }
  /** What opening the data folder found: see `Recovery`. */
  get recovery(): Recovery {
    return this.#parts.store.recovery
  }

  // --- writing

  writer(options?: { acks?: 'all' | 'leader' | 'none' }): Writer {
    return new LocalWriter(this.#produceHost(), options?.acks ?? 'all')
  }
  produce(request: ProduceRequest): Promise<ProduceAnswer[]> {
    if (this.#closing !== null) return Promise.resolve(request.entries.map(() => ({ fault: closedFault() })))
    return produce(this.#produceHost(), request)
  }
  #produceHost(): ClientProduceHost {
    const { world, registry, intake, meter, clients } = this.#parts
    return { clock: world.clock, registry, intake, meter, transactions: clients }
  }
  async initProducer(): Promise<ProducerIdentity> {
    this.#requireOpen()
    return { producerId: await this.#parts.producerIds.take(), epoch: 0 }
  }

  // --- reading

  reader(options?: ReaderOptions): Reader {
    return new LocalReader(this.#readerHost(), options)
  }
  readerPort(options?: ReaderOptions): ReaderPort {
    this.#requireOpen()
    const server = servePort(this.reader(options), () => this.#ports.delete(server))
    this.#ports.add(server)
    return server.port
  }
  #readerHost(): ReaderHost {
    const { world, registry, groups, meter } = this.#parts
    const isClosed = (): boolean => this.#closing !== null
    return { clock: world.clock, registry, positions: groups.positions, meter, isClosed }
  }
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer[]> {
    const { world, registry, meter } = this.#parts
    return fetch({ clock: world.clock, registry, meter }, request, signal)
  }
  async bounds(of: readonly Partition[]): Promise<Bounds[]> {
    return Promise.all(
      of.map(async (partition) => {
        const state = this.#parts.registry.partition(partition)
        await whenShown(this.#parts.world.clock, state)
        return state.perform(() => ({ partition, start: state.log.start, stable: state.stable, end: state.log.end }))
      }),
    )
  }
  findTime(of: readonly Partition[], timeMs: number): Promise<({ offset: Offset; timeMs: number } | null)[]> {
    return Promise.all(
      of.map(async (partition) => {
        const state = this.#parts.registry.partition(partition)
        const found = await findByTime(state, timeMs, state.highWatermark)
        return found === null ? null : { offset: found.offset, timeMs: found.timeMs }
      }),
    )
  }
  async listOffsets(
    of: readonly { partition: Partition; timeMs: number; leaderEpoch?: number }[],
    committedOnly: boolean,
  ): ReturnType<Broker['listOffsets']> {
    return new Turns(this.#parts.world.clock).map(of, async (asked) => {
      try {
        return await this.#listOffset(asked, committedOnly)
      } catch (error) {
        return { fault: asFault(error) }
      }
    })
  }
  async #listOffset(
    { partition, timeMs, leaderEpoch: claimed }: { partition: Partition; timeMs: number; leaderEpoch?: number },
    committedOnly: boolean,
  ): Promise<{ offset: Offset | -1; timeMs: number; leaderEpoch: number }> {
    const state = this.#parts.registry.partition(partition)
    const { leaderEpoch } = state.log
    checkEpoch({ leaderEpoch: claimed ?? -1 }, leaderEpoch)
    // Whoever asks waits: what was acknowledged before its sync (acks 0 and 1) is in the answer.
    const { mark, isVisible } = await state.perform(() => ({
      mark: state.mark,
      isVisible: state.highWatermark >= state.log.end,
    }))
    if (!isVisible) await state.whenDurable(mark)
    const { stable, highWatermark } = await state.perform(() => ({
      stable: state.stable,
      highWatermark: state.highWatermark,
    }))
    const none = { offset: -1 as const, timeMs: -1, leaderEpoch: -1 }
    switch (timeMs) {
      case listed.latest:
        return { offset: committedOnly ? stable : highWatermark, timeMs: -1, leaderEpoch }
      case listed.earliest:
      case listed.earliestLocal:
        return { offset: state.log.start, timeMs: -1, leaderEpoch }
      case listed.largestTime:
        return (await findLargestTime(state)) ?? none
      case listed.latestTiered:
        return none
      default: {
        return (await findByTime(state, timeMs, committedOnly ? stable : highWatermark)) ?? none
      }
    }
  }

  // --- topics

  describeConfig(topic: string): readonly ConfigEntry[] {
    const info = this.catalog.byName(topic)
    if (info === null) throw new Fault('log.unknown-topic', { topic })
    const { brokerConfigs } = this.#parts
    return describeConfig(info, (name) => brokerConfigs.topicSynonyms(topic, name))
  }
  leaderEpoch(partition: Partition): number {
    return this.#parts.registry.leaderEpoch(partition)
  }
  /** As Kafka's leaders answer: an epoch older than the log is told where the log begins. */
  epochEnd(partition: Partition, epoch: number): { epoch: number; end: Offset } | null {
    const { log } = this.#parts.registry.partition(partition)
    if (epoch < 0 || epoch > log.leaderEpoch) return null
    if (epoch === log.leaderEpoch) return { epoch, end: log.end }
    const starts = log.epochStarts
    const next = starts.find((start) => start.epoch > epoch)
    const end = next === undefined ? log.end : (next.from as Offset)
    return { epoch: starts.findLast((start) => start.epoch <= epoch)?.epoch ?? epoch, end }
  }
  checkCreate(specs: Parameters<Broker['checkCreate']>[0]): (Fault | null)[] {
    return this.#parts.topics.checkCreate(specs)
  }
  checkAlter(name: string, change: Parameters<Broker['checkAlter']>[1]): Fault | null {
    return this.#parts.topics.checkAlter(name, change)
  }
  sizeBytes(partition: Partition): number {
    return this.#parts.registry.partition(partition).log.sizeBytes
  }

  // --- tasks

  join(group: string, options: JoinOptions): Membership {
    this.#requireOpen()
    return this.#parts.memberships.join(group, options)
  }
  /** `epoch`: the first one, for tests of the last. */
  async owner({ epoch = 0 } = {}): Promise<Owner> {
    this.#requireOpen()
    const producerId = await this.#parts.producerIds.take()
    const owner = new LocalOwner(this.#tickHost(), this.#freeOwnerName(), { producerId, epoch })
    this.#owners.add(owner)
    return owner
  }
  #freeOwnerName(): string {
    const taken = new Set(Array.from(this.#owners, (owner) => owner.transactionalId))
    for (let i = 0; ; i++) if (!taken.has(`_millrace_owner_${i}`)) return `_millrace_owner_${i}`
  }
  #tickHost(): TickHost {
    const { world, registry, transactions, producerIds, groups, meter } = this.#parts
    const { positions, offsetsLog } = groups
    const released = (owner: LocalOwner): void => void this.#owners.delete(owner)
    return { clock: world.clock, registry, transactions, producerIds, positions, offsetsLog, meter, released }
  }

  // --- life

  #requireOpen(): void {
    if (this.#closing !== null) throw closedFault()
  }
  close(): Promise<void> {
    return (this.#closing ??= this.#close())
  }
  async #close(): Promise<void> {
    const { store, registry, topics, transactions, clients, groups, queues, memberships, compactor } = this.#parts
    for (const port of this.#ports) port.close()
    clients.close()
    memberships.close()
    queues.close()
    groups.close()
    topics.close()
    await compactor.close()
    for (const owner of this.#owners) await owner.close()
    await transactions.close()
    await Promise.allSettled(Array.from(registry.allOpened(), (partition) => partition.saveSnapshot()))
    registry.close()
    await store.close()
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}

/** Kafka's special timestamps of ListOffsets. */
const listed = { latest: -1, earliest: -2, largestTime: -3, earliestLocal: -4, latestTiered: -5 } as const
const closedFault = (): Fault => new Fault('log.closed', { what: 'the log' })
