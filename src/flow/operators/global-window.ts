/**
 * Global windows: the rows of a key in the order in which they come, and aggregates over those that its window holds, given
 * each time that a trigger fires. A count window is one that fires by its rows. Input and output only grow.
 *
 * A window fires with the row that makes it so many since it fired last, with one that says so, or by a timer of its first row
 * since then: of event time when the watermark has come to it, before the row at which it stands there, oldest first; of the
 * clock at the beginning of the first step at or after it. What it holds then: nothing any more ('none'), all rows ever
 * ('all'), the last so many ('last'), or those that lie less than so long before its newest ('within'). A row further
 * back than that when it comes is late: no result would hold it.
 *
 * State: a row per key with its aggregates; one that holds nothing goes. Of windows that give up single rows these are kept
 * too, and are taken away from the aggregates as they were added: a row costs the same however many its window holds. Which
 * rows a step's rows push out is found before the first of them is added, so that all are computed at once.
 */
import { assert } from '../../lib/assert.ts'
import type { Columns } from '../../schema/types.ts'
import { Fold } from '../aggregates/fold.ts'
import { type Batch, type Column, emptyBatch } from '../batch.ts'
import { columnBuilder } from '../columns.ts'
import type { Evaluated } from '../evaluate.ts'
import type { Expression, Value } from '../expression.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import type { Operator, State, StepTime } from '../operator.ts'
import { addOrigins, type Ranges } from '../origins.ts'
import type { PlanOf } from '../plan.ts'
import { LateCollector, Output, type RowLayout, rowLayout } from '../row-store.ts'
import { SortedIds } from '../sorted.ts'
import type { StateTable } from '../state.ts'

// Fields of a window: rows since it fired, when its timer is due (ms; Infinity = it has none), how many rows it has had, and of
// the last one ordinal, event time (µs) and watermark.
const rowsAt = 0
const dueAt = 1
const numberAt = 2
const sourceAt = 3
const offsetAt = 4
const timeAt = 5
const watermarkAt = 6
const ownNumbers = 7
// Where its rows since it fired came from.
const originsAt = 0
const ownValues = 1
/** Of a row that is kept: its event time, ms. */
const keptNumbers = 1

export function globalWindow(plan: PlanOf<'global-window'>, input: Columns): Operator {
  return new GlobalWindows(plan, input)
}

/** Rows of windows that give up single ones. */
interface Kept {
  readonly layout: RowLayout
  /** Columns of the input that are stored. */
  readonly columns: readonly number[]
  /** By window, the next to go first. */
  readonly of: Map<number, SortedIds>
}
interface Tables {
  readonly windows: StateTable
  readonly members: StateTable | undefined
  readonly rows: StateTable | undefined
}
/** What a step's rows do to the rows that are kept. */
interface Placed {
  /** The window of each row; −1: it is late. */
  readonly windows: Int32Array
  /** Rows that go, in order; those that row i pushes out end before `ends[i]`. */
  readonly gone: Evaluated
  readonly ends: Int32Array
}

class GlobalWindows implements Operator {
  readonly kind = 'global-window'
  readonly tables
  private readonly plan: PlanOf<'global-window'>
  private readonly input: Columns
  private readonly fold: Fold
  private readonly keys: RowLayout
  private readonly encode
  private readonly writer = new KeyWriter()
  private readonly kept: Kept | null
  private readonly isTimed: boolean
  private pending!: SortedIds
  private readonly results: Value[] = []

  constructor(plan: PlanOf<'global-window'>, input: Columns) {
    this.plan = plan
    this.input = input
    const { keep, trigger, aggregates } = plan
    this.isTimed = trigger.afterMs !== null || trigger.everyMs !== null
    this.keys = rowLayout(
      plan.keys.map((k) => input[k]!),
      ownNumbers,
      ownValues,
    )
    const shrinks = keep.of === 'last' || keep.of === 'within'
    this.fold = new Fold(aggregates, !shrinks, this.keys.fields.numbers, this.keys.fields.values)
    this.encode = keyEncoder(plan.keys.map((k) => ({ column: k, type: input[k]!.type })))
    const { numbers, values, members } = this.fold
    const read = aggregates.flatMap(({ args, filter }) => (filter === null ? args : [...args, filter])).map(positionOf)
    const columns = [...new Set(read)]
    const layout = rowLayout(
      columns.map((c) => input[c]!),
      keptNumbers,
    )
    this.kept = shrinks ? { layout, columns, of: new Map() } : null
    this.tables = [
      { name: 'windows', ...this.keys.fields, numbers, values },
      ...(members === null ? [] : [members.spec]),
      ...(shrinks ? [{ name: 'rows', ...layout.fields }] : []),
    ]
  }
  private tablesOf([windows, ...more]: State): Tables {
    const members = this.fold.members === null ? undefined : more[0]
    return { windows: windows!, members, rows: this.kept === null ? undefined : more.at(-1) }
  }
  rebuild(state: State): void {
    const { windows, members, rows } = this.tablesOf(state)
    this.pending = new SortedIds((a, b) => {
      const [dueOfA, dueOfB] = [dueOf(windows, a), dueOf(windows, b)]
      return dueOfA === dueOfB ? windows.compareKeys(a, b) : dueOfA < dueOfB ? -1 : 1
    })
    for (const id of windows.all()) if (dueOf(windows, id) < Infinity) this.pending.add(id)
    this.fold.members?.rebuild(members!, (key) => windows.findKey(key))
    if (this.kept === null) return
    this.kept.of.clear()
    for (const id of rows!.all()) this.rowsOf(rows!, windows.findKey(rows!.stateKeyOf(id))).add(id)
  }
  waits(): boolean {
    return this.pending.count > 0
  }
  due([windows]: State): number {
    const first = this.plan.trigger.clock === 'processing' ? this.pending.first() : undefined
    return first === undefined ? Infinity : dueOf(windows!, first)
  }
  forgetOld(state: State): void {
    const tables = this.tablesOf(state)
    for (const window of tables.windows.takeOld()) this.drop(tables, window)
  }

  step(state: State, [input = emptyBatch]: readonly Batch[], time: StepTime): Batch {
    const tables = this.tablesOf(state)
    const out = new Output(this.plan.columns)
    const late = new LateCollector()
    const nowMs = Math.floor(time.nowUs / 1000)
    const { clock } = this.plan.trigger
    const byEvent = clock === 'event' && this.isTimed
    if (clock === 'processing') this.fireDue(tables, nowMs, time.before, out)
    const prepared =
      input.count === 0 ? { batch: input, columns: [], failed: null } : this.fold.prepare(input, time.nowUs)
    const { batch } = prepared
    const placed = this.kept === null || batch.count === 0 ? null : this.place(tables, this.kept, prepared, late)
    for (let row = 0; row < batch.count; row++) {
      if (byEvent) this.fireDue(tables, Math.min(batch.rows.watermark[row]!, time.watermark), -Infinity, out)
      const window = placed === null ? this.found(tables.windows, batch, row, late) : placed.windows[row]!
      if (window < 0) continue
      tables.windows.touch(window)
      this.fold.add(tables.windows, window, tables.members, row, 1)
      if (placed !== null) this.pushOut(tables, window, prepared, placed, row)
      this.note(tables.windows, window, batch, row, nowMs)
      if (this.fires(tables.windows, window, batch, row)) this.fire(tables, window, null, out)
    }
    if (byEvent) this.fireDue(tables, time.watermark, -Infinity, out)
    return out.done(late.done(), prepared.failed)
  }
  /** The row's window; −1: it is late. */
  private found(windows: StateTable, batch: Batch, row: number, late: LateCollector): number {
    if (this.plan.time !== null && Number.isNaN(this.timeMsOf(batch, row))) {
      late.add(batch.rows, row, false)
      return -1
    }
    const { writer } = this
    writer.length = 0
    this.encode(writer, batch, row)
    const found = windows.find(writer)
    if (found >= 0) return found
    const window = windows.add(writer)
    this.keys.write(windows, window, { columns: this.plan.keys.map((k) => batch.columns[k]!) }, row)
    windows.numbers[window * windows.spec.numbers + dueAt] = Infinity
    return window
  }
  /** Event time; NaN = none. */
  private timeMsOf(batch: Batch, row: number): number {
    const column = batch.columns[this.plan.time!]!
    assert(column.kind === 'f64', 'event time is a number')
    return column.valid !== null && column.valid[row] === 0 ? NaN : Math.floor(column.data[row]! / 1000)
  }

  // Rows that are kept.

  private rowsOf(rows: StateTable, window: number): SortedIds {
    const { of } = this.kept!
    let ids = of.get(window)
    if (ids === undefined) of.set(window, (ids = new SortedIds((a, b) => rows.compareKeys(a, b))))
    return ids
  }
  /** Puts the step's rows to those that are kept, and takes away what they push out. */
  private place({ windows, rows }: Tables, kept: Kept, prepared: Evaluated, late: LateCollector): Placed {
    const { batch } = prepared
    const windowOf = new Int32Array(batch.count)
    const ends = new Int32Array(batch.count)
    const builders = kept.columns.map((c) => columnBuilder(this.input[c]!.type))
    let gone = 0
    for (let row = 0; row < batch.count; row++) {
      const window = this.keep(windows, rows!, batch, row, late)
      windowOf[row] = window
      if (window >= 0) {
        const ids = this.rowsOf(rows!, window)
        for (let id = ids.first()!; this.isOver(rows!, ids, id); id = ids.first()!) {
          ids.shift()
          kept.layout.read(rows!, id, builders)
          rows!.remove(id)
          gone++
        }
      }
      ends[row] = gone
    }
    const columns: Column[] = []
    for (const [i, c] of kept.columns.entries()) columns[c] = builders[i]!.done()
    const computed = this.fold.prepare({ ...emptyBatch, count: gone, columns }, 0)
    assert(computed.failed === null, 'columns are there already')
    this.fold.resume(prepared)
    return { windows: windowOf, gone: computed, ends }
  }
  private isOver(rows: StateTable, ids: SortedIds, first: number): boolean {
    const { keep } = this.plan
    if (keep.of === 'last') return ids.count > keep.rows
    return keep.of === 'within' && keptTime(rows, first) <= keptTime(rows, ids.last()!) - keep.ms
  }
  private keep(windows: StateTable, rows: StateTable, batch: Batch, row: number, late: LateCollector): number {
    const window = this.found(windows, batch, row, late)
    if (window < 0) return window
    const { keep } = this.plan
    const timeMs = keep.of === 'within' ? this.timeMsOf(batch, row) : 0
    const newest = this.kept!.of.get(window)?.last()
    if (keep.of === 'within' && newest !== undefined && timeMs <= keptTime(rows, newest) - keep.ms) {
      late.add(batch.rows, row, false)
      return -1
    }
    windows.touch(window)
    const at = window * windows.spec.numbers + numberAt
    const { writer } = this
    writer.length = 0
    windows.writeKeyOf(window, writer)
    const stateKey = writer.length
    writer.double(timeMs)
    writer.double(windows.numbers[at]!++)
    const id = rows.add(writer, stateKey)
    rows.numbers[id * rows.spec.numbers] = timeMs
    this.kept!.layout.write(rows, id, { columns: this.kept!.columns.map((c) => batch.columns[c]!) }, row)
    this.rowsOf(rows, window).add(id)
    return window
  }
  private pushOut(
    { windows, members }: Tables,
    window: number,
    prepared: Evaluated,
    placed: Placed,
    row: number,
  ): void {
    const from = row === 0 ? 0 : placed.ends[row - 1]!
    const to = placed.ends[row]!
    if (from === to) return
    this.fold.resume(placed.gone)
    for (let gone = from; gone < to; gone++) this.fold.add(windows, window, members, gone, -1)
    this.fold.resume(prepared)
  }

  // Firing.

  /** A row that was added. */
  private note(windows: StateTable, window: number, batch: Batch, row: number, nowMs: number): void {
    const { rows } = batch
    const at = window * windows.spec.numbers
    const { numbers } = windows
    numbers[at + rowsAt]!++
    numbers[at + sourceAt] = rows.source[row]!
    numbers[at + offsetAt] = rows.offset[row]!
    numbers[at + timeAt] = rows.time[row]!
    numbers[at + watermarkAt] = rows.watermark[row]!
    const place = window * windows.spec.values + originsAt
    const ranges: Ranges = [...((windows.values[place] as readonly number[] | null) ?? [])]
    addOrigins(ranges, rows, row)
    windows.values[place] = ranges
    if (this.isTimed) this.arm(windows, window, this.plan.trigger.clock === 'event' ? this.timeMsOf(batch, row) : nowMs)
  }
  private arm(windows: StateTable, window: number, fromMs: number): void {
    const { afterMs, everyMs } = this.plan.trigger
    const after = afterMs === null ? Infinity : fromMs + afterMs
    const every = everyMs === null ? Infinity : Math.floor(fromMs / everyMs) * everyMs + everyMs
    const due = Math.min(after, every)
    const before = dueOf(windows, window)
    if (due >= before) return
    if (before < Infinity) this.pending.remove(window)
    windows.numbers[window * windows.spec.numbers + dueAt] = due
    this.pending.add(window)
  }
  private fires(windows: StateTable, window: number, batch: Batch, row: number): boolean {
    const { rows, when } = this.plan.trigger
    if (rows !== null && windows.numbers[window * windows.spec.numbers + rowsAt]! >= rows) return true
    if (when === null) return false
    const column = batch.columns[when]!
    return column.kind === 'f64' && (column.valid === null || column.valid[row] === 1) && column.data[row] === 1
  }
  /** Timers up to a time, oldest first; those of one time by their keys. */
  private fireDue(tables: Tables, upToMs: number, watermark: number, out: Output): void {
    const { windows } = tables
    for (let window = this.pending.first(); window !== undefined; window = this.pending.first()) {
      const due = dueOf(windows, window)
      if (due > upToMs) return
      windows.touch(window)
      this.fire(tables, window, { atMs: due, watermark }, out)
    }
  }
  /** `timer`: what fires; null: its last row. */
  private fire(
    tables: Tables,
    window: number,
    timer: { readonly atMs: number; readonly watermark: number } | null,
    out: Output,
  ): void {
    const { windows, members } = tables
    const { keep, trigger, keys } = this.plan
    const { numbers, values } = windows
    const at = window * windows.spec.numbers
    this.fold.results(windows, window, members, this.results, 0)
    this.keys.read(windows, window, out.builders)
    for (let i = 0; i < this.results.length; i++) out.builders[keys.length + i]!.push(this.results[i]!)
    const [source, offset] = [numbers[at + sourceAt]!, numbers[at + offsetAt]!]
    if (timer === null) out.end(1, source, offset, numbers[at + timeAt]!, numbers[at + watermarkAt]!)
    // The watermark has just come to it: it is not late for what is behind.
    else if (trigger.clock === 'event') out.end(1, source, offset, timer.atMs * 1000, timer.atMs - 1)
    else out.end(1, source, offset, numbers[at + timeAt]!, timer.watermark)
    const place = window * windows.spec.values + originsAt
    out.rows.origins(values[place] as readonly number[], keep.of !== 'none')
    if (keep.of === 'none') return this.drop(tables, window)
    this.disarm(windows, window)
    numbers[at + rowsAt] = 0
    values[place] = null
  }
  private disarm(windows: StateTable, window: number): void {
    if (dueOf(windows, window) === Infinity) return
    this.pending.remove(window)
    windows.numbers[window * windows.spec.numbers + dueAt] = Infinity
  }
  private drop({ windows, members, rows }: Tables, window: number): void {
    windows.touch(window)
    this.disarm(windows, window)
    this.fold.members?.drop(windows, members!, window)
    for (const id of this.kept?.of.get(window) ?? []) rows!.remove(id)
    this.kept?.of.delete(window)
    windows.remove(window)
  }
}
const dueOf = (windows: StateTable, window: number): number => windows.numbers[window * windows.spec.numbers + dueAt]!
const keptTime = (rows: StateTable, id: number): number => rows.numbers[id * rows.spec.numbers]!
function positionOf(expression: Expression): number {
  assert(expression.kind === 'column', 'what a global window aggregates are columns')
  return expression.index
}
