/** Rows as JSON bytes, written from the columns; the same text that `json-value.ts` gives value by value. */
import type { Columns, DataType } from '../schema/types.ts'
import { type Column, valueAt } from './batch.ts'
import { jsonWriter } from './json-value.ts'
import { dateText } from './time-text.ts'

/** A growing buffer whose pieces stay where they are once they are cut off. */
export class Slab {
  private buffer: Buffer
  private from = 0
  private at = 0

  constructor(bytes = 64 * 1024) {
    this.buffer = Buffer.allocUnsafeSlow(bytes)
  }
  /** What was written since the last cut. */
  cut(): Buffer {
    const piece = this.buffer.subarray(this.from, this.at)
    this.from = this.at
    return piece
  }
  private reserve(bytes: number): void {
    if (this.at + bytes <= this.buffer.length) return
    const begun = this.at - this.from
    const next = Buffer.allocUnsafeSlow(Math.max(this.buffer.length, (begun + bytes) * 2))
    this.buffer.copy(next, 0, this.from, this.at)
    this.buffer = next
    this.from = 0
    this.at = begun
  }
  byte(value: number): void {
    this.reserve(1)
    this.buffer[this.at++] = value
  }
  /** A safe integer in decimal. */
  integer(value: number): void {
    this.reserve(20)
    let rest = value
    if (value < 0) {
      this.buffer[this.at++] = 45
      rest = -value
    }
    let digits = 1
    for (let power = 10; rest >= power; power *= 10) digits++
    this.at += digits
    for (let at = this.at; digits > 0; digits--) {
      const tenth = Math.floor(rest / 10)
      this.buffer[--at] = 48 + (rest - tenth * 10)
      rest = tenth
    }
  }
  /** Two digits. */
  two(value: number): void {
    this.reserve(2)
    const tens = Math.floor(value / 10)
    this.buffer[this.at++] = 48 + tens
    this.buffer[this.at++] = 48 + value - tens * 10
  }
  /** Text of ASCII alone. */
  ascii(text: string): void {
    this.reserve(text.length)
    const { buffer } = this
    let { at } = this
    for (let i = 0; i < text.length; i++) buffer[at++] = text.charCodeAt(i)
    this.at = at
  }
  text(text: string): void {
    this.reserve(text.length * 3)
    this.at += this.buffer.write(text, this.at)
  }
  bytes(from: Buffer, start = 0, end = from.length): void {
    this.reserve(end - start)
    if (end - start > 100) {
      this.at += from.copy(this.buffer, this.at, start, end)
      return
    }
    const { buffer } = this
    let { at } = this
    for (let i = start; i < end; i++) buffer[at++] = from[i]!
    this.at = at
  }
  /** Zigzag LEB128 of a whole number from 0 to 2^52. */
  varint(value: number): void {
    this.reserve(10)
    let rest = value * 2
    while (rest > 0x7f) {
      this.buffer[this.at++] = (rest % 128) | 0x80
      rest = Math.floor(rest / 128)
    }
    this.buffer[this.at++] = rest
  }
}

type ColumnWriter = (column: Column, row: number, out: Slab) => void
function columnWriter(type: DataType): ColumnWriter {
  const write = jsonWriter(type)
  const slow: ColumnWriter = (column, row, out) => out.text(write(valueAt(column, row, type)))
  switch (type.kind) {
    case 'smallint':
    case 'int':
    case 'bigint':
      return (column, row, out) =>
        column.kind === 'f64' ? out.integer(column.data[row]!) : out.ascii(write(valueAt(column, row, type)))
    case 'timestamp':
    case 'timestamptz': {
      const days = new DayText()
      return (column, row, out) => {
        const micros = column.kind === 'f64' ? column.data[row]! : NaN
        if (!(micros >= 0 && micros < farMicros && Number.isInteger(micros)))
          return out.ascii(write(valueAt(column, row, type)))
        const day = Math.floor(micros / dayMicros)
        out.bytes(days.of(day))
        writeClock(out, micros - day * dayMicros)
        out.byte(90)
        out.byte(34)
      }
    }
    case 'boolean':
    case 'real':
    case 'double':
    case 'numeric':
    case 'date':
    case 'time':
      return (column, row, out) => out.ascii(write(valueAt(column, row, type)))
    case 'text':
    case 'varchar':
    case 'uuid':
      return (column, row, out) => {
        if (column.kind !== 'bytes' || needsEscape(column.arena, column.from[row]!, column.to[row]!))
          return slow(column, row, out)
        out.byte(34)
        out.bytes(column.arena, column.from[row], column.to[row])
        out.byte(34)
      }
    case 'json':
    case 'jsonb':
      return (column, row, out) => {
        if (column.kind !== 'bytes') return slow(column, row, out)
        out.bytes(column.arena, column.from[row], column.to[row])
      }
    default:
      return slow
  }
}
const dayMicros = 86_400_000_000
/** The year 10000, whose text is longer. */
const farMicros = 253_402_300_800_000_000
/** What stands before the time of day; of the day asked for last. */
class DayText {
  private day = -1
  private text = Buffer.alloc(0)

  of(day: number): Buffer {
    if (day !== this.day) {
      this.day = day
      this.text = Buffer.from(`"${dateText(day)}T`)
    }
    return this.text
  }
}
/** HH:MM:SS and as many digits as needed, as `clockText` writes it. */
function writeClock(out: Slab, micros: number): void {
  const seconds = Math.floor(micros / 1e6)
  const minutes = Math.floor(seconds / 60)
  const hours = Math.floor(minutes / 60)
  out.two(hours)
  out.byte(58)
  out.two(minutes - hours * 60)
  out.byte(58)
  out.two(seconds - minutes * 60)
  let rest = micros - seconds * 1e6
  if (rest === 0) return
  out.byte(46)
  for (let power = 100_000; rest > 0; power /= 10) {
    const digit = Math.floor(rest / power)
    out.byte(48 + digit)
    rest -= digit * power
  }
}
function needsEscape(b: Buffer, from: number, to: number): boolean {
  for (let i = from; i < to; i++) {
    const c = b[i]!
    if (c < 32 || c === 34 || c === 92) return true
  }
  return false
}
/** Appends a batch's row as a JSON object, fields in the order of the columns. */
export function rowBytes(
  columns: Columns,
): (batch: { readonly columns: readonly Column[] }, row: number, out: Slab) => void {
  const fields = columns.map((c, i) => ({
    label: Buffer.from(`${i === 0 ? '{' : ','}${JSON.stringify(c.name)}:`),
    write: columnWriter(c.type),
  }))
  return (batch, row, out) => {
    if (fields.length === 0) return out.ascii('{}')
    for (let c = 0; c < fields.length; c++) {
      const field = fields[c]!
      const column = batch.columns[c]!
      out.bytes(field.label)
      if (column.valid !== null && column.valid[row] === 0) out.ascii('null')
      else field.write(column, row, out)
    }
    out.byte(125)
  }
}
