/**
 * Bytes of partitions on a disk. Knows record batch headers (`batch-header.ts`), nothing of topics' meaning or
 * protocols. One writer, many readers, in one process.
 */
import type { Offset, TimeMs } from '../lib/brand.ts'
import type { Lease, Owned } from '../lib/buffer-pool.ts'
import type { Fault } from '../lib/fault.ts'

export interface Store {
  /** UUID written once into meta.json. */
  readonly instanceId: string
  /** What recovery did when the folder was opened: durations, torn tails cut, damage found (then and since). */
  readonly recovery: Recovery
  /** Opens lazily: the folder is created at the first append. `dir` is unique, made of safe characters by the caller. */
  partition(dir: string, config: PartitionConfig): PartitionLog
  /** Every partition folder on disk, `dir` as given to `partition`. */
  partitions(): string[]
  /** Closes and deletes a partition's files. */
  drop(dir: string): Promise<void>
  /** That under which everything is appended since the folder was opened. */
  readonly leaderEpoch: number
  /** Bytes of all segments. */
  sizeBytes(): number
  /** Everything written, synced, clean marker set. Idempotent. */
  close(): Promise<void>
}

export interface PartitionConfig {
  readonly segmentBytes: number
  /** A segment older than this is rolled at the next append. */
  readonly segmentMs: number
  /** −1 = no bound. */
  readonly retentionBytes: number
  /** By the largest record time in a segment; −1 = no bound. */
  readonly retentionMs: number
  /** What nobody waits for is synced within this time. */
  readonly flushMs: number
  /** 'log-append-time' rewrites time, flags and CRC of a batch at append. */
  readonly timestampType: 'create-time' | 'log-append-time'
  readonly indexIntervalBytes: number
  /** The part of the disk's reserve that its appends leave alone; all of it unless said. */
  readonly reserveKept?: number
}

export interface SealedSegment {
  readonly base: Offset
  readonly end: Offset
  readonly bytes: number
  /** The largest record time in it; when it was made, if there is none. */
  readonly newestMs: number
}

export interface Lent {
  readonly buffers: readonly Uint8Array[]
  /** At most once. If it is not called, the memory is left to the collector. */
  release(): void
  /** In place of `release`, where all of it lies in memory that is nobody else's: the caller has that then. */
  own?(): Owned | null
}

export interface PartitionLog {
  readonly dir: string
  /** First offset kept. */
  readonly start: Offset
  /** Given to the next append. */
  readonly end: Offset
  /** Everything before it is on disk. Never goes back while the process runs. */
  readonly durable: Offset
  /** Written into what is appended. Rises by one with each unclean start, for the whole store. */
  readonly leaderEpoch: number
  /** From which offset on each leader epoch wrote, oldest first. */
  readonly epochStarts: readonly { readonly epoch: number; readonly from: number }[]
  /** Set when recovery or a reader found damage below the durable end: nothing is appended, reads stop before it. */
  readonly damage: { readonly at: Offset; readonly fault: Fault } | null
  readonly sizeBytes: number

  configure(config: PartitionConfig): void
  /**
   * Takes one checked batch, gives it the next offsets (base offset and leader epoch are written into it, in place) and
   * queues it. The bytes belong to the store from here on: they are also what readers get. Returns its base offset and
   * the append time (−1 unless log-append-time). Throws Fault: store.full, store.failed, store.damaged, log.closed.
   * Wait for it in the same turn: after a failed write the same offsets are given to others. `lease` is of the memory that
   * the bytes are in: it is held until they are written and no longer kept for readers. `reserveKept`: as in the
   * configuration, for this batch.
   */
  append(batch: Uint8Array, lease?: Lease | null, reserveKept?: number): { baseOffset: Offset; appendTimeMs: number }
  /** Resolves when everything before `offset` is written (the page cache has it). Rejects with Fault 'store.failed'. */
  whenWritten(offset: Offset): Promise<void>
  /** Resolves when everything before `offset` is durable; asks for a sync. Rejects with Fault 'store.failed'. */
  whenDurable(offset: Offset): Promise<void>
  /** Asks for a sync of what is there without waiting: a reader wants to see it. */
  wantDurable(): void
  /** Called (in the same turn) after `durable` moved. Returns the way to stop. */
  onDurable(call: () => void): () => void
  /**
   * Called (in the same turn) when a failed write or sync took back everything from `end` on; those who wait for any of it
   * get Fault store.failed or store.full, those who wait for less go on waiting. What was derived from those appends must
   * go too. Returns the way to stop.
   */
  onCut(call: (end: Offset) => void): () => void

  /**
   * Whole batches from the one that holds `from`, up to `maxBytes` (at least one batch) and not past `upTo` (≤ durable).
   * What is written but not durable yet comes only while it is in memory.
   * The buffers are valid as long as somebody refers to them. Empty when from ≥ upTo. Throws Fault log.offset-out-of-range,
   * store.damaged, store.failed.
   */
  read(from: Offset, maxBytes: number, upTo: Offset): Promise<readonly Uint8Array[]>
  /** The same for a reader that says when it is done: nobody may look at the buffers after `release`. */
  lend(from: Offset, maxBytes: number, upTo: Offset): Promise<Lent>
  /** Batch headers (61 bytes each) from the batch that holds `from`, for rebuilding what is derived from the log; markers as a whole. */
  headers(from: Offset): Iterable<Uint8Array>
  /** Base offset of the first batch whose largest time is ≥ `timeMs`; null = none before durable. */
  findTime(timeMs: number): Offset | null
  /** Base offset of the batch with the largest time; null = empty. */
  largestTime(): { offset: Offset; timeMs: TimeMs } | null

  /** Everything before `offset` is forgotten. Durable when it resolves. */
  trim(offset: Offset): Promise<void>
  /** Segments that take no more, durable and with all offsets before `upTo`, oldest first. [] when there is damage. */
  sealed(upTo: Offset): readonly SealedSegment[]
  /**
   * Puts one segment in the place of several neighbours (compaction). `batches` are to cover the same offsets without a
   * gap; their base offsets and leader epochs are written into them. Reads go on meanwhile. False = the segments have
   * changed since (retention) and nothing was replaced. Throws Fault store.full, store.failed.
   */
  replaceSealed(of: readonly SealedSegment[], batches: AsyncIterable<Uint8Array>): Promise<boolean>
  /**
   * A small file beside the segments, replaced atomically, checksummed, tied to an offset: it waits until everything
   * before `at` is durable, so a snapshot is never ahead of the log.
   */
  saveSnapshot(name: string, at: Offset, bytes: Uint8Array): Promise<void>
  /** null when missing, unreadable, or ahead of the log. */
  loadSnapshot(name: string): { at: Offset; bytes: Uint8Array } | null
}

/** Given to the store by the composition root: counts its rounds. */
export interface StoreMeter {
  /** One round of the write loop that synced: how long its fdatasyncs took, over how many files. */
  synced(ms: number, files: number): void
  syncFailed(): void
}

export interface Recovery {
  readonly clean: boolean
  readonly ms: number
  readonly scannedBytes: number
  readonly torn: readonly { readonly file: string; readonly keptAs: string; readonly bytes: number }[]
  readonly damaged: readonly Fault[]
}
