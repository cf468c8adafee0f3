/** What a batch and its records are, in the words of Kafka's own kafka-dump-log. */
import { decodeBatch } from '../log/batch.ts'
import { codecName } from '../log/compression.ts'
import { outcomeOf } from '../log/local/control-batch.ts'
import { attribute, readBatchHeader } from '../store/batch-header.ts'
import type { GoodBatch } from '../store/examine.ts'

export interface DescribedBatch {
  readonly baseOffset: number
  readonly lastOffset: number
  readonly count: number
  readonly baseSequence: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly partitionLeaderEpoch: number
  readonly isTransactional: boolean
  readonly isControl: boolean
  readonly position: number
  readonly timestampType: 'CreateTime' | 'LogAppendTime'
  readonly maxTimestamp: number
  readonly size: number
  readonly compresscodec: string
  readonly crc: number
}

export function describeBatch({ batch, position }: GoodBatch): DescribedBatch {
  const header = readBatchHeader(batch)
  const has = (bit: number): boolean => (header.attributes & bit) !== 0
  return {
    baseOffset: header.baseOffset,
    lastOffset: header.baseOffset + header.lastOffsetDelta,
    count: header.recordCount,
    baseSequence: header.baseSequence,
    producerId: header.producerId,
    producerEpoch: header.producerEpoch,
    partitionLeaderEpoch: header.leaderEpoch,
    isTransactional: has(attribute.transactional),
    isControl: has(attribute.control),
    position,
    timestampType: has(attribute.logAppendTime) ? 'LogAppendTime' : 'CreateTime',
    maxTimestamp: header.maxTimeMs,
    size: header.bytes,
    compresscodec: codecName(header.attributes & attribute.compressionMask),
    crc: header.crc,
  }
}

export interface DescribedRecord {
  readonly offset: number
  readonly timestamp: number
  readonly [field: string]: unknown
}
export function describeRecords(batch: Uint8Array): DescribedRecord[] {
  const isControl = (readBatchHeader(batch).attributes & attribute.control) !== 0
  const marker = isControl ? { endTxnMarker: outcomeOf(batch)?.toUpperCase() ?? 'unknown' } : null
  return decodeBatch(batch).map(({ offset, timeMs, key, value, headers }) => ({
    offset,
    timestamp: timeMs,
    ...(marker ?? { ...field('key', key), ...field('value', value) }),
    ...(headers === undefined || headers.length === 0
      ? {}
      : { headers: headers.map(([name, bytes]) => ({ name, ...field('value', bytes) })) }),
  }))
}
/** Text where the bytes are text, else `<name>Base64`. */
function field(name: string, bytes: Uint8Array | null): Record<string, string | null> {
  if (bytes === null) return { [name]: null }
  try {
    return { [name]: new TextDecoder('utf-8', { fatal: true }).decode(bytes) }
  } catch {
    return { [`${name}Base64`]: Buffer.from(bytes).toString('base64') }
  }
}
