/**
 * What one partition knows of its producers, and of the transactions open in it. Pure: batch headers in, verdicts out.
 *
 * Idempotence (KIP-98): the last five batches of each producer and epoch. A batch that repeats one of them gets the first
 * answer again; one that repeats an older one is a duplicate; one that leaves a gap is out of order. A producer that is
 * not known (its records are gone) may begin anywhere.
 *
 * A transaction is open in a partition from its first batch to its marker. `openTransactions` keeps them in the order of
 * their first offsets, so the last stable offset is that of the first entry.
 */
import type { Offset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { type BatchHeader, attribute } from '../../store/batch-header.ts'

export interface StoredBatch {
  readonly firstSequence: number
  readonly lastSequence: number
  readonly baseOffset: Offset
  readonly lastOffset: Offset
  readonly appendTimeMs: number
}
export interface Producer {
  epoch: number
  /** Oldest first, of the current epoch only. */
  batches: StoredBatch[]
  /** When it last wrote, by our clock: record times may be of any age. */
  lastSeenMs: number
  /** A transaction of it has ended here. */
  isMarked: boolean
}
export interface OpenTransaction {
  readonly epoch: number
  readonly firstOffset: Offset
}

const batchesKept = 5
const sequenceMax = 0x7fff_ffff

/** The sequence that comes `count` after `sequence`; it wraps to 0 after 2^31 − 1. */
export function sequenceAfter(sequence: number, count: number): number {
  const next = sequence + count
  return next > sequenceMax ? next - sequenceMax - 1 : next
}

export class ProducerTable {
  readonly producers = new Map<number, Producer>()
  readonly openTransactions = new Map<number, OpenTransaction>()

  /** The stored batch that this one repeats, or null when it is to be appended. Throws Fault. */
  check(header: BatchHeader): StoredBatch | null {
    if (header.producerId < 0) return null
    const known = this.producers.get(header.producerId)
    if (known === undefined) return null
    if (header.producerEpoch < known.epoch)
      throw new Fault('log.invalid-producer-epoch', {
        producerId: header.producerId,
        epoch: header.producerEpoch,
        current: known.epoch,
      })
    if (header.producerEpoch > known.epoch) {
      if (header.baseSequence !== 0)
        throw new Fault('log.out-of-order-sequence', { expected: 0, found: header.baseSequence })
      return null
    }
    const lastSequence = sequenceAfter(header.baseSequence, header.lastOffsetDelta)
    const repeated = known.batches.find(
      (batch) => batch.firstSequence === header.baseSequence && batch.lastSequence === lastSequence,
    )
    if (repeated !== undefined) return repeated
    const newest = known.batches.at(-1)
    const expected = newest === undefined ? 0 : sequenceAfter(newest.lastSequence, 1)
    if (header.baseSequence === expected) return null
    if (newest !== undefined && isBefore(lastSequence, newest.lastSequence))
      throw new Fault('log.duplicate-sequence', { sequence: header.baseSequence })
    throw new Fault('log.out-of-order-sequence', { expected, found: header.baseSequence })
  }

  /** Takes note of a batch that stands in the log: appended just now, or read back from it. Markers go to `ended`. */
  appended(header: BatchHeader, at: { baseOffset: Offset; appendTimeMs: number; nowMs: number }): void {
    if (header.producerId < 0) return
    const { baseOffset, appendTimeMs } = at
    const producer = this.#producer(header.producerId, header.producerEpoch, at.nowMs)
    if (header.baseSequence >= 0) {
      if (producer.batches.length === batchesKept) producer.batches.shift()
      producer.batches.push({
        firstSequence: header.baseSequence,
        lastSequence: sequenceAfter(header.baseSequence, header.lastOffsetDelta),
        baseOffset,
        lastOffset: (baseOffset + header.lastOffsetDelta) as Offset,
        appendTimeMs,
      })
    }
    if ((header.attributes & attribute.transactional) === 0) return
    const open = this.openTransactions.get(header.producerId)
    if (open?.epoch === header.producerEpoch) return
    // One of another epoch is over: its marker was there, and compaction has taken it away.
    this.openTransactions.delete(header.producerId)
    this.openTransactions.set(header.producerId, { epoch: header.producerEpoch, firstOffset: baseOffset })
  }

  /** A marker of this producer stands in the log. Returns where the transaction that it ends began, null for none. */
  ended(producerId: number, epoch: number, nowMs: number): Offset | null {
    this.#producer(producerId, epoch, nowMs).isMarked = true
    const open = this.openTransactions.get(producerId)
    this.openTransactions.delete(producerId)
    return open?.firstOffset ?? null
  }

  #producer(producerId: number, epoch: number, nowMs: number): Producer {
    let producer = this.producers.get(producerId)
    if (producer === undefined) {
      if (this.producers.size >= limits.producersPerPartition) this.#forgetOldest()
      producer = { epoch, batches: [], lastSeenMs: nowMs, isMarked: false }
      this.producers.set(producerId, producer)
    }
    if (producer.epoch !== epoch) {
      producer.epoch = epoch
      producer.batches = []
    }
    producer.lastSeenMs = nowMs
    return producer
  }

  /** First offset of the oldest open transaction, null when none is open. */
  firstOpen(): Offset | null {
    for (const open of this.openTransactions.values()) return open.firstOffset
    return null
  }

  /** Forgets producers silent since before `sinceMs`, those with an open transaction excepted. */
  forgetSilent(sinceMs: number): void {
    for (const [id, producer] of this.producers)
      if (producer.lastSeenMs < sinceMs && !this.openTransactions.has(id)) this.producers.delete(id)
  }
  /** Makes room: a tenth, the longest silent first. */
  #forgetOldest(): void {
    const times = [...this.producers.values()].map((producer) => producer.lastSeenMs).sort((a, b) => a - b)
    const limit = times[Math.floor(times.length / 10)]!
    let left = Math.ceil(times.length / 10)
    for (const [id, producer] of this.producers) {
      if (left === 0) return
      if (producer.lastSeenMs > limit || this.openTransactions.has(id)) continue
      this.producers.delete(id)
      left--
    }
  }
}

/** True when sequence `a` comes before `b` on the circle of 2^31 sequences. */
function isBefore(a: number, b: number): boolean {
  const distance = (b - a + sequenceMax + 1) % (sequenceMax + 1)
  return distance > 0 && distance < (sequenceMax + 1) / 2
}
