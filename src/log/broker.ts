/**
 * What only a broker does, offered by `log/local` alone and used by `gateway/kafka`: the client's own batch headers
 * kept, byte ranges with high watermark and aborted list, producer ids, group coordination. Answers carry Faults; the
 * gateway maps them to error codes.
 */
import type { Offset } from '../lib/brand.ts'
import type { Lease } from '../lib/buffer-pool.ts'
import type { Fault } from '../lib/fault.ts'
import type { Log, Partition, TopicInfo, TopicSpec } from './log.ts'
import type { Queues } from './queues/queues.ts'

export interface Broker extends Log {
  /** 22 characters, base64url of the instance's UUID; Kafka's cluster id. */
  readonly clusterId: string
  /** All topics as they are now, without waiting. Metadata is asked often. */
  readonly catalog: {
    all(): readonly TopicInfo[]
    byName(name: string): TopicInfo | null
    byId(id: string): TopicInfo | null
  }
  /** Every setting of a topic with its value, where it comes from, and its documentation (for DescribeConfigs). */
  describeConfig(topic: string): readonly ConfigEntry[]
  leaderEpoch(partition: Partition): number
  /** The largest epoch at or below `epoch` and the first offset after its records; null = none, or `epoch` is to come. */
  epochEnd(partition: Partition, epoch: number): { epoch: number; end: Offset } | null
  /** What `topics.create` would answer, without creating. */
  checkCreate(specs: readonly TopicSpec[]): (Fault | null)[]
  /** What `topics.alter` would throw, without altering. */
  checkAlter(
    name: string,
    change: { partitions?: number; config?: Readonly<Record<string, string | null>> },
  ): Fault | null
  /** Bytes of the partition's segments. */
  sizeBytes(partition: Partition): number
  produce(request: ProduceRequest): Promise<ProduceAnswer[]>
  fetch(request: FetchRequest, signal: AbortSignal): Promise<FetchAnswer[]>
  /** −1 latest, −2 earliest, −3 the record with the largest time, else the first at or after that time. */
  listOffsets(
    of: readonly { partition: Partition; timeMs: number }[],
    committedOnly: boolean,
  ): Promise<({ offset: Offset | -1; timeMs: number; leaderEpoch: number } | { fault: Fault })[]>
  /** A producer id for an idempotent producer. */
  initProducer(): Promise<ProducerIdentity>
  readonly transactions: Transactions
  readonly coordinator: GroupCoordinator
  /** Settings of groups. They stay when a group goes, and may be made before it comes. */
  readonly groupConfigs: ResourceConfigs
  /** What clients are asked to tell of themselves (KIP-714). */
  readonly clientMetrics: ResourceConfigs
  readonly brokerConfigs: BrokerConfigs
  /** What share groups stand on. */
  readonly queues: Queues
}
/** Settings of one kind of resources, each by its name. */
export interface ResourceConfigs {
  /** Those that have any. */
  names(): readonly string[]
  /** What was set. */
  current(resource: string): Readonly<Record<string, string>>
  describe(resource: string): readonly ConfigEntry[]
  /** null takes a setting away. What `alter` would throw. */
  check(resource: string, change: Readonly<Record<string, string | null>>): Fault | null
  /** Throws Fault log.invalid-config, or that of a name which cannot be. */
  alter(resource: string, change: Readonly<Record<string, string | null>>): Promise<void>
  /** After every change. */
  onChange(call: () => void): void
}
/** '' is what all brokers have. */
export interface BrokerConfigs extends ResourceConfigs {
  /** The value that counts. */
  effective(name: string): string
  /** Somebody set it. */
  isSet(name: string): boolean
}
/** The one broker's number, as the name of its settings. */
export const brokerName = '1'
export interface ConfigEntry {
  readonly name: string
  readonly value: string | null
  readonly isDefault: boolean
  /** Where the value comes from, and what would count without it; none = the resource itself, or the default. */
  readonly synonyms?: readonly {
    readonly name: string
    readonly value: string
    readonly source: 'topic' | 'broker' | 'all-brokers' | 'default'
  }[]
  readonly type: 'boolean' | 'string' | 'int' | 'long' | 'double' | 'list' | 'password'
  readonly documentation: string
  /** It comes from the configuration that the program starts with. */
  readonly readOnly?: true
}

export interface ProduceRequest {
  readonly acks: 'all' | 'leader' | 'none'
  readonly transactionalId: string | null
  /** Produce 12 and later (KIP-890): partitions join the transaction by being written to. */
  readonly joins?: boolean
  /** `records`: one or more record batches as sent, header and all. The log owns the bytes from here on. */
  readonly entries: readonly { readonly partition: Partition; readonly records: Uint8Array }[]
  /** Of those bytes. The log holds it as long as it needs them; the caller may release its own hold after the answer. */
  readonly lease?: Lease
}
export type ProduceAnswer =
  | { readonly baseOffset: Offset; readonly appendTimeMs: number; readonly start: Offset }
  | {
      readonly fault: Fault
      /** Which records of the batch were refused and why, where the fault is about records. */
      readonly records?: readonly { readonly index: number; readonly message: string }[]
    }

export interface FetchRequest {
  readonly entries: readonly {
    readonly partition: Partition
    readonly offset: Offset
    readonly maxBytes: number
    /** −1 = not checked. */
    readonly leaderEpoch: number
  }[]
  readonly committedOnly: boolean
  readonly maxBytes: number
  readonly minBytes: number
  readonly maxWaitMs: number
}
export type FetchAnswer = {
  readonly partition: Partition
  readonly start: Offset
  /** First offset that nobody sees yet; −1 with a fault. */
  readonly highWatermark: Offset
  readonly stable: Offset
  /** Whole batches; the first may begin before the offset asked for. */
  readonly records: readonly Uint8Array[]
  readonly aborted: readonly { readonly producerId: number; readonly firstOffset: Offset }[]
  readonly fault: Fault | null
  /** Called at most once, when nobody looks at `records` any more; if it is not, their memory is left to the collector. */
  readonly release: () => void
}

export interface ProducerIdentity {
  readonly producerId: number
  readonly epoch: number
}
/** Who says that it is the producer of a transactional id. */
export interface TransactionalProducer extends ProducerIdentity {
  readonly transactionalId: string
}
/**
 * Transactions of clients (KIP-98, with KIP-360, 447, 664 and 890). All throw Faults: `log.producer-fenced` and
 * `log.invalid-producer-mapping` about who asks, `log.concurrent-transactions` while something else about the id is under
 * way. What is answered is durable.
 */
export interface Transactions {
  /**
   * The id's producer from here on; others are fenced, and what they have open is aborted (then the caller hears
   * `log.concurrent-transactions` and asks again). `expected`: who the caller was before (KIP-360).
   */
  init(request: {
    readonly transactionalId: string
    readonly timeoutMs: number
    readonly expected: ProducerIdentity | null
  }): Promise<ProducerIdentity>
  addPartitions(producer: TransactionalProducer, partitions: readonly Partition[], bumps: boolean): Promise<void>
  /** Whether each is part of the open transaction, or why not. */
  verifyPartitions(producer: TransactionalProducer, partitions: readonly Partition[]): (Fault | null)[]
  /** The transaction will commit positions of groups. */
  addOffsets(producer: TransactionalProducer): Promise<void>
  /** `bumps`: the producer goes on with the epoch of the answer (EndTxn 5 and later). */
  end(
    producer: TransactionalProducer,
    how: { readonly commit: boolean; readonly bumps: boolean },
  ): Promise<ProducerIdentity>
  /** Positions that the transaction commits, for a member of the group (KIP-447). */
  commitOffsets(
    request: TransactionalProducer & {
      /** TxnOffsetCommit 5 and later: as `ProduceRequest.joins`. */
      readonly joins: boolean
      readonly group: string
      readonly generation: number
      readonly memberId: string
      readonly instanceId: string | null
      readonly offsets: readonly OffsetToCommit[]
    },
  ): Promise<(Fault | null)[]>
  /** Ends what a producer has open in one partition, whoever it is. For what hangs (KIP-664). */
  writeMarker(
    marker: ProducerIdentity & {
      readonly commit: boolean
      readonly coordinatorEpoch: number
      /** The epoch is that after the transaction's (WriteTxnMarkers 2 with transaction version 2). */
      readonly bumped: boolean
    },
    partition: Partition,
  ): Promise<void>
  describe(transactionalId: string): DescribedTransaction
  /** Throws Fault log.invalid-pattern. */
  list(filter: {
    /** −1: of any age. */
    readonly olderThanMs: number
    /** RE2, of the whole id; null or '' for all. */
    readonly pattern: string | null
  }): Promise<readonly ListedTransaction[]>
  /** Who wrote to the partition lately. */
  producers(partition: Partition): Promise<readonly DescribedProducer[]>
}
export interface OffsetToCommit {
  readonly partition: Partition
  /** Below 0 it is no position: kept and given back as it is, as Kafka does. Clients mean the beginning (−2), the end (−1). */
  readonly offset: number
  readonly leaderEpoch: number
  readonly metadata: string | null
}
export interface ListedTransaction extends TransactionalProducer {
  /** Kafka's name of the state. */
  readonly state: string
  /** −1: none has begun. */
  readonly startedMs: number
}
export interface DescribedTransaction extends ListedTransaction {
  readonly timeoutMs: number
  readonly partitions: readonly Partition[]
}
export interface DescribedProducer extends ProducerIdentity {
  /** −1: of this epoch, none. */
  readonly lastSequence: number
  readonly lastSeenMs: number
  /** Of its last marker; −1 without one. */
  readonly coordinatorEpoch: number
  /** Of the transaction that is open here; −1 = none. */
  readonly openFrom: Offset | -1
}

/** Given to the local log by the composition root: counts what passes. Called once a batch; it only adds numbers. */
export interface LogMeter {
  appended(topic: string, records: number, bytes: number): void
  read(topic: string, records: number, bytes: number): void
}

/** Both group protocols. Times are the client's wishes, bounded by the limits. */
/** Unless it is told otherwise. In Kafka 3 s; docs/kafka.md says why so long. */
export const initialRebalanceDelayMs = 200

export interface GroupCoordinator {
  /** Told of groups that somebody has removed; not of those whose time was over. */
  readonly removed: Set<(group: string) => void>
  /** The first rebalance of a classic group begins when nobody has come for so long. */
  readonly initialRebalanceDelayMs: number
  consumerHeartbeat(request: ConsumerHeartbeat): Promise<ConsumerHeartbeatAnswer | { fault: Fault }>
  /** null: there is no such group, or it is a classic one. */
  describeConsumer(group: string): Promise<DescribedConsumerGroup | null>
  shareHeartbeat(request: ShareHeartbeat): Promise<ConsumerHeartbeatAnswer | { fault: Fault }>
  /** null: there is no such share group. */
  describeShare(group: string): Promise<DescribedConsumerGroup | null>
  readonly shareOffsets: ShareOffsets
  join(request: {
    group: string
    memberId: string
    instanceId: string | null
    clientId: string
    host: string
    protocolType: string
    protocols: readonly { name: string; metadata: Uint8Array }[]
    sessionTimeoutMs: number
    rebalanceTimeoutMs: number
    /** JoinGroup v4 and later: a first join is sent away once with its new member id. */
    memberIdRequired: boolean
    /** JoinGroup v9 and later: a leader can be told that the assignment stands. */
    skipsAssignment: boolean
  }): Promise<
    | {
        generation: number
        protocolType: string
        protocol: string
        leader: string
        memberId: string
        /** Filled for the leader only, so that it assigns; or tells, with `skipAssignment`, that it need not. */
        members: readonly { id: string; instanceId: string | null; metadata: Uint8Array }[]
        skipAssignment: boolean
      }
    | { fault: Fault; memberId: string }
  >
  sync(request: {
    group: string
    generation: number
    memberId: string
    instanceId: string | null
    protocolType: string | null
    protocol: string | null
    assignments: readonly { memberId: string; assignment: Uint8Array }[]
  }): Promise<{ protocolType: string; protocol: string; assignment: Uint8Array } | { fault: Fault }>
  heartbeat(request: {
    group: string
    generation: number
    memberId: string
    instanceId: string | null
  }): Promise<Fault | null>
  leave(
    group: string,
    members: readonly { memberId: string; instanceId: string | null; reason: string | null }[],
  ): Promise<(Fault | null)[]>
  /** generation −1 with an empty member id: a consumer that assigns its partitions itself. */
  commit(request: {
    group: string
    /** Or the epoch of a member of the consumer protocol. */
    generation: number
    memberId: string
    instanceId: string | null
    /** OffsetCommit 9 and later: the client knows the consumer protocol. */
    knowsEpochs?: boolean
    /** OffsetCommit 2 to 4: how long to keep them, in place of the retention that all have; −1 = not said. */
    retentionMs?: number
    offsets: readonly OffsetToCommit[]
  }): Promise<(Fault | null)[]>
  /** null = all that the group has. Partitions without a commit come with offset −1. Throws Fault of the group. */
  offsets(
    group: string,
    of: readonly Partition[] | null,
    requireStable: boolean,
    by?: { memberId: string | null; epoch: number },
  ): Promise<
    readonly {
      partition: Partition
      offset: number
      leaderEpoch: number
      metadata: string | null
      fault: Fault | null
    }[]
  >
  /** null: there is no such group, or it is one of the consumer protocol. */
  describe(group: string): Promise<DescribedGroup | null>
  list(): Promise<readonly ListedGroup[]>
  remove(groups: readonly string[]): Promise<(Fault | null)[]>
  /** Throws Fault of the group. */
  removeOffsets(group: string, of: readonly Partition[]): Promise<(Fault | null)[]>
}
export interface ListedGroup {
  readonly group: string
  readonly protocolType: string
  readonly state: string
  readonly type: 'classic' | 'consumer' | 'share'
}

/** KIP-848. What is null or −1 is as it was in the member's last request. */
export interface ConsumerHeartbeat {
  readonly group: string
  /** '' only from clients that have their id made (version 0). */
  readonly memberId: string
  /** 0 to join, −1 to leave, −2 to leave for a while (static members). */
  readonly epoch: number
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly rebalanceTimeoutMs: number
  readonly topics: readonly string[] | null
  /** RE2; '' for none. */
  readonly pattern: string | null
  /** Which topics patterns may find, when it is this request that has them looked for; every topic unless given. */
  readonly mayFind?: (topic: string) => boolean
  readonly assignor: string | null
  /** What the member has. */
  readonly owned: readonly IndexesOfTopic[] | null
  readonly clientId: string
  readonly host: string
}
/** KIP-932. What is null is as it was in the member's last request. */
export interface ShareHeartbeat {
  readonly group: string
  readonly memberId: string
  /** 0 to join, −1 to leave. */
  readonly epoch: number
  readonly rackId: string | null
  readonly topics: readonly string[] | null
  readonly clientId: string
  readonly host: string
}
/** Where share groups are. Throws Fault log.unknown-group for one that is no share group. */
export interface ShareOffsets {
  /** Of the partitions of all topics that its members subscribe to or that it has begun to read. */
  positions(group: string): Promise<readonly ShareOffset[]>
  /** Only for an empty group, as is `forget`. */
  reset(group: string, to: readonly { readonly partition: Partition; readonly offset: Offset }[]): Promise<void>
  forget(group: string, topics: readonly string[]): Promise<void>
}
export interface ShareOffset {
  readonly partition: Partition
  /** Everything before it is done with; null: the group has not begun here. */
  readonly start: Offset | null
  /** Records that are not done with. */
  readonly lag: number | null
}
export interface IndexesOfTopic {
  readonly topicId: string
  readonly partitions: readonly number[]
}
export interface ConsumerHeartbeatAnswer {
  readonly memberId: string
  readonly epoch: number
  readonly heartbeatMs: number
  /** null: as it was. */
  readonly assignment: readonly IndexesOfTopic[] | null
}
export interface DescribedConsumerGroup {
  readonly group: string
  readonly state: string
  readonly epoch: number
  readonly assignmentEpoch: number
  readonly assignor: string
  readonly members: readonly {
    readonly id: string
    readonly instanceId: string | null
    readonly rackId: string | null
    readonly epoch: number
    readonly clientId: string
    readonly host: string
    readonly topics: readonly string[]
    readonly pattern: string
    readonly isClassic: boolean
    readonly assigned: readonly NamedIndexes[]
    readonly target: readonly NamedIndexes[]
  }[]
}
export interface NamedIndexes extends IndexesOfTopic {
  readonly topic: string
}
export interface DescribedGroup {
  readonly group: string
  readonly state: string
  readonly protocolType: string
  readonly protocol: string
  readonly members: readonly {
    id: string
    instanceId: string | null
    clientId: string
    host: string
    metadata: Uint8Array
    assignment: Uint8Array
  }[]
}

/**
 * Given to the local log by the composition root; lies above it. Called for each batch produced to a topic that has a
 * contract, before anything is stored.
 */
export interface Intake {
  /** null: the topic has no contract (or one that lets everything in here), records are not decoded. */
  (topic: string, batch: Uint8Array): readonly { index: number; message: string }[] | null
}
