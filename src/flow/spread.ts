/**
 * Parallel parts of a step. Its state is cut by the 64 slots of the changelog: each part is an operator of its own over the
 * slots that are its, and gets the rows whose key lies there (the exchange). To the graph they are one operator: a step
 * cuts its inputs, lets each part work, and puts together what they give. Nothing else knows of parts, so watermarks, undo
 * and commit are those of one operator, and the state can be read by any other number of parts.
 *
 * The result does not depend on how many there are. Each part sees the rows of its keys in the order in which the step was
 * given them, with the provenance and the watermarks that they had. Rows of different parts are put together in the order
 * that one part would have given them, where the step has one that its rows show: closed windows by time and key, rows that
 * waited for event time by that and their ordinal, rows that are made one by one by the records that they were made from. Of joins and
 * of changes of a result only the order within a key is certain, as it is between cuts of the input; so what a `process`
 * step or a global window reads, which see the order, is never cut.
 *
 * Parts may be on other threads (`parts/`): those work on theirs while this one works on its own, and what they give is waited for.
 */
import { assert } from '../lib/assert.ts'
import type { Columns } from '../schema/types.ts'
import { type Batch, type FailedRows, type LateRows, type Provenance, emptyBatch, gatherBatch } from './batch.ts'
import { concatenate } from './concatenate.ts'
import { evaluator } from './evaluate.ts'
import type { Expression } from './expression.ts'
import { KeyWriter, hashKey, keyEncoder, slotOf } from './key.ts'
import { closeMsOfRow, lateRecords } from './open-windows.ts'
import type { Operator, State, StepTime } from './operator.ts'
import type { PartStatus } from './parts/asks.ts'
import { type Later, together } from './parts/far-parts.ts'
import { type Packer, copied } from './parts/wire.ts'
import type { Plan } from './plan.ts'
import { inputsOf, neverWithdraws } from './plan-facts.ts'
import { type Slices, slicedSteps } from './slices.ts'
import { partSizes } from './step-state.ts'

/** Which part holds a slot. */
export const partOfSlot = (slot: number, parts: number): number => slot % parts

/** Steps of the plan that are cut, with what makes their keys, by input: the same bytes as the state keys of their tables. */
export function exchangesOf(plan: Plan): Map<Plan, Exchange> {
  const found = new Map<Plan, Exchange>()
  const whole = new Set<Plan>()
  const { groups } = slicedSteps(plan)
  const visit = (step: Plan, isWhole: boolean): void => {
    if (isWhole ? whole.has(step) : found.has(step)) return
    if (isWhole) whole.add(step)
    const exchange = exchangeOf(step, groups.get(step))
    if (exchange !== null) found.set(step, exchange)
    for (const input of inputsOf(step)) visit(input, isWhole || step.op === 'process' || step.op === 'global-window')
  }
  visit(plan, false)
  for (const step of whole) found.delete(step)
  return found
}
/**
 * Worth another thread? Where a step only adds values up, what a row costs to hand over is about what it costs to take in
 * (bench/README.md, rows `in two parts on two threads`): with threads such a step is not cut.
 */
export function isHeavy(plan: Plan): boolean {
  if (plan.op !== 'aggregate') return true
  const mayShrink = !neverWithdraws(plan.input)
  return plan.aggregates.some(({ name, distinct }) => distinct || (mayShrink && (name === 'min' || name === 'max')))
}
export interface Exchange {
  readonly keys: readonly (readonly Expression[])[]
  readonly order: Order
  /** Its rows are of slices, which are with their key. */
  readonly slices?: Slices
}
/**
 * How rows of parts are put together. 'time': by event time in steps of `unitUs`, the ordinal, and these columns. 'made': as
 * the rows of the first input that they were made from.
 */
type Order = TimeOrder | { readonly by: 'made' }
interface TimeOrder {
  readonly by: 'time'
  readonly unitUs: number
  readonly ties: readonly number[]
}
const byTime: TimeOrder = { by: 'time', unitUs: 1, ties: [] }

function exchangeOf(plan: Plan, slices?: Slices): Exchange | null {
  const of = (columns: Columns, positions: readonly number[]): Expression[] =>
    positions.map((index) => ({ kind: 'column', index, type: columns[index]!.type }))
  const cut = (keys: readonly (readonly Expression[])[], order: Order): Exchange | null =>
    keys[0]!.length === 0 ? null : { keys, order }
  switch (plan.op) {
    case 'source':
      return plan.mode === 'upsert' ? cut([of(plan.columns, plan.key)], { by: 'made' }) : null
    case 'aggregate':
    case 'session': {
      // The values of a session's DISTINCT lie in slots of its own key, which has its first row behind that of the plan.
      if (plan.op === 'session' && plan.aggregates.some(({ distinct }) => distinct)) return null
      // Windows that close within a millisecond do so by their keys.
      const closing: Order = { by: 'time', unitUs: 1000, ties: [...plan.keys.keys()] }
      if (slices !== undefined) {
        const own = plan.keys.filter((_, key) => slices.bounds[key] === null)
        const exchange = cut([of(plan.input.columns, own)], closing)
        return exchange === null ? null : { ...exchange, slices }
      }
      return cut([of(plan.input.columns, plan.keys)], plan.emit === 'close' ? closing : byTime)
    }
    case 'join':
      return cut([of(plan.left.columns, plan.leftKeys), of(plan.right.columns, plan.rightKeys)], byTime)
    case 'temporal-join': {
      const ties = plan.leftKeys.flatMap((key) => (key.kind === 'column' ? [key.index] : []))
      return cut([plan.leftKeys, of(plan.right.columns, plan.rightKeys)], { ...byTime, ties })
    }
    case 'lookup':
      return cut([plan.leftKeys, of(plan.right.columns, plan.rightKeys)], { by: 'made' })
    case 'over':
      // Windows that close at one time do so in one order.
      if (plan.emit === 'close') return null
      return cut([of(plan.input.columns, plan.partitionBy)], { ...byTime, ties: plan.partitionBy })
    case 'top':
      return cut([of(plan.input.columns, plan.partitionBy)], byTime)
    case 'conflict':
      return cut([of(plan.columns, plan.key)], byTime)
    case 'from-changelog':
    case 'to-changelog':
      return null
    case 'process':
      // Timers of functions with named states go in one order.
      if (plan.keyed !== undefined) return null
      return cut([of(plan.input.columns, plan.key)], { by: 'made' })
    case 'sliding-window':
      return cut([of(plan.input.columns, plan.keys)], { by: 'made' })
    case 'global-window': {
      // Windows with timers fire in one order.
      const { afterMs, everyMs } = plan.trigger
      return afterMs === null && everyMs === null ? cut([of(plan.input.columns, plan.keys)], { by: 'made' }) : null
    }
    case 'filter':
    case 'project':
    case 'expire':
    case 'union':
    case 'window':
      return null
  }
}

/** The parts of a step that another thread holds. */
export interface FarStep {
  readonly parts: readonly number[]
  readonly status: PartStatus
  /** `write`: the batches of a part, of all `inputs`. */
  step(time: StepTime, inputs: number, write: (out: Packer, part: number) => void): Later<Batch[]>
  content(): Later<Batch[]>
  evict(bytes: number): Later<unknown>
}
export interface Spreading {
  readonly exchange: Exchange
  readonly parts: number
  /** What is left of the parts is here: the first is. */
  readonly far: readonly FarStep[]
}
export function spread(plan: Plan, make: () => Operator, { exchange, parts, far }: Spreading): Operator {
  const away = new Set(far.flatMap((one) => one.parts))
  const here = Array.from({ length: parts }, (_, part) => part).filter((part) => !away.has(part))
  return new Spread(
    plan,
    here.map((part) => ({ part, operator: make() })),
    { exchange, parts, far },
  )
}

class Spread implements Operator {
  readonly kind
  readonly tables
  readonly parts: number
  readonly here: readonly number[]
  declare readonly leads?: boolean
  declare readonly alone?: boolean
  declare readonly asks?: boolean
  declare readonly delayMs?: number
  declare readonly keepsWatermark?: boolean
  declare readonly forgetOld?: NonNullable<Operator['forgetOld']>
  declare readonly evict?: NonNullable<Operator['evict']>
  declare readonly content?: NonNullable<Operator['content']>
  private readonly plan: Plan
  /** Those here. */
  private readonly operators: readonly Operator[]
  private readonly far: readonly FarStep[]
  private readonly cutters: readonly Cutter[]
  private readonly order: Order
  private readonly slices: Slices | undefined
  /** Of the rows that may fail; a step that reads a topic computes nothing. */
  private readonly first: Columns

  constructor(
    plan: Plan,
    here: readonly { readonly part: number; readonly operator: Operator }[],
    { exchange: { keys, order, slices }, parts, far }: Spreading,
  ) {
    this.plan = plan
    this.here = here.map(({ part }) => part)
    const operators = here.map(({ operator }) => operator)
    this.operators = operators
    this.far = far
    this.order = order
    this.slices = slices
    this.parts = parts
    const [one] = operators
    const { kind, tables, leads, alone, asks, delayMs, keepsWatermark, forgetOld, evict, content } = one!
    this.kind = kind
    this.tables = operators.flatMap(() => tables)
    if (leads !== undefined) this.leads = leads
    if (alone !== undefined) this.alone = alone
    if (asks !== undefined) this.asks = asks
    if (delayMs !== undefined) this.delayMs = delayMs
    if (keepsWatermark !== undefined) this.keepsWatermark = keepsWatermark
    if (forgetOld !== undefined) this.forgetOld = (state) => this.each(state, (one, own) => one.forgetOld!(own))
    if (evict !== undefined) this.evict = (state, bytes) => this.evictAll(state, bytes)
    if (content !== undefined) this.content = (state) => this.contentOf(state)
    const inputs = inputsOf(plan)
    this.first = inputs[0]?.columns ?? []
    this.cutters = keys.map((key, input) => cutter(key, inputs[input]?.columns ?? [], parts))
  }
  private stateOf(state: State, index: number): State {
    const count = state.length / this.operators.length
    return state.slice(index * count, index * count + count)
  }
  private each(state: State, act: (operator: Operator, state: State) => void): void {
    for (const [index, operator] of this.operators.entries()) act(operator, this.stateOf(state, index))
  }
  rebuild(state: State): void {
    this.each(state, (operator, own) => operator.rebuild(own))
  }
  save(state: State): void {
    this.each(state, (operator, own) => operator.save?.(own))
  }
  waits(state: State): boolean {
    const some = this.operators.some((operator, index) => operator.waits(this.stateOf(state, index)))
    return some || this.far.some(({ status }) => status.waits)
  }
  due(state: State): number {
    let due = Infinity
    this.each(state, (operator, own) => (due = Math.min(due, operator.due?.(own) ?? Infinity)))
    for (const { status } of this.far) due = Math.min(due, status.due)
    return due
  }
  private evictAll(state: State, bytes: number): void {
    const usedOf = (tables: State): number => partSizes(tables).usedBytes
    const used = this.far.reduce((sum, { status }) => sum + status.usedBytes, usedOf(state))
    if (used === 0) return
    const share = (own: number): number => Math.ceil((bytes * own) / used)
    together(
      this.far.map((one) => one.evict(share(one.status.usedBytes))),
      () => this.each(state, (operator, own) => operator.evict!(own, share(usedOf(own)))),
    )
  }
  private contentOf(state: State): Batch {
    const { own, far } = together(
      this.far.map((one) => one.content()),
      () => this.operators.map((operator, index) => operator.content!(this.stateOf(state, index))),
    )
    return joinedRows(this.inOrder(own, far), this.plan.columns)
  }
  /** Of all parts, by their numbers. */
  private inOrder(own: readonly Batch[], far: readonly (readonly Batch[])[]): Batch[] {
    if (this.far.length === 0) return [...own]
    const all: Batch[] = []
    for (const [index, part] of this.here.entries()) all[part] = own[index]!
    for (const [index, { parts }] of this.far.entries())
      for (const [at, part] of parts.entries()) all[part] = far[index]![at]!
    // What another thread gives lies where the next is written. Several are put together, which copies them.
    const filled = all.filter(({ count }) => count > 0).length
    return all.map((batch, part) =>
      !this.here.includes(part) && (batch.late !== null || batch.failed !== null || (batch.count > 0 && filled === 1))
        ? copied(batch)
        : batch,
    )
  }

  step(state: State, batches: readonly Batch[], time: StepTime): Batch {
    const cuts = batches.map((batch, input) => this.cutters[input]!(batch, time.nowUs))
    // Each has its turn, as one alone would have it: also what goes with the watermark goes at the same time.
    const asked = this.far.map((far) => this.askFar(far, cuts, time))
    const { own, far } = together(asked, () =>
      this.operators.map((operator, index) =>
        operator.step(
          this.stateOf(state, index),
          cuts.map((cut) => pieceOf(cut, this.here[index]!)),
          time,
        ),
      ),
    )
    const given = this.inOrder(own, far)
    const failed = allFailed(given, this.first)
    return { ...this.joined(given, cuts[0]!), late: this.late(given, batches[0]!, failed, time), failed }
  }
  /** Where nothing is for its parts, nothing is asked. */
  private askFar(far: FarStep, cuts: readonly Cut[], time: StepTime): Later<readonly Batch[]> {
    const nothing = far.parts.every((part) => cuts.every(({ counts }) => counts[part] === 0))
    if (nothing && !far.status.waits) return () => far.parts.map(() => emptyBatch)
    return far.step(time, cuts.length, (out, part) => {
      for (const { batch, rows, counts } of cuts)
        out.batch(counts[part] === 0 ? emptyBatch : batch, rows[part]!, counts[part]!)
    })
  }
  private joined(given: readonly Batch[], cut: Cut): Batch {
    const { columns } = this.plan
    return this.order.by === 'made' ? asMade(given, columns, cut) : inTimeOrder(given, columns, this.order)
  }
  /** A record in several windows is late when all of them have closed, whichever parts they are with. */
  private late(given: readonly Batch[], input: Batch, failed: FailedRows | null, time: StepTime): LateRows | null {
    const { plan } = this
    if (plan.op !== 'aggregate' || plan.windowEnd === null) return allLate(given)
    if (given.every(({ late }) => late === null)) return null
    const batch = failed === null ? input : without(input, failed)
    const column = plan.keys[plan.windowEnd]!
    const { slices } = this
    return lateRecords(batch, (row) => closeMsOfRow(batch, column, row, slices?.times), time.before)
  }
}

// Cutting.

/** `whose[row]`: the part of each row of `batch`, the input without what could not be computed. */
interface Cut {
  readonly batch: Batch
  readonly whose: Uint8Array
  /** Of each part. */
  readonly rows: readonly Int32Array[]
  readonly counts: readonly number[]
  /** What has no key fails again, wherever it is given to. */
  readonly keyless: Batch | null
  readonly columns: Columns
}
type Cutter = (batch: Batch, nowUs: number) => Cut

function cutter(key: readonly Expression[], columns: Columns, parts: number): Cutter {
  const evaluate = evaluator(key)
  const encode = keyEncoder(key.map(({ type }, column) => ({ column, type })))
  const writer = new KeyWriter()
  const noRows = Array.from({ length: parts }, () => new Int32Array(0))
  const noCounts = noRows.map(() => 0)
  return (input, nowUs) => {
    if (input.count === 0)
      return { batch: input, whose: new Uint8Array(0), rows: noRows, counts: noCounts, keyless: null, columns }
    const { batch, columns: keys, failed } = evaluate(input, nowUs)
    const whose = new Uint8Array(batch.count)
    const counts = Array.from({ length: parts }, () => 0)
    for (let row = 0; row < batch.count; row++) {
      writer.length = 0
      encode(writer, { columns: keys }, row)
      const part = partOfSlot(slotOf(hashKey(writer.bytes, 0, writer.length)), parts)
      whose[row] = part
      counts[part]!++
    }
    const rows = counts.map((count) => new Int32Array(count))
    const ends = counts.map(() => 0)
    for (let row = 0; row < batch.count; row++) {
      const part = whose[row]!
      rows[part]![ends[part]!++] = row
    }
    return { batch, whose, rows, counts, keyless: failed?.batch ?? null, columns }
  }
}
/** What goes to a part that is here. */
function pieceOf({ batch, rows, counts, keyless, columns }: Cut, part: number): Batch {
  const count = counts[part]!
  const piece = count === 0 ? emptyBatch : count === batch.count ? batch : gatherBatch(batch, rows[part]!, count)
  return keyless !== null && part === 0 ? joinedRows([piece, keyless], columns) : piece
}

// Putting together.

function joinedRows(parts: readonly Batch[], columns: Columns): Batch {
  const filled = parts.filter(({ count }) => count > 0)
  return filled.length === 0 ? emptyBatch : filled.length === 1 ? plain(filled[0]!) : concatenate(filled, columns)
}
const plain = (batch: Batch): Batch =>
  batch.late === null && batch.failed === null ? batch : { ...batch, late: null, failed: null }

/** Rows of all parts, each in its own order: of the rows that are next, the one that comes before the others. */
function inTimeOrder(parts: readonly Batch[], columns: Columns, by: TimeOrder): Batch {
  const filled = parts.filter(({ count }) => count > 0)
  if (filled.length < 2) return joinedRows(filled, columns)
  const rows = concatenate(filled, columns)
  const order = new Int32Array(rows.count)
  const heads: { at: number; readonly end: number }[] = []
  for (let part = 0, at = 0; part < filled.length; at += filled[part++]!.count)
    heads.push({ at, end: at + filled[part]!.count })
  const isBefore = earlier(rows, columns, by)
  let next = heads[0]!
  for (let i = 0; i < order.length; i++) {
    // What is equal stays with the part that the row before was from: a withdrawal and what follows it are together.
    for (const head of heads)
      if (head.at < head.end && (next.at === next.end || isBefore(head.at, next.at))) next = head
    order[i] = next.at++
  }
  return gatherBatch(rows, order, order.length)
}
function earlier(batch: Batch, columns: Columns, { unitUs, ties }: TimeOrder) {
  const encode = keyEncoder(ties.map((column) => ({ column, type: columns[column]!.type })))
  const writer = new KeyWriter()
  const { time, source, offset } = batch.rows
  return (a: number, b: number): boolean => {
    const ofA = Math.floor(time[a]! / unitUs)
    const ofB = Math.floor(time[b]! / unitUs)
    if (ofA !== ofB) return ofA < ofB
    if (source[a] !== source[b]) return source[a]! < source[b]!
    if (offset[a] !== offset[b]) return offset[a]! < offset[b]!
    writer.length = 0
    encode(writer, batch, a)
    const { length } = writer
    encode(writer, batch, b)
    return writer.bytes.compare(writer.bytes, length, writer.length, 0, length) < 0
  }
}
/** Rows that say of which row of the input they were made: its ordinal and its time are theirs. */
function asMade(parts: readonly Batch[], columns: Columns, { batch, whose }: Cut): Batch {
  const filled = parts.filter(({ count }) => count > 0)
  if (filled.length < 2) return joinedRows(filled, columns)
  const rows = concatenate(filled, columns)
  const order = new Int32Array(rows.count)
  const heads = new Int32Array(parts.length)
  const ends = new Int32Array(parts.length)
  for (let part = 0, at = 0; part < parts.length; part++) {
    heads[part] = at
    ends[part] = at += parts[part]!.count
  }
  const { source, offset, time } = rows.rows
  const of = batch.rows
  let count = 0
  for (let row = 0; row < batch.count; row++) {
    const part = whose[row]!
    for (let at = heads[part]!; at < ends[part]!; at = heads[part]!) {
      if (source[at] !== of.source[row] || offset[at] !== of.offset[row] || time[at] !== of.time[row]) break
      order[count++] = at
      heads[part]!++
    }
  }
  assert(count === rows.count, 'each row was made from one of the input')
  return gatherBatch(rows, order, count)
}

const rowsAlone = (rows: Provenance, count: number): Batch => ({ ...emptyBatch, rows, count })
function allLate(parts: readonly Batch[]): LateRows | null {
  const found = parts.flatMap(({ late }) => (late === null ? [] : [late]))
  if (found.length < 2) return found[0] ?? null
  const { rows, count } = concatenate(
    found.map((late) => rowsAlone(late.rows, late.count)),
    [],
  )
  return { rows, count, afterIdle: found.reduce((sum, { afterIdle }) => sum + afterIdle, 0) }
}
/** In the order of the records. */
function allFailed(parts: readonly Batch[], columns: Columns): FailedRows | null {
  const found = parts.flatMap(({ failed }) => (failed === null ? [] : [failed]))
  if (found.length < 2) return found[0] ?? null
  const batch = concatenate(
    found.map((failed) => failed.batch),
    columns,
  )
  const faults = found.flatMap((failed) => failed.faults)
  const { source, offset } = batch.rows
  const order = Int32Array.from(faults.keys()).sort((a, b) => source[a]! - source[b]! || offset[a]! - offset[b]!)
  return { batch: gatherBatch(batch, order, order.length), faults: Array.from(order, (row) => faults[row]!) }
}
/** The input without the records that failed. */
function without(input: Batch, { batch }: FailedRows): Batch {
  const place = ({ source, offset }: Provenance, row: number): string => `${source[row]}/${offset[row]}`
  const bad = new Set(Array.from({ length: batch.count }, (_, row) => place(batch.rows, row)))
  const kept = Int32Array.from({ length: input.count }, (_, row) => row).filter(
    (row) => input.rows.source[row]! < 0 || !bad.has(place(input.rows, row)),
  )
  return gatherBatch(input, kept, kept.length)
}
