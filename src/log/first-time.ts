import type { Offset } from '../lib/brand.ts'
import { decodeBatch, isControl } from './batch.ts'
import type { Log, Partition } from './log.ts'

/** Time of the first record from there on, ms since 1970; null: there is none, or it cannot be read. */
export async function firstTimeMs(log: Log, partition: Partition, from: number): Promise<number | null> {
  // One batch at a time; the first ones may hold markers only.
  const reader = log.reader({ maxBytes: 1 })
  let at = from
  for (let reads = 0; reads < readsMax; reads++) {
    const [chunk] = await reader.read([{ partition, offset: at as Offset }])
    if (chunk === undefined || 'fault' in chunk || chunk.next <= at) return null
    const records = chunk.batches.flatMap((batch) => (isControl(batch) ? [] : decodeBatch(batch)))
    const first = records.find(({ offset }) => offset >= from)
    if (first !== undefined) return first.timeMs
    at = chunk.next
  }
  return null
}
const readsMax = 4
