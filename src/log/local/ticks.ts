/**
 * Ticks (`Log.owner`): a transaction per tick over the partitions written to and the positions of the groups read. One
 * record commits it (`transactions/coordinator.ts`). The epoch rises with each transaction; a used-up epoch is followed by
 * a new producer id. A tick that wrote nothing and moved nothing writes nothing.
 */
import { assert } from '../../lib/assert.ts'
import type { Offset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import { encodeBatch, takeOver } from '../batch.ts'
import type { LogMeter } from '../broker.ts'
import type { At, Batch, Claim, Owner, Partition, Tick } from '../log.ts'
import { checkForm, splitBatches } from './batch-check.ts'
import { taskMetadata } from './groups/coordinator.ts'
import { localClaim } from './groups/memberships.ts'
import { type GroupOffsets, offsetRecord } from './groups/offsets.ts'
import { type PartitionState, epochMax } from './partition.ts'
import type { Registry } from './registry.ts'
import { isSealed } from './system-topics.ts'
import type { TransactionCoordinator } from './transactions/coordinator.ts'
import type { ProducerIds } from './transactions/producer-ids.ts'
import type { InputPosition } from './transactions/state-format.ts'
import type { Transaction } from './transactions/transaction.ts'

export interface TickHost {
  readonly clock: Clock
  readonly registry: Registry
  readonly transactions: TransactionCoordinator
  readonly producerIds: ProducerIds
  readonly positions: GroupOffsets
  readonly offsetsLog: PartitionState
  readonly meter: LogMeter | null
  /** The owner is closed: its name may be given to another. */
  released(owner: LocalOwner): void
}
type Entries = readonly { partition: Partition; batch: Batch }[]
type Place = { offset: Offset; timeMs: number }
type Parts = readonly { claim: Claim; positions: readonly At[] }[]
/** The last epoch that a transaction may have: its marker carries the next. */
const epochLast = epochMax - 1

export class LocalOwner implements Owner {
  readonly transactionalId: string
  readonly #host: TickHost
  #identity: { producerId: number; epoch: number }
  #tick: LocalTick | null = null
  #closed = false

  constructor(host: TickHost, transactionalId: string, identity: { producerId: number; epoch: number }) {
    this.#host = host
    this.transactionalId = transactionalId
    this.#identity = identity
  }
  begin(): Tick {
    if (this.#closed) throw new Fault('log.closed', { what: 'the owner of ticks' })
    assert(this.#tick === null || this.#tick.isOver, 'one tick is open at a time')
    this.#tick = new LocalTick(this.#host, (): Promise<Transaction> => this.#transaction())
    return this.#tick
  }
  async #transaction(): Promise<Transaction> {
    if (this.#identity.epoch > epochLast) this.#identity = { producerId: await this.#host.producerIds.take(), epoch: 0 }
    const identity = this.#identity
    this.#identity = { ...identity, epoch: identity.epoch + 1 }
    return this.#host.transactions.begin(this.transactionalId, identity)
  }
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#tick?.abort()
    this.#host.released(this)
  }
}

class LocalTick implements Tick {
  readonly #host: TickHost
  readonly #begin: () => Promise<Transaction>
  #transaction: Promise<Transaction> | null = null
  #phase: 'open' | 'committing' | 'over' = 'open'
  #committing: Promise<unknown> | null = null
  #failed = false
  /** Appends one after another, so that entries of one partition keep their order across calls. */
  #appending: Promise<void> = Promise.resolve()

  constructor(host: TickHost, begin: () => Promise<Transaction>) {
    this.#host = host
    this.#begin = begin
  }
  get isOver(): boolean {
    return this.#phase === 'over'
  }

  append(entries: Entries): Promise<Place[]> {
    if (this.#phase !== 'open')
      return Promise.reject(new Fault('log.invalid-transaction', { what: 'the tick is over' }))
    const mine = this.#appending.then(() => this.#append(entries))
    this.#appending = mine.then(
      () => undefined,
      () => {
        this.#failed = true
      },
    )
    return mine
  }
  async #append(entries: Entries): Promise<Place[]> {
    const { registry, transactions, meter } = this.#host
    const checked = entries.map(({ partition, batch }) => {
      if (isSealed(partition.topic))
        throw new Fault('log.topic-kept', { topic: partition.topic, why: 'the log alone writes to it' })
      const state = registry.partition(partition)
      const taken = takeOver(batch)
      // A copy: the caller keeps its batch, and may append it again when the tick is to be retried.
      const batches = splitBatches(taken === null ? Buffer.from(batch) : batch)
      for (const one of batches) checkForm(one, state.policy.batchBytesMax, taken !== null)
      return { state, batches, taken }
    })
    const transaction = await this.#open()
    const touched = new Set<PartitionState>()
    const places: Place[] = []
    for (const { state, batches, taken } of checked) {
      const placed = []
      for (const { bytes, header } of batches) {
        placed.push(await transactions.append(transaction, state, bytes, taken?.lease))
        meter?.appended(state.partition.topic, header.recordCount, header.bytes)
      }
      touched.add(state)
      state.replaced.note(
        batches.reduce((sum, { header }) => sum + header.bytes, 0),
        taken?.replaced ?? null,
      )
      places.push({ offset: placed[0]!.baseOffset, timeMs: placed[0]!.appendTimeMs })
    }
    // The wait is the back-pressure.
    await Promise.all(Array.from(touched, (state) => state.whenWritten(transaction.parts.get(state)!.mark)))
    return places
  }
  #open(): Promise<Transaction> {
    return (this.#transaction ??= this.#begin())
  }

  commit(parts: Parts): Promise<'committed' | 'retry' | { lost: Claim[] }> {
    if (this.#phase !== 'open')
      return Promise.reject(new Fault('log.invalid-transaction', { what: 'the tick is over' }))
    this.#phase = 'committing'
    const committing = this.#commit(parts).finally(() => (this.#phase = 'over'))
    this.#committing = committing
    return committing
  }
  async #commit(parts: Parts): Promise<'committed' | 'retry' | { lost: Claim[] }> {
    await this.#appending
    const lost = lostClaims(parts)
    if (lost.length > 0 || this.#failed) {
      await this.#rollBack()
      return lost.length > 0 ? { lost } : 'retry'
    }
    const inputs = inputsOf(parts)
    if (this.#transaction === null && inputs.length === 0) return 'committed'
    let transaction: Transaction
    try {
      transaction = await this.#open()
    } catch {
      return 'retry'
    }
    const release = this.#hold(inputs)
    try {
      return await this.#commitHeld(transaction, parts, inputs)
    } finally {
      release()
    }
  }
  async #commitHeld(
    transaction: Transaction,
    parts: Parts,
    inputs: readonly InputPosition[],
  ): Promise<'committed' | 'retry' | { lost: Claim[] }> {
    const { transactions, clock, positions, offsetsLog } = this.#host
    const committedMs = clock.now()
    const committed = (offset: Offset): Parameters<typeof offsetRecord>[2] => ({
      offset,
      leaderEpoch: -1,
      metadata: taskMetadata,
      committedMs,
    })
    let place = 0 as Offset
    if (inputs.length > 0) {
      const batch = encodeBatch(inputs.map((input) => offsetRecord(input.group, input, committed(input.offset))))
      try {
        place = (await transactions.append(transaction, offsetsLog, batch)).baseOffset
      } catch {
        transactions.abort(transaction)
        return 'retry'
      }
    }
    const lost = lostClaims(parts)
    if (lost.length > 0) {
      transactions.abort(transaction)
      return { lost }
    }
    const outcome = await transactions.commit(transaction, inputs)
    if (outcome === 'committed')
      for (const input of inputs) positions.set(input.group, input, { ...committed(input.offset), place })
    return outcome
  }
  /** Whoever asks for settled positions waits until this is decided. */
  #hold(inputs: readonly InputPosition[]): () => void {
    const { positions } = this.#host
    for (const input of inputs) positions.hold(input.group, [input])
    return () => {
      for (const input of inputs) positions.release(input.group, [input])
    }
  }

  async abort(): Promise<void> {
    if (this.#phase === 'committing') return void (await this.#committing?.catch(() => undefined))
    if (this.#phase === 'over') return
    this.#phase = 'over'
    await this.#appending
    await this.#rollBack()
  }
  async #rollBack(): Promise<void> {
    const transaction = (await this.#transaction?.catch(() => null)) ?? null
    if (transaction !== null) this.#host.transactions.abort(transaction)
  }
}

function lostClaims(parts: Parts): Claim[] {
  return parts
    .filter(({ claim, positions }) => {
      const local = localClaim(claim)
      return local.lost || positions.some(({ partition }) => !local.covers(partition))
    })
    .map(({ claim }) => claim)
}
const inputsOf = (parts: Parts): InputPosition[] =>
  parts.flatMap(({ claim, positions }) =>
    positions.map(({ partition, offset }) => ({ group: localClaim(claim).group, ...partition, offset })),
  )
