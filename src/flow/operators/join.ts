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
import {
  type Batch,
  type FailedRows,
  type RowFailure,
  emptyBatch,
  gatherBatch,
  gatherColumn,
  withoutRows,
} from '../batch.ts'
import { compileFilter } from '../compile.ts'
import { concatenate } from '../concatenate.ts'
import { JoinSide, type PairPlace, firstPair } from '../join-side.ts'
import { type Operator, type Pieces, type Room, type StepTime, allRoom } from '../operator.ts'
import { PairProvenance } from '../pair-provenance.ts'
import type { Plan } from '../plan.ts'
import { planText } from '../plan-facts.ts'
import { Output } from '../row-store.ts'
import { StateTable } from '../state.ts'

type JoinPlan = Plan & { op: 'join' }
/** In the text of a condition that asks for the time. */
const nowText = '"kind":"now"'
/** Every row that stands in the result is made of rows in its state. A row whose key holds a NULL is given and not kept. */
function keepsAll({ kind, left, right, leftKeys, rightKeys, windowEnd, where }: JoinPlan): boolean {
  if (windowEnd !== null || (where !== null && planText(where).includes(nowText))) return false
  const isKept = (side: Plan, keys: readonly number[]): boolean => keys.every((key) => !side.columns[key]!.nullable)
  const leftAlone = kind === 'left' || kind === 'full' || kind === 'anti'
  const rightAlone = kind === 'right' || kind === 'full'
  return (!leftAlone || isKept(left, leftKeys)) && (!rightAlone || isKept(right, rightKeys))
}
/** `grows`: what never withdraws, left and right. */
export function join(plan: JoinPlan, grows: readonly [boolean, boolean]): Operator {
  return new Join(plan, grows)
}

class Join implements Operator {
  readonly kind = 'join'
  readonly tables
  readonly content?: (state: readonly StateTable[]) => Batch
  private readonly plan: JoinPlan
  private readonly left: JoinSide
  private readonly right: JoinSide
  private readonly pairs: boolean
  private readonly where

  constructor(plan: JoinPlan, [leftGrows, rightGrows]: readonly [boolean, boolean]) {
    this.plan = plan
    if (keepsAll(plan)) this.content = (state) => this.again(state, [leftGrows, rightGrows])
    const { kind, windowEnd } = plan
    this.pairs = kind !== 'semi' && kind !== 'anti'
    this.where = plan.where === null ? null : compileFilter(plan.where)
    const ofLeft = kind === 'semi' ? 'with' : kind === 'inner' || kind === 'right' ? 'never' : 'without'
    const ofRight = kind === 'right' || kind === 'full' ? 'without' : 'never'
    const { left, right, leftKeys, rightKeys } = plan
    const { columns } = left
    this.left = new JoinSide('left', { columns, keys: leftKeys, grows: leftGrows, alone: ofLeft, windowEnd })
    this.right = new JoinSide('right', {
      columns: right.columns,
      keys: rightKeys,
      grows: rightGrows,
      alone: ofRight,
      windowEnd,
    })
    this.tables = [this.left.spec, this.right.spec]
  }

  /** What another one gives of the rows that this one keeps. */
  private again([left, right]: readonly StateTable[], grows: readonly [boolean, boolean]): Batch {
    const again = new Join(this.plan, grows)
    const nowUs = 0
    const time = { nowUs, before: -Infinity, watermark: -Infinity, due: -Infinity }
    const tables = again.tables.map((spec) => new StateTable(spec))
    return again.step(tables, [this.left.allRows(left!), this.right.allRows(right!)], time)
  }
  rebuild([left, right]: readonly StateTable[]): void {
    this.left.rebuild(left!)
    this.right.rebuild(right!)
  }
  forgetOld([left, right]: readonly StateTable[]): void {
    if (this.plan.windowEnd !== null) return
    this.left.forgetOld(left!)
    this.right.forgetOld(right!)
  }
  evict([left, right]: readonly StateTable[], bytes: number): void {
    const [ofLeft, ofRight] = [left!.usedBytes, right!.usedBytes]
    this.left.evict(left!, (bytes * ofLeft) / (ofLeft + ofRight))
    this.right.evict(right!, (bytes * ofRight) / (ofLeft + ofRight))
  }
  waits(): boolean {
    return this.left.waiting + this.right.waiting > 0
  }

  step(state: readonly StateTable[], batches: readonly Batch[], time: StepTime): Batch {
    return this.pieces(state, batches, time, allRoom).next().value
  }
  *pieces(
    [leftTable, rightTable]: readonly StateTable[],
    [left = emptyBatch, right = emptyBatch]: readonly Batch[],
    time: StepTime,
    room: Room,
  ): Pieces {
    let parts: Batch[] = []
    let failures: FailedRows[] = []
    const piece = (): Batch => {
      const made = joined(parts, this.plan.columns)
      const failed = allFailed(failures, this.plan.left.columns)
      parts = []
      failures = []
      return { ...made, failed }
    }
    const ofLeft = { from: this.left, table: leftTable!, batch: left, to: this.right, others: rightTable! }
    const ofRight = { from: this.right, table: rightTable!, batch: right, to: this.left, others: leftTable! }
    for (const side of [ofLeft, ofRight]) {
      const { from, table, batch } = side
      if (batch.count === 0) continue
      const alone = new Output(this.plan.columns)
      const taken = from.take(table, batch, (row, weight) => this.pad(from, batch, row, weight, alone))
      parts.push(alone.done())
      const meeting = { ...side, ...taken, place: firstPair() }
      for (;;) {
        parts.push(this.meet(meeting, room, time.nowUs, failures))
        if (meeting.place.row === batch.count) break
        yield piece()
      }
    }
    const alone = new Output(this.plan.columns)
    for (const [side, table] of [
      [this.left, leftTable!],
      [this.right, rightTable!],
    ] as const)
      side.settle(table, time.watermark, (id, weight) => this.padStored(side, table, id, weight, alone))
    parts.push(alone.done())
    return piece()
  }

  /** New rows of one side against all of the other, as many pairs as there is room for. */
  private meet(meeting: Meeting, room: Room, nowUs: number, failures: FailedRows[]): Batch {
    const { from, table, batch, ids, isNew, to, others, place } = meeting
    const found = to.partnersOf(others, { keys: from.keysOf(batch), ids, count: batch.count }, place, room)
    if (found.count === 0) return emptyBatch
    const pairs = this.pairUp(meeting, found)
    const passing = this.filtered(pairs, nowUs, failures)
    for (let i = 0; i < passing.length; i++) {
      const row = found.rows[passing[i]!]!
      const partner = found.partners[passing[i]!]!
      to.addPartners(others, partner, batch.weights === null ? 1 : batch.weights[row]!)
      // Another copy of a row has the partners of the first.
      if (isNew[row] === 1) from.addPartners(table, ids[row]!, to.copiesOf(others, partner))
    }
    if (!this.pairs) return emptyBatch
    return passing.length === pairs.count ? pairs : gatherBatch(pairs, passing, passing.length)
  }
  private pairUp(
    { from, batch, to, others }: Meeting,
    { rows, partners, count }: { rows: Int32Array; partners: Int32Array; count: number },
  ): Batch {
    const mine = batch.columns.slice(0, from.columns.length).map((column) => gatherColumn(column, rows, count))
    const theirs = to.columnsOf(others, partners, count)
    const provenance = new PairProvenance(count)
    let weights: Float64Array | null = null
    for (let i = 0; i < count; i++) {
      const row = rows[i]!
      const partner = partners[i]!
      provenance.push(batch.rows, row, to.ordinalOf(others, partner))
      const weight = (batch.weights === null ? 1 : batch.weights[row]!) * to.copiesOf(others, partner)
      if (weight === 1) continue
      weights ??= new Float64Array(count).fill(1)
      weights[i] = weight
    }
    const columns = from === this.left ? [...mine, ...theirs] : [...theirs, ...mine]
    return { count, columns, weights, rows: provenance.done(), late: null, failed: null }
  }
  /** The pairs that the condition lets pass; those for which it has no value are kept as their left rows. */
  private filtered(pairs: Batch, nowUs: number, failures: FailedRows[]): Int32Array {
    if (this.where === null) return everyRow(pairs.count)
    const bad: RowFailure[] = []
    const passing = new Int32Array(pairs.count)
    const count = this.where(pairs.columns, pairs.count, nowUs, passing, bad)
    const { failed } = withoutRows(pairs, bad)
    if (failed !== null) {
      const columns = failed.batch.columns.slice(0, this.plan.left.columns.length)
      failures.push({ ...failed, batch: { ...failed.batch, columns } })
    }
    return passing.subarray(0, count)
  }

  /** A row of the input that has no partner, as a row of the result. */
  private pad(side: JoinSide, batch: Batch, row: number, weight: number, out: Output): void {
    const [from, to] = this.columnsOf(side, out)
    for (let c = 0; c < from.length; c++) from[c]!.pushFrom(batch.columns[c]!, row)
    for (const builder of to) builder.pushNull()
    out.endFrom(weight, batch.rows, row)
  }
  private padStored(side: JoinSide, table: StateTable, id: number, weight: number, out: Output): void {
    const [from, to] = this.columnsOf(side, out)
    side.layout.read(table, id, from)
    for (const builder of to) builder.pushNull()
    const { source, offset, time, watermark } = side.ordinalOf(table, id)
    out.end(weight, source, offset, time, watermark)
    out.rows.origins([], true)
  }
  private columnsOf(side: JoinSide, out: Output) {
    const width = this.plan.left.columns.length
    const lefts = out.builders.slice(0, width)
    const rights = out.builders.slice(width)
    return side === this.left ? ([lefts, rights] as const) : ([rights, lefts] as const)
  }
}

/** What came on one side, and the other side that it meets. */
interface Meeting {
  readonly from: JoinSide
  readonly table: StateTable
  readonly batch: Batch
  readonly to: JoinSide
  readonly others: StateTable
  /** The stored row of each row of the batch; −1: its key holds a NULL. */
  readonly ids: Int32Array
  readonly isNew: Uint8Array
  /** The pair to go on with. */
  readonly place: PairPlace
}

let counted = new Int32Array(0)
/** 0, 1, 2 … */
function everyRow(count: number): Int32Array {
  if (counted.length < count) counted = Int32Array.from({ length: count * 2 }, (_, i) => i)
  return counted.subarray(0, count)
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
