/**
 * Rows that stand in the result for a time only: from `from` on, and until `until`, both times of the clock (now()). What
 * comes early waits; what comes too late never stands there.
 *
 * State: every row that is still to come or to go, by what it holds, equal rows once with the count of their copies; over an
 * append-only input by its ordinal.
 */
import type { Columns } from '../../schema/types.ts'
import { type Batch, type Column, emptyBatch, isNull } from '../batch.ts'
import { evaluator } from '../evaluate.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import type { Operator, StepTime } from '../operator.ts'
import type { Plan } from '../plan.ts'
import { Output, rowLayout, writeOrdinal } from '../row-store.ts'
import { SortedIds } from '../sorted.ts'
import type { StateTable } from '../state.ts'

type ExpirePlan = Plan & { op: 'expire' }

// Fields of a row: when it next comes or goes (µs), ordinal, its event time and watermark, its copies, when it goes, and
// whether it stands there.
const dueAt = 0
const sourceAt = 1
const offsetAt = 2
const timeAt = 3
const watermarkAt = 4
const copiesAt = 5
const untilAt = 6
const shownAt = 7
const ownNumbers = 8

/** `grows`: the input never withdraws. */
export function expire(plan: ExpirePlan, input: Columns, grows: boolean): Operator {
  return new Expire(plan, input, grows)
}

class Expire implements Operator {
  readonly kind = 'expire'
  readonly tables
  private readonly plan: ExpirePlan
  private readonly grows: boolean
  private readonly bounds
  private readonly layout
  private readonly encodeRow
  private readonly writer = new KeyWriter()
  /** By when they come or go. */
  private waiting!: SortedIds

  constructor(plan: ExpirePlan, input: Columns, grows: boolean) {
    this.plan = plan
    this.grows = grows
    this.bounds = evaluator([plan.from, plan.until].filter((bound) => bound !== null))
    this.layout = rowLayout(input, ownNumbers)
    this.encodeRow = keyEncoder(input.map((c, i) => ({ column: i, type: c.type })))
    this.tables = [{ name: 'rows', ...this.layout.fields }]
  }
  rebuild([rows]: readonly StateTable[]): void {
    this.waiting = new SortedIds((a, b) => dueOf(rows!, a) - dueOf(rows!, b) || rows!.compareKeys(a, b))
    for (const id of rows!.all()) if (dueOf(rows!, id) < Infinity) this.waiting.add(id)
  }
  waits(): boolean {
    return this.waiting.count > 0
  }
  due([rows]: readonly StateTable[]): number {
    const first = this.waiting.first()
    return first === undefined ? Infinity : Math.ceil(dueOf(rows!, first) / 1000)
  }

  step([rows]: readonly StateTable[], [input = emptyBatch]: readonly Batch[], { nowUs }: StepTime): Batch {
    const out = new Output(this.plan.columns)
    const { batch, columns, failed } =
      input.count === 0 ? { batch: input, columns: [], failed: null } : this.bounds(input, nowUs)
    // What is due first: a row that comes and one that goes at the same moment are two changes.
    this.turn(rows!, nowUs, out)
    for (let row = 0; row < batch.count; row++) {
      const from = this.plan.from === null ? -Infinity : boundOf(columns[0]!, row)
      const until = this.plan.until === null ? Infinity : boundOf(columns.at(-1)!, row)
      if (from < until && until > nowUs) this.take(rows!, batch, row, { from, until, nowUs }, out)
    }
    return out.done(null, failed)
  }
  private take(
    rows: StateTable,
    batch: Batch,
    row: number,
    { from, until, nowUs }: { from: number; until: number; nowUs: number },
    out: Output,
  ): void {
    const weight = batch.weights === null ? 1 : batch.weights[row]!
    const isShown = from <= nowUs
    if (isShown) {
      for (let c = 0; c < out.builders.length; c++) out.builders[c]!.pushFrom(batch.columns[c]!, row)
      out.endFrom(weight, batch.rows, row)
      if (until === Infinity) return
    }
    this.writer.length = 0
    if (this.grows) writeOrdinal(rows, this.writer, batch.rows, row)
    else this.encodeRow(this.writer, batch, row)
    let id = rows.find(this.writer)
    if (id < 0) {
      id = rows.add(this.writer)
      this.layout.write(rows, id, batch, row)
      const at = id * rows.spec.numbers
      rows.numbers[at + dueAt] = isShown ? until : from
      rows.numbers[at + untilAt] = until
      rows.numbers[at + shownAt] = isShown ? 1 : 0
      this.waiting.add(id)
    } else rows.touch(id)
    this.stamp(rows, id, batch, row, weight)
    if (rows.numbers[id * rows.spec.numbers + copiesAt] === 0) this.forget(rows, id)
  }
  private stamp(rows: StateTable, id: number, batch: Batch, row: number, weight: number): void {
    const at = id * rows.spec.numbers
    const { numbers } = rows
    numbers[at + sourceAt] = batch.rows.source[row]!
    numbers[at + offsetAt] = batch.rows.offset[row]!
    numbers[at + timeAt] = batch.rows.time[row]!
    numbers[at + watermarkAt] = batch.rows.watermark[row]!
    numbers[at + copiesAt]! += weight
  }
  private forget(rows: StateTable, id: number): void {
    this.waiting.remove(id)
    rows.remove(id)
  }
  /** What comes and goes by now. */
  private turn(rows: StateTable, nowUs: number, out: Output): void {
    for (let id = this.waiting.first(); id !== undefined; id = this.waiting.first()) {
      const at = id * rows.spec.numbers
      if (rows.numbers[at + dueAt]! > nowUs) return
      const until = rows.numbers[at + untilAt]!
      const isShown = rows.numbers[at + shownAt] === 1
      const copies = rows.numbers[at + copiesAt]!
      if (isShown) this.push(rows, id, -copies, out)
      else if (until > nowUs) this.push(rows, id, copies, out)
      this.waiting.shift()
      if (isShown || until <= nowUs || until === Infinity) {
        rows.remove(id)
        continue
      }
      rows.touch(id)
      rows.numbers[at + dueAt] = until
      rows.numbers[at + shownAt] = 1
      this.waiting.add(id)
    }
  }
  private push(rows: StateTable, id: number, weight: number, out: Output): void {
    this.layout.read(rows, id, out.builders)
    const at = id * rows.spec.numbers
    const { numbers } = rows
    out.end(weight, numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!, numbers[at + watermarkAt]!)
    out.rows.origins([], true)
  }
}
const dueOf = (rows: StateTable, id: number): number => rows.numbers[id * rows.spec.numbers + dueAt]!
/** NaN, of which no comparison holds, where it is NULL. */
function boundOf(column: Column, row: number): number {
  if (isNull(column, row) || column.kind !== 'f64') return NaN
  return column.data[row]!
}
