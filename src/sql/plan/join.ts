/**
 * Joins. A plain one keeps both sides and restates when either changes; one of streams whose event times lie within an
 * interval keeps rows as long as they may meet. JOIN t FOR SYSTEM_TIME AS OF s.time ON t.key =
 * s.key: each row meets the table's row as it was at its event time.
 */
import type { Expression } from '../../flow/expression.ts'
import type { JoinInterval, PlanOf } from '../../flow/plan.ts'
import { intervalDelayMs, timeColumn } from '../../flow/plan-facts.ts'
import type { Columns } from '../../schema/types.ts'
import {
  type Bound,
  branch,
  column,
  columnsOf,
  conjunction,
  conjuncts,
  isNull as isNullOf,
  not,
} from '../bind/bound.ts'
import { unify } from '../bind/coerce.ts'
import { bindBoolean, bindExpression } from '../bind/expressions.ts'
import { resolveUniform } from '../bind/functions.ts'
import { columnValue, findColumn, type Scope, type ScopeColumn, shiftScope, starColumns } from '../bind/scope.ts'
import { type Span, SqlFault } from '../fault.ts'
import type { Expr, Name, TableRef } from '../syntax/ast.ts'
import { refuseClock } from './clock-filter.ts'
import { bindContext, type PlanContext } from './context.ts'
import { notEventTime } from './event-time.ts'
import { findInterval } from './interval.ts'
import { refuseSession } from './session.ts'
import { type Rel, versionsOf } from './relation.ts'

type Join = Extract<TableRef, { kind: 'join' }>
type TemporalJoin = Omit<Join, 'type'> & { readonly type: 'inner' | 'left'; readonly asOf: Expr }

/** All of its condition is in `where`: what of it are keys is found when the plan is rewritten. */
export function planJoin(ctx: PlanContext, left: Rel, right: Rel, join: Join): Rel {
  refuseSession(ctx, left)
  refuseSession(ctx, right)
  const width = left.plan.columns.length
  const kind = join.type === 'cross' ? 'inner' : join.type
  const scope = joinedScope(ctx, left, right, join)
  const conditions = joinConditions(ctx, scope, left, right, join)
  refuseClock(ctx, conditions, join.on?.at ?? join.at)
  const leftNull = kind === 'right' || kind === 'full'
  const rightNull = kind === 'left' || kind === 'full'
  const within =
    left.time?.column === timeColumn(left.plan) && right.time?.column === timeColumn(right.plan)
      ? findInterval(left.plan, right.plan, kind, conditions)
      : null
  const columns: Columns = [
    ...left.plan.columns.map((field) => (leftNull ? { ...field, nullable: true } : field)),
    ...right.plan.columns.map((field) => (rightNull ? { ...field, nullable: true } : field)),
  ]
  const isNull = ({ index }: ScopeColumn): boolean => (index < width ? leftNull : rightNull)
  const rel: Rel = {
    plan: {
      op: 'join',
      left: left.plan,
      right: right.plan,
      kind,
      leftKeys: [],
      rightKeys: [],
      windowEnd: null,
      ...(within === null ? {} : { interval: within.interval }),
      where: conjunction(within === null ? conditions : within.rest),
      columns,
    },
    scope: scope.map((relation) => ({
      ...relation,
      columns: relation.columns.map((c) => (isNull(c) ? asNullable(c) : c)),
    })),
    key: joinedKey(left, right, conditions, kind),
    appendOnly: (kind === 'inner' || within !== null) && left.appendOnly && right.appendOnly,
    time: within === null ? null : pairTime(left, right, kind, within.interval),
    windows: joinedWindows(left, right, conditions, kind),
  }
  return withMerged(ctx, rel, mergedNames(ctx, left, right, join), { kind, width, join })
}
/** The event time of what an interval join gives: its left side's, or its right side's where that is never padded. */
function pairTime(left: Rel, right: Rel, kind: PlanOf<'join'>['kind'], interval: JoinInterval): Rel['time'] {
  if (kind === 'full') return null
  const lateMs = intervalDelayMs(kind, interval)
  return kind === 'right'
    ? { column: left.plan.columns.length + interval.rightTime, delayMs: right.time!.delayMs + lateMs }
    : { column: interval.leftTime, delayMs: left.time!.delayMs + lateMs }
}
/** One side's key alone where each of its rows meets at most one of the other; else both. */
function joinedKey(left: Rel, right: Rel, conditions: readonly Expression[], kind: string): Rel['key'] {
  const width = left.plan.columns.length
  const shifted = right.key?.map((part) => part.map((index) => index + width)) ?? null
  const equals = (index: number): boolean =>
    conditions.some((condition) => {
      if (condition.kind !== 'call' || condition.name !== '=') return false
      const [a, b] = condition.args
      return [
        [a!, b!],
        [b!, a!],
      ].some(
        ([one, other]) =>
          one!.kind === 'column' &&
          one!.index === index &&
          [...columnsOf(other!)].every((read) => read < width !== index < width),
      )
    })
  const isMet = (key: Rel['key']): boolean => key !== null && key.every((part) => part.some(equals))
  if (left.key !== null && isMet(shifted) && (kind === 'inner' || kind === 'left')) return left.key
  if (shifted !== null && isMet(left.key) && (kind === 'inner' || kind === 'right')) return shifted
  if (left.key === null || shifted === null) return null
  // Both a row that is NULL in its key and one of the other side that is have no partner: two rows, NULL in both keys.
  const mayBeNull = ({ key, plan }: Rel): boolean =>
    key!.every((part) => part.every((index) => plan.columns[index]!.nullable))
  return kind === 'full' && mayBeNull(left) && mayBeNull(right) ? null : [...left.key, ...shifted]
}
/** Rows of windows that meet rows of the same window come before it closes; others may come at any time. */
function joinedWindows(left: Rel, right: Rel, conditions: readonly Expression[], kind: string): Rel['windows'] {
  const width = left.plan.columns.length
  const isMet = ({ end }: Rel['windows'][number]): boolean =>
    conditions.some((condition) =>
      right.windows.some((other) => {
        const found = equality(condition, [other.end], width)
        return found !== null && found.value.kind === 'column' && found.value.index === end
      }),
    )
  return kind === 'inner' || kind === 'left' ? left.windows.filter(isMet) : []
}
/** The columns of USING, before all others: the value of the side that has one for sure, or of whichever has one. */
function withMerged(
  ctx: PlanContext,
  rel: Rel,
  merged: readonly [ScopeColumn, ScopeColumn][],
  { kind, width, join }: { readonly kind: string; readonly width: number; readonly join: Span },
): Rel {
  if (merged.length === 0) return rel
  const { plan } = rel
  const values = merged.map(([l, r]): { name: string; expr: Expression; nullable: boolean } => {
    const sides = [reference(l, 0, join), reference(r, width, join)]
    const [left, right] = (unify(sides, ctx.text)?.items ?? sides) as [Bound, Bound]
    const { name } = l
    if (kind === 'full') return { name, expr: firstOf(left.expr, right.expr), nullable: l.nullable || r.nullable }
    const { expr, nullable } = kind === 'right' ? right : left
    return { name, expr, nullable }
  })
  const isThere = values.every(({ expr }) => expr.kind === 'column')
  const own = plan.columns.map((field, i) => column(i, field.type))
  const columns: Columns = [
    ...plan.columns,
    ...values.map(({ name, expr, nullable }) => ({ name, type: expr.type, nullable })),
  ]
  const shown = values.map(({ name, expr, nullable }, i): ScopeColumn => {
    const index = isThere && expr.kind === 'column' ? expr.index : plan.columns.length + i
    return { name, type: expr.type, nullable, index, hidden: false }
  })
  return {
    ...rel,
    plan: isThere
      ? plan
      : { op: 'project', input: plan, expressions: [...own, ...values.map(({ expr }) => expr)], columns },
    scope: [{ name: null, schema: null, columns: shown }, ...rel.scope],
  }
}
/** The first that is not NULL. */
const firstOf = (a: Expression, b: Expression): Expression => ({
  kind: 'case',
  branches: [branch(not(isNullOf(a)), a)],
  otherwise: b,
  type: a.type,
})

/** Of the newest rows of a key by event time, each was current from its time on: so all that ever were are asked. */
export function planTemporalJoin(ctx: PlanContext, left: Rel, table: Rel, join: TemporalJoin): Rel {
  const versions = isProcessingTime(join.asOf) ? null : versionsOf(table)
  const right = versions === null ? table : { ...table, plan: versions.plan, key: versions.key, versions }
  checkSides(ctx, left, right, join)
  refuseSession(ctx, left)
  const width = left.plan.columns.length
  const scope = joinedScope(ctx, left, right, join)
  const conditions = joinConditions(ctx, scope, left, right, join)
  const keys = right.key!.map((part) => part[0]!)
  const { leftKeys, rest } = matchKeys(conditions, keys, width)
  const missing = leftKeys.findIndex((key) => key === null)
  if (missing >= 0) {
    const name = right.plan.columns[keys[missing]!]!.name
    throw new SqlFault(
      'sql.unsupported',
      `the join must say what the key column "${name}" of the table equals`,
      ctx.text,
      join.on?.at ?? join.right.at,
      {
        hint: `Add ON … = ${name}, for every column of the table's key.`,
      },
    )
  }
  const outer = join.type === 'left'
  const base = {
    left: left.plan,
    right: right.plan,
    leftKeys: leftKeys as Expression[],
    rightKeys: keys,
    kind: join.type,
    where: conjunction(rest),
  }
  const rightColumns = right.plan.columns.map((field) => (outer ? { ...field, nullable: true } : field))
  const columns: Columns = [...left.plan.columns, ...rightColumns]
  const rel: Rel = {
    plan: isProcessingTime(join.asOf)
      ? { op: 'lookup', ...base, columns }
      : {
          op: 'temporal-join',
          ...base,
          ...(isKept(right) ? {} : { newest: true }),
          leftTime: left.time!.column,
          columns,
        },
    scope: outer
      ? scope.map((relation, i) =>
          i < left.scope.length ? relation : { ...relation, columns: relation.columns.map(asNullable) },
        )
      : scope,
    key: left.key,
    appendOnly: left.appendOnly,
    time: left.time,
    windows: left.windows,
  }
  return withMerged(ctx, rel, mergedNames(ctx, left, right, join), { kind: join.type, width, join })
}
const asNullable = (column: ScopeColumn): ScopeColumn => ({ ...column, nullable: true })

/** A table, or a view by key: its topic holds its versions. */
const isKept = ({ plan }: Rel): boolean => plan.op === 'source' && plan.mode === 'upsert'

function checkSides(ctx: PlanContext, left: Rel, right: Rel, join: TemporalJoin): void {
  const fail = (message: string, at: number, hint: string): never => {
    throw new SqlFault('sql.unsupported', message, ctx.text, at, { hint })
  }
  if (!left.appendOnly)
    fail(
      'the left side of a temporal join must only ever gain rows',
      join.left.at,
      'Put the stream on the left and the table on the right.',
    )
  if (right.key === null || right.key.length === 0 || (!isKept(right) && right.versions?.plan !== right.plan)) {
    fail(
      'the right side of a temporal join is a table, or a view with a key',
      join.right.at,
      'CREATE TABLE … (… PRIMARY KEY) declares one; of the rows of a stream CREATE VIEW v AS SELECT DISTINCT ON (k) … FROM s ORDER BY k, time DESC.',
    )
  }
  if (isProcessingTime(join.asOf)) return
  if (left.time === null) throw notEventTime(ctx, left, join.asOf.at)
  const asOf = bindExpression(bindContext(ctx, left.scope, 'FOR SYSTEM_TIME AS OF'), join.asOf)
  if (asOf.expr.kind !== 'column' || asOf.expr.index !== left.time.column) throw notEventTime(ctx, left, join.asOf.at)
}

/** PROCTIME(): the table as it is when a row is worked on. */
const isProcessingTime = (asOf: Expr): boolean =>
  asOf.kind === 'call' && asOf.args.length === 0 && asOf.name.parts.at(-1)!.text.toLowerCase() === 'proctime'
/** Left columns, then right ones; those merged by USING or NATURAL only with their table's name. */
function joinedScope(ctx: PlanContext, left: Rel, right: Rel, join: Join | TemporalJoin): Scope {
  const width = left.plan.columns.length
  const merged = mergedNames(ctx, left, right, join).flatMap(([l, r]) => [l.index, r.index + width])
  const marked = (scope: Scope): Scope =>
    scope.map((relation) => ({
      ...relation,
      columns: relation.columns.map((c): ScopeColumn => (merged.includes(c.index) ? { ...c, merged: true } : c)),
    }))
  const [first, shifted] = [marked(left.scope), marked(shiftScope(right.scope, width))]
  const names = left.scope.map((relation) => relation.name)
  for (const { name } of shifted) {
    if (name !== null && names.includes(name)) {
      throw new SqlFault(
        'sql.duplicate-alias',
        `table name "${name}" specified more than once`,
        ctx.text,
        join.right.at,
      )
    }
  }
  return [...first, ...shifted]
}
function mergedNames(ctx: PlanContext, left: Rel, right: Rel, join: Join | TemporalJoin): [ScopeColumn, ScopeColumn][] {
  const using: readonly Name[] = join.natural ? naturalNames(left, right, join) : join.using
  return using.map((name) => [findColumn(left.scope, [name], ctx.text), findColumn(right.scope, [name], ctx.text)])
}
function naturalNames(left: Rel, right: Rel, { at, end }: Span): Name[] {
  const names = (rel: Rel): string[] => starColumns(rel.scope, [], '').map((c) => c.name)
  const here = new Set(names(left))
  return names(right)
    .filter((name) => here.has(name))
    .map((text) => ({ text, quoted: true, at, end }))
}

function joinConditions(
  ctx: PlanContext,
  scope: Scope,
  left: Rel,
  right: Rel,
  join: Join | TemporalJoin,
): readonly Expression[] {
  const bind = bindContext(ctx, scope, 'JOIN conditions')
  if (join.on !== null) return conjuncts(bindBoolean(bind, join.on, 'JOIN/ON').expr)
  const width = left.plan.columns.length
  return mergedNames(ctx, left, right, join).map(([l, r]) => {
    const args = [reference(l, 0, join), reference(r, width, join)]
    return resolveUniform('=', args, join, ctx.text).expr
  })
}
const reference = (found: ScopeColumn, shift: number, { at, end }: Span): Bound => ({
  expr: columnValue(found, shift),
  unknown: false,
  nullable: found.nullable,
  at,
  end,
})

/** For each key column of the right side the left expression that equals it; all other conditions are `rest`. */
function matchKeys(
  conditions: readonly Expression[],
  keys: readonly number[],
  width: number,
): { leftKeys: (Expression | null)[]; rest: Expression[] } {
  const leftKeys: (Expression | null)[] = keys.map(() => null)
  const rest: Expression[] = []
  for (const condition of conditions) {
    const match = equality(condition, keys, width)
    if (match !== null && leftKeys[match.key] === null) leftKeys[match.key] = match.value
    else rest.push(condition)
  }
  return { leftKeys, rest }
}
function equality(
  condition: Expression,
  keys: readonly number[],
  width: number,
): { key: number; value: Expression } | null {
  if (condition.kind !== 'call' || condition.name !== '=') return null
  const [a, b] = condition.args
  for (const [side, value] of [
    [b!, a!],
    [a!, b!],
  ] as const) {
    if (side.kind !== 'column' || side.index < width) continue
    const key = keys.indexOf(side.index - width)
    if (key >= 0 && [...columnsOf(value)].every((index) => index < width)) return { key, value }
  }
  return null
}
