/**
 * Joins of two inputs that both may change: inner, left, right and full outer, semi (EXISTS) and anti (NOT EXISTS). What
 * comes on one side meets all that the other side holds, and whatever that changes in the result is withdrawn or added:
 * Δ(L ⋈ R) = ΔL ⋈ R + (L + ΔL) ⋈ ΔR (Gupta and Mumick, Maintenance of Materialized Views, 1995). No row is ever late.
 *
 * State: the rows of each side by (key, row), equal rows once with the count of their copies. Where rows without partner
 * matter, a row also keeps how many copies of partners it has; its own row of the result (padded with NULLs, or itself in
 * a semi and anti join) is there or not by that number, compared once at the end of a step. A NULL in the key equals
 * nothing.
 *
 * Where both keys hold a window's end, rows go when the watermark has passed it: neither input changes them any more.
 */
import type { Columns } from '../../schema/types.ts'
import { type Batch, type FailedRows, type RowFailure, emptyBatch, gatherBatch, withoutRows } from '../batch.ts'
import { compileFilter } from '../compile.ts'
import { concatenate } from '../evaluate.ts'
import { KeyWriter, type KeyPart, anyNull, keyEncoder } from '../key.ts'
import { closeMsOfRow, OpenWindows } from '../open-windows.ts'
import type { Operator, StepTime } from '../operator.ts'
import { addOrigins, mergeRanges, type Ranges } from '../origins.ts'
import type { Plan } from '../plan.ts'
import { Output, rowLayout, writeOrdinal } from '../row-store.ts'
import { SortedIds } from '../sorted.ts'
import type { StateTable } from '../state.ts'

type JoinPlan = Plan & { op: 'join' }

// Fields of a row: time (µs) and ordinal of what it came from last, the watermark that stood before it, its copies, those
// of its partners, and the watermark that lets it go.
const timeAt = 0
const sourceAt = 1
const offsetAt = 2
const watermarkAt = 3
const copiesAt = 4
const partnersAt = 5
const closeAt = 6
const ownNumbers = 7

/** `grows`: what never withdraws, left and right. */
export function join(plan: JoinPlan, grows: readonly [boolean, boolean]): Operator {
  return new Join(plan, grows)
}

class Join implements Operator {
  readonly kind = 'join'
  readonly tables
  private readonly plan: JoinPlan
  private readonly left: Side
  private readonly right: Side
  private readonly pairs: boolean
  private readonly pairColumns: Columns
  private readonly where

  constructor(plan: JoinPlan, [leftGrows, rightGrows]: readonly [boolean, boolean]) {
    this.plan = plan
    const { kind, windowEnd } = plan
    this.pairs = kind !== 'semi' && kind !== 'anti'
    this.pairColumns = [...plan.left.columns, ...plan.right.columns]
    this.where = plan.where === null ? null : compileFilter(plan.where)
    const ofLeft = kind === 'semi' ? 'with' : kind === 'inner' || kind === 'right' ? 'never' : 'without'
    const ofRight = kind === 'right' || kind === 'full' ? 'without' : 'never'
    const { left, right, leftKeys, rightKeys } = plan
    const { columns } = left
    this.left = new Side('left', { columns, keys: leftKeys, grows: leftGrows, alone: ofLeft, windowEnd })
    this.right = new Side('right', {
      columns: right.columns,
      keys: rightKeys,
      grows: rightGrows,
      alone: ofRight,
      windowEnd,
    })
    this.tables = [this.left.spec, this.right.spec]
  }

  rebuild([left, right]: readonly StateTable[]): void {
    this.left.rebuild(left!)
    this.right.rebuild(right!)
  }
  waits(): boolean {
    return this.left.open.count + this.right.open.count > 0
  }

  step(
    [leftTable, rightTable]: readonly StateTable[],
    [left = emptyBatch, right = emptyBatch]: readonly Batch[],
    time: StepTime,
  ): Batch {
    const parts: Batch[] = []
    const failures: FailedRows[] = []
    const meet = (from: Side, table: StateTable, batch: Batch, to: Side, others: StateTable): void => {
      if (batch.count === 0) return
      const alone = new Output(this.plan.columns)
      const taken = from.take(table, batch, (row, weight) => this.pad(from, batch, row, weight, alone))
      const pairs = this.meet({ from, table, batch, ...taken, to, others }, time.nowUs, failures)
      parts.push(alone.done(), pairs)
    }
    meet(this.left, leftTable!, left, this.right, rightTable!)
    meet(this.right, rightTable!, right, this.left, leftTable!)
    const alone = new Output(this.plan.columns)
    for (const [side, table] of [
      [this.left, leftTable!],
      [this.right, rightTable!],
    ] as const)
      side.settle(table, time.watermark, (id, weight) => this.padStored(side, table, id, weight, alone))
    parts.push(alone.done())
    return { ...joined(parts, this.plan.columns), failed: allFailed(failures, this.plan.left.columns) }
  }

  /** New rows of one side against all of the other. */
  private meet(meeting: Meeting, nowUs: number, failures: FailedRows[]): Batch {
    const { from, table, batch, ids, isNew, to, others } = meeting
    const out = new Output(this.pairColumns)
    const rows: number[] = []
    const partners: number[] = []
    const width = this.plan.left.columns.length
    const [mine, theirs] =
      from === this.left
        ? [out.builders.slice(0, width), out.builders.slice(width)]
        : [out.builders.slice(width), out.builders.slice(0, width)]
    for (let row = 0; row < batch.count; row++) {
      const id = ids[row]!
      if (id < 0) continue
      const weight = batch.weights === null ? 1 : batch.weights[row]!
      for (const partner of to.withKeyOf(table, id)) {
        const copies = others.numbers[partner * others.spec.numbers + copiesAt]!
        if (copies === 0) continue
        for (let c = 0; c < mine.length; c++) mine[c]!.pushFrom(batch.columns[c]!, row)
        to.layout.read(others, partner, theirs)
        endPair(out, batch, row, others, partner, weight * copies)
        rows.push(row)
        partners.push(partner)
      }
    }
    const { passing, pairs } = this.filtered(out, nowUs, failures)
    for (const pair of passing) {
      const row = rows[pair]!
      const partner = partners[pair]!
      const weight = batch.weights === null ? 1 : batch.weights[row]!
      to.addPartners(others, partner, weight)
      // Another copy of a row has the partners of the first.
      if (isNew[row] === 1)
        from.addPartners(table, ids[row]!, others.numbers[partner * others.spec.numbers + copiesAt]!)
    }
    if (!this.pairs) return emptyBatch
    return passing.length === pairs.count ? pairs : gatherBatch(pairs, passing, passing.length)
  }
  /** The pairs that the condition lets pass; those for which it has no value are kept as their left rows. */
  private filtered(out: Output, nowUs: number, failures: FailedRows[]): { passing: Int32Array; pairs: Batch } {
    const pairs = out.done()
    if (this.where === null || pairs.count === 0)
      return { passing: Int32Array.from({ length: pairs.count }, (_, i) => i), pairs }
    const bad: RowFailure[] = []
    const passing = new Int32Array(pairs.count)
    const count = this.where(pairs.columns, pairs.count, nowUs, passing, bad)
    const { failed } = withoutRows(pairs, bad)
    if (failed !== null) {
      const columns = failed.batch.columns.slice(0, this.plan.left.columns.length)
      failures.push({ ...failed, batch: { ...failed.batch, columns } })
    }
    return { passing: passing.subarray(0, count), pairs }
  }

  /** A row of the input that has no partner, as a row of the result. */
  private pad(side: Side, batch: Batch, row: number, weight: number, out: Output): void {
    const [from, to] = this.columnsOf(side, out)
    for (let c = 0; c < from.length; c++) from[c]!.pushFrom(batch.columns[c]!, row)
    for (const builder of to) builder.pushNull()
    out.endFrom(weight, batch.rows, row)
  }
  private padStored(side: Side, table: StateTable, id: number, weight: number, out: Output): void {
    const [from, to] = this.columnsOf(side, out)
    side.layout.read(table, id, from)
    for (const builder of to) builder.pushNull()
    const at = id * table.spec.numbers
    const { numbers } = table
    out.end(weight, numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!, numbers[at + watermarkAt]!)
    out.rows.origins([], true)
  }
  private columnsOf(side: Side, out: Output) {
    const width = this.plan.left.columns.length
    const lefts = out.builders.slice(0, width)
    const rights = out.builders.slice(width)
    return side === this.left ? ([lefts, rights] as const) : ([rights, lefts] as const)
  }
}

interface SideOptions {
  readonly columns: Columns
  readonly keys: readonly number[]
  readonly grows: boolean
  /** Which of its rows stand in the result by themselves: those with partners, those without, or none. */
  readonly alone: 'with' | 'without' | 'never'
  readonly windowEnd: number | null
}
interface Taken {
  /** The stored row of each row of the batch; −1: its key holds a NULL. */
  readonly ids: Int32Array
  readonly isNew: Uint8Array
}
/** What came on one side, and the other side that it meets. */
interface Meeting extends Taken {
  readonly from: Side
  readonly table: StateTable
  readonly batch: Batch
  readonly to: Side
  readonly others: StateTable
}

/** The rows of one input. */
class Side {
  readonly spec
  readonly layout
  /** Which rows wait for which watermark to go. */
  open = new OpenWindows()
  private readonly options: SideOptions
  private readonly keyParts: readonly KeyPart[]
  private readonly encodeKey
  private readonly encodeRow
  private readonly writer = new KeyWriter()
  /** Rows of a key, in the order of their bytes. */
  private byKey = new Map<string, SortedIds>()
  /** Rows touched in this step: how many times each stood in the result before. */
  private touched = new Map<number, number>()

  constructor(name: string, options: SideOptions) {
    const { columns, keys } = options
    this.options = options
    this.layout = rowLayout(columns, ownNumbers)
    this.spec = { name, ...this.layout.fields }
    this.keyParts = keys.map((k) => ({ column: k, type: columns[k]!.type }))
    this.encodeKey = keyEncoder(this.keyParts)
    this.encodeRow = keyEncoder(columns.map((c, i) => ({ column: i, type: c.type })))
  }
  rebuild(table: StateTable): void {
    this.byKey = new Map()
    this.touched = new Map()
    this.open = new OpenWindows()
    for (const id of table.all()) this.index(table, id)
  }
  private index(table: StateTable, id: number): void {
    const key = table.stateKeyOf(id).toString('latin1')
    let sorted = this.byKey.get(key)
    if (sorted === undefined) this.byKey.set(key, (sorted = new SortedIds((a, b) => table.compareKeys(a, b))))
    sorted.add(id)
    const closeMs = table.numbers[id * table.spec.numbers + closeAt]!
    if (this.options.windowEnd !== null) this.open.add(closeMs, id)
  }
  private forget(table: StateTable, id: number): void {
    const key = table.stateKeyOf(id).toString('latin1')
    const sorted = this.byKey.get(key)!
    sorted.remove(id)
    if (sorted.count === 0) this.byKey.delete(key)
    table.remove(id)
  }

  /** Keeps the rows; those whose key holds a NULL are told to `keyless` if they count without partner. */
  take(table: StateTable, batch: Batch, keyless: (row: number, weight: number) => void): Taken {
    const { grows, alone, windowEnd, keys } = this.options
    const ids = new Int32Array(batch.count)
    const isNew = new Uint8Array(batch.count)
    for (let row = 0; row < batch.count; row++) {
      const weight = batch.weights === null ? 1 : batch.weights[row]!
      if (anyNull(this.keyParts, batch, row)) {
        ids[row] = -1
        if (alone === 'without') keyless(row, weight)
        continue
      }
      this.writer.length = 0
      this.encodeKey(this.writer, batch, row)
      const stateKey = this.writer.length
      if (grows) writeOrdinal(table, this.writer, batch.rows, row)
      else this.encodeRow(this.writer, batch, row)
      let id = table.find(this.writer)
      if (id < 0) {
        id = table.add(this.writer, stateKey)
        this.layout.write(table, id, batch, row)
        if (windowEnd !== null)
          table.numbers[id * table.spec.numbers + closeAt] = closeMsOfRow(batch, keys[windowEnd]!, row)
        this.index(table, id)
        isNew[row] = 1
      } else table.touch(id)
      this.note(table, id)
      ids[row] = id
      this.stamp(table, id, batch, row, weight)
    }
    return { ids, isNew }
  }
  private stamp(table: StateTable, id: number, { rows }: Batch, row: number, weight: number): void {
    const at = id * table.spec.numbers
    const { numbers } = table
    numbers[at + timeAt] = rows.time[row]!
    numbers[at + sourceAt] = rows.source[row]!
    numbers[at + offsetAt] = rows.offset[row]!
    numbers[at + watermarkAt] = rows.watermark[row]!
    numbers[at + copiesAt]! += weight
  }
  /** Rows whose key is that of a row of the other side. */
  withKeyOf(other: StateTable, id: number): Iterable<number> {
    return this.byKey.get(other.stateKeyOf(id).toString('latin1')) ?? []
  }
  addPartners(table: StateTable, id: number, copies: number): void {
    if (this.options.alone === 'never') return
    table.touch(id)
    this.note(table, id)
    table.numbers[id * table.spec.numbers + partnersAt]! += copies
  }
  /** Remembers how it stood before the step. */
  private note(table: StateTable, id: number): void {
    if (!this.touched.has(id)) this.touched.set(id, this.standing(table, id))
  }
  /** How many times the row stands in the result by itself. */
  private standing(table: StateTable, id: number): number {
    const at = id * table.spec.numbers
    const hasPartner = table.numbers[at + partnersAt]! > 0
    const { alone } = this.options
    return alone === 'never' || hasPartner !== (alone === 'with') ? 0 : table.numbers[at + copiesAt]!
  }
  /** Ends a step: tells what stands in the result more or fewer times than before, and lets go what is over. */
  settle(table: StateTable, watermark: number, changed: (id: number, weight: number) => void): void {
    for (const [id, before] of this.touched) {
      const weight = this.standing(table, id) - before
      if (weight !== 0) changed(id, weight)
    }
    for (const id of this.touched.keys())
      if (table.numbers[id * table.spec.numbers + copiesAt] === 0) {
        this.open.remove(table.numbers[id * table.spec.numbers + closeAt]!, id)
        this.forget(table, id)
      }
    this.touched.clear()
    for (let ids = this.open.takeClosed(watermark); ids !== null; ids = this.open.takeClosed(watermark))
      for (const id of ids) this.forget(table, id)
  }
}

/** A pair is as late as the later of its two, and stands behind what both came from. */
function endPair(out: Output, batch: Batch, row: number, others: StateTable, id: number, weight: number): void {
  const { rows } = batch
  const { numbers } = others
  const at = id * others.spec.numbers
  const [source, offset, time] = [numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!]
  const watermark = Math.max(rows.watermark[row]!, numbers[at + watermarkAt]!)
  if (isAfter(time, source, offset, rows, row)) out.end(weight, source, offset, time, watermark)
  else out.end(weight, rows.source[row]!, rows.offset[row]!, rows.time[row]!, watermark)
  const ranges: Ranges = []
  addOrigins(ranges, rows, row)
  if (source >= 0) mergeRanges(ranges, [source, offset, offset])
  out.rows.origins(ranges, source < 0 || rows.origins?.state === true)
}
function isAfter(time: number, source: number, offset: number, rows: Batch['rows'], row: number): boolean {
  if (time !== rows.time[row]) return time > rows.time[row]!
  if (source !== rows.source[row]) return source > rows.source[row]!
  return offset > rows.offset[row]!
}
function joined(parts: readonly Batch[], columns: Columns): Batch {
  const filled = parts.filter(({ count }) => count > 0)
  return filled.length === 0 ? emptyBatch : filled.length === 1 ? filled[0]! : concatenate(filled, columns)
}
function allFailed(parts: readonly FailedRows[], left: Columns): FailedRows | null {
  if (parts.length < 2) return parts[0] ?? null
  const batches = parts.map(({ batch }) => batch)
  return { batch: concatenate(batches, left), faults: parts.flatMap(({ faults }) => faults) }
}
