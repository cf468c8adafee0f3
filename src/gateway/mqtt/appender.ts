/**
 * Appends for many publishers at once: what comes in one turn of the event loop for one partition is one batch. Nothing is
 * made for a message but its record; who waits for it is told when its batch is durable.
 */
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { keyPartition } from '../../lib/murmur2.ts'
import type { Clock } from '../../lib/world.ts'
import { type RecordInput, encodeBatch } from '../../log/batch.ts'
import { openPartition } from '../../log/closed-partitions.ts'
import type { Commits } from '../../log/commits.ts'
import type { Log, Partition, Writer } from '../../log/log.ts'
import { batchOverheadBytes, recordBytes } from '../../log/producer.ts'
import type { LogTopic } from './log-topics.ts'

export interface Waiter {
  stored(offset: number): void
  failed(fault: Fault): void
}
interface Run {
  readonly partition: Partition
  readonly records: RecordInput[]
  readonly waiters: Waiter[]
  bytes: number
}
/** Stands or falls with others. */
export interface Entry {
  readonly partition: Partition
  readonly record: RecordInput
}

export const partitionOf = ({ name, info, partitions }: LogTopic, { key }: RecordInput): Partition => {
  const chosen = partitions.length === 1 || key === null ? 0 : keyPartition(key, partitions.length)
  const index = openPartition(info, chosen)
  return partitions[index]?.partition ?? { topic: name, index: 0 }
}
const batchBytesMax = ({ info: { config } }: LogTopic): number => {
  const set = Number(config['max.message.bytes'] ?? NaN)
  return Number.isSafeInteger(set) ? Math.min(set, limits.batchBytesMax) : limits.batchBytes
}

export class Appender {
  readonly #clock: Clock
  readonly #writer: Writer
  readonly #commits: Commits
  #open = new Map<Partition, Run>()
  #runs: Run[] = []
  #together: { readonly entries: readonly Entry[]; readonly waiter: Waiter }[] = []
  #isAsked = false

  constructor({ clock, log, commits }: { clock: Clock; log: Log; commits: Commits }) {
    this.#clock = clock
    this.#writer = log.writer()
    this.#commits = commits
  }
  add(topic: LogTopic, record: RecordInput, waiter: Waiter): void {
    const partition = partitionOf(topic, record)
    const bytes = recordBytes(record)
    let run = this.#open.get(partition)
    if (run === undefined || run.bytes + bytes > batchBytesMax(topic)) {
      run = { partition, records: [], waiters: [], bytes: batchOverheadBytes }
      this.#open.set(partition, run)
      this.#runs.push(run)
    }
    run.records.push(record)
    run.waiters.push(waiter)
    run.bytes += bytes
    this.#ask()
  }
  /** All of it or nothing. The offset told is that of the first. */
  addTogether(entries: readonly Entry[], waiter: Waiter): void {
    this.#together.push({ entries, waiter })
    this.#ask()
  }
  #ask(): void {
    if (this.#isAsked) return
    this.#isAsked = true
    this.#clock.soon(() => this.#flush())
  }
  #flush(): void {
    this.#isAsked = false
    const runs = this.#runs
    const together = this.#together
    this.#runs = []
    this.#open = new Map()
    this.#together = []
    if (runs.length > 0) void this.#write(runs)
    if (together.length > 0) void this.#commit(together)
  }
  async #write(runs: readonly Run[]): Promise<void> {
    let appended: Awaited<ReturnType<Writer['append']>>
    try {
      appended = await this.#writer.append(
        runs.map(({ partition, records }) => ({ partition, batch: encodeBatch(records) })),
      )
    } catch (error) {
      const fault = asFault(error)
      for (const { waiters } of runs) for (const waiter of waiters) waiter.failed(fault)
      return
    }
    runs.forEach(({ waiters }, i) => {
      const answer = appended[i] ?? { fault: new Fault('internal', { what: 'an append without an answer' }) }
      if ('fault' in answer) for (const waiter of waiters) waiter.failed(answer.fault)
      else waiters.forEach((waiter, n) => waiter.stored(answer.offset + n))
    })
  }
  /** Several of one turn share a tick; where one of them cannot be stored, none of them is, and each is tried alone. */
  async #commit(together: readonly { entries: readonly Entry[]; waiter: Waiter }[]): Promise<void> {
    const batches = new Map<string, { partition: Partition; records: RecordInput[] }>()
    const firsts: { id: string; at: number }[] = []
    for (const { entries } of together)
      entries.forEach(({ partition, record }, i) => {
        const id = `${partition.topic}/${partition.index}`
        let batch = batches.get(id)
        if (batch === undefined) batches.set(id, (batch = { partition, records: [] }))
        if (i === 0) firsts.push({ id, at: batch.records.length })
        batch.records.push(record)
      })
    const ids = [...batches.keys()]
    try {
      const placed = await this.#commits.put(
        [...batches.values()].map(({ partition, records }) => ({ partition, batch: encodeBatch(records) })),
        [],
      )
      together.forEach(({ waiter }, i) => {
        const { id, at } = firsts[i]!
        waiter.stored(placed[ids.indexOf(id)]!.offset + at)
      })
    } catch (error) {
      if (together.length === 1) return together[0]!.waiter.failed(asFault(error))
      for (const one of together) await this.#commit([one])
    }
  }
}
