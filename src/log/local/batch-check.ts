/**
 * What a batch must be before it is stored, in Kafka's order and with Kafka's answers. Records are not decoded; a topic
 * that needs to know more of them (compaction: a key; a bound on how old: their times) has them walked without
 * allocation.
 */
import { ByteReader } from '../../lib/bytes.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { type BatchHeader, attribute, batchCrc, batchHeaderBytes, readBatchHeader } from '../../store/batch-header.ts'
import { codecName, decompress } from '../compression.ts'
import type { TopicPolicy } from './topic-config.ts'

export interface CheckedBatch {
  readonly bytes: Uint8Array
  readonly header: BatchHeader
}
/** A record that is refused, and why. */
export interface RecordError {
  readonly index: number
  readonly message: string
}
/** Thrown for a batch whose records are at fault. */
export class RecordsRefused extends Error {
  readonly fault: Fault
  readonly records: readonly RecordError[]
  constructor(fault: Fault, records: readonly RecordError[]) {
    super(fault.message)
    this.fault = fault
    this.records = records
  }
}

/** Cuts what a client sent for one partition into batches. Throws Fault. */
export function splitBatches(records: Uint8Array): CheckedBatch[] {
  const found: CheckedBatch[] = []
  for (let at = 0; at < records.length;) {
    const left = records.length - at
    if (left < batchHeaderBytes) throw new Fault('log.corrupt-batch', { what: `${left} bytes where a batch begins` })
    const header = readBatchHeader(records, at)
    if (header.magic !== 2) {
      const oldFormat = header.magic === 0 || header.magic === 1
      const what = `a record format of version ${header.magic}`
      throw oldFormat ? new Fault('log.invalid-batch', { what }) : new Fault('log.corrupt-batch', { what })
    }
    if (header.bytes < batchHeaderBytes || header.bytes > left)
      throw new Fault('log.corrupt-batch', { what: `a length of ${header.bytes} with ${left} bytes there` })
    found.push({ bytes: records.subarray(at, at + header.bytes), header })
    at += header.bytes
  }
  if (found.length === 0) throw new Fault('log.invalid-batch', { what: 'no record batch' })
  return found
}

/** Length, CRC, codec and counts: what makes bytes a batch, whatever the topic. Throws Fault. */
export function checkForm({ bytes, header }: CheckedBatch, batchBytesMax: number): void {
  if (header.bytes > batchBytesMax)
    throw new Fault('log.batch-too-large', { bytes: header.bytes, bytesMax: batchBytesMax })
  const crc = batchCrc(bytes)
  if (crc !== header.crc)
    throw new Fault('log.corrupt-batch', { what: `the checksum is ${header.crc}, the bytes have ${crc}` })
  codecName(header.attributes & attribute.compressionMask)
  const { recordCount, lastOffsetDelta } = header
  if (recordCount <= 0 || lastOffsetDelta !== recordCount - 1)
    throw new Fault('log.invalid-batch', { what: `${recordCount} records up to offset delta ${lastOffsetDelta}` })
}

/** What only a client's batch must be: the log sets these fields itself otherwise. Throws Fault. */
export function checkClientFields({ header }: CheckedBatch, isFirst: boolean): void {
  if (isFirst && header.baseOffset !== 0)
    throw new Fault('log.invalid-batch', { what: `the base offset is ${header.baseOffset}, it must be 0` })
  if ((header.attributes & attribute.control) !== 0)
    throw new Fault('log.invalid-batch', { what: 'clients write no control records' })
  if (header.producerId >= 0 && (header.baseSequence < 0 || header.producerEpoch < 0))
    throw new Fault('log.invalid-batch', {
      what: `sequence ${header.baseSequence} and epoch ${header.producerEpoch} of producer ${header.producerId}`,
    })
  if ((header.attributes & attribute.logAppendTime) !== 0)
    throw new Fault('log.invalid-timestamp', { timeMs: header.maxTimeMs, why: 'only the log sets append time' })
}

/** What the topic asks of records. Throws Fault, or RecordsRefused. */
export function checkRecords(batch: CheckedBatch, policy: TopicPolicy, nowMs: number): void {
  const bounded = policy.timestampType === 'create-time'
  if (bounded && batch.header.maxTimeMs > nowMs + policy.timestampAfterMaxMs)
    throw new Fault('log.invalid-timestamp', {
      timeMs: batch.header.maxTimeMs,
      why: `it lies more than ${policy.timestampAfterMaxMs} ms ahead`,
    })
  const oldestMs = bounded ? nowMs - policy.timestampBeforeMaxMs : -Infinity
  if (policy.compact || oldestMs > -Infinity) walkRecords(batch, { keysRequired: policy.compact, oldestMs })
}

function walkRecords({ bytes, header }: CheckedBatch, rules: { keysRequired: boolean; oldestMs: number }): void {
  const input = new ByteReader(recordBytes(bytes, header))
  const keyless: RecordError[] = []
  try {
    for (let index = 0; index < header.recordCount; index++) {
      const length = input.varint()
      const next = input.at + length
      if (length < 0 || next > input.end) throw new Fault('wire.malformed', { what: `a record of ${length} bytes` })
      input.int8()
      const timeMs = header.baseTimeMs + input.varint()
      input.varint()
      if (timeMs < rules.oldestMs)
        throw new Fault('log.invalid-timestamp', { timeMs, why: `it is older than the topic takes` })
      if (rules.keysRequired && input.varint() < 0)
        keyless.push({ index, message: 'Compacted topic cannot accept message without key.' })
      input.at = next
    }
  } catch (error) {
    if (error instanceof Fault && error.code === 'wire.malformed')
      throw new Fault('log.corrupt-batch', { what: error.message }, error)
    throw error
  }
  if (keyless.length > 0)
    throw new RecordsRefused(
      new Fault('log.invalid-batch', { what: 'a compacted topic takes no record without a key' }),
      keyless,
    )
}

export function recordBytes(bytes: Uint8Array, header: BatchHeader): Uint8Array {
  const stored = bytes.subarray(batchHeaderBytes, header.bytes)
  const codec = codecName(header.attributes & attribute.compressionMask)
  return codec === 'none' ? stored : decompress(codec, stored, limits.decompressedBytes)
}
