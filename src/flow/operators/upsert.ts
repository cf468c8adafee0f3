/**
 * The newest row per key of a keyed topic, as a Z-set: a record withdraws the row that its key had and adds the new one;
 * a null value only withdraws.
 *
 * Newest is the higher offset within a partition. Where a key arrives in two partitions the order is (record time,
 * partition, offset); such keys are counted.
 */
import type { Columns } from '../../schema/types.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import type { Operator } from '../operator.ts'
import { Output, rowLayout } from '../row-store.ts'
import type { StateTable } from '../state.ts'

const sourceAt = 0
const offsetAt = 1
const timeAt = 2

/** `deleted`: position of a hidden boolean column behind the source's columns: the record's value was null. */
export function upsert(columns: Columns, key: readonly number[], deleted: number): Operator {
  const layout = rowLayout(columns, 3, 0)
  const encode = keyEncoder(key.map((k) => ({ column: k, type: columns[k]!.type })))
  const writer = new KeyWriter()
  return {
    kind: 'upsert',
    tables: [{ name: 'rows', ...layout.fields }],
    rebuild() {},
    waits: () => false,
    content([table]) {
      const out = new Output(columns)
      for (const id of table!.all()) {
        layout.read(table!, id, out.builders)
        const at = id * table!.spec.numbers
        const { numbers } = table!
        out.end(1, numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!, -Infinity)
      }
      return out.done()
    },
    step([table], [batch = emptyBatch]) {
      const out = new Output(columns)
      for (let row = 0; row < batch.count; row++) {
        writer.length = 0
        encode(writer, batch, row)
        if (isNewest(table!, batch, row)) emit(table!, batch, row, out)
      }
      return out.done()
    },
  }
  /** False where the state holds something newer from another partition. */
  function isNewest(table: StateTable, batch: Batch, row: number): boolean {
    const id = table.find(writer)
    if (id < 0) return true
    const at = id * table.spec.numbers
    const source = table.numbers[at + sourceAt]!
    if (source === batch.rows.source[row]) return true
    const time = table.numbers[at + timeAt]!
    if (time !== batch.rows.time[row]) return time < batch.rows.time[row]!
    return source < batch.rows.source[row]!
  }
  function emit(table: StateTable, batch: Batch, row: number, out: Output): void {
    let id = table.find(writer)
    const gone = isDeleted(batch, row)
    if (id >= 0) {
      if (!gone && layout.equals(table, id, batch, row)) {
        table.touch(id)
        return stamp(table, id, batch, row)
      }
      layout.read(table, id, out.builders)
      out.endFrom(-1, batch.rows, row)
    }
    if (gone) {
      if (id >= 0) table.remove(id)
      return
    }
    if (id >= 0) table.touch(id)
    else id = table.add(writer)
    layout.write(table, id, batch, row)
    stamp(table, id, batch, row)
    for (let c = 0; c < columns.length; c++) out.builders[c]!.pushFrom(batch.columns[c]!, row)
    out.endFrom(1, batch.rows, row)
  }
  function stamp(table: StateTable, id: number, batch: Batch, row: number): void {
    const at = id * table.spec.numbers
    table.numbers[at + sourceAt] = batch.rows.source[row]!
    table.numbers[at + offsetAt] = batch.rows.offset[row]!
    table.numbers[at + timeAt] = batch.rows.time[row]!
  }
  function isDeleted(batch: Batch, row: number): boolean {
    const column = batch.columns[deleted]!
    return column.kind === 'f64' && column.data[row] === 1
  }
}
