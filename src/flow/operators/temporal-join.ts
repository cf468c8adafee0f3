/**
 * FOR SYSTEM_TIME AS OF: each left row meets the version of the right row that was current at its event time. A left row
 * waits until the watermark of both inputs has passed it; then no version for its time can come any more, and its result
 * is never restated. Results come in the order of (event time, ordinal).
 *
 * State: left rows that wait; versions of the right rows by (key, time from which they count). A version counts from the
 * event time of its change, or, if that change was late, from the first millisecond that its source's watermark had not
 * passed: left rows before it may already have been answered. A version goes when the watermark has passed the one after
 * it. A left row that the watermark had passed when it arrived is late.
 */
import type { Columns } from '../../schema/types.ts'
import { type Batch, type FailedRows, type RowFailure, emptyBatch, gatherBatch, withoutRows } from '../batch.ts'
import { columnBuilder } from '../columns.ts'
import { compileFilter } from '../compile.ts'
import { concatenate, evaluator } from '../evaluate.ts'
import { KeyWriter, type KeyPart, anyNull, keyEncoder } from '../key.ts'
import type { Operator, StepTime } from '../operator.ts'
import type { Plan } from '../plan.ts'
import { LateCollector, Output, compareOrdinals, rowLayout } from '../row-store.ts'
import { SortedIds } from '../sorted.ts'
import type { StateTable } from '../state.ts'

type JoinPlan = Plan & { op: 'temporal-join' }

// Fields of a waiting left row: time (µs), ordinal, watermark; whether its key holds a NULL.
const timeAt = 0
const sourceAt = 1
const offsetAt = 2
const watermarkAt = 3
const keylessAt = 4
const leftNumbers = 5
// Fields of a version: from when it counts (µs), ordinal of its change, whether the row is gone from then on.
const fromAt = 0
const goneAt = 3
const rightNumbers = 4

export function temporalJoin(plan: JoinPlan, left: Columns, right: Columns): Operator {
  return new TemporalJoin(plan, left, right)
}

class TemporalJoin implements Operator {
  readonly kind = 'temporal-join'
  readonly tables
  private readonly plan: JoinPlan
  private readonly left: Columns
  private readonly right: Columns
  private readonly leftRow
  private readonly rightRow
  private readonly leftKey
  private readonly encodeLeft
  private readonly encodeRight
  private readonly keyParts: readonly KeyPart[]
  private readonly where
  private readonly writer = new KeyWriter()
  private waiting!: SortedIds
  /** Versions of a key in the order of time; by key bytes. */
  private versions = new Map<string, SortedIds>()
  /** Keys with more than one version, or a last one that says gone: candidates for expiry. */
  private expiring = new Set<string>()

  constructor(plan: JoinPlan, left: Columns, right: Columns) {
    this.plan = plan
    this.left = left
    this.right = right
    this.leftRow = rowLayout(left, leftNumbers)
    this.rightRow = rowLayout(right, rightNumbers)
    this.leftKey = evaluator(plan.leftKeys)
    this.keyParts = plan.leftKeys.map((e, i) => ({ column: i, type: e.type }))
    this.encodeLeft = keyEncoder(this.keyParts)
    this.encodeRight = keyEncoder(plan.rightKeys.map((k) => ({ column: k, type: right[k]!.type })))
    this.where = plan.where === null ? null : compileFilter(plan.where)
    this.tables = [
      { name: 'waiting', numbers: this.leftRow.numbers, values: this.leftRow.values },
      { name: 'versions', numbers: this.rightRow.numbers, values: this.rightRow.values },
    ]
  }

  rebuild([waiting, versions]: readonly StateTable[]): void {
    this.waiting = new SortedIds((a, b) => compareOrdinals(waiting!, a, b))
    for (const id of waiting!.all()) this.waiting.add(id)
    this.versions = new Map()
    this.expiring = new Set()
    for (const id of versions!.all()) this.noteVersion(versions!, id)
  }
  waits(): boolean {
    return this.waiting.count > 0
  }
  private noteVersion(versions: StateTable, id: number): void {
    const key = versions.stateKeyOf(id).toString('latin1')
    let sorted = this.versions.get(key)
    if (sorted === undefined)
      this.versions.set(key, (sorted = new SortedIds((a, b) => compareOrdinals(versions, a, b))))
    sorted.add(id)
    if (sorted.count > 1 || isGone(versions, id)) this.expiring.add(key)
  }

  step(
    [waiting, versions]: readonly StateTable[],
    [left = emptyBatch, right = emptyBatch]: readonly Batch[],
    time: StepTime,
  ): Batch {
    const late = new LateCollector()
    this.takeRight(versions!, right)
    const keyless = this.takeLeft(waiting!, left, time, late)
    const { batch, failed } = this.answer(waiting!, versions!, time)
    this.expire(versions!, time.watermark)
    return { ...batch, late: late.done(), failed: joinFailures(keyless, failed, this.left) }
  }

  /** A change of the table is a withdrawal and an addition, or one of them, from one record. */
  private takeRight(versions: StateTable, batch: Batch): void {
    for (let row = 0; row < batch.count; row++) {
      const gone = batch.weights !== null && batch.weights[row]! < 0
      if (gone && this.isReplaced(batch, row)) continue
      const { rows } = batch
      // The first µs that the watermark before the change had not passed.
      const from = Math.max(rows.time[row]!, (rows.watermark[row]! + 1) * 1000)
      this.writer.length = 0
      this.encodeRight(this.writer, batch, row)
      const stateKey = this.writer.length
      this.writer.double(from)
      this.writer.double(rows.source[row]!)
      this.writer.double(rows.offset[row]!)
      let id = versions.find(this.writer)
      if (id >= 0) versions.touch(id)
      else {
        id = versions.add(this.writer, stateKey)
        const at = id * versions.spec.numbers
        versions.numbers[at + fromAt] = from
        versions.numbers[at + sourceAt] = rows.source[row]!
        versions.numbers[at + offsetAt] = rows.offset[row]!
        versions.numbers[at + goneAt] = gone ? 1 : 0
        this.noteVersion(versions, id)
      }
      this.rightRow.write(versions, id, batch, row)
      versions.numbers[id * versions.spec.numbers + goneAt] = gone ? 1 : 0
    }
  }
  /** The next row is of the same record and key: it says what the row is from now on. */
  private isReplaced(batch: Batch, row: number): boolean {
    const next = row + 1
    if (next >= batch.count || batch.weights![next]! < 0) return false
    const { source, offset } = batch.rows
    if (source[next] !== source[row] || offset[next] !== offset[row]) return false
    this.writer.length = 0
    this.encodeRight(this.writer, batch, row)
    const length = this.writer.length
    this.encodeRight(this.writer, batch, next)
    const { bytes } = this.writer
    return this.writer.length === length * 2 && bytes.compare(bytes, 0, length, length, length * 2) === 0
  }
  /** Gives the rows whose key cannot be computed. */
  private takeLeft(waiting: StateTable, input: Batch, time: StepTime, late: LateCollector): FailedRows | null {
    if (input.count === 0) return null
    const { batch, columns, failed } = this.leftKey(input, time.nowUs)
    const keys = { ...batch, columns }
    const times = batch.columns[this.plan.leftTime]
    for (let row = 0; row < batch.count; row++) {
      const valid = times!.valid === null || times!.valid[row] === 1
      const micros = valid && times!.kind === 'f64' ? times!.data[row]! : NaN
      const ms = Math.floor(micros / 1000)
      if (!valid || ms <= batch.rows.watermark[row]!) late.add(batch.rows, row, false)
      else if (ms <= time.before) late.add(batch.rows, row, true)
      else this.keepLeft(waiting, batch, keys, row, micros)
    }
    return failed
  }
  private keepLeft(waiting: StateTable, batch: Batch, keys: Batch, row: number, micros: number): void {
    const { rows } = batch
    this.writer.length = 0
    this.encodeLeft(this.writer, keys, row)
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
    waiting.numbers[at + keylessAt] = anyNull(this.keyParts, keys, row) ? 1 : 0
    this.leftRow.write(waiting, id, batch, row)
    this.waiting.add(id)
  }

  /** Left rows that the watermark has passed, in order. */
  private answer(
    waiting: StateTable,
    versions: StateTable,
    { watermark, nowUs }: StepTime,
  ): { batch: Batch; failed: FailedRows | null } {
    const out = new Output(this.plan.columns)
    const matched: boolean[] = []
    const due: number[] = []
    for (let id = this.waiting.first(); id !== undefined; id = this.waiting.first()) {
      if (Math.floor(waiting.numbers[id * waiting.spec.numbers + timeAt]! / 1000) > watermark) break
      this.waiting.shift()
      const version = this.versionFor(waiting, versions, id)
      matched.push(version >= 0)
      due.push(id)
      this.emit(waiting, versions, id, version, out)
    }
    const joined = this.keepMatches(out, matched, nowUs)
    for (const id of due) waiting.remove(id)
    return joined
  }
  /** The version current at a left row's time; −1 = none. */
  private versionFor(waiting: StateTable, versions: StateTable, id: number): number {
    const at = id * waiting.spec.numbers
    if (waiting.numbers[at + keylessAt] === 1) return -1
    const sorted = this.versions.get(waiting.stateKeyOf(id).toString('latin1'))
    const micros = waiting.numbers[at + timeAt]!
    const version = sorted?.lastWhere((v) => versions.numbers[v * versions.spec.numbers + fromAt]! <= micros)
    return version === undefined || isGone(versions, version) ? -1 : version
  }
  private emit(waiting: StateTable, versions: StateTable, id: number, version: number, out: Output): void {
    this.leftRow.read(waiting, id, out.builders)
    const rights = out.builders.slice(this.left.length)
    if (version >= 0) this.rightRow.read(versions, version, rights)
    else for (const builder of rights) builder.pushNull()
    const at = id * waiting.spec.numbers
    const source = waiting.numbers[at + sourceAt]!
    const offset = waiting.numbers[at + offsetAt]!
    out.end(1, source, offset, waiting.numbers[at + timeAt]!, waiting.numbers[at + watermarkAt]!)
    if (version < 0) return
    const v = version * versions.spec.numbers
    const from = [source, offset, offset]
    if (versions.numbers[v + sourceAt] !== source || versions.numbers[v + offsetAt] !== offset)
      from.push(versions.numbers[v + sourceAt]!, versions.numbers[v + offsetAt]!, versions.numbers[v + offsetAt]!)
    out.rows.origins(from, false)
  }
  /** Applies the condition and the kind of the join to the pairs made. */
  private keepMatches(
    out: Output,
    matched: readonly boolean[],
    nowUs: number,
  ): { batch: Batch; failed: FailedRows | null } {
    const batch = out.done()
    const failures: RowFailure[] = []
    const passes = new Uint8Array(batch.count)
    if (this.where === null) matched.forEach((m, i) => (passes[i] = m ? 1 : 0))
    else {
      const rows = new Int32Array(batch.count)
      const count = this.where(batch.columns, batch.count, nowUs, rows, failures)
      for (let i = 0; i < count; i++) if (matched[rows[i]!] === true) passes[rows[i]!] = 1
    }
    // Without a version there was nothing to compare.
    const failed = failures.filter(({ row }) => matched[row] === true)
    const kept = this.plan.kind === 'inner' ? batch : this.padded(batch, passes, matched)
    const bad = new Set(failed.map(({ row }) => row))
    const rows = Int32Array.from(
      Array.from(passes.keys()).filter((i) => !bad.has(i) && (this.plan.kind === 'left' || passes[i] === 1)),
    )
    return {
      batch: rows.length === batch.count ? kept : gatherBatch(kept, rows, rows.length),
      failed: withoutRows(batch, failed).failed,
    }
  }
  /** Left join: a pair that the condition refuses becomes its left row with NULLs. */
  private padded(batch: Batch, passes: Uint8Array, matched: readonly boolean[]): Batch {
    if (matched.every((m, i) => !m || passes[i] === 1)) return batch
    const rights = this.right.map((c, i) => {
      const builder = columnBuilder(c.type, batch.count)
      const column = batch.columns[this.left.length + i]!
      for (let row = 0; row < batch.count; row++)
        if (passes[row] === 1) builder.pushFrom(column, row)
        else builder.pushNull()
      return builder.done()
    })
    return { ...batch, columns: [...batch.columns.slice(0, this.left.length), ...rights] }
  }

  /** Versions that no left row to come can ask for. */
  private expire(versions: StateTable, watermark: number): void {
    const limit = (watermark + 1) * 1000
    for (const key of this.expiring) {
      const sorted = this.versions.get(key)!
      // Left rows to come are at `limit` or later: of the versions before it they can meet only the last.
      const last = sorted.lastWhere((v) => versions.numbers[v * versions.spec.numbers + fromAt]! <= limit)
      if (last === undefined) continue
      for (let id = sorted.first()!; id !== last; id = sorted.first()!) {
        sorted.shift()
        versions.remove(id)
      }
      if (isGone(versions, last)) {
        sorted.shift()
        versions.remove(last)
      }
      if (sorted.count === 0) this.versions.delete(key)
      const only = sorted.count === 1 ? sorted.first() : undefined
      if (sorted.count === 0 || (only !== undefined && !isGone(versions, only))) this.expiring.delete(key)
    }
  }
}
/** Failed rows of both causes; joined ones as their left columns. */
function joinFailures(a: FailedRows | null, b: FailedRows | null, left: Columns): FailedRows | null {
  if (b === null) return a
  const rows = { ...b.batch, columns: b.batch.columns.slice(0, left.length) }
  if (a === null) return { batch: rows, faults: b.faults }
  return { batch: concatenate([a.batch, rows], left), faults: [...a.faults, ...b.faults] }
}
const isGone = (versions: StateTable, id: number): boolean =>
  versions.numbers[id * versions.spec.numbers + goneAt] === 1
