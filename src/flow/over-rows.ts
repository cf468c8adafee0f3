/** Rows of OVER in a state table, by (partition, order, what tells equals apart), and those of a partition as a list. */
import type { Columns } from '../schema/types.ts'
import { type Batch, emptyBatch } from './batch.ts'
import { columnBuilder } from './columns.ts'
import type { Value } from './expression.ts'
import { KeyWriter, keyEncoder } from './key.ts'
import type { PartitionRows } from './over-frames.ts'
import type { PlanOf } from './plan.ts'
import { type Output, type RowLayout, rowLayout } from './row-store.ts'
import type { StateTable, TableSpec } from './state.ts'

// Fields of a row: event time (µs) and ordinal, the watermark that stood before it, the length of its key up to what tells
// equals apart, and two for the operator.
const timeAt = 0
const sourceAt = 1
const offsetAt = 2
const watermarkAt = 3
const peersAt = 4
export const ownAt = 5
const ownNumbers = 7

export class OverRows {
  readonly spec: TableSpec
  readonly writer = new KeyWriter()
  /** Of the key in `writer`: the partition, and all but what tells equals apart. */
  partitionLength = 0
  private peersLength = 0
  private readonly columns: Columns
  private readonly layout: RowLayout
  private readonly encodePartition
  private readonly encodeOrder

  constructor(plan: PlanOf<'over'>, input: Columns) {
    this.columns = input
    this.layout = rowLayout(input, ownNumbers)
    this.spec = { name: 'rows', ...this.layout.fields, runs: { whole: true } }
    this.encodePartition = keyEncoder(plan.partitionBy.map((k) => ({ column: k, type: input[k]!.type })))
    this.encodeOrder = keyEncoder(plan.order.map((o) => ({ ...o, type: input[o.column]!.type })))
  }
  /** Writes the key of a row, as far as its order goes. */
  begin(batch: Batch, row: number): void {
    this.writer.length = 0
    this.encodePartition(this.writer, batch, row)
    this.partitionLength = this.writer.length
    this.encodeOrder(this.writer, batch, row)
    this.peersLength = this.writer.length
  }
  partitionKey(): string {
    return this.writer.bytes.toString('latin1', 0, this.partitionLength)
  }
  /** The row whose key is in `writer`, which is not there yet. */
  add(table: StateTable, batch: Batch, row: number): number {
    const id = table.add(this.writer, this.partitionLength)
    table.numbers[id * table.spec.numbers + peersAt] = this.peersLength
    this.layout.write(table, id, batch, row)
    this.stamp(table, id, batch, row)
    return id
  }
  stamp(table: StateTable, id: number, { rows }: Batch, row: number): void {
    const at = id * table.spec.numbers
    const { numbers } = table
    numbers[at + timeAt] = rows.time[row]!
    numbers[at + sourceAt] = rows.source[row]!
    numbers[at + offsetAt] = rows.offset[row]!
    numbers[at + watermarkAt] = rows.watermark[row]!
  }
  value(table: StateTable, id: number, column: number): Value {
    return this.layout.value(table, id, column)
  }
  /** Equal up to what tells equals apart. */
  isPeer(table: StateTable, a: number, b: number): boolean {
    const length = table.numbers[a * table.spec.numbers + peersAt]!
    if (length !== table.numbers[b * table.spec.numbers + peersAt]) return false
    return table.keyOf(a).compare(table.keyOf(b), 0, length, 0, length) === 0
  }
  /** A row of output: the stored row, then what the calls give. */
  push(table: StateTable, id: number, values: readonly Value[], weight: number, out: Output): void {
    this.layout.read(table, id, out.builders)
    for (let i = 0; i < values.length; i++) out.builders[this.columns.length + i]!.push(values[i]!)
    const at = id * table.spec.numbers
    const { numbers } = table
    out.end(weight, numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!, numbers[at + watermarkAt]!)
  }
  /** The first `count` of these rows, which are in order. */
  list(table: StateTable, ids: readonly number[], count = ids.length): PartitionRows {
    return {
      count,
      value: (row, column) => this.layout.value(table, ids[row]!, column),
      isPeer: (a, b) => this.isPeer(table, ids[a]!, ids[b]!),
      batch: (from, to) => {
        const builders = this.columns.map(({ type }) => columnBuilder(type, to - from))
        for (let row = from; row < to; row++) this.layout.read(table, ids[row]!, builders)
        // Nobody asks what is computed from them alone where they come from.
        return { ...emptyBatch, count: to - from, columns: builders.map((builder) => builder.done()) }
      },
    }
  }
}
/** Where an id belongs in a list that the table's keys order: behind those that come before it. */
export function placeOf(table: StateTable, ids: readonly number[], id: number): number {
  let low = 0
  let high = ids.length
  // Most come last.
  if (high > 0 && table.compareKeys(ids[high - 1]!, id) < 0) return high
  while (low < high) {
    const middle = (low + high) >> 1
    if (table.compareKeys(ids[middle]!, id) < 0) low = middle + 1
    else high = middle
  }
  return low
}
