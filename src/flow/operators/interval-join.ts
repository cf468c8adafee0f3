/**
 * Joins of two streams whose rows lie within an interval of each other: left time + low ≤ right time ≤ left time + high.
 * Inner, left, right and full. Nothing is ever withdrawn: a pair goes out when the later of the two comes, a row without
 * partner when none can come any more.
 *
 * A left row is given up when a watermark reaches its time + high, a right one when it reaches its time − low: no row that
 * is not late can meet it any more. A pair counts if neither of the two had been given up by the watermark that stood
 * before the other at its own source partition: so what is joined depends on the records alone, not on how inputs
 * interleave. A row that could meet nothing by that rule, whatever the other side holds, is late. Rows go from state when the
 * watermark of both inputs has given them up; that is the smallest over the partitions, so no pair that counts is missed, save
 * for a partition that had been left out as idle.
 *
 * State: the rows of each side by (key, time, ordinal), as long as they are not given up. A NULL in the key equals nothing.
 *
 * Rows of the result lie behind the watermark of the inputs by as much as their own time may be older than the pair: so
 * much later is the operator's watermark, and the one that each row carries.
 */
import { assert } from '../../lib/assert.ts'
import type { Columns } from '../../schema/types.ts'
import { type Batch, type FailedRows, type RowFailure, emptyBatch, gatherBatch, withoutRows } from '../batch.ts'
import { compileFilter } from '../compile.ts'
import { concatenate } from '../concatenate.ts'
import { type KeyPart, KeyWriter, anyNull, keyEncoder } from '../key.ts'
import { type Operator, type Pieces, type Room, type State, type StepTime, allRoom } from '../operator.ts'
import { addOrigins, mergeRanges, type Ranges } from '../origins.ts'
import { isAfter } from '../pair-provenance.ts'
import type { JoinInterval, PlanOf } from '../plan.ts'
import { intervalDelayMs } from '../plan-facts.ts'
import { compareOrdinals, LateCollector, Output, rowLayout, writeOrdinal } from '../row-store.ts'
import { SortedIds } from '../sorted.ts'
import type { StateTable } from '../state.ts'

// Fields of a row: event time (µs) and ordinal, the watermark that stood before it, whether it has met a partner.
const timeAt = 0
const sourceAt = 1
const offsetAt = 2
const watermarkAt = 3
const metAt = 4
const ownNumbers = 5

export function intervalJoin(plan: PlanOf<'join'>, interval: JoinInterval): Operator {
  return new IntervalJoin(plan, interval)
}

class IntervalJoin implements Operator {
  readonly kind = 'join'
  readonly tables
  readonly delayMs: number
  private readonly plan: PlanOf<'join'>
  private readonly left: Side
  private readonly right: Side
  private readonly pairColumns: Columns
  private readonly where

  constructor(plan: PlanOf<'join'>, interval: JoinInterval) {
    this.plan = plan
    this.delayMs = intervalDelayMs(plan.kind, interval)
    const { kind, left, right } = plan
    const { lowUs, highUs } = interval
    const spanUs = highUs - lowUs
    this.pairColumns = [...left.columns, ...right.columns]
    this.where = plan.where === null ? null : compileFilter(plan.where)
    this.left = new Side('left', left.columns, {
      keys: plan.leftKeys,
      time: interval.leftTime,
      fromUs: lowUs,
      toUs: highUs,
      spanUs,
      alone: kind === 'left' || kind === 'full',
    })
    this.right = new Side('right', right.columns, {
      keys: plan.rightKeys,
      time: interval.rightTime,
      fromUs: -highUs,
      toUs: -lowUs,
      spanUs,
      alone: kind === 'right' || kind === 'full',
    })
    this.tables = [this.left.spec, this.right.spec]
  }
  rebuild([left, right]: State): void {
    this.left.rebuild(left!)
    this.right.rebuild(right!)
  }
  waits(): boolean {
    return this.left.count + this.right.count > 0
  }

  step(state: State, batches: readonly Batch[], time: StepTime): Batch {
    return this.pieces(state, batches, time, allRoom).next().value
  }
  *pieces(
    [leftTable, rightTable]: State,
    [left = emptyBatch, right = emptyBatch]: readonly Batch[],
    stepTime: StepTime,
    room: Room,
  ): Pieces {
    const time = {
      before: stepTime.before + this.delayMs,
      watermark: stepTime.watermark + this.delayMs,
      nowUs: stepTime.nowUs,
    }
    const late = new LateCollector()
    let failures: FailedRows[] = []
    const piece = (parts: readonly Batch[]): Batch => {
      const failed = allFailed(failures, this.plan.left.columns)
      failures = []
      return { ...joinedRows(parts, this.plan.columns), failed }
    }
    const out: Batch[] = []
    const ofLeft = { from: this.left, table: leftTable!, batch: left, to: this.right, others: rightTable! }
    const ofRight = { from: this.right, table: rightTable!, batch: right, to: this.left, others: leftTable! }
    for (const side of [ofLeft, ofRight]) {
      if (side.batch.count === 0) continue
      const meets = this.meet({ ...side, time, late, failed: (rows) => failures.push(rows) }, room)
      let next = meets.next()
      for (; next.done !== true; next = meets.next()) yield piece(next.value)
      for (const batch of next.value) out.push(batch)
    }
    const alone = new Output(this.plan.columns)
    for (const [side, table] of [
      [this.left, leftTable!],
      [this.right, rightTable!],
    ] as const)
      side.giveUp(table, time.watermark, (id) => this.pad(side, table, id, alone))
    out.push(alone.done())
    return { ...piece(out), late: late.done() }
  }

  /** New rows of one side against all that the other holds. */
  private *meet(meeting: Meeting, room: Room): Generator<Batch[], Batch[]> {
    const { from, table, batch, to, others, time, late } = meeting
    let made = new Pairs(this.plan.columns, this.pairColumns)
    for (let row = 0; row < batch.count; row++) {
      const id = from.take(table, batch, row, time.before, late)
      if (id === 'late') continue
      if (id === 'keyless') {
        if (from.alone) this.padNew(from, batch, row, made.alone)
        continue
      }
      for (const partner of to.within(others, table, id, from)) {
        if (made.rows.length >= room.rows || made.bytes >= room.bytes) {
          yield this.end(made, meeting)
          made = new Pairs(this.plan.columns, this.pairColumns)
        }
        const [mine, theirs] = this.columnsOf(from, made.pairs)
        for (let c = 0; c < mine.length; c++) mine[c]!.pushFrom(batch.columns[c]!, row)
        to.layout.read(others, partner, theirs)
        this.endPair(made.pairs, batch, row, others, partner)
        made.rows.push(id)
        made.partners.push(partner)
        if (room.bytes < Infinity) made.bytes += table.bytesOf(id) + others.bytesOf(partner)
      }
    }
    return this.end(made, meeting)
  }
  private end({ alone, pairs, rows, partners }: Pairs, { from, table, to, others, time, failed }: Meeting): Batch[] {
    const { passing, batch: made } = this.filtered(pairs, time.nowUs, failed)
    for (const pair of passing) {
      from.met(table, rows[pair]!)
      to.met(others, partners[pair]!)
    }
    return [alone.done(), passing.length === made.count ? made : gatherBatch(made, passing, passing.length)]
  }
  /** The pairs that the condition lets pass; those for which it has no value are told as their left rows. */
  private filtered(pairs: Output, nowUs: number, fail: Meeting['failed']): { passing: Int32Array; batch: Batch } {
    const batch = pairs.done()
    const passing = Int32Array.from({ length: batch.count }, (_, i) => i)
    if (this.where === null || batch.count === 0) return { passing, batch }
    const bad: RowFailure[] = []
    const count = this.where(batch.columns, batch.count, nowUs, passing, bad)
    const { failed } = withoutRows(batch, bad)
    if (failed !== null) {
      const columns = failed.batch.columns.slice(0, this.plan.left.columns.length)
      fail({ ...failed, batch: { ...failed.batch, columns } })
    }
    return { passing: passing.subarray(0, count), batch }
  }
  private columnsOf(side: Side, out: Output) {
    const width = this.plan.left.columns.length
    const lefts = out.builders.slice(0, width)
    const rights = out.builders.slice(width)
    return side === this.left ? ([lefts, rights] as const) : ([rights, lefts] as const)
  }
  /** A row whose key holds a NULL meets nothing. */
  private padNew(side: Side, batch: Batch, row: number, out: Output): void {
    const [from, to] = this.columnsOf(side, out)
    for (let c = 0; c < from.length; c++) from[c]!.pushFrom(batch.columns[c]!, row)
    for (const builder of to) builder.pushNull()
    const { rows } = batch
    out.end(1, rows.source[row]!, rows.offset[row]!, rows.time[row]!, rows.watermark[row]! - this.delayMs)
  }
  private pad(side: Side, table: StateTable, id: number, out: Output): void {
    const [from, to] = this.columnsOf(side, out)
    side.layout.read(table, id, from)
    for (const builder of to) builder.pushNull()
    const at = id * table.spec.numbers
    const { numbers } = table
    out.end(
      1,
      numbers[at + sourceAt]!,
      numbers[at + offsetAt]!,
      numbers[at + timeAt]!,
      numbers[at + watermarkAt]! - this.delayMs,
    )
  }
  /** A pair has the ordinal of the later of its two, and stands behind what both came from. */
  private endPair(out: Output, batch: Batch, row: number, others: StateTable, id: number): void {
    const { rows } = batch
    const { numbers } = others
    const at = id * others.spec.numbers
    const [source, offset, time] = [numbers[at + sourceAt]!, numbers[at + offsetAt]!, numbers[at + timeAt]!]
    const watermark = Math.max(rows.watermark[row]!, numbers[at + watermarkAt]!) - this.delayMs
    if (isAfter({ time, source, offset }, rows, row)) out.end(1, source, offset, time, watermark)
    else out.end(1, rows.source[row]!, rows.offset[row]!, rows.time[row]!, watermark)
    const ranges: Ranges = []
    addOrigins(ranges, rows, row)
    if (source >= 0) mergeRanges(ranges, [source, offset, offset])
    out.rows.origins(ranges, source < 0 || rows.origins?.state === true)
  }
}

/** What came on one side, and the other side that it meets. */
interface Meeting {
  readonly from: Side
  readonly table: StateTable
  readonly batch: Batch
  readonly to: Side
  readonly others: StateTable
  readonly time: { readonly before: number; readonly nowUs: number }
  readonly late: LateCollector
  readonly failed: (rows: FailedRows) => void
}
/** Of one piece: pairs and what they are of, and rows that meet nothing. */
class Pairs {
  readonly alone: Output
  readonly pairs: Output
  readonly rows: number[] = []
  readonly partners: number[] = []
  bytes = 0

  constructor(columns: Columns, pairColumns: Columns) {
    this.alone = new Output(columns)
    this.pairs = new Output(pairColumns)
  }
}

interface SideOptions {
  readonly keys: readonly number[]
  readonly time: number
  /** Its partners' times, from its own on; how far the two ends are from each other. */
  readonly fromUs: number
  readonly toUs: number
  readonly spanUs: number
  /** Rows without partner stand in the result by themselves. */
  readonly alone: boolean
}
/** The rows of one input. */
class Side {
  readonly spec
  readonly layout
  private readonly options: SideOptions
  private readonly keyParts: readonly KeyPart[]
  private readonly encodeKey
  private readonly writer = new KeyWriter()
  /** Rows of a key, by time. */
  private byKey = new Map<string, number[]>()
  private byTime!: SortedIds

  constructor(name: string, columns: Columns, options: SideOptions) {
    this.options = options
    this.layout = rowLayout(columns, ownNumbers)
    this.spec = { name, ...this.layout.fields }
    this.keyParts = options.keys.map((k) => ({ column: k, type: columns[k]!.type }))
    this.encodeKey = keyEncoder(this.keyParts)
  }
  rebuild(table: StateTable): void {
    this.byKey = new Map()
    this.byTime = new SortedIds((a, b) => compareOrdinals(table, a, b))
    for (const id of table.all()) {
      this.rowsOf(table, id).push(id)
      this.byTime.add(id)
    }
    for (const ids of this.byKey.values()) ids.sort((a, b) => table.compareKeys(a, b))
  }
  get count(): number {
    return this.byTime.count
  }
  get alone(): boolean {
    return this.options.alone
  }
  private rowsOf(table: StateTable, id: number): number[] {
    const key = table.stateKeyOf(id).toString('latin1')
    let ids = this.byKey.get(key)
    if (ids === undefined) this.byKey.set(key, (ids = []))
    return ids
  }
  /** The watermark that gives a row up. */
  private closeMs(timeUs: number): number {
    return Math.floor((timeUs + this.options.toUs) / 1000)
  }

  take(table: StateTable, batch: Batch, row: number, before: number, late: LateCollector): number | 'late' | 'keyless' {
    const { rows } = batch
    const times = batch.columns[this.options.time]!
    const hasTime = times.kind === 'f64' && (times.valid === null || times.valid[row] === 1)
    const micros = hasTime ? times.data[row]! : NaN
    const lastMs = Math.floor((micros + this.options.spanUs) / 1000)
    if (!hasTime || lastMs <= rows.watermark[row]! || lastMs <= before) {
      late.add(rows, row, hasTime && lastMs > rows.watermark[row]!)
      return 'late'
    }
    const { writer } = this
    if (anyNull(this.keyParts, batch, row)) return 'keyless'
    writer.length = 0
    this.encodeKey(writer, batch, row)
    const keyLength = writer.length
    writer.double(micros)
    writeOrdinal(table, writer, rows, row)
    const id = table.add(writer, keyLength)
    const at = id * table.spec.numbers
    const { numbers } = table
    numbers[at + timeAt] = micros
    numbers[at + sourceAt] = rows.source[row]!
    numbers[at + offsetAt] = rows.offset[row]!
    numbers[at + watermarkAt] = rows.watermark[row]!
    this.layout.write(table, id, batch, row)
    const ids = this.rowsOf(table, id)
    ids.splice(
      place(ids, (other) => table.compareKeys(other, id) < 0),
      0,
      id,
    )
    this.byTime.add(id)
    return id
  }
  /** Its rows that a row of the other side meets. */
  *within(table: StateTable, others: StateTable, other: number, side: Side): IterableIterator<number> {
    const ids = this.byKey.get(others.stateKeyOf(other).toString('latin1'))
    if (ids === undefined) return
    const at = other * others.spec.numbers
    const time = others.numbers[at + timeAt]!
    const watermark = others.numbers[at + watermarkAt]!
    const [from, to] = [time + side.options.fromUs, time + side.options.toUs]
    const otherCloseMs = side.closeMs(time)
    const timeOf = (id: number): number => table.numbers[id * table.spec.numbers + timeAt]!
    for (let i = place(ids, (id) => timeOf(id) < from); i < ids.length && timeOf(ids[i]!) <= to; i++) {
      const id = ids[i]!
      if (watermark >= this.closeMs(timeOf(id))) continue
      if (table.numbers[id * table.spec.numbers + watermarkAt]! < otherCloseMs) yield id
    }
  }
  met(table: StateTable, id: number): void {
    if (!this.options.alone || table.numbers[id * table.spec.numbers + metAt] === 1) return
    table.touch(id)
    table.numbers[id * table.spec.numbers + metAt] = 1
  }
  /** Lets go of the rows that nothing can meet any more; tells those that stand alone. */
  giveUp(table: StateTable, watermark: number, pad: (id: number) => void): void {
    // How many go of each key: they are its first ones, and go at once.
    const gone = new Map<string, number>()
    for (let id = this.byTime.first(); id !== undefined; id = this.byTime.first()) {
      const at = id * table.spec.numbers
      if (this.closeMs(table.numbers[at + timeAt]!) > watermark) break
      this.byTime.shift()
      const key = table.stateKeyOf(id).toString('latin1')
      const count = gone.get(key) ?? 0
      assert(this.byKey.get(key)?.[count] === id, 'rows of a key go in the order of their times')
      gone.set(key, count + 1)
      if (this.options.alone && table.numbers[at + metAt] === 0) pad(id)
      table.remove(id)
    }
    for (const [key, count] of gone) {
      const ids = this.byKey.get(key)!
      if (count === ids.length) this.byKey.delete(key)
      else ids.splice(0, count)
    }
  }
}
/** How many of a list, which is in order, come before. */
function place(ids: readonly number[], isBefore: (id: number) => boolean): number {
  let low = 0
  let high = ids.length
  while (low < high) {
    const middle = (low + high) >> 1
    if (isBefore(ids[middle]!)) low = middle + 1
    else high = middle
  }
  return low
}
function joinedRows(parts: readonly Batch[], columns: Columns): Batch {
  const filled = parts.filter(({ count }) => count > 0)
  return filled.length === 0 ? emptyBatch : filled.length === 1 ? filled[0]! : concatenate(filled, columns)
}
function allFailed(parts: readonly FailedRows[], left: Columns): FailedRows | null {
  if (parts.length < 2) return parts[0] ?? null
  const batches = parts.map(({ batch }) => batch)
  return { batch: concatenate(batches, left), faults: parts.flatMap(({ faults }) => faults) }
}
