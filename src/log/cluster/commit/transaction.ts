/**
 * One transaction on the wire (KIP-890, version 2): the first batch and the first positions open it, and its end gives the
 * epoch of the next. Sequences begin at 0 in each. Nothing here gives up on a question whose answer decides: it is asked
 * until it is known.
 */
import type { Offset } from '../../../lib/brand.ts'
import { Fault } from '../../../lib/fault.ts'
import { endTxnApi } from '../../../wire/kafka/messages/26-end-txn.ts'
import { txnOffsetCommitApi } from '../../../wire/kafka/messages/28-txn-offset-commit.ts'
import type { At, Batch, Partition } from '../../log.ts'
import { code, faultOf, isPassing } from '../errors.ts'
import type { ClusterClaim } from '../group/claim.ts'
import { placeOf } from '../group/claim.ts'
import type { Broker } from '../net/broker.ts'
import type { Coordinators } from '../net/coordinators.ts'
import { askLeaders, byTopic } from '../net/leaders.ts'
import type { Metadata } from '../net/metadata.ts'
import { type Network, disconnection } from '../net/network.ts'
import { type Identity, type Produced, askProduce, sequenceAfter, stampFor } from '../write/produce.ts'

export interface TransactionHost {
  readonly network: Network
  readonly metadata: Metadata
  readonly coordinators: Coordinators
}
/** The producer is not what the coordinator knows: the transaction is gone, or will be, and not by us. */
const fencing: ReadonlySet<number> = new Set([
  code.invalidProducerEpoch,
  code.producerFenced,
  code.invalidProducerIdMapping,
  code.unknownProducerId,
  code.invalidTransactionState,
])
export const isFencing = (error: number): boolean => fencing.has(error)

/** Thrown when nothing but rolling back is left; `fenced`: and a new identity is needed. */
export class RolledBack extends Error {
  readonly fenced: boolean
  constructor(why: string, fenced: boolean) {
    super(why)
    this.fenced = fenced
  }
}
export type Ended =
  | { readonly outcome: 'done'; readonly next: Identity }
  /** Not by us. `unknown`: an attempt of ours was never answered, and may have been the one that ended it. */
  | { readonly outcome: 'fenced'; readonly unknown: boolean }

interface Item {
  readonly partition: Partition
  readonly batch: Batch
}

export class Transaction {
  readonly transactionalId: string
  readonly identity: Identity
  readonly #host: TransactionHost
  readonly #sequences = new Map<string, number>()
  /** Where its first batch lies: by its marker behind there the outcome can be found. */
  first: At | null = null
  /** A broker may know of it. */
  isOpen = false

  constructor(host: TransactionHost, transactionalId: string, identity: Identity) {
    this.#host = host
    this.transactionalId = transactionalId
    this.identity = identity
  }

  /** One batch of a partition in each call. Where they lie. Throws RolledBack, or the Fault of a batch that is refused. */
  async append(items: readonly (Item & { readonly records: number })[]): Promise<readonly Produced[]> {
    for (const { partition, batch } of items)
      stampFor(batch, this.identity, this.#sequences.get(placeOf(partition)) ?? 0, true)
    this.isOpen = true
    const answers = await askLeaders(this.#host, 'appending in a tick', items, (broker, asked) =>
      this.#produce(
        broker,
        asked.map(({ item }) => item),
      ),
    )
    answers.forEach((answer, i) => {
      if (answer instanceof Fault || answer.error !== code.none) return
      const { partition, records } = items[i]!
      const place = placeOf(partition)
      this.#sequences.set(place, sequenceAfter(this.#sequences.get(place) ?? 0, records))
      this.first ??= { partition, offset: answer.offset as Offset }
    })
    return answers.map((answer, i) => {
      if (answer instanceof Fault) throw answer
      if (answer.error === code.none) return answer
      if (isFencing(answer.error)) throw new RolledBack(`error ${answer.error} at an append`, true)
      if (answer.error === code.transactionAbortable) throw new RolledBack('the cluster asks for it', false)
      const { topic } = items[i]!.partition
      throw faultOf(answer.error, { what: `appending to ${topic} in a tick`, topic }, answer.message)
    })
  }
  async #produce(
    broker: Broker,
    items: readonly Item[],
  ): Promise<({ value: Produced } | { error: number; message: string | null })[]> {
    const { transactionalId } = this
    const produced = await askProduce(broker, 'commit', { transactionalId, acks: -1, items })
    return produced.map((one) => {
      // The markers of the transaction before are still being written.
      if (one.error === code.concurrentTransactions) return { error: code.requestTimedOut, message: one.message }
      return isPassing(one.error) ? { error: one.error, message: one.message } : { value: one }
    })
  }

  /** Kafka's error number of the first position that is refused; the group's fence is asked with the claim as it is. */
  async addPositions(claim: ClusterClaim, positions: readonly At[]): Promise<number> {
    const { network, coordinators } = this.#host
    this.isOpen = true
    const patience = network.patience()
    for (;;) {
      const answer = await coordinators.ask('group', claim.group, {
        what: `committing positions of group ${claim.group}`,
        ask: (broker) =>
          broker.ask('commit', txnOffsetCommitApi, {
            transactionalId: this.transactionalId,
            groupId: claim.group,
            producerId: this.identity.producerId,
            producerEpoch: this.identity.epoch,
            generationId: claim.generation,
            memberId: claim.memberId,
            topics: byTopic(positions).map(({ topic, items }) => ({
              name: topic,
              partitions: items.map(({ partition, offset }) => ({
                partitionIndex: partition.index,
                committedOffset: offset,
                // Whoever finds these positions unsettled knows whom to suspect.
                committedMetadata: this.transactionalId,
              })),
            })),
          }),
        errorOf: ({ topics }) => topics[0]?.partitions[0]?.errorCode ?? code.none,
      })
      const errors = answer.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
      const error = errors.find((one) => one !== code.none) ?? code.none
      if (error !== code.concurrentTransactions && !isPassing(error)) return error
      if (!(await patience.wait())) return error
    }
  }

  /** Asked until it is known. Throws Fault log.closed, or what the cluster refuses for good. */
  async end(commit: boolean): Promise<Ended> {
    const { network, coordinators } = this.#host
    const patience = network.patience(Infinity)
    let unknown = false
    for (;;) {
      const error = await this.#tryEnd(commit).catch((thrown: unknown) => {
        disconnection(thrown)
        coordinators.forget('transaction', this.transactionalId)
        unknown = true
        return null
      })
      if (typeof error === 'object' && error !== null) return { outcome: 'done', next: error }
      if (error !== null && isFencing(error)) return { outcome: 'fenced', unknown }
      if (error !== null && error !== code.concurrentTransactions && !isPassing(error)) {
        if (error === code.transactionAbortable) throw new RolledBack('the cluster asks for it', false)
        throw faultOf(error, { what: 'ending a transaction' })
      }
      await patience.wait()
    }
  }
  /** The next identity, or Kafka's error number. Throws Disconnected. */
  async #tryEnd(commit: boolean): Promise<Identity | number> {
    const { coordinators } = this.#host
    const { transactionalId, identity } = this
    const broker = await coordinators.find('transaction', transactionalId)
    if (broker === null) return code.coordinatorNotAvailable
    const { producerId, epoch } = identity
    const answer = await broker.ask(
      'commit',
      endTxnApi,
      { transactionalId, producerId, producerEpoch: epoch, committed: commit },
      endWithinMs,
    )
    if (answer.errorCode === code.none) return { producerId: answer.producerId, epoch: answer.producerEpoch }
    if (isPassing(answer.errorCode)) coordinators.forget('transaction', transactionalId)
    return answer.errorCode
  }
}
const endWithinMs = 5_000
