/** What readers may see of partitions now, and waiting for more without asking again and again. */
import type { Offset } from '../../lib/brand.ts'
import type { Owned } from '../../lib/buffer-pool.ts'
import { Fault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import { readBatchHeader } from '../../store/batch-header.ts'
import type { Lent } from '../../store/store.ts'
import type { AbortedTransaction } from './aborted.ts'
import { withoutExpired } from './expired.ts'
import type { PartitionState } from './partition.ts'

export interface Slice {
  readonly start: Offset
  readonly highWatermark: Offset
  readonly stable: Offset
  /** Where this read stopped looking: the high watermark, or the stable offset for a committed reader. */
  readonly upTo: Offset
  readonly buffers: readonly Uint8Array[]
  readonly bytes: number
  /** Offset after the last batch; where the read began when there is none. */
  readonly next: Offset
  /** Of what was read, for a committed reader. */
  readonly aborted: readonly AbortedTransaction[]
  /** As of `Lent`. */
  readonly release: () => void
  readonly own: () => Owned | null
}

export const visibleEnd = (state: PartitionState, committedOnly: boolean): Offset =>
  committedOnly ? state.stable : state.highWatermark

/** Markers that the disk takes at all are on it long before. */
const shownMsMax = 1_000
/**
 * Resolves when all that is decided now can be seen: a partition that was opened after a crash aborts what it finds open, and
 * what was committed behind that is hidden until the marker is durable. A disk that takes no markers keeps nobody from reading
 * what lies before them. Throws the Fault of a partition that cannot be opened.
 */
export async function whenShown(clock: Clock, state: PartitionState): Promise<void> {
  const isHeldUp = await state.perform(() => {
    if (!state.isHeldUp) return false
    // Whoever decided it tries again later.
    state.settle()
    return state.isHeldUp
  })
  if (!isHeldUp) return
  await new Promise<void>((resolve) => {
    const stops: (() => void)[] = []
    const done = (): void => {
      for (const stop of stops) stop()
      resolve()
    }
    stops.push(state.watch(() => state.isHeldUp || done()))
    stops.push(clock.after(shownMsMax, done))
  })
}

/** Whole batches from the one that holds `from`. Throws Fault log.offset-out-of-range and the store's. */
export async function readSlice(
  state: PartitionState,
  from: Offset,
  options: { maxBytes: number; committedOnly: boolean },
): Promise<Slice> {
  const { log } = state
  // Taken together: what a cut takes back while the files are read, the stable end and its aborted ranges, would not match.
  const { highWatermark, stable, aborted } = await state.perform(() => ({
    highWatermark: state.highWatermark,
    stable: state.stable,
    aborted: state.aborted,
  }))
  const upTo = options.committedOnly ? stable : highWatermark
  if (from < log.start || from > log.end)
    throw new Fault('log.offset-out-of-range', { offset: from, first: log.start, next: highWatermark })
  // Whether what lies between was committed stands behind damage: nothing will ever come.
  if (from >= upTo && upTo < highWatermark && log.damage !== null) throw log.damage.fault
  const lent = from < upTo ? await log.lend(from, options.maxBytes, upTo) : nothing
  const { buffers } = lent
  let bytes = 0
  for (const buffer of buffers) bytes += buffer.length
  const next = nextAfter(buffers) ?? from
  return {
    start: log.start,
    highWatermark,
    stable,
    upTo,
    buffers: state.policy.recordTtl ? withoutExpired(buffers, state.wallMs) : buffers,
    bytes,
    next,
    aborted: options.committedOnly && buffers.length > 0 ? aborted.overlapping(from, next) : [],
    release: () => lent.release(),
    own: () => lent.own?.() ?? null,
  }
}
const nothing: Lent = { buffers: [], release: () => {} }
function nextAfter(buffers: readonly Uint8Array[]): Offset | null {
  const last = buffers.at(-1)
  if (last === undefined) return null
  let at = 0
  let header = readBatchHeader(last)
  while (at + header.bytes < last.length) {
    at += header.bytes
    header = readBatchHeader(last, at)
  }
  return (header.baseOffset + header.lastOffsetDelta + 1) as Offset
}

/** Is this batch of an aborted transaction? `aborted` are those that touch the range it lies in. */
export const isAborted = (
  aborted: readonly AbortedTransaction[],
  batch: { producerId: number; baseOffset: number },
): boolean =>
  aborted.some(
    (one) => one.producerId === batch.producerId && one.first <= batch.baseOffset && batch.baseOffset < one.last,
  )

/**
 * Resolves when `bytes` more may have become visible, a partition is gone, the time is over, or the signal fires. `seen`
 * is where each partition ended when it was last read: if more is visible already, it does not wait.
 */
export function waitForMore(
  clock: Clock,
  of: readonly { state: PartitionState; seen: Offset }[],
  until: { committedOnly: boolean; bytes: number; ms: number },
  signal?: AbortSignal,
): Promise<void> {
  const moved = of.some(({ state, seen }) => state.gone || visibleEnd(state, until.committedOnly) !== seen)
  if (moved || until.ms <= 0 || signal?.aborted === true) return Promise.resolve()
  return new Promise((resolve) => {
    const stops: (() => void)[] = []
    const done = (): void => {
      for (const stop of stops) stop()
      resolve()
    }
    let came = 0
    for (const { state, seen } of of) {
      let counted = state.visibleBytes
      let end = seen
      const wake = (): void => {
        if (state.gone) return done()
        const now = visibleEnd(state, until.committedOnly)
        if (now === end) return
        end = now
        const bytes = state.visibleBytes
        came += Math.max(1, bytes - counted)
        counted = bytes
        if (came >= until.bytes) done()
      }
      stops.push(state.watch(wake))
    }
    stops.push(clock.after(until.ms, done))
    signal?.addEventListener('abort', done, { once: true })
    stops.push(() => signal?.removeEventListener('abort', done))
  })
}
