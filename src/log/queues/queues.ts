/**
 * Queues: a group shares out the records of partitions one by one. A record is acquired by one member at a time, under a
 * lock that ends by itself, and is done with when it is accepted, rejected, or was delivered as often as the group's limit.
 * Kafka's share groups (KIP-932) stand on this, and whoever above the log wants work shared out.
 */
import type { Offset } from '../../lib/brand.ts'
import type { Fault } from '../../lib/fault.ts'
import type { Batch, Partition } from '../log.ts'
import type { Header } from '../batch.ts'

/** A partition of the topic with this id: one that was created later under the same name is another one. */
export interface QueueRef {
  readonly topicId: string
  readonly index: number
}
export interface QueueSettings {
  /** A record that was acquired is given to another when nothing was heard of it for so long. */
  readonly lockMs: number
  /** Deliveries of a record after which it is given up. */
  readonly deliveriesMax: number
  /** Records of a partition that are acquired or wait to be acquired again, at most. */
  readonly locksMax: number
  /** Where a group begins that nobody has told: the end, the start, or the records of the last so many milliseconds. */
  readonly reset: 'latest' | 'earliest' | { readonly agoMs: number }
  readonly committedOnly: boolean
  /** Whether locks may be extended. */
  readonly mayRenew: boolean
  /** Of records with the same key, only the oldest that is not done with is given out: but see `keyHolder`. */
  readonly orderByKey: boolean
  /** A record that was released, or whose lock ended, is not given out again for so long. */
  readonly releaseDelayMs: number
  /** The delay doubles with each delivery, up to this. Not more than the delay: it stays the same. */
  readonly releaseDelayMaxMs: number
  /** A lock, and that it is renewed, is durable before it is answered: after a crash nobody else is given the record before. */
  readonly keepsLocks: boolean
  /** When a record was given out first is kept. */
  readonly keepsFirst?: boolean
  /** What is given up or rejected is copied there. */
  readonly deadLetter: DeadLetterSettings | null
}

export interface DeadLetterSettings {
  readonly topic: string
  readonly copiesRecord: boolean
  /** Headers that say what happened, in place of Kafka's. */
  says?(why: LetterFacts): readonly Header[]
}
export interface LetterFacts {
  readonly from: Partition
  readonly offset: number
  readonly timeMs: number
  readonly group: string
  readonly deliveries: number
  readonly reason: string
}

export interface AcquireRequest {
  readonly group: string
  /** Who holds what is acquired: any name that no other member of the group has. */
  readonly member: string
  /** Looked at in this order. */
  readonly of: readonly QueueRef[]
  readonly recordsMax: number
  /** `recordsMax` is kept to exactly; else the last batch of the log is acquired whole. */
  readonly exact: boolean
  /** Acquired ranges hold about so many records. */
  readonly rangeRecords: number
  readonly bytesMax: number
  readonly waitMs: number
  /** In place of the group's. */
  readonly lockMs?: number
  /**
   * Where the group orders by key: several records of a key may be out, all with this holder, in order. When one is given
   * out again, all behind it are that went out, accepted ones too.
   */
  readonly keyHolder?: string
}
export interface AcquiredRange {
  readonly first: Offset
  readonly last: Offset
  /** This one included: no two deliveries of a record have the same. */
  readonly deliveries: number
  /** Of them, those that do not count: one before it in the order of its key went out again. */
  readonly spared: number
  /** When it was given out first, where the group keeps that; else 0. */
  readonly firstMs: number
}
export interface Acquired {
  readonly of: QueueRef
  /** Of the log, whole; only the records in `ranges` were acquired. */
  readonly batches: readonly Batch[]
  readonly ranges: readonly AcquiredRange[]
  /** Rises whenever the group begins anew. */
  readonly epoch: number
  readonly fault: Fault | null
  /** Called at most once, when nobody looks at `batches` any more. */
  readonly release: () => void
}
/** `gap`: there is no record at this offset. `renew`: the lock begins anew. */
export type Outcome = 'accept' | 'release' | 'reject' | 'renew' | 'gap'
export interface Settlement {
  readonly first: number
  readonly last: number
  /** One for all of them, or one for each. */
  readonly outcomes: readonly Outcome[]
  /** In place of the group's delay of what is released. */
  readonly delayMs?: number
  /** In place of the group's lock, for what is renewed. */
  readonly lockMs?: number
  /** It is about this delivery of the records: to another one it does not matter. */
  readonly deliveries?: number
  /**
   * Also of records whose lock has ended, while they are not done with; what it cannot be about any more is passed over. A
   * record that waits to be given out again is accepted, or locked again; released it is already.
   */
  readonly late?: boolean
  /** Why it was rejected: goes with the dead letter. */
  readonly reason?: string
}
export interface QueuePosition {
  readonly of: QueueRef
  /** Everything before it is done with; null: nobody has acquired from here yet. */
  readonly start: Offset | null
  /** Records that are not done with. */
  readonly lag: number | null
}
/** What is done with: everything before `start`, and these ranges behind it. */
export interface QueueState {
  readonly of: QueueRef
  readonly start: Offset
  readonly over: readonly OffsetRange[]
}
export interface OffsetRange {
  readonly first: number
  readonly last: number
}
export interface ReceivedRecord {
  readonly of: QueueRef
  readonly offset: number
  readonly timeMs: number
  readonly key: Uint8Array | null
  readonly value: Uint8Array | null
  readonly headers: readonly Header[]
  readonly deliveries: number
  readonly firstMs: number
}

export interface Queues {
  settings(group: string): QueueSettings
  /** In place of the settings that are kept for groups, for as long as this process lives; null: those again. */
  configure(group: string, settings: QueueSettings | null): void
  /** Partitions that had something, or failed. Waits for the first of it. */
  acquire(request: AcquireRequest, signal?: AbortSignal): Promise<Acquired[]>
  /** The same, decoded. What holds no record is done with at once. Throws the first Fault when nothing came. */
  receive(request: Omit<AcquireRequest, 'rangeRecords' | 'exact'>, signal?: AbortSignal): Promise<ReceivedRecord[]>
  /**
   * What became of records that the member acquired. Of one partition all or nothing: null when it is durable, or why
   * nothing was changed (log.record-not-held, log.invalid-acknowledgement, the store's).
   */
  settle(
    group: string,
    member: string,
    of: readonly { readonly of: QueueRef; readonly settlements: readonly Settlement[] }[],
  ): Promise<(Fault | null)[]>
  /**
   * Of each, whether the member holds it, by this delivery where one is said. What `settle` is told in the same turn finds
   * it so.
   */
  held(
    group: string,
    member: string,
    of: QueueRef,
    deliveries: readonly { readonly offset: number; readonly deliveries?: number; readonly epoch?: number }[],
  ): boolean[]
  /** What `inOrder` asks about is known when it resolves: after a start it is not. */
  learn(group: string, of: QueueRef): Promise<void>
  /** Where the group orders by key, of each whether those before it are done with, or are among them. */
  inOrder(group: string, of: QueueRef, offsets: readonly number[]): boolean[]
  /** Everything that the member holds, or of these partitions, is there for others. */
  release(group: string, member: string, of?: readonly QueueRef[]): Promise<void>
  /** Of all partitions that the group has to do with. */
  positions(group: string): Promise<QueuePosition[]>
  /**
   * The group begins there anew, in all of these or in none; what was acquired before is not known any more. Durable when
   * answered.
   */
  reset(
    group: string,
    to: readonly { readonly of: QueueRef; readonly offset: Offset; readonly over?: readonly OffsetRange[] }[],
  ): Promise<void>
  /** Where the group is in each partition that it has begun. What is being settled is not done with yet. */
  states(group: string): QueueState[]
  /** The group has nothing to do with these topics any more, or with any. */
  forget(group: string, topicIds: readonly string[] | null): Promise<void>
}
