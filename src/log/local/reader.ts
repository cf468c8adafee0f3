/** `Reader` of the local log: batches of committed transactions, one by one, without markers. */
import type { Offset } from '../../lib/brand.ts'
import type { Owned } from '../../lib/buffer-pool.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import { attribute, readBatchHeader } from '../../store/batch-header.ts'
import type { LogMeter } from '../broker.ts'
import type { At, Batch, Chunk, Claim, LentChunks, Partition, Reader, ReaderOptions } from '../log.ts'
import { localClaim } from './groups/memberships.ts'
import type { GroupOffsets } from './groups/offsets.ts'
import type { PartitionState } from './partition.ts'
import type { Registry } from './registry.ts'
import { batchesOf } from './system-log.ts'
import { type Slice, isAborted, readSlice, waitForMore } from './visible.ts'

export interface ReaderHost {
  readonly clock: Clock
  readonly registry: Registry
  readonly positions: GroupOffsets
  readonly meter: LogMeter | null
  isClosed(): boolean
}
const maxBytesDefault = 8 * 1024 * 1024

export class LocalReader implements Reader {
  readonly #host: ReaderHost
  readonly #committedOnly: boolean
  readonly #maxBytes: number
  /** Which partition is read first: another one each time, so that a full answer starves nobody. */
  #turn = 0

  constructor(host: ReaderHost, options: ReaderOptions = {}) {
    this.#host = host
    this.#committedOnly = options.uncommitted !== true
    this.#maxBytes = options.maxBytes ?? maxBytesDefault
  }

  async read(from: readonly At[], wait?: { ms: number; bytes?: number }, signal?: AbortSignal): Promise<Chunk[]> {
    return (await this.lend(from, wait, signal)).chunks
  }
  async lend(from: readonly At[], wait?: { ms: number; bytes?: number }, signal?: AbortSignal): Promise<LentChunks> {
    const { clock } = this.#host
    const deadlineMs = clock.monotonic() + (wait?.ms ?? 0)
    const wanted = wait?.bytes ?? 1
    for (;;) {
      signal?.throwIfAborted()
      if (this.#host.isClosed()) throw new Fault('log.closed', { what: 'the log' })
      const { seen, bytes, isNews, ...lent } = await this.#readOnce(from)
      const leftMs = deadlineMs - clock.monotonic()
      if (bytes >= wanted || isNews || leftMs <= 0 || seen.length === 0) return lent
      lent.release()
      const until = { committedOnly: this.#committedOnly, bytes: wanted - bytes, ms: leftMs }
      await waitForMore(clock, seen, until, signal)
    }
  }
  async #readOnce(from: readonly At[]): Promise<
    LentChunks & {
      readonly seen: { state: PartitionState; seen: Offset }[]
      readonly bytes: number
      /** A fault, or progress without a batch: the caller has to hear of it. */
      readonly isNews: boolean
    }
  > {
    const chunks: Chunk[] = []
    /** Those that are not the caller's own. */
    let slices: Slice[] = []
    const seen: { state: PartitionState; seen: Offset }[] = []
    let bytes = 0
    let isNews = false
    const count = from.length
    const first = count === 0 ? 0 : this.#turn++ % count
    for (let i = 0; i < count; i++) {
      const place = (first + i) % count
      const { partition, offset } = from[place]!
      try {
        const state = this.#host.registry.partition(partition)
        const maxBytes = this.#maxBytes - bytes
        const slice = await readSlice(state, maxBytes > 0 ? offset : state.highWatermark, {
          maxBytes,
          committedOnly: this.#committedOnly,
        })
        const next = maxBytes > 0 ? slice.next : offset
        const batches = this.#batches(partition.topic, slice)
        slices.push(slice)
        seen.push({ state, seen: slice.upTo })
        bytes += slice.bytes
        if (next > offset && batches.length === 0) isNews = true
        chunks[place] = { partition, batches, next, stable: slice.stable }
      } catch (error) {
        isNews = true
        chunks[place] = { partition, fault: asFault(error) }
      }
    }
    return {
      chunks,
      seen,
      bytes,
      isNews,
      release: () => slices.forEach(({ release }) => release()),
      own: () => {
        const owned: Owned[] = []
        slices = slices.filter((slice) => {
          const own = slice.own()
          if (own !== null) owned.push(own)
          return own === null
        })
        return owned
      },
    }
  }
  #batches(topic: string, { aborted, buffers }: Slice): Batch[] {
    const { meter } = this.#host
    const kept: Batch[] = []
    for (const batch of batchesOf(buffers)) {
      const header = readBatchHeader(batch)
      if ((header.attributes & attribute.control) !== 0) continue
      if ((header.attributes & attribute.transactional) !== 0 && isAborted(aborted, header)) continue
      kept.push(batch)
      meter?.read(topic, header.recordCount, header.bytes)
    }
    return kept
  }

  async *restore(partition: Partition, claim: Claim, from?: Offset): AsyncIterable<Chunk> {
    const state = this.#host.registry.partition(partition)
    // Opening the partition ends what a dead owner left open in it.
    await state.perform(() => undefined)
    const { group, partitions } = localClaim(claim)
    await this.#host.positions.whenReleased(group, Array.from(partitions, partitionOf))
    const end = state.log.end
    // A cut may take the end back, and nothing need ever come where it was.
    for (let at = from ?? state.log.start; at < end && at < state.log.end;) {
      const [chunk] = await this.read([{ partition, offset: at }], { ms: restoreWaitMs })
      if (chunk === undefined) return
      if (!('fault' in chunk)) {
        at = chunk.next
        if (chunk.batches.length === 0) continue
      }
      yield chunk
      if ('fault' in chunk) return
    }
  }
}
const restoreWaitMs = 1_000
function partitionOf(key: string): Partition {
  const cut = key.lastIndexOf('/')
  return { topic: key.slice(0, cut), index: Number(key.slice(cut + 1)) }
}
