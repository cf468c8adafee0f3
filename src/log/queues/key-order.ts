/**
 * Order by key. Two ways, by request:
 * - without a holder, of the records of one key the oldest that is not done with is given out, and no other;
 * - with one, several of a key may be out, in order and all with the same holder. When one is given out again, those of its
 *   key behind it that are out or were accepted are withdrawn, so that they come after it once more.
 * Which key a record of the window has is kept while it matters, and read again after a restart: of what is not done with,
 * and of what was accepted while an older one of its key is not. Records without a key have no order.
 */
import { createHash } from 'node:crypto'
import { Unread } from '../batch.ts'
import type { Batch } from '../log.ts'
import type { Extent, QueuePartition } from './queue-partition.ts'
import type { AcquiredRange } from './queues.ts'
import { type Run, isOver } from './runs.ts'

/** Longer keys are kept as their hash. */
const keyBytesMax = 32
/** Accepted records of keys whose oldest is not done with are remembered up to so many of those that may be out. */
const keptFactor = 4

interface Known {
  readonly key: string | null
  /** Who has it, or had it last. */
  holder: string | null
}
export interface Plan {
  /** What may be given out, in order. */
  readonly free: readonly Extent[]
  /** What has to be withdrawn because something before it goes out again. */
  readonly late: readonly Extent[]
}
/** Of nobody who asks: the holder is not known, or there are two. */
const nobody = ''

export class KeyOrder {
  /** By offset, which rises. */
  readonly #known = new Map<number, Known>()
  /** What lies before it in the window was read. */
  #readTo = 0

  forget(): void {
    this.#known.clear()
    this.#readTo = 0
  }
  /** The first record of the window whose key was not read. */
  firstUnknown(machine: QueuePartition): number | null {
    const from = Math.max(this.#readTo, machine.start ?? 0)
    return from < machine.end ? from : null
  }
  /** Each of a key in its order. */
  plan(machine: QueuePartition, by: { holder: string | null; locksMax: number; nowMs: number }): Plan {
    const { holder, nowMs } = by
    const keys = this.#look(machine, nowMs)
    const isFull = this.#known.size > keptFactor * by.locksMax
    const seen = new Set<string>()
    const blocked = new Set<string>()
    const chosen = new Set<string>()
    const free: Extent[] = []
    const late: Extent[] = []
    for (const [offset, { key }, run] of this.#each(machine)) {
      const isFree = run.state === 'available' && run.pending === null && run.untilMs <= nowMs
      if (key === null) {
        if (isFree) add(free, offset)
        continue
      }
      if (run.pending === null && (run.state === 'acquired' || run.state === 'accepted')) {
        if (chosen.has(key)) {
          add(late, offset)
          blocked.add(key)
        }
      } else if (isFree) {
        const { by: bound = null, changing = -1 } = keys.get(key) ?? {}
        const isMine = holder === null ? bound === null && !seen.has(key) : bound === null || bound === holder
        if (isMine && !blocked.has(key) && changing < offset && !(isFull && seen.has(key))) {
          add(free, offset)
          chosen.add(key)
        } else blocked.add(key)
      } else if (holder === null || !isOver(run)) blocked.add(key)
      seen.add(key)
    }
    return { free, late }
  }
  /** Of each key that has any: who has records of it, and the last one whose fate is being stored. What is over is dropped. */
  #look(machine: QueuePartition, nowMs: number): Map<string, { by: string | null; changing: number }> {
    const keys = new Map<string, { by: string | null; changing: number }>()
    const { start } = machine
    for (const offset of this.#known.keys()) {
      if (offset >= (start ?? 0)) break
      this.#known.delete(offset)
    }
    for (const [offset, { key, holder }, run] of this.#each(machine)) {
      const known = key === null ? undefined : keys.get(key)
      if (isOver(run) && run.pending === null) {
        if (run.state === 'archived' || known === undefined) this.#known.delete(offset)
        continue
      }
      if (key === null) continue
      const isOut = run.state === 'acquired' || run.pending !== null
      const isKept = run.state === 'available' && run.member !== '' && run.untilMs > nowMs
      const by = isOut ? (holder ?? nobody) : isKept ? nobody : null
      const changing = run.pending === null ? -1 : offset
      if (known === undefined) keys.set(key, { by, changing })
      else {
        if (by !== null) known.by = known.by === null || known.by === by ? by : nobody
        if (changing >= 0) known.changing = changing
      }
    }
    return keys
  }
  *#each(machine: QueuePartition): Iterable<readonly [number, Known, Run]> {
    const runs = machine.runs[Symbol.iterator]()
    let run = runs.next()
    for (const [offset, known] of this.#known) {
      while (run.done !== true && run.value.last < offset) run = runs.next()
      if (run.done === true) return
      if (run.value.first <= offset) yield [offset, known, run.value]
    }
  }
  given(ranges: readonly AcquiredRange[], holder: string | null): void {
    for (const { first, last } of ranges)
      for (let offset: number = first; offset <= last; offset++) {
        const known = this.#known.get(offset)
        if (known !== undefined) known.holder = holder
      }
  }
  /** Of these records, those that have an older one of their key that is not done with and is none of them. */
  early(machine: QueuePartition, offsets: readonly number[]): Set<number> {
    const asked = new Set(offsets)
    const open = new Set<string>()
    const found = new Set<number>()
    for (const [offset, { key }, run] of this.#each(machine)) {
      if (key === null || isOver(run)) continue
      const isAsked = asked.has(offset)
      if (isAsked && open.has(key)) found.add(offset)
      else if (!isAsked) open.add(key)
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
          if (room <= 0) {
            if (machine.end > at) machine.skip(at, machine.end - 1)
            this.#readTo = machine.end
            return
          }
          room--
          machine.admit(offset + 1)
        }
        if (offset > at) machine.skip(at, offset - 1)
        this.#known.set(offset, { key: key === null ? null : short(key), holder: null })
        at = offset + 1
        this.#readTo = at
      }
    if (roomMax > 0) machine.admit(read.next)
    if (read.next > at) machine.skip(at, Math.min(read.next, machine.end) - 1)
    this.#readTo = Math.max(at, Math.min(read.next, machine.end))
  }
}

function add(extents: Extent[], offset: number): void {
  const known = extents.at(-1)
  if (known?.last === offset - 1) extents[extents.length - 1] = { first: known.first, last: offset }
  else extents.push({ first: offset, last: offset })
}
const short = (key: Uint8Array): string =>
  key.length <= keyBytesMax
    ? `=${Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')}`
    : createHash('sha256').update(key).digest('base64')
