/**
 * OVER (PARTITION BY … ORDER BY event time ROWS BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW, or AND 1 PRECEDING): each row
 * with aggregates over its partition's rows up to itself, or before itself. The input is append-only.
 *
 * A row waits until the watermark has passed it, then rows go out in the order of (event time, ordinal): so each
 * aggregate sees its rows in that order whatever order they came in, and nothing is ever restated. State: rows that wait;
 * a row of aggregates per partition. A row that the watermark had passed when it arrived is late.
 */
import type { Columns } from '../../schema/types.ts'
import { Fold } from '../aggregates/fold.ts'
import { memberTable } from '../aggregates/members.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import type { Value } from '../expression.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import type { Operator, StepTime } from '../operator.ts'
import type { OverFrame, Plan } from '../plan.ts'
import { LateCollector, Output, compareOrdinals, rowLayout } from '../row-store.ts'
import { SortedIds } from '../sorted.ts'
import type { StateTable } from '../state.ts'

type OverPlan = Plan & { op: 'over' }

const timeAt = 0
const sourceAt = 1
const offsetAt = 2
const watermarkAt = 3
const ownNumbers = 4

export function over(plan: OverPlan, input: Columns): Operator {
  return new Over(plan, input)
}

class Over implements Operator {
  readonly kind = 'over'
  readonly tables
  private readonly plan: OverPlan
  private readonly input: Columns
  private readonly layout
  private readonly fold: Fold
  private readonly encode
  private readonly writer = new KeyWriter()
  private readonly frames: readonly OverFrame['to'][]
  private waiting!: SortedIds

  constructor(plan: OverPlan, input: Columns) {
    this.plan = plan
    this.input = input
    this.layout = rowLayout(input, ownNumbers)
    this.frames = plan.aggregates.map((a) => a.frame.to)
    this.fold = new Fold(plan.aggregates, true, 0, 0)
    this.encode = keyEncoder(plan.partitionBy.map((k) => ({ column: k, type: input[k]!.type })))
    this.tables = [
      { name: 'waiting', numbers: this.layout.numbers, values: this.layout.values },
      { name: 'partitions', numbers: this.fold.numbers, values: this.fold.values },
      ...(this.fold.members === null ? [] : [memberTable]),
    ]
  }
  rebuild([waiting, partitions, members]: readonly StateTable[]): void {
    this.waiting = new SortedIds((a, b) => compareOrdinals(waiting!, a, b))
    for (const id of waiting!.all()) this.waiting.add(id)
    const finder = new KeyWriter()
    this.fold.members?.rebuild(members!, (key) => {
      finder.length = 0
      finder.reserve(key.length)
      finder.bytes.set(key)
      finder.length = key.length
      return partitions!.find(finder)
    })
  }
  waits(): boolean {
    return this.waiting.count > 0
  }

  step(
    [waiting, partitions, members]: readonly StateTable[],
    [batch = emptyBatch]: readonly Batch[],
    time: StepTime,
  ): Batch {
    const late = new LateCollector()
    const times = batch.columns[this.plan.orderBy]
    for (let row = 0; row < batch.count; row++) {
      const valid = times!.valid === null || times!.valid[row] === 1
      const micros = valid && times!.kind === 'f64' ? times!.data[row]! : NaN
      const ms = Math.floor(micros / 1000)
      if (!valid || ms <= batch.rows.watermark[row]!) late.add(batch.rows, row, false)
      else if (ms <= time.before) late.add(batch.rows, row, true)
      else this.keep(waiting!, batch, row, micros)
    }
    const due = this.takeDue(waiting!, time.watermark)
    const out = this.emit(waiting!, partitions!, members, due, time.nowUs)
    for (const id of due) waiting!.remove(id)
    return { ...out, late: late.done() }
  }
  private keep(waiting: StateTable, batch: Batch, row: number, micros: number): void {
    const { rows } = batch
    this.writer.length = 0
    this.encode(this.writer, batch, row)
    const stateKey = this.writer.length
    this.writer.double(micros)
    this.writer.double(rows.source[row]!)
    this.writer.double(rows.offset[row]!)
    // Several rows of one record (after a union of the same stream) follow each other.
    for (let copy = 0; waiting.find(this.writer) >= 0; copy++) {
      this.writer.length = stateKey + 24
      this.writer.double(copy)
    }
    const id = waiting.add(this.writer, stateKey)
    const at = id * waiting.spec.numbers
    waiting.numbers[at + timeAt] = micros
    waiting.numbers[at + sourceAt] = rows.source[row]!
    waiting.numbers[at + offsetAt] = rows.offset[row]!
    waiting.numbers[at + watermarkAt] = rows.watermark[row]!
    this.layout.write(waiting, id, batch, row)
    this.waiting.add(id)
  }
  private takeDue(waiting: StateTable, watermark: number): number[] {
    const due: number[] = []
    for (let id = this.waiting.first(); id !== undefined; id = this.waiting.first()) {
      if (Math.floor(waiting.numbers[id * waiting.spec.numbers + timeAt]! / 1000) > watermark) break
      this.waiting.shift()
      due.push(id)
    }
    return due
  }
  private emit(
    waiting: StateTable,
    partitions: StateTable,
    members: StateTable | undefined,
    due: readonly number[],
    nowUs: number,
  ): Batch {
    const out = new Output(this.plan.columns)
    if (due.length === 0) return emptyBatch
    const { batch: rows, failed } = this.fold.prepare(this.rowsDue(waiting, due), nowUs)
    const before: Value[] = []
    const after: Value[] = []
    const needed = { before: this.frames.includes('1-preceding'), after: this.frames.includes('current-row') }
    for (let i = 0; i < rows.count; i++) {
      const partition = this.partition(partitions, rows, i)
      if (needed.before) this.fold.results(partitions, partition, members, before, 0)
      this.fold.add(partitions, partition, members, this.writer, i, 1)
      if (needed.after) this.fold.results(partitions, partition, members, after, 0)
      for (let c = 0; c < this.input.length; c++) out.builders[c]!.pushFrom(rows.columns[c]!, i)
      for (let a = 0; a < this.frames.length; a++)
        out.builders[this.input.length + a]!.push(this.frames[a] === 'current-row' ? after[a]! : before[a]!)
      out.endFrom(1, rows.rows, i)
    }
    return out.done(null, failed)
  }
  /** The waiting rows as a batch again. */
  private rowsDue(waiting: StateTable, due: readonly number[]): Batch {
    const out = new Output(this.input)
    for (const id of due) {
      this.layout.read(waiting, id, out.builders)
      const at = id * waiting.spec.numbers
      const { numbers } = waiting
      out.end(1, numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!, numbers[at + watermarkAt]!)
    }
    return out.done()
  }
  private partition(partitions: StateTable, rows: Batch, row: number): number {
    this.writer.length = 0
    this.encode(this.writer, rows, row)
    const id = partitions.find(this.writer)
    if (id < 0) return partitions.add(this.writer)
    partitions.touch(id)
    return id
  }
}
