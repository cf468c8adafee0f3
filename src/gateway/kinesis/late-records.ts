/**
 * Kafka's clients choose among all partitions of a topic, those of closed shards too, and readers that have left a closed shard do
 * not see what comes there. Nobody would know: so it is said, once for each shard.
 */
import type { Logger } from '../../lib/logger.ts'
import type { Broker } from '../../log/broker.ts'
import { shardId } from './shards.ts'
import type { Stream } from './streams.ts'

export class LateRecords {
  readonly #log: Broker
  readonly #logger: Logger
  readonly #said = new Set<string>()

  constructor(log: Broker, logger: Logger) {
    this.#log = log
    this.#logger = logger
  }
  /** Of these shards. Throws Fault. */
  async look({ name, topicId, shards }: Stream, which: readonly number[]): Promise<void> {
    const closed = which.filter((shard) => shards[shard]?.end !== undefined && !this.#said.has(`${topicId}/${shard}`))
    if (closed.length === 0) return
    const bounds = await this.#log.bounds(closed.map((index) => ({ topic: name, index })))
    for (const { partition, end } of bounds) {
      const { index } = partition
      const records = end - shards[index]!.end!
      if (records <= 0) continue
      this.#said.add(`${topicId}/${index}`)
      this.#logger.warn(
        'kinesis: records have come to a closed shard, and readers that have left it do not see them: a stream that is split ' +
          "or merged should not be written by Kafka's clients, or be read by a queue",
        { stream: name, shard: shardId(index), records },
      )
    }
  }
}
