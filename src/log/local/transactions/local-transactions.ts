/** `Broker.transactions`: the clients' transactional ids, the partitions and the groups put together. */
import type { Offset } from '../../../lib/brand.ts'
import { Fault } from '../../../lib/fault.ts'
import type { Clock } from '../../../lib/world.ts'
import { encodeBatch } from '../../batch.ts'
import type {
  DescribedProducer,
  DescribedTransaction,
  ListedTransaction,
  ProducerIdentity,
  TransactionalProducer,
  Transactions,
} from '../../broker.ts'
import type { Partition } from '../../log.ts'
import type { LocalGroups } from '../groups/coordinator.ts'
import { matches } from '../groups/consumer/patterns.ts'
import { type OffsetEntry, offsetRecord } from '../groups/offsets.ts'
import { type Ending, type Mark, type PartitionState, coordinatorEpoch } from '../partition.ts'
import type { Producer } from '../producers.ts'
import type { Registry } from '../registry.ts'
import { isSystemTopic } from '../system-topics.ts'
import type { ClientTransactions } from './clients.ts'
import type { TransactionCoordinator } from './coordinator.ts'

/** Names that are compared with a pattern in one turn. */
const namesAtOnce = 1_000

type Marker = Parameters<Transactions['writeMarker']>[0]
type CommitOffsets = Parameters<Transactions['commitOffsets']>[0]

export class LocalTransactions implements Transactions {
  readonly #clients: ClientTransactions
  readonly #coordinator: TransactionCoordinator
  readonly #registry: Registry
  readonly #groups: LocalGroups
  readonly #clock: Clock

  constructor(of: {
    clock: Clock
    clients: ClientTransactions
    coordinator: TransactionCoordinator
    registry: Registry
    groups: LocalGroups
  }) {
    this.#clients = of.clients
    this.#coordinator = of.coordinator
    this.#registry = of.registry
    this.#groups = of.groups
    this.#clock = of.clock
  }

  init(request: Parameters<Transactions['init']>[0]): Promise<ProducerIdentity> {
    return this.#clients.init(request)
  }
  addPartitions(producer: TransactionalProducer, partitions: readonly Partition[], bumps: boolean): Promise<void> {
    return this.#clients.add(producer, this.#states(partitions), bumps)
  }
  verifyPartitions(producer: TransactionalProducer, partitions: readonly Partition[]): (Fault | null)[] {
    return this.#clients.verify(producer, this.#states(partitions))
  }
  #states(partitions: readonly Partition[]): PartitionState[] {
    return partitions.map((partition) => this.#registry.partition(partition))
  }
  addOffsets(producer: TransactionalProducer): Promise<void> {
    return this.#clients.add(producer, [this.#groups.offsetsLog], false)
  }
  end(producer: TransactionalProducer, how: { commit: boolean; bumps: boolean }): Promise<ProducerIdentity> {
    return this.#clients.end(producer, how)
  }

  async commitOffsets(request: CommitOffsets): Promise<(Fault | null)[]> {
    const { group, transactionalId, joins } = request
    const { offsetsLog, positions } = this.#groups
    const transaction = this.#clients.admit(request, offsetsLog, joins)
    // Whatever becomes of the positions, the transaction has this partition now.
    const recorded = this.#clients.recorded(transactionalId)
    recorded.catch(() => undefined)
    const checked = this.#groups.checkTransactional(request)
    if (checked instanceof Fault) throw checked
    const { faults, taken } = checked
    if (taken.length > 0) {
      const batch = encodeBatch(taken.map((one) => offsetRecord(group, one.partition, one.committed)))
      const mark = await offsetsLog.perform((): Mark => {
        const { baseOffset } = this.#coordinator.appendFor(transaction, offsetsLog, batch)
        positions.awaitEnd(transaction, group, taken.map(placedAt(baseOffset)))
        return offsetsLog.mark
      })
      await offsetsLog.whenDurable(mark)
    }
    await recorded
    return [...faults]
  }

  async writeMarker(marker: Marker, at: Partition): Promise<void> {
    const partition = this.#registry.partition(at)
    await partition.perform(() => undefined)
    const { producerId, epoch } = marker
    const { producers, openTransactions } = partition.table
    const open = openTransactions.get(producerId)
    checkMarker(marker, producers.get(producerId), open !== undefined)
    const owner = this.#coordinator.open(producerId)
    if (open !== undefined && owner?.epoch === open.epoch) {
      // It does not hang. Half of a transaction is none: all of it is aborted, and its producer hears of it.
      const hasEnded = !marker.commit && (await this.#clients.fence(owner))
      if (!hasEnded) throw new Fault('log.invalid-transaction', { what: 'its producer has yet to end it' })
      return
    }
    const ending: Ending = { outcome: marker.commit ? 'commit' : 'abort', markerEpoch: epoch }
    const isOurs = isSystemTopic(at.topic) && open === undefined
    const mark = await partition.perform(() => {
      if (partition.log.damage !== null) throw partition.log.damage.fault
      return isOurs ? partition.mark : partition.appendMarker(producerId, ending)
    })
    await partition.whenDurable(mark)
  }

  describe(transactionalId: string): DescribedTransaction {
    return this.#clients.describe(transactionalId)
  }
  async list({ olderThanMs, pattern }: Parameters<Transactions['list']>[0]): Promise<readonly ListedTransaction[]> {
    const nowMs = this.#clock.now()
    const found = this.#clients.list().filter(({ startedMs }) => olderThanMs < 0 || nowMs - startedMs > olderThanMs)
    if (pattern === null || pattern === '') return found
    const names = await this.#matching(
      pattern,
      found.map(({ transactionalId }) => transactionalId),
    )
    return found.filter(({ transactionalId }) => names.has(transactionalId))
  }
  /** Others get a turn now and then. */
  async #matching(pattern: string, names: readonly string[]): Promise<ReadonlySet<string>> {
    const walk = matches([pattern], names)
    for (let count = 1; ; count++) {
      const step = walk.next()
      if (step.done === true) return new Set(step.value.get(pattern))
      if (count % namesAtOnce === 0) await new Promise<void>((resolve) => this.#clock.soon(resolve))
    }
  }
  async producers(at: Partition): Promise<readonly DescribedProducer[]> {
    const partition = this.#registry.partition(at)
    return partition.perform(() => {
      const { producers, openTransactions } = partition.table
      return Array.from(producers, ([producerId, producer]) => ({
        producerId,
        epoch: producer.epoch,
        lastSequence: producer.batches.at(-1)?.lastSequence ?? -1,
        lastSeenMs: producer.lastSeenMs,
        coordinatorEpoch: producer.isMarked ? coordinatorEpoch : -1,
        openFrom: openTransactions.get(producerId)?.firstOffset ?? (-1 as const),
      }))
    })
  }
}

const placedAt =
  (base: Offset) =>
  ({ partition, committed }: OffsetEntry): OffsetEntry => ({ partition, committed: { ...committed, place: base } })

/** Throws Fault. A marker that is written again, after the transaction has ended, does no harm. */
function checkMarker(marker: Marker, known: Producer | undefined, isOpen: boolean): void {
  if (known === undefined) return
  const { producerId, epoch, bumped } = marker
  const isAgain = epoch === known.epoch && !isOpen
  if (epoch < known.epoch || (bumped && epoch === known.epoch && !isAgain))
    throw new Fault('log.invalid-producer-epoch', { producerId, epoch, current: known.epoch })
  if (known.isMarked && marker.coordinatorEpoch < coordinatorEpoch)
    throw new Fault('log.coordinator-fenced', {
      producerId,
      found: marker.coordinatorEpoch,
      current: coordinatorEpoch,
    })
}
