/** Whole rows in state: which fields of a table's row hold which columns, and how they come back as batches. */
import type { Columns, DataType } from '../schema/types.ts'
import { type Batch, type Column, type Provenance, ProvenanceBuilder, emptyBatch, isNull, valueAt } from './batch.ts'
import { type BytesBuilder, type ColumnBuilder, type NumberBuilder, columnBuilder } from './columns.ts'
import { type KeyWriter, readKeyDouble } from './key.ts'
import { storageOf } from './memory.ts'
import type { StateTable } from './state.ts'
import { placeOf } from './state-pages.ts'
import { ByteReader, ByteWriter, Copier } from '../lib/bytes.ts'
import type { Value } from './expression.ts'

/**
 * A row's columns lie
 * - in `numbers`, where they are numbers, times or booleans; NULL is a flag in a bit field of its own;
 * - in the row's bytes, where they are text or bytes: lengths first, then one behind the other. There also lies what has
 *   outgrown its number, as text; its number field is NaN then;
 * - in `values`: everything else.
 */
export interface RowLayout {
  /** Fields with those that come before: what a table's spec says. */
  readonly fields: { readonly numbers: number; readonly values: number; readonly bytesAt: number }
  write(table: StateTable, id: number, batch: { readonly columns: readonly Column[] }, row: number): void
  /** Appends the row's columns to builders. */
  read(table: StateTable, id: number, builders: readonly ColumnBuilder[]): void
  /** The field that holds a column which is a number; null: it is none. */
  numberOf(column: number): NumberField | null
  /** One column's value in memory form. */
  value(table: StateTable, id: number, column: number): Value
  /** True where the row in state equals the batch's row, bit for bit. */
  equals(table: StateTable, id: number, batch: { readonly columns: readonly Column[] }, row: number): boolean
}
export interface NumberField {
  readonly at: number
  /** NULL where this field has this bit. */
  readonly flagAt: number
  readonly bit: number
}
/** bigint and numerics may leave the numbers. */
const mayOutgrow = (type: DataType): boolean => type.kind === 'bigint' || type.kind === 'numeric'
const bitsPerField = 32

/** Fields from `numbersAt` and `valuesAt` on; what comes before belongs to the operator. */
export function rowLayout(columns: Columns, numbersAt = 0, valuesAt = 0): RowLayout {
  return new Layout(columns, numbersAt, valuesAt)
}
/** What a column's value is made of, by where it lies. */
interface Place {
  readonly column: number
  readonly at: number
  readonly type: DataType
}

class Layout implements RowLayout {
  readonly fields
  private readonly flagsAt: number
  private readonly flags: number
  private readonly numbers: readonly (Place & NumberField)[]
  private readonly texts: readonly Place[]
  private readonly others: readonly Place[]
  /** −1: there are no bytes. */
  private readonly bytesAt: number
  // Lengths of the pieces being written or read; −1 = NULL.
  private readonly lengths: Int32Array
  private readonly scratch = new ByteWriter(64)
  private readonly textIn = new Copier()

  constructor(columns: Columns, numbersAt: number, valuesAt: number) {
    const places = columns.map(({ type }, column) => ({ column, type, at: 0 }))
    const numbers = places.filter(({ type }) => storageOf(type) === 'f64')
    const texts = places.filter(({ type }) => storageOf(type) === 'bytes')
    const others = places.filter(({ type }) => storageOf(type) === 'value')
    this.flags = Math.ceil(numbers.length / bitsPerField)
    this.flagsAt = numbersAt
    const first = numbersAt + this.flags
    this.numbers = numbers.map((place, n) => ({
      ...place,
      at: first + n,
      bit: 2 ** (n % bitsPerField),
      flagAt: numbersAt + Math.floor(n / bitsPerField),
    }))
    this.texts = texts
    this.others = others.map((place, n) => ({ ...place, at: valuesAt + n }))
    const hasBytes = texts.length > 0 || numbers.some(({ type }) => mayOutgrow(type))
    this.bytesAt = hasBytes ? first + numbers.length : -1
    this.lengths = new Int32Array(texts.length)
    this.fields = {
      numbers: first + numbers.length + (hasBytes ? 2 : 0),
      values: valuesAt + others.length,
      bytesAt: this.bytesAt,
    }
  }

  numberOf(column: number): NumberField | null {
    return this.numbers.find((place) => place.column === column) ?? null
  }
  write(table: StateTable, id: number, { columns }: { readonly columns: readonly Column[] }, row: number): void {
    const base = id * table.spec.numbers
    const fields = table.numbers
    for (let f = 0; f < this.flags; f++) fields[base + this.flagsAt + f] = 0
    let outgrown = 0
    for (let n = 0; n < this.numbers.length; n++) {
      const place = this.numbers[n]!
      const column = columns[place.column]!
      if (column.valid !== null && column.valid[row] === 0) {
        fields[base + place.flagAt]! += place.bit
        fields[base + place.at] = 0
      } else if (column.kind === 'f64') fields[base + place.at] = column.data[row]!
      else {
        const value = valueAt(column, row, place.type)
        fields[base + place.at] = typeof value === 'number' ? value : NaN
        if (typeof value === 'bigint') outgrown++
      }
    }
    if (this.bytesAt >= 0) this.writeBytes(table, base, columns, row, outgrown)
    for (let n = 0; n < this.others.length; n++) {
      const place = this.others[n]!
      table.values[id * table.spec.values + place.at] = valueAt(columns[place.column]!, row, place.type)
    }
  }
  private writeBytes(table: StateTable, base: number, columns: readonly Column[], row: number, outgrown: number): void {
    const { texts, lengths, bytesAt } = this
    const { pages } = table
    let size = 0
    for (let n = 0; n < texts.length; n++) {
      const column = columns[texts[n]!.column]!
      if (column.valid !== null && column.valid[row] === 0) lengths[n] = -1
      else if (column.kind === 'bytes') lengths[n] = column.to[row]! - column.from[row]!
      else return this.writeSlowly(table, base, columns, row)
      size += lengthBytes(lengths[n]! + 1) + Math.max(0, lengths[n]!)
    }
    if (outgrown > 0) return this.writeSlowly(table, base, columns, row)
    if (size === 0) {
      table.numbers[base + bytesAt] = 0
      table.numbers[base + bytesAt + 1] = 0
      return
    }
    const page = pages.reserve(size)
    let { at } = pages
    for (let n = 0; n < texts.length; n++) at = writeLength(page, at, lengths[n]! + 1)
    for (let n = 0; n < texts.length; n++) {
      const length = lengths[n]!
      if (length <= 0) continue
      const column = columns[texts[n]!.column] as Column & { kind: 'bytes' }
      this.textIn.copy(column.arena, column.from[row]!, column.to[row]!, page, at)
      at += length
    }
    table.numbers[base + bytesAt] = pages.take(size)
    table.numbers[base + bytesAt + 1] = size
  }
  /** Texts that are no bytes yet, numbers that are none any more. */
  private writeSlowly(table: StateTable, base: number, columns: readonly Column[], row: number): void {
    const pieces = this.texts.map(({ column, type }) => bytesOf(valueAt(columns[column]!, row, type)))
    for (const { column, type } of this.numbers) {
      const value = valueAt(columns[column]!, row, type)
      if (typeof value === 'bigint') pieces.push(Buffer.from(value.toString()))
    }
    const { scratch } = this
    scratch.at = 0
    for (const piece of pieces) scratch.uvarint(piece === null ? 0 : piece.length + 1)
    for (const piece of pieces) if (piece !== null) scratch.raw(piece)
    table.numbers[base + this.bytesAt] = table.pages.add(scratch.buffer, 0, scratch.at)
    table.numbers[base + this.bytesAt + 1] = scratch.at
  }

  read(table: StateTable, id: number, builders: readonly ColumnBuilder[]): void {
    const base = id * table.spec.numbers
    const fields = table.numbers
    let outgrown = 0
    for (let n = 0; n < this.numbers.length; n++) {
      const place = this.numbers[n]!
      // As `columnBuilder` makes it for the type.
      const builder = builders[place.column] as NumberBuilder
      const value = fields[base + place.at]!
      if (isFlagged(fields[base + place.flagAt]!, place.bit)) builder.pushNull()
      else if (value !== value && mayOutgrow(place.type)) builder.push(this.outgrown(table, base, outgrown++))
      else builder.pushNumber(value)
    }
    if (this.texts.length > 0) {
      const address = fields[base + this.bytesAt]!
      const page = table.pages.pageOf(address)
      let at = this.readLengths(page, placeOf(address), outgrown)
      for (let n = 0; n < this.texts.length; n++) {
        const builder = builders[this.texts[n]!.column] as BytesBuilder
        const length = this.lengths[n]!
        if (length < 0) builder.pushNull()
        else {
          builder.pushBytes(page, at, at + length)
          at += length
        }
      }
    }
    for (let n = 0; n < this.others.length; n++) {
      const place = this.others[n]!
      builders[place.column]!.push(table.values[id * table.spec.values + place.at]!)
    }
  }
  /** Lengths of the texts; gives where they begin. */
  private readLengths(page: Buffer, at: number, outgrown: number): number {
    for (let n = 0; n < this.texts.length + outgrown; n++) {
      let length = page[at++]!
      if (length > 0x7f) {
        length &= 0x7f
        for (let scale = 128; ; scale *= 128) {
          const byte = page[at++]!
          length += (byte & 0x7f) * scale
          if (byte < 0x80) break
        }
      }
      if (n < this.texts.length) this.lengths[n] = length - 1
    }
    return at
  }
  /** The n-th of the numbers that lie in the bytes. */
  private outgrown(table: StateTable, base: number, n: number): bigint {
    const address = table.numbers[base + this.bytesAt]!
    const length = table.numbers[base + this.bytesAt + 1]!
    const at = placeOf(address)
    const input = new ByteReader(table.pages.pageOf(address), at, at + length)
    const lengths: number[] = []
    let rest = 0
    while (lengths.length < this.texts.length || rest < input.left) {
      const piece = Math.max(0, input.uvarint() - 1)
      lengths.push(piece)
      rest += piece
    }
    for (const piece of lengths.slice(0, this.texts.length + n)) input.raw(piece)
    return BigInt(input.raw(lengths[this.texts.length + n]!).toString('latin1'))
  }

  value(table: StateTable, id: number, column: number): Value {
    const base = id * table.spec.numbers
    const isHere = (place: Place): boolean => place.column === column
    const other = this.others.find(isHere)
    if (other !== undefined) return table.values[id * table.spec.values + other.at]!
    let outgrown = 0
    for (const place of this.numbers) {
      const value = table.numbers[base + place.at]!
      const isNull = isFlagged(table.numbers[base + place.flagAt]!, place.bit)
      const isOutgrown = !isNull && value !== value && mayOutgrow(place.type)
      if (isHere(place)) {
        if (isNull || isOutgrown) return isNull ? null : this.outgrown(table, base, outgrown)
        return place.type.kind === 'boolean' ? value !== 0 : value
      }
      if (isOutgrown) outgrown++
    }
    return this.text(table, base, this.texts.findIndex(isHere), outgrown)
  }
  private text(table: StateTable, base: number, n: number, outgrown: number): Value {
    const address = table.numbers[base + this.bytesAt]!
    const page = table.pages.pageOf(address)
    let at = this.readLengths(page, placeOf(address), outgrown)
    const length = this.lengths[n]!
    if (length < 0) return null
    for (let before = 0; before < n; before++) at += Math.max(0, this.lengths[before]!)
    const isBytes = this.texts[n]!.type.kind === 'bytea'
    return isBytes ? Buffer.from(page.subarray(at, at + length)) : page.toString('utf8', at, at + length)
  }

  equals(table: StateTable, id: number, { columns }: { readonly columns: readonly Column[] }, row: number): boolean {
    const base = id * table.spec.numbers
    let outgrown = 0
    for (const place of this.numbers) {
      const column = columns[place.column]!
      const flagged = isFlagged(table.numbers[base + place.flagAt]!, place.bit)
      if (flagged !== isNull(column, row)) return false
      if (flagged) continue
      let value: Value = table.numbers[base + place.at]!
      if (value !== value && mayOutgrow(place.type)) value = this.outgrown(table, base, outgrown++)
      const other = column.kind === 'f64' ? column.data[row]! : valueAt(column, row, place.type)
      if (!Object.is(value, other)) return false
    }
    return this.equalTexts(table, base, columns, row, outgrown) && this.equalOthers(table, id, columns, row)
  }
  private equalTexts(
    table: StateTable,
    base: number,
    columns: readonly Column[],
    row: number,
    outgrown: number,
  ): boolean {
    if (this.texts.length === 0) return true
    const address = table.numbers[base + this.bytesAt]!
    const page = table.pages.pageOf(address)
    let at = this.readLengths(page, placeOf(address), outgrown)
    return this.texts.every(({ column, type }, n) => {
      const from = at
      const length = this.lengths[n]!
      at += Math.max(0, length)
      const of = columns[column]!
      if (length < 0 || isNull(of, row)) return length < 0 && isNull(of, row)
      if (of.kind === 'bytes') return of.arena.compare(page, from, at, of.from[row], of.to[row]) === 0
      return page.subarray(from, at).equals(bytesOf(valueAt(of, row, type))!)
    })
  }
  private equalOthers(table: StateTable, id: number, columns: readonly Column[], row: number): boolean {
    return this.others.every(({ column, at, type }) =>
      sameValue(table.values[id * table.spec.values + at]!, valueAt(columns[column]!, row, type)),
    )
  }
}
export const isFlagged = (flags: number, bit: number): boolean => flags >= bit && Math.floor(flags / bit) % 2 === 1
function bytesOf(value: Value): Buffer | null {
  if (value === null) return null
  return typeof value === 'string' ? Buffer.from(value, 'utf8') : Buffer.from(value as Uint8Array)
}
function lengthBytes(length: number): number {
  let bytes = 1
  for (let rest = length; rest > 0x7f; rest = Math.floor(rest / 128)) bytes++
  return bytes
}
function writeLength(page: Buffer, at: number, length: number): number {
  let rest = length
  for (; rest > 0x7f; rest = Math.floor(rest / 128)) page[at++] = (rest & 0x7f) | 0x80
  page[at++] = rest
  return at
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

/** Collects an operator's output rows. Most steps of many operators have none: then nothing is made for them. */
export class Output {
  private readonly columns: Columns
  private made: { readonly builders: readonly ColumnBuilder[]; readonly rows: ProvenanceBuilder } | null = null
  private readonly weights: number[] = []
  private weighted = false
  private capacity = 64

  constructor(columns: Columns) {
    this.columns = columns
  }
  /** Before the first row: so many are to come. */
  expect(rows: number): void {
    this.capacity = Math.max(this.capacity, rows)
  }
  private get parts(): NonNullable<Output['made']> {
    return (this.made ??= {
      builders: this.columns.map((c) => columnBuilder(c.type, this.capacity)),
      rows: new ProvenanceBuilder(this.capacity),
    })
  }
  get builders(): readonly ColumnBuilder[] {
    return this.parts.builders
  }
  get rows(): ProvenanceBuilder {
    return this.parts.rows
  }
  get count(): number {
    return this.weights.length
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
    if (this.count === 0) return late === null && failed === null ? emptyBatch : { ...emptyBatch, late, failed }
    return {
      count: this.count,
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

/** The largest offset of each source partition that a table's rows are from: what is beyond it is new to the table. */
export interface NewestOffsets {
  clear(): void
  /** The same as `saw`, without noting it. */
  isBeyond(source: number, offset: number): boolean
  /** True where the offset is beyond all that were seen. */
  saw(source: number, offset: number): boolean
}
export function newestOffsets(): NewestOffsets {
  const offsets = new Map<number, number>()
  // Of the partition asked about last.
  let source = -1
  let newest = -1
  return {
    clear() {
      offsets.clear()
      source = -1
    },
    isBeyond: (of, offset) => of >= 0 && offset > (of === source ? newest : (offsets.get(of) ?? -1)),
    saw(of, offset) {
      if (of < 0) return false
      if (of !== source) {
        if (source >= 0) offsets.set(source, newest)
        source = of
        newest = offsets.get(of) ?? -1
      }
      if (offset <= newest) return false
      newest = offset
      return true
    },
  }
}
/**
 * Ends a key that is not in the table yet with a row's ordinal; several rows of one record are counted behind it. With
 * `newest`, which has seen the table's rows, those of a new record are not looked for.
 */
export function writeOrdinal(
  table: StateTable,
  writer: KeyWriter,
  rows: Provenance,
  row: number,
  newest?: NewestOffsets,
): void {
  writer.double(rows.source[row]!)
  writer.double(rows.offset[row]!)
  if (newest?.saw(rows.source[row]!, rows.offset[row]!) === true) return
  if (table.find(writer) >= 0) writeCopy(table, writer)
}
/**
 * Numbers begin at 0 and have hardly a gap: the next is free if the one given last is taken, else one is found by doubling,
 * then halving. All rows of a window that closes come from one record.
 */
function writeCopy(table: StateTable, writer: KeyWriter): void {
  const { length } = writer
  const isTaken = (copy: number): boolean => {
    writer.length = length
    writer.double(copy)
    return table.find(writer) >= 0
  }
  const last = lastCopies.get(table) ?? 0
  let taken = -1
  let free = 0
  if (isTaken(last)) {
    taken = last
    free = last + 1
  }
  while (isTaken(free)) {
    taken = free
    free = free * 2 + 1
  }
  while (free - taken > 1) {
    const middle = (free + taken) >>> 1
    if (isTaken(middle)) taken = middle
    else free = middle
  }
  writer.length = length
  writer.double(free)
  lastCopies.set(table, free)
}
const lastCopies = new WeakMap<StateTable, number>()

/** The ordinal at the end of a key that `writeOrdinal` wrote. */
export function ordinalInKey(
  key: Buffer,
  stateKeyLength: number,
): { readonly source: number; readonly offset: number } {
  return { source: readKeyDouble(key, stateKeyLength), offset: readKeyDouble(key, stateKeyLength + 8) }
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
