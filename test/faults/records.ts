/**
 * Records that prove themselves: the value names its producer and sequence number and continues with bytes that follow
 * from the two, so any record read back is either exactly the one that was sent or damaged, without keeping a copy.
 */
import { createHash } from 'node:crypto'
import { decodeBatch, encodeBatch, type LogRecord, type RecordInput } from '../../src/log/batch.ts'
import { ownBatch } from '../../src/store/batch-header.ts'

/** producer × 2^32 + sequence: one number per record of a run. Producers are below 2^20. */
export type RecordId = number
export const damaged = -1

const sequences = 0x1_0000_0000
export const recordId = (producer: number, sequence: number): RecordId => producer * sequences + sequence
export const producerOf = (id: RecordId): number => Math.floor(id / sequences)
export const sequenceOf = (id: RecordId): number => id % sequences

const poolBytes = 1 << 20
const pool = Buffer.concat(
  Array.from({ length: poolBytes / 64 }, (_, i) => createHash('sha512').update(`millrace ${i}`).digest()),
)
const headBytes = 8

/** Mostly small, one in 64 up to 16 KB: sizes follow from the id too. */
function bodyOf(id: RecordId): Buffer {
  const mixed = Math.imul(sequenceOf(id) ^ (producerOf(id) * 0x9e37), 0x85ebca6b) >>> 0
  const bytes = mixed % 64 === 0 ? (mixed >>> 6) % 16_384 : (mixed >>> 6) % 600
  const start = (mixed >>> 4) % (poolBytes - bytes)
  return pool.subarray(start, start + bytes)
}

export function valueOf(id: RecordId): Buffer {
  const head = Buffer.allocUnsafe(headBytes)
  head.writeUInt32BE(producerOf(id), 0)
  head.writeUInt32BE(sequenceOf(id), 4)
  return Buffer.concat([head, bodyOf(id)])
}

export function idOf(record: LogRecord): RecordId | typeof damaged {
  const { value } = record
  if (value === null || value.length < headBytes) return damaged
  const bytes = Buffer.from(value.buffer, value.byteOffset, value.length)
  const id = recordId(bytes.readUInt32BE(0), bytes.readUInt32BE(4))
  return bodyOf(id).equals(bytes.subarray(headBytes)) ? id : damaged
}

/** A batch of `count` records from `first` on. */
export function batchOf(first: RecordId, count: number, owner: { producerId: number; epoch: number } | null): Buffer {
  const timeMs = Date.now()
  const key = Buffer.from(`p${producerOf(first)}`)
  const records: RecordInput[] = []
  for (let i = 0; i < count; i++) records.push({ key, value: valueOf(first + i), timeMs })
  const batch = Buffer.from(encodeBatch(records))
  if (owner !== null) {
    const { producerId, epoch } = owner
    ownBatch(batch, { producerId, producerEpoch: epoch, baseSequence: sequenceOf(first), transactional: false })
  }
  return batch
}

export interface ReadRecord {
  readonly offset: number
  readonly id: RecordId | typeof damaged
}
export const readBatch = (batch: Uint8Array): ReadRecord[] =>
  decodeBatch(batch).map((record) => ({ offset: record.offset, id: idOf(record) }))
