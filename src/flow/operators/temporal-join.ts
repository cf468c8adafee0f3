/**
 * FOR SYSTEM_TIME AS OF: each left row meets the version of the right row that was current at its event time. A left row
 * waits until the watermark of both inputs has passed it, idle ones left out; then no version for its time can come any
 * more, and its result is never restated. Results come in the order of (event time, ordinal), but for what an idle left
 * input let go early.
 *
 * The join leads with its left input: its own watermark is never ahead of that one's, however far the table has come, also
 * while the left input is idle or has never held a record. So a left row is late only where the left watermark had passed
 * it, and every version that it could ask for is still there.
 *
 * State: left rows that wait; versions of the right rows by (key, time from which they count). A version counts from the
 * event time of its change, or, if that change was late, from the first millisecond that its source's watermark had not
 * passed: left rows before it may already have been answered. A version goes when the watermark has passed the one after
 * it. Where rows are only added, and the newest of a key by event time is its row (`newest`), all of them are versions; one that comes
 * late does not take the place of a newer one.
 */
import type { Columns } from '../../schema/types.ts'
import { type Batch, type FailedRows, emptyBatch } from '../batch.ts'
import { compileFilter } from '../compile.ts'
import { evaluator } from '../evaluate.ts'
import { KeyWriter, type KeyPart, anyNull, keyEncoder } from '../key.ts'
import { joinFailures, keepMatches } from '../matches.ts'
import type { Operator, StepTime } from '../operator.ts'
import type { Plan } from '../plan.ts'
import { LateCollector, Output, compareOrdinals, rowLayout } from '../row-store.ts'
import { SortedIds } from '../sorted.ts'
import type { StateTable } from '../state.ts'
import { WaitingRows, ownAt } from '../waiting-rows.ts'

type JoinPlan = Plan & { op: 'temporal-join' }

/** Own field of a waiting left row: whether its key holds a NULL. */
const keylessAt = ownAt
// Fields of a version: from when it counts (µs), ordinal of its change, whether the row is gone from then on.
const fromAt = 0
const sourceAt = 1
const offsetAt = 2
const goneAt = 3
const rightNumbers = 4

export function temporalJoin(plan: JoinPlan, left: Columns, right: Columns): Operator {
  return new TemporalJoin(plan, left, right)
}

class TemporalJoin implements Operator {
  readonly kind = 'temporal-join'
  readonly leads = true
  readonly asks = true
  readonly tables
  private readonly plan: JoinPlan
  private readonly left: Columns
  private readonly waiting: WaitingRows
  private readonly rightRow
  private readonly leftKey
  private readonly encodeRight
  private readonly keyParts: readonly KeyPart[]
  private readonly where
  private readonly writer = new KeyWriter()
  /** Versions of a key in the order of time; by key bytes. */
  private versions = new Map<string, SortedIds>()
  /** Versions of all keys from whose time on the watermark has not passed yet, the next first. */
  private ahead!: SortedIds

  constructor(plan: JoinPlan, left: Columns, right: Columns) {
    this.plan = plan
    this.left = left
    this.rightRow = rowLayout(right, rightNumbers)
    this.leftKey = evaluator(plan.leftKeys)
    this.keyParts = plan.leftKeys.map((e, i) => ({ column: i, type: e.type }))
    this.waiting = new WaitingRows({
      columns: left,
      time: plan.leftTime,
      encodeKey: keyEncoder(this.keyParts),
      own: 1,
    })
    this.encodeRight = keyEncoder(plan.rightKeys.map((k) => ({ column: k, type: right[k]!.type })))
    this.where = plan.where === null ? null : compileFilter(plan.where)
    this.tables = [this.waiting.spec, { name: 'versions', ...this.rightRow.fields }]
  }

  rebuild([waiting, versions]: readonly StateTable[]): void {
    this.waiting.rebuild(waiting!)
    this.versions = new Map()
    this.ahead = new SortedIds((a, b) => compareOrdinals(versions!, a, b))
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
    this.ahead.add(id)
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
      if (this.plan.newest === true && this.isOutdated(versions, rows.time[row]!, from)) continue
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
  /** A row that comes late, when the key in the writer has had a newer one. */
  private isOutdated(versions: StateTable, micros: number, from: number): boolean {
    if (from <= micros) return false
    const fromOf = (id: number): number => versions.numbers[id * versions.spec.numbers + fromAt]!
    const sorted = this.versions.get(this.writer.bytes.toString('latin1', 0, this.writer.length))
    const current = sorted?.lastWhere((id) => fromOf(id) <= from)
    return current !== undefined && fromOf(current) > micros
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
    this.waiting.take(waiting, { batch, keys, time, late }, (id, row) => {
      waiting.numbers[id * waiting.spec.numbers + keylessAt] = anyNull(this.keyParts, keys, row) ? 1 : 0
    })
    return failed
  }

  /** Left rows that need not wait any more, in order. */
  private answer(
    waiting: StateTable,
    versions: StateTable,
    { due: upToMs, nowUs }: StepTime,
  ): { batch: Batch; failed: FailedRows | null } {
    const out = new Output(this.plan.columns)
    const matched: boolean[] = []
    const due = this.waiting.due(waiting, upToMs)
    for (const id of due) {
      const version = this.versionFor(waiting, versions, id)
      matched.push(version >= 0)
      this.emit(waiting, versions, id, version, out)
    }
    const joined = keepMatches(this.plan, this.where, { pairs: out.done(), matched }, nowUs)
    for (const id of due) waiting.remove(id)
    return joined
  }
  /** The version current at a left row's time; −1 = none. */
  private versionFor(waiting: StateTable, versions: StateTable, id: number): number {
    if (waiting.numbers[id * waiting.spec.numbers + keylessAt] === 1) return -1
    const sorted = this.versions.get(waiting.stateKeyOf(id).toString('latin1'))
    const micros = this.waiting.micros(waiting, id)
    const version = sorted?.lastWhere((v) => versions.numbers[v * versions.spec.numbers + fromAt]! <= micros)
    return version === undefined || isGone(versions, version) ? -1 : version
  }
  private emit(waiting: StateTable, versions: StateTable, id: number, version: number, out: Output): void {
    this.waiting.read(waiting, id, out.builders)
    const rights = out.builders.slice(this.left.length)
    if (version >= 0) this.rightRow.read(versions, version, rights)
    else for (const builder of rights) builder.pushNull()
    this.waiting.end(waiting, id, out)
    if (version < 0) return
    const { source, offset } = this.waiting.ordinal(waiting, id)
    const v = version * versions.spec.numbers
    const from = [source, offset, offset]
    if (versions.numbers[v + sourceAt] !== source || versions.numbers[v + offsetAt] !== offset)
      from.push(versions.numbers[v + sourceAt]!, versions.numbers[v + offsetAt]!, versions.numbers[v + offsetAt]!)
    out.rows.origins(from, false)
  }
  /** Versions that no left row to come can ask for. */
  private expire(versions: StateTable, watermark: number): void {
    // Left rows to come are at `limit` or later: of the versions before it they can meet only the last.
    const limit = (watermark + 1) * 1000
    const passed = (id: number): boolean => versions.numbers[id * versions.spec.numbers + fromAt]! <= limit
    for (let id = this.ahead.first(); id !== undefined && passed(id); id = this.ahead.first()) {
      this.ahead.shift()
      const key = versions.stateKeyOf(id).toString('latin1')
      const sorted = this.versions.get(key)
      const last = sorted?.lastWhere(passed)
      // Of a key whose versions have just gone, with this one among them.
      if (sorted === undefined || last === undefined) continue
      while (sorted.first() !== last) versions.remove(sorted.shift()!)
      if (isGone(versions, last)) versions.remove(sorted.shift()!)
      if (sorted.count === 0) this.versions.delete(key)
    }
  }
}
const isGone = (versions: StateTable, id: number): boolean =>
  versions.numbers[id * versions.spec.numbers + goneAt] === 1
