/**
 * A stream into a topic of ours: the sequence number of each shard is committed in the tick that holds its records, so they come
 * exactly once. The children of a shard are begun when it was read to its end: the order of a partition key is that of the stream.
 */
import type { Shard, _Record as KinesisRecord } from '@aws-sdk/client-kinesis'
import { Fault } from '../../lib/fault.ts'
import { userRecords } from '../../wire/kinesis/aggregation.ts'
import { Channel } from '../channel.ts'
import type { Arriving, Piece, Source, SourceHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { intoTopic } from '../topic-names.ts'
import { type Service, nameOf, openService } from './service.ts'

export async function openSource(host: SourceHost, settings: Settings): Promise<Source> {
  return new KinesisSource(host, settings, await openService(host, settings))
}

/** As it is kept for a shard: the last sequence number that is here, and whether all of it is. */
interface Position {
  readonly after: string | null
  readonly isDone?: true
}
/** That it has run before: later shards are read from their start. */
const begunKey = '*'
const recordsMax = 2_000
/** A shard answers five requests a second. */
const leastMs = 200

class KinesisSource implements Source {
  readonly #host: SourceHost
  readonly #settings: Settings
  readonly #service: Service
  readonly #stream: string
  readonly #into: string
  /** Of shards that are read, or were; null: from the start. */
  readonly #positions = new Map<string, Position>()
  readonly #reading = new Set<string>()
  /** One piece of each shard, about, waits. */
  readonly #channel = new Channel<Piece>(4)

  constructor(host: SourceHost, settings: Settings, service: Service) {
    this.#host = host
    this.#settings = settings
    this.#service = service
    this.#stream = settings.text('stream')!
    this.#into = intoTopic(settings, this.#stream)
    for (const [key, value] of host.positions) if (key !== begunKey) this.#positions.set(key, value as Position)
  }
  close(): Promise<void> {
    this.#channel.fail(new Fault('log.closed', { what: 'the connector' }))
    this.#service.client.destroy()
    return Promise.resolve()
  }
  /** The service says how many milliseconds a shard is behind, not how many records. */
  lag(): null {
    return null
  }
  async *pieces(signal: AbortSignal): AsyncIterable<Piece> {
    signal.addEventListener('abort', () => this.#channel.fail(signal.reason), { once: true })
    await this.#host.ensureTopic(this.#into, this.#settings.count('partitions')!, false)
    void this.#follow(signal).catch((error: unknown) => this.#channel.fail(error))
    for (;;) yield await this.#channel.next()
  }

  /** Begins shards as their parents are done. */
  async #follow(signal: AbortSignal): Promise<void> {
    const isFirst = !this.#host.positions.has(begunKey)
    const refreshMs = this.#settings.duration('refresh')!
    for (let round = 0; ; round++) {
      const shards = await this.#shards(signal)
      const latest = isFirst && round === 0 && this.#settings.text('start') === 'latest'
      if (isFirst && round === 0) await this.#beginAt(shards, latest)
      const there = new Set(shards.map(({ ShardId }) => ShardId!))
      for (const shard of shards) this.#begin(shard, there, signal)
      await this.#host.world.clock.sleep(refreshMs, signal)
    }
  }
  /** What "latest" is, is decided once: every shard that is closed by then is left out, the open ones are read from now on. */
  async #beginAt(shards: readonly Shard[], latest: boolean): Promise<void> {
    const positions: (readonly [string, unknown])[] = [[begunKey, true]]
    if (latest)
      for (const { ShardId, SequenceNumberRange: range } of shards) {
        const isOpen = range?.EndingSequenceNumber === undefined
        const position: Position = isOpen
          ? { after: await this.#latestOf(ShardId!, range?.StartingSequenceNumber ?? null) }
          : { after: null, isDone: true }
        this.#positions.set(ShardId!, position)
        positions.push([ShardId!, position])
      }
    await this.#channel.put({ records: [], positions })
  }
  /** The last sequence number that is there; read through, as no request says it. */
  async #latestOf(shard: string, first: string | null): Promise<string | null> {
    const { sdk, client, ask } = this.#service
    let last = first
    let iterator = await this.#iterator(shard, null)
    for (;;) {
      const at = iterator
      const answer = await ask(`reading shard ${shard}`, () =>
        client.send(new sdk.GetRecordsCommand({ ShardIterator: at, Limit: 10_000 })),
      )
      last = answer.Records?.at(-1)?.SequenceNumber ?? last
      if (answer.NextShardIterator === undefined || (answer.MillisBehindLatest ?? 0) === 0) return last
      iterator = answer.NextShardIterator
      await this.#host.world.clock.sleep(leastMs, this.#host.signal)
    }
  }
  async #shards(signal: AbortSignal): Promise<readonly Shard[]> {
    const { sdk, client, ask } = this.#service
    const all: Shard[] = []
    for (let next: string | undefined; ;) {
      const input = next === undefined ? { StreamName: this.#stream } : { NextToken: next }
      const answer = await ask(`listing the shards of ${this.#stream}`, () =>
        client.send(new sdk.ListShardsCommand(input), { abortSignal: signal }),
      )
      all.push(...(answer.Shards ?? []))
      next = answer.NextToken
      if (next === undefined) return all
    }
  }
  #begin(
    { ShardId: id, ParentShardId, AdjacentParentShardId }: Shard,
    there: ReadonlySet<string>,
    signal: AbortSignal,
  ): void {
    if (id === undefined || this.#reading.has(id) || this.#positions.get(id)?.isDone === true) return
    // A parent that the stream has forgotten holds nothing that could still be read.
    const isDone = (parent: string | undefined): boolean =>
      parent === undefined || !there.has(parent) || this.#positions.get(parent)?.isDone === true
    if (!isDone(ParentShardId) || !isDone(AdjacentParentShardId)) return
    this.#reading.add(id)
    void this.#read(id, signal).catch((error: unknown) => this.#channel.fail(error))
  }
  async #read(shard: string, signal: AbortSignal): Promise<void> {
    const { sdk, client, ask } = this.#service
    const { clock } = this.#host.world
    const pollMs = this.#settings.duration('poll')!
    let after = this.#positions.get(shard)?.after ?? null
    let iterator: string | undefined = await this.#iterator(shard, after)
    while (iterator !== undefined) {
      signal.throwIfAborted()
      const at: string = iterator
      const askedMs = clock.monotonic()
      const answer = await ask(`reading shard ${shard}`, () =>
        client.send(new sdk.GetRecordsCommand({ ShardIterator: at, Limit: recordsMax }), { abortSignal: signal }),
      ).catch((error: unknown) => {
        if (nameOf(error) === 'ExpiredIteratorException') return null
        if (nameOf(error) === 'ProvisionedThroughputExceededException') return undefined
        throw error
      })
      if (answer === null) {
        iterator = await this.#iterator(shard, after)
        continue
      }
      const found = answer?.Records ?? []
      if (answer !== undefined) iterator = answer.NextShardIterator
      if (found.length > 0) {
        after = found.at(-1)!.SequenceNumber ?? after
        const position: Position = { after }
        await this.#channel.put({
          records: found.flatMap((one) => this.#arriving(one)),
          positions: [[shard, position]],
        })
      }
      const isBehind = (answer?.MillisBehindLatest ?? 0) > 0 && answer !== undefined
      const waitMs = isBehind ? leastMs - (clock.monotonic() - askedMs) : pollMs
      if (iterator !== undefined && waitMs > 0) await clock.sleep(waitMs, signal)
    }
    // Read to its end: its children follow when this stands, as what they hold comes behind it.
    const done: Position = { after, isDone: true }
    await this.#channel.put({ records: [], positions: [[shard, done]] })
    this.#positions.set(shard, done)
    const shards = await this.#shards(signal)
    const there = new Set(shards.map(({ ShardId }) => ShardId!))
    for (const one of shards) this.#begin(one, there, signal)
  }
  async #iterator(shard: string, after: string | null): Promise<string> {
    const { sdk, client, ask } = this.#service
    const answer = await ask(`reading shard ${shard}`, () =>
      client.send(
        new sdk.GetShardIteratorCommand({
          StreamName: this.#stream,
          ShardId: shard,
          ...(after === null
            ? { ShardIteratorType: 'TRIM_HORIZON' }
            : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: after }),
        }),
      ),
    )
    if (answer.ShardIterator === undefined)
      throw new Fault('connect.unavailable', { what: `reading shard ${shard}`, why: 'there is no iterator' })
    return answer.ShardIterator
  }
  /** Those that a producer library has put together come apart. */
  #arriving({ Data, PartitionKey, ApproximateArrivalTimestamp }: KinesisRecord): Arriving[] {
    const timeMs = ApproximateArrivalTimestamp?.getTime() ?? this.#host.world.clock.now()
    const data = Data ?? new Uint8Array(0)
    const apart = userRecords(data) ?? [{ partitionKey: PartitionKey ?? null, data }]
    return apart.map(({ partitionKey, data: value }) => ({
      topic: this.#into,
      partition: null,
      // Streams that spread their records themselves take them without keys.
      record: { key: partitionKey === null ? null : Buffer.from(partitionKey), value, timeMs },
    }))
  }
}
