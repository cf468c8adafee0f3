/**
 * Rewrites of a finished plan that change what it costs, never what it gives: filters move towards the sources as far as
 * they can, steps that only pass columns on disappear, and every step carries only the columns that a later one reads,
 * so that the decoder of a source is generated for those fields alone.
 */
import type { Aggregate, Expression } from '../../flow/expression.ts'
import type { Plan, SourcePlan } from '../../flow/plan.ts'
import { inputsOf, withInputs } from '../../flow/plan-facts.ts'
import type { Columns, Field } from '../../schema/types.ts'
import { column, columnsOf, conjunction, conjuncts, mapExpression, shiftColumns } from '../bind/bound.ts'

type Of<O extends Plan['op']> = Extract<Plan, { op: O }>

export function rewrite(plan: Plan): Plan {
  const pushed = findKeys(pushFilters(plan))
  const all = pushed.columns.map((_, i) => i)
  return mergeProjects(prune(pushed, new Set(all)).plan)
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
    const ofLeft = read.length > 0 && read.every((index) => index < width)
    const ofRight = read.length > 0 && read.every((index) => index >= width)
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

/** Equalities between the two sides of a join become its keys; a key that is computed becomes a column of its side. */
function findKeys(plan: Plan): Plan {
  const found = withInputs(plan, findKeys)
  return found.op === 'join' ? keyed(found) : found
}
function keyed(plan: Of<'join'>): Plan {
  const width = plan.left.columns.length
  const pairs: [Expression, Expression][] = []
  const staying: Expression[] = []
  for (const condition of plan.where === null ? [] : conjuncts(plan.where)) {
    const pair = equalSides(condition, width)
    if (pair === null) staying.push(condition)
    else pairs.push([pair[0], shiftColumns(pair[1], (index) => index - width)])
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
      return new Set([...windowEnds(plan.input), plan.columns.length - 1])
    case 'filter':
    case 'over':
      return windowEnds(plan.input)
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
    case 'top':
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
    case 'top':
      return false
    case 'expire':
      return plan.until === null && growsForEver(plan.input)
    case 'temporal-join':
    case 'lookup':
      return growsForEver(plan.left)
    default:
      return inputsOf(plan).some(growsForEver)
  }
}
/** A join that would have to keep history: neither side may grow for ever, unless its rows go with their window. */
export function keepsHistory(plan: Plan): boolean {
  if (plan.op === 'join' && plan.windowEnd === null && inputsOf(plan).some(growsForEver)) return true
  return inputsOf(plan).some(keepsHistory)
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
    case 'expire': {
      const bounds = [plan.from, plan.until].filter((bound) => bound !== null)
      const read = bounds.flatMap((bound) => [...columnsOf(bound)])
      const { plan: input, at } = prune(plan.input, new Set([...needed, ...read]))
      const [from, until] = [plan.from, plan.until].map((bound) => (bound === null ? null : moved(bound, at)))
      return { plan: { ...plan, input, from: from!, until: until!, columns: input.columns }, at }
    }
    case 'union':
      return pruneUnion(plan, needed)
    case 'window':
      return pruneWindow(plan, needed)
    case 'aggregate':
      return pruneAggregate(plan, needed)
    case 'session':
      return pruneSession(plan, needed)
    case 'temporal-join':
    case 'lookup':
      return pruneTableJoin(plan, needed)
    case 'join':
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

function pruneSession(plan: Of<'session'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.keys.length + 2
  const list = plan.aggregates.flatMap((_, i) => (needed.has(width + i) ? [i] : []))
  const aggregates = list.map((i) => plan.aggregates[i]!)
  const { plan: input, at } = prune(plan.input, new Set([...plan.keys, plan.time, ...readBy(aggregates)]))
  const kept = [...Array.from({ length: width }, (_, i) => i), ...list.map((i) => width + i)]
  return {
    plan: {
      ...plan,
      input,
      time: at.get(plan.time)!,
      keys: plan.keys.map((i) => at.get(i)!),
      aggregates: aggregates.map((aggregate) => movedAggregate(aggregate, at)),
      columns: kept.map((i) => plan.columns[i]!),
    },
    at: positions(kept),
  }
}

function pruneTableJoin(plan: Of<'temporal-join' | 'lookup'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.left.columns.length
  const read = [...needed, ...(plan.where === null ? [] : columnsOf(plan.where))]
  const time = plan.op === 'lookup' ? [] : [plan.leftTime]
  const left = prune(
    plan.left,
    new Set([...read.filter((i) => i < width), ...time, ...plan.leftKeys.flatMap((key) => [...columnsOf(key)])]),
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
      ...(plan.op === 'lookup' ? {} : { leftTime: left.at.get(plan.leftTime)! }),
      where: plan.where === null ? null : moved(plan.where, at),
      columns,
    },
    at,
  }
}

function pruneJoin(plan: Of<'join'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.left.columns.length
  const semi = plan.kind === 'semi' || plan.kind === 'anti'
  const read = [...needed, ...(plan.where === null ? [] : columnsOf(plan.where))]
  const left = prune(plan.left, new Set([...read.filter((i) => i < width), ...plan.leftKeys]))
  const right = prune(plan.right, new Set([...read.filter((i) => i >= width).map((i) => i - width), ...plan.rightKeys]))
  const shift = left.plan.columns.length
  const at = new Map(left.at)
  for (const [from, to] of right.at) at.set(from + width, to + shift)
  const out = semi ? left.at : at
  const columns = [...out].toSorted((a, b) => a[1] - b[1]).map(([from]) => plan.columns[from]!)
  return {
    plan: {
      ...plan,
      left: left.plan,
      right: right.plan,
      leftKeys: plan.leftKeys.map((key) => left.at.get(key)!),
      rightKeys: plan.rightKeys.map((key) => right.at.get(key)!),
      where: plan.where === null ? null : moved(plan.where, at),
      columns,
    },
    at: out,
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
