/**
 * GROUP BY. State: a row per group with the count of its rows, its key columns and its aggregates; the values of DISTINCT
 * and of extremes that may shrink in a second table.
 *
 * 'update': per batch and group at most one withdrawal of the old result and one new result. 'close': one row per group,
 * when the watermark has passed its window; windows in order of their ends, groups of a window in order of their keys.
 *
 * Where the keys hold a window's end [.., e): the window closes when the watermark reaches e − 1 ms; its state is dropped
 * and it never opens again. A row is late if its window had closed by the watermark that stood before the row at its
 * source partition, however the input was cut into batches. The watermark that closes is the smallest over the
 * partitions, so no row that is not late can find its window closed, save one whose partition had been left out as idle:
 * that row is late too, and counted apart.
 */
import { assert } from '../../lib/assert.ts'
import type { Columns } from '../../schema/types.ts'
import { Fold } from '../aggregates/fold.ts'
import { memberTable } from '../aggregates/members.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import type { Value } from '../expression.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import { closeMsOfRow, OpenWindows } from '../open-windows.ts'
import type { Operator, StepTime } from '../operator.ts'
import { addOrigins, mergeRanges, type Ranges } from '../origins.ts'
import type { Plan } from '../plan.ts'
import { LateCollector, Output, rowLayout, sameValue } from '../row-store.ts'
import type { StateTable } from '../state.ts'

type AggregatePlan = Plan & { op: 'aggregate' }

/** Fields of a group's row. `closeMs`: the watermark that closes its window. `watermark`: the largest of its rows'. */
const rowsAt = 0
const closeAt = 1
const watermarkAt = 2
const ownNumbers = 3
/** Ranges that a window's result came from; only kept for 'close'. */
const originsAt = 0
const ownValues = 1

interface Touched {
  readonly group: number
  /** Results before the step; null = the group did not exist. */
  readonly before: readonly Value[] | null
  lastRow: number
  watermark: number
  readonly origins: Ranges
}

/** `grows`: the input never withdraws. */
export function aggregate(plan: AggregatePlan, input: Columns, grows: boolean): Operator {
  return new GroupBy(plan, input, grows)
}

class GroupBy implements Operator {
  readonly kind = 'aggregate'
  readonly tables
  private readonly plan: AggregatePlan
  private readonly fold: Fold
  private readonly keys
  private readonly encode
  private readonly writer = new KeyWriter()
  private readonly windowColumn: number
  private readonly global: boolean
  /** null: nothing ever closes. */
  private open: OpenWindows | null = null
  private touched = new Map<number, Touched>()

  constructor(plan: AggregatePlan, input: Columns, grows: boolean) {
    this.plan = plan
    this.global = plan.keys.length === 0
    this.keys = rowLayout(
      plan.keys.map((k) => input[k]!),
      ownNumbers,
      ownValues,
    )
    this.fold = new Fold(plan.aggregates, grows, this.keys.fields.numbers, this.keys.fields.values)
    this.encode = keyEncoder(plan.keys.map((k) => ({ column: k, type: input[k]!.type })))
    this.windowColumn = plan.windowEnd === null ? -1 : plan.keys[plan.windowEnd]!
    assert(plan.emit === 'update' || this.windowColumn >= 0, 'what emits on close has a window')
    this.tables = [
      { ...this.keys.fields, name: 'groups', numbers: this.fold.numbers, values: this.fold.values },
      ...(this.fold.members === null ? [] : [memberTable]),
    ]
  }

  rebuild([groups, members]: readonly StateTable[]): void {
    this.touched = new Map()
    this.fold.members?.rebuild(members!, (key) => groups!.findKey(key))
    if (this.windowColumn < 0) return
    this.open = new OpenWindows()
    for (const id of groups!.all()) this.open.add(closeOf(groups!, id), id)
  }
  /** A result over no rows at all exists from the start. */
  waits([groups]: readonly StateTable[]): boolean {
    return (this.global && groups!.count === 0) || (this.open !== null && this.open.count > 0)
  }

  step([groups, members]: readonly StateTable[], [input = emptyBatch]: readonly Batch[], time: StepTime): Batch {
    const late = new LateCollector()
    const out = new Output(this.plan.columns)
    if (this.global && groups!.count === 0) this.begin(groups!)
    const { batch, failed } = input.count === 0 ? { batch: input, failed: null } : this.fold.prepare(input, time.nowUs)
    for (let row = 0; row < batch.count;) row = this.takeRecord(groups!, members, batch, row, time, late)
    this.flush(groups!, members, batch, out)
    if (this.open !== null) this.close(this.open, groups!, members, time.watermark, out)
    return out.done(late.done(), failed)
  }
  /** The one group of an aggregate without keys, over nothing. */
  private begin(groups: StateTable): void {
    this.writer.length = 0
    const group = groups.add(this.writer)
    groups.numbers[group * groups.spec.numbers + watermarkAt] = -Infinity
    if (this.plan.emit === 'update')
      this.touched.set(group, { group, before: null, lastRow: -1, watermark: -Infinity, origins: [] })
  }
  /** The rows of one record, one a window: it is late when all of its windows have closed. Gives the row behind them. */
  private takeRecord(
    groups: StateTable,
    members: StateTable | undefined,
    batch: Batch,
    from: number,
    time: StepTime,
    late: LateCollector,
  ): number {
    let isTaken = false
    let row = from
    do {
      const closeMs = this.windowColumn < 0 ? Infinity : closeMsOfRow(batch, this.windowColumn, row)
      if (closeMs > batch.rows.watermark[row]! && closeMs > time.before) {
        this.take(groups, members, batch, row, closeMs)
        isTaken = true
      }
      row++
    } while (row < batch.count && this.windowColumn >= 0 && isSameRecord(batch, from, row))
    const last = row - 1
    if (!isTaken) late.add(batch.rows, last, closeMsOfRow(batch, this.windowColumn, last) > batch.rows.watermark[last]!)
    return row
  }
  private take(groups: StateTable, members: StateTable | undefined, batch: Batch, row: number, closeMs: number): void {
    this.writer.length = 0
    this.encode(this.writer, batch, row)
    let group = groups.find(this.writer)
    const isNew = group < 0
    if (isNew) group = this.create(groups, batch, row, closeMs)
    const touched = this.touch(groups, members, group, isNew)
    touched.lastRow = row
    touched.watermark = Math.max(touched.watermark, batch.rows.watermark[row]!)
    addOrigins(touched.origins, batch.rows, row)
    const weight = batch.weights === null ? 1 : batch.weights[row]!
    groups.numbers[group * groups.spec.numbers + rowsAt]! += weight
    this.fold.add(groups, group, members, this.writer, row, weight)
  }
  private create(groups: StateTable, batch: Batch, row: number, closeMs: number): number {
    const group = groups.add(this.writer)
    this.keys.write(groups, group, { columns: this.plan.keys.map((k) => batch.columns[k]!) }, row)
    groups.numbers[group * groups.spec.numbers + closeAt] = closeMs
    groups.numbers[group * groups.spec.numbers + watermarkAt] = -Infinity
    this.open?.add(closeMs, group)
    return group
  }
  private touch(groups: StateTable, members: StateTable | undefined, group: number, isNew: boolean): Touched {
    const known = this.touched.get(group)
    if (known !== undefined) return known
    groups.touch(group)
    const exists = !isNew && this.exists(groups, group)
    const before = this.plan.emit === 'update' && exists ? this.results(groups, members, group) : null
    const touched: Touched = { group, before, lastRow: -1, watermark: -Infinity, origins: [] }
    this.touched.set(group, touched)
    return touched
  }
  private exists(groups: StateTable, group: number): boolean {
    return this.global || groups.numbers[group * groups.spec.numbers + rowsAt]! > 0
  }
  private results(groups: StateTable, members: StateTable | undefined, group: number): Value[] {
    const results: Value[] = []
    this.fold.results(groups, group, members, results, 0)
    return results
  }

  /** Ends the step for the groups it touched. */
  private flush(groups: StateTable, members: StateTable | undefined, batch: Batch, out: Output): void {
    for (const touched of this.touched.values()) {
      const { group } = touched
      const exists = this.exists(groups, group)
      if (this.plan.emit === 'update') this.emitChange(groups, members, batch, touched, exists, out)
      else this.remember(groups, touched)
      if (!exists && groups.numbers[group * groups.spec.numbers + rowsAt] === 0) this.drop(groups, members, group)
    }
    this.touched.clear()
  }
  private emitChange(
    groups: StateTable,
    members: StateTable | undefined,
    batch: Batch,
    touched: Touched,
    exists: boolean,
    out: Output,
  ): void {
    const { group, before } = touched
    const after = exists ? this.results(groups, members, group) : null
    if (before !== null && after !== null && before.every((v, i) => sameValue(v, after[i]))) return
    for (const [values, weight] of [
      [before, -1],
      [after, 1],
    ] as const) {
      if (values === null) continue
      this.pushRow(groups, group, values, out)
      const row = touched.lastRow
      if (row < 0) out.end(weight, -1, -1, -Infinity, touched.watermark)
      else out.end(weight, batch.rows.source[row]!, batch.rows.offset[row]!, batch.rows.time[row]!, touched.watermark)
      out.rows.origins(touched.origins, true)
    }
  }
  private pushRow(groups: StateTable, group: number, values: readonly Value[], out: Output): void {
    this.keys.read(groups, group, out.builders)
    for (let i = 0; i < values.length; i++) out.builders[this.plan.keys.length + i]!.push(values[i]!)
  }
  /** What a window's one result will say about where it came from. */
  private remember(groups: StateTable, touched: Touched): void {
    const at = touched.group * groups.spec.numbers + watermarkAt
    groups.numbers[at] = Math.max(groups.numbers[at]!, touched.watermark)
    const place = touched.group * groups.spec.values + originsAt
    const ranges = [...((groups.values[place] as readonly number[] | null) ?? [])]
    mergeRanges(ranges, touched.origins)
    groups.values[place] = ranges
  }
  private drop(groups: StateTable, members: StateTable | undefined, group: number): void {
    if (this.global) return
    this.open?.remove(closeOf(groups, group), group)
    this.fold.members?.drop(members!, group)
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
    for (let closed = open.takeClosed(watermark); closed !== null; closed = open.takeClosed(watermark)) {
      if (this.plan.emit === 'close') closed.sort((a, b) => groups.compareKeys(a, b))
      for (const group of closed) {
        if (this.plan.emit === 'close') this.emitClosed(groups, members, group, out)
        this.drop(groups, members, group)
      }
    }
  }
  private emitClosed(groups: StateTable, members: StateTable | undefined, group: number, out: Output): void {
    if (!this.exists(groups, group)) return
    this.pushRow(groups, group, this.results(groups, members, group), out)
    const at = group * groups.spec.numbers
    out.end(1, -1, -1, groups.numbers[at + closeAt]! * 1000, groups.numbers[at + watermarkAt]!)
    out.rows.origins((groups.values[group * groups.spec.values + originsAt] as readonly number[] | null) ?? [], false)
  }
}
/** By the ordinal; what comes from the clock alone is of no record. */
function isSameRecord({ rows }: Batch, a: number, b: number): boolean {
  return rows.source[a]! >= 0 && rows.source[a] === rows.source[b] && rows.offset[a] === rows.offset[b]
}
const closeOf = (groups: StateTable, group: number): number => groups.numbers[group * groups.spec.numbers + closeAt]!
