/** What a fetch brought for a partition, cut into batches for readers: whole ones, without markers and what was aborted. */
import { attribute, batchHeaderBytes, readBatchHeader } from '../../../store/batch-header.ts'
import { batchPrefixBytes } from '../../../store/batch-header.ts'
import type { Batch } from '../../log.ts'

export interface AbortedTransaction {
  readonly producerId: number
  readonly firstOffset: number
}
export interface Cut {
  readonly batches: readonly Batch[]
  /** Behind everything that came, shown or not. */
  readonly next: number
}

/** `aborted` null: everything is shown that is no marker. A batch cut off at the end is left for the next fetch. */
export function cutRecords(records: Uint8Array, from: number, aborted: readonly AbortedTransaction[] | null): Cut {
  const open = [...(aborted ?? [])].sort((a, b) => a.firstOffset - b.firstOffset)
  const abandoned = new Set<number>()
  const batches: Batch[] = []
  let next = from
  for (const batch of wholeBatches(records)) {
    const { attributes, baseOffset, lastOffsetDelta, producerId } = readBatchHeader(batch)
    const last = baseOffset + lastOffsetDelta
    if (last < from) continue
    next = last + 1
    while (open.length > 0 && open[0]!.firstOffset <= last) abandoned.add(open.shift()!.producerId)
    if ((attributes & attribute.control) !== 0) {
      // Whatever its producer aborted ends here.
      abandoned.delete(producerId)
      continue
    }
    if ((attributes & attribute.transactional) !== 0 && abandoned.has(producerId)) continue
    batches.push(batch)
  }
  return { batches, next }
}

export function* wholeBatches(records: Uint8Array): Iterable<Batch> {
  const view = Buffer.from(records.buffer, records.byteOffset, records.byteLength)
  for (let at = 0; records.length - at >= batchHeaderBytes;) {
    const bytes = view.readInt32BE(at + 8) + batchPrefixBytes
    if (bytes < batchHeaderBytes || bytes > records.length - at) return
    yield view.subarray(at, at + bytes)
    at += bytes
  }
}
