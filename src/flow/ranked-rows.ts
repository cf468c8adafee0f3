/**
 * The first rows of each partition, in order, over an input that only grows: in the table by (partition, slot), in memory
 * in the order of their ranks. A row that is not among the first changes nothing. Many come among them and are pushed out
 * again by the same batch: rows are written when all of it has been looked at, and until then known by their places in it.
 */
import type { Columns } from '../schema/types.ts'
import { type Batch, type Column, type Provenance, emptyBatch } from './batch.ts'
import { columnBuilder } from './columns.ts'
import { KeyIndex, longerInts } from './key-index.ts'
import { KeyWriter, keyEncoder } from './key.ts'
import { type NumberField, type Output, type RowLayout, isFlagged, rowLayout } from './row-store.ts'
import { evictKeys, keepAway } from './spill.ts'
import type { StateTable, TableSpec } from './state.ts'

const sourceAt = 0
const offsetAt = 1
const watermarkAt = 2
const timeAt = 3
const ownNumbers = 4
const rebuiltRows = 4096

export interface Ranking {
  readonly partitionBy: readonly number[]
  readonly order: readonly { readonly column: number; readonly descending: boolean; readonly nullsFirst: boolean }[]
  readonly limit: number
}
type Row = { readonly columns: readonly Column[] }

export class RankedRows {
  readonly spec: TableSpec
  readonly layout: RowLayout
  private readonly ranking: Ranking
  private readonly input: Columns
  private readonly encodePartition
  private readonly encodeOrder
  private readonly encodeRow
  private readonly tieSign: number
  /** Of the order's columns: where the number lies; null: it is none. */
  private readonly fields: readonly (NumberField | null)[]
  private readonly writer = new KeyWriter()
  private readonly other = new KeyWriter()
  private taking: Batch = emptyBatch

  // By partition: how many rows, and their ids in order, `limit` places each. Of a row of the batch that is being taken: ~ its place.
  private readonly index: KeyIndex
  private counts = new Int32Array(16)
  private ids: Int32Array
  // Partitions touched in this step, and the ids they had before.
  private touchedCount = 0
  private touched = new Int32Array(64)
  private touchedAt = new Int32Array(16)
  private countsBefore = new Int32Array(64)
  private idsBefore: Int32Array

  constructor(ranking: Ranking, input: Columns, descendingTies: boolean) {
    this.ranking = ranking
    this.input = input
    const { partitionBy, order, limit } = ranking
    this.layout = rowLayout(input, ownNumbers)
    this.spec = { name: 'rows', ...this.layout.fields, found: 'elsewhere', spills: true }
    this.index = new KeyIndex(partitionBy.map((k) => input[k]!.type))
    this.encodePartition = keyEncoder(partitionBy.map((k) => ({ column: k, type: input[k]!.type })))
    this.encodeOrder = keyEncoder(order.map((o) => ({ ...o, type: input[o.column]!.type })))
    this.encodeRow = keyEncoder(input.map((c, i) => ({ column: i, type: c.type })))
    this.fields = order.map((o) => this.layout.numberOf(o.column))
    this.tieSign = descendingTies ? -1 : 1
    this.ids = new Int32Array(16 * limit)
    this.idsBefore = new Int32Array(64 * limit)
  }
  rebuild(table: StateTable): void {
    keepAway(this.index, table)
    this.counts.fill(0)
    this.touchedCount = 0
    let ids: number[] = []
    for (const id of table.all())
      if (ids.push(id) === rebuiltRows) {
        this.indexAll(table, ids)
        ids = []
      }
    this.indexAll(table, ids)
  }
  private indexAll(table: StateTable, ids: readonly number[]): void {
    const columns = this.read(table, ids)
    this.index.use(this.ranking.partitionBy.map((k) => columns[k]!))
    for (let i = 0; i < ids.length; i++) this.putInPlace(table, this.entryOf(i), columns, i, ids[i]!)
  }
  /** Of a row in the table that these are the columns of. */
  private putInPlace(table: StateTable, entry: number, columns: readonly Column[], row: number, id: number): void {
    const at = id * table.spec.numbers
    const source = table.numbers[at + sourceAt]!
    this.insert(entry, this.placeFor(table, entry, { columns }, row, source, table.numbers[at + offsetAt]!), id)
  }
  /** Moves partitions that were not asked for lately to files, until so many bytes are gone. Only between ticks. */
  evict(table: StateTable, bytes: number): void {
    evictKeys(table, this.index, bytes, (entry) => {
      const ids = this.idsOf(entry)
      this.counts[entry] = 0
      return ids
    })
  }
  /** Partitions of which no row was written lately: the slots of the others stay in use. */
  forgetOld(table: StateTable): void {
    const old = table.takeOld()
    if (old.length === 0) return
    const { partitionBy } = this.ranking
    const columns = this.read(table, old)
    this.index.use(partitionBy.map((k) => columns[k]!))
    for (let i = 0; i < old.length; i++) {
      const entry = this.index.find(i)
      if (entry < 0) continue
      if (table.spill?.isAway(entry) === true) this.ask(table, entry)
      const ids = this.idsOf(entry)
      if (!ids.every((id) => table.isOld(id))) continue
      for (const id of ids) table.remove(id)
      this.counts[entry] = 0
      this.index.remove(entry)
    }
  }
  private ask(table: StateTable, entry: number): void {
    const spill = table.spill!
    if (!spill.isAway(entry)) return spill.use(entry)
    const back = spill.take(table, entry)
    const columns = this.read(table, back)
    for (let i = 0; i < back.length; i++) this.putInPlace(table, entry, columns, i, back[i]!)
    const ids = this.idsOf(entry)
    if (!ids.every((id) => table.isOld(id))) return
    for (const id of ids) table.remove(id)
    this.counts[entry] = 0
  }
  private idsOf(entry: number): number[] {
    const first = entry * this.ranking.limit
    return Array.from(this.ids.subarray(first, first + this.counts[entry]!))
  }
  private read(table: StateTable, ids: readonly number[]): Column[] {
    const builders = this.input.map(({ type }) => columnBuilder(type, ids.length))
    for (const id of ids) this.layout.read(table, id, builders)
    return builders.map((builder) => builder.done())
  }
  private entryOf(row: number): number {
    const entry = this.index.add(row)
    if (entry >= this.counts.length) {
      this.counts = longerInts(this.counts, entry + 1)
      this.ids = longerInts(this.ids, this.counts.length * this.ranking.limit)
    }
    if (this.index.isNew) this.counts[entry] = 0
    return entry
  }

  take(table: StateTable, batch: Batch): void {
    const { limit, partitionBy } = this.ranking
    this.index.use(partitionBy.map((k) => batch.columns[k]!))
    this.bringNear(table, batch.count)
    const { rows } = batch
    this.taking = batch
    for (let row = 0; row < batch.count; row++) {
      const entry = this.entryOf(row)
      if (table.spill !== null) this.ask(table, entry)
      const place = this.placeFor(table, entry, batch, row, rows.source[row]!, rows.offset[row]!)
      if (place === limit) continue
      this.touch(entry)
      this.insert(entry, place, ~row)
    }
    for (let t = 0; t < this.touchedCount; t++) this.keep(table, t, batch)
    this.taking = emptyBatch
  }
  /** With the rows that those of the batch are compared with first. */
  private bringNear({ numbers, spec }: StateTable, count: number): void {
    const near = this.index.bringNear(count)
    if (near === null) return
    const { limit } = this.ranking
    const { counts, ids } = this
    let sum = 0
    for (let row = 0; row < count; row++) {
      const entry = Math.max(0, near[row]! - 1)
      const last = ids[entry * limit + Math.max(0, counts[entry]! - 1)]!
      sum += numbers[last * spec.numbers]!
    }
    this.seen = sum
  }
  /** As in `KeyIndex`. */
  seen = 0
  /**
   * Writes the rows that a partition got. Those that were there and are no more are the last ones of before: their slots are the
   * first that are taken, then others.
   */
  private keep(table: StateTable, t: number, batch: Batch): void {
    const { limit } = this.ranking
    const { ids } = this
    const first = this.touched[t]! * limit
    const end = first + this.counts[this.touched[t]!]!
    let slot = 0
    for (let at = first; at < end; at++) if (ids[at]! >= 0) slot++
    for (let at = first; at < end; at++) {
      if (ids[at]! >= 0) continue
      const row = ~ids[at]!
      const isTaken = slot < this.countsBefore[t]!
      const id = isTaken ? table.replace(this.idsBefore[t * limit + slot]!) : this.add(table, slot, batch, row)
      slot++
      this.layout.write(table, id, batch, row)
      this.stamp(table, id, batch.rows, row)
      ids[at] = id
    }
  }
  private add(table: StateTable, slot: number, batch: Batch, row: number): number {
    this.writer.length = 0
    this.encodePartition(this.writer, batch, row)
    const stateKey = this.writer.length
    this.writer.byte(slot)
    return table.add(this.writer, stateKey)
  }
  private stamp({ numbers, spec }: StateTable, id: number, rows: Provenance, row: number): void {
    const at = id * spec.numbers
    numbers[at + sourceAt] = rows.source[row]!
    numbers[at + offsetAt] = rows.offset[row]!
    numbers[at + watermarkAt] = rows.watermark[row]!
    numbers[at + timeAt] = rows.time[row]!
  }
  private insert(entry: number, place: number, id: number): void {
    const { limit } = this.ranking
    const { ids } = this
    const first = entry * limit
    const count = Math.min(this.counts[entry]! + 1, limit)
    for (let i = count - 1; i > place; i--) ids[first + i] = ids[first + i - 1]!
    ids[first + place] = id
    this.counts[entry] = count
  }
  /** Before which of the partition's rows it comes; `limit` = it is not among the first. */
  private placeFor(table: StateTable, entry: number, of: Row, row: number, source: number, offset: number): number {
    const first = entry * this.ranking.limit
    let place = this.counts[entry]!
    while (place > 0 && this.isBefore(table, this.ids[first + place - 1]!, of, row, source, offset)) place--
    return place
  }
  /** Whether the row comes before one that is there. */
  private isBefore(table: StateTable, id: number, of: Row, row: number, source: number, offset: number): boolean {
    if (id < 0) return this.isBeforeOther(~id, row)
    const { numbers, spec } = table
    const base = id * spec.numbers
    const order = this.compareOrder(table, id, of, row)
    if (order !== 0) return order < 0
    const bySource = (source - numbers[base + sourceAt]!) * this.tieSign
    if (bySource !== 0) return bySource < 0
    const byOffset = (offset - numbers[base + offsetAt]!) * this.tieSign
    if (byOffset !== 0) return byOffset < 0
    // Several rows of one record are told apart by what they hold.
    return this.compareEncoded(table, id, of, row, this.encodeRow) < 0
  }
  /** The same of two rows of the batch, of which the other came first. */
  private isBeforeOther(other: number, row: number): boolean {
    const batch = this.taking
    const order = this.compareRows(batch, other, row)
    if (order !== 0) return order < 0
    const { source, offset } = batch.rows
    const bySource = (source[row]! - source[other]!) * this.tieSign
    if (bySource !== 0) return bySource < 0
    const byOffset = (offset[row]! - offset[other]!) * this.tieSign
    if (byOffset !== 0) return byOffset < 0
    return this.compareEncodedRows(batch, other, row, this.encodeRow) < 0
  }
  private compareRows(batch: Batch, other: number, row: number): number {
    const { order } = this.ranking
    for (let p = 0; p < order.length; p++) {
      const by = order[p]!
      const column = batch.columns[by.column]!
      const { valid } = column
      const isPlain = column.kind === 'f64' && (valid === null || (valid[row] === 1 && valid[other] === 1))
      if (!isPlain || this.fields[p] === null) return this.compareEncodedRows(batch, other, row, this.encodeOrder)
      const value = column.data[row]!
      const there = column.data[other]!
      if (value < there) return by.descending ? 1 : -1
      if (value > there) return by.descending ? -1 : 1
      if (value !== there) return this.compareEncodedRows(batch, other, row, this.encodeOrder)
    }
    return 0
  }
  private compareEncodedRows(of: Row, a: number, b: number, encode: RankedRows['encodeOrder']): number {
    const { writer, other } = this
    writer.length = 0
    encode(writer, of, b)
    other.length = 0
    encode(other, of, a)
    return Buffer.compare(writer.done(), other.done())
  }
  private compareOrder(table: StateTable, id: number, of: Row, row: number): number {
    const { fields } = this
    const { order } = this.ranking
    const base = id * table.spec.numbers
    for (let p = 0; p < fields.length; p++) {
      const field = fields[p]!
      const by = order[p]!
      const column = of.columns[by.column]!
      const isPlain = field !== null && column.kind === 'f64' && (column.valid === null || column.valid[row] === 1)
      if (!isPlain || isFlagged(table.numbers[base + field.flagAt]!, field.bit))
        return this.compareEncoded(table, id, of, row, this.encodeOrder)
      const value = column.data[row]!
      const there = table.numbers[base + field.at]!
      if (value < there) return by.descending ? 1 : -1
      if (value > there) return by.descending ? -1 : 1
      // NaN, or a number too large to lie there.
      if (value !== there) return this.compareEncoded(table, id, of, row, this.encodeOrder)
    }
    return 0
  }
  private compareEncoded(
    table: StateTable,
    id: number,
    of: Row,
    row: number,
    encode: (out: KeyWriter, of: Row, row: number) => void,
  ): number {
    const { writer, other } = this
    writer.length = 0
    encode(writer, of, row)
    other.length = 0
    encode(other, { columns: this.read(table, [id]) }, 0)
    return Buffer.compare(writer.done(), other.done())
  }

  // A step's changes.

  private touch(entry: number): void {
    if (entry >= this.touchedAt.length) this.touchedAt = longerInts(this.touchedAt, entry + 1)
    const known = this.touchedAt[entry]!
    if (known < this.touchedCount && this.touched[known] === entry) return
    const { limit } = this.ranking
    const t = this.touchedCount++
    if (t === this.touched.length) {
      this.touched = longerInts(this.touched, t + 1)
      this.countsBefore = longerInts(this.countsBefore, t + 1)
      this.idsBefore = longerInts(this.idsBefore, this.touched.length * limit)
    }
    this.touchedAt[entry] = t
    this.touched[t] = entry
    const count = this.counts[entry]!
    this.countsBefore[t] = count
    for (let i = 0; i < count; i++) this.idsBefore[t * limit + i] = this.ids[entry * limit + i]!
  }
  /** Ends a step: what left the first rows, or its rank, then what came, partition by partition. */
  tellChanges(rank: boolean, tell: (id: number, weight: number, place: number) => void): void {
    const { ids, idsBefore } = this
    const { limit } = this.ranking
    for (let t = 0; t < this.touchedCount; t++) {
      const entry = this.touched[t]!
      const before = { ids: idsBefore, from: t * limit, count: this.countsBefore[t]! }
      const after = { ids, from: entry * limit, count: this.counts[entry]! }
      tellMissing(before, after, rank, -1, tell)
      tellMissing(after, before, rank, 1, tell)
    }
    this.touchedCount = 0
  }
  /** Ends a row of output that is one of these. */
  end({ numbers, spec }: StateTable, id: number, weight: number, out: Output): void {
    const at = id * spec.numbers
    out.end(weight, numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!, numbers[at + watermarkAt]!)
  }
}

/** Ids in the order of their ranks, among those of other partitions. */
interface Ranked {
  readonly ids: Int32Array
  readonly from: number
  readonly count: number
}
/** Those that the other does not have; with `rank`, not in the same place. */
function tellMissing(
  of: Ranked,
  other: Ranked,
  rank: boolean,
  weight: number,
  tell: (id: number, weight: number, place: number) => void,
): void {
  for (let i = 0; i < of.count; i++) {
    const id = of.ids[of.from + i]!
    let at = rank ? i : 0
    const end = rank ? Math.min(i + 1, other.count) : other.count
    while (at < end && other.ids[other.from + at] !== id) at++
    if (at >= end) tell(id, weight, i + 1)
  }
}
