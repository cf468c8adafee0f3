/**
 * What a part must remember, as records of a compacted topic of its own: the newest record of a key stands, none with a
 * null value. One process writes; it reads everything at its start and keeps in memory what it needs of it, in its own form
 * (`kept-map.ts` keeps the values themselves).
 */
import type { Offset } from '../lib/brand.ts'
import { Fault } from '../lib/fault.ts'
import type { Clock } from '../lib/world.ts'
import { type LogRecord, type RecordInput, decodeBatch } from './batch.ts'
import type { Log, Partition } from './log.ts'
import { Producer } from './producer.ts'

export interface KeptOptions {
  readonly log: Log
  readonly clock: Clock
  readonly topic: string
  readonly config?: Readonly<Record<string, string>>
}

export class KeptRecords {
  readonly partition: Partition
  readonly #log: Log
  readonly #producer: Producer
  readonly #bytesMax: number

  private constructor({ log, clock, topic, config }: KeptOptions) {
    this.partition = { topic, index: 0 }
    this.#log = log
    this.#producer = new Producer(clock, log, 'all')
    this.#bytesMax = Number(config?.['max.message.bytes'] ?? log.limits.batchBytes)
  }
  /** Makes the topic where it is missing, and gives `take` every record in order, older ones of a key too. */
  static async open(options: KeptOptions, take: (record: LogRecord) => void): Promise<KeptRecords> {
    const { log, topic, config = {} } = options
    if ((await log.topics.get(topic)) === null) {
      const spec = { name: topic, partitions: 1, config: { 'cleanup.policy': 'compact', ...config } }
      const [fault] = await log.topics.create([spec])
      if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
    }
    const kept = new KeptRecords(options)
    await kept.#read(take)
    return kept
  }
  async #read(take: (record: LogRecord) => void): Promise<void> {
    const { partition } = this
    const [bounds] = await this.#log.bounds([partition])
    const reader = this.#log.reader()
    let at: Offset = bounds?.start ?? (0 as Offset)
    while (bounds !== undefined && at < bounds.stable) {
      const [chunk] = await reader.read([{ partition, offset: at }])
      if (chunk === undefined) continue
      if ('fault' in chunk) throw chunk.fault
      for (const batch of chunk.batches) for (const record of decodeBatch(batch)) if (record.offset >= at) take(record)
      at = chunk.next
    }
  }
  /** Durable when it resolves, with the offset of the first. What is put in one turn shares a batch. Throws Fault. */
  async put(records: readonly RecordInput[]): Promise<number> {
    const [first] = await this.#producer.append(this.partition, records, this.#bytesMax)
    return first!.offset
  }
}
