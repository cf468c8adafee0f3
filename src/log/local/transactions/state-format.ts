/**
 * Records of `__transaction_state` in Kafka's own format (TransactionLogKey 0, TransactionLogValue 1). What only we need
 * stands in a tagged field, which Kafka's readers skip: the ids of topics, the ends that the commit of a tick names, the
 * input positions it commits, and earlier commits of the same id whose markers may not be on disk yet.
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
  /** Of a tick. */
  readonly ends: readonly NamedEnd[]
  readonly inputs: readonly InputPosition[]
  readonly pending: readonly PendingMarkers[]
  /** null: a tick, of this process alone. */
  readonly client: ClientPart | null
}
/** What a client's transaction has besides: see `IdState`. */
export interface ClientPart {
  readonly previousProducerId: number
  readonly nextProducerId: number
  readonly lastEpoch: number
  readonly bumps: boolean
  /** Where it has written, or is about to. */
  readonly partitions: readonly PlaceInTopic[]
}

const tag = { previousProducerId: 0, nextProducerId: 1, clientVersion: 2, ours: 10_000 } as const
const bumpingVersion = 2
/** Version 1 has no client's part. */
const ourVersion = 2

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
  if (state.status === status.empty) out.uvarint(0)
  else writeTopics(out, [...state.ends, ...(state.client?.partitions ?? [])])
  out.int64(state.updatedMs)
  out.int64(state.startedMs)
  const tags = tagsOf(state)
  out.uvarint(tags.length)
  for (const [number, bytes] of tags) {
    out.uvarint(number)
    out.uvarint(bytes.length)
    out.raw(bytes)
  }
  return out.done()
}
/** Those that are not as they are by default, in the order of their numbers. */
function tagsOf(state: TransactionState): (readonly [number: number, bytes: Uint8Array])[] {
  const { client } = state
  const tags: (readonly [number, Uint8Array])[] = []
  if (client !== null && client.previousProducerId >= 0)
    tags.push([tag.previousProducerId, written((out) => out.int64(client.previousProducerId))])
  if (client !== null && client.nextProducerId >= 0)
    tags.push([tag.nextProducerId, written((out) => out.int64(client.nextProducerId))])
  if (client?.bumps === true) tags.push([tag.clientVersion, written((out) => out.int16(bumpingVersion))])
  tags.push([tag.ours, written((out) => writeOurs(out, state))])
  return tags
}
function written(write: (out: ByteWriter) => void): Uint8Array {
  const out = new ByteWriter(64)
  write(out)
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
function writeOurs(out: ByteWriter, state: TransactionState): void {
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
    writePlaces(out, pending.partitions)
  }
  out.int8(state.client === null ? 0 : 1)
  if (state.client === null) return
  out.int16(state.client.lastEpoch)
  writePlaces(out, state.client.partitions)
}
function writePlaces(out: ByteWriter, places: readonly PlaceInTopic[]): void {
  out.uvarint(places.length)
  for (const place of places) writePlace(out, place)
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
  const tags = readTags(input)
  const ours = tags.get(tag.ours)
  const known = ours === undefined ? nothing : decodeOurs(ours, tags)
  return { producerId, epoch, timeoutMs, status: found, updatedMs, startedMs, ...known }
}
function skipTopics(input: ByteReader): void {
  for (let topics = input.uvarint() - 1; topics > 0; topics--) {
    readText(input)
    input.raw(4 * Math.max(0, input.uvarint() - 1))
    readTags(input)
  }
}
function readTags(input: ByteReader): Map<number, ByteReader> {
  const tags = new Map<number, ByteReader>()
  for (let left = input.uvarint(); left > 0; left--) {
    const number = input.uvarint()
    tags.set(number, new ByteReader(input.raw(input.uvarint())))
  }
  return tags
}
type Ours = Pick<TransactionState, 'ends' | 'inputs' | 'pending' | 'client'>
const nothing: Ours = { ends: [], inputs: [], pending: [], client: null }

function decodeOurs(input: ByteReader, tags: ReadonlyMap<number, ByteReader>): Ours {
  const version = input.int8()
  if (version < 1 || version > ourVersion)
    throw new Fault('wire.malformed', { what: `a record of a transaction of version ${version}` })
  const ours = {
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
  if (version === 1 || input.int8() === 0) return { ...ours, client: null }
  return {
    ...ours,
    client: {
      lastEpoch: input.int16(),
      partitions: list(input, () => readPlace(input)),
      previousProducerId: tags.get(tag.previousProducerId)?.int64() ?? -1,
      nextProducerId: tags.get(tag.nextProducerId)?.int64() ?? -1,
      bumps: (tags.get(tag.clientVersion)?.int16() ?? 0) >= bumpingVersion,
    },
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
