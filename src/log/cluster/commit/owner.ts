/** `Owner` of the cluster: a transactional id, whose identity goes from one tick to the next. */
import { assert } from '../../../lib/assert.ts'
import { Fault } from '../../../lib/fault.ts'
import type { LogMeter } from '../../broker.ts'
import type { Owner, Partition, Tick } from '../../log.ts'
import type { ClusterClaim } from '../group/claim.ts'
import type { Identity } from '../write/produce.ts'
import { ClusterTick } from './tick.ts'
import { Transaction, type TransactionHost } from './transaction.ts'
import { initTransactionalId } from './transactions.ts'

export interface OwnerHost extends TransactionHost {
  readonly meter: LogMeter | null
  /** Resolves when no rebalance of the claim's group is under way here. */
  settled(claim: ClusterClaim): Promise<void>
  /** These claims are worth nothing any more. */
  lose(claims: readonly ClusterClaim[]): void
  /** A tick has moved these. */
  moved(group: string, partitions: readonly Partition[]): void
  released(owner: ClusterOwner): void
}

export class ClusterOwner implements Owner {
  readonly transactionalId: string
  readonly #host: OwnerHost
  #identity: Identity | null
  #tick: ClusterTick | null = null
  #closed = false

  constructor(host: OwnerHost, transactionalId: string, identity: Identity) {
    this.#host = host
    this.transactionalId = transactionalId
    this.#identity = identity
  }
  begin(): Tick {
    if (this.#closed) throw new Fault('log.closed', { what: 'the owner of ticks' })
    assert(this.#tick === null || this.#tick.isOver, 'one tick is open at a time')
    this.#tick = new ClusterTick(this.#host, {
      open: () => this.#transaction(),
      ended: (next) => {
        this.#identity = next
      },
    })
    return this.#tick
  }
  async #transaction(): Promise<Transaction> {
    // Fenced, or of unknown fate: the name is taken again, which ends whatever was open under it.
    this.#identity ??= await initTransactionalId(this.#host, this.transactionalId)
    return new Transaction(this.#host, this.transactionalId, this.#identity)
  }
  async close(): Promise<void> {
    if (this.#closed) return
    this.#closed = true
    await this.#tick?.abort().catch(() => {})
    this.#host.released(this)
  }
}
