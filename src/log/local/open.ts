/** Opens the local log: the store, then the catalogue, transactions and groups, in the order they need each other. */
import type { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { World } from '../../lib/world.ts'
import { openStore } from '../../store/open.ts'
import type { Store, StoreMeter } from '../../store/store.ts'
import { type Intake, type LogMeter, initialRebalanceDelayMs } from '../broker.ts'
import type { QueueSettings } from '../queues/queues.ts'
import { QueueService } from '../queues/service.ts'
import { LocalBrokerConfigs } from './broker-configs.ts'
import { clientMetricsKind } from './client-metrics-kind.ts'
import { Compactor } from './compaction/compactor.ts'
import { LocalGroups } from './groups/coordinator.ts'
import { LocalGroupConfigs } from './groups/group-configs.ts'
import { type GroupBounds, groupBounds } from './groups/memory.ts'
import { Memberships } from './groups/memberships.ts'
import { LocalLog } from './local-log.ts'
import type { PartitionState } from './partition.ts'
import { queueStateLog, queuesHost } from './queue-host.ts'
import { LocalResourceConfigs } from './resource-configs.ts'
import { Registry } from './registry.ts'
import { newestOf, replay } from './system-log.ts'
import { catalogTopic, isOwn, offsetsTopic, queuesTopic, systemTopics, transactionsTopic } from './system-topics.ts'
import { LocalTopics } from './topics.ts'
import { ClientTransactions } from './transactions/clients.ts'
import { TransactionCoordinator } from './transactions/coordinator.ts'
import { ProducerIds } from './transactions/producer-ids.ts'
import { recoverTransactions } from './transactions/recovery.ts'

export interface LocalLogOptions {
  readonly world: World
  /** The data folder. With a memory disk in `world`, a name is enough. */
  readonly dir: string
  /** Asked about each batch that a client produces to a topic with a contract. */
  readonly intake?: Intake
  readonly meter?: LogMeter
  readonly storeMeter?: StoreMeter
  /** Told of what goes wrong where no caller can be. */
  readonly onFault?: (fault: Fault) => void
  /** The first rebalance of a group begins when nobody has come for so long; Kafka's `group.initial.rebalance.delay.ms`. */
  readonly initialRebalanceDelayMs?: number
  /** Positions of a group without members are kept this long; Kafka's `offsets.retention.minutes`. */
  readonly offsetsRetentionMs?: number
  /** Memory for groups: for tests. */
  readonly groupBounds?: Partial<GroupBounds>
  /** Transactional ids that were silent for longer are forgotten; Kafka's `transactional.id.expiration.ms`. */
  readonly transactionalIdIdleMs?: number
  /** Bytes appended to a partition between two snapshots of what is derived from them. */
  readonly snapshotBytes?: number
  /** Bytes of changes of queues after which their states are written anew. */
  readonly queueRewriteBytes?: number
  /** Wait between two rounds of compaction; Kafka's `log.cleaner.backoff.ms`. */
  readonly compactEveryMs?: number
  /** Instead of the store over `dir`: for tests. */
  readonly store?: Store
}
const snapshotBytes = 64 * 1024 * 1024
const compactEveryMs = 15_000
const offsetsRetentionMs = 7 * 24 * 60 * 60 * 1000

/** Throws Fault store.locked, store.damaged, store.format-too-new, store.failed. */
export async function openLocalLog(options: LocalLogOptions): Promise<LocalLog> {
  const { world, dir, onFault, storeMeter } = options
  const told = {
    ...(onFault === undefined ? {} : { onFault }),
    ...(storeMeter === undefined ? {} : { meter: storeMeter }),
  }
  const store = options.store ?? (await openStore({ world, dir, ...told }))
  try {
    return await assemble(options, store)
  } catch (error) {
    await store.close().catch(() => undefined)
    throw error
  }
}

async function assemble(options: LocalLogOptions, store: Store): Promise<LocalLog> {
  const { world } = options
  const decides: { by: TransactionCoordinator | null } = { by: null }
  const registry = new Registry(store, {
    clock: world.clock,
    snapshotBytes: options.snapshotBytes ?? snapshotBytes,
    resolve: (partition, producerId, epoch) =>
      decides.by === null ? 'open' : decides.by.resolve(partition, producerId, epoch),
  })
  for (const info of systemTopics) registry.set(info)
  const system = (topic: string): PartitionState => registry.partition({ topic, index: 0 })

  const catalog = system(catalogTopic)
  const topics = new LocalTopics(world, { store, registry, catalog })
  const producerIds = new ProducerIds(world.clock, catalog)
  const groupConfigs = new LocalGroupConfigs(world.clock, catalog)
  const brokerConfigs = new LocalBrokerConfigs(world.clock, catalog)
  const clientMetrics = new LocalResourceConfigs(clientMetricsKind, world.clock, catalog)
  const parts = [topics, producerIds, groupConfigs, clientMetrics, brokerConfigs]
  for (const [key, value] of await newestOf(catalog)) for (const part of parts) part.restore(key, value)

  registry.topicDefaults = (topic) => brokerConfigs.topicDefaults(topic)
  registry.configureAll()
  brokerConfigs.onChange(() => registry.configureAll())

  const transactionsLog = system(transactionsTopic)
  const transactions = new TransactionCoordinator(world.clock, transactionsLog)
  decides.by = transactions
  const late: { groups: LocalGroups | null } = { groups: null }
  const clients = new ClientTransactions({
    clock: world.clock,
    coordinator: transactions,
    producerIds,
    decided: (transaction, committed) => late.groups?.positions.settle(transaction, committed),
    idleMs: options.transactionalIdIdleMs ?? limits.transactionalIdIdleMs,
  })
  await recoverTransactions(transactions, { log: transactionsLog, registry }, (found) => clients.restore(found))

  const queues = await openQueues(options, { registry, topics, state: system(queuesTopic), groupConfigs })
  const shared: { memberships: Memberships | null } = { memberships: null }
  const groups = new LocalGroups(world, system(offsetsTopic), {
    initialDelayMs: options.initialRebalanceDelayMs ?? initialRebalanceDelayMs,
    offsetsRetentionMs: options.offsetsRetentionMs ?? offsetsRetentionMs,
    bounds: { ...groupBounds, ...options.groupBounds },
    topics: {
      byName: (name) => registry.byName(name),
      byId: (id) => registry.byId(id),
      names: () => registry.all().flatMap(({ name }) => (isOwn(name) ? [] : [name])),
    },
    queues,
    settings: (group) => groupConfigs.of(group),
    shareSettings: (group) => groupConfigs.ofShare(group),
    taskMembers: (group) => shared.memberships?.count(group) ?? 0,
  })
  late.groups = groups
  await replay(
    groups.offsetsLog,
    (record) => groups.restore(record),
    (record, { producerId, producerEpoch: epoch }) => groups.positions.restoreAwaiting(record, { producerId, epoch }),
  )
  const memberships = new Memberships({
    random: world.random,
    positions: groups.positions,
    topic: (name) => registry.byName(name),
    hasConsumers: (group) => groups.hasMembers(group),
  })
  shared.memberships = memberships
  topics.onChange((name) => {
    memberships.topicChanged(name)
    groups.topicChanged(name)
  })
  topics.onRemoved = (topic) => {
    void groups.forgetTopic(topic).catch(() => undefined)
    void queues.forgetRemoved()
  }
  await topics.finishDrops()
  const compactor = new Compactor({
    clock: world.clock,
    registry,
    isUnmarked: (partition) => transactions.hasUnmarked(partition),
    report: (fault) => options.onFault?.(fault),
    everyMs: options.compactEveryMs ?? compactEveryMs,
  })
  compactor.start()
  groups.start()
  queues.start()
  clients.start()
  return new LocalLog({
    world,
    store,
    registry,
    topics,
    transactions,
    clients,
    producerIds,
    groups,
    groupConfigs,
    clientMetrics,
    brokerConfigs,
    queues,
    memberships,
    compactor,
    intake: options.intake ?? null,
    meter: options.meter ?? null,
  })
}

async function openQueues(
  { world, meter, onFault, queueRewriteBytes }: LocalLogOptions,
  parts: {
    registry: Registry
    topics: LocalTopics
    state: PartitionState
    groupConfigs: LocalGroupConfigs
  },
): Promise<QueueService> {
  const { registry, topics, state, groupConfigs } = parts
  const settings = (group: string): QueueSettings => groupConfigs.ofQueue(group)
  const queues = new QueueService({
    host: queuesHost({ clock: world.clock, registry, topics, meter: meter ?? null, settings }),
    state: queueStateLog(state),
    ...(queueRewriteBytes === undefined ? {} : { rewriteBytes: queueRewriteBytes }),
    ...(onFault === undefined ? {} : { onFault }),
  })
  await replay(state, (record) => queues.restore(record))
  return queues
}
