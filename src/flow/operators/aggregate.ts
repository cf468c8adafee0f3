/**
 * GROUP BY. State: a row per group with the count of its rows, its key columns and its aggregates; the values of DISTINCT
 * and of extremes that may shrink in a second table.
 *
 * 'update': per batch and group at most one withdrawal of the old result and one new result. 'close': one row per group,
 * when the watermark has passed its window; windows in order of their ends, groups of a window in order of their keys.
 *
 * A step finds the group of each row, keeps what groups were when they are met first, adds the rows aggregate by
 * aggregate, and tells what differs from before.
 *
 * Where the keys hold a window's end [.., e): the window closes when the watermark reaches e − 1 ms; its state is dropped
 * and it never opens again. A row is late if its window had closed by the watermark that stood before the row at its
 * source partition, however the input was cut into batches. The watermark that closes is the smallest over the
 * partitions, so no row that is not late can find its window closed, save one whose partition had been left out as idle:
 * that row is late too, and counted apart.
 *
 * Groups that memory has no room for go to files (`spill-runs.ts`), those that close at one time together: one that is not in memory
 * is looked for there, and those of a window that closes come back. Values of DISTINCT go by themselves.
 */
import { assert } from '../../lib/assert.ts'
import type { Columns } from '../../schema/types.ts'
import type { Fields } from '../aggregates/accumulator.ts'
import { Fold } from '../aggregates/fold.ts'
import { type Batch, type Column, emptyBatch } from '../batch.ts'
import { columnBuilder } from '../columns.ts'
import type { Value } from '../expression.ts'
import { KeyIndex, longerInts } from '../key-index.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import { closeMsOfRow, isSameRecord, OpenWindows } from '../open-windows.ts'
import type { Operator, StepTime } from '../operator.ts'
import type { Plan } from '../plan.ts'
import { LateCollector, Output, rowLayout, sameValue } from '../row-store.ts'
import { evictRows } from '../spill-runs.ts'
import type { StateTable } from '../state.ts'
import { TouchedGroups } from '../touched-groups.ts'

type AggregatePlan = Plan & { op: 'aggregate' }

/** Fields of a group's row: its rows; where it has a window, the watermark that closes it; then what its one result tells. */
const rowsAt = 0
const closeAt = 1
const none = -1
/** Rows whose keys are read at once. */
const rebuiltRows = 4096

/** `grows`: the input never withdraws. */
export function aggregate(plan: AggregatePlan, input: Columns, grows: boolean): Operator {
  return new GroupBy(plan, input, grows)
}

class GroupBy implements Operator {
  readonly kind = 'aggregate'
  readonly tables
  readonly content?: (state: readonly StateTable[]) => Batch
  private readonly plan: AggregatePlan
  private readonly keyColumns: Columns
  private readonly fold: Fold
  private readonly hasExtremes: boolean
  private readonly keys
  private readonly encode
  private readonly writer = new KeyWriter()
  private readonly windowColumn: number
  private readonly global: boolean
  /** First fields of what a closed window tells. */
  private readonly toldAt: number
  private readonly touched: TouchedGroups
  /** null: nothing ever closes. */
  private open: OpenWindows | null = null
  // Groups by their keys: entry of the index → group, and back.
  private readonly index: KeyIndex
  private groupOf = new Int32Array(16)
  private entryOf = new Int32Array(16)
  /** Of the rows of the batch; −1: late. */
  private groups = new Int32Array(64)
  private readonly before: Value[] = []
  private readonly after: Value[] = []

  constructor(plan: AggregatePlan, input: Columns, grows: boolean) {
    this.plan = plan
    this.global = plan.keys.length === 0
    this.keyColumns = plan.keys.map((k) => input[k]!)
    this.windowColumn = plan.windowEnd === null ? -1 : plan.keys[plan.windowEnd]!
    assert(plan.emit === 'update' || this.windowColumn >= 0, 'what emits on close has a window')
    this.toldAt = this.windowColumn < 0 ? closeAt : closeAt + 1
    const closes = plan.emit === 'close'
    this.keys = rowLayout(
      this.keyColumns,
      this.toldAt + (closes ? TouchedGroups.toldNumbers : 0),
      closes ? TouchedGroups.toldValues : 0,
    )
    this.fold = new Fold(plan.aggregates, grows, this.keys.fields.numbers, this.keys.fields.values)
    this.hasExtremes = this.fold.hasExtremes
    this.touched = new TouchedGroups(this.fold.numbers, this.fold.values)
    const types = this.keyColumns.map(({ type }) => type)
    this.encode = keyEncoder(plan.keys.map((column, k) => ({ column, type: types[k]! })))
    this.index = new KeyIndex(types)
    const { numbers, values, members } = this.fold
    this.tables = [
      {
        name: 'groups',
        found: 'elsewhere' as const,
        ...this.keys.fields,
        numbers,
        values,
        ...(this.global ? {} : { runs: oneByOne }),
      },
      ...(members === null ? [] : [{ ...members.spec, runs: oneByOne }]),
    ]
    // What windows gave that have closed since is in no state.
    if (this.windowColumn < 0) this.content = (state) => this.results(state)
  }
  private results([groups, members]: readonly StateTable[]): Batch {
    const out = new Output(this.plan.columns)
    for (const group of groups!.all()) {
      if (!this.exists(groups!, group)) continue
      this.fold.results(groups!, group, members, this.after, 0)
      this.pushRow(groups!, group, this.after, out)
      out.end(1, -1, -1, -Infinity, -Infinity)
      out.rows.origins([], true)
    }
    return out.done()
  }

  rebuild([groups, members]: readonly StateTable[]): void {
    this.touched.clear()
    this.index.clear()
    this.open = this.windowColumn < 0 ? null : new OpenWindows()
    let ids: number[] = []
    for (const id of groups!.all()) {
      this.open?.add(closeOf(groups!, id), id)
      if (ids.push(id) === rebuiltRows) {
        this.indexAll(groups!, ids)
        ids = []
      }
    }
    this.indexAll(groups!, ids)
    const kept = this.fold.members
    kept?.rebuild(members!, (key) => this.groupOfKey(groups!, key))
    if (kept?.hasExtremes === true) for (const id of [...groups!.all()]) kept.bring(groups!, members!, id)
    groups!.settle()
  }
  /** −1: there is none yet. It may have gone to a file before values came that are its. */
  private groupOfKey(groups: StateTable, key: Uint8Array): number {
    const known = groups.findKey(key)
    if (known >= 0 || groups.runs === null || groups.runs.rows === 0) return known
    const group = groups.runs.take(groups, key, key.length, key.length)
    if (group < 0) return none
    this.open?.add(closeOf(groups, group), group)
    this.indexAll(groups, [group])
    return group
  }
  private indexAll(groups: StateTable, ids: readonly number[]): void {
    const builders = this.keyColumns.map(({ type }) => columnBuilder(type, ids.length))
    for (const id of ids) this.keys.read(groups, id, builders)
    this.index.use(builders.map((builder) => builder.done()))
    for (let i = 0; i < ids.length; i++) this.link(this.index.add(i), ids[i]!)
  }
  private link(entry: number, group: number): void {
    if (entry >= this.groupOf.length) this.groupOf = longerInts(this.groupOf, entry + 1)
    if (group >= this.entryOf.length) this.entryOf = longerInts(this.entryOf, group + 1)
    this.groupOf[entry] = group
    this.entryOf[group] = entry
  }
  /** A result over no rows at all exists from the start. */
  waits([groups]: readonly StateTable[]): boolean {
    return (this.global && groups!.count === 0) || (this.open !== null && groups!.rows > 0)
  }

  step([groups, members]: readonly StateTable[], [input = emptyBatch]: readonly Batch[], time: StepTime): Batch {
    const late = new LateCollector()
    const out = new Output(this.plan.columns)
    if (this.global && groups!.count === 0) this.begin(groups!)
    const { batch, failed } = input.count === 0 ? { batch: input, failed: null } : this.fold.prepare(input, time.nowUs)
    if (batch.count > 0) {
      if (this.groups.length < batch.count) this.groups = new Int32Array(batch.count)
      const keys = this.plan.keys.map((k) => batch.columns[k]!)
      this.index.use(keys)
      this.index.bringNear(batch.count)
      const rows = { batch, keys }
      if (this.windowColumn < 0)
        for (let row = 0; row < batch.count; row++) this.groups[row] = this.take(groups!, members, rows, row, Infinity)
      else for (let row = 0; row < batch.count;) row = this.takeRecord(groups!, members, rows, row, time, late)
      this.countRows(groups!, batch)
      this.fold.addAll(groups!, this.groups, members, batch.count, batch.weights)
    }
    this.flush(groups!, members, batch, out)
    if (this.open !== null) this.close(this.open, groups!, members, time.watermark, out)
    return out.done(late.done(), failed)
  }
  /** The one group of an aggregate without keys, over nothing. */
  private begin(groups: StateTable): void {
    this.writer.length = 0
    const group = groups.add(this.writer)
    this.index.use([])
    this.link(this.index.add(0), group)
    this.touched.add(groups, group, false)
  }
  /** The rows of one record, one a window: it is late when all of its windows have closed. Gives the row behind them. */
  private takeRecord(
    groups: StateTable,
    members: StateTable | undefined,
    rows: Rows,
    from: number,
    time: StepTime,
    late: LateCollector,
  ): number {
    const { batch } = rows
    const watermarks = batch.rows.watermark
    let isTaken = false
    let row = from
    do {
      const closeMs = closeMsOfRow(batch, this.windowColumn, row)
      if (closeMs > watermarks[row]! && closeMs > time.before) {
        this.groups[row] = this.take(groups, members, rows, row, closeMs)
        isTaken = true
      } else this.groups[row] = -1
      row++
    } while (row < batch.count && isSameRecord(batch, from, row))
    const last = row - 1
    if (!isTaken) late.add(batch.rows, last, closeMsOfRow(batch, this.windowColumn, last) > watermarks[last]!)
    return row
  }
  /** The row's group, kept as it was before. */
  private take(groups: StateTable, members: StateTable | undefined, rows: Rows, row: number, closeMs: number): number {
    let entry = this.index.add(row)
    let group = this.index.isNew ? none : this.groupOf[entry]!
    if (group < 0 && groups.runs !== null && groups.runs.rows > 0) {
      group = this.bring(groups, members, rows.batch, row, entry, closeMs)
      // It was too old to stay.
      if (group < 0) entry = this.index.add(row)
    }
    if (group < 0) {
      if (groups.ages !== null && weightOf(rows.batch, row) < 0) {
        // It has gone already.
        this.index.remove(entry)
        return none
      }
      group = this.create(groups, rows, row, entry, closeMs)
    }
    if (!this.touched.has(group)) this.touch(groups, members, group)
    this.touched.note(group, rows.batch.rows, row)
    return group
  }
  /** Brings the row's group back where it is in a file; −1: it is not, or was too old to stay. */
  private bring(
    groups: StateTable,
    members: StateTable | undefined,
    batch: Batch,
    row: number,
    entry: number,
    closeMs: number,
  ): number {
    const { writer } = this
    writer.length = 0
    this.encode(writer, batch, row)
    const lot = this.open === null ? undefined : closeMs
    const group = groups.runs!.take(groups, writer.bytes, writer.length, writer.length, lot)
    if (group < 0) return none
    this.link(entry, group)
    this.open?.add(closeMs, group)
    this.fold.members?.bring(groups, members!, group)
    if (this.open !== null || !groups.isOld(group)) return group
    this.drop(groups, members, group)
    return none
  }
  forgetOld([groups, members]: readonly StateTable[]): void {
    if (this.windowColumn >= 0) return
    for (const group of groups!.takeOld()) this.drop(groups!, members, group)
  }
  evict([groups, members]: readonly StateTable[], bytes: number): void {
    const used = groups!.usedBytes + (members?.usedBytes ?? 0)
    const gone: number[] = []
    if (members !== undefined) this.fold.members!.letGo(members, (bytes * members.usedBytes) / used, gone)
    const lotOf = this.open === null ? undefined : (group: number): number => closeOf(groups!, group)
    const letGo = (group: number): readonly number[] => {
      this.open?.remove(closeOf(groups!, group), group)
      this.index.remove(this.entryOf[group]!)
      this.fold.members?.letGroupGo(group, gone)
      return [group]
    }
    evictRows(groups!, (bytes * groups!.usedBytes) / used, letGo, lotOf)
    members?.runs!.put(members, gone)
    members?.shrink()
  }
  private create(groups: StateTable, { batch, keys }: Rows, row: number, entry: number, closeMs: number): number {
    this.writer.length = 0
    this.encode(this.writer, batch, row)
    const group = groups.add(this.writer)
    this.keys.write(groups, group, { columns: keys }, row)
    if (this.open !== null) {
      groups.numbers[group * groups.spec.numbers + closeAt] = closeMs
      this.open.add(closeMs, group)
    }
    this.link(entry, group)
    return group
  }
  private touch(groups: StateTable, members: StateTable | undefined, group: number): void {
    groups.touch(group)
    const exists = this.exists(groups, group)
    const at = this.touched.add(groups, group, exists)
    if (this.plan.emit === 'close' || !exists || !this.hasExtremes) return
    const results: Value[] = []
    this.fold.results(groups, group, members, results, 0)
    this.touched.results[at] = results
  }
  private exists(groups: StateTable, group: number): boolean {
    return this.global || groups.numbers[group * groups.spec.numbers + rowsAt]! > 0
  }
  private countRows({ numbers, spec }: StateTable, { count, weights }: Batch): void {
    for (let row = 0; row < count; row++) {
      const group = this.groups[row]!
      if (group >= 0) numbers[group * spec.numbers + rowsAt]! += weights === null ? 1 : weights[row]!
    }
  }

  /** Ends the step for the groups it touched. */
  private flush(groups: StateTable, members: StateTable | undefined, batch: Batch, out: Output): void {
    const { touched } = this
    if (this.plan.emit === 'update') out.expect(touched.count * 2)
    for (let t = 0; t < touched.count; t++) {
      const group = touched.groupAt(t)
      const exists = this.exists(groups, group)
      if (this.plan.emit === 'update') this.emitChange(groups, members, batch, t, exists, out)
      else touched.remember(t, groups, this.toldAt)
      if (!exists && groups.numbers[group * groups.spec.numbers + rowsAt] === 0) this.drop(groups, members, group)
    }
    touched.clear()
  }
  private emitChange(
    groups: StateTable,
    members: StateTable | undefined,
    batch: Batch,
    t: number,
    exists: boolean,
    out: Output,
  ): void {
    const { touched, before, after } = this
    const group = touched.groupAt(t)
    const existed = touched.existed(t)
    if (this.isOther(groups, t, exists, existed)) {
      const { numbers, values } = this.fold
      if (existed) this.emitFields(groups, t, touched.copies, { n: t * numbers, v: t * values }, out)
      if (existed) this.end(batch, t, -1, out)
      if (exists) this.emitFields(groups, t, groups, { n: group * numbers, v: group * values }, out)
      if (exists) this.end(batch, t, 1, out)
      return
    }
    if (exists) this.fold.results(groups, group, members, after, 0)
    if (existed) this.resultsBefore(t)
    if (exists && existed && this.isSame()) return
    if (existed) this.emit(groups, batch, t, before, -1, out)
    if (exists) this.emit(groups, batch, t, after, 1, out)
  }
  /** The group comes, goes, or is surely another; and all that it gives is made of its row. */
  private isOther({ numbers }: StateTable, t: number, exists: boolean, existed: boolean): boolean {
    const { fold, touched } = this
    if (this.hasExtremes) return false
    const before = touched.copies.numbers
    return (
      exists !== existed ||
      (exists && fold.differs(numbers, touched.groupAt(t) * fold.numbers, before, t * fold.numbers))
    )
  }
  private emitFields(groups: StateTable, t: number, of: Fields, { n, v }: { n: number; v: number }, out: Output): void {
    this.keys.read(groups, this.touched.groupAt(t), out.builders)
    this.fold.pushResults(of, n, v, out.builders, this.plan.keys.length)
  }
  private resultsBefore(t: number): void {
    const { touched, before } = this
    const kept = touched.results[t]
    if (kept === undefined) this.fold.resultsOf(touched.copies, t * this.fold.numbers, t * this.fold.values, before, 0)
    else for (let i = 0; i < kept.length; i++) before[i] = kept[i]!
  }
  private isSame(): boolean {
    const { before, after } = this
    for (let i = 0; i < after.length; i++) if (!sameValue(before[i], after[i])) return false
    return true
  }
  private emit(
    groups: StateTable,
    batch: Batch,
    t: number,
    values: readonly Value[],
    weight: number,
    out: Output,
  ): void {
    this.pushRow(groups, this.touched.groupAt(t), values, out)
    this.end(batch, t, weight, out)
  }
  private end(batch: Batch, t: number, weight: number, out: Output): void {
    const { touched } = this
    const row = touched.lastRow(t)
    if (row < 0) out.end(weight, -1, -1, -Infinity, touched.watermark(t))
    else out.end(weight, batch.rows.source[row]!, batch.rows.offset[row]!, batch.rows.time[row]!, touched.watermark(t))
    touched.tellOrigins(t, out.rows)
  }
  private pushRow(groups: StateTable, group: number, values: readonly Value[], out: Output): void {
    this.keys.read(groups, group, out.builders)
    for (let i = 0; i < values.length; i++) out.builders[this.plan.keys.length + i]!.push(values[i]!)
  }
  private drop(groups: StateTable, members: StateTable | undefined, group: number): void {
    if (this.global) return
    this.open?.remove(closeOf(groups, group), group)
    this.index.remove(this.entryOf[group]!)
    this.fold.members?.drop(groups, members!, group)
    groups.remove(group)
  }
  /** Windows that the watermark has passed, oldest first, groups of one in the order of their keys. */
  private close(
    open: OpenWindows,
    groups: StateTable,
    members: StateTable | undefined,
    watermark: number,
    out: Output,
  ): void {
    for (;;) {
      const { runs } = groups
      if (runs !== null && runs.rows > 0 && runs.firstLot <= Math.min(watermark, open.first))
        this.bringLot(open, groups, runs.firstLot)
      const closed = open.takeClosed(watermark)
      if (closed === null) return
      if (this.plan.emit === 'close') closed.sort((a, b) => groups.compareKeys(a, b))
      for (const group of closed) {
        if (this.plan.emit === 'close') this.emitClosed(groups, members, group, out)
        this.drop(groups, members, group)
      }
    }
  }
  private bringLot(open: OpenWindows, groups: StateTable, closeMs: number): void {
    const back = groups.runs!.takeLot(groups, closeMs)
    for (const group of back) open.add(closeMs, group)
    for (let at = 0; at < back.length; at += rebuiltRows) this.indexAll(groups, back.slice(at, at + rebuiltRows))
  }
  private emitClosed(groups: StateTable, members: StateTable | undefined, group: number, out: Output): void {
    if (!this.exists(groups, group)) return
    this.fold.results(groups, group, members, this.after, 0)
    this.pushRow(groups, group, this.after, out)
    out.end(1, -1, -1, closeOf(groups, group) * 1000, TouchedGroups.toldWatermark(groups, group, this.toldAt))
    out.rows.origins(TouchedGroups.toldOrigins(groups, group, this.toldAt), false)
  }
}
const oneByOne = { whole: false }
interface Rows {
  readonly batch: Batch
  /** The key's columns. */
  readonly keys: readonly Column[]
}
const weightOf = ({ weights }: Batch, row: number): number => (weights === null ? 1 : weights[row]!)
const closeOf = (groups: StateTable, group: number): number => groups.numbers[group * groups.spec.numbers + closeAt]!
