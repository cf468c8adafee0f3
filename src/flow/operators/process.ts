/**
 * User code in TypeScript: one call per event in the order of arrival, with the state of the event's key, emitting rows.
 * The input is append-only, so is the output.
 *
 * The state is kept as JSON text: what the function was given may be changed by it in any way, also before it throws,
 * without touching what is saved.
 */
import type { Columns } from '../../schema/types.ts'
import { type Batch, emptyBatch, valueAt } from '../batch.ts'
import { RowError } from '../compile.ts'
import { eventError } from '../event-error.ts'
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
      for (let row = 0; row < batch.count; row++) {
        try {
          call(table!, batch, row, out)
        } catch (error) {
          throw eventError(new RowError(row, error), batch)
        }
      }
      return out.done()
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
    keep(table, id, text, state)
    for (const emitted of rows) push(emitted, batch, row, out)
  }
  function keep(table: StateTable, id: number, before: string | null, state: unknown): void {
    const after = state === undefined || state === null ? null : JSON.stringify(state)
    if (after === before) return
    if (after === null || after === undefined) {
      if (id >= 0) table.remove(id)
      return
    }
    const at = id < 0 ? table.add(writer) : id
    if (id >= 0) table.touch(id)
    table.values[at] = after
  }
  function push(emitted: Row, batch: Batch, row: number, out: Output): void {
    const values = plan.columns.map((c, i) => readers[i]!(emitted[c.name]))
    for (let c = 0; c < values.length; c++) out.builders[c]!.push(values[c]!)
    out.endFrom(1, batch.rows, row)
  }
}
