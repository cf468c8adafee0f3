/**
 * Which records a one-off query can need, by its conditions on `_partition`, `_offset` and `_timestamp`: the others are not
 * read. The conditions are computed all the same, so bounds may be wider than they say.
 */
import { compileScalar } from '../flow/compile.ts'
import { type Expression, type Value, partsOf } from '../flow/expression.ts'
import type { Plan, SourcePlan } from '../flow/plan.ts'
import { inputsOf } from '../flow/plan-facts.ts'
import { offset as asOffset, timeMs } from '../lib/brand.ts'
import type { Log } from '../log/log.ts'
import { columnsOf } from '../sql/bind/bound.ts'
import type { Range } from './topic-reader.ts'

export interface RecordBounds {
  /** null: all. */
  readonly partitions: ReadonlySet<number> | null
  readonly from: number
  /** Exclusive. */
  readonly to: number
  /** Record time in milliseconds. */
  readonly fromMs: number
}
const everything: RecordBounds = { partitions: null, from: 0, to: Infinity, fromMs: -Infinity }

/** Steps to which a row that no condition lets pass makes no difference, nor the time that it would have brought. */
const indifferent = new Set<Plan['op']>(['source', 'filter', 'project', 'union', 'join', 'aggregate', 'top', 'lookup'])

/** Of streams of which only so much is needed; every mention of one must have such a condition right above it. */
export function recordBounds(plan: Plan, nowUs: number): Map<Plan, RecordBounds> {
  const found = new Map<Plan, RecordBounds>()
  const seen = new Set<Plan>()
  const note = (source: SourcePlan, bounds: RecordBounds): void => {
    const before = found.get(source)
    found.set(source, before === undefined ? bounds : widest(before, bounds))
  }
  /** false: something goes by the time that rows bring. */
  const visit = (step: Plan): boolean => {
    if (seen.has(step)) return true
    seen.add(step)
    if (!indifferent.has(step.op) || (step.op === 'aggregate' && step.emit === 'close')) return false
    for (const input of inputsOf(step)) {
      if (input.op === 'source') note(input, step.op === 'filter' ? boundsOf(input, step.where, nowUs) : everything)
      if (!visit(input)) return false
    }
    return true
  }
  if (!visit(plan)) return new Map()
  for (const [source, bounds] of found)
    if ((source as SourcePlan).mode !== 'append' || isEverything(bounds)) found.delete(source)
  return found
}
const isEverything = ({ partitions, from, to, fromMs }: RecordBounds): boolean =>
  partitions === null && from <= 0 && to === Infinity && fromMs === -Infinity
const widest = (a: RecordBounds, b: RecordBounds): RecordBounds => ({
  partitions: a.partitions === null || b.partitions === null ? null : new Set([...a.partitions, ...b.partitions]),
  from: Math.min(a.from, b.from),
  to: Math.max(a.to, b.to),
  fromMs: Math.min(a.fromMs, b.fromMs),
})

function boundsOf(source: SourcePlan, where: Expression, nowUs: number): RecordBounds {
  let bounds = everything
  for (const condition of where.kind === 'and' ? where.args : [where])
    bounds = narrowed(bounds, source, condition, nowUs)
  return bounds
}
const swapped: Readonly<Record<string, string>> = { '=': '=', '<': '>', '<=': '>=', '>': '<', '>=': '<=' }

function narrowed(bounds: RecordBounds, source: SourcePlan, condition: Expression, nowUs: number): RecordBounds {
  const { from, to, fromMs } = bounds
  const partitions = partitionsOf(source, condition, nowUs)
  if (partitions !== null) {
    const before = bounds.partitions
    return {
      ...bounds,
      partitions: before === null ? partitions : new Set([...partitions].filter((p) => before.has(p))),
    }
  }
  const compared = comparison(source, condition, nowUs)
  if (compared === null) return bounds
  const { of, name, value } = compared
  if (of === 'timestamp')
    // Times before 1970 are in no index.
    return value > 0 && (name === '=' || name[0] === '>')
      ? { ...bounds, fromMs: Math.max(fromMs, Math.floor(value / 1000)) }
      : bounds
  if (of !== 'offset') return bounds
  const atLeast = name === '>' ? Math.floor(value) + 1 : Math.ceil(value)
  const below = name === '<' ? Math.ceil(value) : Math.floor(value) + 1
  return {
    ...bounds,
    from: name === '=' || name[0] === '>' ? Math.max(from, atLeast) : from,
    to: name === '=' || name[0] === '<' ? Math.min(to, below) : to,
  }
}
/** `_partition = 1`, or several of these with OR (as IN is planned). */
function partitionsOf(source: SourcePlan, condition: Expression, nowUs: number): ReadonlySet<number> | null {
  const found = new Set<number>()
  for (const one of condition.kind === 'or' ? condition.args : [condition]) {
    const compared = comparison(source, one, nowUs)
    if (compared?.of !== 'partition' || compared.name !== '=') return null
    found.add(compared.value)
  }
  return found
}
/** A comparison of a pseudo-column with a value that no row changes; null: it is none, or the value is no number. */
function comparison(
  source: SourcePlan,
  condition: Expression,
  nowUs: number,
): { readonly of: string; readonly name: string; readonly value: number } | null {
  if (condition.kind !== 'call' || condition.args.length !== 2 || swapped[condition.name] === undefined) return null
  const [left, right] = condition.args as [Expression, Expression]
  const [column, other] = left.kind === 'column' ? [left, right] : [right, left]
  if (column.kind !== 'column' || columnsOf(other).size > 0 || callsProgram(other)) return null
  const value = valueOf(other, nowUs)
  const number = typeof value === 'bigint' ? Number(value) : value
  if (typeof number !== 'number' || Number.isNaN(number)) return null
  const name = column === left ? condition.name : swapped[condition.name]!
  return { of: source.fields[column.index]!.from, name, value: number }
}
const callsProgram = (expr: Expression): boolean =>
  (expr.kind === 'call' && expr.user !== undefined) || partsOf(expr).some(callsProgram)
function valueOf(expression: Expression, nowUs: number): Value {
  try {
    return compileScalar(expression)([], nowUs)
  } catch {
    // Its row will say so.
    return null
  }
}

/** What is left of the ranges of a topic. */
export async function within(log: Log, ranges: readonly Range[], bounds: RecordBounds): Promise<Range[]> {
  const { partitions, from, to, fromMs } = bounds
  const left = ranges.filter(({ partition }) => partitions === null || partitions.has(partition.index))
  const times =
    fromMs === -Infinity
      ? []
      : await log.findTime(
          left.map(({ partition }) => partition),
          timeMs(fromMs),
        )
  return left.map((range, i) => {
    const first = fromMs === -Infinity ? range.from : (times[i]?.offset ?? asOffset(range.to))
    const end = Math.max(range.from, Math.min(range.to, to))
    return { partition: range.partition, from: Math.min(end, Math.max(range.from, from, first)), to: end }
  })
}
