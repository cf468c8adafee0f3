/** Snapshots: what a subscription had acknowledged at a moment, kept beside it until they expire. */
import type { Clock } from '../../lib/world.ts'
import type { KeptMap } from '../../log/kept-map.ts'
import type { Offset } from '../../lib/brand.ts'
import type { QueueState } from '../../log/queues/queues.ts'
import { fromJson, toJson } from '../../wire/protobuf/json.ts'
import { msOf } from '../../wire/protobuf/well-known.ts'
import { type SnapshotMessage, snapshotMessage } from '../../wire/pubsub/messages.ts'

export interface Snapshot {
  readonly message: SnapshotMessage
  readonly topicId: string
  readonly states: readonly QueueState[]
}
interface StoredState {
  readonly index: number
  readonly start: number
  readonly over: readonly (readonly [first: number, last: number])[]
}

export class SnapshotStore {
  readonly #kept: KeptMap
  readonly #clock: Clock
  readonly #snapshots = new Map<string, Snapshot>()

  constructor(kept: KeptMap, clock: Clock) {
    this.#kept = kept
    this.#clock = clock
  }
  restore(id: string, value: Record<string, unknown>): void {
    const topicId = String(value['topicId'])
    const states = (value['states'] as StoredState[]).map(({ index, start, over }) => ({
      of: { topicId, index },
      start: start as Offset,
      over: over.map(([first, last]) => ({ first, last })),
    }))
    this.#snapshots.set(id, { message: fromJson(snapshotMessage, value['message']), topicId, states })
  }
  get count(): number {
    return this.#snapshots.size
  }
  get(id: string): Snapshot | null {
    const found = this.#snapshots.get(id)
    return found === undefined || this.#isOver(found) ? null : found
  }
  /** By name. */
  all(): (readonly [id: string, snapshot: Snapshot])[] {
    return [...this.#snapshots].filter(([, one]) => !this.#isOver(one)).toSorted(([a], [b]) => (a < b ? -1 : 1))
  }
  #isOver({ message }: Snapshot): boolean {
    return message.expireTime !== null && msOf(message.expireTime) <= this.#clock.now()
  }
  async put(id: string, snapshot: Snapshot): Promise<void> {
    const { topicId } = snapshot
    const states = snapshot.states.map(({ of, start, over }): StoredState => ({
      index: of.index,
      start,
      over: over.map(({ first, last }) => [first, last]),
    }))
    const value = { topicId, states, message: toJson(snapshotMessage, snapshot.message) }
    await this.#kept.change([{ key: `snapshots/${id}`, value: Buffer.from(JSON.stringify(value)) }])
    this.#snapshots.set(id, snapshot)
  }
  async remove(id: string): Promise<void> {
    await this.#kept.change([{ key: `snapshots/${id}`, value: null }])
    this.#snapshots.delete(id)
  }
  /** Those that have expired. */
  over(): string[] {
    return Array.from(this.#snapshots).flatMap(([id, one]) => (this.#isOver(one) ? [id] : []))
  }
  /** For good, unless there is another of this name by now. */
  async removeOver(id: string): Promise<void> {
    const found = this.#snapshots.get(id)
    if (found !== undefined && this.#isOver(found)) await this.remove(id)
  }
}
