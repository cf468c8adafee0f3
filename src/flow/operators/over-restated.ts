/**
 * OVER over rows that come in any order and may be withdrawn: every row is given at once, and again whenever something
 * that its calls look at changes.
 *
 * State: all rows, by (partition, order). Over an append-only input equal orders are told apart by their ordinals
 * (ascending; descending behind the event-time column in descending order), else by all columns, and equal rows are
 * counted: so the result depends on which rows there are, not on how they came. A step computes, for each partition that
 * it touches, the rows whose calls reach what changed, as they were and as they are now, and tells the difference: a
 * running sum costs what lies behind the change, a frame of some rows only those.
 *
 * Where a partition is of one window it goes when the window closes, and rows that come later are late; with `emit` its rows are
 * given then, once, windows that close at one time by their partitions' keys, and stay in memory until then. With `keep` only
 * the first ranks are given; over an append-only input the others are forgotten.
 *
 * Partitions that memory has no room for go to files (`spill-runs.ts`), and come back when a row of theirs comes.
 */
import { assert } from '../../lib/assert.ts'
import type { Columns } from '../../schema/types.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import type { Value } from '../expression.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import { closeMsOfRow, OpenWindows } from '../open-windows.ts'
import type { Operator, State, StepTime } from '../operator.ts'
import { OverCalls, reach, type Reach } from '../over-calls.ts'
import { RangeAxis } from '../over-frames.ts'
import { OverRows, ownAt as copiesAt, placeOf } from '../over-rows.ts'
import type { PlanOf } from '../plan.ts'
import { LateCollector, Output, sameValue, writeOrdinal } from '../row-store.ts'
import { evictRows } from '../spill-runs.ts'
import { StateTable } from '../state.ts'

export interface RestatedOptions {
  /** The input never withdraws. */
  readonly grows: boolean
  /** Where its event time stands, −1 = nowhere. */
  readonly timeColumn: number
  /** Only the end is asked for: what is not yet is not computed. */
  readonly atEnd: boolean
}
export function overRestated(plan: PlanOf<'over'>, input: Columns, options: RestatedOptions): Operator {
  assert(plan.keep === null || plan.calls.length === 1, 'ranks are limited by themselves')
  return new OverRestated(plan, input, options)
}

interface Partition {
  readonly number: number
  readonly key: string
  /** In order; equal rows as often as they are there. */
  ids: number[]
  closeMs: number
}
interface Given {
  readonly id: number
  readonly values: readonly Value[]
}

class OverRestated implements Operator {
  readonly kind = 'over'
  readonly tables
  readonly content?: (state: State) => Batch
  readonly evict?: (state: State, bytes: number) => void
  private readonly emitsOnClose: boolean
  private readonly plan: PlanOf<'over'>
  private readonly options: RestatedOptions
  private readonly rows: OverRows
  private readonly calls: OverCalls
  private readonly encodeRow
  private readonly descendingTies: boolean
  private readonly windowColumn: number
  private readonly ahead: Reach
  private readonly back: Reach
  private readonly axis: RangeAxis | null
  /** Sums while a partition is looked at: nothing of them is kept. */
  private readonly sums: readonly StateTable[]
  private readonly noKey = new KeyWriter()
  private partitions = new Map<string, Partition>()
  private byNumber = new Map<number, Partition>()
  private numbers = 0
  private open = new OpenWindows()
  private isEnded = false

  constructor(plan: PlanOf<'over'>, input: Columns, options: RestatedOptions) {
    this.plan = plan
    this.options = options
    this.rows = new OverRows(plan, input)
    this.calls = new OverCalls(plan.calls, plan.order, input)
    this.encodeRow = keyEncoder(input.map((c, i) => ({ column: i, type: c.type })))
    const last = plan.order.at(-1)
    this.descendingTies = last !== undefined && last.column === options.timeColumn && last.descending
    this.windowColumn = plan.windowEnd === null ? -1 : plan.partitionBy[plan.windowEnd]!
    const [first] = plan.order
    this.axis = first === undefined ? null : new RangeAxis(first, input[first.column]!.type)
    // Without an order all rows are peers.
    const ofAll = (r: Reach): Reach => (first === undefined && r.range !== null ? { ...r, all: true } : r)
    this.ahead = ofAll(reach(plan.calls, 'following'))
    this.back = ofAll(reach(plan.calls, 'preceding'))
    this.sums = this.calls.tables.map((spec) => new StateTable(spec))
    this.tables = [this.rows.spec]
    this.emitsOnClose = plan.emit === 'close'
    if (!this.emitsOnClose) this.evict = ([table], bytes) => this.letGo(table!, bytes)
    if (this.windowColumn < 0) this.content = ([table]) => this.all(table!)
  }
  private all(table: StateTable): Batch {
    const out = new Output(this.plan.columns)
    for (const partition of this.partitions.values()) this.tell(table, partition, [], new Set(partition.ids), out)
    return out.done()
  }
  rebuild([table]: State): void {
    this.partitions = new Map()
    this.byNumber = new Map()
    this.open = new OpenWindows()
    this.isEnded = false
    for (const id of table!.all()) {
      const copies = copiesOf(table!, id)
      // Of what waits for its row to come the partition may be in files.
      if (copies <= 0) continue
      const partition = this.partition(table!.stateKeyOf(id).toString('latin1'), closeOf(table!, id))
      for (let copy = copies; copy > 0; copy--) partition.ids.push(id)
    }
    for (const { ids } of this.partitions.values()) ids.sort((a, b) => table!.compareKeys(a, b))
  }
  waits([table]: State): boolean {
    if (this.windowColumn >= 0 && table!.runs !== null && table!.runs.rows > 0) return true
    return this.open.count > 0 || (this.options.atEnd && !this.isEnded && table!.count > 0)
  }
  private partition(key: string, closeMs: number): Partition {
    let partition = this.partitions.get(key)
    if (partition === undefined) {
      this.partitions.set(key, (partition = { number: this.numbers++, key, ids: [], closeMs }))
      this.byNumber.set(partition.number, partition)
      if (this.windowColumn >= 0) this.open.add(closeMs, partition.number)
    }
    return partition
  }

  step([table]: State, [batch = emptyBatch]: readonly Batch[], time: StepTime): Batch {
    const late = new LateCollector()
    const out = new Output(this.plan.columns)
    const changed = new Map<Partition, Set<number>>()
    for (let row = 0; row < batch.count; row++) this.take(table!, batch, row, time, late, changed)
    const isEnd = time.watermark === Infinity
    for (const [partition, ids] of changed) {
      const before = partition.ids
      partition.ids = this.changed(table!, partition, ids)
      if (this.emitsOnClose) this.cut(table!, partition)
      else if (!this.options.atEnd) this.tell(table!, partition, before, ids, out)
      for (const id of ids) if (copiesOf(table!, id) === 0) table!.remove(id)
      if (partition.ids.length === 0) this.forget(partition)
    }
    if (this.options.atEnd && isEnd && !this.isEnded && !this.emitsOnClose) this.tellAll(table!, out)
    this.close(table!, time.watermark, out)
    return out.done(late.done())
  }
  private take(
    table: StateTable,
    batch: Batch,
    row: number,
    time: StepTime,
    late: LateCollector,
    changed: Map<Partition, Set<number>>,
  ): void {
    const closeMs = this.windowColumn < 0 ? Infinity : closeMsOfRow(batch, this.windowColumn, row)
    if (closeMs <= batch.rows.watermark[row]!) return late.add(batch.rows, row, false)
    if (closeMs <= time.before) return late.add(batch.rows, row, true)
    this.rows.begin(batch, row)
    const key = this.rows.partitionKey()
    const partition = this.partitions.get(key) ?? this.bring(table, key, closeMs)
    const { writer } = this.rows
    if (this.options.grows) this.writeTie(table, batch, row)
    else this.encodeRow(writer, batch, row)
    let id = table.find(writer)
    if (id < 0) id = this.rows.add(table, batch, row)
    else table.touch(id)
    this.rows.stamp(table, id, batch, row)
    const at = id * table.spec.numbers
    table.numbers[at + copiesAt]! += batch.weights === null ? 1 : batch.weights[row]!
    table.numbers[at + closeAt] = closeMs
    const ids = changed.get(partition)
    if (ids === undefined) changed.set(partition, new Set([id]))
    else ids.add(id)
  }
  /** The partition of the row whose key is written, with what is of it in files. */
  private bring(table: StateTable, key: string, closeMs: number): Partition {
    const partition = this.partition(key, closeMs)
    if (table.runs === null || table.runs.rows === 0) return partition
    const ids = table.runs.takeAll(table, this.rows.writer.bytes, this.rows.partitionLength)
    ids.sort((a, b) => table.compareKeys(a, b))
    for (const id of ids) for (let copy = copiesOf(table, id); copy > 0; copy--) partition.ids.push(id)
    return partition
  }
  private letGo(table: StateTable, bytes: number): void {
    const letGo = (id: number): Iterable<number> => {
      const partition = this.partitions.get(table.stateKeyOf(id).toString('latin1'))
      if (partition === undefined) return []
      this.forget(partition)
      return new Set(partition.ids)
    }
    evictRows(table, bytes, letGo, this.windowColumn < 0 ? undefined : (id) => closeOf(table, id))
  }
  private writeTie(table: StateTable, batch: Batch, row: number): void {
    const { writer } = this.rows
    if (!this.descendingTies) return writeOrdinal(table, writer, batch.rows, row)
    writer.double(-batch.rows.source[row]!)
    writer.double(-batch.rows.offset[row]!)
    // Several rows of one record are told apart by what they hold.
    this.encodeRow(writer, batch, row)
  }

  /** The partition's list with what changed. */
  private changed(table: StateTable, { ids }: Partition, changed: ReadonlySet<number>): number[] {
    const order = [...changed].toSorted((a, b) => table.compareKeys(a, b))
    const from = placeOf(table, ids, order[0]!)
    let to = placeOf(table, ids, order.at(-1)!)
    while (to < ids.length && ids[to] === order.at(-1)) to++
    const middle = [...new Set([...ids.slice(from, to), ...order])].toSorted((a, b) => table.compareKeys(a, b))
    const copies = middle.flatMap((id) => Array.from({ length: Math.max(0, copiesOf(table, id)) }, () => id))
    return [...ids.slice(0, from), ...copies, ...ids.slice(to)]
  }
  private forget({ number, key, closeMs }: Partition): void {
    this.partitions.delete(key)
    this.byNumber.delete(number)
    this.open.remove(closeMs, number)
  }

  /** What the change of a list changes in the result. */
  private tell(
    table: StateTable,
    partition: Partition,
    before: readonly number[],
    changed: ReadonlySet<number>,
    out: Output,
  ): void {
    const after = partition.ids
    let head = 0
    while (head < before.length && before[head] === after[head] && !changed.has(before[head]!)) head++
    let tail = 0
    const shorter = Math.min(before.length, after.length) - head
    while (tail < shorter && before.at(-1 - tail) === after.at(-1 - tail)) tail++
    const order = [...changed].toSorted((a, b) => table.compareKeys(a, b))
    const from = this.reachedBefore(table, before, head, order[0]!)
    const last = order.at(-1)!
    const was = this.evaluate(table, before, from, this.reachedBehind(table, before, before.length - tail, last))
    const is = this.evaluate(table, after, from, this.reachedBehind(table, after, after.length - tail, last))
    this.difference(table, was, is, out)
    this.cut(table, partition)
  }
  private reachedBefore(table: StateTable, ids: readonly number[], head: number, changed: number): number {
    const { all, rows, range } = this.ahead
    if (all) return 0
    let from = head
    while (from > 0 && range !== null && this.isWithin(table, changed, ids[from - 1]!, range)) from--
    return Math.max(0, Math.min(from, head - rows))
  }
  private reachedBehind(table: StateTable, ids: readonly number[], end: number, changed: number): number {
    const { all, rows, range } = this.back
    if (all) return ids.length
    let to = end
    while (to < ids.length && range !== null && this.isWithin(table, ids[to]!, changed, range)) to++
    return Math.min(ids.length, Math.max(to, end + rows))
  }
  /** `later` lies no more than that behind `earlier`, along the order. */
  private isWithin(table: StateTable, later: number, earlier: number, range: number): boolean {
    if (range === 0) return this.rows.isPeer(table, later, earlier)
    const from = this.rows.value(table, earlier, this.axis!.column)
    const value = this.rows.value(table, later, this.axis!.column)
    if (from === null || value === null) return from === value
    return this.axis!.compare(value, from, range) <= 0
  }
  private evaluate(table: StateTable, ids: readonly number[], from: number, to: number): Given[] {
    const list = this.rows.list(table, ids)
    const { keep } = this.plan
    const end = keep === null ? to : Math.min(to, this.calls.rowsWithin(keep.call, keep.rank, list))
    if (from >= end) return []
    for (const sums of this.sums) sums.clear()
    this.calls.rebuild(this.sums)
    this.noKey.length = 0
    const partition = this.sums[0]!.add(this.noKey)
    return this.calls
      .evaluate(this.sums, partition, list, { from, to: end, fresh: true })
      .map((values, i) => ({ id: ids[from + i]!, values }))
  }
  /** What was and is no more, then what is and was not. */
  private difference(table: StateTable, was: readonly Given[], is: readonly Given[], out: Output): void {
    const left = new Map<number, Given[]>()
    for (const one of is) {
      const same = left.get(one.id)
      if (same === undefined) left.set(one.id, [one])
      else same.push(one)
    }
    for (const one of was) {
      const now = left.get(one.id)
      const same = now?.findIndex((other) => other.values.every((v, i) => sameValue(v, one.values[i]))) ?? -1
      if (same < 0) this.rows.push(table, one.id, one.values, -1, out)
      else now!.splice(same, 1)
    }
    for (const one of is) {
      const now = left.get(one.id)!
      const place = now.indexOf(one)
      if (place < 0) continue
      now.splice(place, 1)
      this.rows.push(table, one.id, one.values, 1, out)
    }
  }
  /** Ranks only grow: what is behind the first ones never comes back. */
  private cut(table: StateTable, partition: Partition): void {
    if (!this.options.grows || this.plan.keep === null) return
    const { call, rank } = this.plan.keep
    const kept = this.calls.rowsWithin(call, rank, this.rows.list(table, partition.ids))
    for (const id of partition.ids.splice(kept)) table.remove(id)
  }
  private tellAll(table: StateTable, out: Output): void {
    this.isEnded = true
    for (const { ids } of this.partitions.values())
      for (const { id, values } of this.evaluate(table, ids, 0, ids.length)) this.rows.push(table, id, values, 1, out)
  }
  /** Numbers of partitions differ after a start, keys do not. */
  private inOrder(numbers: readonly number[]): Partition[] {
    const found = numbers.map((number) => this.byNumber.get(number)!)
    return this.emitsOnClose ? found.toSorted((a, b) => (a.key < b.key ? -1 : 1)) : found
  }
  private close(table: StateTable, watermark: number, out: Output): void {
    if (this.windowColumn < 0) return
    const { runs } = table
    while (runs !== null && runs.rows > 0 && runs.firstLot <= watermark)
      for (const id of runs.takeLot(table, runs.firstLot)) table.remove(id)
    for (let closed = this.open.takeClosed(watermark); closed !== null; closed = this.open.takeClosed(watermark))
      for (const partition of this.inOrder(closed)) {
        this.partitions.delete(partition.key)
        this.byNumber.delete(partition.number)
        const { ids } = partition
        if (this.emitsOnClose)
          for (const { id, values } of this.evaluate(table, ids, 0, ids.length))
            this.rows.push(table, id, values, 1, out)
        for (const id of new Set(ids)) table.remove(id)
      }
  }
}
const closeAt = copiesAt + 1
const copiesOf = (table: StateTable, id: number): number => table.numbers[id * table.spec.numbers + copiesAt]!
const closeOf = (table: StateTable, id: number): number => table.numbers[id * table.spec.numbers + closeAt]!
