/**
 * Writes what groups become, in the order in which they became it. What comes while a write is under way goes with the
 * next one, all groups' together. When a write fails, nothing that came after it can stand either: it is all undone,
 * newest first, and everybody is told.
 */
import { Fault, asFault } from '../../../lib/fault.ts'
import type { RecordInput } from '../../batch.ts'
import type { PartitionState } from '../partition.ts'
import { appendDurably } from '../system-log.ts'

interface Entry {
  readonly records: readonly RecordInput[]
  readonly undo: () => void
  readonly done: (fault: Fault | null) => void
}
/** Entries are put together up to this count of records; each is written whole. */
const recordsMax = 10_000

export class GroupJournal {
  readonly #log: PartitionState
  #waiting: Entry[] = []
  #writing = false
  #closed = false

  constructor(log: PartitionState) {
    this.#log = log
  }
  /** Resolves when these and all before them are durable. Without records too: what was read may not be durable yet. */
  write(records: readonly RecordInput[], undo: () => void = () => undefined): Promise<Fault | null> {
    if (this.#closed) {
      undo()
      return Promise.resolve(new Fault('log.closed', { what: 'the log' }))
    }
    if (records.length === 0 && !this.#writing && this.#waiting.length === 0) return Promise.resolve(null)
    return new Promise((done) => {
      this.#waiting.push({ records, undo, done })
      if (!this.#writing) void this.#run()
    })
  }
  async #run(): Promise<void> {
    this.#writing = true
    while (this.#waiting.length > 0) {
      const batch = this.#next()
      const fault = await this.#append(batch.flatMap(({ records }) => records))
      if (fault === null) for (const { done } of batch) done(null)
      else {
        const failed = [...batch, ...this.#waiting]
        this.#waiting = []
        for (const { undo } of failed.toReversed()) undo()
        for (const { done } of failed) done(fault)
      }
    }
    this.#writing = false
  }
  #next(): Entry[] {
    let count = 0
    let end = 0
    while (end < this.#waiting.length && (end === 0 || count + this.#waiting[end]!.records.length <= recordsMax))
      count += this.#waiting[end++]!.records.length
    return this.#waiting.splice(0, end)
  }
  async #append(records: readonly RecordInput[]): Promise<Fault | null> {
    if (records.length === 0) return null
    try {
      await appendDurably(this.#log, records)
      return null
    } catch (error) {
      return asFault(error)
    }
  }
  /** What comes from now on is refused; what waits is still written. */
  close(): void {
    this.#closed = true
  }
}
