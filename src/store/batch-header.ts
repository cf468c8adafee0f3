/**
 * The header of a record batch v2 (Kafka's format of a stored batch, KIP-98): field positions, reading and rewriting in
 * place. 61 bytes, then the records.
 */
import { crc32c } from '@node-rs/crc32'
import { crcDifference } from './crc.ts'

export const batchHeaderBytes = 61
/** Base offset and length come before what the length counts. */
export const batchPrefixBytes = 12
const crcFrom = 21

export const attribute = { compressionMask: 0x07, logAppendTime: 0x08, transactional: 0x10, control: 0x20 } as const

const view = (batch: Uint8Array): Buffer =>
  Buffer.isBuffer(batch) ? batch : Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength)
const int64 = (b: Buffer, at: number): number => b.readInt32BE(at) * 0x1_0000_0000 + b.readUInt32BE(at + 4)
function putInt64(b: Buffer, value: number, at: number): void {
  const high = Math.floor(value / 0x1_0000_0000)
  b.writeInt32BE(high, at)
  b.writeUInt32BE(value - high * 0x1_0000_0000, at + 4)
}

export interface BatchHeader {
  readonly baseOffset: number
  /** Of the whole batch, prefix included. */
  readonly bytes: number
  readonly leaderEpoch: number
  readonly magic: number
  readonly crc: number
  readonly attributes: number
  readonly lastOffsetDelta: number
  readonly baseTimeMs: number
  readonly maxTimeMs: number
  readonly producerId: number
  readonly producerEpoch: number
  readonly baseSequence: number
  readonly recordCount: number
}

/** Reads a header at `at`; the caller has checked that 61 bytes are there. */
export function readBatchHeader(bytes: Uint8Array, at = 0): BatchHeader {
  const b = view(bytes)
  return {
    baseOffset: int64(b, at),
    bytes: b.readInt32BE(at + 8) + batchPrefixBytes,
    leaderEpoch: b.readInt32BE(at + 12),
    magic: b.readInt8(at + 16),
    crc: b.readUInt32BE(at + 17),
    attributes: b.readInt16BE(at + 21),
    lastOffsetDelta: b.readInt32BE(at + 23),
    baseTimeMs: int64(b, at + 27),
    maxTimeMs: int64(b, at + 35),
    producerId: int64(b, at + 43),
    producerEpoch: b.readInt16BE(at + 51),
    baseSequence: b.readInt32BE(at + 53),
    recordCount: b.readInt32BE(at + 57),
  }
}

/** Writes a whole header but the CRC; call `sealBatch` after the records are in place. */
export function writeBatchHeader(bytes: Uint8Array, h: Omit<BatchHeader, 'crc'>): void {
  const b = view(bytes)
  putInt64(b, h.baseOffset, 0)
  b.writeInt32BE(h.bytes - batchPrefixBytes, 8)
  b.writeInt32BE(h.leaderEpoch, 12)
  b.writeInt8(h.magic, 16)
  b.writeInt16BE(h.attributes, 21)
  b.writeInt32BE(h.lastOffsetDelta, 23)
  putInt64(b, h.baseTimeMs, 27)
  putInt64(b, h.maxTimeMs, 35)
  putInt64(b, h.producerId, 43)
  b.writeInt16BE(h.producerEpoch, 51)
  b.writeInt32BE(h.baseSequence, 53)
  b.writeInt32BE(h.recordCount, 57)
}

/** CRC-32C over attributes and all that follows. */
export function batchCrc(batch: Uint8Array): number {
  return crc32c(batch.subarray(crcFrom))
}
export function sealBatch(batch: Uint8Array): void {
  view(batch).writeUInt32BE(batchCrc(batch), 17)
}

/** Base offset and leader epoch lie before the CRC: the log may set them without computing it again. */
export function placeBatch(batch: Uint8Array, baseOffset: number, leaderEpoch: number): void {
  const b = view(batch)
  putInt64(b, baseOffset, 0)
  b.writeInt32BE(leaderEpoch, 12)
}

/** Changes fields of the header. The CRC follows, and is as right as it was: records are not read for it. */
function amend(batch: Uint8Array, change: (b: Buffer) => void): void {
  const b = view(batch)
  const header = b.subarray(crcFrom, batchHeaderBytes)
  const before = crc32c(header)
  change(b)
  const difference = crcDifference((before ^ crc32c(header)) >>> 0, b.length - batchHeaderBytes)
  b.writeUInt32BE((b.readUInt32BE(17) ^ difference) >>> 0, 17)
}

/** Marks the batch as log-append time. */
export function stampBatch(batch: Uint8Array, timeMs: number): void {
  amend(batch, (b) => {
    b.writeInt16BE(b.readInt16BE(21) | attribute.logAppendTime, 21)
    putInt64(b, timeMs, 35)
  })
}

/** Changes the largest time. */
export function setMaxTime(batch: Uint8Array, timeMs: number): void {
  amend(batch, (b) => putInt64(b, timeMs, 35))
}

/** Gives a batch an owner: producer fields and flags. */
export function ownBatch(
  batch: Uint8Array,
  owner: { producerId: number; producerEpoch: number; baseSequence: number; transactional: boolean },
): void {
  amend(batch, (b) => {
    const flags = b.readInt16BE(21) & ~(attribute.transactional | attribute.control)
    b.writeInt16BE(owner.transactional ? flags | attribute.transactional : flags, 21)
    putInt64(b, owner.producerId, 43)
    b.writeInt16BE(owner.producerEpoch, 51)
    b.writeInt32BE(owner.baseSequence, 53)
  })
}
