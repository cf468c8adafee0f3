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
 * Broadcast state is of no key: the rows of a second input write it, in the order in which they come, those of a step before any event
 * of the first; events and timers of all keys read it. The second input holds no watermark back.
 *
 * A time to live is a timer of the key that each call moves on. Not by every call, which would write it every time: it is set
 * a sixteenth too far, and moved once less than the whole is left. So states live that long, and a sixteenth longer at most.
 */
import { Fault, messageOf } from '../../lib/fault.ts'
import { assert } from '../../lib/assert.ts'
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
import { type Draft, TimerDraft, draftOf, readOnly } from './keyed-draft.ts'
import { KeyedStates, type StateTables, stateTables } from './keyed-states.ts'

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
  declare readonly alone?: boolean
  declare readonly asks?: boolean
  readonly tables
  private readonly plan: KeyedPlan
  private readonly keyed: KeyedFunction
  private readonly input: Columns
  private readonly encode
  private readonly readers
  private readonly writer = new KeyWriter()
  /** By clock. */
  private pending!: readonly [SortedIds, SortedIds, SortedIds]
  private readonly states = new KeyedStates()
  private readonly broadcast = new KeyedStates()
  private readonly broadcastColumns: Columns
  private failures: RowFailure[] = []
  /** Calls that were of no event of the first input. */
  private failedCalls: { readonly keys: readonly Value[]; readonly fault: Fault; readonly from: Place | null }[] = []

  constructor(plan: KeyedPlan, keyed: KeyedFunction, input: Columns) {
    this.plan = plan
    this.keyed = keyed
    this.input = input
    this.encode = keyEncoder(plan.key.map((k) => ({ column: k, type: input[k]!.type })))
    this.readers = plan.columns.map((c) => fromJs(c.type))
    this.broadcastColumns = plan.broadcast?.columns ?? []
    this.tables = [...stateTables(''), { name: 'timers', numbers: timerNumbers, values: 2 }]
    if (keyed.broadcast === undefined) return
    this.tables.push(...stateTables('broadcast '))
    this.alone = true
    this.asks = true
  }
  rebuild(tables: readonly StateTable[]): void {
    const timers = tables[2]
    this.states.rebuild(ofKeys(tables))
    if (this.keyed.broadcast !== undefined) this.broadcast.rebuild(ofAll(tables))
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

  step(
    tables: readonly StateTable[],
    [batch = emptyBatch, broadcast = emptyBatch]: readonly Batch[],
    time: StepTime,
  ): Batch {
    const out = new Output(this.plan.columns)
    this.failures = []
    this.failedCalls = []
    const nowMs = Math.floor(time.nowUs / 1000)
    for (let row = 0; row < broadcast.count; row++) this.take(tables, broadcast, row, nowMs)
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
    if (this.failedCalls.length === 0) return failed
    // There is no event of the first input: the key, and where the call came from, is what can be told.
    const rows = new Output(this.input)
    for (const { keys, from } of this.failedCalls) {
      for (let c = 0; c < this.input.length; c++) {
        const value = keys[this.plan.key.indexOf(c)] ?? null
        if (value === null) rows.builders[c]!.pushNull()
        else rows.builders[c]!.push(value)
      }
      rows.end(1, from?.source ?? -1, from?.offset ?? 0, 0, -Infinity)
    }
    const faults = this.failedCalls.map(({ fault }) => fault)
    const calls = rows.done()
    if (failed === null) return { batch: calls, faults }
    return {
      batch: concatenate([failed.batch, calls], this.input),
      faults: [...failed.faults, ...faults],
    }
  }
  /** A row of the second input. */
  private take(tables: readonly StateTable[], batch: Batch, row: number, nowMs: number): void {
    const { rows } = batch
    const state = ofAll(tables)
    const draft = draftOf(this.keyed.broadcast!, (index, kind) => this.broadcast.cell(state, noKey, index, kind))
    const event = rowObject(batch, row, this.broadcastColumns)
    const access = { timeMs: Math.floor(rows.time[row]! / 1000), nowMs, state: draft.states }
    try {
      try {
        mustBeOver(this.keyed.fn.onBroadcast!(event, access))
      } finally {
        draft.close()
      }
      this.broadcast.apply(state, noKey, draft)
    } catch (error) {
      const from = { source: rows.source[row]!, offset: rows.offset[row]! }
      this.failedCalls.push({ keys: [], fault: userFault(error), from })
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
        this.failedCalls.push({ keys, fault: userFault(error), from: null })
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
    const draft = this.draft(tables, call.stateKey)
    const shared = this.shared(tables)
    const timers = new TimerDraft(call.fired)
    const access: KeyedAccess = {
      key: this.plan.key.map((k, i) => toJson(call.keys[i]!, this.input[k]!.type)),
      timeMs: call.timeMs,
      watermarkMs: call.watermarkMs,
      nowMs,
      state: draft.states,
      broadcast: shared === null ? {} : readOnly(shared.states),
      timers: timers.access,
      emit: (row) => {
        draft.check()
        emitted.push(row)
      },
    }
    try {
      mustBeOver(run(access))
    } finally {
      draft.close()
      shared?.close()
      timers.close()
    }
    const rows = emitted.map((row) => this.plan.columns.map((c, i) => this.readers[i]!(row[c.name])))
    this.states.apply(ofKeys(tables), call.stateKey, draft)
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

  private draft(tables: readonly StateTable[], stateKey: Buffer): Draft {
    const state = ofKeys(tables)
    return draftOf(this.keyed.states, (index, kind) => this.states.cell(state, stateKey, index, kind))
  }
  /** What is broadcast, to be read; null: nothing is. */
  private shared(tables: readonly StateTable[]): Draft | null {
    const { broadcast } = this.keyed
    if (broadcast === undefined) return null
    const state = ofAll(tables)
    return draftOf(broadcast, (index, kind) => this.broadcast.cell(state, noKey, index, kind))
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
      const draft = this.draft(tables, stateKey)
      for (const state of Object.values(draft.states)) state.clear()
      this.states.apply(ofKeys(tables), stateKey, draft)
    }
  }
  private prolong(timers: StateTable, stateKey: Buffer, nowMs: number): void {
    const { ttlMs } = this.keyed
    if (ttlMs === undefined) return
    const key = this.states.keyOf(stateKey, ofLife)
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

  // Timers.

  private setTimer(timers: StateTable, call: Call, { clock, name, at, isSet }: TimerDraft['changes'][number]): void {
    const number = clock === 'event' ? 0 : 1
    const key = this.states.keyOf(call.stateKey, number)
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
interface Place {
  readonly source: number
  readonly offset: number
}
const noKey = Buffer.alloc(0)
const ofKeys = ([states, entries]: readonly StateTable[]): StateTables => ({ states: states!, entries: entries! })
function ofAll([, , , states, entries]: readonly StateTable[]): StateTables {
  assert(states !== undefined && entries !== undefined, 'tables of what is broadcast')
  return { states, entries }
}
function mustBeOver(result: unknown): void {
  if (result instanceof Promise)
    throw new Fault('flow.unsupported', { what: 'a process function must not be asynchronous' })
}
/** Whatever user code throws is the event's failure. */
const userFault = (error: unknown): Fault =>
  error instanceof Fault ? error : new Fault('flow.function-failed', { what: messageOf(error) }, error)
