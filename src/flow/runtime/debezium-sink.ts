/**
 * A view's changes as change events of Debezium: `before`, `after`, `op` and `ts_ms`. By a key what a tick does to it is one
 * event, c, u or d, and behind a d a null value, so that compaction may forget the key; without a key each row that comes is
 * a c and each that goes a d.
 */
import type { RecordInput } from '../../log/batch.ts'
import { keyWriter } from '../encode-key.ts'
import { Slab, rowBytes } from '../json-bytes.ts'
import { outputMode } from '../output-mode.ts'
import type { ViewPlan } from '../plan.ts'
import { type Change, Origins, type Sink, byKey, changesOf, net, rowText } from './sink.ts'

export function debeziumSink(view: ViewPlan): Sink {
  const { columns } = view.plan
  const write = rowBytes(columns)
  const isKeyed = outputMode(view) === 'upsert'
  const recordKey = isKeyed ? view.key : (view.recordKey ?? view.key)
  const key = recordKey === null ? null : keyWriter(columns, recordKey)
  return {
    records(deltas, facts) {
      const slab = new Slab()
      const origins = new Origins(facts, slab)
      const text = rowText(write, slab)
      const out: RecordInput[] = []
      const event = (before: Change | null, after: Change | null): void => {
        const of = after ?? before!
        slab.ascii('{"before":')
        if (before === null) slab.ascii('null')
        else write(before.batch, before.row, slab)
        slab.ascii(',"after":')
        if (after === null) slab.ascii('null')
        else write(after.batch, after.row, slab)
        const op = before === null ? 'c' : after === null ? 'd' : 'u'
        slab.ascii(`,"op":"${op}","ts_ms":${facts.nowMs}}`)
        const value = slab.cut()
        const headers = [origins.of(of.batch.rows, of.row)]
        const bytes = key === null ? null : key(of.batch, of.row)
        out.push({ key: bytes, value, headers, timeMs: facts.nowMs })
        if (isKeyed && after === null) out.push({ key: bytes, value: null, headers, timeMs: facts.nowMs })
      }
      if (isKeyed && key !== null)
        for (const { changes } of byKey(deltas, key)) {
          const rows = [...net(changes, text).values()]
          const before = rows.find(({ weight }) => weight < 0)?.last ?? null
          const after = rows.findLast(({ weight }) => weight > 0)?.last ?? null
          if (before !== null || after !== null) event(before, after)
        }
      else
        for (const { weight, last } of net(changesOf(deltas), text).values())
          for (let n = Math.abs(weight); n > 0; n--) event(weight < 0 ? last : null, weight > 0 ? last : null)
      return out
    },
  }
}
