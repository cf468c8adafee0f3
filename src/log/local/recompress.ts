/** A batch in another codec: the records are the same bytes, only their packing differs. */
import { limits } from '../../lib/limits.ts'
import { attribute, batchHeaderBytes, readBatchHeader, sealBatch, writeBatchHeader } from '../../store/batch-header.ts'
import { type Compression, codecNumber, compress } from '../compression.ts'
import { type CheckedBatch, withRecords } from './batch-check.ts'

/** The batch itself when it has that codec already. Throws Fault for records that do not unpack. */
export function recompress(batch: CheckedBatch, to: Compression, level?: number): CheckedBatch {
  const { header } = batch
  const codec = codecNumber(to)
  if ((header.attributes & attribute.compressionMask) === codec) return batch
  const out = withRecords(batch, limits.decompressedBytes, (records) => {
    const packed = compress(to, records, level)
    const whole = Buffer.allocUnsafeSlow(batchHeaderBytes + packed.length)
    whole.set(packed, batchHeaderBytes)
    return whole
  })
  const attributes = (header.attributes & ~attribute.compressionMask) | codec
  writeBatchHeader(out, { ...header, bytes: out.length, attributes })
  sealBatch(out)
  return { bytes: out, header: readBatchHeader(out) }
}
