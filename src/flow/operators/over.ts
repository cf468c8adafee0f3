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
import { LateCollector, Output } from '../row-store.ts'
import type { StateTable } from '../state.ts'
import { WaitingRows } from '../waiting-rows.ts'

type OverPlan = Plan & { op: 'over' }

export function over(plan: OverPlan, input: Columns): Operator {
  return new Over(plan, input)
}

class Over implements Operator {
  readonly kind = 'over'
  readonly tables
  private readonly plan: OverPlan
  private readonly input: Columns
  private readonly waiting: WaitingRows
  private readonly fold: Fold
  private readonly encode
  private readonly writer = new KeyWriter()
  private readonly frames: readonly OverFrame['to'][]

  constructor(plan: OverPlan, input: Columns) {
    this.plan = plan
    this.input = input
    this.frames = plan.aggregates.map((a) => a.frame.to)
    this.fold = new Fold(plan.aggregates, true, 0, 0)
    this.encode = keyEncoder(plan.partitionBy.map((k) => ({ column: k, type: input[k]!.type })))
    this.waiting = new WaitingRows({ columns: input, time: plan.orderBy, encodeKey: this.encode })
    this.tables = [
      this.waiting.spec,
      { name: 'partitions', numbers: this.fold.numbers, values: this.fold.values },
      ...(this.fold.members === null ? [] : [memberTable]),
    ]
  }
  rebuild([waiting, partitions, members]: readonly StateTable[]): void {
    this.waiting.rebuild(waiting!)
    this.fold.members?.rebuild(members!, (key) => partitions!.findKey(key))
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
    this.waiting.take(waiting!, { batch, keys: batch, time, late })
    const due = this.waiting.due(waiting!, time.watermark)
    const out = this.emit(waiting!, partitions!, members, due, time.nowUs)
    for (const id of due) waiting!.remove(id)
    return { ...out, late: late.done() }
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
      this.fold.add(partitions, partition, members, i, 1)
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
      this.waiting.read(waiting, id, out.builders)
      this.waiting.end(waiting, id, out)
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
