/** `WHERE rank <= n` over a query that counts ranks: only the first few are kept, and given at once. */
import type { Expression } from '../../flow/expression.ts'
import type { Plan, PlanOf } from '../../flow/plan.ts'
import { column, conjunction, literal } from '../bind/bound.ts'
import { limitable } from './over.ts'
import { mapKey, type Rel, type Versions } from './relation.ts'

/** Finds `rank <= n` among conditions and sets it as the limit of the ranks below; the rest still filter. null: there is none. */
export function limitRank(rel: Rel, conditions: readonly Expression[]): { rel: Rel; rest: Expression | null } | null {
  for (const { rank } of conditions.flatMap((condition) => upperBound(condition) ?? [])) {
    const bounds = conditions.map((condition) => {
      const bound = upperBound(condition)
      return bound?.rank === rank ? bound : null
    })
    const limit = Math.max(0, Math.min(...bounds.map((bound) => bound?.limit ?? Infinity)))
    const limited = limitAt(rel.plan, rank, limit)
    if (limited === null) continue
    const rest = conditions.filter((_, i) => bounds[i]?.whole !== true)
    const isNumber = limited.name === 'row_number'
    const key = isNumber && limit === 1 ? (rel.key?.filter((part) => !part.includes(rank)) ?? null) : rel.key
    // What is given when its window closes is not withdrawn.
    if (limited.closes)
      return { rel: { ...rel, plan: limited.plan, key, windows: rel.windows }, rest: conjunction(rest) }
    const windows = rel.appendOnly ? [] : rel.windows
    // Of the newest row of each key there is a newer one or none: as of a table, its time is that of the change.
    const isNewest = isNumber && limit === 1 && rel.newest?.rank === rank
    const time = isNewest ? rel.newest.time : null
    const { plan, all } = limited
    const versions = isNewest && all !== null ? { versions: { of: plan, ...all } } : {}
    return { rel: { ...rel, ...versions, plan, key, appendOnly: false, time, windows }, rest: conjunction(rest) }
  }
  return null
}
interface Bounded {
  readonly rank: number
  readonly limit: number
  /** It says no more than that. */
  readonly whole: boolean
}
/** What a condition says about a column from above. */
function upperBound(condition: Expression): Bounded | null {
  if (condition.kind !== 'call' || condition.args.length !== 2) return null
  const [a, b] = condition.args as [Expression, Expression]
  const forward = a.kind === 'column' && b.kind === 'literal'
  if (!forward && !(b.kind === 'column' && a.kind === 'literal')) return null
  const [reference, constant] = forward ? [a, b] : [b, a]
  const value = constant.kind === 'literal' && typeof constant.value === 'number' ? constant.value : NaN
  if (!Number.isSafeInteger(value) || reference.kind !== 'column') return null
  const name = forward ? condition.name : mirrored[condition.name]
  const rank = reference.index
  if (name === '<=') return { rank, limit: value, whole: true }
  if (name === '<') return { rank, limit: value - 1, whole: true }
  return name === '=' ? { rank, limit: value, whole: value === 1 } : null
}
const mirrored: Readonly<Record<string, string>> = { '<=': '>=', '<': '>', '>=': '<=', '>': '<', '=': '=' }

interface Limited {
  readonly plan: Plan
  readonly name: string
  readonly closes: boolean
  /** The rows of all ranks as if each had the first, and what the ranks are of. */
  readonly all: Pick<Versions, 'plan' | 'key'> | null
}
/** The plan with the ranks of that column limited; null where it holds none, or others were computed from all of them. */
function limitAt(plan: Plan, position: number, limit: number): Limited | null {
  switch (plan.op) {
    case 'filter': {
      const inner = limitAt(plan.input, position, limit)
      return inner === null ? null : { ...inner, plan: { ...plan, input: inner.plan }, all: null }
    }
    case 'project': {
      const expr = plan.expressions[position]!
      const inner = expr.kind === 'column' ? limitAt(plan.input, expr.index, limit) : null
      if (inner === null) return null
      const { expressions } = plan
      const at = (of: number): number[] =>
        expressions.flatMap((one, i) => (one.kind === 'column' && one.index === of ? [i] : []))
      const key = mapKey(inner.all?.key ?? null, at)
      const all = inner.all === null || key === null ? null : { plan: { ...plan, input: inner.all.plan }, key }
      return { ...inner, plan: { ...plan, input: inner.plan }, all }
    }
    case 'over': {
      const call = plan.calls[position - plan.input.columns.length]
      if (call === undefined || !limitable.has(call.name) || plan.keep !== null) return null
      const all = plan.calls.length === 1 ? { plan: firstEach(plan), key: plan.partitionBy.map((at) => [at]) } : null
      return {
        plan: limitCall(plan, position - plan.input.columns.length, limit),
        name: call.name,
        closes: plan.emit === 'close',
        all,
      }
    }
    default:
      return null
  }
}
function firstEach({ input, columns }: PlanOf<'over'>): Plan {
  const own = input.columns.map((field, i) => column(i, field.type))
  return { op: 'project', input, expressions: [...own, literal(1, columns.at(-1)!.type)], columns }
}
/** The other calls of the window see all rows: they come first. */
function limitCall(plan: PlanOf<'over'>, at: number, limit: number): Plan {
  const width = plan.input.columns.length
  const others = plan.calls.toSpliced(at, 1)
  const columns = plan.columns.toSpliced(width + at, 1)
  const input: Plan = others.length === 0 ? plan.input : { ...plan, calls: others, columns }
  const call = plan.calls[at]!
  const { partitionBy, order } = plan
  const base = { input, partitionBy, order, columns: [...input.columns, plan.columns[width + at]!] }
  // Of a window OVER keeps the first rows for as long as it is open, and knows what is late.
  const limited: Plan =
    call.name === 'row_number' && plan.windowEnd === null
      ? { op: 'top', ...base, limit, rank: true }
      : { ...plan, ...base, time: null, calls: [call], keep: { call: 0, rank: limit } }
  if (others.length === 0) return limited
  const place = (i: number): number => (i < width + at ? i : i === width + at ? input.columns.length : i - 1)
  const expressions = plan.columns.map((field, i) => column(place(i), field.type))
  return { op: 'project', input: limited, expressions, columns: plan.columns }
}
