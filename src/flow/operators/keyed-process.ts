/**
 * User code in TypeScript with named states and timers: a call an event and a call a timer, in order.
 *
 * A state is a value, a list or a map of a key, kept as JSON text: a value as one entry, a list and a map as an entry for each
 * element, so that what a call changes is what the changelog gets. What a call reads is what the texts give. It writes into
 * a draft; only when it has returned, and its rows could be made, the draft becomes state: a call that fails changes nothing.
 *
 * Timers are rows of a table. Those of event time fire when the watermark has come to them, in the order of their times:
 * before each event those at or below the watermark that stood before it, so that over one partition the order of calls
 * depends on the records alone. Those of the clock fire at the beginning of the first step at or after their time. A
 * timer goes when it fires, in the tick that holds what its call did.
 *
 * A time to live is a timer of the key that each call moves on. Not by every call, which would write it every time: it is set
 * a sixteenth too far, and moved once less than the whole is left. So states live that long, and a sixteenth longer at most.
 */
import { Fault } from '../../lib/fault.ts'
import type { Columns } from '../../schema/types.ts'
import { type Batch, type FailedRows, type RowFailure, emptyBatch, valueAt, withoutRows } from '../batch.ts'
import { concatenate } from '../concatenate.ts'
import type { Value } from '../expression.ts'
import { fromJs, rowObject, toJson } from '../json-value.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import type { Operator, StepTime } from '../operator.ts'
import type { KeyedAccess, KeyedFunction, Plan, Row, Timer } from '../plan.ts'
import { Output } from '../row-store.ts'
import { SortedIds } from '../sorted.ts'
import type { StateTable } from '../state.ts'
import { type Cell, type Draft, TimerDraft, draftOf } from './keyed-draft.ts'

type KeyedPlan = Plan & { op: 'process' }

// Of a timer: when (ms), which clock, and of the event that set it: ordinal, event time.
const atAt = 0
const clockAt = 1
const sourceAt = 2
const offsetAt = 3
const timeAt = 4
const timerNumbers = 5
const clocks = ['event', 'processing'] as const
/** The third clock is that of times to live. */
const ofLife = 2

/** Where a call's rows come from. */
interface Origin {
  readonly source: number
  readonly offset: number
  readonly timeUs: number
  readonly watermark: number
}
interface Call {
  readonly stateKey: Buffer
  readonly keys: readonly Value[]
  readonly timeMs: number
  readonly watermarkMs: number
  /** The event of this row; null: a timer. */
  readonly row: number | null
  readonly origin: Origin
  /** The timer that calls. */
  readonly fired: Timer | null
}

export function keyedProcess(plan: KeyedPlan, keyed: KeyedFunction, input: Columns): Operator {
  return new KeyedProcess(plan, keyed, input)
}

class KeyedProcess implements Operator {
  readonly kind = 'process'
  readonly tables = [
    { name: 'states', numbers: 2, values: 1 },
    { name: 'entries', numbers: 1, values: 2 },
    { name: 'timers', numbers: timerNumbers, values: 2 },
  ]
  private readonly plan: KeyedPlan
  private readonly keyed: KeyedFunction
  private readonly input: Columns
  private readonly encode
  private readonly readers
  private readonly writer = new KeyWriter()
  /** By clock. */
  private pending!: readonly [SortedIds, SortedIds, SortedIds]
  /** Keys of maps, by the key of their state. */
  private readonly members = new Map<string, Set<string>>()
  private failures: RowFailure[] = []
  private failedTimers: { readonly keys: readonly Value[]; readonly fault: Fault }[] = []

  constructor(plan: KeyedPlan, keyed: KeyedFunction, input: Columns) {
    this.plan = plan
    this.keyed = keyed
    this.input = input
    this.encode = keyEncoder(plan.key.map((k) => ({ column: k, type: input[k]!.type })))
    this.readers = plan.columns.map((c) => fromJs(c.type))
  }
  rebuild([, entries, timers]: readonly StateTable[]): void {
    this.members.clear()
    for (const id of entries!.all()) {
      const element = entries!.values[id * 2]
      if (element === null) continue
      const key = entries!.keyOf(id).subarray(0, entries!.stateKeyOf(id).length + 1)
      this.membersOf(key).add(element as string)
    }
    const order = (): SortedIds =>
      new SortedIds(
        (a, b) =>
          timers!.numbers[a * timerNumbers + atAt]! - timers!.numbers[b * timerNumbers + atAt]! ||
          timers!.compareKeys(a, b),
      )
    const pending = [order(), order(), order()] as const
    for (const id of timers!.all()) pending[timers!.numbers[id * timerNumbers + clockAt] as 0 | 1 | 2].add(id)
    this.pending = pending
  }
  waits(): boolean {
    return this.pending.some(({ count }) => count > 0)
  }
  due([, , timers]: readonly StateTable[]): number {
    const firsts = [this.pending[1].first(), this.pending[ofLife].first()]
    return Math.min(...firsts.map((id) => (id === undefined ? Infinity : timers!.numbers[id * timerNumbers + atAt]!)))
  }

  step(tables: readonly StateTable[], [batch = emptyBatch]: readonly Batch[], time: StepTime): Batch {
    const out = new Output(this.plan.columns)
    this.failures = []
    this.failedTimers = []
    const nowMs = Math.floor(time.nowUs / 1000)
    this.expire(tables, nowMs)
    this.fire(tables, 1, { upTo: nowMs, watermark: time.before, nowMs }, out)
    const { rows } = batch
    for (let row = 0; row < batch.count; row++) {
      const watermark = Math.min(rows.watermark[row]!, time.watermark)
      this.fire(tables, 0, { upTo: watermark, watermark, nowMs }, out)
      this.writer.length = 0
      this.encode(this.writer, batch, row)
      const timeUs = rows.time[row]!
      const origin = { source: rows.source[row]!, offset: rows.offset[row]!, timeUs, watermark: rows.watermark[row]! }
      const call: Call = {
        stateKey: Buffer.from(this.writer.done()),
        keys: this.plan.key.map((k) => valueAt(batch.columns[k]!, row, this.input[k]!.type)),
        timeMs: Math.floor(timeUs / 1000),
        watermarkMs: rows.watermark[row]!,
        row,
        origin,
        fired: null,
      }
      const event = rowObject(batch, row, this.input)
      try {
        this.call(tables, call, nowMs, (access) => this.keyed.fn.onEvent(event, access), batch, out)
      } catch (error) {
        this.failures.push({ row, fault: userFault(error) })
      }
    }
    this.fire(tables, 0, { upTo: time.watermark, watermark: time.watermark, nowMs }, out)
    return out.done(null, this.failed(batch))
  }
  private failed(batch: Batch): FailedRows | null {
    const { failed } = withoutRows(batch, this.failures)
    if (this.failedTimers.length === 0) return failed
    // There is no event any more: the key is what can be told.
    const rows = new Output(this.input)
    for (const { keys } of this.failedTimers) {
      for (let c = 0; c < this.input.length; c++) {
        const value = this.plan.key.includes(c) ? keys[this.plan.key.indexOf(c)]! : null
        if (value === null) rows.builders[c]!.pushNull()
        else rows.builders[c]!.push(value)
      }
      rows.end(1, -1, 0, 0, -Infinity)
    }
    const faults = this.failedTimers.map(({ fault }) => fault)
    const timers = rows.done()
    if (failed === null) return { batch: timers, faults }
    return {
      batch: concatenate([failed.batch, timers], this.input),
      faults: [...failed.faults, ...faults],
    }
  }

  /** Timers of one clock up to a time, in order; one that a timer sets fires too if it is due. */
  private fire(
    tables: readonly StateTable[],
    clock: 0 | 1,
    { upTo, watermark, nowMs }: { upTo: number; watermark: number; nowMs: number },
    out: Output,
  ): void {
    const timers = tables[2]!
    const pending = this.pending[clock]
    // At the end of the input, what is set then is never due.
    let left = upTo === Infinity ? pending.count : Infinity
    for (let id = pending.first(); id !== undefined && left-- > 0; id = pending.first()) {
      const at = timers.numbers[id * timerNumbers + atAt]!
      if (at > upTo) return
      pending.shift()
      const name = timers.values[id * 2] as string | null
      const timer: Timer = { clock: clocks[clock], atMs: at, name }
      const keys = timers.values[id * 2 + 1] as readonly Value[]
      const [source, offset, setAtUs] = [sourceAt, offsetAt, timeAt].map(
        (field) => timers.numbers[id * timerNumbers + field]!,
      )
      const call: Call = {
        stateKey: Buffer.from(timers.stateKeyOf(id)),
        keys,
        timeMs: at,
        watermarkMs: watermark,
        row: null,
        origin: {
          source: source!,
          offset: offset!,
          timeUs: clock === 0 ? at * 1000 : setAtUs!,
          // The watermark has just come to it: it is not late for what is behind.
          watermark: clock === 0 ? at - 1 : watermark,
        },
        fired: timer,
      }
      timers.remove(id)
      try {
        this.call(tables, call, nowMs, (access) => this.keyed.fn.onTimer?.(timer, access), null, out)
      } catch (error) {
        this.failedTimers.push({ keys, fault: userFault(error) })
      }
    }
  }

  /** All that can fail comes before the first change. */
  private call(
    tables: readonly StateTable[],
    call: Call,
    nowMs: number,
    run: (access: KeyedAccess) => unknown,
    batch: Batch | null,
    out: Output,
  ): void {
    const emitted: Row[] = []
    const draft = draftOf(this.keyed.states, (state, kind) => this.cell(tables, call.stateKey, state, kind))
    const timers = new TimerDraft(call.fired)
    const access: KeyedAccess = {
      key: this.plan.key.map((k, i) => toJson(call.keys[i]!, this.input[k]!.type)),
      timeMs: call.timeMs,
      watermarkMs: call.watermarkMs,
      nowMs,
      state: draft.states,
      timers: timers.access,
      emit: (row) => {
        draft.check()
        emitted.push(row)
      },
    }
    try {
      if (run(access) instanceof Promise)
        throw new Fault('flow.unsupported', { what: 'a process function must not be asynchronous' })
    } finally {
      draft.close()
      timers.close()
    }
    const rows = emitted.map((row) => this.plan.columns.map((c, i) => this.readers[i]!(row[c.name])))
    this.apply(tables, call.stateKey, draft)
    for (const change of timers.changes) this.setTimer(tables[2]!, call, change)
    this.prolong(tables[2]!, call.stateKey, nowMs)
    for (const values of rows) {
      for (let c = 0; c < values.length; c++) out.builders[c]!.push(values[c]!)
      if (call.row !== null) out.endFrom(1, batch!.rows, call.row)
      else {
        const { source, offset, timeUs, watermark } = call.origin
        out.end(1, source, offset, timeUs, watermark)
        out.rows.origins([], true)
      }
    }
  }

  /** States whose time to live is over. Their timers stay. */
  private expire(tables: readonly StateTable[], nowMs: number): void {
    const timers = tables[2]!
    const pending = this.pending[ofLife]
    for (let id = pending.first(); id !== undefined; id = pending.first()) {
      if (timers.numbers[id * timerNumbers + atAt]! > nowMs) return
      pending.shift()
      const stateKey = Buffer.from(timers.stateKeyOf(id))
      timers.remove(id)
      const draft = draftOf(this.keyed.states, (state, kind) => this.cell(tables, stateKey, state, kind))
      for (const state of Object.values(draft.states)) state.clear()
      this.apply(tables, stateKey, draft)
    }
  }
  private prolong(timers: StateTable, stateKey: Buffer, nowMs: number): void {
    const { ttlMs } = this.keyed
    if (ttlMs === undefined) return
    const key = this.keyOf(stateKey, ofLife)
    let id = timers.find(key)
    if (id >= 0 && timers.numbers[id * timerNumbers + atAt]! >= nowMs + ttlMs) return
    if (id < 0) id = timers.add(key, stateKey.length)
    else {
      this.pending[ofLife].remove(id)
      timers.touch(id)
    }
    timers.numbers[id * timerNumbers + atAt] = nowMs + ttlMs + Math.ceil(ttlMs / 16)
    timers.numbers[id * timerNumbers + clockAt] = ofLife
    this.pending[ofLife].add(id)
  }

  // State.

  /** In the writer; the state key is its beginning. */
  private keyOf(stateKey: Buffer, state: number): KeyWriter {
    const { writer } = this
    writer.length = 0
    writer.reserve(stateKey.length + 1)
    stateKey.copy(writer.bytes, 0)
    writer.length = stateKey.length
    writer.byte(state)
    return writer
  }
  private membersOf(key: Uint8Array): Set<string> {
    const name = Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
    const known = this.members.get(name) ?? new Set<string>()
    this.members.set(name, known)
    return known
  }
  private forget(key: Buffer, element: string): void {
    const members = this.membersOf(key)
    members.delete(element)
    if (members.size === 0) this.members.delete(key.toString('latin1'))
  }
  /** What there is, before the call. */
  private cell([states, entries]: readonly StateTable[], stateKey: Buffer, state: number, kind: string): Cell {
    const key = this.keyOf(stateKey, state)
    const head = kind === 'map' ? -1 : states!.find(key)
    const members = kind === 'map' ? this.membersOf(key.done()) : []
    const [from, to] = head < 0 ? [0, 0] : [states!.numbers[head * 2]!, states!.numbers[head * 2 + 1]!]
    const entry = (element: number | string): string | null => {
      const id = entries!.find(this.entryKey(stateKey, state, element))
      return id < 0 ? null : (entries!.values[id * 2 + 1] as string)
    }
    return { text: head < 0 ? null : (states!.values[head] as string | null), from, to, entry, keys: () => members }
  }
  private entryKey(stateKey: Buffer, state: number, element: number | string): KeyWriter {
    const writer = this.keyOf(stateKey, state)
    if (typeof element === 'number') writer.double(element)
    else writer.text(element)
    return writer
  }
  private apply([states, entries]: readonly StateTable[], stateKey: Buffer, draft: Draft): void {
    for (const { state, head, entries: changed } of draft.changes()) {
      for (const [element, text] of changed) {
        const key = this.entryKey(stateKey, state, element)
        let id = entries!.find(key)
        const isOfMap = typeof element === 'string'
        if (text === null) {
          if (id < 0) continue
          entries!.remove(id)
          if (isOfMap) this.forget(this.keyOf(stateKey, state).done(), element)
          continue
        }
        if (id < 0) id = entries!.add(key, stateKey.length)
        else entries!.touch(id)
        entries!.values[id * 2] = isOfMap ? element : null
        entries!.values[id * 2 + 1] = text
        if (isOfMap) this.membersOf(this.keyOf(stateKey, state).done()).add(element)
      }
      if (head === undefined) continue
      const key = this.keyOf(stateKey, state)
      let id = states!.find(key)
      if (head === null) {
        if (id >= 0) states!.remove(id)
        continue
      }
      if (id < 0) id = states!.add(key, stateKey.length)
      else states!.touch(id)
      states!.values[id] = head.text
      states!.numbers[id * 2] = head.from
      states!.numbers[id * 2 + 1] = head.to
    }
  }
  private setTimer(timers: StateTable, call: Call, { clock, name, at, isSet }: TimerDraft['changes'][number]): void {
    const number = clock === 'event' ? 0 : 1
    const key = this.keyOf(call.stateKey, number)
    key.byte(name === null ? 0 : 1)
    if (name === null) key.double(at)
    else key.text(name)
    let id = timers.find(key)
    if (!isSet) {
      if (id < 0) return
      this.pending[number].remove(id)
      timers.remove(id)
      return
    }
    if (id < 0) id = timers.add(key, call.stateKey.length)
    else {
      this.pending[number].remove(id)
      timers.touch(id)
    }
    const { source, offset, timeUs } = call.origin
    timers.numbers.set([at, number, source, offset, timeUs], id * timerNumbers)
    timers.values[id * 2] = name
    timers.values[id * 2 + 1] = call.keys
    this.pending[number].add(id)
  }
}
/** Whatever user code throws is the event's failure. */
const userFault = (error: unknown): Fault =>
  error instanceof Fault
    ? error
    : new Fault('flow.function-failed', { what: error instanceof Error ? error.message : String(error) }, error)
