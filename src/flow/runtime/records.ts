/** Records on their way out of a tick, gathered into batches per partition. */
import { type RecordInput, encodeBatch } from '../../log/batch.ts'
import type { Batch, Partition } from '../../log/log.ts'

export interface OutputRecord {
  readonly topic: string
  readonly partition: number
  readonly record: RecordInput
}
const batchRecords = 5_000
/** What a record takes beside its bytes, at most. */
const overhead = 64

const sizeOf = (record: RecordInput): number =>
  (record.key?.length ?? 0) +
  (record.value?.length ?? 0) +
  (record.headers ?? []).reduce((sum, [name, value]) => sum + name.length * 3 + (value?.length ?? 0) + 12, overhead)

/** Batches of at most `bytesMax` (one record may be larger), per partition in the order given. */
export function batchesFor(
  records: Iterable<OutputRecord>,
  bytesMax: number,
): { entries: { partition: Partition; batch: Batch }[]; bytes: number } {
  const open = new Map<string, { partition: Partition; records: RecordInput[]; bytes: number }>()
  const entries: { partition: Partition; batch: Batch }[] = []
  let total = 0
  const close = (one: { partition: Partition; records: RecordInput[] }): void => {
    const batch = encodeBatch(one.records)
    total += batch.length
    entries.push({ partition: one.partition, batch })
  }
  for (const { topic, partition, record } of records) {
    const place = `${topic}/${partition}`
    const size = sizeOf(record)
    let one = open.get(place)
    if (one !== undefined && (one.bytes + size > bytesMax || one.records.length >= batchRecords)) {
      close(one)
      one = undefined
    }
    if (one === undefined) open.set(place, (one = { partition: { topic, index: partition }, records: [], bytes: 0 }))
    one.records.push(record)
    one.bytes += size
  }
  for (const one of open.values()) close(one)
  return { entries, bytes: total }
}
