/**
 * Appends for many small requests at once: what arrives in one turn of the event loop for one partition becomes one batch.
 * A group (the records of one request, or one line) is never torn: it lies whole in one batch, or the request goes by a
 * tick (`placing.ts`).
 */
import { Fault, asFault } from '../lib/fault.ts'
import type { Clock } from '../lib/world.ts'
import { type RecordInput, encodeBatch } from './batch.ts'
import type { Batch, Log, Partition, Writer } from './log.ts'

export interface Placed {
  readonly partition: number
  readonly offset: number
  readonly timeMs: number
}
export type Acks = 'all' | 'leader' | 'none'

/** Upper bound of a record's bytes in a batch: lengths are varints of at most 5 bytes, times and offsets of 10. */
export function recordBytes({ key, value, headers = [] }: RecordInput): number {
  let bytes = 40 + (key?.length ?? 0) + (value?.length ?? 0)
  for (const [name, content] of headers) bytes += 10 + name.length * 3 + (content?.length ?? 0)
  return bytes
}
export const batchOverheadBytes = 61

interface Group {
  readonly records: readonly RecordInput[]
  readonly resolve: (placed: readonly Placed[]) => void
  readonly reject: (fault: Fault) => void
}
interface Pending {
  readonly partition: Partition
  readonly bytesMax: number
  /** Groups of each batch to be, in order. */
  readonly batches: { groups: Group[]; bytes: number }[]
}

export class Producer {
  readonly #clock: Clock
  readonly #writer: Writer
  #pending = new Map<string, Pending>()
  #asked = false

  constructor(clock: Clock, log: Log, acks: Acks) {
    this.#clock = clock
    this.#writer = log.writer({ acks })
  }

  /** The records of a group lie one behind another in one batch. They must fit `bytesMax` together. */
  append(partition: Partition, records: readonly RecordInput[], bytesMax: number): Promise<readonly Placed[]> {
    return new Promise((resolve, reject) => {
      this.#batchFor(partition, records, bytesMax).groups.push({ records, resolve, reject })
      if (this.#asked) return
      this.#asked = true
      this.#clock.soon(() => this.#flush())
    })
  }
  #batchFor(partition: Partition, records: readonly RecordInput[], bytesMax: number): Pending['batches'][number] {
    const id = `${partition.index}/${partition.topic}`
    let pending = this.#pending.get(id)
    if (pending === undefined) this.#pending.set(id, (pending = { partition, bytesMax, batches: [] }))
    let bytes = 0
    for (const record of records) bytes += recordBytes(record)
    const last = pending.batches.at(-1)
    if (last !== undefined && last.bytes + bytes <= bytesMax) {
      last.bytes += bytes
      return last
    }
    const fresh = { groups: [], bytes: batchOverheadBytes + bytes }
    pending.batches.push(fresh)
    return fresh
  }

  #flush(): void {
    this.#asked = false
    const pending = this.#pending
    this.#pending = new Map()
    const entries: { partition: Partition; batch: Batch; groups: Group[] }[] = []
    for (const { partition, batches } of pending.values())
      for (const { groups } of batches)
        entries.push({ partition, groups, batch: encodeBatch(groups.flatMap(({ records }) => records)) })
    void this.#write(entries)
  }
  async #write(entries: readonly { partition: Partition; batch: Batch; groups: Group[] }[]): Promise<void> {
    let outcome: Awaited<ReturnType<Writer['append']>>
    try {
      outcome = await this.#writer.append(entries)
    } catch (error) {
      const fault = asFault(error)
      for (const { groups } of entries) for (const { reject } of groups) reject(fault)
      return
    }
    entries.forEach(({ partition, groups }, i) => {
      const appended = outcome[i] ?? { fault: new Fault('internal', { what: 'an append without an answer' }) }
      if ('fault' in appended) {
        for (const { reject } of groups) reject(appended.fault)
        return
      }
      let offset: number = appended.offset
      for (const { records, resolve } of groups) {
        resolve(placedFrom(partition.index, offset, appended.timeMs, records))
        offset += records.length
      }
    })
  }
}

/** Records that lie one behind another from `offset`; `appendTimeMs` −1 leaves their own times. */
export function placedFrom(
  partition: number,
  offset: number,
  appendTimeMs: number,
  records: readonly RecordInput[],
): Placed[] {
  return records.map(({ timeMs }, i) => ({
    partition,
    offset: offset + i,
    timeMs: appendTimeMs === -1 ? timeMs : appendTimeMs,
  }))
}
