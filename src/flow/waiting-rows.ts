/**
 * Rows that an operator keeps until event time has passed them, and takes out again in the order of (event time, ordinal):
 * whatever order they came in. The table's row key is (the operator's key, time, ordinal); the derived order is rebuilt
 * from the table alone.
 */
import type { Columns } from '../schema/types.ts'
import type { Batch } from './batch.ts'
import type { ColumnBuilder } from './columns.ts'
import { KeyWriter } from './key.ts'
import type { StepTime } from './operator.ts'
import {
  type LateCollector,
  type Output,
  type RowLayout,
  compareOrdinals,
  rowLayout,
  writeOrdinal,
} from './row-store.ts'
import { SortedIds } from './sorted.ts'
import type { StateTable, TableSpec } from './state.ts'

// Fields of a row: time (µs), ordinal, the watermark that stood before it; then the operator's own.
const timeAt = 0
const sourceAt = 1
const offsetAt = 2
const watermarkAt = 3
/** Where an operator's own fields begin. */
export const ownAt = 4

export interface WaitingRowsOptions {
  readonly columns: Columns
  /** The column of event time. */
  readonly time: number
  readonly encodeKey: (out: KeyWriter, keys: Batch, row: number) => void
  /** Number fields beside those above. */
  readonly own?: number
}
export class WaitingRows {
  readonly spec: TableSpec
  private readonly time: number
  private readonly encodeKey: WaitingRowsOptions['encodeKey']
  private readonly layout: RowLayout
  private readonly writer = new KeyWriter()
  private order!: SortedIds

  constructor({ columns, time, encodeKey, own = 0 }: WaitingRowsOptions) {
    this.time = time
    this.encodeKey = encodeKey
    this.layout = rowLayout(columns, ownAt + own)
    this.spec = { name: 'waiting', ...this.layout.fields }
  }
  rebuild(table: StateTable): void {
    this.order = new SortedIds((a, b) => compareOrdinals(table, a, b))
    for (const id of table.all()) this.order.add(id)
  }
  get count(): number {
    return this.order.count
  }
  /** Keeps the rows that are not late. `keys`: where the key's columns lie, row by row; `kept` is told of each. */
  take(
    table: StateTable,
    { batch, keys, time, late }: { batch: Batch; keys: Batch; time: StepTime; late: LateCollector },
    kept: (id: number, row: number) => void = () => {},
  ): void {
    const times = batch.columns[this.time]
    for (let row = 0; row < batch.count; row++) {
      const valid = times!.valid === null || times!.valid[row] === 1
      const micros = valid && times!.kind === 'f64' ? times!.data[row]! : NaN
      const ms = Math.floor(micros / 1000)
      if (!valid || ms <= batch.rows.watermark[row]!) late.add(batch.rows, row, false)
      else if (ms <= time.before) late.add(batch.rows, row, true)
      else kept(this.keep(table, batch, keys, row, micros), row)
    }
  }
  private keep(table: StateTable, batch: Batch, keys: Batch, row: number, micros: number): number {
    const { rows } = batch
    const { writer } = this
    writer.length = 0
    this.encodeKey(writer, keys, row)
    const stateKey = writer.length
    writer.double(micros)
    writeOrdinal(table, writer, rows, row)
    const id = table.add(writer, stateKey)
    const at = id * table.spec.numbers
    table.numbers[at + timeAt] = micros
    table.numbers[at + sourceAt] = rows.source[row]!
    table.numbers[at + offsetAt] = rows.offset[row]!
    table.numbers[at + watermarkAt] = rows.watermark[row]!
    this.layout.write(table, id, batch, row)
    this.order.add(id)
    return id
  }
  /** Rows up to this event time, in order. They wait no more; the caller removes them from the table. */
  due(table: StateTable, upToMs: number): number[] {
    const due: number[] = []
    for (let id = this.order.first(); id !== undefined; id = this.order.first()) {
      if (Math.floor(this.micros(table, id) / 1000) > upToMs) break
      this.order.shift()
      due.push(id)
    }
    return due
  }
  micros(table: StateTable, id: number): number {
    return table.numbers[id * table.spec.numbers + timeAt]!
  }
  ordinal(table: StateTable, id: number): { readonly source: number; readonly offset: number } {
    const at = id * table.spec.numbers
    return { source: table.numbers[at + sourceAt]!, offset: table.numbers[at + offsetAt]! }
  }
  /** Appends the row's columns to builders. */
  read(table: StateTable, id: number, builders: readonly ColumnBuilder[]): void {
    this.layout.read(table, id, builders)
  }
  /** Ends a row of output that comes from this one. */
  end(table: StateTable, id: number, out: Output): void {
    const at = id * table.spec.numbers
    const { numbers } = table
    out.end(1, numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!, numbers[at + watermarkAt]!)
  }
}
