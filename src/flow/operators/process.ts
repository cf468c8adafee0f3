/**
 * User code in TypeScript: one call per event in the order of arrival, with the state of the event's key, emitting rows.
 * The input is append-only, so is the output.
 *
 * The state is kept as JSON text: what the function was given may be changed by it in any way, also before it throws,
 * without touching what is saved.
 */
import type { Columns } from '../../schema/types.ts'
import { type Batch, type RowFailure, emptyBatch, valueAt, withoutRows } from '../batch.ts'
import { fromJs, rowObject, toJson } from '../json-value.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import type { Operator } from '../operator.ts'
import type { Plan, Row } from '../plan.ts'
import { Output } from '../row-store.ts'
import type { StateTable } from '../state.ts'
import { Fault } from '../../lib/fault.ts'

type ProcessPlan = Plan & { op: 'process' }

export function process(plan: ProcessPlan, input: Columns): Operator {
  const encode = keyEncoder(plan.key.map((k) => ({ column: k, type: input[k]!.type })))
  const readers = plan.columns.map((c) => fromJs(c.type))
  const writer = new KeyWriter()
  return {
    kind: 'process',
    tables: [{ name: 'state', numbers: 0, values: 1 }],
    rebuild() {},
    waits: () => false,
    step([table], [batch = emptyBatch]) {
      const out = new Output(plan.columns)
      const failures: RowFailure[] = []
      for (let row = 0; row < batch.count; row++) {
        try {
          call(table!, batch, row, out)
        } catch (error) {
          failures.push({ row, fault: userFault(error) })
        }
      }
      return out.done(null, withoutRows(batch, failures).failed)
    },
  }
  function call(table: StateTable, batch: Batch, row: number, out: Output): void {
    writer.length = 0
    encode(writer, batch, row)
    const id = table.find(writer)
    const text = id < 0 ? null : (table.values[id] as string)
    const rows: Row[] = []
    const state = plan.fn(
      rowObject(batch, row, input),
      text === null ? undefined : JSON.parse(text),
      (emitted) => void rows.push(emitted),
      {
        timeMs: Math.floor(batch.rows.time[row]! / 1000),
        watermarkMs: batch.rows.watermark[row]!,
        key: plan.key.map((k) => toJson(valueAt(batch.columns[k]!, row, input[k]!.type), input[k]!.type)),
      },
    )
    if (state instanceof Promise)
      throw new Fault('flow.unsupported', { what: 'a process function must not be asynchronous' })
    // All that can fail comes before the first change: an event that fails changes nothing.
    const after = state === undefined || state === null ? null : (JSON.stringify(state) ?? null)
    const values = rows.map((emitted) => plan.columns.map((c, i) => readers[i]!(emitted[c.name])))
    keep(table, id, text, after)
    for (const one of values) {
      for (let c = 0; c < one.length; c++) out.builders[c]!.push(one[c]!)
      out.endFrom(1, batch.rows, row)
    }
  }
  function keep(table: StateTable, id: number, before: string | null, after: string | null): void {
    if (after === before) return
    if (after === null) return table.remove(id)
    const at = id < 0 ? table.add(writer) : id
    if (id >= 0) table.touch(id)
    table.values[at] = after
  }
}
/** Whatever user code throws is the event's failure. */
const userFault = (error: unknown): Fault =>
  error instanceof Fault
    ? error
    : new Fault('flow.function-failed', { what: error instanceof Error ? error.message : String(error) }, error)
