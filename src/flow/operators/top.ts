/**
 * The first `limit` rows of each partition by order; with `rank`, row_number is the last column. Retracts: per batch the
 * rows (and ranks) that left the first ones and those that came.
 *
 * Ties over an append-only input go by the row's ordinal (ascending; descending behind the event-time column in descending
 * order), and what falls behind the first `limit` is forgotten. State of a small limit (`ranked-rows.ts`): rows by
 * (partition, number of a slot), a slot for each of the first rows; a row that comes among them takes the place of the one
 * that falls out. Of a larger one: rows by (partition, order key).
 *
 * Over an input that withdraws, all rows are kept by (partition, order key), the order key ends with all columns, and equal
 * rows are counted: so the result depends on which rows there are, not on how they came.
 * What memory has no room for goes to files, all of a partition.
 */
import type { Columns } from '../../schema/types.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import type { Operator } from '../operator.ts'
import type { Plan } from '../plan.ts'
import { Output, rowLayout } from '../row-store.ts'
import { RankedRows } from '../ranked-rows.ts'
import { SortedIds } from '../sorted.ts'
import { evictRows } from '../spill-runs.ts'
import { StateTable } from '../state.ts'

type TopPlan = Plan & { op: 'top' }

const copiesAt = 0
const sourceAt = 1
const offsetAt = 2
const watermarkAt = 3
const timeAt = 4
const ownNumbers = 5

interface Touched {
  /** Ids of the first rows before the step, a row with copies several times. */
  readonly before: readonly number[]
  readonly partition: SortedIds
}

/** `grows`: the input never withdraws. `timeColumn`: where its event time stands, −1 = nowhere. */
export function top(plan: TopPlan, input: Columns, grows: boolean, timeColumn: number): Operator {
  const last = plan.order.at(-1)
  const descendingTies = last !== undefined && last.column === timeColumn && last.descending
  return grows && plan.limit <= slotsMax
    ? new TopOfGrowing(plan, input, descendingTies)
    : new Top(plan, input, grows, descendingTies)
}
/** Rows of a partition that are kept in slots: inserting among them is a walk over them. */
const slotsMax = 64

class TopOfGrowing implements Operator {
  readonly kind = 'top'
  readonly tables
  private readonly plan: TopPlan
  private readonly input: Columns
  private readonly descendingTies: boolean
  private readonly ranked: RankedRows

  constructor(plan: TopPlan, input: Columns, descendingTies: boolean) {
    this.plan = plan
    this.input = input
    this.descendingTies = descendingTies
    this.ranked = new RankedRows(plan, input, descendingTies)
    this.tables = [this.ranked.spec]
  }
  rebuild([table]: readonly StateTable[]): void {
    this.ranked.rebuild(table!)
  }
  forgetOld([table]: readonly StateTable[]): void {
    this.ranked.forgetOld(table!)
  }
  evict([table]: readonly StateTable[], bytes: number): void {
    this.ranked.evict(table!, bytes)
  }
  waits(): boolean {
    return false
  }
  /** What another one gives of the rows that this one keeps. */
  content([table]: readonly StateTable[]): Batch {
    const rows = new Output(this.input)
    for (const id of table!.all()) {
      this.ranked.layout.read(table!, id, rows.builders)
      this.ranked.end(table!, id, 1, rows)
    }
    const again = new TopOfGrowing(this.plan, this.input, this.descendingTies)
    return again.step([new StateTable(this.ranked.spec)], [rows.done()])
  }
  step([table]: readonly StateTable[], [batch = emptyBatch]: readonly Batch[]): Batch {
    const out = new Output(this.plan.columns)
    if (batch.count === 0) return emptyBatch
    const { rank } = this.plan
    this.ranked.take(table!, batch)
    this.ranked.tellChanges(rank, (id, weight, place) => {
      this.ranked.layout.read(table!, id, out.builders)
      if (rank) out.builders.at(-1)!.push(place)
      this.ranked.end(table!, id, weight, out)
    })
    return out.done()
  }
}

class Top implements Operator {
  readonly kind = 'top'
  readonly tables
  private readonly plan: TopPlan
  private readonly grows: boolean
  private readonly layout
  private readonly encodePartition
  private readonly encodeOrder
  private readonly encodeRow
  private readonly descendingTies: boolean
  private readonly writer = new KeyWriter()
  private partitions = new Map<string, SortedIds>()
  private touched = new Map<string, Touched>()

  constructor(plan: TopPlan, input: Columns, grows: boolean, descendingTies: boolean) {
    this.plan = plan
    this.grows = grows
    this.descendingTies = descendingTies
    this.layout = rowLayout(input, ownNumbers)
    this.encodePartition = keyEncoder(plan.partitionBy.map((k) => ({ column: k, type: input[k]!.type })))
    this.encodeOrder = keyEncoder(
      plan.order.map((o) => ({
        column: o.column,
        type: input[o.column]!.type,
        descending: o.descending,
        nullsFirst: o.nullsFirst,
      })),
    )
    this.encodeRow = keyEncoder(input.map((c, i) => ({ column: i, type: c.type })))
    this.tables = [{ name: 'rows', ...this.layout.fields, runs: { whole: true } }]
  }
  rebuild([table]: readonly StateTable[]): void {
    this.partitions = new Map()
    this.touched = new Map()
    for (const id of table!.all()) this.partition(table!, table!.stateKeyOf(id).toString('latin1')).add(id)
  }
  waits(): boolean {
    return false
  }
  private partition(table: StateTable, key: string): SortedIds {
    let sorted = this.partitions.get(key)
    if (sorted === undefined) this.partitions.set(key, (sorted = new SortedIds((a, b) => table.compareKeys(a, b))))
    return sorted
  }

  content([table]: readonly StateTable[]): Batch {
    const out = new Output(this.plan.columns)
    for (const [key, partition] of this.partitions) this.emit(table!, key, { before: [], partition }, out)
    return out.done()
  }
  step([table]: readonly StateTable[], [batch = emptyBatch]: readonly Batch[]): Batch {
    for (let row = 0; row < batch.count; row++) this.take(table!, batch, row)
    const out = new Output(this.plan.columns)
    for (const [key, touched] of this.touched) this.emit(table!, key, touched, out)
    this.touched.clear()
    return out.done()
  }
  forgetOld([table]: readonly StateTable[]): void {
    for (const id of table!.takeOld()) {
      const key = table!.stateKeyOf(id).toString('latin1')
      const partition = this.partition(table!, key)
      partition.remove(id)
      table!.remove(id)
      if (partition.count === 0) this.partitions.delete(key)
    }
  }
  private take(table: StateTable, batch: Batch, row: number): void {
    const { writer } = this
    writer.length = 0
    this.encodePartition(writer, batch, row)
    const stateKey = writer.length
    const key = writer.done().toString('latin1')
    if (!this.partitions.has(key) && table.runs !== null && table.runs.rows > 0) this.bring(table, key)
    const partition = this.partition(table, key)
    if (!this.touched.has(key)) this.touched.set(key, { before: this.first(table, partition), partition })
    this.encodeOrder(writer, batch, row)
    if (this.grows) this.encodeOrdinal(batch, row)
    else this.encodeRow(writer, batch, row)
    const weight = batch.weights === null ? 1 : batch.weights[row]!
    let id = table.find(writer)
    // It has gone already.
    if (id < 0 && weight < 0 && table.ages !== null) return
    if (id < 0) {
      id = table.add(writer, stateKey)
      this.layout.write(table, id, batch, row)
      partition.add(id)
    } else table.touch(id)
    this.stamp(table, id, batch, row, weight)
    if (table.numbers[id * table.spec.numbers + copiesAt] === 0) {
      partition.remove(id)
      table.remove(id)
    } else if (this.grows && partition.count > this.plan.limit) {
      const last = partition.last()!
      partition.remove(last)
      table.remove(last)
    }
    if (partition.count === 0) this.partitions.delete(key)
  }
  /** Rows of the partition whose key is in `writer` that are in files. */
  private bring(table: StateTable, key: string): void {
    for (const id of table.runs!.takeAll(table, this.writer.bytes, this.writer.length))
      if (table.isOld(id)) table.remove(id)
      else this.partition(table, key).add(id)
  }
  evict([table]: readonly StateTable[], bytes: number): void {
    evictRows(table!, bytes, (id) => {
      const key = table!.stateKeyOf(id).toString('latin1')
      const ids = [...(this.partitions.get(key) ?? [])]
      this.partitions.delete(key)
      return ids
    })
  }
  private encodeOrdinal(batch: Batch, row: number): void {
    const sign = this.descendingTies ? -1 : 1
    this.writer.double(sign * batch.rows.source[row]!)
    this.writer.double(sign * batch.rows.offset[row]!)
    // Several rows of one record are told apart by what they hold.
    this.encodeRow(this.writer, batch, row)
  }
  private stamp(table: StateTable, id: number, batch: Batch, row: number, weight: number): void {
    const at = id * table.spec.numbers
    table.numbers[at + copiesAt]! += weight
    table.numbers[at + sourceAt] = batch.rows.source[row]!
    table.numbers[at + offsetAt] = batch.rows.offset[row]!
    table.numbers[at + watermarkAt] = batch.rows.watermark[row]!
    table.numbers[at + timeAt] = batch.rows.time[row]!
  }
  /** The first rows as ids; rows whose count is below zero wait for what they withdraw. */
  private first(table: StateTable, partition: SortedIds): number[] {
    const ids: number[] = []
    for (const id of partition) {
      for (
        let copy = table.numbers[id * table.spec.numbers + copiesAt]!;
        copy > 0 && ids.length < this.plan.limit;
        copy--
      )
        ids.push(id)
      if (ids.length >= this.plan.limit) break
    }
    return ids
  }
  private emit(table: StateTable, key: string, touched: Touched, out: Output): void {
    const after = this.first(table, this.partitions.get(key) ?? touched.partition)
    const { before } = touched
    const length = Math.max(before.length, after.length)
    if (!this.plan.rank) return this.emitSets(table, before, after, out)
    for (const [ids, others, weight] of [
      [before, after, -1],
      [after, before, 1],
    ] as const)
      for (let i = 0; i < length; i++) {
        const id = ids[i]
        if (id === undefined || id === others[i]) continue
        this.push(table, id, weight, out, i + 1)
      }
  }
  /** Without ranks only coming and going counts. */
  private emitSets(table: StateTable, before: readonly number[], after: readonly number[], out: Output): void {
    const change = new Map<number, number>()
    for (const id of before) change.set(id, (change.get(id) ?? 0) - 1)
    for (const id of after) change.set(id, (change.get(id) ?? 0) + 1)
    for (const sign of [-1, 1])
      for (const [id, weight] of change) if (Math.sign(weight) === sign) this.push(table, id, weight, out, 0)
  }
  private push(table: StateTable, id: number, weight: number, out: Output, rank: number): void {
    // A row removed in this step is still readable: ids are not used again before the tick ends.
    this.layout.read(table, id, out.builders)
    if (this.plan.rank) out.builders.at(-1)!.push(rank)
    const at = id * table.spec.numbers
    const { numbers } = table
    out.end(weight, numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!, numbers[at + watermarkAt]!)
  }
}
