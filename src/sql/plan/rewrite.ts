/**
 * Rewrites of a finished plan that change what it costs, never what it gives: filters move towards the sources as far as
 * they can, joins get their keys (`join-keys.ts`), every step carries only the columns that a later one reads (`prune.ts`),
 * steps that only pass columns on disappear, and equal steps become one.
 */
import type { Expression } from '../../flow/expression.ts'
import type { Plan, PlanOf as Of } from '../../flow/plan.ts'
import { shareSteps, withInputs } from '../../flow/plan-facts.ts'
import { columnsOf, conjunction, conjuncts, isVolatile, mapExpression, shiftColumns } from '../bind/bound.ts'
import { findKeys } from './join-keys.ts'
import { prune } from './prune.ts'

export function rewrite(plan: Plan): Plan {
  const pushed = findKeys(pushFilters(plan))
  const all = pushed.columns.map((_, i) => i)
  return shareSteps(mergeProjects(prune(pushed, new Set(all)).plan))
}

function pushFilters(plan: Plan): Plan {
  if (plan.op === 'join') return pushIntoSides(withInputs(plan, pushFilters) as Of<'join'>)
  if (plan.op === 'expire') return pushExpire({ ...plan, input: pushFilters(plan.input) })
  if (plan.op !== 'filter') return withInputs(plan, pushFilters)
  let input = pushFilters(plan.input)
  const staying: Expression[] = []
  for (const condition of conjuncts(plan.where)) {
    const moved = push(input, condition)
    if (moved === null) staying.push(condition)
    else input = moved
  }
  const where = conjunction(staying)
  return where === null ? input : filterOver(input, where)
}
/** A filter by the clock goes to the side of a join that it reads: so its state bounds the join's. */
function pushExpire(plan: Of<'expire'>): Plan {
  const { input, from, until } = plan
  const bounds = [from, until].filter((bound) => bound !== null)
  const read = bounds.flatMap((bound) => [...columnsOf(bound)])
  const over = (side: Plan, map: (expr: Expression) => Expression): Plan =>
    pushExpire({
      op: 'expire',
      input: side,
      from: from === null ? null : map(from),
      until: until === null ? null : map(until),
      columns: side.columns,
    })
  switch (input.op) {
    case 'filter':
    case 'expire':
      return { ...input, input: over(input.input, (expr) => expr) }
    case 'project':
      if (!read.every((index) => isCheap(input.expressions[index]!))) return plan
      return { ...input, input: over(input.input, (expr) => substitute(expr, input.expressions)) }
    case 'join': {
      const width = input.left.columns.length
      const { kind } = input
      // Within an interval rows only come.
      if (input.interval !== undefined) return plan
      if (read.every((index) => index < width) && kind !== 'right' && kind !== 'full')
        return { ...input, left: over(input.left, (expr) => expr) }
      if (read.every((index) => index >= width) && (kind === 'inner' || kind === 'right'))
        return { ...input, right: over(input.right, (expr) => shiftColumns(expr, (index) => index - width)) }
      return plan
    }
    default:
      return plan
  }
}
/** What a join says of one side alone holds for that side's rows before they meet anything, unless they stay without. */
function pushIntoSides(plan: Of<'join'>): Plan {
  const width = plan.left.columns.length
  let { left, right } = plan
  const staying: Expression[] = []
  for (const condition of plan.where === null ? [] : conjuncts(plan.where)) {
    const read = [...columnsOf(condition)]
    const isMovable = read.length > 0 && !isVolatile(condition)
    const ofLeft = isMovable && read.every((index) => index < width)
    const ofRight = isMovable && read.every((index) => index >= width)
    if (ofLeft && (plan.kind === 'inner' || plan.kind === 'right' || plan.kind === 'semi'))
      left = pushInto(left, condition)
    else if (ofRight && plan.kind !== 'right' && plan.kind !== 'full')
      right = pushInto(
        right,
        shiftColumns(condition, (index) => index - width),
      )
    else staying.push(condition)
  }
  return { ...plan, left, right, where: conjunction(staying) }
}
/** Adjacent filters are one. */
function filterOver(input: Plan, where: Expression): Plan {
  if (input.op !== 'filter') return { op: 'filter', input, where, columns: input.columns }
  return { ...input, where: conjunction([...conjuncts(input.where), ...conjuncts(where)])! }
}
const pushInto = (input: Plan, condition: Expression): Plan => push(input, condition) ?? filterOver(input, condition)

/** The plan with the condition inside it; null when it must stay above. */
function push(plan: Plan, condition: Expression): Plan | null {
  // How often it is computed may not change what it gives.
  if (isVolatile(condition)) return null
  const read = [...columnsOf(condition)]
  switch (plan.op) {
    case 'filter': {
      const input = push(plan.input, condition)
      return input === null ? null : { ...plan, input }
    }
    case 'project': {
      if (!read.every((index) => isCheap(plan.expressions[index]!))) return null
      return { ...plan, input: pushInto(plan.input, substitute(condition, plan.expressions)) }
    }
    case 'expire':
      return { ...plan, input: pushInto(plan.input, condition) }
    case 'union':
      return { ...plan, inputs: plan.inputs.map((input) => pushInto(input, condition)) }
    case 'window':
      return read.every((index) => index < plan.input.columns.length)
        ? { ...plan, input: pushInto(plan.input, condition) }
        : null
    case 'sliding-window': {
      // It drops whole keys, with their windows.
      const whole = read.length > 0 && read.every((index) => plan.keys.includes(index))
      return whole ? { ...plan, input: pushInto(plan.input, condition) } : null
    }
    case 'aggregate': {
      // A condition on the keys drops whole groups; without any key there is always one group, which must stay.
      const keyed = read.length > 0 && read.every((index) => index < plan.keys.length)
      return keyed
        ? {
            ...plan,
            input: pushInto(
              plan.input,
              shiftColumns(condition, (index) => plan.keys[index]!),
            ),
          }
        : null
    }
    case 'session':
    case 'global-window':
      return read.length > 0 && read.every((index) => index < plan.keys.length)
        ? {
            ...plan,
            input: pushInto(
              plan.input,
              shiftColumns(condition, (index) => plan.keys[index]!),
            ),
          }
        : null
    case 'temporal-join':
    case 'lookup':
      return read.every((index) => index < plan.left.columns.length)
        ? { ...plan, left: pushInto(plan.left, condition) }
        : null
    case 'join':
      return pushJoin(plan, condition, read)
    case 'over':
    case 'top': {
      const whole = read.length > 0 && read.every((index) => plan.partitionBy.includes(index))
      return whole ? { ...plan, input: pushInto(plan.input, condition) } : null
    }
    case 'source':
    case 'conflict':
    case 'from-changelog':
    case 'to-changelog':
    case 'process':
      return null
  }
}
/** A condition on the result of a join: for one side where that side is never padded, for pairs where nothing is. */
function pushJoin(plan: Of<'join'>, condition: Expression, read: readonly number[]): Plan | null {
  const { kind } = plan
  const width = plan.left.columns.length
  if (kind === 'inner') return pushIntoSides({ ...plan, where: both(plan.where, condition) })
  if (read.length === 0) return null
  if (kind !== 'right' && kind !== 'full' && read.every((index) => index < width))
    return { ...plan, left: pushInto(plan.left, condition) }
  if (kind === 'right' && read.every((index) => index >= width))
    return {
      ...plan,
      right: pushInto(
        plan.right,
        shiftColumns(condition, (index) => index - width),
      ),
    }
  return null
}
const both = (where: Expression | null, condition: Expression): Expression =>
  where === null ? condition : conjunction([...conjuncts(where), ...conjuncts(condition)])!

/** Computing it twice costs nothing that matters. */
const isCheap = (expr: Expression): boolean =>
  expr.kind === 'column' ||
  expr.kind === 'literal' ||
  (expr.kind === 'call' &&
    expr.user === undefined &&
    expr.args.every((arg) => arg.kind === 'column' || arg.kind === 'literal'))
const substitute = (expr: Expression, by: readonly Expression[]): Expression =>
  mapExpression(expr, (part) => (part.kind === 'column' ? by[part.index]! : null))

/** A project over a project computes at once what is used once; one that passes all on unchanged goes. */
function mergeProjects(plan: Plan): Plan {
  const merged = withInputs(plan, mergeProjects)
  if (merged.op !== 'project') return merged
  const { input } = merged
  if (input.op === 'project' && canInline(merged.expressions, input.expressions)) {
    return mergeProjects({
      ...merged,
      input: input.input,
      expressions: merged.expressions.map((expr) => substitute(expr, input.expressions)),
    })
  }
  return isIdentity(merged.expressions, input) && sameNames(merged, input) ? input : merged
}
function canInline(outer: readonly Expression[], inner: readonly Expression[]): boolean {
  const uses = inner.map(() => 0)
  for (const expr of outer) {
    mapExpression(expr, (part) => {
      if (part.kind === 'column') uses[part.index]!++
      return null
    })
  }
  return inner.every((expr, i) => uses[i]! < 2 || isCheap(expr))
}
const isIdentity = (expressions: readonly Expression[], input: Plan): boolean =>
  expressions.length === input.columns.length &&
  expressions.every((expr, i) => expr.kind === 'column' && expr.index === i)
const sameNames = (a: Plan, b: Plan): boolean => a.columns.every((field, i) => field.name === b.columns[i]!.name)
