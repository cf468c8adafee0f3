/**
 * GROUP BY over windows that overlap, once, when they close; its input's window columns hold slices (`slices.ts`). State: a
 * row per key, slice and first window, with its aggregates. A row of the input goes to the slice that it lies in and to the
 * first window of that slice that had not closed by the watermark that stood before it at its source partition: later
 * windows have it too, earlier ones do not. It is late when all had closed. Lateness is that of `aggregate.ts`.
 *
 * A window that closes is, by key, the sum of its slices in the order of their ends: of the slices' rows whose first window
 * is not a later one. Windows close in the order of their ends, groups of one in the order of their keys. A slice goes with
 * its last window. Which windows have closed is told by the watermark before the step alone, so that is saved.
 *
 * Slices that memory has no room for go to files (`spill-runs.ts`), the oldest first. A window that closes reads its slices there
 * and leaves them: in memory is then one sum for each key.
 */
import { assert } from '../../lib/assert.ts'
import type { Columns } from '../../schema/types.ts'
import { Fold } from '../aggregates/fold.ts'
import { type Batch, type Column, emptyBatch } from '../batch.ts'
import { columnBuilder } from '../columns.ts'
import type { Value } from '../expression.ts'
import { KeyIndex, longerInts } from '../key-index.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import { OpenSlices, SliceSums } from '../open-slices.ts'
import { closeMsOf, isSameRecord } from '../open-windows.ts'
import type { Operator, StepTime } from '../operator.ts'
import type { Plan } from '../plan.ts'
import { LateCollector, Output, rowLayout } from '../row-store.ts'
import type { SliceTimes, Slices } from '../slices.ts'
import { TouchedGroups } from '../touched-groups.ts'
import { StateTable } from '../state.ts'

type AggregatePlan = Plan & { op: 'aggregate' }

// Fields of a group: the end of its slice, that of its first window (µs), what its results tell.
const sliceAt = 0
const firstAt = 1
const toldAt = 2
const none = -1
const gone = -1
/** Groups in files are read so many at a time. */
const readRows = 4096

export function sliced(plan: AggregatePlan, input: Columns, slices: Slices): Operator {
  return new SlicedGroups(plan, input, slices)
}

class SlicedGroups implements Operator {
  readonly kind = 'aggregate'
  readonly keepsWatermark = true
  readonly tables
  private readonly plan: AggregatePlan
  private readonly times: SliceTimes
  private readonly bounds: Slices['bounds']
  /** Of the plan's keys those that are no bounds: columns of the input, places in the output. */
  private readonly ownKeys: readonly number[]
  private readonly ownPlaces: readonly number[]
  private readonly endColumn: number
  private readonly keyColumns: Columns
  private readonly keys
  private readonly fold: Fold
  private readonly encode
  private readonly writer = new KeyWriter()
  private readonly touched = new TouchedGroups(0, 0)
  // By key: the newest of its groups. By group: the next of its key, its key.
  private readonly index: KeyIndex
  private newest = new Int32Array(16)
  private next = new Int32Array(16)
  private entryOf = new Int32Array(16)
  private readonly open: OpenSlices
  private readonly sums: SliceSums
  /** Groups that were read from files, and keys that are known but by them, while a window closes. */
  private readonly visitors: StateTable
  private readonly lent: number[] = []
  /** Of the rows of the batch; −1: late. */
  private groups = new Int32Array(64)
  private readonly result: Value[] = []

  constructor(plan: AggregatePlan, input: Columns, { times, bounds }: Slices) {
    this.plan = plan
    this.times = times
    this.bounds = bounds
    this.endColumn = plan.keys[plan.windowEnd!]!
    this.ownPlaces = [...plan.keys.keys()].filter((key) => bounds[key] === null)
    this.ownKeys = this.ownPlaces.map((key) => plan.keys[key]!)
    this.keyColumns = this.ownKeys.map((column) => input[column]!)
    this.keys = rowLayout(this.keyColumns, toldAt + TouchedGroups.toldNumbers, TouchedGroups.toldValues)
    this.fold = new Fold(plan.aggregates, true, this.keys.fields.numbers, this.keys.fields.values)
    assert(this.fold.members === null, 'all that is known of a group is in its row')
    const types = this.keyColumns.map(({ type }) => type)
    this.encode = keyEncoder(this.ownKeys.map((column, k) => ({ column, type: types[k]! })))
    this.index = new KeyIndex(types)
    const { numbers, values } = this.fold
    const spec = { name: 'slices', found: 'elsewhere' as const, ...this.keys.fields, numbers, values }
    this.tables = [{ ...spec, runs: { whole: false } }]
    this.visitors = new StateTable(spec)
    this.open = new OpenSlices(times)
    this.sums = new SliceSums(this.fold, toldAt)
  }
  rebuild([groups]: readonly StateTable[]): void {
    this.touched.clear()
    this.index.clear()
    this.open.clear(groups!.runs !== null && groups!.runs.rows > 0)
    this.forgetVisitors()
    const ids = [...groups!.all()]
    const builders = this.keyColumns.map(({ type }) => columnBuilder(type, ids.length))
    for (const id of ids) this.keys.read(groups!, id, builders)
    this.index.use(builders.map((builder) => builder.done()))
    for (let i = 0; i < ids.length; i++) {
      const entry = this.index.add(i)
      this.link(entry, ids[i]!, this.index.isNew)
      const at = ids[i]! * groups!.spec.numbers
      this.open.add(groups!.numbers[at + sliceAt]!, groups!.numbers[at + firstAt]!, ids[i]!)
    }
    groups!.settle()
  }
  private link(entry: number, group: number, isFirst: boolean): void {
    if (entry >= this.newest.length) this.newest = longerInts(this.newest, entry + 1)
    if (group >= this.next.length) {
      this.next = longerInts(this.next, group + 1)
      this.entryOf = longerInts(this.entryOf, group + 1)
    }
    this.next[group] = isFirst ? none : this.newest[entry]!
    this.entryOf[group] = entry
    this.newest[entry] = group
  }
  waits(): boolean {
    return !this.open.isEmpty
  }

  step([groups]: readonly StateTable[], [input = emptyBatch]: readonly Batch[], time: StepTime): Batch {
    const late = new LateCollector()
    const out = new Output(this.plan.columns)
    const { batch, failed } = input.count === 0 ? { batch: input, failed: null } : this.fold.prepare(input, time.nowUs)
    if (batch.count > 0) {
      if (this.groups.length < batch.count) this.groups = new Int32Array(batch.count)
      const keys = this.ownKeys.map((column) => batch.columns[column]!)
      const ends = batch.columns[this.endColumn]!
      assert(ends.kind === 'f64' && batch.weights === null, 'slices end at times, of rows that stay')
      this.index.use(keys)
      const rows = { batch, keys, ends: ends.data }
      for (let row = 0; row < batch.count; row++) this.groups[row] = this.take(groups!, rows, row, time.before)
      this.tellLate(rows, late)
      this.fold.addAll(groups!, this.groups, undefined, batch.count, null)
      for (let t = 0; t < this.touched.count; t++) this.touched.remember(t, groups!, toldAt)
      this.touched.clear()
    }
    this.close(groups!, time, out)
    return out.done(late.done(), failed)
  }
  /** The row's group; −1: all its windows have closed. */
  private take(groups: StateTable, rows: Rows, row: number, before: number): number {
    const sliceEnd = rows.ends[row]!
    const closed = Math.max(rows.batch.rows.watermark[row]!, before)
    if (closeMsOf(this.times.lastEnd(sliceEnd)) <= closed) return none
    const firstEnd = this.times.firstEnd(sliceEnd, closed)
    const group = this.groupOf(groups, rows, row, sliceEnd, firstEnd)
    if (!this.touched.has(group)) {
      groups.touch(group)
      this.touched.add(groups, group, true)
    }
    this.touched.note(group, rows.batch.rows, row)
    return group
  }
  private groupOf(groups: StateTable, rows: Rows, row: number, sliceEnd: number, firstEnd: number): number {
    const entry = this.index.add(row)
    const { isNew } = this.index
    const { numbers, spec } = groups
    if (!isNew)
      for (let group = this.newest[entry]!; group !== none; group = this.next[group]!) {
        const at = group * spec.numbers
        if (numbers[at + sliceAt] === sliceEnd && numbers[at + firstAt] === firstEnd) return group
      }
    const { writer } = this
    writer.length = 0
    this.encode(writer, rows.batch, row)
    const stateKey = writer.length
    writer.double(sliceEnd)
    writer.double(firstEnd)
    const { runs } = groups
    if (runs !== null && runs.rows > 0) {
      const known = runs.take(groups, writer.bytes, writer.length, stateKey, sliceEnd)
      if (known >= 0) {
        this.link(entry, known, isNew)
        this.open.add(sliceEnd, firstEnd, known)
        return known
      }
    }
    const group = groups.add(writer, stateKey)
    this.keys.write(groups, group, { columns: rows.keys }, row)
    groups.numbers[group * spec.numbers + sliceAt] = sliceEnd
    groups.numbers[group * spec.numbers + firstAt] = firstEnd
    this.link(entry, group, isNew)
    this.open.add(sliceEnd, firstEnd, group)
    return group
  }
  /** A record is late when none of its rows was taken. */
  private tellLate({ batch, ends }: Rows, late: LateCollector): void {
    for (let from = 0, row = 0; from < batch.count; from = row) {
      let isTaken = false
      do if (this.groups[row++] !== none) isTaken = true
      while (row < batch.count && isSameRecord(batch, from, row))
      const last = row - 1
      if (!isTaken) late.add(batch.rows, last, closeMsOf(this.times.lastEnd(ends[last]!)) > batch.rows.watermark[last]!)
    }
  }

  /** Windows that the watermark has passed; those that it had passed before the step have been given. */
  private close(groups: StateTable, { before, watermark }: StepTime, out: Output): void {
    const { open, sums } = this
    while (!open.isEmpty && closeMsOf(open.nextEnd) <= watermark) {
      const end = open.nextEnd
      if (closeMsOf(end) > before) {
        for (const group of open.groups()) sums.add(groups, this.entryOf[group]!, group)
        for (const slice of open.away()) this.visit(groups, slice, end)
        this.emit(end, out)
        this.forgetVisitors()
      }
      const done = open.pass()
      for (const group of done.groups) {
        this.unlink(group)
        groups.remove(group)
      }
      for (const slice of done.away) for (const group of groups.runs!.takeLot(groups, slice)) groups.remove(group)
    }
  }
  /** Adds groups of a slice that are in files, those whose first window is not a later one. */
  private visit(groups: StateTable, sliceEnd: number, windowEnd: number): void {
    const { visitors } = this
    let ids: number[] = []
    for (const id of groups.runs!.visit(groups, visitors, sliceEnd))
      if (visitors.numbers[id * visitors.spec.numbers + firstAt]! > windowEnd) visitors.evict(id)
      else if (ids.push(id) === readRows) {
        this.addVisitors(ids)
        ids = []
      }
    this.addVisitors(ids)
  }
  private addVisitors(ids: readonly number[]): void {
    const { visitors, index } = this
    const builders = this.keyColumns.map(({ type }) => columnBuilder(type, ids.length))
    for (const id of ids) this.keys.read(visitors, id, builders)
    index.use(builders.map((builder) => builder.done()))
    for (let i = 0; i < ids.length; i++) {
      const entry = index.add(i)
      if (index.isNew) this.lent.push(entry)
      if (!this.sums.add(visitors, entry, ids[i]!)) visitors.evict(ids[i]!)
    }
    visitors.commit()
  }
  private forgetVisitors(): void {
    this.visitors.clear()
    for (const entry of this.lent.splice(0)) if (this.index.has(entry)) this.index.remove(entry)
  }
  private emit(end: number, out: Output): void {
    const { sums, fold, result, bounds } = this
    const own = this.ownPlaces.map((place) => out.builders[place]!)
    const start = this.times.startOf(end)
    for (const at of sums.inOrder()) {
      const { groups, group } = sums.groupAt(at)
      this.keys.read(groups, group, own)
      for (let key = 0; key < bounds.length; key++)
        if (bounds[key] !== null) out.builders[key]!.push(bounds[key] === 'end' ? end : start)
      const { fields, row } = sums.rowAt(at)
      fold.resultsOf(fields, row * fields.spec.numbers, row * fields.spec.values, result, 0)
      for (let i = 0; i < result.length; i++) out.builders[bounds.length + i]!.push(result[i]!)
      out.end(1, -1, -1, closeMsOf(end) * 1000, TouchedGroups.toldWatermark(fields, row, toldAt))
      out.rows.origins(TouchedGroups.toldOrigins(fields, row, toldAt), false)
    }
    sums.clear()
  }
  private unlink(group: number): void {
    const entry = this.entryOf[group]!
    if (this.newest[entry] !== group) {
      let newer = this.newest[entry]!
      while (this.next[newer] !== group) newer = this.next[newer]!
      this.next[newer] = this.next[group]!
    } else if (this.next[group] === none) this.index.remove(entry)
    else this.newest[entry] = this.next[group]!
    this.entryOf[group] = gone
  }
  evict([groups]: readonly StateTable[], bytes: number): void {
    if (groups!.count === 0) return
    const ids = this.open.letGo(bytes / (groups!.usedBytes / groups!.count))
    for (const group of ids) this.unlink(group)
    const { numbers, spec } = groups!
    groups!.runs!.put(groups!, ids, (group) => numbers[group * spec.numbers + sliceAt]!)
    groups!.shrink()
  }
}
interface Rows {
  readonly batch: Batch
  /** The key's columns. */
  readonly keys: readonly Column[]
  /** Where the slices end. */
  readonly ends: Float64Array
}
