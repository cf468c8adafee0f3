/**
 * `model=2020`: the service had one running index over the sequence numbers of five shards. Ours is a record's offset + 1, for
 * which nothing has to be kept; to be as the service was, each record that is put keeps its index in a header.
 */
import type { Header, LogRecord } from '../../log/batch.ts'
import type { Stream } from './streams.ts'

const header = 'kinesis-index'
const shardsTogether = 5
const bytesOfIndex = 8
const streamsMax = 10_000

export interface Counter {
  next: number
}
export class SharedIndex {
  readonly #last: (stream: Stream, shard: number) => Promise<LogRecord | null>
  readonly #counters = new Map<string, Promise<Counter>>()

  /** `last`: the newest record of a shard. */
  constructor(last: (stream: Stream, shard: number) => Promise<LogRecord | null>) {
    this.#last = last
  }
  /** Of each of the shards the one that it counts by. */
  async of(stream: Stream, shards: readonly number[]): Promise<ReadonlyMap<number, Counter>> {
    const found = new Map<number, Counter>()
    for (const shard of new Set(shards))
      found.set(shard, await this.#counter(stream, Math.floor(shard / shardsTogether)))
    return found
  }
  #counter(stream: Stream, group: number): Promise<Counter> {
    const key = `${stream.topicId}/${group}`
    let counter = this.#counters.get(key)
    if (counter === undefined) {
      if (this.#counters.size >= streamsMax) this.#counters.clear()
      counter = this.#begin(stream, group)
      this.#counters.set(key, counter)
      counter.catch(() => this.#counters.delete(key))
    }
    return counter
  }
  /** Behind everything that was counted by it before, in another process too. */
  async #begin(stream: Stream, group: number): Promise<Counter> {
    let next = 1
    const first = group * shardsTogether
    for (let shard = first; shard < Math.min(first + shardsTogether, stream.topic.partitions); shard++) {
      const last = await this.#last(stream, shard)
      if (last !== null) next = Math.max(next, indexOf(last) + 1)
    }
    return { next }
  }
}
export function indexHeader(index: number): Header {
  const bytes = Buffer.alloc(bytesOfIndex)
  bytes.writeBigUInt64BE(BigInt(index))
  return [header, bytes]
}
/** A record that came by another protocol has its offset + 1. */
export function indexOf({ offset, headers }: LogRecord): number {
  const bytes = headers.findLast(([name]) => name === header)?.[1]
  if (bytes?.length !== bytesOfIndex) return offset + 1
  return Number(Buffer.from(bytes.buffer, bytes.byteOffset, bytesOfIndex).readBigUInt64BE())
}
