/**
 * Records of one request into partitions, all or nothing: one batch when they share a partition and fit, a tick
 * otherwise. Partitions are chosen as Kafka's Java client does: murmur2 of the key; without a key the same partition for
 * all that come together, and another one soon after. In place of a closed one another is taken (`closed-partitions.ts`).
 */
import { Fault, asFault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { keyPartition } from '../lib/murmur2.ts'
import type { World } from '../lib/world.ts'
import { BatchWriter, type RecordInput, encodeBatch } from './batch.ts'
import { openPartition } from './closed-partitions.ts'
import type { Commits } from './commits.ts'
import type { Batch, Log, Partition, Tick, TopicInfo } from './log.ts'
import { type RecordsInPlace, inPlaceBytes, placeNumbers } from './records-in-place.ts'
import { meaningfulHeaders, oddHeader } from './record-headers.ts'
import { type Acks, type Placed, Producer, batchOverheadBytes, placedFrom, recordBytes } from './producer.ts'

/** So long do records without a key go to one partition, so that many small requests share batches. */
const stickyMs = 5

export interface Target {
  readonly topic: TopicInfo
  /** null: by the key. */
  readonly partition: number | null
  readonly record: RecordInput
}

interface TopicBounds {
  readonly names: readonly string[]
  readonly kept: number
  readonly bytesMax: number
}
/** A run of records for one partition that fit one batch; `at` are their places in the request. */
interface Run {
  readonly partition: Partition
  readonly bytesMax: number
  readonly records: RecordInput[]
  readonly at: number[]
  bytes: number
}

/** Runs of records: the partition of each run, the offset of its first, and which they are. */
export type PlacedInPlace = readonly {
  readonly partition: number
  readonly offset: number
  readonly at: readonly number[]
}[]

export class Placing {
  readonly #world: World
  readonly #log: Log
  readonly #commits: Commits
  readonly #producers = new Map<Acks, Producer>()
  readonly #bounds = new WeakMap<TopicInfo, TopicBounds>()
  readonly #start: number

  constructor(options: { world: World; log: Log; commits: Commits }) {
    this.#world = options.world
    this.#log = options.log
    this.#commits = options.commits
    this.#start = Math.floor(options.world.random.fraction() * 1_000_000)
  }

  /** Where each lies, in the order given. Throws a Fault, and then none of them is stored. */
  async place(targets: readonly Target[], acks: Acks): Promise<readonly Placed[]> {
    const runs = this.#plan(targets)
    if (runs.length === 1) {
      const { partition, records, bytesMax } = runs[0]!
      return this.#producer(acks).append(partition, records, bytesMax)
    }
    return this.#commits.run(async (append) => ({ parts: [], result: await stage(runs, append) }))
  }
  /**
   * Each for itself, in the order given: a fault stands in the place of what is not stored. What shares a batch shares its
   * fate. Everything is on its way to the log before this returns.
   */
  async placeEach(targets: readonly Target[], acks: Acks): Promise<readonly (Placed | Fault)[]> {
    const outcomes: (Placed | Fault)[] = []
    const good: Target[] = []
    const places: number[] = []
    const turn = this.#turn()
    targets.forEach((target, place) => {
      try {
        this.#check(target, turn)
        good.push(target)
        places.push(place)
      } catch (error) {
        outcomes[place] = asFault(error)
      }
    })
    await Promise.all(
      this.#plan(good, turn).map(async ({ partition, records, at, bytesMax }) => {
        const placed = await this.#producer(acks).append(partition, records, bytesMax).catch(asFault)
        at.forEach((place, i) => (outcomes[places[place]!] = placed instanceof Fault ? placed : placed[i]!))
      }),
    )
    return outcomes
  }
  /**
   * The same for records that share their topic and time, and are no objects. null: one of them may be too large, or is to
   * be looked at; they are to be placed as targets. Throws the first Fault.
   */
  placeInPlace(topic: TopicInfo, records: RecordsInPlace, timeMs: number, acks: Acks): Promise<PlacedInPlace> | null {
    const { names, bytesMax } = this.#boundsOf(topic)
    if (names.length > 0) return null
    const runs = runsOf(records, topic, { turn: this.#turn(), bytesMax, timeMs })
    if (runs === null) return null
    const appended = runs.map(async ({ partition: index, writer, at }) => {
      const placed = await this.#producer(acks).appendMade({ topic: topic.name, index }, writer.done(), bytesMax)
      if ('fault' in placed) throw placed.fault
      return { partition: index, offset: placed.offset, at }
    })
    return Promise.all(appended)
  }
  /** Why it cannot be stored there, as far as can be said before; null: nothing is known against it. */
  refuses(target: Target): Fault | null {
    try {
      this.#check(target, 0)
      return null
    } catch (error) {
      return asFault(error)
    }
  }
  /** The same inside a tick that carries more. */
  async stage(targets: readonly Target[], append: Tick['append']): Promise<readonly Placed[]> {
    return stage(this.#plan(targets), append)
  }

  /** Throws Fault log.unknown-partition, log.batch-too-large, log.invalid-batch. */
  #plan(targets: readonly Target[], turn = this.#turn()): Run[] {
    const runs: Run[] = []
    const open = new Map<string, Run>()
    targets.forEach((target, place) => {
      const { topic, record } = target
      const { index, bytes, bytesMax } = this.#check(target, turn)
      const id = `${index}/${topic.name}`
      let run = open.get(id)
      if (run === undefined || run.bytes + bytes > bytesMax) {
        const partition = { topic: topic.name, index }
        run = { partition, bytesMax, records: [], at: [], bytes: batchOverheadBytes }
        open.set(id, run)
        runs.push(run)
      }
      run.bytes += bytes
      run.records.push(record)
      run.at.push(place)
    })
    return runs
  }
  #check({ topic, partition, record }: Target, turn: number): { index: number; bytes: number; bytesMax: number } {
    // Here, not by the log: others' records may share a batch with it.
    const { timeMs, headers = [] } = record
    const { names, kept, bytesMax } = this.#boundsOf(topic)
    const odd = names.length === 0 ? null : oddHeader({ timeMs, headers }, names, kept)
    if (odd !== null) throw new Fault('log.invalid-batch', { what: odd })
    const index = choose(topic, partition, record.key, turn)
    const bytes = recordBytes(record)
    if (bytes + batchOverheadBytes > bytesMax) checkSize(record, bytesMax)
    return { index, bytes, bytesMax }
  }
  /** What a topic's settings say, read once for each description of it. */
  #boundsOf(topic: TopicInfo): TopicBounds {
    let bounds = this.#bounds.get(topic)
    if (bounds === undefined) {
      const { config } = topic
      bounds = { names: meaningfulHeaders(config), kept: keptMs(config), bytesMax: batchBytesMax(topic, this.#log) }
      this.#bounds.set(topic, bounds)
    }
    return bounds
  }
  #turn(): number {
    return this.#start + Math.floor(this.#world.clock.monotonic() / stickyMs)
  }
  #producer(acks: Acks): Producer {
    let producer = this.#producers.get(acks)
    if (producer === undefined) this.#producers.set(acks, (producer = new Producer(this.#world.clock, this.#log, acks)))
    return producer
  }
}

interface RunInPlace {
  readonly partition: number
  readonly writer: BatchWriter
  readonly at: number[]
  /** At most. */
  bytes: number
}
/** null: one is perhaps too large for a batch. */
function runsOf(
  records: RecordsInPlace,
  topic: TopicInfo,
  { turn, bytesMax, timeMs }: { turn: number; bytesMax: number; timeMs: number },
): RunInPlace[] | null {
  const { bytes: from, count, places } = records
  const { partitions } = topic
  const keyless = turn % partitions
  const runs: RunInPlace[] = []
  const open: (RunInPlace | undefined)[] = []
  for (let record = 0; record < count; record++) {
    const at = record * placeNumbers
    const keyAt = places[at]!
    const chosen = keyAt < 0 ? keyless : keyPartition(from, partitions, keyAt, places[at + 1]!)
    const partition = openPartition(topic, chosen)
    const bytes = inPlaceBytes(records, record)
    if (bytes + batchOverheadBytes > bytesMax) return null
    let run = open[partition]
    if (run === undefined || run.bytes + bytes > bytesMax) {
      run = { partition, writer: new BatchWriter(timeMs), at: [], bytes: batchOverheadBytes }
      open[partition] = run
      runs.push(run)
    }
    run.bytes += bytes
    run.writer.add(records, record)
    run.at.push(record)
  }
  return runs
}
function choose(topic: TopicInfo, partition: number | null, key: Uint8Array | null, turn: number): number {
  if (partition !== null) {
    if (partition >= topic.partitions) throw new Fault('log.unknown-partition', { topic: topic.name, partition })
    return partition
  }
  return openPartition(topic, key === null ? turn % topic.partitions : keyPartition(key, topic.partitions))
}
/** The estimate is an upper bound: only a record near the limit is measured. */
function checkSize(record: RecordInput, bytesMax: number): void {
  const { length } = encodeBatch([record])
  if (length > bytesMax) throw new Fault('log.batch-too-large', { bytes: length, bytesMax })
}
/** Where the topic itself says so; else the log has to. */
function keptMs(config: TopicInfo['config']): number {
  const set = Number(config['retention.ms'] ?? -1)
  return set >= 0 && (config['cleanup.policy'] ?? 'delete').includes('delete') ? set : Infinity
}
function batchBytesMax(topic: TopicInfo, log: Log): number {
  const set = Number(topic.config['max.message.bytes'] ?? NaN)
  return Number.isSafeInteger(set) ? Math.min(set, limits.batchBytesMax) : log.limits.batchBytes
}

async function stage(runs: readonly Run[], append: Tick['append']): Promise<readonly Placed[]> {
  const entries: { partition: Partition; batch: Batch }[] = runs.map(({ partition, records }) => ({
    partition,
    batch: encodeBatch(records),
  }))
  const appended = await append(entries)
  const placed = new Map<number, Placed>()
  runs.forEach(({ partition, records, at }, i) => {
    const { offset, timeMs } = appended[i]!
    placedFrom(partition.index, offset, timeMs, records).forEach((one, j) => placed.set(at[j]!, one))
  })
  return Array.from({ length: placed.size }, (_, place) => placed.get(place)!)
}
