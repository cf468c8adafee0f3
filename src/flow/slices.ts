/**
 * Windows that overlap, in slices: where a plan counts rows in HOP or CUMULATE windows once, when they close, each row is
 * counted in the one slice that it lies in, and a window that closes is the sum of its slices. A slice is as long as
 * windows are apart; the step that else makes a row for each window makes one then, whose window columns hold the slice.
 *
 * That can be where nothing but such GROUP BYs reads the windows, by their bounds as keys alone, over an input that only
 * grows, with aggregates that can be added to one another.
 */
import { assert } from '../lib/assert.ts'
import { type Aggregate, type Expression, partsOf } from './expression.ts'
import { closeMsOf } from './open-windows.ts'
import type { Plan, PlanOf, Window } from './plan.ts'
import { inputsOf, neverWithdraws } from './plan-facts.ts'

/** What a GROUP BY over slices knows of them. */
export interface Slices {
  readonly times: SliceTimes
  /** By key of the plan: the bound of the window that it is; null: none. */
  readonly bounds: readonly ('start' | 'end' | null)[]
}
export interface SlicedSteps {
  /** Steps that make slices. */
  readonly windows: ReadonlySet<Plan>
  readonly groups: ReadonlyMap<Plan, Slices>
}

/** How windows lie over slices; µs. */
export class SliceTimes {
  readonly step: number
  private readonly size: number
  private readonly offset: number
  private readonly cumulates: boolean

  constructor({ kind, sizeMs, stepMs, offsetMs }: Overlapping) {
    this.step = stepMs * 1000
    this.size = sizeMs * 1000
    this.offset = (offsetMs ?? 0) * 1000
    this.cumulates = kind === 'cumulate'
  }
  /** Of the slice that ends there: when the last of its windows ends. The first ends with it, the others a step apart. */
  lastEnd(sliceEnd: number): number {
    const start = this.cumulates ? this.wholeStart(sliceEnd) : sliceEnd - this.step
    return start + this.size
  }
  /** Of the slice that ends there: when the first window ends that a watermark (ms) has not closed. */
  firstEnd(sliceEnd: number, watermark: number): number {
    if (closeMsOf(sliceEnd) > watermark) return sliceEnd
    const passed = Math.floor(((watermark + 1) * 1000 - sliceEnd) / this.step)
    return sliceEnd + (passed + 1) * this.step
  }
  /** Of the window that ends there. */
  startOf(end: number): number {
    return this.cumulates ? this.wholeStart(end) : end - this.size
  }
  /** Where the window of the whole size begins that has a slice with this end. */
  private wholeStart(end: number): number {
    return Math.floor((end - this.step - this.offset) / this.size) * this.size + this.offset
  }
}

type Overlapping = Exclude<Window, { readonly kind: 'tumble' }>
/** What makes slices of windows. */
export function sliceOf(window: Window): Window {
  assert(window.kind !== 'tumble', 'windows that overlap')
  return { kind: 'tumble', sizeMs: window.stepMs, offsetMs: window.offsetMs ?? 0 }
}

export function slicedSteps(plan: Plan): SlicedSteps {
  const readers = new Map<Plan, Plan[]>()
  const visit = (step: Plan): void => {
    for (const input of inputsOf(step)) {
      const known = readers.get(input)
      if (known === undefined) {
        readers.set(input, [step])
        visit(input)
      } else if (!known.includes(step)) known.push(step)
    }
  }
  visit(plan)
  const windows = new Set<Plan>()
  const groups = new Map<Plan, Slices>()
  for (const step of readers.keys()) {
    if (step.op !== 'window') continue
    const found = groupsOver(step, readers)
    if (found === null) continue
    windows.add(step)
    for (const [reader, slices] of found) groups.set(reader, slices)
  }
  return { windows, groups }
}

/** Columns that hold a window's bounds. */
interface Bounds {
  readonly starts: ReadonlySet<number>
  readonly ends: ReadonlySet<number>
}
/** All that reads the windows; null: something needs them as they are. */
function groupsOver(plan: PlanOf<'window'>, readers: ReadonlyMap<Plan, readonly Plan[]>): Map<Plan, Slices> | null {
  const { window, input } = plan
  if (!isOverlapping(window) || !isTimestamp(plan) || !neverWithdraws(input)) return null
  const times = new SliceTimes(window)
  const found = new Map<Plan, Slices>()
  const look = (step: Plan, bounds: Bounds): boolean => {
    const all = readers.get(step)
    return all !== undefined && all.every((reader) => fits(reader, bounds))
  }
  const fits = (reader: Plan, bounds: Bounds): boolean => {
    switch (reader.op) {
      case 'filter':
        return !mentions(reader.where, bounds) && look(reader, bounds)
      case 'project': {
        const computed = reader.expressions.filter((one) => one.kind !== 'column')
        return !computed.some((one) => mentions(one, bounds)) && look(reader, projected(reader, bounds))
      }
      case 'aggregate':
        if (!canAdd(reader, bounds)) return false
        found.set(reader, { times, bounds: reader.keys.map((key) => boundOf(key, bounds)) })
        return true
      default:
        return false
    }
  }
  const width = input.columns.length
  return look(plan, { starts: new Set([width]), ends: new Set([width + 1]) }) ? found : null
}
/** Whole steps of whole milliseconds: every window ends where a slice does. */
function isOverlapping(window: Window): window is Overlapping {
  if (window.kind === 'tumble') return false
  const { sizeMs, stepMs, offsetMs = 0 } = window
  return [sizeMs, stepMs, offsetMs].every(Number.isInteger) && sizeMs > stepMs && sizeMs % stepMs === 0
}
function isTimestamp({ input, time }: PlanOf<'window'>): boolean {
  const { kind } = input.columns[time]!.type
  return kind === 'timestamp' || kind === 'timestamptz'
}
function projected({ expressions }: PlanOf<'project'>, { starts, ends }: Bounds): Bounds {
  const of = (columns: ReadonlySet<number>): ReadonlySet<number> =>
    new Set(expressions.flatMap((one, at) => (one.kind === 'column' && columns.has(one.index) ? [at] : [])))
  return { starts: of(starts), ends: of(ends) }
}
function canAdd({ emit, keys, windowEnd, aggregates }: PlanOf<'aggregate'>, bounds: Bounds): boolean {
  if (emit !== 'close' || windowEnd === null || !bounds.ends.has(keys[windowEnd]!)) return false
  return aggregates.every((one) => isAdded(one) && !partsOfAggregate(one).some((part) => mentions(part, bounds)))
}
/** The values of a DISTINCT lie beside their group. */
const isAdded = ({ name, distinct, args }: Aggregate): boolean =>
  !distinct || args.length === 0 || name === 'min' || name === 'max'
const partsOfAggregate = ({ args, filter }: Aggregate): readonly Expression[] =>
  filter === null ? args : [...args, filter]
function boundOf(column: number, { starts, ends }: Bounds): 'start' | 'end' | null {
  return starts.has(column) ? 'start' : ends.has(column) ? 'end' : null
}
function mentions(expression: Expression, bounds: Bounds): boolean {
  if (expression.kind === 'column') return boundOf(expression.index, bounds) !== null
  return partsOf(expression).some((part) => mentions(part, bounds))
}
