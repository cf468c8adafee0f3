/**
 * The newest row per key of a keyed topic, as a Z-set: a record withdraws the row that its key had and adds the new one;
 * a null value only withdraws.
 *
 * Newest is the higher offset within a partition. Where a key arrives in two partitions the order is (record time,
 * partition, offset); such keys are counted.
 */
import type { Columns } from '../../schema/types.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import { columnBuilder } from '../columns.ts'
import { KeyIndex, longerInts } from '../key-index.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import type { Operator, State } from '../operator.ts'
import { Output, rowLayout } from '../row-store.ts'
import { evictKeys, keepAway } from '../spill.ts'
import type { StateTable } from '../state.ts'

const sourceAt = 0
const offsetAt = 1
const timeAt = 2

/** `deleted`: position of a hidden boolean column behind the source's columns: the record's value was null. */
export const upsert = (columns: Columns, key: readonly number[], deleted: number): Operator =>
  new Upsert(columns, key, deleted)

/** Rows are read back for the index so many at a time. */
const rebuiltRows = 1024

class Upsert implements Operator {
  readonly kind = 'upsert'
  readonly tables
  private readonly columns: Columns
  private readonly key: readonly number[]
  private readonly deleted: number
  private readonly layout
  private readonly encode
  private readonly writer = new KeyWriter()
  /** Keys: entry of the index → row; −1: it lies in a file. */
  private readonly index: KeyIndex
  private rowOf = new Int32Array(16)

  constructor(columns: Columns, key: readonly number[], deleted: number) {
    this.columns = columns
    this.key = key
    this.deleted = deleted
    this.layout = rowLayout(columns, 3, 0)
    this.tables = [{ name: 'rows', ...this.layout.fields, found: 'elsewhere' as const, spills: true }]
    this.encode = keyEncoder(key.map((k) => ({ column: k, type: columns[k]!.type })))
    this.index = new KeyIndex(key.map((k) => columns[k]!.type))
  }
  rebuild([table]: State): void {
    keepAway(this.index, table!)
    this.rowOf.fill(-1)
    let ids: number[] = []
    for (const id of table!.all())
      if (ids.push(id) === rebuiltRows) {
        this.indexAll(table!, ids)
        ids = []
      }
    this.indexAll(table!, ids)
    table!.settle()
  }
  private indexAll(table: StateTable, ids: readonly number[]): void {
    const builders = this.key.map((k) => columnBuilder(this.columns[k]!.type, ids.length))
    for (const id of ids) this.key.forEach((k, part) => builders[part]!.push(this.layout.value(table, id, k)))
    this.index.use(builders.map((builder) => builder.done()))
    for (let i = 0; i < ids.length; i++) this.link(this.index.add(i), ids[i]!)
  }
  private link(entry: number, id: number): void {
    if (entry >= this.rowOf.length) {
      const before = this.rowOf.length
      this.rowOf = longerInts(this.rowOf, entry + 1).fill(-1, before)
    }
    this.rowOf[entry] = id
  }
  evict([table]: State, bytes: number): void {
    evictKeys(table!, this.index, bytes, (entry) => {
      const id = this.rowOf[entry]!
      this.rowOf[entry] = -1
      return id < 0 ? [] : [id]
    })
  }
  waits(): boolean {
    return false
  }
  content([table]: State): Batch {
    const out = new Output(this.columns)
    for (const id of table!.all()) {
      this.layout.read(table!, id, out.builders)
      const at = id * table!.spec.numbers
      const { numbers } = table!
      out.end(1, numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!, -Infinity)
    }
    return out.done()
  }

  step([table]: State, [batch = emptyBatch]: readonly Batch[]): Batch {
    if (batch.count === 0) return emptyBatch
    const out = new Output(this.columns)
    this.index.use(this.key.map((k) => batch.columns[k]!))
    for (let row = 0; row < batch.count; row++) {
      const entry = this.index.find(row)
      const id = entry < 0 ? -1 : this.present(table!, entry)
      if (id < 0 || isNewest(table!, id, batch, row)) this.take(table!, { entry, id }, batch, row, out)
    }
    return out.done()
  }
  /** The key's row, from a file where it lies there; −1: it was removed after it went there. */
  private present(table: StateTable, entry: number): number {
    const { spill } = table
    if (spill?.isAway(entry) === true) for (const id of spill.take(table, entry)) this.link(entry, id)
    else spill?.use(entry)
    return this.rowOf[entry]!
  }
  private take(
    table: StateTable,
    found: { readonly entry: number; readonly id: number },
    batch: Batch,
    row: number,
    out: Output,
  ): void {
    const { layout, columns } = this
    let { id } = found
    const gone = this.isDeleted(batch, row)
    if (id >= 0) {
      if (!gone && layout.equals(table, id, batch, row)) {
        table.touch(id)
        return stamp(table, id, batch, row)
      }
      layout.read(table, id, out.builders)
      out.endFrom(-1, batch.rows, row)
    }
    if (gone) {
      if (id < 0) return
      table.remove(id)
      return this.index.remove(found.entry)
    }
    if (id >= 0) table.touch(id)
    else {
      this.writer.length = 0
      this.encode(this.writer, batch, row)
      id = table.add(this.writer)
      this.link(this.index.add(row), id)
    }
    layout.write(table, id, batch, row)
    stamp(table, id, batch, row)
    for (let c = 0; c < columns.length; c++) out.builders[c]!.pushFrom(batch.columns[c]!, row)
    out.endFrom(1, batch.rows, row)
  }
  private isDeleted(batch: Batch, row: number): boolean {
    const column = batch.columns[this.deleted]!
    return column.kind === 'f64' && column.data[row] === 1
  }
}
/** False where the state holds something newer from another partition. */
function isNewest(table: StateTable, id: number, batch: Batch, row: number): boolean {
  const at = id * table.spec.numbers
  const source = table.numbers[at + sourceAt]!
  if (source === batch.rows.source[row]) return true
  const time = table.numbers[at + timeAt]!
  if (time !== batch.rows.time[row]) return time < batch.rows.time[row]!
  return source < batch.rows.source[row]!
}
function stamp({ numbers, spec }: StateTable, id: number, { rows }: Batch, row: number): void {
  const at = id * spec.numbers
  numbers[at + sourceAt] = rows.source[row]!
  numbers[at + offsetAt] = rows.offset[row]!
  numbers[at + timeAt] = rows.time[row]!
}
