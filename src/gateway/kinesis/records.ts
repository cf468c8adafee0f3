/** Records into shards and out of them. */
import { hash } from 'node:crypto'
import type { Offset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import type { World } from '../../lib/world.ts'
import { type Header, type LogRecord, decodeBatch, isControl } from '../../log/batch.ts'
import type { Broker } from '../../log/broker.ts'
import type { Commits } from '../../log/commits.ts'
import type { Batch, Partition, Reader } from '../../log/log.ts'
import { Placing, type Target } from '../../log/placing.ts'
import type { Contracts } from '../../schema/contracts.ts'
import { userRecords } from '../../wire/kinesis/aggregation.ts'
import { sequenceNumbers } from '../../wire/kinesis/sequence-number.ts'
import { ServiceError, invalid, notFound, serviceError } from './errors.ts'
import { type Counter, SharedIndex, indexHeader, indexOf } from './shared-index.ts'
import { Rates } from './rates.ts'
import { hasEnd, hashKeys, shardId } from './shards.ts'
import type { Stream } from './streams.ts'

export interface Entry {
  readonly Data: Uint8Array
  readonly PartitionKey?: string | undefined
  readonly ExplicitHashKey?: string | undefined
}
export interface Put {
  readonly ShardId: string
  readonly SequenceNumber: string
}
export interface ReadRecords {
  readonly records: readonly LogRecord[]
  /** Where to go on. */
  readonly next: number
  /** Nothing is there behind `next`. */
  readonly atEnd: boolean
  /** The shard is closed, and all of it was read. */
  readonly isOver: boolean
}
interface Options {
  readonly log: Broker
  readonly commits: Commits
  readonly world: World
  readonly contracts: Contracts
  readonly limits: boolean
  /** Sequence numbers as the service had them in 2020. */
  readonly shared: boolean
}
/** Headers of dead letters: where they come from, and why. */
const whyPrefix = '__dlq.errors.'
/** Where a dead letter comes from; null: it is none. */
export function deadFrom(
  headers: readonly Header[],
): { readonly topic: string; readonly partition: number; readonly offset: number } | null {
  const said = (name: string): string | null => {
    const value = headers.findLast(([header]) => header === `${whyPrefix}${name}`)?.[1]
    return value === undefined || value === null ? null : Buffer.from(value).toString()
  }
  const topic = said('topic')
  return topic === null ? null : { topic, partition: Number(said('partition')), offset: Number(said('offset')) }
}
/** What is read at once, for few records and for many; at least a batch comes. */
const chunkBytes = { few: 256 * 1024, many: 2 * 1024 * 1024 }
const few = 500
interface ReadOptions {
  readonly limit: number
  readonly bytesMax?: number
  /** Waits for so much memory, where there is something to read. */
  readonly room?: (bytes: number) => Promise<unknown>
}
/** Of one answer, before it is encoded. */
const answerBytesMax = 10 * 1024 * 1024

export class Records {
  readonly #log: Broker
  readonly #world: World
  readonly #contracts: Contracts
  readonly #placing: Placing
  readonly #readers: { readonly none: Reader; readonly few: Reader; readonly many: Reader }
  readonly #rates: Rates | null
  readonly #shared: SharedIndex | null
  /** Of records that are spread evenly, or have no key: which shard is next. */
  #turn = 0

  constructor({ log, commits, world, contracts, limits, shared }: Options) {
    this.#log = log
    this.#world = world
    this.#contracts = contracts
    this.#placing = new Placing({ world, log, commits })
    this.#readers = {
      none: log.reader({ maxBytes: 1 }),
      few: log.reader({ maxBytes: chunkBytes.few }),
      many: log.reader({ maxBytes: chunkBytes.many }),
    }
    this.#rates = limits ? new Rates(world.clock) : null
    this.#shared = shared ? new SharedIndex((stream, shard) => this.#last(stream, shard)) : null
  }

  /**
   * Each for itself; durable when it resolves. An aggregated record is cut apart: its user records are records of their own,
   * in its shard, and the answer is about the first. `find` is asked while the shards stand still. Throws ServiceError.
   */
  async put(
    find: () => Stream,
    entries: readonly Entry[],
    gate: { enter(): Promise<void>; leave(): void },
  ): Promise<(Put | ServiceError)[]> {
    await gate.enter()
    try {
      return await this.#put(find(), entries)
    } finally {
      gate.leave()
    }
  }
  async #put(stream: Stream, entries: readonly Entry[]): Promise<(Put | ServiceError)[]> {
    const shards = entries.map((entry) => this.#shardOf(stream, entry))
    const counters = this.#shared === null ? null : await this.#shared.of(stream, shards)
    const targets: Target[] = []
    const timeMs = this.#world.clock.now()
    /** Of each entry: where its records lie among the targets, or why it has none. */
    const own = entries.map((entry, i): { readonly at: number; readonly end: number } | ServiceError => {
      const at = targets.length
      const refusal = this.#refuses(stream, entry, shards[i]!)
      if (refusal !== null) return refusal
      for (const { key, data } of cutApart(entry))
        targets.push({ topic: stream.topic, partition: shards[i]!, record: { key, value: data, timeMs } })
      return { at, end: targets.length }
    })
    const indexes = counters === null ? [] : counted(targets, counters)
    const placed = targets.length === 0 ? [] : await this.#placing.placeEach(targets, 'all')
    const numbers = new Map<number, ReturnType<typeof sequenceNumbers>>()
    return own.map((one, i) => {
      if (one instanceof ServiceError) return one
      for (let n = one.at; n < one.end; n++) if (placed[n] instanceof Fault) return serviceError(placed[n])
      const shard = shards[i]!
      const first = placed[one.at] as Exclude<(typeof placed)[number], Fault>
      let number = numbers.get(shard)
      if (number === undefined) numbers.set(shard, (number = sequenceNumbers(shard, stream.shards[shard]!.createdMs)))
      return { ShardId: shardId(shard), SequenceNumber: number(indexes[one.at] ?? first.offset + 1, first.timeMs) }
    })
  }
  #shardOf({ finder, auto }: Stream, { PartitionKey, ExplicitHashKey }: Entry): number {
    if (auto) return finder.nth(this.#turn++)
    if (ExplicitHashKey !== undefined) {
      const key = BigInt(ExplicitHashKey)
      if (key >= hashKeys)
        throw invalid(
          'Invalid ExplicitHashKey. ExplicitHashKey must be in the range: [0, 2^128-1]. ' +
            `Specified value was ${ExplicitHashKey}`,
        )
      return finder.at(key)
    }
    if (PartitionKey === undefined) return finder.nth(this.#turn++)
    return finder.at(BigInt(`0x${hash('md5', PartitionKey, 'hex')}`))
  }
  #refuses(stream: Stream, { Data, PartitionKey }: Entry, shard: number): ServiceError | null {
    const { name, topic } = stream
    const key = PartitionKey === undefined ? null : Buffer.from(PartitionKey)
    const fault = this.#contracts.get(name) === null ? null : this.#contracts.refuses(name, { key, value: Data })
    if (fault !== null) return invalid(fault.message)
    if (this.#rates === null) return null
    const bytes = Data.length + (key?.length ?? 0)
    return this.#rates.mayWrite(`${topic.id}/${shard}`, bytes) ? null : overRate(stream, shard)
  }

  /**
   * From an offset on, as many as there are and as go into an answer. Waits for the first if it is told to. Throws
   * ServiceError, Fault.
   */
  async read(
    stream: Stream,
    shard: number,
    from: number,
    { limit, bytesMax = answerBytesMax, room }: ReadOptions,
  ): Promise<ReadRecords> {
    const partition = { topic: stream.name, index: shard }
    const of = stream.shards[shard]!
    const { start, stable, end: last } = await this.#bounds(partition)
    let at = Math.max(from, start)
    const reader = limit <= few ? this.#readers.few : this.#readers.many
    const records: LogRecord[] = []
    let bytes = 0
    let end = stable as number
    // A position behind the end is the end.
    if (at > end) at = end
    if (at < end) await room?.(bytesMax)
    while (records.length < limit && bytes < bytesMax && at < end) {
      const [chunk] = await reader.read([{ partition, offset: at as Offset }])
      if (chunk === undefined) break
      if ('fault' in chunk) throw chunk.fault
      let next = chunk.next as number
      for (const record of recordsOf(chunk.batches)) {
        if (record.offset < at) continue
        if (records.length >= limit || bytes >= bytesMax) {
          next = record.offset
          break
        }
        records.push(record)
        bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0)
      }
      end = Math.max(end, chunk.stable as number)
      if (next <= at && records.length === 0) break
      at = next
    }
    if (this.#rates !== null) this.#rates.hasRead(`${stream.topic.id}/${shard}`, bytes)
    const atEnd = at >= end
    // Transactions of others may be open below the end.
    return { records, next: at, atEnd, isOver: atEnd && hasEnd(of) && at >= Math.min(of.end ?? 0, last) }
  }
  /** Until there is something at the offset, or the time is over. */
  async wait(stream: Stream, shard: number, from: number, ms: number, signal: AbortSignal): Promise<void> {
    const at = { partition: { topic: stream.name, index: shard }, offset: from as Offset }
    await this.#readers.none.read([at], { ms }, signal)
  }
  /** What stands in its sequence number. */
  index(record: LogRecord): number {
    return this.#shared === null ? record.offset + 1 : indexOf(record)
  }
  /** Where the record with this index lies, or would: or the one behind it. */
  async position(stream: Stream, shard: number, index: number, isAfter: boolean): Promise<number> {
    if (this.#shared === null) return isAfter ? index : Math.max(0, index - 1)
    let [low, high] = [await this.start(stream, shard), await this.end(stream, shard)]
    while (low < high) {
      const middle = Math.floor((low + high) / 2)
      const [record] = (await this.read(stream, shard, middle, { limit: 1 })).records
      if (record === undefined || (isAfter ? indexOf(record) > index : indexOf(record) >= index)) high = middle
      else low = record.offset + 1
    }
    return low
  }
  /** Of the last record before the offset. */
  async indexBefore(stream: Stream, shard: number, offset: number): Promise<number> {
    if (this.#shared === null || offset === 0) return offset
    const [record] = (await this.read(stream, shard, offset - 1, { limit: 1 })).records
    return record === undefined || record.offset >= offset ? offset : indexOf(record)
  }
  async #last(stream: Stream, shard: number): Promise<LogRecord | null> {
    const end = await this.end(stream, shard)
    if (end === 0) return null
    return (await this.read(stream, shard, end - 1, { limit: 1 })).records[0] ?? null
  }
  /** Throws ServiceError. */
  mayRead(stream: Stream, shard: number): void {
    if (this.#rates?.mayRead(`${stream.topic.id}/${shard}`) === false) throw overRate(stream, shard)
  }
  /** Behind the last record that is there. */
  async end(stream: Stream, shard: number): Promise<number> {
    return (await this.#bounds({ topic: stream.name, index: shard })).stable
  }
  async start(stream: Stream, shard: number): Promise<number> {
    return (await this.#bounds({ topic: stream.name, index: shard })).start
  }
  /** The first record at or after the time; the end if there is none. */
  async atTime(stream: Stream, shard: number, ms: number): Promise<number> {
    const [found] = await this.#log.findTime([{ topic: stream.name, index: shard }], Math.ceil(ms))
    return found?.offset ?? this.end(stream, shard)
  }
  /**
   * A dead letter back into the partition that it came from, as it was. Throws ServiceError, Fault.
   */
  async restore(
    deadTopic: string,
    { index, offset }: { readonly index: number; readonly offset: number },
    streamOf: (name: string) => Stream | null,
  ): Promise<void> {
    const at = { partition: { topic: deadTopic, index }, offset: offset as Offset }
    const [chunk] = await this.#readers.few.read([at])
    if (chunk === undefined || 'fault' in chunk) throw invalid('ReceiptHandle is not valid.')
    const record = chunk.batches.flatMap((batch) => decodeBatch(batch)).find((one) => one.offset === offset)
    const from = record === undefined ? null : deadFrom(record.headers)
    const topic = from === null ? null : this.#log.catalog.byName(from.topic)
    if (record === undefined || from === null || topic === null)
      throw notFound('The stream of the record is not there any more.')
    const headers = record.headers.filter(([name]) => !name.startsWith(whyPrefix))
    const again = { key: record.key, value: record.value, headers, timeMs: this.#world.clock.now() }
    // A shard that is closed by now takes no more records: their readers have left it.
    const shard = from.partition
    const stream = streamOf(topic.name)
    const isOpenStill = stream?.shards[shard] !== undefined && !hasEnd(stream.shards[shard])
    const entry = {
      Data: again.value ?? new Uint8Array(0),
      PartitionKey: again.key === null ? undefined : Buffer.from(again.key).toString(),
    }
    const partition = isOpenStill || stream === null ? shard : this.#shardOf(stream, entry)
    await this.#placing.place([{ topic, partition, record: again }], 'all')
  }
  async #bounds(partition: Partition): Promise<{ start: Offset; stable: Offset; end: Offset }> {
    const [bounds] = await this.#log.bounds([partition])
    if (bounds === undefined)
      throw new Fault('log.unknown-partition', { topic: partition.topic, partition: partition.index })
    return bounds
  }
}
/** Decoded as they are asked for. */
function* recordsOf(batches: readonly Batch[]): Iterable<LogRecord> {
  for (const batch of batches) if (!isControl(batch)) yield* decodeBatch(batch)
}
/** Gives each target the header of its index, shard by shard, and says the indexes. */
function counted(targets: Target[], counters: ReadonlyMap<number, Counter>): number[] {
  const indexes: number[] = []
  for (const [shard, counter] of counters)
    targets.forEach((target, n) => {
      if (target.partition !== shard) return
      const index = counter.next++
      indexes[n] = index
      targets[n] = { ...target, record: { ...target.record, headers: [indexHeader(index)] } }
    })
  return indexes
}
function overRate({ name, arn }: Stream, shard: number): ServiceError {
  const message = `Rate exceeded for shard ${shardId(shard)} in stream ${name} under account ${arn.split(':')[4]}.`
  return new ServiceError('ProvisionedThroughputExceededException', message)
}

/** As records of the log: one, or those that the producer library has put together. */
function cutApart({ Data, PartitionKey }: Entry): readonly { key: Uint8Array | null; data: Uint8Array }[] {
  const inside = userRecords(Data)
  if (inside !== null) return inside.map(({ partitionKey, data }) => ({ key: Buffer.from(partitionKey), data }))
  return [{ key: PartitionKey === undefined ? null : Buffer.from(PartitionKey), data: Data }]
}
