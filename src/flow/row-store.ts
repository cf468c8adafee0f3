/** Whole rows in state: which fields of a table's row hold which columns, and how they come back as batches. */
import type { Columns, DataType } from '../schema/types.ts'
import { type Batch, type Column, type Provenance, ProvenanceBuilder, isNull, valueAt } from './batch.ts'
import { type ColumnBuilder, columnBuilder } from './columns.ts'
import type { KeyWriter } from './key.ts'
import { storageOf } from './memory.ts'
import type { StateTable } from './state.ts'

/**
 * A column whose values are always numbers lies in `numbers` (NaN with a payload would not survive: NULL is a flag in a
 * bit field of its own), everything else in `values`.
 */
export interface RowLayout {
  readonly numbers: number
  readonly values: number
  write(table: StateTable, id: number, batch: { readonly columns: readonly Column[] }, row: number): void
  /** Appends the row's columns to builders. */
  read(table: StateTable, id: number, builders: readonly ColumnBuilder[]): void
  /** True where the row in state equals the batch's row, bit for bit. */
  equals(table: StateTable, id: number, batch: { readonly columns: readonly Column[] }, row: number): boolean
}
/** bigint and numerics may leave the numbers: they are values. */
const isNumber = (type: DataType): boolean =>
  storageOf(type) === 'f64' && type.kind !== 'bigint' && type.kind !== 'numeric'
const bitsPerField = 32

/** Fields from `numbersAt` and `valuesAt` on; what comes before belongs to the operator. */
export function rowLayout(columns: Columns, numbersAt = 0, valuesAt = 0): RowLayout {
  const types = columns.map((c) => c.type)
  const numeric = types.flatMap((type, c) => (isNumber(type) ? [c] : []))
  const others = types.flatMap((type, c) => (isNumber(type) ? [] : [c]))
  const flags = Math.ceil(numeric.length / bitsPerField)
  const place = types.map((_, c) => {
    const n = numeric.indexOf(c)
    return n < 0 ? valuesAt + others.indexOf(c) : numbersAt + flags + n
  })
  const numbers = numbersAt + flags + numeric.length
  const values = valuesAt + others.length

  const write: RowLayout['write'] = (table, id, batch, row) => {
    const base = id * table.spec.numbers
    for (let f = 0; f < flags; f++) table.numbers[base + numbersAt + f] = 0
    for (let n = 0; n < numeric.length; n++) {
      const column = batch.columns[numeric[n]!]!
      if (isNull(column, row)) table.numbers[base + numbersAt + (n >> 5)]! += 2 ** (n & 31)
      table.numbers[base + place[numeric[n]!]!] = isNull(column, row) || column.kind !== 'f64' ? 0 : column.data[row]!
    }
    for (const c of others) {
      let value = valueAt(batch.columns[c]!, row, types[c]!)
      // State outlives the batch: no views of its bytes.
      if (value instanceof Uint8Array) value = Buffer.from(value)
      table.values[id * table.spec.values + place[c]!] = value
    }
  }
  const isNullIn = (table: StateTable, id: number, n: number): boolean =>
    Math.floor(table.numbers[id * table.spec.numbers + numbersAt + (n >> 5)]! / 2 ** (n & 31)) % 2 === 1
  const read: RowLayout['read'] = (table, id, builders) => {
    for (let n = 0; n < numeric.length; n++) {
      const c = numeric[n]!
      if (isNullIn(table, id, n)) builders[c]!.pushNull()
      else if (types[c]!.kind === 'boolean') builders[c]!.push(table.numbers[id * table.spec.numbers + place[c]!] !== 0)
      else builders[c]!.push(table.numbers[id * table.spec.numbers + place[c]!]!)
    }
    for (const c of others) builders[c]!.push(table.values[id * table.spec.values + place[c]!]!)
  }
  const equals: RowLayout['equals'] = (table, id, batch, row) => {
    for (let n = 0; n < numeric.length; n++) {
      const column = batch.columns[numeric[n]!]!
      if (isNullIn(table, id, n) !== isNull(column, row)) return false
      if (isNull(column, row) || column.kind !== 'f64') continue
      if (!Object.is(table.numbers[id * table.spec.numbers + place[numeric[n]!]!], column.data[row])) return false
    }
    return others.every((c) =>
      sameValue(table.values[id * table.spec.values + place[c]!]!, valueAt(batch.columns[c]!, row, types[c]!)),
    )
  }
  return { numbers, values, write, read, equals }
}
/** The same value, digit for digit: 1.0 and 1.00 differ. */
export function sameValue(a: unknown, b: unknown): boolean {
  if (Object.is(a, b)) return true
  if (typeof a !== 'object' || typeof b !== 'object' || a === null || b === null) return false
  if (a instanceof Uint8Array || b instanceof Uint8Array)
    return a instanceof Uint8Array && b instanceof Uint8Array && Buffer.compare(a, b) === 0
  const x = Object.entries(a)
  const y = new Map(Object.entries(b))
  return x.length === y.size && x.every(([name, value]) => y.has(name) && sameValue(value, y.get(name)))
}

/** Collects an operator's output rows. */
export class Output {
  readonly builders: readonly ColumnBuilder[]
  readonly rows = new ProvenanceBuilder()
  private readonly weights: number[] = []
  private weighted = false

  constructor(columns: Columns) {
    this.builders = columns.map((c) => columnBuilder(c.type))
  }
  get count(): number {
    return this.rows.count
  }
  /** After the columns of a row: its weight and where it comes from. */
  end(weight: number, source: number, offset: number, time: number, watermark: number): void {
    this.rows.push(source, offset, time, watermark)
    this.weights.push(weight)
    if (weight !== 1) this.weighted = true
  }
  endFrom(weight: number, from: Provenance, row: number): void {
    this.rows.pushFrom(from, row)
    this.weights.push(weight)
    if (weight !== 1) this.weighted = true
  }
  done(late: Batch['late'] = null, failed: Batch['failed'] = null): Batch {
    return {
      count: this.rows.count,
      columns: this.builders.map((b) => b.done()),
      weights: this.weighted ? Float64Array.from(this.weights) : null,
      rows: this.rows.done(),
      late,
      failed,
    }
  }
}

/** Collects rows that came too late. */
export class LateCollector {
  private rows: ProvenanceBuilder | null = null
  private idle = 0

  add(from: Provenance, row: number, afterIdle: boolean): void {
    this.rows ??= new ProvenanceBuilder()
    this.rows.pushFrom(from, row)
    if (afterIdle) this.idle++
  }
  done(): Batch['late'] {
    return this.rows === null ? null : { rows: this.rows.done(), count: this.rows.count, afterIdle: this.idle }
  }
}

/** Ends a key that is not in the table yet with a row's ordinal; several rows of one record are counted behind it. */
export function writeOrdinal(table: StateTable, writer: KeyWriter, rows: Provenance, row: number): void {
  writer.double(rows.source[row]!)
  writer.double(rows.offset[row]!)
  const { length } = writer
  for (let copy = 0; table.find(writer) >= 0; copy++) {
    writer.length = length
    writer.double(copy)
  }
}

/** By time, then ordinal (a table's first three number fields), then by key, for rows of one record. */
export function compareOrdinals(table: StateTable, a: number, b: number): number {
  const x = a * table.spec.numbers
  const y = b * table.spec.numbers
  for (let f = 0; f < 3; f++) {
    const [left, right] = [table.numbers[x + f]!, table.numbers[y + f]!]
    if (left !== right) return left < right ? -1 : 1
  }
  return table.compareKeys(a, b)
}
