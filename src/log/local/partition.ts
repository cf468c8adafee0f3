/**
 * One partition as the log sees it: the store's bytes, and what is derived from their headers (producers, open and
 * aborted transactions), which a snapshot and a replay of headers bring back.
 *
 * Invariants
 * - Derived state belongs to the log's end. When a failed write or sync cuts the log back, the partition closes in the same
 *   turn and derives again from what is left; nothing is appended or read by the old state meanwhile.
 * - Whoever waits for an append waits for a `Mark`, not for an offset: after a cut the same offsets are given to others.
 * - Calls made while the partition opens are run in the order they came.
 * - high watermark = durable end (written end where the topic asks for it); stable = the high watermark, or the first
 *   offset of the oldest open transaction if that is smaller.
 * - An open transaction found on opening is settled by `resolve` at once: one whose owner is gone never blocks readers. A
 *   client's has its coordinator as owner, which ends it in time.
 *
 * Long because opening, appending, cutting and closing change the same derived state, each in one turn.
 */
import { AgeClock } from '../../lib/age-clock.ts'
import { assert } from '../../lib/assert.ts'
import type { Offset } from '../../lib/brand.ts'
import type { Lease } from '../../lib/buffer-pool.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import { type BatchHeader, attribute, readBatchHeader } from '../../store/batch-header.ts'
import type { PartitionLog } from '../../store/store.ts'
import type { Partition } from '../log.ts'
import { AbortedTransactions } from './aborted.ts'
import { loadCompaction } from './compaction/state.ts'
import { reserveKeptByEnds } from './system-topics.ts'
import { type Outcome, encodeMarker, outcomeOf } from './control-batch.ts'
import { ByteMarks } from './byte-marks.ts'
import { ProducerTable } from './producers.ts'
import { decodeProducers, encodeProducers } from './producer-snapshot.ts'
import { Replaced } from './replaced.ts'
import type { TopicPolicy } from './topic-config.ts'

export interface PartitionHost {
  readonly clock: Clock
  /** Bytes appended between two snapshots: what a restart reads headers of, at most. */
  readonly snapshotBytes: number
  /** What becomes of a transaction that a partition finds open: 'open' while its owner lives, null = nobody knows of it. */
  resolve(partition: PartitionState, producerId: number, epoch: number): Ending | 'open' | null
}
/** How a transaction ends, and the epoch that its markers carry. */
export interface Ending {
  readonly outcome: Outcome
  readonly markerEpoch: number
}
/** A place that the log gave out, everything before it included: it stands until the log is cut below it. */
export interface Mark {
  readonly end: Offset
  /** How often the log had been cut before. */
  readonly cuts: number
}
export interface Placed {
  readonly baseOffset: Offset
  readonly appendTimeMs: number
}

const snapshotName = 'producers'
const settleAgainMs = 200
/** Fewer bytes than this are read again faster than a snapshot of them is synced. */
const snapshotWorthBytes = 1024 * 1024
/** There is one coordinator, for ever. */
export const coordinatorEpoch = 0
/** Producer epochs are int16. */
export const epochMax = 0x7fff
export const afterEpoch = (epoch: number): number => Math.min(epoch + 1, epochMax)

export class PartitionState {
  readonly partition: Partition
  readonly topicId: string
  readonly log: PartitionLog
  policy: TopicPolicy
  table = new ProducerTable()
  aborted = new AbortedTransactions()
  readonly replaced = new Replaced()
  readonly #host: PartitionHost
  readonly #ages: AgeClock
  readonly #waiters = new Set<() => void>()
  readonly #stopListening: (() => void)[]
  #state: 'closed' | 'opening' | 'open' | 'gone' = 'closed'
  #isClosed = false
  #queue: { run: () => void; fail: (fault: Fault) => void }[] = []
  /** Where the derived state stands. */
  #end = -1
  /** Where the log ended after each cut that took something away. */
  readonly #cutEnds: Offset[] = []
  /** Transactions that ended behind damage, without a marker. */
  readonly #unwrittenEnds = new Set<string>()
  /** Aborted, with a marker that is not shown yet: readers that drop what was aborted want both in one answer. */
  #aborting: { readonly first: Offset; readonly marker: Offset }[] = []
  #settlesAgain = false
  #written: Offset
  #unsyncedRecords = 0
  readonly #marks = new ByteMarks()
  #bytesSinceSnapshot = 0

  constructor(
    host: PartitionHost,
    of: { partition: Partition; topicId: string; policy: TopicPolicy; log: PartitionLog },
  ) {
    this.#host = host
    this.#ages = new AgeClock(host.clock)
    this.partition = of.partition
    this.topicId = of.topicId
    this.policy = of.policy
    this.log = of.log
    this.#written = of.log.durable
    this.#stopListening = [of.log.onDurable(() => this.#advanced()), of.log.onCut((end) => this.#wasCut(end))]
  }

  get highWatermark(): Offset {
    return this.policy.ackBeforeSync && this.#written > this.log.durable ? this.#written : this.log.durable
  }
  get stable(): Offset {
    const visible = this.highWatermark
    const first = this.#firstUndecided(visible)
    if (first === null || first >= visible) return visible
    // Retention and DeleteRecords do not wait for transactions.
    return first < this.log.start ? this.log.start : first
  }
  /** Something is decided and not shown: its marker is on its way to the disk, or the disk takes none. Not known while it opens. */
  get isHeldUp(): boolean {
    if (this.#state !== 'open') return !this.gone
    if (this.stable >= this.highWatermark) return false
    return this.#aborting.length > 0 || this.#owed().length > 0
  }
  /** Transactions that are decided and have no marker. */
  #owed(): { producerId: number; epoch: number; ending: Ending }[] {
    return Array.from(this.table.openTransactions).flatMap(([producerId, { epoch }]) => {
      const ending = this.#ending(producerId, epoch)
      return ending === 'open' ? [] : [{ producerId, epoch, ending }]
    })
  }
  #firstUndecided(visible: Offset): Offset | null {
    let first = this.table.firstOpen()
    if (this.#aborting.length === 0) return first
    this.#aborting = this.#aborting.filter(({ marker }) => marker >= visible)
    for (const one of this.#aborting) if (first === null || one.first < first) first = one.first
    return first
  }
  /** Of the log's end as it is now. */
  get mark(): Mark {
    return this.markAt(this.log.end)
  }
  markAt(end: Offset): Mark {
    return { end, cuts: this.#cutEnds.length }
  }
  /** Is everything before the mark still what it was when the mark was made? */
  stands({ end, cuts }: Mark): boolean {
    for (let i = cuts; i < this.#cutEnds.length; i++) if (this.#cutEnds[i]! < end) return false
    return true
  }
  /** Bytes before the high watermark since the process began: what waiting readers count. */
  get visibleBytes(): number {
    this.#marks.pass(this.highWatermark)
    return this.#marks.passed
  }
  get gone(): boolean {
    return this.#state === 'gone'
  }

  /** Runs `call` on the open partition: now when it is open, else in turn once it is. Throws Fault log.unknown-topic. */
  perform<T>(call: () => T): T | Promise<T> {
    if (this.#state === 'open') return call()
    if (this.#state === 'gone') throw this.#goneFault()
    return new Promise<T>((resolve, reject) => {
      const run = (): void => {
        try {
          if (this.#state === 'gone') throw this.#goneFault()
          resolve(call())
        } catch (error) {
          reject(asFault(error))
        }
      }
      this.#queue.push({ run, fail: reject })
      if (this.#state !== 'opening') void this.#open()
    })
  }

  async #open(): Promise<void> {
    this.#state = 'opening'
    const { damage } = this.log
    try {
      // Damage that only now was found is no reason not to read what lies before it.
      await this.#deriveAll().catch((error: unknown) => {
        if (this.log.damage === damage) throw error
        return this.#deriveAll()
      })
    } catch (error) {
      if (this.gone) return this.#runQueue()
      this.#state = 'closed'
      this.#failQueue(asFault(error))
      return
    }
    if (this.gone) return this.#runQueue()
    this.#state = 'open'
    this.settle()
    this.#runQueue()
  }
  #runQueue(): void {
    const queue = this.#queue
    this.#queue = []
    for (const { run } of queue) run()
    this.#wake()
  }
  /** The partition could not be opened (a failing disk): every caller hears why, the next one tries again. */
  #failQueue(fault: Fault): void {
    const queue = this.#queue
    this.#queue = []
    for (const { fail } of queue) fail(fault)
  }

  /** Compaction that puts other segments in the place of those being read spoils what is derived from them. */
  async #deriveAll(): Promise<void> {
    const shape = (): string =>
      this.policy.compact
        ? this.log
            .sealed(this.log.end)
            .map(({ base, bytes }) => `${base}:${bytes}`)
            .join()
        : ''
    for (let before = shape(); ; before = shape()) {
      try {
        await this.#derive()
        if (this.gone || shape() === before) return
      } catch (error) {
        if (this.gone || shape() === before) throw error
      }
    }
  }
  /** Snapshot, then the headers after it. What was derived before stands until it is replaced as a whole. */
  async #derive(): Promise<void> {
    const { log } = this
    // Headers can be read of what is durable; a cut for want of space leaves more than that.
    while (log.durable < log.end && !this.gone) await this.#whenAllDurable()
    const saved = log.loadSnapshot(snapshotName)
    const state = saved === null ? null : decodeProducers(saved.bytes)
    const table = state?.table ?? new ProducerTable()
    const aborted = state?.aborted ?? new AbortedTransactions()
    const continued = new Set<number>()
    const from = state === null || saved === null ? log.start : saved.at
    const nowMs = this.#ages.stamp()
    const end = log.end
    let bytes = 0
    for (const stored of from < end ? log.headers(from) : []) {
      const header = readBatchHeader(stored)
      bytes += header.bytes
      if (header.baseOffset < from || header.producerId < 0) continue
      const baseOffset = header.baseOffset as Offset
      if ((header.attributes & attribute.control) !== 0) {
        const isWhole = stored.length >= header.bytes
        const outcome = isWhole ? outcomeOf(stored) : await this.#outcomeAt(baseOffset, header.bytes)
        if (outcome !== null) noteEnd(table, aborted, { header, outcome, marker: baseOffset, nowMs })
      } else {
        const appendTimeMs = (header.attributes & attribute.logAppendTime) !== 0 ? header.maxTimeMs : -1
        table.appended(header, { baseOffset, appendTimeMs, nowMs })
        continued.add(header.producerId)
      }
    }
    // Where compaction has been, everything was decided: what a snapshot calls open there has lost its marker since.
    const { claimedTo } = loadCompaction(log)
    for (const [producerId, { firstOffset }] of Array.from(table.openTransactions))
      if (firstOffset < claimedTo && !continued.has(producerId)) table.openTransactions.delete(producerId)
    aborted.trim(log.start)
    table.forgetSilent(this.#ages.now() - limits.producerIdleMs)
    this.table = table
    this.aborted = aborted
    this.#aborting = []
    this.#unwrittenEnds.clear()
    this.#bytesSinceSnapshot = bytes
    this.#end = end
    this.#written = log.durable
    this.#marks.clear()
    assert(end === log.end, 'nothing is appended to a partition, or cut from it, while it is opened')
  }
  async #whenAllDurable(): Promise<void> {
    const { end } = this.log
    try {
      await this.log.whenDurable(end)
    } catch (error) {
      // Cut once more: there is less to wait for.
      if (this.log.end === end) throw error
    }
  }
  /** What was derived from the appends behind `end` is worth nothing. */
  #wasCut(end: Offset): void {
    if (this.#written > end) this.#written = end
    if (end >= this.#end) return
    this.#cutEnds.push(end)
    this.#end = end
    this.#unsyncedRecords = 0
    if (this.#state !== 'open') return
    this.#state = 'closed'
    // Not inside of the store's turn; and at once, since markers may have been cut away that nobody else asks for.
    this.#host.clock.soon(() => this.#openSoon())
  }
  async #outcomeAt(offset: Offset, bytes: number): Promise<Outcome | null> {
    const [stored] = await this.log.read(offset, 1, (offset + 1) as Offset)
    return stored === undefined ? null : outcomeOf(stored.subarray(0, bytes))
  }
  #openSoon(): void {
    if (!this.gone) void Promise.resolve(this.perform(() => undefined)).catch(() => undefined)
  }
  /** Does this batch stand for good: of no transaction, or of one that is committed? */
  isCommitted(header: BatchHeader): boolean {
    if ((header.attributes & attribute.transactional) === 0) return true
    const { producerId, baseOffset } = header
    const open = this.table.openTransactions.get(producerId)
    if (open !== undefined && baseOffset >= open.firstOffset) {
      const ending = this.#ending(producerId, open.epoch)
      return ending !== 'open' && ending.outcome === 'commit'
    }
    const around = this.aborted.overlapping(baseOffset as Offset, (baseOffset + 1) as Offset)
    return !around.some((one) => one.producerId === producerId)
  }
  /** Is this batch of a transaction that its client has yet to end? */
  isOpen({ attributes, producerId, baseOffset }: BatchHeader): boolean {
    if ((attributes & attribute.transactional) === 0) return false
    const open = this.table.openTransactions.get(producerId)
    return open !== undefined && baseOffset >= open.firstOffset && this.#ending(producerId, open.epoch) === 'open'
  }
  /** What nobody knows of was never committed; or its marker lies behind damage, then nobody can tell. */
  #ending(producerId: number, epoch: number): Ending | 'open' {
    const found = this.#host.resolve(this, producerId, epoch)
    if (found !== null) return found
    return this.log.damage === null ? { outcome: 'abort', markerEpoch: afterEpoch(epoch) } : 'open'
  }
  /** Ends open transactions whose owner is gone or has decided. Only inside `perform`. */
  settle(): void {
    try {
      for (const { producerId, epoch, ending } of this.#owed()) this.endTransaction(producerId, epoch, ending)
    } catch {
      // The disk fails or is full: the markers can wait, readers stop before what has none.
      if (this.#settlesAgain) return
      this.#settlesAgain = true
      this.#host.clock.after(settleAgainMs, () => {
        this.#settlesAgain = false
        if (!this.gone) void Promise.resolve(this.perform(() => this.settle())).catch(() => undefined)
      })
    }
  }

  /** Appends a checked batch, which the lease is of. Only inside `perform`. Throws the store's Fault. */
  append(batch: Uint8Array, header: BatchHeader, lease: Lease | null = null, reserveKept?: number): Placed {
    if ((header.attributes & attribute.transactional) !== 0) this.#endFormer(header)
    const placed = this.log.append(batch, lease, reserveKept)
    this.#end = this.log.end
    this.table.appended(header, { ...placed, nowMs: this.#ages.stamp() })
    this.#noteAppend(header.bytes, header.recordCount)
    return placed
  }
  /** A marker that a failing disk held up comes before the next transaction of its producer, or the two would be one. */
  #endFormer({ producerId, producerEpoch }: BatchHeader): void {
    const former = this.table.openTransactions.get(producerId)
    if (former === undefined || former.epoch === producerEpoch || this.log.damage !== null) return
    const ending = this.#ending(producerId, former.epoch)
    assert(ending !== 'open', 'a producer has one transaction at a time')
    this.endTransaction(producerId, former.epoch, ending)
  }
  /**
   * Ends the transaction of this producer and epoch with a marker, if it is open. Returns the mark to wait for; null when
   * the end is known in memory only, since nothing can be appended behind damage: whoever has decided it must not forget
   * it, for the damage may be a disk that failed at this start and does not at the next. Only inside `perform`.
   */
  endTransaction(producerId: number, epoch: number, { outcome, markerEpoch }: Ending): Mark | null {
    const name = `${producerId}/${epoch}`
    if (this.table.openTransactions.get(producerId)?.epoch !== epoch)
      return this.#unwrittenEnds.has(name) ? null : this.mark
    if (this.log.damage === null) return this.appendMarker(producerId, { outcome, markerEpoch })
    this.#ended({ producerId, producerEpoch: markerEpoch }, outcome, this.log.end)
    this.#unwrittenEnds.add(name)
    return null
  }
  /** The same whether anything is open or not. */
  appendMarker(producerId: number, { outcome, markerEpoch }: Ending): Mark {
    const timeMs = this.#host.clock.now()
    const marker = encodeMarker({ producerId, epoch: markerEpoch, outcome, timeMs, coordinatorEpoch })
    const { baseOffset } = this.log.append(marker, null, reserveKeptByEnds)
    this.#end = this.log.end
    this.#ended({ producerId, producerEpoch: markerEpoch }, outcome, baseOffset)
    this.#noteAppend(marker.length, 1)
    this.#wake()
    return this.mark
  }
  #ended(header: Ender, outcome: Outcome, marker: Offset): void {
    const open = this.table.openTransactions.get(header.producerId)
    noteEnd(this.table, this.aborted, { header, outcome, marker, nowMs: this.#ages.stamp() })
    if (open === undefined || outcome !== 'abort' || this.log.damage !== null) return
    this.#aborting.push({ first: open.firstOffset, marker })
    // Readers are held up by it, also those that do not wait.
    this.log.wantDurable()
  }
  #noteAppend(bytes: number, records: number): void {
    this.#marks.append(this.log.end, bytes)
    this.#bytesSinceSnapshot += bytes
    this.#unsyncedRecords += records
    if (this.#waiters.size > 0 || this.#unsyncedRecords >= this.policy.flushMessages) {
      this.#unsyncedRecords = 0
      this.log.wantDurable()
    }
    if (this.policy.ackBeforeSync) this.#watchWritten(this.log.end)
    if (this.#bytesSinceSnapshot >= this.#host.snapshotBytes) void this.saveSnapshot().catch(() => undefined)
  }
  #watchWritten(end: Offset): void {
    this.log.whenWritten(end).then(
      () => {
        if (end > this.#written && end <= this.log.end) this.#written = end
        this.#wake()
      },
      () => undefined,
    )
  }

  /** As the store's; a failure has derived state belong to the cut log before the caller hears of it. */
  async whenDurable(mark: Mark): Promise<void> {
    try {
      if (!this.stands(mark)) throw this.#cutFault()
      await this.log.whenDurable(mark.end)
    } catch (error) {
      await Promise.resolve(this.perform(() => undefined)).catch(() => undefined)
      throw error
    }
  }
  /** As the store's. */
  async whenWritten(mark: Mark): Promise<void> {
    if (!this.stands(mark)) throw this.#cutFault()
    await this.log.whenWritten(mark.end)
  }
  #cutFault(): Fault {
    return new Fault('store.failed', { what: 'a write or a sync before it failed', path: this.log.dir })
  }
  /** Saves derived state, so that the next opening reads no header before this point. */
  async saveSnapshot(): Promise<void> {
    if (this.#state !== 'open' || this.#bytesSinceSnapshot < Math.min(snapshotWorthBytes, this.#host.snapshotBytes))
      return
    // What has ended behind damage has no marker yet, and a snapshot would say that it is over.
    if (this.log.damage !== null) return
    const at = this.log.end
    this.table.forgetSilent(this.#ages.now() - limits.producerIdleMs)
    this.aborted.trim(this.log.start)
    const bytes = encodeProducers(this.table, this.aborted)
    this.#bytesSinceSnapshot = 0
    await this.log.whenDurable(at)
    await this.log.saveSnapshot(snapshotName, at, bytes)
  }

  get wallMs(): number {
    return this.#host.clock.now()
  }
  configure(policy: TopicPolicy): void {
    this.policy = policy
    this.log.configure(policy.store)
    this.#wake()
  }
  /** `wake` is called when more may be visible, or the partition is gone. Returns the way to stop. */
  watch(wake: () => void): () => void {
    this.#waiters.add(wake)
    if (this.log.end > this.log.durable) this.log.wantDurable()
    return () => this.#waiters.delete(wake)
  }
  /** The topic was removed: waiting readers and queued calls learn it. */
  remove(): void {
    this.#leave()
  }
  /** The log closes: the same, with that reason. */
  close(): void {
    this.#isClosed = true
    this.#leave()
  }
  #leave(): void {
    this.#state = 'gone'
    for (const stop of this.#stopListening) stop()
    this.#runQueue()
  }
  #goneFault(): Fault {
    return this.#isClosed
      ? new Fault('log.closed', { what: 'the log' })
      : new Fault('log.unknown-topic', { topic: this.partition.topic })
  }
  #advanced(): void {
    if (this.log.durable === this.log.end) this.#unsyncedRecords = 0
    this.#marks.pass(this.highWatermark)
    this.#wake()
  }
  #wake(): void {
    // A waiter that is done takes itself out; one that comes meanwhile is told as well.
    for (const wake of this.#waiters) wake()
  }
}

type Ender = Pick<BatchHeader, 'producerId' | 'producerEpoch'>
/** A marker stands in the log. */
function noteEnd(
  table: ProducerTable,
  aborted: AbortedTransactions,
  of: { header: Ender; outcome: Outcome; marker: Offset; nowMs: number },
): void {
  const { producerId, producerEpoch } = of.header
  const first = table.ended(producerId, producerEpoch, of.nowMs)
  if (of.outcome === 'abort' && first !== null) aborted.add({ producerId, first, last: of.marker })
}
