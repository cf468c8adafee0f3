/**
 * One partition as a group's queue, with what the state machine has not: the log that is read, the disk, and time. One
 * acquisition at a time; what becomes of records does not wait for it.
 */
import type { Offset } from '../../lib/brand.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import { readBatchHeader } from '../../store/batch-header.ts'
import { DeadlineTimer } from '../deadline-timer.ts'
import type { RecordInput } from '../batch.ts'
import type { Journal } from '../journal.ts'
import type { Batch, Partition } from '../log.ts'
import { DeadLetters } from './dead-letters.ts'
import { KeyOrder, type Plan } from './key-order.ts'
import { type Change, type Extent, QueuePartition, type Read, type TakeOptions } from './queue-partition.ts'
import type { AcquireRequest, Acquired, AcquiredRange, QueueRef, QueueSettings, Settlement } from './queues.ts'
import { type StoredQueue, queueRecord } from './records.ts'

export interface Slice {
  /** First offset that the log still has. */
  readonly start: Offset
  /** Where to go on. */
  readonly next: Offset
  /** Without markers and, where only committed ones are read, without aborted ones. */
  readonly batches: readonly Batch[]
  readonly bytes: number
  readonly release: () => void
}
/** The log, as queues use it. */
export interface QueuesHost {
  readonly clock: Clock
  topic(id: string): { readonly name: string; readonly partitions: number } | null
  settings(group: string): QueueSettings
  /** At least one batch if there is one. Throws Fault log.offset-out-of-range and the store's. */
  read(of: Partition, from: Offset, by: { committedOnly: boolean; bytesMax: number }): Promise<Slice>
  /** `end`: first offset that is not visible. */
  bounds(of: Partition): Promise<{ readonly start: Offset; readonly end: Offset }>
  /** The first record at or after that time. */
  findTime(of: Partition, timeMs: number): Promise<Offset | null>
  /** `wake` is called when more may be visible. Throws when there is no such partition. */
  watch(of: Partition, wake: () => void): () => void
  /** To the topic of dead letters, which is made when it is not there. Durable when it resolves. */
  bury(topic: string, index: number, records: readonly RecordInput[]): Promise<void>
}

/** What one acquisition may still take. */
export interface Left {
  records: number
  bytes: number
  isFirst: boolean
}
/** Reads that find nothing to give out (aborted transactions, gaps) before others get their turn. */
const readsMax = 64
/** Read at once of a window whose keys are not known. */
const learnBytes = 1024 * 1024

export class Queue {
  readonly group: string
  readonly of: QueueRef
  machine = new QueuePartition()
  /** Rises with each snapshot, as Kafka counts them. */
  snapshotEpoch = 0
  /** Told when there may be something to acquire that was not there before. */
  readonly waiters = new Set<() => void>()
  readonly #host: QueuesHost
  readonly #journal: Journal
  readonly #timer: DeadlineTimer
  readonly #deadLetters: DeadLetters
  readonly #keys: KeyOrder
  #turn: Promise<unknown> = Promise.resolve()
  #beginning: Promise<void> | null = null
  #closed = false

  constructor(host: QueuesHost, journal: Journal, at: { group: string; of: QueueRef }) {
    this.#host = host
    this.#journal = journal
    this.group = at.group
    this.of = at.of
    this.#deadLetters = new DeadLetters(host, at.group)
    this.#keys = new KeyOrder()
    this.#timer = new DeadlineTimer(host.clock, {
      nextMs: () => this.machine.nextMs(this.#nowMs),
      pass: (nowMs) => this.#pass(nowMs),
    })
  }
  get #nowMs(): number {
    return this.#host.clock.monotonic()
  }
  get settings(): QueueSettings {
    return this.#host.settings(this.group)
  }
  /** Throws Fault log.unknown-topic, log.unknown-partition. */
  get partition(): Partition {
    const { topicId, index } = this.of
    const topic = this.#host.topic(topicId)
    if (topic === null) throw new Fault('log.unknown-topic', { topic: topicId })
    if (index < 0 || index >= topic.partitions)
      throw new Fault('log.unknown-partition', { topic: topic.name, partition: index })
    return { topic: topic.name, index }
  }
  news(): void {
    for (const wake of this.waiters) wake()
  }

  // --- giving out

  /** null: nothing now. */
  acquire(request: AcquireRequest, left: Left): Promise<Acquired | null> {
    const mine = this.#turn.then(() => this.#acquire(request, left))
    this.#turn = mine.catch(() => undefined)
    return mine
  }
  async #acquire(request: AcquireRequest, left: Left): Promise<Acquired | null> {
    const { partition, settings } = this
    await this.begin()
    if (settings.orderByKey) return this.#acquireByKey(partition, request, left)
    for (let reads = 0; reads < readsMax; reads++) {
      const from = this.#nextOffset(settings)
      if (from === null) return null
      const slice = await this.#read(partition, from, { settings, left })
      if (slice === null) continue
      const read = readOf(from, slice)
      const ranges = this.machine.take(read, this.#options(request, left, settings))
      if (ranges.length > 0) return await this.#given(request, { read, slice, ranges, left })
      slice.release()
      if (slice.next === from || left.bytes <= 0) return null
    }
    return null
  }
  #nextOffset({ locksMax }: QueueSettings): number | null {
    const { machine } = this
    return machine.nextAvailable(this.#nowMs) ?? (machine.open < locksMax ? machine.end : null)
  }
  #options(request: AcquireRequest, left: Left, settings: QueueSettings): TakeOptions {
    return {
      member: request.member,
      recordsMax: left.records,
      exact: request.exact,
      locksMax: settings.locksMax,
      nowMs: this.#nowMs,
      rules: settings,
      lockMs: request.lockMs ?? settings.lockMs,
      wallMs: settings.keepsFirst === true ? this.#host.clock.now() : 0,
    }
  }
  /** null: the log begins later by now, or the queue has begun anew; look again. */
  async #read(partition: Partition, from: number, by: { settings: QueueSettings; left: Left }): Promise<Slice | null> {
    const { settings, left } = by
    const { machine } = this
    const bytesMax = Math.max(1, left.bytes)
    try {
      const slice = await this.#host.read(partition, from as Offset, {
        committedOnly: settings.committedOnly,
        bytesMax,
      })
      this.machine.trim(slice.start)
      if (from < slice.start || machine !== this.machine) {
        slice.release()
        return null
      }
      if (left.isFirst || slice.bytes <= bytesMax) return slice
      slice.release()
      return { ...slice, next: from as Offset, batches: [], bytes: 0, release: () => undefined }
    } catch (error) {
      const { start } = await this.#host.bounds(partition)
      if (asFault(error).code !== 'log.offset-out-of-range' || start <= from) throw error
      this.machine.trim(start)
      return null
    }
  }
  async #given(
    request: AcquireRequest,
    by: { read: Read; slice: Slice; ranges: readonly AcquiredRange[]; left: Left },
  ): Promise<Acquired | null> {
    const { slice, ranges, left, read } = by
    const { machine } = this
    const fault = await this.#keepLocks(ranges)
    if (fault !== null || machine !== this.machine) {
      slice.release()
      if (fault !== null) throw fault
      return null
    }
    const batches = slice.batches.filter((batch) => {
      const header = readBatchHeader(batch)
      const last = header.baseOffset + header.lastOffsetDelta
      return ranges.some((range) => range.first <= last && header.baseOffset <= range.last)
    })
    for (const range of ranges) left.records -= range.last - range.first + 1
    for (const batch of batches) left.bytes -= batch.length
    left.isFirst = false
    this.#timer.set()
    return {
      of: this.of,
      epoch: machine.stateEpoch,
      batches,
      ranges: ranges.flatMap((range) => pieces(range, read.extents, request.rangeRecords)),
      fault: null,
      release: slice.release,
    }
  }

  /** A lock that could not be kept ends as any other does. */
  async #keepLocks(ranges: readonly Extent[]): Promise<Fault | null> {
    if (!this.settings.keepsLocks || ranges.length === 0) return null
    this.#timer.set()
    return this.#journal.write([this.#record(this.machine.storedLocks(ranges, this.#times), false)], () => undefined)
  }

  // --- in the order of keys

  async #acquireByKey(partition: Partition, request: AcquireRequest, left: Left): Promise<Acquired | null> {
    const { settings } = this
    for (let reads = 0; reads < readsMax; reads++) {
      const unknown = this.#keys.firstUnknown(this.machine)
      if (unknown !== null) {
        await this.#learn(partition, unknown, { settings, left, grows: false })
        if (this.#keys.firstUnknown(this.machine) === unknown) return null
        continue
      }
      const [first] = this.#plan(request).free
      if (first !== undefined) {
        const slice = await this.#read(partition, first.first, { settings, left })
        if (slice === null) continue
        const read = readOf(first.first, slice)
        const { free, late } = this.#plan(request)
        if (free[0] !== undefined && free[0].first < first.first) {
          // It was given back meanwhile, and what was read begins behind it.
          slice.release()
          continue
        }
        const there = common(free, read.extents)
        const ranges = this.machine.takeOnly(there, this.#options(request, left, settings))
        if (ranges.length > 0) {
          this.#keys.given(ranges, request.keyHolder ?? null)
          // What is behind them and was out is nobody's from now on.
          void this.#commit(this.machine.withdraw(late))
          return await this.#given(request, { read, slice, ranges, left })
        }
        slice.release()
        if (slice.next === first.first || left.bytes <= 0) return null
        // It may go out, and is not there: compaction has taken it since its key was learned.
        if (free[0]?.first === first.first && there[0]?.first !== first.first)
          this.machine.skip(first.first, first.first)
        continue
      }
      const { end } = this.machine
      if (this.machine.open >= settings.locksMax) return null
      await this.#learn(partition, end, { settings, left, grows: true })
      if (this.machine.end === end) return null
    }
    return null
  }
  #plan({ keyHolder }: AcquireRequest): Plan {
    const { locksMax } = this.settings
    return this.#keys.plan(this.machine, { holder: keyHolder ?? null, locksMax, nowMs: this.#nowMs })
  }
  /** Reads what `inOrder` has to know of the window. */
  learn(): Promise<void> {
    if (!this.settings.orderByKey || this.#keys.firstUnknown(this.machine) === null) return Promise.resolve()
    const mine = this.#turn.then(() => this.#learnAll())
    this.#turn = mine.catch(() => undefined)
    return mine
  }
  async #learnAll(): Promise<void> {
    const left: Left = { records: Infinity, bytes: learnBytes, isFirst: true }
    for (let from = this.#keys.firstUnknown(this.machine); from !== null;) {
      await this.#learn(this.partition, from, { settings: this.settings, left, grows: false })
      const next = this.#keys.firstUnknown(this.machine)
      if (next === from) return
      from = next
    }
  }
  /** Of each, whether all older ones of its key are done with, or are among them. */
  inOrder(offsets: readonly number[]): boolean[] {
    if (!this.settings.orderByKey) return offsets.map(() => true)
    const early = this.#keys.early(this.machine, offsets)
    return offsets.map((offset) => !early.has(offset))
  }
  async #learn(
    partition: Partition,
    from: number,
    by: { settings: QueueSettings; left: Left; grows: boolean },
  ): Promise<void> {
    const slice = await this.#read(partition, from, by)
    if (slice === null) return
    try {
      const room = by.grows ? by.settings.locksMax - this.machine.open : 0
      this.#keys.learn(this.machine, { from, next: slice.next, batches: slice.batches }, room)
    } finally {
      slice.release()
    }
  }

  // --- where it begins

  /** Once it resolves, where the group begins is durable. Throws Fault. */
  begin(): Promise<void> {
    if (this.#beginning === null && this.machine.start !== null) return Promise.resolve()
    this.#beginning ??= this.#begin().finally(() => (this.#beginning = null))
    return this.#beginning
  }
  async #begin(): Promise<void> {
    if (this.machine.start !== null) return
    const start = await this.#startBy(this.partition, this.settings.reset)
    if (this.machine.start !== null) return
    const { machine } = this
    machine.begin(start)
    const fault = await this.#journal.write([this.snapshot()], () => machine.unbegin())
    if (fault !== null) throw fault
  }
  async #startBy(partition: Partition, reset: QueueSettings['reset']): Promise<number> {
    const { start, end } = await this.#host.bounds(partition)
    if (reset === 'earliest') return start
    if (reset === 'latest') return end
    return (await this.#host.findTime(partition, this.#host.clock.now() - reset.agoMs)) ?? end
  }
  /** It begins there at once; for good when the record is durable. */
  reset(offset: Offset, over: readonly Extent[] = []): { readonly record: RecordInput; readonly undo: () => void } {
    const before = this.machine
    this.#swap(new QueuePartition())
    this.machine.stateEpoch = before.stateEpoch + 1
    this.machine.begin(offset, over)
    return { record: this.snapshot(), undo: () => this.#swap(before) }
  }
  #swap(machine: QueuePartition): void {
    this.machine = machine
    this.#keys.forget()
    this.#timer.set()
  }

  // --- what became of it

  /** null when it is durable; else nothing changed. */
  async settle(member: string, settlements: readonly Settlement[]): Promise<Fault | null> {
    try {
      const by = { rules: this.settings, nowMs: this.#nowMs }
      const change = this.machine.settle(member, settlements, by)
      const kept = this.#keepLocks(change.renewed)
      return (await this.#commit(change)) ?? (await kept)
    } catch (error) {
      return asFault(error)
    }
  }
  isHeld(member: string, at: { offset: number; deliveries?: number; epoch?: number }): boolean {
    return (
      (at.epoch ?? this.machine.stateEpoch) === this.machine.stateEpoch &&
      at.offset >= (this.machine.start ?? 0) &&
      this.machine.isHeld(member, at.offset, at.deliveries, this.#nowMs)
    )
  }
  release(member: string): Promise<Fault | null> {
    return this.#commit(this.machine.release(member, this.settings, this.#nowMs))
  }
  #pass(nowMs: number): void {
    if (this.#closed) return
    const change = this.machine.expire(this.settings, nowMs)
    if (change.isEmpty) this.news()
    else void this.#commit(change)
  }
  async #commit(change: Change): Promise<Fault | null> {
    this.#timer.set()
    if (change.isEmpty) return null
    const { machine } = this
    const undo = (): void => {
      machine.undo(change, this.#nowMs)
      this.#timer.set()
    }
    const { deadLetter } = this.settings
    try {
      if (deadLetter !== null && change.dead.length > 0)
        await this.#deadLetters.bury(this.partition, change.dead, deadLetter)
    } catch (error) {
      undo()
      return asFault(error)
    }
    if (machine !== this.machine) return new Fault('log.record-not-held', { offset: change.runs[0]!.first, member: '' })
    change.queued = true
    const fault = await this.#journal.write([this.#record(machine.storedChange(change, this.#times), false)], undo)
    if (fault !== null) return fault
    machine.settled(change)
    this.#timer.set()
    this.news()
    return null
  }

  // --- stored

  get #times(): { nowMs: number; wallMs: number } {
    return { nowMs: this.#nowMs, wallMs: this.#host.clock.now() }
  }
  /** All of its state as one record. */
  snapshot(): RecordInput {
    this.snapshotEpoch++
    return this.#record(this.machine.stored(this.#times, this.settings.keepsLocks), true)
  }
  tombstone(): RecordInput {
    return this.#record(null, true)
  }
  #record(stored: StoredQueue | null, isSnapshot: boolean): RecordInput {
    const at = { group: this.group, of: this.of, isSnapshot }
    return queueRecord(at, stored, { snapshotEpoch: this.snapshotEpoch, timeMs: this.#host.clock.now() })
  }
  restore(stored: StoredQueue, isAll: boolean): void {
    this.machine.restore(stored, isAll, this.#times)
  }
  start(): void {
    this.#timer.set()
  }
  close(): void {
    this.#closed = true
    this.#timer.stop()
    this.news()
  }
}

/** Where the batches of a slice lie, from `from` on. */
function readOf(from: number, { next, batches }: Slice): Read {
  const extents: Extent[] = []
  for (const batch of batches) {
    const header = readBatchHeader(batch)
    const last = header.baseOffset + header.lastOffsetDelta
    if (last >= from) extents.push({ first: Math.max(from, header.baseOffset), last })
  }
  return { from, next, extents }
}
/** Where both lie; each is sorted. */
function common(some: readonly Extent[], others: readonly Extent[]): Extent[] {
  const found: Extent[] = []
  let at = 0
  for (const one of some)
    for (; at < others.length && others[at]!.first <= one.last; at++) {
      const first = Math.max(one.first, others[at]!.first)
      const last = Math.min(one.last, others[at]!.last)
      if (first <= last) found.push({ first, last })
      if (others[at]!.last > one.last) break
    }
  return found
}
/** A range in pieces of whole extents, each of about so many records. */
function pieces(range: AcquiredRange, extents: readonly Extent[], records: number): AcquiredRange[] {
  const { deliveries, spared, firstMs } = range
  const found: { first: number; last: number }[] = []
  for (const extent of extents) {
    const first = Math.max(range.first, extent.first)
    const last = Math.min(range.last, extent.last)
    if (first > last) continue
    const known = found.at(-1)
    if (known !== undefined && last - known.first + 1 <= records) known.last = last
    else found.push({ first, last })
  }
  return found.map(({ first, last }) => ({ first: first as Offset, last: last as Offset, deliveries, spared, firstMs }))
}
