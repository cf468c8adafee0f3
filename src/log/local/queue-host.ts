/** What queues need of the local log. */
import type { Offset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import { attribute, readBatchHeader } from '../../store/batch-header.ts'
import { type RecordInput, encodeBatch } from '../batch.ts'
import type { LogMeter } from '../broker.ts'
import type { Batch, Partition, Writer } from '../log.ts'
import type { QueuesHost, Slice } from '../queues/queue.ts'
import type { QueueSettings } from '../queues/queues.ts'
import type { QueueStateLog } from '../queues/service.ts'
import { findByTime } from './find-offset.ts'
import { LocalWriter } from './produce.ts'
import type { PartitionState } from './partition.ts'
import type { Registry } from './registry.ts'
import { batchesOf, placeDurably } from './system-log.ts'
import type { LocalTopics } from './topics.ts'
import { isAborted, readSlice } from './visible.ts'

export interface LocalQueueParts {
  readonly clock: Clock
  readonly registry: Registry
  readonly topics: LocalTopics
  readonly meter: LogMeter | null
  settings(group: string): QueueSettings
}

export function queueStateLog(partition: PartitionState): QueueStateLog {
  return {
    append: (records) => placeDurably(partition, records),
    trim: (to) => partition.log.trim(to),
  }
}

export function queuesHost(parts: LocalQueueParts): QueuesHost {
  const { clock, registry, topics, meter } = parts
  // Contracts are asked at the gateways: what is copied there came through one.
  const writer: Writer = new LocalWriter({ clock, registry, intake: null, meter }, 'all')
  return {
    clock,
    topic: (id) => registry.byId(id),
    settings: (group) => parts.settings(group),
    read: (of, from, by) => read(registry.partition(of), from, { ...by, meter }),
    async bounds(of) {
      const state = registry.partition(of)
      return state.perform(() => ({ start: state.log.start, end: state.highWatermark }))
    },
    async findTime(of, timeMs) {
      const state = registry.partition(of)
      return (await findByTime(state, timeMs, state.highWatermark))?.offset ?? null
    },
    watch: (of, wake) => registry.partition(of).watch(wake),
    bury: (topic, index, records) => bury(topics, writer, { topic, index, records }),
  }
}

async function read(
  state: PartitionState,
  from: Offset,
  by: { committedOnly: boolean; bytesMax: number; meter: LogMeter | null },
): Promise<Slice> {
  const { topic } = state.partition
  const slice = await readSlice(state, from, { maxBytes: by.bytesMax, committedOnly: by.committedOnly })
  const batches: Batch[] = []
  for (const batch of batchesOf(slice.buffers)) {
    const header = readBatchHeader(batch)
    if ((header.attributes & attribute.control) !== 0) continue
    if ((header.attributes & attribute.transactional) !== 0 && isAborted(slice.aborted, header)) continue
    batches.push(batch)
    by.meter?.read(topic, header.recordCount, header.bytes)
  }
  return { start: slice.start, next: slice.next, batches, bytes: slice.bytes, release: slice.release }
}

async function bury(
  topics: LocalTopics,
  writer: Writer,
  to: { topic: string; index: number; records: readonly RecordInput[] },
): Promise<void> {
  const { topic, index, records } = to
  if ((await topics.get(topic)) === null) {
    const [fault] = await topics.create([{ name: topic, partitions: 1 }])
    if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
  }
  const info = await topics.get(topic)
  if (info === null) throw new Fault('log.unknown-topic', { topic })
  const partition: Partition = { topic, index: index % info.partitions }
  const [answer] = await writer.append([{ partition, batch: encodeBatch(records) }])
  if (answer !== undefined && 'fault' in answer) throw answer.fault
}
