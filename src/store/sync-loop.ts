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
import type { Partition } from './partition.ts'

const journalSyncMs = 1_000

interface LoopParts {
  readonly clock: Clock
  readonly directories: Directories
  readonly journal: Journal
  /** Partitions that may have written bytes without a sync at one time: each holds a file open. */
  readonly unsyncedMax: number
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
    const ends: { dir: string; end: number }[] = []
    await Promise.all(
      round.map(async (partition) => {
        if (await this.#sync(partition)) ends.push({ dir: partition.dir, end: partition.durable })
      }),
    )
    if (ends.length > 0) this.#note(ends)
    this.#parts.afterRound()
  }
  async #sync(partition: Partition): Promise<boolean> {
    const { directories } = this.#parts
    try {
      const capture = partition.capture()
      if (capture === null) {
        if (!partition.hasUnsynced) this.#unsynced.delete(partition)
        return false
      }
      const waits = capture.parts.map(({ file }) => file.datasync())
      if (!directories.isDurable(partition.segments.folder)) waits.push(directories.sync(partition.segments.folder))
      await Promise.all(waits)
      const moved = partition.synced(capture)
      if (!partition.hasUnsynced) this.#unsynced.delete(partition)
      return moved
    } catch (error) {
      partition.fence(error)
      this.#unsynced.delete(partition)
      return false
    }
  }
  #note(ends: readonly { dir: string; end: number }[]): void {
    const { clock, journal, report } = this.#parts
    try {
      journal.durable(ends)
    } catch (error) {
      report(asFault(error))
    }
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
