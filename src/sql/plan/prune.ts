/** Every step carries only the columns that a later one reads, so that a source's decoder is made for those fields alone. */
import type { Aggregate, Expression } from '../../flow/expression.ts'
import type { JoinInterval, Plan, PlanOf as Of, SourcePlan } from '../../flow/plan.ts'
import { withInputs } from '../../flow/plan-facts.ts'
import { column, columnsOf, shiftColumns } from '../bind/bound.ts'

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
export function prune(plan: Plan, needed: ReadonlySet<number>): Pruned {
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
    case 'sliding-window':
      return pruneWindow(plan, needed)
    case 'aggregate':
      return pruneAggregate(plan, needed)
    case 'session':
      return pruneSession(plan, needed)
    case 'global-window':
      return pruneGlobalWindow(plan, needed)
    case 'temporal-join':
    case 'lookup':
      return pruneTableJoin(plan, needed)
    case 'join':
      return pruneJoin(plan, needed)
    case 'over':
      return pruneOver(plan, needed)
    case 'top':
      return pruneTop(plan, needed)
    case 'conflict':
    case 'from-changelog':
    case 'to-changelog':
    case 'process': {
      const whole = (input: Plan): Plan => prune(input, new Set(input.columns.map((_, i) => i))).plan
      return { plan: withInputs(plan, whole), at: positions(plan.columns.map((_, i) => i)) }
    }
  }
}
function pruneSource(plan: SourcePlan, needed: ReadonlySet<number>): Pruned {
  const ofTime = [plan.time?.column, plan.watermark].filter((index) => index !== undefined)
  const keep = new Set([...needed, ...plan.key, ...ofTime])
  for (const index of keep) {
    const field = plan.fields[index]!
    if (field.from === 'computed') for (const read of columnsOf(field.expression)) keep.add(read)
  }
  // A place alone, or the first column of a source that has none.
  if (keep.size === 0)
    keep.add(
      Math.max(
        0,
        plan.fields.findIndex((field) => field.from === 'offset'),
      ),
    )
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
      ...(plan.watermark === undefined ? {} : { watermark: at.get(plan.watermark)! }),
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

function pruneWindow(plan: Of<'window'> | Of<'sliding-window'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.input.columns.length
  const own = plan.op === 'window' ? [plan.time] : [plan.time, ...plan.keys]
  const { plan: input, at } = prune(plan.input, new Set([...[...needed].filter((i) => i < width), ...own]))
  const columns = [...input.columns, ...plan.columns.slice(width)]
  const all = new Map(at)
  all.set(width, input.columns.length)
  all.set(width + 1, input.columns.length + 1)
  const time = at.get(plan.time)!
  if (plan.op === 'window') return { plan: { ...plan, input, time, columns }, at: all }
  return { plan: { ...plan, input, time, keys: plan.keys.map((i) => at.get(i)!), columns }, at: all }
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

function pruneGlobalWindow(plan: Of<'global-window'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.keys.length
  const list = plan.aggregates.flatMap((_, i) => (needed.has(width + i) ? [i] : []))
  const aggregates = list.map((i) => plan.aggregates[i]!)
  const { time, trigger } = plan
  const more = [time, trigger.when].filter((index) => index !== null)
  const { plan: input, at } = prune(plan.input, new Set([...plan.keys, ...more, ...readBy(aggregates)]))
  const kept = [...plan.keys.map((_, i) => i), ...list.map((i) => width + i)]
  return {
    plan: {
      ...plan,
      input,
      keys: plan.keys.map((i) => at.get(i)!),
      aggregates: aggregates.map((aggregate) => movedAggregate(aggregate, at)),
      time: time === null ? null : at.get(time)!,
      trigger: { ...trigger, when: trigger.when === null ? null : at.get(trigger.when)! },
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
  const { interval } = plan
  const times = interval === undefined ? [] : [interval.leftTime, interval.rightTime + width]
  const read = [...needed, ...times, ...(plan.where === null ? [] : columnsOf(plan.where))]
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
      ...(interval === undefined ? {} : { interval: movedInterval(interval, left.at, right.at) }),
      where: plan.where === null ? null : moved(plan.where, at),
      columns,
    },
    at: out,
  }
}

const movedInterval = (
  interval: JoinInterval,
  left: ReadonlyMap<number, number>,
  right: ReadonlyMap<number, number>,
): JoinInterval => ({
  ...interval,
  leftTime: left.get(interval.leftTime)!,
  rightTime: right.get(interval.rightTime)!,
})

function pruneOver(plan: Of<'over'>, needed: ReadonlySet<number>): Pruned {
  const width = plan.input.columns.length
  const read = plan.calls.flatMap((_, i) => (needed.has(width + i) || plan.keep?.call === i ? [i] : []))
  const own = [...needed].filter((i) => i < width)
  // That rows wait for their window to close stays.
  if (read.length === 0 && plan.emit !== 'close') return prune(plan.input, new Set(own))
  const list = read.length === 0 ? [0] : read
  const calls = list.map((i) => plan.calls[i]!)
  const { plan: input, at } = prune(
    plan.input,
    new Set([...own, ...plan.partitionBy, ...plan.order.map((o) => o.column), ...readBy(calls)]),
  )
  const all = new Map(at)
  for (const [n, i] of list.entries()) all.set(width + i, input.columns.length + n)
  return {
    plan: {
      ...plan,
      input,
      partitionBy: plan.partitionBy.map((i) => at.get(i)!),
      order: plan.order.map((o) => ({ ...o, column: at.get(o.column)! })),
      time: plan.time === null ? null : at.get(plan.time)!,
      calls: calls.map((call) => movedAggregate(call, at)),
      keep: plan.keep === null ? null : { ...plan.keep, call: list.indexOf(plan.keep.call) },
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
