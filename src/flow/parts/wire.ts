/**
 * Batches on their way to another thread and back: everything with numbers or bytes in it lies in one buffer, which is handed
 * over and not copied; what has no such form (values, faults) goes beside it. What is written is read in the same order.
 *
 * Rows are gathered while they are written. Of texts only those of these rows go along, one that stands in several rows behind
 * each other once: a chunk of records stays where it is.
 */
import { copyBytes } from '../../lib/bytes.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { type SentFault, receiveFault, sendFault } from '../../lib/line.ts'
import type { Batch, BytesColumn, Column, FailedRows, LateRows, Origins, Provenance, ValueColumn } from '../batch.ts'

export interface Packed {
  readonly buffer: ArrayBuffer
  readonly beside: readonly unknown[]
}
const kinds = ['f64', 'i64', 'bytes', 'value'] as const
const firstBytes = 4_096
const aligned = (bytes: number): number => (bytes + 7) & ~7

export class Packer {
  private buffer: ArrayBuffer
  private numbers: Float64Array
  private at = 0
  private readonly beside: unknown[] = []

  /** `bytes`: about as many as will be written. */
  constructor(bytes = firstBytes) {
    this.buffer = new ArrayBuffer(aligned(bytes))
    this.numbers = new Float64Array(this.buffer)
  }
  done(): Packed {
    return { buffer: this.buffer, beside: this.beside }
  }
  get bytes(): number {
    return this.at
  }
  number(value: number): void {
    this.reserve(8)
    this.numbers[this.at / 8] = value
    this.at += 8
  }
  /** What is cloned. */
  put(value: unknown): void {
    this.beside.push(value)
  }
  /** To be filled before anything else is written. */
  doubles(count: number): Float64Array {
    const at = this.take(count * 8)
    return new Float64Array(this.buffer, at, count)
  }
  ints(count: number): Int32Array {
    const at = this.take(count * 4)
    return new Int32Array(this.buffer, at, count)
  }
  raw(count: number): Uint8Array {
    const at = this.take(count)
    return new Uint8Array(this.buffer, at, count)
  }
  private take(bytes: number): number {
    this.reserve(bytes)
    const { at } = this
    this.at += aligned(bytes)
    return at
  }
  private reserve(bytes: number): void {
    const needed = this.at + aligned(bytes)
    if (needed <= this.buffer.byteLength) return
    const bigger = new ArrayBuffer(Math.max(needed, this.buffer.byteLength * 2))
    new Uint8Array(bigger).set(new Uint8Array(this.buffer, 0, this.at))
    this.buffer = bigger
    this.numbers = new Float64Array(bigger)
  }

  /** `rows`: those of them, in that order; null: all. */
  batch(batch: Batch, rows: Int32Array | null, count: number): void {
    this.number(count)
    this.rows(batch.rows, rows, count)
    this.number(batch.weights === null ? 0 : 1)
    if (batch.weights !== null) gatherDoubles(batch.weights, rows, this.doubles(count))
    this.number(batch.columns.length)
    for (const column of batch.columns) this.column(column, rows, count)
  }
  /** With what was late and what failed. */
  given(batch: Batch): void {
    this.batch(batch, null, batch.count)
    this.late(batch.late)
    this.failed(batch.failed)
  }
  private late(late: LateRows | null): void {
    this.number(late === null ? -1 : late.count)
    if (late === null) return
    this.number(late.afterIdle)
    this.rows(late.rows, null, late.count)
  }
  failed(failed: FailedRows | null): void {
    this.number(failed === null ? 0 : 1)
    if (failed === null) return
    this.batch(failed.batch, null, failed.batch.count)
    this.put(failed.faults.map((fault) => sendFault(fault)))
  }
  private rows({ source, offset, time, watermark, origins }: Provenance, rows: Int32Array | null, count: number): void {
    gatherInts(source, rows, this.ints(count))
    for (const doubles of [offset, time, watermark]) gatherDoubles(doubles, rows, this.doubles(count))
    this.number(origins === null ? 0 : 1)
    if (origins !== null) this.origins(origins, rows, count)
  }
  private origins(origins: Origins, rows: Int32Array | null, count: number): void {
    this.number(origins.state ? 1 : 0)
    const at = this.ints(count + 1)
    let total = 0
    for (let i = 0; i < count; i++) {
      const row = rows === null ? i : rows[i]!
      total += origins.at[row + 1]! - origins.at[row]!
      at[i + 1] = total
    }
    this.number(total * 3)
    const ranges = this.doubles(total * 3)
    for (let i = 0, to = 0; i < count; i++) {
      const row = rows === null ? i : rows[i]!
      for (let r = origins.at[row]! * 3; r < origins.at[row + 1]! * 3; r++) ranges[to++] = origins.ranges[r]!
    }
  }
  private column(column: Column, rows: Int32Array | null, count: number): void {
    this.number(kinds.indexOf(column.kind))
    this.number(column.valid === null ? 0 : 1)
    if (column.valid !== null) {
      const valid = this.raw(count)
      for (let i = 0; i < count; i++) valid[i] = column.valid[rows === null ? i : rows[i]!]!
    }
    switch (column.kind) {
      case 'f64':
        return gatherDoubles(column.data, rows, this.doubles(count))
      case 'i64': {
        const at = this.take(count * 8)
        const data = new BigInt64Array(this.buffer, at, count)
        for (let i = 0; i < count; i++) data[i] = column.data[rows === null ? i : rows[i]!]!
        return
      }
      case 'bytes':
        return this.texts(column, rows, count)
      case 'value':
        return this.put(Array.from({ length: count }, (_, i) => column.data[rows === null ? i : rows[i]!]!))
    }
  }
  private texts({ arena, from, to, valid }: BytesColumn, rows: Int32Array | null, count: number): void {
    // Of a NULL nobody has said where it lies.
    const isText = (row: number): boolean => valid === null || valid[row] !== 0
    let used = 0
    for (let i = 0, last = -1; i < count; i++) {
      const row = rows === null ? i : rows[i]!
      if (!isText(row)) continue
      if (last < 0 || from[row] !== from[last] || to[row] !== to[last]) used += to[row]! - from[row]!
      last = row
    }
    if (used > limits.columnBytes)
      throw new Fault('value.invalid-argument', {
        what: `the texts of one column, worked on together, are more than ${limits.columnBytes} bytes`,
      })
    this.number(used)
    const starts = this.take(count * 4)
    const ends = this.take(count * 4)
    const bytes = this.take(used)
    const [outFrom, outTo] = [new Int32Array(this.buffer, starts, count), new Int32Array(this.buffer, ends, count)]
    const out = Buffer.from(this.buffer, bytes, used)
    for (let i = 0, last = -1, start = 0, end = 0; i < count; i++) {
      const row = rows === null ? i : rows[i]!
      if (!isText(row)) continue
      if (last < 0 || from[row] !== from[last] || to[row] !== to[last]) {
        start = end
        end += to[row]! - from[row]!
        copyBytes(arena, from[row]!, to[row]!, out, start)
      }
      last = row
      outFrom[i] = start
      outTo[i] = end
    }
  }
}
function gatherDoubles(from: Float64Array, rows: Int32Array | null, to: Float64Array): void {
  if (rows === null) to.set(from.length === to.length ? from : from.subarray(0, to.length))
  else for (let i = 0; i < to.length; i++) to[i] = from[rows[i]!]!
}
function gatherInts(from: Int32Array, rows: Int32Array | null, to: Int32Array): void {
  if (rows === null) to.set(from.length === to.length ? from : from.subarray(0, to.length))
  else for (let i = 0; i < to.length; i++) to[i] = from[rows[i]!]!
}

/** Columns lie in the buffer that came. */
export class Unpacker {
  private readonly buffer: ArrayBuffer
  private readonly numbers: Float64Array
  private readonly beside: readonly unknown[]
  private at = 0
  private next = 0

  constructor({ buffer, beside }: Packed) {
    this.buffer = buffer
    this.numbers = new Float64Array(buffer)
    this.beside = beside
  }
  number(): number {
    const value = this.numbers[this.at / 8]!
    this.at += 8
    return value
  }
  take(): unknown {
    return this.beside[this.next++]
  }
  private pass(bytes: number): number {
    const { at } = this
    this.at += aligned(bytes)
    return at
  }
  doubles(count: number): Float64Array {
    return new Float64Array(this.buffer, this.pass(count * 8), count)
  }
  ints(count: number): Int32Array {
    return new Int32Array(this.buffer, this.pass(count * 4), count)
  }
  raw(count: number): Uint8Array {
    return new Uint8Array(this.buffer, this.pass(count), count)
  }
  batch(): Batch {
    const count = this.number()
    const rows = this.rows(count)
    const weights = this.number() === 0 ? null : this.doubles(count)
    const columns = Array.from({ length: this.number() }, () => this.column(count))
    return { count, columns, weights, rows, late: null, failed: null }
  }
  given(): Batch {
    return { ...this.batch(), late: this.late(), failed: this.failed() }
  }
  private late(): LateRows | null {
    const count = this.number()
    return count < 0 ? null : { afterIdle: this.number(), rows: this.rows(count), count }
  }
  failed(): FailedRows | null {
    if (this.number() === 0) return null
    const batch = this.batch()
    const faults = (this.take() as readonly SentFault[]).map((one): Fault => receiveFault(one))
    return { batch, faults }
  }
  private rows(count: number): Provenance {
    const source = this.ints(count)
    const [offset, time, watermark] = [this.doubles(count), this.doubles(count), this.doubles(count)]
    return { source, offset, time, watermark, origins: this.number() === 0 ? null : this.origins(count) }
  }
  private origins(count: number): Origins {
    const state = this.number() === 1
    const at = this.ints(count + 1)
    return { at, ranges: this.doubles(this.number()), state }
  }
  private column(count: number): Column {
    const kind = kinds[this.number()]!
    const valid = this.number() === 0 ? null : this.raw(count)
    switch (kind) {
      case 'f64':
        return { kind, data: this.doubles(count), valid }
      case 'i64':
        return { kind, data: new BigInt64Array(this.buffer, this.pass(count * 8), count), valid }
      case 'bytes': {
        const used = this.number()
        const [from, to] = [this.ints(count), this.ints(count)]
        return { kind, arena: Buffer.from(this.buffer, this.pass(used), used), from, to, valid }
      }
      case 'value':
        return { kind, data: this.take() as ValueColumn['data'], valid }
    }
  }
}
