/**
 * Sessions: rows of a key that follow one another within a gap, and aggregates over each. A row at t lies in [t, t + gap);
 * windows of one key that overlap or touch become one. Output: keys, window_start, window_end, aggregates.
 *
 * A row is late where the session that it would make or join had closed by the watermark that stood before it; sessions that
 * had closed by then are not joined. A session closes when the watermark reaches its end − 1 ms.
 *
 * 'update': a session that has changed is withdrawn as it was and given as it is. 'close': once, when it has closed.
 *
 * State: a row per open session with its bounds and aggregates; its rows, which are folded again into another session when
 * the two become one: always those of the smaller one, so that a row moves a logarithmic number of times.
 */
import type { Columns } from '../../schema/types.ts'
import { Fold } from '../aggregates/fold.ts'
import { memberTable } from '../aggregates/members.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import type { Evaluated } from '../evaluate.ts'
import type { Value } from '../expression.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import { closeMsOf, OpenWindows } from '../open-windows.ts'
import type { Operator, StepTime } from '../operator.ts'
import { addOrigins, type Ranges } from '../origins.ts'
import type { Plan } from '../plan.ts'
import { LateCollector, Output, rowLayout, sameValue, writeOrdinal } from '../row-store.ts'
import type { StateTable } from '../state.ts'

type SessionPlan = Plan & { op: 'session' }

// Fields of a session: its bounds (µs), its rows, the largest of their watermarks, the ordinal of the last.
const startAt = 0
const endAt = 1
const rowsAt = 2
const watermarkAt = 3
const sourceAt = 4
const offsetAt = 5
const ownNumbers = 6
const originsAt = 0
const ownValues = 1
// Fields of a row: time (µs), ordinal, watermark.
const rowNumbers = 4

interface Shown {
  readonly start: number
  readonly end: number
  readonly values: readonly Value[]
}

export function session(plan: SessionPlan, input: Columns): Operator {
  return new Sessions(plan, input)
}

class Sessions implements Operator {
  readonly kind = 'session'
  readonly tables
  private readonly plan: SessionPlan
  private readonly input: Columns
  private readonly gap: number
  private readonly fold: Fold
  private readonly keys
  private readonly encode
  private readonly layout
  private readonly writer = new KeyWriter()
  private readonly rowWriter = new KeyWriter()
  /** Open sessions of a key, by the key's bytes. */
  private byKey = new Map<string, Set<number>>()
  private open = new OpenWindows()
  /** Rows of a session. */
  private rowsOf = new Map<number, number[]>()
  /** As they were before the step; null: not there, or nothing told yet. */
  private touched = new Map<number, Shown | null>()

  constructor(plan: SessionPlan, input: Columns) {
    this.plan = plan
    this.input = input
    this.gap = plan.gapMs * 1000
    this.keys = rowLayout(
      plan.keys.map((k) => input[k]!),
      ownNumbers,
      ownValues,
    )
    this.fold = new Fold(plan.aggregates, true, this.keys.fields.numbers, this.keys.fields.values)
    this.encode = keyEncoder(plan.keys.map((k) => ({ column: k, type: input[k]!.type })))
    this.layout = rowLayout(input, rowNumbers)
    this.tables = [
      { ...this.keys.fields, name: 'sessions', numbers: this.fold.numbers, values: this.fold.values },
      { name: 'rows', ...this.layout.fields },
      ...(this.fold.members === null ? [] : [memberTable]),
    ]
  }
  rebuild([sessions, rows, members]: readonly StateTable[]): void {
    this.byKey = new Map()
    this.open = new OpenWindows()
    this.rowsOf = new Map()
    this.touched = new Map()
    this.fold.members?.rebuild(members!, (key) => sessions!.findKey(key))
    for (const id of sessions!.all()) {
      this.sameKey(sessions!, id).add(id)
      this.open.add(closeOf(sessions!, id), id)
      this.rowsOf.set(id, [])
    }
    for (const row of rows!.all()) this.rowsOf.get(sessions!.findKey(rows!.stateKeyOf(row)))!.push(row)
  }
  waits(): boolean {
    return this.open.count > 0
  }
  /** Open sessions with this one's key. */
  private sameKey(sessions: StateTable, id: number): Set<number> {
    const key = sessions.stateKeyOf(id).toString('latin1')
    let ids = this.byKey.get(key)
    if (ids === undefined) this.byKey.set(key, (ids = new Set()))
    return ids
  }

  step(
    [sessions, rows, members]: readonly StateTable[],
    [input = emptyBatch]: readonly Batch[],
    time: StepTime,
  ): Batch {
    const state: State = { sessions: sessions!, rows: rows!, members }
    const late = new LateCollector()
    const out = new Output(this.plan.columns)
    const prepared =
      input.count === 0 ? { batch: input, columns: [], failed: null } : this.fold.prepare(input, time.nowUs)
    const { batch, failed } = prepared
    for (let row = 0; row < batch.count; row++) this.take(state, prepared, row, time, late)
    if (this.plan.emit === 'update') for (const [id, before] of this.touched) this.emitChange(state, id, before, out)
    this.touched.clear()
    for (let ids = this.open.takeClosed(time.watermark); ids !== null; ids = this.open.takeClosed(time.watermark)) {
      ids.sort((a, b) => sessions!.compareKeys(a, b))
      for (const id of ids) {
        if (this.plan.emit === 'close') this.emitClosed(state, id, out)
        this.drop(state, id)
      }
    }
    return out.done(late.done(), failed)
  }

  private take(state: State, prepared: Evaluated, row: number, time: StepTime, late: LateCollector): void {
    const { batch } = prepared
    const column = batch.columns[this.plan.time]!
    const isThere = column.kind === 'f64' && (column.valid === null || column.valid[row] === 1)
    if (!isThere) return late.add(batch.rows, row, false)
    const micros = column.data[row]!
    const before = batch.rows.watermark[row]!
    const met = this.meeting(state.sessions, batch, row, micros, before)
    let start = micros
    let end = micros + this.gap
    for (const id of met) {
      start = Math.min(start, state.sessions.numbers[id * state.sessions.spec.numbers + startAt]!)
      end = Math.max(end, state.sessions.numbers[id * state.sessions.spec.numbers + endAt]!)
    }
    const closeMs = closeMsOf(end)
    if (closeMs <= before) return late.add(batch.rows, row, false)
    if (closeMs <= time.before) return late.add(batch.rows, row, true)
    const into = met.length === 0 ? this.create(state, batch, row) : this.merged(state, met, time.nowUs)
    this.touch(state, into)
    this.moveTo(state.sessions, into, start, end)
    // What was folded meanwhile was another batch.
    if (met.length > 1) this.fold.resume(prepared)
    this.addRow(state, into, batch, row)
  }
  /** Sessions that the row would join, the one with the most rows first. */
  private meeting(sessions: StateTable, batch: Batch, row: number, micros: number, before: number): number[] {
    this.writer.length = 0
    this.encode(this.writer, batch, row)
    const found: number[] = []
    for (const id of this.byKey.get(this.writer.done().toString('latin1')) ?? []) {
      const at = id * sessions.spec.numbers
      const overlaps = sessions.numbers[at + startAt]! <= micros + this.gap && micros <= sessions.numbers[at + endAt]!
      if (overlaps && closeOf(sessions, id) > before) found.push(id)
    }
    const rows = (id: number): number => sessions.numbers[id * sessions.spec.numbers + rowsAt]!
    return found.sort((a, b) => rows(b) - rows(a) || sessions.compareKeys(a, b))
  }
  /** The writer holds the key. */
  private create({ sessions }: State, batch: Batch, row: number): number {
    const { writer } = this
    const stateKey = writer.length
    writeOrdinal(sessions, writer, batch.rows, row)
    const id = sessions.add(writer, stateKey)
    this.keys.write(sessions, id, { columns: this.plan.keys.map((k) => batch.columns[k]!) }, row)
    sessions.numbers[id * sessions.spec.numbers + watermarkAt] = -Infinity
    sessions.numbers[id * sessions.spec.numbers + endAt] = Infinity
    this.touched.set(id, null)
    this.sameKey(sessions, id).add(id)
    this.open.add(closeOf(sessions, id), id)
    this.rowsOf.set(id, [])
    return id
  }
  private touch(state: State, id: number): void {
    if (this.touched.has(id)) return
    state.sessions.touch(id)
    this.touched.set(id, this.plan.emit === 'update' ? this.shown(state, id) : null)
  }
  private shown({ sessions, members }: State, id: number): Shown {
    const at = id * sessions.spec.numbers
    const values: Value[] = []
    this.fold.results(sessions, id, members, values, 0)
    return { start: sessions.numbers[at + startAt]!, end: sessions.numbers[at + endAt]!, values }
  }
  /** All of them as the first; gives that one. */
  private merged(state: State, [into, ...others]: readonly number[], nowUs: number): number {
    for (const other of others) {
      this.touch(state, into!)
      this.touch(state, other)
      const moved = new Output(this.input)
      for (const row of this.rowsOf.get(other)!) this.readRow(state.rows, row, moved)
      const batch = moved.done()
      this.drop(state, other)
      // It was computed before: it does not fail now.
      this.fold.prepare(batch, nowUs)
      for (let row = 0; row < batch.count; row++) this.addRow(state, into!, batch, row)
    }
    return into!
  }
  private readRow(rows: StateTable, row: number, out: Output): void {
    this.layout.read(rows, row, out.builders)
    const at = row * rows.spec.numbers
    const { numbers } = rows
    out.end(1, numbers[at + 1]!, numbers[at + 2]!, numbers[at]!, numbers[at + 3]!)
  }
  private moveTo(sessions: StateTable, id: number, start: number, end: number): void {
    this.open.remove(closeOf(sessions, id), id)
    const at = id * sessions.spec.numbers
    sessions.numbers[at + startAt] = start
    sessions.numbers[at + endAt] = end
    this.open.add(closeOf(sessions, id), id)
  }
  private addRow({ sessions, rows, members }: State, id: number, batch: Batch, row: number): void {
    const at = id * sessions.spec.numbers
    const { numbers } = sessions
    numbers[at + rowsAt]! += 1
    numbers[at + watermarkAt] = Math.max(numbers[at + watermarkAt]!, batch.rows.watermark[row]!)
    numbers[at + sourceAt] = batch.rows.source[row]!
    numbers[at + offsetAt] = batch.rows.offset[row]!
    const place = id * sessions.spec.values + originsAt
    const ranges: Ranges = [...((sessions.values[place] as readonly number[] | null) ?? [])]
    addOrigins(ranges, batch.rows, row)
    sessions.values[place] = ranges
    const key = this.keyOf(sessions, id)
    this.fold.add(sessions, id, members, row, 1)
    this.rowsOf.get(id)!.push(this.keepRow(rows, key, batch, row))
  }
  private keyOf(sessions: StateTable, id: number): KeyWriter {
    const bytes = sessions.keyOf(id)
    const { rowWriter } = this
    rowWriter.length = 0
    rowWriter.reserve(bytes.length)
    rowWriter.bytes.set(bytes)
    rowWriter.length = bytes.length
    return rowWriter
  }
  private keepRow(rows: StateTable, key: KeyWriter, batch: Batch, row: number): number {
    const stateKey = key.length
    writeOrdinal(rows, key, batch.rows, row)
    const id = rows.add(key, stateKey)
    const at = id * rows.spec.numbers
    rows.numbers[at] = batch.rows.time[row]!
    rows.numbers[at + 1] = batch.rows.source[row]!
    rows.numbers[at + 2] = batch.rows.offset[row]!
    rows.numbers[at + 3] = batch.rows.watermark[row]!
    this.layout.write(rows, id, batch, row)
    return id
  }
  private drop({ sessions, rows, members }: State, id: number): void {
    this.open.remove(closeOf(sessions, id), id)
    const same = this.sameKey(sessions, id)
    same.delete(id)
    if (same.size === 0) this.byKey.delete(sessions.stateKeyOf(id).toString('latin1'))
    for (const row of this.rowsOf.get(id)!) rows.remove(row)
    this.rowsOf.delete(id)
    this.fold.members?.drop(members!, id)
    sessions.remove(id)
  }

  /** A session that was joined to another is gone; its row is still readable. */
  private emitChange(state: State, id: number, before: Shown | null, out: Output): void {
    const after = this.rowsOf.has(id) ? this.shown(state, id) : null
    if (before !== null && after !== null && isSame(before, after)) return
    for (const [shown, weight] of [
      [before, -1],
      [after, 1],
    ] as const)
      if (shown !== null) this.push(state, id, shown, weight, true, out)
  }
  private emitClosed(state: State, id: number, out: Output): void {
    this.push(state, id, this.shown(state, id), 1, false, out)
  }
  private push({ sessions }: State, id: number, shown: Shown, weight: number, onState: boolean, out: Output): void {
    this.keys.read(sessions, id, out.builders)
    const width = this.plan.keys.length
    out.builders[width]!.push(shown.start)
    out.builders[width + 1]!.push(shown.end)
    for (const [i, value] of shown.values.entries()) out.builders[width + 2 + i]!.push(value)
    const at = id * sessions.spec.numbers
    const { numbers } = sessions
    const watermark = numbers[at + watermarkAt]!
    // What closes comes from the clock.
    if (onState) out.end(weight, numbers[at + sourceAt]!, numbers[at + offsetAt]!, shown.end - 1000, watermark)
    else out.end(weight, -1, -1, shown.end - 1000, watermark)
    out.rows.origins(
      (sessions.values[id * sessions.spec.values + originsAt] as readonly number[] | null) ?? [],
      onState,
    )
  }
}
interface State {
  readonly sessions: StateTable
  readonly rows: StateTable
  readonly members: StateTable | undefined
}
const closeOf = (sessions: StateTable, id: number): number =>
  closeMsOf(sessions.numbers[id * sessions.spec.numbers + endAt]!)
const isSame = (a: Shown, b: Shown): boolean =>
  a.start === b.start && a.end === b.end && a.values.every((value, i) => sameValue(value, b.values[i]))
