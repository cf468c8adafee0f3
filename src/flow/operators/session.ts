/**
 * Sessions: rows of a key that follow one another within a gap, and aggregates over each. A row at t lies in [t, t + gap);
 * windows of one key that overlap or touch become one. Output: keys, window_start, window_end, aggregates.
 *
 * A row is late where the session that it would make or join had closed by the watermark that stood before it; sessions that
 * had closed by then are not joined. A session closes when the watermark reaches its end − 1 ms.
 *
 * 'update': a session that has changed is withdrawn as it was and given as it is. 'close': once, when it has closed.
 *
 * State: a row per open session with its bounds and aggregates. Where two become one, the aggregates of the smaller are
 * added to those of the other: the input only grows, so each can be. A session that grows is not told to the timer; when
 * the time comes at which it would have closed, it waits for the time at which it will.
 *
 * Sessions that memory has no room for go to files (`spill-runs.ts`), all of a key, and come back when a row of the key comes or when
 * the time is near at which they close. Those with a DISTINCT stay in memory.
 */
import type { Columns } from '../../schema/types.ts'
import { Fold } from '../aggregates/fold.ts'
import { memberTable } from '../aggregates/members.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import { columnBuilder } from '../columns.ts'
import type { Evaluated } from '../evaluate.ts'
import type { Value } from '../expression.ts'
import { KeyIndex, longerInts } from '../key-index.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import { closeMsOf, OpenWindows } from '../open-windows.ts'
import type { Operator, StepTime } from '../operator.ts'
import type { Plan } from '../plan.ts'
import { LateCollector, Output, newestOffsets, ordinalInKey, rowLayout, sameValue, writeOrdinal } from '../row-store.ts'
import { evictRows } from '../spill-runs.ts'
import type { StateTable } from '../state.ts'
import { TouchedGroups } from '../touched-groups.ts'

type SessionPlan = Plan & { op: 'session' }

// Fields of a session: its bounds (µs), its rows, the ordinal of the last, what its result tells.
const startAt = 0
const endAt = 1
const rowsAt = 2
const sourceAt = 3
const offsetAt = 4
const toldAt = 5
const ownNumbers = toldAt + TouchedGroups.toldNumbers
const none = -1
/** Sessions that close within so much of a gap are in files together. */
const lotsPerGap = 8

export function session(plan: SessionPlan, input: Columns): Operator {
  return new Sessions(plan, input)
}

class Sessions implements Operator {
  readonly kind = 'session'
  readonly tables
  private readonly plan: SessionPlan
  private readonly gap: number
  private readonly lotMs: number
  private readonly fold: Fold
  private readonly keyColumns: Columns
  private readonly keys
  private readonly encode
  private readonly writer = new KeyWriter()
  private readonly newest = newestOffsets()
  private readonly touched: TouchedGroups
  private open = new OpenWindows()
  /** The watermark up to which they have. */
  private closedUntil = -Infinity
  // By key: the first of its open sessions. By session: the next of its key, its key (none = it is gone), when it is looked at.
  private readonly index: KeyIndex
  private first = new Int32Array(16)
  private next = new Int32Array(16)
  private entryOf = new Int32Array(16)
  private lookedAt = new Float64Array(16)
  private readonly before: Value[] = []
  private readonly after: Value[] = []

  constructor(plan: SessionPlan, input: Columns) {
    this.plan = plan
    this.gap = plan.gapMs * 1000
    this.lotMs = Math.max(1, Math.ceil(plan.gapMs / lotsPerGap))
    this.keyColumns = plan.keys.map((k) => input[k]!)
    this.keys = rowLayout(this.keyColumns, ownNumbers, TouchedGroups.toldValues)
    this.fold = new Fold(plan.aggregates, true, this.keys.fields.numbers, this.keys.fields.values)
    this.touched = new TouchedGroups(this.fold.numbers, this.fold.values)
    this.encode = keyEncoder(plan.keys.map((k) => ({ column: k, type: input[k]!.type })))
    this.index = new KeyIndex(this.keyColumns.map(({ type }) => type))
    const { numbers, values, members } = this.fold
    this.tables = [
      {
        name: 'sessions',
        found: 'elsewhere' as const,
        ...this.keys.fields,
        numbers,
        values,
        ...(members === null ? { runs: { whole: true } } : {}),
      },
      ...(members === null ? [] : [memberTable]),
    ]
  }
  rebuild([sessions, members]: readonly StateTable[]): void {
    this.touched.clear()
    this.index.clear()
    this.newest.clear()
    this.open = new OpenWindows()
    this.closedUntil = -Infinity
    const ids = [...sessions!.all()]
    for (const id of ids) {
      const { source, offset } = ordinalInKey(sessions!.keyOf(id), sessions!.stateKeyOf(id).length)
      this.newest.saw(source, offset)
    }
    this.indexAll(sessions!, ids)
    this.fold.members?.rebuild(members!, (key) => sessions!.findKey(key))
    sessions!.settle()
  }
  waits([sessions]: readonly StateTable[]): boolean {
    return sessions!.rows > 0
  }
  private indexAll(sessions: StateTable, ids: readonly number[]): void {
    const builders = this.keyColumns.map(({ type }) => columnBuilder(type, ids.length))
    for (const id of ids) this.keys.read(sessions, id, builders)
    this.index.use(builders.map((builder) => builder.done()))
    for (let i = 0; i < ids.length; i++) {
      this.link(this.index.add(i), ids[i]!)
      this.look(ids[i]!, closeOf(sessions, ids[i]!))
    }
  }
  /** To the sessions of the key; the index has just been asked for it. */
  private link(entry: number, id: number): void {
    if (entry >= this.first.length) this.first = longerInts(this.first, entry + 1)
    if (id >= this.next.length) {
      this.next = longerInts(this.next, id + 1)
      this.entryOf = longerInts(this.entryOf, id + 1)
      const lookedAt = new Float64Array(this.next.length)
      lookedAt.set(this.lookedAt)
      this.lookedAt = lookedAt
    }
    this.next[id] = this.index.isNew ? none : this.first[entry]!
    this.entryOf[id] = entry
    this.first[entry] = id
  }
  private look(id: number, closeMs: number): void {
    this.lookedAt[id] = closeMs
    this.open.add(closeMs, id)
  }

  step([sessions, members]: readonly StateTable[], [input = emptyBatch]: readonly Batch[], time: StepTime): Batch {
    const state: State = { sessions: sessions!, members }
    const late = new LateCollector()
    const out = new Output(this.plan.columns)
    const prepared =
      input.count === 0 ? { batch: input, columns: [], failed: null } : this.fold.prepare(input, time.nowUs)
    const { batch, failed } = prepared
    if (batch.count > 0) this.index.use(this.plan.keys.map((k) => batch.columns[k]!))
    for (let row = 0; row < batch.count; row++) this.take(state, prepared, row, time, late)
    this.flush(state, out)
    this.close(state, time.watermark, out)
    return out.done(late.done(), failed)
  }
  private close(state: State, watermark: number, out: Output): void {
    const { sessions } = state
    for (;;) {
      const { runs } = sessions
      if (runs !== null && runs.rows > 0 && runs.firstLot * this.lotMs <= Math.min(watermark, this.open.first))
        this.bringLot(sessions, runs.firstLot)
      const ids = this.open.takeClosed(watermark)
      if (ids === null) {
        this.closedUntil = watermark
        return
      }
      const closed = ids.filter((id) => closeOf(sessions, id) === this.lookedAt[id])
      if (closed.length < ids.length)
        for (const id of ids) if (closeOf(sessions, id) !== this.lookedAt[id]) this.look(id, closeOf(sessions, id))
      closed.sort((a, b) => sessions.compareKeys(a, b))
      for (const id of closed) {
        this.lookedAt[id] = NaN
        if (this.plan.emit === 'close') {
          this.fold.results(sessions, id, state.members, this.after, 0)
          const at = id * sessions.spec.numbers
          this.push(state, id, sessions.numbers[at + startAt]!, sessions.numbers[at + endAt]!, this.after, 0, out)
        }
        this.drop(state, id)
      }
    }
  }

  private take(state: State, prepared: Evaluated, row: number, time: StepTime, late: LateCollector): void {
    const { batch } = prepared
    const column = batch.columns[this.plan.time]!
    const isThere = column.kind === 'f64' && (column.valid === null || column.valid[row] === 1)
    // No session begins or ends at ±infinity.
    if (!isThere || !Number.isFinite(column.data[row])) return late.add(batch.rows, row, false)
    const micros = column.data[row]!
    const before = batch.rows.watermark[row]!
    const { sessions } = state
    let entry = this.index.find(row)
    if (entry < 0 && sessions.runs !== null && sessions.runs.rows > 0) entry = this.bring(sessions, batch, row)
    const { numbers } = sessions
    let start = micros
    let end = micros + this.gap
    let into = none
    let others: number[] | null = null
    for (let id = entry < 0 ? none : this.first[entry]!; id !== none; id = this.next[id]!) {
      const at = id * sessions.spec.numbers
      if (numbers[at + startAt]! > micros + this.gap || micros > numbers[at + endAt]!) continue
      if (closeOf(sessions, id) <= before) continue
      start = Math.min(start, numbers[at + startAt]!)
      end = Math.max(end, numbers[at + endAt]!)
      if (into === none) into = id
      else others = [...(others ?? []), id]
    }
    const closeMs = closeMsOf(end)
    if (closeMs <= before) return late.add(batch.rows, row, false)
    if (closeMs <= time.before) return late.add(batch.rows, row, true)
    if (others !== null) into = this.merged(state, [into, ...others], prepared)
    if (into === none) into = this.create(state, batch, row, closeMs)
    else if (!this.touched.has(into)) this.touch(sessions, into, true)
    this.touched.note(into, batch.rows, row)
    this.addRow(state, into, batch, row, start, end)
  }
  /** Sessions of the row's key that are in files; gives the key's entry, −1 where there are none. */
  private bring(sessions: StateTable, batch: Batch, row: number): number {
    const { writer } = this
    writer.length = 0
    this.encode(writer, batch, row)
    const ids = sessions.runs!.takeAll(sessions, writer.bytes, writer.length)
    for (const id of ids) {
      this.link(this.index.add(row), id)
      this.look(id, closeOf(sessions, id))
    }
    return ids.length === 0 ? none : this.entryOf[ids[0]!]!
  }
  /** Sessions that close soon, and the others of their keys. */
  private bringLot(sessions: StateTable, lot: number): void {
    const runs = sessions.runs!
    const ids = runs.takeLot(sessions, lot)
    for (const id of [...ids]) for (const other of runs.takeAll(sessions, sessions.stateKeyOf(id))) ids.push(other)
    this.indexAll(sessions, ids)
  }
  evict([sessions]: readonly StateTable[], bytes: number): void {
    const { open, lookedAt, next, entryOf } = this
    const letGo = (session: number): readonly number[] => {
      const entry = entryOf[session]!
      // Its key has gone with another, or it closes soon.
      if (entry === none || closeOf(sessions!, session) - this.lotMs <= this.closedUntil) return []
      const ids: number[] = []
      for (let id = this.first[entry]!; id !== none; id = next[id]!) {
        open.remove(lookedAt[id]!, id)
        entryOf[id] = none
        ids.push(id)
      }
      this.index.remove(entry)
      return ids
    }
    evictRows(sessions!, bytes, letGo, (id) => Math.floor(closeOf(sessions!, id) / this.lotMs))
  }
  private create({ sessions }: State, batch: Batch, row: number, closeMs: number): number {
    const { writer } = this
    writer.length = 0
    this.encode(writer, batch, row)
    const stateKey = writer.length
    writeOrdinal(sessions, writer, batch.rows, row, this.newest)
    const id = sessions.add(writer, stateKey)
    this.keys.write(sessions, id, { columns: this.plan.keys.map((k) => batch.columns[k]!) }, row)
    this.link(this.index.add(row), id)
    this.look(id, closeMs)
    this.touch(sessions, id, false)
    return id
  }
  private touch(sessions: StateTable, id: number, exists: boolean): void {
    sessions.touch(id)
    this.touched.add(sessions, id, exists)
  }
  private addRow(
    { sessions, members }: State,
    id: number,
    batch: Batch,
    row: number,
    start: number,
    end: number,
  ): void {
    const at = id * sessions.spec.numbers
    const { numbers } = sessions
    numbers[at + startAt] = start
    numbers[at + endAt] = end
    numbers[at + rowsAt]! += 1
    numbers[at + sourceAt] = batch.rows.source[row]!
    numbers[at + offsetAt] = batch.rows.offset[row]!
    this.fold.add(sessions, id, members, row, 1)
  }
  /** All of them as the one with the most rows; gives that one. */
  private merged(state: State, met: number[], prepared: Evaluated): number {
    const { sessions, members } = state
    const rows = (id: number): number => sessions.numbers[id * sessions.spec.numbers + rowsAt]!
    const [into, ...others] = met.sort((a, b) => rows(b) - rows(a) || sessions.compareKeys(a, b))
    for (const id of met) if (!this.touched.has(id)) this.touch(sessions, id, true)
    for (const other of others) {
      // What the step's rows told of both so far goes into their rows before one of these goes.
      this.touched.settle(into!, sessions, toldAt)
      this.touched.settle(other, sessions, toldAt)
      TouchedGroups.mergeTold(sessions, into!, sessions, other, toldAt)
      this.fold.merge(sessions, members, into!, other)
      sessions.numbers[into! * sessions.spec.numbers + rowsAt]! += rows(other)
      this.drop(state, other)
    }
    this.fold.resume(prepared)
    return into!
  }
  private drop({ sessions, members }: State, id: number): void {
    if (this.lookedAt[id] === this.lookedAt[id]) this.open.remove(this.lookedAt[id]!, id)
    const entry = this.entryOf[id]!
    this.entryOf[id] = none
    if (this.first[entry] !== id) {
      let previous = this.first[entry]!
      while (this.next[previous] !== id) previous = this.next[previous]!
      this.next[previous] = this.next[id]!
    } else if (this.next[id] === none) this.index.remove(entry)
    else this.first[entry] = this.next[id]!
    this.fold.members?.drop(sessions, members!, id)
    sessions.remove(id)
  }

  /** Ends the step for the sessions it touched. One that was joined to another is gone; its row is still readable. */
  private flush(state: State, out: Output): void {
    const { touched, before, after } = this
    const { sessions, members } = state
    for (let t = 0; t < touched.count; t++) {
      const id = touched.groupAt(t)
      const isOpen = this.entryOf[id] !== none
      if (isOpen) touched.remember(t, sessions, toldAt)
      if (this.plan.emit === 'close') continue
      const at = id * sessions.spec.numbers
      const [start, end] = [sessions.numbers[at + startAt]!, sessions.numbers[at + endAt]!]
      if (isOpen) this.fold.results(sessions, id, members, after, 0)
      if (touched.existed(t)) {
        const from = t * this.fold.numbers
        const { numbers } = touched.copies
        const [startBefore, endBefore] = [numbers[from + startAt]!, numbers[from + endAt]!]
        this.fold.resultsOf(touched.copies, from, t * this.fold.values, before, 0)
        const moved = start !== startBefore || end !== endBefore
        if (isOpen && !moved && before.every((value, i) => sameValue(value, after[i]))) continue
        this.push(state, id, startBefore, endBefore, before, -1, out)
      }
      if (isOpen) this.push(state, id, start, end, after, 1, out)
    }
    touched.clear()
  }
  /** `weight` 0: once, from the clock alone, when it has closed. */
  private push(
    { sessions }: State,
    id: number,
    start: number,
    end: number,
    values: readonly Value[],
    weight: number,
    out: Output,
  ): void {
    this.keys.read(sessions, id, out.builders)
    const width = this.plan.keys.length
    out.builders[width]!.push(start)
    out.builders[width + 1]!.push(end)
    for (let i = 0; i < values.length; i++) out.builders[width + 2 + i]!.push(values[i]!)
    const at = id * sessions.spec.numbers
    const { numbers } = sessions
    const watermark = TouchedGroups.toldWatermark(sessions, id, toldAt)
    if (weight === 0) out.end(1, -1, -1, end - 1000, watermark)
    else out.end(weight, numbers[at + sourceAt]!, numbers[at + offsetAt]!, end - 1000, watermark)
    out.rows.origins(TouchedGroups.toldOrigins(sessions, id, toldAt), weight !== 0)
  }
}
interface State {
  readonly sessions: StateTable
  readonly members: StateTable | undefined
}
const closeOf = (sessions: StateTable, id: number): number =>
  closeMsOf(sessions.numbers[id * sessions.spec.numbers + endAt]!)
