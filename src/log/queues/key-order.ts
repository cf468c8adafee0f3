/**
 * Order by key: of the records of one key, the oldest that is not done with is given out, and no other. Which key a record
 * of the window has is kept while it is in it, and read again after a restart. Records without a key have no order.
 */
import { createHash } from 'node:crypto'
import { Unread } from '../batch.ts'
import type { Batch } from '../log.ts'
import type { Extent, QueuePartition } from './queue-partition.ts'
import { isOver } from './runs.ts'

/** Longer keys are kept as their hash. */
const keyBytesMax = 32

export class KeyOrder {
  readonly #keys = new Map<number, string | null>()

  forget(): void {
    this.#keys.clear()
  }
  /** The first record that may be given out and whose key is not known. */
  firstUnknown(machine: QueuePartition): number | null {
    this.#dropBefore(machine.start ?? 0)
    for (const run of machine.runs) {
      if (isOver(run)) continue
      for (let offset = run.first; offset <= run.last; offset++) if (!this.#keys.has(offset)) return offset
    }
    return null
  }
  #dropBefore(start: number): void {
    for (const offset of this.#keys.keys()) {
      if (offset >= start) return
      this.#keys.delete(offset)
    }
  }
  /** Each by itself, in order. */
  candidates(machine: QueuePartition, nowMs: number): Extent[] {
    const held = new Set<string>()
    const found: Extent[] = []
    for (const run of machine.runs) {
      if (isOver(run) && run.pending === null) continue
      const isFree = run.state === 'available' && run.pending === null && run.untilMs <= nowMs
      for (let offset = run.first; offset <= run.last; offset++) {
        const key = this.#keys.get(offset) ?? null
        if (isFree && (key === null || !held.has(key))) found.push({ first: offset, last: offset })
        if (key !== null) held.add(key)
      }
    }
    return found
  }
  /** Takes in what was read. The window grows by so many records at most; what holds none is over. */
  learn(
    machine: QueuePartition,
    read: { readonly from: number; readonly next: number; readonly batches: readonly Batch[] },
    roomMax: number,
  ): void {
    let at = read.from
    let room = roomMax
    for (const unread = new Unread(read.batches); !unread.isEmpty;)
      for (const { offset, key } of unread.next()) {
        if (offset < at) continue
        if (offset >= machine.end) {
          if (room <= 0) return
          room--
          machine.admit(offset + 1)
        }
        if (offset > at) machine.skip(at, offset - 1)
        this.#keys.set(offset, key === null ? null : short(key))
        at = offset + 1
      }
    if (roomMax > 0) machine.admit(read.next)
    if (read.next > at) machine.skip(at, Math.min(read.next, machine.end) - 1)
  }
}
const short = (key: Uint8Array): string =>
  key.length <= keyBytesMax
    ? `=${Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')}`
    : createHash('sha256').update(key).digest('base64')
