/**
 * One loop per disk. Each turn of the event loop everything pending is written, a call per segment, and those who wait
 * for that are answered. Then, unless a sync round is running, one begins: the files of every partition that somebody
 * waits for, or that has waited `flushMs`, are synced in parallel. What arrives meanwhile is the next round. So the
 * number of syncs follows the disk and not the number of appends.
 */
import { asFault, type Fault } from '../lib/fault.ts'
import type { Clock } from '../lib/world.ts'
import type { Directories } from './directories.ts'
import type { Journal } from './journal.ts'
import type { Capture, Partition } from './partition.ts'
import type { StoreMeter } from './store.ts'

const journalSyncMs = 1_000

interface Synced {
  readonly partition: Partition
  readonly capture: Capture
}
interface LoopParts {
  readonly clock: Clock
  readonly directories: Directories
  readonly journal: Journal
  /** Partitions that may have written bytes without a sync at one time: each holds a file open. */
  readonly unsyncedMax: number
  readonly meter: StoreMeter | null
  report(fault: Fault): void
  /** Called after each round, with the journal quiet. */
  afterRound(): void
}

export class SyncLoop {
  readonly #parts: LoopParts
  readonly #toWrite = new Set<Partition>()
  readonly #wanted = new Set<Partition>()
  readonly #unsynced = new Set<Partition>()
  #isTurnPlanned = false
  #round: Promise<void> | null = null
  #finished: Synced[] = []
  #finishing: Promise<void> | null = null
  #cancelFlush: (() => void) | null = null
  #journalSyncedAtMs = 0

  constructor(parts: LoopParts) {
    this.#parts = parts
  }
  toWrite(partition: Partition): void {
    this.#toWrite.add(partition)
    this.#planTurn()
  }
  toSync(partition: Partition): void {
    this.#wanted.add(partition)
    this.#planTurn()
  }
  unsynced(partition: Partition): void {
    this.#unsynced.add(partition)
  }
  forget(partition: Partition): void {
    this.#toWrite.delete(partition)
    this.#wanted.delete(partition)
    this.#unsynced.delete(partition)
  }
  /** Writes and syncs all there is. */
  async drain(): Promise<void> {
    for (;;) {
      if (this.#round !== null) await this.#round
      this.#writeAll()
      for (const partition of this.#unsynced) this.#wanted.add(partition)
      if (this.#wanted.size === 0 && this.#toWrite.size === 0) break
      this.#beginRound()
      if (this.#round === null && this.#toWrite.size === 0) break
    }
    this.#cancelFlush?.()
    this.#cancelFlush = null
  }
  #planTurn(): void {
    if (this.#isTurnPlanned) return
    this.#isTurnPlanned = true
    this.#parts.clock.soon(() => this.#turn())
  }
  #turn(): void {
    this.#isTurnPlanned = false
    this.#writeAll()
    if (this.#round === null) this.#beginRound()
  }
  #writeAll(): void {
    for (const partition of this.#toWrite) {
      // Too many files are open for their next sync: this one has to wait for it.
      if (this.#unsynced.size >= this.#parts.unsyncedMax && !this.#unsynced.has(partition)) continue
      this.#toWrite.delete(partition)
      try {
        partition.writePending()
      } catch (error) {
        partition.writeFailed(error)
      }
    }
    if (this.#toWrite.size > 0) for (const each of this.#unsynced) this.#wanted.add(each)
  }
  #beginRound(): void {
    const nowMs = this.#parts.clock.monotonic()
    const round = [...this.#wanted].filter((partition) => !this.#toWrite.has(partition))
    for (const partition of this.#unsynced)
      if (nowMs - partition.unsyncedSinceMs >= partition.config.flushMs && !this.#wanted.has(partition))
        round.push(partition)
    for (const partition of round) this.#wanted.delete(partition)
    if (round.length === 0) return this.#planFlush(nowMs)
    this.#round = this.#run(round).then(() => {
      this.#round = null
      this.#turn()
    })
  }
  async #run(round: readonly Partition[]): Promise<void> {
    const begunMs = this.#parts.clock.monotonic()
    const files = await Promise.all(round.map((partition) => this.#sync(partition)))
    const fileCount = files.reduce((sum, count) => sum + count, 0)
    if (fileCount > 0) this.#parts.meter?.synced(this.#parts.clock.monotonic() - begunMs, fileCount)
    this.#syncJournal()
    this.#parts.afterRound()
  }
  /** Returns the count of files that were synced. */
  async #sync(partition: Partition): Promise<number> {
    const { directories } = this.#parts
    let files = 0
    try {
      const capture = partition.capture()
      if (capture !== null) {
        files = capture.parts.length
        const waits = capture.parts.map(({ file }) => file.datasync())
        if (!directories.isDurable(partition.segments.folder)) waits.push(directories.sync(partition.segments.folder))
        await Promise.all(waits)
        await this.#finish({ partition, capture })
      }
    } catch (error) {
      this.#parts.meter?.syncFailed()
      partition.fence(error)
    }
    if (!partition.hasUnsynced) this.#unsynced.delete(partition)
    return files
  }
  /** What is synced in one turn is noted with one write, before anybody is told. */
  #finish(synced: Synced): Promise<void> {
    this.#finished.push(synced)
    this.#finishing ??= new Promise((resolve) => {
      this.#parts.clock.soon(() => {
        const finished = this.#finished.filter(({ partition, capture }) => partition.isCurrent(capture))
        this.#finished = []
        this.#finishing = null
        this.#note(finished)
        for (const { partition, capture } of finished) partition.synced(capture)
        resolve()
      })
    })
    return this.#finishing
  }
  #note(finished: readonly Synced[]): void {
    try {
      this.#parts.journal.durable(finished.map(({ partition, capture }) => ({ dir: partition.dir, end: capture.end })))
    } catch (error) {
      this.#parts.report(asFault(error))
    }
  }
  #syncJournal(): void {
    const { clock, journal, report } = this.#parts
    const nowMs = clock.monotonic()
    if (nowMs - this.#journalSyncedAtMs < journalSyncMs) return
    this.#journalSyncedAtMs = nowMs
    journal.sync().catch((error: unknown) => report(asFault(error)))
  }
  #planFlush(nowMs: number): void {
    if (this.#cancelFlush !== null || this.#unsynced.size === 0) return
    let waitMs = Number.POSITIVE_INFINITY
    for (const { unsyncedSinceMs, config } of this.#unsynced)
      waitMs = Math.min(waitMs, unsyncedSinceMs + config.flushMs - nowMs)
    this.#cancelFlush = this.#parts.clock.after(Math.max(1, waitMs), () => {
      this.#cancelFlush = null
      this.#planTurn()
    })
  }
}
