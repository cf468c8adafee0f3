/** Records on their way out of a tick, gathered into batches per partition. */
import type { ByteWriter } from '../../lib/bytes.ts'
import { BatchWriter, type RecordInput, encodeBatch } from '../../log/batch.ts'
import type { Batch, Partition, TopicInfo } from '../../log/log.ts'
import type { Graph } from '../graph.ts'
import { together } from '../parts/far-parts.ts'
import type { ChangesTo } from '../state.ts'

export interface OutputRecord {
  readonly topic: string
  readonly partition: number
  readonly record: RecordInput
}
const batchRecords = 5_000
/** What a record takes beside its bytes, at most. */
const overhead = 64

function sizeOf({ key, value, headers }: RecordInput): number {
  let size = overhead + (key?.length ?? 0) + (value?.length ?? 0)
  if (headers !== undefined)
    for (const [name, content] of headers) size += name.length * 3 + (content?.length ?? 0) + 12
  return size
}

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
  // Of the record before: mostly the place of this one too.
  let [lastTopic, lastPartition, place] = ['', -1, '']
  for (const { topic, partition, record } of records) {
    if (topic !== lastTopic || partition !== lastPartition) {
      place = `${topic}/${partition}`
      lastTopic = topic
      lastPartition = partition
    }
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
  const batches = new StateBatches(topic, nowMs, bytesMax)
  graph.tellChanges(batches)
  return batches.done()
}
class StateBatches implements ChangesTo {
  private readonly topic: Pick<TopicInfo, 'name' | 'partitions'>
  private readonly nowMs: number
  private readonly bytesMax: number
  /** By partition. */
  private readonly open: (BatchWriter | undefined)[] = []
  private readonly entries: { partition: Partition; batch: Batch }[] = []
  // What is being written.
  private index = 0
  private writer: BatchWriter | null = null

  constructor(topic: Pick<TopicInfo, 'name' | 'partitions'>, nowMs: number, bytesMax: number) {
    this.topic = topic
    this.nowMs = nowMs
    this.bytesMax = bytesMax
  }
  key(slot: number, length: number): ByteWriter {
    this.index = slot % this.topic.partitions
    let writer = this.open[this.index]
    if (writer !== undefined && writer.count >= batchRecords) {
      this.close(writer, this.index)
      writer = undefined
    }
    this.writer = writer ?? (this.open[this.index] = new BatchWriter(this.nowMs))
    return this.writer.key(length)
  }
  value(): ByteWriter {
    return this.writer!.value()
  }
  end(replaces: boolean): void {
    const writer = this.writer!
    const { index } = this
    writer.end(replaces)
    // Only now it is known how long the record is.
    if (writer.bytes <= this.bytesMax || writer.count === 1) return
    this.open[index] = writer.split()
    this.close(writer, index)
  }
  done(): { partition: Partition; batch: Batch }[] {
    for (const [index, writer] of this.open.entries()) if (writer !== undefined) this.close(writer, index)
    return this.entries
  }
  private close(writer: BatchWriter, index: number): void {
    this.entries.push({ partition: { topic: this.topic.name, index }, batch: writer.done() })
  }
}
