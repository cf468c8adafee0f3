/**
 * Writes what groups and queues become, in the order in which they became it. What comes while a write is under way goes
 * with the next one, all together. When a write fails, nothing that came after it can stand either: it is all undone,
 * newest first, and everybody is told.
 */
import type { Offset } from '../lib/brand.ts'
import { Fault, asFault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { RecordInput } from './batch.ts'

interface Entry {
  readonly records: readonly RecordInput[]
  readonly undo: () => void
  readonly done: (outcome: Fault | Offset | null) => void
}
/** Entries are put together up to this count of records and these bytes; each is written whole. */
const recordsMax = 10_000
const bytesMax = limits.journalBytes

export class Journal {
  readonly #append: (records: readonly RecordInput[]) => Promise<Offset>
  #waiting: Entry[] = []
  #writing = false
  #closed = false

  /** `append` resolves with where the records begin, when they are durable; one call at a time. */
  constructor(append: (records: readonly RecordInput[]) => Promise<Offset>) {
    this.#append = append
  }
  /** Resolves when these and all before them are durable. Without records too: what was read may not be durable yet. */
  async write(records: readonly RecordInput[], undo: () => void = () => undefined): Promise<Fault | null> {
    const outcome = await this.place(records, undo)
    return outcome instanceof Fault ? outcome : null
  }
  /** The same, with an offset that these records do not lie before; null where nothing had to be written. */
  place(records: readonly RecordInput[], undo: () => void = () => undefined): Promise<Fault | Offset | null> {
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
      const outcome = await this.#write(batch.flatMap(({ records }) => records))
      if (!(outcome instanceof Fault)) for (const { done } of batch) done(outcome)
      else {
        const failed = [...batch, ...this.#waiting]
        this.#waiting = []
        for (const { undo } of failed.toReversed()) undo()
        for (const { done } of failed) done(outcome)
      }
    }
    this.#writing = false
  }
  #next(): Entry[] {
    let count = 0
    let bytes = 0
    let end = 0
    for (; end < this.#waiting.length; end++) {
      const { records } = this.#waiting[end]!
      count += records.length
      for (const { key, value } of records) bytes += (key?.length ?? 0) + (value?.length ?? 0)
      if (end > 0 && (count > recordsMax || bytes > bytesMax)) break
    }
    return this.#waiting.splice(0, end)
  }
  async #write(records: readonly RecordInput[]): Promise<Fault | Offset | null> {
    if (records.length === 0) return null
    try {
      return await this.#append(records)
    } catch (error) {
      return asFault(error)
    }
  }
  /** What comes from now on is refused; what waits is still written. */
  close(): void {
    this.#closed = true
  }
}
