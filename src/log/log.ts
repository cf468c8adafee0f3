/**
 * The seam. Everything above `log/` sees only this: topics of partitions, append, read, groups, ticks. It fits the
 * embedded log (`log/local`) and an Apache Kafka cluster alike; one conformance suite runs against each.
 */
import type { Offset } from '../lib/brand.ts'
import type { Owned } from '../lib/buffer-pool.ts'
import type { Fault } from '../lib/fault.ts'

export interface Partition {
  readonly topic: string
  readonly index: number
}
/**
 * One record batch v2 as on the wire (`batch.ts`). Through `Writer` and `Tick` the log owns its header (base offset,
 * producer, sequence, flags, CRC) and the records pass untouched; `Broker.produce` keeps the client's header.
 */
export type Batch = Uint8Array & { readonly __batch?: true }
export interface At {
  readonly partition: Partition
  readonly offset: Offset
}

export interface Log extends AsyncDisposable {
  readonly topics: Topics
  /** What this log can do. No caller asks "which log are you". */
  readonly limits: { readonly batchBytes: number; readonly tickFloorMs: number; readonly transactionBytes: number }
  /** Default 'all': answered when durable. */
  writer(options?: { acks?: 'all' | 'leader' | 'none' }): Writer
  reader(options?: ReaderOptions): Reader
  /**
   * `end` is the first offset not yet written, `stable` the first that a committed reader cannot see yet. Waits a little for what
   * is decided and not shown.
   */
  bounds(of: readonly Partition[]): Promise<Bounds[]>
  /** First record whose time is at or after `timeMs`, and its time; null = none. */
  findTime(of: readonly Partition[], timeMs: number): Promise<({ offset: Offset; timeMs: number } | null)[]>
  join(group: string, options: JoinOptions): Membership
  readonly groups: Groups
  /** Opens ticks. One owner per process, not per task or group; one tick open at a time. */
  owner(): Promise<Owner>
  /** A handle that can be posted to a worker, which opens the same Reader from it. */
  readerPort(options?: ReaderOptions): ReaderPort
  close(): Promise<void>
}
export interface ReaderOptions {
  /** Also what no commit covers yet, and what was aborted. Never what is not durable. */
  readonly uncommitted?: boolean
  /** Bytes that one `read` answers with, over all partitions; at least one batch comes if there is one. */
  readonly maxBytes?: number
}
export type ReaderPort = { readonly __readerPort: true }
export interface Bounds {
  readonly partition: Partition
  readonly start: Offset
  readonly stable: Offset
  readonly end: Offset
}
export interface Writer {
  /**
   * One batch per entry; several entries of one partition keep their order. Retries and duplicates are the log's
   * affair. Resolves when durable as asked; the wait is the back-pressure.
   */
  append(entries: readonly { partition: Partition; batch: Batch }[]): Promise<Appended[]>
}
/** `timeMs` is what the log wrote as append time, −1 where the record's own time stands. */
export type Appended = { readonly offset: Offset; readonly timeMs: number } | { readonly fault: Fault }

export interface Reader {
  /**
   * What is there from these positions, committed only unless asked. Waits up to `wait.ms` until `wait.bytes` (default
   * 1) have come. May stop anywhere: `next` is where to go on, also when no batch came (markers, aborted, compacted).
   * The first batch may begin before the position asked for. Leaving a partition out is the pause.
   */
  read(from: readonly At[], wait?: { ms: number; bytes?: number }, signal?: AbortSignal): Promise<Chunk[]>
  /** The same for a reader that takes what it wants to keep: nobody may look at the batches after `release`, which may be left out. */
  lend?(from: readonly At[], wait?: { ms: number; bytes?: number }, signal?: AbortSignal): Promise<LentChunks>
  /**
   * Newest value per key up to the end as it was when every commit of `claim`'s positions had settled; older values
   * may come too, in order. Ends a dead owner's open tick.
   */
  restore(partition: Partition, claim: Claim, from?: Offset): AsyncIterable<Chunk>
}
export type Chunk =
  | {
      readonly partition: Partition
      readonly batches: readonly Batch[]
      readonly next: Offset
      readonly stable: Offset
    }
  | { readonly partition: Partition; readonly fault: Fault }

export interface LentChunks {
  readonly chunks: Chunk[]
  release(): void
  /** Before `release`: memory of batches that is nobody else's is the caller's from now on, for another thread. */
  own?(): Owned[]
}

export interface JoinOptions {
  readonly topics: readonly string[]
  /** What this member already holds warm: assignment keeps it, then prefers it for standby. */
  warm(): At[]
  readonly standbys?: number
  /** Who I am across a restart; the same name comes back to the same partitions. */
  readonly name?: string
  /** Where all members ask for it, all partitions go to one of them, and to another when it leaves. */
  readonly whole?: boolean
}
/** Right to commit for the partitions held when it was given. A tick keeps the claim it started with. Opaque. */
export type Claim = { readonly __claim: true }
export interface Membership {
  /** One at a time; the next comes only after `accept`. Call it when no tick that used the old claim is still open. */
  changes(): AsyncIterable<{
    readonly claim: Claim
    readonly active: readonly Partition[]
    readonly standby: readonly Partition[]
    accept(): void
  }>
  /** Settled positions (no transaction open over them). null = never committed. */
  positions(claim: Claim, of: readonly Partition[]): Promise<(Offset | null)[]>
  leave(): Promise<void>
}
export interface Owner {
  /**
   * All or nothing: the appends of this tick and the input positions of every task in it. Nothing is visible to others
   * before `committed`, and may be a little later.
   */
  begin(): Tick
  close(): Promise<void>
}
export interface Tick {
  /**
   * Where each batch will lie if this tick commits; after 'retry' it lies elsewhere. Throws Fault log.rolled-back where
   * nothing is left but to begin a new tick with the same input.
   */
  append(
    entries: readonly { partition: Partition; batch: Batch }[],
  ): Promise<readonly { offset: Offset; timeMs: number }[]>
  /**
   * A part per task: the claim its step started with, and its positions; [] = appends only. `lost`: someone else owns
   * these claims, drop their state and restore; the others may go on. 'retry': rolled back, same input again. Never
   * unknown: it asks until it knows.
   */
  commit(
    parts: readonly { claim: Claim; positions: readonly At[] }[],
  ): Promise<'committed' | 'retry' | { lost: Claim[] }>
  abort(): Promise<void>
}
export interface TopicSpec {
  readonly name: string
  readonly partitions: number
  readonly config?: Readonly<Record<string, string>>
  /** What settings are that are not set, or not any more, where that differs from the log's own defaults. */
  readonly defaults?: Readonly<Record<string, string>>
}
export interface TopicInfo {
  readonly name: string
  /** UUID that a topic of the same name created later does not share. */
  readonly id: string
  readonly partitions: number
  /** What was set; defaults are not in it. */
  readonly config: Readonly<Record<string, string>>
  readonly defaults?: Readonly<Record<string, string>>
  /** By the wall clock; absent where it was made before that was noted, or elsewhere. */
  readonly createdMs?: number
}
export interface Topics {
  /** null for each that was created. Durable when answered. */
  create(specs: readonly TopicSpec[]): Promise<(Fault | null)[]>
  /** null takes a setting back to its default. */
  alter(name: string, change: { partitions?: number; config?: Readonly<Record<string, string | null>> }): Promise<void>
  list(): Promise<TopicInfo[]>
  get(name: string): Promise<TopicInfo | null>
  remove(names: readonly string[]): Promise<(Fault | null)[]>
  /** Forget everything before these. */
  trim(to: readonly At[]): Promise<void>
  /** Names that changed (created, altered, removed). Eventually told; also after a reconnect. */
  watch(signal: AbortSignal): AsyncIterable<{ readonly changed: readonly string[] }>
}
export interface GroupInfo {
  readonly group: string
  readonly state: string
  readonly members: readonly {
    readonly id: string
    readonly name?: string
    readonly client: string
    readonly host: string
    readonly held: readonly Partition[]
  }[]
}
export interface Groups {
  list(): Promise<GroupInfo[]>
  positions(group: string): Promise<At[]>
  /** Only for an empty group. */
  reset(group: string, to: readonly At[]): Promise<void>
  remove(group: string): Promise<void>
  /** Take a member out now, because its process is known to be dead. */
  evict(group: string, member: string): Promise<void>
}
