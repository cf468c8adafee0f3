/**
 * What a task reads: records of its partitions from the committed positions on, taken in slices for steps. Until
 * `settled`, everything taken can be given back and taken again.
 */
import { offset as asOffset } from '../../lib/brand.ts'
import type { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { laneOf } from '../alignment.ts'
import { type LogRecord, Unread } from '../../log/batch.ts'
import type { At, Partition, Reader } from '../../log/log.ts'
import type { RawRecords } from '../../log/raw-records.ts'

/** A partition may have several, one after the other. */
export interface Slice {
  readonly topic: string
  readonly partition: number
  readonly records: RawRecords
}
interface Lane {
  readonly name: string
  readonly partition: Partition
  /** Read and not taken, in order; none of them is empty. */
  waiting: RawRecords[]
  /** Read and not unpacked, behind those. */
  unread: Unread
  /** What `waiting` holds in memory, about. */
  bytes: number
  /** Where reading goes on. */
  next: number
  /** Everything before it has been taken. */
  taken: number
  /** The same as of the last commit. */
  settled: number
  /** Taken since the last commit, for giving back. */
  since: RawRecords[]
  /** Up to here it is taken before any other; −1 = like the others. */
  readonly firstUntil: number
}
const countOf = (records: readonly RawRecords[]): number => records.reduce((sum, { count }) => sum + count, 0)

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
      this.lanes.set(laneOf(partition.topic, partition.index), {
        name: laneOf(partition.topic, partition.index),
        partition,
        waiting: [],
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
    for (const lane of this.openLanes()) if (lane.waiting.length > 0) return true
    return false
  }
  /** Lanes that may be taken from now. */
  private openLanes(): Iterable<Lane> {
    const left = this.first.filter((lane) => lane.taken < lane.firstUntil)
    if (left.length > 0) return left
    if (this.heldBack.size === 0) return this.lanes.values()
    return this.lanes.values().filter((lane) => !this.isHeldBack(lane))
  }
  /** Lanes that are read and taken from no further, until the next call; those that come before any other are all the same. */
  holdBack(lanes: ReadonlySet<string>): void {
    this.heldBack = lanes
  }
  private heldBack: ReadonlySet<string> = new Set()
  private isHeldBack(lane: Lane): boolean {
    return this.heldBack.size > 0 && this.heldBack.has(lane.name) && lane.taken >= lane.firstUntil
  }
  /** Something to commit: also a position that moved over records nobody sees. */
  get hasMoved(): boolean {
    for (const lane of this.lanes.values()) if (lane.taken !== lane.settled) return true
    return false
  }
  /**
   * Unpacks, or reads, what is there for partitions whose records are used up; waits for the first. What would be too
   * much at once is unpacked when others are used up. Throws the Fault of a partition.
   */
  async fill(waitMs: number, signal: AbortSignal): Promise<void> {
    const used = [...this.lanes.values()].filter((lane) => lane.waiting.length === 0 && !this.isHeldBack(lane))
    for (const lane of used) lane.bytes = 0
    let left = limits.inputBytes
    // What is held back must not keep those waiting that it waits for.
    for (const lane of this.lanes.values()) if (!this.isHeldBack(lane)) left -= lane.bytes
    const unpack = (lane: Lane): void => {
      if (left <= 0) return
      this.unpack(lane)
      left -= lane.bytes
    }
    // Another one first each time, so that large ones keep nobody waiting for ever.
    const first = used.length === 0 ? 0 : this.turn++ % used.length
    for (const lane of [...used.slice(first), ...used.slice(0, first)]) unpack(lane)
    const empty = used.filter((lane) => lane.waiting.length === 0 && lane.unread.isEmpty)
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
      unpack(lane)
    }
  }
  /** The next records of what was read, if any. A batch may begin before the place that was asked for. */
  private unpack(lane: Lane): void {
    while (lane.waiting.length === 0 && !lane.unread.isEmpty) {
      const records = lane.unread.nextRaw().between(lane.taken)
      if (records.count > 0) lane.waiting.push(records)
    }
    if (lane.waiting.length === 0) lane.taken = lane.next
    else lane.bytes = lane.unread.bytes
  }
  /** Up to so many records, a fair part from each partition; what is left over goes to those that have more. */
  take(recordsMax: number): Slice[] {
    const counts = new Map<Lane, { count: number; readonly most: number }>()
    for (const lane of this.openLanes())
      if (lane.waiting.length > 0) counts.set(lane, { count: 0, most: countOf(lane.waiting) })
    let left = recordsMax
    let open = [...counts.values()]
    while (left > 0 && open.length > 0) {
      const share = Math.max(1, Math.floor(left / open.length))
      for (const lane of open) {
        const more = Math.min(share, left, lane.most - lane.count)
        lane.count += more
        left -= more
        if (left === 0) break
      }
      open = open.filter((lane) => lane.count < lane.most)
    }
    return [...counts].flatMap(([lane, { count }]) => (count === 0 ? [] : this.takeFrom(lane, count)))
  }
  private takeFrom(lane: Lane, count: number): Slice[] {
    const slices: Slice[] = []
    for (let left = count; left > 0;) {
      const all = lane.waiting[0]!
      const records = all.count <= left ? all : all.slice(all.from, all.from + left)
      if (records === all) lane.waiting.shift()
      else lane.waiting[0] = all.slice(records.to, all.to)
      left -= records.count
      lane.since.push(records)
      lane.taken = records.offsets[records.to - 1]! + 1
      slices.push({ topic: lane.partition.topic, partition: lane.partition.index, records })
    }
    const [rest] = lane.waiting
    if (rest !== undefined) lane.taken = rest.offsets[rest.from]!
    else if (lane.unread.isEmpty) lane.taken = lane.next
    return slices
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
  /** Where the next tick begins, of every partition. */
  committed(): At[] {
    return [...this.lanes.values()].map(({ partition, settled }) => ({ partition, offset: asOffset(settled) }))
  }
  /** Gives the memory of what was taken, where nothing else lies in it. */
  settled(): Set<ArrayBufferLike> {
    const memory = new Set<ArrayBufferLike>()
    for (const lane of this.lanes.values()) {
      lane.settled = lane.taken
      for (const { parts } of lane.since) for (const { bytes } of parts) memory.add(bytes.buffer)
      lane.since = []
    }
    if (memory.size === 0) return memory
    for (const { waiting, unread } of this.lanes.values()) {
      for (const { parts } of waiting) for (const { bytes } of parts) memory.delete(bytes.buffer)
      for (const buffer of unread.memory()) memory.delete(buffer)
    }
    return memory
  }
  /** Everything taken since the last commit is there to be taken again. */
  giveBack(): void {
    for (const lane of this.lanes.values()) {
      lane.waiting = [...lane.since, ...lane.waiting]
      lane.taken = lane.settled
      lane.since = []
    }
  }
  /** Records taken in this tick and not committed. */
  get pendingCount(): number {
    let count = 0
    for (const lane of this.lanes.values()) count += countOf(lane.since)
    return count
  }
  /** One of them. */
  record(topic: string, partition: number, offset: number): LogRecord | undefined {
    for (const records of this.lanes.get(`${topic}/${partition}`)?.since ?? []) {
      const found = records.find(offset)
      if (found !== undefined) return found
    }
    return undefined
  }
}
