/**
 * Moves what does not fit a contract to `<topic>.quarantine`, for events that came in where nobody could be told (Kafka
 * produce): exactly once, whether or not a view reads the topic. One task per topic whose contract lets bad events in to be
 * sorted out later; HTTP sorts out its own before they reach the topic.
 */
import { Fault, asFault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { Clock } from '../lib/world.ts'
import { type RecordInput, encodeBatch } from '../log/batch.ts'
import type { Commits } from '../log/commits.ts'
import { GroupTask, type Read, type Written } from '../log/group-task.ts'
import type { Batch, Log, Partition } from '../log/log.ts'
import { encodeOrigin } from '../log/origin.ts'
import type { Contract, Contracts } from './contracts.ts'
import { ensureQuarantine, quarantined } from './quarantine.ts'

export interface QuarantineService {
  close(): Promise<void>
}
export interface QuarantineOptions {
  readonly log: Log
  readonly commits: Commits
  readonly contracts: Contracts
  readonly clock: Clock
  readonly logger: Logger
}

const quarantineGroup = (topic: string): string => `_millrace_quarantine.${topic}`
/** By custom, a contract that says nothing about bad events quarantines them on Kafka produce. */
const sortsOut = ({ schema, keyField, onInvalid }: Contract): boolean =>
  (schema !== null || keyField !== null) && (onInvalid === 'quarantine' || onInvalid === null)

/** Whether this service moves the event: then no view that meets it does. */
export function sortedOut(
  contracts: Contracts,
  topic: string,
  event: { readonly key: Uint8Array | null; readonly value: Uint8Array | null },
): boolean {
  const contract = contracts.get(topic)
  return contract !== null && sortsOut(contract) && contracts.check(topic, event) !== null
}

export function startQuarantine(options: QuarantineOptions): QuarantineService {
  return new Service(options)
}

class Service implements QuarantineService {
  readonly #options: QuarantineOptions
  readonly #tasks = new Map<string, GroupTask>()
  readonly #stopWatching: () => void
  /** Changes one after another. */
  #changing: Promise<void> = Promise.resolve()

  constructor(options: QuarantineOptions) {
    this.#options = options
    this.#stopWatching = options.contracts.onChange((topics) => this.#follow(topics))
    this.#follow(options.contracts.all().map(({ topic }) => topic))
  }
  async close(): Promise<void> {
    this.#stopWatching()
    await this.#changing
    await Promise.all([...this.#tasks.values()].map((task) => task.close()))
    this.#tasks.clear()
  }

  #follow(topics: readonly string[]): void {
    this.#changing = this.#changing
      .then(async () => {
        for (const topic of topics) await this.#followOne(topic)
      })
      .catch((error: unknown) =>
        this.#options.logger.error('the quarantine does not follow', { error: asFault(error) }),
      )
  }
  async #followOne(topic: string): Promise<void> {
    const contract = this.#options.contracts.get(topic)
    const wanted = contract !== null && sortsOut(contract)
    const running = this.#tasks.get(topic)
    if (wanted === (running !== undefined)) return
    if (running === undefined) this.#tasks.set(topic, this.#task(topic))
    else {
      this.#tasks.delete(topic)
      await running.close()
    }
  }
  #task(topic: string): GroupTask {
    const { log, commits, clock, logger } = this.#options
    const step = (read: readonly Read[]) => this.#step(topic, read)
    return new GroupTask({ log, commits, clock, logger, group: quarantineGroup(topic), topics: [topic], step })
  }
  async #step(topic: string, read: readonly Read[]): Promise<Written | null> {
    const { log, contracts } = this.#options
    const bad: { readonly read: Read; readonly fault: Fault }[] = []
    for (const one of read) {
      const fault = contracts.check(topic, one.record)
      if (fault !== null) bad.push({ read: one, fault })
    }
    if (bad.length === 0) return null
    const info = await log.topics.get(topic)
    if (info === null) throw new Fault('log.unknown-topic', { topic })
    const kept = await ensureQuarantine(log, info)
    const byPartition = Map.groupBy(bad, ({ read: { partition } }) => partition.index)
    const entries: { partition: Partition; batch: Batch }[] = []
    for (const [index, list] of byPartition)
      for (const records of inBatches(
        list.map(({ read: one, fault }) => keptRecord(info.id, one, fault)),
        log.limits.batchBytes,
      ))
        entries.push({ partition: { topic: kept.name, index }, batch: encodeBatch(records) })
    return { write: async (append) => void (await append(entries)) }
  }
}

function keptRecord(topicId: string, { partition, record }: Read, fault: Fault): RecordInput {
  const { offset } = record
  const ranges = [{ topicId, partition: partition.index, first: offset, last: offset }]
  return quarantined(record, fault, encodeOrigin({ ranges, state: false }))
}
/** What a batch may weigh, with room for the headers that say why. */
function* inBatches(records: readonly RecordInput[], bytesMax: number): Iterable<RecordInput[]> {
  let batch: RecordInput[] = []
  let bytes = 0
  for (const record of records) {
    let size = 64 + (record.key?.length ?? 0) + (record.value?.length ?? 0)
    for (const [name, value] of record.headers ?? []) size += 16 + name.length * 3 + (value?.length ?? 0)
    if (batch.length > 0 && bytes + size > bytesMax - 1024) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(record)
    bytes += size
  }
  if (batch.length > 0) yield batch
}
