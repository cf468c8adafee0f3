/** Markers that end a transaction in a partition (KIP-98): a batch of one control record. */
import { ByteReader, ByteWriter } from '../../lib/bytes.ts'
import { attribute, batchHeaderBytes, sealBatch, writeBatchHeader } from '../../store/batch-header.ts'
import { decodeBatch, encodeBatch } from '../batch.ts'

export type Outcome = 'commit' | 'abort'
const abortType = 0
const commitType = 1

export function encodeMarker(marker: {
  producerId: number
  epoch: number
  outcome: Outcome
  timeMs: number
  coordinatorEpoch: number
}): Uint8Array {
  const key = new ByteWriter(4)
  key.int16(0)
  key.int16(marker.outcome === 'commit' ? commitType : abortType)
  const value = new ByteWriter(6)
  value.int16(0)
  value.int32(marker.coordinatorEpoch)
  const batch = encodeBatch([{ key: key.done(), value: value.done(), timeMs: marker.timeMs }])
  writeBatchHeader(batch, {
    baseOffset: 0,
    bytes: batch.length,
    leaderEpoch: -1,
    magic: 2,
    attributes: attribute.transactional | attribute.control,
    lastOffsetDelta: 0,
    baseTimeMs: marker.timeMs,
    maxTimeMs: marker.timeMs,
    producerId: marker.producerId,
    producerEpoch: marker.epoch,
    baseSequence: -1,
    recordCount: 1,
  })
  sealBatch(batch)
  return batch
}

/** What a control batch says; null for control records of another kind. */
export function outcomeOf(batch: Uint8Array): Outcome | null {
  if (batch.length <= batchHeaderBytes) return null
  const key = decodeBatch(batch)[0]?.key
  if (key === null || key === undefined || key.length < 4) return null
  const input = new ByteReader(key)
  input.int16()
  const type = input.int16()
  return type === commitType ? 'commit' : type === abortType ? 'abort' : null
}
