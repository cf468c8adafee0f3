/**
 * Records of `__share_group_state` in Kafka's own formats: a snapshot of a queue's state (key 0), and what changed since
 * (key 1). A test holds the declarations against Kafka's descriptors. Four fields are ours: until when a released record is
 * not to be given out (and who holds it until then), how many of its deliveries do not count, and when it was given out first, as tagged fields that Kafka's own readers pass over.
 */
import { array, int16, int32, int64, int8, or, string, struct, tagged, uuid } from '../../wire/kafka/codec/shape.ts'
import type { LogRecord, RecordInput } from '../batch.ts'
import { decodeForm, encodeForm, formNumber } from '../record-form.ts'
import type { QueueRef } from './queues.ts'
import type { Offset } from '../../lib/brand.ts'

export interface StoredBatch {
  readonly first: number
  readonly last: number
  readonly state: 'available' | 'accepted' | 'archived'
  readonly count: number
  /** Of them, those that do not count towards the limit. */
  readonly spared?: number
  /** When it was given out first, by the wall clock; 0 = not kept. */
  readonly firstMs?: number
  /** By the wall clock; 0 = at once. */
  readonly notBeforeMs: number
  /** Who holds it until then. */
  readonly lockedBy?: string
}
export interface StoredQueue {
  /** null: the group has not begun. */
  readonly start: number | null
  readonly stateEpoch: number
  /** Records of the window that are over; −1 = not said. */
  readonly over: number
  readonly batches: readonly StoredBatch[]
}
export interface StoredKey {
  readonly group: string
  readonly of: QueueRef
  readonly isSnapshot: boolean
}

const ownTag = 10_000
const lockTag = 10_001
const sparedTag = 10_002
const firstTag = 10_003
/** Kafka's field has no room for more. */
const countMax = 0x7fff
const valueVersion = 0
const key = struct({ groupId: string, topicId: uuid, partition: int32 })
const stateBatches = array(
  struct({
    firstOffset: int64,
    lastOffset: int64,
    deliveryState: int8,
    deliveryCount: int16,
    notBefore: tagged(ownTag, or(0, int64)),
    lockedBy: tagged(lockTag, or('', string)),
    spared: tagged(sparedTag, or(0, int16)),
    firstTime: tagged(firstTag, or(0, int64)),
  }),
)
/** By the number that begins the key. */
export const queueRecords = {
  snapshot: {
    key: 0,
    keyShape: key,
    value: struct({
      snapshotEpoch: int32,
      stateEpoch: int32,
      leaderEpoch: int32,
      startOffset: int64,
      deliveryCompleteCount: tagged(0, or(-1, int32)),
      createTimestamp: int64,
      writeTimestamp: int64,
      stateBatches,
    }),
  },
  update: {
    key: 1,
    keyShape: key,
    value: struct({
      snapshotEpoch: int32,
      leaderEpoch: int32,
      startOffset: int64,
      deliveryCompleteCount: tagged(0, or(-1, int32)),
      stateBatches,
    }),
  },
} as const

/** Kafka's numbers. */
const states = { available: 0, accepted: 2, archived: 4 } as const
const unset = -1

export function queueRecord(
  at: StoredKey,
  stored: StoredQueue | null,
  more: { readonly snapshotEpoch: number; readonly timeMs: number },
): RecordInput {
  const { group, of, isSnapshot } = at
  const { timeMs, snapshotEpoch } = more
  const name = { groupId: group, topicId: of.topicId, partition: of.index }
  const keyBytes = encodeForm(isSnapshot ? queueRecords.snapshot.key : queueRecords.update.key, key, name, 'key')
  if (stored === null) return { key: keyBytes, value: null, timeMs }
  const fields = {
    snapshotEpoch,
    leaderEpoch: 0,
    startOffset: stored.start ?? unset,
    deliveryCompleteCount: stored.over,
    stateBatches: stored.batches.map(
      ({ first, last, state, count, spared = 0, firstMs = 0, notBeforeMs, lockedBy = '' }) => ({
        firstOffset: first,
        lastOffset: last,
        deliveryState: states[state],
        deliveryCount: Math.min(count, countMax),
        notBefore: notBeforeMs,
        spared: Math.min(spared, countMax),
        firstTime: firstMs,
        lockedBy,
      }),
    ),
  }
  const value = isSnapshot
    ? encodeForm(
        valueVersion,
        queueRecords.snapshot.value,
        {
          ...fields,
          stateEpoch: stored.stateEpoch,
          createTimestamp: timeMs,
          writeTimestamp: timeMs,
        },
        'value',
      )
    : encodeForm(valueVersion, queueRecords.update.value, fields, 'value')
  return { key: keyBytes, value, timeMs }
}
/** What a record says; null for one of another kind. A queue that is gone has no `stored`. */
export function readQueueRecord(
  record: LogRecord,
): { readonly at: StoredKey; readonly stored: StoredQueue | null; readonly snapshotEpoch: number } | null {
  if (record.key === null) return null
  const number = formNumber(record.key)
  if (number !== queueRecords.snapshot.key && number !== queueRecords.update.key) return null
  const isSnapshot = number === queueRecords.snapshot.key
  const { groupId, topicId, partition } = decodeForm(key, record.key, 'key')
  const at = { group: groupId, of: { topicId, index: partition }, isSnapshot }
  if (record.value === null) return { at, stored: null, snapshotEpoch: 0 }
  const fields = isSnapshot
    ? decodeForm(queueRecords.snapshot.value, record.value, 'value')
    : { ...decodeForm(queueRecords.update.value, record.value, 'value'), stateEpoch: 0 }
  const stored: StoredQueue = {
    start: fields.startOffset < 0 ? null : (fields.startOffset as Offset),
    stateEpoch: fields.stateEpoch,
    over: fields.deliveryCompleteCount,
    batches: fields.stateBatches.map((batch) => ({
      first: batch.firstOffset,
      last: batch.lastOffset,
      state: stateOf(batch.deliveryState),
      count: batch.deliveryCount,
      notBeforeMs: batch.notBefore,
      ...(batch.spared === 0 ? {} : { spared: batch.spared }),
      ...(batch.firstTime === 0 ? {} : { firstMs: batch.firstTime }),
      ...(batch.lockedBy === '' ? {} : { lockedBy: batch.lockedBy }),
    })),
  }
  return { at, stored, snapshotEpoch: fields.snapshotEpoch }
}
/** A state that is not known here is one that a record can be delivered from. */
function stateOf(number: number): StoredBatch['state'] {
  if (number === states.accepted) return 'accepted'
  return number === states.archived ? 'archived' : 'available'
}
