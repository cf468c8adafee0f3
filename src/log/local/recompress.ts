/** A batch in another codec: the records are the same bytes, only their packing differs. */
import { attribute, batchHeaderBytes, readBatchHeader, sealBatch, writeBatchHeader } from '../../store/batch-header.ts'
import { type Compression, codecNumber, compress } from '../compression.ts'
import { type CheckedBatch, recordBytes } from './batch-check.ts'

/** The batch itself when it has that codec already. Throws Fault for records that do not unpack. */
export function recompress(batch: CheckedBatch, to: Compression): CheckedBatch {
  const { header, bytes } = batch
  const codec = codecNumber(to)
  if ((header.attributes & attribute.compressionMask) === codec) return batch
  const packed = compress(to, recordBytes(bytes, header))
  const out = Buffer.allocUnsafeSlow(batchHeaderBytes + packed.length)
  out.set(packed, batchHeaderBytes)
  const attributes = (header.attributes & ~attribute.compressionMask) | codec
  writeBatchHeader(out, { ...header, bytes: out.length, attributes })
  sealBatch(out)
  return { bytes: out, header: readBatchHeader(out) }
}
