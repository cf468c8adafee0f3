/**
 * Rewrites of a finished plan that change what it costs, never what it gives: filters move towards the sources as far as
 * they can, steps that only pass columns on disappear, and every step carries only the columns that a later one reads,
 * so that the decoder of a source is generated for those fields alone.
 */
import type { Aggregate, Expression } from '../../flow/expression.ts'
import type { Plan, SourcePlan } from '../../flow/plan.ts'
import { column, columnsOf, conjunction, conjuncts, mapExpression, shiftColumns } from '../bind/bound.ts'

export function rewrite(plan: Plan): Plan {
  const pushed = pushFilters(plan)
  const all = pushed.columns.map((_, i) => i)
  return mergeProjects(prune(pushed, new Set(all)).plan)
}

/** The plan with other inputs. */
function mapInputs(plan: Plan, map: (input: Plan) => Plan): Plan {
  switch (plan.op) {
    case 'source':
      return plan
    case 'union':
      return { ...plan, inputs: plan.inputs.map(map) }
    case 'temporal-join':
      return { ...plan, left: map(plan.left), right: map(plan.right) }
    default:
      return { ...plan, input: map(plan.input) }
  }
}

function pushFilters(plan: Plan): Plan {
  if (plan.op !== 'filter') return mapInputs(plan, pushFilters)
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
/** Adjacent filters are one. */
function filterOver(input: Plan, where: Expression): Plan {
  if (input.op !== 'filter') return { op: 'filter', input, where, columns: input.columns }
  return { ...input, where: conjunction([...conjuncts(input.where), ...conjuncts(where)])! }
}
const pushInto = (input: Plan, condition: Expression): Plan => push(input, condition) ?? filterOver(input, condition)

/** The plan with the condition inside it; null when it must stay above. */
function push(plan: Plan, condition: Expression): Plan | null {
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
    case 'union':
      return { ...plan, inputs: plan.inputs.map((input) => pushInto(input, condition)) }
    case 'window':
      return read.every((index) => index < plan.input.columns.length)
        ? { ...plan, input: pushInto(plan.input, condition) }
        : null
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
    case 'temporal-join':
      return read.every((index) => index < plan.left.columns.length)
        ? { ...plan, left: pushInto(plan.left, condition) }
        : null
    case 'over':
    case 'top': {
      const whole = read.length > 0 && read.every((index) => plan.partitionBy.includes(index))
      return whole ? { ...plan, input: pushInto(plan.input, condition) } : null
    }
    case 'source':
    case 'process':
      return null
  }
}
/** Computing it twice costs nothing that matters. */
const isCheap = (expr: Expression): boolean =>
  expr.kind === 'column' ||
  expr.kind === 'literal' ||
  (expr.kind === 'call' && expr.args.every((arg) => arg.kind === 'column' || arg.kind === 'literal'))
const substitute = (expr: Expression, by: readonly Expression[]): Expression =>
  mapExpression(expr, (part) => (part.kind === 'column' ? by[part.index]! : null))

/** A project over a project computes at once what is used once; one that passes all on unchanged goes. */
function mergeProjects(plan: Plan): Plan {
  const merged = mapInputs(plan, mergeProjects)
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

interface Pruned {
  readonly plan: Plan
  /** Where each column went; absent = gone. */
  readonly at: ReadonlyMap<number, number>
}
const sorted = (set: Iterable<number>): number[] => [...new Set(set)].toSorted((a, b) => a - b)
const positions = (kept: readonly number[]): Map<number, number> => new Map(kept.map((from, to) => [from, to]))
const moved = (expr: Expression, at: ReadonlyMap<number, number>): Expression =>
  shiftColumns(expr, (index) => at.get(index)!)
const readBy = (aggregates: readonly Aggregate[]): number[] =>
  aggregates.flatMap((a) =>
    [...a.args, ...(a.filter === null ? [] : [a.filter])].flatMap((expr) => [...columnsOf(expr)]),
  )
function movedAggregate<A extends Aggregate>(aggregate: A, at: ReadonlyMap<number, number>): A {
  return {
    ...aggregate,
    args: aggregate.args.map((arg) => moved(arg, at)),
    filter: aggregate.filter === null ? null : moved(aggregate.filter, at),
  }
}

/** Keeps the columns needed above, and what the step itself reads. */
function prune(plan: Plan, needed: ReadonlySet<number>): Pruned {
  switch (plan.op) {
    case 'source':
      return pruneSource(plan, needed)
    case 'filter': {
      const { plan: input, at } = prune(plan.input, new Set([...needed, ...columnsOf(plan.where)]))
      return { plan: { ...plan, input, where: moved(plan.where, at), columns: input.columns }, at }
    }
    case 'project':
      return pruneProject(plan, needed)
    case 'union':
      return pruneUnion(plan, needed)
    case 'window':
      return pruneWindow(plan, needed)
    case 'aggregate':
      return pruneAggregate(plan, needed)
    case 'temporal-join':
      return pruneJoin(plan, needed)
    case 'over':
      return pruneOver(plan, needed)
    case 'top':
      return pruneTop(plan, needed)
    case 'process': {
      const { plan: input } = prune(plan.input, new Set(plan.input.columns.map((_, i) => i)))
      return { plan: { ...plan, input }, at: positions(plan.columns.map((_, i) => i)) }
    }
  }
}
type Of<O extends Plan['op']> = Extract<Plan, { op: O }>

function pruneSource(plan: SourcePlan, needed: ReadonlySet<number>): Pruned {
  const keep = new Set([...needed, ...plan.key, ...(plan.time === null ? [] : [plan.time.column])])
  for (const index of keep) {
    const field = plan.fields[index]!
    if (field.from === 'computed') for (const read of columnsOf(field.expression)) keep.add(read)
  }
  if (keep.size === 0) keep.add(plan.fields.findIndex((field) => field.from === 'offset'))
  const kept = sorted(keep)
  const at = positions(kept)
  return {
    plan: {
      ...plan,
      columns: kept.map((i) => plan.columns[i]!),
      fields: kept.map((i) => {
        const field = plan.fields[i]!
        return field.from === 'computed' ? { ...field, expression: moved(field.expression, at) } : field
      }),
      key: plan.key.map((i) => at.get(i)!),
      time: plan.time === null ? null : { ...plan.time, column: at.get(plan.time.column)! },
    },
    at,
  }
}

function pruneProject(plan: Of<'project'>, needed: ReadonlySet<number>): Pruned {
  const kept = needed.size === 0 ? [0] : sorted(needed)
  const { plan: input, at } = prune(plan.input, new Set(kept.flatMap((i) => [...columnsOf(plan.expressions[i]!)])))
  const expressions = kept.map((i) => moved(plan.expressions[i]!, at))
  return { plan: { ...plan, input, expressions, columns: kept.map((i) => plan.columns[i]!) }, at: positions(kept) }
}

/** All sides must keep the same columns in the same order. */
function pruneUnion(plan: Of<'union'>, needed: ReadonlySet<number>): Pruned {
  const kept = needed.size === 0 ? [0] : sorted(needed)
  const columns = kept.map((i) => plan.columns[i]!)
  const inputs = plan.inputs.map((side): Plan => {
    const { plan: input, at } = prune(side, new Set(kept))
    const aligned = input.columns.length === kept.length && kept.every((from, to) => at.get(from) === to)
    if (aligned) return input
    return {
      op: 'project',
      input,
      expressions: kept.map((from) => column(at.get(from)!, side.columns[from]!.type)),
      columns,
    }
  })
  return { plan: { ...plan, inputs, columns }, at: positions(kept) }
}

function pruneWindow(plan: Of<'window'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.input.columns.length
  const { plan: input, at } = prune(plan.input, new Set([...[...needed].filter((i) => i < width), plan.time]))
  const columns = [...input.columns, ...plan.columns.slice(width)]
  const all = new Map(at)
  all.set(width, input.columns.length)
  all.set(width + 1, input.columns.length + 1)
  return { plan: { ...plan, input, time: at.get(plan.time)!, columns }, at: all }
}

function pruneAggregate(plan: Of<'aggregate'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.keys.length
  const list = plan.aggregates.flatMap((_, i) => (needed.has(width + i) ? [i] : []))
  const aggregates = list.map((i) => plan.aggregates[i]!)
  const { plan: input, at } = prune(plan.input, new Set([...plan.keys, ...readBy(aggregates)]))
  const kept = [...plan.keys.map((_, i) => i), ...list.map((i) => width + i)]
  return {
    plan: {
      ...plan,
      input,
      keys: plan.keys.map((i) => at.get(i)!),
      aggregates: aggregates.map((aggregate) => movedAggregate(aggregate, at)),
      columns: kept.map((i) => plan.columns[i]!),
    },
    at: positions(kept),
  }
}

function pruneJoin(plan: Of<'temporal-join'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.left.columns.length
  const read = [...needed, ...(plan.where === null ? [] : columnsOf(plan.where))]
  const left = prune(
    plan.left,
    new Set([...read.filter((i) => i < width), plan.leftTime, ...plan.leftKeys.flatMap((key) => [...columnsOf(key)])]),
  )
  const right = prune(plan.right, new Set([...read.filter((i) => i >= width).map((i) => i - width), ...plan.rightKeys]))
  const shift = left.plan.columns.length
  const at = new Map(left.at)
  for (const [from, to] of right.at) at.set(from + width, to + shift)
  const columns = [...at].toSorted((a, b) => a[1] - b[1]).map(([from]) => plan.columns[from]!)
  return {
    plan: {
      ...plan,
      left: left.plan,
      right: right.plan,
      leftKeys: plan.leftKeys.map((key) => moved(key, left.at)),
      rightKeys: plan.rightKeys.map((key) => right.at.get(key)!),
      leftTime: left.at.get(plan.leftTime)!,
      where: plan.where === null ? null : moved(plan.where, at),
      columns,
    },
    at,
  }
}

function pruneOver(plan: Of<'over'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.input.columns.length
  const list = plan.aggregates.flatMap((_, i) => (needed.has(width + i) ? [i] : []))
  const own = [...needed].filter((i) => i < width)
  if (list.length === 0) return prune(plan.input, new Set(own))
  const aggregates = list.map((i) => plan.aggregates[i]!)
  const { plan: input, at } = prune(
    plan.input,
    new Set([...own, ...plan.partitionBy, plan.orderBy, ...readBy(aggregates)]),
  )
  const all = new Map(at)
  for (const [n, i] of list.entries()) all.set(width + i, input.columns.length + n)
  return {
    plan: {
      ...plan,
      input,
      partitionBy: plan.partitionBy.map((i) => at.get(i)!),
      orderBy: at.get(plan.orderBy)!,
      aggregates: aggregates.map((aggregate) => movedAggregate(aggregate, at)),
      columns: [...input.columns, ...list.map((i) => plan.columns[width + i]!)],
    },
    at: all,
  }
}

/** The rank is only counted where someone reads it. */
function pruneTop(plan: Of<'top'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.input.columns.length
  const own = [...needed].filter((i) => i < width)
  const { plan: input, at } = prune(
    plan.input,
    new Set([...own, ...plan.partitionBy, ...plan.order.map((o) => o.column)]),
  )
  const rank = plan.rank && needed.has(width)
  const all = new Map(at)
  if (rank) all.set(width, input.columns.length)
  return {
    plan: {
      ...plan,
      input,
      partitionBy: plan.partitionBy.map((i) => at.get(i)!),
      order: plan.order.map((o) => ({ ...o, column: at.get(o.column)! })),
      rank,
      columns: rank ? [...input.columns, plan.columns[width]!] : input.columns,
    },
    at: all,
  }
}
