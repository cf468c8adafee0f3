/** Records on their way out of a tick, gathered into batches per partition. */
import { BatchWriter, type RecordInput, encodeBatch } from '../../log/batch.ts'
import type { Batch, Partition, TopicInfo } from '../../log/log.ts'
import type { Graph } from '../graph.ts'
import { together } from '../parts/far-parts.ts'

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
): { partition: Partition; batch: Batch }[] {
  const open = new Map<string, { partition: Partition; records: RecordInput[]; bytes: number }>()
  const entries: { partition: Partition; batch: Batch }[] = []
  const close = (one: { partition: Partition; records: RecordInput[] }): void => {
    entries.push({ partition: one.partition, batch: encodeBatch(one.records) })
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
  return entries
}

/** Saves the graph's state: what of it differs from the last commit. */
export function savedState(
  graph: Pick<Graph, 'save' | 'tellChanges' | 'farChanges'>,
  topic: Pick<TopicInfo, 'name' | 'partitions'>,
  { nowMs, bytesMax }: { readonly nowMs: number; readonly bytesMax: number },
): { partition: Partition; batch: Batch }[] {
  const { own, far } = together([graph.farChanges({ nowMs, bytesMax, partitions: topic.partitions })], () => {
    graph.save(nowMs)
    return stateBatches(graph, topic, { nowMs, bytesMax })
  })
  return [
    ...own,
    ...far.flat().map(({ partition, batch }) => ({ partition: { topic: topic.name, index: partition }, batch })),
  ]
}
/** Changes of a graph's state as batches of the state topic; slot s lies in partition s mod P. */
export function stateBatches(
  graph: Pick<Graph, 'tellChanges'>,
  topic: Pick<TopicInfo, 'name' | 'partitions'>,
  { nowMs, bytesMax }: { readonly nowMs: number; readonly bytesMax: number },
): { partition: Partition; batch: Batch }[] {
  const open: (BatchWriter | undefined)[] = []
  const entries: { partition: Partition; batch: Batch }[] = []
  const close = (writer: BatchWriter, index: number): void => {
    entries.push({ partition: { topic: topic.name, index }, batch: writer.done() })
  }
  graph.tellChanges((slot, bytes, middle, end) => {
    const index = slot % topic.partitions
    let writer = open[index]
    const size = Math.max(middle, end) + overhead
    if (writer !== undefined && (writer.bytes + size > bytesMax || writer.count >= batchRecords)) {
      close(writer, index)
      writer = undefined
    }
    writer ??= open[index] = new BatchWriter(nowMs)
    writer.add(bytes, 0, middle, end)
  })
  for (const [index, writer] of open.entries()) if (writer !== undefined) close(writer, index)
  return entries
}
