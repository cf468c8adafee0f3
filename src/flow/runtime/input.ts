/**
 * What a task reads: records of its partitions from the committed positions on, taken in slices for steps. Until
 * `settled`, everything taken can be given back and taken again.
 */
import { offset as asOffset } from '../../lib/brand.ts'
import type { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { type LogRecord, Unread } from '../../log/batch.ts'
import type { At, Partition, Reader } from '../../log/log.ts'

export interface Slice {
  readonly topic: string
  readonly partition: number
  readonly records: readonly LogRecord[]
}
interface Lane {
  readonly partition: Partition
  /** Read and not taken, from `at` on. */
  records: LogRecord[]
  at: number
  /** Read and not decoded, behind those. */
  unread: Unread
  /** What the records hold in memory, about, while some are left. */
  bytes: number
  /** Where reading goes on. */
  next: number
  /** Everything before it has been taken. */
  taken: number
  /** The same as of the last commit. */
  settled: number
  /** Taken since the last commit, for giving back. */
  readonly since: LogRecord[]
  /** Up to here it is taken before any other; −1 = like the others. */
  readonly firstUntil: number
}

export class Input {
  private readonly reader: Reader
  private turn = 0
  /** Those that are to be read up to a place before any other. */
  private first: Lane[] = []
  private readonly lanes = new Map<string, Lane>()

  constructor(reader: Reader) {
    this.reader = reader
  }
  /** `firstUntil`: a partition that is read up to there before any other. */
  open(from: readonly At[], firstUntil: (partition: Partition) => number = () => -1): void {
    this.lanes.clear()
    for (const { partition, offset } of from)
      this.lanes.set(`${partition.topic}/${partition.index}`, {
        partition,
        records: [],
        at: 0,
        unread: new Unread([]),
        bytes: 0,
        next: offset,
        taken: offset,
        settled: offset,
        since: [],
        firstUntil: firstUntil(partition),
      })
    this.first = [...this.lanes.values()].filter((lane) => lane.firstUntil >= 0)
  }
  get hasRecords(): boolean {
    for (const lane of this.openLanes()) if (lane.at < lane.records.length) return true
    return false
  }
  /** Lanes that may be taken from now. */
  private openLanes(): Iterable<Lane> {
    if (this.first.length === 0) return this.lanes.values()
    const left = this.first.filter((lane) => lane.taken < lane.firstUntil)
    return left.length > 0 ? left : this.lanes.values()
  }
  /** Something to commit: also a position that moved over records nobody sees. */
  get hasMoved(): boolean {
    for (const lane of this.lanes.values()) if (lane.taken !== lane.settled) return true
    return false
  }
  /**
   * Decodes, or reads, what is there for partitions whose records are used up; waits for the first. What would be too
   * much at once is decoded when others are used up. Throws the Fault of a partition.
   */
  async fill(waitMs: number, signal: AbortSignal): Promise<void> {
    const used = [...this.lanes.values()].filter((lane) => lane.at >= lane.records.length)
    for (const lane of used) {
      lane.records = []
      lane.at = lane.bytes = 0
    }
    let left = limits.inputBytes
    for (const lane of this.lanes.values()) if (lane.at < lane.records.length) left -= lane.bytes
    const decode = (lane: Lane): void => {
      if (left <= 0) return
      this.decode(lane)
      left -= lane.bytes
    }
    // Another one first each time, so that large ones keep nobody waiting for ever.
    const first = used.length === 0 ? 0 : this.turn++ % used.length
    for (const lane of [...used.slice(first), ...used.slice(0, first)]) decode(lane)
    const empty = used.filter((lane) => lane.records.length === 0 && lane.unread.isEmpty)
    if (empty.length === 0) return
    const ms = empty.length < used.length ? 0 : waitMs
    const from = empty.map((lane) => ({ partition: lane.partition, offset: asOffset(lane.next) }))
    const chunks = await this.reader.read(from, { ms }, signal)
    for (const chunk of chunks) {
      if ('fault' in chunk) throw chunk.fault satisfies Fault
      const lane = this.lanes.get(`${chunk.partition.topic}/${chunk.partition.index}`)
      if (lane === undefined) continue
      lane.unread = new Unread(chunk.batches)
      lane.next = chunk.next
      decode(lane)
    }
  }
  /** The next records of what was read, if any. A batch may begin before the place that was asked for. */
  private decode(lane: Lane): void {
    while (lane.records.length === 0 && !lane.unread.isEmpty)
      lane.records = lane.unread.next().filter((record) => record.offset >= lane.taken)
    if (lane.records.length === 0) lane.taken = lane.next
    else lane.bytes = lane.unread.bytes
  }
  /** Up to so many records, a fair part from each partition; what is left over goes to those that have more. */
  take(recordsMax: number): Slice[] {
    const slices = new Map<Lane, LogRecord[]>()
    let left = recordsMax
    let open = [...this.openLanes()].filter((lane) => lane.at < lane.records.length)
    while (left > 0 && open.length > 0) {
      const share = Math.max(1, Math.floor(left / open.length))
      for (const lane of open) {
        const records = lane.records.slice(lane.at, lane.at + Math.min(share, left))
        lane.at += records.length
        left -= records.length
        slices.set(lane, [...(slices.get(lane) ?? []), ...records])
        if (left === 0) break
      }
      open = open.filter((lane) => lane.at < lane.records.length)
    }
    return [...slices].map(([lane, records]) => this.taken(lane, records))
  }
  private taken(lane: Lane, records: readonly LogRecord[]): Slice {
    for (const record of records) lane.since.push(record)
    if (lane.at < lane.records.length) lane.taken = lane.records[lane.at]!.offset
    else lane.taken = lane.unread.isEmpty ? lane.next : lane.records.at(-1)!.offset + 1
    return { topic: lane.partition.topic, partition: lane.partition.index, records }
  }
  /** All before this place is taken and committed, or was nobody's to see. */
  hasReached({ partition, offset }: At): boolean {
    const lane = this.lanes.get(`${partition.topic}/${partition.index}`)
    return lane !== undefined && lane.since.length === 0 && lane.taken >= offset
  }
  /** Positions to commit: those that moved since the last time. */
  positions(): At[] {
    return [...this.lanes.values()]
      .filter((lane) => lane.taken !== lane.settled)
      .map((lane) => ({ partition: lane.partition, offset: asOffset(lane.taken) }))
  }
  settled(): void {
    for (const lane of this.lanes.values()) {
      lane.settled = lane.taken
      lane.since.length = 0
    }
  }
  /** Everything taken since the last commit is there to be taken again. */
  giveBack(): void {
    for (const lane of this.lanes.values()) {
      lane.records = [...lane.since, ...lane.records.slice(lane.at)]
      lane.at = 0
      lane.taken = lane.settled
      lane.since.length = 0
    }
  }
  /** Records taken in this tick and not committed. */
  get pendingCount(): number {
    let count = 0
    for (const lane of this.lanes.values()) count += lane.since.length
    return count
  }
  /** One of them. */
  record(topic: string, partition: number, offset: number): LogRecord | undefined {
    const since = this.lanes.get(`${topic}/${partition}`)?.since ?? []
    let low = 0
    let high = since.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (since[middle]!.offset < offset) low = middle + 1
      else high = middle
    }
    return since[low]?.offset === offset ? since[low] : undefined
  }
}
