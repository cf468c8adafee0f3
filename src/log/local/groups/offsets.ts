/**
 * Committed positions of all groups, and those that open transactions of clients would commit, in memory; pure. Records of
 * `__consumer_offsets` in and out.
 */
import type { Offset } from '../../../lib/brand.ts'
import type { LogRecord, RecordInput } from '../../batch.ts'
import type { Partition } from '../../log.ts'
import { bytesOfText, bytesPerGroup, bytesPerName } from './memory.ts'
import { type Committed, decodeCommitted, decodeKey, encodeCommitted, encodeKey } from './formats.ts'

export interface OffsetEntry {
  readonly partition: Partition
  readonly committed: Committed
}
type Positions = Map<string, Map<number, Committed>>
interface Awaiting extends OffsetEntry {
  readonly group: string
}
/** A client's transaction, by what its batches carry. */
interface Writer {
  readonly producerId: number
  readonly epoch: number
}

const bytesPerPosition = 200
const bytesOf = (committed: Committed | undefined): number =>
  committed === undefined ? 0 : bytesPerPosition + bytesOfText(committed.metadata)

export class GroupOffsets {
  /** What they hold in memory. */
  bytes = 0
  readonly #groups = new Map<string, Positions>()
  /** Positions that an undecided transaction would change: how many such transactions. */
  readonly #held = new Map<string, number>()
  #waiting: (() => void)[] = []
  /** By transaction, then by position. */
  readonly #awaiting = new Map<string, Map<string, Awaiting>>()

  groups(): Iterable<string> {
    return this.#groups.keys()
  }
  topics(): Set<string> {
    const found = new Set<string>()
    for (const positions of this.#groups.values()) for (const topic of positions.keys()) found.add(topic)
    return found
  }
  has(group: string): boolean {
    return this.#groups.has(group)
  }
  get(group: string, { topic, index }: Partition): Committed | null {
    return this.#groups.get(group)?.get(topic)?.get(index) ?? null
  }
  /** Where to go on from; null: nothing is committed, or what is no position. */
  position(group: string, partition: Partition): Offset | null {
    const offset = this.get(group, partition)?.offset ?? -1
    return offset < 0 ? null : (offset as Offset)
  }
  *all(group: string): Iterable<OffsetEntry> {
    for (const [topic, positions] of this.#groups.get(group) ?? [])
      for (const [index, committed] of positions) yield { partition: { topic, index }, committed }
  }
  /** Partitions of one topic over all groups. */
  *ofTopic(topic: string): Iterable<{ group: string; partition: Partition }> {
    for (const [group, positions] of this.#groups)
      for (const index of positions.get(topic)?.keys() ?? []) yield { group, partition: { topic, index } }
  }

  set(group: string, { topic, index }: Partition, committed: Committed): void {
    let positions = this.#groups.get(group)
    if (positions === undefined) {
      this.#groups.set(group, (positions = new Map()))
      this.bytes += bytesPerGroup
    }
    let ofTopic = positions.get(topic)
    if (ofTopic === undefined) {
      positions.set(topic, (ofTopic = new Map()))
      this.bytes += bytesPerName
    }
    this.bytes += bytesOf(committed) - bytesOf(ofTopic.get(index))
    ofTopic.set(index, committed)
  }
  delete(group: string, { topic, index }: Partition): void {
    for (const writer of Array.from(this.#awaiting.keys())) this.#drop(writer, nameOf(group, { topic, index }))
    const positions = this.#groups.get(group)
    const ofTopic = positions?.get(topic)
    if (positions === undefined || ofTopic === undefined) return
    this.bytes -= bytesOf(ofTopic.get(index))
    ofTopic.delete(index)
    if (ofTopic.size > 0) return
    positions.delete(topic)
    this.bytes -= bytesPerName
    if (positions.size > 0) return
    this.#groups.delete(group)
    this.bytes -= bytesPerGroup
  }
  deleteGroup(group: string): void {
    for (const [writer, positions] of Array.from(this.#awaiting))
      for (const [name, one] of Array.from(positions)) if (one.group === group) this.#drop(writer, name)
    for (const { partition } of [...this.all(group)]) this.delete(group, partition)
  }
  /** How much more they would hold with this one, about. */
  bytesMore(group: string, partition: Partition, metadata: string | null): number {
    const before = this.get(group, partition)
    const isNewGroup = before === null && !this.has(group)
    return (
      (isNewGroup ? bytesPerGroup : 0) +
      (before === null ? bytesPerPosition : -bytesOfText(before.metadata)) +
      bytesOfText(metadata)
    )
  }

  /** Takes in one record while they are read back. */
  restore(record: LogRecord): void {
    const key = record.key === null ? null : decodeKey(record.key)
    if (key?.kind !== 'offset') return
    if (record.value === null) this.delete(key.group, key)
    else this.set(key.group, key, { ...decodeCommitted(record.value), place: record.offset as Offset })
  }
  /** The same for one of a transaction that is open. */
  restoreAwaiting(record: LogRecord, writer: Writer): void {
    const key = record.key === null ? null : decodeKey(record.key)
    if (key?.kind !== 'offset' || record.value === null) return
    const committed = { ...decodeCommitted(record.value), place: record.offset as Offset }
    this.awaitEnd(writer, key.group, [{ partition: { topic: key.topic, index: key.index }, committed }])
  }

  /** The transaction will commit these, if it is committed. Until then they are held. */
  awaitEnd(writer: Writer, group: string, entries: readonly OffsetEntry[]): void {
    const key = keyOf(writer)
    let positions = this.#awaiting.get(key)
    if (positions === undefined) this.#awaiting.set(key, (positions = new Map()))
    for (const { partition, committed } of entries) {
      const name = nameOf(group, partition)
      const former = positions.get(name)
      if (former === undefined) this.hold(group, [partition])
      this.bytes += bytesOf(committed) - bytesOf(former?.committed)
      positions.set(name, { group, partition, committed })
    }
  }
  /** The transaction has ended. What was committed outside of it since then stands. */
  settle(writer: Writer, isCommitted: boolean): void {
    const key = keyOf(writer)
    for (const [name, { group, partition, committed }] of Array.from(this.#awaiting.get(key) ?? [])) {
      const found = this.get(group, partition)
      const isNewest = found === null || (found.place ?? 0) < (committed.place ?? 0)
      if (isCommitted && isNewest) this.set(group, partition, committed)
      this.#drop(key, name)
    }
  }
  #drop(writer: string, name: string): void {
    const positions = this.#awaiting.get(writer)
    const one = positions?.get(name)
    if (positions === undefined || one === undefined) return
    positions.delete(name)
    if (positions.size === 0) this.#awaiting.delete(writer)
    this.bytes -= bytesOf(one.committed)
    this.release(one.group, [one.partition])
  }

  hold(group: string, partitions: readonly Partition[]): void {
    for (const partition of partitions) {
      const name = nameOf(group, partition)
      this.#held.set(name, (this.#held.get(name) ?? 0) + 1)
    }
  }
  release(group: string, partitions: readonly Partition[]): void {
    for (const partition of partitions) {
      const name = nameOf(group, partition)
      const count = (this.#held.get(name) ?? 0) - 1
      if (count > 0) this.#held.set(name, count)
      else this.#held.delete(name)
    }
    const waiting = this.#waiting
    this.#waiting = []
    for (const wake of waiting) wake()
  }
  /** Resolves when no undecided transaction would change any of these. */
  async whenReleased(group: string, partitions: readonly Partition[]): Promise<void> {
    while (partitions.some((partition) => this.isHeld(group, partition)))
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
  }
  isHeld(group: string, partition: Partition): boolean {
    return this.#held.size > 0 && this.#held.has(nameOf(group, partition))
  }
}

const keyOf = ({ producerId, epoch }: Writer): string => `${producerId}/${epoch}`
const nameOf = (group: string, { topic, index }: Partition): string => `${topic}/${index}/${group}`

export function offsetRecord(group: string, { topic, index }: Partition, value: Committed): RecordInput {
  return {
    key: encodeKey({ kind: 'offset', group, topic, index }),
    value: encodeCommitted(value),
    timeMs: value.committedMs,
  }
}
export function offsetTombstone(group: string, { topic, index }: Partition, timeMs: number): RecordInput {
  return { key: encodeKey({ kind: 'offset', group, topic, index }), value: null, timeMs }
}
