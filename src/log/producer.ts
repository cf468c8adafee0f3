/**
 * Appends for many small requests at once: what arrives in one turn of the event loop for one partition becomes one batch.
 * A group (the records of one request, or one line) is never torn: it lies whole in one batch, or the request goes by a
 * tick (`placing.ts`). A batch that was made already is appended as it is, behind what came before it.
 */
import { Fault, asFault } from '../lib/fault.ts'
import type { Clock } from '../lib/world.ts'
import { type RecordInput, encodeBatch } from './batch.ts'
import type { Appended, Batch, Log, Partition, Writer } from './log.ts'

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
/** Groups of a batch to be, or one that is made. */
interface PendingBatch {
  readonly made: Batch | null
  readonly groups: Group[]
  bytes: number
  readonly settle: ((appended: Appended) => void) | null
}
interface Pending {
  readonly partition: Partition
  readonly bytesMax: number
  /** In order. */
  readonly batches: PendingBatch[]
}
interface Entry extends PendingBatch {
  readonly partition: Partition
  readonly batch: Batch
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
      this.#ask()
    })
  }
  appendMade(partition: Partition, made: Batch, bytesMax: number): Promise<Appended> {
    return new Promise((settle) => {
      this.#pendingOf(partition, bytesMax).batches.push({ made, groups: [], bytes: made.length, settle })
      this.#ask()
    })
  }
  #ask(): void {
    if (this.#asked) return
    this.#asked = true
    this.#clock.soon(() => this.#flush())
  }
  #pendingOf(partition: Partition, bytesMax: number): Pending {
    const id = `${partition.index}/${partition.topic}`
    let pending = this.#pending.get(id)
    if (pending === undefined) this.#pending.set(id, (pending = { partition, bytesMax, batches: [] }))
    return pending
  }
  #batchFor(partition: Partition, records: readonly RecordInput[], bytesMax: number): PendingBatch {
    const { batches } = this.#pendingOf(partition, bytesMax)
    let bytes = 0
    for (const record of records) bytes += recordBytes(record)
    const last = batches.at(-1)
    if (last !== undefined && last.made === null && last.bytes + bytes <= bytesMax) {
      last.bytes += bytes
      return last
    }
    const fresh = { made: null, groups: [], bytes: batchOverheadBytes + bytes, settle: null }
    batches.push(fresh)
    return fresh
  }

  #flush(): void {
    this.#asked = false
    const pending = this.#pending
    this.#pending = new Map()
    const entries: Entry[] = []
    for (const { partition, batches } of pending.values())
      for (const one of batches)
        entries.push({
          ...one,
          partition,
          batch: one.made ?? encodeBatch(one.groups.flatMap(({ records }) => records)),
        })
    void this.#write(entries)
  }
  async #write(entries: readonly Entry[]): Promise<void> {
    let outcome: Awaited<ReturnType<Writer['append']>>
    try {
      outcome = await this.#writer.append(entries)
    } catch (error) {
      const fault = asFault(error)
      for (const entry of entries) settle(entry, { fault })
      return
    }
    entries.forEach((entry, i) =>
      settle(entry, outcome[i] ?? { fault: new Fault('internal', { what: 'an append without an answer' }) }),
    )
  }
}
function settle({ partition, groups, settle: made }: Entry, appended: Appended): void {
  made?.(appended)
  if ('fault' in appended) {
    for (const { reject } of groups) reject(appended.fault)
    return
  }
  let offset: number = appended.offset
  for (const { records, resolve } of groups) {
    resolve(placedFrom(partition.index, offset, appended.timeMs, records))
    offset += records.length
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
