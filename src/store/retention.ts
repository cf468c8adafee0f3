/**
 * Which old segments may go: by the largest record time in them, and by the bytes of the partition. Never one that still
 * grows, unless `segmentMs` has passed and all of it has expired: then a new one is begun first.
 */
import type { Partition } from './partition.ts'
import type { Segment } from './segment.ts'

export async function sweep(partition: Partition, nowMs: number): Promise<void> {
  const { retentionMs, retentionBytes, segmentMs } = partition.config
  if (partition.damage !== null || (retentionMs < 0 && retentionBytes < 0)) return
  const { list } = partition.segments
  const isExpired = (segment: Segment): boolean => retentionMs >= 0 && newestTime(segment) + retentionMs < nowMs
  const last = list.at(-1)
  if (last?.durable.bytes && last.isDurable && isExpired(last) && nowMs - last.createdMs >= segmentMs)
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
