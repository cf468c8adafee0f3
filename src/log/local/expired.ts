/**
 * Records that live for a time of their own, in topics with `record.ttl.enable`: the header `mr-ttl` says how long, by the
 * record's time. When it is over, no reader is given the record any more; its bytes go when its segment is written anew
 * (`compaction/`).
 */
import type { Offset } from '../../lib/brand.ts'
import { attribute, ownBatch, placeBatch, readBatchHeader, stampBatch } from '../../store/batch-header.ts'
import { decodeBatch, encodeSparseBatch } from '../batch.ts'
import { codecName } from '../compression.ts'
import { expiryMs, ttlHeader } from '../record-headers.ts'
import { mentions } from './header-check.ts'
import { batchesOf } from './system-log.ts'

const name = [Buffer.from(ttlHeader)]
export const mayExpire = (batch: Uint8Array): boolean => mentions(batch, name)

/** The same offsets in the same batches, without records whose time is over. */
export function withoutExpired(buffers: readonly Uint8Array[], nowMs: number): readonly Uint8Array[] {
  let isChanged = false
  const batches: Uint8Array[] = []
  for (const batch of batchesOf(buffers)) {
    const left = mayExpire(batch) ? unexpired(batch, nowMs) : batch
    isChanged ||= left !== batch
    batches.push(left)
  }
  return isChanged ? batches : buffers
}
function unexpired(batch: Uint8Array, nowMs: number): Uint8Array {
  const records = decodeBatch(batch)
  const kept = records.filter((record) => expiryMs(record) > nowMs)
  if (kept.length === records.length) return batch
  const header = readBatchHeader(batch)
  const base = header.baseOffset
  const end = (base + header.lastOffsetDelta + 1) as Offset
  const compression = kept.length === 0 ? 'none' : codecName(header.attributes & attribute.compressionMask)
  // A batch without records too: readers must learn where to go on.
  const sparse = encodeSparseBatch(kept, { base, end, compression })
  if ((header.attributes & attribute.logAppendTime) !== 0) stampBatch(sparse, header.maxTimeMs)
  // Whose transaction it is of decides whether a committed reader takes it.
  const { producerId, producerEpoch, baseSequence } = header
  ownBatch(sparse, {
    producerId,
    producerEpoch,
    baseSequence,
    transactional: (header.attributes & attribute.transactional) !== 0,
  })
  placeBatch(sparse, base, header.leaderEpoch)
  return sparse
}
