/**
 * Columnar micro-batches of a Z-set: rows that arrive (+1) or are withdrawn (−1), stored column by column. Batches and
 * columns are never changed once built; operators share columns between batches, and gather shares the bytes of texts.
 *
 * Storage by type (`storageOf`):
 * - `f64`: booleans (0, 1), smallint, int, real, double, date (days), time, timestamp, timestamptz (µs); bigint and
 *   numerics of a fixed scale (as scaled integers) while every value is below 2^53 in magnitude;
 * - `i64`: bigint and fixed-scale numerics once a value is not, while all fit 64 bits;
 * - `bytes`: text, varchar, uuid and JSON as UTF-8, bytea as it is: slices of one arena;
 * - `value`: everything else, and numerics beyond 64 bits.
 */
import type { Fault } from '../lib/fault.ts'
import type { DataType } from '../schema/types.ts'
import type { Value } from './expression.ts'
import { lentBytes, lentDoubles, lentInts } from './lent-arrays.ts'
import { canonical } from './memory.ts'

export interface NumberColumn {
  readonly kind: 'f64'
  readonly data: Float64Array
  /** 0 where the row is NULL; null = no row is. */
  readonly valid: Uint8Array | null
}
export interface WideColumn {
  readonly kind: 'i64'
  readonly data: BigInt64Array
  readonly valid: Uint8Array | null
}
export interface BytesColumn {
  readonly kind: 'bytes'
  readonly arena: Buffer
  readonly from: Int32Array
  readonly to: Int32Array
  readonly valid: Uint8Array | null
}
export interface ValueColumn {
  readonly kind: 'value'
  readonly data: readonly Value[]
  readonly valid: Uint8Array | null
}
/** Arrays may be longer than the batch's count of rows. */
export type Column = NumberColumn | WideColumn | BytesColumn | ValueColumn

/** What is hidden beside the columns: where each row came from, and the time that stood there. */
export interface Provenance {
  /** `sourcePartition(source, partition)` of the record the row is from; −1: from the clock alone (a closed window). */
  readonly source: Int32Array
  /** Its offset. Source and offset together are the ordinal that breaks ties. */
  readonly offset: Float64Array
  /** Its event time, µs. */
  readonly time: Float64Array
  /** The watermark (ms) that stood before it at its source partition; of several rows the largest. */
  readonly watermark: Float64Array
  /** Where a row is from more than its one record. */
  readonly origins: Origins | null
}
/** For row i the ranges `at[i]` to `at[i + 1]`, each three numbers: source partition, first and last offset. */
export interface Origins {
  readonly at: Int32Array
  readonly ranges: Float64Array
  /** The row also stands on what the state of its key held before. */
  readonly state: boolean
}
const partitionsPerSource = 65_536
/** One number for a partition of the query's n-th source; the same after a restart. */
export const sourcePartition = (source: number, partition: number): number => source * partitionsPerSource + partition
export const sourceOf = (id: number): number => Math.floor(id / partitionsPerSource)
export const partitionOf = (id: number): number => id % partitionsPerSource

export interface Batch {
  readonly count: number
  readonly columns: readonly Column[]
  /** null: every row arrives once. Never 0. */
  readonly weights: Float64Array | null
  readonly rows: Provenance
  /** Rows that the operator did not take because they were late: handed along to be counted and routed. */
  readonly late: LateRows | null
  /** Rows that could not be computed: handed along to go by the view's `onError`. */
  readonly failed: FailedRows | null
}
export interface FailedRows {
  /** The operator's input rows. */
  readonly batch: Batch
  /** Why, for each of them. */
  readonly faults: readonly Fault[]
}
export interface LateRows {
  readonly rows: Provenance
  readonly count: number
  /** How many of them found their window closed only because their partition had been left out as idle. */
  readonly afterIdle: number
}

const noProvenance: Provenance = {
  source: new Int32Array(0),
  offset: new Float64Array(0),
  time: new Float64Array(0),
  watermark: new Float64Array(0),
  origins: null,
}
export const emptyBatch: Batch = { count: 0, columns: [], weights: null, rows: noProvenance, late: null, failed: null }

export const isNull = (column: Column, row: number): boolean => column.valid !== null && column.valid[row] === 0

/** A value in memory form (`memory.ts`), NULL as null. */
export function valueAt(column: Column, row: number, type: DataType): Value {
  if (column.valid !== null && column.valid[row] === 0) return null
  switch (column.kind) {
    case 'f64': {
      const number = column.data[row]!
      return type.kind === 'boolean' ? number !== 0 : number
    }
    case 'i64':
      return canonical(column.data[row]!)
    case 'bytes':
      return type.kind === 'bytea'
        ? column.arena.subarray(column.from[row]!, column.to[row]!)
        : column.arena.toString('utf8', column.from[row]!, column.to[row]!)
    case 'value':
      return column.data[row]!
  }
}

/** Rows as arrays of values in memory form. For tests and slow paths. */
export function rowsOf(batch: Batch, types: readonly DataType[]): { weight: number; values: Value[] }[] {
  const out: { weight: number; values: Value[] }[] = []
  for (let row = 0; row < batch.count; row++)
    out.push({
      weight: batch.weights === null ? 1 : batch.weights[row]!,
      values: batch.columns.map((column, c) => valueAt(column, row, types[c]!)),
    })
  return out
}

/** null too where none of the rows is NULL: what comes behind needs not look. */
function gatherValid(valid: Uint8Array | null, rows: Int32Array, count: number): Uint8Array | null {
  if (valid === null) return null
  let first = 0
  while (first < count && valid[rows[first]!] === 1) first++
  if (first === count) return null
  const out = lentBytes(count).fill(1, 0, first)
  for (let i = first; i < count; i++) out[i] = valid[rows[i]!]!
  return out
}
const gatherNumbers = (data: Float64Array, rows: Int32Array, count: number): Float64Array => {
  const out = lentDoubles(count)
  for (let i = 0; i < count; i++) out[i] = data[rows[i]!]!
  return out
}
const gatherInts = (data: Int32Array, rows: Int32Array, count: number): Int32Array => {
  const out = lentInts(count)
  for (let i = 0; i < count; i++) out[i] = data[rows[i]!]!
  return out
}
/** The column with the rows named, in that order. */
export function gatherColumn(column: Column, rows: Int32Array, count: number): Column {
  const valid = gatherValid(column.valid, rows, count)
  switch (column.kind) {
    case 'f64':
      return { kind: 'f64', data: gatherNumbers(column.data, rows, count), valid }
    case 'i64': {
      const data = new BigInt64Array(count)
      for (let i = 0; i < count; i++) data[i] = column.data[rows[i]!]!
      return { kind: 'i64', data, valid }
    }
    case 'bytes':
      return {
        kind: 'bytes',
        arena: column.arena,
        from: gatherInts(column.from, rows, count),
        to: gatherInts(column.to, rows, count),
        valid,
      }
    case 'value': {
      const data: Value[] = []
      for (let i = 0; i < count; i++) data.push(column.data[rows[i]!]!)
      return { kind: 'value', data, valid }
    }
  }
}
function gatherOrigins(origins: Origins | null, rows: Int32Array, count: number): Origins | null {
  if (origins === null) return null
  const at = new Int32Array(count + 1)
  let total = 0
  for (let i = 0; i < count; i++) {
    total += origins.at[rows[i]! + 1]! - origins.at[rows[i]!]!
    at[i + 1] = total
  }
  const ranges = new Float64Array(total * 3)
  for (let i = 0; i < count; i++)
    ranges.set(origins.ranges.subarray(origins.at[rows[i]!]! * 3, origins.at[rows[i]! + 1]! * 3), at[i]! * 3)
  return { at, ranges, state: origins.state }
}
export function gatherProvenance(from: Provenance, rows: Int32Array, count: number): Provenance {
  return {
    source: gatherInts(from.source, rows, count),
    offset: gatherNumbers(from.offset, rows, count),
    time: gatherNumbers(from.time, rows, count),
    watermark: gatherNumbers(from.watermark, rows, count),
    origins: gatherOrigins(from.origins, rows, count),
  }
}
/** The rows named, in that order. */
export function gatherBatch(batch: Batch, rows: Int32Array, count: number): Batch {
  return {
    count,
    columns: batch.columns.map((column) => gatherColumn(column, rows, count)),
    weights: batch.weights === null ? null : gatherNumbers(batch.weights, rows, count),
    rows: gatherProvenance(batch.rows, rows, count),
    late: null,
    failed: null,
  }
}
/** So many rows from one on. */
export const rowsFrom = (batch: Batch, from: number, count: number): Batch =>
  gatherBatch(
    batch,
    Int32Array.from({ length: count }, (_, i) => from + i),
    count,
  )

/** Collects provenance row by row. */
export class ProvenanceBuilder {
  count = 0
  private source: Int32Array<ArrayBuffer>
  private offset: Float64Array<ArrayBuffer>
  private time: Float64Array<ArrayBuffer>
  private watermark: Float64Array<ArrayBuffer>
  private at: number[] | null = null
  private ranges: number[] = []
  private state = false

  constructor(capacity = 64) {
    this.source = lentInts(capacity)
    this.offset = lentDoubles(capacity)
    this.time = lentDoubles(capacity)
    this.watermark = lentDoubles(capacity)
  }

  push(source: number, offset: number, time: number, watermark: number): void {
    if (this.count === this.source.length) this.grow()
    const i = this.count++
    this.source[i] = source
    this.offset[i] = offset
    this.time[i] = time
    this.watermark[i] = watermark
    if (this.at !== null) {
      this.at.push(this.ranges.length / 3)
    }
  }
  pushFrom(from: Provenance, row: number): void {
    this.push(from.source[row]!, from.offset[row]!, from.time[row]!, from.watermark[row]!)
    if (from.origins !== null)
      this.origins(
        from.origins.ranges.subarray(from.origins.at[row]! * 3, from.origins.at[row + 1]! * 3),
        from.origins.state,
      )
  }
  /** Gives the row just pushed its ranges (triples). */
  origins(ranges: ArrayLike<number>, state: boolean): void {
    if (this.at === null) {
      // Rows before this one had only their own record.
      this.at = []
      for (let i = 0; i < this.count - 1; i++) {
        this.at.push(this.ranges.length / 3)
        if (this.source[i]! >= 0) this.ranges.push(this.source[i]!, this.offset[i]!, this.offset[i]!)
      }
      this.at.push(this.ranges.length / 3)
    }
    for (let i = 0; i < ranges.length; i++) this.ranges.push(ranges[i]!)
    if (state) this.state = true
  }
  private grow(): void {
    const size = this.source.length * 2
    const source = lentInts(size)
    source.set(this.source)
    this.source = source
    this.offset = grown(this.offset, size)
    this.time = grown(this.time, size)
    this.watermark = grown(this.watermark, size)
  }
  done(): Provenance {
    let origins: Origins | null = null
    if (this.at !== null) {
      const at = new Int32Array(this.count + 1)
      at.set(this.at)
      at[this.count] = this.ranges.length / 3
      origins = { at, ranges: Float64Array.from(this.ranges), state: this.state }
    }
    return { source: this.source, offset: this.offset, time: this.time, watermark: this.watermark, origins }
  }
}
function grown(array: Float64Array, size: number): Float64Array<ArrayBuffer> {
  const bigger = lentDoubles(size)
  bigger.set(array)
  return bigger
}

/** A batch without some of its rows, and those rows. */
export function withoutRows(
  batch: Batch,
  failures: readonly RowFailure[],
): { batch: Batch; failed: FailedRows | null } {
  if (failures.length === 0) return { batch, failed: null }
  const bad = new Set(failures.map((f) => f.row))
  const kept = new Int32Array(batch.count - bad.size)
  for (let row = 0, at = 0; row < batch.count; row++) if (!bad.has(row)) kept[at++] = row
  const rows = Int32Array.from(failures, (f) => f.row)
  return {
    batch: gatherBatch(batch, kept, kept.length),
    failed: { batch: gatherBatch(batch, rows, rows.length), faults: failures.map((f) => f.fault) },
  }
}
/** A row for which an expression has no value: division by zero, overflow … */
export interface RowFailure {
  readonly row: number
  readonly fault: Fault
}
