/**
 * `Tick` of the cluster: one transaction. Its parts carry the claims that their steps began with; Kafka's group fence is
 * asked with each claim's own generation. While a rebalance of a part's group is under way nothing is committed for it.
 */
import { type Offset, offset as asOffset } from '../../../lib/brand.ts'
import { Fault } from '../../../lib/fault.ts'
import type { At, Batch, Claim, Partition, Tick } from '../../log.ts'
import { code } from '../errors.ts'
import { type ClusterClaim, clusterClaim, covers, placeOf } from '../group/claim.ts'
import { checkedCopies } from '../write/check.ts'
import type { Identity } from '../write/produce.ts'
import { outcomeOf } from './outcome.ts'
import type { OwnerHost } from './owner.ts'
import { RolledBack, type Transaction, isFencing } from './transaction.ts'

type Entries = readonly { partition: Partition; batch: Batch }[]
type Place = { offset: Offset; timeMs: number }
type Parts = readonly { claim: Claim; positions: readonly At[] }[]
type Outcome = 'committed' | 'retry' | { lost: Claim[] }

export interface TickOwner {
  open(): Promise<Transaction>
  /** null: a new identity has to be taken. */
  ended(next: Identity | null): void
}

export class ClusterTick implements Tick {
  readonly #host: OwnerHost
  readonly #owner: TickOwner
  #transaction: Promise<Transaction> | null = null
  #phase: 'open' | 'committing' | 'over' = 'open'
  #committing: Promise<unknown> | null = null
  #failed = false
  /** Appends one after another, so that entries of one partition keep their order across calls. */
  #appending: Promise<void> = Promise.resolve()

  constructor(host: OwnerHost, owner: TickOwner) {
    this.#host = host
    this.#owner = owner
  }
  get isOver(): boolean {
    return this.#phase === 'over'
  }

  append(entries: Entries): Promise<Place[]> {
    if (this.#phase !== 'open') return Promise.reject(overFault())
    const mine = this.#appending
      .then(() => this.#append(entries))
      .catch((error: unknown) => {
        throw error instanceof RolledBack ? new Fault('log.rolled-back', { why: error.message }, error) : error
      })
    this.#appending = mine.then(
      () => undefined,
      () => {
        this.#failed = true
      },
    )
    return mine
  }
  async #append(entries: Entries): Promise<Place[]> {
    // What was refused has ended the tick already; it must not be opened for more.
    if (this.#failed) throw overFault()
    const rounds: { partition: Partition; batch: Batch; records: number; entry: number }[][] = []
    const depth = new Map<string, number>()
    entries.forEach(({ partition, batch }, entry) => {
      for (const one of checkedCopies(batch)) {
        // One batch of a partition in each request.
        const round = depth.get(placeOf(partition)) ?? 0
        depth.set(placeOf(partition), round + 1)
        ;(rounds[round] ??= []).push({ partition, ...one, entry })
      }
    })
    const places: Place[] = []
    if (rounds.length === 0) return places
    const transaction = await this.#open()
    for (const round of rounds) {
      const produced = await transaction.append(round)
      produced.forEach(({ offset, timeMs }, i) => {
        const { entry, partition, records, batch } = round[i]!
        places[entry] ??= { offset: asOffset(offset), timeMs }
        this.#host.meter?.appended(partition.topic, records, batch.length)
      })
    }
    return places
  }
  #open(): Promise<Transaction> {
    return (this.#transaction ??= this.#owner.open())
  }

  commit(parts: Parts): Promise<Outcome> {
    if (this.#phase !== 'open') return Promise.reject(overFault())
    this.#phase = 'committing'
    const committing = this.#commit(parts).finally(() => (this.#phase = 'over'))
    this.#committing = committing
    return committing
  }
  async #commit(parts: Parts): Promise<Outcome> {
    await this.#appending
    await Promise.all(parts.map(({ claim }) => this.#host.settled(clusterClaim(claim))))
    const lost = lostOf(parts)
    if (lost.length > 0 || this.#failed) {
      await this.#rollBack()
      return lost.length > 0 ? { lost } : 'retry'
    }
    const moving = parts.filter(({ positions }) => positions.length > 0)
    if (this.#transaction === null && moving.length === 0) return 'committed'
    const transaction = await this.#open().catch((error: unknown) => {
      if (error instanceof Fault && error.retry) return null
      throw error
    })
    if (transaction === null) return 'retry'
    const refused = await this.#addPositions(transaction, moving)
    return refused ?? (await this.#end(transaction, parts))
  }
  /** null = all are in. Otherwise the tick is rolled back. */
  async #addPositions(transaction: Transaction, parts: Parts): Promise<Outcome | null> {
    const errors = await Promise.all(
      parts.map(({ claim, positions }) =>
        transaction.addPositions(clusterClaim(claim), positions).catch((error: unknown) => {
          if (error instanceof Fault && error.code !== 'log.closed') return code.requestTimedOut
          throw error
        }),
      ),
    )
    if (errors.every((error) => error === code.none)) return null
    await this.#rollBack(errors.some(isFencing))
    // Thrown out, or a rebalance came between: whether the claim still stands shows when that is over.
    const outOfGroup = parts.filter((_, i) => errors[i] === code.unknownMember || errors[i] === code.fencedInstance)
    this.#host.lose(outOfGroup.map(({ claim }) => clusterClaim(claim)))
    const behind = parts.filter(
      (_, i) => errors[i] === code.illegalGeneration || errors[i] === code.rebalanceInProgress,
    )
    for (const { claim } of behind) await this.#rebalanced(clusterClaim(claim))
    const lost = lostOf(parts)
    return lost.length > 0 ? { lost } : 'retry'
  }
  /** The coordinator knows of a generation that we do not: until we do, nothing can be committed. */
  async #rebalanced(claim: ClusterClaim): Promise<void> {
    const { generation } = claim
    await this.#host.settled(claim)
    if (claim.generation === generation) this.#host.lose([claim])
  }

  async #end(transaction: Transaction, parts: Parts): Promise<Outcome> {
    let ended
    try {
      ended = await transaction.end(true)
    } catch (error) {
      if (!(error instanceof RolledBack)) throw error
      await this.#rollBack(error.fenced)
      return 'retry'
    }
    if (ended.outcome === 'done') {
      this.#owner.ended(ended.next)
      return this.#committed(parts)
    }
    this.#owner.ended(null)
    // Ended by somebody else: rolled back, unless one of our own questions, never answered, came first.
    if (!ended.unknown) return 'retry'
    if (transaction.first !== null) {
      const outcome = await outcomeOf(this.#host, transaction.identity.producerId, transaction.first)
      return outcome === 'aborted' ? 'retry' : this.#committed(parts)
    }
    // Positions alone: they tell the truth to whoever takes them up again.
    const claims = parts.map(({ claim }) => claim)
    this.#host.lose(claims.map(clusterClaim))
    return { lost: claims }
  }

  #committed(parts: Parts): 'committed' {
    for (const { claim, positions } of parts) {
      const moved = positions.map(({ partition }) => partition)
      if (moved.length > 0) this.#host.moved(clusterClaim(claim).group, moved)
    }
    return 'committed'
  }

  async abort(): Promise<void> {
    if (this.#phase === 'committing') return void (await this.#committing?.catch(() => undefined))
    if (this.#phase === 'over') return
    this.#phase = 'over'
    await this.#appending
    await this.#rollBack()
  }
  async #rollBack(fenced = false): Promise<void> {
    const transaction = (await this.#transaction?.catch(() => null)) ?? null
    if (transaction === null || !transaction.isOpen) return
    if (fenced) return this.#owner.ended(null)
    try {
      const ended = await transaction.end(false)
      this.#owner.ended(ended.outcome === 'done' ? ended.next : null)
    } catch (error) {
      // Taking the name anew rolls it back.
      this.#owner.ended(null)
      if (error instanceof Fault && error.code === 'log.closed') throw error
    }
  }
}

function lostOf(parts: Parts): Claim[] {
  return parts
    .filter(({ claim, positions }) => {
      const of = clusterClaim(claim)
      return (
        of.lost ||
        !covers(
          of,
          positions.map(({ partition }) => partition),
        )
      )
    })
    .map(({ claim }) => claim)
}
const overFault = (): Fault => new Fault('log.invalid-transaction', { what: 'the tick is over' })
