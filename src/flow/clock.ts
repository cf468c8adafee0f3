/**
 * Event time of one source: a watermark per partition, and the source's own.
 *
 * A partition's watermark is the largest event time seen (whole ms, floored) less the allowed delay, or the largest
 * that a row has said (`SourcePlan.watermark`); it moves after every row in offset order, and says: no row at or before it
 * comes any more, or it is late. An event time, or a watermark, further ahead of its record's arrival than `maxFutureMs` does not move it and is counted. The source's watermark is the smallest over
 * its active partitions and never goes back. A partition is left out as idle if it never held a record, or brought none
 * for `idleMs` of processing time; one that has merely been read to its end is not idle. A source all of whose partitions
 * are idle holds nothing back.
 *
 * Where rows of another source wait for this one (a temporal join), a partition that never held a record counts as active
 * until they have waited for `idleMs`: else what a row meets would depend on which of two topics was filled first.
 */
import { sourcePartition } from './batch.ts'
import { KeyWriter } from './key.ts'
import type { StateTable, TableSpec } from './state.ts'

export interface ClockOptions {
  readonly delayMs: number
  readonly idleMs: number
  readonly maxFutureMs: number
  /** Processing time that no jump of the wall clock moves; without it what is passed to each call counts. */
  readonly steadyMs?: () => number
}
/** What views have that say nothing about it, and questions that go on. */
export const timeDefaults = { idleMs: 30_000, maxFutureMs: 3_600_000 }
export interface PartitionClock {
  /** −Infinity before the first row. */
  maxTimeMs: number
  held: boolean
  idle: boolean
  /** Processing time, steady where there is one, of the last tick that brought a record; not saved: idleness is counted anew after a restart. */
  lastMs: number
  /** Rows whose event time lay too far ahead. */
  future: number
  dirty: boolean
}

/** Row per source partition: largest event time, idle, future; key: kind 0, id. Kind 1: a watermark by number. */
export const clockTable: TableSpec = { name: 'clock', numbers: 3, values: 0 }
const key = new KeyWriter()
function clockKey(kind: number, id: number): KeyWriter {
  key.length = 0
  key.byte(kind)
  key.double(id)
  return key
}
/** A watermark kept in the clock's table, −Infinity if none is. */
export function savedWatermark(table: StateTable, id: number): number {
  const row = table.find(clockKey(1, id))
  return row < 0 ? -Infinity : table.numbers[row * 3]!
}
export function saveWatermark(table: StateTable, id: number, watermark: number): void {
  const row = table.find(clockKey(1, id))
  if (row >= 0 && table.numbers[row * 3] === watermark) return
  if (row >= 0) table.touch(row)
  const at = row >= 0 ? row : table.add(clockKey(1, id))
  table.numbers[at * 3] = watermark
}

export interface SeenRows {
  readonly times: Float64Array
  readonly timesMs: Float64Array
  readonly numbers: Int32Array
  readonly from: number
  readonly to: number
}

export class SourceClock {
  readonly options: ClockOptions
  private readonly source: number
  private readonly table: StateTable
  private partitions = new Map<number, PartitionClock>()

  constructor(source: number, options: ClockOptions, table: StateTable) {
    this.source = source
    this.options = options
    this.table = table
  }
  /**
   * Reads the saved state. `known` are the partitions held now; those with `unread` records are active from the start:
   * what they bring may be older than everything else.
   */
  open(known: readonly { partition: number; unread: boolean }[], nowMs: number): void {
    this.partitions = new Map()
    for (const { partition, unread } of known) {
      const row = this.table.find(clockKey(0, sourcePartition(this.source, partition)))
      const saved = row >= 0
      this.partitions.set(partition, {
        maxTimeMs: saved ? this.table.numbers[row * 3]! : -Infinity,
        held: saved || unread,
        idle: saved ? this.table.numbers[row * 3 + 1] === 1 : !unread,
        lastMs: this.at(nowMs),
        future: saved ? this.table.numbers[row * 3 + 2]! : 0,
        dirty: false,
      })
    }
  }
  /** After `open`: rows will wait for this source. */
  expect(): void {
    this.expected = this.options.idleMs < Infinity
    if (this.expected) for (const clock of this.partitions.values()) if (!clock.held) clock.idle = false
  }
  /** Nothing waits for what this source has never held: the time until that is given up begins anew. */
  notMissed(nowMs: number): void {
    if (this.expected) for (const clock of this.partitions.values()) if (!clock.held) clock.lastMs = this.at(nowMs)
  }
  private expected = false
  private at(nowMs: number): number {
    return this.options.steadyMs?.() ?? nowMs
  }
  partition(index: number, nowMs: number): PartitionClock {
    let clock = this.partitions.get(index)
    if (clock === undefined) {
      clock = { maxTimeMs: -Infinity, held: false, idle: true, lastMs: this.at(nowMs), future: 0, dirty: false }
      this.partitions.set(index, clock)
    }
    return clock
  }
  watermarkOf(clock: PartitionClock): number {
    return clock.maxTimeMs - this.options.delayMs
  }
  /** A record of the partition has been consumed, or will be before the watermark is asked for again. */
  woke(clock: PartitionClock, nowMs: number): void {
    clock.lastMs = this.at(nowMs)
    if (clock.held && !clock.idle) return
    clock.held = true
    clock.idle = false
    clock.dirty = true
  }
  /** Moves the partition's clock by one row. `arrivalMs` < 0: not known. */
  saw(clock: PartitionClock, timeMs: number, arrivalMs: number): void {
    // 'infinity' is behind all that will ever come.
    if (timeMs === Infinity || (arrivalMs >= 0 && timeMs - arrivalMs > this.options.maxFutureMs)) {
      clock.future++
      clock.dirty = true
    } else if (timeMs > clock.maxTimeMs) {
      clock.maxTimeMs = timeMs
      clock.dirty = true
    }
  }
  /**
   * The same for rows in order, all of which have a time: `times` (µs) by row, `timesMs` by the record that `numbers` names.
   * `watermarks` gets what stood before each.
   */
  sawAll(clock: PartitionClock, { times, timesMs, numbers, from, to }: SeenRows, watermarks: Float64Array): void {
    const { delayMs, maxFutureMs } = this.options
    const before = clock.maxTimeMs
    let max = before
    let future = 0
    for (let row = from; row < to; row++) {
      watermarks[row] = max - delayMs
      const timeMs = Math.floor(times[row]! / 1000)
      const arrivalMs = timesMs[numbers[row]!]!
      if (timeMs === Infinity || (arrivalMs >= 0 && timeMs - arrivalMs > maxFutureMs)) future++
      else if (timeMs > max) max = timeMs
    }
    if (max === before && future === 0) return
    clock.maxTimeMs = max
    clock.future += future
    clock.dirty = true
  }
  /** Leaves out what has been silent too long. */
  markIdle(nowMs: number): void {
    const atMs = this.at(nowMs)
    for (const clock of this.partitions.values())
      if (!clock.idle && atMs - clock.lastMs >= this.options.idleMs) {
        clock.idle = true
        clock.dirty = true
      }
  }
  /** When the next partition will have been silent too long; Infinity = none will. */
  nextIdleMs(): number {
    let next = Infinity
    for (const clock of this.partitions.values())
      if (!clock.idle) next = Math.min(next, clock.lastMs + this.options.idleMs)
    return next
  }
  /** Over the active partitions; null: all are idle. */
  watermark(): number | null {
    let least: number | null = null
    for (const clock of this.partitions.values()) {
      if (clock.idle) continue
      const watermark = this.watermarkOf(clock)
      if (least === null || watermark < least) least = watermark
    }
    return least
  }
  /** The same over those that have held a record; null: there is none. */
  reached(): number | null {
    let least: number | null = null
    for (const clock of this.partitions.values())
      if (!clock.idle && clock.held) least = Math.min(least ?? Infinity, this.watermarkOf(clock))
    return least
  }
  /** Partitions whose watermark is further than that. */
  *beyond(limitMs: number): IterableIterator<number> {
    for (const [partition, clock] of this.partitions) if (this.watermarkOf(clock) > limitMs) yield partition
  }
  /** A partition that is held back is not silent. */
  notSilent(partition: number, nowMs: number): void {
    const clock = this.partitions.get(partition)
    if (clock !== undefined) clock.lastMs = this.at(nowMs)
  }
  /** The partition that holds the watermark back; null where there is but one active, or none. */
  slowest(): { partition: number; watermark: number } | null {
    let slowest: { partition: number; watermark: number } | null = null
    let active = 0
    for (const [partition, clock] of this.partitions) {
      if (clock.idle) continue
      active++
      const watermark = this.watermarkOf(clock)
      if (slowest === null || watermark < slowest.watermark) slowest = { partition, watermark }
    }
    return active > 1 ? slowest : null
  }
  /** For people who look: every partition known, with how long it has brought nothing, in ms of processing time. */
  all(nowMs: number): readonly (PartitionClock & { readonly partition: number; readonly silentMs: number })[] {
    return [...this.partitions].map(([partition, clock]) => ({
      ...clock,
      partition,
      silentMs: Math.max(0, this.at(nowMs) - clock.lastMs),
    }))
  }
  get future(): number {
    let sum = 0
    for (const clock of this.partitions.values()) sum += clock.future
    return sum
  }
  /** Puts what changed into the table. */
  save(): void {
    for (const [partition, clock] of this.partitions) {
      if (!clock.dirty) continue
      clock.dirty = false
      const id = clockKey(0, sourcePartition(this.source, partition))
      let row = this.table.find(id)
      if (row >= 0) this.table.touch(row)
      else row = this.table.add(id)
      this.table.numbers[row * 3] = clock.maxTimeMs
      this.table.numbers[row * 3 + 1] = clock.idle ? 1 : 0
      this.table.numbers[row * 3 + 2] = clock.future
    }
  }
  /** After an undo of the table: back to what it holds. Silence is counted on. */
  reload(): void {
    const known = [...this.partitions].map(([partition, clock]) => ({ partition, clock }))
    this.open(
      known.map(({ partition, clock }) => ({ partition, unread: clock.held && !this.isSaved(partition) })),
      0,
    )
    if (this.expected) this.expect()
    for (const { partition, clock } of known) this.partitions.get(partition)!.lastMs = clock.lastMs
  }
  private isSaved(partition: number): boolean {
    return this.table.find(clockKey(0, sourcePartition(this.source, partition))) >= 0
  }
}
