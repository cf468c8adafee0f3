/**
 * A view's changes as records of its topic (conventions, "A view's changes"): with a key an upsert topic, else appended,
 * or with weights. What a tick puts in and takes out again is not written.
 */
import { createHash } from 'node:crypto'
import { type Header, type RecordInput } from '../../log/batch.ts'
import { type OriginRange, encodeOrigin, originHeader } from '../../log/origin.ts'
import { type Batch, type Provenance } from '../batch.ts'
import { weightHeader } from '../decode.ts'
import { keyWriter } from '../encode-key.ts'
import { Slab, rowBytes } from '../json-bytes.ts'
import type { ViewPlan } from '../plan.ts'
import type { OutputMode } from '../output-mode.ts'

export interface TickFacts {
  /** Drawn once per tick and recorded. */
  readonly nowMs: number
  /** Which topic and partition a source partition of the provenance is. */
  place(source: number): { readonly topicId: string; readonly topic: string; readonly partition: number }
}
export interface Sink {
  /** Records for the deltas of a tick, in order. */
  records(deltas: readonly Batch[], facts: TickFacts): readonly RecordInput[]
}

export const rowSinks: Readonly<Record<OutputMode, (view: ViewPlan) => Sink>> = {
  append: appendSink,
  upsert: upsertSink,
  weighted: weightedSink,
}

export const noSink: Sink = { records: () => [] }

/** Writes `mr-origin` headers of one tick. */
export class Origins {
  private readonly facts: TickFacts
  private readonly out: Slab
  /** Of an origin of one record: all but its offset, by source partition. */
  private readonly single = new Map<number, Buffer>()

  constructor(facts: TickFacts, out: Slab) {
    this.facts = facts
    this.out = out
  }
  of(rows: Provenance, row: number): Header {
    const { origins } = rows
    if (origins !== null && origins.at[row + 1]! > origins.at[row]!) return [originHeader, this.ranges(rows, row)]
    const source = rows.source[row]!
    if (source < 0 || (origins !== null && origins.state)) return [originHeader, this.ranges(rows, row)]
    this.out.bytes(this.prefix(source))
    this.out.varint(rows.offset[row]!)
    this.out.byte(0)
    return [originHeader, this.out.cut()]
  }
  private prefix(source: number): Buffer {
    let prefix = this.single.get(source)
    if (prefix === undefined) {
      const { topicId, partition } = this.facts.place(source)
      // Offset 0 and a count of 0 are one byte each.
      prefix = encodeOrigin({ ranges: [{ topicId, partition, first: 0, last: 0 }], state: false }).subarray(0, -2)
      this.single.set(source, prefix)
    }
    return prefix
  }
  private ranges({ origins, source, offset }: Provenance, row: number): Buffer {
    const ranges: OriginRange[] = []
    const add = (id: number, first: number, last: number): void => {
      const { topicId, partition } = this.facts.place(id)
      ranges.push({ topicId, partition, first, last })
    }
    if (origins !== null)
      for (let r = origins.at[row]!; r < origins.at[row + 1]!; r++)
        add(origins.ranges[r * 3]!, origins.ranges[r * 3 + 1]!, origins.ranges[r * 3 + 2]!)
    if (ranges.length === 0 && source[row]! >= 0) add(source[row]!, offset[row]!, offset[row]!)
    return encodeOrigin({ ranges, state: origins !== null && origins.state })
  }
}

function appendSink(view: ViewPlan): Sink {
  const write = rowBytes(view.plan.columns)
  const columns = view.recordKey ?? view.key
  const key = columns === null ? null : keyWriter(view.plan.columns, columns)
  return {
    records(deltas, facts) {
      const slab = new Slab()
      const origins = new Origins(facts, slab)
      const out: RecordInput[] = []
      for (const batch of deltas)
        for (let row = 0; row < batch.count; row++) {
          write(batch, row, slab)
          const value = slab.cut()
          const headers = [origins.of(batch.rows, row)]
          out.push({ key: key === null ? null : key(batch, row), value, headers, timeMs: facts.nowMs })
        }
      return out
    },
  }
}

/** One change of a key or row within the tick. */
export interface Change {
  readonly batch: Batch
  readonly row: number
  readonly weight: number
}
export function* changesOf(deltas: readonly Batch[]): Iterable<Change> {
  for (const batch of deltas)
    for (let row = 0; row < batch.count; row++)
      yield { batch, row, weight: batch.weights === null ? 1 : batch.weights[row]! }
}
/** Rows as text with their net weights, and the last change of each. */
export function net(
  changes: Iterable<Change>,
  text: (change: Change) => string,
): Map<string, { weight: number; last: Change }> {
  const rows = new Map<string, { weight: number; last: Change }>()
  for (const change of changes) {
    const key = text(change)
    const one = rows.get(key)
    if (one === undefined) rows.set(key, { weight: change.weight, last: change })
    else {
      one.weight += change.weight
      one.last = change
    }
  }
  return rows
}

/** A row's bytes as text, to tell rows apart. */
export const rowText =
  (write: ReturnType<typeof rowBytes>, slab: Slab) =>
  ({ batch, row }: Change): string => {
    write(batch, row, slab)
    return slab.cut().toString('latin1')
  }

function upsertSink(view: ViewPlan): Sink {
  const write = rowBytes(view.plan.columns)
  const key = keyWriter(view.plan.columns, view.key ?? [])
  return {
    records(deltas, facts) {
      const slab = new Slab()
      const origins = new Origins(facts, slab)
      const text = rowText(write, slab)
      const out: RecordInput[] = []
      for (const { bytes, changes } of byKey(deltas, key)) {
        const final = finalChange(changes, text)
        if (final === null) continue
        const { batch, row } = final.change
        if (final.present) write(batch, row, slab)
        const value = final.present ? slab.cut() : null
        out.push({ key: bytes, value, headers: [origins.of(batch.rows, row)], timeMs: facts.nowMs })
      }
      return out
    },
  }
}
export function byKey(
  deltas: readonly Batch[],
  key: (batch: Batch, row: number) => Buffer,
): Iterable<{ readonly bytes: Buffer; readonly changes: Change[] }> {
  const keys = new Map<string, { bytes: Buffer; changes: Change[] }>()
  for (const change of changesOf(deltas)) {
    const bytes = key(change.batch, change.row)
    const name = bytes.toString('latin1')
    const one = keys.get(name)
    if (one === undefined) keys.set(name, { bytes, changes: [change] })
    else one.changes.push(change)
  }
  return keys.values()
}
/** What a key's changes come to; null: nothing. A key has at most one row. */
function finalChange(
  changes: readonly Change[],
  text: (change: Change) => string,
): { readonly change: Change; readonly present: boolean } | null {
  const [first, second] = changes
  if (changes.length === 1 && first !== undefined) return { change: first, present: first.weight > 0 }
  // The old row goes, the new one comes: what operators mostly give.
  if (changes.length === 2 && first!.weight === -1 && second!.weight === 1) return { change: second!, present: true }
  const rows = [...net(changes, text).values()]
  const present = rows.findLast((r) => r.weight > 0)
  if (present !== undefined) return { change: present.last, present: true }
  const gone = rows.find((r) => r.weight < 0)
  return gone === undefined ? null : { change: gone.last, present: false }
}

function weightedSink(view: ViewPlan): Sink {
  const write = rowBytes(view.plan.columns)
  return {
    records(deltas, facts) {
      const slab = new Slab()
      const origins = new Origins(facts, slab)
      const text = rowText(write, slab)
      const out: RecordInput[] = []
      for (const [row, { weight, last }] of net(changesOf(deltas), text)) {
        if (weight === 0) continue
        const value = Buffer.from(row, 'latin1')
        const sign = weight > 0 ? '+' : ''
        out.push({
          key: createHash('sha256').update(value).digest().subarray(0, 16),
          value,
          headers: [[weightHeader, Buffer.from(sign + String(weight))], origins.of(last.batch.rows, last.row)],
          timeMs: facts.nowMs,
        })
      }
      return out
    },
  }
}
