/** Offsets by time, per record: the index finds the batch, the one batch is decoded. */
import type { Offset } from '../../lib/brand.ts'
import { readBatchHeader } from '../../store/batch-header.ts'
import { type LogRecord, decodeBatch, isControl } from '../batch.ts'
import type { PartitionState } from './partition.ts'
import { batchesOf } from './system-log.ts'

export interface FoundOffset {
  readonly offset: Offset
  readonly timeMs: number
  readonly leaderEpoch: number
}
const readBytes = 64 * 1024

/** The first record before `upTo` whose time is at or after `timeMs`. */
export async function findByTime(state: PartitionState, timeMs: number, upTo: Offset): Promise<FoundOffset | null> {
  await state.perform(() => undefined)
  let at = state.log.findTime(timeMs)
  if (at === null) return null
  if (at < state.log.start) at = state.log.start
  // Mostly the first batch has it; later ones are looked at when that one is a marker or lies before the log's start.
  while (at < upTo) {
    for (const batch of batchesOf(await state.log.read(at, readBytes, upTo))) {
      const header = readBatchHeader(batch)
      at = (header.baseOffset + header.lastOffsetDelta + 1) as Offset
      if (header.maxTimeMs < timeMs || isControl(batch)) continue
      const { start } = state.log
      const found = decodeBatch(batch).find(
        (record) => record.timeMs >= timeMs && record.offset >= start && record.offset < upTo,
      )
      if (found !== undefined) return foundIn(found, header.leaderEpoch)
    }
  }
  return null
}

/** The record with the largest time; of several, the first. */
export async function findLargestTime(state: PartitionState): Promise<FoundOffset | null> {
  await state.perform(() => undefined)
  const largest = state.log.largestTime()
  if (largest === null || largest.offset >= state.highWatermark) return null
  const from = largest.offset < state.log.start ? state.log.start : largest.offset
  const [batch] = batchesOf(await state.log.read(from, 1, state.highWatermark))
  if (batch === undefined) return null
  const { leaderEpoch, maxTimeMs, baseOffset } = readBatchHeader(batch)
  if (isControl(batch)) return { offset: baseOffset as Offset, timeMs: maxTimeMs, leaderEpoch }
  const found = decodeBatch(batch).reduce((best, record) => (record.timeMs > best.timeMs ? record : best))
  return foundIn(found, leaderEpoch)
}

const foundIn = (record: LogRecord, leaderEpoch: number): FoundOffset => ({
  offset: record.offset as Offset,
  timeMs: record.timeMs,
  leaderEpoch,
})
