/**
 * Keeps the newest record of each key in topics with cleanup.policy=compact. A pass over a partition:
 *
 * 1. the dirty part (sealed segments behind the last pass, decided by every transaction) is read, and for each key the
 *    newest offset noted, as many as fit the memory allowed;
 * 2. every sealed segment up to there is written anew without the records that a newer one of their key replaces, small
 *    ones together; each takes the place of its originals atomically, while reads go on;
 * 3. a record that says that a key is gone goes itself, delete.retention.ms after the pass that first met it.
 *
 * The newest segment is never touched. One partition at a time, a piece at a time, so that others get their turn.
 */
import { AgeClock } from '../../../lib/age-clock.ts'
import type { Offset } from '../../../lib/brand.ts'
import { assert } from '../../../lib/assert.ts'
import { Fault, asFault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Clock } from '../../../lib/world.ts'
import { attribute, readBatchHeader } from '../../../store/batch-header.ts'
import type { SealedSegment } from '../../../store/store.ts'
import { decodeBatch, rawRecords } from '../../batch.ts'
import { place } from '../../raw-records.ts'
import { expiryMs } from '../../record-headers.ts'
import { mayExpire } from '../expired.ts'
import type { PartitionState } from '../partition.ts'
import type { Registry } from '../registry.ts'
import { batchesOf } from '../system-log.ts'
import { NewestOffsets } from './newest-offsets.ts'
import { type RewriteRules, Rewriter } from './rewrite.ts'
import { type CompactionState, loadCompaction, saveCompaction } from './state.ts'

export interface CompactorHost {
  readonly clock: Clock
  readonly registry: Registry
  /** A decided transaction's markers in this partition are not known to be durable. */
  isUnmarked(partition: PartitionState): boolean
  report(fault: Fault): void
  readonly everyMs: number
}
const readBytes = 1024 * 1024
/** A segment is not written anew for single records more often than this. */
const expiryEveryMs = 60_000

export class Compactor {
  readonly #host: CompactorHost
  readonly #ages: AgeClock
  /** Of each segment, when the first of its records will be over. */
  readonly #expiries = new WeakMap<PartitionState, Map<string, number>>()
  #stopTimer: () => void = () => undefined
  #isClosed = false
  #running: Promise<void> = Promise.resolve()

  constructor(host: CompactorHost) {
    this.#host = host
    this.#ages = new AgeClock(host.clock)
  }
  start(): void {
    this.#stopTimer = this.#host.clock.after(this.#host.everyMs, () => {
      this.#running = this.sweep().finally(() => {
        if (!this.#isClosed) this.start()
      })
    })
  }
  async close(): Promise<void> {
    this.#isClosed = true
    this.#stopTimer()
    await this.#running
  }
  /** A pass over each partition that is due. */
  async sweep(): Promise<void> {
    for (const partition of [...this.#host.registry.allOpened()]) {
      if (this.#isClosed) return
      const { compact, recordTtl } = partition.policy
      if ((!compact && !recordTtl) || partition.gone) continue
      try {
        if (compact) await this.#compact(partition)
        if (recordTtl) await this.#expire(partition)
      } catch (error) {
        if (!this.#isClosed && !partition.gone) this.#host.report(asFault(error))
      }
    }
  }

  async #compact(partition: PartitionState): Promise<void> {
    const { log } = partition
    const sealed = await partition.perform(() =>
      log.damage !== null || this.#host.isUnmarked(partition) ? [] : this.#ready(partition),
    )
    const before = loadCompaction(log)
    const dirty = sealed.filter((segment) => segment.end > before.cleanedTo)
    if (dirty.length === 0 || !this.#isDue(partition, sealed, dirty)) return
    const newest = await this.#newestOffsets(
      partition,
      Math.max(before.cleanedTo, log.start) as Offset,
      dirty.at(-1)!.end,
    )
    if (newest === null) return
    const nowMs = this.#ages.now()
    const cleaned: CompactionState = {
      claimedTo: newest.to,
      cleanedTo: newest.to,
      passes: lately(
        [...before.passes, { to: newest.to, atMs: this.#ages.stamp() }],
        nowMs - partition.policy.tombstoneMs,
      ),
    }
    const claimedTo = Math.max(before.claimedTo, newest.to) as Offset
    await saveCompaction(log, { ...before, claimedTo })
    const keeps = keeper(newest, tombstonesTo(before, nowMs - partition.policy.tombstoneMs))
    try {
      for (const group of grouped(sealed, newest.to, partition.policy.store.segmentBytes)) {
        const written = this.#rewritten(partition, group, keeps)
        if (!(await log.replaceSealed(group, written)) || this.#isClosed) return
      }
    } finally {
      newest.offsets.free()
    }
    await saveCompaction(log, { ...cleaned, claimedTo })
    partition.replaced.compacted(bytesOf(dirty.filter(({ end }) => end <= newest.to)))
  }
  /** Segments in which the time of records is over are written anew without them. */
  async #expire(partition: PartitionState): Promise<void> {
    const { log } = partition
    const sealed = await partition.perform(() =>
      log.damage !== null || this.#host.isUnmarked(partition) ? [] : log.sealed(partition.stable),
    )
    const known = this.#expiries.get(partition) ?? new Map<string, number>()
    const left = new Map<string, number>()
    this.#expiries.set(partition, left)
    const nowMs = this.#ages.now()
    for (const segment of sealed) {
      const id = `${segment.base}-${segment.end}`
      const dueMs = known.get(id)
      if (dueMs !== undefined && dueMs > nowMs) {
        left.set(id, dueMs)
        continue
      }
      const { hasExpired, nextMs } = await this.#expiryOf(partition, segment, nowMs)
      left.set(id, Math.max(nextMs, nowMs + expiryEveryMs))
      if (!hasExpired) continue
      const before = loadCompaction(log)
      await saveCompaction(log, { ...before, claimedTo: Math.max(before.claimedTo, segment.end) as Offset })
      const written = this.#rewritten(partition, [segment], { keeps: (record) => expiryMs(record) > nowMs })
      if (!(await log.replaceSealed([segment], written)) || this.#isClosed) return
    }
  }
  async #expiryOf(
    partition: PartitionState,
    { base, end }: SealedSegment,
    nowMs: number,
  ): Promise<{ hasExpired: boolean; nextMs: number }> {
    let [hasExpired, nextMs] = [false, Infinity]
    for await (const batch of this.#batches(partition, base, end)) {
      if (!mayExpire(batch) || !partition.isCommitted(readBatchHeader(batch))) continue
      for (const record of decodeBatch(batch)) {
        const atMs = expiryMs(record)
        if (atMs <= nowMs) hasExpired = true
        else nextMs = Math.min(nextMs, atMs)
      }
    }
    return { hasExpired, nextMs }
  }
  /** Sealed, decided, and old enough. */
  #ready(partition: PartitionState): readonly SealedSegment[] {
    const { log, policy } = partition
    const newestMs = this.#ages.now() - policy.compactionLagMinMs
    const sealed = log.sealed(partition.stable)
    const tooYoung = policy.compactionLagMinMs > 0 ? sealed.findIndex((segment) => segment.newestMs > newestMs) : -1
    return tooYoung < 0 ? sealed : sealed.slice(0, tooYoung)
  }
  #isDue(
    { policy, replaced }: PartitionState,
    sealed: readonly SealedSegment[],
    dirty: readonly SealedSegment[],
  ): boolean {
    const oldestMs = this.#ages.now() - policy.compactionLagMaxMs
    if (dirty.some((segment) => segment.newestMs < oldestMs)) return true
    return replaced.of(bytesOf(dirty)) >= policy.dirtyRatioMin * bytesOf(sealed)
  }

  /** The newest offset of each key in a range, and how far it was read; null when the log changed under it. */
  async #newestOffsets(partition: PartitionState, from: Offset, end: Offset): Promise<Newest | null> {
    const offsets = new NewestOffsets()
    let to = from
    for await (const batch of this.#batches(partition, from, end)) {
      const header = readBatchHeader(batch)
      if (offsets.bytes > limits.compactionKeyBytes) break
      to = (header.baseOffset + header.lastOffsetDelta + 1) as Offset
      if ((header.attributes & attribute.control) !== 0 || !partition.isCommitted(header)) continue
      eachKey(batch, (bytes, [keyFrom, keyTo], offset) => {
        if (keyFrom >= 0) offsets.note(bytes, keyFrom, keyTo, offset)
        return true
      })
    }
    return to > from ? { offsets, to } : null
  }
  async *#rewritten(
    partition: PartitionState,
    group: readonly SealedSegment[],
    rules: Omit<RewriteRules, 'isCommitted'>,
  ): AsyncIterable<Uint8Array> {
    const range = { from: group[0]!.base, to: group.at(-1)!.end }
    const rewriter = new Rewriter(range, { isCommitted: (header) => partition.isCommitted(header), ...rules })
    for await (const batch of this.#batches(partition, range.from, range.to)) {
      const written = rewriter.take(batch)
      if (written !== null) yield written
    }
    const rest = rewriter.finish()
    if (rest !== null) yield rest
  }
  /** Whole batches of a range, from the log's start on; others get a turn between two pieces. */
  async *#batches(partition: PartitionState, from: Offset, end: Offset): AsyncIterable<Uint8Array> {
    const { log } = partition
    const { clock } = this.#host
    for (let at = from < log.start ? log.start : from; at < end;) {
      if (this.#isClosed) throw new Fault('log.closed', { what: 'the log' })
      const before = at
      for (const batch of batchesOf(await log.read(at, readBytes, end))) {
        const header = readBatchHeader(batch)
        at = (header.baseOffset + header.lastOffsetDelta + 1) as Offset
        yield batch
      }
      // What ends early here would be missing for good.
      assert(at > before, 'a read below the end goes on')
      await new Promise<void>((resolve) => clock.soon(resolve))
    }
  }
}

interface Newest {
  readonly offsets: NewestOffsets
  readonly to: Offset
}
type CompactionRules = Required<Omit<RewriteRules, 'isCommitted'>>
const bytesOf = (segments: readonly SealedSegment[]): number =>
  segments.reduce((sum, segment) => sum + segment.bytes, 0)

/** Records at or behind what was read stay; before it, the newest of their key, and no key that has long been gone. */
function keeper({ offsets, to }: Newest, tombstones: number): CompactionRules {
  const keepsOne = (bytes: Buffer, [from, until]: Span, offset: number, hasValue: boolean): boolean => {
    if (offset >= to) return true
    if (from < 0 || offsets.hasNewer(bytes, from, until, offset)) return false
    return hasValue || offset >= tombstones
  }
  return {
    keeps: ({ key, value, offset }) =>
      keepsOne(bufferOf(key ?? noKey), [key === null ? -1 : 0, key?.length ?? 0], offset, value !== null),
    keepsAll: (batch) => eachKey(batch, keepsOne),
  }
}
const noKey = Buffer.alloc(0)
const bufferOf = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length)
/** From −1 on: there is none. */
type Span = readonly [from: number, to: number]
/** Asks about record after record where its key lies in the bytes given; false as soon as one answer is. */
function eachKey(
  batch: Uint8Array,
  ask: (bytes: Buffer, key: Span, offset: number, hasValue: boolean) => boolean,
): boolean {
  const { parts, places, offsets, from, to } = rawRecords([batch])
  // One batch, one part.
  const [part] = parts
  for (let number = from; number < to; number++) {
    const at = number * place.stride
    const key: Span = [places[at + place.keyFrom]!, places[at + place.keyTo]!]
    if (!ask(part!.bytes, key, offsets[number]!, places[at + place.valueFrom]! >= 0)) return false
  }
  return true
}
/** Below this, records that say that a key is gone have been there for long enough. */
function tombstonesTo({ passes }: CompactionState, untilMs: number): number {
  return passes.findLast(({ atMs }) => atMs <= untilMs)?.to ?? 0
}
/** Of the passes before `untilMs` only the last one matters. */
function lately(passes: CompactionState['passes'], untilMs: number): CompactionState['passes'] {
  const last = passes.findLastIndex(({ atMs }) => atMs <= untilMs)
  return last > 0 ? passes.slice(last) : passes
}
/** Runs of segments that make one together. */
function grouped(sealed: readonly SealedSegment[], to: Offset, segmentBytes: number): SealedSegment[][] {
  const groups: SealedSegment[][] = []
  let bytes = Infinity
  for (const segment of sealed) {
    if (segment.base >= to) break
    const group = groups.at(-1)
    const isNew = group === undefined || bytes + segment.bytes > segmentBytes || segment.end - group[0]!.base > spanMax
    if (isNew) groups.push([segment])
    else group.push(segment)
    bytes = isNew ? segment.bytes : bytes + segment.bytes
  }
  return groups
}
/** Offsets in an index are relative to the segment's first, in 32 bits; a batch's last delta has 31. */
const spanMax = 0x7fff_ffff
