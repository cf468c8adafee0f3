/**
 * Atomic commit over partitions. The commit point is one record in `__transaction_state` that names, for each partition,
 * the transaction's last batch there. It shares the sync round with the data: the transaction is committed if and only if
 * the record and every batch it names are on disk.
 *
 * - All durable: committed for good. Readers see it at once; markers are appended in the same turn and become durable in
 *   the next round. Until then the transaction is `unmarked`, and every later commit record repeats that (`pending`), so
 *   that it does not matter which of the two reaches the disk first.
 * - Something not durable while the process lives (a failed sync cuts the log): the abort is made durable before anything
 *   else is decided, because others may append where the cut was.
 * - Something not on disk after a crash: the restart finds the named batch missing and aborts. This decision too is made
 *   durable before the partitions take anything new.
 * - No record: whoever opens a partition with an open transaction asks `resolve`, hears of nothing, and writes the marker of
 *   an abort.
 *
 * Markers carry the epoch after the transaction's (KIP-890): what a dead owner sent late is fenced.
 */
import { assert } from '../../../lib/assert.ts'
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Clock } from '../../../lib/world.ts'
import { ownBatch, readBatchHeader } from '../../../store/batch-header.ts'
import type { RecordInput } from '../../batch.ts'
import type { Outcome } from '../control-batch.ts'
import type { Mark, PartitionState, Placed } from '../partition.ts'
import { appendDurably, appendNow } from '../system-log.ts'
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

interface Unmarked {
  readonly producerId: number
  readonly epoch: number
  readonly outcome: Outcome
  readonly partitions: Set<PartitionState>
}

export class TransactionCoordinator {
  readonly #clock: Clock
  readonly #log: PartitionState
  /** Not yet decided, by producer id: there is at most one. */
  readonly #open = new Map<number, Transaction>()
  /** Decided, markers not known to be durable; by producer id and epoch. */
  readonly #unmarked = new Map<string, Unmarked>()
  /** While the restart has not decided yet, nothing is settled. */
  #deciding = true
  #closed = false
  readonly #background = new Set<Promise<void>>()

  constructor(clock: Clock, log: PartitionState) {
    this.#clock = clock
    this.#log = log
  }

  /** What becomes of a transaction that a partition finds open in it. */
  resolve(producerId: number, epoch: number): Outcome | 'open' | null {
    if (this.#deciding) return 'open'
    if (this.#open.get(producerId)?.epoch === epoch) return 'open'
    return this.#unmarked.get(nameOf(producerId, epoch))?.outcome ?? null
  }

  /** A decided transaction has markers here that may not be on disk yet. */
  hasUnmarked(partition: PartitionState): boolean {
    for (const { partitions } of this.#unmarked.values()) if (partitions.has(partition)) return true
    return false
  }
  begin(transactionalId: string, identity: { producerId: number; epoch: number }): Transaction {
    const transaction = new Transaction({ transactionalId, ...identity, startedMs: this.#clock.now() })
    this.#open.set(identity.producerId, transaction)
    return transaction
  }

  /** Appends a batch of which the log owns the header. Throws Fault; the transaction can then only be aborted. */
  append(transaction: Transaction, partition: PartitionState, batch: Uint8Array): Placed | Promise<Placed> {
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
      const placed = partition.append(batch, header)
      transaction.wrote(partition, {
        baseOffset: placed.baseOffset,
        records: header.recordCount,
        bytes: header.bytes,
      })
      return placed
    })
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
      this.#decide(transaction, 'commit')
      return 'committed'
    }
    if (record !== 'unwritten') await this.#writeAbort(transaction)
    this.#decide(transaction, 'abort')
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
        transaction.isWhole() ? appendNow(this.#log, [this.#record(transaction, status.prepareCommit, inputs)]) : null,
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
        return await appendDurably(this.#log, [this.#record(transaction, status.completeAbort, [])])
      } catch (error) {
        if (this.#closed) throw error
        await this.#clock.sleep(waitMs)
      }
    }
  }

  abort(transaction: Transaction): void {
    if (transaction.phase === 'open') this.#decide(transaction, 'abort')
  }

  #decide(transaction: Transaction, outcome: Outcome): void {
    transaction.phase = outcome === 'commit' ? 'committed' : 'aborted'
    this.#open.delete(transaction.producerId)
    const { producerId, epoch } = transaction
    this.#mark({ producerId, epoch, outcome, partitions: new Set(transaction.parts.keys()) })
  }
  #mark(decided: Unmarked): void {
    if (decided.partitions.size === 0) return
    const name = nameOf(decided.producerId, decided.epoch)
    this.#unmarked.set(name, decided)
    const marked = Promise.all(Array.from(decided.partitions, (partition) => this.#markPartition(decided, partition)))
      .then(() => void this.#unmarked.delete(name))
      .catch(() => undefined)
      .finally(() => this.#background.delete(marked))
    this.#background.add(marked)
  }
  /** Appends the marker now, then sees to it that it becomes durable. */
  async #markPartition({ producerId, epoch, outcome, partitions }: Unmarked, partition: PartitionState): Promise<void> {
    for (let waitMs = retryFirstMs; ; waitMs = Math.min(waitMs * 2, retryLastMs)) {
      try {
        const appended = partition.perform(() => partition.endTransaction(producerId, epoch, outcome))
        await partition.whenDurable(appended instanceof Promise ? await appended : appended)
        partitions.delete(partition)
        return
      } catch (error) {
        if (partition.gone) return void partitions.delete(partition)
        if (this.#closed) throw error
        await this.#clock.sleep(waitMs)
      }
    }
  }

  #record(transaction: Transaction, to: TransactionState['status'], inputs: readonly InputPosition[]): RecordInput {
    const commits = to === status.prepareCommit
    return this.#stateRecord(transaction.transactionalId, {
      producerId: transaction.producerId,
      epoch: transaction.epoch,
      status: to,
      startedMs: transaction.startedMs,
      ends: commits ? transaction.ends() : [],
      inputs,
    })
  }
  #stateRecord(
    transactionalId: string,
    state: Omit<TransactionState, 'timeoutMs' | 'updatedMs' | 'pending'>,
  ): RecordInput {
    const timeMs = this.#clock.now()
    const value = encodeTransactionState({ ...state, timeoutMs, updatedMs: timeMs, pending: this.#pending() })
    return { key: encodeTransactionKey(transactionalId), value, timeMs }
  }
  #pending(): PendingMarkers[] {
    return [...this.#unmarked.values()]
      .filter((one) => one.outcome === 'commit')
      .map(({ producerId, epoch, partitions }) => ({
        producerId,
        epoch,
        partitions: Array.from(partitions, placeOf),
      }))
  }

  /**
   * After a restart: makes the decisions about what was found durable, then writes the markers that are missing. Only
   * then may anything else be appended.
   */
  async restored(found: readonly Found[]): Promise<void> {
    for (const { outcome, producerId, epoch, partitions } of found)
      if (outcome === 'commit')
        this.#unmarked.set(nameOf(producerId, epoch), { producerId, epoch, outcome, partitions: new Set(partitions) })
    const aborts = found.filter((one) => one.outcome === 'abort')
    if (aborts.length > 0)
      await appendDurably(
        this.#log,
        aborts.map((one) => this.#closing(one, status.completeAbort)),
      )
    this.#deciding = false
    for (const { outcome, producerId, epoch, partitions } of found)
      this.#mark({ producerId, epoch, outcome, partitions: new Set(partitions) })
    // They were opened to decide; what else was open in them, without a record, had to wait for this.
    for (const partition of new Set(found.flatMap(({ partitions }) => partitions)))
      await partition.perform(() => partition.settle())
    await Promise.all(this.#background)
    const commits = found.filter((one) => one.outcome === 'commit' && one.transactionalId !== null)
    if (commits.length > 0)
      await appendDurably(
        this.#log,
        commits.map((one) => this.#closing(one, status.completeCommit)),
      )
  }
  #closing({ transactionalId, producerId, epoch }: Found, to: TransactionState['status']): RecordInput {
    assert(transactionalId !== null, 'a decision is about a known transactional id')
    const startedMs = this.#clock.now()
    return this.#stateRecord(transactionalId, { producerId, epoch, status: to, startedMs, ends: [], inputs: [] })
  }

  /** Waits for decisions and markers under way; what cannot be written any more is left to the next start. */
  async close(): Promise<void> {
    this.#closed = true
    await Promise.all(this.#background)
  }
}

/** A transaction that a restart found decided, or has decided about. */
export interface Found {
  /** null: known only from the `pending` list of a later one. */
  readonly transactionalId: string | null
  readonly producerId: number
  readonly epoch: number
  readonly outcome: Outcome
  readonly partitions: readonly PartitionState[]
}

const nameOf = (producerId: number, epoch: number): string => `${producerId}/${epoch}`
