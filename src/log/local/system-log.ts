/** A system topic's one partition: records appended and made durable, or read back from the start. */
import type { Offset } from '../../lib/brand.ts'
import {
  type BatchHeader,
  attribute,
  batchHeaderBytes,
  batchPrefixBytes,
  readBatchHeader,
} from '../../store/batch-header.ts'
import { type LogRecord, type RecordInput, decodeBatch, encodeBatch } from '../batch.ts'
import type { Mark, PartitionState } from './partition.ts'

const readBytes = 1024 * 1024

/** Appends one batch; resolves when it is durable. Throws the store's Fault. */
export async function appendDurably(
  to: PartitionState,
  records: readonly RecordInput[],
  reserveKept?: number,
): Promise<void> {
  await placeDurably(to, records, reserveKept)
}
/** The same; resolves with where the batch begins. */
export async function placeDurably(
  to: PartitionState,
  records: readonly RecordInput[],
  reserveKept?: number,
): Promise<Offset> {
  const mark = await to.perform(() => appendNow(to, records, reserveKept))
  await to.whenDurable(mark)
  return (mark.end - records.length) as Offset
}
/** The same without waiting for the disk. Only inside `perform`. Returns the mark to wait for. */
export function appendNow(to: PartitionState, records: readonly RecordInput[], reserveKept?: number): Mark {
  const batch = encodeBatch(records)
  to.append(batch, readBatchHeader(batch), null, reserveKept)
  return to.mark
}

/**
 * Every committed record, oldest first, and those that an open transaction may yet commit. Damage in a system topic is
 * thrown, not skipped: going on without what is behind it would forget topics or positions.
 */
export async function replay(
  from: PartitionState,
  visit: (record: LogRecord) => void,
  visitOpen?: (record: LogRecord, header: BatchHeader) => void,
): Promise<void> {
  await from.perform(() => undefined)
  if (from.log.damage !== null) throw from.log.damage.fault
  // Markers written on opening may not be durable yet; all that was found is.
  const end = from.log.durable
  for (let at = from.log.start; at < end;) {
    const buffers = await from.log.read(at, readBytes, end)
    for (const batch of batchesOf(buffers)) {
      const header = readBatchHeader(batch)
      const next = (header.baseOffset + header.lastOffsetDelta + 1) as Offset
      if (next <= at) continue
      at = next
      if ((header.attributes & attribute.control) !== 0) continue
      if (from.isCommitted(header)) for (const record of decodeBatch(batch)) visit(record)
      else if (visitOpen !== undefined && from.isOpen(header))
        for (const record of decodeBatch(batch)) visitOpen(record, header)
    }
  }
}

/** The newest value of each key, in the order of their records: what compaction would leave. */
export async function newestOf(from: PartitionState): Promise<Map<string, Uint8Array | null>> {
  const newest = new Map<string, Uint8Array | null>()
  await replay(from, ({ key, value }) => {
    if (key === null) return
    const name = Buffer.from(key).toString()
    newest.delete(name)
    newest.set(name, value)
  })
  return newest
}

/** Cuts buffers of whole batches into batches. */
export function* batchesOf(buffers: readonly Uint8Array[]): Iterable<Uint8Array> {
  for (const buffer of buffers)
    for (let at = 0; at + batchHeaderBytes <= buffer.length;) {
      const { bytes } = readBatchHeader(buffer, at)
      yield buffer.subarray(at, at + bytes)
      at += bytes
    }
}

/** Records in a buffer of whole batches. */
export function countRecords(buffer: Uint8Array): number {
  const view = Buffer.isBuffer(buffer) ? buffer : Buffer.from(buffer.buffer, buffer.byteOffset, buffer.byteLength)
  let count = 0
  for (let at = 0; at + batchHeaderBytes <= view.length; at += batchPrefixBytes + view.readInt32BE(at + 8))
    count += view.readInt32BE(at + 57)
  return count
}
