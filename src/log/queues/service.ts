/**
 * All queues of a log. What becomes of records is written to `__share_group_state`, changes of all queues together. When
 * much has been written, every queue's state is written anew and what lies before is forgotten: what a restart reads is
 * bounded by what there is, not by what has been.
 */
import type { Offset } from '../../lib/brand.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { decodeBatch, type LogRecord, type RecordInput } from '../batch.ts'
import { Journal } from '../journal.ts'
import { Queue, type Left, type QueuesHost } from './queue.ts'
import type {
  AcquireRequest,
  Acquired,
  OffsetRange,
  QueuePosition,
  QueueRef,
  QueueSettings,
  QueueState,
  Queues,
  ReceivedRecord,
  Settlement,
} from './queues.ts'
import { readQueueRecord } from './records.ts'

/** The partition that states are kept in. */
export interface QueueStateLog {
  /** Resolves with where the records begin when they are durable. */
  append(records: readonly RecordInput[]): Promise<Offset>
  /** Forgets everything before the offset. */
  trim(to: Offset): Promise<void>
}
export interface QueueServiceOptions {
  readonly host: QueuesHost
  readonly state: QueueStateLog
  /** Bytes of changes after which states are written anew, at least: as many as the states have, if those are more. */
  readonly rewriteBytes?: number
  /** Told of what goes wrong where no caller can be. */
  readonly onFault?: (fault: Fault) => void
}
const rewriteBytesDefault = 4 * 1024 * 1024
const recordOverhead = 20
const sizeOf = (records: readonly RecordInput[]): number =>
  records.reduce((sum, { key, value }) => sum + recordOverhead + (key?.length ?? 0) + (value?.length ?? 0), 0)

export class QueueService implements Queues {
  readonly #host: QueuesHost
  readonly #state: QueueStateLog
  readonly #journal: Journal
  readonly #options: QueueServiceOptions
  readonly #groups = new Map<string, Map<string, Queue>>()
  readonly #configured = new Map<string, QueueSettings>()
  #count = 0
  /** Written since states were last written anew, and what they had then. */
  #written = 0
  #rewrittenBytes = 0
  #rewriting = false
  #closed = false

  constructor(options: QueueServiceOptions) {
    const { host } = options
    this.#host = { ...host, settings: (group) => this.#configured.get(group) ?? host.settings(group) }
    this.#state = options.state
    this.#options = options
    this.#journal = new Journal((records) => this.#append(records))
  }
  settings(group: string): QueueSettings {
    return this.#host.settings(group)
  }
  configure(group: string, settings: QueueSettings | null): void {
    if (settings === null) this.#configured.delete(group)
    else this.#configured.set(group, settings)
    for (const queue of this.#groups.get(group)?.values() ?? []) queue.news()
  }

  // --- giving out

  async acquire(request: AcquireRequest, signal?: AbortSignal): Promise<Acquired[]> {
    const { clock } = this.#host
    const untilMs = clock.monotonic() + request.waitMs
    const { queues, failed: unknown } = this.#openAll(request)
    for (;;) {
      // Before it looks: what comes while it looks is news.
      const news = new News(clock, () => this.#closed)
      const failed = [...unknown, ...queues.flatMap((queue) => news.of(queue, this.#host))]
      try {
        const found = [...failed, ...(await this.#acquireOnce(queues, request, failed))]
        const leftMs = untilMs - clock.monotonic()
        if (found.length > 0 || leftMs <= 0 || signal?.aborted === true || queues.length === 0) return found
        if (this.#closed) throw closed()
        await news.wait(leftMs, signal)
      } finally {
        news.stop()
      }
    }
  }
  #openAll({ group, of: refs }: AcquireRequest): { queues: Queue[]; failed: Acquired[] } {
    const queues: Queue[] = []
    const failed: Acquired[] = []
    for (const of of refs)
      try {
        queues.push(this.#open(group, of))
      } catch (error) {
        failed.push(nothing(of, asFault(error)))
      }
    return { queues, failed }
  }
  async #acquireOnce(
    queues: readonly Queue[],
    request: AcquireRequest,
    failed: readonly Acquired[],
  ): Promise<Acquired[]> {
    // All at once: a group that begins to read many partitions shares a sync for them.
    await Promise.all(queues.map((queue) => queue.begin().catch(() => undefined)))
    const left: Left = { records: request.recordsMax, bytes: request.bytesMax, isFirst: true }
    const found: Acquired[] = []
    for (const queue of queues) {
      if (left.records <= 0 || left.bytes <= 0) break
      if (failed.some(({ of }) => of === queue.of)) continue
      try {
        const acquired = await queue.acquire(request, left)
        if (acquired !== null) found.push(acquired)
      } catch (error) {
        found.push(nothing(queue.of, asFault(error)))
      }
    }
    return found
  }
  async receive(
    request: Omit<AcquireRequest, 'rangeRecords' | 'exact'>,
    signal?: AbortSignal,
  ): Promise<ReceivedRecord[]> {
    const { clock } = this.#host
    const untilMs = clock.monotonic() + request.waitMs
    for (;;) {
      const waitMs = Math.max(0, untilMs - clock.monotonic())
      const asked = { ...request, waitMs, exact: true, rangeRecords: request.recordsMax }
      const acquired = await this.acquire(asked, signal)
      const received = await this.#decodeAll(request, acquired)
      // Batches that compaction has emptied hold nothing: what comes behind them is as good as there.
      if (received.length > 0 || acquired.length === 0) return received
    }
  }
  async #decodeAll(
    request: { group: string; member: string },
    acquired: readonly Acquired[],
  ): Promise<ReceivedRecord[]> {
    const received: ReceivedRecord[] = []
    let fault: Fault | null = null
    for (const one of acquired)
      try {
        if (one.fault !== null) throw one.fault
        received.push(...(await this.#decode(request, one)))
      } catch (error) {
        fault ??= asFault(error)
      } finally {
        one.release()
      }
    if (received.length === 0 && fault !== null) throw fault
    return received
  }
  async #decode(request: { group: string; member: string }, acquired: Acquired): Promise<ReceivedRecord[]> {
    const { of, ranges } = acquired
    const found: ReceivedRecord[] = []
    const gaps: Settlement[] = []
    const records = acquired.batches.flatMap((batch) => decodeBatch(batch)).map(ownRecord)
    for (const { first, last, deliveries, firstMs } of ranges) {
      let at = first as number
      for (const record of records) {
        if (record.offset < at || record.offset > last) continue
        if (record.offset > at) gaps.push({ first: at, last: record.offset - 1, outcomes: ['gap'] })
        found.push({ of, ...record, deliveries, firstMs })
        at = record.offset + 1
      }
      if (at <= last) gaps.push({ first: at, last, outcomes: ['gap'] })
    }
    if (gaps.length === 0) return found
    const [fault] = await this.settle(request.group, request.member, [{ of, settlements: gaps }])
    if (fault instanceof Fault && found.length === 0) throw fault
    return found
  }

  // --- what became of it

  settle(
    group: string,
    member: string,
    of: readonly { readonly of: QueueRef; readonly settlements: readonly Settlement[] }[],
  ): Promise<(Fault | null)[]> {
    return Promise.all(
      of.map(async (one) => {
        if (this.#closed) return closed()
        const queue = this.#find(group, one.of)
        if (queue === null) return new Fault('log.record-not-held', { offset: one.settlements[0]?.first ?? 0, member })
        return queue.settle(member, one.settlements)
      }),
    )
  }
  held(
    group: string,
    member: string,
    of: QueueRef,
    deliveries: readonly { readonly offset: number; readonly deliveries?: number; readonly epoch?: number }[],
  ): boolean[] {
    const queue = this.#find(group, of)
    return deliveries.map((one) => queue?.isHeld(member, one) === true)
  }
  async learn(group: string, of: QueueRef): Promise<void> {
    await this.#find(group, of)?.learn()
  }
  inOrder(group: string, of: QueueRef, offsets: readonly number[]): boolean[] {
    return this.#find(group, of)?.inOrder(offsets) ?? offsets.map(() => true)
  }
  async release(group: string, member: string, of?: readonly QueueRef[]): Promise<void> {
    const wanted = of === undefined ? null : new Set(of.map(keyOf))
    const queues = [...(this.#groups.get(group)?.values() ?? [])].filter(
      (queue) => wanted === null || wanted.has(keyOf(queue.of)),
    )
    await Promise.all(queues.map((queue) => queue.release(member)))
  }

  // --- administration

  async positions(group: string): Promise<QueuePosition[]> {
    const queues = [...(this.#groups.get(group)?.values() ?? [])]
    const found = queues.map(async (queue): Promise<QueuePosition | null> => {
      const topic = this.#host.topic(queue.of.topicId)
      if (topic === null) return null
      const { machine, of } = queue
      const { start, over } = machine
      if (start === null) return { of, start: null, lag: null }
      const bounds = await this.#host.bounds({ topic: topic.name, index: of.index })
      const from = Math.max(start, bounds.start) as Offset
      return { of, start: from, lag: Math.max(0, bounds.end - from - over) }
    })
    return (await Promise.all(found)).filter((one) => one !== null)
  }
  async reset(
    group: string,
    to: readonly { readonly of: QueueRef; readonly offset: Offset; readonly over?: readonly OffsetRange[] }[],
  ): Promise<void> {
    if (this.#closed) throw closed()
    const queues = to.map(({ of }) => this.#open(group, of))
    const resets = to.map(({ offset, over }, i) => queues[i]!.reset(offset, over))
    // One entry of the journal: after a crash all of it is so, or nothing.
    const fault = await this.#journal.write(
      resets.map(({ record }) => record),
      () => {
        for (const { undo } of resets.toReversed()) undo()
      },
    )
    if (fault !== null) throw fault
    for (const queue of queues) queue.news()
  }
  states(group: string): QueueState[] {
    const found: QueueState[] = []
    for (const { of, machine } of this.#groups.get(group)?.values() ?? [])
      if (machine.start !== null) found.push({ of, start: machine.start as Offset, over: machine.overRanges })
    return found
  }
  async forget(group: string, topicIds: readonly string[] | null): Promise<void> {
    const fault = await this.#forget((queue) => {
      const isOfGroup = queue.group === group
      return isOfGroup && (topicIds === null || topicIds.includes(queue.of.topicId))
    })
    if (fault !== null) throw fault
  }
  /** States in topics that are gone mean nothing any more. After a failure the next start tries again. */
  async forgetRemoved(): Promise<void> {
    await this.#forget(({ of }) => this.#host.topic(of.topicId) === null)
  }
  /** They come back when that cannot be stored. */
  async #forget(which: (queue: Queue) => boolean): Promise<Fault | null> {
    const gone = [...this.#all()].filter(which)
    if (gone.length === 0) return null
    for (const queue of gone) this.#drop(queue)
    const back = (): void => {
      for (const queue of gone) if (this.#find(queue.group, queue.of) === null) this.#put(queue)
    }
    const fault = await this.#journal.write(
      gone.map((queue) => queue.tombstone()),
      back,
    )
    if (fault === null) for (const queue of gone) queue.close()
    return fault
  }
  /** Topics that the group has begun to read. */
  topicsOf(group: string): Set<string> {
    return new Set(Array.from(this.#groups.get(group)?.values() ?? [], ({ of }) => of.topicId))
  }

  // --- which there are

  #find(group: string, of: QueueRef): Queue | null {
    return this.#groups.get(group)?.get(keyOf(of)) ?? null
  }
  /** Throws Fault log.unknown-topic, log.unknown-partition. */
  #open(group: string, of: QueueRef): Queue {
    const found = this.#find(group, of)
    if (found !== null) return found
    const queue = this.#make(group, of)
    void queue.partition
    if (this.#count >= limits.queues) throw new Fault('log.too-many-queues', { queuesMax: limits.queues })
    this.#put(queue)
    return queue
  }
  #make(group: string, of: QueueRef): Queue {
    return new Queue(this.#host, this.#journal, { group, of })
  }
  #put(queue: Queue): void {
    let queues = this.#groups.get(queue.group)
    if (queues === undefined) this.#groups.set(queue.group, (queues = new Map()))
    queues.set(keyOf(queue.of), queue)
    this.#count++
  }
  #drop(queue: Queue): void {
    const queues = this.#groups.get(queue.group)
    if (queues?.delete(keyOf(queue.of)) === true) this.#count--
    if (queues?.size === 0) this.#groups.delete(queue.group)
  }
  *#all(): Iterable<Queue> {
    for (const queues of this.#groups.values()) yield* queues.values()
  }

  // --- stored

  async #append(records: readonly RecordInput[]): Promise<Offset> {
    const at = await this.#state.append(records)
    this.#written += sizeOf(records)
    const bytesMax = Math.max(this.#options.rewriteBytes ?? rewriteBytesDefault, this.#rewrittenBytes)
    if (this.#written > bytesMax && !this.#rewriting && !this.#closed) {
      this.#rewriting = true
      // Not inside of the journal's turn: it takes its own.
      this.#host.clock.soon(() => void this.#rewrite())
    }
    return at
  }
  async #rewrite(): Promise<void> {
    try {
      const records = Array.from(this.#all(), (queue) => queue.snapshot())
      this.#written = 0
      this.#rewrittenBytes = sizeOf(records)
      const at = await this.#journal.place(records)
      if (at instanceof Fault) throw at
      if (at !== null) await this.#state.trim(at)
    } catch (error) {
      if (!this.#closed) this.#options.onFault?.(asFault(error))
    } finally {
      this.#rewriting = false
    }
  }
  restore(record: LogRecord): void {
    const said = readQueueRecord(record)
    if (said === null) return
    const { group, of, isSnapshot } = said.at
    if (said.stored === null) {
      const gone = this.#find(group, of)
      if (gone !== null) this.#drop(gone)
      return
    }
    // A change of a queue that is gone by now: it was written before the queue's end, or the queue is not begun anew.
    if (!isSnapshot && this.#find(group, of) === null) return
    let queue = this.#find(group, of)
    if (queue === null) this.#put((queue = this.#make(group, of)))
    queue.snapshotEpoch = said.snapshotEpoch
    queue.restore(said.stored, isSnapshot)
  }
  start(): void {
    for (const queue of this.#all()) queue.start()
    void this.forgetRemoved()
  }
  close(): void {
    this.#closed = true
    this.#journal.close()
    for (const queue of this.#all()) queue.close()
  }
}

const closed = (): Fault => new Fault('log.closed', { what: 'the log' })
const keyOf = ({ topicId, index }: QueueRef): string => `${topicId}/${index}`
const nothing = (of: QueueRef, fault: Fault): Acquired => ({
  of,
  batches: [],
  ranges: [],
  epoch: 0,
  fault,
  release: () => undefined,
})
/** The bytes of the batch go back to the log. */
function ownRecord({
  offset,
  timeMs,
  key,
  value,
  headers,
}: LogRecord): Omit<ReceivedRecord, 'of' | 'deliveries' | 'firstMs'> {
  return {
    offset,
    timeMs,
    key: key && new Uint8Array(key),
    value: value && new Uint8Array(value),
    headers: headers.map(([name, bytes]) => [name, bytes && new Uint8Array(bytes)]),
  }
}

/** Whether something came since somebody began to look. */
class News {
  readonly #clock: QueuesHost['clock']
  readonly #isClosed: () => boolean
  readonly #stops: (() => void)[] = []
  #came = false
  #wake: (() => void) | null = null

  constructor(clock: QueuesHost['clock'], isClosed: () => boolean) {
    this.#clock = clock
    this.#isClosed = isClosed
  }
  /** What is wrong with the queue, if something is. */
  of(queue: Queue, host: QueuesHost): Acquired[] {
    const come = (): void => {
      this.#came = true
      this.#wake?.()
    }
    try {
      this.#stops.push(host.watch(queue.partition, come))
    } catch (error) {
      return [nothing(queue.of, asFault(error))]
    }
    queue.waiters.add(come)
    this.#stops.push(() => queue.waiters.delete(come))
    return []
  }
  async wait(ms: number, signal: AbortSignal | undefined): Promise<void> {
    if (this.#came || signal?.aborted === true || this.#isClosed()) return
    await new Promise<void>((resolve) => {
      this.#wake = resolve
      this.#stops.push(this.#clock.after(ms, resolve))
      const aborted = (): void => resolve()
      signal?.addEventListener('abort', aborted, { once: true })
      this.#stops.push(() => signal?.removeEventListener('abort', aborted))
    })
  }
  stop(): void {
    for (const stop of this.#stops) stop()
  }
}
