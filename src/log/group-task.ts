/**
 * A task that reads the topics of a group and writes what comes of it, exactly once: what a step appends and the
 * positions it has read up to stand or fall together. Positions without appends are committed once a second at most, and
 * after a second of quiet: reading again does no harm, a lag that is none would mislead, and an idle task writes nothing.
 */
import { type Offset, offset as asOffset } from '../lib/brand.ts'
import { Fault, asFault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { Clock } from '../lib/world.ts'
import { type LogRecord, decodeBatch, isControl } from './batch.ts'
import type { Commits } from './commits.ts'
import type { At, Claim, Log, Membership, Partition, Reader, Tick } from './log.ts'

export interface Read {
  readonly partition: Partition
  readonly record: LogRecord
}
export interface Written {
  /** May run more than once; the last run counts. */
  write(append: Tick['append']): Promise<void>
  /** Called when it is durable. */
  committed?(): void
}
/**
 * Called with records in order per partition, at least one. null: nothing to write for these. Called again with the same
 * records after a failure.
 */
export type Step = (read: readonly Read[], signal: AbortSignal) => Promise<Written | null>

export interface GroupTaskOptions {
  readonly log: Log
  readonly commits: Commits
  readonly clock: Clock
  readonly logger: Logger
  readonly group: string
  readonly topics: readonly string[]
  readonly step: Step
  /** Before the first step under a claim: what earlier holders committed can be caught up with. */
  readonly begin?: (claim: Claim) => Promise<void>
  /** Bytes read at once. */
  readonly maxBytes?: number
}
/** From the first record read without anything to write until the positions are committed all the same. */
const moveMs = 1_000
const waitMs = 30_000
const retryMs = 1_000

export class GroupTask {
  readonly #options: GroupTaskOptions
  readonly #membership: Membership
  readonly #reader: Reader
  readonly #running: Promise<void>
  #loop: { stop: AbortController; done: Promise<void> } | null = null

  constructor(options: GroupTaskOptions) {
    const { log, group, topics } = options
    this.#options = options
    this.#reader = log.reader({ maxBytes: options.maxBytes ?? 1024 * 1024 })
    this.#membership = log.join(group, { topics, warm: () => [] })
    this.#running = this.#run().catch((error: unknown) => this.#complain('the task ended', error))
  }
  /** What is being written is finished first. */
  async close(): Promise<void> {
    await this.#stopLoop()
    await this.#membership.leave()
    await this.#running
  }

  async #run(): Promise<void> {
    for await (const { claim, active, accept } of this.#membership.changes()) {
      await this.#stopLoop()
      accept()
      if (active.length === 0) continue
      const stop = new AbortController()
      this.#loop = {
        stop,
        done: new TaskLoop(this.#options, this.#reader, this.#membership, claim, active).run(stop.signal),
      }
    }
  }
  async #stopLoop(): Promise<void> {
    this.#loop?.stop.abort()
    await this.#loop?.done
    this.#loop = null
  }
  #complain(what: string, error: unknown): void {
    const fault = asFault(error)
    if (fault.code !== 'log.closed') this.#options.logger.error(what, { group: this.#options.group, error: fault })
  }
}

/** Under one claim. */
class TaskLoop {
  readonly #options: GroupTaskOptions
  readonly #reader: Reader
  readonly #membership: Membership
  readonly #claim: Claim
  readonly #partitions: readonly Partition[]
  #at: readonly Offset[] = []
  /** When the positions moved away from the committed ones; null: they have not. */
  #movedMs: number | null = null

  constructor(
    options: GroupTaskOptions,
    reader: Reader,
    membership: Membership,
    claim: Claim,
    partitions: readonly Partition[],
  ) {
    this.#options = options
    this.#reader = reader
    this.#membership = membership
    this.#claim = claim
    this.#partitions = partitions
  }

  async run(signal: AbortSignal): Promise<void> {
    let started = false
    while (!signal.aborted) {
      try {
        if (!started) await this.#start()
        started = true
        await this.#turn(signal)
      } catch (error) {
        const fault = asFault(error)
        if (signal.aborted || fault.code === 'log.closed' || fault.code === 'log.claim-lost') break
        this.#options.logger.warn('a task tries again', { group: this.#options.group, error: fault })
        await this.#options.clock.sleep(retryMs, signal).catch(() => {})
      }
    }
    if (this.#movedMs !== null) await this.#commit(this.#at, null).catch(() => {})
  }
  async #start(): Promise<void> {
    const known = await this.#membership.positions(this.#claim, this.#partitions)
    const bounds = await this.#options.log.bounds(this.#partitions)
    await this.#options.begin?.(this.#claim)
    this.#moveTo(known.map((position, i) => asOffset(Math.max(position ?? 0, bounds[i]!.start))))
    // Records may be gone that it never read.
    if (known.every((position, i) => (position ?? 0) === this.#at[i])) this.#movedMs = null
  }
  #moveTo(next: readonly Offset[]): void {
    if (next.some((offset, i) => offset !== this.#at[i])) this.#movedMs ??= this.#options.clock.monotonic()
    this.#at = next
  }
  /** Until the positions are to be committed without appends. */
  #leftMs(): number {
    if (this.#movedMs === null) return waitMs
    return Math.max(0, this.#movedMs + moveMs - this.#options.clock.monotonic())
  }

  async #turn(signal: AbortSignal): Promise<void> {
    const from: At[] = this.#partitions.map((partition, i) => ({ partition, offset: this.#at[i]! }))
    const chunks = await this.#reader.read(from, { ms: this.#leftMs() }, signal)
    const next = [...this.#at]
    const read: Read[] = []
    for (const chunk of chunks) {
      const place = this.#partitions.findIndex(
        ({ topic, index }) => topic === chunk.partition.topic && index === chunk.partition.index,
      )
      if ('fault' in chunk) {
        next[place] = await this.#behindGap(chunk.partition, chunk.fault)
        continue
      }
      for (const record of recordsFrom(chunk.batches, this.#at[place]!))
        read.push({ partition: chunk.partition, record })
      if (chunk.next > next[place]!) next[place] = chunk.next
    }
    const written = read.length === 0 ? null : await this.#options.step(read, signal)
    if (written !== null || this.#leftMs() === 0) await this.#commit(next, written)
    else this.#moveTo(next)
    written?.committed?.()
  }
  async #commit(next: readonly Offset[], written: Written | null): Promise<void> {
    const positions = this.#partitions.map((partition, i): At => ({ partition, offset: next[i]! }))
    await this.#options.commits.run(async (append) => {
      await written?.write(append)
      return { parts: [{ claim: this.#claim, positions }], result: null }
    })
    this.#at = next
    this.#movedMs = null
  }
  /** What retention removed before it was read is gone, and said so. */
  async #behindGap(partition: Partition, fault: Fault): Promise<Offset> {
    if (fault.code !== 'log.offset-out-of-range') throw fault
    const [bounds] = await this.#options.log.bounds([partition])
    this.#options.logger.warn('records were removed before they were read', { group: this.#options.group, partition })
    return bounds!.start
  }
}

function* recordsFrom(batches: readonly Uint8Array[], from: number): Iterable<LogRecord> {
  for (const batch of batches) {
    if (isControl(batch)) continue
    for (const record of decodeBatch(batch)) if (record.offset >= from) yield record
  }
}
