/** One call of `read`: what was asked for, and what has come for it so far. */
import { offset as asOffset } from '../../../lib/brand.ts'
import type { Fault } from '../../../lib/fault.ts'
import type { At, Batch, Chunk, Partition } from '../../log.ts'

export const keyOf = ({ topic, index }: Partition): string => `${topic}/${index}`

export class Reading {
  readonly #from: readonly At[]
  readonly #byKey: ReadonlyMap<string, At>
  readonly #chunks = new Map<string, Chunk>()
  bytes = 0
  /** A fault, or progress without a batch: the caller has to hear of it. */
  isNews = false

  constructor(from: readonly At[]) {
    this.#from = from
    this.#byKey = new Map(from.map((at) => [keyOf(at.partition), at]))
  }
  wants({ partition, offset }: At): boolean {
    const key = keyOf(partition)
    return this.#byKey.get(key)?.offset === offset && !this.#chunks.has(key)
  }
  /** Nothing has come for these. */
  open(): readonly At[] {
    return this.#from.filter(({ partition }) => !this.#chunks.has(keyOf(partition)))
  }
  came({ partition, offset }: At, of: { batches: readonly Batch[]; next: number; stable: number }): void {
    if (of.next === offset) return
    const chunk = { partition, batches: of.batches, next: asOffset(of.next), stable: asOffset(Math.max(0, of.stable)) }
    this.#chunks.set(keyOf(partition), chunk)
    for (const batch of of.batches) this.bytes += batch.length
    if (of.batches.length === 0) this.isNews = true
  }
  failed(partition: Partition, fault: Fault): void {
    this.#chunks.set(keyOf(partition), { partition, fault })
    this.isNews = true
  }
  /** In the order asked. `stableOf`: what was last known of a partition for which nothing has come. */
  chunks(stableOf: (partition: Partition) => number | undefined): Chunk[] {
    return this.#from.map(({ partition, offset }) => {
      const chunk = this.#chunks.get(keyOf(partition))
      if (chunk !== undefined) return chunk
      return { partition, batches: [], next: offset, stable: asOffset(stableOf(partition) ?? offset) }
    })
  }
}
