/**
 * Atomic commit over partitions. The commit point is one record in `__transaction_state`.
 *
 * A tick's record names, for each partition, the transaction's last batch there. It shares the sync round with the data:
 * the tick is committed if and only if the record and every batch it names are on disk.
 * - All durable: committed for good. Readers see it at once; markers are appended in the same turn and become durable in
 *   the next round. Until then the transaction is `unmarked`, and every later record of the same id repeats that
 *   (`pending`), so that it does not matter which of the two reaches the disk first.
 * - Something not durable while the process lives (a failed sync cuts the log): the abort is made durable before anything
 *   else is decided, because others may append where the cut was.
 * - Something not on disk after a crash: the restart finds the named batch missing and aborts. This decision too is made
 *   durable before the partitions take anything new.
 * - No record: whoever opens a partition with an open transaction asks `resolve`, hears of nothing, and writes the marker of
 *   an abort.
 *
 * A client's (`clients.ts`) has records from its beginning on, and is committed by one that is written when its data is
 * durable, so that the record alone decides.
 *
 * Markers carry the epoch after the transaction's (KIP-890), so what a dead owner sent late is fenced; but for producers
 * that keep their epoch, whose next transaction has to wait for the markers to be durable.
 */
import type { Lease } from '../../../lib/buffer-pool.ts'
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Clock } from '../../../lib/world.ts'
import { ownBatch, readBatchHeader } from '../../../store/batch-header.ts'
import type { RecordInput } from '../../batch.ts'
import type { ProducerIdentity } from '../../broker.ts'
import type { Outcome } from '../control-batch.ts'
import { type Ending, type Mark, type PartitionState, type Placed, afterEpoch } from '../partition.ts'
import { appendDurably, appendNow } from '../system-log.ts'
import { reserveKeptByEnds } from '../system-topics.ts'
import {
  type InputPosition,
  type PendingMarkers,
  type TransactionState,
  encodeTransactionKey,
  encodeTransactionState,
  status,
} from './state-format.ts'
import { Transaction, placeOf } from './transaction.ts'

const timeoutMs = 60_000
const retryFirstMs = 10
const retryLastMs = 1_000

interface Unmarked extends Ending {
  readonly transactionalId: string
  readonly producerId: number
  readonly epoch: number
  readonly partitions: Set<PartitionState>
}

export class TransactionCoordinator {
  readonly #clock: Clock
  readonly #log: PartitionState
  /** Not yet decided, by producer id: there is at most one. */
  readonly #open = new Map<number, Transaction>()
  /** Decided, markers not known to be durable; by producer id and epoch. */
  readonly #unmarked = new Map<string, Unmarked>()
  /** Those of them that are committed, by transactional id. */
  readonly #pending = new Map<string, Set<Unmarked>>()
  /** While the restart has not decided yet, nothing is settled. */
  #deciding = true
  #closed = false
  readonly #background = new Set<Promise<void>>()

  constructor(clock: Clock, log: PartitionState) {
    this.#clock = clock
    this.#log = log
  }

  /** Told of a producer whose transaction a partition has and no record names: its transaction, if it may begin one. */
  begins: (producer: ProducerIdentity) => Transaction | null = () => null

  /**
   * What becomes of a transaction that a partition finds open in it; null: it is part of none that anybody knows of. What is
   * found of a living producer, and no record says so, was written just before a crash, and not acknowledged: its owner sends
   * it again. A marker there would fence the owner, so the partition becomes a part of its transaction, which may begin by that.
   */
  resolve(partition: PartitionState, producerId: number, epoch: number): Ending | 'open' | null {
    if (this.#deciding) return 'open'
    const decided = this.#unmarked.get(nameOf(producerId, epoch))
    if (decided !== undefined) return decided.partitions.has(partition) ? decided : null
    const open = this.#open.get(producerId) ?? this.begins({ producerId, epoch })
    if (open?.epoch !== epoch) return null
    if (open.phase === 'open') open.partitions.add(partition)
    return open.partitions.has(partition) ? 'open' : null
  }

  /** A decided transaction has markers here that may not be on disk yet. */
  hasUnmarked(partition: PartitionState): boolean {
    for (const { partitions } of this.#unmarked.values()) if (partitions.has(partition)) return true
    return false
  }
  begin(transactionalId: string, { producerId, epoch }: ProducerIdentity, bumps = true): Transaction {
    const startedMs = this.#clock.now()
    const transaction = new Transaction({ transactionalId, producerId, epoch, startedMs, bumps })
    this.#open.set(producerId, transaction)
    return transaction
  }
  /** The open one of a producer id. */
  open(producerId: number): Transaction | null {
    return this.#open.get(producerId) ?? null
  }

  /** Appends a batch of which the log owns the header, and the lease is of. Throws Fault; the transaction can then only be aborted. */
  append(
    transaction: Transaction,
    partition: PartitionState,
    batch: Uint8Array,
    lease: Lease | null = null,
  ): Placed | Promise<Placed> {
    return partition.perform(() => {
      const baseSequence = transaction.nextSequence(partition)
      if (transaction.phase !== 'open' || baseSequence === null)
        throw new Fault('log.invalid-transaction', { what: 'it can only be aborted' })
      if (transaction.bytes + batch.length > limits.transactionBytes)
        throw new Fault('wire.too-large', {
          what: 'a transaction',
          bytes: transaction.bytes + batch.length,
          bytesMax: limits.transactionBytes,
        })
      const { producerId, epoch } = transaction
      ownBatch(batch, { producerId, producerEpoch: epoch, baseSequence, transactional: true })
      const header = readBatchHeader(batch)
      const placed = partition.append(batch, header, lease)
      transaction.wrote(partition, {
        baseOffset: placed.baseOffset,
        records: header.recordCount,
        bytes: header.bytes,
      })
      return placed
    })
  }

  /** The same for a client's transaction, which has no sequences of its own here. Only inside `perform`. */
  appendFor(transaction: Transaction, partition: PartitionState, batch: Uint8Array): Placed {
    if (transaction.phase !== 'open') throw new Fault('log.invalid-transaction', { what: 'it has been ended' })
    const { producerId, epoch } = transaction
    ownBatch(batch, { producerId, producerEpoch: epoch, baseSequence: -1, transactional: true })
    const header = readBatchHeader(batch)
    const placed = partition.append(batch, header)
    transaction.wrote(partition, { ...placed, records: header.recordCount, bytes: header.bytes })
    return placed
  }

  /** Resolves once the outcome is settled for good. 'retry': rolled back. */
  async commit(transaction: Transaction, inputs: readonly InputPosition[]): Promise<'committed' | 'retry'> {
    if (transaction.parts.size === 0) {
      this.#open.delete(transaction.producerId)
      transaction.phase = 'committed'
      return 'committed'
    }
    transaction.phase = 'committing'
    const record = await this.#writeCommit(transaction, inputs)
    if (record === 'durable' && transaction.isWhole()) {
      void this.decide(transaction, ofTick(transaction, 'commit'))
      return 'committed'
    }
    if (record !== 'unwritten') await this.#writeAbort(transaction)
    void this.decide(transaction, ofTick(transaction, 'abort'))
    return 'retry'
  }

  /** 'durable': the record and everything it names. 'unknown': the record may be on disk, something it names may not. */
  async #writeCommit(
    transaction: Transaction,
    inputs: readonly InputPosition[],
  ): Promise<'durable' | 'unknown' | 'unwritten'> {
    const parts = [...transaction.parts].filter(([partition]) => !partition.gone)
    let written: Mark | null
    try {
      // Opens what a cut has closed; then nothing is awaited between the check and the record.
      for (const [partition] of parts) await partition.perform(() => undefined)
      written = await this.#log.perform(() =>
        transaction.isWhole()
          ? appendNow(this.#log, [this.#record(transaction, status.prepareCommit, inputs)], reserveKeptByEnds)
          : null,
      )
    } catch {
      return 'unwritten'
    }
    if (written === null) return 'unwritten'
    const waits = parts.map(async ([partition, { mark }]) => {
      await partition.whenDurable(mark).catch((error: unknown) => {
        if (!partition.gone) throw error
      })
    })
    const done = await Promise.allSettled([this.#log.whenDurable(written), ...waits])
    return done.every((one) => one.status === 'fulfilled') ? 'durable' : 'unknown'
  }
  /** A commit record may be on disk: the abort has to be there before anything can grow over what is missing. */
  async #writeAbort(transaction: Transaction): Promise<void> {
    for (let waitMs = retryFirstMs; ; waitMs = Math.min(waitMs * 2, retryLastMs)) {
      try {
        await appendDurably(this.#log, [this.#record(transaction, status.completeAbort, [])], reserveKeptByEnds)
        return
      } catch (error) {
        if (this.#closed) throw error
        await this.#clock.sleep(waitMs)
      }
    }
  }

  abort(transaction: Transaction): void {
    if (transaction.phase === 'open') void this.decide(transaction, ofTick(transaction, 'abort'))
  }

  /** Resolves when all that a client's transaction has written is durable and still there. Throws Fault. */
  async whenWhole(transaction: Transaction): Promise<void> {
    const parts = [...transaction.partitions].map(async (partition) => {
      if (partition.gone || !(await opens(partition))) return
      const part = transaction.parts.get(partition)
      if (part !== undefined && partition.stands(part.mark)) await partition.whenDurable(part.mark)
    })
    await Promise.all(parts)
    if (!transaction.isWhole())
      throw new Fault('log.transaction-abortable', { what: 'a failing disk has lost a part of it' })
  }
  /** For good: the caller has made it durable. Resolves when the markers are durable. */
  decide(transaction: Transaction, ending: Ending): Promise<void> {
    transaction.phase = ending.outcome === 'commit' ? 'committed' : 'aborted'
    this.#open.delete(transaction.producerId)
    const { transactionalId, producerId, epoch, partitions } = transaction
    const { outcome, markerEpoch } = ending
    return this.#mark({ transactionalId, producerId, epoch, outcome, markerEpoch, partitions: new Set(partitions) })
  }
  #mark(decided: Unmarked): Promise<void> {
    if (decided.partitions.size === 0) return Promise.resolve()
    this.#noteUnmarked(decided)
    const marked = Promise.all(Array.from(decided.partitions, (partition) => this.#markPartition(decided, partition)))
      .then(() => {
        if (decided.partitions.size === 0) this.#forgetUnmarked(decided)
      })
      .finally(() => this.#background.delete(quiet))
    const quiet = marked.catch(() => undefined)
    this.#background.add(quiet)
    return marked
  }
  #noteUnmarked(decided: Unmarked): void {
    this.#unmarked.set(nameOf(decided.producerId, decided.epoch), decided)
    if (decided.outcome === 'abort') return
    const pending = this.#pending.get(decided.transactionalId)
    if (pending === undefined) this.#pending.set(decided.transactionalId, new Set([decided]))
    else pending.add(decided)
  }
  #forgetUnmarked(decided: Unmarked): void {
    this.#unmarked.delete(nameOf(decided.producerId, decided.epoch))
    const pending = this.#pending.get(decided.transactionalId)
    pending?.delete(decided)
    if (pending?.size === 0) this.#pending.delete(decided.transactionalId)
  }
  /** Appends the marker now, then sees to it that it becomes durable. */
  async #markPartition(decided: Unmarked, partition: PartitionState): Promise<void> {
    const { producerId, epoch, partitions } = decided
    for (let waitMs = retryFirstMs; ; waitMs = Math.min(waitMs * 2, retryLastMs)) {
      try {
        const appended = partition.perform(() => partition.endTransaction(producerId, epoch, decided))
        const mark = appended instanceof Promise ? await appended : appended
        // Left to a later start, which is told of it by the id's next records.
        if (mark === null && decided.outcome === 'commit') return
        if (mark !== null) await partition.whenDurable(mark)
        partitions.delete(partition)
        return
      } catch (error) {
        if (partition.gone || isDamage(error)) return void partitions.delete(partition)
        if (this.#closed) throw error
        await this.#clock.sleep(waitMs)
      }
    }
  }

  #record(transaction: Transaction, to: TransactionState['status'], inputs: readonly InputPosition[]): RecordInput {
    const commits = to === status.prepareCommit
    const { producerId, epoch, startedMs } = transaction
    const ends = commits ? transaction.ends() : []
    const updatedMs = this.#clock.now()
    const state = { producerId, epoch, timeoutMs, status: to, startedMs, updatedMs, ends, inputs, client: null }
    return this.#stateRecord(transaction.transactionalId, state)
  }
  #stateRecord(transactionalId: string, state: Omit<TransactionState, 'pending'>): RecordInput {
    const value = encodeTransactionState({ ...state, pending: this.#pendingOf(transactionalId) })
    return { key: encodeTransactionKey(transactionalId), value, timeMs: this.#clock.now() }
  }
  #pendingOf(transactionalId: string): PendingMarkers[] {
    const pending = this.#pending.get(transactionalId) ?? []
    return Array.from(pending, ({ producerId, epoch, partitions }) => ({
      producerId,
      epoch,
      partitions: Array.from(partitions, placeOf),
    }))
  }
  /** What a transactional id is from now on. Resolves when that is durable. Throws the store's Fault. */
  async write(transactionalId: string, state: Omit<TransactionState, 'pending'>): Promise<void> {
    const reserveKept = state.status === status.empty || state.status === status.ongoing ? undefined : reserveKeptByEnds
    await appendDurably(this.#log, [this.#stateRecord(transactionalId, state)], reserveKept)
  }
  /** These are to be forgotten. */
  async forget(transactionalIds: readonly string[]): Promise<void> {
    const timeMs = this.#clock.now()
    await appendDurably(
      this.#log,
      transactionalIds.map((id) => ({ key: encodeTransactionKey(id), value: null, timeMs })),
    )
  }

  /**
   * After a restart: makes the decisions about what was found durable, then writes the markers that are missing. Only
   * then may anything else be appended. What clients have open stays open.
   */
  async restored(found: readonly Found[], open: readonly Transaction[]): Promise<void> {
    for (const transaction of open) this.#open.set(transaction.producerId, transaction)
    const decided = found.map(unmarkedOf)
    for (const one of decided) if (one.outcome === 'commit') this.#noteUnmarked(one)
    await this.#close(found.filter(({ isNew }) => isNew))
    this.#deciding = false
    const marked = decided.map((one) => this.#mark(one).catch(() => undefined))
    // They were opened to decide; what else was open in them, without a record, had to wait for this.
    for (const partition of new Set(found.flatMap(({ partitions }) => partitions)))
      await partition.perform(() => partition.settle())
    await Promise.all(marked)
    await this.#close(found.filter(({ isNew }) => !isNew))
  }
  async #close(found: readonly Found[]): Promise<void> {
    const records = found.flatMap(({ transactionalId, closing }) =>
      closing === null ? [] : [this.#stateRecord(transactionalId, closing)],
    )
    if (records.length > 0) await appendDurably(this.#log, records, reserveKeptByEnds)
  }

  /** Waits for decisions and markers under way; what cannot be written any more is left to the next start. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#background)
  }
}

/** A transaction that a restart found decided, or has decided about. */
export interface Found extends Ending {
  readonly transactionalId: string
  readonly producerId: number
  readonly epoch: number
  readonly partitions: readonly PartitionState[]
  /** Nobody had decided so before. */
  readonly isNew: boolean
  /** What its id is once that is done; null: known only from the `pending` list of a later one. */
  readonly closing: Omit<TransactionState, 'pending'> | null
}
const unmarkedOf = ({ transactionalId, producerId, epoch, outcome, markerEpoch, partitions }: Found): Unmarked => ({
  transactionalId,
  producerId,
  epoch,
  outcome,
  markerEpoch,
  partitions: new Set(partitions),
})

const nameOf = (producerId: number, epoch: number): string => `${producerId}/${epoch}`
const ofTick = ({ epoch }: Transaction, outcome: Outcome): Ending => ({ outcome, markerEpoch: afterEpoch(epoch) })

const isDamage = (error: unknown): boolean => error instanceof Fault && error.code === 'store.damaged'
/**
 * False for a partition that is damaged: it takes no marker, and what the damage hides was durable, so it stands. It must
 * not keep all the others from being served.
 */
export async function opens(partition: PartitionState): Promise<boolean> {
  try {
    await partition.perform(() => undefined)
    return true
  } catch (error) {
    if (isDamage(error)) return false
    throw error
  }
}
