/**
 * What a batch must be before it is stored, in Kafka's order and with Kafka's answers. The records of a client are walked
 * without allocation, unpacked where they are packed: what is stored is what every reader (a view, a page, compaction)
 * will decode, and one batch that cannot be would stop them all for ever.
 */
import { ByteReader } from '../../lib/bytes.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import {
  type BatchHeader,
  attribute,
  batchCrc,
  batchHeaderBytes,
  readBatchHeader,
  setMaxTime,
} from '../../store/batch-header.ts'
import { codecName, piecesOf, withDecompressed } from '../compression.ts'
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

/** Length, CRC (unless it was just computed), codec and counts: what makes bytes a batch, whatever the topic. Throws Fault. */
export function checkForm({ bytes, header }: CheckedBatch, batchBytesMax: number, isSealed = false): void {
  if (header.bytes > batchBytesMax)
    throw new Fault('log.batch-too-large', { bytes: header.bytes, bytesMax: batchBytesMax })
  const crc = isSealed ? header.crc : batchCrc(bytes)
  if (crc !== header.crc)
    throw new Fault('log.corrupt-batch', { what: `the checksum is ${header.crc}, the bytes have ${crc}` })
  codecName(header.attributes & attribute.compressionMask)
  const { recordCount, lastOffsetDelta } = header
  if (recordCount <= 0 || lastOffsetDelta !== recordCount - 1)
    throw new Fault('log.invalid-batch', { what: `${recordCount} records up to offset delta ${lastOffsetDelta}` })
}

/** What only a client's batch must be: the log sets these fields itself otherwise. Throws Fault. */
export function checkClientFields({ header }: CheckedBatch): void {
  if (header.baseOffset !== 0)
    throw new Fault('log.invalid-batch', { what: `the base offset is ${header.baseOffset}, it must be 0` })
  if ((header.attributes & attribute.control) !== 0)
    throw new Fault('log.invalid-batch', { what: 'clients write no control records' })
  if (!Number.isSafeInteger(header.producerId))
    throw new Fault('log.invalid-batch', { what: `nobody was given the producer id ${header.producerId}` })
  if (header.producerId >= 0 && (header.baseSequence < 0 || header.producerEpoch < 0))
    throw new Fault('log.invalid-batch', {
      what: `sequence ${header.baseSequence} and epoch ${header.producerEpoch} of producer ${header.producerId}`,
    })
  if ((header.attributes & attribute.logAppendTime) !== 0)
    throw new Fault('log.invalid-timestamp', { timeMs: header.maxTimeMs, why: 'only the log sets append time' })
}

/** What the packed batches of one request may still come to: all are unpacked on the one thread that all clients share. */
export class Unpacking {
  left: number

  constructor(requestBytes: number) {
    this.left = limits.requestUnpackedBytes + limits.requestExpansion * requestBytes
  }
  /** What one batch may come to. Throws Fault. */
  take(bytesMax: number): number {
    const bytes = Math.min(bytesMax, this.left)
    if (bytes <= 0)
      throw new Fault('wire.too-large', {
        what: 'a request by what it unpacks to',
        bytes: limits.requestUnpackedBytes + bytesMax,
        bytesMax: limits.requestUnpackedBytes,
      })
    this.left -= bytes
    return bytes
  }
  /** The batch was smaller. What could not be unpacked may have taken as long as the largest. */
  giveBack(bytes: number): void {
    this.left += bytes
  }
}

/**
 * What the topic asks of records and, of a client's, that they are what the header says. As Kafka does, the largest time
 * in the header is made that of the records: what is found by time and kept for a time goes by it. Returns the batch as it
 * is then. Throws Fault, or RecordsRefused.
 */
export function checkRecords(
  batch: CheckedBatch,
  policy: TopicPolicy,
  nowMs: number,
  by: 'us' | Unpacking,
): CheckedBatch {
  const { header } = batch
  const bounded = policy.timestampType === 'create-time'
  const newestMs = bounded ? Math.min(nowMs + policy.timestampAfterMaxMs, timeMsMax) : Infinity
  checkTime(header.maxTimeMs, -Infinity, newestMs)
  const oldestMs = bounded ? nowMs - policy.timestampBeforeMaxMs : -Infinity
  if (by === 'us' && !policy.compact && policy.headers.length === 0 && oldestMs === -Infinity) return batch
  // As too large, not as invalid: clients then split the batch and send its parts.
  if (header.recordCount > limits.batchRecords)
    throw new Fault('wire.too-large', {
      what: 'a batch by its records',
      bytes: header.recordCount,
      bytesMax: limits.batchRecords,
    })
  const rules = {
    keysRequired: policy.compact,
    oldestMs: bounded ? Math.max(oldestMs, -timeMsMax) : oldestMs,
    newestMs,
  }
  if (by === 'us') {
    withRecords(batch, limits.decompressedBytes, (records) => walkRecords(header, records, rules))
    return batch
  }
  if (bounded) checkTime(header.baseTimeMs, -Number.MAX_SAFE_INTEGER, Number.MAX_SAFE_INTEGER)
  const maxTimeMs = withClientRecords(batch, policy, by, (records) => walkRecords(header, records, rules))
  if (!bounded || maxTimeMs === header.maxTimeMs) return batch
  setMaxTime(batch.bytes, maxTimeMs)
  return { bytes: batch.bytes, header: readBatchHeader(batch.bytes) }
}
/** What a piece counts at least: to unpack one takes as long as so many bytes. Snappy's have 32 KB. */
const pieceBytes = 16 * 1024
/** The last one that has a date. */
const timeMsMax = 8_640_000_000_000_000
function withClientRecords<Result>(
  batch: CheckedBatch,
  policy: TopicPolicy,
  unpacking: Unpacking,
  look: (records: Uint8Array) => Result,
): Result {
  const { bytes, header } = batch
  const bytesMax = unpackedBytesMax(policy.batchBytesMax)
  const codec = codecName(header.attributes & attribute.compressionMask)
  if (codec === 'none') return withRecords(batch, bytesMax, look)
  const least = pieceBytes * piecesOf(codec, bytes.subarray(batchHeaderBytes, header.bytes))
  const taken = unpacking.take(Math.max(bytesMax, least))
  if (taken < least) throw new Fault('wire.too-large', { what: 'a batch by its pieces', bytes: least, bytesMax: taken })
  return withRecords(batch, Math.min(taken, bytesMax), (records) => {
    unpacking.giveBack(taken - Math.max(least, records.length))
    return look(records)
  })
}
/** In proportion to what the topic takes packed: what a reader must be ready for. */
const unpackedBytesMax = (batchBytesMax: number): number =>
  Math.min(limits.decompressedBytes, limits.expansion * batchBytesMax)

function checkTime(timeMs: number, oldestMs: number, newestMs: number): void {
  if (timeMs > newestMs)
    throw new Fault('log.invalid-timestamp', { timeMs, why: 'it lies further ahead than the topic takes' })
  if (timeMs < oldestMs) throw new Fault('log.invalid-timestamp', { timeMs, why: 'it is older than the topic takes' })
}

interface RecordRules {
  readonly keysRequired: boolean
  readonly oldestMs: number
  readonly newestMs: number
}
/** Returns the largest time. */
function walkRecords(header: BatchHeader, records: Uint8Array, rules: RecordRules): number {
  const input = new ByteReader(records)
  let maxTimeMs = -Infinity
  const keyless: RecordError[] = []
  try {
    for (let index = 0; index < header.recordCount; index++) {
      const length = input.varint()
      const next = input.at + length
      if (length < 0 || next > input.end) throw malformed(`a record of ${length} bytes, ${input.left} left`)
      input.int8()
      const timeMs = header.baseTimeMs + input.varint()
      checkTime(timeMs, rules.oldestMs, rules.newestMs)
      if (timeMs > maxTimeMs) maxTimeMs = timeMs
      const offsetDelta = input.varint()
      if (offsetDelta !== index) throw malformed(`offset delta ${offsetDelta} of record ${index}`)
      if (skipBytes(input) < 0 && rules.keysRequired)
        keyless.push({ index, message: 'Compacted topic cannot accept message without key.' })
      skipBytes(input)
      skipHeaders(input)
      if (input.at !== next) throw malformed('a record with a wrong length')
    }
    if (input.left !== 0) throw malformed(`${input.left} bytes after the last record`)
  } catch (error) {
    // The checksum was right: this is how the client made it.
    if (error instanceof Fault && error.code === 'wire.malformed')
      throw new Fault('log.invalid-batch', { what: error.message }, error)
    throw error
  }
  if (keyless.length > 0)
    throw new RecordsRefused(
      new Fault('log.invalid-batch', { what: 'a compacted topic takes no record without a key' }),
      keyless,
    )
  return maxTimeMs
}
const malformed = (what: string): Fault => new Fault('wire.malformed', { what })

/** Returns the length, −1 for null. */
function skipBytes(input: ByteReader): number {
  const length = input.varint()
  if (length < -1 || length > input.left) throw malformed(`${length} bytes, ${input.left} left`)
  if (length > 0) input.at += length
  return length
}
function skipHeaders(input: ByteReader): void {
  const count = input.varint()
  if (count < 0 || count > input.left) throw malformed(`${count} headers`)
  for (let i = 0; i < count; i++) {
    const length = skipBytes(input)
    if (length < 0) throw malformed('a header without a name')
    if (!isAscii(input.buffer, input.at - length, input.at)) {
      input.at -= length
      input.utf8(length)
    }
    skipBytes(input)
  }
}
function isAscii(bytes: Uint8Array, from: number, until: number): boolean {
  for (let at = from; at < until; at++) if (bytes[at]! >= 0x80) return false
  return true
}

/** Gives the records unpacked to `look`, for as long as it runs. Throws Fault. */
export function withRecords<Result>(
  { bytes, header }: CheckedBatch,
  bytesMax: number,
  look: (records: Uint8Array) => Result,
): Result {
  const stored = bytes.subarray(batchHeaderBytes, header.bytes)
  return withDecompressed(codecName(header.attributes & attribute.compressionMask), stored, bytesMax, look)
}
