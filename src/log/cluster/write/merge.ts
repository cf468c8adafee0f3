/**
 * Small batches that wait for one partition, made one. A broker takes one batch per partition and request, and one request
 * of a connection at a time: sent one by one, a thousand appends of one record would take a thousand round trips.
 */
import { attribute, readBatchHeader } from '../../../store/batch-header.ts'
import { decodeBatch, encodeBatch } from '../../batch.ts'
import type { Batch } from '../../log.ts'

/** Larger ones pay for their own request. */
const mergedBytesMax = 256 * 1024

/** How many of these, from the first on, go into one batch. At least one. */
export function mergeable(batches: readonly Batch[]): number {
  let bytes = 0
  let count = 0
  for (const batch of batches) {
    const { attributes } = readBatchHeader(batch)
    const isPlain = (attributes & (attribute.compressionMask | attribute.logAppendTime)) === 0
    bytes += batch.length
    if (!isPlain || bytes > mergedBytesMax) break
    count++
  }
  return Math.max(1, count)
}
/** Their records one after another; each batch's first record then lies at the sum of the counts before it. */
export const merge = (batches: readonly Batch[]): Batch => encodeBatch(batches.flatMap((batch) => decodeBatch(batch)))
