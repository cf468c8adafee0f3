/**
 * User code in TypeScript: one call per event in the order of arrival, with the state of the event's key, emitting rows.
 * The input is append-only, so is the output.
 *
 * The state of a key is kept as JSON text. From the second call for a key in a tick on, it is kept as what the function
 * gave, and made text once, when the tick commits. That must not show: what the function sees is always what the text would
 * give. Where it could show, the tick is undone and done again carefully, with text after every call:
 * - the function threw for a key whose state is no text: it may have changed the state before it threw, and the state
 *   before the event is nowhere else;
 * - such a state is more than its JSON (a Date, undefined, −0), or two of them share an object.
 */
import { Fault, messageOf } from '../../lib/fault.ts'
import type { Columns } from '../../schema/types.ts'
import { type Batch, type RowFailure, emptyBatch, valueAt, withoutRows } from '../batch.ts'
import { fromJs, rowObject, toJson } from '../json-value.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import { type Operator, TickAgain } from '../operator.ts'
import { isPlainJson } from '../plain-json.ts'
import type { Plan, Row } from '../plan.ts'
import { Output } from '../row-store.ts'
import type { StateTable } from '../state.ts'

type ProcessPlan = Plan & { op: 'process' }

/** A function that needs care once will often need it again; a tick done twice must be the exception. */
const carefulTicks = 20

export function process(plan: ProcessPlan, input: Columns): Operator {
  return new Process(plan, input)
}

class Process implements Operator {
  readonly kind = 'process'
  readonly tables = [{ name: 'state', numbers: 0, values: 1 }]
  private readonly plan: ProcessPlan
  private readonly input: Columns
  private readonly encode
  private readonly readers
  private readonly writer = new KeyWriter()
  /** States by row of the table, whose text is that of the tick's first call. */
  private readonly live = new Map<number, unknown>()
  private careful = 0

  constructor(plan: ProcessPlan, input: Columns) {
    this.plan = plan
    this.input = input
    this.encode = keyEncoder(plan.key.map((k) => ({ column: k, type: input[k]!.type })))
    this.readers = plan.columns.map((c) => fromJs(c.type))
  }
  rebuild(): void {
    this.live.clear()
  }
  waits(): boolean {
    return false
  }

  step([table]: readonly StateTable[], [batch = emptyBatch]: readonly Batch[]): Batch {
    const out = new Output(this.plan.columns)
    const failures: RowFailure[] = []
    for (let row = 0; row < batch.count; row++) {
      this.writer.length = 0
      this.encode(this.writer, batch, row)
      const id = table!.find(this.writer)
      try {
        this.call(table!, id, batch, row, out)
      } catch (error) {
        if (this.live.has(id)) this.again()
        failures.push({ row, fault: userFault(error) })
      }
    }
    return out.done(null, withoutRows(batch, failures).failed)
  }
  /** All that can fail comes before the first change: an event that fails changes nothing, but for what it was given. */
  private call(table: StateTable, id: number, batch: Batch, row: number, out: Output): void {
    const { plan, input } = this
    const rows: Row[] = []
    const state = plan.fn(rowObject(batch, row, input), this.stateOf(table, id), (emitted) => void rows.push(emitted), {
      timeMs: Math.floor(batch.rows.time[row]! / 1000),
      watermarkMs: batch.rows.watermark[row]!,
      key: plan.key.map((k) => toJson(valueAt(batch.columns[k]!, row, input[k]!.type), input[k]!.type)),
    })
    if (state instanceof Promise)
      throw new Fault('flow.unsupported', { what: 'a process function must not be asynchronous' })
    const again = id >= 0 && table.isTouched(id)
    const text = this.careful > 0 || !again || isNothing(state) ? textOf(state) : undefined
    const values = rows.map((emitted) => plan.columns.map((c, i) => this.readers[i]!(emitted[c.name])))
    if (text === undefined) this.live.set(id, state)
    else this.keep(table, id, text)
    for (const one of values) {
      for (let c = 0; c < one.length; c++) out.builders[c]!.push(one[c]!)
      out.endFrom(1, batch.rows, row)
    }
  }
  private stateOf(table: StateTable, id: number): unknown {
    if (id < 0) return undefined
    if (this.live.has(id)) return this.live.get(id)
    return JSON.parse(table.values[id] as string)
  }
  private keep(table: StateTable, id: number, text: string | null): void {
    if (text !== null) setText(table, id < 0 ? table.add(this.writer) : id, text)
    else if (id >= 0) {
      table.remove(id)
      this.live.delete(id)
    }
  }
  save([table]: readonly StateTable[]): void {
    const seen = new Set<object>()
    for (const [id, state] of this.live) {
      if (!isPlainJson(state, seen)) this.again()
      setText(table!, id, JSON.stringify(state))
    }
    this.live.clear()
    if (this.careful > 0) this.careful--
  }
  private again(): never {
    this.careful = carefulTicks
    throw new TickAgain()
  }
}
function setText(table: StateTable, id: number, text: string): void {
  if (table.values[id] === text) return
  table.touch(id)
  table.values[id] = text
}
/** What JSON has no text for: the key has no state. */
const isNothing = (state: unknown): boolean =>
  state === undefined || state === null || typeof state === 'function' || typeof state === 'symbol'
const textOf = (state: unknown): string | null => (isNothing(state) ? null : (JSON.stringify(state) ?? null))
/** Whatever user code throws is the event's failure. */
const userFault = (error: unknown): Fault =>
  error instanceof Fault ? error : new Fault('flow.function-failed', { what: messageOf(error) }, error)
