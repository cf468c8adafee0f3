/**
 * A transaction that is open or being ended: which partitions it has, and how far it has written there. A tick's has those
 * that it wrote to. A client's has what was added to it, and after a restart nobody knows how much of it was written: all
 * of that is durable.
 */
import type { Offset } from '../../../lib/brand.ts'
import type { Mark, PartitionState } from '../partition.ts'
import type { NamedEnd, PlaceInTopic } from './state-format.ts'

/** committed: the commit record is durable. aborted: it is not, and never will be. */
export type TransactionPhase = 'open' | 'committing' | 'committed' | 'aborted'

interface Part {
  readonly sequence: number
  readonly last: Offset
  /** Behind its last batch. Nothing is added to a part that has been cut, so this stands for all of it. */
  readonly mark: Mark
}

export class Transaction {
  readonly transactionalId: string
  readonly producerId: number
  readonly epoch: number
  readonly startedMs: number
  /** Its producer has this epoch for this transaction alone. */
  readonly bumps: boolean
  phase: TransactionPhase = 'open'
  bytes = 0
  /** What has to be marked at its end. */
  readonly partitions = new Set<PartitionState>()
  readonly parts = new Map<PartitionState, Part>()

  constructor(of: { transactionalId: string; producerId: number; epoch: number; startedMs: number; bumps: boolean }) {
    this.transactionalId = of.transactionalId
    this.producerId = of.producerId
    this.epoch = of.epoch
    this.startedMs = of.startedMs
    this.bumps = of.bumps
  }

  /** Sequence of the next batch to this partition; null when what came before may have been cut away. */
  nextSequence(partition: PartitionState): number | null {
    const part = this.parts.get(partition)
    if (part === undefined) return 0
    return partition.stands(part.mark) ? part.sequence : null
  }
  wrote(partition: PartitionState, batch: { baseOffset: Offset; records: number; bytes: number }): void {
    const { mark } = partition
    const sequence = (this.parts.get(partition)?.sequence ?? 0) + batch.records
    this.partitions.add(partition)
    this.parts.set(partition, { sequence, last: batch.baseOffset, mark })
    this.bytes += batch.bytes
  }
  /** True while every partition still holds all that was written to it. */
  isWhole(): boolean {
    for (const [partition, { mark }] of this.parts) if (!partition.gone && !partition.stands(mark)) return false
    return true
  }
  ends(): NamedEnd[] {
    return Array.from(this.parts, ([partition, { last, mark }]) => ({ ...placeOf(partition), last, end: mark.end }))
  }
}

export const placeOf = ({ partition, topicId }: PartitionState): PlaceInTopic => ({
  topicId,
  topic: partition.topic,
  index: partition.index,
})
