/**
 * Batches on their way to another thread and back: everything with numbers or bytes in it lies in one buffer, which is handed
 * over and not copied; what has no such form (values, faults) goes beside it. What is written is read in the same order.
 *
 * Rows are gathered while they are written. Of texts only those of these rows go along, one that stands in several rows behind
 * each other once: a chunk of records stays where it is.
 */
import { assert } from '../../lib/assert.ts'
import { Copier, copyBytes } from '../../lib/bytes.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { type SentFault, receiveFault, sendFault } from '../../lib/line.ts'
import type { Batch, BytesColumn, Column, FailedRows, LateRows, Origins, Provenance, ValueColumn } from '../batch.ts'

export interface Packed {
  /** null: where the message before lay. */
  readonly buffer: ArrayBufferLike | null
  readonly beside: readonly unknown[]
}
/**
 * Memory that both threads see and that is written to again and again: what one writes there is read before it writes again. Memory
 * that is new for every message costs more than all that is done with it.
 */
export class Sheet {
  memory = new SharedArrayBuffer(firstBytes)
  private isKnown = false
  private usedBytes = 0

  /** For the next message. One that was very long does not stay. */
  begin(): SharedArrayBuffer {
    const { byteLength } = this.memory
    return byteLength > keptBytes && this.usedBytes * 4 < byteLength ? this.grow(keptBytes) : this.memory
  }
  grow(bytes: number): SharedArrayBuffer {
    this.isKnown = false
    return (this.memory = new SharedArrayBuffer(bytes))
  }
  /** With the message: to hand it over costs more than to use it. */
  take(usedBytes: number): SharedArrayBuffer | null {
    this.usedBytes = usedBytes
    if (this.isKnown) return null
    this.isKnown = true
    return this.memory
  }
  /** The message was not sent. */
  untake(): void {
    this.isKnown = false
  }
}
/** The other side of a sheet. */
export class SheetReader {
  private memory: ArrayBufferLike = new ArrayBuffer(0)

  read({ buffer, beside }: Packed): Unpacker {
    if (buffer !== null) this.memory = buffer
    return new Unpacker({ buffer: this.memory, beside })
  }
}
const kinds = ['f64', 'i64', 'bytes', 'value'] as const
const firstBytes = 4_096
const keptBytes = 4 << 20
const aligned = (bytes: number): number => (bytes + 7) & ~7

export class Packer {
  private buffer: ArrayBufferLike
  private numbers: Float64Array
  private at = 0
  private readonly beside: unknown[] = []
  private readonly sheet: Sheet | null

  /** Where it writes to; a number: to new memory of about so many bytes. */
  constructor(to: Sheet | number) {
    this.sheet = typeof to === 'number' ? null : to
    this.buffer = typeof to === 'number' ? new ArrayBuffer(aligned(to)) : to.begin()
    this.numbers = new Float64Array(this.buffer)
  }
  done(): Packed {
    return { buffer: this.sheet === null ? this.buffer : this.sheet.take(this.at), beside: this.beside }
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
  /** To be filled, to the last one, before anything else is written. */
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
    const size = Math.max(needed, this.buffer.byteLength * 2)
    const bigger = this.sheet?.grow(size) ?? new ArrayBuffer(size)
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
    at[0] = 0
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
    let [least, most] = [Infinity, 0]
    for (let i = 0, last = -1; i < count; i++) {
      const row = rows === null ? i : rows[i]!
      if (!isText(row)) continue
      const [start, end] = [from[row]!, to[row]!]
      if (last < 0 || start !== from[last] || end !== to[last]) used += end - start
      if (start < least) least = start
      if (end > most) most = end
      last = row
    }
    // In one go, with what lies between them, unless that is most of it.
    const isWhole = most - least <= used * wholeUpTo
    if (isWhole && used > 0) used = most - least
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
    if (isWhole && used > 0) copyBytes(arena, least, most, out, 0)
    for (let i = 0, last = -1, start = 0, end = 0; i < count; i++) {
      const row = rows === null ? i : rows[i]!
      if (!isText(row)) {
        outFrom[i] = outTo[i] = 0
        continue
      }
      if (isWhole) {
        outFrom[i] = from[row]! - least
        outTo[i] = to[row]! - least
        continue
      }
      if (last < 0 || from[row] !== from[last] || to[row] !== to[last]) {
        start = end
        end += to[row]! - from[row]!
        copier.copy(arena, from[row]!, to[row]!, out, start)
      }
      last = row
      outFrom[i] = start
      outTo[i] = end
    }
  }
}
const wholeUpTo = 4
const copier = new Copier()
function gatherDoubles(from: Float64Array, rows: Int32Array | null, to: Float64Array): void {
  if (rows === null) to.set(from.length === to.length ? from : from.subarray(0, to.length))
  else for (let i = 0; i < to.length; i++) to[i] = from[rows[i]!]!
}
function gatherInts(from: Int32Array, rows: Int32Array | null, to: Int32Array): void {
  if (rows === null) to.set(from.length === to.length ? from : from.subarray(0, to.length))
  else for (let i = 0; i < to.length; i++) to[i] = from[rows[i]!]!
}

/** The same, in memory of its own. */
export function copied(batch: Batch): Batch {
  const out = new Packer(firstBytes)
  out.given(batch)
  return new Unpacker(out.done()).given()
}

/** Columns lie in the buffer that came. */
export class Unpacker {
  private readonly buffer: ArrayBufferLike
  private readonly numbers: Float64Array
  private readonly beside: readonly unknown[]
  private at = 0
  private next = 0

  constructor({ buffer, beside }: Packed) {
    assert(buffer !== null, 'memory that is known')
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
  /** `kept`: which columns somebody may keep a piece of, as values of bytea are; they are copied out. */
  batch(kept: readonly boolean[] = []): Batch {
    const count = this.number()
    const rows = this.rows(count)
    const weights = this.number() === 0 ? null : this.doubles(count)
    const columns = Array.from({ length: this.number() }, (_, c) => this.column(count, kept[c] === true))
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
  private column(count: number, isKept: boolean): Column {
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
        const arena = Buffer.from(this.buffer, this.pass(used), used)
        return { kind, arena: isKept ? Buffer.from(arena) : arena, from, to, valid }
      }
      case 'value':
        return { kind, data: this.take() as ValueColumn['data'], valid }
    }
  }
}
