/**
 * Transactions of clients: what their transactional ids stand at (`transactional-id.ts` says what becomes of them), each
 * change durable in `__transaction_state` before it is answered.
 *
 * - A partition is part of the transaction before anything is written to it. Both may share a sync round: what is written is
 *   acknowledged when both are on disk. Had only the data reached it, nobody would know of it after a crash, and it is
 *   aborted when its partition is opened.
 * - An end is one record, written when the data is durable. Once it is durable too, the transaction is decided for good;
 *   markers follow. A producer that takes the next epoch goes on at once, since a partition can tell its transactions apart,
 *   and the id's next records repeat the commit until its markers are durable. One that keeps its epoch waits for the
 *   markers. What is aborted needs no names of partitions: an open transaction that nobody knows of is aborted.
 * - While a record is being written the id is `isChanging`, and everything else about it is told to come again. When it
 *   cannot be written the id is what it was. Should that record stand after a crash all the same, it does what its client
 *   asked for last.
 */
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Clock } from '../../../lib/world.ts'
import type { DescribedTransaction, ListedTransaction, ProducerIdentity, TransactionalProducer } from '../../broker.ts'
import type { Partition } from '../../log.ts'
import type { PartitionState } from '../partition.ts'
import type { TransactionCoordinator } from './coordinator.ts'
import type { ProducerIds } from './producer-ids.ts'
import type { FoundId } from './recovery.ts'
import { status } from './state-format.ts'
import { type Transaction, placeOf } from './transaction.ts'
import {
  type EndRequest,
  type Ending,
  type IdState,
  begun,
  checkProducer,
  concurrent,
  endVerdict,
  ended,
  initialised,
  needsProducerId,
  newState,
  rotated,
  stateNames,
  storedOf,
} from './transactional-id.ts'

export interface ClientTransactionsHost {
  readonly clock: Clock
  readonly coordinator: TransactionCoordinator
  readonly producerIds: ProducerIds
  /** A transaction has been decided: positions of groups that hang on it. */
  decided(transaction: Transaction, committed: boolean): void
  /** Ids that were silent for longer are forgotten. */
  readonly idleMs: number
}
interface TransactionalId {
  readonly name: string
  state: IdState
  transaction: Transaction | null
  isChanging: boolean
  /** The record that says which partitions the transaction has, and how many these are; null when there is none that says all of it. */
  recording: Promise<void> | null
  recordedPartitions: number
  /** Monotonic: when what is open is aborted, and since when nothing has happened. */
  deadlineMs: number
  idleFromMs: number
}

const forgetEveryMs = 60 * 60 * 1000
const forgottenAtOnce = 1_000
/** An abort that could not be written is tried again after this. */
const expireAgainMs = 1_000

export class ClientTransactions {
  readonly #host: ClientTransactionsHost
  readonly #ids = new Map<string, TransactionalId>()
  /** Those with an open transaction. */
  readonly #ongoing = new Set<TransactionalId>()
  #expiry: { readonly atMs: number; readonly stop: () => void } | null = null
  #stopForgetting: () => void = () => undefined
  #closed = false

  constructor(host: ClientTransactionsHost) {
    this.#host = host
    host.coordinator.begins = (producer) => this.#begins(producer)
  }
  /** What a start has found, before anything is asked. */
  restore(found: readonly FoundId[]): void {
    const { clock } = this.#host
    const nowMs = clock.now()
    const monotonicMs = clock.monotonic()
    const since = (ms: number): number => monotonicMs - Math.max(0, nowMs - ms)
    for (const { transactionalId: name, state, transaction } of found) {
      const id: TransactionalId = {
        name,
        state,
        transaction,
        isChanging: false,
        recording: Promise.resolve(),
        recordedPartitions: transaction?.partitions.size ?? 0,
        // A clock that was set back must not let it stay for ever.
        deadlineMs: since(Math.min(state.startedMs, nowMs)) + state.timeoutMs,
        idleFromMs: since(state.updatedMs),
      }
      this.#ids.set(name, id)
      if (transaction !== null) this.#ongoing.add(id)
    }
  }
  start(): void {
    this.#watchDeadlines()
    const { clock } = this.#host
    const forget = (): void => {
      void this.#forgetSilent().catch(() => undefined)
      this.#stopForgetting = clock.after(forgetEveryMs, forget)
    }
    this.#stopForgetting = clock.after(forgetEveryMs, forget)
  }
  close(): void {
    this.#closed = true
    this.#expiry?.stop()
    this.#expiry = null
    this.#stopForgetting()
  }

  // --- producers

  async init(request: {
    transactionalId: string
    timeoutMs: number
    expected: ProducerIdentity | null
  }): Promise<ProducerIdentity> {
    const { transactionalId: name, timeoutMs, expected } = request
    this.#requireOpen()
    checkName(name)
    const max = limits.transactionTimeoutMaxMs
    if (timeoutMs <= 0 || timeoutMs > max) throw new Fault('log.invalid-transaction-timeout', { timeoutMs, max })
    const id = this.#ids.get(name) ?? (await this.#create(name, timeoutMs))
    if (id.isChanging) throw concurrent(name)
    const asked = { transactionalId: name, timeoutMs, expected, nowMs: this.#host.clock.now() }
    const next = initialised(id.state, asked)
    if (next === 'fence') {
      await this.#change(id, () => this.#end(id, { kind: 'fence' }))
      throw concurrent(name)
    }
    return this.#change(id, async () => {
      const state = next === 'rotate' ? rotated(id.state, asked, await this.#host.producerIds.take()) : next
      await this.#host.coordinator.write(name, storedOf(state))
      this.#become(id, state)
      return identityOf(state)
    })
  }
  async #create(name: string, timeoutMs: number): Promise<TransactionalId> {
    const { clock, producerIds } = this.#host
    const producerId = await producerIds.take()
    const found = this.#ids.get(name)
    if (found !== undefined) return found
    const max = limits.transactionalIds
    if (this.#ids.size >= max) throw new Fault('log.too-many-transactions', { what: 'transactional ids', max })
    const id: TransactionalId = {
      name,
      state: newState(producerId, timeoutMs, clock.now()),
      transaction: null,
      isChanging: false,
      recording: null,
      recordedPartitions: 0,
      deadlineMs: Infinity,
      idleFromMs: clock.monotonic(),
    }
    this.#ids.set(name, id)
    return id
  }

  // --- what a transaction has

  /**
   * The open transaction of this producer, of which the partition is a part, or becomes one (`joins`). What is written by
   * it counts when `recorded` has resolved too. Throws Fault.
   */
  admit(producer: TransactionalProducer, partition: PartitionState, joins: boolean): Transaction {
    this.#requireOpen()
    const id = this.#of(producer)
    checkProducer(id.state, producer, id.isChanging)
    if (id.transaction?.partitions.has(partition) === true) return id.transaction
    if (joins) return this.#add(id, [partition], true)
    throw new Fault('log.transaction-abortable', { what: `${nameOf(partition)} is not part of it` })
  }
  /** Null for a partition that is part of the open transaction, else why not. */
  verify(producer: TransactionalProducer, partitions: readonly PartitionState[]): (Fault | null)[] {
    return partitions.map((partition) => {
      try {
        this.admit(producer, partition, false)
        return null
      } catch (error) {
        if (error instanceof Fault) return error
        throw error
      }
    })
  }
  async add(producer: TransactionalProducer, partitions: readonly PartitionState[], bumps: boolean): Promise<void> {
    this.#requireOpen()
    const id = this.#of(producer)
    checkProducer(id.state, producer, id.isChanging)
    const { transaction } = id
    if (transaction === null || partitions.some((partition) => !transaction.partitions.has(partition)))
      this.#add(id, partitions, bumps)
    await this.recorded(producer.transactionalId)
  }
  #add(id: TransactionalId, partitions: readonly PartitionState[], bumps: boolean): Transaction {
    const { clock, coordinator } = this.#host
    const transaction = id.transaction ?? coordinator.begin(id.name, id.state, bumps)
    for (const partition of partitions) transaction.partitions.add(partition)
    const isNew = id.transaction === null
    id.transaction = transaction
    id.recording = null
    this.#become(id, begun(id.state, bumps, clock.now()))
    if (isNew) {
      id.deadlineMs = clock.monotonic() + id.state.timeoutMs
      this.#ongoing.add(id)
      this.#watchDeadlines()
    }
    return transaction
  }
  /**
   * A partition has something of this producer that no record names: the first write of a transaction, which a crash came
   * before. Null when the producer is not the present one of any id, or is changing.
   */
  #begins({ producerId, epoch }: ProducerIdentity): Transaction | null {
    for (const id of this.#ids.values())
      if (id.state.producerId === producerId && id.state.epoch === epoch)
        return id.isChanging || id.transaction !== null || isPrepared(id.state) ? null : this.#add(id, [], true)
    return null
  }
  /** Resolves when it is durable what the id's open transaction has. One record for all that was added in this turn. */
  recorded(name: string): Promise<void> {
    const id = this.#ids.get(name)
    if (id === undefined || id.transaction === null) return Promise.resolve()
    const partitions = Array.from(id.transaction.partitions, placeOf)
    // What a partition found of it after a crash came to it without `#add`.
    if (id.recording !== null && id.recordedPartitions === partitions.length) return id.recording
    id.recordedPartitions = partitions.length
    const recording = this.#host.coordinator.write(name, storedOf(id.state, { partitions })).catch((error: unknown) => {
      if (id.recording === recording) id.recording = null
      throw error
    })
    id.recording = recording
    return recording
  }

  // --- ends

  async end(producer: TransactionalProducer, request: EndRequest): Promise<ProducerIdentity> {
    this.#requireOpen()
    const id = this.#of(producer)
    if (endVerdict(id.state, producer, request, id.isChanging) === 'done') return identityOf(id.state)
    return this.#change(id, async () => {
      await this.#end(id, await this.#endingOf(id, request))
      return identityOf(id.state)
    })
  }
  async #endingOf(id: TransactionalId, { commit, bumps }: EndRequest): Promise<Ending> {
    if (!bumps) return { kind: 'plain', commit }
    const nextProducerId = needsProducerId(id.state) ? await this.#host.producerIds.take() : null
    return { kind: 'bumping', commit, nextProducerId }
  }
  /** Resolves when it is decided; `marked` when its markers are durable. */
  async #end(id: TransactionalId, ending: Ending): Promise<{ readonly marked: Promise<void> }> {
    const { clock, coordinator } = this.#host
    const { transaction } = id
    const { prepared, completed, nextProducerId, markerEpoch } = ended(id.state, ending, clock.now())
    const isCommit = prepared.status === status.prepareCommit
    const waitsForMarkers = ending.kind === 'plain'
    const isPrepared = isCommit || waitsForMarkers
    if (transaction !== null) transaction.phase = 'committing'
    try {
      if (isCommit && transaction !== null) await coordinator.whenWhole(transaction)
      const partitions = Array.from(transaction?.partitions ?? [], placeOf)
      const record = isPrepared ? storedOf(prepared, { partitions, nextProducerId }) : storedOf(completed)
      await coordinator.write(id.name, record)
    } catch (error) {
      if (transaction !== null) transaction.phase = 'open'
      throw error
    }
    this.#ongoing.delete(id)
    id.transaction = null
    this.#become(id, waitsForMarkers ? prepared : completed)
    if (transaction === null) return { marked: Promise.resolve() }
    const marked = coordinator.decide(transaction, { outcome: isCommit ? 'commit' : 'abort', markerEpoch })
    this.#host.decided(transaction, isCommit)
    if (isPrepared) void marked.then(() => this.#complete(id, completed)).catch(() => undefined)
    return { marked }
  }
  /** The markers are durable: a restart has nothing to finish. Nobody waits for that record. */
  async #complete(id: TransactionalId, completed: IdState): Promise<void> {
    if (id.state.status === status.prepareCommit || id.state.status === status.prepareAbort) this.#become(id, completed)
    if (id.state === completed && !id.isChanging) await this.#host.coordinator.write(id.name, storedOf(completed))
  }
  /**
   * Aborts what a producer has open, and fences it. Resolves when that is durable in every partition; with false when it is
   * not the transaction of a client.
   */
  async fence(transaction: Transaction): Promise<boolean> {
    const id = this.#ids.get(transaction.transactionalId)
    if (id === undefined || id.transaction !== transaction) return false
    if (id.isChanging) throw concurrent(id.name)
    const { marked } = await this.#change(id, () => this.#end(id, { kind: 'fence' }))
    await marked
    return true
  }

  // --- time

  #watchDeadlines(): void {
    if (this.#closed) return
    let atMs = Infinity
    for (const id of this.#ongoing) atMs = Math.min(atMs, id.deadlineMs)
    if (this.#expiry !== null && this.#expiry.atMs <= atMs) return
    this.#expiry?.stop()
    this.#expiry = null
    if (atMs === Infinity) return
    const { clock } = this.#host
    const waitMs = Math.max(0, atMs - clock.monotonic())
    this.#expiry = { atMs, stop: clock.after(waitMs, () => this.#expire()) }
  }
  #expire(): void {
    this.#expiry = null
    const nowMs = this.#host.clock.monotonic()
    for (const id of Array.from(this.#ongoing)) {
      if (id.deadlineMs > nowMs) continue
      id.deadlineMs = nowMs + expireAgainMs
      if (!id.isChanging) this.#change(id, () => this.#end(id, { kind: 'fence' })).catch(() => undefined)
    }
    this.#watchDeadlines()
  }
  async #forgetSilent(): Promise<void> {
    const untilMs = this.#host.clock.monotonic() - this.#host.idleMs
    const silent = [...this.#ids.values()].filter(
      (id) => id.transaction === null && !id.isChanging && id.idleFromMs <= untilMs && !isPrepared(id.state),
    )
    for (let from = 0; from < silent.length; from += forgottenAtOnce) {
      const some = silent.slice(from, from + forgottenAtOnce).filter((id) => !id.isChanging && id.transaction === null)
      for (const id of some) id.isChanging = true
      try {
        await this.#host.coordinator.forget(some.map(({ name }) => name))
        for (const { name } of some) this.#ids.delete(name)
      } finally {
        for (const id of some) id.isChanging = false
      }
    }
  }

  // --- looking

  list(): ListedTransaction[] {
    return Array.from(this.#ids.values(), listed)
  }
  describe(name: string): DescribedTransaction {
    checkName(name)
    const id = this.#ids.get(name)
    if (id === undefined) throw new Fault('log.unknown-transactional-id', { transactionalId: name })
    const partitions = Array.from(id.transaction?.partitions ?? [], ({ partition }): Partition => partition)
    return { ...listed(id), timeoutMs: id.state.timeoutMs, partitions }
  }

  #of(producer: TransactionalProducer): TransactionalId {
    const { transactionalId, producerId } = producer
    checkName(transactionalId)
    const id = this.#ids.get(transactionalId)
    if (id === undefined) throw new Fault('log.invalid-producer-mapping', { transactionalId, producerId })
    return id
  }
  #become(id: TransactionalId, state: IdState): void {
    id.state = state
    id.idleFromMs = this.#host.clock.monotonic()
  }
  async #change<T>(id: TransactionalId, change: () => Promise<T>): Promise<T> {
    id.isChanging = true
    try {
      return await change()
    } finally {
      id.isChanging = false
    }
  }
  #requireOpen(): void {
    if (this.#closed) throw new Fault('log.closed', { what: 'the log' })
  }
}

function checkName(transactionalId: string): void {
  if (transactionalId === '') throw new Fault('log.invalid-transactional-id', { transactionalId, why: 'it is empty' })
  if (transactionalId.length > limits.transactionalIdLength)
    throw new Fault('log.invalid-transactional-id', {
      transactionalId: transactionalId.slice(0, 32),
      why: 'it is too long',
    })
}
const isPrepared = ({ status: at }: IdState): boolean => at === status.prepareCommit || at === status.prepareAbort
const identityOf = ({ producerId, epoch }: IdState): ProducerIdentity => ({ producerId, epoch })
const nameOf = ({ partition: { topic, index } }: PartitionState): string => `${topic}-${index}`
const listed = ({ name, state }: TransactionalId): ListedTransaction => ({
  transactionalId: name,
  ...identityOf(state),
  state: stateNames[state.status],
  startedMs: state.startedMs,
})
