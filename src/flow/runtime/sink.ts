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
import { rowWriter } from '../json-value.ts'
import type { ViewPlan } from '../plan.ts'
import { outputMode } from './names.ts'

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

export function viewSink(view: ViewPlan): Sink {
  switch (outputMode(view)) {
    case 'append':
      return appendSink(view)
    case 'upsert':
      return upsertSink(view)
    case 'weighted':
      return weightedSink(view)
  }
}
/** Ranges of the records that a row came from. */
export function originOf(rows: Provenance, row: number, facts: TickFacts): Header {
  const ranges: OriginRange[] = []
  const add = (source: number, first: number, last: number): void => {
    const { topicId, partition } = facts.place(source)
    ranges.push({ topicId, partition, first, last })
  }
  const { origins } = rows
  if (origins !== null && origins.at[row + 1]! > origins.at[row]!)
    for (let r = origins.at[row]!; r < origins.at[row + 1]!; r++)
      add(origins.ranges[r * 3]!, origins.ranges[r * 3 + 1]!, origins.ranges[r * 3 + 2]!)
  else if (rows.source[row]! >= 0) add(rows.source[row]!, rows.offset[row]!, rows.offset[row]!)
  return [originHeader, encodeOrigin({ ranges, state: origins !== null && origins.state })]
}

function appendSink(view: ViewPlan): Sink {
  const write = rowWriter(view.plan.columns)
  const key = view.key === null ? null : keyWriter(view.plan.columns, view.key)
  return {
    records(deltas, facts) {
      const out: RecordInput[] = []
      for (const batch of deltas)
        for (let row = 0; row < batch.count; row++)
          out.push({
            key: key === null ? null : key(batch, row),
            value: Buffer.from(write(batch, row)),
            headers: [originOf(batch.rows, row, facts)],
            timeMs: facts.nowMs,
          })
      return out
    },
  }
}

/** A row that changed within the tick: its net weight, and where it last came from. */
interface Net {
  weight: number
  origin: Header
}
function addNet(rows: Map<string, Net>, text: string, weight: number, origin: Header): void {
  const net = rows.get(text)
  if (net === undefined) rows.set(text, { weight, origin })
  else {
    net.weight += weight
    net.origin = origin
  }
}
const weightOf = (batch: Batch, row: number): number => (batch.weights === null ? 1 : batch.weights[row]!)

function upsertSink(view: ViewPlan): Sink {
  const write = rowWriter(view.plan.columns)
  const key = keyWriter(view.plan.columns, view.key ?? [])
  return {
    records(deltas, facts) {
      const keys = new Map<string, { bytes: Buffer; rows: Map<string, Net> }>()
      for (const batch of deltas)
        for (let row = 0; row < batch.count; row++) {
          const bytes = key(batch, row)
          const name = bytes.toString('latin1')
          let one = keys.get(name)
          if (one === undefined) keys.set(name, (one = { bytes, rows: new Map() }))
          addNet(one.rows, write(batch, row), weightOf(batch, row), originOf(batch.rows, row, facts))
        }
      const out: RecordInput[] = []
      for (const { bytes, rows } of keys.values()) {
        const [value, net] =
          [...rows].findLast(([, n]) => n.weight > 0) ?? [...rows].find(([, n]) => n.weight < 0) ?? []
        if (value === undefined || net === undefined) continue
        out.push({
          key: bytes,
          value: net.weight > 0 ? Buffer.from(value) : null,
          headers: [net.origin],
          timeMs: facts.nowMs,
        })
      }
      return out
    },
  }
}

function weightedSink(view: ViewPlan): Sink {
  const write = rowWriter(view.plan.columns)
  return {
    records(deltas, facts) {
      const rows = new Map<string, Net>()
      for (const batch of deltas)
        for (let row = 0; row < batch.count; row++)
          addNet(rows, write(batch, row), weightOf(batch, row), originOf(batch.rows, row, facts))
      const out: RecordInput[] = []
      for (const [text, { weight, origin }] of rows) {
        if (weight === 0) continue
        const sign = weight > 0 ? '+' : ''
        out.push({
          key: createHash('sha256').update(text).digest().subarray(0, 16),
          value: Buffer.from(text),
          headers: [[weightHeader, Buffer.from(sign + String(weight))], origin],
          timeMs: facts.nowMs,
        })
      }
      return out
    },
  }
}
