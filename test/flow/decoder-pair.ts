/** A generated decoder beside the complete parser, over the same records. */
import assert from 'node:assert/strict'
import { rowsOf } from '../../src/flow/batch.ts'
import { SourceClock, clockTable } from '../../src/flow/clock.ts'
import { type Decoded, type Decoder, type DecoderOptions, createDecoder } from '../../src/flow/decode.ts'
import type { SourcePlan } from '../../src/flow/plan.ts'
import { StateTable } from '../../src/flow/state.ts'
import { type LogRecord, encodeBatch, rawRecords } from '../../src/log/batch.ts'
import type { RawRecords } from '../../src/log/raw-records.ts'
import { placeBatch } from '../../src/store/batch-header.ts'
import { t } from './plans.ts'

const clockOf = (): SourceClock => {
  const clock = new SourceClock(0, { delayMs: 5, idleMs: 1e9, maxFutureMs: 1e13 }, new StateTable(clockTable))
  clock.open([{ partition: 0, unread: true }], 0)
  return clock
}
/** All that a decoded batch says. */
function shown({ batch, invalid }: Decoded, plan: SourcePlan, clock: SourceClock): unknown {
  const types = [...plan.columns.map((c) => c.type), t.boolean]
  const { source: from, offset, time, watermark } = batch.rows
  return {
    rows: rowsOf(batch, types).map(({ weight, values }, row) => [
      ...[weight, from[row], offset[row], time[row], watermark[row]],
      ...values.map((v) => (Object.is(v, -0) ? '-0' : Buffer.isBuffer(v) ? v.toString('hex') : v)),
    ]),
    invalid: invalid.map(({ partition, record, fault }) => [partition, record.offset, fault.code, fault.message]),
    watermark: [clock.watermark(), clock.future],
  }
}
/** Two decoders over the same records, and what they make of them. */
export class Pair {
  readonly plan: SourcePlan
  readonly fast: Decoder
  private readonly complete: Decoder
  private readonly clocks = [clockOf(), clockOf()] as const

  constructor(plan: SourcePlan, options: DecoderOptions = {}) {
    this.plan = plan
    this.fast = createDecoder(plan, 3, options)
    this.complete = createDecoder(plan, 3, { ...options, generate: false })
  }
  check(pieces: readonly RawRecords[], what: string): void {
    const input = pieces.map((records, i) => ({ partition: i % 2, records }))
    const [one, other] = this.clocks
    const found = shown(this.fast.decode(input, one, 7), this.plan, one)
    assert.deepEqual(found, shown(this.complete.decode(input, other, 7), this.plan, other), what)
  }
}

/** Records cut into batches, the batches into pieces; some of the batches lie in one memory. */
export function pieces(records: readonly LogRecord[], next: () => number): RawRecords[] {
  const list: RawRecords[] = []
  for (let at = 0; at < records.length;) {
    const batches: Buffer[] = []
    for (let b = 0; b < 1 + next() * 3 && at < records.length; b++) {
      const some = records.slice(at, at + 1 + Math.floor(next() * 60))
      const batch = Buffer.from(encodeBatch(some))
      placeBatch(batch, at, 0)
      batches.push(batch)
      at += some.length
    }
    const joined = Buffer.concat(batches)
    let from = 0
    const views = batches.map(({ length }) => joined.subarray(from, (from += length)))
    const found = rawRecords(next() < 0.5 ? views : batches)
    const middle = found.from + Math.floor(next() * found.count)
    list.push(found.slice(found.from, middle), found.slice(middle, found.to))
  }
  return list
}
