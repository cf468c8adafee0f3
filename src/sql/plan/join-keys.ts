/** The keys of joins, found in their conditions; and which joins would have to keep history. */
import type { Expression } from '../../flow/expression.ts'
import { looksAhead } from '../../flow/over-calls.ts'
import type { Plan, PlanOf as Of } from '../../flow/plan.ts'
import { inputsOf, withInputs } from '../../flow/plan-facts.ts'
import type { Columns, Field } from '../../schema/types.ts'
import { findInterval } from './interval.ts'
import { call, column, columnsOf, conjunction, conjuncts, shiftColumns } from '../bind/bound.ts'

/** Equalities between the two sides of a join become its keys; a key that is computed becomes a column of its side. */
export function findKeys(plan: Plan): Plan {
  const found = withInputs(plan, findKeys)
  return found.op === 'join' ? keyed(found) : found
}
function keyed(plan: Of<'join'>): Plan {
  const conditions = plan.where === null ? [] : conjuncts(plan.where)
  const found = plan.interval === undefined ? findInterval(plan.left, plan.right, plan.kind, conditions) : null
  if (found !== null) return keyed({ ...plan, interval: found.interval, where: conjunction(found.rest) })
  const width = plan.left.columns.length
  const pairs: [Expression, Expression][] = []
  const staying: Expression[] = []
  for (const condition of conditions) {
    const pair = equalSides(condition, width)
    if (pair === null) staying.push(condition)
    else
      pairs.push(
        alike(
          pair[0],
          shiftColumns(pair[1], (index) => index - width),
        ),
      )
  }
  if (pairs.length === 0) return plan
  const left = withColumns(
    plan.left,
    pairs.map(([l]) => l),
  )
  const right = withColumns(
    plan.right,
    pairs.map(([, r]) => r),
  )
  const [leftEnds, rightEnds] = [windowEnds(plan.left), windowEnds(plan.right)]
  const end = left.at.findIndex((l, i) => leftEnds.has(l) && rightEnds.has(right.at[i]!))
  const shift = left.plan.columns.length
  const place = (index: number): number => (index < width ? index : index - width + shift)
  const where = conjunction(staying)
  const semi = plan.kind === 'semi' || plan.kind === 'anti'
  const nullable = (field: Field): Field => ({ ...field, nullable: true })
  const added = (more: Columns, from: number): Columns => more.slice(from).map(nullable)
  const columns = semi
    ? left.plan.columns
    : [
        ...plan.columns.slice(0, width),
        ...added(left.plan.columns, width),
        ...plan.columns.slice(width),
        ...added(right.plan.columns, plan.right.columns.length),
      ]
  const join: Plan = {
    ...plan,
    left: left.plan,
    right: right.plan,
    leftKeys: [...plan.leftKeys, ...left.at],
    rightKeys: [...plan.rightKeys, ...right.at],
    windowEnd: end < 0 ? plan.windowEnd : plan.leftKeys.length + end,
    where: where === null ? null : shiftColumns(where, place),
    columns,
  }
  if (columns.length === plan.columns.length) return join
  const expressions = plan.columns.map((field, i) => column(place(i), field.type))
  return { op: 'project', input: join, expressions, columns: plan.columns }
}
/** Keys of both sides have one form in memory: numerics of different scales have not. */
function alike(left: Expression, right: Expression): [Expression, Expression] {
  const [a, b] = [left.type, right.type]
  if (a.kind !== 'numeric' || b.kind !== 'numeric' || a.scale === b.scale) return [left, right]
  const free = { kind: 'numeric', precision: null, scale: null } as const
  const freed = (expr: Expression, scale: number | null): Expression =>
    scale === null ? expr : call('cast', [expr], free)
  return [freed(left, a.scale), freed(right, b.scale)]
}
function equalSides(condition: Expression, width: number): [Expression, Expression] | null {
  if (condition.kind !== 'call' || condition.name !== '=') return null
  const [a, b] = condition.args as [Expression, Expression]
  const isOf = (expr: Expression, ofLeft: boolean): boolean => {
    const read = [...columnsOf(expr)]
    return read.length > 0 && read.every((index) => index < width === ofLeft)
  }
  if (isOf(a, true) && isOf(b, false)) return [a, b]
  return isOf(b, true) && isOf(a, false) ? [b, a] : null
}
/** The plan with these as columns of it, and where each is. */
function withColumns(plan: Plan, wanted: readonly Expression[]): { plan: Plan; at: number[] } {
  const own = plan.columns.map((field, i) => column(i, field.type))
  const computed = wanted.filter((expr) => expr.kind !== 'column')
  let next = own.length
  const at = wanted.map((expr) => (expr.kind === 'column' ? expr.index : next++))
  if (computed.length === 0) return { plan, at }
  const more = computed.map((expr, i): Field => ({ name: `key_${i + 1}`, type: expr.type, nullable: true }))
  const columns = [...plan.columns, ...more]
  return { plan: { op: 'project', input: plan, expressions: [...own, ...computed], columns }, at }
}
/** Columns that hold the end of a window which closes with the watermark. */
function windowEnds(plan: Plan): Set<number> {
  switch (plan.op) {
    case 'window':
    case 'sliding-window':
      return new Set([...windowEnds(plan.input), plan.columns.length - 1])
    case 'filter':
      return windowEnds(plan.input)
    case 'over':
      if (plan.time !== null) return looksAhead(plan.calls) ? new Set() : windowEnds(plan.input)
      return new Set(plan.windowEnd === null ? [] : [plan.partitionBy[plan.windowEnd]!])
    case 'project': {
      const ends = windowEnds(plan.input)
      return new Set(plan.expressions.flatMap((expr, i) => (expr.kind === 'column' && ends.has(expr.index) ? [i] : [])))
    }
    case 'aggregate':
      return new Set(plan.windowEnd === null ? [] : [plan.windowEnd])
    case 'session':
      return new Set([plan.keys.length + 1])
    case 'temporal-join':
    case 'lookup':
      return windowEnds(plan.left)
    case 'join': {
      const width = plan.left.columns.length
      // Pairs of a window that are met through it, and through nothing later.
      if (plan.windowEnd === null || plan.kind !== 'inner') return new Set()
      return new Set([plan.leftKeys[plan.windowEnd]!, width + plan.rightKeys[plan.windowEnd]!])
    }
    case 'source':
    case 'expire':
    case 'union':
    case 'global-window':
    case 'top':
    case 'conflict':
    case 'from-changelog':
    case 'to-changelog':
    case 'process':
      return new Set()
  }
}

/** True where a plan's rows become more for ever: those of a stream, and of its windows. */
function growsForEver(plan: Plan): boolean {
  switch (plan.op) {
    case 'source':
      return plan.mode === 'append'
    case 'aggregate':
      return plan.windowEnd !== null
    case 'session':
      return true
    case 'to-changelog':
      return true
    case 'conflict':
    case 'from-changelog':
    case 'top':
      return false
    case 'expire':
      return plan.until === null && growsForEver(plan.input)
    case 'over':
      return (plan.keep === null || plan.emit === 'close') && growsForEver(plan.input)
    case 'temporal-join':
    case 'lookup':
      return growsForEver(plan.left)
    default:
      return inputsOf(plan).some(growsForEver)
  }
}
/** Rows of a table, or of a view by key, themselves. */
function isTable(plan: Plan): boolean {
  if (plan.op === 'source') return plan.mode === 'upsert'
  return (plan.op === 'project' || plan.op === 'filter') && isTable(plan.input)
}
/**
 * The step that would have to keep history. Of a join neither side may grow for ever, nor what OVER restates, unless its
 * rows go with their window, or only the first ranks are kept. `joinsEnd`: rows of joins go by `state_ttl`.
 */
export function keepsHistory(plan: Plan, joinsEnd: boolean): 'join' | 'exists' | 'table-join' | 'over' | null {
  const isBounded = plan.op === 'join' && (joinsEnd || plan.windowEnd !== null || plan.interval !== undefined)
  if (plan.op === 'join' && !isBounded && inputsOf(plan).some(growsForEver))
    return isTable(plan.left) || isTable(plan.right)
      ? 'table-join'
      : plan.kind === 'semi' || plan.kind === 'anti'
        ? 'exists'
        : 'join'
  const restates = plan.op === 'over' && plan.time === null && plan.windowEnd === null && plan.keep === null
  if (restates && growsForEver(plan.input)) return 'over'
  return inputsOf(plan).reduce<ReturnType<typeof keepsHistory>>(
    (found, input) => found ?? keepsHistory(input, joinsEnd),
    null,
  )
}
