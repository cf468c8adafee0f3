/**
 * Records that live for a time of their own, in topics with `record.ttl.enable`: the header `mr-ttl` says how long, by the
 * record's time. When it is over, no reader is given the record any more; its bytes go when its segment is written anew
 * (`compaction/`).
 */
import type { Offset } from '../../lib/brand.ts'
import { attribute, ownBatch, placeBatch, readBatchHeader, stampBatch } from '../../store/batch-header.ts'
import { type LogRecord, decodeBatch, encodeSparseBatch } from '../batch.ts'
import { codecName } from '../compression.ts'
import { type CheckedBatch, type RecordError, recordBytes } from './batch-check.ts'
import { batchesOf } from './system-log.ts'

export const ttlHeader = 'mr-ttl'
const name = Buffer.from(ttlHeader)
const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `30s`, `1500ms`, or a plain number of milliseconds; null when it is none of these. */
export function ttlOf(text: string): number | null {
  const [, digits, unit = 'ms'] = /^(\d{1,13})(ms|s|m|h|d)?$/.exec(text.trim()) ?? []
  return digits === undefined ? null : Number(digits) * unitMs[unit]!
}
function ttlText({ headers }: Pick<LogRecord, 'headers'>): string | null {
  const found = headers.findLast(([header]) => header === ttlHeader)
  return found === undefined ? null : Buffer.from(found[1] ?? []).toString()
}
/** When its time is over; Infinity for a record that lives as long as its topic keeps it. */
export function expiryMs(record: LogRecord): number {
  const text = ttlText(record)
  const ttl = text === null ? null : ttlOf(text)
  return ttl === null ? Infinity : record.timeMs + ttl
}
/** Without decoding: most batches of most topics say nothing of it. */
export function mayExpire(batch: Uint8Array): boolean {
  const header = readBatchHeader(batch)
  if ((header.attributes & attribute.control) !== 0 || header.recordCount === 0) return false
  const records = recordBytes(batch, header)
  return Buffer.from(records.buffer, records.byteOffset, records.length).includes(name)
}
/** Records of a batch that say what cannot be understood. */
export function oddTtls({ bytes }: CheckedBatch): RecordError[] {
  if (!mayExpire(bytes)) return []
  return decodeBatch(bytes).flatMap((record, index) => {
    const text = ttlText(record)
    if (text === null || ttlOf(text) !== null) return []
    const message = `the header ${ttlHeader} is ${JSON.stringify(text.slice(0, 32))}, not a duration such as 30s or a number of milliseconds`
    return [{ index, message }]
  })
}

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
