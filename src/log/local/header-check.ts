/** Headers of records that their topic gives a meaning: what cannot be understood is refused with its record. */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { attribute, readBatchHeader } from '../../store/batch-header.ts'
import { decodeBatch } from '../batch.ts'
import { oddHeader } from '../record-headers.ts'
import { type CheckedBatch, RecordsRefused, withRecords } from './batch-check.ts'
import type { TopicPolicy } from './topic-config.ts'

/** Without decoding records: most say nothing of these. */
export function mentions(batch: Uint8Array, names: readonly Buffer[]): boolean {
  const header = readBatchHeader(batch)
  if ((header.attributes & attribute.control) !== 0 || header.recordCount === 0) return false
  return withRecords({ bytes: batch, header }, limits.decompressedBytes, (records) => {
    const bytes = Buffer.from(records.buffer, records.byteOffset, records.length)
    return names.some((name) => bytes.includes(name))
  })
}
/** Throws RecordsRefused. */
export function checkHeaders({ bytes }: CheckedBatch, { headers: names, store: { retentionMs } }: TopicPolicy): void {
  if (names.length === 0) return
  if (
    !mentions(
      bytes,
      names.map((name) => Buffer.from(name)),
    )
  )
    return
  const keptMs = retentionMs < 0 ? Infinity : retentionMs
  const odd = decodeBatch(bytes).flatMap((record, index) => {
    const message = oddHeader(record, names, keptMs)
    return message === null ? [] : [{ index, message }]
  })
  if (odd.length > 0) throw new RecordsRefused(new Fault('log.invalid-batch', { what: odd[0]!.message }), odd)
}
