/** Records: put, and read by iterators or as they come. */
import { isUtf8 } from 'node:buffer'
import type { Share } from '../../../lib/room.ts'
import type { LogRecord } from '../../../log/batch.ts'
import { parseSequenceNumber, sequenceNumbers } from '../../../wire/kinesis/sequence-number.ts'
import { type Call, type Handlers, Live } from '../call.ts'
import { childShards } from '../describe.ts'
import { ServiceError, invalid, notFound } from '../errors.ts'
import { hasEnd, shardId } from '../shards.ts'
import type { Stream } from '../streams.ts'
import { consumerOf } from './consumers.ts'
import { numberOf } from './shards.ts'

const readDefault = 10_000
/** Of one request's records together. */
const requestBytesMax = 10 * 1024 * 1024

export const recordOperations = {
  async PutRecord(call) {
    const { input } = call
    const name = call.stream('write')
    const { SequenceNumberForOrdering: after } = input
    writable(call, name)
    if (after !== undefined) checkOrdering(call, name, after)
    dryRun(input.DryRun)
    call.demandQuota('producer_byte_rate')
    call.used('producer_byte_rate', input.Data.length)
    const [put] = await call.service.records.put(() => writable(call, name), [input], call.service.streams.gate(name))
    if (put instanceof ServiceError) throw put
    call.service.growth.put(name, input.Data.length, 1)
    return { ...put!, ...encryption(call, name) }
  },
  async PutRecords(call) {
    const { input } = call
    const name = call.stream('write')
    writable(call, name)
    const bytes = input.Records.reduce((sum, { Data, PartitionKey = '' }) => sum + Data.length + PartitionKey.length, 0)
    if (bytes > requestBytesMax) throw invalid(`Records size exceeds ${requestBytesMax / 1024 / 1024} MB limit`)
    dryRun(input.DryRun)
    call.demandQuota('producer_byte_rate')
    call.used('producer_byte_rate', bytes)
    const put = await call.service.records.put(
      () => writable(call, name),
      input.Records,
      call.service.streams.gate(name),
    )
    call.service.growth.put(name, bytes, input.Records.length)
    return {
      FailedRecordCount: put.filter((one) => one instanceof ServiceError).length,
      Records: put.map((one) =>
        one instanceof ServiceError ? { ErrorCode: one.type, ErrorMessage: one.message } : one,
      ),
      ...encryption(call, name),
    }
  },
  async GetShardIterator(call) {
    const { input, service } = call
    const name = call.stream('read')
    const number = numberOf(call, name, input.ShardId)
    const stream = withShard(call, name, number)
    const offset = await positionOf(call, stream, number, {
      type: input.ShardIteratorType,
      sequence: input.StartingSequenceNumber,
      time: input.Timestamp,
      operation: 'GetShardIterator',
    })
    dryRun(input.DryRun)
    return { ShardIterator: service.iterators.text({ stream: name, topicId: stream.topicId, shard: number, offset }) }
  },
  async GetRecords(call) {
    const { input, service, nowMs } = call
    const at = service.iterators.read(input.ShardIterator)
    const name = call.stream('read', { StreamName: at.stream, StreamARN: input.StreamARN })
    const stream = withShard(call, name, at.shard)
    if (stream.topicId !== at.topicId) throw noShard(call, name, at.shard)
    service.records.mayRead(stream, at.shard)
    dryRun(input.DryRun)
    call.demandQuota('consumer_byte_rate')
    const found = await service.records.read(stream, at.shard, at.offset, {
      limit: input.Limit ?? readDefault,
      room: (bytes) => call.room(bytes),
    })
    call.used('consumer_byte_rate', bytesOf(found.records))
    const last = found.records.at(-1)
    const goesOn = !found.isOver || found.records.length > 0
    return {
      Records: recordsJson(call, stream, at.shard, found.records),
      ...(goesOn
        ? { NextShardIterator: service.iterators.text({ ...at, stream: name, offset: found.next }) }
        : is2020(call)
          ? {}
          : { ChildShards: childShards(stream.shards, at.shard) }),
      MillisBehindLatest: found.atEnd || last === undefined ? 0 : Math.max(0, nowMs - last.timeMs),
    }
  },
  async SubscribeToShard(call) {
    const { input, service } = call
    const { stream, consumer } = consumerOf(call, input.ConsumerARN, 'read')
    const number = numberOf(call, stream.name, input.ShardId)
    withShard(call, stream.name, number)
    const { Type, SequenceNumber, Timestamp } = input.StartingPosition
    const offset = await positionOf(call, stream, number, {
      type: Type,
      sequence: SequenceNumber,
      time: Timestamp,
      operation: 'SubscribeToShard',
    })
    dryRun(input.DryRun)
    const subscription = service.subscriptions.begin(stream.topicId, consumer, number, call.signal)
    return new Live(events(call, stream.name, { shard: number, offset, subscription }))
  },
} satisfies Partial<Handlers>

const is2020 = ({ service }: Call): boolean => service.streams.settings.model === '2020'
function dryRun(wanted: boolean | undefined): void {
  if (wanted === true)
    throw new ServiceError('DryRunOperationException', 'Request would have succeeded, but DryRun flag is set.')
}
/** Throws ServiceError ResourceNotFoundException for a stream that is not there yet, or is going. */
function writable({ service }: Call, name: string): Stream {
  const stream = service.streams.get(name)
  if (stream.status === 'CREATING' || stream.status === 'DELETING') throw service.streams.unknown(name)
  return stream
}
function encryption({ service }: Call, name: string): object {
  const keyId = service.streams.find(name)?.keyId ?? null
  return keyId === null ? {} : { EncryptionType: 'KMS' }
}
function checkOrdering({ service, nowMs }: Call, name: string, text: string): void {
  const number = parseSequenceNumber(text)
  // A shard may begin later than now, in its numbers.
  const shard = number === null ? undefined : service.streams.find(name)?.shards[number.shard]
  if (number === null || number.timeMs > Math.max(nowMs, shard?.createdMs ?? 0))
    throw invalid(
      `ExclusiveMinimumSequenceNumber ${text} used in PutRecord on stream ${name} under account ` +
        `${service.streams.account} is invalid.`,
    )
}
const noShard = ({ service }: Call, stream: string, number: number): ServiceError =>
  notFound(`Shard ${shardId(number)} in stream ${stream} under account ${service.streams.account} does not exist`)
function withShard(call: Call, name: string, number: number): Stream {
  const stream = call.service.streams.find(name)
  if (stream === null || stream.shards[number] === undefined) throw noShard(call, name, number)
  return stream
}

interface Position {
  readonly type: string
  readonly sequence: string | undefined
  /** As it came. */
  readonly time: number | undefined
  readonly operation: string
}
const bySequence: ReadonlySet<string> = new Set(['AT_SEQUENCE_NUMBER', 'AFTER_SEQUENCE_NUMBER'])
/** Throws ServiceError. */
async function positionOf(call: Call, stream: Stream, number: number, position: Position): Promise<number> {
  const { type, sequence, time } = position
  const { records } = call.service
  if (sequence !== undefined) {
    if (!bySequence.has(type)) throw neither(`${type} and also a StartingSequenceNumber`)
    return offsetOf(call, stream, number, sequence, position)
  }
  switch (type) {
    case 'TRIM_HORIZON':
      return records.start(stream, number)
    case 'LATEST':
      return records.end(stream, number)
    case 'AT_TIMESTAMP': {
      if (time === undefined)
        throw invalid(
          'Must specify timestampInMillis parameter for iterator of type AT_TIMESTAMP. Current request has no timestamp parameter.',
        )
      const ms = call.codec.ms(time)
      if (ms > call.nowMs)
        throw invalid(
          'The timestampInMillis parameter cannot be greater than the currentTimestampInMillis. ' +
            `timestampInMillis: ${ms}, currentTimestampInMillis: ${call.nowMs}`,
        )
      return records.atTime(stream, number, ms)
    }
    default:
      throw neither(`${type} and no StartingSequenceNumber`)
  }
}
const neither = (specified: string): ServiceError =>
  invalid(
    'Must either specify (1) AT_SEQUENCE_NUMBER or AFTER_SEQUENCE_NUMBER and StartingSequenceNumber or ' +
      `(2) TRIM_HORIZON or LATEST and no StartingSequenceNumber. Request specified ${specified}.`,
  )
function offsetOf(
  { service }: Call,
  stream: Stream,
  number: number,
  text: string,
  { type, operation }: Position,
): Promise<number> {
  const where =
    `StartingSequenceNumber ${text} used in ${operation} on shard ${shardId(number)} in stream ${stream.name} ` +
    `under account ${service.streams.account} is invalid`
  const sequence = parseSequenceNumber(text)
  if (sequence === null) throw invalid(`${where}.`)
  if (sequence.shard !== number)
    throw invalid(
      `Invalid StartingSequenceNumber. It encodes ${shardId(sequence.shard)}, while it was used in a call to a shard with ` +
        shardId(number),
    )
  const { createdMs } = stream.shards[number]!
  if (sequence.version === 0) throw new ServiceError('InternalFailure', '', 500)
  if (sequence.version !== 2 || sequence.shardCreatedMs !== Math.floor(createdMs / 1_000) * 1_000)
    throw invalid(`${where} because it did not come from this stream.`)
  const index = sequence.index > BigInt(Number.MAX_SAFE_INTEGER) ? Number.MAX_SAFE_INTEGER : Number(sequence.index)
  return service.records.position(stream, number, index, type === 'AFTER_SEQUENCE_NUMBER')
}

function recordsJson(call: Call, stream: Stream, shard: number, records: readonly LogRecord[]): object[] {
  const { codec, service } = call
  const number = sequenceNumbers(shard, stream.shards[shard]!.createdMs)
  const encrypted = stream.keyId === null ? {} : { EncryptionType: 'KMS' }
  return records.map((record) => ({
    SequenceNumber: number(service.records.index(record), record.timeMs),
    ApproximateArrivalTimestamp: codec.time(record.timeMs),
    Data: codec.bytes(record.value ?? nothing),
    ...(record.key === null ? {} : { PartitionKey: keyText(record.key) }),
    ...encrypted,
  }))
}
const bytesOf = (records: readonly LogRecord[]): number =>
  records.reduce((sum, { key, value }) => sum + (key?.length ?? 0) + (value?.length ?? 0), 0)
const nothing = new Uint8Array(0)
/** A key that is no text is shown as base64. */
export const keyText = (key: Uint8Array): string =>
  Buffer.from(key.buffer, key.byteOffset, key.byteLength).toString(isUtf8(key) ? 'utf8' : 'base64')

/** So long does a subscription last. */
const subscriptionMs = 300_000
/** An event comes so often at least, also without records. */
const quietMs = 5_000
const eventRecords = 1_000
/** And a record more. */
const eventBytes = 1024 * 1024

async function* events(
  call: Call,
  name: string,
  { shard, offset, subscription }: { shard: number; offset: number; subscription: AbortSignal },
): AsyncGenerator<{ type: string; body: object }> {
  const { service } = call
  const { clock } = service.world
  const untilMs = clock.monotonic() + subscriptionMs
  const first = service.streams.get(name)
  const { topicId } = first
  let index = await service.records.indexBefore(first, shard, offset)
  for (let at = offset; clock.monotonic() < untilMs && !subscription.aborted;) {
    const stream = service.streams.find(name)
    if (stream === null || stream.topicId !== topicId) throw service.streams.unknown(name)
    call.demand('read', name)
    const waitMs = Math.max(1, Math.min(quietMs, untilMs - clock.monotonic()))
    const { end } = stream.shards[shard]!
    if (!hasEnd(stream.shards[shard]!) || (end !== undefined && at < end))
      await service.records.wait(stream, shard, at, waitMs, subscription)
    if (subscription.aborted) return
    const shares: Share[] = []
    const room = async (bytes: number): Promise<void> => void shares.push(await call.room(bytes))
    const found = await service.records.read(stream, shard, at, { limit: eventRecords, bytesMax: eventBytes, room })
    if (subscription.aborted) return
    at = found.next
    call.used('consumer_byte_rate', bytesOf(found.records))
    const number = sequenceNumbers(shard, stream.shards[shard]!.createdMs)
    const last = found.records.at(-1)
    if (last !== undefined) index = service.records.index(last)
    yield {
      type: 'SubscribeToShardEvent',
      body: {
        Records: recordsJson(call, stream, shard, found.records),
        ...(found.isOver
          ? { ChildShards: childShards(stream.shards, shard) }
          : { ContinuationSequenceNumber: number(index, last?.timeMs ?? clock.now()) }),
        MillisBehindLatest: found.atEnd || last === undefined ? 0 : Math.max(0, clock.now() - last.timeMs),
      },
    }
    // The client has taken it.
    for (const one of shares) call.free(one)
    if (found.isOver) return
  }
}
