/**
 * Records of `__transaction_state` in Kafka's own format (TransactionLogKey 0, TransactionLogValue 1). What only we need
 * stands in a tagged field, which Kafka's readers skip: the ends that a commit names, the input positions it commits, and
 * earlier commits whose markers may not be on disk yet.
 */
import type { Offset } from '../../../lib/brand.ts'
import { ByteReader, ByteWriter } from '../../../lib/bytes.ts'
import { Fault } from '../../../lib/fault.ts'
import { bytesOfUuid, uuidOfBytes } from './uuid.ts'

/** Kafka's numbers. */
export const status = {
  empty: 0,
  ongoing: 1,
  prepareCommit: 2,
  prepareAbort: 3,
  completeCommit: 4,
  completeAbort: 5,
} as const
export type Status = (typeof status)[keyof typeof status]

export interface PlaceInTopic {
  readonly topicId: string
  readonly topic: string
  readonly index: number
}
/** A transaction's last batch in one partition: on disk if and only if all its batches there are. */
export interface NamedEnd extends PlaceInTopic {
  readonly last: Offset
  readonly end: Offset
}
export interface InputPosition {
  readonly group: string
  readonly topic: string
  readonly index: number
  readonly offset: Offset
}
/** Committed for good, its markers perhaps not on disk. */
export interface PendingMarkers {
  readonly producerId: number
  readonly epoch: number
  readonly partitions: readonly PlaceInTopic[]
}
export interface TransactionState {
  readonly producerId: number
  readonly epoch: number
  readonly timeoutMs: number
  readonly status: Status
  readonly updatedMs: number
  readonly startedMs: number
  readonly ends: readonly NamedEnd[]
  readonly inputs: readonly InputPosition[]
  readonly pending: readonly PendingMarkers[]
}

const ourTag = 10_000
const ourVersion = 1

export function encodeTransactionKey(transactionalId: string): Uint8Array {
  const out = new ByteWriter(transactionalId.length + 8)
  out.int16(0)
  const id = Buffer.from(transactionalId)
  out.int16(id.length)
  out.raw(id)
  return out.done()
}
/** Null for a key of another version. */
export function decodeTransactionKey(bytes: Uint8Array): string | null {
  const input = new ByteReader(bytes)
  return input.int16() === 0 ? input.utf8(input.int16()) : null
}

export function encodeTransactionState(state: TransactionState): Uint8Array {
  const out = new ByteWriter(256)
  out.int16(1)
  out.int64(state.producerId)
  out.int16(state.epoch)
  out.int32(state.timeoutMs)
  out.int8(state.status)
  writeTopics(out, state.ends)
  out.int64(state.updatedMs)
  out.int64(state.startedMs)
  const ours = encodeOurs(state)
  out.uvarint(1)
  out.uvarint(ourTag)
  out.uvarint(ours.length)
  out.raw(ours)
  return out.done()
}
function writeTopics(out: ByteWriter, places: readonly PlaceInTopic[]): void {
  const topics = Map.groupBy(places, (place) => place.topic)
  out.uvarint(topics.size + 1)
  for (const [topic, of] of topics) {
    writeText(out, topic)
    out.uvarint(of.length + 1)
    for (const { index } of of) out.int32(index)
    out.uvarint(0)
  }
}
function encodeOurs(state: TransactionState): Uint8Array {
  const out = new ByteWriter(256)
  out.int8(ourVersion)
  out.uvarint(state.ends.length)
  for (const end of state.ends) {
    writePlace(out, end)
    out.int64(end.last)
    out.int64(end.end)
  }
  out.uvarint(state.inputs.length)
  for (const input of state.inputs) {
    writeText(out, input.group)
    writeText(out, input.topic)
    out.uvarint(input.index)
    out.int64(input.offset)
  }
  out.uvarint(state.pending.length)
  for (const pending of state.pending) {
    out.int64(pending.producerId)
    out.int16(pending.epoch)
    out.uvarint(pending.partitions.length)
    for (const place of pending.partitions) writePlace(out, place)
  }
  return out.done()
}
function writePlace(out: ByteWriter, place: PlaceInTopic): void {
  out.raw(bytesOfUuid(place.topicId))
  writeText(out, place.topic)
  out.uvarint(place.index)
}
function writeText(out: ByteWriter, text: string): void {
  const bytes = Buffer.from(text)
  out.uvarint(bytes.length + 1)
  out.raw(bytes)
}

/** Throws Fault wire.malformed. */
export function decodeTransactionState(bytes: Uint8Array): TransactionState {
  const input = new ByteReader(bytes)
  const version = input.int16()
  if (version !== 1) throw new Fault('wire.malformed', { what: `transaction state of version ${version}` })
  const producerId = input.int64()
  const epoch = input.int16()
  const timeoutMs = input.int32()
  const found = input.int8() as Status
  skipTopics(input)
  const updatedMs = input.int64()
  const startedMs = input.int64()
  const ours = findOurs(input)
  return { producerId, epoch, timeoutMs, status: found, updatedMs, startedMs, ...ours }
}
function skipTopics(input: ByteReader): void {
  for (let topics = input.uvarint() - 1; topics > 0; topics--) {
    readText(input)
    input.raw(4 * Math.max(0, input.uvarint() - 1))
    for (let tags = input.uvarint(); tags > 0; tags--) {
      input.uvarint()
      input.raw(input.uvarint())
    }
  }
}
type Ours = Pick<TransactionState, 'ends' | 'inputs' | 'pending'>
function findOurs(input: ByteReader): Ours {
  let ours: Ours = { ends: [], inputs: [], pending: [] }
  for (let tags = input.uvarint(); tags > 0; tags--) {
    const tag = input.uvarint()
    const bytes = input.raw(input.uvarint())
    if (tag === ourTag) ours = decodeOurs(new ByteReader(bytes))
  }
  return ours
}
function decodeOurs(input: ByteReader): Ours {
  const version = input.int8()
  if (version !== ourVersion) throw new Fault('wire.malformed', { what: `commit record of version ${version}` })
  return {
    ends: list(input, () => ({
      ...readPlace(input),
      last: input.int64() as Offset,
      end: input.int64() as Offset,
    })),
    inputs: list(input, () => ({
      group: readText(input),
      topic: readText(input),
      index: input.uvarint(),
      offset: input.int64() as Offset,
    })),
    pending: list(input, () => ({
      producerId: input.int64(),
      epoch: input.int16(),
      partitions: list(input, () => readPlace(input)),
    })),
  }
}
function list<T>(input: ByteReader, read: () => T): T[] {
  const found: T[] = []
  for (let left = input.uvarint(); left > 0; left--) found.push(read())
  return found
}
const readPlace = (input: ByteReader): PlaceInTopic => ({
  topicId: uuidOfBytes(input.raw(16)),
  topic: readText(input),
  index: input.uvarint(),
})
const readText = (input: ByteReader): string => input.utf8(input.uvarint() - 1)
