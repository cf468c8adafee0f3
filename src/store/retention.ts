/**
 * Which old segments may go: by the largest record time in them, and by the bytes of the partition. Never one that still
 * grows, unless all of it has expired: then a new one is begun first, so that a topic nobody writes to any more becomes
 * empty, whatever `segmentMs` is. As in Kafka, which looks every five minutes: a segment that is younger may hold old
 * records that somebody has just brought in and wants to read.
 */
import type { Partition } from './partition.ts'
import type { Segment } from './segment.ts'

const growingMsMin = 5 * 60_000

export async function sweep(partition: Partition, nowMs: number): Promise<void> {
  const { retentionMs, retentionBytes, segmentMs } = partition.config
  if (partition.damage !== null || (retentionMs < 0 && retentionBytes < 0)) return
  const { list } = partition.segments
  const isExpired = (segment: Segment): boolean => retentionMs >= 0 && newestTime(segment) + retentionMs < nowMs
  const last = list.at(-1)
  const mayEndMs = Math.min(segmentMs, growingMsMin)
  if (last?.durable.bytes && last.isDurable && isExpired(last) && nowMs - last.createdMs >= mayEndMs)
    await partition.rollNow()
  let bytes = partition.sizeBytes
  let start: number = partition.start
  for (let i = 0; i + 1 < list.length; i++) {
    const segment = list[i]!
    if (!segment.isDurable || list[i + 1]!.base > partition.durable) break
    const isTooMuch = retentionBytes >= 0 && bytes - segment.durable.bytes >= retentionBytes
    if (!isExpired(segment) && !isTooMuch) break
    bytes -= segment.durable.bytes
    start = list[i + 1]!.base
  }
  await partition.forgetBefore(start)
}

/** Records without a time count from when their segment was begun. */
export const newestTime = (segment: Segment): number =>
  segment.durable.maxTimeMs >= 0 ? segment.durable.maxTimeMs : segment.createdMs
