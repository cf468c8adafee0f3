/**
 * Parts of a view's steps on a thread that does nothing else: their operators and their state. What the view's own graph does with
 * its parts (`graph.ts`) is asked for from there, step by step, and answered.
 */
import { Fault } from '../../lib/fault.ts'
import type { Disk } from '../../lib/world.ts'
import { type Batch, emptyBatch } from '../batch.ts'
import { operatorOf } from '../operator-of.ts'
import type { Operator, State, StepTime } from '../operator.ts'
import { upsert } from '../operators/upsert.ts'
import type { Plan } from '../plan.ts'
import { inputsOf } from '../plan-facts.ts'
import { stateBatches } from '../runtime/records.ts'
import { slicedSteps } from '../slices.ts'
import { SpillFiles } from '../spill.ts'
import { spillTo } from '../spill-runs.ts'
import { RowAges } from '../state-ages.ts'
import { changelogPrefix } from '../state-marks.ts'
import { type ChangesTo, StateTable } from '../state.ts'
import { partSizes, roomFrom, roomTo, stepsInOrder } from '../step-state.ts'

export interface HeldOptions {
  readonly plan: Plan
  /** Of all there are. */
  readonly parts: readonly number[]
  readonly parallelism: number
  /** Which steps of the plan, by the numbers of their nodes. */
  readonly steps: readonly number[]
  readonly ttlMs: number | null
  /** Of the memory and the folder of the view this thread has a share of its own. */
  readonly memory: { readonly bytes: number; readonly folder: string } | null
}
export interface HeldStep {
  readonly id: number
  readonly operators: readonly { readonly part: number; readonly operator: Operator; readonly state: State }[]
  readonly tables: State
  /** Of each input, the columns whose values are pieces of its memory (`Unpacker.batch`). */
  readonly kept: readonly (readonly boolean[])[]
}

export class HeldParts {
  readonly steps: readonly HeldStep[]
  private readonly byId: ReadonlyMap<number, HeldStep>
  private readonly spill: SpillFiles | null
  private readonly memoryBytes: number
  /** Nothing of it is used any more, nor is what it has in files. */
  readonly close: () => void
  private restoredEntries = 0
  private unreadable: unknown = null
  /** Entries came that operators have not been told of. */
  private isRestoring = false

  constructor({ plan, parts, parallelism, steps, ttlMs, memory }: HeldOptions, disk: Disk) {
    this.spill = memory === null ? null : new SpillFiles({ disk, folder: memory.folder })
    this.close = () => {
      this.spill?.clear()
      if (memory !== null) disk.remove(memory.folder)
    }
    this.memoryBytes = memory === null ? Infinity : (memory.bytes * parts.length) / parallelism
    const sliced = slicedSteps(plan)
    const plans = stepsInOrder(plan)
    const make = (step: Plan): Operator =>
      step.op === 'source' ? upsert(step.columns, step.key, step.columns.length) : operatorOf(step, false, sliced)
    this.steps = steps.map((id): HeldStep => {
      const step = plans[id - 1]!
      const operators = parts.map((part) => {
        const operator = make(step)
        const state = operator.tables.map((spec) => this.table(new StateTable(spec), operator, ttlMs))
        operator.rebuild(state)
        return { part, operator, state }
      })
      const inputs = step.op === 'source' ? [step] : inputsOf(step)
      const kept = inputs.map(({ columns }) => columns.map(({ type }) => type.kind === 'bytea'))
      return { id, operators, tables: operators.flatMap(({ state }) => state), kept }
    })
    this.byId = new Map(this.steps.map((step) => [step.id, step]))
  }
  private table(table: StateTable, operator: Operator, ttlMs: number | null): StateTable {
    if (this.spill !== null) spillTo(this.spill, table)
    if (ttlMs !== null && operator.forgetOld !== undefined) table.ages = new RowAges(ttlMs)
    return table
  }
  at(id: number): HeldStep {
    const step = this.byId.get(id)
    if (step === undefined) throw new Fault('internal', { what: `no parts of step ${id}` })
    return step
  }
  get spilledBytes(): number {
    return this.spill?.bytes ?? 0
  }

  // Ticks.

  step(id: number, pieces: readonly (readonly Batch[])[], time: StepTime): Batch[] {
    return this.at(id).operators.map(({ operator, state }, i) => {
      const batches = pieces[i]!
      const isIdle = batches.every(({ count }) => count === 0) && !operator.waits(state)
      return isIdle ? emptyBatch : operator.step(state, batches, time)
    })
  }
  forgetOld(steps: readonly HeldStep[], nowMs: number): void {
    for (const { operators } of steps)
      for (const { operator, state } of operators) {
        for (const { ages } of state) if (ages !== null) ages.nowMs = nowMs
        operator.forgetOld?.(state)
      }
  }
  /** What differs from the last commit, as batches for the partitions of the state's topic. */
  changes(
    numbers: ReadonlyMap<number, number>,
    { nowMs, partitions, bytesMax }: { readonly nowMs: number; readonly partitions: number; readonly bytesMax: number },
  ): { readonly partition: number; readonly batch: Uint8Array }[] {
    for (const { operators } of this.steps) for (const { operator, state } of operators) operator.save?.(state)
    const tellChanges = (to: ChangesTo): void => {
      for (const { id, operators } of this.steps)
        for (const { state } of operators)
          for (const [t, table] of state.entries())
            if (table.changed) table.tellChanges(changelogPrefix(numbers.get(id)!, t), to)
    }
    return stateBatches({ tellChanges }, { name: '', partitions }, { nowMs, bytesMax }).map(({ partition, batch }) => ({
      partition: partition.index,
      batch,
    }))
  }
  commit(): void {
    for (const table of this.tables()) table.commit()
  }
  undo(): void {
    for (const table of this.tables()) table.undo()
    this.rebuild()
  }
  clear(): void {
    this.unreadable = null
    this.isRestoring = false
    for (const table of this.tables()) table.clear()
    this.rebuild()
  }
  closeFiles(): void {
    this.spill?.clear()
  }
  /** All rows of a step go. */
  empty(id: number): void {
    for (const { operator, state } of this.at(id).operators) {
      for (const table of state) for (const row of table.all()) table.remove(row)
      operator.rebuild(state)
    }
  }
  content(id: number): Batch[] {
    return this.at(id).operators.map(({ operator, state }) => operator.content!(state))
  }
  evict(id: number, bytes: number): void {
    const { operators, tables } = this.at(id)
    const used = partSizes(tables).usedBytes
    if (used === 0) return
    // The thread of the view may want room before all is restored.
    if (this.isRestoring) for (const { operator, state } of operators) operator.rebuild(state)
    for (const { operator, state } of operators)
      operator.evict!(state, Math.ceil((bytes * partSizes(state).usedBytes) / used))
    this.spill?.compact()
  }

  // Restoring.

  restore(id: number, part: number, table: number, key: Uint8Array, value: Uint8Array | null, timeMs: number): void {
    try {
      const held = this.at(id).operators.find((one) => one.part === part)
      const found = held?.state[table]
      if (found === undefined) throw new Fault('wire.malformed', { what: `state of step ${id}, table ${table}` })
      this.isRestoring = true
      found.restore(key, value, timeMs)
    } catch (error) {
      this.unreadable ??= error
    }
  }
  /** While state is restored; as `Graph.makeRoomToRestore`, with this thread's share of the memory. */
  makeRoomToRestore(entries: number): void {
    const roomEveryEntries = 4_096
    this.restoredEntries += entries
    if (this.restoredEntries < roomEveryEntries) return
    this.restoredEntries = 0
    const used = partSizes([...this.tables()]).usedBytes
    if (used <= this.memoryBytes * roomFrom) return
    const spilling = this.steps.filter(({ operators }) => operators[0]?.operator.evict !== undefined)
    const here = spilling.reduce((sum, { tables }) => sum + partSizes(tables).usedBytes, 0)
    if (here === 0) return
    const share = Math.min(1, (used - this.memoryBytes * roomTo) / here)
    for (const { id, tables } of spilling) this.evict(id, Math.ceil(partSizes(tables).usedBytes * share))
  }
  /** Throws what of the state could not be read. */
  restored(): void {
    if (this.unreadable !== null) throw this.unreadable
    this.isRestoring = false
    this.rebuild()
    for (const table of this.tables()) table.settle()
  }

  private rebuild(): void {
    for (const { operators } of this.steps) for (const { operator, state } of operators) operator.rebuild(state)
  }
  private *tables(): IterableIterator<StateTable> {
    for (const { tables } of this.steps) yield* tables
  }
}
